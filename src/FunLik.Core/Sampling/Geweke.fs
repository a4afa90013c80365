namespace FunLik

open System
open MathNet.Numerics.Distributions

/// Geweke's comparison of the beginning of each chain with its end.
type Geweke =
    {
        /// The difference of the two means in standard errors, one number a chain: standard normal for stationary chains. NaN where a
        /// chain has no variance.
        Z: float[]
        /// The probability that stationary independent chains are as far away or farther: Σ z² as χ² with a degree of freedom a chain.
        PValue: float
    }

/// Geweke's diagnostic: Bayesian Statistics 4 (1992) 169. The variance of a mean is the spectral density at frequency 0 over the number of
/// draws; it is that of the autoregressive process of the largest likelihood (`AutoRegression.fit`), as in coda's `geweke.diag`.
/// Walkers of an ensemble are no chains: give the means of ensembles (`Diagnostics.groupMeans`).
[<RequireQualifiedAccess>]
module Geweke =

    let private ofParts (first: float[]) (last: float[]) : float =
        let variance (part: float[]) : float =
            match AutoRegression.fit [| part |] with
            | Some process' -> process'.Spectrum / float part.Length
            | None -> nan

        (Autocovariance.mean first - Autocovariance.mean last)
        / sqrt (variance first + variance last)

    /// The first and the last of so many fractions of each chain, which together leave something out.
    let compareParts (first: float) (last: float) (chains: float[][]) : Geweke =
        if not (first > 0.0 && last > 0.0 && first + last < 1.0) then
            invalidArg (nameof first) $"{first} and {last} are no fractions of a chain, apart"

        let z =
            chains
            |> Array.map (fun chain ->
                let part (fraction: float) : int = int (fraction * float chain.Length)
                ofParts chain[.. part first - 1] chain[chain.Length - part last ..])

        {
            Z = z
            PValue =
                if z.Length = 0 || z |> Array.exists (Double.IsFinite >> not) then
                    nan
                else
                    let squares = z |> Array.sumBy (fun v -> v * v)
                    1.0 - ChiSquared.CDF(float z.Length, squares)
        }

    /// The first tenth and the last half of each chain, Geweke's own choice. A tenth has 8 draws or more, else z is NaN.
    let compare (chains: float[][]) : Geweke = compareParts 0.1 0.5 chains

    /// z after so many draws of each chain have been left out: the draws that go, evenly from none to half of a chain, and z of each chain.
    /// Where a burn-in was too short, z falls to its usual size as it is left out.
    let curve (points: int) (chains: float[][]) : (int * float[])[] =
        let shortest = chains |> Array.map _.Length |> Array.min

        Array.init points (fun k -> k * (shortest / 2) / max 1 (points - 1))
        |> Array.map (fun skip -> skip, (compare (chains |> Array.map (Array.skip skip))).Z)
