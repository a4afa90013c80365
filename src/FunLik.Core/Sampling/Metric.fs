namespace FunLik

open System
open System.Numerics.Tensors

/// The scales of a density: a linear map S such that S⁻¹·x has variances near 1. A sampler moves in
/// those coordinates, so its mass matrix is (S·Sᵀ)⁻¹.
[<RequireQualifiedAccess>]
type Metric =
    /// One scale a parameter.
    | Diagonal of scales: float[]
    /// A lower triangular matrix, row-major: the Cholesky factor of a covariance.
    | Dense of factor: float[]

/// Making and applying metrics.
[<RequireQualifiedAccess>]
module Metric =

    /// The number of parameters.
    let dimension (metric: Metric) : int =
        match metric with
        | Metric.Diagonal scales -> scales.Length
        | Metric.Dense factor -> int (Math.Round(sqrt (float factor.Length)))

    /// All scales 1.
    let unit (dimension: int) : Metric = Metric.Diagonal(Array.create dimension 1.0)

    /// Scales from variances; where a variance is not a positive number the scale is 1.
    let ofVariances (variances: float[]) : Metric =
        variances
        |> Array.map (fun v -> if v > 0.0 && Double.IsFinite v then sqrt v else 1.0)
        |> Metric.Diagonal

    /// The lower Cholesky factor of a symmetric matrix, row-major; None where the matrix is not
    /// positive definite within rounding.
    let private cholesky (n: int) (matrix: float[]) : float[] option =
        let factor: float[] = Array.zeroCreate (n * n)
        let mutable positive = true
        let mutable j = 0

        // The dot product of the first j elements of two rows.
        let dot (i: int) (k: int) (j: int) : float =
            TensorPrimitives.Dot(ReadOnlySpan(factor, i * n, j), ReadOnlySpan(factor, k * n, j))

        while positive && j < n do
            let pivot = matrix[j * n + j] - dot j j j

            if pivot > 1e-12 * matrix[j * n + j] && Double.IsFinite pivot then
                let diagonal = sqrt pivot
                factor[j * n + j] <- diagonal

                for i in j + 1 .. n - 1 do
                    factor[i * n + j] <- (matrix[i * n + j] - dot i j j) / diagonal

                j <- j + 1
            else
                positive <- false

        if positive then Some factor else None

    /// The metric of a covariance, row-major; None where it is not positive definite.
    let ofCovariance (dimension: int) (covariance: float[]) : Metric option =
        cholesky dimension covariance |> Option.map Metric.Dense

    /// S·Sᵀ, row-major.
    let covariance (metric: Metric) : float[] =
        let n = dimension metric

        match metric with
        | Metric.Diagonal scales ->
            Array.init (n * n) (fun k -> if k / n = k % n then scales[k / n] ** 2.0 else 0.0)
        | Metric.Dense factor ->
            Array.init (n * n) (fun k ->
                let i, j = k / n, k % n
                let length = min i j + 1

                TensorPrimitives.Dot(
                    ReadOnlySpan(factor, i * n, length),
                    ReadOnlySpan(factor, j * n, length)
                ))

    /// The standard deviations that the metric assumes: roots of the diagonal of S·Sᵀ.
    let widths (metric: Metric) : float[] =
        match metric with
        | Metric.Diagonal scales -> scales
        | Metric.Dense factor ->
            let n = dimension metric

            Array.init n (fun i ->
                sqrt (TensorPrimitives.SumOfSquares(ReadOnlySpan(factor, i * n, i + 1))))

    /// S·x: a step in the metric's units as one of the parameters.
    let apply (metric: Metric) (x: float[]) : float[] =
        match metric with
        | Metric.Diagonal scales -> Array.map2 (*) scales x
        | Metric.Dense factor ->
            let n = dimension metric

            Array.init n (fun i ->
                TensorPrimitives.Dot(ReadOnlySpan(factor, i * n, i + 1), ReadOnlySpan(x, 0, i + 1)))

    /// S⁻¹·x: a step of the parameters in the metric's units.
    let solve (metric: Metric) (x: float[]) : float[] =
        match metric with
        | Metric.Diagonal scales -> Array.map2 (/) x scales
        | Metric.Dense factor ->
            let n = dimension metric
            let z: float[] = Array.zeroCreate n

            for i in 0 .. n - 1 do
                let known =
                    TensorPrimitives.Dot(ReadOnlySpan(factor, i * n, i), ReadOnlySpan(z, 0, i))

                z[i] <- (x[i] - known) / factor[i * n + i]

            z

    /// Means and covariance (row-major; divisor rows − 1) of points pooled from several chains.
    let moments (dimension: int) (blocks: float[][]) : struct (float[] * float[]) =
        let n = dimension
        let rows = (blocks |> Array.sumBy _.Length) / n
        let mean: float[] = Array.zeroCreate n
        let covariance: float[] = Array.zeroCreate (n * n)

        for block in blocks do
            for r in 0 .. block.Length / n - 1 do
                TensorPrimitives.Add(ReadOnlySpan mean, ReadOnlySpan(block, r * n, n), Span mean)

        TensorPrimitives.Divide(ReadOnlySpan mean, float rows, Span mean)
        let centred: float[] = Array.zeroCreate n

        for block in blocks do
            for r in 0 .. block.Length / n - 1 do
                TensorPrimitives.Subtract(
                    ReadOnlySpan(block, r * n, n),
                    ReadOnlySpan mean,
                    Span centred
                )

                for i in 0 .. n - 1 do
                    let row = Span(covariance, i * n, i + 1)

                    TensorPrimitives.MultiplyAdd(
                        ReadOnlySpan(centred, 0, i + 1),
                        centred[i],
                        Span.op_Implicit row,
                        row
                    )

        let divisor = float (max 1 (rows - 1))

        for i in 0 .. n - 1 do
            for j in 0..i do
                let value = covariance[i * n + j] / divisor
                covariance[i * n + j] <- value
                covariance[j * n + i] <- value

        struct (mean, covariance)

    /// The metric of pooled points. Off-diagonal covariances are shrunk by rows/(rows + n), because
    /// few points correlate by chance; where the matrix is not positive definite even so, or few
    /// parameters vary, the diagonal one.
    let ofPoints (dense: bool) (dimension: int) (blocks: float[][]) : Metric =
        let n = dimension
        let rows = (blocks |> Array.sumBy _.Length) / n
        let struct (_, covariance) = moments n blocks
        let diagonal = ofVariances (Array.init n (fun i -> covariance[i * n + i]))

        if dense then
            let shrink = float rows / float (rows + n)

            covariance
            |> Array.mapi (fun k v -> if k / n = k % n then v else shrink * v)
            |> ofCovariance n
            |> Option.defaultValue diagonal
        else
            diagonal

    /// The inverse of a symmetric positive definite matrix, row-major; None for any other.
    let private inverse (n: int) (matrix: float[]) : float[] option =
        let invert (factor: float[]) : float[] =
            // Row i is row i of the factor's inverse.
            let rows: float[] = Array.zeroCreate (n * n)

            for i in 0 .. n - 1 do
                let row = Span(rows, i * n, n)

                for k in 0 .. i - 1 do
                    let above = ReadOnlySpan(rows, k * n, n)
                    TensorPrimitives.MultiplyAdd(above, -factor[i * n + k], row, row)

                row[i] <- row[i] + 1.0
                TensorPrimitives.Divide(Span.op_Implicit row, factor[i * n + i], row)

            let product: float[] = Array.zeroCreate (n * n)

            for k in 0 .. n - 1 do
                for i in 0..k do
                    let sum = Span(product, i * n, n)
                    let row = ReadOnlySpan(rows, k * n, n)
                    TensorPrimitives.MultiplyAdd(row, rows[k * n + i], sum, sum)

            product

        cholesky n matrix |> Option.map invert

    /// The metric of the curvature at a point: of the inverse of minus the Hessian, by central
    /// differences of gradients; 4 gradients a parameter, in two calls, of which the second has steps
    /// of a hundredth of the scale that the first has found. Where the density is not concave, or
    /// zero near the point, the scale of a parameter is a tenth of its range.
    let ofCurvature
        (options: RunOptions)
        (objective: Objective)
        (dense: bool)
        (point: float[])
        : struct (Metric * ExactCalls) =
        let n = objective.Count

        let ranges =
            objective.Parameters
            |> Array.map (fun p ->
                let struct (low, high) = p.Range
                let width = high - low
                if width > 0.0 && Double.IsFinite width then width else 10.0)

        let differences (steps: float[]) : float[] =
            let points =
                Array.init (2 * n * n) (fun k ->
                    let row, j = k / n, k % n
                    let sign = if row % 2 = 0 then 1.0 else -1.0
                    if row / 2 = j then point[j] + sign * steps[j] else point[j])

            let struct (_, gradients) = objective.ValuesAndGradients(points, options)

            let slope (i: int) (j: int) : float =
                (gradients[2 * i * n + j] - gradients[(2 * i + 1) * n + j]) / (2.0 * steps[i])

            Array.init (n * n) (fun k -> -0.5 * (slope (k / n) (k % n) + slope (k % n) (k / n)))

        let scales (curvature: float[]) : float[] =
            Array.init n (fun i ->
                let c = curvature[i * n + i]

                if c > 0.0 && Double.IsFinite c then
                    1.0 / sqrt c
                else
                    0.1 * ranges[i])

        let rough = differences (ranges |> Array.map ((*) 1e-4)) |> scales
        let curvature = differences (rough |> Array.map ((*) 0.01))
        let diagonal = Metric.Diagonal(scales curvature)
        let calls = 4L * int64 n

        let metric =
            if dense then
                inverse n curvature
                |> Option.bind (ofCovariance n)
                |> Option.defaultValue diagonal
            else
                diagonal

        struct (metric, { Values = calls; Gradients = calls })
