module FunLik.Tests.ValueTests

open System
open Xunit
open FunLik

/// What operations are worth at the borders of their domains: arguments and value.
let private borders: (Op * (float list * float) list) list =
    let inf = infinity

    [
        Op.Neg, [ [ inf ], -inf; [ nan ], nan ]
        Op.Abs, [ [ -inf ], inf; [ 0.0 ], 0.0; [ nan ], nan ]
        Op.Sign, [ [ 0.0 ], 0.0; [ -0.0 ], 0.0; [ -inf ], -1.0; [ 3.0 ], 1.0; [ nan ], nan ]
        Op.Sqrt, [ [ 0.0 ], 0.0; [ inf ], inf; [ -1.0 ], nan; [ nan ], nan ]
        Op.Exp, [ [ inf ], inf; [ -inf ], 0.0; [ 1000.0 ], inf; [ -1000.0 ], 0.0; [ nan ], nan ]
        Op.Log, [ [ 0.0 ], -inf; [ inf ], inf; [ -1.0 ], nan; [ 1.0 ], 0.0; [ nan ], nan ]
        Op.Log1p, [ [ -1.0 ], -inf; [ inf ], inf; [ -2.0 ], nan; [ 0.0 ], 0.0; [ nan ], nan ]
        Op.Expm1, [ [ -inf ], -1.0; [ inf ], inf; [ 0.0 ], 0.0; [ nan ], nan ]
        Op.Tanh, [ [ inf ], 1.0; [ -inf ], -1.0; [ 0.0 ], 0.0; [ 400.0 ], 1.0; [ nan ], nan ]
        Op.Sin, [ [ 0.0 ], 0.0; [ inf ], nan; [ nan ], nan ]
        Op.Cos, [ [ 0.0 ], 1.0; [ -inf ], nan; [ nan ], nan ]
        Op.Erf, [ [ inf ], 1.0; [ -inf ], -1.0; [ 0.0 ], 0.0; [ 30.0 ], 1.0; [ nan ], nan ]
        Op.LogGamma,
        [
            [ 0.0 ], inf
            [ -0.0 ], inf
            [ -1.0 ], inf
            [ -7.0 ], inf
            [ 1.0 ], 0.0
            [ 2.0 ], 0.0
            [ inf ], inf
            [ -1.5 ], nan
            [ -0.5 ], nan
            [ nan ], nan
        ]
        Op.Polygamma 0, [ [ 0.0 ], -inf; [ inf ], inf; [ -1.0 ], nan; [ nan ], nan ]
        Op.Polygamma 1, [ [ 0.0 ], inf; [ inf ], 0.0; [ -0.5 ], nan; [ nan ], nan ]
        Op.Polygamma 2, [ [ 0.0 ], -inf; [ inf ], 0.0 ]
        Op.Power 0, [ [ 0.0 ], 1.0; [ nan ], 1.0; [ inf ], 1.0 ]
        Op.Power 2, [ [ -inf ], inf; [ nan ], nan ]
        Op.Power 3, [ [ -inf ], -inf; [ 0.0 ], 0.0 ]
        Op.Power -1, [ [ 0.0 ], inf; [ -0.0 ], -inf; [ inf ], 0.0; [ nan ], nan ]
        Op.Power -2, [ [ 0.0 ], inf; [ -0.0 ], inf; [ -inf ], 0.0 ]
        Op.Power -3, [ [ 0.0 ], inf; [ -0.0 ], -inf ]
        Op.Add, [ [ inf; -inf ], nan; [ inf; 1.0 ], inf; [ nan; 1.0 ], nan ]
        Op.Sub, [ [ inf; inf ], nan; [ 1.0; inf ], -inf; [ nan; 1.0 ], nan ]
        Op.Mul, [ [ 0.0; inf ], nan; [ 0.0; nan ], nan; [ -2.0; inf ], -inf; [ 0.0; 3.0 ], 0.0 ]
        Op.MaskedMul,
        [
            [ 0.0; inf ], 0.0
            [ -0.0; -inf ], 0.0
            [ 0.0; nan ], 0.0
            [ nan; 0.0 ], nan
            [ inf; 0.0 ], nan
            [ 2.0; inf ], inf
            [ 2.0; 3.0 ], 6.0
            [ 1.0; nan ], nan
        ]
        Op.Div,
        [
            [ 1.0; 0.0 ], inf
            [ -1.0; 0.0 ], -inf
            [ 0.0; 0.0 ], nan
            [ 1.0; inf ], 0.0
            [ inf; inf ], nan
            [ 1.0; nan ], nan
        ]
        Op.XLogY,
        [
            [ 0.0; 0.0 ], 0.0
            [ -0.0; 0.0 ], 0.0
            [ 0.0; -1.0 ], 0.0
            [ 0.0; nan ], 0.0
            [ 0.0; inf ], 0.0
            [ 1.0; 0.0 ], -inf
            [ -1.0; 0.0 ], inf
            [ 1.0; -1.0 ], nan
            [ 2.0; inf ], inf
            [ nan; 1.0 ], nan
            [ 1.0; nan ], nan
        ]
        Op.Less,
        [
            [ 0.0; 0.0 ], 0.0
            [ -0.0; 0.0 ], 0.0
            [ 1.0; inf ], 1.0
            [ -inf; inf ], 1.0
            [ inf; inf ], 0.0
            [ nan; 1.0 ], 0.0
            [ 1.0; nan ], 0.0
        ]
        Op.Select,
        [
            [ 0.0; nan; 2.0 ], 2.0
            [ -0.0; inf; 2.0 ], 2.0
            [ 1.0; 3.0; nan ], 3.0
            [ -0.5; 3.0; inf ], 3.0
            [ nan; 3.0; 2.0 ], 3.0
            [ inf; 3.0; 2.0 ], 3.0
            [ 1.0; nan; 2.0 ], nan
        ]
    ]

