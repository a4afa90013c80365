// How fast hypothesis tests are on this machine: CLs of a published ATLAS search, observed and expected, beside pyhf; limits; toys of two
// bins; goodness of fit; an interval of Feldman and Cousins. One thread; medians within one run.
//
//     dotnet fsi build.fsx bench
//
// The search is that of ../shared where it is there, else the shipped example.

#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"

open System
open System.Diagnostics
open System.IO
open FunLik

let options = RunOptions.Single
let at (path: string) : string = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, path))

/// Milliseconds of one run.
let once (run: unit -> 'T) : 'T * float =
    let start = Stopwatch.GetTimestamp()
    let result = run ()
    result, Stopwatch.GetElapsedTime(start).TotalMilliseconds

/// Milliseconds: the median of repeats.
let median (repeats: int) (run: unit -> unit) : float =
    let times = Array.init repeats (fun _ -> once run |> snd) |> Array.sort
    times[repeats / 2]

let row (what: string) (time: float) (beside: string) =
    let shown = if time < 10.0 then $"%.3f{time} ms" else $"%.0f{time} ms"
    printfn "%-74s %12s   %s" what shown beside

// ---- CLs of a published likelihood: 64 parameters, 18 samples, 68 data

/// What pyhf 0.7 with numpy takes for `hypotest`, observed and expected, on an equal machine: from a model that is built, and not that.
let pyhf = 1200.0

/// 300 times as fast.
let asked = 4.0

let read () : Likelihood =
    let shared = at "../../shared/data/sbottom/RegionA_BkgOnly.json"

    if File.Exists shared then
        let patch = at "../../shared/data/sbottom/patches/sbottom_1300_205_60.json"
        ModelFile.load shared { ModelOptions.None with Patch = Some patch }
    else
        ModelFile.load (at "../examples/histfactory/workspace.json") ModelOptions.None
    |> Error.orRaise

let cls () : HypothesisTest =
    let tester = HypothesisTest.prepare options TestStatistic.QTilde None (read ())
    HypothesisTest.test options tester 1.0

let first, cold = once cls
let _, again = once cls

let compiled, name =
    let model, name, _ = HypothesisTest.modelOf TestStatistic.QTilde None (read ())
    DataFitter.prepare { FitOptions.Default with Run = options } model, name

let nominal =
    Array.map3
        (fun (p: ModelParameter) low high -> min high (max low p.Nominal))
        compiled.Fitter.Objective.Parameters
        compiled.Fitter.Lower
        compiled.Fitter.Upper

/// Asimov data and five fits, each from the nominal point: free, without signal, and with it, to the data; free and with signal to Asimov data.
let fromNominal () : HypothesisTest =
    let tester =
        HypothesisTest.ofFitter options TestStatistic.QTilde name [| nominal |] compiled

    HypothesisTest.test options tester 1.0

let found = fromNominal ()
let warm = median 200 (fromNominal >> ignore)
let tester = HypothesisTest.prepare options TestStatistic.QTilde None (read ())

let further =
    median 200 (fun () -> HypothesisTest.test options tester 1.0 |> ignore)

printfn
    "CLs %.6f (the first run %.6f), five fits: %A"
    found.Observed.Cls
    first.Observed.Cls
    found.Status

row
    "CLs observed and expected, five fits from the nominal point, compiled before"
    warm
    $"%.0f{pyhf / warm} × pyhf's (1.2 s); %.2f{warm / asked} of the 4 ms asked"

/// The fits step in the metric of a first fit to the data, by Newton's method, which preparing the model makes.
let metric =
    median 50 (fun () ->
        let fit = Fitter.fit { FitOptions.Default with Run = options } compiled.Fitter
        compiled.Fitter.Hessian.Evaluate 1 fit.Point options |> ignore)

row
    "the same with the fit that their metric is from"
    (warm + metric)
    $"%.0f{pyhf / (warm + metric)} × pyhf's; %.2f{(warm + metric) / asked} of the 4 ms asked"

row "CLs of a further value: two fits" further $"%.0f{pyhf / further} × pyhf's, which begins anew"

row "the same from the file: read, compiled, fitted, for the first time" cold "JIT included"
row "the same once more in one process" again "read, compiled, fitted"

let limit = Limit.upper options 0.95 tester

row
    "upper limits, observed and five expected"
    (median 10 (fun () -> Limit.upper options 0.95 tester |> ignore))
    $"%d{limit.Tests} values, 1e-9 of the limit"

// ---- 10,000 toys of two bins

let twoBins =
    let text =
        """{"version": "1.0.0", "channels": [{"name": "single", "samples": [
             {"name": "signal", "data": [12, 11], "modifiers": [{"name": "mu", "type": "normfactor", "data": null}]},
             {"name": "background", "data": [50, 52],
              "modifiers": [{"name": "uncorr", "type": "shapesys", "data": [3, 7]}]}]}],
            "observations": [{"name": "single", "data": [51, 48]}],
            "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]}"""

    let path = Path.GetTempFileName()

    try
        File.WriteAllText(path, text)
        ModelFile.load path ModelOptions.None |> Error.orRaise
    finally
        File.Delete path

let two = HypothesisTest.prepare options TestStatistic.QTilde None twoBins
let signal = (HypothesisTest.test options two 1.0).Fixed.Point

let toys (run: RunOptions) () : unit =
    Toys.distribution run two 1.0 signal 10_000 (Key.ofSeed 1) |> ignore

toys options ()
let ofToys = median 5 (toys options)

row
    "10,000 toys of two bins with their nuisances, each fitted free and with μ fixed"
    ofToys
    $"%.2f{ofToys / 2000.0} of the 2 s asked; %.1f{ofToys / 20.0} µs a fit"

row
    "the same on all cores"
    (median 5 (toys RunOptions.AllCores))
    $"{Environment.ProcessorCount} cores"

// ---- Goodness of fit, and an interval by toys

let gof () : unit =
    GoodnessOfFit.test { FitOptions.Default with Run = options } 1000 (Key.ofSeed 1) (read ())
    |> ignore

gof ()
row "goodness of fit of the search, 1,000 toys, from the file" (median 3 gof) ""

let counting =
    likelihood {
        let! mu = poi "mu" unconstrained
        do! poisson [| 4.0 |] (Expr.concat [ mu + 3.0 ])
    }

let ofCount = HypothesisTest.prepare options TestStatistic.TTilde None counting

let unified () : FeldmanCousins =
    FeldmanCousins.find options FeldmanCousinsOptions.Default ofCount (Key.ofSeed 1)

let interval = unified ()
let piece = interval.Pieces.Head

row
    "interval of Feldman and Cousins, 4 counts on a background of 3, 10,000 toys"
    (median 3 (unified >> ignore))
    $"[%.2f{piece.Low.Value}, %.2f{piece.High.Value}] (published [0, 5.60]), %d{interval.Toys} toys"
