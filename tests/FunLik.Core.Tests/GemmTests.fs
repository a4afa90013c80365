module FunLik.Tests.GemmTests

open System
open FsCheck
open FsCheck.FSharp
open FunLik
open Microsoft.FSharp.NativeInterop
open Xunit

#nowarn "9"

/// What the tests need to know of an element type; `fma` is the oracle's one operation.
type Element<'T> =
    {
        Of: float -> 'T
        Fma: 'T -> 'T -> 'T -> 'T
        ToFloat: 'T -> float
        Epsilon: float
    }

let private double =
    {
        Of = id
        Fma = fun x y z -> Math.FusedMultiplyAdd(x, y, z)
        ToFloat = id
        Epsilon = 2.3e-16
    }

let private single =
    {
        Of = float32
        Fma = fun x y z -> MathF.FusedMultiplyAdd(x, y, z)
        ToFloat = float
        Epsilon = 1.2e-7
    }

/// One product: sizes, room behind each row, which operands lie transposed, a seed for the rest.
type Case =
    {
        M: int
        N: int
        K: int
        Gaps: int * int * int
        TransposedA: bool
        TransposedB: bool
        Accumulate: bool
        Seed: int
    }

let private caseOf (size: Gen<int>) : Gen<Case> =
    gen {
        let! m = size
        let! n = size
        let! k = size
        let! gaps = Gen.three (Gen.choose (0, 5))
        let! transposedA = Gen.elements [ false; true ]
        let! transposedB = Gen.elements [ false; true ]
        let! accumulate = Gen.elements [ false; true ]
        let! seed = Gen.choose (0, 1_000_000)

        return
            {
                M = m
                N = n
                K = k
                Gaps = gaps
                TransposedA = transposedA
                TransposedB = transposedB
                Accumulate = accumulate
                Seed = seed
            }
    }

let private small = caseOf (Gen.choose (1, 70))
let private middling = caseOf (Gen.choose (1, 300))

/// Fails for the first of 300 cases that does not hold.
let private check (cases: Gen<Case>) (count: int) (holds: Case -> bool) : unit =
    let config = Config.QuickThrowOnFailure.WithMaxTest count
    Check.One(config, Prop.forAll (Arb.fromGen cases) holds)

/// A matrix in an array: (i, j) at Offset + i * Down + j * Right, and noise everywhere else.
type Stored<'T> = { Values: 'T[]; Down: int; Right: int }

let private guard = 40

