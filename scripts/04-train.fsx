// Learning: a counting experiment is sampled, learnt by a recipe, and checked beside the quadratic that fits the same labels best.

#load "prelude.fsx"

open FunLik

let require (what: string) (condition: bool) : unit =
    if not condition then
        failwith $"not so: {what}"

let options = { RunOptions.Single with Threads = System.Environment.ProcessorCount }
let key = Key.ofSeed 1

// ---- The exact likelihood: few events, so that it is far from a quadratic.

let counting =
    likelihood {
        let! mu = poi "mu" (flat -1.0 10.0)
        let! theta = nuisances "background" 3 standardNormal

        let signal, background, sigma =
            [| 3.1; 4.2; 1.6 |], [| 10.4; 4.7; 1.9 |], [| 0.8; 0.5; 0.4 |]

        do! poisson [| 14; 9; 3 |] (mu * signal + background + theta * sigma)
    }

// ---- Labels: points of independent chains, with exact values and gradients. The last chains never meet the training.

let objective = Objective.ofLikelihood counting
let fit = Fit.minimise counting

let design =
    { Design.posteriorOf objective.Count 2000 with Chains = 32; TestChains = 8 }

let labels =
    Design.start options objective design fit.Point key
    |> Design.posterior options objective design key
    |> List.ofSeq

let names = Likelihood.names counting
let train = labels |> List.map _.Train |> LabelSet.concat names
let test = labels |> List.map _.Test |> LabelSet.concat names
printfn $"{train.Count} labels to learn from, {test.Count} to check with"

// ---- What is learnt is the density without priors: those, and the support, stay exact.

let dataOf (set: LabelSet) : Dataset =
    let struct (values, gradients) =
        (Likelihood.withoutPriors counting |> Objective.ofLikelihood)
            .ValuesAndGradients(set.Points, options)

    Dataset.create set.Dimension set.Points values (Some gradients) set.Chains
    |> Error.orRaise

// A recipe is a value: print it, change it, write it into a file.
let recipe =
    { Recipe.funlik with
        Hidden = [ 32; 32 ]
        BatchSize = 64
        Length = TrainingLength.Epochs 100
    }

for line in Recipe.describe recipe do
    printfn $"  {line}"

// Chains that choose the best weights, and chains to learn from.
let choosing, learning =
    dataOf train |> Dataset.splitByGroup (fun chain -> chain >= 21)

let surrogate, history =
    Surrogate.learn options recipe key counting learning choosing |> Error.orRaise

let first, last = List.head history, List.last history

printfn
    $"loss %.4f{first.ValidationLoss} after epoch {first.Epoch}, %.6f{last.ValidationLoss} after epoch {last.Epoch}"

// ---- The check: on points of the other chains, and on the profile of mu.

let slice =
    Validate.slices options fit.LogDensity test surrogate.Likelihood surrogate.Baseline
    |> List.exactlyOne

let profile =
    let exact = Validate.exactScan options "mu" [| -0.5 .. 0.25..3.0 |] counting
    Validate.profile options exact surrogate.Likelihood surrogate.Baseline

printfn "                         surrogate   quadratic"
printfn $"MSE [log units²]         %9.2e{slice.Surrogate.Mse}   %9.2e{slice.Quadratic.Mse}"
printfn $"largest [log units]      %9.2e{slice.Surrogate.Largest}   %9.2e{slice.Quadratic.Largest}"
printfn $"mean error of t(mu)      %9.2e{profile.TMuError}   %9.2e{profile.QuadraticTMuError}"

require
    "the surrogate is far better than the quadratic"
    (slice.Surrogate.Mse < 0.05 * slice.Quadratic.Mse)

require "its profile is too" (profile.TMuError < 0.1 * profile.QuadraticTMuError)
require "its profile is right" (profile.TMuError < 0.05)

// A surrogate is a likelihood: it is fitted by the same call.
let learnt = Fit.minimise surrogate.Likelihood
printfn $"mu = %.4f{learnt.Point[0]} learnt, %.4f{fit.Point[0]} exact"
require "both fits agree" (abs (learnt.Point[0] - fit.Point[0]) < 0.02)
