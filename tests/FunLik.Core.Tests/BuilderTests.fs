module FunLik.Tests.BuilderTests

open System
open FunLik
open Xunit

let private valueAt (model: Likelihood) (x: float[]) : float =
    (Objective.ofLikelihood model).Values(x, RunOptions.Single)[0]

let private poissonOf (n: float) (mean: float) : float =
    n * log mean - mean - MathNet.Numerics.SpecialFunctions.GammaLn(n + 1.0)

let private normalOf (x: float) (mean: float) (sigma: float) : float =
    -0.5 * ((x - mean) / sigma) ** 2.0 - log sigma - 0.5 * log (2.0 * Math.PI)

let private refused (build: unit -> Likelihood) : Error list =
    Assert.Throws<FunLikException>(fun () -> build () |> ignore).Errors

[<Fact>]
let ``a model is the product of what was declared`` () =
    let b, s, delta = [| 10.0; 4.0 |], [| 2.0; 3.0 |], [| 0.1; 0.2 |]

    let model =
        likelihood {
            let! mu = poi "mu" (flat -1.0 5.0)
            let! alpha = nuisances "alpha" 2 standardNormal
            let! scale = nuisance "scale" (normal 1.0 0.05)
            let background = scale * b * exp (delta * alpha)
            do! poisson [| 12; 5 |] (mu * s + background)
            do! gaussian [| 3.1 |] [| 0.5 |] (mu * [| 3.0 |])
        }

    Assert.Equal<string[]>([| "mu"; "alpha[0]"; "alpha[1]"; "scale" |], Likelihood.names model)

    let terms = Likelihood.terms "the test" model |> List.map _.Name

    Assert.Equal<string list>(
        [ "alpha.constraint"; "scale.constraint"; "main[0]"; "main[1]" ],
        terms
    )

    let x = [| 0.7; 0.3; -1.2; 1.02 |]

    let expected =
        let mean i = 0.7 * s[i] + 1.02 * b[i] * exp (delta[i] * x[1 + i])

        poissonOf 12.0 (mean 0)
        + poissonOf 5.0 (mean 1)
        + normalOf 3.1 2.1 0.5
        + normalOf 0.3 0.0 1.0
        + normalOf -1.2 0.0 1.0
        + normalOf 1.0 1.02 0.05
        - log 6.0

    Assert.Equal(expected, valueAt model x, 12)

    for mu, isInside in [ 5.0, true; -1.0, true; 5.000001, false; -1.000001, false; 1e300, false ] do
        Assert.Equal(isInside, Double.IsFinite(valueAt model [| mu; 0.0; 0.0; 1.0 |]))

    let parts = Likelihood.parts model

    let session =
        Objective.session model [ "constraint", parts.Constraint.Value; "prior", parts.Prior ]

    let values = session.Evaluate(1, [| x |], RunOptions.Single)
    Assert.Equal(-log 6.0, values[1][0], 12)

    Assert.Equal(
        normalOf 0.3 0.0 1.0 + normalOf -1.2 0.0 1.0 + normalOf 1.0 1.02 0.05,
        values[0][0],
        12
    )

[<Fact>]
let ``parameters have starts, bounds and ranges from what is known of them`` () =
    let model =
        likelihood {
            let! a = poi "a" (flat 1.0 3.0)
            let! _ = nuisance "b" (normal 2.0 0.1 |> kinked)
            let! _ = nuisance "c" (unconstrained |> startAt 4.0)
            let! d = poi "d" (normal 0.0 2.0)
            do! named "sr" (poisson [| 1 |] (Expr.concat [ a + d * d ]))
        }

    let parameter (name: string) : ModelParameter =
        Likelihood.parameters model |> Array.find (fun p -> p.Name = name)

    Assert.Equal(2.0, (parameter "a").Nominal)
    Assert.Equal(struct (1.0, 3.0), (parameter "a").Range)
    Assert.Equal(struct (1.0, 3.0), (parameter "a").Bounds)
    Assert.Equal(2.0, (parameter "b").Nominal)
    Assert.True((parameter "b").IsKinked)
    Assert.Equal(4.0, (parameter "c").Nominal)
    Assert.Equal(struct (-infinity, infinity), (parameter "c").Bounds)

    // Of a parameter of interest the normal is a prior, of a nuisance a constraint.
    let names = Likelihood.terms "the test" model |> List.map _.Name
    Assert.Equal<string list>([ "b.constraint"; "sr" ], names)
    Assert.Equal<string list>([ "a"; "d" ], model.Priors |> List.map _.Block)

