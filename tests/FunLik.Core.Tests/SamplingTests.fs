module FunLik.Tests.SamplingTests

open System
open FunLik
open FunLik.Tests.SamplingTargets
open Xunit

// Statistical tests have fixed keys. Each limit that a correct sampler would pass is exceeded with
// a probability under 2e-4 for a random key; the laws below look at some 100 of them.

/// Every kernel, by name, for a density.
let private kernels: (string * (Target -> RunOptions -> Sampler)) list =
    let hamiltonian (stepSize: float) (metric: Target -> Metric) (target: Target) options =
        Hamiltonian.settings stepSize (metric target)
        |> Hamiltonian.sampler options target.Objective

    let diagonal (target: Target) : Metric =
        let covariance = Metric.covariance target.Metric
        let n = target.Dimension
        Metric.ofVariances (Array.init n (fun i -> covariance[i * n + i]))

    let long (target: Target) options =
        { Hamiltonian.settings 0.4 target.Metric with Jitter = 0.0; Trajectory = 3.0 }
        |> Hamiltonian.sampler options target.Objective

    [
        "hmc", hamiltonian 0.9 _.Metric
        "hmc, diagonal", hamiltonian 0.1 diagonal
        "hmc, one step", hamiltonian 1.6 _.Metric
        "hmc, long", long
    ]

let cases: seq<obj[]> =
    Seq.allPairs kernels targets
    |> Seq.map (fun ((kernel, _), target) -> [| kernel; target.Name |])

let private find (kernel: string) (name: string) : Target * (RunOptions -> Sampler) =
    let target = targets |> List.find (fun t -> t.Name = name)
    target, (kernels |> List.find (fst >> (=) kernel) |> snd) target

[<Theory; MemberData(nameof cases)>]
let ``a kernel leaves its density as it is`` (kernel: string) (name: string) =
    let target, sampler = find kernel name
    let key = Key.ofSeed 711 |> Key.foldName (kernel + name)
    let count = 6000
    let start = exact count target (Key.fold 0 key)
    let run = take 8 (sampler RunOptions.AllCores) (Key.fold 1 key) start
    let struct (last, _) = Array.last run
    let parts = Array.init count (fun c -> target.Parts(Chains.point c last))

    let uniform =
        target.Cdfs |> Array.mapi (fun i cdf -> parts |> Array.map (fun p -> cdf p[i]))

    for u in uniform do
        Assert.True(kolmogorov id u < kolmogorovLimit)

    // Means, second moments and products of independent numbers uniform on (0, 1).
    let centred = uniform |> Array.map (Array.map (fun u -> sqrt 12.0 * (u - 0.5)))
    let root = sqrt (float count)

    for i in 0 .. target.Dimension - 1 do
        Assert.True(abs (Array.average centred[i] * root) < normalLimit)
        let second = centred[i] |> Array.averageBy (fun x -> x * x)
        Assert.True(abs ((second - 1.0) * root / sqrt 0.8) < normalLimit)

        for j in 0 .. i - 1 do
            let product = Array.map2 (*) centred[i] centred[j] |> Array.average
            Assert.True(abs (product * root) < normalLimit)

    // Chains move, and some proposals are refused: else the test would say nothing.
    let acceptance =
        run |> Array.averageBy (fun (struct (_, info)) -> info.MeanAcceptance)

    Assert.InRange(acceptance, 0.2, 0.9999)

[<Theory; MemberData(nameof cases)>]
let ``a key replays a run on any number of threads, and from any of its states``
    (kernel: string)
    (name: string)
    =
    let target, sampler = find kernel name
    let start = exact 100 target (Key.ofSeed 3)
    let key = Key.ofSeed 4
    let run (threads: int) = sampler { RunOptions.Single with Threads = threads }
    let once = take 6 (run 1) key start

    for threads in [ 1; 2; 7 ] do
        Assert.Equal<struct (Chains * StepInfo)[]>(once, take 6 (run threads) key start)

    let struct (middle, _) = once[2]
    Assert.Equal<struct (Chains * StepInfo)[]>(once[3..], take 3 (run 1) key middle)
    Assert.NotEqual<struct (Chains * StepInfo)[]>(once, take 6 (run 1) (Key.ofSeed 5) start)

