namespace FunLik

/// The function c + a·z + ½ zᵀSz: what a surrogate must beat, and what a network may learn the difference from.
type Quadratic =
    {
        /// c.
        Constant: float
        /// a.
        Linear: float[]
        /// S, symmetric, n x n, row-major.
        Curvature: float[]
    }

/// Quadratics as expressions, and fitted to data.
[<RequireQualifiedAccess>]
module Quadratic =

    let private form (c: Expr) (a: Expr) (s: Expr) (z: Expr) : Expr =
        c + Expr.dot a z + 0.5 * Expr.dot z (Expr.matVec s z)

    /// The value at z, a vector.
    let toExpr (quadratic: Quadratic) (z: Expr) : Expr =
        let n = quadratic.Linear.Length

        form
            (Expr.scalar quadratic.Constant)
            (Expr.vector quadratic.Linear)
            (Expr.matrix n n quadratic.Curvature)
            z

    /// A constant over n coordinates.
    let constant (n: int) (value: float) : Quadratic =
        {
            Constant = value
            Linear = Array.zeroCreate n
            Curvature = Array.zeroCreate (n * n)
        }

    /// The largest number of steps of conjugate gradients.
    let private maxSteps = 300

    /// Ends where the gradient of the sum of squares is this small against that at the start.
    let private tolerance = 1e-9

    /// Least squares: of the values, and of the gradients (where the data have them) with a weight, by conjugate gradients
    /// (Hestenes and Stiefel, J. Res. NBS 49, 409 (1952)) from 0. Data that leave directions open leave 0 there; so do pairs of
    /// coordinates that are not joined.
    let fit
        (options: RunOptions)
        (gradientWeight: float)
        (interactions: Interactions)
        (data: Dataset)
        : Quadratic =
        let n = data.Inputs
        let z = Expr.datum "z" (Vector n)

        let c, a, s =
            Expr.weight "c" Scalar, Expr.weight "a" (Vector n), Expr.weight "s" (Matrix(n, n))

        let joined =
            if interactions.AreSparse then
                s * Expr.matrix n n (Interactions.mask interactions)
            else
                s

        let q = form c a joined z
        let miss = q - Expr.datum Loss.valueName Scalar

        let squares =
            match data.Gradients with
            | None -> miss * miss
            | Some _ ->
                let slopes = Diff.grad q z - Expr.datum Loss.gradientName (Vector n)
                miss * miss + gradientWeight * Expr.dot slopes slopes

        let slopes = Diff.gradients (0.5 * Expr.meanRows squares) [ c; a; s ]
        let mean = (Dataset.moments data.Values).Mean
        let values = data.Values |> Array.map (fun v -> v - mean)
        let names = [ "c"; "a"; "s" ]
        let start = [| [| 0.0 |]; Array.zeroCreate n; Array.zeroCreate (n * n) |]

        let session =
            List.zip names slopes
            |> Program.ofOutputs
            |> Engine.compile (
                Binding.ofRole (Set.ofList [ "z"; Loss.valueName; Loss.gradientName ])
            )
            |> fun kernel -> kernel.Bind(Seq.zip names start |> Map.ofSeq, Map.empty)

        let columns =
            Map.ofList
                [
                    "z", data.Points
                    Loss.valueName, values
                    Loss.gradientName, data.Gradients |> Option.defaultValue [||]
                ]

        let rows = session.RowInputs |> Array.map (fun (name, _) -> columns[name])

        /// The gradient of half the mean of squares at a point of the coefficients: affine in them.
        let gradient (point: float[][]) : float[][] =
            session.Update(Seq.zip names point |> Map.ofSeq)
            session.Evaluate(data.Count, rows, options)

        let combine (f: float -> float -> float) (x: float[][]) (y: float[][]) : float[][] =
            Array.map2 (Array.map2 f) x y

        let dot (x: float[][]) (y: float[][]) : float =
            Array.map2 (fun u v -> Array.map2 (*) u v |> Array.sum) x y |> Array.sum

        let offset = gradient start
        let first = offset |> Array.map (Array.map (~-))

        let rec descend
            (step: int)
            (point: float[][])
            (residual: float[][])
            (direction: float[][])
            (size: float)
            : float[][] =
            if step = maxSteps || size <= tolerance * tolerance * dot first first then
                point
            else
                let image = combine (-) (gradient direction) offset
                let length = size / dot direction image
                let next = combine (fun r i -> r - length * i) residual image
                let nextSize = dot next next

                descend
                    (step + 1)
                    (combine (fun p d -> p + length * d) point direction)
                    next
                    (combine (fun r d -> r + nextSize / size * d) next direction)
                    nextSize

        let solution = descend 0 start first first (dot first first)

        {
            Constant = solution[0].[0] + mean
            Linear = solution[1]
            Curvature = solution[2]
        }
