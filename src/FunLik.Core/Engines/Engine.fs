namespace FunLik

/// Choosing an engine.
[<RequireQualifiedAccess>]
module Engine =

    /// The name of the default engine.
    let name: string = "simd"

    /// Compiles a program in double precision on the default engine: what likelihoods use.
    let compile (binding: string -> Binding) (program: Program) : Kernel<float> =
        Tiering.compiling ()
        Simd.compile<float> binding program

    /// Compiles a program in single precision on the default engine: what training uses.
    let compileSingle (binding: string -> Binding) (program: Program) : Kernel<float32> =
        Tiering.compiling ()
        Simd.compile<float32> binding program

    /// Compiles a program in single precision whose runs carry outputs over to the shared inputs of their names: steps of training.
    /// `Session.Read` gives their values.
    let compileCarrying
        (carried: Set<string>)
        (binding: string -> Binding)
        (program: Program)
        : Kernel<float32> =
        Tiering.compiling ()
        Simd.compileCarrying<float32> carried binding program
