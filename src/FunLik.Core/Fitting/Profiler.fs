namespace FunLik

open System
open System.Threading.Tasks
open FSharp.NativeInterop

/// Profiling in bulk: L-BFGS in the metric of the best fit or of anchors near each point, all points in lockstep.
[<RequireQualifiedAccess; CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module Profiler =

    /// Rows that are laid out at once: many, so that each anchor has some.
    let private block = 65_536

    /// Numbers in all inverse Hessians of a response.
    let private mostNumbers = 1 <<< 25

    /// The names of the kept parameters, in the order in which they were named.
    let kept (profiler: Profiler) : string[] =
        profiler.Keep
        |> Array.map (fun i -> profiler.Fitter.Objective.Parameters[i].Name)

    /// Prepares profiling around a best point that is known. Unknown names are raised.
    let prepareAt
        (options: ProfilerOptions)
        (keep: string list)
        (centre: float[])
        (fitter: Fitter)
        : Profiler =
        ProfilerProgram.make options keep centre fitter

    /// Prepares profiling around the best fit. Unknown names are raised.
    let prepare (options: ProfilerOptions) (keep: string list) (fitter: Fitter) : Profiler =
        prepareAt options keep (Fitter.fit FitOptions.Default fitter).Point fitter

    /// The points that starts of a point move from, of all parameters: the best fit, and those around it.
    let private centresOf (profiler: Profiler) : float[][] =
        let parameters = profiler.Fitter.Objective.Parameters

        let isFree =
            Array.init parameters.Length (fun i -> not (Array.contains i profiler.Keep))

        let count =
            match profiler.Options.Starts with
            | Some count -> max 1 count
            | None ->
                let ofFit = Starts.defaultCount parameters isFree
                if ofFit > 1 then ofFit + 1 else 1

        [|
            profiler.Centre
            if count > 1 then
                yield!
                    Starts.around parameters isFree profiler.Centre count
                    |> Array.truncate (count - 1)
        |]

    /// What is moved, of points of all parameters, inside of the bounds; one behind the other.
    let private movedOf (profiler: Profiler) (points: float[][]) : float[] =
        let lower, upper = profiler.Fitter.Lower, profiler.Fitter.Upper

        points
        |> Array.collect (fun point ->
            profiler.Moved |> Array.map (fun i -> min upper[i] (max lower[i] point[i])))

    let private evaluateBlock
        (profiler: Profiler)
        (centres: float[])
        (points: float[])
        (run: RunOptions)
        : ProfiledPoints =
        let k, m, n = profiler.Keep.Length, profiler.Moved.Length, profiler.Centre.Length
        let rows = points.Length / k
        let found = ProfilerRounds.nothing rows m k

        let fromCentres (session: StepSession, feed: Feed option) : unit =
            let starts =
                Array.init (rows * centres.Length) (fun i -> centres[i % centres.Length])

            if profiler.Moved.Length = n then
                for r in 0 .. rows * centres.Length / m - 1 do
                    profiler.Keep
                    |> Array.iteri (fun j i ->
                        starts[r * m + i] <- points[r / (centres.Length / m) * k + j])

            ProfilerRounds.solve
                profiler
                (session, feed)
                points
                found
                profiler.Options.MaxSteps
                [| 0 .. rows - 1 |]
                starts
                run

        match profiler.Program, profiler.Response with
        | ProfilerProgram.Reduced(_, others, _), Some response ->
            ProfilerRounds.follow profiler response others centres points found run
        | ProfilerProgram.Reduced(session, _, _), None -> fromCentres (session, None)
        | ProfilerProgram.Full(session, feed), _ -> fromCentres (session, feed)

        ProfilerRounds.rescue profiler points found run

        let all = Array.zeroCreate (rows * n)

        for r in 0 .. rows - 1 do
            profiler.Moved
            |> Array.iteri (fun j i -> all[r * n + i] <- found.Moved[r * m + j])

            profiler.Keep |> Array.iteri (fun j i -> all[r * n + i] <- points[r * k + j])

        let gradients =
            match profiler.Program with
            | ProfilerProgram.Reduced(_, _, envelope) ->
                let given =
                    envelope.RowInputs
                    |> Array.map (fun (name, _) -> if name = "kept" then points else found.Moved)

                envelope.Evaluate(rows, given, run)[0]
            | ProfilerProgram.Full _ -> found.Kept |> Array.map (~-)

        /// What is known where there is a density.
        let orElse (none: float) (values: float[]) : float[] =
            (values, found.Statuses)
            ||> Array.map2 (fun value status -> if status.IsNotFinite then none else value)

        {
            Values = found.Values |> Array.map (~-) |> orElse -infinity
            Gradients = gradients
            Points = all
            Statuses = found.Statuses
            GradientNorms = orElse nan found.Norms
            Edms = orElse nan found.Edms
            Evaluations = Array.sum found.Evaluations
        }

    /// Profiles at points, the kept parameters row-major in the order in which they were named. Each point's result depends on that point
    /// alone, to the bit.
    let evaluate (profiler: Profiler) (points: float[]) (run: RunOptions) : ProfiledPoints =
        let centres = centresOf profiler |> movedOf profiler
        let starts = centres.Length / profiler.Moved.Length

        let parts =
            points
            |> Array.chunkBySize (profiler.Keep.Length * max 1 (block / starts))
            |> Array.map (fun part -> evaluateBlock profiler centres part run)

        match parts with
        | [| one |] -> one
        | _ ->
            {
                Values = parts |> Array.collect _.Values
                Gradients = parts |> Array.collect _.Gradients
                Points = parts |> Array.collect _.Points
                Statuses = parts |> Array.collect _.Statuses
                GradientNorms = parts |> Array.collect _.GradientNorms
                Edms = parts |> Array.collect _.Edms
                Evaluations = parts |> Array.sumBy _.Evaluations
            }

    /// Learns from points of the kept parameters (row-major, spread over where points will be) how the others follow them: later points start
    /// near to their ends, with curvature from near by, and need a fraction of the evaluations. The maxima found are the same. Nothing is learnt
    /// from objectives without an expression, or where the curvature at the best fit is not positive.
    let learn
        (options: ResponseOptions)
        (points: float[])
        (run: RunOptions)
        (profiler: Profiler)
        : Profiler =
        let fitter, k, n = profiler.Fitter, profiler.Keep.Length, profiler.Centre.Length
        let m = profiler.Moved.Length
        let rows = points.Length / k
        let wanted = min options.Points rows
        let anchors = options.Anchors |> min wanted |> min (mostNumbers / (m * m))

        let bounds =
            Array.map (fun i -> fitter.Lower[i]) profiler.Moved,
            Array.map (fun i -> fitter.Upper[i]) profiler.Moved

        /// The response that some profiled points give.
        let ofPoints (lengths: float[]) (anchors: int) (found: ProfiledPoints) : Response option =
            let good =
                [| 0 .. found.Values.Length - 1 |]
                |> Array.filter (fun r -> found.Statuses[r].IsConverged)

            let point (r: int) : float[] = Array.sub found.Points (r * n) n

            let metricAt (r: int) : float[] option =
                let x = point r
                let isHeld (i: int) : bool = x[i] <= fitter.Lower[i] || x[i] >= fitter.Upper[i]

                ProfilerProgram.inverseOf
                    n
                    (fitter.Hessian.Evaluate 1 x RunOptions.Single)
                    profiler.Moved
                    isHeld

            let candidates = Array.truncate anchors good
            let metrics = Array.zeroCreate candidates.Length

            Parallel.For(
                0,
                candidates.Length,
                ParallelOptions(
                    MaxDegreeOfParallelism = max 1 run.Threads,
                    CancellationToken = run.Cancellation
                ),
                fun i -> metrics[i] <- metricAt candidates[i]
            )
            |> ignore

            let chosen = Array.zip candidates metrics |> Array.filter (fun (_, m) -> m.IsSome)

            if chosen.Length = 0 then
                None
            else
                let first = Array.map fst chosen
                let order = Array.append first (Array.except first good)

                let others =
                    order
                    |> Array.map (fun r ->
                        profiler.Moved |> Array.map (fun i -> found.Points[r * n + i]))

                let kept =
                    order
                    |> Array.collect (fun r ->
                        profiler.Keep |> Array.map (fun i -> found.Points[r * n + i]))

                let lower, upper = bounds

                Response.learn (lower, upper, lengths) k kept others (chosen |> Array.choose snd)
                |> Some

        match profiler.Program, profiler.Metric with
        | ProfilerProgram.Reduced _, Preconditioner.InverseHessian(_, lengths) when anchors > 0 ->
            let taken =
                Array.init (wanted * k) (fun i ->
                    points[int (int64 (i / k) * int64 rows / int64 wanted) * k + i % k])

            let alone = { profiler with Options = { profiler.Options with Starts = Some 1 } }

            // Few points from the best fit, and the others from where these say.
            let some = min wanted (max 1 (anchors / 2))

            let early =
                evaluate { alone with Response = None } (Array.truncate (some * k) taken) run

            let all = evaluate { alone with Response = ofPoints lengths some early } taken run
            { profiler with Response = ofPoints lengths anchors all }
        | _ -> profiler

    /// The profile as an objective of the kept parameters, for fits, scans and samplers. A point that does not converge is NaN.
    let objective (profiler: Profiler) : Objective =
        let parameters =
            profiler.Keep |> Array.map (fun i -> profiler.Fitter.Objective.Parameters[i])

        let k = parameters.Length

        { new Objective(parameters) with
            member _.HasGradient = true
            member _.Expression = None

            member _.Evaluate(rows, points, values, gradients, options) =
                let at = Array.init (rows * k) (fun i -> NativePtr.get points i)
                let found = evaluate profiler at options

                for r in 0 .. rows - 1 do
                    let isGood = found.Statuses[r].IsConverged || found.Statuses[r].IsNotFinite

                    NativePtr.set values r (if isGood then found.Values[r] else nan)

                if not (NativePtr.isNullPtr gradients) then
                    for i in 0 .. rows * k - 1 do
                        NativePtr.set gradients i found.Gradients[i]
        }
