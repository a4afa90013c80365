// The main job as users meet it: a search of 95 parameters learnt from 10,000 labels with gradients, in processes of its own, twice.
// What it took, how good it is beside the quadratic and the published network, and whether both runs left the same bytes.
//
//     dotnet fsi build.fsx bench
//     dotnet fsi bench/surrogate.fsx [MODEL.json]
//
// MODEL is a search (lhc-search); without one, that of ../shared where it is there, else the shipped example.

open System
open System.Diagnostics
open System.IO
open System.Security.Cryptography
open System.Text.Json

let at (path: string) = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, path))

let model =
    match fsi.CommandLineArgs |> Array.tryItem 1 with
    | Some path -> Path.GetFullPath path
    | None when File.Exists(at "../../shared/data/lhc-toy.json") ->
        at "../../shared/data/lhc-toy.json"
    | None -> at "../examples/search/model.json"

let root = Directory.CreateTempSubdirectory("funlik-bench").FullName

/// Runs a program and gives its standard output; its messages go through.
let run (arguments: string list) : string =
    let start =
        ProcessStartInfo(at "../artifacts/funlik", arguments, RedirectStandardOutput = true)

    use child = Process.Start start
    let output = child.StandardOutput.ReadToEnd()
    child.WaitForExit()

    if child.ExitCode <> 0 then
        failwith $"funlik ended with exit code {child.ExitCode}: {output}"

    output

let job (name: string) : string =
    let path = Path.Combine(root, $"{name}.json")

    File.WriteAllText(
        path,
        JsonSerializer.Serialize(
            dict
                [
                    "kind", box "job"
                    "model", box model
                    "labels", box 10_000
                    "ridge", box (dict [ "from", -0.9; "to", 2.0 ])
                    "profile", box (dict [ "from", 0.0; "to", 1.0; "count", 11.0 ])
                    "output", box name
                ]
        )
    )

    path

let timed (name: string) : JsonElement * float =
    let clock = Stopwatch.StartNew()
    let card = JsonDocument.Parse(run [ "run"; job name; "--json" ]).RootElement
    card, clock.Elapsed.TotalSeconds

let card, seconds = timed "first"
let _, again = timed "second"

let hashes (name: string) : (string * string) list =
    let folder = Path.Combine(root, name)

    Directory.GetFiles(folder, "*", SearchOption.AllDirectories)
    |> Array.map (fun path ->
        Path.GetRelativePath(folder, path),
        Convert.ToHexString(SHA256.HashData(File.ReadAllBytes path)))
    |> Array.filter (fun (name, _) -> name <> "run.log.json")
    |> Array.sort
    |> List.ofArray

let first, second = hashes "first", hashes "second"
let calls = card.GetProperty "exactCalls"
let metrics = card.GetProperty "metrics"
let number (e: JsonElement) (name: string) : float = e.GetProperty(name).GetDouble()

printfn "%s" (card.GetProperty("model").GetProperty("name").GetString())

printfn
    "%d cores; %.1f s and %.1f s in all, a process each"
    Environment.ProcessorCount
    seconds
    again

calls.EnumerateObject()
|> Seq.map (fun entry -> $"{entry.Name} {entry.Value.GetInt64()}")
|> String.concat ", "
|> printfn "exact calls (a gradient is one more): %s"

printfn
    "\n%-34s %12s %12s %22s"
    "log units²; t_μ over 11 values"
    "surrogate"
    "quadratic"
    "published (500,000)"

for design, published in [ "posterior", "0.187"; "ridge", "" ] do
    let slice = metrics.GetProperty design

    printfn
        "%-34s %12.5f %12.4f %22s"
        $"MSE on {design} points"
        (number (slice.GetProperty "surrogate") "mse")
        (number (slice.GetProperty "quadratic") "mse")
        published

let profile = metrics.GetProperty("profile").EnumerateArray() |> Seq.head

printfn
    "%-34s %12.5f %12.4f %22s"
    "mean error of t_μ"
    (number profile "tMuError")
    (number profile "quadraticTMuError")
    "0.032"

let runtime = card.GetProperty "onnxRuntime"

match runtime.TryGetProperty "largestDifference" with
| true, value ->
    printfn "\nONNX Runtime: largest difference %.1e of max(1, |y|)" (value.GetDouble())
| _ -> printfn "\nONNX Runtime: %s" (runtime.GetProperty("notChecked").GetString())

printfn
    "%s"
    (if first = second then
         $"both runs left the same bytes in {first.Length} files"
     else
         "the runs differ in "
         + String.concat
             ", "
             (Set.difference (Set first) (Set second) |> Set.toList |> List.map fst))

Directory.Delete(root, true)
