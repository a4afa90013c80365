module FunLik.Tests.BundleTests

open System
open System.IO
open Xunit
open FunLik

/// A density of two parameters that no quadratic is.
let private subject: Likelihood =
    let mu =
        ModelParameter.create "mu" ParameterKind.Poi 0.0 |> ParameterBlock.ofParameter

    let theta =
        ModelParameter.create "theta" ParameterKind.Nuisance 0.0
        |> ParameterBlock.ofParameter

    let m, t = ParameterBlock.leaf mu, ParameterBlock.leaf theta
    let density = -40.0 - 0.5 * (m * m + t * t) + 0.3 * sin (m + 2.0 * t)
    Likelihood.create "wave" [ mu; theta ] (Density.Opaque(density, [])) Map.empty []

let private pointsOf (count: int) (seed: int) : float[] = Key.normals (2 * count) (Key.ofSeed seed)

let private dataOf (count: int) (seed: int) : Dataset =
    let points = pointsOf count seed

    let struct (values, gradients) =
        (Objective.ofLikelihood subject).ValuesAndGradients(points, RunOptions.Single)

    Dataset.create 2 points values (Some gradients) (Array.init count (fun r -> r % 4))
    |> Error.orRaise

let private surrogate: Lazy<Surrogate> =
    lazy
        (let recipe =
            { Recipe.funlik with
                Hidden = [ 16; 16 ]
                BatchSize = 32
                Length = TrainingLength.Epochs 5
            }

         Surrogate.learn
             RunOptions.Single
             recipe
             (Key.ofSeed 1)
             subject
             (dataOf 200 1)
             (dataOf 50 2)
         |> Error.orRaise
         |> fst)

let private card: (string * JsonValue) list =
    let text = JsonValue.Text

    let deviations (mse: float) : JsonValue =
        Validate.toJson
            {
                Points = 50
                Mse = mse
                Mae = 0.1
                Largest = 0.5
                Bias = -0.01
                Accurate = 0.9
            }

    [
        "schema", JsonValue.Int 2L
        "kind", text "surrogate"
        "funlik", text "0.1.0"
        "model",
        JsonValue.Object
            [
                "name", text "wave"
                "sha256", text (String.replicate 64 "0")
                "parameters", JsonValue.ofTexts [ "mu"; "theta" ]
            ]
        "job", JsonValue.Object [ "recipe", JsonValue.Object [ "name", text "funlik" ] ]
        "metrics",
        JsonValue.Object
            [
                "posterior",
                JsonValue.Object [ "surrogate", deviations 0.01; "quadratic", deviations 0.2 ]
                "profile", JsonValue.List [ JsonValue.Object [ "parameter", text "mu" ] ]
                "accurate", JsonValue.Number 0.9
            ]
        "region",
        JsonValue.Object
            [
                "lowest", JsonValue.Numbers [| -3.0; -2.5 |]
                "highest", JsonValue.Numbers [| 3.0; 2.5 |]
            ]
    ]

let private points = pointsOf 20 3

/// The log densities of the test vectors.
let values: Lazy<float[]> =
    lazy ((Objective.ofLikelihood surrogate.Value.Likelihood).Values(points, RunOptions.Single))

/// A bundle with these test vectors, in a folder of its own.
let withBundle (hasGradient: bool) (values: float[]) (test: string -> unit) : unit =
    let folder = Directory.CreateTempSubdirectory().FullName

    try
        let onnx =
            Bundle.toOnnx hasGradient [| 0.0; 0.0 |] [] surrogate.Value |> Error.orRaise

        let quadratic = Bundle.quadraticToOnnx surrogate.Value |> Error.orRaise

        Bundle.write folder card onnx quadratic points values |> Error.orRaise |> ignore
        test folder
    finally
        Directory.Delete(folder, true)

let private verify (folder: string) : Result<Verification, Error list> =
    Bundle.read folder |> Result.bind (Bundle.verify RunOptions.Single)

