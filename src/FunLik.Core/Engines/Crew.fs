namespace FunLik

open System
open System.Runtime.ExceptionServices
open System.Threading

/// Work in phases, on several threads: the items of a phase start when all items before them are done. Items are claimed in order, so
/// whoever waits, waits for items that are running; no item waits for a thread that has not come yet. Each thread works on something
/// of its own, which it takes when it has claimed its first item, and gives back.
[<Sealed>]
type internal Crew<'F>
    (phases: struct (int * ('F -> int -> unit))[], take: unit -> 'F, give: 'F -> unit) =

    let starts = phases |> Array.scan (fun sum (struct (count, _)) -> sum + count) 0
    let total = Array.last starts
    let mutable claimed = 0
    let mutable finished = 0
    let mutable working = 0
    let mutable failure: exn = null

    let doItems (first: int) : unit =
        let f = take ()
        let mutable phase = 0
        let mutable item = first

        while item < total do
            while item >= starts[phase + 1] do
                phase <- phase + 1

            let mutable spin = SpinWait()

            while Volatile.Read(&finished) < starts[phase] && isNull (Volatile.Read(&failure)) do
                spin.SpinOnce -1

            if isNull (Volatile.Read(&failure)) then
                let struct (_, body) = phases[phase]
                body f (item - starts[phase])
                Interlocked.Increment(&finished) |> ignore
                item <- Interlocked.Increment(&claimed) - 1
            else
                item <- total

        give f

    let work () : unit =
        Interlocked.Increment(&working) |> ignore

        try
            try
                let item = Interlocked.Increment(&claimed) - 1

                if item < total then
                    doItems item
            with e ->
                Interlocked.CompareExchange(&failure, e, null) |> ignore
        finally
            Interlocked.Decrement(&working) |> ignore

    interface IThreadPoolWorkItem with
        member _.Execute() = work ()

    /// Does all items on up to `threads` threads; throws what an item has thrown, when no item runs any more.
    member this.Run(threads: int) : unit =
        for _ in 2 .. min threads total do
            ThreadPool.UnsafeQueueUserWorkItem(this, false) |> ignore

        work ()
        let mutable spin = SpinWait()

        while Volatile.Read(&working) > 0 do
            spin.SpinOnce -1

        if not (isNull failure) then
            ExceptionDispatchInfo.Capture(failure).Throw()
