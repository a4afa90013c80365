namespace FunLik.Api;

/// <summary>A scan of several parameters on a grid.</summary>
public sealed record GridScanResult
{
    /// <summary>The parameters and their values.</summary>
    public required IReadOnlyList<GridAxis> Axes { get; init; }

    /// <summary>
    /// -2 log of the largest density at each point over the largest anywhere: 0 or more; ∞ where there is no density. Row-major, the
    /// last axis fastest.
    /// </summary>
    public required IReadOnlyList<double> TwiceDeltaNll { get; init; }

    /// <summary>How the fit at each point ended.</summary>
    public required IReadOnlyList<FitStatus> Status { get; init; }

    /// <summary>The best point at each point of the grid, in the order of the model's parameters.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> Points { get; init; }

    /// <summary>The fit with the parameters free: what the scan is relative to.</summary>
    public required FitResult Minimum { get; init; }

    /// <summary>Whether the other parameters of interest were held at their nominal values, in the minimum too.</summary>
    public required bool Frozen { get; init; }

    /// <summary>Evaluations of value and gradient together, of all fits.</summary>
    public required int Evaluations { get; init; }

    /// <summary>What a reader of the scan should know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>The place in the lists of a point of the grid.</summary>
    /// <param name="indices">The place on each axis.</param>
    /// <exception cref="ArgumentOutOfRangeException">Not one index an axis, or an index beyond its axis.</exception>
    public int IndexOf(params ReadOnlySpan<int> indices)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(indices.Length, Axes.Count, nameof(indices));
        var place = 0;

        for (var i = 0; i < indices.Length; i++)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(indices[i], nameof(indices));
            ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(indices[i], Axes[i].Values.Count, nameof(indices));
            place = place * Axes[i].Values.Count + indices[i];
        }

        return place;
    }
}
