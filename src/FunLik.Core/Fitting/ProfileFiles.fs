namespace FunLik

open System
open System.IO
open System.Threading
open System.Threading.Tasks

/// How profiled points are laid out on disk.
type ProfileFilesOptions =
    {
        /// The rows of a file; what is held in memory at once, for each thread.
        RowsPerFile: int
        /// Whether the parameters that were profiled away are written too.
        Profiled: bool
    }

    /// 65,536 rows a file, without the parameters that were profiled away.
    static member Default: ProfileFilesOptions = { RowsPerFile = 65_536; Profiled = false }

/// What was written into a folder of profiled points.
type ProfileFilesReport =
    {
        /// The names of the columns.
        Columns: string[]
        /// The names of the files, in the order of the points.
        Files: string[]
        /// How many of them were there before.
        Reused: int
        /// The number of points.
        Rows: int64
        /// How many points ended in which way, without those that are none.
        Statuses: (FitStatus * int64) list
        /// The largest gradient norm of a point that converged (`ProfiledPoints.GradientNorms`).
        LargestGradientNorm: float
        /// The largest estimated distance to the maximum, in twiceNll, of a point that converged.
        LargestEdm: float
    }

/// Profiling many points to disk: `.npy` files of as many rows each, and `profile.json`, which describes them and is written last. Files stand
/// whole or not at all; what stands is not computed again, so that what was interrupted goes on where it was.
[<RequireQualifiedAccess>]
module ProfileFiles =

    let private schema = "funlik-profile/1"

    /// A status is written as its place here.
    let private statuses: FitStatus[] =
        [|
            FitStatus.Converged
            FitStatus.MaxIterations
            FitStatus.NoProgress
            FitStatus.NotFinite
            FitStatus.Unbounded
        |]

    let private profiledNames (profiler: Profiler) : string[] =
        profiler.Fitter.Objective.Parameters
        |> Array.map _.Name
        |> Array.except (Profiler.kept profiler)

    /// The columns: the kept parameters, the log density, its gradient in them, the gradient norm, the EDM, the status, and the other parameters
    /// if they are asked for.
    let columns (options: ProfileFilesOptions) (profiler: Profiler) : string[] =
        let kept = Profiler.kept profiler

        Array.concat
            [
                kept
                [| "logDensity" |]
                kept |> Array.map (fun name -> $"d logDensity / d {name}")
                [| "gradientNorm"; "edm"; "status" |]
                (if options.Profiled then profiledNames profiler else [||])
            ]

    /// The table of some points, row-major.
    let private table
        (options: ProfileFilesOptions)
        (profiler: Profiler)
        (points: float[])
        (run: RunOptions)
        : float[] =
        let found = Profiler.evaluate profiler points run
        let k, n = profiler.Keep.Length, profiler.Centre.Length
        let width = (columns options profiler).Length

        let profiled =
            if options.Profiled then
                [| 0 .. n - 1 |] |> Array.except profiler.Keep
            else
                [||]

        let values = Array.zeroCreate (found.Values.Length * width)

        for r in 0 .. found.Values.Length - 1 do
            let at = r * width
            Array.Copy(points, r * k, values, at, k)
            values[at + k] <- found.Values[r]
            Array.Copy(found.Gradients, r * k, values, at + k + 1, k)
            values[at + 2 * k + 1] <- found.GradientNorms[r]
            values[at + 2 * k + 2] <- found.Edms[r]
            values[at + 2 * k + 3] <- float (Array.IndexOf(statuses, found.Statuses[r]))

            for j in 0 .. profiled.Length - 1 do
                values[at + 2 * k + 4 + j] <- found.Points[r * n + profiled[j]]

        values

    let private sameBits (a: float) (b: float) : bool =
        BitConverter.DoubleToInt64Bits a = BitConverter.DoubleToInt64Bits b

    /// The table that stands in a file already. It must be that of these points, and its first row what the profiler gives.
    let private standing
        (options: ProfileFilesOptions)
        (profiler: Profiler)
        (points: float[])
        (path: string)
        (run: RunOptions)
        : Result<float[], Error list> =
        let k = profiler.Keep.Length
        let width = (columns options profiler).Length
        let rows = points.Length / k

        let isStatus (value: float) : bool =
            Array.exists (fun s -> value = float s) [| 0 .. statuses.Length - 1 |]

        let isSame (array: NpyArray) : bool =
            array.Shape = [ rows; width ]
            && Seq.forall
                (fun r -> isStatus array.Values[r * width + 2 * k + 3])
                (seq { 0 .. rows - 1 })
            && Seq.forall
                (fun i -> sameBits points[i] array.Values[i / k * width + i % k])
                (seq { 0 .. points.Length - 1 })
            && (rows = 0
                || Array.forall2
                    sameBits
                    (table options profiler (Array.truncate k points) run)
                    (Array.truncate width array.Values))

        Npy.readFloats path
        |> Result.bind (fun array ->
            if isSame array then
                Ok array.Values
            else
                Error.make
                    ErrorKind.Value
                    "the file holds other points, or the same of another profile"
                |> Error.withFile path
                |> Error.hint "Name another folder, or remove what stands in this one."
                |> Error.fail)

    /// Profiles `count` points into a folder, which is made if it is not there. `pointsOf first rows` gives the kept parameters of some rows,
    /// row-major; it is called by several threads, and must give the same whenever it is called. Each thread holds one file in memory; the files
    /// do not depend on how many there are. `progress` is told the number of rows that are done.
    let write
        (options: ProfileFilesOptions)
        (folder: string)
        (count: int64)
        (pointsOf: int64 -> int -> float[])
        (progress: int64 -> unit)
        (run: RunOptions)
        (profiler: Profiler)
        : Result<ProfileFilesReport, Error list> =
        let k = profiler.Keep.Length
        let names = columns options profiler
        let width = names.Length
        let each = int64 (max 1 options.RowsPerFile)
        let files = int ((count + each - 1L) / each)
        let nameOf (file: int) : string = $"profile-{file:d5}.npy"
        let alone = { run with Threads = 1 }
        let finished = [| 0L |]

        let one (file: int) : Result<bool * int64[] * float * float, Error list> =
            run.Cancellation.ThrowIfCancellationRequested()
            let first = int64 file * each
            let rows = int (min each (count - first))
            let points = pointsOf first rows
            let path = Path.Combine(folder, nameOf file)
            let isThere = File.Exists path

            if points.Length <> rows * k then
                Error.make ErrorKind.Shape $"the points from {first} on"
                |> Error.found $"{points.Length} numbers"
                |> Error.expected $"{rows} × {k}"
                |> Error.fail
            elif isThere then
                standing options profiler points path alone
            else
                let values = table options profiler points alone
                Npy.writeRows path width [ values ] |> Result.map (fun _ -> values)
            |> Result.map (fun values ->
                let counts = Array.zeroCreate statuses.Length
                let mutable norm, edm = 0.0, 0.0

                for r in 0 .. rows - 1 do
                    let at = r * width + 2 * k + 1
                    let status = int values[at + 2]
                    counts[status] <- counts[status] + 1L

                    if statuses[status].IsConverged then
                        norm <- max norm values[at]
                        edm <- max edm values[at + 1]

                progress (Interlocked.Add(&finished[0], int64 rows))
                isThere, counts, norm, edm)

        FileError.guard folder (fun () ->
            Directory.CreateDirectory folder |> ignore
            let parts = Array.zeroCreate files

            try
                Parallel.For(
                    0,
                    files,
                    ParallelOptions(MaxDegreeOfParallelism = max 1 run.Threads),
                    fun file -> parts[file] <- one file
                )
                |> ignore
            with :? AggregateException as several ->
                Runtime.ExceptionServices.ExceptionDispatchInfo.Throw several.InnerExceptions[0]

            parts
            |> List.ofArray
            |> Error.collect
            |> Result.bind (fun parts ->
                let report =
                    {
                        Columns = names
                        Files = Array.init files nameOf
                        Reused =
                            parts |> List.filter (fun (there, _, _, _) -> there) |> List.length
                        Rows = count
                        Statuses =
                            [
                                for s in 0 .. statuses.Length - 1 do
                                    let number =
                                        parts |> List.sumBy (fun (_, counts, _, _) -> counts[s])

                                    if number > 0L then
                                        statuses[s], number
                            ]
                        LargestGradientNorm =
                            parts |> List.fold (fun most (_, _, norm, _) -> max most norm) 0.0
                        LargestEdm =
                            parts |> List.fold (fun most (_, _, _, edm) -> max most edm) 0.0
                    }

                JsonValue.Object
                    [
                        "schema", JsonValue.Text schema
                        "columns", JsonValue.ofTexts names
                        "statuses", statuses |> Array.map (fun s -> $"{s}") |> JsonValue.ofTexts
                        "files", JsonValue.ofTexts report.Files
                        "rows", JsonValue.Int count
                        "converged",
                        report.Statuses
                        |> List.tryFind (fun (s, _) -> s.IsConverged)
                        |> Option.map snd
                        |> Option.defaultValue 0L
                        |> JsonValue.Int
                        "largestGradientNorm", JsonValue.Number report.LargestGradientNorm
                        "largestEdm", JsonValue.Number report.LargestEdm
                    ]
                |> JsonValue.writeFile (Path.Combine(folder, "profile.json"))
                |> Result.map (fun () -> report)))
