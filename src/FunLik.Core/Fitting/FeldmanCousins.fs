namespace FunLik

open System
open System.Collections.Generic

/// How to look for an interval by toys.
type FeldmanCousinsOptions =
    {
        /// The confidence level.
        Level: float
        /// The largest number of toys at one value.
        Toys: int
        /// The first and the last value to look at, cut at the statistic's bound. None goes from the best fit to both sides until the level is
        /// far behind.
        Range: (float * float) option
        /// How many values are spread over the range at first: pieces that fall between two of them are missed.
        Count: int
    }

    /// 90 %, 10,000 toys, 21 values.
    static member Default: FeldmanCousinsOptions =
        { Level = 0.9; Toys = 10_000; Range = None; Count = 21 }

/// An end of a piece of an interval by toys.
type FeldmanCousinsEnd =
    {
        /// Where the probability of the toys crosses 1 − level, or the end of what may be or was looked at.
        Value: float
        /// Where it crosses 1 − level one binomial standard error lower and higher, in order: the Monte Carlo error of the end.
        Low: float
        High: float
        /// Why it is an end.
        Kind: IntervalEndKind
    }

/// Neighbouring values that are in an interval.
type FeldmanCousinsPiece =
    {
        /// Its lower end.
        Low: FeldmanCousinsEnd
        /// Its upper end.
        High: FeldmanCousinsEnd
    }

/// A value that was tested by toys.
type FeldmanCousinsPoint =
    {
        /// The value.
        X: float
        /// The statistic on the data.
        T: float
        /// The statistic below which the level's share of the toys lie.
        Critical: float
        /// How often toys are at least as far away as the data.
        P: ToyProbability
        /// The toys, besides those lost.
        Toys: int
    }

/// The values of a parameter that toys do not exclude, ordered by the likelihood ratio.
type FeldmanCousins =
    {
        /// The parameter.
        Parameter: string
        /// Its best value within the statistic's bound.
        Best: float
        /// The confidence level.
        Level: float
        /// Disjoint pieces, in order.
        Pieces: FeldmanCousinsPiece list
        /// All values that were tested by toys, ascending.
        Points: FeldmanCousinsPoint list
        /// Toys that were fitted, twice each.
        Toys: int
        /// Toys that were left out because a fit did not converge.
        Lost: int
        /// How the worst fit to the data ended.
        Status: FitStatus
        /// What a reader should know, as clauses.
        Notes: string list
    }

