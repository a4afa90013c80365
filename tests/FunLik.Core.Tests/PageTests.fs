module FunLik.Tests.PageTests

open System
open System.IO
open System.Text.RegularExpressions
open System.Xml.Linq
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

let private xs = [| -0.5; 0.1 + 0.2; 1.0 / 3.0; 2e-300; 5.0 |]

let private figure: Figure =
    let band = Mark.Band(xs |> Array.map (fun x -> x + 1.0))

    {
        Title = "A title"
        X = Axis.linear "mu" "pb"
        Panels =
            [
                {
                    Axis = Axis.linear "t" ""
                    Share = 2.0
                    Series =
                        [
                            Series.create Mark.Line Colour.Blue "line" xs (Array.map sin xs)
                            Series.create
                                Mark.Points
                                Colour.Vermilion
                                "points"
                                xs
                                (Array.map cos xs)
                            Series.create band Colour.Green "band" xs xs
                        ]
                }
                {
                    Axis = Axis.logarithmic "loss" "nats"
                    Share = 1.0
                    Series =
                        [
                            Series.create
                                Mark.Steps
                                Colour.Purple
                                "steps"
                                [| 1.0; 2.0; 3.0 |]
                                [| 1.0; nan; 0.1 |]
                            Series.create
                                Mark.Dashes
                                Colour.Grey
                                "dashes"
                                [| 1.0; 2.0; 3.0 |]
                                [| 2.0; infinity; 0.2 |]
                        ]
                }
            ]
        IsTurned = false
        Caption = "A caption."
    }

let private table: PageTable =
    {
        Columns =
            [ PageTable.column "points" ]
            @ PageTable.group "mean squared error" "log units²" [ "surrogate"; "quadratic" ]
            @ [ PageTable.columnIn "fb" "signal"; PageTable.column "check" ]
        Rows =
            [
                [
                    Cell.Text "posterior"
                    Cell.Number(0.00312, 3)
                    Cell.Number(0.17, 3)
                    Cell.Count 1234567L
                    Cell.Verdict(Some true)
                ]
                [
                    Cell.Text "ridge"
                    Cell.Number(12.5, 3)
                    Cell.Number(nan, 3)
                    Cell.Count 3L
                    Cell.Verdict None
                ]
            ]
    }

let private page: Page =
    {
        Title = "A page"
        Summary = "What it says."
        Highlights = [ "the error", Cell.Number(0.1 + 0.2, 3) ]
        Sections =
            [
                {
                    Title = "First"
                    Blocks = [ Block.Paragraph "Words."; Block.Table table; Block.Figure figure ]
                }
                {
                    Title = "Second"
                    Blocks = [ Block.Facts [ "hash", Cell.Code "00ff" ]; Block.Code "a < b\nb > c" ]
                }
            ]
    }

/// The document without scripts is XML too, so that a parser which is not ours reads it.
let private parsed (page: Page) : XElement =
    XDocument.Parse(Page.toHtmlWith None page, LoadOptions.PreserveWhitespace).Root

let private named (name: string) (root: XElement) : XElement list =
    root.Descendants(XName.Get name) |> List.ofSeq

let private texts (name: string) (root: XElement) : string list =
    named name root |> List.map _.Value

/// The objects that are given to the script.
let private plots (html: string) : Json list =
    Regex.Matches(html, "<script type=\"application/json\">(.*?)</script>", RegexOptions.Singleline)
    |> Seq.map (fun m -> Json.parse m.Groups[1].Value |> Error.orRaise)
    |> List.ofSeq

let private field (name: string) (json: Json) : Json = Json.property name json |> Error.orRaise
let private itemsOf (json: Json) : Json list = Json.items json |> Error.orRaise
let private textOf (json: Json) : string = Json.text json |> Error.orRaise

// ---- Structure

[<Fact>]
let ``a page has its title, sections, tables and facts in order`` () =
    let root = parsed page
    Assert.Equal<string list>([ "A page" ], texts "title" root)
    Assert.Equal<string list>([ "A page" ], texts "h1" root)
    Assert.Equal<string list>([ "First"; "Second" ], texts "h2" root)
    Assert.Equal<string list>([ "the error"; "hash" ], texts "dt" root)
    Assert.Equal<string list>([ "0.300"; "00ff" ], texts "dd" root)
    Assert.Equal("a < b\nb > c", named "pre" root |> List.exactlyOne |> _.Value)
    let first = named "table" root |> List.head

    let rows =
        named "tr" first
        |> List.map (fun row -> row.Elements() |> Seq.map _.Value |> List.ofSeq)

    Assert.Equal<string list list>(
        [
            [ ""; "mean squared error [log units²]"; "" ]
            [ "points"; "surrogate"; "quadratic"; "signal [fb]"; "check" ]
            [ "posterior"; "0.00312"; "0.170"; "1,234,567"; "✓ passed" ]
            [ "ridge"; "12.50000"; "not a number"; "3"; "not checked" ]
        ],
        rows
    )

