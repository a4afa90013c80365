namespace FunLik

open System
open System.Numerics
open System.Runtime.Intrinsics
open FSharp.NativeInterop

/// What a thread works on: tiles of rows, and what is shared.
type internal Worker<'T when 'T: unmanaged> = { Tiles: Frame<'T>; Alone: Frame<'T> }

/// A layout with its steps: everything that does not depend on what is bound.
type internal Machine<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
    (layout: Layout, rowInputs: (string * Shape)[]) =

    /// Elements of a loop over what is shared that one thread does at a go.
    static let range = 16384

    let program = layout.Program
    let nodes = program.Nodes
    let facts = layout.Facts
    let assembly = Assembly<'T>(layout, rowInputs)

    let reductions =
        program.Reductions
        |> Array.map (fun r ->
            let columns =
                Program.inputs r.Body
                |> Array.choose (fun (name, role, shape) ->
                    if role.IsWeight then None else Some(name, shape))

            let names = columns |> Array.map fst |> Set.ofArray
            let inner = Layout.create Fuse.isSupported r.Body names.Contains Set.empty
            Machine<'T>(inner, columns))

    let sharedInputs =
        nodes
        |> Array.indexed
        |> Array.choose (fun (i, node) ->
            match node.Instruction with
            | Instruction.Input(name, _) when not facts.IsRow[i] ->
                Some(name, node.Shape, layout.Operands[i])
            | _ -> None)

    /// Outputs with their nodes, without those that are carried over.
    let results =
        program.Outputs
        |> Array.filter (fun (name, _) -> not (layout.Carries.Contains name))

    let outputs =
        results
        |> Array.map (fun (name, k) ->
            { Name = name; Shape = nodes[k].Shape; IsRow = facts.IsRow[k] })

    /// The larger the matrices, the more tiles take part in their products at once; all else finds one tile in the nearest cache.
    let tiles =
        let packed = layout.Packed |> Seq.sumBy (fun (KeyValue(_, o)) -> int64 o.Size)

        match packed * int64 sizeof<'T> with
        | bytes when bytes >= (1L <<< 22) -> 4
        | bytes when bytes >= (1L <<< 17) -> 2
        | _ -> 1

    let features = layout.Passes |> Array.map _.RowFeatures |> Array.fold max 1

    let pool (lanes: int) (tiles: int) =
        Pool<Frame<'T>>(fun () -> Frame<'T>(lanes, features, tiles))

    let single, narrow = pool 1 1, pool Vector512<'T>.Count 1
    let full, wide = pool Frame.fullTile<'T> tiles, pool Frame.wideTile<'T> 1

    let runs = Pool<Buffer<'T>>(fun () -> Buffer<'T>(layout.RunLength + 64))
    let sumBuffers = Pool<Buffer<'T>>(fun () -> Buffer<'T> 0)
    let packBuffers = Pool<Buffer<'T>>(fun () -> Buffer<'T> 0)

    let frames (lanes: int) : Pool<Frame<'T>> =
        if lanes = 1 then single
        elif lanes = Frame.fullTile<'T> then full
        elif lanes = Frame.wideTile<'T> then wide
        else narrow

    let runAll (list: Step<'T>[]) (f: Frame<'T>) : unit =
        for s in list do
            s f

    /// A buffer of at least this length.
    let take (pool: Pool<Buffer<'T>>) (length: int) : Buffer<'T> =
        let known = pool.Take()
        if known.Length >= length then known else Buffer<'T> length

    member _.Outputs: KernelOutput[] = outputs
    member _.RowInputs: (string * Shape)[] = rowInputs
    member _.SharedInputs: (string * Shape * Operand)[] = sharedInputs
    member _.Reductions: Machine<'T>[] = reductions

    /// Memory of a prologue in which what depends on constants only stands already.
    member this.NewPrologue() : Buffer<'T> =
        let buffer = Buffer<'T>(layout.PrologueLength + 64)
        this.OnPrologue(buffer.Start, Unchecked.defaultof<Reducer<'T>>, assembly.Constant)
        buffer

    /// Computes what depends on shared inputs, which stand in their places.
    member this.FillPrologue(prologue: nativeptr<'T>, reduce: Reducer<'T>) : unit =
        this.OnPrologue(prologue, reduce, assembly.Shared)

    member private _.OnPrologue
        (prologue: nativeptr<'T>, reduce: Reducer<'T>, list: Step<'T>[])
        : unit =
        let f = single.Take()
        f.Prologue <- prologue
        f.Reducer <- reduce
        f.First <- 0
        f.Valid <- 1
        runAll list f
        single.Give f

    /// A block of tiles, group by group.
    member private _.Block
        (list: PassStep<'T>[], f: Frame<'T>, first: int, past: int, options: RunOptions)
        : unit =
        let most = if f.Lanes = Frame.fullTile<'T> then tiles else 1
        let groups = (past - first + most - 1) / most

        for g in 0 .. groups - 1 do
            options.Cancellation.ThrowIfCancellationRequested()
            let from = first + (past - first) * g / groups
            let count = first + (past - first) * (g + 1) / groups - from

            if count = 1 then
                f.Select(0, from)

            for step in list do
                match step with
                | PassStep.Each each when count = 1 -> each f
                | PassStep.Each each ->
                    for t in 0 .. count - 1 do
                        f.Select(t, from + t)
                        each f
                | PassStep.Together together ->
                    f.Select(0, from)
                    together f count

    /// Adds up the blocks of each sum of a pass, in order, and their lanes.
    member private _.Finish
        (pass: int, lanes: int, blocks: int, sums: nativeptr<'T>, run: nativeptr<'T>)
        : unit =
        let offsets, length = assembly.Sums[pass]
        let width = Vector512<'T>.Count

        for s, offset in offsets do
            let out = layout.Passes[pass].Operands[s]

            for k in 0 .. out.Size - 1 do
                let first = NativePtr.add sums (offset + k * lanes)

                if lanes = 1 then
                    let mutable total = 'T.Zero

                    for b in 0 .. blocks - 1 do
                        total <- total + NativePtr.get first (b * length)

                    NativePtr.set run (out.Offset + k) total
                else
                    let mutable total = Vector512<'T>.Zero

                    for b in 0 .. blocks - 1 do
                        for register in 0 .. lanes / width - 1 do
                            let part = NativePtr.add first (b * length + register * width)
                            total <- total + Vector512.Load part

                    NativePtr.set run (out.Offset + k) (Vector512.Sum total)

    /// What comes after a pass, as phases: loops are cut where they are long.
    member private _.AfterPhases(pass: int) : struct (int * (Worker<'T> -> int -> unit)) list =
        let list = assembly.After[pass]

        let length (step: AfterStep<'T>) : int =
            match step with
            | AfterStep.Alone _ -> 0
            | AfterStep.Range(size, _) -> size

        if list.Length = 0 then
            []
        elif list |> Array.sumBy length <= 4 * range then
            let all (w: Worker<'T>) (_: int) : unit =
                for step in list do
                    match step with
                    | AfterStep.Alone step -> step w.Alone
                    | AfterStep.Range(size, loop) -> loop w.Alone 0 size

            [ struct (1, all) ]
        else
            [
                for step in list do
                    match step with
                    | AfterStep.Alone step -> struct (1, (fun w _ -> step w.Alone))
                    | AfterStep.Range(size, loop) ->
                        struct ((size + range - 1) / range,
                                (fun w k -> loop w.Alone (k * range) (min size ((k + 1) * range))))
            ]

    /// One pass over the rows and what is shared after it.
    member private this.Pass
        (pass: int, prepare: Frame<'T> -> unit, rows: int, run: nativeptr<'T>, options: RunOptions)
        : unit =
        let packLength = assembly.PackLength pass
        let cut = Cut.ofRows<'T> layout.IsWide (packLength > 0) rows
        let list = assembly.Passes[pass]
        let sumLength = snd assembly.Sums[pass]
        let chunkRows = cut.Chunk * cut.Block * cut.Lanes
        let depth = min rows chunkRows

        let sums =
            if sumLength > 0 then
                let buffer = take sumBuffers (cut.Chunk * sumLength)
                Span<'T>(NativePtr.toVoidPtr buffer.Start, cut.Chunk * sumLength).Clear()
                ValueSome buffer
            else
                ValueNone

        let packs =
            if packLength > 0 then
                ValueSome(take packBuffers (packLength * depth))
            else
                ValueNone

        let sumStart =
            match sums with
            | ValueSome buffer -> buffer.Start
            | ValueNone -> run

        let packStart =
            match packs with
            | ValueSome buffer -> buffer.Start
            | ValueNone -> run

        let inner =
            if options.Threads = 1 then
                options
            else
                { options with Threads = 1 }

        let takeFrame (pool: Pool<Frame<'T>>) : Frame<'T> =
            let f = pool.Take()
            prepare f
            f.Options <- inner
            f.Packs <- packStart
            f.PackDepth <- depth
            f

        let rowsOf (chunk: int) (f: Frame<'T>) (k: int) : unit =
            let block = chunk * cut.Chunk + k
            f.PackFirst <- chunk * chunkRows
            f.Sums <- NativePtr.add sumStart (k * sumLength)

            this.Block(list, f, block * cut.Block, min cut.Tiles ((block + 1) * cut.Block), options)

        if packLength = 0 && (options.Threads = 1 || cut.Blocks = 1) then
            let f = takeFrame (frames cut.Lanes)
            f.Options <- options

            for b in 0 .. cut.Blocks - 1 do
                rowsOf 0 f b

            (frames cut.Lanes).Give f

            if sumLength > 0 then
                this.Finish(pass, cut.Lanes, cut.Chunk, sumStart, run)

            if assembly.After[pass].Length > 0 then
                let alone = takeFrame single
                let w = { Tiles = alone; Alone = alone }

                for struct (count, body) in this.AfterPhases pass do
                    for k in 0 .. count - 1 do
                        body w k

                single.Give alone
        else
            let chunks = (cut.Blocks + cut.Chunk - 1) / cut.Chunk
            let outer = assembly.OuterSums[pass]

            let parts =
                [|
                    for b in outer do
                        for first in 0 .. b.PartRows .. b.Rows - 1 do
                            struct (b, first)
                |]

            let part (chunk: int) (w: Worker<'T>) (k: int) : unit =
                if k = parts.Length then
                    if sumLength > 0 then
                        this.Finish(pass, cut.Lanes, cut.Chunk, sumStart, run)
                else
                    let struct (b, first) = parts[k]
                    let count = min b.PartRows (b.Rows - first)
                    let depth = min chunkRows (rows - chunk * chunkRows)

                    for sum in b.Sums do
                        sum (w.Tiles, first, count, depth, chunk > 0)

                    if chunk = chunks - 1 then
                        for follow in b.Follow do
                            follow w.Tiles first count

            let phases =
                [|
                    for chunk in 0 .. chunks - 1 do
                        let blocks = min cut.Chunk (cut.Blocks - chunk * cut.Chunk)
                        struct (blocks, (fun w k -> rowsOf chunk w.Tiles k))

                        // The other sums are finished after the last chunk.
                        let last = if chunk = chunks - 1 then 1 else 0
                        struct (parts.Length + last, part chunk)

                    yield! this.AfterPhases pass
                |]

            let takeWorker () = { Tiles = takeFrame (frames cut.Lanes); Alone = takeFrame single }

            let giveWorker (w: Worker<'T>) : unit =
                (frames cut.Lanes).Give w.Tiles
                single.Give w.Alone

            Crew<Worker<'T>>(phases, takeWorker, giveWorker).Run options.Threads

        sums |> ValueOption.iter sumBuffers.Give
        packs |> ValueOption.iter packBuffers.Give

    /// Runs a batch over a filled prologue: rows at places of the inputs, or in order where that is null.
    member this.Execute
        (
            prologue: nativeptr<'T>,
            reduce: Reducer<'T>,
            places: nativeptr<int>,
            rows: int,
            inputs: nativeptr<'T>[],
            targets: nativeptr<'T>[],
            options: RunOptions
        ) : unit =
        let run = runs.Take()

        let prepare (f: Frame<'T>) : unit =
            f.Prologue <- prologue
            f.Run <- run.Start
            f.Rows <- rows
            f.Inputs <- inputs
            f.Places <- places
            f.Outputs <- targets
            f.Reducer <- reduce
            f.First <- 0
            f.Valid <- 1
            f.Options <- options

        let alone = single.Take()
        prepare alone
        runAll assembly.Start alone

        for pass in 0 .. assembly.Passes.Length - 1 do
            if assembly.Passes[pass].Length > 0 || assembly.After[pass].Length > 0 then
                this.Pass(pass, prepare, rows, run.Start, options)

        let copy (size: int) (source: nativeptr<'T>) (target: nativeptr<'T>) : unit =
            Span<'T>(NativePtr.toVoidPtr source, size)
                .CopyTo(Span<'T>(NativePtr.toVoidPtr target, size))

        results
        |> Array.iteri (fun k (_, node) ->
            if not facts.IsRow[node] then
                let o = layout.Operands[node]
                copy o.Size (alone.At o) targets[k])

        if not layout.Carries.IsEmpty then
            for struct (input, output) in layout.Carried do
                let o = layout.Operands[output]
                copy o.Size (alone.At o) (alone.At layout.Operands[input])

            runAll assembly.Again alone

        single.Give alone
        runs.Give run
