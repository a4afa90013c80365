namespace FunLik.Host;

internal static class Program
{
    private static int Main(string[] args)
    {
        System.Console.WriteLine($"funlik {Version.current}");
        return 0;
    }
}
