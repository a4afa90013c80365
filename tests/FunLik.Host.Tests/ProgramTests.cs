using System.Diagnostics;
using Xunit;

namespace FunLik.Host.Tests;

public class ProgramTests
{
    [Fact]
    public void Version_names_the_program_and_its_version()
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true };
        start.ArgumentList.Add(System.IO.Path.Combine(System.AppContext.BaseDirectory, "funlik.dll"));
        start.ArgumentList.Add("--version");
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        Assert.Equal(0, process.ExitCode);
        Assert.StartsWith("funlik 0.", output);
    }
}
