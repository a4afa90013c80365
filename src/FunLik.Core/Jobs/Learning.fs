namespace FunLik

/// `funlik train`: a job of few words.
[<RequireQualifiedAccess>]
module Learning =

    /// The job that a request stands for. Few labels are of fewer chains.
    let job (request: TrainRequest) : Job =
        let labels =
            match request.Evaluations, request.Source.Data with
            | Some count, _ -> count
            | None, Some _ -> System.Int32.MaxValue
            | None, None -> Job.defaultLabels

        let usual = Job.create request.Source request.Out
        let chains = min usual.Sampling.Chains (max 6 (labels / 4))

        { usual with
            Seed = request.Seed
            Labels = labels
            Sampling = { usual.Sampling with Chains = chains; TestChains = max 1 (chains / 8) }
            Recipe = request.Recipe
        }

    /// What machines are told of a card.
    let private json
        (seconds: float)
        (folder: string)
        (card: Json)
        : Result<JsonValue, Error list> =
        let mse (metrics: Json) : Result<(string * JsonValue) list, Error list> =
            Json.entries metrics
            |> Result.bind (
                List.filter (fun (_, json) ->
                    json.Element.ValueKind = System.Text.Json.JsonValueKind.Object)
                >> List.map (fun (design, json) ->
                    json
                    |> Json.field "surrogate" (Json.field "mse" Json.float)
                    |> Result.map (fun mse -> design, JsonValue.Number mse))
                >> Error.collect
            )

        let tMu (metrics: Json) : Result<(string * JsonValue) list, Error list> =
            metrics
            |> Json.field
                "profile"
                (Json.list (fun profile ->
                    Validation.map2
                        (fun parameter error -> parameter, JsonValue.Number error)
                        (Json.field "parameter" Json.text profile)
                        (Json.field "tMuError" Json.float profile)))

        let calls (json: Json) : Result<JsonValue, Error list> = Ok(Json.toValue json)

        Ok(fun labels calls mse tMu accurate ->
            JsonValue.Object
                [
                    "labels", JsonValue.Int(int64 labels)
                    "exactCalls", calls
                    "mse", JsonValue.Object mse
                    "tMuError", JsonValue.Object tMu
                    "accurate", JsonValue.Number accurate
                    "seconds", JsonValue.Number seconds
                    "bundle", JsonValue.Text folder
                ])
        |> Validation.apply (Json.field "labels" (Json.field "train" Json.int) card)
        |> Validation.apply (Json.field "exactCalls" calls card)
        |> Validation.apply (Json.field "metrics" mse card)
        |> Validation.apply (Json.field "metrics" tMu card)
        |> Validation.apply (Json.field "metrics" (Json.field "accurate" Json.float) card)

    /// Trains as it was asked.
    let run (context: VerbContext) (request: TrainRequest) : Result<Report, Error list> =
        let started = context.Clock()

        Pipeline.run context (job request)
        |> Result.bind (fun found ->
            let seconds = (context.Clock() - started).TotalSeconds
            Pipeline.report (json seconds) found)
