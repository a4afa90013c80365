module FunLik.Tests.DiffTests

open System
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

let private evaluate rows given outputs =
    Engines.evaluate Engines.reference rows given Map.empty outputs

/// The value of a scalar at one point of a vector x.
let private at (x: float[]) (y: Expr) : float = (evaluate 1 [ "x", Given.Row x ] [ y ]).Head[0][0]

let private vectorAt (x: float[]) (y: Expr) : float[] =
    (evaluate 1 [ "x", Given.Row x ] [ y ]).Head[0]

let private close (tolerance: float) (expected: float[]) (found: float[]) : unit =
    Assert.Equal(expected.Length, found.Length)

    for i in 0 .. expected.Length - 1 do
        let allowed = tolerance * max 1.0 (abs expected[i])

        Assert.True(
            expected[i].Equals found[i] || abs (expected[i] - found[i]) <= allowed,
            $"element {i} is {found[i]}, not {expected[i]}"
        )

let private x (n: int) : Expr = Expr.parameter "x" (Vector n)
let private scalarX: Expr = Expr.parameter "x" Scalar

/// Rosenbrock's function of n variables.
let private rosenbrock (n: int) : Expr =
    let low, high = Expr.slice 0 (n - 1) (x n), Expr.slice 1 (n - 1) (x n)
    Expr.sum (100.0 * Expr.power 2 (high - low * low) + Expr.power 2 (1.0 - low))

[<Fact>]
let ``the gradient and the Hessian of Rosenbrock's function are those of the textbook`` () =
    let law (NormalFloat a) (NormalFloat b) =
        let a, b = a % 10.0, b % 10.0
        let y, point = rosenbrock 2, [| a; b |]

        vectorAt point (Diff.grad y (x 2))
        |> close 1e-12 [| -400.0 * a * (b - a * a) - 2.0 * (1.0 - a); 200.0 * (b - a * a) |]

        let rows = Diff.hessian y (x 2) |> List.map (vectorAt point)
        close 1e-12 [| 1200.0 * a * a - 400.0 * b + 2.0; -400.0 * a |] rows[0]
        close 1e-12 [| -400.0 * a; 200.0 |] rows[1]

    Check.One(Config.QuickThrowOnFailure, law)

[<Fact>]
let ``derivatives of derivatives are those of closed forms`` () =
    let nth (n: int) (y: Expr) : Expr =
        Seq.init n ignore |> Seq.fold (fun e () -> Diff.grad e scalarX) y

    for point in [ -1.3; 0.4; 2.1 ] do
        let value e = at [| point |] e
        let is (expected: float) (e: Expr) = close 1e-12 [| expected |] [| value e |]
        nth 4 (sin scalarX) |> is (sin point)
        nth 3 (Expr.power 5 scalarX) |> is (60.0 * point * point)
        nth 5 (exp (2.0 * scalarX)) |> is (32.0 * exp (2.0 * point))

        nth 2 (log (1.0 + scalarX * scalarX))
        |> is (2.0 * (1.0 - point * point) / (1.0 + point * point) ** 2.0)

        nth 3 (1.0 / (scalarX + 3.0)) |> is (-6.0 / (point + 3.0) ** 4.0)

        nth 2 (Expr.erf scalarX)
        |> is (-4.0 * point / sqrt Math.PI * exp (-point * point))
        // Bernstein's way around: a derivative inside of what is derived.
        nth 1 (nth 1 (Expr.power 3 scalarX) * scalarX) |> is (9.0 * point * point)

/// Some functions of a vector of four in which much happens.
let private busy: Expr list =
    let v = x 4
    let m = Expr.matrix 3 4 [| for i in 1..12 -> sin (float i) |]

    [
        rosenbrock 4
        Expr.logSumExp (v * v) + Composite.product v
        Expr.sum (tanh (Expr.matVec m v)) * exp (0.3 * Expr.item 2 v)
        Expr.sum (Composite.gelu v / (2.0 + cos v))
        Expr.sum (Expr.select (Expr.less v (Expr.gather [| 1; 2; 3; 0 |] v)) (v * v * v) (sin v))
        Expr.sum (Expr.xlogy (1.0 + v * v) (3.0 + sin v) - Expr.logGamma (2.0 + v * v))
        Expr.logSumExp (Expr.concat [ v; Expr.sum v; Expr.scatterAdd [| 1; 0; 1; 1 |] 2 v ])
    ]

[<Fact>]
let ``a Hessian is symmetric, and its products with directions are hvp, forward or backward`` () =
    for y in busy do
        for seed in 1..5 do
            let struct (a, b) = Key.split (Key.ofSeed seed)
            let point, direction = Key.normals 4 a, Key.normals 4 b
            let rows = Diff.hessian y (x 4) |> List.map (vectorAt point)

            for i in 0..3 do
                for j in 0..3 do
                    close 1e-11 [| rows[i][j] |] [| rows[j][i] |]

            let product =
                rows
                |> List.map (fun r -> Array.map2 (*) r direction |> Array.sum)
                |> Array.ofList

            let d = Expr.vector direction
            vectorAt point (Diff.hvp y (x 4) d) |> close 1e-11 product

            vectorAt point (Diff.grad (Expr.dot (Diff.grad y (x 4)) d) (x 4))
            |> close 1e-11 product

