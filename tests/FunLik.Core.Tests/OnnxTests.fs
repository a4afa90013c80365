module FunLik.Tests.OnnxTests

open System
open System.IO
open Xunit
open FsCheck
open FunLik
open FunLik.Tests.OnnxSubjects

[<OnnxRuntimeFact>]
let ``all primitives, composites and networks have their values in ONNX Runtime`` () =
    for name, a, b, e in all do
        use inDouble = openModel (write doubles e)
        use inSingle = openModel (write singles e)

        for rows in batches do
            let x = points 1 rows a b
            let wanted = reference rows x e
            let found = evaluate inDouble rows x wanted.Length
            let error = worst 1e-3 wanted found
            Assert.True(error <= 1e-12, $"{name}, double, {rows} rows: {error}")

            // A kink or a step may lie between a number and its rounding.
            let x = x |> Array.map (float32 >> float)
            let wanted = reference rows x e
            let found = evaluate inSingle rows x wanted.Length
            let error = worst 1.0 wanted found
            Assert.True(error <= 2e-5, $"{name}, float, {rows} rows: {error}")

/// Numbers at the ends of what there is, in pairs; zeros may change their signs.
let private borders: float[] =
    let some =
        [
            nan
            infinity
            -infinity
            0.0
            1.0
            -1.0
            1e300
            -1e300
            1e-310
            700.0
            -800.0
        ]

    [|
        for a in some do
            for b in some do
                yield! [ a; b; a; b; a; b ]
    |]

[<OnnxRuntimeFact>]
let ``infinities, NaN and zeros go the same ways in ONNX Runtime and back`` () =
    let rows = borders.Length / width

    for name, _, _, e in (Primitive.all |> List.collect (fun p -> uses p.Op)) @ composites do
        // Products meet infinities times zeros in other orders.
        let differs = name.Contains "MatVec" || name.Contains "Sparse"

        if not differs then
            let model = write doubles e
            let wanted = reference rows borders e
            let found = run model rows borders wanted.Length
            Assert.True(worst 1e-300 wanted found <= 1e-12, name)

            Assert.True(
                worst 1e-300 wanted (reference rows borders (readBack model)) <= 1e-13,
                name
            )

[<Fact>]
let ``all primitives, composites and networks come back as they were`` () =
    for name, a, b, e in all do
        let inDouble, inSingle = readBack (write doubles e), readBack (write singles e)

        for rows in batches do
            let x = points 2 rows a b
            let wanted = reference rows x e
            let error = reference rows x inDouble |> worst 1e-3 wanted
            Assert.True(error <= 1e-13, $"{name}, double, {rows} rows: {error}")
            let error = reference rows x inSingle |> worst 1.0 wanted
            Assert.True(error <= 1e-5, $"{name}, float, {rows} rows: {error}")

[<Fact>]
let ``what comes back has the gradient of what was written`` () =
    for name, a, b, e in all do
        if e.Shape = Scalar && not (name.StartsWith "gradient") then
            let found = Diff.grad (readBack (write doubles e)) theta
            let x = points 3 5 a b
            let error = reference 5 x found |> worst 1e-3 (reference 5 x (Diff.grad e theta))
            Assert.True(error <= 1e-12, $"{name}: {error}")

let private operators (model: OnnxModel) : Set<string> =
    model.Graph.Nodes |> List.map _.OpType |> Set.ofList

[<Fact>]
let ``operations that ONNX lacks are known again`` () =
    let compositions =
        [
            Op.Log1p, [ theta ]
            Op.Expm1, [ theta ]
            Op.Erf, [ theta ]
            Op.LogSumExp, [ theta ]
            Op.XLogY, [ low; high ]
            Op.MaskedMul, [ one 0; high ]
        ]

    for op, arguments in compositions do
        for options in [ doubles; singles ] do
            match (readBack (write options (Expr.apply op arguments))).Node with
            | Node.Apply(found, _) -> Assert.Equal(op, found)
            | other -> invalidOp $"{other}"

