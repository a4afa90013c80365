namespace FunLik

open System

/// A minimum that some of the starts of a fit reached.
type LocalMinimum =
    {
        /// -2 log density there.
        TwiceNll: float
        /// How many of the starts ended here.
        Starts: int
        /// The point, in the model's order.
        Point: float[]
    }

/// The result of a fit.
type Fit =
    {
        /// How the fit ended: what is said of the lowest minimum.
        Status: FitStatus
        /// -2 log density at the best point; +∞ where no start has a density.
        TwiceNll: float
        /// The largest log density.
        LogDensity: float
        /// The names of the parameters in the model's order.
        Names: string[]
        /// The best point.
        Point: float[]
        /// The largest component of the gradient of twiceNll at the best point. Not counted is what cannot move downhill: a fixed
        /// parameter, one at a bound that it presses against, one in a kink between slopes of opposite signs.
        GradientNorm: float
        /// The estimated distance to the minimum in twiceNll: ½ gᵀ H⁻¹ g with gradient and Hessian of twiceNll, over the parameters that
        /// are free to move; the EDM of Minuit.
        Edm: float
        /// Steps that the best start took, Newton's included.
        Iterations: int
        /// Evaluations of value and gradient together, of all starts; for a Hessian the products of it with vectors
        /// (that of a covariance is not counted).
        Evaluations: int
        /// The bounds that parameters press against.
        ActiveBounds: ParameterBound list
        /// The parameters in a kink of the density, where it falls on both sides.
        Kinks: string list
        /// The different minima, the lowest first.
        Minima: LocalMinimum list
        /// The inverse Hessian of -log density at the best point, if it was asked for and is positive: one row a parameter, with zeros
        /// for those that are fixed, at a bound or in a kink.
        Covariance: float[][] option
    }

    /// Names and values of the best point, in the model's order.
    member this.Parameters: (string * float)[] = Array.zip this.Names this.Point

/// How to fit.
type FitOptions =
    {
        /// The number of starts; None takes the default: 1, or 16 for a density with kinks, or 32 for several parameters of interest.
        Starts: int option
        /// Parameters held at values.
        Fixed: (string * float) list
        /// The largest number of evaluations of one start.
        MaxIterations: int
        /// Converged where the estimated distance to the minimum in twiceNll is below this.
        Edm: float
        /// Whether to give the covariance of the parameters too.
        Covariance: bool
        /// Threads and cancellation.
        Run: RunOptions
    }

    /// Default starts, nothing fixed, at most 2000 evaluations a start, EDM below 1e-8, all cores.
    static member Default: FitOptions =
        {
            Starts = None
            Fixed = []
            MaxIterations = 2000
            Edm = 1e-8
            Covariance = false
            Run = RunOptions.AllCores
        }

/// An objective that is ready to be fitted again and again: programs compiled, scales known.
[<NoComparison; NoEquality>]
type Fitter =
    {
        /// What is fitted: the log density is maximised.
        Objective: Objective
        /// The step program of the minimisation.
        Session: StepSession
        /// What feeds it, for an objective without an expression.
        Feed: Feed option
        /// The Hessians.
        Hessian: HessianSource
        /// The scale of each parameter.
        Lengths: float[]
        /// The lower bounds.
        Lower: float[]
        /// The upper bounds.
        Upper: float[]
    }

/// One problem of a batch of fits: its own bounds, and its starts.
type FitProblem =
    {
        /// Lower bounds; equal to the upper bound of what is fixed.
        Lower: float[]
        /// Upper bounds.
        Upper: float[]
        /// Where to start.
        Starts: float[][]
    }

