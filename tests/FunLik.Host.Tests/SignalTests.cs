using System.Diagnostics;
using Xunit;

namespace FunLik.Host.Tests;

/// <summary>Ctrl-C and SIGTERM: exit code 130, a plain message, no result. On systems with pipes that have names.</summary>
public class SignalTests(Workplace workplace) : IClassFixture<Workplace>
{
    [Theory]
    [InlineData("INT", false)]
    [InlineData("INT", true)]
    [InlineData("TERM", true)]
    public async Task A_signal_cancels(string signal, bool json)
    {
        if (OperatingSystem.IsWindows())
        {
            return;
        }

        // The program waits for its model here, so the signal comes when it is sure to listen.
        var model = workplace.At($"pipe-{signal}-{json}");
        Execute("mkfifo", model);
        string[] scan = ["scan", "--model", model, "--parameter", "mu", "--from", "0", "--to", "2", "--count", "1000000"];
        var process = Cli.Start(json ? [.. scan, "--json"] : scan);

        await using (var pipe = new StreamWriter(new FileStream(model, FileMode.Open, FileAccess.Write)))
        {
            Execute("kill", $"-{signal}", process.Id.ToString());
            await pipe.WriteAsync(Workplace.CountingModel);
        }

        var result = await Cli.Finish(process);
        Assert.Equal(130, result.ExitCode);

        if (json)
        {
            Assert.Equal("cancelled", result.Json().GetProperty("error").GetProperty("kind").GetString());
            Assert.DoesNotContain("error", result.Error);
        }
        else
        {
            Assert.Empty(result.Output);
            Assert.EndsWith("error: cancelled\n", result.Error);
        }
    }

    private static void Execute(string program, params string[] arguments)
    {
        using var process = Process.Start(program, arguments);
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
    }
}
