namespace FunLik

open System
open System.Numerics
open FSharp.NativeInterop

/// Where tiles meet the world: rows in, rows out, and sums over rows.
module internal Border =

    open Tile

    /// Columns of rows at places that are read at a go.
    let private gathered = 32

    /// Rows that stand in order, transposed.
    let private inOrder (f: Frame<'T>) (all: nativeptr<'T>) (n: int) (target: nativeptr<'T>) =
        let source = NativePtr.add all (f.First * n)

        if n = 1 || f.Lanes = 1 then
            (read source (f.Valid * n)).CopyTo(write target (f.Valid * n))
        else
            Transpose.copy (source, f.Valid, n, n, target, f.Lanes)

    /// Rows that stand at places, some columns after the other.
    let private atPlaces (f: Frame<'T>) (all: nativeptr<'T>) (n: int) (target: nativeptr<'T>) =
        let row (r: int) : nativeptr<'T> =
            let place = NativePtr.get f.Places (f.First + r)
            let bytes = nativeint place * nativeint n * nativeint sizeof<'T>
            NativePtr.ofNativeInt (NativePtr.toNativeInt all + bytes)

        if n = 1 || f.Lanes = 1 then
            for r in 0 .. f.Valid - 1 do
                (read (row r) n).CopyTo(write (NativePtr.add target (r * n)) n)
        else
            let buffer = NativePtr.stackalloc<'T>(f.Valid * gathered)

            for first in 0..gathered .. n - 1 do
                let columns = min gathered (n - first)

                for r in 0 .. f.Valid - 1 do
                    (read (NativePtr.add (row r) first) columns)
                        .CopyTo(write (NativePtr.add buffer (r * gathered)) columns)

                let target = NativePtr.add target (first * f.Lanes)
                Transpose.copy (buffer, f.Valid, columns, gathered, target, f.Lanes)

    /// Rows of an input, transposed into the tile; rows that are missing repeat the last one.
    let input (index: int) (out: Operand) : Step<'T> =
        fun f ->
            let n, lanes = out.Size, f.Lanes
            let target = f.At out

            if NativePtr.toNativeInt f.Places = 0n then
                inOrder f f.Inputs[index] n target
            else
                atPlaces f f.Inputs[index] n target

            if f.Valid < lanes then
                for k in 0 .. n - 1 do
                    let row = NativePtr.add target (k * lanes)

                    (write (NativePtr.add row f.Valid) (lanes - f.Valid))
                        .Fill(NativePtr.get row (f.Valid - 1))

    /// A node's rows to `size` columns, from `column` on, of an output of `width` columns.
    let store (index: int) (column: int) (width: int) (a: Operand) : Step<'T> =
        fun f ->
            let n, lanes = a.Size, f.Lanes
            let target = NativePtr.add f.Outputs[index] (f.First * width + column)
            let source = f.At a

            if a.Space = Space.Row && lanes > 1 then
                if n = 1 && width = 1 then
                    (read source f.Valid).CopyTo(write target f.Valid)
                elif n = 1 then
                    for r in 0 .. f.Valid - 1 do
                        NativePtr.set target (r * width) (NativePtr.get source r)
                else
                    Transpose.copy (source, n, f.Valid, lanes, target, width)
            else
                for r in 0 .. f.Valid - 1 do
                    (read source n).CopyTo(write (NativePtr.add target (r * width)) n)

    /// Adds a tile to a sum over rows: lane by lane where the tile is full.
    let accumulate<'T when 'T: unmanaged and 'T :> INumberBase<'T>>
        (a: Operand)
        (offset: int)
        : Step<'T> =
        fun f ->
            let target = NativePtr.add f.Sums offset
            let source, lanes = f.At a, f.Lanes

            if lanes > 1 && f.Valid = lanes then
                Lanes.add (a.Size * lanes, source, target)
            else
                for k in 0 .. a.Size - 1 do
                    for r in 0 .. f.Valid - 1 do
                        let place = k * lanes + r
                        addTo (NativePtr.add target place) (NativePtr.get source place)
