module FunLik.Tests.DesignTests

open System
open System.IO
open FSharp.NativeInterop
open FsCheck
open FsCheck.FSharp
open FunLik
open FunLik.Tests.SamplingTargets
open Xunit

#nowarn "9"

let private design: PosteriorDesign =
    { Design.posteriorOf 2 1500 with Chains = 20; TestChains = 4; ShardDraws = 30 }

let private key = Key.ofSeed 2020

let private start (design: PosteriorDesign) : PosteriorState =
    Design.start RunOptions.Single skewed.Objective design [| 1.0; 0.5 |] key

let private posterior (state: PosteriorState) : PosteriorStep[] =
    Design.posterior RunOptions.Single skewed.Objective design key state
    |> Array.ofSeq

let private all (part: PosteriorStep -> LabelSet) (steps: PosteriorStep[]) : LabelSet =
    steps |> Array.map part |> List.ofArray |> LabelSet.concat [| "x0"; "x1" |]

let private inFolder (action: string -> unit) : unit =
    let folder = Directory.CreateTempSubdirectory "funlik-labels-"

    try
        action folder.FullName
    finally
        folder.Delete true

[<Fact>]
let ``a posterior design gives the labels asked for, exact, and tests of other chains`` () =
    let steps = start design |> posterior
    let last = (Array.last steps).State
    let train, test = all _.Train steps, all _.Test steps
    Assert.Equal(PosteriorStage.Finished, last.Stage)
    Assert.Equal(1500, train.Count)
    Assert.Equal(4 * last.Kept, test.Count)
    Assert.Equal<int[]>([| 0..15 |], Array.distinct train.Chains |> Array.sort)
    Assert.Equal<int[]>([| 16..19 |], Array.distinct test.Chains |> Array.sort)

    for set in [ train; test ] do
        let struct (values, gradients) =
            skewed.Objective.ValuesAndGradients(set.Points, RunOptions.Single)

        Assert.Equal<float[]>(values, set.LogDensity)
        Assert.Equal<float[]>(gradients, set.Gradient)
        Assert.All(set.Tags, fun tag -> Assert.Equal("posterior", tag))

    // Thinned draws are nearly independent: the limits are those of independent ones, which fail
    // with a probability of 1.2e-4 each.
    for i in 0..1 do
        let uniform =
            Array.chunkBySize 2 train.Points
            |> Array.map (fun x ->
                let parts = skewed.Parts x
                skewed.Cdfs[i] parts[i])

        Assert.True(kolmogorov id uniform < kolmogorovLimit)

let kinds: seq<obj[]> = SamplerKind.names |> Seq.map (fun (name, _) -> [| name |])

[<Theory; MemberData(nameof kinds)>]
let ``with every sampler a posterior design gives exact labels and counts every evaluation``
    (name: string)
    =
    let kind = SamplerKind.names |> List.find (fst >> (=) name) |> snd
    let mutable asked = ExactCalls.Zero

    let counted =
        { new Objective(skewed.Objective.Parameters) with
            member _.HasGradient = true
            member _.Expression = None

            member _.Evaluate(rows, points, values, gradients, options) =
                let withGradient = not (NativePtr.isNullPtr gradients)

                asked <-
                    asked
                    + { Values = int64 rows; Gradients = if withGradient then int64 rows else 0L }

                skewed.Objective.Evaluate(rows, points, values, gradients, options)
        }

    let design =
        { design with
            Sampler = kind
            TestChains = if SamplerKind.isEnsemble kind then 0 else 4
        }

    let steps =
        Design.start RunOptions.Single counted design [| 1.0; 0.5 |] key
        |> Design.posterior RunOptions.Single counted design key
        |> Array.ofSeq

    let last = (Array.last steps).State
    Assert.Equal(PosteriorStage.Finished, last.Stage)
    Assert.Equal(asked, last.TuningCalls + last.SamplingCalls)
    let train = all _.Train steps
    Assert.Equal(1500, train.Count)

    let struct (values, gradients) =
        skewed.Objective.ValuesAndGradients(train.Points, RunOptions.Single)

    Assert.Equal<float[]>(values, train.LogDensity)
    Assert.Equal<float[]>(gradients, train.Gradient)

