module FunLik.Tests.NpyTests

open System
open System.IO
open System.Runtime.InteropServices
open System.Text
open FsCheck
open FsCheck.FSharp
open FunLik
open Xunit

/// Runs a test in a folder of its own.
let private inFolder (test: string -> unit) : unit =
    let folder = Directory.CreateTempSubdirectory "funlik-npy-"

    try
        test folder.FullName
    finally
        folder.Delete true

let private bytesOf (values: 'T[]) : byte[] =
    MemoryMarshal.AsBytes(ReadOnlySpan<'T> values).ToArray()

/// A file of the given version, made from the format's definition.
let private fileOf (major: byte) (header: string) (data: byte[]) : byte[] =
    let text = Encoding.UTF8.GetBytes header

    let length =
        if major = 1uy then
            BitConverter.GetBytes(uint16 text.Length)
        else
            BitConverter.GetBytes(uint32 text.Length)

    Array.concat [ [| 0x93uy |]; "NUMPY"B; [| major; 0uy |]; length; text; data ]

let private headerOf (descr: string) (fortran: string) (shape: string) : string =
    $"{{'descr': {descr}, 'fortran_order': {fortran}, 'shape': {shape}, }}\n"

let private readBytes (content: byte[]) : Result<NpyArray, Error list> =
    let mutable result = Ok { Shape = []; Values = [||] }

    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.npy")
        File.WriteAllBytes(path, content)
        result <- Npy.readFloats path)

    result

let private same (a: float[]) (b: float[]) : bool = bytesOf a = bytesOf b

// What numpy 1.x and 2.x write for numpy.save("a.npy", numpy.array([[1.0, 2.0]])).
let private numpyFile: byte[] =
    let text = "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2), }"

    Array.concat
        [
            [| 0x93uy; 0x4Euy; 0x55uy; 0x4Duy; 0x50uy; 0x59uy; 1uy; 0uy; 0x76uy; 0uy |]
            Encoding.ASCII.GetBytes(text.PadRight 117 + "\n")
            [| 0uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0xF0uy; 0x3Fuy |]
            [| 0uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0uy; 0x40uy |]
        ]

[<Fact>]
let ``numpy's bytes are read, and are what is written`` () =
    let array = { Shape = [ 1; 2 ]; Values = [| 1.0; 2.0 |] }

    Assert.Equal(Ok array, readBytes numpyFile)

    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.npy")
        Assert.Equal(Ok(), Npy.writeFloats path array)
        Assert.Equal<byte[]>(numpyFile, File.ReadAllBytes path))

[<Fact>]
let ``each element type is read in each version`` () =
    let cases =
        [
            "'<f8'", bytesOf [| 1.5; -2.0; nan |], [| 1.5; -2.0; nan |]
            "'<f4'", bytesOf [| 1.5f; -2.0f; infinityf |], [| 1.5; -2.0; infinity |]
            "'<i8'", bytesOf [| 1L <<< 53; -7L; 0L |], [| 9007199254740992.0; -7.0; 0.0 |]
            "'<i4'", bytesOf [| Int32.MinValue; 7; 0 |], [| -2147483648.0; 7.0; 0.0 |]
            "'|u1'", [| 0uy; 1uy; 255uy |], [| 0.0; 1.0; 255.0 |]
            "'|b1'", [| 0uy; 1uy; 1uy |], [| 0.0; 1.0; 1.0 |]
        ]

    for descr, data, expected in cases do
        for major in [ 1uy; 2uy; 3uy ] do
            match readBytes (fileOf major (headerOf descr "False" "(3,)") data) with
            | Ok array ->
                Assert.Equal<int list>([ 3 ], array.Shape)
                Assert.True(same expected array.Values)
            | Error errors -> Assert.Fail $"{errors}"

