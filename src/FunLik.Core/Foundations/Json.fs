namespace FunLik

open System
open System.IO
open System.Text.Json
open System.Text.Unicode

/// The way from the root of a JSON text to a value in it.
[<RequireQualifiedAccess>]
type internal JsonPlace =
    | Root
    | Key of JsonPlace * string
    | Item of JsonPlace * int

/// A value inside of a JSON text that knows its file and its path: what readers of formats work with.
[<Sealed>]
type Json internal (element: JsonElement, file: string option, place: JsonPlace) =

    let isPlain (name: string) : bool =
        name <> "" && name |> Seq.forall (fun c -> Char.IsLetterOrDigit c || c = '_')

    member internal _.Element: JsonElement = element
    member internal _.Place: JsonPlace = place

    /// The file in which it stands, if it came from one.
    member _.File: string option = file

    /// The place inside of the text: `$.shape.isr.up[3]`.
    member _.Path: string =
        let rec write (place: JsonPlace) (tail: string list) : string list =
            match place with
            | JsonPlace.Root -> "$" :: tail
            | JsonPlace.Key(above, name) when isPlain name -> write above ("." :: name :: tail)
            | JsonPlace.Key(above, name) -> write above ("['" :: name :: "']" :: tail)
            | JsonPlace.Item(above, i) -> write above ("[" :: string i :: "]" :: tail)

        write place [] |> String.concat ""

    /// The value in short, for messages: numbers and texts as they stand, the rest by kind and size.
    override _.ToString() : string =
        match element.ValueKind with
        | JsonValueKind.Object -> "an object"
        | JsonValueKind.Array -> $"an array of {element.GetArrayLength()}"
        | _ ->
            let text = element.GetRawText()
            if text.Length > 100 then text.Substring(0, 100) else text

