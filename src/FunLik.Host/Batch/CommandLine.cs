using Microsoft.FSharp.Core;

namespace FunLik.Host.Batch;

/// <summary>Runs a command of FunLik.Core in this process: streams, progress, cancellation, and the exit code.</summary>
internal static class CommandLine
{
    /// <summary>The exit code of a defect of the program itself.</summary>
    internal const int Defect = 1;

    internal static int Run(string[] arguments, Signals signals)
    {
        var display = ProgressDisplay.OnStandardError();
        Tiering.onAdvice.AddHandler((_, advice) => display.Say($"note: {advice}"));

        var context = new VerbContext(
            new RunOptions(Environment.ProcessorCount, signals.Token),
            FuncConvert.FromAction<Progress>(display.Show),
            FuncConvert.FromFunc(() => DateTimeOffset.Now));

        try
        {
            var outcome = display.Run(() => Commands.run(context, arguments));

            foreach (var message in outcome.Messages)
            {
                Console.Error.WriteLine(message);
            }

            Print(outcome.Output);
            return outcome.ExitCode;
        }
        catch (OperationCanceledException)
        {
            return End(arguments, "cancelled", "cancelled", Signals.Cancelled);
        }
        catch (OutOfMemoryException)
        {
            return End(arguments, "limit", "this machine has too little memory for it", Commands.BadInput);
        }
        catch (IOException refusal)
        {
            return End([], "file-unreadable", $"standard output: {refusal.Message}", Commands.BadInput);
        }
        catch (Exception defect)
        {
            var what = $"a defect of funlik, please report it: {defect.GetType().Name}: {defect.Message}";
            return End(arguments, "internal", what, Defect);
        }
    }

    private static int End(string[] arguments, string kind, string message, int exitCode)
    {
        if (Commands.wantsJson(arguments))
        {
            Print(FuncConvert.FromAction<Stream>(stream =>
                JsonValueModule.writeLine(stream, ReportModule.ofEnding(kind, message))));
        }
        else
        {
            Console.Error.WriteLine($"error: {message}");
        }

        return exitCode;
    }

    private static void Print(FSharpFunc<Stream, Unit> write)
    {
        using var output = new BufferedStream(Console.OpenStandardOutput(), 1 << 16);
        write.Invoke(output);
    }
}
