// Sampling: Hamiltonian Monte Carlo on a posterior that is known in closed form, then on the example search with its 65 parameters.

#load "prelude.fsx"

open System.IO
open FunLik

let require (what: string) (condition: bool) : unit =
    if not condition then
        failwith $"not so: {what}"

let options = { RunOptions.Single with Threads = System.Environment.ProcessorCount }

/// Fits, warms up around the best point, and draws until every parameter has this effective sample size and a split R-hat of 1.01.
let sample (ess: float) (chains: int) (key: Key) (model: Likelihood) : SamplingRun =
    let objective = Objective.ofLikelihood model
    let fit = Fit.minimise model

    let design =
        { Design.posteriorOf objective.Count chains with
            Chains = chains
            TestChains = 0
        }

    // A run is a lazy sequence of states: here, of the warm-up until it has found step size and metric.
    let tuned =
        Design.start options objective design fit.Point key
        |> Design.posterior options objective design key
        |> Seq.map _.State
        |> Seq.find (fun state -> not state.Stage.IsWarmingUp)

    let sampler = Hamiltonian.sampler options objective tuned.Settings
    let goal = SamplingGoal.Ess(ess, 1.01, 10_000)

    // Keys are values: the draws have one of their own, so that the warm-up's length does not change them.
    tuned.Pilot
    |> Sampling.until goal sampler (Key.foldName "draws" key)
    |> Seq.last

let tell (name: string) (run: SamplingRun) : unit =
    printfn
        $"{name}: {run.Draws} draws of {run.Current.Count} chains, acceptance %.2f{run.Acceptance}, {run.Divergences} divergences"

    printfn
        $"  worst ESS %.0f{run.MinEss}, worst R-hat %.4f{run.MaxRHat}, {run.Calls.Total} exact calls"

// ---- Twelve events over a background of 5 with a signal of 4, and a flat prior: 4 mu + 5 follows a gamma distribution with shape 13.

let twelve =
    likelihood {
        let! mu = poi "mu" (flat -1.0 10.0)
        do! poisson [| 12 |] (mu * [| 4.0 |] + [| 5.0 |])
    }

let run = sample 4000.0 32 (Key.ofSeed 1) twelve
tell "twelve events" run
require "the chains converge" run.Status.IsReached

let mu = Sampling.diagnose run |> Array.exactlyOne

printfn
    $"  mu = %.4f{mu.Mean} ± %.4f{mu.StandardDeviation}, errors %.4f{mu.MeanError} and %.4f{mu.StandardDeviationError}"

// At five standard errors a right sampler fails once in a million keys; this key is fixed.
require "the mean is (13 - 5) / 4" (abs (mu.Mean - 2.0) < 5.0 * mu.MeanError)

require
    "the deviation is √13 / 4"
    (abs (mu.StandardDeviation - sqrt 13.0 / 4.0) < 5.0 * mu.StandardDeviationError)

// ---- The example search: correlated nuisances and kinks.

let search =
    ModelFile.load
        (Path.Combine(__SOURCE_DIRECTORY__, "..", "examples", "search", "model.json"))
        ModelOptions.None
    |> Error.orRaise

let searchRun = sample 1000.0 32 (Key.ofSeed 2) search
tell "the search" searchRun
require "the chains converge" searchRun.Status.IsReached
require "all parameters have their effective sample size" (searchRun.MinEss >= 1000.0)
require "all parameters have their R-hat" (searchRun.MaxRHat <= 1.01)

for found in Sampling.diagnose searchRun |> Array.sortBy _.Ess |> Array.truncate 3 do
    printfn
        $"  %-10s{found.Name} %7.4f{found.Mean} ± %.4f{found.StandardDeviation}, ESS %.0f{found.Ess}, rank R-hat %.4f{found.RankRHat}"

// ---- The same key gives the same draws.

require
    "the same key gives the same draws"
    ((sample 4000.0 32 (Key.ofSeed 1) twelve).Current.Points = run.Current.Points)
