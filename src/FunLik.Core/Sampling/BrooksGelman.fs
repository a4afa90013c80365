namespace FunLik

open System
open MathNet.Numerics.LinearAlgebra

/// Brooks and Gelman's comparison of chains, of one parameter.
type BrooksGelman =
    {
        /// The corrected scale reduction R_c = √((d + 3)/(d + 1) · V̂/W): 1 where chains agree.
        Rc: float
        /// The degrees of freedom d of Student's distribution with which V̂ makes up for few draws.
        Freedom: float
        /// The pooled variance V̂ = (n − 1)/n·W + (1 + 1/m)·B/n.
        Pooled: float
        /// The variance within chains, W.
        Within: float
    }

/// The scale reduction as a run grows: what `BrooksGelman` says of the later half of the first draws, from point to point.
type ScaleReductionCurve =
    {
        /// Draws of each chain up to each point.
        Draws: int[]
        /// R_c at each point.
        Rc: float[]
        /// The root of the pooled variance there. It falls to the standard deviation as chains agree.
        Pooled: float[]
        /// The root of the variance within chains. It rises to the standard deviation as chains spread.
        Within: float[]
    }

/// The potential scale reduction factor, corrected for the sampling variability of variances: Brooks and Gelman, J. Comp. Graph. Stat. 7
/// (1998) 434, sections 3.1 and 1.2, the diagnostic of arXiv:1911.03305. Chains have one length. Walkers of one ensemble are no
/// independent chains: compare ensembles, with their walkers one after the other as one chain (`ensembles`).
[<RequireQualifiedAccess>]
module BrooksGelman =

    /// From the means and variances of chains of n draws each.
    let private ofMoments (n: int) (means: float[]) (variances: float[]) : BrooksGelman =
        let m, n = float means.Length, float n
        let within = Array.average variances
        let between = n * Autocovariance.variance means
        let pooled = (n - 1.0) / n * within + (1.0 + 1.0 / m) * between / n

        let covariance (a: float[]) (b: float[]) : float =
            Array.fold2
                (fun s x y -> s + x * y)
                0.0
                (Autocovariance.centred a)
                (Autocovariance.centred b)
            / (m - 1.0)

        // The covariance with x̄² less 2·x̄..·that with x̄ is the one with (x̄ − x̄..)², up to a constant: no large numbers cancel.
        let distances = Autocovariance.centred means
        let squares = distances |> Array.map (fun d -> d * d)

        let spread =
            ((n - 1.0) / n) ** 2.0 / m * Autocovariance.variance variances
            + ((m + 1.0) / (m * n)) ** 2.0 * 2.0 / (m - 1.0) * between * between
            + 2.0 * (m + 1.0) * (n - 1.0) / (m * n * n)
              * (n / m)
              * covariance variances squares

        let freedom =
            if spread > 0.0 then
                2.0 * pooled * pooled / spread
            else
                infinity

        let correction =
            if Double.IsPositiveInfinity freedom then
                1.0
            else
                (freedom + 3.0) / (freedom + 1.0)

        {
            Rc =
                if within > 0.0 then
                    sqrt (correction * pooled / within)
                else
                    infinity
            Freedom = freedom
            Pooled = pooled
            Within = within
        }

    let private require (chains: float[][]) : unit =
        if chains.Length < 2 then
            invalidArg (nameof chains) $"{chains.Length} chains: two or more can be compared"

        if chains |> Array.exists (fun c -> c.Length <> chains[0].Length || c.Length < 2) then
            invalidArg (nameof chains) "chains have one length, of two draws or more"

    /// Two chains or more, of two draws or more each; R_c is +∞ where no chain moves.
    let diagnose (chains: float[][]) : BrooksGelman =
        require chains

        ofMoments
            chains[0].Length
            (chains |> Array.map Autocovariance.mean)
            (chains |> Array.map Autocovariance.variance)

    /// The walkers of each ensemble one after the other, step by step, as one chain an ensemble.
    let ensembles (walkers: int) (chains: float[][]) : float[][] =
        if walkers < 1 || chains.Length % walkers <> 0 then
            invalidArg (nameof walkers) $"{chains.Length} chains are no ensembles of {walkers}"

        chains
        |> Array.chunkBySize walkers
        |> Array.map (fun group ->
            Array.init (group.Length * group[0].Length) (fun i -> group[i % walkers][i / walkers]))

    /// R_c, and the roots of the pooled and the within variance, after so many points evenly over the run: of the draws that are left when
    /// the first part (`discard`, of 0 to below 1) of those so far is thrown away. Brooks and Gelman throw away one half.
    let curve (points: int) (discard: float) (chains: float[][]) : ScaleReductionCurve =
        require chains

        if not (discard >= 0.0 && discard < 1.0) then
            invalidArg (nameof discard) $"{discard} is no fraction from 0 to below 1"

        let length = chains[0].Length
        let centre = Autocovariance.mean (Array.concat chains)

        // Sums up to each draw, about a common centre so that differences of sums keep their digits.
        let sums (f: float -> float) : float[][] =
            chains |> Array.map (Array.scan (fun s x -> s + f (x - centre)) 0.0)

        let first, second = sums id, sums (fun x -> x * x)

        let at (last: int) : BrooksGelman =
            let skip = min (last - 2) (int (discard * float last))
            let n = last - skip
            let means = first |> Array.map (fun s -> (s[last] - s[skip]) / float n)

            let variances =
                Array.map2
                    (fun (s: float[]) mean ->
                        max 0.0 ((s[last] - s[skip] - float n * mean * mean) / float (n - 1)))
                    second
                    means

            ofMoments n means variances

        let draws =
            Array.init points (fun k -> max 2 ((k + 1) * length / points)) |> Array.distinct

        let found = draws |> Array.map at

        {
            Draws = draws
            Rc = found |> Array.map _.Rc
            Pooled = found |> Array.map (_.Pooled >> sqrt)
            Within = found |> Array.map (_.Within >> sqrt)
        }

    /// The scale reduction of all parameters together, (n − 1)/n + (m + 1)/m·λ, with λ the largest eigenvalue of W⁻¹·B/n: the largest of any
    /// linear combination of parameters, as V̂/W. The same, section 4.1. `series` gives the chains of each parameter; +∞ where W is
    /// singular.
    let multivariate (parameters: int) (series: int -> float[][]) : float =
        let all: float[][][] = Array.init parameters series
        all |> Array.iter require
        let m = all[0].Length
        let n = (all[0][0]).Length
        let means = all |> Array.map (Array.map Autocovariance.mean)

        let centred: float[][][] =
            Array.init m (fun c ->
                all |> Array.map (fun (chains: float[][]) -> Autocovariance.centred chains[c]))

        let dot (a: float[]) (b: float[]) : float =
            System.Numerics.Tensors.TensorPrimitives.Dot(ReadOnlySpan a, ReadOnlySpan b)

        let within =
            Matrix.Build.Dense(
                parameters,
                parameters,
                fun i j -> centred |> Array.averageBy (fun x -> dot x[i] x[j] / float (n - 1))
            )

        let between =
            let shifted = means |> Array.map Autocovariance.centred

            Matrix.Build.Dense(
                parameters,
                parameters,
                fun i j -> dot shifted[i] shifted[j] / float (m - 1)
            )

        match NewtonStep.inverse parameters (within.ToRowMajorArray()) with
        | None -> infinity
        | Some _ ->
            let lower = within.Cholesky().Factor
            let half = lower.Solve between
            let both = lower.Solve(half.Transpose())
            let symmetric = 0.5 * (both + both.Transpose())

            let largest =
                symmetric.Evd(Symmetricity.Symmetric).EigenValues |> Seq.map _.Real |> Seq.max

            float (n - 1) / float n + float (m + 1) / float m * largest
