using System.Globalization;
using System.Text.Json;
using Xunit;

namespace FunLik.Host.Tests;

/// <summary>Each verb with good input, as a process.</summary>
public class CommandLineTests(Workplace workplace) : IClassFixture<Workplace>
{
    [Fact]
    public async Task Version_names_the_program_and_its_version()
    {
        var result = await Cli.Run("--version");
        Assert.Equal(0, result.ExitCode);
        Assert.StartsWith("funlik 0.", result.Output);
    }

    [Fact]
    public async Task Help_names_every_verb_and_exit_code()
    {
        var result = await Cli.Run("help");
        Assert.Equal(0, result.ExitCode);
        Assert.All(["eval", "fit", "scan", "profile", "interval", "contour", "impacts", "gof", "wilks", "inspect", "run", "130"], word => Assert.Contains(word, result.Output));
    }

    [Theory]
    [InlineData("eval", "--points", "--gradient", "--model", "--json", "--threads")]
    [InlineData("fit", "--fix", "--poi", "--starts", "--patch", "--scalings", "--interpolation")]
    [InlineData("scan", "--parameter", "--from", "--to", "--count", "--frozen", "--measurement")]
    [InlineData("profile", "--keep", "--points", "--model")]
    [InlineData("interval", "--parameter", "--level", "--from", "--to", "--count")]
    [InlineData("contour", "--x", "--y", "--count", "--level", "--frozen")]
    [InlineData("interval", "--feldman-cousins", "--toys", "--seed", "--against", "--fix", "--frozen")]
    [InlineData("scan", "--draws", "--width", "--fix")]
    [InlineData("gof", "--toys", "--seed", "--fix", "--frozen", "--model")]
    [InlineData("wilks", "--mu", "--toys", "--seed", "--poi", "--fix")]
    [InlineData("impacts", "--poi", "--model", "--json")]
    [InlineData("inspect", "--model", "--json")]
    [InlineData("run", "JOB", "--json")]
    public async Task Help_of_a_verb_lists_its_options(string verb, params string[] options)
    {
        var result = await Cli.Run(verb, "--help");
        Assert.Equal(0, result.ExitCode);
        Assert.Empty(result.Error);
        Assert.All(options, option => Assert.Contains(option, result.Output));
    }

    [Fact]
    public async Task Eval_gives_the_log_density_its_parts_and_its_gradient()
    {
        var result = await Cli.Run("eval", "--model", workplace.Model, "--points", workplace.Points, "--gradient", "--json");
        Assert.Equal(0, result.ExitCode);
        var json = result.Json();
        Assert.Equal(["mu", Workplace.Nuisance], json.GetProperty("parameters").EnumerateArray().Select(name => name.GetString()!));

        foreach (var (i, mu, theta) in new[] { (0, 1.0, 0.0), (1, 0.25, -0.5) })
        {
            var (main, constraint) = Workplace.CountingLogDensity(mu, theta);
            Assert.Equal(main, json.GetProperty("main")[i].GetDouble(), 12);
            Assert.Equal(constraint, json.GetProperty("constraint")[i].GetDouble(), 12);
            Assert.Equal(0, json.GetProperty("prior")[i].GetDouble());
            Assert.Equal(main + constraint, json.GetProperty("logDensity")[i].GetDouble(), 12);
            Assert.False(json.GetProperty("outside")[i].GetBoolean());
            var mean = 3 * mu + 4 + 0.4 * theta;
            Assert.Equal(3 * (7 / mean - 1), json.GetProperty("gradient")[i][0].GetDouble(), 12);
            Assert.Equal(0.4 * (7 / mean - 1) - theta, json.GetProperty("gradient")[i][1].GetDouble(), 12);
        }
    }

    [Fact]
    public async Task Eval_says_null_and_outside_where_the_density_is_zero()
    {
        var result = await Cli.Run("eval", "--model", workplace.Model, "--points", workplace.Points, "--json");
        Assert.Equal(0, result.ExitCode);
        var json = result.Json();
        Assert.Equal(JsonValueKind.Null, json.GetProperty("logDensity")[2].ValueKind);
        Assert.True(json.GetProperty("outside")[2].GetBoolean());
        Assert.False(json.TryGetProperty("gradient", out _));
    }

