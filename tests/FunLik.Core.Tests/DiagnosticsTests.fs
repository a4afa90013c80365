module FunLik.Tests.DiagnosticsTests

open System
open FsCheck
open FsCheck.FSharp
open FunLik
open Xunit

// Statistical tests have fixed keys; their limits are at least four standard deviations of the
// estimates away from the truth.

/// Stationary chains x_t = ρ·x_{t−1} + √(1 − ρ²)·noise, of variance 1.
let private autoregressive (rho: float) (chains: int) (draws: int) (key: Key) : float[][] =
    Array.init chains (fun c ->
        let noise = Key.normals draws (Key.fold c key)

        noise
        |> Array.skip 1
        |> Array.scan (fun x e -> rho * x + sqrt (1.0 - rho * rho) * e) noise[0])

[<Theory>]
[<InlineData(0.0, 0.03)>]
[<InlineData(0.5, 0.06)>]
[<InlineData(0.9, 0.15)>]
[<InlineData(-0.5, 0.06)>]
let ``the effective size of an autoregressive chain is the known one``
    (rho: float)
    (within: float)
    =
    let chains = autoregressive rho 16 8000 (Key.ofSeed 5)
    let total = 128000.0

    Assert.InRange(
        Diagnostics.ess chains / (total * (1.0 - rho) / (1.0 + rho)),
        1.0 - within,
        1.0 + within
    )
    // Squares have the autocorrelation ρ².
    let squares = total * (1.0 - rho * rho) / (1.0 + rho * rho)
    let honest = min squares (total * (1.0 - rho) / (1.0 + rho))
    Assert.InRange(Diagnostics.honestEss chains / honest, 1.0 - within, 1.0 + within)

    Assert.InRange(
        Diagnostics.bulkEss chains / (total * (1.0 - rho) / (1.0 + rho)),
        1.0 - within,
        1.0 + within
    )

    Assert.InRange(Diagnostics.rHat chains, 0.999, 1.003)
    Assert.InRange(Diagnostics.rankRHat chains, 0.999, 1.003)

[<Fact>]
let ``a closed orbit has a flattering effective size that its squares give away`` () =
    // x moves round a circle whose radius stays: independent of each other, all of one size.
    let orbit =
        Array.init 4 (fun c ->
            let angles = Key.uniforms 2000 (Key.fold c (Key.ofSeed 6))
            angles |> Array.map (fun u -> (1.0 + float c) * cos (2.0 * Math.PI * u)))

    Assert.True(Diagnostics.ess orbit > 7000.0)
    Assert.True(Diagnostics.honestEss orbit < 100.0)

[<Fact>]
let ``autocovariances are plain sums at every lag`` () =
    let law (NonEmptyArray(values: NormalFloat[])) =
        let x = Array.replicate 40 values |> Array.concat |> Array.map _.Get
        let n = x.Length
        let mean = Array.average x
        let at = Autocovariance.at x
        let scale = x |> Array.averageBy (fun v -> (v - mean) ** 2.0)

        [ 0; 1; n / 3; min 600 (n - 1); n - 1 ]
        |> List.forall (fun t ->
            let plain =
                Seq.sum (Seq.init (n - t) (fun i -> (x[i] - mean) * (x[i + t] - mean)))
                / float n

            abs (at t - plain) <= 1e-9 * max scale 1e-12 + 1e-12 * mean * mean)

    Check.One(Config.QuickThrowOnFailure, law)

[<Fact>]
let ``diagnostics do not depend on units, and those of ranks on no increasing map`` () =
    let law (seed: int) (PositiveInt scale) (shift: int) =
        let chains = autoregressive 0.3 5 61 (Key.ofSeed seed)
        let mapped (f: float -> float) = chains |> Array.map (Array.map f)
        let near (x: float) (y: float) = abs (x - y) <= 1e-8 * abs x
        let other = mapped (fun x -> float shift - float scale * x)
        let curved = mapped (fun x -> exp x)

        near (Diagnostics.ess chains) (Diagnostics.ess other)
        && near (Diagnostics.honestEss chains) (Diagnostics.honestEss other)
        && near (Diagnostics.rHat chains) (Diagnostics.rHat other)
        && near (Diagnostics.rankRHat chains) (Diagnostics.rankRHat other)
        && near (Diagnostics.bulkEss chains) (Diagnostics.bulkEss curved)
        && near (Diagnostics.tailEss chains) (Diagnostics.tailEss curved)
        && near (Diagnostics.rHat chains) (Diagnostics.rHat (Array.rev chains))

    Check.One(Config.QuickThrowOnFailure, law)

