module FunLik.Tests.HypothesisTests

open System
open System.IO
open FsCheck
open FsCheck.FSharp
open MathNet.Numerics.Distributions
open FunLik
open Xunit

let private options = RunOptions.AllCores

let private twoBin (observed: string) : Likelihood =
    let text =
        """{"version": "1.0.0", "channels": [{"name": "single", "samples": [
             {"name": "signal", "data": [12, 11], "modifiers": [{"name": "mu", "type": "normfactor", "data": null}]},
             {"name": "background", "data": [50, 52],
              "modifiers": [{"name": "uncorr", "type": "shapesys", "data": [3, 7]}]}]}],
            "observations": [{"name": "single", "data": OBSERVED}],
            "measurements": [{"name": "m", "config": {"poi": "mu", "parameters": []}}]}"""

    let path = Path.GetTempFileName()

    try
        File.WriteAllText(path, text.Replace("OBSERVED", observed))
        ModelFile.load path ModelOptions.None |> Error.orRaise
    finally
        File.Delete path

let private near (tolerance: float) (expected: float) (found: float) : unit =
    Assert.InRange(found, expected - tolerance, expected + tolerance)

// The values of pyhf for this model: issue tracker and documentation of pyhf, `simplemodels.uncorrelated_background`.
[<Fact>]
let ``two bins give pyhf's fits, statistics, CLs and limits`` () =
    let tester =
        HypothesisTest.prepare options TestStatistic.QTilde None (twoBin "[51, 48]")

    let test = HypothesisTest.test options tester 1.0
    Assert.Equal(FitStatus.Converged, test.Status)
    near 1e-7 24.98393521 tester.Free.TwiceNll
    near 1e-7 28.92218013 test.Fixed.TwiceNll
    near 1e-6 3.93824492 test.Statistic
    // CLs in standard deviations: pyhf's own fits end 1e-6 above the minimum.
    near 2e-6 0.05251497 test.Observed.Cls

    for expected, found in
        Seq.zip [ 0.00260626; 0.01382005; 0.06445321; 0.23525644; 0.57303621 ] test.Expected do
        near 1e-5 expected found.Cls

    let limit = Limit.upper options 0.95 tester
    Assert.Equal(FitStatus.Converged, limit.Status)
    near 1e-5 1.01156939 limit.Observed

    let atLimit = HypothesisTest.test options tester limit.Observed
    near 1e-8 0.05 atLimit.Observed.Cls

    for i, mu in Seq.indexed limit.Expected do
        let there = HypothesisTest.test options tester mu
        near 1e-7 0.05 there.Expected[i].Cls

    let q = HypothesisTest.prepare options TestStatistic.Q None (twoBin "[51, 48]")
    near 1e-6 3.9549891 (HypothesisTest.test options q 1.0).Statistic

    let q0 = HypothesisTest.prepare options TestStatistic.Q0 None (twoBin "[60, 65]")
    near 1e-6 2.98339447 (HypothesisTest.test options q0 0.0).Statistic

/// Tests of values beside those of pyhf, and our minimum beside its own.
let private holdsToPyhf (model: Likelihood) (reference: Json) : unit =
    let field name read json = json |> Json.field name read |> Error.orRaise
    let tester = HypothesisTest.prepare options TestStatistic.QTilde None model
    let theirs = reference |> field "mle" Ok |> field "twiceNll" Json.float
    Assert.True(tester.Free.TwiceNll <= theirs + 1e-9, $"{tester.Free.TwiceNll} > {theirs}")
    let tests = reference |> field "hypotest" Json.items
    Assert.NotEmpty tests

    for entry in tests do
        let number name = entry |> field name Json.float
        let test = HypothesisTest.test options tester (number "mu")
        Assert.Equal(FitStatus.Converged, test.Status)

        let isClose (expected: float) (found: float) : bool =
            abs (found - expected) <= 0.01 * expected
            || (found > 0.02 && abs (found - expected) <= 2e-4)

        let inSigmas (p: float) : float = -Normal.InvCDF(0.0, 1.0, p)
        Assert.True(isClose (number "CLs") test.Observed.Cls)
        near 0.002 (inSigmas (number "CLsb")) (inSigmas test.Observed.Clsb)
        near 0.002 (inSigmas (number "CLb")) (inSigmas test.Observed.Clb)

        for expected, found in
            Seq.zip (entry |> field "CLsExpected" (Json.list Json.float)) test.Expected do
            Assert.True(isClose expected found.Cls, $"{expected}, {found.Cls}")

[<SharedTheory("reference/sbottom_RegionA_1300_205_60.json")>]
[<InlineData("1300_205_60")>]
[<InlineData("900_250_60")>]
let ``a search for sbottoms gives pyhf's CLs or lower minima`` (point: string) =
    let model =
        ModelFile.load
            (Support.sharedFile "data/sbottom/RegionA_BkgOnly.json")
            { ModelOptions.None with
                Patch = Some(Support.sharedFile $"data/sbottom/patches/sbottom_{point}.json")
            }
        |> Error.orRaise

    Support.sharedFile $"reference/sbottom_RegionA_{point}.json"
    |> Json.parseFile
    |> Error.orRaise
    |> holdsToPyhf model

