module FunLik.Tests.FitTests

open System
open FsCheck
open FsCheck.FSharp
open Xunit
open FunLik

let private near (tolerance: float) (expected: float) (found: float) : unit =
    Assert.True(abs (found - expected) <= tolerance, $"{found}, not {expected} within {tolerance}")

/// -log density as an opaque model of one block.
let private model (parameters: ModelParameter[]) (func: Expr -> Expr) : Likelihood =
    let block = ParameterBlock.ofVector "all" parameters
    let density = Density.Opaque(-(func (ParameterBlock.leaf block)), [])
    Likelihood.create "test" [ block ] density Map.empty []

let private nuisance (name: string) : ModelParameter =
    ModelParameter.create name ParameterKind.Nuisance 0.0

let private poi (name: string) : ModelParameter = ModelParameter.create name ParameterKind.Poi 0.0

let private kinked (name: string) (at: float) : ModelParameter =
    { ModelParameter.create name ParameterKind.Nuisance at with IsKinked = true }

/// Counts over a background that an auxiliary measurement constrains.
let private counting: Likelihood =
    likelihood {
        let! mu = LikelihoodWords.poi "mu" (flat -1.0 10.0)
        let! alpha = LikelihoodWords.nuisances "alpha" 2 standardNormal
        let background = Expr.vector [| 50.0; 60.0 |] * exp (0.1 * alpha)
        do! poisson [| 61.0; 70.0 |] (mu * Expr.vector [| 10.0; 5.0 |] + background)
    }

[<Fact>]
let ``A counting experiment is fitted where its gradient is zero`` () =
    let fit = counting |> Fit.minimise
    let at = fit.Point

    // By hand: with ν_i = s_i μ + b_i e^(0.1 α_i) and r_i = n_i/ν_i - 1.
    let nu i s b = s * at[0] + b * exp (0.1 * at[i])
    let r1, r2 = 61.0 / nu 1 10.0 50.0 - 1.0, 70.0 / nu 2 5.0 60.0 - 1.0
    near 1e-9 0.0 (10.0 * r1 + 5.0 * r2)
    near 1e-9 at[1] (r1 * 0.1 * 50.0 * exp (0.1 * at[1]))
    near 1e-9 at[2] (r2 * 0.1 * 60.0 * exp (0.1 * at[2]))
    Assert.Equal(FitStatus.Converged, fit.Status)
    Assert.Equal(-2.0 * fit.LogDensity, fit.TwiceNll)
    Assert.True(fit.GradientNorm < 1e-8 && fit.Edm < 1e-12)

    Assert.Equal<(string * float)[]>(
        Array.zip [| "mu"; "alpha[0]"; "alpha[1]" |] at,
        fit.Parameters
    )

    Assert.Equal(1, fit.Minima.Length)
    Assert.Equal(1, fit.Minima.Head.Starts)

[<Fact>]
let ``Fixed parameters stay where they are, and all of them may be fixed`` () =
    let options = { FitOptions.Default with Fixed = [ "alpha[0]", 0.5 ] }
    let fit = counting |> Fit.withOptions options
    Assert.Equal(0.5, fit.Point[1])
    Assert.Empty fit.ActiveBounds
    Assert.Equal(FitStatus.Converged, fit.Status)
    let free = counting |> Likelihood.fix [ "alpha[0]", 0.5 ] |> Fit.minimise
    near 1e-9 free.TwiceNll fit.TwiceNll
    near 1e-8 free.Point[0] fit.Point[0]

    let all = [ "mu", 1.0; "alpha[0]", 0.0; "alpha[1]", -1.0 ]
    let nothing = counting |> Fit.withOptions { options with Fixed = all }
    Assert.Equal<float[]>([| 1.0; 0.0; -1.0 |], nothing.Point)
    Assert.Equal(FitStatus.Converged, nothing.Status)
    Assert.Equal(0.0, nothing.GradientNorm)

[<Fact>]
let ``Mistakes in options are raised together`` () =
    let options = { FitOptions.Default with Fixed = [ "beta", 0.0; "mu", nan ] }

    let message =
        Assert
            .Throws<FunLikException>(fun () -> counting |> Fit.withOptions options |> ignore)
            .Message

    Assert.Contains("'beta'", message)
    Assert.Contains("'mu'", message)

    let none = { FitOptions.Default with Starts = Some 0 }

    Assert.Throws<FunLikException>(fun () -> counting |> Fit.withOptions none |> ignore)
    |> ignore

[<Fact>]
let ``A bound that is pressed against is said to be active`` () =
    let bounded = { poi "mu" with Bounds = struct (0.0, 5.0) }

    let fit =
        model [| bounded; nuisance "a" |] (fun x ->
            Expr.power 2 (Expr.item 0 x + 1.0) + Expr.power 2 (Expr.item 1 x - 2.0))
        |> Fit.minimise

    Assert.Equal<float[]>([| 0.0; 2.0 |], fit.Point |> Array.map (fun v -> Math.Round(v, 9)))

    Assert.Equal<ParameterBound list>(
        [ { Parameter = "mu"; Side = BoundSide.Lower; Value = 0.0 } ],
        fit.ActiveBounds
    )

    Assert.True(fit.GradientNorm < 1e-8)