/// The same for operations on a whole vector.
let private wholes: (Op * (float list * float) list) list =
    let inf = infinity

    [
        Op.Sum, [ [ inf; 1.0 ], inf; [ inf; -inf ], nan; [ nan; 1.0 ], nan ]
        Op.LogSumExp,
        [
            [ -inf; -inf ], -inf
            [ inf; 0.0 ], inf
            [ inf; -inf ], inf
            [ -inf; 1.5 ], 1.5
            [ nan; inf ], nan
            [ inf; nan; 0.0 ], nan
            [ nan; -inf ], nan
            [ 1000.0; 1000.0 ], 1000.0 + log 2.0
            [ -1000.0; -1000.0 ], -1000.0 + log 2.0
            [ -1e30; 5.0 ], 5.0
        ]
    ]

let private isClose (tolerance: float) (expected: float) (found: float) : bool =
    expected = found
    || expected.Equals found
    || (Double.IsFinite expected
        && abs (found - expected) <= tolerance * max 1.0 (abs expected))

/// Holds an expression over arguments x0, x1, … to values, on all engines, however they are bound. Rows have one case after the
/// other, as often as fits.
let private hold (what: string) (y: Expr) (cases: (float[] list * float) list) : unit =
    let check (engine: EngineUnderTest) (arguments: float[] list) expected (found: float[]) =
        for value in found do
            Assert.True(
                isClose engine.Tolerance expected value,
                $"{engine.Name}: {what} of {arguments} is {value}, not {expected}"
            )

    for engine in Engines.all do
        let rows = 40
        let at = Array.init rows (fun r -> cases[r % cases.Length])

        let given =
            (fst cases.Head)
            |> List.mapi (fun k _ ->
                Subjects.name k,
                Given.Row(at |> Array.collect (fun (arguments, _) -> arguments[k])))

        let run = Engines.prepared engine given Map.empty [ y ]

        for rows in [ 1; 5; rows ] do
            for (arguments, expected), found in Array.zip at[.. rows - 1] (run rows).Head do
                check engine arguments expected found

        for bind in [ Given.Shared; Given.Constant ] do
            for arguments, expected in cases do
                let given = arguments |> List.mapi (fun k values -> Subjects.name k, bind values)

                for found in (Engines.evaluate engine 2 given Map.empty [ y ]).Head do
                    check engine arguments expected found

[<Fact>]
let ``values at infinities, NaN, zeros, poles and kinks are the same in all engines`` () =
    for op, cases in borders do
        for shape in [ Scalar; Vector 3 ] do
            let inputs =
                fst cases.Head |> List.mapi (fun k _ -> Expr.parameter (Subjects.name k) shape)

            cases
            |> List.map (fun (arguments, expected) ->
                arguments |> List.map (Array.create (Shape.size shape)), expected)
            |> hold (string op) (Expr.apply op inputs)

    for op, cases in wholes do
        for arguments, expected in cases do
            let y = Expr.apply op [ Expr.parameter "x0" (Vector arguments.Length) ]
            hold (string op) y [ [ Array.ofList arguments ], expected ]

[<Fact>]
let ``constants fold to what engines compute`` () =
    for op, cases in borders do
        for arguments, expected in cases do
            match (Simplify.one (Expr.apply op (arguments |> List.map Expr.scalar))).Node with
            | Node.Constant [| value |] -> Assert.True(isClose 1e-15 expected value)
            | _ -> Assert.Fail $"{op} of constants is no constant"

