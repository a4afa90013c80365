module FunLik.Tests.FitLawTests

open System
open FsCheck
open FsCheck.FSharp
open MathNet.Numerics.LinearAlgebra
open Xunit
open FunLik

let private near (tolerance: float) (expected: float) (found: float) : unit =
    Assert.True(abs (found - expected) <= tolerance, $"{found}, not {expected} within {tolerance}")

let private laws (count: int) : Config = Config.QuickThrowOnFailure.WithMaxTest count

/// Seeds: all randomness of a case follows from one.
let private holdsFor (count: int) (law: Key -> unit) : unit =
    Check.One(laws count, (fun (NonNegativeInt seed) -> law (Key.ofSeed seed)))

// ---- A linear model with normal errors: everything has a closed form.

/// y = A x + noise of widths σ; the first parameter is of interest, the others have measurements 0 ± 1.
type private Linear =
    {
        A: float[][]
        Y: float[]
        Sigma: float[]
    }

    member this.Count: int = this.A[0].Length

let private linear (key: Key) : Linear =
    let n = 2 + int (3.0 * (Key.uniforms 1 (Key.fold 0 key))[0])
    let m = n + 1
    let normal = Key.normals (m * n + m) (Key.fold 1 key)

    {
        A = Array.init m (fun i -> Array.sub normal (i * n) n)
        Y = Array.init m (fun i -> 3.0 * normal[m * n + i])
        Sigma = Key.uniforms m (Key.fold 2 key) |> Array.map (fun u -> 0.5 + u)
    }

let private nameOf (i: int) : string = $"x{i}"

/// The model with its parameters and its terms in the orders given.
let private modelOf (parameters: int[]) (terms: int[]) (case: Linear) : Likelihood =
    let kind (i: int) = if i = 0 then ParameterKind.Poi else ParameterKind.Nuisance

    let block (i: int) : ParameterBlock =
        ModelParameter.create (nameOf i) (kind i) 0.0 |> ParameterBlock.ofParameter

    let datum (i: int) : Term * float[] =
        {
            Name = $"y{i}"
            Distribution = Distribution.Normal(Expr.scalar case.Sigma[i])
            Shape = Scalar
            Expectation =
                parameters
                |> Array.map (fun j -> case.A[i][j] * ParameterBlock.leaf (block j))
                |> Array.reduce (+)
            IsConstraint = false
        },
        [| case.Y[i] |]

    let all =
        [
            for i in terms do
                datum i
            for j in parameters do
                if j > 0 then
                    block j |> Term.constrainedTo 0.0 1.0
        ]

    Likelihood.create
        "linear"
        (parameters |> Array.map block |> List.ofArray)
        (Density.Terms(all |> List.map fst))
        (all |> List.map (fun (t, data) -> t.Name, data) |> Map.ofList)
        []

let private inOrder (case: Linear) : Likelihood =
    modelOf [| 0 .. case.Count - 1 |] [| 0 .. case.Y.Length - 1 |] case

/// The Hessian of -log density, and the best point.
let private closedForm (case: Linear) : Matrix<float> * Vector<float> =
    let n = case.Count
    let a = CreateMatrix.DenseOfRowArrays case.A

    let w =
        CreateMatrix.DenseOfDiagonalArray(case.Sigma |> Array.map (fun s -> 1.0 / (s * s)))

    let prior =
        CreateMatrix.DenseOfDiagonalArray(Array.init n (fun i -> if i = 0 then 0.0 else 1.0))

    let hessian = a.TransposeThisAndMultiply(w * a) + prior
    hessian, hessian.Solve(a.TransposeThisAndMultiply(w * CreateVector.DenseOfArray case.Y))

let private withCovariance: FitOptions =
    { FitOptions.Default with Covariance = true }

