namespace FunLik

/// Figures and pages of what draws say.
[<RequireQualifiedAccess>]
module PosteriorReport =

    let private shown (digits: int) (value: float) : string =
        PageTable.texts [ Cell.Number(value, digits) ] |> List.head

    /// A probability in percent, such as "68.27 %".
    let percent (level: ConfidenceLevel) : string = $"{shown 4 (100.0 * level.Probability)} %%"

    let private piece (digits: int) (p: CrediblePiece) : string =
        $"[{shown digits p.Low.Value}, {shown digits p.High.Value}]"

    /// The pieces of a region in words: "[-0.12, 0.58]", joined by "and".
    let pieces (region: CredibleRegion) : string =
        region.Pieces |> List.map (piece 4) |> String.concat " and "

    /// A density between places: its points inside, and the density at the ends.
    let private between (low: float) (high: float) (curve: DensityCurve) : float[] * float[] =
        let inside = curve.X |> Array.filter (fun x -> x > low && x < high)
        let x = Array.concat [ [| low |]; inside; [| high |] ]
        x, x |> Array.map (fun x -> KernelDensity.at x curve)

    /// Every few points of a curve, so that no page is large for more than the eye sees.
    let private thinned (curve: DensityCurve) : DensityCurve =
        let step = max 1 (curve.X.Length / 512)

        let take (values: float[]) : float[] =
            Array.init ((values.Length + step - 1) / step) (fun k -> values[k * step])

        { curve with X = take curve.X; Y = take curve.Y }

    /// The density of one parameter, its regions of highest density shaded: the smaller the region the darker.
    let marginalFigure (unit: string) (marginal: Marginal) : Figure =
        let curve = thinned marginal.Curve

        let bands =
            [
                for region in marginal.Regions |> List.sortBy (fun r -> -r.Level.Probability) do
                    let parts =
                        region.Pieces |> List.map (fun p -> between p.Low.Value p.High.Value curve)

                    // A gap between pieces is a value that is no number.
                    let join (pick: float[] * float[] -> float[]) : float[] =
                        parts
                        |> List.map pick
                        |> List.reduce (fun a b -> Array.concat [ a; [| nan |]; b ])

                    let x, y = join fst, join snd
                    let floor = y |> Array.map (fun v -> if System.Double.IsNaN v then nan else 0.0)
                    Series.create (Mark.Band y) Colour.Blue (percent region.Level) x floor
            ]

        let regions =
            marginal.Regions
            |> List.map (fun r -> $"{percent r.Level} in {pieces r}")
            |> String.concat "; "

        {
            Title = $"Density of {marginal.Parameter}"
            X = Axis.linear marginal.Parameter unit
            Panels =
                [
                    {
                        Axis = Axis.linear "density" ""
                        Share = 1.0
                        Series =
                            bands
                            @ [ Series.create Mark.Line Colour.Blue "density" curve.X curve.Y ]
                    }
                ]
            IsTurned = false
            Caption =
                $"Smoothed with a normal kernel of width {shown 3 curve.Bandwidth}. Regions of highest density: {regions}."
        }

    /// The borders of the regions of highest density of two parameters.
    let mapFigure (map: DensityMap) : Figure =
        let colours =
            [ Colour.Blue; Colour.Green; Colour.Vermilion; Colour.Purple; Colour.Grey ]

        let first, second = map.Parameters

        let line (k: int) (contour: DensityContour) : Series =
            let points =
                contour.Lines
                |> List.map (fun l ->
                    if l.IsClosed && l.Points.Length > 0 then
                        Array.append l.Points [| l.Points[0] |]
                    else
                        l.Points)
                |> List.fold
                    (fun so points ->
                        if Array.isEmpty so then
                            points
                        else
                            Array.concat [ so; [| struct (nan, nan) |]; points ])
                    [||]

            Series.create
                Mark.Curve
                colours[k % colours.Length]
                (percent contour.Level)
                (points |> Array.map (fun (struct (x, _)) -> x))
                (points |> Array.map (fun (struct (_, y)) -> y))

        {
            Title = $"{second} and {first}"
            X = Axis.linear first ""
            Panels =
                [
                    {
                        Axis = Axis.linear second ""
                        Share = 1.0
                        Series = map.Contours |> List.mapi line
                    }
                ]
            IsTurned = false
            Caption =
                $"Borders of the regions of highest density of {first} and {second}, which hold these parts of the draws."
        }

    let private number (value: float) : Cell = Cell.Number(value, 4)

    let private table (summary: PosteriorSummary) : PageTable =
        {
            Columns =
                [ PageTable.column "parameter" ]
                @ ([ "mean"; "error"; "deviation"; "error" ] |> List.map PageTable.column)
                @ ([ "bulk"; "tail" ] |> PageTable.group "effective draws" "")
                @ [ PageTable.column "R-hat" ]
            Rows =
                [
                    for p in summary.Parameters ->
                        [
                            Cell.Text p.Name
                            number p.Mean.Value
                            Cell.Number(p.Mean.Error, 2)
                            number p.Deviation.Value
                            Cell.Number(p.Deviation.Error, 2)
                            Cell.Count(int64 p.BulkEss)
                            Cell.Count(int64 p.TailEss)
                            Cell.Number(p.RHat, 5)
                        ]
                ]
        }

    let private regionTable (summary: PosteriorSummary) : PageTable =
        {
            Columns =
                [ PageTable.column "parameter"; PageTable.column "probability" ]
                @ ([ "from"; "error"; "to"; "error" ] |> PageTable.group "highest density" "")
            Rows =
                [
                    for p in summary.Parameters do
                        for region in p.Marginal.Regions do
                            for piece in region.Pieces ->
                                [
                                    Cell.Text p.Name
                                    Cell.Text(percent region.Level)
                                    number piece.Low.Value
                                    Cell.Number(piece.Low.Error, 2)
                                    number piece.High.Value
                                    Cell.Number(piece.High.Error, 2)
                                ]
                ]
        }

    /// A page of what draws say: tables of all parameters of the summary, figures of the densities of the first twelve, and of the pairs that are given.
    let page (title: string) (maps: DensityMap list) (summary: PosteriorSummary) : Page =
        let weights =
            match summary.Kish with
            | Some kish -> $", weighted: {shown 4 kish} draws of equal weight would tell as much"
            | None -> ""

        {
            Title = title
            Summary =
                $"{PageTable.count (int64 summary.Draws)} draws of {summary.Chains} chains{weights}. "
                + (if summary.IsConverged then
                       "The chains agree, and are long enough."
                   else
                       String.concat "; " summary.Notes + ".")
            Highlights =
                [
                    for p in Array.truncate 2 summary.Parameters do
                        $"{p.Name}, mean", number p.Mean.Value

                        for region in List.truncate 1 p.Marginal.Regions do
                            $"{p.Name}, {percent region.Level}", Cell.Text(pieces region)
                ]
            Sections =
                [
                    {
                        Title = "Parameters"
                        Blocks =
                            [
                                Block.Table(table summary)
                                Block.Paragraph
                                    "Errors are Monte Carlo standard errors. Effective draws and R-hats are those of rank-normalised draws."
                                Block.Table(regionTable summary)
                            ]
                    }
                    {
                        Title = "Densities"
                        Blocks =
                            [
                                for p in Array.truncate 12 summary.Parameters ->
                                    Block.Figure(marginalFigure "" p.Marginal)
                            ]
                    }
                    if not maps.IsEmpty then
                        {
                            Title = "Pairs of parameters"
                            Blocks = maps |> List.map (mapFigure >> Block.Figure)
                        }
                ]
        }
