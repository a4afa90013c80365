namespace FunLik

open System
open System.Collections.Concurrent
open System.Diagnostics
open System.Runtime.ExceptionServices
open System.Threading

/// What a helper does: the errand, which throws nothing, and what tells that it is free again.
[<AbstractClass; AllowNullLiteral>]
type internal Errand() =
    abstract Do: unit -> unit
    abstract Leave: unit -> unit

/// A thread that helps with one errand after the other. It waits awake for some time before it sleeps: waking takes longer than what
/// lies between two steps of a training. Those that helped last are asked first.
[<Sealed; AllowNullLiteral>]
type internal Helper private () as this =
    static let idle = ConcurrentStack<Helper>()
    static let mutable count = 0

    /// How long a helper waits awake, in ticks of the stopwatch.
    static let awake = Stopwatch.Frequency / 4000L

    let mutable errand: Errand = null
    let mutable sleeps = 0
    let bell = new SemaphoreSlim(0)

    let hasErrand () : bool = not (isNull (Volatile.Read(&errand)))

    let await () : unit =
        let start = Stopwatch.GetTimestamp()
        let mutable spin = SpinWait()

        while not (hasErrand ()) && Stopwatch.GetTimestamp() - start < awake do
            spin.SpinOnce -1

        if not (hasErrand ()) then
            Interlocked.Exchange(&sleeps, 1) |> ignore

            // Whoever takes the mark back rings the bell.
            if not (hasErrand ()) || Interlocked.Exchange(&sleeps, 0) = 0 then
                bell.Wait()

    let loop () : unit =
        while true do
            await ()
            let mine = errand
            Volatile.Write(&errand, null)
            mine.Do()
            idle.Push this
            mine.Leave()

    do
        let thread = Thread(loop, IsBackground = true, Name = "FunLik")
        thread.Start()

    member private _.Give(next: Errand) : unit =
        Volatile.Write(&errand, next)

        if Interlocked.Exchange(&sleeps, 0) = 1 then
            bell.Release() |> ignore

    /// Has an idle helper do a errand, or a new one while there are fewer than `most`. Where there is none, nobody does.
    static member Ask(errand: Errand, most: int) : unit =
        match idle.TryPop() with
        | true, helper -> helper.Give errand
        | _ ->
            if Interlocked.Increment(&count) <= most then
                Helper().Give errand
            else
                Interlocked.Decrement(&count) |> ignore

/// Work in phases, on several threads: the items of a phase start when all items before them are done. Each thread takes a part of the
/// items of a phase, the same one whenever the same phases are run, so that what it wrote is near; then it takes what others have
/// left. Whoever waits, waits for items that are running: no item waits for a thread that has not come yet. Each thread works on
/// something of its own, which it takes before its first item, and gives back.
[<Sealed>]
type internal Crew<'F>
    (phases: struct (int * ('F -> int -> unit))[], take: unit -> 'F, give: 'F -> unit) =
    inherit Errand()

    /// Counts lie on cache lines of their own: a line that several threads write is slow to read.
    static let apart = 32

    let starts = phases |> Array.scan (fun sum (struct (count, _)) -> sum + count) 0
    let total = Array.last starts
    let mutable parts = 1
    let mutable counts: int[] = [||]
    let mutable failure: exn = null

    let place (index: int) : int = (index + 1) * apart
    let finished, working, arrived, claims = place 0, place 1, place 2, 3
    let add (place: int) : int = Interlocked.Increment(&counts[place])
    let hasFailed () : bool = not (isNull (Volatile.Read(&failure)))

    /// The items of one part of a phase that nobody has claimed.
    let doPart (f: 'F) (phase: int) (part: int) : unit =
        let struct (count, body) = phases[phase]
        let first = (part * count + parts - 1) / parts
        let past = ((part + 1) * count + parts - 1) / parts
        let claimed = place (claims + phase * parts + part)

        if past > first then
            let mutable item = first + add claimed - 1

            while item < past && not (hasFailed ()) do
                body f item
                add finished |> ignore
                item <- first + add claimed - 1

    let doPhase (f: 'F) (own: int) (phase: int) : unit =
        let mutable spin = SpinWait()

        while Volatile.Read(&counts[finished]) < starts[phase] && not (hasFailed ()) do
            spin.SpinOnce -1

        for k in 0 .. parts - 1 do
            doPart f phase ((own + k) % parts)

    let work (isFirst: bool) : unit =
        try
            if Volatile.Read(&counts[finished]) < total && not (hasFailed ()) then
                let own = if isFirst then 0 else add arrived
                let f = take ()

                for phase in 0 .. phases.Length - 1 do
                    doPhase f own phase

                give f
        with e ->
            Interlocked.CompareExchange(&failure, e, null) |> ignore

    override _.Do() =
        add working |> ignore
        work false

    override _.Leave() = Interlocked.Decrement(&counts[working]) |> ignore

    /// Does all items on up to `threads` threads; throws what an item has thrown, when no item runs any more.
    member this.Run(threads: int) : unit =
        parts <- min threads total |> max 1
        counts <- Array.zeroCreate ((phases.Length * parts + 5) * apart)

        for _ in 2..parts do
            Helper.Ask(this, max threads Environment.ProcessorCount - 1)

        work true
        let mutable spin = SpinWait()

        while Volatile.Read(&counts[working]) > 0 do
            spin.SpinOnce -1

        if hasFailed () then
            ExceptionDispatchInfo.Capture(failure).Throw()
