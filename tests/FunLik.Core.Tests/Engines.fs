namespace FunLik.Tests

open System
open FunLik

/// How an input is given to an engine: its values row by row, once for all rows, or when the program is compiled.
[<RequireQualifiedAccess>]
type Given =
    | Row of float[]
    | Shared of float[]
    | Constant of float[]

    /// The values, rows one behind the other.
    member this.Values: float[] =
        match this with
        | Row values
        | Shared values
        | Constant values -> values

/// What an engine returned for one output; rows one behind the other.
type Returned = { Output: KernelOutput; Values: float[] }

/// An engine under test.
type EngineUnderTest =
    {
        Name: string
        /// How far a result may be from the exact one, relative to the terms that it is made of.
        Tolerance: float
        /// The nearest number that the engine's inputs hold.
        Round: float -> float
        /// Compiles a program and binds what it is given; then runs it on so many of the rows that are given.
        Prepare:
            Program
                -> (string * Given) list
                -> Map<string, Table>
                -> RunOptions
                -> int
                -> Returned list
    }

/// All engines that the laws run over.
[<RequireQualifiedAccess>]
module Engines =

    let private engine<'T when 'T: unmanaged>
        (name: string)
        (tolerance: float)
        (into: float -> 'T)
        (out: 'T -> float)
        (compile: (string -> Binding) -> Program -> Kernel<'T>)
        : EngineUnderTest =
        let prepare program (given: (string * Given) list) tables =
            let known = Map.ofList given

            let binding (name: string) =
                match known[name] with
                | Given.Row _ -> Binding.Row
                | Given.Shared _ -> Binding.Shared
                | Given.Constant values -> Binding.Constant values

            let values (name: string) = known[name].Values |> Array.map into
            let kernel = compile binding program

            let shared =
                kernel.SharedInputs
                |> Array.map (fun (name, _) -> name, values name)
                |> Map.ofArray

            let session = kernel.Bind(shared, tables)

            let inputs =
                session.RowInputs |> Array.map (fun (name, shape) -> shape, values name)

            fun options rows ->
                let first (shape: Shape, all: 'T[]) = Array.truncate (rows * Shape.size shape) all

                session.Evaluate(rows, Array.map first inputs, options)
                |> Array.map2
                    (fun output r -> { Output = output; Values = Array.map out r })
                    session.Outputs
                |> List.ofArray

        { Name = name; Tolerance = tolerance; Round = into >> out; Prepare = prepare }

    let private single name tolerance compile = engine name tolerance float32 float compile

    /// The oracle among the engines.
    let reference: EngineUnderTest = engine "Reference" 1e-13 id id Reference.compile

    let all: EngineUnderTest list =
        [
            reference
            engine "Simd float64" 1e-13 id id Simd.compile<float>
            single "Simd float32" 1e-5 Simd.compile<float32>
        ]

    /// The values of expressions at each row, for the first rows of those given.
    let prepared
        (engine: EngineUnderTest)
        (given: (string * Given) list)
        (tables: Map<string, Table>)
        (outputs: Expr list)
        : int -> float[][] list =
        let program = outputs |> List.mapi (fun k e -> $"y{k}", e) |> Program.ofOutputs
        let run = engine.Prepare program given tables RunOptions.Single

        fun rows ->
            run rows
            |> List.map (fun r ->
                if r.Output.IsRow then
                    Array.chunkBySize (r.Values.Length / rows) r.Values
                else
                    Array.create rows r.Values)

    /// The values of expressions at each row.
    let evaluate engine rows given tables outputs : float[][] list =
        prepared engine given tables outputs rows
