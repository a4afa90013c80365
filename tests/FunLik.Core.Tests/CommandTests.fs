module FunLik.Tests.CommandTests

open System
open System.IO
open System.Text
open FsCheck
open FsCheck.FSharp
open Xunit
open FunLik

let private context: VerbContext =
    {
        Options = RunOptions.Single
        Progress = ignore
        Clock = fun () -> DateTimeOffset.UnixEpoch
    }

let private parsed (line: string) : Verb =
    match Arguments.parse (List.ofArray (line.Split ' ')) with
    | Ok(Command.Verb(verb, _, _, _)) -> verb
    | other -> failwith $"{line}: {other}"

let private refused (line: string) : Error list =
    match
        Arguments.parse (List.ofArray (line.Split(' ', StringSplitOptions.RemoveEmptyEntries)))
    with
    | Result.Error mistake -> mistake.Errors
    | Ok other -> failwith $"{line}: {other}"

let private source: ModelSource = { File = "m.json"; Options = ModelOptions.None }

[<Fact>]
let ``arguments are values`` () =
    Assert.Equal(
        Verb.Eval(source, { Points = "p.npy"; Gradient = true }),
        parsed "eval --gradient --points p.npy --model m.json"
    )

    Assert.Equal(
        Verb.Fit(
            source,
            {
                Held = { Fix = [ "a", 1.0; "b=c", -2e-3 ]; Frozen = false }
                Poi = Some "mu"
                Starts = Some 4
            }
        ),
        parsed "fit --fix a=1 --fix b=c=-2e-3 --poi=mu --starts 4 --model=m.json"
    )

    Assert.Equal(
        Verb.Scan(
            source,
            {
                Parameter = "mu"
                From = -1.0
                To = 2.5
                Count = 8
                Held = { Fix = []; Frozen = true }
            }
        ),
        parsed "scan --model m.json --from -1 --to 2.5 --count 8 --parameter mu --frozen --json"
    )

    Assert.Equal(Verb.Run "job.json", parsed "run job.json --threads 2")

    Assert.Equal(
        Verb.Sample(
            source,
            {
                Ess = 500.0
                Seed = 3
                Chains = 64
                MostDraws = 100_000
                Sampler = SamplerKind.Hamiltonian
                AllowUnconverged = false
                Out = "d"
            }
        ),
        parsed "sample --model m.json --ess 500 --seed 3 --out d"
    )

    let designs =
        {
            Parts = [ LabelDesign.Posterior, 0.5; LabelDesign.Box, 0.5 ]
            Labels = 100
            Seed = 1
            Chains = 64
            Beta = 0.5
            Sides = [ "a", -1.0, 2.0 ]
            Fill = BoxFill.Uniform
            Others = BoxOthers.Frozen
            Inner = 0.2
            AllowUnconverged = true
            Out = "d"
        }

    Assert.Equal(
        Verb.Design(source, designs),
        parsed
            "sample --model m.json --design posterior=0.5,box=0.5 --labels 100 --side a,-1,2 --fill uniform --frozen --inner 0.2 --allow-unconverged --out d"
    )

    let mixed = [ LabelDesign.Posterior, 2.0; LabelDesign.Ridge, 1.0 ]

    match parsed "sample --model m.json --design mixed --labels 9 --out d" with
    | Verb.Design(_, request) -> Assert.Equal<(LabelDesign * float) list>(mixed, request.Parts)
    | other -> Assert.Fail $"{other}"

    Assert.Equal(
        Verb.Train
            {
                Source = { Model = Some source; Data = Some "d" }
                Recipe = Recipe.funlik
                Evaluations = None
                Seed = 1
                Out = "o"
            },
        parsed "train --data d --out o --recipe funlik --model m.json"
    )

    let patched =
        { source with Options = { ModelOptions.None with Patch = Some "p.json" } }

    Assert.Equal(
        Verb.Validate(patched, { Bundle = "b"; Seed = 7 }),
        parsed "validate b --against m.json --patch p.json --seed 7"
    )

    Assert.Equal(
        Verb.Check(
            patched,
            {
                Bundle = "b"
                Bound = { Absolute = 0.2; Relative = 0.01 }
                Points = 50
                Seed = 7
            }
        ),
        parsed "check b --against m.json --patch p.json --within 0.2 --points 50 --seed 7"
    )

    Assert.Equal(Verb.Verify "b", parsed "verify b")
    Assert.Equal(Verb.Inspect patched, parsed "inspect m.json --patch p.json")
    Assert.Equal(Verb.Inspect patched, parsed "inspect --model m.json --patch p.json")

