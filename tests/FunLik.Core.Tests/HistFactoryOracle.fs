/// HistFactory written down once more: loops over modifiers, bins and samples, and random models for laws.
module FunLik.Tests.HistFactoryOracle

open System
open FsCheck
open FsCheck.FSharp
open MathNet.Numerics
open FunLik

/// The coefficients of code 4 from what defines them: value, slope and curvature of the exponentials at ±1.
let private polynomial (high: float) (low: float) : float[] =
    let powers (derivative: int) (x: float) : float[] =
        [|
            for k in 1..6 ->
                let factor = Seq.init derivative (fun d -> float (k - d)) |> Seq.fold (*) 1.0
                factor * (if k < derivative then 0.0 else x ** float (k - derivative))
        |]

    let conditions =
        [|
            for x, value in [ 1.0, high; -1.0, low ] do
                let slope = float (sign x) * log value
                powers 0 x, value - 1.0
                powers 1 x, value * slope
                powers 2 x, value * slope * slope
        |]

    let matrix =
        LinearAlgebra.Double.DenseMatrix.OfRowArrays(conditions |> Array.map fst)

    let values = LinearAlgebra.Double.DenseVector(conditions |> Array.map snd)
    matrix.Solve(values).ToArray()

/// The factor of a normalisation.
let factor (code: InterpolationCode) (high: float) (low: float) (a: float) : float =
    let exponential = if a >= 0.0 then high ** a else low ** -a

    match code with
    | InterpolationCode.Code1 -> exponential
    | InterpolationCode.Code4 when abs a >= 1.0 -> exponential
    | InterpolationCode.Code4 ->
        1.0
        + (polynomial high low
           |> Array.mapi (fun k c -> c * a ** float (k + 1))
           |> Array.sum)
    | _ -> nan

/// What a shape adds to a nominal count.
let change
    (code: InterpolationCode)
    (nominal: float)
    (high: float)
    (low: float)
    (a: float)
    : float =
    let up, down = high - nominal, nominal - low

    match code with
    | InterpolationCode.Code0 -> if a >= 0.0 then a * up else a * down
    | InterpolationCode.Code2 ->
        let bend, slope = 0.5 * (high + low) - nominal, 0.5 * (high - low)

        if a > 1.0 then (slope + 2.0 * bend) * (a - 1.0) + up
        elif a < -1.0 then (slope - 2.0 * bend) * (a + 1.0) - down
        else bend * a * a + slope * a
    | _ when a > 1.0 -> a * up
    | _ when a < -1.0 -> a * down
    | _ ->
        let s, d = 0.5 * (up + down), 0.0625 * (up - down)
        a * (s + a * d * (15.0 + a * a * (3.0 * a * a - 10.0)))

/// Expected counts by channel, for values of the parameters by name.
let expected
    (codes: HistFactoryCodes)
    (values: string -> float[])
    (data: HistFactoryData)
    : (string * float[]) list =
    let channels = data.Channels |> List.sortBy _.Name
    let parameter (name: string) (i: int) : float = Array.item i (values name)

    // A staterror of several channels has parameters for the bins of each, one channel after the other.
    let statOffset (name: string) (channel: HistChannel) : int =
        channels
        |> List.takeWhile (fun c -> c.Name <> channel.Name)
        |> List.filter (fun c ->
            c.Samples
            |> List.exists (fun s ->
                s.Modifiers
                |> List.exists (fun m -> m.Name = name && m.Modification.IsStatError)))
        |> List.sumBy _.Observed.Length

    [
        for channel in channels ->
            channel.Name,
            Array.init channel.Observed.Length (fun b ->
                channel.Samples
                |> List.sumBy (fun sample ->
                    let mutable count = sample.Nominal[b]
                    let mutable product = 1.0

                    for m in sample.Modifiers do
                        match m.Modification with
                        | Modification.HistoSys(high, low) ->
                            count <-
                                count
                                + change
                                    codes.HistoSys
                                    sample.Nominal[b]
                                    high[b]
                                    low[b]
                                    (parameter m.Name 0)
                        | Modification.NormSys(high, low) ->
                            product <-
                                product * factor codes.NormSys high low (parameter m.Name 0)
                        | Modification.NormFactor
                        | Modification.Lumi -> product <- product * (parameter m.Name 0)
                        | Modification.ShapeFactor
                        | Modification.ShapeSys _ -> product <- product * (parameter m.Name b)
                        | Modification.StatError _ ->
                            product <-
                                product * (parameter m.Name (statOffset m.Name channel + b))

                    count * product))
    ]

