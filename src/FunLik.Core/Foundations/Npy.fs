namespace FunLik

open System
open System.IO

/// An array of doubles of any number of axes, the last index running fastest.
type NpyArray =
    {
        /// The sizes of the axes; empty for a single number.
        Shape: int list
        /// The elements; as many as the product of the shape.
        Values: float[]
    }

/// Arrays on disk in numpy's `.npy` format. What is read is checked against the length of the
/// file before anything is allocated; what is written appears whole or not at all.
[<RequireQualifiedAccess>]
module Npy =

    let private inFile (path: string) (result: Result<'T, Error list>) : Result<'T, Error list> =
        result |> Result.mapError (List.map (Error.withFile path))

    let private openStream (path: string) : FileStream =
        new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.Read ||| FileShare.Delete, 1)

    /// Reads the header alone. Errors name the file and the place.
    let readHeader (path: string) : Result<NpyHeader, Error list> =
        FileError.guard path (fun () ->
            use stream = openStream path
            NpyHeader.read stream |> inFile path)

    let private readElements (stream: Stream) (header: NpyHeader) : Result<float[], Error list> =
        let values = Array.zeroCreate<float>(int header.Count)
        let size = header.Element.Size

        let buffer =
            Array.zeroCreate<byte>(min (1L <<< 20) (header.Count * int64 size) |> int)

        let mutable filled = 0
        let mutable inexact = -1

        while filled < values.Length && inexact < 0 do
            let count = min (buffer.Length / size) (values.Length - filled)
            let bytes = buffer.AsSpan(0, count * size)
            stream.ReadExactly bytes

            match
                NpyElements.decode header.Element (Span.op_Implicit bytes) (values.AsSpan filled)
            with
            | -1 -> filled <- filled + count
            | index -> inexact <- filled + index

        if inexact < 0 then
            Ok values
        else
            Error.make ErrorKind.Value "the integer is beyond 2⁵³, where doubles have gaps"
            |> Error.at $"element {inexact}"
            |> Error.fail

    let private toRowMajor (header: NpyHeader) (values: float[]) : Result<float[], Error list> =
        match header.Shape with
        | [ rows; columns ] when header.FortranOrder ->
            let rows, columns = int rows, int columns

            Ok(Array.init values.Length (fun i -> values[i % columns * rows + i / columns]))
        | _ :: _ :: _ when header.FortranOrder ->
            Error.make ErrorKind.Unsupported "Fortran order is read for one and two axes only"
            |> Error.at "header, key fortran_order"
            |> Error.hint "Convert it: numpy.ascontiguousarray(a)."
            |> Error.fail
        | _ -> Ok values

    /// Reads an array as doubles, in C order whatever the order of the file. Integers of 64 bits
    /// must be within ±2⁵³. Errors name the file and the place.
    let readFloats (path: string) : Result<NpyArray, Error list> =
        let readData (stream: Stream) (header: NpyHeader) : Result<NpyArray, Error list> =
            if
                header.Count > int64 Array.MaxLength
                || header.Shape |> List.exists ((<) 0x7FFFFFFFL)
            then
                Error.make ErrorKind.Limit "more elements than an array holds"
                |> Error.at "header, key shape"
                |> Error.found (header.Shape |> List.map string |> String.concat " × ")
                |> Error.expected $"{Array.MaxLength} elements or fewer"
                |> Error.hint "Read it by rows: Npy.openRows."
                |> Error.fail
            else
                readElements stream header
                |> Result.bind (toRowMajor header)
                |> Result.map (fun values ->
                    { Shape = header.Shape |> List.map int; Values = values })

        FileError.guard path (fun () ->
            use stream = openStream path
            NpyHeader.read stream |> Result.bind (readData stream) |> inFile path)

    /// Maps a table of `<f8` or `<f4` into memory. The first axis counts rows, the others together
    /// the numbers in a row. Errors name the file and the place.
    let openRows (path: string) : Result<NpyRows, Error list> =
        let check (header: NpyHeader) : Result<NpyHeader, Error list> =
            let columns =
                header.Shape |> List.skip (min 1 header.Shape.Length) |> List.map bigint

            let require (condition: bool) (kind: ErrorKind) (place: string) (message: string) =
                Validation.require condition (Error.make kind message |> Error.at place)

            [
                require
                    (header.Element = NpyElement.Float64 || header.Element = NpyElement.Float32)
                    ErrorKind.Unsupported
                    "header, key descr"
                    "only '<f8' and '<f4' are mapped into memory"
                require
                    (not header.FortranOrder || header.Shape.Length < 2)
                    ErrorKind.Unsupported
                    "header, key fortran_order"
                    "only C order is mapped into memory"
                require
                    (not header.Shape.IsEmpty)
                    ErrorKind.Shape
                    "header, key shape"
                    "a single number has no rows"
                require
                    (List.fold (*) 1I columns <= bigint (1 <<< 27))
                    ErrorKind.Limit
                    "header, key shape"
                    "more than 2²⁷ numbers in a row"
            ]
            |> Error.collect
            |> Result.map (fun _ -> header)

        FileError.guard path (fun () ->
            use stream = openStream path

            NpyHeader.read stream
            |> Result.bind check
            |> Result.map (fun header -> new NpyRows(stream, header))
            |> inFile path)

    let private writeArray
        (element: NpyElement)
        (path: string)
        (array: NpyArray)
        : Result<unit, Error list> =
        let count = array.Shape |> List.fold (fun product size -> product * bigint size) 1I
        let negative = array.Shape |> List.exists (fun size -> size < 0)

        if negative || count <> bigint array.Values.Length then
            Error.make ErrorKind.Shape "the shape is not that of the values"
            |> Error.withFile path
            |> Error.found (array.Shape |> List.map string |> String.concat " × ")
            |> Error.expected $"sizes with the product {array.Values.Length}"
            |> Error.fail
        else
            AtomicFile.write path (fun stream ->
                let header = NpyHeader.bytes element (array.Shape |> List.map int64)
                stream.Write(ReadOnlySpan header)

                NpyElements.write element stream array.Values
                Ok())

    /// Writes an array as `<f8` in C order.
    let writeFloats (path: string) (array: NpyArray) : Result<unit, Error list> =
        writeArray NpyElement.Float64 path array

    /// Writes an array as `<f4` in C order, rounding each number to the nearest single.
    let writeSingles (path: string) (array: NpyArray) : Result<unit, Error list> =
        writeArray NpyElement.Float32 path array

    let private writeBlocks
        (element: NpyElement)
        (path: string)
        (columns: int)
        (blocks: seq<float[]>)
        : Result<int64, Error list> =
        let header (rows: int64) = NpyHeader.bytes element [ rows; int64 columns ]

        if columns < 1 then
            Error.make ErrorKind.Shape "a table has one column or more"
            |> Error.withFile path
            |> Error.found (string columns)
            |> Error.fail
        else
            AtomicFile.write path (fun stream ->
                stream.Write(ReadOnlySpan(header 0L))

                let append (block: int, rows: int64) (values: float[]) =
                    if values.Length % columns <> 0 then
                        Error.make ErrorKind.Shape "the block is not made of whole rows"
                        |> Error.withFile path
                        |> Error.at $"block {block}"
                        |> Error.found $"{values.Length} numbers"
                        |> Error.expected $"a multiple of {columns}"
                        |> Error.fail
                    else
                        NpyElements.write element stream values
                        Ok(block + 1, rows + int64 (values.Length / columns))

                use source = blocks.GetEnumerator()
                let mutable written = Ok(0, 0L)

                while written.IsOk && source.MoveNext() do
                    written <- written |> Result.bind (fun so -> append so source.Current)

                written
                |> Result.map (fun (_, rows) ->
                    stream.Position <- 0L
                    stream.Write(ReadOnlySpan(header rows))
                    rows))

    /// Writes a table as `<f8`, block after block of whole rows, as they come; gives the number of
    /// rows. The file is the same whatever the blocks, and appears when the last is written.
    let writeRows (path: string) (columns: int) (blocks: seq<float[]>) : Result<int64, Error list> =
        writeBlocks NpyElement.Float64 path columns blocks

    /// Writes a table as `writeRows` does, as `<f4`.
    let writeRowSingles
        (path: string)
        (columns: int)
        (blocks: seq<float[]>)
        : Result<int64, Error list> =
        writeBlocks NpyElement.Float32 path columns blocks
