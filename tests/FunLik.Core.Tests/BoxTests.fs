module FunLik.Tests.BoxTests

open System
open System.IO
open FsCheck
open FsCheck.FSharp
open FunLik
open FunLik.Tests.SamplingTargets
open Xunit

let private options = RunOptions.Single
let private key = Key.ofSeed 606

/// One parameter of interest and a nuisance, correlated: ΔNLL = ½ (x² + (t − 0.8 x)²/0.36), profiled at t = 0.8 x.
let private model =
    likelihood {
        let! x = poi "x" (flat -8.0 8.0)
        let! t = nuisance "t" (flat -20.0 20.0)
        do! gaussian [| 0.0; 0.0 |] [| 1.0; 0.6 |] (Expr.concat [ x; t - 0.8 * x ])
    }

let private objective = Objective.ofLikelihood model
let private centre = [| 0.0; 0.0 |]
let private usual = Box.design objective.Parameters 600

let private make (design: BoxDesign) : BoxLabels =
    Box.labels options (Box.plan options objective design centre key) 0 design.Labels

[<Fact>]
let ``profiled points of a box are exact labels on the ridge`` () =
    let found = make usual
    Assert.Equal(600, found.Set.Count)
    Assert.Equal(0, found.Lost + found.Outside)
    Assert.True(found.ProfileCalls.Values > 600L)

    let struct (values, gradients) =
        objective.ValuesAndGradients(found.Set.Points, options)

    Assert.Equal<float[]>(values, found.Set.LogDensity)
    Assert.Equal<float[]>(gradients, found.Set.Gradient)
    Assert.All(found.Set.Tags, fun tag -> Assert.Equal("box", tag))
    Assert.Equal<int[]>([| 0..599 |], found.Set.Chains)

    for r in 0..599 do
        Assert.Equal(0.8 * found.Set.Points[2 * r], found.Set.Points[2 * r + 1], 3)
        Assert.True(abs found.Set.Gradient[2 * r + 1] < 1e-3)

[<Fact>]
let ``frozen points stay at the centre in what the box does not span`` () =
    let found = make { usual with Others = BoxOthers.Frozen }
    Assert.Equal(ExactCalls.Zero, found.ProfileCalls)

    for r in 0 .. found.Set.Count - 1 do
        Assert.Equal(0.0, found.Set.Points[2 * r + 1])

let fills: seq<obj[]> = [ [| BoxFill.Sobol |]; [| BoxFill.Uniform |] ]

[<Theory; MemberData(nameof fills)>]
let ``weighted points stand for the box filled evenly, and more of them are where the density is high``
    (fill: BoxFill)
    =
    let sides = [ "x", -8.0, 8.0; "t", -6.0, 10.0 ]

    let design = { usual with Labels = 8_000; Sides = sides; Fill = fill; Inner = 0.6 }

    let plan = Box.plan options objective design centre key
    Assert.InRange(Box.levels plan, 2, 5)
    let set = (Box.labels options plan 0 design.Labels).Set
    let column i = Array.init set.Count (fun r -> set.Points[2 * r + i])

    let mean (f: int -> float) =
        Seq.sum (Seq.init set.Count (fun r -> set.Weights[r] * f r)) / float set.Count

    // Means over the box of 1, x, x² and t: 1, 0, 64/3 and 2. Weights are below 2.5 and spread by 1.2 at most: five standard errors of
    // independent points; Sobol's are nearer.
    let within (expected: float) (spread: float) (value: float) =
        Assert.InRange((value - expected) / (5.0 * spread / sqrt 8_000.0), -1.0, 1.0)

    mean (fun _ -> 1.0) |> within 1.0 1.3
    let x, t = column 0, column 1
    mean (fun r -> x[r]) |> within 0.0 8.0
    mean (fun r -> x[r] * x[r]) |> within (64.0 / 3.0) 45.0
    mean (fun r -> t[r]) |> within 2.0 9.0

    // The inner half of each side has a quarter of the area, and more than half of the points.
    let inner =
        Seq.init set.Count (fun r -> abs x[r] < 4.0 && t[r] > -3.0 && t[r] < 5.0)
        |> Seq.filter id
        |> Seq.length

    Assert.True(inner > set.Count / 2)
    Assert.True(set.Weights |> Array.forall (fun w -> w > 0.0 && w <= 2.5 + 1e-9))
    let even = make { design with Inner = 0.0; Labels = 500 }
    Assert.All(even.Set.Weights, fun w -> Assert.Equal(1.0, w))

