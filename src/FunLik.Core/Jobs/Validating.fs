namespace FunLik

open System.IO

/// A surrogate that was checked anew.
type ValidationResult =
    {
        /// What was found.
        Check: SurrogateCheck
        /// Whether the exact side converged: the fit, the chains, the scans.
        Converged: bool
        /// What did not, as clauses.
        Notes: string list
        /// Exact values and gradients.
        Calls: int64
    }

/// `funlik validate`: a surrogate against the exact model on points that are made for that, by a key of its own.
[<RequireQualifiedAccess>]
module Validating =

    /// Points of the posterior.
    let private posteriorPoints = 2000

    /// The ridge and the values of t_μ that the card tells; the usual ones where it tells none.
    let private region (bundle: Bundle) : Result<RidgePlan * ScanPlan option, Error list> =
        let told (json: Json) : Result<RidgePlan * ScanPlan option, Error list> =
            Json.field "job" Job.readRegion json

        match bundle.Card.Json with
        | JsonValue.Object entries when entries |> List.exists (fun (name, _) -> name = "job") ->
            Json.parseFile (Path.Combine(bundle.Folder, Bundle.cardFile))
            |> Result.bind told
        | _ -> Ok(Job.defaultRidge, None)

    let private quadratic (bundle: Bundle) : Result<Likelihood, Error list> =
        ModelFile.load (Path.Combine(bundle.Folder, Bundle.quadraticFile)) ModelOptions.None

    /// Checks a surrogate against a model.
    let check
        (context: VerbContext)
        (seed: int)
        (bundle: Bundle)
        (model: LoadedModel)
        : Result<ValidationResult, Error list> =
        let exact = model.Likelihood

        result {
            do!
                JobContext.sameParameters
                    "the surrogate is"
                    bundle.Folder
                    (Likelihood.names bundle.Likelihood)
                    exact

            let! ridge, profile = region bundle
            let! baseline = quadratic bundle
            let options = context.Options
            let key = Key.ofSeed seed |> Key.foldName "validate"
            context.Progress { Stage = "finding the mode"; Done = 0L; Total = 0L }
            let mode = ModeStage.fit options exact
            let objective = Objective.ofLikelihood exact
            let design = Design.posteriorOf objective.Count posteriorPoints
            let chainsKey = Key.foldName "sampling" key

            let steps =
                Design.start options objective design mode.Point chainsKey
                |> Design.posterior options objective design chainsKey
                |> Seq.map (fun step ->
                    context.Progress { Stage = "sampling"; Done = 0L; Total = 0L }
                    step)
                |> List.ofSeq

            let last = (List.last steps).State
            let names = Likelihood.names exact

            let posterior =
                steps
                |> List.collect (fun step -> [ step.Train; step.Test ])
                |> LabelSet.concat names

            let job =
                { Job.create { Model = None; Data = None } "" with
                    Ridge = ridge
                    Profile = profile
                }

            let checks = CheckStage.exact context job mode exact (Key.foldName "checks" key)
            let points = LabelSet.concat names [ posterior; checks.Ridge ]
            context.Progress { Stage = "checking"; Done = 0L; Total = 0L }

            let found =
                BundleStage.check
                    options
                    mode.LogDensity
                    points
                    checks.Scans
                    bundle.Likelihood
                    baseline

            let notes =
                [
                    if mode.Status <> "converged" then
                        $"the fit of the exact model: {mode.Status}"
                    if not last.Stage.IsFinished then
                        "the chains of the exact model do not agree: no points of the posterior"
                    for p in found.Profiles do
                        if not (p.Exact.Converged && p.Converged) then
                            $"the scans of {p.Exact.Parameter} did not converge everywhere"
                ]

            return
                {
                    Check = found
                    Converged = notes.IsEmpty
                    Notes = notes
                    Calls =
                        mode.Calls + (last.TuningCalls + last.SamplingCalls).Total + checks.Calls
                }
        }

    let private sliceJson (s: SliceCheck) : string * JsonValue =
        s.Slice,
        JsonValue.Object
            [
                "points", JsonValue.Int(int64 s.Surrogate.Points)
                "mse", JsonValue.Number s.Surrogate.Mse
                "mae", JsonValue.Number s.Surrogate.Mae
                "max", JsonValue.Number s.Surrogate.Largest
                "quadraticMse", JsonValue.Number s.Quadratic.Mse
            ]

    let private profileJson (profiles: ProfileCheck list) : JsonValue =
        if profiles.IsEmpty then
            JsonValue.Null
        else
            JsonValue.Object
                [
                    "tMuError", JsonValue.Number(profiles |> List.averageBy _.TMuError)
                    "quadraticTMuError",
                    JsonValue.Number(profiles |> List.averageBy _.QuadraticTMuError)
                    "scans", profiles |> List.map Validate.profileJson |> JsonValue.List
                ]

    /// Checks as it was asked, and says what came of it.
    let run
        (context: VerbContext)
        (against: ModelSource)
        (request: ValidateRequest)
        : Result<Report, Error list> =
        let started = context.Clock()

        Validation.map2
            (fun bundle model -> bundle, model)
            (Bundle.read request.Bundle)
            (ModelFile.read against.File against.Options)
        |> Result.bind (fun (bundle, model) -> check context request.Seed bundle model)
        |> Result.bind (fun found ->
            let seconds = (context.Clock() - started).TotalSeconds

            // The lines for people are those that a card has.
            JsonValue.toLine (Validate.checkJson found.Check)
            |> Json.parse
            |> Result.bind CardText.metrics
            |> Result.map (fun lines ->
                {
                    Converged = found.Converged
                    Json =
                        JsonValue.Object(
                            (found.Check.Slices |> List.map sliceJson)
                            @ [
                                "profile", profileJson found.Check.Profiles
                                "accurate", JsonValue.Number(Validate.accurate found.Check.Slices)
                                "exactCalls", JsonValue.Int found.Calls
                                "seconds", JsonValue.Number seconds
                                "status",
                                JsonValue.Text(
                                    if found.Converged then "converged" else "not converged"
                                )
                            ]
                        )
                    Text =
                        lines
                        @ [
                            ""
                            $"{TextTable.count found.Calls} exact calls (a gradient is one more), {TextTable.significant 3 seconds} s"
                        ]
                    Notes = found.Notes
                }))
