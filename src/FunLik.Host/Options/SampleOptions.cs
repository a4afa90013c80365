namespace FunLik.Api;

/// <summary>How to sample a posterior.</summary>
public sealed record SampleOptions
{
    /// <summary>The effective sample size that every parameter must reach, of x and of (x - mean)²; above 0. Default: 1000.</summary>
    public double Ess { get; init; } = 1000;

    /// <summary>The split R-hat that every parameter must reach; above 1. Default: 1.01.</summary>
    public double RHat { get; init; } = 1.01;

    /// <summary>Chains, or the walkers of an ensemble; 2 or more. Default: 64.</summary>
    public int Chains { get; init; } = 64;

    /// <summary>Which sampler draws. Default: Hamiltonian Monte Carlo.</summary>
    public Sampler Sampler { get; init; } = Sampler.Hamiltonian;

    /// <summary>The largest number of draws of a chain, all of them kept in memory; 16 or more. Default: 20,000.</summary>
    public int MostDraws { get; init; } = 20_000;

    /// <summary>The seed of all randomness; 0 or more. Draws are the same for any number of threads. Default: 1.</summary>
    public int Seed { get; init; } = 1;
}

/// <summary>How chains go on from weighted draws.</summary>
public sealed record RefreshOptions
{
    /// <summary>Draws of each chain that are kept; 16 or more. Default: 100.</summary>
    public int DrawsPerChain { get; init; } = 100;

    /// <summary>Chains; 2 or more. Default: 64.</summary>
    public int Chains { get; init; } = 64;

    /// <summary>Steps that are left out before the draws that are kept; 1 or more. Default: 20.</summary>
    public int Skip { get; init; } = 20;

    /// <summary>The seed of all randomness; 0 or more. Draws are the same for any number of threads. Default: 1.</summary>
    public int Seed { get; init; } = 1;
}
