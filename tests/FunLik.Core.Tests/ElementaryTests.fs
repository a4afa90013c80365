module FunLik.Tests.ElementaryTests

open System
open FunLik
open Xunit

let private curves: (string * (Expr -> Expr) * (float -> float) * int64) list =
    [
        "exp", exp, exp, 2L
        "log", log, log, 2L
        "tanh", tanh, tanh, 3L
        "sin", sin, sin, 2L
        "cos", cos, cos, 2L
    ]

let private program (f: Expr -> Expr) : Program =
    Program.ofOutputs [ "y", f (Expr.parameter "x" Scalar) ]

let private doubles (f: Expr -> Expr) (x: float[]) : float[] =
    let session = (Engine.compile (fun _ -> Binding.Row) (program f)).Bind()
    session.Evaluate(x.Length, [| x |], RunOptions.Single)[0]

let private singles (f: Expr -> Expr) (x: float32[]) : float32[] =
    let session = (Engine.compileSingle (fun _ -> Binding.Row) (program f)).Bind()
    session.Evaluate(x.Length, [| x |], RunOptions.Single)[0]

/// Representable numbers between two numbers of one sign.
let private between (a: float) (b: float) : int64 =
    abs (BitConverter.DoubleToInt64Bits a - BitConverter.DoubleToInt64Bits b)

let private betweenSingles (a: float32) (b: float32) : int64 =
    abs (
        int64 (BitConverter.SingleToInt32Bits a)
        - int64 (BitConverter.SingleToInt32Bits b)
    )

/// Numbers of all sizes: those near 0 and 1, those with results near the ends of the range, and any bits.
let private numbers: float[] =
    let key = Key.ofSeed 17
    let normal = Key.normals 20_000 key

    Array.concat
        [
            normal
            normal |> Array.map (fun x -> 1.0 + 0.01 * x)
            normal |> Array.map (fun x -> 300.0 * x)
            normal |> Array.map (fun x -> 1e-5 * x)
            normal |> Array.map (fun x -> exp (100.0 * x))
            [| for i in 0..1200 -> -745.2 + 0.001 * float i |]
            [| for i in 0..1500 -> 709.0 + 0.001 * float i |]
            [| for i in -1100 .. 1100 -> float i * 0.6931471805599453 |]
            [| for i in -1074 .. 1023 -> Math.ScaleB(1.0, i) |]
        ]

let private specials: float[] =
    [|
        0.0
        -0.0
        infinity
        -infinity
        nan
        -1.0
        -1e300
        1e300
        Double.Epsilon
        Double.MaxValue
    |]

[<Fact>]
let ``curves in double precision are within few units in the last place`` () =
    for name, curve, oracle, units in curves do
        let x = Array.append numbers specials
        let found = doubles curve x

        (x, found)
        ||> Array.iter2 (fun x y ->
            let expected = oracle x

            let near =
                y = expected
                || (Double.IsNaN y && Double.IsNaN expected)
                || (sign y = sign expected && between y expected <= units)

            Assert.True(near, $"{name} {x:R} = {expected:R}, found {y:R}"))

[<Fact>]
let ``curves in single precision are within few units in the last place`` () =
    for name, curve, oracle, units in curves do
        let x = Array.append numbers specials |> Array.map float32
        let found = singles curve x

        (x, found)
        ||> Array.iter2 (fun x y ->
            let expected = float32 (oracle (float x))

            let near =
                y = expected
                || (Single.IsNaN y && Single.IsNaN expected)
                || betweenSingles y expected <= units

            Assert.True(near, $"{name} {x:R} = {expected:R}, found {y:R}"))

[<Fact>]
let ``curves of what is shared are as near, in a loop or not`` () =
    let x = Array.append numbers[..999] specials
    let leaf = Expr.weight "x" (Vector x.Length)

    for name, curve, oracle, units in curves do
        let program = Program.ofOutputs [ "y", curve leaf; "z", 1.0 + curve leaf ]

        let session =
            (Engine.compile (fun _ -> Binding.Shared) program).Bind(Map [ "x", x ], Map.empty)

        for i, y in Array.indexed (session.Evaluate(1, [||], RunOptions.Single)[0]) do
            let expected = oracle x[i]

            let near =
                y = expected
                || (Double.IsNaN y && Double.IsNaN expected)
                || (sign y = sign expected && between y expected <= units)

            Assert.True(near, $"{name} {x[i]:R} = {expected:R}, found {y:R}")

[<Fact>]
let ``one point is worth what it is worth in a batch`` () =
    for _, curve, _, _ in curves do
        let all = doubles curve numbers[..999]

        for i in 0..97..999 do
            let alone = (doubles curve [| numbers[i] |])[0]

            Assert.Equal(
                BitConverter.DoubleToInt64Bits all[i],
                BitConverter.DoubleToInt64Bits alone
            )

/// Quotients of many numbers by some, which loops make with inverses: by a divisor that stays, and by one of several quotients.
let private quotients<'T when 'T: unmanaged>
    (compile: (string -> Binding) -> Program -> Kernel<'T>)
    (x: 'T[])
    (divisor: 'T)
    : 'T[] list =
    let a, b, s =
        Expr.parameter "a" Scalar, Expr.parameter "b" Scalar, Expr.parameter "s" Scalar

    let program =
        Program.ofOutputs [ "stays", a / s; "first", a / b; "second", (a + 1.0) / b ]

    let binding name = if name = "s" then Binding.Shared else Binding.Row
    let session = (compile binding program).Bind(Map [ "s", [| divisor |] ], Map.empty)
    let row = Array.create x.Length divisor

    let inputs =
        session.RowInputs |> Array.map (fun (name, _) -> if name = "a" then x else row)

    let results = session.Evaluate(x.Length, inputs, RunOptions.Single)
    [ results[0]; results[1] ]

/// Divisors of all sizes and both signs, and what is none.
let private divisors: float[] =
    [|
        yield! specials
        yield! [| for i in -1074..13..1023 -> Math.ScaleB(1.3, i) |]
        yield! Key.normals 100 (Key.ofSeed 19)
        1e-310
        -1e308
    |]

[<Fact>]
let ``quotients by inverses are within few units in the last place, whatever the sizes`` () =
    let thousand = numbers |> Array.indexed |> Array.filter (fun (i, _) -> i % 97 = 0)
    let x = Array.append (Array.map snd thousand) specials

    let check (what: string) (least: float) (unit: float) (a: float) (b: float) (q: float) =
        let expected = a / b

        let near =
            q = expected
            || (Double.IsNaN q && Double.IsNaN expected)
            || abs (q - expected) <= max (unit * abs expected) (2.0 * least)

        Assert.True(near, $"{what}: {a:R} / {b:R} = {expected:R}, found {q:R}")

    for divisor in divisors do
        for found in quotients Engine.compile x divisor do
            (x, found)
            ||> Array.iter2 (fun a q -> check "double" Double.Epsilon 4.5e-16 a divisor q)

        let single = float32 divisor
        let numerators = Array.map float32 x

        for found in quotients Engine.compileSingle numerators single do
            (numerators, found)
            ||> Array.iter2 (fun a q ->
                // Beyond the largest number by less than half a unit is that number.
                if abs (float (a / single)) < 3e38 then
                    let least = float Single.Epsilon
                    check "single" least 2.4e-7 (float a) (float single) (float q))
