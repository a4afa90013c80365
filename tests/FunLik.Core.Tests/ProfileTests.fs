module FunLik.Tests.ProfileTests

open System
open Xunit
open FunLik

let private near (tolerance: float) (expected: float) (found: float) : unit =
    Assert.True(abs (found - expected) <= tolerance, $"{found}, not {expected} within {tolerance}")

let private search () : Likelihood =
    Support.sharedFile "data/lhc-toy.json"
    |> Json.parseFile
    |> Result.bind SearchData.ofJson
    |> Error.orRaise
    |> Search.likelihood

/// t_μ at 0, 0.1 … 1 (reference/LHC-TOY.md, section 2).
let private exact =
    [|
        0.001231
        0.091892
        0.296092
        0.640910
        1.133108
        1.776516
        2.574746
        3.531125
        4.648649
        5.929277
        7.374103
    |]

[<SharedFact("data/lhc-toy.json")>]
let ``The search's scan of μ is the exact one and never negative`` () =
    let scan = search () |> Profile.scan "mu" [ 0.0..0.1..1.0 ]
    Array.iter2 (near 1e-6) exact scan.TwiceDeltaNll
    Assert.All(scan.TwiceDeltaNll, fun t -> Assert.True(t >= 0.0))
    Assert.All(scan.Status, fun s -> Assert.Equal(FitStatus.Converged, s))
    Assert.Empty scan.Notes

    for k, value in [ 0, -285.77894568; 5, -286.66658806; 10, -289.46538129 ] do
        near 1e-7 value (scan.Minimum.LogDensity - 0.5 * scan.TwiceDeltaNll[k])

    for k in 0..10 do
        Assert.Equal(scan.X[k], scan.Points[k][0])

[<SharedFact("data/lhc-toy.json")>]
let ``Above μ = 0.7 the search has second maxima, and the starts of a fit find the first`` () =
    let objective = search () |> Objective.ofLikelihood
    let fitter = Fitter.ofObjective objective

    let kinks =
        objective.Parameters
        |> Array.map (fun p -> if p.IsKinked then p.Nominal else nan)

    for mu in [ 0.7; 0.8; 0.9; 1.0 ] do
        let options = { FitOptions.Default with Fixed = [ "mu", mu ] }
        let fit = Fitter.fit options fitter
        let problem = Fitter.problem options fitter

        // Steps of length 1 instead of steps of the right lengths: some starts end in the second one.
        let session =
            Minimise.prepare
                MinimiseOptions.Default
                (Preconditioner.Lengths(Array.create objective.Count 1.0))
                objective

        let rows = problem.Starts.Length

        let ends =
            Minimise.run
                MinimiseOptions.Default
                session
                (Array.concat problem.Starts)
                (Array.replicate rows problem.Lower |> Array.concat)
                (Array.replicate rows problem.Upper |> Array.concat)
                RunOptions.AllCores

        let polished =
            Newton.polish
                NewtonOptions.Default
                objective
                fitter.Hessian
                fitter.Lengths
                kinks
                (ends.Points
                 |> Array.chunkBySize objective.Count
                 |> Array.map (fun x -> x, problem.Lower, problem.Upper))
                RunOptions.AllCores

        let second = polished |> Array.maxBy _.Value
        Assert.Equal(FitStatus.Converged, second.Status)
        near 0.002 0.005 (second.Value + fit.LogDensity)
        near 1e-9 fit.LogDensity (-(polished |> Array.minBy _.Value).Value)

