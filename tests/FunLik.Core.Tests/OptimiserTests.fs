module FunLik.Tests.OptimiserTests

#nowarn 9 // pointers, as objectives take them

open System
open System.Collections.Concurrent
open FSharp.NativeInterop
open Xunit
open FunLik
open FunLik.Tests.OptimiserProblems

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

/// Starts so many lengths away, inside of the bounds.
let private farStarts (p: Problem) (far: float) (count: int) : float[] list =
    let n = p.Parameters.Length
    let noise = Key.ofSeed 12 |> Key.normals (count * n)

    List.init count (fun k ->
        Array.init n (fun i ->
            let struct (low, high) = p.Parameters[i].Bounds
            p.Starts.Head[i] + far * p.Lengths[i] * noise[k * n + i] |> max low |> min high))

[<Fact>]
let ``From wherever there is a density a fit ends in a minimum`` () =
    let failures =
        [
            for p in smooth do
                let objective = objectiveOf p
                let run = fit p objective

                for far in [ 3.0; 30.0 ] do
                    let starts = farStarts p far 12
                    let ends = run starts 2

                    for k in 0 .. starts.Length - 1 do
                        let value = -objective.Values(starts[k], RunOptions.Single)[0]
                        let hasDensity = Double.IsFinite value

                        let isRight =
                            if hasDensity then
                                ends.Statuses[k].IsConverged && ends.Values[k] <= value + 1e-9
                            else
                                ends.Statuses[k] = FitStatus.NotFinite

                        // Rosenbrock's function has a second minimum in more than three dimensions.
                        let isLowest =
                            not hasDensity
                            || ends.Values[k] - p.Lowest < 1e-6 * (1.0 + abs p.Lowest)
                            || p.Name.StartsWith "Rosenbrock in" && ends.Values[k] < 4.5

                        if not (isRight && isLowest) then
                            $"{p.Name}, {far} lengths away, start {k}: {ends.Statuses[k]} at {ends.Values[k]}"
        ]

    Assert.True(failures.IsEmpty, String.concat "\n" failures)

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

// What was learnt may rise without end: Hessians out there are finite, and their squares are not.
[<Fact>]
let ``a step from a huge Hessian that is not positive goes downhill`` () =
    let hessian = [| 1e200; 3e200; 3e200; 1e200 |]
    let step = NewtonStep.direction 2 hessian [| 1e190; 0.0 |]
    // Along (1, 1) over 4e200 and along (1, -1) over 2e200.
    Assert.Equal(-3.75e-11, step.Step[0], 1e-20)
    Assert.Equal(1.25e-11, step.Step[1], 1e-20)
    let across = step.Descent.Value
    Assert.Equal(-1.0, across[0] / across[1], 1e-12)
