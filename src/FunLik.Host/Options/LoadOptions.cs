namespace FunLik.Api;

/// <summary>How a model is made from its file.</summary>
public sealed record LoadOptions
{
    /// <summary>A JSON patch for a workspace (a file), or a patch of a patch set (FILE:NAME). Default: none.</summary>
    public string? Patch { get; init; }

    /// <summary>A file of quadratic scalings for a workspace. Default: none.</summary>
    public string? Scalings { get; init; }

    /// <summary>Eigenvalues of scalings may be negative by this part of the largest one. Default: 1e-9.</summary>
    public double? ScalingsTolerance { get; init; }

    /// <summary>The measurement of a workspace. Default: its first.</summary>
    public string? Measurement { get; init; }

    /// <summary>Interpolation codes of a workspace by kind of modifier, such as "normsys" to "code1". Default: those of pyhf.</summary>
    public IReadOnlyDictionary<string, string> Interpolation { get; init; } = new Dictionary<string, string>();

    /// <summary>
    /// Whether fits may take constrained nuisances beyond their bounds, where constraints fall and there is a density. Default: no.
    /// </summary>
    public bool UnboundedNuisances { get; init; }

    /// <summary>The largest number of threads; no result depends on it. Default: all cores.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;
}
