module FunLik.Tests.ResultPageTests

open System
open System.IO
open System.Text
open System.Xml.Linq
open Xunit
open FunLik

// A normal measurement of two parameters of interest with two nuisances that are measured: smooth, and quick.
let private model: Likelihood =
    likelihood {
        let! a = poi "a" (flat -5.0 5.0)
        let! b = poi "b" (flat -5.0 5.0)
        let! shift = nuisance "shift <&>" standardNormal
        let! scale = nuisance "scale" standardNormal

        do!
            gaussian
                [| 1.0; 0.5; 2.0 |]
                [| 0.3; 0.4; 0.5 |]
                (Expr.concat [ a + 0.3 * shift; b + 0.2 * scale; a + b + 0.1 * shift ])
    }

let private counting: Likelihood =
    likelihood {
        let! mu = poi "mu" (flat -1.0 10.0)
        let! theta = nuisances "background" 2 standardNormal
        do! poisson [| 14; 9 |] (mu * [| 3.1; 4.2 |] + [| 10.4; 4.7 |] + theta * [| 0.8; 0.5 |])
    }

let private scan = Profile.scan "a" [ -1.0 .. 0.25..2.0 ] model
let private intervals = Interval.find "a" model

let private grid =
    GridScan.scan [ "a", [| -1.0 .. 0.25..3.0 |]; "b", [| -1.0 .. 0.25..3.0 |] ] model

let private contours = Contour.ofScan (ConfidenceLevel.usual 2) grid
let private impacts = Impact.all FitOptions.Default (Some "a") model

let private tester =
    HypothesisTest.prepare RunOptions.Single TestStatistic.QTilde None counting

let private limit = Limit.upper RunOptions.Single 0.95 tester

let private tests =
    HypothesisTest.tests RunOptions.Single tester [| 0.0..0.5..4.0 |]

let private toys = Toys.test RunOptions.Single tester 1.0 200 (Key.ofSeed 1)

let private seriesOf (panel: int) (figure: Figure) : Series list = figure.Panels[panel].Series

let private named (name: string) (series: Series list) : Series =
    series |> List.filter (fun s -> s.Name.StartsWith name) |> List.exactlyOne

// ---- Figures show the numbers of what was found

[<Fact>]
let ``a scan is a line, in rising order, with the levels that it reaches`` () =
    let reversed =
        { scan with
            X = Array.rev scan.X
            TwiceDeltaNll = Array.rev scan.TwiceDeltaNll
            Fits = Array.rev scan.Fits
        }

    let series =
        ResultFigure.scans [ "profiled", scan; "again", reversed ] |> seriesOf 0

    for name in [ "profiled"; "again" ] do
        let line = named name series
        Assert.Equal<float[]>(scan.X, line.X)
        Assert.Equal<float[]>(scan.TwiceDeltaNll, line.Y)

    Assert.Equal<float list>([ 1.0; 3.84 ], series |> List.skip 2 |> List.map _.Y[0])

[<Fact>]
let ``intervals are drawn piece by piece at the height of their level`` () =
    let series = ResultFigure.intervals intervals |> seriesOf 0

    for interval, drawn in List.zip intervals.Intervals series.Tail do
        let ends = interval.Pieces |> List.collect (fun p -> [ p.Low.Value; p.High.Value ])

        Assert.Equal<float list>(ends, drawn.X |> Array.filter Double.IsFinite |> List.ofArray)
        Assert.All(drawn.Y, (fun y -> Assert.Equal(interval.Level.TwiceDeltaNll, y)))

    // Two pieces are two lines.
    let end' (x: float) : IntervalEnd = { Value = x; Kind = IntervalEndKind.Crossing; Point = [||] }

    let apart =
        { intervals with
            Intervals =
                [
                    {
                        Level = ConfidenceLevel.ofTwiceDeltaNll 1 1.0
                        Pieces =
                            [
                                { Low = end' -1.0; High = end' 0.0 }
                                { Low = end' 1.0; High = end' 2.0 }
                            ]
                    }
                ]
        }

    let drawn = (ResultFigure.intervals apart |> seriesOf 0).Tail |> List.exactlyOne
    Assert.Equal<float[]>([| -1.0; 0.0; nan; 1.0; 2.0 |], drawn.X)

[<Fact>]
let ``contours are closed where they are, and the best point is in them`` () =
    let series = ResultFigure.contours grid contours |> seriesOf 0

    for contour, drawn in List.zip contours (List.truncate contours.Length series) do
        let line = List.exactlyOne contour.Lines
        Assert.True line.IsClosed
        Assert.Equal(line.Points.Length + 1, drawn.X.Length)
        Assert.Equal((drawn.X[0], drawn.Y[0]), (Array.last drawn.X, Array.last drawn.Y))
        Assert.Equal(ConfidenceLevel.label contour.Level, drawn.Name)

    Assert.Equal<float[]>([| grid.Minimum.Point[0] |], (named "best fit" series).X)