[<Fact>]
let ``numbers of a column line up: the same decimals, and as many digits as the smallest needs``
    ()
    =
    let law (values: float list) =
        let cells = values |> List.map (fun v -> Cell.Number(v, 3))
        let shown = PageTable.texts cells

        let decimals (text: string) : int =
            match text.Split 'e' with
            | [| mantissa; _ |]
            | [| mantissa |] -> mantissa.Length - 1 - (mantissa + ".").IndexOf '.'
            | _ -> failwith text

        Assert.True((shown |> List.distinctBy decimals).Length <= 1, String.concat " " shown)

        for value, text in List.zip values shown do
            let back =
                Double.Parse(text.Replace('−', '-'), Globalization.CultureInfo.InvariantCulture)

            Assert.True(abs (back - value) <= 0.0051 * abs value, $"{value}: {text}")

    let number =
        gen {
            let! mantissa = Gen.choose (-9999, 9999)
            let! exponent = Gen.choose (-9, 9)
            return float mantissa * 10.0 ** float exponent
        }

    Check.One(
        Config.QuickThrowOnFailure.WithMaxTest 300,
        Prop.forAll (Gen.nonEmptyListOf number |> Arb.fromGen) law
    )

// ---- Numbers

[<Fact>]
let ``the numbers in a figure are those given, bit for bit, and gaps where one is not finite`` () =
    let plot = Page.toHtmlWith (Some "") page |> plots |> List.exactlyOne
    let traces = plot |> field "data" |> itemsOf

    let numbers (json: Json) : float list =
        itemsOf json |> List.map (Json.float >> Result.defaultValue nan)

    let expected =
        [
            "line", xs, Array.map sin xs
            "points", xs, Array.map cos xs
            "band", xs, xs
            "band", xs, xs |> Array.map (fun x -> x + 1.0)
            "steps", [| 1.0; 2.0; 3.0 |], [| 1.0; nan; 0.1 |]
            "dashes", [| 1.0; 2.0; 3.0 |], [| 2.0; nan; 0.2 |]
        ]

    Assert.Equal(expected.Length, traces.Length)

    for (name, x, y), trace in List.zip expected traces do
        Assert.Equal(name, trace |> field "name" |> textOf)
        Assert.Equal<float list>(List.ofArray x, trace |> field "x" |> numbers)
        Assert.Equal<float list>(List.ofArray y, trace |> field "y" |> numbers)

[<Fact>]
let ``a cell carries all digits of its number, and a page without the script shows a figure's numbers``
    ()
    =
    let root = parsed page

    let values (element: XElement) : float list =
        named "data" element
        |> List.map (fun d -> d.Attribute(XName.Get "value").Value)
        |> List.map (fun text ->
            if text = "null" then
                nan
            else
                Double.Parse(text, Globalization.CultureInfo.InvariantCulture))

    Assert.Equal(0.1 + 0.2, named "header" root |> List.exactlyOne |> values |> List.exactlyOne)
    let shown = named "figure" root |> List.exactlyOne
    Assert.Contains("without the script", shown.Value)

    let expected =
        [
            for i in 0 .. xs.Length - 1 do
                [ xs[i]; sin xs[i]; cos xs[i]; xs[i]; xs[i] + 1.0 ]
            [ 1.0; 1.0; 2.0 ]
            [ 2.0; nan; nan ]
            [ 3.0; 0.1; 0.2 ]
        ]

    Assert.Equal<float list>(List.concat expected, values shown)

    Assert.Equal<string list>(
        [ "mu [pb]"; "line"; "points"; "band, from"; "band, to" ],
        texts "th" shown |> List.take 5
    )

// ---- Hostile texts