[<Fact>]
let ``a normal likelihood gives the closed forms: best fit, covariance, profile, interval, impacts``
    ()
    =
    holdsFor 4 (fun key ->
        let case = linear key
        let model = inOrder case
        let hessian, best = closedForm case
        let covariance = hessian.Inverse()
        let fit = Fit.withOptions withCovariance model
        let scale = 1.0 + covariance.L2Norm() + best.L2Norm()
        let fits = near (1e-8 * scale)
        Array.iter2 fits (best.ToArray()) fit.Point

        Array.iter2
            fits
            (covariance.ToRowArrays() |> Array.concat)
            (Array.concat fit.Covariance.Value)

        let sigma = sqrt covariance[0, 0]
        let x = [| for t in [ -2.0; 0.5; 1.0 ] -> best[0] + t * sigma |]
        let scan = model |> Profile.scan "x0" x
        Array.iter2 (near 1e-8) [| 4.0; 0.25; 1.0 |] scan.TwiceDeltaNll

        match (model |> Interval.find "x0").Intervals.Head.Pieces with
        | [ piece ] ->
            near (1e-6 * sigma) (best[0] - sigma) piece.Low.Value
            near (1e-6 * sigma) (best[0] + sigma) piece.High.Value
        | several -> Assert.Fail $"{several.Length} pieces"

        let fitter = Objective.ofLikelihood model |> Fitter.ofObjective
        let profiled = fit |> ProfiledHessian.ofFit FitOptions.Default [ "x0" ] fitter
        near (1e-8 / covariance[0, 0]) (2.0 / covariance[0, 0]) profiled.Value[0]

        let keep = [ "x1"; "x0" ]
        let profiler = fitter |> Profiler.prepareAt ProfilerOptions.Default keep fit.Point
        let found = Profiler.evaluate profiler [| 1.0; -2.0; 0.0; 3.0 |] RunOptions.Single
        let kept = covariance.SubMatrix(0, 2, 0, 2).Inverse() * 2.0

        for hessian in Profile.hessians RunOptions.Single profiler found do
            Array.iter2
                (near (1e-8 * kept.L2Norm()))
                [| kept[1, 1]; kept[1, 0]; kept[0, 1]; kept[0, 0] |]
                hessian.Value

        // Holding a nuisance one post-fit σ up moves the poi by its covariance with it over that σ.
        for impact in (Impact.all FitOptions.Default None model).Impacts do
            let i = Array.IndexOf(Likelihood.names model, impact.Name)
            let width = sqrt covariance[i, i]
            fits width impact.PostFit.Value
            fits best[i] impact.Pull.Value
            fits (covariance[0, i] / width) impact.AfterData.Value.Up
            fits (-covariance[0, i] / width) impact.AfterData.Value.Down
            fits (covariance[0, i] / (width * width)) impact.BeforeData.Value.Up)

[<Fact>]
let ``results do not depend on the order of parameters and terms, to rounding`` () =
    holdsFor 5 (fun key ->
        let case = linear key

        let shuffled (count: int) (key: Key) : int[] =
            Array.zip (Key.uniforms count key) [| 0 .. count - 1 |]
            |> Array.sort
            |> Array.map snd

        let order = shuffled case.Count (Key.fold 8 key)
        let other = case |> modelOf order (shuffled case.Y.Length (Key.fold 9 key))
        let first = inOrder case |> Fit.withOptions withCovariance
        let second = other |> Fit.withOptions withCovariance
        let scale = 1.0 + (first.Covariance.Value |> Seq.concat |> Seq.map abs |> Seq.max)
        near (1e-12 * (1.0 + abs first.TwiceNll)) first.TwiceNll second.TwiceNll

        order
        |> Array.iteri (fun k i ->
            near (1e-9 * scale) first.Point[i] second.Point[k]
            near (1e-9 * scale) (first.Covariance.Value[i][i]) (second.Covariance.Value[k][k])))

// ---- Counts: no closed form, but laws.

/// n counts over (s μ + b) e^(κ α), α of standard normals.
let private counts (key: Key) : Likelihood =
    let n = 3
    let u = Key.uniforms 40 key
    let background = Array.init n (fun i -> 20.0 + 100.0 * u[i])
    let signal = Array.init n (fun i -> 1.0 + 20.0 * u[n + i])
    let kappa = Array.init (n * n) (fun i -> 0.3 * (u[2 * n + i] - 0.5))

    let observed =
        Array.init n (fun i -> Math.Round(background[i] * (0.8 + 0.5 * u[30 + i])))

    likelihood {
        let! mu = poi "mu" (flat -1.0 20.0)
        let! alpha = nuisances "alpha" n standardNormal
        let scale = exp (Expr.matVec (Expr.matrix n n kappa) alpha)
        do! poisson observed ((mu * Expr.vector signal + Expr.vector background) * scale)
    }

[<Fact>]
let ``a profile is nowhere above the maximum, and to fix more never raises the density`` () =
    holdsFor 10 (fun key ->
        let fitter = counts key |> Objective.ofLikelihood |> Fitter.ofObjective
        let values = Key.normals 4 (Key.fold 3 key)

        let chain =
            [
                "mu", abs values[0]
                "alpha[0]", values[1]
                "alpha[2]", values[2]
                "alpha[1]", values[3]
            ]

        let nested =
            [|
                for k in 0 .. chain.Length ->
                    let options = { FitOptions.Default with Fixed = List.truncate k chain }
                    Fitter.fit options fitter
            |]

        for fit in nested do
            Assert.Equal(FitStatus.Converged, fit.Status)

        for less, more in Array.pairwise nested do
            Assert.True(
                more.TwiceNll >= less.TwiceNll - 1e-10,
                $"{more.TwiceNll} < {less.TwiceNll}"
            )

        let scan =
            fitter |> Profile.scanFitter ScanOptions.Default "mu" [ -0.5 .. 0.5..3.0 ]

        for fit in scan.Fits do
            Assert.True(fit.TwiceNll >= nested[0].TwiceNll - 1e-10))