[<Fact>]
let ``parts of a box are the box, on any number of threads`` () =
    let plan = Box.plan options objective usual centre key
    let whole = (Box.labels options plan 0 600).Set

    let parts =
        [ 0, 250; 250, 1; 251, 9999 ]
        |> List.map (fun (first, count) ->
            (Box.labels { options with Threads = 2 } plan first count).Set)

    Assert.Equal<float[]>(whole.Points, (LabelSet.concat whole.Parameters parts).Points)
    Assert.Equal(0, (Box.labels options plan 600 10).Set.Count)
    let other = Box.plan options objective usual centre (Key.ofSeed 607)
    Assert.NotEqual<float[]>(whole.Points, (Box.labels options other 0 600).Set.Points)

[<Fact>]
let ``points outside of the support give no labels and are counted`` () =
    let wedge =
        Objective.ofFunction
            [|
                ModelParameter.create "a" ParameterKind.Poi 0.0
                ModelParameter.create "b" ParameterKind.Poi 0.0
            |]
            (fun x ->
                if x[0] + x[1] > 1.0 then
                    -infinity
                else
                    -0.5 * (x[0] * x[0] + x[1] * x[1]))
            None

    let design =
        {
            Labels = 400
            Sides = [ "a", -2.0, 2.0; "b", -2.0, 2.0 ]
            Fill = BoxFill.Uniform
            Others = BoxOthers.Profiled
            Inner = 0.0
            FirstGroup = 0
        }

    let found =
        Box.labels options (Box.plan options wedge design [| 0.0; 0.0 |] key) 0 400

    Assert.Equal(400, found.Set.Count + found.Outside)
    // A triangle of sides 3 of a square of sides 4: 28 %.
    Assert.InRange(found.Outside, 75, 150)
    Assert.All(found.Set.LogDensity, fun y -> Assert.True(Double.IsFinite y))

[<Fact>]
let ``a box that makes no sense is refused, with all that is wrong`` () =
    let wrong =
        { usual with
            Labels = 0
            Inner = 1.0
            Sides = [ "x", 1.0, -1.0; "x", -1.0, 1.0; "u", 0.0, 1.0 ]
        }

    Assert.Equal(5, (Box.check objective.Parameters wrong).Length)

    Assert.Equal(
        1,
        (Box.check objective.Parameters { usual with Sides = [ "x", -1e3, 1e3 ] }).Length
    )

    Assert.Throws<FunLikException>(fun () -> make wrong |> ignore) |> ignore

[<Fact>]
let ``tempered chains give labels of the density itself, and weights back to it`` () =
    let beta = 0.5

    let design = { Design.posteriorOf 2 6000 with Chains = 20; TestChains = 4 }

    let centre = [| 1.0; 0.5 |]
    let tempered = Tempered.objective beta skewed.Objective
    let start = Design.start options tempered design centre key

    let steps =
        Tempered.labels options skewed.Objective beta design centre key start
        |> Array.ofSeq

    let set =
        steps |> Array.map _.Train |> List.ofArray |> LabelSet.concat [| "x0"; "x1" |]

    let test =
        steps |> Array.map _.Test |> List.ofArray |> LabelSet.concat [| "x0"; "x1" |]

    Assert.Equal(6000, set.Count)
    Assert.True(test.Count > 0)

    let struct (values, gradients) =
        skewed.Objective.ValuesAndGradients(set.Points, options)

    Assert.Equal<float[]>(values, set.LogDensity)
    Assert.Equal<float[]>(gradients, set.Gradient)
    Assert.All(set.Tags, fun tag -> Assert.Equal("tempered", tag))

    // Without weights points are those of the flatter density: the pull of x1 on x0²/2 is normal, of variance 1/β. Weighted, of variance 1.
    let pulls =
        Array.init set.Count (fun r -> (skewed.Parts(Array.sub set.Points (2 * r) 2))[1])

    let plain = pulls |> Array.averageBy (fun z -> z * z)
    Assert.InRange((plain - 2.0) / (2.0 * sqrt (2.0 / 6000.0)), -4.0, 4.0)
    let total = Array.sum set.Weights

    let weighted =
        Array.fold2 (fun s w z -> s + w * z * z) 0.0 set.Weights pulls / total

    let effective = total * total / Array.sumBy (fun w -> w * w) set.Weights
    Assert.InRange((weighted - 1.0) / sqrt (2.0 / effective), -4.0, 4.0)
    // exp(x0) has a gamma distribution of shape 3: its mean is 3.
    let mean =
        Seq.sum (Seq.init set.Count (fun r -> set.Weights[r] * exp set.Points[2 * r]))
        / total

    Assert.InRange((mean - 3.0) / sqrt (3.0 / effective), -4.5, 4.5)

    for beta in [ 0.0; -1.0; 1.5; nan ] do
        Assert.Throws<FunLikException>(fun () -> Tempered.objective beta skewed.Objective |> ignore)
        |> ignore

