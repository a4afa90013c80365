module FunLik.Tests.JobTests

open System
open System.IO
open Xunit
open FunLik

let private inFolder (test: string -> unit) : unit =
    let folder = Directory.CreateTempSubdirectory().FullName

    try
        test folder
    finally
        Directory.Delete(folder, true)

let private write (folder: string) (name: string) (text: string) : string =
    let path = Path.Combine(folder, name)
    File.WriteAllText(path, text)
    path

let private errorsOf (text: string) : Error list =
    let mutable errors = []

    inFolder (fun folder ->
        match write folder "job.json" text |> Job.load with
        | Ok _ -> ()
        | Result.Error found -> errors <- found)

    errors

[<Fact>]
let ``a job has defaults, and paths relative to its own folder`` () =
    inFolder (fun folder ->
        let job =
            write folder "job.json" """{"kind": "job", "model": "model.json", "output": "out/x"}"""
            |> Job.load
            |> Error.orRaise

        let source: JobSource =
            {
                Model =
                    Some { File = Path.Combine(folder, "model.json"); Options = ModelOptions.None }
                Data = None
            }

        Assert.Equal(Job.create source (Path.Combine(folder, "out", "x")), job))

[<Fact>]
let ``a job says what it reads and where it checks`` () =
    inFolder (fun folder ->
        let job =
            """{"kind": "job", "output": "out", "data": "labels",
                "model": {"file": "w.json", "patch": "p.json", "measurement": "M", "interpolation": {"normsys": "code1"}},
                "ridge": {"from": -0.5, "to": 2, "fraction": 0.25, "anchors": 40, "reach": 0.5, "test": 50},
                "profile": {"from": 0, "to": 1, "count": 11}}"""
            |> write folder "job.json"
            |> Job.load
            |> Error.orRaise

        let model = job.Source.Model.Value
        Assert.Equal(Some(Path.Combine(folder, "labels")), job.Source.Data)
        Assert.Equal(Path.Combine(folder, "w.json"), model.File)
        Assert.Equal(Some(Path.Combine(folder, "p.json")), model.Options.Patch)
        Assert.Equal(Some "M", model.Options.Measurement)
        Assert.Equal<(string * string) list>([ "normsys", "code1" ], model.Options.Interpolation)
        Assert.Equal(RidgeSpan.Interval(-0.5, 2.0), job.Ridge.Span)
        Assert.Equal(2500, Job.ridgeLabels job)
        Assert.Equal(Some { From = 0.0; To = 1.0; Count = 11 }, job.Profile)

        // What a card says of a job is read back as it was.
        let text = JsonValue.toLine (Job.toJson job)
        let ridge, profile = Json.parse text |> Result.bind Job.readRegion |> Error.orRaise
        Assert.Equal(job.Ridge, ridge)
        Assert.Equal(job.Profile, profile))

[<Fact>]
let ``all that is wrong in a job is told at once, with its place`` () =
    let errors =
        errorsOf
            """{"kind": "job", "model": "", "output": "out", "seed": -1, "labls": 5,
                "sampling": {"chains": 4, "testChains": 3, "warmup": 200},
                "ridge": {"from": 1, "sigmas": 3}, "profile": {"from": 1, "to": 0, "count": 3},
                "training": {"epochs": 0, "activation": "swish", "gradientWeight": -1}}"""

    let paths = errors |> List.choose _.Path |> List.sort

    Assert.Equal<string list>(
        [
            "$.labls"
            "$.model"
            "$.profile"
            "$.ridge"
            "$.sampling"
            "$.seed"
            "$.training.activation"
            "$.training.epochs"
            "$.training.gradientWeight"
        ],
        paths
    )

    Assert.All(errors, fun e -> Assert.True e.File.IsSome)

[<Fact>]
let ``a job with fewer labels than chains is refused`` () =
    let errors =
        errorsOf """{"kind": "job", "model": "m", "output": "o", "labels": 10}"""

    Assert.Contains("fewer labels", errors.Head.Message)

