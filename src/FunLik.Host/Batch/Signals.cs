using System.Runtime.InteropServices;

namespace FunLik.Host.Batch;

/// <summary>
/// Turns Ctrl-C and SIGTERM into cancellation. A second signal ends the process at once, and so does the end of a grace period
/// in which the work did not stop; files appear whole or not at all, so nothing half-written is left.
/// </summary>
internal sealed class Signals : IDisposable
{
    /// <summary>The exit code of a cancelled command.</summary>
    internal const int Cancelled = 130;

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(10);

    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _registrations;
    private Timer? _deadline;

    internal Signals()
    {
        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, OnSignal),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, OnSignal),
        ];
    }

    /// <summary>Cancelled by the first signal.</summary>
    internal CancellationToken Token => _source.Token;

    private void OnSignal(PosixSignalContext context)
    {
        context.Cancel = true;

        if (_source.IsCancellationRequested)
        {
            Environment.Exit(Cancelled);
        }

        _deadline = new Timer(_ => Environment.Exit(Cancelled), null, Grace, Timeout.InfiniteTimeSpan);
        _source.Cancel();
    }

    public void Dispose()
    {
        foreach (var registration in _registrations)
        {
            registration.Dispose();
        }

        _deadline?.Dispose();
        _source.Dispose();
    }
}
