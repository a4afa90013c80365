namespace FunLik

open System

/// How far a function is from the exact one at some points: in units of the log density.
type Deviations =
    {
        /// The number of points.
        Points: int
        /// The mean of the squared differences.
        Mse: float
        /// The mean of their sizes.
        Mae: float
        /// The largest.
        Largest: float
        /// The mean difference: learnt less exact.
        Bias: float
    }

/// Comparing surrogates with exact values that training never saw.
[<RequireQualifiedAccess>]
module Validate =

    /// Deviations of values from exact ones.
    let deviations (found: float[]) (exact: float[]) : Deviations =
        let differences = Array.map2 (fun (f: float) e -> f - e) found exact

        {
            Points = exact.Length
            Mse = differences |> Array.averageBy (fun d -> d * d)
            Mae = differences |> Array.averageBy abs
            Largest = differences |> Array.map abs |> Array.max
            Bias = Array.average differences
        }

    /// Deviations of a likelihood from exact log densities at points, row-major.
    let against
        (options: RunOptions)
        (points: float[])
        (exact: float[])
        (model: Likelihood)
        : Deviations =
        deviations ((Objective.ofLikelihood model).Values(points, options)) exact

    /// Deviations as JSON.
    let toJson (d: Deviations) : JsonValue =
        JsonValue.Object
            [
                "points", JsonValue.Int(int64 d.Points)
                "mse", JsonValue.Number d.Mse
                "mae", JsonValue.Number d.Mae
                "max", JsonValue.Number d.Largest
                "bias", JsonValue.Number d.Bias
            ]
