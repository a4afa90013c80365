namespace FunLik

open System

/// The border of a region of highest density of two parameters.
type DensityContour =
    {
        /// The probability that it holds.
        Level: ConfidenceLevel
        /// The height of the density on it.
        Height: float
        /// Its lines.
        Lines: ContourLine list
    }

/// A smooth density of two parameters on a grid, and its regions of highest density.
type DensityMap =
    {
        /// The first parameter and the second.
        Parameters: string * string
        /// The grid of the first.
        X: float[]
        /// The grid of the second.
        Y: float[]
        /// The density, the first parameter running slowly; its integral is 1.
        Density: float[]
        /// The standard deviations of the kernel, and its correlation.
        Bandwidth: struct (float * float * float)
        /// The borders, level by level.
        Contours: DensityContour list
    }

/// Densities of two parameters: normal kernels with the correlation of the draws, of widths b n^(−1/6), b the spread for which the
/// bandwidth of one parameter is the best for a normal density (1.06 b n^(−1/5)); with the local linear correction at edges, kept
/// positive as in one dimension (Jones and Foster; for two parameters see Lewis, arXiv:1910.13970, section IV).
[<RequireQualifiedAccess>]
module DensityMap =

    /// The levels that are drawn: 68.27 %, 95.45 % and 99.73 % of the draws inside.
    let usual: ConfidenceLevel list =
        Credible.usual
        |> List.map (fun level -> ConfidenceLevel.ofProbability 2 level.Probability)

    /// Points of the grid along each side.
    let private side = 96

    /// Of the kernel's width, how far it reaches.
    let private reach = 4.0

    /// A side of the grid: bins, their width, and whether the density ends at either end.
    type private Side = { Low: float; Step: float; IsLowEdge: bool; IsHighEdge: bool; Width: float }

    let private sideOf (draws: float) (parameter: int) (table: DrawTable) : Side =
        let values = DrawTable.flat parameter table
        let bins = KernelDensity.bins (DrawTable.edges parameter table) table values

        let bandwidth =
            bins
            |> KernelDensity.fill (DrawTable.weights table) values (fun _ -> true)
            |> KernelDensity.bandwidth draws

        let high = bins.Low + bins.Step * float bins.Counts.Length
        let step = (high - bins.Low) / float side

        {
            Low = bins.Low
            Step = step
            IsLowEdge = Double.IsFinite bins.LowEdge
            IsHighEdge = Double.IsFinite bins.HighEdge
            Width = max step (bandwidth / 1.06 * Math.Pow(draws, 1.0 / 5.0 - 1.0 / 6.0))
        }

    let private correlation (weights: float[]) (x: float[]) (y: float[]) : float =
        let total = Array.sum weights
        let mean (v: float[]) : float = Array.fold2 (fun s w a -> s + w * a) 0.0 weights v / total
        let mx, my = mean x, mean y
        let mutable xx, xy, yy = 0.0, 0.0, 0.0

        for r in 0 .. x.Length - 1 do
            let a, b = x[r] - mx, y[r] - my
            xx <- xx + weights[r] * a * a
            xy <- xy + weights[r] * a * b
            yy <- yy + weights[r] * b * b

        if xx > 0.0 && yy > 0.0 then
            Math.Clamp(xy / sqrt (xx * yy), -0.95, 0.95)
        else
            0.0

    /// The height above which cells hold a probability of the draws.
    let private heightOf (counts: float[]) (density: float[]) (probability: float) : float =
        let order = Array.init density.Length id |> Array.sortBy (fun i -> -density[i])
        let mutable sum = 0.0
        let mutable k = 0

        while k < order.Length - 1 && sum + counts[order[k]] < probability do
            sum <- sum + counts[order[k]]
            k <- k + 1

        density[order[k]]

    /// The value at a cell of a local linear fit of what the kernel sees: sums of the counts times 1, u and v, and of the cells inside
    /// times the products of these.
    let private linear (p: float, pu: float, pv: float) (m: float[]) : float =
        // Cofactors of the first row of [m0 m1 m2; m1 m3 m4; m2 m4 m5].
        let c0 = m[3] * m[5] - m[4] * m[4]
        let c1 = m[2] * m[4] - m[1] * m[5]
        let c2 = m[1] * m[4] - m[2] * m[3]
        let determinant = m[0] * c0 + m[1] * c1 + m[2] * c2
        (c0 * p + c1 * pu + c2 * pv) / determinant

    let private smoothed (a: Side) (b: Side) (rho: float) (counts: float[]) : float[] =
        let ri = min (side - 1) (int (ceil (reach * a.Width / a.Step)))
        let rj = min (side - 1) (int (ceil (reach * b.Width / b.Step)))
        let wide = 2 * rj + 1

        let kernel =
            Array.init ((2 * ri + 1) * wide) (fun k ->
                let u = float (k / wide - ri) * a.Step / a.Width
                let v = float (k % wide - rj) * b.Step / b.Width
                exp (-0.5 * (u * u - 2.0 * rho * u * v + v * v) / (1.0 - rho * rho)))

        let whole = Array.sum kernel
        let kernel = kernel |> Array.map (fun k -> k / whole)

        let weight (di: int) (dj: int) : float = kernel[(di + ri) * wide + dj + rj]

        /// Whether a cell's density exists: outside of the grid it does, unless an edge is there.
        let exists (i: int) (j: int) : bool =
            (i >= 0 || not a.IsLowEdge)
            && (i < side || not a.IsHighEdge)
            && (j >= 0 || not b.IsLowEdge)
            && (j < side || not b.IsHighEdge)

        Array.init (side * side) (fun cell ->
            let i, j = cell / side, cell % side
            let mutable p, pu, pv = 0.0, 0.0, 0.0

            let firstX, lastX = max 0 (i - ri), min (side - 1) (i + ri)
            let firstY, lastY = max 0 (j - rj), min (side - 1) (j + rj)

            for x in firstX..lastX do
                for y in firstY..lastY do
                    let count = counts[x * side + y]

                    if count > 0.0 then
                        let k = count * weight (x - i) (y - j)
                        p <- p + k
                        pu <- pu + k * float (x - i)
                        pv <- pv + k * float (y - j)

            let isNearEdge =
                not (
                    exists (i - ri) (j - rj)
                    && exists (i + ri) (j + rj)
                    && exists (i - ri) (j + rj)
                    && exists (i + ri) (j - rj)
                )

            if p <= 0.0 || not isNearEdge then
                p
            else
                let m = Array.zeroCreate<float> 6

                for x in i - ri .. i + ri do
                    for y in j - rj .. j + rj do
                        if exists x y then
                            let k = weight (x - i) (y - j)
                            let u, v = float (x - i), float (y - j)
                            m[0] <- m[0] + k
                            m[1] <- m[1] + k * u
                            m[2] <- m[2] + k * v
                            m[3] <- m[3] + k * u * u
                            m[4] <- m[4] + k * u * v
                            m[5] <- m[5] + k * v * v

                let cut = p / m[0]
                cut * exp (linear (p, pu, pv) m / cut - 1.0))

    /// The density of two parameters, with the borders of its regions of highest density.
    let create
        (levels: ConfidenceLevel list)
        (first: int)
        (second: int)
        (table: DrawTable)
        : DensityMap =
        let x, y = DrawTable.flat first table, DrawTable.flat second table

        let ess (values: float[]) : float =
            let struct (_, n) = Estimate.meanAndEss table values
            max 4.0 n

        let a = sideOf (ess x) first table
        let b = sideOf (ess y) second table
        let weights = DrawTable.weights table
        let rho = correlation weights x y
        let total = Array.sum weights
        let counts: float[] = Array.zeroCreate (side * side)

        for r in 0 .. x.Length - 1 do
            if weights[r] > 0.0 then
                let i = Math.Clamp(int ((x[r] - a.Low) / a.Step), 0, side - 1)
                let j = Math.Clamp(int ((y[r] - b.Low) / b.Step), 0, side - 1)
                counts[i * side + j] <- counts[i * side + j] + weights[r] / total

        let raw = smoothed a b rho counts
        let scale = 1.0 / (Array.sum raw * a.Step * b.Step)
        let density = raw |> Array.map ((*) scale)

        let middles (s: Side) : float[] =
            Array.init side (fun i -> s.Low + (float i + 0.5) * s.Step)

        let gridX, gridY = middles a, middles b
        let below = density |> Array.map (~-)

        {
            Parameters = table.Names[first], table.Names[second]
            X = gridX
            Y = gridY
            Density = density
            Bandwidth = struct (a.Width, b.Width, rho)
            Contours =
                levels
                |> List.map (fun level ->
                    let height = heightOf counts density level.Probability

                    {
                        Level = level
                        Height = height
                        Lines = Contour.lines -height gridX gridY below
                    })
        }