let private set (points: float list) (weights: float list) : LabelSet =
    let points = Array.ofList points
    let count = points.Length

    { LabelSet.create
          [| "x" |]
          "posterior"
          (Array.create count 0)
          points
          (Array.copy points)
          (Array.copy points) with
        Weights = Array.ofList weights
    }

[<Fact>]
let ``points that are there already are left out, and those that are there twice weigh twice`` () =
    let struct (first, known) =
        set [ 1.0; 2.0; 1.0; 3.0; 1.0 ] [ 1.0; 1.0; 0.5; 1.0; 2.0 ]
        |> LabelSet.distinct KnownPoints.Empty

    Assert.Equal<float[]>([| 1.0; 2.0; 3.0 |], first.Points)
    Assert.Equal<float[]>([| 3.5; 1.0; 1.0 |], first.Weights)

    let struct (second, both) =
        set [ 3.0; 4.0; 0.0; -0.0 ] [ 1.0; 1.0; 1.0; 1.0 ] |> LabelSet.distinct known

    Assert.Equal<float[]>([| 4.0; 0.0 |], second.Points)
    Assert.Equal<float[]>([| 1.0; 2.0 |], second.Weights)
    let struct (none, _) = LabelSet.distinct both first
    Assert.Equal(0, none.Count)

    let law (points: NormalFloat list) =
        let values = points |> List.map _.Get
        let ones = values |> List.map (fun _ -> 1.0)
        let struct (once, _) = set values ones |> LabelSet.distinct KnownPoints.Empty

        once.Count = (List.distinct values).Length
        && Array.sum once.Weights = float values.Length

    Check.One(Config.QuickThrowOnFailure, law)

[<Fact>]
let ``folders of labels from before weights are read, and every point counts once`` () =
    let folder = (Directory.CreateTempSubdirectory "funlik-labels-").FullName

    try
        let labels = set [ 1.0; 2.0 ] [ 1.0; 1.0 ]

        let manifest =
            LabelFiles.init [| ModelParameter.create "x" ParameterKind.Poi 0.0 |] []
            |> LabelFiles.append folder LabelUse.Train labels
            |> Error.orRaise

        // A table as it was: no last column.
        let path = Path.Combine(folder, manifest.Shards.Head.File)
        let table = (Npy.readFloats path |> Error.orRaise).Values |> Array.chunkBySize 8

        Npy.writeRows path 7 [ table |> Array.collect (Array.truncate 7) ]
        |> Error.orRaise
        |> ignore

        let hash =
            Convert.ToHexStringLower(Security.Cryptography.SHA256.HashData(File.ReadAllBytes path))

        let json = Path.Combine(folder, "labels.json")

        File.WriteAllText(
            json,
            File
                .ReadAllText(json)
                .Replace("funlik-labels/3", "funlik-labels/2")
                .Replace(manifest.Shards.Head.Sha256, hash)
        )

        let read = LabelFiles.read folder LabelUse.Train |> Error.orRaise
        Assert.Equal<float[]>(labels.Points, read.Points)
        Assert.Equal<int[]>(labels.Chains, read.Chains)
        Assert.Equal<float[]>([| 1.0; 1.0 |], read.Weights)
    finally
        Directory.Delete(folder, true)
