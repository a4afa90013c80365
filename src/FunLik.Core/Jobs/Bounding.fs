namespace FunLik

/// `funlik interval`.
[<RequireQualifiedAccess>]
module Bounding =

    /// Looks for intervals as it was asked.
    let run (context: VerbContext) (request: IntervalRequest) (model: Likelihood) : Intervals =
        let usual = IntervalOptions.Default

        let options =
            { usual with
                Levels =
                    match request.Levels with
                    | [] -> usual.Levels
                    | levels -> levels |> List.map (ConfidenceLevel.ofProbability 1)
                Range = request.Range
                Count = request.Count |> Option.defaultValue usual.Count
                Fit = { usual.Fit with Run = context.Options }
            }

        context.Progress { Stage = "looking for intervals"; Done = 0L; Total = 0L }

        Hold.apply [ request.Parameter ] request.Held model
        |> Error.orRaise
        |> Interval.findWith options request.Parameter

    /// The name of a kind of end in JSON.
    let kindName (kind: IntervalEndKind) : string =
        match kind with
        | IntervalEndKind.Crossing -> "crossing"
        | IntervalEndKind.Bound -> "bound"
        | IntervalEndKind.Open -> "open"

    let private pieceJson (piece: IntervalPiece) : JsonValue =
        JsonValue.Object
            [
                "low", JsonValue.Number piece.Low.Value
                "high", JsonValue.Number piece.High.Value
                "lowEnd", JsonValue.Text(kindName piece.Low.Kind)
                "highEnd", JsonValue.Text(kindName piece.High.Kind)
            ]

    let private intervalJson (interval: Interval) : JsonValue =
        JsonValue.Object
            [
                "probability", JsonValue.Number interval.Level.Probability
                "twiceDeltaNll", JsonValue.Number interval.Level.TwiceDeltaNll
                "label", JsonValue.Text(ConfidenceLevel.label interval.Level)
                "pieces", interval.Pieces |> List.map pieceJson |> JsonValue.List
            ]

    let private json (found: Intervals) : JsonValue =
        let minus, plus = Interval.errors found

        JsonValue.Object
            [
                "parameter", JsonValue.Text found.Parameter
                "best", JsonValue.Number found.Best
                "minus", JsonValue.ofOption JsonValue.Number minus
                "plus", JsonValue.ofOption JsonValue.Number plus
                "intervals", found.Intervals |> List.map intervalJson |> JsonValue.List
                "resolution", JsonValue.Number found.Resolution
                "status", JsonValue.Text(Fitting.statusName found.Status)
                "minimum", Fitting.json found.Minimum
                "evaluations", JsonValue.Int(int64 found.Evaluations)
                "notes", JsonValue.ofTexts found.Notes
            ]

    /// What the verb says.
    let report (found: Intervals) : Report =
        let shown (x: float) : string = TextTable.significant 8 x

        let remark (e: IntervalEnd) : string =
            match e.Kind with
            | IntervalEndKind.Crossing -> ""
            | IntervalEndKind.Bound -> "bound"
            | IntervalEndKind.Open -> "goes on"

        let rows =
            [
                for interval in found.Intervals do
                    for piece in interval.Pieces ->
                        [
                            ConfidenceLevel.label interval.Level
                            shown piece.Low.Value
                            remark piece.Low
                            shown piece.High.Value
                            remark piece.High
                        ]
            ]

        {
            Converged = found.Status.IsConverged
            Json = json found
            Text =
                [
                    match Interval.errors found with
                    | Some minus, Some plus ->
                        $"{found.Parameter} = {shown found.Best} {TextTable.significant 6 minus} +{TextTable.significant 6 plus}"
                    | _ -> $"{found.Parameter} = {shown found.Best}"
                    ""
                ]
                @ TextTable.lines
                    [
                        TextTable.words "level"
                        TextTable.numbers "from"
                        TextTable.words ""
                        TextTable.numbers "to"
                        TextTable.words ""
                    ]
                    rows
                @ [
                    ""
                    $"from a scan in steps of {TextTable.significant 3 found.Resolution}; narrower pieces are found where a local minimum of it shows them"
                ]
            Notes = found.Notes
        }
