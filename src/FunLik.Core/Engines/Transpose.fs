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

        if Avx.IsSupported && rows >= v && columns >= v then
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
