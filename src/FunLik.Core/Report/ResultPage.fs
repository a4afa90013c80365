namespace FunLik

/// Pages of what scans, fits and tests find: a model's name, and what was found.
[<RequireQualifiedAccess>]
module ResultPage =

    let private number (value: float) : Cell = Cell.Number(value, 5)

    let private optional (value: float option) : Cell =
        match value with
        | Some value -> number value
        | None -> Cell.Text ""

    /// Rows of tables for people end here.
    let private mostRows = 500

    let private table (columns: PageColumn list) (rows: Cell list list) : Block list =
        [
            Block.Table { Columns = columns; Rows = List.truncate mostRows rows }
            if rows.Length > mostRows then
                Block.Paragraph $"The table ends after {mostRows} of {rows.Length} rows."
        ]

    let private notes (notes: string list) : Section list =
        if notes.IsEmpty then
            []
        else
            [ { Title = "Notes"; Blocks = notes |> List.map Block.Paragraph } ]

    /// The best fit that all else is relative to.
    let private fit (fit: Fit) : Section =
        let sigmas = Fit.sigmas fit

        {
            Title = "The best fit"
            Blocks =
                [
                    Block.Facts
                        [
                            "converged", Cell.Verdict(Some fit.Status.IsConverged)
                            "−2 log density", Cell.Number(fit.TwiceNll, 10)
                            "gradient of it, largest component", Cell.Number(fit.GradientNorm, 2)
                            "estimated distance to the minimum", Cell.Number(fit.Edm, 2)
                            "different minima", Cell.Count(int64 fit.Minima.Length)
                        ]
                    yield!
                        table
                            [
                                PageTable.column "parameter"
                                PageTable.column "best value"
                                PageTable.column "standard deviation"
                            ]
                            [
                                for i in 0 .. fit.Names.Length - 1 ->
                                    [
                                        Cell.Text fit.Names[i]
                                        number fit.Point[i]
                                        optional sigmas[i]
                                    ]
                            ]
                ]
        }

    let private converged (statuses: FitStatus seq) : string * Cell =
        "fits that did not converge",
        Cell.Count(statuses |> Seq.filter (fun s -> not s.IsConverged) |> Seq.length |> int64)

    let private bestOf (name: string) (fit: Fit) : float =
        fit.Point[System.Array.IndexOf(fit.Names, name)]

    /// A scan of one parameter.
    let ofScan (model: string) (scan: Scan) : Page =
        let others =
            if scan.Frozen then
                "the other parameters of interest at their nominal values, nuisances fitted"
            else
                "all other parameters fitted"

        {
            Title = $"{model}: a scan of {scan.Parameter}"
            Summary = $"Twice ΔNLL at {scan.X.Length} values of {scan.Parameter}, {others}."
            Highlights =
                [
                    $"best {scan.Parameter}", number (bestOf scan.Parameter scan.Minimum)
                    converged scan.Status
                    "evaluations", Cell.Count(int64 scan.Evaluations)
                ]
            Sections =
                [
                    {
                        Title = "The profile"
                        Blocks = [ Block.Figure(ResultFigure.scans [ "profile", scan ]) ]
                    }
                    fit scan.Minimum
                    yield! notes scan.Notes
                ]
        }

    /// A profile at points of the parameters that were kept; the names are those of all parameters.
    let ofProfile
        (keep: string list)
        (model: string)
        (names: string[], found: ProfiledPoints)
        : Page =
        let places = keep |> List.map (fun name -> System.Array.IndexOf(names, name))
        let value (row: int) (i: int) : float = found.Points[row * names.Length + i]
        let kept = String.concat ", " keep

        {
            Title = $"{model}: a profile in {kept}"
            Summary =
                $"The largest log density over all parameters but {kept}, at {PageTable.count (int64 found.Values.Length)} points, with its gradient."
            Highlights =
                [ converged found.Statuses; "evaluations", Cell.Count(int64 found.Evaluations) ]
            Sections =
                [
                    {
                        Title = "The profile"
                        Blocks =
                            [
                                if places.Length = 1 then
                                    let x =
                                        Array.init found.Values.Length (fun r -> value r places[0])

                                    Block.Figure(ResultFigure.profile kept x found.Values)
                                yield!
                                    table
                                        ((keep |> List.map PageTable.column)
                                         @ [ PageTable.column "log density" ]
                                         @ PageTable.group "gradient" "" keep
                                         @ [ PageTable.column "converged" ])
                                        [
                                            for r in 0 .. found.Values.Length - 1 ->
                                                [
                                                    for i in places do
                                                        number (value r i)
                                                    Cell.Number(found.Values[r], 8)
                                                    for k in 0 .. keep.Length - 1 do
                                                        number found.Gradients[r * keep.Length + k]
                                                    Cell.Verdict(Some found.Statuses[r].IsConverged)
                                                ]
                                        ]
                            ]
                    }
                ]
        }

    /// The intervals of a parameter.
    let ofIntervals (model: string) (found: Intervals) : Page =
        let minus, plus = Interval.errors found

        let kind (e: IntervalEnd) : Cell =
            match e.Kind with
            | IntervalEndKind.Crossing -> Cell.Text ""
            | IntervalEndKind.Bound -> Cell.Text "bound"
            | IntervalEndKind.Open -> Cell.Text "goes on"

        let rows =
            [
                for interval in found.Intervals do
                    for piece in interval.Pieces ->
                        [
                            Cell.Text(ConfidenceLevel.label interval.Level)
                            number piece.Low.Value
                            kind piece.Low
                            number piece.High.Value
                            kind piece.High
                        ]
            ]

        {
            Title = $"{model}: intervals of {found.Parameter}"
            Summary =
                $"The values of {found.Parameter} at which twice ΔNLL, all other parameters fitted, is at most a level: unions of disjoint pieces."
            Highlights =
                [
                    $"best {found.Parameter}", number found.Best
                    match minus, plus with
                    | Some minus, Some plus ->
                        "to the lower end at twice ΔNLL of 1", number minus
                        "to the upper end", number plus
                    | _ -> ()
                ]
            Sections =
                [
                    {
                        Title = "Intervals"
                        Blocks =
                            [
                                Block.Figure(ResultFigure.intervals found)
                                yield!
                                    table
                                        [
                                            PageTable.column "level"
                                            PageTable.column "from"
                                            PageTable.column ""
                                            PageTable.column "to"
                                            PageTable.column ""
                                        ]
                                        rows
                            ]
                    }
                    fit found.Minimum
                    yield! notes found.Notes
                ]
        }

    /// Contours of two parameters.
    let ofContours (model: string) (scan: GridScan, contours: Contour list) : Page =
        let x, y = scan.Parameters[0], scan.Parameters[1]

        {
            Title = $"{model}: contours of {x} and {y}"
            Summary =
                $"Twice ΔNLL on a grid of {scan.Axes[0].Length} × {scan.Axes[1].Length} values, and the lines at which it is at a level."
            Highlights =
                [
                    $"best {x}", number (bestOf x scan.Minimum)
                    $"best {y}", number (bestOf y scan.Minimum)
                    converged scan.Status
                    "evaluations", Cell.Count(int64 scan.Evaluations)
                ]
            Sections =
                [
                    {
                        Title = "Contours"
                        Blocks = [ Block.Figure(ResultFigure.contours scan contours) ]
                    }
                    fit scan.Minimum
                    yield! notes scan.Notes
                ]
        }

    /// The nuisances that are drawn; the table has all.
    let private drawn = 30

    /// Pulls and impacts.
    let ofImpacts (model: string) (found: Impacts) : Page =
        // Fits resolve no shift below: it would only be noise, in powers of ten.
        let smallest = 1e-4 * Option.defaultValue 0.0 found.Sigma

        let side (pick: ImpactPair -> float) (pair: ImpactPair option) : Cell =
            pair
            |> Option.map (pick >> fun shift -> if abs shift < smallest then 0.0 else shift)
            |> optional

        let row (impact: Impact) : Cell list =
            [
                Cell.Text impact.Name
                optional impact.Pull
                optional impact.Narrowing
                side _.Up impact.AfterData
                side _.Down impact.AfterData
                side _.Up impact.BeforeData
                side _.Down impact.BeforeData
                Cell.Verdict(Some impact.Status.IsConverged)
            ]

        {
            Title = $"{model}: pulls, and impacts on {found.Poi}"
            Summary =
                $"What the data say of {found.Impacts.Length} nuisances, and how far each moves the best {found.Poi} when it is held one standard deviation up or down."
            Highlights =
                [
                    $"best {found.Poi}", number found.Best
                    match found.Sigma with
                    | Some sigma -> "its standard deviation", number sigma
                    | None -> ()
                    converged (found.Impacts |> Seq.map _.Status)
                ]
            Sections =
                [
                    {
                        Title = "Pulls and impacts"
                        Blocks =
                            [
                                if not found.Impacts.IsEmpty then
                                    Block.Figure(ResultFigure.impacts drawn found)
                                yield!
                                    table
                                        ([
                                            PageTable.column "nuisance"
                                            PageTable.column "pull"
                                            PageTable.column "narrowing"
                                         ]
                                         @ PageTable.group
                                             $"shift of {found.Poi}, after the fit"
                                             ""
                                             [ "up"; "down" ]
                                         @ PageTable.group
                                             $"shift of {found.Poi}, before the fit"
                                             ""
                                             [ "up"; "down" ]
                                         @ [ PageTable.column "converged" ])
                                        (found.Impacts |> List.map row)
                            ]
                    }
                    fit found.Fit
                    yield! notes found.Notes
                ]
        }

    let private testFits (tester: Tester) : Section =
        let row (name: string) (fit: DataFit) : Cell list =
            [
                Cell.Text name
                number fit.Point[tester.Index]
                Cell.Number(fit.TwiceNll, 10)
                Cell.Number(fit.GradientNorm, 2)
                Cell.Verdict(Some fit.Status.IsConverged)
            ]

        {
            Title = "The fits"
            Blocks =
                table
                    [
                        PageTable.column "fit"
                        PageTable.column tester.Poi
                        PageTable.column "−2 log density"
                        PageTable.column "gradient"
                        PageTable.column "converged"
                    ]
                    [
                        row "data, free" tester.Free
                        row "data, the other hypothesis" tester.Reference
                        row "Asimov data, free" tester.AsimovFree
                    ]
        }

    /// Upper limits, and CLs at some values.
    let ofLimit (model: string) (tester: Tester) (limit: Limit) (tests: HypothesisTest[]) : Page =
        {
            Title = $"{model}: upper limits on {tester.Poi}"
            Summary =
                $"Values of {tester.Poi} above the limit are excluded at {ResultFigure.shown 4 (100.0 * limit.Level)} %% CL by CLs."
            Highlights =
                [
                    "observed limit", number limit.Observed
                    "expected limit, median", number limit.Expected[2]
                ]
            Sections =
                [
                    {
                        Title = "Limits"
                        Blocks =
                            [
                                if tests.Length > 1 then
                                    Block.Figure(ResultFigure.cls tester.Poi limit.Level tests)
                                yield!
                                    table
                                        [
                                            PageTable.columnIn "σ" "without signal"
                                            PageTable.column $"limit on {tester.Poi}"
                                        ]
                                        [
                                            for n, x in Array.zip TestStatistic.bands limit.Expected ->
                                                [ Cell.Count(int64 n); number x ]
                                        ]
                            ]
                    }
                    testFits tester
                    yield! notes tester.Notes
                ]
        }

    /// A test by toys; the statistic by its name.
    let ofToys (model: string) (statistic: string) (tester: Tester) (found: ToyTest) : Page =
        let row (name: string) (p: ToyProbability) : Cell list =
            [ Cell.Text name; number p.Value; Cell.Number(p.Error, 2) ]

        {
            Title = $"{model}: toys of {tester.Poi} = {ResultFigure.shown 4 found.Mu}"
            Summary =
                $"The distribution of {statistic} in {PageTable.count (int64 found.Signal.Length)} toys with the signal and as many without."
            Highlights =
                [
                    "CLs", number found.Cls.Value
                    "toys that were lost", Cell.Count(int64 found.Lost)
                ]
            Sections =
                [
                    {
                        Title = "Toys"
                        Blocks =
                            [
                                Block.Figure(ResultFigure.toys statistic tester.Poi found)
                                yield!
                                    table
                                        [
                                            PageTable.column "probability"
                                            PageTable.column "of toys"
                                            PageTable.column "standard error"
                                        ]
                                        [
                                            row "CLs" found.Cls
                                            row "CLs+b" found.Clsb
                                            row "CLb" found.Clb
                                        ]
                            ]
                    }
                    testFits tester
                    yield! notes tester.Notes
                ]
        }
