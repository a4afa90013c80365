namespace FunLik.Api;

/// <summary>
/// Which sampler draws. All of them start where a Hamiltonian warm-up has left the chains, and in the metric that it has found.
/// </summary>
public enum Sampler
{
    /// <summary>Hamiltonian Monte Carlo with trajectories of jittered length.</summary>
    Hamiltonian,

    /// <summary>Hamiltonian Monte Carlo with trajectories that end where they turn.</summary>
    NoUTurn,

    /// <summary>Normal steps of the usual scale for the number of parameters.</summary>
    RandomWalk,

    /// <summary>Student proposals of 5 degrees of freedom around the mean of the chains.</summary>
    Independence,

    /// <summary>Slices along random lines.</summary>
    Slice,

    /// <summary>One ensemble of all chains, by stretch moves.</summary>
    Stretch,

    /// <summary>One ensemble of all chains, by normal steps of the others' covariance.</summary>
    Walk,

    /// <summary>One ensemble of all chains, by differences of others.</summary>
    Difference,

    /// <summary>One ensemble of all chains, by four moves of differential evolution for each snooker move.</summary>
    Snooker,
}

/// <summary>How far a sampler is.</summary>
/// <param name="Stage">What is being done.</param>
/// <param name="PerChain">Draws of one chain.</param>
/// <param name="Draws">Draws of all chains.</param>
/// <param name="MinEss">The effective sample size of the worst parameter; 0 where there are no draws yet.</param>
/// <param name="MaxRHat">The split R-hat of the worst parameter; ∞ where there are no draws yet.</param>
/// <param name="Evaluations">Values and gradients of the density, counted apart and added, for the draws.</param>
public sealed record SampleProgress(string Stage, int PerChain, long Draws, double MinEss, double MaxRHat, long Evaluations);
