namespace FunLik

#nowarn "9" // Pointers into mapped memory

open System
open System.IO
open System.IO.MemoryMappedFiles
open System.Runtime.InteropServices
open Microsoft.FSharp.NativeInterop

/// Elements as bytes, both ways.
[<RequireQualifiedAccess>]
module internal NpyElements =

    /// Converts elements to doubles; gives the index of the first that no double equals, or −1.
    let decode (element: NpyElement) (bytes: ReadOnlySpan<byte>) (destination: Span<float>) : int =
        let mutable inexact = -1

        match element with
        | NpyElement.Float64 -> MemoryMarshal.Cast<byte, float>(bytes).CopyTo destination
        | NpyElement.Float32 ->
            let values = MemoryMarshal.Cast<byte, float32> bytes

            for i in 0 .. values.Length - 1 do
                destination[i] <- float values[i]
        | NpyElement.Int64 ->
            let values = MemoryMarshal.Cast<byte, int64> bytes

            for i in values.Length - 1 .. -1 .. 0 do
                destination[i] <- float values[i]

                if values[i] > (1L <<< 53) || values[i] < -(1L <<< 53) then
                    inexact <- i
        | NpyElement.Int32 ->
            let values = MemoryMarshal.Cast<byte, int32> bytes

            for i in 0 .. values.Length - 1 do
                destination[i] <- float values[i]
        | NpyElement.UInt8 ->
            for i in 0 .. bytes.Length - 1 do
                destination[i] <- float bytes[i]
        | NpyElement.Bool ->
            for i in 0 .. bytes.Length - 1 do
                destination[i] <- if bytes[i] = 0uy then 0.0 else 1.0

        inexact

    /// Writes doubles as `<f4` or `<f8`.
    let write (element: NpyElement) (stream: Stream) (values: float[]) : unit =
        match element with
        | NpyElement.Float32 ->
            let singles = Array.map float32 values
            stream.Write(MemoryMarshal.AsBytes(ReadOnlySpan<float32> singles))
        | NpyElement.Float64 -> stream.Write(MemoryMarshal.AsBytes(ReadOnlySpan<float> values))
        | _ -> invalidArg (nameof element) "doubles are written as <f8 or <f4"

/// A table of `<f8` or `<f4` in a `.npy` file, mapped into memory: only the pages that are read
/// are loaded, and several processes share them. `Npy.openRows` makes one.
///
/// Several threads may read at once; none may read while or after it is disposed. A file that
/// somebody cuts short meanwhile ends the process: write files by `AtomicFile`, which never does.
[<Sealed>]
type NpyRows internal (stream: FileStream, header: NpyHeader) =
    let file =
        MemoryMappedFile.CreateFromFile(
            stream,
            null,
            0L,
            MemoryMappedFileAccess.Read,
            HandleInheritability.None,
            leaveOpen = true
        )

    let view = file.CreateViewAccessor(0L, 0L, MemoryMappedFileAccess.Read)

    let start =
        let mutable pointer = NativePtr.nullPtr<byte>
        view.SafeMemoryMappedViewHandle.AcquirePointer &pointer
        NativePtr.toNativeInt pointer + nativeint header.DataOffset

    let columns = header.Shape |> List.tail |> List.fold (*) 1L |> int
    let mutable disposed = false

    /// The number of rows: the size of the first axis.
    member _.Rows: int64 = header.Shape.Head

    /// The numbers in a row: the product of the other axes' sizes.
    member _.Columns: int = columns

    /// The element type: `Float64` or `Float32`.
    member _.Element: NpyElement = header.Element

    /// The address of the first element; valid until disposed. Elements may be unaligned in files
    /// that other programs wrote.
    member this.Pointer: nativeint =
        ObjectDisposedException.ThrowIf(disposed, this)
        start

    /// Copies rows `first` to `first + count − 1` as doubles to the beginning of the destination.
    /// Throws `ArgumentOutOfRangeException` for rows that are not there, `ArgumentException` for a
    /// destination under `count × Columns`.
    member this.ReadRows(first: int64, count: int, destination: Span<float>) : unit =
        ObjectDisposedException.ThrowIf(disposed, this)

        if first < 0L || count < 0 || first > this.Rows - int64 count then
            let message = $"rows {first} to {first + int64 count - 1L} of {this.Rows}"
            raise (ArgumentOutOfRangeException(nameof first, message))

        if int64 destination.Length < int64 count * int64 columns then
            let message = $"room for {destination.Length} numbers, not {count} × {columns}"
            raise (ArgumentException(message, nameof destination))

        let rowBytes = nativeint columns * nativeint header.Element.Size
        let mutable row = 0

        // A span of bytes holds less than 2³¹, fewer than the doubles of a full array.
        let step =
            if columns = 0 then
                max count 1
            else
                max 1 ((1 <<< 20) / columns)

        while row < count do
            let rows = min step (count - row)
            let address = start + (nativeint first + nativeint row) * rowBytes

            let bytes =
                ReadOnlySpan<byte>(address.ToPointer(), rows * columns * header.Element.Size)

            NpyElements.decode header.Element bytes (destination.Slice(row * columns))
            |> ignore

            row <- row + rows

    interface IDisposable with
        member _.Dispose() : unit =
            if not disposed then
                disposed <- true
                view.SafeMemoryMappedViewHandle.ReleasePointer()
                view.Dispose()
                file.Dispose()
