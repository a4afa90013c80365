namespace FunLik

/// Bins that were counted together.
type CountingChannel =
    {
        /// The name of its Poisson term.
        Name: string
        /// Observed counts, one a bin.
        Observed: float[]
        /// Expected signal at μ = 1, one a bin.
        Signal: float[]
        /// Expected background, one a bin.
        Background: float[]
        /// Absolute standard deviation of the background's expectation, one a bin; bins with 0 have no nuisance parameter.
        Uncertainty: float[]
    }

/// A counting experiment: signal over backgrounds with independent normal uncertainties.
type CountingData =
    {
        /// What is counted.
        Name: string
        /// The signal strength.
        Poi: ModelParameter
        /// The channels.
        Channels: CountingChannel list
    }

/// Counting experiments.
[<RequireQualifiedAccess>]
module Counting =

    let private poi (json: Json option) : Result<ModelParameter, Error list> =
        let make (name: string option, bounds: float[] option, nominal: float option) =
            let low, high =
                match bounds with
                | Some [| low; high |] -> low, high
                | _ -> 0.0, 10.0

            let start =
                match nominal with
                | Some value -> value
                | None when low <= 1.0 && 1.0 <= high -> 1.0
                | None -> 0.5 * (low + high)

            ModelParameter.create (name |> Option.defaultValue "mu") ParameterKind.Poi start
            |> ModelParameter.bounded low high

        let bounds (pair: Json) : Result<float[], Error list> =
            Json.floats 2 pair
            |> Result.bind (fun ends ->
                if ends[0] < ends[1] then
                    Ok ends
                else
                    Json.refuse ErrorKind.Value "no interval" "a low end below a high end" pair)

        let inside (place: Json) (parameter: ModelParameter) : Result<ModelParameter, Error list> =
            let struct (low, high) = parameter.Bounds

            if low <= parameter.Nominal && parameter.Nominal <= high then
                Ok parameter
            else
                Json.error ErrorKind.Value "the nominal value is outside of the bounds" place
                |> Error.found $"{parameter.Nominal}"
                |> Error.expected $"{low} to {high}"
                |> Error.fail

        match json with
        | None -> Ok(make (None, None, None))
        | Some place ->
            Validation.map3
                (fun name bounds nominal -> name, bounds, nominal)
                (Json.optionalField "name" Json.text place)
                (Json.optionalField "bounds" bounds place)
                (Json.optionalField "nominal" Json.float place)
            |> Validation.map2
                (fun () given -> given)
                (Json.onlyKeys [ "name"; "bounds"; "nominal" ] place)
            |> Result.bind (make >> inside place)

    let private channel (json: Json) : Result<CountingChannel, Error list> =
        let keys =
            [
                "name"
                "observed"
                "signal"
                "background"
                "relativeUncertainty"
                "absoluteUncertainty"
            ]

        let notNegative (name: string) (length: int) =
            Json.floatsWhere "a number that is not negative" (fun v -> v >= 0.0) length
            |> fun read -> name, read

        let required (name: string, read: Json -> Result<float[], Error list>) =
            Json.field name read json

        let optional (name: string, read: Json -> Result<float[], Error list>) =
            Json.optionalField name read json

        let ofBins (bins: int) : Result<CountingChannel, Error list> =
            let background = required (notNegative "background" bins)

            let uncertainty =
                let relative = optional (notNegative "relativeUncertainty" bins)
                let absolute = optional (notNegative "absoluteUncertainty" bins)

                Validation.map3 (fun b r a -> b, r, a) background relative absolute
                |> Result.bind (function
                    | _, Some _, Some _ ->
                        Json.error
                            ErrorKind.Schema
                            "both 'relativeUncertainty' and 'absoluteUncertainty'"
                            json
                        |> Error.expected "one of them, or none"
                        |> Error.fail
                    | b, Some relative, None -> Ok(Array.map2 (*) b relative)
                    | _, None, Some absolute -> Ok absolute
                    | _, None, None -> Ok(Array.zeroCreate bins))

            let make name observed signal (background, uncertainty) =
                {
                    Name = name
                    Observed = observed
                    Signal = signal
                    Background = background
                    Uncertainty = uncertainty
                }

            Result.map make (Json.field "name" Json.text json)
            |> Validation.apply (required (notNegative "observed" bins))
            |> Validation.apply (required ("signal", Json.floats bins))
            |> Validation.apply (
                // The errors of the background are among those of the uncertainty.
                uncertainty |> Result.bind (fun u -> background |> Result.map (fun b -> b, u))
            )

        let bins =
            Json.field
                "observed"
                (fun values ->
                    Json.items values
                    |> Result.bind (fun items ->
                        if items.IsEmpty then
                            Json.refuse ErrorKind.Shape "no bins" "one number or more" values
                        else
                            Ok items.Length))
                json

        bins
        |> Result.bind ofBins
        |> Validation.map2 (fun () channel -> channel) (Json.onlyKeys keys json)

    /// Reads a counting experiment:
    ///
    ///     { "kind": "counting", "name": "two channels",
    ///       "poi": { "name": "mu", "bounds": [0, 10], "nominal": 1 },
    ///       "channels": [ { "name": "sr", "observed": [12, 5], "signal": [4.0, 2.5], "background": [8.0, 3.0],
    ///                       "relativeUncertainty": [0.1, 0.2] } ] }
    ///
    /// `name`, `poi` and its parts may be missing (the values above hold then); a channel has `relativeUncertainty`,
    /// `absoluteUncertainty` or neither. Other keys are refused. All mistakes at once.
    let ofJson (json: Json) : Result<CountingData, Error list> =
        let channels =
            Json.field
                "channels"
                (fun value ->
                    Json.list channel value
                    |> Result.bind (fun channels ->
                        if channels.IsEmpty then
                            Json.refuse ErrorKind.Shape "no channels" "one channel or more" value
                        else
                            Ok channels))
                json

        Validation.map3
            (fun name poi channels ->
                {
                    Name = name |> Option.defaultValue "counting experiment"
                    Poi = poi
                    Channels = channels
                })
            (Json.optionalField "name" Json.text json)
            (Json.optional "poi" json |> Result.bind poi)
            channels
        |> Validation.map2
            (fun () data -> data)
            (Json.onlyKeys [ "kind"; "name"; "poi"; "channels" ] json)

    /// The likelihood of a counting experiment: bin i of a channel expects μ s_i + b_i + σ_i θ_i, and its count is Poisson (a term
    /// with the channel's name). The nuisances θ, `CHANNEL.background[i]`, have standard normal constraints. A negative expectation
    /// has density zero. Mistakes in the data are raised.
    let likelihood (data: CountingData) : Likelihood =
        let poi = ParameterBlock.ofParameter data.Poi
        let mu = ParameterBlock.leaf poi

        let parts =
            data.Channels
            |> List.map (fun channel ->
                let uncertain =
                    [|
                        for i, sigma in Array.indexed channel.Uncertainty do
                            if sigma > 0.0 then
                                i
                    |]

                let block =
                    if uncertain.Length = 0 then
                        None
                    else
                        uncertain
                        |> Array.map (fun i ->
                            ModelParameter.create
                                $"{channel.Name}.background[{i}]"
                                ParameterKind.Nuisance
                                0.0)
                        |> ParameterBlock.ofVector $"{channel.Name}.background"
                        |> Some

                let shift =
                    block
                    |> Option.map (fun b ->
                        let sigma = uncertain |> Array.map (fun i -> channel.Uncertainty[i])

                        Expr.scatterAdd
                            uncertain
                            channel.Observed.Length
                            (ParameterBlock.leaf b * sigma))

                let nominal = mu * channel.Signal + channel.Background

                let term =
                    {
                        Name = channel.Name
                        Distribution = Distribution.Poisson
                        Shape = Vector channel.Observed.Length
                        Expectation = shift |> Option.fold (fun (sum: Expr) s -> sum + s) nominal
                        IsConstraint = false
                    }

                block, (term, channel.Observed))

        let blocks = parts |> List.choose fst

        let terms = List.map snd parts @ (blocks |> List.map (Term.constrainedTo 0.0 1.0))

        Likelihood.create
            data.Name
            (poi :: blocks)
            (Density.Terms(List.map fst terms))
            (Map.ofList (terms |> List.map (fun (t, values) -> t.Name, values)))
            []
