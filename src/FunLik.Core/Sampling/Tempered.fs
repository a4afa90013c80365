namespace FunLik

#nowarn "9" // Objectives read and write by pointer

open System
open System.Numerics.Tensors
open FSharp.NativeInterop

/// Labels of a density that chains of a flatter one have visited, density^β with β below 1: farther out than the posterior goes,
/// and over what separates its modes. Labels are of the density itself. Weights are density^(1−β), 1 at the centre: with them,
/// means over points are means over the posterior.
[<RequireQualifiedAccess>]
module Tempered =

    /// The tag of the labels.
    let tag: string = "tempered"

    /// What is wrong with an exponent.
    let check (beta: float) : Error list =
        if beta > 0.0 && beta <= 1.0 then
            []
        else
            [
                Error.make ErrorKind.Value "the exponent of tempered chains"
                |> Error.found $"{beta}"
                |> Error.expected "above 0, and 1 or less"
            ]

    /// The log density times β, with its gradient. Raises an error for an exponent that makes no sense.
    let objective (beta: float) (inner: Objective) : Objective =
        match check beta with
        | [] -> ()
        | errors -> raise (FunLikException errors)

        let scale (values: nativeptr<float>) (count: int) : unit =
            let span = Span<float>(NativePtr.toVoidPtr values, count)
            TensorPrimitives.Multiply(Span.op_Implicit span, beta, span)

        { new Objective(inner.Parameters) with
            member _.HasGradient = inner.HasGradient
            member _.IsConcurrent = inner.IsConcurrent

            member _.Expression =
                inner.Expression |> Option.map (fun (theta, y, v) -> theta, beta * y, v)

            member _.Evaluate(rows, points, values, gradients, options) =
                inner.Evaluate(rows, points, values, gradients, options)
                scale values rows

                if not (NativePtr.isNullPtr gradients) then
                    scale gradients (rows * inner.Count)
        }

    /// What chains of the tempered density found at a set's points, as labels of the density itself: one value and one gradient a point
    /// are evaluated. `reference` is the log density at which the weight is 1.
    let relabel
        (options: RunOptions)
        (inner: Objective)
        (beta: float)
        (reference: float)
        (set: LabelSet)
        : LabelSet =
        if set.Count = 0 then
            set
        else
            let struct (values, gradients) = inner.ValuesAndGradients(set.Points, options)

            { set with
                LogDensity = values
                Gradient = gradients
                Weights =
                    Array.map2
                        (fun w y -> w * exp ((1.0 - beta) * (y - reference)))
                        set.Weights
                        values
                Tags = Array.create set.Count tag
            }

    /// The steps of `Design.posterior` on the tempered density, with labels of the density itself. Evaluations of the labels are among those
    /// of the sampling. `start` and its arguments are those of `Design.start` on `objective beta inner`.
    let labels
        (options: RunOptions)
        (inner: Objective)
        (beta: float)
        (design: PosteriorDesign)
        (centre: float[])
        (key: Key)
        (state: PosteriorState)
        : seq<PosteriorStep> =
        let reference = (inner.Values(centre, options))[0]

        Design.posterior options (objective beta inner) design key state
        |> Seq.map (fun step ->
            { step with
                Train = relabel options inner beta reference step.Train
                Test = relabel options inner beta reference step.Test
            })
