// How fast FunLik samples on this machine: the search's posterior with its 95 parameters, beside emcee.
//
//     dotnet fsi build.fsx bench
//     DOTNET_TC_QuickJit=0 dotnet fsi --optimize+ bench/sampling.fsx [steps=100000] [python=/usr/bin/python3]
//
// emcee: apt-get install -y python3-emcee; it is left out where it is absent. Its density is search_numpy.py. The search is that of ../shared
// where it is there, else the shipped example. Steps are those of all walkers; emcee's time does not count its autocorrelations, nor ours
// our diagnostics.

#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"

open System
open System.Diagnostics
open System.IO
open System.Text.Json
open FunLik

let at (path: string) = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, path))

let argument (i: int) (fallback: string) =
    fsi.CommandLineArgs |> Array.tryItem (i + 1) |> Option.defaultValue fallback

let steps = int (argument 0 "100000")
let python = argument 1 "/usr/bin/python3"

let file =
    if File.Exists(at "../../shared/data/lhc-toy.json") then
        at "../../shared/data/lhc-toy.json"
    else
        at "../examples/search/model.json"

let model = ModelFile.load file ModelOptions.None |> Error.orRaise
let objective = Objective.ofLikelihood model
let options = { RunOptions.Single with Threads = Environment.ProcessorCount }
let seconds (clock: Stopwatch) = clock.Elapsed.TotalSeconds
let walkers = 200
let a = 1.3

printfn $"{model.Name}: {objective.Count} parameters, {options.Threads} threads"

// ---- Warm-up.

let clock = Stopwatch.StartNew()
let fit = Fit.objective FitOptions.Default objective
let key = Key.ofSeed 1

let tuned (chains: int) : PosteriorState * PosteriorDesign =
    let design =
        { Design.posteriorOf objective.Count chains with
            Chains = chains
            TestChains = 0
        }

    Design.start options objective design fit.Point key
    |> Design.posterior options objective design key
    |> Seq.map _.State
    |> Seq.find (fun state -> not state.Stage.IsWarmingUp),
    design

let chains = 64
let state, _ = tuned chains
printfn $"fit and warm-up of {chains} chains %10.2f{seconds clock} s"

// ---- Effective samples a second.

let effective (name: string) (kind: SamplerKind) (draws: int) : float =
    let sampler = SamplerKind.sampler options objective state.Settings state.Chains kind
    let key = Key.foldName "bench" key
    Sampling.record 1 50 sampler key state.Chains |> ignore
    let clock = Stopwatch.StartNew()
    let recorded = Sampling.record 1 draws sampler key state.Chains
    let time = seconds clock
    let n = objective.Count

    let ess =
        Array.init n (fun i ->
            Array.init chains (fun c ->
                Array.init draws (fun d -> recorded.Points[(d * chains + c) * n + i]))
            |> Diagnostics.honestEss)
        |> Array.min

    printfn
        $"%-26s{name} %9.0f{ess / time} effective samples a second of the worst parameter (%.2f{ess / float (chains * draws)} a draw, %.2f{time} s)"

    ess / time

let hmc = effective "Hamiltonian" SamplerKind.Hamiltonian 4000
effective "no U-turn" SamplerKind.NoUTurn 1000 |> ignore

// ---- The stretch move of 200 walkers, ours and emcee's.

let stretched, _ = tuned walkers

let ensemble =
    Ensemble.sampler options objective (Ensemble.settings walkers (EnsembleMove.Stretch a))

Sampling.record 1 500 ensemble key stretched.Chains |> ignore

let thin = 20

let ourMu, ours =
    let clock = Stopwatch.StartNew()

    let recorded =
        Sampling.record thin (steps / thin) ensemble (Key.foldName "bench" key) stretched.Chains

    let time = seconds clock

    recorded.Points
    |> Array.chunkBySize (walkers * objective.Count)
    |> Array.map (fun draw -> Array.init walkers (fun w -> draw[w * objective.Count])),
    time

printfn "%-26s %9.0f steps a second" "stretch, 200 walkers" (float steps / ours)

let folder = Directory.CreateTempSubdirectory "funlik-bench"
let inFolder (name: string) = Path.Combine(folder.FullName, name)

Npy.writeRows (inFolder "start.npy") objective.Count [ stretched.Chains.Points ]
|> Error.orRaise
|> ignore

