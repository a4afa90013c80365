namespace FunLik.Api;

/// <summary>Impacts on which parameter, and how to fit.</summary>
public sealed record ImpactOptions
{
    /// <summary>The parameter of interest. Default (null): the model's only one.</summary>
    public string? Poi { get; init; }

    /// <summary>Keeps other parameters of interest at their nominal values; nuisances are fitted in any case. Default: no.</summary>
    public bool Frozen { get; init; }

    /// <summary>How to fit. Default: as <see cref="FitOptions"/> says.</summary>
    public FitOptions Fit { get; init; } = new();
}
