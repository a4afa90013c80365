namespace FunLik

open Argu
open FunLik.ArgumentForms
open FunLik.ArgumentValues

/// The command line as a value.
[<RequireQualifiedAccess>]
module Arguments =

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

    let private modelOptions
        (given: ParseResults<ModelArgument>)
        : Result<ModelOptions, Error list> =
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

    /// A model that another option names than `--model`.
    let private modelAt
        (option: string)
        (file: string option)
        (given: ParseResults<ModelArgument>)
        : Result<ModelSource, Error list> =
        let unnamed =
            match given.TryGetResult Model with
            | Some _ -> wrong "--model" $"the model is named by {option}" |> Error.fail
            | None -> Ok()

        Validation.map3
            (fun file options () -> { File = file; Options = options })
            (file |> required option |> Result.bind (text option))
            (modelOptions given)
            unnamed

    let private modelSource (given: ParseResults<ModelArgument>) : Result<ModelSource, Error list> =
        Validation.map2
            (fun file options -> { File = file; Options = options })
            (given.TryGetResult Model |> required "--model" |> Result.bind (text "--model"))
            (modelOptions given)

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

    let private seed (given: string option) : Result<int, Error list> =
        given |> optional (whole "--seed" 0) |> Result.map (Option.defaultValue 1)

    let private folder (given: string option) : Result<string, Error list> =
        given |> required "--out" |> Result.bind (text "--out")

    let private sampleRequest
        (given: ParseResults<SampleArgument>)
        : Result<SampleRequest, Error list> =
        let positive (value: string) : Result<float, Error list> =
            number "--ess" value
            |> Result.bind (fun n ->
                if n >= 1.0 then
                    Ok n
                else
                    wrong "--ess" "too small"
                    |> Error.found value
                    |> Error.expected "1 or more"
                    |> Error.fail)

        Validation.map3
            (fun ess seed out chains most ->
                {
                    Ess = ess
                    Seed = seed
                    Chains = chains |> Option.defaultValue 64
                    MostDraws = most |> Option.defaultValue 20_000
                    Out = out
                })
            (given.TryGetResult Ess |> required "--ess" |> Result.bind positive)
            (given.TryGetResult SampleArgument.Seed |> seed)
            (given.TryGetResult SampleArgument.Out |> folder)
        |> Validation.apply (given.TryGetResult Chains |> optional (whole "--chains" 2))
        |> Validation.apply (given.TryGetResult Most |> optional (whole "--most" 100))

    let private recipe (given: string) : Result<Recipe, Error list> =
        match List.tryFind (fun (name, _) -> name = given) Recipe.named with
        | Some(_, recipe) -> Ok recipe
        | None when given.EndsWith ".json" -> Json.parseFile given |> Result.bind Recipe.ofJson
        | None ->
            let names = Recipe.named |> List.map fst |> String.concat ", "

            wrong "--recipe" "there is no such recipe"
            |> Error.found given
            |> Error.expected $"one of {names}, or a file that ends in .json"
            |> Error.fail

    let private trainRequest
        (model: ParseResults<ModelArgument>)
        (given: ParseResults<TrainArgument>)
        : Result<TrainRequest, Error list> =
        let data = given.TryGetResult Data |> optional (text "--data")

        let source =
            match model.TryGetResult Model, data with
            | None, Ok(Some folder) ->
                modelOptions model
                |> Result.bind (fun options ->
                    if options = ModelOptions.None then
                        Ok { Model = None; Data = Some folder }
                    else
                        wrong "--model" "options of a model without a model" |> Error.fail)
            | None, Ok None ->
                wrong "--model" "nothing to learn"
                |> Error.expected "--model FILE, --data DIR, or both"
                |> Error.fail
            | _ ->
                Validation.map2
                    (fun model data -> { Model = Some model; Data = data })
                    (modelSource model)
                    data

        Validation.map3
            (fun source recipe seed evaluations out ->
                {
                    Source = source
                    Recipe = recipe |> Option.defaultValue FunLik.Recipe.funlik
                    Evaluations = evaluations
                    Seed = seed
                    Out = out
                })
            source
            (given.TryGetResult TrainArgument.Recipe
             |> optional (text "--recipe" >> Result.bind recipe))
            (given.TryGetResult TrainArgument.Seed |> seed)
        |> Validation.apply (given.TryGetResult Evaluations |> optional (whole "--evaluations" 10))
        |> Validation.apply (given.TryGetResult TrainArgument.Out |> folder)

    let private bundle (given: string option) : Result<string, Error list> =
        given |> required "BUNDLE" |> Result.bind (text "BUNDLE")

    let private validateRequest
        (model: ParseResults<ModelArgument>)
        (given: ParseResults<ValidateArgument>)
        : Result<Verb, Error list> =
        Validation.map3
            (fun bundle against seed -> Verb.Validate(against, { Bundle = bundle; Seed = seed }))
            (given.TryGetResult ValidateArgument.Bundle |> bundle)
            (modelAt "--against" (given.TryGetResult Against) model)
            (given.TryGetResult ValidateArgument.Seed |> seed)

    let private inspectRequest
        (model: ParseResults<ModelArgument>)
        (given: ParseResults<InspectArgument>)
        : Result<Verb, Error list> =
        match given.TryGetResult File with
        | Some file -> modelAt "FILE" (Some file) model |> Result.map Verb.Inspect
        | None -> modelSource model |> Result.map Verb.Inspect

    /// Takes the model's options out of the arguments, reads the rest by the verb's own parser, and both together.
    let private besideModel<'T when 'T :> IArgParserTemplate>
        (request: ParseResults<ModelArgument> -> ParseResults<'T> -> Result<Verb, Error list>)
        (command: string)
        (arguments: string list)
        : Result<Verb, Error list> =
        extract<ModelArgument> command false arguments
        |> Result.bind (fun model ->
            extract<'T> command true model.UnrecognizedCliParams
            |> Result.bind (request model))

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
                Summary = "what a model or a surrogate holds, and what this machine has"
                Syntax = "FILE|BUNDLE"
                Options = [ optionsText<InspectArgument>; optionsText<ModelArgument> ]
                Read = besideModel<InspectArgument> inspectRequest
            }
            {
                Name = "sample"
                Summary = "draws from the posterior, with gradients, until they say enough"
                Syntax = "--model FILE --ess N --out DIR [--seed S]"
                Options = [ optionsText<SampleArgument>; optionsText<ModelArgument> ]
                Read = ofModel sampleRequest Verb.Sample
            }
            {
                Name = "train"
                Summary = "a surrogate from so many evaluations, checked and published"
                Syntax =
                    "--model FILE | --data DIR --out DIR [--recipe NAME] [--evaluations N] [--seed S]"
                Options = [ optionsText<TrainArgument>; optionsText<ModelArgument> ]
                Read =
                    besideModel<TrainArgument>(fun model given ->
                        trainRequest model given |> Result.map Verb.Train)
            }
            {
                Name = "validate"
                Summary = "a surrogate against the exact model, on points of its own"
                Syntax = "BUNDLE --against FILE [--seed S]"
                Options = [ optionsText<ValidateArgument>; optionsText<ModelArgument> ]
                Read = besideModel<ValidateArgument> validateRequest
            }
            {
                Name = "verify"
                Summary = "whether a surrogate's files are whole and give what they gave"
                Syntax = "BUNDLE"
                Options = [ optionsText<VerifyArgument> ]
                Read =
                    fun command arguments ->
                        extract<VerifyArgument> command true arguments
                        |> Result.bind (fun given ->
                            given.TryGetResult VerifyArgument.Bundle |> bundle)
                        |> Result.map Verb.Verify
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
