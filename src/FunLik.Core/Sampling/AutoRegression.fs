namespace FunLik

open System
open System.Numerics.Tensors

/// A stationary autoregressive process, x_t = Σ φ_k x_{t−k} + noise.
type AutoRegression =
    {
        /// φ₁ to φ_p; none for white noise.
        Coefficients: float[]
        /// The variance of the noise.
        Noise: float
        /// The variance of the process.
        Variance: float
        /// The spectral density at frequency 0, Σ over all lags of the autocovariance: the variance of a mean of n draws is this / n.
        Spectrum: float
        /// The integrated autocorrelation time, spectrum / variance: 1 + 2 Σ ρ.
        Time: float
        /// The standard error of `Time`, from the curvature of the likelihood.
        TimeError: float
        /// The largest log density of the draws, all constants kept.
        LogLikelihood: float
    }

/// Autoregressive processes by maximum likelihood: the exact Gaussian likelihood of stationary chains, all with the same process and
/// each with its own mean. Box, Jenkins and Reinsel, Time Series Analysis (1994), appendix A7.4.
[<RequireQualifiedAccess>]
module AutoRegression =

    /// The sums D of which a chain's likelihood is made: Σ_t e_t² of the coefficients v = (1, −φ) is vᵀ D v, end effects included.
    /// D_ij = x_i x_j + x_{i+1} x_{j+1} + ... + x_{n−1−j} x_{n−1−i}, indices from 0.
    let private sums (order: int) (x: float[]) : float[] =
        let n, k = x.Length, order + 1
        let d = Array.zeroCreate (k * k)

        for j in 0..order do
            d[j] <- TensorPrimitives.Dot(ReadOnlySpan(x, 0, n - j), ReadOnlySpan(x, j, n - j))

        for i in 1..order do
            for j in i..order do
                // Both ends of the sum lose a product.
                d[i * k + j] <- d[(i - 1) * k + j - 1] - x[i - 1] * x[j - 1] - x[n - j] * x[n - i]

        for i in 1..order do
            for j in 0 .. i - 1 do
                d[i * k + j] <- d[j * k + i]

        d

    /// Σ_j w_j log(1 − κ_j²) of the partial autocorrelations κ, and its derivatives in φ; nothing where φ is not stationary.
    let private logPartials
        (weight: int -> float)
        (phi: float[])
        : struct (float * float[]) voption =
        let p = phi.Length
        // Row m of the tangents belongs to φ_m.
        let mutable a = Array.copy phi

        let mutable tangents =
            Array.init p (fun i -> Array.init p (fun m -> if i = m then 1.0 else 0.0))

        let mutable sum = 0.0
        let gradient = Array.zeroCreate p
        let mutable isStationary = true
        let mutable k = p

        while isStationary && k > 0 do
            let kappa, slope = a[k - 1], tangents[k - 1]
            let rest = 1.0 - kappa * kappa

            if not (rest > 0.0) then
                isStationary <- false
            else
                sum <- sum + weight k * log rest

                for m in 0 .. p - 1 do
                    gradient[m] <- gradient[m] - weight k * 2.0 * kappa * slope[m] / rest

                let lower = Array.init (k - 1) (fun i -> (a[i] + kappa * a[k - 2 - i]) / rest)

                let lowerTangents =
                    Array.init (k - 1) (fun i ->
                        Array.init p (fun m ->
                            (tangents[i][m]
                             + slope[m] * a[k - 2 - i]
                             + kappa * tangents[k - 2 - i][m]
                             + 2.0 * kappa * slope[m] * lower[i])
                            / rest))

                a <- lower
                tangents <- lowerTangents
                k <- k - 1

        if isStationary then
            ValueSome(struct (sum, gradient))
        else
            ValueNone

    /// What a likelihood is made of: chains, draws of all chains, and D summed over chains.
    type private Evidence = { Chains: float; Total: float; Order: int; D: float[] }

    /// Σ e² of some coefficients, and D·v.
    let private residual (evidence: Evidence) (phi: float[]) : struct (float * float[]) =
        let k = evidence.Order + 1
        let v = Array.init (phi.Length + 1) (fun i -> if i = 0 then 1.0 else -phi[i - 1])

        let product =
            Array.init v.Length (fun i ->
                let mutable s = 0.0

                for j in 0 .. phi.Length do
                    s <- s + evidence.D[i * k + j] * v[j]

                s)

        struct (Array.fold2 (fun s a b -> s + a * b) 0.0 v product, product)

    /// The log likelihood with the best variance of the noise, and its derivatives in φ.
    let private evaluate
        (evidence: Evidence)
        (phi: float[])
        : struct (float * float[] * float) voption =
        match logPartials float phi with
        | ValueNone -> ValueNone
        | ValueSome(struct (log', slopes)) ->
            let struct (squares, product) = residual evidence phi
            let noise = squares / evidence.Total

            if not (noise > 0.0) then
                ValueNone
            else
                let value =
                    -0.5 * evidence.Total * (log (2.0 * Math.PI * noise) + 1.0)
                    + 0.5 * evidence.Chains * log'

                let gradient =
                    Array.init phi.Length (fun m ->
                        product[m + 1] / noise + 0.5 * evidence.Chains * slopes[m])

                ValueSome(struct (value, gradient, noise))

    /// The inverse of the part of D that belongs to φ; nothing where it is not positive.
    let private inverse (evidence: Evidence) (order: int) : float[] option =
        let k = evidence.Order + 1

        Array.init (order * order) (fun e -> evidence.D[(e / order + 1) * k + e % order + 1])
        |> NewtonStep.inverse order

    let private times (matrix: float[]) (x: float[]) : float[] =
        let n = x.Length
        Array.init n (fun i -> Seq.sum (Seq.init n (fun j -> matrix[i * n + j] * x[j])))

    /// Rises from φ to the largest likelihood: steps D⁻¹·gradient·noise, which would end at once without the ends of chains, are halved
    /// until they rise.
    let private climb (evidence: Evidence) (start: float[]) : float[] =
        let inverse = inverse evidence start.Length

        let rec rise (round: int) (phi: float[]) : float[] =
            match evaluate evidence phi, inverse with
            | ValueSome(struct (value, gradient, noise)), Some matrix when round < 100 ->
                let step = times matrix gradient |> Array.map ((*) noise)
                let gain = Array.fold2 (fun s a b -> s + a * b) 0.0 gradient step

                let rec shorten (scale: float) : float[] option =
                    let next = Array.map2 (fun a s -> a + scale * s) phi step

                    match evaluate evidence next with
                    | ValueSome(struct (reached, _, _)) when reached > value -> Some next
                    | _ when scale > 1e-6 -> shorten (0.5 * scale)
                    | _ -> None

                if gain < 1e-12 then
                    phi
                else
                    match shorten 1.0 with
                    | Some next -> rise (round + 1) next
                    | None -> phi
            | _ -> phi

        rise 0 start

    let private finished (evidence: Evidence) (phi: float[]) : AutoRegression option =
        match evaluate evidence phi, logPartials (fun _ -> 1.0) phi with
        | ValueSome(struct (value, _, noise)), ValueSome(struct (logRest, slopes)) ->
            let open' = 1.0 - Array.sum phi
            let variance = noise * exp -logRest
            let spectrum = noise / (open' * open')
            let time = spectrum / variance
            // log τ = Σ log(1 − κ²) − 2 log(1 − Σφ); the covariance of φ is noise·D⁻¹.
            let slope = slopes |> Array.map (fun s -> s + 2.0 / open')

            let relative =
                match inverse evidence phi.Length with
                | Some matrix when phi.Length > 0 ->
                    Array.fold2 (fun s a b -> s + a * b) 0.0 slope (times matrix slope) * noise
                | _ -> 0.0

            Some
                {
                    Coefficients = phi
                    Noise = noise
                    Variance = variance
                    Spectrum = spectrum
                    Time = time
                    TimeError = time * sqrt (max 0.0 relative)
                    LogLikelihood = value
                }
        | _ -> None

    let private evidenceOf (order: int) (chains: float[][]) : Evidence =
        let d = Array.zeroCreate ((order + 1) * (order + 1))

        for chain in chains do
            sums order (Autocovariance.centred chain)
            |> Array.iteri (fun i v -> d[i] <- d[i] + v)

        {
            Chains = float chains.Length
            Total = float (chains |> Array.sumBy _.Length)
            Order = order
            D = d
        }

    /// The coefficients of the orders 0 to `order` by the equations of Yule and Walker, with the variance of their noise: Levinson's recursion
    /// on autocovariances of divisor n, whose processes are always stationary.
    let private yuleWalker (evidence: Evidence) : (float[] * float) list =
        let gamma =
            Array.init (evidence.Order + 1) (fun lag -> evidence.D[lag] / evidence.Total)

        List.unfold
            (fun (phi: float[], noise: float) ->
                if phi.Length > evidence.Order || not (noise > 0.0) then
                    None
                else
                    let p = phi.Length

                    let next =
                        if p = evidence.Order then
                            Array.zeroCreate (p + 1), noise
                        else
                            let known = Seq.sum (Seq.init p (fun k -> phi[k] * gamma[p - k]))
                            let kappa = (gamma[p + 1] - known) / noise

                            let longer =
                                Array.init (p + 1) (fun k ->
                                    if k = p then kappa else phi[k] - kappa * phi[p - 1 - k])

                            longer, noise * (1.0 - kappa * kappa)

                    Some((phi, noise), next))
            ([||], gamma[0])

    /// The process of an order of the largest likelihood; nothing where draws leave no noise. Chains have more than twice `order` draws.
    let fitOrder (order: int) (chains: float[][]) : AutoRegression option =
        if chains.Length = 0 || chains |> Array.exists (fun c -> c.Length < 2 * order + 2) then
            invalidArg (nameof order) $"chains are too short for a process of order {order}"

        let evidence = evidenceOf order chains

        match List.tryItem order (yuleWalker evidence) with
        | Some(start, _) -> climb evidence start |> finished evidence
        | None -> None

    /// The largest order that so many draws of a chain are tried with: 10·log₁₀ n, as in R's `ar`, 40 at most.
    let mostOrder (draws: int) : int =
        min 40 (min (draws / 4) (int (10.0 * log10 (float (max 1 draws)))))

    /// The process of the largest likelihood of the order whose Yule-Walker process has the smallest Akaike criterion, N·log(noise) + 2·order;
    /// nothing for draws that are all equal or not finite, or fewer than 8 a chain.
    let fit (chains: float[][]) : AutoRegression option =
        let shortest =
            if chains.Length = 0 then
                0
            else
                chains |> Array.map _.Length |> Array.min

        if shortest < 8 || chains |> Array.exists (Array.exists (Double.IsFinite >> not)) then
            None
        else
            let evidence = evidenceOf (mostOrder shortest) chains

            match yuleWalker evidence with
            | [] -> None
            | found ->
                let order =
                    found
                    |> List.indexed
                    |> List.minBy (fun (p, (_, noise)) ->
                        evidence.Total * log noise + 2.0 * float p)
                    |> fst

                fitOrder order chains
