namespace FunLik

open System

/// What hypothesis tests of one parameter of interest need: prepared once, for many values.
[<NoComparison; NoEquality>]
type Tester =
    {
        /// The fits.
        Fitter: DataFitter
        /// The parameter of interest.
        Poi: string
        /// Its place.
        Index: int
        /// The statistic.
        Statistic: TestStatistic
        /// The observed data.
        Observed: float[]
        /// The Asimov data: those expected at the best fit without signal (for q0: with μ = 1).
        Asimov: float[]
        /// The free fits to both, and the fit from which the Asimov data are.
        Free: DataFit
        AsimovFree: DataFit
        Reference: DataFit
        /// The starts of each fit.
        Starts: float[][]
        /// What a user should know, as clauses.
        Notes: string list
    }

/// A test of one value of the parameter of interest.
type HypothesisTest =
    {
        /// The value.
        Mu: float
        /// The statistic on the data, and on the Asimov data.
        Statistic: float
        AsimovStatistic: float
        /// CLs+b, CLb and CLs on the data.
        Observed: PValues
        /// The same, expected without signal, from -2 to 2 standard deviations.
        Expected: PValues[]
        /// The fits at the value, to the data and to the Asimov data.
        Fixed: DataFit
        AsimovFixed: DataFit
        /// How the worst of all fits ended.
        Status: FitStatus
    }

