namespace FunLik

open System

/// Where the parameters of interest of a ridge lie.
[<RequireQualifiedAccess>]
type RidgeSpan =
    /// As far from the best fit as so many standard deviations of the curvature there, inside of the parameters' ranges: an interval for
    /// one parameter of interest, an ellipsoid for several.
    | Sigmas of float
    /// An interval of the only parameter of interest.
    | Interval of low: float * high: float

/// How points along the ridge of a density are chosen: the nuisances are profiled at values of the parameters of interest (anchors), and
/// from there moved in their own metric. Posterior points alone say little of where profiles run.
type RidgeDesign =
    {
        /// The labels wanted.
        Labels: int
        /// How many values of the parameters of interest; no more than labels.
        Anchors: int
        /// Where these are.
        Span: RidgeSpan
        /// The farthest move of the nuisances, in standard deviations of the curvature at the best fit: moves go from 0 to this, as many of
        /// each length.
        Reach: float
        /// The number of the first anchor: what stands where others have the number of a chain.
        FirstGroup: int
    }

/// Points along a ridge, with their labels.
type RidgeLabels =
    {
        /// The labels.
        Set: LabelSet
        /// Evaluations that found the anchors.
        AnchorCalls: ExactCalls
        /// Evaluations of the labels.
        LabelCalls: ExactCalls
        /// Anchors at which the profile did not converge; they give no labels.
        Lost: int
    }

