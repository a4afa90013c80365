namespace FunLik

open System
open System.IO
open System.Security.Cryptography

/// What a model file may be asked for beyond itself. Kinds of models that do not take an option refuse it.
type ModelOptions =
    {
        /// A JSON patch: a file, or `SET:NAME`, a patch in a patch set.
        Patch: string option
        /// A file of scalings of signals with couplings.
        Scalings: string option
        /// Eigenvalues of scalings may be negative by this part of the largest one; None: 1e-9.
        ScalingsTolerance: float option
        /// The measurement, where the file has several.
        Measurement: string option
        /// Interpolation codes by modifier: `normsys` to `code1`.
        Interpolation: (string * string) list
        /// Whether fits may take constrained nuisances beyond their bounds, as `NuisanceBounds.lift` says.
        UnboundedNuisances: bool
    }

    /// The file as it is.
    static member None: ModelOptions =
        {
            Patch = Option.None
            Scalings = Option.None
            ScalingsTolerance = Option.None
            Measurement = Option.None
            Interpolation = []
            UnboundedNuisances = false
        }

/// A model, and the file from which it came.
type LoadedModel =
    {
        /// The likelihood.
        Likelihood: Likelihood
        /// The kind of the file.
        Kind: string
        /// SHA-256 of the file's bytes, in hexadecimal digits.
        Sha256: string
    }

/// Models in files.
[<RequireQualifiedAccess>]
module ModelFile =

    /// A kind of model file: how it is recognised without the key `kind`, the options that it takes, how it is read.
    type private Kind =
        {
            Name: string
            Keys: string list
            Options: string list
            Read: ModelOptions -> Json -> Result<Likelihood, Error list>
        }

    /// Mistakes that only show in the finished model are mistakes in its file.
    let private build
        (make: 'T -> Likelihood)
        (json: Json)
        (data: 'T)
        : Result<Likelihood, Error list> =
        try
            Ok(make data)
        with FunLikException errors ->
            let inFile (error: Error) : Error =
                match error.File, json.File with
                | None, Some file -> error |> Error.withFile file |> Error.at json.Path
                | _ -> error

            Result.Error(List.map inFile errors)

    /// The option that every kind takes whose constraints are known.
    [<Literal>]
    let private unboundedNuisances = "unbounded-nuisances"

    let private kinds: Kind list =
        [
            {
                Name = "lhc-search"
                Keys = [ "categories"; "binsPerCategory"; "mcStatEpsilon" ]
                Options = [ unboundedNuisances ]
                Read =
                    fun _ json ->
                        SearchData.ofJson json |> Result.bind (build Search.likelihood json)
            }
            {
                Name = "counting"
                Keys = []
                Options = [ unboundedNuisances ]
                Read =
                    fun _ json ->
                        Counting.ofJson json |> Result.bind (build Counting.likelihood json)
            }
            {
                Name = "histfactory"
                Keys = Workspace.keys
                Options =
                    [
                        "patch"
                        "scalings"
                        "scalings-tolerance"
                        "measurement"
                        "interpolation"
                        unboundedNuisances
                    ]
                Read =
                    fun options json ->
                        Workspace.likelihood
                            options.Patch
                            options.Measurement
                            options.Interpolation
                            options.Scalings
                            (options.ScalingsTolerance
                             |> Option.defaultValue Scalings.defaultTolerance)
                            json
            }
        ]

    /// The kinds of model files that are read.
    let kindNames: string list = kinds |> List.map _.Name

    let private kindOf (json: Json) : Result<Kind, Error list> =
        let known = String.concat ", " kindNames

        let recognised () : Result<Kind, Error list> =
            let hasAll (keys: string list) : bool =
                not keys.IsEmpty
                && keys
                   |> List.forall (fun k -> Json.optional k json |> Result.exists Option.isSome)

            match kinds |> List.tryFind (fun k -> hasAll k.Keys) with
            | Some kind -> Ok kind
            | None ->
                Json.error ErrorKind.Schema "the kind of model is not told" json
                |> Error.expected $"the key 'kind' with one of {known}"
                |> Error.fail

        Json.optionalField "kind" (Json.oneOf (kinds |> List.map (fun k -> k.Name, k))) json
        |> Result.bind (Option.map Ok >> Option.defaultWith recognised)

    let private refuseOptions
        (kind: string)
        (taken: string list)
        (place: Error -> Error)
        (options: ModelOptions)
        : Result<unit, Error list> =
        let given =
            [
                if options.Patch.IsSome then
                    "patch"
                if options.Scalings.IsSome then
                    "scalings"
                if options.ScalingsTolerance.IsSome then
                    "scalings-tolerance"
                if options.Measurement.IsSome then
                    "measurement"
                if not options.Interpolation.IsEmpty then
                    "interpolation"
                if options.UnboundedNuisances then
                    unboundedNuisances
            ]

        given
        |> List.filter (fun name -> not (List.contains name taken))
        |> List.map (fun name ->
            Error.make
                ErrorKind.Unsupported
                $"a model of the kind '{kind}' takes no option '{name}'"
            |> place)
        |> function
            | [] -> Ok()
            | errors -> Result.Error errors

    /// What is asked of the finished model.
    let private finished (options: ModelOptions) (model: Likelihood) : Likelihood =
        if options.UnboundedNuisances then
            NuisanceBounds.lift model
        else
            model

    /// SHA-256 of a file's bytes, in hexadecimal digits.
    let hash (bytes: byte[]) : string = Convert.ToHexStringLower(SHA256.HashData bytes)

    let private readJson
        (path: string)
        (options: ModelOptions)
        (bytes: byte[])
        : Result<Likelihood * string, Error list> =
        Json.parseBytes (Some path) bytes
        |> Result.bind (fun json ->
            kindOf json
            |> Result.bind (fun kind ->
                let place (error: Error) : Error =
                    error |> Error.withFile path |> Error.at json.Path

                refuseOptions kind.Name kind.Options place options
                |> Result.bind (fun () -> kind.Read options json)
                |> Result.map (fun likelihood -> finished options likelihood, kind.Name)))

    let private readOnnx
        (path: string)
        (options: ModelOptions)
        (bytes: byte[])
        : Result<Likelihood * string, Error list> =
        refuseOptions "onnx" [] (Error.withFile path) options
        |> Result.bind (fun () ->
            OnnxFormat.read bytes
            |> Result.bind Onnx.toLikelihood
            |> Result.mapError (List.map (Error.withFile path)))
        |> Result.map (fun likelihood -> likelihood, "onnx")

    /// Reads a model with its kind and the hash of its file: JSON, or a log density in ONNX where the name ends in `.onnx`. Mistakes in
    /// the file come together, each with file and place.
    let read (path: string) (options: ModelOptions) : Result<LoadedModel, Error list> =
        let readAs =
            if path.EndsWith(".onnx", StringComparison.OrdinalIgnoreCase) then
                readOnnx
            else
                readJson

        Json.readBytes Json.defaultLimit path
        |> Result.bind (fun bytes ->
            readAs path options bytes
            |> Result.map (fun (likelihood, kind) ->
                { Likelihood = likelihood; Kind = kind; Sha256 = hash bytes }))

    /// Reads the likelihood in a model file.
    let load (path: string) (options: ModelOptions) : Result<Likelihood, Error list> =
        read path options |> Result.map _.Likelihood
