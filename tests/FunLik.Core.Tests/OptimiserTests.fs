module FunLik.Tests.OptimiserTests

#nowarn 9 // pointers, as objectives take them

open System
open System.Collections.Concurrent
open FSharp.NativeInterop
open Xunit
open FunLik

/// A function to be minimised, and what is known of its minimum.
type Problem =
    {
        Name: string
        Parameters: ModelParameter[]
        /// -log density as an expression of the vector of parameters.
        Function: Expr -> Expr
        /// A scalar above 0 where there is no density.
        Violation: Expr -> Expr
        Starts: float[] list
        /// The lowest value, within `Accuracy`.
        Lowest: float
        Accuracy: float
        /// The typical length of a step in each parameter.
        Lengths: float[]
        /// The minimum where there is but one.
        Minimum: float[] option
    }

let private free (n: int) : ModelParameter[] =
    Array.init n (fun i -> ModelParameter.create $"x{i}" ParameterKind.Nuisance 0.0)

let private within (bounds: (float * float)[]) : ModelParameter[] =
    bounds
    |> Array.mapi (fun i (low, high) ->
        { ModelParameter.create $"x{i}" ParameterKind.Nuisance 0.0 with
            Bounds = struct (low, high)
        })

let private problem
    (name: string)
    (parameters: ModelParameter[])
    (func: Expr -> Expr)
    (starts: float[] list)
    (lowest: float)
    (minimum: float[] option)
    : Problem =
    {
        Name = name
        Parameters = parameters
        Function = func
        Violation = fun _ -> Expr.scalar 0.0
        Starts = starts
        Lowest = lowest
        Accuracy = 1e-9
        Lengths = Array.create parameters.Length 1.0
        Minimum = minimum
    }

/// A symmetric matrix with eigenvalues between 1 and about n, and its product with a vector.
let private positive (n: int) (seed: int) : float[,] =
    let a = Key.ofSeed seed |> Key.normals (n * n)

    Array2D.init n n (fun i j ->
        let dot = Seq.sum (seq { for k in 0 .. n - 1 -> a[i * n + k] * a[j * n + k] })
        dot + if i = j then 1.0 else 0.0)

let private matrixOf (a: float[,]) : Expr =
    Expr.matrix (Array2D.length1 a) (Array2D.length2 a) (a |> Seq.cast<float> |> Array.ofSeq)

let private quadratic (a: float[,]) (centre: float[]) (slopes: float[]) (x: Expr) : Expr =
    let d = x - Expr.vector centre
    0.5 * Expr.dot d (Expr.matVec (matrixOf a) d) + Expr.dot (Expr.vector slopes) d

let private rosenbrock (n: int) (x: Expr) : Expr =
    let a, b = Expr.slice 0 (n - 1) x, Expr.slice 1 (n - 1) x
    let u, v = b - a * a, 1.0 - a
    100.0 * Expr.sum (u * u) + Expr.sum (v * v)

let private gaussian: Problem =
    let n = 6
    let centre = Key.ofSeed 5 |> Key.normals n

    problem
        "correlated Gaussian"
        (free n)
        (quadratic (positive n 1) centre (Array.zeroCreate n))
        [ Array.zeroCreate n; Array.create n 10.0 ]
        0.0
        (Some centre)

let private rosenbrocks: Problem list =
    [
        for n in [ 2; 5; 10; 20 ] do
            problem
                $"Rosenbrock in {n} dimensions"
                (free n)
                (rosenbrock n)
                [
                    // From farther away in more dimensions there is a second minimum, near (-1, 1, …).
                    Array.init n (fun i -> if n = 2 && i = 0 then -1.2 else 0.5)
                    Array.create n 1.5
                ]
                0.0
                (Some(Array.create n 1.0))
    ]

/// The conditions of Karush, Kuhn and Tucker hold at `at` by construction.
let private activeSet: Problem =
    let n = 8
    let at = [| 0.0; 0.5; 1.0; 0.25; 0.0; 1.0; 0.75; 0.5 |]
    let slopes = [| 2.0; 0.0; -3.0; 0.0; 0.5; -0.1; 0.0; 0.0 |]

    problem
        "quadratic in a box"
        (within (Array.create n (0.0, 1.0)))
        (quadratic (positive n 2) at slopes)
        [
            Array.create n 0.5
            Array.zeroCreate n
            Array.init n (fun i -> float (i % 2))
        ]
        0.0
        (Some at)

let private boundedRosenbrock: Problem =
    problem
        "Rosenbrock with an active bound"
        (within [| -2.0, 0.5; -infinity, infinity |])
        (rosenbrock 2)
        [ [| -1.2; 1.0 |]; [| 0.5; -3.0 |] ]
        0.25
        (Some [| 0.5; 0.25 |])

