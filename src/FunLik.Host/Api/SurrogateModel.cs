using FunLik.Host.Interop;

namespace FunLik.Api;

/// <summary>
/// A published surrogate: a model like any other, of which the log density was learnt, with the card that says how good it is. What needs
/// data that a model predicts (hypothesis tests, limits, toys) is refused: a learnt density predicts none.
/// </summary>
public sealed class SurrogateModel : LikelihoodModel
{
    private SurrogateModel(Likelihood likelihood, SurrogateCard card, SurrogateVerification verification, int threads)
        : base(likelihood.Name, likelihood, ObjectiveModule.ofLikelihood(likelihood), threads)
    {
        Card = card;
        Verification = verification;
    }

    /// <summary>What its card says: metrics, recipe, hashes.</summary>
    public SurrogateCard Card { get; }

    /// <summary>How its test vectors came out when it was loaded.</summary>
    public SurrogateVerification Verification { get; }

    /// <summary>Where it was taught.</summary>
    public SurrogateRegion Region => Card.Region;

    /// <summary>
    /// Reads a bundle: a folder with a card, an ONNX file and test vectors. It is taken only if the files have the hashes of the card
    /// and the test vectors come out again, by FunLik, and by ONNX Runtime where its library is there.
    /// </summary>
    /// <param name="bundleFolder">The folder.</param>
    /// <param name="options">How it is loaded.</param>
    /// <exception cref="LikelihoodException">The folder is no bundle, a file was changed, or a test vector moved: each by name.</exception>
    public static SurrogateModel Load(string bundleFolder, SurrogateOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(bundleFolder);
        var threads = (options ?? new SurrogateOptions()).Threads;
        new Mistakes([]).AtLeast(1, threads, nameof(SurrogateOptions.Threads)).Throw();

        return Errors.Translate(() =>
        {
            var bundle = Errors.OrThrow(BundleModule.read(bundleFolder));
            var run = new RunOptions(threads, CancellationToken.None);
            var verification = Errors.OrThrow(BundleModule.verify(run, bundle));

            return new SurrogateModel(
                bundle.Likelihood, Surrogates.ToCard(bundle.Card), Surrogates.ToVerification(verification), threads);
        });
    }
}
