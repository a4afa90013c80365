namespace FunLik

open System

/// What a training run is, apart from its data and its key.
type TrainingPlan =
    {
        /// The network; it has one output.
        Network: Architecture
        /// What is made small.
        Loss: Loss
        /// How weights start.
        Initialisation: Initialisation
        /// How gradients become steps.
        Optimiser: Transform
        /// Rows of a step; all of the data where they are fewer. Rows left over in an epoch wait for the next.
        BatchSize: int
        /// Passes over the data, at most.
        Epochs: int
        /// When to stop before that.
        Stopping: EarlyStopping option
    }

/// Why training goes on, or has ended.
[<RequireQualifiedAccess>]
type TrainingStatus =
    | Running
    /// All epochs are done.
    | Finished
    /// The validation loss had not fallen for as many epochs as early stopping allows.
    | Stopped
    /// A loss was not finite: the weights are those before that epoch.
    | NotFinite

/// What the next epoch needs, and the best weights so far.
type TrainingState =
    {
        Weights: Weights
        /// What the optimiser carries, as `slot/weight`.
        Slots: Weights
        /// The numbers of the optimiser, in its order.
        Numbers: float list
        /// How long early stopping has waited for a gain.
        Waiting: Waiting
        /// Epochs done.
        Epoch: int
        /// The source of the order of rows; the same in all states of a run.
        Key: Key
        /// The weights with the smallest validation loss.
        Best: Weights
        BestLoss: float
        Status: TrainingStatus
    }

/// What is worth knowing of an epoch.
type EpochInfo =
    {
        /// The number of the epoch, from 1.
        Epoch: int
        /// The mean over the epoch's steps of each batch's loss before its step.
        TrainingLoss: float
        /// The loss of the validation data after the epoch.
        ValidationLoss: float
    }

/// A plan with its data, compiled: single precision, the same bits for any number of threads.
type Trainer =
    private
        {
            Plan: TrainingPlan
            Shapes: WeightShape list
            /// Rows of a step, and steps of an epoch.
            Batch: int
            Batches: int
            Training: Rows
            Validation: Rows
            /// Sessions that take steps, and those that validate.
            Steppers: Sessions
            Judges: Sessions
        }

/// Points and their targets in single precision: rows by name.
and private Rows = { Count: int; Columns: Map<string, float32[]> }

/// Sessions of a kernel, whose memory serves one epoch after the other, and what they read that all rows share.
and private Sessions = { Reads: Set<string>; Free: Pool<Session<float32>> }