let private store (e: Element<'T>) (random: Random) rows columns gap transposed : Stored<'T> =
    let length = (if transposed then rows else columns) + gap
    let lines = if transposed then columns else rows

    {
        Values =
            Array.init (2 * guard + lines * length) (fun _ -> e.Of(2.0 * random.NextDouble() - 1.0))
        Down = if transposed then 1 else length
        Right = if transposed then length else 1
    }

let private at (s: Stored<'T>) i j : int = guard + i * s.Down + j * s.Right

/// The oracle: C as it must be, and everything around it as it was.
let private naive (e: Element<'T>) case (a: Stored<'T>) (b: Stored<'T>) (c: Stored<'T>) : 'T[] =
    let values = Array.copy c.Values

    for i in 0 .. case.M - 1 do
        for j in 0 .. case.N - 1 do
            let mutable sum = if case.Accumulate then c.Values[at c i j] else e.Of 0.0

            for k in 0 .. case.K - 1 do
                sum <- e.Fma a.Values[at a i k] b.Values[at b k j] sum

            values[at c i j] <- sum

    values

let private stored (e: Element<'T>) (case: Case) =
    let random = Random case.Seed
    let gapA, gapB, gapC = case.Gaps
    let a = store e random case.M case.K gapA case.TransposedA
    let b = store e random case.K case.N gapB case.TransposedB
    a, b, store e random case.M case.N gapC false

let private packedA (case: Case) (a: Stored<'T>) : 'T[] =
    let packed = Array.zeroCreate (Gemm.packedLength<'T> case.M case.K)
    use source = fixed &a.Values[guard]
    use destination = fixed packed
    Gemm.pack (source, case.M, case.K, a.Down, a.Right, destination)
    packed

let private packedB (case: Case) (b: Stored<'T>) : 'T[] =
    let packed = Array.zeroCreate (Gemm.packedColumnsLength<'T> case.K case.N)
    use source = fixed &b.Values[guard]
    use destination = fixed packed
    Gemm.packColumns (source, case.K, case.N, b.Down, b.Right, destination)
    packed

let private withPacked case a (b: Stored<'T>) (c: Stored<'T>) : 'T[] =
    let values = Array.copy c.Values
    let packed = packedA case a
    use pa = fixed packed
    use pb = fixed &b.Values[guard]
    use pc = fixed &values[guard]
    Gemm.multiplyPacked (pa, case.M, case.K, pb, b.Down, case.N, pc, c.Down, case.Accumulate)
    values

let private withPanels case a b (c: Stored<'T>) : 'T[] =
    let values = Array.copy c.Values
    let packedA, packedB = packedA case a, packedB case b
    use pa = fixed packedA
    use pb = fixed packedB
    use pc = fixed &values[guard]
    Gemm.multiplyPanels (pa, case.M, case.K, pb, case.N, pc, c.Down, case.Accumulate)
    values

let private withThreads threads case (a: Stored<'T>) (b: Stored<'T>) (c: Stored<'T>) : 'T[] =
    let values = Array.copy c.Values
    use pa = fixed &a.Values[guard]
    use pb = fixed &b.Values[guard]
    use pc = fixed &values[guard]

    Gemm.multiply (
        case.M,
        case.N,
        case.K,
        pa,
        a.Down,
        a.Right,
        pb,
        b.Down,
        b.Right,
        pc,
        c.Down,
        case.Accumulate,
        threads
    )

    values

/// B must lie transposed: it is X of Y·Xᵀ, and A must not.
let private withTransposed case (a: Stored<'T>) (b: Stored<'T>) (c: Stored<'T>) : 'T[] =
    let values = Array.copy c.Values

    let scratch =
        Array.zeroCreate (Gemm.transposedScratchLength<'T> case.M case.N case.K)

    use y = fixed &a.Values[guard]
    use x = fixed &b.Values[guard]
    use pc = fixed &values[guard]
    use ps = fixed scratch

    Gemm.multiplyTransposed (
        y,
        case.M,
        a.Down,
        x,
        case.N,
        b.Right,
        case.K,
        pc,
        c.Down,
        case.Accumulate,
        ps
    )

    values

let private sameBits (expected: 'T[]) (found: 'T[]) : bool =
    ReadOnlySpan(expected).SequenceEqual(ReadOnlySpan found)

/// The law of all products: the bits of the naive chain in C, and the old bits everywhere else.
let private obeys (e: Element<'T>) way case : bool =
    let a, b, c = stored e case
    sameBits (naive e case a b c) (way case a b c)

let private bothTypes cases count (shape: Case -> Case) (wayD, wayS) : unit =
    check cases count (shape >> obeys double wayD)
    check cases count (shape >> obeys single wayS)

[<Fact>]
let ``multiplyPacked has the bits of the naive chain and writes nothing else`` () =
    let rowMajorB case = { case with TransposedB = false }
    bothTypes small 300 rowMajorB (withPacked, withPacked)

[<Fact>]
let ``multiplyPacked goes through a large depth in blocks without changing a bit`` () =
    let deep case = { case with TransposedB = false; K = case.K + 1000; M = min case.M 30 }
    bothTypes small 20 deep (withPacked, withPacked)

[<Fact>]
let ``multiplyPanels has the bits of the naive chain`` () =
    bothTypes small 300 id (withPanels, withPanels)
    let deep case = { case with K = case.K + 1000; M = min case.M 30 }
    bothTypes small 20 deep (withPanels, withPanels)

[<Fact>]
let ``a depth of 0 clears C, or leaves it when accumulating`` () =
    let flat case = { case with K = 0; TransposedB = false }
    bothTypes small 30 flat (withPacked, withPacked)
    bothTypes small 30 flat (withThreads 2, withThreads 2)

[<Fact>]
let ``multiplyTransposed has the bits of the naive chain`` () =
    let both case = { case with TransposedA = false; TransposedB = true }
    bothTypes small 300 both (withTransposed, withTransposed)

[<Fact>]
let ``multiply has the bits of the naive chain for 1, 2 and 7 threads`` () =
    for threads in [ 1; 2; 7 ] do
        bothTypes small 200 id (withThreads threads, withThreads threads)
        bothTypes middling 5 id (withThreads threads, withThreads threads)

[<Fact>]
let ``multiply cuts long sides into chunks without changing a bit`` () =
    let long (m, n, k) case = { case with M = m; N = n; K = k }

    for sides in [ 2150, 9, 5; 9, 2100, 5; 9, 20, 2100; 15, 2100, 1030 ] do
        bothTypes small 2 (long sides) (withThreads 2, withThreads 2)

[<Fact>]
let ``a column of a product has the bits of Gemv packed`` () =
    bothTypes
        small
        300
        (fun case -> { case with N = 1; TransposedB = false })
        (withPacked, withPacked)

[<Fact>]
let ``Gemv transposed has the bits of the naive chain and writes nothing else`` () =
    // y (N) = Bᵀ x, where x is the one row of A.
    let way (case: Case) (a: Stored<'T>) (b: Stored<'T>) (c: Stored<'T>) =
        let values = Array.copy c.Values
        use pb = fixed &b.Values[guard]
        use px = fixed &a.Values[guard]
        use py = fixed &values[guard]
        Gemv.transposed (pb, b.Down, case.K, case.N, px, py, case.Accumulate)
        values

    let row case = { case with M = 1; TransposedA = false; TransposedB = false }
    bothTypes small 300 row (way, way)

/// y = A x for A the M × K matrix and x the first column of B, contiguous.
let private rowMajor (case: Case) (a: Stored<'T>) (b: Stored<'T>) (c: Stored<'T>) : 'T[] =
    let values = Array.copy c.Values
    use pa = fixed &a.Values[guard]
    use px = fixed &b.Values[guard]
    use py = fixed &values[guard]
    Gemv.rowMajor (pa, a.Down, case.M, case.K, px, py, case.Accumulate)
    values

let private near (e: Element<'T>) (case: Case) : bool =
    let case =
        { case with N = 1; TransposedA = false; TransposedB = true; Gaps = (3, 0, 0) }

    let a, b, c = stored e case
    let tolerance = e.Epsilon * float (case.K + 2)
    let expected, found = naive e case a b c, rowMajor case a b c

    Array.forall2 (fun x y -> abs (e.ToFloat x - e.ToFloat y) <= tolerance) expected found

[<Fact>]
let ``Gemv rowMajor is the naive product but for rounding and writes nothing else`` () =
    check small 300 (near double)
    check small 300 (near single)

[<Fact>]
let ``a row of Gemv rowMajor has the same bits alone and among others`` () =
    let holds case =
        let case =
            { case with N = 1; TransposedA = false; TransposedB = true; Gaps = (3, 0, 0) }

        let a, b, c = stored single case
        let all = rowMajor case a b c

        Seq.forall
            (fun i ->
                let shifted (s: Stored<float32>) by = { s with Values = Array.skip by s.Values }
                let one = { case with M = 1 }
                let alone = rowMajor one (shifted a (i * a.Down)) b (shifted c (i * c.Down))
                alone[guard] = all[at c i 0])
            (seq { 0 .. case.M - 1 })

    check small 50 holds

/// The results that a NaN or an infinity enters are those of the naive chain, and so are the others.
let private propagates (e: Element<'T>) (special: float) way (case: Case) : bool =
    let a, b, c = stored e case
    let random = Random(case.Seed + 1)
    a.Values[at a (random.Next case.M) (random.Next case.K)] <- e.Of special
    b.Values[at b (random.Next case.K) (random.Next case.N)] <- e.Of special

    Array.forall2
        (fun x y -> (e.ToFloat x).Equals(e.ToFloat y))
        (naive e case a b c)
        (way case a b c)

[<Theory>]
[<InlineData(Double.NaN)>]
[<InlineData(Double.PositiveInfinity)>]
[<InlineData(Double.NegativeInfinity)>]
let ``NaN and infinity propagate as in the naive chain`` (special: float) =
    let rowMajorB case = { case with TransposedB = false }
    check small 100 (rowMajorB >> propagates double special withPacked)
    check small 100 (rowMajorB >> propagates single special withPacked)
    check small 100 (propagates double special (withThreads 2))
    check small 100 (propagates single special (withThreads 2))
