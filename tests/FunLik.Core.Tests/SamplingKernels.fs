/// All kernels, in one table: each law of samplers runs over it.
module FunLik.Tests.SamplingKernels

open FunLik
open FunLik.Tests.SamplingTargets

/// The walkers of ensembles on a density of so many parameters.
let walkers (dimension: int) : int = max 12 (2 * dimension + 4)

/// Every kernel, by name, for a density.
let kernels: (string * (Target -> RunOptions -> Sampler)) list =
    let hamiltonian (stepSize: float) (metric: Target -> Metric) (target: Target) options =
        Hamiltonian.settings stepSize (metric target)
        |> Hamiltonian.sampler options target.Objective

    let diagonal (target: Target) : Metric =
        let covariance = Metric.covariance target.Metric
        let n = target.Dimension
        Metric.ofVariances (Array.init n (fun i -> covariance[i * n + i]))

    let long (target: Target) options =
        { Hamiltonian.settings 0.4 target.Metric with Jitter = 0.0; Trajectory = 3.0 }
        |> Hamiltonian.sampler options target.Objective

    let metropolis (proposal: Target -> Proposal) (target: Target) options =
        Metropolis.sampler options target.Objective (proposal target)

    /// Student proposals three times as wide as the density, from a point near its middle.
    let independence (freedom: float) (target: Target) =
        Proposal.Independence(
            target.Draw(Array.create target.Dimension 0.5),
            (match target.Metric with
             | Metric.Diagonal scales -> Metric.Diagonal(scales |> Array.map ((*) 1.5))
             | Metric.Dense factor -> Metric.Dense(factor |> Array.map ((*) 1.5))),
            freedom
        )

    let ensemble (moves: (EnsembleMove * float) list) (target: Target) options =
        let settings = { Walkers = walkers target.Dimension; Moves = moves }
        Ensemble.sampler options target.Objective settings

    let noUTurn (stepSize: float) (most: int) (target: Target) options =
        { NoUTurn.settings stepSize target.Metric with MostDoublings = most }
        |> NoUTurn.sampler options target.Objective

    let slice (target: Target) options =
        Slice.sampler options target.Objective (Slice.settings target.Metric)

    let narrow (target: Target) options =
        { Slice.settings target.Metric with
            Width = 0.3
            MostWidths = 4
            Directions = 3
        }
        |> Slice.sampler options target.Objective

    /// Steps on a density that is wider than the target and uneven, of the same support. It is not counted as exact.
    let delayed (steps: int) (inner: Target -> Objective -> Sampler) (target: Target) options =
        let right =
            targets
            |> List.tryFind (fun t -> t.Name = target.Name)
            |> Option.map _.Objective
            |> Option.defaultValue target.Objective

        let surrogate =
            objective target.Dimension (fun x g ->
                let struct (values, gradients) = right.ValuesAndGradients(x, RunOptions.Single)
                gradients |> Array.iteri (fun i v -> g[i] <- 0.8 * v)
                g[0] <- g[0] + 0.6 * cos (2.0 * x[0])
                0.8 * values[0] + 0.3 * sin (2.0 * x[0]))

        DelayedAcceptance.sampler options target.Objective surrogate (inner target) steps

    let delayedWalk (target: Target) (surrogate: Objective) =
        Metropolis.sampler RunOptions.Single surrogate (Proposal.RandomWalk(1.2, target.Metric))

    let delayedTrajectory (target: Target) (surrogate: Objective) =
        Hamiltonian.settings 0.9 target.Metric
        |> Hamiltonian.sampler RunOptions.Single surrogate

    [
        "delayed random walk", delayed 3 delayedWalk
        "delayed hmc", delayed 2 delayedTrajectory
        "random walk", metropolis (fun t -> Proposal.RandomWalk(1.2, t.Metric))
        "independence, normal", metropolis (independence infinity)
        "independence, Student", metropolis (independence 0.8)
        "stretch", ensemble [ Ensemble.stretch, 1.0 ]
        "stretch, a = 1.3", ensemble [ EnsembleMove.Stretch 1.3, 1.0 ]
        "walk", ensemble [ Ensemble.walk 12, 1.0 ]
        "walk by 3", ensemble [ EnsembleMove.Walk 3, 1.0 ]
        "differential evolution", ensemble [ Ensemble.difference, 1.0 ]
        "snooker", ensemble [ Ensemble.snooker, 1.0 ]
        "mixture", ensemble [ Ensemble.difference, 0.8; Ensemble.snooker, 0.2 ]
        "slice", slice
        "slice, narrow", narrow
        "nuts", noUTurn 0.9 10
        "nuts, short steps", noUTurn 0.15 10
        "nuts, two doublings", noUTurn 0.6 2
        "hmc", hamiltonian 0.9 _.Metric
        "hmc, diagonal", hamiltonian 0.1 diagonal
        "hmc, one step", hamiltonian 1.6 _.Metric
        "hmc, long", long
    ]
