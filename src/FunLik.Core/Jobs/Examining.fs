namespace FunLik

/// `funlik gof` and `wilks`.
[<RequireQualifiedAccess>]
module Examining =

    let private shown (x: float) : string = TextTable.significant 6 x

    /// Constraints that the table for people lists, those that add most.
    let private mostConstraints = 10

    let private termJson (term: TermDeviance) : JsonValue =
        JsonValue.Object
            [
                "term", JsonValue.Text term.Name
                "constraint", JsonValue.Bool term.IsConstraint
                "data", JsonValue.Int(int64 term.Data)
                "statistic", JsonValue.Number term.Statistic
            ]

    /// Tests how well a model describes its data.
    let gof (context: VerbContext) (request: GofRequest) (model: Likelihood) : Report =
        context.Progress { Stage = "fitting toys"; Done = 0L; Total = 0L }
        let options = { FitOptions.Default with Run = context.Options; Covariance = true }
        let held = Hold.apply [] request.Held model |> Error.orRaise
        let key = Key.ofSeed request.Plan.Seed |> Key.foldName "gof"
        let found = GoodnessOfFit.test options request.Plan.Toys key held

        let constraints, main = found.Terms |> List.partition _.IsConstraint
        let constraints = constraints |> List.sortByDescending _.Statistic
        let rest = List.skip (min mostConstraints constraints.Length) constraints

        let notes =
            found.Notes
            @ [
                if found.Lost > 0 then
                    $"{found.Lost} toys were left out: a fit did not converge"
            ]

        {
            Converged = found.Status.IsConverged && found.Lost = 0
            Json =
                JsonValue.Object
                    [
                        "statistic", JsonValue.Number found.Statistic
                        "degreesOfFreedom", JsonValue.Int(int64 found.Degrees)
                        "pValue", JsonValue.Number found.PValue
                        "toyPValue", found.FromToys |> JsonValue.ofOption Testing.probabilityJson
                        "data", JsonValue.Int(int64 found.Data)
                        "parameters", JsonValue.Int(int64 found.Parameters)
                        "terms", found.Terms |> List.map termJson |> JsonValue.List
                        "toys", JsonValue.Int(int64 request.Plan.Toys)
                        "seed", JsonValue.Int(int64 request.Plan.Seed)
                        "lost", JsonValue.Int(int64 found.Lost)
                        "status", JsonValue.Text(Fitting.statusName found.Status)
                        "fit", Fitting.json found.Fit
                        "notes", JsonValue.ofTexts notes
                    ]
            Text =
                [
                    $"-2 log(best fit / saturated model) = {shown found.Statistic}"
                    $"degrees of freedom: {found.Degrees} ({found.Data} data, auxiliary ones among them, less {found.Parameters} parameters)"
                    $"p {shown found.PValue} by χ²"
                    match found.FromToys with
                    | Some p ->
                        $"p {Testing.probabilityText p} by {TextTable.count (int64 request.Plan.Toys)} toys from the best fit, {found.Lost} lost"
                    | None -> ()
                    ""
                ]
                @ TextTable.lines
                    [
                        TextTable.words "term"
                        TextTable.numbers "data"
                        TextTable.numbers "statistic"
                        TextTable.words ""
                    ]
                    [
                        for term in main @ List.truncate mostConstraints constraints do
                            yield
                                [
                                    term.Name
                                    string term.Data
                                    shown term.Statistic
                                    (if term.IsConstraint then "constraint" else "")
                                ]

                        if not rest.IsEmpty then
                            yield
                                [
                                    $"{rest.Length} more constraints"
                                    string (rest |> List.sumBy _.Data)
                                    shown (rest |> List.sumBy _.Statistic)
                                    "constraint"
                                ]
                    ]
            Notes = notes
        }

    let private quantileJson (q: WilksQuantile) : JsonValue =
        JsonValue.Object
            [
                "probability", JsonValue.Number q.Probability
                "expected", JsonValue.Number q.Expected
                "found", JsonValue.Number q.Found
                "low", JsonValue.Number q.Low
                "high", JsonValue.Number q.High
            ]

    let private binJson (bin: WilksBin) : JsonValue =
        JsonValue.Object
            [
                "low", JsonValue.Number bin.Low
                "high", JsonValue.Number bin.High
                "count", JsonValue.Int(int64 bin.Count)
                "expected", JsonValue.Number bin.Expected
            ]

    let private coverageJson (level: ConfidenceLevel, p: ToyProbability) : JsonValue =
        JsonValue.Object
            [
                "twiceDeltaNll", JsonValue.Number level.TwiceDeltaNll
                "expected", JsonValue.Number level.Probability
                "found", Testing.probabilityJson p
            ]

    let private histogramLines (check: WilksCheck) : string list =
        let most =
            check.Histogram
            |> List.map (fun b -> max (float b.Count) b.Expected)
            |> List.fold max 1.0

        let bar (bin: WilksBin) : string =
            // Against roots, so that tails are seen.
            let length (count: float) : int = int (round (40.0 * sqrt (count / most)))
            let filled, expected = length (float bin.Count), length bin.Expected

            String.init (max filled (expected + 1)) (fun k ->
                if k = expected then "|"
                elif k < filled then "#"
                else " ")

        TextTable.lines
            [
                TextTable.numbers "t from"
                TextTable.numbers "to"
                TextTable.numbers "toys"
                TextTable.numbers "χ² expects"
                TextTable.numbers "±"
                TextTable.words "roots of both: # toys, | χ²"
            ]
            [
                for bin in check.Histogram ->
                    [
                        TextTable.significant 3 bin.Low
                        TextTable.significant 3 bin.High
                        TextTable.count (int64 bin.Count)
                        TextTable.fixedPoint 1 bin.Expected
                        TextTable.fixedPoint 1 (sqrt bin.Expected)
                        bar bin
                    ]
            ]

    /// Compares t of toys with χ².
    let wilks (context: VerbContext) (request: ToysRequest) (model: Likelihood) : Report =
        let tester = Testing.prepare context request.Test model
        context.Progress { Stage = "fitting toys"; Done = 0L; Total = 0L }
        let key = Key.ofSeed request.Plan.Seed |> Key.foldName "wilks"
        let found = Wilks.check context.Options tester request.Mu request.Plan.Toys key

        let notes =
            found.Notes
            @ [
                if found.Lost > 0 then
                    $"{found.Lost} toys were left out: a fit did not converge"
            ]

        {
            Converged = found.Status.IsConverged && found.Lost = 0
            Json =
                JsonValue.Object
                    [
                        "poi", JsonValue.Text found.Poi
                        "mu", JsonValue.Number found.Mu
                        "toys", JsonValue.Int(int64 request.Plan.Toys)
                        "seed", JsonValue.Int(int64 request.Plan.Seed)
                        "lost", JsonValue.Int(int64 found.Lost)
                        "distance", JsonValue.Number found.Kolmogorov.Distance
                        "pValue", JsonValue.Number found.Kolmogorov.PValue
                        "coverage", found.Coverage |> List.map coverageJson |> JsonValue.List
                        "quantiles", found.Quantiles |> List.map quantileJson |> JsonValue.List
                        "histogram", found.Histogram |> List.map binJson |> JsonValue.List
                        "point",
                        JsonValue.Object
                            [
                                for name, value in
                                    Array.zip (Likelihood.names tester.Fitter.Model) found.Point ->
                                    name, JsonValue.Number value
                            ]
                        "status", JsonValue.Text(Fitting.statusName found.Status)
                        "notes", JsonValue.ofTexts notes
                    ]
            Text =
                [
                    $"t of {found.Poi} = {shown found.Mu} over {TextTable.count (int64 request.Plan.Toys)} toys (seed {request.Plan.Seed}), nuisances at their best values on the data"
                    $"distance from χ² with 1 degree of freedom {TextTable.significant 3 found.Kolmogorov.Distance}, p {TextTable.significant 3 found.Kolmogorov.PValue} (Kolmogorov and Smirnov)"
                    for level, p in found.Coverage do
                        $"in the interval of {ConfidenceLevel.label level}: {Testing.probabilityText p}"
                    ""
                ]
                @ TextTable.lines
                    [
                        TextTable.numbers "quantile"
                        TextTable.numbers "χ²"
                        TextTable.numbers "toys"
                        TextTable.numbers "from"
                        TextTable.numbers "to"
                    ]
                    [
                        for q in found.Quantiles ->
                            [
                                TextTable.significant 4 q.Probability
                                TextTable.fixedPoint 4 q.Expected
                                TextTable.fixedPoint 4 q.Found
                                TextTable.fixedPoint 4 q.Low
                                TextTable.fixedPoint 4 q.High
                            ]
                    ]
                @ [ "" ]
                @ histogramLines found
            Notes = notes
        }
