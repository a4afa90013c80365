module FunLik.Tests.CompositeTests

open System
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

let private evaluate (values: float[]) (outputs: Expr list) : float[] list =
    Engines.evaluate Engines.reference 1 [ "x", Given.Row values ] Map.empty outputs
    |> List.map Array.head

let private x (n: int) : Expr = Expr.parameter "x" (Vector n)

[<Fact>]
let ``activations have their closed values`` () =
    // Φ(1) and 1 / (1 + exp(-1)) as in the tables of Abramowitz and Stegun, 26.1; the constants of Klambauer et al., 2017.
    let normal, logistic = 0.8413447460685429486, 0.7310585786300048793

    let known: (string * (float * float) list) list =
        [
            "relu", [ -2.0, 0.0; 3.0, 3.0 ]
            "elu", [ -1.0, exp -1.0 - 1.0; 2.0, 2.0; -40.0, -1.0 ]
            "selu", [ 1.0, 1.0507009873554805; -1.0, 1.7580993408473766 * (exp -1.0 - 1.0) ]
            "silu", [ 1.0, logistic; -1.0, logistic - 1.0; 0.0, 0.0 ]
            "gelu", [ 1.0, normal; -1.0, normal - 1.0; 0.0, 0.0 ]
            "softplus",
            [ 0.0, log 2.0; 50.0, 50.0; -50.0, exp -50.0; 1.0, 1.0 + log (1.0 + exp -1.0) ]
            "sigmoid", [ 1.0, logistic; 0.0, 0.5; -1000.0, 0.0; 1000.0, 1.0 ]
            "tanh", [ 1.0, 0.7615941559557648881 ]
            "linear", [ 1.5, 1.5 ]
        ]

    Assert.Equal<string list>(Composite.activations |> List.map fst, known |> List.map fst)

    for (name, f), (_, values) in List.zip Composite.activations known do
        for at, expected in values do
            let found = (evaluate [| at |] [ f (x 1) ]).Head[0]

            Assert.True(
                abs (found - expected) <= 4e-16 * max 1.0 (abs expected),
                $"{name} of {at} is {found}"
            )

[<Fact>]
let ``log densities are normalised, and those of the textbook`` () =
    let sum step (f: Expr -> Expr) (points: float[]) =
        let v = x points.Length
        (evaluate points [ Expr.sum (exp (f v)) ]).Head[0] * step

    let grid = Array.init 4001 (fun i -> -20.0 + 0.01 * float i)
    let scalar = Expr.scalar

    Assert.Equal(
        1.0,
        sum 0.01 (fun v -> Composite.normalLogDensity v (scalar 0.7) (scalar 1.9)) grid,
        12
    )

    Assert.Equal(1.0, sum 0.01 Composite.standardNormalLogDensity grid, 12)

    for mean in [ 0.0; 1e-300; 0.3; 7.5; 80.0 ] do
        let counts = Array.init 400 float
        Assert.Equal(1.0, sum 1.0 (fun n -> Composite.poissonLogDensity n (scalar mean)) counts, 12)

    let values =
        evaluate
            [| 3.0; 2.5 |]
            [
                Composite.poissonLogDensity (Expr.item 0 (x 2)) (Expr.item 1 (x 2))
                Composite.normalLogDensity (Expr.item 0 (x 2)) (scalar 1.0) (Expr.item 1 (x 2))
            ]

    Assert.Equal(3.0 * log 2.5 - 2.5 - log 6.0, values[0][0], 15)
    Assert.Equal(-0.32 - log 2.5 - 0.5 * log (2.0 * Math.PI), values[1][0], 15)

