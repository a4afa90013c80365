module FunLik.Tests.WorkspaceTests

open System
open System.IO
open System.Text.Json.Nodes
open FunLik
open Xunit

/// A workspace with every type of modifier and two measurements.
let private workspace =
    """{ "version": "1.0.0",
  "channels": [
    { "name": "SR", "samples": [
      { "name": "signal", "data": [2.0, 6.0], "modifiers": [
        { "name": "mu", "type": "normfactor", "data": null },
        { "name": "lumi", "type": "lumi", "data": null } ] },
      { "name": "top", "data": [40.0, 22.0], "modifiers": [
        { "name": "jes", "type": "histosys", "data": { "hi_data": [43.0, 22.5], "lo_data": [38.0, 21.0] } },
        { "name": "xs", "type": "normsys", "data": { "hi": 1.06, "lo": 0.95 } },
        { "name": "stat", "type": "staterror", "data": [1.5, 1.1] } ] },
      { "name": "fakes", "data": [5.0, 3.0], "modifiers": [
        { "name": "own", "type": "shapesys", "data": [1.2, 0.9] } ] } ] },
    { "name": "CR", "samples": [
      { "name": "top", "data": [400.0, 380.0, 90.0], "modifiers": [
        { "name": "shape", "type": "shapefactor", "data": null },
        { "name": "xs", "type": "normsys", "data": { "hi": 1.06, "lo": 0.95 } } ] } ] } ],
  "observations": [
    { "name": "SR", "data": [49, 30] },
    { "name": "CR", "data": [441, 398, 80] } ],
  "measurements": [
    { "name": "first", "config": { "poi": "mu", "parameters": [
      { "name": "lumi", "auxdata": [1.0], "sigmas": [0.02], "bounds": [[0.9, 1.1]], "inits": [1.0] } ] } },
    { "name": "second", "config": { "poi": "", "parameters": [
      { "name": "lumi", "auxdata": [1.0], "sigmas": [0.05] },
      { "name": "mu", "fixed": true, "inits": [0.0] } ] } } ] }"""

/// A text with the value at a place (keys and indices, by dots) replaced by other JSON; nothing takes it away.
let private changed (place: string) (value: string) : string =
    let root = JsonNode.Parse workspace
    let steps = place.Split '.'

    let step (node: JsonNode) (name: string) : JsonNode =
        match Int32.TryParse name with
        | true, i -> node[i]
        | _ -> node[name]

    let parent = steps[.. steps.Length - 2] |> Array.fold step root
    let last = steps[steps.Length - 1]

    match Int32.TryParse last, value with
    | (true, i), "" -> parent.AsArray().RemoveAt i
    | (true, i), _ -> parent[i] <- JsonNode.Parse value
    | _, "" -> parent.AsObject().Remove last |> ignore
    | _ -> parent[last] <- JsonNode.Parse value

    root.ToJsonString()

let private context: VerbContext =
    {
        Options = RunOptions.Single
        Progress = ignore
        Clock = fun () -> DateTimeOffset.UnixEpoch
    }

let private withFile (write: string -> unit) (use': string -> 'T) : 'T =
    let folder = Directory.CreateTempSubdirectory "funlik-workspace-"

    try
        let path = Path.Combine(folder.FullName, "workspace.json")
        write path
        use' path
    finally
        folder.Delete true

let private inspected (options: string list) (path: string) : Outcome =
    Commands.run context ([ "inspect"; "--model"; path ] @ options)

let private load (options: ModelOptions) (text: string) : Result<Likelihood, Error list> =
    withFile (fun path -> File.WriteAllText(path, text)) (fun path -> ModelFile.load path options)

[<Fact>]
let ``a workspace is recognised by its keys`` () =
    withFile (fun path -> File.WriteAllText(path, workspace)) (fun path ->
        let loaded = ModelFile.read path ModelOptions.None |> Error.orRaise
        Assert.Equal("histfactory", loaded.Kind)
        Assert.Equal("first", loaded.Likelihood.Name)

        let names =
            [|
                "jes"
                "lumi"
                "mu"
                "xs"
                "shape[0]"
                "shape[1]"
                "shape[2]"
                "own[0]"
                "own[1]"
                "stat[0]"
                "stat[1]"
            |]

        Assert.Equal<string[]>(names, Likelihood.names loaded.Likelihood))

