using FunLik.Host.Interop;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;

namespace FunLik.Api;

public partial class LikelihoodModel
{
    /// <summary>
    /// A statistic (t, t̃, q, q̃, q0) of values of the parameter of interest, from the profile: exact and learnt densities, and functions, have
    /// it. Priors are treated as by <see cref="Scan"/>.
    /// </summary>
    /// <param name="values">The values of the parameter; 0 or above for q̃ and t̃, 0 alone for q0.</param>
    /// <param name="options">Which parameter and which statistic.</param>
    /// <param name="progress">Is told how far the fits are.</param>
    /// <param name="cancellation">Ends the fits early.</param>
    /// <exception cref="LikelihoodException">Values that the statistic does not test, or unknown names; all mistakes at once.</exception>
    /// <exception cref="OperationCanceledException">The fits were cancelled.</exception>
    public StatisticResult Statistic(
        IReadOnlyList<double> values,
        TestOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        options ??= new TestOptions();
        Check(options, values).Throw();

        return Long("fitting", progress, values.Count, cancellation, run =>
        {
            var (statistic, poi) = (Tests.ToCore(options.Statistic), OptionModule.OfObj(options.Poi));
            var name = HypothesisTestModule.poiAmong(_objective.Parameters, poi);
            var fit = Fits.ToCore(Freezing(new FitOptions { Fixed = options.Fixed }, options.Frozen, name), run);

            var found = _likelihood is { } likelihood
                ? StatisticScanModule.find(fit, statistic, poi, [.. values], likelihood)
                : StatisticScanModule.ofFitter(fit, statistic, name, [.. values], _fitter.Value);

            return new StatisticResult(options.Statistic, found.Values, Fits.ToResult(found.Scan));
        });
    }

    /// <summary>Tests one value of the parameter of interest: CLs, CLs+b and CLb, observed and expected, by asymptotic distributions.</summary>
    /// <param name="mu">The value; 0 or above for q̃ and t̃, 0 for q0.</param>
    /// <param name="options">Which parameter and which statistic.</param>
    /// <param name="progress">Is told how far the fits are.</param>
    /// <param name="cancellation">Ends the fits early.</param>
    /// <exception cref="LikelihoodException">
    /// A value that the statistic does not test, an unknown name, or a model that predicts no data; all mistakes at once.
    /// </exception>
    /// <exception cref="OperationCanceledException">The fits were cancelled.</exception>
    public HypothesisTestResult HypothesisTest(
        double mu,
        TestOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default) =>
        HypothesisTests([mu], options, progress, cancellation)[0];

    /// <summary>Tests several values of the parameter of interest, all in one batch: see <see cref="HypothesisTest"/>.</summary>
    /// <param name="values">The values; 0 or above for q̃ and t̃, 0 for q0.</param>
    /// <param name="options">Which parameter and which statistic.</param>
    /// <param name="progress">Is told how far the fits are.</param>
    /// <param name="cancellation">Ends the fits early.</param>
    /// <returns>A result a value, in their order.</returns>
    /// <exception cref="LikelihoodException">
    /// Values that the statistic does not test, an unknown name, or a model that predicts no data; all mistakes at once.
    /// </exception>
    /// <exception cref="OperationCanceledException">The fits were cancelled.</exception>
    public IReadOnlyList<HypothesisTestResult> HypothesisTests(
        IReadOnlyList<double> values,
        TestOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(values);
        options ??= new TestOptions();
        Check(options, values).Throw();

        return Long<IReadOnlyList<HypothesisTestResult>>("testing", progress, values.Count, cancellation, run =>
        {
            var tester = Prepare(options, run);

            return
            [
                .. HypothesisTestModule.tests(run, tester, [.. values])
                    .Select(test => Tests.ToResult(options.Statistic, tester, test)),
            ];
        });
    }

    /// <summary>
    /// Finds the upper limits on the parameter of interest, observed and expected, at which CLs is 1 - level, to 1e-9 of the limit.
    /// </summary>
    /// <param name="options">Which parameter, statistic (q̃ or q) and level.</param>
    /// <param name="progress">Is told how far the search is.</param>
    /// <param name="cancellation">Ends the search early.</param>
    /// <exception cref="LikelihoodException">
    /// Options that are not usable, an unknown name, or a model that predicts no data; all mistakes at once.
    /// </exception>
    /// <exception cref="OperationCanceledException">The search was cancelled.</exception>
    public UpperLimitResult UpperLimit(
        LimitOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new LimitOptions();

        Check(options, [])
            .Probability(options.Level, nameof(options.Level))
            .Unless(
                options.Statistic is TestStatistic.Q or TestStatistic.QTilde,
                ErrorKind.Usage,
                "upper limits are by q or q̃",
                options.Statistic.ToString(),
                $"{nameof(TestStatistic.QTilde)} or {nameof(TestStatistic.Q)}",
                "t and t̃ have two sides, and q0 tests for a signal.")
            .Throw();

        return Long("looking for the limits", progress, 1, cancellation, run =>
        {
            var tester = Prepare(options, run);
            return Tests.ToResult(options.Statistic, tester, LimitModule.upper(run, options.Level, tester));
        });
    }

