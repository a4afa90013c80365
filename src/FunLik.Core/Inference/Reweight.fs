namespace FunLik

open System
open System.Numerics.Tensors

/// Whether weighted draws can be relied on.
[<RequireQualifiedAccess>]
type ReweightStatus =
    /// They can.
    | Reliable
    /// The largest weights have too heavy a tail: estimates and their errors are not to be trusted.
    | HeavyTail
    /// Too few draws carry the weight.
    | FewDraws

/// Draws with weights that make them draws of another density.
type Reweighted =
    {
        /// The draws with their new weights, the largest of which is 1.
        Draws: DrawTable
        /// Kish's effective size of the weights, (Σw)² / Σw².
        Kish: float
        /// The shape of the tail of the weights: see `SmoothedWeights`.
        ParetoK: float
        /// The largest shape with which the draws can be relied on.
        Threshold: float
        /// The logarithm of the ratio of the new density's integral to the old one's.
        LogEvidenceRatio: Estimate
        /// Draws of weight 0.
        Lost: int
        /// Whether the rest can be relied on.
        Status: ReweightStatus
        /// What to know about it, as clauses, and what to do.
        Notes: string list
        /// Evaluations of densities.
        Calls: int64
    }

/// How weights are treated.
type ReweightOptions =
    {
        /// Whether the largest weights are smoothed (Pareto-smoothed importance sampling).
        Smooth: bool
        /// Kish's effective size below which draws are too few.
        Least: float
    }

    /// Smoothed, and 100 draws or more.
    static member Default: ReweightOptions = { Smooth = true; Least = 100.0 }

