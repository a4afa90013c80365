// Sampling: a posterior that is known in closed form, by every sampler, then the example search with its 65 parameters.

#load "prelude.fsx"

open System.IO
open FunLik

let require (what: string) (condition: bool) : unit =
    if not condition then
        failwith $"not so: {what}"

/// Fits, warms up around the best point, and draws until every parameter has this effective sample size and a split R-hat of 1.01.
let sample (ess: float) (seed: int) (model: Likelihood) : SamplingRun =
    model
    |> Posterior.sample { SampleOptions.Default with Ess = ess; Chains = 32; Key = Key.ofSeed seed }

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

let run = sample 4000.0 1 twelve
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

// ---- The same posterior by every sampler there is: each starts where a Hamiltonian warm-up has left the chains.

for name, kind in SamplerKind.names do
    let run =
        twelve
        |> Posterior.sample { SampleOptions.Default with Sampler = kind; Chains = 32 }

    let found = Sampling.diagnose run |> Array.exactlyOne

    printfn
        $"  %-14s{name} mu = %.3f{found.Mean} ± %.3f{found.StandardDeviation}, {run.Calls.Values} values, {run.Calls.Gradients} gradients"

    require $"{name} converges" run.Status.IsReached
    require $"{name} has the mean" (abs (found.Mean - 2.0) < 5.0 * found.MeanError)

// ---- The example search: correlated nuisances and kinks.

let search =
    ModelFile.load
        (Path.Combine(__SOURCE_DIRECTORY__, "..", "examples", "search", "model.json"))
        ModelOptions.None
    |> Error.orRaise

let searchRun = sample 1000.0 2 search
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
    ((sample 4000.0 1 twelve).Current.Points = run.Current.Points)
