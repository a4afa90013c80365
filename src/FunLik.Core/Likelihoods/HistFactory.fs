namespace FunLik

/// Binned models of HistFactory (Cranmer et al., CERN-OPEN-2012-016) with the conventions of pyhf, and with couplings on which yields
/// depend quadratically.
[<RequireQualifiedAccess>]
module HistFactory =

    /// The interpolation codes that pyhf takes: 4 for normalisations, 4p for shapes.
    let codes: HistFactoryCodes =
        { NormSys = InterpolationCode.Code4; HistoSys = InterpolationCode.Code4p }

    /// Exponentials want variations above 0.
    let private checkVariations (codes: HistFactoryCodes) (data: HistFactoryData) : Error list =
        if Interpolation.isAdditive codes.NormSys then
            []
        else
            [
                for channel in data.Channels do
                    for sample in channel.Samples do
                        for m in sample.Modifiers do
                            match m.Modification with
                            | Modification.NormSys(high, low) when not (high > 0.0 && low > 0.0) ->
                                Error.make
                                    ErrorKind.Value
                                    $"the variation '{m.Name}' of '{sample.Name}' in '{channel.Name}' has no logarithm"
                                |> (if m.Path = "" then id else Error.at m.Path)
                                |> Error.found $"hi {high}, lo {low}"
                                |> Error.expected "numbers above 0"
                                |> Error.hint "normsys=code0 interpolates linearly."
                            | _ -> ()
            ]

    let private checkPoi (sets: ParameterSet list) (data: HistFactoryData) : Error list =
        match data.Poi with
        | Some poi when sets |> List.forall (fun s -> s.Name <> poi) ->
            [
                Error.make
                    ErrorKind.Name
                    $"no modifier has the name of the parameter of interest '{poi}'"
                |> (if data.PoiPath = "" then id else Error.at data.PoiPath)
                |> Error.hint "A patch may add the signal; an empty name stands for none."
            ]
        | _ -> []

    /// The names of parameters of which the density has a kink at 0.
    let private kinked (codes: HistFactoryCodes) (data: HistFactoryData) : Set<string> =
        seq {
            for channel in data.Channels do
                for sample in channel.Samples do
                    for m in sample.Modifiers do
                        match m.Modification with
                        | Modification.NormSys(high, low) when Interpolation.isKinked codes.NormSys ->
                            let isBent =
                                if Interpolation.isAdditive codes.NormSys then
                                    high + low <> 2.0
                                else
                                    high * low <> 1.0

                            if isBent then
                                m.Name
                        | Modification.HistoSys(high, low) when
                            Interpolation.isKinked codes.HistoSys
                            ->
                            if
                                Array.exists2
                                    (fun bent nominal -> bent <> nominal)
                                    (Array.map2 (fun h l -> 0.5 * (h + l)) high low)
                                    sample.Nominal
                            then
                                m.Name
                        | _ -> ()
        }
        |> Set.ofSeq

    /// The parameters of a name as they stand in expressions.
    let private blockOf
        (poi: string option)
        (isKinked: string -> bool)
        (set: ParameterSet)
        : ParameterBlock =
        let kind (i: int) : ParameterKind =
            if poi = Some set.Name && i = 0 then
                ParameterKind.Poi
            else
                ParameterKind.Nuisance

        let parameter (i: int) : ModelParameter =
            let name = if set.IsScalar then set.Name else $"{set.Name}[{i}]"

            { ModelParameter.create name (kind i) set.Inits[i] with
                Range = set.Bounds[i]
                Bounds =
                    if set.Fixed[i] then
                        struct (set.Inits[i], set.Inits[i])
                    else
                        set.Bounds[i]
                IsKinked = isKinked set.Name
            }

        if set.IsScalar then
            ParameterBlock.ofParameter (parameter 0)
        else
            ParameterBlock.ofVector set.Name (Array.init set.Inits.Length parameter)

    let private constraintOf (block: ParameterBlock) (set: ParameterSet) : (Term * float[]) option =
        let leaf = ParameterBlock.leaf block

        let constants (values: float[]) : Expr =
            if block.Shape = Scalar then
                Expr.scalar values[0]
            else
                Expr.vector values

        let term (distribution: Distribution) (mean: Expr) : Term =
            {
                Name = $"{set.Name}.constraint"
                Distribution = distribution
                Shape = block.Shape
                Expectation = mean
                IsConstraint = true
            }

        match set.Constraint with
        | ParameterConstraint.None -> None
        | ParameterConstraint.Normal(data, sigmas) ->
            Some(term (Distribution.Normal(constants sigmas)) leaf, data)
        | ParameterConstraint.Poisson(data, factors) ->
            Some(term Distribution.Poisson (constants factors * leaf), data)

    /// One Poisson term a channel, named as the channel unless a parameter has that name.
    let private mainTerms
        (blocks: ParameterBlock list)
        (expected: Expr)
        (data: HistFactoryData)
        : (Term * float[]) list =
        let taken =
            blocks
            |> Seq.collect (fun b ->
                Seq.append [ b.Name; $"{b.Name}.constraint" ] (b.Parameters |> Seq.map _.Name))
            |> Set.ofSeq

        data.Channels
        |> List.mapFold
            (fun first channel ->
                let bins = channel.Observed.Length

                let term =
                    {
                        Name =
                            if taken.Contains channel.Name then
                                $"channel {channel.Name}"
                            else
                                channel.Name
                        Distribution = Distribution.Poisson
                        Shape = Vector bins
                        Expectation = Expr.slice first bins expected
                        IsConstraint = false
                    }

                (term, channel.Observed), first + bins)
            0
        |> fst

    /// The likelihood of a model, with the couplings of scalings (which are checked already) before its own parameters. Parameters have
    /// the names and the order of pyhf, and values all constants that pyhf has. Each channel is a Poisson term of its name, and each
    /// constrained set of parameters a term `NAME.constraint`. Parameters that are fixed have equal bounds. All mistakes at once.
    let likelihood
        (codes: HistFactoryCodes)
        (scalings: QuadraticScaling list)
        (data: HistFactoryData)
        : Result<Likelihood, Error list> =
        match HistFactoryData.check data @ checkVariations codes data with
        | [] ->
            let data = HistFactoryData.ordered data

            HistFactoryParameters.sets data
            |> Result.bind (fun sets ->
                match checkPoi sets data with
                | [] ->
                    let kinked = kinked codes data
                    let blocks = sets |> List.map (blockOf data.Poi kinked.Contains)
                    let expected = HistFactoryRates.expected codes scalings sets blocks data

                    let terms =
                        mainTerms blocks expected data
                        @ (List.map2 constraintOf blocks sets |> List.choose id)

                    try
                        Likelihood.create
                            data.Name
                            (Interference.blocks scalings @ blocks)
                            (Density.Terms(terms |> List.map fst))
                            (terms |> List.map (fun (t, values) -> t.Name, values) |> Map.ofList)
                            []
                        |> Ok
                    with FunLikException errors ->
                        Result.Error errors
                | errors -> Result.Error errors)
        | errors -> Result.Error errors
