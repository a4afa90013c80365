namespace FunLik

open System

/// Functions defined by expansion into primitives. Engines may fuse them; the laws hold them to the expansion.
[<RequireQualifiedAccess>]
module Composite =

    let private zero = Expr.scalar 0.0

    /// The larger of two values; the second where they are equal or one is NaN.
    let maximum (a: Expr) (b: Expr) : Expr = Expr.select (Expr.less b a) a b

    /// The smaller of two values; the second where they are equal or one is NaN.
    let minimum (a: Expr) (b: Expr) : Expr = Expr.select (Expr.less a b) a b

    /// 1 / (1 + exp(-x)).
    let sigmoid (x: Expr) : Expr = 0.5 + 0.5 * tanh (0.5 * x)

    /// max(x, 0) with derivative 0 at 0; NaN for NaN.
    let relu (x: Expr) : Expr =
        // 0 for x <= 0 alone: NaN is neither above 0 nor below 1.
        let isKept = Expr.less zero x - Expr.less x (Expr.scalar 1.0) + 1.0
        Expr.select isKept x zero

    /// x for x > 0, else exp(x) - 1.
    let elu (x: Expr) : Expr = Expr.select (Expr.less zero x) x (Expr.expm1 x)

    /// Scale and alpha of the self-normalising unit (Klambauer et al., arXiv:1706.02515).
    let private seluScale, private seluAlpha = 1.0507009873554805, 1.6732632423543772

    /// The self-normalising unit (Klambauer et al., arXiv:1706.02515).
    let selu (x: Expr) : Expr =
        Expr.select (Expr.less zero x) (seluScale * x) (seluScale * seluAlpha * Expr.expm1 x)

    /// x times its sigmoid.
    let silu (x: Expr) : Expr = x * sigmoid x

    /// x Φ(x) with the exact normal distribution function.
    let gelu (x: Expr) : Expr = 0.5 * x * (1.0 + Expr.erf (x * (1.0 / sqrt 2.0)))

    /// log(1 + exp x), without overflow.
    let softplus (x: Expr) : Expr =
        // Not |x|: its derivative of 0 at 0 would make that of softplus 0 there, and not ½.
        relu x + Expr.log1p (exp (Expr.select (Expr.less zero x) (-x) x))

    /// Half of log 2π.
    let halfLogTwoPi = 0.5 * log (2.0 * Math.PI)

    /// The log density of a normal distribution, element by element.
    let normalLogDensity (x: Expr) (mean: Expr) (sigma: Expr) : Expr =
        let pull = (x - mean) / sigma
        -0.5 * (pull * pull) - log sigma - halfLogTwoPi

    /// The log density of a normal distribution of width 1 around 0, element by element.
    let standardNormalLogDensity (x: Expr) : Expr = -0.5 * (x * x) - halfLogTwoPi

    /// The log probability of a count, element by element: n log ν - ν - log Γ(n+1), with 0 log 0 = 0. The mean must not be
    /// negative; the support of a term says so.
    let poissonLogDensity (count: Expr) (mean: Expr) : Expr =
        Expr.xlogy count mean - mean - Expr.logGamma (count + 1.0)

    /// Products of at most this many vectors are taken one after the other: engines do that in one loop.
    let private longestChain = 40

    /// The products, element by element, of several vectors of length `width` that stand one behind the other; value and gradient are
    /// exact where factors are zero. Of many vectors, halves are multiplied first.
    let products (width: int) (factors: Expr) : Expr =
        let rec go (count: int) (values: Expr) : Expr =
            let vector (k: int) : Expr = Expr.slice (k * width) width values

            if count = 1 then
                values
            elif count <= longestChain then
                Seq.init (count - 1) (fun k -> vector (k + 1))
                |> Seq.fold (fun (product: Expr) next -> product * next) (vector 0)
            else
                let half = count / 2 * width
                let pairs = Expr.slice 0 half values * Expr.slice half half values

                if count % 2 = 0 then
                    go (count / 2) pairs
                else
                    go (count / 2 + 1) (Expr.concat [ pairs; vector (count - 1) ])

        go (Shape.size factors.Shape / width) factors

    /// The product of all elements of a vector; value and gradient are exact where factors are zero.
    let product (factors: Expr) : Expr =
        match factors.Shape with
        | Scalar -> factors
        | _ -> Expr.item 0 (products 1 factors)

    /// A named composite of one argument.
    let activations: (string * (Expr -> Expr)) list =
        [
            "relu", relu
            "elu", elu
            "selu", selu
            "silu", silu
            "gelu", gelu
            "softplus", softplus
            "sigmoid", sigmoid
            "tanh", tanh
            "linear", id
        ]
