namespace FunLik

open System
open System.Numerics
open System.Runtime.Intrinsics
open System.Threading
open System.Threading.Tasks
open FSharp.NativeInterop

/// How a batch is cut: rows of a tile, tiles, tiles of a block, blocks.
[<Struct>]
type internal Cut = { Lanes: int; Tiles: int; Block: int; Blocks: int }

module internal Cut =

    /// Tiles of a block are added up one after the other; there are at most as many blocks.
    let private mostBlocks = 64

    let private leastTiles = 4

    /// Many wide tiles: the last one is not full.
    let private fewestWide = 8

    let private lanesFor<'T when 'T: unmanaged> (wide: bool) (rows: int) : int =
        if rows = 1 then
            1
        elif rows <= Vector512<'T>.Count then
            Vector512<'T>.Count
        elif wide && rows >= fewestWide * Frame.wideTile<'T> then
            Frame.wideTile<'T>
        else
            Frame.fullTile<'T>

    /// How many rows are cut, in wide tiles where a layout takes them.
    let ofRows<'T when 'T: unmanaged> (wide: bool) (rows: int) : Cut =
        let lanes = lanesFor<'T> wide rows
        let tiles = (rows + lanes - 1) / lanes
        let block = max leastTiles ((tiles + mostBlocks - 1) / mostBlocks)

        {
            Lanes = lanes
            Tiles = tiles
            Block = block
            Blocks = (tiles + block - 1) / block
        }

