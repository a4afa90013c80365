namespace FunLik

open System
open System.IO
open System.Threading.Tasks

/// Where drawing into a folder stands, besides the tables of draws that are in it: enough to go on as if there had been no interruption.
type DrawState =
    {
        /// The hash of all that the draws depend on.
        Inputs: string
        /// The chains now.
        Chains: Chains
        /// Draws of each chain that are in the tables.
        Kept: int
        /// How many tables there are.
        Shards: int
        /// The mean acceptance probability of the draws so far.
        Acceptance: float
        /// Divergent trajectories so far.
        Divergences: int
        /// Evaluations of the draws so far.
        Calls: ExactCalls
    }

/// Draws on disk: reading them parameter by parameter, and the state that lets a run go on.
[<RequireQualifiedAccess>]
module DrawFiles =

    let private schema = "funlik-draws/1"
    let private file = "sampling.json"
    let private chainsFile (kept: int) : string = $"chains-{kept:d9}.npy"

    let private columns (state: DrawState) : int =
        2
        + state.Chains.Dimension
        + state.Chains.Gradient.Length / max 1 state.Chains.Count

    /// One row a chain: its point, its log density, and its gradient where the sampler asks for one.
    let private table (chains: Chains) : float[] =
        let n = chains.Dimension
        let slopes = chains.Gradient.Length / chains.Count

        Array.init chains.Count (fun c ->
            Array.concat
                [
                    chains.Points.AsSpan(c * n, n).ToArray()
                    [| chains.LogDensity[c]; float chains.Step |]
                    chains.Gradient.AsSpan(c * slopes, slopes).ToArray()
                ])
        |> Array.concat

    let private ofTable (n: int) (array: NpyArray) : Chains =
        let width = array.Shape[1]
        let count = array.Shape[0]

        let part (first: int) (length: int) : float[] =
            Array.init (count * length) (fun k ->
                array.Values[k / length * width + first + k % length])

        {
            Step = int array.Values[n + 1]
            Points = part 0 n
            LogDensity = part n 1
            Gradient = if width > n + 2 then part (n + 2) n else [||]
        }

    /// Writes where a run stands; the tables that it counts are there already.
    let writeState (folder: string) (state: DrawState) : Result<unit, Error list> =
        let name = chainsFile state.Kept

        Npy.writeRows (Path.Combine(folder, name)) (columns state) [ table state.Chains ]
        |> Result.bind (fun _ ->
            JsonValue.Object
                [
                    "schema", JsonValue.Text schema
                    "inputs", JsonValue.Text state.Inputs
                    "chains", JsonValue.Text name
                    "kept", JsonValue.Int(int64 state.Kept)
                    "shards", JsonValue.Int(int64 state.Shards)
                    "acceptance", JsonValue.Number state.Acceptance
                    "divergences", JsonValue.Int(int64 state.Divergences)
                    "values", JsonValue.Int state.Calls.Values
                    "gradients", JsonValue.Int state.Calls.Gradients
                ]
            |> JsonValue.writeFile (Path.Combine(folder, file)))
        |> Result.bind (fun () ->
            FileError.guard folder (fun () ->
                for old in Directory.GetFiles(folder, "chains-*.npy") do
                    if Path.GetFileName old <> name then
                        File.Delete old

                Ok()))

    /// Where a run stands that has drawn into a folder; None where nobody has.
    let readState (folder: string) (dimension: int) : Result<DrawState option, Error list> =
        let path = Path.Combine(folder, file)

        let int64 (name: string) (json: Json) : Result<int64, Error list> =
            Json.field name Json.float json |> Result.map int64

        let chains (json: Json) : Result<Chains, Error list> =
            Json.field "kept" Json.int json
            |> Result.bind (fun kept ->
                let path = Path.Combine(folder, chainsFile kept)

                Npy.readFloats path
                |> Result.bind (fun array ->
                    match array.Shape with
                    | [ count; width ] when
                        count > 0 && (width = dimension + 2 || width = 2 * dimension + 2)
                        ->
                        Ok(ofTable dimension array)
                    | shape ->
                        Error.make ErrorKind.Shape "not chains of this model"
                        |> Error.withFile path
                        |> Error.found (shape |> List.map string |> String.concat " × ")
                        |> Error.expected
                            $"chains × {dimension + 2}, or × {2 * dimension + 2} with gradients"
                        |> Error.fail))

        if not (File.Exists path) then
            Ok None
        else
            Json.parseFile path
            |> Result.bind (fun json ->
                Ok(fun () inputs chains kept shards acceptance divergences values gradients ->
                    {
                        Inputs = inputs
                        Chains = chains
                        Kept = kept
                        Shards = shards
                        Acceptance = acceptance
                        Divergences = divergences
                        Calls = { Values = values; Gradients = gradients }
                    })
                |> Validation.apply (Json.field "schema" (Json.oneOf [ schema, () ]) json)
                |> Validation.apply (Json.field "inputs" Json.text json)
                |> Validation.apply (chains json)
                |> Validation.apply (Json.field "kept" Json.int json)
                |> Validation.apply (Json.field "shards" Json.int json)
                |> Validation.apply (Json.field "acceptance" Json.float json)
                |> Validation.apply (Json.field "divergences" Json.int json)
                |> Validation.apply (int64 "values" json)
                |> Validation.apply (int64 "gradients" json))
            |> Result.map Some

    /// Rows that are read at once.
    let private readRows = 4096

    /// Draws of some columns of tables whose rows are draws, chain after chain in each draw: by column, one array a chain.
    let private series
        (folder: string)
        (chains: int)
        (draws: int)
        (first: int)
        (count: int)
        (shards: LabelShard list)
        : Result<float[][][], Error list> =
        let columns =
            Array.init count (fun _ -> Array.init chains (fun _ -> Array.zeroCreate draws))

        let read (row: int64) (shard: LabelShard) : Result<int64, Error list> =
            let path = Path.Combine(folder, shard.File)

            Npy.openRows path
            |> Result.bind (fun rows ->
                if rows.Rows = int64 shard.Rows && rows.Columns >= first + count then
                    Ok rows
                else
                    (rows :> IDisposable).Dispose()

                    Error.make ErrorKind.Shape "not the table that labels.json lists"
                    |> Error.withFile path
                    |> Error.found $"{rows.Rows} × {rows.Columns}"
                    |> Error.expected $"{shard.Rows} rows with all parameters"
                    |> Error.fail)
            |> Result.map (fun rows ->
                use rows = rows
                let buffer: float[] = Array.zeroCreate (readRows * rows.Columns)
                let mutable at = 0L

                while at < rows.Rows do
                    let here = int (min (int64 readRows) (rows.Rows - at))
                    rows.ReadRows(at, here, Span buffer)

                    for r in 0 .. here - 1 do
                        let place = row + at + int64 r
                        let chain, draw = int (place % int64 chains), int (place / int64 chains)

                        for k in 0 .. count - 1 do
                            let column: float[][] = columns[k]
                            let draws: float[] = column[chain]
                            draws[draw] <- buffer[r * rows.Columns + first + k]

                    at <- at + int64 here

                row + rows.Rows)

        shards
        |> List.fold (fun so shard -> so |> Result.bind (fun row -> read row shard)) (Ok 0L)
        |> Result.map (fun _ -> columns)

    /// Numbers that are held in memory at once.
    let private budget = 32_000_000

    /// The diagnostics of every parameter of the draws in a folder, of so many chains that move in groups of so many. No more than a few
    /// parameters are in memory at once.
    let diagnose
        (options: RunOptions)
        (folder: string)
        (chains: int)
        (group: int)
        (manifest: LabelManifest)
        : Result<Diagnosis[], Error list> =
        let names = manifest.Parameters |> Array.map _.Name
        let draws = (manifest.Shards |> List.sumBy _.Rows) / chains
        let atOnce = budget / max 1 (chains * draws) |> max 1 |> min names.Length

        let some (first: int) : Result<Diagnosis[], Error list> =
            options.Cancellation.ThrowIfCancellationRequested()
            let count = min atOnce (names.Length - first)

            series folder chains draws first count manifest.Shards
            |> Result.map (fun columns ->
                // Each thread takes neighbours, which share what depends on the number of draws alone.
                let parts = Array.splitInto (min count options.Threads) [| 0 .. count - 1 |]
                let found: Diagnosis[][] = Array.zeroCreate parts.Length

                Parallel.For(
                    0,
                    parts.Length,
                    ParallelOptions(
                        MaxDegreeOfParallelism = options.Threads,
                        CancellationToken = options.Cancellation
                    ),
                    fun p ->
                        let columnsHere = parts[p] |> Array.map (fun k -> columns[k])
                        let namesHere = parts[p] |> Array.map (fun k -> names[first + k])

                        found[p] <-
                            Diagnostics.diagnoseGroups group namesHere (Array.get columnsHere)
                )
                |> ignore

                Array.concat found)

        [ 0..atOnce .. names.Length - 1 ]
        |> List.fold
            (fun so first ->
                so
                |> Result.bind (fun before ->
                    some first |> Result.map (fun found -> Array.append before found)))
            (Ok [||])
