namespace FunLik

open Argu
open FunLik.ArgumentForms
open FunLik.ArgumentValues
open FunLik.ArgumentRequests
open FunLik.ArgumentVerbs
open FunLik.ArgumentSampling

/// The command line as a value.
[<RequireQualifiedAccess>]
module Arguments =

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
                Syntax = "--model FILE [--fix NAME=VALUE].. [--frozen] [--poi NAME] [--starts N]"
                Options =
                    [
                        optionsText<FitArgument>
                        optionsText<HoldArgument>
                        optionsText<ModelArgument>
                    ]
                Read = ofHeld fitRequest Verb.Fit
            }
            {
                Name = "scan"
                Summary = "twice ΔNLL along a parameter, the others profiled"
                Syntax =
                    "--model FILE | --draws DIR --parameter NAME --from A --to B --count N [--fix NAME=VALUE].. [--frozen] [--page FILE]"
                Options =
                    [
                        optionsText<ScanArgument>
                        optionsText<HoldArgument>
                        optionsText<ModelArgument>
                    ]
                Read = besideHeld<ScanArgument> scanVerb
            }
            {
                Name = "profile"
                Summary = "the largest log density over all parameters but some, at points"
                Syntax = "--model FILE --keep NAME.. --points FILE [--hessian] [--page FILE]"
                Options = [ optionsText<ProfileArgument>; optionsText<ModelArgument> ]
                Read = ofModel profileRequest Verb.Profile
            }
            {
                Name = "interval"
                Summary = "confidence intervals of a parameter, as unions of pieces"
                Syntax =
                    "--model FILE | BUNDLE --against FILE --parameter NAME [--level P].. [--from A --to B] [--feldman-cousins] [--page FILE]"
                Options =
                    [
                        optionsText<IntervalArgument>
                        optionsText<HoldArgument>
                        optionsText<ModelArgument>
                    ]
                Read = besideHeld<IntervalArgument> intervalVerb
            }
            {
                Name = "contour"
                Summary = "contours of two parameters, the others profiled"
                Syntax =
                    "--model FILE --x NAME,A,B --y NAME,A,B [--count N] [--level P].. [--fix NAME=VALUE].. [--frozen] [--page FILE]"
                Options =
                    [
                        optionsText<ContourArgument>
                        optionsText<HoldArgument>
                        optionsText<ModelArgument>
                    ]
                Read = ofHeld contourRequest Verb.Contour
            }
            {
                Name = "impacts"
                Summary = "pulls of the nuisances and their impacts, ranked"
                Syntax = "--model FILE [--poi NAME] [--fix NAME=VALUE].. [--frozen] [--page FILE]"
                Options =
                    [
                        optionsText<ImpactsArgument>
                        optionsText<HoldArgument>
                        optionsText<ModelArgument>
                    ]
                Read = ofHeld impactsRequest Verb.Impacts
            }
            {
                Name = "cls"
                Summary = "CLs of one value of the parameter of interest, observed and expected"
                Syntax = "--model FILE --mu X [--poi NAME] [--statistic NAME]"
                Options =
                    [
                        optionsText<ClsArgument>
                        optionsText<TestArgument>
                        optionsText<HoldArgument>
                        optionsText<ModelArgument>
                    ]
                Read = ofTest<ClsArgument> clsRequest
            }
            {
                Name = "limit"
                Summary = "the upper limit by CLs, observed and expected"
                Syntax = "--model FILE [--level P] [--poi NAME] [--statistic NAME] [--page FILE]"
                Options =
                    [
                        optionsText<LimitArgument>
                        optionsText<TestArgument>
                        optionsText<HoldArgument>
                        optionsText<ModelArgument>
                    ]
                Read = ofTest<LimitArgument> limitRequest
            }
            {
                Name = "toys"
                Summary = "CLs of one value by random data"
                Syntax =
                    "--model FILE --mu X [--toys N] [--seed S] [--poi NAME] [--statistic NAME] [--page FILE]"
                Options =
                    [
                        optionsText<ToysArgument>
                        optionsText<TestArgument>
                        optionsText<HoldArgument>
                        optionsText<ModelArgument>
                    ]
                Read = ofTest<ToysArgument> toysRequest
            }
            {
                Name = "gof"
                Summary = "goodness of fit beside the saturated model, by χ² and by toys"
                Syntax = "--model FILE [--toys N] [--seed S] [--fix NAME=VALUE].. [--frozen]"
                Options =
                    [
                        optionsText<GofArgument>
                        optionsText<HoldArgument>
                        optionsText<ModelArgument>
                    ]
                Read = ofHeld gofRequest Verb.Gof
            }
            {
                Name = "wilks"
                Summary = "whether t of toys is distributed as χ², which intervals take for granted"
                Syntax = "--model FILE --mu X [--toys N] [--seed S] [--poi NAME]"
                Options =
                    [
                        optionsText<WilksArgument>
                        optionsText<HoldArgument>
                        optionsText<ModelArgument>
                    ]
                Read = ofHeld wilksRequest Verb.Wilks
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
                Syntax = "--model FILE --ess N | --design NAMES --labels N --out DIR [--seed S]"
                Options = [ optionsText<SampleArgument>; optionsText<ModelArgument> ]
                Read = sampleRequest
            }
            {
                Name = "summary"
                Summary = "what draws say: means, quantiles, regions, densities, with their errors"
                Syntax = "DRAWS [--parameter NAME].. [--level P].. [--prior NAME>X].. [--page FILE]"
                Options =
                    [
                        optionsText<InferenceRequests.SummaryArgument>
                        optionsText<InferenceRequests.DrawArgument>
                    ]
                Read = InferenceRequests.summary
            }
            {
                Name = "reweight"
                Summary = "draws of one density as draws of another: exact, or with other priors"
                Syntax =
                    "DRAWS [--from MODEL|BUNDLE] [--to MODEL] [--prior NAME>X].. [--refresh N] [--out DIR]"
                Options =
                    [
                        optionsText<InferenceRequests.ReweightArgument>
                        optionsText<InferenceRequests.DrawArgument>
                    ]
                Read = InferenceRequests.reweight
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
                Name = "check"
                Summary = "whether a surrogate has the properties that it should, point by point"
                Syntax = "BUNDLE --against FILE [--within X] [--points N] [--seed S]"
                Options = [ optionsText<CheckArgument>; optionsText<ModelArgument> ]
                Read = besideModel<CheckArgument> checkRequest
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

    /// Whether a verb can leave a page.
    let private leavesPage (form: Form) : bool =
        List.contains
            form.Name
            [
                "scan"
                "profile"
                "interval"
                "contour"
                "impacts"
                "limit"
                "toys"
                "summary"
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
        @ (form.Options
           @ (if leavesPage form then
                  [ optionsText<PageArgument> ]
              else
                  [])
           @ [ optionsText<CommonArgument> ]
           |> List.map (fun options -> options ()))
        |> String.concat "\n"

    let private isHelp (argument: string) : bool = argument = "--help" || argument = "-h"

    let private readVerb (form: Form) (arguments: string list) : Result<Command, UsageError> =
        if arguments |> List.exists isHelp then
            Ok(Command.Help(help form))
        else
            let command = $"funlik {form.Name}"

            let page (rest: string list) : Result<string option * string list, Error list> =
                if leavesPage form then
                    extract<PageArgument> command false rest
                    |> Result.bind (fun given ->
                        given.TryGetResult Page
                        |> optional (text "--page")
                        |> Result.map (fun page -> page, given.UnrecognizedCliParams))
                else
                    Ok(None, rest)

            extract<CommonArgument> command false arguments
            |> Result.bind (fun common ->
                Validation.map2
                    (fun threads (page, verb) ->
                        Command.Verb(verb, common.Contains Json, page, threads))
                    (common.TryGetResult Threads |> optional (whole "--threads" 1))
                    (page common.UnrecognizedCliParams
                     |> Result.bind (fun (page, rest) ->
                         form.Read command rest |> Result.map (fun verb -> page, verb))))
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