[<Fact>]
let ``options of workspaces go with the model`` () =
    let options =
        {
            Patch = Some "set.json:a"
            Scalings = Some "s.json"
            ScalingsTolerance = Some 1e-6
            Measurement = Some "first"
            Interpolation = [ "normsys", "code1"; "histosys", "code0" ]
            UnboundedNuisances = true
        }

    Assert.Equal(
        Verb.Inspect { File = "m.json"; Options = options },
        parsed
            "inspect --model m.json --patch set.json:a --scalings s.json --scalings-tolerance 1e-6 --measurement first --interpolation normsys=code1,histosys=code0 --unbounded-nuisances"
    )

[<Fact>]
let ``profiles, intervals, contours and impacts are values too`` () =
    Assert.Equal(
        Verb.Profile(source, { Keep = [ "a"; "b" ]; Points = "p.json"; Hessian = true }),
        parsed "profile --model m.json --keep a --keep b --points p.json --hessian"
    )

    Assert.Equal(
        Verb.Interval(
            source,
            {
                Parameter = "mu"
                Levels = [ 0.68; 0.95 ]
                Range = Some(-1.0, 2.0)
                Count = Some 21
                Held = Held.Nothing
            }
        ),
        parsed
            "interval --model m.json --parameter mu --level 0.68 --level 0.95 --from -1 --to 2 --count 21"
    )

    Assert.Equal(
        Verb.Contour(
            source,
            {
                X = { Parameter = "a"; From = -1.0; To = 2.0 }
                Y = { Parameter = "b"; From = 0.0; To = 0.5 }
                Count = 41
                Levels = []
                Held = { Fix = [ "c", 2.0 ]; Frozen = true }
            }
        ),
        parsed "contour --model m.json --x a,-1,2 --y b,0,0.5 --frozen --fix c=2"
    )

    Assert.Equal(
        Verb.Impacts(source, { Poi = Some "mu"; Held = Held.Nothing }),
        parsed "impacts --model m.json --poi mu --json"
    )

    let places (line: string) : string list = refused line |> List.choose _.Path

    Assert.Equal<string list>(
        [ "--x"; "--y"; "--count"; "--level" ],
        places "contour --model m.json --x a,2,1 --y b --count 1 --level 2"
    )

    Assert.Equal<string list>([ "--parameter"; "--to" ], places "interval --model m.json --from 1")

    Assert.Equal<string list>([ "--keep"; "--points" ], places "profile --model m.json")

