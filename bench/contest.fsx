// What contests between FunLik and its peers share: each contestant runs in a process of its own, one after the other, round by round;
// a round gives its best spell. Loaded by the scripts beside it.
#nowarn "9"
#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"

open System
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open System.Threading
open FunLik
open Microsoft.FSharp.NativeInterop

let median (values: float list) = (List.sort values)[values.Length / 2]

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

/// One register tile again and again, A and B in the first-level cache, on every thread: the sum of GFLOP/s.
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

/// Waits up to a minute for half a second in which nothing else runs on this machine (Linux).
let awaitQuiet () =
    let mutable quiet, patience = 0, 600

    while quiet < 5 && patience > 0 && File.Exists "/proc/loadavg" do
        let running = (File.ReadAllText "/proc/loadavg").Split(' ', '/')[3]
        quiet <- if int running <= 1 then quiet + 1 else 0
        patience <- patience - 1
        Thread.Sleep 100

/// Runs a contestant and returns what it prints, lines of a kind, a size and a number; nothing where there is no such program. A
/// variable without a value is taken out of its environment.
let contestant
    (program: string)
    (arguments: string list)
    (environment: (string * string) list)
    : ((string * int) * float) list =
    let start = ProcessStartInfo(program, arguments)
    start.WorkingDirectory <- __SOURCE_DIRECTORY__
    start.RedirectStandardOutput <- true
    start.RedirectStandardError <- true

    for name, value in environment do
        if value = "" then
            start.Environment.Remove name |> ignore
        else
            start.Environment[name] <- value

    try
        use running = Process.Start start
        let error = running.StandardError.ReadToEndAsync()

        let lines =
            running.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)

        running.WaitForExit()

        if running.ExitCode <> 0 then
            let last = error.Result.Trim().Split('\n') |> Array.last
            eprintfn $"""{program} {String.concat " " arguments}: {last}"""

        [
            for line in lines do
                match line.Split ' ' with
                | [| kind; size; value |] -> (kind, int size), float value
                | _ -> ()
        ]
    with :? ComponentModel.Win32Exception ->
        eprintfn $"{program} is not here"
        []

/// Runs a script of this folder in one of its modes.
let child (script: string) (arguments: string list) (environment: (string * string) list) =
    contestant
        "dotnet"
        ([ "fsi"; "--optimize+"; script ] @ arguments)
        (("DOTNET_TC_QuickJit", "0") :: environment)

/// The medians over rounds of what contestants print, by name, kind and size.
let contest
    (rounds: int)
    (contestants: (string * (unit -> ((string * int) * float) list)) list)
    : Map<string * (string * int), float> =
    [
        for _ in 1..rounds do
            for name, run in contestants do
                awaitQuiet ()

                for key, value in run () -> (name, key), value
    ]
    |> List.groupBy fst
    |> List.map (fun (key, values) -> key, median (List.map snd values))
    |> Map.ofList
