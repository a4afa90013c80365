namespace FunLik

open System

/// A scan of one parameter.
type Scan =
    {
        /// The parameter.
        Parameter: string
        /// Its values.
        X: float[]
        /// -2 log of the largest density at each value over the largest anywhere: 0 or more, and +∞ where there is no density.
        TwiceDeltaNll: float[]
        /// The fit at each value: how it ended, what is left of its gradient, its EDM, its active bounds, its different minima with how many
        /// starts reached each. Where a neighbour's best point led lower, the fit is that from there, and its starts are the neighbours'.
        Fits: Fit[]
        /// The fit with the parameter free: what the scan is relative to. Its minima are those that its own starts reached, and those beside
        /// values that are no higher than their neighbours.
        Minimum: Fit
        /// Whether the other parameters of interest were held at their nominal values, in the minimum too.
        Frozen: bool
        /// Evaluations of value and gradient, all fits together.
        Evaluations: int
        /// What a reader of the scan should know, as clauses.
        Notes: string list
    }

    /// How the fit at each value ended.
    member this.Status: FitStatus[] = this.Fits |> Array.map _.Status

    /// The best point at each value, in the model's order.
    member this.Points: float[][] = this.Fits |> Array.map _.Point

/// How to scan.
type ScanOptions =
    {
        /// How to fit at each value. By default the starts of a fit around the best point, and that point. A covariance is that of
        /// the minimum.
        Fit: FitOptions
        /// Whether other parameters of interest stay at their nominal values; nuisances are profiled in any case.
        Frozen: bool
    }

    /// All other parameters profiled.
    static member Default: ScanOptions = { Fit = FitOptions.Default; Frozen = false }

