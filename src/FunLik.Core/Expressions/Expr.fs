namespace FunLik

open System

/// What one node of an expression is.
[<RequireQualifiedAccess; ReferenceEquality>]
type Node =
    | Input of name: string * role: Role
    | Constant of values: float[]
    | Apply of op: Op * arguments: Expr list
    /// The sum of the body over the rows of a table of which the body reads columns.
    | ReduceOver of table: string * body: Expr

/// A function from named inputs to a scalar, vector or matrix, as data: a directed acyclic graph with a structural
/// hash. Build it with the operators, `exp`, `log`, … and the functions of `Expr` and `Composite`.
and [<Sealed; AllowNullLiteral(false)>] Expr
    internal
    (node: Node, shape: Shape, hash: uint64, isRow: bool, mixesRows: bool, tables: Set<string>) =

    /// What this node is.
    member _.Node: Node = node
    /// The shape at one point.
    member _.Shape: Shape = shape
    /// A hash of the whole expression: equal expressions have equal hashes.
    member _.Hash: uint64 = hash
    /// Whether the value may differ from row to row of a batch.
    member _.IsRow: bool = isRow
    /// Whether a row's value depends on other rows.
    member _.MixesRows: bool = mixesRows
    /// The tables whose columns this reads outside a `ReduceOver` of theirs.
    member _.Tables: Set<string> = tables

    override _.ToString() : string =
        match node with
        | Node.Input(name, _) -> $"{name}: {Shape.describe shape}"
        | Node.Constant values when values.Length = 1 -> $"{values[0]}"
        | Node.Constant _ -> $"constant {Shape.describe shape}"
        | Node.Apply(op, arguments) -> $"{op} of {arguments.Length}: {Shape.describe shape}"
        | Node.ReduceOver(table, _) -> $"sum over {table}: {Shape.describe shape}"

