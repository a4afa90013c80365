using Xunit;

namespace FunLik.Host.Tests;

using FunLik.Api;

/// <summary>The C# face, on a model from a file and on functions.</summary>
public class LikelihoodModelTests(Workplace workplace) : IClassFixture<Workplace>
{
    private LikelihoodModel Counting => LikelihoodModel.Load(workplace.Model);

    /// <summary>-(x - 1)² - 2 (y + 3)², with a maximum of 0 at (1, -3).</summary>
    private static LikelihoodModel Bowl(bool withGradient) =>
        LikelihoodModel.FromDelegate(
            "bowl",
            [new ParameterInfo("x") { Role = ParameterRole.Poi }, new ParameterInfo("y")],
            p => -(p[0] - 1) * (p[0] - 1) - 2 * (p[1] + 3) * (p[1] + 3),
            withGradient
                ? (p, gradient) =>
                {
                    gradient[0] = -2 * (p[0] - 1);
                    gradient[1] = -4 * (p[1] + 3);
                }
                : null);

    [Fact]
    public void A_loaded_model_has_its_parameters()
    {
        Assert.Equal("one bin", Counting.Name);
        Assert.Equal(["mu", Workplace.Nuisance], Counting.Parameters.Select(p => p.Name));
        Assert.Equal(ParameterRole.Poi, Counting.Parameters[0].Role);
        Assert.Equal((-2, 10, 1), (Counting.Parameters[0].LowerBound, Counting.Parameters[0].UpperBound, Counting.Parameters[0].Nominal));
    }

    [Fact]
    public void Several_points_are_evaluated_at_once()
    {
        double[] points = [1, 0, 0.25, -0.5, -2, 0];
        var values = new double[3];
        Counting.Evaluate(points, values);

        for (var i = 0; i < 2; i++)
        {
            var (main, constraint) = Workplace.CountingLogDensity(points[2 * i], points[2 * i + 1]);
            Assert.Equal(main + constraint, values[i], 12);
        }

        Assert.Equal(double.NegativeInfinity, values[2]);
        Assert.Equal(values[0], Counting.Evaluate([1, 0]));
    }

    [Fact]
    public void Gradients_are_those_of_the_values()
    {
        double[] points = [1, 0, 0.25, -0.5];
        double[] values = new double[2], gradients = new double[4];
        Counting.EvaluateWithGradient(points, values, gradients);
        const double Step = 1e-6;

        for (var i = 0; i < points.Length; i++)
        {
            var point = points[(i / 2 * 2)..(i / 2 * 2 + 2)];
            point[i % 2] += Step;
            var above = Counting.Evaluate(point);
            point[i % 2] -= 2 * Step;
            Assert.Equal((above - Counting.Evaluate(point)) / (2 * Step), gradients[i], 7);
        }
    }

    [Fact]
    public void No_points_are_no_work() => Counting.Evaluate([], []);