/// Tests of hypotheses by asymptotic distributions: Cowan et al., arXiv:1007.1727; CLs: Read, J. Phys. G 28 (2002) 2693.
[<RequireQualifiedAccess>]
module HypothesisTest =

    /// The parameter of interest: the one that is named, or the only one. An error is raised where there is none, or it is fixed.
    let poiAmong (parameters: ModelParameter[]) (poi: string option) : string =
        let names = parameters |> Array.map _.Name
        let pois = parameters |> Array.filter _.Kind.IsPoi |> Array.map _.Name

        let isFixed (name: string) : bool =
            let struct (low, high) = (parameters |> Array.find (fun p -> p.Name = name)).Bounds

            low = high

        let found =
            match poi with
            | None -> Array.tryExactlyOne pois
            | given -> given

        match found with
        | Some name when Array.contains name names && isFixed name ->
            Error.make ErrorKind.Value $"the model has '{name}' fixed"
            |> Error.expected "a parameter of interest that is free"
            |> Error.fail
            |> Error.orRaise
        | Some name when Array.contains name names -> name
        | Some name ->
            Error.make ErrorKind.Name $"there is no parameter '{name}'"
            |> Error.expected (String.concat ", " names)
            |> Error.fail
            |> Error.orRaise
        | None ->
            Error.make
                ErrorKind.Usage
                "of which parameter of interest? The model has not exactly one"
            |> Error.found $"{pois.Length} parameters of interest"
            |> Error.expected (
                if pois.Length = 0 then
                    "the name of a parameter"
                else
                    "the name of one of " + String.concat ", " pois
            )
            |> Error.fail
            |> Error.orRaise

    /// The parameter of interest of a model: see `poiAmong`.
    let poiOf (model: Likelihood) (poi: string option) : string =
        poiAmong (Likelihood.parameters model) poi

    /// Bounds of a parameter of interest, cut to what is 0 or above. An error is raised where nothing is left.
    let internal fromZero (poi: string) (low: float) (high: float) : struct (float * float) =
        if high < 0.0 then
            Error.make ErrorKind.Value $"the bounds of '{poi}' leave no value from 0 on"
            |> Error.found $"{low} to {high}"
            |> Error.expected "bounds that a signal may lie in"
            |> Error.fail
            |> Error.orRaise

        struct (max 0.0 low, high)

    /// The model with the parameter of interest free on both sides, or kept at 0 or above.
    let private withBounds (poi: string) (isBounded: bool) (model: Likelihood) : Likelihood =
        let change (p: ModelParameter) : ModelParameter =
            if p.Name <> poi then
                p
            else
                let struct (low, high) = p.Bounds

                { p with
                    Bounds =
                        if isBounded then
                            fromZero poi low high
                        else
                            struct (-infinity, infinity)
                }

        { model with
            Blocks =
                model.Blocks
                |> List.map (fun b -> { b with Parameters = Array.map change b.Parameters })
        }

    let private startsOf (fitter: DataFitter) : float[][] =
        let parameters = fitter.Fitter.Objective.Parameters
        let isFree = Array.map2 (<) fitter.Fitter.Lower fitter.Fitter.Upper
        let count = Starts.defaultCount parameters isFree

        Array.append
            [| fitter.Best.Point |]
            (if count > 1 then
                 Starts.around parameters isFree fitter.Best.Point count
             else
                 [||])

    /// The model whose free fits the statistic needs: priors that would pull parameters of interest are left out, and the parameter of interest
    /// is free, or kept at 0 or above. With its name and the notes.
    let modelOf
        (statistic: TestStatistic)
        (poi: string option)
        (model: Likelihood)
        : Likelihood * string * string list =
        let name = poiOf model poi
        let flat, notes = Profile.withoutPulls name model
        withBounds name (TestStatistic.isBounded statistic) flat, name, notes

    /// Tests of a model that is prepared already (`modelOf`): fits it to the data and to Asimov data, each fit from all starts.
    let ofFitter
        (options: RunOptions)
        (statistic: TestStatistic)
        (poi: string)
        (starts: float[][])
        (fitter: DataFitter)
        : Tester =
        let index = Profile.indexOf poi fitter.Fitter.Objective.Parameters

        let observed = Simulate.observed fitter.Predictor
        let problem fixing starts data = DataFitter.problem fixing starts data fitter

        // Without signal; for a discovery the other hypothesis has one.
        let mu = if statistic.IsQ0 then 1.0 else 0.0

        let toData =
            [| problem [] starts observed; problem [ poi, mu ] starts observed |]
            |> DataFitter.fitAll options fitter

        let free, reference = toData[0], toData[1]
        let starts = Array.append [| reference.Point |] starts
        let asimov = Simulate.expected options fitter.Predictor reference.Point

        {
            Fitter = fitter
            Poi = poi
            Index = index
            Statistic = statistic
            Observed = observed
            Asimov = asimov
            Free = free
            AsimovFree = (DataFitter.fitAll options fitter [| problem [] starts asimov |])[0]
            Reference = reference
            Starts = starts
            Notes = []
        }

    /// Prepares tests of a model of terms. Priors of parameters of interest are left out if they are not flat, and the notes say so.
    let prepare
        (options: RunOptions)
        (statistic: TestStatistic)
        (poi: string option)
        (model: Likelihood)
        : Tester =
        let flat, name, notes = modelOf statistic poi model
        let fitter = DataFitter.prepare { FitOptions.Default with Run = options } flat
        let tester = ofFitter options statistic name (startsOf fitter) fitter
        { tester with Notes = notes }

    /// The worst of several ends.
    let private worst (fits: DataFit list) : FitStatus =
        fits
        |> List.map _.Status
        |> List.tryFind (fun s -> not s.IsConverged)
        |> Option.defaultValue FitStatus.Converged

    /// q0 tests 0 alone, and what keeps μ at 0 or above tests nothing below.
    let internal checkValue (statistic: TestStatistic) (mu: float) : unit =
        let isGood, expected =
            if statistic.IsQ0 then
                mu = 0.0, "0, which is what q0 tests"
            elif TestStatistic.isBounded statistic then
                mu >= 0.0, "0 or above"
            else
                true, "a finite number"

        if not (isGood && Double.IsFinite mu) then
            Error.make ErrorKind.Value "the value to test"
            |> Error.found $"{mu}"
            |> Error.expected expected
            |> Error.fail
            |> Error.orRaise

    /// Tests values of the parameter of interest, all in one batch.
    let tests (options: RunOptions) (tester: Tester) (mus: float[]) : HypothesisTest[] =
        mus |> Array.iter (checkValue tester.Statistic)

        let problem (data: float[]) (mu: float) : DataProblem =
            DataFitter.problem [ tester.Poi, mu ] tester.Starts data tester.Fitter

        let fits =
            Array.append
                (mus |> Array.map (problem tester.Observed))
                (mus |> Array.map (problem tester.Asimov))
            |> DataFitter.fitAll options tester.Fitter

        mus
        |> Array.mapi (fun k mu ->
            let fixed', asimovFixed = fits[k], fits[mus.Length + k]

            let statistic (free: DataFit) (held: DataFit) : float =
                TestStatistic.value
                    tester.Statistic
                    mu
                    free.Point[tester.Index]
                    (held.TwiceNll - free.TwiceNll)

            let observed, asimov =
                statistic tester.Free fixed', statistic tester.AsimovFree asimovFixed

            {
                Mu = mu
                Statistic = observed
                AsimovStatistic = asimov
                Observed = TestStatistic.pValues tester.Statistic observed asimov
                Expected =
                    TestStatistic.bands
                    |> Array.map (TestStatistic.expected tester.Statistic asimov)
                Fixed = fixed'
                AsimovFixed = asimovFixed
                Status =
                    worst [ tester.Reference; tester.Free; tester.AsimovFree; fixed'; asimovFixed ]
            })

    /// Tests one value.
    let test (options: RunOptions) (tester: Tester) (mu: float) : HypothesisTest =
        (tests options tester [| mu |])[0]
