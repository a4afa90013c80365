namespace FunLik

open System
open System.Runtime.CompilerServices
open System.Runtime.Intrinsics

/// sin and cos of a register, within two units in the last place. The argument is taken to within π/4 of 0 by a multiple of π/2 in three
/// parts, exactly in the first; the polynomials are those of fdlibm (Sun Microsystems, 1993).
[<AbstractClass; Sealed>]
type internal Trigonometry =

    /// Arguments beyond this, infinities and NaN are left to the framework, one by one.
    static member private Largest: float = 1e9

    [<MethodImpl(MethodImplOptions.NoInlining)>]
    static member private Each(quarter: int64, x: Vector512<float>) : Vector512<float> =
        let mutable y = x

        for i in 0 .. Vector512<float>.Count - 1 do
            let v = x.GetElement i
            y <- y.WithElement(i, (if quarter = 0L then sin v else cos v))

        y

    static member private SinRest(z: Vector512<float>) : Vector512<float> =
        let q = Vector512.Create 1.58969099521155010221e-10

        let q =
            Vector512.FusedMultiplyAdd(z, q, Vector512.Create -2.50507602534068634195e-08)

        let q =
            Vector512.FusedMultiplyAdd(z, q, Vector512.Create 2.75573137070700676789e-06)

        let q =
            Vector512.FusedMultiplyAdd(z, q, Vector512.Create -1.98412698298579493134e-04)

        let q =
            Vector512.FusedMultiplyAdd(z, q, Vector512.Create 8.33333333332248946124e-03)

        Vector512.FusedMultiplyAdd(z, q, Vector512.Create -1.66666666666666324348e-01)

    static member private CosRest(z: Vector512<float>) : Vector512<float> =
        let q = Vector512.Create -1.13596475577881948265e-11

        let q =
            Vector512.FusedMultiplyAdd(z, q, Vector512.Create 2.08757232129817482790e-09)

        let q =
            Vector512.FusedMultiplyAdd(z, q, Vector512.Create -2.75573143513906633035e-07)

        let q =
            Vector512.FusedMultiplyAdd(z, q, Vector512.Create 2.48015872894767294178e-05)

        let q =
            Vector512.FusedMultiplyAdd(z, q, Vector512.Create -1.38888888888741095749e-03)

        Vector512.FusedMultiplyAdd(z, q, Vector512.Create 4.16666666666666019037e-02)

    static member private Within(quarter: int64, x: Vector512<float>) : Vector512<float> =
        let magic = Vector512.Create 6755399441055744.0
        let shifted = Vector512.FusedMultiplyAdd(x, Vector512.Create(2.0 / Math.PI), magic)
        let k = Vector512.Subtract(shifted, magic)
        let r = Vector512.FusedMultiplyAdd(k, Vector512.Create -1.5707963267948966, x)
        let r = Vector512.FusedMultiplyAdd(k, Vector512.Create -6.123233995736766e-17, r)
        let r = Vector512.FusedMultiplyAdd(k, Vector512.Create 1.4973849048591833e-33, r)
        let turn = Vector512.Add(shifted.AsInt64(), Vector512.Create quarter)
        let z = Vector512.Multiply(r, r)

        let sine =
            Vector512.FusedMultiplyAdd(Vector512.Multiply(r, z), Trigonometry.SinRest z, r)

        let half = Vector512.Multiply(z, Vector512.Create 0.5)
        let one = Vector512<float>.One
        let w = Vector512.Subtract(one, half)
        let lost = Vector512.Subtract(Vector512.Subtract(one, w), half)

        let cosine =
            Vector512.Add(
                w,
                Vector512.FusedMultiplyAdd(Vector512.Multiply(z, z), Trigonometry.CosRest z, lost)
            )

        let isSine =
            Vector512.Equals(
                Vector512.BitwiseAnd(turn, Vector512<int64>.One),
                Vector512<int64>.Zero
            )

        // Bit 1 of the quarter is the sign.
        let sign = Vector512.ShiftLeft(Vector512.BitwiseAnd(turn, Vector512.Create 2L), 62)

        Vector512.Xor(Vector512.ConditionalSelect(isSine.AsDouble(), sine, cosine), sign.AsDouble())

    /// sin of x and so many quarters of a turn.
    static member private Of(quarter: int64, x: Vector512<float>) : Vector512<float> =
        let largest = Vector512.Create Trigonometry.Largest

        if Vector512.LessThanAll(Vector512.Abs x, largest) then
            Trigonometry.Within(quarter, x)
        else
            Trigonometry.Each(quarter, x)

    static member private OfSingle(quarter: int64, x: Vector512<float32>) : Vector512<float32> =
        let struct (low, high) = Vector512.Widen x
        Vector512.Narrow(Trigonometry.Of(quarter, low), Trigonometry.Of(quarter, high))

    static member Sin(x: Vector512<float>) : Vector512<float> = Trigonometry.Of(0L, x)
    static member Cos(x: Vector512<float>) : Vector512<float> = Trigonometry.Of(1L, x)
    static member Sin(x: Vector512<float32>) : Vector512<float32> = Trigonometry.OfSingle(0L, x)
    static member Cos(x: Vector512<float32>) : Vector512<float32> = Trigonometry.OfSingle(1L, x)
