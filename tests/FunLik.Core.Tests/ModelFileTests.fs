module FunLik.Tests.ModelFileTests

open System
open System.IO
open System.Text
open System.Text.Json.Nodes
open FunLik
open Xunit

let private inFolder (test: string -> unit) : unit =
    let folder = Directory.CreateTempSubdirectory "funlik-model-"

    try
        test folder.FullName
    finally
        folder.Delete true

let private mistakes (result: Result<'T, Error list>) : Error list =
    match result with
    | Ok value -> failwith $"no mistake was found, and the value is {value}"
    | Result.Error errors -> errors

let private search =
    """{ "kind": "lhc-search", "name": "small", "categories": 2, "binsPerCategory": 2,
         "observed": [3, 4, 5, 6], "background": [3.5, 4.5, 5.5, 6.5], "signal": [0, 1, 2, 3],
         "mcStatEpsilon": [0.1, 0.1, 0.2, 0.2],
         "shape": { "isr": { "up": [1.1, 1.0, 0.9, 1.0], "down": [0.9, 1.0, 1.1, 1.0] } },
         "norm": { "isr": { "up": [0.1, 0.2], "down": [-0.1, -0.2] },
                   "cr": { "up": [0.0, 0.1], "down": [0.1, 0.0] } } }"""

let private counting =
    """{ "kind": "counting", "name": "two", "poi": { "name": "mu", "bounds": [-1, 8], "nominal": 1 },
         "channels": [
           { "name": "sr", "observed": [12, 5], "signal": [4.0, 2.5], "background": [8.0, 3.0],
             "relativeUncertainty": [0.1, 0.0] },
           { "name": "cr", "observed": [50], "signal": [0.5], "background": [48.0] } ] }"""

/// A text with the value at a place (keys and indices, by dots) replaced by other JSON, or taken away.
let private changed (place: string) (value: string option) (text: string) : string =
    let root = JsonNode.Parse text
    let steps = place.Split '.'

    let step (node: JsonNode) (name: string) : JsonNode =
        match Int32.TryParse name with
        | true, i -> node[i]
        | _ -> node[name]

    let parent = steps[.. steps.Length - 2] |> Array.fold step root
    let last = steps[steps.Length - 1]

    match Int32.TryParse last, value with
    | (true, i), Some other -> parent[i] <- JsonNode.Parse other
    | (true, i), None -> parent.AsArray().RemoveAt i
    | _, Some other -> parent[last] <- JsonNode.Parse other
    | _, None -> parent.AsObject().Remove last |> ignore

    root.ToJsonString()

let private loadText (text: string) : Result<Likelihood, Error list> =
    let mutable result = Result.Error []

    inFolder (fun folder ->
        let path = Path.Combine(folder, "model.json")
        File.WriteAllText(path, text)
        result <- ModelFile.load path ModelOptions.None)

    result

[<Fact>]
let ``a model knows its kind and the hash of its file`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "model.json")
        File.WriteAllText(path, search)
        let model = ModelFile.read path ModelOptions.None |> Error.orRaise
        Assert.Equal("lhc-search", model.Kind)

        let names = [| "mu"; "delta[0]"; "delta[1]"; "delta[2]"; "delta[3]"; "isr"; "cr" |]
        Assert.Equal<string[]>(names, Likelihood.names model.Likelihood)

        // SHA-256 of three bytes, from FIPS 180-2's examples.
        File.WriteAllText(path, "abc")
        let hash = Json.readBytes 10L path |> Result.map ModelFile.hash |> Error.orRaise
        Assert.Equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", hash))

[<Fact>]
let ``a search is recognised without its kind`` () =
    let model = search |> changed "kind" None |> loadText |> Error.orRaise
    Assert.Equal("small", model.Name)

[<Fact>]
let ``a counting experiment is worth the product of its counts and constraints`` () =
    let model = loadText counting |> Error.orRaise
    Assert.Equal<string[]>([| "mu"; "sr.background[0]" |], Likelihood.names model)
    let x = [| 1.5; -0.7 |]
    let value = (Objective.ofLikelihood model).Values(x, RunOptions.Single)[0]

    let poisson (n: float) (mean: float) : float =
        n * log mean - mean - MathNet.Numerics.SpecialFunctions.GammaLn(n + 1.0)

    let expected =
        poisson 12.0 (1.5 * 4.0 + 8.0 - 0.7 * 0.8)
        + poisson 5.0 (1.5 * 2.5 + 3.0)
        + poisson 50.0 (1.5 * 0.5 + 48.0)
        - 0.5 * 0.49
        - 0.5 * log (2.0 * Math.PI)

    Assert.Equal(expected, value, 11)

    Assert.Equal(
        -infinity,
        (Objective.ofLikelihood model).Values([| -9.0; 0.0 |], RunOptions.Single)[0]
    )

    let mu = (Likelihood.parameters model)[0]
    Assert.Equal(struct (-1.0, 8.0), mu.Bounds)
    Assert.Equal(1.0, mu.Nominal)

    let absolute =
        counting
        |> changed "channels.0.relativeUncertainty" None
        |> changed "channels.0.absoluteUncertainty" (Some "[0.8, 0]")
        |> changed "poi" None
        |> loadText
        |> Error.orRaise

    Assert.Equal(value, (Objective.ofLikelihood absolute).Values(x, RunOptions.Single)[0], 12)
    Assert.Equal(struct (0.0, 10.0), (Array.head (Likelihood.parameters absolute)).Bounds)

[<Fact>]
let ``the example of a counting experiment is read`` () =
    let path = Path.Combine(Support.root, "examples", "counting", "model.json")
    let model = ModelFile.load path ModelOptions.None |> Error.orRaise
    Assert.Equal(5, (Likelihood.names model).Length)

[<Fact>]
let ``options that a kind does not take are refused, all of them`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "model.json")
        File.WriteAllText(path, search)

        let options =
            {
                Patch = Some "patch.json"
                Scalings = Some "scalings.json"
                ScalingsTolerance = Some 1e-6
                Measurement = Some "m"
                Interpolation = [ "normsys", "code1" ]
                UnboundedNuisances = true
            }

        let errors = ModelFile.load path options |> mistakes
        Assert.Equal(5, errors.Length)

        for error in errors do
            Assert.Equal(ErrorKind.Unsupported, error.Kind)
            Assert.Equal(Some path, error.File))

