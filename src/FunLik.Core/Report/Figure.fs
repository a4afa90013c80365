namespace FunLik

open System

/// Colours that people with any colour vision tell apart (Okabe and Ito's), each with a contrast of 3 or more to white and to black.
[<RequireQualifiedAccess>]
type Colour =
    | Blue
    | Vermilion
    | Green
    | Purple
    | Grey

/// What a series is drawn as.
[<RequireQualifiedAccess>]
type Mark =
    | Line
    | Dashes
    | Points
    | Steps
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
        /// What the reader sees there: sentences.
        Caption: string
    }

/// Making series.
[<RequireQualifiedAccess>]
module Series =

    /// A series; x and y are of the same length.
    let create (mark: Mark) (colour: Colour) (name: string) (x: float[]) (y: float[]) : Series =
        let upper =
            match mark with
            | Mark.Band upper -> upper
            | _ -> y

        if x.Length <> y.Length || x.Length <> upper.Length then
            invalidArg (nameof y) $"series '{name}': {x.Length} values of x, {y.Length} of y"

        { Name = name; Mark = mark; Colour = colour; X = x; Y = y }

/// Making axes.
[<RequireQualifiedAccess>]
module Axis =

    /// A linear axis with a unit, which may be empty.
    let linear (label: string) (unit: string) : Axis = { Label = label; Unit = unit; IsLog = false }

    /// A logarithmic axis with a unit, which may be empty.
    let logarithmic (label: string) (unit: string) : Axis =
        { Label = label; Unit = unit; IsLog = true }

    /// The label with the unit behind it.
    let heading (axis: Axis) : string =
        if axis.Unit = "" then
            axis.Label
        else
            $"{axis.Label} [{axis.Unit}]"

