module FunLik.Tests.OnnxTests

open System
open System.IO
open Xunit
open FsCheck
open FunLik

let private width = 6
let private theta = Expr.parameter "theta" (Vector width)
let private low, private high = Expr.slice 0 3 theta, Expr.slice 3 3 theta
let private one (k: int) : Expr = Expr.item k theta

let private matrix (rows: int) (columns: int) : Expr =
    Expr.matrix rows columns (Array.init (rows * columns) (fun k -> sin (float (k + 1))))

/// 300 x 300 with two entries a row.
let private wide: SparseMatrix =
    SparseMatrix(
        300,
        300,
        Array.init 301 ((*) 2),
        Array.init 600 (fun k -> if k % 2 = 0 then k / 2 else (7 * (k / 2) + 3) % 300),
        Array.init 600 (fun k -> cos (float k))
    )

/// Uses of one operation: what it is called, the range of its inputs, the expression.
let private uses (op: Op) : (string * float * float * Expr) list =
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

let private composites: (string * float * float * Expr) list =
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
let private network (activation: Expr -> Expr) : Expr =
    let scaled = (theta - Array.init width float) * Array.create width 0.25

    let first =
        activation (Expr.matVec (matrix 9 width) scaled + Array.init 9 (fun k -> 0.1 * float k))

    let second = activation (Expr.matVec (0.3 * matrix 7 9) first + Array.create 7 -0.2)
    Expr.item 0 (Expr.matVec (matrix 1 7) second + [| 0.125 |])

let private networks: (string * float * float * Expr) list =
    Composite.activations
    |> List.map (fun (name, f) -> $"network of {name}", -3.0, 3.0, network f)

/// Gradients use the primitives in other places.
let private withGradient (name: string, a: float, b: float, e: Expr) =
    $"gradient of {name}", a, b, Diff.grad (Expr.sum e) theta

let private all: (string * float * float * Expr) list =
    let values =
        (Primitive.all |> List.collect (fun p -> uses p.Op)) @ composites @ networks

    values @ List.map withGradient (composites @ networks)

let private batches = [ 1; 2; 33 ]

let private points (seed: int) (rows: int) (a: float) (b: float) : float[] =
    Key.ofSeed seed
    |> Key.uniforms (rows * width)
    |> Array.map (fun u -> a + (b - a) * u)

let private reference (rows: int) (x: float[]) (e: Expr) : float[] =
    let inputs = Map [ "theta", Reference.Value.Rows(Array.chunkBySize width x) ]

    match Program.ofOutputs [ "y", e ] |> Reference.evaluate rows inputs Map.empty with
    | [| _, Reference.Value.Rows values |] -> Array.concat values
    | [| _, Reference.Value.Shared value |] -> Array.replicate rows value |> Array.concat
    | _ -> invalidOp "one output"

/// The largest difference, relative where numbers are larger than `floor`.
let private worst (floor: float) (wanted: float[]) (found: float[]) : float =
    Assert.Equal(wanted.Length, found.Length)

    let difference (w: float) (f: float) : float =
        if w.Equals f then
            0.0
        elif Double.IsFinite w && Double.IsFinite f then
            abs (w - f) / max floor (abs w)
        else
            infinity

    Array.map2 difference wanted found |> Array.fold max 0.0

let private write (options: OnnxOptions) (e: Expr) : OnnxModel =
    Onnx.ofExpressions options [ "theta", Vector width ] [ "y", e ] |> Error.orRaise

let private bytesOf (model: OnnxModel) : byte[] = OnnxFormat.write model |> Error.orRaise

let private again (model: OnnxModel) : OnnxModel = bytesOf model |> OnnxFormat.read |> Error.orRaise

let private readBack (model: OnnxModel) : Expr =
    match Onnx.toExpressions (again model) with
    | Ok(_, [ "y", e ]) -> e
    | other -> invalidOp $"{other}"

let private openModel (model: OnnxModel) : OnnxSession =
    bytesOf model
    |> OnnxRuntime.openBytes OnnxSessionOptions.defaults
    |> Error.orRaise

let private evaluate (session: OnnxSession) (rows: int) (x: float[]) (room: int) : float[] =
    let results: float[] = Array.zeroCreate room
    session.Evaluate(x, rows, results) |> Error.orRaise
    results

let private run (model: OnnxModel) (rows: int) (x: float[]) (room: int) : float[] =
    use session = openModel model
    evaluate session rows x room

let private doubles = OnnxOptions.defaults

let private singles =
    { doubles with Precision = OnnxPrecision.Single; Interface = OnnxElement.Float }

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
        // Relu keeps NaN; products meet infinities times zeros in other orders.
        let differs =
            name.StartsWith "relu" || name.Contains "MatVec" || name.Contains "Sparse"

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