[<Fact>]
let ``a gradient in a subexpression takes the rest as it is`` () =
    let v = x 3
    let u = exp v
    let y = Expr.sum (u * v)
    vectorAt [| 0.1; 0.2; 0.3 |] (Diff.grad y u) |> close 1e-15 [| 0.1; 0.2; 0.3 |]
    let both = Diff.gradients y [ u; v ]
    // Where one target stands below the other, it gets what does not pass through it.
    vectorAt [| 0.1; 0.2; 0.3 |] both[1]
    |> close 1e-15 (Array.map exp [| 0.1; 0.2; 0.3 |])

[<Fact>]
let ``what a value does not depend on has a gradient of zeros`` () =
    let other = Expr.weight "w" (Matrix(2, 2))
    Assert.Equal<float[]>(Array.zeroCreate 4, vectorAt [| 1.0 |] (Diff.grad (sin scalarX) other))
    Assert.Equal<float[]>([| 0.0 |], vectorAt [| 1.0 |] (Diff.grad (Expr.sign scalarX) scalarX))
    Assert.Equal<float[]>([| 1.0 |], vectorAt [| 1.0 |] (Diff.grad scalarX scalarX))

let private refused (kind: ErrorKind) (action: unit -> Expr list) : unit =
    let e = Assert.Throws<FunLikException>(fun () -> action () |> ignore)
    Assert.Equal(kind, e.Errors.Head.Kind)

[<Fact>]
let ``gradients of rows that mix, of vectors, and of what has another shape are refused`` () =
    let v = x 3
    let mixed = scalarX - Expr.meanRows scalarX
    refused ErrorKind.Unsupported (fun () -> [ Diff.grad mixed scalarX ])
    refused ErrorKind.Unsupported (fun () -> [ Diff.grad v v ])
    refused ErrorKind.Unsupported (fun () -> [ Diff.hvp v v v ])
    refused ErrorKind.Unsupported (fun () -> Diff.vjp [ v, Expr.scalar 1.0 ] [ v ])
    refused ErrorKind.Unsupported (fun () -> Diff.jvp [ Expr.sum v ] [ v, Expr.scalar 1.0 ])
    let column = Expr.column "t" "c" Scalar
    let sum = Expr.reduceOver "t" (column * scalarX)
    refused ErrorKind.Unsupported (fun () -> [ Diff.grad sum column ])
    // Summed, what mixes has a gradient; the number of rows mixes nothing.
    Diff.grad (Expr.sumRows (mixed * mixed)) scalarX |> ignore
    Diff.grad (scalarX * Expr.rowCount) scalarX |> ignore

[<Fact>]
let ``matrices that depend on a row are refused`` () =
    let m = Expr.weight "m" (Matrix(2, 2))
    let v = Expr.parameter "v" (Vector 2)
    refused ErrorKind.Shape (fun () -> [ m * scalarX ])
    refused ErrorKind.Shape (fun () -> [ Expr.fill (Matrix(2, 2)) scalarX ])
    refused ErrorKind.Shape (fun () -> [ Expr.apply Op.Outer [ v; v ] ])
    refused ErrorKind.Shape (fun () -> [ Expr.fill (Matrix(2, 2)) (Expr.column "t" "c" Scalar) ])
    refused ErrorKind.Shape (fun () -> [ Expr.sumRows (Expr.column "t" "c" Scalar) ])
    Expr.outerRows v v |> ignore

[<Fact>]
let ``a shared value gets one cotangent a row`` () =
    let w = Expr.weight "w" Scalar
    let given = [ "x", Given.Row [| 1.0; 2.0; 4.0 |]; "w", Given.Shared [| 5.0 |] ]

    for y, expected in
        [
            scalarX + w, 3.0
            scalarX * w, 7.0
            w + w * scalarX, 10.0
            Expr.sumRows (scalarX + w), 3.0
            Expr.meanRows (scalarX - w), -1.0
            Expr.sumRows (scalarX - w) * w, 7.0 - 30.0
            Expr.sumRows w, 3.0
            w * w, 10.0
            Expr.sum (Expr.concat [ w; scalarX; w ]), 6.0
            Expr.sum (Expr.fill (Vector 4) w + scalarX), 12.0
            Expr.select (Expr.less scalarX (Expr.scalar 3.0)) w (3.0 * w), 5.0
        ] do
        for engine in Engines.all do
            let g = Engines.evaluate engine 3 given Map.empty [ Diff.grad y w ]
            close 1e-6 [| expected |] g.Head[0]

    // The derivative of a shared value, whatever comes of it later, counts once.
    let shared = exp w
    let g = Diff.gradients (Expr.sumRows (scalarX * shared)) [ shared; w ]
    close 1e-14 [| 7.0 |] (evaluate 3 given [ g[0] ]).Head[0]
    close 1e-14 [| 7.0 * exp 5.0 |] (evaluate 3 given [ Diff.grad (scalarX * shared) w ]).Head[0]

