namespace FunLik

open Argu
open FunLik.ArgumentValues
open FunLik.ArgumentRequests

/// The options of `funlik summary` and `funlik reweight`, and what they ask for.
module internal InferenceRequests =

    /// Options of verbs that read draws.
    [<DisableHelpFlags>]
    type DrawArgument =
        | [<EqualsAssignmentOrSpaced>] Prior of ``NAME>X``: string
        | [<Unique; EqualsAssignmentOrSpaced>] Names of ``NAME,..``: string
        | [<Unique; EqualsAssignmentOrSpaced>] Weights of COLUMN: string
        | [<Unique; EqualsAssignmentOrSpaced>] Log_Density of COLUMN: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Prior _ ->
                    "a factor on the density: NAME>X, NAME<X or NAME~normal(MEAN,DEVIATION); may be repeated"
                | Names _ -> "the names of an array's columns (default: x0,x1,..)"
                | Weights _ -> "the array's column that has weights"
                | Log_Density _ -> "the array's column that has log densities"

    /// Options of `funlik summary`.
    [<DisableHelpFlags>]
    type SummaryArgument =
        | [<MainCommand; Unique>] Draws of DRAWS: string
        | [<EqualsAssignmentOrSpaced>] Parameter of NAME: string
        | [<EqualsAssignmentOrSpaced>] Level of P: string
        | [<Unique; EqualsAssignmentOrSpaced>] Histogram of BINS: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Draws _ -> "a folder of draws, or an array of them (.npy)"
                | Parameter _ -> "a parameter; may be repeated (default: all)"
                | Level _ ->
                    "a probability, or so many standard deviations: 2sigma; may be repeated (default: 1, 2 and 3)"
                | Histogram _ ->
                    "regions from histograms of so many bins too, as the papers' code has them"

    /// Options of `funlik reweight`.
    [<DisableHelpFlags>]
    type ReweightArgument =
        | [<MainCommand; Unique>] Draws of DRAWS: string
        | [<Unique; EqualsAssignmentOrSpaced>] From of ``MODEL|BUNDLE``: string
        | [<Unique; EqualsAssignmentOrSpaced>] To of ``MODEL|BUNDLE``: string
        | [<Unique>] Raw
        | [<Unique; EqualsAssignmentOrSpaced>] Refresh of N: string
        | [<Unique; EqualsAssignmentOrSpaced>] Seed of S: string
        | [<Unique; EqualsAssignmentOrSpaced>] Out of DIR: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Draws _ -> "a folder of draws, or an array of them (.npy)"
                | From _ ->
                    "the model or the surrogate that was sampled (default: the log densities of the draws)"
                | To _ -> "the model whose draws they are to be (default: that which was sampled)"
                | Raw -> "the weights as they are: the largest are not smoothed"
                | Refresh _ ->
                    "so many draws of each of 64 chains on the model of --to, started at draws resampled by the weights"
                | Seed _ -> "the seed of all randomness (default: 1)"
                | Out _ -> "a folder for the draws with their weights"

    /// "0.95", or "2sigma".
    let level (value: string) : Result<ConfidenceLevel, Error list> =
        if value.EndsWith "sigma" then
            number "--level" (value.Substring(0, value.Length - 5))
            |> Result.bind (fun sigma ->
                if sigma > 0.0 && sigma <= 6.0 then
                    Ok(ConfidenceLevel.ofTwiceDeltaNll 1 (sigma * sigma))
                else
                    wrong "--level" "not a usable number of standard deviations"
                    |> Error.found value
                    |> Error.expected "above 0, up to 6"
                    |> Error.fail)
        else
            ArgumentRequests.level value |> Result.map (ConfidenceLevel.ofProbability 1)

    let private names (given: string) : Result<string list, Error list> =
        let parts = given.Split ',' |> Array.map _.Trim() |> List.ofArray

        parts
        |> List.map (text "--names" >> Result.map (fun name -> name, ()))
        |> Error.collect
        |> Result.bind (unique "--names")
        |> Result.map (List.map fst)

    let private source
        (file: string option)
        (given: ParseResults<DrawArgument>)
        : Result<DrawSource, Error list> =
        let columns =
            Validation.map3
                (fun names weight density ->
                    {
                        DrawColumns.Names = names |> Option.defaultValue []
                        Weight = weight
                        LogDensity = density
                    })
                (given.TryGetResult Names |> optional names)
                (given.TryGetResult Weights |> optional (text "--weights"))
                (given.TryGetResult Log_Density |> optional (text "--log-density"))

        let factors =
            given.GetResults Prior
            |> List.map (PriorFactor.ofText >> Result.mapError (List.map (Error.at "--prior")))
            |> Error.collect

        Validation.map3
            (fun file columns factors -> { File = file; Columns = columns; Priors = factors })
            (file |> required "DRAWS" |> Result.bind (text "DRAWS"))
            columns
            factors

    let private withDraws<'T when 'T :> IArgParserTemplate>
        (request: ParseResults<DrawArgument> -> ParseResults<'T> -> Result<Verb, Error list>)
        (command: string)
        (arguments: string list)
        : Result<Verb, Error list> =
        extract<DrawArgument> command false arguments
        |> Result.bind (fun draws ->
            extract<'T> command true draws.UnrecognizedCliParams
            |> Result.bind (request draws))

    let summary: string -> string list -> Result<Verb, Error list> =
        withDraws<SummaryArgument>(fun draws given ->
            Validation.map3
                (fun source parameters levels histogram ->
                    Verb.Summary
                        {
                            Source = source
                            Parameters = parameters
                            Levels = (if List.isEmpty levels then Credible.usual else levels)
                            Histogram = histogram
                        })
                (source (given.TryGetResult SummaryArgument.Draws) draws)
                (given.GetResults Parameter |> List.map (text "--parameter") |> Error.collect)
                (given.GetResults SummaryArgument.Level |> List.map level |> Error.collect)
            |> Validation.apply (given.TryGetResult Histogram |> optional (whole "--histogram" 2)))

    let reweight: string -> string list -> Result<Verb, Error list> =
        withDraws<ReweightArgument>(fun draws given ->
            Validation.map3
                (fun source from target refresh seed out ->
                    Verb.Reweight
                        {
                            Source = source
                            From = from
                            To = target
                            Smooth = not (given.Contains Raw)
                            Refresh = refresh
                            Seed = seed
                            Out = out
                        })
                (source (given.TryGetResult ReweightArgument.Draws) draws)
                (given.TryGetResult From |> optional (text "--from"))
                (given.TryGetResult To |> optional (text "--to"))
            |> Validation.apply (given.TryGetResult Refresh |> optional (whole "--refresh" 16))
            |> Validation.apply (given.TryGetResult ReweightArgument.Seed |> seed)
            |> Validation.apply (
                given.TryGetResult ReweightArgument.Out |> optional (text "--out")
            ))
