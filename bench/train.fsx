// Training and inference of networks in single precision beside their limit and their peers, on two threads: steps a second of
// `Train.run` beside PyTorch and beside the register tile of products on hot data, points a second beside ONNX Runtime.
//
//     dotnet fsi build.fsx bench
//     DOTNET_TC_QuickJit=0 dotnet fsi --optimize+ bench/train.fsx [rounds=3] [threads=2] [python=/usr/bin/python3]
//
// PyTorch: apt-get install -y python3-torch; it is left out where it is absent. It runs in several settings, and the best counts.
#nowarn "9"
#load "contest.fsx"

open System
open System.Diagnostics
open FunLik
open Contest

let script = __SOURCE_FILE__
let inputs, batch = 95, 512
let valueSizes, gradientSizes = [ 256; 700; 2000 ], [ 256; 700 ]
let report (kind: string) (size: int) (value: float) = printfn "%s %d %.3f" kind size value

// ---- Training

/// Operations of a plain step: three products with each matrix, without the first layer's unneeded input gradient.
let stepFlop (hidden: int) : float =
    let weights = float (inputs * hidden + hidden * hidden + hidden)
    float batch * (6.0 * weights - 2.0 * float (inputs * hidden))

/// Operations of a step on values and gradients: six products with a matrix between hidden layers, five with the first, four with
/// the last; fewer give neither the loss nor its gradient.
let gradientFlop (hidden: int) : float =
    let first, middle, last = inputs * hidden, hidden * hidden, hidden
    2.0 * float batch * float (5 * first + 6 * middle + 4 * last)

let network (hidden: int) : Architecture =
    Architecture.dense hidden
    --> Architecture.activation "silu"
    --> Architecture.dense hidden
    --> Architecture.activation "silu"
    --> Architecture.dense 1
    |> Architecture.create inputs
    |> Error.orRaise

let dataset (count: int) (seed: int) : Dataset =
    let key = Key.ofSeed seed
    let normals (size: int) (use': int) = Key.normals size (Key.fold use' key)

    Dataset.create
        inputs
        (normals (count * inputs) 0)
        (normals count 1)
        (Some(normals (count * inputs) 2))
        (Array.create count 0)
    |> Error.orRaise

/// Steps a second of a run over this many batches, the best of its epochs within some seconds; `validation` rows are judged after
/// each.
let train
    (loss: Loss)
    (hidden: int)
    (batches: int)
    (validation: int)
    (options: RunOptions)
    : float =
    let plan =
        {
            Network = network hidden
            Loss = loss
            Initialisation = { Hidden = Scheme.LecunNormal; Output = Scheme.GlorotUniform }
            Optimiser =
                Transform.chain
                    [
                        Transform.adam 0.9 0.999 1e-8
                        Transform.schedule (RateSchedule.Constant 1e-4)
                    ]
            BatchSize = batch
            Epochs = 1000
            Stopping = None
        }

    let trainer =
        Train.prepare plan (dataset (batches * batch) 1) (dataset validation 2)
        |> Error.orRaise

    let whole = Stopwatch.StartNew()
    let clock = Stopwatch.StartNew()

    Train.init (Key.ofSeed 3) trainer
    |> Train.run options trainer
    |> Seq.map (fun _ ->
        let seconds = clock.Elapsed.TotalSeconds
        clock.Restart()
        seconds)
    |> Seq.takeWhile (fun _ -> whole.Elapsed.TotalSeconds < 3.0)
    |> Seq.min
    |> fun seconds -> float batches / seconds

/// Batches of an epoch of some 0.3 s, of 10,000 rows at least.
let batchesFor (hidden: int) : int = max 20 (int (1e11 / stepFlop hidden))

let training (threads: int) =
    let options = { RunOptions.Single with Threads = threads }
    report "hot" 0 (ceiling<float32> threads)

    for hidden in valueSizes do
        let batches = batchesFor hidden
        train Loss.Values hidden batches 32 options |> report "values" hidden

        train Loss.Values hidden batches (batches * batch / 10) options
        |> report "epoch" hidden

    for hidden in gradientSizes do
        train (Loss.ValuesAndGradients 1.0) hidden (batchesFor hidden) 32 options
        |> report "gradients" hidden

// ---- Inference

let points = 10_000

let judged: Architecture =
    [ Layer.QuadraticFeatures ]
    --> Architecture.dense 700
    --> Architecture.activation "silu"
    --> Architecture.dense 700
    --> Architecture.activation "silu"
    --> Architecture.dense 1
    |> Architecture.create 16
    |> Error.orRaise

let inferenceFlop = 2.0 * float (152 * 700 + 700 * 700 + 700)

let judgedOver (x: Expr) : Expr =
    let weights =
        Initialise.weights
            { Hidden = Scheme.LecunNormal; Output = Scheme.GlorotUniform }
            (Key.ofSeed 5)
            judged

    Architecture.toExpr (Architecture.fixedAt weights) x judged

let someInputs = Key.normals (16 * points) (Key.ofSeed 6) |> Array.map float32

/// Microseconds a point: the best of some seconds.
let microseconds (run: unit -> unit) : float =
    let once () =
        let clock = Stopwatch.StartNew()
        run ()
        clock.Elapsed.TotalMicroseconds / float points

    let whole = Stopwatch.StartNew()

    Seq.initInfinite (fun _ -> once ())
    |> Seq.takeWhile (fun _ -> whole.Elapsed.TotalSeconds < 2.0)
    |> Seq.min

