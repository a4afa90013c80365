module FunLik.Tests.InterferenceTests

open System.IO
open FsCheck
open FsCheck.FSharp
open FunLik
open Xunit

let private model: HistFactoryData =
    {
        Name = "test"
        Channels =
            [
                {
                    Name = "SR"
                    Observed = [| 5.0; 6.0 |]
                    Samples =
                        [
                            { Name = "ttH"; Nominal = [| 2.0; 3.0 |]; Modifiers = []; Path = "" }
                            {
                                Name = "other"
                                Nominal = [| 1.0; 1.5 |]
                                Modifiers =
                                    [
                                        {
                                            Name = "mu"
                                            Modification = Modification.NormFactor
                                            Path = ""
                                        }
                                    ]
                                Path = ""
                            }
                        ]
                    Path = ""
                }
            ]
        Poi = None
        PoiPath = ""
        Settings = []
    }

let private scalings (text: string) : Result<QuadraticScaling list, Error list> =
    Json.parse text |> Result.bind Scalings.ofJson

let private expectedOf (model: Likelihood) : Session<float> =
    match model.Density with
    | Density.Terms terms ->
        let main = terms |> List.find (fun t -> not t.IsConstraint)
        Objective.session model [ "expected", main.Expectation ]
    | Density.Opaque _ -> failwith "an opaque density"

/// vᵀ M v as it stands, for a random positive semidefinite M = L Lᵀ of each bin.
[<Fact>]
let ``yields are multiplied by quadratic forms`` () =
    let law (seed: int) : bool =
        let key = Key.ofSeed seed
        let n = 3
        let root = Key.normals (2 * n * n) (Key.fold 0 key)

        let element (bin: int) (i: int) (j: int) : float =
            Seq.init n (fun k -> root[bin * n * n + i * n + k] * root[bin * n * n + j * n + k])
            |> Seq.sum

        let packed (bin: int) : string =
            [
                for i in 0 .. n - 1 do
                    for j in 0..i -> JsonValue.formatNumber (element bin i j)
            ]
            |> String.concat ", "

        let given =
            scalings
                $"""[{{"channel": "SR", "process": "ttH", "parameters": ["cSM[1]", "a[0,-2,2]", "b[0.5,-1,3]"],
                       "scaling": [[{packed 0}], [{packed 1}]]}}]"""
            |> Error.orRaise

        let found = HistFactory.likelihood HistFactory.codes given model |> Error.orRaise
        let theta = Key.normals 3 (Key.fold 1 key)
        let v = [| 1.0; theta[0]; theta[1] |]

        let form (bin: int) : float =
            Seq.allPairs [ 0 .. n - 1 ] [ 0 .. n - 1 ]
            |> Seq.sumBy (fun (i, j) -> v[i] * element bin i j * v[j])

        let expected = ((expectedOf found).Evaluate(1, [| theta |], RunOptions.Single))[0]
        let wanted = [| 2.0 * form 0 + theta[2]; 3.0 * form 1 + 1.5 * theta[2] |]

        Likelihood.names found = [| "a"; "b"; "mu" |]
        && Array.forall2 (fun w e -> abs (w - e) <= 1e-11 * max 1.0 (abs w)) wanted expected

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 20, law)

[<Fact>]
let ``ranges are boxes, starts are starts, and constants are no parameters`` () =
    let given =
        scalings
            """[{"channel": "SR", "process": "ttH", "parameters": ["cSM[2]", "b[0.5,-1,3]"], "scaling": [[1, 0, 0], [1, 0, 1]]}]"""
        |> Error.orRaise

    let found = HistFactory.likelihood HistFactory.codes given model |> Error.orRaise
    let coupling = (Likelihood.parameters found)[0]
    Assert.Equal("b", coupling.Name)
    Assert.Equal(0.5, coupling.Nominal)
    Assert.Equal(struct (-infinity, infinity), coupling.Bounds)
    Assert.Equal(struct (-1.0, 3.0), coupling.Range)

    let expected =
        ((expectedOf found).Evaluate(1, [| [| 3.0; 1.0 |] |], RunOptions.Single))[0]
    // cSM is 2: 4 in the first bin, 4 + b² in the second.
    Assert.Equal<float[]>([| 2.0 * 4.0 + 1.0; 3.0 * 13.0 + 1.5 |], expected)

