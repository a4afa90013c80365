namespace FunLik

open System

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
///
/// Chains that move together (walkers of one ensemble) are no independent chains: what stands next to each other in groups is
/// treated as one. R-hat compares whole groups. The effective size is that of the mean over all draws, whose error the means of
/// groups, step by step, have as a series of their own: Goodman and Weare, Comm. App. Math. Comp. Sci. 5 (2010) 65, section 3.
/// A group of 1 is a chain on its own.
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

    let private requireGroups (group: int) (chains: float[][]) : unit =
        if group < 1 || chains.Length % group <> 0 then
            invalidArg (nameof group) $"{chains.Length} chains are no groups of {group}"

    /// Both halves of each chain; the draw in the middle of an odd number is left out.
    let private split (chains: float[][]) : float[][] =
        chains
        |> Array.collect (fun c ->
            let half = c.Length / 2
            [| c[.. half - 1]; c[c.Length - half ..] |])

    /// The groups of split chains: of each group its first halves, and its second halves.
    let private halves (group: int) (chains: float[][]) : float[][][] =
        split chains
        |> Array.chunkBySize (2 * group)
        |> Array.collect (fun both ->
            [| 0; 1 |]
            |> Array.map (fun side -> Array.init group (fun k -> both[2 * k + side])))

    /// The mean over the chains of a group after each step.
    let private meanOver (group: float[][]) : float[] =
        if group.Length = 1 then
            group[0]
        else
            Array.init group[0].Length (fun t -> group |> Array.averageBy (fun c -> c[t]))

    /// The series of the means of each group, one for each group.
    let groupMeans (group: int) (chains: float[][]) : float[][] =
        requireGroups group chains
        chains |> Array.chunkBySize group |> Array.map meanOver

    /// The variance within chains, and the pooled estimate of the variance.
    let private variances (chains: float[][]) : struct (float * float) =
        let n = float chains[0].Length
        let within = chains |> Array.averageBy Autocovariance.variance
        let means = chains |> Array.map Autocovariance.mean

        let between =
            if chains.Length < 2 then
                0.0
            else
                Autocovariance.variance means

        struct (within, within * (n - 1.0) / n + between)

    /// Eq. 10 to 13, without splitting: Geyer's initial positive and monotone sequence of the pooled
    /// autocorrelations, no more than N·log₁₀ N.
    let private essOf (chains: float[][]) : float =
        let n = chains[0].Length
        let total = float (n * chains.Length)
        let struct (within, pooled) = variances chains
        let lags = chains |> Array.map Autocovariance.at

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

    /// The size of independent draws whose mean has the variance that the mean of these has.
    let private groupedEss (groups: float[][][]) : float =
        let means = groups |> Array.map meanOver

        if groups[0].Length = 1 then
            essOf means
        else
            let struct (_, all) = groups |> Array.map Array.concat |> variances
            let struct (_, ofMeans) = variances means
            if ofMeans > 0.0 then all / ofMeans * essOf means else 0.0

    let private groupedRHat (groups: float[][][]) : float =
        let struct (within, pooled) = groups |> Array.map Array.concat |> variances
        if within > 0.0 then sqrt (pooled / within) else infinity

    let private defined
        (group: int)
        (chains: float[][])
        (fallback: float)
        (compute: float[][][] -> float)
        : float =
        requireGroups group chains

        if (status chains).IsDefined then
            let value = compute (halves group chains)
            if Double.IsNaN value then fallback else value
        else
            fallback

    /// The effective sample size of the mean of split chains that move in groups; 0 where there is none.
    let essOfGroups (group: int) (chains: float[][]) : float = defined group chains 0.0 groupedEss

    /// The effective sample size of the mean of split chains; 0 where there is none.
    let ess (chains: float[][]) : float = essOfGroups 1 chains

    let private squares (chains: float[][]) : float[][] =
        let all = Autocovariance.mean (Array.concat chains)
        chains |> Array.map (Array.map (fun x -> (x - all) * (x - all)))

    /// The smaller of the effective sample sizes of x and of (x − mean)², of chains that move in groups.
    let honestEssOfGroups (group: int) (chains: float[][]) : float =
        min (essOfGroups group chains) (essOfGroups group (squares chains))

    /// The smaller of the effective sample sizes of x and of (x − mean)².
    let honestEss (chains: float[][]) : float = honestEssOfGroups 1 chains

    /// Split R-hat of chains that move in groups, eq. 1 to 4; +∞ where there is none.
    let rHatOfGroups (group: int) (chains: float[][]) : float =
        defined group chains infinity groupedRHat

    /// Split R-hat, eq. 1 to 4; +∞ where there is none.
    let rHat (chains: float[][]) : float = rHatOfGroups 1 chains

    /// Normal scores of the ranks among all draws, eq. 14; equal draws share their mean rank.
    let rankNormalise (chains: float[][]) : float[][] =
        let flat = Array.concat chains
        Ranks.sort flat |> Ranks.scored (Ranks.scores flat.Length) |> Ranks.cut chains

    let private rankRHatOf
        (group: int)
        (table: float[])
        (chains: float[][])
        (scores: float[][])
        (sorted: Ranked)
        : float =
        max
            (rHatOfGroups group scores)
            (Ranks.folded sorted
             |> Ranks.scored table
             |> Ranks.cut chains
             |> rHatOfGroups group)

    let private essAtMost (group: int) (chains: float[][]) (edge: float) : float =
        chains
        |> Array.map (Array.map (fun x -> if x <= edge then 1.0 else 0.0))
        |> essOfGroups group

    let private tailEssOf (group: int) (chains: float[][]) (sorted: Ranked) : float =
        let at (p: float) : float = essAtMost group chains (Ranks.quantile p sorted)
        min (at 0.05) (at 0.95)

    /// Computes what needs all draws in order, where there is anything to compute.
    let private ordered
        (fallback: float)
        (compute: float[] -> Ranked -> float)
        (chains: float[][])
        : float =
        if (status chains).IsDefined then
            let flat = Array.concat chains
            compute (Ranks.scores flat.Length) (Ranks.sort flat)
        else
            fallback

    /// The larger of the rank-normalised split R-hats of x and of |x − median|, of chains that move in groups; +∞ where there is none.
    let rankRHatOfGroups (group: int) (chains: float[][]) : float =
        ordered
            infinity
            (fun table sorted ->
                let scores = Ranks.scored table sorted |> Ranks.cut chains
                rankRHatOf group table chains scores sorted)
            chains

    /// The larger of the rank-normalised split R-hats of x and of |x − median|; +∞ where there is none.
    let rankRHat (chains: float[][]) : float = rankRHatOfGroups 1 chains

    /// The effective sample size of the rank-normalised draws; 0 where there is none.
    let bulkEss (chains: float[][]) : float = ess (rankNormalise chains)

    /// The smaller of the effective sample sizes of the 5 % and 95 % quantiles; 0 where there is none.
    let tailEss (chains: float[][]) : float =
        ordered 0.0 (fun _ sorted -> tailEssOf 1 chains sorted) chains

    /// The effective sample size of a quantile: of draws that are no larger than it, of chains that move in groups; 0 where there is
    /// none. The same, section 4.2.
    let quantileEss (group: int) (p: float) (chains: float[][]) : float =
        ordered 0.0 (fun _ sorted -> essAtMost group chains (Ranks.quantile p sorted)) chains

    let private diagnosed
        (group: int)
        (table: float[])
        (name: string)
        (chains: float[][])
        : Diagnosis =
        let status = status chains
        let flat = Array.concat chains

        let mean = if flat.Length = 0 then 0.0 else Autocovariance.mean flat

        let n = float flat.Length

        let variance =
            Autocovariance.sumOfSquares (Autocovariance.centred flat) / max 1.0 (n - 1.0)

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
            let sorted = Ranks.sort flat
            let scores = Ranks.scored table sorted |> Ranks.cut chains
            let essOfMean = essOfGroups group chains
            let squares = squares chains
            let essOfSquares = essOfGroups group squares

            let spread =
                Autocovariance.sumOfSquares (Autocovariance.centred (Array.concat squares)) / n

            let error (x: float) : float = if Double.IsFinite x then sqrt x else infinity

            { undefined with
                MeanError = error (variance / essOfMean)
                StandardDeviationError = error (spread / essOfSquares / (4.0 * variance))
                Ess = min essOfMean essOfSquares
                BulkEss = essOfGroups group scores
                TailEss = tailEssOf group chains sorted
                RHat = rHatOfGroups group chains
                RankRHat = rankRHatOf group table chains scores sorted
            }

    /// All that chains say that move in groups about each of several parameters, of which `series` gives the draws.
    let diagnoseGroups (group: int) (names: string[]) (series: int -> float[][]) : Diagnosis[] =
        let next (table: float[]) (i: int, name: string) : Diagnosis * float[] =
            let chains = series i
            let total = chains |> Array.sumBy _.Length

            let table = if table.Length = total then table else Ranks.scores total

            diagnosed group table name chains, table

        Array.indexed names |> Array.mapFold next [||] |> fst

    /// All that several chains say about each of several parameters, of which `series` gives the draws.
    let diagnoseAll (names: string[]) (series: int -> float[][]) : Diagnosis[] =
        diagnoseGroups 1 names series

    /// All that several chains say about one parameter.
    let diagnose (name: string) (chains: float[][]) : Diagnosis =
        (diagnoseAll [| name |] (fun _ -> chains))[0]