[<Fact>]
let ``shapes may be empty, headers may be laid out in other ways`` () =
    let read (header: string) (values: float[]) =
        readBytes (fileOf 1uy header (bytesOf values)) |> Result.map _.Shape

    Assert.Equal(Ok [], read (headerOf "'<f8'" "False" "()") [| 3.0 |])
    Assert.Equal(Ok [ 0 ], read (headerOf "'<f8'" "False" "(0,)") [||])
    Assert.Equal(Ok [ 2; 0; 3 ], read (headerOf "'<f8'" "False" "(2, 0, 3)") [||])

    Assert.Equal(
        Ok [ 2 ],
        read "{\"shape\":(2L,),'fortran_order':False,'descr':'<f8'}" [| 1.; 2. |]
    )

[<Fact>]
let ``Fortran order is turned into C order`` () =
    let header = headerOf "'<f8'" "True" "(2, 3)"

    Assert.Equal(
        Ok { Shape = [ 2; 3 ]; Values = [| 1.0; 2.0; 3.0; 4.0; 5.0; 6.0 |] },
        readBytes (fileOf 1uy header (bytesOf [| 1.0; 4.0; 2.0; 5.0; 3.0; 6.0 |]))
    )

/// What is wrong, the file, the kind of error, and words that the message must have.
let private spoiled: (string * byte[] * ErrorKind * string list) list =
    let two = bytesOf [| 1.0; 2.0 |]
    let good = headerOf "'<f8'" "False" "(2,)"

    let withShape (shape: string) = fileOf 1uy (headerOf "'<f8'" "False" shape) two

    let withDescr (descr: string) = fileOf 1uy (headerOf descr "False" "(2,)") two

    let withOrder (order: string) = fileOf 1uy (headerOf "'<f8'" order "(2,)") two

    let withHeader (header: string) = fileOf 1uy header two

    let huge =
        Array.concat [ [| 0x93uy |]; "NUMPY"B; [| 2uy; 0uy; 255uy; 255uy; 255uy; 255uy |]; two ]

    [
        "nothing", [||], ErrorKind.Syntax, [ "byte 0"; "0 bytes" ]
        "three bytes", [| 0x93uy; 'N'B; 'U'B |], ErrorKind.Syntax, [ "byte 3"; "3 bytes" ]
        "no length", Array.truncate 9 numpyFile, ErrorKind.Syntax, [ "byte 9"; "9 bytes" ]
        "half a header", Array.truncate 50 numpyFile, ErrorKind.Syntax, [ "byte 10"; "50 bytes" ]
        "a zip", "PK\003\004 and so on"B, ErrorKind.Syntax, [ "byte 0"; "504B0304" ]
        "a pickle", [| 0x80uy; 4uy; 0x95uy |], ErrorKind.Syntax, [ "not a .npy file" ]
        "version 4", fileOf 4uy good two, ErrorKind.Unsupported, [ "byte 6"; "4.0" ]
        "huge header", huge, ErrorKind.Limit, [ "byte 8"; "4294967295" ]
        "text", withHeader "hello", ErrorKind.Syntax, [ "header"; "hello" ]
        "empty header", withHeader "", ErrorKind.Syntax, [ "header" ]
        "a list", withHeader "['descr']", ErrorKind.Syntax, [ "not a dictionary" ]
        "a call", withHeader "{'descr': exit(), 'a': 1}", ErrorKind.Schema, [ "unknown keys" ]
        "unclosed", withHeader "{'descr': '<f8', 'shape': (2,", ErrorKind.Syntax, [ "dictionary" ]
        "code", withHeader "{'descr': a.b}", ErrorKind.Syntax, [ "character 11" ]
        "tail", withHeader (good.TrimEnd() + " 1"), ErrorKind.Syntax, [ "not a dictionary" ]
        "no shape", withHeader "{'descr': '<f8'}", ErrorKind.Schema, [ "key shape is missing" ]
        "two", withHeader "{'shape': (2,), 'shape': (3,)}", ErrorKind.Schema, [ "stands twice" ]
        "extra", withHeader (good.Replace("}", "'x': 1}")), ErrorKind.Schema, [ "unknown"; "x" ]
        "big-endian", withDescr "'>f8'", ErrorKind.Unsupported, [ "big-endian"; "'>f8'"; "astype" ]
        "objects", withDescr "'|O'", ErrorKind.Unsupported, [ "never unpickled" ]
        "complex", withDescr "'<c16'", ErrorKind.Unsupported, [ "key descr"; "'<c16'" ]
        "fields", withDescr "[('a', '<f8'), ('b', '<f8')]", ErrorKind.Unsupported, [ "structured" ]
        "order 1", withOrder "1", ErrorKind.Schema, [ "key fortran_order"; "found 1" ]
        "order text", withOrder "'False'", ErrorKind.Schema, [ "True or False" ]
        "negative", withShape "(-2,)", ErrorKind.Value, [ "key shape"; "found -2" ]
        "letters", withShape "(x,)", ErrorKind.Schema, [ "not an integer"; "found x" ]
        "no tuple", withShape "2", ErrorKind.Schema, [ "not a tuple" ]
        "a group", withShape "(2)", ErrorKind.Schema, [ "not a tuple" ]
        "nested", withShape "((2,),)", ErrorKind.Schema, [ "key shape" ]
        "long", withShape "(99999999999999999999,)", ErrorKind.Limit, [ "too large" ]
        "overflow",
        withShape "(4294967296, 4294967296, 4294967296)",
        ErrorKind.Syntax,
        [ "found 16 bytes"; "expected 633825300114114700748351602688 bytes" ]
        "wraps to two", withShape "(9223372036854775807, 2)", ErrorKind.Syntax, [ "16 bytes" ]
        "axes", withShape ("(" + String.replicate 65 "1," + ")"), ErrorKind.Limit, [ "65" ]
        "short", withShape "(3,)", ErrorKind.Syntax, [ "found 16 bytes, expected 24 bytes" ]
        "long data", withShape "(1,)", ErrorKind.Syntax, [ "found 16 bytes, expected 8 bytes" ]
        "wide axis",
        fileOf 1uy (headerOf "'<f8'" "False" "(0, 4294967296)") [||],
        ErrorKind.Limit,
        [ "found 0 × 4294967296" ]
        "beyond doubles",
        fileOf 1uy (headerOf "'<i8'" "False" "(2,)") (bytesOf [| 1L; Int64.MaxValue |]),
        ErrorKind.Value,
        [ "element 1" ]
        "three axes of Fortran",
        fileOf 1uy (headerOf "'<f8'" "True" "(1, 2, 1)") two,
        ErrorKind.Unsupported,
        [ "fortran_order" ]
    ]

