namespace FunLik

open System
open System.Runtime.CompilerServices
open System.Runtime.Intrinsics
open System.Runtime.Intrinsics.X86
open Microsoft.FSharp.NativeInterop

#nowarn "9"

/// Rows of a matrix in native memory, Stride elements apart.
[<Struct; NoEquality; NoComparison>]
type internal Strided<'T when 'T: unmanaged> =
    {
        First: nativeptr<'T>
        Stride: int
    }

    member inline r.At(row: int, column: int) : nativeptr<'T> =
        let elements = nativeint row * nativeint r.Stride + nativeint column
        NativePtr.ofNativeInt (NativePtr.toNativeInt r.First + elements * nativeint sizeof<'T>)

    member inline r.From(row: int, column: int) : Strided<'T> =
        { First = r.At(row, column); Stride = r.Stride }

[<RequireQualifiedAccess>]
module internal Strided =
    let inline from first stride = { First = first; Stride = stride }

/// The register tile of `Gemm` and the loops around it, on packed panels.
[<RequireQualifiedAccess>]
module internal GemmTile =

    /// Rows of a packed panel of A.
    [<Literal>]
    let PanelRows = 14

    // How much depth is done at a go: a strip of packed B stays in the second-level cache; rows of
    // unpacked B far apart share few cache sets.
    [<Literal>]
    let private PackedDepth = 1024

    [<Literal>]
    let private UnpackedDepth = 256

    // How many steps of the depth before its use a part of A is called for: one that lies in memory comes in time.
    [<Literal>]
    let private PrefetchSteps = 128

    /// Columns of a strip of B.
    let inline stripColumns<'T> : int = 2 * Vector512<'T>.Count

    /// Folded by the JIT.
    let inline isDouble<'T> () : bool = Type.op_Equality (typeof<'T>, typeof<float>)

    let over (n: int) (step: int) : int = (n + step - 1) / step

    let inline shift (p: nativeptr<'T>) (elements: int) : nativeptr<'T> = NativePtr.add p elements

    let inline fma (x: Vector512<'T>) (y: Vector512<'T>) (z: Vector512<'T>) : Vector512<'T> =
        if isDouble<'T>() then
            Vector512.FusedMultiplyAdd(x.AsDouble(), y.AsDouble(), z.AsDouble()).As<float, 'T>()
        else
            Vector512.FusedMultiplyAdd(x.AsSingle(), y.AsSingle(), z.AsSingle()).As<float32, 'T>()

    let inline fmaIf used x y z = if used then fma x y z else z
    let inline private zero<'T> () = Vector512<'T>.Zero

    let inline private broadcast used (p: nativeptr<'T>) i =
        if used then
            Vector512.Create(NativePtr.get p i)
        else
            zero ()

    let inline private start (c: Strided<'T>) used wide row =
        (if used then Vector512.Load(c.At(row, 0)) else zero ()),
        (if used && wide then
             Vector512.Load(c.At(row, Vector512<'T>.Count))
         else
             zero ())

    let inline private finish
        (c: Strided<'T>)
        used
        wide
        row
        (v0: Vector512<'T>)
        (v1: Vector512<'T>)
        =
        if used then
            Vector512.Store(v0, c.At(row, 0))

        if used && wide then
            Vector512.Store(v1, c.At(row, Vector512<'T>.Count))

    // 28 accumulators, two vectors of B and one element of A fill the 32 registers. `rows` and
    // `wide` are literals where it is used: what they exclude costs nothing.
    let inline private tile
        rows
        wide
        (a: nativeptr<'T>)
        step
        depth
        (b: Strided<'T>)
        (c0: Strided<'T>)
        (c: Strided<'T>)
        =
        let mutable c00, c01 = start c0 (rows > 0) wide 0
        let mutable c10, c11 = start c0 (rows > 1) wide 1
        let mutable c20, c21 = start c0 (rows > 2) wide 2
        let mutable c30, c31 = start c0 (rows > 3) wide 3
        let mutable c40, c41 = start c0 (rows > 4) wide 4
        let mutable c50, c51 = start c0 (rows > 5) wide 5
        let mutable c60, c61 = start c0 (rows > 6) wide 6
        let mutable c70, c71 = start c0 (rows > 7) wide 7
        let mutable c80, c81 = start c0 (rows > 8) wide 8
        let mutable c90, c91 = start c0 (rows > 9) wide 9
        let mutable ca0, ca1 = start c0 (rows > 10) wide 10
        let mutable cb0, cb1 = start c0 (rows > 11) wide 11
        let mutable cc0, cc1 = start c0 (rows > 12) wide 12
        let mutable cd0, cd1 = start c0 (rows > 13) wide 13
        let mutable pa = a
        let mutable pb = b.First

        for _ in 1..depth do
            if wide && Sse.IsSupported then
                Sse.Prefetch0(NativePtr.toVoidPtr (shift pa (PrefetchSteps * step)))

            let b0 = Vector512.Load pb

            let b1 =
                if wide then
                    Vector512.Load(shift pb Vector512<'T>.Count)
                else
                    b0

            let a0 = broadcast (rows > 0) pa 0
            c00 <- fmaIf (rows > 0) a0 b0 c00
            c01 <- fmaIf (rows > 0 && wide) a0 b1 c01
            let a1 = broadcast (rows > 1) pa 1
            c10 <- fmaIf (rows > 1) a1 b0 c10
            c11 <- fmaIf (rows > 1 && wide) a1 b1 c11
            let a2 = broadcast (rows > 2) pa 2
            c20 <- fmaIf (rows > 2) a2 b0 c20
            c21 <- fmaIf (rows > 2 && wide) a2 b1 c21
            let a3 = broadcast (rows > 3) pa 3
            c30 <- fmaIf (rows > 3) a3 b0 c30
            c31 <- fmaIf (rows > 3 && wide) a3 b1 c31
            let a4 = broadcast (rows > 4) pa 4
            c40 <- fmaIf (rows > 4) a4 b0 c40
            c41 <- fmaIf (rows > 4 && wide) a4 b1 c41
            let a5 = broadcast (rows > 5) pa 5
            c50 <- fmaIf (rows > 5) a5 b0 c50
            c51 <- fmaIf (rows > 5 && wide) a5 b1 c51
            let a6 = broadcast (rows > 6) pa 6
            c60 <- fmaIf (rows > 6) a6 b0 c60
            c61 <- fmaIf (rows > 6 && wide) a6 b1 c61
            let a7 = broadcast (rows > 7) pa 7
            c70 <- fmaIf (rows > 7) a7 b0 c70
            c71 <- fmaIf (rows > 7 && wide) a7 b1 c71
            let a8 = broadcast (rows > 8) pa 8
            c80 <- fmaIf (rows > 8) a8 b0 c80
            c81 <- fmaIf (rows > 8 && wide) a8 b1 c81
            let a9 = broadcast (rows > 9) pa 9
            c90 <- fmaIf (rows > 9) a9 b0 c90
            c91 <- fmaIf (rows > 9 && wide) a9 b1 c91
            let aa = broadcast (rows > 10) pa 10
            ca0 <- fmaIf (rows > 10) aa b0 ca0
            ca1 <- fmaIf (rows > 10 && wide) aa b1 ca1
            let ab = broadcast (rows > 11) pa 11
            cb0 <- fmaIf (rows > 11) ab b0 cb0
            cb1 <- fmaIf (rows > 11 && wide) ab b1 cb1
            let ac = broadcast (rows > 12) pa 12
            cc0 <- fmaIf (rows > 12) ac b0 cc0
            cc1 <- fmaIf (rows > 12 && wide) ac b1 cc1
            let ad = broadcast (rows > 13) pa 13
            cd0 <- fmaIf (rows > 13) ad b0 cd0
            cd1 <- fmaIf (rows > 13 && wide) ad b1 cd1
            pa <- shift pa step
            pb <- shift pb b.Stride

        finish c (rows > 0) wide 0 c00 c01
        finish c (rows > 1) wide 1 c10 c11
        finish c (rows > 2) wide 2 c20 c21
        finish c (rows > 3) wide 3 c30 c31
        finish c (rows > 4) wide 4 c40 c41
        finish c (rows > 5) wide 5 c50 c51
        finish c (rows > 6) wide 6 c60 c61
        finish c (rows > 7) wide 7 c70 c71
        finish c (rows > 8) wide 8 c80 c81
        finish c (rows > 9) wide 9 c90 c91
        finish c (rows > 10) wide 10 ca0 ca1
        finish c (rows > 11) wide 11 cb0 cb1
        finish c (rows > 12) wide 12 cc0 cc1
        finish c (rows > 13) wide 13 cd0 cd1

    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let private wideTile<'T when 'T: unmanaged>
        (a: nativeptr<'T>)
        step
        depth
        (b: Strided<'T>)
        c0
        c
        =
        tile PanelRows true a step depth b c0 c

    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let private narrowTile<'T when 'T: unmanaged>
        (a: nativeptr<'T>)
        step
        depth
        (b: Strided<'T>)
        c0
        c
        =
        tile PanelRows false a step depth b c0 c

    let inline private lowTiles
        wide
        rows
        (a: nativeptr<'T>)
        step
        depth
        b
        (c0: Strided<'T>)
        (c: Strided<'T>)
        =
        let mutable row = 0

        if rows &&& 8 <> 0 then
            tile 8 wide a step depth b c0 c
            row <- 8

        if rows &&& 4 <> 0 then
            tile 4 wide (shift a row) step depth b (c0.From(row, 0)) (c.From(row, 0))
            row <- row + 4

        if rows &&& 2 <> 0 then
            tile 2 wide (shift a row) step depth b (c0.From(row, 0)) (c.From(row, 0))
            row <- row + 2

        if rows &&& 1 <> 0 then
            tile 1 wide (shift a row) step depth b (c0.From(row, 0)) (c.From(row, 0))

    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let private wideLow<'T when 'T: unmanaged>
        rows
        (a: nativeptr<'T>)
        step
        depth
        (b: Strided<'T>)
        c0
        c
        =
        lowTiles true rows a step depth b c0 c

    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let private narrowLow<'T when 'T: unmanaged>
        rows
        (a: nativeptr<'T>)
        step
        depth
        (b: Strided<'T>)
        c0
        c
        =
        lowTiles false rows a step depth b c0 c

    // Where a Vector512 is two of Vector256, four rows of one vector are what the registers hold.
    let private emulated<'T when 'T: unmanaged>
        wide
        rows
        (a: nativeptr<'T>)
        step
        depth
        (b: Strided<'T>)
        (c0: Strided<'T>)
        (c: Strided<'T>)
        =
        for half in 0 .. (if wide then 1 else 0) do
            let column = half * Vector512<'T>.Count

            for quad in 0 .. (rows - 1) / 4 do
                let row = 4 * quad
                let c0, c = c0.From(row, column), c.From(row, column)
                narrowLow (min 4 (rows - row)) (shift a row) step depth (b.From(0, column)) c0 c

    // All rows of one column strip, one or two vectors wide. The panels of A are the rows of `a`.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let private strip<'T when 'T: unmanaged>
        wide
        (a: Strided<'T>)
        rows
        depth
        (b: Strided<'T>)
        (c: Strided<'T>)
        accumulate
        =
        let zeros = Strided.from (NativePtr.stackalloc<'T> stripColumns<'T>) 0

        for panel in 0 .. (rows - 1) / PanelRows do
            let left = rows - panel * PanelRows
            let pa = a.At(panel, 0)
            let c = c.From(panel * PanelRows, 0)
            let c0 = if accumulate then c else zeros

            if not Vector512.IsHardwareAccelerated then
                emulated wide (min left PanelRows) pa PanelRows depth b c0 c
            elif left < PanelRows then
                if wide then
                    wideLow left pa PanelRows depth b c0 c
                else
                    narrowLow left pa PanelRows depth b c0 c
            elif wide then
                wideTile pa PanelRows depth b c0 c
            else
                narrowTile pa PanelRows depth b c0 c

    let inline private copyBlock (source: Strided<'T>) (target: Strided<'T>) rows columns =
        for row in 0 .. rows - 1 do
            for column in 0 .. columns - 1 do
                NativePtr.write (target.At(row, column)) (NativePtr.read (source.At(row, column)))

    // The last columns, fewer than a vector, by way of padded copies.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let private sliver<'T when 'T: unmanaged>
        (a: Strided<'T>)
        rows
        depth
        (b: Strided<'T>)
        columns
        (c: Strided<'T>)
        accumulate
        =
        let w = Vector512<'T>.Count
        let padded = Strided.from (NativePtr.stackalloc<'T>((depth + PanelRows) * w)) w
        let result = padded.From(depth, 0)
        copyBlock b padded depth columns

        for panel in 0 .. (rows - 1) / PanelRows do
            let height = min PanelRows (rows - panel * PanelRows)
            let c = c.From(panel * PanelRows, 0)

            if accumulate then
                copyBlock c result height columns

            strip false (a.From(panel, 0)) height depth padded result accumulate
            copyBlock result c height columns

    // The last columns of C, fewer than a strip of B has, by way of a whole tile.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let private margin<'T when 'T: unmanaged>
        (a: Strided<'T>)
        rows
        depth
        (b: Strided<'T>)
        columns
        (c: Strided<'T>)
        accumulate
        =
        let width = stripColumns<'T>
        let result = Strided.from (NativePtr.stackalloc<'T>(PanelRows * width)) width

        let copy (source: Strided<'T>) (target: Strided<'T>) height =
            for row in 0 .. height - 1 do
                Span<'T>(NativePtr.toVoidPtr (source.At(row, 0)), columns)
                    .CopyTo(Span<'T>(NativePtr.toVoidPtr (target.At(row, 0)), columns))

        for panel in 0 .. (rows - 1) / PanelRows do
            let height = min PanelRows (rows - panel * PanelRows)
            let c = c.From(panel * PanelRows, 0)

            if accumulate then
                copy c result height

            let wide = columns > Vector512<'T>.Count
            strip wide (a.From(panel, 0)) height depth b result accumulate
            copy result c height

    /// C (+)= A·B like `multiply`, for packed B whose missing columns are there to be read.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let multiplyPadded<'T when 'T: unmanaged>
        (a: Strided<'T>, rows, depth, strips: Strided<'T>, columns, c: Strided<'T>, accumulate)
        : unit =
        let width = stripColumns<'T>

        for block in 0 .. (max depth 1 - 1) / PackedDepth do
            let k = block * PackedDepth
            let kc = min PackedDepth (depth - k)
            let accumulate = accumulate || k > 0
            let a = a.From(0, k * PanelRows)

            for index in 0 .. (columns - 1) / width do
                let left = columns - index * width
                let b = (Strided.from (strips.At(index, 0)) width).From(k, 0)
                let c = c.From(0, index * width)

                if left >= width then
                    strip true a rows kc b c accumulate
                else
                    margin a rows kc b left c accumulate

    /// C (+)= A·B: the packed panels of A are the rows of `a`; the strips of B, two vectors wide,
    /// are the rows of `strips`, and inside one the rows of B lie ldb apart.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let multiply<'T when 'T: unmanaged>
        (a: Strided<'T>, rows, depth, strips: Strided<'T>, ldb, columns, c: Strided<'T>, accumulate)
        : unit =
        let w = Vector512<'T>.Count
        let width = stripColumns<'T>
        let step = if ldb = width then PackedDepth else UnpackedDepth

        for block in 0 .. (max depth 1 - 1) / step do
            let k = block * step
            let kc = min step (depth - k)
            let accumulate = accumulate || k > 0
            let a = a.From(0, k * PanelRows)

            for index in 0 .. (columns - 1) / width do
                let left = columns - index * width
                let b = (Strided.from (strips.At(index, 0)) ldb).From(k, 0)
                let c = c.From(0, index * width)

                if left >= width then
                    strip true a rows kc b c accumulate
                else
                    if left >= w then
                        strip false a rows kc b c accumulate

                    if left % w > 0 then
                        let skip = left - left % w
                        let b, c = b.From(0, skip), c.From(0, skip)
                        sliver a rows kc b (left % w) c accumulate

    /// C = A·B for several B and C at once, so that a panel of A serves them while it is near. B and C are row-major, `width` columns,
    /// one vector or two, and `apart` elements from one to the next. The panels of A are the rows of `a`; inside one, its columns lie
    /// `step` apart.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let multiplyStrips<'T when 'T: unmanaged>
        (a: Strided<'T>, step, rows, depth, b: nativeptr<'T>, c: nativeptr<'T>, width, apart, strips) : unit =
        let zeros = Strided.from (NativePtr.stackalloc<'T> stripColumns<'T>) 0
        let wide = width = stripColumns<'T>

        for block in 0 .. (max depth 1 - 1) / PackedDepth do
            let k = block * PackedDepth
            let kc = min PackedDepth (depth - k)

            for panel in 0 .. (rows - 1) / PanelRows do
                let left = rows - panel * PanelRows
                let pa = shift (a.At(panel, 0)) (k * step)

                for strip in 0 .. strips - 1 do
                    let b = (Strided.from (shift b (strip * apart)) width).From(k, 0)

                    let c =
                        (Strided.from (shift c (strip * apart)) width).From(panel * PanelRows, 0)

                    let c0 = if k > 0 then c else zeros

                    if not Vector512.IsHardwareAccelerated then
                        emulated wide (min left PanelRows) pa step kc b c0 c
                    elif left < PanelRows then
                        if wide then
                            wideLow left pa step kc b c0 c
                        else
                            narrowLow left pa step kc b c0 c
                    elif wide then
                        wideTile pa step kc b c0 c
                    else
                        narrowTile pa step kc b c0 c
