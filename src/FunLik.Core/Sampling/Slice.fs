namespace FunLik

open System
open System.Numerics.Tensors

/// How a slice sampler moves.
type SliceSettings =
    {
        /// The scales of the density: directions are S·z with z standard normal.
        Metric: Metric
        /// The width of the first interval, in lengths of the direction.
        Width: float
        /// The largest number of widths that an interval may grow to.
        MostWidths: int
        /// Directions in one step, one after the other.
        Directions: int
    }

/// Slice sampling along random lines, by stepping out and shrinkage: Neal, Ann. Statist. 31 (2003) 705, sections 4.1 and 5.2. It has
/// no step size to be tuned well, asks for values alone, and always moves; points outside of the support are never in a slice.
[<RequireQualifiedAccess>]
module Slice =

    /// Intervals of width 2 that grow to 10 widths at most; as many directions a step as parameters.
    let settings (metric: Metric) : SliceSettings =
        {
            Metric = metric
            Width = 2.0
            MostWidths = 10
            Directions = Metric.dimension metric
        }

    /// What is wrong with settings for a density of so many parameters.
    let check (dimension: int) (settings: SliceSettings) : Error list =
        let require = Setting.require

        let atLeastOne (what: string) (value: int) : Error list =
            require (value >= 1) what $"{value}" "1 or more"

        require
            (settings.Width > 0.0 && Double.IsFinite settings.Width)
            "the width of a slice"
            $"{settings.Width}"
            "above 0"
        @ atLeastOne "the widths that a slice may grow to" settings.MostWidths
        @ atLeastOne "the directions of a step" settings.Directions
        @ require
            (Metric.dimension settings.Metric = dimension)
            "the metric's number of parameters"
            $"{Metric.dimension settings.Metric}"
            $"{dimension}"
        @ require
            (Metric.widths settings.Metric
             |> Array.forall (fun w -> w > 0.0 && Double.IsFinite w))
            "a scale of the metric"
            "not positive"
            "above 0"

    /// What a chain is looking at along its line.
    [<RequireQualifiedAccess>]
    type private Look =
        /// Whether the lower end of the interval is outside of the slice.
        | Lower
        /// Whether the upper end is.
        | Upper
        /// A candidate between the ends.
        | Between
        /// Nothing: it has moved.
        | Done

    /// All chains along one direction each, in lockstep: one round asks each chain that has not moved for one value.
    let private along
        (options: RunOptions)
        (objective: Objective)
        (settings: SliceSettings)
        (key: Key)
        (after: Chains)
        (info: StepInfo)
        (calls: int64[])
        : unit =
        let n, count = objective.Count, after.Count
        let keys = Key.splitN 4 key
        let z = Key.normals (count * n) keys[0]

        let directions =
            Array.init count (fun c -> Metric.apply settings.Metric (z.AsSpan(c * n, n).ToArray()))

        let level =
            Key.uniforms count keys[1] |> Array.map2 (fun y u -> y + log u) after.LogDensity

        let places = Key.uniforms (2 * count) keys[2]
        let lower = Array.init count (fun c -> -settings.Width * places[2 * c])
        let upper = lower |> Array.map ((+) settings.Width)

        // Widths that each end may still move by: their sum is fixed before the looks, as reversibility needs.
        let below =
            Array.init count (fun c ->
                min (settings.MostWidths - 1) (int (places[2 * c + 1] * float settings.MostWidths)))

        let above = below |> Array.map (fun b -> settings.MostWidths - 1 - b)
        let at: float[] = Array.zeroCreate count
        let looks = Array.create count Look.Lower
        let mutable round = 0
        let mutable active = Array.init count id

        while active.Length > 0 do
            options.Cancellation.ThrowIfCancellationRequested()
            let uniforms = Key.uniforms count (Key.fold round keys[3])
            round <- round + 1

            // Ends that may not move any more are not looked at.
            for c in active do
                if looks[c].IsLower && below[c] = 0 then
                    looks[c] <- Look.Upper

                if looks[c].IsUpper && above[c] = 0 then
                    looks[c] <- Look.Between

                at[c] <-
                    match looks[c] with
                    | Look.Lower -> lower[c]
                    | Look.Upper -> upper[c]
                    | _ -> lower[c] + uniforms[c] * (upper[c] - lower[c])

            let points: float[] = Array.zeroCreate (active.Length * n)

            for i in 0 .. active.Length - 1 do
                let c = active[i]

                TensorPrimitives.MultiplyAdd(
                    ReadOnlySpan directions[c],
                    at[c],
                    ReadOnlySpan(after.Points, c * n, n),
                    Span(points, i * n, n)
                )

            let values = objective.Values(points, options)

            for i in 0 .. active.Length - 1 do
                let c = active[i]
                calls[c] <- calls[c] + 1L
                let isIn = values[i] > level[c] && values[i] < infinity

                if Double.IsNaN values[i] then
                    info.Divergent[c] <- true

                match looks[c] with
                | Look.Lower when isIn ->
                    lower[c] <- lower[c] - settings.Width
                    below[c] <- below[c] - 1
                | Look.Lower -> looks[c] <- Look.Upper
                | Look.Upper when isIn ->
                    upper[c] <- upper[c] + settings.Width
                    above[c] <- above[c] - 1
                | Look.Upper -> looks[c] <- Look.Between
                | _ when isIn ->
                    Array.Copy(points, i * n, after.Points, c * n, n)
                    after.LogDensity[c] <- values[i]
                    info.Accepted[c] <- true
                    looks[c] <- Look.Done
                | _ ->
                    if Double.IsNegativeInfinity values[i] then
                        info.Bounces[c] <- info.Bounces[c] + 1

                    if at[c] < 0.0 then lower[c] <- at[c] else upper[c] <- at[c]

                    // Where rounding leaves no interval, the chain stays.
                    if upper[c] - lower[c] < 1e-14 * settings.Width then
                        looks[c] <- Look.Done

            active <- active |> Array.filter (fun c -> not looks[c].IsDone)

    let private step
        (options: RunOptions)
        (objective: Objective)
        (settings: SliceSettings)
        (key: Key)
        (chains: Chains)
        (room: Chains)
        : struct (Chains * StepInfo) =
        let struct (after, info) = Accept.begun 0L chains room
        let calls = Array.create chains.Count 0L

        for d in 0 .. settings.Directions - 1 do
            along options objective settings (Key.fold d key) after info calls

        // A slice refuses nothing: what stands for an acceptance is the part of the looks that ended a line.
        for c in 0 .. chains.Count - 1 do
            info.Acceptance[c] <- float settings.Directions / float (max 1L calls[c])

        struct (after,
                { info with
                    Length = int (Array.max calls)
                    Calls = { Values = Array.sum calls; Gradients = 0L }
                })

    /// The sampler of these settings. Raises an error for settings that make no sense.
    let sampler (options: RunOptions) (objective: Objective) (settings: SliceSettings) : Sampler =
        match check objective.Count settings with
        | [] -> { Name = "slice"; Group = 1; Advance = step options objective settings }
        | errors -> raise (FunLikException errors)
