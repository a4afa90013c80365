namespace FunLik

/// What training makes small.
[<RequireQualifiedAccess>]
type Loss =
    /// The mean of (f - value)².
    | Values
    /// The mean of (f - value)² + weight Σ_j (∂f/∂z_j - gradient_j)², both in the network's own units.
    | ValuesAndGradients of weight: float

/// Losses as expressions.
[<RequireQualifiedAccess>]
module Loss =

    /// The names of a loss's row inputs besides the network's own.
    let valueName, gradientName = "value", "gradient"

    /// Whether a loss reads gradients.
    let needsGradients (loss: Loss) : bool = loss.IsValuesAndGradients

    /// The loss of each row: of the network's output `f`, a scalar, over its input `z`, with targets as the row inputs `value`
    /// and `gradient`.
    let perRow (loss: Loss) (f: Expr) (z: Expr) : Expr =
        let miss = f - Expr.datum valueName Scalar

        match loss with
        | Loss.Values -> miss * miss
        | Loss.ValuesAndGradients weight ->
            let slopes = Diff.grad f z - Expr.datum gradientName z.Shape
            miss * miss + weight * Expr.dot slopes slopes
