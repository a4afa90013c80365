namespace FunLik

open Argu
open FunLik.ArgumentForms
open FunLik.ArgumentValues

/// What verbs are asked, from their options.
module internal ArgumentRequests =

    let interpolation (given: string) : Result<(string * string) list, Error list> =
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

    let private tolerance (given: string) : Result<float, Error list> =
        number "--scalings-tolerance" given
        |> Result.bind (fun value ->
            if value >= 0.0 then
                Ok value
            else
                wrong "--scalings-tolerance" "a negative tolerance"
                |> Error.found given
                |> Error.fail)

    let modelOptions (given: ParseResults<ModelArgument>) : Result<ModelOptions, Error list> =
        Validation.map3
            (fun patch scalings measurement codes tolerance ->
                {
                    Patch = patch
                    Scalings = scalings
                    ScalingsTolerance = tolerance
                    Measurement = measurement
                    Interpolation = Option.defaultValue [] codes
                    UnboundedNuisances = given.Contains Unbounded_Nuisances
                })
            (given.TryGetResult Patch |> optional (text "--patch"))
            (given.TryGetResult Scalings |> optional (text "--scalings"))
            (given.TryGetResult Measurement |> optional (text "--measurement"))
        |> Validation.apply (given.TryGetResult Interpolation |> optional interpolation)
        |> Validation.apply (given.TryGetResult Scalings_Tolerance |> optional tolerance)

    /// A model that another option names than `--model`.
    let modelAt
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

    let modelSource (given: ParseResults<ModelArgument>) : Result<ModelSource, Error list> =
        Validation.map2
            (fun file options -> { File = file; Options = options })
            (given.TryGetResult Model |> required "--model" |> Result.bind (text "--model"))
            (modelOptions given)

    let evalRequest (given: ParseResults<EvalArgument>) : Result<EvalRequest, Error list> =
        given.TryGetResult EvalArgument.Points
        |> required "--points"
        |> Result.bind (text "--points")
        |> Result.map (fun points -> { Points = points; Gradient = given.Contains Gradient })

    let held (given: ParseResults<HoldArgument>) : Result<Held, Error list> =
        given.GetResults Fix
        |> List.map (assignment "--fix")
        |> Error.collect
        |> Result.bind (unique "--fix")
        |> Result.map (fun values -> { Fix = values; Frozen = given.Contains HoldArgument.Frozen })

    let fitRequest
        (held: Held)
        (given: ParseResults<FitArgument>)
        : Result<FitRequest, Error list> =
        Validation.map2
            (fun poi starts -> { Held = held; Poi = poi; Starts = starts })
            (given.TryGetResult FitArgument.Poi |> optional (text "--poi"))
            (given.TryGetResult Starts |> optional (whole "--starts" 1))

    let level (value: string) : Result<float, Error list> =
        number "--level" value
        |> Result.bind (fun level ->
            if level > 0.0 && level < 1.0 then
                Ok level
            else
                wrong "--level" "not a confidence level"
                |> Error.found value
                |> Error.expected "between 0 and 1, such as 0.95"
                |> Error.fail)

    let levels (given: string list) : Result<float list, Error list> =
        given |> List.map level |> Error.collect

    let private isAbove (option: string) (first: float) (last: float) : Result<unit, Error list> =
        if first < last then
            Ok()
        else
            wrong option "the last value is not above the first"
            |> Error.found $"{last}"
            |> Error.expected $"more than {first}"
            |> Error.fail

    let profileRequest (given: ParseResults<ProfileArgument>) : Result<ProfileRequest, Error list> =
        let keep =
            match given.GetResults Keep with
            | [] -> wrong "--keep" "the option is missing" |> Error.fail
            | names ->
                names
                |> List.map (text "--keep" >> Result.map (fun name -> name, ()))
                |> Error.collect
                |> Result.bind (unique "--keep")
                |> Result.map (List.map fst)

        Validation.map2
            (fun keep points ->
                {
                    Keep = keep
                    Points = points
                    Hessian = given.Contains ProfileArgument.Hessian
                })
            keep
            (given.TryGetResult ProfileArgument.Points
             |> required "--points"
             |> Result.bind (text "--points"))

    let intervalRequest
        (held: Held)
        (given: ParseResults<IntervalArgument>)
        : Result<IntervalRequest, Error list> =
        let range =
            Validation.map2
                (fun first last -> first, last)
                (given.TryGetResult IntervalArgument.From |> optional (number "--from"))
                (given.TryGetResult IntervalArgument.To |> optional (number "--to"))
            |> Result.bind (function
                | Some first, Some last ->
                    isAbove "--to" first last |> Result.map (fun () -> Some(first, last))
                | None, None -> Ok None
                | Some _, None -> wrong "--to" "the option is missing beside --from" |> Error.fail
                | None, Some _ -> wrong "--from" "the option is missing beside --to" |> Error.fail)

        Validation.map3
            (fun parameter levels range count ->
                {
                    Parameter = parameter
                    Levels = levels
                    Range = range
                    Count = count
                    Held = held
                })
            (given.TryGetResult IntervalArgument.Parameter
             |> required "--parameter"
             |> Result.bind (text "--parameter"))
            (given.GetResults IntervalArgument.Level |> levels)
            range
        |> Validation.apply (
            given.TryGetResult IntervalArgument.Count |> optional (whole "--count" 2)
        )

    let gridAxis (option: string) (value: string) : Result<ContourAxis, Error list> =
        match value.Split ',' |> Array.map _.Trim() with
        | [| name; first; last |] when name <> "" ->
            Validation.map2
                (fun first last -> first, last)
                (number option first)
                (number option last)
            |> Result.bind (fun (first, last) ->
                isAbove option first last
                |> Result.map (fun () -> { Parameter = name; From = first; To = last }))
        | _ ->
            wrong option "not a side of a grid"
            |> Error.found value
            |> Error.expected "NAME,A,B: a parameter, its first and its last value"
            |> Error.fail

    let contourRequest
        (held: Held)
        (given: ParseResults<ContourArgument>)
        : Result<ContourRequest, Error list> =
        let side (option: string) (value: string option) : Result<ContourAxis, Error list> =
            value |> required option |> Result.bind (gridAxis option)

        Validation.map3
            (fun x y count levels ->
                {
                    X = x
                    Y = y
                    Count = count |> Option.defaultValue 41
                    Levels = levels
                    Held = held
                })
            (given.TryGetResult ContourArgument.X |> side "--x")
            (given.TryGetResult ContourArgument.Y |> side "--y")
            (given.TryGetResult ContourArgument.Count |> optional (whole "--count" 2))
        |> Validation.apply (given.GetResults ContourArgument.Level |> levels)

    let impactsRequest
        (held: Held)
        (given: ParseResults<ImpactsArgument>)
        : Result<ImpactsRequest, Error list> =
        given.TryGetResult ImpactsArgument.Poi
        |> optional (text "--poi")
        |> Result.map (fun poi -> { Poi = poi; Held = held })

    let scanRequest
        (held: Held)
        (given: ParseResults<ScanArgument>)
        : Result<ScanRequest, Error list> =
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
                { Parameter = parameter; From = first; To = last; Count = count; Held = held })
            (given.TryGetResult ScanArgument.Parameter |> need "--parameter" text)
            (given.TryGetResult ScanArgument.From |> need "--from" number)
            (given.TryGetResult ScanArgument.To |> need "--to" number)
        |> Validation.apply (given.TryGetResult ScanArgument.Count |> need "--count" count)
        |> Result.bind check

    let runRequest (given: ParseResults<RunArgument>) : Result<string, Error list> =
        given.TryGetResult Job |> required "JOB.json" |> Result.bind (text "JOB.json")

    let seed (given: string option) : Result<int, Error list> =
        given |> optional (whole "--seed" 0) |> Result.map (Option.defaultValue 1)

    let testRequest
        (held: Result<Held, Error list>)
        (given: ParseResults<TestArgument>)
        : Result<TestRequest, Error list> =
        let statistic (name: string) : Result<TestStatistic, Error list> =
            match TestStatistic.names |> List.tryFind (fun (known, _) -> known = name) with
            | Some(_, statistic) -> Ok statistic
            | None ->
                wrong "--statistic" "there is no such statistic"
                |> Error.found name
                |> Error.expected (TestStatistic.names |> List.map fst |> String.concat ", ")
                |> Error.fail

        Validation.map3
            (fun poi statistic held ->
                {
                    Poi = poi
                    Statistic = statistic |> Option.defaultValue TestStatistic.QTilde
                    Held = held
                })
            (given.TryGetResult TestArgument.Poi |> optional (text "--poi"))
            (given.TryGetResult Statistic |> optional statistic)
            held

    let mu (given: string option) : Result<float, Error list> =
        given |> required "--mu" |> Result.bind (number "--mu")

    /// The largest number of toys.
    let mostToys = 10_000_000

    let toysFrom (least: int) (value: string) : Result<int, Error list> =
        whole "--toys" least value
        |> Result.bind (fun count ->
            if count <= mostToys then
                Ok count
            else
                wrong "--toys" "more toys than are fitted at a time"
                |> Error.found value
                |> Error.expected $"{mostToys} at most"
                |> Error.fail)

    /// So many toys at least, and so many where nobody says.
    let plan
        (least: int)
        (usual: int)
        (toys: string option)
        (seedOf: string option)
        : Result<ToyPlan, Error list> =
        Validation.map2
            (fun toys seed -> { Toys = toys |> Option.defaultValue usual; Seed = seed })
            (toys |> optional (toysFrom least))
            (seed seedOf)

    let gofRequest
        (held: Held)
        (given: ParseResults<GofArgument>)
        : Result<GofRequest, Error list> =
        plan 0 1000 (given.TryGetResult GofArgument.Toys) (given.TryGetResult GofArgument.Seed)
        |> Result.map (fun plan -> { Plan = plan; Held = held })

    let wilksRequest
        (held: Held)
        (given: ParseResults<WilksArgument>)
        : Result<ToysRequest, Error list> =
        Validation.map3
            (fun mu poi plan ->
                {
                    Test = { Poi = poi; Statistic = TestStatistic.T; Held = held }
                    Mu = mu
                    Plan = plan
                })
            (given.TryGetResult WilksArgument.Mu |> mu)
            (given.TryGetResult WilksArgument.Poi |> optional (text "--poi"))
            (plan
                20
                10_000
                (given.TryGetResult WilksArgument.Toys)
                (given.TryGetResult WilksArgument.Seed))

    let folder (given: string option) : Result<string, Error list> =
        given |> required "--out" |> Result.bind (text "--out")

    let recipe (given: string) : Result<Recipe, Error list> =
        match List.tryFind (fun (name, _) -> name = given) Recipe.named with
        | Some(_, recipe) -> Ok recipe
        | None when given.EndsWith ".json" -> Json.parseFile given |> Result.bind RecipeJson.read
        | None ->
            let names = Recipe.named |> List.map fst |> String.concat ", "

            wrong "--recipe" "there is no such recipe"
            |> Error.found given
            |> Error.expected $"one of {names}, or a file that ends in .json"
            |> Error.fail

    let trainRequest
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

    let bundle (given: string option) : Result<string, Error list> =
        given |> required "BUNDLE" |> Result.bind (text "BUNDLE")

    let validateRequest
        (model: ParseResults<ModelArgument>)
        (given: ParseResults<ValidateArgument>)
        : Result<Verb, Error list> =
        Validation.map3
            (fun bundle against seed -> Verb.Validate(against, { Bundle = bundle; Seed = seed }))
            (given.TryGetResult ValidateArgument.Bundle |> bundle)
            (modelAt "--against" (given.TryGetResult ValidateArgument.Against) model)
            (given.TryGetResult ValidateArgument.Seed |> seed)

    /// Points at which properties are checked.
    let private checkPoints = 1000

    let checkRequest
        (model: ParseResults<ModelArgument>)
        (given: ParseResults<CheckArgument>)
        : Result<Verb, Error list> =
        let bound (text: string) : Result<AgreementBound, Error list> =
            number "--within" text
            |> Result.bind (fun x ->
                if x >= 0.0 then
                    Ok { AgreementBound.Default with Absolute = x }
                else
                    wrong "--within" "a distance is 0 or more" |> Error.found text |> Error.fail)

        Ok(fun bundle against bound points seed ->
            Verb.Check(
                against,
                {
                    Bundle = bundle
                    Bound = bound |> Option.defaultValue AgreementBound.Default
                    Points = points |> Option.defaultValue checkPoints
                    Seed = seed
                }
            ))
        |> Validation.apply (given.TryGetResult CheckArgument.Bundle |> bundle)
        |> Validation.apply (modelAt "--against" (given.TryGetResult CheckArgument.Against) model)
        |> Validation.apply (given.TryGetResult CheckArgument.Within |> optional bound)
        |> Validation.apply (
            given.TryGetResult CheckArgument.Points |> optional (whole "--points" 1)
        )
        |> Validation.apply (given.TryGetResult CheckArgument.Seed |> seed)

    let inspectRequest
        (model: ParseResults<ModelArgument>)
        (given: ParseResults<InspectArgument>)
        : Result<Verb, Error list> =
        match given.TryGetResult File with
        | Some file -> modelAt "FILE" (Some file) model |> Result.map Verb.Inspect
        | None -> modelSource model |> Result.map Verb.Inspect

    /// Takes the model's options out of the arguments, reads the rest by the verb's own parser, and both together.
    let besideModel<'T when 'T :> IArgParserTemplate>
        (request: ParseResults<ModelArgument> -> ParseResults<'T> -> Result<Verb, Error list>)
        (command: string)
        (arguments: string list)
        : Result<Verb, Error list> =
        extract<ModelArgument> command false arguments
        |> Result.bind (fun model ->
            extract<'T> command true model.UnrecognizedCliParams
            |> Result.bind (request model))

    /// Takes the model's options out of the arguments, and reads the rest by the verb's own parser.
    let ofModel<'T, 'R when 'T :> IArgParserTemplate>
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
