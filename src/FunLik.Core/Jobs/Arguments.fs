namespace FunLik

open System
open System.Globalization
open Argu
open FunLik.ArgumentForms

/// Where a model comes from.
type ModelSource =
    {
        /// The model's file.
        File: string
        /// What goes with it.
        Options: ModelOptions
    }

/// What `funlik eval` is asked.
type EvalRequest =
    {
        /// The file of points.
        Points: string
        /// Whether gradients are wanted.
        Gradient: bool
    }

/// What `funlik fit` is asked.
type FitRequest =
    {
        /// Parameters that stay at a value.
        Fix: (string * float) list
        /// The parameter of interest, where it is not the model's.
        Poi: string option
        /// The number of starts, where it is not what the model needs.
        Starts: int option
    }

/// What `funlik scan` is asked.
type ScanRequest =
    {
        /// The parameter.
        Parameter: string
        /// First value.
        From: float
        /// Last value.
        To: float
        /// Number of values.
        Count: int
        /// Whether the other pois stay at their nominal values.
        Frozen: bool
    }

/// What a verb is asked to do.
[<RequireQualifiedAccess>]
type Verb =
    | Eval of ModelSource * EvalRequest
    | Fit of ModelSource * FitRequest
    | Scan of ModelSource * ScanRequest
    | Inspect of ModelSource
    | Run of job: string

/// What a command line asks for.
[<RequireQualifiedAccess>]
type Command =
    /// The version in one line.
    | Version
    /// This text.
    | Help of text: string
    /// A verb, the form of its answer, and the threads it may use.
    | Verb of verb: Verb * json: bool * threads: int option

/// Why a command line is none: what is wrong, and how the verb is used.
type UsageError =
    {
        /// What is wrong.
        Errors: Error list
        /// How the command is used, in one or two lines.
        Usage: string
    }

