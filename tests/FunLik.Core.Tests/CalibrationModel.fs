/// A model of ten parameters whose prior, data and posterior are all drawn exactly, for simulation-based calibration.
module FunLik.Tests.CalibrationModel

open System
open FunLik
open FunLik.Tests.SamplingTargets

// Five coefficients of a linear regression, normal; three logarithms of Poisson rates, gamma; two logits of binomial probabilities, beta.
// All priors are conjugate. Then shears, which keep volumes, make the posterior crooked.

/// Data, as they were drawn.
type Data =
    {
        /// Responses of the regression.
        Responses: float[]
        /// Poisson counts.
        Counts: int[]
        /// Binomial successes.
        Successes: int[]
    }

let dimension = 10
let names = Array.init dimension (fun i -> $"x{i}")
let private responses, noise = 6, 0.8
let private times = [| 0.5; 2.0; 6.0 |]
let private trials = 8

let private design =
    Array2D.init responses 5 (fun i j ->
        cos (1.0 + 2.0 * float i + 3.0 * float (j * j)) + (if i = j then 1.0 else 0.0))

/// From independent blocks to parameters.
let sheared (phi: float[]) : float[] =
    let x = Array.copy phi
    x[0] <- phi[0] + 0.4 * phi[5] * phi[5]
    x[1] <- phi[1] + 0.5 * phi[8]
    x

let private straight (x: float[]) : float[] =
    let phi = Array.copy x
    phi[0] <- x[0] - 0.4 * x[5] * x[5]
    phi[1] <- x[1] - 0.5 * x[8]
    phi

/// A gamma number of whole shape: the sum of exponential ones.
let private gamma (shape: int) (key: Key) : float = Key.exponentials shape key |> Array.sum

let private logit (alpha: int) (beta: int) (key: Key) : float =
    let struct (a, b) = Key.split key
    log (gamma alpha a / gamma beta b)

/// A point of the prior, as independent blocks: normal; gamma of shape 3; beta of 2 and 3.
let prior (key: Key) : float[] =
    [|
        yield! Key.normals 5 (Key.foldName "normal" key)
        for j in 0..2 -> log (gamma 3 (Key.foldName "gamma" key |> Key.fold j))
        for j in 0..1 -> logit 2 3 (Key.foldName "beta" key |> Key.fold j)
    |]

/// Data of a point.
let simulate (phi: float[]) (key: Key) : Data =
    let normal = Key.normals responses (Key.foldName "responses" key)

    let poisson (mean: float) (key: Key) : int =
        Key.exponentials 400 key
        |> Array.scan (+) 0.0
        |> Array.skip 1
        |> Array.takeWhile (fun t -> t < mean)
        |> Array.length

    {
        Responses =
            Array.init responses (fun i ->
                Seq.sum (Seq.init 5 (fun j -> design[i, j] * phi[j])) + noise * normal[i])
        Counts =
            Array.init 3 (fun j ->
                poisson (times[j] * exp phi[5 + j]) (Key.foldName "counts" key |> Key.fold j))
        Successes =
            Array.init 2 (fun j ->
                let p = 1.0 / (1.0 + exp -phi[8 + j])
                let u = Key.uniforms trials (Key.foldName "successes" key |> Key.fold j)
                u |> Array.filter (fun v -> v < p) |> Array.length)
    }

/// The posterior of the regression: its mean and the lower factor of its covariance.
let private regression (data: Data) : float[] * float[] =
    let weight = 1.0 / (noise * noise)

    let precision =
        MathNet.Numerics.LinearAlgebra.Matrix<float>.Build.Dense(
            5,
            5,
            fun i j ->
                (if i = j then 1.0 else 0.0)
                + weight * Seq.sum (Seq.init responses (fun k -> design[k, i] * design[k, j]))
        )

    let covariance = precision.Inverse()

    let score =
        MathNet.Numerics.LinearAlgebra.Vector<float>.Build.Dense(
            5,
            fun j ->
                weight
                * Seq.sum (Seq.init responses (fun k -> design[k, j] * data.Responses[k]))
        )

    (covariance * score).ToArray(), covariance.Cholesky().Factor.ToRowMajorArray()

/// Exact draws of the posterior, as parameters, row-major.
let posterior (data: Data) (count: int) (key: Key) : float[] =
    let mean, factor = regression data

    Array.init count (fun c ->
        let key = Key.fold c key
        let z = Key.normals 5 (Key.foldName "normal" key)

        sheared
            [|
                for i in 0..4 -> mean[i] + Seq.sum (Seq.init 5 (fun j -> factor[5 * i + j] * z[j]))
                for j in 0..2 ->
                    log (gamma (3 + data.Counts[j]) (Key.foldName "gamma" key |> Key.fold j))
                    - log (1.0 + times[j])
                for j in 0..1 ->
                    let k = data.Successes[j]
                    logit (2 + k) (3 + trials - k) (Key.foldName "beta" key |> Key.fold j)
            |])
    |> Array.concat

