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

    /// (-1)^k (ζ(k) - 1) / k for k = 2, 3, …: as many as matter at a distance of ½.
    let private aroundTwo: float[] =
        Array.init 28 (fun i ->
            let k = i + 2
            (if k % 2 = 0 then 1.0 else -1.0) * hurwitz k 2.0 / float k)

    let private eulerGamma = 0.57721566490153286

    let private isPole (x: float) : bool = x <= 0.0 && x = Math.Floor x

    /// log Γ(2 + z) for |z| ≤ ½ (Abramowitz and Stegun 6.1.33), relatively exact around its zero.
    let private logGammaNearTwo (z: float) : float =
        let mutable sum = 0.0

        for i in aroundTwo.Length - 1 .. -1 .. 0 do
            sum <- sum * z + aroundTwo[i]

        z * (1.0 - eulerGamma + z * sum)

    /// Stirling's series for log Γ(x), x ≥ 8 (Abramowitz and Stegun 6.1.40).
    let private logGammaLarge (x: float) : float =
        let inverse = 1.0 / (x * x)
        let mutable sum = 0.0

        for k in bernoulli.Length - 1 .. -1 .. 0 do
            sum <- sum * inverse + bernoulli[k] / float ((2 * k + 2) * (2 * k + 1))

        (x - 0.5) * Math.Log x - x + 0.5 * Math.Log(2.0 * Math.PI) + sum / x

    /// log Γ(x) for x > 0; +∞ at 0, at the negative integers and at both infinities; NaN elsewhere.
    let logGamma (x: float) : float =
        if isPole x || Double.IsInfinity x then
            Double.PositiveInfinity
        elif not (x > 0.0) then
            nan
        elif x >= 8.0 then
            logGammaLarge x
        elif x < 0.5 then
            logGammaNearTwo x - Math.Log x - log1p x
        elif x < 1.5 then
            logGammaNearTwo (x - 1.0) - log1p (x - 1.0)
        else
            let mutable y = x
            let mutable product = 1.0

            while y > 2.5 do
                y <- y - 1.0
                product <- product * y

            logGammaNearTwo (y - 2.0) + Math.Log product

    let private digamma (x: float) : float =
        let mutable y = x
        let mutable shift = 0.0

        while y < 8.0 do
            shift <- shift + 1.0 / y
            y <- y + 1.0

        let inverse = 1.0 / (y * y)
        let mutable sum = 0.0

        for k in bernoulli.Length - 1 .. -1 .. 0 do
            sum <- sum * inverse + bernoulli[k] / float (2 * k + 2)

        Math.Log y - 0.5 / y - sum * inverse - shift

    /// The derivative of order `order` of digamma (order 0) for x > 0, at 0 its limit from above; NaN elsewhere.
    let polygamma (order: int) (x: float) : float =
        let sign = if order % 2 = 1 then 1.0 else -1.0

        if x = 0.0 then
            sign * infinity
        elif not (x > 0.0) then
            nan
        elif Double.IsPositiveInfinity x then
            if order = 0 then x else 0.0
        elif order = 0 then
            digamma x
        else
            sign * SpecialFunctions.Factorial order * hurwitz (order + 1) x

    /// x to an integer power, by squaring.
    let power (exponent: int) (x: float) : float =
        let rec go (b: float) (n: int64) (acc: float) : float =
            if n = 0L then
                acc
            else
                go (b * b) (n / 2L) (if n % 2L = 1L then acc * b else acc)

        let positive = go x (abs (int64 exponent)) 1.0
        if exponent < 0 then 1.0 / positive else positive
