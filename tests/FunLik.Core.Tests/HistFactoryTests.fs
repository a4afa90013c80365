module FunLik.Tests.HistFactoryTests

open System
open System.IO
open System.Text.Json.Nodes
open FsCheck
open FsCheck.FSharp
open FunLik
open Xunit

let private numbers (node: JsonNode) : float[] =
    node.AsArray() |> Seq.map _.GetValue<float>() |> Array.ofSeq

let private terms (model: Likelihood) : Term list =
    match model.Density with
    | Density.Terms terms -> terms
    | Density.Opaque _ -> []

/// Log density, its main part, its constraints and the expected counts at a point.
let private evaluated (model: Likelihood) : float[] -> float[] * float[] =
    let parts = Likelihood.parts model

    let expected =
        terms model
        |> List.filter (fun t -> not t.IsConstraint)
        |> List.map _.Expectation
        |> Expr.concat

    let session =
        Objective.session
            model
            [
                "all", Likelihood.logDensity model
                "main", parts.Main
                "constraint", parts.Constraint |> Option.defaultValue (Expr.scalar 0.0)
                "expected", expected
            ]

    fun theta ->
        match session.Evaluate(1, [| theta |], RunOptions.Single) with
        | [| all; main; constraints; expected |] -> [| all[0]; main[0]; constraints[0] |], expected
        | other -> failwith $"{other.Length} results"

/// The log density at a point.
let private density (model: Likelihood) (theta: float[]) : float =
    evaluated model theta |> fst |> Array.head

let private close (tolerance: float) (expected: float) (found: float) : unit =
    let difference = abs (found - expected)

    Assert.True(
        difference <= tolerance * max 1.0 (abs expected),
        $"{found} instead of {expected}: {difference} apart"
    )

/// A model against pyhf's values: names, bounds, starting values, and all points.
let private holdToPyhf (model: Likelihood) (reference: JsonNode) : unit =
    let parameters = Likelihood.parameters model
    let names = reference["parameters"].AsArray() |> Seq.map _.GetValue<string>()
    Assert.Equal<string seq>(names, parameters |> Seq.map _.Name)
    Assert.Equal<float seq>(numbers reference["init"], parameters |> Seq.map _.Nominal)

    for parameter, bounds in Seq.zip parameters (reference["bounds"].AsArray()) do
        let struct (low, high) = parameter.Bounds
        Assert.Equal<float[]>(numbers bounds, [| low; high |])

    let poi = reference["poi"].GetValue<string>()
    let pois = parameters |> Array.filter _.Kind.IsPoi |> Array.map _.Name
    Assert.Equal<string[]>([| poi |], pois)
    let at = evaluated model
    Assert.NotEmpty(reference["points"].AsArray())

    for point in reference["points"].AsArray() do
        let densities, expected = at (numbers point["theta"])

        for key, found in Seq.zip [ "logpdf"; "mainLogpdf"; "constraintLogpdf" ] densities do
            close 1e-10 (point[key].GetValue<float>()) found

        Array.iter2 (close 1e-10) (numbers point["expectedActual"]) expected

let private modifiersFile = "reference/histfactory_modifiers.json"

[<SharedTheory("reference/histfactory_modifiers.json")>]
[<InlineData("normsys")>]
[<InlineData("histosys")>]
[<InlineData("shapesys")>]
[<InlineData("staterror")>]
[<InlineData("shapefactor")>]
[<InlineData("lumi")>]
[<InlineData("kitchen_sink")>]
let ``each modifier has pyhf's values under both settings of codes`` (name: string) =
    let all = JsonNode.Parse(File.ReadAllText(Support.sharedFile modifiersFile))
    let case = all[name]
    let workspace = Json.parse (case["workspace"].ToJsonString()) |> Error.orRaise

    for key, codes in [ "code4", []; "code1", [ "normsys", "code1"; "histosys", "code0" ] ] do
        let model = Workspace.likelihood None None codes None 0.0 workspace |> Error.orRaise

        holdToPyhf model case[key]

[<SharedTheory("data/sbottom")>]
[<InlineData("1300_205_60")>]
[<InlineData("900_250_60")>]
let ``a published likelihood with one of its patches has pyhf's values`` (masses: string) =
    let options =
        { ModelOptions.None with
            Patch = Some(Support.sharedFile $"data/sbottom/patches/sbottom_{masses}.json")
        }

    let model =
        ModelFile.load (Support.sharedFile "data/sbottom/RegionA_BkgOnly.json") options
        |> Error.orRaise

    let reference = Support.sharedFile $"reference/sbottom_RegionA_{masses}.json"
    holdToPyhf model (JsonNode.Parse(File.ReadAllText reference))

