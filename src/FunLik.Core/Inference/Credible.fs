namespace FunLik

open System

/// How the region of highest density is found.
[<RequireQualifiedAccess>]
type HpdiMethod =
    /// From a smooth density (`KernelDensity`): where it is above the height at which the draws inside are the level's part of all draws.
    | Smooth
    /// As the papers' code does: bins of one width from the least draw to the greatest, the fullest first until they hold the level;
    /// ends are the middles of the outermost bins, half a bin inward (DNNLikelihood, arXiv:1911.03305).
    | Histogram of bins: int

/// An end of a piece of a region.
type CredibleEdge =
    {
        /// The parameter there.
        Value: float
        /// Its Monte Carlo standard error: 0 where the density itself ends.
        Error: float
        /// Whether the density ends there.
        IsBound: bool
    }

/// Neighbouring values that are in a region.
type CrediblePiece =
    {
        /// The lower end.
        Low: CredibleEdge
        /// The upper end.
        High: CredibleEdge
    }

/// Values of a parameter that hold a probability: disjoint pieces, in order.
type CredibleRegion =
    {
        /// The probability that was asked for.
        Level: ConfidenceLevel
        /// The part of the draws inside.
        Content: float
        /// The height of the density at its ends; 0 where none was used.
        Height: float
        /// The pieces.
        Pieces: CrediblePiece list
        /// Without some of the batches the region has another number of pieces: how many of these batches there are.
        Unsettled: int
    }

/// A smooth density of a parameter, and its regions of highest density.
type Marginal =
    {
        /// The parameter.
        Parameter: string
        /// The density.
        Curve: DensityCurve
        /// The number of independent draws that it comes from.
        Draws: float
        /// Its regions of highest density, level by level.
        Regions: CredibleRegion list
    }

