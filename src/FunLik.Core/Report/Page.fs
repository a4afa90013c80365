namespace FunLik

open System
open System.IO
open System.Net
open System.Reflection
open System.Text

/// A part of a section.
[<RequireQualifiedAccess>]
type Block =
    /// A paragraph.
    | Paragraph of string
    /// Names and what they are.
    | Facts of (string * Cell) list
    | Table of PageTable
    | Figure of Figure
    /// Lines of a program.
    | Code of string

/// A part of a page.
type Section =
    {
        Title: string
        /// What stands in it, in order.
        Blocks: Block list
    }

/// A page for people, as a value.
type Page =
    {
        Title: string
        /// What the page says, in a sentence or two.
        Summary: string
        /// The numbers that the reader looks for first, with their names.
        Highlights: (string * Cell) list
        Sections: Section list
    }

/// Pages as HTML in one file, which asks for nothing else: no network, no fonts, no other files. The same page gives the same bytes.
[<RequireQualifiedAccess>]
module Page =

    /// Text as HTML has it; what no page may contain becomes �.
    let private escape (text: string) : string =
        text
        |> String.map (fun c -> if Char.IsControl c && c <> '\n' then '\uFFFD' else c)
        |> WebUtility.HtmlEncode

    // ---- Cells and tables

    let private isNumber (cell: Cell) : bool = cell.IsNumber || cell.IsCount

    /// A cell's contents, given its text. Numbers carry all their digits for programs.
    let private content (cell: Cell, shown: string) : string =
        let data (value: string) : string = $"""<data value="{value}">{escape shown}</data>"""

        match cell with
        | Cell.Text _ -> escape shown
        | Cell.Code _ -> $"<code>{escape shown}</code>"
        | Cell.Count count -> data (string count)
        | Cell.Number(value, _) -> data (JsonValue.formatNumber value)
        | Cell.Verdict(Some true) -> $"""<span class="good">{escape shown}</span>"""
        | Cell.Verdict(Some false) -> $"""<span class="bad">{escape shown}</span>"""
        | Cell.Verdict None -> $"""<span class="open">{escape shown}</span>"""

    let private alone (cell: Cell) : string = content (cell, List.head (PageTable.texts [ cell ]))

    let private unit (column: PageColumn) : string =
        if column.Unit = "" then
            ""
        else
            $""" <span class="unit">[{escape column.Unit}]</span>"""

    let private ofKind (tag: string) (isNumeric: bool) : string =
        if isNumeric then
            $"""<{tag} class="number">"""
        else
            $"<{tag}>"

    let private cells (tag: string) (contents: (string * bool) list) : string =
        contents
        |> List.map (fun (content, isNumeric) -> $"{ofKind tag isNumeric}{content}</{tag}>")
        |> String.concat ""
        |> fun cells -> $"<tr>{cells}</tr>"

    /// Neighbours of one group together.
    let private groups (columns: PageColumn list) : PageColumn list list =
        (columns, [])
        ||> List.foldBack (fun column so ->
            match so with
            | (next :: _ as group) :: rest when next.Group = column.Group ->
                (column :: group) :: rest
            | _ -> [ column ] :: so)

    /// One row of headings, and above it those of groups where there are any.
    let private head (columns: PageColumn list) (isNumeric: bool list) : string list =
        let isGrouped = columns |> List.exists (fun column -> column.Group <> "")

        let above (group: PageColumn list) : string =
            let first = group.Head

            let text =
                if first.Group = "" then
                    ""
                else
                    escape first.Group + unit first

            $"""<th class="group" colspan="{group.Length}">{text}</th>"""

        let own (column: PageColumn) : string =
            if column.Group = "" then
                escape column.Heading + unit column
            else
                escape column.Heading

        [
            if isGrouped then
                let texts = groups columns |> List.map above |> String.concat ""
                $"<tr>{texts}</tr>"

            cells "th" (List.zip (List.map own columns) isNumeric)
        ]

    let private table (table: PageTable) : string list =
        let contents =
            table.Columns
            |> List.mapi (fun k _ ->
                let cells = table.Rows |> List.map (fun row -> row[k])
                List.zip cells (PageTable.texts cells) |> List.map content)

        let isNumeric =
            table.Columns
            |> List.mapi (fun k _ -> table.Rows |> List.exists (fun row -> isNumber row[k]))

        [
            """<div class="wide"><table>"""
            "<thead>"
            yield! head table.Columns isNumeric
            "</thead>"
            "<tbody>"
            for row in 0 .. table.Rows.Length - 1 do
                cells "td" (List.zip (contents |> List.map (List.item row)) isNumeric)
            "</tbody>"
            "</table></div>"
        ]

    let private facts (facts: (string * Cell) list) : string list =
        [
            "<dl>"
            for name, cell in facts do
                $"<div><dt>{escape name}</dt><dd>{alone cell}</dd></div>"
            "</dl>"
        ]

    // ---- Figures

    /// JSON inside of an element `script`, which nothing in the JSON can end.
    let private json (value: JsonValue) : string =
        (JsonValue.toLine value)
            .Replace("<", "\\u003c")
            .Replace(">", "\\u003e")
            .Replace("&", "\\u0026")

    let private numbers (figure: Figure) : string list =
        figure |> Figure.toTables |> List.collect table

    let private figure (isDrawn: bool) (figure: Figure) : string list =
        let isPlane = figure.Panels |> List.exists (_.Series >> List.exists _.Mark.IsCurve)

        let shape =
            if (figure.Panels.Length > 1 || isPlane) && not figure.IsTurned then
                "plot tall"
            else
                "plot"

        /// A figure on its side is as high as its lines of names need.
        let height =
            if figure.IsTurned then
                $""" style="height: {6 + 2 * figure.X.Names.Length}rem" """.TrimEnd()
            else
                ""

        [
            "<figure>"
            $"<h3>{escape figure.Title}</h3>"
            if isDrawn then
                $"""<div class="{shape}"{height} role="img" aria-label="{escape figure.Title}"></div>"""
                $"""<script type="application/json">{json (Plotly.ofFigure figure)}</script>"""
            $"<figcaption>{escape figure.Caption}</figcaption>"
            if isDrawn then
                "<details><summary>The numbers</summary>"
                yield! numbers figure
                "</details>"
            else
                """<p class="note">This copy of FunLik was built without the script that draws figures: here are the numbers.</p>"""
                yield! numbers figure
            "</figure>"
        ]

    // ---- The page

    let private style =
        """:root { color-scheme: light dark; --ink: #1a1a1a; --soft: #595959; --paper: #ffffff; --shade: #f4f5f7; --rule: #d5d8dd;
  --good: #00704f; --bad: #b03a00; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --soft: #a8adb5; --paper: #14161a; --shade: #1e2127; --rule: #3a3f47; --good: #4cc9a0; --bad: #ff9a5c; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 60rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.55 FONT; overflow-wrap: break-word; }
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0 0 .6rem; }
h2 { font-size: 1.25rem; margin: 2.6rem 0 .8rem; padding-bottom: .3rem; border-bottom: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 0 0 .4rem; }
p { margin: 0 0 .8rem; max-width: 46rem; }
.summary { font-size: 1.1rem; }
.highlights { display: grid; grid-template-columns: repeat(auto-fit, minmax(11rem, 1fr)); gap: .8rem; margin: 1.4rem 0 0; padding: 0; }
.highlights div { display: flex; flex-direction: column-reverse; justify-content: flex-end; background: var(--shade);
  border-radius: .5rem; padding: .8rem 1rem; }
.highlights dt { color: var(--soft); font-size: .85rem; line-height: 1.35; }
.highlights dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
section > dl { margin: 0 0 1rem; }
section > dl > div { display: grid; grid-template-columns: minmax(8rem, 15rem) 1fr; gap: 1rem; padding: .25rem 0;
  border-bottom: 1px solid var(--rule); }
section > dl dt { color: var(--soft); }
section > dl dd { margin: 0; min-width: 0; font-variant-numeric: tabular-nums; }
pre { background: var(--shade); border-radius: .5rem; padding: .8rem 1rem; overflow-x: auto; margin: 0 0 1rem; }
code { font: .85em/1.4 ui-monospace, 'Cascadia Mono', Menlo, Consolas, 'DejaVu Sans Mono', monospace; overflow-wrap: anywhere; }
.wide { overflow-x: auto; margin: 0 0 1rem; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums lining-nums; }
th, td { padding: .35rem 1.2rem .35rem 0; text-align: left; vertical-align: bottom; border-bottom: 1px solid var(--rule); }
th { font-weight: 600; border-bottom: 2px solid var(--rule); }
.group { text-align: center; } .group:not(:empty) { border-bottom: 1px solid var(--rule); } .group:empty { border: none; }
th:last-child, td:last-child { padding-right: 0; }
.number { text-align: right; white-space: nowrap; }
th.number { white-space: normal; }
.unit { color: var(--soft); font-weight: 400; white-space: nowrap; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; } .open { color: var(--soft); }
figure { margin: 1rem 0 1.8rem; break-inside: avoid; }
figcaption, .note { color: var(--soft); font-size: .9rem; max-width: 46rem; margin: .5rem 0; }
.plot { width: 100%; height: 24rem; } .tall { height: 32rem; }
.plot text { fill: var(--ink) !important; } .plot .hoverlayer text { fill: #1a1a1a !important; }
details { margin: .4rem 0; } summary { color: var(--soft); font-size: .9rem; cursor: pointer; }
details .wide { max-height: 24rem; overflow-y: auto; margin-top: .5rem; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@page { margin: 18mm; }
@media print {
  :root { color-scheme: light; --ink: #000; --soft: #444; --paper: #fff; --shade: #f4f5f7; --rule: #bbb; --good: #00704f; --bad: #b03a00; }
  body { padding: 0; max-width: none; font-size: 10pt; } details { display: none; } h2, h3 { break-after: avoid; }
  tr, .highlights div { break-inside: avoid; } .plot { height: 9cm; } .tall { height: 12cm; } .wide { overflow: visible; } pre { white-space: pre-wrap; }
}"""
            .Replace("FONT", Figure.fontFamily)

    /// Draws what stands beside each plot, and draws it anew for paper.
    let private drawing =
        """const plots = [...document.querySelectorAll('.plot')];
for (const plot of plots) {
  const { data, layout } = JSON.parse(plot.nextElementSibling.textContent);
  Plotly.newPlot(plot, data, layout, { responsive: true, displayModeBar: false });
}
for (const event of ['beforeprint', 'afterprint']) {
  window.addEventListener(event, () => plots.forEach(plot => Plotly.Plots.resize(plot)));
}"""

    /// Nothing is fetched, whatever a text in the page may try.
    let private policy =
        "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"

    let private block (isDrawn: bool) (block: Block) : string list =
        match block with
        | Block.Paragraph text -> [ $"<p>{escape text}</p>" ]
        | Block.Facts entries -> facts entries
        | Block.Table value -> table value
        | Block.Figure value -> figure isDrawn value
        | Block.Code text -> [ $"<pre><code>{escape text}</code></pre>" ]

    let private section (isDrawn: bool) (section: Section) : string list =
        [
            "<section>"
            $"<h2>{escape section.Title}</h2>"
            yield! section.Blocks |> List.collect (block isDrawn)
            "</section>"
        ]

    /// The page with this script to draw its figures in place of the embedded one; without one the figures are tables.
    let toHtmlWith (script: string option) (page: Page) : string =
        let hasFigures = page.Sections |> List.exists (_.Blocks >> List.exists _.IsFigure)

        let plotting = if hasFigures then script else None

        [
            "<!DOCTYPE html>"
            """<html lang="en">"""
            "<head>"
            """<meta charset="utf-8" />"""
            $"""<meta http-equiv="Content-Security-Policy" content="{policy}" />"""
            """<meta name="viewport" content="width=device-width, initial-scale=1" />"""
            $"<title>{escape page.Title}</title>"
            $"<style>\n{style}\n</style>"
            "</head>"
            "<body>"
            "<header>"
            $"<h1>{escape page.Title}</h1>"
            $"""<p class="summary">{escape page.Summary}</p>"""
            if not page.Highlights.IsEmpty then
                """<dl class="highlights">"""

                for name, cell in page.Highlights do
                    $"<div><dt>{escape name}</dt><dd>{alone cell}</dd></div>"

                "</dl>"
            "</header>"
            "<main>"
            yield! page.Sections |> List.collect (section plotting.IsSome)
            "</main>"
            $"<footer>Written by FunLik {escape Version.current}.</footer>"
            match plotting with
            | Some script ->
                $"<script>\n{script}\n</script>"
                $"<script>\n{drawing}\n</script>"
            | None -> ()
            "</body>"
            "</html>"
        ]
        |> List.map (fun line -> line + "\n")
        |> String.concat ""

    /// The script that was embedded when this library was built, if it was.
    let private embedded: Lazy<string option> =
        lazy
            (use stream = Assembly.GetExecutingAssembly().GetManifestResourceStream "plotly.js"

             if isNull stream then
                 None
             else
                 use reader = new StreamReader(stream, Encoding.UTF8)
                 Some(reader.ReadToEnd().Replace("\r\n", "\n")))

    /// The page as HTML.
    let toHtml (page: Page) : string = toHtmlWith embedded.Value page

    /// Writes the page as HTML to a file, whole or not at all.
    let write (path: string) (page: Page) : Result<unit, Error list> =
        AtomicFile.writeText path (toHtml page)
