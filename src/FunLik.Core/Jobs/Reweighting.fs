namespace FunLik

open System.IO

/// `funlik reweight`.
[<RequireQualifiedAccess>]
module Reweighting =

    /// Chains that go on from resampled draws.
    let private chains = 64

    /// Steps that such chains take before their draws are kept.
    let private skip = 20

    /// The density in a model's file, or of a surrogate's folder, in the order of the draws.
    let private density (names: string[]) (path: string) : Result<Likelihood, Error list> =
        let loaded =
            if File.Exists(Path.Combine(path, Bundle.cardFile)) then
                Bundle.read path |> Result.map _.Likelihood
            else
                ModelFile.load path ModelOptions.None

        loaded
        |> Result.bind (fun model ->
            if Likelihood.names model = names then
                Ok model
            else
                Error.make ErrorKind.Name "the model has other parameters than the draws"
                |> Error.withFile path
                |> Error.found (String.concat ", " (Likelihood.names model))
                |> Error.expected (String.concat ", " names)
                |> Error.fail)

    let private optionally
        (names: string[])
        (path: string option)
        : Result<Likelihood option, Error list> =
        match path with
        | None -> Ok None
        | Some path -> density names path |> Result.map Some

    let private statusText (status: ReweightStatus) : string =
        match status with
        | ReweightStatus.Reliable -> "reliable"
        | ReweightStatus.HeavyTail -> "heavy tail"
        | ReweightStatus.FewDraws -> "few draws"

    /// Reweights as it was asked, and says what came of it.
    let run (context: VerbContext) (request: ReweightRequest) : Result<Report, Error list> =
        let options = { ReweightOptions.Default with Smooth = request.Smooth }

        result {
            context.Progress { Stage = "reading draws"; Done = 0L; Total = 0L }

            let! parameters, table =
                DrawTableFiles.read request.Source.Columns request.Source.File

            let! from = optionally table.Names request.From
            let! target = optionally table.Names request.To

            do!
                if target.IsNone && request.Source.Priors.IsEmpty then
                    Error.make ErrorKind.Usage "nothing changes the weights"
                    |> Error.at "--to"
                    |> Error.expected "a model as --to, a --prior, or both"
                    |> Error.fail
                elif request.Refresh.IsSome && target.IsNone then
                    Error.make ErrorKind.Usage "chains that go on need the model they are of"
                    |> Error.at "--refresh"
                    |> Error.expected "the model as --to"
                    |> Error.fail
                elif request.Refresh.IsSome && not request.Source.Priors.IsEmpty then
                    Error.make
                        ErrorKind.Unsupported
                        "chains that go on know no priors but the model's"
                    |> Error.at "--refresh"
                    |> Error.hint
                        "Put the prior into the model, or sample the model and give the prior to its draws."
                    |> Error.fail
                else
                    Ok()

            context.Progress { Stage = "weighing"; Done = 0L; Total = 0L }

            let weighed =
                target
                |> Option.map (fun t ->
                    Reweight.toDensity
                        context.Options
                        options
                        (from |> Option.map Objective.ofLikelihood)
                        (Objective.ofLikelihood t)
                        table)

            let! found =
                match request.Source.Priors with
                | [] -> Ok weighed.Value
                | factors ->
                    weighed
                    |> Option.map _.Draws
                    |> Option.defaultValue table
                    |> Reweight.byFactors options factors

            let calls = weighed |> Option.map _.Calls |> Option.defaultValue 0L

            let refreshed =
                match request.Refresh, target with
                | Some draws, Some model ->
                    context.Progress { Stage = "sampling"; Done = 0L; Total = 0L }
                    let key = Key.ofSeed request.Seed |> Key.foldName "refresh"

                    Reweight.refresh
                        context.Options
                        (Objective.ofLikelihood model)
                        key
                        chains
                        skip
                        draws
                        found.Draws
                    |> Some
                | _ -> None

            let! kept =
                match refreshed with
                | None -> Ok found.Draws
                | Some run -> DrawTable.ofRun parameters run

            let facts =
                [
                    "from", JsonValue.ofOption JsonValue.Text request.From
                    "to", JsonValue.ofOption JsonValue.Text request.To
                    "priors",
                    request.Source.Priors |> List.map PriorFactor.toText |> JsonValue.ofTexts
                    "smoothed", JsonValue.Bool request.Smooth
                    "refreshed", JsonValue.Bool refreshed.IsSome
                ]

            do!
                match request.Out with
                | None -> Ok()
                | Some out -> DrawTableFiles.write out parameters facts kept

            // Chains that went on answer for themselves.
            let isGood =
                match refreshed with
                | Some run -> run.MaxRHat <= 1.01
                | None -> found.Status = ReweightStatus.Reliable

            let notes =
                match refreshed with
                | None -> found.Notes
                | Some run when isGood -> []
                | Some run ->
                    [
                        $"the chains that went on do not agree: R-hat {TextTable.significant 5 run.MaxRHat} above 1.01"
                    ]

            return
                {
                    Converged = isGood
                    Json =
                        JsonValue.Object
                            [
                                "draws", JsonValue.Int(int64 kept.Count)
                                "kish", JsonValue.Number found.Kish
                                "paretoK", JsonValue.Number found.ParetoK
                                "threshold", JsonValue.Number found.Threshold
                                "lost", JsonValue.Int(int64 found.Lost)
                                "logEvidenceRatio", JsonValue.Number found.LogEvidenceRatio.Value
                                "logEvidenceRatioError",
                                JsonValue.Number found.LogEvidenceRatio.Error
                                "weights", JsonValue.Text(statusText found.Status)
                                "refreshed",
                                refreshed
                                |> JsonValue.ofOption (fun run ->
                                    JsonValue.Object
                                        [
                                            "minEss", JsonValue.Number run.MinEss
                                            "maxRhat", JsonValue.Number run.MaxRHat
                                            "acceptance", JsonValue.Number run.Acceptance
                                            "exactCalls", JsonValue.Int run.Calls.Total
                                        ])
                                "calls", JsonValue.Int calls
                                "status",
                                JsonValue.Text(if isGood then "converged" else "not converged")
                                "out", JsonValue.ofOption JsonValue.Text request.Out
                            ]
                    Text =
                        [
                            $"{TextTable.count (int64 table.Count)} draws, {TextTable.count (int64 found.Lost)} of weight 0: "
                            + $"{TextTable.count (int64 found.Kish)} draws of equal weight would tell as much"
                            $"Pareto k {TextTable.significant 3 found.ParetoK} (up to {TextTable.significant 3 found.Threshold} can be relied on): {statusText found.Status}"
                            $"log of the ratio of evidences {TextTable.significant 5 found.LogEvidenceRatio.Value} ± {TextTable.significant 2 found.LogEvidenceRatio.Error}"
                            match refreshed with
                            | Some run ->
                                $"{TextTable.count (int64 run.Draws)} draws of {run.Current.Count} chains that went on: worst effective sample size {TextTable.significant 4 run.MinEss}, worst R-hat {TextTable.significant 5 run.MaxRHat}"
                            | None -> ()
                            match request.Out with
                            | Some out -> $"written to {out}"
                            | None -> ()
                        ]
                    Notes = notes
                }
        }
