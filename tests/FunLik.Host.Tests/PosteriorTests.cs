using Xunit;

namespace FunLik.Host.Tests;

using FunLik.Api;

/// <summary>
/// Draws, summaries, weights and evidence in C#, on a normal density of which all is known. Seeds are fixed; where a number is compared
/// with the truth, five of its standard errors are allowed: a false alarm for one number in two million, if seeds are changed.
/// </summary>
public class PosteriorTests(Workplace workplace) : IClassFixture<Workplace>
{
    private const double SigmaX = 0.5;
    private const double SigmaY = 2;
    private const double MeanY = 3;

    private static readonly double LogIntegral = Math.Log(2 * Math.PI * SigmaX * SigmaY);

    private static readonly Lazy<SampleResult> Sampled = new(() => Normal().Sample(new SampleOptions { Ess = 4000, Seed = 3 }));

    private static PosteriorDraws Draws => Sampled.Value.Draws;

    /// <summary>Two independent normal parameters, x around `centre` and y; not normalised.</summary>
    private static LikelihoodModel Normal(double centre = 0) =>
        LikelihoodModel.FromDelegate(
            "normal",
            [new ParameterInfo("x") { Role = ParameterRole.Poi }, new ParameterInfo("y")],
            p =>
            {
                var (x, y) = ((p[0] - centre) / SigmaX, (p[1] - MeanY) / SigmaY);
                return -0.5 * (x * x + y * y);
            },
            (p, gradient) =>
            {
                gradient[0] = -(p[0] - centre) / (SigmaX * SigmaX);
                gradient[1] = -(p[1] - MeanY) / (SigmaY * SigmaY);
            });

    private static void Near(double expected, Estimate found) =>
        Assert.InRange(found.Value, expected - 5 * found.Error, expected + 5 * found.Error);

    [Fact]
    public void Draws_are_enough_and_say_what_they_are_of()
    {
        var result = Sampled.Value;
        Assert.Equal(SampleStatus.Reached, result.Status);
        Assert.True(result.MinEss >= 4000 && result.MaxRHat <= 1.01);
        Assert.Equal((0, 64), (result.Divergences, Draws.Chains));
        Assert.InRange(result.Acceptance, 0.5, 1);
        Assert.True(result.Evaluations > 0 && result.Gradients > 0);
        Assert.Equal(Draws.Chains * Draws.PerChain, Draws.Count);
        Assert.Equal(2 * Draws.Count, Draws.Points.Length);
        Assert.Equal(["x", "y"], Draws.Parameters.Select(p => p.Name));
        Assert.True(Draws.Weights.IsEmpty);
        var last = Draws.Point(63, Draws.PerChain - 1);
        Assert.Equal(Draws.Points[^2..].ToArray(), last.ToArray());
        Assert.Equal(Normal().Evaluate(last), Draws.LogDensity[^1], 12);
        Assert.Equal(last[1], Draws.Values("y")[^1]);

        foreach (var (name, mean, sigma) in new[] { ("x", 0, SigmaX), ("y", MeanY, SigmaY) })
        {
            var found = result[name];
            Assert.Equal(DiagnosisStatus.Defined, found.Status);
            Near(mean, found.Mean);
            Near(sigma, found.Deviation);
            Assert.InRange(found.Ess, result.MinEss, Draws.Count * 10.0);
            Assert.InRange(found.RHat, 0.99, result.MaxRHat);
        }

        Assert.Throws<KeyNotFoundException>(() => result["z"]);
        Assert.Throws<LikelihoodException>(() => Draws.Values("z"));
        Assert.Throws<ArgumentOutOfRangeException>(() => Draws.Point(64, 0).Length);
    }

    [Fact]
    public void A_seed_gives_the_same_draws()
    {
        var options = new SampleOptions { Ess = 100, Chains = 8, Seed = 9 };
        var first = LikelihoodModel.Load(workplace.Model, new LoadOptions { Threads = 1 }).Sample(options).Draws;
        var second = LikelihoodModel.Load(workplace.Model, new LoadOptions { Threads = 3 }).Sample(options).Draws;
        Assert.Equal(first.Points, second.Points);
        var other = LikelihoodModel.Load(workplace.Model).Sample(options with { Seed = 10 }).Draws;
        Assert.NotEqual(first.Points.ToArray(), other.Points.ToArray());
    }

    public static TheoryData<Sampler> Samplers => [.. Enum.GetValues<Sampler>()];

