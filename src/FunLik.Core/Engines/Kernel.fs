namespace FunLik

open System
open System.Threading
open FSharp.NativeInterop

/// How often the value of an input exists.
[<RequireQualifiedAccess>]
type Binding =
    /// One a row of the batch.
    | Row
    /// One for all rows, given when a kernel is bound.
    | Shared
    /// Known when the program is compiled.
    | Constant of values: float[]

/// The rows of a table that `reduceOver` sums over. A column of vectors has its rows one behind the other.
type Table =
    {
        /// Number of rows.
        Rows: int
        /// The columns by name.
        Columns: Map<string, float[]>
    }

/// How a run is to be carried out; the results do not depend on it.
type RunOptions =
    {
        /// The largest number of threads; 1 or more.
        Threads: int
        /// Asked between tiles.
        Cancellation: CancellationToken
    }

    /// One thread, not cancellable.
    static member Single: RunOptions = { Threads = 1; Cancellation = CancellationToken.None }

    /// All cores of this machine.
    static member AllCores: RunOptions =
        { Threads = Environment.ProcessorCount; Cancellation = CancellationToken.None }

/// What a kernel returns: its name, its shape, and whether there is one a row or one for all.
type KernelOutput =
    {
        /// The name.
        Name: string
        /// The shape at one point.
        Shape: Shape
        /// One a row, or one for all rows.
        IsRow: bool
    }

