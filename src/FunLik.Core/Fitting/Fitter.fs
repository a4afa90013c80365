namespace FunLik

open System

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

    /// The covariance of a fit and the parameters that it leaves undetermined.
    let private covarianceAt
        (run: RunOptions)
        (fitter: Fitter)
        (best: Polished)
        : float[][] option * string list =
        let n = best.Point.Length
        let hessian = fitter.Hessian.Evaluate 1 best.Point run
        let lengths = Hessian.lengths fitter.Lengths hessian

        let free =
            [| 0 .. n - 1 |]
            |> Array.filter (fun i -> not (best.AtBound[i] || best.AtKink[i]))

        let m = free.Length
        let place = Array.create n -1
        free |> Array.iteri (fun k i -> place[i] <- k)

        let inner =
            Array.init (m * m) (fun k -> hessian[free[k / m] * n + free[k % m]])
            |> Covariance.ofHessian m (free |> Array.map (fun i -> lengths[i]))

        let whole (inner: float[]) : float[][] =
            Array.init n (fun i ->
                Array.init n (fun j ->
                    if place[i] >= 0 && place[j] >= 0 then
                        inner[place[i] * m + place[j]]
                    else
                        0.0))

        let undetermined (inner: float[]) : string list =
            [
                for k in 0 .. m - 1 do
                    if Double.IsNaN inner[k * m + k] then
                        fitter.Objective.Parameters[free[k]].Name
            ]

        Option.map whole inner, inner |> Option.map undetermined |> Option.defaultValue []

    /// Minima that some starts of a problem reached, before they are compared in the end.
    type private Reached =
        {
            /// The ends of Newton's method.
            Ends: Polished[]
            /// How many starts led to each.
            Starts: int[]
            /// The evaluations of the first of these.
            First: int[]
            /// All evaluations.
            Evaluations: int
            /// Where a start left for a density without bound.
            Unbounded: float[] option
        }

    let private joined (a: Reached) (b: Reached) : Reached =
        {
            Ends = Array.append a.Ends b.Ends
            Starts = Array.append a.Starts b.Starts
            First = Array.append a.First b.First
            Evaluations = a.Evaluations + b.Evaluations
            Unbounded = Option.orElse b.Unbounded a.Unbounded
        }

    /// Carries the starts of all problems to minima, in one batch; each different place is polished by Newton's method.
    let private reach (options: FitOptions) (fitter: Fitter) (problems: FitProblem[]) : Reached[] =
        let objective = fitter.Objective
        let n = objective.Count
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
                |> Array.map (fun (first, members) -> usable[first], members.Count))

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

        candidates
        |> Array.mapi (fun k groups ->
            let ofStart = [| firstOf[k] .. firstOf[k + 1] - 1 |]
            let ends = polished[firstPolished[k] .. firstPolished[k + 1] - 1]

            {
                Ends = ends
                Starts = groups |> Array.map snd
                First = groups |> Array.map (fun (row, _) -> coarse.Evaluations[row])
                Evaluations =
                    (ofStart |> Array.sumBy (fun row -> coarse.Evaluations[row]))
                    + (ends |> Array.sumBy _.Evaluations)
                Unbounded =
                    ofStart
                    |> Array.tryFind (fun row -> coarse.Statuses[row].IsUnbounded)
                    |> Option.map pointOf
            })

    /// The fit to a problem whose starts have come to rest.
    let private conclude
        (options: FitOptions)
        (fitter: Fitter)
        (problem: FitProblem)
        (reached: Reached)
        : Fit =
        let names = fitter.Objective.Parameters |> Array.map _.Name
        let ends = reached.Ends

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
                Evaluations = reached.Evaluations
                ActiveBounds = []
                Kinks = []
                Minima = []
                Covariance = None
                Undetermined = []
            }

        match reached.Unbounded with
        | Some point -> none FitStatus.Unbounded -infinity point
        | None when ends.Length = 0 ->
            none FitStatus.NotFinite infinity (Array.copy problem.Starts[0])
        | None ->
            let minima =
                ends
                |> Array.map (fun e -> e.Value, e.Point)
                |> grouped (isSame fitter 1e-7 1e-3)

            let best = fst minima[0]
            let lowest = ends[best]

            let bound (i: int) : ParameterBound =
                let isLower = lowest.Point[i] <= problem.Lower[i]

                {
                    Parameter = names[i]
                    Side = if isLower then BoundSide.Lower else BoundSide.Upper
                    Value = if isLower then problem.Lower[i] else problem.Upper[i]
                }

            let covariance, undetermined =
                if options.Covariance then
                    covarianceAt options.Run fitter lowest
                else
                    None, []

            {
                Status = lowest.Status
                TwiceNll = 2.0 * lowest.Value
                LogDensity = -lowest.Value
                Names = names
                Point = lowest.Point
                GradientNorm =
                    lowest.Projected |> Array.fold (fun most g -> max most (2.0 * abs g)) 0.0
                Edm = lowest.Edm
                Iterations = reached.First[best] + lowest.Iterations
                Evaluations = reached.Evaluations
                ActiveBounds =
                    [
                        for i in 0 .. names.Length - 1 do
                            if lowest.AtBound[i] && problem.Lower[i] < problem.Upper[i] then
                                bound i
                    ]
                Kinks =
                    [
                        for i in 0 .. names.Length - 1 do
                            if lowest.AtKink[i] then
                                names[i]
                    ]
                Minima =
                    [
                        for first, members in minima ->
                            {
                                TwiceNll = 2.0 * ends[first].Value
                                Starts = members |> Seq.sumBy (fun m -> reached.Starts[m])
                                Point = ends[first].Point
                            }
                    ]
                Covariance = covariance
                Undetermined = undetermined
            }

    /// Fits all problems in one batch; each start is carried to a minimum, each different minimum is polished by Newton's method.
    let fitAll (options: FitOptions) (fitter: Fitter) (problems: FitProblem[]) : Fit[] =
        reach options fitter problems |> Array.map2 (conclude options fitter) problems

    /// A fit and what the starts of a further problem find beside it: the lower of both, with the different minima of both.
    let further (options: FitOptions) (fitter: Fitter) (problem: FitProblem) (known: Fit) : Fit =
        let found = fitAll options fitter [| problem |] |> Array.exactlyOne
        let all = Array.ofList (known.Minima @ found.Minima)

        let lower =
            let isWorse = known.Status.IsConverged && not found.Status.IsConverged

            if found.TwiceNll < known.TwiceNll && not isWorse then
                found
            else
                known

        { lower with
            Evaluations = known.Evaluations + found.Evaluations
            Minima =
                all
                |> Array.map (fun m -> 0.5 * m.TwiceNll, m.Point)
                |> grouped (isSame fitter 1e-7 1e-3)
                |> Array.map (fun (first, members) ->
                    { all[first] with Starts = members |> Seq.sumBy (fun m -> all[m].Starts) })
                |> List.ofArray
        }

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

    /// A problem with some parameters fixed, and starts around the nominal point, the first of them number `first` of all.
    let private problemFrom (first: int) (options: FitOptions) (fitter: Fitter) : FitProblem =
        let parameters = fitter.Objective.Parameters
        let struct (lower, upper) = fixing options.Fixed fitter
        let isFree = Array.map2 (<) lower upper

        let count =
            match options.Starts with
            | None when first > 0 -> first
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

        let nominal = parameters |> Array.map _.Nominal

        {
            Lower = lower
            Upper = upper
            Starts = Starts.range parameters isFree nominal first count
        }

    /// A problem with some parameters fixed, and starts around the nominal point.
    let problem (options: FitOptions) (fitter: Fitter) : FitProblem = problemFrom 0 options fitter

    /// Fits once. Unless a number of starts is asked for, a density of several free parameters of interest is started again, each time from as
    /// many further starts as before, until `Starts.areEnough`.
    let fit (options: FitOptions) (fitter: Fitter) : Fit =
        let first = problem options fitter
        let isFree = Array.map2 (<) first.Lower first.Upper
        let plain = { options with Covariance = false }

        let rec go (count: int) (reached: Reached) : Reached =
            let minima = (conclude plain fitter first reached).Minima

            // Along a flat valley every start ends at another point of the same minimum.
            let found =
                minima |> List.distinctBy (fun m -> Math.Round(m.TwiceNll, 7)) |> _.Length

            if found = 0 || Starts.areEnough count found then
                reached
            else
                let more = problemFrom count options fitter
                let further = reach options fitter [| more |] |> Array.exactlyOne
                go (2 * count) (joined reached further)

        let reached = reach options fitter [| first |] |> Array.exactlyOne

        (if options.Starts.IsNone && Starts.areSpread fitter.Objective.Parameters isFree then
             go first.Starts.Length reached
         else
             reached)
        |> conclude options fitter first