/// The unified intervals of Feldman and Cousins (Phys. Rev. D 57 (1998) 3873), by toys: values are in the interval whose t (t̃, where the parameter is kept
/// at 0 or above) on the data is no larger than a share `level` of toys have it. Nuisances of toys are at their best values on
/// the data for each value (the profiled plug-in: Cranmer, arXiv:physics/0511028; Chuang and Lai, Stat. Sin. 10 (2000) 1): coverage is exact without
/// nuisances, and nearly so with them.
[<RequireQualifiedAccess>]
module FeldmanCousins =

    let private maxRounds = 40

    /// Of the range.
    let private tolerance = 3e-4

    /// The statistic by a model's bounds: t̃ where the parameter is kept at 0 or above, else t.
    let statisticOf (poi: string option) (model: Likelihood) : TestStatistic =
        let name = HypothesisTest.poiOf model poi
        let parameters = Likelihood.parameters model
        let struct (low, _) = parameters[Profile.indexOf name parameters].Bounds

        if low >= 0.0 then TestStatistic.TTilde else TestStatistic.T

    let private check (options: FeldmanCousinsOptions) (tester: Tester) : unit =
        let refuse (what: string) (found: string) (expected: string) : Error =
            Error.make ErrorKind.Value what |> Error.found found |> Error.expected expected

        let lower, upper =
            tester.Fitter.Fitter.Lower[tester.Index], tester.Fitter.Fitter.Upper[tester.Index]

        let mistakes =
            [
                if not (options.Level > 0.0 && options.Level < 1.0) then
                    refuse "the confidence level" $"{options.Level}" "between 0 and 1"
                if options.Toys < 10 then
                    refuse "the number of toys" $"{options.Toys}" "10 or more"
                if options.Count < 2 then
                    refuse "the number of values" $"{options.Count}" "2 or more"
                match options.Range with
                | Some(low, high) when not (low < high && Double.IsFinite(high - low)) ->
                    refuse
                        $"the range of '{tester.Poi}'"
                        $"{low} to {high}"
                        "two finite numbers, the second above the first"
                | Some(low, high) when not (low < upper && high > lower) ->
                    refuse
                        $"the range of '{tester.Poi}'"
                        $"{low} to {high}"
                        $"values within {lower} to {upper}"
                | _ -> ()
                if not (tester.Statistic.IsT || tester.Statistic.IsTTilde) then
                    Error.make ErrorKind.Usage "intervals by toys are by t or t̃"
                    |> Error.hint "q, q̃ and q0 have one side."
            ]

        if not mistakes.IsEmpty then
            raise (FunLikException mistakes)

    /// What is known of a value: the fit to the data with it, and toys from there.
    type private Known = { X: float; T: float; Point: float[]; Toys: float[] }

    /// Values and their toys, which are added to as they are wanted.
    [<Sealed>]
    type private Values(run: RunOptions, tester: Tester, key: Key) =
        let known = Dictionary<float, Known>()
        let mutable status = tester.Free.Status
        let mutable fitted = 0

        // With one minimum the truth is near enough to it.
        let startsAt (point: float[]) : float[][] =
            if tester.Starts.Length <= 2 then
                [| point |]
            else
                [| point; tester.Free.Point |]

        member _.Status: FitStatus = status
        member _.Fitted: int = fitted
        member _.All: Known[] = known.Values |> Seq.sortBy _.X |> Array.ofSeq
        member _.At(x: float) : Known = known[x]

        /// Fits the data with the parameter held at values.
        member _.Fit(xs: float[]) : unit =
            let fresh = xs |> Array.distinct |> Array.filter (known.ContainsKey >> not)

            for t in HypothesisTest.tests run tester fresh do
                // Values without a density have no fit that could have converged.
                if status.IsConverged && Double.IsFinite t.Statistic then
                    status <- t.Fixed.Status

                known[t.Mu] <- { X = t.Mu; T = t.Statistic; Point = t.Fixed.Point; Toys = [||] }

        /// Brings values to so many toys, all in one batch.
        member this.Bring(wanted: (float * int)[]) : unit =
            let wanted = wanted |> Array.distinct
            this.Fit(wanted |> Array.map fst)

            let missing =
                wanted |> Array.filter (fun (x, count) -> known[x].Toys.Length < count)

            let cases =
                missing
                |> Array.collect (fun (x, count) ->
                    let at = known[x]
                    let first = at.Toys.Length

                    Simulate.toys run tester.Fitter.Predictor at.Point first (count - first) key
                    |> Array.chunkBySize tester.Observed.Length
                    |> Array.map (fun row -> x, startsAt at.Point, row))

            fitted <- fitted + cases.Length

            let found =
                cases
                |> Array.chunkBySize (4 * Toys.block)
                |> Array.collect (Toys.statisticsOf run tester)

            let mutable first = 0

            for x, count in missing do
                let at = known[x]
                let more = count - at.Toys.Length
                let toys = Array.append at.Toys (Array.sub found first more)
                known[x] <- { at with Toys = toys }
                first <- first + more

    let private probability (known: Known) : ToyProbability =
        ToyProbability.ofToys known.T known.Toys

    /// Where to look: from the best value on to both sides until the statistic is far above what χ² asks for.
    let private rangeOf
        (options: FeldmanCousinsOptions)
        (tester: Tester)
        (values: Values)
        : struct (float * float) =
        let lower, upper =
            tester.Fitter.Fitter.Lower[tester.Index], tester.Fitter.Fitter.Upper[tester.Index]

        let best = tester.Free.Point[tester.Index]
        let far = 2.0 + 1.5 * (ConfidenceLevel.ofProbability 1 options.Level).TwiceDeltaNll

        match options.Range with
        | Some(low, high) -> struct (max lower low, min upper high)
        | None ->
            let isFar (x: float) : bool = not (values.At(x).T < far)
            let bounded (x: float) : float = min upper (max lower x)

            let rec go (step: float) (rounds: int) (low: float) (high: float) =
                values.Fit [| low; high |]
                let goesDown = low > lower && not (isFar low)
                let goesUp = high < upper && not (isFar high)

                if rounds = 0 || not (goesDown || goesUp) then
                    struct (low, high)
                else
                    go
                        (2.0 * step)
                        (rounds - 1)
                        (if goesDown then bounded (best - step) else low)
                        (if goesUp then bounded (best + step) else high)

            let step = 0.5 * tester.Fitter.Lengths[tester.Index]
            go (2.0 * step) 60 (bounded (best - step)) (bounded (best + step))

    /// The interval of the parameter of interest of a tester by t or t̃, toys by the key: toy r is from `Key.fold r`, at every value the same random numbers.
    /// Toys are first few everywhere, then many where values are near the edge, at last as many as asked for wherever an end is looked for.
    let find
        (run: RunOptions)
        (options: FeldmanCousinsOptions)
        (tester: Tester)
        (key: Key)
        : FeldmanCousins =
        check options tester
        let values = Values(run, tester, Key.foldName "feldman-cousins" key)
        let alpha = 1.0 - options.Level
        let errorOf (count: int) : float = sqrt (alpha * (1.0 - alpha) / float (max 1 count))
        let sigma = errorOf options.Toys
        let share (x: float) : float = (probability (values.At x)).Value
        let isIn (x: float) : bool = share x > alpha
        let few = min options.Toys (max 100 (options.Toys / 20))
        let best = tester.Free.Point[tester.Index]

        let lower, upper =
            tester.Fitter.Fitter.Lower[tester.Index], tester.Fitter.Fitter.Upper[tester.Index]

        /// Brings what is near the edge to more toys until all of it has as many as asked for.
        let rec raise' (xs: float[]) : unit =
            let count (x: float) : int = values.At(x).Toys.Length
            let isNear (x: float) : bool = abs (share x - alpha) <= 3.0 * errorOf (count x)

            let atEdge =
                Array.pairwise xs
                |> Array.filter (fun (a, b) -> isIn a <> isIn b)
                |> Array.collect (fun (a, b) -> [| a; b |])

            let next =
                Array.append atEdge (xs |> Array.filter isNear)
                |> Array.distinct
                |> Array.filter (fun x -> count x < options.Toys)
                |> Array.map (fun x -> x, min options.Toys (4 * count x))

            if next.Length > 0 then
                values.Bring next
                raise' xs

        let spread (low: float) (high: float) : float[] =
            let between =
                Array.init options.Count (fun k ->
                    if k = options.Count - 1 then
                        high
                    else
                        low + (high - low) * float k / float (options.Count - 1))

            Array.append between (if best > low && best < high then [| best |] else [||])
            |> Array.distinct
            |> Array.sort

        let rec scanned (rounds: int) (xs: float[]) : float[] =
            values.Bring(xs |> Array.map (fun x -> x, few))
            raise' xs
            let low, high = Array.head xs, Array.last xs
            let reach = 0.5 * (high - low)

            let further =
                [|
                    if isIn low && low > lower then
                        max lower (low - reach)
                    if isIn high && high < upper then
                        min upper (high + reach)
                |]

            if options.Range.IsSome || further.Length = 0 || rounds = 0 then
                xs
            else
                Array.append xs further |> Array.sort |> scanned (rounds - 1)

        let struct (low, high) = rangeOf options tester values
        let xs = spread low high |> scanned 12

        /// Edges: the last value inside and the first one outside, and the direction from one to the other.
        let edges =
            [|
                for k in 0 .. xs.Length - 2 do
                    if isIn xs[k] && not (isIn xs[k + 1]) then
                        k, k + 1, 1
                    elif isIn xs[k + 1] && not (isIn xs[k]) then
                        k + 1, k, -1
            |]

        let isPlace (k: int) : bool = k >= 0 && k < xs.Length

        /// The neighbours between which the share crosses a target, near an edge; where there are none, how far it was looked.
        let rec crossing (target: float) (direction: int) (inside: int) (outside: int) =
            if share xs[inside] <= target then
                if isPlace (inside - direction) then
                    crossing target direction (inside - direction) inside
                else
                    Result.Error xs[inside]
            elif share xs[outside] > target then
                if isPlace (outside + direction) then
                    crossing target direction outside (outside + direction)
                else
                    Result.Error xs[outside]
            else
                Ok(inside, outside)

        let searches =
            [|
                for inside, outside, direction in edges do
                    for target in [ alpha; alpha + sigma; alpha - sigma ] ->
                        target, crossing target direction inside outside
            |]

        let isOpen =
            searches
            |> Array.indexed
            |> Array.choose (fun (k, (target, found)) ->
                match found with
                | Ok(inside, outside) ->
                    let a, b = min inside outside, max inside outside

                    Some(
                        k,
                        Bracket.create xs[a] (share xs[a] - target) xs[b] (share xs[b] - target)
                    )
                | Result.Error _ -> None)

        let evaluate (places: (int * float)[]) : float[] =
            values.Bring(places |> Array.map (fun (_, x) -> x, options.Toys))

            places
            |> Array.map (fun (j, x) ->
                let target = fst searches[fst isOpen[j]]
                let distance = share x - target
                // Near enough: a tenth of the error of the toys.
                if abs distance <= 0.1 * sigma then 0.0 else distance)

        let roots =
            searches
            |> Array.map (fun (_, found) ->
                match found with
                | Result.Error x -> x
                | Ok _ -> nan)

        let width = Array.last xs - Array.head xs

        isOpen
        |> Array.map snd
        |> Bracket.narrow (fun _ -> tolerance * width) maxRounds evaluate
        |> Array.iter2 (fun (k, _) b -> roots[k] <- Bracket.root b) isOpen

        let atRange (x: float) (isBound: bool) : FeldmanCousinsEnd =
            {
                Value = x
                Low = x
                High = x
                Kind =
                    if isBound then
                        IntervalEndKind.Bound
                    else
                        IntervalEndKind.Open
            }

        let crossed =
            Array.chunkBySize 3 roots
            |> Array.map (fun r ->
                {
                    Value = r[0]
                    Low = Array.min r
                    High = Array.max r
                    Kind = IntervalEndKind.Crossing
                })

        let first, last = Array.head xs, Array.last xs

        let ends =
            [
                if isIn first then
                    atRange first (first <= lower)
                yield! crossed
                if isIn last then
                    atRange last (last >= upper)
            ]

        let all = values.All |> Array.filter (fun k -> k.Toys.Length > 0)

        let lost =
            all
            |> Array.sumBy (fun k -> k.Toys |> Array.filter Double.IsNaN |> Array.length)

        let hasNuisances =
            Array.mapi2
                (fun i l u -> i <> tester.Index && l < u)
                tester.Fitter.Fitter.Lower
                tester.Fitter.Fitter.Upper
            |> Array.exists id

        {
            Parameter = tester.Poi
            Best = best
            Level = options.Level
            Pieces = ends |> List.chunkBySize 2 |> List.map (fun e -> { Low = e[0]; High = e[1] })
            Points =
                [
                    for k in all do
                        let good = k.Toys |> Array.filter (Double.IsNaN >> not) |> Array.sort
                        let rank = int (ceil (options.Level * float good.Length)) - 1

                        {
                            X = k.X
                            T = k.T
                            Critical = if good.Length = 0 then nan else good[max 0 rank]
                            P = probability k
                            Toys = good.Length
                        }
                ]
            Toys = values.Fitted
            Lost = lost
            Status = values.Status
            Notes =
                tester.Notes
                @ [
                    if hasNuisances then
                        "the nuisances of toys are at their best values on the data for each value (profiled plug-in)"
                    let step = (high - low) / float (options.Count - 1)
                    $"pieces narrower than {step:G3} may be missed"

                    if ends.IsEmpty then
                        $"none of the values from {first:G5} to {last:G5} is in the interval of {100.0 * options.Level:G4} %%"

                    if lost > 0 then
                        $"{lost} toys were left out: a fit did not converge"
                ]
        }
