// Bayesian inference: the example search is sampled; its densities, regions and evidence are told with their errors; the draws become those of
// another prior, and of an exact likelihood where a surrogate was sampled.

#load "prelude.fsx"

open System.IO
open FunLik

let require (what: string) (condition: bool) : unit =
    if not condition then
        failwith $"not so: {what}"

let options = { RunOptions.Single with Threads = System.Environment.ProcessorCount }
let key = Key.ofSeed 7

let search =
    ModelFile.load
        (Path.Combine(__SOURCE_DIRECTORY__, "..", "examples", "search", "model.json"))
        ModelOptions.None
    |> Error.orRaise

let objective = Objective.ofLikelihood search

// ---- Draws: Hamiltonian Monte Carlo, warmed up around the best fit, until every parameter has this effective sample size.

let run =
    search
    |> Posterior.sample { SampleOptions.Default with Ess = 8000.0; Key = key }

let draws = DrawTable.ofRun (Likelihood.parameters search) run |> Error.orRaise
printfn $"{draws.Count} draws of {draws.Chains} chains of '{search.Name}'"
require "the chains converge" run.Status.IsReached

// ---- What they say about some parameters: every number has its error.

let names = Likelihood.names search
let chosen = [| 0; names.Length - 2; names.Length - 1 |]
let summary = PosteriorSummary.create options Credible.usual chosen draws

let tell (summary: PosteriorSummary) : unit =
    for p in summary.Parameters do
        printfn
            $"  %-8s{p.Name} %7.4f{p.Mean.Value}(%.4f{p.Mean.Error}) ± %.4f{p.Deviation.Value}(%.4f{p.Deviation.Error}), ESS %.0f{p.BulkEss} and %.0f{p.TailEss} in the tails, R-hat %.4f{p.RHat}"

        for region in p.Marginal.Regions do
            for piece in region.Pieces do
                let edge (e: CredibleEdge) : string =
                    if e.IsBound then
                        $"%.4f{e.Value} (an edge)"
                    else
                        $"%.4f{e.Value}(%.4f{e.Error})"

                printfn
                    $"           {PosteriorReport.percent region.Level}: {edge piece.Low} to {edge piece.High}"

tell summary
require "the summary is converged" summary.IsConverged

// ---- Another region: draws keep their places, and get weights.

let positive =
    Reweight.byFactors ReweightOptions.Default [ PriorFactor.Above("mu", 0.0) ] draws
    |> Error.orRaise

printfn $"with mu > 0: {positive.Draws.Count - positive.Lost} draws are left"

let cut = PosteriorSummary.create options Credible.usual [| 0 |] positive.Draws
tell cut

require
    "the widest region of mu > 0 begins at the edge"
    (List.last cut.Parameters[0].Marginal.Regions).Pieces.Head.Low.IsBound

// ---- The probability of mu > 0 by counting and by evidences.

let odds = positive.LogEvidenceRatio
printfn $"log of the part of the evidence with mu > 0: %.4f{odds.Value} ± %.4f{odds.Error}"

let evidence = Bridge.evidence options objective (Key.foldName "bridge" key) draws

printfn
    $"log evidence %.4f{evidence.LogEvidence.Value} ± %.4f{evidence.LogEvidence.Error} (± %.4f{evidence.BatchError} by batches), overlap %.2f{evidence.Overlap}"

require "the evidence is reliable" evidence.IsReliable

// ---- Draws of a density that is not quite right become draws of the right one: as if a surrogate had been sampled.

let rough =
    Objective.ofFunction
        objective.Parameters
        (fun x -> (objective.Values(x, RunOptions.Single))[0] + 0.4 * sin (3.0 * x[0]))
        None

let reweighted = Reweight.toDensity options ReweightOptions.Default None rough draws

printfn
    $"to another density: Kish %.0f{reweighted.Kish} of {draws.Count} draws, Pareto k %.2f{reweighted.ParetoK} (up to %.2f{reweighted.Threshold}): {reweighted.Status}"

require "such weights can be relied on" reweighted.Status.IsReliable

let back =
    Reweight.toDensity
        options
        { ReweightOptions.Default with Smooth = false }
        None
        objective
        reweighted.Draws

let mean (table: DrawTable) : Estimate = Estimate.mean table (DrawTable.flat 0 table)

require
    "there and back again is where it was"
    (abs ((mean back.Draws).Value - (mean draws).Value) < 1e-3)

// ---- Proposals of a cheap density, accepted by the exact one: an exact chain for few exact calls.

let start = Chains.start options objective run.Current.Points
let struct (_, covariance) = Reweight.moments draws
let metric = Metric.ofCovariance objective.Count covariance |> Option.get

let walk (surrogate: Objective) : Sampler =
    Metropolis.sampler
        options
        surrogate
        (Proposal.RandomWalk(Metropolis.usualScale objective.Count, metric))

let struct (_, delayed) =
    DelayedAcceptance.step options objective objective (walk objective) 50 (Key.ofSeed 3) start

printfn
    $"delayed acceptance: {delayed.Exact.Calls.Total} exact calls beside {delayed.Surrogate.Total} of the surrogate"

// ---- A page: densities with their regions, and pairs of parameters.

let maps =
    [
        for i in 0 .. chosen.Length - 1 do
            for j in i + 1 .. chosen.Length - 1 ->
                DensityMap.create DensityMap.usual chosen[i] chosen[j] draws
    ]

let folder = Directory.CreateTempSubdirectory().FullName
let file = Path.Combine(folder, "posterior.html")

PosteriorReport.page $"Posterior of '{search.Name}'" maps summary
|> Page.write file
|> Error.orRaise

printfn $"a page of {FileInfo(file).Length} bytes"
Directory.Delete(folder, true)
