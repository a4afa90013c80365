module FunLik.Tests.RandomTests

open System
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

/// The same cases in every run.
let private config =
    Config.QuickThrowOnFailure.WithMaxTest(200).WithReplay(20261122UL, 4711UL)

let private holdsFor (tests: int) (law: RandomExpressions.Step list -> int -> bool) : unit =
    Check.One(config.WithMaxTest tests, law)

let private holds (law: RandomExpressions.Step list -> int -> bool) : unit = Check.One(config, law)

/// The last few of what steps make.
let private outputs (steps: RandomExpressions.Step list) : Expr list =
    let all = RandomExpressions.ofSteps (List.truncate 30 steps)
    all |> List.skip (max 0 (all.Length - 3))

/// A shared scalar of all outputs, and its gradient in all inputs.
let private gradient (outputs: Expr list) : Expr list =
    let total = outputs |> List.map (Expr.sum >> Expr.sumRows) |> List.reduce (+)
    total :: Diff.gradients total RandomExpressions.inputs

/// Whether values agree with those of some expressions as far as rounding lets one say.
let private agree (engine: EngineUnderTest) given expected (found: float[][] list) : bool =
    let size = max 1e-13 engine.Tolerance
    let rows = found.Head.Length

    List.forall2
        (Array.forall2 (Array.forall2 Oracle.agrees))
        (Oracle.uncertain size engine.Round rows given RandomExpressions.tables expected)
        found

let private rounded (engine: EngineUnderTest) given =
    given
    |> List.map (fun (name, g) ->
        name,
        match g with
        | Given.Row values -> Given.Row(Array.map engine.Round values)
        | Given.Shared values -> Given.Shared(Array.map engine.Round values)
        | Given.Constant values -> Given.Constant(Array.map engine.Round values))

/// Only the inputs that outputs read.
let private needed (outputs: Expr list) (given: (string * Given) list) =
    let names = Expr.inputs outputs |> List.map (fun (name, _, _) -> name) |> Set.ofList
    given |> List.filter (fun (name, _) -> names.Contains name)

let private rows = 3

let private keepsValues (derive: Expr list -> Expr list) (borders: bool) =
    holds (fun steps seed ->
        let original = derive (outputs steps)
        let given = RandomExpressions.given borders seed rows |> needed original
        let simplified = Simplify.run original
        let found = Oracle.values rows given RandomExpressions.tables simplified
        agree Engines.reference given original found)

[<Fact>]
let ``simplifying keeps values`` () = keepsValues id false

[<Fact>]
let ``simplifying keeps infinities, NaN and zeros`` () = keepsValues id true

[<Fact>]
let ``simplifying keeps gradients`` () = keepsValues gradient false

[<Fact>]
let ``simplifying makes no more operations, and is done at once`` () =
    holds (fun steps _ ->
        [ outputs steps; gradient (outputs steps) ]
        |> List.forall (fun original ->
            let count = RandomExpressions.operations
            let once = Simplify.run original
            count once <= count original && count (Simplify.run once) <= count once))

[<Fact>]
let ``programs have each structure once, arguments before what uses them`` () =
    let rec check (program: Program) : bool =
        let isOnce =
            program.Nodes
            |> Array.map (fun node ->
                match node.Instruction with
                | Instruction.Constant values ->
                    box (
                        node.Shape,
                        values |> Array.map BitConverter.DoubleToInt64Bits |> List.ofArray
                    )
                | other -> box (node.Shape, other))
            |> fun keys -> (Array.distinct keys).Length = keys.Length

        let isOrdered =
            program.Nodes
            |> Array.indexed
            |> Array.forall (fun (i, node) ->
                match node.Instruction with
                | Instruction.Apply(_, arguments) -> arguments |> Array.forall (fun a -> a < i)
                | Instruction.Reduced(r, _) ->
                    program.Reductions[r].Captured |> Array.forall (fun a -> a < i)
                | _ -> true)

        isOnce
        && isOrdered
        && program.Reductions |> Array.forall (fun r -> check r.Body)

    holds (fun steps _ ->
        gradient (outputs steps)
        |> List.mapi (fun k e -> $"y{k}", e)
        |> Program.ofOutputs
        |> check)

[<Fact>]
let ``engines compute what expressions say`` () =
    for engine in Engines.all do
        for borders in [ false; true ] do
            holdsFor 200 (fun steps seed ->
                let original = outputs steps

                let given =
                    RandomExpressions.given borders seed rows |> needed original |> rounded engine

                let found = Engines.evaluate engine rows given RandomExpressions.tables original
                agree engine given original found)

[<Fact>]
let ``engines compute gradients as expressions say`` () =
    for engine in Engines.all do
        holdsFor 200 (fun steps seed ->
            let original = gradient (outputs steps)

            let given =
                RandomExpressions.given false seed rows |> needed original |> rounded engine

            let found = Engines.evaluate engine rows given RandomExpressions.tables original
            agree engine given original found)

[<Fact>]
let ``results are the same bits for any number of threads`` () =
    let rows = 300

    for engine in Engines.all do
        holdsFor 50 (fun steps seed ->
            let original = outputs steps @ gradient (outputs steps)
            let given = RandomExpressions.given false seed rows |> needed original
            let program = original |> List.mapi (fun k e -> $"y{k}", e) |> Program.ofOutputs
            let prepared = engine.Prepare program given RandomExpressions.tables

            let bits threads =
                prepared { RunOptions.Single with Threads = threads } rows
                |> List.map (fun r -> r.Values |> Array.map BitConverter.DoubleToInt64Bits)

            let one = bits 1
            one = bits 2 && one = bits 7)

[<Fact>]
let ``tangents and cotangents of random expressions are transposed to each other`` () =
    holds (fun steps seed ->
        let all = gradient (outputs steps)
        let direction (e: Expr) = Expr.full e.Shape 0.5
        let along = RandomExpressions.inputs |> List.map (fun e -> e, direction e)
        let forward = (Diff.jvp [ all.Head ] along).Head

        let back =
            List.zip RandomExpressions.inputs all.Tail
            |> List.map (fun (e, g) ->
                let product = Expr.dot g (direction e)
                if e.IsRow then Expr.sumRows product else product)
            |> List.reduce (+)

        let given = RandomExpressions.given false seed rows

        match Oracle.uncertain 1e-13 id rows given RandomExpressions.tables [ forward; back ] with
        | [ f; b ] ->
            let struct (f, df), struct (b, db) = f[0][0], b[0][0]

            not (Double.IsFinite f && Double.IsFinite b)
            || abs (f - b) <= 1e-10 * (abs f + abs b) + df + db
        | _ -> false)

[<Fact>]
let ``expressions of one structure are one, those of another are others`` () =
    holds (fun steps _ ->
        let a, b = RandomExpressions.ofSteps steps, RandomExpressions.ofSteps steps
        let distinct (all: Expr list) = List.distinctBy (fun (e: Expr) -> e.Hash) all

        List.forall2 (fun x y -> Expr.structural.Equals(x, y)) a b
        && (distinct (a @ b)).Length = (distinct a).Length
        && (Collections.Generic.HashSet(a, Expr.structural)).Count = (distinct a).Length)
