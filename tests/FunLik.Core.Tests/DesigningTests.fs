module FunLik.Tests.DesigningTests

open System
open System.IO
open System.Threading
open Xunit
open FunLik
open FunLik.Tests.DrawingTests

let private contents (folder: string) : (string * string) list =
    Directory.GetFiles folder
    |> Array.map (fun path -> Path.GetFileName path, Convert.ToBase64String(File.ReadAllBytes path))
    |> Array.sort
    |> List.ofArray

let private number (path: string list) (json: Json) : float =
    path
    |> List.fold (fun json name -> json |> Json.property name |> Error.orRaise) json
    |> Json.float
    |> Error.orRaise

let private read (folder: string) (labelUse: LabelUse) : LabelSet =
    LabelFiles.read folder labelUse |> Error.orRaise

let private all = "posterior=0.7,ridge=0.1,box=0.1,tempered=0.1"

[<Fact>]
let ``labels by several designs are exact, as many as their shares, and each knows its design and weight``
    ()
    =
    inFolder (fun folder ->
        let code, said =
            answer
                folder
                never
                1
                $"sample --model @/model.json --design {all} --labels 1200 --chains 16 --seed 3 --out @/labels"

        Assert.Equal(0, code)

        let train, test =
            read $"{folder}/labels" LabelUse.Train, read $"{folder}/labels" LabelUse.Test

        for tag, count in [ "posterior", 840; "ridge", 120; "box", 120; "tempered", 120 ] do
            let found = train.Tags |> Array.filter ((=) tag) |> Array.length
            // Points that chains give twice are one, of a larger weight.
            Assert.InRange(found, count * 9 / 10, count)
            Assert.Equal(float found, number [ "labels"; tag ] said)

        // Duplicates are those of test labels, too.
        let left = 1200.0 - float train.Count - number [ "lost" ] said
        Assert.InRange(left, 0.0, number [ "duplicates" ] said)
        Assert.True(test.Count > 0)
        let exact = ModelFile.load $"{folder}/model.json" ModelOptions.None |> Error.orRaise
        let objective = Objective.ofLikelihood exact

        for set in [ train; test ] do
            let struct (values, gradients) =
                objective.ValuesAndGradients(set.Points, RunOptions.Single)

            Assert.Equal<float[]>(values, set.LogDensity)
            Assert.Equal<float[]>(gradients, set.Gradient)
            Assert.All(set.Main, fun y -> Assert.True(Double.IsFinite y))

        let weights (tag: string) =
            Array.zip train.Tags train.Weights
            |> Array.filter (fst >> (=) tag)
            |> Array.map snd

        Assert.All(weights "ridge", fun w -> Assert.Equal(1.0, w))
        // 1 at the best fit; points that chains gave several times weigh as often.
        Assert.All(weights "tempered", fun w -> Assert.InRange(w, 0.0, 8.0))
        Assert.True((Array.distinct (weights "tempered")).Length > 100)
        Assert.True(number [ "exactCalls" ] said > 1200.0)

        // Groups of different designs are not the same.
        let groups = Array.zip train.Tags train.Chains |> Array.distinct
        Assert.Equal(groups.Length, groups |> Array.distinctBy snd |> Array.length)

        // They are learnt from like any.
        Assert.Equal<string[]>(train.Parameters, objective.Parameters |> Array.map _.Name))

[<Fact>]
let ``labels by designs that were interrupted are those of one run, and another seed adds to them``
    ()
    =
    inFolder (fun folder ->
        let line =
            $"sample --model @/model.json --design {all} --labels 9000 --chains 16 --fill uniform --out @"

        let code, whole = answer folder never 1 $"{line}/whole --seed 5"
        Assert.Equal(0, code)
        let mutable interruptions = 0

        // In the second piece of the posterior, along the ridge, in the box, and at the first piece of tempered chains.
        for stage, place in
            [
                "warming up", 30
                "taking labels", 2
                "profiling along the ridge", 1
                "filling the box", 1
                "taking labels", 1
            ] do
            let mutable seen = 0

            let cancels (progress: Progress) : bool =
                if progress.Stage = stage then
                    seen <- seen + 1

                seen = place

            try
                answer folder cancels 2 $"{line}/parts --seed 5" |> ignore
            with :? OperationCanceledException ->
                interruptions <- interruptions + 1

        Assert.True(interruptions >= 4)
        let code, parts = answer folder never 2 $"{line}/parts --seed 5"
        Assert.Equal(0, code)
        Assert.Equal(number [ "exactCalls" ] whole, number [ "exactCalls" ] parts)

        Assert.Equal<(string * string) list>(
            contents $"{folder}/whole",
            contents $"{folder}/parts"
        )

        Assert.Empty(Directory.GetFiles($"{folder}/parts", "chains-*"))

        // The same again changes nothing; another seed adds.
        let before = read $"{folder}/parts" LabelUse.Train

        answer folder never 1 $"{line}/parts --seed 5"
        |> fst
        |> fun code -> Assert.Equal(0, code)

        Assert.Equal<(string * string) list>(
            contents $"{folder}/whole",
            contents $"{folder}/parts"
        )

        let code, _ =
            answer
                folder
                never
                1
                "sample --model @/model.json --design box --labels 300 --seed 6 --frozen --side mu,0,4 --out @/parts"

        Assert.Equal(0, code)
        let after = read $"{folder}/parts" LabelUse.Train
        Assert.Equal(before.Count + 300, after.Count)
        Assert.Equal<float[]>(before.Points, after.Points[.. before.Points.Length - 1])
        let added = after.Chains[before.Count ..]
        Assert.True(Array.min added > Array.max before.Chains))

[<Fact>]
let ``a folder of another model's labels is not touched`` () =
    inFolder (fun folder ->
        let line = "--design ridge --labels 60 --out @/labels"
        Assert.Equal(0, fst (answer folder never 1 $"sample --model @/model.json {line}"))
        let before = contents $"{folder}/labels"
        File.WriteAllText($"{folder}/other.json", model.Replace("6.2", "6.3"))
        Assert.Equal(2, fst (answer folder never 1 $"sample --model @/other.json {line}"))
        Assert.Equal<(string * string) list>(before, contents $"{folder}/labels"))

[<Fact>]
let ``chains that do not agree give exit code 3 unless that is allowed`` () =
    inFolder (fun folder ->
        let line = "sample --model @/model.json --ess 1e6 --most 100 --chains 4"
        Assert.Equal(3, fst (answer folder never 1 $"{line} --out @/a"))
        let code, said = answer folder never 1 $"{line} --allow-unconverged --out @/b"
        Assert.Equal(0, code)
        Assert.Equal("not converged", Json.field "status" Json.text said |> Error.orRaise))

[<Fact>]
let ``shares of labels add up`` () =
    let parts shares = shares |> List.map (fun s -> LabelDesign.Ridge, s)
    Assert.Equal<int list>([ 4; 3; 3 ], Designing.counts 10 (parts [ 1.0; 1.0; 1.0 ]))
    Assert.Equal<int list>([ 67; 33 ], Designing.counts 100 (parts [ 2.0; 1.0 ]))
    Assert.Equal<int list>([ 1; 0 ], Designing.counts 1 (parts [ 0.6; 0.4 ]))