// bench/references.fsx compares all modifiers.
[<SharedTheory("reference/histfactory_modifiers.json")>]
[<InlineData("histosys", "code1")>]
[<InlineData("kitchen_sink", "code4")>]
let ``workspaces of modifiers give pyhf's CLs or lower minima`` (name: string) (key: string) =
    let case =
        Support.sharedFile "reference/histfactory_modifiers.json"
        |> Json.parseFile
        |> Result.bind (Json.property name)
        |> Error.orRaise

    let part name = case |> Json.property name |> Error.orRaise

    let codes =
        if key = "code4" then
            []
        else
            [ "normsys", "code1"; "histosys", "code0" ]

    let model =
        Workspace.likelihood None None codes None 0.0 (part "workspace")
        |> Error.orRaise

    holdsToPyhf model (part key)

// A normal measurement, with a nuisance that is measured too: everything has a closed form.
let private measurement (found: float) (sigma: float) : Likelihood =
    likelihood {
        let! mu = poi "mu" unconstrained
        let! shift = nuisance "shift" (normal 0.0 (0.6 * sigma))
        do! gaussian [| found |] [| 0.8 * sigma |] (Expr.concat [ mu + shift ])
    }

/// CLs of μ for a normal measurement without bounds.
let private clsOf (mu: float) (found: float) (sigma: float) : float =
    let above (x: float) : float = Normal.CDF(0.0, 1.0, -x)
    above ((mu - found) / sigma) / above (-found / sigma)

[<Fact>]
let ``normal measurements give the closed forms`` () =
    let law (NormalFloat a) (NormalFloat b) =
        let sigma = exp (Math.Clamp(a, -3.0, 3.0))
        let found = 1.5 * sigma * Math.Clamp(b, -2.0, 2.0)

        let tester =
            HypothesisTest.prepare options TestStatistic.Q None (measurement found sigma)

        let mu = max 0.0 found + 1.3 * sigma
        let test = HypothesisTest.test options tester mu
        near 1e-6 (((mu - found) / sigma) ** 2.0) test.Statistic
        near 1e-6 ((mu / sigma) ** 2.0) test.AsimovStatistic
        near 1e-6 (clsOf mu found sigma) test.Observed.Cls

        let limit = Limit.upper options 0.9 tester

        let exact =
            let inside = Normal.CDF(0.0, 1.0, found / sigma)
            found + sigma * Normal.InvCDF(0.0, 1.0, 1.0 - 0.1 * inside)

        near (1e-6 * sigma) exact limit.Observed

        for n, expected in Array.zip TestStatistic.bands limit.Expected do
            let inside = Normal.CDF(0.0, 1.0, n)
            near (1e-6 * sigma) (sigma * (n + Normal.InvCDF(0.0, 1.0, 1.0 - 0.1 * inside))) expected

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 10, law)

[<Fact>]
let ``statistics are 0 where they should be`` () =
    let found statistic best = TestStatistic.value statistic 1.0 best 2.5
    Assert.Equal(2.5, found TestStatistic.T 3.0)
    Assert.Equal(0.0, found TestStatistic.Q 3.0)
    Assert.Equal(2.5, found TestStatistic.Q 0.5)
    Assert.Equal(0.0, found TestStatistic.Q0 -0.5)
    Assert.Equal(2.5, found TestStatistic.Q0 0.5)
    Assert.Equal(0.0, TestStatistic.value TestStatistic.T 1.0 0.0 -1e-12)

// Five standard errors: each of the two comparisons fails with a probability of 6e-7 for a random key.
[<Fact>]
let ``toys of a normal measurement have the asymptotic probabilities`` () =
    let tester =
        HypothesisTest.prepare options TestStatistic.Q None (measurement 0.4 1.0)

    let test = HypothesisTest.test options tester 1.5
    let toys = Toys.test options tester 1.5 4000 (Key.ofSeed 12)
    Assert.Equal(0, toys.Lost)
    near (5.0 * toys.Clsb.Error) test.Observed.Clsb toys.Clsb.Value
    near (5.0 * toys.Clb.Error) test.Observed.Clb toys.Clb.Value

// The same for statistics with two sides: four comparisons of 6e-7. The data lie where μ = 0 bends t̃.
[<Theory>]
[<InlineData("t", 0.4)>]
[<InlineData("ttilde", -0.9)>]
let ``toys of statistics with two sides have the asymptotic probabilities`` (name: string, found) =
    let statistic = TestStatistic.names |> List.find (fst >> (=) name) |> snd
    let tester = HypothesisTest.prepare options statistic None (measurement found 1.0)
    let test = HypothesisTest.test options tester 1.5
    let toys = Toys.test options tester 1.5 4000 (Key.ofSeed 12)
    near (5.0 * toys.Clsb.Error) test.Observed.Clsb toys.Clsb.Value
    near (5.0 * toys.Clb.Error) test.Observed.Clb toys.Clb.Value

    // Data that lie n standard deviations from 0 have the probabilities expected there.
    for n, expected in Array.zip TestStatistic.bands test.Expected do
        let tester = HypothesisTest.prepare options statistic None (measurement n 1.0)
        let there = HypothesisTest.test options tester 1.5
        near 1e-5 expected.Clsb there.Observed.Clsb
        near 1e-5 expected.Clb there.Observed.Clb

