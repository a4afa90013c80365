module FunLik.Tests.WarmupTests

open System
open FunLik
open FunLik.Tests.SamplingTargets
open MathNet.Numerics.Distributions
open Xunit

let private warmUp (dense: bool) (target: Target) : Warmup * HamiltonianSettings =
    let objective = target.Objective
    let centre = Array.create target.Dimension 0.35
    let struct (metric, _) = Metric.ofCurvature RunOptions.Single objective dense centre

    let settings =
        { Warmup.settings target.Dimension with IsDense = dense; Metric = metric }

    let struct (last, _) =
        Chains.around 64 (Array.create target.Dimension 0.01) centre (Key.ofSeed 50)
        |> Chains.start RunOptions.Single objective
        |> Warmup.init settings
        |> Warmup.run RunOptions.AllCores objective settings (Key.ofSeed 51)
        |> Seq.last

    last, Warmup.found settings last

[<Fact>]
let ``the curvature of a normal density is its covariance`` () =
    let at (dense: bool) (target: Target) : float[] =
        let struct (metric, calls) =
            Metric.ofCurvature
                RunOptions.Single
                target.Objective
                dense
                (Array.create target.Dimension 0.1)

        Assert.Equal(8L * int64 target.Dimension, calls.Total)
        Metric.covariance metric

    let relative (x: float) (y: float) = Assert.Equal(1.0, x / y, 6)
    Array.iter2 relative (Metric.covariance correlated.Metric) (at true correlated)
    // The diagonal one has the variances given all other parameters.
    let variances = at false wide
    relative (1e-6 / 1.64) variances[0]
    relative 4e6 variances[15]

[<Theory; InlineData true; InlineData false>]
let ``the warm-up finds scales, correlations and a step size`` (dense: bool) =
    let state, found = warmUp dense wide
    Assert.Equal(dense, found.Metric.IsDense)
    let sampler = Hamiltonian.sampler RunOptions.Single wide.Objective found
    let run = take 200 sampler (Key.ofSeed 52) state.Chains

    let acceptance =
        run |> Array.averageBy (fun (struct (_, info)) -> info.MeanAcceptance)

    // The limits are wide of what was seen, 0.77 to 0.83: no limit of a distribution.
    Assert.InRange(acceptance, 0.7, 0.9)
    let covariance = Metric.covariance found.Metric
    let exact = [| 1.0; 1.64; 2.0496; 2.311744 |]
    let scales = [| 1e-3; 1.0; 50.0; 2e3 |]

    for i in 0..3 do
        Assert.InRange(covariance[5 * i] / (exact[i] * scales[i] ** 2.0), 0.7, 1.4)

[<Fact>]
let ``a warm-up is replayed by its key and taken up from any state`` () =
    let settings = { Warmup.settings 2 with Steps = 60 }
    let run = Warmup.run RunOptions.AllCores skewed.Objective settings (Key.ofSeed 61)

    let all =
        exact 40 skewed (Key.ofSeed 60) |> Warmup.init settings |> run |> Array.ofSeq

    let struct (middle, _) = all[24]
    Assert.Equal(60, all.Length)
    Assert.Equal<struct (Warmup * StepInfo)[]>(all[25..], run middle |> Array.ofSeq)

let private sampleSkewed (goal: SamplingGoal) : SamplingRun[] =
    let sampler =
        Hamiltonian.settings 0.6 skewed.Metric
        |> Hamiltonian.sampler RunOptions.Single skewed.Objective

    exact 8 skewed (Key.ofSeed 70)
    |> Sampling.init [| "u"; "y" |]
    |> Sampling.until goal sampler (Key.ofSeed 71)
    |> Array.ofSeq

[<Fact>]
let ``a run ends when its goal is reached`` () =
    let last = sampleSkewed (SamplingGoal.Draws 120) |> Array.last
    Assert.Equal(SamplingStatus.Reached, last.Status)
    Assert.Equal(960, last.Draws)
    let reached = sampleSkewed (SamplingGoal.Ess(2000.0, 1.02, 5000)) |> Array.last
    Assert.Equal(SamplingStatus.Reached, reached.Status)
    Assert.True(Sampling.diagnose reached |> Array.forall (fun d -> d.Ess >= 2000.0))
    Assert.True(reached.Draws < 8000)
    let never = sampleSkewed (SamplingGoal.Ess(1e9, 1.02, 90)) |> Array.last
    Assert.Equal(SamplingStatus.NotConverged, never.Status)
    Assert.Equal(90, never.PerChain)

