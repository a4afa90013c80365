namespace FunLik

/// What there is to tell of a surrogate. No times: the same surrogate gives the same page.
type SurrogateReport =
    {
        /// What was learnt.
        Model: string
        /// The number of its parameters of interest, and of its nuisance parameters.
        Pois: int
        Nuisances: int
        /// The recipe's name, and the network in words.
        Recipe: string
        Network: string
        /// The numbers of labels, by what they are for.
        Labels: (string * int64) list
        /// Evaluations of the exact likelihood, by what they are for, without a total. A gradient is one more.
        ExactCalls: (string * int64) list
        /// The accuracy, by kind of points, and of profiles.
        Accuracy: SurrogateCheck
        /// The training, epoch by epoch.
        History: EpochInfo list
        /// What was checked: passed, failed, or not done.
        Checks: (string * bool option) list
        /// How ONNX Runtime compares with the engine.
        Agreement: Agreement
        /// Hashes, keys and versions, by name.
        Hashes: (string * string) list
    }

/// The page that a job leaves for people.
[<RequireQualifiedAccess>]
module SurrogateReport =

    let private number (value: float) : Cell = Cell.Number(value, 3)

    /// A number inside of a sentence.
    let private shown (digits: int) (value: float) : string =
        PageTable.texts [ Cell.Number(value, digits) ] |> List.head

    // ---- Sections

    let private highlights (report: SurrogateReport) : (string * Cell) list =
        [
            for slice in List.truncate 2 report.Accuracy.Slices do
                $"mean squared error on {slice.Slice} points [log units²]",
                number slice.Surrogate.Mse

            for profile in List.truncate 1 report.Accuracy.Profiles do
                $"mean error of t({profile.Exact.Parameter})", number profile.TMuError

            "evaluations of the exact likelihood", Cell.Count(report.ExactCalls |> List.sumBy snd)
        ]

    let private summary (report: SurrogateReport) : string =
        let failed =
            report.Checks
            |> List.choose (fun (name, passed) -> if passed = Some false then Some name else None)

        let size =
            $"The likelihood '{report.Model}' of {report.Pois + report.Nuisances} parameters as a small network"

        if failed.IsEmpty then
            $"{size}, compared with the exact one on points that the training never saw. All checks that were made passed."
        else
            $"""{size}. These checks failed: {String.concat "; " failed}."""

    let private profile (check: ProfileCheck) : Section =
        let parameter, x = check.Exact.Parameter, check.Exact.X
        let differences = Array.map2 (-) check.Learnt check.Exact.TMu
        let largest = differences |> Array.fold (fun size d -> max size (abs d)) 0.0
        let t = $"t({parameter})"
        let learnt = Series.create Mark.Line Colour.Vermilion

        {
            Title = $"The profile in {parameter}"
            Blocks =
                [
                    Block.Figure
                        {
                            Title = "Exact and learnt profile"
                            X = Axis.linear parameter ""
                            Panels =
                                [
                                    {
                                        Axis = Axis.linear $"{t} = −2 Δ log L" ""
                                        Share = 3.0
                                        Series =
                                            [
                                                Series.create
                                                    Mark.Dashes
                                                    Colour.Grey
                                                    "quadratic"
                                                    x
                                                    check.Quadratic
                                                learnt "learnt" x check.Learnt
                                                Series.create
                                                    Mark.Points
                                                    Colour.Blue
                                                    "exact"
                                                    x
                                                    check.Exact.TMu
                                            ]
                                    }
                                    {
                                        Axis = Axis.linear "learnt − exact" ""
                                        Share = 1.2
                                        Series = [ learnt "learnt − exact" x differences ]
                                    }
                                ]
                            IsTurned = false
                            Caption =
                                $"{t} of the exact likelihood, of the surrogate and of the quadratic alone, all other parameters profiled; "
                                + $"below, the surrogate's difference. Its mean size is {shown 3 check.TMuError}, the largest {shown 3 largest}."
                        }
                ]
        }

    let private accuracy (report: SurrogateReport) : Section =
        let row (name: string) (what: string) (d: Deviations) : Cell list =
            [
                Cell.Text name
                Cell.Text what
                Cell.Count(int64 d.Points)
                number d.Mse
                number d.Mae
                number d.Largest
                number (100.0 * d.Accurate)
            ]

        let rows (slice: SliceCheck) : Cell list list =
            [
                row slice.Slice "surrogate" slice.Surrogate
                row "" "quadratic" slice.Quadratic
            ]

        let profileRow (check: ProfileCheck) : Cell list =
            [
                Cell.Text check.Exact.Parameter
                Cell.Count(int64 check.Exact.X.Length)
                number check.TMuError
                number check.QuadraticTMuError
            ]

        {
            Title = "Accuracy"
            Blocks =
                [
                    Block.Table
                        {
                            Columns =
                                [
                                    PageTable.column "points"
                                    PageTable.column "function"
                                    PageTable.column "number"
                                    PageTable.columnIn "log units²" "mean squared error"
                                    PageTable.columnIn "log units" "mean error"
                                    PageTable.columnIn "log units" "largest error"
                                    PageTable.columnIn "%" "accurate"
                                ]
                            Rows = report.Accuracy.Slices |> List.collect rows
                        }
                    Block.Paragraph(
                        "Errors are differences of the log density from the exact one, at points that the training never saw. "
                        + "Accurate is what is off by no more than 0.05, or 1 % of the exact difference from the largest density. "
                        + "The quadratic is fitted to the same labels: it is what a network must beat."
                    )
                    if not report.Accuracy.Profiles.IsEmpty then
                        Block.Table
                            {
                                Columns =
                                    [ PageTable.column "profile in"; PageTable.column "values" ]
                                    @ PageTable.group
                                        "mean error of t"
                                        ""
                                        [ "surrogate"; "quadratic" ]
                                Rows = report.Accuracy.Profiles |> List.map profileRow
                            }
                ]
        }

    let private training (history: EpochInfo list) : Section =
        let column (f: EpochInfo -> float) : float[] = history |> List.map f |> Array.ofList
        let epoch = column (_.Epoch >> float)

        let line (mark: Mark) (colour: Colour) (name: string) (f: EpochInfo -> float) : Series =
            Series.create mark colour name epoch (column f)

        let best = history |> List.minBy _.ValidationLoss

        {
            Title = "Training"
            Blocks =
                [
                    Block.Figure
                        {
                            Title = "Loss by epoch"
                            X = Axis.linear "epoch" ""
                            Panels =
                                [
                                    {
                                        Axis = Axis.logarithmic "loss" ""
                                        Share = 3.0
                                        Series =
                                            [
                                                line Mark.Line Colour.Blue "training" _.TrainingLoss
                                                line
                                                    Mark.Dashes
                                                    Colour.Vermilion
                                                    "validation"
                                                    _.ValidationLoss
                                            ]
                                    }
                                ]
                            IsTurned = false
                            Caption =
                                $"The loss of the training and of the validation points, in standardised units. The weights of epoch {best.Epoch}, with the smallest validation loss, were kept."
                        }
                ]
        }

    let private agreement (agreement: Agreement) : string * Cell =
        match agreement with
        | Agreement.Checked(version, points, largest) ->
            $"ONNX Runtime {version}",
            Cell.Text
                $"agrees with the engine to {shown 2 largest} relative to max(1, |y|), at {PageTable.count (int64 points)} points"
        | Agreement.NotChecked reason -> "ONNX Runtime", Cell.Text $"not checked: {reason}"

    let private checks (report: SurrogateReport) : Section =
        {
            Title = "Checks"
            Blocks =
                [
                    Block.Table
                        {
                            Columns = [ PageTable.column "check"; PageTable.column "result" ]
                            Rows =
                                report.Checks
                                |> List.map (fun (name, passed) ->
                                    [ Cell.Text name; Cell.Verdict passed ])
                        }
                ]
        }

    /// How programs evaluate what lies beside the page.
    let private usage: Section =
        {
            Title = "Evaluate it"
            Blocks =
                [
                    Block.Paragraph
                        "The surrogate lies beside this page as model.onnx, for any software that runs ONNX: rows of parameters in the model's order go in, natural log densities come out."
                    Block.Code(
                        String.concat
                            "\n"
                            [
                                "# Python"
                                "import numpy, onnxruntime"
                                "session = onnxruntime.InferenceSession(\"model.onnx\")"
                                "values = session.run([\"logDensity\"], {\"theta\": numpy.load(\"points.npy\")})[0]"
                                ""
                                "// C#: hashes and test vectors are checked first"
                                "var surrogate = SurrogateModel.Load(\".\");"
                                "surrogate.EvaluateWithGradient(points, values, gradients);"
                            ]
                    )
                ]
        }

    let private facts (report: SurrogateReport) : Section =
        let counts (what: string) (entries: (string * int64) list) : (string * Cell) list =
            entries |> List.map (fun (name, count) -> $"{what}: {name}", Cell.Count count)

        {
            Title = "Facts"
            Blocks =
                [
                    Block.Facts(
                        [
                            "model", Cell.Text report.Model
                            "parameters of interest", Cell.Count(int64 report.Pois)
                            "nuisance parameters", Cell.Count(int64 report.Nuisances)
                            "recipe", Cell.Text report.Recipe
                            "network", Cell.Text report.Network
                            agreement report.Agreement
                        ]
                        @ counts "labels" report.Labels
                        @ counts "exact calls" report.ExactCalls
                        @ (report.Hashes |> List.map (fun (name, hash) -> name, Cell.Code hash))
                    )
                ]
        }

    /// The page.
    let toPage (report: SurrogateReport) : Page =
        {
            Title = $"{report.Model}: the surrogate"
            Summary = summary report
            Highlights = highlights report
            Sections =
                [
                    yield! report.Accuracy.Profiles |> List.map profile
                    accuracy report

                    if not report.History.IsEmpty then
                        training report.History

                    checks report
                    usage
                    facts report
                ]
        }
