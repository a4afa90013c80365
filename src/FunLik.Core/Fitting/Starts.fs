namespace FunLik

open System

/// Points from which a fit starts.
[<RequireQualifiedAccess>]
module Starts =

    /// Point k of Sobol's sequence in d dimensions, from the second on: the centre is the parameters' own place. Dimensions that the
    /// sequence lacks are random.
    let private spread (d: int) (k: int) : float[] =
        let known = min d Sobol.mostDimensions
        let random = Key.ofSeed 32 |> Key.fold k |> Key.uniforms (d - known)
        Array.append (Sobol.point known (k + 1)) random

    /// How far starts stand from a kink, in default lengths (a tenth of the range).
    let private besideKink = 0.1

    let private signs (kinked: int) (pattern: int) (j: int) : float =
        if kinked <= 4 || pattern < 2 then
            // All patterns; of many parameters first all up and all down.
            let bits = if kinked <= 4 then pattern else -pattern
            if (bits >>> (j % 31)) &&& 1 = 0 then 1.0 else -1.0
        else
            let bits = Key.ofSeed 16 |> Key.fold pattern |> Key.uniforms kinked
            if bits[j] < 0.5 then 1.0 else -1.0

    let private freeWith
        (has: ModelParameter -> bool)
        (parameters: ModelParameter[])
        (isFree: bool[])
        : int =
        Array.zip parameters isFree
        |> Array.filter (fun (p, free) -> free && has p)
        |> Array.length

    /// Whether starts are spread over the ranges of parameters of interest: if several of these are free.
    let areSpread (parameters: ModelParameter[]) (isFree: bool[]) : bool =
        freeWith _.Kind.IsPoi parameters isFree > 1

    /// The number of starts by default: 1 for a smooth density with at most one free parameter of interest; 2^k patterns of signs of k
    /// free parameters with kinks, at most 16; 32 for several free parameters of interest, to begin with.
    let defaultCount (parameters: ModelParameter[]) (isFree: bool[]) : int =
        let kinked = freeWith _.IsKinked parameters isFree

        if areSpread parameters isFree then 32
        elif kinked > 0 then 1 <<< min kinked 4
        else 1

    /// The largest number of starts of a fit that was not asked for a number.
    let most = 512

    /// Whether so many starts that reached so many different minima leave no more to be found: where the expected number of minima, given
    /// both, is nearest to what was found (Boender and Rinnooy Kan, Math. Programming 37, 59 (1987), eq. 9: w(N-1)/(N-w-2), less than a half
    /// above w), or where they are the most.
    let areEnough (starts: int) (minima: int) : bool =
        starts >= most
        || starts > minima + 2
           && float (minima * (minima + 1)) < 0.5 * float (starts - minima - 2)

    /// `count` starts around a centre from number `first` on, row by row: the parameters with a kink on either side of it, in as many patterns of signs as
    /// there are starts; from the second on (or when the patterns are used up), parameters of interest spread over their ranges, along
    /// Sobol's sequence, if there are several of them.
    let range
        (parameters: ModelParameter[])
        (isFree: bool[])
        (centre: float[])
        (first: int)
        (count: int)
        : float[][] =
        let indices (has: ModelParameter -> bool) : int[] =
            [| 0 .. parameters.Length - 1 |]
            |> Array.filter (fun i -> isFree[i] && has parameters[i])

        let kinked = indices _.IsKinked
        let pois = indices _.Kind.IsPoi
        let lengths = Hessian.defaultLengths parameters
        let patterns = 1 <<< min kinked.Length 4
        let firstSpread = if pois.Length > 1 then 1 else patterns

        Array.init count (fun place ->
            let k = first + place
            let x = Array.copy centre

            if k >= firstSpread then
                let unit = spread pois.Length k

                pois
                |> Array.iteri (fun j i ->
                    let struct (low, high) = parameters[i].Range
                    let half = 5.0 * lengths[i]

                    let from =
                        if Double.IsFinite low then
                            low
                        else
                            parameters[i].Nominal - half

                    let until =
                        if Double.IsFinite high then
                            high
                        else
                            parameters[i].Nominal + half

                    x[i] <- from + (until - from) * unit[j])

            if first + count > 1 then
                kinked
                |> Array.iteri (fun j i ->
                    x[i] <-
                        parameters[i].Nominal
                        + besideKink * lengths[i] * signs kinked.Length (k % patterns) j)

            x)

    /// The first `count` starts around a centre.
    let around
        (parameters: ModelParameter[])
        (isFree: bool[])
        (centre: float[])
        (count: int)
        : float[][] =
        range parameters isFree centre 0 count
