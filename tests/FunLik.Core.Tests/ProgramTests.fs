module FunLik.Tests.ProgramTests

open System
open Xunit
open FunLik

let private x = Expr.parameter "x" Scalar
let private v = Expr.parameter "v" (Vector 3)

let private refused (kind: ErrorKind) (word: string) (action: unit -> obj) : unit =
    let e = Assert.Throws<FunLikException>(fun () -> action () |> ignore)
    Assert.Equal(kind, e.Errors.Head.Kind)
    Assert.Contains(word, e.Message)

let private shape (word: string) (make: unit -> Expr) = refused ErrorKind.Shape word (make >> box)

[<Fact>]
let ``shapes that do not go together are refused, with both in the message`` () =
    let m = Expr.weight "m" (Matrix(2, 3))
    let two = Expr.parameter "two" (Vector 2)
    shape "vector of 3 does not go with a vector of 2" (fun () -> v + two)
    shape "matrix of 2 x 3" (fun () -> Expr.matVec m two)
    shape "MatVec" (fun () -> Expr.matVec v v)
    shape "index 3 is outside 0 .. 2" (fun () -> Expr.gather [| 0; 3 |] v)
    shape "at least one index" (fun () -> Expr.gather [||] v)
    shape "2 indices for a vector of 3" (fun () -> Expr.scatterAdd [| 0; 1 |] 4 v)
    shape "index 4" (fun () -> Expr.scatterAdd [| 0; 1; 4 |] 4 v)
    shape "gather takes a vector" (fun () -> Expr.gather [| 0 |] x)
    shape "concat" (fun () -> Expr.concat [ x; m ])
    shape "Concat" (fun () -> Expr.concat [])
    shape "no elements" (fun () -> Expr.parameter "none" (Vector 0))
    shape "5 values for a matrix of 2 x 3" (fun () -> Expr.matrix 2 3 (Array.zeroCreate 5))
    shape "order -1" (fun () -> Expr.apply (Op.Polygamma -1) [ x ])
    shape "Fill" (fun () -> Expr.fill (Vector 2) v)

[<Fact>]
let ``names used in several ways are refused`` () =
    let program outputs () = Program.ofOutputs outputs |> box
    refused ErrorKind.Shape "'x'" (program [ "y", x + Expr.sum (Expr.parameter "x" (Vector 2)) ])
    refused ErrorKind.Shape "'x'" (program [ "y", x + Expr.datum "x" Scalar ])
    refused ErrorKind.Name "'y'" (program [ "y", x; "y", x + 1.0 ])

[<Fact>]
let ``bindings that cannot be are refused`` () =
    let program =
        Program.ofOutputs [ "y", Expr.matVec (Expr.weight "m" (Matrix(2, 3))) v ]

    let bound m v () = Binding.check program (fun name -> if name = "m" then m else v) |> box

    refused ErrorKind.Shape "'m'" (bound Binding.Row Binding.Row)
    refused ErrorKind.Shape "'v'" (bound Binding.Shared (Binding.Constant [| 1.0 |]))
    bound Binding.Shared Binding.Row () |> ignore

    for engine in Engines.all do
        let run given () = engine.Prepare program given Map.empty RunOptions.Single 1 |> box
        let v = "v", Given.Row [| 1.0; 2.0; 3.0 |]
        refused ErrorKind.Shape "'m'" (run [ v; "m", Given.Shared [| 1.0 |] ])

[<Fact>]
let ``what is replaced is replaced everywhere, and nothing below it is looked at`` () =
    let y = sin x * v + sin x

    let put (e: Expr) (other: Expr) =
        (Expr.substitute
            (fun node -> if Expr.structural.Equals(node, e) then Some other else None)
            [ y ])
            .Head

    Assert.True(
        Expr.structural.Equals(
            put x (Expr.scalar 2.0),
            sin (Expr.scalar 2.0) * v + sin (Expr.scalar 2.0)
        )
    )

    Assert.True(Expr.structural.Equals(put (sin x) x, x * v + x))
    // Into itself: the new x is not replaced again.
    Assert.True(Expr.structural.Equals(put x (x + 1.0), sin (x + 1.0) * v + sin (x + 1.0)))
    Assert.True(Expr.structural.Equals(y, put (Expr.parameter "none" Scalar) x))
    shape "cannot stand for" (fun () -> put x v)

[<Fact>]
let ``inputs are listed once`` () =
    let c = Expr.column "t" "c" Scalar
    let found = Expr.inputs [ x * v + x; Expr.reduceOver "t" (c * x) ]

    let expected =
        Set.ofList
            [
                "x", Role.Parameter, Scalar
                "v", Role.Parameter, Vector 3
                "c", Role.Column "t", Scalar
            ]

    Assert.Equal(3, found.Length)
    Assert.Equal<Set<string * Role * Shape>>(expected, Set.ofList found)

