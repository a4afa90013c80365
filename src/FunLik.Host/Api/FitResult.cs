namespace FunLik.Api;

/// <summary>How a fit ended.</summary>
public enum FitStatus
{
    /// <summary>At a minimum of -2 log density.</summary>
    Converged,

    /// <summary>The limit on evaluations came first.</summary>
    MaxIterations,

    /// <summary>No step goes further down, and the gradient is not small.</summary>
    NoProgress,

    /// <summary>No start has a density.</summary>
    NotFinite,

    /// <summary>The density has no upper bound.</summary>
    Unbounded,
}

/// <summary>Which of its two bounds a parameter is at.</summary>
public enum BoundSide
{
    /// <summary>The lower one.</summary>
    Lower,

    /// <summary>The upper one.</summary>
    Upper,
}

/// <summary>A bound that a fit rests at.</summary>
/// <param name="Parameter">The name of the parameter.</param>
/// <param name="Side">Which bound it is.</param>
/// <param name="Value">The bound.</param>
public sealed record ActiveBound(string Parameter, BoundSide Side, double Value);

/// <summary>A minimum that some of the starts of a fit reached.</summary>
/// <param name="TwiceNll">-2 log density there.</param>
/// <param name="Starts">How many starts ended there.</param>
/// <param name="Point">The point, in the order of the parameters.</param>
public sealed record LocalMinimum(double TwiceNll, int Starts, IReadOnlyList<double> Point);

/// <summary>The point of the largest density. A fit that did not converge is a result too: its status says so.</summary>
public sealed record FitResult
{
    /// <summary>How the fit ended.</summary>
    public required FitStatus Status { get; init; }

    /// <summary>-2 log density at the best point; ∞ where no start has a density.</summary>
    public required double TwiceNll { get; init; }

    /// <summary>The names of the parameters.</summary>
    public required IReadOnlyList<string> Names { get; init; }

    /// <summary>The best point, in the order of the names.</summary>
    public required IReadOnlyList<double> Point { get; init; }

    /// <summary>The largest component of the gradient of -2 log density, over what is free to move.</summary>
    public required double GradientNorm { get; init; }

    /// <summary>The estimated distance to the minimum of -2 log density.</summary>
    public required double Edm { get; init; }

    /// <summary>Steps that the best start took.</summary>
    public required int Iterations { get; init; }

    /// <summary>Evaluations of value and gradient together, of all starts.</summary>
    public required int Evaluations { get; init; }

    /// <summary>The bounds that parameters press against.</summary>
    public required IReadOnlyList<ActiveBound> ActiveBounds { get; init; }

    /// <summary>The parameters in a kink of the density, where it falls on both sides.</summary>
    public required IReadOnlyList<string> Kinks { get; init; }

    /// <summary>
    /// The parameters that move along a direction in which the density is flat to second order, where a covariance was asked for: they
    /// have no standard deviation. Those of all others are the same whether these are free or fixed.
    /// </summary>
    public required IReadOnlyList<string> Undetermined { get; init; }

    /// <summary>The different minima, the lowest first.</summary>
    public required IReadOnlyList<LocalMinimum> Minima { get; init; }

    /// <summary>
    /// The inverse Hessian of -log density at the best point, one row a parameter, with zeros for what is fixed, at a bound or in a
    /// kink, and NaN for what is undetermined; null if it was not asked for or the point is a saddle.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<double>>? Covariance { get; init; }

    /// <summary>The fitted value of a parameter.</summary>
    /// <param name="name">The parameter's name.</param>
    /// <exception cref="KeyNotFoundException">There is no such parameter.</exception>
    public double this[string name] => Point[IndexOf(name)];

    /// <summary>
    /// The standard deviation of a parameter from the covariance; null for what is fixed, at a bound, in a kink or undetermined, and
    /// where there is no covariance.
    /// </summary>
    /// <param name="name">The parameter's name.</param>
    /// <exception cref="KeyNotFoundException">There is no such parameter.</exception>
    public double? Sigma(string name)
    {
        var i = IndexOf(name);
        return Covariance?[i][i] is > 0 and var variance ? Math.Sqrt(variance) : null;
    }

    /// <summary>The correlation of two parameters from the covariance, between -1 and 1; null where one has no standard deviation.</summary>
    /// <param name="first">The name of the first.</param>
    /// <param name="second">The name of the second.</param>
    /// <exception cref="KeyNotFoundException">There is no such parameter.</exception>
    public double? Correlation(string first, string second) =>
        Sigma(first) * Sigma(second) is { } product ? Covariance![IndexOf(first)][IndexOf(second)] / product : null;

    private int IndexOf(string name)
    {
        for (var i = 0; i < Names.Count; i++)
        {
            if (Names[i] == name)
            {
                return i;
            }
        }

        throw new KeyNotFoundException($"There is no parameter '{name}'.");
    }
}
