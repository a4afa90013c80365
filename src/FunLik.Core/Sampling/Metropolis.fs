namespace FunLik

#nowarn "9" // Objectives read and write by pointer

open System
open FSharp.NativeInterop

/// Where a Metropolis sampler proposes to go.
[<RequireQualifiedAccess>]
type Proposal =
    /// A normal step from where a chain is: `scale`·S·z with S the metric and z standard normal.
    | RandomWalk of scale: float * metric: Metric
    /// A point that does not depend on where a chain is: Student's t distribution of `freedom` degrees of freedom around a centre,
    /// with S·Sᵀ as its scale; +∞ degrees of freedom are a normal distribution.
    | Independence of centre: float[] * metric: Metric * freedom: float

/// The step that all samplers without gradients share: proposals of some chains are evaluated at once, and accepted or refused.
[<RequireQualifiedAccess>]
module internal Accept =

    /// The state after a step of which nothing is done yet, and what is known of it.
    let begun (calls: int64) (before: Chains) (room: Chains) : struct (Chains * StepInfo) =
        let count = before.Count
        Array.Copy(before.Points, room.Points, before.Points.Length)
        Array.Copy(before.LogDensity, room.LogDensity, count)

        struct ({ room with Step = before.Step + 1; Gradient = [||] },
                {
                    Acceptance = Array.zeroCreate count
                    Accepted = Array.zeroCreate count
                    EnergyError = Array.zeroCreate count
                    Bounces = Array.zeroCreate count
                    Divergent = Array.zeroCreate count
                    Length = 1
                    Calls = { Values = calls; Gradients = 0L }
                })

    /// Moves chain `chains i` to row i of the proposals, the first `rows` of them, with the probability min(1, exp(factorᵢ + yᵢ − y)); a proposal outside of
    /// the support is refused, and one whose density is not a number as well.
    let proposals
        (options: RunOptions)
        (objective: Objective)
        (rows: int)
        (chains: int -> int)
        (proposed: float[])
        (factors: float[])
        (uniforms: int -> float)
        (after: Chains)
        (info: StepInfo)
        : unit =
        let n = objective.Count
        options.Cancellation.ThrowIfCancellationRequested()
        let values: float[] = GC.AllocateUninitializedArray rows
        use points = fixed &proposed[0]
        use into = fixed &values[0]
        objective.Evaluate(rows, points, into, NativePtr.nullPtr, options)

        for i in 0 .. rows - 1 do
            let chain = chains i
            let y = values[i]
            let logRatio = factors[i] + y - after.LogDensity[chain]
            let isOutside = Double.IsNegativeInfinity y
            let isGood = not (Double.IsNaN logRatio) && y < infinity

            info.Bounces[chain] <- if isOutside then 1 else 0
            info.Divergent[chain] <- not isGood
            info.EnergyError[chain] <- if isGood then -logRatio else infinity
            info.Acceptance[chain] <- min 1.0 (exp -info.EnergyError[chain])

            if isGood && log (uniforms i) < logRatio then
                info.Accepted[chain] <- true
                Array.Copy(proposed, i * n, after.Points, chain * n, n)
                after.LogDensity[chain] <- y

