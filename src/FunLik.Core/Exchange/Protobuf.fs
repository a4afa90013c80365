namespace FunLik

open System
open System.Runtime.InteropServices
open System.Text
open System.Text.Unicode
open Google.Protobuf

/// Protobuf messages without generated code: read by field number, and written as parts that know
/// their sizes. Complaints are gathered with the places that they are about.
module internal Protobuf =

    /// The most errors that a call reports.
    let private maxErrors = 20

    /// The most fields in a file; each becomes at most some hundred bytes of records.
    let private maxFields = 10_000_000

    /// The most that a file, or the numbers in it, may take: what an array holds.
    let maxBytes: int64 = int64 Array.MaxLength

    let tooBig (bytes: int64) : Error =
        Error.make ErrorKind.Limit "the model is too big"
        |> Error.found $"{bytes} bytes"
        |> Error.expected $"at most {maxBytes} bytes"

    /// The errors of one call, in order. After `maxErrors`, or a broken limit, the call gives up.
    type Log() =
        let errors = ResizeArray<Error>()

        member val Stopped = false with get, set
        member _.Count: int = errors.Count
        member _.Errors: Error list = List.ofSeq errors

        member log.Add(error: Error) : unit =
            if not log.Stopped then
                errors.Add error
                log.Stopped <- errors.Count = maxErrors || error.Kind = ErrorKind.Limit

        /// The value, if nothing was complained of.
        member log.Result(value: 'T) : Result<'T, Error list> =
            if log.Count = 0 then Ok value else Result.Error log.Errors

    /// Where in a message something is, such as `graph.node[3].attribute[0]`.
    type Place =
        {
            Log: Log
            Path: string
        }

        member place.Inside(name: string) : Place =
            { place with Path = if place.Path = "" then name else $"{place.Path}.{name}" }

        member place.Item(name: string, index: int) : Place = place.Inside $"{name}[{index}]"

        member place.Report(error: Error) : unit =
            place.Log.Add(if place.Path = "" then error else Error.at place.Path error)

        member place.Complain (kind: ErrorKind) (message: string) : unit =
            place.Report(Error.make kind message)

    /// The bytes of an array of numbers.
    let private bytesOf (values: Array) : Span<byte> =
        MemoryMarshal.CreateSpan(
            &MemoryMarshal.GetArrayDataReference values,
            Buffer.ByteLength values
        )

    /// Turns numbers as protobuf keeps them into those of this machine, and back, in place.
    let private fromLittleEndian (size: int) (bytes: Span<byte>) : unit =
        if not BitConverter.IsLittleEndian then
            for start in 0..size .. bytes.Length - size do
                bytes.Slice(start, size).Reverse()

    // ---- Writing

    /// A field to be written, and the bytes that it takes.
    type Part = { Size: int64; Emit: CodedOutputStream -> unit }

    let size (parts: Part list) : int64 = parts |> List.sumBy _.Size

    let emit (out: CodedOutputStream) (parts: Part list) : unit =
        for part in parts do
            part.Emit out

    let private part
        (number: int)
        (wire: WireFormat.WireType)
        (size: int64)
        (emit: CodedOutputStream -> unit)
        : Part =
        {
            Size = int64 (CodedOutputStream.ComputeTagSize number) + size
            Emit =
                fun out ->
                    out.WriteTag(number, wire)
                    emit out
        }

    /// `emit` writes the length and as many bytes.
    let private delimited (number: int) (length: int64) (emit: CodedOutputStream -> unit) : Part =
        // What is beyond the limit is never written, only counted.
        let prefix = CodedOutputStream.ComputeLengthSize(int (min length maxBytes))
        part number WireFormat.WireType.LengthDelimited (int64 prefix + length) emit

    let writeInteger (number: int) (value: int64) : Part =
        let size = int64 (CodedOutputStream.ComputeInt64Size value)
        part number WireFormat.WireType.Varint size _.WriteInt64(value)

    let writeSingle (number: int) (value: float32) : Part =
        part number WireFormat.WireType.Fixed32 4L _.WriteFloat(value)

    let writeMessage (number: int) (parts: Part list) : Part =
        let length = size parts

        delimited number length (fun out ->
            out.WriteLength(int length)
            emit out parts)

    let writeText (place: Place) (number: int) (value: string) : Part =
        let bytes = Encoding.UTF8.GetBytes value

        if Encoding.UTF8.GetString bytes <> value then
            place.Complain ErrorKind.Value "the text has half of a surrogate pair"

        delimited number bytes.LongLength _.WriteBytes(UnsafeByteOperations.UnsafeWrap bytes)

    /// Nothing for the empty text, which is what readers take where there is none.
    let writeOptional (place: Place) (number: int) (value: string) : Part list =
        if value = "" then [] else [ writeText place number value ]

    /// Numbers of one size in bytes, row by row, as one field of bytes.
    let writeNumbers (number: int) (size: int) (values: Array) : Part =
        delimited number (values.LongLength * int64 size) (fun out ->
            let bytes = (bytesOf values).ToArray()
            fromLittleEndian size (bytes.AsSpan())
            out.WriteBytes(UnsafeByteOperations.UnsafeWrap bytes))

    // ---- Reading

    /// A field's number and content: a varint's bits, or where the bytes of anything else are.
    [<Struct>]
    type Field =
        {
            Number: int
            Wire: WireFormat.WireType
            Bits: uint64
            Start: int
            Length: int
        }

        member field.Stop: int = field.Start + field.Length

    /// One call's bytes, and what it may still spend.
    type Source(bytes: byte[]) =
        member _.Bytes: byte[] = bytes
        member val FieldsLeft = maxFields with get, set
        member val BytesLeft = maxBytes with get, set

    /// A message taken apart: its fields in the file's order.
    type Message = { Source: Source; Place: Place; Fields: Field[] }

    /// The number at a position and the position after it; none if it is cut off or too long.
    let private varintAt (bytes: byte[]) (start: int) (stop: int) : struct (uint64 * int) voption =
        let mutable value = 0UL
        let mutable position = start
        let mutable shift = 0
        let mutable more = true

        while more && position < stop && shift < 64 do
            let b = bytes[position]
            value <- value ||| (uint64 (b &&& 0x7Fuy) <<< shift)
            shift <- shift + 7
            position <- position + 1
            more <- b >= 0x80uy

        if more then
            ValueNone
        else
            ValueSome(struct (value, position))

    /// The field at a position, or what is malformed; the next one begins where it stops.
    let private fieldAt (bytes: byte[]) (start: int) (stop: int) : Result<Field, string> =
        let field number wire bits position (length: uint64) =
            if length > uint64 (stop - position) then
                Result.Error "a field goes beyond the end of its message"
            else
                Ok
                    {
                        Number = number
                        Wire = wire
                        Bits = bits
                        Start = position
                        Length = int length
                    }

        match varintAt bytes start stop with
        | ValueNone -> Result.Error "a tag is cut off or too long"
        | ValueSome(struct (tag, _)) when tag > uint64 UInt32.MaxValue || tag < 8UL ->
            Result.Error "a tag has no valid field number"
        | ValueSome(struct (tag, position)) ->
            let field = field (WireFormat.GetTagFieldNumber(uint32 tag))

            match WireFormat.GetTagWireType(uint32 tag) with
            | WireFormat.WireType.Fixed32 as wire -> field wire 0UL position 4UL
            | WireFormat.WireType.Fixed64 as wire -> field wire 0UL position 8UL
            | WireFormat.WireType.Varint
            | WireFormat.WireType.LengthDelimited as wire ->
                match varintAt bytes position stop with
                | ValueNone -> Result.Error "a number is cut off or too long"
                | ValueSome(struct (value, next)) ->
                    if wire = WireFormat.WireType.Varint then
                        field wire value next 0UL
                    else
                        field wire 0UL next value
            | _ -> Result.Error "a field is of a wire type that ONNX does not have"

    /// Takes a message apart, up to a field that is malformed, which is reported.
    let private parse (source: Source) (place: Place) (start: int) (stop: int) : Message =
        let fields = ResizeArray<Field>()
        let mutable position = start

        while position < stop && not place.Log.Stopped do
            match fieldAt source.Bytes position stop with
            | Ok field ->
                fields.Add field
                position <- field.Stop
                source.FieldsLeft <- source.FieldsLeft - 1

                if source.FieldsLeft < 0 then
                    Error.make ErrorKind.Limit "the model has too many fields"
                    |> Error.expected $"at most {maxFields}"
                    |> place.Report
            | Result.Error complaint ->
                (place.Inside $"byte {position}").Complain ErrorKind.Syntax complaint
                position <- stop

        { Source = source; Place = place; Fields = fields.ToArray() }

    /// The message that all the bytes are.
    let read (log: Log) (bytes: byte[]) : Message =
        parse (Source bytes) { Log = log; Path = "" } 0 bytes.Length

    /// All the fields of one number, of which those of another wire type than this are reported.
    let private all
        (name: string)
        (number: int)
        (wires: WireFormat.WireType list)
        (message: Message)
        : Field[] =
        let found = message.Fields |> Array.filter (fun field -> field.Number = number)

        match found |> Array.tryFind (fun field -> not (List.contains field.Wire wires)) with
        | None -> found
        | Some field ->
            Error.make ErrorKind.Schema "the field has the wrong wire type"
            |> Error.found (string field.Wire)
            |> Error.expected (string wires.Head)
            |> (message.Place.Inside name).Report

            [||]

    let has (number: int) (message: Message) : bool =
        message.Fields |> Array.exists (fun field -> field.Number = number)

    /// Asks for memory for this many decoded bytes; false beyond the limit.
    let private afford (count: int64) (message: Message) : bool =
        let source = message.Source
        source.BytesLeft <- source.BytesLeft - count

        if source.BytesLeft < 0L then
            message.Place.Report(tooBig (maxBytes - source.BytesLeft))

        source.BytesLeft >= 0L

    /// All the varints of one number, alone or packed.
    let integers (name: string) (number: int) (message: Message) : int64[] =
        let bytes = message.Source.Bytes
        let values = ResizeArray<int64>()

        let wires = [ WireFormat.WireType.Varint; WireFormat.WireType.LengthDelimited ]

        for field in all name number wires message do
            if field.Wire = WireFormat.WireType.Varint then
                values.Add(int64 field.Bits)
            else
                // Each number ends in the one byte of it that has no high bit.
                let mutable ends = 0L

                for i in field.Start .. field.Stop - 1 do
                    if bytes[i] < 0x80uy then
                        ends <- ends + 1L

                let mutable position =
                    if afford (8L * ends) message then
                        field.Start
                    else
                        field.Stop

                while position < field.Stop do
                    match varintAt bytes position field.Stop with
                    | ValueSome(struct (value, next)) ->
                        values.Add(int64 value)
                        position <- next
                    | ValueNone ->
                        (message.Place.Inside name).Complain
                            ErrorKind.Syntax
                            "a number is cut off or too long"

                        position <- field.Stop

        values.ToArray()

    /// The integer of this number; 0 where there is none, the last where there are many.
    let integer (name: string) (number: int) (message: Message) : int64 =
        integers name number message |> Array.tryLast |> Option.defaultValue 0L

    /// Makes sure that an integer lies in a range; reports it if not, and gives the lower end.
    let within (least: int64) (most: int64) (place: Place) (value: int64) : int64 =
        if value >= least && value <= most then
            value
        else
            Error.make ErrorKind.Value "the number is out of range"
            |> Error.found (string value)
            |> Error.expected $"{least} to {most}"
            |> place.Report

            least

    /// The integer of this number, from 0 to 2^31 - 1.
    let natural (name: string) (number: int) (message: Message) : int =
        integer name number message
        |> within 0L (int64 Int32.MaxValue) (message.Place.Inside name)
        |> int

    /// All the numbers of fixed size of one field number, alone, packed, or as raw bytes.
    let numbers<'T> (name: string) (number: int) (message: Message) : 'T[] =
        let size = sizeof<'T>

        let alone =
            match size with
            | 4 -> [ WireFormat.WireType.Fixed32 ]
            | 8 -> [ WireFormat.WireType.Fixed64 ]
            | _ -> []

        let found =
            message |> all name number (WireFormat.WireType.LengthDelimited :: alone)

        let total = found |> Array.sumBy (fun field -> int64 field.Length)

        if total % int64 size <> 0L then
            Error.make ErrorKind.Shape "the bytes do not make whole numbers"
            |> Error.found $"{total} bytes"
            |> Error.expected $"a multiple of {size}"
            |> (message.Place.Inside name).Report

            [||]
        elif not (afford total message) then
            [||]
        else
            let values = Array.zeroCreate<'T>(int (total / int64 size))
            let mutable offset = 0

            for field in found do
                Buffer.BlockCopy(message.Source.Bytes, field.Start, values, offset, field.Length)
                offset <- offset + field.Length

            fromLittleEndian size (bytesOf values)
            values

    /// All the texts of one number.
    let texts (name: string) (number: int) (message: Message) : string[] =
        message
        |> all name number [ WireFormat.WireType.LengthDelimited ]
        |> Array.mapi (fun i field ->
            let span = ReadOnlySpan(message.Source.Bytes, field.Start, field.Length)

            if Utf8.IsValid span then
                Encoding.UTF8.GetString span
            else
                message.Place.Item(name, i).Complain ErrorKind.Syntax "the text is not UTF-8"
                "")

    /// The text of this number; "" where there is none, the last where there are many.
    let text (name: string) (number: int) (message: Message) : string =
        texts name number message |> Array.tryLast |> Option.defaultValue ""

    /// Reads all the messages of one number, until the call gives up.
    let messages (name: string) (number: int) (read: Message -> 'T) (message: Message) : 'T list =
        [
            for i, field in
                message
                |> all name number [ WireFormat.WireType.LengthDelimited ]
                |> Seq.indexed do
                if not message.Place.Log.Stopped then
                    read (parse message.Source (message.Place.Item(name, i)) field.Start field.Stop)
        ]

    /// Reads the message of this number, if there is one; two are reported.
    let message (name: string) (number: int) (read: Message -> 'T) (message: Message) : 'T option =
        let found = message |> all name number [ WireFormat.WireType.LengthDelimited ]
        let place = message.Place.Inside name

        if found.Length > 1 then
            place.Complain ErrorKind.Schema "the message stands twice"

        found
        |> Array.tryLast
        |> Option.map (fun field -> read (parse message.Source place field.Start field.Stop))
