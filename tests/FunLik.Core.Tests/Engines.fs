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
        /// Runs a program on some rows.
        Run:
            RunOptions
                -> Program
                -> int
                -> (string * Given) list
                -> Map<string, Table>
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
        let run options program rows (given: (string * Given) list) tables =
            let known = Map.ofList given

            let binding (name: string) =
                match known[name] with
                | Given.Row _ -> Binding.Row
                | Given.Shared _ -> Binding.Shared
                | Given.Constant values -> Binding.Constant values

            let values (name: string, _: Shape) = known[name].Values |> Array.map into
            let kernel = compile binding program

            let shared =
                kernel.SharedInputs |> Array.map (fun i -> fst i, values i) |> Map.ofArray

            let session = kernel.Bind(shared, tables)
            let results = session.Evaluate(rows, session.RowInputs |> Array.map values, options)

            Array.map2
                (fun output (r: 'T[]) -> { Output = output; Values = Array.map out r })
                session.Outputs
                results
            |> List.ofArray

        { Name = name; Tolerance = tolerance; Round = into >> out; Run = run }

    let private single name tolerance compile = engine name tolerance float32 float compile

    /// The oracle among the engines.
    let reference: EngineUnderTest = engine "Reference" 1e-13 id id Reference.compile

    let all: EngineUnderTest list =
        [
            reference
            engine "Simd float64" 1e-13 id id Simd.compile<float>
            single "Simd float32" 1e-5 Simd.compile<float32>
        ]

    /// The values of expressions at each row.
    let evaluate
        (engine: EngineUnderTest)
        (rows: int)
        (given: (string * Given) list)
        (tables: Map<string, Table>)
        (outputs: Expr list)
        : float[][] list =
        let program = outputs |> List.mapi (fun k e -> $"y{k}", e) |> Program.ofOutputs

        engine.Run RunOptions.Single program rows given tables
        |> List.map (fun r ->
            if r.Output.IsRow then
                Array.chunkBySize (r.Values.Length / rows) r.Values
            else
                Array.create rows r.Values)
