module FunLik.Tests.JsonTests

open System
open System.IO
open System.Text
open FsCheck
open FsCheck.FSharp
open FunLik
open Xunit

let private read (text: string) : Json = Json.parse text |> Error.orRaise

let private mistakes (result: Result<'T, Error list>) : Error list =
    match result with
    | Ok value -> failwith $"no mistake was found, and the value is {value}"
    | Result.Error errors -> errors

let private mistake (result: Result<'T, Error list>) : Error = mistakes result |> List.exactlyOne

let private inFile (content: byte[]) (test: string -> unit) : unit =
    let path = Path.GetTempFileName()

    try
        File.WriteAllBytes(path, content)
        test path
    finally
        File.Delete path

[<Fact>]
let ``values are read where they stand`` () =
    let json =
        read """{ "shape": { "isr": { "up": [1, 2.5, -3e-2] } }, "name": "toy", "on": true }"""

    Assert.Equal("toy", json |> Json.field "name" Json.text |> Error.orRaise)
    Assert.True(json |> Json.field "on" Json.bool |> Error.orRaise)

    let up =
        json
        |> Json.field "shape" (Json.field "isr" (Json.property "up"))
        |> Error.orRaise

    Assert.Equal("$.shape.isr.up", up.Path)
    Assert.Equal<float[]>([| 1.0; 2.5; -0.03 |], Json.floats 3 up |> Error.orRaise)
    let items = Json.items up |> Error.orRaise
    Assert.Equal("$.shape.isr.up[2]", items[2].Path)
    Assert.Equal(None, json |> Json.optionalField "absent" Json.text |> Error.orRaise)
    Assert.Equal(None, read """{"a": null}""" |> Json.optionalField "a" Json.text |> Error.orRaise)
    Assert.Equal(3, read "3.0" |> Json.int |> Error.orRaise)
    Assert.Equal(2, read "\"b\"" |> Json.oneOf [ "a", 1; "b", 2 ] |> Error.orRaise)

[<Fact>]
let ``names that are no words are quoted in paths`` () =
    let inside =
        read """{ "a b": { "": [7] } }""" |> Json.field "a b" (Json.property "")

    Assert.Equal("$['a b']['']", (Error.orRaise inside).Path)

[<Fact>]
let ``errors have the place, what was found and what was expected`` () =
    let json = read """{ "a": [1, "two", {}, null, true], "b": 1.5, "c": "x" }"""
    let error = json |> Json.field "a" (Json.floats 4) |> mistake

    Assert.Equal(
        "$.a: wrong length: found an array of 5, expected an array of 4 numbers",
        string error
    )

    let items = json |> Json.field "a" (Json.floats 5) |> mistakes
    Assert.Equal<string list>([ "$.a[1]"; "$.a[2]"; "$.a[3]" ], items |> List.map _.Path.Value)
    Assert.Equal("$.a[1]: wrong type: found \"two\", expected a number", string items.Head)

    let error = json |> Json.field "b" Json.int |> mistake
    Assert.Equal("$.b: not an integer of 32 bits: found 1.5, expected an integer", string error)

    let error = json |> Json.field "c" (Json.oneOf [ "y", 0; "z", 1 ]) |> mistake
    Assert.Equal("$.c: the value is not known: found \"x\", expected y, z", string error)

    let error = json |> Json.property "d" |> mistake
    Assert.Equal("$: the key 'd' is missing", string error)

    let error = json |> Json.onlyKeys [ "a"; "b" ] |> mistake
    Assert.Equal("$.c: the key is not known: found c, expected a, b", string error)

    let error = json |> Json.field "b" Json.entries |> mistake
    Assert.Equal("$.b: wrong type: found 1.5, expected an object", string error)

    let value = json |> Json.field "a" (Json.floatsWhere "a number" (fun _ -> false) 5)
    Assert.Equal(3, (mistakes value).Length)

[<Fact>]
let ``each text that is not clean JSON is refused with its place`` () =
    let deep = String('[', 100_000) + String(']', 100_000)

    let spoiled =
        [
            "", ErrorKind.Syntax
            " ", ErrorKind.Syntax
            "{", ErrorKind.Syntax
            "{\"a\": [1, 2", ErrorKind.Syntax
            "{\"a\": \"text", ErrorKind.Syntax
            "{\"a\": 1,}", ErrorKind.Syntax
            "{\"a\": NaN}", ErrorKind.Syntax
            "{\"a\": Infinity}", ErrorKind.Syntax
            "{\"a\": -Infinity}", ErrorKind.Syntax
            "{'a': 1}", ErrorKind.Syntax
            "{a: 1}", ErrorKind.Syntax
            "{\"a\": 01}", ErrorKind.Syntax
            "{\"a\": +1}", ErrorKind.Syntax
            "{\"a\": .5}", ErrorKind.Syntax
            "{\"a\": 0x10}", ErrorKind.Syntax
            "{\"a\": 1} {\"b\": 2}", ErrorKind.Syntax
            "// comment\n{}", ErrorKind.Syntax
            "{\"a\": 1 /* comment */}", ErrorKind.Syntax
            "{\"a\": \"line\nend\"}", ErrorKind.Syntax
            "{\"a\": \"\\ud800\"}", ErrorKind.Syntax
            "{\"\\ud800\": 1}", ErrorKind.Syntax
            "{\"a\": \"\\x\"}", ErrorKind.Syntax
            "nul", ErrorKind.Syntax
            "{\"a\": 1, \"a\": 2}", ErrorKind.Schema
            "[[{\"a\": 1, \"\\u0061\": 2}]]", ErrorKind.Schema
            deep, ErrorKind.Limit
            String.replicate 100_000 "{\"a\":", ErrorKind.Limit
        ]

    for text, kind in spoiled do
        inFile (Encoding.UTF8.GetBytes text) (fun path ->
            for error in Json.parseFile path |> mistakes do
                Assert.Equal(kind, error.Kind)
                Assert.Equal(Some path, error.File)
                Assert.True(error.Path.IsSome || text = "", $"no place for {text}")
                Assert.DoesNotContain("LineNumber", error.Message))

[<Fact>]
let ``doubled keys are told by their path`` () =
    let errors =
        Json.parse """{ "a": [ {}, { "b": 1, "c": 2, "b": 3, "c": 4 } ] }""" |> mistakes

    Assert.Equal<string list>([ "$.a[1].b"; "$.a[1].c" ], errors |> List.map _.Path.Value)

[<Fact>]
let ``places in spoiled text are line and byte`` () =
    let error = Json.parse "{\n  \"a\": x\n}" |> mistake
    Assert.Equal(Some "line 2, byte 8", error.Path)
    Assert.Equal("not JSON: 'x' is an invalid start of a value", error.Message)

[<Fact>]
let ``numbers beyond doubles are refused where they are read`` () =
    let error =
        read """{ "a": [1, 1e999] }""" |> Json.field "a" (Json.floats 2) |> mistake

    Assert.Equal("$.a[1]: the number is too large: found 1e999, expected a double", string error)
    Assert.True(read "-1e999" |> Json.float |> Result.isError)
    Assert.True(read "1e300" |> Json.int |> Result.isError)
    Assert.Equal(0.0, read "1e-999" |> Json.float |> Error.orRaise)

[<Fact>]
let ``bytes that are not UTF-8 are refused, and a byte order mark is read over`` () =
    let utf16 = Encoding.Unicode

    let spoiled =
        [
            [| 0x93uy; 0x4Euy; 0x55uy |]
            [| 0x7Buy; 0x22uy; 0xFFuy; 0x22uy; 0x7Duy |]
            Array.append (utf16.GetPreamble()) (utf16.GetBytes "{}")
            utf16.GetBytes "{}"
            Array.zeroCreate 100
            Key.words 1000 (Key.ofSeed 1) |> Array.map byte
        ]

    for content in spoiled do
        inFile content (fun path ->
            let error = Json.parseFile path |> mistake
            Assert.Equal(ErrorKind.Syntax, error.Kind)
            Assert.Equal(Some path, error.File))

    let marked =
        Array.append (Encoding.UTF8.GetPreamble()) (Encoding.UTF8.GetBytes "[1]")

    inFile marked (fun path ->
        let values = Json.parseFile path |> Result.bind (Json.floats 1)
        Assert.Equal<float[]>([| 1.0 |], Error.orRaise values))

[<Fact>]
let ``missing, large and odd files are refused by name`` () =
    let folder = Path.GetTempPath()
    Assert.Equal(ErrorKind.FileUnreadable, (Json.parseFile folder |> mistake).Kind)
    Assert.Equal("a folder, and not a file", (Json.parseFile folder |> mistake).Message)
    let absent = Path.Combine(folder, "absent", "model.json")
    Assert.Equal(ErrorKind.FileMissing, (Json.parseFile absent |> mistake).Kind)
    Assert.Equal(ErrorKind.Usage, (Json.parseFile "" |> mistake).Kind)

    inFile (Array.create 1001 32uy) (fun path ->
        let error = Json.readBytes 1000L path |> mistake
        Assert.Equal(ErrorKind.Limit, error.Kind)
        Assert.Equal(Some "at most 1000 bytes", error.Expected)
        Assert.Equal(1001, (Json.readBytes 1001L path |> Error.orRaise).Length))

// ---- Writing

[<Fact>]
let ``values are written on one line or on several`` () =
    let value =
        JsonValue.Object
            [
                "name", JsonValue.Text "μ \"quoted\" <1+2>"
                "values", JsonValue.Numbers [| 1.0; 0.1; -0.0; 1e300; nan; infinity |]
                "count", JsonValue.Int 3L
                "flags",
                JsonValue.List [ JsonValue.Bool true; JsonValue.Null; JsonValue.Number 2.5 ]
                "none", JsonValue.ofOption JsonValue.Text None
            ]

    Assert.Equal(
        """{"name":"μ \"quoted\" <1+2>","values":[1, 0.1, -0, 1E+300, null, null],"count":3,"flags":[true,null,2.5],"none":null}""",
        JsonValue.toLine value
    )

    Assert.Equal(
        "{\n  \"values\": [1, 2],\n  \"names\": [\n    \"a\",\n    \"b\"\n  ]\n}\n",
        JsonValue.Object
            [
                "values", JsonValue.Numbers [| 1.0; 2.0 |]
                "names", JsonValue.ofTexts [ "a"; "b" ]
            ]
        |> JsonValue.toLines
    )

[<Fact>]
let ``numbers read back as the same bits`` () =
    let law (bits: uint64) =
        let value = BitConverter.UInt64BitsToDouble bits

        let text =
            JsonValue.toLine (
                JsonValue.List [ JsonValue.Number value; JsonValue.Numbers [| value |] ]
            )

        if Double.IsFinite value then
            let items = read text |> Json.items |> Error.orRaise
            let one = Json.float items[0] |> Error.orRaise
            let other = (Json.floats 1 items[1] |> Error.orRaise)[0]

            BitConverter.DoubleToUInt64Bits one = bits
            && BitConverter.DoubleToUInt64Bits other = bits
        else
            text = "[null,[null]]"

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 2000, law)

    for special in [ -0.0; Double.Epsilon; Double.MaxValue; 0.1 + 0.2; nan; -infinity ] do
        Assert.True(law (BitConverter.DoubleToUInt64Bits special))

[<Fact>]
let ``texts read back as they were`` () =
    let law (NonNull text) =
        let valid = Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text: string))
        let written = JsonValue.toLine (JsonValue.Object [ valid, JsonValue.Text valid ])
        read written |> Json.field valid Json.text |> Error.orRaise = valid

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 500, law)

[<Fact>]
let ``a file is written whole`` () =
    inFile [||] (fun path ->
        JsonValue.writeFile path (JsonValue.Numbers [| 1.0; 2.0 |]) |> Error.orRaise
        Assert.Equal("[1, 2]\n", File.ReadAllText path))

    let nowhere = Path.Combine(Path.GetTempPath(), "absent", "file.json")

    Assert.Equal(
        ErrorKind.FileMissing,
        (JsonValue.writeFile nowhere JsonValue.Null |> mistake).Kind
    )