/// n counts over s μ + b with b = 5 in one bin and a measured background in another: the minimum is where both fit exactly.
let private counting: Problem =
    let func (x: Expr) : Expr =
        let mu, b = Expr.item 0 x, Expr.item 1 x
        let nu = Expr.concat [ 10.0 * mu + b; 4.0 * b ]
        Expr.sum nu - Expr.dot (Expr.vector [| 25.0; 20.0 |]) (log nu)

    let at (nu: float) (n: float) : float = nu - n * log nu

    { problem
          "counts"
          (within [| -0.4, infinity; 0.01, 100.0 |])
          func
          [ [| 0.0; 1.0 |]; [| 5.0; 20.0 |] ]
          (at 25.0 25.0 + at 20.0 20.0)
          (Some [| 2.0; 5.0 |]) with
        Violation = fun x -> Expr.less (10.0 * Expr.item 0 x + Expr.item 1 x) (Expr.scalar 0.0)
    }

/// x log x … is NaN below 0, and a step of unit length from the start goes there.
let private nanRegion: Problem =
    problem
        "NaN beside the minimum"
        (free 2)
        (fun x -> Expr.sum (x - 0.01 * log x))
        [ [| 0.5; 0.02 |]; [| 3.0; 100.0 |] ]
        (2.0 * (0.01 - 0.01 * log 0.01))
        (Some [| 0.01; 0.01 |])

let private disc: Problem =
    { problem
          "density inside of a disc"
          (free 2)
          (fun x -> Expr.item 0 x - sqrt (1.0 - Expr.dot x x))
          [ [| 0.6; 0.6 |]; [| -0.9; 0.3 |] ]
          (-(sqrt 2.0))
          (Some [| -(sqrt 0.5); 0.0 |]) with
        Violation = fun x -> Expr.less (Expr.scalar 1.0) (Expr.dot x x)
    }

let private valley: Problem =
    problem
        "a flat direction"
        (free 3)
        (fun x ->
            let d = Expr.item 0 x + Expr.item 1 x - 1.0
            d * d + Expr.power 2 (Expr.item 2 x))
        [ [| 3.0; 5.0; 1.0 |]; [| 0.0; 0.0; 0.0 |] ]
        0.0
        None

let private scales: Problem =
    let lengths = [| 1e-4; 1.0; 1e4 |]

    { problem
          "scales from 1e-4 to 1e4"
          (free 3)
          (fun x ->
              let d = x / Expr.vector lengths - 1.0
              Expr.sum (Composite.softplus d + Composite.softplus (-d)))
          [ [| 0.0; 0.0; 0.0 |] ]
          (6.0 * log 2.0)
          (Some lengths) with
        Lengths = lengths
    }

let smooth: Problem list =
    [
        gaussian
        activeSet
        boundedRosenbrock
        counting
        nanRegion
        disc
        valley
        scales
    ]
    @ rosenbrocks

/// The same as seen from outside: no expression. Evaluations outside of the bounds are gathered.
let private opaque (trespasses: ConcurrentBag<float[]>) (inner: Objective) : Objective =
    let n = inner.Count

    { new Objective(inner.Parameters) with
        member _.HasGradient = true
        member _.Expression = None

        member _.Evaluate(rows, points, values, gradients, options) =
            for r in 0 .. rows - 1 do
                let x = Array.init n (fun i -> NativePtr.get points (r * n + i))

                let isInside =
                    Array.forall2
                        (fun (p: ModelParameter) v ->
                            let struct (low, high) = p.Bounds
                            v >= low && v <= high)
                        inner.Parameters
                        x

                if not isInside then
                    trespasses.Add x

            inner.Evaluate(rows, points, values, gradients, options)
    }

let objectiveOf (p: Problem) : Objective =
    let block = ParameterBlock.ofVector "x" p.Parameters
    let x = ParameterBlock.leaf block

    let support =
        { Block = "x"; LogDensity = Expr.scalar 0.0; Violation = p.Violation x }

    Likelihood.create p.Name [ block ] (Density.Opaque(-(p.Function x), [])) Map.empty [ support ]
    |> Objective.ofLikelihood

/// Where an optimiser ended from each start.
type Ends = { Points: float[][]; Values: float[]; Statuses: FitStatus[] }

/// From an objective, starts and threads.
type Optimiser =
    {
        Name: string
        /// Compiles once; the result runs from starts on threads.
        Prepare: Problem -> Objective -> (float[] list -> int -> Ends)
    }

