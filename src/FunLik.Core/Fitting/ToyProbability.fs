namespace FunLik

open System
open MathNet.Numerics.Distributions

/// A probability from toys, with its errors.
type ToyProbability =
    {
        /// The share of the toys; NaN where there are none.
        Value: float
        /// The binomial standard error; where none or all of the toys pass, which would make it 0, the length of the interval.
        Error: float
        /// The lower end of the interval of Clopper and Pearson (Biometrika 26 (1934) 404) at 68.27 %.
        Low: float
        /// Its upper end.
        High: float
    }

/// Probabilities from counts of toys.
[<RequireQualifiedAccess>]
module ToyProbability =

    /// What is outside of one standard deviation on one side.
    let private tail = Normal.CDF(0.0, 1.0, -1.0)

    /// The share of `passed` toys of `count`.
    let ofCounts (passed: int) (count: int) : ToyProbability =
        if count = 0 then
            { Value = nan; Error = nan; Low = 0.0; High = 1.0 }
        else
            let k, n = float passed, float count

            let low =
                if passed = 0 then
                    0.0
                else
                    Beta.InvCDF(k, n - k + 1.0, tail)

            let high =
                if passed = count then
                    1.0
                else
                    Beta.InvCDF(k + 1.0, n - k, 1.0 - tail)

            let p = k / n

            {
                Value = p
                Error =
                    if passed = 0 || passed = count then
                        high - low
                    else
                        sqrt (p * (1.0 - p) / n)
                Low = low
                High = high
            }

    /// Whether a toy is at least as far away as the data: one that is the data again counts, whatever rounding says.
    let isBeyond (observed: float) (toy: float) : bool = toy >= observed - 1e-9 * (1.0 + observed)

    /// How often toys are at least as far away as the data; NaN among them, fits that did not converge, are left out.
    let ofToys (observed: float) (toys: float[]) : ToyProbability =
        let good = toys |> Array.filter (Double.IsNaN >> not)
        let passed = good |> Array.filter (isBeyond observed) |> Array.length
        ofCounts passed good.Length

    /// The ratio of two independent probabilities: the standard error is that of small errors, the interval is recovered from those of both
    /// (Donner and Zou, Stat. Methods Med. Res. 21 (2012) 347, eq. 10 and 11). Its upper end is +∞ where the lower part may be 0.
    let ratio (upper: ToyProbability) (lower: ToyProbability) : ToyProbability =
        let value = upper.Value / lower.Value
        let product = upper.Value * lower.Value

        let root (at: float) (other: float) : float =
            product * product
            - at * other * (2.0 * upper.Value - at) * (2.0 * lower.Value - other)
            |> max 0.0
            |> sqrt

        let low =
            let below = lower.High * (2.0 * lower.Value - lower.High)

            if below > 0.0 then
                (product - root upper.Low lower.High) / below
            else
                upper.Low / lower.High

        let high =
            let below = lower.Low * (2.0 * lower.Value - lower.Low)

            if below > 0.0 then
                (product + root upper.High lower.Low) / below
            else
                infinity

        let low, high = max 0.0 (min value low), max value high

        {
            Value = value
            Error =
                if upper.Value > 0.0 then
                    value
                    * sqrt ((upper.Error / upper.Value) ** 2.0 + (lower.Error / lower.Value) ** 2.0)
                else
                    high - low
            Low = low
            High = high
        }
