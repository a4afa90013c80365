namespace FunLik.Api;

/// <summary>How to test how well a model describes its data.</summary>
public sealed record GoodnessOfFitOptions
{
    /// <summary>Toys from the best fit; 10,000,000 at most. Default: 0, which gives the probability by χ² alone.</summary>
    public int Toys { get; init; }

    /// <summary>The seed of all randomness; 0 or more. Toy r is the same for any number of threads and toys. Default: 1.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Parameters that are held at values in every fit, by name. Default: none.</summary>
    public IReadOnlyDictionary<string, double> Fixed { get; init; } = new Dictionary<string, double>();

    /// <summary>Keeps all parameters of interest at their nominal values; nuisances are fitted in any case. Default: no.</summary>
    public bool Frozen { get; init; }
}

/// <summary>How to compare t of toys with χ².</summary>
public sealed record WilksOptions
{
    /// <summary>The parameter of interest. Default (null): the model's only one.</summary>
    public string? Poi { get; init; }

    /// <summary>Toys; 10 to 10,000,000. Default: 10,000.</summary>
    public int Count { get; init; } = 10_000;

    /// <summary>The seed of all randomness; 0 or more. Toy r is the same for any number of threads and toys. Default: 1.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Parameters that are held at values in every fit, by name. Default: none.</summary>
    public IReadOnlyDictionary<string, double> Fixed { get; init; } = new Dictionary<string, double>();

    /// <summary>Keeps other parameters of interest at their nominal values; nuisances are fitted in any case. Default: no.</summary>
    public bool Frozen { get; init; }
}

/// <summary>Of which parameter to find intervals by toys, and how.</summary>
/// <param name="Parameter">The name of the parameter.</param>
public sealed record FeldmanCousinsOptions(string Parameter)
{
    /// <summary>The levels. Default: empty, which takes those of twice ΔNLL of 1 and 3.84: 68.27 % and 95 %.</summary>
    public IReadOnlyList<Level> Levels { get; init; } = [];

    /// <summary>The largest number of toys at one value; 10 to 10,000,000. Default: 10,000.</summary>
    public int Toys { get; init; } = 10_000;

    /// <summary>
    /// The first value to look at, cut at the parameter's bound. Default (null): from the best fit to both sides until the level is far
    /// behind. Both ends are given, or none.
    /// </summary>
    public double? From { get; init; }

    /// <summary>The last value to look at. Default (null): as <see cref="From"/> says.</summary>
    public double? To { get; init; }

    /// <summary>How many values are spread over the range at first; pieces that fall between two of them are missed. Default: 21.</summary>
    public int Count { get; init; } = 21;

    /// <summary>The seed of all randomness; 0 or more. Toy r is the same for any number of threads and toys. Default: 1.</summary>
    public int Seed { get; init; } = 1;

    /// <summary>Parameters that are held at values in every fit, by name. Default: none.</summary>
    public IReadOnlyDictionary<string, double> Fixed { get; init; } = new Dictionary<string, double>();

    /// <summary>Keeps other parameters of interest at their nominal values; nuisances are fitted in any case. Default: no.</summary>
    public bool Frozen { get; init; }
}
