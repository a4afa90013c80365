namespace FunLik

open System
open System.Globalization

/// Quadratic scalings of processes by couplings in files: what Combine's interferenceModel reads.
[<RequireQualifiedAccess>]
module Scalings =

    /// Eigenvalues may be negative by this part of the largest one, unless another tolerance is given.
    let defaultTolerance: float = 1e-9

    /// Reads `name[value]`, a constant, or `name[start,low,high]`.
    let private coupling (json: Json) : Result<Coupling, Error list> =
        let number (text: string) : float option =
            match Double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture) with
            | true, value when Double.IsFinite value -> Some value
            | _ -> None

        let expected =
            "NAME[START,LOW,HIGH] with LOW below HIGH, or NAME[VALUE] for a constant"

        Json.text json
        |> Result.bind (fun text ->
            match text.IndexOf '[' with
            | bracket when bracket > 0 && text.EndsWith ']' ->
                let name = text.Substring(0, bracket).Trim()

                let values =
                    text.Substring(bracket + 1, text.Length - bracket - 2).Split ','
                    |> Array.map number
                    |> List.ofArray

                match values with
                | [ Some value ] -> Ok { Name = name; Start = value; Range = None }
                | [ Some start; Some low; Some high ] when low < high ->
                    Ok { Name = name; Start = start; Range = Some(struct (low, high)) }
                | _ -> Json.refuse ErrorKind.Syntax "not a coupling" expected json
            | _ -> Json.refuse ErrorKind.Syntax "not a coupling" expected json)

    let private couplings (json: Json) : Result<Coupling[], Error list> =
        Json.list coupling json
        |> Result.bind (fun found ->
            let twice = found |> List.countBy _.Name |> List.filter (fun (_, n) -> n > 1)

            if found.IsEmpty then
                Json.refuse ErrorKind.Shape "no couplings" "one coupling or more" json
            elif twice.IsEmpty then
                Ok(Array.ofList found)
            else
                twice
                |> List.map (fun (name, n) ->
                    Json.error ErrorKind.Name $"the coupling '{name}' stands {n} times" json)
                |> Result.Error)

    let private scaling (json: Json) : Result<QuadraticScaling, Error list> =
        let withCouplings (given: Coupling[]) : Result<float[][], Error list> =
            let elements = Interference.packedLength given.Length

            Json.field "scaling" (Json.list (Json.floats elements)) json
            |> Result.map Array.ofList

        let parts =
            Json.field "parameters" couplings json
            |> Result.bind (fun given -> withCouplings given |> Result.map (fun m -> given, m))

        Validation.map3
            (fun channel process' (given, matrices) ->
                {
                    Channel = channel
                    Process = process'
                    Couplings = given
                    Matrices = matrices
                    Path = json.Path
                })
            (Json.field "channel" Json.text json)
            (Json.field "process" Json.text json)
            parts
        |> Validation.map2
            (fun () s -> s)
            (Json.onlyKeys [ "channel"; "process"; "parameters"; "scaling" ] json)

    /// Reads scalings: a list of
    ///
    ///     { "channel": "SR", "process": "ttH", "parameters": ["cSM[1]", "c[0,-3,3]"], "scaling": [[1.0, 0.2, 0.7], ..] }
    ///
    /// with one row-packed lower triangle a bin.
    let ofJson (json: Json) : Result<QuadraticScaling list, Error list> = Json.list scaling json

    /// Reads scalings and checks them against the channels of a model; matrices may have eigenvalues down to -tolerance times the largest.
    let load
        (tolerance: float)
        (data: HistFactoryData)
        (path: string)
        : Result<QuadraticScaling list, Error list> =
        let bins (channel: string) (process': string) : int option =
            data.Channels
            |> List.tryFind (fun c ->
                c.Name = channel && c.Samples |> List.exists (fun s -> s.Name = process'))
            |> Option.map _.Observed.Length

        Json.parseFile path
        |> Result.bind ofJson
        |> Result.bind (fun scalings ->
            match Interference.check tolerance bins scalings with
            | [] -> Ok scalings
            | errors -> errors |> List.map (Error.withFile path) |> Result.Error)
