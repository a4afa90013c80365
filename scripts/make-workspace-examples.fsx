// Writes examples/histfactory (a workspace of pyhf's format and a patch set with two signals) and examples/eft (a workspace and
// quadratic scalings in three couplings), from formulas and one fixed key. Run it after a build:
// `dotnet fsi scripts/make-workspace-examples.fsx`.

#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"

open System
open System.IO
open FunLik

let key = Key.ofSeed 20260726
let round (digits: int) (v: float) : float = Math.Round(v, digits)
let at (path: string) : string = Path.Combine(__SOURCE_DIRECTORY__, "..", "examples", path)
let text = JsonValue.Text
let object (entries: (string * JsonValue) list) : JsonValue = JsonValue.Object entries
let numbers (values: float[]) : JsonValue = JsonValue.Numbers(values |> Array.map (round 3))

let modifier (kind: string) (name: string) (data: JsonValue) : JsonValue =
    object [ "name", text name; "type", text kind; "data", data ]

let free (name: string) : JsonValue = modifier "normfactor" name JsonValue.Null

let norm (name: string) (low: float) (high: float) : JsonValue =
    modifier "normsys" name (object [ "hi", JsonValue.Number high; "lo", JsonValue.Number low ])

/// A shape that changes by a fraction from the first bin to the last, a little less downwards than upwards.
let shape (name: string) (first: float) (last: float) (nominal: float[]) : JsonValue =
    let fraction (i: int) : float =
        first + (last - first) * float i / float (max 1 (nominal.Length - 1))

    let varied (side: float) : float[] =
        nominal |> Array.mapi (fun i v -> v * (1.0 + side * fraction i))

    modifier
        "histosys"
        name
        (object [ "hi_data", numbers (varied 1.0); "lo_data", numbers (varied -0.85) ])

/// Uncertainties of a simulation with events of this weight.
let statistics (kind: string) (name: string) (weight: float) (nominal: float[]) : JsonValue =
    modifier kind name (numbers (nominal |> Array.map (fun v -> sqrt (weight * v))))

let sample (name: string) (nominal: float[]) (modifiers: JsonValue list) : JsonValue =
    object
        [
            "name", text name
            "data", numbers nominal
            "modifiers", JsonValue.List modifiers
        ]

let channel (name: string) (samples: JsonValue list) : JsonValue =
    object [ "name", text name; "samples", JsonValue.List samples ]

/// Counts around a sum of expectations.
let observed (name: string) (index: int) (expected: float[]) : JsonValue =
    let normals = Key.normals expected.Length (Key.fold index key)

    let count (mean: float) (normal: float) : float = max 0.0 (round 0 (mean + sqrt mean * normal))
    let counts = Array.map2 count expected normals
    object [ "name", text name; "data", JsonValue.Numbers counts ]

let workspace
    (poi: string)
    (parameters: JsonValue list)
    (channels: JsonValue list)
    (observations: JsonValue list)
    =
    let config = object [ "poi", text poi; "parameters", JsonValue.List parameters ]

    object
        [
            "channels", JsonValue.List channels
            "observations", JsonValue.List observations
            "measurements",
            JsonValue.List [ object [ "name", text "measurement"; "config", config ] ]
            "version", text "1.0.0"
        ]

let write (path: string) (value: JsonValue) : unit =
    Directory.CreateDirectory(Path.GetDirectoryName(at path)) |> ignore
    JsonValue.writeFile (at path) value |> Error.orRaise
    printfn $"examples/{path}"

// ---- A search with a control region: every type of modifier

let signal = [| 1.2; 3.4; 5.1; 3.6 |]
let top = [| 61.0; 34.0; 15.5; 6.2 |]
let jets = [| 22.0; 12.5; 6.4; 2.1 |]
let fakes = [| 5.5; 3.1; 1.2; 0.4 |]
let topControl = [| 540.0; 312.0; 121.0 |]
let jetsControl = [| 68.0; 37.0; 12.0 |]

let sum (all: float[] list) : float[] = all |> List.reduce (Array.map2 (+))
let lumi = modifier "lumi" "lumi" JsonValue.Null

let histfactory =
    let lumiKnown =
        object
            [
                "name", text "lumi"
                "auxdata", JsonValue.Numbers [| 1.0 |]
                "sigmas", JsonValue.Numbers [| 0.017 |]
                "inits", JsonValue.Numbers [| 1.0 |]
                "bounds", JsonValue.List [ JsonValue.Numbers [| 0.9; 1.1 |] ]
            ]

    workspace
        "mu"
        [ lumiKnown ]
        [
            channel
                "SR"
                [
                    sample
                        "signal"
                        signal
                        [ free "mu"; lumi; shape "jes" 0.02 0.06 signal; norm "id" 0.97 1.03 ]
                    sample
                        "top"
                        top
                        [
                            free "mu_top"
                            shape "jes" -0.01 0.09 top
                            norm "generator" 0.93 1.05
                            statistics "staterror" "mc_SR" 0.4 top
                        ]
                    sample
                        "jets"
                        jets
                        [
                            lumi
                            shape "jes" 0.01 0.12 jets
                            norm "jets_xs" 0.9 1.1
                            statistics "staterror" "mc_SR" 0.5 jets
                        ]
                    sample "fakes" fakes [ statistics "shapesys" "fakes_rate" 0.6 fakes ]
                ]
            channel
                "CR"
                [
                    sample
                        "top"
                        topControl
                        [
                            free "mu_top"
                            shape "jes" -0.005 0.05 topControl
                            norm "generator" 0.96 1.03
                        ]
                    sample
                        "jets"
                        jetsControl
                        [
                            lumi
                            norm "jets_xs" 0.9 1.1
                            modifier "shapefactor" "jets_shape" JsonValue.Null
                        ]
                ]
        ]
        [
            observed "SR" 0 (sum [ signal; top; jets; fakes ])
            observed "CR" 1 (sum [ topControl; jetsControl ])
        ]

