namespace FunLik

open System
open System.Numerics.Tensors

/// How points fill a box.
[<RequireQualifiedAccess>]
type BoxFill =
    /// Independent and uniform.
    | Uniform
    /// Sobol's sequence with a random digital shift: more even.
    | Sobol

/// What becomes of the parameters that the box does not span.
[<RequireQualifiedAccess>]
type BoxOthers =
    /// The density is maximised over them, at each point.
    | Profiled
    /// They stay at the centre.
    | Frozen

/// Points in a box of some parameters, more of them where the density is high: the box is shrunken toward the centre again and again to half of its
/// size, down to where the curvature there says that the density is as high as in the posterior, and the boxes share the points.
type BoxDesign =
    {
        /// The points to be made; those outside of the support, or whose profile does not converge, give no labels.
        Labels: int
        /// The parameters that the box spans, and its ends.
        Sides: (string * float * float) list
        /// How points fill it.
        Fill: BoxFill
        /// What becomes of the others.
        Others: BoxOthers
        /// The fraction of the points that goes to the shrunken boxes, the same number to each; 0 fills the box evenly.
        Inner: float
        /// The number of the first point: what stands where others have the number of a chain.
        FirstGroup: int
    }

/// Points of a box, with their labels.
type BoxLabels =
    {
        /// The labels. Weights are 1 over the density of points, relative to that of the whole box filled evenly: with them, means over points are
        /// means over the box.
        Set: LabelSet
        /// Evaluations that profiled.
        ProfileCalls: ExactCalls
        /// Evaluations of the labels.
        LabelCalls: ExactCalls
        /// Points whose profile did not converge.
        Lost: int
        /// Points outside of the support.
        Outside: int
    }

/// A box, ready for its points: they are known by their numbers, so that any part of them can be made alone.
[<NoComparison; NoEquality>]
type BoxPlan =
    private
        {
            Objective: Objective
            Design: BoxDesign
            Keep: int[]
            Centre: float[]
            Low: float[]
            High: float[]
            /// The share of the points that each box has: the whole one, then the shrunken ones.
            Shares: float[]
            /// The box that each point belongs to, and its number there.
            Places: struct (int * int)[]
            Profiler: Profiler option
            Calls: ExactCalls
            Key: Key
        }

