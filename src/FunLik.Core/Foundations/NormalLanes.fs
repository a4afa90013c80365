namespace FunLik

#nowarn "9" // Writes by pointer

open System.Runtime.CompilerServices
open System.Runtime.Intrinsics
open System.Runtime.Intrinsics.X86
open FSharp.NativeInterop

/// Standard normal numbers, sixteen at a time: eight Philox blocks side by side, one a lane, and
/// Box and Muller's transform of each. Between processors last bits may differ where one of them
/// has no fused multiply-add.
[<RequireQualifiedAccess>]
module internal NormalLanes =

    /// The product of the lower halves of all lanes, of which the upper halves are 0.
    let inline private multiply (x: Vector512<uint64>) (y: Vector512<uint64>) =
        if Avx512F.IsSupported then
            Avx512F.Multiply(x.AsUInt32(), y.AsUInt32())
        else
            x * y

    let inline private low (x: Vector512<uint64>) : Vector512<uint64> =
        x &&& Vector512.Create 0xFFFFFFFFUL

    let inline private high (x: Vector512<uint64>) : Vector512<uint64> =
        Vector512.ShiftRightLogical(x, 32)

    /// As `Key` makes uniform numbers: (k + ½)·2⁻⁵², k the upper 52 bits.
    let inline private toUniform (bits: Vector512<uint64>) : Vector512<float> =
        let exponent = Vector512.Create 0x3FF0000000000000UL
        let ones = Vector512.ShiftRightLogical(bits, 12) ||| exponent
        ones.AsDouble() - Vector512.Create 0.9999999999999999

    let inline private fma (x: Vector512<float>) (y: Vector512<float>) (z: float) =
        Vector512.FusedMultiplyAdd(x, y, Vector512.Create z)

    /// Sine and cosine of a quarter turn times f, |f| at most ½: Taylor's series, to 10⁻¹⁶.
    let inline private ofQuarter
        (f: Vector512<float>)
        : struct (Vector512<float> * Vector512<float>) =
        let a = f * Vector512.Create(System.Math.PI / 2.0)
        let x = a * a
        let s = fma (Vector512.Create(-1.0 / 1307674368000.0)) x (1.0 / 6227020800.0)
        let s = fma s x (-1.0 / 39916800.0)
        let s = fma s x (1.0 / 362880.0)
        let s = fma s x (-1.0 / 5040.0)
        let s = fma s x (1.0 / 120.0)
        let s = fma s x (-1.0 / 6.0)
        let c = fma (Vector512.Create(1.0 / 20922789888000.0)) x (-1.0 / 87178291200.0)
        let c = fma c x (1.0 / 479001600.0)
        let c = fma c x (-1.0 / 3628800.0)
        let c = fma c x (1.0 / 40320.0)
        let c = fma c x (-1.0 / 720.0)
        let c = fma c x (1.0 / 24.0)
        let c = fma c x -0.5
        struct (Vector512.FusedMultiplyAdd(s * x, a, a), fma c x 1.0)

    /// Sine and cosine of 2π·u, u between 0 and 1.
    let inline private ofTurn (u: Vector512<float>) : struct (Vector512<float> * Vector512<float>) =
        // Adding 1.5·2⁵² rounds to an integer, which then stands in the lowest bits.
        let magic = Vector512.Create 6755399441055744.0
        let quarters = u * Vector512.Create 4.0
        let shifted = quarters + magic
        let struct (s, c) = ofQuarter (quarters - (shifted - magic))
        let number = shifted.AsUInt64()
        let one, two = Vector512.Create 1UL, Vector512.Create 2UL
        let isOdd = Vector512.Equals(number &&& one, one).AsDouble()
        let signOfSine = Vector512.ShiftLeft(number &&& two, 62)
        let signOfCosine = Vector512.ShiftLeft((number + one) &&& two, 62)
        let sine = Vector512.ConditionalSelect(isOdd, c, s).AsUInt64() ^^^ signOfSine
        let cosine = Vector512.ConditionalSelect(isOdd, s, c).AsUInt64() ^^^ signOfCosine
        struct (sine.AsDouble(), cosine.AsDouble())

    /// Elements 2·pair to 2·pair + 15 of a normal draw, to sixteen places from `target` on.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let sixteen (word: uint64) (stream: uint64) (pair: uint64) (target: nativeptr<float>) : unit =
        let index =
            Vector512.Create pair + Vector512.Create(0UL, 1UL, 2UL, 3UL, 4UL, 5UL, 6UL, 7UL)

        let m0, m1 = Vector512.Create 0xD2511F53UL, Vector512.Create 0xCD9E8D57UL
        let mutable x0 = low index
        let mutable x1 = high index
        let mutable x2 = Vector512.Create(stream &&& 0xFFFFFFFFUL)
        let mutable x3 = Vector512.Create(stream >>> 32)
        let mutable key0 = uint32 word
        let mutable key1 = uint32 (word >>> 32)

        for _ in 1..10 do
            let p0, p1 = multiply x0 m0, multiply x2 m1
            x0 <- high p1 ^^^ x1 ^^^ Vector512.Create(uint64 key0)
            x1 <- low p1
            x2 <- high p0 ^^^ x3 ^^^ Vector512.Create(uint64 key1)
            x3 <- low p0
            key0 <- key0 + 0x9E3779B9u
            key1 <- key1 + 0xBB67AE85u

        let first = toUniform (x0 ||| Vector512.ShiftLeft(x1, 32))
        let second = toUniform (x2 ||| Vector512.ShiftLeft(x3, 32))
        let radius = Vector512.Sqrt(Vector512.Create -2.0 * Vector512.Log first)
        let struct (sine, cosine) = ofTurn second
        let even, odd = radius * cosine, radius * sine

        for lane in 0..7 do
            NativePtr.set target (2 * lane) (even.GetElement lane)
            NativePtr.set target (2 * lane + 1) (odd.GetElement lane)
