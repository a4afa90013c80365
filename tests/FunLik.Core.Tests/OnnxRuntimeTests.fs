namespace FunLik.Tests

open System
open System.IO
open System.Threading.Tasks
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

/// A fact that needs ONNX Runtime's native library, and is skipped with a plain message where that
/// is absent.
[<AttributeUsage(AttributeTargets.Method)>]
type OnnxRuntimeFactAttribute() =
    inherit
        FactAttribute(
            Skip =
                match OnnxRuntime.locate () with
                | Ok _ -> null
                | Result.Error errors -> errors |> List.map string |> String.concat "; "
        )

module OnnxRuntimeTests =

    let private errorOf (result: Result<'T, Error list>) : Error =
        match result with
        | Ok _ -> invalidOp "this should have failed"
        | Result.Error errors -> Assert.Single errors

    let private tensor (name: string) (dims: int list) (data: OnnxData) : OnnxTensor =
        { Name = name; Dims = dims; Data = data }

    let private node (opType: string) (inputs: string list) (output: string) attributes : OnnxNode =
        {
            OpType = opType
            Domain = ""
            Name = ""
            Inputs = inputs
            Outputs = [ output ]
            Attributes = attributes
        }

    let private model
        (inputs: OnnxValueInfo list)
        (outputs: OnnxValueInfo list)
        (initializers: OnnxTensor list)
        (nodes: OnnxNode list)
        : OnnxModel =
        {
            IrVersion = 8
            Opsets = [ "", 13 ]
            Producer = "FunLik"
            ProducerVersion = ""
            DocString = ""
            MetadataProps = []
            Graph =
                {
                    Name = "test"
                    Nodes = nodes
                    Initializers = initializers
                    Inputs = inputs
                    Outputs = outputs
                }
        }

    let private openModel (model: OnnxModel) : OnnxSession =
        OnnxFormat.write model
        |> Result.bind (OnnxRuntime.openBytes OnnxSessionOptions.defaults)
        |> Error.orRaise

    /// The results of a batch, in room for this many.
    let private evaluate (session: OnnxSession) (rows: float[]) (count: int) (room: int) =
        let results = Array.zeroCreate<float> room
        session.Evaluate(rows, count, results) |> Result.map (fun () -> results)

    let private info name element rows width =
        OnnxFormat.valueInfo name element [ rows; OnnxDim.Known width ]

    let private anyRows = OnnxDim.Symbolic "N"

    let private data (element: OnnxElement) (values: float[]) : OnnxData =
        match element with
        | OnnxElement.Float -> OnnxData.Float(Array.map float32 values)
        | _ -> OnnxData.Double values

    let private numbers (tensor: OnnxTensor) : float[] =
        match tensor.Data with
        | OnnxData.Float values -> Array.map float values
        | OnnxData.Double values -> values
        | other -> invalidOp $"{other}"

    let private weights = [| 0.5; -1.0; 0.25; 2.0; 0.75; -0.5 |]
    let private biases = [| 0.125; -0.25 |]

    /// h = tanh(x W + b); y = where(h0 < h1, h0 h1, h0 - 2 h1): the operators that networks need,
    /// with three numbers in and one out.
    let private network (element: OnnxElement) (rows: OnnxDim) : OnnxModel =
        let constants = tensor "two" [] (data element [| 2.0 |])
        let index name value = tensor name [ 1 ] (OnnxData.Int64 [| value |])

        model
            [ info "x" element rows 3 ]
            [ info "y" element rows 1 ]
            [
                tensor "W" [ 3; 2 ] (data element weights)
                tensor "b" [ 2 ] (data element biases)
                constants
                index "0" 0L
                index "1" 1L
            ]
            [
                node "Gemm" [ "x"; "W"; "b" ] "g" [ "beta", OnnxAttribute.Float 1.0f ]
                node "Tanh" [ "g" ] "h" []
                node "Gather" [ "h"; "0" ] "h0" [ "axis", OnnxAttribute.Int 1L ]
                node "Gather" [ "h"; "1" ] "h1" [ "axis", OnnxAttribute.Int 1L ]
                node "Less" [ "h0"; "h1" ] "less" []
                node "Mul" [ "h0"; "h1" ] "product" []
                node "Mul" [ "h1"; "two" ] "twice" []
                node "Sub" [ "h0"; "twice" ] "difference" []
                node "Where" [ "less"; "product"; "difference" ] "y" []
            ]

    let private expected (x: float[]) : float =
        let h =
            Array.init 2 (fun j ->
                tanh (biases[j] + Seq.sum (seq { for i in 0..2 -> x[i] * weights[2 * i + j] })))

        if h[0] < h[1] then h[0] * h[1] else h[0] - 2.0 * h[1]

    let private rowsOf (count: int) : float[] =
        Array.init (3 * count) (fun i -> sin (float i * 1.7) * 3.0)

    let private tolerance (element: OnnxElement) : float =
        if element = OnnxElement.Float then 2e-6 else 1e-14

    let private checkRows element (rows: float[]) (results: float[]) : unit =
        let wanted = rows |> Array.chunkBySize 3 |> Array.map expected
        Assert.Equal(wanted.Length, results.Length)
        let worst = Array.map2 (fun a b -> abs (a - b)) wanted results |> Array.fold max 0.0
        Assert.True(worst <= tolerance element, $"{element}: {worst}")

    let private reals = [ OnnxElement.Float; OnnxElement.Double ]

    [<OnnxRuntimeFact>]
    let ``a model of ours has its value in ONNX Runtime`` () =
        for element in reals do
            use session = openModel (network element anyRows)

            for count in [ 1; 5 ] do
                let rows = rowsOf count
                let results = session.Run [ tensor "x" [ count; 3 ] (data element rows) ]
                let y = Assert.Single(Error.orRaise results)
                Assert.Equal("y", y.Name)
                Assert.Equal<int list>([ count; 1 ], y.Dims)
                checkRows element rows (numbers y)

    [<OnnxRuntimeFact>]
    let ``batches of any size are evaluated, whatever the model's numbers are`` () =
        for element in reals do
            use session = openModel (network element anyRows)

            for count in [ 0; 1; 7; 1024; 2500 ] do
                let rows = rowsOf count
                let results = evaluate session rows count count |> Error.orRaise
                checkRows element rows results

    [<OnnxRuntimeFact>]
    let ``a model of a fixed number of rows is run as often as needed`` () =
        use session = openModel (network OnnxElement.Double (OnnxDim.Known 4))
        let rows = rowsOf 12
        let results = evaluate session rows 12 12 |> Error.orRaise
        checkRows OnnxElement.Double rows results
        let error = errorOf (evaluate session (rowsOf 6) 6 6)
        Assert.Equal(ErrorKind.Shape, error.Kind)

    [<OnnxRuntimeFact>]
    let ``one session serves many threads, and gives each the same bits`` () =
        use session = openModel (network OnnxElement.Float anyRows)
        let rows = rowsOf 300
        let alone = evaluate session rows 300 300 |> Error.orRaise

        Parallel.For(
            0,
            64,
            fun _ ->
                let results = evaluate session rows 300 300 |> Error.orRaise
                Assert.Equal<float>(alone, results)
        )
        |> ignore

    [<OnnxRuntimeFact>]
    let ``all element types go in and come out`` () =
        let law
            (singles: float32[])
            (doubles: float[])
            (bytes: byte[])
            (ints: int[])
            (longs: int64[])
            (bools: bool[])
            =
            let tensors =
                [
                    tensor "a" [ singles.Length ] (OnnxData.Float singles)
                    tensor "b" [ 1; doubles.Length ] (OnnxData.Double doubles)
                    tensor "c" [ bytes.Length; 1 ] (OnnxData.UInt8 bytes)
                    tensor "d" [ ints.Length ] (OnnxData.Int32 ints)
                    tensor "e" [ longs.Length ] (OnnxData.Int64 longs)
                    tensor "µ" [ bools.Length ] (OnnxData.Bool bools)
                ]

            let same =
                tensors |> List.map (fun t -> node "Identity" [ t.Name ] (t.Name + "'") [])

            let infos suffix =
                tensors
                |> List.map (fun t ->
                    let dims = t.Dims |> List.map OnnxDim.Known
                    OnnxFormat.valueInfo (t.Name + suffix) (OnnxElement.ofData t.Data) dims)

            use session = openModel (model (infos "") (infos "'") [] same)
            let results = session.Run(List.rev tensors) |> Error.orRaise
            let renamed = tensors |> List.map (fun t -> { t with Name = t.Name + "'" })

            // Bytes, since NaN is not equal to itself.
            let bitsOf tensors = model [] [] tensors [] |> OnnxFormat.write |> Error.orRaise
            bitsOf results = bitsOf renamed && session.Inputs = infos ""

        Check.One(Config.QuickThrowOnFailure.WithMaxTest 50, law)

    [<OnnxRuntimeFact>]
    let ``a session tells what goes in and what comes out`` () =
        use session = openModel (network OnnxElement.Float anyRows)
        Assert.Equal<OnnxValueInfo list>([ info "x" OnnxElement.Float anyRows 3 ], session.Inputs)
        Assert.Equal<OnnxValueInfo list>([ info "y" OnnxElement.Float anyRows 1 ], session.Outputs)

    [<OnnxRuntimeFact>]
    let ``threads and optimisations change speed and not values`` () =
        let bytes = network OnnxElement.Double anyRows |> OnnxFormat.write |> Error.orRaise
        let rows = rowsOf 50

        for threads in [ 0; 1; 2 ] do
            for optimisation in
                [
                    OnnxOptimisation.Off
                    OnnxOptimisation.Basic
                    OnnxOptimisation.Extended
                    OnnxOptimisation.All
                ] do
                let options = { Threads = threads; Optimisation = optimisation }

                use session = OnnxRuntime.openBytes options bytes |> Error.orRaise
                let results = evaluate session rows 50 50 |> Error.orRaise
                checkRows OnnxElement.Double rows results

        let error =
            errorOf (
                OnnxRuntime.openBytes { Threads = -1; Optimisation = OnnxOptimisation.All } bytes
            )

        Assert.Equal(ErrorKind.Value, error.Kind)

    [<OnnxRuntimeFact>]
    let ``wrong inputs are told in ONNX Runtime's words`` () =
        use session = openModel (network OnnxElement.Float anyRows)

        let failure (inputs: OnnxTensor list) (words: string) =
            let error = errorOf (session.Run inputs)
            Assert.True(error.Message.Contains words, string error)

        let x = OnnxData.Float [| 1.0f; 2.0f; 3.0f |]
        failure [ tensor "z" [ 1; 3 ] x ] "ONNX Runtime: Invalid input name: z"
        failure [ tensor "x" [ 3; 1 ] x ] "ONNX Runtime: Got invalid dimensions for input: x"
        failure [ tensor "x" [ 3 ] x ] "ONNX Runtime: Invalid rank for input: x"

        failure
            [ tensor "x" [ 1; 3 ] (OnnxData.Double [| 1.0; 2.0; 3.0 |]) ]
            "ONNX Runtime: Unexpected input data type"

        failure [] "ONNX Runtime: "
        failure [ tensor "x" [ 2; 3 ] x ] "do not match"

    [<OnnxRuntimeFact>]
    let ``batches that do not fit are refused`` () =
        use session = openModel (network OnnxElement.Float anyRows)

        for numbers, count, room in
            [ 6, -1, 1; 7, 2, 2; 6, 2, 3; 6, 2, 0; 6, 2, 4; 3, 0, 0; 0, 0, 1 ] do
            let result = evaluate session (Array.zeroCreate numbers) count room

            Assert.Equal(ErrorKind.Shape, (errorOf result).Kind)

        use two =
            openModel (
                model
                    [ info "x" OnnxElement.Float anyRows 1 ]
                    [ info "a" OnnxElement.Float anyRows 1; info "b" OnnxElement.Float anyRows 1 ]
                    []
                    [ node "Neg" [ "x" ] "a" []; node "Exp" [ "x" ] "b" [] ]
            )

        Assert.Equal(ErrorKind.Unsupported, (errorOf (evaluate two [| 1.0 |] 1 1)).Kind)

    [<OnnxRuntimeFact>]
    let ``files that are absent or spoiled are told in ONNX Runtime's words`` () =
        let folder = Directory.CreateTempSubdirectory "funlik-ort-"

        try
            let path = Path.Combine(folder.FullName, "modèle.onnx")
            let error = errorOf (OnnxRuntime.openFile OnnxSessionOptions.defaults path)
            Assert.Equal((ErrorKind.FileMissing, Some path), (error.Kind, error.File))

            File.WriteAllText(path, "hello, world")
            let error = errorOf (OnnxRuntime.openFile OnnxSessionOptions.defaults path)
            Assert.StartsWith("ONNX Runtime: ", error.Message)

            OnnxFormat.writeFile path (network OnnxElement.Float anyRows) |> Error.orRaise
            use session = OnnxRuntime.openFile OnnxSessionOptions.defaults path |> Error.orRaise
            Assert.Single session.Inputs |> ignore

            let unknown =
                model
                    []
                    [ info "y" OnnxElement.Float anyRows 1 ]
                    []
                    [ node "NoSuchOperator" [] "y" [] ]

            let bytes = OnnxFormat.write unknown |> Error.orRaise
            let error = errorOf (OnnxRuntime.openBytes OnnxSessionOptions.defaults bytes)
            Assert.Contains("NoSuchOperator", error.Message)

            Assert.StartsWith(
                "ONNX Runtime: ",
                (errorOf (OnnxRuntime.openBytes OnnxSessionOptions.defaults [||])).Message
            )
        finally
            folder.Delete true

    [<OnnxRuntimeFact>]
    let ``a disposed session throws`` () =
        let session = openModel (network OnnxElement.Float anyRows)
        (session :> IDisposable).Dispose()
        (session :> IDisposable).Dispose()

        Assert.Throws<ObjectDisposedException>(fun () -> session.Run [] |> ignore)
        |> ignore

        Assert.Throws<ObjectDisposedException>(fun () -> evaluate session (rowsOf 1) 1 1 |> ignore)
        |> ignore

    [<OnnxRuntimeFact>]
    let ``the library in use is the one that was located`` () =
        Assert.Equal(OnnxRuntime.locate (), OnnxRuntime.loadedPath ())
        Assert.Matches(@"^1\.\d+\.\d+", OnnxRuntime.version () |> Error.orRaise)

    [<Fact>]
    let ``a library that is absent is told with what to do`` () =
        let folder = Directory.CreateTempSubdirectory "funlik-ort-"

        try
            let absent = Path.Combine(folder.FullName, "libonnxruntime.so")
            let error = errorOf (OnnxRuntime.locateFrom (Some absent) [])
            Assert.Equal((ErrorKind.FileMissing, Some absent), (error.Kind, error.File))
            Assert.Contains("FUNLIK_ONNXRUNTIME", error.Message)

            let error = errorOf (OnnxRuntime.locateFrom (Some "libonnxruntime.so") [])
            Assert.Equal((ErrorKind.Usage, Some "libonnxruntime.so"), (error.Kind, error.Found))

            let error = errorOf (OnnxRuntime.locateFrom None [ folder.FullName ])
            Assert.Equal(ErrorKind.Environment, error.Kind)
            Assert.Contains("npm ci", error.Hint.Value)
            Assert.Contains("FUNLIK_ONNXRUNTIME", error.Hint.Value)
        finally
            folder.Delete true

    [<Fact>]
    let ``the named library goes before one beside the program, and that before npm's`` () =
        if OperatingSystem.IsLinux() then
            let folder = Directory.CreateTempSubdirectory "funlik-ort-"

            let place (parts: string list) : string =
                let path = Path.Combine(folder.FullName :: parts |> Array.ofList)
                Directory.CreateDirectory(Path.GetDirectoryName path) |> ignore
                File.WriteAllText(path, "")
                path

            let architecture =
                Runtime.InteropServices.RuntimeInformation.ProcessArchitecture
                    .ToString()
                    .ToLowerInvariant()

            try
                let root = Path.Combine(folder.FullName, "bin", "Release")
                let located named = OnnxRuntime.locateFrom named [ root ] |> Error.orRaise
                let package = "npm/node_modules/onnxruntime-node/bin/napi-v6/linux"
                let npm = place [ package; architecture; "libonnxruntime.so.1" ]
                Assert.Equal(npm, located None)

                let beside =
                    place
                        [
                            "bin/Release/runtimes"
                            $"linux-{architecture}"
                            "native/libonnxruntime.so"
                        ]

                Assert.Equal(beside, located None)
                let published = place [ "bin/Release/libonnxruntime.so" ]
                Assert.Equal(published, located None)
                let named = place [ "elsewhere.so" ]
                Assert.Equal(named, located (Some named))
            finally
                folder.Delete true
