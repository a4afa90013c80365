namespace FunLik.Api;

/// <summary>What one term adds to a goodness of fit.</summary>
/// <param name="Name">The term.</param>
/// <param name="IsConstraint">Whether its data are auxiliary.</param>
/// <param name="Data">How many data it has, besides those of which nothing is expected.</param>
/// <param name="Statistic">What it adds to the statistic.</param>
public sealed record TermDeviance(string Name, bool IsConstraint, int Data, double Statistic);

/// <summary>
/// How well a model describes its data: twice the log of the saturated model's density over that of the best fit (Baker and Cousins,
/// Nucl. Instrum. Meth. 221 (1984) 437).
/// </summary>
public sealed record GoodnessOfFitResult
{
    /// <summary>The statistic on the data: 0 or above, ∞ where something was seen of which nothing is expected.</summary>
    public required double Statistic { get; init; }

    /// <summary>The data, main and auxiliary, of which something is expected.</summary>
    public required int Data { get; init; }

    /// <summary>The parameters that the fit moves: the rank of the Hessian at the best point, over what is not fixed.</summary>
    public required int Parameters { get; init; }

    /// <summary>The degrees of freedom: data less parameters.</summary>
    public required int DegreesOfFreedom { get; init; }

    /// <summary>
    /// The probability of a statistic as large or larger by χ², which holds for large counts; NaN without a degree of freedom.
    /// </summary>
    public required double PValue { get; init; }

    /// <summary>How often toys are at least as far away as the data; null without toys.</summary>
    public ToyProbability? ToyPValue { get; init; }

    /// <summary>What each term adds.</summary>
    public required IReadOnlyList<TermDeviance> Terms { get; init; }

    /// <summary>The statistic of each toy from the best fit; NaN where its fit did not converge.</summary>
    public required IReadOnlyList<double> Toys { get; init; }

    /// <summary>Toys that were left out because a fit did not converge.</summary>
    public required int Lost { get; init; }

    /// <summary>The best fit.</summary>
    public required FitResult Fit { get; init; }

    /// <summary>How it ended.</summary>
    public required FitStatus Status { get; init; }

    /// <summary>What a reader should know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
}
