using FunLik.Api;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;

namespace FunLik.Host.Interop;

/// <summary>Fits and scans of FunLik.Core and of the C# face.</summary>
internal static class Fits
{
    internal static FunLik.FitOptions ToCore(Api.FitOptions options, RunOptions run) =>
        new(
            options.Starts is { } starts ? FSharpOption<int>.Some(Guard.AtLeast(1, starts, nameof(options.Starts))) : null,
            ListModule.OfSeq(options.Fixed.Select(pair => Tuple.Create(pair.Key, pair.Value))),
            Guard.AtLeast(1, options.MaxIterations, nameof(options.MaxIterations)),
            Guard.Positive(options.Edm, nameof(options.Edm)),
            options.Covariance,
            run);

    internal static FitResult ToResult(Fit fit) =>
        new()
        {
            Status = ToStatus(fit.Status),
            TwiceNll = fit.TwiceNll,
            Names = fit.Names,
            Point = fit.Point,
            GradientNorm = fit.GradientNorm,
            Edm = fit.Edm,
            Evaluations = fit.Evaluations,
            ActiveBounds = [.. fit.ActiveBounds.Select(bound => bound.Parameter)],
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
            Minimum = ToResult(scan.Minimum),
            Notes = [.. scan.Notes],
        };

    private static Api.FitStatus ToStatus(FunLik.FitStatus status) => Enum.Parse<Api.FitStatus>(status.ToString());
}
