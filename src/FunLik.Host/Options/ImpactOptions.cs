namespace FunLik.Api;

/// <summary>Impacts on which parameter, and how to fit.</summary>
public sealed record ImpactOptions
{
    /// <summary>The parameter of interest. Default (null): the model's only one.</summary>
    public string? Poi { get; init; }

    /// <summary>How to fit. Default: as <see cref="FitOptions"/> says.</summary>
    public FitOptions Fit { get; init; } = new();
}
