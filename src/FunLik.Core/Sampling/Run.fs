namespace FunLik

open System

/// When a run has enough.
[<RequireQualifiedAccess>]
type SamplingGoal =
    /// So many draws of each chain.
    | Draws of perChain: int
    /// An effective sample size of at least `least` in every parameter (of x and of (x − mean)²),
    /// and split R-hats, of ranks too, of `rHat` or less; the run gives up after `most` draws of each chain.
    | Ess of least: float * rHat: float * most: int

/// Where a run stands.
[<RequireQualifiedAccess>]
type SamplingStatus =
    /// The goal is not reached yet.
    | Running
    /// It is.
    | Reached
    /// It never was, and the run has ended.
    | NotConverged

/// A run of a sampler: its draws so far, and what they say. It is its own checkpoint: nothing else
/// is needed to go on.
type SamplingRun =
    {
        /// The names of the parameters.
        Names: string[]
        /// How many chains next to each other move together: that of the sampler (`Sampler.Group`).
        Group: int
        /// The chains after the last step; before the first, their starts.
        Current: Chains
        /// The chains after each step.
        States: Chains[]
        /// The mean acceptance probability.
        Acceptance: float
        /// Divergent trajectories.
        Divergences: int
        /// How often trajectories met the edge of the support.
        Bounces: int
        /// Evaluations.
        Calls: ExactCalls
        /// The effective sample size of the worst parameter.
        MinEss: float
        /// The larger of the split R-hats of draws and of their ranks, of the worst parameter.
        MaxRHat: float
        /// Where it stands.
        Status: SamplingStatus
    }

    /// Draws of one chain.
    member this.PerChain: int = this.States.Length

    /// Draws of all chains.
    member this.Draws: int = this.States.Length * this.Current.Count

/// Draws without gradients, in arrays that were made once.
type RecordedDraws =
    {
        /// Draws × chains × parameters.
        Points: float[]
        /// The log density at each point: draws × chains.
        LogDensity: float[]
        /// The chains after the last step.
        Last: Chains
        /// Evaluations.
        Calls: ExactCalls
    }

