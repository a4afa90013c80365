namespace FunLik

open System

/// The logarithm of a density's integral, from its draws.
type Evidence =
    {
        /// The logarithm of the integral, and its standard error from the variances of both sums of the bridge.
        LogEvidence: Estimate
        /// The same from the scatter of independent batches of chains, each with proposals of its own; +∞ where chains are too few.
        BatchError: float
        /// The part that posterior and proposal share: near 1 where the proposal fits, near 0 where the result rests on few draws.
        Overlap: float
        /// Iterations until the estimate stood still.
        Iterations: int
        /// Whether it did, and both sums have 100 effective terms or more.
        IsReliable: bool
        /// Evaluations of the density.
        Calls: int64
    }

/// Bridge sampling: Meng and Wong, Statistica Sinica 6 (1996) 831, eq. 4.1; as Gronau et al., J. Math. Psychol. 81 (2017) 80, do it. The
/// proposal is a normal distribution of the moments of the first half of each chain, in parameters without bounds (`Unbounded`); the second halves and as many proposals make the bridge. The error is eq. 6 of Frühwirth-Schnatter,
/// Econometrics J. 7 (2004) 143, with the effective sample size of the chains.
[<RequireQualifiedAccess>]
module Bridge =

    /// What the bridge needs: posterior draws in coordinates with their log densities there, in chains; and a proposal.
    type private Sides =
        {
            Metric: Metric
            Mean: float[]
            /// log p − log g at posterior draws, one array a chain.
            Posterior: float[][]
            /// The same at proposals.
            Proposals: float[]
        }

    let private logNormal (metric: Metric) (mean: float[]) (z: float[]) : float =
        let n = mean.Length

        let logDeterminant =
            match metric with
            | Metric.Diagonal scales -> scales |> Array.sumBy Math.Log
            | Metric.Dense factor -> Array.init n (fun i -> Math.Log factor[i * n + i]) |> Array.sum

        let w = Array.map2 (-) z mean |> Metric.solve metric

        -0.5 * Array.sumBy (fun v -> v * v) w
        - logDeterminant
        - 0.5 * float n * Math.Log(2.0 * Math.PI)

    let private sides
        (options: RunOptions)
        (unbounded: Unbounded)
        (key: Key)
        (chains: (float[] * float)[][])
        : Sides =
        let n = unbounded.Edges.Length

        let half (chain: (float[] * float)[]) = Array.splitAt (chain.Length / 2) chain
        let first = chains |> Array.map (half >> fst)
        let second = chains |> Array.map (half >> snd)

        let struct (mean, covariance) =
            first |> Array.map (Array.collect fst) |> Metric.moments n

        let metric =
            Metric.ofCovariance n covariance
            |> Option.defaultWith (fun () ->
                Metric.ofVariances (Array.init n (fun i -> covariance[i * n + i])))

        let ratio (z: float[], logDensity: float) : float = logDensity - logNormal metric mean z
        let count = second |> Array.sumBy _.Length

        let proposed =
            Key.normals (count * n) key
            |> Array.chunkBySize n
            |> Array.map (fun w -> Metric.apply metric w |> Array.map2 (+) mean)

        let values = unbounded.Objective.Values(Array.concat proposed, options)

        {
            Metric = metric
            Mean = mean
            Posterior = second |> Array.map (Array.map ratio)
            Proposals = Array.map2 (fun z y -> ratio (z, y)) proposed values
        }

    /// The fixed point of eq. 4.1, relative to a reference: the logarithm of the integral, iterations, and whether it was reached.
    let private iterate (effective: float) (sides: Sides) : struct (float * int * bool) =
        let posterior = Array.concat sides.Posterior
        let reference = (Array.sort posterior)[posterior.Length / 2]
        let l1 = posterior |> Array.map (fun l -> exp (l - reference))
        let l2 = sides.Proposals |> Array.map (fun l -> exp (l - reference))
        let s1 = effective / (effective + float l2.Length)
        let s2 = 1.0 - s1

        let next (r: float) : float =
            let above =
                l2
                |> Array.averageBy (fun l ->
                    if Double.IsInfinity l then
                        1.0 / s1
                    else
                        l / (s1 * l + s2 * r))

            let below = l1 |> Array.averageBy (fun l -> 1.0 / (s1 * l + s2 * r))
            above / below

        let rec go (r: float) (count: int) : struct (float * int * bool) =
            let found = next r

            if abs (found - r) <= 1e-10 * abs found then
                struct (reference + Math.Log found, count, true)
            elif count >= 1000 || not (found > 0.0) then
                struct (reference + Math.Log found, count, false)
            else
                go found (count + 1)

        go 1.0 1

    /// The chains of a table in parameters without bounds, with the log density there.
    let private withoutBounds (unbounded: Unbounded) (table: DrawTable) : (float[] * float)[][] =
        let z = Unbounded.ofBounded unbounded table.Points
        let values = Array.map2 (+) table.LogDensity (Unbounded.logFactors unbounded z)

        Array.zip (Array.chunkBySize table.Dimension z) values
        |> Array.chunkBySize table.PerChain

    /// The effective number of posterior draws: the median over parameters.
    let private effectiveSize (chains: (float[] * float)[][]) : float =
        let n = (chains |> Array.head |> Array.head |> fst).Length

        let all =
            Array.init n (fun i ->
                chains
                |> Array.map (fun chain ->
                    chain |> Array.skip (chain.Length / 2) |> Array.map (fun (z, _) -> z[i]))
                |> Diagnostics.ess)
            |> Array.sort

        max 1.0 all[n / 2]

    let private batchCount = 8

    /// The logarithm of the integral of an objective of which a table has draws with their log densities, all of one weight. Raises an
    /// error for weighted draws, for draws without log densities, and for chains of fewer than 32 draws.
    let evidence
        (options: RunOptions)
        (objective: Objective)
        (key: Key)
        (table: DrawTable)
        : Evidence =
        let require (condition: bool) (error: Error) : unit =
            if not condition then
                raise (FunLikException [ error ])

        require
            table.Weights.IsNone
            (Error.make ErrorKind.Unsupported "the evidence is found from draws of one weight"
             |> Error.hint "Sample the density itself, or use `LogEvidenceRatio` of the weights.")

        require
            (table.LogDensity |> Array.forall Double.IsFinite)
            (Error.make ErrorKind.Value "the log density of a draw is not known, or not finite")

        require
            (table.PerChain >= 32)
            (Error.make ErrorKind.Value "chains too short for a bridge"
             |> Error.found $"{table.PerChain} draws"
             |> Error.expected "32 or more")

        require
            ((objective.Parameters |> Array.map _.Name) = table.Names)
            (Error.make ErrorKind.Name "the density has other parameters than the draws"
             |> Error.expected (String.concat ", " table.Names))

        let unbounded =
            Unbounded.objective
                (Array.init table.Dimension (fun i -> DrawTable.edges i table))
                objective

        let chains = withoutBounds unbounded table
        let keys = Key.splitN (batchCount + 1) key

        let one (key: Key) (chains: (float[] * float)[][]) =
            let sides = sides options unbounded key chains
            let effective = effectiveSize chains
            let struct (logZ, count, isReached) = iterate effective sides
            sides, effective, logZ, count, isReached

        let sides, effective, logZ, count, isReached = one keys[0] chains

        // Both sums at the fixed point, with p and g normalised.
        let n2 = float sides.Proposals.Length
        let s1 = effective / (effective + n2)
        let s2 = 1.0 - s1

        let f1 =
            sides.Proposals
            |> Array.map (fun l ->
                let p = exp (l - logZ)
                if Double.IsInfinity p then 1.0 / s1 else p / (s1 * p + s2))

        let f2 =
            sides.Posterior
            |> Array.map (Array.map (fun l -> 1.0 / (s1 * exp (l - logZ) + s2)))

        let relative (values: float[]) : float =
            let mean = Array.average values
            (values |> Array.averageBy (fun v -> (v - mean) * (v - mean))) / (mean * mean)

        let flat = Array.concat f2
        let effective2 = Diagnostics.ess f2
        let error = sqrt (relative f1 / n2 + relative flat / effective2)

        let batchError =
            if table.Chains < 2 * batchCount then
                infinity
            else
                let found =
                    Array.init batchCount (fun b ->
                        let from = b * table.Chains / batchCount
                        let until = (b + 1) * table.Chains / batchCount
                        let _, _, logZ, _, _ = one keys[b + 1] chains[from .. until - 1]
                        logZ)

                let mean = Array.average found

                sqrt (
                    (found |> Array.sumBy (fun l -> (l - mean) * (l - mean)))
                    / float (batchCount * (batchCount - 1))
                )

        {
            LogEvidence = { Value = logZ; Error = error }
            BatchError = batchError
            Overlap = Array.average f1
            Iterations = count
            IsReliable = isReached && effective2 >= 100.0 && n2 / (1.0 + relative f1) >= 100.0
            Calls =
                int64 sides.Proposals.Length
                * (if table.Chains < 2 * batchCount then 1L else 2L)
        }