[<Fact>]
let ``a measurement is chosen by its name, and may have no parameter of interest`` () =
    let second =
        load { ModelOptions.None with Measurement = Some "second" } workspace
        |> Error.orRaise

    let parameters = Likelihood.parameters second
    Assert.DoesNotContain(parameters, fun p -> p.Kind.IsPoi)
    let mu = parameters |> Array.find (fun p -> p.Name = "mu")
    Assert.Equal(struct (0.0, 0.0), mu.Bounds)

    match load { ModelOptions.None with Measurement = Some "third" } workspace with
    | Ok _ -> failwith "there is no third measurement"
    | Result.Error errors ->
        Assert.Equal(Some "$.measurements", errors.Head.Path)
        Assert.Equal(Some "first, second", errors.Head.Expected)

[<Fact>]
let ``codes of interpolation are chosen by type of modifier`` () =
    let value (codes: (string * string) list) : float =
        let model =
            load { ModelOptions.None with Interpolation = codes } workspace |> Error.orRaise

        let x =
            Likelihood.parameters model
            |> Array.map (fun p -> if p.Nominal = 0.0 then 0.5 else 1.0)

        ((Objective.ofLikelihood model).Values(x, RunOptions.Single))[0]

    let all =
        [
            []
            [ "normsys", "code1" ]
            [ "normsys", "code0" ]
            [ "histosys", "code0" ]
            [ "histosys", "code2" ]
        ]
        |> List.map value

    Assert.Equal(all.Length, (List.distinct all).Length)
    Assert.Equal(value [], value [ "normsys", "code4"; "histosys", "code4p" ])

    for codes in [ [ "histosys", "code1" ]; [ "normsys", "code7" ]; [ "shapesys", "code1" ] ] do
        match load { ModelOptions.None with Interpolation = codes } workspace with
        | Ok _ -> failwith $"{codes}"
        | Result.Error errors -> Assert.Equal(ErrorKind.Usage, errors.Head.Kind)

