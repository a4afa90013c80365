using FunLik.Api;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;

namespace FunLik.Host.Interop;

/// <summary>Intervals, grids, contours and impacts of FunLik.Core and of the C# face.</summary>
internal static class Inference
{
    /// <summary>Levels for so many parameters; the usual ones where there are none.</summary>
    internal static FSharpList<FunLik.ConfidenceLevel> ToLevels(IReadOnlyList<Level> levels, int parameters) =>
        levels.Count == 0
            ? ConfidenceLevelModule.usual(parameters)
            : ListModule.OfSeq(levels.Select(level => level.IsProbability
                ? ConfidenceLevelModule.ofProbability(parameters, level.Value)
                : ConfidenceLevelModule.ofTwiceDeltaNll(parameters, level.Value)));

    internal static IntervalResult ToResult(Intervals found)
    {
        var (minus, plus) = IntervalModule.errors(found);

        return new()
        {
            Parameter = found.Parameter,
            Best = found.Best,
            Intervals =
            [
                .. found.Intervals.Select(i => new ConfidenceInterval(
                    ToLevel(i.Level),
                    [.. i.Pieces.Select(piece => new Api.IntervalPiece(ToEnd(piece.Low), ToEnd(piece.High)))])),
            ],
            Minus = OptionModule.ToNullable(minus),
            Plus = OptionModule.ToNullable(plus),
            X = found.X,
            TwiceDeltaNll = found.TwiceDeltaNll,
            Minimum = Fits.ToResult(found.Minimum),
            Status = Fits.ToStatus(found.Status),
            Evaluations = found.Evaluations,
            Notes = [.. found.Notes],
            Found = found,
        };
    }

    internal static RecheckResult ToResult(Recheck found) =>
        new()
        {
            Crossings = [.. found.Crossings.Select(c => new Api.RecheckedCrossing(ToLevel(c.Level), c.Before, c.Exact))],
            Minimum = Fits.ToResult(found.Minimum),
            ExactCalls = found.ExactCalls,
            Status = Fits.ToStatus(found.Status),
        };

    internal static FSharpList<Tuple<string, double[]>> ToAxes(IReadOnlyList<GridAxis> axes) =>
        ListModule.OfSeq(axes.Select(axis => Tuple.Create(axis.Parameter, axis.Values.ToArray())));

    internal static GridScanResult ToResult(GridScan scan) =>
        new()
        {
            Axes = [.. scan.Parameters.Zip(scan.Axes, (name, values) => new GridAxis(name, values))],
            TwiceDeltaNll = scan.TwiceDeltaNll,
            Status = [.. scan.Status.Select(Fits.ToStatus)],
            Points = scan.Points,
            Minimum = Fits.ToResult(scan.Minimum),
            Frozen = scan.Frozen,
            Evaluations = scan.Evaluations,
            Notes = [.. scan.Notes],
        };

    internal static Api.Contour ToContour(FunLik.Contour contour) =>
        new(ToLevel(contour.Level), [.. contour.Lines.Select(ToLine)]);

    internal static ImpactsResult ToResult(Impacts found) =>
        new()
        {
            Poi = found.Poi,
            Best = found.Best,
            Sigma = OptionModule.ToNullable(found.Sigma),
            Impacts = [.. found.Impacts.Select(ToImpact)],
            Fit = Fits.ToResult(found.Fit),
            Evaluations = found.Evaluations,
            Notes = [.. found.Notes],
        };

    internal static Api.ConfidenceLevel ToLevel(FunLik.ConfidenceLevel level) =>
        new(level.TwiceDeltaNll, level.Probability, level.Parameters, ConfidenceLevelModule.label(level));

    private static Api.IntervalEnd ToEnd(FunLik.IntervalEnd end) =>
        new(end.Value, Enum.Parse<Api.IntervalEndKind>(end.Kind.ToString()), end.Point);

    internal static Api.ContourLine ToLine(FunLik.ContourLine line) =>
        new(line.IsClosed, [.. line.Points.Select(p => p.Item1)], [.. line.Points.Select(p => p.Item2)]);

    private static NuisanceImpact ToImpact(Impact impact) =>
        new()
        {
            Name = impact.Name,
            Best = impact.Best,
            PreFit = impact.PreFit?.Value.Item1,
            PreFitSigma = impact.PreFit?.Value.Item2,
            PostFitSigma = OptionModule.ToNullable(impact.PostFit),
            Pull = OptionModule.ToNullable(impact.Pull),
            Narrowing = OptionModule.ToNullable(impact.Narrowing),
            PreFitImpact = ToPair(impact.BeforeData),
            PostFitImpact = ToPair(impact.AfterData),
            Status = Fits.ToStatus(impact.Status),
        };

    private static Api.ImpactPair? ToPair(FSharpOption<FunLik.ImpactPair>? pair) =>
        pair is null ? null : new(pair.Value.Up, pair.Value.Down);
}
