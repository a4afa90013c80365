namespace FunLik

open System
open System.Runtime.ExceptionServices
open System.Threading.Tasks
open FSharp.NativeInterop

/// A quantity that a step program carries from step to step, one value a row.
type StepState =
    {
        /// The name of the input that holds its value before the step.
        Name: string
        /// The shape at one row.
        Shape: Shape
        /// Its value after the step.
        Next: Expr
        /// How many earlier values the step can read (`Steps.past`); 1 is the value before the step alone.
        Depth: int
    }

/// A program whose outputs feed its inputs, row by row until each row is done: minimisers, leapfrogs, fixed points. Its inputs are
/// the states, and whatever else its expressions read: rows that stay, shared values, and what a `Feed` writes.
type StepProgram =
    {
        /// What is carried.
        State: StepState list
        /// A scalar that is not 0 where the state after the step is final.
        Done: Expr
    }

/// Values that come from outside of the engine before each step: a user's function, another runtime.
[<AbstractClass>]
type Feed(reads: string, writes: string list) =

    /// The state that is read.
    member _.Reads: string = reads

    /// The inputs that are written.
    member _.Writes: string list = writes

    /// Reads the state of `rows` rows and writes the inputs, all row-major.
    abstract Fill:
        rows: int * state: nativeptr<float> * inputs: nativeptr<float>[] * options: RunOptions ->
            unit

/// A compiled step program whose shared inputs and tables are given. Safe to use from several threads at once.
type StepSession =
    {
        /// The program.
        Program: StepProgram
        /// One step: the outputs are the states in order, and whether the row is done.
        Step: Session<float>
    }

/// Where rows came to rest.
type StepResult =
    {
        /// The final values of the states that were asked for, row-major.
        States: Map<string, float[]>
        /// How many steps each row took.
        Steps: int[]
    }

