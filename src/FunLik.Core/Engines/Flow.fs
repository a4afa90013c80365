namespace FunLik

open System.Collections.Generic

/// Where the value of a node lives while a kernel runs.
[<RequireQualifiedAccess>]
type internal Space =
    /// In a tile of rows: one number a feature and lane.
    | Row = 0
    /// Computed once when a kernel is bound.
    | Prologue = 1
    /// Shared by all rows, computed in each run.
    | Run = 2

/// Which operations engines treat alike.
module internal Ops =

    let isMap2 (op: Op) : bool =
        match op with
        | Op.Add
        | Op.Sub
        | Op.Mul
        | Op.MaskedMul
        | Op.Div
        | Op.Less -> true
        | _ -> false

    let broadcasts (op: Op) : bool = isMap2 op || op.IsXLogY || op.IsSelect

    /// Operations that go into loops with others.
    let fuses (op: Op) : bool =
        match op with
        | Op.Neg
        | Op.Abs
        | Op.Sign
        | Op.Sqrt
        | Op.Exp
        | Op.Log
        | Op.Tanh -> true
        | Op.Power n -> abs n <= 8
        | _ -> broadcasts op

    let isRange (indices: int[]) : bool =
        indices |> Array.indexed |> Array.forall (fun (i, k) -> k = indices[0] + i)

