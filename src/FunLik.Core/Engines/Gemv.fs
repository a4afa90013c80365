namespace FunLik

open System.Runtime.CompilerServices
open System.Runtime.Intrinsics
open Microsoft.FSharp.NativeInterop

#nowarn "9"

/// Products of a matrix and a vector in float and float32 ('T) on native memory, one thread a call.
/// The promises of `Gemm` hold: bits, NaN and infinity, nothing written outside y.
[<RequireQualifiedAccess>]
module Gemv =

    // Four vectors of rows at a time: a panel holds one (float32) or two (float, overlapping).
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let private packedRows<'T when 'T: unmanaged>
        (a: Strided<'T>, rows, depth, x: Strided<'T>, y: Strided<'T>, accumulate)
        : unit =
        let w = Vector512<'T>.Count
        let perPanel = GemmTile.over GemmTile.PanelRows w
        let slots = GemmTile.over rows GemmTile.PanelRows * perPanel
        let sums = Strided.from (NativePtr.stackalloc<'T>(4 * w)) w

        for group in 0 .. (slots - 1) / 4 do
            let inline panelOf i = min (4 * group + i) (slots - 1) / perPanel
            let inline offset i = i % perPanel * (GemmTile.PanelRows - w)

            let inline each move =
                for i in 0 .. min 3 (slots - 1 - 4 * group) do
                    let row = panelOf i * GemmTile.PanelRows + offset i

                    for lane in 0 .. min (min w GemmTile.PanelRows) (rows - row) - 1 do
                        move (y.At(row + lane, 0)) (sums.At(i, lane))

            if accumulate then
                each (fun y sum -> NativePtr.write sum (NativePtr.read y))

            let inline start i =
                if accumulate then
                    Vector512.Load(sums.At(i, 0))
                else
                    Vector512<'T>.Zero

            let inline rowsOf i = a.At(panelOf i, offset i)
            let r0, r1, r2, r3 = rowsOf 0, rowsOf 1, rowsOf 2, rowsOf 3
            let inline rows p k = Vector512.Load(GemmTile.shift p (k * GemmTile.PanelRows))
            let mutable s0 = start 0
            let mutable s1 = start 1
            let mutable s2 = start 2
            let mutable s3 = start 3

            for k in 0 .. depth - 1 do
                let xk = Vector512.Create(NativePtr.read (x.At(k, 0)))
                s0 <- GemmTile.fma (rows r0 k) xk s0
                s1 <- GemmTile.fma (rows r1 k) xk s1
                s2 <- GemmTile.fma (rows r2 k) xk s2
                s3 <- GemmTile.fma (rows r3 k) xk s3

            Vector512.Store(s0, sums.At(0, 0))
            Vector512.Store(s1, sums.At(1, 0))
            Vector512.Store(s2, sums.At(2, 0))
            Vector512.Store(s3, sums.At(3, 0))
            each (fun y sum -> NativePtr.write y (NativePtr.read sum))

    /// y (+)= A·x for A (rows × depth) from `Gemm.pack`; the elements of x lie xStride apart, those
    /// of y yStride. The same bits as a column of `Gemm.multiplyPacked`.
    let packed<'T when 'T: unmanaged>
        (
            packedA: nativeptr<'T>,
            rows: int,
            depth: int,
            x: nativeptr<'T>,
            xStride: int,
            y: nativeptr<'T>,
            yStride: int,
            accumulate: bool
        ) : unit =
        let a = Strided.from packedA (GemmTile.PanelRows * depth)
        packedRows (a, rows, depth, Strided.from x xStride, Strided.from y yStride, accumulate)

    /// y (+)= A·x for A row-major (rows × depth, leading dimension lda). Each element is summed in
    /// a fixed order of its own: two vectors of partial sums over the depth, then across them.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let rowMajor<'T when 'T: unmanaged>
        (
            a: nativeptr<'T>,
            lda: int,
            rows: int,
            depth: int,
            x: nativeptr<'T>,
            y: nativeptr<'T>,
            accumulate: bool
        ) : unit =
        let w = Vector512<'T>.Count
        let a = Strided.from a lda

        for group in 0 .. (rows - 1) / 4 do
            let inline row i = a.At(min (4 * group + i) (rows - 1), 0)
            let r0, r1, r2, r3 = row 0, row 1, row 2, row 3
            let inline vector p k = Vector512.Load(GemmTile.shift p k)
            let inline scalar (p: nativeptr<'T>) k = Vector512.CreateScalar<'T>(NativePtr.get p k)
            let mutable e0 = Vector512<'T>.Zero
            let mutable e1 = Vector512<'T>.Zero
            let mutable e2 = Vector512<'T>.Zero
            let mutable e3 = Vector512<'T>.Zero
            let mutable o0 = Vector512<'T>.Zero
            let mutable o1 = Vector512<'T>.Zero
            let mutable o2 = Vector512<'T>.Zero
            let mutable o3 = Vector512<'T>.Zero

            for pair in 0 .. depth / (2 * w) - 1 do
                let k = pair * 2 * w
                let x0, x1 = vector x k, vector x (k + w)
                e0 <- GemmTile.fma (vector r0 k) x0 e0
                e1 <- GemmTile.fma (vector r1 k) x0 e1
                e2 <- GemmTile.fma (vector r2 k) x0 e2
                e3 <- GemmTile.fma (vector r3 k) x0 e3
                o0 <- GemmTile.fma (vector r0 (k + w)) x1 o0
                o1 <- GemmTile.fma (vector r1 (k + w)) x1 o1
                o2 <- GemmTile.fma (vector r2 (k + w)) x1 o2
                o3 <- GemmTile.fma (vector r3 (k + w)) x1 o3

            if depth % (2 * w) >= w then
                let k = depth / (2 * w) * 2 * w
                let xk = vector x k
                e0 <- GemmTile.fma (vector r0 k) xk e0
                e1 <- GemmTile.fma (vector r1 k) xk e1
                e2 <- GemmTile.fma (vector r2 k) xk e2
                e3 <- GemmTile.fma (vector r3 k) xk e3

            for k in depth / w * w .. depth - 1 do
                let xk = scalar x k
                o0 <- GemmTile.fma (scalar r0 k) xk o0
                o1 <- GemmTile.fma (scalar r1 k) xk o1
                o2 <- GemmTile.fma (scalar r2 k) xk o2
                o3 <- GemmTile.fma (scalar r3 k) xk o3

            let inline finish i (even: Vector512<'T>) (odd: Vector512<'T>) =
                if 4 * group + i < rows then
                    let y = GemmTile.shift y (4 * group + i)
                    let sum = Vector512.CreateScalar<'T>(Vector512.Sum(even + odd))

                    let sum =
                        if accumulate then
                            sum + Vector512.CreateScalar<'T>(NativePtr.read y)
                        else
                            sum

                    NativePtr.write y (sum.ToScalar())

            finish 0 e0 o0
            finish 1 e1 o1
            finish 2 e2 o2
            finish 3 e3 o3

    /// y (+)= Aᵀ·x for A row-major (rows × columns, leading dimension lda): x has rows elements, y
    /// columns.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let transposed<'T when 'T: unmanaged>
        (
            a: nativeptr<'T>,
            lda: int,
            rows: int,
            columns: int,
            x: nativeptr<'T>,
            y: nativeptr<'T>,
            accumulate: bool
        ) : unit =
        let w = Vector512<'T>.Count
        let a = Strided.from a lda

        for group in 0 .. (max rows 1 - 1) / 4 do
            let count = min 4 (rows - 4 * group)
            let inline row i = a.At(4 * group + min i (count - 1), 0)
            let r0, r1, r2, r3 = row 0, row 1, row 2, row 3

            let inline x i =
                if i < count then
                    Vector512.Create(NativePtr.get x (4 * group + i))
                else
                    Vector512<'T>.Zero

            let x0, x1, x2, x3 = x 0, x 1, x 2, x 3
            let continues = accumulate || group > 0

            let inline step load j =
                let mutable sum: Vector512<'T> = if continues then load y j else Vector512<'T>.Zero

                if count = 4 then
                    sum <- GemmTile.fma (load r0 j) x0 sum
                    sum <- GemmTile.fma (load r1 j) x1 sum
                    sum <- GemmTile.fma (load r2 j) x2 sum
                    sum <- GemmTile.fma (load r3 j) x3 sum
                else
                    sum <- GemmTile.fmaIf (count > 0) (load r0 j) x0 sum
                    sum <- GemmTile.fmaIf (count > 1) (load r1 j) x1 sum
                    sum <- GemmTile.fmaIf (count > 2) (load r2 j) x2 sum

                sum

            for block in 0 .. columns / w - 1 do
                let sum = step (fun p j -> Vector512.Load(GemmTile.shift p j)) (block * w)
                Vector512.Store(sum, GemmTile.shift y (block * w))

            for j in columns / w * w .. columns - 1 do
                let sum = step (fun p j -> Vector512.CreateScalar<'T>(NativePtr.get p j)) j
                NativePtr.set y j (sum.ToScalar())
