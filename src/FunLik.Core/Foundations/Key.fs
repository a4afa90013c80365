namespace FunLik

#nowarn "9" // Sixteen places on the stack

open System
open System.Globalization
open System.Runtime.CompilerServices
open System.Text
open FSharp.NativeInterop

/// The counter-based generator Philox4x32-10: Salmon, Moraes, Dror and Shaw, "Parallel random
/// numbers: as easy as 1, 2, 3", SC 2011.
[<RequireQualifiedAccess>]
module Philox =

    /// Ten rounds. For a fixed key this is a bijection of the 128-bit counter.
    let inline block
        (struct (c0: uint32, c1: uint32, c2: uint32, c3: uint32))
        (struct (k0: uint32, k1: uint32))
        : struct (uint32 * uint32 * uint32 * uint32) =
        let mutable x0 = c0
        let mutable x1 = c1
        let mutable x2 = c2
        let mutable x3 = c3
        let mutable key0 = k0
        let mutable key1 = k1

        for _ in 1..10 do
            let p0 = 0xD2511F53UL * uint64 x0
            let p1 = 0xCD9E8D57UL * uint64 x2
            x0 <- uint32 (p1 >>> 32) ^^^ x1 ^^^ key0
            x1 <- uint32 p1
            x2 <- uint32 (p0 >>> 32) ^^^ x3 ^^^ key1
            x3 <- uint32 p0
            key0 <- key0 + 0x9E3779B9u
            key1 <- key1 + 0xBB67AE85u

        struct (x0, x1, x2, x3)

/// A source of randomness that is a value: the same key gives the same numbers, always.
///
/// Use a key once: draw from it, or derive others from it. It is 128 bits: a Philox key, and a
/// stream that fills the upper half of the counter. The lower half has two bits for the purpose
/// (draws, split, fold, foldName) and 62 for the index, so that draws and derived keys of one
/// key come from counters that never meet.
///
/// A derived key is one Philox output of its parent. Two keys are the same source only if all
/// 128 bits agree: never for two children of one key by the same function and different indices
/// (Philox is a bijection), and for n keys of different ancestry with a probability near
/// n²/2¹²⁹, 10⁻¹⁵ for 10¹² keys. That their numbers look independent is what tests of the
/// generator show (it passes BigCrush), not a theorem; it is no cipher.
[<Struct>]
type Key = private { Word: uint64; Stream: uint64 }

