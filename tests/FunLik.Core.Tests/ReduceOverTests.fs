module FunLik.Tests.ReduceOverTests

open System
open Xunit
open FunLik

let private table (rows: int) (seed: int) : Table =
    let key = Key.ofSeed seed

    {
        Rows = rows
        Columns =
            Map.ofList [ "c", Key.normals rows key; "v", Key.normals (3 * rows) (Key.fold 1 key) ]
    }

let private events (rows: int) : Map<string, Table> =
    Map.ofList [ "events", table rows 1; "nodes", table 5 2 ]

/// The sums over tables of an expression written out, row by row.
let rec private unrolled (tables: Map<string, Table>) (e: Expr) : Expr =
    let one (table: string) (body: Expr) (row: int) : Expr =
        let constant (node: Expr) : Expr option =
            match node.Node with
            | Node.Input(name, Role.Column t) when t = table ->
                let size = Shape.size node.Shape
                let values = tables[table].Columns[name][row * size .. (row + 1) * size - 1]

                Some(
                    if node.Shape = Scalar then
                        Expr.scalar values[0]
                    else
                        Expr.vector values
                )
            | _ -> None

        (Expr.substitute constant [ body ]).Head

    let sums (node: Expr) : Expr option =
        match node.Node with
        | Node.ReduceOver(table, body) ->
            List.init tables[table].Rows (one table (unrolled tables body))
            |> List.fold (fun (sum: Expr) term -> sum + term) (Expr.full node.Shape 0.0)
            |> Some
        | _ -> None

    (Expr.substitute sums [ e ]).Head

let private c = Expr.column "events" "c" Scalar
let private v = Expr.column "events" "v" (Vector 3)
let private node = Expr.column "nodes" "c" Scalar
let private over = Expr.reduceOver "events"

/// Captured values: of a row and shared, scalars and vectors.
let private a, b = Expr.parameter "a" Scalar, Expr.parameter "b" (Vector 3)
let private w, u = Expr.weight "w" Scalar, Expr.weight "u" (Vector 3)
let private targets = [ a; b; w; u ]

let private given (rows: int) : (string * Given) list =
    let key = Key.ofSeed 7

    [
        "a", Given.Row(Key.normals rows key)
        "b", Given.Row(Key.normals (3 * rows) (Key.fold 1 key))
        "w", Given.Shared [| 0.7 |]
        "u", Given.Shared [| 0.4; -0.3; 1.1 |]
    ]

/// Scalars with sums over tables in them.
let private cases: (string * Expr) list =
    let mixture = log (Composite.sigmoid w * exp (-(c - a) * (c - a)) + exp (-(c * c)))
    let inner = Expr.reduceOver "nodes" (exp (-(node - c) * (node - a) * 0.1) * w)

    let half =
        over (Expr.select (Expr.less c (Expr.scalar 0.0)) (sqrt (w * w * c)) (a * c))

    [
        "a mixture", over mixture
        "a row alone", over (a * c)
        "a shared value alone", over (w * c)
        "a row times a shared value", over (w * c * a + w)
        "no column", over (w * a)
        "a constant", over (Expr.scalar 2.5) * a * w
        "a column alone", over c * a * w
        "vectors", Expr.sum (over (v * u + b * c) * b)
        "a captured expression", over (exp (a * w) * c + tanh (Expr.dot b u) * c * c)
        "nested in itself by way of a capture", over (c * sin (a + over (c * w)))
        "under other operations", exp (0.1 * tanh (over (c * a))) / (2.0 + Expr.dot u u)
        "two over one table", over (c * c * a) / (1.0 + over (c * c * exp (w * c)))
        "two tables, one in the other", over (log (1.0 + inner * inner))
        "a shared sum over rows of tables", over (Expr.reduceOver "nodes" (node * c * w * w))
        "a branch not taken", half
        "matrices", over (Expr.sum (Expr.matVec (Expr.matrix 2 3 [| 1.0 .. 6.0 |]) (v * w)) * a)
        "log Σ exp", over (Expr.logSumExp (v * u + a))
        "a column twice", over (c * c * c * w * a) + over (c * w)
    ]

