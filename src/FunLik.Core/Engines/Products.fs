namespace FunLik

open System.Numerics
open FSharp.NativeInterop

/// A step of a pass: tile by tile, or for several tiles at once.
[<RequireQualifiedAccess>]
type internal PassStep<'T when 'T: unmanaged> =
    | Each of Step<'T>
    | Together of (Frame<'T> -> int -> unit)

/// Products of matrices with rows, and sums of outer products of rows.
module internal Products =

    open Tile

    /// A matrix times each row: packed, or transposed as it lies. A batch of one takes the matrix as a whole, tiles share its
    /// panels.
    let ofRows<'T when 'T: unmanaged>
        (packed: Operand option)
        (matrix: Operand)
        (x: Operand)
        (out: Operand)
        : PassStep<'T> =
        PassStep.Together(fun f tiles ->
            let rows, depth = out.Size, x.Size

            if f.Lanes = 1 then
                match packed with
                | Some p -> Gemv.packed (f.At p, rows, depth, f.At x, 1, f.At out, 1, false)
                | None -> Gemv.transposed (f.At matrix, rows, depth, rows, f.At x, f.At out, false)
            else
                let panels, step =
                    match packed with
                    | Some p ->
                        Strided.from (f.At p) (GemmTile.PanelRows * depth), GemmTile.PanelRows
                    | None -> Strided.from (f.At matrix) GemmTile.PanelRows, rows

                // The lines of panels that are not packed lie far apart: the cache holds them for fewer tiles.
                let most = if packed.IsSome then tiles else 2

                for first in 0..most .. tiles - 1 do
                    GemmTile.multiplyStrips (
                        panels,
                        step,
                        rows,
                        depth,
                        NativePtr.add (f.At x) (first * f.Apart),
                        NativePtr.add (f.At out) (first * f.Apart),
                        f.Lanes,
                        f.Apart,
                        min most (tiles - first)
                    ))

    /// One side of outer products, packed row by row: where it begins, in numbers a row, and the numbers of a row and of a panel.
    type Side = { Operand: Operand; First: int; Size: int; Panel: int }

    /// The sides of the matrices among the sums of a pass.
    type Sides =
        {
            Left: Map<int, Side>
            Right: Map<int, Side>
            /// Numbers a row.
            Length: int
        }

    /// The sides of sums of outer products: pairs of nodes and where these live.
    let sides<'T when 'T: unmanaged> (operands: Operand[]) (pairs: (int * int)[]) : Sides =
        let place (panel: int) (first: int) (node: int) =
            let size = operands[node].Size
            let side = { Operand = operands[node]; First = first; Size = size; Panel = panel }
            (node, side), first + Layout.padded (GemmTile.over size panel * panel)

        let nodes (choose: int * int -> int) = pairs |> Array.map choose |> Array.distinct
        let left, first = nodes fst |> Array.mapFold (place Gemm.PanelRows) 0

        let right, length =
            nodes snd |> Array.mapFold (place (Gemm.panelColumns<'T>())) first

        { Left = Map.ofArray left; Right = Map.ofArray right; Length = length }

    let private at (f: Frame<'T>) (side: Side) : nativeptr<'T> =
        NativePtr.add f.Packs (side.First * f.PackDepth)

    /// Packs a side of a tile's rows.
    let pack<'T when 'T: unmanaged> (side: Side) : Step<'T> =
        let spare =
            Pool<Buffer<'T>>(fun () -> Buffer<'T>(Layout.padded side.Size * Frame.fullTile<'T>))

        let put (f: Frame<'T>) (source: nativeptr<'T>) : unit =
            Gemm.packPart (
                source,
                side.Size,
                f.Valid,
                f.Lanes,
                1,
                side.Panel,
                at f side,
                f.PackDepth,
                f.First - f.PackFirst
            )

        fun f ->
            if side.Operand.Space = Space.Row && side.Operand.Stride = 1 then
                put f (f.At side.Operand)
            else
                // What is shared stands in all lanes.
                let buffer = spare.Take()
                flatten f side.Size side.Operand buffer.Start
                put f buffer.Start
                spare.Give buffer

    /// Some rows of a sum of outer products over the `depth` packed rows, set or added to: `first` and `rows` of the result, whose
    /// first is the first of a panel.
    let part<'T when 'T: unmanaged>
        (left: Side)
        (right: Side)
        (out: Operand)
        (f: Frame<'T>, first: int, rows: int, depth: int, accumulate: bool)
        : unit =
        let columns = right.Size

        let panels =
            (Strided.from (at f left) (Gemm.PanelRows * f.PackDepth))
                .From(first / Gemm.PanelRows, 0)

        let strips = Strided.from (at f right) (right.Panel * f.PackDepth)

        let c: Strided<'T> =
            Strided.from (NativePtr.add (f.At out) (first * columns)) columns

        GemmTile.multiplyPadded (panels, rows, depth, strips, columns, c, accumulate)

    /// The rows of a part: whole panels whose elements are whole registers of the update that follows, so that parts share none.
    let partRows (rows: int) (columns: int) : int =
        let least =
            Seq.initInfinite (fun k -> (k + 1) * Gemm.PanelRows)
            |> Seq.find (fun r -> r * columns % 16 = 0)

        // Enough parts to keep several threads busy to the end, and large enough to use a strip of B more than once.
        let wanted = min 56 (rows / 24)
        max 1 (wanted / least) * least
