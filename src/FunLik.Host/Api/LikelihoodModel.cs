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
/// A log density over named parameters: evaluated in batches, differentiated, fitted, scanned, tested. A model does not change and may
/// be used from several threads at once, unless it is a delegate that may not.
/// </summary>
public partial class LikelihoodModel
{
    private readonly Likelihood? _likelihood;
    private readonly Objective _objective;
    private readonly Lazy<Fitter> _fitter;
    private readonly RunOptions _options;

    private protected LikelihoodModel(string name, Likelihood? likelihood, Objective objective, int threads)
    {
        Name = name;
        _likelihood = likelihood;
        _objective = objective;
        _fitter = new(() => FitterModule.ofObjective(objective));
        new Mistakes([]).AtLeast(1, threads, "Threads").Throw();
        _options = new RunOptions(threads, CancellationToken.None);
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
        var likelihood = Errors.Translate(() => Errors.OrThrow(ModelFile.load(path, Sources.ToModelOptions(options))));
        return new(likelihood.Name, likelihood, ObjectiveModule.ofLikelihood(likelihood), options.Threads);
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

    /// <summary>Does what takes long: tells of its beginning and its end, and translates errors.</summary>
    private T Long<T>(
        string stage,
        IProgress<FitProgress>? progress,
        long total,
        CancellationToken cancellation,
        Func<RunOptions, T> work)
    {
        progress?.Report(new FitProgress(stage, 0, total));
        var result = Errors.Translate(() => work(new RunOptions(_options.Threads, cancellation)));
        progress?.Report(new FitProgress(stage, total, total));
        return result;
    }

    private protected void CheckPoints(ReadOnlySpan<double> points, int rows)
    {
        Guard.Length("points", points.Length, (long)rows * Parameters.Count);

        if (!double.IsFinite(TensorPrimitives.Sum(points)))
        {
            Guard.Finite(points, Parameters);
        }
    }
}
