namespace FunLik

open System

/// How step size and metric are found.
type WarmupSettings =
    {
        /// Steps of all chains: 15 % to get there, 70 % to learn the metric in three windows of
        /// doubling length, 15 % to settle the step size.
        Steps: int
        /// The mean acceptance probability to aim at (`StepInfo.Progress`).
        TargetAcceptance: float
        /// Whether the metric is a full covariance, or one scale a parameter.
        IsDense: bool
        /// The metric to begin with.
        Metric: Metric
        /// The mean length of trajectories, as in `HamiltonianSettings`.
        Trajectory: float
        /// The jitter of trajectories, as in `HamiltonianSettings`.
        Jitter: float
        /// The largest number of leapfrog steps in a trajectory.
        MaxSteps: int
    }

/// Dual averaging of the logarithm of a step size: Hoffman and Gelman, JMLR 15 (2014) 1593, eq. 6.
type DualAveraging =
    {
        /// The value toward which early steps are drawn.
        Centre: float
        /// The logarithm of the step size to use next.
        LogStep: float
        /// Its average, which converges.
        LogStepMean: float
        /// The averaged difference between target and acceptance.
        Error: float
        /// Updates so far.
        Updates: int
    }

/// The state of a warm-up.
type Warmup =
    {
        /// The chains; their number of steps counts this warm-up's.
        Chains: Chains
        /// The metric in use.
        Metric: Metric
        /// The step size, and how it came about.
        Averaging: DualAveraging
        /// The points of this window so far, the latest first.
        Window: float[] list
        /// Evaluations so far.
        Calls: ExactCalls
    }

/// Dual averaging.
[<RequireQualifiedAccess>]
module DualAveraging =

    /// Starts at a step size.
    let start (stepSize: float) : DualAveraging =
        {
            Centre = log stepSize
            LogStep = log stepSize
            LogStepMean = log stepSize
            Error = 0.0
            Updates = 0
        }

    /// One update, with the paper's γ = 0.05, t₀ = 10 and κ = 0.75. The centre is the start itself
    /// and not ten times it: an acceptance pooled over chains has too little noise to need a push.
    let update (target: float) (acceptance: float) (state: DualAveraging) : DualAveraging =
        let t = float (state.Updates + 1)
        let weight = 1.0 / (t + 10.0)
        let error = (1.0 - weight) * state.Error + weight * (target - acceptance)
        let logStep = state.Centre - sqrt t / 0.05 * error
        let forget = t ** -0.75

        { state with
            LogStep = logStep
            LogStepMean = forget * logStep + (1.0 - forget) * state.LogStepMean
            Error = error
            Updates = state.Updates + 1
        }

