namespace FunLik

open System
open System.Numerics
open System.Numerics.Tensors
open MathNet.Numerics.IntegralTransforms

/// Moments of one chain: what all diagnostics share.
[<RequireQualifiedAccess>]
module Autocovariance =

    /// The mean of a chain.
    let mean (x: float[]) : float = TensorPrimitives.Sum(ReadOnlySpan x) / float x.Length

    /// The chain less its mean.
    let centred (x: float[]) : float[] =
        let shifted: float[] = Array.zeroCreate x.Length
        TensorPrimitives.Subtract(ReadOnlySpan x, mean x, Span shifted)
        shifted

    /// Σ x².
    let sumOfSquares (x: float[]) : float = TensorPrimitives.SumOfSquares(ReadOnlySpan x)

    /// The variance, with divisor n − 1.
    let variance (x: float[]) : float = sumOfSquares (centred x) / float (x.Length - 1)

    /// Σ_i x_i x_{i+t} / n for all t, by a transform of twice the length.
    let private transformed (x: float[]) : float[] =
        let size = int (BitOperations.RoundUpToPowerOf2(uint32 (2 * x.Length)))
        let padded = Array.create size Complex.Zero
        x |> Array.iteri (fun i v -> padded[i] <- Complex(v, 0.0))
        Fourier.Forward(padded, FourierOptions.NoScaling)

        for i in 0 .. size - 1 do
            let power =
                padded[i].Real * padded[i].Real + padded[i].Imaginary * padded[i].Imaginary

            padded[i] <- Complex(power, 0.0)

        Fourier.Inverse(padded, FourierOptions.NoScaling)
        Array.init x.Length (fun t -> padded[t].Real / float size / float x.Length)

    /// The autocovariance of a chain at any lag, with divisor n. Few lags are summed as they are
    /// asked for; from lag 512 on one transform gives all: a sum of products is that much faster.
    let at (chain: float[]) : int -> float =
        let x = centred chain
        let n = x.Length
        let all = lazy (transformed x)

        fun lag ->
            if lag >= 512 then
                all.Value[lag]
            else
                TensorPrimitives.Dot(ReadOnlySpan(x, 0, n - lag), ReadOnlySpan(x, lag, n - lag))
                / float n
