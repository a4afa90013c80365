using FunLik.Api;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;

namespace FunLik.Host.Interop;

/// <summary>Draws, their summaries and their weights, of FunLik.Core and of the C# face.</summary>
internal static class Posteriors
{
    internal static SamplerKind ToCore(Api.Sampler sampler) =>
        sampler switch
        {
            Api.Sampler.Hamiltonian => SamplerKind.Hamiltonian,
            Api.Sampler.NoUTurn => SamplerKind.NoUTurn,
            Api.Sampler.RandomWalk => SamplerKind.RandomWalk,
            Api.Sampler.Independence => SamplerKind.Independence,
            Api.Sampler.Slice => SamplerKind.Slice,
            Api.Sampler.Stretch => SamplerKind.Stretch,
            Api.Sampler.Walk => SamplerKind.Walk,
            Api.Sampler.Difference => SamplerKind.Difference,
            Api.Sampler.Snooker => SamplerKind.Snooker,
            _ => throw new ArgumentOutOfRangeException(nameof(sampler), sampler, string.Join(", ", Enum.GetNames<Api.Sampler>())),
        };

    internal static FunLik.SampleOptions ToCore(Api.SampleOptions options, RunOptions run) =>
        new(
            options.Ess,
            options.RHat,
            options.Chains,
            ToCore(options.Sampler),
            options.MostDraws,
            KeyModule.ofSeed(options.Seed),
            run);

    internal static FunLik.ReweightOptions ToCore(Api.ReweightOptions options) => new(options.Smooth, options.Least);

    internal static FunLik.PriorFactor ToCore(Api.PriorFactor factor) =>
        factor.Kind switch
        {
            PriorFactorKind.Above => FunLik.PriorFactor.NewAbove(factor.Parameter, factor.Value),
            PriorFactorKind.Below => FunLik.PriorFactor.NewBelow(factor.Parameter, factor.Value),
            _ => FunLik.PriorFactor.NewNormal(factor.Parameter, factor.Value, factor.Deviation!.Value),
        };

    internal static SampleProgress ToProgress(string stage, SamplingRun run) =>
        new(stage, run.PerChain, run.Draws, run.MinEss, run.MaxRHat, run.Calls.Total);

    internal static FunLik.DrawColumns ToCore(Api.DrawColumns columns) =>
        new(ListModule.OfSeq(columns.Names), OptionModule.OfObj(columns.Weight), OptionModule.OfObj(columns.LogDensity));

    /// <summary>A run with a status of its own.</summary>
    internal static SampleResult ToResult(ModelParameter[] parameters, SamplingRun run, SampleStatus status)
    {
        var table = Errors.OrThrow(DrawTableModule.ofRun(parameters, run));

        return new()
        {
            Draws = new PosteriorDraws(
                [.. parameters.Select(Parameters.ToInfo)], DrawTableModule.inEnsembles(run.Group, table)),
            Status = status,
            Diagnoses = [.. FunLik.Sampling.diagnose(run).Select(ToDiagnosis)],
            MinEss = run.MinEss,
            MaxRHat = run.MaxRHat,
            Acceptance = run.Acceptance,
            Divergences = run.Divergences,
            Bounces = run.Bounces,
            Evaluations = run.Calls.Values,
            Gradients = run.Calls.Gradients,
        };
    }

    internal static ReweightResult ToResult(IReadOnlyList<ParameterInfo> parameters, Reweighted found) =>
        new()
        {
            Draws = new PosteriorDraws(parameters, found.Draws),
            Kish = found.Kish,
            ParetoK = found.ParetoK,
            Threshold = found.Threshold,
            LogEvidenceRatio = ToEstimate(found.LogEvidenceRatio),
            Lost = found.Lost,
            Status = Enum.Parse<WeightStatus>(found.Status.ToString()),
            Evaluations = found.Calls,
            Notes = [.. found.Notes],
        };

    internal static EvidenceResult ToResult(Evidence found) =>
        new()
        {
            LogEvidence = ToEstimate(found.LogEvidence),
            BatchError = found.BatchError,
            Overlap = found.Overlap,
            Iterations = found.Iterations,
            IsReliable = found.IsReliable,
            Evaluations = found.Calls,
        };

