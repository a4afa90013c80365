using FunLik.Host.Interop;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;

namespace FunLik.Api;

/// <summary>
/// Draws of several chains of one length, perhaps with weights, and what is inferred from them. They do not change, and may be used from
/// several threads at once.
/// </summary>
public sealed class PosteriorDraws
{
    internal PosteriorDraws(IReadOnlyList<ParameterInfo> parameters, DrawTable table) => (Parameters, Table) = (parameters, table);

    /// <summary>The parameters in the order of a point.</summary>
    public IReadOnlyList<ParameterInfo> Parameters { get; }

    /// <summary>Chains.</summary>
    public int Chains => Table.Chains;

    /// <summary>Draws of one chain.</summary>
    public int PerChain => Table.PerChain;

    /// <summary>Draws of all chains.</summary>
    public int Count => Table.Count;

    /// <summary>
    /// All points, chain by chain in the order in which they were drawn, one behind the other: Count × Parameters.Count numbers. Draw t of
    /// chain c is point c × PerChain + t.
    /// </summary>
    public ReadOnlySpan<double> Points => Table.Points;

    /// <summary>The log density at each draw, as natural logarithms; NaN where it is not known.</summary>
    public ReadOnlySpan<double> LogDensity => Table.LogDensity;

    /// <summary>The weight of each draw, not negative; empty where all weigh the same.</summary>
    public ReadOnlySpan<double> Weights => OptionModule.ToObj(Table.Weights);

    internal DrawTable Table { get; }

    /// <summary>
    /// Reads draws: a folder that <see cref="Save"/>, <c>funlik sample</c> or <c>funlik reweight</c> left, or an array in <c>.npy</c> of
    /// draws × columns (one chain), or chains × draws × columns.
    /// </summary>
    /// <param name="path">The folder or the file.</param>
    /// <param name="columns">What the columns of an array are; folders say so themselves.</param>
    /// <exception cref="LikelihoodException">The draws are missing, unreadable, or none; all mistakes at once.</exception>
    public static PosteriorDraws Load(string path, DrawColumns? columns = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        var core = Posteriors.ToCore(columns ?? new DrawColumns());
        var (parameters, table) = Errors.Translate(() => Errors.OrThrow(DrawTableFiles.read(core, path)));
        return new PosteriorDraws([.. parameters.Select(Host.Interop.Parameters.ToInfo)], table);
    }

    /// <summary>Writes the draws, with their log densities and weights, into a folder that <see cref="Load"/> and the command line read.</summary>
    /// <param name="folder">The folder; it is made if it is not there.</param>
    /// <exception cref="LikelihoodException">The folder cannot be written.</exception>
    public void Save(string folder)
    {
        ArgumentNullException.ThrowIfNull(folder);
        var parameters = Parameters.Select(Host.Interop.Parameters.ToModel).ToArray();

        Errors.Translate(() => Errors.OrThrow(
            DrawTableFiles.write(folder, parameters, ListModule.Empty<Tuple<string, JsonValue>>(), Table)));
    }

