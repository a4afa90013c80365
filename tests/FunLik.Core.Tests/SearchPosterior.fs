/// The papers' search integrated without any sampling: an oracle of its posterior. Written from the definition alone.
module FunLik.Tests.SearchPosterior

open System
open FunLik
open MathNet.Numerics
open MathNet.Numerics.Distributions
open MathNet.Numerics.Integration

/// What the integrals give, each with the standard error of independent replicates.
type SearchPosterior =
    {
        /// The logarithm of the integral of the density.
        LogEvidence: float * float
        /// The mean and the standard deviation of μ.
        Mu: (float * float) * (float * float)
        /// Those of the systematics, in their order.
        Systematics: ((float * float) * (float * float))[]
        /// The density of μ.
        Density: float -> float
        /// Regions of highest density of μ above a value, by their probability: lower and upper end with errors.
        Region: float -> float -> (float * float) * (float * float)
    }

let private rho (up: float) (down: float) (d: float) : float =
    if d > 1.0 then
        (0.5 * (3.0 * up + down) - 2.0) * d - 0.5 * (up + down) + 2.0
    elif d < -1.0 then
        (2.0 - 0.5 * (3.0 * down + up)) * d - 0.5 * (up + down) + 2.0
    else
        0.5 * d * (d - 1.0) * down - (d - 1.0) * (d + 1.0) + 0.5 * d * (d + 1.0) * up

/// Nodes and weights for the integral over a bin's own nuisance: the trapezium rule, whose error for a normal density times something
/// smooth falls faster than any power of the step.
let private nodes = Array.init 25 (fun k -> 0.5 * float (k - 12))

let private nodeWeights =
    nodes |> Array.map (fun d -> 0.5 * exp (-0.5 * d * d) / sqrt (2.0 * Math.PI))

/// The logarithm of the likelihood of μ and the systematics, integrated over the nuisances of all bins, times the systematics' constraints.
let private integrated (data: SearchData) : float -> float[] -> float =
    let bins = data.BinsPerCategory
    let all = data.Observed.Length
    let systematics = Array.ofList data.Systematics

    let growth =
        data.McStatEpsilon
        |> Array.collect (fun e -> nodes |> Array.map (fun d -> Math.Pow(1.0 + e, d)))

    let logFactorials =
        data.Observed |> Array.map (fun n -> SpecialFunctions.GammaLn(float n + 1.0))

    fun mu d ->
        let shaped =
            Array.init all (fun i ->
                let mutable f = data.Background[i]

                for j in 0 .. systematics.Length - 1 do
                    match systematics[j].Shape with
                    | Some shape -> f <- f * rho shape.Up[i] shape.Down[i] d[j]
                    | None -> ()

                f)

        let mutable total = 0.0

        for c in 0 .. data.Categories - 1 do
            let mutable nominal, changed = 0.0, 0.0

            for i in c * bins .. (c + 1) * bins - 1 do
                nominal <- nominal + data.Background[i]
                changed <- changed + shaped[i]

            let mutable norm = nominal / changed

            for j in 0 .. systematics.Length - 1 do
                let up, down = systematics[j].Norm.Up[c], systematics[j].Norm.Down[c]

                norm <-
                    norm
                    * (if d[j] >= 0.0 then
                           Math.Pow(1.0 + up, d[j])
                       else
                           Math.Pow(1.0 + down, -d[j]))

            for i in c * bins .. (c + 1) * bins - 1 do
                let signal, background = mu * data.Signal[i], norm * shaped[i]
                let count = float data.Observed[i]
                let mutable sum = 0.0

                for k in 0 .. nodes.Length - 1 do
                    let n = signal + background * growth[i * nodes.Length + k]

                    if n > 0.0 then
                        sum <- sum + nodeWeights[k] * exp (count * log n - n - logFactorials[i])

                total <- total + log sum

        let constraints =
            d |> Array.sumBy (fun x -> -0.5 * x * x - 0.5 * log (2.0 * Math.PI))

        total + constraints

let private dimension = 4