let private spoil (text: string) : Page =
    {
        Title = text
        Summary = text
        Highlights = [ text, Cell.Text text ]
        Sections =
            [
                {
                    Title = text
                    Blocks =
                        [
                            Block.Paragraph text
                            Block.Facts [ text, Cell.Code text ]
                            Block.Code text
                            Block.Table
                                {
                                    Columns = [ PageTable.columnIn text text ]
                                    Rows = [ [ Cell.Text text ] ]
                                }
                            Block.Figure
                                {
                                    Title = text
                                    X = Axis.linear text text
                                    Panels =
                                        [
                                            {
                                                Axis = Axis.linear text text
                                                Share = 1.0
                                                Series =
                                                    [
                                                        Series.create
                                                            Mark.Line
                                                            Colour.Blue
                                                            text
                                                            [| 1.0 |]
                                                            [| 2.0 |]
                                                    ]
                                            }
                                        ]
                                    IsTurned = false
                                    Caption = text
                                }
                        ]
                }
            ]
    }

let private hostile =
    [
        "</script><script>alert(1)</script>"
        "<!--<script>"
        "]]><img src=x onerror=alert(1)>"
        "\" onload=\"alert(1)"
        "' & &lt; &amp;lt; <b>&#60;</b>"
        "javascript:alert(1) \\u003c \\ %{x} <a href='https://example.org'>"
        "Ω µ 😀 𝜇"
    ]

let private isSafe (text: string) : unit =
    let page = spoil text
    let root = parsed page
    Assert.Equal<string list>([ text ], texts "h1" root)
    Assert.Equal<string list>([ text ], texts "h2" root)
    Assert.Equal<string list>([ text ], texts "pre" root)
    Assert.Equal<string list>([ text; text ], texts "dt" root)
    Assert.Contains(text, texts "p" root)
    Assert.Contains($"{text} [{text}]", texts "th" root)
    Assert.Equal<string list>([ text ], texts "figcaption" root)
    // With the script: two scripts of ours and one object, whatever the texts say.
    let html = Page.toHtmlWith (Some "/* drawing */") page
    let count (part: string) : int = Regex.Matches(html, Regex.Escape part).Count
    Assert.Equal(3, count "<script")
    Assert.Equal(3, count "</script")
    Assert.Equal(0, count "<!--")

    let trace =
        plots html |> List.exactlyOne |> field "data" |> itemsOf |> List.exactlyOne
    // Plotly reads entities and a few elements in its texts.
    Assert.Equal(
        text.Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;"),
        trace |> field "name" |> textOf
    )

[<Fact>]
let ``hostile texts stay texts, in HTML and inside of scripts`` () = List.iter isSafe hostile

[<Fact>]
let ``random texts stay texts`` () =
    let symbols = "<>&\"'/\\-!abcscript{}%;=#x0 \nµ".ToCharArray() |> Gen.elements

    let texts =
        Gen.nonEmptyListOf symbols |> Gen.map (fun cs -> "x" + String(Array.ofList cs))

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 100, Prop.forAll (Arb.fromGen texts) isSafe)

[<Fact>]
let ``control characters and halves of characters are replaced`` () =
    let root = parsed (spoil "a\000b\027[31mc\uD800d")
    Assert.Equal<string list>([ "a�b�[31mc�d" ], texts "h1" root)

// ---- One file, always the same

[<Fact>]
let ``a page asks for nothing else`` () =
    for script in [ None; Some "/* drawing */" ] do
        let html = Page.toHtmlWith script page

        for part in
            [
                " src="
                " href="
                "url("
                "@import"
                "http:"
                "https:"
                "<link"
                "<img"
                "<iframe"
            ] do
            Assert.DoesNotContain(part, html)

        Assert.Contains("default-src 'none'", html)

[<Fact>]
let ``a page is written whole, the same bytes each time`` () =
    let folder = Directory.CreateTempSubdirectory().FullName

    try
        let path = Path.Combine(folder, "report.html")

        let bytes () : byte[] =
            Page.write path page |> Error.orRaise
            File.ReadAllBytes path

        let first = bytes ()
        Assert.Equal<byte[]>(first, bytes ())
        Assert.DoesNotContain(13uy, first)
        Assert.Equal<string[]>([| path |], Directory.GetFiles folder)
        Assert.Equal(Page.toHtml page, File.ReadAllText path)
    finally
        Directory.Delete(folder, true)

[<Fact>]
let ``the script that draws is embedded where npm brought it, and left out where no figure is`` () =
    let script =
        Path.Combine(
            Support.root,
            "npm/node_modules/plotly.js-cartesian-dist-min/plotly-cartesian.min.js"
        )

    let html = Page.toHtml page

    if File.Exists script then
        Assert.Contains("Licensed under the MIT license", html)
        Assert.Contains("Plotly.newPlot", html)
        let closing = Regex.Matches(html, "</script").Count
        Assert.Equal(3, closing)

    let words =
        { page with Sections = [ { Title = "t"; Blocks = [ Block.Paragraph "w" ] } ] }

    Assert.DoesNotContain("<script", Page.toHtml words)

