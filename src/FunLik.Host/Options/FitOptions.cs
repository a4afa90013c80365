namespace FunLik.Api;

/// <summary>How to fit.</summary>
public sealed record FitOptions
{
    /// <summary>
    /// From how many points to minimise. Default (null): 1 for a smooth density with one parameter of interest, up to 16 patterns of
    /// signs of the parameters with a kink, 32 and more, until they are enough, for several parameters of interest.
    /// </summary>
    public int? Starts { get; init; }

    /// <summary>Parameters that are held at values, by name. Default: none.</summary>
    public IReadOnlyDictionary<string, double> Fixed { get; init; } = new Dictionary<string, double>();

    /// <summary>The largest number of evaluations of one start. Default: 2000.</summary>
    public int MaxIterations { get; init; } = 2000;

    /// <summary>Converged where the estimated distance to the minimum of -2 log density is below this. Default: 1e-8.</summary>
    public double Edm { get; init; } = 1e-8;

    /// <summary>Whether to give the covariance of the parameters too. Default: no.</summary>
    public bool Covariance { get; init; }
}