/// Making keys, deriving keys, and drawing from them. Element i of a draw depends only on the
/// key and i. Negative counts throw.
[<RequireQualifiedAccess>]
module Key =

    let private draws = 0UL
    let private splits = 1UL
    let private folds = 2UL
    let private names = 3UL

    /// Two 64-bit words: block `index` of the key, for one purpose.
    let inline private block
        (key: Key)
        (purpose: uint64)
        (index: uint64)
        : struct (uint64 * uint64) =
        let struct (x0, x1, x2, x3) =
            Philox.block
                (uint32 index,
                 uint32 (index >>> 32) ||| uint32 (purpose <<< 30),
                 uint32 key.Stream,
                 uint32 (key.Stream >>> 32))
                (uint32 key.Word, uint32 (key.Word >>> 32))

        struct (uint64 x0 ||| (uint64 x1 <<< 32), uint64 x2 ||| (uint64 x3 <<< 32))

    let private derive (purpose: uint64) (index: uint64) (key: Key) : Key =
        let struct (word, stream) = block key purpose index
        { Word = word; Stream = stream }

    let private requireCount (count: int) : unit =
        if count < 0 then
            invalidArg (nameof count) $"a draw has a length of 0 or more, and not {count}"

    /// The key of a 64-bit seed; different seeds are different keys.
    let ofSeed64 (seed: uint64) : Key = { Word = seed; Stream = 0UL }

    /// The key of a seed; different seeds are different keys.
    let ofSeed (seed: int) : Key = ofSeed64 (uint64 seed)

    /// The key as 32 hexadecimal digits, for checkpoints; `ofText` reads it back.
    let toText (key: Key) : string = $"{key.Word:x16}{key.Stream:x16}"

    /// Reads what `toText` wrote. Fails with a `Syntax` error on anything else.
    let ofText (text: string) : Result<Key, Error list> =
        let half (first: int) : uint64 option =
            let digits = text.AsSpan(first, 16)

            match
                UInt64.TryParse(
                    digits,
                    NumberStyles.AllowHexSpecifier,
                    CultureInfo.InvariantCulture
                )
            with
            | true, value -> Some value
            | false, _ -> None

        let halves =
            if isNull text || text.Length <> 32 then
                None
            else
                Option.map2 (fun word stream -> { Word = word; Stream = stream }) (half 0) (half 16)

        match halves with
        | Some key -> Ok key
        | None ->
            Error.make ErrorKind.Syntax "not a random key"
            |> Error.found (string text)
            |> Error.expected "32 hexadecimal digits"
            |> Error.fail

    /// Two keys in place of one.
    let split (key: Key) : struct (Key * Key) =
        struct (derive splits 0UL key, derive splits 1UL key)

    /// Many keys in place of one. The first two are those of `split`.
    let splitN (count: int) (key: Key) : Key[] =
        requireCount count
        Array.init count (fun i -> derive splits (uint64 i) key)

    /// The key of step, chain or toy number `index`; any integer will do.
    let fold (index: int) (key: Key) : Key = derive folds (uint64 (uint32 index)) key

    /// The key of a named purpose: `Key.foldName "warmup" key`. The label's UTF-8 bytes go in by
    /// sevens, then their number, one derivation each.
    let foldName (label: string) (key: Key) : Key =
        let bytes = Encoding.UTF8.GetBytes label

        let pack (chunk: byte[]) : uint64 =
            Array.foldBack (fun (b: byte) packed -> (packed <<< 8) ||| uint64 b) chunk 0UL

        let absorbed =
            bytes
            |> Array.chunkBySize 7
            |> Array.fold (fun state chunk -> derive names (pack chunk) state) key

        derive names ((1UL <<< 56) + uint64 bytes.Length) absorbed

    /// Uniform on the 2⁵² odd multiples of 2⁻⁵³: (k + ½)·2⁻⁵², k the upper 52 bits. It is exact,
    /// symmetric about ½, and never 0 or 1.
    let inline private toUniform (bits: uint64) : float =
        BitConverter.UInt64BitsToDouble((bits >>> 12) ||| 0x3FF0000000000000UL)
        - 0.9999999999999999

    /// Element 2j and 2j + 1 of a draw come from block j.
    let inline private fillPairs
        ([<InlineIfLambda>] pair: uint64 -> uint64 -> struct (float * float))
        (first: int64)
        (destination: Span<float>)
        (key: Key)
        : unit =
        if first < 0L then
            invalidArg (nameof first) $"a draw starts at element 0, and not at {first}"

        let mutable i = 0
        let mutable index = uint64 first >>> 1

        if first &&& 1L = 1L && destination.Length > 0 then
            let struct (a, b) = block key draws index
            let struct (_, odd) = pair a b
            destination[0] <- odd
            i <- 1
            index <- index + 1UL

        while i + 1 < destination.Length do
            let struct (a, b) = block key draws index
            let struct (even, odd) = pair a b
            destination[i] <- even
            destination[i + 1] <- odd
            i <- i + 2
            index <- index + 1UL

        if i < destination.Length then
            let struct (a, b) = block key draws index
            let struct (even, _) = pair a b
            destination[i] <- even

    /// Fills the span with elements `first`, `first + 1`, … of the uniform draw of `key`, so that
    /// parts of one draw can be made apart.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let fillUniformFrom (first: int64) (destination: Span<float>) (key: Key) : unit =
        fillPairs (fun a b -> struct (toUniform a, toUniform b)) first destination key

    /// Fills the span with numbers uniform on the open interval (0, 1): the odd multiples of 2⁻⁵³.
    let fillUniform (destination: Span<float>) (key: Key) : unit =
        fillUniformFrom 0L destination key

    /// Numbers uniform on the open interval (0, 1): the odd multiples of 2⁻⁵³.
    let uniforms (count: int) (key: Key) : float[] =
        requireCount count
        let values = Array.zeroCreate count
        fillUniform (values.AsSpan()) key
        values

    /// Fills the span with elements `first`, `first + 1`, … of the normal draw of `key`, so that
    /// parts of one draw can be made apart.
    let fillNormalFrom (first: int64) (destination: Span<float>) (key: Key) : unit =
        if first < 0L then
            invalidArg (nameof first) $"a draw starts at element 0, and not at {first}"

        let places = NativePtr.stackalloc<float> 16
        let sixteen = Span<float>(NativePtr.toVoidPtr places, 16)
        let mutable i = 0

        while i < destination.Length do
            let element = uint64 first + uint64 i
            let skipped = int (element &&& 1UL)
            let count = min (16 - skipped) (destination.Length - i)
            NormalLanes.sixteen key.Word key.Stream (element >>> 1) places
            sixteen.Slice(skipped, count).CopyTo(destination.Slice i)
            i <- i + count

    /// Fills the span with standard normal numbers by Box and Muller's transform of pairs of
    /// uniforms; none is beyond 8.6. The same bits every time on one platform; between platforms
    /// the logarithm may differ in the last bit.
    let fillNormal (destination: Span<float>) (key: Key) : unit = fillNormalFrom 0L destination key

    /// Standard normal numbers, as `fillNormal` makes them.
    let normals (count: int) (key: Key) : float[] =
        requireCount count
        let values = Array.zeroCreate count
        fillNormal (values.AsSpan()) key
        values

    /// Numbers with density exp(−x): −log of the uniform draw of the key.
    let exponentials (count: int) (key: Key) : float[] =
        uniforms count key |> Array.map (fun u -> -Math.Log u)

    /// The raw 32-bit outputs, four from each Philox block.
    let words (count: int) (key: Key) : uint32[] =
        requireCount count
        let values = Array.zeroCreate count
        let mutable i = 0

        while i < count do
            let struct (a, b) = block key draws (uint64 i >>> 2)
            values[i] <- uint32 a

            if i + 1 < count then
                values[i + 1] <- uint32 (a >>> 32)

            if i + 2 < count then
                values[i + 2] <- uint32 b

            if i + 3 < count then
                values[i + 3] <- uint32 (b >>> 32)

            i <- i + 4

        values

    /// Lemire's exact reduction (ACM TOMACS 29, 3, 2019) of word `index` to 0 … bound − 1. A word
    /// that would favour some values is replaced by the first of a key derived for it.
    let rec private below (bound: uint32) (index: int) (word: uint32) (key: Key) : int =
        let product = uint64 word * uint64 bound
        let remainder = uint32 product

        if remainder < bound && remainder < (0u - bound) % bound then
            let other = fold index key
            let retry = words 1 other
            below bound 0 retry[0] other
        else
            int (product >>> 32)

    /// Integers uniform on 0 … bound − 1, without bias. Throws for a bound under 1.
    let integers (bound: int) (count: int) (key: Key) : int[] =
        if bound < 1 then
            invalidArg (nameof bound) $"the bound must be 1 or more, and not {bound}"

        words count key |> Array.mapi (fun i word -> below (uint32 bound) i word key)

    /// A permutation of 0 … count − 1, all equally likely: Fisher and Yates, with draws without bias.
    let permutation (count: int) (key: Key) : int[] =
        requireCount count
        let order = Array.init count id
        let random = words count key

        for i in count - 1 .. -1 .. 1 do
            let j = below (uint32 (i + 1)) i random[i] key
            let kept = order[i]
            order[i] <- order[j]
            order[j] <- kept

        order
