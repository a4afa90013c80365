namespace FunLik

open System

/// What one term adds to a goodness of fit.
type TermDeviance =
    {
        /// The term.
        Name: string
        /// Whether its data are auxiliary.
        IsConstraint: bool
        /// How many data it has, besides those of which nothing is expected.
        Data: int
        /// What it adds to the statistic.
        Statistic: float
    }

/// How well a model describes its data: twice the log of the saturated model's density over that of the best fit.
type GoodnessOfFit =
    {
        /// The statistic on the data: 0 or above, +∞ where something was seen of which nothing is expected.
        Statistic: float
        /// The data, main and auxiliary, of which something is expected.
        Data: int
        /// The parameters that the fit moves: the rank of the Hessian at the best point, over what is not fixed.
        Parameters: int
        /// The degrees of freedom: data less parameters.
        Degrees: int
        /// The probability of a statistic as large or larger by χ², which holds for large counts; NaN without a degree of freedom.
        PValue: float
        /// What each term adds.
        Terms: TermDeviance list
        /// The statistic of each toy from the best fit; NaN where its fit did not converge.
        Toys: float[]
        /// How often toys are at least as far away as the data; None without toys.
        FromToys: ToyProbability option
        /// Toys that were left out because a fit did not converge.
        Lost: int
        /// The best fit.
        Fit: Fit
        /// How it ended.
        Status: FitStatus
        /// What a reader should know, as clauses.
        Notes: string list
    }

