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
        /// Its gradients, row-major.
        Gradients: float[]
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

    let private lengthsOf (preconditioner: Preconditioner) : float[] =
        match preconditioner with
        | Preconditioner.Lengths lengths
        | Preconditioner.InverseHessian(_, lengths) -> lengths

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
                Expr.matVec (Expr.weight "inverseHessian" (Matrix(n, n))) q
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

        let trialN =
            is isFresh (xn - boostN * (isFree * direction)) (x + part * (trial - x))
            |> clamp low high

        let slopeN = is isFresh (Expr.dot gn (trialN - xn)) (part * slope)

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

    let private compiled
        (n: int)
        (options: MinimiseOptions)
        (preconditioner: Preconditioner)
        (evaluate: Expr -> Expr * Expr)
        : StepSession =
        let isDense, shared =
            match preconditioner with
            | Preconditioner.Lengths lengths -> false, [ "lengths", lengths ]
            | Preconditioner.InverseHessian(matrix, lengths) ->
                true, [ "lengths", lengths; "inverseHessian", matrix ]

        let binding (name: string) : Binding =
            if name = "lengths" || name = "inverseHessian" then
                Binding.Shared
            else
                Binding.Row

        let program = program n options isDense evaluate
        Steps.compile binding program |> Steps.bind (Map.ofList shared) program

    /// Prepares the minimisation of minus an expression of a vector of parameters, infinite where `violation` is above 0. What else it reads is
    /// given row by row.
    let prepareExpression
        (options: MinimiseOptions)
        (preconditioner: Preconditioner)
        (theta: Expr, logDensity: Expr, violation: Expr)
        : StepSession =
        let gradient = Diff.grad logDensity theta

        let at (trial: Expr) : Expr * Expr =
            let put (e: Expr) : Expr option =
                if Expr.structural.Equals(e, theta) then
                    Some trial
                else
                    None

            match Expr.substitute put [ logDensity; gradient; violation ] with
            | [ y; dy; v ] -> Expr.select (Expr.less (s 0.0) v) (s infinity) (-y), -dy
            | _ -> invalidOp "as many results as expressions"

        compiled (Shape.size theta.Shape) options preconditioner at

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
            compiled n options preconditioner (fun _ -> given), Some(fed objective)

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
        let rows = starts.Length / n
        let inside = Array.map3 (fun x low high -> min high (max low x)) starts lower upper

        let given =
            [ "point", inside; "trial", inside; "lower", lower; "upper", upper ] @ rest
            |> Map.ofList

        let result =
            Steps.run
                session
                feed
                rows
                given
                [ "point"; "value"; "gradient"; "status" ]
                options.MaxSteps
                runOptions

        {
            Points = result.States["point"]
            Values = result.States["value"]
            Gradients = result.States["gradient"]
            Statuses = result.States["status"] |> Array.map statusOf
            Evaluations = result.Steps
        }

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
