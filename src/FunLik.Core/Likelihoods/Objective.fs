namespace FunLik

open System
open System.Threading
open FSharp.NativeInterop

/// What only needs numbers: values of a log density, and its gradient where there is one. A likelihood gives one; so do a profile, a
/// user's function, a session of another runtime, a table.
[<AbstractClass>]
type Objective(parameters: ModelParameter[]) =

    /// The parameters in the order of a point.
    member _.Parameters: ModelParameter[] = parameters

    /// The number of parameters.
    member _.Count: int = parameters.Length

    /// Whether gradients are exact; else they are central differences.
    abstract HasGradient: bool

    /// The vector of parameters, the log density inside its support and the scalar that is above 0 outside, where they are known as
    /// expressions: engines then do without calling back.
    abstract Expression: (Expr * Expr * Expr) option

    /// Whether `Evaluate` may be called from several threads at once. Unless it says so, it may not.
    abstract IsConcurrent: bool

    default _.IsConcurrent = false

    /// Evaluates `rows` points (row-major) into values (-∞ outside of the support) and, unless it is null, gradients (row-major).
    abstract Evaluate:
        rows: int *
        points: nativeptr<float> *
        values: nativeptr<float> *
        gradients: nativeptr<float> *
        options: RunOptions ->
            unit

    /// Values at points, row-major.
    member this.Values(points: float[], options: RunOptions) : float[] =
        let rows = points.Length / max 1 this.Count
        let values = Array.zeroCreate rows
        use p = fixed points
        use v = fixed values
        this.Evaluate(rows, p, v, NativePtr.nullPtr, options)
        values

    /// Values and gradients at points, row-major.
    member this.ValuesAndGradients
        (points: float[], options: RunOptions)
        : struct (float[] * float[]) =
        let rows = points.Length / max 1 this.Count
        let values = Array.zeroCreate rows
        let gradients = Array.zeroCreate points.Length
        use p = fixed points
        use v = fixed values
        use g = fixed gradients
        this.Evaluate(rows, p, v, g, options)
        struct (values, gradients)

/// Making objectives.
[<RequireQualifiedAccess>]
module Objective =

    /// The bindings of a model's kernels: parameters are rows, data are constants.
    let binding (model: Likelihood) (name: string) : Binding =
        match model.Data.TryFind name with
        | Some values -> Binding.Constant values
        | None -> Binding.Row

    let private outside = Expr.scalar -infinity

    /// Puts the model's data into expressions, so that what depends on them alone is computed once, and zeros vanish.
    let private withDataFolded (model: Likelihood) (outputs: Expr list) : Expr list =
        let constant (node: Expr) : Expr option =
            match node.Node with
            | Node.Input(name, (Role.Datum | Role.Auxiliary)) ->
                model.Data.TryFind name
                |> Option.map (fun v ->
                    if node.Shape = Scalar then
                        Expr.scalar v[0]
                    else
                        Expr.vector v)
            | _ -> None

        Expr.substitute constant outputs

    /// Compiles expressions of a model's blocks into a kernel of one row input, the vector of parameters.
    let session (model: Likelihood) (outputs: (string * Expr) list) : Session<float> =
        let theta, substitute = Likelihood.overTheta model
        let zero = 0.0 * Expr.item 0 theta

        let overTheta =
            outputs
            |> List.map snd
            |> withDataFolded model
            |> substitute
            |> List.map (fun e -> if e.IsRow then e else e + zero)

        List.zip (outputs |> List.map fst) overTheta
        |> Program.ofOutputs
        |> Engine.compile (binding model)
        |> fun kernel -> kernel.Bind()

    /// The log density of a model, -∞ outside of its support.
    let ofLikelihood (model: Likelihood) : Objective =
        let inside = Likelihood.logDensity model
        let violation = (Likelihood.parts model).Violation
        let value = Expr.select (Expr.less (Expr.scalar 0.0) violation) outside inside
        let values = lazy (session model [ "logDensity", value ])

        let both =
            lazy
                (session model [ "logDensity", value; "gradient", Likelihood.gradient model inside ])

        let theta, substitute = Likelihood.overTheta model

        { new Objective(Likelihood.parameters model) with
            member _.HasGradient = true
            member _.IsConcurrent = true

            member _.Expression =
                match [ inside; violation ] |> withDataFolded model |> substitute with
                | [ y; v ] -> Some(theta, y, v)
                | _ -> None

            member _.Evaluate(rows, points, results, gradients, options) =
                if NativePtr.isNullPtr gradients then
                    values.Value.Run(rows, [| points |], [| results |], options)
                else
                    both.Value.Run(rows, [| points |], [| results; gradients |], options)
        }

    /// A user's function from a point to a log density; gradients are differences
    /// unless given, central where the bounds leave room.
    let ofFunction
        (parameters: ModelParameter[])
        (value: float[] -> float)
        (gradient: (float[] -> float[]) option)
        : Objective =
        let n = parameters.Length

        let differences (x: float[]) : float[] =
            let moved = Array.copy x

            Array.init n (fun i ->
                let h = Math.Cbrt 2.2e-16 * max 1.0 (abs x[i])
                let struct (low, high) = parameters[i].Bounds
                let isInside = x[i] >= low && x[i] <= high
                let last = if isInside then min high (x[i] + h) else x[i] + h
                let first = if isInside then max low (x[i] - h) else x[i] - h
                moved[i] <- last
                let above = value moved
                moved[i] <- first
                let below = value moved
                moved[i] <- x[i]

                if last > first then
                    (above - below) / (last - first)
                else
                    0.0)

        { new Objective(parameters) with
            member _.HasGradient = gradient.IsSome
            member _.Expression = None

            member _.Evaluate(rows, points, results, gradients, options) =
                for r in 0 .. rows - 1 do
                    options.Cancellation.ThrowIfCancellationRequested()
                    let x = Array.init n (fun i -> NativePtr.get points (r * n + i))
                    NativePtr.set results r (value x)

                    if not (NativePtr.isNullPtr gradients) then
                        let g = (gradient |> Option.defaultValue differences) x

                        for i in 0 .. n - 1 do
                            NativePtr.set gradients (r * n + i) g[i]
        }
