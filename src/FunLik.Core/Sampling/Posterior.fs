namespace FunLik

/// How to sample a posterior in memory.
type SampleOptions =
    {
        /// The effective sample size that every parameter must reach, of x and of (x − mean)².
        Ess: float
        /// The split R-hat that every parameter must reach, of draws and of their ranks.
        RHat: float
        /// Chains, or the walkers of an ensemble.
        Chains: int
        /// Which sampler draws.
        Sampler: SamplerKind
        /// The largest number of draws of a chain. All draws with their gradients are in memory: there are never more than 2e8 numbers.
        MostDraws: int
        /// The source of all randomness.
        Key: Key
        /// Threads and cancellation.
        Run: RunOptions
    }

    /// An effective sample size of 1000 and an R-hat of 1.01 by Hamiltonian Monte Carlo of 64 chains within 20,000 draws each, the key of seed
    /// 1, all cores.
    static member Default: SampleOptions =
        {
            Ess = 1000.0
            RHat = 1.01
            Chains = 64
            Sampler = SamplerKind.Hamiltonian
            MostDraws = 20_000
            Key = Key.ofSeed 1
            Run = RunOptions.AllCores
        }

/// Sampling in one call: the fit, a warm-up around it, and draws until they are enough, all of them in memory. `funlik sample` writes
/// draws as they come.
[<RequireQualifiedAccess>]
module Posterior =

    /// The run each time that it was looked at, lazily; the first has no draws yet, and the last one says whether they are enough. Raises
    /// an error for options that make no sense, and for a density whose best fit cannot be found.
    let runs (options: SampleOptions) (objective: Objective) : seq<SamplingRun> =
        seq {
            let fit = Fit.objective { FitOptions.Default with Run = options.Run } objective

            let design =
                { Design.posteriorOf objective.Count options.Chains with
                    Chains = options.Chains
                    TestChains = 0
                    Sampler = options.Sampler
                }

            let tuned =
                Design.start options.Run objective design fit.Point options.Key
                |> Design.posterior options.Run objective design options.Key
                |> Seq.map _.State
                |> Seq.find (fun state -> not state.Stage.IsWarmingUp)

            let room = 200_000_000 / (2 * objective.Count * options.Chains) |> max 100
            let goal = SamplingGoal.Ess(options.Ess, options.RHat, min options.MostDraws room)
            yield tuned.Pilot

            // Keys are values: the draws have one of their own, so that the warm-up's length does not change them.
            yield!
                tuned.Pilot
                |> Sampling.until
                    goal
                    (Design.sampler options.Run objective design tuned)
                    (Key.foldName "draws" options.Key)
        }

    /// Draws from the density of an objective until they are enough, or the most that is allowed: the run's status says which.
    let sampleObjective (options: SampleOptions) (objective: Objective) : SamplingRun =
        runs options objective |> Seq.last

    /// Draws from the posterior of a model, its priors included, as `sampleObjective` does.
    let sample (options: SampleOptions) (model: Likelihood) : SamplingRun =
        Objective.ofLikelihood model |> sampleObjective options
