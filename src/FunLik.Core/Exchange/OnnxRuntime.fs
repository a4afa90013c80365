namespace FunLik

open System
open FSharp.NativeInterop
open FunLik.OnnxLibrary

/// How far ONNX Runtime rewrites a graph before it runs it.
[<RequireQualifiedAccess>]
type OnnxOptimisation =
    | Off
    | Basic
    | Extended
    | All

/// How a session runs.
type OnnxSessionOptions =
    {
        /// Threads within one operation: 1 runs on the caller's thread; 0 takes as many as there
        /// are cores.
        Threads: int
        Optimisation: OnnxOptimisation
    }

/// How a session runs.
[<RequireQualifiedAccess>]
module OnnxSessionOptions =

    /// One thread, all optimisations.
    let defaults: OnnxSessionOptions =
        { Threads = 1; Optimisation = OnnxOptimisation.All }

/// An opened model. Any number of threads may call `Run` and `Evaluate` of one session at once;
/// disposing while calls run lets these end first; calls after that throw ObjectDisposedException.
[<Sealed>]
type OnnxSession
    internal (api: Api, session: nativeint, inputs: OnnxValueInfo list, outputs: OnnxValueInfo list)
    =
    let handle = new OnnxSessionHandle(api, session)
    let batching = OnnxNative.batching inputs outputs

    let pointersTo (texts: byte[][]) : nativeint[] =
        let pointers = GC.AllocateArray<nativeint>(texts.Length, pinned = true)
        texts |> Array.iteri (fun i text -> pointers[i] <- addressOf text)
        pointers

    let textsOf (names: string seq) : byte[][] = names |> Seq.map cText |> Seq.toArray

    let inputTexts = textsOf (inputs |> Seq.map _.Name)
    let outputTexts = textsOf (outputs |> Seq.map _.Name)
    let inputNames = pointersTo inputTexts
    let outputNames = pointersTo outputTexts

    /// The session itself, kept until `leave`.
    let enter () : nativeint =
        let mutable entered = false
        handle.DangerousAddRef(&entered)
        session

    let leave () : unit =
        handle.DangerousRelease()
        GC.KeepAlive inputTexts
        GC.KeepAlive outputTexts

    /// The inputs that a caller gives. A shape that the model leaves open is shown as no axes.
    member _.Inputs: OnnxValueInfo list = inputs

    /// The outputs in the order in which `Run` gives them.
    member _.Outputs: OnnxValueInfo list = outputs

    /// All outputs for these inputs, which are found by their names. Fails with ONNX Runtime's
    /// words where a name or a shape is not the model's.
    member _.Run(tensors: OnnxTensor list) : Result<OnnxTensor list, Error list> =
        let misfits =
            tensors
            |> List.choose (fun tensor ->
                OnnxTensor.dimsError tensor.Dims (OnnxTensor.elements tensor.Data).LongLength
                |> Option.map (Error.at tensor.Name))

        if not misfits.IsEmpty then
            Result.Error misfits
        else
            let session = enter ()

            try
                try
                    use pins = new OnnxNative.Pins()
                    use values = new OnnxNative.Values(api, tensors.Length)
                    use results = new OnnxNative.Values(api, outputs.Length)
                    let texts = textsOf (tensors |> Seq.map _.Name)
                    let names = pointersTo texts

                    for i, tensor in List.indexed tensors do
                        let element = OnnxElement.ofData tensor.Data
                        let elements = OnnxTensor.elements tensor.Data
                        let dims = tensor.Dims |> Seq.map int64 |> Seq.toArray
                        use pinnedDims = fixed dims

                        values.Pointers[i] <-
                            OnnxNative.createTensor
                                api
                                (pins.Add elements)
                                (elements.LongLength * int64 (OnnxElement.size element))
                                pinnedDims
                                dims.Length
                                element

                    check
                        api
                        (api.Run.Invoke(
                            session,
                            0n,
                            addressOf names,
                            addressOf values.Pointers,
                            nativeint tensors.Length,
                            addressOf outputNames,
                            nativeint outputs.Length,
                            addressOf results.Pointers
                        ))

                    GC.KeepAlive texts
                    GC.KeepAlive names

                    outputs
                    |> List.mapi (fun i output ->
                        OnnxNative.tensor api output.Name results.Pointers[i])
                    |> Ok
                with FunLikException errors ->
                    Result.Error errors
            finally
                leave ()

    /// The results for `count` rows, one row behind the other, for a model with one input of shape
    /// [rows, width] and one output, of floats or doubles; converted as needed, without allocation
    /// that grows with `count`. The room for results is `count` times the numbers that a row gives.
    /// A model of a fixed number of rows is run as often as needed.
    member _.Evaluate
        (rows: ReadOnlySpan<float>, count: int, output: Span<float>)
        : Result<unit, Error list> =
        match batching with
        | Result.Error errors -> Result.Error errors
        | Ok batching ->
            match OnnxNative.misfit batching rows.Length count output.Length with
            | Some error -> Error.fail error
            | None when count = 0 -> Ok()
            | None ->
                let width = rows.Length / count
                let results = output.Length / count
                let tile = Option.defaultValue OnnxNative.maxRows batching.Rows
                let names = struct (addressOf inputNames, addressOf outputNames)
                let session = enter ()

                try
                    try
                        let mutable first = 0

                        while first < count do
                            let now = min tile (count - first)

                            OnnxNative.evaluate
                                api
                                session
                                names
                                batching.Element
                                (rows.Slice(first * width, now * width))
                                now
                                (output.Slice(first * results, now * results))

                            first <- first + now

                        Ok()
                    with FunLikException errors ->
                        Result.Error errors
                finally
                    leave ()

    interface IDisposable with
        member _.Dispose() : unit = handle.Dispose()

