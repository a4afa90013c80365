namespace FunLik.Api;

/// <summary>Whether weighted draws can be relied on.</summary>
public enum WeightStatus
{
    /// <summary>They can.</summary>
    Reliable,

    /// <summary>The largest weights have too heavy a tail: estimates and their errors are not to be trusted.</summary>
    HeavyTail,

    /// <summary>Too few draws carry the weight.</summary>
    FewDraws,
}

/// <summary>Draws with weights that make them draws of another density.</summary>
public sealed record ReweightResult
{
    /// <summary>The draws with their new weights, the largest of which is 1.</summary>
    public required PosteriorDraws Draws { get; init; }

    /// <summary>Kish's effective number of draws, (Σw)² / Σw².</summary>
    public required double Kish { get; init; }

    /// <summary>The shape k of the tail of the weights: -∞ where they are equal, ∞ where they are too few to tell.</summary>
    public required double ParetoK { get; init; }

    /// <summary>The largest shape with which the draws can be relied on.</summary>
    public required double Threshold { get; init; }

    /// <summary>The natural logarithm of the ratio of the new density's integral to the old one's.</summary>
    public required Estimate LogEvidenceRatio { get; init; }

    /// <summary>Draws of weight 0.</summary>
    public required int Lost { get; init; }

    /// <summary>Whether the rest can be relied on.</summary>
    public required WeightStatus Status { get; init; }

    /// <summary>Values of densities.</summary>
    public required long Evaluations { get; init; }

    /// <summary>What a reader should know, and what to do.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
}

/// <summary>The logarithm of a density's integral, by bridge sampling (Meng and Wong, Statistica Sinica 6 (1996) 831).</summary>
public sealed record EvidenceResult
{
    /// <summary>The natural logarithm of the integral, and its standard error from the variances of both sums of the bridge.</summary>
    public required Estimate LogEvidence { get; init; }

    /// <summary>The same error from the scatter of independent batches of chains; ∞ where chains are too few.</summary>
    public required double BatchError { get; init; }

    /// <summary>The part that posterior and proposal share: near 1 where the proposal fits, near 0 where the result rests on few draws.</summary>
    public required double Overlap { get; init; }

    /// <summary>Iterations until the estimate stood still.</summary>
    public required int Iterations { get; init; }

    /// <summary>Whether it did, and both sums have 100 effective terms or more.</summary>
    public required bool IsReliable { get; init; }

    /// <summary>Values of the density.</summary>
    public required long Evaluations { get; init; }
}
