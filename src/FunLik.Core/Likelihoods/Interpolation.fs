namespace FunLik

/// How a systematic uncertainty goes between and beyond its variations at α = ±1: the codes of HistFactory.
[<RequireQualifiedAccess>]
type InterpolationCode =
    /// Linear on either side of 0.
    | Code0
    /// Exponential on either side of 0.
    | Code1
    /// Quadratic between the variations, linear outside of them with the slope there.
    | Code2
    /// A polynomial of degree 6 between the variations, exponential outside; two derivatives are continuous.
    | Code4
    /// A polynomial of degree 6 between the variations, linear outside; two derivatives are continuous.
    | Code4p

/// The interpolation codes of HistFactory (Cranmer et al., CERN-OPEN-2012-016). Code 2 is the continuous one, as ROOT and HS3 have it.
[<RequireQualifiedAccess>]
module Interpolation =

    /// The codes by the names that pyhf gives them.
    let names: (string * InterpolationCode) list =
        [
            "code0", InterpolationCode.Code0
            "code1", InterpolationCode.Code1
            "code2", InterpolationCode.Code2
            "code4", InterpolationCode.Code4
            "code4p", InterpolationCode.Code4p
        ]

    /// Whether the variations add to the nominal value; else they multiply it.
    let isAdditive (code: InterpolationCode) : bool =
        match code with
        | InterpolationCode.Code1
        | InterpolationCode.Code4 -> false
        | InterpolationCode.Code0
        | InterpolationCode.Code2
        | InterpolationCode.Code4p -> true

    /// Whether the first derivative jumps at α = 0 where the variations are not symmetric.
    let isKinked (code: InterpolationCode) : bool =
        match code with
        | InterpolationCode.Code0
        | InterpolationCode.Code1 -> true
        | InterpolationCode.Code2
        | InterpolationCode.Code4
        | InterpolationCode.Code4p -> false

    /// |α| with the derivative of α ≥ 0 at 0: a derivative of 0 would make the usual start a false stationary point.
    let private magnitude (alpha: Expr) : Expr =
        Expr.select (Expr.less alpha (Expr.scalar 0.0)) (-alpha) alpha

    /// α where it lies between the variations, else 0, and the rest of it. A function that is 0 at 0 on either side of the variations is
    /// then the sum of one of each part, and no branch has to be chosen between their values.
    let private split (alpha: Expr) : struct (Expr * Expr) =
        let isInside = Expr.less (abs alpha) (Expr.scalar 1.0)
        let inside = Expr.select isInside alpha (Expr.scalar 0.0)
        struct (inside, alpha - inside)

    /// The even part q of an additive code: a variation adds S α + A q(α) with S = ½(high - low) and A = ½(high + low) - nominal.
    let even (code: InterpolationCode) (alpha: Expr) : Expr =
        match code with
        | InterpolationCode.Code2 ->
            // 2|α| - 1 outside, where |outside| is |α|.
            let struct (inside, outside) = split alpha
            let isOutside = Expr.less (Expr.scalar 0.0) (abs outside)
            inside * inside + (2.0 * abs outside - isOutside)
        | InterpolationCode.Code4p ->
            let struct (inside, outside) = split alpha
            let square = inside * inside
            square * (1.875 + square * (0.375 * square - 1.25)) + abs outside
        | InterpolationCode.Code0
        | InterpolationCode.Code1
        | InterpolationCode.Code4 -> magnitude alpha

    /// exp(S α + A |α|) that is `high` at 1 and `low` at -1.
    let private exponential (high: float[]) (low: float[]) (alpha: Expr) (size: Expr) : Expr =
        let odd = Array.map2 (fun h l -> 0.5 * (log h - log l)) high low
        let even = Array.map2 (fun h l -> 0.5 * (log h + log l)) high low

        if even |> Array.forall (fun v -> v = 0.0) then
            exp (odd * alpha)
        else
            exp (odd * alpha + even * size)

    /// The coefficients of α, α² … α⁶ of code 4 between the variations: value, slope and curvature are those of the exponentials at ±1,
    /// and the value at 0 is 1.
    let polynomial (high: float) (low: float) : float[] =
        let half (up: float) (down: float) : struct (float * float) =
            struct (0.5 * (up + down), 0.5 * (up - down))

        let struct (s0, a0) = half high low
        let struct (s1, a1) = half (high * log high) (-low * log low)
        let struct (s2, a2) = half (high * log high * log high) (low * log low * log low)

        [|
            (15.0 * a0 - 7.0 * s1 + a2) / 8.0
            (24.0 * (s0 - 1.0) - 9.0 * a1 + s2) / 8.0
            (-5.0 * a0 + 5.0 * s1 - a2) / 4.0
            (-12.0 * (s0 - 1.0) + 7.0 * a1 - s2) / 4.0
            (3.0 * a0 - 3.0 * s1 + a2) / 8.0
            (8.0 * (s0 - 1.0) - 5.0 * a1 + s2) / 8.0
        |]

    /// Factors on normalisations, element by element: 1 at α = 0, `high` at 1 and `low` at -1. Codes 1 and 4 need them above 0.
    let factors (code: InterpolationCode) (high: float[]) (low: float[]) (alpha: Expr) : Expr =
        match code with
        | InterpolationCode.Code1 -> exponential high low alpha (magnitude alpha)
        | InterpolationCode.Code4 ->
            let coefficients = Array.map2 polynomial high low
            let coefficient (k: int) : float[] = coefficients |> Array.map (fun c -> c[k])
            let struct (inside, outside) = split alpha
            let square = inside * inside

            let series (first: int) : Expr =
                square * (square * coefficient (first + 4) + coefficient (first + 2))
                + coefficient first

            let polynomial = 1.0 + (inside * series 0 + square * series 1)
            polynomial * exponential high low outside (abs outside)
        | InterpolationCode.Code0
        | InterpolationCode.Code2
        | InterpolationCode.Code4p ->
            let odd = Array.map2 (fun h l -> 0.5 * (h - l)) high low
            let bent = Array.map2 (fun h l -> 0.5 * (h + l) - 1.0) high low
            1.0 + odd * alpha + bent * even code alpha
