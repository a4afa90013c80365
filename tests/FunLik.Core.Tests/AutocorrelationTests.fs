module FunLik.Tests.AutocorrelationTests

open System
open FsCheck
open FsCheck.FSharp
open FunLik
open Xunit

// Statistical tests have fixed keys; their limits are at least four standard deviations of the estimates away from the truth.

/// Stationary chains of an autoregressive process of first order, of variance 1; τ = (1 + ρ)/(1 − ρ).
let private autoregressive (rho: float) (chains: int) (draws: int) (key: Key) : float[][] =
    Array.init chains (fun c ->
        let noise = Key.normals draws (Key.fold c key)

        noise
        |> Array.skip 1
        |> Array.scan (fun x e -> rho * x + sqrt (1.0 - rho * rho) * e) noise[0])

let private timeOf (rho: float) : float = (1.0 + rho) / (1.0 - rho)

let estimators: (string * (float[][] -> AutocorrelationTime)) list =
    [
        "windowed", AutocorrelationTime.windowed 5.0
        "acor", AutocorrelationTime.acor
        "likelihood", AutocorrelationTime.likelihood
    ]

let cases: seq<obj[]> =
    Seq.allPairs (List.map fst estimators) [ 0.0; 0.5; 0.9; 0.97; -0.4 ]
    |> Seq.map (fun (name, rho) -> [| box name; box rho |])

/// Where an estimator is right: a window of 5τ that is one lag long sees nothing of lags that cancel, and sums of pairs need more draws for the
/// longest time than are tried here.
let known: seq<obj[]> =
    cases
    |> Seq.filter (fun case ->
        let name, rho = string case[0], unbox<float> case[1]
        not (name = "windowed" && rho < 0.0) && not (name = "acor" && rho > 0.95))

let private estimator (name: string) : float[][] -> AutocorrelationTime =
    estimators |> List.find (fst >> (=) name) |> snd

[<Theory; MemberData(nameof known)>]
let ``the time of an autoregressive chain is the known one, within errors that are right``
    (name: string)
    (rho: float)
    =
    let truth = timeOf rho
    let runs = 30

    let found =
        Array.init runs (fun r ->
            autoregressive rho 4 6000 (Key.ofSeed 31 |> Key.fold r) |> estimator name)

    let times = found |> Array.map _.Time
    let mean = Array.average times
    let spread = sqrt (Autocovariance.variance times)

    for t in found do
        Assert.Equal(AutocorrelationStatus.Reliable, t.Status)

    // A window of 5τ leaves out exp(−5 τ / τ') of the sum, which is below 1 %; lag 10 of acor somewhat more.
    let bias = (if name = "likelihood" then 0.003 else 0.03) * truth

    Assert.InRange(
        mean,
        truth - bias - 4.0 * spread / sqrt 30.0,
        truth + bias + 4.0 * spread / sqrt 30.0
    )

    // Stated errors are those of the spread, which 30 runs know within 13 %; windows of acor are wider than they need be.
    if rho >= 0.0 && (name <> "likelihood" || rho > 0.0) then
        let stated = found |> Array.averageBy _.Error
        Assert.InRange(stated / spread, 0.55, 1.8)

[<Theory; MemberData(nameof cases)>]
let ``a chain shorter than fifty times says that its time is not reliable``
    (name: string)
    (rho: float)
    =
    let chains = autoregressive rho 4 1000 (Key.ofSeed 32)
    let found = estimator name chains
    let isLong = 1000.0 >= 50.0 * found.Time

    Assert.Equal(
        (if Double.IsNaN found.Time then
             AutocorrelationStatus.Undefined
         elif isLong then
             AutocorrelationStatus.Reliable
         else
             AutocorrelationStatus.TooShort),
        found.Status
    )

    if rho = 0.97 then
        Assert.NotEqual(AutocorrelationStatus.Reliable, found.Status)

/// emcee 3's `integrated_time` as it is written there: all autocorrelations, cumulative sums, then the window.
let private emcee (c: float) (chains: float[][]) : float =
    let n = chains[0].Length

    let correlation (x: float[]) : float[] =
        let mean = Array.average x
        let y = x |> Array.map (fun v -> v - mean)

        let sum (t: int) : float =
            let mutable total = 0.0

            for i in 0 .. n - t - 1 do
                total <- total + y[i] * y[i + t]

            total

        let zero = sum 0
        Array.init n (fun t -> sum t / zero)

    let all = chains |> Array.map correlation
    let f = Array.init n (fun t -> all |> Array.averageBy (fun a -> a[t]))

    let taus =
        f |> Array.scan (+) 0.0 |> Array.tail |> Array.map (fun s -> 2.0 * s - 1.0)

    match taus |> Array.indexed |> Array.tryFind (fun (m, tau) -> float m >= c * tau) with
    | Some(_, tau) -> tau
    | None -> taus[n - 1]

