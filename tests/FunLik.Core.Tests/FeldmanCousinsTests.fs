module FunLik.Tests.FeldmanCousinsTests

open System
open MathNet.Numerics.Distributions
open Xunit
open FunLik

let private options = RunOptions.AllCores

let private near (tolerance: float) (expected: float) (found: float) : unit =
    Assert.True(abs (found - expected) <= tolerance, $"{found}, not {expected} within {tolerance}")

/// Counts with a known background, without any random number: how often counts have a likelihood ratio as small as that of n or smaller,
/// added up count by count (Feldman and Cousins, section IV A).
let private probability (background: float) (n: int) (mu: float) : float =
    let mean = mu + background

    let ratio (k: int) : float =
        let best = max background (float k)
        (if k = 0 then 0.0 else float k * log (mean / best)) + best - mean

    let observed = ratio n

    Seq.init 50 id
    |> Seq.filter (fun k -> ratio k <= observed + 1e-12)
    |> Seq.sumBy (fun k -> Poisson.PMF(mean, k))

/// The ends of the set of values that are not excluded, to 0.002.
let private enumerated (background: float) (level: float) (n: int) : struct (float * float) =
    let isIn (mu: float) : bool = probability background n mu > 1.0 - level
    let first = Seq.initInfinite (fun k -> 0.002 * float k) |> Seq.find isIn

    let last =
        Seq.initInfinite (fun k -> float n + 6.0 - 0.002 * float k) |> Seq.find isIn

    struct (first, last)

/// Table IV of Feldman and Cousins: 90 %, a background of 3.
let private published =
    [
        0, 0.0, 1.08
        1, 0.0, 1.88
        2, 0.0, 3.04
        3, 0.0, 4.42
        4, 0.0, 5.60
        5, 0.0, 6.99
        6, 0.15, 8.47
        7, 0.89, 9.53
        8, 1.51, 10.99
        9, 1.88, 12.30
        10, 2.63, 13.50
    ]

// The authors lengthen intervals so that upper ends do not grow with the background.
[<Fact>]
let ``counting everything up gives the published table`` () =
    for n, low, high in published do
        let struct (first, last) = enumerated 3.0 0.9 n

        let lengthened =
            if n > 0 then
                last
            else
                Seq.init 8 (fun k -> 3.4 + 0.02 * float k)
                |> Seq.map (fun b -> let struct (_, upper) = enumerated b 0.9 n in upper)
                |> Seq.max

        near 0.011 low first
        near 0.011 high lengthened

let private counting (n: int) : Likelihood =
    likelihood {
        let! mu = poi "mu" unconstrained
        do! poisson [| float n |] (Expr.concat [ mu + 3.0 ])
    }