[<Fact>]
let ``a product and its derivatives are exact, however many factors are zero`` () =
    let law (NonEmptyArray(factors: NormalFloat[])) (zeros: int) =
        let factors =
            factors
            |> Array.truncate 12
            |> Array.mapi (fun i f -> if zeros &&& (1 <<< i) <> 0 then 0.0 else (f.Get % 10.0))

        let n = factors.Length
        let y = Composite.product (x n)
        let found = evaluate factors (y :: Diff.grad y (x n) :: Diff.hessian y (x n))

        let without (left: int list) =
            factors
            |> Array.indexed
            |> Array.fold (fun p (i, f) -> if List.contains i left then p else p * f) 1.0

        let near (a: float) (b: float) = a = b || abs (a - b) <= 1e-13 * (abs a + abs b)

        near (without []) (Array.head found[0])
        && Seq.forall
            (fun i ->
                near (without [ i ]) (Array.item i found[1])
                && Seq.forall
                    (fun j ->
                        near
                            (if i = j then 0.0 else without [ i; j ])
                            ((found[2 + i]) |> Array.item j))
                    (seq { 0 .. n - 1 }))
            (seq { 0 .. n - 1 })

    Check.One(Config.QuickThrowOnFailure, law)

    // Factors may overflow together with those that are 1.
    let padded = [| 1.0; 1e200; 1.0; 1e-200; 1.0 |]
    Assert.Equal(1.0, (evaluate padded [ Composite.product (x 5) ]).Head[0], 15)
    Assert.Equal(2.5, (evaluate [| 2.5 |] [ Composite.product (Expr.item 0 (x 1)) ]).Head[0])

/// A sparse matrix with some entries, perhaps none in some rows.
let private sparseOf (rows: int) (columns: int) (seed: int) : SparseMatrix * float[,] =
    let key = Key.ofSeed seed
    let dense = Array2D.zeroCreate rows columns
    let draws = Key.uniforms (rows * columns) key

    let entries =
        [|
            for i in 0 .. rows - 1 ->
                [|
                    for j in 0 .. columns - 1 do
                        let u = draws[i * columns + j]

                        if u < 0.4 then
                            dense[i, j] <- u - 0.2
                            j, u - 0.2
                |]
        |]

    let starts = entries |> Array.scan (fun n row -> n + row.Length) 0
    let all = Array.concat entries
    SparseMatrix(rows, columns, starts, Array.map fst all, Array.map snd all), dense

[<Fact>]
let ``sparse products are dense ones, and transposing twice changes nothing`` () =
    let law (PositiveInt rows) (PositiveInt columns) (seed: int) =
        let rows, columns = 1 + rows % 7, 1 + columns % 7
        let matrix, dense = sparseOf rows columns seed
        let values = Key.normals columns (Key.ofSeed (seed + 1))
        let flat = Array.init (rows * columns) (fun k -> dense[k / columns, k % columns])
        let input = x columns

        match
            evaluate
                values
                [ Expr.sparse matrix input; Expr.matVec (Expr.matrix rows columns flat) input ]
        with
        | [ a; b ] -> Array.forall2 (fun (p: float) q -> abs (p - q) <= 1e-14) a b
        | _ -> false
        && matrix.Transposed.Transposed.Equals matrix
        && matrix.Transposed.Transposed.GetHashCode() = matrix.GetHashCode()

    Check.One(Config.QuickThrowOnFailure, law)

[<Fact>]
let ``sparse matrices that contradict themselves are refused`` () =
    let bad (make: unit -> SparseMatrix) =
        Assert.Throws<ArgumentException>(fun () -> make () |> ignore) |> ignore

    bad (fun () -> SparseMatrix(2, 2, [| 0; 1 |], [| 0 |], [| 1.0 |]))
    bad (fun () -> SparseMatrix(1, 2, [| 0; 1 |], [| 0; 1 |], [| 1.0 |]))
    bad (fun () -> SparseMatrix(1, 2, [| 0; 2 |], [| 0 |], [| 1.0 |]))
    bad (fun () -> SparseMatrix(1, 2, [| 0; 1 |], [| 2 |], [| 1.0 |]))
    bad (fun () -> SparseMatrix(2, 2, [| 0; 2; 1 |], [| 0 |], [| 1.0 |]))
    bad (fun () -> SparseMatrix(1, 2, [| 1; 1 |], [| 0 |], [| 1.0 |]))
