namespace FunLik.Api;

/// <summary>A scan of one parameter.</summary>
public sealed record ScanResult
{
    /// <summary>The parameter.</summary>
    public required string Parameter { get; init; }

    /// <summary>Its values.</summary>
    public required IReadOnlyList<double> X { get; init; }

    /// <summary>-2 log of the largest density at each value over the largest anywhere: 0 or more; ∞ where there is no density.</summary>
    public required IReadOnlyList<double> TwiceDeltaNll { get; init; }

    /// <summary>How the fit at each value ended.</summary>
    public required IReadOnlyList<FitStatus> Status { get; init; }

    /// <summary>The best point at each value, in the order of the model's parameters.</summary>
    public required IReadOnlyList<IReadOnlyList<double>> Points { get; init; }

    /// <summary>
    /// The fit at each value: how it ended, what is left of its gradient, its active bounds, its different minima. A covariance is that of
    /// the minimum alone.
    /// </summary>
    public required IReadOnlyList<FitResult> Fits { get; init; }

    /// <summary>The fit with the parameter free: what the scan is relative to.</summary>
    public required FitResult Minimum { get; init; }

    /// <summary>Whether the other parameters of interest were held at their nominal values, in the minimum too.</summary>
    public required bool Frozen { get; init; }

    /// <summary>Evaluations of value and gradient together, of all fits.</summary>
    public required int Evaluations { get; init; }

    /// <summary>What a reader of the scan should know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
}

/// <summary>How far a long call is.</summary>
/// <param name="Stage">What is being done.</param>
/// <param name="Done">How much of it is done.</param>
/// <param name="Total">How much there is; 0 where nobody knows.</param>
public sealed record FitProgress(string Stage, long Done, long Total);