let private bits (fit: Fit) : int64[] =
    Array.append [| fit.TwiceNll; fit.Edm; fit.GradientNorm |] fit.Point
    |> Array.map BitConverter.DoubleToInt64Bits

[<Fact>]
let ``fits have the same bits alone and in any company, in any order, on any number of threads``
    ()
    =
    holdsFor 5 (fun key ->
        let fitter = counts key |> Objective.ofLikelihood |> Fitter.ofObjective
        let u = Key.uniforms 40 (Key.fold 4 key)

        let problems =
            Array.init 20 (fun k ->
                let options =
                    if k % 3 = 0 then
                        FitOptions.Default
                    else
                        { FitOptions.Default with
                            Fixed = [ "mu", 3.0 * u[k]; "alpha[1]", u[20 + k] ]
                        }

                Fitter.problem options fitter)

        let on (threads: int) (some: FitProblem[]) : int64[][] =
            let run = { RunOptions.Single with Threads = threads }

            some
            |> Fitter.fitAll { FitOptions.Default with Run = run } fitter
            |> Array.map bits

        let together = on 1 problems
        Assert.Equal<int64[][]>(together, on 2 problems)
        Assert.Equal<int64[][]>(together, on 7 (Array.rev problems) |> Array.rev)

        for k in [ 0; 7; 19 ] do
            Assert.Equal<int64[]>(together[k], (on 1 [| problems[k] |])[0]))

// ---- Profiled Hessians

[<Fact>]
let ``the Hessian of a profile is what its gradients differ by, with a nuisance at its bound too``
    ()
    =
    holdsFor 5 (fun key ->
        let model = counts key
        let fitter = model |> Objective.ofLikelihood |> Fitter.ofObjective
        let struct (lower, upper) = Fitter.fixing [] fitter
        // Holds alpha[2] at 0.2 or below.
        upper[3] <- 0.2
        lower[3] <- 0.1
        let own = { fitter with Lower = lower; Upper = upper }
        let at = [| 1.0; 0.3 |]

        let options (mu: float) (alpha: float) : FitOptions =
            { FitOptions.Default with Fixed = [ "mu", mu; "alpha[0]", alpha ] }

        let slopes (mu: float) (alpha: float) : float[] =
            let fit = Fitter.fit (options mu alpha) own
            let struct (_, g) = own.Objective.ValuesAndGradients(fit.Point, RunOptions.Single)
            [| -2.0 * g[0]; -2.0 * g[1] |]

        let fit = Fitter.fit (options at[0] at[1]) own

        let found =
            fit |> ProfiledHessian.ofFit (options at[0] at[1]) [ "mu"; "alpha[0]" ] own

        let h = 1e-4

        let differences =
            [|
                for i in 0..1 do
                    let step (sign: float) =
                        Array.mapi (fun j v -> if i = j then v + sign * h else v) at

                    let up, down = step 1.0, step -1.0

                    Array.map2
                        (fun a b -> (a - b) / (2.0 * h))
                        (slopes up[0] up[1])
                        (slopes down[0] down[1])
            |]
            |> Array.concat

        let scale = differences |> Seq.map abs |> Seq.max
        Array.iter2 (near (1e-5 * scale)) differences found.Value)

[<Fact>]
let ``where what is profiled away is flat there is no Hessian of the profile, and names must be known``
    ()
    =
    let model =
        likelihood {
            let! mu = poi "mu" unconstrained
            let! idle = nuisance "idle" unconstrained
            do! gaussian [| 1.0 |] [| 1.0 |] (Expr.concat [ mu + 0.0 * idle ])
        }

    let fitter = model |> Objective.ofLikelihood |> Fitter.ofObjective
    let fit = Fitter.fit FitOptions.Default fitter
    Assert.Equal(None, fit |> ProfiledHessian.ofFit FitOptions.Default [ "mu" ] fitter)
    let held = { FitOptions.Default with Fixed = [ "idle", 0.0 ] }
    near 1e-12 2.0 (fit |> ProfiledHessian.ofFit held [ "mu" ] fitter).Value[0]

    let unknown () = fit |> ProfiledHessian.ofFit held [ "nu" ] fitter |> ignore
    Assert.Contains("'nu'", Assert.Throws<FunLikException>(unknown).Message)

