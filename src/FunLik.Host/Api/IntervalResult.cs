namespace FunLik.Api;

/// <summary>Why a piece of an interval ends where it does.</summary>
public enum IntervalEndKind
{
    /// <summary>Twice ΔNLL crosses the level.</summary>
    Crossing,

    /// <summary>The parameter's bound, or the end of the density's support: there is nothing beyond.</summary>
    Bound,

    /// <summary>The end of the range that was looked at: the interval goes on beyond.</summary>
    Open,
}

/// <summary>An end of a piece of an interval.</summary>
/// <param name="Value">The parameter there.</param>
/// <param name="Kind">Why it is an end.</param>
/// <param name="Point">The best point there, in the order of the model's parameters.</param>
public sealed record IntervalEnd(double Value, IntervalEndKind Kind, IReadOnlyList<double> Point);

/// <summary>Neighbouring values that are in an interval.</summary>
/// <param name="Low">The lower end.</param>
/// <param name="High">The upper end.</param>
public sealed record IntervalPiece(IntervalEnd Low, IntervalEnd High)
{
    /// <summary>Whether a value is inside, ends included.</summary>
    /// <param name="value">The value.</param>
    public bool Contains(double value) => value >= Low.Value && value <= High.Value;
}

/// <summary>The values of a parameter at which twice ΔNLL is at most a level: a union of disjoint pieces.</summary>
/// <param name="Level">The level.</param>
/// <param name="Pieces">The pieces, in ascending order.</param>
public sealed record ConfidenceInterval(ConfidenceLevel Level, IReadOnlyList<IntervalPiece> Pieces);

/// <summary>The intervals of one parameter, and the profile in which they were found.</summary>
public sealed record IntervalResult
{
    /// <summary>The parameter.</summary>
    public required string Parameter { get; init; }

    /// <summary>Its best value.</summary>
    public required double Best { get; init; }

    /// <summary>The intervals, level by level.</summary>
    public required IReadOnlyList<ConfidenceInterval> Intervals { get; init; }

    /// <summary>
    /// The distance from the best value to the lower end of its piece at twice ΔNLL of 1, negative, as Minos has it; null where that end
    /// is no crossing, or the level was not asked for.
    /// </summary>
    public double? Minus { get; init; }

    /// <summary>The same of the upper end, positive.</summary>
    public double? Plus { get; init; }

    /// <summary>The values at which all other parameters were fitted, ascending.</summary>
    public required IReadOnlyList<double> X { get; init; }

    /// <summary>-2 log of the largest density at each of them over the largest anywhere; ∞ where there is no density.</summary>
    public required IReadOnlyList<double> TwiceDeltaNll { get; init; }

    /// <summary>The fit with the parameter free: what ΔNLL is relative to.</summary>
    public required FitResult Minimum { get; init; }

    /// <summary>How the worst fit ended, of those with a density.</summary>
    public required FitStatus Status { get; init; }

    /// <summary>Evaluations of value and gradient together, of all fits.</summary>
    public required int Evaluations { get; init; }

    /// <summary>What a reader should know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }

    /// <summary>What was found, as FunLik.Core says it.</summary>
    internal Intervals? Found { get; init; }
}

/// <summary>A crossing of a level, found with one density and again with an exact one.</summary>
/// <param name="Level">The level.</param>
/// <param name="Before">The crossing that was to be checked.</param>
/// <param name="Exact">The exact one; NaN where none was found nearby.</param>
public sealed record RecheckedCrossing(ConfidenceLevel Level, double Before, double Exact)
{
    /// <summary>How far the exact crossing is from the other.</summary>
    public double Shift => Exact - Before;
}

/// <summary>Crossings that were found again with an exact density.</summary>
public sealed record RecheckResult
{
    /// <summary>The crossings, level by level and ascending.</summary>
    public required IReadOnlyList<RecheckedCrossing> Crossings { get; init; }

    /// <summary>The exact fit with the parameter free.</summary>
    public required FitResult Minimum { get; init; }

    /// <summary>Evaluations of the exact density, with its gradient, of all fits.</summary>
    public required int ExactCalls { get; init; }

    /// <summary>How the worst exact fit ended.</summary>
    public required FitStatus Status { get; init; }
}