let private errorsOf (result: Result<'T, Error list>) : Error list =
    match result with
    | Ok _ -> invalidOp "this should have failed"
    | Result.Error errors -> errors

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

// ---- Likelihoods

let private search: Likelihood =
    ModelFile.load (Path.Combine(Support.root, "examples/search/model.json")) ModelOptions.None
    |> Error.orRaise

/// Points around the nominal ones.
let private around (rows: int) (model: Likelihood) : float[] =
    let nominal = Likelihood.parameters model |> Array.map _.Nominal
    let shifts = Key.ofSeed 5 |> Key.normals (rows * nominal.Length)
    shifts |> Array.mapi (fun k z -> nominal[k % nominal.Length] + 0.7 * z)

[<OnnxRuntimeFact>]
let ``a search has its values and gradients in ONNX Runtime`` () =
    let options = { doubles with Gradient = true }
    let model = Onnx.ofLikelihood options search |> Error.orRaise
    let objective = Objective.ofLikelihood search
    let rows, n = 33, objective.Count
    let x = around rows search
    x[0] <- -2.0
    let struct (values, gradients) = objective.ValuesAndGradients(x, RunOptions.Single)
    Assert.Equal(-infinity, values[0])

    use session = openModel model

    match session.Run [ { Name = "theta"; Dims = [ rows; n ]; Data = OnnxData.Double x } ] with
    | Ok [ { Data = OnnxData.Double y; Dims = [ _; 1 ] }; { Data = OnnxData.Double g } ] ->
        Assert.True(worst 1.0 values y <= 1e-10)
        Assert.True(worst 1.0 gradients g <= 1e-10)
    | other -> invalidOp $"{other}"

let private temporary (action: string -> unit) : unit =
    let folder = Directory.CreateTempSubdirectory "funlik-onnx-"

    try
        action (Path.Combine(folder.FullName, "model.onnx"))
    finally
        folder.Delete true

[<Fact>]
let ``a likelihood comes back from its file, with names, bounds and support`` () =
    temporary (fun path ->
        Onnx.ofLikelihood doubles search
        |> Result.bind (OnnxFormat.writeFile path)
        |> Error.orRaise

        let found = Onnx.readLikelihood path |> Error.orRaise
        Assert.Equal(search.Name, found.Name)

        Assert.Equal<ModelParameter[]>(Likelihood.parameters search, Likelihood.parameters found)

        let x = around 17 search
        x[0] <- -2.0

        let struct (values, gradients) =
            (Objective.ofLikelihood search).ValuesAndGradients(x, RunOptions.Single)

        let struct (values', gradients') =
            (Objective.ofLikelihood found).ValuesAndGradients(x, RunOptions.Single)

        Assert.Equal(-infinity, values'[0])
        Assert.True(worst 1.0 values values' <= 1e-12)
        Assert.True(worst 1.0 gradients gradients' <= 1e-10)

        Assert.Contains(
            "terms",
            (Assert.Throws<FunLikException>(fun () -> Likelihood.terms "a toy" found |> ignore))
                .Message
        ))

[<Fact>]
let ``a model file may be ONNX`` () =
    temporary (fun path ->
        Onnx.ofLikelihood doubles search
        |> Result.bind (OnnxFormat.writeFile path)
        |> Error.orRaise

        let found = ModelFile.read path ModelOptions.None |> Error.orRaise
        Assert.Equal("onnx", found.Kind)
        Assert.Equal<string[]>(Likelihood.names search, Likelihood.names found.Likelihood)

        let error =
            ModelFile.read path { ModelOptions.None with Patch = Some "p.json" }
            |> errorsOf
            |> Assert.Single

        Assert.Equal((ErrorKind.Unsupported, Some path), (error.Kind, error.File))
        File.WriteAllText(path, "{}")
        let errors = ModelFile.read path ModelOptions.None |> errorsOf
        Assert.All(errors, fun e -> Assert.Equal(Some path, e.File)))

let private record: OnnxRecord =
    { OnnxRecord.create
          "a µ"
          [|
              ModelParameter.create "c" ParameterKind.Poi 0.5
              |> ModelParameter.bounded -1.0 2.0
              { ModelParameter.create "d" ParameterKind.Nuisance 0.0 with
                  Bounds = struct (0.0, infinity)
                  Unit = "GeV"
                  IsKinked = true
              }
          |] with
        Profiled = [ "e"; "f" ]
        Reference = Some [| 0.5; 0.1 |]
        Provenance = [ "job", "job 7\nsecond line"; "data", "sha256:0" ]
    }

let private smallModel: OnnxModel =
    let x = Expr.parameter "x" (Vector 2)
    let y = Expr.sum (Composite.selu (Expr.matVec (matrix 3 2) x + [| 1.0; 2.0; 3.0 |]))

    Onnx.ofExpressions singles [ "x", Vector 2 ] [ "y", y ]
    |> Error.orRaise
    |> Onnx.withRecord record

[<Fact>]
let ``records come back`` () =
    Assert.Equal(Ok(Some record), Onnx.record (again smallModel))
    Assert.Equal(Ok None, Onnx.record (write doubles theta))
    let other = Onnx.withRecord { record with Reference = None } smallModel
    Assert.Equal(Ok(Some { record with Reference = None }), Onnx.record (again other))

    match Onnx.toLikelihood smallModel with
    | Ok { Density = Density.Opaque(_, profiled) } ->
        Assert.Equal<string list>([ "e"; "f" ], profiled)
    | other -> invalidOp $"{other}"

[<Fact>]
let ``a model without a record has parameters all the same`` () =
    let model =
        { smallModel with MetadataProps = [] } |> Onnx.toLikelihood |> Error.orRaise

    Assert.Equal<string[]>([| "x0"; "x1" |], Likelihood.names model)

[<Fact>]
let ``spoiled records are refused, with the key and the place`` () =
    let spoil (key: string) (value: string) : string =
        { smallModel with
            MetadataProps =
                smallModel.MetadataProps
                |> List.map (fun (k, v) -> if k = key then k, value else k, v)
        }
        |> Onnx.toLikelihood
        |> errorsOf
        |> List.map string
        |> String.concat "\n"

    for key, value, words in
        [
            "funlik.schema", "2", "another version"
            "funlik.schema", "x", "not JSON"
            "funlik.parameters", "[", "not JSON"
            "funlik.parameters", "{}", "an array"
            "funlik.parameters", "[]", "0 numbers"
            "funlik.parameters", """[{"name":"c"},{"name":"d"}]""", "'kind' is missing"
            "funlik.parameters",
            """[{"name":"c","kind":"poi","nominal":0},{"name":"c","kind":"poi","nominal":0}]""",
            "stands 2 times"
            "funlik.parameters",
            """[{"name":"c","kind":"poi","nominal":0},{"name":"d","kind":"x","nominal":0}]""",
            "$[1].kind"
            "funlik.parameters",
            """[{"name":"c","kind":"poi","nominal":0,"bounds":[2,1]},{"name":"d","kind":"poi","nominal":0}]""",
            "$[0].bounds"
            "funlik.profiled", "3", "an array"
            "funlik.reference", "[1]", "2 numbers"
        ] do
        Assert.Contains(words, spoil key value)

[<Fact>]
let ``spoiled files are errors, never exceptions`` () =
    let bytes = bytesOf smallModel

    let law (changes: (int * byte) list) (cut: int) : bool =
        let spoiled = Array.copy bytes

        for place, value in changes do
            spoiled[(abs (place % bytes.Length))] <- value

        let kept =
            if cut % 3 = 0 then
                bytes.Length - abs (cut % 50)
            else
                bytes.Length

        match OnnxFormat.read spoiled[.. kept - 1] |> Result.bind Onnx.toLikelihood with
        | Ok model -> Likelihood.names model |> isNull |> not
        | Result.Error errors -> not errors.IsEmpty

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 2000, law)

[<Fact>]
let ``spoiled graphs are errors, never exceptions`` () =
    let model = Onnx.ofLikelihood doubles search |> Error.orRaise
    let nodes = Array.ofList model.Graph.Nodes
    let tensors = Array.ofList model.Graph.Initializers

    let values =
        Array.concat
            [
                nodes |> Array.collect (fun n -> Array.ofList n.Outputs)
                tensors |> Array.map _.Name
                [| "theta"; ""; "?" |]
            ]

    let operators = nodes |> Array.map _.OpType |> Array.distinct

    let law (where: int) (what: int) (other: int) : bool =
        let at (items: 'T[]) (k: int) : 'T = items[abs (k % items.Length)]
        let node = at nodes where

        let spoiled =
            match abs (what % 5) with
            | 0 ->
                { node with
                    Inputs = at values other :: List.skip (min 1 node.Inputs.Length) node.Inputs
                }
            | 1 -> { node with Inputs = node.Inputs @ [ at values other ] }
            | 2 -> { node with OpType = at operators other }
            | 3 ->
                { node with
                    Attributes =
                        [
                            "axis", OnnxAttribute.Int(int64 other)
                            "axes", OnnxAttribute.Ints [| int64 other |]
                        ]
                }
            | _ -> { node with Inputs = List.truncate (abs (other % 3)) node.Inputs }

        let graph =
            { model.Graph with
                Nodes =
                    model.Graph.Nodes
                    |> List.map (fun n -> if obj.ReferenceEquals(n, node) then spoiled else n)
            }

        match Onnx.toLikelihood { model with Graph = graph } with
        | Ok _ -> true
        | Result.Error errors -> not errors.IsEmpty

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 300, law)
