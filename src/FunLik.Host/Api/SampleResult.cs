namespace FunLik.Api;

/// <summary>How sampling ended.</summary>
public enum SampleStatus
{
    /// <summary>The draws are enough.</summary>
    Reached,

    /// <summary>The most draws that were allowed came first, or the chains do not agree.</summary>
    NotConverged,
}

/// <summary>Whether diagnostics of a parameter mean anything.</summary>
public enum DiagnosisStatus
{
    /// <summary>They do.</summary>
    Defined,

    /// <summary>All draws are equal.</summary>
    Constant,

    /// <summary>Fewer than 16 draws a chain.</summary>
    TooShort,

    /// <summary>Some draw is not a finite number.</summary>
    NotFinite,
}

/// <summary>
/// What the chains say about one parameter (Vehtari et al., Bayesian Analysis 16 (2021) 667). Where the status is not
/// <see cref="DiagnosisStatus.Defined"/>, effective sample sizes are 0, errors and R-hats are ∞.
/// </summary>
public sealed record ParameterDiagnosis
{
    /// <summary>The parameter.</summary>
    public required string Name { get; init; }

    /// <summary>Whether the rest means anything.</summary>
    public required DiagnosisStatus Status { get; init; }

    /// <summary>The mean of all draws, and its Monte Carlo standard error.</summary>
    public required Estimate Mean { get; init; }

    /// <summary>The standard deviation of all draws, and its Monte Carlo standard error.</summary>
    public required Estimate Deviation { get; init; }

    /// <summary>The smaller of the effective sample sizes of x and of (x - mean)².</summary>
    public required double Ess { get; init; }

    /// <summary>The effective sample size of the rank-normalised draws.</summary>
    public required double BulkEss { get; init; }

    /// <summary>The smaller of those of the 5 % and 95 % quantiles.</summary>
    public required double TailEss { get; init; }

    /// <summary>Split R-hat.</summary>
    public required double RHat { get; init; }

    /// <summary>The larger of the rank-normalised split R-hats of x and of |x - median|.</summary>
    public required double RankRHat { get; init; }
}

/// <summary>Draws of a density, and whether they are enough. Draws that are too few are a result too: the status says so.</summary>
public sealed record SampleResult
{
    /// <summary>The draws.</summary>
    public required PosteriorDraws Draws { get; init; }

    /// <summary>How sampling ended.</summary>
    public required SampleStatus Status { get; init; }

    /// <summary>What the chains say about each parameter, in their order.</summary>
    public required IReadOnlyList<ParameterDiagnosis> Diagnoses { get; init; }

    /// <summary>The effective sample size of the worst parameter, of x and of (x - mean)².</summary>
    public required double MinEss { get; init; }

    /// <summary>The split R-hat of the worst parameter.</summary>
    public required double MaxRHat { get; init; }

    /// <summary>The mean acceptance probability.</summary>
    public required double Acceptance { get; init; }

    /// <summary>Divergent trajectories.</summary>
    public required int Divergences { get; init; }

    /// <summary>How often trajectories met the edge of the support.</summary>
    public required int Bounces { get; init; }

    /// <summary>Values of the density that the draws cost; those of the fit and the warm-up are not among them.</summary>
    public required long Evaluations { get; init; }

    /// <summary>Gradients of the density that the draws cost.</summary>
    public required long Gradients { get; init; }

    /// <summary>What the chains say about a parameter.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <exception cref="KeyNotFoundException">There is no such parameter.</exception>
    public ParameterDiagnosis this[string name] =>
        Diagnoses.FirstOrDefault(d => d.Name == name) ?? throw new KeyNotFoundException($"There is no parameter '{name}'.");
}
