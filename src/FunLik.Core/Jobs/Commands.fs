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

/// What a verb has to say, and how its page is made, if it has one.
type private Said = { Report: Report; Page: (unit -> Page) option }

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

    /// What a verb without a page says.
    let private alone (said: Result<Report, Error list>) : Result<Said, Error list> =
        said |> Result.map (fun report -> { Report = report; Page = None })

    /// What a verb says, and its page.
    let private both
        (report: 'T -> Report)
        (page: string -> 'T -> Page)
        (model: Likelihood)
        (found: 'T)
        : Said =
        { Report = report found; Page = Some(fun () -> page model.Name found) }

    let private perform (context: VerbContext) (verb: Verb) : Result<Said, Error list> =
        match verb with
        | Verb.Eval(source, request) ->
            read source
            |> Result.bind (fun model ->
                PointsFile.load (Likelihood.names model.Likelihood) request.Points
                |> Result.map (fun points ->
                    model.Likelihood
                    |> Evaluation.run context request.Gradient points
                    |> Evaluation.report))
            |> alone
        | Verb.Inspect source when File.Exists(Path.Combine(source.File, Bundle.cardFile)) ->
            Verifying.inspect context source.File |> alone
        | Verb.Inspect source ->
            read source |> Result.map (Inspection.report context source.File) |> alone
        | Verb.Fit(source, request) ->
            read source
            |> Result.map (fun model ->
                let request = Fitting.resolved request model.Likelihood
                Fitting.run context request model.Likelihood |> Fitting.report request)
            |> alone
        | Verb.Scan(source, request) ->
            read source
            |> Result.map (fun model ->
                Scanning.run context request model.Likelihood
                |> both Scanning.report ResultPage.ofScan model.Likelihood)
        | Verb.DrawScan(source, request) ->
            match source with
            | Some source -> read source |> Result.map (fun model -> Some model.Likelihood)
            | None -> Ok None
            |> Result.bind (DrawScanning.run context request)
            |> Result.map DrawScanning.report
            |> alone
        | Verb.Profile(source, request) ->
            read source
            |> Result.bind (fun model ->
                PointsFile.load (Array.ofList request.Keep) request.Points
                |> Result.map (fun points ->
                    model.Likelihood
                    |> Profiling.run context request points
                    |> both
                        (Profiling.report request.Keep)
                        (fun model found ->
                            ResultPage.ofProfile request.Keep model (found.Names, found.Points))
                        model.Likelihood))
        | Verb.Interval(source, request) ->
            read source
            |> Result.map (fun model ->
                Bounding.run context request model.Likelihood
                |> both Bounding.report ResultPage.ofIntervals model.Likelihood)
        | Verb.ToyInterval(source, request, plan) ->
            read source
            |> Result.map (fun model ->
                ToyBounding.run context request plan model.Likelihood |> ToyBounding.report plan)
            |> alone
        | Verb.Recheck(against, bundle, request) ->
            Validation.map2 (fun read model -> read, model) (Bundle.read bundle) (read against)
            |> Result.bind (fun (surrogate: Bundle, model: LoadedModel) ->
                JobContext.sameParameters
                    "the surrogate is"
                    bundle
                    (Likelihood.names surrogate.Likelihood)
                    model.Likelihood
                |> Result.map (fun () ->
                    Rechecking.run context request surrogate.Likelihood model.Likelihood
                    |> Rechecking.report))
            |> alone
        | Verb.Contour(source, request) ->
            read source
            |> Result.map (fun model ->
                Contouring.run context request model.Likelihood
                |> both Contouring.report ResultPage.ofContours model.Likelihood)
        | Verb.Impacts(source, request) ->
            read source
            |> Result.map (fun model ->
                Ranking.run context request model.Likelihood
                |> both Ranking.report ResultPage.ofImpacts model.Likelihood)
        | Verb.Cls(source, request, mu) ->
            read source
            |> Result.map (fun model -> Testing.cls context request mu model.Likelihood)
            |> alone
        | Verb.Limit(source, request, level) ->
            read source
            |> Result.map (fun model ->
                let report, page = Testing.limit context request level model.Likelihood
                { Report = report; Page = Some page })
        | Verb.Toys(source, request) ->
            read source
            |> Result.map (fun model ->
                let report, page = Testing.toys context request model.Likelihood
                { Report = report; Page = Some page })
        | Verb.Gof(source, request) ->
            read source
            |> Result.map (fun model -> Examining.gof context request model.Likelihood)
            |> alone
        | Verb.Wilks(source, request) ->
            read source
            |> Result.map (fun model -> Examining.wilks context request model.Likelihood)
            |> alone
        | Verb.Sample(source, request) ->
            JobContext.subject { Model = Some source; Data = None }
            |> Result.bind (Drawing.run context request)
            |> alone
        | Verb.Design(source, request) -> Designing.run context request source |> alone
        | Verb.Train request -> Learning.run context request |> alone
        | Verb.Validate(against, request) -> Validating.run context against request |> alone
        | Verb.Check(against, request) -> Checking.run context against request |> alone
        | Verb.Verify bundle -> Verifying.run context bundle |> alone
        | Verb.Summary request ->
            Summarising.run context request
            |> Result.map (fun (report, page) -> { Report = report; Page = Some page })
        | Verb.Reweight request -> Reweighting.run context request |> alone
        | Verb.Run job ->
            Job.load job
            |> Result.bind (Pipeline.run context)
            |> Result.bind (Pipeline.report Pipeline.cardJson)
            |> alone

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

    /// Verbs that have a page.
    let private hasPage (verb: Verb) : bool =
        match verb with
        | Verb.Scan _
        | Verb.Profile _
        | Verb.Interval _
        | Verb.Contour _
        | Verb.Impacts _
        | Verb.Limit _
        | Verb.Toys _
        | Verb.Summary _ -> true
        | _ -> false

    let private noPage: Error list =
        [
            Error.make ErrorKind.Usage "there is no page of this"
            |> Error.at "--page"
            |> Error.hint "Pages are of scans and intervals of a model by χ²."
        ]

    /// What keeps a page from being written, as far as that is known before the work is done.
    let private unwritable (file: string) : Error list =
        let refuse (what: string) : Error list =
            [
                Error.make ErrorKind.FileUnreadable what
                |> Error.withFile file
                |> Error.at "--page"
            ]

        if Directory.Exists file then
            refuse "a folder, and not a file"
        elif Path.GetFullPath file |> Path.GetDirectoryName |> Directory.Exists |> not then
            refuse "the folder of the page is not there"
        else
            []

    /// Writes the page, if one is asked for.
    let private written
        (context: VerbContext)
        (file: string option)
        (said: Said)
        : Result<Report, Error list> =
        match file, said.Page with
        | Some file, Some page ->
            context.Progress { Stage = "writing the page"; Done = 0L; Total = 0L }
            Page.write file (page ()) |> Result.map (fun () -> said.Report)
        | Some _, None -> Result.Error noPage
        | None, _ -> Ok said.Report

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
        | Ok(Command.Verb(verb, json, Some _, _)) when not (hasPage verb) -> failed json noPage None
        | Ok(Command.Verb(_, json, Some file, _)) when not (unwritable file).IsEmpty ->
            failed json (unwritable file) None
        | Ok(Command.Verb(verb, json, page, threads)) ->
            let options =
                { context.Options with
                    Threads = threads |> Option.defaultValue context.Options.Threads
                }

            try
                let context = { context with Options = options }

                match perform context verb |> Result.bind (written context page) with
                | Ok report -> said json report
                | Result.Error errors -> failed json errors None
            with FunLikException errors ->
                failed json errors None