    [Fact]
    public async Task Numbers_read_back_the_same_bits()
    {
        var result = await Cli.Run("eval", "--model", workplace.Model, "--points", workplace.Points, "--json");
        var raw = result.Json().GetProperty("logDensity")[0].GetRawText();
        Assert.Equal(raw, double.Parse(raw, CultureInfo.InvariantCulture).ToString("R", CultureInfo.InvariantCulture));
        Assert.True(raw.Length >= 15, raw);
    }

    [Fact]
    public async Task Points_may_name_their_own_order()
    {
        var points = workplace.Write("named.json", $$"""{"parameters": ["{{Workplace.Nuisance}}", "mu"], "points": [[-0.5, 0.25]]}""");
        var result = await Cli.Run("eval", "--json", "--points", points, "--model", workplace.Model);
        var (main, constraint) = Workplace.CountingLogDensity(0.25, -0.5);
        Assert.Equal(main + constraint, result.Json().GetProperty("logDensity")[0].GetDouble(), 12);
    }

    [Fact]
    public async Task Eval_prints_a_table_for_people()
    {
        var result = await Cli.Run($"eval", $"--model={workplace.Model}", $"--points={workplace.Points}");
        Assert.Equal(0, result.ExitCode);
        var lines = result.Output.Split('\n');
        Assert.Equal(["point", "log", "density", "main", "constraint", "prior"], lines[0].Split(' ', StringSplitOptions.RemoveEmptyEntries));
        Assert.Contains("-∞", lines[3]);
    }

    [Fact]
    public async Task Fit_finds_the_maximum_and_says_how_it_went()
    {
        var result = await Cli.Run("fit", "--model", workplace.Model, "--starts", "3", "--json");
        Assert.Equal(0, result.ExitCode);
        var json = result.Json();
        var (main, constraint) = Workplace.CountingLogDensity(1, 0);
        Assert.Equal("converged", json.GetProperty("status").GetString());
        Assert.Equal(-2 * (main + constraint), json.GetProperty("twiceNll").GetDouble(), 9);
        Assert.Equal(1, json.GetProperty("parameters").GetProperty("mu").GetDouble(), 6);
        Assert.Equal(Math.Sqrt(7 + 0.16) / 3, json.GetProperty("sigma").GetProperty("mu").GetDouble(), 6);
        Assert.InRange(json.GetProperty("gradientNorm").GetDouble(), 0, 1e-6);
        Assert.InRange(json.GetProperty("edm").GetDouble(), 0, 1e-8);
        Assert.True(json.GetProperty("evaluations").GetInt32() > 0);
        Assert.Empty(json.GetProperty("activeBounds").EnumerateArray());
        var minimum = Assert.Single(json.GetProperty("minima").EnumerateArray());
        Assert.Equal(3, minimum.GetProperty("starts").GetInt32());
    }

    [Fact]
    public async Task Fit_keeps_what_is_fixed()
    {
        var json = (await Cli.Run("fit", "--model", workplace.Model, "--fix", "mu=0.5", "--poi", Workplace.Nuisance, "--json")).Json();
        Assert.Equal(0.5, json.GetProperty("parameters").GetProperty("mu").GetDouble());

        // With mean 5.5 + 0.4 θ the nuisance solves 0.4 (7 / mean - 1) = θ.
        var theta = json.GetProperty("parameters").GetProperty(Workplace.Nuisance).GetDouble();
        Assert.Equal(0.4 * (7 / (5.5 + 0.4 * theta) - 1), theta, 7);
        Assert.Equal(JsonValueKind.Null, json.GetProperty("sigma").GetProperty("mu").ValueKind);

        var table = await Cli.Run("fit", "--model", workplace.Model, "--fix", "mu=0.5");
        Assert.StartsWith("converged\n", table.Output);
        Assert.Matches(@"mu +0\.50000000 +fixed", table.Output);
    }

