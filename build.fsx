// Every task of the project: `dotnet fsi build.fsx TARGET...`; `help` lists the targets.

open System
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open System.Security.Cryptography
open System.Xml.Linq

let root = __SOURCE_DIRECTORY__
let at (path: string) = Path.Combine(root, path)
let exists path = File.Exists(at path) || Directory.Exists(at path)

/// Ends the run with this exit code, after this message.
exception Stop of code: int * message: string

let stop code message = raise (Stop(code, message))

// ---- Child processes: their output streams through, and they end when this one is told to end.

let mutable private child: Process option = None
let mutable private interrupted = false

/// The terminal sends Ctrl-C to the child as well; it alone decides when it has ended. A TERM is passed on.
let private onSignal (context: PosixSignalContext) =
    context.Cancel <- true
    interrupted <- true

    match child with
    | Some running when context.Signal = PosixSignal.SIGTERM ->
        Process.Start("kill", [ "-TERM"; string running.Id ]).WaitForExit()
    | Some _ -> ()
    | None -> exit 130

let private signals =
    [ PosixSignal.SIGINT; PosixSignal.SIGTERM ]
    |> List.map (fun signal -> PosixSignalRegistration.Create(signal, onSignal))

/// The exit code of a program, run in `folder` with these environment variables added; None if there is no such program.
let execute folder variables (program: string) (arguments: string list) =
    let start = ProcessStartInfo(program, arguments, WorkingDirectory = at folder)

    for name, value in variables do
        start.Environment[name] <- value

    Console.Out.Flush()

    try
        use running = Process.Start start
        child <- Some running
        running.WaitForExit()
        child <- None

        if interrupted then
            stop 130 "interrupted"

        Some running.ExitCode
    with :? ComponentModel.Win32Exception ->
        None

/// MSBuild's helper processes would outlive the build, so none is kept.
let plain = [ ("MSBUILDDISABLENODEREUSE", "1") ]

/// What scripts need: see TieredCompilationQuickJit in Directory.Build.props.
let optimised = [ ("DOTNET_TC_QuickJit", "0") ]

let dotnetWith variables arguments =
    match execute "." variables "dotnet" arguments with
    | Some 0 -> ()
    | Some code ->
        stop code $"""failed with exit code {code}: dotnet {String.concat " " arguments}"""
    | None -> stop 1 "dotnet is not on the PATH"

let words (line: string) = List.ofArray (line.Split ' ')

let dotnet line = dotnetWith plain (words line)

// ---- Steps: each runs at most once, and says how long it took.

let private finished = Collections.Generic.HashSet<string>()

let step name (action: unit -> unit) =
    if finished.Add name then
        let clock = Stopwatch.StartNew()
        action ()
        printfn $"%s{name}: %.1f{clock.Elapsed.TotalSeconds} s"

// ---- Restore and build

let npmFolder = "npm"

/// Runs npm only where node_modules is not yet what the lock file says.
let npm () =
    let stamp = at $"{npmFolder}/node_modules/.lock-sha256"

    let wanted =
        at $"{npmFolder}/package-lock.json"
        |> File.ReadAllBytes
        |> SHA256.HashData
        |> Convert.ToHexString

    if not (File.Exists stamp && File.ReadAllText stamp = wanted) then
        match
            execute npmFolder [] "npm" [ "ci"; "--ignore-scripts"; "--no-audit"; "--no-fund" ]
        with
        | Some 0 -> File.WriteAllText(stamp, wanted)
        | Some code ->
            printfn
                $"npm ci failed with exit code {code}: going on without ONNX Runtime and figures"
        | None -> printfn "npm is not on the PATH: going on without ONNX Runtime and figures"

let setup () =
    step "restore tools" (fun () -> dotnet "tool restore --verbosity quiet")
    step "restore packages" (fun () -> dotnet "paket restore --silent")
    step "restore npm" npm

let program = "artifacts/funlik"

/// The launcher: built output is called in place, from any directory and through links.
let launcher =
    """#!/bin/sh
here=$(dirname "$(readlink -f "$0")")
exec dotnet "$here/../src/FunLik.Host/bin/Release/net10.0/funlik.dll" "$@"
"""

