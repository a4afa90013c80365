module FunLik.Tests.RidgeTests

open System
open FunLik
open Xunit

let private options = RunOptions.Single
let private key = Key.ofSeed 77

/// A correlated normal density of one poi and two nuisances, whose profile is known in closed form: L is the factor of its precision.
let private factor =
    array2D [ [ 1.4; 0.0; 0.0 ]; [ 0.5; 1.1; 0.0 ]; [ -0.3; 0.4; 0.8 ] ]

let private precision =
    Array2D.init 3 3 (fun i j -> Seq.sum (seq { for k in 0..2 -> factor[i, k] * factor[j, k] }))

let private density (mean: float[]) : Likelihood =
    likelihood {
        let! mu = poi "mu" (flat -6.0 6.0)
        let! theta = nuisances "theta" 2 (flat -9.0 9.0)
        let x = Expr.concat [ mu; theta ] - Expr.vector mean

        let transposed =
            Expr.matrix
                3
                3
                [|
                    for i in 0..2 do
                        for j in 0..2 -> factor[j, i]
                |]

        do! gaussian [| 0.0; 0.0; 0.0 |] [| 1.0; 1.0; 1.0 |] (Expr.matVec transposed x)
    }

let private mean = [| 0.5; -0.2; 0.3 |]
let private objective = density mean |> Objective.ofLikelihood

/// The nuisances that maximise the density at a value of the poi.
let private profiled (mu: float) : float[] =
    let a, b, d = precision[1, 1], precision[1, 2], precision[2, 2]
    let u, v = -precision[1, 0] * (mu - mean[0]), -precision[2, 0] * (mu - mean[0])
    let det = a * d - b * b
    [| mean[1] + (d * u - b * v) / det; mean[2] + (a * v - b * u) / det |]

let private ridge (design: RidgeDesign) : RidgeLabels =
    Ridge.labels options objective design mean key

[<Fact>]
let ``the first labels of a ridge are profiles, in the interval, one of each part of it`` () =
    let design =
        { Ridge.design 90 with Anchors = 30; Span = RidgeSpan.Interval(-1.0, 2.0) }

    let found = ridge design
    Assert.Equal(0, found.Lost)
    Assert.Equal(90, found.Set.Count)

    for r in 0..29 do
        let x = Array.sub found.Set.Points (3 * r) 3
        Assert.InRange(x[0], -1.0 + 0.1 * float r, -1.0 + 0.1 * float (r + 1))
        Array.iter2 (fun (e: float) a -> Assert.Equal(e, a, 3)) (profiled x[0]) x[1..]

    // All labels of an anchor share its value.
    for r in 0..89 do
        Assert.Equal(found.Set.Points[3 * (r % 30)], found.Set.Points[3 * r])
        Assert.Equal(r % 30, found.Set.Chains[r])

[<Fact>]
let ``labels of a ridge are exact, and every evaluation is counted`` () =
    let mutable asked = 0L

    let counted =
        { new Objective(objective.Parameters) with
            member _.HasGradient = true
            member _.Expression = None

            member _.Evaluate(rows, points, values, gradients, options) =
                asked <- asked + int64 rows
                objective.Evaluate(rows, points, values, gradients, options)
        }

    let design = { Ridge.design 200 with Anchors = 20 }
    let found = Ridge.labels options counted design mean key

    let struct (values, gradients) =
        objective.ValuesAndGradients(found.Set.Points, options)

    Assert.Equal<float[]>(values, found.Set.LogDensity)
    Assert.Equal<float[]>(gradients, found.Set.Gradient)
    Assert.Equal(asked, found.AnchorCalls.Values + found.LabelCalls.Values)
    Assert.Equal(200L, found.LabelCalls.Gradients)

