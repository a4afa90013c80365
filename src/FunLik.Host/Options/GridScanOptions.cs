namespace FunLik.Api;

/// <summary>A side of a grid.</summary>
/// <param name="Parameter">The name of the parameter.</param>
/// <param name="Values">Its values; ascending for contours.</param>
public sealed record GridAxis(string Parameter, IReadOnlyList<double> Values)
{
    /// <summary>Evenly spaced values, both ends among them.</summary>
    /// <param name="parameter">The name of the parameter.</param>
    /// <param name="from">The first value.</param>
    /// <param name="to">The last value.</param>
    /// <param name="count">How many; 2 or more.</param>
    /// <exception cref="LikelihoodException">Ends that are not finite or not in order, or fewer than 2 values.</exception>
    public static GridAxis Between(string parameter, double from, double to, int count) =>
        new(parameter, Host.Interop.Guard.Evenly(from, to, count));
}

/// <summary>What to scan on a grid, and how.</summary>
/// <param name="Axes">The parameters with their values: all combinations are scanned.</param>
public sealed record GridScanOptions(IReadOnlyList<GridAxis> Axes)
{
    /// <summary>Keeps other parameters of interest at their nominal values; nuisances are fitted in any case. Default: no.</summary>
    public bool Frozen { get; init; }

    /// <summary>How to fit the minimum. Default: as <see cref="FitOptions"/> says. Parameters that are fixed stay so in the grid.</summary>
    public FitOptions Fit { get; init; } = new();
}

/// <summary>Which contours to draw, and how.</summary>
/// <param name="X">The first parameter, with ascending values.</param>
/// <param name="Y">The second parameter, with ascending values.</param>
public sealed record ContourOptions(GridAxis X, GridAxis Y)
{
    /// <summary>The levels. Default: empty, which takes twice ΔNLL of 2.30 and 5.99: 68 % and 95 %.</summary>
    public IReadOnlyList<Level> Levels { get; init; } = [];

    /// <summary>Keeps other parameters of interest at their nominal values; nuisances are fitted in any case. Default: no.</summary>
    public bool Frozen { get; init; }

    /// <summary>How to fit the minimum. Default: as <see cref="FitOptions"/> says.</summary>
    public FitOptions Fit { get; init; } = new();
}
