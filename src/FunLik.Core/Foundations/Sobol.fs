namespace FunLik

open System

/// Sobol's sequence (USSR Comput. Math. Math. Phys. 7, 86, 1967) in the order of Antonov and Saleev: points that fill a box evenly,
/// each known by its index. The first 2^k points have one coordinate in each of 2^k equal intervals, in every dimension.
[<RequireQualifiedAccess>]
module Sobol =

    /// The largest number of dimensions.
    let mostDimensions: int = SobolDirections.all.Length

    let private check (dimensions: int) (index: int) : unit =
        if dimensions < 0 || dimensions > mostDimensions then
            raise (
                FunLikException
                    [
                        Error.make ErrorKind.Limit "the dimensions of a Sobol sequence"
                        |> Error.found $"{dimensions}"
                        |> Error.expected $"0 to {mostDimensions}"
                    ]
            )

        if index < 0 then
            raise (
                FunLikException
                    [
                        Error.make ErrorKind.Value "the index of a point of a Sobol sequence"
                        |> Error.found $"{index}"
                        |> Error.expected "0 or more"
                    ]
            )

    /// A coordinate as a binary fraction of 32 bits.
    let private bits (dimension: int) (index: int) : uint32 =
        let v = SobolDirections.all[dimension]
        let mutable gray = uint32 index ^^^ (uint32 index >>> 1)
        let mutable x = 0u
        let mutable k = 0

        while gray <> 0u do
            if gray &&& 1u = 1u then
                x <- x ^^^ v[k]

            gray <- gray >>> 1
            k <- k + 1

        x

    let private ofBits (x: uint32) : float = Math.ScaleB(float x, -SobolDirections.Bits)

    /// Point `index` of the sequence in so many dimensions, in the unit cube; its lower border belongs to it, and point 0 is its
    /// lowest corner.
    let point (dimensions: int) (index: int) : float[] =
        check dimensions index
        Array.init dimensions (fun j -> ofBits (bits j index))

    /// Point `index` with a digital shift, the same for all points of a key: exclusive or with random bits. Each point alone is
    /// uniform in the unit cube, whose borders are not reached, and together they stay as even as they were.
    let shifted (key: Key) (dimensions: int) (index: int) : float[] =
        check dimensions index
        let half = Math.ScaleB(0.5, -SobolDirections.Bits)

        Key.words dimensions key
        |> Array.mapi (fun j shift -> ofBits (bits j index ^^^ shift) + half)

    /// A point of the unit cube carried to a box.
    let inBox (low: float[]) (high: float[]) (unit: float[]) : float[] =
        Array.map3 (fun a b u -> a + (b - a) * u) low high unit
