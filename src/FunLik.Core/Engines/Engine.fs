namespace FunLik

/// Choosing an engine.
[<RequireQualifiedAccess>]
module Engine =

    /// Compiles a program in double precision on the default engine: what likelihoods use.
    let compile (binding: string -> Binding) (program: Program) : Kernel<float> =
        Simd.compile<float> binding program

    /// Compiles a program in single precision on the default engine: what training uses.
    let compileSingle (binding: string -> Binding) (program: Program) : Kernel<float32> =
        Simd.compile<float32> binding program