[<Fact>]
let ``an ensemble has no test chains, and walkers enough`` () =
    let ensemble = { design with Sampler = SamplerKind.Stretch }
    Assert.Equal(1, (Design.check 2 ensemble).Length)
    Assert.Equal(0, (Design.check 2 { ensemble with TestChains = 0 }).Length)

    let few =
        { Design.posteriorOf 20 1500 with
            Sampler = SamplerKind.Stretch
            Chains = 20
            TestChains = 0
        }

    Assert.Equal(1, (Design.check 20 few).Length)

[<Fact>]
let ``a posterior design taken up from any state is the same`` () =
    let steps = start design |> posterior

    for at in [ 0; 100; 199; steps.Length - 3; steps.Length - 1 ] do
        Assert.Equal<PosteriorStep[]>(steps[at + 1 ..], posterior steps[at].State)

[<Fact>]
let ``a posterior design without convergence gives no labels and says so`` () =
    let strict = { design with RHat = 0.5; MostPilotDraws = 60 }

    let steps =
        Design.posterior RunOptions.Single skewed.Objective strict key (start strict)

    Assert.Equal(PosteriorStage.NotConverged, (Seq.last steps).State.Stage)
    Assert.Equal(0, (Seq.sumBy (fun s -> s.Train.Count + s.Test.Count) steps))

[<Fact>]
let ``a posterior design reports all of its mistakes`` () =
    let spoiled =
        { design with Labels = 0; TestChains = 20; MostPilotDraws = 1; ShardDraws = 0 }

    let errors =
        Assert.Throws<FunLikException>(fun () -> start spoiled |> ignore).Errors

    Assert.Equal(4, errors.Length)

let private parameters (names: string[]) : ModelParameter[] =
    names
    |> Array.map (fun name -> ModelParameter.create name ParameterKind.Nuisance 0.5)

let private labels (rows: int) (seed: int) : LabelSet =
    let numbers (count: int) (part: int) = Key.normals count (Key.fold part (Key.ofSeed seed))

    {
        Parameters = [| "mu"; "tau" |]
        Points = numbers (2 * rows) 0
        LogDensity = numbers rows 1
        Constraint = numbers rows 3
        Prior = numbers rows 4
        Gradient = numbers (2 * rows) 2
        Tags = Array.init rows (fun r -> if r % 3 = 0 then "ridge" else "posterior")
        Chains = Array.init rows (fun r -> r % 5)
        Weights = numbers rows 5
    }

[<Fact>]
let ``labels come back from disk as they were, sorted by use and design`` () =
    inFolder (fun folder ->
        let law (NonNegativeInt rows) (NonNegativeInt others) (seed: int) =
            let train, test = labels rows seed, labels others (seed + 1)

            let written =
                LabelFiles.init (parameters train.Parameters) [ "thin", JsonValue.Int 2L ]
                |> LabelFiles.append folder LabelUse.Train train
                |> Result.bind (LabelFiles.append folder LabelUse.Test test)
                |> Result.bind (LabelFiles.append folder LabelUse.Train test)
                |> Error.orRaise

            let sorted (set: LabelSet) : LabelSet =
                let ridge, posterior =
                    Array.init set.Count id |> Array.partition (fun r -> set.Tags[r] = "ridge")

                LabelSet.rows (Array.append ridge posterior) set

            let read labelUse = LabelFiles.read folder labelUse |> Error.orRaise

            written.Shards.IsEmpty
            || (read LabelUse.Test = sorted test
                && read LabelUse.Train =
                    LabelSet.concat train.Parameters [ sorted train; sorted test ])

        Check.One(Config.QuickThrowOnFailure.WithMaxTest 20, law))

