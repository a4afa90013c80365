namespace FunLik

open System
open System.Buffers.Binary
open System.IO
open System.Numerics
open System.Text
open System.Text.RegularExpressions

/// The element types that are read. All are little-endian.
[<RequireQualifiedAccess>]
type NpyElement =
    /// `<f8`
    | Float64
    /// `<f4`
    | Float32
    /// `<i8`
    | Int64
    /// `<i4`
    | Int32
    /// `|u1`
    | UInt8
    /// `|b1`
    | Bool

    /// Bytes per element.
    member this.Size: int =
        match this with
        | Float64
        | Int64 -> 8
        | Float32
        | Int32 -> 4
        | UInt8
        | Bool -> 1

/// What a `.npy` file says of its contents, checked against the length of the file.
type NpyHeader =
    {
        /// The type of the elements.
        Element: NpyElement
        /// Whether the first index runs fastest.
        FortranOrder: bool
        /// The sizes of the axes; empty for a single number.
        Shape: int64 list
        /// The number of elements, the product of the shape.
        Count: int64
        /// Where the elements begin, in bytes from the start of the file.
        DataOffset: int64
    }

/// The header of numpy's `.npy` format, versions 1.0 to 3.0, as numpy.lib.format defines it. The
/// header is a Python literal; it is parsed as one of three known keys and never evaluated.
[<RequireQualifiedAccess>]
module NpyHeader =

    let private maxHeaderBytes = 1 <<< 20
    let private maxRank = 64
    let private magic = [| 0x93uy; 'N'B; 'U'B; 'M'B; 'P'B; 'Y'B |]

    let private error (kind: ErrorKind) (place: string) (message: string) : Error =
        Error.make kind message |> Error.at place

    let private tokenPattern =
        Regex(
            """\G\s*('[^'\\]*'|"[^"\\]*"|[-+]?[0-9]+L?|[A-Za-z_]+|[{}()\[\]:,])""",
            RegexOptions.CultureInvariant
        )

    let private tokenise (text: string) : Result<string list, Error list> =
        let body = text.TrimEnd()

        let tokens =
            Seq.unfold
                (fun (m: Match) -> if m.Success then Some(m, m.NextMatch()) else None)
                (tokenPattern.Match body)
            |> List.ofSeq

        let parsed =
            match List.tryLast tokens with
            | Some last -> last.Index + last.Length
            | None -> 0

        if parsed = body.Length && parsed > 0 then
            Ok(tokens |> List.map (fun m -> m.Groups[1].Value))
        else
            error ErrorKind.Syntax $"header, character {parsed}" "not a literal of Python"
            |> Error.found (body.Substring parsed)
            |> Error.fail

    /// The tokens of each key's value.
    let private entries (text: string) : Result<Map<string, string list>, Error list> =
        let isText (token: string) = token.StartsWith '\'' || token.StartsWith '"'

        let rec value (depth: int) (taken: string list) (tokens: string list) =
            match tokens with
            | ("," | "}") :: _ when depth = 0 -> List.rev taken, tokens
            | ("(" | "[" | "{" as opening) :: rest -> value (depth + 1) (opening :: taken) rest
            | (")" | "]" | "}" as closing) :: rest -> value (depth - 1) (closing :: taken) rest
            | token :: rest -> value depth (token :: taken) rest
            | [] -> List.rev taken, []

        let malformed: Result<Map<string, string list>, Error list> =
            error ErrorKind.Syntax "header" "not a dictionary of Python"
            |> Error.found text
            |> Error.expected "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }"
            |> Error.fail

        let rec pairs (found: Map<string, string list>) (tokens: string list) =
            match tokens with
            | [ "}" ] -> Ok found
            | key :: ":" :: rest when isText key ->
                let name = key.Substring(1, key.Length - 2)

                match value 0 [] rest with
                | _ when found.ContainsKey name ->
                    error ErrorKind.Schema $"header, key {name}" "the key stands twice"
                    |> Error.fail
                | tokens, "," :: rest -> pairs (found.Add(name, tokens)) rest
                | tokens, rest -> pairs (found.Add(name, tokens)) rest
            | _ -> malformed

        tokenise text
        |> Result.bind (fun tokens ->
            match tokens with
            | "{" :: rest -> pairs Map.empty rest
            | _ -> malformed)

    let private element (tokens: string list) : Result<NpyElement, Error list> =
        let unsupported (message: string) (hint: string) : Result<NpyElement, Error list> =
            error ErrorKind.Unsupported "header, key descr" message
            |> Error.found (String.concat "" tokens)
            |> Error.expected "'<f8', '<f4', '<i8', '<i4', '|u1' or '|b1'"
            |> Error.hint hint
            |> Error.fail

        match tokens |> List.map _.Trim('\'', '"') with
        | [ "<f8" ] -> Ok NpyElement.Float64
        | [ "<f4" ] -> Ok NpyElement.Float32
        | [ "<i8" ] -> Ok NpyElement.Int64
        | [ "<i4" ] -> Ok NpyElement.Int32
        | [ "|u1" ] -> Ok NpyElement.UInt8
        | [ "|b1" ] -> Ok NpyElement.Bool
        | [ name ] when name.StartsWith '>' ->
            unsupported "big-endian numbers are not read" "Convert it: a.astype('<f8')."
        | [ name ] when name.Contains 'O' ->
            unsupported "Python objects are never unpickled" "Save an array of numbers."
        | [ _ ] -> unsupported "the element type is not read" "Convert it: a.astype('<f8')."
        | _ -> unsupported "structured elements are not read" "Save one array for each field."

    let private order (tokens: string list) : Result<bool, Error list> =
        match tokens with
        | [ "True" ] -> Ok true
        | [ "False" ] -> Ok false
        | _ ->
            error ErrorKind.Schema "header, key fortran_order" "not a truth value"
            |> Error.found (String.concat " " tokens)
            |> Error.expected "True or False"
            |> Error.fail

    let private shape (tokens: string list) : Result<int64 list, Error list> =
        let place = "header, key shape"

        let rec sizes (found: string list) (tokens: string list) : string list option =
            match tokens with
            | [ ")" ] -> Some(List.rev found)
            | [ size; ")" ] when not found.IsEmpty -> Some(List.rev (size :: found))
            | size :: "," :: rest -> sizes (size :: found) rest
            | _ -> None

        let size (token: string) : Result<int64, Error list> =
            let refuse (kind: ErrorKind) (message: string) : Result<int64, Error list> =
                error kind place message |> Error.found token |> Error.fail

            let digits = token.TrimEnd('L').TrimStart '-'

            if digits = "" || not (digits |> Seq.forall Char.IsAsciiDigit) then
                refuse ErrorKind.Schema "the size of an axis is not an integer"
            elif token.StartsWith '-' then
                refuse ErrorKind.Value "the size of an axis is negative"
            else
                match Int64.TryParse digits with
                | true, value -> Ok value
                | false, _ -> refuse ErrorKind.Limit "the size of an axis is too large"

        let axes =
            match tokens with
            | "(" :: rest -> sizes [] rest
            | _ -> None

        match axes with
        | Some axes when axes.Length <= maxRank -> axes |> List.map size |> Error.collect
        | Some axes ->
            error ErrorKind.Limit place "too many axes"
            |> Error.found (string axes.Length)
            |> Error.expected $"{maxRank} or fewer"
            |> Error.fail
        | None ->
            error ErrorKind.Schema place "not a tuple of integers"
            |> Error.found (String.concat " " tokens)
            |> Error.expected "such as (3, 4), (3,) or ()"
            |> Error.fail

    let private parse (text: string) : Result<NpyElement * bool * int64 list, Error list> =
        let known = [ "descr"; "fortran_order"; "shape" ]

        entries text
        |> Result.bind (fun found ->
            let key (name: string) (read: string list -> Result<'T, Error list>) =
                match found.TryFind name with
                | Some tokens -> read tokens
                | None ->
                    error ErrorKind.Schema "header" $"the key {name} is missing" |> Error.fail

            let noOthers =
                match found.Keys |> Seq.except known |> List.ofSeq with
                | [] -> Ok()
                | others ->
                    error ErrorKind.Schema "header" "unknown keys"
                    |> Error.found (String.concat ", " others)
                    |> Error.expected (String.concat ", " known)
                    |> Error.fail

            Validation.map3
                (fun element order shape -> element, order, shape)
                (key "descr" element)
                (key "fortran_order" order)
                (key "shape" shape)
            |> Validation.map2 (fun () header -> header) noOthers)

    /// Checks that the elements are all there and nothing else is, before anybody allocates them.
    let private measure
        (offset: int64)
        (length: int64)
        (element: NpyElement, order: bool, shape: int64 list)
        : Result<NpyHeader, Error list> =
        let count = shape |> List.fold (fun product size -> product * BigInteger size) 1I
        let needed = count * BigInteger element.Size

        if needed = BigInteger(length - offset) then
            Ok
                {
                    Element = element
                    FortranOrder = order
                    Shape = shape
                    Count = int64 count
                    DataOffset = offset
                }
        else
            let dimensions = shape |> List.map string |> String.concat " × "

            error ErrorKind.Syntax $"byte {offset}" $"the data does not fit its shape {dimensions}"
            |> Error.found $"{length - offset} bytes"
            |> Error.expected $"{needed} bytes"
            |> Error.fail

    /// Reads a header from the start of a stream that can seek, and leaves the stream where the
    /// elements begin. Errors say where in the file, and not in which.
    let read (stream: Stream) : Result<NpyHeader, Error list> =
        let start = Array.zeroCreate<byte> 12
        let read = stream.ReadAtLeast(start, start.Length, throwOnEndOfStream = false)

        let truncated (place: int) : Result<NpyHeader, Error list> =
            error ErrorKind.Syntax $"byte {place}" "the file ends inside of its header"
            |> Error.found $"{stream.Length} bytes"
            |> Error.fail

        let headerAt
            (offset: int)
            (size: uint32)
            (encoding: Encoding)
            : Result<NpyHeader, Error list> =
            if size > uint32 maxHeaderBytes then
                error ErrorKind.Limit "byte 8" "the header is too long"
                |> Error.found $"{size} bytes"
                |> Error.expected $"{maxHeaderBytes} bytes or fewer"
                |> Error.fail
            elif int64 offset + int64 size > stream.Length then
                truncated offset
            else
                stream.Position <- int64 offset
                let bytes = Array.zeroCreate<byte>(int size)
                stream.ReadExactly bytes

                parse (encoding.GetString bytes)
                |> Result.bind (measure (int64 offset + int64 size) stream.Length)

        if
            read < 8
            && start.AsSpan(0, min read 6).SequenceEqual(ReadOnlySpan(magic, 0, min read 6))
        then
            truncated read
        elif not (start.AsSpan(0, 6).SequenceEqual(ReadOnlySpan magic)) then
            error ErrorKind.Syntax "byte 0" "not a .npy file"
            |> Error.found (Convert.ToHexString(start, 0, min read 6))
            |> Error.expected (Convert.ToHexString magic)
            |> Error.fail
        else
            match start[6], start[7] with
            | 1uy, 0uy when read >= 10 ->
                let size = BinaryPrimitives.ReadUInt16LittleEndian(ReadOnlySpan(start, 8, 2))
                headerAt 10 (uint32 size) Encoding.Latin1
            | (2uy | 3uy as major), 0uy when read >= 12 ->
                let size = BinaryPrimitives.ReadUInt32LittleEndian(ReadOnlySpan(start, 8, 4))
                headerAt 12 size (if major = 2uy then Encoding.Latin1 else Encoding.UTF8)
            | (1uy | 2uy | 3uy), 0uy -> truncated read
            | major, minor ->
                error ErrorKind.Unsupported "byte 6" "the format version is not known"
                |> Error.found $"{major}.{minor}"
                |> Error.expected "1.0, 2.0 or 3.0"
                |> Error.fail

    /// The bytes of a version 1.0 header in C order. Its length depends on the number and sizes of
    /// all axes but the first, so that rows can be counted after they are written.
    let bytes (element: NpyElement) (shape: int64 list) : byte[] =
        let descr =
            match element with
            | NpyElement.Float64 -> "<f8"
            | NpyElement.Float32 -> "<f4"
            | NpyElement.Int64 -> "<i8"
            | NpyElement.Int32 -> "<i4"
            | NpyElement.UInt8 -> "|u1"
            | NpyElement.Bool -> "|b1"

        let tuple =
            match shape with
            | [ size ] -> $"({size},)"
            | sizes -> "(" + (sizes |> List.map string |> String.concat ", ") + ")"

        let text = $"{{'descr': '{descr}', 'fortran_order': False, 'shape': {tuple}, }}"

        let spare =
            match shape with
            | size :: _ -> 20 - (string size).Length
            | [] -> 0

        let total = (10 + text.Length + spare + 1 + 63) / 64 * 64
        let header = Array.create total ' 'B
        magic.CopyTo(header, 0)
        header[6] <- 1uy
        header[7] <- 0uy
        BinaryPrimitives.WriteUInt16LittleEndian(header.AsSpan 8, uint16 (total - 10))
        Encoding.ASCII.GetBytes(text).CopyTo(header, 10)
        header[total - 1] <- '\n'B
        header
