namespace FunLik

/// `funlik fit`.
[<RequireQualifiedAccess>]
module Fitting =

    /// The name of a status in JSON.
    let statusName (status: FitStatus) : string =
        match status with
        | FitStatus.Converged -> "converged"
        | FitStatus.MaxIterations -> "maxIterations"
        | FitStatus.NoProgress -> "noProgress"
        | FitStatus.NotFinite -> "notFinite"
        | FitStatus.Unbounded -> "unbounded"

    /// What a status means, for people.
    let statusText (status: FitStatus) : string =
        match status with
        | FitStatus.Converged -> "converged"
        | FitStatus.MaxIterations -> "not converged: the limit on evaluations came first"
        | FitStatus.NoProgress -> "not converged: no step goes further down"
        | FitStatus.NotFinite -> "not converged: no start has a density"
        | FitStatus.Unbounded -> "not converged: the density has no upper bound"

    /// The request with what is frozen written out as fixed: all parameters of interest but the one that is named or the only one, and
    /// those that are fixed anyway.
    let resolved (request: FitRequest) (model: Likelihood) : FitRequest =
        let pois =
            Likelihood.parameters model |> Array.filter _.Kind.IsPoi |> Array.map _.Name

        let own =
            match request.Poi with
            | Some name -> [ name ]
            | None -> pois |> Array.tryExactlyOne |> Option.toList

        let fixed' = request.Held.Fix |> List.map fst

        let frozen =
            Hold.valuesOf (own @ fixed') { request.Held with Fix = [] } model
            |> Error.orRaise

        { request with Held = { Fix = request.Held.Fix @ frozen; Frozen = false } }

    /// Fits a model as it was asked.
    let run (context: VerbContext) (request: FitRequest) (model: Likelihood) : Fit =
        let options =
            { FitOptions.Default with
                Starts = request.Starts
                Fixed = (resolved request model).Held.Fix
                Covariance = true
                Run = context.Options
            }

        let withPoi =
            match request.Poi with
            | Some name -> Likelihood.withPoi name model
            | None -> model

        context.Progress { Stage = "fitting"; Done = 0L; Total = 0L }
        Fit.withOptions options withPoi

    /// The name of a side in JSON and in texts.
    let sideName (side: BoundSide) : string =
        match side with
        | BoundSide.Lower -> "lower"
        | BoundSide.Upper -> "upper"

    /// A bound as JSON.
    let boundJson (bound: ParameterBound) : JsonValue =
        JsonValue.Object
            [
                "parameter", JsonValue.Text bound.Parameter
                "side", JsonValue.Text(sideName bound.Side)
                "value", JsonValue.Number bound.Value
            ]

    /// A fit as JSON.
    let json (fit: Fit) : JsonValue =
        JsonValue.Object
            [
                "status", JsonValue.Text(statusName fit.Status)
                "twiceNll", JsonValue.Number fit.TwiceNll
                "parameters",
                JsonValue.Object
                    [ for name, value in fit.Parameters -> name, JsonValue.Number value ]
                "sigma",
                JsonValue.Object
                    [
                        for name, sigma in Array.zip fit.Names (Fit.sigmas fit) ->
                            name, JsonValue.ofOption JsonValue.Number sigma
                    ]
                "gradientNorm", JsonValue.Number fit.GradientNorm
                "edm", JsonValue.Number fit.Edm
                "iterations", JsonValue.Int(int64 fit.Iterations)
                "evaluations", JsonValue.Int(int64 fit.Evaluations)
                "activeBounds", fit.ActiveBounds |> List.map boundJson |> JsonValue.List
                "kinks", JsonValue.ofTexts fit.Kinks
                "undetermined", JsonValue.ofTexts fit.Undetermined
                "minima",
                JsonValue.List
                    [
                        for minimum in fit.Minima ->
                            JsonValue.Object
                                [
                                    "twiceNll", JsonValue.Number minimum.TwiceNll
                                    "starts", JsonValue.Int(int64 minimum.Starts)
                                ]
                    ]
            ]

    let private parameterLines (fixings: (string * float) list) (fit: Fit) : string list =
        let isFixed (name: string) : bool = fixings |> List.exists (fun (other, _) -> other = name)

        let remark (name: string) : string =
            match fit.ActiveBounds |> List.tryFind (fun bound -> bound.Parameter = name) with
            | _ when isFixed name -> "fixed"
            | Some bound -> $"at its {sideName bound.Side} bound"
            | None when List.contains name fit.Kinks -> "in a kink"
            | None when List.contains name fit.Undetermined -> "undetermined"
            | None -> ""

        TextTable.lines
            [
                TextTable.words "parameter"
                TextTable.numbers "value"
                TextTable.numbers "sigma"
                TextTable.words ""
            ]
            [
                for (name, value), sigma in Array.zip fit.Parameters (Fit.sigmas fit) ->
                    [
                        name
                        TextTable.fixedPoint 8 value
                        sigma |> Option.map (TextTable.fixedPoint 4) |> Option.defaultValue ""
                        remark name
                    ]
            ]

    let private minimumLines (fit: Fit) : string list =
        if fit.Minima.Length < 2 then
            []
        else
            ""
            :: TextTable.lines
                [ TextTable.numbers "minimum: twiceNll"; TextTable.numbers "starts" ]
                [
                    for minimum in fit.Minima ->
                        [ TextTable.fixedPoint 8 minimum.TwiceNll; string minimum.Starts ]
                ]

    /// What the verb says.
    let report (request: FitRequest) (fit: Fit) : Report =
        {
            Converged = fit.Status.IsConverged
            Json = json fit
            Text =
                [
                    statusText fit.Status
                    $"twiceNll {TextTable.fixedPoint 8 fit.TwiceNll} (-2 log density, all constants kept)"
                    ""
                ]
                @ parameterLines request.Held.Fix fit
                @ minimumLines fit
                @ [
                    ""
                    $"gradient norm {TextTable.significant 3 fit.GradientNorm}, "
                    + $"EDM {TextTable.significant 3 fit.Edm}, "
                    + $"{TextTable.count (int64 fit.Evaluations)} evaluations"
                ]
            Notes =
                [
                    match fit.Covariance, fit.Undetermined with
                    | None, _ when fit.Status.IsConverged ->
                        "the best point is a saddle, or its second derivatives are not finite: no standard deviations"
                    | Some _, _ :: _ ->
                        let names = String.concat ", " fit.Undetermined

                        $"the density is flat at the best point along a direction in which these move: {names}; "
                        + "they have no standard deviation, those of the others hold whether these are free or fixed"
                    | _ -> ()
                ]
        }
