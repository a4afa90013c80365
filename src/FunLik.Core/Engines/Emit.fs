namespace FunLik

open System
open System.Numerics
open System.Numerics.Tensors
open FSharp.NativeInterop

/// From tasks to steps.
module internal Emit =

    open Tile

    /// An operand of an operation with results of `size` elements: scalars repeat.
    let private within (size: int) (o: Operand) : Operand =
        if o.Size = 1 && size > 1 then { o with Stride = 0 } else o

    let private map2<'T, 'F when 'T: unmanaged and 'F: struct and 'F :> IMap2<'T>>
        (a: Operand)
        (b: Operand)
        (out: Operand)
        : Step<'T> =
        let a, b = within out.Size a, within out.Size b

        fun f ->
            let struct (features, lanes) = extent f out.Size
            Lanes.map2<'T, 'F>(features, lanes, f.At a, f.Access a, f.At b, f.Access b, f.At out)

    let private map1<'T, 'F when 'T: unmanaged and 'F: struct and 'F :> IMap1<'T>>
        (a: Operand)
        (out: Operand)
        : Step<'T> =
        fun f ->
            let struct (features, lanes) = extent f out.Size
            Lanes.map1<'T, 'F>(features * lanes, f.At a, f.At out)

    /// A function that is only known for one double at a time.
    let inline private each
        ([<InlineIfLambda>] apply: float -> float)
        (a: Operand)
        (out: Operand)
        : Step<'T> when 'T :> INumberBase<'T> =
        fun f ->
            let source, target = f.At a, f.At out

            for i in 0 .. out.Size * f.Lanes - 1 do
                let x = Double.CreateTruncating<'T>(NativePtr.get source i)
                NativePtr.set target i ('T.CreateTruncating<float>(apply x))

    let private logTo<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (f: Frame<'T>)
        (size: int)
        (y: Operand)
        (target: nativeptr<'T>)
        : unit =
        let struct (features, lanes) = extent f size
        let isFlat = f.Access y = Access.Flat

        if not isFlat then
            flatten f size y target

        let source = if isFlat then f.At y else target
        Lanes.map1<'T, Curves.Log<'T>>(features * lanes, source, target)

    let private sumOf<'T, 'F
        when 'T: unmanaged and 'F: struct and 'F :> IMap2<'T> and 'T :> INumberBase<'T>>
        (commutes: bool)
        (size: int)
        (a: Operand)
        (b: Operand)
        (out: Operand)
        : Step<'T> =
        let a, b = within size a, within size b

        fun f ->
            if f.Lanes = 1 then
                let total = Lanes.sum2Vector<'T, 'F>(size, f.At a, f.Access a, f.At b, f.Access b)

                NativePtr.write (f.At out) total
            else
                let a, b = if commutes && f.Access b <> Access.Flat then b, a else a, b

                Lanes.sum2<'T, 'F>(size, f.Lanes, f.At a, f.Access a, f.At b, f.Access b, f.At out)

    let private sum<'T when 'T: unmanaged and 'T :> INumberBase<'T>>
        (a: Operand)
        (out: Operand)
        : Step<'T> =
        fun f ->
            if f.Lanes = 1 then
                let zero = NativePtr.stackalloc<'T> 1
                NativePtr.write zero 'T.Zero

                let total =
                    Lanes.sum2Vector<'T, Maps.Add<'T>>(
                        a.Size,
                        f.At a,
                        Access.Flat,
                        zero,
                        Access.Uniform
                    )

                NativePtr.write (f.At out) total
            else
                Lanes.sum1 (a.Size, f.Lanes, f.At a, f.At out)

    let private logSumExp<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (a: Operand)
        (scratch: Operand)
        (out: Operand)
        : Step<'T> =
        let n = a.Size

        fun f ->
            let x, temp, result = f.At a, f.At scratch, f.At out

            if f.Lanes = 1 then
                let mutable top = NativePtr.get x 0

                for k in 1 .. n - 1 do
                    top <- 'T.Max(top, NativePtr.get x k)

                let shift = if 'T.IsFinite top then top else 'T.Zero
                TensorPrimitives.Subtract<'T>(read x n, shift, write temp n)
                Lanes.map1<'T, Curves.Exp<'T>>(Layout.padded n, temp, temp)
                NativePtr.write result ('T.Log(TensorPrimitives.Sum<'T>(read temp n)) + shift)
            else
                let lanes = f.Lanes
                Lanes.maximum (n, lanes, x, result)

                for i in 0 .. lanes - 1 do
                    if not ('T.IsFinite(NativePtr.get result i)) then
                        NativePtr.set result i 'T.Zero

                Lanes.map2<'T, Maps.Sub<'T>>(n, lanes, x, Access.Flat, result, Access.Lanes, temp)
                Lanes.map1<'T, Curves.Exp<'T>>(n * lanes, temp, temp)

                for k in 1 .. n - 1 do
                    Lanes.add (lanes, NativePtr.add temp (k * lanes), temp)

                Lanes.map1<'T, Curves.Log<'T>>(lanes, temp, temp)
                Lanes.add (lanes, temp, result)

    let gather<'T when 'T: unmanaged> (indices: int[]) (a: Operand) (out: Operand) : Step<'T> =
        fun f ->
            let source, target, lanes = f.At a, f.At out, f.Lanes

            if lanes = 1 then
                for k in 0 .. indices.Length - 1 do
                    let x: 'T = NativePtr.get source indices[k]
                    NativePtr.set target k x
            else
                for k in 0 .. indices.Length - 1 do
                    (read (NativePtr.add source (indices[k] * lanes)) lanes)
                        .CopyTo(write (NativePtr.add target (k * lanes)) lanes)

    let private scatterAdd<'T when 'T: unmanaged and 'T :> INumberBase<'T>>
        (indices: int[])
        (a: Operand)
        (out: Operand)
        : Step<'T> =
        fun (f: Frame<'T>) ->
            if f.Lanes = 1 then
                (write (f.At out) out.Size).Clear()

                for k in 0 .. indices.Length - 1 do
                    addTo (NativePtr.add (f.At out) indices[k]) (NativePtr.get (f.At a) k)
            else
                Lanes.scatter (indices, out.Size, f.Lanes, f.At a, f.At out)

    let private concat (parts: Operand[]) (out: Operand) : Step<'T> =
        fun f ->
            let mutable column = 0

            for part in parts do
                let target = NativePtr.add (f.At out) (column * f.Lanes)

                if f.Lanes = 1 then
                    (read (f.At part) part.Size).CopyTo(write target part.Size)
                else
                    flatten f part.Size part target

                column <- column + part.Size

    let private sparse<'T when 'T: unmanaged and 'T :> INumberBase<'T>>
        (m: SparseMatrix)
        (a: Operand)
        (out: Operand)
        : Step<'T> =
        let values = m.Values |> Array.map (fun v -> 'T.CreateTruncating<float> v)

        fun f ->
            let source, target, lanes = f.At a, f.At out, f.Lanes
            (write target (out.Size * lanes)).Clear()

            for row in 0 .. m.Rows - 1 do
                for k in m.RowStart[row] .. m.RowStart[row + 1] - 1 do
                    let p = NativePtr.add source (m.ColumnOf[k] * lanes)
                    let q = NativePtr.add target (row * lanes)

                    if lanes = 1 then
                        let x: 'T = NativePtr.read p
                        addTo q (values[k] * x)
                    else
                        Lanes.axpy (lanes, values[k], p, q)

    /// A shared matrix, as it is or transposed, times a shared vector.
    let sharedProduct (matrix: Operand) (transposed: bool) (x: Operand) (out: Operand) : Step<'T> =
        fun f ->
            if transposed then
                Gemv.transposed (f.At matrix, out.Size, x.Size, out.Size, f.At x, f.At out, false)
            else
                Gemv.rowMajor (f.At matrix, x.Size, out.Size, x.Size, f.At x, f.At out, false)

    let private outer<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (overRows: bool)
        (a: Operand)
        (b: Operand)
        (out: Operand)
        : Step<'T> =
        fun f ->
            let factor = if overRows then 'T.CreateTruncating<int> f.Rows else 'T.One

            for i in 0 .. a.Size - 1 do
                TensorPrimitives.Multiply<'T>(
                    read (f.At b) b.Size,
                    factor * NativePtr.get (f.At a) i,
                    write (NativePtr.add (f.At out) (i * b.Size)) b.Size
                )

    let private timesRows<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (a: Operand)
        (out: Operand)
        : Step<'T> =
        fun f ->
            TensorPrimitives.Multiply<'T>(
                read (f.At a) a.Size,
                'T.CreateTruncating<int> f.Rows,
                write (f.At out) a.Size
            )

    let private transpose (rows: int) (columns: int) (a: Operand) (out: Operand) : Step<'T> =
        fun f -> Transpose.copy (f.At a, rows, columns, columns, f.At out, rows)

    /// A matrix of a packing task, or its transpose.
    let pack
        (rows: int)
        (columns: int)
        (source: Operand)
        (target: Operand)
        (isTransposed: bool)
        : Step<'T> =
        if isTransposed then
            fun f -> Gemm.pack (f.At source, columns, rows, 1, columns, f.At target)
        else
            fun f -> Gemm.pack (f.At source, rows, columns, columns, 1, f.At target)

    /// The step of one operation.
    let operation<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (op: Op)
        (operands: Operand[])
        (shapes: Shape[])
        (scratch: Operand)
        (out: Operand)
        : Step<'T> =
        let a = if operands.Length > 0 then operands[0] else out
        let b = if operands.Length > 1 then operands[1] else out

        match op with
        | Op.Neg -> map1<'T, Maps.Neg<'T>> a out
        | Op.Abs -> map1<'T, Maps.Abs<'T>> a out
        | Op.Sign -> map1<'T, Maps.Sign<'T>> a out
        | Op.Sqrt -> map1<'T, Maps.Sqrt<'T>> a out
        | Op.Exp -> map1<'T, Curves.Exp<'T>> a out
        | Op.Log -> map1<'T, Curves.Log<'T>> a out
        | Op.Tanh -> map1<'T, Curves.Tanh<'T>> a out
        | Op.Sin -> map1<'T, Curves.Sin<'T>> a out
        | Op.Cos -> map1<'T, Curves.Cos<'T>> a out
        | Op.Log1p -> each Special.log1p a out
        | Op.Expm1 -> each Special.expm1 a out
        | Op.Erf -> each Special.erf a out
        | Op.LogGamma -> each Special.logGamma a out
        | Op.Polygamma order -> each (Special.polygamma order) a out
        | Op.Power exponent ->
            fun f ->
                let struct (features, lanes) = extent f out.Size
                Lanes.power (exponent, features * lanes, f.At a, f.At out)
        | Op.Add -> map2<'T, Maps.Add<'T>> a b out
        | Op.Sub -> map2<'T, Maps.Sub<'T>> a b out
        | Op.Mul -> map2<'T, Maps.Mul<'T>> a b out
        | Op.MaskedMul -> map2<'T, Maps.MaskedMul<'T>> a b out
        | Op.Div -> map2<'T, Maps.Div<'T>> a b out
        | Op.Less -> map2<'T, Maps.Less<'T>> a b out
        | Op.XLogY ->
            let y = within out.Size b
            let times = map2<'T, Maps.MaskedMul<'T>> a out out

            fun f ->
                logTo f out.Size y (f.At out)
                times f
        | Op.Select ->
            let c, a, b = within out.Size a, within out.Size b, within out.Size operands[2]

            fun f ->
                let struct (features, lanes) = extent f out.Size

                Lanes.select (
                    features,
                    lanes,
                    f.At c,
                    f.Access c,
                    f.At a,
                    f.Access a,
                    f.At b,
                    f.Access b,
                    f.At out
                )
        | Op.Sum -> sum a out
        | Op.LogSumExp -> logSumExp a scratch out
        | Op.Fill _ ->
            let a = { a with Stride = 0 }
            fun f -> flatten f out.Size a (f.At out)
        | Op.Gather indices -> gather indices a out
        | Op.ScatterAdd(indices, _) -> scatterAdd indices a out
        | Op.Concat -> concat operands out
        | Op.MatVec -> sharedProduct a false b out
        | Op.Transpose ->
            match shapes[0] with
            | Matrix(rows, columns) -> transpose rows columns a out
            | _ -> map1<'T, Maps.Copy<'T>> a out
        | Op.Outer -> outer false a b out
        | Op.OuterRows -> outer true a b out
        | Op.SparseVec m -> sparse m a out
        | Op.SumRows -> timesRows a out

    /// A sum over an operation that is not kept.
    let sumOver<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (op: Op)
        (size: int)
        (a: Operand)
        (b: Operand)
        (scratch: Operand)
        (out: Operand)
        : Step<'T> =
        match op with
        | Op.Add -> sumOf<'T, Maps.Add<'T>> true size a b out
        | Op.Sub -> sumOf<'T, Maps.Sub<'T>> false size a b out
        | Op.Mul -> sumOf<'T, Maps.Mul<'T>> true size a b out
        | Op.Div -> sumOf<'T, Maps.Div<'T>> false size a b out
        | Op.Less -> sumOf<'T, Maps.Less<'T>> false size a b out
        | Op.XLogY ->
            let y = within size b
            let total = sumOf<'T, Maps.MaskedMul<'T>> false size a scratch out

            fun f ->
                logTo f size y (f.At scratch)
                total f
        | _ -> sumOf<'T, Maps.MaskedMul<'T>> false size a b out