/// Points along the ridge of a density.
[<RequireQualifiedAccess>]
module Ridge =

    /// The tag of the labels.
    let tag: string = "ridge"

    /// 200 anchors within 5 standard deviations, moves of up to one.
    let design (labels: int) : RidgeDesign =
        {
            Labels = labels
            Anchors = min 200 (max 1 labels)
            Span = RidgeSpan.Sigmas 5.0
            Reach = 1.0
            FirstGroup = 0
        }

    let private poisOf (parameters: ModelParameter[]) : int[] =
        [| 0 .. parameters.Length - 1 |]
        |> Array.filter (fun i -> parameters[i].Kind.IsPoi)

    /// What is wrong with a design for these parameters.
    let check (parameters: ModelParameter[]) (design: RidgeDesign) : Error list =
        let refuse (what: string) (found: string) (expected: string) : Error =
            Error.make ErrorKind.Value what |> Error.found found |> Error.expected expected

        let pois = (poisOf parameters).Length

        [
            if design.Labels < 0 then
                refuse "the labels of a ridge" $"{design.Labels}" "0 or more"
            if design.Anchors < 1 || design.Anchors > max 1 design.Labels then
                refuse "the anchors of a ridge" $"{design.Anchors}" $"1 to {max 1 design.Labels}"
            if not (design.Reach >= 0.0 && Double.IsFinite design.Reach) then
                refuse "the reach of a ridge" $"{design.Reach}" "0 or more"

            match design.Span with
            | RidgeSpan.Sigmas s when not (s > 0.0 && Double.IsFinite s) ->
                refuse "the width of a ridge" $"{s}" "a positive number of standard deviations"
            | RidgeSpan.Interval _ when pois <> 1 ->
                refuse
                    "an interval of a ridge is one of the only parameter of interest"
                    $"{pois} parameters of interest"
                    "one"
            | RidgeSpan.Interval(low, high) when not (low < high && Double.IsFinite(high - low)) ->
                refuse "the interval of a ridge" $"{low} to {high}" "two numbers in order"
            | _ -> ()
        ]

    /// The range of a parameter within its bounds.
    let private rangeOf (p: ModelParameter) : struct (float * float) =
        let struct (low, high), struct (least, most) = p.Range, p.Bounds
        struct (max low least, min high most)

    /// The covariance of some parameters with the others profiled (`all`) or held, from the Hessian of -log density; the squares of lengths
    /// where that is not positive.
    let private covarianceOf
        (n: int)
        (hessian: float[])
        (lengths: float[])
        (chosen: int[])
        (areOthersProfiled: bool)
        : float[] =
        let k = chosen.Length

        let block (matrix: float[]) : float[] =
            Array.init (k * k) (fun e -> matrix[chosen[e / k] * n + chosen[e % k]])

        let found =
            if areOthersProfiled then
                NewtonStep.inverse n hessian |> Option.map block
            else
                NewtonStep.inverse k (block hessian)

        found
        |> Option.defaultWith (fun () ->
            Array.init (k * k) (fun e ->
                if e / k = e % k then lengths[chosen[e / k]] ** 2.0 else 0.0))

    let private metricOf (covariance: float[]) (dimension: int) : Metric =
        Metric.ofCovariance dimension covariance
        |> Option.defaultValue (
            Metric.ofVariances (Array.init dimension (fun i -> covariance[i * dimension + i]))
        )

    /// Values of the parameters of interest: rows of them, evenly over the radius of the ellipsoid or over the interval.
    let private anchorsOf
        (design: RidgeDesign)
        (parameters: ModelParameter[])
        (pois: int[])
        (centre: float[])
        (covariance: float[])
        (key: Key)
        : float[] =
        let count, k = design.Anchors, pois.Length
        let places = Key.uniforms count (Key.foldName "places" key)
        let fraction (a: int) : float = (float a + places[a]) / float count

        let inRange (i: int) (x: float) : float =
            let struct (low, high) = rangeOf parameters[i]
            min high (max low x)

        let along (low: float) (high: float) : float[] =
            Array.init count (fun a -> low + fraction a * (high - low))

        match design.Span with
        | RidgeSpan.Interval(low, high) -> along low high
        | RidgeSpan.Sigmas sigmas when k = 1 ->
            let width = sigmas * sqrt covariance[0]
            let at (x: float) : float = inRange pois[0] x
            along (at (centre[pois[0]] - width)) (at (centre[pois[0]] + width))
        | RidgeSpan.Sigmas sigmas ->
            let metric = metricOf covariance k
            let normals = Key.normals (count * k) (Key.foldName "directions" key)

            Array.init count (fun a ->
                let direction = Array.sub normals (a * k) k
                let length = direction |> Array.sumBy (fun v -> v * v) |> sqrt
                let unit = direction |> Array.map (fun v -> fraction a * sigmas * v / length)

                Metric.apply metric unit
                |> Array.mapi (fun j step -> inRange pois[j] (centre[pois[j]] + step)))
            |> Array.concat

    /// Moves of the nuisances: row r belongs to anchor r modulo their number. The first of an anchor is none, the others go evenly to the reach.
    let private movesOf
        (design: RidgeDesign)
        (anchors: int)
        (n: int)
        (nuisances: int[])
        (metric: Metric)
        (key: Key)
        : float[] =
        let count, m = design.Labels, nuisances.Length
        let rounds = (count - 1) / anchors + 1
        let directions = Key.normals (count * m) (Key.foldName "directions" key)
        let places = Key.uniforms count (Key.foldName "lengths" key)
        let steps = Array.zeroCreate<float>(count * n)

        for r in anchors .. count - 1 do
            let length =
                design.Reach * (float (r / anchors - 1) + places[r]) / float (rounds - 1)

            Array.sub directions (r * m) m
            |> Metric.apply metric
            |> Array.iteri (fun j step -> steps[r * n + nuisances[j]] <- length * step)

        steps

    /// After so many halvings a move is none.
    let private halvings = 60

    /// Points with values and gradients, after moves that lead out of the support have been halved until they do not, and how many rounds of
    /// evaluations that took.
    let private evaluateInside
        (options: RunOptions)
        (objective: Objective)
        (origins: float[])
        (moves: float[])
        : struct (float[] * float[] * float[] * int) =
        let n = objective.Count
        let steps = Array.copy moves

        let rec evaluate (round: int) : struct (float[] * float[] * float[] * int) =
            let points = Array.map2 (+) origins steps
            let struct (values, gradients) = objective.ValuesAndGradients(points, options)

            let outside =
                Array.init values.Length id
                |> Array.filter (fun r ->
                    let slopes = ReadOnlySpan(gradients, r * n, n)

                    not (
                        Double.IsFinite values[r]
                        && System.Numerics.Tensors.TensorPrimitives.IsFiniteAll slopes
                    ))

            if outside.Length = 0 || round > halvings + 1 then
                struct (points, values, gradients, round)
            else
                for r in outside do
                    for i in r * n .. r * n + n - 1 do
                        steps[i] <- steps[i] * (if round < halvings then 0.5 else 0.0)

                evaluate (round + 1)

        evaluate 1

    /// Points along the ridge of an objective around its best point, with values and gradients. Raises an error for a design that makes no
    /// sense. Without parameters of interest there is no ridge, and no labels; where no profile converges there are none either.
    let labels
        (options: RunOptions)
        (objective: Objective)
        (design: RidgeDesign)
        (centre: float[])
        (key: Key)
        : RidgeLabels =
        let parameters = objective.Parameters
        let n = parameters.Length

        match check parameters design with
        | [] -> ()
        | errors -> raise (FunLikException errors)

        let names = parameters |> Array.map _.Name
        let pois = poisOf parameters
        let nuisances = [| 0 .. n - 1 |] |> Array.except pois

        let calls (number: int) : ExactCalls = { Values = int64 number; Gradients = int64 number }

        if pois.Length = 0 || design.Labels = 0 then
            {
                Set = LabelSet.empty names
                AnchorCalls = ExactCalls.Zero
                LabelCalls = ExactCalls.Zero
                Lost = 0
            }
        else
            let fitter = Fitter.ofObjective objective
            let hessian = fitter.Hessian.Evaluate 1 centre options
            let lengths = Hessian.lengths fitter.Lengths hessian

            let profiled =
                let covariance = covarianceOf n hessian lengths pois true
                let keep = pois |> Array.map (fun i -> names[i]) |> List.ofArray

                let profiler =
                    Profiler.prepareAt
                        { ProfilerOptions.Default with Starts = Some 1 }
                        keep
                        centre
                        fitter

                let anchors =
                    anchorsOf design parameters pois centre covariance (Key.foldName "anchors" key)

                Profiler.evaluate profiler anchors options

            let kept =
                Array.init design.Anchors id
                |> Array.filter (fun a -> profiled.Statuses[a].IsConverged)

            let metric =
                metricOf (covarianceOf n hessian lengths nuisances false) nuisances.Length

            let count = if kept.Length = 0 then 0 else design.Labels
            let anchorOf (r: int) : int = kept[r % kept.Length]

            let origins =
                Array.init (count * n) (fun k -> profiled.Points[anchorOf (k / n) * n + k % n])

            let moves =
                if count = 0 then
                    [||]
                else
                    movesOf design kept.Length n nuisances metric (Key.foldName "moves" key)

            let struct (points, values, gradients, rounds) =
                evaluateInside options objective origins moves

            let groups = Array.init count (fun r -> design.FirstGroup + anchorOf r)

            {
                Set = LabelSet.create names tag groups points values gradients
                // The curvature is asked for at the nominal point, and twice at the best.
                AnchorCalls = calls (profiled.Evaluations + 3 * fitter.Hessian.Cost)
                LabelCalls = calls (rounds * count)
                Lost = design.Anchors - kept.Length
            }
