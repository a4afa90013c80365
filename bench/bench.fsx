// How fast FunLik is on this machine, beside its limits and its peers: one table, ratios within one run.
//
//     dotnet fsi build.fsx bench [MODEL.json]
//
// MODEL is a search (lhc-search); without one, that of ../shared where it is there, else the shipped example.

#r "../src/FunLik.Core/bin/Release/net10.0/System.Numerics.Tensors.dll"
#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"

open System
open System.Diagnostics
open System.IO
open System.Numerics.Tensors
open System.Runtime.InteropServices
open FSharp.NativeInterop
open FunLik

#nowarn "9"

let at (path: string) = Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, path))

/// Microseconds an item: the best of several runs of at least a tenth of a second together.
let microseconds (items: int) (run: unit -> unit) : float =
    run ()

    let once () =
        let start = Stopwatch.GetTimestamp()
        run ()
        Stopwatch.GetElapsedTime(start).TotalMicroseconds

    let first = once ()
    let repeats = int (1e5 / first) |> max 5 |> min 2000
    (Seq.init repeats (fun _ -> once ()) |> Seq.min) / float items

let pinned (values: float[]) : nativeptr<float> =
    NativePtr.ofNativeInt (GCHandle.Alloc(values, GCHandleType.Pinned).AddrOfPinnedObject())

let row (what: string) (value: string) (beside: string) =
    printfn "%-52s %14s   %s" what value beside

let us (x: float) = $"%.3f{x} µs"

let model =
    match fsi.CommandLineArgs |> Array.tryItem 1 with
    | Some path -> path
    | None when File.Exists(at "../../shared/data/lhc-toy.json") ->
        at "../../shared/data/lhc-toy.json"
    | None -> at "../examples/search/model.json"

printfn
    "%s, %d cores, vectors of %d bits"
    RuntimeInformation.RuntimeIdentifier
    Environment.ProcessorCount
<| (if Runtime.Intrinsics.Vector512.IsHardwareAccelerated then
        512
    else
        8 * Numerics.Vector<byte>.Count)

// ---- The search: value and gradient, one thread, row-major in and out.

let likelihood =
    Json.parseFile model
    |> Result.bind SearchData.ofJson
    |> Error.orRaise
    |> Search.likelihood

let objective = Objective.ofLikelihood likelihood
let parameters = objective.Count
let bins = likelihood.Data["main"].Length
let rows = 10_000
let key = Key.ofSeed 1

let points =
    let normals = Key.normals (rows * parameters) (Key.fold 0 key)
    let signals = Key.uniforms rows (Key.fold 1 key)

    Array.init (rows * parameters) (fun i ->
        if i % parameters = 0 then
            2.0 * signals[i / parameters]
        else
            0.5 * normals[i])

let values = Array.zeroCreate<float> rows
let gradients = Array.zeroCreate<float>(rows * parameters)
let x, y, g = pinned points, pinned values, pinned gradients

let evaluate count withGradient =
    objective.Evaluate(
        count,
        x,
        y,
        (if withGradient then g else NativePtr.nullPtr),
        RunOptions.Single
    )

let value = microseconds rows (fun () -> evaluate rows false)
let both = microseconds rows (fun () -> evaluate rows true)

let one =
    microseconds 1000 (fun () ->
        for _ in 1..1000 do
            evaluate 1 true)

/// exp and log of one number a bin, by System.Numerics.Tensors on hot data: what no likelihood of this form does without.
let floor =
    let span = Array.init 2048 (fun i -> 0.5 + float i / 2048.0)
    let out = Array.zeroCreate<float> 2048

    let each f =
        microseconds (2048 * 20) (fun () ->
            for _ in 1..20 do
                f ())

    let exps =
        each (fun () -> TensorPrimitives.Exp(ReadOnlySpan<float> span, Span<float> out))

    let logs =
        each (fun () -> TensorPrimitives.Log(ReadOnlySpan<float> span, Span<float> out))

    float bins * (exps + logs)

printfn
    "\n%s: %d parameters, %d bins, batches of %d, one thread, a point"
    likelihood.Name
    parameters
    bins
    rows

row "floor: exp and log of one number a bin" (us floor) ""
row "value" (us value) $"%.2f{value / floor} of the floor"
row "value and gradient" (us both) $"%.2f{both / floor} of the floor"
row "a batch of one, value and gradient" (us one) $"%.1f{one / both} of the large batch"

