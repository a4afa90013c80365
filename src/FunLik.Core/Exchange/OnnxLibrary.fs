namespace FunLik

open System
open System.IO
open System.Runtime.InteropServices

/// Where ONNX Runtime's native library lies, and the functions of its C API that FunLik calls.
module internal OnnxLibrary =

    let variable: string = "FUNLIK_ONNXRUNTIME"

    /// What one system calls itself in NuGet and in npm, and the library in the order of
    /// preference.
    let private system: (string * string * string list) option =
        if OperatingSystem.IsWindows() then
            Some("win", "win32", [ "onnxruntime.dll" ])
        elif OperatingSystem.IsMacOS() then
            Some("osx", "darwin", [ "libonnxruntime.dylib"; "libonnxruntime.1.dylib" ])
        elif OperatingSystem.IsLinux() then
            Some("linux", "linux", [ "libonnxruntime.so"; "libonnxruntime.so.1" ])
        else
            None

    let private architecture: string =
        RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant()

    /// A folder and those that hold it, innermost first.
    let private upward (folder: string) : DirectoryInfo seq =
        DirectoryInfo folder
        |> Seq.unfold (fun folder ->
            match folder with
            | null -> None
            | folder -> Some(folder, folder.Parent))

    /// Files that would be the library, the most preferred first.
    let private candidates (roots: string list) : string seq =
        match system with
        | None -> Seq.empty
        | Some(nuget, npm, names) ->
            let beside (folder: string) =
                Path.Combine(folder, "runtimes", $"{nuget}-{architecture}", "native")

            let package (folder: DirectoryInfo) =
                Path.Combine(
                    folder.FullName,
                    "npm/node_modules/onnxruntime-node/bin/napi-v6",
                    npm,
                    architecture
                )

            seq {
                for folder in
                    Seq.concat
                        [
                            Seq.ofList roots
                            Seq.map beside roots
                            roots |> Seq.collect (upward >> Seq.map package)
                        ] do
                    for name in names do
                        Path.GetFullPath(Path.Combine(folder, name))
            }

    /// The library that the variable names, or else the first of those near the roots.
    let locate (named: string option) (roots: string list) : Result<string, Error list> =
        match named with
        | Some path when not (Path.IsPathFullyQualified path) ->
            Error.make ErrorKind.Usage $"{variable} is not an absolute path"
            |> Error.found path
            |> Error.fail
        | Some path when not (File.Exists path) ->
            Error.make ErrorKind.FileMissing $"the file that {variable} names is not there"
            |> Error.withFile path
            |> Error.fail
        | Some path -> Ok path
        | None ->
            match candidates roots |> Seq.tryFind File.Exists with
            | Some path -> Ok path
            | None ->
                Error.make ErrorKind.Environment "ONNX Runtime's native library is not here"
                |> Error.hint (
                    "Run `npm ci --ignore-scripts` in the folder npm, "
                    + $"or set {variable} to the library's full path."
                )
                |> Error.fail

    /// Looks near the program, and in F# Interactive also near the current folder:
    /// elsewhere, what stands in the current folder is not to be trusted.
    let locateHere () : Result<string, Error list> =
        let named = Environment.GetEnvironmentVariable variable |> Option.ofObj

        let isInteractive =
            match Reflection.Assembly.GetEntryAssembly() with
            | null -> false
            | entry -> entry.GetName().Name = "fsi"

        locate
            (named |> Option.filter (fun path -> path <> ""))
            [
                AppContext.BaseDirectory

                if isInteractive then
                    Environment.CurrentDirectory
            ]

    // The shapes of the functions. A function that returns a status returns null where all went
    // well.

    type GetApi = delegate of version: uint32 -> nativeint
    type GetText = delegate of unit -> nativeint
    type OfObject = delegate of nativeint -> nativeint
    type Release = delegate of nativeint -> unit
    type Create = delegate of result: byref<nativeint> -> nativeint
    type Get = delegate of nativeint * result: byref<nativeint> -> nativeint
    type GetInt = delegate of nativeint * result: byref<int> -> nativeint
    type SetInt = delegate of nativeint * int -> nativeint
    type Free = delegate of allocator: nativeint * nativeint -> nativeint
    type GetCode = delegate of status: nativeint -> int

    type GetAt =
        delegate of session: nativeint * index: nativeint * result: byref<nativeint> -> nativeint

    type GetName =
        delegate of
            session: nativeint * index: nativeint * allocator: nativeint * result: byref<nativeint> ->
                nativeint

    type GetMany = delegate of nativeint * values: nativeint * count: nativeint -> nativeint
    type CreateEnv = delegate of level: int * id: nativeint * result: byref<nativeint> -> nativeint

    type CreateMemoryInfo =
        delegate of allocator: int * memory: int * result: byref<nativeint> -> nativeint

    type OpenFile =
        delegate of
            env: nativeint * path: nativeint * options: nativeint * result: byref<nativeint> ->
                nativeint

    type OpenBytes =
        delegate of
            env: nativeint *
            bytes: nativeint *
            length: nativeint *
            options: nativeint *
            result: byref<nativeint> ->
                nativeint

    type CreateTensor =
        delegate of
            memory: nativeint *
            data: nativeint *
            bytes: nativeint *
            dims: nativeint *
            rank: nativeint *
            element: int *
            result: byref<nativeint> ->
                nativeint

    type Run =
        delegate of
            session: nativeint *
            options: nativeint *
            inputNames: nativeint *
            inputs: nativeint *
            inputCount: nativeint *
            outputNames: nativeint *
            outputCount: nativeint *
            outputs: nativeint ->
                nativeint

    /// The level at which nothing is logged but the end of the process; errors come as statuses.
    let logFatal: int = 4

    /// The functions, by their names in the C API, and the objects that all sessions share.
    type Api =
        {
            Path: string
            Version: string
            Env: nativeint
            CpuMemory: nativeint
            Allocator: nativeint
            GetErrorCode: GetCode
            GetErrorMessage: OfObject
            CreateSession: OpenFile
            CreateSessionFromArray: OpenBytes
            Run: Run
            CreateSessionOptions: Create
            SetSessionLogSeverityLevel: SetInt
            SetSessionGraphOptimizationLevel: SetInt
            SetIntraOpNumThreads: SetInt
            SetInterOpNumThreads: SetInt
            SessionGetInputCount: Get
            SessionGetOutputCount: Get
            SessionGetInputTypeInfo: GetAt
            SessionGetOutputTypeInfo: GetAt
            SessionGetInputName: GetName
            SessionGetOutputName: GetName
            CreateTensorWithDataAsOrtValue: CreateTensor
            IsTensor: GetInt
            GetTensorMutableData: Get
            CastTypeInfoToTensorInfo: Get
            GetTensorElementType: GetInt
            GetDimensionsCount: Get
            GetDimensions: GetMany
            GetSymbolicDimensions: GetMany
            GetTensorShapeElementCount: Get
            GetTensorTypeAndShape: Get
            AllocatorFree: Free
            ReleaseStatus: Release
            ReleaseSession: Release
            ReleaseValue: Release
            ReleaseTypeInfo: Release
            ReleaseTensorTypeAndShapeInfo: Release
            ReleaseSessionOptions: Release
        }

    /// The kind of an error with one of ONNX Runtime's codes (`OrtErrorCode`).
    let private kindOf (code: int) : ErrorKind =
        match code with
        | 2
        | 6 -> ErrorKind.Value
        | 3
        | 4 -> ErrorKind.FileMissing
        | 7 -> ErrorKind.Syntax
        | 1
        | 9 -> ErrorKind.Unsupported
        | 10 -> ErrorKind.Schema
        | _ -> ErrorKind.Environment

    /// Ends a call of the public functions, which give the error to their callers as a value.
    let refuse (error: Error) : 'T = raise (FunLikException [ error ])

    /// Refuses with what a status says, in ONNX Runtime's words, unless all went well.
    let check (api: Api) (status: nativeint) : unit =
        if status <> 0n then
            let kind = kindOf (api.GetErrorCode.Invoke status)
            let text = Marshal.PtrToStringUTF8(api.GetErrorMessage.Invoke status)
            api.ReleaseStatus.Invoke status
            refuse (Error.make kind $"ONNX Runtime: {text.Trim()}")

    /// Bytes and a zero behind them (wide enough for UTF-16), at an address that holds while the
    /// array is in use.
    let private zeroEnded (bytes: byte[]) : byte[] =
        let pinned = GC.AllocateArray<byte>(bytes.Length + 2, pinned = true)
        bytes.CopyTo(pinned, 0)
        pinned

    /// Text as C has it.
    let cText (text: string) : byte[] = zeroEnded (Text.Encoding.UTF8.GetBytes text)

    /// A path as this system's C has it.
    let pathText (path: string) : byte[] =
        if OperatingSystem.IsWindows() then
            zeroEnded (Text.Encoding.Unicode.GetBytes path)
        else
            cText path

    /// The address of an array that was allocated pinned.
    let addressOf (pinned: 'T[]) : nativeint = Marshal.UnsafeAddrOfPinnedArrayElement(pinned, 0)

    /// The versions of the API that the slots below are known for. The first that runs operator set
    /// 15 is 10.
    let private minVersion, private maxVersion = 10, 30

    let private environment (path: string) (message: string) : Error =
        Error.make ErrorKind.Environment message |> Error.withFile path

    /// The version that this library offers and we ask for, or why there is none.
    let private apiVersion (path: string) (version: string) : int =
        match version.Split '.' |> Array.map Int32.TryParse with
        | [||]
        | [| _ |] -> 0
        | parts ->
            match parts[0], parts[1] with
            | (true, 1), (true, minor) -> min minor maxVersion
            | (true, major), _ when major > 1 -> maxVersion
            | _ -> 0
        |> fun found ->
            if found >= minVersion then
                found
            else
                environment path "this ONNX Runtime is too old"
                |> Error.found version
                |> Error.expected $"1.{minVersion} or later"
                |> refuse

    /// Loads the library and fills the table; the slots are those of the header's `OrtApi`, of
    /// which those up to 101 are frozen.
    let load (path: string) : Result<Api, Error list> =
        try
            let library = NativeLibrary.Load path
            let entry = NativeLibrary.GetExport(library, "OrtGetApiBase")
            let apiBase = Marshal.GetDelegateForFunctionPointer<GetText>(entry).Invoke()

            let slotOf (table: nativeint) (slot: int) : 'D =
                Marshal.ReadIntPtr(table, slot * IntPtr.Size)
                |> Marshal.GetDelegateForFunctionPointer<'D>

            let getApi: GetApi = slotOf apiBase 0
            let getVersion: GetText = slotOf apiBase 1
            let version = Marshal.PtrToStringUTF8(getVersion.Invoke())
            let table = getApi.Invoke(uint32 (apiVersion path version))
            let slot (number: int) : 'D = slotOf table number

            let api =
                {
                    Path = path
                    Version = version
                    Env = 0n
                    CpuMemory = 0n
                    Allocator = 0n
                    GetErrorCode = slot 1
                    GetErrorMessage = slot 2
                    CreateSession = slot 7
                    CreateSessionFromArray = slot 8
                    Run = slot 9
                    CreateSessionOptions = slot 10
                    SetSessionLogSeverityLevel = slot 22
                    SetSessionGraphOptimizationLevel = slot 23
                    SetIntraOpNumThreads = slot 24
                    SetInterOpNumThreads = slot 25
                    SessionGetInputCount = slot 30
                    SessionGetOutputCount = slot 31
                    SessionGetInputTypeInfo = slot 33
                    SessionGetOutputTypeInfo = slot 34
                    SessionGetInputName = slot 36
                    SessionGetOutputName = slot 37
                    CreateTensorWithDataAsOrtValue = slot 49
                    IsTensor = slot 50
                    GetTensorMutableData = slot 51
                    CastTypeInfoToTensorInfo = slot 55
                    GetTensorElementType = slot 60
                    GetDimensionsCount = slot 61
                    GetDimensions = slot 62
                    GetSymbolicDimensions = slot 63
                    GetTensorShapeElementCount = slot 64
                    GetTensorTypeAndShape = slot 65
                    AllocatorFree = slot 76
                    ReleaseStatus = slot 93
                    ReleaseSession = slot 95
                    ReleaseValue = slot 96
                    ReleaseTypeInfo = slot 98
                    ReleaseTensorTypeAndShapeInfo = slot 99
                    ReleaseSessionOptions = slot 100
                }

            let mutable env = 0n
            let mutable memory = 0n
            let mutable allocator = 0n
            let name = cText "FunLik"
            let createEnv: CreateEnv = slot 3
            let createMemory: CreateMemoryInfo = slot 69
            let getAllocator: Create = slot 78
            check api (createEnv.Invoke(logFatal, addressOf name, &env))
            GC.KeepAlive name
            // A device allocator (0) of the default memory type (0).
            check api (createMemory.Invoke(0, 0, &memory))
            check api (getAllocator.Invoke(&allocator))

            Ok { api with Env = env; CpuMemory = memory; Allocator = allocator }
        with
        | FunLikException errors -> Result.Error errors
        | :? DllNotFoundException
        | :? BadImageFormatException
        | :? EntryPointNotFoundException as e -> environment path e.Message |> Error.fail

    let private gate = obj ()
    let mutable private loaded: Api option = None

    /// The library, loaded at the first call that finds one; it stays until the process ends.
    let get () : Result<Api, Error list> =
        lock gate (fun () ->
            match loaded with
            | Some api -> Ok api
            | None ->
                let result = locateHere () |> Result.bind load
                loaded <- Result.toOption result
                result)
