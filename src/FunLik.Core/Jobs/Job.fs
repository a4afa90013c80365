namespace FunLik

open System
open System.IO

/// How a job samples the posterior.
type SamplingPlan =
    {
        /// Chains, each on its own.
        Chains: int
        /// How many of them give the points that the surrogate is checked on, and nothing else.
        TestChains: int
        /// Steps of the warm-up.
        Warmup: int
    }

/// How a job chooses points along the ridge, where profiles run.
type RidgePlan =
    {
        /// The part of the labels that it gives.
        Fraction: float
        /// Values of the parameters of interest at which nuisances are profiled.
        Anchors: int
        /// Where these are.
        Span: RidgeSpan
        /// The farthest move of the nuisances from there, in standard deviations.
        Reach: float
        /// Points of anchors of their own, on which the surrogate is checked.
        Test: int
    }

/// Evenly spaced values of every parameter of interest, both ends among them, at which t_μ is checked.
type ScanPlan = { From: float; To: float; Count: int }

/// A batch job as a value: learn a likelihood, check what was learnt, write it down.
type Job =
    {
        /// Where labels come from.
        Source: JobSource
        /// The seed of all randomness.
        Seed: int
        /// Points with values and gradients that are learnt from, those that choose the weights included.
        Labels: int
        /// The sampling of the posterior.
        Sampling: SamplingPlan
        /// The points along the ridge.
        Ridge: RidgePlan
        /// Where t_μ is checked; None takes round values around the best fit.
        Profile: ScanPlan option
        /// The recipe of the surrogate.
        Recipe: Recipe
        /// The folder of the results.
        Output: string
    }

