namespace FunLik

/// Choosing an engine.
[<RequireQualifiedAccess>]
module Engine =

    /// Compiles a program in double precision on the default engine: what likelihoods use.
    let compile (binding: string -> Binding) (program: Program) : Kernel<float> =
        Reference.compile binding program
