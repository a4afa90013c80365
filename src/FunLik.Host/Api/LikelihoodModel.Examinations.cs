using FunLik.Host.Interop;
using Microsoft.FSharp.Core;

namespace FunLik.Api;

public partial class LikelihoodModel
{
    /// <summary>
    /// Tests how well the model describes its data beside the saturated model, by χ² and by toys from the best fit; auxiliary data are
    /// random too. Priors are treated as by <see cref="Scan"/>.
    /// </summary>
    /// <param name="options">How many toys, and what is held.</param>
    /// <param name="progress">Is told how far the test is.</param>
    /// <param name="cancellation">Ends the test early.</param>
    /// <exception cref="LikelihoodException">
    /// Options that are not usable, an unknown name, or a model that predicts no data; all mistakes at once.
    /// </exception>
    /// <exception cref="OperationCanceledException">The fits were cancelled.</exception>
    public GoodnessOfFitResult GoodnessOfFit(
        GoodnessOfFitOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new GoodnessOfFitOptions();

        new Mistakes(Parameters)
            .Toys(0, options.Toys, nameof(options.Toys), options.Seed)
            .Held(options.Fixed)
            .Throw();

        return Long("fitting", progress, 1, cancellation, run =>
        {
            var fit = Fits.ToCore(new FitOptions { Covariance = true }, run);
            var model = Holding(Terms(), options.Fixed, options.Frozen);
            return Examinations.ToResult(GoodnessOfFitModule.test(fit, options.Toys, KeyOf("gof", options.Seed), model));
        });
    }

    /// <summary>
    /// Compares t of toys with χ² of one degree of freedom: whether asymptotic intervals of the parameter of interest may be trusted.
    /// Nuisances of toys are at their best values on the data.
    /// </summary>
    /// <param name="mu">The value at which toys are made and tested.</param>
    /// <param name="options">Which parameter, how many toys, and what is held.</param>
    /// <param name="progress">Is told how far the check is.</param>
    /// <param name="cancellation">Ends the check early.</param>
    /// <exception cref="LikelihoodException">
    /// Options that are not usable, an unknown name, or a model that predicts no data; all mistakes at once.
    /// </exception>
    /// <exception cref="OperationCanceledException">The fits were cancelled.</exception>
    public WilksResult CheckWilks(
        double mu,
        WilksOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new WilksOptions();
        var test = new TestOptions
        {
            Poi = options.Poi, Statistic = TestStatistic.TMu, Fixed = options.Fixed, Frozen = options.Frozen,
        };

        Check(test, [mu]).Toys(10, options.Count, nameof(options.Count), options.Seed).Throw();

        return Long("fitting toys", progress, options.Count, cancellation, run =>
            Examinations.ToResult(Wilks.check(run, Prepare(test, run), mu, options.Count, KeyOf("wilks", options.Seed))));
    }

    /// <summary>
    /// Finds the unified intervals of Feldman and Cousins by toys, with Monte Carlo errors of their ends. Nuisances of toys are at their
    /// best values on the data for each value.
    /// </summary>
    /// <param name="options">Of which parameter, which levels, and how many toys.</param>
    /// <param name="progress">Is told how many levels are done.</param>
    /// <param name="cancellation">Ends the search early.</param>
    /// <exception cref="LikelihoodException">
    /// Options that are not usable, an unknown name, or a model that predicts no data; all mistakes at once.
    /// </exception>
    /// <exception cref="OperationCanceledException">The fits were cancelled.</exception>
    public FeldmanCousinsResult FeldmanCousins(
        FeldmanCousinsOptions options,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(options);

        new Mistakes(Parameters)
            .Parameter(options.Parameter, "the interval")
            .Levels(options.Levels)
            .Range(options.From, options.To)
            .AtLeast(2, options.Count, nameof(options.Count))
            .Toys(10, options.Toys, nameof(options.Toys), options.Seed)
            .Held(options.Fixed, options.Parameter)
            .Throw();

        return Errors.Translate(() =>
        {
            var run = new RunOptions(_options.Threads, cancellation);
            double[] levels = [.. Inference.ToLevels(options.Levels, 1).Select(level => level.Probability).Distinct()];
            progress?.Report(new FitProgress(LookingForIntervals, 0, levels.Length));
            var held = Holding(Terms(), options.Fixed, options.Frozen, options.Parameter);
            var isBounded = FeldmanCousinsModule.statisticOf(OptionModule.OfObj(options.Parameter), held).IsTTilde;
            var statistic = isBounded ? TestStatistic.TTilde : TestStatistic.TMu;
            var tester = Prepare(statistic, options.Parameter, options.Fixed, options.Frozen, run);
            var key = KeyModule.ofSeed(options.Seed);
            var found = new List<FeldmanCousins>();

            foreach (var level in levels)
            {
                found.Add(FeldmanCousinsModule.find(run, Examinations.ToCore(options, level), tester, key));
                progress?.Report(new FitProgress(LookingForIntervals, found.Count, levels.Length));
            }

            return Examinations.ToResult(statistic, found);
        });
    }

    private const string LookingForIntervals = "looking for intervals";

    /// <summary>The key of a task's random numbers: that of the command line for the same seed.</summary>
    private static Key KeyOf(string task, int seed) => KeyModule.foldName(task, KeyModule.ofSeed(seed));
}
