namespace FunLik

open System
open System.IO

/// A bundle that was read: its files are those that the card describes.
type Bundle =
    {
        /// The folder.
        Folder: string
        /// What the card says.
        Card: BundleCard
        /// The function, with parameters as the ONNX file names them.
        Likelihood: Likelihood
        /// The ONNX file's bytes.
        Onnx: byte[]
        /// The points of the test vectors, row-major.
        Points: float[]
        /// The log densities there, as they were when the bundle was written.
        Values: float[]
    }

/// How a bundle's test vectors came out again.
type Verification =
    {
        /// The number of test vectors.
        Points: int
        /// The largest difference of the engine's values, relative to max(1, |y|).
        Engine: float
        /// The same of ONNX Runtime, where it is there.
        OnnxRuntime: Agreement
    }

/// Surrogates as folders: `model.onnx` with scaling inside, test vectors, and a card that says what it is and how good.
[<RequireQualifiedAccess>]
module Bundle =

    /// The files of a bundle besides the card.
    let modelFile, quadraticFile, pointsFile, valuesFile =
        "model.onnx", "quadratic.onnx", "points.npy", "values.npy"

    /// The card's file.
    let cardFile: string = "card.json"

    /// The largest difference from the engine, relative to max(1, |y|), that a published file may have, and that `verify` lets pass.
    let tolerance: float = 1e-6

    /// A surrogate as an ONNX file: the network in single precision, all around it in double; with an output `gradient` if wished.
    let toOnnx
        (hasGradient: bool)
        (reference: float[])
        (provenance: (string * string) list)
        (surrogate: Surrogate)
        : Result<byte[], Error list> =
        let model = surrogate.Likelihood
        let _, overTheta = Likelihood.overTheta model
        let input, output = surrogate.Single

        let precision =
            match overTheta [ input; output ] with
            | [ first; last ] -> OnnxPrecision.SingleBetween([ first ], [ last ])
            | _ -> invalidOp "as many results as expressions"

        let record =
            { OnnxRecord.ofLikelihood model with
                Reference = Some reference
                Provenance = provenance
            }

        let options =
            { OnnxOptions.defaults with Precision = precision; Gradient = hasGradient }

        Onnx.ofLikelihood options model
        |> Result.map (Onnx.withRecord record)
        |> Result.bind OnnxFormat.write

    /// A surrogate's quadratic alone as an ONNX file: the baseline of all checks.
    let quadraticToOnnx (surrogate: Surrogate) : Result<byte[], Error list> =
        Onnx.ofLikelihood OnnxOptions.defaults surrogate.Baseline
        |> Result.bind OnnxFormat.write

    /// Evaluates an ONNX file by ONNX Runtime and compares with the engine's values at points, row-major. Without the library that
    /// is not checked, and no error.
    let agreement
        (onnx: byte[])
        (points: float[])
        (values: float[])
        : Result<Agreement, Error list> =
        match OnnxRuntime.version () with
        | Result.Error errors -> Ok(Agreement.NotChecked((List.head errors).Message))
        | Ok version ->
            Agreement.logDensities onnx (points.Length / max 1 values.Length) points
            |> Result.map (fun found ->
                Agreement.Checked(version, values.Length, Agreement.largest found values))

    /// Writes a bundle; the card last, with the hashes of the other files. Gives the card.
    let write
        (folder: string)
        (card: (string * JsonValue) list)
        (onnx: byte[])
        (quadratic: byte[])
        (points: float[])
        (values: float[])
        : Result<JsonValue, Error list> =
        let at (name: string) : string = Path.Combine(folder, name)
        let columns = points.Length / max 1 values.Length

        let writeBytes (name: string) (bytes: byte[]) : Result<unit, Error list> =
            AtomicFile.write (at name) (fun stream ->
                stream.Write(bytes, 0, bytes.Length)
                Ok())

        let described (name: string) : JsonValue =
            let sha256 =
                Security.Cryptography.SHA256.HashData(File.ReadAllBytes(at name))
                |> Convert.ToHexStringLower

            JsonValue.Object [ "name", JsonValue.Text name; "sha256", JsonValue.Text sha256 ]

        FileError.guard folder (fun () ->
            Directory.CreateDirectory folder |> ignore

            writeBytes modelFile onnx
            |> Result.bind (fun () -> writeBytes quadraticFile quadratic)
            |> Result.bind (fun () ->
                Npy.writeFloats
                    (at pointsFile)
                    { Shape = [ values.Length; columns ]; Values = points })
            |> Result.bind (fun () ->
                Npy.writeFloats (at valuesFile) { Shape = [ values.Length ]; Values = values })
            |> Result.bind (fun () ->
                let files =
                    [ modelFile; quadraticFile; pointsFile; valuesFile ]
                    |> List.map described
                    |> JsonValue.List

                let whole = JsonValue.Object(card @ [ "files", files ])
                JsonValue.writeFile (at cardFile) whole |> Result.map (fun () -> whole)))

    // ---- Back

    /// What is wrong with a file that is not as the card says.
    let private checkHash (folder: string) (name: string, expected: string) =
        let path = Path.Combine(folder, name)

        FileError.guard path (fun () ->
            use stream = File.OpenRead path
            let found = Convert.ToHexStringLower(Security.Cryptography.SHA256.HashData stream)

            if found = expected then
                Ok()
            else
                Error.make ErrorKind.Value "the file is not the one that the card describes"
                |> Error.withFile path
                |> Error.found $"SHA-256 {found}"
                |> Error.expected expected
                |> Error.fail)

    let private checkFiles (folder: string) (card: BundleCard) : Result<unit, Error list> =
        let listed = card.Files |> List.map fst

        let missing =
            [ modelFile; pointsFile; valuesFile ]
            |> List.filter (fun name -> not (List.contains name listed))
            |> List.map (fun name ->
                Error.make ErrorKind.Schema "the card does not list a file that a bundle has"
                |> Error.withFile (Path.Combine(folder, cardFile))
                |> Error.at "$.files"
                |> Error.expected name)

        if missing.IsEmpty then
            card.Files |> List.map (checkHash folder) |> Error.collect |> Result.map ignore
        else
            Result.Error missing

    let private checkNames
        (folder: string)
        (card: BundleCard)
        (model: Likelihood)
        : Result<unit, Error list> =
        let names = Likelihood.names model |> List.ofArray

        Validation.require
            (names = card.Parameters)
            (Error.make ErrorKind.Name "the card's parameters are not those of the ONNX file"
             |> Error.withFile (Path.Combine(folder, cardFile))
             |> Error.at "$.model.parameters"
             |> Error.found (String.concat ", " card.Parameters)
             |> Error.expected (String.concat ", " names))

    let private checkShapes
        (folder: string)
        (card: BundleCard)
        (points: NpyArray, values: NpyArray)
        : Result<unit, Error list> =
        let columns = card.Parameters.Length

        let shape (name: string) (expected: string) (isRight: bool) (array: NpyArray) =
            Validation.require
                isRight
                (Error.make ErrorKind.Shape "the test vectors have another shape"
                 |> Error.withFile (Path.Combine(folder, name))
                 |> Error.found (array.Shape |> List.map string |> String.concat " × ")
                 |> Error.expected expected)

        match values.Shape with
        | [ rows ] when rows > 0 ->
            shape pointsFile $"{rows} × {columns}" (points.Shape = [ rows; columns ]) points
        | _ -> shape valuesFile "one axis, at least one value" false values

    /// Reads a bundle. Its files must be those that the card describes, by their hashes; what is not right is told, all of one kind at
    /// once. Nothing is evaluated: see `verify`.
    let read (folder: string) : Result<Bundle, Error list> =
        let at (name: string) : string = Path.Combine(folder, name)

        result {
            let! json = Json.parseFile (at cardFile)
            let! card = BundleCard.ofJson json
            do! checkFiles folder card
            let! onnx = Json.readBytes Json.defaultLimit (at modelFile)

            let! likelihood =
                OnnxFormat.read onnx
                |> Result.bind Onnx.toLikelihood
                |> Result.mapError (List.map (Error.withFile (at modelFile)))

            do! checkNames folder card likelihood

            let! arrays =
                Validation.map2
                    (fun points values -> points, values)
                    (Npy.readFloats (at pointsFile))
                    (Npy.readFloats (at valuesFile))

            do! checkShapes folder card arrays

            return
                {
                    Folder = folder
                    Card = card
                    Likelihood = likelihood
                    Onnx = onnx
                    Points = (fst arrays).Values
                    Values = (snd arrays).Values
                }
        }

    /// Of many outputs that moved the first ones are named.
    let private named = 5

    /// The largest difference, or the outputs that moved by more than `tolerance`.
    let private compare
        (bundle: Bundle)
        (engine: string)
        (found: float[])
        : Result<float, Error list> =
        Array.mapi2 (fun row f e -> row, f, e, Agreement.difference f e) found bundle.Values
        |> Seq.filter (fun (_, _, _, size) -> not (size <= tolerance))
        |> Seq.truncate named
        |> Seq.map (fun (row, f, e, size) ->
            Error.make
                ErrorKind.Value
                $"{engine} gives another log density at a test vector, %.1e{size} away relative to max(1, |y|)"
            |> Error.withFile (Path.Combine(bundle.Folder, valuesFile))
            |> Error.at $"row {row}"
            |> Error.found (JsonValue.formatNumber f)
            |> Error.expected (JsonValue.formatNumber e))
        |> List.ofSeq
        |> function
            | [] -> Ok(Agreement.largest found bundle.Values)
            | errors -> Result.Error errors

    /// Evaluates a bundle's test vectors anew by the engine, and by ONNX Runtime where it is there. An output that moved by more than
    /// `tolerance`, relative to max(1, |y|), is an error that names it.
    let verify (options: RunOptions) (bundle: Bundle) : Result<Verification, Error list> =
        let runtime () : Result<Agreement, Error list> =
            match OnnxRuntime.version () with
            | Result.Error errors -> Ok(Agreement.NotChecked((List.head errors).Message))
            | Ok version ->
                Agreement.logDensities bundle.Onnx bundle.Card.Parameters.Length bundle.Points
                |> Result.bind (compare bundle "ONNX Runtime")
                |> Result.map (fun largest ->
                    Agreement.Checked(version, bundle.Values.Length, largest))

        let engine () : Result<float, Error list> =
            (Objective.ofLikelihood bundle.Likelihood).Values(bundle.Points, options)
            |> compare bundle Engine.name

        Validation.map2
            (fun engine runtime ->
                { Points = bundle.Values.Length; Engine = engine; OnnxRuntime = runtime })
            (engine ())
            (runtime ())
