namespace FunLik

open System.Collections.Generic

/// The constraint on parameters of one name.
[<RequireQualifiedAccess>]
type ParameterConstraint =
    /// Free.
    | None
    /// Auxiliary measurements found `data` with these widths.
    | Normal of data: float[] * sigmas: float[]
    /// Auxiliary counts are `data`, and `factors` times the parameters are expected.
    | Poisson of data: float[] * factors: float[]

/// The parameters that modifiers of one name share.
type ParameterSet =
    {
        /// The name of the modifiers.
        Name: string
        /// The types of the modifiers.
        Types: string list
        /// One parameter, named as the set; else they are named `NAME[0]`, `NAME[1]`, ….
        IsScalar: bool
        /// Starting values, one a parameter.
        Inits: float[]
        /// Bounds of fits.
        Bounds: struct (float * float)[]
        /// Whether fits keep them at their starting values.
        Fixed: bool[]
        /// How they are constrained.
        Constraint: ParameterConstraint
    }

/// The parameters of a model, as pyhf names, orders and constrains them.
[<RequireQualifiedAccess>]
module HistFactoryParameters =

    /// A use of a modifier.
    type private Use = { Modifier: HistModifier; Sample: HistSample; Channel: HistChannel }

    /// The types in the order in which their parameters stand.
    let private typeOrder =
        [
            "histosys"
            "lumi"
            "normfactor"
            "normsys"
            "shapefactor"
            "shapesys"
            "staterror"
        ]

    let private refuse (path: string) (kind: ErrorKind) (message: string) : Error =
        let error = Error.make kind message
        if path = "" then error else Error.at path error

    let private full (count: int) (low: float) (high: float) : struct (float * float)[] =
        Array.create count (struct (low, high))

    let private scalar
        (name: string)
        (init: float)
        (low: float)
        (high: float)
        (form: ParameterConstraint)
        : ParameterSet =
        {
            Name = name
            Types = []
            IsScalar = true
            Inits = [| init |]
            Bounds = full 1 low high
            Fixed = [| false |]
            Constraint = form
        }

    let private vector
        (name: string)
        (isFixed: bool[])
        (low: float)
        (form: ParameterConstraint)
        : ParameterSet =
        {
            Name = name
            Types = []
            IsScalar = false
            Inits = Array.create isFixed.Length 1.0
            Bounds = full isFixed.Length low 10.0
            Fixed = isFixed
            Constraint = form
        }

    let private shapeFactor (name: string) (uses: Use list) : Result<ParameterSet, Error list> =
        let bins = uses.Head.Sample.Nominal.Length

        match uses |> List.tryFind (fun u -> u.Sample.Nominal.Length <> bins) with
        | Some other ->
            refuse
                other.Modifier.Path
                ErrorKind.Shape
                $"the shapefactor '{name}' acts on channels of different lengths"
            |> Error.found $"{other.Sample.Nominal.Length} bins in '{other.Channel.Name}'"
            |> Error.expected $"{bins} bins, as in '{uses.Head.Channel.Name}'"
            |> Error.fail
        | None -> Ok(vector name (Array.create bins false) 0.0 ParameterConstraint.None)

    /// A bin of which the sample or its uncertainty is zero has a parameter that stays at 1.
    let private shapeSys (name: string) (uses: Use list) : Result<ParameterSet, Error list> =
        match uses with
        | [ {
                Sample = sample
                Modifier = { Modification = Modification.ShapeSys uncertainty }
            } ] ->
            let counts =
                Array.map2
                    (fun b delta ->
                        if b > 0.0 && delta > 0.0 then
                            (b * b) / (delta * delta)
                        else
                            1.0)
                    sample.Nominal
                    uncertainty

            let isFixed =
                Array.map2 (fun b delta -> not (b > 0.0 && delta > 0.0)) sample.Nominal uncertainty

            Ok(vector name isFixed 1e-10 (ParameterConstraint.Poisson(counts, counts)))
        | first :: others ->
            refuse
                (List.last others).Modifier.Path
                ErrorKind.Unsupported
                $"the shapesys '{name}' acts on several samples"
            |> Error.found $"{uses.Length} samples"
            |> Error.expected $"'{first.Sample.Name}' of '{first.Channel.Name}' alone"
            |> Error.hint "A staterror is shared by samples; a shapesys belongs to one."
            |> Error.fail
        | [] -> Result.Error []

    /// The samples that a staterror acts on in each channel, their uncertainties added in quadrature, over the sum of their counts.
    let private statError (name: string) (uses: Use list) : Result<ParameterSet, Error list> =
        let channels = uses |> List.groupBy _.Channel.Name
        let samples = uses |> List.map _.Sample.Name |> List.distinct

        let lacking =
            [
                for channel, here in channels do
                    for sample in samples do
                        if here |> List.forall (fun u -> u.Sample.Name <> sample) then
                            channel, sample
            ]

        match lacking with
        | (channel, sample) :: _ ->
            refuse
                uses.Head.Modifier.Path
                ErrorKind.Unsupported
                $"the staterror '{name}' acts on different samples in different channels"
            |> Error.found $"'{sample}' lacks it in '{channel}'"
            |> Error.expected "the same samples in every channel where it stands"
            |> Error.hint "Give it another name in each channel."
            |> Error.fail
        | [] ->
            let sigmas =
                [|
                    for _, here in channels do
                        for i in 0 .. here.Head.Sample.Nominal.Length - 1 do
                            let total = here |> List.sumBy (fun u -> u.Sample.Nominal[i])

                            let squares =
                                here
                                |> List.sumBy (fun u ->
                                    match u.Modifier.Modification with
                                    | Modification.StatError delta when total > 0.0 ->
                                        (delta[i] / total) * (delta[i] / total)
                                    | _ -> 0.0)

                            sqrt squares
                |]

            let isFixed = sigmas |> Array.map (fun s -> s = 0.0)
            let widths = sigmas |> Array.map (fun s -> if s = 0.0 then 1.0 else s)

            vector
                name
                isFixed
                1e-10
                (ParameterConstraint.Normal(Array.create sigmas.Length 1.0, widths))
            |> Ok

    let private lumi
        (name: string)
        (path: string)
        (settings: HistSettings option)
        : Result<ParameterSet, Error list> =
        match settings with
        | Some { AuxData = Some [| value |]; Sigmas = Some [| sigma |] } ->
            Ok(
                scalar
                    name
                    value
                    0.0
                    (10.0 * value)
                    (ParameterConstraint.Normal([| value |], [| sigma |]))
            )
        | Some given ->
            refuse
                given.Path
                ErrorKind.Schema
                $"the measurement does not say how well '{name}' is known"
            |> Error.expected "'auxdata' and 'sigmas' of one number each"
            |> Error.fail
        | None ->
            refuse
                path
                ErrorKind.Schema
                $"the measurement does not say how well the luminosity '{name}' is known"
            |> Error.expected $"an entry '{name}' in its parameters, with 'auxdata' and 'sigmas'"
            |> Error.fail

    /// What the measurement says in place of what the modifiers say.
    let private overridden
        (settings: HistSettings)
        (set: ParameterSet)
        : Result<ParameterSet, Error list> =
        let count = set.Inits.Length

        let length (what: string) (given: 'T[] option) : Error list =
            match given with
            | Some values when values.Length <> count ->
                [
                    refuse settings.Path ErrorKind.Shape $"'{what}' of the parameter '{set.Name}'"
                    |> Error.found $"{values.Length} values"
                    |> Error.expected $"{count}"
                ]
            | _ -> []

        let unused (what: string) (given: 'T[] option) : Error list =
            match given with
            | Some _ ->
                [
                    refuse
                        settings.Path
                        ErrorKind.Schema
                        $"'{what}' means nothing for the parameter '{set.Name}'"
                    |> Error.found (set.Types |> String.concat ", ")
                ]
            | None -> []

        let foreign =
            match set.Constraint with
            | ParameterConstraint.None ->
                unused "auxdata" settings.AuxData
                @ unused "sigmas" settings.Sigmas
                @ unused "factors" settings.Factors
            | ParameterConstraint.Normal _ -> unused "factors" settings.Factors
            | ParameterConstraint.Poisson _ -> unused "sigmas" settings.Sigmas

        let mistakes =
            length "inits" settings.Inits
            @ length "bounds" settings.Bounds
            @ length "fixed" settings.Fixed
            @ length "auxdata" settings.AuxData
            @ length "sigmas" settings.Sigmas
            @ length "factors" settings.Factors
            @ foreign

        if not mistakes.IsEmpty then
            Result.Error mistakes
        else
            let orOld (given: 'T option) (old: 'T) : 'T = Option.defaultValue old given

            Ok
                { set with
                    Inits = orOld settings.Inits set.Inits
                    Bounds = orOld settings.Bounds set.Bounds
                    Fixed = orOld settings.Fixed set.Fixed
                    Constraint =
                        match set.Constraint with
                        | ParameterConstraint.None -> ParameterConstraint.None
                        | ParameterConstraint.Normal(data, sigmas) ->
                            ParameterConstraint.Normal(
                                orOld settings.AuxData data,
                                orOld settings.Sigmas sigmas
                            )
                        | ParameterConstraint.Poisson(data, factors) ->
                            ParameterConstraint.Poisson(
                                orOld settings.AuxData data,
                                orOld settings.Factors factors
                            )
                }

    let private alpha (name: string) : ParameterSet =
        scalar name 0.0 -5.0 5.0 (ParameterConstraint.Normal([| 0.0 |], [| 1.0 |]))

    let private ofUses
        (settings: IReadOnlyDictionary<string, HistSettings>)
        (name: string)
        (uses: Use list)
        : Result<ParameterSet, Error list> =
        let types =
            uses
            |> List.map (fun u -> Modification.name u.Modifier.Modification)
            |> List.distinct

        let given =
            match settings.TryGetValue name with
            | true, found -> Some found
            | _ -> None

        let made =
            match types with
            | [ "lumi" ] -> lumi name uses.Head.Modifier.Path given
            | [ "normfactor" ] -> Ok(scalar name 1.0 0.0 10.0 ParameterConstraint.None)
            | [ "shapefactor" ] -> shapeFactor name uses
            | [ "shapesys" ] -> shapeSys name uses
            | [ "staterror" ] -> statError name uses
            | _ when types |> List.forall (fun t -> t = "histosys" || t = "normsys") ->
                Ok(alpha name)
            | _ ->
                let other =
                    uses
                    |> List.find (fun u -> Modification.name u.Modifier.Modification <> types.Head)

                refuse
                    other.Modifier.Path
                    ErrorKind.Name
                    $"modifiers named '{name}' cannot share a parameter"
                |> Error.found (String.concat ", " types)
                |> Error.expected "modifiers of one type, or normsys and histosys"
                |> Error.fail

        made
        |> Result.map (fun set -> { set with Types = types })
        |> Result.bind (fun set ->
            match given with
            | Some found -> overridden found set
            | None -> Ok set)

    /// The parameters of an ordered model, one set a name, in pyhf's order: by type of modifier, then by first use in channels and
    /// samples; those of staterrors by name.
    let sets (data: HistFactoryData) : Result<ParameterSet list, Error list> =
        let uses = Dictionary<string, List<Use>>()
        let first = typeOrder |> List.map (fun t -> t, List<string>()) |> dict

        for channel in data.Channels do
            for sample in channel.Samples do
                for modifier in sample.Modifiers do
                    match uses.TryGetValue modifier.Name with
                    | true, known ->
                        known.Add { Modifier = modifier; Sample = sample; Channel = channel }
                    | _ ->
                        uses[modifier.Name] <-
                            List [ { Modifier = modifier; Sample = sample; Channel = channel } ]

                    first[Modification.name modifier.Modification].Add modifier.Name

        let settings = data.Settings |> Seq.map (fun s -> s.Name, s) |> readOnlyDict

        typeOrder
        |> List.collect (fun t ->
            let names = first[t] |> Seq.distinct |> List.ofSeq

            if t = "staterror" then
                names |> List.sortWith (fun a b -> System.String.CompareOrdinal(a, b))
            else
                names)
        |> List.distinct
        |> List.map (fun name -> ofUses settings name (List.ofSeq uses[name]))
        |> Error.collect
