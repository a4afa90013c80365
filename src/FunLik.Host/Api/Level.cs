namespace FunLik.Api;

/// <summary>A level to draw an interval or a contour at: a probability, or twice ΔNLL.</summary>
public sealed record Level
{
    private Level(double value, bool isProbability) => (Value, IsProbability) = (value, isProbability);

    /// <summary>The probability, or twice ΔNLL.</summary>
    public double Value { get; }

    /// <summary>Whether the value is a probability.</summary>
    public bool IsProbability { get; }

    /// <summary>The level of a probability content between 0 and 1: 0.6827 is one standard deviation of one parameter.</summary>
    /// <param name="probability">The probability.</param>
    public static Level OfProbability(double probability) => new(probability, true);

    /// <summary>The level of a value of twice ΔNLL above 0: 1 is one standard deviation of one parameter.</summary>
    /// <param name="value">Twice ΔNLL at the border.</param>
    public static Level OfTwiceDeltaNll(double value) => new(value, false);
}

/// <summary>
/// A level of twice ΔNLL, and how probable it is that the region below it contains the true values: that of χ², which holds for large
/// samples (Wilks, Ann. Math. Stat. 9 (1938) 60).
/// </summary>
/// <param name="TwiceDeltaNll">Twice ΔNLL at the border.</param>
/// <param name="Probability">The probability content, between 0 and 1.</param>
/// <param name="Parameters">The number of parameters that the region is of: the degrees of freedom of χ².</param>
/// <param name="Label">Both numbers in words.</param>
public sealed record ConfidenceLevel(double TwiceDeltaNll, double Probability, int Parameters, string Label);
