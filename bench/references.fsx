// Fits, profiles, scans and tests beside values of others: what is asked, what is measured, on every number of the reference files.
//
//     dotnet fsi build.fsx references
//
// Files: ../shared/data/top19001-like (own Python code, trust-region Newton) and ../shared/reference (pyhf). Where they are absent
// this says so and ends. A line that begins with `-` misses what is asked; the run then ends with exit code 1.

#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"
#r "../src/FunLik.Core/bin/Release/net10.0/MathNet.Numerics.dll"

open System
open System.Diagnostics
open System.IO
open MathNet.Numerics.Distributions
open FunLik

let shared (path: string) : string =
    Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "../../shared", path))

if not (File.Exists(shared "data/top19001-like/reference.json")) then
    printfn "../shared/data/top19001-like is not here: nothing to compare with"
    exit 0

let mutable misses = 0

/// One line: what, the largest difference that was asked for, the one measured.
let row (what: string) (asked: float) (measured: float) (remark: string) : unit =
    let isGood = measured <= asked

    if not isGood then
        misses <- misses + 1

    printfn "%s %-66s %9.1e %9.1e  %s" (if isGood then " " else "-") what asked measured remark

let timed (run: unit -> 'T) : 'T * float =
    let clock = Stopwatch.StartNew()
    let result = run ()
    result, clock.Elapsed.TotalSeconds

let field name read json : 'T = json |> Json.field name read |> Error.orRaise

let has name json : bool = Json.optional name json |> Error.orRaise |> Option.isSome

let most (values: float seq) : float = Seq.fold max 0.0 values
let apart (a: float seq) (b: float seq) : float = Seq.map2 (fun x y -> abs (x - y)) a b |> most

// ---- The likelihood in 16 coefficients

let top (isUnbounded: bool) : Fitter =
    ModelFile.load
        (shared "data/top19001-like/workspace.json")
        { ModelOptions.None with
            Scalings = Some(shared "data/top19001-like/scalings.json")
            UnboundedNuisances = isUnbounded
        }
    |> Error.orRaise
    |> Objective.ofLikelihood
    |> Fitter.ofObjective

let reference =
    Json.parseFile (shared "data/top19001-like/reference.json") |> Error.orRaise

let bounded, unbounded = top false, top true
let names = unbounded.Objective.Parameters |> Array.map _.Name

let coefficients =
    unbounded.Objective.Parameters |> Array.filter _.Kind.IsPoi |> Array.map _.Name

let k = coefficients.Length
let placeOf (name: string) : int = Array.IndexOf(names, name)

let slopeAt (fitter: Fitter) (point: float[]) : float[] =
    let struct (_, g) = fitter.Objective.ValuesAndGradients(point, RunOptions.Single)
    g |> Array.map (fun v -> -2.0 * v)

printfn "%-68s %9s %9s" "" "asked" "measured"
printfn ""
printfn "profiled points: 16 coefficients held, 105 nuisances profiled"

let points = reference |> field "profiled_points" Json.items

let held (c: float[]) : FitOptions =
    { FitOptions.Default with Fixed = Array.zip coefficients c |> List.ofArray }

/// Whether the bounds that a fit rests at are those of the reference, or none.
let sameBounds (fit: Fit) (isBounded: bool) (source: Json) : bool =
    let active =
        if isBounded then
            source |> field "active" (Json.list Json.text)
        else
            []

    Set.ofList active = Set.ofList (fit.ActiveBounds |> List.map _.Parameter)

for isUnbounded, label in [ true, "bounds lifted"; false, "bounds of ±5" ] do
    let fitter = if isUnbounded then unbounded else bounded

    let compared =
        [
            for p in points do
                let isInside = p |> field "inside_pyhf_bounds" Json.bool
                let source = if isUnbounded || isInside then p else field "bounded" Ok p
                let fit = Fitter.fit (held (p |> field "c" Json.numbers)) fitter
                let slope = slopeAt fitter fit.Point

                fit.Status.IsConverged,
                abs (fit.TwiceNll - (source |> field "twice_nll" Json.float)),
                sameBounds fit (not isUnbounded && not isInside) source,
                apart slope[.. k - 1] (source |> field "gradient_c" Json.numbers)
        ]

    let number (isBad: bool * float * bool * float -> bool) : float =
        compared |> List.filter isBad |> List.length |> float

    row
        $"{points.Length} minima, {label}: twice_nll"
        1e-7
        (most [ for _, v, _, _ in compared -> v ])
        ""

    row "   gradients by the envelope theorem" 1e-6 (most [ for _, _, _, g in compared -> g ]) ""
    row "   other bounds active" 0.0 (number (fun (_, _, same, _) -> not same)) ""
    row "   fits that did not converge" 0.0 (number (fun (good, _, _, _) -> not good)) ""

let hessians =
    [
        for p in points do
            if has "hessian_c" p then
                let expected = p |> field "hessian_c" (Json.list Json.numbers) |> Array.concat

                let options = held (p |> field "c" Json.numbers)
                let fit = Fitter.fit options unbounded

                match ProfiledHessian.ofFit options (List.ofArray coefficients) unbounded fit with
                | Some found -> apart expected found / most (expected |> Seq.map abs)
                | None -> infinity
    ]

row
    $"Hessians of the profile at {hessians.Length} points, of the largest element"
    1e-6
    (most hessians)
    ""

// ---- Its global minimum

printfn ""
printfn "the global minimum over 121 parameters"
let globe = reference |> field "global_minimum" Ok
Fitter.fit FitOptions.Default unbounded |> ignore
let best, seconds = timed (fun () -> Fitter.fit FitOptions.Default unbounded)
let starts = best.Minima |> List.sumBy _.Starts

let known =
    globe
    |> field "local_minima" Json.items
    |> List.map (field "twice_nll" Json.float)

row
    "lowest value above the reference's"
    1e-7
    (max 0.0 (best.TwiceNll - (globe |> field "twice_nll" Json.float)))
    $"{starts} starts, {best.Evaluations} evaluations, %.2f{seconds} s"

let missing =
    known
    |> List.filter (fun value ->
        best.Minima |> List.forall (fun m -> abs (m.TwiceNll - value) > 1e-7))

row
    $"of its {known.Length} minima, not listed"
    0.0
    (float missing.Length)
    (best.Minima
     |> List.map (fun m -> string m.Starts)
     |> String.concat ", "
     |> sprintf "hits %s")

// ---- Scans

let levels = [ 1.0; 4.0 ]

printfn ""
printfn "frozen scans: the other coefficients 0, nuisances profiled"

for name, json in reference |> field "frozen_scans" Json.entries do
    let index = placeOf name
    let x = json |> field "x" Json.numbers
    let options = { ScanOptions.Default with Frozen = true }
    let scan, seconds = timed (fun () -> Profile.scanFitter options name x unbounded)
    let expected = json |> field "twice_nll" Json.numbers

    row
        $"{name}: {x.Length} values"
        1e-7
        (scan.Fits |> Seq.map _.TwiceNll |> apart expected)
        $"{scan.Evaluations} evaluations, %.2f{seconds} s"

    let bent = Profile.scanFitter options name x bounded

    row
        "   values with bounds of ±5"
        1e-7
        (bent.Fits
         |> Seq.map _.TwiceNll
         |> apart (json |> field "twice_nll_bounded" Json.numbers))
        ""

    row
        "   derivatives"
        1e-6
        (scan.Points
         |> Seq.map (fun point -> (slopeAt unbounded point)[index])
         |> apart (json |> field "derivative" Json.numbers))
        ""

    let half =
        let struct (low, high) = unbounded.Objective.Parameters[index].Range
        0.5 * (high - low)

    let local = json |> field "local_minima" Json.items

    let nearest (m: Json) : float =
        let at, value = field "x" Json.float m, field "twice_nll" Json.float m

        scan.Minimum.Minima
        |> Seq.map (fun f -> max (abs (f.TwiceNll - value)) (abs (f.Point[index] - at) / half))
        |> Seq.min

    row
        $"   {local.Length} local minima, value and place in half ranges"
        1e-6
        (most (Seq.map nearest local))
        ""

    let others =
        coefficients
        |> Seq.filter ((<>) name)
        |> Seq.map (fun c -> c, 0.0)
        |> List.ofSeq

    let intervals =
        Interval.findFitter
            { IntervalOptions.Default with
                Levels = levels |> List.map (ConfidenceLevel.ofTwiceDeltaNll 1)
                Fit = { FitOptions.Default with Fixed = others }
            }
            name
            unbounded

    for level, interval in List.zip levels intervals.Intervals do
        let wanted = json |> field "crossings" Ok |> field $"{level}" Json.numbers

        let found =
            [|
                for piece in interval.Pieces do
                    piece.Low.Value
                    piece.High.Value
            |]

        row
            $"   {wanted.Length} crossings of {level}, in half ranges"
            1e-6
            (if found.Length = wanted.Length then
                 apart wanted found / half
             else
                 infinity)
            ""

printfn ""
printfn "profiled scans: all else profiled; a lower value is a finding"

for name, json in reference |> field "profiled_scans" Json.entries do
    let x = json |> field "x" Json.numbers

    let scan, seconds =
        timed (fun () -> Profile.scanFitter ScanOptions.Default name x unbounded)

    let above =
        Seq.map2
            (fun (f: Fit) e -> f.TwiceNll - e)
            scan.Fits
            (json |> field "twice_nll" Json.numbers)

    row
        $"{name}: {x.Length} values above the reference's"
        1e-6
        (most above)
        $"%.1e{-(Seq.min above)} below; {scan.Evaluations} evaluations, %.2f{seconds} s"

    row
        "   values that did not converge"
        0.0
        (scan.Status |> Seq.filter (_.IsConverged >> not) |> Seq.length |> float)
        ""

// ---- Tests of hypotheses beside pyhf

let inSigmas (p: float) : float = -Normal.InvCDF(0.0, 1.0, p)

/// How far a CLs is from that of pyhf, in parts of what is allowed: 1 % of it, or 2e-4 above 0.02.
let ofAllowed (expected: float) (found: float) : float =
    abs (found - expected)
    / (if found > 0.02 then
           max (0.01 * expected) 2e-4
       else
           0.01 * expected)

let tests (label: string) (model: Likelihood) (json: Json) : unit =
    let tester =
        HypothesisTest.prepare RunOptions.AllCores TestStatistic.QTilde None model

    let compared =
        [
            for entry in json |> field "hypotest" Json.items do
                let number name = entry |> field name Json.float
                let test = HypothesisTest.test RunOptions.AllCores tester (number "mu")
                let bands = entry |> field "CLsExpected" Json.numbers

                {|
                    Cls =
                        Seq.append
                            [ ofAllowed (number "CLs") test.Observed.Cls ]
                            (Seq.map2 (fun e (f: PValues) -> ofAllowed e f.Cls) bands test.Expected)
                        |> most
                    Sigmas =
                        max
                            (abs (inSigmas (number "CLsb") - inSigmas test.Observed.Clsb))
                            (abs (inSigmas (number "CLb") - inSigmas test.Observed.Clb))
                    IsConverged = test.Status.IsConverged
                |}
        ]

    let lost = compared |> List.filter (fun c -> not c.IsConverged) |> List.length

    row
        $"{label}: {compared.Length} values, CLs, of 1 %% or 2e-4"
        1.0
        (most [ for c in compared -> c.Cls ])
        (if lost = 0 then "" else $"{lost} did not converge")

    row "   CLs+b and CLb, standard deviations" 2e-3 (most [ for c in compared -> c.Sigmas ]) ""

    if has "mle" json then
        let theirs = json |> field "mle" Ok |> field "twiceNll" Json.float

        row
            "   our minimum above pyhf's, twice_nll"
            1e-7
            (max 0.0 (tester.Free.TwiceNll - theirs))
            ""

printfn ""
printfn "tests of hypotheses beside pyhf"

for point in [ "1300_205_60"; "900_250_60" ] do
    let file = shared $"reference/sbottom_RegionA_{point}.json"

    let model =
        ModelFile.load
            (shared "data/sbottom/RegionA_BkgOnly.json")
            { ModelOptions.None with
                Patch = Some(shared $"data/sbottom/patches/sbottom_{point}.json")
            }
        |> Error.orRaise

    Json.parseFile file |> Error.orRaise |> tests $"sbottom {point}" model

let modifiers =
    Json.parseFile (shared "reference/histfactory_modifiers.json") |> Error.orRaise

for name, case in modifiers |> Json.entries |> Error.orRaise do
    for key, codes in [ "code4", []; "code1", [ "normsys", "code1"; "histosys", "code0" ] ] do
        let model =
            Workspace.likelihood None None codes None 0.0 (field "workspace" Ok case)
            |> Error.orRaise

        tests $"{name}, {key}" model (field key Ok case)

if misses > 0 then
    printfn ""
    printfn $"{misses} lines miss what is asked"
    exit 1
