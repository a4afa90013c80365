namespace FunLik

open System
open MathNet.Numerics.Distributions

/// Likelihood-ratio statistics of one parameter of interest μ: Cowan, Cranmer, Gross and Vitells, arXiv:1007.1727.
[<RequireQualifiedAccess>]
type TestStatistic =
    /// t_μ (eq. 8): two-sided.
    | T
    /// t̃_μ (eq. 11): two-sided, with μ ≥ 0.
    | TTilde
    /// q_μ (eq. 14): for upper limits; 0 where the best μ is above.
    | Q
    /// q̃_μ (eq. 16): for upper limits, with μ ≥ 0.
    | QTilde
    /// q_0 (eq. 12): for discovery; 0 where the best μ is below 0.
    | Q0

/// The probabilities of a hypothesis test of μ, from the asymptotic distributions.
type PValues =
    {
        /// CLs+b: of data at least as far from μ, if μ is true.
        Clsb: float
        /// CLb: of the same, if there is no signal.
        Clb: float
    }

    /// CLs = CLs+b / CLb.
    member this.Cls: float = this.Clsb / this.Clb

/// Statistics and their asymptotic probabilities.
[<RequireQualifiedAccess>]
module TestStatistic =

    /// The names, as people write them.
    let names: (string * TestStatistic) list =
        [
            "t", TestStatistic.T
            "ttilde", TestStatistic.TTilde
            "q", TestStatistic.Q
            "qtilde", TestStatistic.QTilde
            "q0", TestStatistic.Q0
        ]

    /// Whether μ is kept at 0 or above in the free fit.
    let isBounded (statistic: TestStatistic) : bool = statistic.IsTTilde || statistic.IsQTilde

    /// The statistic from twice ΔNLL between the fit at μ and the free one, and the best μ. Never negative.
    let value (statistic: TestStatistic) (mu: float) (best: float) (twiceDeltaNll: float) : float =
        match statistic with
        | TestStatistic.T
        | TestStatistic.TTilde -> max 0.0 twiceDeltaNll
        | TestStatistic.Q
        | TestStatistic.QTilde -> if best > mu then 0.0 else max 0.0 twiceDeltaNll
        | TestStatistic.Q0 -> if best < 0.0 then 0.0 else max 0.0 twiceDeltaNll

    let private above (x: float) : float = Normal.CDF(0.0, 1.0, -x)

    /// The probabilities for a statistic that is `observed` on the data and `asimov` on the Asimov data of the other hypothesis: for q, q̃ and q0
    /// eqs. 57 and 65 to 67, both as distances in standard deviations; for t and t̃ the tails on both sides of μ (eqs. 34 to 44).
    let pValues (statistic: TestStatistic) (observed: float) (asimov: float) : PValues =
        let root, rootA = sqrt observed, sqrt asimov

        // Beyond 0 a statistic that keeps μ at 0 or above grows by the slope there.
        let isBeyondZero = isBounded statistic && root > rootA && rootA > 0.0

        let distance =
            if isBeyondZero then
                (observed - asimov) / (2.0 * rootA)
            else
                root - rootA

        match statistic with
        | TestStatistic.T
        | TestStatistic.TTilde ->
            {
                Clsb = above root + above (distance + rootA)
                Clb = above (root + rootA) + above distance
            }
        | TestStatistic.Q
        | TestStatistic.QTilde
        | TestStatistic.Q0 -> { Clsb = above (distance + rootA); Clb = above distance }

    /// The probabilities expected without signal where the data fluctuate by n standard deviations toward it.
    let expected (statistic: TestStatistic) (asimov: float) (n: float) : PValues =
        let rootA = sqrt asimov

        match statistic with
        | TestStatistic.TTilde when n < 0.0 -> pValues statistic (asimov - 2.0 * n * rootA) asimov
        | TestStatistic.T
        | TestStatistic.TTilde -> pValues statistic ((rootA - n) ** 2.0) asimov
        | TestStatistic.Q
        | TestStatistic.QTilde
        | TestStatistic.Q0 -> { Clsb = above (rootA - n); Clb = above -n }

    /// The five of -2 to 2.
    let bands: float[] = [| -2.0; -1.0; 0.0; 1.0; 2.0 |]

    /// The root of q or q̃ on Asimov data at which CLs falls to a value, where the data fluctuate by n standard deviations.
    let rootAtCls (cls: float) (n: float) : float = n - Normal.InvCDF(0.0, 1.0, cls * above -n)
