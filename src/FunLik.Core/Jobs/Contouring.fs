namespace FunLik

/// `funlik contour`.
[<RequireQualifiedAccess>]
module Contouring =

    /// Scans a grid as it was asked, and draws the contours.
    let run
        (context: VerbContext)
        (request: ContourRequest)
        (model: Likelihood)
        : GridScan * Contour list =
        Hold.valuesOf [ request.X.Parameter; request.Y.Parameter ] request.Held model
        |> Error.orRaise
        |> ignore

        let options =
            {
                Fit = { FitOptions.Default with Run = context.Options; Fixed = request.Held.Fix }
                Frozen = request.Held.Frozen
            }

        let levels =
            match request.Levels with
            | [] -> ConfidenceLevel.usual 2
            | levels -> levels |> List.map (ConfidenceLevel.ofProbability 2)

        let values (axis: ContourAxis) : string * float[] =
            axis.Parameter, Scanning.evenly axis.From axis.To request.Count

        context.Progress { Stage = "scanning"; Done = 0L; Total = 0L }
        let scan = GridScan.scanWith options [ values request.X; values request.Y ] model
        scan, Contour.ofScan levels scan

    let private lineJson (line: ContourLine) : JsonValue =
        JsonValue.Object
            [
                "closed", JsonValue.Bool line.IsClosed
                "x", line.Points |> Array.map (fun (struct (x, _)) -> x) |> JsonValue.Numbers
                "y", line.Points |> Array.map (fun (struct (_, y)) -> y) |> JsonValue.Numbers
            ]

    let private contourJson (contour: Contour) : JsonValue =
        JsonValue.Object
            [
                "probability", JsonValue.Number contour.Level.Probability
                "twiceDeltaNll", JsonValue.Number contour.Level.TwiceDeltaNll
                "label", JsonValue.Text(ConfidenceLevel.label contour.Level)
                "lines", contour.Lines |> List.map lineJson |> JsonValue.List
            ]

    /// What the verb says.
    let report (scan: GridScan, contours: Contour list) : Report =
        let isBad (t: float) (status: FitStatus) : bool =
            System.Double.IsFinite t && not status.IsConverged

        let lost =
            Array.map2 isBad scan.TwiceDeltaNll scan.Status
            |> Array.filter id
            |> Array.length

        let notes =
            scan.Notes
            @ [
                if lost > 0 then
                    $"{lost} points of the grid did not converge"
                for contour in contours do
                    if contour.Lines.IsEmpty then
                        $"no line at {ConfidenceLevel.label contour.Level}: the grid does not cross it"
            ]

        let best (name: string) : float =
            scan.Minimum.Parameters |> Array.find (fst >> (=) name) |> snd

        {
            Converged = scan.Minimum.Status.IsConverged && lost = 0
            Json =
                JsonValue.Object
                    [
                        "parameters", JsonValue.ofTexts scan.Parameters
                        "x", JsonValue.Numbers scan.Axes[0]
                        "y", JsonValue.Numbers scan.Axes[1]
                        "twiceDeltaNll",
                        scan.TwiceDeltaNll
                        |> Array.chunkBySize scan.Axes[1].Length
                        |> Array.map JsonValue.Numbers
                        |> List.ofArray
                        |> JsonValue.List
                        "contours", contours |> List.map contourJson |> JsonValue.List
                        "minimum", Fitting.json scan.Minimum
                        "frozen", JsonValue.Bool scan.Frozen
                        "lost", JsonValue.Int(int64 lost)
                        "evaluations", JsonValue.Int(int64 scan.Evaluations)
                        "notes", JsonValue.ofTexts notes
                    ]
            Text =
                [
                    for name in scan.Parameters do
                        $"best {name} = {TextTable.significant 8 (best name)}"
                    ""
                ]
                @ TextTable.lines
                    [ TextTable.words "level"; TextTable.words "line"; TextTable.numbers "points" ]
                    [
                        for contour in contours do
                            for line in contour.Lines ->
                                [
                                    ConfidenceLevel.label contour.Level
                                    (if line.IsClosed then "closed" else "open")
                                    string line.Points.Length
                                ]
                    ]
                @ [ ""; "--json prints the points of the lines" ]
            Notes = notes
        }
