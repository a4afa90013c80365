namespace FunLik

open System.Collections.Generic

/// Which interpolation codes a model takes.
type HistFactoryCodes =
    {
        /// For factors on normalisations.
        NormSys: InterpolationCode
        /// For changes of shapes: an additive code.
        HistoSys: InterpolationCode
    }

/// One sample in one channel; its bins are entries `First`, `First` + 1, ….
type internal HistUnit =
    {
        Channel: HistChannel
        Sample: HistSample
        First: int
        /// The place of the channel's first bin among all bins.
        FirstBin: int
    }

type internal HistPlan =
    {
        Units: HistUnit[]
        Entries: int
        Bins: int
        /// The bin of each entry.
        BinOf: int[]
        /// All parameters as one vector; None if there are none.
        Theta: Expr option
        /// The place of a name's first parameter.
        Offset: IReadOnlyDictionary<string, int>
        ThetaSize: int
        Codes: HistFactoryCodes
    }

/// Counts of all samples before factors: nominal counts and changes of shapes, as one product of a matrix with all parameters.
[<RequireQualifiedAccess>]
module internal HistFactoryShapes =

    /// The samples of an ordered model, one after the other.
    let unitsOf (data: HistFactoryData) : HistUnit[] =
        let units = List<HistUnit>()
        let mutable entry = 0
        let mutable bin = 0

        for channel in data.Channels do
            for sample in channel.Samples do
                units.Add { Channel = channel; Sample = sample; First = entry; FirstBin = bin }

                entry <- entry + channel.Observed.Length

            bin <- bin + channel.Observed.Length

        units.ToArray()

    /// Half the difference of two variations, and what their mean has above the nominal counts.
    let private parts
        (nominal: float[])
        (high: float[])
        (low: float[])
        : struct (float[] * float[]) =
        struct (Array.map2 (fun h l -> 0.5 * (h - l)) high low,
                Array.map3 (fun n h l -> 0.5 * ((h - n) + (l - n))) nominal high low)

    /// Columns k and values of what a unit's shapes add: column h multiplies the h-th parameter, column `count` + h its even part.
    let private columns
        (index: IReadOnlyDictionary<string, int>)
        (count: int)
        (unit: HistUnit)
        : (int * float[]) list =
        unit.Sample.Modifiers
        |> List.collect (fun m ->
            match m.Modification with
            | Modification.HistoSys(high, low) ->
                let struct (odd, even) = parts unit.Sample.Nominal high low
                [ index[m.Name], odd; count + index[m.Name], even ]
            | _ -> [])
        |> List.filter (fun (_, values) -> values |> Array.exists (fun v -> v <> 0.0))

    /// Counts before factors, and the entry at each of their places.
    let additive (model: HistPlan) : Expr * int[] =
        let names =
            model.Units
            |> Seq.collect (fun u -> u.Sample.Modifiers)
            |> Seq.filter _.Modification.IsHistoSys
            |> Seq.map _.Name
            |> Seq.distinct
            |> Seq.sortBy (fun name -> model.Offset[name])
            |> Array.ofSeq

        let nominal = model.Units |> Array.collect _.Sample.Nominal

        let index = names |> Array.mapi (fun i name -> name, i) |> readOnlyDict
        let filled = model.Units |> Array.map (columns index names.Length)

        let groups =
            Array.map2
                (fun unit (entries: (int * float[]) list) ->
                    {
                        Rows = [| unit.First .. unit.First + unit.Sample.Nominal.Length - 1 |]
                        Columns = entries |> List.map fst |> List.sort |> Array.ofList
                    })
                model.Units
                filled
            |> List.ofArray

        let used = groups |> List.exists (fun g -> g.Columns.Length > 0)

        match model.Theta with
        | Some theta when used ->
            let alpha = theta |> Expr.gather (names |> Array.map (fun n -> model.Offset[n]))
            let both = Expr.concat [ alpha; Interpolation.even model.Codes.HistoSys alpha ]
            let place = Array.create model.Entries -1

            // Values go to a matrix by its row and column.
            let fill (put: int -> int -> float -> unit) : unit =
                for unit, entries in Array.zip model.Units filled do
                    for column, values in entries do
                        values
                        |> Array.iteri (fun i v ->
                            if v <> 0.0 then
                                put (unit.First + i) column v)

            let changed, rows =
                match HistFactoryBlocks.plan groups with
                | ProductPlan.Dense blocks ->
                    let blockOf = Array.create model.Entries -1

                    blocks
                    |> List.iteri (fun b block ->
                        block.Rows
                        |> Array.iteri (fun row entry ->
                            blockOf[entry] <- b
                            place[entry] <- row))

                    let matrices =
                        blocks
                        |> List.map (fun b ->
                            Array.zeroCreate<float>(b.Rows.Length * b.Columns.Length))
                        |> Array.ofList

                    let widths = blocks |> List.map _.Columns.Length |> Array.ofList

                    let columnOf =
                        blocks
                        |> List.map (fun b -> b.Columns |> Array.mapi (fun k c -> c, k) |> dict)
                        |> Array.ofList

                    fill (fun entry column v ->
                        let b = blockOf[entry]
                        matrices[b][place[entry] * widths[b] + columnOf[b][column]] <- v)

                    let products =
                        blocks
                        |> List.mapi (fun b block ->
                            Expr.matVec
                                (Expr.matrix block.Rows.Length widths[b] matrices[b])
                                (Expr.gather block.Columns both))

                    products, blocks |> List.map _.Rows |> Array.concat
                | ProductPlan.Sparse rows ->
                    rows |> Array.iteri (fun row entry -> place[entry] <- row)
                    let lines = Array.init rows.Length (fun _ -> List<struct (int * float)>())
                    fill (fun entry column v -> lines[place[entry]].Add(struct (column, v)))

                    let matrix =
                        SparseMatrix(
                            rows.Length,
                            2 * names.Length,
                            lines |> Array.scan (fun start line -> start + line.Count) 0,
                            lines |> Array.collect (fun l -> [| for struct (c, _) in l -> c |]),
                            lines |> Array.collect (fun l -> [| for struct (_, v) in l -> v |])
                        )

                    [ Expr.sparse matrix both ], rows

            let rest = [| 0 .. model.Entries - 1 |] |> Array.except rows
            let order = Array.append rows rest

            let unchanged =
                if rest.Length = 0 then
                    []
                else
                    [ Expr.full (Vector rest.Length) 0.0 ]

            Expr.concat (changed @ unchanged) + (order |> Array.map (fun e -> nominal[e])), order
        | _ -> Expr.vector nominal, [| 0 .. model.Entries - 1 |]
