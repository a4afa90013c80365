module FunLik.Tests.OnnxLikelihoodTests

open System
open System.IO
open Xunit
open FsCheck
open FunLik
open FunLik.Tests.OnnxSubjects

let private search: Likelihood =
    ModelFile.load (Path.Combine(Support.root, "examples/search/model.json")) ModelOptions.None
    |> Error.orRaise

/// Points around the nominal ones.
let private around (rows: int) (model: Likelihood) : float[] =
    let nominal = Likelihood.parameters model |> Array.map _.Nominal
    let shifts = Key.ofSeed 5 |> Key.normals (rows * nominal.Length)
    shifts |> Array.mapi (fun k z -> nominal[k % nominal.Length] + 0.7 * z)

[<OnnxRuntimeFact>]
let ``a search has its values and gradients in ONNX Runtime`` () =
    let options = { doubles with Gradient = true }
    let model = Onnx.ofLikelihood options search |> Error.orRaise
    let objective = Objective.ofLikelihood search
    let rows, n = 33, objective.Count
    let x = around rows search
    x[0] <- -2.0
    let struct (values, gradients) = objective.ValuesAndGradients(x, RunOptions.Single)
    Assert.Equal(-infinity, values[0])

    use session = openModel model

    match session.Run [ { Name = "theta"; Dims = [ rows; n ]; Data = OnnxData.Double x } ] with
    | Ok [ { Data = OnnxData.Double y; Dims = [ _; 1 ] }; { Data = OnnxData.Double g } ] ->
        Assert.True(worst 1.0 values y <= 1e-10)
        Assert.True(worst 1.0 gradients g <= 1e-10)
    | other -> invalidOp $"{other}"

let private temporary (action: string -> unit) : unit =
    let folder = Directory.CreateTempSubdirectory "funlik-onnx-"

    try
        action (Path.Combine(folder.FullName, "model.onnx"))
    finally
        folder.Delete true