let emcee: JsonElement option =
    let start =
        ProcessStartInfo(
            python,
            [
                at "search_emcee.py"
                file
                inFolder "start.npy"
                string steps
                string a
                inFolder "mu.npy"
            ],
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    try
        use child = Process.Start start
        let errors = child.StandardError.ReadToEndAsync()
        let output = child.StandardOutput.ReadToEnd()
        child.WaitForExit()

        if child.ExitCode = 0 then
            Some(JsonDocument.Parse(output).RootElement)
        else
            eprintfn "%s" errors.Result
            None
    with :? ComponentModel.Win32Exception ->
        None

/// The probability of a distance of Kolmogorov and Smirnov as large as this one, of two samples of these effective sizes.
let kolmogorov (x: float[]) (nx: float) (y: float[]) (ny: float) : float * float =
    let x, y = Array.sort x, Array.sort y
    let mutable i, j, distance = 0, 0, 0.0

    while i < x.Length && j < y.Length do
        if x[i] <= y[j] then i <- i + 1 else j <- j + 1
        distance <- max distance (abs (float i / float x.Length - float j / float y.Length))

    let n = sqrt (nx * ny / (nx + ny))
    let t = (n + 0.12 + 0.11 / n) * distance

    distance,
    2.0
    * Seq.sum (
        Seq.init 100 (fun k ->
            let k = float (k + 1)
            (if int k % 2 = 1 then 1.0 else -1.0) * exp (-2.0 * k * k * t * t))
    )
    |> min 1.0

match emcee with
| None -> printfn "emcee: not here, or its model is another one (python3-emcee)"
| Some found ->
    let number (name: string) = found.GetProperty(name).GetDouble()
    let time = number "seconds"
    let perSecond, autocorrelation = number "essPerSecond", number "autocorrelation"
    let name = "emcee " + found.GetProperty("version").GetString()

    printfn
        $"%-26s{name} %9.0f{float steps / time} steps a second; ours over emcee's %.1f{time / ours} (asked: 5)"

    printfn
        $"%-26s{name} %9.0f{perSecond} effective samples a second; Hamiltonian over emcee's %.0f{hmc / perSecond} (asked: 1000)"

    printfn
        $"  its autocorrelation time is %.0f{autocorrelation} steps; it did %.0f{float steps / autocorrelation} of them (50 at least)"

    let theirs = (Npy.readFloats (inFolder "mu.npy") |> Error.orRaise).Values

    let size = ourMu |> Array.transpose |> Diagnostics.ess

    let theirSize = float (walkers * steps) / autocorrelation
    let distance, p = kolmogorov (Array.concat ourMu) size theirs theirSize

    printfn
        $"mu of both: distance of Kolmogorov and Smirnov %.4f{distance}, effective sizes %.0f{size} and %.0f{theirSize}, p = %.2f{p}"

// ---- A million effective points with gradients on disk, by the program.

let program = at "../artifacts/funlik"

if File.Exists program then
    let start =
        ProcessStartInfo(
            program,
            [
                "sample"
                "--model"
                file
                "--ess"
                "1000000"
                "--out"
                inFolder "draws"
                "--json"
            ],
            RedirectStandardOutput = true,
            RedirectStandardError = true
        )

    let clock = Stopwatch.StartNew()
    use child = Process.Start start
    let output = child.StandardOutput.ReadToEndAsync()
    child.ErrorDataReceived.Add ignore
    child.BeginErrorReadLine()
    let mutable peak = 0L

    while not (child.WaitForExit 20) do
        child.Refresh()
        peak <- max peak (if child.HasExited then 0L else child.PeakWorkingSet64)

    let found = JsonDocument.Parse(output.Result).RootElement
    let number (name: string) = found.GetProperty(name).GetDouble()

    let bytes =
        Directory.GetFiles(inFolder "draws")
        |> Array.sumBy (fun f -> FileInfo(f).Length)

    printfn
        $"a million effective points with gradients on disk, the program's whole run: %.1f{seconds clock} s (asked: 30), %.2f{float peak / 1e9} GB of memory (asked: 2)"

    let status = found.GetProperty("status").GetString()
    let draws, ess, rHat = number "draws", number "minEss", number "maxRhat"
    let bulk, tail = number "minBulkEss", number "minTailEss"

    printfn
        $"  {status}: %.0f{draws} draws, ESS %.0f{ess} (bulk %.0f{bulk}, tail %.0f{tail}), R-hat %.4f{rHat}; %.2f{float bytes / 1e9} GB on disk"
else
    printfn "the program is not built: a million points are left out"

folder.Delete true