/// Fitting objectives: batches of problems that differ in bounds and starts.
[<RequireQualifiedAccess>]
module Fitter =

    let private minimiseOptions: MinimiseOptions =
        // The rest of the way is Newton's.
        { MinimiseOptions.Default with Tolerance = 1e-4 }

    let private kinksOf (parameters: ModelParameter[]) : float[] =
        parameters |> Array.map (fun p -> if p.IsKinked then p.Nominal else nan)

    /// Prepares an objective. Its scales are those at the nominal point.
    let ofObjective (objective: Objective) : Fitter =
        let parameters = objective.Parameters

        if parameters.Length = 0 then
            raise (
                FunLikException
                    [ Error.make ErrorKind.Usage "a fit needs a parameter that is not fixed" ]
            )

        let defaults = Hessian.defaultLengths parameters
        let hessian = Hessian.prepare objective defaults

        let lower, upper =
            parameters
            |> Array.map (fun p ->
                let struct (low, high) = p.Bounds
                low, high)
            |> Array.unzip

        let nominal =
            Array.map3
                (fun (p: ModelParameter) low high -> min high (max low p.Nominal))
                parameters
                lower
                upper

        let lengths =
            hessian.Evaluate 1 nominal RunOptions.Single |> Hessian.lengths defaults

        let session, feed =
            Minimise.prepare minimiseOptions (Preconditioner.Lengths lengths) objective

        {
            Objective = objective
            Session = session
            Feed = feed
            Hessian = hessian
            Lengths = lengths
            Lower = lower
            Upper = upper
        }

    /// Whether two points are one minimum: in value, and in position in units of the lengths.
    let private isSame (fitter: Fitter) (value: float) (position: float) (f, x) (f', x') : bool =
        abs (f - f') <= value * (1.0 + 1e-6 * abs f)
        && Array.forall2
            (fun a b -> a <= position * b)
            (Array.map2 (fun a b -> abs (a - b)) x x')
            fitter.Lengths

    /// Groups of indices whose points are the same, the lowest first and first of its group.
    let private grouped
        (same: float * float[] -> float * float[] -> bool)
        (points: (float * float[])[])
        =
        let groups = ResizeArray<int * ResizeArray<int>>()

        for k in
            points
            |> Array.indexed
            |> Array.sortBy (fun (k, (f, _)) -> f, k)
            |> Array.map fst do
            match groups |> Seq.tryFind (fun (first, _) -> same points[first] points[k]) with
            | Some(_, members) -> members.Add k
            | None -> groups.Add(k, ResizeArray [ k ])

        groups.ToArray()

    let private covarianceAt
        (run: RunOptions)
        (fitter: Fitter)
        (best: Polished)
        : float[][] option =
        let n = best.Point.Length
        let hessian = fitter.Hessian.Evaluate 1 best.Point run

        let free =
            [| 0 .. n - 1 |]
            |> Array.filter (fun i -> not (best.AtBound[i] || best.AtKink[i]))

        let m = free.Length
        let place = Array.create n -1
        free |> Array.iteri (fun k i -> place[i] <- k)

        Array.init (m * m) (fun k -> hessian[free[k / m] * n + free[k % m]])
        |> NewtonStep.inverse m
        |> Option.map (fun inverse ->
            Array.init n (fun i ->
                Array.init n (fun j ->
                    if place[i] >= 0 && place[j] >= 0 then
                        inverse[place[i] * m + place[j]]
                    else
                        0.0)))

    /// Fits all problems in one batch; each start is carried to a minimum, each different minimum is polished by Newton's method.
    let fitAll (options: FitOptions) (fitter: Fitter) (problems: FitProblem[]) : Fit[] =
        let objective = fitter.Objective
        let n = objective.Count
        let names = objective.Parameters |> Array.map _.Name
        let kinks = kinksOf objective.Parameters

        let rows =
            problems |> Array.collect (fun p -> p.Starts |> Array.map (fun s -> p, s))

        let coarse =
            Minimise.run
                { minimiseOptions with MaxSteps = options.MaxIterations }
                (fitter.Session, fitter.Feed)
                (rows |> Array.collect snd)
                (rows |> Array.collect (fun (p, _) -> p.Lower))
                (rows |> Array.collect (fun (p, _) -> p.Upper))
                options.Run

        let pointOf (row: int) : float[] = coarse.Points[row * n .. row * n + n - 1]
        let firstOf = problems |> Array.scan (fun row p -> row + p.Starts.Length) 0

        // What is worth polishing: rows with a density, each place once.
        let candidates =
            problems
            |> Array.mapi (fun k p ->
                let ofStart = [| firstOf[k] .. firstOf[k + 1] - 1 |]

                let usable =
                    ofStart
                    |> Array.filter (fun row ->
                        match coarse.Statuses[row] with
                        | FitStatus.NotFinite
                        | FitStatus.Unbounded -> false
                        | _ -> true)

                usable
                |> Array.map (fun row -> coarse.Values[row], pointOf row)
                |> grouped (isSame fitter 1e-5 0.05)
                |> Array.map (fun (first, members) ->
                    usable[first], members.ToArray() |> Array.map (fun m -> usable[m])))

        let newton =
            { NewtonOptions.Default with
                Edm = options.Edm
                MaxIterations = min NewtonOptions.Default.MaxIterations options.MaxIterations
            }

        let polished =
            let jobs =
                Array.zip problems candidates
                |> Array.collect (fun (p, groups) ->
                    groups |> Array.map (fun (row, _) -> pointOf row, p.Lower, p.Upper))

            Newton.polish newton objective fitter.Hessian fitter.Lengths kinks jobs options.Run

        let firstPolished = candidates |> Array.scan (fun at groups -> at + groups.Length) 0

        problems
        |> Array.mapi (fun k p ->
            let ofStart = [| firstOf[k] .. firstOf[k + 1] - 1 |]
            let groups = candidates[k]
            let ends = polished[firstPolished[k] .. firstPolished[k + 1] - 1]

            let evaluations =
                (ofStart |> Array.sumBy (fun row -> coarse.Evaluations[row]))
                + (ends |> Array.sumBy _.Evaluations)

            let isUnbounded =
                ofStart |> Array.exists (fun row -> coarse.Statuses[row].IsUnbounded)

            let none (status: FitStatus) (twiceNll: float) (point: float[]) : Fit =
                {
                    Status = status
                    TwiceNll = twiceNll
                    LogDensity = -0.5 * twiceNll
                    Names = names
                    Point = point
                    GradientNorm = nan
                    Edm = nan
                    Iterations = 0
                    Evaluations = evaluations
                    ActiveBounds = []
                    Kinks = []
                    Minima = []
                    Covariance = None
                }

            if isUnbounded then
                let row = ofStart |> Array.find (fun row -> coarse.Statuses[row].IsUnbounded)
                none FitStatus.Unbounded -infinity (pointOf row)
            elif ends.Length = 0 then
                none FitStatus.NotFinite infinity (Array.copy p.Starts[0])
            else
                let minima =
                    ends
                    |> Array.map (fun e -> e.Value, e.Point)
                    |> grouped (isSame fitter 1e-7 1e-3)

                let best = fst minima[0]
                let lowest = ends[best]

                let startsOf (members: ResizeArray<int>) : int =
                    members |> Seq.sumBy (fun m -> (snd groups[m]).Length)

                let namesWhere (holds: int -> bool) : string list =
                    [
                        for i in 0 .. n - 1 do
                            if holds i then
                                names[i]
                    ]

                {
                    Status = lowest.Status
                    TwiceNll = 2.0 * lowest.Value
                    LogDensity = -lowest.Value
                    Names = names
                    Point = lowest.Point
                    GradientNorm =
                        lowest.Projected |> Array.fold (fun most g -> max most (2.0 * abs g)) 0.0
                    Edm = lowest.Edm
                    Iterations = coarse.Evaluations[fst groups[best]] + lowest.Iterations
                    Evaluations = evaluations
                    ActiveBounds =
                        [
                            for i in 0 .. n - 1 do
                                if lowest.AtBound[i] && p.Lower[i] < p.Upper[i] then
                                    let isLower = lowest.Point[i] <= p.Lower[i]

                                    {
                                        Parameter = names[i]
                                        Side = if isLower then BoundSide.Lower else BoundSide.Upper
                                        Value = if isLower then p.Lower[i] else p.Upper[i]
                                    }
                        ]
                    Kinks = namesWhere (fun i -> lowest.AtKink[i])
                    Minima =
                        [
                            for first, members in minima ->
                                {
                                    TwiceNll = 2.0 * ends[first].Value
                                    Starts = startsOf members
                                    Point = ends[first].Point
                                }
                        ]
                    Covariance =
                        if options.Covariance then
                            covarianceAt options.Run fitter lowest
                        else
                            None
                })

    /// Bounds with some parameters fixed. Unknown names and values that are not finite are raised, all at once.
    let fixing (values: (string * float) list) (fitter: Fitter) : struct (float[] * float[]) =
        let names = fitter.Objective.Parameters |> Array.map _.Name
        let lower, upper = Array.copy fitter.Lower, Array.copy fitter.Upper

        let mistakes =
            values
            |> List.choose (fun (name, value) ->
                match Array.tryFindIndex ((=) name) names with
                | None ->
                    Some(
                        Error.make ErrorKind.Name $"there is no parameter '{name}' to fix"
                        |> Error.expected (String.concat ", " names)
                    )
                | Some _ when not (Double.IsFinite value) ->
                    Some(
                        Error.make ErrorKind.Value $"the value of '{name}'"
                        |> Error.found $"{value}"
                        |> Error.expected "a finite number"
                    )
                | Some i ->
                    lower[i] <- value
                    upper[i] <- value
                    None)

        if not mistakes.IsEmpty then
            raise (FunLikException mistakes)

        struct (lower, upper)

    /// A problem with some parameters fixed, and starts around the nominal point.
    let problem (options: FitOptions) (fitter: Fitter) : FitProblem =
        let parameters = fitter.Objective.Parameters
        let struct (lower, upper) = fixing options.Fixed fitter
        let isFree = Array.map2 (<) lower upper

        let count =
            match options.Starts with
            | None -> Starts.defaultCount parameters isFree
            | Some count when count >= 1 -> count
            | Some count ->
                raise (
                    FunLikException
                        [
                            Error.make ErrorKind.Value "the number of starts"
                            |> Error.found $"{count}"
                            |> Error.expected "1 or more"
                        ]
                )

        {
            Lower = lower
            Upper = upper
            Starts = Starts.around parameters isFree (parameters |> Array.map _.Nominal) count
        }

    /// Fits once.
    let fit (options: FitOptions) (fitter: Fitter) : Fit =
        (fitAll options fitter [| problem options fitter |])[0]
