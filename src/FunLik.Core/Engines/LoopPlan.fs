namespace FunLik

open System.Collections.Generic
open System.Runtime.Intrinsics.X86

/// What a loop computes: nodes of one length in order, which of them are kept in memory, and where everything lives.
type internal LoopPlan =
    { Size: int; Nodes: int[]; Kept: bool[]; Facts: Facts; Operands: Operand[] }

/// How the writer of a loop reaches an operand.
[<RequireQualifiedAccess>]
type internal Reach =
    /// Loaded in each turn, at the running address.
    | Running
    /// One number a turn, for all lanes.
    | Repeated
    /// Loaded once for a register of lanes.
    | OnceLanes
    /// One number, loaded once.
    | OnceNumber

/// Facts about a loop over vectors or tiles, with so many numbers in a register.
type internal LoopFacts(plan: LoopPlan, isVector: bool, width: int) =
    let facts = plan.Facts
    let inside = Dictionary<int, int>()

    do plan.Nodes |> Array.iteri (fun k i -> inside[i] <- k)

    let op (i: int) : Op = (facts.Op i).Value

    let reach (o: Operand) : Reach =
        let repeats = plan.Size > 1 && (o.Size = 1 || o.Stride = 0)

        if isVector then
            if repeats then Reach.OnceNumber else Reach.Running
        elif o.Space = Space.Row then
            if repeats || plan.Size = 1 then
                Reach.OnceLanes
            else
                Reach.Running
        elif repeats || plan.Size = 1 then
            Reach.OnceNumber
        else
            Reach.Repeated

    let value (a: int) : int voption =
        match facts.Same a with
        | ValueSome h when inside.ContainsKey h && not (facts.IsSum h) -> ValueSome h
        | _ -> ValueNone

    let usesInside =
        let uses = Dictionary<int, int>()

        for i in plan.Nodes do
            for a in facts.Arguments[i] do
                match value a with
                | ValueSome h ->
                    uses[h] <-
                        (match uses.TryGetValue h with
                         | true, n -> n + 1
                         | _ -> 1)
                | ValueNone -> ()

        uses

    /// Products that are taken in by the one sum or difference that reads them.
    let taken =
        let taken = HashSet<int>()

        for i in plan.Nodes do
            match op i with
            | Op.Add
            | Op.Sub
            | Op.Sum ->
                let candidate =
                    facts.Arguments[i]
                    |> Array.tryPick (fun a ->
                        match value a with
                        | ValueSome h when
                            op h = Op.Mul && usesInside[h] = 1 && not plan.Kept[inside[h]]
                            ->
                            Some h
                        | _ -> None)

                candidate |> Option.iter (taken.Add >> ignore)
            | _ -> ()

        taken

    let isSame (a: int) (b: int) : bool =
        match value a, value b with
        | ValueSome g, ValueSome h -> g = h
        | ValueNone, ValueNone -> plan.Operands[a] = plan.Operands[b]
        | _ -> false

    member _.Op(i: int) : Op = op i
    member _.IsKept(i: int) : bool = plan.Kept[inside[i]]
    member _.Reach(o: Operand) : Reach = reach o

    /// The node of the loop, if it is one, whose register holds a node.
    member _.Value(a: int) : int voption = value a

    /// Whether a product is computed where it is added only.
    member _.IsTaken(i: int) : bool = taken.Contains i

    /// The product, if it is one, that is computed where it is added only.
    member _.Contracted(a: int) : int voption =
        match value a with
        | ValueSome h when taken.Contains h -> ValueSome h
        | _ -> ValueNone

    /// Whether quotients by a node are products with its inverse: where it is the divisor of several, or stays from turn to turn. A
    /// division costs as much as ten products. Tiles of any width do the same: so a row has one value in any company.
    member _.IsInverted(divisor: int) : bool =
        let stays =
            match value divisor, reach plan.Operands[divisor] with
            | ValueNone, Reach.OnceNumber -> not isVector || plan.Size > width
            | ValueNone, Reach.OnceLanes -> plan.Size > 1
            | _ -> false

        let isQuotient (i: int) : bool = op i = Op.Div && isSame divisor facts.Arguments[i].[1]

        Avx512F.IsSupported
        && (stays || (plan.Nodes |> Array.filter isQuotient).Length > 1)
