namespace FunLik.Host.Batch;

/// <summary>Shows on standard error how far a command is; standard output is left alone.</summary>
internal interface IProgressDisplay
{
    /// <summary>Runs the work and shows what it reports meanwhile.</summary>
    T Run<T>(Func<T> work);

    /// <summary>How far the work is.</summary>
    void Show(Progress progress);

    /// <summary>A line for the user.</summary>
    void Say(string line);
}

/// <summary>Choosing the display.</summary>
internal static class ProgressDisplay
{
    /// <summary>A bar where standard error is a terminal, lines where it is a file or a pipe.</summary>
    internal static IProgressDisplay OnStandardError() =>
        Console.IsErrorRedirected ? new ProgressLines(Console.Error, TimeProvider.System) : new ProgressBar();
}