let private poisson (n: float) (mean: float) : float =
    (if n = 0.0 then 0.0 else n * log mean)
    - mean
    - SpecialFunctions.GammaLn(n + 1.0)

let private normal (x: float) (mean: float) (sigma: float) : float =
    -0.5 * ((x - mean) / sigma) ** 2.0 - log sigma - 0.5 * log (2.0 * Math.PI)

/// The log density of the main measurement.
let main (codes: HistFactoryCodes) (values: string -> float[]) (data: HistFactoryData) : float =
    let observed = data.Channels |> List.map (fun c -> c.Name, c.Observed) |> Map.ofList

    expected codes values data
    |> List.sumBy (fun (channel, means) -> Array.map2 poisson observed[channel] means |> Array.sum)

/// The log density of the constraints, without what a measurement says but for the luminosity.
let constraints (values: string -> float[]) (data: HistFactoryData) : float =
    let uses =
        [
            for channel in data.Channels |> List.sortBy _.Name do
                for sample in channel.Samples do
                    for m in sample.Modifiers do
                        m.Name, (channel, sample, m.Modification)
        ]

    uses
    |> List.groupBy fst
    |> List.sumBy (fun (name, same) ->
        match snd same.Head with
        | _, _, (Modification.HistoSys _ | Modification.NormSys _) ->
            normal 0.0 (values name |> Array.head) 1.0
        | _, _, Modification.Lumi ->
            let s = data.Settings |> List.find (fun s -> s.Name = name)
            normal s.AuxData.Value[0] (values name |> Array.head) s.Sigmas.Value[0]
        | _, sample, Modification.ShapeSys delta ->
            Array.map3
                (fun b d v ->
                    let tau = if b > 0.0 && d > 0.0 then (b / d) ** 2.0 else 1.0
                    poisson tau (tau * v))
                sample.Nominal
                delta
                (values name)
            |> Array.sum
        | _, _, Modification.StatError _ ->
            let sigmas =
                [|
                    for _, inChannel in same |> List.groupBy (fun (_, (c, _, _)) -> c.Name) do
                        let _, (channel, _, _) = inChannel.Head

                        for b in 0 .. channel.Observed.Length - 1 do
                            let total =
                                inChannel |> List.sumBy (fun (_, (_, s, _)) -> s.Nominal[b])

                            let errors =
                                inChannel
                                |> List.map (fun (_, (_, _, m)) ->
                                    match m with
                                    | Modification.StatError delta -> delta[b]
                                    | _ -> 0.0)

                            if total > 0.0 then
                                (errors |> List.sumBy (fun e -> e * e) |> sqrt) / total
                            else
                                0.0
                |]

            Array.map2 (fun s v -> normal 1.0 v (if s = 0.0 then 1.0 else s)) sigmas (values name)
            |> Array.sum
        | _ -> 0.0)

// ---- Random models

let private between (low: float) (high: float) : Gen<float> =
    Gen.choose (0, 1_000_000)
    |> Gen.map (fun k -> low + (high - low) * float k / 1e6)

let private around (nominal: float[]) : Gen<float[]> =
    Gen.collectToList (fun v -> between 0.7 1.3 |> Gen.map (fun f -> v * f)) nominal
    |> Gen.map Array.ofSeq

let private errors (nominal: float[]) : Gen<float[]> =
    nominal
    |> Gen.collectToList (fun v ->
        Gen.frequency [ 8, between 0.05 0.3 |> Gen.map (fun f -> v * f); 1, Gen.constant 0.0 ])
    |> Gen.map Array.ofSeq

let private modification (m: Modification) (name: string) : HistModifier =
    { Name = name; Modification = m; Path = "" }