/// The command line as a value.
[<RequireQualifiedAccess>]
module Arguments =

    let private wrong (place: string) (message: string) : Error =
        Error.make ErrorKind.Usage message |> Error.at place

    /// Argu's message without the word ERROR and the usage below it.
    let private firstLine (message: string) : string =
        let line = message.Split('\n').[0].Trim()

        if line.StartsWith "ERROR: " then line.Substring 7 else line

    /// The options of one kind among the arguments; unless strict, others may stand between them.
    let private extract<'T when 'T :> IArgParserTemplate>
        (command: string)
        (strict: bool)
        (arguments: string list)
        : Result<ParseResults<'T>, Error list> =
        try
            ArgumentParser
                .Create<'T>(programName = command)
                .ParseCommandLine(
                    List.toArray arguments,
                    ignoreUnrecognized = not strict,
                    raiseOnUsage = false
                )
            |> Ok
        with :? ArguParseException as e ->
            wrong command (firstLine e.Message) |> Error.fail

    let private text (option: string) (value: string) : Result<string, Error list> =
        if String.IsNullOrWhiteSpace value || value.StartsWith "--" then
            wrong option "the option needs a value"
            |> Error.found $"\"{value}\""
            |> Error.fail
        else
            Ok value

    let private number (option: string) (value: string) : Result<float, Error list> =
        match Double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture) with
        | true, x when Double.IsFinite x -> Ok x
        | _ ->
            wrong option "not a number"
            |> Error.found value
            |> Error.expected "a finite number, such as 0.5 or -1e-3"
            |> Error.fail

    let private whole (option: string) (least: int) (value: string) : Result<int, Error list> =
        match Int32.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture) with
        | true, n when n >= least -> Ok n
        | _ ->
            wrong option "not a usable count"
            |> Error.found value
            |> Error.expected $"a whole number from {least} on"
            |> Error.fail

    let private required (option: string) (value: 'T option) : Result<'T, Error list> =
        match value with
        | Some v -> Ok v
        | None -> wrong option "the option is missing" |> Error.fail

    let private optional
        (read: 'A -> Result<'B, Error list>)
        (value: 'A option)
        : Result<'B option, Error list> =
        match value with
        | Some v -> read v |> Result.map Some
        | None -> Ok None

    /// "NAME=VALUE": the last sign of equality separates.
    let private assignment (option: string) (given: string) : Result<string * float, Error list> =
        match given.LastIndexOf '=' with
        | k when k > 0 ->
            number $"{option} {given.Substring(0, k)}" (given.Substring(k + 1))
            |> Result.map (fun value -> given.Substring(0, k), value)
        | _ ->
            wrong option "not an assignment"
            |> Error.found given
            |> Error.expected "NAME=VALUE"
            |> Error.fail

    let private unique
        (option: string)
        (values: (string * 'T) list)
        : Result<(string * 'T) list, Error list> =
        let doubled =
            values
            |> List.countBy fst
            |> List.filter (fun (_, n) -> n > 1)
            |> List.map (fun (name, n) -> wrong option $"'{name}' is given {n} times")

        if doubled.IsEmpty then Ok values else Result.Error doubled

    let private interpolation (given: string) : Result<(string * string) list, Error list> =
        given.Split ','
        |> List.ofArray
        |> List.map (fun part ->
            match part.Trim().Split '=' with
            | [| kind; code |] when kind <> "" && code <> "" -> Ok(kind, code)
            | _ ->
                wrong "--interpolation" "not a choice of a code"
                |> Error.found part
                |> Error.expected "KIND=CODE, such as normsys=code1"
                |> Error.fail)
        |> Error.collect
        |> Result.bind (unique "--interpolation")

    let private modelSource (given: ParseResults<ModelArgument>) : Result<ModelSource, Error list> =
        let options =
            Validation.map3
                (fun patch scalings measurement codes ->
                    {
                        Patch = patch
                        Scalings = scalings
                        Measurement = measurement
                        Interpolation = Option.defaultValue [] codes
                    })
                (given.TryGetResult Patch |> optional (text "--patch"))
                (given.TryGetResult Scalings |> optional (text "--scalings"))
                (given.TryGetResult Measurement |> optional (text "--measurement"))
            |> Validation.apply (given.TryGetResult Interpolation |> optional interpolation)

        Validation.map2
            (fun file options -> { File = file; Options = options })
            (given.TryGetResult Model |> required "--model" |> Result.bind (text "--model"))
            options

    let private evalRequest (given: ParseResults<EvalArgument>) : Result<EvalRequest, Error list> =
        given.TryGetResult Points
        |> required "--points"
        |> Result.bind (text "--points")
        |> Result.map (fun points -> { Points = points; Gradient = given.Contains Gradient })

    let private fitRequest (given: ParseResults<FitArgument>) : Result<FitRequest, Error list> =
        let fixings =
            given.GetResults Fix
            |> List.map (assignment "--fix")
            |> Error.collect
            |> Result.bind (unique "--fix")

        Validation.map3
            (fun fixings poi starts -> { Fix = fixings; Poi = poi; Starts = starts })
            fixings
            (given.TryGetResult Poi |> optional (text "--poi"))
            (given.TryGetResult Starts |> optional (whole "--starts" 1))

    let private scanRequest (given: ParseResults<ScanArgument>) : Result<ScanRequest, Error list> =
        let check (request: ScanRequest) : Result<ScanRequest, Error list> =
            if request.From > request.To || (request.From = request.To && request.Count > 1) then
                wrong "--to" "the last value is not above the first"
                |> Error.found $"{request.To}"
                |> Error.expected $"more than {request.From}"
                |> Error.fail
            elif request.Count = 1 && request.From < request.To then
                wrong "--count" "one value cannot be both ends"
                |> Error.found "1"
                |> Error.expected "2 or more, or --from and --to the same"
                |> Error.fail
            else
                Ok request

        let need option read value = required option value |> Result.bind (read option)
        let count option = whole option 1

        Validation.map3
            (fun parameter first last count ->
                {
                    Parameter = parameter
                    From = first
                    To = last
                    Count = count
                    Frozen = given.Contains Frozen
                })
            (given.TryGetResult Parameter |> need "--parameter" text)
            (given.TryGetResult From |> need "--from" number)
            (given.TryGetResult To |> need "--to" number)
        |> Validation.apply (given.TryGetResult Count |> need "--count" count)
        |> Result.bind check

    let private runRequest (given: ParseResults<RunArgument>) : Result<string, Error list> =
        given.TryGetResult Job |> required "JOB.json" |> Result.bind (text "JOB.json")

    /// Takes the model's options out of the arguments, and reads the rest by the verb's own parser.
    let private ofModel<'T, 'R when 'T :> IArgParserTemplate>
        (request: ParseResults<'T> -> Result<'R, Error list>)
        (verb: ModelSource * 'R -> Verb)
        (command: string)
        (arguments: string list)
        : Result<Verb, Error list> =
        extract<ModelArgument> command false arguments
        |> Result.bind (fun model ->
            Validation.map2
                (fun source asked -> verb (source, asked))
                (modelSource model)
                (extract<'T> command true model.UnrecognizedCliParams |> Result.bind request))

    let private optionsText<'T when 'T :> IArgParserTemplate> () : string =
        ArgumentParser
            .Create<'T>()
            .PrintUsage(hideSyntax = true, usageStringCharacterWidth = 100)
            .Split('\n')
        |> Array.filter (fun line -> line.StartsWith ' ' && line.Trim() <> "")
        |> String.concat "\n"

    /// One verb: its name, what it does, its syntax, its options, and how its arguments are read.
    type private Form =
        {
            Name: string
            Summary: string
            Syntax: string
            Options: (unit -> string) list
            Read: string -> string list -> Result<Verb, Error list>
        }

    let private forms: Form list =
        [
            {
                Name = "eval"
                Summary = "the log density at points, its parts, its gradient"
                Syntax = "--model FILE --points FILE [--gradient]"
                Options = [ optionsText<EvalArgument>; optionsText<ModelArgument> ]
                Read = ofModel evalRequest Verb.Eval
            }
            {
                Name = "fit"
                Summary = "the largest log density and where it is"
                Syntax = "--model FILE [--fix NAME=VALUE].. [--poi NAME] [--starts N]"
                Options = [ optionsText<FitArgument>; optionsText<ModelArgument> ]
                Read = ofModel fitRequest Verb.Fit
            }
            {
                Name = "scan"
                Summary = "twice ΔNLL along a parameter, the others profiled"
                Syntax = "--model FILE --parameter NAME --from A --to B --count N [--frozen]"
                Options = [ optionsText<ScanArgument>; optionsText<ModelArgument> ]
                Read = ofModel scanRequest Verb.Scan
            }
            {
                Name = "inspect"
                Summary = "what a model's file holds, and what this machine has"
                Syntax = "--model FILE"
                Options = [ optionsText<ModelArgument> ]
                Read =
                    fun command arguments ->
                        extract<ModelArgument> command true arguments
                        |> Result.bind modelSource
                        |> Result.map Verb.Inspect
            }
            {
                Name = "run"
                Summary = "a whole job: sample, learn, check, publish"
                Syntax = "JOB.json"
                Options = [ optionsText<RunArgument> ]
                Read =
                    fun command arguments ->
                        extract<RunArgument> command true arguments
                        |> Result.bind runRequest
                        |> Result.map Verb.Run
            }
        ]

    /// How the program is used, in one line a verb.
    let overview: string =
        let width = forms |> List.map _.Name.Length |> List.max

        [ "funlik VERB [OPTIONS]"; "" ]
        @ (forms |> List.map (fun form -> $"  {form.Name.PadRight width}  {form.Summary}"))
        @ [
            ""
            "`funlik VERB --help` lists a verb's options, `funlik --version` prints the version."
            "Exit codes: 0 done, 2 bad input, 3 did not converge, 130 cancelled."
        ]
        |> String.concat "\n"

    let private usage (form: Form) : string =
        $"usage: funlik {form.Name} {form.Syntax}\n`funlik {form.Name} --help` lists all options."

    let private help (form: Form) : string =
        [
            $"funlik {form.Name}: {form.Summary}"
            ""
            $"  funlik {form.Name} {form.Syntax}"
            ""
        ]
        @ (form.Options @ [ optionsText<CommonArgument> ]
           |> List.map (fun options -> options ()))
        |> String.concat "\n"

    let private isHelp (argument: string) : bool = argument = "--help" || argument = "-h"

    let private readVerb (form: Form) (arguments: string list) : Result<Command, UsageError> =
        if arguments |> List.exists isHelp then
            Ok(Command.Help(help form))
        else
            let command = $"funlik {form.Name}"

            extract<CommonArgument> command false arguments
            |> Result.bind (fun common ->
                Validation.map2
                    (fun threads verb -> Command.Verb(verb, common.Contains Json, threads))
                    (common.TryGetResult Threads |> optional (whole "--threads" 1))
                    (form.Read command common.UnrecognizedCliParams))
            |> Result.mapError (fun errors -> { Errors = errors; Usage = usage form })

    let private unknown (message: string) : Result<Command, UsageError> =
        let names = forms |> List.map _.Name |> String.concat ", "

        Result.Error
            {
                Errors =
                    [
                        wrong "funlik" message
                        |> Error.expected $"one of {names}"
                        |> Error.hint "`funlik help` says what they do"
                    ]
                Usage = "usage: funlik VERB [OPTIONS]"
            }

    /// Reads a command line, without the program's name.
    let parse (arguments: string list) : Result<Command, UsageError> =
        let find (name: string) = forms |> List.tryFind (fun form -> form.Name = name)

        match arguments |> List.filter ((<>) "--json") with
        | [] -> unknown "no verb is given"
        | [ "--version" ]
        | [ "version" ] -> Ok Command.Version
        | [ single ] when isHelp single || single = "help" -> Ok(Command.Help overview)
        | "help" :: name :: _ ->
            match find name with
            | Some form -> Ok(Command.Help(help form))
            | None -> unknown $"there is no verb '{name}'"
        | _ ->
            match arguments with
            | name :: rest when (find name).IsSome -> readVerb (find name).Value rest
            | name :: _ when name.StartsWith '-' ->
                unknown $"a verb stands before options like '{name}'"
            | name :: _ -> unknown $"there is no verb '{name}'"
            | [] -> unknown "no verb is given"
