using Xunit;

namespace FunLik.Host.Tests;

using FunLik.Api;

/// <summary>A job that was run once, with its bundle.</summary>
public sealed class FinishedJob : IAsyncLifetime
{
    private readonly Workplace _workplace = new();

    /// <summary>A count of 70 over a background of 40 ± 4 with a signal of 30.</summary>
    private const string ModelText =
        """
        {"kind": "counting", "name": "one bin", "poi": {"name": "mu", "bounds": [-1, 5], "nominal": 1},
         "channels": [{"name": "sr", "observed": [70], "signal": [30], "background": [40], "relativeUncertainty": [0.1]}]}
        """;

    internal string Model => _workplace.At("model.json");

    internal string Bundle => _workplace.At("out/bundle");

    internal Task<Cli.Result> Result { get; private set; } = null!;

    public Task InitializeAsync()
    {
        _workplace.Write("model.json", ModelText);

        var job = _workplace.Write(
            "job.json",
            """
            {"kind": "job", "model": "model.json", "seed": 3, "labels": 300, "output": "out",
             "sampling": {"chains": 12, "testChains": 4, "warmup": 60}, "ridge": {"anchors": 20, "test": 100},
             "training": {"hidden": [32], "batchSize": 32, "epochs": 300}}
            """);

        return Result = Cli.Run("run", job, "--json");
    }

    public Task DisposeAsync()
    {
        _workplace.Dispose();
        return Task.CompletedTask;
    }

    /// <summary>A copy of the bundle that a test may spoil.</summary>
    internal string Copy()
    {
        var copy = _workplace.At(Path.GetRandomFileName());
        Directory.CreateDirectory(copy);

        foreach (var file in Directory.GetFiles(Bundle))
        {
            File.Copy(file, Path.Combine(copy, Path.GetFileName(file)));
        }

        return copy;
    }
}

/// <summary>Published surrogates in C#.</summary>
public class SurrogateModelTests(FinishedJob job) : IClassFixture<FinishedJob>
{
    private SurrogateModel Surrogate => SurrogateModel.Load(job.Bundle);

    [Fact]
    public async Task A_loaded_surrogate_tells_what_its_card_says()
    {
        var card = (await job.Result).Json();
        var surrogate = Surrogate;
        Assert.Equal(["mu", Workplace.Nuisance], surrogate.Parameters.Select(p => p.Name));
        Assert.Equal("one bin", surrogate.Card.Model);
        Assert.Equal("funlik", surrogate.Card.Recipe);
        Assert.Equal(card.GetProperty("model").GetProperty("sha256").GetString(), surrogate.Card.ModelSha256);

        var posterior = surrogate.Card.Metrics.Single(m => m.Slice == "posterior");
        var told = card.GetProperty("metrics").GetProperty("posterior");
        Assert.Equal(told.GetProperty("surrogate").GetProperty("mse").GetDouble(), posterior.Surrogate.MeanSquaredError);
        Assert.Equal(told.GetProperty("quadratic").GetProperty("max").GetDouble(), posterior.Quadratic.LargestError);

        Assert.Contains("model.onnx", surrogate.Card.Files.Keys);
        Assert.InRange(surrogate.Verification.LargestDifference, 0, 1e-6);
        Assert.InRange(surrogate.Verification.OnnxRuntimeDifference ?? 0, 0, 1e-6);
        Assert.True(surrogate.Verification.TestVectors > 0);
    }

    [Fact]
    public void Values_and_gradients_are_near_the_exact_ones_inside_of_the_region()
    {
        var surrogate = Surrogate;
        double[] points = [1, 0, 0.75, -0.5, 1.25, 0.5];
        double[] values = new double[3], same = new double[3], gradients = new double[6];
        surrogate.EvaluateWithGradient(points, values, gradients);
        surrogate.Evaluate(points, same);
        Assert.Equal(same, values);
        Assert.Equal(values[1], surrogate.Evaluate(points.AsSpan(2, 2)));

        for (var row = 0; row < 3; row++)
        {
            var (mu, theta) = (points[2 * row], points[2 * row + 1]);
            Assert.True(surrogate.Region.Contains([mu, theta]));
            var mean = 30 * mu + 40 + 4 * theta;
            var logFactorial = Enumerable.Range(1, 70).Sum(n => Math.Log(n));
            var exact = 70 * Math.Log(mean) - mean - logFactorial - 0.5 * theta * theta - 0.5 * Math.Log(2 * Math.PI);
            Assert.Equal(exact, values[row], 0.1);
            var slope = 70 / mean - 1;
            Assert.Equal(30 * slope, gradients[2 * row], 0.5);
            Assert.Equal(4 * slope - theta, gradients[2 * row + 1], 0.5);
        }

        Assert.False(surrogate.Region.Contains([1000, 0]));
        Assert.False(surrogate.Region.Contains([double.NaN, 0]));
        Assert.Throws<LikelihoodException>(() => surrogate.Region.Contains([1]));
    }

