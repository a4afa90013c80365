namespace FunLik

open System.Collections.Generic

/// Memory of one space: pieces are given out and taken back.
type internal Arena() =
    let free = List<struct (int * int)>()
    let mutable top = 0

    /// Features and shared elements are padded to this many, a whole register of float32.
    static member Padded(size: int) : int = (size + 15) / 16 * 16

    /// Pieces start one feature later than whole pages would have them: arrays of one length that are read together must not
    /// fall into the same sets of the cache.
    static member private Room(features: int) : int = Arena.Padded features + 1

    /// The largest extent so far.
    member _.Top = top

    member _.Take(features: int) : int =
        let size = Arena.Room features
        let mutable best = -1

        for k in 0 .. free.Count - 1 do
            let struct (_, length) = free[k]

            if length >= size then
                let struct (_, known) =
                    if best < 0 then
                        struct (0, System.Int32.MaxValue)
                    else
                        free[best]

                if length < known then
                    best <- k

        if best >= 0 then
            let struct (offset, length) = free[best]
            free.RemoveAt best

            if length > size then
                free.Add(struct (offset + size, length - size))

            offset
        else
            let offset = top
            top <- top + size
            offset

    member _.Give(offset: int, features: int) : unit =
        let mutable first = offset
        let mutable size = Arena.Room features
        let mutable merged = true

        while merged do
            merged <- false

            for k in free.Count - 1 .. -1 .. 0 do
                let struct (o, l) = free[k]

                if o + l = first then
                    free.RemoveAt k
                    first <- o
                    size <- size + l
                    merged <- true
                elif first + size = o then
                    free.RemoveAt k
                    size <- size + l
                    merged <- true

        free.Add(struct (first, size))
