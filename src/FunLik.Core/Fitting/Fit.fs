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
