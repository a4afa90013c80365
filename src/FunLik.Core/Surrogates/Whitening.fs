namespace FunLik

open MathNet.Numerics.LinearAlgebra

/// Coordinates z = M (x - centre) in which points have mean 0, variance 1 and no correlations.
type Whitening =
    {
        /// The centre.
        Centre: float[]
        /// M: row i gives z_i.
        Forward: float[][]
        /// The inverse of M: row k gives x_k - centre_k.
        Back: float[][]
        /// Whether correlations are removed; else scales alone.
        IsFull: bool
    }

/// Making and using whitenings.
[<RequireQualifiedAccess>]
module Whitening =

    let private diagonal (numbers: float[]) : float[][] =
        numbers
        |> Array.mapi (fun i v -> Array.init numbers.Length (fun k -> if k = i then v else 0.0))

    /// The coordinates as they are.
    let identity (n: int) : Whitening =
        let same = Array.create n 1.0 |> diagonal
        { Centre = Array.zeroCreate n; Forward = same; Back = same; IsFull = false }

    let private rowsOf (matrix: Matrix<float>) : float[][] = matrix.ToRowArrays()

    /// Mean and covariance of points, the number of points in the denominator.
    let private moments (options: RunOptions) (data: Dataset) : float[] * float[] =
        let n = data.Inputs
        let x = Expr.datum "x" (Shape.Vector n)
        let centred = x - Expr.meanRows x

        let session =
            [
                "mean", Expr.meanRows x
                "covariance", Expr.outerRows centred centred / Expr.rowCount
            ]
            |> Program.ofOutputs
            |> Engine.compile (Binding.ofRole (Set.singleton "x"))
            |> _.Bind()

        let results = session.Evaluate(data.Count, [| data.Points |], options)
        results[0], results[1]

    /// By the Cholesky factor of the points' covariance if correlations are to be removed; by the standard deviations alone if
    /// not, and where the covariance is not positive definite (fewer points than parameters).
    let ofPoints (removeCorrelations: bool) (options: RunOptions) (data: Dataset) : Whitening =
        let n = data.Inputs
        let centre, covariance = moments options data

        let widths =
            Array.init n (fun i ->
                let variance = covariance[i * n + i]
                if variance > 0.0 then sqrt variance else 1.0)

        // Of the correlations: the factor does not depend on the parameters' units.
        let correlation =
            Matrix<float>
                .Build.Dense(n, n, fun i k -> covariance[i * n + k] / (widths[i] * widths[k]))

        let factor =
            try
                let lower = correlation.Cholesky().Factor

                if removeCorrelations && lower.Diagonal().Minimum() > 1e-6 then
                    Some lower
                else
                    None
            with :? System.ArgumentException ->
                None

        match factor with
        | Some lower ->
            let inverse = lower.LowerTriangle().Inverse()

            {
                Centre = centre
                Forward = rowsOf inverse |> Array.map (Array.mapi (fun k v -> v / widths[k]))
                Back = rowsOf lower |> Array.mapi (fun i row -> row |> Array.map ((*) widths[i]))
                IsFull = true
            }
        | None ->
            {
                Centre = centre
                Forward = widths |> Array.map (fun w -> 1.0 / w) |> diagonal
                Back = diagonal widths
                IsFull = false
            }

    /// Coordinates in which a function has the curvature -1 in every direction, of its second derivatives in other ones (n x n, row-major): as
    /// far as it is a normal log density, its own widths and correlations, wherever the points lie. None where it is not a maximum.
    let ofCurvature (curvature: float[]) (whitening: Whitening) : Whitening option =
        let n = whitening.Centre.Length

        // Scaled to 1 on the diagonal, so that the test below has no units.
        let widths = Array.init n (fun i -> 1.0 / sqrt -curvature[i * n + i])

        if not (Array.forall System.Double.IsFinite widths) then
            None
        else
            try
                let lower =
                    Matrix<float>
                        .Build.Dense(n, n, fun i k -> -curvature[i * n + k] * widths[i] * widths[k])
                        .Cholesky()
                        .Factor

                if lower.Diagonal().Minimum() > 1e-6 then
                    let scaled = Matrix<float>.Build.DenseOfDiagonalArray widths
                    let rows (source: float[][]) = Matrix<float>.Build.DenseOfRowArrays source
                    let inverse = lower.LowerTriangle().Inverse().Transpose()

                    Some
                        { whitening with
                            Forward =
                                lower.Transpose() * scaled.Inverse() * rows whitening.Forward
                                |> rowsOf
                            Back = rows whitening.Back * scaled * inverse |> rowsOf
                            IsFull = true
                        }
                else
                    None
            with :? System.ArgumentException ->
                None

    /// The standard deviation of each parameter; 1 in coordinates as they are.
    let widths (whitening: Whitening) : float[] =
        whitening.Back
        |> Array.map (fun row -> row |> Array.sumBy (fun v -> v * v) |> sqrt)

    /// z as an expression of x, both vectors.
    let toExpr (whitening: Whitening) (x: Expr) : Expr =
        let n = whitening.Centre.Length

        Expr.matVec
            (Expr.matrix n n (Array.concat whitening.Forward))
            (x - Expr.vector whitening.Centre)

    /// The gradient in z of a function whose gradient in x is given.
    let gradientExpr (whitening: Whitening) (gradient: Expr) : Expr =
        let n = whitening.Centre.Length
        Expr.matVec (Expr.transpose (Expr.matrix n n (Array.concat whitening.Back))) gradient
