namespace FunLik.Api;

/// <summary>The border of a region of highest density of two parameters.</summary>
/// <param name="Probability">The probability that the region holds, between 0 and 1.</param>
/// <param name="Height">The height of the density on the border.</param>
/// <param name="Lines">Its lines.</param>
public sealed record DensityContour(double Probability, double Height, IReadOnlyList<ContourLine> Lines);

/// <summary>A smooth density of two parameters on a grid, its integral 1.</summary>
public sealed record DensityMap
{
    /// <summary>The first parameter.</summary>
    public required string First { get; init; }

    /// <summary>The second parameter.</summary>
    public required string Second { get; init; }

    /// <summary>The grid of the first, evenly spaced.</summary>
    public required IReadOnlyList<double> X { get; init; }

    /// <summary>The grid of the second, evenly spaced.</summary>
    public required IReadOnlyList<double> Y { get; init; }

    /// <summary>
    /// The density, per unit of both parameters, the first one running slowly: at X[i] and Y[j] it is number i × Y.Count + j.
    /// </summary>
    public required IReadOnlyList<double> Density { get; init; }

    /// <summary>The borders of regions of highest density, level by level.</summary>
    public required IReadOnlyList<DensityContour> Contours { get; init; }
}
