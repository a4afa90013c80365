namespace FunLik

/// A pyhf workspace as it stands in its file.
type WorkspaceContent =
    {
        /// The channels with their observations.
        Channels: HistChannel list
        /// The measurements: name, parameter of interest, where that stands, and what is said of parameters.
        Measurements: (string * string option * string * HistSettings list) list
    }

/// Reading workspaces (pyhf JSON 1.0.0): types and keys here, what belongs together in `HistFactoryData.check`.
[<RequireQualifiedAccess>]
module WorkspaceReader =

    let private nothing (json: Json) : Result<unit, Error list> =
        Json.optional "data" json
        |> Result.bind (function
            | None -> Ok()
            | Some value -> Json.refuse ErrorKind.Schema "the modifier has no data" "null" value)

    let private pair
        (read: Json -> Result<'T, Error list>)
        (high: string)
        (low: string)
        (json: Json)
        : Result<'T * 'T, Error list> =
        Validation.map3
            (fun h l () -> h, l)
            (Json.field high read json)
            (Json.field low read json)
            (Json.onlyKeys [ high; low ] json)

    let private modification (json: Json) : Result<Modification, Error list> =
        let data read = Json.field "data" read json

        let types =
            [
                "normfactor",
                fun () -> nothing json |> Result.map (fun () -> Modification.NormFactor)
                "lumi", fun () -> nothing json |> Result.map (fun () -> Modification.Lumi)
                "shapefactor",
                fun () -> nothing json |> Result.map (fun () -> Modification.ShapeFactor)
                "normsys",
                fun () -> data (pair Json.float "hi" "lo") |> Result.map Modification.NormSys
                "histosys",
                fun () ->
                    data (pair Json.numbers "hi_data" "lo_data") |> Result.map Modification.HistoSys
                "shapesys", fun () -> data Json.numbers |> Result.map Modification.ShapeSys
                "staterror", fun () -> data Json.numbers |> Result.map Modification.StatError
            ]

        Json.field "type" (Json.oneOf types) json |> Result.bind (fun read -> read ())

    let private modifier (json: Json) : Result<HistModifier, Error list> =
        Validation.map3
            (fun name modification () ->
                { Name = name; Modification = modification; Path = json.Path })
            (Json.field "name" Json.text json)
            (modification json)
            (Json.onlyKeys [ "name"; "type"; "data" ] json)

    let private sample (json: Json) : Result<HistSample, Error list> =
        Validation.map3
            (fun name nominal modifiers ->
                { Name = name; Nominal = nominal; Modifiers = modifiers; Path = json.Path })
            (Json.field "name" Json.text json)
            (Json.field "data" Json.numbers json)
            (Json.field "modifiers" (Json.list modifier) json)
        |> Validation.map2 (fun () s -> s) (Json.onlyKeys [ "name"; "data"; "modifiers" ] json)

    let private channel (json: Json) : Result<HistChannel, Error list> =
        Validation.map3
            (fun name samples () ->
                { Name = name; Observed = [||]; Samples = samples; Path = json.Path })
            (Json.field "name" Json.text json)
            (Json.field "samples" (Json.list sample) json)
            (Json.onlyKeys [ "name"; "samples" ] json)

    let private observation (json: Json) : Result<string * (float[] * Json), Error list> =
        let counts (data: Json) : Result<float[], Error list> =
            Json.items data
            |> Result.bind (fun items ->
                Json.floatsWhere
                    "a count that is not negative"
                    (fun v -> v >= 0.0)
                    items.Length
                    data)

        Validation.map3
            (fun name data () -> name, (data, json))
            (Json.field "name" Json.text json)
            (Json.field "data" counts json)
            (Json.onlyKeys [ "name"; "data" ] json)

    let private interval (json: Json) : Result<struct (float * float), Error list> =
        Json.floats 2 json
        |> Result.bind (fun ends ->
            if ends[0] <= ends[1] then
                Ok(struct (ends[0], ends[1]))
            else
                Json.refuse ErrorKind.Value "no interval" "a low end, then a high end" json)

    let private positive (json: Json) : Result<float[], Error list> =
        Json.items json
        |> Result.bind (fun items ->
            Json.floatsWhere "a number above 0" (fun v -> v > 0.0) items.Length json)

    /// `fixed` is one word for all parameters of a name, or one for each.
    let private isFixed (count: int option) (json: Json) : Result<bool[], Error list> =
        match Json.bool json with
        | Ok value -> Ok(Array.create (count |> Option.defaultValue 1) value)
        | Result.Error _ -> Json.list Json.bool json |> Result.map Array.ofList

    let private settings
        (count: string -> int option)
        (json: Json)
        : Result<HistSettings, Error list> =
        Json.field "name" Json.text json
        |> Result.bind (fun name ->
            let optional key read = Json.optionalField key read json

            Validation.map3
                (fun inits bounds isFixed ->
                    {
                        Name = name
                        Inits = inits
                        Bounds = bounds |> Option.map Array.ofList
                        Fixed = isFixed
                        AuxData = None
                        Sigmas = None
                        Factors = None
                        Path = json.Path
                    })
                (optional "inits" Json.numbers)
                (optional "bounds" (Json.list interval))
                (optional "fixed" (isFixed (count name)))
            |> Validation.map3
                (fun aux sigmas s -> { s with AuxData = aux; Sigmas = sigmas })
                (optional "auxdata" Json.numbers)
                (optional "sigmas" positive)
            |> Validation.map3
                (fun factors () s -> { s with Factors = factors })
                (optional "factors" positive)
                (Json.onlyKeys
                    [ "name"; "inits"; "bounds"; "fixed"; "auxdata"; "sigmas"; "factors" ]
                    json))

    let private measurement
        (count: string -> int option)
        (json: Json)
        : Result<string * string option * string * HistSettings list, Error list> =
        let config (place: Json) =
            Validation.map3
                (fun poi parameters () ->
                    (if poi = "" then None else Some poi),
                    $"{place.Path}.poi",
                    parameters |> Option.defaultValue [])
                (Json.field "poi" Json.text place)
                (Json.optionalField "parameters" (Json.list (settings count)) place)
                (Json.onlyKeys [ "poi"; "parameters" ] place)

        Validation.map3
            (fun name (poi, place, parameters) () -> name, poi, place, parameters)
            (Json.field "name" Json.text json)
            (Json.field "config" config json)
            (Json.onlyKeys [ "name"; "config" ] json)

    /// Observations of channels that are not there are left alone: patches take channels away.
    let private withObservations
        (json: Json)
        (observations: (string * (float[] * Json)) list)
        (channels: HistChannel list)
        : Result<HistChannel list, Error list> =
        let twice =
            observations
            |> List.groupBy fst
            |> List.collect (fun (name, same) ->
                same.Tail
                |> List.map (fun (_, (_, place)) ->
                    Json.error
                        ErrorKind.Name
                        $"the observation '{name}' stands {same.Length} times"
                        place))

        let observed = Map.ofList observations

        let found =
            channels
            |> List.map (fun c ->
                match observed.TryFind c.Name with
                | None ->
                    Json.error ErrorKind.Name $"the channel '{c.Name}' has no observation" json
                    |> Error.at "$.observations"
                    |> Error.fail
                | Some(data, place) ->
                    match c.Samples with
                    | first :: _ when first.Nominal.Length <> data.Length ->
                        Json.error
                            ErrorKind.Shape
                            $"wrong length of the observation '{c.Name}'"
                            place
                        |> Error.found $"{data.Length} numbers"
                        |> Error.expected
                            $"{first.Nominal.Length}, as in the sample '{first.Name}'"
                        |> Error.fail
                    | _ -> Ok { c with Observed = data })
            |> Error.collect

        match twice, found with
        | [], _ -> found
        | errors, Ok _ -> Result.Error errors
        | errors, Result.Error more -> Result.Error(errors @ more)

    /// How many parameters modifiers of a name have, where that is not one.
    let private counts (channels: HistChannel list) : string -> int option =
        let known = System.Collections.Generic.Dictionary<string, int>()

        for channel in channels do
            // A staterror of one name has parameters for the bins of every channel where it stands.
            let here = System.Collections.Generic.HashSet<string>()

            for sample in channel.Samples do
                for m in sample.Modifiers do
                    match m.Modification with
                    | Modification.StatError _ when here.Add m.Name ->
                        let before =
                            match known.TryGetValue m.Name with
                            | true, n -> n
                            | _ -> 0

                        known[m.Name] <- before + sample.Nominal.Length
                    | Modification.ShapeFactor
                    | Modification.ShapeSys _ -> known[m.Name] <- sample.Nominal.Length
                    | _ -> ()

        fun name ->
            match known.TryGetValue name with
            | true, n -> Some n
            | _ -> None

    /// Reads a workspace.
    let read (json: Json) : Result<WorkspaceContent, Error list> =
        let parts =
            Validation.map3
                (fun channels observations () -> channels, observations)
                (Json.field "channels" (Json.list channel) json)
                (Json.field "observations" (Json.list observation) json)
                (Json.field "version" (Json.oneOf [ "1.0.0", () ]) json)

        let known =
            parts |> Result.toOption |> Option.map fst |> Option.defaultValue [] |> counts

        Validation.map3
            (fun (channels, observations) measurements () -> channels, observations, measurements)
            parts
            (Json.field "measurements" (Json.list (measurement known)) json)
            (Json.onlyKeys [ "channels"; "measurements"; "observations"; "version" ] json)
        |> Result.bind (fun (channels, observations, measurements) ->
            let place (key: string) (message: string) : Error list =
                [ Json.error ErrorKind.Shape message json |> Error.at $"$.{key}" ]

            let empty =
                (if channels.IsEmpty then
                     place "channels" "no channels"
                 else
                     [])
                @ (if measurements.IsEmpty then
                       place "measurements" "no measurements"
                   else
                       [])

            let twice =
                measurements
                |> List.countBy (fun (name, _, _, _) -> name)
                |> List.filter (fun (_, n) -> n > 1)
                |> List.collect (fun (name, n) ->
                    place "measurements" $"the measurement '{name}' stands {n} times")

            let doubled =
                channels
                |> List.groupBy _.Name
                |> List.collect (fun (name, same) ->
                    same.Tail
                    |> List.map (fun c ->
                        Json.error
                            ErrorKind.Name
                            $"the channel '{name}' stands {same.Length} times"
                            json
                        |> Error.at c.Path))

            match empty @ twice @ doubled with
            | [] ->
                withObservations json observations channels
                |> Result.map (fun all -> { Channels = all; Measurements = measurements })
            | errors -> Result.Error errors)
