namespace FunLik

open System
open System.Numerics
open FSharp.NativeInterop

/// Where tiles meet the world: rows in, rows out, and sums over rows.
module internal Border =

    open Tile

    /// Rows of an input, transposed into the tile; rows that are missing repeat the last one.
    let input (index: int) (out: Operand) : Step<'T> =
        fun f ->
            let n, lanes = out.Size, f.Lanes
            let source = NativePtr.add f.Inputs[index] (f.First * n)
            let target = f.At out

            if lanes = 1 then
                (read source n).CopyTo(write target n)
            else
                if n = 1 then
                    (read source f.Valid).CopyTo(write target f.Valid)
                else
                    Transpose.copy (source, f.Valid, n, n, target, lanes)

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
