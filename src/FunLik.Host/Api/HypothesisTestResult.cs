namespace FunLik.Api;

/// <summary>One of the fits of a hypothesis test.</summary>
public sealed record TestFit
{
    /// <summary>How the fit ended.</summary>
    public required FitStatus Status { get; init; }

    /// <summary>-2 log density there, all constants kept.</summary>
    public required double TwiceNll { get; init; }

    /// <summary>The point, in the order of the model's parameters.</summary>
    public required IReadOnlyList<double> Point { get; init; }

    /// <summary>
    /// What is left of the gradient of -2 log density, in units of the parameters' standard deviations, over what is free to move
    /// downhill.
    /// </summary>
    public required double GradientNorm { get; init; }

    /// <summary>The bounds that free parameters lie on.</summary>
    public required IReadOnlyList<ActiveBound> ActiveBounds { get; init; }
}

/// <summary>
/// A test of one value of the parameter of interest by asymptotic distributions (Cowan et al., arXiv:1007.1727); CLs: Read, J. Phys. G
/// 28 (2002) 2693.
/// </summary>
public sealed record HypothesisTestResult
{
    /// <summary>The parameter of interest.</summary>
    public required string Poi { get; init; }

    /// <summary>The tested value.</summary>
    public required double Mu { get; init; }

    /// <summary>The best value on the data, where the statistic lets it be.</summary>
    public required double Best { get; init; }

    /// <summary>The statistic.</summary>
    public required TestStatistic Statistic { get; init; }

    /// <summary>Its value on the data.</summary>
    public required double Value { get; init; }

    /// <summary>Its value on the Asimov data of the other hypothesis.</summary>
    public required double AsimovValue { get; init; }

    /// <summary>CLs+b: the probability of data at least as far from the tested value, if that is true.</summary>
    public required double Clsb { get; init; }

    /// <summary>CLb: the probability of the same, if there is no signal (for q0: if there is one of 1).</summary>
    public required double Clb { get; init; }

    /// <summary>CLs = CLs+b / CLb.</summary>
    public required double Cls { get; init; }

    /// <summary>CLs expected without signal.</summary>
    public required ExpectedBand ExpectedCls { get; init; }

    /// <summary>CLs+b expected without signal.</summary>
    public required ExpectedBand ExpectedClsb { get; init; }

    /// <summary>CLb expected without signal.</summary>
    public required ExpectedBand ExpectedClb { get; init; }

    /// <summary>The fit to the data with the parameter of interest free.</summary>
    public required TestFit Free { get; init; }

    /// <summary>The fit to the data at the tested value.</summary>
    public required TestFit Fixed { get; init; }

    /// <summary>The fit to the Asimov data with the parameter of interest free.</summary>
    public required TestFit AsimovFree { get; init; }

    /// <summary>The fit to the Asimov data at the tested value.</summary>
    public required TestFit AsimovFixed { get; init; }

    /// <summary>The fit to the data without signal (for q0: with one of 1), at which the Asimov data are expected.</summary>
    public required TestFit Reference { get; init; }

    /// <summary>How the worst of these fits ended.</summary>
    public required FitStatus Status { get; init; }

    /// <summary>What a reader should know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
}

/// <summary>Upper limits on the parameter of interest by CLs.</summary>
public sealed record UpperLimitResult
{
    /// <summary>The parameter of interest.</summary>
    public required string Poi { get; init; }

    /// <summary>The statistic.</summary>
    public required TestStatistic Statistic { get; init; }

    /// <summary>The confidence level, between 0 and 1.</summary>
    public required double Level { get; init; }

    /// <summary>Where CLs falls to 1 - level on the data; NaN where no value is excluded.</summary>
    public required double Observed { get; init; }

    /// <summary>The limits expected without signal.</summary>
    public required ExpectedBand Expected { get; init; }

    /// <summary>The best value on the data, where the statistic lets it be.</summary>
    public required double Best { get; init; }

    /// <summary>How the worst of all fits ended; unbounded where a limit was not bracketed.</summary>
    public required FitStatus Status { get; init; }

    /// <summary>How many values were tested.</summary>
    public required int Tests { get; init; }

    /// <summary>What a reader should know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
}

/// <summary>A probability from toys, between 0 and 1, or a ratio of two.</summary>
/// <param name="Value">The part of the toys; NaN where there are none.</param>
/// <param name="Error">
/// Its binomial standard error; where none or all of the toys pass, which would make it 0, the length of the interval.
/// </param>
/// <param name="Low">
/// The lower end of the interval of Clopper and Pearson (Biometrika 26 (1934) 404) at 68.27 %; of a ratio, that of Donner and Zou.
/// </param>
/// <param name="High">Its upper end; ∞ for a ratio whose lower part may be 0.</param>
public sealed record ToyProbability(double Value, double Error, double Low, double High);

/// <summary>A test of one value of the parameter of interest by toys: random data, of which each is fitted twice.</summary>
public sealed record ToyTestResult
{
    /// <summary>The parameter of interest.</summary>
    public required string Poi { get; init; }

    /// <summary>The tested value.</summary>
    public required double Mu { get; init; }

    /// <summary>The statistic.</summary>
    public required TestStatistic Statistic { get; init; }

    /// <summary>Its value on the data.</summary>
    public required double Value { get; init; }

    /// <summary>The statistic of every toy with a signal of the tested strength; NaN where a fit did not converge.</summary>
    public required IReadOnlyList<double> Signal { get; init; }

    /// <summary>The statistic of every toy without signal (for q0: with one of 1); NaN where a fit did not converge.</summary>
    public required IReadOnlyList<double> Background { get; init; }

    /// <summary>How often toys with the signal are at least as far from the tested value as the data.</summary>
    public required ToyProbability Clsb { get; init; }

    /// <summary>How often toys without signal are.</summary>
    public required ToyProbability Clb { get; init; }

    /// <summary>CLs+b / CLb.</summary>
    public required ToyProbability Cls { get; init; }

    /// <summary>Toys that were left out because a fit did not converge.</summary>
    public required int Lost { get; init; }

    /// <summary>How the fits to the data ended.</summary>
    public required FitStatus Status { get; init; }

    /// <summary>What a reader should know.</summary>
    public required IReadOnlyList<string> Notes { get; init; }
}
