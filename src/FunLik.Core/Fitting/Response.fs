namespace FunLik

open System
open System.Numerics.Tensors
open MathNet.Numerics.LinearAlgebra

/// How parameters that are profiled away follow those that are kept, learnt from points that are profiled already: a quadratic
/// polynomial says where they may be, and the anchor that is nearest to there has the start and the inverse Hessian of a minimisation.
[<NoComparison; NoEquality>]
type Response =
    private
        {
            /// From the kept parameters to how near each anchor is to where the others may be.
            Nearness: Session<float>
            Kept: int
            /// The others at the anchors.
            Anchors: float[][]
            /// The inverse Hessians there.
            Metrics: float[][]
        }

/// Learning and using responses.
[<RequireQualifiedAccess>]
module internal Response =

    /// What keeps coefficients finite where points do not determine them, for parameters in units of their ranges.
    let private ridge = 1e-6

    /// Points for each coefficient of a polynomial.
    let private pointsPerCoefficient = 2

    /// The anchors of a response.
    let anchors (response: Response) : float[][] = response.Anchors

    /// The inverse Hessian at an anchor.
    let metric (anchor: int) (response: Response) : float[] = response.Metrics[anchor]

    let private pairsOf (k: int) (points: int) : (int * int)[] =
        if points >= pointsPerCoefficient * (k + 1) * (k + 2) / 2 then
            [|
                for a in 0 .. k - 1 do
                    for b in a .. k - 1 -> a, b
            |]
        else
            [||]

    /// From kept parameters (`points`, row-major) and the others there (`others`), the first of which are the anchors with these metrics. What
    /// the polynomial says is moved inside of the bounds; distances are in units of the lengths.
    let learn
        (lower: float[], upper: float[], lengths: float[])
        (kept: int)
        (points: float[])
        (others: float[][])
        (metrics: float[][])
        : Response =
        let rows, m = others.Length, lengths.Length
        let column (j: int) : float[] = Array.init rows (fun r -> points[r * kept + j])

        let lows, highs =
            Array.init kept (column >> Array.min), Array.init kept (column >> Array.max)

        let middles = Array.map2 (fun low high -> 0.5 * (low + high)) lows highs

        let scales =
            Array.map2 (fun low high -> if high > low then 2.0 / (high - low) else 1.0) lows highs

        let pairs = pairsOf kept rows
        let columns = 1 + kept + pairs.Length

        let design =
            Matrix<float>
                .Build.Dense(
                    rows,
                    columns,
                    fun r f ->
                        let z (j: int) : float = (points[r * kept + j] - middles[j]) * scales[j]

                        if f = 0 then
                            1.0
                        elif f <= kept then
                            z (f - 1)
                        else
                            let a, b = pairs[f - 1 - kept]
                            z a * z b
                )

        let targets = Matrix<float>.Build.Dense(rows, m, fun r i -> others[r][i])

        let gram =
            design.TransposeThisAndMultiply design
            + (Matrix<float>.Build.DenseIdentity columns).Multiply(ridge * float rows)

        // One row a parameter.
        let coefficients =
            gram.Cholesky().Solve(design.TransposeThisAndMultiply targets).Transpose()

        let given = Expr.input "kept" Role.Auxiliary (Shape.Vector kept)
        let z = (given - Expr.vector middles) * Expr.vector scales

        let features =
            Expr.concat
                [
                    z
                    if pairs.Length > 0 then
                        Expr.gather (Array.map fst pairs) z * Expr.gather (Array.map snd pairs) z
                ]

        let low, high = Expr.vector lower, Expr.vector upper

        let place =
            let free =
                Expr.matVec
                    (Expr.matrix
                        m
                        (columns - 1)
                        (Array.init (m * (columns - 1)) (fun k ->
                            coefficients[k / (columns - 1), 1 + k % (columns - 1)])))
                    features
                + Expr.vector (Array.init m (fun i -> coefficients[i, 0]))

            let raised = Expr.select (Expr.less free low) low free
            Expr.select (Expr.less high raised) high raised

        let anchors = Array.truncate metrics.Length others

        // Half of the squared distance, but for what is the same for all anchors.
        let nearness =
            Expr.matVec
                (Expr.matrix
                    anchors.Length
                    m
                    (Array.init (anchors.Length * m) (fun k ->
                        anchors[k / m][k % m] / (lengths[k % m] * lengths[k % m]))))
                place
            - Expr.vector (
                anchors
                |> Array.map (fun t ->
                    0.5 * Array.sum (Array.map2 (fun x l -> x * x / (l * l)) t lengths))
            )

        {
            Nearness =
                (Program.ofOutputs [ "nearness", nearness ]
                 |> Engine.compile (fun _ -> Binding.Row))
                    .Bind()
            Kept = kept
            Anchors = anchors
            Metrics = metrics
        }

    /// Rows whose distances to all anchors are held at once.
    let private part = 1024

    /// The anchor of each point of the kept parameters, row-major.
    let anchorsOf (points: float[]) (run: RunOptions) (response: Response) : int[] =
        let k, rows = response.Kept, points.Length / response.Kept
        let count = response.Anchors.Length
        let anchors = Array.zeroCreate rows
        let input, nearness = Array.zeroCreate (part * k), Array.zeroCreate (part * count)

        for first in 0..part .. rows - 1 do
            let here = min part (rows - first)
            Array.Copy(points, first * k, input, 0, here * k)
            response.Nearness.Run(here, [| input |], [| nearness |], run)

            for r in 0 .. here - 1 do
                let near = ReadOnlySpan<float>(nearness, r * count, count)
                anchors[first + r] <- max 0 (TensorPrimitives.IndexOfMax near)

        anchors