    /// <summary>
    /// Tests one value of the parameter of interest by toys: random data of the fit at that value, and as many without signal (for q0:
    /// with one of 1), each fitted twice. Main and auxiliary data are random.
    /// </summary>
    /// <param name="mu">The value; 0 or above for q̃ and t̃, 0 for q0.</param>
    /// <param name="options">Which parameter and which statistic, how many toys, and the seed.</param>
    /// <param name="progress">Is told how many toys are fitted.</param>
    /// <param name="cancellation">Ends the fits early.</param>
    /// <exception cref="LikelihoodException">
    /// Options that are not usable, an unknown name, or a model that predicts no data; all mistakes at once.
    /// </exception>
    /// <exception cref="OperationCanceledException">The fits were cancelled.</exception>
    public ToyTestResult Toys(
        double mu,
        ToyOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new ToyOptions();

        Check(options, [mu])
            .Toys(1, options.Count, nameof(options.Count), options.Seed)
            .Throw();

        return Errors.Translate(() =>
        {
            var run = new RunOptions(_options.Threads, cancellation);
            progress?.Report(new FitProgress(FittingToys, 0, 2L * options.Count));
            var tester = Prepare(options, run);
            ToyTest? test = null;

            foreach (var state in FunLik.Toys.run(run, tester, mu, options.Count, KeyModule.ofSeed(options.Seed)))
            {
                progress?.Report(new FitProgress(FittingToys, state.Fitted, state.Total));
                test = state.Test?.Value;
            }

            return Tests.ToResult(options.Statistic, tester, test!);
        });
    }

    private const string FittingToys = "fitting toys";

    private Tester Prepare(TestOptions options, RunOptions run) =>
        Prepare(options.Statistic, options.Poi, options.Fixed, options.Frozen, run);

    private Tester Prepare(
        TestStatistic statistic,
        string? poi,
        IReadOnlyDictionary<string, double> held,
        bool frozen,
        RunOptions run)
    {
        var terms = Terms();
        var name = HypothesisTestModule.poiOf(terms, OptionModule.OfObj(poi));
        return HypothesisTestModule.prepare(run, Tests.ToCore(statistic), OptionModule.OfObj(name), Holding(terms, held, frozen, name));
    }

    /// <summary>The model of terms that predicts data.</summary>
    private Likelihood Terms() =>
        _likelihood ?? throw Errors.Of(
            ErrorKind.Unsupported,
            $"the data that '{Name}' predicts",
            "a function",
            $"a model of terms; {nameof(Statistic)} gives t, q, q̃ and q0 of any density");

    /// <summary>A model in which parameters are held, and the other parameters of interest if they are frozen.</summary>
    private static Likelihood Holding(
        Likelihood model,
        IReadOnlyDictionary<string, double> held,
        bool frozen,
        params string[] asked) =>
        Errors.OrThrow(Hold.apply(ListModule.OfArray(asked), new Held(Fits.ToPairs(held), frozen), model));

    /// <summary>The only parameter of interest, if none is named.</summary>
    private string? PoiOr(string? poi) =>
        poi ?? (Parameters.Where(p => p.Role == ParameterRole.Poi).ToArray() is [var only] ? only.Name : null);

    /// <summary>What is wrong with a test of values.</summary>
    private Mistakes Check(TestOptions options, IReadOnlyList<double> values)
    {
        var mistakes = new Mistakes(Parameters);

        if (options.Poi is { } poi)
        {
            mistakes.Parameter(poi, nameof(options.Poi));
        }

        mistakes.Held(options.Fixed, PoiOr(options.Poi)).Unless(
            Enum.IsDefined(options.Statistic),
            ErrorKind.Value,
            nameof(options.Statistic),
            options.Statistic.ToString(),
            string.Join(", ", Enum.GetNames<TestStatistic>()));

        foreach (var mu in values)
        {
            var (isGood, expected) = options.Statistic switch
            {
                TestStatistic.Q0 => (mu == 0, "0, which is what q0 tests"),
                TestStatistic.QTilde or TestStatistic.TTilde => (mu >= 0, "0 or above, or another statistic: Q or TMu"),
                _ => (true, "a finite number"),
            };

            mistakes.Unless(
                isGood && double.IsFinite(mu), ErrorKind.Value, "the value to test", Mistakes.Text(mu), expected);
        }

        return mistakes;
    }
}
