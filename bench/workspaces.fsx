// How fast workspaces are on this machine: a published ATLAS likelihood beside pyhf, a likelihood in 16 couplings beside its limit, and
// a workspace of 5,000 modifiers over 50,000 bins of samples. One thread; medians and ratios within one run.
//
//     dotnet fsi build.fsx bench
//
// The first two are those of ../shared where it is there, else the shipped examples.

#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"

open System
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open FSharp.NativeInterop
open FunLik

#nowarn "9"

let at (path: string) : string = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, path))

let shared (path: string) : string option =
    let full = at $"../../shared/{path}"
    if File.Exists full then Some full else None

/// Microseconds an item: the median of runs of at least a tenth of a second together.
let microseconds (items: int) (run: unit -> unit) : float =
    run ()

    let once () =
        let start = Stopwatch.GetTimestamp()
        run ()
        Stopwatch.GetElapsedTime(start).TotalMicroseconds

    let first = once ()
    let repeats = int (1e5 / first) |> max 5 |> min 2000
    let times = Array.init repeats (fun _ -> once ()) |> Array.sort
    times[repeats / 2] / float items

let pinned (values: float[]) : nativeptr<float> =
    NativePtr.ofNativeInt (GCHandle.Alloc(values, GCHandleType.Pinned).AddrOfPinnedObject())

let row (what: string) (value: string) (beside: string) =
    printfn "%-58s %12s   %s" what value beside

let us (x: float) = $"%.3f{x} µs"

/// Values, and values with gradients, at one point and in a batch; microseconds a point.
let timed (model: Likelihood) (batch: int) =
    let objective = Objective.ofLikelihood model
    let parameters = objective.Parameters
    let n = parameters.Length
    let normals = Key.normals (batch * n) (Key.ofSeed 1)

    let points =
        Array.init (batch * n) (fun i ->
            let p = parameters[i % n]
            let struct (low, high) = p.Bounds

            if low = high then p.Nominal
            elif p.Nominal = 0.0 then 0.5 * normals[i]
            else p.Nominal + 0.02 * normals[i])

    let x, y, g =
        pinned points,
        pinned (Array.zeroCreate<float> batch),
        pinned (Array.zeroCreate<float>(batch * n))

    let run rows gradient () =
        let target = if gradient then g else NativePtr.nullPtr
        objective.Evaluate(rows, x, y, target, RunOptions.Single)

    let alone gradient =
        microseconds 1000 (fun () ->
            for _ in 1..1000 do
                run 1 gradient ())

    {|
        One = alone false
        OneGradient = alone true
        Batch = microseconds batch (run batch false)
        BatchGradient = microseconds batch (run batch true)
    |}

let load (path: string) (options: ModelOptions) : Likelihood =
    ModelFile.load path options |> Error.orRaise

// ---- A published likelihood: 64 parameters, two channels of 3 bins, 18 samples

/// What pyhf 0.7 with numpy takes for a value on an equal machine, in microseconds a point at one point; it has no batch that is faster,
/// and no gradient.
let pyhf = 150.0

let sbottom, name =
    match shared "data/sbottom/RegionA_BkgOnly.json" with
    | Some path ->
        let patch = shared "data/sbottom/patches/sbottom_1300_205_60.json"
        load path { ModelOptions.None with Patch = patch }, "sbottom, region A"
    | None ->
        load (at "../examples/histfactory/workspace.json") ModelOptions.None, "examples/histfactory"

let measured = timed sbottom 1000
let beside (time: float) = $"%.0f{pyhf / time} × pyhf's value (150 µs)"
row $"{name}: value, one point" (us measured.One) (beside measured.One)
row $"{name}: value and gradient, one point" (us measured.OneGradient) (beside measured.OneGradient)
row $"{name}: value, 1,000 points" (us measured.Batch) (beside measured.Batch)

row
    $"{name}: value and gradient, 1,000 points"
    (us measured.BatchGradient)
    (beside measured.BatchGradient)

// ---- 16 couplings, 105 nuisances, 35 bins, 304 bins of samples

let eft, eftName =
    match shared "data/top19001-like/workspace.json", shared "data/top19001-like/scalings.json" with
    | Some path, scalings ->
        load path { ModelOptions.None with Scalings = scalings }, "16 couplings"
    | _ ->
        load
            (at "../examples/eft/workspace.json")
            { ModelOptions.None with Scalings = Some(at "../examples/eft/scalings.json") },
        "examples/eft"

