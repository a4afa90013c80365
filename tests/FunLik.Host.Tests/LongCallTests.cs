using Xunit;

namespace FunLik.Host.Tests;

using FunLik.Api;

/// <summary>Every long call of the C# face: its progress, its cancellation, and what it refuses.</summary>
public class LongCallTests(Workplace workplace) : IClassFixture<Workplace>
{
    private delegate object Call(LikelihoodModel model, IProgress<FitProgress>? progress, CancellationToken cancellation);

    private static readonly Dictionary<string, Call> Calls = new()
    {
        ["fit"] = (m, p, c) => m.Fit(null, p, c),
        ["scan"] = (m, p, c) => m.Scan(ScanOptions.Between("mu", 0, 2, 5), p, c),
        ["grid"] = (m, p, c) => m.ScanGrid(new([GridAxis.Between("mu", 0, 2, 5)]), p, c),
        ["contour"] = (m, p, c) =>
            m.Contour(new(GridAxis.Between("mu", 0, 2, 5), GridAxis.Between(m.Parameters[1].Name, 0.8, 1.2, 5)), p, c),
        ["interval"] = (m, p, c) => m.Interval(new("mu"), p, c),
        ["recheck"] = (m, p, c) => m.Recheck(m.Interval(new("mu")), null, p, c),
        ["impacts"] = (m, p, c) => m.Impacts(null, p, c),
        ["profile"] = (m, p, c) => m.Profile(new(["mu"]), p, c),
        ["statistic"] = (m, p, c) => m.Statistic([0, 1], null, p, c),
        ["test"] = (m, p, c) => m.HypothesisTest(1, null, p, c),
        ["limit"] = (m, p, c) => m.UpperLimit(null, p, c),
        ["toys"] = (m, p, c) => m.Toys(1, new ToyOptions { Count = 20 }, p, c),
        ["goodness of fit"] = (m, p, c) => m.GoodnessOfFit(new GoodnessOfFitOptions { Toys = 20 }, p, c),
        ["wilks"] = (m, p, c) => m.CheckWilks(1, new WilksOptions { Count = 20 }, p, c),
        ["feldman-cousins"] = (m, p, c) => m.FeldmanCousins(new("mu") { Toys = 20, From = 0, To = 2, Count = 5 }, p, c),
        ["learn"] = (m, p, c) => m.Profile(new(["mu"])).Learn([0, 1, 2], p, c),
        ["summary"] = (m, p, c) => Drawn(m).Summarise(null, p, c),
        ["reweight"] = (m, p, c) => m.Reweight(Drawn(m), m, null, p, c),
        ["refresh"] = (m, p, c) => m.Refresh(Drawn(m), new RefreshOptions { Chains = 4 }, p, c),
        ["evidence"] = (m, p, c) => m.Evidence(Drawn(m), 1, p, c),
    };

    /// <summary>50 draws of each of 8 chains, enough or not.</summary>
    private static PosteriorDraws Drawn(LikelihoodModel model) => model.Sample(new SampleOptions { Chains = 8, MostDraws = 50 }).Draws;

    public static TheoryData<string> Names => [.. Calls.Keys];

    private LikelihoodModel TwoBins => LikelihoodModel.Load(workplace.TwoBins);

    [Theory]
    [MemberData(nameof(Names))]
    public void Progress_rises_to_its_end(string name)
    {
        var reports = new Recorder();
        Calls[name](TwoBins, reports, CancellationToken.None);
        Assert.True(reports.All.Count >= 2);
        Assert.Equal(0, reports.All[0].Done);
        Assert.Equal(reports.All[^1].Total, reports.All[^1].Done);
        Assert.Single(reports.All.Select(r => (r.Stage, r.Total)).Distinct());
        Assert.All(reports.All.Zip(reports.All.Skip(1)), pair => Assert.True(pair.First.Done <= pair.Second.Done));
    }

    [Theory]
    [MemberData(nameof(Names))]
    public void A_call_that_is_cancelled_ends_and_the_model_is_as_before(string name)
    {
        var model = TwoBins;
        var before = model.Fit();
        using var cancelled = new CancellationTokenSource();

        // Cancelled while it works: at its first report.
        var reports = new Recorder { OnReport = _ => cancelled.Cancel() };
        Assert.ThrowsAny<OperationCanceledException>(() => Calls[name](model, reports, cancelled.Token));
        Assert.All(reports.All, report => Assert.Equal(0, report.Done));
        Assert.Equal(before.Point, model.Fit().Point);
    }