let build () =
    setup ()

    step "build" (fun () ->
        dotnet "build FunLik.sln -c Release --nologo -v quiet -clp:NoSummary"
        Directory.CreateDirectory(at "artifacts") |> ignore
        File.WriteAllText(at program, launcher)

        if not (OperatingSystem.IsWindows()) then
            let mode = File.GetUnixFileMode(at program)

            let execute =
                UnixFileMode.UserExecute
                ||| UnixFileMode.GroupExecute
                ||| UnixFileMode.OtherExecute

            File.SetUnixFileMode(at program, mode ||| execute))

let funlik arguments =
    match execute "." [] (at program) arguments with
    | Some 0 -> ()
    | Some code ->
        stop code $"""failed with exit code {code}: funlik {String.concat " " arguments}"""
    | None -> stop 1 $"{program} does not start"

// ---- Layout

let sources () =
    [ "src"; "tests"; "scripts"; "bench"; "examples"; "build.fsx" ]
    |> List.filter exists

let format () =
    setup ()
    step "format" (fun () -> dotnetWith plain ("fantomas" :: sources ()))

let checkFormat () =
    setup ()

    step "check-format" (fun () ->
        match execute "." plain "dotnet" ("fantomas" :: "--check" :: sources ()) with
        | Some 0 -> ()
        | Some 99 ->
            stop 99 "the files listed above are not formatted: run `dotnet fsi build.fsx format`"
        | _ -> stop 1 "fantomas failed")

// ---- Tests

type Counts = { Passed: int; Failed: int; Skipped: int }

let mutable private tested: Counts option = None

/// Counts and the names of failing tests in a .trx file.
let readTrx (path: string) =
    let outcomes =
        XDocument.Load(path).Descendants()
        |> Seq.filter (fun node -> node.Name.LocalName = "UnitTestResult")
        |> Seq.map (fun node ->
            node.Attribute(XName.Get "testName").Value, node.Attribute(XName.Get "outcome").Value)
        |> Seq.toList

    let count outcome = outcomes |> List.filter (snd >> (=) outcome) |> List.length

    let failing =
        outcomes
        |> List.filter (fun (_, outcome) -> outcome <> "Passed" && outcome <> "NotExecuted")

    {
        Passed = count "Passed"
        Failed = failing.Length
        Skipped = count "NotExecuted"
    },
    List.map fst failing

let runTests extra name =
    let results = "artifacts/test-results"
    let trx = at $"{results}/{name}.trx"
    File.Delete trx

    let command =
        $"test tests/{name}/bin/Release/net10.0/{name}.dll --nologo --logger console;verbosity=minimal"
        + $" --logger trx;LogFileName={name}.trx --results-directory {results}"

    let code = execute "." plain "dotnet" (words command @ extra)

    let counts, failing =
        if File.Exists trx then
            readTrx trx
        else
            { Passed = 0; Failed = 0; Skipped = 0 }, []

    counts, failing, code = Some 0

let test extra =
    build ()

    step "test" (fun () ->
        Directory.CreateDirectory(at "artifacts/test-results") |> ignore
        let runs = [ "FunLik.Core.Tests"; "FunLik.Host.Tests" ] |> List.map (runTests extra)
        let total select = runs |> List.sumBy (fun (counts, _, _) -> select counts)

        let counts =
            { Passed = total _.Passed; Failed = total _.Failed; Skipped = total _.Skipped }

        tested <- Some counts

        for _, failing, _ in runs do
            for name in failing do
                printfn $"failed: {name}"

        if counts.Passed + counts.Failed = 0 then
            stop 1 "no test ran"

        if counts.Failed > 0 then
            stop 1 "tests failed"

        if runs |> List.exists (fun (_, _, ended) -> not ended) then
            stop 1 "a test run broke off, and its counts are not whole")

// ---- What the built program and library are for

let scripts () =
    build ()

    let files =
        if exists "scripts" then
            Directory.GetFiles(at "scripts", "*.fsx")
            |> Array.map (fun file -> Path.GetRelativePath(root, file))
            |> Array.filter (fun file ->
                let name = Path.GetFileName file
                name.Length > 3 && Char.IsDigit name[0] && Char.IsDigit name[1] && name[2] = '-')
            |> Array.sortWith (fun left right -> String.CompareOrdinal(left, right))
        else
            [||]

    for file in files do
        step file (fun () -> dotnetWith optimised [ "fsi"; file ])

    if files.Length = 0 then
        printfn "no scripts/NN-*.fsx is here"

let run extra =
    build ()
    step "run" (fun () -> funlik ([ "run"; "examples/search/job.json" ] @ extra))

