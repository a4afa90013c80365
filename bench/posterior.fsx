// The posterior of the papers' search by draws, beside quadrature and the published numbers (../shared/reference/LHC-TOY.md, section 2).
// `dotnet fsi --optimize+ bench/posterior.fsx [DRAWS PER CHAIN]`: 64 chains; prints each number, its error, and how many errors off it is.

#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"
#r "../src/FunLik.Core/bin/Release/net10.0/MathNet.Numerics.dll"
#load "../tests/FunLik.Core.Tests/SearchPosterior.fs"

open System
open System.IO
open FunLik
open FunLik.Tests

let perChain =
    match fsi.CommandLineArgs with
    | [| _; draws |] -> int draws
    | _ -> 2000

let source =
    Path.Combine(__SOURCE_DIRECTORY__, "..", "..", "shared", "data", "lhc-toy.json")

if not (File.Exists source) then
    printfn "needs ../shared/data/lhc-toy.json, which is not here"
    exit 0

let data = Json.parseFile source |> Result.bind SearchData.ofJson |> Error.orRaise
let clock = Diagnostics.Stopwatch.StartNew()
let told = SearchPosterior.create 8 512 data
printfn $"quadrature: 8 × 512 points at 32 values of mu, %.1f{clock.Elapsed.TotalSeconds} s"

let model = Search.likelihood data
let objective = Objective.ofLikelihood model
let options = RunOptions.AllCores
let key = Key.ofSeed 41

clock.Restart()

let run =
    model
    |> Posterior.sample
        { SampleOptions.Default with Ess = infinity; MostDraws = perChain; Key = key }

printfn
    $"{run.Draws} draws of 64 chains, worst ESS %.0f{run.MinEss}, worst R-hat %.4f{run.MaxRHat}, {run.Calls.Total} calls, %.1f{clock.Elapsed.TotalSeconds} s"

clock.Restart()
let draws = DrawTable.ofRun (Likelihood.parameters model) run |> Error.orRaise

/// In units of the limit: 3 standard errors (of both sides together), or `least`.
let mutable worst = 0.0

let line
    (name: string)
    (published: float)
    (value: float, valueError: float)
    (found: Estimate)
    (least: float)
    : unit =
    let error = sqrt (found.Error * found.Error + valueError * valueError)
    let part = abs (found.Value - published) / max least (3.0 * found.Error)
    worst <- max worst part

    printfn
        $"%-22s{name} published %8.4f{published}  quadrature %8.4f{value} ± %.4f{valueError}  draws %8.4f{found.Value} ± %.4f{found.Error}  %5.2f{(found.Value - value) / error} errors off, %3.0f{100.0 * part} %% of the limit"

let published =
    [
        "mu", 0.22864, 0.34843
        "isr", -0.41914, 0.62567
        "jes", -0.40705, 0.70579
        "lv", 0.01663, 0.57537
        "cr", 0.04725, 0.43340
    ]

List.zip published (told.Mu :: List.ofArray told.Systematics)
|> List.iter (fun ((name, mean, deviation), (toldMean, toldDeviation)) ->
    let values = DrawTable.flat (DrawTable.index name draws |> Error.orRaise) draws
    line $"{name}, mean" mean toldMean (Estimate.mean draws values) 0.0
    line $"{name}, deviation" deviation toldDeviation (Estimate.deviation draws values) 0.0)

let positive =
    Reweight.byFactors ReweightOptions.Default [ PriorFactor.Above("mu", 0.0) ] draws
    |> Error.orRaise

let edge (e: CredibleEdge) : Estimate = { Value = e.Value; Error = e.Error }

let ends =
    [ -0.1170, 0.5803, 0.4798; -0.4701, 0.9240, 0.8617; -0.8204, 1.2547, 1.2200 ]

let regions (table: DrawTable) : CredibleRegion list =
    Credible.hpdi HpdiMethod.Smooth Credible.usual 0 table

for (low, high, cut), (free, above) in
    List.zip ends (List.zip (regions draws) (regions positive.Draws)) do
    let level = PosteriorReport.percent free.Level
    let toldLow, toldHigh = told.Region -1.0 free.Level.Probability
    let _, toldCut = told.Region 0.0 free.Level.Probability
    let piece, cutPiece = List.exactlyOne free.Pieces, List.exactlyOne above.Pieces
    line $"{level}, from" low toldLow (edge piece.Low) 0.005
    line $"{level}, to" high toldHigh (edge piece.High) 0.005
    line $"{level}, mu > 0, to" cut toldCut (edge cutPiece.High) 0.005

for region in Credible.hpdi (HpdiMethod.Histogram 25) Credible.usual 0 draws do
    printfn
        $"{PosteriorReport.percent region.Level} by 25 bins, as the papers' code: {PosteriorReport.pieces region}"

let evidence = Bridge.evidence options objective (Key.foldName "bridge" key) draws
let integral, integralError = told.LogEvidence

printfn
    $"log evidence: quadrature %.4f{integral} ± %.4f{integralError}, bridge %.4f{evidence.LogEvidence.Value} ± %.4f{evidence.LogEvidence.Error} (± %.4f{evidence.BatchError} by batches), overlap %.3f{evidence.Overlap}, {evidence.Iterations} iterations"

printfn
    $"mu > 0: log of the part of the evidence %.4f{positive.LogEvidenceRatio.Value} ± %.4f{positive.LogEvidenceRatio.Error}"

printfn
    $"the farthest number is at %.0f{100.0 * worst} %% of its limit, 3 standard errors or 0.005 of an end; inference took %.1f{clock.Elapsed.TotalSeconds} s"
