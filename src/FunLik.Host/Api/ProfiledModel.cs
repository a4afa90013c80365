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

    /// <summary>The same of a profile that has learnt: more points share what is near them.</summary>
    private const int LearntBlock = 65_536;

    private readonly Profiler _profiler;
    private readonly int _threads;
    private readonly int _block;

    internal ProfiledModel(string name, ProfileOptions options, FunLik.FitOptions fit, Fitter fitter)
        : this(name, Prepare(options, fit, fitter), fit.Run.Threads)
    {
    }

    private ProfiledModel(string name, (Profiler Profiler, Fit Best) prepared, int threads)
        : this(name, prepared.Profiler, Fits.ToResult(prepared.Best), threads, Block)
    {
    }

    private ProfiledModel(string name, Profiler profiler, FitResult best, int threads, int block)
        : base(name, null, ProfilerModule.objective(profiler), threads)
    {
        (_profiler, _threads, _block) = (profiler, threads, block);
        Best = best;
        AllNames = best.Names;
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
    /// <param name="gradientNorms">
    /// Where what is left of the gradients goes, one a point: the root of Σ (length × derivative)² of the log density over what is free to
    /// move uphill, lengths the standard deviations at the best fit with all else held; NaN where there is no density.
    /// </param>
    /// <param name="edms">
    /// Where the estimated distances to the maximum go, one a point, in units of -2 log density; NaN where there is no density.
    /// </param>
    /// <param name="hessians">
    /// Where the second derivatives of -2 log of the profile in the kept parameters go, one matrix a point and row by row: values.Length ×
    /// Parameters.Count² numbers; NaN where what is profiled away has no minimum of positive curvature.
    /// </param>
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
        Span<double> gradientNorms = default,
        Span<double> edms = default,
        Span<double> hessians = default,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        var (rows, kept, all) = (values.Length, Parameters.Count, AllNames.Count);
        CheckPoints(points, rows);
        Guard.Length(nameof(statuses), statuses.Length, rows);

        CheckRoom(nameof(gradients), gradients, points.Length);
        CheckRoom(nameof(profiled), profiled, (long)rows * all);
        CheckRoom(nameof(gradientNorms), gradientNorms, rows);
        CheckRoom(nameof(edms), edms, rows);
        CheckRoom(nameof(hessians), hessians, (long)rows * kept * kept);

        var run = new RunOptions(_threads, cancellation);
        progress?.Report(new FitProgress("profiling", 0, rows));

        for (var first = 0; first < rows; first += _block)
        {
            var count = Math.Min(_block, rows - first);
            var part = points.Slice(first * kept, count * kept).ToArray();
            var found = Errors.Translate(() => ProfilerModule.evaluate(_profiler, part, run));
            found.Values.CopyTo(values[first..]);

            for (var row = 0; row < count; row++)
            {
                statuses[first + row] = Fits.ToStatus(found.Statuses[row]);
            }

            CopyTo(found.Gradients, gradients, first * kept);
            CopyTo(found.Points, profiled, first * all);
            CopyTo(found.GradientNorms, gradientNorms, first);
            CopyTo(found.Edms, edms, first);

            if (!hessians.IsEmpty)
            {
                var none = Enumerable.Repeat(double.NaN, kept * kept).ToArray();
                var matrices = Errors.Translate(() => FunLik.Profile.hessians(run, _profiler, found));
                CopyTo([.. matrices.SelectMany(m => m?.Value ?? none)], hessians, first * kept * kept);
            }

            progress?.Report(new FitProgress("profiling", first + count, rows));
        }
    }

    /// <summary>
    /// Learns from some points where the parameters that are profiled away go: the same profile, found with a fraction of the evaluations.
    /// It pays from some ten thousand points on. Functions teach nothing.
    /// </summary>
    /// <param name="points">
    /// Points of the kept parameters, spread over where points will be, one behind the other; up to 1024 of them are profiled.
    /// </param>
    /// <param name="progress">Is told of the beginning and the end.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="LikelihoodException">A wrong length, no points, or a value that is not a finite number.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public ProfiledModel Learn(
        ReadOnlySpan<double> points,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        var rows = Math.Max(1, points.Length / Parameters.Count);
        CheckPoints(points, rows);
        var given = points.ToArray();
        var run = new RunOptions(_threads, cancellation);
        progress?.Report(new FitProgress("learning", 0, rows));
        var learnt = Errors.Translate(() => ProfilerModule.learn(ResponseOptions.Default, given, run, _profiler));
        progress?.Report(new FitProgress("learning", rows, rows));
        return new ProfiledModel(Name, learnt, Best, _threads, LearntBlock);
    }

    private static void CheckRoom(string name, ReadOnlySpan<double> span, long length)
    {
        if (!span.IsEmpty)
        {
            Guard.Length(name, span.Length, length);
        }
    }

    private static void CopyTo(double[] found, Span<double> room, int first)
    {
        if (!room.IsEmpty)
        {
            found.CopyTo(room[first..]);
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
