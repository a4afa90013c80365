namespace FunLik

open System
open MathNet.Numerics.Distributions

/// All draws of several chains in increasing order, and where each of them stands among the chains laid end to end.
[<Struct>]
type internal Ranked = { Values: float[]; Order: int[] }

/// Ranks of draws, and what is made of them.
[<RequireQualifiedAccess>]
module internal Ranks =

    /// Bits of one pass of a radix sort: its counters stay in the first cache.
    let private radixBits = 11

    /// Keys that order as unsigned integers as the numbers do.
    let private keyOf (value: float) : uint64 =
        let bits = BitConverter.DoubleToUInt64Bits value

        if bits >>> 63 = 1UL then
            ~~~bits
        else
            bits ||| 0x8000000000000000UL

    let private valueOf (key: uint64) : float =
        if key >>> 63 = 1UL then
            key &&& 0x7FFFFFFFFFFFFFFFUL
        else
            ~~~key
        |> BitConverter.UInt64BitsToDouble

    /// Least significant digits first: of a million numbers in a third of the time that comparisons take.
    let private radixSort (flat: float[]) : Ranked =
        let n = flat.Length
        let buckets = 1 <<< radixBits
        let mutable keys = flat |> Array.map keyOf
        let mutable order = Array.init n id
        let mutable keysThere: uint64[] = Array.zeroCreate n
        let mutable orderThere: int[] = Array.zeroCreate n
        let places: int[] = Array.zeroCreate buckets

        for pass in 0 .. (63 / radixBits) do
            let shift = pass * radixBits
            Array.Clear places

            for k in 0 .. n - 1 do
                let digit = int (keys[k] >>> shift) &&& (buckets - 1)
                places[digit] <- places[digit] + 1

            let mutable start = 0

            for b in 0 .. buckets - 1 do
                let count = places[b]
                places[b] <- start
                start <- start + count

            for k in 0 .. n - 1 do
                let digit = int (keys[k] >>> shift) &&& (buckets - 1)
                let place = places[digit]
                places[digit] <- place + 1
                keysThere[place] <- keys[k]
                orderThere[place] <- order[k]

            let keysHere, orderHere = keys, order
            keys <- keysThere
            order <- orderThere
            keysThere <- keysHere
            orderThere <- orderHere

        { Values = keys |> Array.map valueOf; Order = order }

    /// Finite numbers in increasing order.
    let sort (flat: float[]) : Ranked =
        if flat.Length > 20_000 then
            radixSort flat
        else
            let values = Array.copy flat
            let order = Array.init flat.Length id
            Array.Sort(values, order)
            { Values = values; Order = order }

    let private score (total: int) (rank: float) : float =
        Normal.InvCDF(0.0, 1.0, (rank - 0.375) / (float total + 0.25))

    /// The scores of the ranks 1 to `total`.
    let scores (total: int) : float[] = Array.init total (fun i -> score total (float (i + 1)))

    /// The scores of all draws in their first order; equal draws have that of their mean rank.
    let scored (table: float[]) (sorted: Ranked) : float[] =
        let total = sorted.Values.Length
        let result: float[] = Array.zeroCreate total
        let mutable first = 0

        while first < total do
            let mutable last = first

            while last + 1 < total && sorted.Values[last + 1] = sorted.Values[first] do
                last <- last + 1

            let value =
                if last = first then
                    table[first]
                else
                    score total (0.5 * float (first + last) + 1.0)

            for k in first..last do
                result[sorted.Order[k]] <- value

            first <- last + 1

        result

    /// Cuts what belongs to all draws into what belongs to each chain.
    let cut (chains: float[][]) (flat: float[]) : float[][] =
        let starts = chains |> Array.scan (fun start c -> start + c.Length) 0
        chains |> Array.mapi (fun i c -> flat[starts[i] .. starts[i] + c.Length - 1])

    /// The quantile of probability p, between draws on a straight line.
    let quantile (p: float) (sorted: Ranked) : float =
        let values = sorted.Values
        let place = p * float (values.Length - 1)
        let below = int place
        let above = min (below + 1) (values.Length - 1)
        values[below] + (place - float below) * (values[above] - values[below])

    /// |x − median| in increasing order: the two sides of the median merged.
    let folded (sorted: Ranked) : Ranked =
        let total = sorted.Values.Length
        let median = quantile 0.5 sorted
        let values = Array.zeroCreate total
        let order = Array.zeroCreate total
        let firstAbove = sorted.Values |> Array.tryFindIndex (fun v -> v >= median)
        let mutable above = firstAbove |> Option.defaultValue total
        let mutable below = above - 1

        for k in 0 .. total - 1 do
            let left =
                if below >= 0 then
                    median - sorted.Values[below]
                else
                    infinity

            let right =
                if above < total then
                    sorted.Values[above] - median
                else
                    infinity

            if right <= left then
                values[k] <- right
                order[k] <- sorted.Order[above]
                above <- above + 1
            else
                values[k] <- left
                order[k] <- sorted.Order[below]
                below <- below - 1

        { Values = values; Order = order }
