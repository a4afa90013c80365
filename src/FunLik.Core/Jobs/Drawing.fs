namespace FunLik

open System
open System.IO
open System.Threading.Tasks

/// Draws from a posterior in a folder, and what they cost.
type Draws =
    {
        /// Draws of all chains.
        Count: int
        /// How many steps of a chain are between two draws.
        Thin: int
        /// Where the run stands.
        State: DrawState
        /// What the draws say about each parameter.
        Diagnoses: Diagnosis[]
        /// Whether they are enough.
        IsEnough: bool
        /// Exact values and gradients: of the fit, the warm-up and the draws.
        Calls: int64
    }

    /// The effective sample size of the worst parameter.
    member this.MinEss: float = this.Diagnoses |> Array.map _.Ess |> Array.min

    /// The split R-hat of the worst parameter.
    member this.MaxRHat: float = this.Diagnoses |> Array.map _.RHat |> Array.max

/// `funlik sample`.
[<RequireQualifiedAccess>]
module Drawing =

    /// The split R-hat that all parameters must reach.
    let private rHat = 1.01

    /// Draws of a chain in one table, and between two records of where the run stands.
    let private shardRows = 32_768

    /// Where a run stands and what it has found of how to go on.
    type private Run =
        {
            Objective: Objective
            Design: PosteriorDesign
            Key: Key
            Context: VerbContext
            Request: SampleRequest
            Model: LoadedModel
            Hash: string
        }

    let private say (context: VerbContext) (stage: string) (count: int) (total: int) : unit =
        context.Progress { Stage = stage; Done = int64 count; Total = int64 total }

    let private shown (digits: int) (value: float) : string = TextTable.significant digits value

    /// What makes draws of a model these and no others.
    let private choices (request: SampleRequest) : (string * JsonValue) list =
        [
            "seed", JsonValue.Int(int64 request.Seed)
            "chains", JsonValue.Int(int64 request.Chains)
            "sampler", JsonValue.Text(SamplerKind.name request.Sampler)
        ]

    /// The hash of all that draws depend on; how many of them are wanted is not among it.
    let private inputs (request: SampleRequest) (model: string) : string =
        JsonValue.Object
            [
                "version", JsonValue.Text Version.current
                "model", JsonValue.Text model
                yield! choices request
            ]
        |> JsonValue.toLine
        |> Stage.hashText

    /// A folder of draws without any.
    let private emptyManifest (run: Run) : LabelManifest =
        LabelFiles.init
            (Likelihood.parameters run.Model.Likelihood)
            [
                "model", JsonValue.Text run.Model.Likelihood.Name
                "sha256", JsonValue.Text run.Model.Sha256
                yield! choices run.Request
            ]

    /// What a folder has of these draws: those of other inputs are an error, so that nothing is lost by a slip.
    let private found (run: Run) : Result<(DrawState * LabelManifest) option, Error list> =
        let folder = run.Request.Out

        result {
            let! state = DrawFiles.readState folder run.Objective.Count

            match state with
            | Some state when state.Inputs <> inputs run.Request run.Hash ->
                return!
                    Error.make
                        ErrorKind.Usage
                        "the folder has draws of another model, seed or sampler"
                    |> Error.withFile folder
                    |> Error.hint "Name another folder with --out, or delete this one."
                    |> Error.fail
            | Some state ->
                let! manifest = LabelFiles.readManifest folder
                // A table that was written just before an interruption is written again.
                return
                    Some(
                        state,
                        { manifest with Shards = List.truncate state.Shards manifest.Shards }
                    )
            | None when File.Exists(Path.Combine(folder, "labels.json")) ->
                return!
                    Error.make
                        ErrorKind.Usage
                        "the folder has labels that no `funlik sample` can add to"
                    |> Error.withFile folder
                    |> Error.hint "Name another folder with --out, or delete this one."
                    |> Error.fail
            | None -> return None
        }

    /// Fits, warms up around the best fit, and finds out how far apart draws must be. Chains that do not agree in the pilot go on: what
    /// they give is judged at the end.
    let private tune (run: Run) : Fit * PosteriorState =
        let options = run.Context.Options
        say run.Context "finding the mode" 0 0
        let fit = Fit.objective { FitOptions.Default with Run = options } run.Objective

        let tuned =
            Design.start options run.Objective run.Design fit.Point run.Key
            |> Design.posterior options run.Objective run.Design run.Key
            |> Seq.map (fun step ->
                if step.State.Stage.IsWarmingUp then
                    say
                        run.Context
                        "warming up"
                        step.State.Warmup.Chains.Step
                        run.Design.Warmup.Steps
                else
                    say run.Context "sampling: how far apart draws must be" 0 0

                step.State)
            |> Seq.find (fun state -> not (state.Stage.IsWarmingUp || state.Stage.IsPiloting))

        fit,
        { tuned with
            Stage = PosteriorStage.Labelling
            Kept = 0
            Thin = min (Design.thinOf tuned.Pilot) (max 1 (run.Request.MostDraws / 100))
        }

    /// Draws until each chain has given so many, in tables: while one is written, the next is drawn.
    let private extend
        (run: Run)
        (tuned: PosteriorState)
        (perChain: int)
        (state: DrawState, manifest: LabelManifest)
        : Result<DrawState * LabelManifest, Error list> =
        let request, options = run.Request, run.Context.Options
        let design = { run.Design with Labels = perChain * request.Chains }

        let start =
            { tuned with
                Chains = state.Chains
                Kept = state.Kept
                Acceptance = state.Acceptance
                Divergences = state.Divergences
                SamplingCalls = state.Calls
            }

        let withParts = LabelSet.withParts options run.Model.Likelihood

        let write (step: PosteriorStep) (manifest: LabelManifest) =
            withParts step.Train
            |> fun set -> LabelFiles.append request.Out LabelUse.Train set manifest
            |> Result.bind (fun added ->
                let after =
                    { state with
                        Chains = step.State.Chains
                        Kept = step.State.Kept
                        Shards = added.Shards.Length
                        Acceptance = step.State.Acceptance
                        Divergences = step.State.Divergences
                        Calls = step.State.SamplingCalls
                    }

                DrawFiles.writeState request.Out after |> Result.map (fun () -> after, added))

        let mutable written = Task.FromResult(Ok(state, manifest))

        try
            for step in Design.posterior options run.Objective design run.Key start do
                say run.Context "drawing" step.State.Kept perChain
                let before = written.GetAwaiter().GetResult()

                written <-
                    Task.Run(fun () ->
                        before |> Result.bind (fun (_, manifest) -> write step manifest))
        finally
            // What is being written is written, whatever ends the drawing.
            Task.WhenAny(written :> Task).Wait()

        written.GetAwaiter().GetResult()

    /// Draws until what is in the folder is enough, or the most that is allowed.
    let private until
        (run: Run)
        (tuned: PosteriorState)
        (start: DrawState * LabelManifest)
        : Result<DrawState * Diagnosis[] * bool, Error list> =
        let request = run.Request
        let most = max 1 (request.MostDraws / tuned.Thin)
        // What the pilot says of draws so far apart.
        let share =
            let ofAll = min 1.0 (tuned.Pilot.MinEss / float (max 1 tuned.Pilot.Draws))
            // As if correlations fell off geometrically.
            let falls = ((1.0 - ofAll) / (1.0 + ofAll)) ** float tuned.Thin
            (1.0 - falls) / (1.0 + falls)


        let group = SamplerKind.group request.Chains request.Sampler
        let least = Sampling.leastEss group request.Ess

        let wanted (ess: float) : int =
            int (min (float most) (ceil (1.1 * least / (ess * float request.Chains))))

        let rec go (perChain: int) (state: DrawState, manifest: LabelManifest) =
            extend run tuned perChain (state, manifest)
            |> Result.bind (fun (state, manifest) ->
                DrawFiles.diagnose run.Context.Options request.Out request.Chains group manifest
                |> Result.bind (fun diagnoses ->
                    let ess = diagnoses |> Array.map _.Ess |> Array.min

                    let worst =
                        diagnoses |> Array.map (fun d -> max d.RHat d.RankRHat) |> Array.max

                    say
                        run.Context
                        $"sampling (ESS {shown 4 ess}, R-hat {shown 5 worst})"
                        (int (min ess least))
                        (int least)

                    if ess >= least && worst <= rHat then
                        Ok(state, diagnoses, true)
                    elif state.Kept >= most then
                        Ok(state, diagnoses, false)
                    else
                        let draws = float (state.Kept * request.Chains)
                        let next = wanted (max 1.0 ess / draws)
                        let more = int (1.1 * float state.Kept) + 1

                        go
                            (next |> max more |> min (2 * state.Kept) |> max 16 |> min most)
                            (state, manifest)))

        let first = wanted (share |> max 1e-3 |> min 1.0) |> max (min most 16)
        go (max first (fst start).Kept) start

    /// Draws into the folder of the request until the draws are enough. A run that was interrupted goes on where it was, and ends as if it
    /// had not been; asked for more, a finished one goes on as well.
    let draw
        (context: VerbContext)
        (request: SampleRequest)
        (subject: JobSubject)
        : Result<Draws, Error list> =
        let model = subject.Exact.Value
        let objective = Objective.ofLikelihood model.Likelihood

        let run =
            {
                Objective = objective
                Key = Key.ofSeed request.Seed |> Key.foldName "sample"
                Context = context
                Request = request
                Model = model
                Hash = subject.Hash
                Design =
                    { Design.posteriorOf objective.Count request.Chains with
                        Chains = request.Chains
                        TestChains = 0
                        Sampler = request.Sampler
                        MostPilotDraws = max 50 (min 2000 request.MostDraws)
                        ShardDraws = max 1 (shardRows / request.Chains)
                    }
            }

        result {
            do!
                match Design.check objective.Count run.Design with
                | [] -> Ok()
                | errors -> Result.Error errors

            let! before = found run
            let fit, tuned = tune run

            do!
                FileError.guard request.Out (fun () ->
                    Directory.CreateDirectory request.Out |> ignore
                    Ok())

            let start =
                before
                |> Option.defaultWith (fun () ->
                    {
                        Inputs = run.Hash |> inputs request
                        Chains = { tuned.Warmup.Chains with Step = 0 }
                        Kept = 0
                        Shards = 0
                        Acceptance = 0.0
                        Divergences = 0
                        Calls = ExactCalls.Zero
                    },
                    emptyManifest run)

            let! state, diagnoses, isEnough = until run tuned start

            return
                {
                    Count = state.Kept * request.Chains
                    Thin = tuned.Thin
                    State = state
                    Diagnoses = diagnoses
                    IsEnough = isEnough
                    Calls =
                        2L * int64 fit.Evaluations
                        + (tuned.TuningCalls + tuned.SamplingCalls + state.Calls).Total
                }
        }

    /// Parameters whose chains are beyond the bounds of fits now, as notes: who expects a flat prior there should know.
    let private beyond (parameters: ModelParameter[]) (chains: Chains) : string list =
        let n = parameters.Length

        [
            for i in 0 .. n - 1 do
                let struct (low, high) = parameters[i].Bounds

                let isOut (c: int) : bool =
                    let x = chains.Points[c * n + i]
                    x < low || x > high

                if Seq.exists isOut (seq { 0 .. chains.Count - 1 }) then
                    $"{parameters[i].Name} is drawn beyond its bounds {low}..{high}: they are for fits, and no prior (`funlik reweight --prior` restricts draws)"
        ]

    let private report
        (parameters: ModelParameter[])
        (request: SampleRequest)
        (seconds: float)
        (draws: Draws)
        : Report =
        let least (number: Diagnosis -> float) = draws.Diagnoses |> Array.map number |> Array.min
        let most (number: Diagnosis -> float) = draws.Diagnoses |> Array.map number |> Array.max

        {
            Converged = draws.IsEnough || request.AllowUnconverged
            Json =
                JsonValue.Object
                    [
                        "draws", JsonValue.Int(int64 draws.Count)
                        "minEss", JsonValue.Number draws.MinEss
                        "maxRhat", JsonValue.Number draws.MaxRHat
                        "exactCalls", JsonValue.Int draws.Calls
                        "seconds", JsonValue.Number seconds
                        "status",
                        JsonValue.Text(if draws.IsEnough then "converged" else "not converged")
                        "sampler", JsonValue.Text(SamplerKind.name request.Sampler)
                        "chains", JsonValue.Int(int64 request.Chains)
                        "thin", JsonValue.Int(int64 draws.Thin)
                        "minBulkEss", JsonValue.Number(least _.BulkEss)
                        "minTailEss", JsonValue.Number(least _.TailEss)
                        "maxRankRhat", JsonValue.Number(most _.RankRHat)
                        "acceptance", JsonValue.Number draws.State.Acceptance
                        "divergences", JsonValue.Int(int64 draws.State.Divergences)
                        "out", JsonValue.Text request.Out
                    ]
            Text =
                [
                    $"{TextTable.count (int64 draws.Count)} draws of {request.Chains} chains in {request.Out}, every step {draws.Thin}"
                    $"worst effective sample size {shown 4 draws.MinEss} (bulk {shown 4 (least _.BulkEss)}, tail {shown 4 (least _.TailEss)})"
                    $"worst R-hat {shown 5 draws.MaxRHat} (of ranks {shown 5 (most _.RankRHat)})"
                    $"acceptance {shown 3 draws.State.Acceptance}, divergences {draws.State.Divergences}"
                    $"{TextTable.count draws.Calls} exact calls (a gradient is one more), {shown 3 seconds} s"
                ]
            Notes =
                [
                    if not draws.IsEnough then
                        $"not converged after {draws.State.Kept * draws.Thin} draws of each chain: ESS {shown 4 draws.MinEss} of "
                        + $"{shown 4 (Sampling.leastEss (SamplerKind.group request.Chains request.Sampler) request.Ess)}, R-hat {shown 5 draws.MaxRHat} (of ranks {shown 5 (most _.RankRHat)}) above {rHat}, or both"
                    yield! beyond parameters draws.State.Chains
                ]
        }

    /// Draws, and says what came of it. The manifest tells then what the draws cost.
    let run
        (context: VerbContext)
        (request: SampleRequest)
        (subject: JobSubject)
        : Result<Report, Error list> =
        let started = context.Clock()

        result {
            let! draws = draw context request subject
            let! manifest = LabelFiles.readManifest request.Out

            let costs =
                [
                    "minEss", JsonValue.Number draws.MinEss
                    "maxRhat", JsonValue.Number draws.MaxRHat
                    LabelStage.callsFact, JsonValue.Int draws.Calls
                ]

            let kept =
                manifest.Facts
                |> List.filter (fun (name, _) -> not (List.exists (fst >> (=) name) costs))

            do! LabelFiles.writeManifest request.Out { manifest with Facts = kept @ costs }
            let parameters = Likelihood.parameters subject.Exact.Value.Likelihood
            return report parameters request (context.Clock() - started).TotalSeconds draws
        }