[<SharedFact("data/top19001-like")>]
let ``16 couplings and 105 nuisances have the reference's values and gradients`` () =
    let file (name: string) = Support.sharedFile $"data/top19001-like/{name}"

    let model =
        ModelFile.load
            (file "workspace.json")
            { ModelOptions.None with Scalings = Some(file "scalings.json") }
        |> Error.orRaise

    let reference = JsonNode.Parse(File.ReadAllText(file "reference.json"))
    let parameters = reference["parameters"]

    let named (key: string) =
        parameters[key].AsArray() |> Seq.map (fun p -> p["name"].GetValue<string>())

    Assert.Equal<string seq>(Seq.append (named "wilson") (named "nuisance"), Likelihood.names model)

    // The coefficients' ranges are boxes, no bounds.
    for p, given in Seq.zip (Likelihood.parameters model) (parameters["wilson"].AsArray()) do
        Assert.Equal(struct (-infinity, infinity), p.Bounds)
        Assert.Equal(struct (given["lo"].GetValue<float>(), given["hi"].GetValue<float>()), p.Range)
        Assert.True p.Kind.IsPoi

    let at = evaluated model
    let y = Likelihood.logDensity model
    let gradient = Objective.session model [ "gradient", Likelihood.gradient model y ]

    for point in reference["points"].AsArray() do
        let theta = Array.append (numbers point["c"]) (numbers point["theta"])
        let densities, expected = at theta
        let value (key: string) : float = point[key].GetValue<float>()
        Assert.Equal(value "main_logpdf", densities[1], 1e-9)
        Assert.Equal(value "constraint_logpdf", densities[2], 1e-9)
        Assert.Equal(value "twice_nll", -2.0 * densities[0], 1e-9)
        Array.iter2 (close 1e-10) (numbers point["expected"]) expected

        let wanted =
            Array.append (numbers point["gradient_c"]) (numbers point["gradient_theta"])

        let found = (gradient.Evaluate(1, [| theta |], RunOptions.Single))[0]
        Array.iter2 (fun w g -> Assert.Equal(w, -2.0 * g, 1e-8)) wanted found

// ---- Small models by hand

let private named (name: string) (modification: Modification) : HistModifier =
    { Name = name; Modification = modification; Path = "" }

let private sample (name: string) (nominal: float[]) (modifiers: HistModifier list) : HistSample =
    { Name = name; Nominal = nominal; Modifiers = modifiers; Path = "" }

let private channel (name: string) (observed: float[]) (samples: HistSample list) : HistChannel =
    { Name = name; Observed = observed; Samples = samples; Path = "" }

let private data (channels: HistChannel list) : HistFactoryData =
    { Name = "test"; Channels = channels; Poi = None; PoiPath = ""; Settings = [] }

let private settings (name: string) : HistSettings =
    {
        Name = name
        Inits = None
        Bounds = None
        Fixed = None
        AuxData = None
        Sigmas = None
        Factors = None
        Path = ""
    }

let private likelihood (model: HistFactoryData) : Likelihood =
    HistFactory.likelihood HistFactory.codes [] model |> Error.orRaise

let private twoBins: HistFactoryData =
    data
        [
            channel
                "SR"
                [| 51.0; 48.0 |]
                [
                    sample "signal" [| 12.0; 11.0 |] [ named "mu" Modification.NormFactor ]
                    sample
                        "background"
                        [| 50.0; 52.0 |]
                        [ named "uncorrelated" (Modification.ShapeSys [| 3.0; 7.0 |]) ]
                ]
        ]

/// The value is pyhf's for its two-bin model, as its documentation prints it.
[<Fact>]
let ``the two-bin model has the documented value`` () =
    let model = likelihood { twoBins with Poi = Some "mu" }
    let densities, _ = evaluated model [| 1.0; 1.0; 1.0 |]
    Assert.Equal(30.77525435, -2.0 * densities[0], 5e-9)

