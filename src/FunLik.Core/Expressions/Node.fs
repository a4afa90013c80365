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
