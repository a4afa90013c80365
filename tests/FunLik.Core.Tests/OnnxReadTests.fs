module FunLik.Tests.OnnxReadTests

open System
open Xunit
open FunLik

let private node (op: string) (inputs: string list) (output: string) attributes : OnnxNode =
    {
        OpType = op
        Domain = ""
        Name = output
        Inputs = inputs
        Outputs = [ output ]
        Attributes = attributes
    }

let private floats (name: string) (dims: int list) (values: float list) : OnnxTensor =
    {
        Name = name
        Dims = dims
        Data = OnnxData.Float(values |> List.map float32 |> Array.ofList)
    }

let private ints (name: string) (values: int list) : OnnxTensor =
    {
        Name = name
        Dims = [ values.Length ]
        Data = OnnxData.Int64(values |> List.map int64 |> Array.ofList)
    }

let private index (name: string) (value: int) : OnnxTensor = { ints name [ value ] with Dims = [] }

/// Somebody's model: rows of these dims called x, and what its nodes make, called y.
let private model
    (opset: int)
    (dims: int list)
    (constants: OnnxTensor list)
    (nodes: OnnxNode list)
    =
    let rows = OnnxDim.Symbolic "N" :: List.map OnnxDim.Known dims

    {
        IrVersion = 8
        Opsets = [ "", opset ]
        Producer = "somebody"
        ProducerVersion = ""
        DocString = ""
        MetadataProps = []
        Graph =
            {
                Name = "theirs"
                Nodes = nodes
                Initializers = constants
                Inputs = [ OnnxFormat.valueInfo "x" OnnxElement.Float rows ]
                Outputs = [ { Name = "y"; Element = OnnxElement.Float; Dims = None } ]
            }
    }

let private axis (value: int) = [ "axis", OnnxAttribute.Int(int64 value) ]
let private noDims = [ "keepdims", OnnxAttribute.Int 0L ]

let private axes (values: int list) =
    "axes", OnnxAttribute.Ints(values |> List.map int64 |> Array.ofList)

let private count (values: int) : float list = List.init values (fun k -> 0.25 * float (k - 2))

let private two = floats "two" [] [ 2.0 ]