[<Fact>]
let ``other data need no other expectation, and toys no other program`` () =
    let model = likelihood twoBins
    let y = Likelihood.logDensity model
    let theta, inTheta = Likelihood.overTheta model

    // Data and auxiliary data are inputs: rows of a batch like the parameters.
    let kernel =
        Program.ofOutputs [ "y", (inTheta [ y ]).Head ]
        |> Engine.compile (fun _ -> Binding.Row)

    let session = kernel.Bind()
    let inputs = session.RowInputs |> Array.map fst
    Assert.Equal<Set<string>>(set [ "theta"; "SR"; "uncorrelated.constraint" ], set inputs)
    Assert.Equal(Vector 3, theta.Shape)

    let toy = [| 60.0; 40.0 |]

    let values =
        inputs
        |> Array.map (fun name ->
            match name with
            | "theta" -> [| 1.1; 0.9; 1.2 |]
            | "SR" -> toy
            | other -> model.Data[other])

    let found = (session.Evaluate(1, values, RunOptions.Single))[0]
    let other = model |> Likelihood.withData [ "SR", toy ]
    let densities, _ = evaluated other [| 1.1; 0.9; 1.2 |]
    close 1e-14 densities[0] found[0]

/// Where the sample or its uncertainty is zero, pyhf keeps a parameter that is fixed at 1, with an auxiliary count of 1.
[<Fact>]
let ``bins without counts or uncertainties keep a fixed parameter`` () =
    let model =
        data
            [
                channel
                    "SR"
                    [| 3.0; 4.0; 5.0; 6.0 |]
                    [
                        sample
                            "b"
                            [| 4.0; 0.0; 5.0; 6.0 |]
                            [ named "own" (Modification.ShapeSys [| 1.0; 1.0; 0.0; 2.0 |]) ]
                        sample
                            "c"
                            [| 1.0; 1.0; 0.0; 1.0 |]
                            [ named "stat" (Modification.StatError [| 0.3; 0.0; 0.5; 0.2 |]) ]
                    ]
            ]
        |> likelihood

    let isFixed =
        Likelihood.parameters model |> Array.map (fun p -> p.Bounds = struct (1.0, 1.0))

    Assert.Equal<bool[]>([| false; true; true; false; false; true; true; false |], isFixed)
    Assert.Equal<float[]>([| 16.0; 1.0; 1.0; 9.0 |], model.Data["own.constraint"])

[<Fact>]
let ``a staterror of two channels has parameters for the bins of both, in the order of the channels``
    ()
    =
    let stat delta = [ named "stat" (Modification.StatError delta) ]

    let model =
        data
            [
                channel "B" [| 1.0; 2.0 |] [ sample "s" [| 2.0; 4.0 |] (stat [| 0.2; 0.4 |]) ]
                channel "A" [| 3.0 |] [ sample "s" [| 8.0 |] (stat [| 4.0 |]) ]
            ]

    let found = likelihood model
    Assert.Equal<string[]>([| "stat[0]"; "stat[1]"; "stat[2]" |], Likelihood.names found)
    let _, expected = evaluated found [| 2.0; 3.0; 5.0 |]
    Assert.Equal<float[]>([| 16.0; 6.0; 20.0 |], expected)

[<Fact>]
let ``a measurement overrides what modifiers say`` () =
    let model =
        { twoBins with
            Settings =
                [
                    { settings "mu" with
                        Inits = Some [| 2.0 |]
                        Bounds = Some [| struct (-1.0, 3.0) |]
                        Fixed = Some [| true |]
                    }
                    { settings "uncorrelated" with
                        AuxData = Some [| 100.0; 50.0 |]
                        Inits = Some [| 0.9; 1.1 |]
                    }
                    { settings "nobody" with Inits = Some [| 1.0 |] }
                ]
        }
        |> likelihood

    let parameters = Likelihood.parameters model
    Assert.Equal<float[]>([| 2.0; 0.9; 1.1 |], parameters |> Array.map _.Nominal)
    Assert.Equal(struct (2.0, 2.0), parameters[0].Bounds)
    Assert.Equal(struct (-1.0, 3.0), parameters[0].Range)
    Assert.Equal<float[]>([| 100.0; 50.0 |], model.Data["uncorrelated.constraint"])