[<Theory; MemberData(nameof cases)>]
let ``states carry the exact log density and gradient, and every call is counted``
    (kernel: string)
    (name: string)
    =
    let target, sampler = find kernel name
    let mutable rowsAsked = 0L

    let counted =
        { new Objective(target.Objective.Parameters) with
            member _.HasGradient = true
            member _.Expression = None

            member _.Evaluate(rows, points, values, gradients, options) =
                rowsAsked <- rowsAsked + int64 rows
                target.Objective.Evaluate(rows, points, values, gradients, options)
        }

    let start = exact 50 target (Key.ofSeed 8)
    let run = take 5 (sampler RunOptions.Single) (Key.ofSeed 9) start
    let struct (last, _) = Array.last run

    let struct (values, gradients) =
        target.Objective.ValuesAndGradients(last.Points, RunOptions.Single)

    Assert.Equal<float[]>(values, last.LogDensity)
    Assert.Equal<float[]>(gradients, last.Gradient)

    let again =
        (kernels |> List.find (fst >> (=) kernel) |> snd)
            { target with Objective = counted }
            RunOptions.Single

    let calls =
        take 5 again (Key.ofSeed 9) start
        |> Array.fold (fun total (struct (_, info: StepInfo)) -> total + info.Calls) ExactCalls.Zero

    Assert.Equal({ Values = rowsAsked; Gradients = rowsAsked }, calls)
    Assert.Equal(2L * rowsAsked, calls.Total)

[<Fact>]
let ``divergences are flagged and refused`` () =
    let steep =
        objective 1 (fun x g ->
            g[0] <- -4e6 * x[0] ** 3.0
            -1e6 * x[0] ** 4.0)

    let broken =
        objective 1 (fun x g ->
            g[0] <- -x[0]
            if x[0] > 0.5 then nan else -0.5 * x[0] ** 2.0)

    for density in [ steep; broken ] do
        let start = Chains.start RunOptions.Single density (Array.create 64 0.01)
        let settings = Hamiltonian.settings 1.0 (Metric.unit 1)
        let sampler = Hamiltonian.sampler RunOptions.Single density settings
        let struct (after, info) = sampler.Step (Key.ofSeed 1) start
        Assert.True(info.Divergences > 10)
        Assert.True(after.LogDensity |> Array.forall Double.IsFinite)

        for c in 0..63 do
            if info.Divergent[c] then
                Assert.False info.Accepted[c]
                Assert.Equal(0.01, after.Points[c])

[<Fact>]
let ``chains do not start outside of the support, and settings make sense`` () =
    let raises (action: unit -> 'T) : Error list =
        let thrown = Assert.Throws<FunLikException>(fun () -> action () |> ignore)
        thrown.Errors

    let start (points: float[]) =
        raises (fun () -> Chains.start RunOptions.Single truncated.Objective points)

    Assert.Equal(1, (start [| 1.0; 0.0; 0.0; 0.0 |]).Length)
    Assert.Contains("chain 1", string (start [| 1.0; 0.0; 0.0; 0.0 |]).Head)
    Assert.Contains("'x1'", string (start [| 1.0; nan |]).Head)
    Assert.Contains("multiple of 2", string (start [| 1.0 |]).Head)

    let spoiled =
        {
            StepSize = 0.0
            Metric = Metric.Diagonal [| 1.0; -1.0; 1.0 |]
            Trajectory = nan
            Jitter = 1.0
            MaxSteps = 0
        }

    let errors =
        raises (fun () -> Hamiltonian.sampler RunOptions.Single truncated.Objective spoiled)

    Assert.Equal(6, errors.Length)
