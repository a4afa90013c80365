namespace FunLik

open System.IO

/// All that a surrogate's card says, in numbers.
type Findings =
    {
        Mode: ModeFacts
        Labels: LabelFacts
        /// Exact values and gradients that the checks took.
        CheckCalls: int64
        History: EpochInfo list
        TrainingStatus: string
        Learner: Learner
        Surrogate: Surrogate
        /// The surrogate against the exact density.
        Check: SurrogateCheck
        Agreement: Agreement
    }

/// The stage of a job that checks what was learnt and writes it down.
[<RequireQualifiedAccess>]
module BundleStage =

    let private integer = JobContext.integer

    /// The page for people, beside the bundle's own files.
    let reportFile: string = "report.html"

    /// The points of the test vectors in a bundle.
    let private vectors = 100

    let private checks (f: Findings) : (string * bool option) list =
        let slice (s: SliceCheck) : string * bool option =
            $"the network beats the quadratic on {s.Slice} points",
            Some(s.Surrogate.Mse < s.Quadratic.Mse)

        [
            "the mode is found",
            if f.Mode.Calls = 0L then
                None
            else
                Some(f.Mode.Status = "converged")
            "the training is finished", Some(f.TrainingStatus <> "not finite")
        ]
        @ (f.Check.Slices |> List.map slice)
        @ [
            if not f.Check.Profiles.IsEmpty then
                "the profiles converge",
                f.Check.Profiles
                |> List.forall (fun p -> p.Converged && p.Exact.Converged)
                |> Some
            "ONNX Runtime agrees",
            match f.Agreement with
            | Agreement.Checked(_, _, largest) -> Some(largest <= Bundle.tolerance)
            | Agreement.NotChecked _ -> None
        ]

    let private agreementJson (agreement: Agreement) : JsonValue =
        match agreement with
        | Agreement.Checked(version, points, largest) ->
            JsonValue.Object
                [
                    "version", JsonValue.Text version
                    "points", integer points
                    "largestDifference", JsonValue.Number largest
                    "tolerance", JsonValue.Number Bundle.tolerance
                ]
        | Agreement.NotChecked reason -> JsonValue.Object [ "notChecked", JsonValue.Text reason ]

    /// Exact calls by what they were for, a gradient as one more.
    let private calls (context: JobContext) (f: Findings) : (string * int64) list =
        let parts =
            [
                "mode", f.Mode.Calls
                "sampling", f.Labels.SamplingCalls
                "labels", f.Labels.LabelCalls
                // Without the exact model there is nothing to be asked.
                "interactions",
                if context.Subject.Exact.IsSome then
                    f.Learner.Calls.Total
                else
                    0L
                "validation", f.CheckCalls
            ]

        parts @ [ "total", parts |> List.sumBy snd ]

    let private modelJson (context: JobContext) : JsonValue =
        let subject = context.Subject

        JsonValue.Object
            [
                "name", JsonValue.Text subject.Likelihood.Name
                match subject.Exact, context.Job.Source.Model with
                | Some model, Some source ->
                    "file", JsonValue.Text(Path.GetFileName source.File)
                    "kind", JsonValue.Text model.Kind
                    "sha256", JsonValue.Text model.Sha256
                    let options = source.Options

                    for name, value in
                        [
                            "patch", options.Patch |> Option.map Path.GetFileName
                            "scalings", options.Scalings |> Option.map Path.GetFileName
                            "measurement", options.Measurement
                        ] do
                        match value with
                        | Some text -> name, JsonValue.Text text
                        | None -> ()

                    if not options.Interpolation.IsEmpty then
                        "interpolation",
                        options.Interpolation
                        |> List.map (fun (kind, code) -> kind, JsonValue.Text code)
                        |> JsonValue.Object
                | _ -> "sha256", JsonValue.Text subject.Hash
                match subject.Data with
                | Some(_, manifest) ->
                    "labels", manifest.Shards |> List.map _.Sha256 |> JsonValue.ofTexts
                | None -> ()
                "parameters", JsonValue.ofTexts (Likelihood.names subject.Likelihood)
            ]

    let private card (context: JobContext) (f: Findings) : (string * JsonValue) list =
        [
            "schema", JsonValue.Int 2L
            "kind", JsonValue.Text "surrogate"
            "funlik", JsonValue.Text Version.current
            "model", modelJson context
            "job", Job.toJson context.Job
            "key", JsonValue.Text(Key.toText context.Key)
            "mode",
            JsonValue.Object
                [
                    "status", JsonValue.Text f.Mode.Status
                    "logDensity", JsonValue.Number f.Mode.LogDensity
                    "point", JsonValue.Numbers f.Mode.Point
                ]
            "exactCalls",
            calls context f
            |> List.map (fun (name, count) -> name, JsonValue.Int count)
            |> JsonValue.Object
            "labels",
            JsonValue.Object
                [
                    "train", integer f.Labels.Train
                    "byDesign",
                    f.Labels.TrainLabels
                    |> List.map (fun (tag, count) -> tag, integer count)
                    |> JsonValue.Object
                    "test", integer f.Labels.TestLabels
                    "thin", integer f.Labels.Thin
                    "minEss", JsonValue.Number f.Labels.MinEss
                    "maxRHat", JsonValue.Number f.Labels.MaxRHat
                    "acceptance", JsonValue.Number f.Labels.Acceptance
                    "divergences", integer f.Labels.Divergences
                    "lostAnchors", integer f.Labels.LostAnchors
                ]
            "network",
            JsonValue.Object
                [
                    "layers", JsonValue.Text(Architecture.describe f.Surrogate.Network)
                    "weights", integer (Architecture.size f.Surrogate.Network)
                    "unit", JsonValue.Number f.Learner.Scale
                ]
            "history", TrainingStage.historyJson f.TrainingStatus f.History
            "metrics", Validate.checkJson f.Check
            "region",
            JsonValue.Object
                [
                    "lowest", JsonValue.Numbers f.Surrogate.Region.Lowest
                    "highest", JsonValue.Numbers f.Surrogate.Region.Highest
                ]
            "onnxRuntime", agreementJson f.Agreement
            "checks",
            checks f
            |> List.map (fun (name, passed) -> name, JsonValue.ofOption JsonValue.Bool passed)
            |> JsonValue.Object
        ]

    /// The page for people.
    let private page (context: JobContext) (f: Findings) : Page =
        let parameters = Likelihood.parameters context.Subject.Likelihood
        let kinds = parameters |> Array.countBy _.Kind |> Map.ofArray
        let count (kind: ParameterKind) : int = Map.tryFind kind kinds |> Option.defaultValue 0

        SurrogateReport.toPage
            {
                Model = context.Subject.Likelihood.Name
                Pois = count ParameterKind.Poi
                Nuisances = count ParameterKind.Nuisance
                Recipe = context.Job.Recipe.Name
                Network = Architecture.describe f.Surrogate.Network
                Labels =
                    (f.Labels.TrainLabels
                     |> List.map (fun (tag, n) -> $"to learn from, {tag}", int64 n))
                    @ [ "to check with, posterior", int64 f.Labels.TestLabels ]
                ExactCalls = calls context f |> List.filter (fun (name, _) -> name <> "total")
                Accuracy = f.Check
                History = f.History
                Checks = checks f
                Agreement = f.Agreement
                Hashes =
                    [
                        "SHA-256 of the model", context.Subject.Hash
                        "key", Key.toText context.Key
                        "FunLik", Version.current
                    ]
            }

    let private provenance (context: JobContext) : (string * string) list =
        [
            "model", context.Subject.Hash
            "recipe", context.Job.Recipe.Name
            "seed", string context.Job.Seed
            "labels", string context.Job.Labels
        ]

    /// A surrogate and its quadratic against exact values and scans.
    let check
        (options: RunOptions)
        (maximum: float)
        (points: LabelSet)
        (scans: ExactScan list)
        (surrogate: Likelihood)
        (quadratic: Likelihood)
        : SurrogateCheck =
        {
            Slices = Validate.slices options maximum points surrogate quadratic
            Profiles =
                scans
                |> List.map (fun scan -> Validate.profile options scan surrogate quadratic)
        }

    let private publish
        (context: JobContext)
        (mode: ModeFacts)
        (labels: StageResult)
        (exact: ExactChecks)
        (training: StageResult)
        (learner: Learner)
        (folder: string)
        : Result<string list, Error list> =
        let options = context.Verb.Options
        JobContext.say context "checking" 0 0

        result {
            let! test = LabelFiles.read labels.Folder LabelUse.Test
            let! surrogate = TrainingStage.surrogate training learner
            let! facts = LabelStage.read labels
            let! history, status = TrainingStage.readHistory training

            let all = LabelSet.concat test.Parameters [ test; exact.Ridge ]

            let learnt =
                (Objective.ofLikelihood surrogate.Likelihood).Values(all.Points, options)

            let! onnx = Bundle.toOnnx false mode.Point (provenance context) surrogate
            let! quadratic = Bundle.quadraticToOnnx surrogate
            let! agreement = Bundle.agreement onnx all.Points learnt

            let findings =
                {
                    Mode = mode
                    Labels = facts
                    CheckCalls = exact.Calls
                    History = history
                    TrainingStatus = status
                    Learner = learner
                    Surrogate = surrogate
                    Check =
                        check
                            options
                            mode.LogDensity
                            all
                            exact.Scans
                            surrogate.Likelihood
                            surrogate.Baseline
                    Agreement = agreement
                }

            // Test vectors of all designs, evenly.
            let rows = min vectors all.Count
            let chosen = Array.init rows (fun k -> k * all.Count / rows)
            let points = (LabelSet.rows chosen all).Points
            let values = chosen |> Array.map (fun r -> learnt[r])
            do! Page.write (Path.Combine(folder, reportFile)) (page context findings)
            let! _ = Bundle.write folder (card context findings) onnx quadratic points values

            return
                [
                    Bundle.modelFile
                    Bundle.quadraticFile
                    Bundle.pointsFile
                    Bundle.valuesFile
                    Bundle.cardFile
                    reportFile
                ]
        }

    /// Checks the surrogate and writes the bundle.
    let run
        (mode: ModeFacts)
        (labels: StageResult)
        (checks: StageResult option)
        (exact: ExactChecks)
        (training: StageResult)
        (learner: Lazy<Result<Learner, Error list>>)
        (context: JobContext)
        : Result<StageResult, Error list> =
        let inputs =
            JsonValue.Object
                [
                    "subject", JsonValue.Text context.Subject.Hash
                    "labels", JsonValue.Text labels.Contents
                    "checks", checks |> JsonValue.ofOption (fun c -> JsonValue.Text c.Contents)
                    "training", JsonValue.Text training.Contents
                    "job", Job.toJson context.Job
                    // A bundle that was not checked is checked when the library has come.
                    "onnxRuntime",
                    OnnxRuntime.version () |> Result.toOption |> JsonValue.ofOption JsonValue.Text
                ]

        Stage.run context.Job.Output "bundle" inputs (fun folder ->
            learner.Value
            |> Result.bind (fun learner ->
                publish context mode labels exact training learner folder))