[<Fact>]
let ``pulls and impacts are in the order of their rank, and no more than asked for`` () =
    let figure = ResultFigure.impacts 1 impacts
    Assert.True figure.IsTurned
    Assert.Equal<string[]>([| impacts.Impacts.Head.Name |], figure.X.Names)
    Assert.Contains("1 nuisances", figure.Caption)
    let all = ResultFigure.impacts 30 impacts
    Assert.Equal<string list>(impacts.Impacts |> List.map _.Name, List.ofArray all.X.Names)

    let numbers (pick: Impact -> float) : float[] = impacts.Impacts |> List.map pick |> Array.ofList

    Assert.Equal<float[]>(numbers _.Pull.Value, (seriesOf 0 all |> named "pull").Y)

    match (seriesOf 0 all |> named "pull").Mark with
    | Mark.Errors(lower, upper) ->
        Assert.Equal<float[]>(numbers (fun i -> i.Pull.Value - i.Narrowing.Value), lower)
        Assert.Equal<float[]>(numbers (fun i -> i.Pull.Value + i.Narrowing.Value), upper)
    | other -> Assert.Fail $"{other}"

    Assert.Equal<float[]>(
        numbers _.AfterData.Value.Up,
        (seriesOf 1 all |> named "held up, after").Y
    )

    Assert.Equal<float[]>(
        numbers _.BeforeData.Value.Down,
        (seriesOf 1 all |> named "held down, before").Y
    )

[<Fact>]
let ``CLs has its bands, from narrow to wide, and the level`` () =
    let series = ResultFigure.cls "mu" 0.95 (Array.rev tests) |> seriesOf 0
    let observed = named "observed" series
    Assert.Equal<float[]>(tests |> Array.map _.Mu, observed.X)
    Assert.Equal<float[]>(tests |> Array.map _.Observed.Cls, observed.Y)
    let median = named "expected" (series |> List.filter (fun s -> s.Name = "expected"))
    Assert.Equal<float[]>(tests |> Array.map _.Expected[2].Cls, median.Y)

    let band (name: string) : float[] * float[] =
        let series = named name series

        match series.Mark with
        | Mark.Band upper -> series.Y, upper
        | other -> failwith $"{other}"

    let (low1, high1), (low2, high2) = band "expected ± 1σ", band "expected ± 2σ"

    for k in 0 .. tests.Length - 1 do
        Assert.True(low2[k] <= low1[k] && low1[k] <= median.Y[k])
        Assert.True(median.Y[k] <= high1[k] && high1[k] <= high2[k])

    Assert.Equal(0.05, (named "CLs of " series).Y[0], 12)

[<Fact>]
let ``all toys are in the bins`` () =
    let series = ResultFigure.toys "qtilde" "mu" toys |> seriesOf 0

    for name in [ "with signal"; "without signal" ] do
        // An empty bin is drawn at half a toy.
        let bins = (named name series).Y |> Array.filter (fun part -> part > 0.75 / 200.0)
        Assert.Equal(1.0, Array.sum bins, 12)

// ---- On its side

let private plot (figure: Figure) : Json =
    use stream = new MemoryStream()
    JsonValue.writeLine stream (Plotly.ofFigure figure)
    Json.parse (Encoding.UTF8.GetString(stream.ToArray())) |> Error.orRaise

let private at (path: string list) (json: Json) : Json =
    path
    |> List.fold (fun json name -> Json.property name json |> Error.orRaise) json

let private text (path: string list) (json: Json) : string =
    at path json |> Json.text |> Error.orRaise