write "histfactory/workspace.json" histfactory

/// Other signals in place of the one in the workspace.
let signals =
    let patch (name: string) (mass: int) (nominal: float[]) : JsonValue =
        let replacement =
            object
                [
                    "op", text "replace"
                    "path", text "/channels/0/samples/0"
                    "value",
                    sample
                        "signal"
                        nominal
                        [ free "mu"; lumi; shape "jes" 0.02 0.06 nominal; norm "id" 0.97 1.03 ]
                ]

        object
            [
                "metadata",
                object [ "name", text name; "values", JsonValue.List [ JsonValue.Int(int64 mass) ] ]
                "patch", JsonValue.List [ replacement ]
            ]

    let digest =
        Json.parseFile (at "histfactory/workspace.json")
        |> Error.orRaise
        |> PatchSet.digest "sha256"
        |> Option.get

    let metadata =
        object
            [
                "description", text "signals of an invented resonance"
                "references", object []
                "labels", JsonValue.ofTexts [ "mass" ]
                "digests", object [ "sha256", text digest ]
            ]

    object
        [
            "metadata", metadata
            "patches",
            JsonValue.List
                [
                    patch "light" 400 [| 6.1; 5.2; 2.1; 0.6 |]
                    patch "heavy" 900 [| 0.4; 1.1; 2.9; 4.8 |]
                ]
            "version", text "1.0.0"
        ]

write "histfactory/signals.json" signals

// ---- An effective theory: two processes that depend on three couplings

let channels =
    [
        "2l", [| 14.2; 9.1; 4.4 |], [| 5.2; 3.8; 2.1 |], [| 21.0; 11.0; 5.0 |]
        "3l", [| 3.1; 2.2 |], [| 8.3; 6.4 |], [| 6.0; 3.5 |]
    ]

let couplings = [ "cSM[1]"; "ctG[0,-2,2]"; "ctZ[0,-3,3]"; "cpt[0,-15,10]" ]

/// M = L Lᵀ with M_00 = 1: amplitudes that interfere. Later bins are more energetic, and feel the couplings more.
let scaling (process': int) (bin: int) : JsonValue =
    let n = couplings.Length
    let energy = 1.0 + 0.35 * float bin
    let sizes = [| 1.0; 0.45 * energy; 0.22 * energy; 0.06 |]
    let normals = Key.normals (n * n) (key |> Key.fold 7 |> Key.fold process')

    let root =
        Array2D.init n n (fun i j ->
            if i = 0 then
                (if j = 0 then 1.0 else 0.0)
            elif j > i then
                0.0
            else
                sizes[i] * (if i = j then 0.6 else 0.5 * tanh normals[i * n + j]))

    [|
        for i in 0 .. n - 1 do
            for j in 0..i -> round 6 (Seq.init n (fun k -> root[i, k] * root[j, k]) |> Seq.sum)
    |]
    |> JsonValue.Numbers

let eft =
    workspace
        ""
        []
        [
            for name, ttH, ttll, other in channels ->
                channel
                    name
                    [
                        sample
                            "ttH"
                            ttH
                            [
                                norm "qcd_ttH" 0.92 1.08
                                shape "jes" 0.01 0.05 ttH
                                statistics "staterror" $"mc_{name}" 0.02 ttH
                            ]
                        sample
                            "ttll"
                            ttll
                            [
                                norm "qcd_ttll" 0.9 1.1
                                shape "jes" 0.02 0.04 ttll
                                statistics "staterror" $"mc_{name}" 0.03 ttll
                            ]
                        sample
                            "other"
                            other
                            [
                                norm "other" 0.8 1.25
                                shape "jes" 0.0 0.08 other
                                statistics "staterror" $"mc_{name}" 0.2 other
                            ]
                    ]
        ]
        [
            for i, (name, ttH, ttll, other) in List.indexed channels ->
                observed name (20 + i) (sum [ ttH; ttll; other ])
        ]

write "eft/workspace.json" eft

write
    "eft/scalings.json"
    (JsonValue.List
        [
            for name, ttH, _, _ in channels do
                for index, process' in [ 0, "ttH"; 1, "ttll" ] ->
                    object
                        [
                            "channel", text name
                            "process", text process'
                            "parameters", JsonValue.ofTexts couplings
                            "scaling", JsonValue.List(List.init ttH.Length (scaling index))
                        ]
        ])
