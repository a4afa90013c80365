namespace FunLik

/// `funlik impacts`.
[<RequireQualifiedAccess>]
module Ranking =

    /// Pulls and impacts as they were asked.
    let run (context: VerbContext) (request: ImpactsRequest) (model: Likelihood) : Impacts =
        context.Progress { Stage = "fitting"; Done = 0L; Total = 0L }
        let poi = HypothesisTest.poiOf model request.Poi

        Hold.apply [ poi ] request.Held model
        |> Error.orRaise
        |> Impact.all { FitOptions.Default with Run = context.Options } (Some poi)

    let private optional (value: float option) : JsonValue =
        JsonValue.ofOption JsonValue.Number value

    let private pairJson (pair: ImpactPair option) : JsonValue =
        pair
        |> JsonValue.ofOption (fun p ->
            JsonValue.Object [ "up", JsonValue.Number p.Up; "down", JsonValue.Number p.Down ])

    let private impactJson (impact: Impact) : JsonValue =
        JsonValue.Object
            [
                "parameter", JsonValue.Text impact.Name
                "best", JsonValue.Number impact.Best
                "preFit", optional (Option.map fst impact.PreFit)
                "preFitSigma", optional (Option.map snd impact.PreFit)
                "postFitSigma", optional impact.PostFit
                "pull", optional impact.Pull
                "narrowing", optional impact.Narrowing
                "preFitImpact", pairJson impact.BeforeData
                "postFitImpact", pairJson impact.AfterData
                "status", JsonValue.Text(Fitting.statusName impact.Status)
            ]

    /// What the verb says.
    let report (found: Impacts) : Report =
        let shown (x: float option) : string =
            x |> Option.map (TextTable.significant 4) |> Option.defaultValue ""

        let row (impact: Impact) : string list =
            let up (pair: ImpactPair option) = pair |> Option.map _.Up
            let down (pair: ImpactPair option) = pair |> Option.map _.Down

            [
                impact.Name
                shown impact.Pull
                shown impact.Narrowing
                shown (up impact.AfterData)
                shown (down impact.AfterData)
                shown (up impact.BeforeData)
                shown (down impact.BeforeData)
                if impact.Status.IsConverged then
                    ""
                else
                    Fitting.statusName impact.Status
            ]

        {
            Converged =
                found.Fit.Status.IsConverged
                && found.Impacts |> List.forall _.Status.IsConverged
            Json =
                JsonValue.Object
                    [
                        "poi", JsonValue.Text found.Poi
                        "best", JsonValue.Number found.Best
                        "sigma", optional found.Sigma
                        "impacts", found.Impacts |> List.map impactJson |> JsonValue.List
                        "fit", Fitting.json found.Fit
                        "evaluations", JsonValue.Int(int64 found.Evaluations)
                        "notes", JsonValue.ofTexts found.Notes
                    ]
            Text =
                [
                    $"{found.Poi} = {TextTable.significant 6 found.Best}, sigma {shown found.Sigma}"
                    $"shifts of {found.Poi} with the nuisance held one standard deviation above and below its best value"
                    ""
                ]
                @ TextTable.lines
                    [
                        TextTable.words "nuisance"
                        TextTable.numbers "pull"
                        TextTable.numbers "narrowing"
                        TextTable.numbers "post-fit up"
                        TextTable.numbers "down"
                        TextTable.numbers "pre-fit up"
                        TextTable.numbers "down"
                        TextTable.words ""
                    ]
                    (found.Impacts |> List.map row)
            Notes = found.Notes
        }