/// Goodman's `acor` as it is written there, of one chain.
let rec private goodman (given: float[]) : float * float =
    let length = given.Length
    let mean = Array.average given
    let x = given |> Array.map (fun v -> v - mean)
    let pairs = length - 10

    let c =
        Array.init 11 (fun s -> Seq.sum (Seq.init pairs (fun i -> x[i] * x[i + s])) / float pairs)

    let d = c[0] + 2.0 * Array.sum c[1..]
    let sigma, tau = sqrt (d / float length), d / c[0]

    if 5.0 * tau < 10.0 then
        sigma, tau
    else
        let half = Array.init (length / 2) (fun i -> x[2 * i] + x[2 * i + 1])
        let sigma, _ = goodman half
        let d = 0.25 * sigma * sigma * float length
        sqrt (d / float length), d / c[0]

[<Fact>]
let ``windows and sums of pairs are those of the published programs`` () =
    let law (seed: int) (PositiveInt chains) =
        let rho = [| 0.0; 0.3; 0.8; -0.3 |][abs (seed % 4)]
        let draws = autoregressive rho (1 + chains % 4) 300 (Key.ofSeed seed)
        let near (a: float) (b: float) = abs (a - b) <= 1e-9 * abs b
        let one = [| draws[0] |]
        let acor = AutocorrelationTime.acor one

        near (AutocorrelationTime.windowed 5.0 draws).Time (emcee 5.0 draws)
        && near (AutocorrelationTime.windowed 2.0 draws).Time (emcee 2.0 draws)
        && (Double.IsNaN acor.Time || near acor.Time (snd (goodman one[0])))

    Check.One(Config.QuickThrowOnFailure, law)

/// The log density of a chain under an autoregressive process by its covariance matrix, dense: autocovariances from a long power series.
let private denseLogDensity (fit: AutoRegression) (x: float[]) : float =
    let p, n = fit.Coefficients.Length, x.Length
    // The weights of past noise.
    let weights = Array.zeroCreate 4000

    for t in 0 .. weights.Length - 1 do
        weights[t] <-
            (if t = 0 then 1.0 else 0.0)
            + Seq.sum (Seq.init (min p t) (fun k -> fit.Coefficients[k] * weights[t - 1 - k]))

    let gamma (lag: int) : float =
        fit.Noise
        * Seq.sum (Seq.init (weights.Length - lag) (fun t -> weights[t] * weights[t + lag]))

    let covariance = Array.init n gamma

    let matrix =
        MathNet.Numerics.LinearAlgebra.Matrix<float>.Build.Dense(
            n,
            n,
            fun i j -> covariance[abs (i - j)]
        )

    let factor = matrix.Cholesky()
    let y = MathNet.Numerics.LinearAlgebra.Vector<float>.Build.DenseOfArray x

    -0.5
    * (y.DotProduct(factor.Solve y)
       + factor.DeterminantLn
       + float n * log (2.0 * Math.PI))

[<Fact>]
let ``the likelihood of an autoregressive process is that of its dense covariance, and the largest``
    ()
    =
    let chains = autoregressive 0.6 3 60 (Key.ofSeed 33)
    let centred = chains |> Array.map Autocovariance.centred

    let fits = List.init 7 (fun order -> (AutoRegression.fitOrder order chains).Value)

    for fit in List.truncate 5 fits do
        let dense (f: AutoRegression) : float = centred |> Array.sumBy (denseLogDensity f)
        Assert.Equal(dense fit, fit.LogLikelihood, 7)
        let open' = 1.0 - Array.sum fit.Coefficients
        Assert.Equal(fit.Noise / (open' * open'), fit.Spectrum, 10)

        // Nothing near it is better.
        for i in 0 .. fit.Coefficients.Length - 1 do
            for step in [ -1e-3; 1e-3 ] do
                let moved =
                    fit.Coefficients |> Array.mapi (fun k v -> if k = i then v + step else v)

                Assert.True(dense { fit with Coefficients = moved } < fit.LogLikelihood)

    // Orders are nested: each is as good as the one before.
    fits
    |> List.pairwise
    |> List.iter (fun (a, b) -> Assert.True(b.LogLikelihood >= a.LogLikelihood - 1e-9))