/// The rules by which nodes are made: shapes, hashes, and what depends on rows and tables.
module internal Build =

    let inline private mix (h: uint64) (v: uint64) : uint64 =
        let x = (h ^^^ v) * 0x9E3779B97F4A7C15UL
        let y = (x ^^^ (x >>> 32)) * 0xD6E8FEB86659FD93UL
        y ^^^ (y >>> 29)

    let private mixString (h: uint64) (text: string) : uint64 =
        let mutable acc = mix h (uint64 text.Length)

        for c in text do
            acc <- mix acc (uint64 c)

        acc

    let private mixInts (h: uint64) (values: int[]) : uint64 =
        let mutable acc = mix h (uint64 values.Length)

        for v in values do
            acc <- mix acc (uint64 (uint32 v))

        acc

    let private mixFloats (h: uint64) (values: float[]) : uint64 =
        let mutable acc = mix h (uint64 values.Length)

        for v in values do
            acc <- mix acc (BitConverter.DoubleToUInt64Bits v)

        acc

    let private mixShape (h: uint64) (shape: Shape) : uint64 =
        match shape with
        | Scalar -> mix h 1UL
        | Vector n -> mix (mix h 2UL) (uint64 n)
        | Matrix(r, c) -> mix (mix (mix h 3UL) (uint64 r)) (uint64 c)

    let private roleName (role: Role) : string =
        match role with
        | Role.Parameter -> "Parameter"
        | Role.Datum -> "Datum"
        | Role.Auxiliary -> "Auxiliary"
        | Role.Weight -> "Weight"
        | Role.Mask -> "Mask"
        | Role.State -> "State"
        | Role.Column table -> "Column " + table

    let hashOp (op: Op) : uint64 =
        let named = mixString 17UL (Op.name op)

        match op with
        | Op.Gather indices -> mixInts named indices
        | Op.ScatterAdd(indices, length) -> mix (mixInts named indices) (uint64 length)
        | Op.Fill shape -> mixShape named shape
        | Op.Polygamma order -> mix named (uint64 (uint32 order))
        | Op.Power exponent -> mix named (uint64 (uint32 exponent))
        | Op.SparseVec m ->
            mixFloats
                (mixInts (mixInts (mix named (uint64 m.Columns)) m.RowStart) m.ColumnOf)
                m.Values
        | _ -> named

    let hashNode (node: Node) (shape: Shape) : uint64 =
        let start = mixShape 0x51ED270B9F2C3A17UL shape

        match node with
        | Node.Input(name, role) -> mixString (mixString start (roleName role)) name
        | Node.Constant values -> mixFloats start values
        | Node.Apply(op, arguments) ->
            arguments |> List.fold (fun h a -> mix h a.Hash) (mix start (hashOp op))
        | Node.ReduceOver(table, body) -> mix (mixString (mix start 5UL) table) body.Hash

    let private vectorOnly (what: string) (shape: Shape) : Result<int, string> =
        match shape with
        | Vector n -> Ok n
        | other -> Error $"{what} takes a vector, not a {Shape.describe other}"

    let private inRange (what: string) (length: int) (indices: int[]) : Result<unit, string> =
        match indices |> Array.tryFind (fun i -> i < 0 || i >= length) with
        | Some bad -> Error $"{what}: index {bad} is outside 0 .. {length - 1}"
        | None when indices.Length = 0 -> Error $"{what} needs at least one index"
        | None -> Ok()

    /// The shape rule of each operation.
    let shapeOf (op: Op) (arguments: Shape list) : Result<Shape, string> =
        match op, arguments with
        | (Op.Neg | Op.Abs | Op.Sign | Op.Sqrt | Op.Exp | Op.Log | Op.Log1p | Op.Expm1 | Op.Tanh),
          [ a ]
        | (Op.Sin | Op.Cos | Op.Erf | Op.LogGamma | Op.Power _), [ a ] -> Ok a
        | Op.Polygamma order, [ _ ] when order < 0 ->
            Error $"polygamma of the negative order {order}"
        | Op.Polygamma _, [ a ] -> Ok a
        | (Op.Add | Op.Sub | Op.Mul | Op.MaskedMul | Op.Div | Op.XLogY | Op.Less), [ a; b ] ->
            Shape.broadcast a b
        | Op.Select, [ c; a; b ] -> Shape.broadcast a b |> Result.bind (Shape.broadcast c)
        | (Op.Sum | Op.LogSumExp), [ _ ] -> Ok Scalar
        | Op.Fill shape, [ Scalar ] -> Ok shape
        | Op.Gather indices, [ a ] ->
            vectorOnly "gather" a
            |> Result.bind (fun n -> inRange "gather" n indices)
            |> Result.map (fun () -> Vector indices.Length)
        | Op.ScatterAdd(indices, length), [ a ] ->
            vectorOnly "scatterAdd" a
            |> Result.bind (fun n ->
                if n = indices.Length then
                    inRange "scatterAdd" length indices
                else
                    Error $"scatterAdd has {indices.Length} indices for a vector of {n}")
            |> Result.map (fun () -> Vector length)
        | Op.Concat, (_ :: _ as parts) ->
            match parts |> List.tryFind (fun s -> s.IsMatrix) with
            | Some m -> Error $"concat takes scalars and vectors, not a {Shape.describe m}"
            | None -> Ok(Vector(parts |> List.sumBy Shape.size))
        | Op.MatVec, [ Matrix(rows, columns); Vector n ] when columns = n -> Ok(Vector rows)
        | Op.Transpose, [ Matrix(rows, columns) ] -> Ok(Matrix(columns, rows))
        | (Op.Outer | Op.OuterRows), [ Vector m; Vector n ] -> Ok(Matrix(m, n))
        | Op.SparseVec m, [ Vector n ] when m.Columns = n -> Ok(Vector m.Rows)
        | Op.SumRows, [ a ] -> Ok a
        | _ ->
            let found = arguments |> List.map Shape.describe |> String.concat ", "
            Error $"{Op.name op} does not take ({found})"

    let private refuse (message: string) : 'a =
        raise (FunLikException [ Error.make ErrorKind.Shape message ])

    let leaf (node: Node) (shape: Shape) : Expr =
        if Shape.size shape < 1 then
            refuse $"a {Shape.describe shape} has no elements"

        let isRow, tables =
            match node with
            | Node.Input(_, Role.Column table) -> false, Set.singleton table
            | Node.Input(_, Role.Weight)
            | Node.Constant _ -> false, Set.empty
            | _ -> not shape.IsMatrix, Set.empty

        Expr(node, shape, hashNode node shape, isRow, false, tables)

    let apply (op: Op) (arguments: Expr list) : Expr =
        match shapeOf op (arguments |> List.map _.Shape) with
        | Error message -> refuse message
        | Ok shape ->
            let anyRow = arguments |> List.exists _.IsRow

            let tables =
                arguments
                |> List.fold
                    (fun (all: Set<string>) (a: Expr) ->
                        if a.Tables.IsEmpty || obj.ReferenceEquals(a.Tables, all) then
                            all
                        else
                            Set.union all a.Tables)
                    Set.empty

            let reducing = op.IsSumRows || op.IsOuterRows

            if reducing && not tables.IsEmpty then
                refuse "a sum over the rows of a batch cannot stand inside a sum over a table"

            if shape.IsMatrix && not reducing && (anyRow || not tables.IsEmpty) then
                refuse "a matrix is shared by all rows: it cannot depend on a row"

            let isRow = anyRow && not reducing
            let reduced = (reducing && anyRow) || arguments |> List.exists _.MixesRows
            let node = Node.Apply(op, arguments)
            Expr(node, shape, hashNode node shape, isRow, reduced, tables)

    let reduceOver (table: string) (body: Expr) : Expr =
        let node = Node.ReduceOver(table, body)
        let tables = body.Tables.Remove table
        Expr(node, body.Shape, hashNode node body.Shape, body.IsRow, body.MixesRows, tables)

    let scalar (value: float) : Expr = leaf (Node.Constant [| value |]) Scalar

    let vector (values: float[]) : Expr =
        leaf (Node.Constant(Array.copy values)) (Vector values.Length)