    [Theory]
    [MemberData(nameof(Samplers))]
    public void Every_sampler_draws_from_the_density(Sampler sampler)
    {
        var result = Normal().Sample(new SampleOptions { Ess = 500, RHat = 1.05, Sampler = sampler, Chains = 32, Seed = 4 });
        Assert.Equal(SampleStatus.Reached, result.Status);
        var summary = result.Draws.Summarise();
        Near(0, summary["x"].Mean);
        Near(MeanY, summary["y"].Mean);
        Near(SigmaY, summary["y"].Deviation);
    }

    [Fact]
    public void Too_few_draws_are_a_result_that_says_so()
    {
        var result = Normal().Sample(new SampleOptions { Ess = 1e6, Chains = 4, MostDraws = 60 });
        Assert.Equal((SampleStatus.NotConverged, 60), (result.Status, result.Draws.PerChain));
        var summary = result.Draws.Summarise();
        Assert.False(summary.IsConverged);
        Assert.Contains(summary.Notes, note => note.Contains("few effective draws"));
    }

    [Fact]
    public void A_summary_has_regions_and_quantiles_with_errors()
    {
        var levels = new[] { Level.OfTwiceDeltaNll(1), Level.OfProbability(0.95) };
        var summary = Draws.Summarise(new SummaryOptions { Parameters = ["y"], Levels = levels, HistogramBins = 50 });
        Assert.True(summary.IsConverged, string.Join("; ", summary.Notes));
        Assert.Equal((Draws.Count, 64, (double?)null), (summary.Draws, summary.Chains, summary.Kish));
        var y = Assert.Single(summary.Parameters);
        Assert.Same(y, summary["y"]);
        Assert.Throws<KeyNotFoundException>(() => summary["x"]);
        Near(MeanY, y.Mean);
        Near(SigmaY, y.Deviation);
        Assert.Equal([0.025, 0.16, 0.5, 0.84, 0.975], y.Quantiles.Select(q => q.Probability));
        Near(MeanY, y.Quantiles[2].Estimate);
        Near(MeanY + 1.959964 * SigmaY, y.Quantiles[4].Estimate);

        foreach (var regions in new[] { y.Hpdi, y.Central })
        {
            foreach (var (region, sigmas) in regions.Zip([1, 1.959964]))
            {
                var piece = Assert.Single(region.Pieces);
                Near(MeanY - sigmas * SigmaY, new(piece.Low.Value, piece.Low.Error));
                Near(MeanY + sigmas * SigmaY, new(piece.High.Value, piece.High.Error));
                Assert.Equal(region.Probability, region.Content, 0.01);
                Assert.False(piece.Low.IsBound);
                Assert.True(piece.Contains(MeanY));
            }
        }

        Assert.Equal(2, y.Histogram.Count);
        var step = y.Density.X[1] - y.Density.X[0];
        Assert.Equal(1, y.Density.Y.Sum() * step, 1e-3);
        Assert.Equal(y.BulkEss, Sampled.Value["y"].BulkEss, 1e-6);

        // Any other quantile.
        var (low, high) = Draws.Quantiles("x", [0.1, 0.9]) is [var a, var b] ? (a, b) : throw new InvalidOperationException();
        Near(-1.2815516 * SigmaX, low.Estimate);
        Near(1.2815516 * SigmaX, high.Estimate);
        Assert.Equal(2, Draws.Summarise().Parameters.Count);
        Assert.Equal(3, Draws.Summarise().Parameters[0].Hpdi.Count);
        Assert.Empty(Draws.Summarise().Parameters[0].Histogram);
    }

    [Fact]
    public void Factors_make_draws_of_another_posterior()
    {
        var half = Draws.Reweight([PriorFactor.Above("x", 0)]);
        Assert.Equal(WeightStatus.Reliable, half.Status);
        Near(Math.Log(0.5), half.LogEvidenceRatio);
        Assert.Equal(Draws.Values("x").Count(x => x <= 0), half.Lost);
        Assert.Equal(Draws.Count, half.Draws.Weights.Length);
        var summary = half.Draws.Summarise(new SummaryOptions { Parameters = ["x"], Levels = [Level.OfProbability(0.5)] });
        Near(SigmaX * Math.Sqrt(2 / Math.PI), summary["x"].Mean);
        Assert.Equal(half.Kish, summary.Kish!.Value, 1e-6);

        // The density ends where the factor says, and so does its region.
        Assert.Equal((0.0, true), (summary["x"].Hpdi[0].Pieces[0].Low.Value, summary["x"].Hpdi[0].Pieces[0].Low.IsBound));

        // A normal factor of equal width moves the mean half of the way.
        var drawn = Draws.Reweight([PriorFactor.Normal("x", 0.5, SigmaX), PriorFactor.Below("y", 100)]);
        Near(0.25, drawn.Draws.Summarise()["x"].Mean);
        Assert.Equal(0, drawn.Lost);

        var far = Draws.Reweight([PriorFactor.Normal("x", 8, 0.1)]);
        Assert.NotEqual(WeightStatus.Reliable, far.Status);
        Assert.NotEmpty(far.Notes);
        Assert.Throws<LikelihoodException>(() => Draws.Reweight([PriorFactor.Above("x", 1000)]));
    }

