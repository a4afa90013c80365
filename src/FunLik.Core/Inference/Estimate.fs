namespace FunLik

open System
open System.Numerics.Tensors

/// A number found from draws, and its Monte Carlo standard error.
type Estimate =
    {
        /// The number.
        Value: float
        /// Its standard error: +∞ where the draws do not tell.
        Error: float
    }

/// Means, quantiles and their errors from draws that are correlated and may have weights. A weighted mean is a ratio of two means; its
/// error is that of the mean of w·(f − m)/w̄ along the chains (the delta method), with the effective sample size of `Diagnostics.ess`.
[<RequireQualifiedAccess>]
module Estimate =

    let private sum (x: float[]) : float = TensorPrimitives.Sum(ReadOnlySpan x)

    let private dot (x: float[]) (y: float[]) : float =
        TensorPrimitives.Dot(ReadOnlySpan x, ReadOnlySpan y)

    /// Kish's effective size of weights, (Σw)² / Σw²: how many independent draws of equal weight tell as much.
    let kish (weights: float[]) : float = sum weights ** 2.0 / dot weights weights

    /// What belongs to all draws as series that are independent of each other: one a chain, or the mean over the walkers of one an ensemble.
    let private series (table: DrawTable) (values: float[]) : float[][] =
        let chains = DrawTable.cut table values

        if table.Together = 1 then
            chains
        else
            chains
            |> Array.chunkBySize table.Together
            |> Array.map (fun walkers ->
                Array.init table.PerChain (fun t -> walkers |> Array.averageBy (fun w -> w[t])))

    /// The weighted mean of a number of each draw, and the effective sample size: its variance over the square of the mean's error.
    let meanAndEss (table: DrawTable) (values: float[]) : struct (Estimate * float) =
        let n = float values.Length

        let value, deviations =
            match table.Weights with
            | None ->
                let m = sum values / n
                m, values |> Array.map (fun f -> f - m)
            | Some w ->
                let m = dot w values / sum w
                let scale = n / sum w
                m, Array.map2 (fun f w -> scale * w * (f - m)) values w

        let variance =
            match table.Weights with
            | None -> dot deviations deviations / n
            | Some w ->
                Array.map2 (fun f w -> w * (f - value) * (f - value)) values w
                |> sum
                |> fun s -> s / sum w

        let independent = series table deviations
        let flat = Array.concat independent
        let effective = Diagnostics.ess independent
        let error = sqrt (dot flat flat / float flat.Length / effective)

        if effective > 0.0 && Double.IsFinite error then
            struct ({ Value = value; Error = error }, variance / (error * error))
        else
            struct ({ Value = value; Error = infinity }, 0.0)

    /// The weighted mean of a number of each draw.
    let mean (table: DrawTable) (values: float[]) : Estimate =
        let struct (estimate, _) = meanAndEss table values
        estimate

    /// The standard deviation of a number of each draw.
    let deviation (table: DrawTable) (values: float[]) : Estimate =
        let m = (mean table values).Value
        let variance = values |> Array.map (fun f -> (f - m) * (f - m)) |> mean table
        let value = sqrt variance.Value
        { Value = value; Error = variance.Error / (2.0 * value) }

    /// The probability of an event.
    let probability (table: DrawTable) (isSo: bool[]) : Estimate =
        isSo |> Array.map (fun b -> if b then 1.0 else 0.0) |> mean table

    /// Draws of a number in increasing order, with the probability below the middle of each.
    type private Ranked = { Values: float[]; Below: float[] }

    let private rank (table: DrawTable) (values: float[]) : Ranked =
        let counted =
            match table.Weights with
            | None -> Array.map (fun v -> struct (v, 1.0)) values
            | Some w ->
                Array.map2 (fun v w -> struct (v, w)) values w
                |> Array.filter (fun (struct (_, w)) -> w > 0.0)

        let keys = counted |> Array.map (fun (struct (v, _)) -> v)
        let sizes = counted |> Array.map (fun (struct (_, w)) -> w)
        Array.Sort(keys, sizes)
        let total = sum sizes
        let mutable before = 0.0

        let below =
            sizes
            |> Array.map (fun w ->
                let middle = (before + 0.5 * w) / total
                before <- before + w
                middle)

        { Values = keys; Below = below }

    /// Linear between the middles of neighbouring draws (Hazen's definition; the fifth of Hyndman and Fan, Am. Stat. 50 (1996) 361).
    let private at (p: float) (ranked: Ranked) : float =
        let last = ranked.Below.Length - 1
        let found = Array.BinarySearch(ranked.Below, p)
        let above = if found >= 0 then found else ~~~found

        if above = 0 then
            ranked.Values[0]
        elif above > last then
            ranked.Values[last]
        else
            let a, b = ranked.Below[above - 1], ranked.Below[above]
            let low, high = ranked.Values[above - 1], ranked.Values[above]

            if b > a then
                low + (p - a) / (b - a) * (high - low)
            else
                high

    /// Quantiles of a number of each draw. The error is half the distance between the quantiles one standard error of the probability
    /// below and above: Vehtari et al., Bayesian Analysis 16 (2021) 667, section 4.4.
    let quantiles (probabilities: float list) (table: DrawTable) (values: float[]) : Estimate list =
        let ranked = rank table values

        probabilities
        |> List.map (fun p ->
            let value = at p ranked
            let error = (values |> Array.map (fun v -> v <= value) |> probability table).Error

            {
                Value = value
                Error =
                    if Double.IsFinite error then
                        0.5 * (at (min 1.0 (p + error)) ranked - at (max 0.0 (p - error)) ranked)
                    else
                        infinity
            })

    /// For each draw the number of the batch that it belongs to, and how many batches there are: whole chains (or ensembles) where there are
    /// 16 or more, up to 32 batches of neighbouring ones; else contiguous pieces of them, so that there are about 32.
    let batches (table: DrawTable) : struct (int[] * int) =
        let length = table.PerChain
        let groups = table.Chains / table.Together
        let group (r: int) : int = r / length / table.Together

        if groups >= 16 then
            let count = min 32 groups
            struct (Array.init table.Count (fun r -> group r * count / groups), count)
        else
            let pieces = max 1 (min ((32 + groups - 1) / groups) (length / 8))

            let label (r: int) : int =
                group r * pieces + int (int64 (r % length) * int64 pieces / int64 length)

            struct (Array.init table.Count label, groups * pieces)

    /// The jackknife's standard error of a number from what it is without each of the batches: Efron, The Jackknife, the Bootstrap
    /// and Other Resampling Plans (1982), eq. 3.13 (with batches in place of single draws). Infinite for fewer than four.
    let jackknife (without: float[]) : float =
        let count = float without.Length

        if without.Length < 4 then
            infinity
        else
            let mean = Array.average without
            sqrt ((count - 1.0) / count * Array.sumBy (fun v -> (v - mean) * (v - mean)) without)
