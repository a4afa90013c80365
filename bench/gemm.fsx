// Gemm.multiply against OpenBLAS, ONNX Runtime and its own kernel on hot data: GFLOP/s. Each contestant runs
// in a process of its own, one after the other, round by round; a round gives its best spell, the
// table the median of the rounds.
//
//     DOTNET_TC_QuickJit=0 dotnet fsi bench/gemm.fsx [rounds=3] [threads=2]
//
// OpenBLAS: apt-get install -y libopenblas0-pthread; it is left out where it is absent.
#nowarn "9"
#load "contest.fsx"

open System
open System.Runtime.InteropServices
open FunLik
open Microsoft.FSharp.NativeInterop
open Contest

let script = __SOURCE_FILE__

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

let report (kind: string) (size: int) (value: float) = printfn "%s %d %.2f" kind size value

let product<'T when 'T: unmanaged>
    (multiply: int -> nativeptr<'T> -> nativeptr<'T> -> nativeptr<'T> -> unit)
    n
    : float =
    let a, b, c = alloc<'T>(n * n), alloc<'T>(n * n), alloc<'T>(n * n)
    let result = rate (2.0 * float n ** 3.0) (fun () -> multiply n a b c)
    [ a; b; c ] |> List.iter (NativePtr.toVoidPtr >> NativeMemory.AlignedFree)
    result

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

let compare (rounds: int) (threads: int) =
    let blasOf core =
        core,
        (fun () ->
            child
                script
                [ "blas"; string threads ]
                [ "OPENBLAS_NUM_THREADS", string threads; "OPENBLAS_CORETYPE", core ])

    let contestants =
        ("FunLik", (fun () -> child script [ "ours"; string threads ] []))
        :: (runtime, (fun () -> child script [ "onnx"; string threads ] []))
        :: List.map blasOf coreTypes

    let results = contest rounds contestants

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
