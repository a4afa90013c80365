namespace FunLik

open System
open System.Threading.Tasks
open FSharp.NativeInterop

/// Newton's method for rows of data: value, gradient and products of the Hessian of a log density that reads its data row by row,
/// compiled once, when they are needed.
[<NoComparison; NoEquality>]
type DataPolish =
    {
        /// The parameters.
        Parameters: ModelParameter[]
        /// Log density (-∞ outside of the support) and gradient.
        Both: Lazy<Session<float>>
        /// The Hessian of -log density times a direction.
        Product: Lazy<Session<float>>
    }

/// Carrying fits of rows of data to their minima where a batch could not.
[<RequireQualifiedAccess>]
module DataPolish =

    /// How far beyond the edge of the support it is looked, in the parameters' lengths.
    let private beyond = 1e-7

    /// What is left of a slope, over a length, that counts.
    let private significant = 1e-5

    /// Prepares a log density of a vector of parameters, and the scalar that is above 0 outside of its support.
    let prepare
        (parameters: ModelParameter[])
        (theta: Expr)
        (logDensity: Expr)
        (violation: Expr)
        : DataPolish =
        let n = parameters.Length
        let zero = 0.0 * Expr.item 0 theta
        let isOutside = Expr.less (Expr.scalar 0.0) violation
        let value = Expr.select isOutside (Expr.scalar -infinity) (logDensity + zero)

        let compiled (outputs: (string * Expr) list) : Lazy<Session<float>> =
            lazy (Program.ofOutputs outputs |> Engine.compile (fun _ -> Binding.Row) |> _.Bind())

        let direction = Expr.datum "direction" (Vector n)
        let product = -(Diff.hvp logDensity theta direction)

        {
            Parameters = parameters
            Both = compiled [ "value", value; "gradient", Diff.grad logDensity theta + 0.0 * theta ]
            // A linear density has no second derivatives: keep the rows.
            Product = compiled [ "product", product + 0.0 * direction + 0.0 * theta ]
        }

    /// The inputs of a session, of which the data are one row's, as often as there are points.
    let private inputsOf
        (session: Session<float>)
        (rows: int)
        (own: (string * float[]) list)
        (data: (string * float[]) list)
        : float[][] =
        let repeated (values: float[]) : float[] =
            if rows = 1 then
                values
            else
                Array.init (rows * values.Length) (fun k -> values[k % values.Length])

        let known =
            own @ (data |> List.map (fun (name, values) -> name, repeated values))
            |> Map.ofList

        session.RowInputs |> Array.map (fun (name, _) -> known[name])

    /// The objective of one row of data.
    let private objectiveOf (polish: DataPolish) (data: (string * float[]) list) : Objective =
        let n = polish.Parameters.Length

        { new Objective(polish.Parameters) with
            member _.HasGradient = true
            member _.IsConcurrent = true
            member _.Expression = None

            member _.Evaluate(rows, points, values, gradients, options) =
                let theta = Array.init (rows * n) (fun k -> NativePtr.get points k)
                let session = polish.Both.Value

                let found =
                    session.Evaluate(rows, inputsOf session rows [ "theta", theta ] data, options)

                for k in 0 .. rows - 1 do
                    NativePtr.set values k (found[0][k])

                if not (NativePtr.isNullPtr gradients) then
                    for k in 0 .. rows * n - 1 do
                        NativePtr.set gradients k (found[1][k])
        }

    let private hessianOf (polish: DataPolish) (data: (string * float[]) list) : HessianSource =
        let n = polish.Parameters.Length

        let evaluate (rows: int) (points: float[]) (options: RunOptions) : float[] =
            let all = rows * n
            let theta = Array.init (all * n) (fun k -> points[k / (n * n) * n + k % n])
            let units = Array.init (all * n) (fun k -> if k / n % n = k % n then 1.0 else 0.0)
            let session = polish.Product.Value

            session.Evaluate(
                all,
                inputsOf session all [ "theta", theta; "direction", units ] data,
                options
            )[0]
            |> Hessian.symmetrised n rows

        { Evaluate = evaluate; Cost = n }

    /// Whether a point is held by the edge of the support alone: one slope is left, and down it there is no density.
    let private isAtEdge
        (objective: Objective)
        (lengths: float[])
        (run: RunOptions)
        (end': Polished)
        : bool =
        let left =
            [| 0 .. lengths.Length - 1 |]
            |> Array.filter (fun i -> abs (end'.Projected[i] * lengths[i]) > significant)

        match left with
        | [| i |] ->
            let moved = Array.copy end'.Point
            moved[i] <- moved[i] - float (sign end'.Projected[i]) * beyond * lengths[i]
            Double.IsNegativeInfinity((objective.Values(moved, run))[0])
        | _ -> false

    /// Carries points to their minima, each with data and bounds of its own; the rows go to the threads.
    let run
        (options: RunOptions)
        (lengths: float[])
        (polish: DataPolish)
        (rows: ((string * float[]) list * float[] * float[] * float[])[])
        : Polished[] =
        let kinks =
            polish.Parameters |> Array.map (fun p -> if p.IsKinked then p.Nominal else nan)

        let results = Array.zeroCreate<Polished> rows.Length
        let single = { options with Threads = 1 }

        let body (k: int) : unit =
            let data, point, lower, upper = rows[k]
            let objective = objectiveOf polish data

            let found =
                (Newton.polish
                    NewtonOptions.Default
                    objective
                    (hessianOf polish data)
                    lengths
                    kinks
                    [| point, lower, upper |]
                    single)[0]

            results[k] <-
                if not found.Status.IsConverged && isAtEdge objective lengths single found then
                    { found with Status = FitStatus.Converged }
                else
                    found

        if rows.Length > 0 then
            let parallel' =
                ParallelOptions(
                    MaxDegreeOfParallelism = max 1 options.Threads,
                    CancellationToken = options.Cancellation
                )

            try
                Parallel.For(0, rows.Length, parallel', body) |> ignore
            with :? AggregateException as several ->
                Runtime.ExceptionServices.ExceptionDispatchInfo.Throw several.InnerExceptions[0]

        results
