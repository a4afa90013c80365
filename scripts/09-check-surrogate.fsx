// Property-based checks of a published surrogate: what it should obey, at points drawn for that, by FunLik's own runner and by FsCheck, which
// shrink what fails toward the best fit.
//
//     dotnet fsi scripts/09-check-surrogate.fsx [BUNDLE MODEL [WITHIN]]
//
// Without a bundle a small one is learnt first, from the counting example.

#load "prelude.fsx"
#r "../tests/FunLik.Core.Tests/bin/Release/net10.0/FsCheck.dll"
#load "PointArbitrary.fs"

open System
open System.IO
open FsCheck
open FunLik
open FunLik.PropertyTesting

let require (what: string) (condition: bool) : unit =
    if not condition then
        failwith $"not so: {what}"

let options = RunOptions.AllCores

// ---- A bundle, and the exact model that it stands for.

/// Learns the counting example into a folder: what `funlik train` does.
let learn (folder: string) : string * string =
    let model =
        Path.Combine(__SOURCE_DIRECTORY__, "..", "examples", "counting", "model.json")

    let context: VerbContext =
        {
            Options = options
            Progress = ignore
            Clock = fun () -> DateTimeOffset.UnixEpoch
        }

    let request: TrainRequest =
        {
            Source = { Model = Some { File = model; Options = ModelOptions.None }; Data = None }
            Recipe =
                { Recipe.funlik with
                    Hidden = [ 48; 48 ]
                    BatchSize = 64
                    Length = TrainingLength.Epochs 150
                }
            Evaluations = Some 8000
            Seed = 1
            Out = folder
        }

    Learning.run context request |> Error.orRaise |> ignore
    Path.Combine(folder, "bundle"), model

let temporary = Directory.CreateTempSubdirectory().FullName

/// How far from the exact model a surrogate may be: not very near for one that was learnt in seconds.
let bundlePath, modelPath, bound =
    match List.ofArray fsi.CommandLineArgs |> List.tail with
    | [ bundle; model ] -> bundle, model, AgreementBound.Default
    | [ bundle; model; within ] ->
        bundle, model, { AgreementBound.Default with Absolute = float within }
    | _ ->
        let bundle, model = learn temporary
        bundle, model, { Absolute = 0.25; Relative = 0.05 }

let bundle = Bundle.read bundlePath |> Error.orRaise
let exact = ModelFile.load modelPath ModelOptions.None |> Error.orRaise
Directory.Delete(temporary, true)

// ---- The properties that every bundle can be held to, and its domain: the region of the card, the best fit, the ridge.

let ready = Checking.prepare options bound bundle exact |> Error.orRaise

let domain = ready.Domain

for line in
    [
        $"{bundle.Card.Model}: {domain.Parameters.Length} parameters, {domain.Ridge.Length} points of the ridge"
        ""
    ] do
    printfn $"{line}"

let outcomes =
    ready.Properties
    |> List.map (fun property ->
        property, Properties.check options 1000 (Key.ofSeed 1) domain property)

for property, outcome in outcomes do
    for line in Properties.describe domain property outcome do
        printfn $"{line}"

require
    "no property is falsified"
    (outcomes |> List.forall (fun (_, outcome) -> not outcome.IsFalsified))

// ---- The same by FsCheck: its seeds, its runner, its shrinking. A replay makes the run the same each time.

let config =
    Config.QuickThrowOnFailure
        .WithReplay(Some { Rnd = Rnd(1UL, 3UL); Size = None })
        .WithMaxTest(200)

printfn ""

for property, outcome in outcomes do
    match outcome with
    | PropertyOutcome.NotChecked _ -> ()
    | _ ->
        Check.One(config, PointArbitrary.toProperty options domain property)
        printfn $"FsCheck agrees: {property.Name}"

// ---- What a counter-example looks like: a surrogate that knows nothing of half a unit beyond one standard deviation.

let learnt = Objective.ofLikelihood bundle.Likelihood
let deviation = (Metric.widths domain.Metric)[0]

let spoiled =
    Objective.ofFunction
        domain.Parameters
        (fun x ->
            let y = learnt.Values(x, RunOptions.Single)[0]
            if x[0] > domain.Best[0] + deviation then y - 0.5 else y)
        None

let property =
    SurrogateProperty.agreement
        { Absolute = 0.25; Relative = 0.0 }
        ready.Exact.LogDensity
        (Objective.ofLikelihood exact)
        spoiled

let outcome = Properties.check options 1000 (Key.ofSeed 1) domain property
printfn ""

for line in Properties.describe domain property outcome do
    printfn $"{line}"

match outcome with
| PropertyOutcome.Falsified e ->
    let moved =
        Array.map2 (fun (a: float) b -> a <> b) e.Shrunk domain.Best |> Array.filter id

    require "all parameters but the guilty one are at the best fit" (moved.Length = 1)
| _ -> require "the spoiled surrogate is falsified" false
