namespace FunLik

open System
open System.IO

/// What a job learns: its parameters and priors, and, where there is a model, the exact density.
type JobSubject =
    {
        /// Name, blocks and priors of what is learnt. Of labels without a model the priors are not known: they are learnt with the rest.
        Likelihood: Likelihood
        /// The model to label and check with, if there is one.
        Exact: LoadedModel option
        /// The folder of labels made before, with its manifest, if there is one.
        Data: (string * LabelManifest) option
        /// The hash of all that.
        Hash: string
    }

/// What the stages of a job share.
type JobContext =
    {
        /// Threads, cancellation and progress.
        Verb: VerbContext
        /// The job.
        Job: Job
        /// What is learnt.
        Subject: JobSubject
        /// The source of all randomness.
        Key: Key
    }

/// What a job works on, and what its stages have in common.
[<RequireQualifiedAccess>]
module JobContext =

    let internal integer (value: int) : JsonValue = JsonValue.Int(int64 value)

    /// Says how far a stage is.
    let internal say (context: JobContext) (stage: string) (count: int) (total: int) : unit =
        context.Verb.Progress { Stage = stage; Done = int64 count; Total = int64 total }

    /// A count in a stage's file.
    let internal count (name: string) (json: Json) : Result<int64, Error list> =
        Json.field name Json.float json |> Result.map int64

    /// A number that may be null: not finite.
    let internal number (name: string) (json: Json) : Result<float, Error list> =
        Json.optionalField name Json.float json |> Result.map (Option.defaultValue nan)

    /// A number that is null where it is not finite.
    let internal numberOrNull (json: Json) : Result<float, Error list> =
        if json.Element.ValueKind = Text.Json.JsonValueKind.Null then
            Ok nan
        else
            Json.float json

    /// A density of nothing but its parameters, one block each: labels without a model are of it.
    let private bare (folder: string) (parameters: ModelParameter[]) : Likelihood =
        {
            Name = Path.GetFileName(Path.TrimEndingDirectorySeparator(Path.GetFullPath folder))
            Blocks = parameters |> Array.map ParameterBlock.ofParameter |> List.ofArray
            Density = Density.Opaque(Expr.scalar 0.0, [])
            Data = Map.empty
            Priors = []
        }

    /// That what is somewhere has the parameters of a model.
    let internal sameParameters
        (what: string)
        (place: string)
        (found: string[])
        (model: Likelihood)
        : Result<unit, Error list> =
        let names = Likelihood.names model

        Validation.require
            (names = found)
            (Error.make ErrorKind.Name $"{what} of other parameters than the model"
             |> Error.withFile place
             |> Error.found (String.concat ", " found)
             |> Error.expected (String.concat ", " names))

    /// All that a model depends on besides its own file: the contents of other files, and what is asked for by name.
    let private optionHashes (options: ModelOptions) : Result<string list, Error list> =
        let contents (name: string) (path: string option) : Result<string list, Error list> =
            match path with
            | None -> Ok []
            | Some path ->
                // A patch of a set has its name behind the path.
                let file, inside = Workspace.patchSource path

                Stage.hashFile file
                |> Result.map (fun hash ->
                    [ $"{name} {hash} {Option.defaultValue String.Empty inside}" ])

        let named =
            [
                match options.Measurement with
                | Some name -> $"measurement {name}"
                | None -> ()
                match options.ScalingsTolerance with
                | Some tolerance -> $"tolerance {JsonValue.formatNumber tolerance}"
                | None -> ()
                for kind, code in List.sort options.Interpolation do
                    $"interpolation {kind} {code}"
                if options.UnboundedNuisances then
                    "unbounded nuisances"
            ]

        Validation.map2
            (fun patch scalings -> patch @ scalings @ named)
            (contents "patch" options.Patch)
            (contents "scalings" options.Scalings)

    /// Reads what a job works on.
    let subject (source: JobSource) : Result<JobSubject, Error list> =
        let model =
            match source.Model with
            | Some model -> ModelFile.read model.File model.Options |> Result.map Some
            | None -> Ok None

        let options =
            source.Model
            |> Option.map (fun model -> optionHashes model.Options)
            |> Option.defaultValue (Ok [])

        let data =
            match source.Data with
            | Some folder ->
                LabelFiles.readManifest folder
                |> Result.map (fun manifest -> Some(folder, manifest))
            | None -> Ok None

        let join
            (model: LoadedModel option)
            (options: string list)
            (data: (string * LabelManifest) option)
            =
            let hash =
                [
                    match model with
                    | Some m -> m.Sha256
                    | None -> ()
                    yield! options
                    match data with
                    | Some(_, manifest) ->
                        for shard in manifest.Shards do
                            shard.Sha256
                    | None -> ()
                ]
                |> String.concat "\n"
                |> Stage.hashText

            let make (likelihood: Likelihood) : JobSubject =
                { Likelihood = likelihood; Exact = model; Data = data; Hash = hash }

            match model, data with
            | Some m, Some(folder, manifest) ->
                sameParameters
                    "the labels are"
                    folder
                    (manifest.Parameters |> Array.map _.Name)
                    m.Likelihood
                |> Result.map (fun () -> make m.Likelihood)
            | Some m, None -> Ok(make m.Likelihood)
            | None, Some(folder, manifest) -> Ok(make (bare folder manifest.Parameters))
            | None, None ->
                Error.make ErrorKind.Usage "neither a model nor labels to learn from"
                |> Error.fail

        Validation.map3 join model options data |> Result.bind id
