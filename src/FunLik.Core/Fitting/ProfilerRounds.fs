namespace FunLik

open System
open System.Runtime.ExceptionServices
open System.Threading.Tasks

/// Minimisations of the rows of a block, round after round, of which the best ends are kept.
[<RequireQualifiedAccess>]
module internal ProfilerRounds =

    /// Rows of one anchor that go to a thread together.
    let private together = 1024

    /// Evaluations after which a start near to its end has gone astray.
    let private mostSteps = 200

    /// What is known of the rows of a block so far. Values are of -log density; evaluations are those of all starts.
    type Found =
        {
            Moved: float[]
            Values: float[]
            Statuses: FitStatus[]
            Norms: float[]
            Edms: float[]
            Evaluations: int[]
            /// The gradients in the kept parameters, where the program moves them too.
            Kept: float[]
        }

    /// Nothing yet.
    let nothing (rows: int) (m: int) (k: int) : Found =
        {
            Moved = Array.zeroCreate (rows * m)
            Values = Array.create rows infinity
            Statuses = Array.create rows FitStatus.NotFinite
            Norms = Array.create rows nan
            Edms = Array.create rows nan
            Evaluations = Array.zeroCreate rows
            Kept = Array.zeroCreate (rows * k)
        }

    /// Keeps the end of a start where it is the best so far; of equal ones one that converged.
    let private take
        (keep: int[])
        (m: int)
        (ends: Minimisation)
        (start: int)
        (found: Found)
        (row: int)
        : unit =
        let value, status = ends.Values[start], ends.Statuses[start]

        let isBetter =
            not status.IsNotFinite
            && not (Double.IsNaN value)
            && (found.Statuses[row].IsNotFinite
                || (if found.Statuses[row].IsConverged = status.IsConverged then
                        value < found.Values[row]
                    else
                        let noise = 1e-9 * (1.0 + abs value)
                        let margin = if status.IsConverged then noise else -noise
                        value < found.Values[row] + margin))

        found.Evaluations[row] <- found.Evaluations[row] + ends.Evaluations[start]

        if isBetter || found.Evaluations[row] = ends.Evaluations[start] then
            Array.Copy(ends.Points, start * m, found.Moved, row * m, m)
            found.Values[row] <- value
            found.Statuses[row] <- status
            found.Norms[row] <- ends.GradientNorms[start]
            found.Edms[row] <- ends.Edms[start]

            if ends.Gradients.Length > 0 then
                keep
                |> Array.iteri (fun j i ->
                    found.Kept[row * keep.Length + j] <- ends.Gradients[start * m + i])

    /// Minimises from some starts of some rows (as many for each row), and keeps what is best.
    let solve
        (profiler: Profiler)
        (session: StepSession, feed: Feed option)
        (points: float[])
        (found: Found)
        (maxSteps: int)
        (rows: int[])
        (starts: float[])
        (run: RunOptions)
        : unit =
        let k, m = profiler.Keep.Length, profiler.Moved.Length

        let options =
            { ProfilerProgram.minimiseOptions profiler.Options with MaxSteps = maxSteps }

        let count = starts.Length / (m * rows.Length)

        let keptOf (start: int) (i: int) : float = points[rows[start / count] * k + i]

        let ends =
            match profiler.Program with
            | ProfilerProgram.Reduced _ ->
                let kept = Array.zeroCreate (rows.Length * count * k)

                for start in 0 .. rows.Length * count - 1 do
                    Array.Copy(points, rows[start / count] * k, kept, start * k, k)

                Minimise.runWithin [ "kept", kept ] options session starts run
            | ProfilerProgram.Full _ ->
                let held (values: float[]) : float[] =
                    let all = Array.init starts.Length (fun i -> values[i % m])

                    for start in 0 .. rows.Length * count - 1 do
                        profiler.Keep
                        |> Array.iteri (fun j i -> all[start * m + i] <- keptOf start j)

                    all

                Minimise.run
                    options
                    (session, feed)
                    starts
                    (held profiler.Fitter.Lower)
                    (held profiler.Fitter.Upper)
                    run

        rows
        |> Array.iteri (fun place row ->
            for s in 0 .. count - 1 do
                take profiler.Keep m ends (place * count + s) found row)

    /// From the anchors that a response says, in groups of one anchor, which threads take. What does not converge starts again from the best
    /// fit.
    let follow
        (profiler: Profiler)
        (response: Response)
        (others: Pool<StepSession>)
        (centres: float[])
        (points: float[])
        (found: Found)
        (run: RunOptions)
        : unit =
        let k, m = profiler.Keep.Length, profiler.Moved.Length
        let rows = points.Length / k
        let anchorOf = Response.anchorsOf points run response
        let rest = Array.skip m centres

        /// Some rows from a start of their anchor and from the other starts.
        let round (maxSteps: int) (first: int -> float[]) (rest: float[]) (rows: int[]) : unit =
            let groups =
                rows
                |> Array.groupBy (fun r -> anchorOf[r])
                |> Array.sortBy fst
                |> Array.collect (fun (anchor, rows) ->
                    rows |> Array.chunkBySize together |> Array.map (fun part -> anchor, part))

            let solveGroup (g: int) : unit =
                let anchor, rows = groups[g]
                let each = m + rest.Length
                let starts = Array.zeroCreate (rows.Length * each)
                let start = first anchor

                for place in 0 .. rows.Length - 1 do
                    Array.Copy(start, 0, starts, place * each, m)
                    Array.Copy(rest, 0, starts, place * each + m, rest.Length)

                let own = others.Take()
                Minimise.withMetric (Response.metric anchor response) own

                solve
                    profiler
                    (own, None)
                    points
                    found
                    maxSteps
                    rows
                    starts
                    { run with Threads = 1 }

                others.Give own

            try
                Parallel.For(
                    0,
                    groups.Length,
                    ParallelOptions(MaxDegreeOfParallelism = max 1 run.Threads),
                    solveGroup
                )
                |> ignore
            with :? AggregateException as several ->
                ExceptionDispatchInfo.Throw several.InnerExceptions[0]

        let left () : int[] =
            [| 0 .. rows - 1 |] |> Array.filter (fun r -> not found.Statuses[r].IsConverged)

        let whole = profiler.Options.MaxSteps
        let quick = min mostSteps whole
        let anchors, centre = Response.anchors response, Array.truncate m centres
        round quick (fun anchor -> anchors[anchor]) rest [| 0 .. rows - 1 |]
        left () |> round whole (fun _ -> centre) [||]

    /// Carries on by Newton's method what is finite and did not converge, or only in value: what is left of the gradient is above the tolerance.
    let rescue (profiler: Profiler) (points: float[]) (found: Found) (run: RunOptions) : unit =
        let fitter, k, m = profiler.Fitter, profiler.Keep.Length, profiler.Moved.Length

        let left =
            [| 0 .. found.Values.Length - 1 |]
            |> Array.filter (fun r ->
                found.Statuses[r].IsMaxIterations
                || found.Statuses[r].IsNoProgress
                || found.Norms[r] > profiler.Options.Tolerance)

        if left.Length > 0 && fitter.Objective.Expression.IsSome then
            let held (values: float[]) (row: int) : float[] =
                let all = Array.copy values
                profiler.Keep |> Array.iteri (fun j i -> all[i] <- points[row * k + j])
                all

            let kinks =
                fitter.Objective.Parameters
                |> Array.map (fun p -> if p.IsKinked then p.Nominal else nan)

            let lengths =
                match profiler.Metric with
                | Preconditioner.Lengths lengths
                | Preconditioner.InverseHessian(_, lengths) -> lengths

            let problems =
                left
                |> Array.map (fun row ->
                    let point = held profiler.Centre row
                    profiler.Moved |> Array.iteri (fun j i -> point[i] <- found.Moved[row * m + j])
                    point, held fitter.Lower row, held fitter.Upper row)

            let polished =
                Newton.polish
                    NewtonOptions.Default
                    fitter.Objective
                    fitter.Hessian
                    fitter.Lengths
                    kinks
                    problems
                    run

            (left, polished)
            ||> Array.iter2 (fun row end' ->
                found.Evaluations[row] <- found.Evaluations[row] + end'.Evaluations

                let norm =
                    profiler.Moved
                    |> Array.mapi (fun j i -> lengths[j] * end'.Projected[i])
                    |> Array.sumBy (fun g -> g * g)
                    |> sqrt

                let isBetter = norm < found.Norms[row] || not found.Statuses[row].IsConverged

                if end'.Status.IsConverged && isBetter then
                    profiler.Moved
                    |> Array.iteri (fun j i -> found.Moved[row * m + j] <- end'.Point[i])

                    found.Values[row] <- end'.Value
                    found.Statuses[row] <- end'.Status
                    found.Edms[row] <- end'.Edm
                    found.Norms[row] <- norm)
