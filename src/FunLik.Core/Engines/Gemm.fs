namespace FunLik

open System
open System.Buffers
open System.Runtime.CompilerServices
open System.Runtime.Intrinsics
open System.Runtime.Intrinsics.X86
open Microsoft.FSharp.NativeInterop

#nowarn "9"

/// Dense matrix products in float and float32 ('T) on native memory; strides count elements.
///
/// Each element of C is one chain of fused multiply-adds over the depth in rising order, from 0 or,
/// accumulating, from C (`Gemv.rowMajor` alone sums otherwise). So its bits depend on nothing else:
/// threads, blocking, packing, neighbours, instruction set. NaN and infinity propagate. Nothing
/// outside the stated rows and columns of C is written. C must not overlap A or B.
[<RequireQualifiedAccess>]
module Gemm =

    /// Rows of one packed panel of a left matrix.
    [<Literal>]
    let PanelRows = GemmTile.PanelRows

    /// Columns of one packed panel of a right matrix: 32 for float32, 16 for float.
    let panelColumns<'T when 'T: unmanaged> () : int = GemmTile.stripColumns<'T>

    [<Literal>]
    let private PackDepth = 8

    let private element p rowStride columnStride row column =
        let start: Strided<'T> =
            Strided.from ((Strided.from p rowStride).At(row, 0)) columnStride

        start.At(column, 0)

    let inline private single (p: nativeptr<'T>) : nativeptr<float32> =
        NativePtr.ofNativeInt (NativePtr.toNativeInt p)

    // target(k, i) = source[i * rowStride + k * columnStride] for i < rows, 0 for the other i below
    // its stride. Vectors at the ends overlap their neighbours instead of running over.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let private packPanel<'T when 'T: unmanaged>
        (source: nativeptr<'T>, rows, depth, rowStride, columnStride, target: Strided<'T>)
        : unit =
        let v = Vector256<'T>.Count

        let byRow, byColumn =
            Strided.from source rowStride, Strided.from source columnStride

        let inRegisters =
            columnStride = 1
            && depth >= 16
            && Avx512F.IsSupported
            && not (GemmTile.isDouble<'T>())

        if rows < target.Stride && not inRegisters then
            for k in 0 .. depth - 1 do
                for i in rows .. target.Stride - 1 do
                    NativePtr.write (target.At(k, i)) Unchecked.defaultof<'T>

        if inRegisters then
            for blockK in 0 .. (depth - 1) / 16 do
                let k = min (blockK * 16) (depth - 16)

                for i in 0..16 .. target.Stride - 1 do
                    Transpose.sixteen (
                        single (byRow.At(i, k)),
                        rows - i,
                        rowStride,
                        single (target.At(k, i)),
                        target.Stride,
                        min 16 (target.Stride - i)
                    )
        elif columnStride = 1 && rows >= v && depth >= v && Avx.IsSupported then
            // Whole cache lines of the source before the next rows.
            for line in 0 .. (depth - 1) / (2 * v) do
                for blockI in 0 .. (rows - 1) / v do
                    let i = min (blockI * v) (rows - v)

                    for blockK in 2 * line .. min (2 * line + 1) ((depth - 1) / v) do
                        let k = min (blockK * v) (depth - v)
                        let source, target = byRow.From(i, k), target.From(k, i)
                        Transpose.square (source.First, source.Stride, target.First, target.Stride)
        elif rowStride = 1 && rows >= v then
            for k in 0 .. depth - 1 do
                for blockI in 0 .. (rows - 1) / v do
                    let i = min (blockI * v) (rows - v)
                    Vector256.Store(Vector256.Load(byColumn.At(k, i)), target.At(k, i))
        else
            for k in 0 .. depth - 1 do
                let column = Strided.from (byColumn.At(k, 0)) rowStride

                for i in 0 .. rows - 1 do
                    NativePtr.write (target.At(k, i)) (NativePtr.read (column.At(i, 0)))

    // Packing in independent items, along the memory of the source: a block of the depth of all
    // panels, or a panel of all the depth.
    let private packItems rows depth rowStride width : int =
        if rowStride = 1 then
            GemmTile.over depth PackDepth
        else
            GemmTile.over rows width

    let private packItem<'T when 'T: unmanaged>
        (source: nativeptr<'T>, rows, depth, rowStride, columnStride, width, target: nativeptr<'T>)
        (item: int)
        : unit =
        let panel index k past =
            let source = element source rowStride columnStride (index * width) k

            let target: Strided<'T> =
                Strided.from ((Strided.from target depth).At(index * width, 0)) width

            let height = min width (rows - index * width)
            packPanel (source, height, past - k, rowStride, columnStride, target.From(k, 0))

        if rowStride = 1 then
            for index in 0 .. GemmTile.over rows width - 1 do
                panel index (item * PackDepth) (min depth ((item + 1) * PackDepth))
        else
            panel item 0 depth

    /// Packs a block of the depth of a matrix: `depth` columns, from `first` on, of panels that are `whole` columns deep. `width` rows
    /// are a panel.
    let internal packPart<'T when 'T: unmanaged>
        (
            source: nativeptr<'T>,
            rows,
            depth,
            rowStride,
            columnStride,
            width,
            target: nativeptr<'T>,
            whole,
            first
        ) : unit =
        for index in 0 .. GemmTile.over rows width - 1 do
            let source = element source rowStride columnStride (index * width) 0

            let target: Strided<'T> =
                Strided.from ((Strided.from target whole).At(index * width, 0)) width

            let height = min width (rows - index * width)
            packPanel (source, height, depth, rowStride, columnStride, target.From(first, 0))

    let private packAll (source, rows, depth, rowStride, columnStride, width, target) : unit =
        for item in 0 .. packItems rows depth rowStride width - 1 do
            packItem (source, rows, depth, rowStride, columnStride, width, target) item

    /// Elements that `pack` needs for a left matrix of rows × depth, padding included.
    let packedLength<'T when 'T: unmanaged> (rows: int) (depth: int) : int =
        GemmTile.over rows PanelRows * PanelRows * depth + Vector512<'T>.Count

    /// Elements that `packColumns` needs for a right matrix of depth × columns, padding included.
    let packedColumnsLength<'T when 'T: unmanaged> (depth: int) (columns: int) : int =
        let width = panelColumns<'T>()
        GemmTile.over columns width * width * depth

    /// Packs a left matrix of rows × depth into panels of 14 rows: its element (i, k),
    /// source[i * rowStride + k * columnStride], goes to
    /// destination[(i / 14) * 14 * depth + k * 14 + i % 14]. Missing rows of the last panel are 0.
    let pack<'T when 'T: unmanaged>
        (
            source: nativeptr<'T>,
            rows: int,
            depth: int,
            rowStride: int,
            columnStride: int,
            destination: nativeptr<'T>
        ) : unit =
        packAll (source, rows, depth, rowStride, columnStride, PanelRows, destination)

    /// Packs a right matrix of depth × columns into panels of P = `panelColumns` columns: its
    /// element (k, j), source[k * rowStride + j * columnStride], goes to
    /// destination[(j / P) * P * depth + k * P + j % P]. Missing columns of the last panel are 0.
    let packColumns<'T when 'T: unmanaged>
        (
            source: nativeptr<'T>,
            depth: int,
            columns: int,
            rowStride: int,
            columnStride: int,
            destination: nativeptr<'T>
        ) : unit =
        let width = panelColumns<'T>()
        packAll (source, columns, depth, columnStride, rowStride, width, destination)

    /// C (+)= A·B on this thread: A (rows × depth) from `pack`, B row-major as it is (depth ×
    /// columns, leading dimension ldb), C row-major. Fastest where rows of B and C start on 64-byte
    /// borders.
    let multiplyPacked<'T when 'T: unmanaged>
        (
            packedA: nativeptr<'T>,
            rows: int,
            depth: int,
            b: nativeptr<'T>,
            ldb: int,
            columns: int,
            c: nativeptr<'T>,
            ldc: int,
            accumulate: bool
        ) : unit =
        if columns = 1 then
            Gemv.packed (packedA, rows, depth, b, ldb, c, ldc, accumulate)
        else
            let a, c = Strided.from packedA (PanelRows * depth), Strided.from c ldc
            let strips = Strided.from b (panelColumns<'T>())
            GemmTile.multiply (a, rows, depth, strips, ldb, columns, c, accumulate)

    /// C (+)= A·B on this thread: A (rows × depth) from `pack`, B (depth × columns) from
    /// `packColumns`, C row-major.
    let multiplyPanels<'T when 'T: unmanaged>
        (
            packedA: nativeptr<'T>,
            rows: int,
            depth: int,
            packedB: nativeptr<'T>,
            columns: int,
            c: nativeptr<'T>,
            ldc: int,
            accumulate: bool
        ) : unit =
        let a, c = Strided.from packedA (PanelRows * depth), Strided.from c ldc
        let width = panelColumns<'T>()
        let strips = Strided.from packedB (width * depth)
        GemmTile.multiply (a, rows, depth, strips, width, columns, c, accumulate)

    /// Elements of scratch that `multiplyTransposed` needs.
    let transposedScratchLength<'T when 'T: unmanaged>
        (rows: int)
        (columns: int)
        (lanes: int)
        : int =
        packedLength<'T> rows lanes + packedColumnsLength<'T> lanes columns

    /// C (+)= Y·Xᵀ on this thread, as for weight gradients: Y is rows × lanes, X columns × lanes,
    /// C rows × columns, all row-major. For a part of C, or for several threads, pass shifted
    /// pointers, or share the packing: `pack` of Y, `packColumns` of X (row stride 1, column stride
    /// ldx).
    let multiplyTransposed<'T when 'T: unmanaged>
        (
            y: nativeptr<'T>,
            rows: int,
            ldy: int,
            x: nativeptr<'T>,
            columns: int,
            ldx: int,
            lanes: int,
            c: nativeptr<'T>,
            ldc: int,
            accumulate: bool,
            scratch: nativeptr<'T>
        ) : unit =
        let packedX = GemmTile.shift scratch (packedLength<'T> rows lanes)
        pack (y, rows, lanes, ldy, 1, scratch)
        packColumns (x, lanes, columns, 1, ldx, packedX)
        multiplyPanels (scratch, rows, lanes, packedX, columns, c, ldc, accumulate)

    // The even size of the chunks, whole steps, that cut `size` into chunks of up to `limit`.
    let private chunk size limit step =
        let count = GemmTile.over size limit |> max 1
        GemmTile.over (GemmTile.over size count) step * step |> max step

    /// C (+)= A·B on up to `threads` threads, C (m × n) row-major; A (m × k) has its element (i, j)
    /// at a[i * aRowStride + j * aColumnStride], B (k × n) likewise: strides (lda, 1) mean
    /// row-major, (1, lda) transposed. Rents up to 13 MB of scratch from the shared array pool.
    let multiply<'T when 'T: unmanaged>
        (
            m: int,
            n: int,
            k: int,
            a: nativeptr<'T>,
            aRowStride: int,
            aColumnStride: int,
            b: nativeptr<'T>,
            bRowStride: int,
            bColumnStride: int,
            c: nativeptr<'T>,
            ldc: int,
            accumulate: bool,
            threads: int
        ) : unit =
        let threads = max 1 threads
        let width = panelColumns<'T>()
        let mChunk, nChunk = chunk m 560 PanelRows, chunk n 1024 width
        let kChunk = chunk k 1024 8
        let lengthB = packedColumnsLength<'T> kChunk nChunk
        let length = lengthB + packedLength<'T> mChunk kChunk + 64
        let scratch = ArrayPool<'T>.Shared.Rent length
        use pin = scratch.AsMemory().Pin()
        let first = NativePtr.toNativeInt (NativePtr.ofVoidPtr<'T> pin.Pointer)
        let packedB = NativePtr.ofNativeInt<'T>((first + 63n) &&& ~~~63n)
        let packedA = GemmTile.shift packedB lengthB

        let block k0 n0 m0 =
            let mc, nc, kc = min mChunk (m - m0), min nChunk (n - n0), min kChunk (k - k0)
            let panelsA, panelsB = GemmTile.over mc PanelRows, GemmTile.over nc width

            let a, b =
                element a aRowStride aColumnStride m0 k0, element b bRowStride bColumnStride k0 n0

            let c = (Strided.from c ldc).From(m0, n0)
            // B stays packed while the chunks of rows go by.
            let packsA = packItems mc kc aRowStride PanelRows
            let packsB = if m0 = 0 then packItems nc kc bColumnStride width else 0

            let pack () item =
                if item < packsA then
                    packItem (a, mc, kc, aRowStride, aColumnStride, PanelRows, packedA) item
                else
                    packItem (b, nc, kc, bColumnStride, bRowStride, width, packedB) (item - packsA)

            // Squares of panels, small enough to keep all threads busy to the end.
            let side = sqrt (float panelsA * float panelsB / float (16 * threads)) |> int
            let side = side |> max 1 |> min 8
            let down, across = GemmTile.over panelsA side, GemmTile.over panelsB side

            let panels, strips =
                Strided.from packedA (PanelRows * kc), Strided.from packedB (width * kc)

            let multiplyItem () item =
                let i, j = item % down * side, item / down * side

                let rows, columns =
                    min (side * PanelRows) (mc - i * PanelRows), min (side * width) (nc - j * width)

                let panels, strips, c =
                    panels.From(i, 0), strips.From(j, 0), c.From(i * PanelRows, j * width)

                GemmTile.multiply (
                    panels,
                    rows,
                    kc,
                    strips,
                    width,
                    columns,
                    c,
                    accumulate || k0 > 0
                )

            [ struct (packsA + packsB, pack); struct (down * across, multiplyItem) ]

        let phases =
            [|
                for n0 in 0..nChunk .. n - 1 do
                    for k0 in 0..kChunk .. max k 1 - 1 do
                        for m0 in 0..mChunk .. m - 1 do
                            yield! block k0 n0 m0
            |]

        Crew<unit>(phases, ignore, ignore).Run threads
        ArrayPool<'T>.Shared.Return scratch
