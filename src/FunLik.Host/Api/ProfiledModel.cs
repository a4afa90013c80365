using FunLik.Host.Interop;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;

namespace FunLik.Api;

/// <summary>
/// The largest density over all parameters of a model but some, as a model of these. A value that does not converge is NaN; its gradient
/// is that of the density at the maximum (envelope theorem). Prepared once, for many points.
/// </summary>
public sealed class ProfiledModel : LikelihoodModel
{
    /// <summary>Points of which progress is told at once.</summary>
    private const int Block = 8192;

    private readonly Profiler _profiler;
    private readonly int _threads;

    internal ProfiledModel(string name, ProfileOptions options, FunLik.FitOptions fit, Fitter fitter)
        : this(name, Prepare(options, fit, fitter), fit.Run.Threads)
    {
    }

    private ProfiledModel(string name, (Profiler Profiler, Fit Best) prepared, int threads)
        : base(name, null, ProfilerModule.objective(prepared.Profiler), threads)
    {
        (_profiler, _threads) = (prepared.Profiler, threads);
        Best = Fits.ToResult(prepared.Best);
        AllNames = Best.Names;
    }

    /// <summary>The names of all parameters, in the order of the profiled points.</summary>
    public IReadOnlyList<string> AllNames { get; }

    /// <summary>The fit of all parameters, around which points are profiled.</summary>
    public FitResult Best { get; }

    /// <summary>The profile at many points. What a span is empty for is not given.</summary>
    /// <param name="points">Points of the kept parameters, one behind the other: values.Length × Parameters.Count numbers.</param>
    /// <param name="values">Where the largest log densities go, one a point; -∞ where there is no density.</param>
    /// <param name="statuses">Where the ends of the minimisations go, one a point.</param>
    /// <param name="gradients">Where the gradients in the kept parameters go, one behind the other: as many numbers as the points have.</param>
    /// <param name="profiled">Where all parameters at the maximum go: values.Length × AllNames.Count numbers.</param>
    /// <param name="progress">Is told how many points are done.</param>
    /// <param name="cancellation">Ends the work early; what was written until then stays in the spans.</param>
    /// <exception cref="LikelihoodException">Wrong lengths, or a value that is not a finite number.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public void EvaluateProfile(
        ReadOnlySpan<double> points,
        Span<double> values,
        Span<FitStatus> statuses,
        Span<double> gradients = default,
        Span<double> profiled = default,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        var (rows, kept, all) = (values.Length, Parameters.Count, AllNames.Count);
        CheckPoints(points, rows);
        Guard.Length(nameof(statuses), statuses.Length, rows);

        if (!gradients.IsEmpty)
        {
            Guard.Length(nameof(gradients), gradients.Length, points.Length);
        }

        if (!profiled.IsEmpty)
        {
            Guard.Length(nameof(profiled), profiled.Length, (long)rows * all);
        }

        var run = new RunOptions(_threads, cancellation);
        progress?.Report(new FitProgress("profiling", 0, rows));

        for (var first = 0; first < rows; first += Block)
        {
            var count = Math.Min(Block, rows - first);
            var part = points.Slice(first * kept, count * kept).ToArray();
            var found = Errors.Translate(() => ProfilerModule.evaluate(_profiler, part, run));
            found.Values.CopyTo(values[first..]);

            for (var row = 0; row < count; row++)
            {
                statuses[first + row] = Fits.ToStatus(found.Statuses[row]);
            }

            if (!gradients.IsEmpty)
            {
                found.Gradients.CopyTo(gradients[(first * kept)..]);
            }

            if (!profiled.IsEmpty)
            {
                found.Points.CopyTo(profiled[(first * all)..]);
            }

            progress?.Report(new FitProgress("profiling", first + count, rows));
        }
    }

    private static (Profiler Profiler, Fit Best) Prepare(ProfileOptions options, FunLik.FitOptions fit, Fitter fitter)
    {
        var usual = ProfilerOptions.Default;
        var own = new ProfilerOptions(
            OptionModule.OfNullable(options.Starts), usual.Memory, options.Tolerance, options.MaxIterations);

        var best = FitterModule.fit(fit, fitter);
        return (ProfilerModule.prepareAt(own, ListModule.OfSeq(options.Keep), best.Point, fitter), best);
    }
}
