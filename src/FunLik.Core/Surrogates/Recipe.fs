namespace FunLik

/// In which coordinates a network sees the parameters.
[<RequireQualifiedAccess>]
type InputScaling =
    /// As they are.
    | Raw
    /// With mean 0 and variance 1 each.
    | Widths
    /// With mean 0, variance 1 and no correlations.
    | Covariance
    /// With mean 0, in units of the curvature of the fitted quadratic, which is 1 in all directions; by the covariance where that has no maximum.
    | Curvature

/// The parameters of Adam.
type AdamSettings = { Beta1: float; Beta2: float; Epsilon: float }

/// How long training goes on, unless it is stopped early: never a time, so that results do not depend on the machine.
[<RequireQualifiedAccess>]
type TrainingLength =
    /// So many passes over the points.
    | Epochs of int
    /// As many passes as make so many steps, however many points there are.
    | Steps of int

/// A network for parameters that do not interact with each other, only with the rest: a polynomial of each, whose coefficients are
/// a network of the rest.
type SeparableNetwork =
    {
        /// The widths of the hidden layers of the network of the rest.
        Hidden: int list
        /// The degree of the polynomials.
        Degree: int
    }

/// All that is chosen about a surrogate besides the data and the key: a value that can be printed and read back.
type Recipe =
    {
        /// What it is called.
        Name: string
        /// Whether the network learns the difference from a quadratic that is fitted first; else that from the mean. In both cases
        /// divided by the standard deviation of that difference on the training points.
        HasQuadratic: bool
        /// The coordinates of the network's inputs.
        Inputs: InputScaling
        /// Whether the products of all pairs of inputs are inputs too.
        HasProducts: bool
        /// Whether the distances |x_k - nominal_k| of parameters with kinks are inputs too.
        HasKinks: bool
        /// The network where most parameters do not interact, if it is to be another one there.
        Separable: SeparableNetwork option
        /// The widths of the hidden layers of the network in general.
        Hidden: int list
        /// The activation of hidden layers.
        Activation: string
        /// Whether the inputs reach the output by a linear layer of their own.
        HasSkip: bool
        /// The weight of gradients in the loss, in the network's coordinates and units of its output; None learns values only.
        GradientWeight: float option
        /// How weights start.
        Initialisation: Initialisation
        /// The optimiser.
        Adam: AdamSettings
        /// The learning rate.
        Schedule: RateSchedule
        /// Points of a step; all points where they are fewer.
        BatchSize: int
        /// Passes over the points, at most.
        Length: TrainingLength
        /// When to stop before that.
        Stopping: EarlyStopping option
    }