    [Fact]
    public void Toys_by_the_million_stop_at_the_next_tile()
    {
        var model = TwoBins;
        using var cancelled = new CancellationTokenSource();
        var reports = new Recorder { OnReport = report => { if (report.Done > 0) { cancelled.Cancel(); } } };
        var options = new ToyOptions { Count = 5_000_000 };
        Assert.ThrowsAny<OperationCanceledException>(() => model.Toys(1, options, reports, cancelled.Token));
        Assert.Single(reports.All, report => report.Done > 0);
    }

    [Fact]
    public void A_function_is_not_called_on_after_a_cancellation()
    {
        using var cancelled = new CancellationTokenSource();
        var (calls, after) = (0, 0);

        var model = LikelihoodModel.FromDelegate(
            "slow",
            [new ParameterInfo("x") { Role = ParameterRole.Poi }, new ParameterInfo("y")],
            p =>
            {
                after += cancelled.IsCancellationRequested ? 1 : 0;

                if (++calls == 1000)
                {
                    cancelled.Cancel();
                }

                return -Math.Log(Math.Cosh(p[0] - p[1])) - 0.5 * p[0] * p[0];
            });

        var grid = new GridScanOptions([GridAxis.Between("x", -2, 2, 10_000)]);
        Assert.ThrowsAny<OperationCanceledException>(() => model.ScanGrid(grid, cancellation: cancelled.Token));

        // What is being evaluated when the signal comes is finished: the rows of one step, and their differences.
        Assert.InRange(after, 0, 50_000);
    }

    public static TheoryData<string, string, int> BadCalls =>
        new()
        {
            { "fit: starts, iterations, edm, name, value", "Starts MaxIterations Edm 'nu' Fixed", 5 },
            { "scan: name, values", "'nu' [1]", 2 },
            { "scan: no values", "values", 1 },
            { "grid: no axes", "axes", 1 },
            { "grid: name twice, no values", "'mu' values", 2 },
            { "contour: order, name", "ascending 'nu'", 2 },
            { "contour: levels", "Levels", 2 },
            { "interval: all", "'nu' From Levels Count Starts", 5 },
            { "interval: range", "range", 1 },
            { "impacts: name", "'nu'", 1 },
            { "profile: names, tolerance, starts", "'nu' 'mu' Tolerance Starts MaxIterations", 5 },
            { "profile: nothing kept", "Keep", 1 },
            { "statistic: values", "-1 NaN", 2 },
            { "test: value, name", "-1 'nu'", 2 },
            { "test: q0", "q0", 1 },
            { "test: statistic", "Statistic", 1 },
            { "limit: level, statistic", "Level TMu", 2 },
            { "toys: count, seed", "Count Seed", 2 },
            { "toys: too many", "Count", 1 },
            { "goodness of fit: toys, seed, name, value", "Toys Seed 'nu' Fixed", 4 },
            { "wilks: value, name, count, seed", "NaN 'nu' Count Seed", 4 },
            { "wilks: too many", "Count", 1 },
            { "feldman-cousins: all", "'nu' Levels range Count Toys Seed 'a' Fixed", 8 },
            { "feldman-cousins: what is asked for is held", "Fixed 'mu'", 1 },
            { "test: held", "Fixed 'mu' 'nu' NaN", 3 },
            { "between: ends, count", "ends count", 2 },
        };