[<Fact>]
let ``what a job depends on has the contents of patches and what is asked for by name`` () =
    inFolder (fun folder ->
        let example =
            Path.Combine(Support.root, "examples", "histfactory", "workspace.json")

        let hash (patch: string option) (codes: (string * string) list) : string =
            let patch = patch |> Option.map (write folder "patch.json")

            let source: ModelSource =
                {
                    File = example
                    Options = { ModelOptions.None with Patch = patch; Interpolation = codes }
                }

            (JobContext.subject { Model = Some source; Data = None } |> Error.orRaise).Hash

        let patched (count: int) : string option =
            Some $$"""[{"op": "replace", "path": "/observations/0/data/0", "value": {{count}}}]"""

        let all =
            [
                hash None []
                hash (patched 3) []
                hash (patched 4) []
                hash None [ "normsys", "code1" ]
            ]

        Assert.Equal(4, (List.distinct all).Length)
        Assert.Equal(all[1], hash (patched 3) []))

// ---- Stages

let private text
    (name: string)
    (content: string)
    (folder: string)
    : Result<string list, Error list> =
    AtomicFile.writeText (Path.Combine(folder, name)) content
    |> Result.map (fun () -> [ name ])

[<Fact>]
let ``a stage is done once, and again when its inputs change, its files are damaged or it was broken off``
    ()
    =
    inFolder (fun root ->
        let mutable runs = 0

        let run (input: string) : StageResult =
            Stage.run root "stage" (JsonValue.Text input) (fun folder ->
                runs <- runs + 1
                text "a.txt" input folder)
            |> Error.orRaise

        let first = run "one"
        Assert.False first.IsSkipped
        let second = run "one"
        Assert.True second.IsSkipped
        Assert.Equal(first.Contents, second.Contents)
        Assert.Equal(1, runs)

        let other = run "two"
        Assert.False other.IsSkipped
        Assert.Equal(None, other.Note)
        Assert.NotEqual<string>(first.Contents, other.Contents)

        write other.Folder "a.txt" "damaged" |> ignore
        let mended = run "two"
        Assert.False mended.IsSkipped
        Assert.Contains("a.txt", mended.Note.Value)
        Assert.Equal("two", File.ReadAllText(Path.Combine(mended.Folder, "a.txt")))

        File.Delete(Path.Combine(mended.Folder, "a.txt"))
        Assert.Contains("a.txt", (run "two").Note.Value)

        write mended.Folder "manifest.json" "{" |> ignore
        Assert.Contains("manifest", (run "two").Note.Value)
        Assert.Equal(5, runs))

[<Fact>]
let ``a stage that fails leaves no manifest`` () =
    inFolder (fun root ->
        let failing (_: string) : Result<string list, Error list> =
            Error.make ErrorKind.Value "no" |> Error.fail

        let run make = Stage.run root "stage" JsonValue.Null make
        Assert.True (run (text "a.txt" "a")).IsOk
        write (Path.Combine(root, "stage")) "a.txt" "b" |> ignore
        Assert.True (run failing).IsError
        Assert.False(File.Exists(Path.Combine(root, "stage", "manifest.json"))))

// ---- The pipeline

let private model =
    """{"kind": "counting", "name": "one channel",
        "poi": {"name": "mu", "bounds": [-1, 10], "nominal": 1},
        "channels": [{"name": "SR", "observed": [25, 14], "signal": [6.2, 4.0], "background": [14.0, 9.0],
                      "relativeUncertainty": [0.2, 0.3]}]}"""

let private job =
    """{"kind": "job", "model": "model.json", "seed": 3, "labels": 400, "output": "out",
        "sampling": {"chains": 12, "testChains": 4, "warmup": 60},
        "ridge": {"anchors": 20, "test": 100},
        "training": {"hidden": [16], "batchSize": 32, "epochs": 60}}"""