/// A normal density with correlations: t is exact.
let private normalModel: Likelihood =
    likelihood {
        let! a = poi "a" (flat -8.0 8.0)
        let! b = poi "b" (normal 1.0 0.5)
        let! nuisance' = nuisance "n" standardNormal
        do! gaussian [| 1.0 |] [| 1.0 |] (a + 0.5 * nuisance' + 0.3 * b)
        do! gaussian [| 2.0 |] [| 2.0 |] b
    }

[<Fact>]
let ``Priors of parameters of interest are left out unless they are flat, and the notes say so``
    ()
    =
    let scan = normalModel |> Profile.scan "a" [ -2.0; 0.4; 3.0; 9.0 ]
    Assert.Equal(1, scan.Notes.Length)
    Assert.Contains("'b'", scan.Notes.Head)

    // b is at 2 ± 2 alone: a + 0.3 b + 0.5 n = 1 has the width √(1 + 0.25 + 0.36).
    for k in 0..2 do
        near 1e-9 ((scan.X[k] - 0.4) * (scan.X[k] - 0.4) / 1.61) scan.TwiceDeltaNll[k]

    // Outside of the flat prior there is no density.
    Assert.Equal(infinity, scan.TwiceDeltaNll[3])
    Assert.Equal(FitStatus.NotFinite, scan.Status[3])

    let frozen =
        normalModel
        |> Profile.scanWith { ScanOptions.Default with Frozen = true } "a" [ -2.0; 1.0; 3.0 ]

    for k in 0..2 do
        near 1e-9 ((frozen.X[k] - 0.7) * (frozen.X[k] - 0.7) / 1.25) frozen.TwiceDeltaNll[k]

    Assert.Equal(1.0, frozen.Minimum.Point[1])

[<Fact>]
let ``Nuisances keep their constraints, and can be scanned too`` () =
    let scan = normalModel |> Profile.scan "n" [ -1.0; 0.5; 2.0 ]
    // a and b are free: nothing but the constraint is left.
    Array.iter2 (near 1e-9) [| 1.0; 0.25; 4.0 |] scan.TwiceDeltaNll

[<Fact>]
let ``A scan finds what the global fit missed, and is relative to that`` () =
    // The nominal start ends in the shallow well at -2; the deep one is at 3.
    let a =
        { ModelParameter.create "a" ParameterKind.Poi -2.0 with
            Range = struct (-5.0, 5.0)
        }

    let value (x: float[]) : float =
        let well (depth: float) (at: float) : float = depth * exp (-2.0 * (x[0] - at) * (x[0] - at))

        well 1.0 -2.0 + well 3.0 3.0 - 0.5 * x[1] * x[1]

    let objective =
        Objective.ofFunction
            [| a; ModelParameter.create "n" ParameterKind.Nuisance 0.0 |]
            value
            None

    let scan =
        objective |> Profile.scanObjective ScanOptions.Default "a" [ -3.0 .. 0.25..3.5 ]

    near 1e-5 3.0 scan.Minimum.Point[0]
    Assert.All(scan.TwiceDeltaNll, fun t -> Assert.True(t >= 0.0))
    near 1e-8 4.0 scan.TwiceDeltaNll[4]
    near 1e-8 0.0 scan.TwiceDeltaNll[24]

[<Fact>]
let ``A scan is continuous where one start alone would jump between minima`` () =
    // For a > 0 the lower well of n is at 2, for a < 0 at -2: the nominal start is on the wrong side of half of them.
    let func (a: Expr) (n: Expr) : Expr = Expr.power 2 (n * n - 4.0) * 0.25 - a * n + 0.1 * a * a

    let block =
        ParameterBlock.ofParameter (ModelParameter.create "a" ParameterKind.Poi 1.0)

    let other =
        ParameterBlock.ofParameter (ModelParameter.create "n" ParameterKind.Nuisance -1.0)

    let leaf = ParameterBlock.leaf

    let model =
        Likelihood.create
            "wells"
            [ block; other ]
            (Density.Opaque(-(func (leaf block) (leaf other)), []))
            Map.empty
            []

    let scan =
        model
        |> Profile.scanWith
            { ScanOptions.Default with Fit = { FitOptions.Default with Starts = Some 1 } }
            "a"
            [ -1.0 .. 0.125..1.0 ]

    Assert.All(scan.TwiceDeltaNll, fun t -> Assert.True(t >= 0.0))

[<Fact>]
let ``Unknown names and values that are no numbers are refused`` () =
    let message (action: unit -> unit) : string = Assert.Throws<FunLikException>(action).Message

    Assert.Contains("'c'", message (fun () -> normalModel |> Profile.scan "c" [ 0.0 ] |> ignore))

    Assert.Contains(
        "value 1",
        message (fun () -> normalModel |> Profile.scan "a" [ 0.0; nan ] |> ignore)
    )

[<Fact>]
let ``A scan of no values has its minimum`` () =
    let scan = normalModel |> Profile.scan "a" []
    Assert.Empty scan.TwiceDeltaNll
    Assert.Equal(FitStatus.Converged, scan.Minimum.Status)

[<Fact>]
let ``A scan has the same bits on 1, 2 and 7 threads`` () =
    let on (threads: int) : int64[] =
        let fit =
            { FitOptions.Default with Run = { RunOptions.Single with Threads = threads } }

        let scan =
            normalModel
            |> Profile.scanWith { ScanOptions.Default with Fit = fit } "a" [ -3.0 .. 0.1..3.0 ]

        scan.TwiceDeltaNll |> Array.map BitConverter.DoubleToInt64Bits

    Assert.Equal<int64[]>(on 1, on 2)
    Assert.Equal<int64[]>(on 1, on 7)

[<SharedFact("data/lhc-toy.json")>]
let ``Profiled points of the search are the exact ones, with gradients by the envelope theorem``
    ()
    =
    let fitter = search () |> Objective.ofLikelihood |> Fitter.ofObjective
    let profiler = fitter |> Profiler.prepare ProfilerOptions.Default [ "mu" ]
    let mus = [| 0.0..0.1..1.0 |]
    let found = Profiler.evaluate profiler mus RunOptions.AllCores
    let best = (Fitter.fit FitOptions.Default fitter).LogDensity
    Array.iter2 (near 1e-6) exact (found.Values |> Array.map (fun y -> 2.0 * (best - y)))
    Assert.All(found.Statuses, fun s -> Assert.Equal(FitStatus.Converged, s))

    let h = 1e-3

    let beside =
        Profiler.evaluate
            profiler
            (mus |> Array.collect (fun mu -> [| mu - h; mu + h |]))
            RunOptions.AllCores

    for k in 0..10 do
        let slope = (beside.Values[2 * k + 1] - beside.Values[2 * k]) / (2.0 * h)
        near 1e-4 slope found.Gradients[k]

    let once =
        fitter
        |> Profiler.prepare { ProfilerOptions.Default with Starts = Some 1 } [ "mu" ]

    // One start alone may end in a second maximum, never in a higher one.
    let fast = Profiler.evaluate once mus RunOptions.AllCores
    Array.iter2 (near 0.006) found.Values fast.Values
    Assert.True(Array.forall2 (fun a b -> b < a + 1e-7) found.Values fast.Values)
    Assert.True(fast.Evaluations < 15 * mus.Length)

[<Fact>]
let ``A profile is an objective like any other`` () =
    let profile =
        normalModel |> Likelihood.withoutPriors |> Profile.objective [ "b"; "a" ]

    Assert.Equal<string[]>([| "b"; "a" |], profile.Parameters |> Array.map _.Name)
    let fit = profile |> Fit.objective FitOptions.Default
    Assert.Equal(FitStatus.Converged, fit.Status)
    near 1e-5 2.0 fit.Point[0]
    near 1e-5 0.4 fit.Point[1]

    let missing () = normalModel |> Profile.objective [ "a"; "c" ] |> ignore

    Assert.Contains("'c'", Assert.Throws<FunLikException>(missing).Message)

[<Fact>]
let ``The minimum of a scan has a covariance if one is asked for, the points have none`` () =
    let fit = { FitOptions.Default with Covariance = true }

    let scan =
        normalModel
        |> Profile.scanWith { ScanOptions.Default with Fit = fit } "n" [ 0.5; 1.0 ]

    Assert.True scan.Minimum.Covariance.IsSome
    let cheap = normalModel |> Profile.scan "n" [ 0.5; 1.0 ]
    Assert.True cheap.Minimum.Covariance.IsNone
    Assert.Equal(cheap.Evaluations, scan.Evaluations)

[<Fact>]
let ``A scan reaches the ends of a flat prior, and a fit may end there`` () =
    let model =
        likelihood {
            let! mu = poi "mu" (flat -1.0 2.0)
            let! b = nuisance "b" standardNormal
            // Without the prior the maximum lies beyond its end, at 3.
            do! gaussian [| 3.0 |] [| 1.0 |] (mu + 0.5 * b)
        }

    let values = [ -1.0; 0.5; 2.0 ]
    let scan = model |> Profile.scan "mu" values
    Assert.All(scan.Status, fun s -> Assert.Equal(FitStatus.Converged, s))
    near 1e-12 2.0 scan.Minimum.Point[0]

    Assert.Equal<ParameterBound list>(
        [ { Parameter = "mu"; Side = BoundSide.Upper; Value = 2.0 } ],
        scan.Minimum.ActiveBounds
    )


    // χ² of μ with the width √(1 + ½²), relative to the end.
    let chi2 (mu: float) : float = (3.0 - mu) * (3.0 - mu) / 1.25
    Seq.iter2 (fun mu t -> near 1e-8 (chi2 mu - chi2 2.0) t) values scan.TwiceDeltaNll