/// A sample with some of all modifiers. Alphas are shared by everything; what belongs to bins is named by channel.
let private sample (channel: string) (bins: int) (name: string) : Gen<HistSample> =
    gen {
        let count = Gen.frequency [ 9, between 0.5 30.0; 1, Gen.constant 0.0 ]

        let! nominal = Gen.arrayOfLength bins count
        let! alphas = Gen.subListOf [ "alpha"; "beta"; "gamma" ]
        let! norms = Gen.subListOf [ "alpha"; "delta" ]
        let! others = Gen.subListOf [ "mu"; "lumi"; "free"; "own"; "stat" ]

        let! shapes =
            alphas
            |> Gen.collectToList (fun alpha ->
                Gen.map2
                    (fun high low -> modification (Modification.HistoSys(high, low)) alpha)
                    (around nominal)
                    (around nominal))

        let! factors =
            norms
            |> Gen.collectToList (fun alpha ->
                Gen.map2
                    (fun high low -> modification (Modification.NormSys(high, low)) alpha)
                    (between 0.7 1.4)
                    (between 0.7 1.4))

        let! rest =
            others
            |> Gen.collectToList (fun other ->
                match other with
                | "mu" -> Gen.constant (modification Modification.NormFactor "mu")
                | "lumi" -> Gen.constant (modification Modification.Lumi "lumi")
                | "free" -> Gen.constant (modification Modification.ShapeFactor $"free_{channel}")
                | "own" ->
                    errors nominal
                    |> Gen.map (fun e ->
                        modification (Modification.ShapeSys e) $"own_{channel}_{name}")
                | _ ->
                    errors nominal
                    |> Gen.map (fun e -> modification (Modification.StatError e) $"stat_{channel}"))

        return
            {
                Name = name
                Nominal = nominal
                Modifiers = List.ofSeq shapes @ List.ofSeq factors @ List.ofSeq rest
                Path = ""
            }
    }

let private channel (name: string) : Gen<HistChannel> =
    gen {
        let! bins = Gen.choose (1, 4)
        let! names = Gen.nonEmptyListOf (Gen.elements [ "signal"; "top"; "fakes" ])
        let! samples = names |> List.distinct |> Gen.collectToList (sample name bins)
        let! observed = Gen.arrayOfLength bins (Gen.choose (0, 60) |> Gen.map float)

        // Something is expected everywhere.
        let floor =
            { Name = "floor"; Nominal = Array.create bins 2.0; Modifiers = []; Path = "" }

        return
            {
                Name = name
                Observed = observed
                Samples = floor :: List.ofSeq samples
                Path = ""
            }
    }

/// A model with all kinds of modifiers, and a sample without any.
let model: Gen<HistFactoryData> =
    gen {
        let! names = Gen.nonEmptyListOf (Gen.elements [ "SR"; "CR"; "VR" ])
        let! channels = names |> List.distinct |> Gen.collectToList channel

        return
            {
                Name = "random"
                Channels = List.ofSeq channels
                Poi = None
                PoiPath = ""
                Settings =
                    [
                        {
                            Name = "lumi"
                            Inits = None
                            Bounds = None
                            Fixed = None
                            AuxData = Some [| 1.1 |]
                            Sigmas = Some [| 0.05 |]
                            Factors = None
                            Path = ""
                        }
                    ]
            }
    }

/// Codes for both kinds of modifiers.
let codes: Gen<HistFactoryCodes> =
    Gen.map2
        (fun normSys histoSys -> { NormSys = normSys; HistoSys = histoSys })
        (Gen.elements [ InterpolationCode.Code1; InterpolationCode.Code4 ])
        (Gen.elements [ InterpolationCode.Code0; InterpolationCode.Code2; InterpolationCode.Code4p ])

/// A value for each parameter name: alphas (nominal 0) between -2 and 2, factors between 0.6 and 1.4. Reproducible from a seed.
let valueOf (seed: int) (p: ModelParameter) : float =
    let u = Key.uniforms 1 (Key.ofSeed seed |> Key.foldName p.Name)

    if p.Nominal = 0.0 then
        4.0 * u[0] - 2.0
    else
        0.6 + 0.8 * u[0]

/// Values by name of modifier, from a point of a model.
let byName (model: Likelihood) (theta: float[]) : string -> float[] =
    let blocks, _ =
        model.Blocks
        |> List.mapFold
            (fun first b ->
                let n = b.Parameters.Length
                (b.Name, theta[first .. first + n - 1]), first + n)
            0

    let known = Map.ofList blocks
    fun name -> known[name]
