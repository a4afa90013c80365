namespace FunLik

open System.Collections.Generic

/// Expected counts of a model as a few vector and matrix operations over all bins of all samples at once.
[<RequireQualifiedAccess>]
module internal HistFactoryRates =

    /// The products of lists of factors: vectors of indices, short lists filled up with the index of 1, and their product. Lists that
    /// are much longer than others come by themselves.
    let private productsOf (one: int) (factors: Expr) (lists: int[][]) : Expr option =
        let together (lists: int[][]) : Expr =
            let longest = lists[0].Length

            let index =
                Array.init (max 1 longest * lists.Length) (fun k ->
                    let list = lists[k % lists.Length]
                    let place = k / lists.Length
                    if place < list.Length then list[place] else one)

            Composite.products lists.Length (Expr.gather index factors)

        if lists |> Array.forall Array.isEmpty then
            None
        else
            let order = [| 0 .. lists.Length - 1 |] |> Array.sortBy (fun i -> -lists[i].Length)
            let sorted = order |> Array.map (fun i -> lists[i])

            // A class ends where lists are less than half as long as its first, but for short ones.
            let classes = List<int>([ 0 ])

            sorted
            |> Array.iteri (fun i list ->
                let first = sorted[classes[classes.Count - 1]]

                if first.Length > 4 && 2 * list.Length < first.Length then
                    classes.Add i)

            classes.Add lists.Length

            let products =
                [
                    for first, next in Seq.pairwise classes do
                        together sorted[first .. next - 1]
                ]
                |> Expr.concat

            let place = Array.zeroCreate lists.Length
            order |> Array.iteri (fun position i -> place[i] <- position)
            Some(Expr.gather place products)

    /// The factor of each unit: free factors, luminosities and normalisation uncertainties.
    let private unitFactors (model: HistPlan) (order: int[]) (unitOf: int[]) : Expr option =
        let free = Dictionary<int, int>()
        let varied = Dictionary<struct (int * float * float), int>()

        let indexOf (known: Dictionary<'K, int>) (key: 'K) : int =
            match known.TryGetValue key with
            | true, i -> i
            | _ ->
                known[key] <- known.Count
                known.Count - 1

        // Indices of the second kind follow those of the first: told apart until all are known.
        let raw =
            model.Units
            |> Array.map (fun u ->
                u.Sample.Modifiers
                |> List.choose (fun m ->
                    match m.Modification with
                    | Modification.NormFactor
                    | Modification.Lumi -> Some(struct (false, indexOf free model.Offset[m.Name]))
                    | Modification.NormSys(high, low) ->
                        Some(
                            struct (true,
                                    indexOf varied (struct (model.Offset[m.Name], high, low)))
                        )
                    | _ -> None))

        match model.Theta with
        | Some theta when free.Count + varied.Count > 0 ->
            let lists =
                raw
                |> Array.map (
                    List.map (fun (struct (isVaried, i)) -> if isVaried then free.Count + i else i)
                    >> List.sort
                    >> Array.ofList
                )

            let keys = varied.Keys |> Array.ofSeq

            let values =
                [
                    if free.Count > 0 then
                        Expr.gather (Array.ofSeq free.Keys) theta
                    if keys.Length > 0 then
                        theta
                        |> Expr.gather (keys |> Array.map (fun (struct (place, _, _)) -> place))
                        |> Interpolation.factors
                            model.Codes.NormSys
                            (keys |> Array.map (fun (struct (_, high, _)) -> high))
                            (keys |> Array.map (fun (struct (_, _, low)) -> low))
                    Expr.scalar 1.0
                ]
                |> Expr.concat

            let distinct = lists |> Array.distinct
            let position = Dictionary<int[], int>(HashIdentity.Structural)
            distinct |> Array.iteri (fun i list -> position[list] <- i)

            productsOf (free.Count + keys.Length) values distinct
            |> Option.map (Expr.gather (order |> Array.map (fun e -> position[lists[unitOf[e]]])))
        | _ -> None

    /// The parameters that multiply single bins, by entry.
    let private binParameters (model: HistPlan) : int[][] =
        let lists = Array.init model.Entries (fun _ -> List<int>())
        let uses = Dictionary<string, List<string * int>>()

        // A staterror that stands in several channels has parameters for the bins of all of them.
        let statOffset (name: string) (channel: HistChannel) : int =
            let known =
                match uses.TryGetValue name with
                | true, found -> found
                | _ ->
                    uses[name] <- List()
                    uses[name]

            match known |> Seq.tryFind (fun (c, _) -> c = channel.Name) with
            | Some(_, offset) -> offset
            | None ->
                let last =
                    if known.Count = 0 then
                        0
                    else
                        snd known[known.Count - 1]
                        + (model.Units
                           |> Array.find (fun u -> u.Channel.Name = fst known[known.Count - 1]))
                            .Channel.Observed.Length

                known.Add((channel.Name, last))
                last

        for unit in model.Units do
            for m in unit.Sample.Modifiers do
                let first =
                    match m.Modification with
                    | Modification.ShapeFactor
                    | Modification.ShapeSys _ -> Some model.Offset[m.Name]
                    | Modification.StatError _ ->
                        Some(model.Offset[m.Name] + statOffset m.Name unit.Channel)
                    | _ -> None

                match first with
                | Some place ->
                    for i in 0 .. unit.Channel.Observed.Length - 1 do
                        lists[unit.First + i].Add(place + i)
                | None -> ()

        lists |> Array.map _.ToArray()

    /// Splits the parameters of entries into those that all samples of a bin have, and the others.
    let private commonFirst (model: HistPlan) (lists: int[][]) : int[][] * int[][] =
        let common = Array.zeroCreate<int[]> model.Bins

        lists
        |> Array.iteri (fun entry list ->
            let bin = model.BinOf[entry]

            common[bin] <-
                if isNull common[bin] then
                    list
                else
                    common[bin] |> Array.filter (fun p -> Array.contains p list))

        let own =
            lists
            |> Array.mapi (fun entry list ->
                let shared = common[model.BinOf[entry]]

                if shared.Length = 0 then
                    list
                else
                    list |> Array.except shared)

        common, own

    let private binFactors (model: HistPlan) (lists: int[][]) : Expr option =
        match model.Theta with
        | Some theta when lists |> Array.exists (fun l -> l.Length > 0) ->
            if lists |> Array.forall (fun l -> l.Length = 1) then
                Some(Expr.gather (lists |> Array.map Array.head) theta)
            else
                productsOf model.ThetaSize (Expr.concat [ theta; Expr.scalar 1.0 ]) lists
        | _ -> None

    /// The factors that couplings give.
    let private couplingFactors
        (model: HistPlan)
        (scalings: QuadraticScaling list)
        (order: int[])
        (unitOf: int[])
        : Expr option =
        if scalings.IsEmpty then
            None
        else
            let factors, places = Interference.factors scalings
            let one = Shape.size factors.Shape

            let place =
                List.mapi
                    (fun i (s: QuadraticScaling) -> (s.Channel, s.Process), places[i])
                    scalings
                |> readOnlyDict

            let index =
                order
                |> Array.map (fun entry ->
                    let unit = model.Units[unitOf[entry]]

                    match place.TryGetValue((unit.Channel.Name, unit.Sample.Name)) with
                    | true, bins -> bins[entry - unit.First]
                    | _ -> one)

            if Array.contains one index then
                Some(Expr.gather index (Expr.concat [ factors; Expr.scalar 1.0 ]))
            else
                Some(Expr.gather index factors)

    /// Expected counts of all bins of an ordered model, channel by channel.
    let expected
        (codes: HistFactoryCodes)
        (scalings: QuadraticScaling list)
        (sets: ParameterSet list)
        (blocks: ParameterBlock list)
        (data: HistFactoryData)
        : Expr =
        let units = HistFactoryShapes.unitsOf data

        let offsets =
            sets |> List.mapFold (fun place s -> (s.Name, place), place + s.Inits.Length) 0

        let unitOf =
            units
            |> Array.mapi (fun u unit -> Array.create unit.Channel.Observed.Length u)
            |> Array.concat

        let model =
            {
                Units = units
                Entries = unitOf.Length
                Bins = data.Channels |> List.sumBy _.Observed.Length
                BinOf =
                    unitOf |> Array.mapi (fun entry u -> units[u].FirstBin + entry - units[u].First)
                Theta =
                    if blocks.IsEmpty then
                        None
                    else
                        Some(Expr.concat (blocks |> List.map ParameterBlock.leaf))
                Offset = readOnlyDict (fst offsets)
                ThetaSize = snd offsets
                Codes = codes
            }

        let counts, order = HistFactoryShapes.additive model
        let common, own = commonFirst model (binParameters model)

        let factors =
            [
                unitFactors model order unitOf
                binFactors model (order |> Array.map (fun e -> own[e]))
                couplingFactors model scalings order unitOf
            ]
            |> List.choose id

        let rates = factors |> List.fold (fun (product: Expr) f -> product * f) counts

        let sums =
            Expr.scatterAdd (order |> Array.map (fun e -> model.BinOf[e])) model.Bins rates

        match binFactors model common with
        | Some f -> sums * f
        | None -> sums
