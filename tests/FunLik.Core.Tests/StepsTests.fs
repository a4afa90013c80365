module FunLik.Tests.StepsTests

#nowarn 9 // pointers, as objectives take them

open System
open System.Threading
open FsCheck
open FsCheck.FSharp
open Xunit
open FunLik

let private everyThreads = [ 1; 2; 7 ]

let private onThreads (threads: int) : RunOptions = { RunOptions.Single with Threads = threads }

let private compiled (program: StepProgram) : StepSession =
    Steps.compile (fun _ -> Binding.Row) program |> Steps.bind Map.empty program

/// x ← x/2 + shift until x < limit: rows take different numbers of steps.
let private halving: StepProgram =
    let x = Steps.current "x" Scalar
    let next = 0.5 * x + Expr.input "shift" Role.Auxiliary Scalar

    { State = [ Steps.scalar "x" next ]; Done = Expr.less next (Expr.scalar 1.0) }

let private halvingInPlain (x: float) (shift: float) (maxSteps: int) : float * int =
    let rec go (x: float) (steps: int) : float * int =
        let next = 0.5 * x + shift

        if next < 1.0 || steps + 1 = maxSteps then
            next, steps + 1
        else
            go next (steps + 1)

    go x 0

[<Fact>]
let ``Rows run until they are done, whatever else is in the batch, on any number of threads`` () =
    let session = compiled halving

    let property (PositiveInt count) (NonNegativeInt seed) : bool =
        // Up to some chunks of rows, so that rows wait for lanes.
        let rows = 1 + count * 37 % 700

        let x =
            Key.ofSeed seed |> Key.uniforms rows |> Array.map (fun u -> Math.Pow(1e6, u))

        let shift =
            Key.ofSeed (seed + 1) |> Key.uniforms rows |> Array.map (fun u -> 0.4 * u)

        let expected = Array.map2 (fun x s -> halvingInPlain x s 12) x shift

        everyThreads
        |> List.forall (fun threads ->
            let result =
                Steps.run
                    session
                    None
                    rows
                    (Map.ofList [ "x", x; "shift", shift ])
                    [ "x" ]
                    12
                    (onThreads threads)

            Array.zip result.States["x"] result.Steps = expected)

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 30, property)

[<Fact>]
let ``A step reads earlier values of a state as far back as it asks for`` () =
    // Fibonacci numbers, and the value three steps ago beside them.
    let a, b = Steps.current "a" Scalar, Steps.past 2 "a" Scalar
    let third = Steps.past 3 "a" Scalar

    let session =
        compiled
            {
                State =
                    [
                        { Name = "a"; Shape = Scalar; Next = a + b; Depth = 3 }
                        Steps.scalar "third" third
                    ]
                Done = Expr.scalar 0.0
            }

    let run (steps: int) : float[] * float[] =
        let result =
            Steps.run
                session
                None
                2
                (Map.ofList [ "a", [| 1.0; 2.0 |] ])
                [ "a"; "third" ]
                steps
                RunOptions.Single

        result.States["a"], result.States["third"]

    Assert.Equal<float[]>([| 8.0; 16.0 |], fst (run 5))
    Assert.Equal<float[]>([| 2.0; 4.0 |], snd (run 5))
    Assert.Equal<float[]>([| 0.0; 0.0 |], snd (run 2))

[<Fact>]
let ``Vectors are carried beside scalars, and states that do not depend on rows are spread over them``
    ()
    =
    let v = Steps.current "v" (Vector 3)

    let session =
        compiled
            {
                State =
                    [
                        Steps.state "v" (Vector 3) (v + Expr.vector [| 1.0; 2.0; 3.0 |])
                        Steps.state "w" (Vector 2) (Expr.vector [| 4.0; 5.0 |])
                    ]
                Done = Expr.less (Expr.scalar 4.5) (Expr.item 2 v)
            }

    let result =
        Steps.run
            session
            None
            2
            (Map.ofList [ "v", [| 0.0; 0.0; 0.0; 0.0; 0.0; 5.0 |] ])
            [ "v"; "w" ]
            100
            RunOptions.Single

    Assert.Equal<float[]>([| 3.0; 6.0; 9.0; 1.0; 2.0; 8.0 |], result.States["v"])
    Assert.Equal<float[]>([| 4.0; 5.0; 4.0; 5.0 |], result.States["w"])
    Assert.Equal<int[]>([| 3; 1 |], result.Steps)

