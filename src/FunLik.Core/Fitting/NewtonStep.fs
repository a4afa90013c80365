namespace FunLik

open System
open MathNet.Numerics.LinearAlgebra

/// A step of Newton's method.
type NewtonStep =
    {
        /// The step.
        Step: float[]
        /// gᵀ H⁻¹ g: twice what the quadratic falls by.
        Edm: float
        /// A direction of negative curvature, if there is one.
        Descent: float[] option
    }

/// Steps and inverses from dense Hessians.
[<RequireQualifiedAccess>]
module NewtonStep =

    /// The lower triangle of a Cholesky factor in place; false where the matrix is not well above singular.
    let private factorise (n: int) (a: float[]) : bool =
        let mutable isPositive = true
        let mutable j = 0

        while isPositive && j < n do
            for k in 0 .. j - 1 do
                let factor = a[j * n + k]

                if factor <> 0.0 then
                    for i in j .. n - 1 do
                        a[i * n + j] <- a[i * n + j] - factor * a[i * n + k]

            let pivot = a[j * n + j]

            // The diagonal is 1 before: this is a condition number near 1e10.
            if pivot > 1e-10 then
                let root = sqrt pivot

                for i in j .. n - 1 do
                    a[i * n + j] <- a[i * n + j] / root

                j <- j + 1
            else
                isPositive <- false

        isPositive

    let private solve (n: int) (l: float[]) (b: float[]) : float[] =
        let x = Array.copy b

        for i in 0 .. n - 1 do
            for k in 0 .. i - 1 do
                x[i] <- x[i] - l[i * n + k] * x[k]

            x[i] <- x[i] / l[i * n + i]

        for i in n - 1 .. -1 .. 0 do
            for k in i + 1 .. n - 1 do
                x[i] <- x[i] - l[k * n + i] * x[k]

            x[i] <- x[i] / l[i * n + i]

        x

    /// The inverse of a symmetric matrix n x n, row-major; None where it is not well above singular once its diagonal is scaled to ones.
    let inverse (n: int) (matrix: float[]) : float[] option =
        let scale = Array.init n (fun i -> 1.0 / sqrt matrix[i * n + i])
        let factor = matrix |> Array.mapi (fun k v -> v * scale[k / n] * scale[k % n])

        if scale |> Array.forall Double.IsFinite && factorise n factor then
            let columns =
                Array.init n (fun j ->
                    solve n factor (Array.init n (fun i -> if i = j then 1.0 else 0.0)))

            Some(Array.init (n * n) (fun k -> columns[k % n][k / n] * scale[k / n] * scale[k % n]))
        else
            None

    /// The eigenvalues of a symmetric matrix of finite numbers, in increasing order, and its eigenvectors as columns.
    let internal eigen (n: int) (matrix: float[]) : float[] * Matrix<float> =
        // Squares of large numbers would be infinite on the way.
        let size = matrix |> Array.fold (fun most v -> max most (abs v)) 0.0
        let scale = if size > 1e100 then size else 1.0

        let evd =
            (CreateMatrix.Dense(n, n, matrix |> Array.map (fun v -> v / scale)))
                .Evd(Symmetricity.Symmetric)

        evd.EigenValues |> Seq.map (fun v -> v.Real * scale) |> Array.ofSeq, evd.EigenVectors

    /// The step to the minimum of the quadratic with this Hessian and gradient: by Cholesky where the Hessian is positive, else along
    /// its eigenvectors, downhill in each. Both in units in which the Hessian has a diagonal of ones.
    let direction (n: int) (hessian: float[]) (gradient: float[]) : NewtonStep =
        let factor = Array.copy hessian

        if factorise n factor then
            let step = solve n factor gradient |> Array.map (~-)

            {
                Step = step
                Edm = 0.0 - Array.sum (Array.map2 (*) step gradient)
                Descent = None
            }
        elif hessian |> Array.exists (Double.IsFinite >> not) then
            let size = Array.sumBy (fun g -> g * g) gradient
            { Step = gradient |> Array.map (~-); Edm = size; Descent = None }
        else
            let values, vectors = eigen n hessian
            let step = Array.zeroCreate n
            let mutable edm = 0.0

            for k in 0 .. n - 1 do
                let v = vectors.Column k
                let along = Seq.sum (Seq.map2 (*) v gradient)
                let curvature = max (abs values[k]) 1e-10

                // Along a flat direction rounding must not become a step.
                if abs along > 1e-12 then
                    edm <- edm + along * along / curvature

                    for i in 0 .. n - 1 do
                        step[i] <- step[i] - along / curvature * v[i]

            {
                Step = step
                Edm = edm
                Descent =
                    if values[0] < -1e-6 then
                        Some((vectors.Column 0).ToArray())
                    else
                        None
            }

    /// The step to the minimum of the quadratic inside of a box, by fixing what would leave it at its border and solving again for the
    /// rest. The Hessian is n x n; only parameters listed in `free` move; `lengths` are the units of the solution.
    let inBox
        (hessian: float[])
        (gradient: float[])
        (lengths: float[])
        (low: float[])
        (high: float[])
        (x: float[])
        (free: int[])
        : NewtonStep =
        let n = x.Length
        let moves = Array.zeroCreate n

        let solveFor (free: int[]) : NewtonStep =
            let m = free.Length

            let scaled =
                Array.init (m * m) (fun k ->
                    let i, j = free[k / m], free[k % m]
                    hessian[i * n + j] * lengths[i] * lengths[j])

            let slope (i: int) : float =
                let mutable total = gradient[i]

                for j in 0 .. n - 1 do
                    if moves[j] <> 0.0 then
                        total <- total + hessian[i * n + j] * moves[j]

                total * lengths[i]

            direction m scaled (free |> Array.map slope)

        let spread (free: int[]) (values: float[]) : float[] =
            let all = Array.zeroCreate n
            free |> Array.iteri (fun k i -> all[i] <- values[k] * lengths[i])
            all

        let rec go (free: int[]) (solved: NewtonStep) : float[] =
            let step = spread free solved.Step

            let leaving, staying =
                free
                |> Array.partition (fun i -> x[i] + step[i] < low[i] || x[i] + step[i] > high[i])

            if leaving.Length = 0 then
                Array.map2 (+) moves step
            else
                for i in leaving do
                    moves[i] <- (if step[i] < 0.0 then low[i] else high[i]) - x[i]

                go staying (solveFor staying)

        let first = solveFor free

        {
            Step = go free first
            Edm = first.Edm
            Descent = first.Descent |> Option.map (spread free)
        }
