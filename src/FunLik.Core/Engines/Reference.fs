namespace FunLik

open FSharp.NativeInterop

/// The oracle: one node and one row at a time, in double precision, straight from the table of primitives.
[<RequireQualifiedAccess>]
module Reference =

    /// The value of a node: one for all rows, or one a row.
    [<RequireQualifiedAccess>]
    type Value =
        /// One for all rows.
        | Shared of float[]
        /// One a row.
        | Rows of float[][]

    let private at (row: int) (value: Value) : float[] =
        match value with
        | Value.Shared v -> v
        | Value.Rows rows -> rows[row]

    let private apply (rows: int) (op: Op) (arguments: (Shape * Value) list) : Value =
        let value (row: int) : float[] =
            (Primitive.row op).Value(arguments |> List.map (fun (shape, v) -> shape, at row v))

        if op.IsSumRows || op.IsOuterRows then
            let size = arguments |> List.fold (fun n (shape, _) -> n * Shape.size shape) 1

            Seq.init rows value
            |> Seq.fold (Array.map2 (+)) (Array.zeroCreate size)
            |> Value.Shared
        elif arguments |> List.exists (fun (_, v) -> v.IsRows) then
            Value.Rows(Array.init rows value)
        else
            Value.Shared(value 0)

    /// Evaluates a program for values of its inputs and tables; one value an output.
    let rec evaluate
        (rows: int)
        (inputs: Map<string, Value>)
        (tables: Map<string, Table>)
        (program: Program)
        : (string * Value)[] =
        let values: Value[] = Array.zeroCreate program.Nodes.Length
        let reduced = System.Collections.Generic.Dictionary<int, Value[]>()

        let reduce (number: int) : Value[] =
            match reduced.TryGetValue number with
            | true, known -> known
            | _ ->
                let reduction = program.Reductions[number]
                let table = Binding.table tables reduction
                let captured = reduction.Captured |> Array.map (fun k -> values[k])

                let columns =
                    Program.inputs reduction.Body
                    |> Array.choose (fun (name, role, shape) ->
                        if role.IsWeight then
                            None
                        else
                            let all = table.Columns[name]
                            Some(name, Value.Rows(Array.chunkBySize (Shape.size shape) all)))
                    |> Map.ofArray

                let sums (row: int) : float[][] =
                    let given =
                        captured
                        |> Array.indexed
                        |> Array.fold
                            (fun (m: Map<string, Value>) (k, v) ->
                                m.Add(Program.capturedName k, Value.Shared(at row v)))
                            columns

                    evaluate table.Rows given tables reduction.Body |> Array.map (snd >> at 0)

                let result =
                    if captured |> Array.exists _.IsRows then
                        let all = Array.init rows sums

                        Array.init reduction.Body.Outputs.Length (fun k ->
                            Value.Rows(all |> Array.map (fun r -> r[k])))
                    else
                        sums 0 |> Array.map Value.Shared

                reduced[number] <- result
                result

        program.Nodes
        |> Array.iteri (fun i node ->
            values[i] <-
                match node.Instruction with
                | Instruction.Input(name, _) -> inputs[name]
                | Instruction.Constant v -> Value.Shared v
                | Instruction.Apply(op, arguments) ->
                    arguments
                    |> Array.map (fun a -> program.Nodes[a].Shape, values[a])
                    |> List.ofArray
                    |> apply rows op
                | Instruction.Reduced(number, output) -> (reduce number)[output])

        program.Outputs |> Array.map (fun (name, k) -> name, values[k])

    let private isRow (program: Program) (bound: Map<string, Binding>) : bool[] =
        let rows = Array.create program.Nodes.Length false

        program.Nodes
        |> Array.iteri (fun i node ->
            rows[i] <-
                match node.Instruction with
                | Instruction.Input(name, _) -> bound[name].IsRow
                | Instruction.Constant _
                | Instruction.Apply((Op.SumRows | Op.OuterRows), _) -> false
                | Instruction.Apply(_, arguments) -> arguments |> Array.exists (fun a -> rows[a])
                | Instruction.Reduced(number, _) ->
                    program.Reductions[number].Captured |> Array.exists (fun a -> rows[a]))

        rows

    let private session
        (program: Program)
        (inputs: (string * Shape * Binding)[])
        (shared: Map<string, float[]>)
        (tables: Map<string, Table>)
        : Session<float> =
        let bound = inputs |> Array.map (fun (name, _, b) -> name, b) |> Map.ofArray
        let rowsOf = isRow program bound

        let rowInputs =
            inputs
            |> Array.choose (fun (name, shape, b) -> if b.IsRow then Some(name, shape) else None)

        let fixedInputs =
            inputs
            |> Array.choose (fun (name, shape, b) ->
                match b with
                | Binding.Row -> None
                | Binding.Constant values -> Some(name, Value.Shared values)
                | Binding.Shared -> Some(name, Value.Shared(Binding.shared shared name shape)))
            |> ref

        let sharedShapes =
            inputs
            |> Array.choose (fun (name, shape, b) -> if b.IsShared then Some(name, shape) else None)
            |> Map.ofArray

        let outputs =
            program.Outputs
            |> Array.map (fun (name, k) ->
                { Name = name; Shape = program.Nodes[k].Shape; IsRow = rowsOf[k] })

        { new Session<float>() with
            member _.RowInputs = rowInputs
            member _.Outputs = outputs

            member _.Update(changed) =
                Binding.known sharedShapes.Keys changed

                let replaced (name: string, value: Value) : string * Value =
                    match changed.ContainsKey name with
                    | true -> name, Value.Shared(Binding.shared changed name sharedShapes[name])
                    | false -> name, value

                fixedInputs.Value <- Array.map replaced fixedInputs.Value

            member _.Read(name) =
                Binding.known sharedShapes.Keys (Map.ofList [ name, [||] ])

                match fixedInputs.Value |> Array.find (fst >> (=) name) with
                | _, Value.Shared values -> Array.copy values
                | _, Value.Rows _ -> [||]

            member _.Run(rows, pointers, results, options) =
                options.Cancellation.ThrowIfCancellationRequested()

                let read (p: nativeptr<float>) (size: int) : Value =
                    Value.Rows(
                        Array.init rows (fun r ->
                            Array.init size (fun i -> NativePtr.get p (r * size + i)))
                    )

                let given =
                    (rowInputs, pointers)
                    ||> Array.map2 (fun (name, shape) p -> name, read p (Shape.size shape))
                    |> Array.append fixedInputs.Value
                    |> Map.ofArray

                let values = evaluate rows given tables program

                values
                |> Array.iteri (fun k (_, value) ->
                    match value with
                    | Value.Shared v -> v |> Array.iteri (fun i x -> NativePtr.set results[k] i x)
                    | Value.Rows all ->
                        all
                        |> Array.iteri (fun r v ->
                            v
                            |> Array.iteri (fun i x ->
                                NativePtr.set results[k] (r * v.Length + i) x)))
        }

    /// Prepares a program; nothing is compiled.
    let compile (binding: string -> Binding) (program: Program) : Kernel<float> =
        let inputs = Binding.check program binding

        { new Kernel<float>() with
            member _.SharedInputs =
                inputs
                |> Array.choose (fun (name, shape, b) ->
                    if b.IsShared then Some(name, shape) else None)

            member _.Bind(shared, tables) = session program inputs shared tables
        }
