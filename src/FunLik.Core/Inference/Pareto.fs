namespace FunLik

open System
open System.Numerics.Tensors

/// Weights whose largest are smoothed, and how heavy their tail is.
type SmoothedWeights =
    {
        /// The logarithms of the weights, up to a constant.
        LogWeights: float[]
        /// The shape k of the generalised Pareto distribution of the largest weights: from ½ on their variance is infinite, from 1 on
        /// their mean. −∞ where they are equal, +∞ where they are too few to tell.
        K: float
        /// How many weights are its tail.
        Tail: int
    }

/// Pareto-smoothed importance sampling: Vehtari, Simpson, Gelman, Yao and Gabry, arXiv:1507.02646.
[<RequireQualifiedAccess>]
module Pareto =

    /// The largest shape at which so many weights can be relied on: min(1 − 1/log₁₀ S, 0.7), section 3.2.4.
    let threshold (count: int) : float = min (1.0 - 1.0 / log10 (float (max 10 count))) 0.7

    /// The shape and the scale of a generalised Pareto distribution of exceedances in increasing order: Zhang and Stephens,
    /// Technometrics 51 (2009) 316, with the weak prior for k around ½ of arXiv:1507.02646, appendix C.
    let fit (exceedances: float[]) : struct (float * float) =
        let n = exceedances.Length
        let size = float n
        let count = 30 + int (sqrt size)
        let quarter = exceedances[max 0 (int (size / 4.0 + 0.5) - 1)]
        let largest = exceedances[n - 1]

        let thetas =
            Array.init count (fun j ->
                1.0 / largest
                + (1.0 - sqrt (float count / (float (j + 1) - 0.5))) / (3.0 * quarter))

        let shape (theta: float) : float =
            exceedances |> Array.averageBy (fun x -> Math.Log(1.0 - theta * x))

        let profile =
            thetas
            |> Array.map (fun theta ->
                let k = shape theta
                size * (Math.Log(-theta / k) - k - 1.0))

        let best = Array.max profile
        let weights = profile |> Array.map (fun l -> exp (l - best))

        let theta =
            TensorPrimitives.Dot(ReadOnlySpan thetas, ReadOnlySpan weights)
            / Array.sum weights

        let k = shape theta
        struct (k * size / (size + 10.0) + 5.0 / (size + 10.0), -k / theta)

    /// Smooths the largest of S weights, min(S/5, 3√(S/r)) of them, r the effective part of the draws: they become the expected order
    /// statistics of the distribution that fits them, no larger than the largest was. Weights of 0 (−∞) stay.
    let smooth (effectivePart: float) (logWeights: float[]) : SmoothedWeights =
        let count = logWeights |> Array.filter (fun l -> l > -infinity) |> Array.length

        let order =
            Array.init logWeights.Length id |> Array.sortBy (fun i -> -logWeights[i], i)

        let tail =
            min
                (float count / 5.0)
                (3.0 * sqrt (float count / Math.Clamp(effectivePart, 1e-3, 1.0)))
            |> ceil
            |> int

        let unchanged (k: float) : SmoothedWeights = { LogWeights = logWeights; K = k; Tail = tail }

        if count = 0 then
            unchanged infinity
        else
            let top = logWeights[order[0]]

            if tail < 5 || tail >= count then
                unchanged infinity
            elif top - logWeights[order[tail]] < 1e-9 then
                unchanged -infinity
            else
                let cutoff = exp (logWeights[order[tail]] - top)

                // In increasing order.
                let chosen = Array.init tail (fun i -> order[tail - 1 - i])

                let exceedances =
                    chosen |> Array.map (fun i -> max 1e-300 (exp (logWeights[i] - top) - cutoff))

                let struct (k, sigma) = fit exceedances
                let smoothed = Array.copy logWeights

                if Double.IsFinite k then
                    chosen
                    |> Array.iteri (fun i row ->
                        let p = (float i + 0.5) / float tail

                        let beyond =
                            if abs k < 1e-12 then
                                -sigma * Math.Log(1.0 - p)
                            else
                                sigma / k * (Math.Pow(1.0 - p, -k) - 1.0)

                        smoothed[row] <- top + min 0.0 (Math.Log(cutoff + beyond)))

                { LogWeights = smoothed; K = k; Tail = tail }
