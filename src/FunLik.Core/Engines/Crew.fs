namespace FunLik

open System
open System.Collections.Concurrent
open System.Diagnostics
open System.Runtime.ExceptionServices
open System.Threading

/// A thread that helps with one job after the other. It waits awake for some time before it sleeps: waking takes longer than what
/// lies between two steps of a training. Those that helped last are asked first.
[<Sealed; AllowNullLiteral>]
type internal Helper private () as this =
    static let idle = ConcurrentStack<Helper>()
    static let mutable count = 0

    /// More are not made: who finds none goes on alone.
    static let most = 4 * Environment.ProcessorCount + 8

    /// How long a helper waits awake, in ticks of the stopwatch.
    static let awake = Stopwatch.Frequency / 4000L

    let mutable job: (unit -> unit) = Unchecked.defaultof<unit -> unit>
    let mutable sleeps = 0
    let bell = new SemaphoreSlim(0)

    let hasJob () : bool = not (obj.ReferenceEquals(Volatile.Read(&job), null))

    let await () : unit =
        let start = Stopwatch.GetTimestamp()
        let mutable spin = SpinWait()

        while not (hasJob ()) && Stopwatch.GetTimestamp() - start < awake do
            spin.SpinOnce -1

        if not (hasJob ()) then
            Interlocked.Exchange(&sleeps, 1) |> ignore

            // Whoever takes the mark back rings the bell.
            if not (hasJob ()) || Interlocked.Exchange(&sleeps, 0) = 0 then
                bell.Wait()

    let loop () : unit =
        while true do
            await ()
            let work = job
            Volatile.Write(&job, Unchecked.defaultof<unit -> unit>)
            work ()
            idle.Push this

    do
        let thread = Thread(loop, IsBackground = true, Name = "FunLik")
        thread.Start()

    member private _.Give(work: unit -> unit) : unit =
        Volatile.Write(&job, work)

        if Interlocked.Exchange(&sleeps, 0) = 1 then
            bell.Release() |> ignore

    /// Has an idle helper, or a new one, do a job, which throws nothing.
    static member Ask(work: unit -> unit) : unit =
        match idle.TryPop() with
        | true, helper -> helper.Give work
        | _ ->
            if Interlocked.Increment(&count) <= most then
                Helper().Give work
            else
                Interlocked.Decrement(&count) |> ignore

/// Work in phases, on several threads: the items of a phase start when all items before them are done. Items are claimed in order, so
/// whoever waits, waits for items that are running; no item waits for a thread that has not come yet. Each thread works on something
/// of its own, which it takes when it has claimed its first item, and gives back.
[<Sealed>]
type internal Crew<'F>
    (phases: struct (int * ('F -> int -> unit))[], take: unit -> 'F, give: 'F -> unit) =

    let starts = phases |> Array.scan (fun sum (struct (count, _)) -> sum + count) 0
    let total = Array.last starts
    /// Counts lie on cache lines of their own: a line that several threads write is slow to read.
    let counts: int[] = Array.zeroCreate 96
    let claimed, finished, working = 16, 48, 80
    let mutable failure: exn = null
    let add (count: int) : int = Interlocked.Increment(&counts[count])

    let doItems (first: int) : unit =
        let f = take ()
        let mutable phase = 0
        let mutable item = first

        while item < total do
            while item >= starts[phase + 1] do
                phase <- phase + 1

            let mutable spin = SpinWait()

            while Volatile.Read(&counts[finished]) < starts[phase]
                  && isNull (Volatile.Read(&failure)) do
                spin.SpinOnce -1

            if isNull (Volatile.Read(&failure)) then
                let struct (_, body) = phases[phase]
                body f (item - starts[phase])
                add finished |> ignore
                item <- add claimed - 1
            else
                item <- total

        give f

    let work () : unit =
        add working |> ignore

        try
            try
                let item = add claimed - 1

                if item < total then
                    doItems item
            with e ->
                Interlocked.CompareExchange(&failure, e, null) |> ignore
        finally
            Interlocked.Decrement(&counts[working]) |> ignore

    /// Does all items on up to `threads` threads; throws what an item has thrown, when no item runs any more.
    member _.Run(threads: int) : unit =
        for _ in 2 .. min threads total do
            Helper.Ask work

        work ()
        let mutable spin = SpinWait()

        while Volatile.Read(&counts[working]) > 0 do
            spin.SpinOnce -1

        if not (isNull failure) then
            ExceptionDispatchInfo.Capture(failure).Throw()