    [Fact]
    public void Draws_of_one_density_become_those_of_another()
    {
        var target = Normal(0.3);
        var moved = target.Reweight(Draws);
        Assert.Equal(WeightStatus.Reliable, moved.Status);
        Near(0.3, moved.Draws.Summarise()["x"].Mean);
        Near(0, moved.LogEvidenceRatio);
        Assert.Equal(Draws.Count, moved.Evaluations);
        Assert.Equal(target.Evaluate(Draws.Point(0, 0)), moved.Draws.LogDensity[0], 12);

        // With the old density named, as many numbers, at twice the cost.
        var named = target.Reweight(Draws, Normal());
        Assert.Equal(moved.Draws.Weights.ToArray(), named.Draws.Weights.ToArray(), (a, b) => Math.Abs(a - b) < 1e-9);
        Assert.Equal(2 * Draws.Count, named.Evaluations);

        // Where weights are poor, chains go on.
        var distant = Normal(2);
        Assert.NotEqual(WeightStatus.Reliable, distant.Reweight(Draws).Status);
        var fresh = distant.Refresh(distant.Reweight(Draws).Draws, new RefreshOptions { DrawsPerChain = 400, Skip = 100, Seed = 2 });
        Assert.Equal((400, 64), (fresh.Draws.PerChain, fresh.Draws.Chains));
        Assert.True(fresh.Status == SampleStatus.Reached, $"R-hat {fresh.MaxRHat}, ESS {fresh.MinEss}, accepted {fresh.Acceptance}");
        Assert.True(fresh.Draws.Weights.IsEmpty);
        Near(2, fresh["x"].Mean);
        Near(SigmaX, fresh["x"].Deviation);
    }

    [Fact]
    public void The_evidence_is_the_integral()
    {
        var found = Normal().Evidence(Draws);
        Assert.True(found.IsReliable);
        Near(LogIntegral, found.LogEvidence);
        Assert.InRange(found.Overlap, 0.5, 1);
        Assert.True(double.IsFinite(found.BatchError));
        Assert.True(found.Evaluations > 0);

        var weighted = Draws.Reweight([PriorFactor.Above("x", 0)]).Draws;
        var refused = Assert.Throws<LikelihoodException>(() => Normal().Evidence(weighted));
        Assert.Equal(LikelihoodErrorKind.Unsupported, Assert.Single(refused.Errors).Kind);
    }

    [Fact]
    public void A_profile_is_read_off_draws()
    {
        double[] values = [-0.5, 0, 0.5, 40];
        var scans = Draws.Scan(new("x", values) { Widths = [0.1, 0.4], Largest = 0 });
        Assert.Equal([0.1, 0.4], scans.Select(s => s.Width));

        foreach (var scan in scans)
        {
            for (var k = 0; k < values.Length; k++)
            {
                var (low, high) = (values[k] - 0.5 * scan.Width, values[k] + 0.5 * scan.Width);
                var inside = Enumerable.Range(0, Draws.Count).Where(r => Draws.Values("x")[r] is var x && x >= low && x < high).ToArray();
                Assert.Equal(inside.Length, scan.Draws[k]);
                var expected = inside.Length == 0 ? double.NaN : -2 * inside.Max(r => Draws.LogDensity[r]);
                Assert.Equal(expected, scan.TwiceDeltaNll[k], 1e-12);
            }
        }

        // Only bins with draws count: the fourth has none.
        var exact = Normal().Scan(new("x", values)).TwiceDeltaNll;
        var differences = Enumerable.Range(0, 3).Select(k => scans[0].TwiceDeltaNll[k] - exact[k]).ToArray();
        var errors = scans[0].ErrorsFrom(exact);
        Assert.Equal(3, errors.Bins);
        Assert.Equal(differences.Average(), errors.Bias, 1e-9);
        Assert.Equal(differences.Average(Math.Abs), errors.MeanError, 1e-9);
        Assert.Equal(differences.Max(Math.Abs), errors.Largest, 1e-9);
        Assert.Throws<LikelihoodException>(() => scans[0].ErrorsFrom([1]));
    }

