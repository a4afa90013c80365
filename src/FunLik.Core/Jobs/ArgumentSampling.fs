namespace FunLik

open Argu
open FunLik.ArgumentForms
open FunLik.ArgumentValues
open FunLik.ArgumentRequests

/// What `funlik sample` is asked: draws until they say enough, or labels by designs.
module internal ArgumentSampling =

    let private sampler (given: string) : Result<SamplerKind, Error list> =
        match List.tryFind (fun (name, _) -> name = given) SamplerKind.names with
        | Some(_, kind) -> Ok kind
        | None ->
            wrong "--sampler" "there is no such sampler"
            |> Error.found given
            |> Error.expected (SamplerKind.names |> List.map fst |> String.concat ", ")
            |> Error.fail

    let private ess (value: string) : Result<float, Error list> =
        number "--ess" value
        |> Result.bind (fun n ->
            if n >= 1.0 then
                Ok n
            else
                wrong "--ess" "too small"
                |> Error.found value
                |> Error.expected "1 or more"
                |> Error.fail)

    /// Options that belong to another form of a verb.
    let private absent (options: (string * bool) list) (hint: string) : Result<unit, Error list> =
        options
        |> List.filter snd
        |> List.map (fun (option, _) ->
            wrong option "the option does not belong here" |> Error.hint hint |> Error.fail)
        |> Error.collect
        |> Result.map ignore

    let private drawsRequest
        (given: ParseResults<SampleArgument>)
        : Result<SampleRequest, Error list> =
        let designs =
            absent
                [
                    "--labels", given.Contains SampleArgument.Labels
                    "--beta", given.Contains SampleArgument.Beta
                    "--side", given.Contains SampleArgument.Side
                    "--fill", given.Contains SampleArgument.Fill
                    "--frozen", given.Contains SampleArgument.Frozen
                    "--inner", given.Contains SampleArgument.Inner
                ]
                "It is one of `--design`."

        Validation.map3
            (fun ess seed out chains sampler most () ->
                {
                    Ess = ess
                    Seed = seed
                    Chains = chains |> Option.defaultValue 64
                    Sampler = sampler |> Option.defaultValue SamplerKind.Hamiltonian
                    MostDraws = most |> Option.defaultValue 100_000
                    AllowUnconverged = given.Contains Allow_Unconverged
                    Out = out
                })
            (given.TryGetResult Ess |> required "--ess" |> Result.bind ess)
            (given.TryGetResult SampleArgument.Seed |> seed)
            (given.TryGetResult SampleArgument.Out |> folder)
        |> Validation.apply (given.TryGetResult Chains |> optional (whole "--chains" 2))
        |> Validation.apply (given.TryGetResult Sampler |> optional sampler)
        |> Validation.apply (given.TryGetResult Most |> optional (whole "--most" 100))
        |> Validation.apply designs

    let private designs (given: string) : Result<(LabelDesign * float) list, Error list> =
        let known =
            [
                "posterior", LabelDesign.Posterior
                "ridge", LabelDesign.Ridge
                "box", LabelDesign.Box
                "tempered", LabelDesign.Tempered
            ]

        let part (text: string) : Result<string * (LabelDesign * float), Error list> =
            let name, share =
                match text.Split('=', 2) with
                | [| name; share |] -> name.Trim(), number "--design" share
                | _ -> text.Trim(), Ok 1.0

            match List.tryFind (fst >> (=) name) known, share with
            | _, Result.Error errors -> Result.Error errors
            | Some(_, design), Ok share when share > 0.0 -> Ok(name, (design, share))
            | Some _, Ok _ ->
                wrong "--design" "a share that is not above 0" |> Error.found text |> Error.fail
            | None, _ ->
                wrong "--design" "there is no such design"
                |> Error.found text
                |> Error.expected (
                    (List.map fst known |> String.concat ", ")
                    + ", with shares or without; or mixed"
                )
                |> Error.fail

        if given.Trim() = "mixed" then
            Ok [ LabelDesign.Posterior, 2.0; LabelDesign.Ridge, 1.0 ]
        else
            given.Split ','
            |> List.ofArray
            |> List.map part
            |> Error.collect
            |> Result.bind (unique "--design")
            |> Result.map (List.map snd)

    let private designRequest
        (given: ParseResults<SampleArgument>)
        : Result<DesignRequest, Error list> =
        let draws =
            absent
                [
                    "--ess", given.Contains SampleArgument.Ess
                    "--most", given.Contains SampleArgument.Most
                    "--sampler", given.Contains SampleArgument.Sampler
                ]
                "With `--design` it is `--labels` that says how many."

        let inner (value: string) : Result<float, Error list> =
            number "--inner" value
            |> Result.bind (fun f ->
                if f >= 0.0 && f < 1.0 then
                    Ok f
                else
                    wrong "--inner" "no part of the points"
                    |> Error.found value
                    |> Error.expected "from 0 to below 1"
                    |> Error.fail)

        let beta (value: string) : Result<float, Error list> =
            number "--beta" value
            |> Result.bind (fun b ->
                if b > 0.0 && b <= 1.0 then
                    Ok b
                else
                    wrong "--beta" "no exponent of tempered chains"
                    |> Error.found value
                    |> Error.expected "above 0, and 1 or less"
                    |> Error.fail)

        let fill (name: string) : Result<BoxFill, Error list> =
            match name with
            | "sobol" -> Ok BoxFill.Sobol
            | "uniform" -> Ok BoxFill.Uniform
            | _ ->
                wrong "--fill" "there is no such way to fill a box"
                |> Error.found name
                |> Error.expected "sobol, uniform"
                |> Error.fail

        let sides =
            given.GetResults Side
            |> List.map (
                gridAxis "--side"
                >> Result.map (fun axis -> axis.Parameter, (axis.From, axis.To))
            )
            |> Error.collect
            |> Result.bind (unique "--side")
            |> Result.map (List.map (fun (name, (low, high)) -> name, low, high))

        Validation.map3
            (fun parts labels seed out chains beta sides fill inner () ->
                {
                    Parts = parts
                    Labels = labels
                    Seed = seed
                    Chains = chains |> Option.defaultValue 64
                    Beta = beta |> Option.defaultValue 0.5
                    Sides = sides
                    Fill = fill |> Option.defaultValue BoxFill.Sobol
                    Others =
                        if given.Contains SampleArgument.Frozen then
                            BoxOthers.Frozen
                        else
                            BoxOthers.Profiled
                    Inner = inner |> Option.defaultValue 0.5
                    AllowUnconverged = given.Contains Allow_Unconverged
                    Out = out
                })
            (given.TryGetResult Design |> required "--design" |> Result.bind designs)
            (given.TryGetResult Labels
             |> required "--labels"
             |> Result.bind (whole "--labels" 1))
            (given.TryGetResult SampleArgument.Seed |> seed)
        |> Validation.apply (given.TryGetResult SampleArgument.Out |> folder)
        |> Validation.apply (given.TryGetResult Chains |> optional (whole "--chains" 2))
        |> Validation.apply (given.TryGetResult Beta |> optional beta)
        |> Validation.apply sides
        |> Validation.apply (given.TryGetResult Fill |> optional fill)
        |> Validation.apply (given.TryGetResult Inner |> optional inner)
        |> Validation.apply draws

    /// Draws, or labels where designs are named.
    let private requested
        (source: ModelSource)
        (given: ParseResults<SampleArgument>)
        : Result<Verb, Error list> =
        if given.Contains Design then
            designRequest given |> Result.map (fun request -> Verb.Design(source, request))
        else
            drawsRequest given |> Result.map (fun request -> Verb.Sample(source, request))

    /// What a command line asks of `funlik sample`.
    let sampleRequest (command: string) (arguments: string list) : Result<Verb, Error list> =
        extract<ModelArgument> command false arguments
        |> Result.bind (fun model ->
            Validation.map2
                (fun source given -> source, given)
                (modelSource model)
                (extract<SampleArgument> command true model.UnrecognizedCliParams)
            |> Result.bind (fun (source, given) -> requested source given))
