namespace FunLik

/// Rewrites that keep an expression's value: constants are folded, neutral elements dropped, repeated scalars kept as scalars.
/// NaN and infinities stay what they are; zeros may change their sign, and constant factors move, which changes rounding. So do
/// factors that are the same for all rows of a table: out of the sum over it.
[<RequireQualifiedAccess>]
module Simplify =

    /// Constants larger than this are not made by folding.
    let private largestFold = 1 <<< 22

    let private (|Const|_|) (e: Expr) : float[] option =
        match e.Node with
        | Node.Constant values -> Some values
        | _ -> None

    let private (|Uniform|_|) (e: Expr) : float option =
        match e.Node with
        | Node.Constant values when values |> Array.forall (fun v -> v.Equals values[0]) ->
            Some values[0]
        | _ -> None

    let private (|Op1|_|) (op: Op) (e: Expr) : Expr option =
        match e.Node with
        | Node.Apply(o, [ a ]) when o = op -> Some a
        | _ -> None

    let private (|Op2|_|) (op: Op) (e: Expr) : (Expr * Expr) option =
        match e.Node with
        | Node.Apply(o, [ a; b ]) when o = op -> Some(a, b)
        | _ -> None

    let private (|Filled|_|) (e: Expr) : Expr option =
        match e.Node with
        | Node.Apply(Op.Fill _, [ a ]) -> Some a
        | Node.Constant values when
            e.Shape <> Scalar && values |> Array.forall (fun v -> v.Equals values[0])
            ->
            Some(Expr.scalar values[0])
        | _ -> None

    let private isElementwise (op: Op) : bool =
        match op with
        | Op.Sum
        | Op.LogSumExp
        | Op.Fill _
        | Op.Gather _
        | Op.ScatterAdd _
        | Op.Concat
        | Op.MatVec
        | Op.Transpose
        | Op.Outer
        | Op.SparseVec _
        | Op.SumRows
        | Op.OuterRows -> false
        | _ -> true

    let private isRange (first: int) (indices: int[]) : bool =
        indices |> Array.indexed |> Array.forall (fun (i, k) -> k = first + i)

    let private fold (op: Op) (arguments: Expr list) (shape: Shape) : Expr option =
        if op.IsSumRows || op.IsOuterRows || Shape.size shape > largestFold then
            None
        else
            let values =
                arguments
                |> List.choose (fun a ->
                    match a with
                    | Const v -> Some(a.Shape, v)
                    | _ -> None)

            if values.Length = arguments.Length && not values.IsEmpty then
                let result = (Primitive.row op).Value values

                match shape with
                | Matrix(r, c) -> Some(Expr.matrix r c result)
                | Vector _ -> Some(Expr.vector result)
                | Scalar -> Some(Expr.scalar result[0])
            else
                None

    /// Element-by-element operations on repeated scalars: done once, or left to broadcasting.
    let private narrow (op: Op) (arguments: Expr list) (shape: Shape) : Expr option =
        if shape = Scalar || not (isElementwise op) then
            None
        else
            let narrowed =
                arguments
                |> List.map (fun a ->
                    match a with
                    | Filled s -> s
                    | _ -> a)

            if
                List.forall2
                    (fun (a: Expr) (b: Expr) -> obj.ReferenceEquals(a, b))
                    arguments
                    narrowed
            then
                None
            elif narrowed |> List.forall (fun a -> a.Shape = Scalar) then
                Some(Expr.fill shape (Expr.apply op narrowed))
            else
                Some(Expr.apply op narrowed)

    let private ofShape (shape: Shape) (e: Expr) : Expr option =
        if e.Shape = shape then Some e
        elif e.Shape = Scalar then Some(Expr.fill shape e)
        else None

    /// The element of a concatenation in which a range of indices lies.
    let private partOf (indices: int[]) (parts: Expr list) : Expr option =
        let low, high = Array.min indices, Array.max indices

        let rec go (first: int) (rest: Expr list) : Expr option =
            match rest with
            | [] -> None
            | part :: later ->
                let next = first + Shape.size part.Shape

                if low >= next then
                    go next later
                elif low >= first && high < next then
                    let inside = indices |> Array.map (fun i -> i - first)

                    match part.Shape with
                    | Scalar -> Some(Expr.fill (Vector indices.Length) part)
                    | Vector n when n = indices.Length && isRange 0 inside -> Some part
                    | _ -> Some(Expr.gather inside part)
                else
                    None

        go 0 parts

    /// What is added where, part by part.
    let private scattered (indices: int[]) (a: Expr) : (int[] * Expr) list =
        match a.Node with
        | Node.Apply(Op.Concat, parts) ->
            parts
            |> List.mapFold
                (fun first part ->
                    let next = first + Shape.size part.Shape
                    (indices[first .. next - 1], part), next)
                0
            |> fst
        | _ -> [ indices, a ]

    let private pieces (a: Expr) : Expr list =
        match a.Node with
        | Node.Apply(Op.Concat, parts) -> parts
        | _ -> [ a ]

    /// Two vectors with other elements than zero at different places: one behind the other. So the gradient in a vector of which
    /// slices are read is a concatenation.
    let private besides (a: Expr) (b: Expr) : Expr option =
        match a.Node, b.Node with
        | Node.Apply(Op.ScatterAdd(i, length), [ x ]), Node.Apply(Op.ScatterAdd(j, _), [ y ]) when
            Set.intersect (Set.ofArray i) (Set.ofArray j) |> Set.isEmpty
            && (Array.distinct i).Length = i.Length
            && (Array.distinct j).Length = j.Length
            ->
            let parts =
                scattered i x @ scattered j y |> List.sortBy (fun (indices, _) -> indices[0])

            let narrow (part: Expr) : Expr =
                match part with
                | Filled s when part.Shape = Vector 1 -> s
                | _ -> part

            Expr.concat (parts |> List.map (snd >> narrow))
            |> Expr.scatterAdd (parts |> List.map fst |> Array.concat) length
            |> Some
        | Node.Apply(Op.ScatterAdd(i, length), [ x ]), Node.Apply(Op.ScatterAdd(j, _), [ y ]) when
            i.Length + j.Length <= 4 * length
            ->
            // One pass over the zeros is cheaper than two and a sum.
            Some(Expr.scatterAdd (Array.append i j) length (Expr.concat (pieces x @ pieces y)))
        | _ -> None

    /// Elements of one vector that stand one behind the other again: its elements by index.
    let private regathered (parts: Expr list) : Expr option =
        let taken (part: Expr) : (int[] * Expr) option =
            match part.Node with
            | Node.Apply(Op.Gather indices, [ a ]) -> Some(indices, a)
            | Node.Apply(Op.Sum, [ inner ]) when Shape.size inner.Shape = 1 ->
                match inner.Node with
                | Node.Apply(Op.Gather indices, [ a ]) -> Some(indices, a)
                | _ -> None
            | _ -> None

        match taken parts.Head with
        | Some(_, source) ->
            let all = parts |> List.map taken

            if
                all
                |> List.forall (function
                    | Some(_, a) -> Expr.structural.Equals(a, source)
                    | None -> false)
            then
                let indices = all |> List.choose (Option.map fst) |> Array.concat
                Some(Expr.gather indices source)
            else
                None
        | None -> None

    let private algebra (op: Op) (arguments: Expr list) (shape: Shape) : Expr option =
        match op, arguments with
        | Op.Neg, [ Op1 Op.Neg a ] -> Some a
        | Op.Neg, [ Op2 Op.Mul (Const c, x) ]
        | Op.Mul, [ Const c; Op1 Op.Neg x ] when c.Length = 1 ->
            ofShape shape (Expr.scalar -c[0] * x)
        | Op.Add, [ a; b ] when Expr.structural.Equals(a, b) -> Some(2.0 * a)
        | Op.Neg, [ Op2 Op.Sub (a, b) ] -> ofShape shape (b - a)
        | Op.Add, [ a; Uniform 0.0 ]
        | Op.Add, [ Uniform 0.0; a ]
        | Op.Sub, [ a; Uniform 0.0 ] -> ofShape shape a
        | Op.Add, [ a; Op1 Op.Neg b ]
        | Op.Add, [ Op1 Op.Neg b; a ] -> ofShape shape (a - b)
        | Op.Sub, [ a; Op1 Op.Neg b ] -> ofShape shape (a + b)
        | Op.Add, [ a; b ] when a.Shape <> Scalar && a.Shape = b.Shape ->
            match a, b.Node with
            | Op2 Op.Add (x, s), Node.Apply(Op.ScatterAdd _, _) when x.Shape = s.Shape ->
                // What is scattered comes together behind what is not.
                besides s b |> Option.map (fun both -> x + both)
            | _ -> besides a b
        | Op.Sub, [ Uniform 0.0; a ] -> ofShape shape (-a)
        | (Op.Mul | Op.MaskedMul), [ a; Uniform 1.0 ]
        | (Op.Mul | Op.MaskedMul), [ Uniform 1.0; a ]
        | Op.Div, [ a; Uniform 1.0 ] -> ofShape shape a
        | Op.Mul, [ a; Uniform -1.0 ]
        | Op.Mul, [ Uniform -1.0; a ] -> ofShape shape (-a)
        | Op.Mul, [ Uniform -1.0; a ] -> ofShape shape (-a)
        | (Op.Mul | Op.Div), [ Op1 Op.Neg a; Op1 Op.Neg b ] ->
            ofShape shape (Expr.apply op [ a; b ])
        | Op.Mul, [ a; Const c ] when c.Length = 1 && not a.Node.IsConstant ->
            ofShape shape (Expr.scalar c[0] * a)
        | Op.Mul, [ Const c; Op2 Op.Mul (Const d, x) ] when
            c.Length = 1 && d.Length = 1 && System.Double.IsNormal(c[0] * d[0])
            ->
            ofShape shape (Expr.scalar (c[0] * d[0]) * x)
        | Op.Neg, [ Op2 Op.Mul (Op2 Op.Mul (Const c, x), y) ]
        | Op.Neg, [ Op2 Op.Mul (y, Op2 Op.Mul (Const c, x)) ] when c.Length = 1 ->
            ofShape shape (Expr.scalar -c[0] * (x * y))
        | Op.Mul, [ Const c; Op2 Op.Mul (Op2 Op.Mul (Const d, x), y) ]
        | Op.Mul, [ Const c; Op2 Op.Mul (y, Op2 Op.Mul (Const d, x)) ] when
            c.Length = 1 && d.Length = 1 && System.Double.IsNormal(c[0] * d[0])
            ->
            ofShape shape (Expr.scalar (c[0] * d[0]) * (x * y))
        | (Op.Mul | Op.Div), [ Op1 Op.Neg a; b ] -> ofShape shape (-(Expr.apply op [ a; b ]))
        | (Op.Mul | Op.Div), [ a; Op1 Op.Neg b ] -> ofShape shape (-(Expr.apply op [ a; b ]))
        | Op.Mul, [ a; Op2 Op.Div (Uniform 1.0, b) ]
        | Op.Mul, [ Op2 Op.Div (Uniform 1.0, b); a ] -> ofShape shape (a / b)
        | Op.MaskedMul, [ Uniform 0.0; _ ] -> Some(Expr.full shape 0.0)
        | Op.MaskedMul, [ Const c; a ] when c |> Array.forall (fun v -> v <> 0.0) ->
            ofShape shape (Expr.apply Op.Mul [ arguments.Head; a ])
        | Op.MaskedMul, [ a; Const c ] when c |> Array.forall System.Double.IsFinite ->
            ofShape shape (Expr.apply Op.Mul [ a; arguments[1] ])
        | Op.Select, [ Uniform c; a; b ] -> ofShape shape (if c <> 0.0 then a else b)
        | Op.Select, [ _; a; b ] when Expr.structural.Equals(a, b) -> ofShape shape a
        | Op.Power 1, [ a ] -> Some a
        | Op.Power 2, [ a ] -> Some(a * a)
        | Op.Power -1, [ a ] -> Some(1.0 / a)
        | Op.Sum, [ a ] when a.Shape = Scalar -> Some a
        | Op.Sum, [ Filled s & a ] -> Some(s * float (Shape.size a.Shape))
        | Op.Sum, [ Op1 Op.Neg a ] -> Some(-(Expr.sum a))
        | Op.Sum, [ Op2 Op.Mul (Const c & s, v) ] when
            s.Shape = Scalar && System.Double.IsNormal c[0]
            ->
            Some(s * Expr.sum v)
        | Op.Gather indices, [ Filled s ] -> Some(Expr.fill (Vector indices.Length) s)
        | Op.Gather indices, [ a ] when isRange 0 indices && indices.Length = Shape.size a.Shape ->
            Some a
        | Op.Gather indices, [ a ] ->
            match a.Node with
            | Node.Apply(Op.Gather inner, [ b ]) ->
                Some(Expr.gather (indices |> Array.map (fun i -> inner[i])) b)
            | Node.Apply(Op.Concat, parts) -> partOf indices parts
            | _ -> None
        | Op.ScatterAdd(indices, length), [ a ] when isRange 0 indices && indices.Length = length ->
            Some a
        | Op.Concat, [ a ] when a.Shape = shape -> Some a
        | Op.Concat, (_ :: _ :: _ as parts) -> regathered parts
        | Op.Transpose, [ Op1 Op.Transpose a ] -> Some a
        | Op.Transpose, [ Op2 Op.Outer (a, b) ] -> Some(Expr.apply Op.Outer [ b; a ])
        | Op.Transpose, [ Op2 Op.OuterRows (a, b) ] -> Some(Expr.apply Op.OuterRows [ b; a ])
        | _ -> None

    /// A factor or sign of a body that is the same for all rows of a table: what is summed, and what becomes of the sum.
    let private before (table: string) (body: Expr) : (Expr * (Expr -> Expr)) option =
        let stays (e: Expr) : bool = not (e.Tables.Contains table)

        match body with
        | Op1 Op.Neg a -> Some(a, (~-))
        | Op2 Op.Mul (s, a) when stays s -> Some(a, (fun sum -> s * sum))
        | Op2 Op.Mul (a, s) when stays s -> Some(a, (fun sum -> sum * s))
        | Op2 Op.MaskedMul (s, a) when stays s ->
            Some(a, (fun sum -> Expr.apply Op.MaskedMul [ s; sum ]))
        | Op2 Op.Div (a, s) when stays s -> Some(a, (fun sum -> sum / s))
        | _ -> None

    let rec private simplified (node: Expr) : Expr =
        match node.Node with
        | Node.Apply(op, arguments) ->
            let next =
                fold op arguments node.Shape
                |> Option.orElseWith (fun () -> narrow op arguments node.Shape)
                |> Option.orElseWith (fun () -> algebra op arguments node.Shape)

            match next with
            | Some other -> simplifiedBelow other
            | None -> node
        | Node.ReduceOver(_, Uniform 0.0) -> Expr.full node.Shape 0.0
        | Node.ReduceOver(table, body) ->
            match before table body with
            | Some(summed, after) ->
                simplified (Expr.reduceOver table summed) |> after |> simplified
            | None -> node
        | _ -> node

    /// A rule makes at most a few new nodes over simplified ones: those are simplified too.
    and private simplifiedBelow (node: Expr) : Expr =
        match node.Node with
        | Node.Apply(op, arguments) ->
            let below =
                arguments
                |> List.map (fun a ->
                    match a.Node with
                    | Node.Apply(_, inner) when inner |> List.forall (fun i -> i.Node.IsConstant) ->
                        simplified a
                    | Node.Apply((Op.Add | Op.Sub | Op.Mul | Op.Div | Op.Sum | Op.Fill _), _) ->
                        simplified a
                    | _ -> a)

            simplified (if below.IsEmpty then node else Expr.withChildren node below)
        | _ -> node

    let private operations (outputs: Expr list) : int =
        Expr.topological (fun _ -> false) outputs
        |> List.sumBy (fun e -> if (Expr.children e).IsEmpty then 0 else 1)

    /// Simplifies outputs together; equal subexpressions become one. The result never has more operations: where a rewrite
    /// would double what is used elsewhere too, and nothing makes up for that, the outputs come back as they are.
    let run (outputs: Expr list) : Expr list =
        let rule (node: Expr) (arguments: Expr list) : Expr =
            simplified (Expr.withChildren node arguments)

        let smaller = Expr.rewrite rule outputs

        if operations smaller <= operations outputs then
            smaller
        else
            outputs

    /// Simplifies one expression.
    let one (expr: Expr) : Expr = (run [ expr ]).Head
