module FunLik.Tests.SamplingTests

open System
open FSharp.NativeInterop
open FunLik
open FunLik.Tests.SamplingTargets
open FunLik.Tests.SamplingKernels
open Xunit

#nowarn "9"

// Statistical tests have fixed keys. Each limit that a correct sampler would pass is exceeded with
// a probability under 2e-4 for a random key; the laws below look at some 500 of them.

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

    Assert.InRange(acceptance, 0.1, 0.9999)

[<Theory; MemberData(nameof cases)>]
let ``a key replays a run on any number of threads, and from any of its states``
    (kernel: string)
    (name: string)
    =
    let target, sampler = find kernel name
    let start = exact 96 target (Key.ofSeed 3)
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
    let mutable gradientsAsked = 0L

    let counted =
        { new Objective(target.Objective.Parameters) with
            member _.HasGradient = true
            member _.Expression = None

            member _.Evaluate(rows, points, values, gradients, options) =
                rowsAsked <- rowsAsked + int64 rows

                if not (NativePtr.isNullPtr gradients) then
                    gradientsAsked <- gradientsAsked + int64 rows

                target.Objective.Evaluate(rows, points, values, gradients, options)
        }

    let start = exact 48 target (Key.ofSeed 8)
    let run = take 5 (sampler RunOptions.Single) (Key.ofSeed 9) start
    let struct (last, _) = Array.last run

    let struct (values, gradients) =
        target.Objective.ValuesAndGradients(last.Points, RunOptions.Single)

    Assert.Equal<float[]>(values, last.LogDensity)

    if last.Gradient.Length > 0 then
        Assert.Equal<float[]>(gradients, last.Gradient)

    let again =
        (kernels |> List.find (fst >> (=) kernel) |> snd)
            { target with Objective = counted }
            RunOptions.Single

    let calls =
        take 5 again (Key.ofSeed 9) start
        |> Array.fold (fun total (struct (_, info: StepInfo)) -> total + info.Calls) ExactCalls.Zero

    Assert.Equal({ Values = rowsAsked; Gradients = gradientsAsked }, calls)
    Assert.Equal(rowsAsked + gradientsAsked, calls.Total)
    Assert.Equal(last.Gradient.Length > 0, gradientsAsked > 0L)

/// The kernels that treat a density and its affine image alike.
let equivariant: seq<obj[]> =
    [
        [| "stretch" |]
        [| "stretch, a = 1.3" |]
        [| "walk" |]
        [| "walk by 3" |]
        [| "differential evolution" |]
    ]

[<Theory; MemberData(nameof equivariant)>]
let ``an ensemble on an affine image of a density is the image of the ensemble`` (kernel: string) =
    let simple = targets |> List.find (fun t -> t.Name = "skewed")
    let image (x: float[]) : float[] = [| 30.0 * x[0] - 2.0 * x[1] + 7.0; 1e-3 * x[1] |]
    let back (y: float[]) : float[] = [| (y[0] - 7.0 + 2e3 * y[1]) / 30.0; 1e3 * y[1] |]

    let moved =
        { simple with
            Objective =
                objective 2 (fun y _ ->
                    let point = back y
                    (simple.Objective.Values(point, RunOptions.Single))[0])
        }

    let sampler = kernels |> List.find (fst >> (=) kernel) |> snd
    let start = exact 48 simple (Key.ofSeed 31)

    let startOfImage =
        { start with
            Points = start.Points |> Array.chunkBySize 2 |> Array.collect image
        }

    let key = Key.ofSeed 32
    let run = take 12 (sampler simple RunOptions.Single) key start |> Array.last

    let runOfImage =
        take 12 (sampler moved RunOptions.Single) key startOfImage |> Array.last

    let struct (last, _), struct (lastOfImage, _) = run, runOfImage
    let mapped = last.Points |> Array.chunkBySize 2 |> Array.collect image
    Assert.NotEqual<float[]>(start.Points, last.Points)

    // Rounding grows from step to step.
    Assert.True(
        Array.forall2 (fun a b -> abs (a - b) < 1e-7 * (1.0 + abs a)) mapped lastOfImage.Points
    )

