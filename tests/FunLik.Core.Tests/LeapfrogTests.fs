module FunLik.Tests.LeapfrogTests

open System
open FunLik
open FunLik.Tests.SamplingTargets
open Xunit

let private phase (count: int) (target: Target) (key: Key) : Phase =
    let start = exact count target (Key.fold 0 key)

    {
        Points = start.Points
        Momenta = Key.normals (count * target.Dimension) (Key.fold 1 key)
        LogDensity = start.LogDensity
        Gradient = start.Gradient
    }

let private leapfrog (stepSize: float) (length: int) (target: Target) (phase: Phase) : Phase =
    let settings = Hamiltonian.settings stepSize target.Metric
    Hamiltonian.leapfrog RunOptions.Single target.Objective settings length phase

let private energies (dimension: int) (phase: Phase) : float[] =
    Array.chunkBySize dimension phase.Momenta
    |> Array.map2 (fun y p -> 0.5 * Array.sumBy (fun v -> v * v) p - y) phase.LogDensity

[<Fact>]
let ``the leapfrog, turned round, leads back`` () =
    for target in targets do
        let start = phase 20 target (Key.ofSeed 21)
        let there = leapfrog 0.2 15 target start
        let turned = { there with Momenta = Array.map (~-) there.Momenta }
        let back = leapfrog 0.2 15 target turned
        Assert.True(largestDifference there.Points start.Points > 0.5)
        Assert.True(largestDifference back.Points start.Points < 1e-10)
        Assert.True(largestDifference back.Momenta (Array.map (~-) start.Momenta) < 1e-10)

[<Fact>]
let ``the energy error of the leapfrog is of the second order`` () =
    for target in [ correlated; skewed ] do
        let start = phase 20 target (Key.ofSeed 22)

        let error (halvings: int) : float =
            let fine = 1 <<< halvings
            let moved = leapfrog (0.05 / float fine) (20 * fine) target start
            largestDifference (energies target.Dimension moved) (energies target.Dimension start)

        Assert.InRange(error 0 / error 1, 3.8, 4.2)
        Assert.InRange(error 1 / error 2, 3.9, 4.1)

[<Fact>]
let ``the leapfrog preserves volume`` () =
    let start = phase 1 skewed (Key.ofSeed 23)
    let coordinates (p: Phase) = Array.append p.Points p.Momenta

    let moved (i: int) (h: float) : float[] =
        let shifted = coordinates start
        shifted[i] <- shifted[i] + h

        let at = skewed.Objective
        let struct (y, g) = at.ValuesAndGradients(shifted[..1], RunOptions.Single)

        { start with
            Points = shifted[..1]
            Momenta = shifted[2..]
            LogDensity = y
            Gradient = g
        }
        |> leapfrog 0.4 5 skewed
        |> coordinates

    let jacobian =
        Array.init 4 (fun i ->
            Array.map2 (fun u v -> (u - v) / 2e-5) (moved i 1e-5) (moved i -1e-5))

    let determinant =
        MathNet.Numerics.LinearAlgebra.Double.DenseMatrix.OfColumnArrays(jacobian).Determinant()

    Assert.Equal(1.0, determinant, 6)

[<Fact>]
let ``a dense metric makes the sampler affine`` () =
    let standard =
        objective 3 (fun z g ->
            z |> Array.iteri (fun i v -> g[i] <- -v - 0.4 * v ** 3.0)
            -(z |> Array.sumBy (fun v -> 0.5 * v * v + 0.1 * v ** 4.0)))

    let mapped =
        objective 3 (fun x g ->
            let z = solve x
            let h = Array.zeroCreate 3
            let struct (y, slopes) = standard.ValuesAndGradients(z, RunOptions.Single)

            for i in 2..-1..0 do
                let above = Seq.sum (Seq.init (2 - i) (fun k -> a[i + 1 + k][i] * h[i + 1 + k]))
                h[i] <- (slopes[i] - above) / a[i][i]

            Array.Copy(h, g, 3)
            y[0])

    let run (objective: Objective) (metric: Metric) (starts: float[]) =
        Chains.start RunOptions.Single objective starts
        |> take
            10
            (Hamiltonian.settings 0.6 metric
             |> Hamiltonian.sampler RunOptions.Single objective)
            (Key.ofSeed 31)

    let identity = Metric.Dense [| 1.0; 0.0; 0.0; 0.0; 1.0; 0.0; 0.0; 0.0; 1.0 |]
    let starts = Key.normals 60 (Key.ofSeed 30)
    let image = Array.chunkBySize 3 >> Array.collect apply
    let here = run standard identity starts
    let there = run mapped (Metric.Dense factor) (image starts)
    let diagonal = run standard (Metric.unit 3) starts

    for struct (x, info), struct (y, other), struct (z, same) in Array.zip3 here there diagonal do
        Assert.Equal<bool[]>(info.Accepted, other.Accepted)
        Assert.True(largestDifference (image x.Points) y.Points < 1e-9)
        Assert.Equal<bool[]>(info.Accepted, same.Accepted)
        Assert.True(largestDifference x.Points z.Points < 1e-12)

[<Fact>]
let ``a leapfrog step in a dense metric is the sums written out`` () =
    let normal (n: int) =
        objective n (fun x g ->
            x |> Array.iteri (fun i v -> g[i] <- -v)
            -0.5 * Array.sumBy (fun v -> v * v) x)

    for n in [ 1..20 ] @ [ 31; 32; 33; 95 ] do
        let rows, step = 15, 0.1
        let objective = normal n
        let draw (k: int) = Key.normals (rows * n) (Key.fold k (Key.ofSeed n))
        let start = Chains.start RunOptions.Single objective (draw 0)

        let factor =
            Key.normals (n * n) (Key.fold 2 (Key.ofSeed n))
            |> Array.mapi (fun k v ->
                if k % n > k / n then 0.0
                elif k % n = k / n then 1.0 + abs v
                else 0.1 * v)

        let at (values: float[]) (row: int) (i: int) = values[row * n + i]
        let matrix (i: int) (j: int) = factor[i * n + j]
        let sum (term: int -> float) = Seq.sumBy term (seq { 0 .. n - 1 })

        let kick (gradient: float[]) (momenta: float[]) =
            Array.init (rows * n) (fun k ->
                let row, j = k / n, k % n
                momenta[k] + 0.5 * step * sum (fun i -> matrix i j * at gradient row i))

        let halfway = kick start.Gradient (draw 1)

        let points =
            Array.init (rows * n) (fun k ->
                let row, i = k / n, k % n
                start.Points[k] + step * sum (fun j -> matrix i j * at halfway row j))

        let moved =
            Hamiltonian.leapfrog
                RunOptions.Single
                objective
                (Hamiltonian.settings step (Metric.Dense factor))
                1
                {
                    Points = start.Points
                    Momenta = draw 1
                    LogDensity = start.LogDensity
                    Gradient = start.Gradient
                }

        let momenta = kick (Array.map (~-) points) halfway
        Assert.True(largestDifference points moved.Points < 1e-13)
        Assert.True(largestDifference momenta moved.Momenta < 1e-13)
