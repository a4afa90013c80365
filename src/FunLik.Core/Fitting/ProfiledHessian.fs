namespace FunLik

/// Second derivatives of profiles. With x the kept parameters and θ all others at their best for each x, implicit differentiation of
/// ∂f/∂θ = 0 gives the Hessian of the profile, the Schur complement H_xx - H_xθ H_θθ⁻¹ H_θx (Venzon and Moolgavkar, Appl. Statist. 37,
/// 87 (1988)).
[<RequireQualifiedAccess>]
module ProfiledHessian =

    /// Hessians are evaluated for so many numbers at once.
    let private block = 4_000_000

    /// The Schur complement of the parameters `away` in a symmetric matrix n x n, row-major: k x k for the kept ones. None where the
    /// block that is taken away is not well above singular.
    let schur (n: int) (keep: int[]) (away: int[]) (matrix: float[]) : float[] option =
        let k, m = keep.Length, away.Length

        Array.init (m * m) (fun p -> matrix[away[p / m] * n + away[p % m]])
        |> NewtonStep.inverse m
        |> Option.map (fun inverse ->
            let mixed (i: int) (a: int) : float = matrix[keep[i] * n + away[a]]

            // H_θθ⁻¹ H_θx, row-major.
            let solved =
                Array.init (m * k) (fun p ->
                    let a, j = p / k, p % k
                    let mutable total = 0.0

                    for b in 0 .. m - 1 do
                        total <- total + inverse[a * m + b] * mixed j b

                    total)

            let complement =
                Array.init (k * k) (fun p ->
                    let i, j = p / k, p % k
                    let mutable total = matrix[keep[i] * n + keep[j]]

                    for a in 0 .. m - 1 do
                        total <- total - mixed i a * solved[a * k + j]

                    total)

            Array.init (k * k) (fun p -> 0.5 * (complement[p] + complement[p % k * k + p / k])))

    /// The parameters that stay where they are when the kept ones move a little: those that are fixed, that press against a bound of the
    /// fitter, or that rest in a kink.
    let private isHeld (fitter: Fitter) (point: float[]) (slope: float[]) (i: int) : bool =
        let p = fitter.Objective.Parameters[i]
        let low, high = fitter.Lower[i], fitter.Upper[i]

        low >= high
        || (point[i] <= low && slope[i] < 0.0)
        || (point[i] >= high && slope[i] > 0.0)
        || (p.IsKinked && point[i] = p.Nominal)

    /// Hessians of the profiled twiceNll in the parameters at places `keep`, k x k and row-major, at points (all parameters of each, row-major)
    /// that are profiled already. What a fit held fixed must be fixed in the bounds of the fitter (`Fitter.fixing`). None where the Hessian of what is
    /// profiled away is not positive: the point is no minimum, or flat.
    let evaluate
        (run: RunOptions)
        (fitter: Fitter)
        (keep: int[])
        (points: float[])
        : float[] option[] =
        let n = fitter.Objective.Count

        points
        |> Array.chunkBySize (n * max 1 (block / (n * n * fitter.Hessian.Cost)))
        |> Array.collect (fun part ->
            let rows = part.Length / n
            let hessians = fitter.Hessian.Evaluate rows part run
            let struct (_, slopes) = fitter.Objective.ValuesAndGradients(part, run)

            Array.init rows (fun r ->
                let point, slope = Array.sub part (r * n) n, Array.sub slopes (r * n) n

                let away =
                    [| 0 .. n - 1 |]
                    |> Array.except keep
                    |> Array.filter (isHeld fitter point slope >> not)

                Array.sub hessians (r * n * n) (n * n)
                |> schur n keep away
                |> Option.map (Array.map (fun v -> 2.0 * v))))

    /// The Hessian of the profiled twiceNll in named parameters at the best point of a fit, whether or not the fit held them. Unknown names
    /// are raised.
    let ofFit
        (options: FitOptions)
        (keep: string list)
        (fitter: Fitter)
        (fit: Fit)
        : float[] option =
        // Unknown names are raised here.
        Fitter.fixing (keep |> List.map (fun name -> name, 0.0)) fitter |> ignore
        let struct (lower, upper) = Fitter.fixing options.Fixed fitter
        let places = keep |> List.map (fun name -> System.Array.IndexOf(fit.Names, name))
        let own = { fitter with Lower = lower; Upper = upper }
        (evaluate options.Run own (Array.ofList places) fit.Point)[0]
