namespace FunLik

/// Who supplies an input. How often its value exists (a row a point, or one for all) is decided when a
/// program is bound; only weights are always shared, and columns belong to the rows of a table.
[<RequireQualifiedAccess>]
type Role =
    | Parameter
    | Datum
    | Auxiliary
    | Weight
    | Mask
    | State
    | Column of table: string

/// The operations that an expression is made of: closed under differentiation, one row each in the table of
/// `Primitive`. Element-by-element operations take equal shapes, or a scalar with anything.
[<RequireQualifiedAccess>]
type Op =
    | Neg
    | Abs
    | Sign
    | Sqrt
    | Exp
    | Log
    | Log1p
    | Expm1
    | Tanh
    | Sin
    | Cos
    | Erf
    | LogGamma
    /// The derivative of this order of digamma (order 0).
    | Polygamma of order: int
    /// An integer power; negative powers too.
    | Power of exponent: int
    | Add
    | Sub
    | Mul
    /// A product in which zero times anything, infinities and NaN included, is zero.
    | MaskedMul
    | Div
    /// x log y, where 0 log y is 0 for every y.
    | XLogY
    /// 1 where a < b, else 0 (also where either is NaN).
    | Less
    /// The second argument where the first is not 0, else the third.
    | Select
    | Sum
    | LogSumExp
    /// A scalar repeated.
    | Fill of shape: Shape
    /// Elements of a vector, by index.
    | Gather of indices: int[]
    /// Element i of the argument is added to element indices[i] of a vector of zeros.
    | ScatterAdd of indices: int[] * length: int
    /// Scalars and vectors, one behind the other.
    | Concat
    /// A matrix times a vector.
    | MatVec
    | Transpose
    /// The outer product of two shared vectors.
    | Outer
    /// A constant sparse matrix times a vector.
    | SparseVec of matrix: SparseMatrix
    /// The sum over the rows of a batch: a row value becomes a shared one.
    | SumRows
    /// The sum over the rows of a batch of the outer products of two vectors.
    | OuterRows

/// Names of operations.
[<RequireQualifiedAccess>]
module Op =

    /// The name of an operation without what belongs to one use of it: `Exp`, `Gather`.
    let name (op: Op) : string =
        match op with
        | Op.Neg -> "Neg"
        | Op.Abs -> "Abs"
        | Op.Sign -> "Sign"
        | Op.Sqrt -> "Sqrt"
        | Op.Exp -> "Exp"
        | Op.Log -> "Log"
        | Op.Log1p -> "Log1p"
        | Op.Expm1 -> "Expm1"
        | Op.Tanh -> "Tanh"
        | Op.Sin -> "Sin"
        | Op.Cos -> "Cos"
        | Op.Erf -> "Erf"
        | Op.LogGamma -> "LogGamma"
        | Op.Polygamma _ -> "Polygamma"
        | Op.Power _ -> "Power"
        | Op.Add -> "Add"
        | Op.Sub -> "Sub"
        | Op.Mul -> "Mul"
        | Op.MaskedMul -> "MaskedMul"
        | Op.Div -> "Div"
        | Op.XLogY -> "XLogY"
        | Op.Less -> "Less"
        | Op.Select -> "Select"
        | Op.Sum -> "Sum"
        | Op.LogSumExp -> "LogSumExp"
        | Op.Fill _ -> "Fill"
        | Op.Gather _ -> "Gather"
        | Op.ScatterAdd _ -> "ScatterAdd"
        | Op.Concat -> "Concat"
        | Op.MatVec -> "MatVec"
        | Op.Transpose -> "Transpose"
        | Op.Outer -> "Outer"
        | Op.SparseVec _ -> "SparseVec"
        | Op.SumRows -> "SumRows"
        | Op.OuterRows -> "OuterRows"