/// Warm-up of Hamiltonian Monte Carlo: an adaptive stage whose draws are thrown away. Acceptances
/// and points are pooled over all chains, so a few steps of many chains do.
[<RequireQualifiedAccess>]
module Warmup =

    /// 200 steps, acceptance 0.8, a dense metric for 300 parameters or fewer; scales start at 1.
    let settings (dimension: int) : WarmupSettings =
        let usual = Hamiltonian.settings 1.0 (Metric.unit dimension)

        {
            Steps = 200
            TargetAcceptance = 0.8
            IsDense = dimension <= 300
            Metric = usual.Metric
            Trajectory = usual.Trajectory
            Jitter = usual.Jitter
            MaxSteps = usual.MaxSteps
        }

    /// What is wrong with settings for a density of so many parameters.
    let check (dimension: int) (settings: WarmupSettings) : Error list =
        [
            if settings.Steps < 20 then
                Error.make ErrorKind.Value "the number of warm-up steps"
                |> Error.found $"{settings.Steps}"
                |> Error.expected "20 or more"

            if not (settings.TargetAcceptance > 0.0 && settings.TargetAcceptance < 1.0) then
                Error.make ErrorKind.Value "the target acceptance"
                |> Error.found $"{settings.TargetAcceptance}"
                |> Error.expected "between 0 and 1"

            yield!
                Hamiltonian.check
                    dimension
                    {
                        StepSize = 1.0
                        Metric = settings.Metric
                        Trajectory = settings.Trajectory
                        Jitter = settings.Jitter
                        MaxSteps = settings.MaxSteps
                    }
        ]

    /// The steps after which a window of the metric ends, and the step at which the first begins.
    let private windows (steps: int) : struct (int * int list) =
        let buffer = steps * 15 / 100
        let middle = steps - 2 * buffer
        struct (buffer, [ buffer + middle / 7; buffer + 3 * middle / 7; buffer + middle ])

    /// In the units of a metric that fits, stable steps are of the order n^(-1/4).
    let private firstStep (dimension: int) : DualAveraging =
        DualAveraging.start (float dimension ** -0.25)

    /// The beginning of a warm-up. Raises an error for settings that make no sense.
    let init (settings: WarmupSettings) (chains: Chains) : Warmup =
        match check chains.Dimension settings with
        | [] ->
            {
                Chains = { chains with Step = 0 }
                Metric = settings.Metric
                Averaging = firstStep chains.Dimension
                Window = []
                Calls = ExactCalls.Zero
            }
        | errors -> raise (FunLikException errors)

    let private hamiltonian
        (settings: WarmupSettings)
        (metric: Metric)
        (logStep: float)
        : HamiltonianSettings =
        {
            StepSize = exp logStep
            Metric = metric
            Trajectory = settings.Trajectory
            Jitter = settings.Jitter
            MaxSteps = settings.MaxSteps
        }

    /// The step size of a settling step: shorter by a factor from 1 to 100.
    let private shortened (key: Key) (logStep: float) : float =
        logStep - log 100.0 * Array.head (Key.uniforms 1 key)

    /// One step of all chains, with its own key. In the beginning every other step is a settling one:
    /// it has the usual number of leapfrog steps, and shorter ones, which free chains that started
    /// where the density is so steep that nothing else would be accepted.
    let step
        (options: RunOptions)
        (objective: Objective)
        (settings: WarmupSettings)
        (key: Key)
        (state: Warmup)
        : struct (Warmup * StepInfo) =
        let struct (first, ends) = windows settings.Steps
        let struct (stepKey, settlingKey) = Key.split key
        let isSettling = state.Chains.Step < first && state.Chains.Step % 2 = 0
        let usual = hamiltonian settings state.Metric state.Averaging.LogStep

        let chosen =
            if isSettling then
                let stepSize = exp (shortened settlingKey state.Averaging.LogStep)

                { usual with
                    StepSize = stepSize
                    Trajectory = usual.Trajectory * stepSize / usual.StepSize
                }
            else
                usual

        let struct (chains, info) =
            (Hamiltonian.sampler options objective chosen).Step stepKey state.Chains

        let averaging =
            if isSettling then
                state.Averaging
            else
                DualAveraging.update settings.TargetAcceptance info.Progress state.Averaging

        let moved =
            { state with
                Chains = chains
                Averaging = averaging
                Calls = state.Calls + info.Calls
                Window =
                    if chains.Step > first && chains.Step <= List.last ends then
                        chains.Points :: state.Window
                    else
                        []
            }

        if List.contains chains.Step ends then
            let blocks = moved.Window |> List.rev |> Array.ofList

            struct ({ moved with
                        Metric = Metric.ofPoints settings.IsDense chains.Dimension blocks
                        Averaging = firstStep chains.Dimension
                        Window = []
                    },
                    info)
        else
            struct (moved, info)

    /// The rest of a warm-up from a state on, lazily: the states after each step, until all are
    /// done. Step k draws from `Key.fold k`.
    let run
        (options: RunOptions)
        (objective: Objective)
        (settings: WarmupSettings)
        (key: Key)
        (state: Warmup)
        : seq<struct (Warmup * StepInfo)> =
        state
        |> Seq.unfold (fun s ->
            if s.Chains.Step >= settings.Steps then
                None
            else
                let struct (next, info) =
                    step options objective settings (Key.fold s.Chains.Step key) s

                Some(struct (next, info), next))

    /// What the warm-up has found: for sampling when all steps are done.
    let found (settings: WarmupSettings) (state: Warmup) : HamiltonianSettings =
        hamiltonian settings state.Metric state.Averaging.LogStepMean
