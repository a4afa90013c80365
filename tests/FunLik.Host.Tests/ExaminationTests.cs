using Xunit;

namespace FunLik.Host.Tests;

using FunLik.Api;

/// <summary>Goodness of fit, Wilks's theorem and intervals by toys in C#, on models that can be done by hand.</summary>
public class ExaminationTests(Workplace workplace) : IClassFixture<Workplace>
{
    private LikelihoodModel Counting => LikelihoodModel.Load(workplace.Model);

    private LikelihoodModel TwoBinsWithSignal => LikelihoodModel.Load(workplace.TwoBinsWithSignal);

    /// <summary>A count of n over a known background of 3, with a signal of 1: the example of Feldman and Cousins.</summary>
    private LikelihoodModel Known(int n) =>
        LikelihoodModel.Load(workplace.Write(
            $"known-{n}.json",
            """
            {"kind": "counting", "name": "known", "poi": {"name": "mu", "bounds": [0, 50], "nominal": 1},
             "channels": [{"name": "sr", "observed": [COUNT], "signal": [1], "background": [3]}]}
            """.Replace("COUNT", $"{n}")));

    /// <summary>The probability beyond ±√x of a normal distribution: χ² of one degree of freedom, by Simpson's rule.</summary>
    private static double ChiSquaredTail(double x)
    {
        const int Steps = 2000;
        var width = Math.Sqrt(x) / Steps;
        var sum = Enumerable.Range(0, Steps + 1)
            .Sum(i => (i is 0 or Steps ? 1 : i % 2 == 1 ? 4 : 2) * Math.Exp(-0.5 * i * i * width * width));
        return 1 - 2 * sum * width / 3 / Math.Sqrt(2 * Math.PI);
    }

    [Fact]
    public void A_bin_with_a_free_signal_is_described_whatever_it_holds()
    {
        var found = Counting.GoodnessOfFit();
        Assert.Equal(FitStatus.Converged, found.Status);
        Assert.Equal(0, found.Statistic, 1e-8);
        Assert.Equal((2, 2, 0), (found.Data, found.Parameters, found.DegreesOfFreedom));
        Assert.Equal(double.NaN, found.PValue);
        Assert.Null(found.ToyPValue);
        Assert.Empty(found.Toys);
        Assert.Contains(found.Notes, note => note.Contains("degree of freedom"));
    }

    [Fact]
    public void A_signal_that_is_held_leaves_a_degree_of_freedom()
    {
        // With a signal of 1 the bin is what is expected, and its constraint is at its best: that is the saturated model.
        var held = new Dictionary<string, double> { ["mu"] = 2 };
        var found = Counting.GoodnessOfFit(new GoodnessOfFitOptions { Fixed = held });
        var expected = Counting.Fit(new FitOptions { Fixed = held }).TwiceNll - Counting.Fit().TwiceNll;
        Assert.Equal(expected, found.Statistic, 1e-7);
        Assert.Equal((2, 1, 1), (found.Data, found.Parameters, found.DegreesOfFreedom));
        Assert.Equal(ChiSquaredTail(expected), found.PValue, 1e-7);
        Assert.Equal(found.Statistic, found.Terms.Sum(t => t.Statistic), 1e-10);
        Assert.Single(found.Terms, t => t.IsConstraint);
        Assert.Equal(2, found.Fit["mu"]);

        // Frozen parameters of interest stay at their nominal values: 1.
        Assert.Equal(0, Counting.GoodnessOfFit(new GoodnessOfFitOptions { Frozen = true }).Statistic, 1e-8);
    }

    [Fact]
    public async Task Toys_say_how_often_data_are_as_far_away()
    {
        // With a fixed seed there is nothing left to chance. Six standard errors, and 0.02 for what χ² is off by with 50 events a bin.
        var model = TwoBinsWithSignal;
        var found = model.GoodnessOfFit(new GoodnessOfFitOptions { Toys = 1000, Seed = 5 });
        Assert.Equal((1000, 0), (found.Toys.Count, found.Lost));
        Assert.Equal(found.Toys.Average(t => t >= found.Statistic ? 1.0 : 0.0), found.ToyPValue!.Value, 1e-12);
        Assert.Equal(found.PValue, found.ToyPValue.Value, 6 * found.ToyPValue.Error + 0.02);
        Assert.InRange(found.ToyPValue.Value, found.ToyPValue.Low, found.ToyPValue.High);
        Assert.Equal(found.Toys.Take(50), model.GoodnessOfFit(new GoodnessOfFitOptions { Toys = 50, Seed = 5 }).Toys);

        // The same as the command line's, from the same seed.
        var line = await Cli.Run("gof", "--model", workplace.TwoBinsWithSignal, "--toys", "1000", "--seed", "5", "--json");
        Assert.Equal(
            line.Json().GetProperty("toyPValue").GetProperty("value").GetDouble(), found.ToyPValue.Value);
    }

