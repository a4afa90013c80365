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
        /// Its standard error, of the draws and of how the density was made smooth: 0 where the density itself ends.
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

    /// The errors of all ends of a region, from regions without each of the batches: the ends of one side nearest by, in order where the
    /// pieces are as many.
    let private errors
        (pieces: (float * float) list)
        (without: (float * float) list[])
        : (float * float) list * int =
        let side (pick: float * float -> float) (index: int) : float =
            let value = pick pieces[index]

            // A batch without which nothing is left tells no error.
            (if Array.exists List.isEmpty without then [||] else without)
            |> Array.map (fun other ->
                if other.Length = pieces.Length then
                    pick other[index]
                else
                    other |> List.map pick |> List.minBy (fun v -> abs (v - value)))
            |> Estimate.jackknife

        let unsettled =
            without |> Array.filter (fun o -> o.Length <> pieces.Length) |> Array.length

        pieces |> List.mapi (fun i _ -> side fst i, side snd i), unsettled

    let private piecesOf (bins: BinnedDraws) (found: GridRegion) : (float * float) list =
        found.Pieces |> List.map (fun (a, b) -> valueAt bins a, valueAt bins b)

    /// What smoothing may have moved the ends by: as the bias of a kernel falls with the square of its width, four thirds of how far they are
    /// from those at half of the width.
    let private smoothingShifts
        (pieces: (float * float) list)
        (sharper: (float * float) list)
        : (float * float) list =
        let shift (pick: float * float -> float) (index: int) : float =
            let value = pick pieces[index]

            let other =
                if sharper.Length = pieces.Length then
                    pick sharper[index]
                elif sharper.IsEmpty then
                    value
                else
                    sharper |> List.map pick |> List.minBy (fun v -> abs (v - value))

            4.0 / 3.0 * abs (value - other)

        pieces |> List.mapi (fun i _ -> shift fst i, shift snd i)

    /// A region with the errors of its ends: those of the draws, and what the method may have moved them by, in quadrature.
    let private region
        (bins: BinnedDraws)
        (level: ConfidenceLevel)
        (found: GridRegion)
        (without: (BinnedDraws * GridRegion)[])
        (shifts: (float * float) list -> (float * float) list)
        : CredibleRegion =
        let pieces = piecesOf bins found

        let others = without |> Array.map (fun (bins, other) -> piecesOf bins other)
        let errors, unsettled = errors pieces others

        let errors =
            List.map2
                (fun (a: float, b: float) (low: float, high: float) ->
                    sqrt (a * a + low * low), sqrt (b * b + high * high))
                errors
                (shifts pieces)

        let edge (value: float) (error: float) : CredibleEdge =
            let isBound = isEdge bins value
            { Value = value; Error = (if isBound then 0.0 else error); IsBound = isBound }

        {
            Level = level
            Content = found.Content
            Height = found.Height
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
        let sharper = KernelDensity.curve (0.5 * bandwidth) all

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
                        HighestDensity.smooth draws level.Probability bins curve

                    region
                        all
                        level
                        (of' (all, curve))
                        (others |> Array.map (fun (bins, curve) -> bins, of' (bins, curve)))
                        (fun pieces -> smoothingShifts pieces (piecesOf all (of' (all, sharper)))))
        }

    /// The density of one parameter with its regions of highest density.
    let marginal (levels: ConfidenceLevel list) (parameter: int) (table: DrawTable) : Marginal =
        smooth levels parameter table (DrawTable.flat parameter table)

    /// Regions of highest density of one parameter: unions of disjoint pieces, with the errors of their ends by the jackknife over
    /// independent chains, or over batches where chains are few, and with what smoothing or bins may have moved them by.
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
                let of' = HighestDensity.histogram level.Probability
                // An end is somewhere in a bin.
                let rounding = all.Step / sqrt 12.0

                region
                    all
                    level
                    (of' all)
                    (without |> Array.map (fun bins -> bins, of' bins))
                    (List.map (fun _ -> rounding, rounding)))

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