[<Fact>]
let ``what is held, toys and draws are values too`` () =
    let held = { Fix = [ "a", 1.0 ]; Frozen = true }

    let interval held : IntervalRequest =
        { Parameter = "mu"; Levels = [ 0.9 ]; Range = None; Count = None; Held = held }

    Assert.Equal(
        Verb.ToyInterval(source, interval held, { Toys = 2000; Seed = 7 }),
        parsed
            "interval --model m.json --parameter mu --level 0.9 --feldman-cousins --toys 2000 --seed 7 --fix a=1 --frozen"
    )

    Assert.Equal(
        Verb.Recheck({ source with File = "e.json" }, "b", interval Held.Nothing),
        parsed "interval b --against e.json --parameter mu --level 0.9"
    )

    Assert.Equal(
        Verb.Gof(source, { Plan = { Toys = 0; Seed = 1 }; Held = held }),
        parsed "gof --model m.json --toys 0 --fix a=1 --frozen"
    )

    let test = { Poi = Some "mu"; Statistic = TestStatistic.QTilde; Held = held }

    Assert.Equal(
        Verb.Cls(source, test, 1.0),
        parsed "cls --model m.json --mu 1 --poi mu --frozen --fix a=1"
    )

    Assert.Equal(
        Verb.Wilks(
            source,
            {
                Test = { test with Statistic = TestStatistic.T; Held = Held.Nothing }
                Mu = 0.5
                Plan = { Toys = 10_000; Seed = 1 }
            }
        ),
        parsed "wilks --model m.json --mu 0.5 --poi mu"
    )

    Assert.Equal(
        Verb.DrawScan(
            Some source,
            {
                Draws = "d"
                Parameter = "mu"
                From = 0.0
                To = 1.0
                Count = 11
                Widths = [ 0.05; 0.1 ]
            }
        ),
        parsed
            "scan --draws d --model m.json --parameter mu --from 0 --to 1 --count 11 --width 0.05 --width 0.1"
    )

    let places (line: string) : string list = refused line |> List.choose _.Path

    Assert.Equal<string list>(
        [ "--toys" ],
        places "interval --model m.json --parameter mu --toys 100"
    )

    Assert.Equal<string list>([ "--against" ], places "interval b --parameter mu")
    Assert.Equal<string list>([ "BUNDLE" ], places "interval --against m.json --parameter mu")

    Assert.Equal<string list>(
        [ "--model" ],
        places "interval b --against m.json --model m.json --parameter mu"
    )

    Assert.Equal<string list>(
        [ "--feldman-cousins" ],
        places "interval b --against m.json --parameter mu --feldman-cousins"
    )

    Assert.Equal<string list>(
        [ "--width" ],
        places "scan --model m.json --parameter mu --from 0 --to 1 --count 2 --width 0.1"
    )

    Assert.Equal<string list>([ "--fix"; "--toys" ], places "gof --model m.json --fix a --toys x")
    Assert.Equal<string list>([ "--mu" ], places "wilks --model m.json")

[<Fact>]
let ``mistakes in several options come together`` () =
    let places =
        refused "scan --model m.json --parameter mu --from a --to b --count 0 --threads x"
        |> List.choose _.Path

    Assert.Equal<string list>([ "--threads"; "--from"; "--to"; "--count" ], places)

[<Fact>]
let ``numbers are those of JSON, whatever the culture's commas`` () =
    for bad in [ "1,5"; "1.5.2"; "inf"; "NaN"; "0x10"; "1e999"; "" ] do
        Assert.NotEmpty(refused $"fit --model m.json --fix a={bad}")

/// Any list of words, among them those that mean something, is a command or a usage error: nothing is raised.
[<Fact>]
let ``no command line is out of the question`` () =
    let words =
        "eval fit scan inspect run help --help --json --model --points --fix a=1 a= = --count 3 -1 --threads --from --frozen -- - m"
            .Split
            ' '

    let word =
        Gen.oneof [ Gen.elements words; ArbMap.defaults |> ArbMap.generate<string> ]
        |> Gen.map (fun w -> if isNull w then "" else w)

    let holds (line: string list) : bool =
        match Arguments.parse line with
        | Ok _ -> true
        | Result.Error mistake ->
            not mistake.Errors.IsEmpty
            && mistake.Usage <> ""
            && mistake.Errors |> List.forall (fun e -> e.Kind = ErrorKind.Usage)

    Check.One(Config.QuickThrowOnFailure, Prop.forAll (Arb.fromGen (Gen.listOf word)) holds)

[<Fact>]
let ``tables line up`` () =
    let lines =
        TextTable.lines
            [ TextTable.words "name"; TextTable.numbers "value" ]
            [ [ "a"; "1.5" ]; [ "longer"; "-12.25" ] ]

    Assert.Equal<string list>([ "name     value"; "a          1.5"; "longer  -12.25" ], lines)

[<Fact>]
let ``numbers for people are rounded and never culture's`` () =
    Assert.Equal("1.50", TextTable.fixedPoint 2 1.5)
    Assert.Equal("-∞", TextTable.fixedPoint 2 -infinity)
    Assert.Equal("not a number", TextTable.significant 3 nan)
    Assert.Equal("1,234,567", TextTable.count 1234567L)

[<Fact>]
let ``values of a scan have exact ends`` () =
    let holds (low: NormalFloat) (width: NormalFloat) (count: PositiveInt) : bool =
        let low, high = low.Get, low.Get + abs width.Get
        let count = 2 + count.Get

        let values = Scanning.evenly low high count

        values.Length = count
        && values[0] = low
        && values[count - 1] = high
        && Array.pairwise values |> Array.forall (fun (a, b) -> a <= b)

    Check.One(Config.QuickThrowOnFailure, holds)

