namespace FunLik

/// What a surrogate's card says, for people.
[<RequireQualifiedAccess>]
module CardText =

    let private significant (digits: int) (json: Json) : Result<string, Error list> =
        Json.float json |> Result.map (TextTable.significant digits)

    /// The designs among the metrics, in their order.
    let private designs (metrics: Json) : Result<(string * Json) list, Error list> =
        Json.entries metrics
        |> Result.map (List.filter (fun (name, _) -> name <> "profile" && name <> "accurate"))

    let private accuracy (metrics: Json) : Result<string list, Error list> =
        let row (design: string) (name: string) (json: Json) : Result<string list, Error list> =
            let metric (field: string) = Json.field field (significant 3) json

            let points =
                Json.field "points" Json.int json |> Result.map (int64 >> TextTable.count)

            [ Ok design; Ok name; points; metric "mse"; metric "mae"; metric "max" ]
            |> Error.collect

        let rows (design: string, json: Json) : Result<string list list, Error list> =
            [
                Json.field "surrogate" (row design "learnt") json
                Json.field "quadratic" (row "" "quadratic alone") json
            ]
            |> Error.collect

        designs metrics
        |> Result.bind (List.map rows >> Error.collect)
        |> Result.map (
            List.concat
            >> TextTable.lines
                [
                    TextTable.words "points of"
                    TextTable.words ""
                    TextTable.numbers "number"
                    TextTable.numbers "MSE [log units²]"
                    TextTable.numbers "MAE [log units]"
                    TextTable.numbers "largest [log units]"
                ]
        )

    let private profiles (metrics: Json) : Result<string list, Error list> =
        let line (json: Json) : Result<string, Error list> =
            Ok(fun parameter (x: float list) error quadratic ->
                $"t of {parameter} at {x.Length} values from {TextTable.significant 4 x.Head} to "
                + $"{TextTable.significant 4 (List.last x)}: mean error {error}, of the quadratic {quadratic}")
            |> Validation.apply (Json.field "parameter" Json.text json)
            |> Validation.apply (Json.field "x" (Json.list Json.float) json)
            |> Validation.apply (Json.field "tMuError" (significant 3) json)
            |> Validation.apply (Json.field "quadraticTMuError" (significant 3) json)

        metrics |> Json.field "profile" (Json.list line)

    /// Tables and lines on how good a surrogate is.
    let metrics (json: Json) : Result<string list, Error list> =
        Validation.map3
            (fun table lines accurate ->
                table
                @ [ "" ]
                @ lines
                @ [
                    $"off by no more than 0.05 or 1 %% of ΔNLL: {TextTable.significant 4 (100.0 * accurate)} %% of the points"
                ])
            (accuracy json)
            (profiles json)
            (Json.field "accurate" Json.float json)

    /// What was spent.
    let calls (card: Json) : Result<string list, Error list> =
        card
        |> Json.field "exactCalls" Json.entries
        |> Result.bind (fun entries ->
            entries
            |> List.map (fun (name, json) ->
                Json.float json |> Result.map (fun c -> [ name; TextTable.count (int64 c) ]))
            |> Error.collect)
        |> Result.map (
            TextTable.lines
                [ TextTable.words "exact calls (a gradient is one more)"; TextTable.numbers "" ]
        )

    /// Whether ONNX Runtime agrees, in one line.
    let runtime (card: Json) : Result<string, Error list> =
        card
        |> Json.field "onnxRuntime" (fun json ->
            Json.optionalField "notChecked" Json.text json
            |> Result.bind (function
                | Some reason -> Ok $"ONNX Runtime: not checked ({reason})"
                | None ->
                    Validation.map3
                        (fun version largest tolerance ->
                            $"ONNX Runtime {version}: largest difference {largest} of max(1, |y|), at most {tolerance}")
                        (Json.field "version" Json.text json)
                        (Json.field "largestDifference" (significant 2) json)
                        (Json.field "tolerance" (significant 2) json)))

    /// The checks that failed, one line each.
    let failed (card: Json) : Result<string list, Error list> =
        card
        |> Json.field "checks" Json.entries
        |> Result.map (fun entries ->
            entries
            |> List.choose (fun (name, json) ->
                match Json.bool json with
                | Ok false -> Some $"check failed: it is not so that {name}"
                | _ -> None))