    [Fact]
    public void Two_parameters_have_a_density_with_borders()
    {
        var map = Draws.Density("x", "y", Level.OfProbability(0.5));
        Assert.Equal(("x", "y"), (map.First, map.Second));
        Assert.Equal(map.X.Count * map.Y.Count, map.Density.Count);
        Assert.Equal(1, map.Density.Sum() * (map.X[1] - map.X[0]) * (map.Y[1] - map.Y[0]), 1e-6);
        var highest = map.Density.ToList().IndexOf(map.Density.Max());
        Assert.Equal(MeanY, map.Y[highest % map.Y.Count], 1.0);
        Assert.Equal(0, map.X[highest / map.Y.Count], 0.25);
        var border = Assert.Single(map.Contours);
        Assert.Equal(0.5, border.Probability, 1e-12);

        // The border that holds half of the draws is the ellipse of χ² = 2 log 2; the smoothing widens it a little.
        var line = border.Lines.MaxBy(l => l.X.Count)!;
        var squares = line.X.Zip(line.Y, (x, y) => x * x / (SigmaX * SigmaX) + (y - MeanY) * (y - MeanY) / (SigmaY * SigmaY));
        Assert.Equal(2 * Math.Log(2), squares.Average(), 0.1);
        Assert.Equal(3, Draws.Density("y", "x").Contours.Count);
    }

    [Fact]
    public async Task Draws_are_saved_and_loaded()
    {
        var weighted = Draws.Reweight([PriorFactor.Above("x", 0)]).Draws;
        weighted.Save(workplace.At("draws"));
        var loaded = PosteriorDraws.Load(workplace.At("draws"));
        Assert.Equal(weighted.Points, loaded.Points);
        Assert.Equal(weighted.Weights, loaded.Weights);
        Assert.Equal(weighted.LogDensity, loaded.LogDensity);
        Assert.Equal((64, ParameterRole.Poi), (loaded.Chains, loaded.Parameters[0].Role));
        Assert.Equal(0, loaded.Parameters[0].LowerBound);
        Assert.Equal(weighted.Summarise()["x"].Mean, loaded.Summarise()["x"].Mean);

        // The command line's draws are draws too.
        var sampled = await Cli.Run("sample", "--model", workplace.Model, "--ess", "200", "--out", workplace.At("sampled"));
        Assert.Equal(0, sampled.ExitCode);
        Assert.Equal(["mu", Workplace.Nuisance], PosteriorDraws.Load(workplace.At("sampled")).Parameters.Select(p => p.Name));

        var missing = Assert.Throws<LikelihoodException>(() => PosteriorDraws.Load(workplace.At("nothing")));
        Assert.Equal(LikelihoodErrorKind.FileMissing, Assert.Single(missing.Errors).Kind);
        Assert.Throws<LikelihoodException>(() => Draws.Save(workplace.Points));
    }

    [Fact]
    public void A_density_that_is_zero_cannot_be_sampled()
    {
        var model = LikelihoodModel.FromDelegate("nothing", [new ParameterInfo("x")], _ => double.NegativeInfinity);
        var failure = Assert.Throws<LikelihoodException>(() => model.Sample());
        Assert.NotEmpty(failure.Errors);
    }

    [Fact]
    public void Errors_of_a_function_are_its_own()
    {
        var calls = 0;
        var model = LikelihoodModel.FromDelegate(
            "breaks", [new ParameterInfo("x")], p => ++calls > 1000 ? throw new TimeoutException() : -0.5 * p[0] * p[0]);
        Assert.Throws<TimeoutException>(() => model.Sample());
    }