let smoke () =
    let job = "examples/search/job-smoke.json"
    build ()

    if exists job then
        step "smoke" (fun () -> funlik [ "run"; job ])
    else
        printfn $"{job} is not here"

let bench extra =
    build ()

    let names =
        [
            "bench"
            "gemm"
            "train"
            "workspaces"
            "profiles"
            "hypotheses"
            "sampling"
            "posterior"
            "surrogate"
        ]

    for name in names do
        step name (fun () ->
            dotnetWith optimised ([ "fsi"; "--optimize+"; $"bench/{name}.fsx" ] @ extra))

let references extra =
    build ()

    step "references" (fun () ->
        dotnetWith optimised ([ "fsi"; "--optimize+"; "bench/references.fsx" ] @ extra))

let calibration extra =
    build ()

    step "calibration" (fun () ->
        dotnetWith optimised ([ "fsi"; "--optimize+"; "bench/calibration.fsx" ] @ extra))

let pack () =
    build ()

    step "pack" (fun () ->
        dotnet "pack src/FunLik.Core -c Release --no-build --nologo -o artifacts/packages")

let publish () =
    setup ()

    step "publish" (fun () ->
        dotnet (
            "publish src/FunLik.Host -c Release -r linux-x64 --self-contained --nologo -o artifacts/publish"
            + " -p:PublishSingleFile=true -p:EnableCompressionInSingleFile=true -p:DebugType=embedded"
            + " -p:PublishDocumentationFiles=false"
        ))

let clean () =
    step "clean" (fun () ->
        [ "src"; "tests" ]
        |> List.collect (fun folder -> Directory.GetDirectories(at folder) |> Array.toList)
        |> List.collect (fun project ->
            [ Path.Combine(project, "bin"); Path.Combine(project, "obj") ])
        |> List.append [ at "artifacts" ]
        |> List.filter Directory.Exists
        |> List.iter (fun folder -> Directory.Delete(folder, true)))

// ---- The table of targets

let rec targets: (string * string * (string list -> unit)) list =
    [
        "setup", "restores tools, packages, and what comes from npm", (fun _ -> setup ())
        "build", "setup, then builds everything and leaves artifacts/funlik", (fun _ -> build ())
        "format", "rewrites F# files in the project's layout", (fun _ -> format ())
        "check-format",
        "fails where a file is not in the project's layout",
        (fun _ -> checkFormat ())
        "test", "build, then runs every test (options go to dotnet test: --filter NAME)", test
        "scripts", "build, then runs every scripts/NN-*.fsx", (fun _ -> scripts ())
        "run", "build, then runs the example search (options go to funlik)", run
        "smoke", "build, then runs the example search in its small form", (fun _ -> smoke ())
        "bench", "build, then runs the benchmarks, one after the other", bench
        "references",
        "build, then compares fits, scans and tests with the reference files",
        references
        "calibration",
        "build, then tests every sampler by simulation (options: how many replicates)",
        calibration
        "pack", "build, then packs the library into artifacts/packages", (fun _ -> pack ())
        "publish",
        "a program in one file for linux-x64, in artifacts/publish",
        (fun _ -> publish ())
        "clean", "deletes what builds left", (fun _ -> clean ())
        "help", "lists the targets", (fun _ -> help ())
    ]

and help () =
    printfn "dotnet fsi build.fsx TARGET... [OPTIONS]"

    for name, what, _ in targets do
        printfn $"  %-13s{name} {what}"

let main (arguments: string list) =
    let names =
        arguments |> List.takeWhile (fun argument -> not (argument.StartsWith '-'))

    let extra = arguments |> List.skip names.Length

    let find name =
        targets
        |> List.tryFind (fun (target, _, _) -> target = name)
        |> Option.defaultWith (fun () ->
            stop 2 $"no target is called '{name}': `dotnet fsi build.fsx help` lists them")

    let code =
        try
            let chosen = (if names.IsEmpty then [ "help" ] else names) |> List.map find

            for _, _, action in chosen do
                action extra

            0
        with Stop(code, message) ->
            eprintfn $"{message}"
            code

    tested
    |> Option.iter (fun counts ->
        printfn $"{counts.Passed} passed, {counts.Failed} failed, {counts.Skipped} skipped")

    code

exit (main (List.ofArray fsi.CommandLineArgs |> List.tail))