[<Fact>]
let ``small arguments keep their digits in all engines`` () =
    let x = Expr.parameter "x0" (Vector 60)

    let values =
        Array.init 60 (fun i -> (if i % 2 = 0 then 1.0 else -1.0) * 10.0 ** (-0.5 * float i))

    for name, y in
        [
            "log1p", Expr.log1p (0.9 * x)
            "expm1", Expr.expm1 x
            "erf", Expr.erf x
            "sin", sin x
        ] do
        for engine in Engines.all do
            let values = values |> Array.map engine.Round
            let given = [ "x0", Given.Row values ]
            let expected = (Oracle.values 1 given Map.empty [ y ]).Head[0]
            let found = (Engines.evaluate engine 1 given Map.empty [ y ]).Head[0]

            for i in 0..59 do
                let allowed = (if engine.Tolerance < 1e-10 then 1e-15 else 1e-6) * abs expected[i]

                Assert.True(
                    abs (found[i] - expected[i]) <= allowed,
                    $"{engine.Name}: {name} at {values[i]} is {found[i]}, not {expected[i]}"
                )

let private x0 = Expr.parameter "x0" Scalar
let private vector = Expr.parameter "x0" (Vector 2)

/// First and second derivatives of a function of a number, where they are kinks or borders: at, first, second.
let private kinks: (string * Expr * float * float * float) list =
    let zero, inf = Expr.scalar 0.0, infinity

    [
        "abs", abs x0, 0.0, 0.0, 0.0
        "sign", Expr.sign x0, 0.0, 0.0, 0.0
        "relu", Composite.relu x0, 0.0, 0.0, 0.0
        "elu", Composite.elu x0, 0.0, 1.0, 1.0
        "softplus", Composite.softplus x0, 0.0, 0.5, 0.25
        "softplus far left", Composite.softplus x0, -800.0, 0.0, 0.0
        "softplus far right", Composite.softplus x0, 800.0, 1.0, 0.0
        "sigmoid far left", Composite.sigmoid x0, -800.0, 0.0, 0.0
        "silu far left", Composite.silu x0, -800.0, 0.0, 0.0
        "gelu far left", Composite.gelu x0, -100.0, 0.0, 0.0
        "elu far right", Composite.elu x0, 800.0, 1.0, 0.0
        "selu far right", Composite.selu x0, 800.0, 1.0507009873554805, 0.0
        "sqrt", sqrt x0, 0.0, inf, -inf
        "log", log x0, 0.0, inf, -inf
        "square", Expr.power 2 x0, 0.0, 0.0, 2.0
        "first power", Expr.power 1 x0, 0.0, 1.0, 0.0
        "zeroth power", Expr.power 0 x0, 0.0, 0.0, 0.0
        "xlogy of 0", Expr.xlogy zero x0, 0.0, 0.0, 0.0
        "xlogy of 0, negative", Expr.xlogy zero x0, -1.0, 0.0, 0.0
        "xlogy below", Expr.xlogy zero (x0 - 1.0) + x0 * x0, 1.0, 2.0, 2.0
        "Poisson without events", Composite.poissonLogDensity zero x0, 0.0, -1.0, 0.0
        "maximum", Composite.maximum x0 (2.0 * x0), 0.0, 2.0, 0.0
        "less", Expr.less x0 zero, 0.0, 0.0, 0.0
        "log Σ exp of -∞", Expr.logSumExp (Expr.concat [ x0; Expr.scalar -inf ]), 1.0, 1.0, 0.0
        "erf far", Expr.erf x0, 40.0, 0.0, 0.0
        "tanh far", tanh x0, -400.0, 0.0, 0.0
    ]

[<Fact>]
let ``activations pass NaN on, and saturate at infinities`` () =
    let selu = 1.0507009873554805 * 1.6732632423543772

    let far: Map<string, float * float> =
        Map
            [
                "relu", (0.0, infinity)
                "elu", (-1.0, infinity)
                "selu", (-selu, infinity)
                "softplus", (0.0, infinity)
                "sigmoid", (0.0, 1.0)
                "tanh", (-1.0, 1.0)
                "linear", (-infinity, infinity)
            ]

    for name, f in Composite.activations do
        hold name (f x0) [ [ [| nan |] ], nan ]

        match far.TryFind name with
        | Some(left, right) ->
            hold name (f x0) [ [ [| -infinity |] ], left; [ [| infinity |] ], right ]
        | None -> ()

    hold
        "relu"
        (Composite.relu x0)
        [ [ [| 1e-40 |] ], 1e-40; [ [| -0.0 |] ], 0.0; [ [| 1.0 |] ], 1.0 ]

    hold
        "relu'"
        (Diff.grad (Composite.relu x0) x0)
        [ [ [| 0.5 |] ], 1.0; [ [| 1.0 |] ], 1.0; [ [| 7.0 |] ], 1.0 ]

