namespace FunLik

open System
open System.IO

/// The main job: a likelihood is sampled, learnt, checked against the exact one, written as ONNX, and evaluated by ONNX Runtime.
[<RequireQualifiedAccess>]
module Pipeline =

    let private integer (value: int) : JsonValue = JsonValue.Int(int64 value)

    /// The points of the test vectors in a bundle.
    let private vectors = 100

    /// All that the card says, in numbers.
    type private Findings =
        {
            Mode: ModeFacts
            Sampling: SamplingFacts
            History: JsonValue
            TrainingStatus: string
            Learner: Learner
            Surrogate: Surrogate
            Learnt: Deviations
            Quadratic: Deviations
            Agreement: Agreement
        }

    let private checks (f: Findings) : (string * bool option) list =
        [
            "the mode is found", Some(f.Mode.Status = "Converged")
            "the training is finished", Some(f.TrainingStatus = "finished")
            "the network beats the quadratic", Some(f.Learnt.Mse < f.Quadratic.Mse)
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

    let private card (context: JobContext) (f: Findings) : (string * JsonValue) list =
        let model = context.Model
        // The labels are among the draws; the surrogate is checked against values computed anew.
        let calls =
            [
                "mode", f.Mode.Calls
                "sampling", f.Sampling.Calls
                "labels", 0L
                "validation", int64 f.Learnt.Points
            ]

        let total = calls |> List.sumBy snd

        [
            "schema", JsonValue.Int 1L
            "kind", JsonValue.Text "surrogate"
            "funlik", JsonValue.Text Version.current
            "model",
            JsonValue.Object
                [
                    "name", JsonValue.Text model.Likelihood.Name
                    "file", JsonValue.Text(Path.GetFileName context.Job.Model)
                    "kind", JsonValue.Text model.Kind
                    "sha256", JsonValue.Text model.Sha256
                    "parameters", JsonValue.ofTexts (Likelihood.names model.Likelihood)
                ]
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
            (calls @ [ "total", total ])
            |> List.map (fun (name, count) -> name, JsonValue.Int count)
            |> JsonValue.Object
            "labels",
            JsonValue.Object
                [
                    "train", integer f.Sampling.TrainLabels
                    "test", integer f.Sampling.TestLabels
                    "thin", integer f.Sampling.Thin
                    "minEss", JsonValue.Number f.Sampling.MinEss
                    "maxRHat", JsonValue.Number f.Sampling.MaxRHat
                    "acceptance", JsonValue.Number f.Sampling.Acceptance
                    "divergences", integer f.Sampling.Divergences
                ]
            "network",
            JsonValue.Object
                [
                    "layers", JsonValue.Text(Architecture.describe f.Surrogate.Network)
                    "weights", integer (Architecture.size f.Surrogate.Network)
                    "unit", JsonValue.Number f.Learner.Scale
                ]
            "history", f.History
            "metrics",
            JsonValue.Object
                [
                    "posterior",
                    JsonValue.Object
                        [
                            "surrogate", Validate.toJson f.Learnt
                            "quadratic", Validate.toJson f.Quadratic
                        ]
                ]
            "region",
            JsonValue.Object
                [
                    "design", JsonValue.Text f.Surrogate.Region.Design
                    "lowest", JsonValue.Numbers f.Surrogate.Region.Lowest
                    "highest", JsonValue.Numbers f.Surrogate.Region.Highest
                ]
            "onnxRuntime", agreementJson f.Agreement
            "checks",
            checks f
            |> List.map (fun (name, passed) -> name, JsonValue.ofOption JsonValue.Bool passed)
            |> JsonValue.Object
        ]

    let private provenance (context: JobContext) : (string * string) list =
        [
            "model", context.Model.Sha256
            "recipe", context.Job.Recipe.Name
            "seed", string context.Job.Seed
            "labels", string context.Job.Labels
        ]

    /// Checks the surrogate and writes the bundle.
    let private publish
        (context: JobContext)
        (mode: ModeFacts)
        (labels: StageResult)
        (training: StageResult)
        (learner: Learner)
        (folder: string)
        : Result<string list, Error list> =
        let options = context.Verb.Options
        context.Verb.Progress { Stage = "checking"; Done = 0L; Total = 0L }

        result {
            let! test = LabelFiles.read labels.Folder LabelUse.Test
            let! surrogate = JobStages.surrogate training learner
            let! sampling = JobStages.readSampling labels
            let! history, status = JobStages.readHistory training

            let values (model: Likelihood) : float[] =
                (Objective.ofLikelihood model).Values(test.Points, options)

            let exact = values context.Model.Likelihood
            let learnt = values surrogate.Likelihood
            let! onnx = Bundle.toOnnx false mode.Point (provenance context) surrogate
            let! agreement = Bundle.agreement onnx test.Points learnt

            let findings =
                {
                    Mode = mode
                    Sampling = sampling
                    History = history
                    TrainingStatus = status
                    Learner = learner
                    Surrogate = surrogate
                    Learnt = Validate.deviations learnt exact
                    Quadratic = Validate.deviations (values surrogate.Baseline) exact
                    Agreement = agreement
                }

            let rows = min vectors test.Count
            let points = Array.truncate (rows * test.Dimension) test.Points

            let! _ =
                Bundle.write folder (card context findings) onnx points (Array.truncate rows learnt)

            return [ Bundle.modelFile; Bundle.pointsFile; Bundle.valuesFile; Bundle.cardFile ]
        }

    // ---- What is told

    let private significant (digits: int) (json: Json) : Result<string, Error list> =
        Json.float json |> Result.map (TextTable.significant digits)

    let private accuracy (card: Json) : Result<string list, Error list> =
        let row (name: string) (json: Json) : Result<string list, Error list> =
            let metric (field: string) = Json.field field (significant 3) json

            let points =
                Json.field "points" Json.int json |> Result.map (int64 >> TextTable.count)

            [ Ok name; points; metric "mse"; metric "mae"; metric "max" ] |> Error.collect

        card
        |> Json.field
            "metrics"
            (Json.field "posterior" (fun posterior ->
                [
                    Json.field "surrogate" (row "learnt") posterior
                    Json.field "quadratic" (row "quadratic alone") posterior
                ]
                |> Error.collect))
        |> Result.map (
            TextTable.lines
                [
                    TextTable.words "on posterior points of other chains"
                    TextTable.numbers "points"
                    TextTable.numbers "MSE [log units²]"
                    TextTable.numbers "MAE [log units]"
                    TextTable.numbers "largest [log units]"
                ]
        )

    let private callsTable (card: Json) : Result<string list, Error list> =
        card
        |> Json.field "exactCalls" Json.entries
        |> Result.bind (fun entries ->
            entries
            |> List.map (fun (name, json) ->
                Json.float json |> Result.map (fun c -> [ name; TextTable.count (int64 c) ]))
            |> Error.collect)
        |> Result.map (
            TextTable.lines
                [ TextTable.words "exact calls (a gradient is one more)"; TextTable.numbers "" ]
        )

    let private runtimeLine (card: Json) : Result<string, Error list> =
        card
        |> Json.field "onnxRuntime" (fun json ->
            Json.optionalField "notChecked" Json.text json
            |> Result.bind (function
                | Some reason -> Ok $"ONNX Runtime: not checked ({reason})"
                | None ->
                    Validation.map3
                        (fun version largest tolerance ->
                            $"ONNX Runtime {version}: largest difference {largest} of max(1, |y|), at most {tolerance}")
                        (Json.field "version" Json.text json)
                        (Json.field "largestDifference" (significant 2) json)
                        (Json.field "tolerance" (significant 2) json)))

    let private failedChecks (card: Json) : Result<string list, Error list> =
        card
        |> Json.field "checks" Json.entries
        |> Result.map (fun entries ->
            entries
            |> List.choose (fun (name, json) ->
                match Json.bool json with
                | Ok false -> Some $"not so: {name}"
                | _ -> None))

    let private report
        (stages: StageResult list)
        (bundle: StageResult)
        : Result<Report, Error list> =
        let notes = stages |> List.choose _.Note

        let skipped =
            stages |> List.filter _.IsSkipped |> List.map _.Name |> String.concat ", "

        Json.parseFile (Path.Combine(bundle.Folder, Bundle.cardFile))
        |> Result.bind (fun card ->
            Ok(fun accuracy calls runtime failed ->
                {
                    Converged = List.isEmpty failed
                    Json =
                        match Json.toValue card with
                        | JsonValue.Object entries ->
                            JsonValue.Object(entries @ [ "bundle", JsonValue.Text bundle.Folder ])
                        | other -> other
                    Text = accuracy @ [ "" ] @ calls @ [ ""; runtime; $"bundle: {bundle.Folder}" ]
                    Notes =
                        notes
                        @ failed
                        @ (if skipped = "" then
                               []
                           else
                               [ $"taken from an earlier run: {skipped}" ])
                })
            |> Validation.apply (accuracy card)
            |> Validation.apply (callsTable card)
            |> Validation.apply (runtimeLine card)
            |> Validation.apply (failedChecks card))

    let private notSampled (facts: SamplingFacts) : Report =
        {
            Converged = false
            Json =
                JsonValue.Object
                    [
                        "status", JsonValue.Text "the chains do not agree"
                        "maxRhat", JsonValue.Number facts.MaxRHat
                        "minEss", JsonValue.Number facts.MinEss
                        "exactCalls", JsonValue.Int facts.Calls
                    ]
            Text = []
            Notes =
                [
                    $"the chains do not agree: R-hat {TextTable.significant 4 facts.MaxRHat}; nothing was learnt"
                ]
        }

    /// A stage with the times at which it began and ended.
    type private Timed = { Stage: StageResult; Started: DateTimeOffset; Ended: DateTimeOffset }

    /// Writes what is no part of the results: when each stage ran.
    let private log (context: JobContext) (stages: Timed list) : Result<unit, Error list> =
        let entry (timed: Timed) : JsonValue =
            JsonValue.Object
                [
                    "stage", JsonValue.Text timed.Stage.Name
                    "skipped", JsonValue.Bool timed.Stage.IsSkipped
                    "started", JsonValue.Text(timed.Started.ToString "O")
                    "seconds", JsonValue.Number (timed.Ended - timed.Started).TotalSeconds
                ]

        JsonValue.Object
            [
                "schema", JsonValue.Int 1L
                "threads", integer context.Verb.Options.Threads
                "stages", stages |> List.map entry |> JsonValue.List
            ]
        |> JsonValue.writeFile (Path.Combine(context.Job.Output, "run.log.json"))

    let private runStages (context: JobContext) : Result<Report, Error list> =
        let timed (stage: unit -> Result<StageResult, Error list>) : Result<Timed, Error list> =
            let started = context.Verb.Clock()

            stage ()
            |> Result.map (fun made ->
                { Stage = made; Started = started; Ended = context.Verb.Clock() })

        result {
            let! mode = timed (fun () -> JobStages.mode context)
            let! modeFacts = JobStages.readMode mode.Stage
            let! labels = timed (fun () -> JobStages.labels mode.Stage modeFacts context)
            let! sampling = JobStages.readSampling labels.Stage

            if not sampling.Converged then
                do! log context [ mode; labels ]
                return notSampled sampling
            else
                let learner = lazy (JobStages.learner labels.Stage context)
                let! training = timed (fun () -> JobStages.training labels.Stage learner context)

                let inputs =
                    JsonValue.Object
                        [
                            "model", JsonValue.Text context.Model.Sha256
                            "mode", JsonValue.Text mode.Stage.Contents
                            "labels", JsonValue.Text labels.Stage.Contents
                            "training", JsonValue.Text training.Stage.Contents
                            "job", Job.toJson context.Job
                            // A bundle that was not checked is checked when the library has come.
                            "onnxRuntime",
                            OnnxRuntime.version ()
                            |> Result.toOption
                            |> JsonValue.ofOption JsonValue.Text
                        ]

                let publish (folder: string) : Result<string list, Error list> =
                    learner.Value
                    |> Result.bind (fun learner ->
                        publish context modeFacts labels.Stage training.Stage learner folder)

                let! bundle = timed (fun () -> Stage.run context.Job.Output "bundle" inputs publish)

                let all = [ mode; labels; training; bundle ]
                do! log context all
                return! report (all |> List.map _.Stage) bundle.Stage
        }

    /// Runs a job in its folder of results: stages that an earlier run has done there are not done again. The same job gives the same
    /// files, byte for byte, run.log.json aside.
    let run (context: VerbContext) (job: Job) : Result<Report, Error list> =
        result {
            let! model = ModelFile.read job.Model ModelOptions.None

            return!
                FileError.guard job.Output (fun () ->
                    Directory.CreateDirectory job.Output |> ignore

                    runStages
                        { Verb = context; Job = job; Model = model; Key = Key.ofSeed job.Seed })
        }
