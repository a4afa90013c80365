module FunLik.Tests.InteractionTests

open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

let private parameters (n: int) : ModelParameter[] =
    Array.init n (fun k -> ModelParameter.create $"p{k}" ParameterKind.Nuisance 0.0)

/// Σ x_i⁴ + Σ over pairs of x_i² x_k, with its gradient by hand.
let private joining (n: int) (pairs: (int * int) list) : Objective =
    let value (x: float[]) : float =
        Array.sumBy (fun v -> v ** 4.0) x
        + List.sumBy (fun (i, k) -> x[i] * x[i] * x[k]) pairs

    let gradient (x: float[]) : float[] =
        let g = x |> Array.map (fun v -> 4.0 * v * v * v)

        for i, k in pairs do
            g[i] <- g[i] + 2.0 * x[i] * x[k]
            g[k] <- g[k] + x[i] * x[i]

        g

    Objective.ofFunction (parameters n) value (Some gradient)

let private dataOf (objective: Objective) (seed: int) : Dataset =
    let n = objective.Count
    let points = Key.normals (20 * n) (Key.ofSeed seed)

    let struct (values, gradients) =
        objective.ValuesAndGradients(points, RunOptions.Single)

    Dataset.create n points values (Some gradients) (Array.create 20 0)
    |> Error.orRaise

let private graph: Gen<int * (int * int) list> =
    gen {
        let! n = Gen.choose (1, 8)

        let all =
            [
                for i in 0 .. n - 1 do
                    for k in i + 1 .. n - 1 -> i, k
            ]

        let! isThere = Gen.elements [ true; false ] |> Gen.listOfLength all.Length
        return n, List.zip all isThere |> List.filter snd |> List.map fst
    }

let private check (law: int * (int * int) list -> unit) : unit =
    Check.One(Config.QuickThrowOnFailure.WithMaxTest 60, Prop.forAll (Arb.fromGen graph) law)

[<Fact>]
let ``interactions are the pairs of a function, and no others`` () =
    check (fun (n, pairs) ->
        let objective = joining n pairs

        let found, calls =
            Interactions.find RunOptions.Single objective (dataOf objective 1)

        for i in 0 .. n - 1 do
            for k in 0 .. n - 1 do
                let expected = i = k || List.contains (min i k, max i k) pairs
                Assert.Equal(expected, found.Between(i, k))

        // Three points, and one more for each parameter.
        Assert.Equal(3L * int64 (n + 1), calls.Values)
        Assert.Equal(calls.Values, calls.Gradients))

[<Fact>]
let ``data of another function join all`` () =
    let data = dataOf (joining 4 [ 0, 1 ]) 1
    let found, _ = Interactions.find RunOptions.Single (joining 4 []) data
    Assert.False found.AreSparse

[<Fact>]
let ``parameters whose moves lead out of the support are joined to all`` () =
    let inner = joining 4 []

    let objective =
        Objective.ofFunction
            (parameters 4)
            (fun x ->
                if x[0] * x[1] > 0.0 then
                    inner.Values(x, RunOptions.Single)[0]
                else
                    -infinity)
            (Some(fun x ->
                let struct (_, g) = inner.ValuesAndGradients(x, RunOptions.Single)
                g))

    // Each parameter moves to its value ten points further on, where the first two have the other sign.
    let points =
        Array.init 20 (fun r ->
            let sign = if r < 10 then 1.0 else -1.0
            [| sign; sign * 0.5; 0.1 * float r; 1.0 - 0.1 * float r |])
        |> Array.concat

    let dataWith (values: float[]) : Dataset =
        Dataset.create 4 points values None (Array.create 20 0) |> Error.orRaise

    let values = objective.Values(points, RunOptions.Single)
    let found, _ = Interactions.find RunOptions.Single objective (dataWith values)

    for i in 0..3 do
        for k in 0..3 do
            Assert.Equal(i = k || i < 2 || k < 2, found.Between(i, k))

    // Data that lie outside are not of this function.
    let outside =
        Objective.ofFunction (parameters 4) (fun _ -> -infinity) (Some Array.copy)

    let found, _ = Interactions.find RunOptions.Single outside (dataWith values)
    Assert.False found.AreSparse

[<Fact>]
let ``of separable parameters no two interact, and none more could be added to those of a star``
    ()
    =
    check (fun (n, pairs) ->
        let interactions = Interactions.ofPairs n pairs

        for taken in [ []; [ 0 ] ] do
            let separable = Interactions.separable taken interactions
            Assert.Empty(taken |> List.filter (fun k -> Array.contains k separable))

            for i in separable do
                for k in separable do
                    Assert.Equal((i = k), interactions.Between(i, k))

            // One at least of any that are left.
            if taken.Length < n then
                Assert.NotEmpty separable)

    let star = Interactions.ofPairs 5 [ for k in [ 0; 1; 3; 4 ] -> 2, k ]
    Assert.Equal<int[]>([| 0; 1; 3; 4 |], Interactions.separable [] star)
    Assert.Equal<int[]>([| 1; 3; 4 |], Interactions.separable [ 0 ] star)
