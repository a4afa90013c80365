// Gemm.multiply against OpenBLAS, ONNX Runtime and its own kernel on hot data: GFLOP/s. Each contestant runs
// in a process of its own, one after the other, round by round; a round gives its best spell, the
// table the median of the rounds.
//
//     DOTNET_TC_QuickJit=0 dotnet fsi bench/gemm.fsx [rounds=3] [threads=2]
//
// OpenBLAS: apt-get install -y libopenblas0-pthread; it is left out where it is absent.
#nowarn "9"
#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"

open System
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open System.Threading
open FunLik
open Microsoft.FSharp.NativeInterop

let sizes = [ 512; 1024; 2048 ]
let coreTypes = [ "SKYLAKEX"; "COOPERLAKE"; "ZEN" ]
let runtime = "ONNX RT"
let peerNames = runtime :: coreTypes

[<DllImport("libopenblas.so.0")>]
extern void cblas_sgemm(
    int order,
    int transA,
    int transB,
    int m,
    int n,
    int k,
    float32 alpha,
    nativeint a,
    int lda,
    nativeint b,
    int ldb,
    float32 beta,
    nativeint c,
    int ldc
)

[<DllImport("libopenblas.so.0")>]
extern void cblas_dgemm(
    int order,
    int transA,
    int transB,
    int m,
    int n,
    int k,
    float alpha,
    nativeint a,
    int lda,
    nativeint b,
    int ldb,
    float beta,
    nativeint c,
    int ldc
)

let alloc<'T when 'T: unmanaged> (count: int) : nativeptr<'T> =
    let bytes = unativeint count * unativeint sizeof<'T>
    let pointer = NativeMemory.AlignedAlloc(bytes, 4096un)
    NativeMemory.Clear(pointer, bytes)
    NativePtr.ofVoidPtr pointer

/// GFLOP/s of `f`, which does `flop` operations: the best of ten spells of some 0.1 s.
let rate (flop: float) (f: unit -> unit) : float =
    let spell () =
        let clock = Stopwatch.StartNew()
        let mutable runs = 0

        while clock.Elapsed.TotalSeconds < 0.1 do
            f ()
            runs <- runs + 1

        flop * float runs / clock.Elapsed.TotalSeconds / 1e9

    f ()
    Seq.init 10 (fun _ -> spell ()) |> Seq.max

/// Waits up to a minute for half a second in which nothing else runs on this machine (Linux).
let awaitQuiet () =
    let mutable quiet, patience = 0, 600

    while quiet < 5 && patience > 0 && File.Exists "/proc/loadavg" do
        let running = (File.ReadAllText "/proc/loadavg").Split(' ', '/')[3]
        quiet <- if int running <= 1 then quiet + 1 else 0
        patience <- patience - 1
        Thread.Sleep 100

let report (kind: string) (size: int) (value: float) = printfn "%s %d %.2f" kind size value

let product<'T when 'T: unmanaged>
    (multiply: int -> nativeptr<'T> -> nativeptr<'T> -> nativeptr<'T> -> unit)
    n
    : float =
    let a, b, c = alloc<'T>(n * n), alloc<'T>(n * n), alloc<'T>(n * n)
    let result = rate (2.0 * float n ** 3.0) (fun () -> multiply n a b c)
    [ a; b; c ] |> List.iter (NativePtr.toVoidPtr >> NativeMemory.AlignedFree)
    result

/// One register tile again and again, A and B in the first-level cache, on every thread: the sum.
let ceiling<'T when 'T: unmanaged> (threads: int) : float =
    let width = Gemm.panelColumns<'T>()
    let depth = 160

    let one () =
        let a = alloc<'T>(Gemm.packedLength<'T> Gemm.PanelRows depth)
        let b = alloc<'T>(Gemm.packedColumnsLength<'T> depth width)
        let c = alloc<'T>(Gemm.PanelRows * width)
        let flop = 1000.0 * 2.0 * float (Gemm.PanelRows * width * depth)

        rate flop (fun () ->
            for _ in 1..1000 do
                Gemm.multiplyPanels (a, Gemm.PanelRows, depth, b, width, c, width, true))

    let rates = Array.zeroCreate threads
    let workers = Array.init threads (fun i -> Thread(fun () -> rates[i] <- one ()))
    workers |> Array.iter _.Start()
    workers |> Array.iter _.Join()
    Array.sum rates

