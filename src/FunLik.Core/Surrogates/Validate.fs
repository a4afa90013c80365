namespace FunLik

open System

/// How far a function is from the exact one at some points: in units of the log density.
type Deviations =
    {
        /// The number of points.
        Points: int
        /// The mean of the squared differences.
        Mse: float
        /// The mean of their sizes.
        Mae: float
        /// The largest.
        Largest: float
        /// The mean difference: learnt less exact.
        Bias: float
        /// The part of the points that is off by no more than 0.05 or 1 % of the exact ΔNLL, whichever is larger: CMS's measure.
        Accurate: float
    }

/// A surrogate and its quadratic alone on points of one design.
type SliceCheck =
    {
        /// The design: `posterior`, `ridge`.
        Slice: string
        /// The surrogate.
        Surrogate: Deviations
        /// What it must beat.
        Quadratic: Deviations
    }

/// An exact scan of a parameter of interest, the others profiled.
type ExactScan =
    {
        /// The parameter.
        Parameter: string
        /// Its values.
        X: float[]
        /// t_μ: twice ΔNLL, relative to the global minimum.
        TMu: float[]
        /// Whether all fits converged.
        Converged: bool
        /// Evaluations of value and gradient.
        Evaluations: int
    }

/// Scans of a surrogate and its quadratic beside the exact one.
type ProfileCheck =
    {
        /// The exact scan.
        Exact: ExactScan
        /// The surrogate's t_μ.
        Learnt: float[]
        /// The quadratic's.
        Quadratic: float[]
        /// Whether all fits of the surrogate converged.
        Converged: bool
    }

    /// The mean of |t_exact − t_learnt| over the values: the papers' error on t_μ.
    member this.TMuError: float =
        Array.map2 (fun (a: float) b -> abs (a - b)) this.Exact.TMu this.Learnt
        |> Array.average

    /// The same of the quadratic.
    member this.QuadraticTMuError: float =
        Array.map2 (fun (a: float) b -> abs (a - b)) this.Exact.TMu this.Quadratic
        |> Array.average

/// What the checks of a surrogate found.
type SurrogateCheck =
    {
        /// One a design.
        Slices: SliceCheck list
        /// One a parameter of interest.
        Profiles: ProfileCheck list
    }

