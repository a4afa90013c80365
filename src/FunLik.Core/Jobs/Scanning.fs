namespace FunLik

/// `funlik scan`.
[<RequireQualifiedAccess>]
module Scanning =

    /// Evenly spaced values, both ends among them.
    let evenly (first: float) (last: float) (count: int) : float[] =
        if count = 1 then
            [| first |]
        else
            Array.init count (fun i ->
                if i = count - 1 then
                    last
                else
                    first + (last - first) * float i / float (count - 1))

    /// Scans a model as it was asked.
    let run (context: VerbContext) (request: ScanRequest) (model: Likelihood) : Scan =
        Hold.valuesOf [ request.Parameter ] request.Held model
        |> Error.orRaise
        |> ignore

        let options =
            {
                Fit =
                    { FitOptions.Default with
                        Run = context.Options
                        Covariance = true
                        Fixed = request.Held.Fix
                    }
                Frozen = request.Held.Frozen
            }

        context.Progress { Stage = "scanning"; Done = 0L; Total = 0L }
        let values = evenly request.From request.To request.Count
        Profile.scanWith options request.Parameter values model

    /// The starts that reached the best point of a fit.
    let private startsOf (fit: Fit) : float =
        match fit.Minima with
        | best :: _ -> float best.Starts
        | [] -> 0.0

    /// A scan as JSON.
    let json (scan: Scan) : JsonValue =
        JsonValue.Object
            [
                "parameter", JsonValue.Text scan.Parameter
                "x", JsonValue.Numbers scan.X
                "twiceDeltaNll", JsonValue.Numbers scan.TwiceDeltaNll
                "status", scan.Status |> Array.map Fitting.statusName |> JsonValue.ofTexts
                "gradientNorm", scan.Fits |> Array.map _.GradientNorm |> JsonValue.Numbers
                "edm", scan.Fits |> Array.map _.Edm |> JsonValue.Numbers
                "starts", scan.Fits |> Array.map startsOf |> JsonValue.Numbers
                "activeBounds",
                JsonValue.List
                    [
                        for fit in scan.Fits ->
                            fit.ActiveBounds |> List.map Fitting.boundJson |> JsonValue.List
                    ]
                "minimum", Fitting.json scan.Minimum
                "frozen", JsonValue.Bool scan.Frozen
                "evaluations", JsonValue.Int(int64 scan.Evaluations)
                "notes", JsonValue.ofTexts scan.Notes
            ]

    /// Which parameters pressed against a bound, and at how many of the values.
    let private boundNotes (scan: Scan) : string list =
        scan.Fits
        |> Seq.collect _.ActiveBounds
        |> Seq.countBy id
        |> Seq.map (fun (bound, count) ->
            $"{bound.Parameter} is at its {Fitting.sideName bound.Side} bound {TextTable.significant 8 bound.Value} "
            + $"at {count} of {scan.X.Length} values")
        |> List.ofSeq

    /// What the verb says.
    let report (scan: Scan) : Report =
        let best =
            scan.Minimum.Parameters
            |> Array.find (fun (name, _) -> name = scan.Parameter)
            |> snd

        let relativeTo =
            if scan.Frozen then
                "the line's own minimum, the other pois at their nominal values"
            else
                "the global minimum"

        {
            Converged = scan.Minimum.Status.IsConverged && scan.Status |> Array.forall _.IsConverged
            Json = json scan
            Text =
                TextTable.lines
                    [
                        TextTable.numbers scan.Parameter
                        TextTable.numbers "twiceDeltaNll"
                        TextTable.words "status"
                    ]
                    (List.zip3
                        (List.ofArray scan.X)
                        (List.ofArray scan.TwiceDeltaNll)
                        (List.ofArray scan.Status)
                     |> List.map (fun (x, t, status) ->
                         [
                             TextTable.significant 8 x
                             TextTable.fixedPoint 8 t
                             Fitting.statusName status
                         ]))
                @ [
                    ""
                    $"relative to {relativeTo}: twiceNll {TextTable.fixedPoint 8 scan.Minimum.TwiceNll} "
                    + $"at {scan.Parameter} = {TextTable.fixedPoint 8 best}, "
                    + Fitting.statusText scan.Minimum.Status
                ]
            Notes = scan.Notes @ boundNotes scan
        }
