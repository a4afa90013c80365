namespace FunLik

open System.IO

/// The largest density, where sampling starts.
type ModeFacts =
    {
        Point: float[]
        LogDensity: float
        /// The standard deviations from the curvature there; NaN where it gives none.
        Deviations: float[]
        Status: string
        /// Exact values and gradients.
        Calls: int64
    }

/// The stage of a job that finds the largest density.
[<RequireQualifiedAccess>]
module ModeStage =

    let private file = "mode.json"

    let private write (folder: string) (facts: ModeFacts) : Result<string list, Error list> =
        JsonValue.Object
            [
                "status", JsonValue.Text facts.Status
                "logDensity", JsonValue.Number facts.LogDensity
                "point", JsonValue.Numbers facts.Point
                "deviations",
                facts.Deviations |> Seq.map JsonValue.Number |> List.ofSeq |> JsonValue.List
                "calls", JsonValue.Int facts.Calls
            ]
        |> JsonValue.writeFile (Path.Combine(folder, file))
        |> Result.map (fun () -> [ file ])

    /// Fits a model.
    let fit (options: RunOptions) (model: Likelihood) : ModeFacts =
        let fit =
            Fit.withOptions { FitOptions.Default with Run = options; Covariance = true } model

        let n = fit.Point.Length

        let deviation (i: int) : float =
            match fit.Covariance with
            | Some covariance when covariance[i].[i] > 0.0 -> sqrt covariance[i].[i]
            | _ -> nan

        {
            Point = fit.Point
            LogDensity = fit.LogDensity
            Deviations = Array.init n deviation
            Status =
                if fit.Status.IsConverged then
                    "converged"
                else
                    $"{fit.Status}"
            // Value and gradient are two calls; the covariance takes n products of the Hessian.
            Calls = 2L * int64 (fit.Evaluations + n)
        }

    /// The label of the largest density, where there is no model.
    let private ofLabels (set: LabelSet) : ModeFacts =
        let best = Seq.init set.Count id |> Seq.maxBy (fun r -> set.LogDensity[r])

        {
            Point = Array.sub set.Points (best * set.Dimension) set.Dimension
            LogDensity = set.LogDensity[best]
            Deviations = Array.create set.Dimension nan
            Status = "best label"
            Calls = 0L
        }

    /// Finds the largest density.
    let run (context: JobContext) : Result<StageResult, Error list> =
        let inputs = JsonValue.Object [ "subject", JsonValue.Text context.Subject.Hash ]

        Stage.run context.Job.Output "mode" inputs (fun folder ->
            JobContext.say context "finding the mode" 0 0

            match context.Subject.Exact, context.Subject.Data with
            | Some model, _ -> fit context.Verb.Options model.Likelihood |> write folder
            | None, Some(data, _) ->
                LabelFiles.read data LabelUse.Train
                |> Result.bind (fun set ->
                    if set.Count = 0 then
                        Error.make ErrorKind.Schema "no labels to learn from"
                        |> Error.withFile data
                        |> Error.fail
                    else
                        ofLabels set |> write folder)
            | None, None -> invalidOp "a job has a model or labels")

    /// What the stage found.
    let read (stage: StageResult) : Result<ModeFacts, Error list> =
        Json.parseFile (Path.Combine(stage.Folder, file))
        |> Result.bind (fun json ->
            Ok(fun point y deviations status calls ->
                {
                    Point = point
                    LogDensity = y
                    Deviations = Array.ofList deviations
                    Status = status
                    Calls = calls
                })
            |> Validation.apply (Json.field "point" Json.numbers json)
            |> Validation.apply (JobContext.number "logDensity" json)
            |> Validation.apply (Json.field "deviations" (Json.list JobContext.numberOrNull) json)
            |> Validation.apply (Json.field "status" Json.text json)
            |> Validation.apply (JobContext.count "calls" json))
