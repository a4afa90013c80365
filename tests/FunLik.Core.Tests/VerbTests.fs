module FunLik.Tests.VerbTests

open System
open System.IO
open Xunit
open FunLik

let private context: VerbContext =
    {
        Options = RunOptions.Single
        Progress = ignore
        Clock = fun () -> DateTimeOffset.UnixEpoch
    }

let private model =
    """{"kind": "counting", "name": "one channel",
        "poi": {"name": "mu", "bounds": [-1, 10], "nominal": 1},
        "channels": [{"name": "SR", "observed": [25, 14], "signal": [6.2, 4.0], "background": [14.0, 9.0],
                      "relativeUncertainty": [0.2, 0.3]}]}"""

let private recipe: Lazy<string> =
    lazy
        ({ Recipe.funlik with
            Hidden = [ 16 ]
            BatchSize = 32
            Length = TrainingLength.Epochs 150
         }
         |> RecipeJson.write
         |> JsonValue.toLine)

let private inFolder (test: string -> unit) : unit =
    let folder = Directory.CreateTempSubdirectory().FullName

    try
        File.WriteAllText(Path.Combine(folder, "model.json"), model)
        File.WriteAllText(Path.Combine(folder, "recipe.json"), recipe.Value)
        test folder
    finally
        Directory.Delete(folder, true)

/// What a command line answers: its exit code, and its JSON. `@` stands for the folder.
let private answer (folder: string) (line: string) : int * Json =
    let words = line.Split ' ' |> Array.map (fun word -> word.Replace("@", folder))
    let outcome = Commands.run context (Array.append words [| "--json" |])
    use stream = new MemoryStream()
    outcome.Output stream
    let text = Text.Encoding.UTF8.GetString(stream.ToArray())
    Assert.EndsWith("}\n", text)
    outcome.ExitCode, Json.parse text |> Error.orRaise

let rec private at (path: string list) (json: Json) : Json =
    path
    |> List.fold (fun json name -> json |> Json.property name |> Error.orRaise) json

let private number (path: string list) (json: Json) : float =
    at path json |> Json.float |> Error.orRaise

let private text (path: string list) (json: Json) : string =
    at path json |> Json.text |> Error.orRaise

