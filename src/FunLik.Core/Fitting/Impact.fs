namespace FunLik

open System

/// How far the best value of the parameter of interest moves when a nuisance parameter is held elsewhere.
type ImpactPair =
    {
        /// With the nuisance held above its best value.
        Up: float
        /// With the nuisance held below it.
        Down: float
    }

    /// The larger of both, without its sign.
    member this.Size: float = max (abs this.Up) (abs this.Down)

/// What the data say of a nuisance parameter, and what that means for the parameter of interest.
type Impact =
    {
        /// The nuisance.
        Name: string
        /// Its best value.
        Best: float
        /// What is known of it before the data of the terms that are no constraints: its value and standard deviation by the constraints and
        /// priors alone. None where nothing constrains it.
        PreFit: (float * float) option
        /// Its standard deviation after the fit, from the covariance. None where it cannot move: at a bound, in a kink.
        PostFit: float option
        /// (best − pre-fit value) / pre-fit standard deviation.
        Pull: float option
        /// Post-fit over pre-fit standard deviation: below 1 where the data say more.
        Narrowing: float option
        /// The impact of the pre-fit standard deviation.
        BeforeData: ImpactPair option
        /// The impact of the post-fit standard deviation.
        AfterData: ImpactPair option
        /// How the worst refit ended.
        Status: FitStatus
    }

/// All impacts on one parameter of interest, the largest after the data first.
type Impacts =
    {
        /// The parameter of interest.
        Poi: string
        /// Its best value.
        Best: float
        /// Its standard deviation from the covariance, if it has one.
        Sigma: float option
        /// The nuisances, ranked by their impacts after the data.
        Impacts: Impact list
        /// The fit from which they start.
        Fit: Fit
        /// Evaluations of value and gradient, all fits together.
        Evaluations: int
        /// What a reader should know, as clauses.
        Notes: string list
    }

