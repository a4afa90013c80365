namespace FunLik

open System.IO

/// How a job samples.
type SamplingPlan =
    {
        /// Chains, each on its own.
        Chains: int
        /// How many of them give the points that the surrogate is checked on, and nothing else.
        TestChains: int
        /// Steps of the warm-up.
        Warmup: int
    }

/// A batch job as a value: learn a likelihood, check what was learnt, write it down.
type Job =
    {
        /// The job's file.
        File: string
        /// The model's file.
        Model: string
        /// The seed of all randomness.
        Seed: int
        /// The sampling.
        Sampling: SamplingPlan
        /// Points with values and gradients that are learnt from, those that choose the weights included.
        Labels: int
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

    /// The number of labels where the file does not say: 10,000.
    let defaultLabels: int = 10_000

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

    let private recipeName (json: Json) : Result<Recipe, Error list> =
        json |> Json.oneOf Recipe.named

    let private readTraining (json: Json) : Result<Recipe, Error list> =
        orElse Recipe.funlik "recipe" recipeName json
        |> Result.bind (fun recipe ->
            let hidden = Json.list (atLeast 1)

            let activation =
                Json.oneOf (Architecture.activationNames |> List.map (fun name -> name, name))

            Ok(fun () hidden activation weight rate batch length ->
                { recipe with
                    Hidden = hidden
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
            |> apply (orElse recipe.Hidden "hidden" hidden json)
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
            if System.String.IsNullOrWhiteSpace name || name.Contains '\000' then
                Json.refuse ErrorKind.Value "not a path" "a path relative to the job's folder" json
            else
                Ok(Path.GetFullPath(name, Path.GetDirectoryName(Path.GetFullPath file))))

    let private ofJson (file: string) (json: Json) : Result<Job, Error list> =
        let keys = [ "kind"; "model"; "seed"; "sampling"; "labels"; "training"; "output" ]

        let enough (job: Job) : Result<Job, Error list> =
            let chains = job.Sampling.Chains - job.Sampling.TestChains

            if job.Labels >= chains then
                Ok job
            else
                Json.error ErrorKind.Value "fewer labels than training chains" json
                |> Error.found $"{job.Labels} labels for {chains} chains"
                |> Error.expected "at least one a chain"
                |> Error.fail

        Ok(fun () () model seed sampling labels recipe output ->
            {
                File = file
                Model = model
                Seed = seed
                Sampling = sampling
                Labels = labels
                Recipe = recipe
                Output = output
            })
        |> apply (Json.onlyKeys keys json)
        |> apply (Json.field "kind" (Json.oneOf [ "job", () ]) json)
        |> apply (Json.field "model" (path file) json)
        |> apply (orElse 1 "seed" (atLeast 0) json)
        |> apply (orElse defaultSampling "sampling" readSampling json)
        |> apply (orElse defaultLabels "labels" (atLeast 2) json)
        |> apply (orElse Recipe.funlik "training" readTraining json)
        |> apply (Json.field "output" (path file) json)
        |> Result.bind enough

    /// Reads a job's file; unknown keys are refused, and all mistakes are reported at once.
    let load (file: string) : Result<Job, Error list> =
        Json.parseFile file |> Result.bind (ofJson file)

    /// All that the job's results depend on, besides the model: its numbers, with defaults filled in.
    let toJson (job: Job) : JsonValue =
        let integer (value: int) : JsonValue = JsonValue.Int(int64 value)

        JsonValue.Object
            [
                "seed", integer job.Seed
                "sampling",
                JsonValue.Object
                    [
                        "chains", integer job.Sampling.Chains
                        "testChains", integer job.Sampling.TestChains
                        "warmup", integer job.Sampling.Warmup
                    ]
                "labels", integer job.Labels
                "recipe", Recipe.toJson job.Recipe
            ]
