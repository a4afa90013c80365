namespace FunLik

open System
open System.Globalization

/// Figures of what scans, fits and tests find.
[<RequireQualifiedAccess>]
module ResultFigure =

    /// A number inside of a sentence, with no zeros at its end.
    let internal shown (digits: int) (value: float) : string =
        value.ToString($"G{digits}", CultureInfo.InvariantCulture).Replace('-', '−')

    let private colours =
        [| Colour.Blue; Colour.Vermilion; Colour.Green; Colour.Purple; Colour.Grey |]

    let private colour (k: int) : Colour = colours[k % colours.Length]

    let private plain
        (title: string)
        (caption: string)
        (x: Axis)
        (y: Axis)
        (series: Series list)
        : Figure =
        {
            Title = title
            X = x
            Panels = [ { Axis = y; Share = 1.0; Series = series } ]
            IsTurned = false
            Caption = caption
        }

    let private twiceDeltaNll: Axis = Axis.linear "−2 Δ log L" ""

    /// Lines one behind the other, with a gap between one and the next.
    let private joined (lines: float[] list) : float[] =
        lines
        |> List.mapi (fun k line -> if k = 0 then line else Array.append [| nan |] line)
        |> Array.concat

    let private level (x: float[]) (k: int) (level: ConfidenceLevel) : Series =
        let ends = [| Array.min x; Array.max x |]

        Series.create
            Mark.Dashes
            (colour (k + 1))
            (ConfidenceLevel.label level)
            ends
            [| level.TwiceDeltaNll; level.TwiceDeltaNll |]

    /// Scans of one parameter over each other, by name: such as profiled, and frozen.
    let scans (named: (string * Scan) list) : Figure =
        let parameter = named |> List.map (fun (_, scan) -> scan.Parameter) |> List.head

        let line (k: int) (name: string, scan: Scan) : Series =
            let x, t = Array.zip scan.X scan.TwiceDeltaNll |> Array.sortBy fst |> Array.unzip

            Series.create Mark.Line (colour k) name x t

        let best (scan: Scan) : float =
            scan.Minimum.Point[Array.IndexOf(scan.Minimum.Names, parameter)]

        let all = named |> List.map (fun (_, scan) -> scan.X) |> Array.concat

        let highest =
            named
            |> Seq.collect (fun (_, scan) -> scan.TwiceDeltaNll)
            |> Seq.filter Double.IsFinite
            |> Seq.fold max 0.0

        let levels =
            ConfidenceLevel.usual 1
            |> List.filter (fun level -> level.TwiceDeltaNll < highest)

        plain
            $"Twice ΔNLL along {parameter}"
            (named
             |> List.map (fun (name, scan) ->
                 $"{name}: the smallest is at {parameter} = {shown 5 (best scan)}.")
             |> String.concat " ")
            (Axis.linear parameter "")
            twiceDeltaNll
            ((named |> List.mapi line)
             @ (levels |> List.mapi (fun k -> level all (named.Length - 1 + k))))

    /// The profile of one parameter, at points in any order.
    let profile (parameter: string) (x: float[]) (logDensity: float[]) : Figure =
        let x, y = Array.zip x logDensity |> Array.sortBy fst |> Array.unzip

        plain
            $"The profile in {parameter}"
            "The largest log density over all other parameters."
            (Axis.linear parameter "")
            (Axis.linear "log density" "")
            [ Series.create Mark.Line Colour.Blue "profile" x y ]

    /// The profile of a parameter with its intervals: each level is drawn where twice ΔNLL is below it.
    let intervals (found: Intervals) : Figure =
        let highest = found.Intervals |> List.map _.Level.TwiceDeltaNll |> List.fold max 0.0

        // What is far above all levels would hide them.
        let x, t =
            Array.zip found.X found.TwiceDeltaNll
            |> Array.filter (fun (_, t) -> t <= 3.0 * highest)
            |> Array.unzip

        let pieces (k: int) (interval: Interval) : Series =
            let ends = interval.Pieces |> List.map (fun p -> [| p.Low.Value; p.High.Value |])

            let t = interval.Level.TwiceDeltaNll
            let heights = interval.Pieces |> List.map (fun _ -> [| t; t |])

            Series.create
                Mark.Curve
                (colour (k + 1))
                (ConfidenceLevel.label interval.Level)
                (joined ends)
                (joined heights)

        let told (interval: Interval) : string =
            let pieces =
                match interval.Pieces with
                | [] -> [ "nothing" ]
                | pieces ->
                    pieces |> List.map (fun p -> $"{shown 5 p.Low.Value} to {shown 5 p.High.Value}")

            $"""{shown 4 (100.0 * interval.Level.Probability)} %%: {String.concat ", and " pieces}."""

        plain
            $"Intervals of {found.Parameter}"
            (found.Intervals |> List.map told |> String.concat " ")
            (Axis.linear found.Parameter "")
            twiceDeltaNll
            (Series.create Mark.Line Colour.Blue "profile" x t
             :: (found.Intervals |> List.mapi pieces))

    /// Contours of two parameters, and the best point.
    let contours (scan: GridScan) (contours: Contour list) : Figure =
        let x, y = scan.Parameters[0], scan.Parameters[1]

        let best (name: string) : float =
            scan.Minimum.Point[Array.IndexOf(scan.Minimum.Names, name)]

        let line (coordinate: struct (float * float) -> float) (line: ContourLine) : float[] =
            let points = line.Points |> Array.map coordinate

            if line.IsClosed && points.Length > 0 then
                Array.append points [| points[0] |]
            else
                points

        let curve (k: int) (contour: Contour) : Series =
            Series.create
                Mark.Curve
                (colour k)
                (ConfidenceLevel.label contour.Level)
                (contour.Lines |> List.map (line (fun (struct (x, _)) -> x)) |> joined)
                (contour.Lines |> List.map (line (fun (struct (_, y)) -> y)) |> joined)

        let others =
            if scan.Frozen then
                "other parameters of interest at their nominal values, nuisances fitted"
            else
                "all other parameters fitted"

        plain
            $"Contours of {x} and {y}"
            $"Lines at which twice ΔNLL is at a level, {others}; the best point is at {x} = {shown 4 (best x)}, {y} = {shown 4 (best y)}."
            (Axis.linear x "")
            (Axis.linear y "")
            ((contours |> List.mapi curve)
             @ [ Series.create Mark.Points Colour.Grey "best fit" [| best x |] [| best y |] ])

    /// Pulls and impacts of the nuisances with the largest impacts, this many.
    let impacts (count: int) (found: Impacts) : Figure =
        let ranked = found.Impacts |> List.truncate count |> Array.ofList
        let places = Array.init ranked.Length float

        let value (f: Impact -> float option) : float[] =
            ranked |> Array.map (f >> Option.defaultValue nan)

        let side (f: Impact -> ImpactPair option) (pick: ImpactPair -> float) : float[] =
            value (f >> Option.map pick)

        let pulls = value _.Pull
        let widths = value _.Narrowing

        let series (mark: Mark) (colour: Colour) (name: string) (y: float[]) : Series =
            Series.create mark colour name places y

        let ones = places |> Array.map (fun _ -> 1.0)

        let left =
            if found.Impacts.Length > ranked.Length then
                $" {found.Impacts.Length - ranked.Length} nuisances with smaller impacts are not drawn."
            else
                ""

        {
            Title = $"Pulls, and impacts on {found.Poi}"
            X = Axis.named "" (ranked |> Array.map _.Name)
            Panels =
                [
                    {
                        Axis = Axis.linear "pull" "σ before the fit"
                        Share = 1.0
                        Series =
                            [
                                series
                                    (Mark.Band ones)
                                    Colour.Grey
                                    "before the fit"
                                    (ones |> Array.map (~-))
                                series
                                    (Mark.Errors(
                                        Array.map2 (-) pulls widths,
                                        Array.map2 (+) pulls widths
                                    ))
                                    Colour.Green
                                    "pull ± narrowing"
                                    pulls
                            ]
                    }
                    {
                        Axis = Axis.linear $"shift of {found.Poi}" ""
                        Share = 1.0
                        Series =
                            [
                                series
                                    Mark.Bars
                                    Colour.Blue
                                    "held up, after the fit"
                                    (side _.AfterData _.Up)
                                series
                                    Mark.Bars
                                    Colour.Vermilion
                                    "held down, after the fit"
                                    (side _.AfterData _.Down)
                                series
                                    Mark.Outlines
                                    Colour.Blue
                                    "held up, before the fit"
                                    (side _.BeforeData _.Up)
                                series
                                    Mark.Outlines
                                    Colour.Vermilion
                                    "held down, before the fit"
                                    (side _.BeforeData _.Down)
                            ]
                    }
                ]
            IsTurned = true
            Caption =
                $"Left: what the data say of each nuisance, in its standard deviations before the fit; the bar is the standard deviation after it. "
                + $"Right: how far the best {found.Poi} moves when the nuisance is held one standard deviation up or down, all others fitted again.{left}"
        }

    /// CLs along the parameter of interest, observed and expected without signal, and where it falls to 1 − level. The tests are in any order.
    let cls (poi: string) (level: float) (tests: HypothesisTest[]) : Figure =
        let tests = tests |> Array.sortBy _.Mu
        let mu = tests |> Array.map _.Mu
        let expected (k: int) : float[] = tests |> Array.map (fun t -> t.Expected[k].Cls)
        let ends = [| Array.head mu; Array.last mu |]

        let series (mark: Mark) (colour: Colour) (name: string) (y: float[]) : Series =
            Series.create mark colour name mu y

        plain
            $"CLs along {poi}"
            $"Values of {poi} at which CLs is below {shown 3 (1.0 - level)} are excluded at {shown 4 (100.0 * level)} %% CL. The bands are where CLs is expected without signal, in 68 %% and in 95 %% of experiments."
            (Axis.linear poi "")
            (Axis.linear "CLs" "")
            [
                series (Mark.Band(expected 4)) Colour.Yellow "expected ± 2σ" (expected 0)
                series (Mark.Band(expected 3)) Colour.Green "expected ± 1σ" (expected 1)
                series Mark.Dashes Colour.Grey "expected" (expected 2)
                series Mark.Line Colour.Blue "observed" (tests |> Array.map _.Observed.Cls)
                Series.create
                    Mark.Dashes
                    Colour.Vermilion
                    $"CLs of {shown 3 (1.0 - level)}"
                    ends
                    [| 1.0 - level; 1.0 - level |]
            ]

    /// The distributions of a statistic in toys with and without signal, and its value on the data.
    let toys (statistic: string) (poi: string) (found: ToyTest) : Figure =
        let good (all: float[]) : float[] = all |> Array.filter Double.IsFinite
        let signal, background = good found.Signal, good found.Background

        let highest =
            Array.append signal background |> Array.fold max (max 1e-9 found.Observed)

        let bins = 40
        let width = highest / float bins
        let centres = Array.init bins (fun b -> (float b + 0.5) * width)

        let heights (values: float[]) : float[] =
            let counts = Array.zeroCreate<float> bins

            for v in values do
                let bin = min (bins - 1) (int (v / width))
                counts[bin] <- counts[bin] + 1.0

            // A logarithmic axis has no place for an empty bin.
            counts |> Array.map (fun n -> max 0.5 n / float values.Length)

        let with', without = heights signal, heights background

        let lowest = Array.append with' without |> Array.fold min 1.0

        plain
            $"{statistic} of {poi} = {shown 4 found.Mu} in toys"
            $"The part of the toys in each of {bins} bins; an empty one is drawn at half a toy. On the data {statistic} is {shown 4 found.Observed}: CLs+b is {shown 3 found.Clsb.Value} ± {shown 2 found.Clsb.Error}, CLb {shown 3 found.Clb.Value} ± {shown 2 found.Clb.Error}."
            (Axis.linear statistic "")
            (Axis.logarithmic "part of the toys" "")
            [
                Series.create Mark.Steps Colour.Vermilion "with signal" centres with'
                Series.create Mark.Steps Colour.Blue "without signal" centres without
                Series.create
                    Mark.Curve
                    Colour.Grey
                    "observed"
                    [| found.Observed; found.Observed |]
                    [| lowest; 1.0 |]
            ]