let inference (threads: int) =
    let session =
        [ "y", judgedOver (Architecture.input "x" judged) ]
        |> Program.ofOutputs
        |> Engine.compileSingle (fun _ -> Binding.Row)
        |> _.Bind()

    let outputs = [| Array.zeroCreate<float32> points |]
    let options = { RunOptions.Single with Threads = threads }
    report "hot" 0 (ceiling<float32> threads)

    microseconds (fun () -> session.Run(points, [| someInputs |], outputs, options))
    |> report "inference" 700

let onnx (threads: int) =
    let model =
        Onnx.ofExpressions
            { OnnxOptions.defaults with
                Precision = OnnxPrecision.Single
                Interface = OnnxElement.Float
            }
            [ "x", Vector 16 ]
            [ "y", judgedOver (Architecture.input "x" judged) ]
        |> Error.orRaise

    use session =
        OnnxFormat.write model
        |> Result.bind (
            OnnxRuntime.openBytes { OnnxSessionOptions.defaults with Threads = threads }
        )
        |> Error.orRaise

    let x: OnnxTensor =
        { Name = "x"; Dims = [ points; 16 ]; Data = OnnxData.Float someInputs }

    microseconds (fun () -> session.Run [ x ] |> Error.orRaise |> ignore)
    |> report "inference" 700

// ---- The table

/// Settings of PyTorch: what the environment says of OpenBLAS is taken out, unless a setting says it.
let torchSettings (threads: int) : (string * (string * string) list) list =
    let plain =
        [
            "OPENBLAS_CORETYPE", ""
            "OPENBLAS_L2_SIZE", ""
            "OMP_NUM_THREADS", ""
            "OMP_WAIT_POLICY", "PASSIVE"
        ]

    [
        "passive", plain
        "passive, OMP_NUM_THREADS", plain @ [ ("OMP_NUM_THREADS", string threads) ]
        "passive, AVX2 products", plain @ [ ("OPENBLAS_CORETYPE", "Haswell") ]
        "as it comes", plain @ [ ("OMP_WAIT_POLICY", "") ]
    ]

let compare (rounds: int) (threads: int) (python: string) =
    let torch (settings: (string * string) list) () =
        [
            for loss, sizes in [ "values", valueSizes; "gradients", gradientSizes ] do
                for hidden in sizes do
                    yield!
                        contestant
                            python
                            [ "train_torch.py"; loss; string hidden; "3"; string threads ]
                            settings
        ]

    let settings = torchSettings threads

    let results =
        [
            "training", (fun () -> child script [ "training"; string threads ] [])
            "inference", (fun () -> child script [ "inference"; string threads ] [])
            "ONNX Runtime", (fun () -> child script [ "onnx"; string threads ] [])
        ]
        @ (settings |> List.map (fun (name, variables) -> name, torch variables))
        |> contest rounds

    let hot = results["training", ("hot", 0)]

    printfn
        $"{threads} threads, medians of {rounds} rounds; one register tile on hot data: %.0f{hot} GFLOP/s"

    printfn "\n%-26s %9s %9s %9s %9s" "training, steps/s" "FunLik" "of hot" "PyTorch" "ratio"

    for kind, sizes in [ "values", valueSizes; "gradients", gradientSizes ] do
        for hidden in sizes do
            let mine = results["training", (kind, hidden)]

            let best =
                settings
                |> List.choose (fun (name, _) ->
                    results.TryFind(name, (kind, hidden)) |> Option.map (fun value -> value, name))
                |> List.sortDescending
                |> List.tryHead
                |> Option.defaultValue (nan, "absent")

            let flop =
                if kind = "values" then
                    stepFlop hidden
                else
                    gradientFlop hidden

            let share = $"%.0f{mine * flop / hot / 1e7} %%"

            printfn
                "%-26s %9.1f %9s %9.1f %9.2f  (%s)"
                $"{kind}, 95-{hidden}-{hidden}-1"
                mine
                share
                (fst best)
                (mine / fst best)
                (snd best)

    for hidden in valueSizes do
        let mine = results["training", ("epoch", hidden)]
        printfn "%-26s %9.1f" $"with validation, {hidden}" mine

    let mine, theirs =
        results["inference", ("inference", 700)],
        results.TryFind("ONNX Runtime", ("inference", 700))

    let limit = inferenceFlop / results["inference", ("hot", 0)] / 1e3
    printfn "\n%-26s %9s %9s %9s %9s" "inference, us a point" "FunLik" "of hot" "ONNX RT" "ratio"
    let theirs = Option.defaultValue nan theirs

    printfn
        "%-26s %9.2f %7.0f %% %9.2f %9.2f"
        "16-152-700-700-1"
        mine
        (100.0 * limit / mine)
        theirs
        (theirs / mine)

    for name, _ in settings do
        let line =
            [
                for kind, sizes in [ "values", valueSizes; "gradients", gradientSizes ] do
                    for hidden in sizes do
                        match results.TryFind(name, (kind, hidden)) with
                        | Some value -> $"{kind} {hidden}: %.1f{value}"
                        | None -> ()
            ]

        if not line.IsEmpty then
            printfn $"""PyTorch, {name}: {String.concat ", " line}"""

match fsi.CommandLineArgs |> Array.skip 1 |> List.ofArray with
| [ "training"; threads ] -> training (int threads)
| [ "inference"; threads ] -> inference (int threads)
| [ "onnx"; threads ] -> onnx (int threads)
| arguments ->
    let argument k otherwise = arguments |> List.tryItem k |> Option.defaultValue otherwise
    compare (int (argument 0 "3")) (int (argument 1 "2")) (argument 2 "/usr/bin/python3")
