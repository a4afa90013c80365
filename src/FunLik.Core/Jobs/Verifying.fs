namespace FunLik

/// `funlik verify`, and what `funlik inspect` says of a surrogate.
[<RequireQualifiedAccess>]
module Verifying =

    let private agreement (found: Agreement) : JsonValue =
        match found with
        | Agreement.Checked(version, _, largest) ->
            JsonValue.Object
                [
                    "version", JsonValue.Text version
                    "largestDifference", JsonValue.Number largest
                ]
        | Agreement.NotChecked reason -> JsonValue.Object [ "notChecked", JsonValue.Text reason ]

    /// Reads a bundle, whose files must be those of its card, and evaluates its test vectors anew.
    let run (context: VerbContext) (folder: string) : Result<Report, Error list> =
        context.Progress { Stage = "verifying"; Done = 0L; Total = 0L }

        Bundle.read folder
        |> Result.bind (fun bundle ->
            Bundle.verify context.Options bundle
            |> Result.map (fun found ->
                let shown = TextTable.significant 2

                {
                    Converged = true
                    Json =
                        JsonValue.Object
                            [
                                "status", JsonValue.Text "verified"
                                "files", bundle.Card.Files |> List.map fst |> JsonValue.ofTexts
                                "points", JsonValue.Int(int64 found.Points)
                                "largestDifference", JsonValue.Number found.Engine
                                "onnxRuntime", agreement found.OnnxRuntime
                                "tolerance", JsonValue.Number Bundle.tolerance
                            ]
                    Text =
                        [
                            $"{folder}: {bundle.Card.Files.Length} files are those of the card"
                            $"{found.Points} test vectors come out again: the largest difference is {shown found.Engine} of max(1, |y|)"
                            match found.OnnxRuntime with
                            | Agreement.Checked(version, _, largest) ->
                                $"ONNX Runtime {version}: {shown largest}"
                            | Agreement.NotChecked reason ->
                                $"ONNX Runtime: not checked ({reason})"
                        ]
                    Notes = []
                }))

    /// What a bundle's card says, for `funlik inspect`.
    let inspect (context: VerbContext) (folder: string) : Result<Report, Error list> =
        Bundle.read folder
        |> Result.bind (fun bundle ->
            let card = bundle.Card

            Json.parseFile (System.IO.Path.Combine(folder, Bundle.cardFile))
            |> Result.bind (Json.field "metrics" CardText.metrics)
            |> Result.map (fun metrics ->
                {
                    Converged = true
                    Json =
                        JsonValue.Object
                            [
                                "folder", JsonValue.Text folder
                                "kind", JsonValue.Text "surrogate"
                                "card", card.Json
                            ]
                    Text =
                        [
                            $"{card.Model}: a surrogate of {card.Parameters.Length} parameters"
                            $"  folder   {folder}"
                            $"  recipe   {card.Recipe}"
                            $"  model    SHA-256 {card.ModelSha256}"
                            $"  written by FunLik {card.Version}"
                            ""
                        ]
                        @ metrics
                        @ [ "" ]
                        @ Inspection.machineLines context
                    Notes = []
                }))