    [Fact]
    public void The_statistic_of_toys_is_compared_with_chi_squared()
    {
        // Six standard errors, and 0.02 for what χ² is off by with 50 events a bin.
        var found = TwoBinsWithSignal.CheckWilks(1, new WilksOptions { Count = 2000, Seed = 2 });
        Assert.Equal((FitStatus.Converged, "mu", 1.0, 2000), (found.Status, found.Poi, found.Mu, found.Toys.Count));
        Assert.Equal(1, found.Point[0]);
        Assert.Equal(2000 - found.Lost, found.Histogram.Sum(b => b.Count));
        Assert.Equal(2000 - found.Lost, found.Histogram.Sum(b => b.Expected), 1e-6);
        Assert.Equal(double.PositiveInfinity, found.Histogram[^1].High);
        Assert.InRange(found.PValue, 0, 1);
        Assert.All(found.Quantiles, q => Assert.InRange(q.Found, q.Low, q.High));

        foreach (var coverage in found.Coverage)
        {
            var inside = found.Toys.Count(t => t <= coverage.Level.TwiceDeltaNll);
            Assert.Equal(inside / (2000.0 - found.Lost), coverage.Found.Value, 1e-12);
            Assert.Equal(coverage.Level.Probability, coverage.Found.Value, 6 * coverage.Found.Error + 0.02);
        }
    }

    /// <summary>Table IV of Feldman and Cousins, Phys. Rev. D 57 (1998) 3873: 90 %, a background of 3.</summary>
    [Theory]
    [InlineData(4, 0, 5.60)]
    [InlineData(8, 1.51, 10.99)]
    public void Intervals_by_toys_are_those_of_the_published_table(int count, double low, double high)
    {
        var found = Known(count).FeldmanCousins(new("mu") { Levels = [Level.OfProbability(0.9)], Toys = 4000, Seed = 3 });
        Assert.Equal((FitStatus.Converged, TestStatistic.TTilde), (found.Status, found.Statistic));
        Assert.Equal(count - 3, found.Best, 1e-4);
        var interval = Assert.Single(found.Intervals);
        Assert.Equal(0.9, interval.Level, 1e-12);
        var piece = Assert.Single(interval.Pieces);

        // Beside Monte Carlo errors, the probability of counts is a saw near its edges: an end may be at any of its neighbouring teeth.
        void Near(double expected, FeldmanCousinsEnd end) => Assert.InRange(expected, end.Low - 0.25, end.High + 0.25);

        Near(low, piece.Low);
        Near(high, piece.High);
        Assert.Equal(low > 0 ? IntervalEndKind.Crossing : IntervalEndKind.Bound, piece.Low.Kind);
        Assert.True(piece.Contains(found.Best));

        // What is beyond the share of the toys has a small probability.
        foreach (var point in interval.Points.Where(p => Math.Abs(p.T - p.Critical) > 1e-6))
        {
            Assert.Equal(point.T < point.Critical, point.Probability.Value > 0.1);
        }
    }

    [Fact]
    public void Intervals_by_toys_come_level_by_level()
    {
        var found = Known(6).FeldmanCousins(new("mu") { Toys = 400, From = 0, To = 15, Count = 11 });
        Assert.Equal([0.6827, 0.95], found.Intervals.Select(i => i.Level), (a, b) => Math.Abs(a - b) < 1e-4);
        Assert.True(found.Intervals[0].Pieces[0].High.Value < found.Intervals[1].Pieces[0].High.Value);
        Assert.All(found.Intervals, i => Assert.InRange(i.Points.Count, 11, 200));
    }

    [Fact]
    public void Parameters_are_held_in_every_fit_of_a_test()
    {
        var model = TwoBinsWithSignal;
        var name = model.Parameters[1].Name;
        var held = new Dictionary<string, double> { [name] = 1.05 };
        var test = model.HypothesisTest(1, new TestOptions { Fixed = held });
        Assert.All([test.Free, test.Fixed, test.AsimovFree, test.Reference], fit => Assert.Equal(1.05, fit.Point[1]));
        var free = model.Fit(new FitOptions { Fixed = held }).TwiceNll;
        var at = model.Fit(new FitOptions { Fixed = new Dictionary<string, double> { [name] = 1.05, ["mu"] = 1 } }).TwiceNll;
        Assert.Equal(at - free, model.Statistic([1], new TestOptions { Fixed = held, Statistic = TestStatistic.TMu }).Values[0], 1e-6);
        Assert.NotEqual(test.Value, model.HypothesisTest(1).Value, 1e-3);
    }

    [Fact]
    public void A_function_has_no_data_to_describe()
    {
        var model = LikelihoodModel.FromDelegate(
            "normal", [new ParameterInfo("mu") { Role = ParameterRole.Poi }], x => -0.5 * x[0] * x[0]);

        Assert.All(
            new Action[] { () => model.GoodnessOfFit(), () => model.CheckWilks(1), () => model.FeldmanCousins(new("mu")) },
            call => Assert.Equal(
                LikelihoodErrorKind.Unsupported, Assert.Single(Assert.Throws<LikelihoodException>(call).Errors).Kind));
    }
}
