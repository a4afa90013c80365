// Writes examples/search/model.json: a search for a resonance on a falling background, in three categories of twenty
// bins, from formulas and one fixed key. Run it after a build: `dotnet fsi scripts/make-search-example.fsx`.

#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"

open System
open System.IO
open FunLik

let categories = 3
let bins = 20
let key = Key.ofSeed 20191118

/// Background events, slope of their spectrum, and signal events at μ = 1, in each category.
let yields = [| 900.0, 3.2, 26.0; 260.0, 2.4, 21.0; 64.0, 1.3, 14.0 |]

/// A value for each bin from its category and the middle of the bin in 0..1.
let forBins (value: int -> float -> float) : float[] =
    [|
        for c in 0 .. categories - 1 do
            for i in 0 .. bins - 1 -> value c ((float i + 0.5) / float bins)
    |]

let rounded (digits: int) (values: float[]) : float[] =
    values |> Array.map (fun v -> Math.Round(v, digits))

/// Scales the values of each category to a sum.
let withSums (sums: float[]) (values: float[]) : float[] =
    values
    |> Array.chunkBySize bins
    |> Array.mapi (fun c inside -> inside |> Array.map (fun v -> v * sums[c] / Array.sum inside))
    |> Array.concat

let background =
    forBins (fun c x ->
        let _, slope, _ = yields[c]
        exp (-slope * x))
    |> withSums (yields |> Array.map (fun (events, _, _) -> events))
    |> rounded 2

// A peak with a tail of energy lost to radiation.
let signal =
    forBins (fun _ x ->
        let distance = (x - 0.42) / 0.07

        if x < 0.03 then 0.0
        elif distance > -1.2 then exp (-0.5 * distance * distance)
        else exp (0.72 + 1.2 * distance))
    |> withSums (yields |> Array.map (fun (_, _, events) -> events))
    |> rounded 4

// Ten times as many simulated as expected events.
let epsilon = background |> Array.map (fun b -> 1.0 / sqrt (10.0 * b)) |> rounded 5

let shape =
    [
        "isr",
        forBins (fun c x -> 1.0 + 0.16 * (x - 0.5) + 0.02 * float c * x * x),
        forBins (fun c x -> 1.0 - 0.14 * (x - 0.5) + 0.015 * cos (3.0 * x + float c))
        "jes",
        forBins (fun c x -> 1.0 + 0.09 * sin (Math.PI * x) - 0.02 * float c * x),
        forBins (fun _ x -> 1.0 - 0.07 * sin (Math.PI * x) + 0.04 * (x - 0.5) * (x - 0.5))
    ]

let norm =
    [
        "isr", [| -0.041; 0.052; 0.094 |], [| 0.044; -0.047; -0.088 |]
        "jes", [| 0.046; -0.038; 0.085 |], [| -0.043; 0.041; -0.079 |]
        "lv", [| 0.038; 0.066; 0.121 |], [| -0.047; -0.092; -0.163 |]
        "cr", [| 0.015; 0.104; -0.187 |], [| -0.022; -0.126; 0.159 |]
    ]

/// A Poisson count by inversion of its distribution function.
let poissonCount (mean: float) (u: float) : float =
    let rec go (count: int) (probability: float) (sum: float) : int =
        if u <= sum || count > 1000 then
            count
        else
            let next = probability * mean / float (count + 1)
            go (count + 1) next (sum + next)

    float (go 0 (exp -mean) (exp -mean))

let observed =
    Array.map2 poissonCount background (Key.uniforms background.Length key)

let effects (digits: int) (table: (string * float[] * float[]) list) : JsonValue =
    table
    |> List.map (fun (name, up, down) ->
        name,
        JsonValue.Object
            [
                "up", JsonValue.Numbers(rounded digits up)
                "down", JsonValue.Numbers(rounded digits down)
            ])
    |> JsonValue.Object

let path =
    Path.Combine(__SOURCE_DIRECTORY__, "..", "examples", "search", "model.json")

JsonValue.Object
    [
        "kind", JsonValue.Text "lhc-search"
        "name", JsonValue.Text "a search for a resonance"
        "categories", JsonValue.Int(int64 categories)
        "binsPerCategory", JsonValue.Int(int64 bins)
        "observed", JsonValue.Numbers observed
        "background", JsonValue.Numbers background
        "signal", JsonValue.Numbers signal
        "mcStatEpsilon", JsonValue.Numbers epsilon
        "shape", effects 5 shape
        "norm", effects 5 norm
    ]
|> JsonValue.writeFile path
|> Error.orRaise

printfn "wrote examples/search/model.json"
