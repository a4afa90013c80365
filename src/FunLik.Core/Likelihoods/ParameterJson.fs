namespace FunLik

/// Parameters in JSON: {"name", "kind": "poi"|"nuisance", "nominal", "range": [low, high], "bounds": [low|null, high|null], "unit",
/// "kinked"}.
[<RequireQualifiedAccess>]
module ParameterJson =

    let private pair (struct (low, high): struct (float * float)) : JsonValue =
        JsonValue.List [ JsonValue.Number low; JsonValue.Number high ]

    /// A parameter as an object.
    let write (p: ModelParameter) : JsonValue =
        JsonValue.Object
            [
                "name", JsonValue.Text p.Name
                "kind", JsonValue.Text(if p.Kind.IsPoi then "poi" else "nuisance")
                "nominal", JsonValue.Number p.Nominal
                "range", pair p.Range
                "bounds", pair p.Bounds
                "unit", JsonValue.Text p.Unit
                "kinked", JsonValue.Bool p.IsKinked
            ]

    let private readPair
        (orElse: struct (float * float))
        (json: Json)
        : Result<struct (float * float), Error list> =
        let struct (lowest, highest) = orElse

        Json.items json
        |> Result.bind (function
            | [ low; high ] ->
                let number (missing: float) (j: Json) : Result<float, Error list> =
                    if j.Element.ValueKind = System.Text.Json.JsonValueKind.Null then
                        Ok missing
                    else
                        Json.float j

                Validation.map2 (fun a b -> struct (a, b)) (number lowest low) (number highest high)
                |> Result.bind (fun (struct (a, b) as both) ->
                    if a <= b then
                        Ok both
                    else
                        Json.refuse
                            ErrorKind.Value
                            "the first is above the second"
                            "low, high"
                            json)
            | _ -> Json.refuse ErrorKind.Shape "wrong length" "an array of two numbers" json)

    /// Reads a parameter; all but name, kind and nominal value may be left out.
    let read (json: Json) : Result<ModelParameter, Error list> =
        let infinite = struct (-infinity, infinity)

        let kinds =
            Json.oneOf [ "poi", ParameterKind.Poi; "nuisance", ParameterKind.Nuisance ]

        let create (name: string) (kind: ParameterKind) (nominal: float) : ModelParameter =
            ModelParameter.create name kind nominal

        let withPlace p (bounds: struct (float * float) option) range : ModelParameter =
            { p with
                Bounds = bounds |> Option.defaultValue infinite
                Range = range |> Option.defaultValue p.Range
            }

        let withRest p (unit: string option) (kinked: bool option) : ModelParameter =
            { p with
                Unit = unit |> Option.defaultValue ""
                IsKinked = kinked |> Option.defaultValue false
            }

        let basic =
            Validation.map3
                create
                (Json.field "name" Json.text json)
                (Json.field "kind" kinds json)
                (Json.field "nominal" Json.float json)

        let placed =
            Validation.map3
                withPlace
                basic
                (Json.optionalField "bounds" (readPair infinite) json)
                (Json.optionalField "range" (readPair infinite) json)

        Validation.map3
            withRest
            placed
            (Json.optionalField "unit" Json.text json)
            (Json.optionalField "kinked" Json.bool json)
