using FunLik.Host.Interop;
using Microsoft.FSharp.Core;

namespace FunLik.Api;

public partial class LikelihoodModel
{
    /// <summary>Finds the point of the largest density, priors included.</summary>
    /// <param name="options">How to fit.</param>
    /// <param name="progress">Is told how far the fit is.</param>
    /// <param name="cancellation">Ends the fit early.</param>
    /// <returns>The best point and how the fit ended; not converging is a status, never an exception.</returns>
    /// <exception cref="LikelihoodException">Options that are not usable, or unknown names; all mistakes at once.</exception>
    /// <exception cref="OperationCanceledException">The fit was cancelled.</exception>
    public FitResult Fit(
        FitOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new FitOptions();
        new Mistakes(Parameters).Fit(options).Throw();

        return Long("fitting", progress, 1, cancellation, run =>
            Fits.ToResult(FitterModule.fit(Fits.ToCore(options, run), _fitter.Value)));
    }

    /// <summary>
    /// Finds the largest density at each value of a parameter, relative to the largest anywhere. Priors of parameters of interest
    /// are left out if they are not flat, and the notes say so.
    /// </summary>
    /// <param name="options">What to scan, and how.</param>
    /// <param name="progress">Is told how far the scan is.</param>
    /// <param name="cancellation">Ends the scan early.</param>
    /// <exception cref="LikelihoodException">Options that are not usable, or unknown names; all mistakes at once.</exception>
    /// <exception cref="OperationCanceledException">The scan was cancelled.</exception>
    public ScanResult Scan(
        ScanOptions options,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        new Mistakes(Parameters).Axis(new(options.Parameter, options.Values), "the scan").Fit(options.Fit).Throw();

        return Long("scanning", progress, options.Values.Count, cancellation, run =>
        {
            var core = new FunLik.ScanOptions(Fits.ToCore(options.Fit, run), options.Frozen);

            return Fits.ToResult(
                _likelihood is { } likelihood
                    ? FunLik.Profile.scanWith(core, options.Parameter, options.Values, likelihood)
                    : FunLik.Profile.scanFitter(core, options.Parameter, options.Values, _fitter.Value));
        });
    }

    /// <summary>
    /// Finds the largest density at each combination of values of several parameters, relative to the largest anywhere, all points in
    /// one batch. Priors are treated as by <see cref="Scan"/>.
    /// </summary>
    /// <param name="options">What to scan, and how.</param>
    /// <param name="progress">Is told how far the scan is.</param>
    /// <param name="cancellation">Ends the scan early.</param>
    /// <exception cref="LikelihoodException">Options that are not usable, or unknown names; all mistakes at once.</exception>
    /// <exception cref="OperationCanceledException">The scan was cancelled.</exception>
    public GridScanResult ScanGrid(
        GridScanOptions options,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        CheckGrid(options).Throw();

        return Long("scanning", progress, CountPoints(options), cancellation, run => Inference.ToResult(Grid(options, run)));
    }

    /// <summary>
    /// Draws the lines at which twice ΔNLL of two parameters, the others fitted, is at a level: linear between neighbouring points of the
    /// grid. Priors are treated as by <see cref="Scan"/>.
    /// </summary>
    /// <param name="options">Which contours to draw, and how.</param>
    /// <param name="progress">Is told how far the scan is.</param>
    /// <param name="cancellation">Ends the scan early.</param>
    /// <exception cref="LikelihoodException">Options that are not usable, or unknown names; all mistakes at once.</exception>
    /// <exception cref="OperationCanceledException">The scan was cancelled.</exception>
    public ContourResult Contour(
        ContourOptions options,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        var grid = new GridScanOptions([options.X, options.Y]) { Frozen = options.Frozen, Fit = options.Fit };
        var mistakes = CheckGrid(grid).Levels(options.Levels);

        foreach (var axis in grid.Axes)
        {
            mistakes.Unless(
                axis.Values.Count >= 2 && axis.Values.Zip(axis.Values.Skip(1)).All(pair => pair.First < pair.Second),
                ErrorKind.Value,
                $"values of '{axis.Parameter}' for a contour",
                $"{axis.Values.Count} values",
                "two or more, ascending");
        }

        mistakes.Throw();

        return Long("scanning", progress, CountPoints(grid), cancellation, run =>
        {
            var scan = Grid(grid, run);
            var contours = ContourModule.ofScan(Inference.ToLevels(options.Levels, 2), scan);
            return new ContourResult([.. contours.Select(Inference.ToContour)], Inference.ToResult(scan));
        });
    }

