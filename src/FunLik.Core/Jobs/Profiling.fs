namespace FunLik

/// `funlik profile`.
[<RequireQualifiedAccess>]
module Profiling =

    /// What was found: the names of all parameters, the points, and their Hessians if these were asked for.
    type Found =
        {
            /// The names of all parameters.
            Names: string[]
            /// The profiled points.
            Points: ProfiledPoints
            /// Hessians of the profiled twiceNll in the kept parameters, point by point.
            Hessians: float[] option[] option
        }

    /// From so many points on it pays to learn from some of them where the others go.
    let private pointsToLearn = 8192

    /// Profiles a model at points of the kept parameters, row-major. Priors stay.
    let run
        (context: VerbContext)
        (request: ProfileRequest)
        (points: float[])
        (model: Likelihood)
        : Found =
        let keep = request.Keep

        for name in keep do
            Profile.indexOf name (Likelihood.parameters model) |> ignore

        context.Progress { Stage = "profiling"; Done = 0L; Total = 0L }
        let fitter = Objective.ofLikelihood model |> Fitter.ofObjective
        let best = Fitter.fit { FitOptions.Default with Run = context.Options } fitter

        let prepared = Profiler.prepareAt ProfilerOptions.Default keep best.Point fitter

        let profiler =
            if points.Length / keep.Length >= pointsToLearn then
                Profiler.learn ResponseOptions.Default points context.Options prepared
            else
                prepared

        let found = Profiler.evaluate profiler points context.Options

        {
            Names = Likelihood.names model
            Points = found
            Hessians =
                if request.Hessian then
                    Some(Profile.hessians context.Options profiler found)
                else
                    None
        }

    let private json (keep: string list) (answer: Found) : JsonValue =
        let names, found = answer.Names, answer.Points

        let rows (width: int) (values: float[]) : JsonValue =
            values
            |> Array.chunkBySize width
            |> Array.map JsonValue.Numbers
            |> List.ofArray
            |> JsonValue.List

        let hessians =
            answer.Hessians
            |> Option.map (fun all ->
                "hessian",
                all
                |> Array.map (JsonValue.ofOption (rows keep.Length))
                |> List.ofArray
                |> JsonValue.List)
            |> Option.toList

        JsonValue.Object(
            [
                "keep", JsonValue.ofTexts keep
                "logDensity", JsonValue.Numbers found.Values
                "gradient", rows keep.Length found.Gradients
                "parameters", JsonValue.ofTexts names
                "points", rows names.Length found.Points
                "status", found.Statuses |> Array.map Fitting.statusName |> JsonValue.ofTexts
                "gradientNorm", JsonValue.Numbers found.GradientNorms
                "edm", JsonValue.Numbers found.Edms
                "evaluations", JsonValue.Int(int64 found.Evaluations)
            ]
            @ hessians
        )

    /// Tables for people end after this many points.
    let private shown = 50

    /// What the verb says.
    let report (keep: string list) (answer: Found) : Report =
        let names, found = answer.Names, answer.Points
        let places = keep |> List.map (fun name -> System.Array.IndexOf(names, name))

        let row (r: int) : string list =
            [
                for i in places do
                    TextTable.significant 8 found.Points[r * names.Length + i]
                TextTable.fixedPoint 8 found.Values[r]
                for k in 0 .. keep.Length - 1 do
                    TextTable.significant 6 found.Gradients[r * keep.Length + k]
                Fitting.statusName found.Statuses[r]
            ]

        let columns =
            (keep |> List.map TextTable.numbers)
            @ [ TextTable.numbers "log density" ]
            @ (keep |> List.map (fun name -> TextTable.numbers $"d/d {name}"))
            @ [ TextTable.words "status" ]

        let rows = found.Values.Length

        {
            Converged = found.Statuses |> Array.forall _.IsConverged
            Json = json keep answer
            Text =
                TextTable.lines columns (List.init (min rows shown) row)
                @ [
                    if rows > shown then
                        $"… and {TextTable.count (int64 (rows - shown))} more points: --json prints all"
                    "the largest log density over all other parameters, and its gradient"
                ]
            Notes = []
        }