let private errorsOf (result: Result<'T, Error list>) : Error list =
    match result with
    | Ok _ -> []
    | Result.Error errors -> errors

[<Fact>]
let ``a bundle is read back, and its test vectors come out again`` () =
    withBundle false values.Value (fun folder ->
        let bundle = Bundle.read folder |> Error.orRaise
        Assert.Equal("wave", bundle.Card.Model)
        Assert.Equal("funlik", bundle.Card.Recipe)
        Assert.Equal<string list>([ "mu"; "theta" ], bundle.Card.Parameters)
        let metrics = List.exactlyOne bundle.Card.Metrics
        Assert.Equal("posterior", metrics.Slice)
        Assert.Equal(0.01, metrics.Surrogate.Mse)
        Assert.Equal(0.2, metrics.Quadratic.Mse)
        Assert.Equal<float[]>([| -3.0; -2.5 |], bundle.Card.Region.Lowest)
        Assert.Equal<float[]>(points, bundle.Points)
        Assert.Equal<float[]>(values.Value, bundle.Values)

        let verification = Bundle.verify RunOptions.Single bundle |> Error.orRaise
        Assert.Equal(20, verification.Points)
        Assert.InRange(verification.Engine, 0.0, 1e-6)

        match verification.OnnxRuntime with
        | Agreement.Checked(_, count, largest) ->
            Assert.Equal(20, count)
            Assert.InRange(largest, 0.0, 1e-6)
        | Agreement.NotChecked reason -> Assert.NotEqual<string>("", reason))

[<Fact>]
let ``a file that was changed, and one that is gone, are named`` () =
    for name in [ "model.onnx"; "points.npy"; "values.npy" ] do
        withBundle false values.Value (fun folder ->
            let path = Path.Combine(folder, name)
            let bytes = File.ReadAllBytes path
            bytes[bytes.Length - 1] <- bytes[bytes.Length - 1] ^^^ 1uy
            File.WriteAllBytes(path, bytes)
            let error = Bundle.read folder |> errorsOf |> List.exactlyOne
            Assert.Equal(Some path, error.File)
            Assert.Contains("SHA-256", error.Found.Value)
            File.Delete path
            let error = Bundle.read folder |> errorsOf |> List.exactlyOne
            Assert.Equal(ErrorKind.FileMissing, error.Kind)
            Assert.Equal(Some path, error.File))

[<Fact>]
let ``an output that moved by more than 1e-6 is refused by its row, by both engines; less passes``
    ()
    =
    let moved (by: float) : float[] =
        values.Value
        |> Array.mapi (fun r v -> if r = 7 then v + by * max 1.0 (abs v) else v)

    withBundle false (moved 5e-7) (fun folder -> Assert.True((verify folder).IsOk))

    withBundle false (moved 1e-5) (fun folder ->
        let errors = verify folder |> errorsOf
        let engines = if (OnnxRuntime.version ()).IsOk then 2 else 1
        Assert.Equal(engines, errors.Length)
        Assert.Contains(Engine.name, errors[0].Message)

        for error in errors do
            Assert.Equal(Some "row 7", error.Path)
            Assert.EndsWith("values.npy", error.File.Value))

    for spoiled in [ nan; infinity ] do
        withBundle false (moved spoiled) (fun folder ->
            let paths = verify folder |> errorsOf |> List.map _.Path
            Assert.Contains(Some "row 7", paths))

[<Fact>]
let ``a card that is not one is refused with file and place`` () =
    let cases =
        [
            "\"schema\": 2", "\"schema\": 9", "$.schema"
            "\"kind\": \"surrogate\"", "\"kind\": \"job\"", "$.kind"
            "\"bias\": -0.01,", "\"bias\": [],", "$.metrics.posterior.quadratic.bias"
            "\"lowest\": [-3, -2.5]", "\"lowest\": [-3]", "$.region.lowest"
            "\"mse\": 0.2", "\"mse\": \"0.2\"", "$.metrics.posterior.quadratic.mse"
            "\"name\": \"points.npy\"", "\"name\": \"../points.npy\"", "$.files[2].name"
            "\"name\": \"points.npy\"", "\"name\": \"values.npy\"", "$.files"
            "\"name\": \"points.npy\"", "\"name\": \"card.json\"", "$.files"
            "\"mu\",", "\"nu\",", "$.model.parameters"
            "\"sha256\": \"0000", "\"sha256\": \"zzzz", "$.model.sha256"
        ]

    withBundle false values.Value (fun folder ->
        let path = Path.Combine(folder, "card.json")
        let whole = File.ReadAllText path

        for there, instead, place in cases do
            Assert.Contains(there, whole)
            File.WriteAllText(path, whole.Replace(there, instead))
            let errors = Bundle.read folder |> errorsOf
            Assert.Contains(errors, fun e -> e.File = Some path && e.Path = Some place))

[<Fact>]
let ``with the gradient in the file, ONNX Runtime gives the engine's values and gradients`` () =
    withBundle true values.Value (fun folder ->
        let verification = verify folder |> Error.orRaise

        if verification.OnnxRuntime.IsChecked then
            let found =
                Agreement.evaluate (File.ReadAllBytes(Path.Combine(folder, "model.onnx"))) 2 points
                |> Error.orRaise

            let struct (_, gradients) =
                (Objective.ofLikelihood surrogate.Value.Likelihood)
                    .ValuesAndGradients(points, RunOptions.Single)

            Assert.InRange(Agreement.largest found["gradient"] gradients, 0.0, 1e-5))

[<Fact>]
let ``many rows are evaluated in tiles, to the same values`` () =
    let many = pointsOf 2500 4
    let onnx = Bundle.toOnnx false [| 0.0; 0.0 |] [] surrogate.Value |> Error.orRaise

    let engine =
        (Objective.ofLikelihood surrogate.Value.Likelihood).Values(many, RunOptions.Single)

    match Bundle.agreement onnx many engine |> Error.orRaise with
    | Agreement.Checked(_, count, largest) ->
        Assert.Equal(2500, count)
        Assert.InRange(largest, 0.0, 1e-6)
        let spoiled = engine |> Array.mapi (fun r v -> if r = 2100 then v + 1.0 else v)

        match Bundle.agreement onnx many spoiled |> Error.orRaise with
        | Agreement.Checked(_, _, largest) -> Assert.InRange(largest, 0.01, 1.0)
        | Agreement.NotChecked reason -> Assert.Fail reason
    | Agreement.NotChecked reason -> Assert.NotEqual<string>("", reason)

[<Fact>]
let ``differences are relative to max(1, |y|), and what is no number differs from all that is`` () =
    Assert.Equal(0.5, Agreement.difference 1.0 0.5)
    Assert.Equal(0.1, Agreement.difference -9.0 -10.0, 12)
    Assert.Equal(0.0, Agreement.difference -infinity -infinity)
    Assert.Equal(infinity, Agreement.difference nan 1.0)
    Assert.Equal(infinity, Agreement.difference 1.0 nan)
    Assert.Equal(infinity, Agreement.largest [| 1.0; nan; 2.0 |] [| 1.0; 1.0; 2.0 |])
