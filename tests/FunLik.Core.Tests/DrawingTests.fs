module FunLik.Tests.DrawingTests

open System
open System.IO
open System.Security.Cryptography
open System.Threading
open Xunit
open FunLik

/// A small model.
let model =
    """{"kind": "counting", "name": "one channel",
        "poi": {"name": "mu", "bounds": [-1, 10], "nominal": 1},
        "channels": [{"name": "SR", "observed": [25, 14], "signal": [6.2, 4.0], "background": [14.0, 9.0],
                      "relativeUncertainty": [0.2, 0.3]}]}"""

/// A folder with a small model in it.
let inFolder (test: string -> unit) : unit =
    let folder = Directory.CreateTempSubdirectory().FullName

    try
        File.WriteAllText(Path.Combine(folder, "model.json"), model)
        test folder
    finally
        Directory.Delete(folder, true)

/// The exit code and the JSON of a command line, `@` standing for the folder; cancelled when a progress says so.
let answer (folder: string) (cancels: Progress -> bool) (threads: int) (line: string) : int * Json =
    use source = new CancellationTokenSource()

    let context: VerbContext =
        {
            Options = { RunOptions.Single with Threads = threads; Cancellation = source.Token }
            Progress =
                fun progress ->
                    if cancels progress then
                        source.Cancel()
            Clock = fun () -> DateTimeOffset.UnixEpoch
        }

    let words = line.Split ' ' |> Array.map (fun word -> word.Replace("@", folder))
    let outcome = Commands.run context (Array.append words [| "--json" |])
    use stream = new MemoryStream()
    outcome.Output stream
    outcome.ExitCode, Text.Encoding.UTF8.GetString(stream.ToArray()) |> Json.parse |> Error.orRaise

let never (_: Progress) : bool = false

let private hashes (folder: string) : (string * string) list =
    Directory.GetFiles folder
    |> Array.map (fun path ->
        Path.GetFileName path, Convert.ToHexString(SHA256.HashData(File.ReadAllBytes path)))
    |> Array.sort
    |> List.ofArray

let private number (name: string) (json: Json) : float =
    Json.field name Json.float json |> Error.orRaise

[<Fact>]
let ``draws that were interrupted and taken up again are those of one run, whatever the threads``
    ()
    =
    inFolder (fun folder ->
        let line = "sample --model @/model.json --ess 110000 --seed 9 --chains 16 --out @"
        let code, whole = answer folder never 1 $"{line}/whole"
        Assert.Equal(0, code)
        let mutable interruptions = 0

        // Twice, after the first table and after the second one.
        for table in 1..2 do
            let mutable seen = 0

            let cancels (progress: Progress) : bool =
                if progress.Stage = "drawing" then
                    seen <- seen + 1

                seen = table + 1

            try
                answer folder cancels 2 $"{line}/parts" |> ignore
            with :? OperationCanceledException ->
                interruptions <- interruptions + 1

        Assert.Equal(2, interruptions)
        Assert.NotEmpty(Directory.GetFiles($"{folder}/parts", "labels-*.npy"))
        let code, resumed = answer folder never 2 $"{line}/parts"
        Assert.Equal(0, code)
        Assert.Equal<(string * string) list>(hashes $"{folder}/whole", hashes $"{folder}/parts")

        for name in [ "draws"; "minEss"; "exactCalls"; "acceptance" ] do
            Assert.Equal(number name whole, number name resumed)

        // Asked for no more, it draws no more; asked for more, it keeps what it has.
        let before = LabelFiles.read $"{folder}/parts" LabelUse.Train |> Error.orRaise
        let code, again = answer folder never 1 $"{line}/parts"
        Assert.Equal(0, code)
        Assert.Equal(number "draws" whole, number "draws" again)
        Assert.Equal<(string * string) list>(hashes $"{folder}/whole", hashes $"{folder}/parts")
        let code, more = answer folder never 1 (line.Replace("110000", "130000") + "/parts")
        Assert.Equal(0, code)
        let after = LabelFiles.read $"{folder}/parts" LabelUse.Train |> Error.orRaise
        Assert.Equal(number "draws" more, float after.Count)
        Assert.True(after.Count > before.Count)
        Assert.Equal<float[]>(before.Points, after.Points[.. before.Points.Length - 1]))

[<Fact>]
let ``what is said of draws is what the tables hold`` () =
    inFolder (fun folder ->
        let code, said =
            answer folder never 1 "sample --model @/model.json --ess 800 --chains 8 --out @/draws"

        Assert.Equal(0, code)
        let labels = LabelFiles.read $"{folder}/draws" LabelUse.Train |> Error.orRaise
        let n = labels.Dimension

        let diagnoses =
            Diagnostics.diagnoseAll labels.Parameters (fun i ->
                Array.init 8 (fun chain ->
                    let rows =
                        Array.init labels.Count id
                        |> Array.filter (fun r -> labels.Chains[r] = chain)

                    rows |> Array.map (fun r -> labels.Points[r * n + i])))

        Assert.Equal(diagnoses |> Array.map _.Ess |> Array.min, number "minEss" said)
        Assert.Equal(diagnoses |> Array.map _.RHat |> Array.max, number "maxRhat" said)
        Assert.Equal(diagnoses |> Array.map _.TailEss |> Array.min, number "minTailEss" said)
        Assert.Equal(diagnoses |> Array.map _.RankRHat |> Array.max, number "maxRankRhat" said))

