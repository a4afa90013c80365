namespace FunLik.Api;

/// <summary>What a factor on a density does.</summary>
public enum PriorFactorKind
{
    /// <summary>Nothing is left at or below a value.</summary>
    Above,

    /// <summary>Nothing is left at or above a value.</summary>
    Below,

    /// <summary>The normal density of a mean and a standard deviation.</summary>
    Normal,
}

/// <summary>A factor on a density: a change of a prior, a constraint, a region.</summary>
public sealed record PriorFactor
{
    private PriorFactor(PriorFactorKind kind, string parameter, double value, double? deviation) =>
        (Kind, Parameter, Value, Deviation) = (kind, parameter, value, deviation);

    /// <summary>What it does.</summary>
    public PriorFactorKind Kind { get; }

    /// <summary>The name of the parameter that it is of.</summary>
    public string Parameter { get; }

    /// <summary>The value that ends the density, or the mean; in units of the parameter.</summary>
    public double Value { get; }

    /// <summary>The standard deviation of a normal factor, in units of the parameter; else null.</summary>
    public double? Deviation { get; }

    /// <summary>Nothing at or below a value.</summary>
    /// <param name="parameter">The name of the parameter.</param>
    /// <param name="value">The value.</param>
    public static PriorFactor Above(string parameter, double value) => new(PriorFactorKind.Above, parameter, value, null);

    /// <summary>Nothing at or above a value.</summary>
    /// <param name="parameter">The name of the parameter.</param>
    /// <param name="value">The value.</param>
    public static PriorFactor Below(string parameter, double value) => new(PriorFactorKind.Below, parameter, value, null);

    /// <summary>The normal density of a mean and a standard deviation.</summary>
    /// <param name="parameter">The name of the parameter.</param>
    /// <param name="mean">The mean.</param>
    /// <param name="deviation">The standard deviation; above 0.</param>
    public static PriorFactor Normal(string parameter, double mean, double deviation) =>
        new(PriorFactorKind.Normal, parameter, mean, deviation);
}