[<Fact>]
let ``networks are written as people expect them`` () =
    let expected =
        [
            "selu", "Selu"
            "elu", "Elu"
            "relu", "Relu"
            "softplus", "Softplus"
            "sigmoid", "Sigmoid"
        ]

    for name, operator in expected do
        let f = Map.ofList Composite.activations |> Map.find name
        let model = write singles (network f)

        Assert.Equal<Set<string>>(
            set [ "Sub"; "Mul"; "Gemm"; operator; "Identity" ],
            operators model
        )

        Assert.Equal(
            3,
            model.Graph.Nodes |> List.filter (fun n -> n.OpType = "Gemm") |> List.length
        )

[<Fact>]
let ``the same expression gives the same bytes`` () =
    for name, _, _, e in all do
        let twice = Expr.rewrite Expr.withChildren [ e ] |> List.head
        Assert.True((bytesOf (write doubles e) = bytesOf (write doubles twice)), name)

[<OnnxRuntimeFact>]
let ``a network in float32 between float64 sums`` () =
    let scaled = (theta - 1000.0) * 0.01
    let hidden = tanh (Expr.matVec (matrix 5 width) scaled)
    let output = Expr.item 0 (Expr.matVec (matrix 1 5) hidden)
    let e = output + 1e6 + Expr.sum theta

    let mixed =
        { doubles with Precision = OnnxPrecision.SingleBetween([ scaled ], [ output ]) }

    let model = write mixed e
    let x = points 4 33 990.0 1010.0
    let wanted = reference 33 x e
    Assert.True(worst 1.0 wanted (run model 33 x 33) <= 1e-12)
    Assert.True(worst 1.0 wanted (run (write singles e) 33 x 33) > 1e-9)
    Assert.True(worst 1.0 wanted (reference 33 x (readBack model)) <= 1e-12)

    let weights =
        model.Graph.Initializers
        |> List.filter (fun t -> t.Dims.Length = 2)
        |> List.map (fun t -> OnnxElement.ofData t.Data)

    Assert.Equal<OnnxElement list>([ OnnxElement.Float; OnnxElement.Float ], weights)

[<Fact>]
let ``what ONNX cannot express is refused by name, all of it at once`` () =
    let refused (e: Expr) : string =
        Onnx.ofExpressions doubles [ "theta", Vector width ] [ "y", e ]
        |> errorsOf
        |> List.map string
        |> String.concat "\n"

    Assert.Contains("LogGamma", refused (Expr.logGamma theta))
    Assert.Contains("Polygamma", refused (Expr.apply (Op.Polygamma 1) [ theta ]))
    Assert.Contains("SumRows", refused (Expr.sumRows theta + theta))
    Assert.Contains("OuterRows", refused (Expr.matVec (Expr.outerRows low low) high))

    let table = Expr.reduceOver "events" (Expr.column "events" "x" Scalar * one 0)
    Assert.Contains("'events'", refused table)
    Assert.Contains("'w'", refused (theta * Expr.weight "w" Scalar))
    Assert.Contains("vector of 3", refused (Expr.parameter "theta" (Vector 3)))

    let several = refused (Expr.logGamma theta + Expr.datum "n" Scalar)
    Assert.Contains("LogGamma", several)
    Assert.Contains("'n'", several)

    for inputs, outputs in
        [
            [], [ "y", Expr.scalar 1.0 ]
            [ "theta", Vector width ], []
            [ "theta", Vector width ], [ "theta", theta ]
            [ "theta", Vector width ], [ "y", theta; "y", theta ]
            [ "m", Matrix(2, 2) ], [ "y", Expr.scalar 1.0 ]
        ] do
        Onnx.ofExpressions doubles inputs outputs |> errorsOf |> Assert.NotEmpty

    let wrong = { doubles with Interface = OnnxElement.Int32 }

    Onnx.ofExpressions wrong [ "theta", Vector width ] [ "y", theta ]
    |> errorsOf
    |> Assert.Single
