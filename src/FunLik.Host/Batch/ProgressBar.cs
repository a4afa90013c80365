using Spectre.Console;

namespace FunLik.Host.Batch;

/// <summary>Progress as one bar a stage, on a terminal; the bars vanish when the work is done.</summary>
internal sealed class ProgressBar : IProgressDisplay
{
    private readonly IAnsiConsole _console =
        AnsiConsole.Create(new AnsiConsoleSettings { Out = new AnsiConsoleOutput(Console.Error) });

    private readonly Dictionary<string, ProgressTask> _stages = [];
    private ProgressContext? _bars;

    public T Run<T>(Func<T> work) =>
        _console.Progress()
            .AutoClear(true)
            .Columns(
                new TaskDescriptionColumn(),
                new ProgressBarColumn(),
                new PercentageColumn(),
                new RemainingTimeColumn())
            .Start(bars =>
            {
                _bars = bars;
                return work();
            });

    public void Show(Progress progress)
    {
        if (!_stages.TryGetValue(progress.Stage, out var stage))
        {
            stage = _bars!.AddTask(Markup.Escape(progress.Stage));
            _stages.Add(progress.Stage, stage);
        }

        stage.IsIndeterminate = progress.Total == 0;
        stage.MaxValue = Math.Max(1, progress.Total);
        stage.Value = progress.Done;
    }

    public void Say(string line) => _console.WriteLine(line);
}
