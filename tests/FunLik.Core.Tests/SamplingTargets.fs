/// Densities whose exact draws are known, and what statistical tests of samplers need.
module FunLik.Tests.SamplingTargets

open System
open FSharp.NativeInterop
open FunLik
open MathNet.Numerics.Distributions

#nowarn "9"

/// The distance of Kolmogorov and Smirnov, times √n, that is exceeded with probability 1.2e-4.
let kolmogorovLimit = 2.2

/// The distance from 0 of a standard normal number that is exceeded with probability 1e-4.
let normalLimit = 3.9

let kolmogorov (cdf: float -> float) (sample: float[]) : float =
    let n = float sample.Length

    Array.sort sample
    |> Array.mapi (fun i x -> max (float (i + 1) / n - cdf x) (cdf x - float i / n))
    |> Array.max
    |> (*) (sqrt n)

/// An objective of a function that gives the log density and fills in the gradient.
let objective (n: int) (density: float[] -> float[] -> float) : Objective =
    let parameters =
        Array.init n (fun i -> ModelParameter.create $"x{i}" ParameterKind.Poi 0.0)

    { new Objective(parameters) with
        member _.HasGradient = true
        member _.IsConcurrent = true
        member _.Expression = None

        member _.Evaluate(rows, points, values, gradients, options) =
            for r in 0 .. rows - 1 do
                options.Cancellation.ThrowIfCancellationRequested()
                let x = Array.init n (fun i -> NativePtr.get points (r * n + i))
                let g = Array.zeroCreate n
                NativePtr.set values r (density x g)

                if not (NativePtr.isNullPtr gradients) then
                    g |> Array.iteri (fun i v -> NativePtr.set gradients (r * n + i) v)
    }

/// A density with its exact draws, and numbers made of a draw that are independent, each with the
/// distribution function given.
type Target =
    {
        Name: string
        Objective: Objective
        Dimension: int
        /// A metric that fits more or less.
        Metric: Metric
        /// A point from numbers uniform on (0, 1).
        Draw: float[] -> float[]
        /// The independent numbers.
        Parts: float[] -> float[]
        /// Their distribution functions.
        Cdfs: (float -> float)[]
    }

/// The lower triangular A of the correlated normal density, x = A·z + b.
let a = [| [| 2.0; 0.0; 0.0 |]; [| 1.0; 0.5; 0.0 |]; [| -0.3; 0.4; 0.1 |] |]

let b = [| 1.0; -2.0; 0.5 |]

let apply (z: float[]) : float[] =
    Array.init 3 (fun i -> b[i] + Seq.sum (Seq.init 3 (fun j -> a[i][j] * z[j])))

let solve (x: float[]) : float[] =
    let z = Array.zeroCreate 3

    for i in 0..2 do
        let below = Seq.sum (Seq.init i (fun j -> a[i][j] * z[j]))
        z[i] <- (x[i] - b[i] - below) / a[i][i]

    z

let factor = Array.concat a

let correlated: Target =
    let density (x: float[]) (g: float[]) : float =
        let z = solve x

        for i in 2..-1..0 do
            let above = Seq.sum (Seq.init (2 - i) (fun k -> a[i + 1 + k][i] * g[i + 1 + k]))
            g[i] <- (-z[i] - above) / a[i][i]

        -0.5 * Array.sumBy (fun v -> v * v) z

    {
        Name = "correlated normal"
        Objective = objective 3 density
        Dimension = 3
        Metric = Metric.Dense factor
        Draw = Array.map (fun u -> Normal.InvCDF(0.0, 1.0, u)) >> apply
        Parts = solve
        Cdfs = Array.replicate 3 (fun x -> Normal.CDF(0.0, 1.0, x))
    }

