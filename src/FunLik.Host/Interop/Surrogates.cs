using FunLik.Api;

namespace FunLik.Host.Interop;

/// <summary>Cards and verifications of FunLik.Core, for the C# face.</summary>
internal static class Surrogates
{
    internal static SurrogateCard ToCard(BundleCard card) =>
        new()
        {
            Version = card.Version,
            Model = card.Model,
            ModelSha256 = card.ModelSha256,
            Recipe = card.Recipe,
            Metrics =
            [
                .. card.Metrics.Select(m => new SurrogateMetrics(m.Slice, ToAccuracy(m.Surrogate), ToAccuracy(m.Quadratic))),
            ],
            Region = new SurrogateRegion(card.Region.Lowest, card.Region.Highest),
            Files = card.Files.ToDictionary(file => file.Item1, file => file.Item2),
        };

    internal static SurrogateVerification ToVerification(Verification verification)
    {
        var runtime = verification.OnnxRuntime as Agreement.Checked;
        return new SurrogateVerification(verification.Points, verification.Engine, runtime?.version, runtime?.largest);
    }

    private static SurrogateAccuracy ToAccuracy(Deviations d) =>
        new(d.Points, d.Mse, d.Mae, d.Largest, d.Bias, d.Accurate);
}