/// The place that is spoiled, what stands there then (nothing: it is taken away), and the path in the message.
let private spoiled: (string * string * string) list =
    [
        "version", "", "$"
        "version", "\"0.9\"", "$.version"
        "channels", "[]", "$.channels"
        "channels", "{}", "$.channels"
        "channels.0", "7", "$.channels[0]"
        "channels.0.name", "", "$.channels[0]"
        "channels.0.name", "5", "$.channels[0].name"
        "channels.0.name", "\"CR\"", "$.channels[1]"
        "channels.0.samples", "[]", "$.channels[0]"
        "channels.0.samples.1", "null", "$.channels[0].samples[1]"
        "channels.0.samples.1.name", "\"fakes\"", "$.channels[0].samples[2]"
        "channels.0.samples.1.data", "", "$.channels[0].samples[1]"
        "channels.0.samples.1.data", "[40.0]", "$.channels[0].samples[1].data"
        "channels.0.samples.1.data", "[40.0, \"x\"]", "$.channels[0].samples[1].data[1]"
        "channels.0.samples.1.data", "[40.0, null]", "$.channels[0].samples[1].data[1]"
        "channels.0.samples.1.data", "[40.0, -22.0]", "$.channels[0].samples[1].data[1]"
        "channels.0.samples.1.data", "[40.0, [22.0]]", "$.channels[0].samples[1].data[1]"
        "channels.0.samples.1.modifiers", "", "$.channels[0].samples[1]"
        "channels.0.samples.1.modifiers", "null", "$.channels[0].samples[1].modifiers"
        "channels.0.samples.1.weight", "1.0", "$.channels[0].samples[1].weight"
        "channels.0.samples.0.modifiers.0.type",
        "\"normfactr\"",
        "$.channels[0].samples[0].modifiers[0].type"
        "channels.0.samples.0.modifiers.0.type", "", "$.channels[0].samples[0].modifiers[0]"
        "channels.0.samples.0.modifiers.0.data",
        "[1.0]",
        "$.channels[0].samples[0].modifiers[0].data"
        "channels.0.samples.0.modifiers.0.name", "", "$.channels[0].samples[0].modifiers[0]"
        "channels.0.samples.0.modifiers.0.name", "\"xs\"", "$.channels[0].samples[0].modifiers[0]"
        "channels.0.samples.1.modifiers.0.data",
        "null",
        "$.channels[0].samples[1].modifiers[0].data"
        "channels.0.samples.1.modifiers.0.data.hi_data",
        "",
        "$.channels[0].samples[1].modifiers[0].data"
        "channels.0.samples.1.modifiers.0.data.hi_data",
        "[1.0]",
        "$.channels[0].samples[1].modifiers[0].data.hi_data"
        "channels.0.samples.1.modifiers.0.data.lo_data",
        "[1.0, 2.0, 3.0]",
        "$.channels[0].samples[1].modifiers[0].data.lo_data"
        "channels.0.samples.1.modifiers.0.data.lo",
        "1.0",
        "$.channels[0].samples[1].modifiers[0].data.lo"
        "channels.0.samples.1.modifiers.1.data.hi",
        "\"1.06\"",
        "$.channels[0].samples[1].modifiers[1].data.hi"
        "channels.0.samples.1.modifiers.1.data.lo", "", "$.channels[0].samples[1].modifiers[1].data"
        "channels.0.samples.1.modifiers.1.data.lo", "0.0", "$.channels[0].samples[1].modifiers[1]"
        "channels.0.samples.1.modifiers.1",
        """{ "name": "jes", "type": "histosys", "data": { "hi_data": [1, 1], "lo_data": [1, 1] } }""",
        "$.channels[0].samples[1].modifiers[1]"
        "channels.0.samples.1.modifiers.2.data",
        "[1.5]",
        "$.channels[0].samples[1].modifiers[2].data"
        "channels.0.samples.1.modifiers.2.data",
        "[1.5, -1.1]",
        "$.channels[0].samples[1].modifiers[2].data[1]"
        "channels.0.samples.2.modifiers.0.data",
        "[1.2, 1e999]",
        "$.channels[0].samples[2].modifiers[0].data[1]"
        "channels.0.samples.2.modifiers.0.name",
        "\"shape\"",
        "$.channels[0].samples[2].modifiers[0]"
        "channels.1.samples.0.modifiers.0.type", "\"lumi\"", "$.channels[1].samples[0].modifiers[0]"
        "observations", "", "$"
        "observations", "[]", "$.observations"
        "observations.0", "", "$.observations"
        "observations.0.name", "\"CR\"", "$.observations[1]"
        "observations.0.data", "[49]", "$.observations[0]"
        "observations.0.data", "[49, -1]", "$.observations[0].data[1]"
        "observations.0.data", "49", "$.observations[0].data"
        "measurements", "", "$"
        "measurements", "[]", "$.measurements"
        "measurements.0.config", "", "$.measurements[0]"
        "measurements.0.config.poi", "", "$.measurements[0].config"
        "measurements.0.config.poi", "\"nu\"", "$.measurements[0].config.poi"
        "measurements.0.config.poi", "null", "$.measurements[0].config.poi"
        "measurements.0.config.parameters", "{}", "$.measurements[0].config.parameters"
        "measurements.0.config.parameters.0.sigmas", "", "$.measurements[0].config.parameters[0]"
        "measurements.0.config.parameters.0.sigmas",
        "[0.0]",
        "$.measurements[0].config.parameters[0].sigmas[0]"
        "measurements.0.config.parameters.0.inits",
        "[1.0, 1.0]",
        "$.measurements[0].config.parameters[0]"
        "measurements.0.config.parameters.0.bounds",
        "[[1.1, 0.9]]",
        "$.measurements[0].config.parameters[0].bounds[0]"
        "measurements.0.config.parameters.0.bounds",
        "[0.9, 1.1]",
        "$.measurements[0].config.parameters[0].bounds[0]"
        "measurements.0.config.parameters.0.fixed",
        "\"no\"",
        "$.measurements[0].config.parameters[0].fixed"
        "measurements.0.config.parameters.0.auxdata",
        "[1.0, 1.0]",
        "$.measurements[0].config.parameters[0]"
        "measurements.0.config.parameters.0.factors",
        "[1.0]",
        "$.measurements[0].config.parameters[0]"
        "measurements.0.config.parameters.0.name",
        "\"lum\"",
        "$.channels[0].samples[0].modifiers[1]"
        "measurements.1.name", "\"first\"", "$.measurements"
        "extra", "1", "$.extra"
    ]

