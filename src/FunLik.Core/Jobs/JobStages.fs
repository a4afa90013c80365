namespace FunLik

open System.IO

/// What the stages of a job share.
type JobContext =
    {
        /// Threads, cancellation and progress.
        Verb: VerbContext
        /// The job.
        Job: Job
        /// The model to be learnt.
        Model: LoadedModel
        /// The source of all randomness.
        Key: Key
    }

/// The largest density, where sampling starts.
type ModeFacts = { Point: float[]; LogDensity: float; Status: string; Calls: int64 }

/// What sampling cost, and how good it was.
type SamplingFacts =
    {
        /// Whether the chains agree; else there are no labels.
        Converged: bool
        /// Exact values and gradients of warm-up and draws; the labels are among them.
        Calls: int64
        /// Every so many draws became labels.
        Thin: int
        MinEss: float
        MaxRHat: float
        Acceptance: float
        Divergences: int
        /// Labels to learn from, and labels to check with.
        TrainLabels: int
        TestLabels: int
    }

/// How training ended.
type TrainingFacts = { Status: string; BestLoss: float; History: EpochInfo list }

/// The stages of a job that take time: the mode, the labels, the training. Each keeps what it found in files, and reads it from there.
[<RequireQualifiedAccess>]
module JobStages =

    let private integer (value: int) : JsonValue = JsonValue.Int(int64 value)

    let private say (context: JobContext) (stage: string) (count: int) (total: int) : unit =
        context.Verb.Progress { Stage = stage; Done = int64 count; Total = int64 total }

    let private modelInput (context: JobContext) : string * JsonValue =
        "model", JsonValue.Text context.Model.Sha256

    let private count (name: string) (json: Json) : Result<int64, Error list> =
        Json.field name Json.float json |> Result.map int64

    /// A number that may be null: not finite.
    let private number (name: string) (json: Json) : Result<float, Error list> =
        Json.optionalField name Json.float json |> Result.map (Option.defaultValue nan)

    // ---- The mode

    let private modeFile = "mode.json"

    /// Finds the largest density.
    let mode (context: JobContext) : Result<StageResult, Error list> =
        let inputs = JsonValue.Object [ modelInput context ]

        Stage.run context.Job.Output "mode" inputs (fun folder ->
            say context "finding the mode" 0 0
            let options = { FitOptions.Default with Run = context.Verb.Options }
            let fit = Fit.withOptions options context.Model.Likelihood

            JsonValue.Object
                [
                    "status", JsonValue.Text $"{fit.Status}"
                    "logDensity", JsonValue.Number fit.LogDensity
                    "point", JsonValue.Numbers fit.Point
                    // Value and gradient are two calls.
                    "calls", JsonValue.Int(2L * int64 fit.Evaluations)
                ]
            |> JsonValue.writeFile (Path.Combine(folder, modeFile))
            |> Result.map (fun () -> [ modeFile ]))

    /// What the stage of the mode found.
    let readMode (stage: StageResult) : Result<ModeFacts, Error list> =
        Json.parseFile (Path.Combine(stage.Folder, modeFile))
        |> Result.bind (fun json ->
            Ok(fun point y status calls ->
                { Point = point; LogDensity = y; Status = status; Calls = calls })
            |> Validation.apply (Json.field "point" Json.numbers json)
            |> Validation.apply (number "logDensity" json)
            |> Validation.apply (Json.field "status" Json.text json)
            |> Validation.apply (count "calls" json))

    // ---- Labels

    let private samplingFile = "sampling.json"

    let private design (context: JobContext) : PosteriorDesign =
        let plan = context.Job.Sampling
        let dimension = (Likelihood.parameters context.Model.Likelihood).Length
        let usual = Design.posteriorOf dimension context.Job.Labels

        { usual with
            Chains = plan.Chains
            TestChains = plan.TestChains
            Warmup = { usual.Warmup with Steps = plan.Warmup }
        }

    let private sayStep (context: JobContext) (design: PosteriorDesign) (state: PosteriorState) =
        match state.Stage with
        | PosteriorStage.WarmingUp ->
            say context "warming up" state.Warmup.Chains.Step design.Warmup.Steps
        | PosteriorStage.Piloting -> say context "sampling" 0 0
        | _ ->
            let done' = state.Kept * (design.Chains - design.TestChains)
            say context "taking labels" (min done' design.Labels) design.Labels

    let private samplingJson (train: int) (test: int) (state: PosteriorState) : JsonValue =
        let pilot = state.Pilot

        JsonValue.Object
            [
                "converged", JsonValue.Bool state.Stage.IsFinished
                "calls", JsonValue.Int (state.TuningCalls + state.SamplingCalls).Total
                "thin", integer state.Thin
                "minEss", JsonValue.Number pilot.MinEss
                "maxRHat", JsonValue.Number pilot.MaxRHat
                "acceptance", JsonValue.Number pilot.Acceptance
                "divergences", integer pilot.Divergences
                "trainLabels", integer train
                "testLabels", integer test
            ]

    /// Samples the posterior: labels to learn from, and labels of other chains to check with.
    let labels (mode: StageResult) (facts: ModeFacts) (context: JobContext) =
        let design = design context

        let inputs =
            JsonValue.Object
                [
                    modelInput context
                    "mode", JsonValue.Text mode.Contents
                    "seed", integer context.Job.Seed
                    "labels", integer design.Labels
                    "chains", integer design.Chains
                    "testChains", integer design.TestChains
                    "warmup", integer design.Warmup.Steps
                ]

        Stage.run context.Job.Output "labels" inputs (fun folder ->
            let objective = Objective.ofLikelihood context.Model.Likelihood
            let options = context.Verb.Options
            let key = Key.foldName "sampling" context.Key

            let steps =
                Design.start options objective design facts.Point key
                |> Design.posterior options objective design key
                |> Seq.map (fun step ->
                    sayStep context design step.State
                    step)
                |> List.ofSeq

            let names = Likelihood.names context.Model.Likelihood
            let last = (List.last steps).State
            let train = steps |> List.map _.Train |> LabelSet.concat names
            let test = steps |> List.map _.Test |> LabelSet.concat names

            LabelFiles.init names []
            |> LabelFiles.append folder LabelUse.Train train
            |> Result.bind (LabelFiles.append folder LabelUse.Test test)
            |> Result.bind (fun manifest ->
                samplingJson train.Count test.Count last
                |> JsonValue.writeFile (Path.Combine(folder, samplingFile))
                |> Result.map (fun () ->
                    let shards = manifest.Shards |> List.map _.File

                    if shards.IsEmpty then
                        [ samplingFile ]
                    else
                        samplingFile :: "labels.json" :: shards)))

    /// What sampling cost, and how good it was.
    let readSampling (stage: StageResult) : Result<SamplingFacts, Error list> =
        Json.parseFile (Path.Combine(stage.Folder, samplingFile))
        |> Result.bind (fun json ->
            let int name = Json.field name Json.int json

            Ok(fun converged calls thin ess rHat acceptance divergences train test ->
                {
                    Converged = converged
                    Calls = calls
                    Thin = thin
                    MinEss = ess
                    MaxRHat = rHat
                    Acceptance = acceptance
                    Divergences = divergences
                    TrainLabels = train
                    TestLabels = test
                })
            |> Validation.apply (Json.field "converged" Json.bool json)
            |> Validation.apply (count "calls" json)
            |> Validation.apply (int "thin")
            |> Validation.apply (number "minEss" json)
            |> Validation.apply (number "maxRHat" json)
            |> Validation.apply (number "acceptance" json)
            |> Validation.apply (int "divergences")
            |> Validation.apply (int "trainLabels")
            |> Validation.apply (int "testLabels"))

    /// Labels as data of the density without priors, which are never learnt.
    let private dataOf (context: JobContext) (set: LabelSet) : Result<Dataset, Error list> =
        let model = context.Model.Likelihood
        let prior = (Likelihood.parts model).Prior

        let priors =
            (Objective.session model [ "prior", prior; "gradient", Likelihood.gradient model prior ])
                .Evaluate(set.Count, [| set.Points |], context.Verb.Options)

        Dataset.create
            set.Dimension
            set.Points
            (Array.map2 (-) set.LogDensity priors[0])
            (Some(Array.map2 (-) set.Gradient priors[1]))
            set.Chains

    /// Fits the reference and compiles the training. One in ten of the chains to learn from chooses the weights.
    let learner (labels: StageResult) (context: JobContext) : Result<Learner, Error list> =
        LabelFiles.read labels.Folder LabelUse.Train
        |> Result.bind (dataOf context)
        |> Result.bind (fun data ->
            let chains = data.Groups |> Array.distinct |> Array.sort
            let first = chains[chains.Length - max 1 (chains.Length / 10)]
            let choosing, training = Dataset.splitByGroup (fun chain -> chain >= first) data

            Surrogate.prepare
                context.Verb.Options
                context.Job.Recipe
                context.Model.Likelihood
                training
                choosing)

    // ---- Training

    let private weightsFile, private historyFile = "weights.npy", "history.json"

    /// Epochs between two checkpoints.
    let private checkpointEvery = 20

    /// Trains from where an earlier run of the same training was broken off, if it was.
    let private train
        (context: JobContext)
        (checkpoints: string)
        (label: string)
        (learner: Learner)
        : Result<EpochInfo list * TrainingState, Error list> =
        let initial = Train.init (Key.foldName "training" context.Key) learner.Trainer

        let start =
            // A damaged checkpoint costs time, not the result.
            match Checkpoint.tryRead checkpoints label initial with
            | Ok(Some found) -> found
            | Ok None
            | Result.Error _ -> [], initial

        let epochs = Train.epochs learner.Trainer

        Train.run context.Verb.Options learner.Trainer (snd start)
        |> Seq.fold
            (fun so (struct (state, info)) ->
                so
                |> Result.bind (fun (history, _) ->
                    say context "training" info.Epoch epochs
                    let longer = history @ [ info ]

                    if state.Status.IsRunning && info.Epoch % checkpointEvery = 0 then
                        Checkpoint.write checkpoints label longer state
                        |> Result.map (fun () -> longer, state)
                    else
                        Ok(longer, state)))
            (Ok start)

    let private statusName (status: TrainingStatus) : string =
        match status with
        | TrainingStatus.Running -> "running"
        | TrainingStatus.Finished -> "finished"
        | TrainingStatus.Stopped -> "stopped early"
        | TrainingStatus.NotFinite -> "not finite"

    /// Trains the network on what the quadratic leaves.
    let training
        (labels: StageResult)
        (learner: Lazy<Result<Learner, Error list>>)
        (context: JobContext)
        : Result<StageResult, Error list> =
        let inputs =
            JsonValue.Object
                [
                    modelInput context
                    "labels", JsonValue.Text labels.Contents
                    "seed", integer context.Job.Seed
                    "recipe", Recipe.toJson context.Job.Recipe
                ]

        Stage.run context.Job.Output "training" inputs (fun folder ->
            let checkpoints = Path.Combine(folder, "checkpoints")
            let label = Stage.hashText (JsonValue.toLine inputs)

            learner.Value
            |> Result.bind (fun learner ->
                train context checkpoints label learner
                |> Result.bind (fun (history, state) ->
                    let losses (loss: EpochInfo -> float) : JsonValue =
                        history |> Seq.map loss |> Array.ofSeq |> JsonValue.Numbers

                    WeightsFile.write
                        (Path.Combine(folder, weightsFile))
                        learner.Network
                        state.Best
                    |> Result.bind (fun () ->
                        JsonValue.Object
                            [
                                "status", JsonValue.Text(statusName state.Status)
                                "bestLoss", JsonValue.Number state.BestLoss
                                "training", losses _.TrainingLoss
                                "validation", losses _.ValidationLoss
                            ]
                        |> JsonValue.writeFile (Path.Combine(folder, historyFile)))))
            |> Result.map (fun () ->
                if Directory.Exists checkpoints then
                    Directory.Delete(checkpoints, true)

                [ weightsFile; historyFile ]))

    /// The history of the training as JSON, and how it ended.
    let readHistory (stage: StageResult) : Result<JsonValue * string, Error list> =
        Json.parseFile (Path.Combine(stage.Folder, historyFile))
        |> Result.bind (fun json ->
            Json.field "status" Json.text json
            |> Result.map (fun status -> Json.toValue json, status))

    /// The surrogate of the best weights.
    let surrogate (stage: StageResult) (learner: Learner) : Result<Surrogate, Error list> =
        WeightsFile.read (Path.Combine(stage.Folder, weightsFile)) learner.Network
        |> Result.map (fun weights -> Surrogate.ofWeights weights learner)