let private bounds (objective: Objective) : float[] * float[] =
    objective.Parameters
    |> Array.map (fun p ->
        let struct (low, high) = p.Bounds
        low, high)
    |> Array.unzip

let private single (threads: int) : RunOptions = { RunOptions.Single with Threads = threads }

let private lengthsAt (objective: Objective) (point: float[]) : float[] =
    let defaults = Hessian.defaultLengths objective.Parameters
    let source = Hessian.prepare objective defaults
    source.Evaluate 1 point RunOptions.Single |> Hessian.lengths defaults

let private lbfgs
    (memory: int)
    (preconditioner: Problem -> Objective -> Preconditioner)
    (p: Problem)
    (objective: Objective)
    : float[] list -> int -> Ends =
    let options = { MinimiseOptions.Default with Memory = memory }
    let low, high = bounds objective
    let session = Minimise.prepare options (preconditioner p objective) objective

    fun starts threads ->
        let all (one: float[]) : float[] = starts |> List.map (fun _ -> one) |> Array.concat

        let result =
            Minimise.run options session (Array.concat starts) (all low) (all high) (single threads)

        {
            Points = result.Points |> Array.chunkBySize objective.Count
            Values = result.Values
            Statuses = result.Statuses
        }

let private given (p: Problem) (_: Objective) : Preconditioner = Preconditioner.Lengths p.Lengths

let private dense (p: Problem) (objective: Objective) : Preconditioner =
    let n = objective.Count
    let lengths = lengthsAt objective p.Starts.Head

    let matrix =
        Array.init (n * n) (fun k ->
            let i, j = k / n, k % n

            if i = j then
                lengths[i] * lengths[i]
            else
                0.1 * lengths[i] * lengths[j] / float n)

    Preconditioner.InverseHessian(matrix, lengths)

let private newton (_: Problem) (objective: Objective) : float[] list -> int -> Ends =
    let low, high = bounds objective
    let defaults = Hessian.defaultLengths objective.Parameters
    let hessian = Hessian.prepare objective defaults

    fun starts threads ->
        let ends =
            Newton.polish
                NewtonOptions.Default
                objective
                hessian
                defaults
                (Array.create objective.Count nan)
                (starts |> List.map (fun s -> s, low, high) |> Array.ofList)
                (single threads)

        {
            Points = ends |> Array.map _.Point
            Values = ends |> Array.map _.Value
            Statuses = ends |> Array.map _.Status
        }

let private fit (_: Problem) (objective: Objective) : float[] list -> int -> Ends =
    let fitter = Fitter.ofObjective objective
    let low, high = bounds objective

    fun starts threads ->
        let ends =
            starts
            |> List.map (fun s -> { Lower = low; Upper = high; Starts = [| s |] })
            |> Array.ofList
            |> Fitter.fitAll { FitOptions.Default with Run = single threads } fitter

        {
            Points = ends |> Array.map _.Point
            Values = ends |> Array.map (fun f -> 0.5 * f.TwiceNll)
            Statuses = ends |> Array.map _.Status
        }

let optimisers: Optimiser list =
    [
        { Name = "L-BFGS"; Prepare = lbfgs 8 given }
        { Name = "L-BFGS with a matrix"; Prepare = lbfgs 6 dense }
        { Name = "L-BFGS with three pairs"; Prepare = lbfgs 3 given }
        { Name = "Newton"; Prepare = newton }
        { Name = "Fitter"; Prepare = fit }
    ]

let private prepared (p: Problem) (optimiser: Optimiser) : float[] list -> int -> Ends =
    optimiser.Prepare p (objectiveOf p)

let private everyPair (law: string -> Optimiser -> Problem -> string list) : unit =
    let failures =
        [
            for optimiser in optimisers do
                for p in smooth do
                    yield! law $"{optimiser.Name} on {p.Name}" optimiser p
        ]

    Assert.True(failures.IsEmpty, String.concat "\n" failures)

let private reaches (what: string) (p: Problem) (ends: Ends) : string list =
    [
        for k in 0 .. ends.Values.Length - 1 do
            let value, point = ends.Values[k], ends.Points[k]

            if not ends.Statuses[k].IsConverged then
                $"{what}, start {k}: {ends.Statuses[k]} at {value}"
            elif abs (value - p.Lowest) > p.Accuracy * (1.0 + abs p.Lowest) then
                $"{what}, start {k}: {value}, not {p.Lowest}"
            else
                match p.Minimum with
                | None -> ()
                | Some minimum ->
                    let isThere =
                        Array.forall2
                            (fun a b -> abs (a - b) <= 2e-4 * max 1.0 (abs b))
                            point
                            minimum

                    if not isThere then
                        $"{what}, start {k}: at %A{point}, not %A{minimum}"
    ]

