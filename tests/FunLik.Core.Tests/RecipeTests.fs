module FunLik.Tests.RecipeTests

open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

let private positive: Gen<float> =
    gen {
        let! digits = Gen.choose (1, 9999)
        let! power = Gen.choose (-9, 3)
        return float digits * 10.0 ** float power
    }

let private fraction: Gen<float> =
    Gen.choose (0, 999) |> Gen.map (fun n -> float n / 1000.0)

let private count: Gen<int> = Gen.choose (1, 5000)
let private yesOrNo: Gen<bool> = Gen.elements [ true; false ]

let private gain: Gen<Gain> =
    gen {
        let! size = Gen.oneof [ Gen.constant 0.0; positive ]
        return! Gen.elements [ Gain.Absolute size; Gain.OverPoints size ]
    }

let private schedule: Gen<RateSchedule> =
    let plateau =
        gen {
            let! rate = positive
            let! factor = fraction
            let! patience = count
            let! gain = gain
            let! floor = positive

            return
                RateSchedule.Plateau(
                    rate,
                    { Factor = factor; Patience = patience; Gain = gain; Floor = floor }
                )
        }

    Gen.oneof
        [
            positive |> Gen.map RateSchedule.Constant
            positive |> Gen.map RateSchedule.Cosine
            Gen.map2 (fun peak warmup -> RateSchedule.WarmupCosine(peak, warmup)) positive fraction
            plateau
        ]

/// Any recipe that makes sense.
let private recipe: Gen<Recipe> =
    gen {
        let! name = Gen.elements [ "mine"; "µ \"quoted\"\n"; "" ]
        let! quadratic = yesOrNo

        let! inputs =
            Gen.elements
                [
                    InputScaling.Raw
                    InputScaling.Widths
                    InputScaling.Covariance
                    InputScaling.Curvature
                ]

        let! products = yesOrNo
        let! kinks = yesOrNo
        let! hidden = Gen.listOf count

        let! separable =
            Gen.map2
                (fun hidden degree -> { Hidden = hidden; Degree = degree })
                (Gen.listOf count)
                count
            |> Gen.optionOf

        let! activation = Gen.elements Architecture.activationNames
        let! skip = yesOrNo
        let! weight = Gen.optionOf positive
        let! first = Gen.elements (List.map snd Initialise.schemeNames)
        let! last = Gen.elements (List.map snd Initialise.schemeNames)
        let! beta1 = fraction
        let! beta2 = fraction
        let! epsilon = positive
        let! schedule = schedule
        let! batch = count
        let! length = count |> Gen.map TrainingLength.Epochs
        let! steps = count |> Gen.map TrainingLength.Steps
        let! length = Gen.elements [ length; steps ]

        let! stopping =
            Gen.map2 (fun patience gain -> { Patience = patience; Gain = gain }) count gain
            |> Gen.optionOf

        return
            {
                Name = name
                HasQuadratic = quadratic
                Inputs = inputs
                HasProducts = products
                HasKinks = kinks
                Separable = separable
                Hidden = hidden
                Activation = activation
                HasSkip = skip
                GradientWeight = weight
                Initialisation = { Hidden = first; Output = last }
                Adam = { Beta1 = beta1; Beta2 = beta2; Epsilon = epsilon }
                Schedule = schedule
                BatchSize = batch
                Length = length
                Stopping = stopping
            }
    }

[<Fact>]
let ``recipes that were written are read back as they were`` () =
    let law (recipe: Recipe) =
        let json =
            RecipeJson.write recipe |> JsonValue.toLines |> Json.parse |> Error.orRaise

        Assert.Equal(Ok recipe, RecipeJson.read json)
        Assert.Equal(Ok recipe, RecipeJson.changedBy json Recipe.funlik)

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 300, Prop.forAll (Arb.fromGen recipe) law)

    for _, named in Recipe.named do
        law named

