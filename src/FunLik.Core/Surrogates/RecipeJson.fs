namespace FunLik

/// Recipes as JSON: what cards hold, and files of recipes.
[<RequireQualifiedAccess>]
module RecipeJson =

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
    let write (recipe: Recipe) : JsonValue =
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
        match write Recipe.funlik with
        | JsonValue.Object entries -> entries |> List.map fst
        | _ -> []

    /// Reads a recipe; what is missing is as in another one, or a mistake where there is no other.
    let private readOver (other: Recipe option) : Read<Recipe> =
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
    let read (json: Json) : Result<Recipe, Error list> = readOver None json

    /// A recipe with the keys changed that are there, in the form of `toJson`.
    let changedBy (json: Json) (recipe: Recipe) : Result<Recipe, Error list> =
        readOver (Some recipe) json