[<Fact>]
let ``loops, conditions and auxiliary counts go together`` () =
    let channels =
        [ "sr", [| 7; 3 |], [| 2.0; 1.0 |]; "vr", [| 11; 9 |], [| 0.1; 0.2 |] ]

    let build (withControl: bool) : Likelihood =
        likelihood {
            let! mu = poi "mu" unconstrained
            let! b = nuisance "b" (unconstrained |> startAt 5.0)

            for name, observed, signal in channels do
                do! named name (poisson (Array.map float observed) (mu * signal + b))

            if withControl then
                do! auxiliary (poisson [| 20.0 |] (Expr.concat [ 4.0 * b ]))
        }

    let model = build true
    let terms = Likelihood.terms "the test" model
    Assert.Equal<string list>([ "sr"; "vr"; "auxiliary" ], terms |> List.map _.Name)
    Assert.Equal<bool list>([ false; false; true ], terms |> List.map _.IsConstraint)
    let x = [| 1.0; 5.0 |]
    Assert.Equal(poissonOf 20.0 20.0, valueAt model x - valueAt (build false) x, 12)

[<Fact>]
let ``mistakes of all parts are told together`` () =
    let errors =
        refused (fun () ->
            likelihood {
                let! mu = poi "mu" (flat 5.0 -1.0)
                let! again = nuisance "mu" standardNormal
                let! wide = nuisance "wide" (normal 0.0 -1.0)
                let! _ = nuisances "none" 0 standardNormal
                let! _ = poi "outside" (flat 0.0 1.0 |> startAt 2.0)
                let! _ = nuisance " " standardNormal
                do! poisson [| 1; 2; 3 |] (mu * [| 1.0; 2.0 |])
                do! poisson [| -1; 2 |] (again * [| 1.0; 2.0 |])
                do! gaussian [| 1; 2 |] [| 1.0 |] (wide * [| 1.0; 2.0 |])
                do! gaussian [| 1; 2 |] [| 1.0; 0.0 |] (wide * [| 1.0; 2.0 |])
                do! named "twice" (poisson [| 1 |] (mu * [| 1.0 |]))
                do! named "twice" (poisson [| 1 |] (mu * [| 1.0 |]))
                do! poisson [| 1; 2 |] (mu * [| 1.0; 2.0 |] + wide * [| 1.0; 2.0; 3.0 |])
                do! poisson [| nan |] (mu * [| 1.0 |])
            })

    let told = errors |> List.map string

    let expected =
        [
            "the parameter 'mu': no interval"
            "the parameter 'wide': no normal density"
            "the parameters 'none': found 0 of them"
            "the parameter 'outside': the density is zero at the start"
            "a parameter without a name"
            "found 3 observed, vector of 2"
            "found 1 widths, 2 observed"
            "the width of a measurement: found 0"
            "a vector of 2 does not go with a vector of 3"
            "the name 'mu' stands 2 times"
            "the name 'twice' stands 2 times"
            "datum 0 of the term 'main': found -1"
        ]

    for text in expected do
        Assert.True(told |> List.exists (fun t -> t.Contains text), $"not told: {text}\n{told}")

    // What stands behind a mistake in an expression is not reached.
    Assert.Equal(expected.Length, told.Length)

[<Fact>]
let ``a likelihood without anything is a constant`` () =
    let model = likelihood { let! _ = poi "mu" (flat 0.0 2.0) in () }
    Assert.Equal(-log 2.0, valueAt model [| 1.0 |], 14)

[<Fact>]
let ``exceptions that are no user's mistakes pass through`` () =
    Assert.Throws<InvalidOperationException>(fun () ->
        likelihood {
            let! _ = poi "mu" unconstrained
            do! (raise (InvalidOperationException "mine"): LikelihoodPart<unit>)
        }
        |> ignore)