/// What else than FunLik writes.
let private theirs: (string * OnnxModel) list =
    let plane = [ 2; 3 ]
    let flat = [ 4 ]

    let unary (op: string) attributes = op, model 17 flat [] [ node op [ "x" ] "y" attributes ]

    let onPlane (name: string) (constants: OnnxTensor list) (nodes: OnnxNode list) =
        name, model 13 plane constants nodes

    [
        for op in
            [
                "Relu"
                "Sigmoid"
                "Softplus"
                "Softsign"
                "Elu"
                "Selu"
                "LeakyRelu"
                "Tanh"
            ] do
            unary op []
        for op in [ "Neg"; "Abs"; "Sign"; "Exp"; "Sin"; "Cos"; "Erf"; "Identity"; "Reciprocal" ] do
            unary op []
        unary "Elu" [ "alpha", OnnxAttribute.Float 0.5f ]
        unary "LeakyRelu" [ "alpha", OnnxAttribute.Float 0.3f ]
        unary "Selu" [ "alpha", OnnxAttribute.Float 1.5f; "gamma", OnnxAttribute.Float 1.1f ]
        "Gelu", model 20 flat [] [ node "Gelu" [ "x" ] "y" [] ]
        "Gelu by tanh",
        model 20 flat [] [ node "Gelu" [ "x" ] "y" [ "approximate", OnnxAttribute.String "tanh" ] ]
        "Gemm",
        model
            13
            flat
            [ floats "w" [ 4; 3 ] (count 12); floats "b" [ 1; 3 ] (count 3) ]
            [
                node
                    "Gemm"
                    [ "x"; "w"; "b" ]
                    "y"
                    [ "alpha", OnnxAttribute.Float 0.5f; "beta", OnnxAttribute.Float 2.0f ]
            ]
        "a layer with its weights transposed in the graph",
        model
            13
            flat
            [ floats "w" [ 3; 4 ] (count 12); floats "b" [ 3 ] (count 3) ]
            [
                node "Transpose" [ "w" ] "v" []
                node "MatMul" [ "x"; "v" ] "h" []
                node "Add" [ "b"; "h" ] "g" []
                node "Dropout" [ "g" ] "y" []
            ]
        "MatMul with a vector",
        model
            11
            flat
            [ floats "w" [ 4 ] (count 4) ]
            [
                node "MatMul" [ "x"; "w" ] "h" []
                node "Unsqueeze" [ "h" ] "y" [ axes [ 1 ] ]
            ]
        "Clip by attributes",
        model
            9
            flat
            []
            [
                node
                    "Clip"
                    [ "x" ]
                    "y"
                    [ "min", OnnxAttribute.Float -0.5f; "max", OnnxAttribute.Float 1.0f ]
            ]
        "Clip from below",
        model 13 flat [ floats "a" [] [ 0.5 ] ] [ node "Clip" [ "x"; "a" ] "y" [] ]
        "Clip from above",
        model 13 flat [ floats "b" [] [ 0.5 ] ] [ node "Clip" [ "x"; ""; "b" ] "y" [] ]
        for op in [ "Max"; "Min"; "Sum" ] do
            op,
            model
                13
                flat
                [ floats "a" [ 4 ] (count 4); two ]
                [ node "Exp" [ "x" ] "e" []; node op [ "x"; "a"; "two"; "e" ] "y" [] ]
        for power in [ 3.0; -2.0; 0.5 ] do
            $"Pow {power}",
            model
                13
                flat
                [ floats "p" [ 1 ] [ power ] ]
                [ node "Abs" [ "x" ] "a" []; node "Pow" [ "a"; "p" ] "y" [] ]
        "Where and Greater",
        model
            13
            flat
            [ two ]
            [
                node "Mul" [ "x"; "x" ] "q" []
                node "Greater" [ "q"; "two" ] "c" []
                node "Where" [ "c"; "x"; "q" ] "y" []
            ]
        "constants of all kinds",
        model
            13
            flat
            []
            [
                node "Constant" [] "a" [ "value_float", OnnxAttribute.Float 0.5f ]
                node
                    "Constant"
                    []
                    "b"
                    [ "value_floats", OnnxAttribute.Floats [| 1.f; 2.f; 3.f; 4.f |] ]
                node "Constant" [] "c" [ "value_ints", OnnxAttribute.Ints [| 1L; 3L |] ]
                node
                    "Constant"
                    []
                    "d"
                    [ "value", OnnxAttribute.Tensor(floats "" [ 1; 2 ] [ 7.0; 8.0 ]) ]
                node "Cast" [ "c" ] "e" [ "to", OnnxAttribute.Int 1L ]
                node "Mul" [ "x"; "a" ] "f" []
                node "Add" [ "f"; "b" ] "g" []
                node "Gather" [ "g"; "c" ] "h" (axis -1)
                node "Add" [ "h"; "d" ] "i" []
                node "Mul" [ "i"; "e" ] "y" []
            ]
        "Expand",
        model
            13
            [ 1 ]
            [ ints "s" [ 1; 3 ] ]
            [ node "Expand" [ "x"; "s" ] "e" []; node "Exp" [ "e" ] "y" [] ]
        onPlane "Flatten" [] [ node "Flatten" [ "x" ] "y" [] ]
        onPlane "Reshape to rows" [ ints "s" [ -1; 6 ] ] [ node "Reshape" [ "x"; "s" ] "y" [] ]
        onPlane
            "Reshape by what is left"
            [ ints "s" [ 0; -1 ] ]
            [ node "Reshape" [ "x"; "s" ] "y" [] ]
        onPlane "Reshape to planes" [ ints "s" [ 0; 3; 2 ] ] [ node "Reshape" [ "x"; "s" ] "y" [] ]
        onPlane
            "Transpose"
            []
            [ node "Transpose" [ "x" ] "y" [ "perm", OnnxAttribute.Ints [| 0L; 2L; 1L |] ] ]
        onPlane
            "ReduceSum of columns"
            [ ints "a" [ 1 ] ]
            [ node "ReduceSum" [ "x"; "a" ] "y" noDims ]
        onPlane "ReduceSum of all" [ ints "a" [ 1; 2 ] ] [ node "ReduceSum" [ "x"; "a" ] "y" [] ]
        onPlane "ReduceMean" [] [ node "ReduceMean" [ "x" ] "y" [ axes [ 1; 2 ] ] ]
        onPlane "ReduceMean of rows" [] [ node "ReduceMean" [ "x" ] "y" (axes [ -1 ] :: noDims) ]
        onPlane "ReduceLogSumExp" [] [ node "ReduceLogSumExp" [ "x" ] "y" [ axes [ 1; 2 ] ] ]
        onPlane "Gather of one" [ index "i" -1 ] [ node "Gather" [ "x"; "i" ] "y" (axis 1) ]
        onPlane
            "Gather of several"
            [ ints "i" [ 2; 0; -2 ] ]
            [ node "Gather" [ "x"; "i" ] "y" (axis 2) ]
        onPlane "Concat" [] [ node "Exp" [ "x" ] "e" []; node "Concat" [ "x"; "e" ] "y" (axis 1) ]
        onPlane
            "Concat of rows"
            []
            [ node "Exp" [ "x" ] "e" []; node "Concat" [ "x"; "e" ] "y" (axis -1) ]
        onPlane
            "Slice"
            [
                ints "a" [ -1; 0 ]
                ints "b" [ -9; 2 ]
                ints "c" [ 2; 1 ]
                ints "d" [ -2; 1 ]
            ]
            [ node "Slice" [ "x"; "a"; "b"; "c"; "d" ] "y" [] ]
        "Slice by attributes",
        model
            9
            plane
            []
            [
                node
                    "Slice"
                    [ "x" ]
                    "y"
                    [
                        axes [ 2 ]
                        "starts", OnnxAttribute.Ints [| 1L |]
                        "ends", OnnxAttribute.Ints [| Int64.MaxValue |]
                    ]
            ]
        onPlane
            "broadcasting"
            [
                floats "a" [ 3 ] (count 3)
                floats "b" [ 2; 1 ] (count 2)
                floats "c" [ 1; 1; 1 ] [ 0.5 ]
            ]
            [
                node "Add" [ "x"; "a" ] "f" []
                node "Mul" [ "f"; "b" ] "g" []
                node "Sub" [ "c"; "g" ] "h" []
                node "ReduceMean" [ "x" ] "m" [ axes [ 1 ] ]
                node "Div" [ "m"; "h" ] "y" []
            ]
        onPlane
            "Squeeze and Unsqueeze"
            [ ints "i" [ 1 ]; ints "j" [ -1 ]; index "k" 0 ]
            [
                node "Gather" [ "x"; "k" ] "g" (axis 1)
                node "Unsqueeze" [ "g"; "j" ] "h" []
                node "Unsqueeze" [ "h"; "i" ] "l" []
                node "Squeeze" [ "l" ] "y" []
            ]
        "Squeeze by attributes", model 11 [ 1; 3 ] [] [ node "Squeeze" [ "x" ] "y" [ axes [ 1 ] ] ]
    ]