/// Reading JSON that comes from anywhere. What cannot be read is an error with file, path, what was found and what was expected;
/// readers gather the errors of all their parts.
[<RequireQualifiedAccess>]
module Json =

    /// Arrays and objects may be nested this deep.
    let maxDepth: int = 64

    /// The largest file that is read, in bytes, unless another limit is given: 256 MiB.
    let defaultLimit: int64 = 256L <<< 20

    /// Of many mistakes in one array the first ones are reported.
    let private mistakesAnArray = 3

    /// An error at a value.
    let error (kind: ErrorKind) (message: string) (json: Json) : Error =
        let there = Error.make kind message |> Error.at json.Path

        match json.File with
        | Some file -> Error.withFile file there
        | None -> there

    /// A failed result at a value that is not what it should be.
    let refuse
        (kind: ErrorKind)
        (message: string)
        (expected: string)
        (json: Json)
        : Result<'T, Error list> =
        error kind message json
        |> Error.found (string json)
        |> Error.expected expected
        |> Error.fail

    let private wrongType (expected: string) (json: Json) : Result<'T, Error list> =
        refuse ErrorKind.Schema "wrong type" expected json

    let private below (json: Json) (name: string) (element: JsonElement) : Json =
        Json(element, json.File, JsonPlace.Key(json.Place, name))

    let private itemOf (json: Json) (i: int) (element: JsonElement) : Json =
        Json(element, json.File, JsonPlace.Item(json.Place, i))

    // ---- Parsing

    /// Doubled keys, and texts that are not Unicode, anywhere in the value. The depth is limited already.
    let rec private flaws (json: Json) : Error list =
        match json.Element.ValueKind with
        | JsonValueKind.Object ->
            let seen = Collections.Generic.HashSet<string>()

            [
                for property in json.Element.EnumerateObject() do
                    match
                        (try
                            Some property.Name
                         with :? InvalidOperationException ->
                             None)
                    with
                    | None -> error ErrorKind.Syntax "a key that is not Unicode text" json
                    | Some name ->
                        let inside = below json name property.Value

                        if not (seen.Add name) then
                            error ErrorKind.Schema "the key stands twice" inside
                            |> Error.found name
                            |> Error.expected "each key once"

                        yield! flaws inside
            ]
        | JsonValueKind.Array ->
            let mutable i = -1

            [
                for element in json.Element.EnumerateArray() do
                    i <- i + 1

                    if element.ValueKind <> JsonValueKind.Number then
                        yield! flaws (itemOf json i element)
            ]
        | JsonValueKind.String ->
            try
                json.Element.GetString() |> ignore
                []
            with :? InvalidOperationException ->
                [ error ErrorKind.Syntax "a text that is not Unicode" json ]
        | _ -> []

    let private syntax (reason: JsonException) : Error =
        let message =
            let text = reason.Message

            match text.IndexOf " LineNumber:" with
            | -1 -> text
            | length -> text.Substring(0, length)

        let line = reason.LineNumber.GetValueOrDefault() + 1L
        let column = reason.BytePositionInLine.GetValueOrDefault() + 1L
        let place = $"line {line}, byte {column}"

        if message.Contains "depth of" then
            Error.make ErrorKind.Limit "nested too deep"
            |> Error.at place
            |> Error.expected $"at most {maxDepth} arrays and objects in each other"
        else
            let plain =
                message
                    .Replace(" Change the reader options.", "")
                    .Replace(", when isFinalBlock is true", "")

            let there =
                Error.make ErrorKind.Syntax $"not JSON: {plain.TrimEnd '.'}" |> Error.at place

            if message.StartsWith "'N'" || message.StartsWith "'I'" then
                there |> Error.hint "JSON has no NaN and no infinity."
            else
                there

    /// Reads bytes, for messages those of a file: UTF-8, with or without a byte order mark.
    let parseBytes (file: string option) (bytes: byte[]) : Result<Json, Error list> =
        let inFile (error: Error) : Error =
            file |> Option.fold (fun e name -> Error.withFile name e) error

        let refuse (message: string) : Result<Json, Error list> =
            Error.make ErrorKind.Syntax message |> inFile |> Error.fail

        let starts (mark: byte list) : bool =
            bytes.Length >= mark.Length
            && List.forall2 (=) mark (List.init mark.Length (fun i -> bytes[i]))

        let text =
            if starts [ 0xEFuy; 0xBBuy; 0xBFuy ] then
                ReadOnlyMemory(bytes, 3, bytes.Length - 3)
            else
                ReadOnlyMemory bytes

        if bytes.Length = 0 then
            refuse "the file is empty"
        elif starts [ 0xFFuy; 0xFEuy ] || starts [ 0xFEuy; 0xFFuy ] then
            refuse "the text is UTF-16, and JSON is UTF-8"
        elif not (Utf8.IsValid text.Span) then
            refuse "not JSON: the bytes are not UTF-8 text"
        else
            try
                let options = JsonDocumentOptions(MaxDepth = maxDepth)
                let root = Json(JsonDocument.Parse(text, options).RootElement, file, JsonPlace.Root)

                match flaws root with
                | [] -> Ok root
                | errors -> Result.Error errors
            with :? JsonException as e ->
                syntax e |> inFile |> Error.fail

    /// Reads a text.
    let parse (text: string) : Result<Json, Error list> =
        parseBytes None (Text.Encoding.UTF8.GetBytes text)

    /// The bytes of a file, or of a pipe, of at most `limit` bytes.
    let readBytes (limit: int64) (path: string) : Result<byte[], Error list> =
        let tooLarge () : Result<byte[], Error list> =
            Error.make ErrorKind.Limit "the file is too large"
            |> Error.withFile path
            |> Error.expected $"at most {limit} bytes"
            |> Error.fail

        FileError.guard path (fun () ->
            use stream = File.OpenRead path

            if stream.CanSeek && stream.Length > limit then
                tooLarge ()
            else
                use memory = new MemoryStream()
                let buffer = Array.zeroCreate<byte>(1 <<< 16)
                let mutable count = stream.Read buffer

                while count > 0 && memory.Length <= limit do
                    memory.Write(buffer, 0, count)
                    count <- stream.Read buffer

                if memory.Length > limit then
                    tooLarge ()
                else
                    Ok(memory.ToArray()))

    /// Reads a file of at most `defaultLimit` bytes: UTF-8, with or without a byte order mark.
    let parseFile (path: string) : Result<Json, Error list> =
        readBytes defaultLimit path |> Result.bind (parseBytes (Some path))

    // ---- Objects

    let private asObject (json: Json) : Result<JsonElement, Error list> =
        if json.Element.ValueKind = JsonValueKind.Object then
            Ok json.Element
        else
            wrongType "an object" json

    /// The entries of an object, in the order of the text.
    let entries (json: Json) : Result<(string * Json) list, Error list> =
        asObject json
        |> Result.map (fun element ->
            [ for p in element.EnumerateObject() -> p.Name, below json p.Name p.Value ])

    /// The value of a key, or None where it is missing or null.
    let optional (name: string) (json: Json) : Result<Json option, Error list> =
        asObject json
        |> Result.map (fun element ->
            match element.TryGetProperty name with
            | true, value when value.ValueKind <> JsonValueKind.Null -> Some(below json name value)
            | _ -> None)

    /// The value of a key that must be there.
    let property (name: string) (json: Json) : Result<Json, Error list> =
        asObject json
        |> Result.bind (fun element ->
            match element.TryGetProperty name with
            | true, value -> Ok(below json name value)
            | _ -> error ErrorKind.Schema $"the key '{name}' is missing" json |> Error.fail)

    /// Reads the value of a key that must be there.
    let field
        (name: string)
        (read: Json -> Result<'T, Error list>)
        (json: Json)
        : Result<'T, Error list> =
        property name json |> Result.bind read

    /// Reads the value of a key, if it is there and not null.
    let optionalField
        (name: string)
        (read: Json -> Result<'T, Error list>)
        (json: Json)
        : Result<'T option, Error list> =
        optional name json
        |> Result.bind (function
            | None -> Ok None
            | Some value -> read value |> Result.map Some)

    /// Refuses keys other than these.
    let onlyKeys (known: string list) (json: Json) : Result<unit, Error list> =
        entries json
        |> Result.bind (fun found ->
            found
            |> List.filter (fun (name, _) -> not (List.contains name known))
            |> List.map (fun (name, value) ->
                error ErrorKind.Schema "the key is not known" value
                |> Error.found name
                |> Error.expected (String.concat ", " known))
            |> function
                | [] -> Ok()
                | errors -> Result.Error errors)

    // ---- Values

    /// A text.
    let text (json: Json) : Result<string, Error list> =
        if json.Element.ValueKind = JsonValueKind.String then
            Ok(json.Element.GetString())
        else
            wrongType "a text" json

    /// True or false.
    let bool (json: Json) : Result<bool, Error list> =
        match json.Element.ValueKind with
        | JsonValueKind.True -> Ok true
        | JsonValueKind.False -> Ok false
        | _ -> wrongType "true or false" json

    /// A finite number. Literals beyond the range of doubles are refused.
    let float (json: Json) : Result<float, Error list> =
        if json.Element.ValueKind <> JsonValueKind.Number then
            wrongType "a number" json
        else
            match json.Element.TryGetDouble() with
            | true, value when Double.IsFinite value -> Ok value
            | _ -> refuse ErrorKind.Value "the number is too large" "a double" json

    /// An integer; 3.0 and 3e0 are integers too.
    let int (json: Json) : Result<int, Error list> =
        float json
        |> Result.bind (fun value ->
            if value = Math.Floor value && abs value <= 2147483647.0 then
                Ok(Operators.int value)
            else
                refuse ErrorKind.Value "not an integer of 32 bits" "an integer" json)

    /// One of several texts, each with its meaning.
    let oneOf (choices: (string * 'T) list) (json: Json) : Result<'T, Error list> =
        text json
        |> Result.bind (fun value ->
            match choices |> List.tryFind (fun (name, _) -> name = value) with
            | Some(_, meaning) -> Ok meaning
            | None ->
                let known = choices |> List.map fst |> String.concat ", "
                refuse ErrorKind.Schema "the value is not known" known json)

    // ---- Arrays

    let private asArray (json: Json) : Result<JsonElement, Error list> =
        if json.Element.ValueKind = JsonValueKind.Array then
            Ok json.Element
        else
            wrongType "an array" json

    /// The items of an array.
    let items (json: Json) : Result<Json list, Error list> =
        asArray json
        |> Result.map (fun element ->
            element.EnumerateArray() |> Seq.mapi (itemOf json) |> List.ofSeq)

    /// Reads each item of an array.
    let list (read: Json -> Result<'T, Error list>) (json: Json) : Result<'T list, Error list> =
        items json |> Result.bind (List.map read >> Error.collect)

    /// An array of finite numbers, of any length; of many mistakes the first ones are reported.
    let numbers (json: Json) : Result<float[], Error list> =
        asArray json
        |> Result.bind (fun element ->
            let values = Array.zeroCreate<float>(element.GetArrayLength())
            let mistakes = Collections.Generic.List<Error>()
            let mutable i = 0
            let mutable source = element.EnumerateArray()

            while mistakes.Count < mistakesAnArray && source.MoveNext() do
                let item = source.Current

                if
                    item.ValueKind = JsonValueKind.Number
                    && item.TryGetDouble(&values[i])
                    && Double.IsFinite values[i]
                then
                    ()
                else
                    match float (itemOf json i item) with
                    | Ok value -> values[i] <- value
                    | Result.Error errors -> mistakes.AddRange errors

                i <- i + 1

            if mistakes.Count = 0 then
                Ok values
            else
                Result.Error(List.ofSeq mistakes))

    /// An array of this many finite numbers.
    let floats (length: int) (json: Json) : Result<float[], Error list> =
        asArray json
        |> Result.bind (fun element ->
            if element.GetArrayLength() = length then
                numbers json
            else
                refuse ErrorKind.Shape "wrong length" $"an array of {length} numbers" json)

    /// An array of numbers for which a condition holds; of many mistakes the first ones are reported.
    let floatsWhere
        (expected: string)
        (condition: float -> bool)
        (length: int)
        (json: Json)
        : Result<float[], Error list> =
        floats length json
        |> Result.bind (fun values ->
            values
            |> Seq.indexed
            |> Seq.filter (fun (_, v) -> not (condition v))
            |> Seq.truncate mistakesAnArray
            |> Seq.map (fun (i, _) ->
                let item = itemOf json i json.Element[i]

                error ErrorKind.Value "the number is outside of what it may be" item
                |> Error.found (string item)
                |> Error.expected expected)
            |> List.ofSeq
            |> function
                | [] -> Ok values
                | errors -> Result.Error errors)

    /// The value as it would be written.
    let rec toValue (json: Json) : JsonValue =
        match json.Element.ValueKind with
        | JsonValueKind.Object ->
            [
                for p in json.Element.EnumerateObject() ->
                    p.Name, toValue (below json p.Name p.Value)
            ]
            |> JsonValue.Object
        | JsonValueKind.Array ->
            let values = json.Element.EnumerateArray() |> Seq.mapi (itemOf json) |> List.ofSeq

            if values |> List.forall (fun v -> v.Element.ValueKind = JsonValueKind.Number) then
                values |> Seq.map _.Element.GetDouble() |> Array.ofSeq |> JsonValue.Numbers
            else
                values |> List.map toValue |> JsonValue.List
        | JsonValueKind.String -> JsonValue.Text(json.Element.GetString())
        | JsonValueKind.Number ->
            match json.Element.TryGetInt64() with
            | true, whole -> JsonValue.Int whole
            | _ -> JsonValue.Number(json.Element.GetDouble())
        | JsonValueKind.True -> JsonValue.Bool true
        | JsonValueKind.False -> JsonValue.Bool false
        | _ -> JsonValue.Null
