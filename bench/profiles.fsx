// How fast FunLik profiles in bulk: what was asked, what was measured, and the ratio to the peers, within one run.
//
//     dotnet fsi build.fsx bench
//     DOTNET_TC_QuickJit=0 dotnet fsi --optimize+ bench/profiles.fsx [points] [disk] [scan] [search] [rows=5000000] [grid=50]
//
// points   a likelihood in 16 couplings, 105 nuisances profiled: one thread, every point converged
// disk     five million of these in the full ranges, with gradients, to disk: all cores
// scan     50 x 50 values of two couplings, all else profiled from 50 starts each: all cores
// search   the papers' search beside iminuit and SciPy, in their own process (profile_numpy.py)
//
// Without names all are run. They need ../shared: where it is absent, the shipped examples stand in, and nothing is claimed.

#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"

open System
open System.Diagnostics
open System.IO
open FunLik

let at (path: string) : string = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, path))

let shared (path: string) : string option =
    let full = at $"../../shared/{path}"
    if File.Exists full then Some full else None

let arguments = fsi.CommandLineArgs |> Array.skip 1

let isAsked (section: string) : bool =
    let sections = [| "points"; "disk"; "scan"; "search" |]
    let named = arguments |> Array.filter (fun a -> Array.contains a sections)
    named.Length = 0 || Array.contains section named

let number (name: string) (otherwise: int64) : int64 =
    arguments
    |> Array.tryFind _.StartsWith(name + "=")
    |> Option.map (fun a -> Int64.Parse(a.Substring(name.Length + 1)))
    |> Option.defaultValue otherwise

let row (what: string) (asked: string) (measured: string) (beside: string) : unit =
    printfn "%-60s %12s %12s   %s" what asked measured beside

