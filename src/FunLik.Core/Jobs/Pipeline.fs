namespace FunLik

open System
open System.IO

/// What a job came to.
[<RequireQualifiedAccess>]
type JobResult =
    /// A bundle, its card, and what the user should know.
    | Bundle of folder: string * card: Json * stages: StageResult list * notes: string list
    /// The chains do not agree: nothing was learnt.
    | NotSampled of LabelFacts

/// The main job: a likelihood is sampled, learnt, checked against the exact one, written as ONNX, and evaluated by ONNX Runtime.
[<RequireQualifiedAccess>]
module Pipeline =

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
                "threads", JobContext.integer context.Verb.Options.Threads
                "stages", stages |> List.map entry |> JsonValue.List
            ]
        |> JsonValue.writeFile (Path.Combine(context.Job.Output, "run.log.json"))

    let private noChecks (names: string[]) : ExactChecks =
        { Ridge = LabelSet.empty names; Scans = []; Calls = 0L }

    let private runStages (context: JobContext) : Result<JobResult, Error list> =
        let timed (stage: unit -> Result<StageResult, Error list>) : Result<Timed, Error list> =
            let started = context.Verb.Clock()

            stage ()
            |> Result.map (fun made ->
                { Stage = made; Started = started; Ended = context.Verb.Clock() })

        let names = Likelihood.names context.Subject.Likelihood

        result {
            let! mode = timed (fun () -> ModeStage.run context)
            let! modeFacts = ModeStage.read mode.Stage
            let! labels = timed (fun () -> LabelStage.run mode.Stage modeFacts context)
            let! facts = LabelStage.read labels.Stage

            if not facts.Converged then
                do! log context [ mode; labels ]
                return JobResult.NotSampled facts
            else
                let! checks =
                    match context.Subject.Exact with
                    | Some model ->
                        timed (fun () -> CheckStage.run mode.Stage modeFacts model context)
                        |> Result.map Some
                    | None -> Ok None

                let! exact =
                    match checks with
                    | Some stage -> CheckStage.read names stage.Stage
                    | None -> Ok(noChecks names)

                let learner = lazy (TrainingStage.learner labels.Stage context)
                let! training = timed (fun () -> TrainingStage.run labels.Stage learner context)

                let! bundle =
                    timed (fun () ->
                        BundleStage.run
                            modeFacts
                            labels.Stage
                            (checks |> Option.map _.Stage)
                            exact
                            training.Stage
                            learner
                            context)

                let all = [ mode; labels ] @ Option.toList checks @ [ training; bundle ]
                do! log context all

                let! card = Json.parseFile (Path.Combine(bundle.Stage.Folder, Bundle.cardFile))

                let asked = context.Job.Labels

                let notes =
                    [
                        if facts.Train < asked && asked < Int32.MaxValue then
                            $"{facts.Train} labels to learn from where {asked} were asked for"
                    ]

                return JobResult.Bundle(bundle.Stage.Folder, card, all |> List.map _.Stage, notes)
        }

    /// Runs a job in its folder of results: stages that an earlier run has done there are not done again. The same job gives the same
    /// files, byte for byte, run.log.json aside.
    let run (context: VerbContext) (job: Job) : Result<JobResult, Error list> =
        match Job.check job with
        | _ :: _ as errors -> Result.Error errors
        | [] ->
            JobContext.subject job.Source
            |> Result.bind (fun subject ->
                FileError.guard job.Output (fun () ->
                    Directory.CreateDirectory job.Output |> ignore

                    runStages
                        {
                            Verb = context
                            Job = job
                            Subject = subject
                            Key = Key.ofSeed job.Seed
                        }))

    let private notSampled (facts: LabelFacts) : Report =
        {
            Converged = false
            Json =
                JsonValue.Object
                    [
                        "status", JsonValue.Text "the chains do not agree"
                        "maxRhat", JsonValue.Number facts.MaxRHat
                        "minEss", JsonValue.Number facts.MinEss
                        "exactCalls",
                        JsonValue.Object [ "sampling", JsonValue.Int facts.SamplingCalls ]
                    ]
            Text = []
            Notes =
                [
                    $"the chains do not agree: R-hat {TextTable.significant 4 facts.MaxRHat}; nothing was learnt"
                ]
        }

    /// What a verb says of a job's result; `json` makes the object for machines from the card.
    let report
        (json: string -> Json -> Result<JsonValue, Error list>)
        (found: JobResult)
        : Result<Report, Error list> =
        match found with
        | JobResult.NotSampled facts -> Ok(notSampled facts)
        | JobResult.Bundle(folder, card, stages, asked) ->
            let skipped =
                stages |> List.filter _.IsSkipped |> List.map _.Name |> String.concat ", "

            let notes =
                asked
                @ (stages |> List.choose _.Note)
                @ [
                    if skipped <> "" then
                        $"taken from an earlier run: {skipped}"
                ]

            Ok(fun json metrics calls runtime failed ->
                {
                    Converged = List.isEmpty failed
                    Json = json
                    Text = metrics @ [ "" ] @ calls @ [ ""; runtime; $"bundle: {folder}" ]
                    Notes = failed @ notes
                })
            |> Validation.apply (json folder card)
            |> Validation.apply (Json.field "metrics" CardText.metrics card)
            |> Validation.apply (CardText.calls card)
            |> Validation.apply (CardText.runtime card)
            |> Validation.apply (CardText.failed card)

    /// The card with the folder of the bundle: what `funlik run` says.
    let cardJson (folder: string) (card: Json) : Result<JsonValue, Error list> =
        match Json.toValue card with
        | JsonValue.Object entries ->
            Ok(JsonValue.Object(entries @ [ "bundle", JsonValue.Text folder ]))
        | other -> Ok other
