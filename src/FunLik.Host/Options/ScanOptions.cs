namespace FunLik.Api;

/// <summary>What to scan, and how.</summary>
/// <param name="Parameter">The name of the parameter.</param>
/// <param name="Values">Its values, in any order.</param>
public sealed record ScanOptions(string Parameter, IReadOnlyList<double> Values)
{
    /// <summary>Keeps other parameters of interest at their nominal values; nuisances are fitted in any case. Default: no.</summary>
    public bool Frozen { get; init; }

    /// <summary>How to fit at each value. Default: as <see cref="FitOptions"/> says.</summary>
    public FitOptions Fit { get; init; } = new();

    /// <summary>Evenly spaced values, both ends among them.</summary>
    /// <param name="parameter">The name of the parameter.</param>
    /// <param name="from">The first value.</param>
    /// <param name="to">The last value.</param>
    /// <param name="count">How many; 2 or more.</param>
    /// <exception cref="LikelihoodException">Ends that are not finite or not in order, or fewer than 2 values.</exception>
    public static ScanOptions Between(string parameter, double from, double to, int count) =>
        new(parameter, Host.Interop.Guard.Evenly(from, to, count));
}
