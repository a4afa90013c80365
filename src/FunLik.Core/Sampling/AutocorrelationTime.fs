namespace FunLik

open System

/// Whether an autocorrelation time is to be believed.
[<RequireQualifiedAccess>]
type AutocorrelationStatus =
    /// Chains are as long as the guard asks for.
    | Reliable
    /// Chains are shorter than 50 autocorrelation times: not reliable, and most often too small.
    | TooShort
    /// Draws are all equal, not finite, or too few to tell anything.
    | Undefined

/// An integrated autocorrelation time, 1 + 2 Σ ρ_t over all lags t ≥ 1, in draws of a chain.
type AutocorrelationTime =
    {
        /// The estimate; NaN where it is undefined.
        Time: float
        /// Its standard error; NaN where it is undefined.
        Error: float
        /// Whether to believe it.
        Status: AutocorrelationStatus
    }

/// Integrated autocorrelation times, three ways. Chains come as one array a chain; covariances are about each chain's own mean and
/// averaged over chains, so that whether chains agree is R-hat's business. Walkers of an ensemble are given as they are to `windowed`
/// (as emcee does), and as their means (`Diagnostics.groupMeans`) to the others.
[<RequireQualifiedAccess>]
module AutocorrelationTime =

    /// Autocorrelation times that a chain should have for an estimate to be reliable.
    let guard: float = 50.0

    let private undefined: AutocorrelationTime =
        { Time = nan; Error = nan; Status = AutocorrelationStatus.Undefined }

    let private estimate (chains: float[][]) (time: float) (error: float) : AutocorrelationTime =
        if not (Double.IsFinite time) then
            undefined
        else
            let shortest = chains |> Array.map _.Length |> Array.min

            {
                Time = time
                Error = error
                Status =
                    if float shortest >= guard * time then
                        AutocorrelationStatus.Reliable
                    else
                        AutocorrelationStatus.TooShort
            }

    let private isDefined (chains: float[][]) : bool = (Diagnostics.status chains).IsDefined

    /// The relative variance of an estimate that sums lags up to a window, of so many draws: Madras and Sokal, J. Stat. Phys. 50 (1988)
    /// 109, eq. E.13.
    let private relative (window: int) (draws: int) : float =
        sqrt (2.0 * float (2 * window + 1) / float draws)

    /// Foreman-Mackey's estimate, as emcee 3 has it (`integrated_time`): autocorrelations averaged over chains, summed up to the first
    /// lag M with M ≥ c·τ(M), Sokal's window. emcee's c is 5.
    let windowed (c: float) (chains: float[][]) : AutocorrelationTime =
        if not (isDefined chains) then
            undefined
        else
            let n = chains |> Array.map _.Length |> Array.min

            // A chain that stands still correlates with itself for good.
            let lags =
                chains
                |> Array.map (fun chain ->
                    let at = Autocovariance.at chain
                    let zero = at 0
                    fun t -> if zero > 0.0 then at t / zero else 1.0)

            let rec grow (m: int) (time: float) : struct (int * float) =
                if float m >= c * time || m = n - 1 then
                    struct (m, time)
                else
                    let rho = lags |> Array.averageBy (fun at -> at (m + 1))
                    grow (m + 1) (time + 2.0 * rho)

            let struct (window, time) = grow 0 1.0
            let draws = chains |> Array.sumBy _.Length
            estimate chains time (time * relative window draws)

    let private lagsOfAcor = 10
    let private windowOfAcor = 5.0

    /// The covariances at lags 0 to 10 over the same n − 10 pairs each, averaged over chains.
    let private covariances (chains: float[][]) : float[] =
        Array.init (lagsOfAcor + 1) (fun lag ->
            chains
            |> Array.averageBy (fun x ->
                let pairs = x.Length - lagsOfAcor

                System.Numerics.Tensors.TensorPrimitives.Dot(
                    ReadOnlySpan(x, 0, pairs),
                    ReadOnlySpan(x, lag, pairs)
                )
                / float pairs))

    /// Goodman's estimate (`acor`; Goodman and Weare, section 3): the sum of covariances up to lag 10, if that is 5 times longer than
    /// τ; else that of the chain of sums of pairs, which is half as long and has half the τ, and so on. Undefined where the
    /// chains of sums become shorter than 50, or a sum of covariances negative. For an ensemble it is given the means of its walkers.
    let acor (chains: float[][]) : AutocorrelationTime =
        /// The sum over all lags of the covariances, and the draws at the level that ended.
        let rec diffusion (x: float[][]) : struct (float * float * int) voption =
            let centred = x |> Array.map Autocovariance.centred

            if centred |> Array.exists (fun c -> c.Length < 5 * lagsOfAcor) then
                ValueNone
            else
                let c = covariances centred
                let sum = c[0] + 2.0 * Array.sum c[1..]

                if not (sum > 0.0) then
                    ValueNone
                elif windowOfAcor * sum < float lagsOfAcor * c[0] then
                    ValueSome(struct (sum, c[0], centred |> Array.sumBy _.Length))
                else
                    let pairs =
                        centred
                        |> Array.map (fun v ->
                            Array.init (v.Length / 2) (fun i -> v[2 * i] + v[2 * i + 1]))

                    match diffusion pairs with
                    | ValueNone -> ValueNone
                    // A sum of pairs has twice the spectrum at frequency 0.
                    | ValueSome(struct (deeper, _, draws)) ->
                        ValueSome(struct (0.5 * deeper, c[0], draws))

        if not (isDefined chains) then
            undefined
        else
            match diffusion chains with
            | ValueNone -> undefined
            | ValueSome(struct (sum, variance, draws)) ->
                let time = sum / variance
                estimate chains time (time * relative lagsOfAcor draws)

    /// By maximum likelihood: that of the autoregressive process of the best order (`AutoRegression.fit`), its spectrum at frequency 0
    /// over its variance.
    let likelihood (chains: float[][]) : AutocorrelationTime =
        if not (isDefined chains) then
            undefined
        else
            match AutoRegression.fit chains with
            | None -> undefined
            | Some process' -> estimate chains process'.Time process'.TimeError
