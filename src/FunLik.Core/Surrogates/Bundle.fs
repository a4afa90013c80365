namespace FunLik

open System
open System.IO

/// Whether an ONNX file gives what the engine gives.
[<RequireQualifiedAccess>]
type Agreement =
    /// By ONNX Runtime of this version, at so many points: the largest difference relative to max(1, |y|).
    | Checked of version: string * points: int * largest: float
    /// Not checked, and why.
    | NotChecked of reason: string

/// Surrogates as folders: `model.onnx` with scaling inside, test vectors, and a card that says what it is and how good.
[<RequireQualifiedAccess>]
module Bundle =

    /// The largest difference from the engine, relative to max(1, |y|), that a published file may have.
    let tolerance: float = 1e-5

    /// The files of a bundle besides the card.
    let modelFile, pointsFile, valuesFile = "model.onnx", "points.npy", "values.npy"

    /// The card's file.
    let cardFile: string = "card.json"

    /// A surrogate as an ONNX file: the network in single precision, all around it in double.
    let toOnnx
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

        Onnx.ofLikelihood { OnnxOptions.defaults with Precision = precision } model
        |> Result.map (Onnx.withRecord record)
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
            OnnxRuntime.openBytes OnnxSessionOptions.defaults onnx
            |> Result.bind (fun session ->
                use session = session
                let found = Array.zeroCreate values.Length

                session.Evaluate(ReadOnlySpan points, values.Length, found.AsSpan())
                |> Result.map (fun () ->
                    let relative (a: float) (b: float) : float = abs (a - b) / max 1.0 (abs b)

                    Agreement.Checked(
                        version,
                        values.Length,
                        Array.map2 relative found values |> Array.max
                    )))

    /// Writes a bundle; the card last, with the hashes of the other files. Gives the card.
    let write
        (folder: string)
        (card: (string * JsonValue) list)
        (onnx: byte[])
        (points: float[])
        (values: float[])
        : Result<JsonValue, Error list> =
        let at (name: string) : string = Path.Combine(folder, name)
        let columns = points.Length / max 1 values.Length

        let writeModel () : Result<unit, Error list> =
            AtomicFile.write (at modelFile) (fun stream ->
                stream.Write(onnx, 0, onnx.Length)
                Ok())

        let described (name: string) : JsonValue =
            let sha256 =
                Security.Cryptography.SHA256.HashData(File.ReadAllBytes(at name))
                |> Convert.ToHexStringLower

            JsonValue.Object [ "name", JsonValue.Text name; "sha256", JsonValue.Text sha256 ]

        FileError.guard folder (fun () ->
            Directory.CreateDirectory folder |> ignore

            writeModel ()
            |> Result.bind (fun () ->
                Npy.writeFloats
                    (at pointsFile)
                    { Shape = [ values.Length; columns ]; Values = points })
            |> Result.bind (fun () ->
                Npy.writeFloats (at valuesFile) { Shape = [ values.Length ]; Values = values })
            |> Result.bind (fun () ->
                let files =
                    [ modelFile; pointsFile; valuesFile ] |> List.map described |> JsonValue.List

                let whole = JsonValue.Object(card @ [ "files", files ])
                JsonValue.writeFile (at cardFile) whole |> Result.map (fun () -> whole)))
