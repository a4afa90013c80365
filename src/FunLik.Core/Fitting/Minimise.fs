namespace FunLik

open FSharp.NativeInterop

/// How a minimisation ended. Only mistakes in the call raise errors: all else is one of these.
[<RequireQualifiedAccess>]
type FitStatus =
    /// At a minimum: what is left of the gradient is below the tolerance.
    | Converged
    /// The limit on iterations came first.
    | MaxIterations
    /// No step lowers the function further, and the gradient is not small: a kink, or noise.
    | NoProgress
    /// The density is zero or NaN at the start.
    | NotFinite
    /// The function has no lower bound.
    | Unbounded

/// The metric in which steps are taken before any curvature is known.
[<RequireQualifiedAccess>]
type Preconditioner =
    /// The typical length of a step in each parameter; its scale adapts.
    | Lengths of float[]
    /// An inverse Hessian of the function, n x n, row-major, and the lengths (roots of its diagonal) that tolerances are measured in.
    | InverseHessian of matrix: float[] * lengths: float[]

/// How to minimise.
type MinimiseOptions =
    {
        /// The pairs of steps and gradient differences that are remembered.
        Memory: int
        /// The largest number of evaluations of a row.
        MaxSteps: int
        /// Converged where the root of Σ (lengthᵢ gᵢ)², over the parameters that are free to move downhill, is below this.
        Tolerance: float
    }

    /// Memory 8, at most 2000 evaluations, tolerance 1e-6.
    static member Default: MinimiseOptions = { Memory = 8; MaxSteps = 2000; Tolerance = 1e-6 }

/// Where the rows of a batch of minimisations came to rest.
type Minimisation =
    {
        /// The points, row-major.
        Points: float[]
        /// The function there: -log density.
        Values: float[]
        /// Its gradients, row-major; empty where they were not asked for.
        Gradients: float[]
        /// The root of Σ (lengthᵢ gᵢ)² over the parameters that are free to move downhill, of each row.
        GradientNorms: float[]
        /// The estimated distance of each row to the minimum in twiceNll: gᵀ M g with the metric M of the last step.
        Edms: float[]
        /// How each row ended.
        Statuses: FitStatus[]
        /// How often each row was evaluated, always value and gradient together.
        Evaluations: int[]
    }

