module FunLik.Tests.ErrorTests

open System
open FsCheck.FSharp
open FsCheck
open FunLik
open Xunit

let private unknown = Error.make ErrorKind.Name "the parameter is not known"

[<Fact>]
let ``an error reads as one line: where, what, found, expected, hint`` () =
    let error =
        unknown
        |> Error.withFile "toy.json"
        |> Error.at "$.fit.poi"
        |> Error.found "mew"
        |> Error.expected "mu or theta"
        |> Error.hint "Did you mean mu?"

    Assert.Equal(
        "toy.json, at $.fit.poi: the parameter is not known: found mew, expected mu or theta. \
         Did you mean mu?",
        Error.describe error
    )

[<Fact>]
let ``parts that are not given leave no trace`` () =
    Assert.Equal("the parameter is not known", Error.describe unknown)
    Assert.Equal("a.npy: the parameter is not known", unknown |> Error.withFile "a.npy" |> string)

    Assert.Equal(
        "$.x: the parameter is not known: expected mu",
        unknown |> Error.at "$.x" |> Error.expected "mu" |> string
    )

[<Fact>]
let ``long values are cut and lines never break`` () =
    let text = unknown |> Error.found (String('x', 1000) + "\nend") |> Error.describe
    Assert.EndsWith(": found " + String('x', 79) + "…", text)

    let emoji =
        unknown |> Error.found (String.replicate 100 "😀" + "x") |> Error.describe

    Assert.False(Char.IsHighSurrogate emoji[emoji.Length - 2])

    let law (message: NonNull<string>) (value: NonNull<string>) =
        let line =
            Error.make ErrorKind.Value message.Get
            |> Error.found value.Get
            |> Error.describe

        not (line.Contains '\n') && line.Length <= message.Get.Length + 8 + 80

    Check.One(Config.QuickThrowOnFailure, law)

[<Fact>]
let ``every kind has its own name`` () =
    let kinds =
        [
            ErrorKind.Usage
            ErrorKind.FileMissing
            ErrorKind.FileUnreadable
            ErrorKind.Syntax
            ErrorKind.Schema
            ErrorKind.Name
            ErrorKind.Shape
            ErrorKind.Value
            ErrorKind.Unsupported
            ErrorKind.Limit
            ErrorKind.Environment
        ]

    let names = kinds |> List.map Error.kindName
    Assert.Equal<string list>(names, List.distinct names)
    Assert.Equal("file-missing", Error.kindName ErrorKind.FileMissing)

[<Fact>]
let ``an exception tells every error on its own line`` () =
    let other = Error.make ErrorKind.Shape "too many rows"

    let thrown =
        Assert.Throws<FunLikException>(fun () ->
            Result.Error [ unknown; other ] |> Error.orRaise |> ignore)

    Assert.Equal("the parameter is not known\ntoo many rows", thrown.Message)
    Assert.Equal<Error list>([ unknown; other ], thrown.Errors)

[<Fact>]
let ``collect keeps all values or all errors, in order`` () =
    let law (items: Result<int, byte> list) =
        let name (code: byte) = Error.make ErrorKind.Value (string code)

        let results = items |> List.map (Result.mapError (fun code -> [ name code ]))

        let codes =
            items
            |> List.choose (function
                | Error code -> Some code
                | Ok _ -> None)

        match Error.collect results with
        | Ok values -> codes.IsEmpty && items = List.map Ok values
        | Error errors -> not codes.IsEmpty && errors = List.map name codes

    Check.One(Config.QuickThrowOnFailure, law)

[<Fact>]
let ``validation hears every check`` () =
    let a: Result<int, Error list> = Error.make ErrorKind.Value "a" |> Error.fail
    let c: Result<int, Error list> = Error.make ErrorKind.Value "c" |> Error.fail
    let sum x y z = x + y + z

    match Validation.map3 sum a (Ok 2) c with
    | Ok _ -> Assert.Fail "two of the three failed"
    | Error errors -> Assert.Equal<string list>([ "a"; "c" ], errors |> List.map string)

    Assert.Equal(Ok 3, Validation.map2 (+) (Ok 1) (Ok 2))
    Assert.Equal(Ok 6, Validation.map3 sum (Ok 1) (Ok 2) (Ok 3))
    Assert.Equal(Ok(), Validation.require true unknown)
    Assert.Equal(Result.Error [ unknown ], Validation.require false unknown)
