module FunLik.Tests.ConvergenceTests

open System
open FsCheck
open FsCheck.FSharp
open FunLik
open Xunit

// Statistical tests have fixed keys and limits that a right program passes but for a probability of 2e-4 or less each.

let private autoregressive (rho: float) (chains: int) (draws: int) (key: Key) : float[][] =
    Array.init chains (fun c ->
        let noise = Key.normals draws (Key.fold c key)

        noise
        |> Array.skip 1
        |> Array.scan (fun x e -> rho * x + sqrt (1.0 - rho * rho) * e) noise[0])

[<Theory>]
[<InlineData(0.0)>]
[<InlineData(0.8)>]
let ``Geweke's z is standard normal for stationary chains`` (rho: float) =
    let found =
        autoregressive rho 600 800 (Key.ofSeed 41)
        |> Array.map (fun chain -> Geweke.compare [| chain |])

    let z = found |> Array.map (fun g -> g.Z[0])
    // 80 draws of τ = 9 make the tails heavier: the centre of the distribution is held to the normal one.
    let inside = z |> Array.filter (fun v -> abs v < 1.0) |> Array.length |> float
    Assert.InRange((inside / 600.0 - 0.6827) / sqrt (0.6827 * 0.3173 / 600.0), -5.5, 3.9)
    Assert.True(abs (Array.average z) < 3.9 / sqrt 600.0 * sqrt (Autocovariance.variance z))
    let p = found |> Array.map _.PValue

    Array.iter2
        (fun z p ->
            Assert.Equal(2.0 * MathNet.Numerics.Distributions.Normal.CDF(0.0, 1.0, -abs z), p, 9))
        z
        p

[<Fact>]
let ``Geweke's z sees a burn-in, which falls as it is left out`` () =
    let chains =
        autoregressive 0.5 4 4000 (Key.ofSeed 42)
        |> Array.map (Array.mapi (fun t x -> if t < 600 then x + 1.0 else x))

    let whole = Geweke.compare chains
    Assert.All(whole.Z, fun z -> Assert.True(abs z > 4.0))
    Assert.True(whole.PValue < 1e-6)
    let curve = Geweke.curve 5 chains
    Assert.Equal<int[]>([| 0; 500; 1000; 1500; 2000 |], Array.map fst curve)
    Assert.Equal<float[]>(whole.Z, snd curve[0])
    Assert.All(snd curve[4], fun z -> Assert.True(abs z < 4.5))
    Assert.All(snd curve[2], fun z -> Assert.True(abs z < 4.5))

/// R_c as it is written in the paper, with V̂, Var(V̂) and d term by term.
let private plain (chains: float[][]) : float * float =
    let m, n = float chains.Length, float chains[0].Length
    let means = chains |> Array.map Array.average
    let all = Array.average means
    let s2 = chains |> Array.map Autocovariance.variance
    let w = Array.average s2
    let b = n / (m - 1.0) * (means |> Array.sumBy (fun x -> (x - all) ** 2.0))
    let v = (n - 1.0) / n * w + b / n + b / (m * n)

    let cov (x: float[]) (y: float[]) =
        (Array.map2 (*) x y |> Array.sum) / (m - 1.0)
        - m / (m - 1.0) * Array.average x * Array.average y

    let var =
        ((n - 1.0) / n) ** 2.0 / m * cov s2 s2
        + ((m + 1.0) / (m * n)) ** 2.0 * 2.0 / (m - 1.0) * b * b
        + 2.0 * (m + 1.0) * (n - 1.0) / (m * n * n) * n / m
          * (cov s2 (means |> Array.map (fun x -> x * x)) - 2.0 * all * cov s2 means)

    let d = 2.0 * v * v / var
    sqrt ((d + 3.0) / (d + 1.0) * v / w), d

[<Fact>]
let ``R_c is that of the paper, whatever the units`` () =
    let law (seed: int) (PositiveInt scale) (shift: int) =
        let chains = autoregressive 0.7 5 40 (Key.ofSeed seed)
        let found = BrooksGelman.diagnose chains
        let rc, d = plain chains
        let near (a: float) (b: float) = abs (a - b) <= 1e-8 * abs b

        let moved = chains |> Array.map (Array.map (fun x -> float shift + float scale * x))

        near found.Rc rc
        && near found.Freedom d
        && near (BrooksGelman.diagnose moved).Rc found.Rc
        && near (BrooksGelman.diagnose moved).Pooled (float (scale * scale) * found.Pooled)

    Check.One(Config.QuickThrowOnFailure, law)

