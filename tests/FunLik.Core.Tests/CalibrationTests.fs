module FunLik.Tests.CalibrationTests

open System
open FunLik
open FunLik.Tests.SamplingTargets
open FunLik.Tests.SamplingKernels
open FunLik.Tests.CalibrationModel
open Xunit

/// A right kernel is refused with this probability for a random key.
let private falseAlarm = 1e-4

let private replicates =
    lazy (Array.init 120 (fun r -> replicate (Key.ofSeed 1804 |> Key.fold r)))

let private calibration (steps: int) (kernel: Target -> RunOptions -> Sampler) : Calibration =
    calibrate falseAlarm (walkers dimension) steps replicates.Value kernel

/// A snooker move of differential evolution, one walker at a time, with this exponent of |x' − c|/|x − c|: right for n − 1.
let private snookerOf (exponent: float) (target: Target) (options: RunOptions) : Sampler =
    let n = target.Dimension

    let step (key: Key) (before: Chains) (_: Chains) : struct (Chains * StepInfo) =
        let points, values = Array.copy before.Points, Array.copy before.LogDensity
        let count = before.Count

        for w in 0 .. count - 1 do
            let key = Key.fold w key

            let others =
                Key.permutation (count - 1) (Key.fold 0 key)
                |> Array.map (fun k -> if k >= w then k + 1 else k)

            let u = Key.uniforms 2 (Key.fold 1 key)
            let row k = Array.sub points (others[k] * n) n
            let x, c = Array.sub points (w * n) n, row 0
            let line = Array.map2 (-) x c
            let squares = Array.sumBy (fun v -> v * v) line
            let along = Array.map3 (fun l a b -> l * (a - b)) line (row 1) (row 2) |> Array.sum
            let scale = 1.0 + (1.2 + u[0]) * along / squares
            let proposed = Array.map2 (fun c l -> c + scale * l) c line
            let y = (target.Objective.Values(proposed, options))[0]

            if log u[1] < exponent * log (abs scale) + y - values[w] then
                Array.blit proposed 0 points (w * n) n
                values[w] <- y

        struct ({ before with Step = before.Step + 1; Points = points; LogDensity = values },
                Unchecked.defaultof<StepInfo>)

    { Name = "snooker"; Group = walkers n; Advance = step }

/// Hamiltonian trajectories without the step that accepts them.
let private unjudged (target: Target) (options: RunOptions) : Sampler =
    let settings = Hamiltonian.settings 1.2 target.Metric

    {
        Name = "hmc"
        Group = 1
        Advance =
            fun key before _ ->
                let start =
                    {
                        Points = before.Points
                        Momenta = Key.normals before.Points.Length key
                        LogDensity = before.LogDensity
                        Gradient = before.Gradient
                    }

                let after = Hamiltonian.leapfrog options target.Objective settings 2 start

                struct ({
                            Step = before.Step + 1
                            Points = after.Points
                            LogDensity = after.LogDensity
                            Gradient = after.Gradient
                        },
                        Unchecked.defaultof<StepInfo>)
    }

/// A random walk that takes no account of how large its target is: it refuses all steps down of more than 0.7.
let private timid (target: Target) (options: RunOptions) : Sampler =
    let proper =
        Metropolis.sampler options target.Objective (Proposal.RandomWalk(0.6, target.Metric))

    {
        Name = "timid"
        Group = 1
        Advance =
            fun key before _ ->
                let struct (after, info) = proper.Step key before
                let n = target.Dimension
                let points, values = Array.copy after.Points, Array.copy after.LogDensity

                for c in 0 .. before.Count - 1 do
                    if after.LogDensity[c] < before.LogDensity[c] - 0.7 then
                        Array.blit before.Points (c * n) points (c * n) n
                        values[c] <- before.LogDensity[c]

                struct ({ after with Points = points; LogDensity = values }, info)
    }

let cases: seq<obj[]> = kernels |> Seq.map (fun (name, _) -> [| name |])

/// As many steps as make some difference: kernels with short steps or one evaluation take more.
let private stepsOf (name: string) : int =
    if name.StartsWith "hmc" || name.StartsWith "nuts" || name.StartsWith "slice" then
        4
    else
        25

[<Theory; MemberData(nameof cases)>]
let ``a kernel is calibrated on ten parameters`` (name: string) =
    let kernel = kernels |> List.find (fst >> (=) name) |> snd
    let found = calibration (stepsOf name) kernel
    Assert.True(found.IsCalibrated, $"{name}: {found.PValue}")

[<Fact>]
let ``calibration tells spoiled kernels from right ones`` () =
    Assert.True((calibration 25 (snookerOf 9.0)).IsCalibrated)
    Assert.False((calibration 25 (snookerOf 4.5)).IsCalibrated)
    Assert.False((calibration 6 unjudged).IsCalibrated)
    Assert.False((calibration 25 timid).IsCalibrated)

[<Fact>]
let ``gradients of the calibration model are those of its density`` () =
    let r = replicates.Value[3]
    let x = r.Truth

    let struct (_, gradient) =
        r.Target.Objective.ValuesAndGradients(x, RunOptions.Single)

    for i in 0 .. dimension - 1 do
        let at h =
            (r.Target.Objective.Values(
                x |> Array.mapi (fun k v -> if k = i then v + h else v),
                RunOptions.Single
            ))[0]

        Assert.Equal((at 1e-5 - at -1e-5) / 2e-5, gradient[i], 5)

[<Fact>]
let ``ranks of exact draws are even, and those of spread or shifted draws are not`` () =
    let draws, runs = 19, 500

    let of' (map: float -> float) =
        Array.init runs (fun r ->
            let z = Key.normals (draws + 1) (Key.ofSeed 9 |> Key.fold r)
            struct ([| z[0] |], z[1..] |> Array.map (fun v -> [| map v |])))
        |> Calibration.ofReplicates falseAlarm 10 [| "z" |]

    Assert.True((of' id).IsCalibrated)
    Assert.False((of' (fun v -> 0.5 * v)).IsCalibrated)
    Assert.False((of' (fun v -> v + 0.7)).IsCalibrated)
    Assert.Equal(500, Array.sum (of' id).Tests[0].Counts)

[<Fact>]
let ``bins that are not equal expect their own share`` () =
    // Ranks 0, 1, 2 in two bins: {0, 1} and {2}.
    let even = Calibration.test "x" 2 2 [| 0; 1; 2; 0; 1; 2 |]
    Assert.Equal<int[]>([| 4; 2 |], even.Counts)
    Assert.Equal(0.0, even.Statistic, 12)
    Assert.Equal(1.0, even.PValue, 12)
    let one = Calibration.test "x" 2 3 [| 0; 0; 0 |]
    Assert.Equal(6.0, one.Statistic, 12)
    Assert.Equal(exp -3.0, one.PValue, 12)