[<Fact>]
let ``R-hat sees a shifted chain, and its folded form a wider one`` () =
    let chains = autoregressive 0.2 4 1000 (Key.ofSeed 7)
    let but (f: float -> float) = Array.append [| Array.map f chains[0] |] chains[1..]
    Assert.True(Diagnostics.rHat (but ((+) 1.0)) > 1.05)
    Assert.True(Diagnostics.rankRHat (but ((+) 1.0)) > 1.05)
    Assert.True(Diagnostics.rankRHat (but ((*) 3.0)) > 1.05)
    Assert.True(Diagnostics.ess (but ((+) 1.0)) < 100.0)

[<Fact>]
let ``a trend within a chain is seen by splitting it`` () =
    let trend =
        autoregressive 0.0 2 1000 (Key.ofSeed 8)
        |> Array.map (Array.mapi (fun t x -> x + 0.002 * float t))

    Assert.True(Diagnostics.rHat trend > 1.05)

[<Fact>]
let ``equal draws share their rank, and scores are those of normal quantiles`` () =
    let scores = Diagnostics.rankNormalise [| [| 3.0; 1.0 |]; [| 1.0; 2.0 |] |]

    let quantile (rank: float) =
        MathNet.Numerics.Distributions.Normal.InvCDF(0.0, 1.0, (rank - 0.375) / 4.25)

    Assert.Equal<float[]>([| quantile 4.0; quantile 1.5 |], scores[0])
    Assert.Equal<float[]>([| quantile 1.5; quantile 3.0 |], scores[1])

[<Fact>]
let ``draws without diagnostics have a status and no NaN`` () =
    let check (expected: DiagnosticStatus) (chains: float[][]) =
        let d = Diagnostics.diagnose "x" chains
        Assert.Equal(expected, d.Status)
        Assert.Equal(0.0, d.Ess)
        Assert.Equal(0.0, d.BulkEss)
        Assert.Equal(0.0, d.TailEss)
        Assert.Equal(infinity, d.RHat)
        Assert.Equal(infinity, d.RankRHat)
        Assert.Equal(infinity, d.MeanError)
        Assert.Equal(infinity, d.StandardDeviationError)

    check DiagnosticStatus.Constant (Array.replicate 4 (Array.create 100 2.5))
    check DiagnosticStatus.TooShort (Array.replicate 4 [| 1.0; 2.0; 3.0 |])
    check DiagnosticStatus.TooShort [||]
    check DiagnosticStatus.NotFinite [| Array.append [| nan |] (Array.create 20 1.0) |]
    // Chains that stand still in different places have diagnostics, bad ones.
    let stuck = Array.init 4 (fun c -> Array.create 100 (float c))
    let d = Diagnostics.diagnose "x" stuck
    Assert.Equal(DiagnosticStatus.Defined, d.Status)
    Assert.Equal(infinity, d.RHat)
    Assert.True(d.Ess < 10.0)

[<Fact>]
let ``scores of ranks are those of their definition, for few draws and many, with ties and signs``
    ()
    =
    for count in [ 50; 30_000 ] do
        let draws =
            Key.normals (3 * count) (Key.ofSeed count)
            // Rounded, so that many are equal; some are zeros of either sign.
            |> Array.mapi (fun i z -> if i % 7 = 0 then -0.0 else Math.Round(z * 1e3) * 1e-3)

        let chains = Array.chunkBySize count draws
        let found = Diagnostics.rankNormalise chains |> Array.concat
        let sorted = Array.sort draws
        let n = float draws.Length

        let byValue =
            sorted
            |> Array.mapi (fun i x -> x + 0.0, float (i + 1))
            |> Array.groupBy fst
            |> Array.map (fun (x, same) -> x, same |> Array.averageBy snd)
            |> dict

        draws
        |> Array.iteri (fun i x ->
            let expected =
                MathNet.Numerics.Distributions.Normal.InvCDF(
                    0.0,
                    1.0,
                    (byValue[x + 0.0] - 0.375) / (n + 0.25)
                )

            Assert.Equal(expected, found[i], 12))
