namespace FunLik

open System

/// The box in which a function is held to its word, with the places in it that are worth a look.
type CheckDomain =
    {
        /// The parameters, in the order of a point.
        Parameters: ModelParameter[]
        /// The lowest value of each parameter.
        Lowest: float[]
        /// The highest value of each parameter.
        Highest: float[]
        /// The best fit, within the box: the plainest point, to which counter-examples shrink.
        Best: float[]
        /// Standard deviations and correlations around the best fit.
        Metric: Metric
        /// Points along the ridge: the others profiled at values of a parameter of interest.
        Ridge: float[][]
    }

/// A way to draw points in a domain: the same key gives the same point.
[<NoComparison; NoEquality>]
type PointGenerator =
    {
        /// Where its points are: `box`, `likely`, `ridge`, `kink`, `bound`.
        Name: string
        /// The point of a key, in the domain.
        Draw: Key -> float[]
    }

/// Points at which surrogates are checked, drawn by key, and the points that are plainer than a point.
[<RequireQualifiedAccess>]
module CheckPoints =

    /// The domain of parameters in a region, cut to their bounds, around a best fit, which is moved into it. Where a covariance (row-major) is
    /// not positive definite its variances alone count, and a sixth of the box is the deviation of what has none. There is no ridge yet: see
    /// `withRidge`. Errors: arrays of other lengths, a box without an inside.
    let domain
        (parameters: ModelParameter[])
        (region: Region)
        (best: float[])
        (covariance: float[] option)
        : Result<CheckDomain, Error list> =
        let n = parameters.Length

        let length (what: string) (expected: int) (found: float[]) : Error list =
            if found.Length = expected then
                []
            else
                [
                    Error.make ErrorKind.Shape what
                    |> Error.found $"{found.Length} numbers"
                    |> Error.expected $"{expected}, for {n} parameters"
                ]

        let lengths =
            [
                yield! length "the lowest values of a region" n region.Lowest
                yield! length "the highest values of a region" n region.Highest
                yield! length "the best fit" n best
                match covariance with
                | Some matrix -> yield! length "the covariance of the best fit" (n * n) matrix
                | None -> ()
            ]

        if not lengths.IsEmpty then
            Result.Error lengths
        else
            let bound (pick: struct (float * float) -> float) : float[] =
                parameters |> Array.map (fun p -> pick p.Bounds)

            let lowest = Array.map2 max region.Lowest (bound (fun struct (low, _) -> low))
            let highest = Array.map2 min region.Highest (bound (fun struct (_, high) -> high))

            let wrong =
                [
                    for k in 0 .. n - 1 do
                        let low, high = lowest[k], highest[k]

                        if not (low <= high && Double.IsFinite low && Double.IsFinite high) then
                            Error.make ErrorKind.Value "the region to check within the bounds"
                            |> Error.at parameters[k].Name
                            |> Error.found $"{low} to {high}"
                            |> Error.expected "two finite numbers in order"
                        elif not (Double.IsFinite best[k]) then
                            Error.make ErrorKind.Value "the best fit"
                            |> Error.at parameters[k].Name
                            |> Error.found $"{best[k]}"
                            |> Error.expected "a finite number"
                ]

            if not wrong.IsEmpty then
                Result.Error wrong
            else
                // What is held, at a bound or undetermined has no variance.
                let variances =
                    Array.init n (fun k ->
                        match covariance with
                        | Some matrix when matrix[k * n + k] > 0.0 -> matrix[k * n + k]
                        | _ -> ((highest[k] - lowest[k]) / 6.0) ** 2.0)

                Ok
                    {
                        Parameters = parameters
                        Lowest = lowest
                        Highest = highest
                        Best = Array.init n (fun k -> min highest[k] (max lowest[k] best[k]))
                        Metric =
                            covariance
                            |> Option.bind (Metric.ofCovariance n)
                            |> Option.defaultWith (fun () -> Metric.ofVariances variances)
                        Ridge = [||]
                    }

    let private inside (domain: CheckDomain) (point: float[]) : float[] =
        point |> Array.mapi (fun k x -> min domain.Highest[k] (max domain.Lowest[k] x))

    let private width (domain: CheckDomain) (k: int) : float = domain.Highest[k] - domain.Lowest[k]

    /// The domain with the ridge of a likelihood of its parameters: at so many values of each parameter of interest, evenly over the box, the
    /// others are fitted. What does not converge is left out.
    let withRidge
        (options: RunOptions)
        (values: int)
        (model: Likelihood)
        (domain: CheckDomain)
        : CheckDomain =
        let settings =
            { ScanOptions.Default with Fit = { FitOptions.Default with Run = options } }

        let ridge =
            domain.Parameters
            |> Array.indexed
            |> Array.filter (fun (k, p) -> p.Kind.IsPoi && width domain k > 0.0)
            |> Array.collect (fun (k, p) ->
                let at (i: int) : float =
                    domain.Lowest[k] + (float i + 0.5) / float values * width domain k

                (Profile.scanWith settings p.Name (Array.init values at) model).Fits
                |> Array.filter (fun fit -> fit.Status.IsConverged)
                |> Array.map (fun fit -> inside domain fit.Point))

        { domain with Ridge = ridge }

    // ---- Generators

    /// Uniform in the box.
    let box (domain: CheckDomain) : PointGenerator =
        {
            Name = "box"
            Draw =
                fun key ->
                    Key.uniforms domain.Best.Length key
                    |> Array.mapi (fun k u -> domain.Lowest[k] + u * width domain k)
                    |> inside domain
        }

    /// Normal around the best fit with the domain's metric; what leaves the box is put on its side.
    let likely (domain: CheckDomain) : PointGenerator =
        {
            Name = "likely"
            Draw =
                fun key ->
                    Key.normals domain.Best.Length key
                    |> Metric.apply domain.Metric
                    |> Array.map2 (+) domain.Best
                    |> inside domain
        }

    /// Points of the ridge, and nuisances moved from there by up to a standard deviation or so; None where the domain has no ridge.
    let ridge (domain: CheckDomain) : PointGenerator option =
        if domain.Ridge.Length = 0 then
            None
        else
            Some
                {
                    Name = "ridge"
                    Draw =
                        fun key ->
                            let struct (first, second) = Key.split key
                            let anchor = (Key.integers domain.Ridge.Length 1 first)[0]
                            let reach = (Key.uniforms 1 first)[0]

                            Key.normals domain.Best.Length second
                            |> Metric.apply domain.Metric
                            |> Array.mapi (fun k move ->
                                let from = domain.Ridge[anchor][k]

                                if domain.Parameters[k].Kind.IsPoi then
                                    from
                                else
                                    from + reach * move)
                            |> inside domain
                }

    /// One coordinate of a likely point put beside a place, at a distance from none to a tenth of the box, as often of each power of ten.
    let private beside
        (name: string)
        (places: (int * float)[])
        (domain: CheckDomain)
        : PointGenerator option =
        if places.Length = 0 then
            None
        else
            Some
                {
                    Name = name
                    Draw =
                        fun key ->
                            let keys = Key.splitN 3 key
                            let k, place = places[(Key.integers places.Length 1 keys[0])[0]]
                            let u = Key.uniforms 3 keys[1]
                            let point = (likely domain).Draw keys[2]

                            let size =
                                if u[0] < 0.125 then
                                    0.0
                                else
                                    width domain k * Math.Pow(10.0, -1.0 - 7.0 * u[1])

                            point[k] <- if u[2] < 0.5 then place - size else place + size
                            inside domain point
                }

    /// Beside the kinks of the density, on both sides and in them; None where no parameter has a kink.
    let kinks (domain: CheckDomain) : PointGenerator option =
        domain
        |> beside
            "kink"
            [|
                for k in 0 .. domain.Best.Length - 1 do
                    if domain.Parameters[k].IsKinked then
                        k, domain.Parameters[k].Nominal
            |]

    /// On the sides of the box, which are bounds where those are nearer, and just within; None where the box is a point.
    let bounds (domain: CheckDomain) : PointGenerator option =
        domain
        |> beside
            "bound"
            [|
                for k in 0 .. domain.Best.Length - 1 do
                    if width domain k > 0.0 then
                        k, domain.Lowest[k]
                        k, domain.Highest[k]
            |]

    /// One of several generators, each as often.
    let oneOf (generators: PointGenerator list) : PointGenerator =
        let choices = Array.ofList generators

        {
            Name = generators |> List.map _.Name |> String.concat ", "
            Draw =
                fun key ->
                    let struct (first, second) = Key.split key
                    choices[(Key.integers choices.Length 1 first)[0]].Draw second
        }

    /// Where a surrogate was to be good: likely points and the ridge.
    let taught (domain: CheckDomain) : PointGenerator =
        likely domain :: Option.toList (ridge domain) |> oneOf

    /// All places of a domain: the box, likely points, the ridge, kinks, bounds.
    let everywhere (domain: CheckDomain) : PointGenerator =
        [
            Some(box domain)
            Some(likely domain)
            ridge domain
            kinks domain
            bounds domain
        ]
        |> List.choose id
        |> oneOf

    // ---- Shrinking

    /// Coordinates closer to the best fit than this part of the box are set to it.
    let private resolution = 1e-6

    /// Points that are plainer than a point, the plainest first: the best fit; half the way to it; blocks of coordinates, larger ones first, set
    /// to the best fit's; single coordinates half the way. None of the best fit itself. All chains of them end.
    let shrink (domain: CheckDomain) (point: float[]) : float[] seq =
        let best = domain.Best

        let moved =
            [| for k in 0 .. best.Length - 1 -> k |]
            |> Array.filter (fun k -> point[k] <> best[k])

        let halved (k: int) : float =
            let step = 0.5 * (point[k] - best[k])

            if abs step <= resolution * width domain k then
                best[k]
            else
                best[k] + step

        let replaced (chosen: int[]) (value: int -> float) : float[] =
            let other = Array.copy point
            chosen |> Array.iter (fun k -> other[k] <- value k)
            other

        let blocks =
            Seq.unfold
                (fun size -> if size < 1 then None else Some(size, size / 2))
                (moved.Length / 2)

        seq {
            if moved.Length > 0 then
                yield Array.copy best
                yield replaced moved halved

                for size in blocks do
                    for block in Array.chunkBySize size moved do
                        yield replaced block (fun k -> best[k])

                if moved.Length > 1 then
                    for k in moved do
                        yield replaced [| k |] halved
        }