    [Theory]
    [MemberData(nameof(BadCalls))]
    public void Bad_input_is_refused_with_what_is_wrong_and_what_is_right(string name, string words, int count)
    {
        var m = TwoBins;

        Action call = name switch
        {
            "fit: starts, iterations, edm, name, value" => () => m.Fit(new FitOptions
            {
                Starts = 0,
                MaxIterations = 0,
                Edm = double.NaN,
                Fixed = new Dictionary<string, double> { ["nu"] = 1, ["mu"] = double.NaN },
            }),
            "scan: name, values" => () => m.Scan(new("nu", [0, double.NaN])),
            "scan: no values" => () => m.Scan(new("mu", [])),
            "grid: no axes" => () => m.ScanGrid(new([])),
            "grid: name twice, no values" => () => m.ScanGrid(new([new("mu", []), new("mu", [1])])),
            "contour: order, name" => () => m.Contour(new(new("mu", [1, 0]), new("nu", [0, 1]))),
            "contour: levels" => () => m.Contour(new(new("mu", [0, 1]), new(m.Parameters[1].Name, [0, 1]))
            {
                Levels = [Level.OfProbability(1), Level.OfTwiceDeltaNll(-1)],
            }),
            "interval: all" => () => m.Interval(new("nu")
            {
                From = 0, Count = 1, Levels = [Level.OfProbability(95)], Fit = new() { Starts = -1 },
            }),
            "interval: range" => () => m.Interval(new("mu") { From = 2, To = 1 }),
            "impacts: name" => () => m.Impacts(new ImpactOptions { Poi = "nu" }),
            "profile: names, tolerance, starts" => () => m.Profile(new(["mu", "nu", "mu"])
            {
                Tolerance = 0, Starts = 0, MaxIterations = 0,
            }),
            "profile: nothing kept" => () => m.Profile(new([])),
            "statistic: values" => () => m.Statistic([-1, 1, double.NaN]),
            "test: value, name" => () => m.HypothesisTest(-1, new TestOptions { Poi = "nu" }),
            "test: q0" => () => m.HypothesisTest(1, new TestOptions { Statistic = TestStatistic.Q0 }),
            "test: statistic" => () => m.HypothesisTest(1, new TestOptions { Statistic = (TestStatistic)17 }),
            "limit: level, statistic" => () => m.UpperLimit(new LimitOptions { Level = 95, Statistic = TestStatistic.TMu }),
            "toys: count, seed" => () => m.Toys(1, new ToyOptions { Count = 0, Seed = -1 }),
            "toys: too many" => () => m.Toys(1, new ToyOptions { Count = int.MaxValue }),
            "goodness of fit: toys, seed, name, value" => () => m.GoodnessOfFit(new GoodnessOfFitOptions
            {
                Toys = -1, Seed = -1, Fixed = new Dictionary<string, double> { ["nu"] = 1, ["mu"] = double.NaN },
            }),
            "wilks: value, name, count, seed" => () =>
                m.CheckWilks(double.NaN, new WilksOptions { Poi = "nu", Count = 9, Seed = -1 }),
            "wilks: too many" => () => m.CheckWilks(1, new WilksOptions { Count = int.MaxValue }),
            "feldman-cousins: all" => () => m.FeldmanCousins(new("nu")
            {
                Levels = [Level.OfProbability(95)], From = 2, To = 1, Count = 1, Toys = 9, Seed = -1,
                Fixed = new Dictionary<string, double> { ["a"] = double.NaN },
            }),
            "feldman-cousins: what is asked for is held" => () =>
                m.FeldmanCousins(new("mu") { Fixed = new Dictionary<string, double> { ["mu"] = 1 } }),
            "test: held" => () => m.HypothesisTest(1, new TestOptions
            {
                Fixed = new Dictionary<string, double> { ["mu"] = double.NaN, ["nu"] = 1 },
            }),
            "between: ends, count" => () => GridAxis.Between("mu", 1, 0, 1),
            _ => throw new ArgumentException(name),
        };

        var failure = Assert.Throws<LikelihoodException>(call);
        Assert.All(words.Split(' '), word => Assert.Contains(word, failure.Message));
        Assert.Equal(count, failure.Errors.Count);
        Assert.All(failure.Errors, error =>
        {
            Assert.False(string.IsNullOrWhiteSpace(error.Message));
            Assert.False(string.IsNullOrWhiteSpace(error.Expected));
        });
    }

    [Fact]
    public void A_profile_takes_spans_of_the_right_lengths_only()
    {
        var profile = TwoBins.Profile(new(["mu"]));
        double[] points = [0.5, 1], values = new double[2];
        var statuses = new FitStatus[2];
        Assert.Throws<LikelihoodException>(() => profile.EvaluateProfile([0.5], values, statuses));
        Assert.Throws<LikelihoodException>(() => profile.EvaluateProfile(points, values, new FitStatus[1]));
        Assert.Throws<LikelihoodException>(() => profile.EvaluateProfile(points, values, statuses, new double[3]));
        Assert.Throws<LikelihoodException>(() => profile.EvaluateProfile(points, values, statuses, profiled: new double[5]));
        Assert.Throws<LikelihoodException>(() => profile.EvaluateProfile(points, values, statuses, gradientNorms: new double[1]));
        Assert.Throws<LikelihoodException>(() => profile.EvaluateProfile(points, values, statuses, edms: new double[3]));
        Assert.Throws<LikelihoodException>(() => profile.EvaluateProfile(points, values, statuses, hessians: new double[3]));
        Assert.Throws<LikelihoodException>(() => profile.EvaluateProfile([0, double.NaN], values, statuses));
        Assert.Throws<LikelihoodException>(() => profile.Learn([]));
        Assert.Throws<LikelihoodException>(() => profile.Learn([double.NaN]));
        profile.EvaluateProfile(points, values, statuses);
        Assert.Equal(-0.5 * 28.92218013, values[1], 1e-6);
        profile.EvaluateProfile([], [], []);

        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(
            () => profile.EvaluateProfile(points, values, statuses, cancellation: cancelled.Token));
    }

    private sealed class Recorder : IProgress<FitProgress>
    {
        internal List<FitProgress> All { get; } = [];

        internal Action<FitProgress> OnReport { get; init; } = _ => { };

        public void Report(FitProgress value)
        {
            All.Add(value);
            OnReport(value);
        }
    }
}
