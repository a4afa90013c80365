namespace FunLik

open System
open System.Buffers
open System.Numerics.Tensors

/// How a walker moves, given where the walkers of the other half are. With n parameters:
[<RequireQualifiedAccess>]
type EnsembleMove =
    /// Along the line through another walker c: c + z·(x − c), z from 1/a to a with density 1/√z. Goodman and Weare, Comm. App.
    /// Math. Comp. Sci. 5 (2010) 65, eq. 7 and 10.
    | Stretch of a: float
    /// By a normal step with the covariance of `helpers` other walkers. The same, eq. 11.
    | Walk of helpers: int
    /// By γ·(1 + σ·z) times the difference of two other walkers, γ = `scale`·2.38/√(2n), z standard normal. ter Braak, Stat.
    /// Comput. 16 (2006) 239; the spread of γ as in Nelson et al., ApJS 210 (2014) 11.
    | Difference of scale: float * spread: float
    /// Along the line through another walker, by γ times the difference of two more, projected on that line; γ is uniform from
    /// `low` to `high`. ter Braak and Vrugt, Stat. Comput. 18 (2008) 435, eq. 3: the factor of acceptance is (|x' − c|/|x − c|)ⁿ⁻¹.
    | Snooker of low: float * high: float

/// An ensemble sampler: walkers that learn the scales of a density from each other.
type EnsembleSettings =
    {
        /// Walkers of one ensemble: an even number. Several ensembles run side by side: rows of `Chains` are walkers, one ensemble
        /// after the other.
        Walkers: int
        /// Moves and their weights: each step draws one of them.
        Moves: (EnsembleMove * float) list
    }

