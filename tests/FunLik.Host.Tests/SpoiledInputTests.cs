using System.Text.Json;
using Microsoft.FSharp.Core;
using Xunit;

namespace FunLik.Host.Tests;

/// <summary>Bad input of all sorts: exit code 2, one error object, the file and the place, nothing else.</summary>
public class SpoiledInputTests(Workplace workplace) : IClassFixture<Workplace>
{
    private const string Model = "--model MODEL";
    private const string Points = "--points POINTS";
    private const string Scan = $"scan {Model} --parameter mu --from 0 --to 2 --count 5";

    /// <summary>
    /// The arguments (MODEL, POINTS and FILE stand for files), the content of FILE or null, the error's kind, and words that the
    /// error's fields contain.
    /// </summary>
    public static TheoryData<string, string?, string, string> Cases => new()
    {
        { "", null, "usage", "no verb" },
        { "evaluate", null, "usage", "evaluate" },
        { "--model MODEL eval", null, "usage", "before options" },
        { "eval", null, "usage", "--model" },
        { $"eval {Model}", null, "usage", "--points" },
        { $"eval {Points}", null, "usage", "--model" },
        { $"eval {Model} --points", null, "usage", "--points" },
        { "eval --model --points POINTS", null, "usage", "--model" },
        { $"eval {Model} {Points} --speed 3", null, "usage", "--speed" },
        { $"eval {Model} {Points} stray", null, "usage", "stray" },
        { $"eval {Model} {Model} {Points}", null, "usage", "more than once" },
        { $"eval {Model} {Points} --threads 0", null, "usage", "--threads" },
        { $"eval {Model} {Points} --threads many", null, "usage", "many" },
        { $"eval --model FILE {Points}", null, "file-missing", "FILE" },
        { $"eval {Model} --points FILE", null, "file-missing", "FILE" },
        { $"eval --model FOLDER {Points}", null, "file-unreadable", "FOLDER" },
        { $"eval {Model} --points FOLDER", null, "file-unreadable", "FOLDER" },
        { $"eval --model FILE {Points}", "", "syntax", "FILE" },
        { $"eval --model FILE {Points}", """{"kind": "counting", "channels": [{"na""", "syntax", "line 1" },
        { $"eval --model FILE {Points}", """{"kind": "zoo"}""", "schema", "$.kind" },
        { $"eval --model FILE {Points}", """{"kind": "counting"}""", "schema", "channels" },
        { $"eval --model FILE {Points}", "[1, 2]", "schema", "FILE" },
        {
            $"eval --model FILE {Points}",
            """{"kind": "counting", "channels": [{"name": "a", "observed": [1, 2], "signal": [1], "background": [1, 2]}]}""",
            "shape",
            "$.channels[0].signal"
        },
        {
            $"eval --model FILE {Points}",
            """{"kind": "counting", "channels": [{"name": "a", "observed": [-1], "signal": [1], "background": [1]}]}""",
            "value",
            "$.channels[0].observed[0]"
        },
        { $"eval {Model} --points FILE", """{"points": [[1, NaN]]}""", "syntax", "NaN" },
        { $"eval {Model} --points FILE", """{"points": [[1, null]]}""", "schema", "$.points[0][1]" },
        { $"eval {Model} --points FILE", """{"points": [[1, 1e999]]}""", "value", "$.points[0][1]" },
        { $"eval {Model} --points FILE", """{"points": [[1, 2], [1, 2, 3]]}""", "shape", "$.points[1]" },
        { $"eval {Model} --points FILE", """{"points": []}""", "shape", "no points" },
        { $"eval {Model} --points FILE", """{"points": [[1, 2], [1, """, "syntax", "FILE" },
        { $"eval {Model} --points FILE", """{"parameters": ["mu", "nu"], "points": [[1, 2]]}""", "name", "nu" },
        { $"eval {Model} --points FILE", """{"parameters": ["mu", "mu"], "points": [[1, 2]]}""", "name", "twice" },
        { $"eval {Model} --points FILE", """{"point": [1, 2]}""", "schema", "points" },
        { $"eval {Model} {Points} --patch FILE", "[]", "unsupported", "patch" },
        { $"eval {Model} {Points} --interpolation normsys", null, "usage", "KIND=CODE" },
        { $"fit {Model} --fix", null, "usage", "--fix" },
        { $"fit {Model} --fix mu", null, "usage", "NAME=VALUE" },
        { $"fit {Model} --fix mu=wide", null, "usage", "wide" },
        { $"fit {Model} --fix mu=NaN", null, "usage", "finite" },
        { $"fit {Model} --fix mu=1 --fix mu=2", null, "usage", "2 times" },
        { $"fit {Model} --fix nu=1", null, "name", "nu" },
        { $"fit {Model} --poi nu", null, "name", "nu" },
        { $"fit {Model} --starts 0", null, "usage", "--starts" },
        { $"fit {Model} --starts -3", null, "usage", "-3" },
        { $"fit {Model} --starts 1.5", null, "usage", "1.5" },
        { $"cls {Model}", null, "usage", "--mu" },
        { $"cls {Model} --mu wide", null, "usage", "wide" },
        { $"cls {Model} --mu 1 --statistic u", null, "usage", "qtilde" },
        { $"cls {Model} --mu 1 --poi nu", null, "name", "nu" },
        { $"limit {Model} --level 1.5", null, "usage", "--level" },
        { $"limit {Model} --mu 1", null, "usage", "--mu" },
        { $"toys {Model} --mu 1 --toys 1", null, "usage", "--toys" },
        { $"cls {Model} --mu 1 --fix mu=1", null, "value", "what is asked for" },
        { $"cls {Model} --mu 1 --fix nu=1", null, "name", "nu" },
        { $"gof {Model} --toys some", null, "usage", "--toys" },
        { $"gof {Model} --fix nu=1", null, "name", "nu" },
        { $"wilks {Model}", null, "usage", "--mu" },
        { $"wilks {Model} --mu 1 --toys 5", null, "usage", "--toys" },
        { $"wilks {Model} --mu 1 --statistic q", null, "usage", "--statistic" },
        { $"sample {Model} --out OUT", null, "usage", "--ess" },
        { $"sample {Model} --ess 100", null, "usage", "--out" },
        { $"sample {Model} --ess 0 --out OUT", null, "usage", "1 or more" },
        { $"sample {Model} --ess many --out OUT", null, "usage", "many" },
        { $"sample {Model} --ess 100 --chains 1 --out OUT", null, "usage", "--chains" },
        { $"sample {Model} --design rigde --labels 10 --out OUT", null, "usage", "rigde" },
        { $"sample {Model} --design ridge --out OUT", null, "usage", "--labels" },
        { $"sample {Model} --design ridge=0 --labels 10 --out OUT", null, "usage", "ridge=0" },
        { $"sample {Model} --design ridge --labels 10 --ess 5 --out OUT", null, "usage", "--ess" },
        { $"sample {Model} --ess 100 --beta 0.5 --out OUT", null, "usage", "--beta" },
        { $"sample {Model} --design tempered --labels 10 --beta 2 --out OUT", null, "usage", "--beta" },
        { $"sample {Model} --design box --labels 10 --side nu,0,1 --out OUT", null, "name", "nu" },
        { $"sample {Model} --design box --labels 10 --side mu,1,0 --out OUT", null, "usage", "--side" },
        { "train --out OUT", null, "usage", "--data" },
        { "train --data FILE --patch POINTS --out OUT", null, "usage", "without a model" },
        { "train --data FOLDER --out OUT", null, "file-missing", "labels.json" },
        { $"train {Model} --out OUT --recipe stew", null, "usage", "stew" },
        { $"train {Model} --out OUT --recipe FILE", null, "file-missing", "FILE" },
        { $"train {Model} --out OUT --recipe FILE", """{"name": "stew"}""", "schema", "hidden" },
        { $"train {Model} --out OUT --evaluations 3", null, "usage", "--evaluations" },
        { $"train {Model} --out POINTS", null, "file-unreadable", "POINTS" },
        { "validate --against MODEL", null, "usage", "BUNDLE" },
        { "validate FOLDER", null, "usage", "--against" },
        { $"validate FOLDER --against MODEL {Model}", null, "usage", "--model" },
        { "validate FOLDER --against MODEL", null, "file-missing", "card.json" },
        { "check --against MODEL", null, "usage", "BUNDLE" },
        { "check FOLDER --against MODEL --points 0", null, "usage", "--points" },
        { "check FOLDER --against MODEL --within -1", null, "usage", "--within" },
        { "check FOLDER --against MODEL", null, "file-missing", "card.json" },
        { "verify", null, "usage", "BUNDLE" },
        { "verify FOLDER", null, "file-missing", "card.json" },
        { "verify FILE", null, "file-missing", "FILE" },
        { $"scan {Model}", null, "usage", "--parameter" },
        { Scan.Replace("mu", "nu"), null, "name", "nu" },
        { Scan.Replace("--count 5", "--count 0"), null, "usage", "--count" },
        { Scan.Replace("--count 5", "--count 1e3"), null, "usage", "1e3" },
        { Scan.Replace("--from 0", "--from 3"), null, "usage", "--to" },
        { Scan.Replace("--from 0", "--from 1,5"), null, "usage", "1,5" },
        { Scan.Replace("--to 2", "--to inf"), null, "usage", "finite" },
        { Scan + " --from 1", null, "usage", "more than once" },
        { $"profile {Model}", null, "usage", "--keep" },
        { $"profile {Model} --keep mu --keep mu {Points}", null, "usage", "2 times" },
        { $"profile {Model} --keep nu --points FILE", """{"points": [[1]]}""", "name", "nu" },
        { $"profile {Model} --keep mu {Points}", null, "shape", "$.points[0]" },
        { $"profile {Model} --keep mu --points FILE", """{"parameters": ["nu"], "points": [[1]]}""", "name", "nu" },
        { $"interval {Model}", null, "usage", "--parameter" },
        { $"interval {Model} --parameter nu", null, "name", "nu" },
        { $"interval {Model} --parameter mu --level 95", null, "usage", "--level" },
        { $"interval {Model} --parameter mu --from 2", null, "usage", "--to" },
        { $"interval {Model} --parameter mu --from 2 --to 1", null, "usage", "--to" },
        { $"interval {Model} --parameter mu --count 1", null, "usage", "--count" },
        { $"interval {Model} --parameter mu --fix mu=1", null, "value", "what is asked for" },
        { $"interval {Model} --parameter mu --toys 100", null, "usage", "--feldman-cousins" },
        { $"interval {Model} --parameter mu --feldman-cousins --toys 1", null, "usage", "--toys" },
        { $"interval FOLDER --against MODEL --parameter mu", null, "file-missing", "card.json" },
        { $"interval --against MODEL --parameter mu", null, "usage", "BUNDLE" },
        { Scan + " --width 0.1", null, "usage", "--draws" },
        { Scan + " --draws FOLDER", null, "file-missing", "labels.json" },
        { Scan + " --draws FOLDER --width -1", null, "usage", "--width" },
        { Scan + " --fix mu=1", null, "value", "what is asked for" },
        { $"contour {Model} --x mu,0,2", null, "usage", "--y" },
        { $"contour {Model} --x mu,0,2 --y mu,0,2", null, "name", "2 times" },
        { $"contour {Model} --x mu,0,2 --y nu,0,2", null, "name", "nu" },
        { $"contour {Model} --x mu,0 --y nu,0,2", null, "usage", "--x" },
        { $"contour {Model} --x mu,0,inf --y nu,0,2", null, "usage", "finite" },
        { $"impacts {Model} --poi nu", null, "name", "nu" },
        { "impacts", null, "usage", "--model" },
        { "inspect", null, "usage", "--model" },
        { "inspect --model FILE", "\u0000\u0001", "syntax", "FILE" },
        { "run", null, "usage", "JOB.json" },
        { "run FILE", null, "file-missing", "FILE" },
        { "run FILE", "{", "syntax", "FILE" },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Bad_input_is_one_error_with_its_place(string arguments, string? content, string kind, string words)
    {
        var name = $"bad-{Guid.NewGuid():N}.json";
        var file = content is null ? workplace.At(name) : workplace.Write(name, content);

        string InPlace(string text) =>
            text.Replace("MODEL", workplace.Model).Replace("POINTS", workplace.Points).Replace("FILE", file)
                .Replace("FOLDER", workplace.Folder);

        var line = arguments.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(InPlace).ToArray();

        var machine = await Cli.Run([.. line, "--json"]);
        Assert.Equal(2, machine.ExitCode);
        Assert.Empty(machine.Error);
        var error = machine.Json().GetProperty("error");
        Assert.Equal(kind, error.GetProperty("kind").GetString());
        Assert.Contains(InPlace(words), machine.Json().EnumerateObject().SelectMany(Texts).Aggregate("", (all, text) => $"{all} {text}"));

        Assert.All(
            ["kind", "message", "file", "path", "found", "expected"],
            field => Assert.True(error.TryGetProperty(field, out _), field));

        var context = new VerbContext(
            RunOptions.Single,
            FuncConvert.FromAction<Progress>(_ => { }),
            FuncConvert.FromFunc(() => DateTimeOffset.UnixEpoch));
        var person = Commands.run(context, line);
        Assert.Equal(2, person.ExitCode);
        using var output = new MemoryStream();
        person.Output.Invoke(output);
        Assert.Equal(0, output.Length);
        Assert.StartsWith("error: ", person.Messages[0]);
        Assert.Contains(InPlace(words), string.Join('\n', person.Messages));
        Assert.DoesNotContain("Exception", string.Join('\n', person.Messages));
    }

    [Fact]
    public async Task Without_json_errors_are_lines_on_standard_error()
    {
        var result = await Cli.Run("fit", "--model", workplace.Model, "--starts", "none", "--fix", "mu");
        Assert.Equal(2, result.ExitCode);
        Assert.Empty(result.Output);
        Assert.Equal(2, result.Error.Split('\n').Count(line => line.StartsWith("error: --")));
        Assert.Contains("usage: funlik fit --model FILE", result.Error);
    }

    private static IEnumerable<string> Texts(JsonProperty property) => Texts(property.Value);

    private static IEnumerable<string> Texts(JsonElement value) =>
        value.ValueKind switch
        {
            JsonValueKind.Object => value.EnumerateObject().SelectMany(Texts),
            JsonValueKind.Array => value.EnumerateArray().SelectMany(Texts),
            JsonValueKind.String => [value.GetString()!],
            _ => [],
        };
}
