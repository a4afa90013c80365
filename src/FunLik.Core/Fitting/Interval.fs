namespace FunLik

open System

/// Why a piece of an interval ends where it does.
[<RequireQualifiedAccess>]
type IntervalEndKind =
    /// Twice ΔNLL crosses the level.
    | Crossing
    /// The parameter's bound, or the end of the density's support: there is nothing beyond.
    | Bound
    /// The end of the range that was looked at: the interval goes on beyond.
    | Open

/// An end of a piece of an interval.
type IntervalEnd =
    {
        /// The parameter there.
        Value: float
        /// Why it is an end.
        Kind: IntervalEndKind
        /// The best point there, in the model's order.
        Point: float[]
    }

/// Neighbouring values that are in an interval.
type IntervalPiece = { Low: IntervalEnd; High: IntervalEnd }

/// The values of a parameter at which twice ΔNLL is at most a level: disjoint pieces, in order.
type Interval = { Level: ConfidenceLevel; Pieces: IntervalPiece list }

/// Intervals of one parameter.
type Intervals =
    {
        /// The parameter.
        Parameter: string
        /// Its best value.
        Best: float
        /// The intervals, level by level.
        Intervals: Interval list
        /// The values at which all other parameters were fitted, ascending, and twice ΔNLL there.
        X: float[]
        TwiceDeltaNll: float[]
        /// The largest step between values that were spread over the range: narrower pieces, and narrower gaps, are found where a local minimum or
        /// maximum of the scan shows them, and missed where it does not.
        Resolution: float
        /// The fit with the parameter free: what ΔNLL is relative to.
        Minimum: Fit
        /// How the worst fit ended, of those with a density.
        Status: FitStatus
        /// Evaluations of value and gradient, all fits together.
        Evaluations: int
        /// What a reader should know, as clauses.
        Notes: string list
    }

/// How to look for intervals.
type IntervalOptions =
    {
        /// The levels.
        Levels: ConfidenceLevel list
        /// The first and the last value to look at, cut at the parameter's bounds. None takes the parameter's range and what is around the best fit, within its bounds,
        /// and goes on until the levels are crossed.
        Range: (float * float) option
        /// How many values are spread over the range, besides those near the best fit.
        Count: int
        /// How to fit at each value.
        Fit: FitOptions
    }

    /// Twice ΔNLL of 1 and 3.84; 41 values over the parameter's range.
    static member Default: IntervalOptions =
        {
            Levels = ConfidenceLevel.usual 1
            Range = None
            Count = 41
            Fit = FitOptions.Default
        }

