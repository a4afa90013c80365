namespace FunLik

/// How to profile many points.
type ProfilerOptions =
    {
        /// Starts of each point, of which the best end counts: the best fit, and around it those of a fit. None takes as many as a fit
        /// does by default; 1 is the fastest, and may end in a second maximum of a density with kinks.
        Starts: int option
        /// The pairs that the minimisation remembers.
        Memory: int
        /// Converged where the root of Σ (lengthᵢ gᵢ)² is below this; half of its square is what the value may be off by.
        Tolerance: float
        /// The largest number of evaluations of one start.
        MaxSteps: int
    }

    /// The starts of a fit, 4 pairs, tolerance 1e-4, at most 1000 evaluations.
    static member Default: ProfilerOptions =
        { Starts = None; Memory = 4; Tolerance = 1e-4; MaxSteps = 1000 }

/// How a response of the profiled parameters is learnt (`Profiler.learn`).
type ResponseOptions =
    {
        /// The points that are profiled for it.
        Points: int
        /// How many of them keep an inverse Hessian for the points around them.
        Anchors: int
    }

    /// 1024 points, 256 of them anchors.
    static member Default: ResponseOptions = { Points = 1024; Anchors = 256 }

/// The largest density over all parameters but those that are kept, at many points.
type ProfiledPoints =
    {
        /// The largest log density at each point.
        Values: float[]
        /// Its gradient in the kept parameters, row-major: the partial derivatives at the maximum, by the envelope theorem.
        Gradients: float[]
        /// All parameters at the maximum, row-major.
        Points: float[]
        /// How each point ended.
        Statuses: FitStatus[]
        /// The root of Σ (lengthᵢ gᵢ)² at each point: gradients of the log density in what is profiled and free to move uphill, lengths the
        /// standard deviations of each at the best fit, all else held; NaN where there is no density.
        GradientNorms: float[]
        /// The estimated distance to the maximum in twiceNll at each point, the EDM of Minuit; NaN where there is no density.
        Edms: float[]
        /// Evaluations of value and gradient, all starts together.
        Evaluations: int
    }

/// What moves the parameters that are profiled away.
[<RequireQualifiedAccess; NoComparison; NoEquality>]
type internal ProfilerProgram =
    /// Programs of what is profiled, with what is kept as rows: the minimisation, with the metric of the best fit and ready for others, and the
    /// gradient in what is kept.
    | Reduced of session: StepSession * others: Pool<StepSession> * envelope: Session<float>
    /// All parameters, the kept ones held by bounds.
    | Full of session: StepSession * feed: Feed option

/// A function of few parameters that maximises over the others: prepared once, for many points.
[<NoComparison; NoEquality>]
type Profiler =
    internal
        {
            Fitter: Fitter
            /// The places of the kept parameters.
            Keep: int[]
            /// The places of those that the program moves.
            Moved: int[]
            /// The best point: where profiling starts.
            Centre: float[]
            Options: ProfilerOptions
            Program: ProfilerProgram
            /// The metric of the best fit, of what is moved.
            Metric: Preconditioner
            Response: Response option
        }

