namespace FunLik

open System
open MathNet.Numerics
open MathNet.Numerics.Distributions

/// What a model of terms predicts for its data, compiled.
[<NoComparison; NoEquality>]
type Predictor =
    {
        /// The model.
        Model: Likelihood
        /// The names and sizes of its data, in the order of rows.
        Data: (string * int) list
        /// Whether each element of a row is a count; else it is normal.
        IsCount: bool[]
        /// Means, and widths of what is normal (0 of counts), of a row of parameters.
        Session: Session<float>
    }

    /// Numbers of a row of data.
    member this.Size: int = this.IsCount.Length

/// Data that a model predicts: expected ones (Asimov data), and random ones (toys). A row has the data of all terms one behind the other, main
/// and auxiliary.
[<RequireQualifiedAccess>]
module Simulate =

    let private whole (term: Term) (e: Expr) : Expr =
        if e.Shape = term.Shape then e else Expr.fill term.Shape e

    /// Prepares a model; an opaque one is refused.
    let prepare (model: Likelihood) : Predictor =
        let terms = Likelihood.terms "the data that a model predicts" model

        let means = terms |> List.map (fun t -> whole t t.Expectation) |> Expr.concat

        let widths =
            terms
            |> List.map (fun t ->
                match t.Distribution with
                | Distribution.Poisson -> Expr.fill t.Shape (Expr.scalar 0.0)
                | Distribution.Normal sigma -> whole t sigma)
            |> Expr.concat

        {
            Model = model
            Data = terms |> List.map (fun t -> t.Name, Shape.size t.Shape)
            IsCount =
                terms
                |> List.map (fun t -> Array.create (Shape.size t.Shape) t.Distribution.IsPoisson)
                |> Array.concat
            Session = Objective.session model [ "mean", means; "width", widths ]
        }

    /// The observed data as a row.
    let observed (predictor: Predictor) : float[] =
        predictor.Data
        |> List.map (fun (name, _) -> predictor.Model.Data[name])
        |> Array.concat

    /// The expected data at points and the widths of what is normal (0 of counts), row by row.
    let predict
        (options: RunOptions)
        (predictor: Predictor)
        (points: float[])
        : struct (float[] * float[]) =
        let count = (Likelihood.parameters predictor.Model).Length

        let found =
            predictor.Session.Evaluate(points.Length / max 1 count, [| points |], options)

        struct (found[0], found[1])

    /// The expected data at points, row by row: Asimov data.
    let expected (options: RunOptions) (predictor: Predictor) (points: float[]) : float[] =
        let struct (means, _) = predict options predictor points
        means

    /// The smallest count whose cumulative probability is u or more.
    let private poissonQuantile (mean: float) (u: float) : float =
        if not (mean > 0.0) then
            0.0
        else
            let z = Normal.InvCDF(0.0, 1.0, u)
            let guess = mean + sqrt mean * z + (z * z - 1.0) / 6.0
            let mutable k = max 0.0 (floor guess)
            let mutable below = SpecialFunctions.GammaUpperRegularized(k + 1.0, mean)
            let mutable p = exp (k * log mean - mean - SpecialFunctions.GammaLn(k + 1.0))

            while below < u && p > 0.0 do
                k <- k + 1.0
                p <- p * mean / k
                below <- below + p

            while k > 0.0 && below - p >= u do
                below <- below - p
                p <- p * k / mean
                k <- k - 1.0

            k

    /// Toys at one point: rows of random data from a first row on, row r from `Key.fold r`.
    let toys
        (options: RunOptions)
        (predictor: Predictor)
        (point: float[])
        (first: int)
        (count: int)
        (key: Key)
        : float[] =
        let struct (means, widths) = predict options predictor point
        let size = predictor.Size
        let all = Array.zeroCreate<float>(count * size)

        for r in 0 .. count - 1 do
            let own = Key.fold (first + r) key
            let uniforms = Key.uniforms size (Key.fold 0 own)
            let normals = Key.normals size (Key.fold 1 own)

            for i in 0 .. size - 1 do
                all[r * size + i] <-
                    if predictor.IsCount[i] then
                        poissonQuantile means[i] uniforms[i]
                    else
                        means[i] + widths[i] * normals[i]

        all