let ours<'T when 'T: unmanaged> (kind: string) (threads: int) =
    report kind 0 (ceiling<'T> threads)

    for n in sizes do
        let multiply n a b c = Gemm.multiply<'T>(n, n, n, a, n, 1, b, n, 1, c, n, false, threads)

        report kind n (product multiply n)

let blas () =
    let raw = NativePtr.toNativeInt

    for n in sizes do
        let single n a b c =
            cblas_sgemm (101, 111, 111, n, n, n, 1f, raw a, n, raw b, n, 0f, raw c, n)

        let double n (a: nativeptr<float>) b c =
            cblas_dgemm (101, 111, 111, n, n, n, 1.0, raw a, n, raw b, n, 0.0, raw c, n)

        report "float32" n (product<float32> single n)
        report "float" n (product<float> double n)

/// ONNX Runtime's MatMul with a constant right matrix, which it packs beforehand. Its times contain the copies of the left matrix
/// and of the result, a few per cent.
let onnx (threads: int) =
    let options = { OnnxSessionOptions.defaults with Threads = threads }

    let time (kind: string) element (data: int -> OnnxData) n =
        let tensor name : OnnxTensor = { Name = name; Dims = [ n; n ]; Data = data (n * n) }
        let info name = OnnxFormat.valueInfo name element [ OnnxDim.Known n; OnnxDim.Known n ]

        let node: OnnxNode =
            {
                OpType = "MatMul"
                Domain = ""
                Name = "product"
                Inputs = [ "a"; "b" ]
                Outputs = [ "c" ]
                Attributes = []
            }

        let model: OnnxModel =
            {
                IrVersion = 8
                Opsets = [ ("", 17) ]
                Producer = "bench"
                ProducerVersion = ""
                DocString = ""
                MetadataProps = []
                Graph =
                    {
                        Name = "product"
                        Nodes = [ node ]
                        Initializers = [ tensor "b" ]
                        Inputs = [ info "a" ]
                        Outputs = [ info "c" ]
                    }
            }

        use session =
            OnnxFormat.write model
            |> Result.bind (OnnxRuntime.openBytes options)
            |> Error.orRaise

        let a = tensor "a"

        rate (2.0 * float n ** 3.0) (fun () -> session.Run [ a ] |> Error.orRaise |> ignore)
        |> report kind n

    for n in sizes do
        time "float32" OnnxElement.Float (fun size -> OnnxData.Float(Array.create size 0.5f)) n
        time "float" OnnxElement.Double (fun size -> OnnxData.Double(Array.create size 0.5)) n

/// Runs this script as a child and returns its (kind, size) with GFLOP/s.
let child (mode: string) (threads: int) (environment: (string * string) list) =
    let start =
        ProcessStartInfo("dotnet", [ "fsi"; __SOURCE_FILE__; mode; string threads ])

    start.WorkingDirectory <- __SOURCE_DIRECTORY__
    start.RedirectStandardOutput <- true
    start.RedirectStandardError <- true
    start.Environment["DOTNET_TC_QuickJit"] <- "0"
    environment |> List.iter (fun (name, value) -> start.Environment[name] <- value)
    use running = Process.Start start
    let error = running.StandardError.ReadToEndAsync()

    let lines =
        running.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)

    running.WaitForExit()

    if running.ExitCode <> 0 then
        eprintfn "%s: %s" mode (error.Result.Split('\n')[0])

    [
        for line in lines do
            match line.Split ' ' with
            | [| kind; size; value |] -> (kind, int size), float value
            | _ -> ()
    ]

let median (values: float list) = (List.sort values)[values.Length / 2]

let compare (rounds: int) (threads: int) =
    let blasOf core =
        core,
        (fun () ->
            child
                "blas"
                threads
                [ "OPENBLAS_NUM_THREADS", string threads; "OPENBLAS_CORETYPE", core ])

    let contestants =
        ("FunLik", (fun () -> child "ours" threads []))
        :: (runtime, (fun () -> child "onnx" threads []))
        :: List.map blasOf coreTypes

    let results =
        [
            for _ in 1..rounds do
                for name, run in contestants do
                    awaitQuiet ()

                    for key, value in run () -> (name, key), value
        ]
        |> List.groupBy fst
        |> List.map (fun (key, values) -> key, median (List.map snd values))
        |> Map.ofList

    let show name kind size =
        match Map.tryFind (name, (kind, size)) results with
        | Some value -> sprintf "%10.1f" value
        | None -> "         -"

    printfn "GFLOP/s, %d threads, medians of %d rounds" threads rounds

    printfn
        "%-8s %5s %10s %s %8s %8s"
        ""
        ""
        "FunLik"
        (String.Join("", peerNames |> List.map (sprintf "%11s")))
        "of best"
        "of hot"

    for kind in [ "float32"; "float" ] do
        let hot = results[("FunLik", (kind, 0))]

        for n in sizes do
            let mine = results[("FunLik", (kind, n))]

            let peers =
                peerNames |> List.choose (fun peer -> Map.tryFind (peer, (kind, n)) results)

            let ratio = if peers.IsEmpty then nan else mine / List.max peers
            let columns = peerNames |> List.map (fun peer -> " " + show peer kind n)

            printfn
                "%-8s %5d %s %s %7.0f%% %7.0f%%"
                kind
                n
                (show "FunLik" kind n)
                (String.Join("", columns))
                (100.0 * ratio)
                (100.0 * mine / hot)

        printfn "%-8s %5s %10.1f  (one register tile, hot data, %d threads)" kind "hot" hot threads

match fsi.CommandLineArgs |> Array.skip 1 |> List.ofArray with
| [ "ours"; threads ] ->
    ours<float32> "float32" (int threads)
    ours<float> "float" (int threads)
| [ "blas"; _ ] -> blas ()
| [ "onnx"; threads ] -> onnx (int threads)
| [] -> compare 3 2
| [ rounds ] -> compare (int rounds) 2
| rounds :: threads :: _ -> compare (int rounds) (int threads)