let private refusedWith (tolerance: float) (text: string) : Error list =
    let file = Path.GetTempFileName()

    try
        File.WriteAllText(file, text)

        match Scalings.load tolerance model file with
        | Ok _ -> []
        | Result.Error errors ->
            Assert.All(errors, fun e -> Assert.Equal(Some file, e.File))
            errors
    finally
        File.Delete file

let private entry (parameters: string) (scaling: string) : string =
    $"""[{{"channel": "SR", "process": "ttH", "parameters": {parameters}, "scaling": {scaling}}}]"""

[<Fact>]
let ``a form that can be negative is refused with its bin, within a tolerance`` () =
    // The eigenvalues of [[1, 1+ε], [1+ε, 1]] are 2+ε and -ε.
    let text = entry """["cSM[1]", "c[0,-1,1]"]""" "[[1, 1, 1], [1, 1.001, 1]]"
    let errors = refusedWith 1e-9 text
    Assert.Equal<ErrorKind list>([ ErrorKind.Value ], errors |> List.map _.Kind)
    Assert.Contains("bin 1", errors.Head.Message)
    Assert.Equal(Some "$[0]", errors.Head.Path)
    Assert.Empty(refusedWith 1e-3 text)

[<Fact>]
let ``spoiled scalings are refused with their place`` () =
    let good = """["cSM[1]", "c[0,-1,1]"]"""

    for text, place in
        [
            "{}", "$"
            "[1]", "$[0]"
            entry "[]" "[[1], [1]]", "$[0].parameters"
            entry """["cSM[1]", "c"]""" "[[1, 0, 1], [1, 0, 1]]", "$[0].parameters[1]"
            entry """["cSM[1]", "c[0,1]"]""" "[[1, 0, 1], [1, 0, 1]]", "$[0].parameters[1]"
            entry """["cSM[1]", "c[0,1,-1]"]""" "[[1, 0, 1], [1, 0, 1]]", "$[0].parameters[1]"
            entry """["cSM[1]", "c[0,-1,nan]"]""" "[[1, 0, 1], [1, 0, 1]]", "$[0].parameters[1]"
            entry """["c[1]", "c[0,-1,1]"]""" "[[1, 0, 1], [1, 0, 1]]", "$[0].parameters"
            entry good "[[1, 0], [1, 0, 1]]", "$[0].scaling[0]"
            entry good "[[1, 0, 1]]", "$[0]"
            entry good "[[1, 0, \"x\"], [1, 0, 1]]", "$[0].scaling[0][2]"
            (entry good "[[1, 0, 1], [1, 0, 1]]").Replace("ttH", "ttZ"), "$[0]"
            (entry good "[[1, 0, 1], [1, 0, 1]]").Replace("SR", "CR"), "$[0]"
            (entry good "[[1, 0, 1], [1, 0, 1]]").Replace("process", "proces"), "$[0]"
        ] do
        let errors = refusedWith 1e-9 text
        Assert.Contains(Some place, errors |> List.map _.Path)

    let once = entry good "[[1, 0, 1], [1, 0, 1]]"
    let inner = once.Substring(1, once.Length - 2)
    let errors = refusedWith 1e-9 $"[{inner}, {inner}]"
    Assert.Equal<string option list>([ Some "$[1]" ], errors |> List.map _.Path)

[<Fact>]
let ``a coupling with the name of a modifier is refused`` () =
    let given =
        scalings (entry """["cSM[1]", "mu[0,-1,1]"]""" "[[1, 0, 1], [1, 0, 1]]")
        |> Error.orRaise

    match HistFactory.likelihood HistFactory.codes given model with
    | Ok _ -> failwith "two parameters of one name"
    | Result.Error errors -> Assert.Contains(errors, fun e -> e.Kind = ErrorKind.Name)
