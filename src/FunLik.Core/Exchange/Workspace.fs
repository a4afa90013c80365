namespace FunLik

open System
open System.IO

/// Workspaces with their patches, measurements, codes and scalings.
[<RequireQualifiedAccess>]
module Workspace =

    /// The keys by which a workspace is recognised.
    let keys: string list = [ "channels"; "measurements"; "version" ]

    /// `FILE`, or `SET:NAME`: what stands before the first colon behind which the rest is no part of a file's name.
    let internal patchSource (given: string) : string * string option =
        if File.Exists given then
            given, None
        else
            Seq.unfold
                (fun (from: int) ->
                    match given.IndexOf(':', from) with
                    | -1 -> None
                    | colon -> Some(colon, colon + 1))
                0
            |> Seq.tryFind (fun colon -> File.Exists(given.Substring(0, colon)))
            |> function
                | Some colon -> given.Substring(0, colon), Some(given.Substring(colon + 1))
                | None -> given, None

    let private operations
        (given: string)
        (workspace: Json)
        : Result<PatchOperation list, Error list> =
        let path, name = patchSource given

        Json.parseFile path
        |> Result.bind (fun json ->
            match PatchSet.isPatchSet json, name with
            | true, Some name ->
                PatchSet.ofJson json
                |> Result.bind (PatchSet.choose name workspace)
                |> Result.map _.Operations
            | true, None ->
                PatchSet.ofJson json
                |> Result.bind (fun set ->
                    let names = set.Patches |> List.map _.Name
                    let first = names |> List.truncate 5 |> String.concat ", "
                    let more = if names.Length > 5 then ", .." else ""

                    Json.error
                        ErrorKind.Usage
                        "the file is a patch set: one of its patches is wanted"
                        json
                    |> Error.found path
                    |> Error.expected $"{path}:NAME with one of {first}{more}"
                    |> Error.fail)
            | false, None -> JsonPatch.operations json
            | false, Some name ->
                Json.error ErrorKind.Schema "the file is no patch set" json
                |> Error.found name
                |> Error.expected "an object with 'metadata', 'patches' and 'version'"
                |> Error.fail)

    /// The workspace after a patch, read again: places in later messages are those after the patch.
    let private patched (given: string option) (json: Json) : Result<Json, Error list> =
        match given with
        | None -> Ok json
        | Some patch ->
            operations patch json
            |> Result.bind (fun operations -> JsonPatch.apply operations json)
            |> Result.bind (fun text ->
                let file = json.File |> Option.map (fun f -> $"{f} with {patch}")
                Json.parseBytes file (Text.Encoding.UTF8.GetBytes text))

    /// Interpolation codes by type of modifier, as they stand on a command line.
    let codes (given: (string * string) list) : Result<HistFactoryCodes, Error list> =
        let code (usable: InterpolationCode -> bool) (kind: string) (name: string) =
            let known = Interpolation.names |> List.filter (snd >> usable)

            match known |> List.tryFind (fun (n, _) -> n = name) with
            | Some(_, code) -> Ok code
            | None ->
                Error.make ErrorKind.Usage $"no interpolation code of a {kind}"
                |> Error.found name
                |> Error.expected (known |> List.map fst |> String.concat ", ")
                |> Error.fail

        (Ok HistFactory.codes, given)
        ||> List.fold (fun sum (kind, name) ->
            sum
            |> Result.bind (fun codes ->
                match kind with
                | "normsys" ->
                    code (fun _ -> true) kind name
                    |> Result.map (fun c -> { codes with NormSys = c })
                | "histosys" ->
                    code Interpolation.isAdditive kind name
                    |> Result.map (fun c -> { codes with HistoSys = c })
                | other ->
                    Error.make ErrorKind.Usage "interpolation codes belong to types of modifiers"
                    |> Error.found other
                    |> Error.expected "normsys or histosys"
                    |> Error.fail))

    let private chooseMeasurement
        (name: string option)
        (json: Json)
        (workspace: WorkspaceContent)
        : Result<HistFactoryData, Error list> =
        let found =
            match name with
            | None -> workspace.Measurements |> List.tryHead
            | Some wanted -> workspace.Measurements |> List.tryFind (fun (n, _, _, _) -> n = wanted)

        match found with
        | Some(name, poi, place, settings) ->
            Ok
                {
                    Name = name
                    Channels = workspace.Channels
                    Poi = poi
                    PoiPath = place
                    Settings = settings
                }
        | None ->
            Json.error ErrorKind.Name "the workspace has no measurement of this name" json
            |> Error.at "$.measurements"
            |> Error.found (Option.defaultValue "" name)
            |> Error.expected (
                workspace.Measurements |> List.map (fun (n, _, _, _) -> n) |> String.concat ", "
            )
            |> Error.fail

    /// Mistakes that only show in the model stand in its file.
    let private inFile (json: Json) (error: Error) : Error =
        match error.File, json.File with
        | None, Some file -> error |> Error.withFile file
        | _ -> error

    /// The data of a workspace after a patch, for one of its measurements (default: its first).
    let data
        (patch: string option)
        (measurement: string option)
        (json: Json)
        : Result<HistFactoryData * Json, Error list> =
        patched patch json
        |> Result.bind (fun changed ->
            WorkspaceReader.read changed
            |> Result.bind (chooseMeasurement measurement changed)
            |> Result.bind (fun data ->
                match HistFactoryData.check data with
                | [] -> Ok(data, changed)
                | errors -> errors |> List.map (inFile changed) |> Result.Error))

    /// The likelihood of a workspace.
    let likelihood
        (patch: string option)
        (measurement: string option)
        (interpolation: (string * string) list)
        (scalings: string option)
        (tolerance: float)
        (json: Json)
        : Result<Likelihood, Error list> =
        codes interpolation
        |> Result.bind (fun codes ->
            data patch measurement json
            |> Result.bind (fun (data, changed) ->
                let scaled =
                    match scalings with
                    | Some path -> Scalings.load tolerance data path
                    | None -> Ok []

                scaled
                |> Result.bind (fun scalings ->
                    HistFactory.likelihood codes scalings data
                    |> Result.mapError (List.map (inFile changed)))))
