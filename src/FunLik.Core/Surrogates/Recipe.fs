namespace FunLik

/// The parameters of Adam.
type AdamSettings = { Beta1: float; Beta2: float; Epsilon: float }

/// All that is chosen about a surrogate besides the data and the key: a value that can be printed and read back.
type Recipe =
    {
        /// What it is called.
        Name: string
        /// Whether the network learns the difference from a quadratic that is fitted first.
        HasQuadratic: bool
        /// Whether inputs are whitened by the covariance of the points; else by their widths alone.
        IsWhitened: bool
        /// Whether the distances |x_k - nominal_k| of parameters with kinks are inputs too.
        HasKinks: bool
        /// The widths of the hidden layers.
        Hidden: int list
        /// Their activation.
        Activation: string
        /// Whether the inputs reach the output by a linear layer of their own.
        HasSkip: bool
        /// The weight of gradients in the loss, in whitened units and those of the standardised value; None learns values only.
        GradientWeight: float option
        /// How weights start.
        Initialisation: Initialisation
        /// The optimiser.
        Adam: AdamSettings
        /// The learning rate.
        Schedule: RateSchedule
        /// Points of a step.
        BatchSize: int
        /// Passes over the points.
        Epochs: int
    }

/// Recipes.
[<RequireQualifiedAccess>]
module Recipe =

    /// A quadratic base, whitening, kinks, two layers of 256 SiLU with a linear skip, values and gradients.
    let funlik: Recipe =
        {
            Name = "funlik"
            HasQuadratic = true
            IsWhitened = true
            HasKinks = true
            Hidden = [ 256; 256 ]
            Activation = "silu"
            HasSkip = true
            GradientWeight = Some 4.0
            Initialisation = { Hidden = Scheme.LecunNormal; Output = Scheme.Zero }
            Adam = { Beta1 = 0.9; Beta2 = 0.999; Epsilon = 1e-8 }
            Schedule = RateSchedule.WarmupCosine(3e-3, 0.03)
            BatchSize = 256
            Epochs = 60
        }

    /// The recipes by name.
    let named: (string * Recipe) list = [ funlik.Name, funlik ]

    /// The transform of gradients into steps.
    let optimiser (recipe: Recipe) : Transform =
        Transform.chain
            [
                Transform.adam recipe.Adam.Beta1 recipe.Adam.Beta2 recipe.Adam.Epsilon
                Transform.schedule recipe.Schedule
            ]

    /// The loss.
    let loss (recipe: Recipe) : Loss =
        match recipe.GradientWeight with
        | Some weight -> Loss.ValuesAndGradients weight
        | None -> Loss.Values

    /// The network over whitened coordinates of x. `kinks` are the places of parameters with kinks, and where the kinks are.
    let network
        (whitening: Whitening)
        (kinks: (int * float) list)
        (recipe: Recipe)
        : Result<Architecture, Error list> =
        let features =
            if kinks.IsEmpty || not recipe.HasKinks then
                []
            else
                // In units of the parameter's own spread.
                let row (k: int, at: float) : float[] * float =
                    let directions = whitening.Back[k]
                    let width = directions |> Array.sumBy (fun v -> v * v) |> sqrt
                    directions |> Array.map (fun v -> v / width), (whitening.Centre[k] - at) / width

                let rows, offset = kinks |> List.map row |> Array.ofList |> Array.unzip

                Architecture.join
                    [ []; [ Layer.LinearMap(rows, offset) ] --> Architecture.activation "abs" ]

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

    let private schemeName (scheme: Scheme) : string =
        Initialise.schemeNames |> List.find (fun (_, s) -> s = scheme) |> fst

    /// The recipe as JSON.
    let toJson (recipe: Recipe) : JsonValue =
        let schedule =
            match recipe.Schedule with
            | RateSchedule.Constant rate ->
                [ "kind", JsonValue.Text "constant"; "rate", JsonValue.Number rate ]
            | RateSchedule.WarmupCosine(peak, warmup) ->
                [
                    "kind", JsonValue.Text "warmup-cosine"
                    "peak", JsonValue.Number peak
                    "warmup", JsonValue.Number warmup
                ]

        let integer (value: int) : JsonValue = JsonValue.Int(int64 value)

        JsonValue.Object
            [
                "name", JsonValue.Text recipe.Name
                "quadratic", JsonValue.Bool recipe.HasQuadratic
                "whitened", JsonValue.Bool recipe.IsWhitened
                "kinks", JsonValue.Bool recipe.HasKinks
                "hidden", recipe.Hidden |> List.map integer |> JsonValue.List
                "activation", JsonValue.Text recipe.Activation
                "skip", JsonValue.Bool recipe.HasSkip
                "gradientWeight", JsonValue.ofOption JsonValue.Number recipe.GradientWeight
                "initialisation",
                JsonValue.Object
                    [
                        "hidden", JsonValue.Text(schemeName recipe.Initialisation.Hidden)
                        "output", JsonValue.Text(schemeName recipe.Initialisation.Output)
                    ]
                "adam",
                JsonValue.Object
                    [
                        "beta1", JsonValue.Number recipe.Adam.Beta1
                        "beta2", JsonValue.Number recipe.Adam.Beta2
                        "epsilon", JsonValue.Number recipe.Adam.Epsilon
                    ]
                "schedule", JsonValue.Object schedule
                "batchSize", integer recipe.BatchSize
                "epochs", integer recipe.Epochs
            ]