[<Fact>]
let ``The covariance is the inverse Hessian over what is free`` () =
    let a, b, rho = 2.0, 0.5, 0.6

    let func (x: Expr) : Expr =
        let u, v = Expr.item 0 x / a, Expr.item 1 x / b
        let w = Expr.item 2 x
        (u * u - 2.0 * rho * u * v + v * v) / (2.0 * (1.0 - rho * rho)) + w

    let low = { nuisance "w" with Bounds = struct (1.0, 2.0) }

    let fit =
        model [| nuisance "u"; nuisance "v"; low |] func
        |> Fit.withOptions { FitOptions.Default with Covariance = true }

    let expected =
        [|
            [| a * a; rho * a * b; 0.0 |]
            [| rho * a * b; b * b; 0.0 |]
            [| 0.0; 0.0; 0.0 |]
        |]

    match fit.Covariance with
    | None -> Assert.Fail "no covariance"
    | Some covariance -> Array.iter2 (near 1e-9) (Array.concat expected) (Array.concat covariance)

    Assert.True((counting |> Fit.minimise).Covariance.IsNone)

[<Fact>]
let ``The EDM is half of gᵀ H⁻¹ g of twiceNll`` () =
    // One Newton step from the minimum of a parabola: the EDM is the whole distance.
    let objective =
        model [| nuisance "x" |] (fun x -> 3.0 * Expr.power 2 (Expr.item 0 x - 1.0))
        |> Objective.ofLikelihood

    let polished =
        Newton.polish
            { NewtonOptions.Default with MaxIterations = 0 }
            objective
            (Hessian.prepare objective [| 1.0 |])
            [| 1.0 |]
            [| nan |]
            [| [| 1.5 |], [| -infinity |], [| infinity |] |]
            RunOptions.Single

    near 1e-12 (2.0 * 3.0 * 0.25) polished[0].Edm
    Assert.Equal(FitStatus.MaxIterations, polished[0].Status)

[<Fact>]
let ``A minimum in a kink is one, and says so`` () =
    let property (NormalFloat slope) (NormalFloat pull) : bool =
        // |x| has its minimum in the kink while the rest pulls less than 1.
        let slope, pull = abs (slope % 2.0), pull % 3.0
        let at = 0.25

        let func (x: Expr) : Expr =
            let k, y = Expr.item 0 x - at, Expr.item 1 x
            let above = Expr.select (Expr.less k (Expr.scalar 0.0)) (-k) k
            (1.0 + slope) * above + 0.5 * k * k - pull * k + Expr.power 2 (y - k - 1.0)

        let fit = model [| kinked "k" at; nuisance "y" |] func |> Fit.minimise
        let size = abs pull - (1.0 + slope)
        let k = if size > 0.0 then at + size * float (sign pull) else at

        fit.Status.IsConverged
        && abs (fit.Point[0] - k) < 1e-6
        && abs (fit.Point[1] - (1.0 + k - at)) < 1e-6
        && (size > -1e-9 || (fit.Kinks = [ "k" ] && fit.Point[0] = at))
        && (size < 1e-9 || fit.Kinks.IsEmpty)
        && fit.GradientNorm < 1e-6

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 25, property)

[<Fact>]
let ``Several kinks are left on the right sides, from all patterns of signs`` () =
    let pulls = [| 3.0; -0.5; -2.0; 0.25; 1.5 |]
    let parameters = Array.init 5 (fun i -> kinked $"k{i}" 0.0)

    let func (x: Expr) : Expr =
        Expr.sum (abs x) + 0.5 * Expr.dot x x - Expr.dot (Expr.vector pulls) x

    let fit = model parameters func |> Fit.minimise
    let expected = pulls |> Array.map (fun p -> float (sign p) * max 0.0 (abs p - 1.0))
    Array.iter2 (near 1e-8) expected fit.Point
    Assert.Equal<string list>([ "k1"; "k3" ], fit.Kinks)
    Assert.Equal(16, fit.Minima |> List.sumBy _.Starts)

[<Fact>]
let ``Different minima are listed with the number of starts that reached them`` () =
    // Two wells in k, one on each side of the kink, 0.2 apart in twiceNll.
    let func (x: Expr) : Expr =
        let k = Expr.item 0 x
        Expr.power 2 (abs k - 1.0) - 0.05 * k

    let fit = model [| kinked "k" 0.0 |] func |> Fit.minimise
    Assert.Equal(2, fit.Minima.Length)
    Assert.Equal<int list>([ 1; 1 ], fit.Minima |> List.map _.Starts)
    near 1e-9 0.2 (fit.Minima[1].TwiceNll - fit.Minima[0].TwiceNll)
    Assert.Equal(fit.TwiceNll, fit.Minima[0].TwiceNll)
    near 1e-9 1.025 fit.Point[0]

