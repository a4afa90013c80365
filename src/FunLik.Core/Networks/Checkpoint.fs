namespace FunLik

open System
open System.IO
open System.Security.Cryptography

/// Weights in files: all arrays one behind the other, in the order of a network.
[<RequireQualifiedAccess>]
module WeightsFile =

    /// The arrays one behind the other.
    let flatten (shapes: (string * int) list) (weights: Weights) : float[] =
        [|
            for name, _ in shapes do
                for v in weights[name] do
                    float v
        |]

    /// The arrays out of one.
    let unflatten (shapes: (string * int) list) (numbers: float[]) : Result<Weights, Error list> =
        let expected = shapes |> List.sumBy snd

        if numbers.Length <> expected then
            Error.make ErrorKind.Shape "the numbers of a network"
            |> Error.found $"{numbers.Length}"
            |> Error.expected $"{expected}"
            |> Error.fail
        else
            let arrays, _ =
                shapes
                |> List.mapFold
                    (fun first (name, size) ->
                        let own = Array.sub numbers first size |> Array.map float32
                        (name, own), first + size)
                    0

            Ok(Map.ofList arrays)

    /// Names and sizes of a network's arrays, in its order.
    let sizes (network: Architecture) : (string * int) list =
        Architecture.weights network |> List.map (fun w -> w.Name, Shape.size w.Shape)

    /// Writes the trained numbers of a network as `<f4`.
    let write (path: string) (network: Architecture) (weights: Weights) : Result<unit, Error list> =
        let numbers = flatten (sizes network) weights
        Npy.writeSingles path { Shape = [ numbers.Length ]; Values = numbers }

    /// Reads what `write` wrote.
    let read (path: string) (network: Architecture) : Result<Weights, Error list> =
        Npy.readFloats path
        |> Result.bind (fun array -> unflatten (sizes network) array.Values)
        |> Result.mapError (List.map (Error.withFile path))