[<Fact>]
let ``modifiers of one name share a parameter, on one sample too`` () =
    let both =
        [
            named "jes" (Modification.NormSys(1.1, 0.9))
            named "jes" (Modification.HistoSys([| 12.0 |], [| 9.0 |]))
        ]

    let model =
        data [ channel "SR" [| 11.0 |] [ sample "s" [| 10.0 |] both ] ] |> likelihood

    Assert.Equal<string[]>([| "jes" |], Likelihood.names model)
    let _, expected = evaluated model [| 1.0 |]
    close 1e-14 (12.0 * 1.1) expected[0]

[<Fact>]
let ``a channel may have the name of a parameter`` () =
    let model =
        data
            [
                channel
                    "mu"
                    [| 3.0 |]
                    [ sample "s" [| 2.0 |] [ named "mu" Modification.NormFactor ] ]
            ]
        |> likelihood

    let _, expected = evaluated model [| 1.5 |]
    Assert.Equal<float[]>([| 3.0 |], expected)

/// ROOT's and HS3's code 2: value and slope are continuous at ±1.
[<Fact>]
let ``code 2 goes on with its slope`` () =
    let alpha = Expr.parameter "alpha" (Vector 1)
    let q = Expr.sum (Interpolation.even InterpolationCode.Code2 alpha)

    let session =
        Program.ofOutputs [ "q", q; "slope", Diff.grad q alpha ]
        |> Engine.compile (fun _ -> Binding.Row)
        |> _.Bind()

    for a, value, slope in
        [
            0.5, 0.25, 1.0
            1.0, 1.0, 2.0
            3.0, 5.0, 2.0
            -1.0, 1.0, -2.0
            -3.0, 5.0, -2.0
        ] do
        let found = session.Evaluate(1, [| [| a |] |], RunOptions.Single)
        Assert.Equal(value, Array.head found[0], 1e-14)
        Assert.Equal(slope, Array.head found[1], 1e-14)

/// |α| with a slope of 0 at the usual start would keep fits there.
[<Fact>]
let ``kinked codes have the slope of α ≥ 0 at 0, and say that they are kinked`` () =
    let model =
        data
            [
                channel
                    "SR"
                    [| 11.0 |]
                    [
                        sample
                            "s"
                            [| 10.0 |]
                            [ named "a" (Modification.HistoSys([| 12.0 |], [| 9.0 |])) ]
                    ]
            ]

    let kinked =
        HistFactory.likelihood
            { HistFactory.codes with HistoSys = InterpolationCode.Code0 }
            []
            model
        |> Error.orRaise

    let isKinked (m: Likelihood) : bool = (Likelihood.parameters m |> Array.head).IsKinked
    Assert.True(isKinked kinked)
    Assert.False(isKinked (likelihood model))
    let expected = (terms kinked |> List.find (fun t -> not t.IsConstraint)).Expectation

    let slope =
        Objective.session kinked [ "g", Likelihood.gradient kinked (Expr.sum expected) ]

    let found = slope.Evaluate(1, [| [| 0.0 |] |], RunOptions.Single)
    Assert.Equal(2.0, Array.head found[0], 1e-14)

[<Fact>]
let ``names that cannot be shared are refused with their place`` () =
    let refusals (modifiers: HistModifier list list) : Error list =
        let samples = modifiers |> List.mapi (fun i m -> sample $"s{i}" [| 1.0; 2.0 |] m)

        match
            HistFactory.likelihood
                HistFactory.codes
                []
                (data [ channel "SR" [| 1.0; 2.0 |] samples ])
        with
        | Ok _ -> []
        | Result.Error errors -> errors

    let at (name: string) (m: Modification) (path: string) = { named name m with Path = path }

    for modifiers, path in
        [
            [
                [ at "a" Modification.NormFactor "x" ]
                [ at "a" (Modification.NormSys(1.1, 0.9)) "y" ]
            ],
            "y"
            [
                [ at "a" (Modification.ShapeSys [| 0.1; 0.1 |]) "x" ]
                [ at "a" (Modification.ShapeSys [| 0.1; 0.1 |]) "y" ]
            ],
            "y"
            [ [ at "lumi" Modification.Lumi "x" ] ], "x"
            [ [ at "a" (Modification.NormSys(0.0, 0.9)) "x" ] ], "x"
        ] do
        Assert.Equal<string option list>([ Some path ], refusals modifiers |> List.map _.Path)

// ---- Laws on random models

