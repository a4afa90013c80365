namespace FunLik

open System

/// How one step of delayed acceptance went: the exact calls are those of its `StepInfo`.
type DelayedInfo =
    {
        /// How the step went with the exact density: one value a chain.
        Exact: StepInfo
        /// Evaluations of the surrogate.
        Surrogate: ExactCalls
        /// The acceptance probability of the surrogate's own steps, averaged over chains and steps.
        Inner: float
    }

/// Delayed acceptance: Christen and Fox, J. Comput. Graph. Stat. 14 (2005) 795; with several steps of the surrogate's chain before each
/// exact value, Sherlock, Golightly and Henderson, ibid. 26 (2017) 434. A proposal y is where the surrogate's chain is after some steps
/// from x; it is accepted with the probability min(1, π(y) π*(x) / (π(x) π*(y))), π the exact density and π* the surrogate's. The chain
/// leaves π unchanged, however bad the surrogate is, provided that
///
/// - the inner kernel is reversible with respect to π*, each chain by itself: random walks, independent proposals, slices, Hamiltonian
///   and no-U-turn trajectories are; ensembles are not, since their walkers move by each other, and are refused;
/// - its steps are all drawn alike, so that several of them are reversible together: no adaptation;
/// - the surrogate's support covers that of the exact density.
[<RequireQualifiedAccess>]
module DelayedAcceptance =

    let private refuse (error: Error) : 'T = raise (FunLikException [ error ])

    /// The chains with the surrogate's density at their points.
    let private onSurrogate (options: RunOptions) (surrogate: Objective) (chains: Chains) : Chains =
        let struct (values, gradients) =
            surrogate.ValuesAndGradients(chains.Points, options)

        values
        |> Array.tryFindIndex (Double.IsFinite >> not)
        |> Option.iter (fun c ->
            Error.make ErrorKind.Value "the surrogate has no density where a chain is"
            |> Error.at $"chain {c}"
            |> Error.found $"{values[c]}"
            |> Error.expected "a surrogate whose support covers that of the exact density"
            |> refuse)

        { Step = 0; Points = chains.Points; LogDensity = values; Gradient = gradients }

    /// One step into the arrays of other chains, with what it says about the surrogate.
    let private advance
        (options: RunOptions)
        (exact: Objective)
        (surrogate: Objective)
        (inner: Sampler)
        (steps: int)
        (key: Key)
        (chains: Chains)
        (room: Chains)
        : struct (Chains * DelayedInfo) =
        let n, count = exact.Count, chains.Count
        let keys = Key.splitN 2 key
        let before = onSurrogate options surrogate chains
        let mutable reached = before
        let mutable calls = { Values = int64 count; Gradients = int64 count }
        let mutable acceptance = 0.0

        for k in 0 .. steps - 1 do
            let struct (after, info) = inner.Step (Key.fold k keys[0]) reached
            reached <- after
            calls <- calls + info.Calls
            acceptance <- acceptance + info.MeanAcceptance

        let moved =
            Array.init count id
            |> Array.filter (fun c ->
                not (
                    chains.Points
                        .AsSpan(c * n, n)
                        .SequenceEqual(ReadOnlySpan(reached.Points, c * n, n))
                ))

        let struct (after, info) = Accept.begun (int64 moved.Length) chains room

        // A proposal that is where the chain was is accepted, and asks for no exact value.
        for c in 0 .. count - 1 do
            info.Acceptance[c] <- 1.0
            info.Accepted[c] <- true

        if moved.Length > 0 then
            let uniforms = Key.uniforms count keys[1]

            let proposed =
                moved |> Array.collect (fun c -> reached.Points[c * n .. c * n + n - 1])

            let factors =
                moved |> Array.map (fun c -> before.LogDensity[c] - reached.LogDensity[c])

            for c in moved do
                info.Accepted[c] <- false

            Accept.proposals
                options
                exact
                moved.Length
                (Array.get moved)
                proposed
                factors
                (fun i -> uniforms[moved[i]])
                after
                info

        struct (after, { Exact = info; Surrogate = calls; Inner = acceptance / float steps })

    /// One step, with what it says about the surrogate.
    let step
        (options: RunOptions)
        (exact: Objective)
        (surrogate: Objective)
        (inner: Sampler)
        (steps: int)
        (key: Key)
        (chains: Chains)
        : struct (Chains * DelayedInfo) =
        advance options exact surrogate inner steps key chains (chains.Room())

    /// The sampler of an exact density that proposes by so many steps of a kernel on a surrogate: `inner` makes the kernel of the surrogate.
    /// The calls that it counts are exact ones; `step` tells those of the surrogate as well. Raises an error for other parameters,
    /// fewer than one step, or an inner kernel that moves walkers by each other.
    let sampler
        (options: RunOptions)
        (exact: Objective)
        (surrogate: Objective)
        (inner: Objective -> Sampler)
        (steps: int)
        : Sampler =
        let names (objective: Objective) : string list =
            objective.Parameters |> Array.map _.Name |> List.ofArray

        if steps < 1 then
            Error.make ErrorKind.Value "the steps of the surrogate's chain"
            |> Error.found $"{steps}"
            |> Error.expected "1 or more"
            |> refuse

        if names exact <> names surrogate then
            Error.make ErrorKind.Name "the surrogate has other parameters than the exact density"
            |> Error.found (String.concat ", " (names surrogate))
            |> Error.expected (String.concat ", " (names exact))
            |> refuse

        let kernel = inner surrogate

        if kernel.Group > 1 then
            Error.make
                ErrorKind.Unsupported
                "an ensemble's walkers move by each other: it cannot be refused one by one"
            |> Error.expected "a kernel that moves each chain by itself, such as hmc or random walk"
            |> refuse

        {
            Name = $"delayed {kernel.Name}"
            Group = 1
            Advance =
                fun key chains room ->
                    let struct (after, info) =
                        advance options exact surrogate kernel steps key chains room

                    struct (after, info.Exact)
        }
