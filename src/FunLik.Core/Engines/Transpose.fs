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

    /// Writes the transpose of a square of Vector256<'T>.Count rows.
    let inline private square
        (source: nativeptr<'T>)
        (lds: int)
        (target: nativeptr<'T>)
        (ldt: int)
        =
        if isDouble<'T>() then
            let inline row i = Vector256.Load(at source i lds 0).AsDouble()

            let inline put i (v: Vector256<float>) =
                Vector256.Store(v.As<float, 'T>(), at target i ldt 0)

            let r0, r1, r2, r3 = row 0, row 1, row 2, row 3
            let s0, s1 = Avx.UnpackLow(r0, r1), Avx.UnpackHigh(r0, r1)
            let s2, s3 = Avx.UnpackLow(r2, r3), Avx.UnpackHigh(r2, r3)
            put 0 (Avx.Permute2x128(s0, s2, 0x20uy))
            put 1 (Avx.Permute2x128(s1, s3, 0x20uy))
            put 2 (Avx.Permute2x128(s0, s2, 0x31uy))
            put 3 (Avx.Permute2x128(s1, s3, 0x31uy))
        else
            let inline row i = Vector256.Load(at source i lds 0).AsSingle()

            let inline low i j = Avx.UnpackLow(row i, row j)
            let inline high i j = Avx.UnpackHigh(row i, row j)

            let inline shuffle (x: Vector256<float32>) y control = Avx.Shuffle(x, y, control)

            let inline put i (x: Vector256<float32>) (y: Vector256<float32>) =
                Vector256.Store(Avx.Permute2x128(x, y, 0x20uy).As<float32, 'T>(), at target i ldt 0)

                Vector256.Store(
                    Avx.Permute2x128(x, y, 0x31uy).As<float32, 'T>(),
                    at target (i + 4) ldt 0
                )

            let l01, l23, l45, l67 = low 0 1, low 2 3, low 4 5, low 6 7
            put 0 (shuffle l01 l23 0x44uy) (shuffle l45 l67 0x44uy)
            put 1 (shuffle l01 l23 0xEEuy) (shuffle l45 l67 0xEEuy)
            let h01, h23, h45, h67 = high 0 1, high 2 3, high 4 5, high 6 7
            put 2 (shuffle h01 h23 0x44uy) (shuffle h45 h67 0x44uy)
            put 3 (shuffle h01 h23 0xEEuy) (shuffle h45 h67 0xEEuy)

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
                    square (at source r0 lds c0) lds (at target c0 ldt r0) ldt
                    c <- c + v

                r <- r + v
        else
            for c in 0 .. columns - 1 do
                for r in 0 .. rows - 1 do
                    NativePtr.write (at target c ldt r) (NativePtr.read (at source r lds c))
