namespace FunLik

open System
open System.Globalization
open System.IO
open System.Text
open System.Text.Encodings.Web
open System.Text.Json

/// A JSON text to be written, as a value. Numbers are written with as few digits as read back the same bits; those that are not
/// finite, which JSON cannot say, as null.
[<RequireQualifiedAccess>]
type JsonValue =
    | Null
    | Bool of bool
    | Int of int64
    | Number of float
    | Text of string
    /// Numbers in one line.
    | Numbers of float[]
    | List of JsonValue list
    /// Keys and values in the order in which they are written.
    | Object of (string * JsonValue) list

/// Writing JSON: the same value gives the same bytes everywhere.
[<RequireQualifiedAccess>]
module JsonValue =

    /// A number as JSON writes it: the fewest digits that read back the same bits; null where it is not finite.
    let formatNumber (value: float) : string =
        if Double.IsFinite value then
            value.ToString("R", CultureInfo.InvariantCulture)
        else
            "null"

    /// A value that may be missing; null where it is.
    let ofOption (make: 'T -> JsonValue) (value: 'T option) : JsonValue =
        value |> Option.map make |> Option.defaultValue JsonValue.Null

    /// A list of texts.
    let ofTexts (texts: seq<string>) : JsonValue =
        texts |> Seq.map JsonValue.Text |> List.ofSeq |> JsonValue.List

    let rec private put (writer: Utf8JsonWriter) (value: JsonValue) : unit =
        match value with
        | JsonValue.Null -> writer.WriteNullValue()
        | JsonValue.Bool b -> writer.WriteBooleanValue b
        | JsonValue.Int i -> writer.WriteNumberValue i
        | JsonValue.Number v -> writer.WriteRawValue(formatNumber v, true)
        | JsonValue.Text null -> writer.WriteNullValue()
        | JsonValue.Text text -> writer.WriteStringValue text
        | JsonValue.Numbers values ->
            let line = String.Join(", ", values |> Array.map formatNumber)
            writer.WriteRawValue($"[{line}]", true)
        | JsonValue.List items ->
            writer.WriteStartArray()
            items |> List.iter (put writer)
            writer.WriteEndArray()
        | JsonValue.Object entries ->
            writer.WriteStartObject()

            for key, item in entries do
                writer.WritePropertyName key
                put writer item

            writer.WriteEndObject()

    let private write (indented: bool) (stream: Stream) (value: JsonValue) : unit =
        let options =
            JsonWriterOptions(
                Indented = indented,
                NewLine = "\n",
                Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping
            )

        use writer = new Utf8JsonWriter(stream, options)
        put writer value

    let private toText (indented: bool) (value: JsonValue) : string =
        use stream = new MemoryStream()
        write indented stream value
        Encoding.UTF8.GetString(stream.GetBuffer(), 0, int stream.Length)

    /// Writes the value on one line of a stream, with a line end.
    let writeLine (stream: Stream) (value: JsonValue) : unit =
        write false stream value
        stream.WriteByte 10uy

    /// On one line, without a line end: for machines.
    let toLine (value: JsonValue) : string = toText false value

    /// Indented, with a line end: for files that people read.
    let toLines (value: JsonValue) : string = toText true value + "\n"

    /// Writes the indented text to a file, whole or not at all.
    let writeFile (path: string) (value: JsonValue) : Result<unit, Error list> =
        AtomicFile.write path (fun stream ->
            write true stream value
            stream.WriteByte 10uy
            Ok())
