namespace FunLik.Api;

/// <summary>Which parameters a profile keeps, and how it is found.</summary>
/// <param name="Keep">The names of the parameters that are kept: the parameters of the profile, in this order.</param>
public sealed record ProfileOptions(IReadOnlyList<string> Keep)
{
    /// <summary>
    /// From how many points each profiled point is minimised. Default (null): as many as a fit takes; 1 is the fastest, and may end
    /// in a second maximum of a density with kinks.
    /// </summary>
    public int? Starts { get; init; }

    /// <summary>
    /// Converged where the gradient, in standard deviations of the parameters, is below this; half of its square is what a value may
    /// be off by. Default: 1e-4.
    /// </summary>
    public double Tolerance { get; init; } = 1e-4;

    /// <summary>The largest number of evaluations of one start. Default: 1000.</summary>
    public int MaxIterations { get; init; } = 1000;
}
