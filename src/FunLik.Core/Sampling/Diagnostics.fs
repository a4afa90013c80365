namespace FunLik

open System
open System.Numerics
open System.Numerics.Tensors
open MathNet.Numerics.Distributions
open MathNet.Numerics.IntegralTransforms

/// Whether diagnostics of a parameter mean anything.
[<RequireQualifiedAccess>]
type DiagnosticStatus =
    /// They do.
    | Defined
    /// All draws are equal.
    | Constant
    /// Fewer than 16 draws a chain.
    | TooShort
    /// Some draw is not a finite number.
    | NotFinite

/// What several chains say about one parameter. Where the status is not `Defined`, all effective
/// sizes are 0, and errors and R-hats are infinite; nothing is ever NaN but the moments of draws
/// that are not finite.
type Diagnosis =
    {
        /// The name of the parameter.
        Name: string
        /// Whether the rest means anything.
        Status: DiagnosticStatus
        /// The mean of all draws.
        Mean: float
        /// Their standard deviation.
        StandardDeviation: float
        /// The Monte Carlo standard error of the mean.
        MeanError: float
        /// The Monte Carlo standard error of the standard deviation.
        StandardDeviationError: float
        /// The smaller of the effective sample sizes of x and of (x − mean)²: chains on closed
        /// orbits have a flattering one of x.
        Ess: float
        /// The effective sample size of the rank-normalised draws.
        BulkEss: float
        /// The smaller of those of the 5 % and 95 % quantiles.
        TailEss: float
        /// Split R-hat.
        RHat: float
        /// The larger of the rank-normalised split R-hats of x and of |x − median|.
        RankRHat: float
    }

