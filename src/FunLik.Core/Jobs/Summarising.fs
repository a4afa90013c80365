namespace FunLik

/// `funlik summary`.
[<RequireQualifiedAccess>]
module Summarising =

    /// Of so many parameters at most a page shows all pairs.
    let private mostPaired = 5

    /// Reads draws, and puts factors on their density; with notes on the weights.
    let load (source: DrawSource) : Result<ModelParameter[] * DrawTable * string list, Error list> =
        DrawTableFiles.read source.Columns source.File
        |> Result.bind (fun (parameters, table) ->
            if source.Priors.IsEmpty then
                Ok(parameters, table, [])
            else
                Reweight.byFactors ReweightOptions.Default source.Priors table
                |> Result.map (fun found -> parameters, found.Draws, found.Notes))

    let private estimate (name: string) (e: Estimate) : (string * JsonValue) list =
        [ name, JsonValue.Number e.Value; $"{name}Error", JsonValue.Number e.Error ]

    let private regionJson (region: CredibleRegion) : JsonValue =
        let pieceJson (p: CrediblePiece) : JsonValue =
            JsonValue.Object
                [
                    "low", JsonValue.Number p.Low.Value
                    "lowError", JsonValue.Number p.Low.Error
                    "lowIsEdge", JsonValue.Bool p.Low.IsBound
                    "high", JsonValue.Number p.High.Value
                    "highError", JsonValue.Number p.High.Error
                    "highIsEdge", JsonValue.Bool p.High.IsBound
                ]

        JsonValue.Object
            [
                "probability", JsonValue.Number region.Level.Probability
                "content", JsonValue.Number region.Content
                "pieces", region.Pieces |> List.map pieceJson |> JsonValue.List
                "unsettled", JsonValue.Int(int64 region.Unsettled)
            ]

    let private parameterJson (histogram: CredibleRegion list) (p: ParameterSummary) : JsonValue =
        JsonValue.Object(
            [ "name", JsonValue.Text p.Name ]
            @ estimate "mean" p.Mean
            @ estimate "deviation" p.Deviation
            @ [
                "quantiles",
                p.Quantiles
                |> List.map (fun (probability, e) ->
                    ("probability", JsonValue.Number probability) :: estimate "value" e
                    |> JsonValue.Object)
                |> JsonValue.List
                "hpdi", p.Marginal.Regions |> List.map regionJson |> JsonValue.List
                "central", p.Central |> List.map regionJson |> JsonValue.List
                if not histogram.IsEmpty then
                    "histogram", histogram |> List.map regionJson |> JsonValue.List
                "bandwidth", JsonValue.Number p.Marginal.Curve.Bandwidth
                "bulkEss", JsonValue.Number p.BulkEss
                "tailEss", JsonValue.Number p.TailEss
                "rHat", JsonValue.Number p.RHat
            ]
        )

    let private regionLines
        (title: string)
        (regions: (string * CredibleRegion list) list)
        : string list =
        let shown (x: float) : string = TextTable.significant 4 x

        let error (edge: CredibleEdge) : string =
            if edge.IsBound then
                "edge"
            else
                TextTable.significant 2 edge.Error

        [ ""; title ]
        @ TextTable.lines
            ([ TextTable.words "parameter"; TextTable.numbers "probability" ]
             @ ([ "from"; "error"; "to"; "error" ] |> List.map TextTable.numbers))
            [
                for name, found in regions do
                    for region in found do
                        for piece in region.Pieces ->
                            [
                                name
                                PosteriorReport.percent region.Level
                                shown piece.Low.Value
                                error piece.Low
                                shown piece.High.Value
                                error piece.High
                            ]
            ]

    let private text (summary: PosteriorSummary) : string list =
        let shown (x: float) : string = TextTable.significant 4 x
        let error (x: float) : string = TextTable.significant 2 x

        TextTable.lines
            ([ TextTable.words "parameter" ]
             @ ([ "mean"; "error"; "deviation"; "error"; "bulk ESS"; "tail ESS"; "R-hat" ]
                |> List.map TextTable.numbers))
            [
                for p in summary.Parameters ->
                    [
                        p.Name
                        shown p.Mean.Value
                        error p.Mean.Error
                        shown p.Deviation.Value
                        error p.Deviation.Error
                        TextTable.count (int64 p.BulkEss)
                        TextTable.count (int64 p.TailEss)
                        TextTable.significant 5 p.RHat
                    ]
            ]
        @ regionLines
            "Regions of highest density:"
            [ for p in summary.Parameters -> p.Name, p.Marginal.Regions ]

    /// Summarises as it was asked, and says what came of it, with the page of it.
    let run
        (context: VerbContext)
        (request: SummaryRequest)
        : Result<Report * (unit -> Page), Error list> =
        context.Progress { Stage = "reading draws"; Done = 0L; Total = 0L }

        result {
            let! _, table, notes = load request.Source

            let! chosen =
                match request.Parameters with
                | [] -> Ok(List.init table.Dimension id)
                | names ->
                    names |> List.map (fun name -> DrawTable.index name table) |> Error.collect

            context.Progress { Stage = "summarising"; Done = 0L; Total = 0L }
            let chosen = Array.ofList chosen
            let summary = PosteriorSummary.create context.Options request.Levels chosen table

            let histograms =
                chosen
                |> Array.map (fun index ->
                    match request.Histogram with
                    | Some bins ->
                        Credible.hpdi (HpdiMethod.Histogram bins) request.Levels index table
                    | None -> [])

            let page () : Page =
                let maps =
                    [
                        if chosen.Length <= mostPaired then
                            for i in 0 .. chosen.Length - 1 do
                                for j in i + 1 .. chosen.Length - 1 ->
                                    DensityMap.create DensityMap.usual chosen[i] chosen[j] table
                    ]

                PosteriorReport.page request.Source.File maps summary

            let all = notes @ summary.Notes

            let report =
                {
                    Converged = notes.IsEmpty && summary.IsConverged
                    Json =
                        JsonValue.Object
                            [
                                "draws", JsonValue.Int(int64 summary.Draws)
                                "chains", JsonValue.Int(int64 summary.Chains)
                                "kish", JsonValue.ofOption JsonValue.Number summary.Kish
                                "priors",
                                request.Source.Priors
                                |> List.map PriorFactor.toText
                                |> JsonValue.ofTexts
                                "status",
                                JsonValue.Text(
                                    if notes.IsEmpty && summary.IsConverged then
                                        "converged"
                                    else
                                        "not converged"
                                )
                                "parameters",
                                Array.map2 parameterJson histograms summary.Parameters
                                |> List.ofArray
                                |> JsonValue.List
                                "notes", JsonValue.ofTexts all
                            ]
                    Text =
                        [
                            $"{TextTable.count (int64 summary.Draws)} draws of {summary.Chains} chains"
                            match summary.Kish with
                            | Some kish ->
                                $"weighted: {TextTable.count (int64 kish)} draws of equal weight would tell as much"
                            | None -> ()
                            ""
                        ]
                        @ text summary
                        @ (match request.Histogram with
                           | None -> []
                           | Some bins ->
                               Array.map2
                                   (fun (p: ParameterSummary) found -> p.Name, found)
                                   summary.Parameters
                                   histograms
                               |> List.ofArray
                               |> regionLines
                                   $"The same from {bins} bins, as the papers' code has them:")
                    Notes = all
                }

            return report, page
        }
