namespace FunLik

/// A piece of a space. Offsets and sizes count features; a stride of 0 repeats one feature.
[<Struct>]
type internal Operand = { Space: Space; Offset: int; Size: int; Stride: int }

/// How one node is computed.
[<RequireQualifiedAccess>]
type internal Work =
    /// Its instruction, with room for as many features of intermediate values.
    | Compute of node: int * scratch: Operand
    /// A sum whose argument is an operation on two operands, which is not kept.
    | SumOf of node: int * inner: int * scratch: Operand
    /// Element-by-element operations and sums over them, in one loop. Some of the nodes are kept in memory.
    | Fused of size: int * nodes: int[] * kept: bool[]
    /// All outputs of a reduction over a table.
    | Reduce of reduction: int * members: int[]
    /// A matrix, or its transpose, is packed for products.
    | Pack of matrix: int * target: Operand * isTransposed: bool
    /// A node goes to columns of an output.
    | Store of node: int * output: int * column: int
    /// A row's value is added up over the rows, for node `sum`.
    | Accumulate of sum: int

/// One pass over the rows, between two sums over rows.
type internal Pass =
    {
        Tasks: Work[]
        Operands: Operand[]
        /// The sums that it makes.
        Sums: int[]
        /// Features of a tile.
        RowFeatures: int
    }

/// Sums of outer products of rows, and what is done with each part of them at once, while it is near: a loop over as many elements,
/// and the packing of the matrices that the loop has changed.
type internal OuterSums = { Sums: int[]; Loop: Work option; Packs: Work[] }
