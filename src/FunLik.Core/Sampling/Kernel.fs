namespace FunLik

open System

/// How often an exact objective was asked at a point. A value with its gradient is one of each.
type ExactCalls =
    {
        /// Values.
        Values: int64
        /// Gradients.
        Gradients: int64
    }

    /// None.
    static member Zero: ExactCalls = { Values = 0L; Gradients = 0L }

    /// Both numbers added.
    static member (+)(a: ExactCalls, b: ExactCalls) : ExactCalls =
        { Values = a.Values + b.Values; Gradients = a.Gradients + b.Gradients }

    /// Values and gradients together: a gradient counts as one call more.
    member this.Total: int64 = this.Values + this.Gradients

/// The state of a sampler: several chains side by side, of which each is inside of the support.
/// Its arrays are never written to again.
type Chains =
    {
        /// Steps done so far; the next one draws from `Key.fold Step`.
        Step: int
        /// The points, one row a chain: chains × parameters.
        Points: float[]
        /// The log density at each point: a finite number.
        LogDensity: float[]
        /// Its gradient at each point: chains × parameters; empty for samplers that ask for none.
        Gradient: float[]
    }

    /// The number of chains.
    member this.Count: int = this.LogDensity.Length

    /// The number of parameters.
    member this.Dimension: int =
        if this.Count = 0 then
            0
        else
            this.Points.Length / this.Count

    /// Arrays of the same sizes with anything in them, for a step to write into.
    member this.Room() : Chains =
        { this with
            Points = GC.AllocateUninitializedArray this.Points.Length
            LogDensity = GC.AllocateUninitializedArray this.LogDensity.Length
            Gradient = GC.AllocateUninitializedArray this.Gradient.Length
        }

/// How one step went, chain by chain.
type StepInfo =
    {
        /// The probability with which the proposal was to be accepted.
        Acceptance: float[]
        /// Whether it was.
        Accepted: bool[]
        /// Minus the logarithm of the ratio that was held against a random number: for Hamiltonian samplers the proposal's energy
        /// less the energy before; +∞ where it is not a number.
        EnergyError: float[]
        /// How often the edge of the support stood in the way.
        Bounces: int[]
        /// Whether the integrator failed: an energy error over 1000, or a number that is not finite.
        Divergent: bool[]
        /// Evaluations of the log density in a row that led to the proposal.
        Length: int
        /// Evaluations of all chains together.
        Calls: ExactCalls
    }

    /// The acceptance probability, averaged over chains.
    member this.MeanAcceptance: float = Array.average this.Acceptance

    /// How many chains diverged.
    member this.Divergences: int = this.Divergent |> Array.filter id |> Array.length

    /// How often the edge of the support stood in the way of any chain.
    member this.TotalBounces: int = Array.sum this.Bounces

    /// What the choice of a step size aims at: acceptance times the part of the steps that led
    /// somewhere, averaged over chains. Acceptance alone is 1 when all steps are too long for the support.
    member this.Progress: float =
        (this.Acceptance, this.Bounces)
        ||> Array.map2 (fun a bounces -> a * (1.0 - float bounces / float this.Length))
        |> Array.average

/// A Markov transition that leaves the density of an objective unchanged, for several chains at
/// once. The step is pure: the same key and chains give the same result, bit for bit, whatever the
/// number of threads. A cancelled step throws `OperationCanceledException`; the chains before it
/// are as good as ever.
type Sampler =
    {
        /// What it is called.
        Name: string
        /// How many chains next to each other move together: the walkers of an ensemble, which are no independent chains; 1 where each
        /// chain is on its own. Diagnostics treat such a group as one.
        Group: int
        /// One step with its own key, from chains, into the arrays of others that nobody reads any more (`Chains.Room`).
        Advance: Key -> Chains -> Chains -> struct (Chains * StepInfo)
    }

    /// One step with its own key.
    member this.Step (key: Key) (chains: Chains) : struct (Chains * StepInfo) =
        this.Advance key chains (chains.Room())

/// What is wrong with a setting of a sampler.
[<RequireQualifiedAccess>]
module internal Setting =

    /// Nothing where a condition holds; else what was found in place of what is expected.
    let require (condition: bool) (what: string) (found: string) (expected: string) : Error list =
        if condition then
            []
        else
            [
                Error.make ErrorKind.Value what |> Error.found found |> Error.expected expected
            ]