/// Comparing surrogates with exact values that training never saw.
[<RequireQualifiedAccess>]
module Validate =

    /// Deviations of values from exact ones, of which the largest anywhere is `maximum`.
    let deviations (maximum: float) (found: float[]) (exact: float[]) : Deviations =
        let differences = Array.map2 (fun (f: float) e -> f - e) found exact

        let accurate =
            Array.map2
                (fun d e ->
                    if abs d <= max 0.05 (0.01 * abs (maximum - e)) then
                        1.0
                    else
                        0.0)
                differences
                exact

        {
            Points = exact.Length
            Mse = differences |> Array.averageBy (fun d -> d * d)
            Mae = differences |> Array.averageBy abs
            Largest = differences |> Array.map abs |> Array.max
            Bias = Array.average differences
            Accurate = Array.average accurate
        }

    /// Deviations of a likelihood from exact log densities at points, row-major; `maximum` is the largest exact one anywhere.
    let against
        (options: RunOptions)
        (maximum: float)
        (points: float[])
        (exact: float[])
        (model: Likelihood)
        : Deviations =
        deviations maximum ((Objective.ofLikelihood model).Values(points, options)) exact

    /// A surrogate and its quadratic on labels that training never saw, apart for each design among them.
    let slices
        (options: RunOptions)
        (maximum: float)
        (labels: LabelSet)
        (surrogate: Likelihood)
        (quadratic: Likelihood)
        : SliceCheck list =
        let values (model: Likelihood) : float[] =
            (Objective.ofLikelihood model).Values(labels.Points, options)

        let learnt, baseline = values surrogate, values quadratic

        labels.Tags
        |> Array.indexed
        |> Array.groupBy snd
        |> Array.map (fun (tag, rows) ->
            let at (all: float[]) : float[] = rows |> Array.map (fun (r, _) -> all[r])
            let exact = at labels.LogDensity

            {
                Slice = tag
                Surrogate = deviations maximum (at learnt) exact
                Quadratic = deviations maximum (at baseline) exact
            })
        |> List.ofArray

    /// Round values (steps of 1, 2 or 5 times a power of ten, some fifteen to forty of them) within three standard deviations of a best
    /// value, inside of the parameter's range and bounds.
    let roundValues (parameter: ModelParameter) (best: float) (deviation: float) : float[] =
        let struct (low, high), struct (least, most) = parameter.Range, parameter.Bounds
        let first = List.max [ low; least; best - 3.0 * deviation ]
        let last = List.min [ high; most; best + 3.0 * deviation ]

        if not (Double.IsFinite(last - first)) || last <= first then
            [| best |]
        else
            let power = Math.Pow(10.0, floor (log10 ((last - first) / 15.0)))

            let step =
                [ 5.0; 2.0; 1.0 ]
                |> List.map ((*) power)
                |> List.tryFind (fun s -> (last - first) / s >= 15.0)
                |> Option.defaultValue power

            // An end may be open: not on it.
            let from, to' =
                int64 (ceil (first / step + 1e-9)), int64 (floor (last / step - 1e-9))

            if to' < from then
                [| best |]
            else
                // k / (1 / step) is the number that is written with few digits; k · step is often not.
                let isSmall = step < 1.0
                let inverse = Math.Round(1.0 / step)

                [|
                    for k in from..to' -> if isSmall then float k / inverse else float k * step
                |]

    /// The scan of a parameter of a likelihood, as the exact side of a check.
    let exactScan
        (options: RunOptions)
        (parameter: string)
        (values: float[])
        (model: Likelihood)
        : ExactScan =
        let settings =
            { ScanOptions.Default with Fit = { FitOptions.Default with Run = options } }

        let scan = Profile.scanWith settings parameter values model

        // Where there is no density there is nothing to compare, and the scan says so.
        let inside =
            Array.zip values scan.TwiceDeltaNll |> Array.filter (snd >> Double.IsFinite)

        {
            Parameter = parameter
            X = Array.map fst inside
            TMu = Array.map snd inside
            Converged = scan.Minimum.Status.IsConverged && scan.Status |> Array.forall _.IsConverged
            Evaluations = scan.Evaluations
        }

    /// The same scan of a surrogate and of its quadratic.
    let profile
        (options: RunOptions)
        (exact: ExactScan)
        (surrogate: Likelihood)
        (quadratic: Likelihood)
        : ProfileCheck =
        let settings =
            { ScanOptions.Default with Fit = { FitOptions.Default with Run = options } }

        let scan (model: Likelihood) : Scan =
            Profile.scanWith settings exact.Parameter exact.X model

        let learnt = scan surrogate

        {
            Exact = exact
            Learnt = learnt.TwiceDeltaNll
            Quadratic = (scan quadratic).TwiceDeltaNll
            Converged =
                learnt.Minimum.Status.IsConverged && learnt.Status |> Array.forall _.IsConverged
        }

    /// The part of all points of some slices that is accurate.
    let accurate (slices: SliceCheck list) : float =
        let points = slices |> List.sumBy (fun s -> float s.Surrogate.Points)

        (slices |> List.sumBy (fun s -> float s.Surrogate.Points * s.Surrogate.Accurate))
        / points

    /// Deviations as JSON.
    let toJson (d: Deviations) : JsonValue =
        JsonValue.Object
            [
                "points", JsonValue.Int(int64 d.Points)
                "mse", JsonValue.Number d.Mse
                "mae", JsonValue.Number d.Mae
                "max", JsonValue.Number d.Largest
                "bias", JsonValue.Number d.Bias
                "accurate", JsonValue.Number d.Accurate
            ]

    let private sliceJson (s: SliceCheck) : string * JsonValue =
        s.Slice,
        JsonValue.Object [ "surrogate", toJson s.Surrogate; "quadratic", toJson s.Quadratic ]

    /// Scans beside each other, as JSON.
    let profileJson (p: ProfileCheck) : JsonValue =
        JsonValue.Object
            [
                "parameter", JsonValue.Text p.Exact.Parameter
                "x", JsonValue.Numbers p.Exact.X
                "exact", JsonValue.Numbers p.Exact.TMu
                "learnt", JsonValue.Numbers p.Learnt
                "quadratic", JsonValue.Numbers p.Quadratic
                "tMuError", JsonValue.Number p.TMuError
                "quadraticTMuError", JsonValue.Number p.QuadraticTMuError
                "converged", JsonValue.Bool(p.Converged && p.Exact.Converged)
            ]

    /// A check as JSON: one object a design, the scans as `profile`, the part of all points that is accurate.
    let checkJson (check: SurrogateCheck) : JsonValue =
        JsonValue.Object(
            (check.Slices |> List.map sliceJson)
            @ [
                "profile", check.Profiles |> List.map profileJson |> JsonValue.List
                "accurate", JsonValue.Number(accurate check.Slices)
            ]
        )
