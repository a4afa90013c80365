using FunLik.Api;

namespace FunLik.Host.Interop;

/// <summary>Hypothesis tests of FunLik.Core and of the C# face.</summary>
internal static class Tests
{
    internal static FunLik.TestStatistic ToCore(Api.TestStatistic statistic) =>
        statistic switch
        {
            Api.TestStatistic.QTilde => FunLik.TestStatistic.QTilde,
            Api.TestStatistic.Q => FunLik.TestStatistic.Q,
            Api.TestStatistic.TTilde => FunLik.TestStatistic.TTilde,
            Api.TestStatistic.TMu => FunLik.TestStatistic.T,
            Api.TestStatistic.Q0 => FunLik.TestStatistic.Q0,
            _ => throw new ArgumentOutOfRangeException(nameof(statistic), statistic, "one of QTilde, Q, TTilde, TMu, Q0"),
        };

    internal static HypothesisTestResult ToResult(Api.TestStatistic statistic, Tester tester, HypothesisTest test) =>
        new()
        {
            Poi = tester.Poi,
            Mu = test.Mu,
            Best = tester.Free.Point[tester.Index],
            Statistic = statistic,
            Value = test.Statistic,
            AsimovValue = test.AsimovStatistic,
            Clsb = test.Observed.Clsb,
            Clb = test.Observed.Clb,
            Cls = test.Observed.Cls,
            ExpectedCls = ToBand([.. test.Expected.Select(p => p.Cls)]),
            ExpectedClsb = ToBand([.. test.Expected.Select(p => p.Clsb)]),
            ExpectedClb = ToBand([.. test.Expected.Select(p => p.Clb)]),
            Free = ToFit(tester, tester.Free),
            Fixed = ToFit(tester, test.Fixed, test.Mu),
            AsimovFree = ToFit(tester, tester.AsimovFree),
            AsimovFixed = ToFit(tester, test.AsimovFixed, test.Mu),
            Reference = ToFit(tester, tester.Reference, statistic == Api.TestStatistic.Q0 ? 1 : 0),
            Status = Fits.ToStatus(test.Status),
            Notes = [.. tester.Notes],
        };

    internal static UpperLimitResult ToResult(Api.TestStatistic statistic, Tester tester, Limit limit) =>
        new()
        {
            Poi = tester.Poi,
            Statistic = statistic,
            Level = limit.Level,
            Observed = limit.Observed,
            Expected = ToBand(limit.Expected),
            Best = tester.Free.Point[tester.Index],
            Status = Fits.ToStatus(limit.Status),
            Tests = limit.Tests,
            Notes = [.. tester.Notes],
        };

    internal static ToyTestResult ToResult(Api.TestStatistic statistic, Tester tester, ToyTest test) =>
        new()
        {
            Poi = tester.Poi,
            Mu = test.Mu,
            Statistic = statistic,
            Value = test.Observed,
            Signal = test.Signal,
            Background = test.Background,
            Clsb = ToProbability(test.Clsb),
            Clb = ToProbability(test.Clb),
            Cls = ToProbability(test.Cls),
            Lost = test.Lost,
            Status = Fits.ToStatus(test.Status),
            Notes = [.. tester.Notes],
        };

    private static ExpectedBand ToBand(IReadOnlyList<double> five) => new(five[0], five[1], five[2], five[3], five[4]);

    internal static Api.ToyProbability ToProbability(FunLik.ToyProbability p) => new(p.Value, p.Error, p.Low, p.High);

    /// <summary>A fit; where a value is given, the parameter of interest was held there.</summary>
    private static TestFit ToFit(Tester tester, DataFit fit, double? held = null)
    {
        var fitter = tester.Fitter.Fitter;

        return new()
        {
            Status = Fits.ToStatus(fit.Status),
            TwiceNll = fit.TwiceNll,
            Point = fit.Point,
            GradientNorm = fit.GradientNorm,
            ActiveBounds =
            [
                .. Enumerable.Range(0, fit.Point.Length)
                    .Where(i => fitter.Lower[i] < fitter.Upper[i] && !(held.HasValue && i == tester.Index))
                    .Where(i => fit.Point[i] <= fitter.Lower[i] || fit.Point[i] >= fitter.Upper[i])
                    .Select(i => fit.Point[i] <= fitter.Lower[i]
                        ? new ActiveBound(fitter.Objective.Parameters[i].Name, Api.BoundSide.Lower, fitter.Lower[i])
                        : new ActiveBound(fitter.Objective.Parameters[i].Name, Api.BoundSide.Upper, fitter.Upper[i])),
            ],
        };
    }
}