let private find (options': FeldmanCousinsOptions) (statistic: TestStatistic) (model: Likelihood) =
    let tester = HypothesisTest.prepare options statistic None model
    FeldmanCousins.find options options' tester (Key.ofSeed 1)

let private at (toys: int) : FeldmanCousinsOptions =
    { FeldmanCousinsOptions.Default with Toys = toys; Count = 13 }

/// The probability of an end by enumeration is 1 − level within the toys' errors on both sides of it.
let private isEnd (toys: int) (n: int) (e: FeldmanCousinsEnd) : unit =
    let sigma = sqrt (0.09 / float toys)

    let around =
        [ e.Low - 0.01; e.Value; e.High + 0.01 ] |> List.map (probability 3.0 n)

    Assert.True(List.min around <= 0.1 + 4.0 * sigma && List.max around >= 0.1 - 4.0 * sigma)

// Each of eleven comparisons fails with a probability of 6e-5 for a random key.
[<Fact>]
let ``toys of counts end where counting everything up does`` () =
    let toys = 2000

    for n in [ 0; 2; 4; 7; 10 ] do
        let found = find (at toys) TestStatistic.TTilde (counting n)
        Assert.Equal((FitStatus.Converged, 0), (found.Status, found.Lost))
        let piece = Assert.Single found.Pieces
        let struct (low, high) = enumerated 3.0 0.9 n

        if low = 0.0 then
            Assert.Equal((0.0, IntervalEndKind.Bound), (piece.Low.Value, piece.Low.Kind))
        else
            Assert.Equal(IntervalEndKind.Crossing, piece.Low.Kind)
            isEnd toys n piece.Low

        isEnd toys n piece.High
        Assert.InRange(high, piece.High.Low - 0.25, piece.High.High + 0.25)

        // Every value that was tested has the enumerated probability.
        for p in found.Points do
            let expected = probability 3.0 n p.X

            let sigma =
                sqrt (max (0.2 / float p.Toys) (expected * (1.0 - expected)) / float p.Toys)

            near (5.5 * sigma + 1e-9) expected p.P.Value

/// A normal measurement of width 1 of what is not negative: the acceptance region of μ begins and ends at one likelihood ratio.
let private bounded (x: float) (mu: float) : float =
    let ratio (y: float) : float =
        let best = max 0.0 y
        (y - best) * (y - best) - (y - mu) * (y - mu)

    let observed = ratio x
    // The ratio falls on both sides of μ; below 0 it is linear: −μ² + 2 μ y.
    let high = mu + sqrt -observed

    let low =
        if observed >= -mu * mu then
            mu - sqrt -observed
        else
            (observed + mu * mu) / (2.0 * mu)

    Normal.CDF(0.0, 1.0, low - mu) + Normal.CDF(0.0, 1.0, mu - high)

let private ends (x: float) : struct (float * float) =
    let inside = [| 0.001..0.001..8.0 |] |> Array.filter (fun mu -> bounded x mu > 0.1)
    struct (Array.min inside, Array.max inside)

// Table X of Feldman and Cousins, 90 %.
[<Theory>]
[<InlineData(-1.0, 0.0, 0.81)>]
[<InlineData(0.0, 0.0, 1.64)>]
[<InlineData(1.0, 0.0, 2.64)>]
[<InlineData(3.0, 1.37, 4.64)>]
let ``a normal measurement of what is not negative has the published intervals`` (x, low, high) =
    let struct (first, last) = ends x
    near 0.011 low first
    near 0.011 high last

    let model =
        likelihood {
            let! mu = poi "mu" unconstrained
            do! gaussian [| x |] [| 1.0 |] (Expr.concat [ mu ])
        }

    let found = find (at 2000) TestStatistic.TTilde model
    let piece = Assert.Single found.Pieces
    // Four of its own errors and a tenth: the slope of the probability is not that of a line.
    let isNear (expected: float) (e: FeldmanCousinsEnd) : unit =
        let width = max 0.02 (e.High - e.Low)
        Assert.InRange(expected, e.Low - 2.0 * width, e.High + 2.0 * width)

    if low = 0.0 then
        Assert.Equal(IntervalEndKind.Bound, piece.Low.Kind)
    else
        isNear first piece.Low

    isNear last piece.High

[<Fact>]
let ``without a bound and with nuisances the ends are those of χ² for a normal measurement`` () =
    let model =
        likelihood {
            let! mu = poi "mu" unconstrained
            let! shift = nuisance "shift" (normal 0.0 0.6)
            do! gaussian [| 0.4 |] [| 0.8 |] (Expr.concat [ mu + shift ])
        }

    Assert.Equal(TestStatistic.T, FeldmanCousins.statisticOf None model)
    let found = find { at 2000 with Level = 0.6827 } TestStatistic.T model
    let piece = Assert.Single found.Pieces

    for expected, e in [ -0.6, piece.Low; 1.4, piece.High ] do
        let width = max 0.02 (e.High - e.Low)
        Assert.InRange(expected, e.Low - 2.0 * width, e.High + 2.0 * width)

    Assert.Contains("profiled plug-in", found.Notes.Head)

    // The critical value is that of χ² within five of the errors of 2,000 toys.
    for p in found.Points |> List.filter (fun p -> p.Toys = 2000) do
        near 0.2 1.0 p.Critical

    // The same bits for any number of threads; other toys for another key; a range is kept to.
    let tester = HypothesisTest.prepare options TestStatistic.T None model
    let few = { at 200 with Range = Some(0.0, 5.0); Level = 0.6827 }
    let one = FeldmanCousins.find RunOptions.Single few tester (Key.ofSeed 1)
    let all = FeldmanCousins.find options few tester (Key.ofSeed 1)
    Assert.Equal(one, all)
    Assert.Equal(IntervalEndKind.Open, one.Pieces.Head.Low.Kind)
    Assert.Equal(0.0, one.Pieces.Head.Low.Value)
    Assert.NotEqual(one, FeldmanCousins.find options few tester (Key.ofSeed 2))

[<Fact>]
let ``what cannot be asked is refused, all at once`` () =
    let refused (options': FeldmanCousinsOptions) (statistic: TestStatistic) : ErrorKind list =
        Assert
            .Throws<FunLikException>(fun () -> find options' statistic (counting 4) |> ignore)
            .Errors
        |> List.map _.Kind

    Assert.Equal<ErrorKind list>(
        [
            ErrorKind.Value
            ErrorKind.Value
            ErrorKind.Value
            ErrorKind.Value
            ErrorKind.Usage
        ],
        refused { Level = 1.5; Toys = 1; Count = 1; Range = Some(2.0, 1.0) } TestStatistic.QTilde
    )

    Assert.Equal<ErrorKind list>(
        [ ErrorKind.Value ],
        refused { at 100 with Range = Some(-2.0, -1.0) } TestStatistic.TTilde
    )

/// A model with other parameters.
let private changed (change: ModelParameter -> ModelParameter) (model: Likelihood) : Likelihood =
    { model with
        Blocks =
            model.Blocks
            |> List.map (fun b -> { b with Parameters = Array.map change b.Parameters })
    }

[<Fact>]
let ``values without a density are outside, and no fit that failed`` () =
    let model =
        likelihood {
            let! mu = poi "mu" unconstrained
            do! poisson [| 2.0 |] (Expr.concat [ mu ])
        }
        |> changed (fun p -> { p with Nominal = 1.0 })

    for statistic in [ TestStatistic.T; TestStatistic.TTilde ] do
        let found = find { at 200 with Range = Some(-1.0, 9.0) } statistic model
        Assert.Equal(FitStatus.Converged, found.Status)
        let piece = Assert.Single found.Pieces
        // Published for no background: 0.53 to 5.91.
        Assert.InRange(piece.Low.Value, 0.3, 0.8)
        Assert.InRange(piece.High.Value, 5.0, 7.0)

[<Fact>]
let ``a range beyond the bounds is refused, and one that the interval is not in is told`` () =
    let model = counting 4 |> changed (fun p -> { p with Bounds = struct (0.0, 20.0) })

    let within = { at 100 with Range = Some(12.0, 18.0) }
    let found = find within TestStatistic.TTilde model
    Assert.Empty found.Pieces
    Assert.Contains(found.Notes, (fun note -> note.Contains "none of the values from 12 to 18"))

    Assert.Throws<FunLikException>(fun () ->
        find { at 100 with Range = Some(30.0, 40.0) } TestStatistic.TTilde model
        |> ignore)
    |> ignore