/// Metropolis samplers: Metropolis et al., J. Chem. Phys. 21 (1953) 1087; Hastings, Biometrika 57 (1970) 97; Tierney, Ann.
/// Statist. 22 (1994) 1701 for independent proposals. They ask for values alone; proposals outside of the support are refused.
[<RequireQualifiedAccess>]
module Metropolis =

    /// The scale of normal steps that is best for many parameters: Roberts, Gelman and Gilks, Ann. Appl. Probab. 7 (1997) 110.
    let usualScale (dimension: int) : float = 2.38 / sqrt (float dimension)

    /// What is wrong with a proposal for a density of so many parameters.
    let check (dimension: int) (proposal: Proposal) : Error list =
        let require = Setting.require

        let fits (metric: Metric) : Error list =
            let count = Metric.dimension metric

            require
                (count = dimension)
                "the metric's number of parameters"
                $"{count}"
                $"{dimension}"
            @ require
                (Metric.widths metric |> Array.forall (fun w -> w > 0.0 && Double.IsFinite w))
                "a scale of the metric"
                "not positive"
                "above 0"

        match proposal with
        | Proposal.RandomWalk(scale, metric) ->
            require
                (scale > 0.0 && Double.IsFinite scale)
                "the scale of a random walk"
                $"{scale}"
                "above 0"
            @ fits metric
        | Proposal.Independence(centre, metric, freedom) ->
            require
                (centre.Length = dimension && Array.forall Double.IsFinite centre)
                "the centre of proposals"
                $"{centre.Length} numbers"
                $"{dimension} finite ones"
            @ require (freedom > 0.0) "the degrees of freedom" $"{freedom}" "above 0"
            @ fits metric

    /// χ² numbers of so many degrees of freedom over that number, one a chain: gamma numbers by Marsaglia and Tsang, ACM Trans.
    /// Math. Softw. 26 (2000) 363. Refused candidates draw from the next key.
    let private chiSquareRatio (freedom: float) (key: Key) : float =
        let shape = 0.5 * freedom
        // Below 1, the gamma number of shape + 1 times a power of a uniform one.
        let d = (if shape < 1.0 then shape + 1.0 else shape) - 1.0 / 3.0
        let c = 1.0 / sqrt (9.0 * d)

        let rec draw (attempt: int) : float =
            let one = Key.fold attempt key
            let x = (Key.normals 1 (Key.fold 0 one))[0]
            let u = (Key.uniforms 1 (Key.fold 1 one))[0]
            let v = (1.0 + c * x) ** 3.0

            if v > 0.0 && log u < 0.5 * x * x + d - d * v + d * log v then
                d * v
            else
                draw (attempt + 1)

        let gamma = draw 0

        let boost =
            if shape < 1.0 then
                (Key.uniforms 1 (Key.foldName "boost" key))[0] ** (1.0 / shape)
            else
                1.0

        gamma * boost / shape

    /// The log density of independent proposals, up to a constant: of z = S⁻¹(x − centre).
    let private logProposal (dimension: int) (freedom: float) (squares: float) : float =
        if Double.IsPositiveInfinity freedom then
            -0.5 * squares
        else
            -0.5 * (freedom + float dimension) * log (1.0 + squares / freedom)

    let private step
        (options: RunOptions)
        (objective: Objective)
        (proposal: Proposal)
        (key: Key)
        (chains: Chains)
        (room: Chains)
        : struct (Chains * StepInfo) =
        let n, count = objective.Count, chains.Count
        let keys = Key.splitN 3 key
        let struct (after, info) = Accept.begun (int64 count) chains room
        let z = Key.normals (count * n) keys[0]
        let uniforms = Key.uniforms count keys[1]
        let row (values: float[]) (c: int) : float[] = values.AsSpan(c * n, n).ToArray()

        let proposed, factors =
            match proposal with
            | Proposal.RandomWalk(scale, metric) ->
                let steps =
                    Array.init count (fun c -> Metric.apply metric (row z c)) |> Array.concat

                Array.map2 (fun x s -> x + scale * s) chains.Points steps, Array.zeroCreate count
            | Proposal.Independence(centre, metric, freedom) ->
                let squares (z: float[]) : float = Array.sumBy (fun v -> v * v) z

                let drawn =
                    Array.init count (fun c ->
                        let shrink =
                            if Double.IsPositiveInfinity freedom then
                                1.0
                            else
                                1.0 / sqrt (chiSquareRatio freedom (Key.fold c keys[2]))

                        row z c |> Array.map ((*) shrink))

                let here (c: int) : float[] =
                    Array.map2 (-) (row chains.Points c) centre |> Metric.solve metric

                drawn |> Array.collect (Metric.apply metric >> Array.map2 (+) centre),
                drawn
                |> Array.mapi (fun c there ->
                    logProposal n freedom (squares (here c))
                    - logProposal n freedom (squares there))

        Accept.proposals options objective count id proposed factors (Array.get uniforms) after info

        struct (after, info)

    /// The sampler of a proposal. Raises an error for one that makes no sense.
    let sampler (options: RunOptions) (objective: Objective) (proposal: Proposal) : Sampler =
        match check objective.Count proposal with
        | [] ->
            {
                Name =
                    match proposal with
                    | Proposal.RandomWalk _ -> "random walk"
                    | Proposal.Independence _ -> "independence"
                Group = 1
                Advance = step options objective proposal
            }
        | errors -> raise (FunLikException errors)
