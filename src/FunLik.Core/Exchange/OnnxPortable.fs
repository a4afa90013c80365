namespace FunLik

open System
open System.Collections.Generic

/// What ONNX has no operator for, as compositions of what it has. A writer puts the composition in place of the operation, and a
/// reader knows it again by its structure.
module internal OnnxPortable =

    let private zero = Expr.scalar 0.0

    /// log(1 + x), as Special.log1p has it.
    let private log1p (x: Expr) : Expr =
        let u = 1.0 + x
        let less = u - 1.0

        // Where 1 + x is 1, x itself; infinity stays itself.
        Expr.select less (Expr.select (Expr.less u (Expr.scalar infinity)) (log u * (x / less)) u) x

    /// exp(x) - 1 = 2t / (1 - t) with t = tanh(x/2), which loses nothing for small x.
    let private expm1 (x: Expr) : Expr =
        let t = tanh (0.5 * x)
        Expr.select (Expr.less (abs x) (Expr.scalar 0.5)) (2.0 * t / (1.0 - t)) (exp x - 1.0)

    /// A polynomial by Horner's rule, the highest coefficient first.
    let private polynomial (coefficients: float list) (x: Expr) : Expr =
        coefficients.Tail
        |> List.fold (fun (acc: Expr) c -> acc * x + c) (Expr.scalar coefficients.Head)

    /// The same with the highest coefficient 1, which is not listed.
    let private monic (coefficients: float list) (x: Expr) : Expr =
        coefficients.Tail
        |> List.fold (fun (acc: Expr) c -> acc * x + c) (x + coefficients.Head)

    /// The error function by the rational approximations of Cody (Math. Comp. 23 (1969) 631; coefficients of CALERF): x P(x²)/Q(x²)
    /// near 0, else 1 - exp(-x²) P(|x|)/Q(|x|) with the sign of x, where |x| beyond 6 changes nothing.
    let private erf (x: Expr) : Expr =
        let size = abs x
        let square = x * x

        let near =
            x
            * polynomial
                [
                    1.85777706184603153e-1
                    3.16112374387056560
                    1.13864154151050156e2
                    3.77485237685302021e2
                    3.20937758913846947e3
                ]
                square
            / monic
                [
                    2.36012909523441209e1
                    2.44024637934444173e2
                    1.28261652607737228e3
                    2.84423683343917062e3
                ]
                square

        let y = Expr.select (Expr.less size (Expr.scalar 6.0)) size (Expr.scalar 6.0)

        let tail =
            exp (-(y * y))
            * polynomial
                [
                    2.15311535474403846e-8
                    5.64188496988670089e-1
                    8.88314979438837594
                    6.61191906371416295e1
                    2.98635138197400131e2
                    8.81952221241769090e2
                    1.71204761263407058e3
                    2.05107837782607147e3
                    1.23033935479799725e3
                ]
                y
            / monic
                [
                    1.57449261107098347e1
                    1.17693950891312499e2
                    5.37181101862009858e2
                    1.62138957456669019e3
                    3.29079923573345963e3
                    4.36261909014324716e3
                    3.43936767414372164e3
                    1.23033935480374942e3
                ]
                y

        Expr.select (Expr.less size (Expr.scalar 0.46875)) near (Expr.sign x * (1.0 - tail))

    let private maskedMul (a: Expr) (b: Expr) : Expr = Expr.select a (a * b) zero

    let private xlogy (x: Expr) (y: Expr) : Expr = Expr.select x (x * log y) zero

    let private isNowhereZero (e: Expr) : bool =
        match e.Node with
        | Node.Constant values -> values |> Array.forall (fun v -> v <> 0.0)
        | _ -> false

    /// The lowest finite number of an element type, and one that is hardly above it.
    let private lowest (element: OnnxElement) : float * float =
        if element.IsFloat then
            float -Single.MaxValue, float -3.4e38f
        else
            -Double.MaxValue, -1.79e308

    /// log Σ exp x without -∞ among the x: ONNX Runtime goes wrong where that is the first.
    let private logSumExp (element: OnnxElement) (x: Expr) : Expr =
        let low, nearlyLow = lowest element
        let atLeast (bound: Expr) (e: Expr) : Expr = Expr.select (Expr.less e bound) bound e
        let whole = Expr.logSumExp (atLeast (Expr.scalar low) x)

        Expr.select (Expr.less whole (Expr.scalar nearlyLow)) (Expr.scalar -infinity) whole

    /// The argument of a log Σ exp that has been composed already.
    let private composedArgument (e: Expr) : Expr option =
        match e.Node with
        | Node.Apply(Op.Select, [ _; bound; x ]) ->
            match bound.Node with
            | Node.Constant [| b |] when b = -Double.MaxValue || b = float -Single.MaxValue ->
                Some x
            | _ -> None
        | _ -> None

    /// What stands for an operation in a graph of this element type; None where ONNX Runtime has an operator for it.
    let expansion (element: OnnxElement) (op: Op) (arguments: Expr list) : Expr option =
        match op, arguments with
        | Op.Log1p, [ x ] -> Some(log1p x)
        | Op.Expm1, [ x ] -> Some(expm1 x)
        | Op.Erf, [ x ] when element.IsDouble -> Some(erf x)
        | Op.LogSumExp, [ x ] when (composedArgument x).IsNone -> Some(logSumExp element x)
        | Op.MaskedMul, [ a; b ] -> Some(if isNowhereZero a then a * b else maskedMul a b)
        | Op.XLogY, [ x; y ] -> Some(if isNowhereZero x then x * log y else xlogy x y)
        | _ -> None

    /// Operators that stand for a composite of one argument. ONNX Runtime has those of the second list in single precision only; it
    /// has Sigmoid in both, but replaces x sigmoid(x) by an operator that it lacks in double precision.
    let private activations: (string * (Expr -> Expr)) list = [ "Relu", Composite.relu ]

    let private singleActivations: (string * (Expr -> Expr)) list =
        [
            "Sigmoid", Composite.sigmoid
            "Elu", Composite.elu
            "Selu", Composite.selu
            "Softplus", Composite.softplus
        ]

    let private hole (k: int) (shape: Shape) : Expr = Expr.input $"hole:{k}" Role.State shape

    /// The expressions that stand in place of the holes of a pattern, if the node is of its form.
    let private matching (pattern: Expr) (node: Expr) : Map<string, Expr> option =
        let known = Dictionary<Expr, Expr>(Expr.structural)

        let rec go (p: Expr) (n: Expr) : bool =
            match known.TryGetValue p with
            | true, before -> Expr.structural.Equals(before, n)
            | _ ->
                let fits =
                    p.Shape = n.Shape
                    && match p.Node, n.Node with
                       | Node.Input(_, Role.State), _ -> true
                       | Node.Constant _, Node.Constant _ -> Expr.structural.Equals(p, n)
                       | Node.Apply(op, below), Node.Apply(other, arguments) ->
                           op = other
                           && below.Length = arguments.Length
                           && List.forall2 go below arguments
                       | _ -> false

                if fits then
                    known[p] <- n

                fits

        if go pattern node then
            known
            |> Seq.choose (fun entry ->
                match entry.Key.Node with
                | Node.Input(name, _) -> Some(name, entry.Value)
                | _ -> None)
            |> Map.ofSeq
            |> Some
        else
            None

    /// Finds operators that stand for composites in simplified expressions: name of the operator and its argument.
    let composites (element: OnnxElement) : Expr -> (string * Expr) option =
        let patterns = Dictionary<Shape, (string * Expr) list>()

        let of' (shape: Shape) : (string * Expr) list =
            match patterns.TryGetValue shape with
            | true, found -> found
            | _ ->
                let all =
                    if element.IsFloat then
                        activations @ singleActivations
                    else
                        activations

                let made = all |> List.map (fun (name, f) -> name, Simplify.one (f (hole 0 shape)))
                patterns[shape] <- made
                made

        fun node ->
            match node.Node with
            | Node.Apply((Op.Select | Op.Add), _) ->
                of' node.Shape
                |> List.tryPick (fun (name, pattern) ->
                    matching pattern node |> Option.map (fun found -> name, found["hole:0"]))
            | _ -> None

    /// Knows expansions again: the operation in place of its composition. All compositions are selections at the top.
    let recognise () : Expr -> Expr =
        let patterns = Dictionary<Shape, (Op * Expr) list>()

        let of' (shape: Shape) : (Op * Expr) list =
            match patterns.TryGetValue shape with
            | true, found -> found
            | _ ->
                let pairs =
                    [ shape, shape; shape, Scalar; Scalar, shape ]
                    |> List.distinct
                    |> List.map (fun (a, b) -> [ hole 0 a; hole 1 b ])

                let made =
                    [
                        for op in [ Op.Log1p; Op.Expm1; Op.Erf ] -> op, [ hole 0 shape ]
                        for op in [ Op.XLogY; Op.MaskedMul ] do
                            for pair in pairs -> op, pair
                    ]
                    |> List.choose (fun (op, holes) ->
                        expansion OnnxElement.Double op holes |> Option.map (fun e -> op, e))

                patterns[shape] <- made
                made

        let logSumExpOf (node: Expr) : Expr option =
            match node.Node with
            | Node.Apply(Op.Select, [ _; _; whole ]) ->
                match whole.Node with
                | Node.Apply(Op.LogSumExp, [ inner ]) ->
                    composedArgument inner
                    |> Option.filter (fun x ->
                        [ OnnxElement.Double; OnnxElement.Float ]
                        |> List.exists (fun element ->
                            Expr.structural.Equals(logSumExp element x, node)))
                | _ -> None
            | _ -> None

        fun node ->
            match node.Node, logSumExpOf node with
            | _, Some x -> Expr.logSumExp x
            | Node.Apply(Op.Select, _), None ->
                of' node.Shape
                |> List.tryPick (fun (op, pattern) ->
                    matching pattern node
                    |> Option.map (fun found ->
                        Expr.apply op (found |> Map.toList |> List.map snd)))
                |> Option.defaultValue node
            | _ -> node
