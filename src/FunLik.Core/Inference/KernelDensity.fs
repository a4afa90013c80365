namespace FunLik

open System
open System.Numerics
open System.Numerics.Tensors
open MathNet.Numerics
open MathNet.Numerics.IntegralTransforms

/// Weights of draws in even bins.
type BinnedDraws =
    {
        /// The lower end of the first bin.
        Low: float
        /// The width of a bin.
        Step: float
        /// The weight in each bin; together 1.
        Counts: float[]
        /// The end of the density at the lower end of the first bin; −∞ where it goes on.
        LowEdge: float
        /// The end of the density at the upper end of the last bin; +∞ where it goes on.
        HighEdge: float
    }

    /// The middles of the bins.
    member this.Middles: float[] =
        Array.init this.Counts.Length (fun i -> this.Low + (float i + 0.5) * this.Step)

/// A smooth density of one parameter on an even grid.
type DensityCurve =
    {
        /// The grid: the middles of bins.
        X: float[]
        /// The density there; its integral is 1.
        Y: float[]
        /// The standard deviation of the normal kernel.
        Bandwidth: float
    }

/// Smooth densities of one parameter from draws: normal kernels, with the bandwidth of Botev, Grotowski and Kroese, Ann. Statist. 38
/// (2010) 2916 (the improved Sheather–Jones rule), for the effective number of draws, and the boundary correction of Jones and Foster,
/// Statistica Sinica 6 (1996) 1005, which is of the second order in the bandwidth up to the edge and never negative.
[<RequireQualifiedAccess>]
module KernelDensity =

    /// Bins that hold all draws: about 150 or more within the middle half of them, out to edges that are near, else a sixth of the
    /// range beyond the outermost draws.
    let bins
        (struct (lowEdge, highEdge): struct (float * float))
        (table: DrawTable)
        (values: float[])
        : BinnedDraws =
        let counted =
            match table.Weights with
            | None -> values
            | Some w -> Array.zip values w |> Array.filter (fun (_, w) -> w > 0.0) |> Array.map fst

        let sorted = Array.sort counted
        let least, most = sorted[0], sorted[sorted.Length - 1]

        let range =
            if most > least then
                most - least
            else
                max 1e-12 (abs least * 1e-9)

        let pad = range / 6.0
        let low = max lowEdge (least - pad)
        let high = min highEdge (most + pad)
        let middle = sorted[sorted.Length * 3 / 4] - sorted[sorted.Length / 4]

        let wanted = if middle > 0.0 then 150.0 * (high - low) / middle else 0.0

        let count =
            int (BitOperations.RoundUpToPowerOf2(uint32 (Math.Clamp(wanted, 1024.0, 16384.0))))

        {
            Low = low
            Step = (high - low) / float count
            Counts = Array.zeroCreate count
            LowEdge = (if low = lowEdge then lowEdge else -infinity)
            HighEdge = (if high = highEdge then highEdge else infinity)
        }

    /// The bins with the weights of some draws in them.
    let fill
        (weights: float[])
        (values: float[])
        (isTaken: int -> bool)
        (bins: BinnedDraws)
        : BinnedDraws =
        let counts: float[] = Array.zeroCreate bins.Counts.Length
        let last = counts.Length - 1

        for r in 0 .. values.Length - 1 do
            if weights[r] > 0.0 && isTaken r then
                let bin = Math.Clamp(int ((values[r] - bins.Low) / bins.Step), 0, last)
                counts[bin] <- counts[bin] + weights[r]

        let total = TensorPrimitives.Sum(ReadOnlySpan counts)
        let scaled: float[] = Array.zeroCreate counts.Length

        TensorPrimitives.Multiply(
            ReadOnlySpan counts,
            (if total > 0.0 then 1.0 / total else 0.0),
            Span scaled
        )

        { bins with Counts = scaled }

    /// (Σ_j c_j cos(πk(j + ½)/n))² for k from 1 on.
    let private powers (counts: float[]) : float[] =
        let n = counts.Length

        let mirrored =
            Array.init (2 * n) (fun i ->
                Complex((if i < n then counts[i] else counts[2 * n - 1 - i]), 0.0))

        Fourier.Forward(mirrored, FourierOptions.NoScaling)

        Array.init (n - 1) (fun i ->
            let k = i + 1

            let turned =
                mirrored[k]
                * Complex.FromPolarCoordinates(0.5, -Math.PI * float k / float (2 * n))

            turned.Real * turned.Real)

    /// 2 π^{2s} Σ k^{2s} a²_k exp(−k²π²t).
    let private roughness (powers: float[]) (s: int) (t: float) : float =
        let mutable total = 0.0
        let mutable k = 1
        let most = min powers.Length (int (ceil (sqrt (60.0 / t) / Math.PI)) + 1)

        while k <= most do
            let square = float k * float k

            total <-
                total
                + Math.Pow(square, float s)
                  * powers[k - 1]
                  * exp (-square * Math.PI * Math.PI * t)

            k <- k + 1

        2.0 * Math.Pow(Math.PI, 2.0 * float s) * total

    /// t less what the plug-in equations of seven stages give for it: section 5, algorithm 1.
    let private fixedPoint (powers: float[]) (draws: float) (t: float) : float =
        let mutable f = roughness powers 7 t

        for s in 6..-1..2 do
            let odd = Seq.init s (fun i -> 2.0 * float i + 1.0) |> Seq.fold (*) 1.0
            let k0 = odd / sqrt (2.0 * Math.PI)
            let c = (1.0 + Math.Pow(0.5, float s + 0.5)) / 3.0
            let time = Math.Pow(2.0 * c * k0 / draws / f, 2.0 / (3.0 + 2.0 * float s))
            f <- roughness powers s time

        t - Math.Pow(2.0 * draws * sqrt Math.PI * f, -0.4)

    let private moments (bins: BinnedDraws) : struct (float * float) =
        let x = bins.Middles
        let mean = TensorPrimitives.Dot(ReadOnlySpan x, ReadOnlySpan bins.Counts)

        let variance =
            Array.map2 (fun c v -> c * (v - mean) * (v - mean)) bins.Counts x |> Array.sum

        struct (mean, sqrt variance)

    /// The bandwidth for so many independent draws: the first root of the fixed-point equation; where there is none, that of a normal
    /// density (Silverman's). It is never less than a bin and a half.
    let bandwidth (draws: float) (bins: BinnedDraws) : float =
        let n = max 4.0 draws
        let width = float bins.Counts.Length * bins.Step
        let powers = powers bins.Counts
        let struct (_, deviation) = moments bins

        let rec bracket (t: float) : (float * float) option =
            let next = t * 1.5

            if next > 0.1 then None
            elif fixedPoint powers n next > 0.0 then Some(t, next)
            else bracket next

        let rec bisect (count: int) (low: float) (high: float) : float =
            let middle = sqrt (low * high)

            if count = 0 then
                middle
            elif fixedPoint powers n middle > 0.0 then
                bisect (count - 1) low middle
            else
                bisect (count - 1) middle high

        let found =
            match bracket 1e-8 with
            | Some(low, high) -> width * sqrt (bisect 20 low high)
            | None -> 1.06 * deviation * Math.Pow(n, -0.2)

        max found (1.5 * bins.Step)

    let private phi (x: float) : float =
        if Double.IsInfinity x then
            0.0
        else
            exp (-0.5 * x * x) / sqrt (2.0 * Math.PI)

    let private below (x: float) : float = 0.5 * SpecialFunctions.Erfc(-x / sqrt 2.0)

    /// x·φ(x), 0 at infinity.
    let private xPhi (x: float) : float = if Double.IsInfinity x then 0.0 else x * phi x

    /// The density of binned draws for a bandwidth.
    let curve (bandwidth: float) (bins: BinnedDraws) : DensityCurve =
        let n = bins.Counts.Length
        let reach = min (n - 1) (int (ceil (6.0 * bandwidth / bins.Step)))

        let u =
            Array.init (2 * reach + 1) (fun i -> float (i - reach) * bins.Step / bandwidth)

        let kernel = u |> Array.map (fun v -> phi v / bandwidth)
        let slope = u |> Array.map (fun v -> v * phi v / bandwidth)
        let plain: float[] = Array.zeroCreate n
        let sloped: float[] = Array.zeroCreate n

        for j in 0 .. n - 1 do
            if bins.Counts[j] > 0.0 then
                let first, last = max 0 (j - reach), min (n - 1) (j + reach)
                let count, from = last - first + 1, first - j + reach

                let add (weights: float[]) (into: float[]) : unit =
                    let target = Span(into, first, count)

                    TensorPrimitives.MultiplyAdd(
                        ReadOnlySpan(weights, from, count),
                        bins.Counts[j],
                        Span.op_Implicit target,
                        target
                    )

                add kernel plain
                add slope sloped

        let x = bins.Middles

        let y =
            Array.init n (fun i ->
                let a = (x[i] - bins.HighEdge) / bandwidth
                let b = (x[i] - bins.LowEdge) / bandwidth

                if plain[i] <= 0.0 then
                    0.0
                elif a < -6.0 && b > 6.0 then
                    plain[i]
                else
                    let a0 = below b - below a
                    let a1 = phi a - phi b
                    let a2 = a0 + xPhi a - xPhi b
                    let cut = plain[i] / a0
                    let linear = (a2 * plain[i] - a1 * sloped[i]) / (a0 * a2 - a1 * a1)
                    cut * exp (linear / cut - 1.0))

        let total = TensorPrimitives.Sum(ReadOnlySpan y) * bins.Step
        { X = x; Y = y |> Array.map (fun v -> v / total); Bandwidth = bandwidth }

    /// The standard error of a density where it has this height, from so many independent draws: √(p ∫K² / (n h)).
    let noise (draws: float) (curve: DensityCurve) (height: float) : float =
        sqrt (height / (2.0 * sqrt Math.PI * draws * curve.Bandwidth))

    /// Between the points of its grid the density is linear; outside it is 0.
    let at (x: float) (curve: DensityCurve) : float =
        let step = curve.X[1] - curve.X[0]
        let place = (x - curve.X[0]) / step
        let last = curve.X.Length - 1

        if place < -0.5 || place > float last + 0.5 then
            0.0
        else
            let i = Math.Clamp(int place, 0, last - 1)
            let f = Math.Clamp(place - float i, 0.0, 1.0)
            curve.Y[i] + f * (curve.Y[i + 1] - curve.Y[i])