/// The programs of a profiler.
[<RequireQualifiedAccess>]
module internal ProfilerProgram =

    /// Options of the minimisation.
    let minimiseOptions (options: ProfilerOptions) : MinimiseOptions =
        {
            Memory = options.Memory
            MaxSteps = options.MaxSteps
            Tolerance = options.Tolerance
        }

    /// The inverse of the Hessian of some parameters, those that are held apart from the others; None where it is not positive.
    let inverseOf
        (n: int)
        (hessian: float[])
        (places: int[])
        (isHeld: int -> bool)
        : float[] option =
        let m = places.Length

        let isZero (i: int) (j: int) : bool = i <> j && (isHeld places[i] || isHeld places[j])

        Array.init (m * m) (fun k ->
            let i, j = k / m, k % m

            if isZero i j then
                0.0
            else
                hessian[places[i] * n + places[j]])
        |> NewtonStep.inverse m

    /// The inverse Hessian of what is profiled away, or its lengths where that is not positive; over what is moved.
    let private metric
        (fitter: Fitter)
        (keep: int[])
        (moved: int[])
        (point: float[])
        : Preconditioner =
        let n = point.Length
        let hessian = fitter.Hessian.Evaluate 1 point RunOptions.Single
        let all = Hessian.lengths fitter.Lengths hessian
        let lengths = moved |> Array.map (fun i -> all[i])
        let away = moved |> Array.except keep
        let place = Array.create n -1
        away |> Array.iteri (fun k i -> place[i] <- k)

        match inverseOf n hessian away (fun _ -> false) with
        | None -> Preconditioner.Lengths lengths
        | Some inverse ->
            let m = moved.Length

            let matrix =
                Array.init (m * m) (fun k ->
                    let i, j = moved[k / m], moved[k % m]

                    if place[i] >= 0 && place[j] >= 0 then
                        inverse[place[i] * away.Length + place[j]]
                    elif i = j then
                        all[i] * all[i]
                    else
                        0.0)

            Preconditioner.InverseHessian(matrix, lengths)

    /// The expression in terms of what moves and what is kept, and its programs.
    let private reduced
        (options: ProfilerOptions)
        (fitter: Fitter)
        (keep: int[])
        (moved: int[])
        (metric: Preconditioner)
        (theta: Expr, logDensity: Expr, violation: Expr)
        : ProfilerProgram =
        let n = fitter.Objective.Count
        let profiled = Expr.parameter "profiled" (Vector moved.Length)
        let kept = Expr.input "kept" Role.Auxiliary (Vector keep.Length)
        let place = Array.zeroCreate n
        moved |> Array.iteri (fun k i -> place[i] <- k)
        keep |> Array.iteri (fun k i -> place[i] <- moved.Length + k)
        let all = Expr.gather place (Expr.concat [ profiled; kept ])

        let put (e: Expr) : Expr option =
            if Expr.structural.Equals(e, theta) then Some all else None

        match Expr.substitute put [ logDensity; violation ] |> Simplify.run with
        | [ y; v ] ->
            let within =
                Array.map (fun i -> fitter.Lower[i]) moved,
                Array.map (fun i -> fitter.Upper[i]) moved

            let bind =
                Minimise.prepareWithin within (minimiseOptions options) metric (profiled, y, v)

            let gradient = Diff.grad y kept + 0.0 * kept + 0.0 * Expr.item 0 profiled

            let envelope =
                Program.ofOutputs [ "gradient", gradient ]
                |> Engine.compile (fun _ -> Binding.Row)

            ProfilerProgram.Reduced(bind (), Pool<StepSession>(bind), envelope.Bind())
        | _ -> invalidOp "as many results as expressions"

    /// Prepares profiling around a best point that is known. Unknown names are raised.
    let make
        (options: ProfilerOptions)
        (keep: string list)
        (centre: float[])
        (fitter: Fitter)
        : Profiler =
        let names = fitter.Objective.Parameters |> Array.map _.Name

        let places =
            keep
            |> List.map (fun name ->
                match Array.tryFindIndex ((=) name) names with
                | Some i -> Ok i
                | None ->
                    Error.make ErrorKind.Name $"there is no parameter '{name}' to keep"
                    |> Error.expected (String.concat ", " names)
                    |> Error.fail)
            |> Error.collect
            |> Error.orRaise
            |> Array.ofList

        let away = [| 0 .. names.Length - 1 |] |> Array.except places

        let moved, metric, program =
            match fitter.Objective.Expression with
            | Some expression when away.Length > 0 && places.Length > 0 ->
                let metric = metric fitter places away centre
                away, metric, reduced options fitter places away metric expression
            | _ ->
                let all = [| 0 .. names.Length - 1 |]
                let metric = metric fitter places all centre

                let session, feed =
                    Minimise.prepare (minimiseOptions options) metric fitter.Objective

                all, metric, ProfilerProgram.Full(session, feed)

        {
            Fitter = fitter
            Keep = places
            Moved = moved
            Centre = centre
            Options = options
            Program = program
            Metric = metric
            Response = None
        }
