namespace FunLik

/// The state of the sampling of a posterior that takes labels, as JSON: numbers read back with the same bits, so that a run taken up from it
/// is the run that was not interrupted.
[<RequireQualifiedAccess>]
module PosteriorCheckpoint =

    let private schema = "funlik-chains/1"

    let private ofChains (chains: Chains) : JsonValue =
        JsonValue.Object
            [
                "step", JsonValue.Int(int64 chains.Step)
                "points", JsonValue.Numbers chains.Points
                "logDensity", JsonValue.Numbers chains.LogDensity
                "gradient", JsonValue.Numbers chains.Gradient
            ]

    let private ofCalls (calls: ExactCalls) : JsonValue =
        JsonValue.Object
            [
                "values", JsonValue.Int calls.Values
                "gradients", JsonValue.Int calls.Gradients
            ]

    /// What is needed to go on. Draws of the pilot are not: they were labels, or came between.
    let write (state: PosteriorState) : JsonValue =
        if not (state.Stage.IsLabelling || state.Stage.IsFinished) then
            invalidArg (nameof state) "only a state that takes labels is kept"

        let settings, pilot = state.Settings, state.Pilot

        let metric =
            match settings.Metric with
            | Metric.Diagonal scales -> "diagonal", scales
            | Metric.Dense factor -> "dense", factor

        JsonValue.Object
            [
                "schema", JsonValue.Text schema
                "isFinished", JsonValue.Bool state.Stage.IsFinished
                "stepSize", JsonValue.Number settings.StepSize
                "metric", JsonValue.Object [ fst metric, JsonValue.Numbers(snd metric) ]
                "trajectory", JsonValue.Number settings.Trajectory
                "jitter", JsonValue.Number settings.Jitter
                "maxSteps", JsonValue.Int(int64 settings.MaxSteps)
                "warmedUp", ofChains state.Warmup.Chains
                "chains", ofChains state.Chains
                "thin", JsonValue.Int(int64 state.Thin)
                "kept", JsonValue.Int(int64 state.Kept)
                "acceptance", JsonValue.Number state.Acceptance
                "divergences", JsonValue.Int(int64 state.Divergences)
                "tuningCalls", ofCalls state.TuningCalls
                "samplingCalls", ofCalls state.SamplingCalls
                "group", JsonValue.Int(int64 pilot.Group)
                "pilotAcceptance", JsonValue.Number pilot.Acceptance
                "pilotDivergences", JsonValue.Int(int64 pilot.Divergences)
                "bounces", JsonValue.Int(int64 pilot.Bounces)
                "minEss", JsonValue.Number pilot.MinEss
                "maxRHat", JsonValue.Number pilot.MaxRHat
            ]

    let private count (json: Json) : Result<int64, Error list> =
        Json.float json
        |> Result.bind (fun value ->
            if value >= 0.0 && value = floor value && value < 9e15 then
                Ok(int64 value)
            else
                Json.error ErrorKind.Value "not a count" json |> Error.fail)

    let private calls (json: Json) : Result<ExactCalls, Error list> =
        Validation.map2
            (fun values gradients -> { Values = values; Gradients = gradients })
            (Json.field "values" count json)
            (Json.field "gradients" count json)

    let private metric (dimension: int) (json: Json) : Result<Metric, Error list> =
        Json.optional "dense" json
        |> Result.bind (function
            | Some dense -> Json.floats (dimension * dimension) dense |> Result.map Metric.Dense
            | None ->
                Json.field "diagonal" (Json.floats dimension) json |> Result.map Metric.Diagonal)

    let private chains (dimension: int) (json: Json) : Result<Chains, Error list> =
        Ok(fun step points values gradient ->
            { Step = step; Points = points; LogDensity = values; Gradient = gradient })
        |> Validation.apply (Json.field "step" Json.int json)
        |> Validation.apply (Json.field "points" Json.numbers json)
        |> Validation.apply (Json.field "logDensity" Json.numbers json)
        |> Validation.apply (Json.field "gradient" Json.numbers json)
        |> Result.bind (fun chains ->
            let isWhole (gradient: float[]) : bool =
                gradient.Length = 0 || gradient.Length = chains.Points.Length

            if
                chains.Points.Length = dimension * chains.LogDensity.Length
                && isWhole chains.Gradient
            then
                Ok chains
            else
                Json.error
                    ErrorKind.Shape
                    "points, values and gradients of chains do not match"
                    json
                |> Error.fail)

    /// Reads what `write` wrote, of a density of these parameters.
    let read (names: string[]) (json: Json) : Result<PosteriorState, Error list> =
        let n = names.Length

        let settings =
            Ok(fun stepSize metric trajectory jitter maxSteps ->
                {
                    StepSize = stepSize
                    Metric = metric
                    Trajectory = trajectory
                    Jitter = jitter
                    MaxSteps = maxSteps
                })
            |> Validation.apply (Json.field "stepSize" Json.float json)
            |> Validation.apply (Json.field "metric" (metric n) json)
            |> Validation.apply (Json.field "trajectory" Json.float json)
            |> Validation.apply (Json.field "jitter" Json.float json)
            |> Validation.apply (Json.field "maxSteps" Json.int json)

        let pilot =
            Ok(fun group acceptance divergences bounces ess rHat (start: Chains) ->
                { Sampling.init names start with
                    Group = group
                    Acceptance = acceptance
                    Divergences = divergences
                    Bounces = bounces
                    MinEss = ess
                    MaxRHat = rHat
                    Status = SamplingStatus.Reached
                })
            |> Validation.apply (Json.field "group" Json.int json)
            |> Validation.apply (Json.field "pilotAcceptance" Json.float json)
            |> Validation.apply (Json.field "pilotDivergences" Json.int json)
            |> Validation.apply (Json.field "bounces" Json.int json)
            |> Validation.apply (Json.field "minEss" Json.float json)
            |> Validation.apply (Json.field "maxRHat" Json.float json)

        Ok
            (fun
                ()
                isFinished
                (settings: HamiltonianSettings)
                pilot
                warmedUp
                chains
                thin
                kept
                acceptance
                divergences
                tuning
                sampling ->
                {
                    Stage =
                        if isFinished then
                            PosteriorStage.Finished
                        else
                            PosteriorStage.Labelling
                    Warmup =
                        {
                            Chains = warmedUp
                            Metric = settings.Metric
                            Averaging = DualAveraging.start settings.StepSize
                            Window = []
                            Calls = tuning
                        }
                    Settings = settings
                    Pilot = pilot warmedUp
                    Thin = thin
                    Chains = chains
                    Kept = kept
                    Acceptance = acceptance
                    Divergences = divergences
                    TuningCalls = tuning
                    SamplingCalls = sampling
                })
        |> Validation.apply (Json.field "schema" (Json.oneOf [ schema, () ]) json)
        |> Validation.apply (Json.field "isFinished" Json.bool json)
        |> Validation.apply settings
        |> Validation.apply pilot
        |> Validation.apply (Json.field "warmedUp" (chains n) json)
        |> Validation.apply (Json.field "chains" (chains n) json)
        |> Validation.apply (Json.field "thin" Json.int json)
        |> Validation.apply (Json.field "kept" Json.int json)
        |> Validation.apply (Json.field "acceptance" Json.float json)
        |> Validation.apply (Json.field "divergences" Json.int json)
        |> Validation.apply (Json.field "tuningCalls" calls json)
        |> Validation.apply (Json.field "samplingCalls" calls json)
