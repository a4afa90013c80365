module FunLik.Tests.PatchTests

open System.IO
open System.Text.Json.Nodes
open FsCheck
open FsCheck.FSharp
open FunLik
open Xunit

let private json (text: string) : Json = Json.parse text |> Error.orRaise

let private apply (document: string) (patch: string) : Result<string, Error list> =
    JsonPatch.operations (json patch)
    |> Result.bind (fun operations -> JsonPatch.apply operations (json document))

let private same (a: string) (b: string) : bool =
    JsonNode.DeepEquals(JsonNode.Parse a, JsonNode.Parse b)

/// The examples of RFC 6902, appendix A, and some of RFC 6901: document, patch, result.
[<Theory>]
[<InlineData("""{"foo": "bar"}""",
             """[{"op": "add", "path": "/baz", "value": "qux"}]""",
             """{"baz": "qux", "foo": "bar"}""")>]
[<InlineData("""{"foo": ["bar", "baz"]}""",
             """[{"op": "add", "path": "/foo/1", "value": "qux"}]""",
             """{"foo": ["bar", "qux", "baz"]}""")>]
[<InlineData("""{"baz": "qux", "foo": "bar"}""",
             """[{"op": "remove", "path": "/baz"}]""",
             """{"foo": "bar"}""")>]
[<InlineData("""{"foo": ["bar", "qux", "baz"]}""",
             """[{"op": "remove", "path": "/foo/1"}]""",
             """{"foo": ["bar", "baz"]}""")>]
[<InlineData("""{"baz": "qux", "foo": "bar"}""",
             """[{"op": "replace", "path": "/baz", "value": "boo"}]""",
             """{"baz": "boo", "foo": "bar"}""")>]
[<InlineData("""{"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}""",
             """[{"op": "move", "from": "/foo/waldo", "path": "/qux/thud"}]""",
             """{"foo": {"bar": "baz"}, "qux": {"corge": "grault", "thud": "fred"}}""")>]
[<InlineData("""{"foo": ["all", "grass", "cows", "eat"]}""",
             """[{"op": "move", "from": "/foo/1", "path": "/foo/3"}]""",
             """{"foo": ["all", "cows", "eat", "grass"]}""")>]
[<InlineData("""{"baz": "qux", "foo": ["a", 2, "c"]}""",
             """[{"op": "test", "path": "/baz", "value": "qux"}, {"op": "test", "path": "/foo/1", "value": 2}]""",
             """{"baz": "qux", "foo": ["a", 2, "c"]}""")>]
[<InlineData("""{"foo": "bar"}""",
             """[{"op": "add", "path": "/child", "value": {"grandchild": {}}}]""",
             """{"foo": "bar", "child": {"grandchild": {}}}""")>]
[<InlineData("""{"foo": "bar"}""",
             """[{"op": "add", "path": "/baz", "value": "qux", "xyz": 123}]""",
             """{"foo": "bar", "baz": "qux"}""")>]
[<InlineData("""{"/": 9, "~1": 10}""",
             """[{"op": "test", "path": "/~01", "value": 10}]""",
             """{"/": 9, "~1": 10}""")>]
[<InlineData("""{"foo": ["bar"]}""",
             """[{"op": "add", "path": "/foo/-", "value": ["abc", "def"]}]""",
             """{"foo": ["bar", ["abc", "def"]]}""")>]
[<InlineData("""{"a/b": 1, "m~n": 8}""",
             """[{"op": "replace", "path": "/a~1b", "value": null}, {"op": "remove", "path": "/m~0n"}]""",
             """{"a/b": null}""")>]
[<InlineData("""{"a": [1, 2]}""",
             """[{"op": "copy", "from": "/a", "path": "/b"}, {"op": "remove", "path": "/a/0"}]""",
             """{"a": [2], "b": [1, 2]}""")>]
[<InlineData("""{"a": 1}""", """[{"op": "replace", "path": "", "value": [7]}]""", """[7]""")>]
let ``patches do what the RFC says`` (document: string, patch: string, expected: string) =
    let found = apply document patch |> Error.orRaise
    Assert.True(same expected found, found)

/// Document, patch, place of the mistake in the patch.
[<Theory>]
[<InlineData("""{"foo": "bar"}""", """[{"op": "test", "path": "/foo", "value": "baz"}]""", "$[0]")>]
[<InlineData("""{"foo": "bar"}""", """[{"op": "add", "path": "/baz/bat", "value": "qux"}]""", "$[0]")>]
[<InlineData("""{"foo": ["bar"]}""", """[{"op": "add", "path": "/foo/3", "value": 1}]""", "$[0]")>]
[<InlineData("""{"foo": ["bar"]}""", """[{"op": "remove", "path": "/foo/1"}]""", "$[0]")>]
[<InlineData("""{"foo": ["bar"]}""", """[{"op": "remove", "path": "/foo/00"}]""", "$[0]")>]
[<InlineData("""{"foo": ["bar"]}""", """[{"op": "remove", "path": "/foo/-"}]""", "$[0]")>]
[<InlineData("""{"foo": 1}""",
             """[{"op": "remove", "path": "/foo"}, {"op": "replace", "path": "/foo", "value": 2}]""",
             "$[1]")>]
