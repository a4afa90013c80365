using Xunit;

namespace FunLik.Host.Tests;

using FunLik.Api;

/// <summary>Intervals, contours, profiles and impacts in C#, on models that can be done by hand.</summary>
public class InferenceTests(Workplace workplace) : IClassFixture<Workplace>
{
    private const double Sigma = 0.7;

    /// <summary>A normal density of two parameters of interest and a nuisance, with correlations: everything has a closed form.</summary>
    private static readonly double[,] Precision = { { 4, 1, 0.5 }, { 1, 3, -1 }, { 0.5, -1, 2 } };

    private const double Determinant = 4 * (3 * 2 - 1) - 1 * (1 * 2 + 0.5) + 0.5 * (-1 - 3 * 0.5);

    private LikelihoodModel TwoBins => LikelihoodModel.Load(workplace.TwoBins);

    private static LikelihoodModel Normal() =>
        LikelihoodModel.FromDelegate(
            "normal",
            [
                new ParameterInfo("a") { Role = ParameterRole.Poi },
                new ParameterInfo("b") { Role = ParameterRole.Poi },
                new ParameterInfo("c"),
            ],
            x =>
            {
                var sum = 0.0;

                for (var i = 0; i < 3; i++)
                {
                    for (var j = 0; j < 3; j++)
                    {
                        sum += Precision[i, j] * x[i] * x[j];
                    }
                }

                return -0.5 * sum;
            },
            (x, gradient) =>
            {
                for (var i = 0; i < 3; i++)
                {
                    gradient[i] = -(Precision[i, 0] * x[0] + Precision[i, 1] * x[1] + Precision[i, 2] * x[2]);
                }
            });

    /// <summary>The normal density with c at its best value: c = -(0.5 a - b) / 2.</summary>
    private static double TwiceDeltaNll(double a, double b) =>
        4 * a * a + 2 * a * b + 3 * b * b - (0.5 * a - b) * (0.5 * a - b) / 2;

    /// <summary>-2 log density is (m² - 1)² / σ²: two minima, at -1 and 1.</summary>
    private static LikelihoodModel TwoMinima() =>
        LikelihoodModel.FromDelegate(
            "two minima",
            [new ParameterInfo("m") { Role = ParameterRole.Poi, Nominal = 0.5, IsKinked = false, RangeFrom = -3, RangeTo = 3 }],
            x => -0.5 * (x[0] * x[0] - 1) * (x[0] * x[0] - 1) / (Sigma * Sigma));

    [Fact]
    public void A_covariance_has_standard_deviations_and_correlations()
    {
        var fit = Normal().Fit(new FitOptions { Covariance = true });
        Assert.Equal(Math.Sqrt((3 * 2 - 1) / Determinant), fit.Sigma("a")!.Value, 6);
        Assert.Equal(-(1 * 2 + 0.5) / Math.Sqrt((3 * 2 - 1) * (4 * 2 - 0.25)), fit.Correlation("a", "b")!.Value, 6);
        Assert.Equal(1, fit.Correlation("c", "c")!.Value, 12);
        Assert.Null(Normal().Fit().Sigma("a"));
        Assert.Throws<KeyNotFoundException>(() => fit.Correlation("a", "d"));
    }

    [Fact]
    public void An_interval_is_a_union_of_pieces()
    {
        var found = TwoMinima().Interval(new("m") { Levels = [Level.OfTwiceDeltaNll(1), Level.OfTwiceDeltaNll(3.84)] });
        Assert.Equal(FitStatus.Converged, found.Status);
        var narrow = found.Intervals[0];
        Assert.Equal(2, narrow.Pieces.Count);
        double[] ends = [-Math.Sqrt(1 + Sigma), -Math.Sqrt(1 - Sigma), Math.Sqrt(1 - Sigma), Math.Sqrt(1 + Sigma)];
        Assert.Equal(ends, narrow.Pieces.SelectMany(p => new[] { p.Low.Value, p.High.Value }), (a, b) => Math.Abs(a - b) < 1e-6);
        Assert.All(narrow.Pieces, p => Assert.Equal((IntervalEndKind.Crossing, IntervalEndKind.Crossing), (p.Low.Kind, p.High.Kind)));
        Assert.DoesNotContain(narrow.Pieces, p => p.Contains(0));
        Assert.True(Assert.Single(found.Intervals[1].Pieces).Contains(0));
        Assert.Contains("twice ΔNLL 1,", narrow.Level.Label);
        Assert.Equal(0.6827, narrow.Level.Probability, 4);
        var ownPiece = narrow.Pieces.Single(p => p.Contains(found.Best));
        Assert.Equal(ownPiece.High.Value - found.Best, found.Plus!.Value, 12);
        Assert.Equal(ownPiece.Low.Value - found.Best, found.Minus!.Value, 12);
    }

