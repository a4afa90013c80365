namespace FunLik

open System

/// Colours that people with any colour vision tell apart (Okabe and Ito's), each with a contrast of 3 or more to white and to black; yellow, which
/// has it to black alone, is for bands.
[<RequireQualifiedAccess>]
type Colour =
    | Blue
    | Vermilion
    | Green
    | Purple
    | Grey
    | Yellow

/// What a series is drawn as.
[<RequireQualifiedAccess>]
type Mark =
    | Line
    | Dashes
    | Points
    | Steps
    /// A line that may turn back, such as a contour.
    | Curve
    /// Points with bars from these values to those.
    | Errors of lower: float[] * upper: float[]
    /// Bars from 0 to the series' y.
    | Bars
    /// The same, not filled.
    | Outlines
    /// Between the series' y and these.
    | Band of upper: float[]

/// Numbers that belong together. Where one is not finite there is a gap.
type Series =
    {
        /// What the legend calls it.
        Name: string
        Mark: Mark
        Colour: Colour
        X: float[]
        Y: float[]
    }

/// An axis.
type Axis =
    {
        /// What it measures.
        Label: string
        /// The unit; empty where there is none.
        Unit: string
        /// Whether it is logarithmic.
        IsLog: bool
        /// What its values 0, 1, 2, … are called; empty where they are numbers.
        Names: string[]
    }

/// One of the drawings of a figure, which stand one below the other over the same x axis.
type Panel =
    {
        /// The y axis.
        Axis: Axis
        /// How high the panel is, relative to the others.
        Share: float
        /// What is drawn.
        Series: Series list
    }

/// A figure as a value.
type Figure =
    {
        Title: string
        /// The x axis of all panels.
        X: Axis
        /// The panels, from top to bottom.
        Panels: Panel list
        /// Whether the figure lies on its side: the x axis goes down, and the panels stand beside each other, from left to right.
        IsTurned: bool
        /// What the reader sees there: sentences.
        Caption: string
    }

/// Making series.
[<RequireQualifiedAccess>]
module Series =

    /// A series; x and y are of the same length.
    let create (mark: Mark) (colour: Colour) (name: string) (x: float[]) (y: float[]) : Series =
        let others =
            match mark with
            | Mark.Band upper -> [ upper ]
            | Mark.Errors(lower, upper) -> [ lower; upper ]
            | _ -> []

        if y :: others |> List.exists (fun values -> values.Length <> x.Length) then
            invalidArg (nameof y) $"series '{name}': {x.Length} values of x, {y.Length} of y"

        { Name = name; Mark = mark; Colour = colour; X = x; Y = y }

/// Making axes.
[<RequireQualifiedAccess>]
module Axis =

    /// A linear axis with a unit, which may be empty.
    let linear (label: string) (unit: string) : Axis =
        { Label = label; Unit = unit; IsLog = false; Names = [||] }

    /// A logarithmic axis with a unit, which may be empty.
    let logarithmic (label: string) (unit: string) : Axis =
        { Label = label; Unit = unit; IsLog = true; Names = [||] }

    /// An axis of things with names, which are all different: the first is at 0, the next at 1.
    let named (label: string) (names: string[]) : Axis =
        { Label = label; Unit = ""; IsLog = false; Names = names }

    /// The label with the unit behind it.
    let heading (axis: Axis) : string =
        if axis.Unit = "" then
            axis.Label
        else
            $"{axis.Label} [{axis.Unit}]"

/// Figures as tables of their numbers.
[<RequireQualifiedAccess>]
module Figure =

    /// The letters in which figures and pages are set: the reader's own.
    let fontFamily: string =
        "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif"

    /// The digits of numbers in tables of figures.
    let private digits = 6

    let private columns (axis: Axis) (series: Series) : (PageColumn * float[]) list =
        let column (name: string) (values: float[]) : PageColumn * float[] =
            PageTable.columnIn axis.Unit name, values

        match series.Mark with
        | Mark.Band upper ->
            [ column $"{series.Name}, from" series.Y; column $"{series.Name}, to" upper ]
        | Mark.Errors(lower, upper) ->
            [
                column series.Name series.Y
                column $"{series.Name}, from" lower
                column $"{series.Name}, to" upper
            ]
        | _ -> [ column series.Name series.Y ]

    /// The numbers that the figure shows: a table for each choice of x.
    let toTables (figure: Figure) : PageTable list =
        [
            for panel in figure.Panels do
                for series in panel.Series -> series.X, columns panel.Axis series
        ]
        |> List.groupBy fst
        |> List.map (fun (x, group) ->
            let columns =
                (PageTable.columnIn figure.X.Unit figure.X.Label, x)
                :: (group |> List.collect snd)

            {
                Columns = columns |> List.map fst
                Rows =
                    [
                        for row in 0 .. x.Length - 1 ->
                            [
                                (if figure.X.Names.Length > 0 then
                                     Cell.Text figure.X.Names[int x[row]]
                                 else
                                     Cell.Number(x[row], digits))
                                for _, values in columns.Tail do
                                    Cell.Number(values[row], digits)
                            ]
                    ]
            })
