namespace FunLik

open System
open System.Numerics
open FSharp.NativeInterop

/// The default engine: pure .NET, tile by tile, in float or float32. A tile holds some rows of every value, one lane a row, so that all
/// loops run over whole registers; sums over rows are made block by block, in an order that depends on the number of rows only.
[<RequireQualifiedAccess>]
module Simd =

    /// What a reduction needs while it runs: a prologue of its body and the place of its results.
    type private Scratch<'T when 'T: unmanaged>(prologue: Buffer<'T>, sizes: int[]) =
        let results = sizes |> Array.map (fun n -> Buffer<'T> n)
        let pointers = results |> Array.map _.Start
        member _.Prologue: nativeptr<'T> = prologue.Start
        member _.Results: nativeptr<'T>[] = pointers
        /// What holds the results: a member must read it, or it is no field.
        member _.Buffers: Buffer<'T>[] = results

    /// The tables of a machine's reductions, and of those inside of them.
    type private Tables<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (machine: Machine<'T>, program: Program, tables: Map<string, Table>) =
        inherit Reducer<'T>()

        let bodies =
            Array.zip machine.Reductions program.Reductions
            |> Array.map (fun (inner, reduction) ->
                let table = Binding.table tables reduction

                let columns =
                    inner.RowInputs
                    |> Array.map (fun (name, _) ->
                        let values = Numbers.convert<'T> table.Columns[name]
                        let buffer = Buffer<'T> values.Length
                        Numbers.copyTo values buffer.Start
                        buffer)

                let sizes = inner.Outputs |> Array.map (fun o -> Shape.size o.Shape)
                let scratch = Pool<Scratch<'T>>(fun () -> Scratch<'T>(inner.NewPrologue(), sizes))

                let places =
                    inner.SharedInputs |> Array.map (fun (name, _, o) -> name, o) |> Map.ofArray

                let captured =
                    reduction.Captured
                    |> Array.mapi (fun k _ -> places.TryFind(Program.capturedName k))

                let reducer = lazy (Tables<'T>(inner, reduction.Body, tables))

                {|
                    Machine = inner
                    Rows = table.Rows
                    Columns = columns
                    Pointers = columns |> Array.map _.Start
                    Scratch = scratch
                    Captured = captured
                    Sizes = sizes
                    Reducer = reducer
                |})

        override _.Reduce(frame, reduction, captured, results) =
            let body = bodies[reduction]
            let scratch = body.Scratch.Take()
            let reducer = body.Reducer.Value :> Reducer<'T>

            for lane in 0 .. frame.Valid - 1 do
                for k in 0 .. captured.Length - 1 do
                    match body.Captured[k] with
                    | Some place ->
                        let o = captured[k]
                        let source = frame.At o
                        let target = NativePtr.add scratch.Prologue place.Offset
                        let step, first = if o.Space = Space.Row then frame.Lanes, lane else 1, 0

                        for i in 0 .. o.Size - 1 do
                            NativePtr.set
                                target
                                i
                                (NativePtr.get source (i * o.Stride * step + first))
                    | None -> ()

                body.Machine.FillPrologue(scratch.Prologue, reducer)

                body.Machine.Execute(
                    scratch.Prologue,
                    reducer,
                    NativePtr.nullPtr,
                    body.Rows,
                    body.Pointers,
                    scratch.Results,
                    frame.Options
                )

                for struct (output, o) in results do
                    let source, target = scratch.Results[output], frame.At o
                    let step, first = if o.Space = Space.Row then frame.Lanes, lane else 1, 0

                    for i in 0 .. o.Size - 1 do
                        NativePtr.set target (i * step + first) (NativePtr.get source i)

            // Lanes without a row of their own hold numbers too.
            for struct (_, o) in results do
                if o.Space = Space.Row && frame.Valid < frame.Lanes then
                    for i in 0 .. o.Size - 1 do
                        let p = NativePtr.add (frame.At o) (i * frame.Lanes)

                        for lane in frame.Valid .. frame.Lanes - 1 do
                            NativePtr.set p lane (NativePtr.get p (frame.Valid - 1))

            body.Scratch.Give scratch

    /// Compiles a program for numbers of type 'T, float or float32. The outputs that are carried are those of shared inputs' names:
    /// each run gives these inputs their values, in place where that is possible, and does not return them.
    let compileCarrying<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (carried: Set<string>)
        (binding: string -> Binding)
        (program: Program)
        : Kernel<'T> =
        let inputs = Binding.check program binding

        let rowInputs =
            inputs
            |> Array.choose (fun (name, shape, b) -> if b.IsRow then Some(name, shape) else None)

        let constants =
            inputs
            |> Array.choose (fun (name, _, b) ->
                match b with
                | Binding.Constant values -> Some(name, values)
                | _ -> None)
            |> Map.ofArray

        let isRow = rowInputs |> Array.map fst |> Set.ofArray
        let folded = Program.withConstants constants program

        let machine =
            Machine<'T>(Layout.create Fuse.isSupported folded isRow.Contains carried, rowInputs)

        { new Kernel<'T>() with
            member _.SharedInputs =
                inputs
                |> Array.choose (fun (name, shape, b) ->
                    if b.IsShared then Some(name, shape) else None)

            member _.Bind(shared, tables) =
                let prologue = machine.NewPrologue()
                let reducer = Tables<'T>(machine, folded, tables)
                let names = machine.SharedInputs |> Array.map (fun (name, _, _) -> name)

                let fill (given: Map<string, 'T[]>) (wanted: string -> bool) : unit =
                    for name, shape, operand in machine.SharedInputs do
                        if wanted name then
                            Numbers.copyTo
                                (Binding.shared given name shape)
                                (NativePtr.add prologue.Start operand.Offset)

                    machine.FillPrologue(prologue.Start, reducer)

                fill shared (fun _ -> true)

                { new Session<'T>() with
                    member _.Update(changed) =
                        Binding.known names changed
                        fill changed changed.ContainsKey

                    member _.Read(name) =
                        Binding.known names (Map.ofList [ name, [||] ])

                        let _, shape, operand =
                            machine.SharedInputs |> Array.find (fun (known, _, _) -> known = name)

                        Span<'T>(
                            NativePtr.toVoidPtr (NativePtr.add prologue.Start operand.Offset),
                            Shape.size shape
                        )
                            .ToArray()

                    member _.RowInputs = rowInputs
                    member _.Outputs = machine.Outputs

                    member this.Run(rows, inputs, outputs, options) =
                        this.RunAt(NativePtr.nullPtr, rows, inputs, outputs, options)

                    member _.RunAt(places, rows, inputs, outputs, options) =
                        options.Cancellation.ThrowIfCancellationRequested()
                        let start = prologue.Start
                        machine.Execute(start, reducer, places, rows, inputs, outputs, options)
                        GC.KeepAlive prologue
                }
        }

    /// Compiles a program for numbers of type 'T, float or float32.
    let compile<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (binding: string -> Binding)
        (program: Program)
        : Kernel<'T> =
        compileCarrying<'T> Set.empty binding program