/// A network of two layers, and all it is made of.
let private network (activation: Expr -> Expr) =
    let w1, b1 = Expr.weight "w1" (Matrix(4, 3)), Expr.weight "b1" (Vector 4)
    let w2, b2 = Expr.weight "w2" (Matrix(1, 4)), Expr.weight "b2" (Vector 1)
    let input = x 3
    let hidden = activation (Expr.matVec w1 input + b1)
    input, Expr.item 0 (Expr.matVec w2 hidden + b2), [ w1; b1; w2; b2 ]

let private weightValues (key: Key) (weights: Expr list) : (string * float[]) list =
    weights
    |> List.mapi (fun k w ->
        match w.Node with
        | Node.Input(name, _) -> name, Key.normals (Shape.size w.Shape) (Key.fold k key)
        | _ -> "", [||])

/// Central differences, extrapolated, of a function of several arrays, in each element.
let private differences (f: (string * float[]) list -> float) (values: (string * float[]) list) =
    values
    |> List.map (fun (name, v) ->
        v
        |> Array.mapi (fun i _ ->
            let moved h =
                values
                |> List.map (fun (n, u) ->
                    n,
                    (if n = name then
                         Array.mapi (fun k a -> if k = i then a + h else a) u
                     else
                         u))
                |> f

            let difference h = (moved h - moved -h) / (2.0 * h)
            (4.0 * difference 1e-4 - difference 2e-4) / 3.0))

let private shared (values: (string * float[]) list) =
    values |> List.map (fun (name, v) -> name, Given.Shared v)

[<Fact>]
let ``weight gradients of a mean loss are sums over rows, and what differences give`` () =
    for name, activation in Composite.activations do
        let _, y, weights = network activation
        let target = Expr.datum "y" Scalar
        let loss = Expr.meanRows (Expr.power 2 (y - target))
        let key = Key.ofSeed 3 |> Key.foldName name
        let values = weightValues key weights
        let rows = 9
        let points = Key.normals (3 * rows) (Key.foldName "x" key)
        let targets = Key.normals rows (Key.foldName "y" key)

        let at first count =
            [
                "x", Given.Row points[3 * first .. 3 * (first + count) - 1]
                "y", Given.Row targets[first .. first + count - 1]
            ]

        let whole = evaluate rows (at 0 rows @ shared values) (Diff.gradients loss weights)

        let parts =
            [ 0 .. rows - 1 ]
            |> List.map (fun r -> evaluate 1 (at r 1 @ shared values) (Diff.gradients loss weights))
            |> List.map (List.map Array.head)
            |> List.reduce (List.map2 (Array.map2 (+)))

        let value v = (evaluate rows (at 0 rows @ shared v) [ loss ]).Head[0][0]

        for g, part, difference in List.zip3 whole parts (differences value values) do
            close 1e-12 (part |> Array.map (fun p -> p / float rows)) g[0]
            close 1e-7 difference g[0]

[<Fact>]
let ``a loss of gradients has weight gradients that differences give`` () =
    for name, activation in Composite.activations do
        let input, y, weights = network activation
        let slope = Expr.datum "s" (Vector 3)
        let miss = Diff.grad y input - slope
        let loss = Expr.meanRows (Expr.dot miss miss) + 0.1 * Expr.meanRows (y * y)
        let key = Key.ofSeed 4 |> Key.foldName name
        let values = weightValues key weights
        let rows = 5

        let at =
            [
                "x", Given.Row(Key.normals (3 * rows) (Key.foldName "x" key))
                "s", Given.Row(Key.normals (3 * rows) (Key.foldName "s" key))
            ]

        let value v = (evaluate rows (at @ shared v) [ loss ]).Head[0][0]
        let expected = differences value values

        for engine in Engines.all do
            let found =
                Engines.evaluate
                    engine
                    rows
                    (at @ shared values)
                    Map.empty
                    (Diff.gradients loss weights)

            for g, difference in List.zip found expected do
                close (max 1e-7 (10.0 * engine.Tolerance)) difference g[0]

[<Fact>]
let ``tangents of a shared target move all rows`` () =
    let _, y, weights = network Composite.silu
    let key = Key.ofSeed 8
    let values = weightValues key weights
    let directions = weightValues (Key.foldName "v" key) weights

    let tangents =
        List.map2
            (fun (w: Expr) (_, v: float[]) ->
                match w.Shape with
                | Matrix(r, c) -> Expr.matrix r c v
                | _ -> Expr.vector v)
            weights
            directions

    let rows = 4
    let at = [ "x", Given.Row(Key.normals (3 * rows) key) ]
    let loss = Expr.sumRows (y * y)
    let forward = (Diff.jvp [ loss ] (List.zip weights tangents)).Head
    let back = Diff.gradients loss weights

    let found =
        evaluate rows (at @ shared values) (forward :: back) |> List.map Array.head

    let expected =
        List.map2 (fun g (_, v) -> Array.map2 (*) g v |> Array.sum) found.Tail directions
        |> List.sum

    close 1e-12 [| expected |] found.Head