[<InlineData("""{"foo": {"a": 1}}""",
             """[{"op": "move", "from": "/foo", "path": "/foo/b"}]""",
             "$[0]")>]
[<InlineData("""{"foo": 1}""", """[{"op": "add", "path": "foo", "value": 2}]""", "$[0].path")>]
[<InlineData("""{"foo": 1}""", """[{"op": "add", "path": "/a~2", "value": 2}]""", "$[0].path")>]
[<InlineData("""{"foo": 1}""", """[{"op": "merge", "path": "/foo", "value": 2}]""", "$[0].op")>]
[<InlineData("""{"foo": 1}""", """[{"op": "add", "path": "/bar"}]""", "$[0]")>]
[<InlineData("""{"foo": 1}""", """[{"op": "copy", "path": "/bar"}]""", "$[0]")>]
[<InlineData("""{"foo": 1}""", """{"op": "remove", "path": "/foo"}""", "$")>]
let ``patches that do not fit say which operation``
    (document: string, patch: string, place: string)
    =
    match apply document patch with
    | Ok text -> failwith text
    | Result.Error errors ->
        Assert.Equal<string option list>([ Some place ], errors |> List.map _.Path)

/// Each copy doubles the document, or nests it deeper: both end with a message before memory or the stack does.
[<Fact>]
let ``patches that grow without end are refused`` () =
    let many (operation: string) : string =
        let operations = Seq.replicate 90 operation |> String.concat ", "
        $"[{operations}]"

    for patch, word in
        [
            many """{"op": "copy", "from": "/a", "path": "/a/-"}""", "copies too much"
            many """{"op": "copy", "from": "/a/0", "path": "/a/0/b"}""", "nested too deep"
            """[{"op": "add", "path": "", "value": """
            + String.replicate 62 "["
            + String.replicate 62 "]"
            + "}, "
            + """{"op": "copy", "from": "/0", "path": "/0/0/0/-"}]""",
            "nested too deep"
        ] do
        match apply """{"a": [{"x": 1}, 2, 3]}""" patch with
        | Ok text -> failwith $"{text.Length} characters"
        | Result.Error errors -> Assert.Contains(word, errors.Head.Message)

    // A large value, copied again and again beside itself.
    let large = Seq.init 100_000 string |> String.concat ", "

    match
        apply
            $"""{{"a": [{large}], "b": []}}"""
            (many """{"op": "copy", "from": "/a", "path": "/b/-"}""")
    with
    | Ok text -> failwith $"{text.Length} characters"
    | Result.Error errors -> Assert.Contains("copies too much", errors.Head.Message)

/// What is added can be taken away again, wherever it was put.
[<Fact>]
let ``removing what was added restores the document`` () =
    let law (values: int list) (place: NonNegativeInt) : bool =
        let index = place.Get % (values.Length + 1)
        let items = values |> List.map string |> String.concat ", "
        let document = $"""{{"a": [{items}]}}"""

        let patch =
            $"""[{{"op": "add", "path": "/a/{index}", "value": {{"b": 1}}}}, {{"op": "remove", "path": "/a/{index}"}}]"""

        same document (apply document patch |> Error.orRaise)

    Check.One(Config.QuickThrowOnFailure, law)

/// Every sort of number and text of which digests depend on the writing.
let private document =
    """{"z": [1, -0, 1.0, 1e5, 0.1, 1E-5, 0.0001, 123456789012345680.0, 1e16, 9007199254740993, 123456789012345678901234567890, 1.5e-7, -2.50, 1e22, 5e-324, 1.7976931348623157e308, 0.0, -0.0, 12345678.9, 999999999999999.9, 1e15],
 "a": {"\u00e9": "\u00fc \"quoted\" back\\slash\n\t\u0001 \ud83d\ude00 /", "\uffff": null, "\ud83d\ude00": true, "": false}, "e": {}, "l": []}"""

/// Computed with Python 3.11: hashlib over json.dumps(document, sort_keys=True, ensure_ascii=False), which is what pyhf does.
[<Theory>]
[<InlineData("md5", "dca7e877eb18efdfb26cd79d8e1ed46f")>]
[<InlineData("sha1", "6c6565b23f2721485b013d156202dee08aade946")>]
[<InlineData("sha256", "8d8ba581d5a43b7bf55666d78483c2af974ac8e37d7ed66b558976212d999deb")>]
[<InlineData("sha384",
             "80159a811af841fda2ce400523c4004c5ccc20d6968ab5534ecdb98cdb7cc055d3c125c00e5427679c3f880c375b1243")>]
[<InlineData("sha512",
             "80b5b3f204045a61b4d4afd374f225eda6133839cd811158fc58ed6ec22daafbff2fb2c9265206296d861c9419f091d9fdd301189dd1f50eb64b9c709706c5b4")>]