/// Importance weights: draws of one density as draws of another, with another prior, another constraint, in a region, or with the exact
/// likelihood in place of a surrogate.
[<RequireQualifiedAccess>]
module Reweight =

    /// Draws weighted by ratios of the new density to the old one at each draw, as logarithms: −∞ is a weight of 0. Weights that the draws
    /// have already are kept as factors. Raises an error for ratios that are no numbers or all −∞.
    let byRatios (options: ReweightOptions) (logRatios: float[]) (table: DrawTable) : Reweighted =
        let bad = logRatios |> Array.tryFindIndex (fun l -> Double.IsNaN l || l = infinity)

        match bad with
        | Some row ->
            Error.make ErrorKind.Value "the ratio of two densities at a draw is no number"
            |> Error.at $"draw {row}"
            |> Error.found $"exp({logRatios[row]})"
            |> Error.hint
                "Draws are made where the old density is positive; is it that of the draws?"
            |> Error.fail
            |> Error.orRaise
        | None -> ()

        let before = DrawTable.weights table |> Array.map Math.Log
        let raw = Array.map2 (+) before logRatios
        let top = Array.max raw

        if Double.IsNegativeInfinity top then
            Error.make ErrorKind.Value "no draw is left: the new density is zero at all of them"
            |> Error.found $"{table.Count} draws"
            |> Error.hint "Sample the new density itself."
            |> Error.fail
            |> Error.orRaise

        let scaled = raw |> Array.map (fun l -> exp (l - top))

        let effectivePart =
            (DrawTable.cut table scaled |> Diagnostics.ess) / float table.Count

        let smoothed = Pareto.smooth effectivePart raw
        let logWeights = if options.Smooth then smoothed.LogWeights else raw
        let highest = Array.max logWeights
        let weights = logWeights |> Array.map (fun l -> exp (l - highest))
        let draws = DrawTable.withWeights weights table
        let kish = Estimate.kish weights
        let counted = raw |> Array.filter (fun l -> l > -infinity) |> Array.length
        let threshold = Pareto.threshold counted

        // The mean of the ratios under the old weights, and its error along the chains: none where all are the same.
        let ratio =
            let ratios =
                logWeights
                |> Array.map2
                    (fun b l ->
                        if Double.IsNegativeInfinity b then
                            0.0
                        else
                            exp (l - b - top))
                    before

            if ratios |> Array.forall (fun r -> r = ratios[0]) then
                { Value = ratios[0]; Error = 0.0 }
            else
                Estimate.mean table ratios

        let status =
            if smoothed.K > threshold then ReweightStatus.HeavyTail
            elif kish < options.Least then ReweightStatus.FewDraws
            else ReweightStatus.Reliable

        let short (x: float) : string = x.ToString("G3", Globalization.CultureInfo.InvariantCulture)

        {
            Draws = draws
            Kish = kish
            ParetoK = smoothed.K
            Threshold = threshold
            LogEvidenceRatio =
                { Value = top + Math.Log ratio.Value; Error = ratio.Error / ratio.Value }
            Lost = table.Count - counted
            Status = status
            Notes =
                match status with
                | ReweightStatus.Reliable -> []
                | ReweightStatus.HeavyTail ->
                    [
                        $"the largest weights have a heavy tail (Pareto k {short smoothed.K} above {short threshold}): "
                        + "go on from draws resampled by these weights with steps on the new density, or sample it itself"
                    ]
                | ReweightStatus.FewDraws ->
                    [
                        $"the weights leave {short kish} effective draws of {table.Count} (below {short options.Least}): "
                        + "take more draws, or sample the new density itself"
                    ]
            Calls = 0L
        }

    /// The same for parameters in the order of the draws; raises an error where an objective has others.
    let private values (options: RunOptions) (objective: Objective) (table: DrawTable) : float[] =
        let names = objective.Parameters |> Array.map _.Name

        if names <> table.Names then
            Error.make ErrorKind.Name "the density has other parameters than the draws"
            |> Error.found (String.concat ", " names)
            |> Error.expected (String.concat ", " table.Names)
            |> Error.fail
            |> Error.orRaise

        objective.Values(table.Points, options)

    /// Draws as draws of a target. They were made with the log densities that the table has; where it has none, or another is meant, `from`
    /// is the density of which they are draws.
    let toDensity
        (run: RunOptions)
        (options: ReweightOptions)
        (from: Objective option)
        (target: Objective)
        (table: DrawTable)
        : Reweighted =
        let old =
            from
            |> Option.map (fun f -> values run f table)
            |> Option.defaultValue table.LogDensity

        old
        |> Array.tryFindIndex (Double.IsFinite >> not)
        |> Option.iter (fun row ->
            Error.make ErrorKind.Value "the log density of a draw is not known, or not finite"
            |> Error.at $"draw {row}"
            |> Error.found $"{old[row]}"
            |> Error.hint "Name the model or the surrogate that the draws were made with."
            |> Error.fail
            |> Error.orRaise)

        let found = values run target table
        let reweighted = byRatios options (Array.map2 (-) found old) table

        { reweighted with
            Draws = { reweighted.Draws with LogDensity = found }
            Calls = int64 table.Count * (if from.IsSome then 2L else 1L)
        }

    /// Draws with further factors on their density: a region, a constraint, another prior where the old one is flat.
    let byFactors
        (options: ReweightOptions)
        (factors: PriorFactor list)
        (table: DrawTable)
        : Result<Reweighted, Error list> =
        PriorFactor.logs factors table
        |> Result.map (fun logs ->
            let found = byRatios options logs table
            let draws = PriorFactor.narrowed factors found.Draws
            let values = Array.map2 (+) draws.LogDensity logs
            { found with Draws = { draws with LogDensity = values } })

    /// Rows drawn in proportion to the weights, so that they need none: systematic resampling (Kitagawa, J. Comput. Graph. Stat. 5
    /// (1996) 1), in the order of the draws. Rows of large weight appear more than once.
    let resample (key: Key) (count: int) (table: DrawTable) : int[] =
        let cumulative = DrawTable.weights table |> Array.scan (+) 0.0
        let total = cumulative[table.Count]
        let u = (Key.uniforms 1 key)[0]
        let mutable row = 0

        Array.init count (fun k ->
            let wanted = (float k + u) / float count * total

            while row < table.Count - 1 && cumulative[row + 1] < wanted do
                row <- row + 1

            row)

    /// The points of draws resampled by their weights, as starts of so many chains on a density.
    let starts
        (options: RunOptions)
        (objective: Objective)
        (key: Key)
        (chains: int)
        (table: DrawTable)
        : Chains =
        resample key chains table
        |> Array.collect (fun row -> DrawTable.point row table)
        |> Chains.start options objective

    /// Means and covariance (row-major) of weighted draws.
    let moments (table: DrawTable) : struct (float[] * float[]) =
        let n = table.Dimension
        let weights = DrawTable.weights table
        let total = Array.sum weights
        let mean: float[] = Array.zeroCreate n
        let covariance: float[] = Array.zeroCreate (n * n)

        for r in 0 .. table.Count - 1 do
            TensorPrimitives.MultiplyAdd(
                ReadOnlySpan(table.Points, r * n, n),
                weights[r] / total,
                ReadOnlySpan mean,
                Span mean
            )

        let centred: float[] = Array.zeroCreate n

        for r in 0 .. table.Count - 1 do
            if weights[r] > 0.0 then
                TensorPrimitives.Subtract(
                    ReadOnlySpan(table.Points, r * n, n),
                    ReadOnlySpan mean,
                    Span centred
                )

                for i in 0 .. n - 1 do
                    let target = Span(covariance, i * n, n)

                    TensorPrimitives.MultiplyAdd(
                        ReadOnlySpan centred,
                        weights[r] / total * centred[i],
                        Span.op_Implicit target,
                        target
                    )

        struct (mean, covariance)

    /// Goes on from poor weights: chains start at draws resampled by them, and take steps of Hamiltonian Monte Carlo on the target,
    /// whose metric is the covariance of the weighted draws and whose step is halved until 60 % of trajectories are accepted. The
    /// first `skip` steps are left out; after enough of them the draws are the target's, whatever the weights were.
    let refresh
        (options: RunOptions)
        (target: Objective)
        (key: Key)
        (chains: int)
        (skip: int)
        (perChain: int)
        (table: DrawTable)
        : SamplingRun =
        let struct (_, covariance) = moments table
        let n = table.Dimension

        let metric =
            Metric.ofCovariance n covariance
            |> Option.defaultWith (fun () ->
                Metric.ofVariances (Array.init n (fun i -> covariance[i * n + i])))

        let keys = Key.splitN 3 key
        let start = starts options target keys[0] chains table

        let rec settle (step: float) (round: int) : Sampler * Chains =
            let sampler = Hamiltonian.settings step metric |> Hamiltonian.sampler options target

            let pilot =
                Sampling.steps sampler (Key.fold round keys[1]) start
                |> Seq.truncate (max 4 skip)
                |> Array.ofSeq

            let acceptance =
                pilot |> Array.averageBy (fun (struct (_, info)) -> info.MeanAcceptance)

            if acceptance < 0.6 && round < 8 then
                settle (0.5 * step) (round + 1)
            else
                let struct (last, _) = Array.last pilot
                sampler, last

        let sampler, begun = settle (Math.Pow(float n, -0.25)) 0

        Sampling.init table.Names begun
        |> Sampling.until (SamplingGoal.Draws perChain) sampler keys[2]
        |> Seq.last