[<Fact>]
let ``series of different lengths are refused`` () =
    let refused (mark: Mark) (x: float[]) (y: float[]) : unit =
        Assert.Throws<ArgumentException>(fun () -> Series.create mark Colour.Blue "s" x y |> ignore)
        |> ignore

    refused Mark.Line [| 1.0 |] [| 1.0; 2.0 |]
    refused (Mark.Band [| 1.0; 2.0 |]) [| 1.0 |] [| 1.0 |]

// ---- The page of a job

let private report: SurrogateReport =
    let deviations (mse: float) : Deviations =
        {
            Points = 500
            Mse = mse
            Mae = 0.04
            Largest = 0.3
            Bias = 0.0
            Accurate = 0.75
        }

    {
        Model = "search & <find>"
        Pois = 1
        Nuisances = 94
        Recipe = "funlik"
        Network = "95 to 256 to 1"
        Labels = [ "to learn from", 10000L ]
        ExactCalls = [ "mode", 812L; "sampling", 400000L ]
        Accuracy =
            {
                Slices =
                    [
                        {
                            Slice = "posterior"
                            Surrogate = deviations 0.0031
                            Quadratic = deviations 0.17
                        }
                        {
                            Slice = "ridge"
                            Surrogate = deviations 0.0042
                            Quadratic = deviations 0.5
                        }
                    ]
                Profiles =
                    [
                        {
                            Exact =
                                {
                                    Parameter = "mu"
                                    X = [| 0.0; 0.5 |]
                                    TMu = [| 1.0; 0.25 |]
                                    Converged = true
                                    Evaluations = 10
                                }
                            Learnt = [| 1.01; 0.22 |]
                            Quadratic = [| 1.5; 0.25 |]
                            Converged = true
                        }
                    ]
            }
        History =
            [
                { Epoch = 1; TrainingLoss = 0.5; ValidationLoss = 0.6 }
                { Epoch = 2; TrainingLoss = 0.1; ValidationLoss = 0.2 }
                { Epoch = 3; TrainingLoss = 0.05; ValidationLoss = 0.3 }
            ]
        Checks = [ "the mode is found", Some true; "ONNX Runtime agrees", None ]
        Agreement = Agreement.NotChecked "the library is not here"
        Hashes = [ "model", "00ff" ]
    }

[<Fact>]
let ``the page of a job tells the numbers of its record`` () =
    let page = SurrogateReport.toPage report
    let root = parsed page
    let highlights = named "header" root |> List.exactlyOne |> texts "dd"
    Assert.Equal<string list>([ "0.00310"; "0.00420"; "0.0200"; "400,812" ], highlights)

    let curves, training =
        match Page.toHtmlWith (Some "") page |> plots with
        | [ curves; training ] -> curves, training
        | other -> failwith $"{other.Length} figures"

    let y (plot: Json) : float list list =
        plot
        |> field "data"
        |> itemsOf
        |> List.map (field "y" >> Json.numbers >> Error.orRaise >> List.ofArray)

    Assert.Equal<float list list>(
        [ [ 1.5; 0.25 ]; [ 1.01; 0.22 ]; [ 1.0; 0.25 ]; [ 1.01 - 1.0; 0.22 - 0.25 ] ],
        y curves
    )

    Assert.Equal<float list list>([ [ 0.5; 0.1; 0.05 ]; [ 0.6; 0.2; 0.3 ] ], y training)

    Assert.Contains(texts "figcaption" root, fun text -> text.Contains "epoch 2")
    Assert.Contains("All checks that were made passed", root.Value)

    let rows =
        named "tr" root |> List.map (fun row -> named "td" row |> List.map _.Value)

    Assert.Contains<string list>([ "mu"; "2"; "0.0200"; "0.250" ], rows)
    Assert.Contains("not checked: the library is not here", root.Value)

[<Fact>]
let ``a failed check is told at the head of the page, and a job without profile and history has a page``
    ()
    =
    let page =
        { report with
            Accuracy = { report.Accuracy with Profiles = [] }
            History = []
            Checks = [ "the network beats the quadratic", Some false ]
        }
        |> SurrogateReport.toPage

    Assert.Contains("These checks failed: the network beats the quadratic", page.Summary)
    Assert.Empty(parsed page |> named "figure")