[<Fact>]
let ``files of labels that were changed are refused`` () =
    inFolder (fun folder ->
        let manifest =
            LabelFiles.init (parameters [| "mu"; "tau" |]) []
            |> LabelFiles.append folder LabelUse.Train (labels 10 1)
            |> Error.orRaise

        let path = Path.Combine(folder, "labels.json")
        let text = File.ReadAllText path
        let shard = Path.Combine(folder, manifest.Shards.Head.File)

        let refused (kind: ErrorKind) =
            match LabelFiles.read folder LabelUse.Train with
            | Ok _ -> Assert.Fail "read"
            | Result.Error errors ->
                Assert.Equal(kind, errors.Head.Kind)
                Assert.True errors.Head.File.IsSome

        let spoil (before: string) (after: string) (kind: ErrorKind) =
            Assert.Contains(before, text)
            File.WriteAllText(path, text.Replace(before, after))
            refused kind
            File.WriteAllText(path, text)

        let more =
            ParameterJson.write (ModelParameter.create "more" ParameterKind.Poi 0.0)
            |> JsonValue.toLine
            |> fun object -> object + ","

        spoil "funlik-labels/3" "funlik-labels/9" ErrorKind.Schema
        spoil "\"parameters\": [" ("\"parameters\": [" + more) ErrorKind.Shape
        spoil manifest.Shards.Head.File "../labels.npy" ErrorKind.Value
        spoil "\"train\"" "\"idle\"" ErrorKind.Schema
        spoil "\"rows\": " "\"rows\": 1" ErrorKind.Shape
        let bytes = File.ReadAllBytes shard
        bytes[bytes.Length - 20] <- bytes[bytes.Length - 20] ^^^ 1uy
        File.WriteAllBytes(shard, bytes)
        refused ErrorKind.Value
        File.Delete shard
        refused ErrorKind.FileMissing
        File.Delete path
        refused ErrorKind.FileMissing)

[<Fact>]
let ``labels of other parameters do not go together`` () =
    let other = { labels 3 2 with Parameters = [| "mu"; "nu" |] }

    Assert.Throws<FunLikException>(fun () ->
        LabelSet.concat [| "mu"; "tau" |] [ labels 3 1; other ] |> ignore)
    |> ignore

    inFolder (fun folder ->
        let result =
            LabelFiles.init (parameters [| "mu"; "tau" |]) []
            |> LabelFiles.append folder LabelUse.Train other

        Assert.True result.IsError
        Assert.Empty(Directory.GetFiles folder))

// Five means and five standard deviations; each limit is passed with a probability of 1e-4 for a random key.
[<SharedFact("data/lhc-toy.json")>]
let ``the posterior of the papers' search has its exact means and widths`` () =
    let model =
        ModelFile.load (Support.sharedFile "data/lhc-toy.json") ModelOptions.None
        |> Error.orRaise

    let objective = Objective.ofLikelihood model
    let design = Design.posteriorOf objective.Count 12000
    let origin = objective.Parameters |> Array.map _.Nominal

    let steps =
        Design.start RunOptions.AllCores objective design origin key
        |> Design.posterior RunOptions.AllCores objective design key
        |> Array.ofSeq

    let last = (Array.last steps).State
    Assert.Equal(PosteriorStage.Finished, last.Stage)
    let names = objective.Parameters |> Array.map _.Name
    let train = steps |> Seq.map _.Train |> List.ofSeq |> LabelSet.concat names
    Assert.Equal(12000, train.Count)

    // LHC-TOY.md, section 2: by quadrature.
    let exact =
        [
            "mu", 0.22864, 0.34843
            "isr", -0.41914, 0.62567
            "jes", -0.40705, 0.70579
            "lv", 0.01663, 0.57537
            "cr", 0.04725, 0.43340
        ]

    for name, mean, deviation in exact do
        let i = Array.IndexOf(names, name)
        let draws = Array.init train.Count (fun r -> train.Points[r * names.Length + i])

        let chains =
            Array.zip train.Chains draws
            |> Array.groupBy fst
            |> Array.map (snd >> Array.map snd)

        let shortest = chains |> Array.map _.Length |> Array.min
        let d = chains |> Array.map (Array.truncate shortest) |> Diagnostics.diagnose name
        Assert.True(d.Ess > 4000.0)
        Assert.True(abs (d.Mean - mean) < normalLimit * d.MeanError)

        Assert.True(abs (d.StandardDeviation - deviation) < normalLimit * d.StandardDeviationError)