/// Intervals from profiles, their ends refined by root finding.
[<RequireQualifiedAccess>]
module Interval =

    let internal maxRounds = 60

    /// How often a side is gone on, each time three times as far from the best value; and how often where nothing rises.
    let private mostExtensions, private fewestExtensions = 20, 2

    /// In standard deviations.
    let internal tolerance = 1e-8

    /// A value of the parameter with the best point there.
    type internal Knot = { X: float; T: float; Point: float[]; Status: FitStatus }

    let internal worst (statuses: FitStatus seq) : FitStatus =
        statuses
        |> Seq.tryFind (fun s -> not s.IsConverged)
        |> Option.defaultValue FitStatus.Converged

    /// Fits of all other parameters at values, each from its own starts, in one batch: twice ΔNLL, +∞ where there is no density.
    let internal knots
        (options: FitOptions)
        (fitter: Fitter)
        (index: int)
        (minimum: float)
        (places: (float * float[][])[])
        : Knot[] * int =
        let free = Fitter.problem options fitter

        let problem (x: float, starts: float[][]) : FitProblem =
            {
                Lower = Profile.at index x free.Lower
                Upper = Profile.at index x free.Upper
                Starts = starts |> Array.map (Profile.at index x)
            }

        let fits =
            places
            |> Array.map problem
            |> Fitter.fitAll { options with Covariance = false } fitter

        Array.map2
            (fun (x, _) (fit: Fit) ->
                {
                    X = x
                    T =
                        if Double.IsNaN fit.TwiceNll then
                            infinity
                        else
                            fit.TwiceNll - minimum
                    Point = fit.Point
                    Status = fit.Status
                })
            places
            fits,
        fits |> Array.sumBy _.Evaluations

    let internal lengthOf (fitter: Fitter) (index: int) (fit: Fit) : float =
        match fit.Covariance with
        | Some covariance when covariance[index][index] > 0.0 -> sqrt (covariance[index][index])
        | _ -> fitter.Lengths[index]

    /// The values to look at first: evenly over the range, and around the best fit where the levels are crossed if the density is normal.
    let private places
        (options: IntervalOptions)
        (low: float)
        (high: float)
        (sigma: float)
        (index: int)
        (fit: Fit)
        : float[] =
        let count = max 2 options.Count
        let best = fit.Point[index]

        [|
            for k in 0 .. count - 2 do
                low + (high - low) * float k / float (count - 1)

            high

            for level in options.Levels do
                for step in [ 0.5; 0.95; 1.05; 1.5 ] do
                    best - step * sigma * sqrt level.TwiceDeltaNll
                    best + step * sigma * sqrt level.TwiceDeltaNll

            for minimum in fit.Minima do
                minimum.Point[index]
        |]
        |> Array.filter (fun x -> x >= low && x <= high)
        |> Array.distinct
        |> Array.sort

    /// Intervals of a parameter of a prepared objective.
    let findFitter (options: IntervalOptions) (name: string) (fitter: Fitter) : Intervals =
        let options = { options with Levels = List.distinct options.Levels }
        let index = Profile.indexOf name fitter.Objective.Parameters

        let fitOptions =
            { options.Fit with
                Fixed = options.Fit.Fixed |> List.filter (fun (other, _) -> other <> name)
            }

        let first = Fitter.fit { fitOptions with Covariance = true } fitter
        let sigma = lengthOf fitter index first
        let lower, upper = fitter.Lower[index], fitter.Upper[index]
        let highest = options.Levels |> List.map _.TwiceDeltaNll |> List.fold max 0.0

        let low, high =
            match options.Range with
            | Some(low, high) when
                low < high && Double.IsFinite(high - low) && high >= lower && low <= upper
                ->
                max lower low, min upper high
            | Some(low, high) ->
                Error.make ErrorKind.Value $"the range of '{name}'"
                |> Error.found $"{low} to {high}"
                |> Error.expected
                    $"two finite numbers, the second above the first, not beyond the bounds {lower} to {upper}"
                |> Error.fail
                |> Error.orRaise
            | None ->
                let struct (from, until) = fitter.Objective.Parameters[index].Range
                let reach = 1.5 * sigma * sqrt highest
                let best = first.Point[index]
                let finite (x: float) (other: float) = if Double.IsFinite x then x else other

                max lower (min (finite from best) (best - reach)),
                min upper (max (finite until best) (best + reach))

        let scan =
            fitter
            |> Profile.scanFitter
                { Fit = { fitOptions with Covariance = true }; Frozen = false }
                name
                (places options low high sigma index first)

        let mutable evaluations = first.Evaluations + scan.Evaluations
        let minimum = scan.Minimum
        let best = minimum.Point[index]

        let fitted (places: (float * float[][])[]) : Knot[] =
            let found, more = knots fitOptions fitter index minimum.TwiceNll places
            evaluations <- evaluations + more
            found

        let scanned =
            [|
                for k in 0 .. scan.X.Length - 1 do
                    {
                        X = scan.X[k]
                        T =
                            if Double.IsNaN scan.TwiceDeltaNll[k] then
                                infinity
                            else
                                scan.TwiceDeltaNll[k]
                        Point = scan.Points[k]
                        Status = scan.Status[k]
                    }

                if best >= low && best <= high && not (Array.contains best scan.X) then
                    { X = best; T = 0.0; Point = minimum.Point; Status = minimum.Status }
            |]
            |> Array.sortBy _.X

        // Unless a range is given, on to both sides until all levels are crossed; not for ever over what is flat.
        let isRising (inner: Knot) (outer: Knot) : bool = outer.T > inner.T + 1e-6 * highest

        let rec extended (rounds: int) (known: Knot[]) : Knot[] =
            let left, right = Array.head known, Array.last known
            let mayBeFlat = rounds > mostExtensions - fewestExtensions || known.Length < 2

            let next =
                [|
                    if
                        left.T <= highest && left.X > lower && (mayBeFlat || isRising known[1] left)
                    then
                        max lower (left.X - 2.0 * max sigma (best - left.X)), [| left.Point |]
                    if
                        right.T <= highest
                        && right.X < upper
                        && (mayBeFlat || isRising known[known.Length - 2] right)
                    then
                        min upper (right.X + 2.0 * max sigma (right.X - best)), [| right.Point |]
                |]

            if options.Range.IsSome || next.Length = 0 || rounds = 0 then
                known
            else
                Array.append known (fitted next) |> Array.sortBy _.X |> extended (rounds - 1)

        let levels = options.Levels |> List.map _.TwiceDeltaNll

        /// Where a parabola through three neighbours has its extremum; in the middle of the longer side where that is no better.
        let vertex (a: Knot) (b: Knot) (c: Knot) : float =
            let p, q = b.X - a.X, b.X - c.X
            let u, v = p * (b.T - c.T), q * (b.T - a.T)
            let x = b.X - 0.5 * (p * u - q * v) / (u - v)
            let nearest = 0.02 * (c.X - a.X)

            if x > a.X && x < c.X && abs (x - b.X) > nearest then x
            elif p > -q then b.X - 0.4 * p
            else b.X - 0.4 * q

        // Local minima above a level and local maxima below one may hide a piece or a gap between two values.
        let rec sharpened (rounds: int) (known: Knot[]) : Knot[] =
            let next =
                Array.windowed 3 known
                |> Array.choose (fun w ->
                    let a, b, c = w[0], w[1], w[2]
                    let isMinimum = b.T < a.T && b.T <= c.T || b.T <= a.T && b.T < c.T
                    let isMaximum = b.T > a.T && b.T >= c.T || b.T >= a.T && b.T > c.T

                    let rise = max (b.T - a.T) (b.T - c.T)

                    let hides (level: float) : bool =
                        (isMinimum && b.T > level)
                        || (isMaximum && b.T <= level && b.T + 20.0 * rise > level)

                    let isWide = c.X - a.X > 1e-3 * sigma
                    let isReal = Double.IsFinite a.T && Double.IsFinite b.T && Double.IsFinite c.T

                    if isWide && isReal && List.exists hides levels then
                        Some(vertex a b c, [| a.Point; b.Point; c.Point |])
                    else
                        None)
                |> Array.distinctBy fst

            if next.Length = 0 || rounds = 0 then
                known
            else
                Array.append known (fitted next) |> Array.sortBy _.X |> sharpened (rounds - 1)

        let spread = extended mostExtensions scanned
        let known = sharpened 8 spread

        let crossings =
            [|
                for level in options.Levels do
                    for a, b in Array.pairwise known do
                        if (a.T <= level.TwiceDeltaNll) <> (b.T <= level.TwiceDeltaNll) then
                            level, a, b
            |]

        let seen = crossings |> Array.map (fun (_, a, b) -> ResizeArray [ a; b ])

        let evaluate (at: (int * float)[]) : float[] =
            let found =
                at
                |> Array.map (fun (k, x) ->
                    let _, a, b = crossings[k]
                    x, [| a.Point; b.Point |])
                |> fitted

            Array.map2
                (fun (k, _) knot ->
                    let level, _, _ = crossings[k]
                    seen[k].Add knot
                    knot.T - level.TwiceDeltaNll)
                at
                found

        let ends =
            crossings
            |> Array.map (fun (level, a, b) ->
                Bracket.create a.X (a.T - level.TwiceDeltaNll) b.X (b.T - level.TwiceDeltaNll))
            |> Bracket.narrow (fun _ -> tolerance * sigma) maxRounds evaluate
            |> Array.mapi (fun k b ->
                let x = Bracket.root b
                let knot = seen[k] |> Seq.find (fun knot -> knot.X = x)
                let isEdge = Double.IsInfinity b.AtLow || Double.IsInfinity b.AtHigh

                {
                    Value = x
                    Kind =
                        if isEdge then
                            IntervalEndKind.Bound
                        else
                            IntervalEndKind.Crossing
                    Point = knot.Point
                })

        let atRange (isBound: bool) (knot: Knot) : IntervalEnd =
            {
                Value = knot.X
                Kind =
                    if isBound then
                        IntervalEndKind.Bound
                    else
                        IntervalEndKind.Open
                Point = knot.Point
            }

        let interval (level: ConfidenceLevel) : Interval =
            let crossed =
                [
                    for k in 0 .. ends.Length - 1 do
                        let own, _, _ = crossings[k]

                        if own = level then
                            ends[k]
                ]

            let left, right = Array.head known, Array.last known

            {
                Level = level
                Pieces =
                    [
                        if left.T <= level.TwiceDeltaNll then
                            atRange (left.X <= lower) left
                        yield! crossed
                        if right.T <= level.TwiceDeltaNll then
                            atRange (right.X >= upper) right
                    ]
                    |> List.chunkBySize 2
                    |> List.map (fun pair -> { Low = pair[0]; High = pair[1] })
            }

        let found = options.Levels |> List.map interval

        {
            Parameter = name
            Best = best
            Intervals = found
            X = known |> Array.map _.X
            TwiceDeltaNll = known |> Array.map _.T
            Resolution =
                spread
                |> Array.pairwise
                |> Array.fold (fun most (a, b) -> max most (b.X - a.X)) 0.0
            Minimum = minimum
            Status =
                Seq.append known (Seq.concat seen)
                |> Seq.filter (fun knot -> Double.IsFinite knot.T)
                |> Seq.map _.Status
                |> Seq.append [ minimum.Status ]
                |> worst
            Evaluations = evaluations
            Notes =
                if options.Range.IsSome then
                    []
                else
                    [
                        for interval in found do
                            for piece in interval.Pieces do
                                for e in [ piece.Low; piece.High ] do
                                    if e.Kind.IsOpen then
                                        $"nothing was found to end the interval at {ConfidenceLevel.label interval.Level}: "
                                        + $"it is open beyond {e.Value}"
                    ]
        }

    /// Intervals of a parameter of a likelihood. Priors of parameters of interest, and of this one, are left out if they are not flat, and the
    /// notes say so.
    let findWith (options: IntervalOptions) (name: string) (model: Likelihood) : Intervals =
        Profile.indexOf name (Likelihood.parameters model) |> ignore
        let flat, notes = Profile.withoutPulls name model

        let found =
            Objective.ofLikelihood flat |> Fitter.ofObjective |> findFitter options name

        { found with Notes = notes @ found.Notes }

    /// The intervals at twice ΔNLL of 1 and 3.84.
    let find (name: string) (model: Likelihood) : Intervals =
        findWith IntervalOptions.Default name model

    /// The distances from the best value to both ends of its piece at twice ΔNLL of 1, as Minos has them; None where that end is no crossing,
    /// or the level was not asked for.
    let errors (found: Intervals) : float option * float option =
        let piece =
            found.Intervals
            |> List.tryFind (fun i -> i.Level.TwiceDeltaNll = 1.0)
            |> Option.bind (fun interval ->
                interval.Pieces
                |> List.tryFind (fun p -> p.Low.Value <= found.Best && found.Best <= p.High.Value))

        let distance (e: IntervalEnd) : float option =
            if e.Kind.IsCrossing then
                Some(e.Value - found.Best)
            else
                None

        piece |> Option.bind (fun p -> distance p.Low),
        piece |> Option.bind (fun p -> distance p.High)
