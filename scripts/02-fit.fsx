// Fits and scans: a model that can be fitted with pencil and paper, then the example search with its 65 parameters.

#load "prelude.fsx"

open System
open System.IO
open FunLik

let require (what: string) (tolerance: float) (found: float) (expected: float) : unit =
    if not (abs (found - expected) <= tolerance) then
        failwith $"{what}: found {found}, expected {expected}"

let valueOf (name: string) (fit: Fit) : float =
    fit.Parameters |> Array.find (fun (other, _) -> other = name) |> snd

// ---- Twelve events over a background of 5 with a signal of 4: mu is 7/4, and -2 log L is known in closed form.

let twelve =
    likelihood {
        let! mu = poi "mu" (flat -1.0 10.0)
        do! poisson [| 12 |] (mu * [| 4.0 |] + [| 5.0 |])
    }

let twelveFit = Fit.minimise twelve
let twelveMu = valueOf "mu" twelveFit
require "mu of twelve events" 1e-6 twelveMu 1.75

let poissonDeviance (mu: float) : float =
    let mean = 4.0 * mu + 5.0
    2.0 * (mean - 12.0 + 12.0 * log (12.0 / mean))

let twelveScan = Profile.scan "mu" [ 0.0..0.5..4.0 ] twelve

Array.iter2
    (fun mu t -> require $"twiceDeltaNll of twelve events at {mu}" 1e-7 t (poissonDeviance mu))
    twelveScan.X
    twelveScan.TwiceDeltaNll

printfn $"twelve events: mu = %.6f{twelveMu}"

// ---- The example search: kinks, correlated nuisances, a fit from 16 patterns of signs.

let search =
    ModelFile.load
        (Path.Combine(__SOURCE_DIRECTORY__, "..", "examples", "search", "model.json"))
        ModelOptions.None
    |> Error.orRaise

let fit = Fit.minimise search
let mode = valueOf "mu" fit

if not fit.Status.IsConverged then
    failwith $"the search did not converge: {fit.Status}"

require "the gradient at the mode" 1e-6 fit.GradientNorm 0.0
printfn $"search: mu = %.6f{mode}, twiceNll = %.6f{fit.TwiceNll}, EDM = %.1e{fit.Edm}"

for minimum in fit.Minima do
    printfn $"  minimum at twiceNll = %.6f{minimum.TwiceNll}, from {minimum.Starts} starts"

// The fitted point is no worse than any point near it.
let objective = Objective.ofLikelihood search
let scatter = Key.ofSeed 2
let count = 1000

let nearby =
    let steps = Key.normals (count * objective.Count) scatter
    Array.init steps.Length (fun i -> fit.Point[i % objective.Count] + 0.1 * steps[i])

let best = objective.Values(nearby, RunOptions.Single) |> Array.max

if best > fit.LogDensity then
    failwith $"a point near the mode is better: {best} > {fit.LogDensity}"

// ---- A scan is 0 at the mode, never negative, and at each value what a fit with mu fixed there gives.

let scan = Profile.scan "mu" [ mode; 0.0; 0.5; 1.0; 1.5; 2.0 ] search
require "the scan at the mode" 1e-7 scan.TwiceDeltaNll[0] 0.0

for mu, t in Array.zip scan.X scan.TwiceDeltaNll do
    let options = { FitOptions.Default with Fixed = List.singleton ("mu", mu) }
    let held = Fit.withOptions options search
    require $"the scan at {mu}" 1e-6 t (held.TwiceNll - fit.TwiceNll)
    printfn $"  mu = %8.5f{mu}: twiceDeltaNll = %.6f{t}"

    if t < 0.0 then
        failwith "twiceDeltaNll is negative"
