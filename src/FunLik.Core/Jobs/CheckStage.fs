namespace FunLik

open System.IO

/// The exact side of a surrogate's checks: points that training never saw, and scans.
type ExactChecks =
    {
        /// Points along the ridge, of anchors of their own.
        Ridge: LabelSet
        /// A scan of every parameter of interest.
        Scans: ExactScan list
        /// Exact values and gradients.
        Calls: int64
    }

/// The stage of a job that computes the exact side of the checks. It depends on the model alone, not on what is learnt.
[<RequireQualifiedAccess>]
module CheckStage =

    let private file = "checks.json"

    /// Anchors of the points along the ridge, at most.
    let private anchors = 100

    /// Where t_μ of a parameter is checked.
    let private valuesOf
        (plan: ScanPlan option)
        (mode: ModeFacts)
        (index: int)
        (p: ModelParameter)
        =
        match plan with
        | Some plan -> Scanning.evenly plan.From plan.To plan.Count
        | None ->
            let deviation = mode.Deviations[index]
            let struct (low, high) = p.Range

            Validate.roundValues
                p
                mode.Point[index]
                (if System.Double.IsFinite deviation then
                     deviation
                 else
                     0.1 * (high - low))

    /// Points along the ridge and scans of every parameter of interest.
    let exact
        (context: VerbContext)
        (job: Job)
        (mode: ModeFacts)
        (model: Likelihood)
        (key: Key)
        : ExactChecks =
        let say (what: string) : unit = context.Progress { Stage = what; Done = 0L; Total = 0L }

        say "points to check on"

        let ridge =
            Ridge.labels
                context.Options
                (Objective.ofLikelihood model)
                (LabelStage.ridge job job.Ridge.Test anchors)
                mode.Point
                (Key.foldName "ridge" key)

        let scans =
            [
                for i, p in Array.indexed (Likelihood.parameters model) do
                    if p.Kind.IsPoi then
                        say $"scanning {p.Name}"

                        Validate.exactScan
                            context.Options
                            p.Name
                            (valuesOf job.Profile mode i p)
                            model
            ]

        {
            Ridge = ridge.Set
            Scans = scans
            Calls =
                (ridge.AnchorCalls + ridge.LabelCalls).Total
                + 2L * (scans |> List.sumBy (fun s -> int64 s.Evaluations))
        }

    let private scanJson (scan: ExactScan) : JsonValue =
        JsonValue.Object
            [
                "parameter", JsonValue.Text scan.Parameter
                "x", JsonValue.Numbers scan.X
                "tMu", JsonValue.Numbers scan.TMu
                "converged", JsonValue.Bool scan.Converged
                "evaluations", JobContext.integer scan.Evaluations
            ]

    let private readScan (json: Json) : Result<ExactScan, Error list> =
        Ok(fun parameter x tMu converged evaluations ->
            {
                Parameter = parameter
                X = x
                TMu = tMu
                Converged = converged
                Evaluations = evaluations
            })
        |> Validation.apply (Json.field "parameter" Json.text json)
        |> Validation.apply (Json.field "x" Json.numbers json)
        |> Validation.apply (Json.field "tMu" Json.numbers json)
        |> Validation.apply (Json.field "converged" Json.bool json)
        |> Validation.apply (Json.field "evaluations" Json.int json)

    /// Computes the exact side of the checks.
    let run
        (mode: StageResult)
        (facts: ModeFacts)
        (model: LoadedModel)
        (context: JobContext)
        : Result<StageResult, Error list> =
        let job = context.Job

        let inputs =
            JsonValue.Object
                [
                    "subject", JsonValue.Text context.Subject.Hash
                    "mode", JsonValue.Text mode.Contents
                    "seed", JobContext.integer job.Seed
                    "ridge", Job.ridgeJson { job.Ridge with Fraction = 0.0; Anchors = 0 }
                    "profile", job.Profile |> JsonValue.ofOption Job.scanJson
                ]

        Stage.run job.Output "checks" inputs (fun folder ->
            let key = Key.foldName "checks" context.Key
            let found = exact context.Verb job facts model.Likelihood key

            LabelFiles.init (Likelihood.parameters model.Likelihood) []
            |> LabelFiles.append
                folder
                LabelUse.Test
                (LabelSet.withParts context.Verb.Options model.Likelihood found.Ridge)
            |> Result.bind (fun manifest ->
                JsonValue.Object
                    [
                        "calls", JsonValue.Int found.Calls
                        "scans", found.Scans |> List.map scanJson |> JsonValue.List
                    ]
                |> JsonValue.writeFile (Path.Combine(folder, file))
                |> Result.map (fun () -> file :: LabelFiles.files manifest)))

    /// What the stage found.
    let read (names: string[]) (stage: StageResult) : Result<ExactChecks, Error list> =
        let ridge =
            if File.Exists(Path.Combine(stage.Folder, "labels.json")) then
                LabelFiles.read stage.Folder LabelUse.Test
            else
                Ok(LabelSet.empty names)

        Json.parseFile (Path.Combine(stage.Folder, file))
        |> Result.bind (fun json ->
            Validation.map3
                (fun ridge scans calls -> { Ridge = ridge; Scans = scans; Calls = calls })
                ridge
                (Json.field "scans" (Json.list readScan) json)
                (JobContext.count "calls" json))
