using FunLik.Api;
using Microsoft.FSharp.Core;

namespace FunLik.Host.Interop;

/// <summary>Goodness of fit, Wilks's theorem and intervals by toys, of FunLik.Core and of the C# face.</summary>
internal static class Examinations
{
    internal static GoodnessOfFitResult ToResult(GoodnessOfFit found) =>
        new()
        {
            Statistic = found.Statistic,
            Data = found.Data,
            Parameters = found.Parameters,
            DegreesOfFreedom = found.Degrees,
            PValue = found.PValue,
            ToyPValue = found.FromToys is { } p ? Tests.ToProbability(p.Value) : null,
            Terms = [.. found.Terms.Select(t => new Api.TermDeviance(t.Name, t.IsConstraint, t.Data, t.Statistic))],
            Toys = found.Toys,
            Lost = found.Lost,
            Fit = Fits.ToResult(found.Fit),
            Status = Fits.ToStatus(found.Status),
            Notes = [.. found.Notes],
        };

    internal static WilksResult ToResult(WilksCheck found) =>
        new()
        {
            Poi = found.Poi,
            Mu = found.Mu,
            Point = found.Point,
            Toys = found.Toys,
            Lost = found.Lost,
            Distance = found.Kolmogorov.Distance,
            PValue = found.Kolmogorov.PValue,
            Coverage =
            [
                .. found.Coverage.Select(c => new WilksCoverage(Inference.ToLevel(c.Item1), Tests.ToProbability(c.Item2))),
            ],
            Quantiles = [.. found.Quantiles.Select(q => new Api.WilksQuantile(q.Probability, q.Expected, q.Found, q.Low, q.High))],
            Histogram = [.. found.Histogram.Select(b => new Api.WilksBin(b.Low, b.High, b.Count, b.Expected))],
            Status = Fits.ToStatus(found.Status),
            Notes = [.. found.Notes],
        };

    /// <summary>Options that <see cref="Mistakes"/> has looked at, for one level.</summary>
    internal static FunLik.FeldmanCousinsOptions ToCore(Api.FeldmanCousinsOptions options, double level)
    {
        var range = options is { From: { } from, To: { } to } ? Tuple.Create(from, to) : null;
        return new(level, options.Toys, OptionModule.OfObj(range), options.Count);
    }

    /// <summary>One result of the intervals of all levels, one or more.</summary>
    internal static FeldmanCousinsResult ToResult(Api.TestStatistic statistic, IReadOnlyList<FeldmanCousins> found) =>
        new()
        {
            Parameter = found[0].Parameter,
            Best = found[0].Best,
            Statistic = statistic,
            Intervals = [.. found.Select(ToInterval)],
            Status = found.Select(f => Fits.ToStatus(f.Status)).FirstOrDefault(s => s != Api.FitStatus.Converged),
            Notes = [.. found.SelectMany(f => f.Notes).Distinct()],
        };

    private static FeldmanCousinsInterval ToInterval(FeldmanCousins found) =>
        new()
        {
            Level = found.Level,
            Pieces = [.. found.Pieces.Select(piece => new Api.FeldmanCousinsPiece(ToEnd(piece.Low), ToEnd(piece.High)))],
            Points =
            [
                .. found.Points.Select(p => new Api.FeldmanCousinsPoint(p.X, p.T, p.Critical, Tests.ToProbability(p.P), p.Toys)),
            ],
            Toys = found.Toys,
            Lost = found.Lost,
        };

    private static Api.FeldmanCousinsEnd ToEnd(FunLik.FeldmanCousinsEnd end) =>
        new(end.Value, end.Low, end.High, Enum.Parse<Api.IntervalEndKind>(end.Kind.ToString()));
}
