namespace FunLik

open Argu
open FunLik.ArgumentForms
open FunLik.ArgumentValues
open FunLik.ArgumentRequests

/// Verbs whose options come in several kinds: of the model, of what is held, of a test.
module internal ArgumentVerbs =

    /// Takes the options of a model and of what is held out of the arguments, reads the rest by the verb's own parser, and all together.
    let besideHeld<'T when 'T :> IArgParserTemplate>
        (request:
            ParseResults<ModelArgument> -> Held -> ParseResults<'T> -> Result<Verb, Error list>)
        (command: string)
        (arguments: string list)
        : Result<Verb, Error list> =
        extract<ModelArgument> command false arguments
        |> Result.bind (fun model ->
            extract<HoldArgument> command false model.UnrecognizedCliParams
            |> Result.bind (fun hold ->
                let rest = extract<'T> command true hold.UnrecognizedCliParams

                match held hold, rest with
                | Ok held, Ok given -> request model held given
                | Result.Error mistakes, Ok given ->
                    // What else is wrong is told too.
                    match request model Held.Nothing given with
                    | Ok _ -> Result.Error mistakes
                    | Result.Error more -> Result.Error(mistakes @ more)
                | _, Result.Error mistakes -> Result.Error mistakes))

    /// The same for verbs of one model.
    let ofHeld<'T, 'R when 'T :> IArgParserTemplate>
        (request: Held -> ParseResults<'T> -> Result<'R, Error list>)
        (verb: ModelSource * 'R -> Verb)
        : string -> string list -> Result<Verb, Error list> =
        besideHeld<'T>(fun model held given ->
            Validation.map2
                (fun source asked -> verb (source, asked))
                (modelSource model)
                (request held given))

    /// An interval of a model, by χ² or by toys, or of a surrogate beside its model.
    let intervalVerb
        (model: ParseResults<ModelArgument>)
        (held: Held)
        (given: ParseResults<IntervalArgument>)
        : Result<Verb, Error list> =
        let request = intervalRequest held given
        let byToys = given.Contains Feldman_Cousins

        let toys, seed =
            given.TryGetResult IntervalArgument.Toys, given.TryGetResult IntervalArgument.Seed

        let alone (option: string) (value: string option) : Result<unit, Error list> =
            match value with
            | Some _ when not byToys ->
                wrong option "the option goes with --feldman-cousins" |> Error.fail
            | _ -> Ok()

        match
            given.TryGetResult IntervalArgument.Bundle, given.TryGetResult IntervalArgument.Against
        with
        | None, None when byToys ->
            Validation.map3
                (fun source request plan -> Verb.ToyInterval(source, request, plan))
                (modelSource model)
                request
                (plan 10 10_000 toys seed)
        | None, None ->
            Validation.map3
                (fun source request () -> Verb.Interval(source, request))
                (modelSource model)
                request
                (Validation.map2 (fun () () -> ()) (alone "--toys" toys) (alone "--seed" seed))
        | named, against ->
            let plain =
                if byToys then
                    wrong "--feldman-cousins" "a surrogate makes no toys" |> Error.fail
                else
                    Ok()

            Validation.map3
                (fun bundle against request () -> Verb.Recheck(against, bundle, request))
                (bundle named)
                (modelAt "--against" against model)
                request
            |> Validation.apply plain

    /// A scan of a model, or of draws.
    let scanVerb
        (model: ParseResults<ModelArgument>)
        (held: Held)
        (given: ParseResults<ScanArgument>)
        : Result<Verb, Error list> =
        let request = scanRequest held given

        let width (value: string) : Result<float, Error list> =
            number "--width" value
            |> Result.bind (fun w ->
                if w > 0.0 then
                    Ok w
                else
                    wrong "--width" "not a width"
                    |> Error.found value
                    |> Error.expected "a number above 0"
                    |> Error.fail)

        match given.TryGetResult Draws with
        | None ->
            let noWidths =
                if (given.GetResults Width).IsEmpty then
                    Ok()
                else
                    wrong "--width" "the option goes with --draws" |> Error.fail

            Validation.map3
                (fun source request () -> Verb.Scan(source, request))
                (modelSource model)
                request
                noWidths
        | Some folder ->
            let exact =
                match model.TryGetResult Model with
                | Some _ -> modelSource model |> Result.map Some
                | None -> Ok None

            let free =
                if held = Held.Nothing then
                    Ok()
                else
                    wrong "--fix" "draws have nothing fixed or frozen" |> Error.fail

            Validation.map3
                (fun (request: ScanRequest) folder widths ->
                    {
                        Draws = folder
                        Parameter = request.Parameter
                        From = request.From
                        To = request.To
                        Count = request.Count
                        Widths = widths
                    })
                request
                (text "--draws" folder)
                (given.GetResults Width |> List.map width |> Error.collect)
            |> fun asked ->
                Validation.map3 (fun exact asked () -> Verb.DrawScan(exact, asked)) exact asked free

    /// Takes the options of a model and of a test out of the arguments, and reads the rest by the verb's own parser.
    let ofTest<'T when 'T :> IArgParserTemplate>
        (request: ModelSource -> TestRequest -> ParseResults<'T> -> Result<Verb, Error list>)
        (command: string)
        (arguments: string list)
        : Result<Verb, Error list> =
        extract<ModelArgument> command false arguments
        |> Result.bind (fun model ->
            extract<HoldArgument> command false model.UnrecognizedCliParams
            |> Result.bind (fun hold ->
                extract<TestArgument> command false hold.UnrecognizedCliParams
                |> Result.bind (fun test ->
                    Validation.map3
                        (fun source asked rest -> request source asked rest)
                        (modelSource model)
                        (testRequest (held hold) test)
                        (extract<'T> command true test.UnrecognizedCliParams)
                    |> Result.bind id)))

    let clsRequest source test (given: ParseResults<ClsArgument>) : Result<Verb, Error list> =
        given.TryGetResult ClsArgument.Mu
        |> mu
        |> Result.map (fun mu -> Verb.Cls(source, test, mu))

    let limitRequest source test (given: ParseResults<LimitArgument>) =
        given.TryGetResult LimitArgument.Level
        |> optional level
        |> Result.map (fun level -> Verb.Limit(source, test, level |> Option.defaultValue 0.95))

    let toysRequest source test (given: ParseResults<ToysArgument>) =
        Validation.map2
            (fun mu plan -> Verb.Toys(source, { Test = test; Mu = mu; Plan = plan }))
            (given.TryGetResult ToysArgument.Mu |> mu)
            (plan
                10
                10_000
                (given.TryGetResult ToysArgument.Toys)
                (given.TryGetResult ToysArgument.Seed))
