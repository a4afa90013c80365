module FunLik.Tests.OnnxFormatTests

open System
open System.IO
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

let private parse (bytes: byte[]) : OnnxModel = OnnxFormat.read bytes |> Error.orRaise

let private bytesOf (model: OnnxModel) : byte[] = OnnxFormat.write model |> Error.orRaise

let private errorsOf (result: Result<'T, Error list>) : Error list =
    match result with
    | Ok _ -> []
    | Result.Error errors -> errors

let private tensor (name: string) (dims: int list) (data: OnnxData) : OnnxTensor =
    { Name = name; Dims = dims; Data = data }

let private small: OnnxModel =
    {
        IrVersion = 8
        Opsets = [ "", 13 ]
        Producer = "FunLik"
        ProducerVersion = "0.1"
        DocString = "2 x + 1"
        MetadataProps = [ "made", "by hand" ]
        Graph =
            {
                Name = "affine"
                Nodes =
                    [
                        {
                            OpType = "Gemm"
                            Domain = ""
                            Name = "only"
                            Inputs = [ "x"; "w"; "b" ]
                            Outputs = [ "y" ]
                            Attributes = [ "alpha", OnnxAttribute.Float 1.0f ]
                        }
                    ]
                Initializers =
                    [
                        tensor "w" [ 1; 1 ] (OnnxData.Double [| 2.0 |])
                        tensor "b" [ 1 ] (OnnxData.Double [| 1.0 |])
                    ]
                Inputs =
                    [
                        OnnxFormat.valueInfo
                            "x"
                            OnnxElement.Double
                            [ OnnxDim.Symbolic "N"; OnnxDim.Known 1 ]
                    ]
                Outputs =
                    [
                        OnnxFormat.valueInfo
                            "y"
                            OnnxElement.Double
                            [ OnnxDim.Symbolic "N"; OnnxDim.Known 1 ]
                    ]
            }
    }

/// Models of every kind of part, valid by construction, with real numbers among these.
let private modelsWith (double: Gen<float>) : Arbitrary<OnnxModel> =
    let name =
        Gen.elements [ ""; "x"; "µ"; "line\nbreak"; "ℒ(θ)"; "𝛼"; "with \"quotes\"" ]

    let few (item: Gen<'T>) : Gen<'T list> =
        Gen.choose (0, 3) |> Gen.bind (fun n -> Gen.listOfLength n item)

    let fewArray (item: Gen<'T>) : Gen<'T[]> = few item |> Gen.map Array.ofList
    let distinct (pairs: (string * 'T) list) = pairs |> List.distinctBy fst

    let single = double |> Gen.map float32
    let int64 = Gen.choose64 (Int64.MinValue, Int64.MaxValue)

    let anyTensor =
        gen {
            let! name = name
            let! dims = few (Gen.choose (0, 4))
            let count = List.fold (*) 1 dims
            let array (item: Gen<'T>) = Gen.arrayOfLength count item

            let! data =
                Gen.oneof
                    [
                        array single |> Gen.map OnnxData.Float
                        array double |> Gen.map OnnxData.Double
                        array int64 |> Gen.map OnnxData.Int64
                        array (Gen.choose (Int32.MinValue, Int32.MaxValue))
                        |> Gen.map OnnxData.Int32
                        array (Gen.choose (0, 255) |> Gen.map byte) |> Gen.map OnnxData.UInt8
                        array (Gen.elements [ true; false ]) |> Gen.map OnnxData.Bool
                    ]

            return tensor name dims data
        }

    let attribute =
        Gen.zip
            name
            (Gen.oneof
                [
                    single |> Gen.map OnnxAttribute.Float
                    int64 |> Gen.map OnnxAttribute.Int
                    name |> Gen.map OnnxAttribute.String
                    anyTensor |> Gen.map OnnxAttribute.Tensor
                    fewArray single |> Gen.map OnnxAttribute.Floats
                    fewArray int64 |> Gen.map OnnxAttribute.Ints
                    fewArray name |> Gen.map OnnxAttribute.Strings
                ])

    let node =
        gen {
            let! opType = Gen.elements [ "Add"; "Gemm" ]
            let! domain = name
            let! nodeName = name
            let! inputs = few name
            let! outputs = few name
            let! attributes = few attribute

            return
                {
                    OpType = opType
                    Domain = domain
                    Name = nodeName
                    Inputs = inputs
                    Outputs = outputs
                    Attributes = distinct attributes
                }
        }

    let dim =
        Gen.oneof
            [
                Gen.choose (0, Int32.MaxValue) |> Gen.map OnnxDim.Known
                name |> Gen.map OnnxDim.Symbolic
            ]

    let info =
        gen {
            let! name = name

            let! element =
                Gen.elements
                    [
                        OnnxElement.Float
                        OnnxElement.UInt8
                        OnnxElement.Int32
                        OnnxElement.Int64
                        OnnxElement.Bool
                        OnnxElement.Double
                    ]

            let! dims = Gen.optionOf (few dim)

            return { Name = name; Element = element; Dims = dims }
        }

    let graph =
        gen {
            let! name = name
            let! nodes = few node
            let! initializers = few anyTensor
            let! inputs = few info
            let! outputs = few info

            return
                {
                    Name = name
                    Nodes = nodes
                    Initializers = initializers |> List.distinctBy _.Name
                    Inputs = inputs
                    Outputs = outputs
                }
        }

    gen {
        let! irVersion = Gen.choose (0, 12)
        let! version = Gen.choose (0, 30)
        let! opsets = few (Gen.zip name (Gen.choose (0, 30)))
        let! producer = name
        let! producerVersion = name
        let! docString = name
        let! metadata = few (Gen.zip name name)
        let! graph = graph

        return
            {
                IrVersion = irVersion
                Opsets = distinct (("", version) :: opsets)
                Producer = producer
                ProducerVersion = producerVersion
                DocString = docString
                MetadataProps = distinct metadata
                Graph = graph
            }
    }
    |> Arb.fromGen

let private anyBits: Gen<float> =
    Gen.choose64 (Int64.MinValue, Int64.MaxValue)
    |> Gen.map BitConverter.Int64BitsToDouble

let private models: Arbitrary<OnnxModel> =
    anyBits |> Gen.filter (Double.IsNaN >> not) |> modelsWith

[<Fact>]
let ``what is written is read back, and the same model gives the same bytes`` () =
    let law (model: OnnxModel) =
        let bytes = bytesOf model
        let again = parse bytes
        again = model && bytesOf again = bytes

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 500, Prop.forAll models law)

[<Fact>]
let ``special numbers keep their bits`` () =
    let special =
        Gen.elements [ nan; -nan; infinity; -infinity; 0.0; -0.0; Double.Epsilon ]

    let law (model: OnnxModel) =
        let bytes = bytesOf model
        bytesOf (parse bytes) = bytes

    Check.One(Config.QuickThrowOnFailure, Prop.forAll (modelsWith special) law)

[<Fact>]
let ``a file that is cut off anywhere is refused`` () =
    let law (model: OnnxModel) =
        let bytes = bytesOf model

        Seq.init bytes.Length (fun length -> Array.truncate length bytes)
        |> Seq.forall (fun cut -> not (errorsOf (OnnxFormat.read cut)).IsEmpty)

    Assert.True(law small)
    Check.One(Config.QuickThrowOnFailure.WithMaxTest 30, Prop.forAll models law)

[<Fact>]
let ``a file with any byte changed to any other is read or refused, and never throws`` () =
    let bytes = bytesOf small

    for i in 0 .. bytes.Length - 1 do
        for value in 0uy .. 255uy do
            let spoiled = Array.copy bytes
            spoiled[i] <- value

            match OnnxFormat.read spoiled with
            | Ok model -> Assert.True((OnnxFormat.write model).IsOk, $"byte {i} = {value}")
            | Result.Error errors -> Assert.NotEmpty errors

[<Fact>]
let ``a file by Python's onnx is read`` () =
    // onnx 1.12: make_tensor (numbers in typed fields), numpy_helper.from_array (raw_data), all
    // attribute types but sparse and graphs, an unnamed and a named axis, a left-out input,
    // value_info and doc_strings to be skipped.
    let bytes =
        Convert.FromBase64String(
            "CAgSC29ubngtcHl0aG9uGgQxLjEyMgVhYm91dDrwAgo0CgF4CgF3CgASAXkaAWciBEdlbW0qDwoFYWxw"
            + "aGEVAAAAP6ABASoNCgZ0cmFuc0IYAKABAgp8CgF5EgF6IgVUaGluZyoRCgJmcz0AAIA/PQAAIECgAQYq"
            + "FAoCanNAAUD///////////8BoAEHKgoKAXMiAsK1oAEDKg0KAnNzSgFhSgFioAEIKiEKAXQqGQgCEAtC"
            + "AWtKEAAAAAAAAPg/AAAAAAAA0L+gAQQ6BmZ1bmxpaxIDbmV0KhMIAggBEAEiCAAAAD8AAADAQgF3KhkI"
            + "AhALQgFrShAAAAAAAAD4PwAAAAAAANC/KhUIAxAHOgz///////////8BAAdCAWkqCwgCEAkqAgEAQgF1"
            + "KgwIAhACKgMD+gFCAWIqERAGKgr7//////////8BQgFqUgFkWhQKAXgSDwoNCAESCQoDEgFOCgIIAmIR"
            + "CgF6EgwKCggLEgYKAAoCCAFqFAoBeRIPCg0IARIJCgMSAU4KAggBQgQKABANQgoKBmZ1bmxpaxABcg8K"
            + "BG1hZGUSB2J5IGhhbmQ="
        )

    let k = tensor "k" [ 2 ] (OnnxData.Double [| 1.5; -0.25 |])

    let expected: OnnxModel =
        {
            IrVersion = 8
            Opsets = [ "", 13; "funlik", 1 ]
            Producer = "onnx-python"
            ProducerVersion = "1.12"
            DocString = "about"
            MetadataProps = [ "made", "by hand" ]
            Graph =
                {
                    Name = "net"
                    Nodes =
                        [
                            {
                                OpType = "Gemm"
                                Domain = ""
                                Name = "g"
                                Inputs = [ "x"; "w"; "" ]
                                Outputs = [ "y" ]
                                Attributes =
                                    [
                                        "alpha", OnnxAttribute.Float 0.5f
                                        "transB", OnnxAttribute.Int 0L
                                    ]
                            }
                            {
                                OpType = "Thing"
                                Domain = "funlik"
                                Name = ""
                                Inputs = [ "y" ]
                                Outputs = [ "z" ]
                                Attributes =
                                    [
                                        "fs", OnnxAttribute.Floats [| 1.0f; 2.5f |]
                                        "js", OnnxAttribute.Ints [| 1L; -1L |]
                                        "s", OnnxAttribute.String "µ"
                                        "ss", OnnxAttribute.Strings [| "a"; "b" |]
                                        "t", OnnxAttribute.Tensor k
                                    ]
                            }
                        ]
                    Initializers =
                        [
                            tensor "w" [ 2; 1 ] (OnnxData.Float [| 0.5f; -2.0f |])
                            k
                            tensor "i" [ 3 ] (OnnxData.Int64 [| -1L; 0L; 7L |])
                            tensor "u" [ 2 ] (OnnxData.Bool [| true; false |])
                            tensor "b" [ 2 ] (OnnxData.UInt8 [| 3uy; 250uy |])
                            tensor "j" [] (OnnxData.Int32 [| -5 |])
                        ]
                    Inputs =
                        [
                            OnnxFormat.valueInfo
                                "x"
                                OnnxElement.Float
                                [ OnnxDim.Symbolic "N"; OnnxDim.Known 2 ]
                        ]
                    Outputs =
                        [
                            OnnxFormat.valueInfo
                                "z"
                                OnnxElement.Double
                                [ OnnxDim.Symbolic ""; OnnxDim.Known 1 ]
                        ]
                }
        }

    Assert.Equal(expected, parse bytes)

[<Fact>]
let ``what cannot be read back is not written`` () =
    let refused (model: OnnxModel) (kind: ErrorKind) (path: string) =
        let errors = OnnxFormat.write model |> errorsOf
        Assert.Contains(errors, fun e -> e.Kind = kind && e.Path = Some path)

    let withTensor t = { small with Graph.Initializers = [ t ] }
    refused { small with Opsets = [] } ErrorKind.Schema "opset_import"
    refused { small with IrVersion = -1 } ErrorKind.Value "ir_version"
    refused { small with Producer = String(char 0xD800, 1) } ErrorKind.Value "producer_name"
    refused { small with MetadataProps = [ "a", "1"; "a", "2" ] } ErrorKind.Name "metadata_props"

    refused
        (withTensor (tensor "w" [ 2 ] (OnnxData.Float [| 1.0f |])))
        ErrorKind.Shape
        "graph.initializer[0].dims"

    refused
        (withTensor (tensor "w" [ -1 ] (OnnxData.Float [| 1.0f |])))
        ErrorKind.Shape
        "graph.initializer[0].dims"

    refused
        { small with
            Graph.Inputs = [ OnnxFormat.valueInfo "x" OnnxElement.Float [ OnnxDim.Known -1 ] ]
        }
        ErrorKind.Value
        "graph.input[0].type.tensor_type.shape.dim[0]"

    let doubled =
        { small.Graph.Nodes.Head with
            Attributes = [ "a", OnnxAttribute.Int 1L; "a", OnnxAttribute.Int 2L ]
        }

    refused { small with Graph.Nodes = [ doubled ] } ErrorKind.Name "graph.node[0].attribute"

[<Fact>]
let ``files are written whole, read back, and named in errors`` () =
    let folder = Directory.CreateTempSubdirectory "funlik-onnx-"

    try
        let path = Path.Combine(folder.FullName, "small.onnx")
        OnnxFormat.writeFile path small |> Error.orRaise
        OnnxFormat.writeFile path small |> Error.orRaise
        Assert.Equal(small, OnnxFormat.readFile path |> Error.orRaise)
        Assert.Equal<byte>(bytesOf small, File.ReadAllBytes path)

        // What fails leaves what was there, and nothing beside it.
        Assert.NotEmpty(OnnxFormat.writeFile path { small with Opsets = [] } |> errorsOf)
        Assert.Equal(small, OnnxFormat.readFile path |> Error.orRaise)
        Assert.Single(folder.GetFiles()) |> ignore

        File.WriteAllBytes(path, bytesOf small |> Array.truncate 100)
        let cut = OnnxFormat.readFile path |> errorsOf
        Assert.All(cut, fun e -> Assert.Equal(Some path, e.File))
        Assert.NotEmpty cut

        let absent = Path.Combine(folder.FullName, "absent", "small.onnx")

        for result in
            [
                OnnxFormat.readFile absent |> Result.map ignore
                OnnxFormat.writeFile absent small
            ] do
            let error = Assert.Single(errorsOf result)
            Assert.Equal(ErrorKind.FileMissing, error.Kind)
            Assert.Equal(Some absent, error.File)

        let error = Assert.Single(OnnxFormat.readFile folder.FullName |> errorsOf)
        Assert.Equal(Some folder.FullName, error.File)
    finally
        folder.Delete true
