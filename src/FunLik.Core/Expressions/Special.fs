namespace FunLik

open System
open MathNet.Numerics

/// Scalar special functions of the primitives, in double precision.
[<RequireQualifiedAccess>]
module Special =

    /// x log y, where 0 log y is 0 for every y.
    let xlogy (x: float) (y: float) : float = if x = 0.0 then 0.0 else x * log y

    /// log(1 + x), exact for small x.
    let log1p (x: float) : float =
        let u = 1.0 + x

        if u = 1.0 then x
        elif Double.IsPositiveInfinity u then u
        else Math.Log u * (x / (u - 1.0))

    /// exp(x) - 1, exact for small x (Higham, Accuracy and Stability of Numerical Algorithms, 1.14.1).
    let expm1 (x: float) : float =
        if abs x < 1e-5 then
            x + 0.5 * x * x * (1.0 + x / 3.0)
        elif abs x > 0.5 then
            Math.Exp x - 1.0
        else
            let u = Math.Exp x
            if u = 1.0 then x else (u - 1.0) * x / Math.Log u

    /// The error function.
    let erf (x: float) : float = SpecialFunctions.Erf x

    /// log Γ(x); +∞ at 0 and at the negative integers.
    let logGamma (x: float) : float =
        if Double.IsPositiveInfinity x then
            x
        elif x <= 0.0 && x = Math.Floor x then
            Double.PositiveInfinity
        else
            SpecialFunctions.GammaLn x

    /// Bernoulli numbers B_2, B_4, ….
    let private bernoulli =
        [|
            1.0 / 6.0
            -1.0 / 30.0
            1.0 / 42.0
            -1.0 / 30.0
            5.0 / 66.0
            -691.0 / 2730.0
            7.0 / 6.0
            -3617.0 / 510.0
            43867.0 / 798.0
            -174611.0 / 330.0
        |]

    /// ζ(s, x) = Σ_k (x+k)^-s for s ≥ 2, x > 0, by Euler and Maclaurin's formula behind 16 terms.
    let private hurwitz (s: int) (x: float) : float =
        let power (y: float) : float = Math.Pow(y, -(float s))
        let mutable total = 0.0

        for k in 0..15 do
            total <- total + power (x + float k)

        let y = x + 16.0
        total <- total + y * power y / float (s - 1) + 0.5 * power y
        let mutable term = float s * power y / y

        for k in 0 .. bernoulli.Length - 1 do
            let twice = 2 * (k + 1)
            total <- total + bernoulli[k] * term / SpecialFunctions.Factorial twice
            term <- term * float (s + twice - 1) * float (s + twice) / (y * y)

        total

    /// The derivative of order `order` of digamma (order 0), for x > 0; NaN elsewhere.
    let polygamma (order: int) (x: float) : float =
        if not (x > 0.0) then
            nan
        elif Double.IsPositiveInfinity x then
            if order = 0 then x else 0.0
        elif order = 0 then
            SpecialFunctions.DiGamma x
        else
            let sign = if order % 2 = 1 then 1.0 else -1.0
            sign * SpecialFunctions.Factorial order * hurwitz (order + 1) x

    /// x to an integer power, by squaring.
    let power (exponent: int) (x: float) : float =
        let rec go (b: float) (n: int) (acc: float) : float =
            if n = 0 then
                acc
            else
                go (b * b) (n / 2) (if n % 2 = 1 then acc * b else acc)

        let positive = go x (abs exponent) 1.0
        if exponent < 0 then 1.0 / positive else positive
