module FunLik.Tests.CarryTests

open System
open Xunit
open FunLik

let private inputs, private hidden = 21, 30

/// A layer with momentum: its weights, biases and running means are carried, its loss is returned.
let private layer: (string * Expr) list =
    let x, y = Expr.datum "x" (Vector inputs), Expr.datum "y" (Vector hidden)
    let w, b = Expr.weight "w" (Matrix(hidden, inputs)), Expr.weight "b" (Vector hidden)
    let mw, mb = Expr.weight "mw" w.Shape, Expr.weight "mb" b.Shape
    let count = Expr.weight "count" Scalar
    let miss = tanh (Expr.matVec w x + b) - y
    // The transposed product and a second sum of outer products belong to one weight.
    let back = Expr.matVec (Expr.transpose w) miss
    let loss = Expr.meanRows (Expr.dot miss miss + 0.1 * Expr.dot back back)

    match Diff.gradients loss [ w; b ] with
    | [ gw; gb ] ->
        let mw', mb' = 0.9 * mw + gw, 0.9 * mb + gb
        let rate = 0.05 / (1.0 + 0.1 * count)

        [
            "loss", loss
            "w", w - rate * mw'
            "b", b - rate * mb'
            "mw", mw'
            "mb", mb'
            "count", count + 1.0
        ]
    | _ -> []

let private carried: Set<string> = Set.ofList [ "w"; "b"; "mw"; "mb"; "count" ]
let private binding: string -> Binding = Binding.ofRole (Set.ofList [ "x"; "y" ])

let private starts: Map<string, float[]> =
    let normals (seed: int) (count: int) = Key.normals count (Key.ofSeed seed)

    Map.ofList
        [
            "w", normals 1 (hidden * inputs) |> Array.map (fun v -> 0.2 * v)
            "b", normals 2 hidden
            "mw", Array.zeroCreate (hidden * inputs)
            "mb", Array.zeroCreate hidden
            "count", [| 3.0 |]
        ]

let private rowsOf (rows: int) : float[] * float[] =
    Key.normals (rows * inputs) (Key.ofSeed 5), Key.normals (rows * hidden) (Key.ofSeed 6)

/// Losses and last values, step after step by hand: the oracle returns what is carried, and is given it again.
let private byHand (rows: int) (steps: int) : float[] * Map<string, float[]> =
    let x, y = rowsOf rows

    let session =
        (Reference.compile binding (Program.ofOutputs layer)).Bind(starts, Map.empty)

    let given =
        session.RowInputs |> Array.map (fun (name, _) -> if name = "x" then x else y)

    let losses =
        Array.init steps (fun _ ->
            let results =
                session.Evaluate(rows, given, RunOptions.Single)
                |> Array.zip (session.Outputs |> Array.map _.Name)
                |> Map.ofArray

            session.Update(results |> Map.filter (fun name _ -> carried.Contains name))
            results["loss"][0])

    losses, carried |> Seq.map (fun name -> name, session.Read name) |> Map.ofSeq