    [Fact]
    public void Progress_tells_of_draws_and_their_agreement()
    {
        var reports = new Recorder();
        var result = Normal().Sample(new SampleOptions { Ess = 2000, Chains = 16 }, reports);
        Assert.Equal(("warming up", 0), (reports.All[0].Stage, reports.All[0].PerChain));
        Assert.All(reports.All.Skip(1), report => Assert.Equal("sampling", report.Stage));
        Assert.All(reports.All.Zip(reports.All.Skip(1)), pair => Assert.True(pair.First.PerChain <= pair.Second.PerChain));
        var last = reports.All[^1];
        Assert.Equal(
            (result.Draws.PerChain, (long)result.Draws.Count, result.MinEss, result.MaxRHat),
            (last.PerChain, last.Draws, last.MinEss, last.MaxRHat));
        Assert.Equal(result.Evaluations + result.Gradients, last.Evaluations);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Sampling_that_is_cancelled_ends(bool amongDraws)
    {
        var model = LikelihoodModel.Load(workplace.TwoBins);
        using var cancelled = new CancellationTokenSource();
        var reports = new Recorder { OnReport = report => { if (!amongDraws || report.PerChain > 0) { cancelled.Cancel(); } } };
        var options = new SampleOptions { Ess = 1e9, MostDraws = 1_000_000_000 };
        Assert.ThrowsAny<OperationCanceledException>(() => model.Sample(options, reports, cancelled.Token));
        Assert.Equal(amongDraws ? 1 : 0, reports.All.Count(report => report.PerChain > 0));
        Assert.Equal(SampleStatus.Reached, model.Sample(new SampleOptions { Ess = 50, RHat = 1.1 }).Status);
    }

    public static TheoryData<string, string, int> BadCalls =>
        new()
        {
            { "sample: all", "Ess RHat Chains MostDraws Seed Sampler", 6 },
            { "sample: too few walkers", "walkers", 1 },
            { "summary: all", "'z' Levels Threads HistogramBins", 4 },
            { "summary: name twice", "'x' 2", 1 },
            { "density: names, level", "'z' Levels", 2 },
            { "density: name twice", "'x' 2", 1 },
            { "quantiles: name, probability", "'z' probabilities", 2 },
            { "factors: none", "factors", 1 },
            { "factors: name, value, deviation, least", "'z' NaN deviation Least", 4 },
            { "scan: name, values, width", "'z' [0] Widths", 3 },
            { "scan: no widths, largest", "Widths Largest", 2 },
            { "reweight: parameters, least", "parameters Least", 2 },
            { "refresh: all", "parameters DrawsPerChain Chains Skip Seed", 5 },
            { "evidence: parameters, seed", "parameters seed", 2 },
        };

    [Theory]
    [MemberData(nameof(BadCalls))]
    public void Bad_input_is_refused_with_what_is_wrong_and_what_is_right(string name, string words, int count)
    {
        var (model, other) = (Normal(), LikelihoodModel.Load(workplace.TwoBins));

        Action call = name switch
        {
            "sample: all" => () => model.Sample(new SampleOptions
            {
                Ess = 0, RHat = 1, Chains = 1, MostDraws = 15, Seed = -1, Sampler = (Sampler)17,
            }),
            "sample: too few walkers" => () => model.Sample(new SampleOptions { Chains = 2, Sampler = Sampler.Stretch }),
            "summary: all" => () => Draws.Summarise(new SummaryOptions
            {
                Parameters = ["z"], Levels = [Level.OfProbability(95)], Threads = 0, HistogramBins = 0,
            }),
            "summary: name twice" => () => Draws.Summarise(new SummaryOptions { Parameters = ["x", "x"] }),
            "density: names, level" => () => Draws.Density("x", "z", Level.OfTwiceDeltaNll(0)),
            "density: name twice" => () => Draws.Density("x", "x"),
            "quantiles: name, probability" => () => Draws.Quantiles("z", [0.5, 50]),
            "factors: none" => () => Draws.Reweight([]),
            "factors: name, value, deviation, least" => () => Draws.Reweight(
                [PriorFactor.Above("z", 0), PriorFactor.Below("x", double.NaN), PriorFactor.Normal("x", 0, -1)],
                new ReweightOptions { Least = 0 }),
            "scan: name, values, width" => () => Draws.Scan(new("z", [double.NaN]) { Widths = [0] }),
            "scan: no widths, largest" => () => Draws.Scan(new("x", [0]) { Widths = [], Largest = double.NaN }),
            "reweight: parameters, least" => () => other.Reweight(Draws, options: new ReweightOptions { Least = -1 }),
            "refresh: all" => () => other.Refresh(
                Draws, new RefreshOptions { DrawsPerChain = 1, Chains = 1, Skip = 0, Seed = -1 }),
            "evidence: parameters, seed" => () => other.Evidence(Draws, -1),
            _ => throw new ArgumentException(name),
        };

        var failure = Assert.Throws<LikelihoodException>(call);
        Assert.All(words.Split(' '), word => Assert.Contains(word, failure.Message));
        Assert.Equal(count, failure.Errors.Count);
        Assert.All(failure.Errors, error => Assert.False(string.IsNullOrWhiteSpace(error.Expected)));
    }

    private sealed class Recorder : IProgress<SampleProgress>
    {
        internal List<SampleProgress> All { get; } = [];

        internal Action<SampleProgress> OnReport { get; init; } = _ => { };

        public void Report(SampleProgress value)
        {
            All.Add(value);
            OnReport(value);
        }
    }
}
