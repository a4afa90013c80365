namespace FunLik

open System.IO

/// The stage of a job that trains the network.
[<RequireQualifiedAccess>]
module TrainingStage =

    /// Labels as data. Where the priors are known they are exact, and are not learnt.
    let private dataOf (context: JobContext) (set: LabelSet) : Result<Dataset, Error list> =
        let values, gradients =
            match context.Subject.Exact with
            | None -> set.LogDensity, set.Gradient
            | Some model ->
                let likelihood = model.Likelihood
                let prior = (Likelihood.parts likelihood).Prior

                let priors =
                    (Objective.session
                        likelihood
                        [ "prior", prior; "gradient", Likelihood.gradient likelihood prior ])
                        .Evaluate(set.Count, [| set.Points |], context.Verb.Options)

                Array.map2 (-) set.LogDensity priors[0], Array.map2 (-) set.Gradient priors[1]

        Dataset.create set.Dimension set.Points values (Some gradients) set.Chains

    /// Fits the reference and compiles the training. Of every design one in ten of the chains or anchors chooses the weights.
    let learner (labels: StageResult) (context: JobContext) : Result<Learner, Error list> =
        LabelFiles.read labels.Folder LabelUse.Train
        |> Result.bind (fun set ->
            let isChoosing = LabelStage.lastGroups 10 set

            dataOf context set
            |> Result.bind (fun data ->
                let choosing, training = Dataset.splitByGroup isChoosing data

                Surrogate.prepare
                    context.Verb.Options
                    context.Job.Recipe
                    context.Subject.Likelihood
                    training
                    choosing))

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
                    JobContext.say context "training" info.Epoch epochs
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

    /// A history as JSON: how it ended, and the losses by epoch.
    let historyJson (status: string) (history: EpochInfo list) : JsonValue =
        let losses (loss: EpochInfo -> float) : JsonValue =
            history |> Seq.map loss |> Array.ofSeq |> JsonValue.Numbers

        JsonValue.Object
            [
                "status", JsonValue.Text status
                "training", losses _.TrainingLoss
                "validation", losses _.ValidationLoss
            ]

    /// Trains the network on what the quadratic leaves.
    let run
        (labels: StageResult)
        (learner: Lazy<Result<Learner, Error list>>)
        (context: JobContext)
        : Result<StageResult, Error list> =
        let inputs =
            JsonValue.Object
                [
                    "subject", JsonValue.Text context.Subject.Hash
                    "labels", JsonValue.Text labels.Contents
                    "seed", JobContext.integer context.Job.Seed
                    "recipe", RecipeJson.write context.Job.Recipe
                ]

        Stage.run context.Job.Output "training" inputs (fun folder ->
            let checkpoints = Path.Combine(folder, "checkpoints")
            let label = Stage.hashText (JsonValue.toLine inputs)

            learner.Value
            |> Result.bind (fun learner ->
                train context checkpoints label learner
                |> Result.bind (fun (history, state) ->
                    WeightsFile.write
                        (Path.Combine(folder, weightsFile))
                        learner.Network
                        state.Best
                    |> Result.bind (fun () ->
                        historyJson (statusName state.Status) history
                        |> JsonValue.writeFile (Path.Combine(folder, historyFile)))))
            |> Result.map (fun () ->
                if Directory.Exists checkpoints then
                    Directory.Delete(checkpoints, true)

                [ weightsFile; historyFile ]))

    /// The history of the training, and how it ended.
    let readHistory (stage: StageResult) : Result<EpochInfo list * string, Error list> =
        Json.parseFile (Path.Combine(stage.Folder, historyFile))
        |> Result.bind (fun json ->
            Validation.map3
                (fun status training validation ->
                    List.mapi2
                        (fun i t v -> { Epoch = i + 1; TrainingLoss = t; ValidationLoss = v })
                        training
                        validation,
                    status)
                (Json.field "status" Json.text json)
                (Json.field "training" (Json.list JobContext.numberOrNull) json)
                (Json.field "validation" (Json.list JobContext.numberOrNull) json))

    /// The surrogate of the best weights.
    let surrogate (stage: StageResult) (learner: Learner) : Result<Surrogate, Error list> =
        WeightsFile.read (Path.Combine(stage.Folder, weightsFile)) learner.Network
        |> Result.map (fun weights -> Surrogate.ofWeights weights learner)