[<Fact>]
let ``moves of a ridge grow from none to the reach in the metric of the curvature`` () =
    let design = { Ridge.design 4000 with Anchors = 10; Reach = 2.0 }
    let found = ridge design

    // ΔNLL from the ridge is half of the length squared times χ² of two degrees: its mean over lengths that are uniform from 0 to 2
    // is 4/3, its variance (1/20·16·4·2 − 16/9)/4 + ... below 12: the limit is five standard errors.
    let above =
        Array.init 4000 (fun r ->
            let x = Array.sub found.Set.Points (3 * r) 3
            let top = objective.Values(Array.append [| x[0] |] (profiled x[0]), options)
            top[0] - found.Set.LogDensity[r])

    Assert.All(above, fun d -> Assert.True(d > -1e-6))

    Assert.InRange(
        Array.average above,
        4.0 / 3.0 - 5.0 * sqrt (12.0 / 4000.0),
        4.0 / 3.0 + 5.0 * sqrt (12.0 / 4000.0)
    )

[<Fact>]
let ``a ridge is the same for any number of threads, and another for another key`` () =
    let design = { Ridge.design 60 with Anchors = 7 }

    let labels threads key =
        (Ridge.labels { options with Threads = threads } objective design mean key).Set

    let first = labels 1 key
    Assert.Equal(first, labels 2 key)
    Assert.NotEqual(first, labels 1 (Key.ofSeed 78))

[<Fact>]
let ``a ridge of several pois lies in their ellipsoid and ranges`` () =
    let model =
        likelihood {
            let! a = poi "a" (flat -1.0 1.0)
            let! b = poi "b" (flat -50.0 50.0)
            let! t = nuisance "t" standardNormal

            do! gaussian [| 0.0; 0.0 |] [| 0.5; 2.0 |] (Expr.concat [ a + 0.1 * t; b - 0.2 * t ])
        }

    let objective = Objective.ofLikelihood model
    let design = { Ridge.design 100 with Anchors = 100; Span = RidgeSpan.Sigmas 3.0 }
    let found = Ridge.labels options objective design [| 0.0; 0.0; 0.0 |] key
    let column i = Array.init found.Set.Count (fun r -> found.Set.Points[3 * r + i])
    Assert.All(column 0, fun a -> Assert.InRange(a, -1.0, 1.0))
    Assert.True(Array.max (column 1) > 3.0 && Array.min (column 1) < -3.0)
    Assert.True(Array.max (column 1) < 6.1)

    // On the ridge twice ΔNLL is no more than 3².
    let top = objective.Values([| 0.0; 0.0; 0.0 |], options)
    Assert.All(found.Set.LogDensity, fun y -> Assert.True(2.0 * (top[0] - y) < 9.01))

[<Fact>]
let ``moves out of the support are shortened`` () =
    let model =
        likelihood {
            let! mu = poi "mu" (flat 0.0 10.0)
            let! theta = nuisances "theta" 3 (flat -0.05 0.05)

            do!
                gaussian
                    [| 1.0; 0.0; 0.0; 0.0 |]
                    [| 1.0; 1.0; 1.0; 1.0 |]
                    (Expr.concat [ mu; theta ])
        }

    let objective = Objective.ofLikelihood model

    let found =
        Ridge.labels options objective (Ridge.design 300) [| 1.0; 0.0; 0.0; 0.0 |] key

    Assert.Equal(300, found.Set.Count)
    Assert.All(found.Set.LogDensity, fun y -> Assert.True(Double.IsFinite y))
    Assert.True(found.LabelCalls.Values > 300L)

[<Fact>]
let ``a ridge that makes no sense is refused, with all that is wrong`` () =
    let wrong =
        {
            Labels = -1
            Anchors = 0
            Span = RidgeSpan.Interval(1.0, 1.0)
            Reach = nan
            FirstGroup = 0
        }

    Assert.Equal(4, (Ridge.check objective.Parameters wrong).Length)
    Assert.Throws<FunLikException>(fun () -> ridge wrong |> ignore) |> ignore

[<Fact>]
let ``without parameters of interest there is no ridge`` () =
    let model =
        likelihood {
            let! t = nuisances "t" 2 standardNormal
            do! gaussian [| 0.0; 0.0 |] [| 1.0; 1.0 |] t
        }

    let found =
        Ridge.labels options (Objective.ofLikelihood model) (Ridge.design 10) [| 0.0; 0.0 |] key

    Assert.Equal(0, found.Set.Count)
    Assert.Equal(ExactCalls.Zero, found.LabelCalls)