/// Reading jobs.
[<RequireQualifiedAccess>]
module Job =

    /// 64 chains, 8 of them to check with, 200 steps of warm-up.
    let defaultSampling: SamplingPlan = { Chains = 64; TestChains = 8; Warmup = 200 }

    /// A third of the labels from 200 anchors within 6 standard deviations, moves of up to one; 1000 points to check on.
    let defaultRidge: RidgePlan =
        {
            Fraction = 1.0 / 3.0
            Anchors = 200
            Span = RidgeSpan.Sigmas 6.0
            Reach = 1.0
            Test = 1000
        }

    /// The number of labels where nobody says: 10,000.
    let defaultLabels: int = 10_000

    /// A job with all the defaults.
    let create (source: JobSource) (output: string) : Job =
        {
            Source = source
            Seed = 1
            Labels = defaultLabels
            Sampling = defaultSampling
            Ridge = defaultRidge
            Profile = None
            Recipe = Recipe.funlik
            Output = output
        }

    /// The labels of a job that come from the ridge.
    let ridgeLabels (job: Job) : int = int (Math.Round(job.Ridge.Fraction * float job.Labels))

    let private atLeast (least: int) (json: Json) : Result<int, Error list> =
        Json.int json
        |> Result.bind (fun value ->
            if value >= least then
                Ok value
            else
                Json.refuse ErrorKind.Value "the number is too small" $"{least} or more" json)

    let private positive (json: Json) : Result<float, Error list> =
        Json.float json
        |> Result.bind (fun value ->
            if value > 0.0 then
                Ok value
            else
                Json.refuse ErrorKind.Value "the number is not positive" "a positive number" json)

    /// The value of a key, or what it is without.
    let private orElse
        (fallback: 'T)
        (name: string)
        (read: Json -> Result<'T, Error list>)
        (json: Json)
        : Result<'T, Error list> =
        Json.optionalField name read json |> Result.map (Option.defaultValue fallback)

    let private apply
        (argument: Result<'A, Error list>)
        (func: Result<'A -> 'B, Error list>)
        : Result<'B, Error list> =
        Validation.apply argument func

    let private readSampling (json: Json) : Result<SamplingPlan, Error list> =
        let usual = defaultSampling

        // Of the chains to learn from one at least chooses the weights.
        let enough (plan: SamplingPlan) : Result<SamplingPlan, Error list> =
            if plan.Chains >= plan.TestChains + 2 then
                Ok plan
            else
                Json.error ErrorKind.Value "too few chains to learn from" json
                |> Error.found $"{plan.Chains} chains, {plan.TestChains} of them for tests"
                |> Error.expected "two or more besides those for tests"
                |> Error.fail

        Ok(fun () chains tests warmup -> { Chains = chains; TestChains = tests; Warmup = warmup })
        |> apply (Json.onlyKeys [ "chains"; "testChains"; "warmup" ] json)
        |> apply (orElse usual.Chains "chains" (atLeast 3) json)
        |> apply (orElse usual.TestChains "testChains" (atLeast 1) json)
        |> apply (orElse usual.Warmup "warmup" (atLeast 20) json)
        |> Result.bind enough

    let private readFraction (json: Json) : Result<float, Error list> =
        Json.float json
        |> Result.bind (fun value ->
            if value >= 0.0 && value < 1.0 then
                Ok value
            else
                Json.refuse ErrorKind.Value "not such a part" "0 or more, and below 1" json)

    let private readRidge (json: Json) : Result<RidgePlan, Error list> =
        let usual = defaultRidge

        let span
            (low: float option)
            (high: float option)
            (sigmas: float option)
            : Result<RidgeSpan, Error list> =
            match low, high, sigmas with
            | None, None, None -> Ok usual.Span
            | None, None, Some s -> Ok(RidgeSpan.Sigmas s)
            | Some a, Some b, None when a < b -> Ok(RidgeSpan.Interval(a, b))
            | _ ->
                Json.refuse
                    ErrorKind.Schema
                    "not a place for a ridge"
                    "'from' below 'to', or 'sigmas' alone, or none of them"
                    json

        let spanOf: Result<RidgeSpan, Error list> =
            Validation.map3
                span
                (Json.optionalField "from" Json.float json)
                (Json.optionalField "to" Json.float json)
                (Json.optionalField "sigmas" positive json)
            |> Result.bind id

        Ok(fun () fraction anchors span reach test ->
            {
                Fraction = fraction
                Anchors = anchors
                Span = span
                Reach = reach
                Test = test
            })
        |> apply (
            Json.onlyKeys [ "fraction"; "anchors"; "from"; "to"; "sigmas"; "reach"; "test" ] json
        )
        |> apply (orElse usual.Fraction "fraction" readFraction json)
        |> apply (orElse usual.Anchors "anchors" (atLeast 1) json)
        |> apply spanOf
        |> apply (orElse usual.Reach "reach" positive json)
        |> apply (orElse usual.Test "test" (atLeast 1) json)

    let private readScan (json: Json) : Result<ScanPlan, Error list> =
        Ok(fun () first last count -> { From = first; To = last; Count = count })
        |> apply (Json.onlyKeys [ "from"; "to"; "count" ] json)
        |> apply (Json.field "from" Json.float json)
        |> apply (Json.field "to" Json.float json)
        |> apply (Json.field "count" (atLeast 2) json)
        |> Result.bind (fun plan ->
            if plan.From < plan.To then
                Ok plan
            else
                Json.refuse ErrorKind.Value "the ends are not in order" "'from' below 'to'" json)

    /// A recipe by name, or as an object with all that is chosen.
    let private recipe (json: Json) : Result<Recipe, Error list> =
        if json.Element.ValueKind = Text.Json.JsonValueKind.Object then
            RecipeJson.read json
        else
            json |> Json.oneOf Recipe.named

    let private readTraining (json: Json) : Result<Recipe, Error list> =
        orElse Recipe.funlik "recipe" recipe json
        |> Result.bind (fun recipe ->
            let hidden = Json.list (atLeast 1) >> Result.map Some

            let activation =
                Json.oneOf (Architecture.activationNames |> List.map (fun name -> name, name))

            Ok(fun () hidden activation weight rate batch length ->
                { recipe with
                    Hidden = hidden |> Option.defaultValue recipe.Hidden
                    // Layers that are asked for are layers over all parameters.
                    Separable = if hidden.IsSome then None else recipe.Separable
                    Activation = activation
                    GradientWeight = weight
                    Schedule = RateSchedule.withPeak rate recipe.Schedule
                    BatchSize = batch
                    Length = length
                })
            |> apply (
                Json.onlyKeys
                    [
                        "recipe"
                        "hidden"
                        "activation"
                        "gradientWeight"
                        "learningRate"
                        "batchSize"
                        "epochs"
                    ]
                    json
            )
            |> apply (orElse None "hidden" hidden json)
            |> apply (orElse recipe.Activation "activation" activation json)
            |> apply (
                orElse recipe.GradientWeight "gradientWeight" (positive >> Result.map Some) json
            )
            |> apply (orElse (RateSchedule.peak recipe.Schedule) "learningRate" positive json)
            |> apply (orElse recipe.BatchSize "batchSize" (atLeast 1) json)
            |> apply (
                orElse recipe.Length "epochs" (atLeast 1 >> Result.map TrainingLength.Epochs) json
            ))

    /// A path in the job, relative to its folder.
    let private path (file: string) (json: Json) : Result<string, Error list> =
        Json.text json
        |> Result.bind (fun name ->
            if String.IsNullOrWhiteSpace name || name.Contains '\000' then
                Json.refuse ErrorKind.Value "not a path" "a path relative to the job's folder" json
            else
                Ok(Path.GetFullPath(name, Path.GetDirectoryName(Path.GetFullPath file))))

    /// A model as its path, or as an object with what goes with it.
    let private readModel (file: string) (json: Json) : Result<ModelSource, Error list> =
        let plain (path: string) : ModelSource = { File = path; Options = ModelOptions.None }

        let code (name: string, json: Json) : Result<string * string, Error list> =
            Json.text json |> Result.map (fun code -> name, code)

        if json.Element.ValueKind <> Text.Json.JsonValueKind.Object then
            path file json |> Result.map plain
        else
            let optional name read = Json.optionalField name read json

            // The name of a patch in a set stands behind the path of the set, which is relative too.
            let patch (json: Json) : Result<string, Error list> = path file json

            Ok(fun () model patch scalings tolerance measurement codes unbounded ->
                {
                    File = model
                    Options =
                        {
                            Patch = patch
                            Scalings = scalings
                            ScalingsTolerance = tolerance
                            Measurement = measurement
                            Interpolation = codes |> Option.defaultValue []
                            UnboundedNuisances = unbounded |> Option.defaultValue false
                        }
                })
            |> apply (
                Json.onlyKeys
                    [
                        "file"
                        "patch"
                        "scalings"
                        "scalingsTolerance"
                        "measurement"
                        "interpolation"
                        "unboundedNuisances"
                    ]
                    json
            )
            |> apply (Json.field "file" (path file) json)
            |> apply (optional "patch" patch)
            |> apply (optional "scalings" (path file))
            |> apply (optional "scalingsTolerance" positive)
            |> apply (optional "measurement" Json.text)
            |> apply (
                optional
                    "interpolation"
                    (Json.entries >> Result.bind (List.map code >> Error.collect))
            )
            |> apply (optional "unboundedNuisances" Json.bool)

    /// What is wrong with the numbers of a job together.
    let check (job: Job) : Error list =
        let chains = job.Sampling.Chains - job.Sampling.TestChains
        let posterior = job.Labels - ridgeLabels job

        if job.Source.Data.IsNone && posterior < chains then
            [
                Error.make ErrorKind.Value "fewer labels of the posterior than chains to learn from"
                |> Error.found $"{posterior} labels for {chains} chains"
                |> Error.expected "at least one a chain"
                |> Error.hint
                    "Ask for more labels, for a smaller part of them on the ridge, or for fewer chains"
            ]
        else
            []

    let private ofJson (file: string) (json: Json) : Result<Job, Error list> =
        let keys =
            [
                "kind"
                "model"
                "data"
                "seed"
                "sampling"
                "ridge"
                "profile"
                "labels"
                "training"
                "output"
            ]

        let source (model: ModelSource option) (data: string option) =
            if model.IsNone && data.IsNone then
                Json.refuse ErrorKind.Schema "nothing to learn" "'model', 'data' or both" json
            else
                Ok { Model = model; Data = data }

        let sourceOf: Result<JobSource, Error list> =
            Validation.map2
                source
                (Json.optionalField "model" (readModel file) json)
                (Json.optionalField "data" (path file) json)
            |> Result.bind id

        let checkedTogether (job: Job) : Result<Job, Error list> =
            match check job with
            | [] -> Ok job
            | errors ->
                let inFile (e: Error) : Error = e |> Error.withFile file |> Error.at json.Path
                Result.Error(List.map inFile errors)

        Ok(fun () () source seed sampling ridge profile labels recipe output ->
            {
                Source = source
                Seed = seed
                Sampling = sampling
                Ridge = ridge
                Profile = profile
                Labels = labels
                Recipe = recipe
                Output = output
            })
        |> apply (Json.onlyKeys keys json)
        |> apply (Json.field "kind" (Json.oneOf [ "job", () ]) json)
        |> apply sourceOf
        |> apply (orElse 1 "seed" (atLeast 0) json)
        |> apply (orElse defaultSampling "sampling" readSampling json)
        |> apply (orElse defaultRidge "ridge" readRidge json)
        |> apply (Json.optionalField "profile" readScan json)
        |> apply (orElse defaultLabels "labels" (atLeast 2) json)
        |> apply (orElse Recipe.funlik "training" readTraining json)
        |> apply (Json.field "output" (path file) json)
        |> Result.bind checkedTogether

    /// Reads a job's file; unknown keys are refused, and all mistakes are reported at once.
    let load (file: string) : Result<Job, Error list> =
        Json.parseFile file |> Result.bind (ofJson file)

    let private integer (value: int) : JsonValue = JsonValue.Int(int64 value)

    /// A ridge as the object that it is read from.
    let ridgeJson (plan: RidgePlan) : JsonValue =
        JsonValue.Object
            [
                "fraction", JsonValue.Number plan.Fraction
                "anchors", integer plan.Anchors
                match plan.Span with
                | RidgeSpan.Sigmas sigmas -> "sigmas", JsonValue.Number sigmas
                | RidgeSpan.Interval(low, high) ->
                    "from", JsonValue.Number low
                    "to", JsonValue.Number high
                "reach", JsonValue.Number plan.Reach
                "test", integer plan.Test
            ]

    /// The values at which t_μ is checked, as the object that they are read from.
    let scanJson (plan: ScanPlan) : JsonValue =
        JsonValue.Object
            [
                "from", JsonValue.Number plan.From
                "to", JsonValue.Number plan.To
                "count", integer plan.Count
            ]

    /// All that the job's results depend on, besides the contents of the model and of the labels: its numbers, with defaults filled in.
    let toJson (job: Job) : JsonValue =
        JsonValue.Object
            [
                "seed", integer job.Seed
                "labels", integer job.Labels
                "sampling",
                JsonValue.Object
                    [
                        "chains", integer job.Sampling.Chains
                        "testChains", integer job.Sampling.TestChains
                        "warmup", integer job.Sampling.Warmup
                    ]
                "ridge", ridgeJson job.Ridge
                "profile", job.Profile |> JsonValue.ofOption scanJson
                "recipe", RecipeJson.write job.Recipe
            ]

    /// The ridge and the values of t_μ that a job's card tells.
    let readRegion (json: Json) : Result<RidgePlan * ScanPlan option, Error list> =
        Validation.map2
            (fun ridge profile -> ridge, profile)
            (Json.field "ridge" readRidge json)
            (Json.optionalField "profile" readScan json)
