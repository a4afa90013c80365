namespace FunLik

open System

/// A scan of several parameters on a grid.
type GridScan =
    {
        /// The parameters.
        Parameters: string[]
        /// The values of each.
        Axes: float[][]
        /// -2 log of the largest density at each point over the largest anywhere, row-major, the last parameter fastest: 0 or more, and +∞ where
        /// there is no density.
        TwiceDeltaNll: float[]
        /// How the fit at each point ended.
        Status: FitStatus[]
        /// All parameters at each point, in the model's order.
        Points: float[][]
        /// The fit with the parameters free: what the scan is relative to.
        Minimum: Fit
        /// Whether the other parameters of interest were held at their nominal values, in the minimum too.
        Frozen: bool
        /// Evaluations of value and gradient, all fits together.
        Evaluations: int
        /// What a reader of the scan should know, as clauses.
        Notes: string list
    }

/// Scans of several parameters, the others profiled in bulk.
[<RequireQualifiedAccess>]
module GridScan =

    /// A point is lower than another fit only beyond the accuracy of both, in twiceNll.
    let private resolution = 1e-7

    let private check (axes: (string * float[]) list) : unit =
        let mistakes =
            [
                if axes.IsEmpty then
                    Error.make ErrorKind.Usage "a scan needs a parameter"
                for name, count in axes |> List.countBy fst do
                    if count > 1 then
                        Error.make ErrorKind.Name $"'{name}' is scanned {count} times"
                for name, values in axes do
                    if values.Length = 0 then
                        Error.make ErrorKind.Shape $"there are no values of '{name}'"

                    for v in values |> Array.filter (Double.IsFinite >> not) |> Array.truncate 1 do
                        Error.make ErrorKind.Value $"a value of '{name}'"
                        |> Error.found $"{v}"
                        |> Error.expected "a finite number"
            ]

        if not mistakes.IsEmpty then
            raise (FunLikException mistakes)

    /// The points of a grid, row-major, the last axis fastest.
    let points (axes: float[][]) : float[] =
        let sizes = axes |> Array.map _.Length
        let k = axes.Length
        // How far apart neighbours on an axis are, in points.
        let strides = Array.scanBack (*) sizes 1

        Array.init (strides[0] * k) (fun place ->
            let row, i = place / k, place % k
            axes[i][row / strides[i + 1] % sizes[i]])

    /// Scans parameters of a prepared objective over all combinations of their values.
    let scanFitter
        (options: ScanOptions)
        (profiling: ProfilerOptions)
        (axes: (string * float[]) list)
        (fitter: Fitter)
        : GridScan =
        check axes
        let parameters = fitter.Objective.Parameters
        let names = axes |> List.map fst

        for name in names do
            Profile.indexOf name parameters |> ignore

        let held =
            (options.Fit.Fixed
             |> List.filter (fun (name, _) -> not (List.contains name names)))
            @ [
                if options.Frozen then
                    for p in parameters do
                        let isGiven =
                            List.contains p.Name names
                            || options.Fit.Fixed |> List.exists (fun (other, _) -> other = p.Name)

                        if p.Kind.IsPoi && not isGiven then
                            p.Name, p.Nominal
            ]

        let struct (lower, upper) = Fitter.fixing held fitter
        let own = { fitter with Lower = lower; Upper = upper }
        let fitOptions = { options.Fit with Fixed = [] }
        let free = Fitter.problem fitOptions own

        let fit (problem: FitProblem) : Fit = (Fitter.fitAll fitOptions own [| problem |])[0]

        let first = fit free
        let profiler = Profiler.prepareAt profiling names first.Point own
        let grid = axes |> List.map snd |> Array.ofList
        let found = Profiler.evaluate profiler (points grid) options.Fit.Run
        let n = parameters.Length
        let pointOf (row: int) : float[] = Array.sub found.Points (row * n) n

        // Values beyond the bounds at which there is a density belong to what is scanned: none is lower than the minimum.
        let widened =
            let inside =
                [| 0 .. found.Values.Length - 1 |]
                |> Array.filter (fun row -> found.Statuses[row].IsConverged)
                |> Array.map pointOf

            let wide (choose: float -> float -> float) (bounds: float[]) : float[] =
                (bounds, names)
                ||> List.fold (fun bounds name ->
                    let i = Profile.indexOf name parameters

                    let reached = inside |> Array.fold (fun x point -> choose x point[i]) bounds[i]

                    Profile.at i reached bounds)

            { free with Lower = wide min free.Lower; Upper = wide max free.Upper }

        let rec refit (minimum: Fit) (evaluations: int) (rounds: int) : Fit * int =
            let lowest =
                [| 0 .. found.Values.Length - 1 |]
                |> Array.filter (fun row -> found.Statuses[row].IsConverged)
                |> Array.sortBy (fun row -> -found.Values[row])
                |> Array.tryHead

            match lowest with
            | Some row when rounds > 0 && -2.0 * found.Values[row] < minimum.TwiceNll - resolution ->
                let again = fit { widened with Starts = [| pointOf row |] }
                refit again (evaluations + again.Evaluations) (rounds - 1)
            | _ -> minimum, evaluations

        let minimum, again = refit first 0 2

        {
            Parameters = Array.ofList names
            Axes = grid
            TwiceDeltaNll =
                found.Values |> Array.map (fun y -> max 0.0 (-2.0 * y - minimum.TwiceNll))
            Status = found.Statuses
            Points = Array.init found.Values.Length pointOf
            Minimum = minimum
            Frozen = options.Frozen
            Evaluations = first.Evaluations + found.Evaluations + again
            Notes = []
        }

    /// Scans parameters of a likelihood over all combinations of their values. Priors of parameters of interest, and of those that are
    /// scanned, are left out if they are not flat, and the notes say so.
    let scanWith
        (options: ScanOptions)
        (axes: (string * float[]) list)
        (model: Likelihood)
        : GridScan =
        check axes

        for name, _ in axes do
            Profile.indexOf name (Likelihood.parameters model) |> ignore

        let flat, notes =
            (axes, (model, []))
            ||> List.foldBack (fun (name, _) (model, notes) ->
                let flat, more = Profile.withoutPulls name model
                flat, notes @ more)

        let scan =
            Objective.ofLikelihood flat
            |> Fitter.ofObjective
            |> scanFitter options ProfilerOptions.Default axes

        { scan with Notes = notes }

    /// Scans with the default options.
    let scan (axes: (string * float[]) list) (model: Likelihood) : GridScan =
        scanWith ScanOptions.Default axes model