[<Fact>]
let ``Several parameters of interest are started all over their ranges`` () =
    let range = { poi "a" with Range = struct (-4.0, 4.0) }

    // Minima near all odd numbers below 4, the lowest near (3, -3).
    let func (x: Expr) : Expr =
        let wells = Expr.sum (cos (Math.PI * x))

        wells
        + 0.05 * (Expr.power 2 (Expr.item 0 x - 3.0) + Expr.power 2 (Expr.item 1 x + 3.0))

    let fit = model [| range; { range with Name = "b" } |] func |> Fit.minimise
    near 1e-6 3.0 fit.Point[0]
    near 1e-6 -3.0 fit.Point[1]
    // In rounds of 32, 32, 64 … until they are enough for the minima found.
    let starts = fit.Minima |> List.sumBy _.Starts
    Assert.True(fit.Minima.Length > 4)
    Assert.Contains(starts, [ 32; 64; 128; 256; Starts.most ])
    Assert.True(Starts.areEnough starts (fit.Minima |> List.distinctBy _.TwiceNll |> _.Length))

[<Fact>]
let ``A fit leaves a saddle`` () =
    let func (x: Expr) : Expr =
        let a, b = Expr.item 0 x, Expr.item 1 x
        0.25 * Expr.power 4 a - 0.5 * a * a + 0.5 * b * b

    let fit = model [| nuisance "a"; nuisance "b" |] func |> Fit.minimise
    near 1e-9 -0.5 fit.TwiceNll
    near 1e-9 1.0 (abs fit.Point[0])

[<Fact>]
let ``A user's function is fitted with and without a gradient`` () =
    let parameters =
        [| { poi "a" with Bounds = struct (0.1, 10.0); Nominal = 5.0 }; nuisance "b" |]

    let value (x: float[]) : float = log x[0] - x[0] - 0.5 * (x[1] - x[0]) * (x[1] - x[0])

    let gradient (x: float[]) : float[] = [| 1.0 / x[0] - 1.0 + (x[1] - x[0]); x[0] - x[1] |]

    for given, accuracy in [ Some gradient, 1e-8; None, 1e-5 ] do
        let mutable outside = 0

        let watched (x: float[]) : float =
            if x[0] < 0.1 || x[0] > 10.0 then
                outside <- outside + 1

            value x

        let fit =
            Objective.ofFunction parameters watched given
            |> Fit.objective FitOptions.Default

        Assert.Equal(FitStatus.Converged, fit.Status)
        near accuracy 1.0 fit.Point[0]
        near accuracy 1.0 fit.Point[1]
        near 1e-9 2.0 fit.TwiceNll
        Assert.Equal(0, outside)

[<Fact>]
let ``Where there is no density at any start, no minimum is made up`` () =
    let fit =
        Objective.ofFunction [| nuisance "a" |] (fun _ -> -infinity) None
        |> Fit.objective FitOptions.Default

    Assert.Equal(FitStatus.NotFinite, fit.Status)
    Assert.Equal(infinity, fit.TwiceNll)
    Assert.Empty fit.Minima

[<Fact>]
let ``A function that cannot be followed ends without progress`` () =
    // A kink that nobody was told of.
    let fit =
        Objective.ofFunction
            [| nuisance "a" |]
            (fun x -> -(abs (x[0] - 0.3)))
            (Some(fun x -> [| (if x[0] < 0.3 then 1.0 else -1.0) |]))
        |> Fit.objective FitOptions.Default

    near 1e-3 0.3 fit.Point[0]
    Assert.Equal(FitStatus.NoProgress, fit.Status)
    Assert.True(fit.GradientNorm > 0.1)

let private search () : Likelihood =
    Support.sharedFile "data/lhc-toy.json"
    |> Json.parseFile
    |> Result.bind SearchData.ofJson
    |> Error.orRaise
    |> Search.likelihood

[<SharedFact("data/lhc-toy.json")>]
let ``The search has its mode where reference/LHC-TOY.md says`` () =
    let fit = search () |> Fit.minimise
    near 1e-7 -285.7783299368 fit.LogDensity
    near 1e-6 -0.01317432 fit.Point[0]

    Array.iter2 (near 1e-6) [| -0.09649988; -0.12674568; 0.14370412; 0.06183212 |] fit.Point[91..]

    Assert.Equal(FitStatus.Converged, fit.Status)
    Assert.Equal(16, fit.Minima |> List.sumBy _.Starts)
    Assert.Empty fit.Kinks
    Assert.Empty fit.ActiveBounds