let private close (what: string) (tolerance: float) (expected: float[][]) (found: float[][]) =
    for row in 0 .. expected.Length - 1 do
        for i in 0 .. expected[row].Length - 1 do
            let x, y = expected[row][i], found[row][i]

            Assert.True(
                x.Equals y || abs (x - y) <= tolerance * max 1.0 (abs x),
                $"{what}: [{row}, {i}] is {y}, not {x}"
            )

/// Outputs that derive from a scalar, by name.
let private derived (y: Expr) : (string * Expr) list =
    let gradients = Diff.gradients y targets
    let direction (e: Expr) = Expr.full e.Shape 0.5
    let along = targets |> List.map (fun t -> t, direction t)

    [
        "value", y
        yield! List.mapi (fun k g -> $"gradient {k}", g) gradients
        "tangent", (Diff.jvp [ y ] along).Head
        yield!
            Diff.jvp gradients along
            |> List.mapi (fun k g -> $"forward over reverse {k}", g)

        let paired = List.map2 (fun (g: Expr) (_, d) -> Expr.dot g d) gradients along
        let total = Expr.sumRows (List.reduce (+) paired)

        yield!
            Diff.gradients total targets
            |> List.mapi (fun k g -> $"reverse over reverse {k}", g)
    ]

[<Fact>]
let ``sums over tables, and all their derivatives, are those of the sum written out`` () =
    let tables = events 11
    let rows = 3

    for name, y in cases do
        let names, outputs = derived y |> List.unzip

        let expected =
            derived (unrolled tables y)
            |> List.map snd
            |> Oracle.values rows (given rows) tables

        for engine in Engines.all do
            let found = Engines.evaluate engine rows (given rows) tables outputs

            for what, e, f in List.zip3 names expected found do
                close $"{engine.Name}, {name}, {what}" (max 1e-11 (20.0 * engine.Tolerance)) e f

[<Fact>]
let ``tables may be empty, of one row, and of many`` () =
    for rows in [ 0; 1; 2; 33; 1000 ] do
        let tables = events rows
        let y = over (c * a + w) + a
        let explicit = tables["events"].Columns["c"] |> Array.sum

        for engine in Engines.all do
            let at = [ "a", Given.Row [| 2.0; 3.0 |]; "w", Given.Shared [| 0.5 |] ]
            let found = Engines.evaluate engine 2 at tables [ y; Diff.grad y a; Diff.grad y w ]
            let value a = explicit * a + 0.5 * float rows + a
            let tolerance = float (max rows 1) * engine.Tolerance
            close $"{engine.Name}, {rows}" tolerance [| [| value 2.0 |]; [| value 3.0 |] |] found[0]
            close $"{engine.Name}, {rows}" tolerance (Array.create 2 [| explicit + 1.0 |]) found[1]

            close
                $"{engine.Name}, {rows}"
                tolerance
                (Array.create 2 [| 2.0 * float rows |])
                found[2]

[<Fact>]
let ``sums over one table share a pass, of another depth they don't`` () =
    let reductions (outputs: Expr list) =
        (outputs |> List.mapi (fun k e -> $"y{k}", e) |> Program.ofOutputs).Reductions

    let y = over (log (exp (-(c - a) * (c - a)) + 1.0))
    let one = reductions [ y; Diff.grad y a; over (exp (c * a)) ]
    Assert.Equal(1, one.Length)
    Assert.Equal(3, one[0].Body.Outputs.Length)
    // What the body reads stands in it once, and is captured once.
    Assert.Equal(1, one[0].Captured.Length)
    Assert.Equal(1, reductions [ y; y ] |> Array.length)
    Assert.Equal(2, reductions [ over (exp (c * over (exp (c * a)))) ] |> Array.length)
    // Those of a row and those shared by all are two passes: the second is done once.
    Assert.Equal(2, reductions [ over (exp (c * w)); over (exp (c * a)) ] |> Array.length)

    let nested =
        reductions [ over (exp (Expr.reduceOver "nodes" (exp (node * c * a)))) ]

    Assert.Equal(1, nested.Length)
    Assert.Equal(1, nested[0].Body.Reductions.Length)