[<Fact>]
let ``operations and inputs that differ in anything have different hashes`` () =
    let different =
        [
            for op in
                [
                    Op.Neg
                    Op.Exp
                    Op.Polygamma 0
                    Op.Polygamma 1
                    Op.Power 2
                    Op.Power -2
                    Op.Gather [| 0; 1 |]
                    Op.Gather [| 1; 0 |]
                    Op.ScatterAdd([| 0; 1; 1 |], 3)
                    Op.ScatterAdd([| 0; 1; 1 |], 4)
                ] do
                Expr.apply op [ v ]

            for role in
                [ Role.Parameter; Role.Datum; Role.Weight; Role.Column "a"; Role.Column "b" ] do
                for name in [ "a"; "b"; "ab" ] do
                    for shape in [ Scalar; Vector 1; Vector 2; Matrix(1, 2); Matrix(2, 1) ] do
                        Expr.input name role shape

            Expr.scalar 0.0
            Expr.scalar -0.0
            Expr.scalar nan
            Expr.vector [| 0.0 |]
            x - Expr.sum v
            Expr.sum v - x
            Expr.reduceOver "a" x
            Expr.reduceOver "b" x
            Expr.fill (Vector 2) x
            Expr.fill (Vector 3) x
        ]

    Assert.Equal(different.Length, (List.distinctBy (fun (e: Expr) -> e.Hash) different).Length)
    Assert.True(Expr.structural.Equals(Expr.scalar nan, Expr.scalar nan))
    Assert.True(Expr.structural.Equals(Expr.gather [| 1 |] v, Expr.gather [| 1 |] v))

let private repeat (count: int) (step: Expr -> int -> Expr) (start: Expr) : Expr =
    Seq.fold step start (seq { 1..count })

[<Fact>]
let ``chains of up to 200,000 operations are built, simplified, derived and computed`` () =
    let w = Expr.weight "w" Scalar
    let c = Expr.column "t" "c" Scalar

    // Value and derivative at x = 0.5, w = 1.
    let chains: (string * Expr * float * float) list =
        [
            "a sum", repeat 200000 (fun y _ -> y + x) x, 100000.5, 200001.0
            "signs", repeat 200000 (fun y _ -> -y) x, 0.5, 1.0
            "constants", repeat 20000 (fun y _ -> 1.0 * (y + 0.0)) x, 0.5, 1.0
            "factors", repeat 20000 (fun y _ -> 0.5 * (y * 2.0)) x, 0.5, 1.0
            "a map of mean 0", repeat 20000 (fun y _ -> sin y - y) x, 0.0, 0.0
            // Twice below each: 2^n ways through n operations.
            "doubles", repeat 100000 (fun y _ -> (y + y) * 0.5) x, 0.5, 1.0
            "shared twice", repeat 20000 (fun y _ -> y * w + 0.0 * tanh y) x, 0.5, 1.0
            "branches", repeat 20000 (fun y _ -> Expr.select (Expr.less y x) x y) x, 0.5, 1.0
            "vectors",
            repeat 10000 (fun y _ -> Expr.sum (y * Expr.vector [| 0.5; 0.5 |])) x,
            0.5,
            1.0
            "in a table", Expr.reduceOver "t" (repeat 20000 (fun y _ -> y + c) x), 1.0, 2.0
        ]

    for name, y, value, derivative in chains do
        let given = [ "x", Given.Row [| 0.5 |]; "w", Given.Shared [| 1.0 |] ]

        let tables =
            Map.ofList [ "t", { Rows = 2; Columns = Map.ofList [ "c", [| 1.0; -1.0 |] ] } ]

        let outputs = [ y; Diff.grad y x; (Diff.jvp [ y ] [ x, Expr.scalar 1.0 ]).Head ]

        let found =
            Engines.evaluate Engines.reference 1 given tables outputs
            |> List.map (fun f -> f[0][0])

        for expected, f in List.zip [ value; derivative; derivative ] found do
            Assert.True(
                abs (f - expected) <= 1e-9 * max 1.0 (abs expected),
                $"{name}: {f}, not {expected}"
            )

[<Fact>]
let ``many sums over tables, one upon the other, stay few nodes`` () =
    let c = Expr.column "t" "c" Scalar
    let y = repeat 200 (fun y _ -> Expr.reduceOver "t" (c * y)) x

    let tables =
        Map.ofList [ "t", { Rows = 2; Columns = Map.ofList [ "c", [| 1.5; -0.5 |] ] } ]

    let outputs = [ y; Diff.grad y x ]
    let program = Program.ofOutputs [ "y", y; "g", outputs[1] ]
    Assert.True(program.Nodes.Length < 2000, $"{program.Nodes.Length} nodes")

    let found =
        Engines.evaluate Engines.reference 1 [ "x", Given.Row [| 0.5 |] ] tables outputs

    Assert.Equal<float[]>([| 0.5 |], found[0][0])
    Assert.Equal<float[]>([| 1.0 |], found[1][0])

[<Fact>]
let ``gradients in thousands of single elements are found`` () =
    let n = 3000
    let p = Expr.parameter "p" (Vector n)
    let y = Seq.init n (fun i -> float i * Expr.item i p) |> Seq.reduce (+)
    let values = Array.create n 1.0

    let found =
        Engines.evaluate Engines.reference 1 [ "p", Given.Row values ] Map.empty [ Diff.grad y p ]

    Assert.Equal<float[]>(Array.init n float, found.Head[0])