[<Fact>]
let ``a likelihood comes back from its file, with names, bounds and support`` () =
    temporary (fun path ->
        Onnx.ofLikelihood doubles search
        |> Result.bind (OnnxFormat.writeFile path)
        |> Error.orRaise

        let found = Onnx.readLikelihood path |> Error.orRaise
        Assert.Equal(search.Name, found.Name)

        Assert.Equal<ModelParameter[]>(Likelihood.parameters search, Likelihood.parameters found)

        let x = around 17 search
        x[0] <- -2.0

        let struct (values, gradients) =
            (Objective.ofLikelihood search).ValuesAndGradients(x, RunOptions.Single)

        let struct (values', gradients') =
            (Objective.ofLikelihood found).ValuesAndGradients(x, RunOptions.Single)

        Assert.Equal(-infinity, values'[0])
        Assert.True(worst 1.0 values values' <= 1e-12)
        Assert.True(worst 1.0 gradients gradients' <= 1e-10)

        Assert.Contains(
            "terms",
            (Assert.Throws<FunLikException>(fun () -> Likelihood.terms "a toy" found |> ignore))
                .Message
        ))

[<Fact>]
let ``a model file may be ONNX`` () =
    temporary (fun path ->
        Onnx.ofLikelihood doubles search
        |> Result.bind (OnnxFormat.writeFile path)
        |> Error.orRaise

        let found = ModelFile.read path ModelOptions.None |> Error.orRaise
        Assert.Equal("onnx", found.Kind)
        Assert.Equal<string[]>(Likelihood.names search, Likelihood.names found.Likelihood)

        let error =
            ModelFile.read path { ModelOptions.None with Patch = Some "p.json" }
            |> errorsOf
            |> Assert.Single

        Assert.Equal((ErrorKind.Unsupported, Some path), (error.Kind, error.File))
        File.WriteAllText(path, "{}")
        let errors = ModelFile.read path ModelOptions.None |> errorsOf
        Assert.All(errors, fun e -> Assert.Equal(Some path, e.File)))

let private record: OnnxRecord =
    { OnnxRecord.create
          "a µ"
          [|
              ModelParameter.create "c" ParameterKind.Poi 0.5
              |> ModelParameter.bounded -1.0 2.0
              { ModelParameter.create "d" ParameterKind.Nuisance 0.0 with
                  Bounds = struct (0.0, infinity)
                  Unit = "GeV"
                  IsKinked = true
              }
          |] with
        Profiled = [ "e"; "f" ]
        Reference = Some [| 0.5; 0.1 |]
        Provenance = [ "job", "job 7\nsecond line"; "data", "sha256:0" ]
    }

let private smallModel: OnnxModel =
    let x = Expr.parameter "x" (Vector 2)
    let y = Expr.sum (Composite.selu (Expr.matVec (matrix 3 2) x + [| 1.0; 2.0; 3.0 |]))

    Onnx.ofExpressions singles [ "x", Vector 2 ] [ "y", y ]
    |> Error.orRaise
    |> Onnx.withRecord record

[<Fact>]
let ``records come back`` () =
    Assert.Equal(Ok(Some record), Onnx.record (again smallModel))
    Assert.Equal(Ok None, Onnx.record (write doubles theta))
    let other = Onnx.withRecord { record with Reference = None } smallModel
    Assert.Equal(Ok(Some { record with Reference = None }), Onnx.record (again other))

    match Onnx.toLikelihood smallModel with
    | Ok { Density = Density.Opaque(_, profiled) } ->
        Assert.Equal<string list>([ "e"; "f" ], profiled)
    | other -> invalidOp $"{other}"

[<Fact>]
let ``a model without a record has parameters all the same`` () =
    let model =
        { smallModel with MetadataProps = [] } |> Onnx.toLikelihood |> Error.orRaise

    Assert.Equal<string[]>([| "x0"; "x1" |], Likelihood.names model)

[<Fact>]
let ``spoiled records are refused, with the key and the place`` () =
    let spoil (key: string) (value: string) : string =
        { smallModel with
            MetadataProps =
                smallModel.MetadataProps
                |> List.map (fun (k, v) -> if k = key then k, value else k, v)
        }
        |> Onnx.toLikelihood
        |> errorsOf
        |> List.map string
        |> String.concat "\n"

    for key, value, words in
        [
            "funlik.schema", "2", "another version"
            "funlik.schema", "x", "not JSON"
            "funlik.parameters", "[", "not JSON"
            "funlik.parameters", "{}", "an array"
            "funlik.parameters", "[]", "0 numbers"
            "funlik.parameters", """[{"name":"c"},{"name":"d"}]""", "'kind' is missing"
            "funlik.parameters",
            """[{"name":"c","kind":"poi","nominal":0},{"name":"c","kind":"poi","nominal":0}]""",
            "stands 2 times"
            "funlik.parameters",
            """[{"name":"c","kind":"poi","nominal":0},{"name":"d","kind":"x","nominal":0}]""",
            "$[1].kind"
            "funlik.parameters",
            """[{"name":"c","kind":"poi","nominal":0,"bounds":[2,1]},{"name":"d","kind":"poi","nominal":0}]""",
            "$[0].bounds"
            "funlik.profiled", "3", "an array"
            "funlik.reference", "[1]", "2 numbers"
        ] do
        Assert.Contains(words, spoil key value)

[<Fact>]
let ``spoiled files are errors, never exceptions`` () =
    let bytes = bytesOf smallModel

    let law (changes: (int * byte) list) (cut: int) : bool =
        let spoiled = Array.copy bytes

        for place, value in changes do
            spoiled[(abs (place % bytes.Length))] <- value

        let kept =
            if cut % 3 = 0 then
                bytes.Length - abs (cut % 50)
            else
                bytes.Length

        match OnnxFormat.read spoiled[.. kept - 1] |> Result.bind Onnx.toLikelihood with
        | Ok model -> Likelihood.names model |> isNull |> not
        | Result.Error errors -> not errors.IsEmpty

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 2000, law)

[<Fact>]
let ``spoiled graphs are errors, never exceptions`` () =
    let model = Onnx.ofLikelihood doubles search |> Error.orRaise
    let nodes = Array.ofList model.Graph.Nodes
    let tensors = Array.ofList model.Graph.Initializers

    let values =
        Array.concat
            [
                nodes |> Array.collect (fun n -> Array.ofList n.Outputs)
                tensors |> Array.map _.Name
                [| "theta"; ""; "?" |]
            ]

    let operators = nodes |> Array.map _.OpType |> Array.distinct

    let law (where: int) (what: int) (other: int) : bool =
        let at (items: 'T[]) (k: int) : 'T = items[abs (k % items.Length)]
        let node = at nodes where

        let spoiled =
            match abs (what % 5) with
            | 0 ->
                { node with
                    Inputs = at values other :: List.skip (min 1 node.Inputs.Length) node.Inputs
                }
            | 1 -> { node with Inputs = node.Inputs @ [ at values other ] }
            | 2 -> { node with OpType = at operators other }
            | 3 ->
                { node with
                    Attributes =
                        [
                            "axis", OnnxAttribute.Int(int64 other)
                            "axes", OnnxAttribute.Ints [| int64 other |]
                        ]
                }
            | _ -> { node with Inputs = List.truncate (abs (other % 3)) node.Inputs }

        let graph =
            { model.Graph with
                Nodes =
                    model.Graph.Nodes
                    |> List.map (fun n -> if obj.ReferenceEquals(n, node) then spoiled else n)
            }

        match Onnx.toLikelihood { model with Graph = graph } with
        | Ok _ -> true
        | Result.Error errors -> not errors.IsEmpty

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 300, law)
