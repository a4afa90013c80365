namespace FunLik

/// The shape of a value at one parameter point. The batch axis is never part of it: engines add it.
/// Matrices are row-major and always shared by all points of a batch.
[<Struct>]
type Shape =
    | Scalar
    | Vector of length: int
    | Matrix of rows: int * columns: int

/// Functions on shapes.
[<RequireQualifiedAccess>]
module Shape =

    /// The number of elements.
    let size (shape: Shape) : int =
        match shape with
        | Scalar -> 1
        | Vector n -> n
        | Matrix(rows, columns) -> rows * columns

    /// How a shape is written in messages: `scalar`, `vector of 3`, `matrix of 2 x 3`.
    let describe (shape: Shape) : string =
        match shape with
        | Scalar -> "scalar"
        | Vector n -> $"vector of {n}"
        | Matrix(rows, columns) -> $"matrix of {rows} x {columns}"

    /// The shape of an element-by-element operation: equal shapes, or a scalar with anything.
    let broadcast (a: Shape) (b: Shape) : Result<Shape, string> =
        match a, b with
        | Scalar, other
        | other, Scalar -> Ok other
        | _ when a = b -> Ok a
        | _ -> Error $"a {describe a} does not go with a {describe b}"

/// A constant sparse matrix in compressed rows: row i holds the entries RowStart[i] .. RowStart[i+1]-1.
[<Sealed>]
type SparseMatrix(rows: int, columns: int, rowStart: int[], columnOf: int[], values: float[]) =

    do
        if rowStart.Length <> rows + 1 || columnOf.Length <> values.Length then
            invalidArg
                (nameof rowStart)
                "a sparse matrix needs rows + 1 starts and a column a value"

        if rowStart[0] <> 0 || rowStart[rows] <> values.Length then
            invalidArg
                (nameof rowStart)
                "the row starts of a sparse matrix go from 0 to its number of values"

        if rowStart |> Array.pairwise |> Array.exists (fun (a, b) -> a > b) then
            invalidArg (nameof rowStart) "the row starts of a sparse matrix never fall"

        for column in columnOf do
            if column < 0 || column >= columns then
                invalidArg
                    (nameof columnOf)
                    $"column {column} of a sparse matrix with {columns} columns"

    /// Number of rows.
    member _.Rows: int = rows
    /// Number of columns.
    member _.Columns: int = columns
    /// Where each row's entries start; one more than there are rows.
    member _.RowStart: int[] = rowStart
    /// The column of each entry.
    member _.ColumnOf: int[] = columnOf
    /// The value of each entry.
    member _.Values: float[] = values

    /// The transposed matrix.
    member _.Transposed: SparseMatrix =
        let starts = Array.zeroCreate (columns + 1)

        for column in columnOf do
            starts[column + 1] <- starts[column + 1] + 1

        for column in 0 .. columns - 1 do
            starts[column + 1] <- starts[column + 1] + starts[column]

        let next = Array.copy starts
        let rowOf = Array.zeroCreate values.Length
        let entries = Array.zeroCreate values.Length

        for row in 0 .. rows - 1 do
            for k in rowStart[row] .. rowStart[row + 1] - 1 do
                let slot = next[columnOf[k]]
                rowOf[slot] <- row
                entries[slot] <- values[k]
                next[columnOf[k]] <- slot + 1

        SparseMatrix(columns, rows, starts, rowOf, entries)

    override this.Equals(other: obj) : bool =
        match other with
        | :? SparseMatrix as o ->
            obj.ReferenceEquals(this, o)
            || (rows = o.Rows
                && columns = o.Columns
                && rowStart = o.RowStart
                && columnOf = o.ColumnOf
                && values = o.Values)
        | _ -> false

    override _.GetHashCode() : int = System.HashCode.Combine(rows, columns, values.Length)