    internal static Api.PosteriorSummary ToSummary(SummaryOptions options, int[] chosen, RunOptions run, DrawTable table)
    {
        var levels = options.Levels.Count == 0 ? Credible.usual : Inference.ToLevels(options.Levels, 1);
        var found = PosteriorSummaryModule.create(run, levels, chosen, table);

        IReadOnlyList<Api.CredibleRegion> Histogram(int index) =>
            options.HistogramBins is { } bins
                ? [.. Credible.hpdi(HpdiMethod.NewHistogram(bins), levels, index, table).Select(ToRegion)]
                : [];

        return new()
        {
            Draws = found.Draws,
            Chains = found.Chains,
            Kish = OptionModule.ToNullable(found.Kish),
            Parameters = [.. found.Parameters.Zip(chosen, (p, index) => ToSummary(p, Histogram(index)))],
            IsConverged = found.IsConverged,
            Notes = [.. found.Notes],
        };
    }

    internal static Api.DensityMap ToMap(IReadOnlyList<Level> levels, int first, int second, DrawTable table)
    {
        var core = levels.Count == 0 ? DensityMapModule.usual : Inference.ToLevels(levels, 2);
        var found = DensityMapModule.create(core, first, second, table);

        return new()
        {
            First = found.Parameters.Item1,
            Second = found.Parameters.Item2,
            X = found.X,
            Y = found.Y,
            Density = found.Density,
            Contours =
            [
                .. found.Contours.Select(c =>
                    new Api.DensityContour(c.Level.Probability, c.Height, [.. c.Lines.Select(Inference.ToLine)])),
            ],
        };
    }

    internal static Api.DrawScan ToScan(string parameter, DrawProfile found) =>
        new(parameter, found.Width, found.X, found.TwiceDeltaNll, found.Draws);

    internal static DrawScanError ToErrors(Api.DrawScan scan, IReadOnlyList<double> exact)
    {
        var core = new DrawProfile(scan.Width, [.. scan.X], [.. scan.TwiceDeltaNll], [.. scan.Draws]);
        var found = DrawProfileModule.errors([.. exact], core);
        return new(found.Bias, found.Error, found.Largest, found.Bins);
    }

    internal static Api.Estimate ToEstimate(FunLik.Estimate estimate) => new(estimate.Value, estimate.Error);

    private static ParameterDiagnosis ToDiagnosis(Diagnosis found) =>
        new()
        {
            Name = found.Name,
            Status = Enum.Parse<DiagnosisStatus>(found.Status.ToString()),
            Mean = new(found.Mean, found.MeanError),
            Deviation = new(found.StandardDeviation, found.StandardDeviationError),
            Ess = found.Ess,
            BulkEss = found.BulkEss,
            TailEss = found.TailEss,
            RHat = found.RHat,
            RankRHat = found.RankRHat,
        };

    private static Api.ParameterSummary ToSummary(
        FunLik.ParameterSummary found, IReadOnlyList<Api.CredibleRegion> histogram) =>
        new()
        {
            Name = found.Name,
            Mean = ToEstimate(found.Mean),
            Deviation = ToEstimate(found.Deviation),
            Quantiles = [.. found.Quantiles.Select(q => new PosteriorQuantile(q.Item1, ToEstimate(q.Item2)))],
            Hpdi = [.. found.Marginal.Regions.Select(ToRegion)],
            Central = [.. found.Central.Select(ToRegion)],
            Histogram = histogram,
            Density = new(found.Marginal.Curve.X, found.Marginal.Curve.Y, found.Marginal.Curve.Bandwidth),
            BulkEss = found.BulkEss,
            TailEss = found.TailEss,
            RHat = found.RHat,
        };

    private static Api.CredibleRegion ToRegion(FunLik.CredibleRegion region) =>
        new(
            region.Level.Probability,
            region.Content,
            [.. region.Pieces.Select(piece => new Api.CrediblePiece(ToEdge(piece.Low), ToEdge(piece.High)))],
            region.Unsettled);

    private static Api.CredibleEdge ToEdge(FunLik.CredibleEdge edge) => new(edge.Value, edge.Error, edge.IsBound);
}