[<Fact>]
let ``a density without bounds has the slopes that differences have, and knows its edges`` () =
    let edges =
        [|
            struct (-1.0, 2.0)
            struct (0.5, infinity)
            struct (-infinity, 3.0)
            struct (-infinity, infinity)
        |]

    let bounded =
        objective 4 (fun x g ->
            x |> Array.iteri (fun i v -> g[i] <- -v + 0.3 * cos v)
            x |> Array.sumBy (fun v -> -0.5 * v * v + 0.3 * sin v))

    let map = Unbounded.objective edges bounded
    let value (u: float[]) = (map.Objective.Values(u, RunOptions.Single))[0]

    for seed in 1..20 do
        let u = Key.normals 4 (Key.ofSeed seed) |> Array.map ((*) 2.0)
        let x = Unbounded.toBounded map u

        Assert.True(Array.forall2 (fun v (struct (low, high)) -> v > low && v < high) x edges)

        Assert.True(largestDifference (Unbounded.ofBounded map x) u < 1e-9)
        let struct (_, gradient) = map.Objective.ValuesAndGradients(u, RunOptions.Single)

        for i in 0..3 do
            let moved (step: float) =
                value (u |> Array.mapi (fun k v -> if k = i then v + step else v))

            let difference = (moved 1e-5 - moved -1e-5) / 2e-5
            Assert.True(abs (difference - gradient[i]) < 1e-7 * (1.0 + abs gradient[i]))

    // Far out nothing overflows but the density itself.
    for far in [ -800.0; 800.0 ] do
        let x = Unbounded.toBounded map [| far; 0.0; 0.0; 0.0 |]
        Assert.InRange(x[0], -1.0, 2.0)
        Assert.True(Double.IsFinite(value [| far; 0.0; 0.0; 0.0 |]))

    let wrong =
        Assert.Throws<FunLikException>(fun () ->
            Unbounded.objective [| struct (1.0, 1.0); struct (0.0, 1.0) |] truncated.Objective
            |> ignore)

    Assert.Equal(1, wrong.Errors.Length)

[<Fact>]
let ``no kernel takes settings that make no sense`` () =
    let target = targets.Head

    let errors (make: unit -> Sampler) : Error list =
        Assert.Throws<FunLikException>(fun () -> make () |> ignore).Errors

    let ensemble (settings: EnsembleSettings) =
        errors (fun () -> Ensemble.sampler RunOptions.Single target.Objective settings)

    let metropolis (proposal: Proposal) =
        errors (fun () -> Metropolis.sampler RunOptions.Single target.Objective proposal)

    Assert.Equal(1, (ensemble { Walkers = 13; Moves = [ Ensemble.stretch, 1.0 ] }).Length)
    Assert.Equal(1, (ensemble { Walkers = 4; Moves = [ Ensemble.stretch, 1.0 ] }).Length)
    Assert.Equal(1, (ensemble { Walkers = 12; Moves = [] }).Length)
    Assert.Equal(1, (ensemble { Walkers = 12; Moves = [ Ensemble.stretch, -1.0 ] }).Length)

    Assert.Equal(
        4,
        (ensemble
            {
                Walkers = 12
                Moves =
                    [
                        EnsembleMove.Stretch 1.0, 1.0
                        EnsembleMove.Walk 7, 1.0
                        EnsembleMove.Difference(0.0, 0.0), 1.0
                        EnsembleMove.Snooker(2.0, 1.0), 1.0
                    ]
            })
            .Length
    )

    Assert.Equal(2, (metropolis (Proposal.RandomWalk(0.0, Metric.unit 2))).Length)

    Assert.Equal(
        3,
        (metropolis (Proposal.Independence([| nan |], Metric.Diagonal [| 1.0; 0.0; 1.0 |], 0.0)))
            .Length
    )

    let slice =
        errors (fun () ->
            Slice.sampler
                RunOptions.Single
                target.Objective
                { Metric = Metric.unit 2; Width = nan; MostWidths = 0; Directions = 0 })

    Assert.Equal(4, slice.Length)

    let noUTurn =
        errors (fun () ->
            { NoUTurn.settings -1.0 (Metric.unit 2) with MostDoublings = 0 }
            |> NoUTurn.sampler RunOptions.Single target.Objective)

    Assert.Equal(3, noUTurn.Length)

    let sampler =
        Ensemble.sampler RunOptions.Single target.Objective (Ensemble.settings 12 Ensemble.stretch)

    let thrown =
        Assert.Throws<FunLikException>(fun () ->
            sampler.Step (Key.ofSeed 1) (exact 13 target (Key.ofSeed 2)) |> ignore)

    Assert.Contains("multiple of 12", string thrown.Errors.Head)