    [Fact]
    public async Task Scan_is_relative_to_the_minimum()
    {
        var result = await Cli.Run(
            "scan", "--model", workplace.Model, "--parameter", "mu", "--from", "0.5", "--to", "1.5", "--count", "3", "--json");
        Assert.Equal(0, result.ExitCode);
        var json = result.Json();
        Assert.Equal([0.5, 1, 1.5], json.GetProperty("x").EnumerateArray().Select(x => x.GetDouble()));
        Assert.All(json.GetProperty("status").EnumerateArray(), status => Assert.Equal("converged", status.GetString()));
        var fit = (await Cli.Run("fit", "--model", workplace.Model, "--fix", "mu=0.5", "--json")).Json();
        var minimum = json.GetProperty("minimum").GetProperty("twiceNll").GetDouble();
        var t = json.GetProperty("twiceDeltaNll").EnumerateArray().Select(value => value.GetDouble()).ToArray();
        Assert.Equal(fit.GetProperty("twiceNll").GetDouble() - minimum, t[0], 8);
        Assert.Equal(0, t[1], 8);
        Assert.All(t, value => Assert.True(value >= 0));
    }

    [Fact]
    public async Task What_does_not_converge_is_exit_code_3_and_a_whole_answer()
    {
        string[] scan = ["scan", "--model", workplace.Model, "--parameter", "mu", "--from", "-2", "--to", "1", "--count", "2"];
        var result = await Cli.Run([.. scan, "--json"]);
        Assert.Equal(3, result.ExitCode);
        var json = result.Json();
        Assert.Equal(["notFinite", "converged"], json.GetProperty("status").EnumerateArray().Select(status => status.GetString()));
        Assert.Equal(JsonValueKind.Null, json.GetProperty("twiceDeltaNll")[0].ValueKind);
        var table = await Cli.Run(scan);
        Assert.Equal(3, table.ExitCode);
        Assert.Contains("notFinite", table.Output);
    }

    [Fact]
    public async Task Inspect_describes_the_model_and_the_machine()
    {
        var json = (await Cli.Run("inspect", "--model", workplace.Model, "--json")).Json();
        Assert.Equal("counting", json.GetProperty("kind").GetString());
        var hash = System.Security.Cryptography.SHA256.HashData(File.ReadAllBytes(workplace.Model));
        Assert.Equal(Convert.ToHexStringLower(hash), json.GetProperty("sha256").GetString());
        var mu = json.GetProperty("parameters")[0];
        Assert.Equal("poi", mu.GetProperty("kind").GetString());
        Assert.Equal(-2, mu.GetProperty("bounds")[0].GetDouble());
        Assert.Equal(1, mu.GetProperty("nominal").GetDouble());
        Assert.Equal([1, 1], json.GetProperty("terms").EnumerateArray().Select(term => term.GetProperty("size").GetInt32()));
        Assert.True(json.GetProperty("machine").GetProperty("vectorBits").GetInt32() >= 64);
    }

    [Fact]
    public async Task Results_do_not_depend_on_the_number_of_threads()
    {
        string[] arguments = ["eval", "--model", workplace.Model, "--points", workplace.Points, "--gradient", "--json"];
        var one = await Cli.Run([.. arguments, "--threads", "1"]);
        var seven = await Cli.Run([.. arguments, "--threads", "7"]);
        Assert.Equal(one.Output, seven.Output);
    }

    [Fact]
    public async Task Quick_jit_is_told_in_one_line_and_only_there()
    {
        string[] arguments = ["eval", "--model", workplace.Model, "--points", workplace.Points, "--json"];
        var slow = await Cli.Finish(Cli.Start(arguments, new Dictionary<string, string> { ["DOTNET_TC_QuickJit"] = "1" }));
        Assert.Equal(0, slow.ExitCode);
        slow.Json();
        Assert.Contains("DOTNET_TC_QuickJit=0", Assert.Single(Notes(slow)));
        Assert.Empty(Notes(await Cli.Run(arguments)));
    }

    private static IEnumerable<string> Notes(Cli.Result result) =>
        result.Error.Split('\n').Where(line => line.StartsWith("note: "));
}
