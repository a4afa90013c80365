namespace FunLik.Api;

/// <summary>Which columns of a plain array of draws are what.</summary>
public sealed record DrawColumns
{
    /// <summary>The names of the columns. Default: empty, which calls them <c>x0</c>, <c>x1</c> and so on.</summary>
    public IReadOnlyList<string> Names { get; init; } = [];

    /// <summary>The name of the column that has weights, not negative. Default (null): all draws weigh the same.</summary>
    public string? Weight { get; init; }

    /// <summary>The name of the column that has log densities, as natural logarithms. Default (null): they are not known.</summary>
    public string? LogDensity { get; init; }
}
