namespace FunLik

/// The networks of recipes.
[<RequireQualifiedAccess>]
module Features =

    /// The distances from kinks, each in units of its parameter's own spread. `kinks` are the places of parameters with kinks, and where
    /// the kinks are.
    let private distances (whitening: Whitening) (kinks: (int * float) list) : Layer list =
        let widths = Whitening.widths whitening

        let row (k: int, at: float) : float[] * float =
            whitening.Back[k] |> Array.map (fun v -> v / widths[k]),
            (whitening.Centre[k] - at) / widths[k]

        let rows, offset = kinks |> List.map row |> Array.ofList |> Array.unzip
        [ Layer.LinearMap(rows, offset) ] --> Architecture.activation "abs"

    let private hidden (widths: int list) (activation: string) : Layer list =
        widths
        |> List.collect (fun width ->
            Architecture.dense width --> Architecture.activation activation)

    /// Layers over all inputs.
    let private general
        (whitening: Whitening)
        (kinks: (int * float) list)
        (recipe: Recipe)
        : Layer list =
        let branches =
            [
                if recipe.HasProducts then
                    [ Layer.QuadraticFeatures ]
                else
                    []
                if not kinks.IsEmpty then
                    distances whitening kinks
            ]

        let features =
            match branches with
            | [ one ] -> one
            | several -> Architecture.join several

        features --> hidden recipe.Hidden recipe.Activation --> Architecture.dense 1

    /// f(s) + Σ_k Σ_p c_kp(s) x_k^p over parameters x_k that do not interact, where f and all c_kp are linear in s: the other parameters and
    /// the outputs of the layers over them.
    let private separated
        (whitening: Whitening)
        (kinks: (int * float) list)
        (separable: int[])
        (design: SeparableNetwork)
        (activation: string)
        : Layer list =
        let n = whitening.Centre.Length
        let widths = Whitening.widths whitening

        // Back to the parameters, in units of their own spreads.
        let apart =
            Layer.LinearMap(
                whitening.Back
                |> Array.mapi (fun k row -> row |> Array.map (fun v -> v / widths[k])),
                Array.zeroCreate n
            )

        let rest = [| 0 .. n - 1 |] |> Array.except separable

        // The parameters' own coordinates are those of a whitening by widths.
        let unit (k: int) : float[] = Array.init n (fun i -> if i = k then 1.0 else 0.0)

        let distances =
            let rows, offset =
                kinks
                |> List.map (fun (k, at) -> unit k, (whitening.Centre[k] - at) / widths[k])
                |> Array.ofList
                |> Array.unzip

            [ Layer.LinearMap(rows, offset) ] --> Architecture.activation "abs"

        let features =
            Architecture.join
                [
                    [ Layer.Choose rest ]
                    if not kinks.IsEmpty then
                        distances
                ]

        let known = rest.Length + kinks.Length

        let learnt =
            match design.Hidden with
            | [] -> []
            | widths -> [ features --> hidden widths activation ]

        let size = known + (List.tryLast design.Hidden |> Option.defaultValue 0)
        let ofRest = [ Layer.Choose [| 0 .. size - 1 |] ]
        let ofSeparable = [ Layer.Choose(separable |> Array.map (fun k -> size + k)) ]

        let powers =
            [
                for p in 1 .. design.Degree ->
                    if p = 1 then
                        ofSeparable
                    else
                        [ Layer.Product(List.replicate p ofSeparable) ]
            ]

        let coefficients = ofRest --> Architecture.dense (separable.Length * design.Degree)

        [ apart ]
        --> Architecture.join (learnt @ [ features; [] ])
        --> Architecture.parallel'
                [
                    ofRest --> Architecture.dense 1
                    [ Layer.Product [ coefficients; Architecture.join powers ] ]
                    --> Architecture.dense 1
                ]

    /// The network over the coordinates of its inputs: that of separable parameters where the recipe has one and most parameters are.
    let network
        (whitening: Whitening)
        (interactions: Interactions)
        (kinks: (int * float) list)
        (recipe: Recipe)
        : Result<Architecture, Error list> =
        let n = whitening.Centre.Length
        let separable = Interactions.separable (List.map fst kinks) interactions
        let kinks = if recipe.HasKinks then kinks else []

        let deep =
            match recipe.Separable with
            | Some design when 2 * separable.Length > n && separable.Length < n ->
                separated whitening kinks separable design recipe.Activation
            | _ -> general whitening kinks recipe

        let layers =
            if recipe.HasSkip then
                Architecture.parallel' [ Architecture.dense 1; deep ]
            else
                deep

        Architecture.create n layers
