namespace FunLik

open System
open System.Numerics
open FSharp.NativeInterop

/// Pieces of tiles as spans and numbers.
module internal Tile =

    /// The features and lanes of a loop over `size` elements a row.
    let inline extent (f: Frame<'T>) (size: int) : struct (int * int) =
        if f.Lanes = 1 then
            struct (1, Layout.padded size)
        else
            struct (size, f.Lanes)

    let inline read (p: nativeptr<'T>) (count: int) : ReadOnlySpan<'T> =
        ReadOnlySpan<'T>(NativePtr.toVoidPtr p, count)

    let inline write (p: nativeptr<'T>) (count: int) : Span<'T> =
        Span<'T>(NativePtr.toVoidPtr p, count)

    let addTo<'T when 'T: unmanaged and 'T :> INumberBase<'T>> (p: nativeptr<'T>) (x: 'T) : unit =
        let known: 'T = NativePtr.read p
        NativePtr.write p (known + x)

    /// An operand written out in full.
    let flatten (f: Frame<'T>) (size: int) (a: Operand) (target: nativeptr<'T>) : unit =
        let struct (features, lanes) = extent f size
        Lanes.expand (features, lanes, f.At a, f.Access a, target)
