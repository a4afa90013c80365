namespace FunLik

/// The networks of recipes.
[<RequireQualifiedAccess>]
module Features =

    /// The distances from kinks, each in units of its parameter's own spread. `kinks` are the places of parameters with kinks, and where
    /// the kinks are.
    let private distances (whitening: Whitening) (kinks: (int * float) list) : Layer list =
        let row (k: int, at: float) : float[] * float =
            let directions = whitening.Back[k]
            let width = directions |> Array.sumBy (fun v -> v * v) |> sqrt
            directions |> Array.map (fun v -> v / width), (whitening.Centre[k] - at) / width

        let rows, offset = kinks |> List.map row |> Array.ofList |> Array.unzip
        [ Layer.LinearMap(rows, offset) ] --> Architecture.activation "abs"

    /// The network over the coordinates of its inputs.
    let network
        (whitening: Whitening)
        (kinks: (int * float) list)
        (recipe: Recipe)
        : Result<Architecture, Error list> =
        let branches =
            [
                if recipe.HasProducts then
                    [ Layer.QuadraticFeatures ]
                else
                    []
                if recipe.HasKinks && not kinks.IsEmpty then
                    distances whitening kinks
            ]

        let features =
            match branches with
            | [ one ] -> one
            | several -> Architecture.join several

        let hidden =
            recipe.Hidden
            |> List.collect (fun width ->
                Architecture.dense width --> Architecture.activation recipe.Activation)

        let deep = features --> hidden --> Architecture.dense 1

        let layers =
            if recipe.HasSkip then
                Architecture.parallel' [ Architecture.dense 1; deep ]
            else
                deep

        Architecture.create whitening.Centre.Length layers
