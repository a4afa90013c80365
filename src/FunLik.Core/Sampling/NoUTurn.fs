namespace FunLik

open System
open System.Buffers
open System.Numerics.Tensors

/// What the no-U-turn sampler needs to know besides the density.
type NoUTurnSettings =
    {
        /// The step of the leapfrog, in the units of the metric.
        StepSize: float
        /// The scales of the density.
        Metric: Metric
        /// A trajectory doubles so often at most: it has 2^most − 1 steps then.
        MostDoublings: int
    }

/// The no-U-turn sampler: Hoffman and Gelman, JMLR 15 (2014) 1593, with states drawn by their weights and trajectories that end by the
/// sum of momenta, as in Betancourt, arXiv:1701.02434, appendix A.4. Trees are built without recursion: Phan, Pradhan and
/// Jankowiak, arXiv:1912.11554, algorithm 2. Trajectories turn back at the edge of the support, as in `Hamiltonian`: turning back
/// is a step of a reversible map that keeps volumes, which is all that the argument needs.
[<RequireQualifiedAccess>]
module NoUTurn =

    /// Ten doublings at most.
    let settings (stepSize: float) (metric: Metric) : NoUTurnSettings =
        { StepSize = stepSize; Metric = metric; MostDoublings = 10 }

    /// What is wrong with settings for a density of so many parameters.
    let check (dimension: int) (settings: NoUTurnSettings) : Error list =
        Hamiltonian.check dimension (Hamiltonian.settings settings.StepSize settings.Metric)
        @ if settings.MostDoublings >= 1 && settings.MostDoublings <= 20 then
              []
          else
              [
                  Error.make ErrorKind.Value "the largest number of doublings"
                  |> Error.found $"{settings.MostDoublings}"
                  |> Error.expected "1 to 20"
              ]

    /// The logarithm of the sum of two weights that are given as logarithms.
    let inline private logAdd (a: float) (b: float) : float =
        let high = max a b

        if Double.IsNegativeInfinity high then
            high
        else
            high + log (exp (a - high) + exp (b - high))

    /// Points with their densities, and an energy less that of the start, of the chains of a block, one row a chain.
    type private Rows = { Q: float[]; G: float[]; Y: float[]; Error: float[] }

    let private rowsOf (rows: int) (n: int) : Rows =
        {
            Q = Array.zeroCreate (rows * n)
            G = Array.zeroCreate (rows * n)
            Y = Array.zeroCreate rows
            Error = Array.zeroCreate rows
        }

    let private copyRow (n: int) (from: float[]) (i: int) (into: float[]) (k: int) : unit =
        Array.Copy(from, i * n, into, k * n, n)

    /// Whether momenta at both ends say that a trajectory with this sum of momenta turns. The ends count half.
    let private isTurning
        (first: ReadOnlySpan<float>)
        (last: ReadOnlySpan<float>)
        (sum: ReadOnlySpan<float>)
        : bool =
        let between = TensorPrimitives.Dot(first, last)

        TensorPrimitives.Dot(first, sum)
        <= 0.5 * (between + TensorPrimitives.SumOfSquares first)
        || TensorPrimitives.Dot(last, sum)
           <= 0.5 * (between + TensorPrimitives.SumOfSquares last)

    /// The trees of the chains of a block. Half of a tree that is being built is told from outside in: momenta point away from the
    /// tree, so both directions are steps forward.
    type private Trees =
        {
            /// The ends of each tree, backward and forward, with momenta forward.
            Ends: (Rows * float[])[]
            /// The state chosen in each tree.
            Chosen: Rows
            /// That in the half being built.
            Candidate: Rows
            /// Sums of momenta, of each tree and of the half being built.
            Sum: float[]
            HalfSum: float[]
            /// Logarithms of weights, of each tree and of the half.
            Weight: float[]
            HalfWeight: float[]
            /// Momenta and their sums at leaves that later ones are compared with: `MostDoublings` rows a chain.
            Marks: float[]
            MarkSums: float[]
            /// Doublings done.
            Depth: int[]
            /// Leaves of the half so far.
            Leaf: int[]
            /// Whether the half goes forward.
            IsForward: bool[]
        }

    /// Compares the last leaf of a half with those where balanced subtrees that end here began, or marks it as such a beginning.
    let private turnsInside
        (n: int)
        (most: int)
        (trees: Trees)
        (c: int)
        (p: ReadOnlySpan<float>)
        (scratch: float[])
        : bool =
        let leaf = trees.Leaf[c]
        let top = Numerics.BitOperations.PopCount(uint32 (leaf >>> 1))
        let sum = ReadOnlySpan(trees.HalfSum, c * n, n)

        if leaf % 2 = 0 then
            p.CopyTo(Span(trees.Marks, (c * most + top) * n, n))
            sum.CopyTo(Span(trees.MarkSums, (c * most + top) * n, n))
            false
        else
            let bottom = top - Numerics.BitOperations.TrailingZeroCount(~~~leaf) + 1
            let mutable k = top
            let mutable turns = false

            while not turns && k >= bottom do
                let mark = ReadOnlySpan(trees.Marks, (c * most + k) * n, n)
                let before = ReadOnlySpan(trees.MarkSums, (c * most + k) * n, n)
                let part = Span(scratch, 0, n)
                TensorPrimitives.Subtract(sum, before, part)
                TensorPrimitives.Add(Span.op_Implicit part, mark, part)
                turns <- isTurning mark p (Span.op_Implicit part)
                k <- k - 1

            turns

    let private block
        (options: RunOptions)
        (objective: Objective)
        (settings: NoUTurnSettings)
        (mover: Mover)
        (keys: Key[])
        (before: Chains)
        (after: Chains)
        (info: StepInfo)
        (leaves: int[])
        (first: int)
        (rows: int)
        : unit =
        let n, most = objective.Count, settings.MostDoublings

        let place () : Place =
            {
                Q = Array.zeroCreate (rows * n)
                Y = Array.zeroCreate rows
                G = Array.zeroCreate (rows * n)
            }

        let momenta: float[] = Array.zeroCreate (rows * n)
        Key.fillNormalFrom (int64 first * int64 n) (Span(momenta, 0, rows * n)) keys[0]

        let squares (p: float[]) (i: int) : float =
            TensorPrimitives.SumOfSquares(ReadOnlySpan(p, i * n, n))

        let start () : Rows =
            {
                Q = before.Points.AsSpan(first * n, rows * n).ToArray()
                G = before.Gradient.AsSpan(first * n, rows * n).ToArray()
                Y = before.LogDensity.AsSpan(first, rows).ToArray()
                Error = Array.zeroCreate rows
            }

        let energy =
            Array.init rows (fun c -> 0.5 * squares momenta c - before.LogDensity[first + c])

        let trees =
            {
                Ends = Array.init 2 (fun _ -> start (), Array.copy momenta)
                Chosen = start ()
                Candidate = rowsOf rows n
                Sum = Array.copy momenta
                HalfSum = Array.zeroCreate (rows * n)
                Weight = Array.zeroCreate rows
                HalfWeight = Array.zeroCreate rows
                Marks = ArrayPool<float>.Shared.Rent(rows * most * n)
                MarkSums = ArrayPool<float>.Shared.Rent(rows * most * n)
                Depth = Array.zeroCreate rows
                Leaf = Array.zeroCreate rows
                IsForward = Array.zeroCreate rows
            }

        // Two numbers a chain and doubling: where to go, and whether to take the half's state.
        let choices =
            Array.init most (fun depth ->
                let u: float[] = Array.zeroCreate (2 * rows)
                Key.fillUniformFrom (2L * int64 first) (Span u) (Key.fold depth keys[1])
                u)

        let moving: float[] = Array.zeroCreate (rows * n)
        let mutable here = place ()
        let mutable spare = place ()

        let beginHalf (c: int) (row: int) : unit =
            let isForward = choices[trees.Depth[c]][2 * c] < 0.5
            let from, p = trees.Ends[if isForward then 1 else 0]
            copyRow n from.Q c here.Q row
            copyRow n from.G c here.G row
            here.Y[row] <- from.Y[c]
            copyRow n p c moving row

            if not isForward then
                let outward = Span(moving, row * n, n)
                TensorPrimitives.Negate(Span.op_Implicit outward, outward)

            trees.IsForward[c] <- isForward
            trees.Leaf[c] <- 0
            trees.HalfWeight[c] <- -infinity
            Array.Clear(trees.HalfSum, c * n, n)

        /// Joins a whole half to its tree: false where the tree ends.
        let join (c: int) (row: int) : bool =
            let end_, p = trees.Ends[if trees.IsForward[c] then 1 else 0]
            copyRow n here.Q row end_.Q c
            copyRow n here.G row end_.G c
            end_.Y[c] <- here.Y[row]
            let momentum = Span(p, c * n, n)
            let sign = if trees.IsForward[c] then 1.0 else -1.0
            TensorPrimitives.Multiply(ReadOnlySpan(moving, row * n, n), sign, momentum)
            let sum = Span(trees.Sum, c * n, n)

            TensorPrimitives.MultiplyAdd(
                ReadOnlySpan(trees.HalfSum, c * n, n),
                sign,
                Span.op_Implicit sum,
                sum
            )

            if log (choices[trees.Depth[c]][2 * c + 1]) < trees.HalfWeight[c] - trees.Weight[c] then
                copyRow n trees.Candidate.Q c trees.Chosen.Q c
                copyRow n trees.Candidate.G c trees.Chosen.G c
                trees.Chosen.Y[c] <- trees.Candidate.Y[c]
                trees.Chosen.Error[c] <- trees.Candidate.Error[c]
                info.Accepted[first + c] <- true

            trees.Weight[c] <- logAdd trees.Weight[c] trees.HalfWeight[c]
            trees.Depth[c] <- trees.Depth[c] + 1
            let ends = trees.Ends |> Array.map snd

            trees.Depth[c] < most
            && not (
                isTurning
                    (ReadOnlySpan(ends[0], c * n, n))
                    (ReadOnlySpan(ends[1], c * n, n))
                    (Span.op_Implicit sum)
            )

        let scratch: float[] = Array.zeroCreate n
        let uniforms: float[] = Array.zeroCreate rows
        let broken: bool[] = Array.zeroCreate rows

        /// What a chain's new leaf means: true where the tree goes on.
        let grow (c: int) (row: int) : bool =
            let chain = first + c
            let error = 0.5 * squares moving row - here.Y[row] - energy[c]
            leaves[chain] <- leaves[chain] + 1

            if broken[row] || not (error <= Hamiltonian.divergence) then
                info.Divergent[chain] <- true
                false
            else
                info.Acceptance[chain] <- info.Acceptance[chain] + min 1.0 (exp -error)
                trees.HalfWeight[c] <- logAdd trees.HalfWeight[c] -error

                if trees.Leaf[c] = 0 || log (uniforms[c]) < -error - trees.HalfWeight[c] then
                    copyRow n here.Q row trees.Candidate.Q c
                    copyRow n here.G row trees.Candidate.G c
                    trees.Candidate.Y[c] <- here.Y[row]
                    trees.Candidate.Error[c] <- error

                let p = ReadOnlySpan(moving, row * n, n)
                let sum = Span(trees.HalfSum, c * n, n)
                TensorPrimitives.Add(Span.op_Implicit sum, p, sum)

                if turnsInside n most trees c p scratch then
                    false
                else
                    trees.Leaf[c] <- trees.Leaf[c] + 1

                    if trees.Leaf[c] < (1 <<< trees.Depth[c]) then
                        true
                    elif join c row then
                        beginHalf c row
                        true
                    else
                        false

        let mutable active = Array.init rows id

        for c in active do
            beginHalf c c

        let mutable round = 0

        while active.Length > 0 do
            options.Cancellation.ThrowIfCancellationRequested()
            Key.fillUniformFrom (int64 first) (Span uniforms) (Key.fold round keys[2])
            round <- round + 1
            let chains = active

            let met (row: int) (value: float) : unit =
                if Double.IsNegativeInfinity value then
                    info.Bounces[first + chains[row]] <- info.Bounces[first + chains[row]] + 1
                else
                    broken[row] <- true

            let reached =
                Leapfrog.integrate options objective mover 1 active.Length moving here spare met

            spare <- here
            here <- reached
            let goesOn = active |> Array.mapi (fun row c -> grow c row)

            // The rows of the chains that go on move together.
            let mutable next = 0

            for row in 0 .. active.Length - 1 do
                broken[row] <- false

                if goesOn[row] then
                    if next < row then
                        copyRow n here.Q row here.Q next
                        copyRow n here.G row here.G next
                        copyRow n moving row moving next
                        here.Y[next] <- here.Y[row]

                    next <- next + 1

            active <- Array.zip active goesOn |> Array.filter snd |> Array.map fst

        ArrayPool<float>.Shared.Return trees.Marks
        ArrayPool<float>.Shared.Return trees.MarkSums
        Array.Copy(trees.Chosen.Q, 0, after.Points, first * n, rows * n)
        Array.Copy(trees.Chosen.G, 0, after.Gradient, first * n, rows * n)
        Array.Copy(trees.Chosen.Y, 0, after.LogDensity, first, rows)

        for c in 0 .. rows - 1 do
            let chain = first + c
            info.EnergyError[chain] <- trees.Chosen.Error[c]
            info.Acceptance[chain] <- info.Acceptance[chain] / float leaves[chain]

    let private step
        (options: RunOptions)
        (objective: Objective)
        (settings: NoUTurnSettings)
        (mover: Mover)
        (key: Key)
        (chains: Chains)
        (room: Chains)
        : struct (Chains * StepInfo) =
        let count = chains.Count
        let keys = Key.splitN 3 key
        let struct (after, info) = Accept.begun 0L chains room
        let after = { after with Gradient = room.Gradient }
        let leaves = Array.zeroCreate count

        Leapfrog.forBlocks options objective count (fun options first rows ->
            block options objective settings mover keys chains after info leaves first rows)

        let evaluations = leaves |> Array.sumBy int64

        struct (after,
                { info with
                    Length = Array.max leaves
                    Calls = { Values = evaluations; Gradients = evaluations }
                })

    /// The sampler of these settings. Raises an error for settings that make no sense.
    let sampler (options: RunOptions) (objective: Objective) (settings: NoUTurnSettings) : Sampler =
        match check objective.Count settings with
        | [] ->
            let mover = Leapfrog.mover settings.StepSize settings.Metric
            { Name = "nuts"; Group = 1; Advance = step options objective settings mover }
        | errors -> raise (FunLikException errors)
