namespace FunLik.Api;

/// <summary>Likelihood-ratio statistics of one parameter of interest μ: Cowan, Cranmer, Gross and Vitells, arXiv:1007.1727.</summary>
public enum TestStatistic
{
    /// <summary>q̃_μ (eq. 16): for upper limits, with μ ≥ 0.</summary>
    QTilde,

    /// <summary>q_μ (eq. 14): for upper limits; 0 where the best μ is above.</summary>
    Q,

    /// <summary>t̃_μ (eq. 11): two-sided, with μ ≥ 0.</summary>
    TTilde,

    /// <summary>t_μ (eq. 8): two-sided.</summary>
    TMu,

    /// <summary>q_0 (eq. 12): for discovery, at μ = 0; 0 where the best μ is below 0.</summary>
    Q0,
}

/// <summary>A statistic of several values of the parameter of interest, from the profile: any density has it.</summary>
/// <param name="Statistic">The statistic.</param>
/// <param name="Values">Its value at each value of the parameter; ∞ where there is no density.</param>
/// <param name="Scan">The profile: the values of the parameter, twice ΔNLL, and the status of every fit.</param>
public sealed record StatisticResult(TestStatistic Statistic, IReadOnlyList<double> Values, ScanResult Scan);

/// <summary>What is expected without signal, where the data fluctuate toward it by -2 to 2 standard deviations.</summary>
/// <param name="MinusTwoSigma">At -2 standard deviations.</param>
/// <param name="MinusOneSigma">At -1 standard deviation.</param>
/// <param name="Median">The median.</param>
/// <param name="PlusOneSigma">At 1 standard deviation.</param>
/// <param name="PlusTwoSigma">At 2 standard deviations.</param>
public sealed record ExpectedBand(
    double MinusTwoSigma,
    double MinusOneSigma,
    double Median,
    double PlusOneSigma,
    double PlusTwoSigma)
{
    /// <summary>The five values, from -2 to 2 standard deviations.</summary>
    public IReadOnlyList<double> ToList() => [MinusTwoSigma, MinusOneSigma, Median, PlusOneSigma, PlusTwoSigma];
}
