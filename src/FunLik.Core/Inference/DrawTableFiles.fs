namespace FunLik

open System
open System.IO

/// Which columns of a plain array of draws are what.
type DrawColumns =
    {
        /// The names of the columns; empty: `x0`, `x1` and so on.
        Names: string list
        /// The name of the column that has weights.
        Weight: string option
        /// The name of the column that has log densities.
        LogDensity: string option
    }

    /// Parameters alone, without names.
    static member None: DrawColumns =
        { Names = []; Weight = Option.None; LogDensity = Option.None }

/// Draws on disk. A folder of draws has `draws.npy`, a row a draw (the parameters, `logDensity`, `weight`, and the number of the chain,
/// chain by chain), and `draws.json`, which names the columns and has the file's hash. What else is read: folders of labels, such as
/// `funlik sample` leaves, and plain arrays in `.npy`.
[<RequireQualifiedAccess>]
module DrawTableFiles =

    let private schema = "funlik-weighted-draws/1"
    let private manifestFile, private tableFile = "draws.json", "draws.npy"

    let private hash (path: string) : Result<string, Error list> =
        FileError.guard path (fun () ->
            use stream = File.OpenRead path
            Ok(Convert.ToHexStringLower(Security.Cryptography.SHA256.HashData stream)))

    /// Writes draws into a folder. The bounds of the parameters there are the edges of the draws.
    let write
        (folder: string)
        (parameters: ModelParameter[])
        (facts: (string * JsonValue) list)
        (table: DrawTable)
        : Result<unit, Error list> =
        let n, width = table.Dimension, table.Dimension + 3
        let weights = DrawTable.weights table

        let row (r: int) (values: float[]) (first: int) : unit =
            Array.Copy(table.Points, r * n, values, first, n)
            values[first + n] <- table.LogDensity[r]
            values[first + n + 1] <- weights[r]
            values[first + n + 2] <- float (r / table.PerChain)

        let block (c: int) : float[] =
            let values = Array.zeroCreate (table.PerChain * width)

            for t in 0 .. table.PerChain - 1 do
                row (c * table.PerChain + t) values (t * width)

            values

        let narrowed =
            Array.map2
                (fun p edges -> { p with ModelParameter.Bounds = edges })
                parameters
                table.Edges

        FileError.guard folder (fun () ->
            Directory.CreateDirectory folder |> ignore
            let path = Path.Combine(folder, tableFile)

            result {
                let! _ = Npy.writeRows path width (Seq.init table.Chains block)
                let! sha = hash path

                return!
                    JsonValue.Object
                        [
                            "schema", JsonValue.Text schema
                            "parameters",
                            narrowed
                            |> Array.map ParameterJson.write
                            |> List.ofArray
                            |> JsonValue.List
                            "columns",
                            JsonValue.ofTexts (
                                Array.append table.Names [| "logDensity"; "weight"; "chain" |]
                            )
                            "chains", JsonValue.Int(int64 table.Chains)
                            "together", JsonValue.Int(int64 table.Together)
                            "rows", JsonValue.Int(int64 table.Count)
                            "file", JsonValue.Text tableFile
                            "sha256", JsonValue.Text sha
                            "facts", JsonValue.Object facts
                        ]
                    |> JsonValue.writeFile (Path.Combine(folder, manifestFile))
            })

    let private shapeError
        (path: string)
        (array: NpyArray)
        (expected: string)
        : Result<'T, Error list> =
        Error.make ErrorKind.Shape "the array does not hold draws"
        |> Error.withFile path
        |> Error.found (array.Shape |> List.map string |> String.concat " × ")
        |> Error.expected expected
        |> Error.fail

    let private readFolder (folder: string) : Result<ModelParameter[] * DrawTable, Error list> =
        let path = Path.Combine(folder, tableFile)

        result {
            let! json = Json.parseFile (Path.Combine(folder, manifestFile))
            let! _ = Json.field "schema" (Json.oneOf [ schema, () ]) json
            let! parameters = Json.field "parameters" (Json.list ParameterJson.read) json
            let! chains = Json.field "chains" Json.int json
            let! together = Json.field "together" Json.int json
            let! sha = Json.field "sha256" Json.text json
            let! found = hash path

            do!
                Validation.require
                    (found = sha)
                    (Error.make ErrorKind.Value "not the file that the manifest lists"
                     |> Error.withFile path
                     |> Error.found found
                     |> Error.expected sha)

            let! array = Npy.readFloats path
            let parameters = Array.ofList parameters
            let n, width = parameters.Length, parameters.Length + 3

            match array.Shape with
            | [ rows; columns ] when columns = width ->
                let column (k: int) : float[] =
                    Array.init rows (fun r -> array.Values[r * width + k])

                let weights = column (n + 1)

                let! table =
                    DrawTable.create
                        (parameters |> Array.map _.Name)
                        (parameters |> Array.map _.Bounds)
                        chains
                        (Array.init (rows * n) (fun k -> array.Values[k / n * width + k % n]))
                        (column n)
                        (if Array.forall ((=) 1.0) weights then
                             None
                         else
                             Some weights)
                    |> Result.mapError (List.map (Error.withFile path))

                return parameters, DrawTable.inEnsembles together table
            | _ -> return! shapeError path array $"draws × {width}"
        }

    let private readLabels (folder: string) : Result<ModelParameter[] * DrawTable, Error list> =
        result {
            let! manifest = LabelFiles.readManifest folder

            let others =
                manifest.Shards
                |> List.map _.Tag
                |> List.distinct
                |> List.except [ Design.tag; Tempered.tag ]

            do!
                Validation.require
                    others.IsEmpty
                    (Error.make ErrorKind.Value "the labels are no draws of the posterior"
                     |> Error.withFile folder
                     |> Error.found (String.concat ", " others)
                     |> Error.expected $"{Design.tag} or {Tempered.tag}"
                     |> Error.hint "`funlik sample --ess N` leaves draws.")

            let! labels = LabelFiles.read folder LabelUse.Train

            let! table =
                DrawTable.ofLabels manifest.Parameters labels
                |> Result.mapError (List.map (Error.withFile folder))

            // What `funlik sample` says of how the draws were made.
            let isEnsemble =
                manifest.Facts
                |> List.exists (fun (name, value) ->
                    name = "sampler"
                    && SamplerKind.names
                       |> List.exists (fun (known, kind) ->
                           value = JsonValue.Text known && SamplerKind.isEnsemble kind))

            return
                manifest.Parameters,
                (if isEnsemble then
                     DrawTable.inEnsembles table.Chains table
                 else
                     table)
        }

    let private readArray
        (columns: DrawColumns)
        (path: string)
        : Result<ModelParameter[] * DrawTable, Error list> =
        let named (width: int) : Result<string[], Error list> =
            match columns.Names with
            | [] -> Ok(Array.init width (fun i -> $"x{i}"))
            | names when names.Length = width -> Ok(Array.ofList names)
            | names ->
                Error.make ErrorKind.Shape "the names of the columns are not as many as the columns"
                |> Error.withFile path
                |> Error.found $"{names.Length} names"
                |> Error.expected $"{width}"
                |> Error.fail

        let table (chains: int) (rows: int) (width: int) (values: float[]) =
            result {
                let! names = named width

                let place (wanted: string option) : Result<int option, Error list> =
                    match wanted with
                    | None -> Ok None
                    | Some name ->
                        match Array.tryFindIndex ((=) name) names with
                        | Some k -> Ok(Some k)
                        | None ->
                            Error.make ErrorKind.Name $"no column is called '{name}'"
                            |> Error.withFile path
                            |> Error.expected (String.concat ", " names)
                            |> Error.fail

                let! weight = place columns.Weight
                let! logDensity = place columns.LogDensity
                let column (k: int) : float[] = Array.init rows (fun r -> values[r * width + k])

                let kept =
                    Array.init width id
                    |> Array.filter (fun k -> Some k <> weight && Some k <> logDensity)

                let n = kept.Length
                let keptNames = kept |> Array.map (fun k -> names[k])

                let! table =
                    DrawTable.create
                        keptNames
                        (Array.create n (struct (-infinity, infinity)))
                        chains
                        (Array.init (rows * n) (fun k -> values[k / n * width + kept[k % n]]))
                        (logDensity
                         |> Option.map column
                         |> Option.defaultWith (fun () -> Array.create rows nan))
                        (weight |> Option.map column)
                    |> Result.mapError (List.map (Error.withFile path))

                return
                    keptNames
                    |> Array.map (fun name -> ModelParameter.create name ParameterKind.Nuisance 0.0),
                    table
            }

        Npy.readFloats path
        |> Result.bind (fun array ->
            match array.Shape with
            | [ rows; width ] when rows > 0 && width > 0 -> table 1 rows width array.Values
            | [ chains; length; width ] when chains > 0 && length > 0 && width > 0 ->
                table chains (chains * length) width array.Values
            | _ -> shapeError path array "draws × parameters, or chains × draws × parameters")

    /// Reads draws with their parameters: a folder of draws or of labels, or an array in `.npy` of draws × columns (one chain) or chains ×
    /// draws × columns. Errors name the file and the place.
    let read
        (columns: DrawColumns)
        (path: string)
        : Result<ModelParameter[] * DrawTable, Error list> =
        if Directory.Exists path then
            if File.Exists(Path.Combine(path, manifestFile)) then
                readFolder path
            else
                readLabels path
        else
            readArray columns path