[<Fact>]
let ``quick JIT is told from variables first, then from the configuration`` () =
    let isOn (variables: (string * string) list) (configured: (string * obj) list) : bool =
        let find (pairs: (string * 'v) list) (name: string) =
            pairs |> List.tryFind (fun (key, _) -> key = name) |> Option.map snd

        Tiering.decide
            (find variables >> Option.defaultValue null)
            (find configured >> Option.defaultValue null)

    let off = "System.Runtime.TieredCompilation.QuickJit", box false
    Assert.True(isOn [] [])
    Assert.False(isOn [] [ off ])
    Assert.False(isOn [] [ fst off, box "false" ])
    Assert.False(isOn [ "DOTNET_TC_QuickJit", "0" ] [])
    Assert.True(isOn [ "DOTNET_TC_QuickJit", "1" ] [ off ])
    Assert.False(isOn [ "DOTNET_TieredCompilation", "0" ] [])
    Assert.False(isOn [] [ "System.Runtime.TieredCompilation", box false ])

let private json (line: string list) : Json =
    let outcome = Commands.run context (line @ [ "--json" ])
    use stream = new MemoryStream()
    outcome.Output stream
    Json.parse (Encoding.UTF8.GetString(stream.ToArray())) |> Error.orRaise

let private numbers (name: string) (value: Json) : float option list =
    value
    |> Json.field
        name
        (Json.list (fun item ->
            if string item = "null" then
                Ok None
            else
                Json.float item |> Result.map Some))
    |> Error.orRaise

/// The shared points have the authors' own values of log likelihood and log prior: the machine contract gives their sum back.
[<SharedFact("reference/lhc-toy-points.json")>]
let ``eval gives the authors' values of their search, and null outside`` () =
    let reference =
        Json.parseFile (Support.sharedFile "reference/lhc-toy-points.json")
        |> Result.bind (
            Json.list (fun point ->
                Validation.map2
                    (fun x y -> x, y)
                    (Json.field "x" (Json.floats 95) point)
                    (Json.field "logPosterior" Json.float point))
        )
        |> Error.orRaise

    let outside = Array.init 95 (fun i -> if i = 0 then -2.0 else 0.0)
    let points = (reference |> List.map fst) @ [ outside ]
    let folder = Directory.CreateTempSubdirectory "funlik-"

    try
        let file = Path.Combine(folder.FullName, "points.npy")

        Npy.writeFloats file { Shape = [ points.Length; 95 ]; Values = Array.concat points }
        |> Error.orRaise

        let model = Support.sharedFile "data/lhc-toy.json"
        let answer = json [ "eval"; "--model"; model; "--points"; file; "--gradient" ]
        let found = numbers "logDensity" answer
        Assert.Equal(None, List.last found)

        for (_, expected), value in List.zip reference (List.take reference.Length found) do
            Assert.InRange(abs (value.Value - expected) / abs expected, 0.0, 1e-11)

        let sums =
            List.map2
                (Option.map2 (+))
                (numbers "main" answer)
                (List.map2 (Option.map2 (+)) (numbers "constraint" answer) (numbers "prior" answer))

        for sum, value in List.zip sums found do
            Assert.Equal(Option.defaultValue nan value, Option.defaultValue nan sum, 1e-9)
    finally
        folder.Delete true

[<Fact>]
let ``a fit in a flat valley says whose standard deviations it does not know`` () =
    let notes (second: float) : string list =
        let model =
            likelihood {
                let! a = poi "a" unconstrained
                let! b = nuisance "b" unconstrained
                do! gaussian [| 1.0; 2.0 |] [| 1.0; 1.0 |] (Expr.concat [ a + b; second * (a - b) ])
            }

        let request: FitRequest = { Held = Held.Nothing; Poi = None; Starts = None }
        let report = Fitting.run context request model |> Fitting.report request
        Assert.True report.Converged
        report.Notes

    Assert.Empty(notes 1.0)
    Assert.Contains("in which these move: a, b;", List.exactlyOne (notes 0.0))