let private context (threads: int) : VerbContext =
    {
        Options = { RunOptions.Single with Threads = threads }
        Progress = ignore
        Clock = fun () -> DateTimeOffset.UnixEpoch
    }

let private files (root: string) : (string * byte[]) list =
    Directory.GetFiles(root, "*", SearchOption.AllDirectories)
    |> Array.map (fun path -> Path.GetRelativePath(root, path), File.ReadAllBytes path)
    |> Array.filter (fun (name, _) -> name <> "run.log.json")
    |> Array.sortBy fst
    |> List.ofArray

let private run (folder: string) (threads: int) : Report =
    let path = Path.Combine(folder, "job.json")

    Job.load path
    |> Result.bind (Pipeline.run (context threads))
    |> Result.bind (Pipeline.report Pipeline.cardJson)
    |> Error.orRaise

let private prepared (test: string -> unit) : unit =
    inFolder (fun folder ->
        write folder "model.json" model |> ignore
        write folder "job.json" job |> ignore
        test folder)

[<Fact>]
let ``a job run twice, with other threads, gives the same bytes`` () =
    let runOnce (threads: int) : (string * byte[]) list =
        let mutable found = []

        prepared (fun folder ->
            run folder threads |> ignore
            found <- files (Path.Combine(folder, "out")))

        found

    let first, second = runOnce 1, runOnce 2
    Assert.Equal<string list>(List.map fst first, List.map fst second)
    Assert.Contains(Path.Combine("bundle", "card.json"), List.map fst first)

    for (name, a), (_, b) in List.zip first second do
        Assert.True((a = b), name)

[<Fact>]
let ``a job learns better than its quadratic, counts its calls, and takes up where an earlier run ended``
    ()
    =
    prepared (fun folder ->
        let report = run folder 1
        Assert.True(report.Converged, String.concat "; " report.Notes)

        let card =
            Path.Combine(folder, "out", "bundle", "card.json")
            |> Json.parseFile
            |> Error.orRaise

        let number (path: string list) : float =
            path
            |> List.fold (fun json name -> json |> Json.property name |> Error.orRaise) card
            |> Json.float
            |> Error.orRaise

        for design in [ "posterior"; "ridge" ] do
            let mse (name: string) : float = number [ "metrics"; design; name; "mse" ]
            let learnt, quadratic = mse "surrogate", mse "quadratic"
            Assert.True(learnt < 0.8 * quadratic, $"{design}: {learnt}, quadratic {quadratic}")

        let calls =
            [ "mode"; "sampling"; "labels"; "interactions"; "validation" ]
            |> List.sumBy (fun name -> number [ "exactCalls"; name ])

        Assert.Equal(number [ "exactCalls"; "total" ], calls)
        Assert.Equal(400.0, number [ "labels"; "train" ])

        let bundle = Bundle.read (Path.Combine(folder, "out", "bundle")) |> Error.orRaise
        Assert.Equal(Recipe.funlik.Name, bundle.Card.Recipe)

        for slice in bundle.Card.Metrics do
            Assert.Equal(
                number [ "metrics"; slice.Slice; "surrogate"; "mse" ],
                slice.Surrogate.Mse
            )

        Assert.True((Bundle.verify RunOptions.Single bundle).IsOk)

        let before = files (Path.Combine(folder, "out"))
        let again = run folder 1

        Assert.Contains(
            again.Notes,
            fun note -> note.Contains "mode, labels, checks, training, bundle"
        )

        Assert.Equal(report.Json, again.Json)

        // What is damaged is made again, and what was made of it stays, for it comes out the same.
        let weights = Path.Combine(folder, "out", "training", "weights.npy")
        File.WriteAllBytes(weights, [| 1uy |])
        let mended = run folder 1
        Assert.Contains(mended.Notes, fun note -> note.Contains "weights.npy")
        Assert.Contains(mended.Notes, fun note -> note.Contains "mode, labels, checks, bundle")

        for (name, a), (_, b) in List.zip before (files (Path.Combine(folder, "out"))) do
            Assert.True((a = b), name))
