namespace FunLik

open MathNet.Numerics.Distributions

/// How evenly the ranks of one quantity fall.
type RankTest =
    {
        /// The quantity.
        Name: string
        /// How many ranks fall into each bin.
        Counts: int[]
        /// Σ (count − expected)²/expected.
        Statistic: float
        /// The probability that even ranks give as large a statistic: χ² with one degree of freedom less than bins.
        PValue: float
    }

/// What simulation-based calibration found.
type Calibration =
    {
        /// The test of each quantity.
        Tests: RankTest[]
        /// The probability with which a right sampler would be refused at all.
        FalseAlarm: float
    }

    /// The smallest p-value times the number of quantities (Bonferroni), 1 at most.
    member this.PValue: float =
        min 1.0 (float this.Tests.Length * (this.Tests |> Array.map _.PValue |> Array.min))

    /// Whether the ranks are as even as they should be.
    member this.IsCalibrated: bool = this.PValue >= this.FalseAlarm

/// Simulation-based calibration: Talts, Betancourt, Simpson, Vehtari and Gelman, arXiv:1804.06788. A parameter point is drawn from the
/// prior, data from the model at that point, and draws from the posterior of these data by the sampler to be tested. The rank of the
/// point among independent draws is uniform, for any function of the parameters (of the data too: Modrák et al., arXiv:2211.02383).
[<RequireQualifiedAccess>]
module Calibration =

    /// How many draws are below a value: 0 to their number. Draws of a density are never equal to it.
    let rank (draws: float[]) (value: float) : int =
        draws |> Array.sumBy (fun draw -> if draw < value then 1 else 0)

    /// Tests ranks from 0 to `draws`, in bins of ranks next to each other. Expected counts are those of the ranks in each bin; 10 or more of
    /// them make χ² a good approximation.
    let test (name: string) (draws: int) (bins: int) (ranks: int[]) : RankTest =
        if bins < 2 || bins > draws + 1 then
            invalidArg (nameof bins) $"{bins} bins of {draws + 1} ranks"

        let bin (rank: int) : int = rank * bins / (draws + 1)
        let counts = Array.zeroCreate bins
        let shares = Array.zeroCreate bins

        for r in 0..draws do
            shares[bin r] <- shares[bin r] + 1.0 / float (draws + 1)

        for r in ranks do
            counts[bin r] <- counts[bin r] + 1

        let statistic =
            Array.map2
                (fun count share ->
                    let expected = share * float ranks.Length
                    (float count - expected) ** 2.0 / expected)
                counts
                shares
            |> Array.sum

        {
            Name = name
            Counts = counts
            Statistic = statistic
            PValue = 1.0 - ChiSquared.CDF(float (bins - 1), statistic)
        }

    /// Calibration from replicates: each gives the quantities at the point that the data came from, and, draw by draw, at draws of the
    /// posterior. All replicates have the same number of draws. A right sampler is refused with the probability `falseAlarm`, or less.
    let ofReplicates
        (falseAlarm: float)
        (bins: int)
        (names: string[])
        (replicates: struct (float[] * float[][])[])
        : Calibration =
        let draws =
            let struct (_, first) = replicates[0]
            first.Length

        let ranks (quantity: int) : int[] =
            replicates
            |> Array.map (fun (struct (truth, posterior)) ->
                if posterior.Length <> draws then
                    invalidArg (nameof replicates) $"{posterior.Length} draws, and {draws}"

                rank (posterior |> Array.map (fun d -> d[quantity])) truth[quantity])

        {
            Tests = names |> Array.mapi (fun q name -> test name draws bins (ranks q))
            FalseAlarm = falseAlarm
        }
