namespace FunLik

open System

/// How a posterior is sampled for labels.
type PosteriorDesign =
    {
        /// The labels wanted for training.
        Labels: int
        /// Chains, each on its own.
        Chains: int
        /// How many of them give test labels, from which nothing is ever trained.
        TestChains: int
        /// Which sampler draws.
        Sampler: SamplerKind
        /// How it is tuned: by Hamiltonian Monte Carlo, whichever draws then.
        Warmup: WarmupSettings
        /// The split R-hat that all parameters must reach before labels are taken.
        RHat: float
        /// The largest number of draws a chain in which they must.
        MostPilotDraws: int
        /// Draws of each chain between two reports, and in one shard of a file.
        ShardDraws: int
    }

/// What the sampling of a posterior is doing.
[<RequireQualifiedAccess>]
type PosteriorStage =
    /// Tuning the sampler.
    | WarmingUp
    /// Finding out how far apart draws must be taken.
    | Piloting
    /// Taking labels.
    | Labelling
    /// All labels are taken.
    | Finished
    /// The chains never agreed; no labels were taken.
    | NotConverged

/// Where the sampling of a posterior stands: all that is needed to go on.
type PosteriorState =
    {
        /// What it is doing.
        Stage: PosteriorStage
        /// The warm-up.
        Warmup: Warmup
        /// The tuned sampler; during the warm-up, as it would be now.
        Settings: HamiltonianSettings
        /// The first draws, by which convergence is judged.
        Pilot: SamplingRun
        /// Every so many draws become labels: the autocorrelation time of the worst parameter.
        Thin: int
        /// The chains now.
        Chains: Chains
        /// Draws of each chain that became labels.
        Kept: int
        /// Evaluations that found scales and starts, and those of the warm-up.
        TuningCalls: ExactCalls
        /// The mean acceptance probability of all draws.
        Acceptance: float
        /// Divergent trajectories among them.
        Divergences: int
        /// Evaluations of the draws, whether kept or not; labels cost nothing more where the sampler asks for gradients.
        SamplingCalls: ExactCalls
    }

/// One step of sampling a posterior: where it stands, and the labels it gave, if any.
type PosteriorStep =
    {
        /// Where it stands.
        State: PosteriorState
        /// New labels for training.
        Train: LabelSet
        /// New labels for tests, of other chains.
        Test: LabelSet
    }