let private carrying<'T when 'T: unmanaged and 'T :> Numerics.IFloatingPointIeee754<'T>>
    (into: float -> 'T)
    (options: RunOptions)
    (rows: int)
    (steps: int)
    : 'T[] * Map<string, 'T[]> =
    let x, y = rowsOf rows
    let kernel = Simd.compileCarrying<'T> carried binding (Program.ofOutputs layer)

    let session =
        kernel.Bind(starts |> Map.map (fun _ v -> Array.map into v), Map.empty)

    Assert.Equal<string list>([ "loss" ], session.Outputs |> Array.map _.Name |> List.ofArray)

    let given =
        session.RowInputs
        |> Array.map (fun (name, _) -> Array.map into (if name = "x" then x else y))

    let losses =
        Array.init steps (fun _ ->
            let results = session.Evaluate(rows, given, options)
            results[0].[0])

    losses, carried |> Seq.map (fun name -> name, session.Read name) |> Map.ofSeq

/// One row, narrow and whole tiles, and more rows than are packed at once in either precision.
let private batches: int list = [ 1; 2; 16; 100; 1100; 2500 ]

[<Fact>]
let ``what a run carries over is what the oracle is given again`` () =
    for rows in batches do
        let losses, last = byHand rows 3

        let check (tolerance: float) (found: float[]) (expected: float[]) =
            for e, f in Array.zip expected found do
                Assert.True(abs (e - f) <= tolerance * (1.0 + abs e), $"{rows} rows: {f}, not {e}")

        let doubles, values = carrying<float> id RunOptions.Single rows 3
        check 1e-11 doubles losses
        carried |> Set.iter (fun name -> check 1e-11 values[name] last[name])
        let singles, values = carrying<float32> float32 RunOptions.Single rows 3
        check 1e-4 (Array.map float singles) losses

        carried
        |> Set.iter (fun name -> check 1e-4 (Array.map float values[name]) last[name])

[<Fact>]
let ``what is carried over has the same bits with one thread, two and seven`` () =
    for rows in batches do
        let bits (threads: int) =
            let options = { RunOptions.Single with Threads = threads }
            let losses, values = carrying<float32> float32 options rows 3

            Array.append [| losses |] (Array.ofSeq values.Values)
            |> Array.map (Array.map BitConverter.SingleToInt32Bits)

        let expected = bits 1

        for threads in [ 2; 7 ] do
            Assert.True((bits threads = expected), $"{rows} rows, {threads} threads")

[<Fact>]
let ``rows at places have the bits of the same rows in order, in either engine`` () =
    let program =
        Program.ofOutputs ([ "back", Expr.datum "x" (Vector inputs) * 2.0 ] @ layer)

    let all = 700
    let x, y = rowsOf all

    for rows in [ 1; 2; 16; 100 ] do
        let places = Key.permutation all (Key.ofSeed rows) |> Array.truncate rows

        let chosen (size: int) (values: float[]) : float[] =
            places |> Array.collect (fun p -> values[p * size .. (p + 1) * size - 1])

        let check (session: Session<float>) =
            let given (ofX: float[]) (ofY: float[]) : float[][] =
                session.RowInputs
                |> Array.map (fun (name, _) -> if name = "x" then ofX else ofY)

            let expected =
                session.Evaluate(rows, given (chosen inputs x) (chosen hidden y), RunOptions.Single)

            let found = expected |> Array.map (fun values -> Array.zeroCreate values.Length)
            session.RunAt(places, given x y, found, { RunOptions.Single with Threads = 2 })
            Assert.Equal<float[][]>(expected, found)

            let outside = [| all; 0 |]

            Assert.Throws<FunLikException>(fun () ->
                session.RunAt(outside, given x y, found, RunOptions.Single))
            |> ignore

        check ((Reference.compile binding program).Bind(starts, Map.empty))
        check ((Simd.compile<float> binding program).Bind(starts, Map.empty))

/// A matrix large enough for its transpose to be packed beside it, and written over by each step.
[<Fact>]
let ``a large matrix and its packed transpose are carried over together`` () =
    let size, rows = 1040, 40
    let x, w = Expr.datum "x" (Vector size), Expr.weight "w" (Matrix(size, size))
    let hidden = tanh (Expr.matVec w x)
    let back = Expr.matVec (Expr.transpose w) hidden
    let loss = Expr.meanRows (Expr.dot (back - x) (back - x))
    let gradient = (Diff.gradients loss [ w ]).Head
    let program = Program.ofOutputs [ "loss", loss; "w", w - 0.01 * gradient ]
    let singles (seed: int) (count: int) = Key.normals count (Key.ofSeed seed) |> Array.map float32
    let start = singles 1 (size * size) |> Array.map (fun v -> 0.03f * v)
    let points = [| singles 2 (rows * size) |]
    let binding = Binding.ofRole (Set.ofList [ "x" ])

    let losses (threads: int) : float32[] =
        let options = { RunOptions.Single with Threads = threads }
        let kernel = Simd.compileCarrying<float32> (Set.ofList [ "w" ]) binding program
        let session = kernel.Bind(Map.ofList [ "w", start ], Map.empty)
        Array.init 3 (fun _ -> session.Evaluate(rows, points, options).[0].[0])

    let byHand =
        let session =
            (Simd.compile<float32> binding program).Bind(Map.ofList [ "w", start ], Map.empty)

        Array.init 3 (fun _ ->
            let results = session.Evaluate(rows, points, RunOptions.Single)
            session.Update(Map.ofList [ "w", results[1] ])
            results[0].[0])

    Assert.Equal<float32[]>(byHand, losses 1)
    Assert.Equal<float32[]>(byHand, losses 2)
    Assert.True(byHand[2] < byHand[1] && byHand[1] < byHand[0])
