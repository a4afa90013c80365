using System.Numerics.Tensors;
using FunLik.Host.Interop;
using Microsoft.FSharp.Core;

namespace FunLik.Api;

/// <summary>The log density at a point. May be called from one thread at a time.</summary>
/// <param name="point">One value a parameter, in the order of the parameters.</param>
/// <returns>The natural logarithm of the density; -∞ where it is zero.</returns>
public delegate double LogDensity(ReadOnlySpan<double> point);

/// <summary>Writes the gradient of a log density at a point.</summary>
/// <param name="point">One value a parameter, in the order of the parameters.</param>
/// <param name="gradient">The derivatives, in the same order.</param>
public delegate void LogDensityGradient(ReadOnlySpan<double> point, Span<double> gradient);

/// <summary>
/// A log density over named parameters: evaluated in batches, differentiated, fitted, scanned. A model does not change and may be
/// used from several threads at once, unless it is a delegate that may not.
/// </summary>
public sealed class LikelihoodModel
{
    private readonly Likelihood? _likelihood;
    private readonly Objective _objective;
    private readonly Lazy<Fitter> _fitter;
    private readonly RunOptions _options;

    private LikelihoodModel(string name, Likelihood? likelihood, Objective objective, int threads)
    {
        Name = name;
        _likelihood = likelihood;
        _objective = objective;
        _fitter = new(() => FitterModule.ofObjective(objective));
        _options = new RunOptions(Guard.AtLeast(1, threads, "Threads"), CancellationToken.None);
        Parameters = [.. objective.Parameters.Select(Host.Interop.Parameters.ToInfo)];
    }

    /// <summary>What it is a likelihood of.</summary>
    public string Name { get; }

    /// <summary>The parameters in the order of a point.</summary>
    public IReadOnlyList<ParameterInfo> Parameters { get; }

    /// <summary>Reads a model from a file of any kind that <c>funlik</c> knows.</summary>
    /// <param name="path">The file.</param>
    /// <param name="options">How the model is made from it.</param>
    /// <exception cref="LikelihoodException">The file is missing, unreadable, or not a model; all mistakes at once.</exception>
    public static LikelihoodModel Load(string path, LoadOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        options ??= new LoadOptions();
        return Of(Errors.Translate(() => Errors.OrThrow(ModelFile.load(path, Sources.ToModelOptions(options)))), options.Threads);
    }

    /// <summary>A model from a function of your own.</summary>
    /// <param name="name">What it is a likelihood of.</param>
    /// <param name="parameters">The parameters; names are unique, bounds and ranges contain the nominal value.</param>
    /// <param name="logDensity">The function. It is called by one thread at a time during one call of this model's methods.</param>
    /// <param name="gradient">Its gradient; without one, central differences are taken.</param>
    /// <exception cref="LikelihoodException">The parameters are not usable; all mistakes at once.</exception>
    public static LikelihoodModel FromDelegate(
        string name,
        IReadOnlyList<ParameterInfo> parameters,
        LogDensity logDensity,
        LogDensityGradient? gradient = null)
    {
        ArgumentNullException.ThrowIfNull(name);
        ArgumentNullException.ThrowIfNull(parameters);
        ArgumentNullException.ThrowIfNull(logDensity);
        var model = Host.Interop.Parameters.ToModel(parameters);

        var derivatives = gradient is null
            ? null
            : FSharpOption<FSharpFunc<double[], double[]>>.Some(
                FuncConvert.FromFunc<double[], double[]>(point =>
                {
                    var result = new double[point.Length];
                    gradient(point, result);
                    return result;
                }));

        var value = FuncConvert.FromFunc<double[], double>(point => logDensity(point));
        return new LikelihoodModel(name, null, ObjectiveModule.ofFunction(model, value, derivatives), 1);
    }

    /// <summary>The log density at one point; -∞ where the density is zero.</summary>
    /// <param name="point">One value a parameter.</param>
    /// <exception cref="LikelihoodException">A wrong length, or a value that is not a finite number.</exception>
    public double Evaluate(ReadOnlySpan<double> point)
    {
        Span<double> value = stackalloc double[1];
        Evaluate(point, value);
        return value[0];
    }

    /// <summary>The log density at several points; -∞ where the density is zero.</summary>
    /// <param name="points">The points, one behind the other: values.Length × Parameters.Count numbers.</param>
    /// <param name="values">Where the values go, one a point: natural logarithms, all constants kept.</param>
    /// <exception cref="LikelihoodException">Wrong lengths, or a value that is not a finite number.</exception>
    public unsafe void Evaluate(ReadOnlySpan<double> points, Span<double> values)
    {
        CheckPoints(points, values.Length);

        fixed (double* first = points, results = values)
        {
            Run(values.Length, first, results, null);
        }
    }

    /// <summary>The log density at several points, and its gradients.</summary>
    /// <param name="points">The points, one behind the other: values.Length × Parameters.Count numbers.</param>
    /// <param name="values">Where the values go, one a point.</param>
    /// <param name="gradients">Where the gradients go, one behind the other: as many numbers as the points have.</param>
    /// <exception cref="LikelihoodException">Wrong lengths, or a value that is not a finite number.</exception>
    public unsafe void EvaluateWithGradient(ReadOnlySpan<double> points, Span<double> values, Span<double> gradients)
    {
        CheckPoints(points, values.Length);
        Guard.Length("gradients", gradients.Length, points.Length);

        fixed (double* first = points, results = values, derivatives = gradients)
        {
            Run(values.Length, first, results, derivatives);
        }
    }

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
        CancellationToken cancellation = default) =>
        Errors.Translate(() =>
        {
            var core = Fits.ToCore(options ?? new FitOptions(), new RunOptions(_options.Threads, cancellation));
            progress?.Report(new FitProgress("fitting", 0, 1));
            var result = Fits.ToResult(FitterModule.fit(core, _fitter.Value));
            progress?.Report(new FitProgress("fitting", 1, 1));
            return result;
        });

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

        return Errors.Translate(() =>
        {
            var fit = Fits.ToCore(options.Fit, new RunOptions(_options.Threads, cancellation));
            var core = new FunLik.ScanOptions(fit, options.Frozen);
            progress?.Report(new FitProgress("scanning", 0, options.Values.Count));

            var scan = _likelihood is { } likelihood
                ? Profile.scanWith(core, options.Parameter, options.Values, likelihood)
                : Profile.scanFitter(core, options.Parameter, options.Values, _fitter.Value);

            progress?.Report(new FitProgress("scanning", options.Values.Count, options.Values.Count));
            return Fits.ToResult(scan);
        });
    }

    internal static LikelihoodModel Of(Likelihood likelihood, int threads) =>
        new(likelihood.Name, likelihood, ObjectiveModule.ofLikelihood(likelihood), threads);

    private unsafe void Run(int rows, double* points, double* values, double* gradients)
    {
        if (rows > 0)
        {
            try
            {
                _objective.Evaluate(rows, points, values, gradients, _options);
            }
            catch (FunLikException failure)
            {
                throw Errors.ToException(failure.Errors, failure);
            }
        }
    }

    private void CheckPoints(ReadOnlySpan<double> points, int rows)
    {
        Guard.Length("points", points.Length, (long)rows * Parameters.Count);

        if (!double.IsFinite(TensorPrimitives.Sum(points)))
        {
            Guard.Finite(points, Parameters);
        }
    }
}