/// Facts about the nodes of a program that do not depend on where they live. Some shared inputs change in each run.
type internal Facts(program: Program, rowInput: string -> bool, changes: string -> bool) =
    let nodes = program.Nodes
    let count = nodes.Length
    let size = nodes |> Array.map (fun n -> Shape.size n.Shape)
    let isRow = Array.create count false
    let level = Array.create count 0
    let space = Array.create count Space.Row
    let consumers = Array.init count (fun _ -> List<int>())

    let arguments =
        nodes
        |> Array.map (fun node ->
            match node.Instruction with
            | Instruction.Apply(_, arguments) -> arguments
            | Instruction.Reduced(r, _) -> program.Reductions[r].Captured
            | _ -> [||])

    do
        for i in 0 .. count - 1 do
            let below = arguments[i]

            for a in below do
                consumers[a].Add i

            let deepest = below |> Array.fold (fun m a -> max m level[a]) 0
            let anyRow = below |> Array.exists (fun a -> isRow[a])
            let anyRun = below |> Array.exists (fun a -> space[a] = Space.Run)

            match nodes[i].Instruction with
            | Instruction.Input(name, _) -> isRow[i] <- rowInput name
            | Instruction.Apply((Op.SumRows | Op.OuterRows), _) ->
                level[i] <- if anyRow then deepest + 1 else deepest
                space[i] <- Space.Run
            | _ ->
                isRow[i] <- anyRow
                level[i] <- deepest

            if not isRow[i] && not (space[i] = Space.Run) then
                space[i] <- if anyRun then Space.Run else Space.Prologue

    let outputs = program.Outputs |> Array.map snd |> Array.distinct |> HashSet

    /// What changes in each run, and is only read element by element behind sums over rows, is computed there: nothing is kept.
    let sink (changing: bool[]) : unit =
        for i in count - 1 .. -1 .. 0 do
            let isElementwise =
                match nodes[i].Instruction with
                | Instruction.Apply(op, _) -> Ops.fuses op
                | _ -> false

            if
                isElementwise
                && changing[i]
                && not isRow[i]
                && level[i] = 0
                && not (outputs.Contains i)
                && consumers[i].Count > 0
                && consumers[i]
                   |> Seq.forall (fun c ->
                       not isRow[c] && level[c] > 0 && size[c] = size[i] && size[i] > 1)
            then
                space[i] <- Space.Run
                level[i] <- consumers[i] |> Seq.map (fun c -> level[c]) |> Seq.min

    do
        let changing = Array.create count false

        for i in 0 .. count - 1 do
            changing[i] <-
                match nodes[i].Instruction with
                | Instruction.Input(name, _) -> changes name
                | _ -> arguments[i] |> Array.exists (fun a -> changing[a])

        sink changing

    member _.Size = size
    member _.IsRow = isRow
    member _.Level = level
    member _.Space = space
    member _.Arguments = arguments
    member _.Consumers = consumers
    member _.IsOutput(i: int) = outputs.Contains i

    member _.Op(i: int) : Op option =
        match nodes[i].Instruction with
        | Instruction.Apply(op, _) -> Some op
        | _ -> None

    /// The sum over a table of which a node is an output.
    member _.Reduction(i: int) : int voption =
        match nodes[i].Instruction with
        | Instruction.Reduced(r, _) -> ValueSome r
        | _ -> ValueNone

    /// Nodes that are read where another one lives: (node, first feature, stride).
    member this.Alias(i: int) : struct (int * int * int) voption =
        match nodes[i].Instruction with
        | Instruction.Apply(Op.Gather indices, [| a |]) when Ops.isRange indices ->
            ValueSome(struct (a, indices[0], 1))
        | Instruction.Apply(Op.Sum, [| a |]) when size[a] = 1 -> ValueSome(struct (a, 0, 1))
        | Instruction.Apply(Op.Fill _, [| a |]) when
            not (outputs.Contains i)
            && consumers[i].Count > 0
            && consumers[i]
               |> Seq.forall (fun c ->
                   (this.Op c |> Option.exists Ops.broadcasts) && size[c] = size[i])
            ->
            ValueSome(struct (a, 0, 0))
        | _ -> ValueNone

    /// The operation on two operands that a sum takes in.
    member this.Inner(i: int) : int voption =
        match nodes[i].Instruction with
        | Instruction.Apply(Op.Sum, [| a |]) when
            not isRow[i]
            && size[a] > 1
            && consumers[a].Count = 1
            && not (outputs.Contains a)
            ->
            match this.Op a with
            | Some op when Ops.isMap2 op || op.IsXLogY -> ValueSome a
            | _ -> ValueNone
        | _ -> ValueNone

    member this.IsAbsorbed(i: int) : bool =
        consumers[i].Count = 1 && this.Inner(consumers[i][0]) = ValueSome i

    /// Concatenations that are only outputs are written part by part; transposes that only go into products are packed so.
    member this.IsVirtual(i: int) : bool =
        match this.Op i with
        | Some Op.Concat -> isRow[i] && consumers[i].Count = 0
        | Some Op.Transpose ->
            not (outputs.Contains i)
            && consumers[i].Count > 0
            && consumers[i]
               |> Seq.forall (fun c -> this.Op c = Some Op.MatVec && arguments[c][1] <> i)
        | _ -> false

    /// The node whose memory a node is read from.
    member this.Home(i: int) : int =
        match this.Alias i with
        | ValueSome(struct (a, _, _)) -> this.Home a
        | ValueNone -> i

    /// The node that holds exactly the value of a node.
    member this.Same(i: int) : int voption =
        match this.Alias i with
        | ValueSome(struct (a, 0, 1)) when size[a] = size[i] -> this.Same a
        | ValueSome _ -> ValueNone
        | ValueNone -> ValueSome i

    /// A sum over more than one element.
    member this.IsSum(i: int) : bool = this.Op i = Some Op.Sum && size[arguments[i][0]] > 1

    /// A row's elements by an index that is no range: read where a loop wants them.
    member this.IsMapped(i: int) : bool =
        match this.Op i with
        | Some(Op.Gather _) -> isRow[i] && (this.Alias i).IsNone
        | _ -> false

    /// The length of the loop into which a row's node may go; 0 if into none.
    member this.LoopSize(i: int) : int =
        match this.Op i with
        | Some Op.Sum -> size[arguments[i][0]]
        | Some op when Ops.fuses op -> size[i]
        | _ when this.IsMapped i -> size[i]
        | _ -> 0
