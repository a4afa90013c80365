namespace FunLik

open System.Collections.Generic
open System.Numerics
open FSharp.NativeInterop

/// Work after a pass over rows.
[<RequireQualifiedAccess>]
type internal AfterStep<'T when 'T: unmanaged> =
    /// Done at once.
    | Alone of Step<'T>
    /// Elements from one up to another; ranges can be done at once.
    | Range of size: int * (Frame<'T> -> int -> int -> unit)

/// Sums of outer products with what follows each part of their rows.
type internal OuterSumsStep<'T when 'T: unmanaged> =
    {
        /// The rows of the sums, those of a part, and the columns.
        Rows: int
        PartRows: int
        Columns: int
        /// Sums some rows over the packed ones: (frame, first, rows, depth, accumulate).
        Sums: (Frame<'T> * int * int * int * bool -> unit)[]
        /// Follows on the same rows when all rows of the batch are summed.
        Follow: (Frame<'T> -> int -> int -> unit)[]
    }

/// From the tasks of a layout to steps.
type internal Assembly<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
    (layout: Layout, rowInputs: (string * Shape)[]) =

    let program = layout.Program
    let nodes = program.Nodes
    let facts = layout.Facts
    let rowIndex = rowInputs |> Array.mapi (fun i (name, _) -> name, i) |> Map.ofArray
    let isMatrix (i: int) : bool = nodes[i].Shape.IsMatrix

    let widest =
        if layout.IsWide then
            Frame.wideTile<'T>
        else
            Frame.fullTile<'T>

    /// Where each sum over rows but those of outer products lies in the memory of one block, in numbers a lane.
    let sumOffsets =
        layout.Passes
        |> Array.map (fun pass ->
            pass.Sums
            |> Array.filter (isMatrix >> not)
            |> Array.mapFold
                (fun first s -> (s, first), first + Layout.padded (facts.Size[s] * widest))
                0)

    /// The rows that the outer products of each pass read.
    let sides =
        layout.Passes
        |> Array.map (fun pass ->
            pass.Sums
            |> Array.filter isMatrix
            |> Array.map (fun s -> facts.Arguments[s][0], facts.Arguments[s][1])
            |> Products.sides<'T> pass.Operands)

    let planOf (operands: Operand[]) (size: int) (members: int[]) (kept: bool[]) : LoopPlan =
        {
            Size = size
            Nodes = members
            Kept = kept
            Facts = facts
            Operands = operands
        }

    let step (operands: Operand[]) (sums: Map<int, int>) (task: Work) : Step<'T> =
        match task with
        | Work.Compute(i, scratch) ->
            let out = operands[i]

            match nodes[i].Instruction with
            | Instruction.Input(name, _) when facts.IsRow[i] -> Border.input rowIndex[name] out
            | Instruction.Input _ -> ignore
            | Instruction.Constant values ->
                let converted = Numbers.convert<'T> values
                fun f -> Numbers.copyTo converted (f.At out)
            | Instruction.Apply(Op.MatVec, [| m; x |]) when facts.IsVirtual m ->
                Emit.sharedProduct operands[facts.Arguments[m][0]] true operands[x] out
            | Instruction.Apply(op, arguments) ->
                let shapes = arguments |> Array.map (fun a -> nodes[a].Shape)

                Emit.operation op (arguments |> Array.map (fun a -> operands[a])) shapes scratch out
            | Instruction.Reduced _ -> ignore
        | Work.SumOf(i, inner, scratch) ->
            let arguments = facts.Arguments[inner]
            let op = (facts.Op inner).Value
            let a, b = operands[arguments[0]], operands[arguments[1]]
            Emit.sumOver op facts.Size[inner] a b scratch operands[i]
        | Work.Fused(size, members, kept) ->
            Fuse.step Emit.gather (planOf operands size members kept)
        | Work.Pack(m, target, isTransposed) ->
            match nodes[m].Shape with
            | Matrix(rows, columns) -> Emit.pack rows columns operands[m] target isTransposed
            | _ -> ignore
        | Work.Store(i, output, column) ->
            let _, node = program.Outputs[output]
            Border.store output column facts.Size[node] operands[i]
        | Work.Accumulate s -> Border.accumulate operands[facts.Arguments[s][0]] sums[s]
        | Work.Reduce(r, members) ->
            let captured = program.Reductions[r].Captured |> Array.map (fun k -> operands[k])

            let results =
                members
                |> Array.map (fun k ->
                    match nodes[k].Instruction with
                    | Instruction.Reduced(_, output) -> struct (output, operands[k])
                    | _ -> struct (0, operands[k]))

            fun f -> f.Reducer.Reduce(f, r, captured, results)

    /// The steps of a pass. The rows of outer products are packed with the first sum that reads them.
    let passOf (p: int) (pass: Pass) : PassStep<'T>[] =
        let packed = HashSet<struct (int * bool)>()
        let sums = Map.ofArray (fst sumOffsets[p])

        let packing (node: int) (isLeft: bool) : PassStep<'T> list =
            if packed.Add(struct (node, isLeft)) then
                let side = if isLeft then sides[p].Left[node] else sides[p].Right[node]
                [ PassStep.Each(Products.pack<'T> side) ]
            else
                []

        [|
            for task in pass.Tasks do
                match task with
                | Work.Accumulate s when isMatrix s ->
                    yield! packing (facts.Arguments[s][0]) true
                    yield! packing (facts.Arguments[s][1]) false
                | Work.Compute(i, _) when facts.Op i = Some Op.MatVec ->
                    let m, x = facts.Arguments[i][0], facts.Arguments[i][1]
                    let source = if facts.IsVirtual m then facts.Arguments[m][0] else m

                    Products.ofRows<'T>
                        (layout.Packed.TryFind m)
                        pass.Operands[source]
                        pass.Operands[x]
                        pass.Operands[i]
                | _ -> PassStep.Each(step pass.Operands sums task)
        |]

    let ofShared (tasks: Work[]) : Step<'T>[] = tasks |> Array.map (step layout.Operands Map.empty)

    let afterOf (task: Work) : AfterStep<'T> =
        match task with
        | Work.Fused(size, members, kept) ->
            AfterStep.Range(size, Fuse.range<'T>(planOf layout.Operands size members kept))
        | _ -> AfterStep.Alone(step layout.Operands Map.empty task)

    let outerOf (p: int) (outer: OuterSums) : OuterSumsStep<'T> =
        let rows, columns =
            match nodes[outer.Sums[0]].Shape with
            | Matrix(r, c) -> r, c
            | _ -> 0, 0

        let follow (task: Work) : Frame<'T> -> int -> int -> unit =
            match task with
            | Work.Fused(size, members, kept) ->
                let loop = Fuse.range<'T>(planOf layout.Operands size members kept)
                fun f first count -> loop f (first * columns) ((first + count) * columns)
            | Work.Pack(m, target, true) ->
                let source = layout.Operands[m]

                fun f first count ->
                    Gemm.packPart (
                        NativePtr.add (f.At source) (first * columns),
                        columns,
                        count,
                        1,
                        columns,
                        Gemm.PanelRows,
                        f.At target,
                        rows,
                        first
                    )
            | Work.Pack(m, target, false) ->
                let source = layout.Operands[m]

                fun f first count ->
                    Gemm.pack (
                        NativePtr.add (f.At source) (first * columns),
                        count,
                        columns,
                        columns,
                        1,
                        NativePtr.add (f.At target) (first * columns)
                    )
            | _ -> fun _ _ _ -> ()

        {
            Rows = rows
            PartRows = Products.partRows rows columns
            Columns = columns
            Sums =
                outer.Sums
                |> Array.map (fun s ->
                    let left = sides[p].Left[facts.Arguments[s][0]]
                    let right = sides[p].Right[facts.Arguments[s][1]]
                    Products.part<'T> left right layout.Operands[s])
            Follow = Array.append (Option.toArray outer.Loop) outer.Packs |> Array.map follow
        }

    /// Whether a task of the prologue needs no shared input: done once for each memory.
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
            | Work.Fused(_, members, _) -> members |> Array.forall (fun i -> known[i])
            | _ -> false

    /// What follows parts of sums is not packed again.
    let isFollowing =
        let packs =
            layout.OuterSums |> Array.collect (Array.collect _.Packs) |> HashSet<Work>

        packs.Contains

    let depends = layout.Prologue |> Array.filter (isFixed >> not)

    /// Steps of the prologue: of constants alone, of shared inputs too, and of these again after a run has carried values over.
    member val Constant: Step<'T>[] = layout.Prologue |> Array.filter isFixed |> ofShared
    member val Shared: Step<'T>[] = ofShared depends
    member val Again: Step<'T>[] = depends |> Array.filter (isFollowing >> not) |> ofShared
    /// What is shared and depends on the number of rows only.
    member val Start: Step<'T>[] = ofShared layout.Start
    member val Passes: PassStep<'T>[][] = layout.Passes |> Array.mapi passOf

    member val OuterSums: OuterSumsStep<'T>[][] =
        layout.OuterSums |> Array.mapi (fun p all -> all |> Array.map (outerOf p))

    member val After: AfterStep<'T>[][] = layout.After |> Array.map (Array.map afterOf)
    /// The sums of a pass over rows but those of outer products, with their places, and the numbers of all.
    member _.Sums: ((int * int)[] * int)[] = sumOffsets
    /// The numbers a row that the outer products of a pass read.
    member _.PackLength(pass: int) : int = sides[pass].Length
