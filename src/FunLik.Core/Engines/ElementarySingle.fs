namespace FunLik

open System.Runtime.CompilerServices
open System.Runtime.Intrinsics
open System.Runtime.Intrinsics.X86

module private SingleShorthand =

    let inline fma
        (a: Vector512<float32>, b: Vector512<float32>, c: Vector512<float32>)
        : Vector512<float32> =
        Vector512.FusedMultiplyAdd(a, b, c)

    let inline splat (x: float32) : Vector512<float32> = Vector512.Create x

open SingleShorthand

/// exp, log and tanh of a register in single precision, within two units in the last place, for loops that keep their values in
/// registers; without AVX-512 the framework's functions.
[<AbstractClass; Sealed>]
type internal ElementarySingle =

    // 1/2!, 1/3!, … nearly: interpolated at Chebyshev nodes of |r| <= ln 2 / 2, to 2^-32.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private Expm1Rest(r: Vector512<float32>) : Vector512<float32> =
        let q = fma (r, splat 0.00019891030654370327f, splat 0.0013933685862617174f)
        let q = fma (r, q, splat 0.008333310889582076f)
        let q = fma (r, q, splat 0.04166646460202654f)
        let q = fma (r, q, splat 0.16666666681659179f)
        let q = fma (r, q, splat 0.5f)
        fma (Vector512.Multiply(r, r), q, r)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private Halvings(x: Vector512<float32>) : Vector512<float32> =
        Vector512.Round(Vector512.Multiply(x, splat 1.44269504f))

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private Remainder
        (x: Vector512<float32>, k: Vector512<float32>)
        : Vector512<float32> =
        let r = fma (k, splat -0.693359375f, x)
        fma (k, splat 2.12194440e-4f, r)

    /// exp x = 2^k exp r, |r| at most ln 2 / 2.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Exp(x: Vector512<float32>) : Vector512<float32> =
        if Avx512F.IsSupported then
            // NaN, the second operand, passes both.
            let within = Avx512F.Max(splat -104.0f, Avx512F.Min(splat 89.0f, x))
            let k = ElementarySingle.Halvings within
            let rest = ElementarySingle.Expm1Rest(ElementarySingle.Remainder(within, k))
            Avx512F.Scale(Vector512.Add(rest, splat 1.0f), k)
        else
            Vector512.Exp x

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private Expm1Within(x: Vector512<float32>) : Vector512<float32> =
        let k = ElementarySingle.Halvings x
        let power = Avx512F.Scale(splat 1.0f, k)
        let rest = ElementarySingle.Expm1Rest(ElementarySingle.Remainder(x, k))
        fma (rest, power, Vector512.Subtract(power, splat 1.0f))

    /// tanh x = t / (t + 2) with t = exp(2x) - 1, exact to the last digits where x is small.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Tanh(x: Vector512<float32>) : Vector512<float32> =
        if Avx512F.IsSupported then
            let twice = Avx512F.Max(splat -20.0f, Avx512F.Min(splat 20.0f, Vector512.Add(x, x)))
            let t = ElementarySingle.Expm1Within twice
            Vector512.Divide(t, Vector512.Add(t, splat 2.0f))
        else
            ElementarySingle.EachTanh x

    [<MethodImpl(MethodImplOptions.NoInlining)>]
    static member private EachTanh(x: Vector512<float32>) : Vector512<float32> =
        let mutable y = x

        for i in 0 .. Vector512<float32>.Count - 1 do
            y <- y.WithElement(i, tanh (x.GetElement i))

        y

    // log(1 + f) by fdlibm's e_logf: s = f / (2 + f) and an even polynomial in s.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private LogRest
        (z: Vector512<float32>, half: Vector512<float32>)
        : Vector512<float32> =
        let q = fma (z, splat 0.24279078841f, splat 0.28498786688f)
        let q = fma (z, q, splat 0.40000972152f)
        let q = fma (z, q, splat 0.66666662693f)
        fma (z, q, half)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private LogOf(m: Vector512<float32>, e: Vector512<float32>) : Vector512<float32> =
        let f = Vector512.Subtract(m, splat 1.0f)
        let s = Vector512.Divide(f, Vector512.Add(f, splat 2.0f))
        let half = Vector512.Multiply(Vector512.Multiply(f, f), splat 0.5f)

        let rest =
            Vector512.Multiply(s, ElementarySingle.LogRest(Vector512.Multiply(s, s), half))

        let low = fma (e, splat 9.0580006145e-06f, rest)
        let small = Vector512.Subtract(f, Vector512.Subtract(half, low))
        fma (e, splat 6.9313812256e-01f, small)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private IsOrdinary(x: Vector512<float32>) : Vector512<float32> =
        Vector512.BitwiseAnd(
            Vector512.GreaterThan(x, Vector512<float32>.Zero),
            Vector512.LessThan(x, splat infinityf)
        )

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member private Border(x: Vector512<float32>) : Vector512<float32> =
        // What is not above 0 and not 0 has no logarithm; infinity and what is no number stay.
        let isNegative = Vector512.LessThan(x, Vector512<float32>.Zero)
        let isZero = Vector512.Equals(x, Vector512<float32>.Zero)
        let ofZero = Vector512.ConditionalSelect(isZero, splat -infinityf, x)
        Vector512.ConditionalSelect(isNegative, splat nanf, ofZero)

    /// log x: x = 2^e m with m from 0.75 to 1.5.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Log(x: Vector512<float32>) : Vector512<float32> =
        if Avx512F.IsSupported then
            let m = Avx512F.GetMantissa(x, 0x0Buy)
            let one = Vector512<float32>.One

            let e =
                Vector512.Add(
                    Avx512F.GetExponent x,
                    Vector512.BitwiseAnd(Vector512.LessThan(m, one), one)
                )

            Vector512.ConditionalSelect(
                ElementarySingle.IsOrdinary x,
                ElementarySingle.LogOf(m, e),
                ElementarySingle.Border x
            )
        else
            Vector512.Log x

    /// The power of two that a quotient takes over from its divisor. It is finite: a scale by infinity makes numbers of NaN.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Exponent(divisor: Vector512<float32>) : Vector512<float32> =
        let exponent = Vector512.Subtract(splat -1.0f, Avx512F.GetExponent divisor)
        Avx512F.Max(splat -3000.0f, Avx512F.Min(splat 3000.0f, exponent))

    /// The inverse of a divisor scaled so, to between ½ and 1: with `Exponent`, what all quotients by it have in common.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Inverse
        (divisor: Vector512<float32>, exponent: Vector512<float32>)
        : Vector512<float32> =
        Vector512.Divide(splat 1.0f, Avx512F.Scale(divisor, exponent))

    /// x over a divisor, within two units in the last place, whatever the sizes; AVX-512 alone. The power of two comes first:
    /// so what is too large or too small for a number is so in the quotient only.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Quotient
        (x: Vector512<float32>, exponent: Vector512<float32>, inverse: Vector512<float32>)
        : Vector512<float32> =
        Vector512.Multiply(Avx512F.Scale(x, exponent), inverse)
