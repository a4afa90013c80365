module FunLik.Tests.SimplifyTests

open FunLik
open Xunit

let private ops (expr: Expr) : Op list =
    Expr.topological (fun _ -> false) [ Simplify.one expr ]
    |> List.choose (fun e ->
        match e.Node with
        | Node.Apply(op, _) -> Some op
        | _ -> None)

let private valueAt (x: float[]) (expr: Expr) : float[] =
    let program = Program.ofOutputs [ "y", expr ]
    let kernel = Reference.compile (Binding.ofRole (Set.singleton "x")) program
    (kernel.Bind().Evaluate(1, [| x |], RunOptions.Single))[0]

let private x = Expr.parameter "x" (Vector 5)

[<Fact>]
let ``the gradient in a vector that is read by slices is a concatenation`` () =
    let y =
        Expr.item 4 x * Expr.sum (exp (Expr.slice 1 3 x)) + Expr.power 3 (Expr.item 0 x)

    let gradient = Diff.grad y x
    Assert.DoesNotContain(ops gradient, fun op -> op.IsScatterAdd)

    let at = [| 2.0; 0.1; 0.2; 0.3; 4.0 |]
    let sum = exp 0.1 + exp 0.2 + exp 0.3
    let expected = [| 12.0; 4.0 * exp 0.1; 4.0 * exp 0.2; 4.0 * exp 0.3; sum |]
    let found = valueAt at gradient
    Array.iter2 (fun (e: float) f -> Assert.Equal(e, f, 12)) expected found

[<Fact>]
let ``slices that overlap, double or leave gaps still add up`` () =
    let parts =
        [
            Expr.sum (exp (Expr.slice 0 3 x)) + Expr.sum (2.0 * exp (Expr.slice 2 3 x))
            Expr.sum (exp (Expr.gather [| 1; 1; 4 |] x)) + Expr.item 0 x
            Expr.sum (exp (Expr.gather [| 3; 1 |] x)) + Expr.power 2 (Expr.item 2 x)
        ]

    let at = [| 0.5; -0.1; 0.2; 0.3; 0.7 |]
    let e = Array.map exp at

    let expected =
        [
            [| e[0]; e[1]; 3.0 * e[2]; 2.0 * e[3]; 2.0 * e[4] |]
            [| 1.0; 2.0 * e[1]; 0.0; 0.0; e[4] |]
            [| 0.0; e[1]; 2.0 * at[2]; e[3]; 0.0 |]
        ]

    for part, values in List.zip parts expected do
        let found = valueAt at (Diff.grad part x)
        Array.iter2 (fun (v: float) f -> Assert.Equal(v, f, 12)) values found

[<Fact>]
let ``signs and doubles go into constants`` () =
    let single (expr: Expr) = ops expr |> List.length
    Assert.Equal(1, single (x + x))
    Assert.Equal(1, single (-(3.0 * x)))
    Assert.Equal(1, single (3.0 * -x))
    Assert.Equal(1, single (-(-1.0 * (2.0 * x))))
    Assert.Equal(0, single (-(-x)))
    Assert.Equal(0, single (0.5 * (x + x)))
    Assert.Equal<float[]>([| -6.0; 3.0 |], (valueAt [| 2.0; -1.0; 0.0; 0.0; 0.0 |] (3.0 * -x))[..1])

[<Fact>]
let ``a transposed outer product is that of its factors the other way round`` () =
    let y = Expr.gather [| 0; 1; 2 |] (exp x)
    let outer = Expr.apply Op.OuterRows [ x; y ]
    Assert.DoesNotContain(ops (Expr.transpose outer), fun op -> op.IsTranspose)
    let at = [| 0.1; 0.2; 0.3; 0.4; 0.5 |]
    let value = valueAt at outer

    let expected =
        [|
            for j in 0..2 do
                for i in 0..4 -> value[3 * i + j]
        |]

    Assert.Equal<float[]>(expected, valueAt at (Simplify.one (Expr.transpose outer)))