/// Figures as Plotly's JSON, and as tables of their numbers.
[<RequireQualifiedAccess>]
module Figure =

    /// The letters in which figures and pages are set: the reader's own.
    let fontFamily: string =
        "system-ui, -apple-system, 'Segoe UI', Roboto, 'Noto Sans', 'Liberation Sans', sans-serif"

    let private rgb (colour: Colour) : int * int * int =
        match colour with
        | Colour.Blue -> 0, 114, 178
        | Colour.Vermilion -> 213, 94, 0
        | Colour.Green -> 0, 158, 115
        | Colour.Purple -> 204, 121, 167
        | Colour.Grey -> 128, 128, 128

    let private css (colour: Colour) : JsonValue =
        let r, g, b = rgb colour
        JsonValue.Text $"rgb({r},{g},{b})"

    let private faint (colour: Colour) : JsonValue =
        let r, g, b = rgb colour
        JsonValue.Text $"rgba({r},{g},{b},0.25)"

    /// Plotly reads some HTML in texts: none of ours is any.
    let private text (value: string) : JsonValue =
        value.Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;")
        |> JsonValue.Text

    let private object' (entries: (string * JsonValue) list) : JsonValue = JsonValue.Object entries
    let private word (value: string) : JsonValue = JsonValue.Text value
    let private number (value: float) : JsonValue = JsonValue.Number value

    // ---- Series

    let private line (entries: (string * JsonValue) list) (colour: Colour) : string * JsonValue =
        "line", object' ([ "color", css colour; "width", number 2.0 ] @ entries)

    /// What Plotly draws for a series on the y axis of this name: a band is two lines with a filling.
    let private traces (axis: string) (hasLegend: bool) (series: Series) : JsonValue list =
        let trace (y: float[]) (isListed: bool) (look: (string * JsonValue) list) : JsonValue =
            object' (
                [
                    "type", word "scatter"
                    "name", text series.Name
                    "x", JsonValue.Numbers series.X
                    "y", JsonValue.Numbers y
                    "yaxis", word axis
                    "showlegend", JsonValue.Bool(hasLegend && isListed)
                ]
                @ look
            )

        let lines (entries: (string * JsonValue) list) : (string * JsonValue) list =
            [ "mode", word "lines"; line entries series.Colour ]

        let noLine = [ "mode", word "lines"; "line", object' [ "width", number 0.0 ] ]

        match series.Mark with
        | Mark.Line -> [ trace series.Y true (lines []) ]
        | Mark.Dashes -> [ trace series.Y true (lines [ "dash", word "dash" ]) ]
        | Mark.Steps -> [ trace series.Y true (lines [ "shape", word "hvh" ]) ]
        | Mark.Points ->
            let marker = object' [ "color", css series.Colour; "size", number 6.0 ]
            [ trace series.Y true [ "mode", word "markers"; "marker", marker ] ]
        | Mark.Band upper ->
            [
                trace series.Y false noLine
                trace
                    upper
                    true
                    (noLine @ [ "fill", word "tonexty"; "fillcolor", faint series.Colour ])
            ]

    // ---- Axes

    let private frame = word "rgba(128,128,128,0.9)"
    let private gridColour = word "rgba(128,128,128,0.22)"

    let private axisJson (axis: Axis) (entries: (string * JsonValue) list) : JsonValue =
        object' (
            [
                "title", object' [ "text", text (Axis.heading axis) ]
                "type", word (if axis.IsLog then "log" else "linear")
                "automargin", JsonValue.Bool true
                "showline", JsonValue.Bool true
                "mirror", word "all"
                "linecolor", frame
                "ticks", word "inside"
                "tickcolor", frame
                "gridcolor", gridColour
                "zeroline", JsonValue.Bool(not axis.IsLog)
                "zerolinecolor", frame
                "exponentformat", word "power"
            ]
            @ entries
        )

    /// The ticks of a logarithmic axis: 1, 2 and 5 of each decade where it spans few, each decade where it spans more. None where it
    /// spans less than one: Plotly finds better ones.
    let private logTicks (panel: Panel) : (string * JsonValue) list =
        let sizes =
            [
                for series in panel.Series do
                    yield! series.Y

                    match series.Mark with
                    | Mark.Band upper -> yield! upper
                    | _ -> ()
            ]
            |> List.filter (fun y -> y > 0.0 && Double.IsFinite y)

        if not panel.Axis.IsLog || sizes.IsEmpty then
            []
        else
            match log10 (List.max sizes / List.min sizes) with
            | decades when decades < 1.0 -> []
            | decades when decades < 4.0 -> [ "dtick", word "D2" ]
            | _ -> [ "dtick", number 1.0 ]

    /// Between two panels, as a part of the height.
    let private gap = 0.06

    /// Where the panels lie, from top to bottom: 0 is the lower edge of the figure, 1 the upper.
    let private domains (panels: Panel list) : (float * float) list =
        let room = 1.0 - gap * float (panels.Length - 1)
        let total = panels |> List.sumBy _.Share

        let heights = panels |> List.map (fun panel -> room * panel.Share / total)

        let tops = heights |> List.scan (fun top height -> top - height - gap) 1.0

        List.zip heights (List.truncate heights.Length tops)
        |> List.map (fun (height, top) -> max 0.0 (top - height), top)

    /// The y axis of a panel, as traces name it and as the layout does.
    let private axisNames (panel: int) : string * string =
        if panel = 0 then
            "y", "yaxis"
        else
            $"y{panel + 1}", $"yaxis{panel + 1}"

    let private layout (figure: Figure) : JsonValue =
        let lowest, _ = axisNames (max 0 (figure.Panels.Length - 1))

        let panel (index: int) (panel: Panel, (low: float, high: float)) : string * JsonValue =
            let _, name = axisNames index

            name,
            axisJson panel.Axis (("domain", JsonValue.Numbers [| low; high |]) :: logTicks panel)

        object' (
            [
                "font", object' [ "family", word fontFamily; "size", number 14.0 ]
                "paper_bgcolor", word "rgba(0,0,0,0)"
                "plot_bgcolor", word "rgba(0,0,0,0)"
                "margin", object' [ for side in [ "l"; "r"; "t"; "b" ] -> side, number 12.0 ]
                "hovermode", word "x unified"
                "hoverlabel",
                object' [ "bgcolor", word "#ffffff"; "font", object' [ "color", word "#1a1a1a" ] ]
                "legend",
                object'
                    [
                        "orientation", word "h"
                        "traceorder", word "normal"
                        "x", number 0.0
                        "y", number 1.01
                        "yanchor", word "bottom"
                        "bgcolor", word "rgba(0,0,0,0)"
                    ]
                "xaxis", axisJson figure.X [ "anchor", word lowest ]
            ]
            @ (List.zip figure.Panels (domains figure.Panels) |> List.mapi panel)
        )

    /// The figure as an object with Plotly's "data" and "layout". Title and caption are the page's. A panel of one series has no legend:
    /// its axis says what it is.
    let toPlotly (figure: Figure) : JsonValue =
        let data =
            figure.Panels
            |> List.mapi (fun index panel ->
                let hasLegend = panel.Series.Length > 1
                panel.Series |> List.collect (traces (fst (axisNames index)) hasLegend))
            |> List.concat

        object' [ "data", JsonValue.List data; "layout", layout figure ]

    // ---- Tables

    /// The digits of numbers in tables of figures.
    let private digits = 6

    let private columns (axis: Axis) (series: Series) : (PageColumn * float[]) list =
        let column (name: string) (values: float[]) : PageColumn * float[] =
            PageTable.columnIn axis.Unit name, values

        match series.Mark with
        | Mark.Band upper ->
            [ column $"{series.Name}, from" series.Y; column $"{series.Name}, to" upper ]
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
                            [ for _, values in columns -> Cell.Number(values[row], digits) ]
                    ]
            })