// ---- Flat directions

/// The signal is fitted to 0, so that its shape `kappa` is not determined; `a` and `b` are only by their sum.
let private flatModel: Likelihood =
    likelihood {
        let! mu = poi "mu" unconstrained
        let! kappa = nuisance "kappa" unconstrained
        let! a = nuisance "a" unconstrained
        let! b = nuisance "b" unconstrained
        let! c = nuisance "c" standardNormal
        let signal = mu * (Expr.vector [| 1.0; 1.0 |] + kappa * Expr.vector [| 0.0; 0.3 |])
        do! gaussian [| 0.0; 0.0 |] [| 2.0; 1.0 |] (signal + c)
        do! gaussian [| 3.0 |] [| 0.5 |] (Expr.concat [ a + b ])
    }

[<Fact>]
let ``along flat directions nothing has a standard deviation, and all else keeps its own`` () =
    let fit = flatModel |> Fit.withOptions withCovariance
    Assert.Equal(FitStatus.Converged, fit.Status)
    Assert.Equal<string list>([ "kappa"; "a"; "b" ], fit.Undetermined)
    let covariance (i: int) (j: int) : float = fit.Covariance.Value[i][j]

    // μ and c with κ where it is: the inverse Hessian of (μ + c)²/4 + (wμ + c)² + c², halved.
    let w = 1.0 + 0.3 * fit.Point[1]
    let h00, h01, h11 = 0.25 + w * w, 0.25 + w, 0.25 + 1.0 + 1.0
    let determinant = h00 * h11 - h01 * h01
    near 1e-9 (h11 / determinant) (covariance 0 0)
    near 1e-9 (h00 / determinant) (covariance 4 4)
    near 1e-9 (-h01 / determinant) (covariance 0 4)

    for i in 1..3 do
        for j in 0..4 do
            Assert.True(Double.IsNaN(covariance i j) && Double.IsNaN(covariance j i))

    let report = Fitting.report { Held = Held.Nothing; Poi = None; Starts = None } fit
    Assert.Contains("kappa, a, b", Assert.Single report.Notes)
    Assert.Contains("\"a\":null", (JsonValue.toLine report.Json).Replace(" ", ""))

    // Their sum is determined, and so is one of them where the other is fixed.
    let held = { withCovariance with Fixed = [ "b", 1.0 ] }
    let less = flatModel |> Fit.withOptions held
    Assert.Equal<string list>([ "kappa" ], less.Undetermined)
    near 1e-9 0.25 (less.Covariance.Value[2][2])

[<Fact>]
let ``an interval over what is flat is open, and says how far it was looked at`` () =
    let found = flatModel |> Interval.find "a"
    Assert.Equal(2, found.Notes.Length / found.Intervals.Length)

    for interval in found.Intervals do
        let piece = Assert.Single interval.Pieces
        Assert.True(piece.Low.Kind.IsOpen && piece.High.Kind.IsOpen)
        Assert.InRange(piece.High.Value, 5.0, 1e4)

    // What is determined is as ever.
    let determined =
        likelihood {
            let! x = poi "x" unconstrained
            let! idle = nuisance "idle" unconstrained
            do! gaussian [| 1.0 |] [| 0.5 |] (Expr.concat [ x + 0.0 * idle ])
        }

    let piece = Assert.Single (determined |> Interval.find "x").Intervals.Head.Pieces
    near 1e-6 0.5 piece.Low.Value
    near 1e-6 1.5 piece.High.Value

// ---- Starts

[<Fact>]
let ``starts are enough where the expected number of minima is nearest to what was found`` () =
    let expected (starts: int) (minima: int) : float =
        float (minima * (starts - 1)) / float (starts - minima - 2)

    for minima in 1..12 do
        for starts in minima + 3 .. 40 .. Starts.most - 1 do
            Assert.Equal(
                expected starts minima - float minima < 0.5,
                Starts.areEnough starts minima
            )

    Assert.False(Starts.areEnough 8 7)
    Assert.True(Starts.areEnough Starts.most 100)

[<Fact>]
let ``further starts of a sequence follow the first ones`` () =
    let parameters =
        Array.init 3 (fun i -> ModelParameter.create $"p{i}" ParameterKind.Poi 0.5)

    let isFree, centre = Array.create 3 true, Array.create 3 0.5
    let all = Starts.around parameters isFree centre 96
    Assert.Equal<float[][]>(all[32..], Starts.range parameters isFree centre 32 64)
