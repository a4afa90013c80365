namespace FunLik.Api;

/// <summary>How far the best value of the parameter of interest moves when a nuisance is held elsewhere and all others are fitted.</summary>
/// <param name="Up">With the nuisance held above its best value.</param>
/// <param name="Down">With the nuisance held below it.</param>
public sealed record ImpactPair(double Up, double Down)
{
    /// <summary>The larger of both, without its sign.</summary>
    public double Size => Math.Max(Math.Abs(Up), Math.Abs(Down));
}

/// <summary>What the data say of a nuisance parameter, and what that means for the parameter of interest.</summary>
public sealed record NuisanceImpact
{
    /// <summary>The nuisance.</summary>
    public required string Name { get; init; }

    /// <summary>Its best value.</summary>
    public required double Best { get; init; }

    /// <summary>Its value by constraints and priors alone; null where nothing constrains it.</summary>
    public double? PreFit { get; init; }

    /// <summary>Its standard deviation by constraints and priors alone.</summary>
    public double? PreFitSigma { get; init; }

    /// <summary>Its standard deviation after the fit, from the covariance; null where it cannot move: at a bound, in a kink.</summary>
    public double? PostFitSigma { get; init; }

    /// <summary>(Best - PreFit) / PreFitSigma, in standard deviations.</summary>
    public double? Pull { get; init; }

    /// <summary>PostFitSigma / PreFitSigma: below 1 where the data say more.</summary>
    public double? Narrowing { get; init; }

    /// <summary>The impact of one standard deviation before the fit, in units of the parameter of interest.</summary>
    public ImpactPair? PreFitImpact { get; init; }

    /// <summary>The impact of one standard deviation after the fit, in units of the parameter of interest.</summary>
    public ImpactPair? PostFitImpact { get; init; }

    /// <summary>How the worst of its refits ended.</summary>
    public required FitStatus Status { get; init; }
}

/// <summary>Pulls and impacts of all nuisances on one parameter of interest.</summary>
public sealed record ImpactsResult
{
    /// <summary>The parameter of interest.</summary>
    public required string Poi { get; init; }

    /// <summary>Its best value.</summary>
    public required double Best { get; init; }

    /// <summary>Its standard deviation from the covariance; null if it has none.</summary>
    public double? Sigma { get; init; }

    /// <summary>The nuisances, those with the largest impacts after the fit first.</summary>
    public required IReadOnlyList<NuisanceImpact> Impacts { get; init; }

    /// <summary>The fit from which they start.</summary>
    public required FitResult Fit { get; init; }

    /// <summary>Evaluations of value and gradient together, of all fits.</summary>
    public required int Evaluations { get; init; }

    /// <summary>What a reader should know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
}
