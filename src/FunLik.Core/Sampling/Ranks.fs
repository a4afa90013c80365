namespace FunLik

open System
open MathNet.Numerics.Distributions

/// All draws of several chains in increasing order, and where each of them stands among the chains laid end to end.
[<Struct>]
type internal Ranked = { Values: float[]; Order: int[] }

/// Ranks of draws, and what is made of them.
[<RequireQualifiedAccess>]
module internal Ranks =

    let sort (flat: float[]) : Ranked =
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