/// Affine-invariant ensembles. Walkers are cut into two random halves at each step, and each half moves given the other. They ask
/// for values alone; proposals outside of the support are refused.
[<RequireQualifiedAccess>]
module Ensemble =

    /// What all samplers of this kind are called.
    [<Literal>]
    let name = "ensemble"

    /// The stretch move of a = 2.
    let stretch: EnsembleMove = EnsembleMove.Stretch 2.0

    /// A walk by all walkers of the other half.
    let walk (walkers: int) : EnsembleMove = EnsembleMove.Walk(walkers / 2)

    /// Differential evolution at its usual scale.
    let difference: EnsembleMove = EnsembleMove.Difference(1.0, 1e-5)

    /// The snooker move at its usual scale.
    let snooker: EnsembleMove = EnsembleMove.Snooker(1.2, 2.2)

    /// One ensemble of this many walkers with one move.
    let settings (walkers: int) (move: EnsembleMove) : EnsembleSettings =
        { Walkers = walkers; Moves = [ move, 1.0 ] }

    /// What is wrong with settings for so many walkers in all, and a density of so many parameters.
    let check (dimension: int) (settings: EnsembleSettings) : Error list =
        let require = Setting.require

        let half = settings.Walkers / 2
        let finite = Double.IsFinite

        let ofMove (move: EnsembleMove) : Error list =
            match move with
            | EnsembleMove.Stretch a ->
                require (a > 1.0 && finite a) "the scale of a stretch move" $"{a}" "above 1"
            | EnsembleMove.Walk helpers ->
                require
                    (helpers >= 2 && helpers <= half)
                    "the walkers that help a walk move"
                    $"{helpers}"
                    $"2 to {half}, half of an ensemble"
            | EnsembleMove.Difference(scale, spread) ->
                require
                    (scale > 0.0 && finite scale)
                    "the scale of differential evolution"
                    $"{scale}"
                    "above 0"
                @ require
                    (spread >= 0.0 && finite spread)
                    "the spread of differential evolution"
                    $"{spread}"
                    "0 or more"
            | EnsembleMove.Snooker(low, high) ->
                require
                    (low > 0.0 && high >= low && finite high)
                    "the scales of a snooker move"
                    $"{low} to {high}"
                    "above 0, in order"
                @ require (half >= 3) "the walkers of half an ensemble" $"{half}" "3 or more"

        require
            (settings.Walkers % 2 = 0
             && settings.Walkers >= 2 * dimension
             && settings.Walkers >= 4)
            "the walkers of an ensemble"
            $"{settings.Walkers}"
            $"an even number, {max 4 (2 * dimension)} or more: twice the number of parameters"
        @ require (not settings.Moves.IsEmpty) "the moves of an ensemble" "none" "one or more"
        @ require
            (settings.Moves |> List.forall (fun (_, w) -> w >= 0.0 && finite w)
             && (settings.Moves.IsEmpty || settings.Moves |> List.sumBy snd > 0.0))
            "the weights of moves"
            (settings.Moves |> List.map (snd >> string) |> String.concat ", ")
            "0 or more, not all of them 0"
        @ (settings.Moves |> List.collect (fst >> ofMove))

    let private choose (settings: EnsembleSettings) (u: float) : EnsembleMove =
        let total = settings.Moves |> List.sumBy snd

        let rec pick (rest: (EnsembleMove * float) list) (left: float) : EnsembleMove =
            match rest with
            | [ move, _ ] -> move
            | (move, weight) :: _ when left < weight -> move
            | (_, weight) :: others -> pick others (left - weight)
            | [] -> invalidOp "no moves"

        pick settings.Moves (u * total)

    /// The number below `count` that a number uniform on (0, 1) stands for.
    let inline private pick (count: int) (u: float) : int = min (count - 1) (int (u * float count))

    /// Numbers uniform on (0, 1) that a move takes for each walker.
    let private appetite (move: EnsembleMove) : int =
        match move with
        | EnsembleMove.Stretch _
        | EnsembleMove.Difference _ -> 2
        | EnsembleMove.Walk helpers -> helpers
        | EnsembleMove.Snooker _ -> 4

    /// Normal numbers that a move takes for each walker.
    let private normals (move: EnsembleMove) : int =
        match move with
        | EnsembleMove.Walk helpers -> helpers
        | EnsembleMove.Difference _ -> 1
        | EnsembleMove.Stretch _
        | EnsembleMove.Snooker _ -> 0

    /// The number k of the pair that is not i, for k below count − 1.
    let inline private other (i: int) (k: int) : int = if k >= i then k + 1 else k

    /// Writes where a walker at x proposes to go, by walkers `mates`, and gives the logarithm of the factor of acceptance.
    let private propose
        (move: EnsembleMove)
        (points: float[])
        (mates: ReadOnlySpan<int>)
        (u: ReadOnlySpan<float>)
        (z: ReadOnlySpan<float>)
        (x: ReadOnlySpan<float>)
        (target: Span<float>)
        : float =
        let n = x.Length
        let count = mates.Length

        match move with
        | EnsembleMove.Stretch a ->
            let c = ReadOnlySpan(points, mates[pick count u[0]] * n, n)
            let root = (a - 1.0) * u[1] + 1.0
            let stretch = root * root / a
            TensorPrimitives.Subtract(x, c, target)
            TensorPrimitives.MultiplyAdd(Span.op_Implicit target, stretch, c, target)
            float (n - 1) * log stretch
        | EnsembleMove.Difference(scale, spread) ->
            let i = pick count u[0]
            let k = other i (pick (count - 1) u[1])
            let gamma = scale * 2.38 / sqrt (2.0 * float n) * (1.0 + spread * z[0])
            let a = ReadOnlySpan(points, mates[i] * n, n)
            let b = ReadOnlySpan(points, mates[k] * n, n)
            TensorPrimitives.Subtract(a, b, target)
            TensorPrimitives.MultiplyAdd(Span.op_Implicit target, gamma, x, target)
            0.0
        | EnsembleMove.Walk helpers ->
            // Helpers without repetition, by Floyd's algorithm; Σ z_k (c_k − mean) = Σ (z_k − mean z) c_k.
            let chosen = Array.zeroCreate helpers

            for k in 0 .. helpers - 1 do
                let top = count - helpers + k
                let candidate = pick (top + 1) u[k]

                chosen[k] <-
                    if Array.IndexOf(chosen, candidate, 0, k) >= 0 then
                        top
                    else
                        candidate

            let mean = TensorPrimitives.Sum z / float helpers
            let scale = 1.0 / sqrt (float helpers)
            x.CopyTo target

            for k in 0 .. helpers - 1 do
                let c = ReadOnlySpan(points, mates[chosen[k]] * n, n)

                TensorPrimitives.MultiplyAdd(
                    c,
                    scale * (z[k] - mean),
                    Span.op_Implicit target,
                    target
                )

            0.0
        | EnsembleMove.Snooker(low, high) ->
            let first = pick count u[0]
            let second = other first (pick (count - 1) u[1])
            let lower, upper = min first second, max first second
            let third = pick (count - 2) u[2] |> other lower |> other upper
            let gamma = low + (high - low) * u[3]
            let c = ReadOnlySpan(points, mates[first] * n, n)
            TensorPrimitives.Subtract(x, c, target)
            let line = target.ToArray()
            let squares = TensorPrimitives.SumOfSquares(ReadOnlySpan line)

            let a = ReadOnlySpan(points, mates[second] * n, n)
            let b = ReadOnlySpan(points, mates[third] * n, n)

            let along =
                TensorPrimitives.Dot(ReadOnlySpan line, a)
                - TensorPrimitives.Dot(ReadOnlySpan line, b)

            let shift = if squares > 0.0 then gamma * along / squares else 0.0

            TensorPrimitives.MultiplyAdd(ReadOnlySpan line, 1.0 + shift, c, target)
            float (n - 1) * log (abs (1.0 + shift))

    let private step
        (options: RunOptions)
        (objective: Objective)
        (settings: EnsembleSettings)
        (key: Key)
        (chains: Chains)
        (room: Chains)
        : struct (Chains * StepInfo) =
        let n, count = objective.Count, chains.Count
        let walkers = settings.Walkers
        let half = walkers / 2

        if count = 0 || count % walkers <> 0 then
            Error.make ErrorKind.Shape "the walkers of an ensemble sampler"
            |> Error.found $"{count}"
            |> Error.expected $"a multiple of {walkers}"
            |> List.singleton
            |> FunLikException
            |> raise

        let ensembles = count / walkers
        let keys = Key.splitN 5 key
        let move = (Key.uniforms 1 keys[0])[0] |> choose settings
        let struct (after, info) = Accept.begun (int64 count) chains room

        // A random half of each ensemble: its walkers first.
        let order =
            Array.init ensembles (fun e ->
                Key.permutation walkers (Key.fold e keys[1])
                |> Array.map (fun w -> e * walkers + w))
            |> Array.concat

        let wanted, normal = appetite move, normals move
        let u = Key.uniforms (count * wanted) keys[2]

        let z =
            if normal > 0 then
                Key.normals (count * normal) keys[3]
            else
                [||]

        let uniforms = Key.uniforms count keys[4]
        let rows = ensembles * half
        // Large arrays of every step would keep the garbage collector busier than all else.
        let proposed = ArrayPool<float>.Shared.Rent(rows * n)
        let factors: float[] = Array.zeroCreate rows

        for side in 0..1 do
            // Row i of the proposals belongs to this walker, in the order above.
            let place (i: int) : int = i / half * walkers + side * half + i % half

            for i in 0 .. rows - 1 do
                let w = place i
                let mates = ReadOnlySpan(order, i / half * walkers + (1 - side) * half, half)
                let x = ReadOnlySpan(after.Points, order[w] * n, n)

                factors[i] <-
                    propose
                        move
                        after.Points
                        mates
                        (ReadOnlySpan(u, w * wanted, wanted))
                        (ReadOnlySpan(z, w * normal, normal))
                        x
                        (Span(proposed, i * n, n))

            Accept.proposals
                options
                objective
                rows
                (fun i -> order[place i])
                proposed
                factors
                (fun i -> uniforms[place i])
                after
                info

        ArrayPool<float>.Shared.Return proposed
        struct (after, info)

    /// The sampler of these settings. Raises an error for settings that make no sense; a step does for a number of chains that is
    /// not a multiple of the walkers.
    let sampler
        (options: RunOptions)
        (objective: Objective)
        (settings: EnsembleSettings)
        : Sampler =
        match check objective.Count settings with
        | [] ->
            {
                Name = name
                Group = settings.Walkers
                Advance = step options objective settings
            }
        | errors -> raise (FunLikException errors)
