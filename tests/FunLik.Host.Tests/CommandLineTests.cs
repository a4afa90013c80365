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
        Assert.All(["eval", "fit", "scan", "inspect", "run", "130"], word => Assert.Contains(word, result.Output));
    }

    [Theory]
    [InlineData("eval", "--points", "--gradient", "--model", "--json", "--threads")]
    [InlineData("fit", "--fix", "--poi", "--starts", "--patch", "--scalings", "--interpolation")]
    [InlineData("scan", "--parameter", "--from", "--to", "--count", "--frozen", "--measurement")]
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
