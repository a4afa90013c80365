namespace FunLik

open System.IO

/// Draws from a posterior, and what they cost.
type Draws =
    {
        /// The fit around which the chains began.
        Mode: Fit
        /// The run, its chains in step.
        Run: SamplingRun
        /// Exact values and gradients: of the fit, the warm-up and the draws.
        Calls: int64
    }

/// `funlik sample`.
[<RequireQualifiedAccess>]
module Drawing =

    /// The split R-hat that all parameters must reach.
    let private rHat = 1.01

    /// Rows of one file.
    let private shardRows = 100_000

    let private say (context: VerbContext) (stage: string) (count: int) (total: int) : unit =
        context.Progress { Stage = stage; Done = int64 count; Total = int64 total }

    /// Warms up around the best fit and draws until the goal is reached, or out of reach.
    let draw (context: VerbContext) (request: SampleRequest) (model: Likelihood) : Draws =
        let options = context.Options
        let objective = Objective.ofLikelihood model
        say context "finding the mode" 0 0
        let fit = Fit.objective { FitOptions.Default with Run = options } objective
        let key = Key.ofSeed request.Seed |> Key.foldName "sample"

        let design =
            { Design.posteriorOf objective.Count request.Chains with
                Chains = request.Chains
                TestChains = 0
            }

        let tuned =
            Design.start options objective design fit.Point key
            |> Design.posterior options objective design key
            |> Seq.map (fun step ->
                say context "warming up" step.State.Warmup.Chains.Step design.Warmup.Steps
                step.State)
            |> Seq.find (fun state -> not state.Stage.IsWarmingUp)

        let goal = SamplingGoal.Ess(request.Ess, rHat, request.MostDraws)
        let sampler = Hamiltonian.sampler options objective tuned.Settings

        let run =
            tuned.Pilot
            |> Sampling.until goal sampler (Key.foldName "draws" key)
            |> Seq.map (fun run ->
                say context "sampling (ESS)" (int (min run.MinEss request.Ess)) (int request.Ess)
                run)
            |> Seq.last

        {
            Mode = fit
            Run = run
            Calls = 2L * int64 fit.Evaluations + (tuned.TuningCalls + run.Calls).Total
        }

    /// Writes all draws as labels.
    let write
        (context: VerbContext)
        (request: SampleRequest)
        (model: LoadedModel)
        (draws: Draws)
        : Result<unit, Error list> =
        let names = Likelihood.names model.Likelihood
        let run = draws.Run

        let facts =
            [
                "model", JsonValue.Text model.Likelihood.Name
                "sha256", JsonValue.Text model.Sha256
                "seed", JsonValue.Int(int64 request.Seed)
                "minEss", JsonValue.Number run.MinEss
                "maxRhat", JsonValue.Number run.MaxRHat
                LabelStage.callsFact, JsonValue.Int draws.Calls
            ]

        let block = max 1 (shardRows / run.Current.Count)

        FileError.guard request.Out (fun () ->
            Directory.CreateDirectory request.Out |> ignore
            let empty = LabelFiles.init (Likelihood.parameters model.Likelihood) facts

            run.States
            |> Array.chunkBySize block
            |> Array.fold
                (fun manifest states ->
                    manifest
                    |> Result.bind (
                        LabelSet.ofStates names Design.tag states
                        |> LabelSet.withParts context.Options model.Likelihood
                        |> LabelFiles.append request.Out LabelUse.Train
                    ))
                (Ok empty)
            |> Result.map ignore)

    /// Draws, writes, and says what came of it.
    let run
        (context: VerbContext)
        (request: SampleRequest)
        (model: LoadedModel)
        : Result<Report, Error list> =
        let started = context.Clock()
        let draws = draw context request model.Likelihood

        write context request model draws
        |> Result.map (fun () ->
            let run = draws.Run
            let seconds = (context.Clock() - started).TotalSeconds
            let converged = run.Status = SamplingStatus.Reached
            let shown digits value = TextTable.significant digits value

            {
                Converged = converged
                Json =
                    JsonValue.Object
                        [
                            "draws", JsonValue.Int(int64 run.Draws)
                            "minEss", JsonValue.Number run.MinEss
                            "maxRhat", JsonValue.Number run.MaxRHat
                            "exactCalls", JsonValue.Int draws.Calls
                            "seconds", JsonValue.Number seconds
                            "status",
                            JsonValue.Text(if converged then "converged" else "not converged")
                            "chains", JsonValue.Int(int64 run.Current.Count)
                            "acceptance", JsonValue.Number run.Acceptance
                            "divergences", JsonValue.Int(int64 run.Divergences)
                            "out", JsonValue.Text request.Out
                        ]
                Text =
                    [
                        $"{TextTable.count (int64 run.Draws)} draws of {run.Current.Count} chains in {request.Out}"
                        $"worst effective sample size {shown 4 run.MinEss}, worst R-hat {shown 5 run.MaxRHat}"
                        $"acceptance {shown 3 run.Acceptance}, divergences {run.Divergences}"
                        $"{TextTable.count draws.Calls} exact calls (a gradient is one more), {shown 3 seconds} s"
                    ]
                Notes =
                    [
                        if not converged then
                            $"not converged after {run.PerChain} draws of each chain: ESS {shown 4 run.MinEss} of "
                            + $"{shown 4 request.Ess}, R-hat {shown 5 run.MaxRHat} above {rHat}, or both"
                    ]
            })