/// Making and running step programs.
[<RequireQualifiedAccess>]
module Steps =

    let private pastName (back: int) (name: string) : string =
        if back = 1 then name else $"{name}:{back}"

    /// The value of a state before the step.
    let current (name: string) (shape: Shape) : Expr = Expr.input name Role.State shape

    /// The value of a state `back` steps ago; 1 is the value before the step. Before the first step all but that are 0.
    let past (back: int) (name: string) (shape: Shape) : Expr = current (pastName back name) shape

    /// A state of which the step reads the value before the step alone.
    let state (name: string) (shape: Shape) (next: Expr) : StepState =
        { Name = name; Shape = shape; Next = next; Depth = 1 }

    /// A scalar state.
    let scalar (name: string) (next: Expr) : StepState = state name Scalar next

    /// Compiles a program; states are rows, `binding` says what the other inputs are.
    let compile (binding: string -> Binding) (program: StepProgram) : Kernel<float> =
        for s in program.State do
            if s.Next.Shape <> s.Shape then
                raise (
                    FunLikException
                        [
                            Error.make ErrorKind.Shape $"the next value of the state '{s.Name}'"
                            |> Error.found (Shape.describe s.Next.Shape)
                            |> Error.expected (Shape.describe s.Shape)
                        ]
                )

        let states =
            program.State
            |> List.collect (fun s -> [ for back in 1 .. s.Depth -> pastName back s.Name ])
            |> Set.ofList

        (program.State |> List.map (fun s -> s.Name, s.Next)) @ [ "done", program.Done ]
        |> Program.ofOutputs
        |> Engine.compile (fun name -> if states.Contains name then Binding.Row else binding name)

    /// A compiled program with its shared inputs and tables.
    let bind
        (shared: Map<string, float[]>)
        (program: StepProgram)
        (kernel: Kernel<float>)
        : StepSession =
        { Program = program; Step = kernel.Bind(shared, Map.empty) }

    /// Rows that are under way together: a fixed number of lanes, of which the first `active` are in use.
    [<Sealed>]
    type private Lanes(session: StepSession, feed: Feed option, lanes: int) =
        let states = session.Program.State |> Array.ofList
        let sizes = states |> Array.map (fun s -> Shape.size s.Shape)

        let pinned (size: int) : float[] = GC.AllocateArray<float>(max 1 (lanes * size), true)

        let address (values: float[]) : nativeptr<float> =
            NativePtr.ofNativeInt (
                Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(values, 0)
            )

        // Values before the step, in the order of age, and one more for the value after it: they take turns.
        let buffers =
            (states, sizes)
            ||> Array.map2 (fun s size -> Array.init (s.Depth + 1) (fun _ -> pinned size))

        let newest (k: int) : float[] = Array.head buffers[k]
        let isDone = pinned 1

        let others =
            let own =
                states
                |> Array.collect (fun s -> [| for back in 1 .. s.Depth -> pastName back s.Name |])

            session.Step.RowInputs
            |> Array.filter (fun (name, _) -> not (Array.contains name own))

        let otherSizes = others |> Array.map (fun (_, shape) -> Shape.size shape)
        let otherBuffers = otherSizes |> Array.map pinned

        let isFed =
            others
            |> Array.map (fun (name, _) ->
                feed |> Option.exists (fun f -> List.contains name f.Writes))

        // Where each row input comes from: state and age, or -1 and the number among the others.
        let sources =
            session.Step.RowInputs
            |> Array.map (fun (name, _) ->
                let found =
                    states
                    |> Array.indexed
                    |> Array.tryPick (fun (k, s) ->
                        seq { 1 .. s.Depth }
                        |> Seq.tryFind (fun back -> pastName back s.Name = name)
                        |> Option.map (fun back -> struct (k, back)))

                match found with
                | Some source -> source
                | None -> struct (-1, others |> Array.findIndex (fun (other, _) -> other = name)))

        let inputs = sources |> Array.map (fun _ -> address isDone)
        let outputs = session.Step.Outputs |> Array.map (fun _ -> address isDone)

        let fedInputs =
            match feed with
            | None -> [||]
            | Some f ->
                f.Writes
                |> List.map (fun name ->
                    match others |> Array.tryFindIndex (fun (other, _) -> other = name) with
                    | Some k -> address otherBuffers[k]
                    | None -> NativePtr.nullPtr)
                |> Array.ofList

        let rowOf = Array.zeroCreate lanes
        let stepsOf = Array.zeroCreate lanes

        let copy (size: int) (source: float[]) (from: int) (target: float[]) (lane: int) : unit =
            Array.Copy(source, from * size, target, lane * size, size)

        let load (given: float[][]) (given': float[][]) (row: int) (lane: int) : unit =
            for k in 0 .. states.Length - 1 do
                for buffer in buffers[k] do
                    Array.Clear(buffer, lane * sizes[k], sizes[k])

                if given[k].Length > 0 then
                    copy sizes[k] given[k] row (newest k) lane

            for k in 0 .. others.Length - 1 do
                if not isFed[k] then
                    copy otherSizes[k] given'[k] row otherBuffers[k] lane

            rowOf[lane] <- row
            stepsOf[lane] <- 0

        let move (from: int) (lane: int) : unit =
            for k in 0 .. states.Length - 1 do
                for back in 0 .. states[k].Depth - 1 do
                    let buffer = buffers[k][back]
                    copy sizes[k] buffer from buffer lane

            for k in 0 .. others.Length - 1 do
                copy otherSizes[k] otherBuffers[k] from otherBuffers[k] lane

            rowOf[lane] <- rowOf[from]
            stepsOf[lane] <- stepsOf[from]

        let spread (active: int) (output: int) (target: float[]) (size: int) : unit =
            if not session.Step.Outputs[output].IsRow then
                for lane in 1 .. active - 1 do
                    copy size target 0 target lane

        let step (active: int) (options: RunOptions) : unit =
            match feed with
            | None -> ()
            | Some f ->
                let read = states |> Array.findIndex (fun s -> s.Name = f.Reads)
                f.Fill(active, address (newest read), fedInputs, options)

            for i in 0 .. inputs.Length - 1 do
                let struct (state, k) = sources[i]

                inputs[i] <-
                    address (
                        if state >= 0 then
                            buffers[state][k - 1]
                        else
                            otherBuffers[k]
                    )

            for k in 0 .. states.Length - 1 do
                let next = buffers[k][states[k].Depth]
                outputs[k] <- address next

            outputs[states.Length] <- address isDone
            // An engine may compute one row alone in another way: two make the result the same in any company.
            session.Step.Run(max 2 active, inputs, outputs, options)

            for k in 0 .. states.Length - 1 do
                let own = buffers[k]
                let next = own[states[k].Depth]
                spread active k next sizes[k]
                Array.Copy(own, 0, own, 1, states[k].Depth)
                own[0] <- next

            spread active states.Length isDone 1

        /// The names of the inputs that are not states, in the order in which `Run` takes their values.
        member _.Others: string[] = others |> Array.map fst

        /// Carries rows `first` to `last - 1` to their ends.
        member _.Run
            (
                first: int,
                last: int,
                given: float[][],
                given': float[][],
                keep: float[][],
                steps: int[],
                maxSteps: int,
                options: RunOptions
            ) : unit =
            let mutable pending = first
            let mutable active = 0

            while active < lanes && pending < last do
                load given given' pending active
                active <- active + 1
                pending <- pending + 1

            while active > 0 do
                options.Cancellation.ThrowIfCancellationRequested()
                step active options

                for lane in active - 1 .. -1 .. 0 do
                    stepsOf[lane] <- stepsOf[lane] + 1

                    if isDone[lane] <> 0.0 || stepsOf[lane] >= maxSteps then
                        for k in 0 .. states.Length - 1 do
                            if keep[k].Length > 0 then
                                copy sizes[k] (newest k) lane keep[k] rowOf[lane]

                        steps[rowOf[lane]] <- stepsOf[lane]

                        if pending < last then
                            load given given' pending lane
                            pending <- pending + 1
                        else
                            active <- active - 1

                            if lane < active then
                                move active lane

    /// Lanes that step together, and how many rows go through them: both depend on the number of rows alone.
    let private lanesAndChunk (rows: int) (isFed: bool) : struct (int * int) =
        if isFed then
            struct (min (max 2 rows) 4096, rows)
        else
            struct (64, Math.Clamp((rows / 16 + 63) / 64 * 64, 64, 1024))

    let private rowsOf (rows: int) (name: string) (shape: Shape) (values: float[]) : float[] =
        if int64 values.Length <> int64 rows * int64 (Shape.size shape) then
            raise (
                FunLikException
                    [
                        Error.make ErrorKind.Shape $"the values of '{name}' for a step program"
                        |> Error.found $"{values.Length} values"
                        |> Error.expected $"{rows} rows of a {Shape.describe shape}"
                    ]
            )

        values

    /// Steps all rows until they are done, or have taken `maxSteps` steps. Rows that are done leave; others take their places.
    /// `given` has initial states (0 where absent) and rows that stay, row-major, by name; `keep` names the states to return. With
    /// a feed all rows step together, else chunks of rows go to the threads; the results do not depend on how many there are.
    let run
        (session: StepSession)
        (feed: Feed option)
        (rows: int)
        (given: Map<string, float[]>)
        (keep: string list)
        (maxSteps: int)
        (options: RunOptions)
        : StepResult =
        let states = session.Program.State |> Array.ofList

        let initial =
            states
            |> Array.map (fun s ->
                given.TryFind s.Name
                |> Option.map (rowsOf rows s.Name s.Shape)
                |> Option.defaultValue [||])

        let shapes = Map.ofArray session.Step.RowInputs
        let struct (lanes, chunk) = lanesAndChunk rows feed.IsSome
        let makeLanes () : Lanes = Lanes(session, feed, min lanes (max 2 rows))

        let others (names: string[]) : float[][] =
            names
            |> Array.map (fun name ->
                match given.TryFind name with
                | Some values -> rowsOf rows name shapes[name] values
                | None when feed |> Option.exists (fun f -> List.contains name f.Writes) -> [||]
                | None ->
                    let message = $"the rows of '{name}' are not given to a step program"
                    raise (FunLikException [ Error.make ErrorKind.Name message ]))

        let kept =
            states
            |> Array.map (fun s ->
                if List.contains s.Name keep then
                    Array.zeroCreate (rows * Shape.size s.Shape)
                else
                    [||])

        let steps = Array.zeroCreate rows

        let runChunk (lanes: Lanes) (first: int) (last: int) (options: RunOptions) : unit =
            lanes.Run(first, last, initial, others lanes.Others, kept, steps, maxSteps, options)

        let chunks = (rows + chunk - 1) / chunk

        if chunks = 1 then
            runChunk (makeLanes ()) 0 rows options
        elif chunks > 1 then
            let alone = { options with Threads = 1 }
            let parallel' = ParallelOptions(MaxDegreeOfParallelism = max 1 options.Threads)

            let body (k: int) (lanes: Lanes) : Lanes =
                runChunk lanes (k * chunk) (min rows ((k + 1) * chunk)) alone
                lanes

            try
                Parallel.For(
                    0,
                    chunks,
                    parallel',
                    makeLanes,
                    (fun k (_: ParallelLoopState) lanes -> body k lanes),
                    ignore
                )
                |> ignore
            with :? AggregateException as several ->
                ExceptionDispatchInfo.Throw several.InnerExceptions[0]

        {
            States =
                (states, kept)
                ||> Array.map2 (fun s values -> s.Name, values)
                |> Array.filter (fun (name, _) -> List.contains name keep)
                |> Map.ofArray
            Steps = steps
        }
