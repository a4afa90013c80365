namespace FunLik

open System

/// A crossing of a level, found with one density and again with an exact one.
type RecheckedCrossing =
    {
        /// The level.
        Level: ConfidenceLevel
        /// The crossing that was to be checked.
        Before: float
        /// The exact one; NaN where none was found nearby.
        Exact: float
    }

    /// How far the exact crossing is from the other.
    member this.Shift: float = this.Exact - this.Before

/// Crossings that were found again with an exact density.
type Recheck =
    {
        /// The crossings, level by level and ascending.
        Crossings: RecheckedCrossing list
        /// The exact fit with the parameter free.
        Minimum: Fit
        /// Evaluations of the exact density, with its gradient, all fits together.
        ExactCalls: int
        /// How the worst exact fit ended; `MaxIterations` where all converged and a crossing was not found.
        Status: FitStatus
    }

/// The re-check at the crossing: intervals from a surrogate, their ends refined with what it stands for.
[<RequireQualifiedAccess>]
module Recheck =

    /// Rounds of going further until a level is crossed.
    let private reach = 12

    /// A crossing on its way: the values of the parameter nearest to it on both sides, with twice ΔNLL less the level.
    type private Search =
        {
            Level: ConfidenceLevel
            Crossing: IntervalEnd
            /// 1 where the interval lies below, -1 where it lies above.
            Side: float
            /// Where the search inside of the interval ends: at the best value, if that is in this piece.
            Inner: float
            /// About how far the crossing is from the middle of its piece.
            Width: float
            Known: (float * float) list
            Step: float
        }

    let private bracketOf (search: Search) : Bracket option =
        search.Known
        |> List.sortBy fst
        |> List.pairwise
        |> List.tryFind (fun ((_, a), (_, b)) -> (a <= 0.0) <> (b <= 0.0))
        |> Option.map (fun ((x, a), (y, b)) -> Bracket.create x a y b)

    /// Finds the crossings of intervals again with an exact density, each from the surrogate's own point there. Parameters are
    /// matched by name; those of the exact density alone start at its nominal values.
    let crossings (options: FitOptions) (exact: Fitter) (found: Intervals) : Recheck =
        let parameters = exact.Objective.Parameters
        let index = Profile.indexOf found.Parameter parameters
        let free = Fitter.problem options exact

        let pointOf (learnt: float[]) : float[] =
            let known = Map.ofArray (Array.zip found.Minimum.Names learnt)

            parameters
            |> Array.map (fun p -> known.TryFind p.Name |> Option.defaultValue p.Nominal)

        let starts =
            match found.Minimum.Minima with
            | [] -> [| pointOf found.Minimum.Point |]
            | minima -> minima |> List.map (fun m -> pointOf m.Point) |> Array.ofList

        let minimum =
            (Fitter.fitAll
                { options with Covariance = true }
                exact
                [| { free with Starts = starts } |])[0]

        let sigma = Interval.lengthOf exact index minimum
        let mutable calls = minimum.Evaluations
        let mutable status = minimum.Status

        /// Twice ΔNLL less the level, for one value of each of some searches.
        let evaluate (places: (Search * float)[]) : float[] =
            let knots, more =
                places
                |> Array.map (fun (s, x) -> x, [| pointOf s.Crossing.Point |])
                |> Interval.knots options exact index minimum.TwiceNll

            calls <- calls + more
            status <- Interval.worst (Seq.append [ status ] (knots |> Seq.map _.Status))

            Array.map2
                (fun (s: Search, _) (knot: Interval.Knot) -> knot.T - s.Level.TwiceDeltaNll)
                places
                knots

        let best = minimum.Point[index]

        let first =
            [|
                for interval in found.Intervals do
                    for piece in interval.Pieces do
                        let low, high = piece.Low.Value, piece.High.Value
                        let isAround = low < best && best < high

                        for e, side in [ piece.Low, -1.0; piece.High, 1.0 ] do
                            if e.Kind.IsCrossing then
                                {
                                    Level = interval.Level
                                    Crossing = e
                                    Side = side
                                    Inner = if isAround then best else -side * infinity
                                    Width =
                                        if isAround then
                                            abs (e.Value - best)
                                        else
                                            0.5 * (high - low)
                                    Known = []
                                    Step = 0.0
                                }
            |]

        let at = first |> Array.map (fun s -> s, s.Crossing.Value) |> evaluate

        // The first step is half as long again as that of a parabola, so that the level lies between.
        let begun =
            Array.map2
                (fun (s: Search) (f: float) ->
                    let level = s.Level.TwiceDeltaNll
                    let ratio = sqrt (level / max (0.25 * level) (f + level))
                    let step = max (1e-6 * sigma) (1.5 * s.Width * abs (ratio - 1.0))

                    { s with
                        Known = [ s.Crossing.Value, f ]
                        Step = s.Side * (if f > 0.0 then -step else step)
                    })
                first
                at

        let rec bracketed (rounds: int) (searches: Search[]) : Search[] =
            let next =
                searches
                |> Array.indexed
                |> Array.choose (fun (k, s) ->
                    let x = fst s.Known.Head + s.Step
                    let x = if s.Side > 0.0 then max s.Inner x else min s.Inner x
                    let x = min exact.Upper[index] (max exact.Lower[index] x)

                    if
                        (bracketOf s).IsNone && snd s.Known.Head <> 0.0 && x <> fst s.Known.Head
                    then
                        Some(k, x)
                    else
                        None)

            if next.Length = 0 || rounds = 0 then
                searches
            else
                let values = next |> Array.map (fun (k, x) -> searches[k], x) |> evaluate
                let after = Array.copy searches

                Array.iter2
                    (fun (k, x) value ->
                        let s = searches[k]

                        after[k] <- { s with Known = (x, value) :: s.Known; Step = 2.0 * s.Step })
                    next
                    values

                bracketed (rounds - 1) after

        let searches = bracketed reach begun

        let open' =
            searches
            |> Array.indexed
            |> Array.choose (fun (k, s) -> bracketOf s |> Option.map (fun b -> k, b))

        let roots =
            searches
            |> Array.map (fun s -> if snd s.Known.Head = 0.0 then fst s.Known.Head else nan)

        open'
        |> Array.map snd
        |> Bracket.narrow
            (fun _ -> Interval.tolerance * sigma)
            Interval.maxRounds
            (Array.map (fun (j, x) -> searches[fst open'[j]], x) >> evaluate)
        |> Array.iter2 (fun (k, _) b -> roots[k] <- Bracket.root b) open'

        if status.IsConverged && roots |> Array.exists Double.IsNaN then
            status <- FitStatus.MaxIterations

        {
            Crossings =
                [
                    for s, root in Array.zip searches roots do
                        { Level = s.Level; Before = s.Crossing.Value; Exact = root }
                ]
            Minimum = minimum
            ExactCalls = calls
            Status = status
        }
