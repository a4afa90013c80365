namespace FunLik

/// A scan off draws, and the exact one.
type DrawScan =
    {
        /// The parameter.
        Parameter: string
        /// The draws.
        Draws: int
        /// The scans, width by width.
        Profiles: DrawProfile list
        /// The exact scan at the same values, where there is a model.
        Exact: Scan option
        /// What a user should know, as clauses.
        Notes: string list
    }

/// `funlik scan --draws`.
[<RequireQualifiedAccess>]
module DrawScanning =

    let private allLabels (folder: string) : Result<LabelSet, Error list> =
        LabelFiles.readManifest folder
        |> Result.bind (fun manifest ->
            [ LabelUse.Train; LabelUse.Test ]
            |> List.map (LabelFiles.read folder)
            |> Error.collect
            |> Result.map (LabelSet.concat (manifest.Parameters |> Array.map _.Name)))

    /// Reads scans off draws, and makes the exact one of a model.
    let run
        (context: VerbContext)
        (request: DrawScanRequest)
        (exact: Likelihood option)
        : Result<DrawScan, Error list> =
        result {
            context.Progress { Stage = "reading draws"; Done = 0L; Total = 0L }
            let! labels = allLabels request.Draws
            let x = Scanning.evenly request.From request.To request.Count

            let! () =
                match exact with
                | None -> Ok()
                | Some model ->
                    JobContext.sameParameters "the draws are" request.Draws labels.Parameters model

            let widths =
                if request.Widths.IsEmpty then
                    DrawProfile.widths
                else
                    request.Widths

            let profiles = DrawProfile.ofLabels None widths x request.Parameter labels

            let scan =
                exact
                |> Option.map (fun model ->
                    Scanning.run
                        context
                        {
                            Parameter = request.Parameter
                            From = request.From
                            To = request.To
                            Count = request.Count
                            Held = Held.Nothing
                        }
                        model)

            let empty =
                profiles
                |> List.filter (fun p -> p.Draws |> Array.contains 0)
                |> List.map (fun p ->
                    let count = p.Draws |> Array.filter ((=) 0) |> Array.length
                    $"{count} of {x.Length} bins of width {p.Width} have no draws")

            let pulls = labels.Prior |> Array.distinct |> Array.truncate 2

            return
                {
                    Parameter = request.Parameter
                    Draws = labels.Count
                    Profiles = profiles
                    Exact = scan
                    Notes =
                        [
                            if pulls.Length > 1 then
                                "the priors of the draws are not flat: t is of the density with them"
                            yield! scan |> Option.map _.Notes |> Option.defaultValue []
                            yield! empty
                        ]
                }
        }

    let private errorsOf (found: DrawScan) : DrawProfileError list =
        match found.Exact with
        | Some scan -> found.Profiles |> List.map (DrawProfile.errors scan.TwiceDeltaNll)
        | None -> []

    let private profileJson (profile: DrawProfile) : JsonValue =
        JsonValue.Object
            [
                "width", JsonValue.Number profile.Width
                "twiceDeltaNll", JsonValue.Numbers profile.TwiceDeltaNll
                "draws", profile.Draws |> Array.map float |> JsonValue.Numbers
            ]

    let private errorJson (e: DrawProfileError) : JsonValue =
        JsonValue.Object
            [
                "width", JsonValue.Number e.Width
                "bias", JsonValue.Number e.Bias
                "meanError", JsonValue.Number e.Error
                "largestError", JsonValue.Number e.Largest
                "bins", JsonValue.Int(int64 e.Bins)
            ]

    /// What the verb says.
    let report (found: DrawScan) : Report =
        let x = found.Profiles.Head.X

        let shown (t: float) : string =
            if System.Double.IsNaN t then
                ""
            else
                TextTable.fixedPoint 4 t

        let isConverged =
            match found.Exact with
            | Some scan ->
                scan.Minimum.Status.IsConverged && scan.Status |> Array.forall _.IsConverged
            | None -> true

        {
            Converged = isConverged
            Json =
                JsonValue.Object(
                    [
                        "parameter", JsonValue.Text found.Parameter
                        "x", JsonValue.Numbers x
                        "draws", JsonValue.Int(int64 found.Draws)
                        "profiles", found.Profiles |> List.map profileJson |> JsonValue.List
                        "exact", found.Exact |> JsonValue.ofOption Scanning.json
                        "errors", errorsOf found |> List.map errorJson |> JsonValue.List
                        "notes", JsonValue.ofTexts found.Notes
                    ]
                )
            Text =
                [
                    $"twice ΔNLL along {found.Parameter} off {TextTable.count (int64 found.Draws)} draws: the largest log density in bins of a width"
                    ""
                ]
                @ TextTable.lines
                    [
                        TextTable.numbers found.Parameter
                        if found.Exact.IsSome then
                            TextTable.numbers "exact"
                        for p in found.Profiles do
                            TextTable.numbers $"width {p.Width}"
                    ]
                    [
                        for k in 0 .. x.Length - 1 ->
                            [
                                TextTable.significant 8 x[k]
                                match found.Exact with
                                | Some scan -> shown scan.TwiceDeltaNll[k]
                                | None -> ()
                                for p in found.Profiles do
                                    shown p.TwiceDeltaNll[k]
                            ]
                    ]
                @ (match errorsOf found with
                   | [] -> []
                   | errors ->
                       ""
                       :: TextTable.lines
                           [
                               TextTable.numbers "width"
                               TextTable.numbers "bias of t"
                               TextTable.numbers "mean error"
                               TextTable.numbers "largest"
                               TextTable.numbers "bins"
                           ]
                           [
                               for e in errors ->
                                   [
                                       string e.Width
                                       shown e.Bias
                                       shown e.Error
                                       shown e.Largest
                                       string e.Bins
                                   ]
                           ])
            Notes = found.Notes
        }