[<Fact>]
let ``draws are taken until they are enough, learnt from, and what was learnt is checked`` () =
    inFolder (fun folder ->
        let code, sampled =
            answer folder "sample --model @/model.json --ess 500 --seed 4 --out @/draws"

        Assert.Equal(0, code)
        Assert.True(number [ "minEss" ] sampled >= 500.0)
        Assert.True(number [ "maxRhat" ] sampled <= 1.01)

        // What is on disk is what was drawn, with parts that add up.
        let labels = LabelFiles.read $"{folder}/draws" LabelUse.Train |> Error.orRaise
        Assert.Equal(number [ "draws" ] sampled, float labels.Count)
        let exact = ModelFile.load $"{folder}/model.json" ModelOptions.None |> Error.orRaise
        let values = (Objective.ofLikelihood exact).Values(labels.Points, RunOptions.Single)
        Assert.Equal<float[]>(values, labels.LogDensity)
        let parts = (Likelihood.parts exact).Constraint.Value

        let constraints =
            (Objective.session exact [ "c", parts ])
                .Evaluate(labels.Count, [| labels.Points |], RunOptions.Single)

        Assert.Equal<float[]>(constraints[0], labels.Constraint)

        // From the draws alone.
        let code, learnt =
            answer
                folder
                "train --data @/draws --recipe @/recipe.json --evaluations 400 --out @/alone"

        Assert.Equal(0, code)
        Assert.Equal(400.0, number [ "labels" ] learnt)
        Assert.Equal(number [ "exactCalls" ] sampled, number [ "exactCalls"; "sampling" ] learnt)
        let card = (text [ "bundle" ] learnt |> Bundle.read |> Error.orRaise).Card

        for slice in card.Metrics do
            Assert.True(slice.Surrogate.Mse < 0.5 * slice.Quadratic.Mse)

        // Weighted by the exact density over what was learnt, draws hardly change: they were the exact one's.
        let code, weighed =
            answer
                folder
                $"""reweight @/draws --from {text [ "bundle" ] learnt} --to @/model.json"""

        Assert.Equal(0, code)
        Assert.InRange(number [ "kish" ] weighed / number [ "draws" ] weighed, 0.9, 1.0)

        // From the draws, checked along the ridge against the model.
        let code, checked' =
            answer
                folder
                "train --data @/draws --model @/model.json --recipe @/recipe.json --evaluations 400 --out @/both"

        Assert.Equal(0, code)
        Assert.True(number [ "exactCalls"; "validation" ] checked' > 0.0)

        let both = (text [ "bundle" ] checked' |> Bundle.read |> Error.orRaise).Card

        Assert.Equal<string list>([ "posterior"; "ridge" ], both.Metrics |> List.map _.Slice)

        let posterior = both.Metrics.Head
        Assert.True(posterior.Surrogate.Mse < 0.5 * posterior.Quadratic.Mse))

[<Fact>]
let ``a surrogate of a model is checked anew, verified, and refused when it was changed`` () =
    inFolder (fun folder ->
        let line =
            "train --model @/model.json --recipe @/recipe.json --evaluations 600 --seed 2 --out @/out"

        let code, learnt = answer folder line
        Assert.Equal(0, code)
        let bundle = text [ "bundle" ] learnt
        let calls name = number [ "exactCalls"; name ] learnt

        Assert.Equal(
            calls "total",
            [ "mode"; "sampling"; "labels"; "interactions"; "validation" ]
            |> List.sumBy calls
        )

        // A value and a gradient each of the labels along the ridge; those of the posterior are among the draws.
        Assert.Equal(400.0, calls "labels")
        let code, again = answer folder line
        Assert.Equal(0, code)
        Assert.Equal(JsonValue.toLine (Json.toValue learnt), JsonValue.toLine (Json.toValue again))

        // Its intervals within what it learnt, found again with the model.
        let code, bounded =
            answer
                folder
                $"interval {bundle} --against @/model.json --parameter mu --from 0.5 --to 2"

        Assert.Equal(0, code)

        let crossings = at [ "crossings" ] bounded |> Json.items |> Error.orRaise
        Assert.NotEmpty crossings

        for crossing in crossings do
            Assert.InRange(abs (number [ "shift" ] crossing), 0.0, 0.1)

        // Other points, the same accuracy: within a factor that only a wrong comparison passes.
        let code, validated =
            answer folder $"validate {bundle} --against @/model.json --seed 9"

        Assert.Equal(0, code)

        for slice in (Bundle.read bundle |> Error.orRaise).Card.Metrics do
            let mae = number [ slice.Slice; "mae" ] validated
            Assert.InRange(mae, slice.Surrogate.Mae / 4.0, slice.Surrogate.Mae * 4.0)

            Assert.True(
                number [ slice.Slice; "quadraticMse" ] validated >
                    number [ slice.Slice; "mse" ] validated
            )

        Assert.Equal(
            number [ "tMuError"; "mu" ] learnt,
            number [ "profile"; "tMuError" ] validated,
            6
        )

        let accurate = number [ "accurate" ] learnt
        Assert.InRange(number [ "accurate" ] validated, accurate - 0.2, accurate + 0.2)

        let code, verified = answer folder $"verify {bundle}"
        Assert.Equal(0, code)
        Assert.InRange(number [ "largestDifference" ] verified, 0.0, 1e-6)

        // Its properties; and that it is no surrogate of other data.
        let outcomes (checked': Json) : Map<string, string> =
            at [ "properties" ] checked'
            |> Json.items
            |> Error.orRaise
            |> List.map (fun p -> text [ "name" ] p, text [ "outcome" ] p)
            |> Map.ofList

        let code, held = answer folder $"check {bundle} --against @/model.json --points 300"
        Assert.Equal((if text [ "status" ] held = "passed" then 0 else 3), code)

        for name in [ "stated bound"; "gradient"; "batch independence"; "maximum" ] do
            Assert.Equal("passed", (outcomes held)[name])

        Assert.NotEqual<string>("falsified", (outcomes held)["ONNX Runtime"])
        File.WriteAllText($"{folder}/shifted.json", model.Replace("25", "29"))

        let code, falsified =
            answer folder $"check {bundle} --against @/shifted.json --points 50"

        Assert.Equal(3, code)
        Assert.Equal("falsified", text [ "status" ] falsified)
        Assert.Equal("falsified", (outcomes falsified)["agreement"])
        Assert.Equal("passed", (outcomes falsified)["gradient"])

        // The surrogate's intervals, found again with the model: the same as the model's own.
        let code, again =
            answer
                folder
                $"interval {bundle} --against @/model.json --parameter mu --from 0 --to 3.4"

        Assert.Equal(0, code)
        Assert.True(number [ "exactCalls" ] again > 0.0)
        let _, exact = answer folder "interval --model @/model.json --parameter mu"

        let ends =
            [
                for interval in at [ "intervals" ] exact |> Json.items |> Error.orRaise do
                    let piece =
                        at [ "pieces" ] interval |> Json.items |> Error.orRaise |> List.exactlyOne

                    number [ "low" ] piece
                    number [ "high" ] piece
            ]

        let crossings = at [ "crossings" ] again |> Json.items |> Error.orRaise
        Assert.Equal(4, crossings.Length)

        for crossing, expected in List.zip crossings ends do
            Assert.Equal(expected, number [ "exact" ] crossing, 5)

            Assert.Equal(
                number [ "exact" ] crossing - number [ "surrogate" ] crossing,
                number [ "shift" ] crossing,
                12
            )

        let code, inspected = answer folder $"inspect {bundle}"
        Assert.Equal(0, code)
        Assert.Equal("surrogate", text [ "kind" ] inspected)

        // Against a model of other parameters.
        File.WriteAllText($"{folder}/other.json", model.Replace("\"mu\"", "\"nu\""))

        for line in [ $"validate {bundle}"; $"interval {bundle} --parameter mu" ] do
            let code, refused = answer folder $"{line} --against @/other.json"
            Assert.Equal(2, code)
            Assert.Equal("name", text [ "error"; "kind" ] refused)

        let onnx = Path.Combine(bundle, "model.onnx")
        let bytes = File.ReadAllBytes onnx
        bytes[bytes.Length / 2] <- bytes[bytes.Length / 2] ^^^ 1uy
        File.WriteAllBytes(onnx, bytes)
        let code, refused = answer folder $"verify {bundle}"
        Assert.Equal(2, code)
        Assert.Equal(onnx, text [ "error"; "file" ] refused))

[<Fact>]
let ``draws that are not enough say so, and are kept`` () =
    inFolder (fun folder ->
        let code, sampled =
            answer
                folder
                "sample --model @/model.json --ess 1e6 --most 100 --chains 4 --out @/draws"

        Assert.Equal(3, code)
        Assert.Equal("not converged", text [ "status" ] sampled)

        Assert.Equal(
            400,
            (LabelFiles.read $"{folder}/draws" LabelUse.Train |> Error.orRaise).Count
        ))

[<Fact>]
let ``profile, interval, contour and impacts agree with each other`` () =
    inFolder (fun folder ->
        let ask (line: string) : Json =
            let code, json = answer folder line
            Assert.Equal(0, code)
            json

        let items (path: string list) (json: Json) : Json list =
            at path json |> Json.items |> Error.orRaise

        let found = ask "interval --model @/model.json --parameter mu"
        let first = items [ "intervals" ] found |> List.head
        let piece = items [ "pieces" ] first |> List.exactlyOne
        let low, high = number [ "low" ] piece, number [ "high" ] piece
        let best = number [ "best" ] found
        Assert.Equal("crossing", text [ "highEnd" ] piece)
        Assert.Equal("68.27 % (twice ΔNLL 1, 1 parameter)", text [ "label" ] first)
        Assert.Equal(number [ "minus" ] found, low - best)
        Assert.Equal(number [ "plus" ] found, high - best)

        // At both ends the profile is ½ below its largest value, with a slope toward the middle.
        let points =
            $"{{\"parameters\": [\"mu\"], \"points\": [[{low:R}], [{best:R}], [{high:R}]]}}"

        File.WriteAllText(Path.Combine(folder, "points.json"), points)
        let profile = ask "profile --model @/model.json --keep mu --points @/points.json"
        let values = at [ "logDensity" ] profile |> Json.list Json.float |> Error.orRaise

        for k in [ 0; 2 ] do
            Assert.Equal(0.5, values[1] - values[k], 6)

        let slopes =
            items [ "gradient" ] profile
            |> List.map (Json.list Json.float >> Error.orRaise >> List.exactlyOne)

        Assert.True(slopes[0] > 0.0 && abs slopes[1] < 1e-4 && slopes[2] < 0.0)

        let ranked = ask "impacts --model @/model.json"
        Assert.Equal("mu", text [ "poi" ] ranked)
        Assert.Equal(best, number [ "best" ] ranked, 6)
        let impacts = items [ "impacts" ] ranked
        Assert.Equal(2, impacts.Length)

        for impact in impacts do
            // More background leaves less signal.
            Assert.True(number [ "postFitImpact"; "up" ] impact < 0.0)
            Assert.True(number [ "postFitImpact"; "down" ] impact > 0.0)
            Assert.Equal(1.0, number [ "preFitSigma" ] impact, 6)

        let nuisance = text [ "parameter" ] impacts.Head

        let contours =
            ask $"contour --model @/model.json --x mu,-1,6 --y {nuisance},-3.5,3.5 --count 21"

        for contour in items [ "contours" ] contours do
            let line = items [ "lines" ] contour |> List.exactlyOne
            let x = at [ "x" ] line |> Json.list Json.float |> Error.orRaise
            // The projection of a contour at a level of t covers the interval at that level.
            Assert.True(List.min x < low && List.max x > high)

        // A grid that no contour crosses is said to be one.
        let outcome =
            Commands.run
                context
                [|
                    "contour"
                    "--model"
                    Path.Combine(folder, "model.json")
                    "--x"
                    "mu,8,9"
                    "--y"
                    $"{nuisance},3,4"
                    "--count"
                    "3"
                |]

        Assert.Equal(2, outcome.Messages.Length)
        Assert.All(outcome.Messages, fun m -> Assert.Contains("does not cross it", m)))

[<Fact>]
let ``draws are summarised, restricted and reweighted`` () =
    inFolder (fun folder ->
        let code, _ =
            answer folder "sample --model @/model.json --ess 2000 --seed 4 --out @/draws"

        Assert.Equal(0, code)

        let code, all =
            answer folder "summary @/draws --level 0.9 --level 2sigma --page @/page.html"

        Assert.Equal(0, code)
        let parameters = at [ "parameters" ] all |> Json.items |> Error.orRaise
        let mu = parameters.Head
        Assert.Equal("mu", text [ "name" ] mu)
        Assert.Equal(3, parameters.Length)
        let regions (json: Json) : Json list = at [ "hpdi" ] json |> Json.items |> Error.orRaise
        Assert.Equal(0.9, number [ "probability" ] (regions mu).Head, 1e-12)
        Assert.Equal(0.9545, number [ "probability" ] (regions mu |> List.item 1), 1e-4)
        Assert.Contains("Plotly", File.ReadAllText $"{folder}/page.html")

        // Where there is no page, nothing is done for it.
        let code, refused =
            answer
                folder
                "interval --model @/none.json --parameter mu --feldman-cousins --page @/no.html"

        Assert.Equal(2, code)
        Assert.Contains("no page", text [ "error"; "message" ] refused)

        // Where the density is cut, its region begins there.
        let code, cut = answer folder "summary @/draws --parameter mu --prior mu>1.5"
        Assert.Equal(0, code)

        let cutMu =
            at [ "parameters" ] cut |> Json.items |> Error.orRaise |> List.exactlyOne

        let piece =
            at [ "pieces" ] (regions cutMu).Head |> Json.items |> Error.orRaise |> List.head

        Assert.Equal(1.5, number [ "low" ] piece)
        Assert.True(number [ "mean" ] cutMu > number [ "mean" ] mu)

        // The same model changes no weight; another one does, and its draws agree with draws of its own.
        let code, same = answer folder "reweight @/draws --to @/model.json"
        Assert.Equal(0, code)
        Assert.Equal(number [ "draws" ] same, number [ "kish" ] same, 1e-6)
        Assert.Equal(0.0, number [ "logEvidenceRatio" ] same, 1e-9)
        File.WriteAllText($"{folder}/other.json", model.Replace("[25, 14]", "[27, 13]"))

        let code, changed =
            answer folder "reweight @/draws --from @/model.json --to @/other.json --out @/weighted"

        Assert.Equal(0, code)
        Assert.Equal("reliable", text [ "weights" ] changed)
        Assert.True(number [ "kish" ] changed < number [ "draws" ] changed)

        let code, refreshed =
            answer folder "reweight @/draws --to @/other.json --refresh 200 --out @/refreshed"

        Assert.Equal(0, code)
        Assert.Equal(12800.0, number [ "draws" ] refreshed)

        let means, errors =
            [ "@/weighted"; "@/refreshed" ]
            |> List.map (fun draws ->
                let _, summary = answer folder $"summary {draws} --parameter mu"

                let found =
                    at [ "parameters" ] summary |> Json.items |> Error.orRaise |> List.head

                number [ "mean" ] found, number [ "meanError" ] found)
            |> List.unzip

        let error = sqrt (errors |> List.sumBy (fun e -> e * e))
        Assert.InRange(means[0] - means[1], -4.0 * error, 4.0 * error)

        // What cannot be done is refused.
        for line in
            [
                "summary @/draws --parameter nobody"
                "summary @/draws --prior mu"
                "summary @/draws --prior mu>99"
                "summary @/nothing"
                "reweight @/draws"
                "reweight @/draws --prior mu>0 --refresh 50"
                "summary @/draws --level 7sigma"
            ] do
            let code, _ = answer folder line
            Assert.Equal(2, code))

[<Fact>]
let ``goodness of fit, Wilks's theorem and intervals by toys agree with each other`` () =
    inFolder (fun folder ->
        let ask (line: string) : Json =
            let code, json = answer folder line
            Assert.Equal(0, code)
            json

        let gof = ask "gof --model @/model.json --toys 500 --seed 3"
        Assert.Equal(1.0, number [ "degreesOfFreedom" ] gof)

        let p, error =
            number [ "toyPValue"; "value" ] gof, number [ "toyPValue"; "error" ] gof
        // Five standard errors, and what counts of 14 do to χ².
        Assert.InRange(number [ "pValue" ] gof, p - 5.0 * error - 0.05, p + 5.0 * error + 0.05)
        let held = ask "gof --model @/model.json --toys 0 --fix mu=4"
        Assert.Equal(2.0, number [ "degreesOfFreedom" ] held)
        Assert.True(number [ "statistic" ] held > number [ "statistic" ] gof)

        // What fixing costs is twice ΔNLL.
        let scan = ask "scan --model @/model.json --parameter mu --from 4 --to 4 --count 1"
        let t = at [ "twiceDeltaNll" ] scan |> Json.list Json.float |> Error.orRaise

        Assert.Equal(
            number [ "statistic" ] held - number [ "statistic" ] gof,
            List.exactlyOne t,
            6
        )

        let wilks = ask "wilks --model @/model.json --mu 1 --toys 500"
        Assert.True(number [ "pValue" ] wilks > 1e-4)

        let found =
            ask
                "interval --model @/model.json --parameter mu --feldman-cousins --toys 500 --level 0.6827"

        let plain = ask "interval --model @/model.json --parameter mu"

        let ends (json: Json) (path: string list) : float list =
            let interval = at [ "intervals" ] json |> Json.items |> Error.orRaise |> List.head

            let piece =
                at [ "pieces" ] interval |> Json.items |> Error.orRaise |> List.exactlyOne

            [ "low"; "high" ] |> List.map (fun side -> number (side :: path) piece)

        // χ² is right to a tenth of the interval's length here; toys say so within twice their own errors on either side.
        List.iteri2
            (fun k low high ->
                let expected = (ends plain [])[k]
                Assert.InRange(expected, low - 0.15, high + 0.15))
            (ends found [ "from" ])
            (ends found [ "to" ]))

[<Fact>]
let ``scans off draws stand beside exact ones`` () =
    inFolder (fun folder ->
        let code, _ = answer folder "sample --model @/model.json --ess 4000 --out @/draws"
        Assert.Equal(0, code)
        let line = "scan --draws @/draws --parameter mu --from 0.5 --to 2.5 --count 5"
        let code, alone = answer folder line
        Assert.Equal(0, code)
        let profiles = at [ "profiles" ] alone |> Json.items |> Error.orRaise
        Assert.Equal(5, profiles.Length)
        let code, beside = answer folder $"{line} --model @/model.json --width 0.1"
        Assert.Equal(0, code)

        let errors =
            at [ "errors" ] beside |> Json.items |> Error.orRaise |> List.exactlyOne

        Assert.Equal(5.0, number [ "bins" ] errors)
        Assert.InRange(number [ "largestError" ] errors, 0.0, 0.5)
        let code, refused = answer folder $"{line} --fix mu=1"
        Assert.Equal(2, code)
        Assert.Equal("usage", text [ "error"; "kind" ] refused))