[<Fact>]
let ``spoiled files are refused, with the file and the place`` () =
    for name, content, kind, words in spoiled do
        match readBytes content with
        | Ok array -> Assert.Fail $"{name} was read as {array}"
        | Error errors ->
            let text = errors |> List.map Error.describe |> String.concat "\n"
            Assert.All(errors, (fun error -> Assert.EndsWith("a.npy", error.File.Value)))
            Assert.True(errors |> List.exists (fun error -> error.Kind = kind), $"{name}: {text}")
            Assert.All(words, (fun word -> Assert.Contains(word, text)))

[<Fact>]
let ``all mistakes of a header are told at once`` () =
    match readBytes (fileOf 1uy (headerOf "'|O'" "0" "(-1,)") [||]) with
    | Ok _ -> Assert.Fail "three mistakes"
    | Error errors -> Assert.Equal(3, errors.Length)

[<Fact>]
let ``no change of one byte of a header breaks the reader`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.npy")

        for place in 0..79 do
            for value in [ 0uy; 1uy; '9'B; '('B; '\''B; '{'B; ' 'B; 255uy ] do
                let content = Array.copy numpyFile
                content[place] <- value
                File.WriteAllBytes(path, content)

                match Npy.readFloats path with
                | Ok array -> Assert.Equal(2, array.Values.Length)
                | Error errors -> Assert.NotEmpty errors)

[<Fact>]
let ``arrays come back bit for bit`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.npy")

        let law (sizes: PositiveInt list) (seed: int) =
            let shape = sizes |> List.truncate 4 |> List.map (fun size -> size.Get % 7)
            let values = Key.ofSeed seed |> Key.normals (List.fold (*) 1 shape)
            let singles = values |> Array.map (float32 >> float)
            let array = { Shape = shape; Values = values }

            Npy.writeFloats path array = Ok()
            && (FileInfo path).Length % 64L = int64 (8 * values.Length) % 64L
            && Npy.readFloats path = Ok array
            && Npy.writeSingles path array = Ok()
            && Npy.readFloats path = Ok { array with Values = singles }

        Check.One(Config.QuickThrowOnFailure, law)
        let special = [| nan; -0.0; Double.Epsilon; -infinity |]
        Npy.writeFloats path { Shape = [ 4 ]; Values = special } |> Error.orRaise
        Assert.True(same special (Error.orRaise (Npy.readFloats path)).Values))