[<Fact>]
let ``factors and signs that are the same for all rows of a table stand before its sum`` () =
    let bodies (e: Expr) : Expr list =
        Expr.topological (fun _ -> false) [ Simplify.one e ]
        |> List.choose (fun node ->
            match node.Node with
            | Node.ReduceOver(_, body) -> Some body
            | _ -> None)

    let masked = Expr.apply Op.MaskedMul [ a; c ]

    for summed in [ over (c * a * w); over (-(w * (c / a))); over masked; over (2.0 * c) ] do
        Assert.Equal(Assert.Single(bodies summed), c, Expr.structural)

    // One pass gives all that is the same sum times something.
    let y = over (w * (a * (c * c)))
    let program = Program.ofOutputs [ "y", y; "g", Diff.grad y a; "h", Diff.grad y w ]
    Assert.Equal(1, (Assert.Single program.Reductions).Body.Outputs.Length)

[<Fact>]
let ``what belongs to no table is refused, and what a table lacks is named`` () =
    let refused (kind: ErrorKind) (word: string) (action: unit -> unit) =
        let e = Assert.Throws<FunLikException>(action)
        Assert.Equal(kind, e.Errors.Head.Kind)
        Assert.Contains(word, e.Message)

    let run (tables: Map<string, Table>) () =
        Engines.evaluate Engines.reference 1 (given 1) tables [ over (c * a) ] |> ignore

    refused ErrorKind.Shape "events" (fun () -> Program.ofOutputs [ "y", c * a ] |> ignore)
    refused ErrorKind.Name "events" (run Map.empty)
    let table rows columns = Map.ofList [ "events", { Rows = rows; Columns = Map.ofList columns } ]
    refused ErrorKind.Name "'c'" (run (table 2 [ "d", [| 1.0; 2.0 |] ]))
    refused ErrorKind.Shape "2 rows" (run (table 2 [ "c", [| 1.0 |] ]))

    let m = Expr.weight "m" (Matrix(3, 3))

    refused ErrorKind.Unsupported "events" (fun () ->
        Diff.grad (over (Expr.sum (Expr.matVec m v))) m |> ignore)

[<Fact>]
let ``a sum over a table inside of another one over it reads its own rows`` () =
    let tables = events 11
    let inner = Expr.reduceOver "nodes" (node * c * over (c * node * a))
    let y = over (c * inner)
    let expected = Oracle.values 2 (given 2) tables [ unrolled tables y ]

    for engine in Engines.all do
        Engines.evaluate engine 2 (given 2) tables [ y ]
        |> List.iter2 (close engine.Name (10.0 * engine.Tolerance)) expected

    for derivative in
        [
            fun () -> Diff.gradients y [ a ]
            fun () -> Diff.jvp [ y ] [ a, Expr.scalar 1.0 ]
        ] do
        let found = (derivative >> Engines.evaluate Engines.reference 2 (given 2) tables)

        try
            Oracle.values 2 (given 2) tables (Diff.gradients (unrolled tables y) [ a ])
            |> List.iter2 (fun f e -> close "derivative" 1e-11 e f) (found ())
        with FunLikException errors ->
            Assert.Equal(ErrorKind.Unsupported, errors.Head.Kind)

[<Fact>]
let ``results do not depend on threads`` () =
    // Rows for wide tiles, the last of them not full.
    let tables = events 5003
    let y = over (log (exp (-(c - a) * (c - a)) + 1.0))
    let program = Program.ofOutputs [ "y", y; "g", Diff.grad y a ]
    let rows = 40
    let given = [ "a", Given.Row(Key.normals rows (Key.ofSeed 3)) ]

    for engine in Engines.all do
        let prepared = engine.Prepare program given tables

        let run threads =
            prepared { RunOptions.Single with Threads = threads } rows |> List.map _.Values

        Assert.Equal<float[] list>(run 1, run 2)
        Assert.Equal<float[] list>(run 1, run 7)
