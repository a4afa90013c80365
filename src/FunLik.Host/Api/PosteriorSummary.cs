namespace FunLik.Api;

/// <summary>A number found from draws.</summary>
/// <param name="Value">The number.</param>
/// <param name="Error">Its Monte Carlo standard error: ∞ where the draws do not tell.</param>
public sealed record Estimate(double Value, double Error);

/// <summary>An end of a piece of a region.</summary>
/// <param name="Value">The parameter there.</param>
/// <param name="Error">Its Monte Carlo standard error: 0 where the density itself ends.</param>
/// <param name="IsBound">Whether the density ends there.</param>
public sealed record CredibleEdge(double Value, double Error, bool IsBound);

/// <summary>Neighbouring values that are in a region.</summary>
/// <param name="Low">The lower end.</param>
/// <param name="High">The upper end.</param>
public sealed record CrediblePiece(CredibleEdge Low, CredibleEdge High)
{
    /// <summary>Whether a value is inside, ends included.</summary>
    /// <param name="value">The value.</param>
    public bool Contains(double value) => value >= Low.Value && value <= High.Value;
}

/// <summary>Values of a parameter that hold a probability: a union of disjoint pieces.</summary>
/// <param name="Probability">The probability that was asked for, between 0 and 1.</param>
/// <param name="Content">The part of the draws inside.</param>
/// <param name="Pieces">The pieces, in ascending order.</param>
/// <param name="Unsettled">Without some batches of draws the region has another number of pieces: how many of these batches there are.</param>
public sealed record CredibleRegion(double Probability, double Content, IReadOnlyList<CrediblePiece> Pieces, int Unsettled);

/// <summary>A quantile of draws.</summary>
/// <param name="Probability">The probability below it, between 0 and 1.</param>
/// <param name="Estimate">The quantile, in units of the parameter.</param>
public sealed record PosteriorQuantile(double Probability, Estimate Estimate);

/// <summary>A smooth density of one parameter, its integral 1.</summary>
/// <param name="X">Values of the parameter, evenly spaced.</param>
/// <param name="Y">The density there, per unit of the parameter.</param>
/// <param name="Bandwidth">The standard deviation of the normal kernel, in units of the parameter.</param>
public sealed record DensityCurve(IReadOnlyList<double> X, IReadOnlyList<double> Y, double Bandwidth);

/// <summary>What draws say about one parameter, every number with its Monte Carlo standard error.</summary>
public sealed record ParameterSummary
{
    /// <summary>The parameter.</summary>
    public required string Name { get; init; }

    /// <summary>The mean.</summary>
    public required Estimate Mean { get; init; }

    /// <summary>The standard deviation.</summary>
    public required Estimate Deviation { get; init; }

    /// <summary>The quantiles of 2.5 %, 16 %, 50 %, 84 % and 97.5 %.</summary>
    public required IReadOnlyList<PosteriorQuantile> Quantiles { get; init; }

    /// <summary>The regions of highest density, level by level.</summary>
    public required IReadOnlyList<CredibleRegion> Hpdi { get; init; }

    /// <summary>Central intervals, as much probability below as above, level by level.</summary>
    public required IReadOnlyList<CredibleRegion> Central { get; init; }

    /// <summary>The regions of highest density from a histogram, where they were asked for.</summary>
    public required IReadOnlyList<CredibleRegion> Histogram { get; init; }

    /// <summary>The density.</summary>
    public required DensityCurve Density { get; init; }

    /// <summary>The effective sample size of the mean: of the rank-normalised draws where they have no weights.</summary>
    public required double BulkEss { get; init; }

    /// <summary>The smaller of those of the 5 % and 95 % quantiles.</summary>
    public required double TailEss { get; init; }

    /// <summary>The rank-normalised split R-hat of the chains as they were drawn, whatever their weights.</summary>
    public required double RHat { get; init; }
}

/// <summary>What draws say about their parameters.</summary>
public sealed record PosteriorSummary
{
    /// <summary>Draws.</summary>
    public required int Draws { get; init; }

    /// <summary>Chains.</summary>
    public required int Chains { get; init; }

    /// <summary>Kish's effective number of weighted draws: how many of equal weight tell as much; null where draws have no weights.</summary>
    public double? Kish { get; init; }

    /// <summary>The parameters, in the order in which they were asked for.</summary>
    public required IReadOnlyList<ParameterSummary> Parameters { get; init; }

    /// <summary>Whether all R-hats are 1.01 or less, and all effective sample sizes 400 or more.</summary>
    public required bool IsConverged { get; init; }

    /// <summary>What a reader should know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>What draws say about a parameter.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <exception cref="KeyNotFoundException">There is no such parameter among those summarised.</exception>
    public ParameterSummary this[string name] =>
        Parameters.FirstOrDefault(p => p.Name == name) ?? throw new KeyNotFoundException($"There is no parameter '{name}'.");
}