let private sameBits (a: Ends) (b: Ends) : bool =
    let bits (values: float[]) : int64[] = values |> Array.map BitConverter.DoubleToInt64Bits

    bits a.Values = bits b.Values
    && Array.map bits a.Points = Array.map bits b.Points
    && a.Statuses = b.Statuses

let private manyStarts (p: Problem) (count: int) : float[] list =
    let noise = Key.ofSeed 11 |> Key.normals (count * p.Parameters.Length)

    List.init count (fun k ->
        p.Starts[k % p.Starts.Length]
        |> Array.mapi (fun i x ->
            let struct (low, high) = p.Parameters[i].Bounds
            x + 0.05 * noise[k * p.Parameters.Length + i] |> max low |> min high))

[<Fact>]
let ``Every optimiser reaches every minimum, with the same bits on any number of threads and in any company``
    ()
    =
    everyPair (fun what optimiser p ->
        let run = prepared p optimiser
        let starts = manyStarts p 70
        let one = run starts 1

        [
            yield! run p.Starts 1 |> reaches what p

            for threads in [ 2; 7 ] do
                if not (sameBits one (run starts threads)) then
                    $"{what}: other results on {threads} threads"

            for k in 0..4 do
                let same =
                    {
                        Points = [| one.Points[k] |]
                        Values = [| one.Values[k] |]
                        Statuses = [| one.Statuses[k] |]
                    }

                let alone = run [ starts[k] ] 1

                if not (sameBits same alone) then
                    $"{what}: start {k} alone ends at {alone.Values[0]}, not {same.Values[0]}"
        ])

[<Fact>]
let ``Every optimiser does so through evaluations alone, and never asks for a point outside of the bounds``
    ()
    =
    everyPair (fun what optimiser p ->
        let trespasses = ConcurrentBag<float[]>()
        let ends = optimiser.Prepare p (opaque trespasses (objectiveOf p)) p.Starts 1

        [
            yield! reaches $"{what}, fed" p ends

            match trespasses.TryPeek() with
            | true, point -> $"{what}: evaluated at %A{point}"
            | _ -> ()
        ])

let private statusesOf (name: string) (p: Problem) : FitStatus[] =
    let optimiser = optimisers |> List.find (fun o -> o.Name = name)
    (prepared p optimiser p.Starts 1).Statuses

[<Fact>]
let ``What has no lower bound is said to be unbounded`` () =
    let falls =
        problem "a slope" (free 2) (fun x -> Expr.sum x) [ [| 0.0; 0.0 |] ] -infinity None

    let cubic =
        problem
            "a cubic"
            (free 1)
            (fun x -> Expr.power 3 (Expr.item 0 x))
            [ [| -1.0 |] ]
            -infinity
            None

    for p in [ falls; cubic ] do
        for name in [ "L-BFGS"; "Fitter" ] do
            Assert.Equal<FitStatus[]>([| FitStatus.Unbounded |], statusesOf name p)

[<Fact>]
let ``A start without a density is said to be one`` () =
    for name in [ "L-BFGS"; "Newton"; "Fitter" ] do
        let statuses =
            statusesOf name { disc with Starts = [ [| 2.0; 0.0 |]; [| 0.0; 0.0 |] ] }

        Assert.Equal<FitStatus[]>([| FitStatus.NotFinite; FitStatus.Converged |], statuses)

[<Fact>]
let ``Too few steps are said to be too few`` () =
    let p = rosenbrocks[3]
    let objective = objectiveOf p
    let options = { MinimiseOptions.Default with MaxSteps = 5 }
    let low, high = bounds objective

    let result =
        Minimise.run
            options
            (Minimise.prepare options (given p objective) objective)
            p.Starts[0]
            low
            high
            RunOptions.Single

    Assert.Equal<FitStatus[]>([| FitStatus.MaxIterations |], result.Statuses)
    Assert.Equal<int[]>([| 5 |], result.Evaluations)

[<Fact>]
let ``An objective's evaluations are all counted`` () =
    let p = rosenbrocks[0]
    let inner = objectiveOf p
    let mutable rowsSeen = 0

    let counted =
        { new Objective(inner.Parameters) with
            member _.HasGradient = true
            member _.Expression = None

            member _.Evaluate(rows, points, values, gradients, options) =
                rowsSeen <- rowsSeen + rows
                inner.Evaluate(rows, points, values, gradients, options)
        }

    let fitter = Fitter.ofObjective counted
    rowsSeen <- 0
    let result = Fitter.fit FitOptions.Default fitter
    Assert.Equal(rowsSeen, result.Evaluations)
