module FunLik.Tests.BulkProfileTests

open System
open System.IO
open System.Text.Json
open Xunit
open FunLik

/// Couplings on which rates depend quadratically, and the nuisances of a workspace.
let private model: Lazy<Likelihood> =
    lazy
        (let at (name: string) : string = Path.Combine(Support.root, "examples/eft", name)

         ModelFile.load
             (at "workspace.json")
             { ModelOptions.None with Scalings = Some(at "scalings.json") }
         |> Error.orRaise)

let private fitter: Lazy<Fitter> =
    lazy (Objective.ofLikelihood model.Value |> Fitter.ofObjective)

let private couplings (fitter: Fitter) : ModelParameter[] =
    fitter.Objective.Parameters |> Array.filter _.Kind.IsPoi

/// Points of the couplings, uniform in a part of their ranges.
let private pointsOf (fitter: Fitter) (part: float) (seed: int) (rows: int) : float[] =
    let pois = couplings fitter
    let u = Key.uniforms (rows * pois.Length) (Key.ofSeed seed)

    Array.init u.Length (fun i ->
        let struct (low, high) = pois[i % pois.Length].Range
        part * (low + (high - low) * u[i]))

let private plain: Lazy<Profiler> =
    lazy
        (Profiler.prepare
            { ProfilerOptions.Default with Starts = Some 1; Tolerance = 1e-6 }
            (couplings fitter.Value |> Array.map _.Name |> List.ofArray)
            fitter.Value)

let private learnt: Lazy<Profiler> =
    lazy
        (plain.Value
         |> Profiler.learn
             { Points = 64; Anchors = 16 }
             (pointsOf fitter.Value 1.0 1 64)
             RunOptions.AllCores)

let private near (tolerance: float) (expected: float[]) (found: float[]) : unit =
    Assert.Equal(expected.Length, found.Length)

    Array.iteri2
        (fun i e f ->
            Assert.True(abs (f - e) <= tolerance, $"{i}: {f}, not {e} within {tolerance}"))
        expected
        found

[<Fact>]
let ``What a response says changes where profiles start, not where they end`` () =
    let points = pointsOf fitter.Value 1.0 2 100
    let expected = Profiler.evaluate plain.Value points RunOptions.AllCores
    let found = Profiler.evaluate learnt.Value points RunOptions.AllCores
    near 1e-9 expected.Values found.Values
    near 1e-4 expected.Gradients found.Gradients
    Assert.All(found.Statuses, fun s -> Assert.Equal(FitStatus.Converged, s))
    Assert.All(found.GradientNorms, fun norm -> Assert.InRange(norm, 0.0, 1e-6))
    Assert.All(found.Edms, fun edm -> Assert.InRange(edm, 0.0, 1e-10))
    Assert.True(found.Evaluations < expected.Evaluations)

[<Fact>]
let ``The gradient of a profile is the slope of its values`` () =
    let k = (couplings fitter.Value).Length
    let centre = pointsOf fitter.Value 0.5 3 1
    let h = 1e-3

    let beside =
        Array.init (2 * k * k) (fun i ->
            let row, j = i / k, i % k

            let side =
                if row / 2 <> j then 0.0
                elif row % 2 = 0 then -h
                else h

            centre[j] + side)

    let at = Profiler.evaluate learnt.Value centre RunOptions.Single
    let around = Profiler.evaluate learnt.Value beside RunOptions.Single

    let slopes =
        Array.init k (fun j -> (around.Values[2 * j + 1] - around.Values[2 * j]) / (2.0 * h))

    near 1e-4 slopes at.Gradients

[<Fact>]
let ``A profiled point has the same bits in any company, on any number of threads`` () =
    let k = (couplings fitter.Value).Length
    let points = pointsOf fitter.Value 1.0 4 90

    let bits (parts: ProfiledPoints[]) : int64[] =
        [|
            for part in parts do
                yield! part.Values
                yield! part.Gradients
                yield! part.GradientNorms
        |]
        |> Array.map BitConverter.DoubleToInt64Bits
        |> Array.sort

    let on (threads: int) (rows: int) : int64[] =
        points
        |> Array.chunkBySize (rows * k)
        |> Array.map (fun part ->
            Profiler.evaluate learnt.Value part { RunOptions.Single with Threads = threads })
        |> bits

    let whole = on 1 90
    Assert.Equal<int64[]>(whole, on 2 90)
    Assert.Equal<int64[]>(whole, on 3 7)
    Assert.Equal<int64[]>(whole, on 1 1)

/// A normal density with strong correlations, in a box around a corner of which the minimum lies.
[<Fact>]
let ``Steps that bounds cut short still reach the minimum in the box`` () =
    let n, rows = 6, 40

    for seed in 1..20 do
        let key = Key.ofSeed seed
        let normals = Key.normals (n * n + n) (Key.fold 0 key)
        // A Aᵀ with a small diagonal: correlations near to one.
        let hessian =
            Array.init (n * n) (fun k ->
                let i, j = k / n, k % n
                let own = if i = j then 0.05 else 0.0
                own + Seq.sum (seq { for l in 0..2 -> normals[i * n + l] * normals[j * n + l] }))

        let theta = Expr.parameter "theta" (Vector n)
        let shifted = theta - Expr.vector normals[n * n ..]
        let y = -0.5 * Expr.dot shifted (Expr.matVec (Expr.matrix n n hessian) shifted)
        let inverse = (NewtonStep.inverse n hessian).Value
        let lengths = Array.init n (fun i -> 1.0 / sqrt hessian[i * n + i])
        let options = { MinimiseOptions.Default with Memory = 4; Tolerance = 1e-8 }

        let session =
            Minimise.prepareExpression
                options
                (Preconditioner.InverseHessian(inverse, lengths))
                (theta, y, Expr.scalar 0.0 * Expr.item 0 theta)

        let u = Key.uniforms (rows * n) (Key.fold 1 key)
        let low = Array.create (rows * n) -0.3
        let high = Array.init (rows * n) (fun i -> 0.1 + 0.5 * u[i])
        let starts = Array.init (rows * n) (fun i -> if u[i] < 0.5 then low[i] else high[i])

        let ends = Minimise.run options (session, None) starts low high RunOptions.Single

        Assert.All(ends.Statuses, fun s -> Assert.Equal(FitStatus.Converged, s))

        // The conditions of Karush, Kuhn and Tucker: nothing moves downhill.
        for i in 0 .. rows * n - 1 do
            let g, x = ends.Gradients[i], ends.Points[i]
            let isHeld = (g > 0.0 && x <= low[i]) || (g < 0.0 && x >= high[i])
            Assert.True(isHeld || abs g * lengths[i % n] < 1e-7, $"seed {seed}: {g} at {x}")

