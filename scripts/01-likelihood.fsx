// Likelihoods, written down and read: a counting experiment in the builder, the same from a file, and the example search
// both ways.

#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"

open System
open System.IO
open FunLik

let example (name: string) : string =
    Path.Combine(__SOURCE_DIRECTORY__, "..", "examples", name, "model.json")

let require (what: string) (found: float) (expected: float) : unit =
    let difference = abs (found - expected) / max 1.0 (abs expected)

    if not (difference < 1e-11) then
        failwith $"{what}: found {found}, expected {expected}"

let valueAt (point: float[]) (model: Likelihood) : float =
    (Objective.ofLikelihood model).Values(point, RunOptions.Single)[0]

// ---- A counting experiment: parameters are declared with `let!`, measurements with `do!`.

let counting =
    likelihood {
        let! mu = poi "mu" unconstrained
        let! theta = nuisances "SR.background" 3 standardNormal
        let! scale = nuisances "CR.background" 1 standardNormal

        let background = [| 10.4; 4.7; 1.9 |]
        let sigma = [| 0.08 * 10.4; 0.1 * 4.7; 0.2 * 1.9 |]

        do!
            named
                "SR"
                (poisson [| 14; 9; 3 |] (mu * [| 3.1; 4.2; 1.6 |] + background + theta * sigma))

        do! named "CR" (poisson [| 112 |] (mu * [| 0.4 |] + [| 104.0 |] + scale * [| 6.5 |]))
    }

let fromFile =
    ModelFile.load (example "counting") ModelOptions.None |> Error.orRaise

let somewhere = [| 1.3; 0.2; -0.4; 0.1; 0.5 |]
require "the counting experiment" (valueAt somewhere counting) (valueAt somewhere fromFile)

let struct (_, gradient) =
    (Objective.ofLikelihood counting).ValuesAndGradients(somewhere, RunOptions.Single)

printfn $"counting: log L = %.6f{valueAt somewhere counting}, d log L / d mu = %.6f{gradient[0]}"

// ---- Mistakes come together, each with its place.

try
    likelihood {
        let! mu = poi "mu" (flat 5.0 -1.0)
        let! _ = nuisance "mu" standardNormal
        do! poisson [| 3; 5 |] (mu * [| 1.0; 2.0; 3.0 |])
    }
    |> ignore

    failwith "the mistakes were not seen"
with FunLikException errors ->
    for error in errors do
        printfn $"  refused: {error}"

    require "mistakes" (float errors.Length) 3.0

// ---- The example search, as its definition has it: shapes that keep the sums of categories, norms, statistics.

let data =
    Json.parseFile (example "search")
    |> Result.bind SearchData.ofJson
    |> Error.orRaise

let search =
    likelihood {
        let! mu = poi "mu" (flatWith (-(log 5.0)) -1.0 5.0)
        let! delta = nuisances "delta" data.Observed.Length standardNormal
        let! isr = nuisance "isr" (standardNormal |> kinked)
        let! jes = nuisance "jes" (standardNormal |> kinked)
        let! lv = nuisance "lv" (standardNormal |> kinked)
        let! cr = nuisance "cr" (standardNormal |> kinked)

        let shapeFactor (up: float[]) (down: float[]) (d: Expr) : Expr =
            let mean = Array.map2 (fun u v -> 0.5 * (u + v)) up down
            let slope = Array.map2 (fun u v -> 0.5 * (u - v)) up down
            let inside = d * slope + d * d * (mean |> Array.map (fun m -> m - 1.0)) + 1.0

            let outside =
                d * slope + (2.0 * abs d - 1.0) * (mean |> Array.map (fun m -> m - 1.0)) + 1.0

            Expr.select (Expr.less (abs d) (Expr.scalar 1.0)) inside outside

        let norm (category: int) (effect: NormEffect) (d: Expr) : Expr =
            let up = exp (d * Special.log1p effect.Up[category])
            let down = exp (-d * Special.log1p effect.Down[category])
            Expr.select (Expr.less d (Expr.scalar 0.0)) down up

        let nuisances = [ isr; jes; lv; cr ]

        let background =
            [
                for c in 0 .. data.Categories - 1 do
                    let range = c * data.BinsPerCategory, data.BinsPerCategory
                    let inside (values: float[]) = Array.sub values (fst range) (snd range)
                    let nominal = inside data.Background

                    let shaped =
                        List.zip data.Systematics nuisances
                        |> List.choose (fun (s, d) ->
                            s.Shape
                            |> Option.map (fun shape ->
                                shapeFactor (inside shape.Up) (inside shape.Down) d))
                        |> List.fold
                            (fun (product: Expr) factor -> product * factor)
                            (Expr.vector nominal)

                    let norms =
                        List.zip data.Systematics nuisances
                        |> List.map (fun (s, d) -> norm c s.Norm d)
                        |> List.reduce (*)

                    Array.sum nominal * norms / Expr.sum shaped * shaped
            ]
            |> Expr.concat

        let statistical = exp (delta * (data.McStatEpsilon |> Array.map Special.log1p))
        do! poisson data.Observed (mu * data.Signal + background * statistical)
    }

let readSearch =
    ModelFile.load (example "search") ModelOptions.None |> Error.orRaise

let names = Likelihood.names readSearch

let points =
    [
        Array.zeroCreate names.Length
        Key.normals names.Length (Key.ofSeed 1) |> Array.map (fun x -> 0.3 * x)
        Key.normals names.Length (Key.ofSeed 2)
    ]

for point in points do
    point[0] <- abs point[0]
    require "the search" (valueAt point search) (valueAt point readSearch)

let outside = Array.init names.Length (fun i -> if i = 0 then -2.0 else 0.0)

if valueAt outside readSearch <> -infinity then
    failwith "a point outside of the support has a density"

printfn $"search: {names.Length} parameters, log density at 0: %.6f{valueAt points.Head readSearch}"