    [Fact]
    public void An_interval_says_where_it_is_not_closed()
    {
        var found = TwoMinima().Interval(new("m") { From = 0.9, To = 1.1, Levels = [Level.OfProbability(0.95)] });
        var piece = found.Intervals.Single().Pieces.Single();
        Assert.Equal((IntervalEndKind.Open, 0.9), (piece.Low.Kind, piece.Low.Value));
        Assert.Equal((IntervalEndKind.Open, 1.1), (piece.High.Kind, piece.High.Value));
        Assert.Null(found.Plus);
    }

    [Fact]
    public void A_grid_profiles_what_is_not_in_it()
    {
        var grid = Normal().ScanGrid(new([GridAxis.Between("a", -1, 1, 5), new("b", [-0.5, 0, 0.25])]));
        Assert.Equal(15, grid.TwiceDeltaNll.Count);
        Assert.All(grid.Status, status => Assert.Equal(FitStatus.Converged, status));

        for (var i = 0; i < 5; i++)
        {
            for (var j = 0; j < 3; j++)
            {
                var (a, b) = (grid.Axes[0].Values[i], grid.Axes[1].Values[j]);
                var place = grid.IndexOf(i, j);
                Assert.Equal(TwiceDeltaNll(a, b), grid.TwiceDeltaNll[place], 6);
                Assert.Equal([a, b, -(0.5 * a - b) / 2], grid.Points[place], (x, y) => Math.Abs(x - y) < 1e-4);
            }
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => grid.IndexOf(5, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => grid.IndexOf(0));
    }

    [Fact]
    public void A_contour_lies_at_its_level()
    {
        var found = Normal().Contour(new(GridAxis.Between("a", -2, 2, 81), GridAxis.Between("b", -2, 2, 81)));
        Assert.Equal([2.30, 5.99], found.Contours.Select(c => c.Level.TwiceDeltaNll));
        Assert.Equal(0.95, found.Contours[1].Level.Probability, 3);
        Assert.Contains("%", found.Contours[0].Level.Label);

        foreach (var contour in found.Contours)
        {
            var line = Assert.Single(contour.Lines);
            Assert.True(line.IsClosed);
            Assert.All(
                line.X.Zip(line.Y),
                p => Assert.Equal(contour.Level.TwiceDeltaNll, TwiceDeltaNll(p.First, p.Second), 0.02));
        }
    }

    [Fact]
    public void A_profile_is_a_model_of_what_is_kept()
    {
        var profile = Normal().Profile(new(["b", "a"]));
        Assert.Equal(["b", "a"], profile.Parameters.Select(p => p.Name));
        Assert.Equal(["a", "b", "c"], profile.AllNames);
        double[] points = [0, 0, 0.5, -1, 1, 0.25];
        double[] values = new double[3], gradients = new double[6], profiled = new double[9];
        double[] norms = new double[3], edms = new double[3], hessians = new double[12];
        var statuses = new FitStatus[3];
        var reports = new List<FitProgress>();
        profile.EvaluateProfile(points, values, statuses, gradients, profiled, norms, edms, hessians, new Recorder(reports));

        for (var row = 0; row < 3; row++)
        {
            var (b, a) = (points[2 * row], points[2 * row + 1]);
            Assert.Equal(FitStatus.Converged, statuses[row]);
            Assert.Equal(-0.5 * TwiceDeltaNll(a, b), values[row], 7);
            Assert.Equal([a, b, -(0.5 * a - b) / 2], profiled[(3 * row)..(3 * row + 3)], (x, y) => Math.Abs(x - y) < 1e-4);
            Assert.Equal(-(2 * a + 6 * b + (0.5 * a - b)) / 2, gradients[2 * row], 3);
            Assert.Equal(-(8 * a + 2 * b - 0.5 * (0.5 * a - b)) / 2, gradients[2 * row + 1], 3);
            Assert.InRange(norms[row], 0, 1e-4);
            Assert.InRange(edms[row], 0, 1e-8);

            // The second derivatives of twice ΔNLL in b and a.
            Assert.Equal([5, 2.5, 2.5, 7.75], hessians[(4 * row)..(4 * row + 4)], (x, y) => Math.Abs(x - y) < 1e-3);
        }

        Assert.Equal((3, 3), (reports[^1].Done, reports[^1].Total));

        // The same as by the calls of any model, which it is.
        double[] same = new double[3], sameGradients = new double[6];
        profile.EvaluateWithGradient(points, same, sameGradients);
        Assert.Equal(values, same);
        Assert.Equal(gradients, sameGradients);
        var fit = profile.Fit();
        Assert.Equal(0, fit["a"], 3);
        Assert.Equal(0, fit["b"], 3);
    }

    [Fact]
    public void A_profile_that_has_learnt_is_the_same_profile()
    {
        var profile = TwoBins.Profile(new(["mu"]));
        var points = Enumerable.Range(0, 200).Select(i => 0.02 * i).ToArray();
        var learnt = profile.Learn(points);
        double[] before = new double[200], after = new double[200];
        var statuses = new FitStatus[200];
        profile.EvaluateProfile(points, before, statuses);
        learnt.EvaluateProfile(points, after, statuses);
        Assert.All(statuses, status => Assert.Equal(FitStatus.Converged, status));
        Assert.All(before.Zip(after), pair => Assert.Equal(pair.First, pair.Second, 1e-7));
        Assert.Equal(profile.Best, learnt.Best);
    }

    [Fact]
    public void Frozen_parameters_of_interest_stay_where_they_are()
    {
        // b at its nominal value of 0, and c fitted: twice ΔNLL of a is 31/8 a².
        const double Curvature = 4 - 0.125;
        var options = new IntervalOptions("a") { Levels = [Level.OfTwiceDeltaNll(1)] };
        Assert.Equal(Math.Sqrt((3 * 2 - 1) / Determinant), Normal().Interval(options).Plus!.Value, 1e-6);
        Assert.Equal(1 / Math.Sqrt(Curvature), Normal().Interval(options with { Frozen = true }).Plus!.Value, 1e-6);
        var test = new TestOptions { Poi = "a", Statistic = TestStatistic.TMu, Frozen = true };
        Assert.Equal(Curvature, Normal().Statistic([1], test).Values[0], 1e-6);

        // What is held at a value is no longer frozen at another.
        var held = test with { Fixed = new Dictionary<string, double> { ["b"] = 0.5 } };
        var lowest = Enumerable.Range(-1000, 2001).Min(i => TwiceDeltaNll(1e-3 * i, 0.5));
        Assert.Equal(TwiceDeltaNll(1, 0.5) - lowest, Normal().Statistic([1], held).Values[0], 1e-5);
        Assert.DoesNotContain(Normal().Impacts(new ImpactOptions { Poi = "a", Frozen = true }).Impacts, i => i.Name == "b");
    }

    [Fact]
    public void Impacts_are_those_of_the_covariance_where_the_density_is_normal()
    {
        var found = Normal().Impacts(new ImpactOptions { Poi = "a" });
        var impact = found.Impacts.Single(i => i.Name == "c");
        Assert.Null(impact.PreFitImpact);
        Assert.Null(impact.Pull);

        // The shift of a with c one standard deviation up: their covariance over the deviation of c.
        var variance = (4 * 3 - 1) / Determinant;
        var covariance = (1 * -1 - 3 * 0.5) / Determinant;
        Assert.Equal(covariance / Math.Sqrt(variance), impact.PostFitImpact!.Up, 5);
        Assert.Equal(-covariance / Math.Sqrt(variance), impact.PostFitImpact.Down, 5);
        Assert.Equal(Math.Sqrt(variance), impact.PostFitSigma!.Value, 5);
    }

    [Fact]
    public void Impacts_of_a_workspace_have_pulls_and_are_ranked()
    {
        var found = TwoBins.Impacts();
        Assert.Equal("mu", found.Poi);
        Assert.Equal(2, found.Impacts.Count);
        Assert.All(found.Impacts, i => Assert.Equal(FitStatus.Converged, i.Status));
        Assert.True(found.Impacts[0].PostFitImpact!.Size >= found.Impacts[1].PostFitImpact!.Size);

        foreach (var impact in found.Impacts)
        {
            Assert.Equal((impact.Best - impact.PreFit!.Value) / impact.PreFitSigma!.Value, impact.Pull!.Value, 12);
            Assert.Equal(impact.PostFitSigma!.Value / impact.PreFitSigma.Value, impact.Narrowing!.Value, 12);

            // More background leaves less signal, if the best value is free to move.
            Assert.True(impact.PreFitImpact!.Up <= 0);
        }
    }

    private sealed class Recorder(List<FitProgress> reports) : IProgress<FitProgress>
    {
        public void Report(FitProgress value) => reports.Add(value);
    }
}