[<Fact>]
let ``derivatives at kinks and borders are defined`` () =
    for name, y, at, first, second in kinks do
        let g = Diff.grad y x0
        let forward = (Diff.jvp [ y ] [ x0, Expr.scalar 1.0 ]).Head
        hold $"{name}'" g [ [ [| at |] ], first ]
        hold $"{name}' forward" forward [ [ [| at |] ], first ]
        hold $"{name}''" (Diff.hvp y x0 (Expr.scalar 1.0)) [ [ [| at |] ], second ]

/// Scalars of x0 that are not finite, or have no finite derivatives, at 0, with what they stand on.
let private broken: (string * (Expr -> Expr)) list =
    let weights = Expr.matrix 2 2 [| 1.0; 2.0; 3.0; 4.0 |]
    let twice (e: Expr) = Expr.concat [ e; e ]

    [
        "sqrt of 0", sqrt
        "sqrt of -1", fun x -> sqrt (x - 1.0)
        "log of 0", log
        "log of -1", fun x -> log (x - 1.0)
        "1 / 0", fun x -> 1.0 / x
        "0 / 0", fun x -> x / x
        "x / x²", fun x -> x / (x * x)
        "negative power", Expr.power -3
        "overflow", fun x -> exp (1000.0 + x)
        "overflow below", fun x -> log (exp (1000.0 + x))
        "log Γ", Expr.logGamma
        "log Γ below 0", fun x -> Expr.logGamma (x - 0.5)
        "xlogy", fun x -> Expr.xlogy (1.0 + x) x
        "xlogy at 0", fun x -> Expr.xlogy x x
        "log1p", fun x -> Expr.log1p (x - 1.0)
        "log Σ exp", fun x -> Expr.logSumExp (twice (log x))
        "log Σ exp of ∞", fun x -> Expr.logSumExp (twice (1.0 / x))
        "product", fun x -> Composite.product (twice (1.0 / x))
        "matrix", fun x -> Expr.sum (Expr.matVec weights (twice (log (x - 1.0))))
        "gathered", fun x -> Expr.item 0 (Expr.gather [| 1; 1 |] (twice (sqrt x)))
        "scattered", fun x -> Expr.sum (Expr.scatterAdd [| 2; 2 |] 4 (twice (1.0 / x)))
        "masked", fun x -> Expr.apply Op.MaskedMul [ x; sqrt x ]
        "in itself", fun x -> Expr.select (Expr.less x (Expr.scalar 1.0)) (sqrt (x - 1.0)) x
        "NaN", fun x -> x * nan
    ]

[<Fact>]
let ``the branch not taken sends no NaN, neither in values nor in derivatives of any order`` () =
    let one = Expr.scalar 1.0
    let w = Expr.weight "w" Scalar

    for name, f in broken do
        let stands (taken: Expr) (condition: Expr) : (string * Expr) list =
            [
                "second", Expr.select condition taken (f x0)
                "first", Expr.select (1.0 - condition) (f x0) taken
                "inside", sin (Expr.select condition taken (f x0 * f x0))
                "twice", Expr.select condition (Expr.select condition taken (f x0)) (exp (f x0))
                "vector",
                Expr.sum (
                    Expr.select
                        (Expr.concat [ condition; condition ])
                        taken
                        (Expr.fill (Vector 2) (f x0))
                )
                / 2.0
                "shared", Expr.select condition taken (f (x0 * w))
            ]

        // Taken is always x + x², the condition never depends on x.
        let taken = x0 + x0 * x0
        let condition = Expr.less (0.0 * x0) one
        let given = [ "x0", Given.Row [| 0.0; 0.0 |]; "w", Given.Shared [| 1.0 |] ]

        for where, y in stands taken condition do
            let g = Diff.grad y x0

            let outputs =
                [
                    y
                    g
                    Diff.hvp y x0 one
                    Diff.grad g x0
                    Diff.grad (Diff.hvp y x0 one) x0
                    Diff.grad (Expr.sumRows y) w
                    Diff.grad (Expr.sumRows (g * g)) w
                ]

            let third = if where = "inside" then -1.0 else 0.0
            let expected = [ 0.0; 1.0; 2.0; 2.0; third; 0.0; 0.0 ]

            for engine in Engines.all do
                Engines.evaluate engine 2 given Map.empty outputs
                |> List.zip3 [ 0..6 ] expected
                |> List.iter (fun (k, want, found) ->
                    let value = Array.head found[0]

                    Assert.True(
                        isClose engine.Tolerance want value,
                        $"{engine.Name}: {name}, {where}, output {k} is {value}, not {want}"
                    ))
