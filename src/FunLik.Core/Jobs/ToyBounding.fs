namespace FunLik

/// `funlik interval --feldman-cousins`.
[<RequireQualifiedAccess>]
module ToyBounding =

    /// Looks for the interval of each level as it was asked.
    let run
        (context: VerbContext)
        (request: IntervalRequest)
        (plan: ToyPlan)
        (model: Likelihood)
        : FeldmanCousins list =
        let poi = Some request.Parameter
        let held = Hold.apply [ request.Parameter ] request.Held model |> Error.orRaise

        let test =
            {
                Poi = poi
                Statistic = FeldmanCousins.statisticOf poi held
                Held = Held.Nothing
            }

        let tester = Testing.prepare context test held
        context.Progress { Stage = "fitting toys"; Done = 0L; Total = 0L }
        let usual = FeldmanCousinsOptions.Default

        let levels =
            match request.Levels with
            | [] -> ConfidenceLevel.usual 1 |> List.map _.Probability
            | levels -> List.distinct levels

        levels
        |> List.map (fun level ->
            FeldmanCousins.find
                context.Options
                { usual with
                    Level = level
                    Toys = plan.Toys
                    Range = request.Range
                    Count = request.Count |> Option.defaultValue usual.Count
                }
                tester
                (Key.ofSeed plan.Seed))

    let private endJson (e: FeldmanCousinsEnd) : JsonValue =
        JsonValue.Object
            [
                "value", JsonValue.Number e.Value
                "from", JsonValue.Number e.Low
                "to", JsonValue.Number e.High
                "end", JsonValue.Text(Bounding.kindName e.Kind)
            ]

    let private pointJson (p: FeldmanCousinsPoint) : JsonValue =
        JsonValue.Object
            [
                "x", JsonValue.Number p.X
                "t", JsonValue.Number p.T
                "critical", JsonValue.Number p.Critical
                "p", Testing.probabilityJson p.P
                "toys", JsonValue.Int(int64 p.Toys)
            ]

    let private intervalJson (found: FeldmanCousins) : JsonValue =
        JsonValue.Object
            [
                "probability", JsonValue.Number found.Level
                "pieces",
                found.Pieces
                |> List.map (fun p ->
                    JsonValue.Object [ "low", endJson p.Low; "high", endJson p.High ])
                |> JsonValue.List
                "points", found.Points |> List.map pointJson |> JsonValue.List
                "toys", JsonValue.Int(int64 found.Toys)
                "lost", JsonValue.Int(int64 found.Lost)
                "status", JsonValue.Text(Fitting.statusName found.Status)
            ]

    /// What the verb says.
    let report (plan: ToyPlan) (all: FeldmanCousins list) : Report =
        let shown (x: float) : string = TextTable.significant 5 x
        let first = all.Head
        let notes = all |> List.collect _.Notes |> List.distinct

        let remark (e: FeldmanCousinsEnd) : string =
            match e.Kind with
            | IntervalEndKind.Crossing -> $"({shown e.Low} to {shown e.High})"
            | IntervalEndKind.Bound -> "bound"
            | IntervalEndKind.Open -> "goes on"

        {
            Converged = all |> List.forall (fun f -> f.Status.IsConverged && f.Lost = 0)
            Json =
                JsonValue.Object
                    [
                        "parameter", JsonValue.Text first.Parameter
                        "best", JsonValue.Number first.Best
                        "intervals", all |> List.map intervalJson |> JsonValue.List
                        "mostToys", JsonValue.Int(int64 plan.Toys)
                        "seed", JsonValue.Int(int64 plan.Seed)
                        "notes", JsonValue.ofTexts notes
                    ]
            Text =
                [
                    $"{first.Parameter} = {shown first.Best}, intervals of Feldman and Cousins; in brackets where an end lies for one standard error of the toys"
                    ""
                ]
                @ TextTable.lines
                    [
                        TextTable.words "level"
                        TextTable.numbers "from"
                        TextTable.words ""
                        TextTable.numbers "to"
                        TextTable.words ""
                        TextTable.numbers "toys"
                    ]
                    [
                        for found in all do
                            for piece in found.Pieces ->
                                [
                                    $"{TextTable.significant 4 (100.0 * found.Level)} %%"
                                    shown piece.Low.Value
                                    remark piece.Low
                                    shown piece.High.Value
                                    remark piece.High
                                    TextTable.count (int64 found.Toys)
                                ]
                    ]
            Notes = notes
        }
