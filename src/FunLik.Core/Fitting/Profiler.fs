namespace FunLik

open FSharp.NativeInterop

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
        /// Evaluations of value and gradient, all starts together.
        Evaluations: int
    }

/// A function of few parameters that maximises over the others: prepared once, for many points.
[<NoComparison; NoEquality>]
type Profiler =
    {
        /// What is profiled.
        Fitter: Fitter
        /// The places of the kept parameters.
        Keep: int[]
        /// The best point: where profiling starts.
        Centre: float[]
        /// How to profile.
        Options: ProfilerOptions
        /// The step program, with the curvature at the best fit as its metric.
        Session: StepSession
        /// What feeds it, for an objective without an expression.
        Feed: Feed option
    }

/// Profiling in bulk: L-BFGS in the metric of the best fit, all points in lockstep.
[<RequireQualifiedAccess>]
module Profiler =

    /// Rows that are laid out at once.
    let private block = 8192

    let private minimiseOptions (options: ProfilerOptions) : MinimiseOptions =
        {
            Memory = options.Memory
            MaxSteps = options.MaxSteps
            Tolerance = options.Tolerance
        }

    /// The inverse Hessian of what is profiled away, or its lengths where that is not positive.
    let private metric (fitter: Fitter) (keep: int[]) (point: float[]) : Preconditioner =
        let n = point.Length
        let hessian = fitter.Hessian.Evaluate 1 point RunOptions.Single
        let lengths = Hessian.lengths fitter.Lengths hessian
        let away = [| 0 .. n - 1 |] |> Array.except keep
        let m = away.Length

        let inverse =
            Array.init (m * m) (fun k -> hessian[away[k / m] * n + away[k % m]])
            |> NewtonStep.inverse m

        match inverse with
        | None -> Preconditioner.Lengths lengths
        | Some inverse ->
            let matrix = Array.zeroCreate (n * n)
            inverse |> Array.iteri (fun k v -> matrix[away[k / m] * n + away[k % m]] <- v)

            for i in keep do
                matrix[i * n + i] <- lengths[i] * lengths[i]

            Preconditioner.InverseHessian(matrix, lengths)

    /// Prepares profiling around a best point that is known. Unknown names are raised.
    let prepareAt
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

        let session, feed =
            Minimise.prepare
                (minimiseOptions options)
                (metric fitter places centre)
                fitter.Objective

        {
            Fitter = fitter
            Keep = places
            Centre = centre
            Options = options
            Session = session
            Feed = feed
        }

    /// Prepares profiling around the best fit. Unknown names are raised.
    let prepare (options: ProfilerOptions) (keep: string list) (fitter: Fitter) : Profiler =
        prepareAt options keep (Fitter.fit FitOptions.Default fitter).Point fitter

    let private evaluateBlock
        (profiler: Profiler)
        (centres: float[][])
        (points: float[])
        (run: RunOptions)
        : ProfiledPoints =
        let fitter, keep = profiler.Fitter, profiler.Keep
        let n = fitter.Objective.Count
        let rows = points.Length / keep.Length
        let count = centres.Length

        let lay (from: int -> float[]) : float[] =
            let all = Array.zeroCreate (rows * count * n)

            for row in 0 .. rows * count - 1 do
                System.Array.Copy(from (row % count), 0, all, row * n, n)

                keep
                |> Array.iteri (fun k i ->
                    all[row * n + i] <- points[row / count * keep.Length + k])

            all

        let ends =
            Minimise.run
                (minimiseOptions profiler.Options)
                (profiler.Session, profiler.Feed)
                (lay (fun start -> centres[start]))
                (lay (fun _ -> fitter.Lower))
                (lay (fun _ -> fitter.Upper))
                run

        let best =
            Array.init rows (fun r ->
                Seq.init count (fun s -> r * count + s)
                |> Seq.minBy (fun row ->
                    let value = ends.Values[row]

                    if ends.Statuses[row].IsNotFinite || System.Double.IsNaN value then
                        infinity
                    else
                        value))

        let isInside (row: int) : bool = not ends.Statuses[row].IsNotFinite

        {
            Values =
                best
                |> Array.map (fun row -> if isInside row then -ends.Values[row] else -infinity)
            Gradients =
                best
                |> Array.collect (fun row ->
                    keep |> Array.map (fun i -> -ends.Gradients[row * n + i]))
            Points = best |> Array.collect (fun row -> Array.sub ends.Points (row * n) n)
            Statuses = best |> Array.map (fun row -> ends.Statuses[row])
            Evaluations = Array.sum ends.Evaluations
        }

    /// Profiles at points, the kept parameters row-major in the order in which they were named.
    let evaluate (profiler: Profiler) (points: float[]) (run: RunOptions) : ProfiledPoints =
        let parameters = profiler.Fitter.Objective.Parameters

        let isFree =
            Array.init parameters.Length (fun i -> not (Array.contains i profiler.Keep))

        let best = profiler.Centre

        let count =
            match profiler.Options.Starts with
            | Some count -> max 1 count
            | None ->
                let ofFit = Starts.defaultCount parameters isFree
                if ofFit > 1 then ofFit + 1 else 1

        let centres =
            [|
                best
                if count > 1 then
                    yield! Starts.around parameters isFree best count |> Array.truncate (count - 1)
            |]

        let parts =
            points
            |> Array.chunkBySize (profiler.Keep.Length * max 1 (block / centres.Length))
            |> Array.map (fun part -> evaluateBlock profiler centres part run)

        {
            Values = parts |> Array.collect _.Values
            Gradients = parts |> Array.collect _.Gradients
            Points = parts |> Array.collect _.Points
            Statuses = parts |> Array.collect _.Statuses
            Evaluations = parts |> Array.sumBy _.Evaluations
        }

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
