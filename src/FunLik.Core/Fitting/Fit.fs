namespace FunLik

/// Fitting likelihoods: the point of the largest density.
[<RequireQualifiedAccess; CompilationRepresentation(CompilationRepresentationFlags.ModuleSuffix)>]
module Fit =

    /// Fits an objective: a user's function, a session of another runtime.
    let objective (options: FitOptions) (objective: Objective) : Fit =
        Fitter.ofObjective objective |> Fitter.fit options

    /// Fits a likelihood, priors included.
    let withOptions (options: FitOptions) (model: Likelihood) : Fit =
        Objective.ofLikelihood model |> objective options

    /// Fits a likelihood, priors included, with the default options.
    let minimise (model: Likelihood) : Fit = withOptions FitOptions.Default model

    /// The standard deviation of each parameter from the covariance; None for what is not free to move (fixed, at a bound, in a kink), and
    /// where there is no covariance.
    let sigmas (fit: Fit) : float option[] =
        fit.Names
        |> Array.mapi (fun i _ ->
            fit.Covariance
            |> Option.map (fun covariance -> sqrt (covariance[i][i]))
            |> Option.filter (fun sigma -> sigma > 0.0))

    /// The correlations of the parameters, one row a parameter; NaN for what has no standard deviation. None where there is no covariance.
    let correlations (fit: Fit) : float[][] option =
        let sigmas = sigmas fit |> Array.map (Option.defaultValue nan)

        fit.Covariance
        |> Option.map (
            Array.mapi (fun i row ->
                row
                |> Array.mapi (fun j c ->
                    if i = j && c > 0.0 then
                        1.0
                    else
                        c / (sigmas[i] * sigmas[j])))
        )