let numpy =
    let folder = Directory.CreateTempSubdirectory("funlik-bench").FullName

    let input, output =
        Path.Combine(folder, "points.npy"), Path.Combine(folder, "out.npy")

    let subset = 4000
    evaluate rows true

    {
        Shape = [ subset; parameters ]
        Values = Array.sub points 0 (subset * parameters)
    }
    |> Npy.writeFloats input
    |> Error.orRaise

    let run (python: string) =
        try
            let start =
                ProcessStartInfo(
                    python,
                    [ at "search_numpy.py"; model; input; output ],
                    RedirectStandardOutput = true,
                    RedirectStandardError = true
                )

            use child = Process.Start start
            let text = child.StandardOutput.ReadToEnd()
            child.WaitForExit()

            if child.ExitCode = 0 then
                Some(text.Trim().Split(' ') |> Array.map float)
            else
                None
        with :? ComponentModel.Win32Exception ->
            None

    let result = [ "/usr/bin/python3"; "python3" ] |> List.tryPick run

    let difference =
        result
        |> Option.map (fun _ ->
            let theirs = (Npy.readFloats output |> Error.orRaise).Values

            Seq.init subset (fun r ->
                let own =
                    Array.append [| values[r] |] (Array.sub gradients (r * parameters) parameters)

                Seq.init (parameters + 1) (fun k ->
                    let a, b = own[k], theirs[r * (parameters + 1) + k]

                    if a = b || Double.IsInfinity a then
                        0.0
                    else
                        abs (a - b) / max 1.0 (abs b))
                |> Seq.max)
            |> Seq.max)

    Directory.Delete(folder, true)
    Option.map2 (fun (t: float[]) d -> t[0], t[1], d) result difference

match numpy with
| Some(theirValue, theirBoth, difference) ->
    row "numpy: value" (us theirValue) $"FunLik is %.1f{theirValue / value} times as fast"
    row "numpy: value and gradient" (us theirBoth) $"FunLik is %.1f{theirBoth / both} times as fast"
    row "numpy: largest relative difference" $"%.1e{difference}" ""
| None -> row "numpy" "not here" "python3-numpy is not installed"

// ---- A sum over a million events: a normal peak over an exponential.

let events = 1_000_000

let masses =
    let normals = Key.normals events (Key.fold 2 key)
    let uniforms = Key.uniforms events (Key.fold 3 key)

    Array.init events (fun i ->
        if i % 4 = 0 then
            5.0 + 0.3 * normals[i]
        else
            -3.0 * log uniforms[i])

let unbinned =
    let m = Expr.column "events" "mass" Scalar
    let p name = Expr.parameter name Scalar
    let pull = (m - p "mean") / p "width"
    let peak = exp (-0.5 * (pull * pull)) / (p "width" * sqrt (2.0 * Math.PI))
    let tail = exp (-(m / p "slope")) / p "slope"
    Expr.reduceOver "events" (log (p "fraction" * peak + (1.0 - p "fraction") * tail))

let names = [ "mean"; "width"; "slope"; "fraction" ]
let leaves = names |> List.map (fun n -> Expr.parameter n Scalar)

let tables =
    Map [ ("events", { Rows = events; Columns = Map [ ("mass", masses) ] }) ]

let unbinnedRun outputs =
    let session =
        (Engine.compile (fun _ -> Binding.Row) (Program.ofOutputs outputs)).Bind(Map.empty, tables)

    let inputs =
        session.RowInputs
        |> Array.map (fun (name, _) ->
            pinned
                [|
                    Map [ "mean", 5.0; "width", 0.3; "slope", 3.0; "fraction", 0.25 ]
                    |> Map.find name
                |])

    let results =
        session.Outputs
        |> Array.map (fun o -> pinned (Array.zeroCreate (Shape.size o.Shape)))

    fun () -> session.Run(1, inputs, results, RunOptions.Single)

let sumValue = unbinnedRun [ ("y", unbinned) ]

let sumBoth =
    unbinnedRun [ "y", unbinned; "g", Expr.concat (Diff.gradients unbinned leaves) ]

let timeValue, timeBoth = microseconds events sumValue, microseconds events sumBoth

/// Two exp and a log an event, on data that stream through.
let bound =
    let out = Array.zeroCreate<float> 1024

    microseconds events (fun () ->
        for first in 0..1024 .. events - 1024 do
            let span = ReadOnlySpan<float>(masses, first, 1024)
            let target = Span<float>(out)
            TensorPrimitives.Exp(span, target)
            TensorPrimitives.Exp(span, target)
            TensorPrimitives.Log(span, target))

let peak =
    if File.Exists "/proc/self/status" then
        File.ReadLines "/proc/self/status"
        |> Seq.tryFind (fun l -> l.StartsWith "VmHWM")
        |> Option.map (fun l ->
            float (l.Split([| ' '; '\t' |], StringSplitOptions.RemoveEmptyEntries)[1])
            / 1024.0)
    else
        None

printfn "\nsum over %d events, 4 parameters, one thread, an event" events
row "bound: two exp and a log" $"%.2f{1e3 * bound} ns" ""
row "value" $"%.2f{1e3 * timeValue} ns" $"%.2f{timeValue / bound} of the bound"
row "value and gradient" $"%.2f{1e3 * timeBoth} ns" $"%.2f{timeBoth / bound} of the bound"

peak
|> Option.iter (fun mb ->
    row "largest memory of the whole process, F# Interactive too" $"%.0f{mb} MB" "")
