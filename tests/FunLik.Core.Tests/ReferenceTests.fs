module FunLik.Tests.ReferenceTests

open System
open Xunit
open FunLik

// The essential part of bench/references.fsx, which compares every number.

let private field name read json : 'T = json |> Json.field name read |> Error.orRaise
let private folder = "data/top19001-like"

let private near (tolerance: float) (expected: float) (found: float) : unit =
    Assert.True(abs (found - expected) <= tolerance, $"{found}, not {expected} within {tolerance}")

let private reference: Lazy<Json> =
    lazy (Support.sharedFile $"{folder}/reference.json" |> Json.parseFile |> Error.orRaise)

let private prepared (isUnbounded: bool) : Lazy<Fitter> =
    lazy
        (ModelFile.load
            (Support.sharedFile $"{folder}/workspace.json")
            { ModelOptions.None with
                Scalings = Some(Support.sharedFile $"{folder}/scalings.json")
                UnboundedNuisances = isUnbounded
            }
         |> Error.orRaise
         |> Objective.ofLikelihood
         |> Fitter.ofObjective)

let private bounded, private unbounded = prepared false, prepared true

let private coefficients: Lazy<string[]> =
    lazy
        (unbounded.Value.Objective.Parameters
         |> Array.filter _.Kind.IsPoi
         |> Array.map _.Name)

let private placeOf (name: string) : int =
    unbounded.Value.Objective.Parameters |> Array.findIndex (fun p -> p.Name = name)

let private slopeAt (fitter: Fitter) (point: float[]) : float[] =
    let struct (_, g) = fitter.Objective.ValuesAndGradients(point, RunOptions.Single)
    g |> Array.map (fun v -> -2.0 * v)

let private held (point: Json) : FitOptions =
    let c = point |> field "c" Json.numbers

    { FitOptions.Default with
        Fixed = Array.zip coefficients.Value c |> List.ofArray
    }

[<SharedTheory("data/top19001-like")>]
[<InlineData(true)>]
[<InlineData(false)>]
let ``24 profiles over 105 nuisances are those of the reference, with their gradients and bounds``
    (isUnbounded: bool)
    =
    let fitter = (if isUnbounded then unbounded else bounded).Value
    let points = reference.Value |> field "profiled_points" Json.items
    Assert.Equal(24, points.Length)

    for point in points do
        let isBound = not isUnbounded && not (point |> field "inside_pyhf_bounds" Json.bool)
        let expected = if isBound then point |> field "bounded" Ok else point
        let fit = Fitter.fit (held point) fitter
        Assert.Equal(FitStatus.Converged, fit.Status)
        near 1e-7 (expected |> field "twice_nll" Json.float) fit.TwiceNll

        (slopeAt fitter fit.Point)
        |> Array.truncate coefficients.Value.Length
        |> Array.iter2 (near 1e-6) (expected |> field "gradient_c" Json.numbers)

        let active =
            if isBound then
                expected |> field "active" (Json.list Json.text)
            else
                []

        Assert.Equal<Set<string>>(
            Set.ofList active,
            fit.ActiveBounds |> List.map _.Parameter |> Set.ofList
        )

        for bound in fit.ActiveBounds do
            Assert.Equal((if bound.Side.IsLower then -5.0 else 5.0), bound.Value)

[<SharedFact("data/top19001-like")>]
let ``Hessians of profiles are those of the reference`` () =
    let mutable compared = 0

    for point in reference.Value |> field "profiled_points" Json.items do
        match point |> Json.optional "hessian_c" |> Error.orRaise with
        | None -> ()
        | Some json ->
            let expected = json |> Json.list Json.numbers |> Error.orRaise |> Array.concat
            let options = held point
            let fit = Fitter.fit options unbounded.Value
            let keep = List.ofArray coefficients.Value
            let found = fit |> ProfiledHessian.ofFit options keep unbounded.Value
            let scale = expected |> Seq.map abs |> Seq.max
            Array.iter2 (near (1e-6 * scale)) expected found.Value
            compared <- compared + 1

    Assert.Equal(4, compared)

[<SharedFact("data/top19001-like")>]
let ``A fit finds all seven minima of the reference, and stops looking then`` () =
    let fit = Fitter.fit FitOptions.Default unbounded.Value
    let known = reference.Value |> field "global_minimum" Ok
    let value = field "twice_nll" Json.float
    Assert.True(fit.TwiceNll <= value known + 1e-7)
    let minima = known |> field "local_minima" Json.items
    Assert.Equal(7, minima.Length)
    Assert.Equal(7, fit.Minima.Length)
    Seq.iter2 (fun m (f: LocalMinimum) -> near 1e-7 (value m) f.TwiceNll) minima fit.Minima
    Assert.InRange(fit.Minima |> List.sumBy _.Starts, 100, Starts.most)

[<SharedFact("data/top19001-like")>]
let ``A frozen scan is that of the reference, with slopes, local minima and crossings`` () =
    let name = "cbW"
    let json = reference.Value |> field "frozen_scans" Ok |> field name Ok
    let fitter, index = unbounded.Value, placeOf name
    let options = { ScanOptions.Default with Frozen = true }

    let scan =
        fitter |> Profile.scanFitter options name (json |> field "x" Json.numbers)

    let expected = json |> field "twice_nll" Json.numbers
    let slopes = json |> field "derivative" Json.numbers

    scan.Fits
    |> Array.iteri (fun i fit ->
        near 1e-7 expected[i] fit.TwiceNll
        let slope = slopeAt fitter fit.Point
        near 1e-6 slopes[i] slope[index])

    let struct (low, high) = fitter.Objective.Parameters[index].Range
    let minima = json |> field "local_minima" Json.items
    Assert.Equal(minima.Length, scan.Minimum.Minima.Length)

    for m in minima do
        let at, value = field "x" Json.float m, field "twice_nll" Json.float m
        let nearest = scan.Minimum.Minima |> List.minBy (fun f -> abs (f.Point[index] - at))
        near (1e-6 * (high - low)) at nearest.Point[index]
        near 1e-7 value nearest.TwiceNll

    let others =
        coefficients.Value |> Array.filter ((<>) name) |> Array.map (fun c -> c, 0.0)

    let levels = [ 1.0; 4.0 ] |> List.map (ConfidenceLevel.ofTwiceDeltaNll 1)

    let found =
        fitter
        |> Interval.findFitter
            { IntervalOptions.Default with
                Levels = levels
                Fit = { FitOptions.Default with Fixed = List.ofArray others }
            }
            name

    for interval in found.Intervals do
        let ends = [| for p in interval.Pieces -> [| p.Low.Value; p.High.Value |] |]

        Array.iter2
            (near (1e-6 * (high - low)))
            (json
             |> field "crossings" Ok
             |> field $"{interval.Level.TwiceDeltaNll}" Json.numbers)
            (Array.concat ends)

[<SharedFact("data/top19001-like")>]
let ``A scan with all else profiled is nowhere above the reference`` () =
    let json = reference.Value |> field "profiled_scans" Ok |> field "cbW" Ok
    let x = json |> field "x" Json.numbers
    let scan = unbounded.Value |> Profile.scanFitter ScanOptions.Default "cbW" x

    Seq.iter2
        (fun (fit: Fit) value ->
            Assert.Equal(FitStatus.Converged, fit.Status)
            Assert.True(fit.TwiceNll <= value + 1e-6, $"{fit.TwiceNll}, above {value}"))
        scan.Fits
        (json |> field "twice_nll" Json.numbers)
