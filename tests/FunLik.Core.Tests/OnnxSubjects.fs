/// Expressions that go to ONNX and back, and how.
module FunLik.Tests.OnnxSubjects

open System
open System.IO
open Xunit
open FsCheck
open FunLik

let width = 6
let theta = Expr.parameter "theta" (Vector width)
let low, high = Expr.slice 0 3 theta, Expr.slice 3 3 theta
let one (k: int) : Expr = Expr.item k theta

let matrix (rows: int) (columns: int) : Expr =
    Expr.matrix rows columns (Array.init (rows * columns) (fun k -> sin (float (k + 1))))

/// 300 x 300 with two entries a row.
let wide: SparseMatrix =
    SparseMatrix(
        300,
        300,
        Array.init 301 ((*) 2),
        Array.init 600 (fun k -> if k % 2 = 0 then k / 2 else (7 * (k / 2) + 3) % 300),
        Array.init 600 (fun k -> cos (float k))
    )

/// Uses of one operation: what it is called, the range of its inputs, the expression.
let uses (op: Op) : (string * float * float * Expr) list =
    let name = Op.name op
    let some = Expr.vector [| 1.0; 0.0; -2.0 |]
    let on (a: float) (b: float) (arguments: Expr list) = name, a, b, Expr.apply op arguments

    match op with
    | Op.Log
    | Op.Sqrt -> [ on 0.01 5.0 [ theta ] ]
    | Op.Log1p -> [ on -0.9 5.0 [ theta ]; on -1e-6 1e-6 [ theta ] ]
    | Op.Expm1
    | Op.Tanh
    | Op.Erf -> [ on -7.0 7.0 [ theta ]; on -1.0 1.0 [ theta ]; on -1e-6 1e-6 [ one 0 ] ]
    | Op.Add
    | Op.Sub
    | Op.Mul
    | Op.MaskedMul
    | Op.Div
    | Op.Less ->
        [
            on -3.0 3.0 [ low; high ]
            on -3.0 3.0 [ one 0; high ]
            on -3.0 3.0 [ high; some ]
            on -3.0 3.0 [ some; one 1 ]
            "several of them", -3.0, 3.0, Expr.apply op [ low; high ] + Expr.less low high
        ]
    | Op.XLogY ->
        [
            on 0.1 3.0 [ low; high ]
            on 0.1 3.0 [ Expr.vector [| 1.0; 0.0; 0.0 |]; low - 10.0 * high * [| 0.0; 1.0; 1.0 |] ]
            on 0.1 3.0 [ Expr.vector [| 1.0; 2.0; 3.0 |]; high ]
        ]
    | Op.Select ->
        [
            // The logarithms of negative numbers are not taken.
            "Select", -3.0, 3.0, Expr.select (Expr.less (Expr.scalar 0.0) low) (log low) high
            on -3.0 3.0 [ low; Expr.scalar 1.0; one 2 ]
            on -3.0 3.0 [ some; high; one 2 ]
        ]
    | Op.Fill _ -> [ on -3.0 3.0 [ one 1 ] ]
    | Op.ScatterAdd(indices, _) -> [ on -3.0 3.0 [ Expr.slice 0 indices.Length theta ] ]
    | Op.Concat -> [ on -3.0 3.0 [ one 1; high; Expr.scalar 2.0; some; low ] ]
    | Op.MatVec ->
        [
            on -3.0 3.0 [ matrix 2 width; theta ]
            "MatVec and bias", -3.0, 3.0, Expr.matVec (matrix 3 width) theta + some
            "bias and MatVec", -3.0, 3.0, 1.5 + Expr.matVec (matrix 1 width) theta
            "MatVec of one", -3.0, 3.0, Expr.matVec (matrix 3 1) (Expr.slice 2 1 theta)
        ]
    | Op.SparseVec pattern ->
        [
            on -3.0 3.0 [ Expr.slice 0 pattern.Columns theta ]
            "SparseVec",
            -3.0,
            3.0,
            Expr.sparse wide (Expr.concat [ for k in 1..50 -> float k * theta ])
        ]
    | Op.LogGamma
    | Op.Polygamma _ -> [ name, 0.5, 2.0, high + Expr.apply op [ Expr.vector [| 1.5; 2.0; 9.0 |] ] ]
    | Op.Transpose -> [ name, 0.5, 2.0, Expr.matVec (Expr.transpose (matrix 3 2)) low ]
    | Op.Outer -> [ name, 0.5, 2.0, Expr.matVec (Expr.apply op [ some; some ]) low ]
    | Op.SumRows
    | Op.OuterRows -> []
    | _ -> [ on -3.0 3.0 [ theta ] ]