let ``digests are those of pyhf`` (algorithm: string, expected: string) =
    Assert.Equal(Some expected, PatchSet.digest algorithm (json document))

[<SharedFact("data/sbottom")>]
let ``the digest of a published workspace is that of pyhf`` () =
    let workspace =
        Json.parseFile (Support.sharedFile "data/sbottom/RegionA_BkgOnly.json")
        |> Error.orRaise

    Assert.Equal(
        Some "516fa21b09fd7aecb09116e8906f8259f151aa41b8763eefd9e5548bb7c82a58",
        PatchSet.digest "sha256" workspace
    )

// ---- Patch sets with a workspace, as files

let private workspace =
    """{"channels": [{"name": "SR", "samples": [{"name": "b", "data": [5.0, 6.0], "modifiers": [{"name": "k", "type": "normfactor", "data": null}]}]}],
        "observations": [{"name": "SR", "data": [6, 5]}],
        "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}], "version": "1.0.0"}"""

let private signal =
    """[{"op": "add", "path": "/channels/0/samples/-", "value": {"name": "s", "data": [1.0, 2.0], "modifiers": [{"name": "mu", "type": "normfactor", "data": null}]}}]"""

let private setOf (digest: string) : string =
    $"""{{"metadata": {{"description": "two signals", "digests": {{"sha256": "{digest}"}}, "labels": ["mass"], "references": {{"hepdata": "ins1"}}}},
         "patches": [{{"metadata": {{"name": "light", "values": [100]}}, "patch": {signal}}},
                     {{"metadata": {{"name": "heavy", "values": [200]}}, "patch": {signal.Replace("2.0", "0.5")}}}],
         "version": "1.0.0"}}"""

let private digest = PatchSet.digest "sha256" (json workspace) |> Option.get

let private withFiles (set: string) (patch: string -> string) : Result<Likelihood, Error list> =
    let folder = Directory.CreateTempSubdirectory "funlik-patch-"

    try
        let at (name: string) = Path.Combine(folder.FullName, name)
        File.WriteAllText(at "workspace.json", workspace)
        File.WriteAllText(at "set.json", set)
        File.WriteAllText(at "patch.json", signal)

        ModelFile.load
            (at "workspace.json")
            { ModelOptions.None with Patch = Some(patch (folder.FullName + "/")) }
    finally
        folder.Delete true

[<Fact>]
let ``a patch of a set is chosen by its name, and a patch alone by its file`` () =
    for name, expected in [ "set.json:light", 2.0; "set.json:heavy", 0.5; "patch.json", 2.0 ] do
        let model = withFiles (setOf digest) (fun folder -> folder + name) |> Error.orRaise
        Assert.Equal<string[]>([| "k"; "mu" |], Likelihood.names model)

        match model.Density with
        | Density.Terms(main :: _) ->
            let session = Objective.session model [ "nu", main.Expectation ]
            let found = (session.Evaluate(1, [| [| 1.0; 1.0 |] |], RunOptions.Single))[0]
            Assert.Equal<float[]>([| 6.0; 6.0 + expected |], found)
        | _ -> failwith "no terms"

/// A patch set, a request, the kind of mistake, and a word of the message.
[<Fact>]
let ``patch sets that do not fit are refused`` () =
    let good = setOf digest
    let light = "set.json:light"

    for set, name, kind, word in
        [
            good, "set.json:medium", ErrorKind.Name, "medium"
            good, "set.json", ErrorKind.Usage, "light"
            good, "patch.json:light", ErrorKind.Schema, "patch set"
            good, "nothing.json:light", ErrorKind.FileMissing, "nothing.json"
            setOf (String.replicate 64 "0"), light, ErrorKind.Value, digest
            good.Replace("sha256", "sha3"), light, ErrorKind.Unsupported, "sha3"
            good.Replace("heavy", "light"), light, ErrorKind.Name, "2 times"
            good.Replace("[200]", "[100]"), light, ErrorKind.Name, "2 times"
            good.Replace("[200]", "[200, 1]"), light, ErrorKind.Shape, "1 values"
            good.Replace("[200]", "[null]"), light, ErrorKind.Schema, "a text or a number"
            good.Replace("1.0.0", "2.0.0"), light, ErrorKind.Schema, "1.0.0"
            good.Replace("\"labels\"", "\"label\""), light, ErrorKind.Schema, "labels"
            good.Replace("/channels/0", "/channels/7"), light, ErrorKind.Value, "/channels/7"
        ] do
        match withFiles set (fun folder -> folder + name) with
        | Ok _ -> failwith $"{name} with {set}"
        | Result.Error errors ->
            let text = errors |> List.map string |> String.concat "\n"
            Assert.Contains(kind, errors |> List.map _.Kind)

            // Messages cut long values.
            let long =
                errors
                |> List.collect (fun e ->
                    [ Option.defaultValue "" e.Found; Option.defaultValue "" e.Expected ])

            Assert.Contains(word, text + String.concat "\n" long)