/// Laws compile a model each: a few dozen of them.
let private check (law: HistFactoryData * HistFactoryCodes * int -> bool) : unit =
    let inputs =
        Gen.map3
            (fun model codes seed -> model, codes, seed)
            HistFactoryOracle.model
            HistFactoryOracle.codes
            (Gen.choose (0, 1_000_000))

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 25, Prop.forAll (Arb.fromGen inputs) law)

let private agree (a: float) (b: float) : bool =
    (Double.IsNaN a && Double.IsNaN b)
    || a = b
    || abs (a - b) <= 1e-10 * max 1.0 (abs a)

let private made (codes: HistFactoryCodes) (model: HistFactoryData) : Likelihood =
    HistFactory.likelihood codes [] model |> Error.orRaise

let private point (seed: int) (model: Likelihood) : float[] =
    Likelihood.parameters model |> Array.map (HistFactoryOracle.valueOf seed)

[<Fact>]
let ``random models agree with loops over modifiers`` () =
    check (fun (model, codes, seed) ->
        let found = made codes model
        let theta = point seed found
        let values = HistFactoryOracle.byName found theta
        let densities, expected = evaluated found theta

        let wanted =
            HistFactoryOracle.expected codes values model |> List.map snd |> Array.concat

        Array.forall2 agree wanted expected
        && agree (HistFactoryOracle.main codes values model) densities[1]
        && agree (HistFactoryOracle.constraints values model) densities[2])

