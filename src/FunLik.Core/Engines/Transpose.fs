namespace FunLik

open System
open System.Runtime.CompilerServices
open System.Runtime.Intrinsics
open System.Runtime.Intrinsics.X86
open FSharp.NativeInterop

/// Transposed copies between row-major arrays and the engine's tiles, on native memory.
[<RequireQualifiedAccess>]
module Transpose =

    let inline private isDouble<'T> () : bool = Type.op_Equality (typeof<'T>, typeof<float>)

    let inline private at (p: nativeptr<'T>) (row: int) (ld: int) (column: int) : nativeptr<'T> =
        NativePtr.add p (row * ld + column)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    let private doubles
        (source: nativeptr<float>, lds: int, target: nativeptr<float>, ldt: int)
        : unit =
        let inline row i = Vector256.Load(at source i lds 0)
        let inline put i v = Vector256.Store(v, at target i ldt 0)
        let r0, r1, r2, r3 = row 0, row 1, row 2, row 3
        let s0, s1 = Avx.UnpackLow(r0, r1), Avx.UnpackHigh(r0, r1)
        let s2, s3 = Avx.UnpackLow(r2, r3), Avx.UnpackHigh(r2, r3)
        put 0 (Avx.Permute2x128(s0, s2, 0x20uy))
        put 1 (Avx.Permute2x128(s1, s3, 0x20uy))
        put 2 (Avx.Permute2x128(s0, s2, 0x31uy))
        put 3 (Avx.Permute2x128(s1, s3, 0x31uy))

    /// Two columns of a square of eight, from four pairs of unpacked rows.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    let private pair
        (
            p0: Vector256<float32>,
            p1: Vector256<float32>,
            p2: Vector256<float32>,
            p3: Vector256<float32>,
            column: int,
            target: nativeptr<float32>,
            ldt: int
        ) : unit =
        let inline put i (x: Vector256<float32>) (y: Vector256<float32>) =
            Vector256.Store(Avx.Permute2x128(x, y, 0x20uy), at target i ldt 0)
            Vector256.Store(Avx.Permute2x128(x, y, 0x31uy), at target (i + 4) ldt 0)

        put column (Avx.Shuffle(p0, p1, 0x44uy)) (Avx.Shuffle(p2, p3, 0x44uy))
        put (column + 1) (Avx.Shuffle(p0, p1, 0xEEuy)) (Avx.Shuffle(p2, p3, 0xEEuy))

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    let private singles
        (source: nativeptr<float32>, lds: int, target: nativeptr<float32>, ldt: int)
        : unit =
        let inline row i = Vector256.Load(at source i lds 0)
        let inline low i = Avx.UnpackLow(row i, row (i + 1))
        let inline high i = Avx.UnpackHigh(row i, row (i + 1))
        pair (low 0, low 2, low 4, low 6, 0, target, ldt)
        pair (high 0, high 2, high 4, high 6, 2, target, ldt)

    /// The columns of four rows, four rows of which are a quarter of a register: column 4 q + k of quarter q is in result k.
    let inline private four
        (r0: Vector512<float32>)
        (r1: Vector512<float32>)
        (r2: Vector512<float32>)
        (r3: Vector512<float32>)
        =
        let l0, l1 =
            Avx512F.UnpackLow(r0, r1).AsDouble(), Avx512F.UnpackLow(r2, r3).AsDouble()

        let h0, h1 =
            Avx512F.UnpackHigh(r0, r1).AsDouble(), Avx512F.UnpackHigh(r2, r3).AsDouble()

        struct (Avx512F.UnpackLow(l0, l1).AsSingle(),
                Avx512F.UnpackHigh(l0, l1).AsSingle(),
                Avx512F.UnpackLow(h0, h1).AsSingle(),
                Avx512F.UnpackHigh(h0, h1).AsSingle())

    /// The transpose of four registers of four quarters.
    let inline private quarters
        (a: Vector512<float32>)
        (b: Vector512<float32>)
        (c: Vector512<float32>)
        (d: Vector512<float32>)
        =
        let ab, cd = Avx512F.Shuffle4x128(a, b, 0x88uy), Avx512F.Shuffle4x128(c, d, 0x88uy)

        let ab', cd' =
            Avx512F.Shuffle4x128(a, b, 0xDDuy), Avx512F.Shuffle4x128(c, d, 0xDDuy)

        struct (Avx512F.Shuffle4x128(ab, cd, 0x88uy),
                Avx512F.Shuffle4x128(ab', cd', 0x88uy),
                Avx512F.Shuffle4x128(ab, cd, 0xDDuy),
                Avx512F.Shuffle4x128(ab', cd', 0xDDuy))

    /// Writes sixteen columns of up to sixteen rows as rows of `width`, 14 or 16 numbers, zeros in place of rows that are missing.
    /// Rows of the target lie no nearer than that. For machines with AVX-512.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let sixteen
        (
            source: nativeptr<float32>,
            rows: int,
            lds: int,
            target: nativeptr<float32>,
            ldt: int,
            width: int
        ) : unit =
        let inline row i =
            if i < rows then
                Vector512.Load(at source i lds 0)
            else
                Vector512<float32>.Zero

        let struct (a0, a1, a2, a3) = four (row 0) (row 1) (row 2) (row 3)
        let struct (b0, b1, b2, b3) = four (row 4) (row 5) (row 6) (row 7)
        let struct (c0, c1, c2, c3) = four (row 8) (row 9) (row 10) (row 11)
        let struct (d0, d1, d2, d3) = four (row 12) (row 13) (row 14) (row 15)
        let struct (t0, t4, t8, t12) = quarters a0 b0 c0 d0
        let struct (t1, t5, t9, t13) = quarters a1 b1 c1 d1
        let struct (t2, t6, t10, t14) = quarters a2 b2 c2 d2
        let struct (t3, t7, t11, t15) = quarters a3 b3 c3 d3

        // In rising order: what a register writes behind its row is written over by the next.
        let inline put i (values: Vector512<float32>) = Vector512.Store(values, at target i ldt 0)
        put 0 t0
        put 1 t1
        put 2 t2
        put 3 t3
        put 4 t4
        put 5 t5
        put 6 t6
        put 7 t7
        put 8 t8
        put 9 t9
        put 10 t10
        put 11 t11
        put 12 t12
        put 13 t13
        put 14 t14

        if width = 16 then
            put 15 t15
        else
            let last, upper = at target 15 ldt 0, t15.GetUpper()
            Vector256.Store(t15.GetLower(), last)
            Vector128.Store(upper.GetLower(), at last 0 0 8)
            let pair = NativePtr.ofNativeInt<float>(NativePtr.toNativeInt (at last 0 0 12))
            NativePtr.write pair (upper.AsDouble().GetElement 2)

    let inline private recast (p: nativeptr<'T>) : nativeptr<'U> =
        NativePtr.ofNativeInt<'U>(NativePtr.toNativeInt p)

    /// Writes the transpose of a square of Vector256<'T>.Count rows; for machines with AVX.
    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    let square<'T when 'T: unmanaged>
        (source: nativeptr<'T>, lds: int, target: nativeptr<'T>, ldt: int)
        : unit =
        if isDouble<'T>() then
            doubles (recast source, lds, recast target, ldt)
        else
            singles (recast source, lds, recast target, ldt)

    /// target[c * ldt + r] = source[r * lds + c] for r < rows, c < columns. 'T is float or float32.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let copy<'T when 'T: unmanaged>
        (source: nativeptr<'T>, rows: int, columns: int, lds: int, target: nativeptr<'T>, ldt: int)
        : unit =
        let v = Vector256<'T>.Count

        if not (isDouble<'T>()) && Avx512F.IsSupported && rows >= 16 && columns >= 16 then
            for blockR in 0 .. (rows - 1) / 16 do
                let r = min (blockR * 16) (rows - 16)

                for blockC in 0 .. (columns - 1) / 16 do
                    let c = min (blockC * 16) (columns - 16)
                    let source, target = recast (at source r lds c), recast (at target c ldt r)
                    sixteen (source, 16, lds, target, ldt, 16)
        elif Avx.IsSupported && rows >= v && columns >= v then
            // Squares at the ends overlap their neighbours instead of running over.
            let mutable r = 0

            while r < rows do
                let r0 = min r (rows - v)
                let mutable c = 0

                while c < columns do
                    let c0 = min c (columns - v)
                    square (at source r0 lds c0, lds, at target c0 ldt r0, ldt)
                    c <- c + v

                r <- r + v
        else
            for c in 0 .. columns - 1 do
                for r in 0 .. rows - 1 do
                    NativePtr.write (at target c ldt r) (NativePtr.read (at source r lds c))