let samplers: seq<obj[]> =
    SamplerKind.names |> Seq.map (fun (name, _) -> [| name |])

[<Theory; MemberData(nameof samplers)>]
let ``every sampler draws enough by its name, and finds the same mean`` (name: string) =
    inFolder (fun folder ->
        let code, said =
            answer
                folder
                never
                2
                $"sample --model @/model.json --ess 2000 --chains 32 --sampler {name} --out @/draws"

        Assert.Equal(0, code)
        let labels = LabelFiles.read $"{folder}/draws" LabelUse.Train |> Error.orRaise
        let mu = Array.init labels.Count (fun r -> labels.Points[r * labels.Dimension])
        let mean = Array.average mu
        let spread = mu |> Array.averageBy (fun x -> (x - mean) ** 2.0) |> sqrt

        // Against a long run of another kind: 1.1 ± 0.8 or so; four standard errors, and the key is fixed.
        let code, reference =
            answer
                folder
                never
                2
                "sample --model @/model.json --ess 20000 --seed 3 --out @/reference"

        Assert.Equal(0, code)
        Assert.True(number "minEss" reference >= 20000.0)
        let known = LabelFiles.read $"{folder}/reference" LabelUse.Train |> Error.orRaise

        let exact =
            Array.init known.Count (fun r -> known.Points[r * known.Dimension])
            |> Array.average

        Assert.True(abs (mean - exact) < 4.0 * spread / sqrt (min 2000.0 (number "minEss" said))))

[<Fact>]
let ``a folder of other draws is not touched, and samplers that are none are refused`` () =
    inFolder (fun folder ->
        let ask (line: string) : int * string =
            let code, json = answer folder never 1 line

            code,
            Json.property "error" json
            |> Result.bind (Json.field "message" Json.text)
            |> Result.defaultValue ""

        let line = "sample --model @/model.json --ess 100 --chains 8"
        Assert.Equal(0, fst (ask $"{line} --out @/draws"))
        let before = hashes $"{folder}/draws"

        for other in [ "--seed 2"; "--sampler nuts" ] do
            let code, message = ask $"{line} {other} --out @/draws"
            Assert.Equal(2, code)
            Assert.Contains("draws of another model, seed or sampler", message)

        Assert.Equal<(string * string) list>(before, hashes $"{folder}/draws")
        let code, message = ask $"{line} --sampler gibbs --out @/other"
        Assert.Equal(2, code)
        Assert.Contains("no such sampler", message)

        let code, message =
            ask "sample --model @/model.json --ess 100 --chains 5 --sampler stretch --out @/odd"

        Assert.Equal(2, code)
        Assert.Contains("walkers of an ensemble", message)

        // A table that is shorter than what was written, or narrower, would else be read as zeros.
        let table = Directory.GetFiles($"{folder}/draws", "labels-*.npy") |> Array.head
        let whole = File.ReadAllBytes table
        let columns = (Npy.readFloats table |> Error.orRaise).Shape[1]

        for rows, width in [ 3, columns; 3, 1 ] do
            Npy.writeRows table width [ Array.zeroCreate (rows * width) ]
            |> Error.orRaise
            |> ignore

            let code, message = ask $"{line} --out @/draws"
            Assert.Equal(2, code)
            Assert.Contains("not the table that labels.json lists", message)

        File.WriteAllBytes(table, whole)
        Assert.Equal(0, fst (ask $"{line} --out @/draws"))

        // A record of the run that says nothing.
        for spoiled in [ ""; "{}"; """{"schema": "funlik-draws/1", "kept": 7}"""; "[1e999]" ] do
            File.WriteAllText($"{folder}/draws/sampling.json", spoiled)
            Assert.Equal(2, fst (ask $"{line} --out @/draws")))

[<Fact>]
let ``who takes bounds for a prior is told that they are none`` () =
    inFolder (fun folder ->
        let notes (bounds: string) : string list =
            let path =
                Path.Combine(folder, $"""{bounds.Trim('[', ']').Replace(", ", "to")}.json""")

            File.WriteAllText(path, model.Replace("[-1, 10]", bounds))

            let context: VerbContext =
                {
                    Options = RunOptions.Single
                    Progress = ignore
                    Clock = fun () -> DateTimeOffset.UnixEpoch
                }

            (Commands.run
                context
                [ "sample"; "--model"; path; "--ess"; "200"; "--out"; $"{path}-draws" ])
                .Messages

        Assert.Contains(
            notes "[1.0, 1.2]",
            fun note -> note.Contains "mu is drawn beyond its bounds 1..1.2"
        )

        Assert.Empty(notes "[-20, 200]"))

[<Fact>]
let ``a page that cannot be written is told before the work is done`` () =
    inFolder (fun folder ->
        let stages = Collections.Generic.List<string>()

        let cancels (progress: Progress) : bool =
            stages.Add progress.Stage
            false

        for page in [ "@/no/such/folder/p.html"; "@" ] do
            let code, json =
                answer
                    folder
                    cancels
                    1
                    $"scan --model @/model.json --parameter mu --from 0 --to 1 --count 3 --page {page}"

            Assert.Equal(2, code)

            Assert.Contains(
                "folder",
                Json.property "error" json
                |> Result.bind (Json.field "message" Json.text)
                |> Error.orRaise
            )

        Assert.Empty stages)