[<Fact>]
let ``A feed gives inputs from outside before each step`` () =
    let x = Steps.current "x" Scalar
    let next = x + Expr.datum "given" Scalar

    let session =
        compiled { State = [ Steps.scalar "x" next ]; Done = Expr.less (Expr.scalar 99.5) next }

    let feed =
        { new Feed("x", [ "given" ]) with
            member _.Fill(rows, state, inputs, _) =
                for r in 0 .. rows - 1 do
                    let value = FSharp.NativeInterop.NativePtr.get state r
                    FSharp.NativeInterop.NativePtr.set inputs[0] r (min value (100.0 - value))
        }

    let result =
        Steps.run
            session
            (Some feed)
            3
            (Map.ofList [ "x", [| 1.0; 60.0; 3.0 |] ])
            [ "x" ]
            50
            RunOptions.Single

    Assert.Equal<float[]>([| 100.0; 100.0; 100.0 |], result.States["x"])
    Assert.Equal<int[]>([| 7; 1; 6 |], result.Steps)

[<Fact>]
let ``No rows are no work`` () =
    let result =
        Steps.run
            (compiled halving)
            None
            0
            (Map.ofList [ "x", [||]; "shift", [||] ])
            [ "x" ]
            5
            RunOptions.Single

    Assert.Empty result.States["x"]
    Assert.Empty result.Steps

[<Fact>]
let ``A run stops between steps when it is cancelled`` () =
    use source = new CancellationTokenSource()
    let x = Steps.current "x" Scalar

    let session =
        compiled
            {
                State = [ Steps.scalar "x" (x + Expr.datum "one" Scalar) ]
                Done = Expr.scalar 0.0
            }

    let feed =
        { new Feed("x", [ "one" ]) with
            member _.Fill(_, state, inputs, _) =
                FSharp.NativeInterop.NativePtr.set inputs[0] 0 1.0

                if FSharp.NativeInterop.NativePtr.get state 0 = 5.0 then
                    source.Cancel()
        }

    Assert.ThrowsAny<OperationCanceledException>(fun () ->
        Steps.run
            session
            (Some feed)
            1
            (Map.ofList [ "x", [| 0.0 |] ])
            [ "x" ]
            Int32.MaxValue
            { RunOptions.Single with Cancellation = source.Token }
        |> ignore)

[<Fact>]
let ``Wrong sizes, missing rows and states of a wrong shape are refused by name`` () =
    let run (given: (string * float[]) list) : unit =
        Steps.run (compiled halving) None 2 (Map.ofList given) [ "x" ] 5 RunOptions.Single
        |> ignore

    let message (action: unit -> unit) : string = Assert.Throws<FunLikException>(action).Message

    Assert.Contains("'x'", message (fun () -> run [ "x", [| 1.0 |]; "shift", [| 0.0; 0.0 |] ]))
    Assert.Contains("'shift'", message (fun () -> run [ "x", [| 1.0; 2.0 |] ]))

    let wrong =
        {
            State = [ Steps.state "v" (Vector 2) (Expr.scalar 1.0) ]
            Done = Expr.scalar 0.0
        }

    Assert.Contains("'v'", message (fun () -> compiled wrong |> ignore))

[<Fact>]
let ``Runs of one session, at once or one after the other, keep no trace of each other`` () =
    // A state that starts at 0 where it is not given, and one that is remembered: leftovers would show in both.
    let x, y = Steps.current "x" Scalar, Steps.current "y" Scalar

    let program =
        {
            State =
                [
                    { Steps.scalar "x" (x + 1.0 + Steps.past 3 "x" Scalar) with Depth = 3 }
                    Steps.scalar "y" (y + x * Expr.input "shift" Role.Auxiliary Scalar)
                ]
            Done = Expr.less (Expr.scalar 40.0) x
        }

    let session = compiled program

    let run (session: StepSession) (seed: int) =
        let rows = 1 + seed % 5 * 17
        let start = Key.ofSeed seed |> Key.uniforms rows |> Array.map (fun u -> 30.0 * u)
        let given = Map [ "x", start; "shift", Key.ofSeed seed |> Key.normals rows ]
        let result = Steps.run session None rows given [ "x"; "y" ] 100 (onThreads 2)
        result.States, result.Steps

    let seeds = [| 0..30 |]
    let expected = seeds |> Array.map (fun seed -> run (compiled program) seed)
    Assert.Equal<obj[]>(Array.map box expected, seeds |> Array.map (run session >> box))
    Assert.Equal<obj[]>(Array.map box expected, seeds |> Array.Parallel.map (run session >> box))