[<Fact>]
let ``a run that is interrupted and resumed is the same run`` () =
    let goal = SamplingGoal.Ess(2000.0, 1.02, 5000)
    let whole = sampleSkewed goal

    let sampler =
        Hamiltonian.settings 0.6 skewed.Metric
        |> Hamiltonian.sampler RunOptions.Single skewed.Objective

    let resumed = Sampling.until goal sampler (Key.ofSeed 71) whole[0] |> Array.ofSeq
    Assert.Equal<SamplingRun[]>(whole[1..], resumed)

[<Fact>]
let ``a run of means and widths agrees with the truth within its stated errors`` () =
    let state, found = warmUp true truncated
    let sampler = Hamiltonian.sampler RunOptions.AllCores truncated.Objective found

    let run =
        Sampling.init [| "x"; "y" |] state.Chains
        |> Sampling.until (SamplingGoal.Draws 1000) sampler (Key.ofSeed 81)
        |> Seq.last

    let moments (low: float) (high: float) : struct (float * float) =
        let density x = if Double.IsFinite x then Normal.PDF(0.0, 1.0, x) else 0.0
        let share = Normal.CDF(0.0, 1.0, high) - Normal.CDF(0.0, 1.0, low)
        let mean = (density low - density high) / share
        let edge x = if Double.IsFinite x then x * density x else 0.0
        struct (mean, sqrt (1.0 + (edge low - edge high) / share - mean * mean))

    let exact = [| moments 0.3 infinity; moments -1.0 0.5 |]

    for d, struct (mean, deviation) in Array.zip (Sampling.diagnose run) exact do
        Assert.True(abs (d.Mean - mean) < normalLimit * d.MeanError)

        Assert.True(abs (d.StandardDeviation - deviation) < normalLimit * d.StandardDeviationError)

        Assert.InRange(d.RHat, 0.99, 1.01)

    Assert.True(run.Bounces > 0)
    Assert.Equal(0, run.Divergences)

[<Fact>]
let ``a warm-up frees chains that start where the density is steep`` () =
    // A normal density but for a wall of the form log x, as a count that is expected near zero has.
    let steep =
        objective 2 (fun x g ->
            if x[0] <= 0.0 then
                -infinity
            else
                g[0] <- 2.0 / x[0] - (x[0] - 6.0)
                g[1] <- -x[1]
                2.0 * log x[0] - 0.5 * (x[0] - 6.0) ** 2.0 - 0.5 * x[1] * x[1])

    let settings = Warmup.settings 2
    let starts = Array.init 64 (fun k -> if k % 2 = 0 then 0.01 else 0.0)

    let struct (last, _) =
        Chains.start RunOptions.Single steep starts
        |> Warmup.init settings
        |> Warmup.run RunOptions.Single steep settings (Key.ofSeed 91)
        |> Seq.last

    for c in 0..31 do
        Assert.True((Chains.point c last.Chains)[0] > 1.0)

[<Fact>]
let ``chains in a flat box turn back at its sides and cover it`` () =
    let box =
        objective 3 (fun x _ ->
            if x |> Array.forall (fun v -> v > 0.0 && v < 1.0) then
                0.0
            else
                -infinity)

    let settings = Warmup.settings 3

    let struct (last, _) =
        Chains.start RunOptions.Single box (Key.uniforms 192 (Key.ofSeed 92))
        |> Warmup.init settings
        |> Warmup.run RunOptions.Single box settings (Key.ofSeed 93)
        |> Seq.last

    let sampler =
        Warmup.found settings last |> Hamiltonian.sampler RunOptions.Single box

    let run =
        Sampling.init [| "x"; "y"; "z" |] last.Chains
        |> Sampling.until (SamplingGoal.Draws 400) sampler (Key.ofSeed 94)
        |> Seq.last

    for d in Sampling.diagnose run do
        Assert.True(abs (d.Mean - 0.5) < normalLimit * d.MeanError)

        Assert.True(
            abs (d.StandardDeviation - sqrt (1.0 / 12.0)) < normalLimit * d.StandardDeviationError
        )

        Assert.True(d.Ess > 2000.0)

    Assert.Equal(1.0, run.Acceptance)

[<Fact>]
let ``starts around a centre are inside of the support`` () =
    let struct (chains, calls) =
        Chains.startAround
            RunOptions.Single
            truncated.Objective
            200
            [| 5.0; 5.0 |]
            [| 0.31; 0.4 |]
            (Key.ofSeed 95)

    let outermost = chains.Points |> Array.map abs |> Array.max
    Assert.All(chains.LogDensity, fun y -> Assert.True(Double.IsFinite y))
    Assert.InRange(outermost, 1.0, 25.0)
    Assert.True(calls.Values > 600L && calls.Values = calls.Gradients)
