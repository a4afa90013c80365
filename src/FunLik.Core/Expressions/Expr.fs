namespace FunLik

open System

/// Making and taking apart expressions.
[<RequireQualifiedAccess; CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module Expr =

    /// A constant scalar.
    let scalar (value: float) : Expr = Build.scalar value

    /// A constant vector; the array is copied.
    let vector (values: float[]) : Expr = Build.vector values

    /// A constant matrix of `rows` x `columns` from its elements row by row.
    let matrix (rows: int) (columns: int) (values: float[]) : Expr =
        if values.Length <> rows * columns then
            let message = $"{values.Length} values for a matrix of {rows} x {columns}"
            raise (FunLikException [ Error.make ErrorKind.Shape message ])

        Build.leaf (Node.Constant(Array.copy values)) (Matrix(rows, columns))

    /// A constant of a given shape with all elements equal.
    let full (shape: Shape) (value: float) : Expr =
        Build.leaf (Node.Constant(Array.create (Shape.size shape) value)) shape

    /// A named input.
    let input (name: string) (role: Role) (shape: Shape) : Expr =
        Build.leaf (Node.Input(name, role)) shape

    /// A named parameter.
    let parameter (name: string) (shape: Shape) : Expr = input name Role.Parameter shape

    /// A named datum.
    let datum (name: string) (shape: Shape) : Expr = input name Role.Datum shape

    /// A named weight: shared by all rows.
    let weight (name: string) (shape: Shape) : Expr = input name Role.Weight shape

    /// The column of a table, for the body of `reduceOver`: its value at one row of the table.
    let column (table: string) (name: string) (shape: Shape) : Expr =
        input name (Role.Column table) shape

    /// Applies an operation; shapes that do not go together are refused.
    let apply (op: Op) (arguments: Expr list) : Expr = Build.apply op arguments

    /// The sum of all elements.
    let sum (a: Expr) : Expr = Build.apply Op.Sum [ a ]

    /// Element i of a vector, as a scalar.
    let item (i: int) (a: Expr) : Expr =
        Build.apply Op.Sum [ Build.apply (Op.Gather [| i |]) [ a ] ]

    /// Elements of a vector by index.
    let gather (indices: int[]) (a: Expr) : Expr = Build.apply (Op.Gather indices) [ a ]

    /// `count` elements of a vector from `first` on.
    let slice (first: int) (count: int) (a: Expr) : Expr = gather [| first .. first + count - 1 |] a

    /// Adds element i of a vector to element indices[i] of `length` zeros.
    let scatterAdd (indices: int[]) (length: int) (a: Expr) : Expr =
        Build.apply (Op.ScatterAdd(indices, length)) [ a ]

    /// Scalars and vectors, one behind the other, as one vector.
    let concat (parts: Expr list) : Expr = Build.apply Op.Concat parts

    /// A scalar repeated to a shape.
    let fill (shape: Shape) (a: Expr) : Expr =
        if shape = Scalar then
            a
        else
            Build.apply (Op.Fill shape) [ a ]

    /// `whenTrue` where `condition` is not 0, else `whenFalse`; the branch not taken sends no NaN.
    let select (condition: Expr) (whenTrue: Expr) (whenFalse: Expr) : Expr =
        Build.apply Op.Select [ condition; whenTrue; whenFalse ]

    /// 1 where a < b, else 0.
    let less (a: Expr) (b: Expr) : Expr = Build.apply Op.Less [ a; b ]

    /// x log y with 0 log y = 0.
    let xlogy (x: Expr) (y: Expr) : Expr = Build.apply Op.XLogY [ x; y ]

    /// log(1 + x).
    let log1p (x: Expr) : Expr = Build.apply Op.Log1p [ x ]

    /// exp(x) - 1.
    let expm1 (x: Expr) : Expr = Build.apply Op.Expm1 [ x ]

    /// The error function.
    let erf (x: Expr) : Expr = Build.apply Op.Erf [ x ]

    /// log Γ(x) for x > 0.
    let logGamma (x: Expr) : Expr = Build.apply Op.LogGamma [ x ]

    /// The sign: -1, 0 or 1.
    let sign (x: Expr) : Expr = Build.apply Op.Sign [ x ]

    /// An integer power.
    let power (exponent: int) (x: Expr) : Expr = Build.apply (Op.Power exponent) [ x ]

    /// log Σ exp of the elements.
    let logSumExp (x: Expr) : Expr = Build.apply Op.LogSumExp [ x ]

    /// A matrix times a vector.
    let matVec (matrix: Expr) (x: Expr) : Expr = Build.apply Op.MatVec [ matrix; x ]

    /// The transposed matrix.
    let transpose (matrix: Expr) : Expr = Build.apply Op.Transpose [ matrix ]

    /// A constant sparse matrix times a vector.
    let sparse (matrix: SparseMatrix) (x: Expr) : Expr = Build.apply (Op.SparseVec matrix) [ x ]

    /// The sum over the rows of a batch. Of a shared value it is the number of rows times that value.
    let sumRows (a: Expr) : Expr = Build.apply Op.SumRows [ a ]

    /// The number of rows of the batch.
    let rowCount: Expr = sumRows (scalar 1.0)

    /// The mean over the rows of a batch.
    let meanRows (a: Expr) : Expr = sumRows a / rowCount

    /// The sum over the rows of a batch of outer products.
    let outerRows (a: Expr) (b: Expr) : Expr =
        if a.IsRow || b.IsRow then
            Build.apply Op.OuterRows [ a; b ]
        else
            Build.apply Op.Outer [ a; b ] * rowCount

    /// The sum of `body` over the rows of a table, of which the body reads columns; no row is kept.
    let reduceOver (table: string) (body: Expr) : Expr = Build.reduceOver table body

    /// The product of all elements of two shapes that go together, summed: Σ a_i b_i.
    let dot (a: Expr) (b: Expr) : Expr = sum (a * b)

    /// The nodes directly below a node.
    let children (expr: Expr) : Expr list =
        match expr.Node with
        | Node.Apply(_, arguments) -> arguments
        | Node.ReduceOver(_, body) -> [ body ]
        | Node.Input _
        | Node.Constant _ -> []

    let private sameNode (a: Expr) (b: Expr) : bool =
        match a.Node, b.Node with
        | Node.Input(n, r), Node.Input(m, s) -> n = m && r = s
        | Node.Constant v, Node.Constant w ->
            MemoryExtensions.SequenceEqual(
                Runtime.InteropServices.MemoryMarshal.AsBytes(ReadOnlySpan v),
                Runtime.InteropServices.MemoryMarshal.AsBytes(ReadOnlySpan w)
            )
        | Node.Apply(p, xs), Node.Apply(q, ys) ->
            p = q
            && List.length xs = List.length ys
            && List.forall2 (fun (x: Expr) (y: Expr) -> x.Hash = y.Hash) xs ys
        | Node.ReduceOver(t, x), Node.ReduceOver(u, y) -> t = u && x.Hash = y.Hash
        | _ -> false

    /// Equality of expressions by structure: own node compared in full, what is below by hash.
    let structural: Collections.Generic.IEqualityComparer<Expr> =
        { new Collections.Generic.IEqualityComparer<Expr> with
            member _.Equals(a: Expr, b: Expr) : bool =
                obj.ReferenceEquals(a, b)
                || (a.Hash = b.Hash && a.Shape = b.Shape && sameNode a b)

            member _.GetHashCode(a: Expr) : int = int (a.Hash ^^^ (a.Hash >>> 32))
        }

    /// Some outputs and all that `below` leads to from them, each structure once, what is below a node before the node.
    let order (below: Expr -> Expr list) (outputs: Expr list) : Expr list =
        let seen = Collections.Generic.HashSet<Expr>(structural)
        let found = Collections.Generic.List<Expr>()
        let stack = Collections.Generic.Stack<struct (Expr * bool)>()

        for output in List.rev outputs do
            stack.Push(struct (output, false))

        while stack.Count > 0 do
            let struct (node, entered) = stack.Pop()

            if entered then
                found.Add node
            elif seen.Add node then
                stack.Push(struct (node, true))

                for child in List.rev (below node) do
                    if not (seen.Contains child) then
                        stack.Push(struct (child, false))

        List.ofSeq found

    /// All nodes below some outputs, each structure once, arguments before what uses them. Nodes for which `stop` holds
    /// are listed but not entered.
    let topological (stop: Expr -> bool) (outputs: Expr list) : Expr list =
        order (fun node -> if stop node then [] else children node) outputs

    /// Rebuilds outputs bottom-up, each structure once: `rule node arguments` makes a node from its rebuilt arguments.
    let rewrite (rule: Expr -> Expr list -> Expr) (outputs: Expr list) : Expr list =
        let made = Collections.Generic.Dictionary<Expr, Expr>(structural)

        for node in topological (fun _ -> false) outputs do
            made[node] <- rule node (children node |> List.map (fun c -> made[c]))

        outputs |> List.map (fun o -> made[o])

    /// The same node over other arguments.
    let withChildren (node: Expr) (arguments: Expr list) : Expr =
        match node.Node, arguments with
        | Node.Apply(op, old), _ ->
            if
                List.forall2 (fun (a: Expr) (b: Expr) -> obj.ReferenceEquals(a, b)) old arguments
            then
                node
            else
                Build.apply op arguments
        | Node.ReduceOver(table, old), [ body ] ->
            if obj.ReferenceEquals(old, body) then
                node
            else
                Build.reduceOver table body
        | _ -> node

    /// Replaces nodes: where `replacement` gives a value, that stands in place of the node, and nothing below the node
    /// is looked at.
    let substitute (replacement: Expr -> Expr option) (outputs: Expr list) : Expr list =
        let made = Collections.Generic.Dictionary<Expr, Expr>(structural)

        let replaced (node: Expr) : bool =
            match replacement node with
            | Some other when other.Shape <> node.Shape ->
                let message =
                    $"a {Shape.describe other.Shape} cannot stand for a {Shape.describe node.Shape}"

                raise (FunLikException [ Error.make ErrorKind.Shape message ])
            | Some other ->
                made[node] <- other
                true
            | None -> false

        for node in topological replaced outputs do
            if not (made.ContainsKey node) then
                made[node] <- withChildren node (children node |> List.map (fun c -> made[c]))

        outputs |> List.map (fun o -> made[o])

    /// The inputs that some outputs read, by name, each once: name, role and shape.
    let inputs (outputs: Expr list) : (string * Role * Shape) list =
        topological (fun _ -> false) outputs
        |> List.choose (fun e ->
            match e.Node with
            | Node.Input(name, role) -> Some(name, role, e.Shape)
            | _ -> None)
