using FunLik.Host.Interop;
using Microsoft.FSharp.Core;

namespace FunLik.Api;

public partial class LikelihoodModel
{
    /// <summary>
    /// Draws from the posterior, priors included, until the draws are enough: a fit, a warm-up around it, and chains side by side. All
    /// draws are kept in memory; <c>funlik sample</c> writes them as they come.
    /// </summary>
    /// <param name="options">Which sampler, how many chains, and what is enough.</param>
    /// <param name="progress">Is told of the draws, their effective sample size and R-hat, each time that they are looked at.</param>
    /// <param name="cancellation">Ends the sampling early; its draws are lost.</param>
    /// <returns>The draws; that they are not enough is a status, never an exception.</returns>
    /// <exception cref="LikelihoodException">
    /// Options that are not usable, all mistakes at once; or a best fit without a density, from which nothing can start.
    /// </exception>
    /// <exception cref="OperationCanceledException">The sampling was cancelled.</exception>
    public SampleResult Sample(
        SampleOptions? options = null,
        IProgress<SampleProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        options ??= new SampleOptions();

        var mistakes = new Mistakes(Parameters)
            .Positive(options.Ess, nameof(options.Ess))
            .Unless(
                options.RHat > 1 && double.IsFinite(options.RHat),
                ErrorKind.Value,
                $"{nameof(options.RHat)} is not usable",
                Mistakes.Text(options.RHat),
                "a number above 1, such as 1.01")
            .AtLeast(2, options.Chains, nameof(options.Chains))
            .AtLeast(LeastDraws, options.MostDraws, nameof(options.MostDraws))
            .AtLeast(0, options.Seed, nameof(options.Seed))
            .Unless(
                Enum.IsDefined(options.Sampler),
                ErrorKind.Value,
                nameof(options.Sampler),
                options.Sampler.ToString(),
                string.Join(", ", Enum.GetNames<Sampler>()));

        if (Enum.IsDefined(options.Sampler) && options.Chains >= 2)
        {
            mistakes.Also(SamplerKindModule.check(Parameters.Count, options.Chains, Posteriors.ToCore(options.Sampler)));
        }

        mistakes.Throw();

        return Errors.Translate(() =>
        {
            progress?.Report(new SampleProgress("warming up", 0, 0, 0, double.PositiveInfinity, 0));
            var core = Posteriors.ToCore(options, new RunOptions(_options.Threads, cancellation));
            SamplingRun? last = null;

            foreach (var run in Posterior.runs(core, _objective))
            {
                progress?.Report(Posteriors.ToProgress("sampling", run));
                last = run;
            }

            return Posteriors.ToResult(
                _objective.Parameters,
                last!,
                last!.Status.IsReached ? SampleStatus.Reached : SampleStatus.NotConverged);
        });
    }

    /// <summary>
    /// Draws of another density as draws of this one, by weights: of a surrogate as those of the exact model, with another constraint. They
    /// have this model's parameters, in the same order.
    /// </summary>
    /// <param name="draws">The draws.</param>
    /// <param name="from">The density that they were drawn from. Default (null): the log densities that the draws have.</param>
    /// <param name="options">How weights are treated.</param>
    /// <param name="progress">Is told of the beginning and the end.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="LikelihoodException">
    /// Options that are not usable, other parameters, log densities that are not known, or no draw left.
    /// </exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public ReweightResult Reweight(
        PosteriorDraws draws,
        LikelihoodModel? from = null,
        ReweightOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(draws);
        options ??= new ReweightOptions();
        SameParameters(draws).Positive(options.Least, nameof(options.Least)).Throw();

        return Long("weighing", progress, draws.Count, cancellation, run => Posteriors.ToResult(
            draws.Parameters,
            FunLik.Reweight.toDensity(run, Posteriors.ToCore(options), OptionModule.OfObj(from?._objective), _objective, draws.Table)));
    }

    /// <summary>
    /// Goes on from draws whose weights are poor: chains start at draws resampled by their weights, and take steps of Hamiltonian Monte
    /// Carlo on this density.
    /// </summary>
    /// <param name="draws">The draws, as <see cref="Reweight"/> gave them.</param>
    /// <param name="options">How many chains and draws.</param>
    /// <param name="progress">Is told of the beginning and the end.</param>
    /// <param name="cancellation">Ends the sampling early.</param>
    /// <returns>The new draws, of one weight; converged where R-hat is 1.01 or less.</returns>
    /// <exception cref="LikelihoodException">Options that are not usable, or other parameters; all mistakes at once.</exception>
    /// <exception cref="OperationCanceledException">The sampling was cancelled.</exception>
    public SampleResult Refresh(
        PosteriorDraws draws,
        RefreshOptions? options = null,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(draws);
        options ??= new RefreshOptions();

        SameParameters(draws)
            .AtLeast(LeastDraws, options.DrawsPerChain, nameof(options.DrawsPerChain))
            .AtLeast(2, options.Chains, nameof(options.Chains))
            .AtLeast(1, options.Skip, nameof(options.Skip))
            .AtLeast(0, options.Seed, nameof(options.Seed))
            .Throw();

        return Long("sampling", progress, (long)options.Chains * options.DrawsPerChain, cancellation, run =>
        {
            var key = KeyOf("refresh", options.Seed);
            var found = FunLik.Reweight.refresh(
                run, _objective, key, options.Chains, options.Skip, options.DrawsPerChain, draws.Table);

            return Posteriors.ToResult(
                _objective.Parameters,
                found,
                found.MaxRHat <= GoodRHat ? SampleStatus.Reached : SampleStatus.NotConverged);
        });
    }

    /// <summary>
    /// Finds the logarithm of the integral of this density, priors included, from its draws, by bridge sampling. The draws are of one
    /// weight, with 32 or more a chain.
    /// </summary>
    /// <param name="draws">Draws of this density.</param>
    /// <param name="seed">The seed of all randomness; 0 or more.</param>
    /// <param name="progress">Is told of the beginning and the end.</param>
    /// <param name="cancellation">Ends the work early.</param>
    /// <exception cref="LikelihoodException">Draws of other parameters, with weights, without log densities, or too few.</exception>
    /// <exception cref="OperationCanceledException">The work was cancelled.</exception>
    public EvidenceResult Evidence(
        PosteriorDraws draws,
        int seed = 1,
        IProgress<FitProgress>? progress = null,
        CancellationToken cancellation = default)
    {
        ArgumentNullException.ThrowIfNull(draws);
        SameParameters(draws).AtLeast(0, seed, nameof(seed)).Throw();

        return Long("integrating", progress, draws.Count, cancellation, run =>
            Posteriors.ToResult(Bridge.evidence(run, _objective, KeyOf("evidence", seed), draws.Table)));
    }

    private const int LeastDraws = 16;

    private const double GoodRHat = 1.01;

    private Mistakes SameParameters(PosteriorDraws draws)
    {
        var (found, own) = (draws.Parameters.Select(p => p.Name), Parameters.Select(p => p.Name));

        return new Mistakes(Parameters).Unless(
            found.SequenceEqual(own),
            ErrorKind.Name,
            "the draws have other parameters than the density",
            string.Join(", ", found),
            string.Join(", ", own));
    }
}
