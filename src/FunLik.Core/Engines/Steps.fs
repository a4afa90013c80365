namespace FunLik

open System
open System.Collections.Concurrent
open System.Numerics
open System.Runtime.ExceptionServices
open System.Threading.Tasks

/// A compiled step program whose shared inputs and tables are given. Safe to use from several threads at once.
[<Sealed>]
type StepSession internal (program: StepProgram, step: Session<float>) =
    let idle = ConcurrentDictionary<struct (int * string), Pool<StepLanes>>()

    /// Larger buffers are made anew: they would be held for long, and a run of so many rows takes long enough.
    let mostKept = 256

    /// The program.
    member _.Program: StepProgram = program

    /// One step: the outputs are the states in order, and whether the row is done.
    member _.Step: Session<float> = step

    /// Where buffers for so many rows under way are, each of one run at a time.
    member internal _.Lanes(count: int, fed: string list) : Pool<StepLanes> =
        let count = int (BitOperations.RoundUpToPowerOf2(uint32 count))
        let pool _ = Pool<StepLanes>(fun () -> StepLanes(program, step, fed, count))

        if count <= mostKept then
            idle.GetOrAdd(struct (count, String.concat "\n" fed), pool)
        else
            pool ()

/// Where rows came to rest.
type StepResult =
    {
        /// The final values of the states that were asked for, row-major.
        States: Map<string, float[]>
        /// How many steps each row took.
        Steps: int[]
    }

/// Making and running step programs.
[<RequireQualifiedAccess>]
module Steps =

    /// The value of a state before the step.
    let current (name: string) (shape: Shape) : Expr = Expr.input name Role.State shape

    /// The value of a state `back` steps ago; 1 is the value before the step. Before the first step all but that are 0.
    let past (back: int) (name: string) (shape: Shape) : Expr =
        current (StepNames.past back name) shape

    /// A state of which the step reads the value before the step alone.
    let state (name: string) (shape: Shape) (next: Expr) : StepState =
        { Name = name; Shape = shape; Next = next; Depth = 1 }

    /// A scalar state.
    let scalar (name: string) (next: Expr) : StepState = state name Scalar next

    /// Compiles a program; states are rows, `binding` says what the other inputs are.
    let compile (binding: string -> Binding) (program: StepProgram) : Kernel<float> =
        for s in program.State do
            if s.Next.Shape <> s.Shape then
                raise (
                    FunLikException
                        [
                            Error.make ErrorKind.Shape $"the next value of the state '{s.Name}'"
                            |> Error.found (Shape.describe s.Next.Shape)
                            |> Error.expected (Shape.describe s.Shape)
                        ]
                )

        let states =
            program.State
            |> List.collect (fun s -> [ for back in 1 .. s.Depth -> StepNames.past back s.Name ])
            |> Set.ofList

        (program.State |> List.map (fun s -> s.Name, s.Next)) @ [ "done", program.Done ]
        |> Program.ofOutputs
        |> Engine.compile (fun name -> if states.Contains name then Binding.Row else binding name)

    /// A compiled program with its shared inputs and tables.
    let bind
        (shared: Map<string, float[]>)
        (program: StepProgram)
        (kernel: Kernel<float>)
        : StepSession =
        StepSession(program, kernel.Bind(shared, Map.empty))

    /// What the states of the lanes under way should not exceed, in numbers: half of a core's second cache.
    let private fastNumbers = 1 <<< 15

    /// Lanes that step together, and how many rows go through them: both depend on the program and the number of rows alone.
    let private lanesAndChunk (states: StepState[]) (rows: int) (isFed: bool) : struct (int * int) =
        if isFed then
            struct (min (max 2 rows) 4096, rows)
        else
            let numbers = states |> Array.sumBy (fun s -> (s.Depth + 1) * Shape.size s.Shape)

            // A tile has sixteen lanes.
            let lanes = Math.Clamp(fastNumbers / numbers / 16 * 16, 16, 64)
            struct (lanes, Math.Clamp((rows / 16 + 63) / 64 * 64, 64, 1024))

    let private rowsOf (rows: int) (name: string) (shape: Shape) (values: float[]) : float[] =
        if int64 values.Length <> int64 rows * int64 (Shape.size shape) then
            raise (
                FunLikException
                    [
                        Error.make ErrorKind.Shape $"the values of '{name}' for a step program"
                        |> Error.found $"{values.Length} values"
                        |> Error.expected $"{rows} rows of a {Shape.describe shape}"
                    ]
            )

        values

    /// Steps all rows until they are done, or have taken `maxSteps` steps. Rows that are done leave; others take their places.
    /// `given` has initial states (0 where absent) and rows that stay, row-major, by name; `keep` names the states to return. With
    /// a feed all rows step together, else chunks of rows go to the threads; the results do not depend on how many there are.
    let run
        (session: StepSession)
        (feed: Feed option)
        (rows: int)
        (given: Map<string, float[]>)
        (keep: string list)
        (maxSteps: int)
        (options: RunOptions)
        : StepResult =
        let states = session.Program.State |> Array.ofList

        let initial =
            states
            |> Array.map (fun s ->
                given.TryFind s.Name
                |> Option.map (rowsOf rows s.Name s.Shape)
                |> Option.defaultValue [||])

        let shapes = Map.ofArray session.Step.RowInputs
        let struct (lanes, chunk) = lanesAndChunk states rows feed.IsSome
        let fed = feed |> Option.map _.Writes |> Option.defaultValue []
        let pool = session.Lanes(min lanes (max 2 rows), fed)

        let others (names: string[]) : float[][] =
            names
            |> Array.map (fun name ->
                match given.TryFind name with
                | Some values -> rowsOf rows name shapes[name] values
                | None when feed |> Option.exists (fun f -> List.contains name f.Writes) -> [||]
                | None ->
                    let message = $"the rows of '{name}' are not given to a step program"
                    raise (FunLikException [ Error.make ErrorKind.Name message ]))

        let kept =
            states
            |> Array.map (fun s ->
                if List.contains s.Name keep then
                    Array.zeroCreate (rows * Shape.size s.Shape)
                else
                    [||])

        let steps = Array.zeroCreate rows

        let runChunk (lanes: StepLanes) (first: int) (last: int) (options: RunOptions) : unit =
            lanes.Run(
                first,
                last,
                initial,
                others lanes.Others,
                kept,
                steps,
                maxSteps,
                feed,
                options
            )

        let chunks = (rows + chunk - 1) / chunk

        if chunks = 1 then
            let lanes = pool.Take()
            runChunk lanes 0 rows options
            pool.Give lanes
        elif chunks > 1 then
            let alone = { options with Threads = 1 }
            let parallel' = ParallelOptions(MaxDegreeOfParallelism = max 1 options.Threads)

            let body (k: int) (lanes: StepLanes) : StepLanes =
                runChunk lanes (k * chunk) (min rows ((k + 1) * chunk)) alone
                lanes

            try
                Parallel.For(
                    0,
                    chunks,
                    parallel',
                    pool.Take,
                    (fun k (_: ParallelLoopState) lanes -> body k lanes),
                    pool.Give
                )
                |> ignore
            with :? AggregateException as several ->
                ExceptionDispatchInfo.Throw several.InnerExceptions[0]

        {
            States =
                (states, kept)
                ||> Array.map2 (fun s values -> s.Name, values)
                |> Array.filter (fun (name, _) -> List.contains name keep)
                |> Map.ofArray
            Steps = steps
        }