[<Fact>]
let ``mapped rows are the rows that are read`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.npy")

        let law (PositiveInt rows) (PositiveInt columns) (single: bool) (a: int) (b: int) =
            let values = Key.ofSeed a |> Key.normals (rows * columns)
            let write = if single then Npy.writeSingles else Npy.writeFloats

            write path { Shape = [ rows; columns ]; Values = values } |> Error.orRaise

            let all = (Npy.readFloats path |> Error.orRaise).Values
            use mapped = Npy.openRows path |> Error.orRaise
            let first = abs (a % rows)
            let count = abs (b % (rows - first + 1))
            let part = Array.create (count * columns + 1) 7.0
            mapped.ReadRows(int64 first, count, part.AsSpan())

            (mapped.Rows, mapped.Columns) = (int64 rows, columns)
            && part = Array.append all[first * columns .. (first + count) * columns - 1] [| 7.0 |]
            && (single || Marshal.PtrToStructure<float> mapped.Pointer = all[0])

        Check.One(Config.QuickThrowOnFailure, law))

[<Fact>]
let ``mapped rows know their ends`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.npy")

        Npy.writeFloats path { Shape = [ 3; 2; 2 ]; Values = Array.init 12 float }
        |> Error.orRaise

        let rows = Npy.openRows path |> Error.orRaise
        let room = Array.zeroCreate<float> 12
        Assert.Equal(4, rows.Columns)
        rows.ReadRows(3L, 0, Span<float>())

        for first, count in [ -1L, 1; 0L, 4; 3L, 1; 0L, -1; Int64.MaxValue, 1 ] do
            Assert.Throws<ArgumentOutOfRangeException>(fun () ->
                rows.ReadRows(first, count, room.AsSpan()))
            |> ignore

        Assert.Throws<ArgumentException>(fun () -> rows.ReadRows(0L, 3, room.AsSpan 1))
        |> ignore

        (rows :> IDisposable).Dispose()
        (rows :> IDisposable).Dispose()

        Assert.Throws<ObjectDisposedException>(fun () -> rows.ReadRows(0L, 1, room.AsSpan()))
        |> ignore)