/// What is spoiled, the text, the kind of the error, its place, and a part of its line.
let private spoiled: (string * ErrorKind * string * string) list =
    let s (place: string) (value: string) = changed place (Some value) search
    let c (place: string) (value: string) = changed place (Some value) counting
    let without (place: string) (text: string) = changed place None text

    [
        // Not a model at all.
        "", ErrorKind.Syntax, "", "the file is empty"
        "[1, 2]", ErrorKind.Schema, "$", "expected an object"
        "{}", ErrorKind.Schema, "$", "expected the key 'kind' with one of lhc-search, counting"
        "null", ErrorKind.Schema, "$", "found null, expected an object"
        search.Substring(0, search.Length / 2), ErrorKind.Syntax, "line", "not JSON"
        s "kind" "\"workspace\"", ErrorKind.Schema, "$.kind", "expected lhc-search, counting"
        s "kind" "3", ErrorKind.Schema, "$.kind", "expected a text"
        // A search.
        without "observed" search, ErrorKind.Schema, "$", "the key 'observed' is missing"
        without "norm" search, ErrorKind.Schema, "$.shape.isr", "'isr' is missing in 'norm'"
        without "norm.isr" search, ErrorKind.Schema, "$.shape.isr", "'isr' is missing in 'norm'"
        without "norm.cr.up" search, ErrorKind.Schema, "$.norm.cr", "the key 'up' is missing"
        without "observed.0" search, ErrorKind.Shape, "$.observed", "found an array of 3"
        without "shape.isr.down.3" search, ErrorKind.Shape, "$.shape.isr.down", "array of 4 numbers"
        s "norm.cr.up" "[0.1, 0.2, 0.3]", ErrorKind.Shape, "$.norm.cr.up", "array of 2 numbers"
        s "signal" "[]", ErrorKind.Shape, "$.signal", "found an array of 0"
        s "signal" "7", ErrorKind.Schema, "$.signal", "found 7, expected an array"
        s "signal.1" "\"1\"", ErrorKind.Schema, "$.signal[1]", "expected a number"
        s "signal.1" "null", ErrorKind.Schema, "$.signal[1]", "found null"
        s "signal.1" "[1]", ErrorKind.Schema, "$.signal[1]", "found an array of 1"
        search.Replace("[0, 1, 2, 3]", "[0, NaN, 2, 3]"),
        ErrorKind.Syntax,
        "line 2",
        "JSON has no NaN"
        search.Replace("[0, 1, 2, 3]", "[0, 1e999, 2, 3]"),
        ErrorKind.Value,
        "$.signal[1]",
        "too large"
        search.Replace("\"name\": \"small\"", "\"kind\": \"lhc-search\""),
        ErrorKind.Schema,
        "$.kind",
        "twice"
        s "observed.2" "-1",
        ErrorKind.Value,
        "$.observed[2]",
        "found -1, expected a number that is not"
        s "background.3" "-0.1", ErrorKind.Value, "$.background[3]", "not negative"
        s "background" "[0, 0, 1, 1]", ErrorKind.Value, "$.background", "category 0 is zero"
        s "mcStatEpsilon.0" "-1", ErrorKind.Value, "$.mcStatEpsilon[0]", "above -1"
        s "norm.isr.down.1" "-1.5", ErrorKind.Value, "$.norm.isr.down[1]", "above -1"
        s "norm.isr.middle" "[1]", ErrorKind.Schema, "$.norm.isr.middle", "the key is not known"
        s "shape" "[]", ErrorKind.Schema, "$.shape", "expected an object"
        s "shape.isr" "1", ErrorKind.Schema, "$.shape.isr", "expected an object"
        s "categories" "0", ErrorKind.Value, "$.categories", "expected 1 to 1000000"
        s "categories" "2.5", ErrorKind.Value, "$.categories", "not an integer"
        s "categories" "3", ErrorKind.Shape, "$.observed", "expected an array of 6 numbers"
        s "binsPerCategory" "\"2\"", ErrorKind.Schema, "$.binsPerCategory", "expected a number"
        s "binsPerCategory" "-2", ErrorKind.Value, "$.binsPerCategory", "not a count"
        s "binsPerCategory" "1000000", ErrorKind.Limit, "$", "too many bins"
        s "categories" "1e300", ErrorKind.Value, "$.categories", "not an integer"
        s "name" "[]", ErrorKind.Schema, "$.name", "expected a text"
        s "norm" """{ "mu": { "up": [0, 0], "down": [0, 0] } }""" |> without "shape",
        ErrorKind.Name,
        "$",
        "the name 'mu' stands 2 times"
        // A counting experiment.
        without "channels" counting, ErrorKind.Schema, "$", "the key 'channels' is missing"
        c "channels" "[]", ErrorKind.Shape, "$.channels", "no channels"
        c "channels" "{}", ErrorKind.Schema, "$.channels", "expected an array"
        c "channels.1" "3", ErrorKind.Schema, "$.channels[1]", "expected an object"
        without "channels.0.name" counting, ErrorKind.Schema, "$.channels[0]", "'name' is missing"
        c "channels.1.name" "\"sr\"", ErrorKind.Name, "$", "the name 'sr' stands 2 times"
        c "channels.0.observed" "[]", ErrorKind.Shape, "$.channels[0].observed", "no bins"
        c "channels.0.observed.1" "-4", ErrorKind.Value, "$.channels[0].observed[1]", "found -4"
        c "channels.0.signal" "[1]", ErrorKind.Shape, "$.channels[0].signal", "array of 2 numbers"
        c "channels.0.background.0" "true",
        ErrorKind.Schema,
        "$.channels[0].background[0]",
        "number"
        c "channels.0.background.0" "-1", ErrorKind.Value, "$.channels[0].background[0]", "-1"
        c "channels.0.relativeUncertainty.0" "-0.1",
        ErrorKind.Value,
        "$.channels[0].relativeUncertainty[0]",
        "not negative"
        c "channels.0.absoluteUncertainty" "[1, 1]", ErrorKind.Schema, "$.channels[0]", "both"
        c "channels.0.observations" "[1, 1]",
        ErrorKind.Schema,
        "$.channels[0].observations",
        "not known"
        c "poi.bounds" "[3, 3]", ErrorKind.Value, "$.poi.bounds", "no interval"
        c "poi.bounds" "[1, 2, 3]", ErrorKind.Shape, "$.poi.bounds", "array of 2 numbers"
        c "poi.nominal" "9", ErrorKind.Value, "$.poi", "outside of the bounds"
        c "poi.start" "9", ErrorKind.Schema, "$.poi.start", "the key is not known"
        c "poi" "\"mu\"", ErrorKind.Schema, "$.poi", "expected an object"
        c "data" "1", ErrorKind.Schema, "$.data", "the key is not known"
    ]