/// Training states in a folder: from what is read back a run goes on as if it had never stopped.
[<RequireQualifiedAccess>]
module Checkpoint =

    let private stateFile = "checkpoint.json"

    let private schema = 2L

    let private statusNames: (string * TrainingStatus) list =
        [
            "running", TrainingStatus.Running
            "finished", TrainingStatus.Finished
            "stopped", TrainingStatus.Stopped
            "not-finite", TrainingStatus.NotFinite
        ]

    /// Names and sizes of all arrays of a state: weights, best weights, what the optimiser carries.
    let private sizes (state: TrainingState) : (string * int) list =
        let named (prefix: string) (arrays: Weights) : (string * int) list =
            [ for KeyValue(name, values) in arrays -> $"{prefix}:{name}", values.Length ]

        named "weights" state.Weights
        @ named "best" state.Best
        @ named "slots" state.Slots

    let private arrays (state: TrainingState) : Weights =
        [
            for KeyValue(name, values) in state.Weights -> $"weights:{name}", values
            for KeyValue(name, values) in state.Best -> $"best:{name}", values
            for KeyValue(name, values) in state.Slots -> $"slots:{name}", values
        ]
        |> Map.ofList

    let private hash (path: string) : string =
        Convert.ToHexStringLower(SHA256.HashData(File.ReadAllBytes path))

    /// Writes a state, and what is known of the epochs before it. The folder holds the state before or this one, never a mixture:
    /// the numbers are written under a name of their own, and then the record that points to them. `label` says which run it is of.
    let write
        (folder: string)
        (label: string)
        (history: EpochInfo list)
        (state: TrainingState)
        : Result<unit, Error list> =
        FileError.guard folder (fun () ->
            Directory.CreateDirectory folder |> ignore
            let name = $"checkpoint-{state.Epoch}.npy"
            let path = Path.Combine(folder, name)
            let numbers = WeightsFile.flatten (sizes state) (arrays state)

            let losses (loss: EpochInfo -> float) (history: EpochInfo list) : JsonValue =
                history |> Seq.map loss |> Array.ofSeq |> JsonValue.Numbers

            let record (sha256: string) : JsonValue =
                JsonValue.Object
                    [
                        "schema", JsonValue.Int schema
                        "label", JsonValue.Text label
                        "epoch", JsonValue.Int(int64 state.Epoch)
                        "key", JsonValue.Text(Key.toText state.Key)
                        "bestLoss", JsonValue.Number state.BestLoss
                        "numbers", state.Numbers |> List.map JsonValue.Number |> JsonValue.List
                        "leastLoss", JsonValue.Number state.Waiting.Least
                        "epochsWaited", JsonValue.Int(int64 state.Waiting.Epochs)
                        "status",
                        statusNames
                        |> List.find (fun (_, s) -> s = state.Status)
                        |> fst
                        |> JsonValue.Text
                        "training", losses _.TrainingLoss history
                        "validation", losses _.ValidationLoss history
                        "file", JsonValue.Text name
                        "sha256", JsonValue.Text sha256
                    ]

            Npy.writeSingles path { Shape = [ numbers.Length ]; Values = numbers }
            |> Result.bind (fun () ->
                JsonValue.writeFile (Path.Combine(folder, stateFile)) (record (hash path)))
            |> Result.map (fun () ->
                for other in Directory.GetFiles(folder, "checkpoint-*.npy") do
                    if Path.GetFileName other <> name then
                        File.Delete other))

    /// The numbers of the optimiser, as many as at the start. What is infinite is written as null.
    let private readNumbers (initial: TrainingState) (json: Json) : Result<float list, Error list> =
        Json.items json
        |> Result.bind (fun items ->
            if items.Length = initial.Numbers.Length then
                items
                |> List.map (fun item ->
                    match Json.toValue item with
                    | JsonValue.Null -> Ok infinity
                    | _ -> Json.float item)
                |> Error.collect
            else
                Json.refuse
                    ErrorKind.Shape
                    "the numbers of an optimiser"
                    $"{initial.Numbers.Length} numbers"
                    json)

    /// The arrays to which a record points, if they are whole.
    let private arraysOf
        (folder: string)
        (initial: TrainingState)
        (json: Json)
        : Result<Weights, Error list> =
        Validation.map2
            (fun file sha256 -> Path.Combine(folder, file), sha256)
            (Json.field "file" Json.text json)
            (Json.field "sha256" Json.text json)
        |> Result.bind (fun (path, sha256) ->
            if File.Exists path && hash path = sha256 then
                Npy.readFloats path
                |> Result.bind (fun a -> WeightsFile.unflatten (sizes initial) a.Values)
            else
                Error.make ErrorKind.Syntax "a checkpoint is damaged"
                |> Error.withFile path
                |> Error.expected $"a file with the SHA-256 {sha256}"
                |> Error.hint "Delete the folder to begin again."
                |> Error.fail)

    let private parse
        (folder: string)
        (initial: TrainingState)
        (json: Json)
        : Result<EpochInfo list * TrainingState, Error list> =
        let history =
            Validation.map2
                (fun training validation ->
                    Array.mapi2
                        (fun i t v -> { Epoch = i + 1; TrainingLoss = t; ValidationLoss = v })
                        training
                        validation
                    |> List.ofArray)
                (Json.field "training" Json.numbers json)
                (Json.field "validation" Json.numbers json)

        let part (prefix: string) (all: Weights) (like: Weights) : Weights =
            like |> Map.map (fun name _ -> all[$"{prefix}:{name}"])

        // What is infinite before the first epoch is written as null.
        let loss (name: string) : Result<float, Error list> =
            Json.optionalField name Json.float json
            |> Result.map (Option.defaultValue infinity)

        Ok(fun history all numbers least waited epoch key best status ->
            history,
            {
                Weights = part "weights" all initial.Weights
                Slots = part "slots" all initial.Slots
                Numbers = numbers
                Waiting = { Least = least; Epochs = waited }
                Epoch = epoch
                Key = key
                Best = part "best" all initial.Best
                BestLoss = best
                Status = status
            })
        |> Validation.apply history
        |> Validation.apply (arraysOf folder initial json)
        |> Validation.apply (Json.field "numbers" (readNumbers initial) json)
        |> Validation.apply (loss "leastLoss")
        |> Validation.apply (Json.field "epochsWaited" Json.int json)
        |> Validation.apply (Json.field "epoch" Json.int json)
        |> Validation.apply (Json.field "key" (Json.text >> Result.bind Key.ofText) json)
        |> Validation.apply (loss "bestLoss")
        |> Validation.apply (Json.field "status" (Json.oneOf statusNames) json)

    /// The state in a folder and the epochs before it, if there is one of the run of this label. `initial` is the state before the first epoch of that run:
    /// arrays must be as there. Damaged files are errors.
    let tryRead
        (folder: string)
        (label: string)
        (initial: TrainingState)
        : Result<(EpochInfo list * TrainingState) option, Error list> =
        let path = Path.Combine(folder, stateFile)

        if File.Exists path then
            FileError.guard path (fun () ->
                Json.parseFile path
                |> Result.bind (fun json ->
                    Validation.map2
                        (fun version found -> int64 version = schema && found = label)
                        (Json.field "schema" Json.int json)
                        (Json.field "label" Json.text json)
                    |> Result.bind (fun isOfRun ->
                        if isOfRun then
                            parse folder initial json |> Result.map Some
                        else
                            Ok None)))
        else
            Ok None
