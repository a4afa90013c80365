namespace FunLik

open System
open System.IO
open System.Security.Cryptography

/// One file of labels: a table with one row a label, whose columns are the parameters, the log density, its parts (main,
/// constraint, prior; NaN where they are not known), its gradient, the number of the chain, and the weight.
type LabelShard =
    {
        /// The name of the file in its folder.
        File: string
        /// What its rows are for.
        Use: LabelUse
        /// The design that they come from.
        Tag: string
        /// How many there are.
        Rows: int
        /// The SHA-256 of the file, in lower-case hexadecimal digits.
        Sha256: string
        /// Whether the table has weights; before the third schema it had none, and all are 1.
        HasWeights: bool
    }

/// What a folder of labels holds.
type LabelManifest =
    {
        /// The parameters.
        Parameters: ModelParameter[]
        /// The files, in the order in which they were written.
        Shards: LabelShard list
        /// How the labels were made.
        Facts: (string * JsonValue) list
    }

/// Labels on disk: `.npy` shards, and `labels.json`, which lists them. A shard stands whole on disk
/// before it is listed, so a folder is valid after each shard.
[<RequireQualifiedAccess>]
module LabelFiles =

    let private schema = "funlik-labels/3"

    /// Without weights.
    let private before = "funlik-labels/2"

    /// The file in a folder of labels that lists them.
    let manifestFile: string = "labels.json"

    let private manifestPath (folder: string) : string = Path.Combine(folder, manifestFile)

    let private useName (labelUse: LabelUse) : string =
        match labelUse with
        | LabelUse.Train -> "train"
        | LabelUse.Test -> "test"

    let private columns (names: string[]) : string[] =
        let gradient = names |> Array.map (fun name -> $"d logDensity / d {name}")
        let values = [| "logDensity"; "main"; "constraint"; "prior" |]
        Array.concat [ names; values; gradient; [| "chain"; "weight" |] ]

    let private namesOf (manifest: LabelManifest) : string[] =
        manifest.Parameters |> Array.map _.Name

    /// A folder without labels.
    let init (parameters: ModelParameter[]) (facts: (string * JsonValue) list) : LabelManifest =
        { Parameters = parameters; Shards = []; Facts = facts }

    /// Writes the manifest, in a folder that is there.
    let writeManifest (folder: string) (manifest: LabelManifest) : Result<unit, Error list> =
        let shard (s: LabelShard) : JsonValue =
            JsonValue.Object
                [
                    "file", JsonValue.Text s.File
                    "use", JsonValue.Text(useName s.Use)
                    "tag", JsonValue.Text s.Tag
                    "rows", JsonValue.Int(int64 s.Rows)
                    "sha256", JsonValue.Text s.Sha256
                ]

        JsonValue.Object
            [
                "schema", JsonValue.Text schema
                "parameters",
                manifest.Parameters
                |> Array.map ParameterJson.write
                |> List.ofArray
                |> JsonValue.List
                "columns", JsonValue.ofTexts (columns (namesOf manifest))
                "facts", JsonValue.Object manifest.Facts
                "shards", JsonValue.List(List.map shard manifest.Shards)
            ]
        |> JsonValue.writeFile (manifestPath folder)

    let private width (hasWeights: bool) (parameters: int) : int =
        2 * parameters + (if hasWeights then 6 else 5)

    let private table (set: LabelSet) : float[] =
        let n = set.Dimension
        let width = width true n
        let values = Array.zeroCreate (set.Count * width)
        let main = set.Main

        for r in 0 .. set.Count - 1 do
            let first = r * width
            Array.Copy(set.Points, r * n, values, first, n)
            values[first + n] <- set.LogDensity[r]
            values[first + n + 1] <- main[r]
            values[first + n + 2] <- set.Constraint[r]
            values[first + n + 3] <- set.Prior[r]
            Array.Copy(set.Gradient, r * n, values, first + n + 4, n)
            values[first + width - 2] <- float set.Chains[r]
            values[first + width - 1] <- set.Weights[r]

        values

    let private hash (path: string) : Result<string, Error list> =
        FileError.guard path (fun () ->
            use stream = File.OpenRead path
            Ok(Convert.ToHexStringLower(SHA256.HashData stream)))

    let private writeShard
        (folder: string)
        (labelUse: LabelUse)
        (manifest: LabelManifest)
        (tag: string, set: LabelSet)
        : Result<LabelManifest, Error list> =
        let file = $"labels-{manifest.Shards.Length:d5}-{useName labelUse}.npy"
        let path = Path.Combine(folder, file)

        Npy.writeRows path (width true set.Dimension) [ table set ]
        |> Result.bind (fun _ -> hash path)
        |> Result.map (fun sha ->
            let shard =
                {
                    File = file
                    Use = labelUse
                    Tag = tag
                    Rows = set.Count
                    Sha256 = sha
                    HasWeights = true
                }

            { manifest with Shards = manifest.Shards @ [ shard ] })

    /// Adds labels of several uses to a folder: a shard for each use and design among them, then the manifest, once. Gives the manifest as it is
    /// then.
    let appendAll
        (folder: string)
        (sets: (LabelUse * LabelSet) list)
        (manifest: LabelManifest)
        : Result<LabelManifest, Error list> =
        let add
            (labelUse: LabelUse, set: LabelSet)
            (manifest: LabelManifest)
            : Result<LabelManifest, Error list> =
            if set.Count > 0 && set.Parameters <> namesOf manifest then
                Error.make ErrorKind.Shape "the labels have other parameters than the folder"
                |> Error.withFile (manifestPath folder)
                |> Error.found (String.concat ", " set.Parameters)
                |> Error.expected (String.concat ", " (namesOf manifest))
                |> Error.fail
            else
                Array.indexed set.Tags
                |> Array.groupBy snd
                |> Array.map (fun (tag, rows) -> tag, LabelSet.rows (Array.map fst rows) set)
                |> Array.fold
                    (fun so part -> so |> Result.bind (fun m -> writeShard folder labelUse m part))
                    (Ok manifest)

        (Ok manifest, sets)
        ||> List.fold (fun so part -> so |> Result.bind (add part))
        |> Result.bind (fun added -> writeManifest folder added |> Result.map (fun () -> added))

    /// Adds labels to a folder: a shard for each design among them, then the manifest. Gives the
    /// manifest as it is then; no rows change nothing.
    let append
        (folder: string)
        (labelUse: LabelUse)
        (set: LabelSet)
        (manifest: LabelManifest)
        : Result<LabelManifest, Error list> =
        if set.Count = 0 then
            Ok manifest
        else
            appendAll folder [ labelUse, set ] manifest

    /// The names of the files that a manifest makes of a folder; none without labels.
    let files (manifest: LabelManifest) : string list =
        if manifest.Shards.IsEmpty then
            []
        else
            Path.GetFileName(manifestPath "") :: (manifest.Shards |> List.map _.File)

    let private shardOf (json: Json) : Result<LabelShard, Error list> =
        let uses = [ "train", LabelUse.Train; "test", LabelUse.Test ]

        let plainName (json: Json) : Result<string, Error list> =
            Json.text json
            |> Result.bind (fun name ->
                if name <> "" && Path.GetFileName name = name && name.EndsWith ".npy" then
                    Ok name
                else
                    Json.error ErrorKind.Value "a shard lies in the folder of its manifest" json
                    |> Error.found name
                    |> Error.expected "a file name that ends in .npy, without a folder"
                    |> Error.fail)

        let make file labelUse tag (rows, sha) : LabelShard =
            {
                File = file
                Use = labelUse
                Tag = tag
                Rows = rows
                Sha256 = sha
                HasWeights = true
            }

        Ok make
        |> Validation.apply (Json.field "file" plainName json)
        |> Validation.apply (Json.field "use" (Json.oneOf uses) json)
        |> Validation.apply (Json.field "tag" Json.text json)
        |> Validation.apply (
            Validation.map2
                (fun rows sha -> rows, sha)
                (Json.field "rows" Json.int json)
                (Json.field "sha256" Json.text json)
        )

    /// Reads the manifest of a folder. Errors name the file and the place.
    let readManifest (folder: string) : Result<LabelManifest, Error list> =
        Json.parseFile (manifestPath folder)
        |> Result.bind (fun json ->
            let facts (json: Json) : Result<(string * JsonValue) list, Error list> =
                Json.entries json
                |> Result.map (List.map (fun (name, value) -> name, Json.toValue value))

            Ok(fun hasWeights parameters shards facts ->
                {
                    Parameters = Array.ofList parameters
                    Shards = shards |> List.map (fun s -> { s with HasWeights = hasWeights })
                    Facts = facts
                })
            |> Validation.apply (
                Json.field "schema" (Json.oneOf [ schema, true; before, false ]) json
            )
            |> Validation.apply (Json.field "parameters" (Json.list ParameterJson.read) json)
            |> Validation.apply (Json.field "shards" (Json.list shardOf) json)
            |> Validation.apply (Json.field "facts" facts json))

    /// Reads one shard. A file that is not the one that was listed is an error.
    let readShard
        (folder: string)
        (parameters: string[])
        (shard: LabelShard)
        : Result<LabelSet, Error list> =
        let path = Path.Combine(folder, shard.File)
        let n = parameters.Length

        let refuse (kind: ErrorKind) (what: string) (found: string) (expected: string) =
            Error.make kind what
            |> Error.withFile path
            |> Error.found found
            |> Error.expected expected
            |> Error.fail

        let ofTable (array: NpyArray) : Result<LabelSet, Error list> =
            let width = width shard.HasWeights n

            if array.Shape <> [ shard.Rows; width ] then
                let sizes (shape: int list) : string =
                    shape |> List.map string |> String.concat " × "

                refuse
                    ErrorKind.Shape
                    "the shape of the table"
                    (sizes array.Shape)
                    (sizes [ shard.Rows; width ])
            else
                let part (first: int) (count: int) : float[] =
                    let taken = Array.zeroCreate (shard.Rows * count)

                    for r in 0 .. shard.Rows - 1 do
                        Array.Copy(array.Values, r * width + first, taken, r * count, count)

                    taken

                Ok
                    {
                        Parameters = parameters
                        Points = part 0 n
                        LogDensity = part n 1
                        Constraint = part (n + 2) 1
                        Prior = part (n + 3) 1
                        Gradient = part (n + 4) n
                        Tags = Array.create shard.Rows shard.Tag
                        Chains = part (2 * n + 4) 1 |> Array.map int
                        Weights =
                            if shard.HasWeights then
                                part (2 * n + 5) 1
                            else
                                Array.create shard.Rows 1.0
                    }

        hash path
        |> Result.bind (fun sha ->
            if sha = shard.Sha256 then
                Npy.readFloats path |> Result.bind ofTable
            else
                refuse ErrorKind.Value "not the file that the manifest lists" sha shard.Sha256)

    /// Reads all labels of a folder for one use.
    let read (folder: string) (labelUse: LabelUse) : Result<LabelSet, Error list> =
        readManifest folder
        |> Result.bind (fun manifest ->
            manifest.Shards
            |> List.filter (fun s -> s.Use = labelUse)
            |> List.map (readShard folder (namesOf manifest))
            |> Error.collect
            |> Result.map (LabelSet.concat (namesOf manifest)))