[<Fact>]
let ``a curve of R_c is what later halves of the run say, and falls as chains agree`` () =
    let chains =
        autoregressive 0.8 6 3000 (Key.ofSeed 43)
        |> Array.mapi (fun c ->
            Array.mapi (fun t x -> x + (float c - 2.5) * exp (-float t / 200.0)))

    let curve = BrooksGelman.curve 30 0.5 chains
    Assert.Equal(30, curve.Draws.Length)
    Assert.Equal(3000, Array.last curve.Draws)

    for i in 0..29 do
        let last = curve.Draws[i]
        let part = chains |> Array.map (fun c -> c[last / 2 .. last - 1])
        let found = BrooksGelman.diagnose part
        Assert.Equal(found.Rc, curve.Rc[i], 9)
        Assert.Equal(sqrt found.Pooled, curve.Pooled[i], 9)
        Assert.Equal(sqrt found.Within, curve.Within[i], 9)

    Assert.True(curve.Rc[0] > 1.2)
    Assert.True(Array.last curve.Rc < 1.02)

    let figure = ConvergenceFigure.scaleReduction "mu" "GeV" curve
    Assert.Equal<float[]>(curve.Rc, figure.Panels.Head.Series.Head.Y)
    Assert.Equal(2, figure.Panels[1].Series.Length)
    let whole = BrooksGelman.curve 7 0.0 chains
    Assert.Equal((BrooksGelman.diagnose chains).Rc, Array.last whole.Rc, 9)

[<Fact>]
let ``the multivariate reduction is the largest of all combinations`` () =
    let a, b =
        autoregressive 0.6 5 200 (Key.ofSeed 44), autoregressive 0.6 5 200 (Key.ofSeed 45)
    // Two parameters that agree each, whose difference does not.
    let second =
        Array.mapi2 (fun c x y -> Array.map2 (fun u v -> u + 0.05 * v + 0.1 * float c) x y) a b

    let found = BrooksGelman.multivariate 2 (fun i -> if i = 0 then a else second)

    let reduction (angle: float) : float =
        let d =
            Array.map2 (Array.map2 (fun x y -> cos angle * x + sin angle * y)) a second
            |> BrooksGelman.diagnose

        d.Pooled / d.Within

    let largest =
        Seq.init 4001 (fun k -> Math.PI * float k / 4000.0)
        |> Seq.map reduction
        |> Seq.max

    Assert.True(found >= largest - 1e-9)
    Assert.InRange(found / largest, 1.0 - 1e-9, 1.01)
    Assert.Equal(reduction 0.0, BrooksGelman.multivariate 1 (fun _ -> a), 9)

[<Fact>]
let ``ensembles are compared with their walkers as one chain`` () =
    let walkers = autoregressive 0.3 6 50 (Key.ofSeed 46)
    let grouped = BrooksGelman.ensembles 3 walkers
    Assert.Equal(2, grouped.Length)

    Assert.Equal<float[]>(
        [| walkers[3][0]; walkers[4][0]; walkers[5][0]; walkers[3][1] |],
        grouped[1][..3]
    )

[<Theory>]
[<InlineData(0.0)>]
[<InlineData(0.8)>]
let ``Monte Carlo errors are the spread of runs`` (rho: float) =
    let runs = 200
    let truth (p: float) = MathNet.Numerics.Distributions.Normal.InvCDF(0.0, 1.0, p)

    let estimates =
        Array.init runs (fun r ->
            let chains = autoregressive rho 4 1000 (Key.ofSeed 47 |> Key.fold r)

            [|
                MonteCarloError.mean 1 chains, 0.0
                MonteCarloError.standardDeviation 1 chains, 1.0
                MonteCarloError.quantile 1 0.16 chains, truth 0.16
                MonteCarloError.quantile 1 0.95 chains, truth 0.95
            |])

    for k in 0..3 do
        let pulls =
            estimates
            |> Array.map (fun e -> ((fst e[k]).Value - snd e[k]) / (fst e[k]).Error)
        // The variance of 200 pulls is known within 10 %; errors themselves are known within some 5 %.
        Assert.InRange(Autocovariance.variance pulls, 0.62, 1.5)
        Assert.True(abs (Array.average pulls) < 3.9 / sqrt (float runs) * 1.3)

[<Fact>]
let ``Monte Carlo errors agree with a diagnosis`` () =
    let chains = autoregressive 0.5 4 500 (Key.ofSeed 48)
    let d = Diagnostics.diagnose "x" chains
    Assert.Equal(d.MeanError, (MonteCarloError.mean 1 chains).Error, 12)
    Assert.Equal(d.StandardDeviationError, (MonteCarloError.standardDeviation 1 chains).Error, 3)
    Assert.Equal(infinity, (MonteCarloError.mean 1 [| Array.create 20 1.0 |]).Error)
    Assert.Equal(infinity, (MonteCarloError.quantile 1 0.5 [| Array.create 20 1.0 |]).Error)
