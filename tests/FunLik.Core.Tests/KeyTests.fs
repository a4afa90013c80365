module FunLik.Tests.KeyTests

open System
open FsCheck
open FsCheck.FSharp
open FunLik
open MathNet.Numerics.Distributions
open Xunit

// Statistical tests have fixed keys. Each states how often it would fail for a random key if the
// generator were perfect.

let private check (law: 'Law) : unit = Check.One(Config.QuickThrowOnFailure, law)

let private key = Key.ofSeed 20240

let private chiSquare (expected: float) (counts: seq<int>) : float =
    counts |> Seq.sumBy (fun n -> (float n - expected) ** 2.0 / expected)

/// The largest distance of the empirical distribution from `cdf`, times √n.
let private kolmogorov (cdf: float -> float) (sample: float[]) : float =
    let n = float sample.Length

    Array.sort sample
    |> Array.mapi (fun i x -> max (float (i + 1) / n - cdf x) (cdf x - float i / n))
    |> Array.max
    |> (*) (sqrt n)

[<Fact>]
let ``Philox4x32-10 gives the known answers of Random123`` () =
    let ones = UInt32.MaxValue

    Assert.Equal(
        struct (0x6627e8d5u, 0xe169c58du, 0xbc57ac4cu, 0x9b00dbd8u),
        Philox.block (struct (0u, 0u, 0u, 0u)) (struct (0u, 0u))
    )

    Assert.Equal(
        struct (0x408f276du, 0x41c83b0eu, 0xa20bc7c6u, 0x6d5451fdu),
        Philox.block (struct (ones, ones, ones, ones)) (struct (ones, ones))
    )

    Assert.Equal(
        struct (0xd16cfe09u, 0x94fdccebu, 0x5001e420u, 0x24126ea1u),
        Philox.block
            (struct (0x243f6a88u, 0x85a308d3u, 0x13198a2eu, 0x03707344u))
            (struct (0xa4093822u, 0x299f31d0u))
    )

[<Fact>]
let ``the words of seed 0 begin with the known answer`` () =
    Assert.Equal<uint32[]>(
        [| 0x6627e8d5u; 0xe169c58du; 0xbc57ac4cu; 0x9b00dbd8u |],
        Key.ofSeed 0 |> Key.words 4
    )

[<Fact>]
let ``a key gives the same numbers again, and another seed gives others`` () =
    check (fun (seed: int) (NonNegativeInt n) ->
        let draw (k: Key) = Key.words n k, Key.uniforms n k, Key.normals n k, Key.permutation n k

        draw (Key.ofSeed seed) = draw (Key.ofSeed seed))

    check (fun (a: uint64) (b: uint64) ->
        a = b || Key.words 8 (Key.ofSeed64 a) <> Key.words 8 (Key.ofSeed64 b))

[<Fact>]
let ``element i of a draw depends on the key and i alone`` () =
    let isPrefix (draw: int -> Key -> 'T[]) (n: int) (m: int) (k: Key) : bool =
        Array.truncate (min n m) (draw n k) = Array.truncate (min n m) (draw m k)

    check (fun (seed: int) (NonNegativeInt n) (NonNegativeInt m) ->
        let k = Key.ofSeed seed

        isPrefix Key.words n m k
        && isPrefix Key.uniforms n m k
        && isPrefix Key.normals n m k
        && isPrefix Key.exponentials n m k
        && isPrefix (Key.integers 1_610_612_736) n m k
        && isPrefix Key.splitN n m k)

[<Fact>]
let ``a draw made in parts is the draw made at once`` () =
    check (fun (seed: int) (NonNegativeInt first) (NonNegativeInt count) ->
        let k = Key.ofSeed seed
        let uniform = Array.zeroCreate<float> count
        let normal = Array.zeroCreate<float> count
        Key.fillUniformFrom (int64 first) (uniform.AsSpan()) k
        Key.fillNormalFrom (int64 first) (normal.AsSpan()) k

        uniform = Array.skip first (Key.uniforms (first + count) k)
        && normal = Array.skip first (Key.normals (first + count) k))

    let far = Array.zeroCreate<float> 3
    Key.fillUniformFrom (1L <<< 50) (far.AsSpan()) key
    Assert.All(far, (fun u -> Assert.InRange(u, 0.0, 1.0)))

[<Fact>]
let ``uniforms are odd multiples of 2 to the power of -53`` () =
    let scaled = Key.uniforms 100_000 key |> Array.map (fun u -> u * 9007199254740992.0)

    Assert.All(
        scaled,
        (fun u ->
            Assert.Equal(1L, int64 u % 2L)
            Assert.Equal(u, float (int64 u))
            Assert.InRange(u, 1.0, 9007199254740991.0))
    )

[<Fact>]
let ``normals are Box and Muller's transform of the uniforms of their key`` () =
    let u = Key.uniforms 100_000 key
    let z = Key.normals 100_000 key

    for j in 0..49_999 do
        let radius = sqrt (-2.0 * log u[2 * j])
        let struct (sine, cosine) = Double.SinCosPi(2.0 * u[2 * j + 1])
        Assert.True(abs (z[2 * j] - radius * cosine) < 1e-14)
        Assert.True(abs (z[2 * j + 1] - radius * sine) < 1e-14)

[<Fact>]
let ``keys are written as text and read back`` () =
    check (fun (seed: uint64) ->
        let k = Key.ofSeed64 seed |> Key.fold 3
        Key.ofText (Key.toText k) = Ok k)

    for text in [ ""; null; "12"; String('g', 32); String(' ', 32); "-" + String('0', 31) ] do
        match Key.ofText text with
        | Ok _ -> Assert.Fail $"{text} is not a key"
        | Error errors -> Assert.Equal(ErrorKind.Syntax, errors.Head.Kind)

[<Fact>]
let ``all ways to derive a key give different keys`` () =
    let struct (left, right) = Key.split key
    Assert.Equal<Key[]>([| left; right |], Key.splitN 2 key)

    let labels =
        [
            ""
            "a"
            "b"
            "a\000"
            "ab"
            "ba"
            "warm-up"
            "warm-up2"
            "sevenby"
            "sevenby\000"
        ]

    let keys =
        [
            [ key ]
            Key.splitN 10_000 key |> List.ofArray
            List.init 10_000 (fun i -> Key.fold (i - 5_000) key)
            labels |> List.map (fun label -> Key.foldName label key)
            Key.splitN 10_000 left |> List.ofArray
        ]
        |> List.concat

    Assert.Equal(keys.Length, (List.distinct keys).Length)

    check (fun (NonNull a) (NonNull b) -> a = b || Key.foldName a key <> Key.foldName b key)

// 2 · 10⁵ words of 64 bits: a pair agrees by chance with a probability of 10⁻⁹.
[<Fact>]
let ``children share no words`` () =
    let pairs =
        Key.splitN 10_000 key
        |> Array.collect (fun child -> Key.words 40 child |> Array.chunkBySize 2)

    Assert.Equal(pairs.Length, (Array.distinct pairs).Length)

// 255 degrees of freedom; the threshold is passed with a probability of 10⁻⁶, thrice.
[<Fact>]
let ``uniforms fill 256 bins evenly, within a key, across children and across seeds`` () =
    let n = 1 <<< 20

    let across (derive: int -> Key) = Array.init n (fun i -> (derive i |> Key.uniforms 1)[0])

    let samples =
        [ Key.uniforms n key; across (fun i -> Key.fold i key); across Key.ofSeed ]

    for sample in samples do
        let counts = sample |> Seq.countBy (fun u -> int (u * 256.0)) |> Seq.map snd
        let statistic = chiSquare (float n / 256.0) counts
        Assert.InRange(statistic, 0.0, ChiSquared.InvCDF(255.0, 1.0 - 1e-6))

// √n·r is standard normal for each of 8 · 7 / 2 pairs; ±5.6 is passed with 28 · 2 · 10⁻⁸.
[<Fact>]
let ``siblings are uncorrelated`` () =
    let n = 100_000
    let struct (left, right) = Key.split key

    let draws =
        [ key; left; right; Key.fold 0 key; Key.fold 1 key; Key.foldName "a" key ]
        @ [ Key.foldName "b" key; Key.fold 0 left ]
        |> List.map (Key.normals n)

    for a, b in List.allPairs (List.indexed draws) (List.indexed draws) do
        if fst a < fst b then
            let correlation = Array.map2 (*) (snd a) (snd b) |> Array.average
            Assert.InRange(correlation * sqrt (float n), -5.6, 5.6)

// Moments within 5 standard errors: 6 · 10⁻⁷ each. Kolmogorov: P(√n·D > 2.5) = 7 · 10⁻⁶ each.
[<Fact>]
let ``normals and exponentials have their moments and distributions`` () =
    let n = 1_000_000
    let z = Key.normals n key

    let moment (power: int) = z |> Array.averageBy (fun x -> pown x power)

    let error (variance: float) = 5.0 * sqrt (variance / float n)

    Assert.InRange(moment 1, -(error 1.0), error 1.0)
    Assert.InRange(moment 2 - 1.0, -(error 2.0), error 2.0)
    Assert.InRange(moment 3, -(error 15.0), error 15.0)
    Assert.InRange(moment 4 - 3.0, -(error 96.0), error 96.0)
    Assert.InRange(kolmogorov (fun x -> Normal.CDF(0.0, 1.0, x)) z, 0.0, 2.5)
    Assert.InRange(kolmogorov id (Key.uniforms n key), 0.0, 2.5)
    Assert.InRange(kolmogorov (fun x -> -Math.Exp -x + 1.0) (Key.exponentials n key), 0.0, 2.5)

    let neighbours = z |> Array.pairwise |> Array.averageBy (fun (a, b) -> a * b)
    Assert.InRange(neighbours, -(error 1.0), error 1.0)

// For the last bound a quarter of the words is drawn again. 10⁻⁶ for each of three.
[<Fact>]
let ``integers are uniform for any bound`` () =
    let n = 1_000_000

    for bound, bins in [ 1, 1; 7, 7; 1_610_612_736, 6 ] do
        let draw = Key.integers bound n key
        Assert.All(draw, (fun i -> Assert.InRange(i, 0, bound - 1)))

        if bins > 1 then
            let counts = draw |> Seq.countBy (fun i -> int (int64 i * int64 bins / int64 bound))
            let statistic = counts |> Seq.map snd |> chiSquare (float n / float bins)
            Assert.InRange(statistic, 0.0, ChiSquared.InvCDF(float (bins - 1), 1.0 - 1e-6))

[<Fact>]
let ``a permutation has each number once`` () =
    check (fun (seed: int) (NonNegativeInt n) ->
        Key.permutation n (Key.ofSeed seed) |> Array.sort = Array.init n id)

// 23 degrees of freedom; 10⁻⁶.
[<Fact>]
let ``the 24 permutations of four are equally likely`` () =
    let n = 240_000

    let counts =
        Key.splitN n key
        |> Seq.map (Key.permutation 4)
        |> Seq.countBy List.ofArray
        |> Seq.map snd
        |> List.ofSeq

    Assert.Equal(24, counts.Length)
    Assert.InRange(chiSquare 10_000.0 counts, 0.0, ChiSquared.InvCDF(23.0, 1.0 - 1e-6))

[<Fact>]
let ``impossible draws throw`` () =
    let throws (draw: unit -> obj) = Assert.Throws<ArgumentException> draw |> ignore

    throws (fun () -> Key.uniforms -1 key)
    throws (fun () -> Key.normals -1 key)
    throws (fun () -> Key.words -1 key)
    throws (fun () -> Key.permutation -1 key)
    throws (fun () -> Key.splitN -1 key)
    throws (fun () -> Key.integers 0 1 key)
    throws (fun () -> Key.fillUniformFrom -1L (Span<float>()) key |> box)
