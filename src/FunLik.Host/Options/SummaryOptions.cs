namespace FunLik.Api;

/// <summary>What to say of draws.</summary>
public sealed record SummaryOptions
{
    /// <summary>The names of the parameters. Default: empty, which takes all.</summary>
    public IReadOnlyList<string> Parameters { get; init; } = [];

    /// <summary>The probabilities of regions. Default: empty, which takes 68.27 %, 95.45 % and 99.73 %.</summary>
    public IReadOnlyList<Level> Levels { get; init; } = [];

    /// <summary>
    /// Gives regions of highest density from a histogram of so many bins too, as the papers' code does (arXiv:1911.03305). Default (null): no.
    /// </summary>
    public int? HistogramBins { get; init; }

    /// <summary>The largest number of threads; no result depends on it. Default: all cores.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;
}

/// <summary>How weights of draws are treated.</summary>
public sealed record ReweightOptions
{
    /// <summary>Whether the largest weights are smoothed (Pareto-smoothed importance sampling, arXiv:1507.02646). Default: yes.</summary>
    public bool Smooth { get; init; } = true;

    /// <summary>Kish's effective number of draws below which they are too few. Default: 100.</summary>
    public double Least { get; init; } = 100;
}

/// <summary>Of which parameter to read a profile off draws.</summary>
/// <param name="Parameter">The name of the parameter.</param>
/// <param name="Values">The middles of the bins.</param>
public sealed record DrawScanOptions(string Parameter, IReadOnlyList<double> Values)
{
    /// <summary>The widths of the bins, in units of the parameter. Default: .01, .02, .05, .1 and .2.</summary>
    public IReadOnlyList<double> Widths { get; init; } = [0.01, 0.02, 0.05, 0.1, 0.2];

    /// <summary>The largest log density, where it is known, as from a fit. Default (null): that of the draws.</summary>
    public double? Largest { get; init; }
}
