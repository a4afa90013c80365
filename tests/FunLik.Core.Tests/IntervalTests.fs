module FunLik.Tests.IntervalTests

open System
open FsCheck
open FsCheck.FSharp
open MathNet.Numerics.Distributions
open Xunit
open FunLik

let private near (tolerance: float) (expected: float) (found: float) : unit =
    Assert.True(abs (found - expected) <= tolerance, $"{found}, not {expected} within {tolerance}")

/// A normal measurement with a nuisance that is measured too: of width σ in all.
let private measurement (found: float) (sigma: float) : Likelihood =
    likelihood {
        let! mu = poi "mu" unconstrained
        let! shift = nuisance "shift" (normal 0.0 (0.6 * sigma))
        do! gaussian [| found |] [| 0.8 * sigma |] (Expr.concat [ mu + shift ])
    }

let private at (levels: ConfidenceLevel list) : IntervalOptions =
    { IntervalOptions.Default with Levels = levels; Count = 11 }

[<Fact>]
let ``a normal measurement has the closed form's intervals and errors`` () =
    let law (NormalFloat a) (NormalFloat b) =
        let sigma = exp (Math.Clamp(a, -3.0, 3.0))
        let mean = 2.0 * Math.Clamp(b, -2.0, 2.0)
        let p = Math.Clamp(0.5 + 0.2 * a, 0.1, 0.99)

        let options = at (ConfidenceLevel.usual 1 @ [ ConfidenceLevel.ofProbability 1 p ])

        let found = Interval.findWith options "mu" (measurement mean sigma)
        Assert.Equal(FitStatus.Converged, found.Status)

        let z = Normal.InvCDF(0.0, 1.0, 0.5 + 0.5 * p)

        for interval, width in List.zip found.Intervals [ 1.0; sqrt 3.84; z ] do
            let piece = Assert.Single interval.Pieces
            near (1e-7 * sigma) (mean - width * sigma) piece.Low.Value
            near (1e-7 * sigma) (mean + width * sigma) piece.High.Value
            Assert.True(piece.Low.Kind.IsCrossing && piece.High.Kind.IsCrossing)
            // The nuisance has its share of the way.
            near (1e-5 * sigma) (-0.36 * width * sigma) piece.High.Point[1]

        match Interval.errors found with
        | Some minus, Some plus ->
            near (1e-6 * sigma) -sigma minus
            near (1e-6 * sigma) sigma plus
        | _ -> Assert.Fail "no errors"

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 8, law)

[<Fact>]
let ``two minima give two pieces, and one where the level is above the barrier`` () =
    // t = (a² − 4)²/4.
    let model =
        likelihood {
            let! a = poi "a" (flat -5.0 5.0)
            do! gaussian [| 0.0 |] [| 1.0 |] (Expr.concat [ 0.5 * (a * a - 4.0) ])
        }

    let levels = [ 1.0; 3.84; 4.5 ] |> List.map (ConfidenceLevel.ofTwiceDeltaNll 1)
    let found = Interval.findWith (at levels) "a" model

    let ends (interval: Interval) : float list =
        interval.Pieces |> List.collect (fun p -> [ p.Low.Value; p.High.Value ])

    let isNear (expected: float list) (values: float list) : unit =
        Assert.Equal(expected.Length, values.Length)
        List.iter2 (near 1e-6) expected values

    let outer (t: float) : float = sqrt (4.0 + 2.0 * sqrt t)
    let inner (t: float) : float = sqrt (4.0 - 2.0 * sqrt t)

    for k in 0..1 do
        let t = levels[k].TwiceDeltaNll
        isNear [ -(outer t); -(inner t); inner t; outer t ] (ends found.Intervals[k])

    isNear [ -(outer 4.5); outer 4.5 ] (ends found.Intervals[2])

[<Fact>]
let ``pieces end at bounds, and say where they go on`` () =
    let model =
        likelihood {
            let! mu = poi "mu" (flat 0.0 6.0)
            let! shift = nuisance "shift" (normal 0.0 0.6)
            do! gaussian [| 0.3 |] [| 0.8 |] (Expr.concat [ mu + shift ])
        }

    let found = Interval.find "mu" model
    let piece = Assert.Single found.Intervals[0].Pieces
    Assert.Equal(IntervalEndKind.Bound, piece.Low.Kind)
    Assert.Equal(0.0, piece.Low.Value)
    Assert.Equal(IntervalEndKind.Crossing, piece.High.Kind)
    near 1e-7 1.3 piece.High.Value
    let minus, plus = Interval.errors found
    Assert.True minus.IsNone
    near 1e-6 1.0 plus.Value

    let narrow = { IntervalOptions.Default with Range = Some(0.1, 0.8) }
    let inside = Interval.findWith narrow "mu" model
    let piece = Assert.Single inside.Intervals[0].Pieces
    Assert.Equal((0.1, 0.8), (piece.Low.Value, piece.High.Value))
    Assert.True(piece.Low.Kind.IsOpen && piece.High.Kind.IsOpen)