[<Fact>]
let ``each spoiled model is refused with file, place and what was expected`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "model.json")

        for text, kind, place, words in spoiled do
            File.WriteAllText(path, text)
            let errors = ModelFile.load path ModelOptions.None |> mistakes

            let hit =
                errors
                |> List.exists (fun e ->
                    e.Kind = kind
                    && (e.Path |> Option.defaultValue "").StartsWith place
                    && (string e).Contains words)

            let told = errors |> List.map string |> String.concat "\n"

            Assert.True(
                hit,
                $"expected {kind} at {place} with '{words}', got:\n{told}\nfor {text}"
            )

            Assert.All(errors, fun e -> Assert.Equal(Some path, e.File)))

[<Fact>]
let ``mistakes of one file come together`` () =
    let errors =
        search
        |> changed "observed.0" (Some "-1")
        |> changed "signal.1" (Some "null")
        |> changed "norm.cr.up" None
        |> changed "shape.isr.up" (Some "[1]")
        |> loadText
        |> mistakes

    Assert.Equal<string list>(
        [ "$.observed[0]"; "$.signal[1]"; "$.shape.isr.up"; "$.norm.cr" ],
        errors |> List.map _.Path.Value
    )

[<Fact>]
let ``files that are no texts are refused by name`` () =
    inFolder (fun folder ->
        let refusedAs (kind: ErrorKind) (path: string) : unit =
            let error = ModelFile.load path ModelOptions.None |> mistakes |> List.exactlyOne
            Assert.Equal(kind, error.Kind)
            Assert.Equal(Some path, error.File)

        refusedAs ErrorKind.FileUnreadable folder
        refusedAs ErrorKind.FileMissing (Path.Combine(folder, "absent.json"))
        let path = Path.Combine(folder, "binary.json")
        File.WriteAllBytes(path, Key.words 5000 (Key.ofSeed 4) |> Array.map byte)
        refusedAs ErrorKind.Syntax path
        File.WriteAllText(path, String('[', 100_000))
        refusedAs ErrorKind.Limit path
        File.WriteAllText(path, search, Encoding.Unicode)
        refusedAs ErrorKind.Syntax path
        File.WriteAllText(path, search, UTF8Encoding true)
        Assert.True(ModelFile.load path ModelOptions.None |> Result.isOk))

// ---- Points

let private names = [| "a"; "b"; "c" |]

let private pointsOf (text: string) : Result<float[], Error list> =
    let mutable result = Ok [||]

    inFolder (fun folder ->
        let path = Path.Combine(folder, "points.json")
        File.WriteAllText(path, text)
        result <- PointsFile.load names path)

    result

[<Fact>]
let ``points are read in the model's order or in that of their names`` () =
    let plain = pointsOf """{ "points": [[1, 2, 3], [4, 5, 6]] }""" |> Error.orRaise
    Assert.Equal<float[]>([| 1.0; 2.0; 3.0; 4.0; 5.0; 6.0 |], plain)

    let named =
        pointsOf """{ "parameters": ["c", "a", "b"], "points": [[3, 1, 2], [6, 4, 5]] }"""
        |> Error.orRaise

    Assert.Equal<float[]>(plain, named)

[<Fact>]
let ``points are read from npy files`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "points.npy")
        let load () = PointsFile.load names path
        let values = [| 1.0; 2.0; 3.0; 4.0; 5.0; 6.0 |]
        Npy.writeFloats path { Shape = [ 2; 3 ]; Values = values } |> Error.orRaise
        Assert.Equal<float[]>(values, load () |> Error.orRaise)
        Npy.writeSingles path { Shape = [ 3 ]; Values = values[..2] } |> Error.orRaise
        Assert.Equal<float[]>(values[..2], load () |> Error.orRaise)

        for shape in [ [ 3; 2 ]; [ 6 ]; [ 1; 2; 3 ] ] do
            Npy.writeFloats path { Shape = shape; Values = values } |> Error.orRaise
            let error = load () |> mistakes |> List.exactlyOne
            Assert.Equal(ErrorKind.Shape, error.Kind)
            Assert.Equal(Some "points x 3", error.Expected)

        Npy.writeFloats path { Shape = [ 0; 3 ]; Values = [||] } |> Error.orRaise
        Assert.Equal(ErrorKind.Shape, (load () |> mistakes).Head.Kind)

        values[4] <- nan
        Npy.writeFloats path { Shape = [ 2; 3 ]; Values = values } |> Error.orRaise
        let error = load () |> mistakes |> List.exactlyOne
        Assert.Equal(Some "row 1, column 1", error.Path)
        Assert.Contains("'b'", error.Message)

        let bytes = File.ReadAllBytes path
        File.WriteAllBytes(path, bytes[.. bytes.Length - 5])
        Assert.Equal(Some path, (load () |> mistakes).Head.File))

