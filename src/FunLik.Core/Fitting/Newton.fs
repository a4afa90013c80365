namespace FunLik

open System
open System.Threading.Tasks

/// A point that has been carried to the minimum next to it.
type Polished =
    {
        /// The point.
        Point: float[]
        /// -log density there.
        Value: float
        /// Its gradient; 0 where the parameter cannot move downhill: at a bound, or in a kink between slopes of opposite signs.
        Projected: float[]
        /// The estimated distance to the minimum in twiceNll, gᵀ H⁻¹ g of -log density: Minuit's EDM for twiceNll.
        Edm: float
        /// How it ended.
        Status: FitStatus
        /// Newton steps.
        Iterations: int
        /// Evaluations of value and gradient; a Hessian counts as its products.
        Evaluations: int
        /// Parameters at a bound that they press against, or that are fixed.
        AtBound: bool[]
        /// Parameters in a kink of the density.
        AtKink: bool[]
    }

/// How far to carry points.
type NewtonOptions =
    {
        /// Converged where the EDM, in twiceNll, is at most this.
        Edm: float
        /// The largest number of Newton steps.
        MaxIterations: int
    }

    /// EDM at most 1e-8, 100 steps.
    static member Default: NewtonOptions = { Edm = 1e-8; MaxIterations = 100 }