/// Training: a run is a sequence of states, one an epoch.
[<RequireQualifiedAccess>]
module Train =

    let private inputName, private stepName, private lossName = "z", "step", "loss"
    let private slotName (slot: string) (weight: string) : string = $"{slot}/{weight}"
    let private numberName (number: string) : string = $"number/{number}"

    let private mistakes (plan: TrainingPlan) (data: Dataset list) : Error list =
        let refuse (kind: ErrorKind) (message: string) (found: string) (expected: string) : Error =
            Error.make kind message |> Error.found found |> Error.expected expected

        let outputs = Architecture.outputs plan.Network

        [
            if outputs <> 1 then
                refuse ErrorKind.Shape "the outputs of a trained network" $"{outputs}" "1"
            if plan.BatchSize < 1 then
                refuse ErrorKind.Value "the batch size" $"{plan.BatchSize}" "1 or more"
            if plan.Epochs < 0 then
                refuse ErrorKind.Value "the number of epochs" $"{plan.Epochs}" "0 or more"
            match plan.Stopping with
            | Some s when s.Patience < 1 ->
                refuse ErrorKind.Value "the patience of early stopping" $"{s.Patience}" "1 or more"
            | _ -> ()
            for d in data do
                if d.Inputs <> plan.Network.Inputs then
                    refuse
                        ErrorKind.Shape
                        "the points of the data"
                        $"{d.Inputs} numbers"
                        $"{plan.Network.Inputs}, the inputs of the network"

                if Loss.needsGradients plan.Loss && d.Gradients.IsNone then
                    refuse
                        ErrorKind.Schema
                        "the loss reads gradients"
                        "data without gradients"
                        "data with gradients"
        ]

    let private rowsOf (data: Dataset) : Rows =
        let singles (values: float[]) : float32[] = values |> Array.map float32

        let gradients =
            data.Gradients
            |> Option.map (fun g -> Loss.gradientName, singles g)
            |> Option.toList

        {
            Count = data.Count
            Columns =
                [ inputName, singles data.Points; Loss.valueName, singles data.Values ]
                @ gradients
                |> Map.ofList
        }

    let private binding: string -> Binding =
        Binding.ofRole (Set.ofList [ inputName; Loss.valueName; Loss.gradientName ])

    let private sessions (kernel: Kernel<float32>) : Sessions =
        let zeros =
            kernel.SharedInputs
            |> Array.map (fun (name, shape) -> name, Array.zeroCreate<float32>(Shape.size shape))
            |> Map.ofArray

        {
            Reads = zeros |> Map.keys |> Set.ofSeq
            Free = Pool<Session<float32>>(fun () -> kernel.Bind(zeros, Map.empty))
        }

    /// What a session with these values gives. One that fails is not used again.
    let private using
        (sessions: Sessions)
        (values: Weights)
        (run: Session<float32> -> 'result)
        : 'result =
        let session = sessions.Free.Take()
        session.Update(values |> Map.filter (fun name _ -> sessions.Reads.Contains name))
        let result = run session
        sessions.Free.Give session
        result

    /// Compiles a plan for its data. Mistakes are reported together.
    let prepare
        (plan: TrainingPlan)
        (training: Dataset)
        (validation: Dataset)
        : Result<Trainer, Error list> =
        match mistakes plan [ training; validation ] with
        | _ :: _ as errors -> Result.Error errors
        | [] ->
            let batch = min plan.BatchSize training.Count
            let batches = training.Count / batch
            let shapes = Architecture.weights plan.Network
            let z = Architecture.input inputName plan.Network
            let f = Architecture.toExpr Architecture.leaf z plan.Network
            let loss = Loss.perRow plan.Loss f z |> Expr.meanRows
            let leaves = shapes |> List.map Architecture.leaf
            let step = Expr.input stepName Role.Weight Scalar

            let signal =
                {
                    Step = step
                    Steps = batches * plan.Epochs
                    Numbers =
                        plan.Optimiser.Numbers
                        |> List.map (fun (name, _) ->
                            Expr.input (numberName name) Role.Weight Scalar)
                }

            let updates =
                (shapes, leaves, Diff.gradients loss leaves)
                |||> List.map3 (fun shape leaf gradient ->
                    let slots =
                        plan.Optimiser.Slots
                        |> List.map (fun slot ->
                            Expr.weight (slotName slot shape.Name) shape.Shape)

                    let change, next = plan.Optimiser.Update signal gradient slots

                    let named =
                        List.map2
                            (fun slot value -> slotName slot shape.Name, value)
                            plan.Optimiser.Slots
                            next

                    (shape.Name, leaf + change) :: named)
                |> List.concat

            let stepping =
                Program.ofOutputs ((lossName, loss) :: (stepName, step + 1.0) :: updates)

            // Whatever is updated, if a step reads it.
            let carried =
                let named = stepName :: List.map fst updates |> Set.ofList

                Program.inputs stepping
                |> Array.map (fun (name, _, _) -> name)
                |> Array.filter named.Contains
                |> Set.ofArray

            Ok
                {
                    Plan = plan
                    Shapes = shapes
                    Batch = batch
                    Batches = batches
                    Training = rowsOf training
                    Validation = rowsOf validation
                    Steppers = Engine.compileCarrying carried binding stepping |> sessions
                    Judges =
                        Program.ofOutputs [ lossName, loss ]
                        |> Engine.compileSingle binding
                        |> sessions
                }

    /// The largest number of epochs.
    let epochs (trainer: Trainer) : int = trainer.Plan.Epochs

    /// The state before the first epoch. Of the key come the weights and the order of rows.
    let init (key: Key) (trainer: Trainer) : TrainingState =
        let weights =
            Initialise.weights
                trainer.Plan.Initialisation
                (Key.foldName "weights" key)
                trainer.Plan.Network

        let slots =
            [
                for shape in trainer.Shapes do
                    for slot in trainer.Plan.Optimiser.Slots do
                        slotName slot shape.Name, Array.zeroCreate<float32>(Shape.size shape.Shape)
            ]

        {
            Weights = weights
            Slots = Map.ofList slots
            Numbers = trainer.Plan.Optimiser.Numbers |> List.map snd
            Waiting = Waiting.start
            Epoch = 0
            Key = Key.foldName "order" key
            Best = weights
            BestLoss = infinity
            Status = TrainingStatus.Running
        }

    /// The validation loss of some weights.
    let private validate (options: RunOptions) (trainer: Trainer) (weights: Weights) : float =
        using trainer.Judges weights (fun session ->
            let inputs =
                session.RowInputs
                |> Array.map (fun (name, _) -> trainer.Validation.Columns[name])

            let outputs = session.Evaluate(trainer.Validation.Count, inputs, options)
            float outputs[0].[0])

    /// The numbers of the optimiser as inputs of a step.
    let private numberInputs (trainer: Trainer) (state: TrainingState) : Weights =
        List.map2
            (fun (name, _) value -> numberName name, [| float32 value |])
            trainer.Plan.Optimiser.Numbers
            state.Numbers
        |> Map.ofList

    /// All steps of an epoch: the mean loss, and the weights and slots after the last step, as new arrays. Ends early at a loss that is not
    /// finite.
    let private steps
        (options: RunOptions)
        (trainer: Trainer)
        (state: TrainingState)
        : struct (float * Weights * Weights) =
        let data, batch = trainer.Training, trainer.Batch
        let order = Key.permutation data.Count (Key.fold state.Epoch state.Key)

        let stepNumber =
            Map.ofList [ stepName, [| float32 (state.Epoch * trainer.Batches) |] ]

        let start =
            (stepNumber, [ numberInputs trainer state; state.Weights; state.Slots ])
            ||> List.fold (Map.fold (fun all name values -> Map.add name values all))

        using trainer.Steppers start (fun session ->
            let inputs = session.RowInputs |> Array.map (fun (name, _) -> data.Columns[name])

            let results =
                session.Outputs
                |> Array.map (fun o -> o.Name, Array.zeroCreate<float32>(Shape.size o.Shape))

            let outputs = results |> Array.map snd

            let mutable total = 0.0
            let mutable b = 0

            while b < trainer.Batches && Double.IsFinite total do
                let places = Array.sub order (b * batch) batch
                session.RunAt(places, inputs, outputs, options)
                total <- total + float outputs[0].[0]
                b <- b + 1

            let returned = Map.ofArray results

            let next (name: string) (_: float32[]) : float32[] =
                match returned.TryFind name with
                | Some values -> values
                | None -> session.Read name

            struct (total / float trainer.Batches,
                    Map.map next state.Weights,
                    Map.map next state.Slots))

    /// One epoch.
    let epoch
        (options: RunOptions)
        (trainer: Trainer)
        (state: TrainingState)
        : struct (TrainingState * EpochInfo) =
        let struct (loss, weights, slots) = steps options trainer state

        let validation =
            if Double.IsFinite loss then
                validate options trainer weights
            else
                nan

        let info =
            { Epoch = state.Epoch + 1; TrainingLoss = loss; ValidationLoss = validation }

        if Double.IsFinite validation then
            let signal = { Loss = validation; Points = trainer.Training.Count }
            let isBest = validation < state.BestLoss

            let waiting, isOver =
                match trainer.Plan.Stopping with
                | None -> state.Waiting, false
                | Some stopping ->
                    let waiting = Waiting.after stopping.Gain signal state.Waiting
                    waiting, waiting.Epochs >= stopping.Patience

            struct ({
                        Weights = weights
                        Slots = slots
                        Numbers = trainer.Plan.Optimiser.AfterEpoch signal state.Numbers
                        Waiting = waiting
                        Epoch = info.Epoch
                        Key = state.Key
                        Best = (if isBest then weights else state.Best)
                        BestLoss = (if isBest then validation else state.BestLoss)
                        Status =
                            if info.Epoch >= trainer.Plan.Epochs then
                                TrainingStatus.Finished
                            elif isOver then
                                TrainingStatus.Stopped
                            else
                                TrainingStatus.Running
                    },
                    info)
        else
            struct ({ state with Status = TrainingStatus.NotFinite }, info)

    /// The epochs from a state on, until all are done, early stopping ends them, or a loss is not finite; lazy. From any state of a run the rest of that
    /// run follows, bit for bit.
    let run
        (options: RunOptions)
        (trainer: Trainer)
        (state: TrainingState)
        : seq<struct (TrainingState * EpochInfo)> =
        state
        |> Seq.unfold (fun state ->
            if state.Status = TrainingStatus.Running && state.Epoch < trainer.Plan.Epochs then
                let struct (next, info) = epoch options trainer state
                Some(struct (next, info), next)
            else
                None)