[<Fact>]
let ``a figure on its side has names down, and its panels beside each other`` () =
    let json = ResultFigure.impacts 30 impacts |> plot
    Assert.Equal("category", text [ "layout"; "yaxis"; "type" ] json)
    Assert.Equal("reversed", text [ "layout"; "yaxis"; "autorange" ] json)
    Assert.Equal("y unified", text [ "layout"; "hovermode" ] json)

    let domain (axis: string) : float list =
        json
        |> at [ "layout"; axis; "domain" ]
        |> Json.items
        |> Error.orRaise
        |> List.map (Json.float >> Error.orRaise)

    Assert.Equal(0.0, (domain "xaxis")[0])
    Assert.True((domain "xaxis")[1] < (domain "xaxis2")[0])
    Assert.Equal(1.0, (domain "xaxis2")[1], 12)

    let traces = json |> at [ "data" ] |> Json.items |> Error.orRaise

    for trace in traces do
        let names =
            at [ "y" ] trace
            |> Json.items
            |> Error.orRaise
            |> List.map (Json.text >> Error.orRaise)

        Assert.Equal<string list>(
            impacts.Impacts
            |> List.map _.Name.Replace("&", "&amp;").Replace("<", "&lt;").Replace(">", "&gt;"),
            names
        )

    let bars = traces |> List.filter (fun trace -> text [ "type" ] trace = "bar")
    Assert.Equal(4, bars.Length)
    Assert.All(bars, (fun bar -> Assert.Equal("h", text [ "orientation" ] bar)))
    Assert.All(bars, (fun bar -> Assert.Equal("x2", text [ "xaxis" ] bar)))

[<Fact>]
let ``a figure whose lines turn back tells of the nearest point`` () =
    Assert.Equal(
        "closest",
        ResultFigure.contours grid contours |> plot |> text [ "layout"; "hovermode" ]
    )

    Assert.Equal(
        "x unified",
        ResultFigure.cls "mu" 0.95 tests |> plot |> text [ "layout"; "hovermode" ]
    )

// ---- Pages

let private pages: (string * Page) list =
    [
        "scan", ResultPage.ofScan "m" scan
        "intervals", ResultPage.ofIntervals "m" intervals
        "contours", ResultPage.ofContours "m" (grid, contours)
        "impacts", ResultPage.ofImpacts "m" impacts
        "limit", ResultPage.ofLimit "m" tester limit tests
        "toys", ResultPage.ofToys "m" "qtilde" tester toys
    ]

[<Fact>]
let ``every page is XML without the script, with one figure and its numbers`` () =
    for name, page in pages do
        let root = XDocument.Parse(Page.toHtmlWith None page).Root
        let count (element: string) : int = root.Descendants(XName.Get element) |> Seq.length
        Assert.True((count "figure" = 1), name)
        Assert.True(count "table" >= 2, name)
        Assert.StartsWith("m: ", (root.Descendants(XName.Get "h1") |> Seq.exactlyOne).Value)

[<Fact>]
let ``the limits of a page are those found`` () =
    let page = ResultPage.ofLimit "m" tester limit tests
    Assert.Equal(("observed limit", Cell.Number(limit.Observed, 5)), page.Highlights.Head)

// ---- The command line

[<Fact>]
let ``verbs write their page beside what they say, and others refuse to`` () =
    let folder = Directory.CreateTempSubdirectory().FullName
    let file (name: string) : string = Path.Combine(folder, name)

    let context: VerbContext =
        {
            Options = RunOptions.Single
            Progress = ignore
            Clock = fun () -> DateTimeOffset.UnixEpoch
        }

    let run (line: string) : Outcome = Commands.run context (line.Split ' ' |> List.ofArray)

    try
        File.WriteAllText(
            file "model.json",
            """{"kind": "counting", "name": "one bin", "poi": {"name": "mu", "bounds": [-2, 10], "nominal": 1},
                "channels": [{"name": "sr", "observed": [7], "signal": [3], "background": [4], "relativeUncertainty": [0.1]}]}"""
        )

        File.WriteAllText(file "points.json", """{"points": [[1], [0.5]]}""")
        let model = file "model.json"

        for verb in
            [
                "scan --parameter mu --from 0 --to 2 --count 5"
                $"""profile --keep mu --points {file "points.json"}"""
                "interval --parameter mu"
                "contour --x mu,0,2 --y sr.background[0],-1,1 --count 5"
                "impacts"
                "limit"
                "toys --mu 1 --toys 20"
            ] do
            let page = file (verb.Split(' ')[0] + ".html")
            let outcome = run $"{verb} --model {model} --page {page}"
            Assert.Equal(0, outcome.ExitCode)
            Assert.Contains("one bin: ", File.ReadAllText page)

            use without = new MemoryStream()
            use beside = new MemoryStream()
            (run $"{verb} --model {model}").Output without
            outcome.Output beside
            Assert.Equal<byte[]>(without.ToArray(), beside.ToArray())

        let refused = run $"""fit --model {model} --page {file "fit.html"}"""
        Assert.Equal(2, refused.ExitCode)
        Assert.False(File.Exists(file "fit.html"))

        let nowhere = run $"""impacts --model {model} --page {file "no/such/folder.html"}"""
        Assert.Equal(2, nowhere.ExitCode)
    finally
        Directory.Delete(folder, true)