let private rowsOf (model: OnnxModel) (rows: int) : float[] =
    let width =
        match model.Graph.Inputs with
        | [ { Dims = Some(_ :: dims) } ] ->
            dims
            |> List.fold
                (fun n d ->
                    match d with
                    | OnnxDim.Known k -> n * k
                    | _ -> n)
                1
        | _ -> invalidOp "one input"

    Key.ofSeed 11
    |> Key.normals (rows * width)
    |> Array.map (fun z -> float (float32 (1.3 * z)))

let private evaluate (model: OnnxModel) (rows: int) (x: float[]) : float[] =
    match Onnx.toExpressions model |> Error.orRaise with
    | _, [ "y", e ] ->
        let inputs =
            Map [ "x", Reference.Value.Rows(Array.chunkBySize (x.Length / rows) x) ]

        match Program.ofOutputs [ "y", e ] |> Reference.evaluate rows inputs Map.empty with
        | [| _, Reference.Value.Rows values |] -> Array.concat values
        | other -> invalidOp $"{other}"
    | other -> invalidOp $"{other}"

[<OnnxRuntimeFact>]
let ``what others write is read as ONNX Runtime computes it`` () =
    for name, model in theirs do
        use session =
            OnnxFormat.write model
            |> Result.bind (OnnxRuntime.openBytes OnnxSessionOptions.defaults)
            |> Error.orRaise

        for rows in [ 1; 4 ] do
            let x = rowsOf model rows

            let dims =
                match model.Graph.Inputs.Head.Dims with
                | Some(_ :: dims) ->
                    dims
                    |> List.map (function
                        | OnnxDim.Known k -> k
                        | OnnxDim.Symbolic _ -> -1)
                | _ -> []

            let input =
                { Name = "x"; Dims = rows :: dims; Data = OnnxData.Float(Array.map float32 x) }

            match session.Run [ input ] with
            | Ok [ { Data = OnnxData.Float wanted } ] ->
                let found = evaluate model rows x

                Assert.True(
                    (wanted.Length = found.Length),
                    $"{name}: {wanted.Length} {found.Length}"
                )

                let error =
                    Array.map2
                        (fun (w: float32) f -> abs (float w - f) / max 1.0 (abs f))
                        wanted
                        found
                    |> Array.max

                Assert.True(error <= 2e-6, $"{name}: {error}")
            | other -> invalidOp $"{name}: {other}"