/// exp(u) has a gamma distribution of shape 3, and y a normal one around u²/2.
let skewed: Target =
    {
        Name = "skewed"
        Objective =
            objective 2 (fun x g ->
                let u, y = x[0], x[1]
                let pull = y - 0.5 * u * u
                g[0] <- 3.0 - exp u + pull * u
                g[1] <- -pull
                3.0 * u - exp u - 0.5 * pull * pull)
        Dimension = 2
        Metric = Metric.Diagonal [| 0.6; 1.2 |]
        Draw =
            fun v ->
                let u = log (Gamma.InvCDF(3.0, 1.0, v[0]))
                [| u; 0.5 * u * u + Normal.InvCDF(0.0, 1.0, v[1]) |]
        Parts = fun x -> [| x[0]; x[1] - 0.5 * x[0] * x[0] |]
        Cdfs =
            [|
                fun u -> Gamma.CDF(3.0, 1.0, exp u)
                fun z -> Normal.CDF(0.0, 1.0, z)
            |]
    }

/// A standard normal number above 0.3, and one between −1 and 0.5.
let truncated: Target =
    let edges = [| struct (0.3, infinity); struct (-1.0, 0.5) |]

    let shares =
        edges
        |> Array.map (fun (struct (low, high)) ->
            let below = Normal.CDF(0.0, 1.0, low)
            struct (below, Normal.CDF(0.0, 1.0, high) - below))

    {
        Name = "truncated normal"
        Objective =
            objective 2 (fun x g ->
                let inside =
                    Array.forall2 (fun v (struct (low, high)) -> v > low && v < high) x edges

                if inside then
                    x |> Array.iteri (fun i v -> g[i] <- -v)
                    -0.5 * Array.sumBy (fun v -> v * v) x
                else
                    g |> Array.iteri (fun i _ -> g[i] <- nan)
                    -infinity)
        Dimension = 2
        Metric = Metric.unit 2
        Draw =
            Array.map2
                (fun (struct (below, share)) u -> Normal.InvCDF(0.0, 1.0, below + u * share))
                shares
        Parts = id
        Cdfs =
            shares
            |> Array.map (fun (struct (below, share)) x ->
                (Normal.CDF(0.0, 1.0, x) - below) / share)
    }

/// The truncated normal numbers without bounds: the first beyond one end, the second between two.
let unbounded: Target =
    let map =
        Unbounded.objective [| struct (0.3, infinity); struct (-1.0, 0.5) |] truncated.Objective

    { truncated with
        Name = "without bounds"
        Objective = map.Objective
        Metric = Metric.Diagonal [| 1.0; 1.8 |]
        Draw = truncated.Draw >> Unbounded.ofBounded map
        Parts = Unbounded.toBounded map
    }

let targets = [ correlated; skewed; truncated; unbounded ]

/// Scales from 1e-3 to 2e3, and correlations. It has no exact draws.
let wide: Target =
    let scales = [| 1e-3; 1.0; 50.0; 2e3 |]

    // Neighbours correlate: z_i = x_i/s_i − 0.8·x_{i−1}/s_{i−1} is standard normal.
    let parts (x: float[]) : float[] =
        let u = Array.map2 (/) x scales
        Array.init 4 (fun i -> if i = 0 then u[0] else u[i] - 0.8 * u[i - 1])

    {
        Name = "wide"
        Objective =
            objective 4 (fun x g ->
                let z = parts x

                for i in 0..3 do
                    let next = if i < 3 then 0.8 * z[i + 1] else 0.0
                    g[i] <- (next - z[i]) / scales[i]

                -0.5 * Array.sumBy (fun v -> v * v) z)
        Dimension = 4
        Metric = Metric.Diagonal scales
        Draw = id
        Parts = parts
        Cdfs = [||]
    }

let exact (count: int) (target: Target) (key: Key) : Chains =
    let n = target.Dimension

    Key.uniforms (count * n) key
    |> Array.chunkBySize n
    |> Array.collect target.Draw
    |> Chains.start RunOptions.Single target.Objective

let take (count: int) (sampler: Sampler) (key: Key) (chains: Chains) =
    Sampling.steps sampler key chains |> Seq.take count |> Array.ofSeq


let largestDifference (x: float[]) (y: float[]) : float =
    Array.map2 (fun u v -> abs (u - v)) x y |> Array.max