    [Fact]
    public void A_surrogate_is_fitted_like_any_model()
    {
        LikelihoodModel surrogate = Surrogate;
        var fit = surrogate.Fit();
        Assert.Equal(FitStatus.Converged, fit.Status);
        Assert.Equal(1, fit["mu"], 0.05);
    }

    [Fact]
    public void A_surrogate_has_the_intervals_statistics_and_impacts_of_the_exact_model()
    {
        LikelihoodModel exact = LikelihoodModel.Load(job.Model), surrogate = Surrogate;
        var (found, expected) = (surrogate.Interval(new("mu")), exact.Interval(new("mu")));
        Assert.Equal(expected.Minus!.Value, found.Minus!.Value, 0.02);
        Assert.Equal(expected.Plus!.Value, found.Plus!.Value, 0.02);

        // The learnt ends, found again with the exact density, are the exact ends.
        var recheck = exact.Recheck(found);
        Assert.Equal(FitStatus.Converged, recheck.Status);
        var ends = expected.Intervals.SelectMany(i => i.Pieces).SelectMany(p => new[] { p.Low.Value, p.High.Value });
        Assert.Equal(ends, recheck.Crossings.Select(c => c.Exact), (a, b) => Math.Abs(a - b) < 1e-6);
        Assert.All(recheck.Crossings, c => Assert.InRange(Math.Abs(c.Shift), 0, 0.02));
        Assert.True(recheck.ExactCalls > 0);

        var (learnt, known) = (surrogate.Statistic([0.5, 1.5]), exact.Statistic([0.5, 1.5]));
        Assert.All(learnt.Values.Zip(known.Values), pair => Assert.Equal(pair.Second, pair.First, 0.1));

        var (impact, exactImpact) = (surrogate.Impacts().Impacts.Single(), exact.Impacts().Impacts.Single());
        Assert.Equal(exactImpact.PostFitImpact!.Up, impact.PostFitImpact!.Up, 0.02);
    }

    [Fact]
    public void What_needs_predicted_data_is_refused_by_name()
    {
        var surrogate = Surrogate;

        Action[] tests =
        [
            () => surrogate.HypothesisTest(1),
            () => surrogate.UpperLimit(),
            () => surrogate.Toys(1),
        ];

        foreach (var test in tests)
        {
            var error = Assert.Single(Assert.Throws<LikelihoodException>(test).Errors);
            Assert.Equal(LikelihoodErrorKind.Unsupported, error.Kind);
            Assert.False(string.IsNullOrEmpty(error.Expected + error.Hint));
        }
    }

    [Fact]
    public void A_bundle_that_was_changed_is_refused_by_the_name_of_its_file()
    {
        var copy = job.Copy();
        var model = Path.Combine(copy, "model.onnx");
        var bytes = File.ReadAllBytes(model);
        bytes[^20] ^= 1;
        File.WriteAllBytes(model, bytes);
        var error = Assert.Single(Assert.Throws<LikelihoodException>(() => SurrogateModel.Load(copy)).Errors);
        Assert.Equal(model, error.File);
        Assert.Equal(LikelihoodErrorKind.Value, error.Kind);
    }

    [Fact]
    public void What_is_no_bundle_is_refused()
    {
        var error = Assert.Single(Assert.Throws<LikelihoodException>(() => SurrogateModel.Load("/no/such/folder")).Errors);
        Assert.Equal(LikelihoodErrorKind.FileMissing, error.Kind);
        Assert.Throws<LikelihoodException>(() => SurrogateModel.Load(job.Bundle, new SurrogateOptions { Threads = 0 }));
        Assert.Throws<ArgumentNullException>(() => SurrogateModel.Load(null!));
    }
}
