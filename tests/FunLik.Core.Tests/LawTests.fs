module FunLik.Tests.LawTests

open System
open Xunit
open FunLik

let private batches = [ 1; 2; 7; 33; 100 ]

let private bindings (subject: Subject) : (float[] -> Given) list list =
    subject.Arguments
    |> List.map (fun a ->
        if subject.OnlyShared || a.Shape.IsMatrix then
            [ Given.Shared; Given.Constant ]
        else
            [ Given.Row; Given.Shared; Given.Constant ])
    |> Subjects.choices

let private given (key: Key) (rows: int) (subject: Subject) (kinds: (float[] -> Given) list) =
    List.mapi2
        (fun k (kind: float[] -> Given) (argument: Argument) ->
            let rows = if (kind [||]).IsRow then rows else 1
            Subjects.name k, kind (Subjects.values (Key.fold k key) rows argument))
        kinds
        subject.Arguments

let private mapGiven (f: float -> float) (given: Given) : Given =
    match given with
    | Given.Row values -> Given.Row(Array.map f values)
    | Given.Shared values -> Given.Shared(Array.map f values)
    | Given.Constant values -> Given.Constant(Array.map f values)

[<Fact>]
let ``the table has every operation`` () =
    let cases =
        Reflection.FSharpType.GetUnionCases typeof<Op>
        |> Array.map _.Name
        |> Set.ofArray

    let listed = Primitive.all |> List.map (fun p -> Op.name p.Op) |> Set.ofList
    Assert.Equal<Set<string>>(cases, listed)

/// What rounding in a subject is relative to, at each element.
let private sizes (subject: Subject) rows given (y: Expr) : float[][] =
    if subject.AddsUp then
        let sizes = given |> List.map (fun (name, g) -> name, mapGiven abs g)

        let total =
            match y.Node with
            | Node.Apply(Op.Sub, arguments) -> Expr.apply Op.Add arguments
            | _ -> y

        (Oracle.values rows sizes Map.empty [ total ]).Head
    else
        (Oracle.values rows given Map.empty [ y ]).Head |> Array.map (Array.map abs)

let private values (subjects: Subject list) =
    for subject in subjects do
        let _, y = Subjects.over (Subjects.roles subject).Head subject
        let key = Key.ofSeed 1 |> Key.foldName subject.Name

        for engine in Engines.all do
            for kinds in bindings subject do
                let given =
                    given key (List.max batches) subject kinds
                    |> List.map (fun (name, g) -> name, mapGiven engine.Round g)

                let run = Engines.prepared engine given Map.empty [ y ]

                for rows in batches do
                    let found = (run rows).Head
                    let expected = (Oracle.values rows given Map.empty [ y ]).Head
                    let sizes = sizes subject rows given y

                    for row in 0 .. rows - 1 do
                        Assert.Equal(expected[row].Length, found[row].Length)

                        for i in 0 .. expected[row].Length - 1 do
                            let x, y = expected[row][i], found[row][i]
                            let allowed = engine.Tolerance * max 1.0 (sizes[row][i])

                            Assert.True(
                                x.Equals y || abs (x - y) <= allowed,
                                $"{engine.Name}, {subject.Name}, {rows} rows: [{row}, {i}] is {y}, not {x}"
                            )

[<Fact>]
let ``engines give each primitive's value at each row, however its arguments are bound`` () =
    values Subjects.primitives

[<Fact>]
let ``engines give each composite's value at each row, however its arguments are bound`` () =
    values Subjects.composites

let private kind (e: Expr) : float[] -> Given = if e.IsRow then Given.Row else Given.Shared

/// An input beside x, its values normal: a tangent or a cotangent.
let private direction (name: string) (like: Expr) : Expr =
    Expr.input name (if like.IsRow then Role.Parameter else Role.Weight) like.Shape

let private normals (key: Key) (rows: int) (e: Expr) : Given =
    let count = Shape.size e.Shape
    Key.normals (if e.IsRow then rows * count else count) key |> kind e

let private inputsOf key rows (subject: Subject) (inputs: Expr list) : (string * Given) list =
    inputs |> List.map kind |> given key rows subject