/// Convergence of several chains: Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Analysis
/// 16 (2021) 667. Draws come as one array a chain, all of one length.
[<RequireQualifiedAccess>]
module Diagnostics =

    /// What keeps draws from having diagnostics.
    let status (chains: float[][]) : DiagnosticStatus =
        if chains.Length = 0 || chains |> Array.exists (fun c -> c.Length < 16) then
            DiagnosticStatus.TooShort
        elif chains |> Array.exists (Array.exists (Double.IsFinite >> not)) then
            DiagnosticStatus.NotFinite
        elif chains |> Array.forall (Array.forall (fun x -> x = chains[0][0])) then
            DiagnosticStatus.Constant
        else
            DiagnosticStatus.Defined

    /// Both halves of each chain; the draw in the middle of an odd number is left out.
    let private split (chains: float[][]) : float[][] =
        chains
        |> Array.collect (fun c ->
            let half = c.Length / 2
            [| c[.. half - 1]; c[c.Length - half ..] |])

    let private mean (x: float[]) : float = TensorPrimitives.Sum(ReadOnlySpan x) / float x.Length

    let private centred (x: float[]) : float[] =
        let shifted: float[] = Array.zeroCreate x.Length
        TensorPrimitives.Subtract(ReadOnlySpan x, mean x, Span shifted)
        shifted

    let private sumOfSquares (x: float[]) : float = TensorPrimitives.SumOfSquares(ReadOnlySpan x)

    /// Σ_i x_i x_{i+t} / n for all t, by a transform of twice the length.
    let private transformed (x: float[]) : float[] =
        let size = int (BitOperations.RoundUpToPowerOf2(uint32 (2 * x.Length)))
        let padded = Array.create size Complex.Zero
        x |> Array.iteri (fun i v -> padded[i] <- Complex(v, 0.0))
        Fourier.Forward(padded, FourierOptions.NoScaling)

        for i in 0 .. size - 1 do
            let power =
                padded[i].Real * padded[i].Real + padded[i].Imaginary * padded[i].Imaginary

            padded[i] <- Complex(power, 0.0)

        Fourier.Inverse(padded, FourierOptions.NoScaling)
        Array.init x.Length (fun t -> padded[t].Real / float size / float x.Length)

    /// The autocovariance of a chain at any lag, with divisor n. Few lags are summed as they are
    /// asked for; from lag 64 on one transform gives all.
    let autocovariance (chain: float[]) : int -> float =
        let x = centred chain
        let n = x.Length
        let all = lazy (transformed x)

        fun lag ->
            if lag >= 64 then
                all.Value[lag]
            else
                TensorPrimitives.Dot(ReadOnlySpan(x, 0, n - lag), ReadOnlySpan(x, lag, n - lag))
                / float n

    /// The variance within chains, and the pooled estimate of the variance.
    let private variances (chains: float[][]) : struct (float * float) =
        let n = float chains[0].Length

        let within =
            chains |> Array.averageBy (fun c -> sumOfSquares (centred c) / (n - 1.0))

        let means = chains |> Array.map mean

        let between =
            if chains.Length < 2 then
                0.0
            else
                sumOfSquares (centred means) / float (chains.Length - 1)

        struct (within, within * (n - 1.0) / n + between)

    /// Eq. 10 to 13, without splitting: Geyer's initial positive and monotone sequence of the pooled
    /// autocorrelations, no more than N·log₁₀ N.
    let private essOf (chains: float[][]) : float =
        let n = chains[0].Length
        let total = float (n * chains.Length)
        let struct (within, pooled) = variances chains
        let lags = chains |> Array.map autocovariance

        let rho (t: int) : float =
            let covariance = lags |> Array.averageBy (fun at -> at t)
            1.0 - (within - covariance) / pooled

        let rec pairs (t: int) (before: float) (sum: float) : float =
            let even = if t = 0 then 1.0 else rho t
            let pair = even + rho (t + 1)

            if pair > 0.0 && t + 4 < n then
                let monotone = min pair before
                pairs (t + 2) monotone (sum + monotone)
            else
                // The even lag alone still counts: less variance where chains are antithetic.
                2.0 * sum - 1.0 + max even 0.0

        let time = pairs 0 infinity 0.0
        total / max time (1.0 / log10 total)

    let private defined
        (chains: float[][])
        (fallback: float)
        (compute: float[][] -> float)
        : float =
        if (status chains).IsDefined then
            let value = compute (split chains)
            if Double.IsNaN value then fallback else value
        else
            fallback

    /// The effective sample size of the mean of split chains; 0 where there is none.
    let ess (chains: float[][]) : float = defined chains 0.0 essOf

    let private squares (chains: float[][]) : float[][] =
        let all = mean (Array.concat chains)
        chains |> Array.map (Array.map (fun x -> (x - all) * (x - all)))

    /// The smaller of the effective sample sizes of x and of (x − mean)².
    let honestEss (chains: float[][]) : float = min (ess chains) (ess (squares chains))

    let private rHatOf (chains: float[][]) : float =
        let struct (within, pooled) = variances chains
        if within > 0.0 then sqrt (pooled / within) else infinity

    /// Split R-hat, eq. 1 to 4; +∞ where there is none.
    let rHat (chains: float[][]) : float = defined chains infinity rHatOf

    /// All draws in increasing order, and where each of them stands.
    [<Struct>]
    type private Sorted = { Values: float[]; Order: int[] }

    let private sort (flat: float[]) : Sorted =
        let values = Array.copy flat
        let order = Array.init flat.Length id
        Array.Sort(values, order)
        { Values = values; Order = order }

    let private score (total: int) (rank: float) : float =
        Normal.InvCDF(0.0, 1.0, (rank - 0.375) / (float total + 0.25))

    /// The scores of the ranks 1 to `total`.
    let private scores (total: int) : float[] =
        Array.init total (fun i -> score total (float (i + 1)))

    /// The scores of all draws in their first order; equal draws have that of their mean rank.
    let private scored (table: float[]) (sorted: Sorted) : float[] =
        let total = sorted.Values.Length
        let result: float[] = Array.zeroCreate total
        let mutable first = 0

        while first < total do
            let mutable last = first

            while last + 1 < total && sorted.Values[last + 1] = sorted.Values[first] do
                last <- last + 1

            let value =
                if last = first then
                    table[first]
                else
                    score total (0.5 * float (first + last) + 1.0)

            for k in first..last do
                result[sorted.Order[k]] <- value

            first <- last + 1

        result

    /// Cuts what belongs to all draws into what belongs to each chain.
    let private cut (chains: float[][]) (flat: float[]) : float[][] =
        let starts = chains |> Array.scan (fun start c -> start + c.Length) 0
        chains |> Array.mapi (fun i c -> flat[starts[i] .. starts[i] + c.Length - 1])

    let private quantile (p: float) (sorted: Sorted) : float =
        let values = sorted.Values
        let place = p * float (values.Length - 1)
        let below = int place
        let above = min (below + 1) (values.Length - 1)
        values[below] + (place - float below) * (values[above] - values[below])

    /// |x − median| in increasing order: the two sides of the median merged.
    let private folded (sorted: Sorted) : Sorted =
        let total = sorted.Values.Length
        let median = quantile 0.5 sorted
        let values = Array.zeroCreate total
        let order = Array.zeroCreate total
        let firstAbove = sorted.Values |> Array.tryFindIndex (fun v -> v >= median)
        let mutable above = firstAbove |> Option.defaultValue total
        let mutable below = above - 1

        for k in 0 .. total - 1 do
            let left =
                if below >= 0 then
                    median - sorted.Values[below]
                else
                    infinity

            let right =
                if above < total then
                    sorted.Values[above] - median
                else
                    infinity

            if right <= left then
                values[k] <- right
                order[k] <- sorted.Order[above]
                above <- above + 1
            else
                values[k] <- left
                order[k] <- sorted.Order[below]
                below <- below - 1

        { Values = values; Order = order }

    /// Normal scores of the ranks among all draws, eq. 14; equal draws share their mean rank.
    let rankNormalise (chains: float[][]) : float[][] =
        let flat = Array.concat chains
        sort flat |> scored (scores flat.Length) |> cut chains

    let private rankRHatOf (table: float[]) (chains: float[][]) (sorted: Sorted) : float =
        max
            (rHat (scored table sorted |> cut chains))
            (rHat (folded sorted |> scored table |> cut chains))

    let private tailEssOf (chains: float[][]) (sorted: Sorted) : float =
        let essAt (p: float) : float =
            let edge = quantile p sorted
            chains |> Array.map (Array.map (fun x -> if x <= edge then 1.0 else 0.0)) |> ess

        min (essAt 0.05) (essAt 0.95)

    /// Computes what needs all draws in order, where there is anything to compute.
    let private ordered
        (fallback: float)
        (compute: float[] -> Sorted -> float)
        (chains: float[][])
        : float =
        if (status chains).IsDefined then
            let flat = Array.concat chains
            compute (scores flat.Length) (sort flat)
        else
            fallback

    /// The larger of the rank-normalised split R-hats of x and of |x − median|; +∞ where there is none.
    let rankRHat (chains: float[][]) : float =
        ordered infinity (fun table sorted -> rankRHatOf table chains sorted) chains

    /// The effective sample size of the rank-normalised draws; 0 where there is none.
    let bulkEss (chains: float[][]) : float = ess (rankNormalise chains)

    /// The smaller of the effective sample sizes of the 5 % and 95 % quantiles; 0 where there is none.
    let tailEss (chains: float[][]) : float =
        ordered 0.0 (fun _ sorted -> tailEssOf chains sorted) chains

    let private diagnosed (table: float[]) (name: string) (chains: float[][]) : Diagnosis =
        let status = status chains
        let flat = Array.concat chains
        let mean = if flat.Length = 0 then 0.0 else mean flat
        let n = float flat.Length
        let variance = sumOfSquares (centred flat) / max 1.0 (n - 1.0)

        let undefined =
            {
                Name = name
                Status = status
                Mean = mean
                StandardDeviation = sqrt variance
                MeanError = infinity
                StandardDeviationError = infinity
                Ess = 0.0
                BulkEss = 0.0
                TailEss = 0.0
                RHat = infinity
                RankRHat = infinity
            }

        if not status.IsDefined then
            undefined
        else
            let sorted = sort flat
            let essOfMean = ess chains
            let squares = squares chains
            let essOfSquares = ess squares
            let spread = sumOfSquares (centred (Array.concat squares)) / n

            let error (x: float) : float = if Double.IsFinite x then sqrt x else infinity

            { undefined with
                MeanError = error (variance / essOfMean)
                StandardDeviationError = error (spread / essOfSquares / (4.0 * variance))
                Ess = min essOfMean essOfSquares
                BulkEss = scored table sorted |> cut chains |> ess
                TailEss = tailEssOf chains sorted
                RHat = rHat chains
                RankRHat = rankRHatOf table chains sorted
            }

    /// All that several chains say about each of several parameters, of which `series` gives the draws.
    let diagnoseAll (names: string[]) (series: int -> float[][]) : Diagnosis[] =
        let next (table: float[]) (i: int, name: string) : Diagnosis * float[] =
            let chains = series i
            let total = chains |> Array.sumBy _.Length
            let table = if table.Length = total then table else scores total
            diagnosed table name chains, table

        Array.indexed names |> Array.mapFold next [||] |> fst

    /// All that several chains say about one parameter.
    let diagnose (name: string) (chains: float[][]) : Diagnosis =
        (diagnoseAll [| name |] (fun _ -> chains))[0]
