namespace FunLik

open System

/// What a bundle's card says that programs ask for.
type BundleCard =
    {
        /// The version of FunLik that wrote it.
        Version: string
        /// What was learnt.
        Model: string
        /// The hash of the model's file.
        ModelSha256: string
        /// The names of its parameters, in order.
        Parameters: string list
        /// The name of the recipe.
        Recipe: string
        /// The metrics, by kind of points.
        Metrics: SliceCheck list
        /// Where the surrogate was taught.
        Region: Region
        /// SHA-256 of each file of the bundle, in hexadecimal digits, by the file's name.
        Files: (string * string) list
        /// The whole card.
        Json: JsonValue
    }

/// Reading cards, which may come from anywhere.
[<RequireQualifiedAccess>]
module BundleCard =

    /// The version of the card's layout.
    let schema: int = 2

    let private deviations (json: Json) : Result<Deviations, Error list> =
        let number (name: string) = Json.field name Json.float json

        Ok(fun points mse mae largest bias accurate ->
            {
                Points = points
                Mse = mse
                Mae = mae
                Largest = largest
                Bias = bias
                Accurate = accurate
            })
        |> Validation.apply (Json.field "points" Json.int json)
        |> Validation.apply (number "mse")
        |> Validation.apply (number "mae")
        |> Validation.apply (number "max")
        |> Validation.apply (number "bias")
        |> Validation.apply (number "accurate")

    /// Metrics of a kind of points where surrogate and quadratic stand beside each other; other metrics stay in the whole card.
    let private metrics (slice: string, json: Json) : Result<SliceCheck option, Error list> =
        // Scans and numbers over all points stay in the whole card.
        if json.Element.ValueKind <> Text.Json.JsonValueKind.Object then
            Ok None
        else
            Validation.map2
                (fun s q -> Some { Slice = slice; Surrogate = s; Quadratic = q })
                (Json.field "surrogate" deviations json)
                (Json.field "quadratic" deviations json)

    let private region (count: int) (json: Json) : Result<Region, Error list> =
        Validation.map2
            (fun lowest highest -> { Lowest = lowest; Highest = highest })
            (Json.field "lowest" (Json.floats count) json)
            (Json.field "highest" (Json.floats count) json)

    let private isPlain (c: char) : bool =
        Char.IsAsciiLetterOrDigit c || c = '-' || c = '_' || c = '.'

    /// A file's name that leads nowhere else.
    let private fileName (json: Json) : Result<string, Error list> =
        Json.text json
        |> Result.bind (fun name ->
            if name <> "" && name[0] <> '.' && Seq.forall isPlain name then
                Ok name
            else
                Json.refuse
                    ErrorKind.Value
                    "not a plain name of a file"
                    "letters, digits, - _ ."
                    json)

    let private sha256 (json: Json) : Result<string, Error list> =
        Json.text json
        |> Result.bind (fun text ->
            if text.Length = 64 && Seq.forall Char.IsAsciiHexDigitLower text then
                Ok text
            else
                Json.refuse ErrorKind.Value "not a SHA-256" "64 hexadecimal digits" json)

    let private file (json: Json) : Result<string * string, Error list> =
        Validation.map2
            (fun name hash -> name, hash)
            (Json.field "name" fileName json)
            (Json.field "sha256" sha256 json)

    /// Each of the names once.
    let private unique (json: Json) (files: (string * string) list) =
        files
        |> List.countBy fst
        |> List.filter (fun (_, count) -> count > 1)
        |> List.map (fun (name, _) ->
            Json.error ErrorKind.Name "the file is listed twice" json |> Error.found name)
        |> function
            | [] -> Ok files
            | errors -> Result.Error errors

    let private schemaOf (json: Json) : Result<unit, Error list> =
        let check (expected: string) (isRight: bool) (value: Json) : Result<unit, Error list> =
            if isRight then
                Ok()
            else
                Json.refuse
                    ErrorKind.Unsupported
                    "not a card that this version reads"
                    expected
                    value

        Validation.map2
            (fun () () -> ())
            (json
             |> Json.field "schema" (fun value ->
                 Json.int value |> Result.bind (fun v -> check $"{schema}" (v = schema) value)))
            (json
             |> Json.field "kind" (fun value ->
                 Json.text value
                 |> Result.bind (fun v -> check "surrogate" (v = "surrogate") value)))

    let private body (json: Json) : Result<BundleCard, Error list> =
        let model (read: Json -> Result<'T, Error list>) = Json.field "model" read json

        model (Json.field "parameters" (Json.list Json.text))
        |> Result.bind (fun parameters ->
            Ok(fun version name hash recipe metrics region files ->
                {
                    Version = version
                    Model = name
                    ModelSha256 = hash
                    Parameters = parameters
                    Recipe = recipe
                    Metrics = List.choose id metrics
                    Region = region
                    Files = files
                    Json = Json.toValue json
                })
            |> Validation.apply (Json.field "funlik" Json.text json)
            |> Validation.apply (model (Json.field "name" Json.text))
            |> Validation.apply (model (Json.field "sha256" sha256))
            |> Validation.apply (
                Json.field "job" (Json.field "recipe" (Json.field "name" Json.text)) json
            )
            |> Validation.apply (
                json
                |> Json.field "metrics" (fun found ->
                    Json.entries found |> Result.bind (List.map metrics >> Error.collect))
            )
            |> Validation.apply (Json.field "region" (region parameters.Length) json)
            |> Validation.apply (
                json
                |> Json.field "files" (fun found ->
                    Json.list file found |> Result.bind (unique found))
            ))

    /// Reads a card: what is missing or of a wrong type is told with its place, all of it at once. Keys that are not known are kept in
    /// `Json`.
    let ofJson (json: Json) : Result<BundleCard, Error list> =
        schemaOf json |> Result.bind (fun () -> body json)
