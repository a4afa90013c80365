using System.Diagnostics;
using System.Text.Json;
using Xunit;

namespace FunLik.Host.Tests;

/// <summary>The built program as a process of its own.</summary>
internal static class Cli
{
    /// <summary>What a finished process left.</summary>
    internal sealed record Result(int ExitCode, string Output, string Error)
    {
        /// <summary>The one JSON object on standard output.</summary>
        internal JsonElement Json()
        {
            Assert.EndsWith("}\n", Output);
            Assert.Equal(Output.Length - 1, Output.IndexOf('\n'));
            return JsonDocument.Parse(Output).RootElement;
        }
    }

    internal static Process Start(IEnumerable<string> arguments, IReadOnlyDictionary<string, string>? variables = null)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            StandardOutputEncoding = System.Text.Encoding.UTF8,
            StandardErrorEncoding = System.Text.Encoding.UTF8,
        };

        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "funlik.dll"));

        foreach (var argument in arguments)
        {
            start.ArgumentList.Add(argument);
        }

        foreach (var (name, value) in variables ?? new Dictionary<string, string>())
        {
            start.Environment[name] = value;
        }

        return Process.Start(start)!;
    }

    internal static async Task<Result> Finish(Process process)
    {
        using (process)
        {
            var output = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEndAsync();
            await process.WaitForExitAsync();
            return new Result(process.ExitCode, await output, await error);
        }
    }

    internal static Task<Result> Run(params IEnumerable<string> arguments) => Finish(Start(arguments));
}