/// Goodness of fit by the saturated model: Baker and Cousins, Nucl. Instrum. Meth. 221 (1984) 437; Cousins (2013), "Generalization of
/// chisquare goodness-of-fit test for binned data using saturated models"; Combine's `GoodnessOfFit --algo saturated`. In the saturated model
/// each count and each normal datum, main and auxiliary, has the mean that suits it best: the datum.
[<RequireQualifiedAccess>]
module GoodnessOfFit =

    /// Twice the log of a datum's density at its own value over that at a mean.
    let private deviance (isCount: bool) (x: float) (mean: float) (width: float) : float =
        if isCount then
            if x = 0.0 then
                2.0 * mean
            else
                2.0 * (mean - x + x * log (x / mean)) |> max 0.0
        else
            let pull = (x - mean) / width
            pull * pull

    /// The deviances of rows of data at points, row-major.
    let private deviances
        (options: RunOptions)
        (predictor: Predictor)
        (points: float[])
        (data: float[])
        : float[] =
        let struct (means, widths) = Simulate.predict options predictor points

        data
        |> Array.mapi (fun k x ->
            deviance predictor.IsCount[k % predictor.Size] x means[k] widths[k])

    /// The rank of a Hessian over free parameters, in units in which its diagonal is 1.
    let private rank (hessian: float[]) (n: int) (free: int[]) : int =
        let moving = free |> Array.filter (fun i -> hessian[i * n + i] > 0.0)
        let m = moving.Length

        let scaled =
            Array.init (m * m) (fun k ->
                let i, j = moving[k / m], moving[k % m]
                hessian[i * n + j] / sqrt (hessian[i * n + i] * hessian[j * n + j]))

        if m = 0 || Array.exists (Double.IsFinite >> not) scaled then
            m
        elif (NewtonStep.inverse m scaled).IsSome then
            m
        else
            NewtonStep.eigen m scaled
            |> fst
            |> Array.filter (fun e -> e > 1e-9)
            |> Array.length

    let private total (size: int) (values: float[]) : float[] =
        values |> Array.chunkBySize size |> Array.map Array.sum

    let private toys (options: RunOptions) (fitter: DataFitter) (count: int) (key: Key) : float[] =
        let predictor = fitter.Predictor
        let best = fitter.Best.Point

        [| 0 .. Toys.block .. count - 1 |]
        |> Array.collect (fun first ->
            let data =
                Simulate.toys options predictor best first (min Toys.block (count - first)) key

            let fits =
                data
                |> Array.chunkBySize predictor.Size
                |> Array.map (fun row -> DataFitter.problem [] [| best |] row fitter)
                |> DataFitter.fitAll options fitter

            let points = fits |> Array.collect _.Point

            Array.map2
                (fun (fit: DataFit) statistic -> if fit.Status.IsConverged then statistic else nan)
                fits
                (deviances options predictor points data |> total predictor.Size))

    /// Which parameters priors pull that are not flat.
    let private pulled (model: Likelihood) : string list =
        model.Priors
        |> List.filter (fun prior -> not (Expr.inputs [ prior.LogDensity ]).IsEmpty)
        |> List.map _.Block

    /// Tests a model of terms by its χ² and by so many toys (0: none) from its best fit, toy r from `Key.fold r`; auxiliary data are random too.
    /// Priors of parameters of interest are left out if they are not flat, and the notes say so.
    let test (options: FitOptions) (count: int) (key: Key) (model: Likelihood) : GoodnessOfFit =
        let flat, left = Profile.withoutPulls "" model
        let fitter = DataFitter.prepare options flat
        let predictor = fitter.Predictor
        let best = fitter.Best
        let observed = Simulate.observed predictor
        let struct (means, _) = Simulate.predict options.Run predictor best.Point
        let own = deviances options.Run predictor best.Point observed

        let isCounted (k: int) : bool =
            not predictor.IsCount[k] || means[k] > 0.0 || observed[k] > 0.0

        let terms, _ =
            Likelihood.terms "a goodness of fit" flat
            |> List.mapFold
                (fun first term ->
                    let places = [| first .. first + Shape.size term.Shape - 1 |]

                    {
                        Name = term.Name
                        IsConstraint = term.IsConstraint
                        Data = places |> Array.filter isCounted |> Array.length
                        Statistic = places |> Array.sumBy (fun k -> own[k])
                    },
                    first + places.Length)
                0

        let n = best.Point.Length
        let lower, upper = fitter.Fitter.Lower, fitter.Fitter.Upper

        let free =
            [| 0 .. n - 1 |]
            |> Array.filter (fun i ->
                lower[i] < upper[i]
                && best.ActiveBounds |> List.forall (fun bound -> bound.Parameter <> best.Names[i]))

        let pulls = pulled flat

        let ofPriors =
            flat.Blocks
            |> List.filter (fun b -> List.contains b.Name pulls)
            |> List.sumBy (fun b -> b.Parameters.Length)

        let hessian = fitter.Fitter.Hessian.Evaluate 1 best.Point options.Run
        let data = terms |> List.sumBy _.Data
        let parameters = rank hessian n free
        let degrees = data + ofPriors - parameters
        let statistic = Array.sum own

        let found =
            if count > 0 then
                toys options.Run fitter count key
            else
                [||]

        let lost = found |> Array.filter Double.IsNaN |> Array.length

        let few =
            Seq.init observed.Length id
            |> Seq.filter (fun k -> predictor.IsCount[k] && means[k] > 0.0 && means[k] < 5.0)
            |> Seq.length

        {
            Statistic = statistic
            Data = data
            Parameters = parameters
            Degrees = degrees
            PValue =
                if degrees <= 0 then
                    nan
                elif Double.IsPositiveInfinity statistic then
                    0.0
                else
                    MathNet.Numerics.SpecialFunctions.GammaUpperRegularized(
                        0.5 * float degrees,
                        0.5 * statistic
                    )
            Terms = terms
            Toys = found
            FromToys =
                if count > 0 then
                    Some(ToyProbability.ofToys statistic found)
                else
                    None
            Lost = lost
            Fit = best
            Status = best.Status
            Notes =
                left
                @ [
                    for name in pulls do
                        $"the prior of '{name}' pulls the fit and counts as a measurement; it is no part of the statistic"
                    if not best.ActiveBounds.IsEmpty then
                        let names = best.ActiveBounds |> List.map _.Parameter |> String.concat ", "
                        $"at their bounds, and not counted as parameters: {names}"
                    if few > 0 then
                        $"bins that expect fewer than 5 counts: {few}; χ² is a guess there, toys are not"
                    if degrees <= 0 then
                        "no degree of freedom is left: the model describes any data"
                ]
        }