/// Designs: where labels for training and testing are taken.
[<RequireQualifiedAccess>]
module Design =

    /// The tag of the labels.
    let tag = "posterior"

    /// Hamiltonian Monte Carlo of 64 chains, 8 of them for tests; R-hat 1.02 within 2000 draws; shards of 256 draws.
    let posteriorOf (dimension: int) (labels: int) : PosteriorDesign =
        {
            Labels = labels
            Chains = 64
            TestChains = 8
            Sampler = SamplerKind.Hamiltonian
            Warmup = Warmup.settings dimension
            RHat = 1.02
            MostPilotDraws = 2000
            ShardDraws = 256
        }

    /// What is wrong with a design for a density of so many parameters.
    let check (dimension: int) (design: PosteriorDesign) : Error list =
        let atLeast (least: int) (what: string) (value: int) : Error list =
            if value >= least then
                []
            else
                [
                    Error.make ErrorKind.Value what
                    |> Error.found $"{value}"
                    |> Error.expected $"{least} or more"
                ]

        atLeast 1 "the number of labels" design.Labels
        @ atLeast 0 "the number of test chains" design.TestChains
        @ atLeast (design.TestChains + 1) "the number of chains" design.Chains
        @ atLeast 50 "the largest number of pilot draws" design.MostPilotDraws
        @ atLeast 1 "the draws in a shard" design.ShardDraws
        @ Warmup.check dimension design.Warmup
        @ SamplerKind.check dimension design.Chains design.Sampler
        @ (if SamplerKind.isEnsemble design.Sampler && design.TestChains > 0 then
               [
                   Error.make ErrorKind.Value "walkers of one ensemble are not independent"
                   |> Error.found $"{design.TestChains} test chains"
                   |> Error.expected "none with an ensemble sampler"
               ]
           else
               [])

    let private names (objective: Objective) : string[] = objective.Parameters |> Array.map _.Name

    /// Draws that each chain must give.
    let private keptOf (design: PosteriorDesign) : int =
        let training = design.Chains - design.TestChains
        (design.Labels + training - 1) / training

    /// Whether a chain's labels are for tests: the last chains are.
    let isTest (design: PosteriorDesign) (chain: int) : bool =
        chain >= design.Chains - design.TestChains

    /// The beginning, around a point of high density: scales from the curvature there, chains at
    /// normal distances of these scales. Raises an error for a design that makes no sense, and for a
    /// centre outside of the support.
    let start
        (options: RunOptions)
        (objective: Objective)
        (design: PosteriorDesign)
        (centre: float[])
        (key: Key)
        : PosteriorState =
        match check objective.Count design with
        | [] -> ()
        | errors -> raise (FunLikException errors)

        let struct (metric, scaling) =
            Metric.ofCurvature options objective design.Warmup.IsDense centre

        let struct (chains, starting) =
            Key.foldName "starts" key
            |> Chains.startAround options objective design.Chains (Metric.widths metric) centre

        let warmup = Warmup.init { design.Warmup with Metric = metric } chains

        {
            Stage = PosteriorStage.WarmingUp
            Warmup = warmup
            Settings = Warmup.found design.Warmup warmup
            Pilot = Sampling.init (names objective) chains
            Thin = 1
            Chains = chains
            Kept = 0
            TuningCalls = scaling + starting
            Acceptance = 0.0
            Divergences = 0
            SamplingCalls = ExactCalls.Zero
        }

    /// The sampler of a state whose warm-up is done.
    let sampler
        (options: RunOptions)
        (objective: Objective)
        (design: PosteriorDesign)
        (state: PosteriorState)
        : Sampler =
        SamplerKind.sampler options objective state.Settings state.Warmup.Chains design.Sampler

    let private warmUp
        (options: RunOptions)
        (objective: Objective)
        (design: PosteriorDesign)
        (key: Key)
        (state: PosteriorState)
        : PosteriorState =
        let stepKey = Key.foldName "warm-up" key |> Key.fold state.Warmup.Chains.Step

        let struct (warmup, info) =
            Warmup.step options objective design.Warmup stepKey state.Warmup

        let next =
            { state with
                Warmup = warmup
                Settings = Warmup.found design.Warmup warmup
                Chains = warmup.Chains
                TuningCalls = state.TuningCalls + info.Calls
            }

        if warmup.Chains.Step < design.Warmup.Steps then
            next
        else
            { next with
                Stage = PosteriorStage.Piloting
                Pilot = Sampling.init (names objective) warmup.Chains
            }

    /// Chains with gradients, of samplers that ask for none; a value is then asked for once more.
    let withGradients
        (options: RunOptions)
        (objective: Objective)
        (states: Chains[])
        : struct (Chains[] * ExactCalls) =
        let has (chains: Chains) : bool = chains.Gradient.Length > 0

        if Array.forall has states then
            struct (states, ExactCalls.Zero)
        else
            let points = states |> Array.collect _.Points
            let struct (values, gradients) = objective.ValuesAndGradients(points, options)
            let calls = { Values = values.LongLength; Gradients = values.LongLength }
            let starts = states |> Array.scan (fun start s -> start + s.Points.Length) 0

            struct (states
                    |> Array.mapi (fun i s ->
                        { s with
                            Gradient = gradients[starts[i] .. starts[i] + s.Points.Length - 1]
                        }),
                    calls)

    let private labels
        (options: RunOptions)
        (objective: Objective)
        (design: PosteriorDesign)
        (state: PosteriorState)
        (states: Chains[])
        : PosteriorStep =
        let struct (states, gradients) = withGradients options objective states
        let state = { state with SamplingCalls = state.SamplingCalls + gradients }
        let all = LabelSet.ofStates state.Pilot.Names tag states
        let training = design.Chains - design.TestChains
        let missing = design.Labels - state.Kept * training
        let kept = state.Kept + states.Length

        {
            State =
                { state with
                    Kept = kept
                    Stage =
                        if kept < keptOf design then
                            PosteriorStage.Labelling
                        else
                            PosteriorStage.Finished
                }
            Train = all |> LabelSet.ofChains (isTest design >> not) |> LabelSet.truncate missing
            Test = all |> LabelSet.ofChains (isTest design)
        }

    let private without (state: PosteriorState) : PosteriorStep =
        let empty = LabelSet.empty state.Pilot.Names
        { State = state; Train = empty; Test = empty }

    /// How far two draws of a chain must be apart to be nearly independent.
    let thinOf (run: SamplingRun) : int = max 1 (int (ceil (float run.Draws / run.MinEss - 0.1)))

    let private pilot
        (options: RunOptions)
        (objective: Objective)
        (design: PosteriorDesign)
        (key: Key)
        (state: PosteriorState)
        : PosteriorStep =
        let goal =
            SamplingGoal.Ess(20.0 * float design.Chains, design.RHat, design.MostPilotDraws)

        let sampler = sampler options objective design state

        let run =
            state.Pilot
            |> Sampling.until goal sampler (Key.foldName "draws" key)
            |> Seq.head

        let next =
            { state with
                Pilot = run
                Chains = run.Current
                Acceptance = run.Acceptance
                Divergences = run.Divergences
                SamplingCalls = run.Calls
            }

        match run.Status with
        | SamplingStatus.Running -> without next
        | SamplingStatus.NotConverged -> without { next with Stage = PosteriorStage.NotConverged }
        | SamplingStatus.Reached ->
            let thin = thinOf run
            let thinned = { next with Thin = thin; Stage = PosteriorStage.Labelling }

            run.States
            |> Array.filter (fun s -> s.Step % thin = 0)
            |> Array.truncate (keptOf design)
            |> labels options objective design thinned

    let private label
        (options: RunOptions)
        (objective: Objective)
        (design: PosteriorDesign)
        (key: Key)
        (state: PosteriorState)
        : PosteriorStep =
        let sampler = sampler options objective design state
        let wanted = min design.ShardDraws (keptOf design - state.Kept)
        let kept = Collections.Generic.List<Chains>(wanted)
        let mutable chains = state.Chains
        let mutable calls = state.SamplingCalls
        let mutable acceptance = state.Acceptance * float chains.Step
        let mutable divergences = state.Divergences

        for struct (after, infos) in
            Sampling.every state.Thin sampler (Key.foldName "draws" key) chains
            |> Seq.truncate wanted do
            chains <- after
            kept.Add after

            for info in infos do
                calls <- calls + info.Calls
                acceptance <- acceptance + info.MeanAcceptance
                divergences <- divergences + info.Divergences

        let next =
            { state with
                Chains = chains
                Acceptance = acceptance / float (max 1 chains.Step)
                Divergences = divergences
                SamplingCalls = calls
            }

        labels options objective design next (kept.ToArray())

    /// Goes on from a state until all labels are taken, or the chains cannot be made to agree: a
    /// lazy sequence of steps (each step of the warm-up, each look at the pilot, each shard). Any of
    /// its states, given back to this function with the same arguments, leads to the same end. What
    /// has not been kept is lost: a caller who wants all labels keeps them as they come.
    let posterior
        (options: RunOptions)
        (objective: Objective)
        (design: PosteriorDesign)
        (key: Key)
        (state: PosteriorState)
        : seq<PosteriorStep> =
        state
        |> Seq.unfold (fun before ->
            let step =
                match before.Stage with
                | PosteriorStage.WarmingUp ->
                    Some(without (warmUp options objective design key before))
                | PosteriorStage.Piloting -> Some(pilot options objective design key before)
                | PosteriorStage.Labelling -> Some(label options objective design key before)
                | PosteriorStage.Finished
                | PosteriorStage.NotConverged -> None

            step |> Option.map (fun s -> s, s.State))
