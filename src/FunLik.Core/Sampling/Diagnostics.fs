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

    /// Normal scores of the ranks among all draws, eq. 14; equal draws share their mean rank.
    let rankNormalise (chains: float[][]) : float[][] =
        let flat = Array.concat chains
        let order = Array.init flat.Length id
        Array.Sort(Array.copy flat, order)
        let scores: float[] = Array.zeroCreate flat.Length
        let mutable first = 0

        while first < order.Length do
            let mutable last = first

            while last + 1 < order.Length && flat[order[last + 1]] = flat[order[first]] do
                last <- last + 1

            let rank = 0.5 * float (first + last) + 1.0
            let score = Normal.InvCDF(0.0, 1.0, (rank - 0.375) / (float flat.Length + 0.25))

            for k in first..last do
                scores[order[k]] <- score

            first <- last + 1

        let mutable start = 0

        chains
        |> Array.map (fun c ->
            let part = scores[start .. start + c.Length - 1]
            start <- start + c.Length
            part)

    let private quantile (p: float) (chains: float[][]) : float =
        let sorted = Array.sort (Array.concat chains)
        let place = p * float (sorted.Length - 1)
        let below = int place
        let above = min (below + 1) (sorted.Length - 1)
        sorted[below] + (place - float below) * (sorted[above] - sorted[below])

    /// The larger of the rank-normalised split R-hats of x and of |x − median|; +∞ where there is none.
    let rankRHat (chains: float[][]) : float =
        let median = quantile 0.5 chains
        let folded = chains |> Array.map (Array.map (fun x -> abs (x - median)))
        max (rHat (rankNormalise chains)) (rHat (rankNormalise folded))

    /// The effective sample size of the rank-normalised draws; 0 where there is none.
    let bulkEss (chains: float[][]) : float = ess (rankNormalise chains)

    /// The smaller of the effective sample sizes of the 5 % and 95 % quantiles; 0 where there is none.
    let tailEss (chains: float[][]) : float =
        [ 0.05; 0.95 ]
        |> List.map (fun p ->
            let edge = quantile p chains
            chains |> Array.map (Array.map (fun x -> if x <= edge then 1.0 else 0.0)) |> ess)
        |> List.min

    /// All that several chains say about one parameter.
    let diagnose (name: string) (chains: float[][]) : Diagnosis =
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
            let essOfMean = ess chains
            let squares = squares chains
            let essOfSquares = ess squares
            let spread = sumOfSquares (centred (Array.concat squares)) / n

            { undefined with
                MeanError = sqrt (variance / essOfMean)
                StandardDeviationError =
                    if variance > 0.0 && essOfSquares > 0.0 then
                        sqrt (spread / essOfSquares / (4.0 * variance))
                    else
                        infinity
                Ess = min essOfMean essOfSquares
                BulkEss = bulkEss chains
                TailEss = tailEss chains
                RHat = rHat chains
                RankRHat = rankRHat chains
            }