/// The lower Cholesky factor.
let private cholesky (c: float[,]) : float[,] =
    let l = Array2D.zeroCreate dimension dimension

    for i in 0 .. dimension - 1 do
        for j in 0..i do
            let sum = Seq.sum (Seq.init j (fun k -> l[i, k] * l[j, k]))

            l[i, j] <-
                if i = j then
                    sqrt (c[i, i] - sum)
                else
                    (c[i, j] - sum) / l[j, j]

    l

/// Points of a normal density by a lattice of four numbers that are badly approximated by fractions (the powers of the root of
/// x⁵ = x + 1), shifted at random.
let private lattice (count: int) (shift: float[]) : float[][] =
    let root = 1.1673039782614187

    Array.init count (fun i ->
        Array.init dimension (fun k ->
            let u = shift[k] + float (i + 1) / Math.Pow(root, float (k + 1))
            Normal.InvCDF(0.0, 1.0, Math.Clamp(u - floor u, 1e-12, 1.0 - 1e-12))))

/// Sums of one replicate at one value of μ: the integral over the systematics as a logarithm, their means and second moments.
type private Slice = { LogZ: float; Means: float[]; Seconds: float[,] }

let private slice
    (density: float[] -> float)
    (mean: float[])
    (factor: float[,])
    (normals: float[][])
    : Slice =
    let points =
        normals
        |> Array.map (fun z ->
            Array.init dimension (fun i ->
                mean[i] + Seq.sum (Seq.init (i + 1) (fun k -> factor[i, k] * z[k]))))

    let logDeterminant = Seq.sum (Seq.init dimension (fun i -> log factor[i, i]))

    let logs =
        Array.map2
            (fun z x ->
                let proposal =
                    Array.sumBy (fun v -> -0.5 * v * v) z
                    - logDeterminant
                    - 0.5 * float dimension * log (2.0 * Math.PI)

                density x - proposal)
            normals
            points

    let top = Array.max logs
    let weights = logs |> Array.map (fun l -> exp (l - top))
    let total = Array.sum weights

    let average (f: float[] -> float) =
        Array.map2 (fun w x -> w * f x) weights points
        |> Array.sum
        |> fun s -> s / total

    {
        LogZ = top + log (total / float points.Length)
        Means = Array.init dimension (fun i -> average (fun x -> x[i]))
        Seconds = Array2D.init dimension dimension (fun i j -> average (fun x -> x[i] * x[j]))
    }

/// The slices of all replicates at a value of μ. The proposal is fitted in two rounds that begin at the systematics' constraints.
let private slices (density: float[] -> float) (replicates: int) (count: int) (key: Key) : Slice[] =
    let keys = Key.splitN (replicates + 2) key
    let shift (k: Key) = Key.uniforms dimension k

    let fitted (mean: float[], factor: float[,]) (k: Key) : float[] * float[,] =
        let found = slice density mean factor (lattice 512 (shift k))

        // A little wider than the density.
        let covariance =
            Array2D.init dimension dimension (fun i j ->
                1.2 * (found.Seconds[i, j] - found.Means[i] * found.Means[j]))

        found.Means, cholesky covariance

    let start =
        Array.zeroCreate dimension,
        Array2D.init dimension dimension (fun i j -> if i = j then 1.0 else 0.0)

    let mean, factor = fitted (fitted start keys[0]) keys[1]
    Array.init replicates (fun r -> slice density mean factor (lattice count (shift keys[r + 2])))