[<Fact>]
let ``spoiled points are refused with their place`` () =
    let spoiled =
        [
            "[[1, 2, 3]]", "$", "expected an object"
            "{}", "$", "the key 'points' is missing"
            """{ "points": [] }""", "", "there are no points"
            """{ "points": 3 }""", "$.points", "expected an array"
            """{ "points": [1, 2, 3] }""", "$.points[0]", "found 1, expected an array"
            """{ "points": [[1, 2, 3], [1, 2]] }""", "$.points[1]", "expected an array of 3 numbers"
            """{ "points": [[1, 2, null]] }""", "$.points[0][2]", "found null"
            """{ "points": [[1, 2, "3"]] }""", "$.points[0][2]", "expected a number"
            """{ "points": [[1, 2, NaN]] }""", "line 1", "JSON has no NaN"
            """{ "points": [[1, 2, 1e999]] }""", "$.points[0][2]", "too large"
            """{ "points": [[1, 2, 3]], "names": [] }""", "$.names", "the key is not known"
            """{ "parameters": ["a", "b"], "points": [[1, 2, 3]] }""",
            "$.parameters",
            "missing: expected c"
            """{ "parameters": ["a", "b", "b"], "points": [[1, 2, 3]] }""",
            "$.parameters[2]",
            "'b' stands twice"
            """{ "parameters": ["a", "b", "d"], "points": [[1, 2, 3]] }""",
            "$.parameters[2]",
            "no parameter 'd'"
            """{ "parameters": ["a", "b", 3], "points": [[1, 2, 3]] }""",
            "$.parameters[2]",
            "expected a text"
            """{ "parameters": "a", "points": [[1, 2, 3]] }""", "$.parameters", "expected an array"
        ]

    for text, place, words in spoiled do
        let errors = pointsOf text |> mistakes

        let hit =
            errors
            |> List.exists (fun e ->
                e.File.IsSome
                && (e.Path |> Option.defaultValue "").StartsWith place
                && (string e).Contains words)

        let told = errors |> List.map string |> String.concat "\n"
        Assert.True(hit, $"expected '{words}' at {place}, got:\n{told}\nfor {text}")
