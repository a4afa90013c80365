using FunLik.Host.Interop;

namespace FunLik.Api;

/// <summary>
/// A published surrogate: a log density that was learnt, with the card that says how good it is. It does not change and may be used
/// from several threads at once.
/// </summary>
public sealed class SurrogateModel
{
    private SurrogateModel(LikelihoodModel likelihood, SurrogateCard card, SurrogateVerification verification)
    {
        Likelihood = likelihood;
        Card = card;
        Verification = verification;
    }

    /// <summary>The surrogate as a model like any other, which is fitted and scanned.</summary>
    public LikelihoodModel Likelihood { get; }

    /// <summary>What its card says: metrics, recipe, hashes.</summary>
    public SurrogateCard Card { get; }

    /// <summary>How its test vectors came out when it was loaded.</summary>
    public SurrogateVerification Verification { get; }

    /// <summary>What it is a surrogate of.</summary>
    public string Name => Likelihood.Name;

    /// <summary>The parameters in the order of a point.</summary>
    public IReadOnlyList<ParameterInfo> Parameters => Likelihood.Parameters;

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
        var threads = Guard.AtLeast(1, (options ?? new SurrogateOptions()).Threads, nameof(SurrogateOptions.Threads));

        return Errors.Translate(() =>
        {
            var bundle = Errors.OrThrow(BundleModule.read(bundleFolder));
            var run = new RunOptions(threads, CancellationToken.None);
            var verification = Errors.OrThrow(BundleModule.verify(run, bundle));
            var likelihood = LikelihoodModel.Of(bundle.Likelihood, threads);
            return new SurrogateModel(likelihood, Surrogates.ToCard(bundle.Card), Surrogates.ToVerification(verification));
        });
    }

    /// <summary>The log density at one point; -∞ where the density is zero.</summary>
    /// <param name="point">One value a parameter.</param>
    /// <exception cref="LikelihoodException">A wrong length, or a value that is not a finite number.</exception>
    public double Evaluate(ReadOnlySpan<double> point) => Likelihood.Evaluate(point);

    /// <summary>The log density at several points; -∞ where the density is zero.</summary>
    /// <param name="points">The points, one behind the other: values.Length × Parameters.Count numbers.</param>
    /// <param name="values">Where the values go, one a point: natural logarithms, all constants kept.</param>
    /// <exception cref="LikelihoodException">Wrong lengths, or a value that is not a finite number.</exception>
    public void Evaluate(ReadOnlySpan<double> points, Span<double> values) => Likelihood.Evaluate(points, values);

    /// <summary>The log density at several points, and its gradients.</summary>
    /// <param name="points">The points, one behind the other: values.Length × Parameters.Count numbers.</param>
    /// <param name="values">Where the values go, one a point.</param>
    /// <param name="gradients">Where the gradients go, one behind the other: as many numbers as the points have.</param>
    /// <exception cref="LikelihoodException">Wrong lengths, or a value that is not a finite number.</exception>
    public void EvaluateWithGradient(ReadOnlySpan<double> points, Span<double> values, Span<double> gradients) =>
        Likelihood.EvaluateWithGradient(points, values, gradients);
}
