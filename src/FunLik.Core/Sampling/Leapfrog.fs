namespace FunLik

#nowarn "9" // Objectives read and write by pointer

open System
open System.Buffers
open System.Numerics.Tensors
open System.Threading.Tasks

/// Metric times step size, as the integrator uses it.
[<RequireQualifiedAccess>]
type internal Mover =
    /// ε·S and ½ε·S.
    | Scales of whole: float[] * half: float[]
    /// Packed: ε·Sᵀ for positions, ε·S and ½ε·S for momenta.
    | Panels of drift: Buffer<float> * kick: Buffer<float> * half: Buffer<float>

/// Positions of several chains, and what the density is there.
[<Struct>]
type internal Place = { Q: float[]; Y: float[]; G: float[] }

/// The integrator of Hamiltonian samplers: blocks of chains moved together, in the units of a metric.
[<RequireQualifiedAccess>]
module internal Leapfrog =

    /// Chains that are moved together: few enough for the cache, and always the same ones, so that
    /// nothing depends on the number of threads.
    let private blockRows = 32

    /// Does something for each block of chains (its first one, and how many), on several threads
    /// where the objective allows that.
    let forBlocks
        (options: RunOptions)
        (objective: Objective)
        (count: int)
        (move: RunOptions -> int -> int -> unit)
        : unit =
        let blocks = (count + blockRows - 1) / blockRows

        let block (options: RunOptions) (b: int) : unit =
            move options (b * blockRows) (min blockRows (count - b * blockRows))

        if not objective.IsConcurrent then
            move options 0 count
        elif options.Threads = 1 || blocks = 1 then
            for b in 0 .. blocks - 1 do
                block options b
        else
            let parallelism =
                ParallelOptions(
                    MaxDegreeOfParallelism = options.Threads,
                    CancellationToken = options.Cancellation
                )

            let one = { options with Threads = 1 }
            Parallel.For(0, blocks, parallelism, block one) |> ignore

    /// What moves chains by steps of this size in this metric.
    let mover (step: float) (metric: Metric) : Mover =
        match metric with
        | Metric.Diagonal scales ->
            Mover.Scales(Array.map ((*) step) scales, Array.map ((*) (0.5 * step)) scales)
        | Metric.Dense factor ->
            let n = Metric.dimension metric

            let packed (scale: float) (rowStride: int) (columnStride: int) : Buffer<float> =
                let target = Buffer<float>(Gemm.packedColumnsLength<float> n n)
                use source = fixed &(Array.map ((*) scale) factor)[0]
                Gemm.packColumns (source, n, n, rowStride, columnStride, target.Start)
                target

            Mover.Panels(packed step 1 n, packed step n 1, packed (0.5 * step) n 1)

    /// Adds each row of `from` times a packed triangular matrix to the same row of `sum`, one strip
    /// of columns after the other: what is zero in a strip is left out.
    let private addProducts
        (n: int)
        (rows: int)
        (isUpper: bool)
        (matrix: Buffer<float>)
        (from: float[])
        (sum: float[])
        : unit =
        let pool = ArrayPool<float>.Shared
        let packed = pool.Rent(Gemm.packedLength<float> rows n)
        use source = fixed &from[0]
        use panels = fixed &packed[0]
        use target = fixed &sum[0]
        Gemm.pack (source, rows, n, n, 1, panels)
        let width = Gemm.panelColumns<float>()

        for first in 0..width .. n - 1 do
            let columns = min width (n - first)
            let top = if isUpper then 0 else first
            let depth = if isUpper then first + columns else n - first
            let left = (Strided.from panels (Gemm.PanelRows * n)).From(0, top * Gemm.PanelRows)
            let strip = (Strided.from matrix.Start (width * n)).From(0, first * n + top * width)
            let part = (Strided.from target n).From(0, first)
            GemmTile.multiply (left, rows, depth, strip, width, columns, part, true)

        GC.KeepAlive matrix
        pool.Return packed

    /// Sets each row to the one of `from` plus ε·S·momentum.
    let private drift
        (n: int)
        (rows: int)
        (mover: Mover)
        (p: float[])
        (from: float[])
        (q: float[])
        : unit =
        match mover with
        | Mover.Scales(whole, _) ->
            for c in 0 .. rows - 1 do
                TensorPrimitives.MultiplyAdd(
                    ReadOnlySpan(p, c * n, n),
                    ReadOnlySpan whole,
                    ReadOnlySpan(from, c * n, n),
                    Span(q, c * n, n)
                )
        | Mover.Panels(whole, _, _) ->
            Array.Copy(from, q, rows * n)
            addProducts n rows true whole p q

    /// Adds ε·Sᵀ·gradient to each row of momenta, or half of it.
    let private kick
        (n: int)
        (rows: int)
        (mover: Mover)
        (isHalf: bool)
        (g: float[])
        (p: float[])
        : unit =
        match mover with
        | Mover.Scales(whole, half) ->
            let scales = if isHalf then half else whole

            for c in 0 .. rows - 1 do
                let row = Span(p, c * n, n)
                let slopes = ReadOnlySpan(g, c * n, n)
                TensorPrimitives.MultiplyAdd(slopes, ReadOnlySpan scales, row, row)
        | Mover.Panels(_, whole, half) ->
            addProducts n rows false (if isHalf then half else whole) g p

    /// Puts a row back to where it was, and turns its momentum round.
    let private bounce (n: int) (c: int) (here: Place) (there: Place) (p: float[]) : unit =
        Array.Copy(here.Q, c * n, there.Q, c * n, n)
        Array.Copy(here.G, c * n, there.G, c * n, n)
        there.Y[c] <- here.Y[c]
        let row = Span(p, c * n, n)
        TensorPrimitives.Negate(Span.op_Implicit row, row)

    /// Leapfrog steps from `start`, which is overwritten as `other` is: gives the one that has the
    /// end. `met` hears of each row that met a value that is not finite, and of the value.
    let integrate
        (options: RunOptions)
        (objective: Objective)
        (mover: Mover)
        (length: int)
        (rows: int)
        (p: float[])
        (start: Place)
        (other: Place)
        (met: int -> float -> unit)
        : Place =
        let n = objective.Count
        let mutable here = start
        let mutable there = other
        kick n rows mover true here.G p

        for l in 1..length do
            drift n rows mover p here.Q there.Q
            use points = fixed &there.Q[0]
            use values = fixed &there.Y[0]
            use gradients = fixed &there.G[0]
            objective.Evaluate(rows, points, values, gradients, options)

            for c in 0 .. rows - 1 do
                if not (Double.IsFinite there.Y[c]) then
                    met c there.Y[c]
                    bounce n c here there p

            let left = here
            here <- there
            there <- left
            kick n rows mover (l = length) here.G p

        here
