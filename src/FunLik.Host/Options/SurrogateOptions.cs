namespace FunLik.Api;

/// <summary>How a surrogate is loaded.</summary>
public sealed record SurrogateOptions
{
    /// <summary>The largest number of threads; no result depends on it. Default: all cores.</summary>
    public int Threads { get; init; } = Environment.ProcessorCount;
}
