namespace FunLik.Tests

open System
open System.Collections.Generic
open FunLik

/// Expressions out of random numbers, over all operations: each step applies an operation to what earlier steps made.
[<RequireQualifiedAccess>]
module RandomExpressions =

    /// One step: the operation, and which of the earlier values are its arguments.
    type Step = int * int * int * int

    let private x, v = Expr.parameter "x" Scalar, Expr.parameter "v" (Vector 3)
    let private w, u = Expr.weight "w" Scalar, Expr.weight "u" (Vector 3)
    let private m = Expr.weight "m" (Matrix(3, 3))

    /// What the expressions read.
    let inputs: Expr list = [ x; v; w; u; m ]

    let private table = "t"
    let private column = Expr.column table "c" Scalar

    let private sparse =
        SparseMatrix(3, 3, [| 0; 2; 2; 3 |], [| 0; 2; 1 |], [| 1.0; -2.0; 0.5 |])

    let private numbers = [| 0.0; 1.0; -1.0; 2.0; 0.5; -3.0; 1e-3 |]

    let private elementwise: Op[] =
        [|
            Op.Neg
            Op.Neg
            Op.Abs
            Op.Sign
            Op.Sqrt
            Op.Exp
            Op.Log
            Op.Log1p
            Op.Expm1
            Op.Tanh
            Op.Sin
            Op.Cos
            Op.Erf
            Op.LogGamma
            Op.Polygamma 0
            Op.Polygamma 1
            Op.Power 0
            Op.Power 1
            Op.Power 2
            Op.Power 3
            Op.Power -1
            Op.Power -2
        |]

    let private ofTwo: Op[] =
        [|
            Op.Add
            Op.Add
            Op.Sub
            Op.Mul
            Op.Mul
            Op.MaskedMul
            Op.Div
            Op.XLogY
            Op.Less
        |]

    let private indices = [| [| 0; 1; 2 |]; [| 2; 0; 0 |]; [| 1; 2; 0 |] |]

    let private pick (k: int) (from: IReadOnlyList<'T>) : 'T = from[abs (k % from.Count)]

    let private vectorOf (k: int) (all: List<Expr>) : Expr =
        all.FindAll(fun e -> e.Shape <> Scalar) |> pick k

    let private scalarOf (k: int) (all: List<Expr>) : Expr =
        all.FindAll(fun e -> e.Shape = Scalar) |> pick k

    /// What steps make from inputs and each other; all are scalars or vectors of three.
    let ofSteps (steps: Step list) : Expr list =
        let all = List<Expr> [ x; v; w; u ]

        for what, i, j, k in steps do
            let a, b = pick i all, pick j all
            let s, t = scalarOf i all, scalarOf k all
            let vi, vj = vectorOf i all, vectorOf j all

            let made =
                match abs (what % 22) with
                | 0
                | 1
                | 2
                | 3 -> Expr.apply (pick k elementwise) [ a ]
                | 4
                | 5
                | 6
                | 7
                | 8 -> Expr.apply (pick k ofTwo) [ a; b ]
                | 9 -> Expr.select (Expr.less a b) (pick k all) a
                | 10 -> Expr.scalar (pick k numbers)
                | 11 -> Expr.full (Vector 3) (pick k numbers)
                | 12 -> Expr.vector [| pick i numbers; pick j numbers; pick k numbers |]
                | 13 -> Expr.sum a
                | 14 -> Expr.logSumExp a
                | 15 -> Expr.fill (Vector 3) s
                | 16 -> Expr.gather (pick k indices) vi
                | 17 -> Expr.scatterAdd (pick k indices) 3 vi
                | 18 -> Expr.gather (pick k indices) (Expr.concat [ s; vj; t ])
                | 19 ->
                    match abs (k % 4) with
                    | 0 -> Expr.matVec m vi
                    | 1 -> Expr.matVec (Expr.transpose m) vi
                    | 2 -> Expr.matVec (Expr.outerRows vi vj) vj
                    | _ -> Expr.sparse sparse vi
                | 20 -> Expr.sumRows a
                | _ ->
                    match abs (k % 3) with
                    | 0 -> Expr.reduceOver table (column * a)
                    | 1 -> Expr.reduceOver table (tanh (column + a) * b)
                    | _ -> Expr.reduceOver table (Expr.select (Expr.less column a) b column)

            all.Add made

        List.ofSeq all

    let private special = [| 0.0; 1.0; -1.0; infinity; -infinity; nan; -0.0 |]

    /// Values of the inputs for some rows; with borders, every third is an infinity, NaN, zero or one.
    let given (borders: bool) (seed: int) (rows: int) : (string * Given) list =
        inputs
        |> List.mapi (fun k e ->
            let key = Key.fold k (Key.ofSeed seed)
            let struct (a, b) = Key.split key
            let count = Shape.size e.Shape * (if e.IsRow then rows else 1)
            let chosen = Key.integers (3 * special.Length) count b

            let values =
                Key.normals count a
                |> Array.mapi (fun i z ->
                    if borders && chosen[i] < special.Length then
                        special[chosen[i]]
                    else
                        z)

            match e.Node with
            | Node.Input(name, _) ->
                name, (if e.IsRow then Given.Row values else Given.Shared values)
            | _ -> "", Given.Shared values)

    let tables: Map<string, Table> =
        Map.ofList [ table, { Rows = 3; Columns = Map.ofList [ "c", [| 0.5; -1.5; 0.0 |] ] } ]

    /// How many operations outputs need, each structure once.
    let operations (outputs: Expr list) : int =
        Expr.topological (fun _ -> false) outputs
        |> List.filter (fun e -> not (Expr.children e).IsEmpty)
        |> List.length