[<SharedFact("data/lhc-toy.json")>]
let ``the search's intervals of μ lie between the published values of t`` () =
    let model =
        Support.sharedFile "data/lhc-toy.json"
        |> Json.parseFile
        |> Result.bind SearchData.ofJson
        |> Error.orRaise
        |> Search.likelihood

    let found = Interval.find "mu" model
    Assert.Equal(FitStatus.Converged, found.Status)
    let high (k: int) = (List.last found.Intervals[k].Pieces).High
    // t is 0.640910 at 0.3 and 1.133108 at 0.4, 3.531125 at 0.7 and 4.648649 at 0.8.
    Assert.InRange((high 0).Value, 0.3, 0.4)
    Assert.InRange((high 1).Value, 0.7, 0.8)

    // A scan, which shares nothing with the root finding, has the levels there.
    let scan = model |> Profile.scan "mu" [ (high 0).Value; (high 1).Value ]
    near 1e-6 1.0 scan.TwiceDeltaNll[0]
    near 1e-6 3.84 scan.TwiceDeltaNll[1]

[<Fact>]
let ``crossings of a surrogate are found again with the exact density`` () =
    let fitter (mean: float) (sigma: float) : Fitter =
        measurement mean sigma |> Objective.ofLikelihood |> Fitter.ofObjective

    let law (NormalFloat a) (NormalFloat b) =
        let mean, sigma =
            0.3 * Math.Clamp(a, -3.0, 3.0), exp (0.3 * Math.Clamp(b, -3.0, 3.0))

        let found =
            fitter 0.0 1.0 |> Interval.findFitter (at (ConfidenceLevel.usual 1)) "mu"

        let again = Recheck.crossings FitOptions.Default (fitter mean sigma) found
        Assert.Equal(FitStatus.Converged, again.Status)
        Assert.InRange(again.ExactCalls, 8, 4000)
        let widths = [ -1.0; 1.0; -(sqrt 3.84); sqrt 3.84 ]
        Assert.Equal(4, again.Crossings.Length)

        for crossing, width in List.zip again.Crossings widths do
            near 1e-6 width crossing.Before
            near 1e-6 (mean + width * sigma) crossing.Exact
            near 2e-6 (mean + width * (sigma - 1.0)) crossing.Shift

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 5, law)

[<Fact>]
let ``a piece and a gap between two values of the scan are found where its shape shows them`` () =
    // Wells of width 0.02 at 0 and 1.37, the second 0.4 higher; a barrier of the same width stands in the first.
    let model (second: float) : Fitter =
        let a =
            { ModelParameter.create "a" ParameterKind.Poi 0.0 with
                Range = struct (-4.0, 4.0)
            }

        let bump (centre: float) (x: float) : float =
            let u = (x - centre) / 0.05
            1.0 / (1.0 + u * u)

        // t falls to 0.2 in the second well, and rises to 2.2 at the barrier at -0.618.
        let value (x: float[]) : float =
            let far = x[0] * x[0] / (0.3 + x[0] * x[0])
            -0.5 * (2.6 * far - 2.2 * bump second x[0] + 1.9 * bump -0.318 x[0])

        Objective.ofFunction [| a |] value None |> Fitter.ofObjective

    let options =
        { at [ ConfidenceLevel.ofTwiceDeltaNll 1 1.0 ] with
            Range = Some(-4.0, 4.0)
            Count = 33
        }

    for second in [ 1.29; 1.37; 1.6 ] do
        let found = model second |> Interval.findFitter options "a"
        Assert.InRange(found.Resolution, 0.05, 0.25)
        let pieces = found.Intervals.Head.Pieces

        Assert.True(
            pieces
            |> List.exists (fun p -> p.Low.Value < second + 0.01 && p.High.Value > second - 0.01),
            $"no piece at {second}"
        )

        let around (x: float) : bool =
            pieces |> List.exists (fun p -> p.Low.Value < x && x < p.High.Value)

        Assert.False(around -0.318)
        Assert.True(around 0.0)