[<Fact>]
let ``a process of second order is found`` () =
    // x_t = 1.2 x_{t−1} − 0.5 x_{t−2} + e: variance and spectrum from its partial autocorrelations 0.8 and −0.5.
    let chains =
        Array.init 4 (fun c ->
            let noise = Key.normals 21_000 (Key.fold c (Key.ofSeed 34))
            let x = Array.zeroCreate noise.Length

            for t in 2 .. x.Length - 1 do
                x[t] <- 1.2 * x[t - 1] - 0.5 * x[t - 2] + noise[t]

            x[1000..])

    let fit = (AutoRegression.fit chains).Value
    let variance = 1.0 / ((1.0 - 0.64) * (1.0 - 0.25))
    let spectrum = 1.0 / 0.3 ** 2.0
    Assert.InRange(fit.Noise, 0.98, 1.02)
    Assert.InRange(fit.Variance / variance, 0.96, 1.04)
    Assert.InRange((fit.Time - spectrum / variance) / fit.TimeError, -4.0, 4.0)
    Assert.InRange(fit.Time / (spectrum / variance), 0.95, 1.05)

[<Fact>]
let ``chains without an autocorrelation time have a status and no guess`` () =
    for name, estimate in estimators do
        for chains in
            [
                [||]
                [| Array.create 100 2.0 |]
                [| [| 1.0; 2.0 |] |]
                [| Array.append [| nan |] (Array.init 100 float) |]
            ] do
            let found = estimate chains
            Assert.True((found.Status = AutocorrelationStatus.Undefined), name)
            Assert.True(Double.IsNaN found.Time)

/// Walkers that all follow one slow mean, with noise of their own: x = (mean + noise)/√2.
let private ensemble (walkers: int) (draws: int) (key: Key) : float[][] =
    let mean = (autoregressive 0.95 1 draws (Key.foldName "mean" key))[0]

    autoregressive 0.0 walkers draws (Key.foldName "noise" key)
    |> Array.map (Array.map2 (fun m e -> (m + e) / sqrt 2.0) mean)

[<Fact>]
let ``walkers are no independent chains: groups have the error that runs show`` () =
    let walkers, draws = 10, 4000

    // The variance of the mean over all draws: half of that of the slow mean, τ = 39, and nearly nothing of the noise.
    let variance = 0.5 * timeOf 0.95 / float draws + 0.5 / float (walkers * draws)
    let truth = 1.0 / variance

    let found =
        Array.init 30 (fun r -> ensemble walkers draws (Key.ofSeed 35 |> Key.fold r))

    let grouped = found |> Array.averageBy (Diagnostics.essOfGroups walkers)
    Assert.InRange(grouped / truth, 0.8, 1.2)

    // As if they were chains on their own the error would be thought three times too small.
    Assert.True((found |> Array.averageBy Diagnostics.ess) > 5.0 * truth)
    let means = found |> Array.map (Array.averageBy Array.average)
    let z = means |> Array.sumBy (fun m -> m * m / variance)
    // χ² of 30: 0.9999 and 0.0001 quantiles.
    Assert.InRange(z, 9.3, 68.0)

    // Two ensembles that sit in different places agree within each, and not with each other.
    let apart =
        Array.append found[0] (found[1] |> Array.map (Array.map (fun x -> x + 3.0)))

    Assert.True(Diagnostics.rHatOfGroups walkers apart > 1.5)
    Assert.InRange(Diagnostics.rHatOfGroups walkers (Array.append found[0] found[1]), 0.999, 1.1)

[<Fact>]
let ``groups of one are chains, and order within a group changes nothing`` () =
    let law (seed: int) =
        let chains = autoregressive 0.4 6 64 (Key.ofSeed seed)
        let near (a: float) (b: float) = abs (a - b) <= 1e-9 * abs b
        let turned = chains |> Array.chunkBySize 3 |> Array.collect Array.rev

        Diagnostics.essOfGroups 1 chains = Diagnostics.ess chains
        && Diagnostics.rHatOfGroups 1 chains = Diagnostics.rHat chains
        && near (Diagnostics.essOfGroups 3 turned) (Diagnostics.essOfGroups 3 chains)
        && near (Diagnostics.rHatOfGroups 3 turned) (Diagnostics.rHatOfGroups 3 chains)

    Check.One(Config.QuickThrowOnFailure, law)
