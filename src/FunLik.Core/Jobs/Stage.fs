namespace FunLik

open System
open System.IO
open System.Security.Cryptography
open System.Text

/// A file that a stage has made.
type StageFile =
    {
        /// The name in the stage's folder.
        Name: string
        /// The number of bytes.
        Bytes: int64
        /// SHA-256 of the bytes, in hexadecimal digits.
        Sha256: string
    }

/// What stands in a stage's folder when the stage is done.
type Manifest =
    {
        /// The name of the stage.
        Stage: string
        /// The hash of all that the stage's files depend on.
        Inputs: string
        /// The files.
        Files: StageFile list
    }

/// How a stage went.
type StageResult =
    {
        /// The name of the stage.
        Name: string
        /// Its folder.
        Folder: string
        /// A hash of the contents of its files: an input of the stages that read them.
        Contents: string
        /// Whether the files were there already.
        IsSkipped: bool
        /// Why files that were there were made again, if that is worth a word.
        Note: string option
    }

/// Parts of a job that are done once: a stage is its name, the hash of its inputs, and files with a manifest. What is whole and was
/// made of the same inputs is not made again.
[<RequireQualifiedAccess>]
module Stage =

    [<Literal>]
    let private ManifestFile = "manifest.json"

    /// SHA-256 of a text's UTF-8 bytes, in hexadecimal digits.
    let hashText (text: string) : string =
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes text))

    /// SHA-256 of a file, in hexadecimal digits.
    let hashFile (path: string) : Result<string, Error list> =
        FileError.guard path (fun () ->
            use stream = File.OpenRead path
            Ok(Convert.ToHexStringLower(SHA256.HashData stream)))

    let private describe (folder: string) (name: string) : Result<StageFile, Error list> =
        let path = Path.Combine(folder, name)

        hashFile path
        |> Result.map (fun sha256 ->
            { Name = name; Bytes = FileInfo(path).Length; Sha256 = sha256 })

    let private toJson (manifest: Manifest) : JsonValue =
        let file (f: StageFile) : JsonValue =
            JsonValue.Object
                [
                    "name", JsonValue.Text f.Name
                    "bytes", JsonValue.Int f.Bytes
                    "sha256", JsonValue.Text f.Sha256
                ]

        JsonValue.Object
            [
                "schema", JsonValue.Int 1L
                "stage", JsonValue.Text manifest.Stage
                "inputs", JsonValue.Text manifest.Inputs
                "files", manifest.Files |> List.map file |> JsonValue.List
            ]

    let private ofJson (json: Json) : Result<Manifest, Error list> =
        let file (j: Json) : Result<StageFile, Error list> =
            Validation.map3
                (fun name (bytes: float) sha256 ->
                    { Name = name; Bytes = int64 bytes; Sha256 = sha256 })
                (Json.field "name" Json.text j)
                (Json.field "bytes" Json.float j)
                (Json.field "sha256" Json.text j)

        Validation.map3
            (fun stage inputs files -> { Stage = stage; Inputs = inputs; Files = files })
            (Json.field "stage" Json.text json)
            (Json.field "inputs" Json.text json)
            (Json.field "files" (Json.list file) json)

    let private contents (manifest: Manifest) : string =
        manifest.Files
        |> List.map (fun f -> $"{f.Name} {f.Sha256}\n")
        |> String.concat ""
        |> hashText

    /// What is wrong with the first file that is not as the manifest says.
    let private damage (folder: string) (manifest: Manifest) : string option =
        manifest.Files
        |> List.tryPick (fun expected ->
            match describe folder expected.Name with
            | Ok found when found = expected -> None
            | Ok _ -> Some $"{expected.Name} is not what was written"
            | Result.Error _ -> Some $"{expected.Name} cannot be read")

    /// The manifest in a folder, if it is of these inputs and all files are as it says; else why they are to be made again, where
    /// that is worth a word.
    let private whole (folder: string) (inputs: string) : Result<Manifest, string option> =
        let path = Path.Combine(folder, ManifestFile)

        if not (File.Exists path) then
            Result.Error None
        else
            match Json.parseFile path |> Result.bind ofJson with
            | Result.Error _ -> Result.Error(Some "the manifest is damaged")
            | Ok manifest when manifest.Inputs <> inputs -> Result.Error None
            | Ok manifest ->
                match damage folder manifest with
                | Some reason -> Result.Error(Some reason)
                | None -> Ok manifest

    /// Does a stage unless its files are there already. `inputs` is all that the files depend on; `make` writes them into the folder
    /// that it is given and names them. The manifest is written last, so that a stage that was broken off is not done.
    let run
        (root: string)
        (name: string)
        (inputs: JsonValue)
        (make: string -> Result<string list, Error list>)
        : Result<StageResult, Error list> =
        let folder = Path.Combine(root, name)
        let hash = hashText $"{name}\n{Version.current}\n{JsonValue.toLine inputs}"

        let result (isSkipped: bool) (note: string option) (manifest: Manifest) : StageResult =
            {
                Name = name
                Folder = folder
                Contents = contents manifest
                IsSkipped = isSkipped
                Note = note
            }

        FileError.guard folder (fun () ->
            match whole folder hash with
            | Ok manifest -> Ok(result true None manifest)
            | Result.Error reason ->
                Directory.CreateDirectory folder |> ignore
                let path = Path.Combine(folder, ManifestFile)
                File.Delete path

                make folder
                |> Result.bind (List.map (describe folder) >> Error.collect)
                |> Result.bind (fun files ->
                    let manifest = { Stage = name; Inputs = hash; Files = files }

                    JsonValue.writeFile path (toJson manifest)
                    |> Result.map (fun () ->
                        let note = reason |> Option.map (fun r -> $"{name}: {r}; made again")
                        result false note manifest)))
