namespace FunLik

open System

/// What a property measured at a point.
type PropertyNumbers =
    {
        /// What is there.
        Found: float
        /// What should be there.
        Expected: float
        /// How far apart they are, in the property's unit; NaN where that cannot be said, which falsifies.
        Miss: float
        /// The largest miss that the property allows here.
        Limit: float
        /// The parameter along which it is, for what is said of one.
        Parameter: string option
    }

    /// Whether the property holds here.
    member this.Holds: bool = this.Miss <= this.Limit

/// Where a property is to hold.
[<RequireQualifiedAccess>]
type PropertyPlaces =
    /// At points of `CheckPoints.everywhere`.
    | Everywhere
    /// At points of `CheckPoints.taught`: likely ones and the ridge.
    | Taught
    /// At these points alone, which are not shrunk.
    | Given of points: float[][]

/// Something that is to be true of a function at every point: checked at points that are drawn, by `Properties.check` or by a library of
/// property-based tests.
[<NoComparison; NoEquality>]
type SurrogateProperty =
    {
        /// A short name.
        Name: string
        /// What is claimed, with its tolerance: a sentence without a full stop.
        Claim: string
        /// The number on which the limits stand.
        Tolerance: float
        /// Where it is to hold.
        Places: PropertyPlaces
        /// The numbers at some points, one for each, whatever the others are.
        Measure: RunOptions -> float[][] -> Result<PropertyNumbers[], Error list>
    }

/// How far a surrogate may be from the exact model: the larger of a number of log units and a part of the exact ΔNLL.
type AgreementBound =
    {
        /// Log units.
        Absolute: float
        /// A part of ΔNLL.
        Relative: float
    }

    /// CMS's measure: 0.05, or 1 % of ΔNLL.
    static member Default: AgreementBound = { Absolute = 0.05; Relative = 0.01 }

