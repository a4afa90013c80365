namespace FunLik

/// The test of Kolmogorov and Smirnov: whether values come from a distribution.
type KolmogorovTest =
    {
        /// The largest distance between the cumulative distributions.
        Distance: float
        /// The probability of that distance or a larger one.
        PValue: float
    }

/// Comparing values with a continuous distribution.
[<RequireQualifiedAccess>]
module Kolmogorov =

    /// The probability that the scaled distance of many values is λ or more: 2 Σ (−1)ᵏ⁻¹ exp(−2k²λ²), or its other form where λ is small.
    let survival (lambda: float) : float =
        if lambda <= 0.0 then
            1.0
        elif lambda < 1.18 then
            let e = -(System.Math.PI * System.Math.PI) / (8.0 * lambda * lambda)

            let below = [ 1.0; 3.0; 5.0; 7.0 ] |> List.sumBy (fun odd -> exp (odd * odd * e))

            1.0 - sqrt (2.0 * System.Math.PI) / lambda * below
        else
            2.0
            * ([ 1..6 ]
               |> List.sumBy (fun k ->
                   let sign = if k % 2 = 1 then 1.0 else -1.0
                   sign * exp (-2.0 * float (k * k) * lambda * lambda)))

    /// Compares values with a cumulative distribution; the probability is within some thousandths from 20 values on (Stephens, J. R. Stat.
    /// Soc. B 32 (1970) 115). Where values can be equal it is too large.
    let test (cdf: float -> float) (values: float[]) : KolmogorovTest =
        let sorted = Array.sort values
        let n = float sorted.Length

        let distance =
            sorted
            |> Seq.mapi (fun i x ->
                let f = cdf x
                max (f - float i / n) (float (i + 1) / n - f))
            |> Seq.fold max 0.0

        let root = sqrt n

        {
            Distance = distance
            PValue = survival ((root + 0.12 + 0.11 / root) * distance)
        }
