namespace FunLik

open System.Reflection

/// Which FunLik this is.
[<RequireQualifiedAccess>]
module Version =

    /// The version of the FunLik.Core assembly, as semantic versioning writes it: "0.1.0".
    let current: string =
        Assembly
            .GetExecutingAssembly()
            .GetCustomAttribute<AssemblyInformationalVersionAttribute>()
            .InformationalVersion