/// Arrays whose places in memory stay.
module internal Pinned =

    let using (arrays: 'T[][]) (run: nativeptr<'T>[] -> unit) : unit =
        let pins =
            arrays
            |> Array.map (fun a ->
                Runtime.InteropServices.GCHandle.Alloc(
                    a,
                    Runtime.InteropServices.GCHandleType.Pinned
                ))

        try
            pins
            |> Array.map (fun p -> NativePtr.ofNativeInt<'T>(p.AddrOfPinnedObject()))
            |> run
        finally
            for pin in pins do
                pin.Free()

/// A compiled program whose shared inputs and tables are given: what runs. Safe to use from several threads at once, but for
/// `Update` and for sessions whose runs carry values over.
[<AbstractClass>]
type Session<'T when 'T: unmanaged>() =

    /// The row inputs, in the order in which `Run` takes them.
    abstract RowInputs: (string * Shape)[]

    /// The outputs, in the order in which `Run` takes them.
    abstract Outputs: KernelOutput[]

    /// Runs `rows` points. Inputs and outputs are row-major: rows x size elements each (size elements for an output that is
    /// not a row's). Tiles and sums are kept for later runs;
    /// a run allocates no more than a few small objects.
    abstract Run:
        rows: int * inputs: nativeptr<'T>[] * outputs: nativeptr<'T>[] * options: RunOptions -> unit

    /// Gives other values to some of the shared inputs; what depends on shared inputs is computed again. Not while the session
    /// runs.
    abstract Update: shared: Map<string, 'T[]> -> unit

    /// The value of a shared input: what was given last, or what a run has carried over.
    abstract Read: name: string -> 'T[]

    /// Runs the rows that stand at some places of the inputs, in that order: those of a batch out of all data.
    abstract RunAt:
        places: nativeptr<int> *
        rows: int *
        inputs: nativeptr<'T>[] *
        outputs: nativeptr<'T>[] *
        options: RunOptions ->
            unit

    default this.RunAt(places, rows, inputs, outputs, options) =
        let gathered =
            (this.RowInputs, inputs)
            ||> Array.map2 (fun (_, shape) all ->
                let size = Shape.size shape

                Array.init (rows * size) (fun i ->
                    NativePtr.get all (NativePtr.get places (i / size) * size + i % size)))

        Pinned.using gathered (fun pointers -> this.Run(rows, pointers, outputs, options))

    member private this.Check(rows: int, needed: int, inputs: 'T[][], outputs: 'T[][]) : unit =
        let check (what: string) (name: string) (needed: int64) (found: int) : unit =
            if int64 found < needed then
                raise (
                    FunLikException
                        [
                            Error.make ErrorKind.Shape $"the {what} '{name}' is too short"
                            |> Error.found $"{found} values"
                            |> Error.expected $"{needed} values"
                        ]
                )

        if inputs.Length <> this.RowInputs.Length || outputs.Length <> this.Outputs.Length then
            invalidArg (nameof inputs) "a run takes one array for each row input and output"

        (this.RowInputs, inputs)
        ||> Array.iter2 (fun (name, shape) values ->
            check "input" name (int64 needed * int64 (Shape.size shape)) values.Length)

        (this.Outputs, outputs)
        ||> Array.iter2 (fun o values ->
            let each = int64 (Shape.size o.Shape)
            check "output" o.Name (if o.IsRow then int64 rows * each else each) values.Length)

    /// The same on arrays, whose lengths are checked.
    member this.Run(rows: int, inputs: 'T[][], outputs: 'T[][], options: RunOptions) : unit =
        this.Check(rows, rows, inputs, outputs)

        Pinned.using (Array.append inputs outputs) (fun all ->
            this.Run(rows, all[.. inputs.Length - 1], all[inputs.Length ..], options))

    /// The rows at some places, on arrays whose lengths are checked; places are counted from 0.
    member this.RunAt(places: int[], inputs: 'T[][], outputs: 'T[][], options: RunOptions) : unit =
        let rows = places.Length

        if rows > 0 && Array.min places < 0 then
            invalidArg (nameof places) "places of rows are counted from 0"

        this.Check(rows, (if rows > 0 then Array.max places + 1 else 0), inputs, outputs)
        use pin = places.AsMemory().Pin()
        let first = NativePtr.ofVoidPtr<int> pin.Pointer

        Pinned.using (Array.append inputs outputs) (fun all ->
            this.RunAt(first, rows, all[.. inputs.Length - 1], all[inputs.Length ..], options))

    /// Runs a batch and returns new arrays.
    member this.Evaluate(rows: int, inputs: 'T[][], options: RunOptions) : 'T[][] =
        let outputs =
            this.Outputs
            |> Array.map (fun o ->
                Array.zeroCreate (
                    if o.IsRow then
                        rows * Shape.size o.Shape
                    else
                        Shape.size o.Shape
                ))

        this.Run(rows, inputs, outputs, options)
        outputs

/// A compiled program. Binding gives its shared inputs and tables and computes what depends on them only, once.
[<AbstractClass>]
type Kernel<'T when 'T: unmanaged>() =

    /// The shared inputs that `Bind` needs.
    abstract SharedInputs: (string * Shape)[]

    /// Gives the shared inputs and the tables by name.
    abstract Bind: shared: Map<string, 'T[]> * tables: Map<string, Table> -> Session<'T>

    /// Binds a kernel without shared inputs and tables.
    member this.Bind() : Session<'T> = this.Bind(Map.empty, Map.empty)

/// Binding rules that all engines follow.
[<RequireQualifiedAccess>]
module Binding =

    let private refuse (error: Error) : 'a = raise (FunLikException [ error ])

    /// All inputs of a row are rows, all else is shared.
    let ofRole (rows: Set<string>) (name: string) : Binding =
        if rows.Contains name then Binding.Row else Binding.Shared

    /// Checks the binding of each input: matrices and weights cannot be rows, constants have the input's size.
    let check (program: Program) (binding: string -> Binding) : (string * Shape * Binding)[] =
        Program.inputs program
        |> Array.map (fun (name, role, shape) ->
            let bound = binding name

            match bound with
            | Binding.Row when role.IsWeight || shape.IsMatrix ->
                refuse (
                    Error.make ErrorKind.Shape $"the input '{name}' is bound as a row"
                    |> Error.found $"{role}, {Shape.describe shape}"
                    |> Error.expected "weights and matrices are shared"
                )
            | Binding.Constant values when values.Length <> Shape.size shape ->
                refuse (
                    Error.make ErrorKind.Shape $"the constant for the input '{name}'"
                    |> Error.found $"{values.Length} values"
                    |> Error.expected $"{Shape.size shape} values"
                )
            | _ -> ()

            name, shape, bound)

    /// The value of a shared input out of those given.
    let shared (given: Map<string, 'T[]>) (name: string) (shape: Shape) : 'T[] =
        match given.TryFind name with
        | Some values when values.Length = Shape.size shape -> values
        | Some values ->
            refuse (
                Error.make ErrorKind.Shape $"the shared input '{name}'"
                |> Error.found $"{values.Length} values"
                |> Error.expected $"{Shape.size shape} values, {Shape.describe shape}"
            )
        | None -> refuse (Error.make ErrorKind.Name $"the shared input '{name}' is not given")

    /// Refuses values for what is no shared input of a session.
    let known (inputs: seq<string>) (given: Map<string, 'T[]>) : unit =
        for name in given.Keys do
            if not (Seq.contains name inputs) then
                refuse (
                    Error.make ErrorKind.Name $"there is no shared input '{name}'"
                    |> Error.expected (String.concat ", " inputs)
                )

    /// The table that a reduction needs, its columns checked against the body's inputs.
    let table (given: Map<string, Table>) (reduction: Reduction) : Table =
        match given.TryFind reduction.Table with
        | None -> refuse (Error.make ErrorKind.Name $"the table '{reduction.Table}' is not given")
        | Some table ->
            for name, role, shape in Program.inputs reduction.Body do
                if not role.IsWeight then
                    match table.Columns.TryFind name with
                    | Some values when
                        int64 values.Length = int64 table.Rows * int64 (Shape.size shape)
                        ->
                        ()
                    | Some values ->
                        refuse (
                            Error.make
                                ErrorKind.Shape
                                $"column '{name}' of the table '{reduction.Table}'"
                            |> Error.found $"{values.Length} values"
                            |> Error.expected $"{table.Rows} rows of a {Shape.describe shape}"
                        )
                    | None ->
                        refuse (
                            Error.make
                                ErrorKind.Name
                                $"the table '{reduction.Table}' has no column '{name}'"
                            |> Error.found (table.Columns |> Map.keys |> String.concat ", ")
                        )

            table