[<Fact>]
let ``what a statistic does not test is refused`` () =
    let refused (statistic: TestStatistic) (ask: Tester -> unit) : ErrorKind =
        let tester = HypothesisTest.prepare options statistic None (measurement 0.4 1.0)
        Assert.Throws<FunLikException>(fun () -> ask tester).Errors.Head.Kind

    let test (mu: float) (tester: Tester) : unit = HypothesisTest.test options tester mu |> ignore
    let limit (tester: Tester) : unit = Limit.upper options 0.95 tester |> ignore

    Assert.Equal(ErrorKind.Value, refused TestStatistic.Q0 (test 1.0))
    Assert.Equal(ErrorKind.Value, refused TestStatistic.QTilde (test -1.0))
    Assert.Equal(ErrorKind.Value, refused TestStatistic.Q (test nan))
    Assert.Equal(ErrorKind.Usage, refused TestStatistic.T limit)
    Assert.Equal(ErrorKind.Usage, refused TestStatistic.Q0 limit)

[<Fact>]
let ``toys do not depend on threads, and the first of many are those of few`` () =
    let tester =
        HypothesisTest.prepare options TestStatistic.QTilde None (twoBin "[51, 48]")

    let few = Toys.test RunOptions.Single tester 1.0 50 (Key.ofSeed 3)
    let many = Toys.test options tester 1.0 200 (Key.ofSeed 3)
    Assert.Equal<float[]>(few.Signal, Array.truncate 50 many.Signal)
    Assert.Equal<float[]>(few.Background, Array.truncate 50 many.Background)
    let other = Toys.test options tester 1.0 50 (Key.ofSeed 4)
    Assert.NotEqual<float[]>(few.Signal, other.Signal)

// Mean and variance of 20,000 counts within five standard errors: 6e-7 a comparison, 16 of them.
[<Fact>]
let ``toys have the means and variances of their distributions`` () =
    let means = [| 0.0; 0.02; 0.7; 4.0; 31.0; 900.0 |]

    let model =
        likelihood {
            let! mu = poi "mu" unconstrained
            do! named "n" (poisson [| 0; 0; 1; 4; 30; 900 |] (mu * Expr.vector means))
            do! named "x" (gaussian [| 1.0; 2.0 |] [| 0.5; 3.0 |] (Expr.concat [ mu; 2.0 * mu ]))
        }

    let predictor = Simulate.prepare model
    let count = 20_000
    let toys = Simulate.toys options predictor [| 1.0 |] 0 count (Key.ofSeed 5)
    Assert.Equal(8, predictor.Size)

    Assert.Equal<float[]>(
        Array.append means [| 1.0; 2.0 |],
        Simulate.expected options predictor [| 1.0 |]
    )

    for i, (mean, variance, fourth) in
        Array.append
            (means |> Array.map (fun m -> m, m, m * (1.0 + 3.0 * m)))
            [| 1.0, 0.25, 3.0 * 0.0625; 2.0, 9.0, 3.0 * 81.0 |]
        |> Seq.indexed do
        let values = Array.init count (fun r -> toys[r * 8 + i])
        let n = float count
        near (5.0 * sqrt (variance / n)) mean (Array.average values)
        let found = values |> Array.averageBy (fun v -> (v - mean) ** 2.0)
        near (5.0 * sqrt ((fourth - variance * variance) / n)) variance found

[<Fact>]
let ``models without terms, without or with several pois are refused by name`` () =
    let refused (model: Likelihood) (poi: string option) : Error =
        Assert
            .Throws<FunLikException>(fun () ->
                HypothesisTest.prepare options TestStatistic.QTilde poi model |> ignore)
            .Errors.Head

    let model = measurement 1.0 1.0

    let opaque =
        { model with
            Density = Density.Opaque(Expr.parameter "mu" Scalar, [])
            Data = Map.empty
        }

    Assert.Equal(ErrorKind.Unsupported, (refused opaque None).Kind)
    Assert.Equal(ErrorKind.Name, (refused model (Some "nu")).Kind)

    let fixed' =
        { model with
            Blocks =
                model.Blocks
                |> List.map (fun block ->
                    { block with
                        Parameters =
                            block.Parameters
                            |> Array.map (fun p ->
                                if p.Kind.IsPoi then
                                    { p with Bounds = struct (1.0, 1.0) }
                                else
                                    p)
                    })
        }

    Assert.Equal(ErrorKind.Value, (refused fixed' None).Kind)

    let two =
        likelihood {
            let! a = poi "a" unconstrained
            let! b = poi "b" unconstrained
            do! gaussian [| 0.0; 0.0 |] [| 1.0; 1.0 |] (Expr.concat [ a; b ])
        }

    Assert.Equal(ErrorKind.Usage, (refused two None).Kind)
    Assert.Equal("a", (HypothesisTest.prepare options TestStatistic.Q (Some "a") two).Poi)
