namespace FunLik

/// How a modifier changes the expected counts of a sample in a channel.
[<RequireQualifiedAccess>]
type Modification =
    /// A free factor.
    | NormFactor
    /// The luminosity: a factor with a normal constraint.
    | Lumi
    /// A factor that is `high` and `low` at one standard deviation.
    | NormSys of high: float * low: float
    /// Counts that are `high` and `low` at one standard deviation.
    | HistoSys of high: float[] * low: float[]
    /// A free factor on each bin, the same in every channel.
    | ShapeFactor
    /// A factor on each bin of one sample, with the Poisson constraint that belongs to these absolute uncertainties.
    | ShapeSys of uncertainty: float[]
    /// A factor on each bin, shared by samples, with a normal constraint from the sum of these absolute uncertainties.
    | StatError of uncertainty: float[]

/// A modifier of a sample: modifiers of one name share their parameters.
type HistModifier =
    {
        /// The name of its parameters.
        Name: string
        /// What it does.
        Modification: Modification
        /// Where it stands in its file, for messages.
        Path: string
    }

/// Expected counts of one process in one channel.
type HistSample =
    {
        /// The name of the process.
        Name: string
        /// Nominal counts, one a bin; not negative.
        Nominal: float[]
        /// What changes them.
        Modifiers: HistModifier list
        /// Where it stands in its file, for messages.
        Path: string
    }

/// Bins that are counted together.
type HistChannel =
    {
        /// The name, unique in its model.
        Name: string
        /// Observed counts, one a bin.
        Observed: float[]
        /// What is expected there: one sample or more, with different names.
        Samples: HistSample list
        /// Where it stands in its file, for messages.
        Path: string
    }

/// What a measurement says of the parameters of one name, in place of what their modifiers say.
type HistSettings =
    {
        /// The name of the modifiers.
        Name: string
        /// Starting values.
        Inits: float[] option
        /// Bounds of fits.
        Bounds: struct (float * float)[] option
        /// Whether fits keep them at their starting values.
        Fixed: bool[] option
        /// What the auxiliary measurements found.
        AuxData: float[] option
        /// The widths of normal constraints.
        Sigmas: float[] option
        /// What Poisson constraints expect at 1.
        Factors: float[] option
        /// Where it stands in its file, for messages.
        Path: string
    }

/// A binned model of HistFactory.
type HistFactoryData =
    {
        /// What is measured.
        Name: string
        /// The channels, in any order.
        Channels: HistChannel list
        /// The name of the parameter of interest, if there is one.
        Poi: string option
        /// Where the parameter of interest is named in its file, for messages.
        PoiPath: string
        /// What the measurement says of parameters.
        Settings: HistSettings list
    }

/// Names of modifications.
[<RequireQualifiedAccess>]
module Modification =

    /// The name of a type of modifier in workspaces.
    let name (modification: Modification) : string =
        match modification with
        | Modification.HistoSys _ -> "histosys"
        | Modification.Lumi -> "lumi"
        | Modification.NormFactor -> "normfactor"
        | Modification.NormSys _ -> "normsys"
        | Modification.ShapeFactor -> "shapefactor"
        | Modification.ShapeSys _ -> "shapesys"
        | Modification.StatError _ -> "staterror"

