namespace FunLik

open System
open FSharp.NativeInterop

/// Hessians of -log density at given points: rows x n x n, row-major and symmetric, from points row-major. How many evaluations
/// one takes is `Cost`.
type HessianSource =
    {
        /// The Hessians at the points of a batch.
        Evaluate: int -> float[] -> RunOptions -> float[]
        /// Evaluations of value and gradient, or products of Hessian and vector, for one Hessian.
        Cost: int
    }

/// Second derivatives, and what scales they set.
[<RequireQualifiedAccess>]
module Hessian =

    let internal symmetrised (n: int) (rows: int) (values: float[]) : float[] =
        for r in 0 .. rows - 1 do
            for i in 0 .. n - 1 do
                for j in 0 .. i - 1 do
                    let a, b = r * n * n + i * n + j, r * n * n + j * n + i
                    let mean = 0.5 * (values[a] + values[b])
                    values[a] <- mean
                    values[b] <- mean

        values

    /// Products of the Hessian with unit directions: one program, n rows a point.
    let private ofExpression (n: int) (theta: Expr) (logDensity: Expr) : HessianSource =
        let direction = Expr.datum "direction" (Vector n)
        let product = -(Diff.hvp logDensity theta direction)
        // A linear density has no second derivatives: keep the rows.
        let row = product + 0.0 * direction + 0.0 * theta

        let session =
            lazy
                ((Program.ofOutputs [ "product", row ] |> Engine.compile (fun _ -> Binding.Row))
                    .Bind())

        let evaluate (rows: int) (points: float[]) (options: RunOptions) : float[] =
            let all = rows * n
            let repeated = Array.init (all * n) (fun k -> points[k / (n * n) * n + k % n])
            let units = Array.init (all * n) (fun k -> if k / n % n = k % n then 1.0 else 0.0)

            let given =
                session.Value.RowInputs
                |> Array.map (fun (name, _) -> if name = "direction" then units else repeated)

            session.Value.Evaluate(all, given, options)[0] |> symmetrised n rows

        { Evaluate = evaluate; Cost = n }

    /// Differences of gradients between points on both sides, where the bounds leave room for them.
    let private ofDifferences (objective: Objective) (lengths: float[]) : HessianSource =
        let n = objective.Count
        let relative = if objective.HasGradient then 6e-6 else 3e-4

        let beside (i: int) (x: float) (sign: float) : float =
            let struct (low, high) = objective.Parameters[i].Bounds
            let moved = x + sign * relative * lengths[i]
            // A fixed value may stand outside of the bounds.
            if x < low || x > high then
                moved
            else
                min high (max low moved)

        let evaluate (rows: int) (points: float[]) (options: RunOptions) : float[] =
            let moved =
                Array.init (rows * n * 2 * n) (fun k ->
                    let r, rest = k / (2 * n * n), k % (2 * n * n)
                    let i, side, j = rest / (2 * n), rest / n % 2, rest % n
                    let x = points[r * n + j]

                    if i <> j then x
                    elif side = 0 then beside i x -1.0
                    else beside i x 1.0)

            let struct (_, g) = objective.ValuesAndGradients(moved, options)

            Array.init (rows * n * n) (fun k ->
                let r, i, j = k / (n * n), k / n % n, k % n
                let first = (r * n + i) * 2 * n
                let apart = moved[first + n + i] - moved[first + i]
                // Of -log density.
                if apart > 0.0 then
                    (g[first + j] - g[first + n + j]) / apart
                else
                    0.0)
            |> symmetrised n rows

        { Evaluate = evaluate; Cost = 2 * n }

    /// Hessians of an objective: exact from its expression, else differences of its gradients over small parts of `lengths`.
    let prepare (objective: Objective) (lengths: float[]) : HessianSource =
        match objective.Expression with
        | Some(theta, logDensity, _) -> ofExpression objective.Count theta logDensity
        | None -> ofDifferences objective lengths

    /// A tenth of each parameter's range: the length of a step where nothing is known.
    let defaultLengths (parameters: ModelParameter[]) : float[] =
        parameters
        |> Array.map (fun p ->
            let struct (low, high) = p.Range
            let tenth = 0.1 * (high - low)

            if Double.IsFinite tenth && tenth > 0.0 then
                tenth
            else
                max 1.0 (abs p.Nominal))

    /// The lengths over which -log density rises by about a half: roots of the inverse diagonal of a Hessian, and the default where that is
    /// no curvature of the right sign and size.
    let lengths (defaults: float[]) (hessian: float[]) : float[] =
        let n = defaults.Length

        defaults
        |> Array.mapi (fun i length ->
            let curvature = hessian[i * n + i]

            if curvature * length * length > 1e-8 && Double.IsFinite curvature then
                1.0 / sqrt curvature
            else
                length)
