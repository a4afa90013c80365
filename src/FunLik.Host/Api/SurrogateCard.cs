namespace FunLik.Api;

/// <summary>How far a function is from the exact log density at points that its training never saw, in units of the log density.</summary>
/// <param name="Points">The number of points.</param>
/// <param name="MeanSquaredError">The mean of the squared differences.</param>
/// <param name="MeanError">The mean of their sizes.</param>
/// <param name="LargestError">The largest of them.</param>
/// <param name="Bias">The mean difference, learnt less exact.</param>
/// <param name="Accurate">The part of the points off by no more than 0.05, or 1 % of the difference from the largest density.</param>
public sealed record SurrogateAccuracy(
    int Points,
    double MeanSquaredError,
    double MeanError,
    double LargestError,
    double Bias,
    double Accurate);

/// <summary>The accuracy of a surrogate on points of one kind.</summary>
/// <param name="Slice">The kind: <c>posterior</c>, <c>ridge</c>.</param>
/// <param name="Surrogate">That of the surrogate.</param>
/// <param name="Quadratic">That of the quadratic fitted to the same labels: what the surrogate must beat.</param>
public sealed record SurrogateMetrics(string Slice, SurrogateAccuracy Surrogate, SurrogateAccuracy Quadratic);

/// <summary>Where a surrogate was taught: between these values in each parameter.</summary>
/// <param name="Lowest">The lowest values, in the order of the parameters.</param>
/// <param name="Highest">The highest values.</param>
public sealed record SurrogateRegion(IReadOnlyList<double> Lowest, IReadOnlyList<double> Highest)
{
    /// <summary>Whether a point is inside. That alone does not bound the error there.</summary>
    /// <param name="point">One value a parameter.</param>
    /// <exception cref="LikelihoodException">A wrong length.</exception>
    public bool Contains(ReadOnlySpan<double> point)
    {
        Host.Interop.Guard.Length("the point", point.Length, Lowest.Count);

        for (var i = 0; i < point.Length; i++)
        {
            if (!(point[i] >= Lowest[i] && point[i] <= Highest[i]))
            {
                return false;
            }
        }

        return true;
    }
}

/// <summary>What a published surrogate's card says of it.</summary>
public sealed record SurrogateCard
{
    /// <summary>The version of FunLik that wrote it.</summary>
    public required string Version { get; init; }

    /// <summary>What was learnt.</summary>
    public required string Model { get; init; }

    /// <summary>SHA-256 of what was learnt, in hexadecimal digits.</summary>
    public required string ModelSha256 { get; init; }

    /// <summary>The name of the recipe.</summary>
    public required string Recipe { get; init; }

    /// <summary>The accuracy, by kind of points.</summary>
    public required IReadOnlyList<SurrogateMetrics> Metrics { get; init; }

    /// <summary>Where it was taught.</summary>
    public required SurrogateRegion Region { get; init; }

    /// <summary>SHA-256 of each file of the bundle, in hexadecimal digits, by the file's name.</summary>
    public required IReadOnlyDictionary<string, string> Files { get; init; }
}

/// <summary>How the test vectors of a bundle came out again when it was loaded.</summary>
/// <param name="TestVectors">Their number.</param>
/// <param name="LargestDifference">The largest difference of a log density y from that in the bundle, relative to max(1, |y|).</param>
/// <param name="OnnxRuntimeVersion">The version of ONNX Runtime that evaluated them too; null where it is not there.</param>
/// <param name="OnnxRuntimeDifference">The largest difference of its values; null where it is not there.</param>
public sealed record SurrogateVerification(
    int TestVectors,
    double LargestDifference,
    string? OnnxRuntimeVersion,
    double? OnnxRuntimeDifference);