[<Fact>]
let ``a network by PyTorch is read`` () =
    // torch 1.13, operator set 17: relu(x W + b) v + logsumexp(x), with its own values at two points.
    let bytes =
        Convert.FromBase64String(
            "CAgSB3B5dG9yY2gaBjEuMTMuMDrlBQopCgF4CgF3EhAvTWF0TXVsX291dHB1dF8wGgcvTWF0TXVsIgZN"
            + "YXRNdWwKLwoQL01hdE11bF9vdXRwdXRfMAoBYhINL0FkZF9vdXRwdXRfMBoEL0FkZCIDQWRkCiwKDS9B"
            + "ZGRfb3V0cHV0XzASDi9SZWx1X291dHB1dF8wGgUvUmVsdSIEUmVsdQo6Cg4vUmVsdV9vdXRwdXRfMAoB"
            + "dhISL01hdE11bF8xX291dHB1dF8wGgkvTWF0TXVsXzEiBk1hdE11bApFEhIvQ29uc3RhbnRfb3V0cHV0"
            + "XzAaCS9Db25zdGFudCIIQ29uc3RhbnQqGgoFdmFsdWUqDggBEAdKCP//////////oAEEClQKEi9NYXRN"
            + "dWxfMV9vdXRwdXRfMAoSL0NvbnN0YW50X291dHB1dF8wEhMvVW5zcXVlZXplX291dHB1dF8wGgovVW5z"
            + "cXVlZXplIglVbnNxdWVlemUKXwoBeBIZL1JlZHVjZUxvZ1N1bUV4cF9vdXRwdXRfMBoQL1JlZHVjZUxv"
            + "Z1N1bUV4cCIPUmVkdWNlTG9nU3VtRXhwKgsKBGF4ZXNAAaABByoPCghrZWVwZGltcxgBoAECCkAKEy9V"
            + "bnNxdWVlemVfb3V0cHV0XzAKGS9SZWR1Y2VMb2dTdW1FeHBfb3V0cHV0XzASAXkaBi9BZGRfMSIDQWRk"
            + "Egl0b3JjaF9qaXQqWwgECAUQAUIBd0pQsFpzv6335L+MFZU/geXNv2zN/T/BbNG+h2qxvpsLCz4bUKE/"
            + "TsGoP1NFLb/LPUe/xgBFv/EpTD3n4WI/nA+yP+ddyj6uJhI/2c3jPemO7b4qHQgFEAFCAWJKFO7CVb+Y"
            + "9zy/dQhnP5pRwz71kCg/Kh0IBRABQgF2ShThzsi/qrsvv/4LE0DrE9W+iTs2P1oYCgF4EhMKEQgBEg0K"
            + "BxIFYmF0Y2gKAggEYh0KAXkSGAoWCAESEgoMEgpBZGR5X2RpbV8wCgIIAUICEBE="
        )

    let x =
        [|
            -3.2808830738067627
            -0.8881580829620361
            -2.8138749599456787
            3.0998592376708984
            -0.6105242371559143
            1.4008476734161377
            -2.3820242881774902
            -0.02467605471611023
        |]

    let y = [| -16.77736473083496; 3.1868343353271484 |]
    let found = evaluate (OnnxFormat.read bytes |> Error.orRaise) 2 x
    Assert.All(Array.zip y found, fun (wanted, value) -> Assert.Equal(wanted, value, 5e-6))

