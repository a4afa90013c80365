namespace FunLik.Api;

/// <summary>What a parameter is there for.</summary>
public enum ParameterRole
{
    /// <summary>A parameter of interest.</summary>
    Poi,

    /// <summary>A nuisance parameter.</summary>
    Nuisance,
}

/// <summary>One parameter of a model.</summary>
/// <param name="Name">The name, unique in its model.</param>
public sealed record ParameterInfo(string Name)
{
    /// <summary>Parameter of interest, or nuisance. Default: nuisance.</summary>
    public ParameterRole Role { get; init; } = ParameterRole.Nuisance;

    /// <summary>The value at which fits start. Default: 0.</summary>
    public double Nominal { get; init; }

    /// <summary>The lowest value that a fit may take. Default: none, -∞. Bounds never change a density.</summary>
    public double LowerBound { get; init; } = double.NegativeInfinity;

    /// <summary>The highest value that a fit may take. Default: none, ∞.</summary>
    public double UpperBound { get; init; } = double.PositiveInfinity;

    /// <summary>The lower end of the interesting values, for scans and further starts. Default: the bound, or nominal - 5.</summary>
    public double? RangeFrom { get; init; }

    /// <summary>The upper end of the interesting values. Default: the bound, or nominal + 5.</summary>
    public double? RangeTo { get; init; }

    /// <summary>The unit. Default: an empty text.</summary>
    public string Unit { get; init; } = "";

    /// <summary>Whether the density has a kink at the nominal value: fits then start on both sides of it. Default: no.</summary>
    public bool IsKinked { get; init; }
}
