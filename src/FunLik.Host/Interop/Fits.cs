using FunLik.Api;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;

namespace FunLik.Host.Interop;

/// <summary>Fits and scans of FunLik.Core and of the C# face.</summary>
internal static class Fits
{
    /// <summary>Options that <see cref="Mistakes"/> has looked at.</summary>
    internal static FunLik.FitOptions ToCore(Api.FitOptions options, RunOptions run) =>
        new(
            OptionModule.OfNullable(options.Starts),
            ToPairs(options.Fixed),
            options.MaxIterations,
            options.Edm,
            options.Covariance,
            run);

    internal static FSharpList<Tuple<string, double>> ToPairs(IReadOnlyDictionary<string, double> values) =>
        ListModule.OfSeq(values.Select(pair => Tuple.Create(pair.Key, pair.Value)));

    internal static FitResult ToResult(Fit fit) =>
        new()
        {
            Status = ToStatus(fit.Status),
            TwiceNll = fit.TwiceNll,
            Names = fit.Names,
            Point = fit.Point,
            GradientNorm = fit.GradientNorm,
            Edm = fit.Edm,
            Iterations = fit.Iterations,
            Evaluations = fit.Evaluations,
            ActiveBounds = [.. fit.ActiveBounds.Select(ToBound)],
            Kinks = [.. fit.Kinks],
            Undetermined = [.. fit.Undetermined],
            Covariance = OptionModule.ToObj(fit.Covariance),
            Minima = [.. fit.Minima.Select(m => new Api.LocalMinimum(m.TwiceNll, m.Starts, m.Point))],
        };

    internal static ScanResult ToResult(Scan scan) =>
        new()
        {
            Parameter = scan.Parameter,
            X = scan.X,
            TwiceDeltaNll = scan.TwiceDeltaNll,
            Status = [.. scan.Status.Select(ToStatus)],
            Points = scan.Points,
            Fits = [.. scan.Fits.Select(ToResult)],
            Minimum = ToResult(scan.Minimum),
            Frozen = scan.Frozen,
            Evaluations = scan.Evaluations,
            Notes = [.. scan.Notes],
        };

    private static ActiveBound ToBound(ParameterBound bound) =>
        new(bound.Parameter, bound.Side.IsLower ? Api.BoundSide.Lower : Api.BoundSide.Upper, bound.Value);

    internal static Api.FitStatus ToStatus(FunLik.FitStatus status) =>
        status.Tag switch
        {
            FunLik.FitStatus.Tags.Converged => Api.FitStatus.Converged,
            FunLik.FitStatus.Tags.MaxIterations => Api.FitStatus.MaxIterations,
            FunLik.FitStatus.Tags.NoProgress => Api.FitStatus.NoProgress,
            FunLik.FitStatus.Tags.NotFinite => Api.FitStatus.NotFinite,
            FunLik.FitStatus.Tags.Unbounded => Api.FitStatus.Unbounded,
            _ => throw new InvalidOperationException($"a status that is not known: {status}"),
        };
}
