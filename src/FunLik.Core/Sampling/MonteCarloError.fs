namespace FunLik

open MathNet.Numerics.Distributions

/// A number estimated from chains, and how far another run would be from it.
type MonteCarloEstimate =
    {
        /// The estimate.
        Value: float
        /// Its Monte Carlo standard error; +∞ where chains tell none.
        Error: float
        /// The effective sample size behind it.
        Ess: float
    }

/// Estimates with Monte Carlo standard errors: Vehtari et al., Bayesian Analysis 16 (2021) 667, section 4. Chains may move in
/// groups, as `Diagnostics` has them; a group of 1 is a chain on its own.
[<RequireQualifiedAccess>]
module MonteCarloError =

    /// The mean.
    let mean (group: int) (chains: float[][]) : MonteCarloEstimate =
        let flat = Array.concat chains
        let ess = Diagnostics.essOfGroups group chains

        {
            Value = Autocovariance.mean flat
            Error =
                if ess > 0.0 then
                    sqrt (Autocovariance.variance flat / ess)
                else
                    infinity
            Ess = ess
        }

    /// The standard deviation, by the delta method from the mean of (x − mean)².
    let standardDeviation (group: int) (chains: float[][]) : MonteCarloEstimate =
        let flat = Array.concat chains
        let centre = Autocovariance.mean flat
        let variance = Autocovariance.variance flat
        let squares = chains |> Array.map (Array.map (fun x -> (x - centre) ** 2.0))
        let ess = Diagnostics.essOfGroups group squares

        {
            Value = sqrt variance
            Error =
                if ess > 0.0 && variance > 0.0 then
                    let spread = Autocovariance.variance (Array.concat squares)
                    sqrt (spread / ess / (4.0 * variance))
                else
                    infinity
            Ess = ess
        }

    /// The probabilities one standard deviation of a normal distribution below and above its middle.
    let private low, high = 0.15865525393145707, 0.8413447460685429

    /// The quantile of probability p, between 0 and 1. The effective size n is that of the draws that are no larger; the error is half of the
    /// distance between the draws at the 16 % and 84 % points of the beta distribution of parameters n·p + 1, n·(1 − p) + 1
    /// (section 4.4): no density is estimated.
    let quantile (group: int) (p: float) (chains: float[][]) : MonteCarloEstimate =
        if not (p > 0.0 && p < 1.0) then
            invalidArg (nameof p) $"{p} is no probability between 0 and 1"

        let sorted = Ranks.sort (Array.concat chains)
        let ess = Diagnostics.quantileEss group p chains
        let count = sorted.Values.Length

        let place (probability: float) : float =
            float count * Beta.InvCDF(ess * p + 1.0, ess * (1.0 - p) + 1.0, probability)

        {
            Value = if count = 0 then nan else Ranks.quantile p sorted
            Error =
                if ess > 0.0 then
                    let first = max 1 (int (floor (place low)))
                    let last = min count (int (ceil (place high)))
                    0.5 * (sorted.Values[last - 1] - sorted.Values[first - 1])
                else
                    infinity
            Ess = ess
        }
