using FunLik.Host.Interop;

namespace FunLik.Api;

/// <summary>How far t off draws is from an exact profile, over the bins that have draws.</summary>
/// <param name="Bias">The mean difference: above 0 where t off draws is too large.</param>
/// <param name="MeanError">The mean absolute difference.</param>
/// <param name="Largest">The largest absolute difference.</param>
/// <param name="Bins">Bins that have draws.</param>
public sealed record DrawScanError(double Bias, double MeanError, double Largest, int Bins);

/// <summary>t of a parameter read off draws, with bins of one width (section 3 of arXiv:1911.03305).</summary>
/// <param name="Parameter">The parameter.</param>
/// <param name="Width">The width of the bins, in units of the parameter.</param>
/// <param name="X">The middles of the bins.</param>
/// <param name="TwiceDeltaNll">
/// Twice the largest log density less the largest of the draws in each bin; NaN where a bin has none.
/// </param>
/// <param name="Draws">The draws in each bin.</param>
public sealed record DrawScan(
    string Parameter,
    double Width,
    IReadOnlyList<double> X,
    IReadOnlyList<double> TwiceDeltaNll,
    IReadOnlyList<int> Draws)
{
    /// <summary>How far it is from an exact profile at the same values.</summary>
    /// <param name="exact">Twice ΔNLL of the exact profile, one a bin, as <see cref="ScanResult.TwiceDeltaNll"/>.</param>
    /// <exception cref="LikelihoodException">Another number of values.</exception>
    public DrawScanError ErrorsFrom(IReadOnlyList<double> exact)
    {
        ArgumentNullException.ThrowIfNull(exact);
        Guard.Length(nameof(exact), exact.Count, X.Count);
        return Posteriors.ToErrors(this, exact);
    }
}