/// Making chains.
[<RequireQualifiedAccess>]
module Chains =

    let private mistakes (parameters: ModelParameter[]) (points: float[]) : Error list =
        let n = parameters.Length

        if n = 0 then
            [
                Error.make ErrorKind.Shape "an objective without parameters cannot be sampled"
            ]
        elif points.Length = 0 || points.Length % n <> 0 then
            [
                Error.make ErrorKind.Shape "the starts of the chains"
                |> Error.found $"{points.Length} numbers"
                |> Error.expected $"a positive multiple of {n}, the number of parameters"
            ]
        else
            points
            |> Seq.indexed
            |> Seq.filter (fun (_, x) -> not (Double.IsFinite x))
            |> Seq.truncate 3
            |> Seq.map (fun (i, x) ->
                Error.make ErrorKind.Value "a start is not a finite number"
                |> Error.at $"chain {i / n}, parameter '{parameters[i % n].Name}'"
                |> Error.found $"{x}")
            |> List.ofSeq

    let private atStart (n: int) (values: float[]) (gradients: float[]) : Error list =
        let refuse (chain: int) (message: string) (found: float) : Error =
            Error.make ErrorKind.Value message
            |> Error.at $"chain {chain}"
            |> Error.found $"{found}"
            |> Error.hint "Chains start where the density is positive and smooth."

        values
        |> Seq.indexed
        |> Seq.choose (fun (chain, y) ->
            let slopes = gradients.AsSpan(chain * n, n).ToArray()

            if not (Double.IsFinite y) then
                Some(refuse chain "the log density at the start of a chain" y)
            else
                slopes
                |> Array.tryFind (fun g -> not (Double.IsFinite g))
                |> Option.map (refuse chain "the gradient at the start of a chain"))
        |> Seq.truncate 3
        |> List.ofSeq

    /// Chains at given points, row-major; one value and one gradient a chain. Raises an error for
    /// points that are not finite, or at which the log density or its gradient is not.
    let start (options: RunOptions) (objective: Objective) (points: float[]) : Chains =
        let refuse (errors: Error list) : unit =
            if not errors.IsEmpty then
                raise (FunLikException errors)

        refuse (mistakes objective.Parameters points)
        let struct (values, gradients) = objective.ValuesAndGradients(points, options)
        refuse (atStart objective.Count values gradients)

        {
            Step = 0
            Points = Array.copy points
            LogDensity = values
            Gradient = gradients
        }

    /// Points around a centre: normal with given widths; row i of the key's draw is chain i.
    let around (count: int) (widths: float[]) (centre: float[]) (key: Key) : float[] =
        let n = centre.Length
        let points = Key.normals (count * n) key

        for i in 0 .. points.Length - 1 do
            points[i] <- centre[i % n] + widths[i % n] * points[i]

        points

    /// Chains that start around a centre, as `around` has them; a start outside of the support goes
    /// half of its way to the centre until it is inside. Raises an error where the centre is not.
    let startAround
        (options: RunOptions)
        (objective: Objective)
        (count: int)
        (widths: float[])
        (centre: float[])
        (key: Key)
        : struct (Chains * ExactCalls) =
        let n = centre.Length
        start options objective centre |> ignore
        let points = around count widths centre key

        let isOutside (y: float) (gradient: float[]) : bool =
            not (Double.IsFinite y) || gradient |> Array.exists (Double.IsFinite >> not)

        let outside () : int[] =
            let struct (values, gradients) = objective.ValuesAndGradients(points, options)
            let slopes = Array.chunkBySize n gradients
            Array.init count id |> Array.filter (fun c -> isOutside values[c] slopes[c])

        let mutable rounds = 1
        let mutable rest = outside ()

        while rest.Length > 0 do
            // After 60 halvings a start is its centre.
            for c in rest do
                for i in 0 .. n - 1 do
                    let k = c * n + i

                    points[k] <-
                        centre[i] + (points[k] - centre[i]) * (if rounds < 60 then 0.5 else 0.0)

            rounds <- rounds + 1
            rest <- outside ()

        let calls = 1L + int64 (rounds + 1) * int64 count
        struct (start options objective points, { Values = calls; Gradients = calls })

    /// The point of one chain.
    let point (chain: int) (chains: Chains) : float[] =
        chains.Points.AsSpan(chain * chains.Dimension, chains.Dimension).ToArray()