[<Fact>]
let ``delayed acceptance counts exact calls apart, and refuses what would not be exact`` () =
    let exactCalls, wide =
        correlated.Objective,
        objective 3 (fun x g ->
            let struct (values, gradients) =
                correlated.Objective.ValuesAndGradients(x, RunOptions.Single)

            gradients |> Array.iteri (fun i v -> g[i] <- 0.9 * v)
            0.9 * values[0])

    let walk (surrogate: Objective) =
        Metropolis.sampler RunOptions.Single surrogate (Proposal.RandomWalk(0.5, correlated.Metric))

    let start = exact 100 correlated (Key.ofSeed 1)

    let struct (_, info) =
        DelayedAcceptance.step RunOptions.Single exactCalls wide (walk wide) 20 (Key.ofSeed 2) start

    // One exact value a chain that moved; the surrogate is asked where chains begin, and at each of 20 steps.
    Assert.InRange(info.Exact.Calls.Values, 90L, 100L)
    Assert.Equal({ Values = 2100L; Gradients = 100L }, info.Surrogate)
    Assert.InRange(info.Inner, 0.3, 0.99)

    // With the exact density as its own surrogate all is accepted.
    let struct (_, same) =
        DelayedAcceptance.step
            RunOptions.Single
            exactCalls
            exactCalls
            (walk exactCalls)
            5
            (Key.ofSeed 2)
            start

    Assert.All(same.Exact.Acceptance, fun a -> Assert.Equal(1.0, a, 1e-12))

    let refused (surrogate: Objective) inner steps : string =
        Assert
            .Throws<FunLikException>(fun () ->
                DelayedAcceptance.sampler RunOptions.Single exactCalls surrogate inner steps
                |> ignore)
            .Message

    let ensemble (surrogate: Objective) =
        Ensemble.sampler RunOptions.Single surrogate (Ensemble.settings 12 Ensemble.stretch)

    Assert.Contains("one by one", refused wide ensemble 3)
    Assert.Contains("1 or more", refused wide walk 0)
    Assert.Contains("other parameters", refused skewed.Objective walk 1)

    // A surrogate that is zero where a chain is.
    let cut = objective 3 (fun _ _ -> -infinity)
    let sampler = DelayedAcceptance.sampler RunOptions.Single exactCalls cut walk 1

    let thrown =
        Assert.Throws<FunLikException>(fun () -> sampler.Step (Key.ofSeed 1) start |> ignore)

    Assert.Contains("no density where a chain is", thrown.Message)

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

[<Fact>]
let ``an ensemble is not enough before its walkers have moved for fifty autocorrelation times`` () =
    // Slow moves: what few steps show of each walker's way says little.
    let move = EnsembleMove.Stretch 1.3
    let settings = Ensemble.settings 40 move
    let sampler = Ensemble.sampler RunOptions.Single correlated.Objective settings
    let start = exact 40 correlated (Key.ofSeed 5)

    let run (most: int) =
        Sampling.init [| "a"; "b"; "c" |] start
        |> Sampling.until (SamplingGoal.Ess(100.0, 1.2, most)) sampler (Key.ofSeed 6)
        |> Seq.last

    let short = run 200
    Assert.Equal(SamplingStatus.NotConverged, short.Status)
    let long = run 100_000
    Assert.Equal(SamplingStatus.Reached, long.Status)
    Assert.True(long.MinEss >= 50.0 * 40.0)
    Assert.True(long.PerChain > 1000)