let couplings =
    Likelihood.parameters eft
    |> Array.filter _.Kind.IsPoi
    |> Array.map (fun p -> p.Name, 0.1)

let nuisances = eft |> Likelihood.fix (List.ofArray couplings)
let atFixed = timed nuisances 1000
let withCouplings = timed eft 1000

/// What the two products cost that a dense form of this likelihood cannot do without, in this run.
let products =
    let x = Expr.parameter "x" (Vector 116)
    let matrix = Expr.matrix 304 116 (Key.normals (304 * 116) (Key.ofSeed 2))
    let y = Expr.matVec (Expr.transpose matrix) (Expr.matVec matrix x)

    let session =
        Program.ofOutputs [ ("y", y) ]
        |> Engine.compile (fun _ -> Binding.Row)
        |> _.Bind()

    let input = [| Key.normals (1000 * 116) (Key.ofSeed 3) |]
    let output = [| Array.zeroCreate<float>(1000 * 116) |]
    microseconds 1000 (fun () -> session.Run(1000, input, output, RunOptions.Single))

row
    $"{eftName}: value, nuisance gradient, fixed couplings"
    (us atFixed.BatchGradient)
    "limit of a prototype 1.4-1.55 µs"

row $"{eftName}: the same, one point" (us atFixed.OneGradient) ""
row $"{eftName}: value and gradient in all parameters" (us withCouplings.BatchGradient) ""

row
    "two dense products of 304 × 116 alone"
    (us products)
    $"%.2f{atFixed.BatchGradient / products} of that"

// ---- 5,000 modifiers over 50,000 bins of samples

let big: HistFactoryData =
    let modifier (name: string) (modification: Modification) : HistModifier =
        { Name = name; Modification = modification; Path = "" }

    let channel (c: int) : HistChannel =
        let sample (s: int) : HistSample =
            let u = Key.uniforms 200 (Key.ofSeed 4 |> Key.fold c |> Key.fold s)
            let nominal = Array.init 50 (fun i -> 5.0 + 95.0 * u[i])

            let varied (first: int) (side: float) =
                nominal |> Array.mapi (fun i v -> v * (1.0 + side * u[first + i]))

            {
                Name = $"s{s}"
                Nominal = nominal
                Path = ""
                Modifiers =
                    [
                        for k in 0..2 do
                            yield
                                modifier
                                    $"shape_{c}_{s}_{k}"
                                    (Modification.HistoSys(varied (50 * k) 0.1, varied 50 -0.08))

                        yield modifier $"norm_{c}_{s}" (Modification.NormSys(1.1, 0.92))
                        yield
                            modifier
                                $"mc_{c}"
                                (Modification.StatError(nominal |> Array.map (fun v -> 0.05 * v)))
                    ]
            }

        let samples = List.init 10 sample

        {
            Name = $"c{c}"
            Observed = Array.init 50 (fun i -> samples |> List.sumBy (fun s -> round s.Nominal[i]))
            Samples = samples
            Path = ""
        }

    {
        Name = "big"
        Channels = List.init 100 channel
        Poi = None
        PoiPath = ""
        Settings = []
    }

let memory () : int64 =
    GC.Collect()
    GC.WaitForPendingFinalizers()
    GC.Collect()
    Process.GetCurrentProcess().Refresh()
    Process.GetCurrentProcess().WorkingSet64

let before = memory ()
let clock = Stopwatch.StartNew()
let bigModel = HistFactory.likelihood HistFactory.codes [] big |> Error.orRaise
let objective = Objective.ofLikelihood bigModel
let start = objective.Parameters |> Array.map _.Nominal
objective.Values(start, RunOptions.Single) |> ignore
objective.ValuesAndGradients(start, RunOptions.Single) |> ignore
let seconds = clock.Elapsed.TotalSeconds
let used = float (memory () - before) / 1e6

let bigPoint =
    microseconds 1 (fun () -> objective.ValuesAndGradients(start, RunOptions.Single) |> ignore)

row
    $"{objective.Count} parameters, 50,000 bins of samples: compiled"
    $"%.2f{seconds} s"
    $"%.0f{used} MB more memory"

row "the same: value and gradient, one point" (us bigPoint) ""
