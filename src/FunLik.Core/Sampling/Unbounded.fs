namespace FunLik

#nowarn "9" // Objectives read and write by pointer

open System
open FSharp.NativeInterop

/// A density in parameters without bounds, for samplers that should neither turn back nor be refused at the edges of the support.
[<NoComparison; NoEquality>]
type Unbounded =
    {
        /// The lowest and the highest value of each parameter of the bounded density; infinite where there is none.
        Edges: struct (float * float)[]
        /// The density in the parameters without bounds.
        Objective: Objective
    }

/// Bounds by transformation: between two ends x = low + (high − low)/(1 + e⁻ᵘ), beyond one end x = low + eᵘ or x = high − eᵘ, and the density in
/// u has the factor |dx/du|: Stan Reference Manual, chapter "Constraint transforms".
[<RequireQualifiedAccess>]
module Unbounded =

    /// x, |dx/du|, its logarithm, and the derivative of that in u.
    let private map
        (struct (low: float, high: float))
        (u: float)
        : struct (float * float * float * float) =
        if Double.IsFinite low && Double.IsFinite high then
            // Of u and −u the one whose exponential is small: nothing overflows, and the nearer end is approached as closely as can be.
            let e = exp -(abs u)
            let part = (high - low) * e / (1.0 + e)

            struct ((if u < 0.0 then low + part else high - part),
                    part / (1.0 + e),
                    log (high - low) - abs u - 2.0 * Math.Log(1.0 + e),
                    float (sign -u) * (1.0 - e) / (1.0 + e))
        elif Double.IsFinite low then
            struct (low + exp u, exp u, u, 1.0)
        elif Double.IsFinite high then
            struct (high - exp u, exp u, u, 1.0)
        else
            struct (u, 1.0, 0.0, 0.0)

    /// Whether x falls where u grows.
    let private isFalling (struct (low: float, high: float)) : bool =
        not (Double.IsFinite low) && Double.IsFinite high

    let private inverse (struct (low: float, high: float)) (x: float) : float =
        if Double.IsFinite low && Double.IsFinite high then
            log ((x - low) / (high - x))
        elif Double.IsFinite low then
            log (x - low)
        elif Double.IsFinite high then
            log (high - x)
        else
            x

    /// Points of the bounded density, row-major, for points without bounds.
    let toBounded (unbounded: Unbounded) (points: float[]) : float[] =
        let n = unbounded.Edges.Length

        points
        |> Array.mapi (fun k u ->
            let struct (x, _, _, _) = map unbounded.Edges[k % n] u
            x)

    /// Points without bounds for points strictly between the edges, row-major.
    let ofBounded (unbounded: Unbounded) (points: float[]) : float[] =
        let n = unbounded.Edges.Length
        points |> Array.mapi (fun k x -> inverse unbounded.Edges[k % n] x)

    /// The logarithm of |dx/du| of all parameters together, at points without bounds, row-major.
    let logFactors (unbounded: Unbounded) (points: float[]) : float[] =
        points
        |> Array.chunkBySize unbounded.Edges.Length
        |> Array.map (fun row ->
            Array.map2
                (fun edges u ->
                    let struct (_, _, logFactor, _) = map edges u
                    logFactor)
                unbounded.Edges
                row
            |> Array.sum)

    /// The density of an objective whose support has these edges, one pair a parameter. Raises an error for edges that are not in order.
    let objective (edges: struct (float * float)[]) (bounded: Objective) : Unbounded =
        let n = bounded.Count

        let mistakes =
            if edges.Length <> n then
                [
                    Error.make ErrorKind.Shape "the edges of the support"
                    |> Error.found $"{edges.Length} pairs"
                    |> Error.expected $"{n}, one a parameter"
                ]
            else
                Array.zip bounded.Parameters edges
                |> Array.filter (fun (_, struct (low, high)) -> not (low < high))
                |> Array.map (fun (p, struct (low, high)) ->
                    Error.make ErrorKind.Value $"the edges of '{p.Name}'"
                    |> Error.found $"{low}, {high}"
                    |> Error.expected "the lower one first")
                |> List.ofArray

        if not mistakes.IsEmpty then
            raise (FunLikException mistakes)

        let parameters =
            bounded.Parameters
            |> Array.mapi (fun i p ->
                let struct (low, high) = p.Range

                let ends =
                    [ low; p.Nominal; high ]
                    |> List.map (inverse edges[i])
                    |> List.filter Double.IsFinite

                { ModelParameter.create
                      p.Name
                      p.Kind
                      (if ends.IsEmpty then 0.0 else ends[ends.Length / 2]) with
                    IsKinked = p.IsKinked
                })

        let evaluate
            (rows: int)
            (points: nativeptr<float>)
            (values: nativeptr<float>)
            (gradients: nativeptr<float>)
            (options: RunOptions)
            : unit =
            let at: float[] = Array.zeroCreate (rows * n)
            let factors: float[] = Array.zeroCreate rows

            for k in 0 .. rows * n - 1 do
                let struct (x, _, logFactor, _) = map edges[k % n] (NativePtr.get points k)
                at[k] <- x
                factors[k / n] <- factors[k / n] + logFactor

            use inside = fixed &at[0]
            bounded.Evaluate(rows, inside, values, gradients, options)

            for r in 0 .. rows - 1 do
                NativePtr.set values r (NativePtr.get values r + factors[r])

            if not (NativePtr.isNullPtr gradients) then
                for k in 0 .. rows * n - 1 do
                    let struct (_, slope, _, growth) = map edges[k % n] (NativePtr.get points k)
                    let signed = if isFalling edges[k % n] then -slope else slope
                    NativePtr.set gradients k (NativePtr.get gradients k * signed + growth)

        {
            Edges = edges
            Objective =
                { new Objective(parameters) with
                    member _.HasGradient = bounded.HasGradient
                    member _.IsConcurrent = bounded.IsConcurrent
                    member _.Expression = None

                    member _.Evaluate(rows, points, values, gradients, options) =
                        if rows > 0 then
                            evaluate rows points values gradients options
                }
        }
