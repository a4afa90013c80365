namespace FunLik

/// Whether an ONNX file gives what the engine gives.
[<RequireQualifiedAccess>]
type Agreement =
    /// By ONNX Runtime of this version, at so many points: the largest difference relative to max(1, |y|).
    | Checked of version: string * points: int * largest: float
    /// Not checked, and why.
    | NotChecked of reason: string

/// Comparing the values of two engines.
[<RequireQualifiedAccess>]
module Agreement =

    /// |a - b| relative to max(1, |b|); infinite where one of two different numbers is none.
    let difference (found: float) (expected: float) : float =
        let relative = abs (found - expected) / max 1.0 (abs expected)

        if found = expected then 0.0
        elif System.Double.IsNaN relative then infinity
        else relative

    /// The largest difference of two arrays of the same length.
    let largest (found: float[]) (expected: float[]) : float =
        Array.map2 difference found expected |> Array.fold max 0.0

    /// Rows that are given to ONNX Runtime at once.
    let private tile = 1024

    let private misfit (output: string) (expected: string) : Result<'T, Error list> =
        Error.make
            ErrorKind.Unsupported
            "an output of the ONNX file is not one of a likelihood of ours"
        |> Error.at output
        |> Error.expected expected
        |> Error.fail

    /// The outputs of rows, each a number a row or a vector a row.
    let private run (session: OnnxSession) (input: string) (columns: int) (points: float[]) =
        let rows = points.Length / columns

        session.Run [ { Name = input; Dims = [ rows; columns ]; Data = OnnxData.Double points } ]
        |> Result.bind (
            List.map (fun tensor ->
                match tensor.Data with
                | OnnxData.Double values when values.Length > 0 && values.Length % rows = 0 ->
                    Ok(tensor.Name, values)
                | _ ->
                    misfit
                        tensor.Name
                        $"numbers of float64, the same count for each of {rows} rows")
            >> Error.collect
        )

    /// The outputs of a likelihood's ONNX file, by name, at points of so many numbers each: `logDensity`, and `gradient` where the
    /// file has it. By ONNX Runtime, in tiles of rows.
    let evaluate
        (onnx: byte[])
        (columns: int)
        (points: float[])
        : Result<Map<string, float[]>, Error list> =
        OnnxRuntime.openBytes OnnxSessionOptions.defaults onnx
        |> Result.bind (fun session ->
            use session = session

            match session.Inputs with
            | [ input ] ->
                points
                |> Array.chunkBySize (tile * columns)
                |> List.ofArray
                |> List.map (run session input.Name columns)
                |> Error.collect
                |> Result.map (
                    List.concat
                    >> List.groupBy fst
                    >> List.map (fun (name, parts) -> name, parts |> List.map snd |> Array.concat)
                    >> Map.ofList
                )
            | inputs ->
                Error.make ErrorKind.Unsupported "the ONNX file of a likelihood has one input"
                |> Error.found $"{inputs.Length}"
                |> Error.fail)

    /// The log densities at points, by ONNX Runtime.
    let logDensities (onnx: byte[]) (columns: int) (points: float[]) : Result<float[], Error list> =
        evaluate onnx columns points
        |> Result.bind (fun outputs ->
            match Map.tryFind "logDensity" outputs with
            | Some values when values.Length = points.Length / columns -> Ok values
            | _ -> misfit "logDensity" "one number a row")