/// Numbers of an engine's type.
module internal Numbers =

    let convert<'T when 'T :> INumberBase<'T>> (values: float[]) : 'T[] =
        values |> Array.map (fun v -> 'T.CreateTruncating<float> v)

    let inline copyTo (source: 'T[]) (target: nativeptr<'T>) : unit =
        source.AsSpan().CopyTo(Span<'T>(NativePtr.toVoidPtr target, source.Length))

/// A layout with its steps: everything that does not depend on what is bound.
type internal Machine<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
    (layout: Layout, rowInputs: (string * Shape)[]) =

    let program = layout.Program
    let nodes = program.Nodes
    let cut (rows: int) : Cut = Cut.ofRows<'T> layout.IsWide rows

    let widest =
        if layout.IsWide then
            Frame.wideTile<'T>
        else
            Frame.fullTile<'T>

    let facts = layout.Facts
    let rowIndex = rowInputs |> Array.mapi (fun i (name, _) -> name, i) |> Map.ofArray

    /// Where each sum over rows lies in the memory of one block, in numbers a lane or a matrix.
    let sumOffsets =
        layout.Passes
        |> Array.map (fun pass ->
            pass.Sums
            |> Array.mapFold
                (fun first s ->
                    let size = facts.Size[s]

                    let length = if nodes[s].Shape.IsMatrix then size else size * widest

                    (s, first), first + Layout.padded length)
                0)

    let reductions =
        program.Reductions
        |> Array.map (fun r ->
            let columns =
                Program.inputs r.Body
                |> Array.choose (fun (name, role, shape) ->
                    if role.IsWeight then None else Some(name, shape))

            let names = columns |> Array.map fst |> Set.ofArray
            let inner = Layout.create Fuse.isSupported r.Body names.Contains
            Machine<'T>(inner, columns))

    let step (operands: Operand[]) (sums: Map<int, int>) (task: Work) : Step<'T> =
        let argumentsOf (i: int) : int[] = facts.Arguments[i]

        match task with
        | Work.Compute(i, scratch) ->
            let out = operands[i]

            match nodes[i].Instruction with
            | Instruction.Input(name, _) when facts.IsRow[i] -> Border.input rowIndex[name] out
            | Instruction.Input _ -> ignore
            | Instruction.Constant values ->
                let converted = Numbers.convert<'T> values
                fun f -> Numbers.copyTo converted (f.At out)
            | Instruction.Apply(Op.MatVec, [| m; x |]) ->
                let source, transposed =
                    if facts.IsVirtual m then
                        (argumentsOf m)[0], true
                    else
                        m, false

                let packed = layout.Packed.TryFind(source, transposed)
                Emit.product packed operands[source] transposed operands[x] out
            | Instruction.Apply(op, arguments) ->
                let shapes = arguments |> Array.map (fun a -> nodes[a].Shape)

                Emit.operation op (arguments |> Array.map (fun a -> operands[a])) shapes scratch out
            | Instruction.Reduced _ -> ignore
        | Work.SumOf(i, inner, scratch) ->
            let arguments = argumentsOf inner
            let op = (facts.Op inner).Value
            let a, b = operands[arguments[0]], operands[arguments[1]]
            Emit.sumOver op facts.Size[inner] a b scratch operands[i]
        | Work.Fused(size, members, kept) ->
            Fuse.step
                Emit.gather
                {
                    Size = size
                    Nodes = members
                    Kept = kept
                    Facts = facts
                    Operands = operands
                }
        | Work.Pack(m, transposed, target) ->
            match nodes[m].Shape, transposed with
            | Matrix(rows, columns), false -> Emit.pack rows columns false operands[m] target
            | Matrix(rows, columns), true -> Emit.pack columns rows true operands[m] target
            | _ -> ignore
        | Work.Store(i, output, column) ->
            let _, node = program.Outputs[output]
            Border.store output column facts.Size[node] operands[i]
        | Work.Accumulate s ->
            let arguments = argumentsOf s

            match nodes[s].Instruction with
            | Instruction.Apply(Op.OuterRows, _) ->
                Border.accumulateOuter operands[arguments[0]] operands[arguments[1]] sums[s]
            | _ -> Border.accumulate operands[arguments[0]] sums[s]
        | Work.Reduce(r, members) ->
            let captured = program.Reductions[r].Captured |> Array.map (fun k -> operands[k])

            let results =
                members
                |> Array.map (fun k ->
                    match nodes[k].Instruction with
                    | Instruction.Reduced(_, output) -> struct (output, operands[k])
                    | _ -> struct (0, operands[k]))

            fun f -> f.Reducer.Reduce(f, r, captured, results)

    let steps (operands: Operand[]) (sums: Map<int, int>) (tasks: Work[]) : Step<'T>[] =
        tasks |> Array.map (step operands sums)

    /// Prologue tasks that need no shared input: done once for each memory.
    let isFixed =
        let known = Array.create nodes.Length false

        nodes
        |> Array.iteri (fun i node ->
            known[i] <-
                match node.Instruction with
                | Instruction.Constant _ -> true
                | Instruction.Input _
                | Instruction.Reduced _ -> false
                | Instruction.Apply _ -> facts.Arguments[i] |> Array.forall (fun a -> known[a]))

        fun (task: Work) ->
            match task with
            | Work.Compute(i, _)
            | Work.SumOf(i, _, _)
            | Work.Pack(i, _, _) -> known[i]
            | _ -> false

    let ofPrologue (tasks: Work[]) : Step<'T>[] = steps layout.Operands Map.empty tasks
    let constantSteps = layout.Prologue |> Array.filter isFixed |> ofPrologue
    let sharedSteps = layout.Prologue |> Array.filter (isFixed >> not) |> ofPrologue
    let startSteps = ofPrologue layout.Start
    let afterSteps = layout.After |> Array.map ofPrologue

    let passSteps =
        layout.Passes
        |> Array.mapi (fun p pass ->
            steps pass.Operands (Map.ofArray (fst sumOffsets[p])) pass.Tasks)

    let sharedInputs =
        nodes
        |> Array.indexed
        |> Array.choose (fun (i, node) ->
            match node.Instruction with
            | Instruction.Input(name, _) when not facts.IsRow[i] ->
                Some(name, node.Shape, layout.Operands[i])
            | _ -> None)

    let outputs =
        program.Outputs
        |> Array.map (fun (name, k) ->
            { Name = name; Shape = nodes[k].Shape; IsRow = facts.IsRow[k] })

    let features = layout.Passes |> Array.map _.RowFeatures |> Array.fold max 1
    let pool (lanes: int) = Pool<Frame<'T>>(fun () -> Frame<'T>(lanes, features))
    let single, narrow, full = pool 1, pool Vector512<'T>.Count, pool Frame.fullTile<'T>
    let wide = pool Frame.wideTile<'T>
    let runs = Pool<Buffer<'T>>(fun () -> Buffer<'T>(layout.RunLength + 64))
    let sumBuffers = Pool<Buffer<'T>>(fun () -> Buffer<'T> 0)

    let frames (lanes: int) : Pool<Frame<'T>> =
        if lanes = 1 then single
        elif lanes = Frame.fullTile<'T> then full
        elif lanes = Frame.wideTile<'T> then wide
        else narrow

    let runAll (list: Step<'T>[]) (f: Frame<'T>) : unit =
        for s in list do
            s f

    member _.Outputs: KernelOutput[] = outputs
    member _.RowInputs: (string * Shape)[] = rowInputs
    member _.SharedInputs: (string * Shape * Operand)[] = sharedInputs
    member _.Reductions: Machine<'T>[] = reductions

    /// Memory of a prologue in which what depends on constants only stands already.
    member this.NewPrologue() : Buffer<'T> =
        let buffer = Buffer<'T>(layout.PrologueLength + 64)
        let f = single.Take()
        f.Prologue <- buffer.Start
        runAll constantSteps f
        single.Give f
        buffer

    /// Computes what depends on shared inputs, which stand in their places.
    member this.FillPrologue(prologue: nativeptr<'T>, reduce: Reducer<'T>) : unit =
        let f = single.Take()
        f.Prologue <- prologue
        f.Reducer <- reduce
        f.First <- 0
        f.Valid <- 1
        runAll sharedSteps f
        single.Give f

    /// Zeros for the sums of all blocks.
    member private _.TakeSums(length: int) : Buffer<'T> =
        let known = sumBuffers.Take()

        if known.Length >= length then
            Span<'T>(NativePtr.toVoidPtr known.Start, length).Clear()
            known
        else
            Buffer<'T> length

    member private _.Tile(f: Frame<'T>, list: Step<'T>[], tile: int, lanes: int, rows: int) : unit =
        f.First <- tile * lanes
        f.Valid <- min lanes (rows - f.First)
        runAll list f

    member private this.Blocks
        (
            pass: int,
            prepare: Frame<'T> -> unit,
            rows: int,
            sums: nativeptr<'T>,
            sumLength: int,
            options: RunOptions
        ) : unit =
        let c = cut rows
        let lanes, blocks = c.Lanes, c.Blocks
        let list = passSteps[pass]

        let work (f: Frame<'T>) (b: int) : unit =
            f.Sums <- NativePtr.add sums (b * sumLength)

            for tile in b * c.Block .. min c.Tiles ((b + 1) * c.Block) - 1 do
                options.Cancellation.ThrowIfCancellationRequested()
                this.Tile(f, list, tile, lanes, rows)

        if options.Threads = 1 || blocks = 1 then
            let f = (frames lanes).Take()
            prepare f
            f.Options <- options

            for b in 0 .. blocks - 1 do
                work f b

            (frames lanes).Give f
        else
            this.Parallel(lanes, blocks, prepare, work, options)

    member private _.Parallel
        (
            lanes: int,
            blocks: int,
            prepare: Frame<'T> -> unit,
            work: Frame<'T> -> int -> unit,
            options: RunOptions
        ) : unit =
        let next = ref -1

        let worker (_: int) : unit =
            let f = (frames lanes).Take()
            prepare f
            f.Options <- { options with Threads = 1 }
            let mutable b = Interlocked.Increment next

            while b < blocks do
                work f b
                b <- Interlocked.Increment next

            (frames lanes).Give f

        let threads = min options.Threads blocks

        try
            Parallel.For(0, threads, ParallelOptions(MaxDegreeOfParallelism = threads), worker)
            |> ignore
        with :? AggregateException as e ->
            Runtime.ExceptionServices.ExceptionDispatchInfo.Capture(e.InnerExceptions[0]).Throw()

    /// Adds up the blocks of each sum of a pass, in order.
    member private _.Finish
        (pass: int, rows: int, sums: nativeptr<'T>, sumLength: int, run: nativeptr<'T>)
        : unit =
        let c = cut rows
        let lanes, blocks = c.Lanes, c.Blocks

        for s, offset in fst sumOffsets[pass] do
            let out = layout.Passes[pass].Operands[s]
            let width = if nodes[s].Shape.IsMatrix then 1 else lanes

            for k in 0 .. out.Size - 1 do
                let mutable total = 'T.Zero

                for b in 0 .. blocks - 1 do
                    let p = NativePtr.add sums (b * sumLength + offset + k * width)
                    let mutable part = NativePtr.read p

                    for lane in 1 .. width - 1 do
                        part <- part + NativePtr.get p lane

                    total <- total + part

                NativePtr.set run (out.Offset + k) total

    /// Runs a batch over a filled prologue.
    member this.Execute
        (
            prologue: nativeptr<'T>,
            reduce: Reducer<'T>,
            rows: int,
            inputs: nativeptr<'T>[],
            results: nativeptr<'T>[],
            options: RunOptions
        ) : unit =
        let run = runs.Take()

        let prepare (f: Frame<'T>) : unit =
            f.Prologue <- prologue
            f.Run <- run.Start
            f.Rows <- rows
            f.Inputs <- inputs
            f.Outputs <- results
            f.Reducer <- reduce
            f.First <- 0
            f.Valid <- 1
            f.Options <- options

        let shared (list: Step<'T>[]) : unit =
            if list.Length > 0 then
                let f = single.Take()
                prepare f
                runAll list f
                single.Give f

        shared startSteps

        for pass in 0 .. passSteps.Length - 1 do
            let sumLength = snd sumOffsets[pass]

            if sumLength > 0 then
                let sums = this.TakeSums((cut rows).Blocks * sumLength)
                this.Blocks(pass, prepare, rows, sums.Start, sumLength, options)
                this.Finish(pass, rows, sums.Start, sumLength, run.Start)
                sumBuffers.Give sums
            elif passSteps[pass].Length > 0 then
                this.Blocks(pass, prepare, rows, run.Start, 0, options)

            shared afterSteps[pass]

        let from = single.Take()
        prepare from

        program.Outputs
        |> Array.iteri (fun k (_, node) ->
            if not facts.IsRow[node] then
                let o = layout.Operands[node]

                Span<'T>(NativePtr.toVoidPtr (from.At o), o.Size)
                    .CopyTo(Span<'T>(NativePtr.toVoidPtr results[k], o.Size)))

        single.Give from
        runs.Give run