/// Pulls and impacts. The impact of a nuisance is the shift of the best value of the parameter of interest when the nuisance is
/// held at its best value plus or minus one standard deviation (before or after the fit; within its bounds) and all others are fitted again,
/// each from the best point moved along as the covariance says: an impact is within the minimum of the best fit.
[<RequireQualifiedAccess>]
module Impact =

    /// Value and standard deviation of each parameter by constraints and priors alone.
    let private preFit (options: FitOptions) (model: Likelihood) : (float * float) option[] =
        let names = Likelihood.names model

        let constraints =
            match model.Density with
            | Density.Terms terms -> Density.Terms(terms |> List.filter _.IsConstraint)
            | Density.Opaque(_, profiled) -> Density.Opaque(Expr.scalar 0.0, profiled)

        let only = { model with Density = constraints }
        let parts = Likelihood.parts only
        let density = Option.toList parts.Constraint @ [ parts.Prior ]

        if (Expr.inputs density).IsEmpty then
            names |> Array.map (fun _ -> None)
        else
            let fitter = Objective.ofLikelihood only |> Fitter.ofObjective
            let fit = Fitter.fit { options with Fixed = [] } fitter
            let n = names.Length
            let hessian = fitter.Hessian.Evaluate 1 fit.Point options.Run
            let known = [| 0 .. n - 1 |] |> Array.filter (fun i -> hessian[i * n + i] > 0.0)
            let m = known.Length

            match
                Array.init (m * m) (fun k -> hessian[known[k / m] * n + known[k % m]])
                |> NewtonStep.inverse m
            with
            | None -> names |> Array.map (fun _ -> None)
            | Some inverse ->
                Array.init n (fun i ->
                    match Array.IndexOf(known, i) with
                    | -1 -> None
                    | k -> Some(fit.Point[i], sqrt inverse[k * m + k]))

    let private ofFitterAnd
        (before: (float * float) option[])
        (options: FitOptions)
        (name: string)
        (fitter: Fitter)
        : Impacts =
        let parameters = fitter.Objective.Parameters
        let names = parameters |> Array.map _.Name
        let index = Array.IndexOf(names, name)
        let fit = Fitter.fit { options with Covariance = true } fitter
        let struct (lower, upper) = Fitter.fixing options.Fixed fitter

        let covariance (i: int) (j: int) : float =
            match fit.Covariance with
            | Some rows when not (System.Double.IsNaN(rows[i][j])) -> rows[i][j]
            | _ -> 0.0

        let sigma (i: int) : float option =
            let variance = covariance i i
            if variance > 0.0 then Some(sqrt variance) else None

        let nuisances =
            [| 0 .. names.Length - 1 |]
            |> Array.filter (fun i ->
                parameters[i].Kind.IsNuisance && i <> index && lower[i] < upper[i])

        /// From the best point, all others moved along with the nuisance as the covariance says.
        let problem (i: int) (width: float) : FitProblem =
            let held = min upper[i] (max lower[i] (fit.Point[i] + width))

            let start =
                match sigma i with
                | Some s ->
                    fit.Point
                    |> Array.mapi (fun j x -> x + covariance i j / (s * s) * (held - fit.Point[i]))
                | None -> fit.Point

            {
                Lower = Profile.at i held lower
                Upper = Profile.at i held upper
                Starts = [| Profile.at i held start |]
            }

        let jobs =
            [|
                for i in nuisances do
                    for isPreFit, width in [ true, before[i] |> Option.map snd; false, sigma i ] do
                        match width with
                        | Some width ->
                            yield (i, isPreFit, true), problem i width
                            yield (i, isPreFit, false), problem i -width
                        | None -> ()
            |]

        let fits =
            Fitter.fitAll { options with Covariance = false } fitter (Array.map snd jobs)

        let refits = dict (Array.zip (Array.map fst jobs) fits)

        let pair (i: int) (isPreFit: bool) : ImpactPair option =
            match
                refits.TryGetValue((i, isPreFit, true)), refits.TryGetValue((i, isPreFit, false))
            with
            | (true, up), (true, down) ->
                Some
                    {
                        Up = up.Point[index] - fit.Point[index]
                        Down = down.Point[index] - fit.Point[index]
                    }
            | _ -> None

        let impact (i: int) : Impact =
            let best = fit.Point[i]

            {
                Name = names[i]
                Best = best
                PreFit = before[i]
                PostFit = sigma i
                Pull = before[i] |> Option.map (fun (value, width) -> (best - value) / width)
                Narrowing = Option.map2 (fun (_, width) post -> post / width) before[i] (sigma i)
                BeforeData = pair i true
                AfterData = pair i false
                Status =
                    Array.zip jobs fits
                    |> Seq.filter (fun (((j, _, _), _), _) -> j = i)
                    |> Seq.map (fun (_, fit) -> fit.Status)
                    |> Interval.worst
            }

        {
            Poi = name
            Best = fit.Point[index]
            Sigma = sigma index
            Impacts =
                nuisances
                |> Array.map impact
                |> Array.sortBy (fun i ->
                    let size (pair: ImpactPair option) : float =
                        pair |> Option.map _.Size |> Option.defaultValue 0.0

                    -(size i.AfterData), -(size i.BeforeData))
                |> List.ofArray
            Fit = fit
            Evaluations = fit.Evaluations + (fits |> Array.sumBy _.Evaluations)
            Notes = []
        }

    /// Impacts of all nuisances of a prepared objective, which says nothing of them before the data, on a parameter of interest, by name or
    /// its only one: all refits in one batch.
    let ofFitter (options: FitOptions) (poi: string option) (fitter: Fitter) : Impacts =
        let parameters = fitter.Objective.Parameters
        let before = parameters |> Array.map (fun _ -> None)
        ofFitterAnd before options (HypothesisTest.poiAmong parameters poi) fitter

    /// Pulls and impacts of all nuisances of a model on a parameter of interest, by name or the model's only one: all refits in one batch.
    /// Priors of parameters of interest are left out if they are not flat, and the notes say so.
    let all (options: FitOptions) (poi: string option) (model: Likelihood) : Impacts =
        let name = HypothesisTest.poiOf model poi
        let flat, notes = Profile.withoutPulls name model

        let found =
            Objective.ofLikelihood flat
            |> Fitter.ofObjective
            |> ofFitterAnd (preFit options flat) options name

        { found with Notes = notes }