/// Designs in a box.
[<RequireQualifiedAccess>]
module Box =

    /// The tag of the labels.
    let tag: string = "box"

    /// The box of all parameters of interest over their ranges, by Sobol's sequence, the others profiled, half of the points in shrunken boxes.
    let design (parameters: ModelParameter[]) (labels: int) : BoxDesign =
        {
            Labels = labels
            Sides =
                [
                    for p in parameters do
                        if p.Kind.IsPoi then
                            let struct (low, high), struct (least, most) = p.Range, p.Bounds
                            p.Name, max low least, min high most
                ]
            Fill = BoxFill.Sobol
            Others = BoxOthers.Profiled
            Inner = 0.5
            FirstGroup = 0
        }

    /// What is wrong with a design for these parameters.
    let check (parameters: ModelParameter[]) (design: BoxDesign) : Error list =
        let refuse (what: string) (found: string) (expected: string) : Error =
            Error.make ErrorKind.Value what |> Error.found found |> Error.expected expected

        let names = design.Sides |> List.map (fun (name, _, _) -> name)

        [
            if design.Labels < 1 then
                refuse "the labels of a box" $"{design.Labels}" "1 or more"
            if not (design.Inner >= 0.0 && design.Inner < 1.0) then
                refuse
                    "the part of the points in shrunken boxes"
                    $"{design.Inner}"
                    "from 0 to below 1"
            if names.IsEmpty then
                refuse "the sides of a box" "none" "one or more parameters"
            if List.distinct names <> names then
                refuse "the sides of a box" (String.concat ", " names) "each parameter once"
            if design.Fill.IsSobol && names.Length > Sobol.mostDimensions then
                refuse
                    "the sides of a box that Sobol's sequence fills"
                    $"{names.Length}"
                    $"{Sobol.mostDimensions} at most"

            for name, low, high in design.Sides do
                match parameters |> Array.tryFind (fun p -> p.Name = name) with
                | None ->
                    Error.make ErrorKind.Name $"there is no parameter '{name}' for a side of a box"
                    |> Error.expected (parameters |> Array.map _.Name |> String.concat ", ")
                | Some p ->
                    let struct (least, most) = p.Bounds

                    if not (low < high && Double.IsFinite(high - low)) then
                        refuse
                            $"the side of a box in '{name}'"
                            $"{low} to {high}"
                            "two numbers in order"
                    elif low < least || high > most then
                        refuse
                            $"the side of a box in '{name}'"
                            $"{low} to {high}"
                            $"within its bounds, {least} to {most}"
        ]

    /// After so many halvings a box is no use.
    let private mostLevels = 20

    /// Halvings after which even points have the ΔNLL of a posterior, half of the number of sides, from the curvature of the profile.
    let private levelsOf (design: BoxDesign) (covariance: float[] option) (widths: float[]) : int =
        let k = widths.Length

        match covariance |> Option.bind (NewtonStep.inverse k) with
        | _ when design.Inner = 0.0 -> 0
        | None -> 0
        | Some precision ->
            let mean =
                0.5
                * Array.sum (Array.init k (fun i -> precision[i * k + i] * widths[i] ** 2.0 / 12.0))

            // ΔNLL falls by four with each halving.
            let levels = 0.5 * Math.Log2(mean / (0.5 * float k))

            if levels > 0.0 then
                min mostLevels (int (ceil levels))
            else
                0

    let private sharesOf (design: BoxDesign) (levels: int) : float[] =
        if levels = 0 then
            [| 1.0 |]
        else
            Array.append
                [| 1.0 - design.Inner |]
                (Array.create levels (design.Inner / float levels))

    /// Each box gets its share of any number of first points, to one point.
    let private placesOf (labels: int) (shares: float[]) : struct (int * int)[] =
        let given = Array.zeroCreate shares.Length

        Array.init labels (fun i ->
            let level =
                Seq.init shares.Length id
                |> Seq.maxBy (fun l -> shares[l] * float (i + 1) - float given[l])

            let number = given[level]
            given[level] <- number + 1
            struct (level, number))

    /// Makes a box ready, around a best point. Raises an error for a design that makes no sense.
    let plan
        (options: RunOptions)
        (objective: Objective)
        (design: BoxDesign)
        (centre: float[])
        (key: Key)
        : BoxPlan =
        let parameters = objective.Parameters
        let n = parameters.Length

        match check parameters design with
        | [] -> ()
        | errors -> raise (FunLikException errors)

        let names = design.Sides |> List.map (fun (name, _, _) -> name)

        let keep =
            names
            |> List.map (fun name -> parameters |> Array.findIndex (fun p -> p.Name = name))
            |> Array.ofList

        let low = design.Sides |> List.map (fun (_, low, _) -> low) |> Array.ofList
        let high = design.Sides |> List.map (fun (_, _, high) -> high) |> Array.ofList
        let fitter = Fitter.ofObjective objective
        let hessian = fitter.Hessian.Evaluate 1 centre options
        let k = keep.Length

        let covariance =
            match design.Others with
            | BoxOthers.Frozen when k < n ->
                Array.init (k * k) (fun e -> hessian[keep[e / k] * n + keep[e % k]])
                |> NewtonStep.inverse k
            | _ ->
                NewtonStep.inverse n hessian
                |> Option.map (fun inverse ->
                    Array.init (k * k) (fun e -> inverse[keep[e / k] * n + keep[e % k]]))

        let isProfiled = design.Others.IsProfiled && k < n
        let shares = levelsOf design covariance (Array.map2 (-) high low) |> sharesOf design

        {
            Objective = objective
            Design = design
            Keep = keep
            Centre = centre
            Low = low
            High = high
            Shares = shares
            Places = placesOf design.Labels shares
            Profiler =
                if not isProfiled then
                    None
                else
                    fitter
                    |> Profiler.prepareAt
                        { ProfilerOptions.Default with Starts = Some 1 }
                        names
                        centre
                    |> Some
            Calls =
                let evaluations = int64 (if isProfiled then 3 else 2) * int64 fitter.Hessian.Cost
                { Values = evaluations; Gradients = evaluations }
            Key = key
        }

    /// Evaluations that planning took: the curvature at the nominal point, and at the centre twice where the others are profiled.
    let planCalls (plan: BoxPlan) : ExactCalls = plan.Calls

    /// How many shrunken boxes there are.
    let levels (plan: BoxPlan) : int = plan.Shares.Length - 1

    let private middle (plan: BoxPlan) : float[] =
        plan.Keep
        |> Array.mapi (fun j i -> min plan.High[j] (max plan.Low[j] plan.Centre[i]))

    let private shrunken (level: int) : float = Math.ScaleB(1.0, -level)

    /// The point of a number, in the sides of the box.
    let private pointAt (plan: BoxPlan) (middle: float[]) (struct (level, number)) : float[] =
        let k = plan.Keep.Length
        let key = Key.fold level plan.Key

        let unit =
            match plan.Design.Fill with
            | BoxFill.Sobol -> Sobol.shifted key k number
            | BoxFill.Uniform -> Key.uniforms k (Key.fold number key)

        Sobol.inBox plan.Low plan.High unit
        |> Array.map2 (fun m x -> m + shrunken level * (x - m)) middle

    /// 1 over the density of points at a point, relative to the whole box filled evenly.
    let private weightAt (plan: BoxPlan) (middle: float[]) (x: float[]) : float =
        let isIn (level: int) : bool =
            let scale = shrunken level

            Array.forall
                id
                (Array.init x.Length (fun j ->
                    x[j] >= middle[j] + scale * (plan.Low[j] - middle[j])
                    && x[j] <= middle[j] + scale * (plan.High[j] - middle[j])))

        let density =
            Seq.init plan.Shares.Length id
            |> Seq.sumBy (fun level ->
                if level = 0 || isIn level then
                    plan.Shares[level] * Math.ScaleB(1.0, level * x.Length)
                else
                    0.0)

        1.0 / density

    /// The labels of the points with these numbers: the same as if all were made.
    let labels (options: RunOptions) (plan: BoxPlan) (first: int) (count: int) : BoxLabels =
        let objective = plan.Objective
        let n, k = objective.Count, plan.Keep.Length
        let names = objective.Parameters |> Array.map _.Name
        let last = min plan.Design.Labels (first + count)
        let numbers = [| first .. last - 1 |]
        let middle = middle plan
        let kept = numbers |> Array.map (fun i -> pointAt plan middle plan.Places[i])

        let placed (at: float[]) : float[] =
            let point = Array.copy plan.Centre
            plan.Keep |> Array.iteri (fun j i -> point[i] <- at[j])
            point

        let profiled =
            plan.Profiler
            |> Option.map (fun p -> Profiler.evaluate p (Array.concat kept) options)

        let isFound (r: int) : bool =
            match profiled with
            | Some p -> p.Statuses[r].IsConverged || p.Statuses[r].IsNotFinite
            | None -> true

        let points =
            match profiled with
            | Some p -> p.Points
            | None -> Array.collect placed kept

        let struct (values, gradients) =
            if numbers.Length = 0 then
                struct ([||], [||])
            else
                objective.ValuesAndGradients(points, options)

        let isInside (r: int) : bool =
            Double.IsFinite values[r]
            && TensorPrimitives.IsFiniteAll(ReadOnlySpan(gradients, r * n, n))

        let weights = kept |> Array.map (weightAt plan middle)
        let groups = numbers |> Array.map (fun i -> plan.Design.FirstGroup + i)
        let rows = Array.init numbers.Length id
        let found = rows |> Array.filter isFound
        let inside = found |> Array.filter isInside
        let calls (count: int) : ExactCalls = { Values = int64 count; Gradients = int64 count }

        {
            Set =
                { LabelSet.create names tag groups points values gradients with
                    Weights = weights
                }
                |> LabelSet.rows inside
            ProfileCalls =
                profiled
                |> Option.map (fun p -> calls p.Evaluations)
                |> Option.defaultValue ExactCalls.Zero
            LabelCalls = calls numbers.Length
            Lost = numbers.Length - found.Length
            Outside = found.Length - inside.Length
        }