[<Fact>]
let ``Profiles on disk are those in memory, and what stands is not computed again`` () =
    let folder = Directory.CreateTempSubdirectory("funlik-test").FullName

    try
        let k = (couplings fitter.Value).Length
        let points = pointsOf fitter.Value 1.0 5 100
        let of' (first: int64) (rows: int) : float[] = Array.sub points (int first * k) (rows * k)
        let options = { RowsPerFile = 32; Profiled = true }
        let run = { RunOptions.Single with Threads = 2 }

        let write (pointsOf: int64 -> int -> float[]) =
            ProfileFiles.write options folder 100L pointsOf ignore run learnt.Value

        let first = write of' |> Error.orRaise
        Assert.Equal(4, first.Files.Length)
        Assert.Equal(0, first.Reused)
        Assert.Equal<(FitStatus * int64) list>([ FitStatus.Converged, 100L ], first.Statuses)
        Assert.InRange(first.LargestGradientNorm, 0.0, 1e-6)

        let expected = Profiler.evaluate learnt.Value points RunOptions.Single

        let read () : float[] =
            first.Files
            |> Array.collect (fun file ->
                (Npy.readFloats (Path.Combine(folder, file)) |> Error.orRaise).Values)

        let values = read ()
        let width = first.Columns.Length
        Assert.Equal(100 * width, values.Length)

        for r in 0..99 do
            Assert.Equal<float[]>(Array.sub points (r * k) k, Array.sub values (r * width) k)
            Assert.Equal(expected.Values[r], values[r * width + k])

            Assert.Equal<float[]>(
                Array.sub expected.Gradients (r * k) k,
                Array.sub values (r * width + k + 1) k
            )

        Assert.True(File.Exists(Path.Combine(folder, "profile.json")))
        File.Delete(Path.Combine(folder, first.Files[2]))
        let again = write of' |> Error.orRaise
        Assert.Equal(3, again.Reused)
        Assert.Equal<float[]>(values, read ())

        match write (fun first rows -> of' first rows |> Array.map (fun x -> x + 1e-9)) with
        | Ok _ -> failwith "other points were taken for these"
        | Result.Error errors -> Assert.Contains("other points", errors.Head.Message)
    finally
        Directory.Delete(folder, true)

[<SharedFact("data/top19001-like/reference.json")>]
let ``Points of 16 couplings profiled over 105 nuisances are the reference's`` () =
    let shared (name: string) : string = Support.sharedFile $"data/top19001-like/{name}"

    let model =
        ModelFile.load
            (shared "workspace.json")
            { ModelOptions.None with Scalings = Some(shared "scalings.json") }
        |> Error.orRaise

    let own = Objective.ofLikelihood model |> Fitter.ofObjective
    let n = own.Objective.Count

    // The reference has no bounds.
    let fitter = { own with Lower = Array.create n -1e6; Upper = Array.create n 1e6 }

    use file = JsonDocument.Parse(File.ReadAllText(shared "reference.json"))

    let numbers (e: JsonElement) : float[] = [| for v in e.EnumerateArray() -> v.GetDouble() |]

    let points =
        [|
            for p in file.RootElement.GetProperty("profiled_points").EnumerateArray() -> p
        |]

    let best = points |> Array.minBy (fun p -> p.GetProperty("twice_nll").GetDouble())

    let centre =
        Array.append (numbers (best.GetProperty "c")) (numbers (best.GetProperty "theta"))

    let profiler =
        fitter
        |> Profiler.prepareAt
            { ProfilerOptions.Default with Starts = Some 1; Tolerance = 1e-6 }
            (couplings fitter |> Array.map _.Name |> List.ofArray)
            centre
        |> Profiler.learn
            { Points = 384; Anchors = 64 }
            (pointsOf fitter 1.0 6 384)
            RunOptions.AllCores

    let found =
        Profiler.evaluate
            profiler
            (points |> Array.collect (fun p -> numbers (p.GetProperty "c")))
            RunOptions.AllCores

    near
        1e-7
        (points |> Array.map (fun p -> p.GetProperty("twice_nll").GetDouble()))
        (found.Values |> Array.map (fun y -> -2.0 * y))

    near
        1e-4
        (points |> Array.collect (fun p -> numbers (p.GetProperty "gradient_c")))
        (found.Gradients |> Array.map (fun g -> -2.0 * g))

    Assert.All(found.Statuses, fun s -> Assert.Equal(FitStatus.Converged, s))
    Assert.All(found.GradientNorms, fun norm -> Assert.InRange(norm, 0.0, 1e-6))