/// The integrals of the search with four systematics: 90 one-dimensional ones at each point of four-dimensional ones, at each of some
/// values of μ (a Gauss–Legendre rule on what the density reaches), `replicates` times with lattices of `count` points.
let create (replicates: int) (count: int) (data: SearchData) : SearchPosterior =
    let low, high = -1.0, 2.4
    let order = 32
    let rule = GaussLegendreRule(low, high, order)
    let mu = Array.init order rule.GetAbscissa
    let weights = Array.init order rule.GetWeight
    let density = integrated data
    let found: Slice[][] = Array.zeroCreate order

    Threading.Tasks.Parallel.For(
        0,
        order,
        fun k -> found[k] <- slices (density mu[k]) replicates count (Key.ofSeed 5)
    )
    |> ignore

    let each (f: int -> float) : float * float =
        let values = Array.init replicates f
        let mean = Array.average values
        let n = float replicates
        mean, sqrt ((values |> Array.sumBy (fun v -> (v - mean) ** 2.0)) / (n * (n - 1.0)))

    let top = found |> Array.map (fun s -> s[0].LogZ) |> Array.max

    let at (k: int) (r: int) : Slice = Array.get (Array.get found k) r

    /// ∫ f(slice) dμ.
    let integral (r: int) (f: int -> Slice -> float) : float =
        Seq.sum (Seq.init order (fun k -> weights[k] * exp ((at k r).LogZ - top) * f k (at k r)))

    let mean (r: int) (f: int -> Slice -> float) : float =
        integral r f / integral r (fun _ _ -> 1.0)

    let deviation (r: int) (first: int -> Slice -> float) (second: int -> Slice -> float) : float =
        sqrt (mean r second - mean r first ** 2.0)

    // Barycentric interpolation of the logarithm of the density between the nodes.
    let barycentric =
        Array.init order (fun k ->
            let x = (2.0 * mu[k] - low - high) / (high - low)
            (if k % 2 = 0 then 1.0 else -1.0) * sqrt ((1.0 - x * x) * weights[k]))

    let logCurve (logs: float[]) (x: float) : float =
        match Array.tryFindIndex ((=) x) mu with
        | Some k -> logs[k]
        | None ->
            let terms = Array.init order (fun k -> barycentric[k] / (x - mu[k]))
            Array.fold2 (fun s t l -> s + t * l) 0.0 terms logs / Array.sum terms

    let curve (r: int) : float -> float =
        let logs = found |> Array.map (fun s -> s[r].LogZ)
        let total = log (integral r (fun _ _ -> 1.0)) + top

        fun x ->
            if x < low || x > high then
                0.0
            else
                exp (logCurve logs x - total)

    /// The region of one replicate: the density is unimodal.
    let region (r: int) (least: float) (probability: float) : float * float =
        let steps = 6800
        let from = max low least
        let step = (high - from) / float steps
        let density = curve r
        let values = Array.init steps (fun i -> density (from + (float i + 0.5) * step))
        let cumulative = Array.scan (fun s v -> s + v * step) 0.0 values
        let whole = cumulative[steps]

        /// The ends at a height.
        let ends (height: float) : float * float =
            let first = values |> Array.findIndex (fun v -> v > height)
            let last = values |> Array.findIndexBack (fun v -> v > height)

            let cross (i: int) (j: int) : float =
                from
                + (float i + 0.5 + (height - values[i]) / (values[j] - values[i]) * float (j - i))
                  * step

            (if first = 0 then from else cross (first - 1) first),
            (if last = steps - 1 then high else cross last (last + 1))

        let below (x: float) : float =
            let place = Math.Clamp((x - from) / step, 0.0, float steps)
            let i = min (int place) (steps - 1)
            cumulative[i] + (place - float i) * (cumulative[i + 1] - cumulative[i])

        let mutable under, over = 0.0, Array.max values

        for _ in 1..50 do
            let middle = 0.5 * (under + over)
            let a, b = ends middle

            if below b - below a >= probability * whole then
                under <- middle
            else
                over <- middle

        ends under

    {
        // The flat prior of μ has the log density −log 5, as in the papers' code.
        LogEvidence = each (fun r -> log (integral r (fun _ _ -> 1.0)) + top - log 5.0)
        Mu =
            let first (k: int) (_: Slice) = mu[k]

            each (fun r -> mean r first),
            each (fun r -> deviation r first (fun k _ -> mu[k] * mu[k]))
        Systematics =
            Array.init dimension (fun i ->
                let first (_: int) (s: Slice) = s.Means[i]

                each (fun r -> mean r first),
                each (fun r -> deviation r first (fun _ s -> s.Seconds[i, i])))
        Density = fun x -> fst (each (fun r -> curve r x))
        Region =
            fun least probability ->
                let all = Array.init replicates (fun r -> region r least probability)
                each (fun r -> fst all[r]), each (fun r -> snd all[r])
    }