let composites: (string * float * float * Expr) list =
    [
        for name, f in Composite.activations do
            name, -5.0, 5.0, f theta
            name + " of one", -5.0, 5.0, f (one 2)
        "product", -2.0, 2.0, Composite.product theta
        "maximum", -2.0, 2.0, Composite.maximum low high
        "minimum", -2.0, 2.0, Composite.minimum low (one 4)
        "normal", 0.5, 2.0, Composite.normalLogDensity low high (one 0)
        "Poisson", 0.5, 2.0, Composite.poissonLogDensity (Expr.vector [| 0.0; 3.0; 8.0 |]) high
        "the input", -2.0, 2.0, theta
        "a constant", -2.0, 2.0, Expr.vector [| 1.0; infinity; -3.0 |]
    ]

/// A small dense network: scaled inputs, two hidden layers, one output.
let network (activation: Expr -> Expr) : Expr =
    let scaled = (theta - Array.init width float) * Array.create width 0.25

    let first =
        activation (Expr.matVec (matrix 9 width) scaled + Array.init 9 (fun k -> 0.1 * float k))

    let second = activation (Expr.matVec (0.3 * matrix 7 9) first + Array.create 7 -0.2)
    Expr.item 0 (Expr.matVec (matrix 1 7) second + [| 0.125 |])

let networks: (string * float * float * Expr) list =
    Composite.activations
    |> List.map (fun (name, f) -> $"network of {name}", -3.0, 3.0, network f)

/// Gradients use the primitives in other places.
let withGradient (name: string, a: float, b: float, e: Expr) =
    $"gradient of {name}", a, b, Diff.grad (Expr.sum e) theta

let all: (string * float * float * Expr) list =
    let values =
        (Primitive.all |> List.collect (fun p -> uses p.Op)) @ composites @ networks

    values @ List.map withGradient (composites @ networks)

let batches = [ 1; 2; 33 ]

let points (seed: int) (rows: int) (a: float) (b: float) : float[] =
    Key.ofSeed seed
    |> Key.uniforms (rows * width)
    |> Array.map (fun u -> a + (b - a) * u)

let reference (rows: int) (x: float[]) (e: Expr) : float[] =
    let inputs = Map [ "theta", Reference.Value.Rows(Array.chunkBySize width x) ]

    match Program.ofOutputs [ "y", e ] |> Reference.evaluate rows inputs Map.empty with
    | [| _, Reference.Value.Rows values |] -> Array.concat values
    | [| _, Reference.Value.Shared value |] -> Array.replicate rows value |> Array.concat
    | _ -> invalidOp "one output"

/// The largest difference, relative where numbers are larger than `floor`.
let worst (floor: float) (wanted: float[]) (found: float[]) : float =
    Assert.Equal(wanted.Length, found.Length)

    let difference (w: float) (f: float) : float =
        if w.Equals f then
            0.0
        elif Double.IsFinite w && Double.IsFinite f then
            abs (w - f) / max floor (abs w)
        else
            infinity

    Array.map2 difference wanted found |> Array.fold max 0.0

let write (options: OnnxOptions) (e: Expr) : OnnxModel =
    Onnx.ofExpressions options [ "theta", Vector width ] [ "y", e ] |> Error.orRaise

let bytesOf (model: OnnxModel) : byte[] = OnnxFormat.write model |> Error.orRaise

let again (model: OnnxModel) : OnnxModel = bytesOf model |> OnnxFormat.read |> Error.orRaise

let readBack (model: OnnxModel) : Expr =
    match Onnx.toExpressions (again model) with
    | Ok(_, [ "y", e ]) -> e
    | other -> invalidOp $"{other}"

let openModel (model: OnnxModel) : OnnxSession =
    bytesOf model
    |> OnnxRuntime.openBytes OnnxSessionOptions.defaults
    |> Error.orRaise

let evaluate (session: OnnxSession) (rows: int) (x: float[]) (room: int) : float[] =
    let results: float[] = Array.zeroCreate room
    session.Evaluate(x, rows, results) |> Error.orRaise
    results

let run (model: OnnxModel) (rows: int) (x: float[]) (room: int) : float[] =
    use session = openModel model
    evaluate session rows x room

let doubles = OnnxOptions.defaults

let singles =
    { doubles with Precision = OnnxPrecision.Single; Interface = OnnxElement.Float }

let errorsOf (result: Result<'T, Error list>) : Error list =
    match result with
    | Ok _ -> invalidOp "this should have failed"
    | Result.Error errors -> errors