type Expr with

    static member (+)(a: Expr, b: Expr) : Expr = Build.apply Op.Add [ a; b ]
    static member (+)(a: Expr, b: float) : Expr = Build.apply Op.Add [ a; Build.scalar b ]
    static member (+)(a: float, b: Expr) : Expr = Build.apply Op.Add [ Build.scalar a; b ]
    static member (+)(a: Expr, b: float[]) : Expr = Build.apply Op.Add [ a; Build.vector b ]
    static member (+)(a: float[], b: Expr) : Expr = Build.apply Op.Add [ Build.vector a; b ]
    static member (-)(a: Expr, b: Expr) : Expr = Build.apply Op.Sub [ a; b ]
    static member (-)(a: Expr, b: float) : Expr = Build.apply Op.Sub [ a; Build.scalar b ]
    static member (-)(a: float, b: Expr) : Expr = Build.apply Op.Sub [ Build.scalar a; b ]
    static member (-)(a: Expr, b: float[]) : Expr = Build.apply Op.Sub [ a; Build.vector b ]
    static member (-)(a: float[], b: Expr) : Expr = Build.apply Op.Sub [ Build.vector a; b ]
    static member (*)(a: Expr, b: Expr) : Expr = Build.apply Op.Mul [ a; b ]
    static member (*)(a: Expr, b: float) : Expr = Build.apply Op.Mul [ a; Build.scalar b ]
    static member (*)(a: float, b: Expr) : Expr = Build.apply Op.Mul [ Build.scalar a; b ]
    static member (*)(a: Expr, b: float[]) : Expr = Build.apply Op.Mul [ a; Build.vector b ]
    static member (*)(a: float[], b: Expr) : Expr = Build.apply Op.Mul [ Build.vector a; b ]
    static member (/)(a: Expr, b: Expr) : Expr = Build.apply Op.Div [ a; b ]
    static member (/)(a: Expr, b: float) : Expr = Build.apply Op.Div [ a; Build.scalar b ]
    static member (/)(a: float, b: Expr) : Expr = Build.apply Op.Div [ Build.scalar a; b ]
    static member (/)(a: Expr, b: float[]) : Expr = Build.apply Op.Div [ a; Build.vector b ]
    static member (/)(a: float[], b: Expr) : Expr = Build.apply Op.Div [ Build.vector a; b ]
    static member (~-)(a: Expr) : Expr = Build.apply Op.Neg [ a ]
    /// `abs x`.
    static member Abs(a: Expr) : Expr = Build.apply Op.Abs [ a ]
    /// `sqrt x`.
    static member Sqrt(a: Expr) : Expr = Build.apply Op.Sqrt [ a ]
    /// `exp x`.
    static member Exp(a: Expr) : Expr = Build.apply Op.Exp [ a ]
    /// `log x`: the natural logarithm.
    static member Log(a: Expr) : Expr = Build.apply Op.Log [ a ]
    /// `tanh x`.
    static member Tanh(a: Expr) : Expr = Build.apply Op.Tanh [ a ]
    /// `sin x`.
    static member Sin(a: Expr) : Expr = Build.apply Op.Sin [ a ]
    /// `cos x`.
    static member Cos(a: Expr) : Expr = Build.apply Op.Cos [ a ]

/// Making and taking apart expressions.
[<RequireQualifiedAccess>]
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