let private refused (model: OnnxModel) : string =
    match Onnx.toExpressions model with
    | Ok _ -> invalidOp "this should have failed"
    | Result.Error errors -> errors |> List.map string |> String.concat "\n"

[<Fact>]
let ``what is not read is told with node and operator`` () =
    let from (constants: OnnxTensor list) (nodes: OnnxNode list) : string =
        refused (model 13 [ 4 ] constants nodes)

    let single op inputs attributes = from [ ints "i" [ 0 ] ] [ node op inputs "y" attributes ]

    for words, message in
        [
            "the operator LSTM", single "LSTM" [ "x" ] []
            "graph.node[0] 'y' (LSTM)", single "LSTM" [ "x" ] []
            "the batch axis", single "Gather" [ "x"; "i" ] (axis 0)
            "the batch axis", single "ReduceSum" [ "x" ] []
            "the batch axis", single "Concat" [ "x"; "x" ] (axis 0)
            "the batch axis", single "Squeeze" [ "x" ] [ axes [ 0 ] ]
            "batch axis", single "Transpose" [ "x" ] []
            "not constant", single "MatMul" [ "x"; "x" ] []
            "not one constant", single "Pow" [ "x"; "x" ] []
            "earlier node", single "Exp" [ "z" ] []
            "input 0 is missing", single "Exp" [] []
            "reshape of rows", from [ ints "s" [ 2; 2 ] ] [ node "Reshape" [ "x"; "s" ] "y" [] ]
            "does not go with",
            from [ floats "a" [ 3 ] (count 3) ] [ node "Add" [ "x"; "a" ] "y" [] ]
            "along the batch axis",
            from [ floats "a" [ 2; 4 ] (count 8) ] [ node "Add" [ "x"; "a" ] "y" [] ]
            "index 9", from [ ints "i" [ 9 ] ] [ node "Gather" [ "x"; "i" ] "y" (axis 1) ]
            "no node makes this output", from [] [ node "Neg" [ "x" ] "z" [] ]
        ] do
        Assert.Contains(words, message)

    let both =
        from
            []
            [
                node "LSTM" [ "x" ] "a" []
                node "GRU" [ "x" ] "b" []
                node "Add" [ "a"; "b" ] "y" []
            ]

    Assert.Equal(2, both.Split('\n').Length)

    let theirDomain = { node "Relu" [ "x" ] "y" [] with Domain = "com.theirs" }
    Assert.Contains("com.theirs.Relu", refused (model 13 [ 4 ] [] [ theirDomain ]))
    Assert.Contains("older", refused (model 6 [ 4 ] [] [ node "Relu" [ "x" ] "y" [] ]))

    let relu = model 13 [ 4 ] [] [ node "Relu" [ "x" ] "y" [] ]
    Assert.Contains("standard operators", refused { relu with Opsets = [ "theirs", 1 ] })

    let withInput (element: OnnxElement) dims : string =
        refused
            { relu with
                Graph =
                    { relu.Graph with Inputs = [ { Name = "x"; Element = element; Dims = dims } ] }
            }

    Assert.Contains("not of floats", withInput OnnxElement.Int64 None)
    Assert.Contains("no shape", withInput OnnxElement.Float None)
    Assert.Contains("no batch axis", withInput OnnxElement.Float (Some []))

    Assert.Contains(
        "columns",
        withInput OnnxElement.Float (Some [ OnnxDim.Symbolic "N"; OnnxDim.Symbolic "M" ])
    )
