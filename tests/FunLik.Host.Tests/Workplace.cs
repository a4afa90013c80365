namespace FunLik.Host.Tests;

/// <summary>A folder of its own for each test class, with models and points, which goes away at the end.</summary>
public sealed class Workplace : IDisposable
{
    /// <summary>A count of 7 over a background of 4 ± 0.4 with a signal of 3.</summary>
    internal const string CountingModel =
        """
        {"kind": "counting", "name": "one bin", "poi": {"name": "mu", "bounds": [-2, 10], "nominal": 1},
         "channels": [{"name": "sr", "observed": [7], "signal": [3], "background": [4], "relativeUncertainty": [0.1]}]}
        """;

    /// <summary>pyhf's two bins with backgrounds that are uncertain apart: `simplemodels.uncorrelated_background`.</summary>
    private const string TwoBinWorkspace =
        """
        {"version": "1.0.0", "channels": [{"name": "single", "samples": [
           {"name": "signal", "data": [12, 11], "modifiers": [{"name": "mu", "type": "normfactor", "data": null}]},
           {"name": "background", "data": [50, 52], "modifiers": [{"name": "uncorr", "type": "shapesys", "data": [3, 7]}]}]}],
         "observations": [{"name": "single", "data": OBSERVED}],
         "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]}
        """;

    /// <summary>The name of the model's nuisance parameter.</summary>
    internal const string Nuisance = "sr.background[0]";

    public Workplace()
    {
        Folder = Directory.CreateTempSubdirectory("funlik-").FullName;
        Model = Write("model.json", CountingModel);
        TwoBins = Write("two-bins.json", TwoBinWorkspace.Replace("OBSERVED", "[51, 48]"));
        TwoBinsWithSignal = Write("two-bins-with-signal.json", TwoBinWorkspace.Replace("OBSERVED", "[60, 65]"));
        Points = Write("points.json", """{"points": [[1, 0], [0.25, -0.5], [-2, 0]]}""");
    }

    internal string Folder { get; }

    internal string Model { get; }

    /// <summary>The workspace of two bins, with 51 and 48 events: fewer than the background.</summary>
    internal string TwoBins { get; }

    /// <summary>The same with 60 and 65 events: more than the background.</summary>
    internal string TwoBinsWithSignal { get; }

    /// <summary>Three points: the first two inside of the support, the last outside.</summary>
    internal string Points { get; }

    internal string At(string name) => Path.Combine(Folder, name);

    internal string Write(string name, string text)
    {
        File.WriteAllText(At(name), text);
        return At(name);
    }

    /// <summary>The log density of the counting model, written down once more: main, and constraint.</summary>
    internal static (double Main, double Constraint) CountingLogDensity(double mu, double theta)
    {
        var mean = 3 * mu + 4 + 0.4 * theta;
        var logFactorialOf7 = Math.Log(5040);
        return (7 * Math.Log(mean) - mean - logFactorialOf7, -0.5 * theta * theta - 0.5 * Math.Log(2 * Math.PI));
    }

    public void Dispose() => Directory.Delete(Folder, recursive: true);
}
