namespace FunLik

open System.Collections.Generic

/// Differentiation: from expressions to expressions.
[<RequireQualifiedAccess>]
module Diff =

    let private refuse (message: string) (hint: string) : 'a =
        raise (FunLikException [ Error.make ErrorKind.Unsupported message |> Error.hint hint ])

    let private times (masked: bool) : Expr -> Expr -> Expr =
        if masked then
            fun a b -> Expr.apply Op.MaskedMul [ a; b ]
        else
            fun a b -> a * b

    /// The largest subexpressions of a body that read no column of a table.
    let frontier (table: string) (body: Expr) : Expr list =
        let outside (e: Expr) : bool = not (e.Tables.Contains table)

        Expr.topological outside [ body ]
        |> List.filter (fun e -> outside e && not e.Node.IsConstant)

    /// Brings a contribution to what it is added to: rows that share a value add up.
    let private gathered (target: Expr) (contribution: Expr) : Expr =
        if contribution.IsRow && not target.IsRow then
            Expr.sumRows contribution
        else
            contribution

    /// The nodes below outputs on which targets have an influence, arguments first.
    let private active (wrt: HashSet<Expr>) (outputs: Expr list) : Expr list * HashSet<Expr> =
        let order = Expr.topological wrt.Contains outputs
        let reached = HashSet<Expr>(Expr.structural)

        for node in order do
            if wrt.Contains node || Expr.children node |> List.exists reached.Contains then
                reached.Add node |> ignore

        order, reached

    let rec private sweep (below: bool) (outputs: (Expr * Expr) list) (wrt: Expr list) : Expr list =
        let targets = HashSet<Expr>(wrt, Expr.structural)
        let order, reached = active targets (outputs |> List.map fst)
        let sums = Dictionary<Expr, Expr>(Expr.structural)
        let masks = HashSet<Expr>(Expr.structural)

        let send (masked: bool) (target: Expr) (contribution: Expr) : unit =
            let value = gathered target contribution

            if masked then
                masks.Add target |> ignore

            match sums.TryGetValue target with
            | true, sum -> sums[target] <- sum + value
            | _ -> sums[target] <- value

        for output, cotangent in outputs do
            if reached.Contains output then
                send below output cotangent

        for node in List.rev order do
            if reached.Contains node && not (targets.Contains node) then
                match sums.TryGetValue node with
                | false, _ -> ()
                | true, cotangent ->
                    let masked = masks.Contains node

                    match node.Node with
                    | Node.Apply(op, arguments) ->
                        let contributions =
                            (Primitive.row op).Vjp (times masked) arguments node cotangent

                        for argument, contribution in List.zip arguments contributions do
                            match contribution with
                            | Some value when reached.Contains argument ->
                                send (masked || op.IsSelect) argument value
                            | _ -> ()
                    | Node.ReduceOver(table, body) ->
                        let captured = frontier table body |> List.filter reached.Contains

                        for target, value in
                            List.zip captured (sweep masked [ body, cotangent ] captured) do
                            send masked target (Expr.reduceOver table value)
                    | _ -> ()

        wrt
        |> List.map (fun target ->
            match sums.TryGetValue target with
            | true, sum when sum.Shape = target.Shape -> sum
            | true, sum -> Expr.fill target.Shape sum
            | _ -> Expr.full target.Shape 0.0)

    /// The cotangents of `wrt` for a cotangent of each output: Σ_o cotangent_o · ∂output_o/∂target. Targets may be inputs or any
    /// subexpressions; a target without influence gets zeros. What belongs to a shared target is summed over the rows.
    let vjp (outputs: (Expr * Expr) list) (wrt: Expr list) : Expr list = sweep false outputs wrt

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

        for node in Expr.topological targets.Contains outputs do
            if not (targets.Contains node) then
                match node.Node with
                | Node.Apply(op, arguments) ->
                    let below =
                        arguments
                        |> List.map (fun a ->
                            match known.TryGetValue a with
                            | true, t -> Some t
                            | _ -> None)

                    if below |> List.exists Option.isSome then
                        match (Primitive.row op).Jvp (times false) arguments node below with
                        | Some tangent -> known[node] <- tangent
                        | None -> ()
                | Node.ReduceOver(table, body) ->
                    let captured =
                        frontier table body
                        |> List.choose (fun e ->
                            match known.TryGetValue e with
                            | true, t -> Some(e, t)
                            | _ -> None)

                    if not captured.IsEmpty then
                        known[node] <- Expr.reduceOver table (jvp [ body ] captured).Head
                | _ -> ()

        outputs
        |> List.map (fun output ->
            match known.TryGetValue output with
            | true, t -> t
            | _ -> Expr.full output.Shape 0.0)

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