    /// <summary>One draw of a chain.</summary>
    /// <param name="chain">The chain, from 0.</param>
    /// <param name="draw">The draw of that chain, from 0.</param>
    /// <returns>One value a parameter.</returns>
    /// <exception cref="ArgumentOutOfRangeException">There is no such draw.</exception>
    public ReadOnlySpan<double> Point(int chain, int draw)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(chain);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(chain, Chains);
        ArgumentOutOfRangeException.ThrowIfNegative(draw);
        ArgumentOutOfRangeException.ThrowIfGreaterThanOrEqual(draw, PerChain);
        return Points.Slice((chain * PerChain + draw) * Parameters.Count, Parameters.Count);
    }

    /// <summary>All draws of one parameter, chain by chain.</summary>
    /// <param name="parameter">The name of the parameter.</param>
    /// <exception cref="LikelihoodException">There is no such parameter.</exception>
    public IReadOnlyList<double> Values(string parameter)
    {
        new Mistakes(Parameters).Parameter(parameter, "the draws").Throw();
        return DrawTableModule.flat(IndexOf(parameter), Table);
    }

    /// <summary>
    /// Summarises the draws: means, deviations, quantiles, densities, regions of highest density and central intervals, with the errors of
    /// all, and whether the chains agree.
    /// </summary>
    /// <param name="options">Which parameters and which levels.</param>
    /// <param name="progress">Is told of the beginning and the end.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="LikelihoodException">Options that are not usable, or unknown names; all mistakes at once.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public PosteriorSummary Summarise(
        SummaryOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new SummaryOptions();
        var mistakes = new Mistakes(Parameters).Levels(options.Levels).AtLeast(1, options.Threads, nameof(options.Threads));

        if (options.Parameters.Count > 0)
        {
            mistakes.Names(options.Parameters, nameof(options.Parameters));
        }

        if (options.HistogramBins is { } bins)
        {
            mistakes.AtLeast(1, bins, nameof(options.HistogramBins)).AtMost(MostBins, bins, nameof(options.HistogramBins));
        }

        mistakes.Throw();
        var chosen = options.Parameters.Count > 0 ? options.Parameters : [.. Parameters.Select(p => p.Name)];
        progress?.Report(new FitProgress("summarising", 0, chosen.Count));
        var run = new RunOptions(options.Threads, cancellation);

        var summary = Errors.Translate(
            () => Posteriors.ToSummary(options, [.. chosen.Select(IndexOf)], run, Table));

        progress?.Report(new FitProgress("summarising", chosen.Count, chosen.Count));
        return summary;
    }

    /// <summary>Quantiles of a parameter.</summary>
    /// <param name="parameter">The name of the parameter.</param>
    /// <param name="probabilities">The probabilities below them, between 0 and 1.</param>
    /// <returns>A quantile a probability, in their order and in units of the parameter.</returns>
    /// <exception cref="LikelihoodException">An unknown name, or what is no probability; all mistakes at once.</exception>
    public IReadOnlyList<PosteriorQuantile> Quantiles(string parameter, IReadOnlyList<double> probabilities)
    {
        ArgumentNullException.ThrowIfNull(probabilities);
        var mistakes = new Mistakes(Parameters).Parameter(parameter, "the quantiles");

        foreach (var probability in probabilities)
        {
            mistakes.Probability(probability, nameof(probabilities));
        }

        mistakes.Throw();
        var found = EstimateModule.quantiles(ListModule.OfSeq(probabilities), Table, DrawTableModule.flat(IndexOf(parameter), Table));
        return [.. probabilities.Zip(found, (p, e) => new PosteriorQuantile(p, Posteriors.ToEstimate(e)))];
    }

    /// <summary>The smooth density of two parameters, with the borders of its regions of highest density.</summary>
    /// <param name="first">The name of the first parameter.</param>
    /// <param name="second">The name of the second parameter, another one.</param>
    /// <param name="levels">The probabilities of regions. Default: none, which takes 68.27 %, 95.45 % and 99.73 %.</param>
    /// <exception cref="LikelihoodException">Unknown names, the same name twice, or levels that are none; all mistakes at once.</exception>
    public DensityMap Density(string first, string second, params IReadOnlyList<Level> levels)
    {
        ArgumentNullException.ThrowIfNull(levels);
        new Mistakes(Parameters).Names([first, second], "the density").Levels(levels).Throw();
        return Errors.Translate(() => Posteriors.ToMap(levels, IndexOf(first), IndexOf(second), Table));
    }

    /// <summary>The draws with further factors on their density: a region, a constraint, another prior where the old one is flat.</summary>
    /// <param name="factors">The factors; one or more.</param>
    /// <param name="options">How weights are treated.</param>
    /// <exception cref="LikelihoodException">
    /// Factors or options that are not usable, unknown names, all mistakes at once; or factors that leave no draw.
    /// </exception>
    public ReweightResult Reweight(IReadOnlyList<PriorFactor> factors, ReweightOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(factors);
        options ??= new ReweightOptions();
        var mistakes = new Mistakes(Parameters).Positive(options.Least, nameof(options.Least));
        mistakes.Unless(factors.Count > 0, ErrorKind.Usage, "nothing changes the weights", "no factors", "one or more");

        foreach (var factor in factors)
        {
            mistakes
                .Parameter(factor.Parameter, nameof(factors))
                .Finite([factor.Value], $"the factor on '{factor.Parameter}'");

            if (factor.Deviation is { } deviation)
            {
                mistakes.Positive(deviation, $"the deviation of '{factor.Parameter}'");
            }
        }

        mistakes.Throw();

        return Errors.Translate(() => Posteriors.ToResult(
            Parameters,
            Errors.OrThrow(FunLik.Reweight.byFactors(
                Posteriors.ToCore(options), ListModule.OfSeq(factors.Select(Posteriors.ToCore)), Table))));
    }

    /// <summary>
    /// Reads profiles off the draws, without a fit: the largest log density of those draws whose parameter lies in a narrow bin. With many
    /// parameters t comes out too large where draws are few; wide bins have more draws, and smear.
    /// </summary>
    /// <param name="options">Of which parameter, at which values, with which widths.</param>
    /// <returns>A scan a width.</returns>
    /// <exception cref="LikelihoodException">Options that are not usable, or an unknown name; all mistakes at once.</exception>
    public IReadOnlyList<DrawScan> Scan(DrawScanOptions options)
    {
        ArgumentNullException.ThrowIfNull(options);
        var mistakes = new Mistakes(Parameters).Axis(new(options.Parameter, options.Values), "the scan");
        mistakes.Unless(options.Widths.Count > 0, ErrorKind.Shape, nameof(options.Widths), "none", "one or more");

        foreach (var width in options.Widths)
        {
            mistakes.Positive(width, nameof(options.Widths));
        }

        if (options.Largest is { } largest)
        {
            mistakes.Finite([largest], nameof(options.Largest));
        }

        mistakes.Throw();
        var values = DrawTableModule.flat(IndexOf(options.Parameter), Table);

        return
        [
            .. options.Widths.Select(width => Posteriors.ToScan(
                options.Parameter,
                DrawProfileModule.ofDraws(
                    OptionModule.OfNullable(options.Largest), width, [.. options.Values], values, Table.LogDensity))),
        ];
    }

    private const int MostBins = 1_000_000;

    private int IndexOf(string parameter) => Array.IndexOf(Table.Names, parameter);
}