[<Fact>]
let ``the order of channels, samples and modifiers changes nothing`` () =
    check (fun (model, codes, seed) ->
        let shuffled (items: 'T list) : 'T list =
            let keys = Key.uniforms (max 1 items.Length) (Key.ofSeed seed)
            items |> List.indexed |> List.sortBy (fun (i, _) -> keys[i]) |> List.map snd

        let other =
            { model with
                Channels =
                    model.Channels
                    |> List.map (fun c ->
                        { c with
                            Samples =
                                c.Samples
                                |> List.map (fun s -> { s with Modifiers = shuffled s.Modifiers })
                                |> shuffled
                        })
                    |> shuffled
            }

        let a, b = made codes model, made codes other
        let theta = point seed a

        Likelihood.names a = Likelihood.names b
        && (fst (evaluated a theta) = fst (evaluated b theta)))

/// The same model with the elements of every array that belongs to bins taken by index, channel by channel.
let private rebinned
    (index: HistChannel -> int[])
    (rename: string -> string)
    (c: HistChannel)
    : HistChannel =
    let picked (values: float[]) : float[] = index c |> Array.map (fun i -> values[i])

    let modifier (m: HistModifier) : HistModifier =
        match m.Modification with
        | Modification.HistoSys(high, low) ->
            { m with Modification = Modification.HistoSys(picked high, picked low) }
        | Modification.ShapeSys delta ->
            { m with
                Name = rename m.Name
                Modification = Modification.ShapeSys(picked delta)
            }
        | Modification.StatError delta ->
            { m with
                Name = rename m.Name
                Modification = Modification.StatError(picked delta)
            }
        | Modification.ShapeFactor -> { m with Name = rename m.Name }
        | Modification.NormFactor
        | Modification.Lumi
        | Modification.NormSys _ -> m

    { c with
        Observed = picked c.Observed
        Samples =
            c.Samples
            |> List.map (fun s ->
                { s with
                    Nominal = picked s.Nominal
                    Modifiers = s.Modifiers |> List.map modifier
                })
    }

[<Fact>]
let ``the order of bins changes nothing, their parameters going with them`` () =
    check (fun (model, codes, seed) ->
        let backwards (c: HistChannel) : int[] = [| c.Observed.Length - 1 .. -1 .. 0 |]

        let other =
            { model with Channels = model.Channels |> List.map (rebinned backwards id) }

        let a, b = made codes model, made codes other
        let theta = point seed a
        let values = HistFactoryOracle.byName a theta

        let moved =
            b.Blocks
            |> List.map (fun block -> Array.rev (values block.Name))
            |> Array.concat

        agree (density a theta) (density b moved))

[<Fact>]
let ``splitting a channel in two changes nothing`` () =
    check (fun (model, codes, seed) ->
        let split (c: HistChannel) : HistChannel list =
            let n = c.Observed.Length

            if n < 2 then
                [ c ]
            else
                [
                    { rebinned (fun _ -> [| 0 .. n / 2 - 1 |]) (fun name -> name + "<") c with
                        Name = c.Name + "<"
                    }
                    { rebinned (fun _ -> [| n / 2 .. n - 1 |]) (fun name -> name + ">") c with
                        Name = c.Name + ">"
                    }
                ]

        let other = { model with Channels = model.Channels |> List.collect split }
        let a, b = made codes model, made codes other
        let theta = point seed a
        let values = HistFactoryOracle.byName a theta

        let moved =
            b.Blocks
            |> List.map (fun block ->
                let whole = block.Name.TrimEnd('<', '>')
                let half = (values whole).Length / 2

                if block.Name.EndsWith '<' then (values whole)[.. half - 1]
                elif block.Name.EndsWith '>' then (values whole)[half..]
                else values whole)
            |> Array.concat

        agree (density a theta) (density b moved))

/// Another order of the parameters: their names decide it.
[<Fact>]
let ``the names of parameters change nothing`` () =
    check (fun (model, codes, seed) ->
        let rename (name: string) : string =
            $"{(Key.words 1 (Key.ofSeed seed |> Key.foldName name))[0]}/{name}"

        let other =
            { model with
                Settings = model.Settings |> List.map (fun s -> { s with Name = rename s.Name })
                Channels =
                    model.Channels
                    |> List.map (fun c ->
                        { c with
                            Samples =
                                c.Samples
                                |> List.map (fun s ->
                                    { s with
                                        Modifiers =
                                            s.Modifiers
                                            |> List.map (fun m ->
                                                { m with Name = rename m.Name })
                                    })
                        })
            }

        let a, b = made codes model, made codes other
        let theta = point seed a
        let values = HistFactoryOracle.byName a theta

        let moved =
            b.Blocks
            |> List.map (fun block -> values (block.Name.Substring(block.Name.IndexOf '/' + 1)))
            |> Array.concat

        agree (density a theta) (density b moved))

[<Fact>]
let ``gradients are central differences`` () =
    check (fun (model, codes, seed) ->
        let found = made codes model

        if found.Blocks.IsEmpty then
            true
        else
            let theta = point seed found
            let n = theta.Length
            let objective = Objective.ofLikelihood found
            let struct (_, gradient) = objective.ValuesAndGradients(theta, RunOptions.Single)
            let h = 1e-5

            let moved =
                [|
                    for i in 0 .. n - 1 do
                        for step in [ h; -h ] do
                            for j in 0 .. n - 1 do
                                theta[j] + (if i = j then step else 0.0)
                |]

            let values = objective.Values(moved, RunOptions.Single)

            // The seventh digit of differences is noise; points at kinks (0 and ±1) have probability zero.
            Seq.init n id
            |> Seq.forall (fun i ->
                let difference = (values[2 * i] - values[2 * i + 1]) / (2.0 * h)
                abs (difference - gradient[i]) <= 2e-5 * max 1.0 (abs gradient[i])))

/// Many samples of which each has modifiers of its own are multiplied as a sparse matrix: the same numbers as by loops.
[<Fact>]
let ``models with many scattered modifiers agree with loops`` () =
    let key = Key.ofSeed 5
    let channels = 60

    let model =
        data
            [
                for c in 0 .. channels - 1 do
                    let u = Key.uniforms 12 (Key.fold c key)
                    let nominal = [| 5.0 + u[0]; 6.0 + u[1] |]

                    channel
                        $"c{c}"
                        [| 5.0; 7.0 |]
                        [
                            sample
                                "s"
                                nominal
                                [
                                    named
                                        $"h{c}"
                                        (Modification.HistoSys(
                                            [| nominal[0] + u[2]; nominal[1] - u[3] |],
                                            [| nominal[0] - u[4]; nominal[1] + u[5] |]
                                        ))
                                    named "all" (Modification.NormSys(1.1 + u[6], 0.8 + 0.1 * u[7]))
                                ]
                        ]
            ]

    let found = likelihood model

    let isSparse =
        Expr.topological (fun _ -> false) [ Likelihood.logDensity found ]
        |> List.exists (fun e ->
            match e.Node with
            | Node.Apply(Op.SparseVec _, _) -> true
            | _ -> false)

    Assert.True isSparse

    for seed in 1..3 do
        let theta = point seed found
        let values = HistFactoryOracle.byName found theta
        let densities, _ = evaluated found theta
        close 1e-12 (HistFactoryOracle.main HistFactory.codes values model) densities[1]