    [Theory]
    [InlineData(3, 1)]
    [InlineData(4, 1)]
    [InlineData(0, 1)]
    public void Lengths_that_do_not_fit_are_refused(int points, int values)
    {
        var failure = Assert.Throws<LikelihoodException>(() => Counting.Evaluate(new double[points], new double[values]));
        Assert.Equal(LikelihoodErrorKind.Shape, Assert.Single(failure.Errors).Kind);
        Assert.Contains($"{2 * values} numbers", failure.Message);
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void Values_that_are_not_finite_are_named(double bad)
    {
        var failure = Assert.Throws<LikelihoodException>(() => Counting.Evaluate([1, 0, 1, bad], new double[2]));
        Assert.Equal(LikelihoodErrorKind.Value, failure.Errors[0].Kind);
        Assert.Contains($"'{Workplace.Nuisance}' at point 1", failure.Message);
    }

    [Fact]
    public void A_missing_file_is_an_error_that_names_it()
    {
        var failure = Assert.Throws<LikelihoodException>(() => LikelihoodModel.Load(workplace.At("nothing.json")));
        Assert.Equal(LikelihoodErrorKind.FileMissing, failure.Errors[0].Kind);
        Assert.Equal(workplace.At("nothing.json"), failure.Errors[0].File);
    }

    [Fact]
    public void All_mistakes_of_a_file_come_at_once()
    {
        var bad = workplace.Write(
            "two-mistakes.json",
            """{"kind": "counting", "channels": [{"name": "a", "observed": [1, 2], "signal": [1], "background": [3]}]}""");
        Assert.Equal(2, Assert.Throws<LikelihoodException>(() => LikelihoodModel.Load(bad)).Errors.Count);
    }

    [Fact]
    public void Options_that_the_model_does_not_take_are_refused()
    {
        var options = new LoadOptions { Measurement = "first" };
        var failure = Assert.Throws<LikelihoodException>(() => LikelihoodModel.Load(workplace.Model, options));
        Assert.Equal(LikelihoodErrorKind.Unsupported, failure.Errors[0].Kind);
        Assert.Throws<LikelihoodException>(() => LikelihoodModel.Load(workplace.Model, new LoadOptions { Threads = 0 }));
    }

    [Fact]
    public void A_fit_finds_the_maximum()
    {
        var fit = Counting.Fit();
        Assert.Equal(FitStatus.Converged, fit.Status);
        Assert.Equal(1, fit["mu"], 6);
        Assert.Equal(0, fit[Workplace.Nuisance], 6);
        var (main, constraint) = Workplace.CountingLogDensity(1, 0);
        Assert.Equal(-2 * (main + constraint), fit.TwiceNll, 9);
        Assert.Throws<KeyNotFoundException>(() => fit["nu"]);
    }

    [Fact]
    public void A_fit_keeps_what_is_fixed()
    {
        var fit = Counting.Fit(new FitOptions { Fixed = new Dictionary<string, double> { ["mu"] = 2 } });
        Assert.Equal(2, fit["mu"]);
        Assert.True(fit[Workplace.Nuisance] < 0);

        var unknown = new FitOptions { Fixed = new Dictionary<string, double> { ["nu"] = 2 } };
        Assert.Equal(LikelihoodErrorKind.Name, Assert.Throws<LikelihoodException>(() => Counting.Fit(unknown)).Errors[0].Kind);
        Assert.Throws<LikelihoodException>(() => Counting.Fit(new FitOptions { Starts = 0 }));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void A_function_is_a_model(bool withGradient)
    {
        var model = Bowl(withGradient);
        Assert.Equal(-1, model.Evaluate([0, -3]));
        double[] values = new double[1], gradients = new double[2];
        model.EvaluateWithGradient([0, -2], values, gradients);
        Assert.Equal(2, gradients[0], 6);
        Assert.Equal(-4, gradients[1], 6);

        var fit = model.Fit();
        Assert.Equal(FitStatus.Converged, fit.Status);
        Assert.Equal(1, fit["x"], 4);
        Assert.Equal(-3, fit["y"], 4);
        Assert.Equal(0, fit.TwiceNll, 7);
        Assert.Null(fit.Covariance);
    }

    [Fact]
    public void A_covariance_is_the_inverse_hessian()
    {
        var covariance = Bowl(withGradient: true).Fit(new FitOptions { Covariance = true }).Covariance!;
        Assert.Equal(0.5, covariance[0][0], 5);
        Assert.Equal(0.25, covariance[1][1], 5);
        Assert.Equal(0, covariance[0][1], 5);
    }

    [Fact]
    public void A_scan_is_relative_to_the_minimum()
    {
        var scan = Bowl(withGradient: true).Scan(ScanOptions.Between("x", 0, 2, 5));
        Assert.Equal([0, 0.5, 1, 1.5, 2], scan.X);
        Assert.All(scan.Status, status => Assert.Equal(FitStatus.Converged, status));

        foreach (var (x, t) in scan.X.Zip(scan.TwiceDeltaNll))
        {
            Assert.Equal(2 * (x - 1) * (x - 1), t, 8);
        }

        Assert.Throws<LikelihoodException>(() => ScanOptions.Between("x", 2, 0, 5));
        Assert.Throws<LikelihoodException>(() => ScanOptions.Between("x", 0, 2, 1));
        Assert.Throws<LikelihoodException>(() => Counting.Scan(new ScanOptions("nu", [1.0])));
    }

    [Fact]
    public void Long_calls_tell_how_far_they_are_and_can_be_cancelled()
    {
        var reports = new List<FitProgress>();
        Counting.Fit(progress: new Recorder(reports));
        Assert.Equal(reports[^1].Total, reports[^1].Done);

        using var cancelled = new CancellationTokenSource();
        cancelled.Cancel();
        Assert.ThrowsAny<OperationCanceledException>(() => Counting.Fit(cancellation: cancelled.Token));
        Assert.ThrowsAny<OperationCanceledException>(
            () => Counting.Scan(new ScanOptions("mu", [1.0]), cancellation: cancelled.Token));
    }

    [Fact]
    public void Parameters_that_make_no_sense_are_refused_all_at_once()
    {
        ParameterInfo[] parameters =
        [
            new("a") { Nominal = double.NaN },
            new("b") { LowerBound = 1 },
            new("c"),
            new("c"),
        ];

        var failure = Assert.Throws<LikelihoodException>(() => LikelihoodModel.FromDelegate("bad", parameters, _ => 0));
        Assert.True(failure.Errors.Count >= 3, failure.Message);
        Assert.All(["'a'", "'b'", "'c'"], name => Assert.Contains(name, failure.Message));
        Assert.Throws<LikelihoodException>(() => LikelihoodModel.FromDelegate("empty", [], _ => 0));
    }

    private sealed class Recorder(List<FitProgress> reports) : IProgress<FitProgress>
    {
        public void Report(FitProgress value) => reports.Add(value);
    }
}
