module FunLik.Tests.SearchPosteriorTests

open System
open FunLik
open Xunit

// The papers' search: its posterior by quadrature, and by draws. Section 2 of reference/LHC-TOY.md has the numbers, with five digits.

let private papers: Lazy<SearchData> =
    lazy
        (Json.parseFile (Support.sharedFile "data/lhc-toy.json")
         |> Result.bind SearchData.ofJson
         |> Error.orRaise)

/// Means and standard deviations of μ and the systematics.
let private moments =
    [
        "mu", 0.22864, 0.34843
        "isr", -0.41914, 0.62567
        "jes", -0.40705, 0.70579
        "lv", 0.01663, 0.57537
        "cr", 0.04725, 0.43340
    ]

/// Regions of μ by the number of standard deviations: for μ > −1, and the upper end for μ > 0.
let private regions =
    [
        1.0, (-0.1170, 0.5803), 0.4798
        2.0, (-0.4701, 0.9240), 0.8617
        3.0, (-0.8204, 1.2547), 1.2200
    ]

let private probability (sigma: float) : float =
    1.0 - 2.0 * MathNet.Numerics.Distributions.Normal.CDF(0.0, 1.0, -sigma)

/// Within five standard errors and the last digit that is told: a right integral is not for one key in a million.
let private near (told: float) (digit: float) (found: float, error: float) : unit =
    Assert.True(abs (found - told) <= 5.0 * error + digit, $"{found} ± {error} instead of {told}")

let private oracle: Lazy<SearchPosterior.SearchPosterior> =
    lazy (SearchPosterior.create 6 128 papers.Value)

[<SharedFact("data/lhc-toy.json")>]
let ``quadrature gives the known posterior of the papers' search`` () =
    let found = oracle.Value
    let mean, deviation = found.Mu
    let all = Array.append [| mean, deviation |] found.Systematics

    for (_, told, toldDeviation), (mean, deviation) in List.zip moments (List.ofArray all) do
        near told 1e-5 mean
        near toldDeviation 1e-5 deviation

    for sigma, (low, high), highAboveZero in regions do
        let foundLow, foundHigh = found.Region -1.0 (probability sigma)
        near low 1e-4 foundLow
        near high 1e-4 foundHigh
        let zero, upper = found.Region 0.0 (probability sigma)
        Assert.Equal((0.0, 0.0), zero)
        near highAboveZero 1e-4 upper

    for mu, told in [ 0.01, 0.934; 0.21, 1.141; 0.51, 0.833; 1.01, 0.091 ] do
        Assert.Equal(told, found.Density mu, 1.5e-3)

[<SharedFact("data/lhc-toy.json")>]
let ``draws give the known posterior of the papers' search within their errors`` () =
    let model = Search.likelihood papers.Value
    let objective = Objective.ofLikelihood model
    let options = RunOptions.AllCores
    let key = Key.ofSeed 31

    // The effective sample size is out of reach: all draws that are allowed are taken.
    let run =
        model
        |> Posterior.sample
            { SampleOptions.Default with Ess = infinity; MostDraws = 600; Key = key }

    let table = DrawTable.ofRun (Likelihood.parameters model) run |> Error.orRaise
    let index (name: string) : int = DrawTable.index name table |> Error.orRaise

    // Ten numbers, and twelve ends, within three standard errors or 0.005: right draws are not for one key in twenty.
    let near (told: float) (least: float) (found: float) (error: float) : unit =
        Assert.True(
            abs (found - told) <= max least (3.0 * error),
            $"{found} ± {error} instead of {told}"
        )

    for name, mean, deviation in moments do
        let values = DrawTable.flat (index name) table
        let found = Estimate.mean table values
        let foundDeviation = Estimate.deviation table values
        near mean 0.0 found.Value found.Error
        near deviation 0.0 foundDeviation.Value foundDeviation.Error
        Assert.InRange(found.Error, 0.0, 0.02)

    let ends (table: DrawTable) (sigma: float) : CrediblePiece =
        let region =
            Credible.hpdi
                HpdiMethod.Smooth
                [ ConfidenceLevel.ofTwiceDeltaNll 1 (sigma * sigma) ]
                0
                table
            |> List.exactlyOne

        List.exactlyOne region.Pieces

    let positive =
        Reweight.byFactors ReweightOptions.Default [ PriorFactor.Above("mu", 0.0) ] table
        |> Error.orRaise

    for sigma, (low, high), highAboveZero in regions do
        let piece = ends table sigma
        near low 0.005 piece.Low.Value piece.Low.Error
        near high 0.005 piece.High.Value piece.High.Error
        let cut = ends positive.Draws sigma
        near 0.0 0.005 cut.Low.Value cut.Low.Error
        near highAboveZero 0.005 cut.High.Value cut.High.Error

    // The evidence of 95 parameters beside the integral.
    let evidence = Bridge.evidence options objective (Key.foldName "bridge" key) table
    let told, error = oracle.Value.LogEvidence
    Assert.True evidence.IsReliable
    Assert.InRange(evidence.LogEvidence.Error, 0.0, 0.1)

    near
        told
        0.0
        evidence.LogEvidence.Value
        (sqrt (evidence.LogEvidence.Error ** 2.0 + error ** 2.0))