/// What published surrogates should obey.
[<RequireQualifiedAccess>]
module SurrogateProperty =

    let private valuesOf
        (objective: Objective)
        (options: RunOptions)
        (points: float[][])
        : float[] =
        objective.Values(Array.concat points, options)

    /// The distance of two log densities: none where both are -∞, NaN where only one is a number.
    let private distance (found: float) (expected: float) : float =
        if found = expected then
            0.0
        elif Double.IsFinite found && Double.IsFinite expected then
            abs (found - expected)
        else
            nan

    let private numbers (found: float) (expected: float) (miss: float) (limit: float) =
        {
            Found = found
            Expected = expected
            Miss = miss
            Limit = limit
            Parameter = None
        }

    /// Two functions at points: `limit` says what is allowed where the second has a value.
    let private compared
        (limit: float -> float)
        (found: RunOptions -> float[][] -> float[])
        (expected: RunOptions -> float[][] -> float[])
        (options: RunOptions)
        (points: float[][])
        : Result<PropertyNumbers[], Error list> =
        Array.map2
            (fun f e -> numbers f e (distance f e) (limit e))
            (found options points)
            (expected options points)
        |> Ok

    /// The learnt log density is the exact one within a bound. `maximum` is the largest exact one anywhere.
    let agreement
        (bound: AgreementBound)
        (maximum: float)
        (exact: Objective)
        (learnt: Objective)
        : SurrogateProperty =
        let limit (e: float) : float =
            if Double.IsFinite e then
                max bound.Absolute (bound.Relative * (maximum - e))
            else
                bound.Absolute

        {
            Name = "agreement"
            Claim =
                $"the log density is the exact one within {bound.Absolute}, or %g{100.0 * bound.Relative} %% of its distance from the maximum"
            Tolerance = bound.Absolute
            Places = PropertyPlaces.Taught
            Measure = compared limit (valuesOf learnt) (valuesOf exact)
        }

    /// The learnt log density is the exact one within the largest deviation that metrics (a card's) state for any kind of points, times a
    /// slack: that largest is one of some thousand points, and others may be worse.
    let statedBound
        (slack: float)
        (metrics: SliceCheck list)
        (exact: Objective)
        (learnt: Objective)
        : Result<SurrogateProperty, Error list> =
        match metrics with
        | [] ->
            Error.make ErrorKind.Value "a card without metrics states no bound"
            |> Error.expected "the metrics of posterior points or of a ridge"
            |> Error.fail
        | _ ->
            let stated = metrics |> List.map _.Surrogate.Largest |> List.max
            let limit = slack * stated

            Ok
                {
                    Name = "stated bound"
                    Claim =
                        $"the log density is the exact one within %g{slack} times the largest deviation that is stated, %.2g{stated}"
                    Tolerance = limit
                    Places = PropertyPlaces.Taught
                    Measure = compared (fun _ -> limit) (valuesOf learnt) (valuesOf exact)
                }

    // ---- Gradients

    /// The step of central differences, as a part of the box; and the part of it below which a coordinate is not judged.
    let private step, private leastStep = 1e-3, 1e-3

    /// The gradient is that of the values: central differences at two steps, extrapolated to none (Richardson), never across a kink or a
    /// side of the box, in units of the box. Allowed is the tolerance relative to max(1, |slope|), and what the two steps and the values'
    /// rounding leave open: where a function is not smooth little is claimed.
    let gradient
        (tolerance: float)
        (domain: CheckDomain)
        (objective: Objective)
        : SurrogateProperty =
        let n = objective.Count

        let width (k: int) : float = domain.Highest[k] - domain.Lowest[k]

        let stepAt (x: float) (k: int) : float =
            let free = min (x - domain.Lowest[k]) (domain.Highest[k] - x)
            let whole = min (step * width k) free
            let p = domain.Parameters[k]

            let h =
                if p.IsKinked then
                    min whole (0.5 * abs (x - p.Nominal))
                else
                    whole

            if h > leastStep * step * width k then h else 0.0

        let measure (options: RunOptions) (points: float[][]) =
            let struct (values, gradients) =
                objective.ValuesAndGradients(Array.concat points, options)

            // Rows of x + h, x - h, x + h/2, x - h/2 for each coordinate of each point.
            let around (point: float[]) : float[][] =
                [|
                    for k in 0 .. n - 1 do
                        let h = stepAt point[k] k

                        for part in [ 1.0; -1.0; 0.5; -0.5 ] ->
                            let other = Array.copy point
                            other[k] <- point[k] + part * h
                            other
                |]

            let moved = points |> Array.collect around
            let near = valuesOf objective options moved

            points
            |> Array.mapi (fun r point ->
                let judged (k: int) : PropertyNumbers option =
                    let first = 4 * (r * n + k)
                    let at (i: int) : float = moved[first + i][k]

                    if stepAt point[k] k = 0.0 || not (Double.IsFinite values[r]) then
                        None
                    else
                        let slope (i: int) : float =
                            width k * (near[first + i] - near[first + i + 1]) / (at i - at (i + 1))

                        let wide, narrow = slope 0, slope 2
                        let found = width k * gradients[r * n + k]
                        let expected = (4.0 * narrow - wide) / 3.0

                        let rounding = 8.0 * 2.2e-16 * abs values[r] * width k / stepAt point[k] k

                        let limit =
                            tolerance * max 1.0 (abs expected)
                            + abs (narrow - wide)
                            + 4.0 * rounding

                        Some
                            { numbers found expected (abs (found - expected)) limit with
                                Parameter = Some domain.Parameters[k].Name
                            }

                let ratio (m: PropertyNumbers) : float =
                    let ratio = m.Miss / m.Limit
                    if Double.IsNaN ratio then infinity else ratio

                match [ 0 .. n - 1 ] |> List.choose judged with
                | [] -> numbers 0.0 0.0 0.0 tolerance
                | all -> all |> List.maxBy ratio)
            |> Ok

        {
            Name = "gradient"
            Claim =
                $"the gradient is the slope of the values within %g{tolerance} of max(1, |slope|), per width of the box"
            Tolerance = tolerance
            Places = PropertyPlaces.Everywhere
            Measure = measure
        }

    // ---- Symmetries

    /// Two functions are one in other words: the value at a point is that of the other at the point's image, plus an offset (a log Jacobian,
    /// or nothing), within a tolerance relative to max(1, |y|).
    let reparameterised
        (tolerance: float)
        (image: float[] -> float[])
        (offset: float[] -> float)
        (other: Objective)
        (objective: Objective)
        : SurrogateProperty =
        let expected (options: RunOptions) (points: float[][]) : float[] =
            points
            |> Array.map image
            |> valuesOf other options
            |> Array.map2 (fun point y -> y + offset point) points

        {
            Name = "reparameterisation"
            Claim =
                $"the log density is that of the other function at the image of the point, within %g{tolerance} of max(1, |y|)"
            Tolerance = tolerance
            Places = PropertyPlaces.Everywhere
            Measure = compared (fun y -> tolerance * max 1.0 (abs y)) (valuesOf objective) expected
        }

    /// A function is the same at a point and at its image, within a tolerance in log units: a surrogate has an exact symmetry only about as
    /// well as it agrees with what was learnt.
    let symmetric
        (tolerance: float)
        (image: float[] -> float[])
        (objective: Objective)
        : SurrogateProperty =
        let expected (options: RunOptions) (points: float[][]) : float[] =
            points |> Array.map image |> valuesOf objective options

        {
            Name = "symmetry"
            Claim = $"the log density is the same at the image of the point, within %g{tolerance}"
            Tolerance = tolerance
            Places = PropertyPlaces.Taught
            Measure = compared (fun _ -> tolerance) (valuesOf objective) expected
        }

    /// A function is the same where its parameters are exchanged: coordinate k of the image is coordinate `order[k]` of the point.
    let permutation (tolerance: float) (order: int[]) (objective: Objective) : SurrogateProperty =
        { symmetric tolerance (fun point -> order |> Array.map (fun k -> point[k])) objective with
            Name = "permutation"
            Claim =
                $"the log density is the same where parameters are exchanged, within %g{tolerance}"
        }

    // ---- Evaluation

    /// A batch of one may be evaluated by other operations, in another order of sums.
    let private alone = 1e-12

    /// A point's value does not depend on what is evaluated with it: bit for bit among others, in any order; alone within 10⁻¹² of
    /// max(1, |y|), since one point goes through vectors where many go through matrices.
    let batchIndependence (domain: CheckDomain) (objective: Objective) : SurrogateProperty =
        let measure (options: RunOptions) (points: float[][]) =
            let values = valuesOf objective options
            let company = [| domain.Best; domain.Lowest; domain.Highest |]
            let whole = values (Array.append points company)
            let reversed = values (Array.append company (Array.rev points))

            points
            |> Array.mapi (fun r point ->
                let among =
                    [|
                        reversed[company.Length + points.Length - 1 - r]
                        (values [| point; point |])[1]
                    |]

                let found = whole[r]

                let same (y: float) : bool =
                    BitConverter.DoubleToInt64Bits y = BitConverter.DoubleToInt64Bits found

                match among |> Array.tryFind (same >> not) with
                | Some other -> numbers found other (max Double.Epsilon (distance found other)) 0.0
                | None ->
                    let only = (values [| point |])[0]
                    numbers found only (distance found only) (alone * max 1.0 (abs only)))
            |> Ok

        {
            Name = "batch independence"
            Claim = "a value does not depend on its batch: bit for bit among others, to 1e-12 alone"
            Tolerance = 0.0
            Places = PropertyPlaces.Everywhere
            Measure = measure
        }

    /// ONNX Runtime gives for a file's bytes what the engine gives, within a tolerance relative to max(1, |y|): `Bundle.tolerance` for what is
    /// published.
    let onnxRuntime (tolerance: float) (onnx: byte[]) (objective: Objective) : SurrogateProperty =
        let measure (options: RunOptions) (points: float[][]) =
            Agreement.logDensities onnx objective.Count (Array.concat points)
            |> Result.map (fun found ->
                valuesOf objective options points
                |> Array.map2
                    (fun f e -> numbers f e (distance f e) (tolerance * max 1.0 (abs e)))
                    found)

        {
            Name = "ONNX Runtime"
            Claim =
                $"ONNX Runtime gives the values of the engine within %g{tolerance} of max(1, |y|)"
            Tolerance = tolerance
            Places = PropertyPlaces.Everywhere
            Measure = measure
        }

    // ---- The maximum

    /// Nowhere is the learnt log density above the largest exact one by more than a tolerance in log units: no peak that is not there.
    let noFalsePeak (tolerance: float) (maximum: float) (learnt: Objective) : SurrogateProperty =
        {
            Name = "no false peak"
            Claim = $"the log density is nowhere above the exact maximum by more than %g{tolerance}"
            Tolerance = tolerance
            Places = PropertyPlaces.Everywhere
            Measure =
                fun options points ->
                    valuesOf learnt options points
                    |> Array.map (fun y ->
                        numbers y maximum (if y <= maximum then 0.0 else y - maximum) tolerance)
                    |> Ok
        }

    /// The exact log density at the surrogate's best fit is the exact maximum within a tolerance in log units: what the surrogate calls best
    /// is as good as best.
    let maximum
        (tolerance: float)
        (maximum: float)
        (exact: Objective)
        (learntBest: float[])
        : SurrogateProperty =
        {
            Name = "maximum"
            Claim =
                $"the exact log density at the surrogate's best fit is the exact maximum within %g{tolerance}"
            Tolerance = tolerance
            Places = PropertyPlaces.Given [| learntBest |]
            Measure =
                fun options points ->
                    valuesOf exact options points
                    |> Array.map (fun y -> numbers y maximum (distance y maximum) tolerance)
                    |> Ok
        }
