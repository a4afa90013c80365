using System.Globalization;

namespace FunLik.Host.Batch;

/// <summary>Progress as plain lines, at most one every few seconds: nothing is said of what is done sooner.</summary>
internal sealed class ProgressLines(TextWriter writer, TimeProvider clock) : IProgressDisplay
{
    private static readonly TimeSpan Between = TimeSpan.FromSeconds(5);

    private long _last = clock.GetTimestamp();

    public T Run<T>(Func<T> work) => work();

    public void Show(Progress progress)
    {
        if (clock.GetElapsedTime(_last) < Between)
        {
            return;
        }

        _last = clock.GetTimestamp();
        var done = progress.Total > 0 ? $": {Count(progress.Done)} of {Count(progress.Total)}" : "";
        writer.WriteLine(progress.Stage + done);
    }

    public void Say(string line) => writer.WriteLine(line);

    private static string Count(long n) => n.ToString("N0", CultureInfo.InvariantCulture);
}
