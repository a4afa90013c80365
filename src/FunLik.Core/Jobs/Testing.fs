namespace FunLik

open System

/// `funlik cls`, `limit` and `toys`.
[<RequireQualifiedAccess>]
module Testing =

    /// Fits the data and the Asimov data as it was asked.
    let prepare (context: VerbContext) (request: TestRequest) (model: Likelihood) : Tester =
        context.Progress { Stage = "fitting"; Done = 0L; Total = 0L }
        let poi = HypothesisTest.poiOf model request.Poi
        let held = Hold.apply [ poi ] request.Held model |> Error.orRaise
        HypothesisTest.prepare context.Options request.Statistic (Some poi) held

    /// A probability from toys as JSON.
    let probabilityJson (p: ToyProbability) : JsonValue =
        JsonValue.Object
            [
                "value", JsonValue.Number p.Value
                "error", JsonValue.Number p.Error
                "low", JsonValue.Number p.Low
                "high", JsonValue.Number p.High
            ]

    /// A probability from toys for people: with the standard error, or where that says nothing with the interval of Clopper and Pearson.
    let probabilityText (p: ToyProbability) : string =
        let interval =
            $"{TextTable.significant 4 p.Value} ({TextTable.significant 2 p.Low} to {TextTable.significant 2 p.High})"

        if p.Value > 0.0 && p.Value < 1.0 then
            $"{TextTable.significant 4 p.Value} ± {TextTable.significant 2 p.Error}"
        else
            interval

    let private statisticName (statistic: TestStatistic) : string =
        TestStatistic.names |> List.find (fun (_, s) -> s = statistic) |> fst

    let private fitJson (fit: DataFit) : JsonValue =
        JsonValue.Object
            [
                "twiceNll", JsonValue.Number fit.TwiceNll
                "status", JsonValue.Text(Fitting.statusName fit.Status)
                "gradientNorm", JsonValue.Number fit.GradientNorm
            ]

    let private fits (tester: Tester) : (string * JsonValue) list =
        [
            "free", fitJson tester.Free
            "asimovFree", fitJson tester.AsimovFree
            "reference", fitJson tester.Reference
        ]

    let private shown (x: float) : string = TextTable.significant 6 x

    /// Tests one value.
    let cls (context: VerbContext) (request: TestRequest) (mu: float) (model: Likelihood) : Report =
        let tester = prepare context request model
        let t = HypothesisTest.test context.Options tester mu

        {
            Converged = t.Status.IsConverged
            Json =
                JsonValue.Object
                    [
                        "mu", JsonValue.Number t.Mu
                        "cls", JsonValue.Number t.Observed.Cls
                        "clsb", JsonValue.Number t.Observed.Clsb
                        "clb", JsonValue.Number t.Observed.Clb
                        "expected", t.Expected |> Array.map _.Cls |> JsonValue.Numbers
                        "status", JsonValue.Text(Fitting.statusName t.Status)
                        "poi", JsonValue.Text tester.Poi
                        "statistic", JsonValue.Text(statisticName tester.Statistic)
                        "value", JsonValue.Number t.Statistic
                        "asimovValue", JsonValue.Number t.AsimovStatistic
                        "best", JsonValue.Number tester.Free.Point[tester.Index]
                        "fits",
                        JsonValue.Object(
                            fits tester
                            @ [ "fixed", fitJson t.Fixed; "asimovFixed", fitJson t.AsimovFixed ]
                        )
                        "notes", JsonValue.ofTexts tester.Notes
                    ]
            Text =
                [
                    $"{tester.Poi} = {shown mu}: {statisticName tester.Statistic} = {shown t.Statistic} (best fit {shown tester.Free.Point[tester.Index]})"
                    $"CLs {shown t.Observed.Cls}, CLs+b {shown t.Observed.Clsb}, CLb {shown t.Observed.Clb}"
                    ""
                ]
                @ TextTable.lines
                    [
                        TextTable.numbers "expected without signal [standard deviations]"
                        TextTable.numbers "CLs"
                    ]
                    [
                        for n, p in Array.zip TestStatistic.bands t.Expected ->
                            [ TextTable.significant 1 n; shown p.Cls ]
                    ]
            Notes = tester.Notes
        }

    /// Values at which the page of a limit has CLs: from 0 to above all limits.
    let private along (limit: Limit) : float[] =
        let highest = Array.fold max limit.Observed limit.Expected

        if Double.IsFinite highest && highest > 0.0 then
            Scanning.evenly 0.0 (1.2 * highest) 49
        else
            [||]

    /// Upper limits, and how to make a page of them.
    let limit
        (context: VerbContext)
        (request: TestRequest)
        (level: float)
        (model: Likelihood)
        : Report * (unit -> Page) =
        let tester = prepare context request model
        context.Progress { Stage = "looking for the limits"; Done = 0L; Total = 0L }
        let found = Limit.upper context.Options level tester

        {
            Converged = found.Status.IsConverged
            Json =
                JsonValue.Object
                    [
                        "observed", JsonValue.Number found.Observed
                        "expected", JsonValue.Numbers found.Expected
                        "level", JsonValue.Number level
                        "poi", JsonValue.Text tester.Poi
                        "statistic", JsonValue.Text(statisticName tester.Statistic)
                        "status", JsonValue.Text(Fitting.statusName found.Status)
                        "tests", JsonValue.Int(int64 found.Tests)
                        "fits", JsonValue.Object(fits tester)
                        "notes", JsonValue.ofTexts tester.Notes
                    ]
            Text =
                [
                    $"upper limit on {tester.Poi} at {shown (100.0 * level)} %% CL: {shown found.Observed}"
                    ""
                ]
                @ TextTable.lines
                    [
                        TextTable.numbers "expected without signal [standard deviations]"
                        TextTable.numbers $"limit on {tester.Poi}"
                    ]
                    [
                        for n, x in Array.zip TestStatistic.bands found.Expected ->
                            [ TextTable.significant 1 n; shown x ]
                    ]
            Notes = tester.Notes
        },
        fun () ->
            HypothesisTest.tests context.Options tester (along found)
            |> ResultPage.ofLimit model.Name tester found

    /// Tests one value by toys, and how to make a page of it.
    let toys
        (context: VerbContext)
        (request: ToysRequest)
        (model: Likelihood)
        : Report * (unit -> Page) =
        let tester = prepare context request.Test model
        let started = context.Clock()

        let found =
            Toys.run
                context.Options
                tester
                request.Mu
                request.Plan.Toys
                (Key.ofSeed request.Plan.Seed)
            |> Seq.map (fun run ->
                context.Progress
                    { Stage = "fitting toys"; Done = int64 run.Fitted; Total = int64 run.Total }

                run.Test)
            |> Seq.last
            |> Option.get

        let seconds = (context.Clock() - started).TotalSeconds

        let said = probabilityText

        {
            Converged = found.Status.IsConverged && found.Lost = 0
            Json =
                JsonValue.Object
                    [
                        "mu", JsonValue.Number found.Mu
                        "cls", probabilityJson found.Cls
                        "clsb", probabilityJson found.Clsb
                        "clb", probabilityJson found.Clb
                        "poi", JsonValue.Text tester.Poi
                        "statistic", JsonValue.Text(statisticName tester.Statistic)
                        "value", JsonValue.Number found.Observed
                        "toys", JsonValue.Int(int64 request.Plan.Toys)
                        "lost", JsonValue.Int(int64 found.Lost)
                        "status", JsonValue.Text(Fitting.statusName found.Status)
                        "seconds", JsonValue.Number seconds
                        "notes", JsonValue.ofTexts tester.Notes
                    ]
            Text =
                [
                    $"{tester.Poi} = {shown found.Mu}: {statisticName tester.Statistic} = {shown found.Observed}"
                    $"CLs {said found.Cls}, CLs+b {said found.Clsb}, CLb {said found.Clb}"
                    $"{TextTable.count (int64 request.Plan.Toys)} toys with the signal and as many without, {found.Lost} lost, {TextTable.significant 3 seconds} s"
                ]
            Notes =
                tester.Notes
                @ [
                    if found.Lost > 0 then
                        $"{found.Lost} toys were left out: a fit did not converge"
                ]
        },
        fun () -> ResultPage.ofToys model.Name (statisticName tester.Statistic) tester found