/// The best of some runs, in microseconds an item, and its result.
let best (repeats: int) (items: int) (run: unit -> 'T) : float * 'T =
    let once () : float * 'T =
        let clock = Stopwatch.StartNew()
        let result = run ()
        clock.Elapsed.TotalMicroseconds / float items, result

    once () |> ignore
    List.init repeats (fun _ -> once ()) |> List.minBy fst

let all = RunOptions.AllCores
row "" "asked" "measured" ""

// ---- 16 couplings, 105 nuisances

let eft, isReference =
    match shared "data/top19001-like/workspace.json", shared "data/top19001-like/scalings.json" with
    | Some path, Some scalings -> (path, scalings), true
    | _ -> (at "../examples/eft/workspace.json", at "../examples/eft/scalings.json"), false

let model =
    ModelFile.load (fst eft) { ModelOptions.None with Scalings = Some(snd eft) }
    |> Error.orRaise

let bounded = Objective.ofLikelihood model |> Fitter.ofObjective
let parameters = bounded.Objective.Parameters
let couplings = parameters |> Array.filter _.Kind.IsPoi
let keep = couplings |> Array.map _.Name |> List.ofArray
let k, n = couplings.Length, parameters.Length

/// Nuisances beyond their bounds where these are needless, as in the reference.
let unbounded =
    NuisanceBounds.lift model |> Objective.ofLikelihood |> Fitter.ofObjective

/// Uniform points in a part of the ranges.
let pointsOf (part: float) (key: Key) (rows: int) : float[] =
    let u = Key.uniforms (rows * k) key

    Array.init u.Length (fun i ->
        let struct (low, high) = couplings[i % k].Range
        part * (low + (high - low) * u[i]))

let global' = Fitter.fit FitOptions.Default bounded

/// The gradient of log density in the profiled parameters, in units of their standard deviations: below this at every point.
let tolerance = 1e-5

let prepared (fitter: Fitter) (part: float) : float * Profiler =
    let clock = Stopwatch.StartNew()

    let options =
        { ProfilerOptions.Default with Starts = Some 1; Tolerance = tolerance }

    let profiler =
        fitter
        |> Profiler.prepareAt options keep global'.Point
        |> Profiler.learn ResponseOptions.Default (pointsOf part (Key.ofSeed 1) 4096) all

    clock.Elapsed.TotalSeconds, profiler

let points () : unit =
    printfn "\n%s: %d kept, %d profiled; one thread, batches of 65,536" model.Name k (n - k)

    for name, fitter in [ "", unbounded; ", nuisances in their bounds", bounded ] do
        for part, asked in [ 0.3, 30.0; 1.0, 100.0 ] do
            let seconds, profiler = prepared fitter part
            let rows = 65_536
            let at = pointsOf part (Key.ofSeed 2) rows

            let time, found =
                best 3 rows (fun () -> Profiler.evaluate profiler at RunOptions.Single)

            let converged = found.Statuses |> Seq.filter _.IsConverged |> Seq.length

            row
                $"within %.0f{100.0 * part} %% of the ranges{name}"
                $"%.0f{asked} µs"
                $"%.1f{time} µs"
                $"%.2f{17.0 / time} of the limit (17 µs), %.0f{0.258e6 / time} × Combine (0.258 s)"

            row
                ""
                $"{rows} of them"
                $"{converged}"
                $"converged; gradient norm at most %.1e{Array.max found.GradientNorms}, EDM %.0e{Array.max found.Edms}; %.1f{float found.Evaluations / float rows} evaluations a point; learnt in %.1f{seconds} s"

// ---- Millions of them on disk

let disk () : unit =
    let rows = number "rows" 5_000_000L
    let folder = Directory.CreateTempSubdirectory("funlik-bench").FullName

    try
        let seconds, profiler = prepared unbounded 1.0
        let key = Key.ofSeed 3
        let clock = Stopwatch.StartNew()

        let report =
            profiler
            |> ProfileFiles.write
                ProfileFilesOptions.Default
                folder
                rows
                (fun first count -> pointsOf 1.0 (Key.fold (int (first / 65_536L)) key) count)
                ignore
                all
            |> Error.orRaise

        let time = clock.Elapsed.TotalSeconds

        let bytes =
            report.Files |> Array.sumBy (fun f -> FileInfo(Path.Combine(folder, f)).Length)

        let converged =
            report.Statuses |> List.filter (fun (s, _) -> s.IsConverged) |> List.sumBy snd

        Process.GetCurrentProcess().Refresh()

        printfn
            "\n%s: %d points uniform in the full ranges, values and gradients to disk, %d threads"
            model.Name
            rows
            all.Threads

        row
            "all together"
            $"%.0f{180.0 * float rows / 5e6} s"
            $"%.1f{time} s"
            $"and %.1f{seconds} s to learn; %.1f{1e6 * time / float rows} µs a point"

        row
            ""
            $"{rows} of them"
            $"{converged}"
            $"converged; gradient norm at most %.1e{report.LargestGradientNorm}; {report.Files.Length} files, %.2f{float bytes / 1e9} GB; memory at most %.2f{float (Process.GetCurrentProcess().PeakWorkingSet64) / 1e9} GB"
    finally
        Directory.Delete(folder, true)

// ---- A scan of two couplings

let scan () : unit =
    let first, second = if isReference then "ctW", "cbW" else keep[0], keep[1]

    let grid = int (number "grid" 50L)
    let minimisations = 50 * grid * grid

    let axis (name: string) : string * float[] =
        let struct (low, high) = (couplings |> Array.find (fun p -> p.Name = name)).Range
        name, Array.init grid (fun i -> low + (high - low) * float i / float (grid - 1))

    let profiling = { ProfilerOptions.Default with Starts = Some 50; Memory = 16 }

    let options =
        { ScanOptions.Default with Fit = { FitOptions.Default with Run = all } }

    let clock = Stopwatch.StartNew()

    let scan =
        GridScan.scanFitter options profiling [ axis first; axis second ] unbounded

    let time = clock.Elapsed.TotalSeconds
    let converged = scan.Status |> Seq.filter _.IsConverged |> Seq.length

    printfn
        "\n%s: %d × %d values of %s and %s, %d others profiled from 50 starts each, %d threads"
        model.Name
        grid
        grid
        first
        second
        (n - 2)
        all.Threads

    row
        $"{minimisations} minimisations"
        $"%.0f{120.0 * float minimisations / 125e3} s"
        $"%.1f{time} s"
        $"%.2f{1e3 * time * float all.Threads / float minimisations} ms of a core each, %.0f{float scan.Evaluations / float minimisations} evaluations; %.0f{4.5e5 * float minimisations / 125e3 / time} × CMS (4.5e5 s for 125,000)"

    let again =
        Profiler.prepareAt
            { profiling with Starts = Some 200 }
            [ first; second ]
            scan.Minimum.Point
            unbounded

    let rows = [| 0 .. max 1 (grid * grid / 10) .. grid * grid - 1 |]

    let places =
        [ first; second ]
        |> List.map (fun name -> Array.IndexOf(scan.Minimum.Names, name))

    let found =
        Profiler.evaluate
            again
            (rows |> Array.collect (fun r -> [| for i in places -> scan.Points[r][i] |]))
            all

    let lower =
        (rows, found.Values)
        ||> Array.map2 (fun r y -> scan.TwiceDeltaNll[r] - (-2.0 * y - scan.Minimum.TwiceNll))
        |> Array.filter (fun gain -> gain > 1e-6)

    row
        ""
        $"{grid * grid} of them"
        $"{converged}"
        $"converged; of {rows.Length} points 200 starts find {lower.Length} lower"

// ---- The search

/// t_μ at 0, 0.1 … 1 (exact, by reduction to five dimensions).
let exact =
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

let search () : unit =
    let path, isExact =
        match shared "data/lhc-toy.json" with
        | Some path -> path, true
        | None -> at "../examples/search/model.json", false

    let likelihood =
        Json.parseFile path
        |> Result.bind SearchData.ofJson
        |> Error.orRaise
        |> Search.likelihood

    let fitter = Objective.ofLikelihood likelihood |> Fitter.ofObjective
    let fit = Fitter.fit FitOptions.Default fitter
    let eleven = Array.init 11 (fun i -> 0.1 * float i)

    let error (twiceNll: float[]) : string =
        if isExact then
            let lowest = fit.TwiceNll
            let worst = Array.map2 (fun t y -> abs (y - lowest - t)) exact twiceNll |> Array.max
            $"t off by at most %.1e{worst}"
        else
            "no exact values for this model"

    let profiled (starts: int option) (mus: float[]) : float * ProfiledPoints =
        let profiler =
            Profiler.prepareAt
                { ProfilerOptions.Default with Starts = starts }
                [ "mu" ]
                fit.Point
                fitter

        best 20 mus.Length (fun () -> Profiler.evaluate profiler mus RunOptions.Single)

    let many = Array.init 704 (fun i -> eleven[i % 11])
    let robust, robustFound = profiled None many
    let elevenAlone, _ = profiled None eleven

    let lockstep, lockstepFound =
        profiled (Some 1) (Array.init 64 (fun i -> float i / 63.0))

    let twice (found: ProfiledPoints) : float[] =
        found.Values |> Array.truncate 11 |> Array.map (fun y -> -2.0 * y)

    let peers =
        let run (python: string) : string option =
            try
                let start =
                    ProcessStartInfo(
                        python,
                        [ at "profile_numpy.py"; path ],
                        RedirectStandardOutput = true,
                        RedirectStandardError = true
                    )

                use child = Process.Start start
                let errors = child.StandardError.ReadToEndAsync()
                let text = child.StandardOutput.ReadToEnd()
                child.WaitForExit()
                errors.Wait()
                if child.ExitCode = 0 then Some text else None
            with :? ComponentModel.Win32Exception ->
                None

        [ "/usr/bin/python3"; "python3" ]
        |> List.tryPick run
        |> Option.defaultValue ""
        |> _.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        |> Array.map (fun line ->
            let parts = line.Split '\t'
            parts[0], 1e3 * float parts[1], parts[2].Split ' ' |> Array.map float)

    printfn
        "\n%s: %d profiled; one thread, a profiled point"
        likelihood.Name
        (fitter.Objective.Count - 1)

    row "robust (17 starts), 704 points together" "" $"%.0f{robust} µs" (error (twice robustFound))
    row "robust, 11 points together" "" $"%.0f{elevenAlone} µs" ""

    row
        "one start, 64 in lockstep"
        ""
        $"%.1f{lockstep} µs"
        $"{lockstepFound.Statuses |> Seq.filter _.IsConverged |> Seq.length} of 64 converged"

    for peer, own, asked, what in
        [ "iminuit", robust, 60.0, "robust"; "scipy", lockstep, 50.0, "lockstep" ] do
        match peers |> Array.filter (fun (name, _, _) -> name.StartsWith peer) with
        | [||] -> row peer "" "not here" $"python3-{peer} is not installed"
        | settings ->
            for name, time, values in settings do
                row name "" $"%.0f{time} µs" (error values)

            let name, time, _ = settings |> Array.minBy (fun (_, time, _) -> time)
            row $"{what}, beside {peer} at its best" $"%.0f{asked} ×" $"%.0f{time / own} ×" name

if isAsked "points" then
    points ()

if isAsked "disk" then
    disk ()

if isAsked "scan" then
    scan ()

if isAsked "search" then
    search ()