/// Credible regions of one parameter.
[<RequireQualifiedAccess>]
module Credible =

    /// The levels of one, two and three standard deviations: 68.27 %, 95.45 % and 99.73 %.
    let usual: ConfidenceLevel list =
        [ 1.0; 2.0; 3.0 ]
        |> List.map (fun sigma -> ConfidenceLevel.ofTwiceDeltaNll 1 (sigma * sigma))

    /// How many standard errors of the density a gap or a piece must have in depth or height: less is noise, and is no gap and no piece.
    let private prominence = 3.0

    /// Where the density is above a height: pieces by places in the grid's units, ends linear between its points.
    let private above (height: float) (y: float[]) : (float * float) list =
        let n = y.Length

        let rec walk (i: int) (start: float option) (found: (float * float) list) =
            if i = n then
                match start with
                | Some s -> List.rev ((s, float n - 0.5) :: found)
                | None -> List.rev found
            else
                match start with
                | None when y[i] > height ->
                    let place =
                        if i = 0 then
                            -0.5
                        else
                            float i - (y[i] - height) / (y[i] - y[i - 1])

                    walk (i + 1) (Some place) found
                | Some s when y[i] <= height ->
                    let place = float (i - 1) + (y[i - 1] - height) / (y[i - 1] - y[i])
                    walk (i + 1) None ((s, place) :: found)
                | _ -> walk (i + 1) start found

        walk 0 None []

    /// Pieces and gaps in turn, each with how far its highest or lowest point is from a height.
    let private turns
        (y: float[])
        (height: float)
        (pieces: (float * float) list)
        : (float * float * float) list =
        let farthest (low: float, high: float) : float =
            let first = Math.Clamp(int (ceil low), 0, y.Length - 1)
            let last = Math.Clamp(int (floor high), 0, y.Length - 1)
            let mutable size = 0.0

            for i in first..last do
                size <- max size (abs (y[i] - height))

            size

        let rec walk (rest: (float * float) list) : (float * float * float) list =
            match rest with
            | (low, high) :: ((next, _) :: _ as others) ->
                (low, high, farthest (low, high))
                :: (high, next, farthest (high, next))
                :: walk others
            | [ low, high ] -> [ low, high, farthest (low, high) ]
            | [] -> []

        walk pieces

    /// Pieces and gaps that noise explains are taken away, the least certain first: a gap joins its pieces, a piece its gaps.
    let private settled
        (y: float[])
        (height: float)
        (noise: float)
        (pieces: (float * float) list)
        : (float * float) list =
        let size (_: float, _: float, s: float) : float = s

        let join
            (low: float, _: float, a: float)
            (_: float, _: float, _: float)
            (_: float, high: float, c: float)
            =
            low, high, max a c

        let rec settle (turns: (float * float * float)[]) : (float * float * float)[] =
            if turns.Length < 2 then
                turns
            else
                let least = turns |> Array.indexed |> Array.minBy (snd >> size) |> fst

                if size turns[least] >= prominence * noise then
                    turns
                elif least = 0 then
                    settle turns[2..]
                elif least = turns.Length - 1 then
                    settle turns[.. turns.Length - 3]
                else
                    [|
                        turns[.. least - 2]
                        [| join turns[least - 1] turns[least] turns[least + 1] |]
                        turns[least + 2 ..]
                    |]
                    |> Array.concat
                    |> settle

        if pieces.Length < 2 then
            pieces
        else
            turns y height pieces
            |> Array.ofList
            |> settle
            |> Array.indexed
            |> Array.filter (fun (i, _) -> i % 2 = 0)
            |> Array.map (fun (_, (low, high, _)) -> low, high)
            |> List.ofArray

    /// The weight below a place in the grid's units: place −½ is the lower end of the first bin.
    let private weightBelow (cumulative: float[]) (place: float) : float =
        let p = Math.Clamp(place + 0.5, 0.0, float (cumulative.Length - 1))
        let i = min (int p) (cumulative.Length - 2)
        cumulative[i] + (p - float i) * (cumulative[i + 1] - cumulative[i])

    /// The place below which there is some weight.
    let private placeOf (cumulative: float[]) (weight: float) : float =
        let found = Array.BinarySearch(cumulative, weight)
        let i = if found >= 0 then found else max 0 (~~~found - 1)
        let i = min i (cumulative.Length - 2)
        let size = cumulative[i + 1] - cumulative[i]

        float i - 0.5
        + (if size > 0.0 then
               Math.Clamp((weight - cumulative[i]) / size, 0.0, 1.0)
           else
               0.0)

    /// The shortest part of a piece that holds a weight.
    let private shortest
        (cumulative: float[])
        (weight: float)
        (low: float, high: float)
        : float * float =
        let first, last = weightBelow cumulative low, weightBelow cumulative high
        let spare = max 0.0 (last - first - weight)

        Seq.init 201 (fun k -> first + spare * float k / 200.0)
        |> Seq.map (fun start ->
            max low (placeOf cumulative start), min high (placeOf cumulative (start + weight)))
        |> Seq.minBy (fun (a, b) -> b - a)

    /// The pieces, in the grid's units, that hold a probability; with it the height, and the probability that they hold. Where pieces
    /// merge or vanish at one height, as on a plateau, the largest is cut to the shortest that leaves the level.
    let private highest (draws: float) (level: float) (bins: BinnedDraws) (curve: DensityCurve) =
        let cumulative = bins.Counts |> Array.scan (+) 0.0

        let pieces (height: float) : (float * float) list =
            above height curve.Y
            |> settled curve.Y height (KernelDensity.noise draws curve height)

        let weight (low: float, high: float) : float =
            weightBelow cumulative high - weightBelow cumulative low

        let rec bisect (count: int) (low: float) (high: float) : float =
            let middle = 0.5 * (low + high)

            if count = 0 then
                low
            elif pieces middle |> List.sumBy weight >= level then
                bisect (count - 1) middle high
            else
                bisect (count - 1) low middle

        let height = bisect 45 0.0 (Array.max curve.Y)
        let found = pieces height
        let spare = (found |> List.sumBy weight) - level

        let cut =
            if spare < 1e-5 then
                found
            else
                let largest = found |> List.maxBy weight

                found
                |> List.map (fun piece ->
                    if piece = largest then
                        shortest cumulative (max 0.0 (weight piece - spare)) piece
                    else
                        piece)

        struct (cut, height, cut |> List.sumBy weight)

    /// A place in the grid's units as a value of the parameter.
    let private valueAt (bins: BinnedDraws) (place: float) : float =
        if place <= -0.5 then
            bins.Low
        elif place >= float bins.Counts.Length - 0.5 then
            bins.Low + bins.Step * float bins.Counts.Length
        else
            bins.Low + (place + 0.5) * bins.Step

    let private isEdge (bins: BinnedDraws) (value: float) : bool =
        value = bins.LowEdge
        || value = bins.HighEdge
        || abs (value - bins.HighEdge) < 1e-9 * bins.Step

    /// The papers' way.
    let private byHistogram (level: float) (bins: BinnedDraws) =
        let order =
            Array.init bins.Counts.Length id |> Array.sortBy (fun i -> -bins.Counts[i], i)

        let taken =
            let sums = order |> Array.scan (fun sum i -> sum + bins.Counts[i]) 0.0

            order
            |> Array.indexed
            |> Array.takeWhile (fun (k, _) -> sums[k] <= level)
            |> Array.map snd
            |> Array.sort

        let pieces =
            (taken, [])
            ||> Array.foldBack (fun i pieces ->
                match pieces with
                | (low, high) :: rest when low = i + 1 -> (i, high) :: rest
                | _ -> (i, i) :: pieces)

        struct (pieces |> List.map (fun (a, b) -> float a, float b),
                0.0,
                taken |> Array.sumBy (fun i -> bins.Counts[i]))

    /// The errors of all ends of a region, from regions without each of the batches: the ends of one side nearest by, in order where the
    /// pieces are as many.
    let private errors
        (pieces: (float * float) list)
        (without: (float * float) list[])
        : (float * float) list * int =
        let side (pick: float * float -> float) (index: int) : float =
            let value = pick pieces[index]

            without
            |> Array.map (fun other ->
                if other.Length = pieces.Length then
                    pick other[index]
                else
                    other |> List.map pick |> List.minBy (fun v -> abs (v - value)))
            |> Estimate.jackknife

        let unsettled =
            without |> Array.filter (fun o -> o.Length <> pieces.Length) |> Array.length

        pieces |> List.mapi (fun i _ -> side fst i, side snd i), unsettled

    let private region
        (bins: BinnedDraws)
        (level: ConfidenceLevel)
        struct (found, height, content)
        without
        =
        let pieces = found |> List.map (fun (a, b) -> valueAt bins a, valueAt bins b)

        let others =
            without
            |> Array.map (fun (struct (other, _, _)) ->
                other |> List.map (fun (a, b) -> valueAt bins a, valueAt bins b))

        let errors, unsettled = errors pieces others

        let edge (value: float) (error: float) : CredibleEdge =
            let isBound = isEdge bins value
            { Value = value; Error = (if isBound then 0.0 else error); IsBound = isBound }

        {
            Level = level
            Content = content
            Height = height
            Pieces =
                List.map2
                    (fun (low, high) (lowError, highError) ->
                        { Low = edge low lowError; High = edge high highError })
                    pieces
                    errors
            Unsettled = unsettled
        }

    /// Binned draws of all, and without each batch.
    let private prepared
        (table: DrawTable)
        (values: float[])
        (bins: BinnedDraws)
        : BinnedDraws * BinnedDraws[] =
        let weights = DrawTable.weights table
        let struct (labels, count) = Estimate.batches table
        let all = KernelDensity.fill weights values (fun _ -> true) bins

        let parts = Array.init count (fun _ -> Array.zeroCreate<float> bins.Counts.Length)
        let total = Array.sum weights
        let last = bins.Counts.Length - 1

        for r in 0 .. values.Length - 1 do
            if weights[r] > 0.0 then
                let bin = Math.Clamp(int ((values[r] - bins.Low) / bins.Step), 0, last)
                let part = parts[labels[r]]
                part[bin] <- part[bin] + weights[r] / total

        let without (part: float[]) : BinnedDraws =
            let rest = Array.map2 (fun a b -> max 0.0 (a - b)) all.Counts part
            let left = Array.sum rest
            { bins with Counts = rest |> Array.map (fun c -> c / left) }

        all, parts |> Array.map without

    let private smooth
        (levels: ConfidenceLevel list)
        (parameter: int)
        (table: DrawTable)
        (values: float[])
        : Marginal =
        let struct (_, draws) = Estimate.meanAndEss table values
        let draws = max 4.0 draws

        let all, without =
            KernelDensity.bins (DrawTable.edges parameter table) table values
            |> prepared table values

        let bandwidth = KernelDensity.bandwidth draws all
        let curve = KernelDensity.curve bandwidth all

        let others =
            without |> Array.map (fun bins -> bins, KernelDensity.curve bandwidth bins)

        {
            Parameter = table.Names[parameter]
            Curve = curve
            Draws = draws
            Regions =
                levels
                |> List.map (fun level ->
                    let of' (bins: BinnedDraws, curve: DensityCurve) =
                        highest draws level.Probability bins curve

                    region all level (of' (all, curve)) (Array.map of' others))
        }

    /// The density of one parameter with its regions of highest density.
    let marginal (levels: ConfidenceLevel list) (parameter: int) (table: DrawTable) : Marginal =
        smooth levels parameter table (DrawTable.flat parameter table)

    /// Regions of highest density of one parameter: unions of disjoint pieces, with the errors of their ends by the jackknife over
    /// independent chains, or over batches where chains are few.
    let hpdi
        (how: HpdiMethod)
        (levels: ConfidenceLevel list)
        (parameter: int)
        (table: DrawTable)
        : CredibleRegion list =
        let values = DrawTable.flat parameter table

        match how with
        | HpdiMethod.Smooth -> (smooth levels parameter table values).Regions
        | HpdiMethod.Histogram count ->
            if count < 1 then
                Error.make ErrorKind.Value "the bins of a histogram"
                |> Error.found $"{count}"
                |> Error.expected "1 or more"
                |> Error.fail
                |> Error.orRaise

            let weights = DrawTable.weights table

            let counted =
                Array.zip values weights
                |> Array.filter (fun (_, w) -> w > 0.0)
                |> Array.map fst

            let least, most = Array.min counted, Array.max counted

            let all, without =
                {
                    Low = least
                    Step = (if most > least then most - least else 1.0) / float count
                    Counts = Array.zeroCreate count
                    LowEdge = -infinity
                    HighEdge = infinity
                }
                |> prepared table values

            levels
            |> List.map (fun level ->
                let of' = byHistogram level.Probability
                region all level (of' all) (Array.map of' without))

    /// Central intervals: as much probability below as above, between two quantiles.
    let central
        (levels: ConfidenceLevel list)
        (parameter: int)
        (table: DrawTable)
        : CredibleRegion list =
        let values = DrawTable.flat parameter table

        let probabilities =
            levels
            |> List.collect (fun level ->
                [ 0.5 * (1.0 - level.Probability); 0.5 * (1.0 + level.Probability) ])

        let edge (quantile: Estimate) : CredibleEdge =
            { Value = quantile.Value; Error = quantile.Error; IsBound = false }

        List.zip levels (Estimate.quantiles probabilities table values |> List.chunkBySize 2)
        |> List.map (fun (level, ends) ->
            {
                Level = level
                Content = level.Probability
                Height = 0.0
                Pieces = [ { Low = edge ends[0]; High = edge ends[1] } ]
                Unsettled = 0
            })