let private refusal (options: string list) (path: string) : string =
    let outcome = inspected options path
    use output = new MemoryStream()
    outcome.Output output
    let messages = String.concat "\n" outcome.Messages
    Assert.True((outcome.ExitCode = 2), $"exit code {outcome.ExitCode}: {messages}")
    Assert.Equal(0L, output.Length)
    Assert.StartsWith("error: ", messages)
    Assert.DoesNotContain("Exception", messages)
    messages

[<Fact>]
let ``spoiled workspaces are refused with the path of each mistake`` () =
    Assert.True(spoiled.Length >= 40, $"{spoiled.Length} files")

    let silent =
        spoiled
        |> List.filter (fun (place, value, path) ->
            withFile (fun file -> File.WriteAllText(file, changed place value)) (fun file ->
                not ((refusal [] file).Contains $"{file}, at {path}: ")))

    Assert.Empty silent

[<Fact>]
let ``mistakes of a workspace come together`` () =
    let text =
        workspace.Replace("[2.0, 6.0]", "[2.0, -6.0]").Replace("[1.2, 0.9]", "[1.2]")

    match load ModelOptions.None text with
    | Ok _ -> failwith "two mistakes"
    | Result.Error errors ->
        Assert.Equal<string option list>(
            [
                Some "$.channels[0].samples[0].data[1]"
                Some "$.channels[0].samples[2].modifiers[0].data"
            ],
            errors |> List.map _.Path
        )

/// Cut anywhere, a file is no workspace; it is told and nothing is raised.
[<Fact>]
let ``truncated workspaces are refused`` () =
    for length in [ 0; 1; 20; 100; 500; 1000; workspace.Length - 1 ] do
        withFile (fun file -> File.WriteAllText(file, workspace.Substring(0, length))) (fun file ->
            Assert.Contains(file, refusal [] file))

[<Fact>]
let ``NaN, a hundred thousand brackets and keys that stand twice are refused`` () =
    for text, words in
        [
            workspace.Replace("40.0", "NaN"), "JSON has no NaN"
            workspace.Replace("40.0", "-Infinity"), "not JSON"
            String('[', 100_000), "nested too deep"
            String.replicate 100_000 "{\"a\":", "nested too deep"
            workspace.Replace(
                "\"version\": \"1.0.0\",",
                "\"version\": \"1.0.0\", \"version\": \"1.0.0\","
            ),
            "twice"
        ] do
        withFile (fun file -> File.WriteAllText(file, text)) (fun file ->
            Assert.Contains(words, refusal [] file))

/// The size is looked at before anything is read.
[<Fact>]
let ``300 MB of nonsense are refused without reading them`` () =
    let nonsense (file: string) : unit =
        use stream = File.Create file
        stream.SetLength(300L <<< 20)

    withFile nonsense (fun file ->
        let before = GC.GetAllocatedBytesForCurrentThread()
        Assert.Contains("the file is too large", refusal [] file)
        Assert.True(GC.GetAllocatedBytesForCurrentThread() - before < 10_000_000L))

[<Fact>]
let ``a patch to a path that is not there is refused with its place`` () =
    withFile (fun file -> File.WriteAllText(file, workspace)) (fun file ->
        let patch = file + ".patch"
        File.WriteAllText(patch, """[{"op": "remove", "path": "/channels/2"}]""")
        let messages = refusal [ "--patch"; patch ] file
        Assert.Contains($"{patch}, at $[0]: ", messages)
        Assert.Contains("/channels/2", messages))

/// Fits of the whole machinery: the minimum is that of pyhf with MINUIT, which stops some 1e-6 above.
[<SharedFact("reference/histfactory_modifiers.json")>]
let ``fits end where those of pyhf do, or lower`` () =
    let all =
        JsonNode.Parse(File.ReadAllText(Support.sharedFile "reference/histfactory_modifiers.json"))

    for name in [ "normsys"; "shapesys"; "kitchen_sink" ] do
        let case = all[name]
        let text = case["workspace"].ToJsonString()
        let fit = load ModelOptions.None text |> Error.orRaise |> Fit.minimise
        let minimum = case["code4"].["mle"]
        let expected = minimum["twiceNll"].GetValue<float>()
        Assert.InRange(fit.TwiceNll, expected - 1e-3, expected + 1e-7)