/// The posterior of data as a density, with what kernels need to know of it.
let target (data: Data) : Target =
    let mean, factor = regression data
    // Precision of the regression: the inverse of the factor, twice.
    let lower =
        MathNet.Numerics.LinearAlgebra.Matrix<float>.Build.DenseOfRowMajor(5, 5, factor)

    let precision = (lower * lower.Transpose()).Inverse().ToRowMajorArray()
    let shapes = data.Counts |> Array.map (fun n -> float (3 + n))
    let alphas = data.Successes |> Array.map (fun k -> float (2 + k))
    let total = float (5 + trials)

    let density (x: float[]) (g: float[]) : float =
        let phi = straight x
        let mutable y = 0.0

        for i in 0..4 do
            let mutable pull = 0.0

            for j in 0..4 do
                pull <- pull + precision[5 * i + j] * (phi[j] - mean[j])

            y <- y - 0.5 * pull * (phi[i] - mean[i])
            g[i] <- -pull

        for j in 0..2 do
            let rate = (1.0 + times[j]) * exp phi[5 + j]
            y <- y + shapes[j] * phi[5 + j] - rate
            g[5 + j] <- shapes[j] - rate

        for j in 0..1 do
            let p = 1.0 / (1.0 + exp -phi[8 + j])
            y <- y + alphas[j] * phi[8 + j] - total * log (1.0 + exp phi[8 + j])
            g[8 + j] <- alphas[j] - total * p

        g[5] <- g[5] - 0.8 * x[5] * g[0]
        g[8] <- g[8] - 0.5 * g[1]
        y

    let centre =
        sheared
            [|
                yield! mean
                for j in 0..2 -> log (shapes[j] / (1.0 + times[j]))
                for j in 0..1 -> log (alphas[j] / (total - alphas[j]))
            |]

    let covariance = Array.zeroCreate (dimension * dimension)
    let block = (lower * lower.Transpose()).ToArray()

    for i in 0..4 do
        for j in 0..4 do
            covariance[dimension * i + j] <- block[i, j]

    for j in 0..2 do
        covariance[(dimension + 1) * (5 + j)] <- 1.0 / shapes[j]

    for j in 0..1 do
        covariance[(dimension + 1) * (8 + j)] <- 1.0 / alphas[j] + 1.0 / (total - alphas[j])

    {
        Name = "calibration"
        Objective = objective dimension density
        Dimension = dimension
        Metric = (Metric.ofCovariance dimension covariance).Value
        Draw = fun _ -> centre
        Parts = id
        Cdfs = [||]
    }

/// One replicate: what the data came from, and their posterior.
type Replicate = { Truth: float[]; Data: Data; Target: Target; Key: Key }

let replicate (key: Key) : Replicate =
    let keys = Key.splitN 3 key
    let phi = prior keys[0]
    let data = simulate phi keys[1]
    { Truth = sheared phi; Data = data; Target = target data; Key = keys[2] }

/// What ranks are taken of: all parameters, and the log density.
let quantities = Array.append names [| "logDensity" |]

let private measured (target: Target) (points: float[]) : float[][] =
    let values = target.Objective.Values(points, RunOptions.Single)
    Array.map2 (fun x y -> Array.append x [| y |]) (Array.chunkBySize dimension points) values

/// The calibration of a kernel. Each replicate has so many chains, which start at exact draws of the posterior, and so many steps: a right
/// kernel leaves them exact draws, and independent of each other. A wrong one walks away.
let calibrate
    (falseAlarm: float)
    (chains: int)
    (steps: int)
    (replicates: Replicate[])
    (kernel: Target -> RunOptions -> Sampler)
    : Calibration =
    replicates
    |> Array.Parallel.map (fun r ->
        let struct (starts, moves) = Key.split r.Key
        let sampler = kernel r.Target RunOptions.Single

        let mutable state =
            Chains.start RunOptions.Single r.Target.Objective (posterior r.Data chains starts)

        for _ in 1..steps do
            let struct (next, _) = sampler.Step (Key.fold state.Step moves) state
            state <- next

        struct ((measured r.Target r.Truth)[0], measured r.Target state.Points))
    |> Calibration.ofReplicates falseAlarm 5 quantities

/// The calibration of a kernel as it is used: chains that start wider than the posterior, a burn-in, and draws so far apart that they are
/// nearly independent.
let calibrateRuns
    (falseAlarm: float)
    (chains: int)
    (burnIn: int)
    (thin: int)
    (draws: int)
    (replicates: Replicate[])
    (kernel: Target -> RunOptions -> Sampler)
    : Calibration =
    replicates
    |> Array.Parallel.map (fun r ->
        let struct (starts, moves) = Key.split r.Key
        let sampler = kernel r.Target RunOptions.Single

        let widths = Metric.widths r.Target.Metric |> Array.map ((*) 1.5)

        let begun =
            Chains.around chains widths (r.Target.Draw [||]) starts
            |> Chains.start RunOptions.Single r.Target.Objective

        let kept =
            Sampling.steps sampler moves begun
            |> Seq.map (fun (struct (state, _)) -> state)
            |> Seq.skip (burnIn - 1)
            |> Seq.indexed
            |> Seq.filter (fun (t, _) -> t % thin = 0)
            |> Seq.truncate draws
            |> Seq.map (fun (_, state) -> Chains.point 0 state)
            |> Array.concat

        struct ((measured r.Target r.Truth)[0], measured r.Target kept))
    |> Calibration.ofReplicates falseAlarm 5 quantities
