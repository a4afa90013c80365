namespace FunLik

open System.Collections.Generic

/// Differentiation: from expressions to expressions.
[<RequireQualifiedAccess>]
module Diff =

    let private refuse (message: string) (hint: string) : 'a =
        raise (FunLikException [ Error.make ErrorKind.Unsupported message |> Error.hint hint ])

    /// The largest subexpressions of a body that read no column of a table; constants are left out. Columns of sums inside of
    /// the body are their own.
    let rec frontier (table: string) (body: Expr) : Expr list =
        let outside (e: Expr) : bool = not (e.Tables.Contains table)

        Expr.order (fun e -> if outside e then [] else below e) [ body ]
        |> List.filter (fun e -> outside e && not e.Node.IsConstant)

    /// What a node is computed from: its arguments, or what the body of a sum over a table captures.
    and below (node: Expr) : Expr list =
        match node.Node with
        | Node.ReduceOver(table, body) -> frontier table body
        | _ -> Expr.children node

    /// The nodes on which targets have an influence, arguments first.
    let private active (wrt: HashSet<Expr>) (outputs: Expr list) : Expr list * HashSet<Expr> =
        let order =
            outputs |> Expr.order (fun node -> if wrt.Contains node then [] else below node)

        let reached = HashSet<Expr>(Expr.structural)

        for node in order do
            if wrt.Contains node || below node |> List.exists reached.Contains then
                reached.Add node |> ignore

        order, reached

    /// A cotangent, and whether its zeros may be those of a branch that was not taken.
    [<Struct>]
    type private Cotangent = { Value: Expr; Masked: bool }

    /// A factor that reads columns of a table would, inside of another sum over that table, read those of its rows.
    let private refuseRebound (table: string) (factor: Expr) : unit =
        if factor.Tables.Contains table then
            refuse
                $"the derivative of a sum over the table '{table}' inside of another one over it"
                "give the inner sum a table of its own, with the same columns"

    /// Cotangents of targets out of those of outputs. A row's value that reads a shared one sends it a cotangent a row: they
    /// add up, in the body of a sum over a table only after that sum.
    let rec private sweep
        (inTable: bool)
        (outputs: (Expr * Cotangent) list)
        (wrt: Expr list)
        : Cotangent option list =
        let targets = HashSet<Expr>(wrt, Expr.structural)
        let order, reached = active targets (outputs |> List.map fst)
        let sums = Dictionary<Expr, Cotangent>(Expr.structural)

        let send (fromRow: bool) (target: Expr) (cotangent: Cotangent) : unit =
            let addsUp = fromRow || cotangent.Value.IsRow

            // The cotangent of a matrix is a product that has been summed over the rows already.
            let value =
                if addsUp && not (inTable || target.IsRow || target.Shape.IsMatrix) then
                    Expr.sumRows cotangent.Value
                else
                    cotangent.Value

            sums[target] <-
                match sums.TryGetValue target with
                | true, sum ->
                    { Value = sum.Value + value; Masked = sum.Masked || cotangent.Masked }
                | _ -> { cotangent with Value = value }

        for output, cotangent in outputs do
            if reached.Contains output then
                send false output cotangent

        for node in List.rev order do
            match sums.TryGetValue node with
            | true, cotangent when not (targets.Contains node) ->
                match node.Node with
                | Node.Apply(op, arguments) ->
                    let contributions =
                        (Primitive.row op).Vjp cotangent.Masked arguments node cotangent.Value

                    let masked = cotangent.Masked || op.IsSelect || op.IsMaskedMul

                    for argument, contribution in List.zip arguments contributions do
                        match contribution with
                        | Some value when reached.Contains argument ->
                            send node.IsRow argument { Value = value.Value; Masked = masked }
                        | _ -> ()
                | Node.ReduceOver(table, body) ->
                    let captured = frontier table body |> List.filter reached.Contains
                    refuseRebound table cotangent.Value

                    if captured |> List.exists _.Shape.IsMatrix then
                        refuse
                            $"the gradient in a matrix that a sum over the table '{table}' reads"
                            "pass what depends on the matrix as rows of a batch, and sum with sumRows"

                    for target, inner in List.zip captured (sweep true [ body, cotangent ] captured) do
                        match inner with
                        | Some c ->
                            send node.IsRow target { c with Value = Expr.reduceOver table c.Value }
                        | None -> ()
                | _ -> ()
            | _ -> ()

        wrt
        |> List.map (fun target ->
            match sums.TryGetValue target with
            | true, sum -> Some sum
            | _ -> None)

    let private tablesOf (expressions: Expr list) : Set<string> =
        expressions |> List.map _.Tables |> Set.unionMany

    /// The cotangents of `wrt` for a cotangent of each output: Σ_o cotangent_o · ∂output_o/∂target. Targets may be inputs or any
    /// subexpressions; a target without influence gets zeros. What belongs to a shared target is summed over the rows.
    let vjp (outputs: (Expr * Expr) list) (wrt: Expr list) : Expr list =
        for output, cotangent in outputs do
            if output.Shape <> cotangent.Shape then
                refuse
                    $"a cotangent of {Shape.describe cotangent.Shape} for a {Shape.describe output.Shape}"
                    "a cotangent has the shape of what it belongs to"

        let hidden = tablesOf wrt - tablesOf (outputs |> List.map fst)

        if not hidden.IsEmpty then
            let names = String.concat ", " hidden

            refuse
                $"a derivative in what reads a column of {names}"
                "a sum over a table has no derivative in one of its columns"

        let seeds =
            outputs |> List.map (fun (o, value) -> o, { Value = value; Masked = false })

        List.zip wrt (sweep false seeds wrt)
        |> List.map (fun (target, sum) ->
            match sum with
            | Some cotangent -> cotangent.Value
            | None -> Expr.full target.Shape 0.0)

    /// The tangents of outputs for tangents of some inputs or subexpressions.
    let rec jvp (outputs: Expr list) (tangents: (Expr * Expr) list) : Expr list =
        let known = Dictionary<Expr, Expr>(Expr.structural)

        for target, tangent in tangents do
            if target.Shape <> tangent.Shape then
                refuse
                    $"a tangent of {Shape.describe tangent.Shape} for a {Shape.describe target.Shape}"
                    "a tangent has the shape of what it belongs to"

            known[target] <- tangent

        let targets = HashSet<Expr>(tangents |> List.map fst, Expr.structural)

        let tangentOf (e: Expr) : Expr option =
            match known.TryGetValue e with
            | true, t -> Some t
            | _ -> None

        for node in Expr.order (fun e -> if targets.Contains e then [] else below e) outputs do
            if not (targets.Contains node) then
                match node.Node with
                | Node.Apply(op, arguments) ->
                    let inner = arguments |> List.map tangentOf

                    if inner |> List.exists Option.isSome then
                        match (Primitive.row op).Jvp arguments node inner with
                        | Some tangent -> known[node] <- tangent
                        | None -> ()
                | Node.ReduceOver(table, body) ->
                    let captured =
                        below node
                        |> List.choose (fun e -> tangentOf e |> Option.map (fun t -> e, t))

                    for _, tangent in captured do
                        refuseRebound table tangent

                    if not captured.IsEmpty then
                        known[node] <- Expr.reduceOver table (jvp [ body ] captured).Head
                | _ -> ()

        outputs
        |> List.map (fun output ->
            match tangentOf output with
            | Some tangent -> tangent
            | None -> Expr.full output.Shape 0.0)

    let private scalarOnly (what: string) (y: Expr) : unit =
        if y.Shape <> Scalar then
            refuse
                $"{what} of a {Shape.describe y.Shape}"
                $"{what} is defined for scalars; take a sum or an element"

    /// The gradient of a scalar in each target. Of a row value in a shared target it is the sum over the rows; programs in
    /// which a row's value depends on other rows are refused, unless the value itself is shared.
    let gradients (y: Expr) (wrt: Expr list) : Expr list =
        scalarOnly "a gradient" y

        if y.IsRow && y.MixesRows then
            refuse
                "the gradient of a row's value that depends on other rows"
                "sum it over the rows first: the gradient of the sum is defined"

        vjp [ y, Expr.scalar 1.0 ] wrt

    /// The gradient of a scalar in one target.
    let grad (y: Expr) (x: Expr) : Expr = (gradients y [ x ]).Head

    /// The Hessian of a scalar times a direction (forward over reverse).
    let hvp (y: Expr) (x: Expr) (direction: Expr) : Expr = (jvp [ grad y x ] [ x, direction ]).Head

    /// The rows of the Hessian of a scalar in one target of n elements: n vectors. For large n rather compile `hvp` once
    /// and run it on a batch of unit directions.
    let hessian (y: Expr) (x: Expr) : Expr list =
        let g = grad y x
        let n = Shape.size x.Shape

        [
            for i in 0 .. n - 1 ->
                let unit =
                    match x.Shape with
                    | Scalar -> Expr.scalar 1.0
                    | _ -> Expr.vector (Array.init n (fun k -> if k = i then 1.0 else 0.0))

                (jvp [ g ] [ x, unit ]).Head
        ]