[<Fact>]
let ``each piece's crossings are found again, and an end without a density is a bound`` () =
    // t = ((a − 1)² − 4)²/4, below a = 2.5 alone.
    let wells (centre: float) : Fitter =
        let a =
            { ModelParameter.create "a" ParameterKind.Poi centre with
                Range = struct (-5.0, 5.0)
            }

        let value (x: float[]) : float =
            let square = (x[0] - centre) * (x[0] - centre)

            if x[0] > 2.5 then
                -infinity
            else
                -0.125 * (square - 4.0) * (square - 4.0)

        let gradient (x: float[]) : float[] =
            let u = x[0] - centre
            [| -0.5 * (u * u - 4.0) * u |]

        Objective.ofFunction [| a |] value (Some gradient) |> Fitter.ofObjective

    let found =
        wells 1.0
        |> Interval.findFitter (at [ ConfidenceLevel.ofTwiceDeltaNll 1 1.0 ]) "a"

    let ends = found.Intervals.Head.Pieces |> List.collect (fun p -> [ p.Low; p.High ])

    let expected = [ 1.0 - sqrt 6.0; 1.0 - sqrt 2.0; 1.0 + sqrt 2.0; 2.5 ]
    Assert.Equal(4, ends.Length)
    List.iter2 (fun x (e: IntervalEnd) -> near 1e-5 x e.Value) expected ends
    Assert.Equal(IntervalEndKind.Bound, ends[3].Kind)

    let again = Recheck.crossings FitOptions.Default (wells 0.9) found
    Assert.Equal(3, again.Crossings.Length)

    for crossing, x in Seq.zip again.Crossings expected do
        near 1e-5 (x - 0.1) crossing.Exact

[<Fact>]
let ``a level that is given twice gives one interval`` () =
    let level = ConfidenceLevel.ofProbability 1 0.9
    let found = Interval.findWith (at [ level; level ]) "mu" (measurement 0.3 1.0)
    Assert.Single((Assert.Single found.Intervals).Pieces) |> ignore

[<Fact>]
let ``levels and labels tell the truth`` () =
    near 1e-9 1.0 (ConfidenceLevel.ofProbability 1 0.6826894921370859).TwiceDeltaNll
    near 1e-4 0.6827 (ConfidenceLevel.ofTwiceDeltaNll 1 1.0).Probability
    // Two parameters: 1 − exp(−t/2).
    near 1e-12 (1.0 - exp -1.15) (ConfidenceLevel.ofTwiceDeltaNll 2 2.30).Probability
    near 1e-9 (-2.0 * log 0.05) (ConfidenceLevel.ofProbability 2 0.95).TwiceDeltaNll

    Assert.Equal(
        "68.34 % (twice ΔNLL 2.3, 2 parameters)",
        ConfidenceLevel.label (ConfidenceLevel.ofTwiceDeltaNll 2 2.30)
    )

    let refused (make: unit -> ConfidenceLevel) =
        Assert.Throws<FunLikException>(fun () -> make () |> ignore) |> ignore

    for bad in [ 0.0; 1.0; nan ] do
        refused (fun () -> ConfidenceLevel.ofProbability 1 bad)

    for bad in [ 0.0; -1.0; infinity; nan ] do
        refused (fun () -> ConfidenceLevel.ofTwiceDeltaNll 1 bad)

[<Fact>]
let ``brackets close in on roots, of jumps too`` () =
    let law (NormalFloat a) =
        let root = Math.Clamp(a, -8.0, 8.0)

        let functions =
            [|
                fun x -> exp x - exp root
                fun x -> (root - x) ** 3.0
                fun x -> if x <= root then -1.0 else infinity
            |]

        let found =
            functions
            |> Array.map (fun f -> Bracket.create -9.0 (f -9.0) 9.0 (f 9.0))
            |> Bracket.narrow
                (fun _ -> 1e-9)
                200
                (Array.map (fun (k, x) ->
                    Assert.InRange(x, -9.0, 9.0)
                    functions[k] x))

        for b in found do
            near 1e-9 root (Bracket.root b)

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 20, law)

[<Fact>]
let ``a crossing that the exact density has not is told by the status`` () =
    let wells (depth: float) : Fitter =
        let a =
            { ModelParameter.create "a" ParameterKind.Poi 1.0 with
                Range = struct (-1.0, 3.0)
                Bounds = struct (-1.0, 3.0)
            }

        let value (x: float[]) : float = -0.5 * depth * (x[0] - 1.0) * (x[0] - 1.0)
        Objective.ofFunction [| a |] value None |> Fitter.ofObjective

    let found =
        wells 1.0
        |> Interval.findFitter (at [ ConfidenceLevel.ofTwiceDeltaNll 1 1.0 ]) "a"

    // So flat that the level lies beyond the bounds.
    let again = Recheck.crossings FitOptions.Default (wells 0.1) found
    Assert.All(again.Crossings, fun c -> Assert.True(Double.IsNaN c.Exact))
    Assert.Equal(FitStatus.MaxIterations, again.Status)
