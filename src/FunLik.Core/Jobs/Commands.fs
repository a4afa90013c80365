namespace FunLik

open System
open System.IO

/// How a command ends.
type Outcome =
    {
        /// 0 done, 2 bad input, 3 did not converge.
        ExitCode: int
        /// Writes what belongs on standard output.
        Output: Stream -> unit
        /// The lines that belong on standard error.
        Messages: string list
    }

/// The command line from its arguments to its outcome. Nothing is printed here.
[<RequireQualifiedAccess>]
module Commands =

    /// Bad input.
    [<Literal>]
    let BadInput = 2

    /// Something that was to converge did not.
    [<Literal>]
    let NotConverged = 3

    let private read (source: ModelSource) : Result<LoadedModel, Error list> =
        ModelFile.read source.File source.Options

    let private perform (context: VerbContext) (verb: Verb) : Result<Report, Error list> =
        match verb with
        | Verb.Eval(source, request) ->
            read source
            |> Result.bind (fun model ->
                PointsFile.load (Likelihood.names model.Likelihood) request.Points
                |> Result.map (fun points ->
                    model.Likelihood
                    |> Evaluation.run context request.Gradient points
                    |> Evaluation.report))
        | Verb.Inspect source when File.Exists(Path.Combine(source.File, Bundle.cardFile)) ->
            Verifying.inspect context source.File
        | Verb.Inspect source -> read source |> Result.map (Inspection.report context source.File)
        | Verb.Fit(source, request) ->
            read source
            |> Result.map (fun model ->
                Fitting.run context request model.Likelihood |> Fitting.report request)
        | Verb.Scan(source, request) ->
            read source
            |> Result.map (fun model ->
                Scanning.run context request model.Likelihood |> Scanning.report)
        | Verb.Profile(source, request) ->
            read source
            |> Result.bind (fun model ->
                PointsFile.load (Array.ofList request.Keep) request.Points
                |> Result.map (fun points ->
                    model.Likelihood
                    |> Profiling.run context request.Keep points
                    |> Profiling.report request.Keep))
        | Verb.Interval(source, request) ->
            read source
            |> Result.map (fun model ->
                Bounding.run context request model.Likelihood |> Bounding.report)
        | Verb.Contour(source, request) ->
            read source
            |> Result.map (fun model ->
                Contouring.run context request model.Likelihood |> Contouring.report)
        | Verb.Impacts(source, poi) ->
            read source
            |> Result.map (fun model -> Ranking.run context poi model.Likelihood |> Ranking.report)
        | Verb.Cls(source, request, mu) ->
            read source
            |> Result.map (fun model -> Testing.cls context request mu model.Likelihood)
        | Verb.Limit(source, request, level) ->
            read source
            |> Result.map (fun model -> Testing.limit context request level model.Likelihood)
        | Verb.Toys(source, request) ->
            read source
            |> Result.map (fun model -> Testing.toys context request model.Likelihood)
        | Verb.Sample(source, request) ->
            JobContext.subject { Model = Some source; Data = None }
            |> Result.bind (Drawing.run context request)
        | Verb.Train request -> Learning.run context request
        | Verb.Validate(against, request) -> Validating.run context against request
        | Verb.Verify bundle -> Verifying.run context bundle
        | Verb.Run job ->
            Job.load job
            |> Result.bind (Pipeline.run context)
            |> Result.bind (Pipeline.report Pipeline.cardJson)

    let private textOutput (lines: string list) (stream: Stream) : unit =
        use writer =
            new StreamWriter(stream, Text.UTF8Encoding false, -1, true, NewLine = "\n")

        for line in lines do
            writer.WriteLine line

    let private failed (json: bool) (errors: Error list) (usage: string option) : Outcome =
        {
            ExitCode = BadInput
            Output =
                if json then
                    fun stream -> JsonValue.writeLine stream (Report.ofErrors errors)
                else
                    ignore
            Messages =
                if json then
                    []
                else
                    (errors |> List.map (fun error -> $"error: {error}")) @ Option.toList usage
        }

    let private said (json: bool) (report: Report) : Outcome =
        {
            ExitCode = if report.Converged then 0 else NotConverged
            Output =
                if json then
                    fun stream -> JsonValue.writeLine stream report.Json
                else
                    textOutput report.Text
            Messages = report.Notes |> List.map (fun note -> $"note: {note}")
        }

    /// Whether a command line asks for JSON, readable or not.
    let wantsJson (arguments: string seq) : bool = arguments |> Seq.contains "--json"

    /// Does what a command line asks for, its arguments without the program's name. Cancellation is raised as
    /// `OperationCanceledException`.
    let run (context: VerbContext) (arguments: string seq) : Outcome =
        let plain (text: string) : Outcome =
            { ExitCode = 0; Output = textOutput [ text ]; Messages = [] }

        match Arguments.parse (List.ofSeq arguments) with
        | Result.Error mistake -> failed (wantsJson arguments) mistake.Errors (Some mistake.Usage)
        | Ok Command.Version -> plain $"funlik {Version.current}"
        | Ok(Command.Help text) -> plain text
        | Ok(Command.Verb(verb, json, threads)) ->
            let options =
                { context.Options with
                    Threads = threads |> Option.defaultValue context.Options.Threads
                }

            try
                match perform { context with Options = options } verb with
                | Ok report -> said json report
                | Result.Error errors -> failed json errors None
            with FunLikException errors ->
                failed json errors None
