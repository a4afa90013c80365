namespace FunLik

open System
open System.Threading.Tasks
open MathNet.Numerics.LinearAlgebra

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

/// Newton's method with exact Hessians, projected on bounds (Bertsekas, SIAM J. Control Optim. 20, 221 (1982)). Parameters with a kink
/// keep to one side of it and change sides only through the kink itself, where both one-sided slopes are looked at.
[<RequireQualifiedAccess>]
module Newton =

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

    /// The Newton step, gᵀ H⁻¹ g, and a direction of negative curvature if there is one.
    [<NoComparison>]
    type private Direction = { Step: float[]; Edm: float; Descent: float[] option }

    /// All in units of the lengths: the Hessian has a diagonal of ones where it is positive.
    let private directionOf (n: int) (hessian: float[]) (gradient: float[]) : Direction =
        let factor = Array.copy hessian

        if factorise n factor then
            let step = solve n factor gradient |> Array.map (~-)

            {
                Step = step
                Edm = -(Array.sum (Array.map2 (*) step gradient))
                Descent = None
            }
        elif hessian |> Array.exists (Double.IsFinite >> not) then
            let size = Array.sumBy (fun g -> g * g) gradient
            { Step = gradient |> Array.map (~-); Edm = size; Descent = None }
        else
            let evd = (CreateMatrix.Dense(n, n, hessian)).Evd(Symmetricity.Symmetric)

            let step = Array.zeroCreate n
            let mutable edm = 0.0

            for k in 0 .. n - 1 do
                let v = evd.EigenVectors.Column k
                let along = Seq.sum (Seq.map2 (*) v gradient)
                let curvature = max (abs evd.EigenValues[k].Real) 1e-10

                // Along a flat direction rounding must not become a step.
                if abs along > 1e-12 then
                    edm <- edm + along * along / curvature

                    for i in 0 .. n - 1 do
                        step[i] <- step[i] - along / curvature * v[i]

            let lowest = evd.EigenValues[0].Real

            {
                Step = step
                Edm = edm
                Descent =
                    if lowest < -1e-6 then
                        Some((evd.EigenVectors.Column 0).ToArray())
                    else
                        None
            }

    /// One point on its way.
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

        let evaluate (x: float[]) : struct (float * float[]) =
            evaluations <- evaluations + 1
            let struct (values, gradients) = objective.ValuesAndGradients(x, run)
            struct (-values[0], gradients |> Array.map (~-))

        let hasKink (i: int) : bool =
            kinks[i] >= lower[i] && kinks[i] <= upper[i] && lower[i] < upper[i]

        let below = kinks |> Array.map Math.BitDecrement

        /// Bounds that keep each parameter with a kink on its side of it.
        let bounds (x: float[]) : struct (float[] * float[]) =
            let isAbove (i: int) : bool = hasKink i && x[i] >= kinks[i] && kinks[i] < upper[i]
            let isBelow (i: int) : bool = hasKink i && not (isAbove i) && below[i] >= lower[i]

            struct (lower |> Array.mapi (fun i low -> if isAbove i then max low kinks[i] else low),
                    upper
                    |> Array.mapi (fun i high -> if isBelow i then min high below[i] else high))

        let isFree (low: float[]) (high: float[]) (x: float[]) (g: float[]) (i: int) : bool =
            if g[i] > 0.0 then x[i] > low[i] else x[i] < high[i]

        let project (low: float[]) (high: float[]) (x: float[]) : float[] =
            Array.map3 (fun v l h -> min h (max l v)) x low high

        let noise (value: float) : float = 4e-15 * (1.0 + abs value)

        /// The first of some points that is lower by what a slope promises; noise counts as lower.
        let search
            (f: float)
            (g: float[])
            (x: float[])
            (trials: float[] seq)
            : struct (float[] * float * float[]) option =
            trials
            |> Seq.tryPick (fun trial ->
                let struct (value, gradient) = evaluate trial

                let promise =
                    Array.fold2 (fun s d (a, b) -> s + d * (a - b)) 0.0 g (Array.zip trial x)

                if
                    value <= f + 1e-4 * min promise 0.0 + noise f
                    && Array.forall Double.IsFinite gradient
                then
                    Some(struct (trial, value, gradient))
                else
                    None)

        let alongArc low high (x: float[]) (step: float[]) : float[] seq =
            Seq.init 30 (fun k ->
                let a = Math.Pow(0.5, float k)
                project low high (Array.map2 (fun v s -> v + a * s) x step))

        /// A kink at x, held by the bound of its side, that is downhill on its other side: the point just there.
        let beyondKink (x: float[]) (g: float[]) : float[] option =
            let slopeBeyond (i: int) : struct (float * float[]) option =
                let other =
                    if not (hasKink i) then
                        None
                    elif x[i] = kinks[i] && g[i] >= 0.0 && below[i] >= lower[i] then
                        Some below[i]
                    elif x[i] = below[i] && g[i] <= 0.0 && kinks[i] <= upper[i] then
                        Some kinks[i]
                    else
                        None

                other
                |> Option.bind (fun value ->
                    let there = Array.copy x
                    there[i] <- value
                    let struct (_, beyond) = evaluate there
                    let descent = if value < x[i] then beyond[i] else -beyond[i]

                    if descent > 0.0 then
                        Some(struct (descent * defaults[i], there))
                    else
                        None)

            match [| 0 .. n - 1 |] |> Array.choose slopeBeyond with
            | [||] -> None
            | several ->
                let struct (_, there) = several |> Array.maxBy (fun struct (slope, _) -> slope)
                Some there

        member _.Run(options: NewtonOptions, start: float[]) : Polished =
            let mutable x = project lower upper start
            let struct (f0, g0) = evaluate x
            let mutable f = f0
            let mutable g = g0
            let mutable iterations = 0
            let mutable edm = infinity

            let mutable status =
                if Double.IsFinite f0 then
                    None
                else
                    Some FitStatus.NotFinite

            let take (struct (point, value, gradient): struct (float[] * float * float[])) : unit =
                x <- point
                f <- value
                g <- gradient

            while status.IsNone do
                run.Cancellation.ThrowIfCancellationRequested()
                let struct (low, high) = bounds x
                let free = [| 0 .. n - 1 |] |> Array.filter (isFree low high x g)
                let m = free.Length
                evaluations <- evaluations + hessian.Cost
                let h = hessian.Evaluate 1 x run
                let lengths = Hessian.lengths defaults h

                let scaled =
                    Array.init (m * m) (fun k ->
                        let i, j = free[k / m], free[k % m]
                        h[i * n + j] * lengths[i] * lengths[j])

                let direction =
                    directionOf m scaled (free |> Array.map (fun i -> g[i] * lengths[i]))

                edm <- direction.Edm

                let full (values: float[]) : float[] =
                    let step = Array.zeroCreate n
                    free |> Array.iteri (fun k i -> step[i] <- values[k] * lengths[i])
                    step

                let size = free |> Array.fold (fun most i -> max most (abs (g[i] * lengths[i]))) 0.0
                let isStationary = size <= 1e-11 || edm <= 1e-22

                // Progress, or None: a step downhill, across a kink, or off a saddle.
                let stepped =
                    if isStationary || iterations >= options.MaxIterations then
                        None
                    else
                        match search f g x (alongArc low high x (full direction.Step)) with
                        | Some(struct (_, value, gradient) & taken) ->
                            let struct (point, _, _) = taken
                            let struct (l, h) = bounds point

                            let left =
                                [| 0 .. n - 1 |]
                                |> Array.fold
                                    (fun most i ->
                                        if isFree l h point gradient i then
                                            max most (abs (gradient[i] * lengths[i]))
                                        else
                                            most)
                                    0.0

                            // A gain within rounding is one only if the gradient shrinks.
                            if value < f - noise f || left < 0.5 * size then
                                Some taken
                            else
                                None
                        | None -> None

                let offSaddle () =
                    direction.Descent
                    |> Option.bind (fun v ->
                        let along = full v

                        seq {
                            for a in [ 1.0; 0.1; 0.01 ] do
                                for sign in [ 1.0; -1.0 ] do
                                    project
                                        low
                                        high
                                        (Array.map2 (fun p d -> p + sign * a * d) x along)
                        }
                        |> Seq.tryPick (fun trial ->
                            let struct (value, gradient) = evaluate trial

                            if value < f - noise f then
                                Some(struct (trial, value, gradient))
                            else
                                None))

                let acrossKink () =
                    beyondKink x g
                    |> Option.map (fun there ->
                        let struct (value, gradient) = evaluate there
                        struct (there, value, gradient))

                let next =
                    if iterations >= options.MaxIterations then
                        None
                    else
                        stepped |> Option.orElseWith acrossKink |> Option.orElseWith offSaddle

                match next with
                | Some taken when f > -1e300 ->
                    take taken
                    iterations <- iterations + 1
                | _ ->
                    status <-
                        Some(
                            if f <= -1e300 then
                                FitStatus.Unbounded
                            elif direction.Descent.IsNone && edm <= options.Edm then
                                FitStatus.Converged
                            elif iterations >= options.MaxIterations then
                                FitStatus.MaxIterations
                            else
                                FitStatus.NoProgress
                        )

            let struct (low, high) = bounds x
            let isHeld (i: int) : bool = not (isFree low high x g i)

            let isInKink (i: int) : bool =
                hasKink i && isHeld i && (x[i] = kinks[i] || x[i] = below[i])

            {
                Point = x |> Array.mapi (fun i v -> if isInKink i then kinks[i] else v)
                Value = f
                Projected = g |> Array.mapi (fun i v -> if isHeld i then 0.0 else v)
                Edm = edm
                Status = status.Value
                Iterations = iterations
                Evaluations = evaluations
                AtBound = Array.init n (fun i -> isHeld i && (x[i] <= lower[i] || x[i] >= upper[i]))
                AtKink =
                    Array.init n (fun i -> isInKink i && lower[i] < kinks[i] && kinks[i] < upper[i])
            }

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
