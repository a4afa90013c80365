namespace FunLik.Api;

/// <summary>An end of a piece of an interval by toys.</summary>
/// <param name="Value">Where the probability of the toys crosses 1 - level, or the end of what may be or was looked at.</param>
/// <param name="Low">The lower value where it crosses one binomial standard error off: the Monte Carlo error of the end.</param>
/// <param name="High">The upper value where it does.</param>
/// <param name="Kind">Why it is an end.</param>
public sealed record FeldmanCousinsEnd(double Value, double Low, double High, IntervalEndKind Kind);

/// <summary>Neighbouring values that are in an interval by toys.</summary>
/// <param name="Low">The lower end.</param>
/// <param name="High">The upper end.</param>
public sealed record FeldmanCousinsPiece(FeldmanCousinsEnd Low, FeldmanCousinsEnd High)
{
    /// <summary>Whether a value is inside, ends included.</summary>
    /// <param name="value">The value.</param>
    public bool Contains(double value) => value >= Low.Value && value <= High.Value;
}

/// <summary>A value that was tested by toys.</summary>
/// <param name="X">The value.</param>
/// <param name="T">The statistic on the data.</param>
/// <param name="Critical">The statistic below which the level's share of the toys lie.</param>
/// <param name="Probability">How often toys are at least as far away as the data.</param>
/// <param name="Toys">The toys, besides those lost.</param>
public sealed record FeldmanCousinsPoint(double X, double T, double Critical, ToyProbability Probability, int Toys);

/// <summary>The values of a parameter that toys do not exclude at one level.</summary>
public sealed record FeldmanCousinsInterval
{
    /// <summary>The confidence level, between 0 and 1.</summary>
    public required double Level { get; init; }

    /// <summary>Disjoint pieces, in ascending order.</summary>
    public required IReadOnlyList<FeldmanCousinsPiece> Pieces { get; init; }

    /// <summary>All values that were tested by toys, ascending.</summary>
    public required IReadOnlyList<FeldmanCousinsPoint> Points { get; init; }

    /// <summary>Toys that were fitted, twice each.</summary>
    public required int Toys { get; init; }

    /// <summary>Toys that were left out because a fit did not converge.</summary>
    public required int Lost { get; init; }
}

/// <summary>
/// The unified intervals of Feldman and Cousins (Phys. Rev. D 57 (1998) 3873) of one parameter by toys, ordered by t, or by t̃ where the
/// parameter is kept at 0 or above. Coverage is exact without nuisances, and nearly so with them.
/// </summary>
public sealed record FeldmanCousinsResult
{
    /// <summary>The parameter.</summary>
    public required string Parameter { get; init; }

    /// <summary>Its best value within the statistic's bound.</summary>
    public required double Best { get; init; }

    /// <summary>The statistic: t̃ where the parameter is kept at 0 or above, else t.</summary>
    public required TestStatistic Statistic { get; init; }

    /// <summary>The intervals, level by level.</summary>
    public required IReadOnlyList<FeldmanCousinsInterval> Intervals { get; init; }

    /// <summary>How the worst fit to the data ended.</summary>
    public required FitStatus Status { get; init; }

    /// <summary>What a reader should know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
}
