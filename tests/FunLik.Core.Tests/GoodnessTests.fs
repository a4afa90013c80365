module FunLik.Tests.GoodnessTests

open System
open FsCheck
open FsCheck.FSharp
open MathNet.Numerics.Distributions
open Xunit
open FunLik

let private options = FitOptions.Default

let private near (tolerance: float) (expected: float) (found: float) : unit =
    Assert.True(abs (found - expected) <= tolerance, $"{found}, not {expected} within {tolerance}")

let private test (toys: int) (model: Likelihood) : GoodnessOfFit =
    GoodnessOfFit.test options toys (Key.ofSeed 5) model

[<Fact>]
let ``measurements of one value have the χ² of their weighted mean`` () =
    let law (NormalFloat a) (NormalFloat b) (NormalFloat c) =
        let values = [| a; b; c; 0.3 |] |> Array.map (fun x -> Math.Clamp(x, -3.0, 3.0))
        let widths = [| 0.5; 1.0; 0.8; 2.0 |]

        let model =
            likelihood {
                let! mu = poi "mu" unconstrained
                do! named "x" (gaussian values widths (mu * Expr.vector [| 1.0; 1.0; 1.0; 1.0 |]))
            }

        let weights = widths |> Array.map (fun w -> 1.0 / (w * w))
        let mean = Array.sum (Array.map2 (*) weights values) / Array.sum weights
        let chi = Array.map2 (fun x w -> ((x - mean) / w) ** 2.0) values widths |> Array.sum
        let found = test 0 model
        near 1e-8 chi found.Statistic
        Assert.Equal((4, 1, 3), (found.Data, found.Parameters, found.Degrees))
        near 1e-9 (1.0 - ChiSquared.CDF(3.0, chi)) found.PValue
        Assert.True(found.FromToys.IsNone)
        Assert.Equal(("x", false), (found.Terms.Head.Name, found.Terms.Head.IsConstraint))

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 8, law)

/// -2 log of the density of all data at their own values, by another library.
let private saturated (counts: float list) (widths: float list) : float =
    let ofCount (n: float) : float = if n = 0.0 then 0.0 else Poisson.PMFLn(n, int n)

    -2.0
    * (List.sumBy ofCount counts
       + List.sumBy (fun w -> Normal.PDFLn(0.0, w, 0.0)) widths)

[<Fact>]
let ``the statistic is the density at the best fit over that of the saturated model`` () =
    let law (a: PositiveInt) (b: PositiveInt) =
        let counts = [| float (a.Get % 30); float (b.Get % 9); 12.0; 0.0 |]

        let model =
            likelihood {
                let! mu = poi "mu" (flat 0.0 20.0)
                let! shift = nuisance "shift" (normal 0.0 1.0)

                do!
                    named
                        "n"
                        (poisson
                            counts
                            (mu * Expr.vector [| 3.0; 1.0; 2.0; 0.5 |]
                             + exp (0.2 * shift) * Expr.vector [| 5.0; 4.0; 6.0; 0.7 |]))
            }

        let found = test 0 model
        let best = Fit.withOptions options model
        // The prior's density, 1/20, is no part of it.
        let terms = best.TwiceNll - 2.0 * log 20.0

        near 1e-7 (terms - saturated (List.ofArray counts) [ 1.0 ]) found.Statistic

        near 1e-9 found.Statistic (found.Terms |> List.sumBy _.Statistic)
        Assert.Equal(5, found.Data)
        // At a bound a parameter is no parameter.
        let atBound = best.ActiveBounds.Length
        Assert.Equal(2 - atBound, found.Parameters)

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 10, law)

// Five standard errors: 6e-7 for a random key.
[<Fact>]
let ``toys of normal measurements have the probability of χ²`` () =
    let model =
        likelihood {
            let! mu = poi "mu" unconstrained
            let! shift = nuisance "shift" (normal 0.0 0.5)
            let ones = Expr.vector [| 1.0; 1.0; 1.0 |]
            let ramp = Expr.vector [| -1.0; 0.0; 1.0 |]
            do! gaussian [| 0.9; -0.4; 1.6 |] [| 1.0; 0.7; 0.9 |] (mu * ones + shift * ramp)
        }

    let found = test 3000 model
    Assert.Equal((4, 2, 2, 0), (found.Data, found.Parameters, found.Degrees, found.Lost))
    let p = found.FromToys.Value
    near (5.0 * p.Error) found.PValue p.Value
    Assert.InRange(found.PValue, 0.05, 0.95)

    // The same toys for any number of threads and toys.
    let few =
        GoodnessOfFit.test { options with Run = RunOptions.Single } 40 (Key.ofSeed 5) model

    Assert.Equal<float[]>(Array.truncate 40 found.Toys, few.Toys)

// erfc(20), to 16 digits by mpmath.
[<Fact>]
let ``far away a probability keeps its digits`` () =
    let model =
        likelihood {
            let! mu = poi "mu" unconstrained
            do! gaussian [| 20.0; -20.0 |] [| 1.0; 1.0 |] (mu * Expr.vector [| 1.0; 1.0 |])
        }

    let found = test 0 model
    near 1e-9 800.0 found.Statistic
    near 1e-6 1.0 (found.PValue / 5.395865611607901e-176)

[<Fact>]
let ``what moves nothing is no parameter, and what expects nothing no datum`` () =
    let model =
        likelihood {
            let! a = poi "a" unconstrained
            let! b = nuisance "b" unconstrained
            let! idle = nuisance "idle" unconstrained

            do!
                poisson
                    [| 9; 14; 0 |]
                    (exp (a + b) * Expr.vector [| 10.0; 12.0; 0.0 |] + 0.0 * idle)
        }

    let found = test 0 model
    Assert.Equal((2, 1, 1), (found.Data, found.Parameters, found.Degrees))
    // Two counts beside their ratio: Baker and Cousins's 2 Σ (m − n + n log n/m).
    let scale = 23.0 / 22.0
    let part (n: float) (m: float) : float = 2.0 * (m - n + n * log (n / m))
    near 1e-7 (part 9.0 (10.0 * scale) + part 14.0 (12.0 * scale)) found.Statistic

[<Fact>]
let ``priors are said to count as measurements, and opaque densities are refused`` () =
    let model =
        likelihood {
            let! mu = poi "mu" unconstrained
            let! shift = nuisance "shift" unconstrained
            do! gaussian [| 1.0; 2.0 |] [| 1.0; 1.0 |] (Expr.concat [ mu + shift; mu - shift ])
        }

    let block = model.Blocks |> List.find (fun b -> b.Name = "shift")
    let pulled = Likelihood.withPrior (Prior.normal 0.0 1.0 block) model
    let found = test 0 pulled
    Assert.Contains("prior of 'shift'", found.Notes.Head)
    Assert.Equal((2, 2, 1), (found.Data, found.Parameters, found.Degrees))

    let free = test 0 model
    Assert.Equal(0, free.Degrees)
    Assert.True(Double.IsNaN free.PValue)
    Assert.Contains("no degree of freedom", List.exactlyOne free.Notes)

    let opaque =
        { model with
            Density = Density.Opaque(Expr.parameter "mu" Scalar, [])
            Data = Map.empty
        }

    let refused = Assert.Throws<FunLikException>(fun () -> test 0 opaque |> ignore)
    Assert.Equal(ErrorKind.Unsupported, refused.Errors.Head.Kind)
