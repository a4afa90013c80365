module FunLik.Tests.OptimiserProblems

open System
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

let free (n: int) : ModelParameter[] =
    Array.init n (fun i -> ModelParameter.create $"x{i}" ParameterKind.Nuisance 0.0)

let private within (bounds: (float * float)[]) : ModelParameter[] =
    bounds
    |> Array.mapi (fun i (low, high) ->
        { ModelParameter.create $"x{i}" ParameterKind.Nuisance 0.0 with
            Bounds = struct (low, high)
        })

let problem
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

let rosenbrocks: Problem list =
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

let disc: Problem =
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

let objectiveOf (p: Problem) : Objective =
    let block = ParameterBlock.ofVector "x" p.Parameters
    let x = ParameterBlock.leaf block

    let support =
        { Block = "x"; LogDensity = Expr.scalar 0.0; Violation = p.Violation x }

    Likelihood.create p.Name [ block ] (Density.Opaque(-(p.Function x), [])) Map.empty [ support ]
    |> Objective.ofLikelihood