/// Minimising -log density of many rows at once, within bounds of each row: a projected L-BFGS (Nocedal and Wright, Numerical
/// Optimization, algorithm 7.4; Bertsekas, SIAM J. Control Optim. 20, 221 (1982)) written as a step program, one evaluation a step.
/// A parameter whose bounds are equal is fixed.
[<RequireQualifiedAccess>]
module Minimise =

    let private s (value: float) : Expr = Expr.scalar value
    let private is (condition: Expr) (a: Expr) (b: Expr) : Expr = Expr.select condition a b
    let private not' (condition: Expr) : Expr = 1.0 - condition

    let private clamp (low: Expr) (high: Expr) (x: Expr) : Expr =
        let raised = is (Expr.less x low) low x
        is (Expr.less high raised) high raised

    /// Status codes of the step program; 0 while a row is under way.
    let private converged, private notFinite, private noProgress, private unbounded =
        1.0, 2.0, 3.0, 4.0

    let private statusOf (code: float) : FitStatus =
        if code = converged then FitStatus.Converged
        elif code = notFinite then FitStatus.NotFinite
        elif code = noProgress then FitStatus.NoProgress
        elif code = unbounded then FitStatus.Unbounded
        else FitStatus.MaxIterations

    let private metricName = "inverseHessian"

    /// The program. `evaluate` gives value and gradient at the trial point.
    let private program
        (n: int)
        (options: MinimiseOptions)
        (isDense: bool)
        (evaluate: Expr -> Expr * Expr)
        : StepProgram =
        let vec = Vector n

        let x, f, g =
            Steps.current "point" vec, Steps.current "value" Scalar, Steps.current "gradient" vec

        let trial, slope = Steps.current "trial" vec, Steps.current "slope" Scalar
        let started, tries = Steps.current "started" Scalar, Steps.current "tries" Scalar
        let gamma, boost = Steps.current "gamma" Scalar, Steps.current "boost" Scalar
        let pairs, age = Steps.current "pairs" Scalar, Steps.current "age" Scalar
        let small = Steps.current "small" Scalar

        let low, high =
            Expr.input "lower" Role.Auxiliary vec, Expr.input "upper" Role.Auxiliary vec

        let lengths = Expr.weight "lengths" vec
        let squares = lengths * lengths

        // Is the trial point taken?
        let ft, gt = evaluate trial
        let isFirst = not' started

        let isFinite =
            Expr.less (abs ft) (s 1e300) * Expr.less (abs (Expr.sum gt)) (s 1e300)

        let isUnbounded = Expr.less ft (s -1e300)
        let noise = 4e-15 * (1.0 + abs f)
        let isDownhill = Expr.less slope (s 0.0)
        let bound = f + 1e-4 * is isDownhill slope (s 0.0) + noise
        let isLower = is isFirst (s 1.0) (Expr.less ft bound)
        let accept = isFinite * isLower
        let xn, fn, gn = is accept trial x, is accept ft f, is accept gt g

        // What may still move downhill, and by how much it would.
        let isFree = is (Expr.less (s 0.0) gn) (Expr.less low xn) (Expr.less xn high)

        let free = isFree * gn
        let size2 = Expr.sum (free * free * squares)

        // The new pair.
        let moved = isFree * (trial - x)
        let turned = isFree * (gt - g)
        let sy = Expr.dot moved turned
        let isCurved = accept * started * Expr.less (-1e-10 * slope) sy
        let step0, turn0 = is isCurved moved (s 0.0), is isCurved turned (s 0.0)
        let rho0 = is isCurved (1.0 / sy) (s 0.0)

        // When the line search fails: once more along the gradient, then no further.
        let limit = is (Expr.less (s 0.5) pairs) (s 12.0) (s 50.0)
        let isStuck = not' accept * started * (1.0 - isDownhill * Expr.less tries limit)
        let reset = isStuck * Expr.less (s 0.5) pairs
        let fail = isStuck * not' reset
        let isFresh = 1.0 - not' accept * not' reset
        let unit = 1.0 / is (Expr.less (s 1.0) size2) (sqrt size2) (s 1.0)

        let gammaOf =
            if isDense then
                s 1.0
            else
                sy / Expr.sum (turned * turned * squares)

        let gammaN = is isCurved gammaOf (is (isFirst + reset) unit gamma)

        let boostN = is (isCurved + isFirst + reset) (s 1.0) (is accept (4.0 * boost) boost)

        let pairsN = is reset (s 0.0) (pairs + isCurved)
        let ageN = is reset (s 0.0) (age + 1.0)

        // The two loops.
        let history =
            (step0, turn0, rho0)
            :: [
                for back in 1 .. options.Memory - 1 ->
                    Steps.past back "step" vec,
                    Steps.past back "turn" vec,
                    is
                        (Expr.less (s (float back)) (ageN - 0.5))
                        (Steps.past back "rho" Scalar)
                        (s 0.0)
            ]

        let alphas, q =
            history
            |> List.mapFold
                (fun (q: Expr) (step, turn, rho) ->
                    let alpha = rho * Expr.dot step q
                    alpha, q - alpha * turn)
                free

        let inner =
            if isDense then
                Expr.matVec (Expr.weight metricName (Matrix(n, n))) q
            else
                gammaN * (squares * q)

        let direction =
            List.foldBack2
                (fun (step, turn, rho) alpha (r: Expr) ->
                    r + (alpha - rho * Expr.dot turn r) * step)
                history
                alphas
                inner

        // The next trial: a new direction, or a part of the last step by quadratic interpolation.
        let curvature = ft - f - slope
        let fraction = clamp (s 0.1) (s 0.5) (-0.5 * slope / curvature)
        let part = is isFinite fraction (s 0.2)

        // A step that bounds cut short may lead nowhere or uphill: one along the scaled gradient never does (Bertsekas, proposition 1).
        let edm = Expr.dot free direction
        let bent = clamp low high (xn - boostN * (isFree * direction))
        let straight = clamp low high (xn - unit * (squares * free))
        let bentSlope, fullSlope = Expr.dot gn (bent - xn), -(boostN * edm)

        let isCut = Expr.less fullSlope (s 0.0) * Expr.less (1e-3 * fullSlope) bentSlope

        let fresh = is isCut straight bent
        let freshSlope = is isCut (Expr.dot gn (straight - xn)) bentSlope
        let trialN = is isFresh fresh (x + part * (trial - x)) |> clamp low high
        let slopeN = is isFresh freshSlope (part * slope)

        // Is it the end?
        let flat = 1e-14 * (1.0 + abs f)
        let gain = f - ft

        let isSmall =
            accept
            * started
            * Expr.less tries (s 0.5)
            * Expr.less gain flat
            * Expr.less (-slope) flat

        let smallN = is isSmall (small + 1.0) (s 0.0)

        let isConverged =
            accept
            * (1.0
               - Expr.less (s (options.Tolerance * options.Tolerance)) size2
                 * Expr.less smallN (s 1.5))

        let status =
            is
                isUnbounded
                (s unbounded)
                (is
                    (isFirst * not' accept)
                    (s notFinite)
                    (is isConverged (s converged) (is fail (s noProgress) (s 0.0))))

        let remembered (name: string) (shape: Shape) (next: Expr) : StepState list =
            if options.Memory > 1 then
                [ { Name = name; Shape = shape; Next = next; Depth = options.Memory - 1 } ]
            else
                []

        {
            State =
                [
                    Steps.state "point" vec xn
                    Steps.scalar "value" fn
                    Steps.state "gradient" vec gn
                    Steps.state "trial" vec trialN
                    Steps.scalar "slope" slopeN
                    Steps.scalar "started" (is isFirst (s 1.0) started)
                    Steps.scalar "tries" (is isFresh (s 0.0) (tries + 1.0))
                    Steps.scalar "gamma" gammaN
                    Steps.scalar "boost" boostN
                    Steps.scalar "pairs" pairsN
                    Steps.scalar "age" ageN
                    Steps.scalar "small" smallN
                    Steps.scalar "norm" (sqrt size2)
                    Steps.scalar "edm" edm
                    Steps.scalar "status" status
                ]
                @ remembered "step" vec step0
                @ remembered "turn" vec turn0
                @ remembered "rho" Scalar rho0
            Done = status
        }

    let private fed (objective: Objective) : Feed =
        let n = objective.Count

        { new Feed("trial", [ "fedValue"; "fedGradient" ]) with
            member _.Fill(rows, points, inputs, options) =
                objective.Evaluate(rows, points, inputs[0], inputs[1], options)

                for i in 0 .. rows - 1 do
                    NativePtr.set inputs[0] i (-(NativePtr.get inputs[0] i))

                for i in 0 .. rows * n - 1 do
                    NativePtr.set inputs[1] i (-(NativePtr.get inputs[1] i))
        }

    /// A compiled program and what it is bound to; bounds that are given here are those of all rows.
    let private compiled
        (n: int)
        (options: MinimiseOptions)
        (bounds: (string * float[]) list)
        (preconditioner: Preconditioner)
        (evaluate: Expr -> Expr * Expr)
        : unit -> StepSession =
        let isDense, metric =
            match preconditioner with
            | Preconditioner.Lengths lengths -> false, [ "lengths", lengths ]
            | Preconditioner.InverseHessian(matrix, lengths) ->
                true, [ "lengths", lengths; metricName, matrix ]

        let shared = Map.ofList (metric @ bounds)

        let binding (name: string) : Binding =
            if shared.ContainsKey name then
                Binding.Shared
            else
                Binding.Row

        let program = program n options isDense evaluate
        let kernel = Steps.compile binding program
        fun () -> Steps.bind shared program kernel

    /// Minus an expression of a vector, infinite where `violation` is above 0, and its gradient.
    let private negated (theta: Expr, logDensity: Expr, violation: Expr) : Expr -> Expr * Expr =
        let gradient = Diff.grad logDensity theta

        fun trial ->
            let put (e: Expr) : Expr option =
                if Expr.structural.Equals(e, theta) then
                    Some trial
                else
                    None

            match Expr.substitute put [ logDensity; gradient; violation ] with
            | [ y; dy; v ] -> Expr.select (Expr.less (s 0.0) v) (s infinity) (-y), -dy
            | _ -> invalidOp "as many results as expressions"

    /// Prepares the minimisation of minus an expression of a vector of parameters, infinite where `violation` is above 0. What else it reads is
    /// given row by row.
    let prepareExpression
        (options: MinimiseOptions)
        (preconditioner: Preconditioner)
        (theta: Expr, logDensity: Expr, violation: Expr)
        : StepSession =
        negated (theta, logDensity, violation)
        |> compiled (Shape.size theta.Shape) options [] preconditioner
        |> fun bind -> bind ()

    /// The same within bounds that are those of all rows: compiled once, bound as often as it is called. Sessions that are bound apart may have
    /// metrics of their own (`withMetric`).
    let prepareWithin
        (lower: float[], upper: float[])
        (options: MinimiseOptions)
        (preconditioner: Preconditioner)
        (theta: Expr, logDensity: Expr, violation: Expr)
        : unit -> StepSession =
        negated (theta, logDensity, violation)
        |> compiled
            (Shape.size theta.Shape)
            options
            [ "lower", lower; "upper", upper ]
            preconditioner

    /// Gives another inverse Hessian to a session that was prepared with one; not while it runs.
    let withMetric (matrix: float[]) (session: StepSession) : unit =
        session.Step.Update(Map.ofList [ metricName, matrix ])

    /// Prepares the minimisation of an objective: from its expression if it has one, with evaluation and step in one program, else
    /// with its evaluations fed into the same step.
    let prepare
        (options: MinimiseOptions)
        (preconditioner: Preconditioner)
        (objective: Objective)
        : StepSession * Feed option =
        match objective.Expression with
        | Some expression -> prepareExpression options preconditioner expression, None
        | None ->
            let n = objective.Count
            let given = Expr.datum "fedValue" Scalar, Expr.datum "fedGradient" (Vector n)
            compiled n options [] preconditioner (fun _ -> given) (), Some(fed objective)

    let private minimised
        (given: (string * float[]) list)
        (keep: string list)
        (options: MinimiseOptions)
        (session: StepSession, feed: Feed option)
        (rows: int)
        (runOptions: RunOptions)
        : Minimisation =
        let states = [ "point"; "value"; "norm"; "edm"; "status" ] @ keep

        let result =
            Steps.run session feed rows (Map.ofList given) states options.MaxSteps runOptions

        {
            Points = result.States["point"]
            Values = result.States["value"]
            Gradients = result.States.TryFind "gradient" |> Option.defaultValue [||]
            GradientNorms = result.States["norm"]
            Edms = result.States["edm"]
            Statuses = result.States["status"] |> Array.map statusOf
            Evaluations = result.Steps
        }

    /// Minimises from one start a row, within bounds of each row, with other rows that the expression reads; all row-major. Starts outside of
    /// the bounds are moved to them.
    let runWith
        (rest: (string * float[]) list)
        (options: MinimiseOptions)
        (session: StepSession, feed: Feed option)
        (starts: float[])
        (lower: float[])
        (upper: float[])
        (runOptions: RunOptions)
        : Minimisation =
        let n = session.Program.State |> List.head |> fun point -> Shape.size point.Shape
        let inside = Array.map3 (fun x low high -> min high (max low x)) starts lower upper

        minimised
            ([ "point", inside; "trial", inside; "lower", lower; "upper", upper ] @ rest)
            [ "gradient" ]
            options
            (session, feed)
            (starts.Length / n)
            runOptions

    /// Minimises from one start a row, inside of the bounds that were given to `prepareWithin`, with other rows that the expression reads; all
    /// row-major. Gradients are not returned.
    let runWithin
        (rest: (string * float[]) list)
        (options: MinimiseOptions)
        (session: StepSession)
        (starts: float[])
        (runOptions: RunOptions)
        : Minimisation =
        let n = session.Program.State |> List.head |> fun point -> Shape.size point.Shape

        minimised
            ([ "point", starts; "trial", starts ] @ rest)
            []
            options
            (session, None)
            (starts.Length / n)
            runOptions

    /// Minimises from one start a row, within bounds of each row; all row-major. Starts outside of the bounds are moved to them.
    let run
        (options: MinimiseOptions)
        (session: StepSession * Feed option)
        (starts: float[])
        (lower: float[])
        (upper: float[])
        (runOptions: RunOptions)
        : Minimisation =
        runWith [] options session starts lower upper runOptions