/// Newton's method with exact Hessians, projected on bounds (Bertsekas, SIAM J. Control Optim. 20, 221 (1982)). It is globalised by a line
/// search: steps go downhill along eigenvectors of the wrong sign too, are halved until the function falls by a part of what the slope
/// promises, and give way to the projected gradient where none of that helps. Parameters with a kink
/// keep to one side of it and change sides only through the kink itself, where both one-sided slopes are looked at.
[<RequireQualifiedAccess>]
module Newton =

    /// How much larger than their sum terms may be that cancel in it.
    let private cancelling = 1e3

    /// How far from a kink its sides are looked at, in the parameters' lengths.
    let private besideKink = 1e-6

    /// A point on its way: where it is, -log density and its gradient there.
    type private Here = { X: float[]; F: float; G: float[] }

    /// One point on its way, between its bounds and kinks.
    [<Sealed>]
    type private Walk
        (
            objective: Objective,
            hessian: HessianSource,
            defaults: float[],
            kinks: float[],
            lower: float[],
            upper: float[],
            run: RunOptions
        ) =
        let n = objective.Count
        let mutable evaluations = 0

        let evaluate (x: float[]) : Here =
            evaluations <- evaluations + 1
            let struct (values, gradients) = objective.ValuesAndGradients(x, run)
            { X = x; F = -values[0]; G = gradients |> Array.map (~-) }

        let hasKink (i: int) : bool =
            kinks[i] >= lower[i] && kinks[i] <= upper[i] && lower[i] < upper[i]

        // The slopes of both sides are those a little beside the kink: in the kink itself a density may have any, and a density that was
        // learnt, or is in single precision, has its kink only nearly there.
        let beside (sign: float) : float[] =
            Array.map2
                (fun kink length ->
                    let moved = kink + sign * besideKink * length

                    if sign > 0.0 then
                        max moved (Math.BitIncrement kink)
                    else
                        min moved (Math.BitDecrement kink))
                kinks
                defaults

        let below, above = beside -1.0, beside 1.0

        let isInKink (x: float[]) (i: int) : bool =
            hasKink i && x[i] >= below[i] && x[i] <= above[i]

        /// Bounds that keep each parameter with a kink on its side of it.
        let bounds (x: float[]) : struct (float[] * float[]) =
            let low, high = Array.copy lower, Array.copy upper

            for i in 0 .. n - 1 do
                if hasKink i then
                    if x[i] >= kinks[i] && above[i] <= upper[i] then
                        low[i] <- max low[i] above[i]
                    else
                        high[i] <- min high[i] below[i]

            struct (low, high)

        let project (low: float[]) (high: float[]) (x: float[]) : float[] =
            Array.map3 (fun v l h -> min h (max l v)) x low high

        /// The parameters that can move downhill.
        let freeAt (here: Here) : int[] =
            let struct (low, high) = bounds here.X

            [| 0 .. n - 1 |]
            |> Array.filter (fun i ->
                if here.G[i] > 0.0 then
                    here.X[i] > low[i]
                else
                    here.X[i] < high[i])

        /// What is left of the gradient, in units of the lengths.
        let sizeOf (lengths: float[]) (here: Here) : float =
            freeAt here
            |> Array.fold (fun most i -> max most (abs (here.G[i] * lengths[i]))) 0.0

        let noise (f: float) : float = 4e-15 * (1.0 + abs f)

        let along (a: float) (step: float[]) (x: float[]) : float[] =
            Array.map2 (fun v s -> v + a * s) x step

        /// A part of the step that lowers the function by what the slope promises. A gain within rounding is one only if the gradient
        /// shrinks; then rounding may hide it, as large terms that cancel have more of that than their sum.
        let downhill (lengths: float[]) (here: Here) (step: float[]) : Here option =
            let struct (low, high) = bounds here.X
            let slope = min 0.0 (Array.sum (Array.map2 (*) here.G step))
            let size = sizeOf lengths here
            let isShrunk (there: Here) : bool = sizeOf lengths there < 0.5 * size

            Seq.init 40 (fun k -> Math.Pow(0.5, float k))
            |> Seq.tryPick (fun a ->
                let there = evaluate (here.X |> along a step |> project low high)

                let isLower = there.F <= here.F + 1e-4 * a * slope + noise here.F

                let isWithinRounding =
                    a = 1.0 && there.F <= here.F + cancelling * noise here.F && isShrunk there

                if (isLower || isWithinRounding) && Array.forall Double.IsFinite there.G then
                    Some there
                else
                    None)
            |> Option.filter (fun there -> there.F < here.F - noise here.F || isShrunk there)

        /// Straight down, in units of the lengths, in what is free to move: short enough, it always leads lower.
        let steepest (lengths: float[]) (here: Here) : float[] =
            let step = Array.zeroCreate n

            for i in freeAt here do
                step[i] <- -here.G[i] * lengths[i] * lengths[i]

            step

        /// Across a kink that holds a parameter, where the other side is downhill.
        let acrossKink (here: Here) : Here option =
            let beyond (i: int) : struct (float * Here) option =
                let x, g = here.X[i], here.G[i]

                let other =
                    if not (isInKink here.X i) then
                        None
                    elif x > kinks[i] && g >= 0.0 && below[i] >= lower[i] then
                        Some below[i]
                    elif x < kinks[i] && g <= 0.0 && above[i] <= upper[i] then
                        Some above[i]
                    else
                        None

                other
                |> Option.bind (fun value ->
                    let moved = Array.copy here.X
                    moved[i] <- value
                    let there = evaluate moved
                    let descent = if value < x then there.G[i] else -there.G[i]

                    if descent > 0.0 then
                        Some(struct (descent * defaults[i], there))
                    else
                        None)

            match [| 0 .. n - 1 |] |> Array.choose beyond with
            | [||] -> None
            | several ->
                let struct (_, there) = several |> Array.maxBy (fun struct (slope, _) -> slope)
                Some there

        /// Away from a saddle.
        let offSaddle (here: Here) (descent: float[]) : Here option =
            let struct (low, high) = bounds here.X

            seq {
                for size in [ 1.0; 0.1; 0.01 ] do
                    for sign in [ 1.0; -1.0 ] -> sign * size
            }
            |> Seq.tryPick (fun a ->
                let there = evaluate (here.X |> along a descent |> project low high)
                if there.F < here.F - noise here.F then Some there else None)

        let ended (status: FitStatus) (edm: float) (iterations: int) (here: Here) : Polished =
            let isHeld = Array.create n true

            for i in freeAt here do
                isHeld[i] <- false

            let isHeldInKink (i: int) : bool = isHeld[i] && isInKink here.X i
            let point = here.X |> Array.mapi (fun i v -> if isHeldInKink i then kinks[i] else v)
            let isAtBound (i: int) : bool = point[i] <= lower[i] || point[i] >= upper[i]

            let value =
                if Array.forall2 (=) point here.X then
                    here.F
                else
                    (evaluate point).F

            {
                Point = point
                Value = value
                Projected = here.G |> Array.mapi (fun i v -> if isHeld[i] then 0.0 else v)
                Edm = edm
                Status = status
                Iterations = iterations
                Evaluations = evaluations
                AtBound = Array.init n (fun i -> isHeld[i] && isAtBound i)
                AtKink = Array.init n (fun i -> isHeldInKink i && not (isAtBound i))
            }

        let rec walk (options: NewtonOptions) (iterations: int) (here: Here) : Polished =
            run.Cancellation.ThrowIfCancellationRequested()
            evaluations <- evaluations + hessian.Cost
            let h = hessian.Evaluate 1 here.X run
            let lengths = Hessian.lengths defaults h
            let struct (low, high) = bounds here.X
            let step = NewtonStep.inBox h here.G lengths low high here.X (freeAt here)
            let isStationary = sizeOf lengths here <= 1e-11 || step.Edm <= 1e-22

            let next =
                if iterations >= options.MaxIterations || here.F <= -1e300 then
                    None
                else
                    (if isStationary then
                         None
                     else
                         downhill lengths here step.Step)
                    |> Option.orElseWith (fun () ->
                        if isStationary || step.Edm <= options.Edm then
                            None
                        else
                            downhill lengths here (steepest lengths here))
                    |> Option.orElseWith (fun () -> acrossKink here)
                    |> Option.orElseWith (fun () -> step.Descent |> Option.bind (offSaddle here))

            match next with
            | Some there -> walk options (iterations + 1) there
            | None ->
                let status =
                    if here.F <= -1e300 then
                        FitStatus.Unbounded
                    elif step.Descent.IsNone && step.Edm <= options.Edm then
                        FitStatus.Converged
                    elif iterations >= options.MaxIterations then
                        FitStatus.MaxIterations
                    else
                        FitStatus.NoProgress

                ended status step.Edm iterations here

        member _.Run(options: NewtonOptions, start: float[]) : Polished =
            let struct (low, high) = bounds (project lower upper start)
            let here = evaluate (project low high start)

            if Double.IsFinite here.F then
                walk options 0 here
            else
                ended FitStatus.NotFinite nan 0 here

    /// Carries each point, within bounds of its own, to the minimum next to it. `kinks` has the place of a kink for each parameter, NaN
    /// where there is none. Points of objectives that have an expression go to the threads; the results do not depend on how many.
    let polish
        (options: NewtonOptions)
        (objective: Objective)
        (hessian: HessianSource)
        (lengths: float[])
        (kinks: float[])
        (points: (float[] * float[] * float[])[])
        (run: RunOptions)
        : Polished[] =
        let one (options': RunOptions) (point: float[], lower: float[], upper: float[]) : Polished =
            Walk(objective, hessian, lengths, kinks, lower, upper, options').Run(options, point)

        if points.Length > 1 && run.Threads > 1 && objective.Expression.IsSome then
            let results = Array.zeroCreate points.Length

            let parallel' =
                ParallelOptions(
                    MaxDegreeOfParallelism = run.Threads,
                    CancellationToken = run.Cancellation
                )

            let body (k: int) : unit = results[k] <- one { run with Threads = 1 } points[k]

            try
                Parallel.For(0, points.Length, parallel', body) |> ignore
            with :? AggregateException as several ->
                Runtime.ExceptionServices.ExceptionDispatchInfo.Throw several.InnerExceptions[0]

            results
        else
            points |> Array.map (one run)