[<Fact>]
let ``what cannot be mapped is refused`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.npy")

        let refused (descr: string) (order: string) (shape: string) (data: byte[]) =
            File.WriteAllBytes(path, fileOf 1uy (headerOf descr order shape) data)

            match Npy.openRows path with
            | Ok rows ->
                (rows :> IDisposable).Dispose()
                None
            | Error errors -> Some errors.Head.Kind

        let values = bytesOf [| 1.0; 2.0 |]
        Assert.Equal(Some ErrorKind.Unsupported, refused "'<i8'" "False" "(2,)" values)
        Assert.Equal(Some ErrorKind.Unsupported, refused "'<f8'" "True" "(1, 2)" values)
        Assert.Equal(Some ErrorKind.Shape, refused "'<f8'" "False" "()" (Array.truncate 8 values))
        Assert.Equal(Some ErrorKind.Limit, refused "'<f8'" "False" "(0, 4294967296)" [||])
        Assert.Equal(Some ErrorKind.Syntax, refused "'<f8'" "False" "(3,)" values)
        Assert.Equal(None, refused "'<f8'" "False" "(0, 2)" [||])
        Assert.Equal(None, refused "'<f8'" "True" "(2,)" values))

[<Fact>]
let ``rows written in blocks are the array written at once`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.npy")
        let values = Key.ofSeed 1 |> Key.normals 60

        let both (whole: Result<unit, Error list>) (blocks: unit -> Result<int64, Error list>) =
            Error.orRaise whole
            let expected = File.ReadAllBytes path
            Assert.Equal(Ok 20L, blocks ())
            Assert.Equal<byte[]>(expected, File.ReadAllBytes path)

        for size in [ 3; 9; 60 ] do
            let blocks = values |> Seq.chunkBySize size
            let array = { Shape = [ 20; 3 ]; Values = values }
            both (Npy.writeFloats path array) (fun () -> Npy.writeRows path 3 blocks)
            both (Npy.writeSingles path array) (fun () -> Npy.writeRowSingles path 3 blocks)

        Assert.Equal(Ok 0L, Npy.writeRows path 3 [])
        Assert.Equal(Ok { Shape = [ 0; 3 ]; Values = [||] }, Npy.readFloats path))

[<Fact>]
let ``a write that fails leaves the old file and nothing else`` () =
    inFolder (fun folder ->
        let path = Path.Combine(folder, "a.npy")
        let old = { Shape = [ 1 ]; Values = [| 1.0 |] }
        Npy.writeFloats path old |> Error.orRaise

        let untouched () =
            Assert.Equal(Ok old, Npy.readFloats path)
            Assert.Equal<string[]>([| path |], Directory.GetFileSystemEntries folder)

        let blocks =
            seq {
                yield [| 1.0; 2.0 |]
                yield [| 3.0 |]
            }

        match Npy.writeRows path 2 blocks with
        | Ok _ -> Assert.Fail "half a row"
        | Error errors -> Assert.Contains("block 1", Error.describe errors.Head)

        untouched ()

        Assert.Throws<InvalidOperationException>(fun () ->
            let blocks: seq<float[]> =
                Seq.initInfinite (fun _ -> raise (InvalidOperationException()))

            Npy.writeRows path 2 blocks |> ignore)
        |> ignore

        untouched ()

        let refused =
            Error.make ErrorKind.Value "no" |> Error.fail: Result<unit, Error list>

        Assert.Equal(refused, AtomicFile.write path (fun _ -> refused))
        untouched ()
        Assert.True((Npy.writeRows path 0 []).IsError)
        Assert.True((Npy.writeFloats path { old with Shape = [ 2 ] }).IsError)
        Assert.True((Npy.writeFloats path { old with Shape = [ -1; -1 ] }).IsError)
        untouched ()
        AtomicFile.writeText path "µ" |> Error.orRaise
        Assert.Equal<byte[]>([| 0xC2uy; 0xB5uy |], File.ReadAllBytes path))

[<Fact>]
let ``files and folders that are not there are told apart from bad paths`` () =
    inFolder (fun folder ->
        let kind (result: Result<'T, Error list>) =
            match result with
            | Ok _ -> None
            | Error errors -> Some errors.Head.Kind

        let missing = Path.Combine(folder, "missing")
        Assert.Equal(Some ErrorKind.FileMissing, kind (Npy.readFloats missing))
        Assert.Equal(Some ErrorKind.FileMissing, kind (Npy.openRows missing))
        let inMissing = Path.Combine(missing, "a.txt")
        Assert.Equal(Some ErrorKind.FileMissing, kind (AtomicFile.writeText inMissing ""))
        Assert.Equal(Some ErrorKind.FileUnreadable, kind (Npy.readHeader folder))
        Assert.Equal(Some ErrorKind.FileUnreadable, kind (AtomicFile.writeText folder ""))

        for path in [ ""; " "; null; "a\000b" ] do
            Assert.Equal(Some ErrorKind.Usage, kind (Npy.readFloats path)))
