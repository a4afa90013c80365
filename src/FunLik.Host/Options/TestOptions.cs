namespace FunLik.Api;

/// <summary>How to test the parameter of interest.</summary>
public record TestOptions
{
    /// <summary>The parameter of interest. Default (null): the model's only one.</summary>
    public string? Poi { get; init; }

    /// <summary>
    /// The statistic. Default: q̃. For q̃ and t̃ the parameter stays at 0 or above in the free fit; for the others its bounds are
    /// lifted, unless the density is a learnt one or a function.
    /// </summary>
    public TestStatistic Statistic { get; init; } = TestStatistic.QTilde;

    /// <summary>Parameters that are held at values in every fit, by name. Default: none.</summary>
    public IReadOnlyDictionary<string, double> Fixed { get; init; } = new Dictionary<string, double>();

    /// <summary>Keeps other parameters of interest at their nominal values; nuisances are fitted in any case. Default: no.</summary>
    public bool Frozen { get; init; }
}

/// <summary>How to find upper limits: by q̃ or q.</summary>
public sealed record LimitOptions : TestOptions
{
    /// <summary>The confidence level, between 0 and 1. Default: 0.95.</summary>
    public double Level { get; init; } = 0.95;
}

/// <summary>How to test by toys.</summary>
public sealed record ToyOptions : TestOptions
{
    /// <summary>Toys with the signal, and as many without; 10,000,000 at most. Default: 10,000.</summary>
    public int Count { get; init; } = 10_000;

    /// <summary>The seed of all randomness; 0 or more. Toy r is the same for any number of threads and toys. Default: 1.</summary>
    public int Seed { get; init; } = 1;
}