[<Fact>]
let ``all mistakes in a recipe are reported at once, each with its place`` () =
    let text =
        """{"name": 3, "quadratic": true, "inputs": "white", "products": false, "kinks": true, "hidden": [10, 0],
            "separable": {"hidden": [3], "degree": 0},
            "activation": "swish", "skip": false, "gradientWeight": -1, "initialisation": {"hidden": "zero"},
            "adam": {"beta1": 1, "beta2": 0.5, "epsilon": 0, "beta3": 1},
            "schedule": {"kind": "plateau", "rate": 0, "factor": 2, "patience": 0, "gain": {"times": 1}, "floor": -1},
            "batchSize": 0, "length": {"epochs": 1, "steps": 2}, "stopping": {"patience": 3}, "epochs": 5}"""

    match Json.parse text |> Error.orRaise |> RecipeJson.read with
    | Ok _ -> Assert.Fail "the recipe makes no sense"
    | Result.Error errors ->
        let places = errors |> List.choose _.Path |> Set.ofList

        let expected =
            [
                "$.name"
                "$.inputs"
                "$.separable.degree"
                "$.hidden[1]"
                "$.activation"
                "$.gradientWeight"
                "$.adam.beta1"
                "$.adam.epsilon"
                "$.adam.beta3"
                "$.schedule.rate"
                "$.schedule.factor"
                "$.schedule.patience"
                "$.schedule.gain"
                "$.schedule.floor"
                "$.batchSize"
                "$.length"
                "$.epochs"
            ]

        Assert.Equal<string list>([], expected |> List.filter (places.Contains >> not))
        // And the two that are missing.
        Assert.Equal(expected.Length + 2, errors.Length)

[<Fact>]
let ``a whole recipe has all keys, and changes to one have those that change`` () =
    let json = Json.parse """{"hidden": [3], "gradientWeight": null}""" |> Error.orRaise

    match RecipeJson.read json with
    | Ok _ -> Assert.Fail "keys are missing"
    | Result.Error errors -> Assert.Equal(14, errors.Length)

    Assert.Equal(
        Ok { Recipe.funlik with Hidden = [ 3 ]; GradientWeight = None },
        RecipeJson.changedBy json Recipe.funlik
    )

[<Fact>]
let ``a described recipe fits on a screen, and recipes that differ are described differently`` () =
    for _, recipe in Recipe.named do
        let lines = Recipe.describe recipe
        Assert.True(lines.Length <= 24)
        Assert.All(lines, fun line -> Assert.True(line.Length <= 120, line))

    let law (a: Recipe, b: Recipe) =
        // Initialisations are left out of the description.
        let b = { b with Initialisation = a.Initialisation }
        Assert.Equal((a = b), (Recipe.describe a = Recipe.describe b))

    Check.One(Config.QuickThrowOnFailure, Prop.forAll (Gen.two recipe |> Arb.fromGen) law)

[<Fact>]
let ``the steps of a recipe do not depend on the number of points`` () =
    let network = Architecture.create 2 (Architecture.dense 1) |> Error.orRaise

    let recipe =
        { Recipe.funlik with BatchSize = 100; Length = TrainingLength.Steps 600 }

    let epochs (points: int) : int = (Recipe.plan points network recipe).Epochs
    Assert.Equal(600, epochs 40)
    Assert.Equal(600, epochs 199)
    Assert.Equal(300, epochs 200)
    Assert.Equal(6, epochs 10000)
    Assert.Equal(1, epochs 1000000)

[<Fact>]
let ``the recipe of the paper is the paper's`` () =
    // arXiv:1911.03305, section 3.
    let recipe = Recipe.dnnlikelihood

    let network =
        Features.network
            (Whitening.identity 95)
            (Interactions.all 95)
            []
            { recipe with Hidden = [ 5000; 5000 ] }
        |> Error.orRaise

    Assert.Equal(25_490_001, Architecture.size network)

    Assert.Equal(
        "95 -> dense 5000 -> selu -> dense 5000 -> selu -> dense 1",
        Architecture.describe network
    )

    Assert.Equal(Loss.Values, Recipe.loss recipe)
    Assert.Equal(0.95, recipe.Adam.Beta1)
    Assert.Equal(1e-3, RateSchedule.peak recipe.Schedule)
