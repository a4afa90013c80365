namespace FunLik.Api;

/// <summary>Of which parameter to find intervals, and how.</summary>
/// <param name="Parameter">The name of the parameter.</param>
public sealed record IntervalOptions(string Parameter)
{
    /// <summary>The levels. Default: empty, which takes twice ΔNLL of 1 and 3.84.</summary>
    public IReadOnlyList<Level> Levels { get; init; } = [];

    /// <summary>
    /// The first value to look at, cut at the parameter's bound. Default (null): the parameter's range and what is around the best
    /// fit, and on until the levels are crossed. Both ends are given, or none.
    /// </summary>
    public double? From { get; init; }

    /// <summary>The last value to look at. Default (null): as <see cref="From"/> says.</summary>
    public double? To { get; init; }

    /// <summary>
    /// How many values are spread over the range, besides those near the best fit; pieces that fall between two of them are missed.
    /// Default: 41.
    /// </summary>
    public int Count { get; init; } = 41;

    /// <summary>Keeps other parameters of interest at their nominal values; nuisances are fitted in any case. Default: no.</summary>
    public bool Frozen { get; init; }

    /// <summary>How to fit at each value. Default: as <see cref="FitOptions"/> says.</summary>
    public FitOptions Fit { get; init; } = new();
}
