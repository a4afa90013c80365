module FunLik.Tests.SupportTests

open System.IO
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

[<Fact>]
let ``the version has three numbers`` () =
    let parts = Version.current.Split('-', '+')[0]
    Assert.Equal(3, parts.Split('.').Length)

[<Fact>]
let ``a test skips exactly when a shared file that it needs is absent`` () =
    let law (NonEmptyString name) =
        let path = "absent/" + string (hash name)
        Support.shared path = None && (Support.whySkip [ path ] |> isNull |> not)

    Check.One(Config.QuickThrowOnFailure, law)
    Assert.Null(Support.whySkip [])

[<SharedFact("data/lhc-toy.json")>]
let ``the search's definition is readable`` () =
    Assert.NotEmpty(File.ReadAllText(Support.sharedFile "data/lhc-toy.json"))
