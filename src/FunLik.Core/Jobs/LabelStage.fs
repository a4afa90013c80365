namespace FunLik

open System.IO

/// What labels cost, and how good the sampling was.
type LabelFacts =
    {
        /// Whether the chains agree; else there are no labels.
        Converged: bool
        /// Exact values and gradients of warm-up and draws, and of profiles along the ridge. Labels of the posterior are among the draws.
        SamplingCalls: int64
        /// Exact values and gradients of the labels along the ridge.
        LabelCalls: int64
        /// Every so many draws became labels.
        Thin: int
        MinEss: float
        MaxRHat: float
        Acceptance: float
        Divergences: int
        /// Labels to learn from by design, and labels to check with.
        TrainLabels: (string * int) list
        TestLabels: int
        /// Values of the parameters of interest at which the profile did not converge.
        LostAnchors: int
    }

    /// All labels to learn from.
    member this.Train: int = this.TrainLabels |> List.sumBy snd

/// The stage of a job that makes labels: of the posterior by Hamiltonian Monte Carlo, along the ridge by profiles, or out of a folder
/// that has them.
[<RequireQualifiedAccess>]
module LabelStage =

    let private file = "sampling.json"

    let private design (context: JobContext) : PosteriorDesign =
        let plan = context.Job.Sampling
        let dimension = (Likelihood.parameters context.Subject.Likelihood).Length
        let labels = context.Job.Labels - Job.ridgeLabels context.Job
        let usual = Design.posteriorOf dimension labels

        { usual with
            Chains = plan.Chains
            TestChains = plan.TestChains
            Warmup = { usual.Warmup with Steps = plan.Warmup }
        }

    let private sayStep (context: JobContext) (design: PosteriorDesign) (state: PosteriorState) =
        match state.Stage with
        | PosteriorStage.WarmingUp ->
            JobContext.say context "warming up" state.Warmup.Chains.Step design.Warmup.Steps
        | PosteriorStage.Piloting -> JobContext.say context "sampling" 0 0
        | _ ->
            let done' = state.Kept * (design.Chains - design.TestChains)
            JobContext.say context "taking labels" (min done' design.Labels) design.Labels

    let private hasPois (context: JobContext) : bool =
        Likelihood.parameters context.Subject.Likelihood |> Array.exists _.Kind.IsPoi

    /// Labels of the posterior, and how they were sampled.
    let private posterior
        (context: JobContext)
        (mode: ModeFacts)
        (objective: Objective)
        : PosteriorState * LabelSet * LabelSet =
        let design =
            let usual = design context

            if hasPois context then
                usual
            else
                { usual with Labels = context.Job.Labels }

        let options = context.Verb.Options
        let key = Key.foldName "sampling" context.Key

        let steps =
            Design.start options objective design mode.Point key
            |> Design.posterior options objective design key
            |> Seq.map (fun step ->
                sayStep context design step.State
                step)
            |> List.ofSeq

        let names = Likelihood.names context.Subject.Likelihood

        let all (part: PosteriorStep -> LabelSet) : LabelSet =
            steps |> List.map part |> LabelSet.concat names

        (List.last steps).State, all _.Train, all _.Test

    /// The design of points along the ridge.
    let ridge (job: Job) (labels: int) (anchors: int) : RidgeDesign =
        { Ridge.design labels with
            Anchors = max 1 (min labels anchors)
            Span = job.Ridge.Span
            Reach = job.Ridge.Reach
            // Chains have the numbers before.
            FirstGroup = job.Sampling.Chains
        }

    let private write
        (context: JobContext)
        (folder: string)
        (facts: LabelFacts)
        (train: LabelSet)
        (test: LabelSet)
        : Result<string list, Error list> =
        let split (set: LabelSet) : LabelSet =
            match context.Subject.Exact with
            | Some model -> LabelSet.withParts context.Verb.Options model.Likelihood set
            | None -> set

        let integer = JobContext.integer

        LabelFiles.init (Likelihood.parameters context.Subject.Likelihood) []
        |> LabelFiles.append folder LabelUse.Train (split train)
        |> Result.bind (LabelFiles.append folder LabelUse.Test (split test))
        |> Result.bind (fun manifest ->
            JsonValue.Object
                [
                    "converged", JsonValue.Bool facts.Converged
                    "samplingCalls", JsonValue.Int facts.SamplingCalls
                    "labelCalls", JsonValue.Int facts.LabelCalls
                    "thin", integer facts.Thin
                    "minEss", JsonValue.Number facts.MinEss
                    "maxRHat", JsonValue.Number facts.MaxRHat
                    "acceptance", JsonValue.Number facts.Acceptance
                    "divergences", integer facts.Divergences
                    "trainLabels",
                    facts.TrainLabels
                    |> List.map (fun (tag, count) -> tag, integer count)
                    |> JsonValue.Object
                    "testLabels", integer facts.TestLabels
                    "lostAnchors", integer facts.LostAnchors
                ]
            |> JsonValue.writeFile (Path.Combine(folder, file))
            |> Result.map (fun () -> file :: LabelFiles.files manifest))

    let private counts (set: LabelSet) : (string * int) list =
        set.Tags |> Array.countBy id |> List.ofArray

    let private sample
        (context: JobContext)
        (mode: ModeFacts)
        (model: LoadedModel)
        (folder: string)
        : Result<string list, Error list> =
        let objective = Objective.ofLikelihood model.Likelihood
        let state, train, test = posterior context mode objective

        let ridge =
            let labels =
                if state.Stage.IsFinished then
                    Job.ridgeLabels context.Job
                else
                    0

            JobContext.say context "profiling along the ridge" 0 0

            Ridge.labels
                context.Verb.Options
                objective
                (ridge context.Job labels context.Job.Ridge.Anchors)
                mode.Point
                (Key.foldName "ridge" context.Key)

        let all = LabelSet.concat train.Parameters [ train; ridge.Set ]
        let pilot = state.Pilot

        write
            context
            folder
            {
                Converged = state.Stage.IsFinished
                SamplingCalls = (state.TuningCalls + state.SamplingCalls + ridge.AnchorCalls).Total
                LabelCalls = ridge.LabelCalls.Total
                Thin = state.Thin
                MinEss = pilot.MinEss
                MaxRHat = pilot.MaxRHat
                Acceptance = pilot.Acceptance
                Divergences = pilot.Divergences
                TrainLabels = counts all
                TestLabels = test.Count
                LostAnchors = ridge.Lost
            }
            all
            test

    /// Groups to keep apart from others: of every design the last ones, one in so many, but not all.
    let lastGroups (oneIn: int) (set: LabelSet) : int -> bool =
        let chosen =
            Array.zip set.Tags set.Chains
            |> Array.distinct
            |> Array.groupBy fst
            |> Array.collect (fun (_, groups) ->
                let sorted = groups |> Array.map snd |> Array.sort
                let count = min (max 1 (sorted.Length / oneIn)) (sorted.Length - 1)
                sorted[sorted.Length - count ..])
            |> Set.ofArray

        chosen.Contains

    /// The name among the facts of labels under which `funlik sample` tells what they cost.
    let callsFact: string = "exactCalls"

    /// What the labels of a folder cost when they were made; 0 where nobody says.
    let private callsOf (manifest: LabelManifest) : int64 =
        manifest.Facts
        |> List.tryPick (fun (name, value) ->
            match value with
            | JsonValue.Int calls when name = callsFact -> Some calls
            | JsonValue.Number calls when name = callsFact && calls >= 0.0 -> Some(int64 calls)
            | _ -> None)
        |> Option.defaultValue 0L

    /// Labels out of a folder: those for tests as they are, or else one in eight of the chains; of the others as many as asked for, evenly.
    let private choose
        (context: JobContext)
        (data: string, manifest: LabelManifest)
        (folder: string)
        : Result<string list, Error list> =
        result {
            let! train = LabelFiles.read data LabelUse.Train
            let! test = LabelFiles.read data LabelUse.Test
            let groups = Array.distinct train.Chains

            do!
                Validation.require
                    (groups.Length >= 3)
                    (Error.make ErrorKind.Shape "too few independent groups of labels to learn from"
                     |> Error.withFile data
                     |> Error.found $"{groups.Length} chains or anchors"
                     |> Error.expected "3 or more")

            let isTest: int -> bool =
                if test.Count > 0 then
                    (fun _ -> false)
                else
                    lastGroups 8 train

            let rest = train |> LabelSet.ofChains (isTest >> not)
            let count = min rest.Count context.Job.Labels

            let chosen =
                if count = rest.Count then
                    rest
                else
                    let at (k: int) : int = int (int64 k * int64 rest.Count / int64 count)
                    LabelSet.rows (Array.init count at) rest

            let held =
                if test.Count > 0 then
                    test
                else
                    LabelSet.ofChains isTest train

            return!
                write
                    context
                    folder
                    {
                        Converged = true
                        SamplingCalls = callsOf manifest
                        LabelCalls = 0L
                        Thin = 1
                        MinEss = nan
                        MaxRHat = nan
                        Acceptance = nan
                        Divergences = 0
                        TrainLabels = counts chosen
                        TestLabels = held.Count
                        LostAnchors = 0
                    }
                    chosen
                    held
        }

    /// Makes labels to learn from, and labels of other chains to check with.
    let run
        (mode: StageResult)
        (facts: ModeFacts)
        (context: JobContext)
        : Result<StageResult, Error list> =
        let job = context.Job

        let inputs =
            JsonValue.Object
                [
                    "subject", JsonValue.Text context.Subject.Hash
                    "mode", JsonValue.Text mode.Contents
                    "seed", JobContext.integer job.Seed
                    "labels", JobContext.integer job.Labels
                    "chains", JobContext.integer job.Sampling.Chains
                    "testChains", JobContext.integer job.Sampling.TestChains
                    "warmup", JobContext.integer job.Sampling.Warmup
                    "ridge", Job.ridgeJson { job.Ridge with Test = 0 }
                ]

        Stage.run job.Output "labels" inputs (fun folder ->
            match context.Subject.Exact, context.Subject.Data with
            | _, Some data -> choose context data folder
            | Some model, None -> sample context facts model folder
            | None, None -> invalidOp "a job has a model or labels")

    /// What labels cost, and how good the sampling was.
    let read (stage: StageResult) : Result<LabelFacts, Error list> =
        let tagCounts (json: Json) : Result<(string * int) list, Error list> =
            Json.entries json
            |> Result.bind (
                List.map (fun (tag, count) ->
                    Json.int count |> Result.map (fun number -> tag, number))
                >> Error.collect
            )

        Json.parseFile (Path.Combine(stage.Folder, file))
        |> Result.bind (fun json ->
            let int name = Json.field name Json.int json

            Ok
                (fun converged sampling labels thin ess rHat acceptance divergences train test lost ->
                    {
                        Converged = converged
                        SamplingCalls = sampling
                        LabelCalls = labels
                        Thin = thin
                        MinEss = ess
                        MaxRHat = rHat
                        Acceptance = acceptance
                        Divergences = divergences
                        TrainLabels = train
                        TestLabels = test
                        LostAnchors = lost
                    })
            |> Validation.apply (Json.field "converged" Json.bool json)
            |> Validation.apply (JobContext.count "samplingCalls" json)
            |> Validation.apply (JobContext.count "labelCalls" json)
            |> Validation.apply (int "thin")
            |> Validation.apply (JobContext.number "minEss" json)
            |> Validation.apply (JobContext.number "maxRHat" json)
            |> Validation.apply (JobContext.number "acceptance" json)
            |> Validation.apply (int "divergences")
            |> Validation.apply (Json.field "trainLabels" tagCounts json)
            |> Validation.apply (int "testLabels")
            |> Validation.apply (int "lostAnchors"))