/// Recipes.
[<RequireQualifiedAccess>]
module Recipe =

    /// A quadratic base, whitening, kinks, SiLU layers with a linear skip, values and gradients. Where most parameters do not interact,
    /// three layers of 64 and polynomials of degree 4; in general two layers of 256.
    let funlik: Recipe =
        {
            Name = "funlik"
            HasQuadratic = true
            Inputs = InputScaling.Curvature
            HasProducts = false
            HasKinks = true
            Separable = Some { Hidden = [ 64; 64; 64 ]; Degree = 4 }
            Hidden = [ 256; 256 ]
            Activation = "silu"
            HasSkip = true
            GradientWeight = Some 4.0
            Initialisation = { Hidden = Scheme.LecunNormal; Output = Scheme.Zero }
            Adam = { Beta1 = 0.9; Beta2 = 0.999; Epsilon = 1e-8 }
            Schedule = RateSchedule.WarmupCosine(8e-3, 0.03)
            BatchSize = 256
            Length = TrainingLength.Steps 12_000
            Stopping = None
        }

    /// The DNNLikelihood of Coccaro, Pierini, Silvestrini and Torre (arXiv:1911.03305): SELU on unscaled parameters, values only,
    /// a rate that falls on plateaus, and early stopping. Two layers of 500, which train on two cores in minutes; theirs are of 5000.
    let dnnlikelihood: Recipe =
        let gain = Gain.OverPoints 1.0

        {
            Name = "dnnlikelihood"
            HasQuadratic = false
            Inputs = InputScaling.Raw
            HasProducts = false
            HasKinks = false
            Separable = None
            Hidden = [ 500; 500 ]
            Activation = "selu"
            HasSkip = false
            GradientWeight = None
            Initialisation = { Hidden = Scheme.LecunNormal; Output = Scheme.GlorotUniform }
            // The size of epsilon is Keras's default.
            Adam = { Beta1 = 0.95; Beta2 = 0.999; Epsilon = 1e-7 }
            Schedule =
                RateSchedule.Plateau(
                    1e-3,
                    { Factor = 0.2; Patience = 40; Gain = gain; Floor = 8e-5 }
                )
            BatchSize = 512
            Length = TrainingLength.Epochs 500
            Stopping = Some { Patience = 48; Gain = gain }
        }

    /// The recipes by name; the first is the default.
    let named: (string * Recipe) list =
        [ funlik; dnnlikelihood ] |> List.map (fun recipe -> recipe.Name, recipe)

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

    /// The training of a network on so many points.
    let plan (points: int) (network: Architecture) (recipe: Recipe) : TrainingPlan =
        let batches = max 1 (points / min recipe.BatchSize (max 1 points))

        {
            Network = network
            Loss = loss recipe
            Initialisation = recipe.Initialisation
            Optimiser = optimiser recipe
            BatchSize = recipe.BatchSize
            Epochs =
                match recipe.Length with
                | TrainingLength.Epochs epochs -> epochs
                | TrainingLength.Steps steps -> (steps + batches - 1) / batches
            Stopping = recipe.Stopping
        }

    // ---- As JSON

    let private nameOf (names: (string * 'T) list) (value: 'T) : JsonValue =
        names |> List.find (fun (_, v) -> v = value) |> fst |> JsonValue.Text

    let private scalingNames: (string * InputScaling) list =
        [
            "raw", InputScaling.Raw
            "widths", InputScaling.Widths
            "covariance", InputScaling.Covariance
            "curvature", InputScaling.Curvature
        ]

    let private integer (value: int) : JsonValue = JsonValue.Int(int64 value)

    let private gainJson (gain: Gain) : JsonValue =
        match gain with
        | Gain.Absolute g -> JsonValue.Object [ "absolute", JsonValue.Number g ]
        | Gain.OverPoints g -> JsonValue.Object [ "overPoints", JsonValue.Number g ]

    let private scheduleJson (schedule: RateSchedule) : JsonValue =
        let kind (name: string) (parts: (string * JsonValue) list) : JsonValue =
            JsonValue.Object(("kind", JsonValue.Text name) :: parts)

        match schedule with
        | RateSchedule.Constant rate -> kind "constant" [ "rate", JsonValue.Number rate ]
        | RateSchedule.Cosine peak -> kind "cosine" [ "peak", JsonValue.Number peak ]
        | RateSchedule.WarmupCosine(peak, warmup) ->
            kind
                "warmup-cosine"
                [ "peak", JsonValue.Number peak; "warmup", JsonValue.Number warmup ]
        | RateSchedule.Plateau(rate, plateau) ->
            kind
                "plateau"
                [
                    "rate", JsonValue.Number rate
                    "factor", JsonValue.Number plateau.Factor
                    "patience", integer plateau.Patience
                    "gain", gainJson plateau.Gain
                    "floor", JsonValue.Number plateau.Floor
                ]

    let private lengthJson (length: TrainingLength) : JsonValue =
        match length with
        | TrainingLength.Epochs count -> JsonValue.Object [ "epochs", integer count ]
        | TrainingLength.Steps count -> JsonValue.Object [ "steps", integer count ]

    let private separableJson (separable: SeparableNetwork) : JsonValue =
        JsonValue.Object
            [
                "hidden", separable.Hidden |> List.map integer |> JsonValue.List
                "degree", integer separable.Degree
            ]

    let private stoppingJson (stopping: EarlyStopping) : JsonValue =
        JsonValue.Object [ "patience", integer stopping.Patience; "gain", gainJson stopping.Gain ]

    /// The recipe as JSON.
    let toJson (recipe: Recipe) : JsonValue =
        JsonValue.Object
            [
                "name", JsonValue.Text recipe.Name
                "quadratic", JsonValue.Bool recipe.HasQuadratic
                "inputs", nameOf scalingNames recipe.Inputs
                "products", JsonValue.Bool recipe.HasProducts
                "kinks", JsonValue.Bool recipe.HasKinks
                "separable", JsonValue.ofOption separableJson recipe.Separable
                "hidden", recipe.Hidden |> List.map integer |> JsonValue.List
                "activation", JsonValue.Text recipe.Activation
                "skip", JsonValue.Bool recipe.HasSkip
                "gradientWeight", JsonValue.ofOption JsonValue.Number recipe.GradientWeight
                "initialisation",
                JsonValue.Object
                    [
                        "hidden", nameOf Initialise.schemeNames recipe.Initialisation.Hidden
                        "output", nameOf Initialise.schemeNames recipe.Initialisation.Output
                    ]
                "adam",
                JsonValue.Object
                    [
                        "beta1", JsonValue.Number recipe.Adam.Beta1
                        "beta2", JsonValue.Number recipe.Adam.Beta2
                        "epsilon", JsonValue.Number recipe.Adam.Epsilon
                    ]
                "schedule", scheduleJson recipe.Schedule
                "batchSize", integer recipe.BatchSize
                "length", lengthJson recipe.Length
                "stopping", JsonValue.ofOption stoppingJson recipe.Stopping
            ]

    type private Read<'T> = Json -> Result<'T, Error list>

    let private numberWhere (expected: string) (condition: float -> bool) : Read<float> =
        fun json ->
            Json.float json
            |> Result.bind (fun value ->
                if condition value then
                    Ok value
                else
                    Json.refuse
                        ErrorKind.Value
                        "the number is outside of what it may be"
                        expected
                        json)

    let private positive: Read<float> =
        numberWhere "a positive number" (fun v -> v > 0.0)

    let private notNegative: Read<float> = numberWhere "0 or more" (fun v -> v >= 0.0)

    let private fraction: Read<float> =
        numberWhere "0 or more and below 1" (fun v -> v >= 0.0 && v < 1.0)

    let private count: Read<int> =
        fun json ->
            Json.int json
            |> Result.bind (fun value ->
                if value >= 1 then
                    Ok value
                else
                    Json.refuse ErrorKind.Value "the number is too small" "1 or more" json)

    let private orNull (read: Read<'T>) : Read<'T option> =
        fun json ->
            match Json.toValue json with
            | JsonValue.Null -> Ok None
            | _ -> read json |> Result.map Some

    /// An object of one key out of several.
    let private choice (cases: (string * Read<'T>) list) : Read<'T> =
        fun json ->
            Json.entries json
            |> Result.bind (fun entries ->
                let known = cases |> List.map fst |> String.concat " or "

                match entries with
                | [ name, value ] ->
                    match cases |> List.tryFind (fun (case, _) -> case = name) with
                    | Some(_, read) -> read value
                    | None -> Json.refuse ErrorKind.Name "the key is not known" known json
                | _ -> Json.refuse ErrorKind.Schema "not one key" $"one of {known}" json)

    let private readGain: Read<Gain> =
        choice
            [
                "absolute", notNegative >> Result.map Gain.Absolute
                "overPoints", notNegative >> Result.map Gain.OverPoints
            ]

    let private readSchedule: Read<RateSchedule> =
        fun json ->
            let with' (keys: string list) (read: Result<RateSchedule, Error list>) =
                Ok(fun () schedule -> schedule)
                |> Validation.apply (Json.onlyKeys ("kind" :: keys) json)
                |> Validation.apply read

            let rate (name: string) : Result<float, Error list> = Json.field name positive json

            let kinds: (string * (unit -> Result<RateSchedule, Error list>)) list =
                [
                    "constant",
                    fun () -> rate "rate" |> Result.map RateSchedule.Constant |> with' [ "rate" ]
                    "cosine",
                    fun () -> rate "peak" |> Result.map RateSchedule.Cosine |> with' [ "peak" ]
                    "warmup-cosine",
                    fun () ->
                        (rate "peak", Json.field "warmup" fraction json)
                        ||> Validation.map2 (fun peak warmup ->
                            RateSchedule.WarmupCosine(peak, warmup))
                        |> with' [ "peak"; "warmup" ]
                    "plateau",
                    fun () ->
                        Ok(fun rate factor patience gain floor ->
                            RateSchedule.Plateau(
                                rate,
                                {
                                    Factor = factor
                                    Patience = patience
                                    Gain = gain
                                    Floor = floor
                                }
                            ))
                        |> Validation.apply (rate "rate")
                        |> Validation.apply (Json.field "factor" fraction json)
                        |> Validation.apply (Json.field "patience" count json)
                        |> Validation.apply (Json.field "gain" readGain json)
                        |> Validation.apply (Json.field "floor" notNegative json)
                        |> with' [ "rate"; "factor"; "patience"; "gain"; "floor" ]
                ]

            Json.field "kind" (Json.oneOf kinds) json |> Result.bind (fun read -> read ())

    let private readLength: Read<TrainingLength> =
        choice
            [
                "epochs", count >> Result.map TrainingLength.Epochs
                "steps", count >> Result.map TrainingLength.Steps
            ]

    let private readSeparable: Read<SeparableNetwork> =
        fun json ->
            Ok(fun () hidden degree -> { Hidden = hidden; Degree = degree })
            |> Validation.apply (Json.onlyKeys [ "hidden"; "degree" ] json)
            |> Validation.apply (Json.field "hidden" (Json.list count) json)
            |> Validation.apply (Json.field "degree" count json)

    let private readStopping: Read<EarlyStopping> =
        fun json ->
            Ok(fun () patience gain -> { Patience = patience; Gain = gain })
            |> Validation.apply (Json.onlyKeys [ "patience"; "gain" ] json)
            |> Validation.apply (Json.field "patience" count json)
            |> Validation.apply (Json.field "gain" readGain json)

    let private readInitialisation: Read<Initialisation> =
        fun json ->
            let scheme = Json.oneOf Initialise.schemeNames

            Ok(fun () hidden output -> { Hidden = hidden; Output = output })
            |> Validation.apply (Json.onlyKeys [ "hidden"; "output" ] json)
            |> Validation.apply (Json.field "hidden" scheme json)
            |> Validation.apply (Json.field "output" scheme json)

    let private readAdam: Read<AdamSettings> =
        fun json ->
            Ok(fun () beta1 beta2 epsilon -> { Beta1 = beta1; Beta2 = beta2; Epsilon = epsilon })
            |> Validation.apply (Json.onlyKeys [ "beta1"; "beta2"; "epsilon" ] json)
            |> Validation.apply (Json.field "beta1" fraction json)
            |> Validation.apply (Json.field "beta2" fraction json)
            |> Validation.apply (Json.field "epsilon" positive json)

    let private keys: string list =
        match toJson funlik with
        | JsonValue.Object entries -> entries |> List.map fst
        | _ -> []

    /// Reads a recipe; what is missing is as in another one, or a mistake where there is no other.
    let private read (other: Recipe option) : Read<Recipe> =
        fun json ->
            Json.entries json
            |> Result.bind (fun entries ->
                let part (name: string) (read: Read<'T>) (ofOther: Recipe -> 'T) =
                    match List.tryFind (fun (key, _) -> key = name) entries, other with
                    | Some(_, value), _ -> read value
                    | None, Some recipe -> Ok(ofOther recipe)
                    | None, None -> Json.field name read json

                let activations = Architecture.activationNames |> List.map (fun n -> n, n)

                Ok
                    (fun
                        ()
                        name
                        quadratic
                        inputs
                        products
                        kinks
                        separable
                        hidden
                        activation
                        skip
                        weight
                        initialisation
                        adam
                        schedule
                        batch
                        length
                        stopping ->
                        {
                            Name = name
                            HasQuadratic = quadratic
                            Inputs = inputs
                            HasProducts = products
                            HasKinks = kinks
                            Separable = separable
                            Hidden = hidden
                            Activation = activation
                            HasSkip = skip
                            GradientWeight = weight
                            Initialisation = initialisation
                            Adam = adam
                            Schedule = schedule
                            BatchSize = batch
                            Length = length
                            Stopping = stopping
                        })
                |> Validation.apply (Json.onlyKeys keys json)
                |> Validation.apply (part "name" Json.text _.Name)
                |> Validation.apply (part "quadratic" Json.bool _.HasQuadratic)
                |> Validation.apply (part "inputs" (Json.oneOf scalingNames) _.Inputs)
                |> Validation.apply (part "products" Json.bool _.HasProducts)
                |> Validation.apply (part "kinks" Json.bool _.HasKinks)
                |> Validation.apply (part "separable" (orNull readSeparable) _.Separable)
                |> Validation.apply (part "hidden" (Json.list count) _.Hidden)
                |> Validation.apply (part "activation" (Json.oneOf activations) _.Activation)
                |> Validation.apply (part "skip" Json.bool _.HasSkip)
                |> Validation.apply (part "gradientWeight" (orNull positive) _.GradientWeight)
                |> Validation.apply (part "initialisation" readInitialisation _.Initialisation)
                |> Validation.apply (part "adam" readAdam _.Adam)
                |> Validation.apply (part "schedule" readSchedule _.Schedule)
                |> Validation.apply (part "batchSize" count _.BatchSize)
                |> Validation.apply (part "length" readLength _.Length)
                |> Validation.apply (part "stopping" (orNull readStopping) _.Stopping))

    /// Reads what `toJson` writes: all keys, and no others. All mistakes are reported at once.
    let ofJson (json: Json) : Result<Recipe, Error list> = read None json

    /// A recipe with the keys changed that are there, in the form of `toJson`.
    let changedBy (json: Json) (recipe: Recipe) : Result<Recipe, Error list> =
        read (Some recipe) json

    // ---- As text

    /// The recipe in plain lines that fit on a screen.
    let describe (recipe: Recipe) : string list =
        let text = JsonValue.formatNumber

        let gain (g: Gain) : string =
            match g with
            | Gain.Absolute g -> text g
            | Gain.OverPoints g -> $"{text g} / points"

        let layers (widths: int list) : string =
            if widths.IsEmpty then
                "none"
            else
                widths |> List.map string |> String.concat ", "

        let schedule =
            match recipe.Schedule with
            | RateSchedule.Constant rate -> $"{text rate}"
            | RateSchedule.Cosine peak -> $"from {text peak} to 0 along a cosine"
            | RateSchedule.WarmupCosine(peak, warmup) ->
                $"up to {text peak} in {text (100.0 * warmup)} %% of the steps, then to 0 along a cosine"
            | RateSchedule.Plateau(rate, p) ->
                $"{text rate}, times {text p.Factor} after {p.Patience} epochs without a gain of {gain p.Gain}, down to {text p.Floor}"

        let inputs =
            [
                match recipe.Inputs with
                | InputScaling.Raw -> "parameters as they are"
                | InputScaling.Widths -> "parameters with mean 0 and variance 1"
                | InputScaling.Covariance -> "parameters whitened by their covariance"
                | InputScaling.Curvature -> "parameters whitened by the quadratic's curvature"
                if recipe.HasProducts then
                    "their products"
                if recipe.HasKinks then
                    "distances from kinks"
            ]

        let rows =
            [
                "recipe", recipe.Name
                "learns",
                (if recipe.HasQuadratic then
                     "the difference from a fitted quadratic"
                 else
                     "the difference from the mean")
                "inputs", String.concat ", " inputs
                "layers",
                $"{layers recipe.Hidden}; {recipe.Activation}"
                + (if recipe.HasSkip then "; a linear skip" else "")
                "separable",
                (match recipe.Separable with
                 | Some s ->
                     $"polynomials of degree {s.Degree} of parameters that do not interact, over layers {layers s.Hidden}"
                 | None -> "no")
                "loss",
                (match recipe.GradientWeight with
                 | Some weight -> $"squares of values + {text weight} × squares of gradients"
                 | None -> "squares of values")
                "optimiser",
                $"Adam, beta {text recipe.Adam.Beta1} and {text recipe.Adam.Beta2}, epsilon {text recipe.Adam.Epsilon}"
                "rate", schedule
                "batches", $"{recipe.BatchSize} points"
                "length",
                (match recipe.Length with
                 | TrainingLength.Epochs count -> $"{count} epochs"
                 | TrainingLength.Steps count -> $"{count} steps")
                "stops",
                (match recipe.Stopping with
                 | Some s -> $"after {s.Patience} epochs without a gain of {gain s.Gain}"
                 | None -> "at the end")
            ]

        rows |> List.map (fun (name, value) -> $"{name, -10} {value}")
