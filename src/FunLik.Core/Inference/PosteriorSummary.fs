namespace FunLik

open System.Threading.Tasks

/// What draws say about one parameter.
type ParameterSummary =
    {
        /// The parameter.
        Name: string
        /// The mean.
        Mean: Estimate
        /// The standard deviation.
        Deviation: Estimate
        /// Quantiles by their probabilities.
        Quantiles: (float * Estimate) list
        /// The density, with regions of highest density.
        Marginal: Marginal
        /// Central intervals of the same levels.
        Central: CredibleRegion list
        /// The effective sample size of the mean: of the rank-normalised draws where they have no weights, and chains are independent.
        BulkEss: float
        /// The smaller of those of the 5 % and 95 % quantiles.
        TailEss: float
        /// The rank-normalised split R-hat of the chains as they were drawn, whatever their weights.
        RHat: float
    }

/// What draws say about their parameters.
type PosteriorSummary =
    {
        /// Draws.
        Draws: int
        /// Chains.
        Chains: int
        /// Kish's effective size of the weights; None where draws have none.
        Kish: float option
        /// The parameters, in the order in which they were asked for.
        Parameters: ParameterSummary[]
        /// What a reader should know, as clauses.
        Notes: string list
    }

    /// Whether all R-hats are 1.01 or less, and all effective sample sizes 400 or more: Vehtari et al., Bayesian Analysis 16 (2021) 667.
    member this.IsConverged: bool =
        this.Parameters
        |> Array.forall (fun p -> p.RHat <= 1.01 && min p.BulkEss p.TailEss >= 400.0)

/// Summaries of draws.
[<RequireQualifiedAccess>]
module PosteriorSummary =

    /// The quantiles that are told.
    let probabilities: float list = [ 0.025; 0.16; 0.5; 0.84; 0.975 ]

    let private tailEss (table: DrawTable) (values: float[]) : float =
        Estimate.quantiles [ 0.05; 0.95 ] table values
        |> List.map (fun edge ->
            let struct (_, n) =
                values
                |> Array.map (fun v -> if v <= edge.Value then 1.0 else 0.0)
                |> Estimate.meanAndEss table

            n)
        |> List.min

    /// What draws say about one parameter.
    let parameter
        (levels: ConfidenceLevel list)
        (index: int)
        (table: DrawTable)
        : ParameterSummary =
        let values = DrawTable.flat index table
        let chains = DrawTable.cut table values
        let struct (mean, ess) = Estimate.meanAndEss table values
        let isPlain = table.Weights.IsNone && table.Together = 1

        {
            Name = table.Names[index]
            Mean = mean
            Deviation = Estimate.deviation table values
            Quantiles = List.zip probabilities (Estimate.quantiles probabilities table values)
            Marginal = Credible.marginal levels index table
            Central = Credible.central levels index table
            BulkEss = if isPlain then Diagnostics.bulkEss chains else ess
            TailEss =
                if isPlain then
                    Diagnostics.tailEss chains
                else
                    tailEss table values
            RHat = Diagnostics.rankRHatOfGroups table.Together chains
        }

    let private notes (table: DrawTable) (found: ParameterSummary[]) : string list =
        let short (x: float) : string =
            x.ToString("G4", System.Globalization.CultureInfo.InvariantCulture)

        let worst = found |> Array.maxBy _.RHat
        let fewest = found |> Array.minBy (fun p -> min p.BulkEss p.TailEss)

        let unsettled =
            found
            |> Array.filter (fun p -> p.Marginal.Regions |> List.exists (fun r -> r.Unsettled > 0))
            |> Array.map _.Name

        [
            if not (worst.RHat <= 1.01) then
                $"the chains do not agree: R-hat of '{worst.Name}' is {short worst.RHat}, above 1.01"
            if not (min fewest.BulkEss fewest.TailEss >= 400.0) then
                $"few effective draws: {short (min fewest.BulkEss fewest.TailEss)} of '{fewest.Name}', below 400"
            if unsettled.Length > 0 then
                let names = unsettled |> Array.truncate 5 |> String.concat ", "
                $"how many pieces a region has is not settled by these draws: {names}"
        ]

    /// What draws say about some of their parameters, by their places. No number depends on the number of threads.
    let create
        (options: RunOptions)
        (levels: ConfidenceLevel list)
        (chosen: int[])
        (table: DrawTable)
        : PosteriorSummary =
        let found = Array.zeroCreate<ParameterSummary> chosen.Length

        let parallelism =
            ParallelOptions(
                MaxDegreeOfParallelism = options.Threads,
                CancellationToken = options.Cancellation
            )

        Parallel.For(
            0,
            chosen.Length,
            parallelism,
            fun k -> found[k] <- parameter levels chosen[k] table
        )
        |> ignore

        {
            Draws = table.Count
            Chains = table.Chains
            Kish = table.Weights |> Option.map Estimate.kish
            Parameters = found
            Notes = if found.Length = 0 then [] else notes table found
        }
