namespace FunLik

open System
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

module internal StepNames =

    /// The name of the input that holds the value of a state so many steps ago.
    let past (back: int) (name: string) : string = if back = 1 then name else $"{name}:{back}"

/// Rows that are under way together: a fixed number of lanes, of which the first `active` are in use.
/// The buffers are kept for later runs; values that come from outside are those of inputs named `fed`.
[<Sealed>]
type internal StepLanes(program: StepProgram, kernel: Session<float>, fed: string list, lanes: int)
    =
    let states = program.State |> Array.ofList
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
            |> Array.collect (fun s -> [| for back in 1 .. s.Depth -> StepNames.past back s.Name |])

        kernel.RowInputs
        |> Array.filter (fun (name, _) -> not (Array.contains name own))

    let otherSizes = others |> Array.map (fun (_, shape) -> Shape.size shape)
    let otherBuffers = otherSizes |> Array.map pinned

    let isFed = others |> Array.map (fun (name, _) -> List.contains name fed)

    // Where each row input comes from: state and age, or -1 and the number among the others.
    let sources =
        kernel.RowInputs
        |> Array.map (fun (name, _) ->
            let found =
                states
                |> Array.indexed
                |> Array.tryPick (fun (k, s) ->
                    seq { 1 .. s.Depth }
                    |> Seq.tryFind (fun back -> StepNames.past back s.Name = name)
                    |> Option.map (fun back -> struct (k, back)))

            match found with
            | Some source -> source
            | None -> struct (-1, others |> Array.findIndex (fun (other, _) -> other = name)))

    let inputs = sources |> Array.map (fun _ -> address isDone)
    let outputs = kernel.Outputs |> Array.map (fun _ -> address isDone)

    let fedInputs =
        fed
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
        if not kernel.Outputs[output].IsRow then
            for lane in 1 .. active - 1 do
                copy size target 0 target lane

    let step (feed: Feed option) (active: int) (options: RunOptions) : unit =
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
        kernel.Run(max 2 active, inputs, outputs, options)

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
            feed: Feed option,
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
            step feed active options

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
