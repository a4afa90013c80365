// Simulation-based calibration (arXiv:1804.06788) of every kernel on a model of ten parameters, as samplers are used: chains that start wider
// than the posterior, a burn-in, and draws so far apart that they are nearly independent. Beside it the test of the laws: chains that start at exact
// draws of the posterior, with more replicates than the tests have.
//
//     dotnet fsi build.fsx calibration
//     dotnet fsi --optimize+ bench/calibration.fsx [REPLICATES]
//
// A right kernel is refused with a probability of 1e-3 for each of the two columns. The exit code is 1 where one is.

#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"
#r "../src/FunLik.Core/bin/Release/net10.0/MathNet.Numerics.dll"
#load "../tests/FunLik.Core.Tests/SamplingTargets.fs"
#load "../tests/FunLik.Core.Tests/SamplingKernels.fs"
#load "../tests/FunLik.Core.Tests/CalibrationModel.fs"

open System.Diagnostics
open FunLik
open FunLik.Tests
open FunLik.Tests.CalibrationModel

let count =
    fsi.CommandLineArgs
    |> Array.tryItem 1
    |> Option.map int
    |> Option.defaultValue 400

let falseAlarm = 1e-3
let draws = 19

let replicates =
    Array.init count (fun r -> replicate (Key.ofSeed 804 |> Key.fold r))

let walkers = SamplingKernels.walkers dimension

/// The autocorrelation time of a kernel, of the worst of parameters, their squares and the log density: from one long run on the first
/// replicate, whose chains start wider than the posterior; and R-hat of that run.
let timeOf (kernel: SamplingTargets.Target -> RunOptions -> Sampler) : struct (float * float) =
    let r = replicates[0]
    let sampler = kernel r.Target RunOptions.Single

    let widths = Metric.widths r.Target.Metric |> Array.map ((*) 1.5)

    let start =
        Chains.around walkers widths (r.Target.Draw [||]) (Key.ofSeed 1)
        |> Chains.start RunOptions.Single r.Target.Objective

    let run =
        Sampling.init names start
        |> Sampling.until (SamplingGoal.Draws 4000) sampler (Key.ofSeed 2)
        |> Seq.last

    // Trajectories of one length go round closed orbits: x forgets itself at once, and its square does not.
    let squares (chains: float[][]) : float[][] =
        let mean = chains |> Array.averageBy Array.average
        chains |> Array.map (Array.map (fun x -> (x - mean) * (x - mean)))

    let times =
        seq {
            Sampling.logDensities run

            for i in 0 .. dimension - 1 do
                Sampling.series i run
                squares (Sampling.series i run)
        }
        |> Seq.map (fun chains -> (AutocorrelationTime.windowed 5.0 chains).Time)

    struct (Seq.max times, run.MaxRHat)

printfn "%d replicates, %d quantities, refused below %g" count quantities.Length falseAlarm
printfn "%-24s %10s %8s %12s %12s %8s" "kernel" "tau" "thin" "p of runs" "p of steps" "seconds"

let refused =
    SamplingKernels.kernels
    |> List.filter (fun (name, kernel) ->
        let watch = Stopwatch.StartNew()
        let struct (tau, rHat) = timeOf kernel

        // Chains that never leave where they start are seen by R-hat; ranks would say no more.
        let isStuck = rHat > 1.2
        let thin = max 1 (int (ceil (2.0 * tau)))

        let chains =
            if (kernel replicates[0].Target RunOptions.Single).Group > 1 then
                walkers
            else
                1


        let runs =
            if isStuck then
                None
            else
                Some(calibrateRuns falseAlarm chains (20 * thin) thin draws replicates kernel)

        let steps = calibrate falseAlarm walkers (max 4 (int (ceil tau))) replicates kernel

        printfn
            "%-24s %10.1f %8d %12s %12.3g %8.1f"
            name
            tau
            thin
            (match runs with
             | Some found -> sprintf "%.3g" found.PValue
             | None -> $"R-hat {rHat:F2}")
            steps.PValue
            watch.Elapsed.TotalSeconds

        not ((runs |> Option.forall _.IsCalibrated) && steps.IsCalibrated))

match refused with
| [] -> printfn "every kernel is calibrated"
| names ->
    let list = names |> List.map fst |> String.concat ", "
    printfn "not calibrated: %s" list
    exit 1
