namespace FunLik

open System.Collections.Generic

/// What a kernel does, and where everything lives.
type internal Layout =
    {
        Program: Program
        Facts: Facts
        /// Where shared nodes live.
        Operands: Operand[]
        /// Packed matrices by node.
        Packed: Map<int, Operand>
        Prologue: Work[]
        /// What is shared and depends on the number of rows only.
        Start: Work[]
        Passes: Pass[]
        /// The matrices among the sums of each pass.
        OuterSums: OuterSums[][]
        /// After each pass: what else is shared and depends on its sums.
        After: Work[][]
        /// The outputs that become the values of shared inputs of their names after each run.
        Carries: Set<string>
        /// Those of them that are copied, as they are not written there: (input, output).
        Carried: struct (int * int)[]
        PrologueLength: int
        RunLength: int
        /// Whether its tiles may be wide: it multiplies no matrices, and all that a tile holds stays in the nearest cache.
        IsWide: bool
    }

/// Decides what is computed where and when, and which memory is used again.
[<RequireQualifiedAccess>]
module internal Layout =

    let padded (size: int) : int = Arena.Padded size

    /// Smaller matrices are transposed where they lie; the lines of larger ones leave the cache before they are used up.
    let private leastTransposed = 1 <<< 20

    let private none = { Space = Space.Row; Offset = 0; Size = 0; Stride = 0 }

    /// Features that a wide tile holds at most.
    let private widestFeatures = 32

    let private isWide (facts: Facts) (passes: Pass[]) : bool =
        let multiplies (task: Work) : bool =
            match task with
            | Work.Compute(i, _) -> facts.Op i = Some Op.MatVec
            | Work.Accumulate s -> facts.Op s = Some Op.OuterRows
            | _ -> false

        let features (pass: Pass) : int =
            pass.Tasks
            |> Array.sumBy (fun task ->
                match task with
                | Work.Compute(i, scratch)
                | Work.SumOf(i, _, scratch) -> facts.Size[i] + scratch.Size
                | Work.Fused(size, nodes, kept) ->
                    Array.zip nodes kept
                    |> Array.sumBy (fun (i, k) -> if k then facts.Size[i] else 0)
                | Work.Reduce(_, members) -> members |> Array.sumBy (fun i -> facts.Size[i])
                | _ -> 0)

        passes
        |> Array.forall (fun pass ->
            features pass <= widestFeatures && not (Array.exists multiplies pass.Tasks))

    /// Lays out a program whose row inputs are known, and the outputs that carry values to shared inputs of their names.
    let create
        (fuse: bool)
        (program: Program)
        (rowInput: string -> bool)
        (carries: Set<string>)
        : Layout =
        let facts = Facts(program, rowInput, carries.Contains)
        let nodes = program.Nodes
        let count = nodes.Length
        let operands = Array.create count none
        let mutable prologueLength = 0
        let mutable runLength = 0

        let takeShared (space: Space) (size: int) : Operand =
            let offset =
                if space = Space.Prologue then
                    let o = prologueLength
                    prologueLength <- o + padded size
                    o
                else
                    let o = runLength
                    runLength <- o + padded size
                    o

            { Space = space; Offset = offset; Size = size; Stride = 1 }

        let place (i: int) : unit =
            match facts.Alias i with
            | ValueSome(struct (a, first, stride)) ->
                let below = operands[a]

                operands[i] <-
                    { below with
                        Offset = below.Offset + first * below.Stride
                        Size = facts.Size[i]
                        Stride = stride * below.Stride
                    }
            | ValueNone -> ()

        let scratchSize (i: int) : int =
            match facts.Inner i with
            | ValueSome inner when facts.Op inner = Some Op.XLogY -> facts.Size[inner]
            | _ ->
                match facts.Op i with
                | Some Op.LogSumExp -> facts.Size[facts.Arguments[i][0]]
                | _ -> 0

        let task (i: int) (scratch: Operand) : Work =
            match facts.Inner i with
            | ValueSome inner -> Work.SumOf(i, inner, scratch)
            | ValueNone -> Work.Compute(i, scratch)

        let skipped (i: int) : bool =
            (facts.Alias i).IsSome || facts.IsAbsorbed i || facts.IsVirtual i

        // ---- shared nodes
        let packed = Dictionary<int, Operand>()

        let packTasks (i: int) : Work list =
            let isFactor (m: int) : bool =
                facts.Consumers[m]
                |> Seq.exists (fun c ->
                    facts.Op c = Some Op.MatVec && facts.IsRow[c] && facts.Arguments[c][0] = m)

            let pack (m: int) (rows: int) (depth: int) : Work =
                let target = takeShared facts.Space[i] (Gemm.packedLength<float32> rows depth)
                packed[m] <- target
                Work.Pack(i, target, m <> i)

            match nodes[i].Shape with
            | Matrix(rows, columns) ->
                [
                    if isFactor i then
                        pack i rows columns
                    if facts.Size[i] >= leastTransposed then
                        for t in facts.Consumers[i] |> Seq.distinct do
                            if facts.IsVirtual t && isFactor t then
                                pack t columns rows
                ]
            | _ -> []

        let membersOf (r: int) (wanted: int -> bool) : int[] =
            [|
                for k in 0 .. count - 1 do
                    match nodes[k].Instruction with
                    | Instruction.Reduced(q, _) when q = r && wanted k -> k
                    | _ -> ()
            |]

        let isRowSum (i: int) : bool =
            match facts.Op i with
            | Some(Op.SumRows | Op.OuterRows) ->
                facts.Arguments[i] |> Array.exists (fun a -> facts.IsRow[a])
            | _ -> false

        let carried =
            [|
                for i in 0 .. count - 1 do
                    match nodes[i].Instruction with
                    | Instruction.Input(name, _) when carries.Contains name ->
                        struct (i, program.Outputs |> Array.find (fst >> (=) name) |> snd)
                    | _ -> ()
            |]

        let written = HashSet<int>()

        /// An output may be written over its input by a loop that alone, after all passes, reads it.
        let target (wanted: int -> bool) (loop: int[]) (output: int) : int voption =
            let isFree (input: int) : bool =
                not (facts.IsOutput input)
                && facts.Size[input] = facts.Size[output]
                && seq { 0 .. count - 1 }
                   |> Seq.forall (fun c ->
                       facts.IsRow[c]
                       || not (wanted c)
                       || facts.Arguments[c]
                          |> Array.forall (fun a ->
                              facts.Home a <> input || (a = input && Array.contains c loop)))

            carried
            |> Array.tryPick (fun (struct (input, o)) ->
                if o = output && isFree input then Some input else None)
            |> function
                | Some input -> ValueSome input
                | None -> ValueNone

        let sharedTasks (isLast: bool) (wanted: int -> bool) : Work[] =
            let items = List<Item>()
            let known = HashSet<int>()
            let isHere (i: int) : bool = not facts.IsRow[i] && wanted i

            for i in 0 .. count - 1 do
                if
                    isHere i && not (skipped i) && operands[i].Size = 0 && not (known.Contains i)
                then
                    let item =
                        match facts.Reduction i with
                        | ValueSome r -> Item.Reduce(r, membersOf r (fun _ -> true))
                        | ValueNone -> Item.Single i

                    Item.nodes item |> Array.iter (known.Add >> ignore)
                    items.Add item

            let merged =
                if fuse then
                    SharedLoops.merge facts items
                else
                    items.ToArray()

            let places = Dictionary<int, Operand>()

            for item in merged do
                match item with
                | Item.Fused(size, members) ->
                    (members, SharedLoops.kept facts members)
                    ||> Array.iter2 (fun i isKept ->
                        if not isKept then
                            places[i] <- { none with Space = Space.Run; Size = size; Stride = 1 }
                        elif isLast then
                            match target wanted members i with
                            | ValueSome input ->
                                places[i] <- operands[input]
                                written.Add input |> ignore
                            | ValueNone -> ())
                | _ -> ()

            for i in 0 .. count - 1 do
                if isHere i then
                    if skipped i then
                        place i
                    elif operands[i].Size = 0 then
                        operands[i] <-
                            match places.TryGetValue i with
                            | true, o -> o
                            | _ -> takeShared facts.Space[i] facts.Size[i]

            [|
                for item in merged do
                    match item with
                    | Item.Single i ->
                        let size = scratchSize i
                        task i (if size > 0 then takeShared facts.Space[i] size else none)
                    | Item.Reduce(r, members) -> Work.Reduce(r, members)
                    | Item.Fused(size, members) ->
                        Work.Fused(size, members, SharedLoops.kept facts members)

                    yield! Item.nodes item |> List.ofArray |> List.collect packTasks
            |]

        let prologue = sharedTasks false (fun i -> facts.Space[i] = Space.Prologue)

        let start =
            sharedTasks false (fun i -> facts.Space[i] = Space.Run && facts.Level[i] = 0)

        let deepest = Array.fold max 0 facts.Level

        // ---- passes over rows
        let pass (at: int) : Pass =
            let sums =
                [|
                    for i in 0 .. count - 1 do
                        if isRowSum i && facts.Level[i] = at + 1 then
                            i
                |]

            for s in sums do
                operands[s] <- takeShared Space.Run facts.Size[s]

            let stores = Dictionary<int, List<Work>>()

            let store (node: int) (t: Work) : unit =
                match stores.TryGetValue node with
                | true, list -> list.Add t
                | _ -> stores[node] <- List<Work>([ t ])

            let roots = List<int>()

            program.Outputs
            |> Array.iteri (fun k (_, node) ->
                if facts.IsRow[node] && facts.Level[node] = at then
                    let mutable column = 0

                    let parts =
                        if facts.IsVirtual node then
                            facts.Arguments[node]
                        else
                            [| node |]

                    for part in parts do
                        // What is shared or repeated is written behind the last row value.
                        store part (Work.Store(part, k, column))
                        roots.Add part
                        column <- column + facts.Size[part])

            for s in sums do
                for a in facts.Arguments[s] do
                    if facts.IsRow[a] then
                        roots.Add a

            let needed = Array.create count false
            let pending = Stack<int>(roots)

            while pending.Count > 0 do
                let i = pending.Pop()

                if facts.IsRow[i] && not needed[i] then
                    needed[i] <- true

                    for a in facts.Arguments[i] do
                        pending.Push a

                    match nodes[i].Instruction with
                    | Instruction.Reduced(r, _) ->
                        for k in membersOf r (fun k -> not needed[k]) do
                            pending.Push k
                    | _ -> ()

            let isRoot =
                HashSet<int>(roots |> Seq.filter (fun r -> facts.IsRow[r]) |> Seq.map facts.Home)
                    .Contains

            let items, position = Schedule.create facts fuse membersOf needed isRoot
            let items = items |> Array.map (Schedule.again facts)

            // The last item that reads each home from memory.
            let last = Array.create count -1
            let inMemory = Array.create count false

            let readAt (a: int) (item: int) : unit =
                if facts.IsRow[a] then
                    let h = facts.Home a
                    last[h] <- max last[h] item
                    inMemory[h] <- true

            items
            |> Array.iteri (fun p item ->
                for i in Item.nodes item do
                    for a in facts.Arguments[i] do
                        if not (Item.computes facts item a) then
                            readAt a p)

            let finished (nodes: int[]) : int =
                nodes
                |> Array.filter (fun a -> facts.IsRow[a])
                |> Array.map (fun a -> position[facts.Home a])
                |> Array.max

            let after = Array.init items.Length (fun _ -> List<Work>())

            for KeyValue(part, list) in stores do
                if facts.IsRow[part] then
                    let p = finished [| part |]
                    readAt part p
                    after[p].AddRange list

            for s in sums do
                let p = finished facts.Arguments[s]

                for a in facts.Arguments[s] do
                    readAt a p

                after[p].Add(Work.Accumulate s)

            let arena = Arena()
            let tasks = List<Work>()
            let placed = HashSet<int>()

            let take (i: int) : unit =
                operands[i] <-
                    {
                        Space = Space.Row
                        Offset = arena.Take facts.Size[i]
                        Size = facts.Size[i]
                        Stride = 1
                    }

                placed.Add i |> ignore

            // Aliases are placed with the item that makes what they stand for.
            let aliases = Array.init items.Length (fun _ -> List<int>())

            for i in 0 .. count - 1 do
                if needed[i] && (facts.Alias i).IsSome then
                    aliases[position[facts.Home i]].Add i

            items
            |> Array.iteri (fun p item ->
                match item with
                | Item.Single i ->
                    take i

                    let scratch =
                        match scratchSize i with
                        | 0 -> none
                        | size ->
                            {
                                Space = Space.Row
                                Offset = arena.Take size
                                Size = size
                                Stride = 1
                            }

                    tasks.Add(task i scratch)

                    if scratch.Size > 0 then
                        arena.Give(scratch.Offset, scratch.Size)
                | Item.Reduce(r, members) ->
                    Array.iter take members
                    tasks.Add(Work.Reduce(r, members))
                | Item.Fused(size, members) ->
                    let kept = members |> Array.map (fun i -> inMemory[i] && position[i] = p)

                    for i in members do
                        // Single rows find mapped elements written out.
                        if position[i] = p && (inMemory[i] || facts.IsMapped i) then
                            take i

                    tasks.Add(Work.Fused(size, members, kept))

                for i in aliases[p] do
                    place i

                tasks.AddRange after[p]

                for k in Seq.toArray placed do
                    if last[k] <= p then
                        placed.Remove k |> ignore
                        arena.Give(operands[k].Offset, operands[k].Size))

            // Parts of outputs that are not rows themselves.
            for KeyValue(part, list) in stores do
                if not facts.IsRow[part] then
                    tasks.AddRange list

            {
                Tasks = tasks.ToArray()
                Operands = Array.copy operands
                Sums = sums
                RowFeatures = arena.Top
            }

        let isMatrix (i: int) : bool = nodes[i].Shape.IsMatrix

        /// The packing of matrices that a loop writes over.
        let changed (members: int[]) : Work[] =
            [|
                for struct (input, output) in carried do
                    if written.Contains input && Array.contains output members then
                        for task in prologue do
                            match task with
                            | Work.Pack(m, _, _) when m = input -> task
                            | _ -> ()
            |]

        let nothingFollows =
            program.Outputs
            |> Array.forall (fun (_, i) -> not facts.IsRow[i] || facts.Level[i] < deepest)

        let passes, following =
            [|
                for at in 0..deepest ->
                    let p = pass at

                    let tasks =
                        sharedTasks (at + 1 = deepest && nothingFollows) (fun i ->
                            facts.Space[i] = Space.Run && facts.Level[i] = at + 1)

                    p, Following.attach facts isMatrix changed p.Sums tasks
            |]
            |> Array.unzip

        {
            Program = program
            Facts = facts
            Operands = operands
            Packed = Map.ofSeq (packed |> Seq.map (fun (KeyValue(m, o)) -> m, o))
            Prologue = prologue
            Start = start
            Passes = passes
            OuterSums = following |> Array.map fst
            After = following |> Array.map snd
            Carries = carries
            Carried =
                carried
                |> Array.filter (fun (struct (input, output)) ->
                    input <> output && not (written.Contains input))
            PrologueLength = prologueLength
            RunLength = runLength
            IsWide = isWide facts passes
        }
