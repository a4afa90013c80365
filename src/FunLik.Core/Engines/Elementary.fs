namespace FunLik

open System
open System.Runtime.CompilerServices
open System.Runtime.Intrinsics
open System.Runtime.Intrinsics.X86

module private Shorthand =

    let inline fma
        (a: Vector512<float>, b: Vector512<float>, c: Vector512<float>)
        : Vector512<float> =
        Vector512.FusedMultiplyAdd(a, b, c)

    let inline splat (x: float) : Vector512<float> = Vector512.Create x

open Shorthand

// The compiler cuts long methods in two, which no longer go into loops: so these are short.

/// exp, log and tanh of a register, within two units in the last place, for loops that keep their values in registers. On AVX-512 both
/// use a table of sixteen entries in two registers and a short polynomial; elsewhere the framework's functions. A function that is called, and not expanded where it stands,
/// takes registers by way of the stack, which is three times as slow in every other process: where the stack lies on an odd
/// multiple of 16 bytes, registers straddle cache lines.
[<AbstractClass; Sealed>]
type internal Elementary =

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private Powers(index: Vector512<int64>) : Vector512<float> =
        let low =
            Vector512.Create(
                1.0,
                1.0442737824274138,
                1.0905077326652577,
                1.1387886347566916,
                1.189207115002721,
                1.241857812073484,
                1.2968395546510096,
                1.3542555469368927
            )

        let high =
            Vector512.Create(
                1.4142135623730951,
                1.4768261459394993,
                1.5422108254079407,
                1.6104903319492543,
                1.681792830507429,
                1.7562521603732995,
                1.8340080864093424,
                1.9152065613971474
            )

        Avx512F.PermuteVar8x64x2(low, index, high)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private ExpRest(r: Vector512<float>) : Vector512<float> =
        let q = fma (r, splat (1.0 / 5040.0), splat (1.0 / 720.0))
        let q = fma (r, q, splat (1.0 / 120.0))
        let q = fma (r, q, splat (1.0 / 24.0))
        let q = fma (r, q, splat (1.0 / 6.0))
        let q = fma (r, q, splat 0.5)
        fma (Vector512.Multiply(r, r), q, r)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private ExpWithin(x: Vector512<float>) : Vector512<float> =
        let magic = splat 6755399441055744.0
        let shifted = fma (x, splat 23.083120654223414, magic)
        let k = Vector512.Subtract(shifted, magic)
        let r = fma (k, splat -0.04332169877307024, x)
        let r = fma (k, splat -1.1926343307941173e-11, r)
        let power = Elementary.Powers(shifted.AsInt64())
        let value = fma (power, Elementary.ExpRest r, power)
        Avx512F.Scale(value, Vector512.Multiply(k, splat 0.0625))

    /// exp x: x = (16 m + j) ln 2 / 16 + r, and exp x = 2^m 2^(j/16) exp r.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Exp(x: Vector512<float>) : Vector512<float> =
        if Avx512F.IsSupported then
            // NaN, the second operand, passes both.
            Elementary.ExpWithin(Avx512F.Max(splat -746.0, Avx512F.Min(splat 710.0, x)))
        else
            Vector512.Exp x

    // Entries by round(16 m) mod 16: 16 to 23, then 24, three that do not occur, and 12 to 15.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private Inverses(index: Vector512<int64>) : Vector512<float> =
        let inverseLow =
            Vector512.Create(
                1.0,
                0.9411764705882353,
                0.8888888888888888,
                0.8421052631578947,
                0.8,
                0.7619047619047619,
                0.7272727272727273,
                0.6956521739130435
            )

        let inverseHigh =
            Vector512.Create(
                0.6666666666666666,
                1.0,
                1.0,
                1.0,
                1.3333333333333333,
                1.2307692307692308,
                1.1428571428571428,
                1.0666666666666667
            )

        Avx512F.PermuteVar8x64x2(inverseLow, index, inverseHigh)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private Logs(index: Vector512<int64>) : Vector512<float> =
        let logLow =
            Vector512.Create(
                0.0,
                0.060624621816434854,
                0.11778303565638351,
                0.17185025692665928,
                0.2231435513142097,
                0.2719337154836418,
                0.3184537311185346,
                0.3629054936893685
            )

        let logHigh =
            Vector512.Create(
                0.40546510810816444,
                0.0,
                0.0,
                0.0,
                -0.28768207245178085,
                -0.20763936477824455,
                -0.13353139262452257,
                -0.06453852113757116
            )

        Avx512F.PermuteVar8x64x2(logLow, index, logHigh)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private LogHigh(r: Vector512<float>) : Vector512<float> =
        let q = fma (r, splat (1.0 / 13.0), splat (-1.0 / 12.0))
        let q = fma (r, q, splat (1.0 / 11.0))
        let q = fma (r, q, splat (-1.0 / 10.0))
        let q = fma (r, q, splat (1.0 / 9.0))
        q

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private LogRest(r: Vector512<float>) : Vector512<float> =
        let q = Elementary.LogHigh r
        let q = fma (r, q, splat (-1.0 / 8.0))
        let q = fma (r, q, splat (1.0 / 7.0))
        let q = fma (r, q, splat (-1.0 / 6.0))
        let q = fma (r, q, splat (1.0 / 5.0))
        let q = fma (r, q, splat (-1.0 / 4.0))
        let q = fma (r, q, splat (1.0 / 3.0))
        let q = fma (r, q, splat -0.5)
        fma (Vector512.Multiply(r, r), q, r)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private LogOf
        (m: Vector512<float>, exponent: Vector512<float>)
        : Vector512<float> =
        let one = Vector512<float>.One

        let e =
            Vector512.Add(exponent, Vector512.BitwiseAnd(Vector512.LessThan(m, one), one))

        let index = fma(m, splat 16.0, splat 6755399441055744.0).AsInt64()
        let r = fma (m, Elementary.Inverses index, Vector512.Negate one)
        let small = fma (e, splat 1.9082149292705877e-10, Elementary.LogRest r)
        Vector512.Add(fma (e, splat 0.6931471803691238, Elementary.Logs index), small)

    /// log x: x = 2^e m with m from 0.75 to 1.5, c = 16 / round(16 m) from the table, and
    /// log x = e ln 2 - log c + log(1 + (m c - 1)).
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Log(x: Vector512<float>) : Vector512<float> =
        if Avx512F.IsSupported then
            let x = Vector512.Add(x, Vector512<float>.Zero)
            Elementary.LogOf(Avx512F.GetMantissa(x, 0x0Buy), Avx512F.GetExponent x)
        else
            Vector512.Log x

    // 1/2!, 1/3!, … nearly: interpolated at Chebyshev nodes of |r| <= ln 2 / 2, to 2^-62.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private Expm1High(r: Vector512<float>) : Vector512<float> =
        let q = fma (r, splat 2.0914717341716378e-09, splat 2.5105259538448494e-08)
        let q = fma (r, q, splat 2.755727357010214e-07)
        let q = fma (r, q, splat 2.7557255297969643e-06)
        let q = fma (r, q, splat 2.4801587325605324e-05)
        fma (r, q, splat 0.0001984126987490126)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private Expm1Rest(r: Vector512<float>) : Vector512<float> =
        let q = fma (r, Elementary.Expm1High r, splat 0.001388888888888373)
        let q = fma (r, q, splat 0.008333333333326112)
        let q = fma (r, q, splat 0.04166666666666667)
        let q = fma (r, q, splat 0.1666666666666667)
        let q = fma (r, q, splat 0.5)
        fma (Vector512.Multiply(r, r), q, r)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private Expm1Within(x: Vector512<float>) : Vector512<float> =
        let k = Vector512.Round(Vector512.Multiply(x, splat 1.4426950408889634))
        let r = fma (k, splat -0.6931471805437468, x)
        let r = fma (k, splat -1.619851018665656e-11, r)
        let power = Avx512F.Scale(splat 1.0, k)
        fma (Elementary.Expm1Rest r, power, Vector512.Subtract(power, splat 1.0))

    /// tanh x = t / (t + 2) with t = exp(2x) - 1, exact to the last digits where x is small.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Tanh(x: Vector512<float>) : Vector512<float> =
        if Avx512F.IsSupported then
            let twice = Avx512F.Max(splat -44.0, Avx512F.Min(splat 44.0, Vector512.Add(x, x)))
            let t = Elementary.Expm1Within twice
            Vector512.Divide(t, Vector512.Add(t, splat 2.0))
        else
            Elementary.EachTanh x

    [<MethodImpl(MethodImplOptions.NoInlining)>]
    static member private EachTanh(x: Vector512<float>) : Vector512<float> =
        let mutable y = x

        for i in 0 .. Vector512<float>.Count - 1 do
            y <- y.WithElement(i, tanh (x.GetElement i))

        y

    /// The power of two that a quotient takes over from its divisor. It is finite: a scale by infinity makes numbers of NaN.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Exponent(divisor: Vector512<float>) : Vector512<float> =
        let exponent = Vector512.Subtract(splat -1.0, Avx512F.GetExponent divisor)
        Avx512F.Max(splat -3000.0, Avx512F.Min(splat 3000.0, exponent))

    /// The inverse of a divisor scaled so, to between ½ and 1: with `Exponent`, what all quotients by it have in common.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Inverse
        (divisor: Vector512<float>, exponent: Vector512<float>)
        : Vector512<float> =
        Vector512.Divide(splat 1.0, Avx512F.Scale(divisor, exponent))

    /// x over a divisor, within two units in the last place, whatever the sizes; AVX-512 alone. The power of two comes first:
    /// so what is too large or too small for a number is so in the quotient only.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Quotient
        (x: Vector512<float>, exponent: Vector512<float>, inverse: Vector512<float>)
        : Vector512<float> =
        Vector512.Multiply(Avx512F.Scale(x, exponent), inverse)