/// ONNX Runtime through its C API. The native library is looked for and loaded at the first use,
/// once in a process.
[<RequireQualifiedAccess>]
module OnnxRuntime =

    /// The native library's full path: the file that the environment variable FUNLIK_ONNXRUNTIME
    /// names; or else one beside the program, or in runtimes/<rid>/native there, where NuGet puts it;
    /// or else what npm put into the folder npm beside or above the program. In F# Interactive the
    /// current folder counts as the program's too. Nothing is loaded.
    let locate () : Result<string, Error list> = locateHere ()

    /// What `locate` finds for this value of FUNLIK_ONNXRUNTIME and these folders in place of the
    /// program's.
    let locateFrom (named: string option) (roots: string list) : Result<string, Error list> =
        OnnxLibrary.locate named roots

    /// The full path of the library that is in use; loads it.
    let loadedPath () : Result<string, Error list> = get () |> Result.map _.Path

    /// The version of the library that is in use, such as 1.30.0; loads it.
    let version () : Result<string, Error list> = get () |> Result.map _.Version

    let private level (optimisation: OnnxOptimisation) : int =
        match optimisation with
        | OnnxOptimisation.Off -> 0
        | OnnxOptimisation.Basic -> 1
        | OnnxOptimisation.Extended -> 2
        | OnnxOptimisation.All -> 99

    /// Runs an action with native options, which are released behind it.
    let private withOptions
        (api: Api)
        (options: OnnxSessionOptions)
        (action: nativeint -> 'T)
        : 'T =
        let mutable native = 0n
        check api (api.CreateSessionOptions.Invoke(&native))

        try
            check api (api.SetSessionLogSeverityLevel.Invoke(native, logFatal))
            check api (api.SetIntraOpNumThreads.Invoke(native, options.Threads))
            check api (api.SetInterOpNumThreads.Invoke(native, 1))
            let level = level options.Optimisation
            check api (api.SetSessionGraphOptimizationLevel.Invoke(native, level))
            action native
        finally
            api.ReleaseSessionOptions.Invoke native

    let private openWith
        (options: OnnxSessionOptions)
        (create: Api -> nativeint -> nativeint)
        : Result<OnnxSession, Error list> =
        if options.Threads < 0 then
            Error.make ErrorKind.Value "the number of threads is negative"
            |> Error.found (string options.Threads)
            |> Error.fail
        else
            get ()
            |> Result.bind (fun api ->
                try
                    let session = withOptions api options (create api)

                    try
                        let infos (getCount: Get) (getName: GetName) (getType: GetAt) =
                            List.init
                                (OnnxNative.count api getCount session)
                                (OnnxNative.valueInfo api session getName getType)

                        let inputs =
                            infos
                                api.SessionGetInputCount
                                api.SessionGetInputName
                                api.SessionGetInputTypeInfo

                        let outputs =
                            infos
                                api.SessionGetOutputCount
                                api.SessionGetOutputName
                                api.SessionGetOutputTypeInfo

                        Ok(new OnnxSession(api, session, inputs, outputs))
                    with _ ->
                        api.ReleaseSession.Invoke session
                        reraise ()
                with FunLikException errors ->
                    Result.Error errors)

    /// Opens a model in memory; the bytes are copied.
    let openBytes (options: OnnxSessionOptions) (bytes: byte[]) : Result<OnnxSession, Error list> =
        openWith options (fun api native ->
            let mutable session = 0n
            use data = fixed bytes
            let address = NativePtr.toNativeInt data
            let length = nativeint bytes.Length

            check
                api
                (api.CreateSessionFromArray.Invoke(api.Env, address, length, native, &session))

            session)

    /// Opens a model's file.
    let openFile (options: OnnxSessionOptions) (path: string) : Result<OnnxSession, Error list> =
        openWith options (fun api native ->
            let mutable session = 0n
            let text = pathText path
            check api (api.CreateSession.Invoke(api.Env, addressOf text, native, &session))
            GC.KeepAlive text
            session)
        |> Result.mapError (List.map (Error.withFile path))