[<Fact>]
let ``tangents and cotangents are transposed to each other`` () =
    for subject in Subjects.all do
        for roles in Subjects.roles subject do
            let inputs, y = Subjects.over roles subject
            let u = direction "u" y
            let tangents = inputs |> List.mapi (fun k x -> direction $"v{k}" x)
            let forward = (Diff.jvp [ y ] (List.zip inputs tangents)).Head
            let back = Diff.vjp [ y, u ] inputs
            // A row's value adds to the sum at each row, a shared one once.
            let pairing (a: Expr) (b: Expr) (isRow: bool) =
                if isRow then Expr.sumRows (Expr.dot a b) else Expr.dot a b

            let left = pairing forward u y.IsRow

            let rights =
                List.map3 (fun (x: Expr) t g -> pairing t g x.IsRow) inputs tangents back

            let program = Program.ofOutputs [ "left", left; "right", List.reduce (+) rights ]

            let most = 33
            let key = Key.ofSeed 2 |> Key.foldName subject.Name
            let needed = Program.inputs program |> Array.map (fun (n, _, _) -> n) |> Set.ofArray

            let given =
                [
                    yield! inputsOf key most subject inputs
                    "u", normals (Key.foldName "u" key) most u

                    for k, t in List.indexed tangents do
                        $"v{k}", normals (Key.fold k (Key.foldName "v" key)) most t
                ]
                |> List.filter (fun (name, _) -> needed.Contains name)

            let size =
                given |> List.sumBy (fun (_, g) -> g.Values |> Array.sumBy (fun v -> v * v))

            for engine in Engines.all do
                let run = engine.Prepare program given Map.empty RunOptions.Single

                for rows in [ 1; 7; most ] do
                    match run rows with
                    | [ l; r ] ->
                        Assert.False(l.Output.IsRow || r.Output.IsRow)
                        let l, r = l.Values[0], r.Values[0]

                        Assert.True(
                            abs (l - r) <= engine.Tolerance * 100.0 * (size + abs l),
                            $"{engine.Name}, {subject.Name}, {roles}, {rows} rows: {l} and {r}"
                        )
                    | other -> Assert.Fail $"{other.Length} outputs"

/// The derivative of a function of a number at 0, by central differences and two steps of Richardson's extrapolation.
let private derivative (f: float -> float[]) : float[] =
    let difference h = Array.map2 (fun a b -> (a - b) / (2.0 * h)) (f h) (f -h)
    let halve k = Array.map2 (fun (fine: float) coarse -> (k * fine - coarse) / (k - 1.0))
    let a, b, c = difference 4e-3, difference 2e-3, difference 1e-3
    halve 16.0 (halve 4.0 c b) (halve 4.0 b a)

[<Fact>]
let ``tangents are what central differences give`` () =
    for subject in Subjects.all do
        for roles in Subjects.roles subject do
            let inputs, y = Subjects.over roles subject
            let tangents = inputs |> List.mapi (fun k x -> direction $"v{k}" x)
            let forward = (Diff.jvp [ y ] (List.zip inputs tangents)).Head
            let rows = 3
            let key = Key.ofSeed 5 |> Key.foldName subject.Name
            let at = inputsOf key rows subject inputs

            // What select asks is no direction to move into.
            let along =
                tangents
                |> List.mapi (fun k t ->
                    let v = normals (Key.fold k (Key.foldName "v" key)) rows t
                    let still = subject.Name.StartsWith "Select" && k = 0
                    $"v{k}", (if still then mapGiven (fun _ -> 0.0) v else v))

            let moved (h: float) : (string * Given) list =
                List.map2
                    (fun (name, x: Given) (_, v: Given) ->
                        let values = Array.map2 (fun a b -> a + h * b) x.Values v.Values

                        name,
                        match x with
                        | Given.Row _ -> Given.Row values
                        | _ -> Given.Shared values)
                    at
                    along

            let value h = (Oracle.values rows (moved h) Map.empty [ y ]).Head |> Array.concat

            let found =
                (Oracle.values rows (at @ along) Map.empty [ forward ]).Head |> Array.concat

            let expected = derivative value

            for i in 0 .. found.Length - 1 do
                let scale = 1.0 + abs found[i] + (value 0.0 |> Array.map abs |> Array.max)

                Assert.True(
                    abs (found[i] - expected[i]) <= 1e-9 * scale,
                    $"{subject.Name}, {roles}: {found[i]}, by differences {expected[i]}"
                )