/// Running samplers.
[<RequireQualifiedAccess>]
module Sampling =

    /// The chains after each step, without end, each made when it is asked for. Step k draws from
    /// `Key.fold k`, so a run that is taken up again from any of its states is the same run.
    let steps (sampler: Sampler) (key: Key) (chains: Chains) : seq<struct (Chains * StepInfo)> =
        chains
        |> Seq.unfold (fun before ->
            let struct (after, info) = sampler.Step (Key.fold before.Step key) before
            Some(struct (after, info), after))

    /// The chains after every `thin` steps of the run that `steps` is (at its steps that are multiples of `thin`), and what the steps since the
    /// last ones were like. Chains in between are not kept: their arrays are used again.
    let every
        (thin: int)
        (sampler: Sampler)
        (key: Key)
        (chains: Chains)
        : seq<struct (Chains * StepInfo list)> =
        chains
        |> Seq.unfold (fun before ->
            let mutable here = before
            let mutable spare: Chains option = None
            let mutable infos: StepInfo list = []
            let mutable isOnTheWay = true

            while isOnTheWay do
                let room = spare |> Option.defaultWith before.Room
                let struct (after, info) = sampler.Advance (Key.fold here.Step key) here room
                infos <- info :: infos
                spare <- if here.Step = before.Step then None else Some here
                here <- after
                isOnTheWay <- here.Step % thin <> 0

            Some(struct (here, List.rev infos), here))

    /// Points and log densities of so many draws, `thin` steps apart, of the run that `steps` is. Nothing else is kept, so that this is the
    /// fastest way to many draws.
    let record
        (thin: int)
        (draws: int)
        (sampler: Sampler)
        (key: Key)
        (chains: Chains)
        : RecordedDraws =
        let count, n = chains.Count, chains.Points.Length
        let points: float[] = Array.zeroCreate (draws * n)
        let values: float[] = Array.zeroCreate (draws * count)
        let mutable here = chains
        let mutable room = chains.Room()
        let mutable spare = chains.Room()
        let mutable calls = ExactCalls.Zero

        for draw in 0 .. draws - 1 do
            for _ in 1..thin do
                let struct (after, info) = sampler.Advance (Key.fold here.Step key) here room
                calls <- calls + info.Calls
                room <- spare
                spare <- after
                here <- after

            Array.Copy(here.Points, 0, points, draw * n, n)
            Array.Copy(here.LogDensity, 0, values, draw * count, count)

        { Points = points; LogDensity = values; Last = here; Calls = calls }

    /// A run that has not begun.
    let init (names: string[]) (chains: Chains) : SamplingRun =
        {
            Names = names
            Group = 1
            Current = { chains with Step = 0 }
            States = [||]
            Acceptance = 0.0
            Divergences = 0
            Bounces = 0
            Calls = ExactCalls.Zero
            MinEss = 0.0
            MaxRHat = infinity
            Status = SamplingStatus.Running
        }

    /// The draws of one number of each chain: chains × draws.
    let private seriesOf (number: Chains -> int -> float) (run: SamplingRun) : float[][] =
        Array.init run.Current.Count (fun c -> run.States |> Array.map (fun s -> number s c))

    /// The draws of a parameter, one array a chain.
    let series (parameter: int) (run: SamplingRun) : float[][] =
        let n = run.Names.Length
        seriesOf (fun s c -> s.Points[c * n + parameter]) run

    /// The log densities, one array a chain.
    let logDensities (run: SamplingRun) : float[][] = seriesOf (fun s c -> s.LogDensity[c]) run

    /// The diagnostics of every parameter.
    let diagnose (run: SamplingRun) : Diagnosis[] =
        Diagnostics.diagnoseGroups run.Group run.Names (fun i -> series i run)

    let private firstLook = 50

    /// The effective sample size that draws must have, where this one is wanted: walkers of an ensemble are judged by its mean, of which the
    /// run must have 50 autocorrelation times before that can be trusted (Foreman-Mackey et al., PASP 125 (2013) 306, section 4).
    let leastEss (group: int) (wanted: float) : float =
        if group > 1 then
            max wanted (50.0 * float group)
        else
            wanted

    /// How many draws a chain should have when the goal is looked at next.
    let private nextLook (goal: SamplingGoal) (run: SamplingRun) : int =
        match goal with
        | SamplingGoal.Draws perChain -> min perChain (max firstLook (2 * run.PerChain))
        | SamplingGoal.Ess(least, _, most) ->
            let made = float run.PerChain

            let wanted =
                if run.MinEss > 0.0 then
                    1.02 * made * leastEss run.Group least / run.MinEss
                else
                    infinity

            let next = int (ceil (Math.Clamp(wanted, 1.1 * made, 2.0 * made)))
            min most (max firstLook next)

    let private judge (goal: SamplingGoal) (run: SamplingRun) : SamplingStatus =
        match goal with
        | SamplingGoal.Draws perChain when run.PerChain >= perChain -> SamplingStatus.Reached
        | SamplingGoal.Ess(least, rHat, _) when
            run.MinEss >= leastEss run.Group least && run.MaxRHat <= rHat
            ->
            SamplingStatus.Reached
        | SamplingGoal.Ess(_, _, most) when run.PerChain >= most -> SamplingStatus.NotConverged
        | _ -> SamplingStatus.Running

    let private extend
        (goal: SamplingGoal)
        (sampler: Sampler)
        (key: Key)
        (run: SamplingRun)
        : SamplingRun =
        let count = nextLook goal run - run.PerChain

        let made = steps sampler key run.Current |> Seq.truncate count |> Array.ofSeq
        let states = made |> Array.map (fun (struct (chains, _)) -> chains)
        let infos = made |> Array.map (fun (struct (_, info)) -> info)
        let sum (f: StepInfo -> int) : int = infos |> Array.sumBy f
        let acceptance = infos |> Array.sumBy _.MeanAcceptance

        let longer =
            { run with
                Group = sampler.Group
                Current = if states.Length = 0 then run.Current else Array.last states
                States = Array.append run.States states
                Acceptance =
                    (run.Acceptance * float run.PerChain + acceptance)
                    / float (max 1 (run.PerChain + count))
                Divergences = run.Divergences + sum _.Divergences
                Bounces = run.Bounces + sum _.TotalBounces
                Calls = infos |> Array.fold (fun calls info -> calls + info.Calls) run.Calls
            }

        let all = Array.init run.Names.Length (fun i -> series i longer)

        let judged =
            { longer with
                MinEss = all |> Array.map (Diagnostics.honestEssOfGroups sampler.Group) |> Array.min
                MaxRHat =
                    all
                    |> Array.map (fun chains ->
                        max
                            (Diagnostics.rHatOfGroups sampler.Group chains)
                            (Diagnostics.rankRHatOfGroups sampler.Group chains))
                    |> Array.max
            }

        { judged with Status = judge goal judged }

    /// Goes on with a run until the goal is reached or out of reach: the run each time that it was
    /// looked at, lazily. The last one says which; an earlier one, given back to this function with
    /// the same goal, sampler and key, leads to the same end.
    let until
        (goal: SamplingGoal)
        (sampler: Sampler)
        (key: Key)
        (run: SamplingRun)
        : seq<SamplingRun> =
        { run with Status = judge goal run }
        |> Seq.unfold (fun before ->
            if before.Status.IsRunning then
                let after = extend goal sampler key before
                Some(after, after)
            else
                None)
