namespace FunLik

/// What a model says about itself in ONNX's `metadata_props`.
type OnnxRecord =
    {
        /// What it is a likelihood of.
        Name: string
        /// The parameters in the order of the input's columns.
        Parameters: ModelParameter[]
        /// The names of the parameters that were profiled away.
        Profiled: string list
        /// The point from which differences are counted, if there is one: a number a parameter.
        Reference: float[] option
        /// How it was made: names without spaces, and texts.
        Provenance: (string * string) list
    }

/// Records in `metadata_props`, under keys that start with `funlik.`:
///
///     funlik.schema             the version of this layout: 1
///     funlik.version            the version of FunLik that wrote the file
///     funlik.name               what it is a likelihood of
///     funlik.parameters         JSON: an array of {"name", "kind": "poi"|"nuisance", "nominal", "range": [low, high],
///                               "bounds": [low|null, high|null], "unit", "kinked"}, in the order of the columns of `theta`
///     funlik.profiled           JSON: an array of names
///     funlik.reference          JSON: an array of numbers; absent where there is no such point
///     funlik.provenance.KEY     any text
[<RequireQualifiedAccess>]
module OnnxRecord =

    /// The version of the layout.
    let schema: int = 1

    let private provenance = "funlik.provenance."

    /// A record of some parameters and nothing else.
    let create (name: string) (parameters: ModelParameter[]) : OnnxRecord =
        {
            Name = name
            Parameters = parameters
            Profiled = []
            Reference = None
            Provenance = []
        }

    /// The record of a likelihood.
    let ofLikelihood (model: Likelihood) : OnnxRecord =
        { create model.Name (Likelihood.parameters model) with
            Profiled =
                match model.Density with
                | Density.Opaque(_, profiled) -> profiled
                | Density.Terms _ -> []
        }

    /// The record as keys and texts.
    let write (record: OnnxRecord) : (string * string) list =
        let json (value: JsonValue) : string = JsonValue.toLine value
        let parameters = record.Parameters |> Array.map ParameterJson.write |> List.ofArray

        let fixedKeys =
            [
                "funlik.schema", string schema
                "funlik.version", Version.current
                "funlik.name", record.Name
                "funlik.parameters", json (JsonValue.List parameters)
                "funlik.profiled", json (JsonValue.ofTexts record.Profiled)
            ]

        let reference =
            record.Reference
            |> Option.map (fun point -> "funlik.reference", json (JsonValue.Numbers point))
            |> Option.toList

        let made = record.Provenance |> List.map (fun (key, text) -> provenance + key, text)
        fixedKeys @ reference @ made

    /// The record in keys and texts; None where there is none.
    let read (metadata: (string * string) list) : Result<OnnxRecord option, Error list> =
        let known = Map.ofList metadata

        let json
            (key: string)
            (read: Json -> Result<'T, Error list>)
            : Result<'T option, Error list> =
            match known.TryFind key with
            | None -> Ok None
            | Some text ->
                Json.parse text
                |> Result.bind read
                |> Result.mapError (
                    List.map (fun e ->
                        let inside = e.Path |> Option.defaultValue ""
                        Error.at $"metadata_props['{key}'] {inside}" e)
                )
                |> Result.map Some

        let version (json: Json) : Result<unit, Error list> =
            Json.int json
            |> Result.bind (fun v ->
                if v = schema then
                    Ok()
                else
                    Json.refuse
                        ErrorKind.Unsupported
                        "the layout is of another version"
                        $"{schema}"
                        json)

        match known.TryFind "funlik.parameters" with
        | None -> Ok None
        | Some _ ->
            let parts =
                Validation.map3
                    (fun parameters profiled reference ->
                        {
                            Name = known.TryFind "funlik.name" |> Option.defaultValue ""
                            Parameters = parameters |> Option.defaultValue [] |> Array.ofList
                            Profiled = profiled |> Option.defaultValue []
                            Reference = reference
                            Provenance =
                                metadata
                                |> List.filter (fun (key, _) -> key.StartsWith provenance)
                                |> List.map (fun (key, text) ->
                                    key.Substring provenance.Length, text)
                        })
                    (json "funlik.parameters" (Json.list ParameterJson.read))
                    (json "funlik.profiled" (Json.list Json.text))
                    (json "funlik.reference" Json.numbers)

            Validation.map2 (fun record _ -> Some record) parts (json "funlik.schema" version)
            |> Result.bind (function
                | Some { Parameters = parameters; Reference = Some point } when
                    point.Length <> parameters.Length
                    ->
                    Error.make ErrorKind.Shape "the reference point"
                    |> Error.at "metadata_props['funlik.reference']"
                    |> Error.found $"{point.Length} numbers"
                    |> Error.expected $"{parameters.Length} numbers, one a parameter"
                    |> Error.fail
                | record -> Ok record)
