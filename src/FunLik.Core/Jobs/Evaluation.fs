namespace FunLik

open System

/// A log density at points, and its parts. Natural logarithms, all constants kept.
type Evaluation =
    {
        /// The names of the parameters in the model's order.
        Parameters: string[]
        /// The log density; -∞ where it is zero.
        LogDensity: float[]
        /// Main measurement and constraint; None where the density does not split.
        Parts: (float[] * float[]) option
        /// The priors.
        Prior: float[]
        /// Whether the density is zero.
        Outside: bool[]
        /// The gradients of the log density, point after point, if they were asked for.
        Gradient: float[] option
    }

/// `funlik eval`.
[<RequireQualifiedAccess>]
module Evaluation =

    /// Points that are evaluated between two reports of progress.
    let private block = 8192

    /// Evaluates points, one row a point in the model's order.
    let run
        (context: VerbContext)
        (gradient: bool)
        (points: float[])
        (model: Likelihood)
        : Evaluation =
        let names = Likelihood.names model
        let rows = points.Length / max 1 names.Length
        let inside = Likelihood.logDensity model
        let parts = Likelihood.parts model

        let outputs =
            [ "logDensity", inside; "violation", parts.Violation; "prior", parts.Prior ]
            @ (match parts.Constraint with
               | Some c -> [ "main", parts.Main; "constraint", c ]
               | None -> [])
            @ (if gradient then
                   [ "gradient", Likelihood.gradient model inside ]
               else
                   [])

        let session = Objective.session model outputs

        let all =
            outputs |> List.map (fun (_, e) -> Array.zeroCreate (rows * Shape.size e.Shape))

        for first in 0..block .. rows - 1 do
            let count = min block (rows - first)

            let results =
                session.Evaluate(
                    count,
                    [| Array.sub points (first * names.Length) (count * names.Length) |],
                    context.Options
                )

            List.iteri2
                (fun k (_, e: Expr) (target: float[]) ->
                    Array.blit
                        results[k]
                        0
                        target
                        (first * Shape.size e.Shape)
                        (count * Shape.size e.Shape))
                outputs
                all

            context.Progress
                { Stage = "evaluating"; Done = int64 (first + count); Total = int64 rows }

        let values = List.zip (outputs |> List.map fst) all |> Map.ofList
        let outside = values["violation"] |> Array.map (fun v -> v > 0.0)

        {
            Parameters = names
            LogDensity =
                (outside, values["logDensity"])
                ||> Array.map2 (fun isOutside y -> if isOutside then -infinity else y)
            Parts = values.TryFind "main" |> Option.map (fun main -> main, values["constraint"])
            Prior = values["prior"]
            Outside = outside
            Gradient = values.TryFind "gradient"
        }

    let private json (evaluation: Evaluation) : JsonValue =
        let inside (values: float[]) : JsonValue =
            (evaluation.Outside, values)
            ||> Array.map2 (fun isOutside y -> if isOutside then nan else y)
            |> JsonValue.Numbers

        let part (choose: float[] * float[] -> float[]) : JsonValue =
            match evaluation.Parts with
            | Some parts -> inside (choose parts)
            | None -> JsonValue.Null

        let gradient (values: float[]) : JsonValue =
            Array.chunkBySize evaluation.Parameters.Length values
            |> Array.map2
                (fun isOutside row -> if isOutside then JsonValue.Null else JsonValue.Numbers row)
                evaluation.Outside
            |> List.ofArray
            |> JsonValue.List

        JsonValue.Object(
            [
                "parameters", JsonValue.ofTexts evaluation.Parameters
                "logDensity", inside evaluation.LogDensity
                "main", part fst
                "constraint", part snd
                "prior",
                (if evaluation.Parts.IsSome then
                     inside evaluation.Prior
                 else
                     JsonValue.Null)
                "outside",
                evaluation.Outside |> Array.map JsonValue.Bool |> List.ofArray |> JsonValue.List
            ]
            @ (match evaluation.Gradient with
               | Some values -> [ "gradient", gradient values ]
               | None -> [])
        )

    /// Tables for people end after this many points.
    let private shown = 50

    let private text (evaluation: Evaluation) : string list =
        let rows = evaluation.LogDensity.Length
        let count = evaluation.Parameters.Length

        let columns =
            [ "log density", evaluation.LogDensity ]
            @ (match evaluation.Parts with
               | Some(main, constraints) ->
                   [ "main", main; "constraint", constraints; "prior", evaluation.Prior ]
               | None -> [])
            @ (match evaluation.Gradient with
               | Some values ->
                   [
                       "|gradient|",
                       Array.chunkBySize count values
                       |> Array.map (fun row -> row |> Array.sumBy (fun g -> g * g) |> sqrt)
                   ]
               | None -> [])

        let row (i: int) : string list =
            string (i + 1)
            :: (columns
                |> List.map (fun (name, values) ->
                    if not evaluation.Outside[i] then
                        TextTable.fixedPoint 8 values[i]
                    elif name = "log density" then
                        "-∞"
                    else
                        ""))

        TextTable.lines
            (TextTable.numbers "point" :: (columns |> List.map (fst >> TextTable.numbers)))
            (List.init (min shown rows) row)
        @ [
            if rows > shown then
                $"… and {TextTable.count (int64 (rows - shown))} more points: --json prints all"
            if Array.contains true evaluation.Outside then
                "-∞: the density is zero there"
            "natural logarithms, all constants kept"
        ]

    /// What the verb says.
    let report (evaluation: Evaluation) : Report =
        let strange =
            (evaluation.Outside, evaluation.LogDensity)
            ||> Array.map2 (fun isOutside y -> not isOutside && not (Double.IsFinite y))
            |> Array.filter id
            |> Array.length

        {
            Converged = true
            Json = json evaluation
            Text = text evaluation
            Notes =
                if strange = 0 then
                    []
                else
                    [
                        $"the log density of {strange} points inside the support is not a finite number"
                    ]
        }
