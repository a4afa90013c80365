namespace FunLik.Api;

/// <summary>How often the true value lies in an interval of χ².</summary>
/// <param name="Level">The level, with what χ² says.</param>
/// <param name="Found">What toys say.</param>
public sealed record WilksCoverage(ConfidenceLevel Level, ToyProbability Found);

/// <summary>A quantile of toys beside that of χ² with one degree of freedom.</summary>
/// <param name="Probability">The probability below it.</param>
/// <param name="Expected">That of χ².</param>
/// <param name="Found">That of the toys.</param>
/// <param name="Low">The toy above which it lies, at 68.27 % together with the next: the number below it is binomial.</param>
/// <param name="High">The toy below which it lies.</param>
public sealed record WilksQuantile(double Probability, double Expected, double Found, double Low, double High);

/// <summary>A bin of a histogram of toys beside χ² with one degree of freedom.</summary>
/// <param name="Low">Where it begins.</param>
/// <param name="High">Where it ends; ∞ for the last.</param>
/// <param name="Count">Toys in it.</param>
/// <param name="Expected">How many χ² expects.</param>
public sealed record WilksBin(double Low, double High, int Count, double Expected);

/// <summary>
/// How t of toys is distributed, beside χ² with one degree of freedom, which it has for large samples (Wilks, Ann. Math. Stat. 9
/// (1938) 60).
/// </summary>
public sealed record WilksResult
{
    /// <summary>The parameter of interest.</summary>
    public required string Poi { get; init; }

    /// <summary>The value at which toys are made and tested.</summary>
    public required double Mu { get; init; }

    /// <summary>The point from which toys are made: the best one with that value, on the data.</summary>
    public required IReadOnlyList<double> Point { get; init; }

    /// <summary>t of each toy; NaN where a fit did not converge.</summary>
    public required IReadOnlyList<double> Toys { get; init; }

    /// <summary>Toys that were left out because a fit did not converge.</summary>
    public required int Lost { get; init; }

    /// <summary>The largest distance between the cumulative distributions of toys and χ² (Kolmogorov and Smirnov).</summary>
    public required double Distance { get; init; }

    /// <summary>The probability of that distance or a larger one.</summary>
    public required double PValue { get; init; }

    /// <summary>How often the value lies in an interval by χ², level by level.</summary>
    public required IReadOnlyList<WilksCoverage> Coverage { get; init; }

    /// <summary>Quantiles, ascending.</summary>
    public required IReadOnlyList<WilksQuantile> Quantiles { get; init; }

    /// <summary>The histogram, ascending.</summary>
    public required IReadOnlyList<WilksBin> Histogram { get; init; }

    /// <summary>How the fits to the data ended.</summary>
    public required FitStatus Status { get; init; }

    /// <summary>What a reader should know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
}
