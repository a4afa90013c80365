using Xunit;

namespace FunLik.Host.Tests;

using FunLik.Api;

/// <summary>
/// Hypothesis tests, limits and toys in C#, on pyhf's two bins; the numbers are pyhf's (its documentation and tests,
/// <c>simplemodels.uncorrelated_background</c>).
/// </summary>
public class HypothesisTests(Workplace workplace) : IClassFixture<Workplace>
{
    private LikelihoodModel TwoBins => LikelihoodModel.Load(workplace.TwoBins);

    [Fact]
    public void Two_bins_give_the_cls_of_pyhf()
    {
        var test = TwoBins.HypothesisTest(1);
        Assert.Equal(FitStatus.Converged, test.Status);
        Assert.Equal(("mu", 1.0, TestStatistic.QTilde), (test.Poi, test.Mu, test.Statistic));
        Assert.Equal(24.98393521, test.Free.TwiceNll, 1e-7);
        Assert.Equal(28.92218013, test.Fixed.TwiceNll, 1e-7);
        Assert.Equal(3.93824492, test.Value, 1e-6);
        Assert.Equal(0.05251497, test.Cls, 2e-6);
        Assert.Equal(test.Clsb / test.Clb, test.Cls, 1e-15);
        double[] band = [0.00260626, 0.01382005, 0.06445321, 0.23525644, 0.57303621];

        // pyhf's own fits end up to 1e-5 above the minimum.
        Assert.All(band.Zip(test.ExpectedCls.ToList()), pair => Assert.Equal(pair.First, pair.Second, 1e-5));
        Assert.Equal(0.5, test.ExpectedClb.Median, 1e-12);
        Assert.Equal(test.ExpectedClsb.Median / 0.5, test.ExpectedCls.Median, 1e-12);

        // The best value without a bound is below 0: q̃ holds it there.
        Assert.Equal(0, test.Best);
        Assert.Equal([new ActiveBound("mu", BoundSide.Lower, 0)], test.Free.ActiveBounds);
        Assert.Empty(test.Fixed.ActiveBounds);
        Assert.Equal(1, test.Fixed.Point[0]);
        Assert.All([test.Free, test.Fixed, test.AsimovFree, test.AsimovFixed, test.Reference], fit =>
        {
            Assert.Equal(FitStatus.Converged, fit.Status);
            Assert.InRange(fit.GradientNorm, 0, 1e-5);
        });
    }

    [Fact]
    public void Each_statistic_is_that_of_pyhf_and_of_the_profile()
    {
        var q = TwoBins.HypothesisTest(1, new TestOptions { Statistic = TestStatistic.Q });
        Assert.Equal(3.9549891, q.Value, 1e-6);
        Assert.True(q.Best < 0);

        var withSignal = LikelihoodModel.Load(workplace.TwoBinsWithSignal);
        Assert.Equal(2.98339447, withSignal.HypothesisTest(0, new TestOptions { Statistic = TestStatistic.Q0 }).Value, 1e-6);

        foreach (var statistic in Enum.GetValues<TestStatistic>())
        {
            var options = new TestOptions { Statistic = statistic };
            double[] values = statistic == TestStatistic.Q0 ? [0] : [0, 0.5, 1, 3];
            var profile = withSignal.Statistic(values, options);
            Assert.All(profile.Scan.Status, status => Assert.Equal(FitStatus.Converged, status));

            foreach (var (value, test) in profile.Values.Zip(withSignal.HypothesisTests(values, options)))
            {
                Assert.Equal(test.Value, value, 1e-6);
            }
        }

        // Where the best value is above the tested one, q is 0 and t is not.
        Assert.Equal(0, withSignal.Statistic([0.5], new TestOptions { Statistic = TestStatistic.Q }).Values[0]);
        Assert.True(withSignal.Statistic([0.5], new TestOptions { Statistic = TestStatistic.TMu }).Values[0] > 0.01);
    }

    [Fact]
    public void Two_bins_give_the_limit_of_pyhf()
    {
        var limit = TwoBins.UpperLimit();
        Assert.Equal(FitStatus.Converged, limit.Status);
        Assert.Equal(1.01156939, limit.Observed, 1e-5);
        var model = TwoBins;
        Assert.Equal(0.05, model.HypothesisTest(limit.Observed).Cls, 1e-8);
        Assert.Equal(0.05, model.HypothesisTest(limit.Expected.Median).ExpectedCls.Median, 1e-7);
        Assert.Equal(0.05, model.HypothesisTest(limit.Expected.PlusTwoSigma).ExpectedCls.PlusTwoSigma, 1e-7);
        var looser = model.UpperLimit(new LimitOptions { Level = 0.9 });
        Assert.True(looser.Observed < limit.Observed);
        Assert.Equal(0.9, looser.Level);
    }

    [Fact]
    public void Toys_agree_with_asymptotic_probabilities()
    {
        // With a fixed seed there is nothing left to chance. Six standard errors, and 0.02 for what asymptotic formulas are off by with 50
        // events a bin.
        var model = TwoBins;
        var options = new ToyOptions { Count = 4000, Seed = 3 };
        var toys = model.Toys(1, options);
        var test = model.HypothesisTest(1);
        Assert.Equal(0, toys.Lost);
        Assert.Equal((4000, 4000), (toys.Signal.Count, toys.Background.Count));
        Assert.Equal(test.Value, toys.Value, 1e-9);
        Assert.Equal(test.Clsb, toys.Clsb.Value, 6 * toys.Clsb.Error + 0.02);
        Assert.Equal(test.Clb, toys.Clb.Value, 6 * toys.Clb.Error + 0.02);
        Assert.Equal(toys.Clsb.Value / toys.Clb.Value, toys.Cls.Value, 1e-15);
        Assert.Equal(toys.Signal.Average(t => t >= test.Value ? 1.0 : 0.0), toys.Clsb.Value, 1e-12);

        // Toy r is the same however many there are, and another seed gives others.
        Assert.Equal(toys.Signal.Take(100), model.Toys(1, options with { Count = 100 }).Signal);
        Assert.NotEqual(toys.Signal.Take(100), model.Toys(1, options with { Count = 100, Seed = 4 }).Signal);
    }

    [Fact]
    public void A_function_has_statistics_and_no_data()
    {
        var model = LikelihoodModel.FromDelegate(
            "normal", [new ParameterInfo("mu") { Role = ParameterRole.Poi }], x => -0.5 * (x[0] + 1) * (x[0] + 1) / 0.25);

        Assert.Equal(16, model.Statistic([1], new TestOptions { Statistic = TestStatistic.TMu }).Values[0], 1e-6);
        Assert.Equal(12, model.Statistic([1]).Values[0], 1e-6);
        var error = Assert.Single(Assert.Throws<LikelihoodException>(() => model.HypothesisTest(1)).Errors);
        Assert.Equal(LikelihoodErrorKind.Unsupported, error.Kind);
        Assert.Contains("Statistic", error.Expected);
    }
}
