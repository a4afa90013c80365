namespace FunLik

open System

/// Figures as Plotly's JSON.
[<RequireQualifiedAccess>]
module Plotly =

    let private rgb (colour: Colour) : int * int * int =
        match colour with
        | Colour.Blue -> 0, 114, 178
        | Colour.Vermilion -> 213, 94, 0
        | Colour.Green -> 0, 158, 115
        | Colour.Purple -> 204, 121, 167
        | Colour.Grey -> 128, 128, 128
        | Colour.Yellow -> 240, 228, 66

    let private css (colour: Colour) : JsonValue =
        let r, g, b = rgb colour
        JsonValue.Text $"rgb({r},{g},{b})"

    let private faint (colour: Colour) : JsonValue =
        let r, g, b = rgb colour
        let opacity = if colour.IsYellow then 0.6 else 0.25
        JsonValue.Text $"rgba({r},{g},{b},{JsonValue.formatNumber opacity})"

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

    /// The values of an axis, by their names if they have any.
    let private places (axis: Axis) (x: float[]) : JsonValue =
        if axis.Names.Length = 0 then
            JsonValue.Numbers x
        else
            x
            |> Array.map (fun i -> text axis.Names[int i])
            |> List.ofArray
            |> JsonValue.List

    /// What Plotly draws for a series in the panel of this number: a band is two lines with a filling.
    let private traces
        (figure: Figure)
        (panel: int)
        (hasLegend: bool)
        (series: Series)
        : JsonValue list =
        // On its side, a figure has x and y exchanged.
        let along, across = if figure.IsTurned then "y", "x" else "x", "y"
        let axis = if panel = 0 then across else $"{across}{panel + 1}"

        let traceOf
            (kind: string)
            (y: float[])
            (isListed: bool)
            (look: (string * JsonValue) list)
            : JsonValue =
            object' (
                [
                    "type", word kind
                    "name", text series.Name
                    along, places figure.X series.X
                    across, JsonValue.Numbers y
                    $"{across}axis", word axis
                    "showlegend", JsonValue.Bool(hasLegend && isListed)
                ]
                @ look
            )

        let trace = traceOf "scatter"

        let lines (entries: (string * JsonValue) list) : (string * JsonValue) list =
            [ "mode", word "lines"; line entries series.Colour ]

        let noLine = [ "mode", word "lines"; "line", object' [ "width", number 0.0 ] ]

        let marker = "marker", object' [ "color", css series.Colour; "size", number 6.0 ]

        let bars (fill: JsonValue) : JsonValue list =
            let look =
                object'
                    [
                        "color", fill
                        "line", object' [ "color", css series.Colour; "width", number 1.5 ]
                    ]

            [
                traceOf
                    "bar"
                    series.Y
                    true
                    [ "marker", look; "orientation", word (if figure.IsTurned then "h" else "v") ]
            ]

        match series.Mark with
        | Mark.Line
        | Mark.Curve -> [ trace series.Y true (lines []) ]
        | Mark.Dashes -> [ trace series.Y true (lines [ "dash", word "dash" ]) ]
        | Mark.Steps -> [ trace series.Y true (lines [ "shape", word "hvh" ]) ]
        | Mark.Points -> [ trace series.Y true [ "mode", word "markers"; marker ] ]
        | Mark.Errors(lower, upper) ->
            let errors =
                object'
                    [
                        "type", word "data"
                        "symmetric", JsonValue.Bool false
                        "array", JsonValue.Numbers(Array.map2 (-) upper series.Y)
                        "arrayminus", JsonValue.Numbers(Array.map2 (-) series.Y lower)
                        "color", css series.Colour
                    ]

            [
                trace series.Y true [ "mode", word "markers"; marker; $"error_{across}", errors ]
            ]
        | Mark.Bars -> bars (css series.Colour)
        | Mark.Outlines -> bars (word "rgba(0,0,0,0)")
        | Mark.Band upper ->
            [
                trace series.Y false noLine
                trace
                    upper
                    true
                    (noLine @ [ "fill", word $"tonext{across}"; "fillcolor", faint series.Colour ])
            ]

    // ---- Axes

    let private frame = word "rgba(128,128,128,0.9)"
    let private gridColour = word "rgba(128,128,128,0.22)"

    let private axisJson (axis: Axis) (entries: (string * JsonValue) list) : JsonValue =
        object' (
            [
                "title", object' [ "text", text (Axis.heading axis) ]
                "type",
                word (
                    if axis.Names.Length > 0 then "category"
                    elif axis.IsLog then "log"
                    else "linear"
                )
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
                    | Mark.Errors(lower, upper) ->
                        yield! lower
                        yield! upper
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

    /// Where the panels lie, from top to bottom: 0 is the lower edge of the figure, 1 the upper. Where the figure lies on its side: from left to
    /// right, 0 is the left edge.
    let private domains (isTurned: bool) (panels: Panel list) : (float * float) list =
        let room = 1.0 - gap * float (panels.Length - 1)
        let total = panels |> List.sumBy _.Share

        let sizes = panels |> List.map (fun panel -> room * panel.Share / total)

        let begins = sizes |> List.scan (fun at size -> at + size + gap) 0.0

        List.zip sizes (List.truncate sizes.Length begins)
        |> List.map (fun (size, at) ->
            if isTurned then
                at, min 1.0 (at + size)
            else
                max 0.0 (1.0 - at - size), 1.0 - at)

    let private layout (figure: Figure) : JsonValue =
        let along, across = if figure.IsTurned then "y", "x" else "x", "y"
        let suffix (index: int) : string = if index = 0 then "" else $"{index + 1}"

        let panel (index: int) (panel: Panel, (low: float, high: float)) : string * JsonValue =
            $"{across}axis{suffix index}",
            axisJson panel.Axis (("domain", JsonValue.Numbers [| low; high |]) :: logTicks panel)

        /// The panel beside which the shared axis has its numbers.
        let beside =
            if figure.IsTurned then
                across
            else
                across + suffix (max 0 (figure.Panels.Length - 1))

        let hover =
            let turnsBack =
                figure.Panels
                |> List.exists (fun panel -> panel.Series |> List.exists _.Mark.IsCurve)

            if turnsBack then "closest" else $"{along} unified"

        object' (
            [
                "font", object' [ "family", word Figure.fontFamily; "size", number 14.0 ]
                "paper_bgcolor", word "rgba(0,0,0,0)"
                "plot_bgcolor", word "rgba(0,0,0,0)"
                "margin", object' [ for side in [ "l"; "r"; "t"; "b" ] -> side, number 12.0 ]
                "hovermode", word hover
                "barmode", word "overlay"
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
                $"{along}axis",
                axisJson
                    figure.X
                    [
                        "anchor", word beside
                        if figure.IsTurned then
                            "autorange", word "reversed"
                    ]
            ]
            @ (List.zip figure.Panels (domains figure.IsTurned figure.Panels)
               |> List.mapi panel)
        )

    /// The figure as an object with Plotly's "data" and "layout". Title and caption are the page's. A panel of one series has no legend:
    /// its axis says what it is.
    let ofFigure (figure: Figure) : JsonValue =
        let data =
            figure.Panels
            |> List.mapi (fun index panel ->
                let hasLegend = panel.Series.Length > 1
                panel.Series |> List.collect (traces figure index hasLegend))
            |> List.concat

        object' [ "data", JsonValue.List data; "layout", layout figure ]
