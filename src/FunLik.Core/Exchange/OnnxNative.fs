namespace FunLik

open System
open System.Buffers
open System.Numerics.Tensors
open System.Runtime.InteropServices
open FSharp.NativeInterop
open FunLik.OnnxLibrary

/// Keeps a native session until the last call that uses it has ended.
[<Sealed>]
type internal OnnxSessionHandle(api: Api, session: nativeint) as this =
    inherit SafeHandle(0n, true)
    do this.SetHandle session
    override _.IsInvalid: bool = session = 0n

    override _.ReleaseHandle() : bool =
        api.ReleaseSession.Invoke session
        true

/// What a session must be like for batches of rows: one input of two axes, one output, of real
/// numbers.
type internal OnnxBatching =
    {
        /// The rows that the model takes at once; None where any number will do.
        Rows: int option
        /// The numbers in a row, where the model states it.
        Width: int option
        Element: OnnxElement
    }

/// Reading what native objects say.
module internal OnnxNative =

    let count (api: Api) (get: Get) (subject: nativeint) : int =
        let mutable result = 0n
        check api (get.Invoke(subject, &result))

        if result > nativeint Array.MaxLength then
            Error.make ErrorKind.Limit "ONNX Runtime gave a tensor beyond what an array holds"
            |> Error.found (string result)
            |> refuse

        int result

    let elementOf (api: Api) (info: nativeint) : OnnxElement =
        let mutable code = 0
        check api (api.GetTensorElementType.Invoke(info, &code))

        match OnnxElement.tryOfCode code with
        | Some element -> element
        | None -> refuse (OnnxElement.unsupported code)

    let dimsOf (api: Api) (info: nativeint) : int64[] =
        let rank = count api api.GetDimensionsCount info
        let dims = GC.AllocateArray<int64>(rank, pinned = true)

        if rank > 0 then
            check api (api.GetDimensions.Invoke(info, addressOf dims, nativeint rank))

        dims

    let private dimNames (api: Api) (info: nativeint) (rank: int) : string[] =
        let names = GC.AllocateArray<nativeint>(rank, pinned = true)

        if rank > 0 then
            check api (api.GetSymbolicDimensions.Invoke(info, addressOf names, nativeint rank))

        names |> Array.map Marshal.PtrToStringUTF8

    let valueInfo
        (api: Api)
        (session: nativeint)
        (getName: GetName)
        (getType: GetAt)
        (index: int)
        : OnnxValueInfo =
        let mutable text = 0n
        check api (getName.Invoke(session, nativeint index, api.Allocator, &text))
        let name = Marshal.PtrToStringUTF8 text
        check api (api.AllocatorFree.Invoke(api.Allocator, text))

        let mutable typeInfo = 0n
        check api (getType.Invoke(session, nativeint index, &typeInfo))

        try
            // Belongs to the type, and is null where that is no tensor.
            let mutable info = 0n
            check api (api.CastTypeInfoToTensorInfo.Invoke(typeInfo, &info))

            if info = 0n then
                Error.make ErrorKind.Unsupported "an input or output is not a tensor"
                |> Error.at name
                |> refuse

            let dims = dimsOf api info

            {
                Name = name
                Element = elementOf api info
                Dims =
                    Array.zip dims (dimNames api info dims.Length)
                    |> Array.map (fun (size, name) ->
                        if size < 0L then
                            OnnxDim.Symbolic name
                        else
                            OnnxDim.Known(int size))
                    |> List.ofArray
                    |> Some
            }
        finally
            api.ReleaseTypeInfo.Invoke typeInfo

    /// The tensor that a native value is, copied.
    let tensor (api: Api) (name: string) (value: nativeint) : OnnxTensor =
        let mutable isTensor = 0
        check api (api.IsTensor.Invoke(value, &isTensor))

        if isTensor = 0 then
            Error.make ErrorKind.Unsupported "an output is not a tensor"
            |> Error.at name
            |> refuse

        let mutable info = 0n
        check api (api.GetTensorTypeAndShape.Invoke(value, &info))

        try
            let mutable data = 0n
            check api (api.GetTensorMutableData.Invoke(value, &data))
            let length = count api api.GetTensorShapeElementCount info

            let copy () : 'T[] = ReadOnlySpan<'T>(data.ToPointer(), length).ToArray()

            {
                Name = name
                Dims = dimsOf api info |> Array.map int |> List.ofArray
                Data =
                    match elementOf api info with
                    | OnnxElement.Float -> OnnxData.Float(copy ())
                    | OnnxElement.Double -> OnnxData.Double(copy ())
                    | OnnxElement.Int32 -> OnnxData.Int32(copy ())
                    | OnnxElement.Int64 -> OnnxData.Int64(copy ())
                    | OnnxElement.UInt8 -> OnnxData.UInt8(copy ())
                    | OnnxElement.Bool -> OnnxData.Bool(copy ())
            }
        finally
            api.ReleaseTensorTypeAndShapeInfo.Invoke info

    let createTensor
        (api: Api)
        (data: nativeint)
        (bytes: int64)
        (dims: nativeptr<int64>)
        (rank: int)
        (element: OnnxElement)
        : nativeint =
        let mutable value = 0n

        check
            api
            (api.CreateTensorWithDataAsOrtValue.Invoke(
                api.CpuMemory,
                data,
                nativeint bytes,
                NativePtr.toNativeInt dims,
                nativeint rank,
                OnnxElement.code element,
                &value
            ))

        value

    /// Arrays at fixed addresses until disposed.
    type Pins() =
        let handles = ResizeArray<GCHandle>()

        member _.Add(values: Array) : nativeint =
            let handle = GCHandle.Alloc(values, GCHandleType.Pinned)
            handles.Add handle
            handle.AddrOfPinnedObject()

        interface IDisposable with
            member _.Dispose() : unit =
                for handle in handles do
                    handle.Free()

    /// Values that are released together.
    type Values(api: Api, count: int) =
        member val Pointers: nativeint[] = GC.AllocateArray<nativeint>(count, pinned = true)

        interface IDisposable with
            member this.Dispose() : unit =
                for value in this.Pointers do
                    if value <> 0n then
                        api.ReleaseValue.Invoke value

    /// The rows that are given to ONNX Runtime at once: enough for speed, and few enough that what
    /// it allocates between layers stays small.
    let maxRows = 1024

    let batching
        (inputs: OnnxValueInfo list)
        (outputs: OnnxValueInfo list)
        : Result<OnnxBatching, Error list> =
        let isReal (info: OnnxValueInfo) =
            info.Element = OnnxElement.Float || info.Element = OnnxElement.Double

        let known dim =
            match dim with
            | OnnxDim.Known size -> Some size
            | OnnxDim.Symbolic _ -> None

        match inputs, outputs with
        | [ { Dims = Some [ rows; width ] } as input ], [ output ] when
            isReal input && isReal output
            ->
            Ok { Rows = known rows; Width = known width; Element = input.Element }
        | _ ->
            let describe (infos: OnnxValueInfo list) =
                infos
                |> List.map (fun i -> $"{i.Name}: {i.Element} {i.Dims}")
                |> String.concat ", "

            Error.make ErrorKind.Unsupported "the model does not map rows of numbers to numbers"
            |> Error.found $"inputs {describe inputs}; outputs {describe outputs}"
            |> Error.expected "one input with two axes and one output, both float or double"
            |> Error.hint "Use Run."
            |> Error.fail

    /// What is wrong with the sizes of a batch, if anything.
    let misfit (batching: OnnxBatching) (numbers: int) (count: int) (results: int) : Error option =
        let wrong (what: string) (found: int) (expected: string) =
            Error.make ErrorKind.Shape $"the batch does not fit: {what}"
            |> Error.found (string found)
            |> Error.expected expected
            |> Some

        match batching.Rows, batching.Width with
        | _ when count < 0 -> wrong "the number of rows" count "0 or more"
        | Some rows, _ when rows = 0 || count % rows <> 0 ->
            wrong "the number of rows" count $"a multiple of the model's own, {rows}"
        | _, Some width when int64 numbers <> int64 width * int64 count ->
            wrong "the numbers in all rows" numbers $"{count} rows of {width}"
        | _, None when (if count = 0 then numbers <> 0 else numbers % count <> 0) ->
            wrong "the numbers in all rows" numbers $"a multiple of {count}"
        | _ when
            (if count = 0 then
                 results <> 0
             else
                 results = 0 || results % count <> 0)
            ->
            wrong "the room for results" results $"a multiple of {count}"
        | _ -> None

    /// Widens or copies an output's numbers.
    let private copyReals (api: Api) (value: nativeint) (output: Span<float>) : unit =
        let mutable info = 0n
        let mutable data = 0n
        check api (api.GetTensorTypeAndShape.Invoke(value, &info))

        try
            let length = count api api.GetTensorShapeElementCount info
            check api (api.GetTensorMutableData.Invoke(value, &data))

            if length <> output.Length then
                Error.make ErrorKind.Shape "the model gave another number of results"
                |> Error.found (string length)
                |> Error.expected (string output.Length)
                |> refuse

            let source = data.ToPointer()

            match elementOf api info with
            | OnnxElement.Double -> ReadOnlySpan<float>(source, length).CopyTo output
            | _ ->
                TensorPrimitives.ConvertTruncating<float32, float>(
                    ReadOnlySpan<float32>(source, length),
                    output
                )
        finally
            api.ReleaseTensorTypeAndShapeInfo.Invoke info

    /// Runs a model of one input and one output on numbers at a fixed address.
    let private runRows
        (api: Api)
        (session: nativeint)
        (names: struct (nativeint * nativeint))
        (element: OnnxElement)
        (data: nativeint)
        (rows: int)
        (width: int)
        (output: Span<float>)
        : unit =
        let struct (inputNames, outputNames) = names
        let dims = NativePtr.stackalloc<int64> 2
        NativePtr.set dims 0 (int64 rows)
        NativePtr.set dims 1 (int64 width)
        let bytes = int64 rows * int64 width * int64 (OnnxElement.size element)
        let mutable input = createTensor api data bytes dims 2 element
        let mutable result = 0n

        try
            check
                api
                (api.Run.Invoke(
                    session,
                    0n,
                    inputNames,
                    NativePtr.toNativeInt &&input,
                    1n,
                    outputNames,
                    1n,
                    NativePtr.toNativeInt &&result
                ))

            copyReals api result output
        finally
            api.ReleaseValue.Invoke input

            if result <> 0n then
                api.ReleaseValue.Invoke result

    /// Runs a model of one input and one output on one tile of rows.
    let evaluate
        (api: Api)
        (session: nativeint)
        (names: struct (nativeint * nativeint))
        (element: OnnxElement)
        (rows: ReadOnlySpan<float>)
        (count: int)
        (output: Span<float>)
        : unit =
        let width = rows.Length / count

        if element = OnnxElement.Double then
            use data = fixed rows
            runRows api session names element (NativePtr.toNativeInt data) count width output
        else
            let buffer = ArrayPool<float32>.Shared.Rent(max 1 rows.Length)

            try
                TensorPrimitives.ConvertTruncating<float, float32>(
                    rows,
                    Span<float32>(buffer, 0, rows.Length)
                )

                use data = fixed buffer
                runRows api session names element (NativePtr.toNativeInt data) count width output
            finally
                ArrayPool<float32>.Shared.Return buffer