    /// <summary>
    /// Finds the values of a parameter at which twice ΔNLL, the others fitted, is at most a level: unions of disjoint pieces, their ends
    /// refined to 1e-8 standard deviations. Priors are treated as by <see cref="Scan"/>.
    /// </summary>
    /// <param name="options">Of which parameter, and how.</param>
    /// <param name="progress">Is told how far the search is.</param>
    /// <param name="cancellation">Ends the search early.</param>
    /// <exception cref="LikelihoodException">Options that are not usable, or unknown names; all mistakes at once.</exception>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public IntervalResult Interval(
        IntervalOptions options,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);

        new Mistakes(Parameters)
            .Parameter(options.Parameter, "the interval")
            .Range(options.From, options.To)
            .Levels(options.Levels)
            .AtLeast(2, options.Count, nameof(options.Count))
            .Fit(options.Fit)
            .Throw();

        return Long("looking for intervals", progress, 1, cancellation, run =>
        {
            var range = options is { From: { } from, To: { } to } ? Tuple.Create(from, to) : null;

            var core = new FunLik.IntervalOptions(
                Inference.ToLevels(options.Levels, 1),
                OptionModule.OfObj(range),
                options.Count,
                Fits.ToCore(Freezing(options.Fit, options.Frozen, options.Parameter), run));

            return Inference.ToResult(
                _likelihood is { } likelihood
                    ? IntervalModule.findWith(core, options.Parameter, likelihood)
                    : IntervalModule.findFitter(core, options.Parameter, _fitter.Value));
        });
    }

    /// <summary>
    /// Finds the ends of intervals again with this model, each from the point where it was found: intervals of a surrogate, with the exact
    /// density at their crossings alone. Parameters are matched by name; those of this model alone start at their nominal values.
    /// </summary>
    /// <param name="found">The intervals, as <see cref="Interval"/> of another model gave them.</param>
    /// <param name="fit">How to fit. Default (null): as <see cref="FitOptions"/> says.</param>
    /// <param name="progress">Is told how far the search is.</param>
    /// <param name="cancellation">Ends the search early.</param>
    /// <exception cref="LikelihoodException">
    /// Options that are not usable, an unknown parameter, or intervals that no model found; all mistakes at once.
    /// </exception>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public RecheckResult Recheck(
        IntervalResult found,
        FitOptions? fit = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(found);
        fit ??= new FitOptions();

        new Mistakes(Parameters)
            .Parameter(found.Parameter, "the intervals")
            .Unless(
                found.Found is not null, ErrorKind.Usage, "the intervals", "a record made by hand", $"what {nameof(Interval)} gave")
            .Fit(fit)
            .Throw();

        return Long("looking for the crossings", progress, 1, cancellation, run =>
        {
            var exact = _likelihood is { } likelihood
                ? FitterModule.ofObjective(
                    ObjectiveModule.ofLikelihood(FunLik.Profile.withoutPulls(found.Parameter, likelihood).Item1))
                : _fitter.Value;

            return Inference.ToResult(RecheckModule.crossings(Fits.ToCore(fit, run), exact, found.Found!));
        });
    }

    /// <summary>
    /// Refits with each nuisance held one standard deviation above and below its best value, all in one batch: pulls, and impacts on the
    /// parameter of interest. What is known before the data needs constraints or priors; a function has none.
    /// </summary>
    /// <param name="options">On which parameter of interest, and how to fit.</param>
    /// <param name="progress">Is told how far the fits are.</param>
    /// <param name="cancellation">Ends the fits early.</param>
    /// <exception cref="LikelihoodException">Options that are not usable, unknown names, or no single parameter of interest.</exception>
    /// <exception cref="OperationCanceledException">The fits were cancelled.</exception>
    public ImpactsResult Impacts(
        ImpactOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new ImpactOptions();
        var mistakes = new Mistakes(Parameters).Fit(options.Fit);

        if (options.Poi is { } poi)
        {
            mistakes.Parameter(poi, nameof(options.Poi));
        }

        mistakes.Throw();

        return Long("fitting", progress, 1, cancellation, run =>
        {
            var fit = Freezing(options.Fit, options.Frozen, PoiOr(options.Poi));
            var (core, name) = (Fits.ToCore(fit, run), OptionModule.OfObj(options.Poi));

            return Inference.ToResult(
                _likelihood is { } likelihood
                    ? ImpactModule.all(core, name, likelihood)
                    : ImpactModule.ofFitter(core, name, _fitter.Value));
        });
    }

    /// <summary>
    /// The largest density over all parameters but some, as a model of these: evaluated in bulk, with gradients by the envelope theorem,
    /// fitted and scanned like any other. Priors stay.
    /// </summary>
    /// <param name="options">Which parameters are kept.</param>
    /// <param name="progress">Is told how far the preparation is: one fit.</param>
    /// <param name="cancellation">Ends the preparation early.</param>
    /// <exception cref="LikelihoodException">Options that are not usable, or unknown names; all mistakes at once.</exception>
    /// <exception cref="OperationCanceledException">The preparation was cancelled.</exception>
    public ProfiledModel Profile(
        ProfileOptions options,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);
        var mistakes = new Mistakes(Parameters)
            .Names(options.Keep, nameof(options.Keep))
            .Positive(options.Tolerance, nameof(options.Tolerance))
            .AtLeast(1, options.MaxIterations, nameof(options.MaxIterations));

        if (options.Starts is { } starts)
        {
            mistakes.AtLeast(1, starts, nameof(options.Starts));
        }

        mistakes.Throw();

        return Long("fitting", progress, 1, cancellation, run =>
            new ProfiledModel(Name, options, Fits.ToCore(new FitOptions(), run), _fitter.Value));
    }

    /// <summary>How to fit with the other parameters of interest at their nominal values, if they are frozen.</summary>
    private FitOptions Freezing(FitOptions fit, bool frozen, string? asked)
    {
        var others = Parameters.Where(p => frozen && p.Role == ParameterRole.Poi && p.Name != asked && !fit.Fixed.ContainsKey(p.Name));
        return fit with { Fixed = fit.Fixed.Concat(others.Select(p => KeyValuePair.Create(p.Name, p.Nominal))).ToDictionary() };
    }

    private GridScan Grid(GridScanOptions options, RunOptions run)
    {
        var core = new FunLik.ScanOptions(Fits.ToCore(options.Fit, run), options.Frozen);
        var axes = Inference.ToAxes(options.Axes);

        return _likelihood is { } likelihood
            ? GridScanModule.scanWith(core, axes, likelihood)
            : GridScanModule.scanFitter(core, ProfilerOptions.Default, axes, _fitter.Value);
    }

    private Mistakes CheckGrid(GridScanOptions options)
    {
        var mistakes = new Mistakes(Parameters).Names([.. options.Axes.Select(axis => axis.Parameter)], "the axes").Fit(options.Fit);

        foreach (var axis in options.Axes)
        {
            mistakes.Values(axis, "the axes");
        }

        return mistakes;
    }

    private static long CountPoints(GridScanOptions options) =>
        options.Axes.Aggregate(1L, (count, axis) => count * axis.Values.Count);
}