/// The order in which everything about a model is told, whatever the order in its file: by name, as pyhf orders.
[<RequireQualifiedAccess>]
module HistFactoryData =

    let private byName (name: 'T -> string) (items: 'T list) : 'T list =
        items |> List.sortWith (fun a b -> System.String.CompareOrdinal(name a, name b))

    /// The same model with channels, samples and modifiers by name.
    let ordered (data: HistFactoryData) : HistFactoryData =
        let sample (s: HistSample) : HistSample =
            { s with
                Modifiers =
                    s.Modifiers
                    |> byName (fun m -> Modification.name m.Modification)
                    |> byName _.Name
            }

        let channel (c: HistChannel) : HistChannel =
            { c with Samples = c.Samples |> byName _.Name |> List.map sample }

        { data with Channels = data.Channels |> byName _.Name |> List.map channel }

    let private error (path: string) (kind: ErrorKind) (message: string) : Error =
        let plain = Error.make kind message
        if path = "" then plain else Error.at path plain

    let private below (path: string) (key: string) : string = if path = "" then "" else path + key

    let private doubled
        (what: string)
        (name: 'T -> string)
        (path: 'T -> string)
        (items: 'T list)
        : Error list =
        items
        |> List.groupBy name
        |> List.collect (fun (name, same) ->
            same.Tail
            |> List.map (fun item ->
                error (path item) ErrorKind.Name $"the {what} '{name}' stands {same.Length} times"))

    let private length
        (what: string)
        (path: string)
        (expected: int)
        (values: float[])
        : Error list =
        if values.Length = expected then
            []
        else
            [
                error path ErrorKind.Shape $"wrong length of {what}"
                |> Error.found $"{values.Length} numbers"
                |> Error.expected $"{expected}, one a bin"
            ]

    /// Of many bad numbers in one array the first ones are told.
    let private mistakesAnArray = 3

    let private notNegative (what: string) (path: string) (values: float[]) : Error list =
        values
        |> Seq.indexed
        |> Seq.filter (fun (_, v) -> not (System.Double.IsFinite v) || v < 0.0)
        |> Seq.truncate mistakesAnArray
        |> Seq.map (fun (i, v) ->
            error (below path $"[{i}]") ErrorKind.Value $"a negative number in {what}"
            |> Error.found $"{v}"
            |> Error.expected "a number that is not negative")
        |> List.ofSeq

    let private checkModifier (bins: int) (modifier: HistModifier) : Error list =
        let data = below modifier.Path ".data"

        match modifier.Modification with
        | Modification.HistoSys(high, low) ->
            length "the high variation" (below data ".hi_data") bins high
            @ length "the low variation" (below data ".lo_data") bins low
        | Modification.ShapeSys uncertainty
        | Modification.StatError uncertainty ->
            length "the uncertainties" data bins uncertainty
            @ notNegative "the uncertainties" data uncertainty
        | Modification.NormFactor
        | Modification.Lumi
        | Modification.NormSys _
        | Modification.ShapeFactor -> []

    let private checkChannel (channel: HistChannel) : Error list =
        let bins = channel.Observed.Length

        let empty =
            if channel.Samples.IsEmpty then
                [
                    error
                        channel.Path
                        ErrorKind.Shape
                        $"the channel '{channel.Name}' has no samples"
                ]
            elif bins = 0 then
                [
                    error channel.Path ErrorKind.Shape $"the channel '{channel.Name}' has no bins"
                ]
            else
                []

        empty
        @ doubled "sample" (fun (s: HistSample) -> s.Name) _.Path channel.Samples
        @ (channel.Samples
           |> List.collect (fun s ->
               length
                   $"the sample '{s.Name}' in '{channel.Name}'"
                   (below s.Path ".data")
                   bins
                   s.Nominal
               @ notNegative
                   $"the sample '{s.Name}' in '{channel.Name}'"
                   (below s.Path ".data")
                   s.Nominal
               @ doubled
                   "modifier"
                   (fun (m: HistModifier) -> $"{m.Name} ({Modification.name m.Modification})")
                   _.Path
                   s.Modifiers
               @ (s.Modifiers |> List.collect (checkModifier bins))))

    /// What is wrong with a model: names that stand twice, arrays of wrong lengths, negative counts and uncertainties.
    let check (data: HistFactoryData) : Error list =
        doubled "channel" (fun (c: HistChannel) -> c.Name) _.Path data.Channels
        @ doubled "parameter" (fun (s: HistSettings) -> s.Name) _.Path data.Settings
        @ (data.Channels |> List.collect checkChannel)