/// Profiles: the largest density over all parameters but some.
[<RequireQualifiedAccess>]
module Profile =

    /// A point is lower than another fit only beyond the accuracy of both, in twiceNll.
    let private resolution = 1e-9

    /// The place of a parameter by its name; an unknown name is raised.
    let indexOf (name: string) (parameters: ModelParameter[]) : int =
        match parameters |> Array.tryFindIndex (fun p -> p.Name = name) with
        | Some i -> i
        | None ->
            raise (
                FunLikException
                    [
                        Error.make ErrorKind.Name $"there is no parameter '{name}'"
                        |> Error.expected (parameters |> Array.map _.Name |> String.concat ", ")
                    ]
            )

    let private checkValues (name: string) (values: float[]) : unit =
        values
        |> Array.indexed
        |> Array.filter (snd >> Double.IsFinite >> not)
        |> Array.map (fun (k, v) ->
            Error.make ErrorKind.Value $"value {k} of a scan of '{name}'"
            |> Error.found $"{v}"
            |> Error.expected "a finite number")
        |> List.ofArray
        |> function
            | [] -> ()
            | mistakes -> raise (FunLikException mistakes)

    /// A point with one of its numbers changed.
    let internal at (index: int) (value: float) (point: float[]) : float[] =
        let moved = Array.copy point
        moved[index] <- value
        moved

    /// Fits at each value from the best points next to it, until none is lower for that.
    let private fromNeighbours
        (fits: FitProblem[] -> Fit[])
        (problemAt: int -> float[][] -> FitProblem)
        (first: Fit[])
        : Fit[] * int =
        let best = Array.copy first

        let rec go (round: int) (changed: Set<int>) (evaluations: int) : int =
            let next =
                [|
                    for k in 0 .. best.Length - 1 do
                        let starts =
                            [| k - 1; k + 1 |]
                            |> Array.filter changed.Contains
                            |> Array.map (fun j -> best[j].Point)

                        if starts.Length > 0 then
                            k, problemAt k starts
                |]

            if next.Length = 0 || round = best.Length then
                evaluations
            else
                let tried = fits (Array.map snd next)

                let lower =
                    Array.zip (Array.map fst next) tried
                    |> Array.filter (fun (k, fit) ->
                        fit.TwiceNll < best[k].TwiceNll - resolution
                        || (fit.Status.IsConverged
                            && not best[k].Status.IsConverged
                            && fit.TwiceNll <= best[k].TwiceNll + resolution))

                for k, fit in lower do
                    best[k] <- fit

                go
                    (round + 1)
                    (lower |> Array.map fst |> Set.ofArray)
                    (evaluations + (tried |> Array.sumBy _.Evaluations))

        let evaluations = go 0 (Set.ofSeq (seq { 0 .. best.Length - 1 })) 0
        best, evaluations

    /// The best points at values that are no higher than their neighbours.
    let private valleys (values: float[]) (fits: Fit[]) : float[][] =
        let ascending =
            Array.zip values fits
            |> Array.filter (fun (_, fit) -> fit.Status.IsConverged)
            |> Array.sortBy fst
            |> Array.map snd

        let isLower (k: int) (other: int) : bool =
            other < 0
            || other >= ascending.Length
            || ascending[k].TwiceNll <= ascending[other].TwiceNll

        [| 0 .. ascending.Length - 1 |]
        |> Array.filter (fun k -> isLower k (k - 1) && isLower k (k + 1))
        |> Array.map (fun k -> ascending[k].Point)

    /// Scans a parameter of a prepared objective.
    let scanFitter
        (options: ScanOptions)
        (name: string)
        (values: float seq)
        (fitter: Fitter)
        : Scan =
        let values = Array.ofSeq values
        let parameters = fitter.Objective.Parameters
        let index = indexOf name parameters
        checkValues name values

        let frozen =
            if options.Frozen then
                [
                    for p in parameters do
                        let isGiven =
                            options.Fit.Fixed |> List.exists (fun (other, _) -> other = p.Name)

                        if p.Kind.IsPoi && p.Name <> name && not isGiven then
                            p.Name, p.Nominal
                ]
            else
                []

        let fitOptions =
            { options.Fit with
                Fixed =
                    frozen @ (options.Fit.Fixed |> List.filter (fun (other, _) -> other <> name))
            }

        let fits (problems: FitProblem[]) : Fit[] =
            Fitter.fitAll { fitOptions with Covariance = false } fitter problems

        let free = Fitter.problem fitOptions fitter
        let first = Fitter.fit fitOptions fitter

        let isFree =
            Array.mapi2 (fun i low high -> low < high && i <> index) free.Lower free.Upper

        let problemAt (k: int) (starts: float[][]) : FitProblem =
            {
                Lower = at index values[k] free.Lower
                Upper = at index values[k] free.Upper
                Starts = starts |> Array.map (at index values[k])
            }

        let starts =
            let count =
                fitOptions.Starts |> Option.defaultValue (Starts.defaultCount parameters isFree)

            let around = Starts.around parameters isFree first.Point count

            if count > 1 then
                Array.append [| first.Point |] around
            else
                [| first.Point |]

        let coarse = fits (Array.init values.Length (fun k -> problemAt k starts))

        let isPlain =
            coarse |> Array.forall (fun f -> f.Status.IsConverged && f.Minima.Length < 2)

        let best, more =
            if isPlain then
                coarse, 0
            else
                fromNeighbours fits problemAt coarse

        // Values beyond the bounds at which there is a density belong to what is scanned: none is lower than the minimum.
        let widened =
            let inside =
                best |> Array.filter _.Status.IsConverged |> Array.map (fun f -> f.Point[index])

            { free with
                Lower = at index (Array.fold min free.Lower[index] inside) free.Lower
                Upper = at index (Array.fold max free.Upper[index] inside) free.Upper
            }

        // From every value that is lower than its neighbours on to the minimum beside it.
        let minimum =
            match valleys values best with
            | [||] -> first
            | starts -> first |> Fitter.further fitOptions fitter { widened with Starts = starts }

        {
            Parameter = name
            X = values
            TwiceDeltaNll = best |> Array.map (fun f -> max 0.0 (f.TwiceNll - minimum.TwiceNll))
            Fits = best
            Minimum = minimum
            Frozen = options.Frozen
            Evaluations = minimum.Evaluations + (coarse |> Array.sumBy _.Evaluations) + more
            Notes = []
        }

    /// Scans a parameter of an objective: a user's function, a session of another runtime.
    let scanObjective
        (options: ScanOptions)
        (name: string)
        (values: float seq)
        (objective: Objective)
        : Scan =
        Fitter.ofObjective objective |> scanFitter options name values

    /// The likelihood without those priors that would pull parameters of interest, or one that is to be scanned, and what to say of it.
    /// Flat priors stay, as supports.
    let withoutPulls (name: string) (model: Likelihood) : Likelihood * string list =
        let isOfInterest (block: ParameterBlock) : bool =
            block.Parameters |> Array.exists (fun p -> p.Kind.IsPoi || p.Name = name)

        let blocks =
            model.Blocks |> List.filter isOfInterest |> List.map _.Name |> Set.ofList

        let pulls, kept =
            model.Priors
            |> List.partition (fun prior ->
                blocks.Contains prior.Block && not (Expr.inputs [ prior.LogDensity ]).IsEmpty)

        { model with Priors = kept },
        pulls
        |> List.map (fun prior -> $"the prior of '{prior.Block}' is not flat and is left out")

    /// Scans a parameter of a likelihood: at each value all other parameters are fitted (`options.Frozen`: the nuisances alone). Priors
    /// of parameters of interest are left out if they are not flat, and the notes say so; flat ones are a support.
    let scanWith
        (options: ScanOptions)
        (name: string)
        (values: float seq)
        (model: Likelihood)
        : Scan =
        indexOf name (Likelihood.parameters model) |> ignore
        let flat, notes = withoutPulls name model
        let scan = Objective.ofLikelihood flat |> scanObjective options name values
        { scan with Notes = notes }

    /// Scans a parameter of a likelihood with the default options.
    let scan (name: string) (values: float seq) (model: Likelihood) : Scan =
        scanWith ScanOptions.Default name values model

    /// The profile of a likelihood over all parameters but those named, as an objective of these: gradients by the envelope
    /// theorem, starts as in a fit. Priors are kept.
    let objective (keep: string list) (model: Likelihood) : Objective =
        Objective.ofLikelihood model
        |> Fitter.ofObjective
        |> Profiler.prepare ProfilerOptions.Default keep
        |> Profiler.objective

    /// Hessians of the profiled twiceNll at points that were profiled, k x k for k kept parameters and row-major; None where what is profiled
    /// away has no minimum of positive curvature there.
    let hessians (run: RunOptions) (profiler: Profiler) (found: ProfiledPoints) : float[] option[] =
        ProfiledHessian.evaluate run profiler.Fitter profiler.Keep found.Points
