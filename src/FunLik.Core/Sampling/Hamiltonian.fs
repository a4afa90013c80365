namespace FunLik

#nowarn "9" // Objectives read and write by pointer

open System
open System.Buffers
open System.Numerics.Tensors

/// What Hamiltonian Monte Carlo needs to know besides the density.
type HamiltonianSettings =
    {
        /// The step of the leapfrog, in the units of the metric.
        StepSize: float
        /// The scales of the density.
        Metric: Metric
        /// The mean length of a trajectory in the units of the metric: a quarter of a period of a
        /// standard normal density, π/2, makes successive points independent.
        Trajectory: float
        /// Lengths are uniform within ± this fraction of the mean, one for all chains of a step. With
        /// a fixed length some orbits close on themselves, and the chain stays on them.
        Jitter: float
        /// The largest number of leapfrog steps in a trajectory.
        MaxSteps: int
    }

/// Points with momenta in the units of the metric, one row a chain.
type Phase =
    {
        /// Positions: chains × parameters.
        Points: float[]
        /// Momenta: chains × parameters; standard normal at the start of a trajectory.
        Momenta: float[]
        /// The log density at the points.
        LogDensity: float[]
        /// Its gradient at the points.
        Gradient: float[]
    }

/// Hamiltonian Monte Carlo: Duane, Kennedy, Pendleton and Roweth, Phys. Lett. B 195 (1987) 216; in
/// the form of Neal, arXiv:1206.1901, section 3.2.
[<RequireQualifiedAccess>]
module Hamiltonian =

    /// Trajectories of π/2 on average within ± 30 %, of 256 steps at most.
    let settings (stepSize: float) (metric: Metric) : HamiltonianSettings =
        {
            StepSize = stepSize
            Metric = metric
            Trajectory = Math.PI / 2.0
            Jitter = 0.3
            MaxSteps = 256
        }

    /// What is wrong with settings for a density of so many parameters.
    let check (dimension: int) (settings: HamiltonianSettings) : Error list =
        let require = Setting.require

        let positive (x: float) : bool = x > 0.0 && Double.IsFinite x

        let diagonal =
            match settings.Metric with
            | Metric.Diagonal scales -> scales
            | Metric.Dense factor ->
                let n = Metric.dimension settings.Metric
                Array.init n (fun i -> factor[i * n + i])

        require (positive settings.StepSize) "the step size" $"{settings.StepSize}" "above 0"
        @ require
            (positive settings.Trajectory)
            "the length of trajectories"
            $"{settings.Trajectory}"
            "above 0"
        @ require
            (settings.Jitter >= 0.0 && settings.Jitter < 1.0)
            "the jitter of trajectories"
            $"{settings.Jitter}"
            "at least 0 and below 1"
        @ require
            (settings.MaxSteps >= 1)
            "the largest number of leapfrog steps"
            $"{settings.MaxSteps}"
            "1 or more"
        @ require
            (diagonal.Length = dimension)
            "the metric's number of parameters"
            $"{diagonal.Length}"
            $"{dimension}"
        @ require (Array.forall positive diagonal) "a scale of the metric" "not positive" "above 0"

    /// So many leapfrog steps of all chains. Where a step would leave the support, the momentum is
    /// turned round instead, and the chain goes back on its way. Reversible: the momenta turned
    /// round, the same steps lead back. It preserves volume, whether or not gradients are exact, and
    /// its energy error is of the second order in the step size.
    let leapfrog
        (options: RunOptions)
        (objective: Objective)
        (settings: HamiltonianSettings)
        (length: int)
        (phase: Phase)
        : Phase =
        let rows = phase.LogDensity.Length
        let momenta = Array.copy phase.Momenta

        let place () : Place =
            {
                Q = Array.copy phase.Points
                Y = Array.copy phase.LogDensity
                G = Array.copy phase.Gradient
            }

        let mover = Leapfrog.mover settings.StepSize settings.Metric

        let reached =
            Leapfrog.integrate
                options
                objective
                mover
                length
                rows
                momenta
                (place ())
                (place ())
                (fun _ _ -> ())

        {
            Points = reached.Q
            Momenta = momenta
            LogDensity = reached.Y
            Gradient = reached.G
        }

    /// The number of leapfrog steps, from a number uniform on (0, 1).
    let private stepsOf (settings: HamiltonianSettings) (u: float) : int =
        let wanted =
            settings.Trajectory * (1.0 + settings.Jitter * (2.0 * u - 1.0))
            / settings.StepSize

        int (Math.Clamp(Math.Round wanted, 1.0, float settings.MaxSteps))

    /// An energy error above which the integrator has failed rather than been unlucky.
    let internal divergence = 1000.0

    let private proposeBlock
        (options: RunOptions)
        (objective: Objective)
        (settings: HamiltonianSettings)
        (mover: Mover)
        (key: Key)
        (uniforms: float[])
        (before: Chains)
        (after: Chains)
        (info: StepInfo)
        (first: int)
        (rows: int)
        : unit =
        let n = objective.Count
        let pool = ArrayPool<float>.Shared
        let long = Array.init 5 (fun _ -> pool.Rent(rows * n))
        let short = Array.init 3 (fun _ -> pool.Rent rows)
        let momenta = long[4]
        let energy = short[2]

        let kinetic (c: int) : float =
            0.5 * TensorPrimitives.SumOfSquares(ReadOnlySpan(momenta, c * n, n))

        try
            let start = { Q = long[0]; Y = short[0]; G = long[1] }
            Array.Copy(before.Points, first * n, start.Q, 0, rows * n)
            Array.Copy(before.LogDensity, first, start.Y, 0, rows)
            Array.Copy(before.Gradient, first * n, start.G, 0, rows * n)
            Key.fillNormalFrom (int64 first * int64 n) (Span(momenta, 0, rows * n)) key

            for c in 0 .. rows - 1 do
                energy[c] <- kinetic c - start.Y[c]

            let met (c: int) (value: float) : unit =
                if Double.IsNegativeInfinity value then
                    info.Bounces[first + c] <- info.Bounces[first + c] + 1
                else
                    info.Divergent[first + c] <- true

            let reached =
                Leapfrog.integrate
                    options
                    objective
                    mover
                    info.Length
                    rows
                    momenta
                    start
                    { Q = long[2]; Y = short[1]; G = long[3] }
                    met

            for c in 0 .. rows - 1 do
                let chain = first + c
                let error = kinetic c - reached.Y[c] - energy[c]

                if not (error <= divergence) then
                    info.Divergent[chain] <- true

                // Whatever is not a number on the way is so on the way back: refusing it is reversible.
                let bad = Double.IsNaN error || info.Divergent[chain] && error <= divergence
                info.EnergyError[chain] <- if bad then infinity else error
                info.Acceptance[chain] <- min 1.0 (exp -info.EnergyError[chain])

                if log uniforms[chain] < -info.EnergyError[chain] then
                    info.Accepted[chain] <- true
                    Array.Copy(reached.Q, c * n, after.Points, chain * n, n)
                    Array.Copy(reached.G, c * n, after.Gradient, chain * n, n)
                    after.LogDensity[chain] <- reached.Y[c]
                else
                    Array.Copy(before.Points, chain * n, after.Points, chain * n, n)
                    Array.Copy(before.Gradient, chain * n, after.Gradient, chain * n, n)
                    after.LogDensity[chain] <- before.LogDensity[chain]
        finally
            Array.iter pool.Return long
            Array.iter pool.Return short

    let private step
        (options: RunOptions)
        (objective: Objective)
        (settings: HamiltonianSettings)
        (mover: Mover)
        (key: Key)
        (chains: Chains)
        (room: Chains)
        : struct (Chains * StepInfo) =
        let count = chains.Count
        let keys = Key.splitN 3 key
        let length = Key.uniforms 1 keys[2] |> Array.head |> stepsOf settings
        let evaluations = int64 length * int64 count

        let after = { room with Step = chains.Step + 1 }

        let info =
            {
                Acceptance = Array.zeroCreate count
                Accepted = Array.zeroCreate count
                EnergyError = Array.zeroCreate count
                Bounces = Array.zeroCreate count
                Divergent = Array.zeroCreate count
                Length = length
                Calls = { Values = evaluations; Gradients = evaluations }
            }

        let uniforms = Key.uniforms count keys[1]

        let propose (options: RunOptions) (first: int) (rows: int) : unit =
            proposeBlock
                options
                objective
                settings
                mover
                keys[0]
                uniforms
                chains
                after
                info
                first
                rows

        Leapfrog.forBlocks options objective count propose
        struct (after, info)

    /// The sampler of these settings. Trajectories turn back at the edge of the support. Raises an
    /// error for settings that make no sense.
    let sampler
        (options: RunOptions)
        (objective: Objective)
        (settings: HamiltonianSettings)
        : Sampler =
        match check objective.Count settings with
        | [] ->
            let mover = Leapfrog.mover settings.StepSize settings.Metric
            { Name = "hmc"; Group = 1; Advance = step options objective settings mover }
        | errors -> raise (FunLikException errors)
