namespace FunLik.Api;

/// <summary>A line of a contour.</summary>
/// <param name="IsClosed">Whether the last point is joined to the first; an open line begins and ends at the grid's edge.</param>
/// <param name="X">The values of the first parameter along the line.</param>
/// <param name="Y">The values of the second.</param>
public sealed record ContourLine(bool IsClosed, IReadOnlyList<double> X, IReadOnlyList<double> Y);

/// <summary>Where twice ΔNLL of two parameters is at a level.</summary>
/// <param name="Level">The level; its label says the probability.</param>
/// <param name="Lines">Its lines: none where no point of the grid is below the level, or all are.</param>
public sealed record Contour(ConfidenceLevel Level, IReadOnlyList<ContourLine> Lines);

/// <summary>The contours of two parameters, and the grid in which they were drawn.</summary>
/// <param name="Contours">The contours, level by level.</param>
/// <param name="Grid">The grid, with the status of every point.</param>
public sealed record ContourResult(IReadOnlyList<Contour> Contours, GridScanResult Grid);
