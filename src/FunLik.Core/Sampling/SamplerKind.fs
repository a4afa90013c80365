namespace FunLik

/// Which sampler draws. All of them start where a Hamiltonian warm-up has left the chains, and in the metric that it has found.
[<RequireQualifiedAccess>]
type SamplerKind =
    /// Hamiltonian Monte Carlo with trajectories of jittered length.
    | Hamiltonian
    /// Hamiltonian Monte Carlo with trajectories that end where they turn.
    | NoUTurn
    /// Normal steps of the usual scale for the number of parameters.
    | RandomWalk
    /// Student proposals of 5 degrees of freedom around the mean of the chains.
    | Independence
    /// Slices along random lines.
    | Slice
    /// One ensemble of all chains, by stretch moves.
    | Stretch
    /// One ensemble of all chains, by normal steps of the others' covariance.
    | Walk
    /// One ensemble of all chains, by differences of others.
    | Difference
    /// One ensemble of all chains, by four moves of differential evolution for each snooker move.
    | Snooker

/// Samplers by name.
[<RequireQualifiedAccess>]
module SamplerKind =

    /// The names, as they are given on a command line.
    let names: (string * SamplerKind) list =
        [
            "hmc", SamplerKind.Hamiltonian
            "nuts", SamplerKind.NoUTurn
            "random-walk", SamplerKind.RandomWalk
            "independence", SamplerKind.Independence
            "slice", SamplerKind.Slice
            "stretch", SamplerKind.Stretch
            "walk", SamplerKind.Walk
            "de", SamplerKind.Difference
            "snooker", SamplerKind.Snooker
        ]

    /// The name of a kind.
    let name (kind: SamplerKind) : string = names |> List.find (snd >> (=) kind) |> fst

    /// The moves of an ensemble of so many walkers; none for what is no ensemble.
    let private moves (walkers: int) (kind: SamplerKind) : (EnsembleMove * float) list =
        match kind with
        | SamplerKind.Stretch -> [ Ensemble.stretch, 1.0 ]
        | SamplerKind.Walk -> [ Ensemble.walk walkers, 1.0 ]
        | SamplerKind.Difference -> [ Ensemble.difference, 1.0 ]
        | SamplerKind.Snooker -> [ Ensemble.difference, 0.8; Ensemble.snooker, 0.2 ]
        | _ -> []

    /// Whether chains move by each other's places: they are one ensemble then, and not independent.
    let isEnsemble (kind: SamplerKind) : bool = not (moves 2 kind).IsEmpty

    /// How many of so many chains move together: all in an ensemble, else each alone.
    let group (chains: int) (kind: SamplerKind) : int = if isEnsemble kind then chains else 1

    /// What keeps a kind from sampling a density of so many parameters with so many chains.
    let check (dimension: int) (chains: int) (kind: SamplerKind) : Error list =
        if isEnsemble kind then
            Ensemble.check dimension { Walkers = chains; Moves = moves chains kind }
        else
            []

    /// The sampler of a kind, for chains that a warm-up has brought into their places. Raises an error for an ensemble of too few.
    let sampler
        (options: RunOptions)
        (objective: Objective)
        (tuned: HamiltonianSettings)
        (chains: Chains)
        (kind: SamplerKind)
        : Sampler =
        let metric = tuned.Metric

        match kind with
        | SamplerKind.Hamiltonian -> Hamiltonian.sampler options objective tuned
        | SamplerKind.NoUTurn ->
            NoUTurn.settings tuned.StepSize metric |> NoUTurn.sampler options objective
        | SamplerKind.RandomWalk ->
            Proposal.RandomWalk(Metropolis.usualScale objective.Count, metric)
            |> Metropolis.sampler options objective
        | SamplerKind.Independence ->
            let struct (mean, _) = Metric.moments objective.Count [| chains.Points |]

            Proposal.Independence(mean, metric, 5.0) |> Metropolis.sampler options objective
        | SamplerKind.Slice -> Slice.settings metric |> Slice.sampler options objective
        | SamplerKind.Stretch
        | SamplerKind.Walk
        | SamplerKind.Difference
        | SamplerKind.Snooker ->
            { Walkers = chains.Count; Moves = moves chains.Count kind }
            |> Ensemble.sampler options objective
