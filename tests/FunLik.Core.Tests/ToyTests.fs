module FunLik.Tests.ToyTests

open System
open FsCheck
open FsCheck.FSharp
open MathNet.Numerics.Distributions
open Xunit
open FunLik

let private options = RunOptions.AllCores

let private near (tolerance: float) (expected: float) (found: float) : unit =
    Assert.True(abs (found - expected) <= tolerance, $"{found}, not {expected} within {tolerance}")

let private outside = Normal.CDF(0.0, 1.0, -1.0)

[<Fact>]
let ``intervals of shares have the tails of Clopper and Pearson`` () =
    let law (a: PositiveInt) (b: PositiveInt) =
        let n = 1 + a.Get % 60
        let k = b.Get % (n + 1)
        let p = ToyProbability.ofCounts k n
        Assert.InRange(p.Value, p.Low, p.High)

        // At the ends counts as extreme as this one are as rare as one standard deviation on one side.
        if k > 0 then
            near 1e-9 outside (1.0 - Binomial.CDF(p.Low, n, float (k - 1)))

        if k < n then
            near 1e-9 outside (Binomial.CDF(p.High, n, float k))

    Check.One(Config.QuickThrowOnFailure, law)

    // None of ten, all of ten: closed forms, and errors that are not 0.
    let none, all = ToyProbability.ofCounts 0 10, ToyProbability.ofCounts 10 10
    near 1e-12 (1.0 - outside ** 0.1) none.High
    Assert.Equal((0.0, 0.0), (none.Value, none.Low))
    near 1e-12 (outside ** 0.1) all.Low
    Assert.Equal((1.0, 1.0), (all.Value, all.High))
    Assert.Equal(none.High, none.Error)
    Assert.True(all.Error > 0.1)
    let nothing = ToyProbability.ofCounts 0 0
    Assert.True(Double.IsNaN nothing.Value && nothing.Low = 0.0 && nothing.High = 1.0)

[<Fact>]
let ``ratios of shares have the limits that they should have`` () =
    let exactly (p: float) : ToyProbability = { Value = p; Error = 0.0; Low = p; High = p }

    let law (a: PositiveInt) (b: PositiveInt) =
        let p = ToyProbability.ofCounts (a.Get % 101) 100
        let below = 0.2 + 0.01 * float (b.Get % 80)

        // A denominator without errors scales.
        let scaled = ToyProbability.ratio p (exactly below)
        near 1e-9 (p.Low / below) scaled.Low
        near 1e-9 (p.High / below) scaled.High
        near 1e-9 (p.Error / below) scaled.Error

        let ratio = ToyProbability.ratio p (ToyProbability.ofCounts (10 + b.Get % 91) 100)
        Assert.InRange(ratio.Value, ratio.Low, ratio.High)

    Check.One(Config.QuickThrowOnFailure, law)

    // Many toys: the interval is the standard error to both sides.
    let p, q =
        ToyProbability.ofCounts 30_000 1_000_000, ToyProbability.ofCounts 400_000 1_000_000

    let ratio = ToyProbability.ratio p q
    near (0.03 * ratio.Error) (ratio.Value + ratio.Error) ratio.High
    near (0.03 * ratio.Error) (ratio.Value - ratio.Error) ratio.Low

    // No toy with the signal is as far: the ratio is 0, with an error.
    let none =
        ToyProbability.ratio (ToyProbability.ofCounts 0 500) (ToyProbability.ofCounts 224 500)

    Assert.Equal((0.0, 0.0), (none.Value, none.Low))
    Assert.True(none.Error > 0.0 && none.High < 0.01)

    let unknown = ToyProbability.ratio p (ToyProbability.ofCounts 0 10)
    Assert.Equal(infinity, unknown.High)

// Critical values: the asymptotic ones of every table, and those of 20 and 50 values (Miller, J. Am. Stat. Assoc. 51 (1956) 111).
[<Fact>]
let ``distances have the probabilities of the tables`` () =
    for critical, p in [ 1.2238, 0.10; 1.3581, 0.05; 1.6276, 0.01; 0.8276, 0.5 ] do
        near 1e-4 p (Kolmogorov.survival critical)

    near 1e-9 (Kolmogorov.survival 1.1799999999) (Kolmogorov.survival 1.18)
    Assert.Equal(1.0, Kolmogorov.survival 0.0)

    for n, critical, p in [ 20, 0.29408, 0.05; 20, 0.35241, 0.01; 50, 0.18841, 0.05 ] do
        // Values that are shifted by just that distance.
        let values = Array.init n (fun i -> float (i + 1) / float n - critical)
        let found = Kolmogorov.test id values
        near 1e-9 critical found.Distance
        near 0.0015 p found.PValue

// A normal measurement: t is χ² with one degree of freedom whatever the number of data.
let private measurement: Likelihood =
    likelihood {
        let! mu = poi "mu" unconstrained
        let! shift = nuisance "shift" (normal 0.0 0.6)
        do! gaussian [| 0.4 |] [| 0.8 |] (Expr.concat [ mu + shift ])
    }

let private check (model: Likelihood) (mu: float) (count: int) : WilksCheck =
    let tester = HypothesisTest.prepare options TestStatistic.T None model
    Wilks.check options tester mu count (Key.ofSeed 3)

// A right program fails with a probability of 1e-4 (distance) and 6e-7 (each of two coverages) for a random key.
[<Fact>]
let ``t of a normal measurement is χ²`` () =
    let count = 4000
    let found = check measurement 1.5 count
    Assert.Equal(0, found.Lost)
    Assert.Equal(FitStatus.Converged, found.Status)
    Assert.Equal(count, found.Histogram |> List.sumBy _.Count)
    near 1e-6 (float count) (found.Histogram |> List.sumBy _.Expected)
    Assert.True(found.Kolmogorov.PValue > 1e-4)

    for level, p in found.Coverage do
        near (5.0 * p.Error) level.Probability p.Value

    for q in found.Quantiles do
        Assert.True(q.Low <= q.Found && q.Found <= q.High)
        near 1e-9 q.Probability (ChiSquared.CDF(1.0, q.Expected))
        // Five of their own widths.
        Assert.InRange(q.Expected, q.Low - 4.0 * (q.High - q.Low), q.High + 4.0 * (q.High - q.Low))

    // Toys are made where the nuisance is at its best for that value: 0.36 of the way back.
    near 1e-5 (-0.36 * (1.5 - 0.4)) found.Point[1]
    Assert.Empty found.Notes

[<Fact>]
let ``t of a rare count is not χ², and the notes say that toys are equal`` () =
    let model =
        likelihood {
            let! mu = poi "mu" unconstrained
            do! poisson [| 2 |] (Expr.concat [ mu + 0.1 ])
        }

    let found = check model 1.0 1000
    Assert.True(found.Kolmogorov.PValue < 1e-6)
    Assert.Contains("the same data", List.exactlyOne found.Notes)

    // What t takes for each count has a closed form.
    let t (n: float) : float = 2.0 * ((if n = 0.0 then 0.0 else n * log (n / 1.1)) + 1.1 - n)

    let known = [ 0.0 .. 20.0 ] |> List.map t

    for value in found.Toys do
        Assert.Contains(known, fun k -> abs (k - value) < 1e-6)

[<Fact>]
let ``Wilks's theorem is asked of t alone`` () =
    let tester = HypothesisTest.prepare options TestStatistic.QTilde None measurement

    let refused =
        Assert.Throws<FunLikException>(fun () ->
            Wilks.check options tester 1.0 100 (Key.ofSeed 1) |> ignore)

    Assert.Equal(ErrorKind.Usage, refused.Errors.Head.Kind)
