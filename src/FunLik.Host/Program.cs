using FunLik.Host.Batch;

namespace FunLik.Host;

internal static class Program
{
    private static int Main(string[] arguments)
    {
        using var signals = new Signals();
        return CommandLine.Run(arguments, signals);
    }
}
