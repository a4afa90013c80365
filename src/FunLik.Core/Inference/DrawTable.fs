namespace FunLik

open System

/// Draws of several chains of one length, perhaps with weights: what inference is made from. Its arrays are never written to.
type DrawTable =
    {
        /// The names of the parameters.
        Names: string[]
        /// The number of chains.
        Chains: int
        /// How many neighbouring chains move by each other's places: 1 where all are independent, the walkers of an ensemble where they do.
        Together: int
        /// The points, chain by chain in the order in which they were drawn: chains × draws × parameters.
        Points: float[]
        /// The log density at each draw: chains × draws; NaN where it is not known.
        LogDensity: float[]
        /// The weight of each draw, not negative: chains × draws; None where all weigh the same.
        Weights: float[] option
        /// Where the density of each parameter may end: the ends of its support; infinite where there are none.
        Edges: struct (float * float)[]
    }

    /// The number of parameters.
    member this.Dimension: int = this.Names.Length

    /// Draws of all chains together.
    member this.Count: int = this.LogDensity.Length

    /// Draws of one chain.
    member this.PerChain: int = this.LogDensity.Length / this.Chains

/// Making tables of draws, and taking them apart.
[<RequireQualifiedAccess>]
module DrawTable =

    let private refuse (what: string) (found: string) (expected: string) : Error list =
        [
            Error.make ErrorKind.Shape what |> Error.found found |> Error.expected expected
        ]

    let private finite (names: string[]) (points: float[]) : Error list =
        points
        |> Seq.indexed
        |> Seq.filter (fun (_, x) -> not (Double.IsFinite x))
        |> Seq.truncate 3
        |> Seq.map (fun (i, x) ->
            Error.make ErrorKind.Value "a draw is not a finite number"
            |> Error.at $"draw {i / names.Length}, parameter '{names[i % names.Length]}'"
            |> Error.found $"{x}")
        |> List.ofSeq

    let private weighable (weights: float[] option) : Error list =
        match weights with
        | Some w when w |> Array.exists (fun v -> not (v >= 0.0 && Double.IsFinite v)) ->
            [
                Error.make ErrorKind.Value "a weight is no number from 0 on"
                |> Error.found $"{w |> Array.find (fun v -> not (v >= 0.0 && Double.IsFinite v))}"
            ]
        | Some w when not (Array.exists (fun v -> v > 0.0) w) ->
            [ Error.make ErrorKind.Value "all weights are 0: no draw is left" ]
        | _ -> []

    /// A table of its parts, checked: sizes that go together, finite draws, weights that are not all 0.
    let create
        (names: string[])
        (edges: struct (float * float)[])
        (chains: int)
        (points: float[])
        (logDensity: float[])
        (weights: float[] option)
        : Result<DrawTable, Error list> =
        let n, rows = names.Length, logDensity.Length

        let sizes =
            [
                if n = 0 then
                    yield! refuse "draws without parameters" "0" "1 or more"
                if chains < 1 || rows = 0 || rows % max 1 chains <> 0 then
                    yield! refuse "the draws of chains of one length" $"{rows}" $"{chains} × draws"
                if points.Length <> rows * n then
                    yield! refuse "the numbers in the draws" $"{points.Length}" $"{rows} × {n}"
                if edges.Length <> n then
                    yield! refuse "the edges of parameters" $"{edges.Length}" $"{n}"
                match weights with
                | Some w when w.Length <> rows ->
                    yield! refuse "the weights of the draws" $"{w.Length}" $"{rows}"
                | _ -> ()
            ]

        match sizes with
        | [] ->
            match finite names points @ weighable weights with
            | [] ->
                Ok
                    {
                        Names = names
                        Chains = chains
                        Together = 1
                        Points = points
                        LogDensity = logDensity
                        Weights = weights
                        Edges = edges
                    }
            | errors -> Result.Error errors
        | errors -> Result.Error errors

    /// The draws of ensembles of so many neighbouring chains, whose walkers move by each other's places: errors are those of the ensembles'
    /// means. Raises an error where the chains are no multiple of the walkers.
    let inEnsembles (walkers: int) (table: DrawTable) : DrawTable =
        if walkers < 1 || table.Chains % walkers <> 0 then
            refuse
                "the walkers of ensembles"
                $"{walkers}"
                $"a divisor of {table.Chains}, the number of chains"
            |> FunLikException
            |> raise

        { table with Together = walkers }

    let private edgesOf (parameters: ModelParameter[]) : struct (float * float)[] =
        parameters |> Array.map _.Bounds

    /// The draws of a run, for parameters with the names of its own; see `inEnsembles` for those of an ensemble.
    let ofRun (parameters: ModelParameter[]) (run: SamplingRun) : Result<DrawTable, Error list> =
        let chains, n, length = run.Current.Count, run.Names.Length, run.PerChain
        let points: float[] = Array.zeroCreate (chains * length * n)
        let values: float[] = Array.zeroCreate (chains * length)

        run.States
        |> Array.iteri (fun t state ->
            for c in 0 .. chains - 1 do
                Array.Copy(state.Points, c * n, points, (c * length + t) * n, n)
                values[c * length + t] <- state.LogDensity[c])

        create run.Names (edgesOf parameters) chains points values None

    /// The draws in a set of labels, chain by chain in their order. Chains differ by one draw at most, which is left out.
    let ofLabels (parameters: ModelParameter[]) (set: LabelSet) : Result<DrawTable, Error list> =
        let rows =
            Array.init set.Count id
            |> Array.groupBy (fun r -> set.Chains[r])
            |> Array.sortBy fst
            |> Array.map snd

        let lengths = rows |> Array.map _.Length

        if set.Count = 0 then
            refuse "there are no draws" "0" "1 or more" |> Result.Error
        elif Array.max lengths - Array.min lengths > 1 then
            Error.make ErrorKind.Shape "chains of different lengths"
            |> Error.found $"{Array.min lengths} to {Array.max lengths} draws"
            |> Error.expected "draws of chains that went in step, such as `funlik sample` leaves"
            |> Error.fail
        else
            let shortest = max 1 (Array.min lengths)
            let kept = rows |> Array.collect (Array.truncate shortest)
            let taken = LabelSet.rows kept set

            create
                set.Parameters
                (edgesOf parameters)
                rows.Length
                taken.Points
                taken.LogDensity
                (if Array.forall ((=) 1.0) taken.Weights then
                     None
                 else
                     Some taken.Weights)

    /// The place of a parameter.
    let index (name: string) (table: DrawTable) : Result<int, Error list> =
        match Array.tryFindIndex ((=) name) table.Names with
        | Some i -> Ok i
        | None ->
            Error.make ErrorKind.Name $"the draws have no parameter '{name}'"
            |> Error.expected (String.concat ", " table.Names)
            |> Error.fail

    /// All numbers of one parameter, in the order of the draws.
    let flat (parameter: int) (table: DrawTable) : float[] =
        let n = table.Dimension
        Array.init table.Count (fun r -> table.Points[r * n + parameter])

    /// What belongs to all draws, cut into what belongs to each chain.
    let cut (table: DrawTable) (values: float[]) : float[][] =
        Array.chunkBySize table.PerChain values

    /// The draws of one parameter, one array a chain.
    let series (parameter: int) (table: DrawTable) : float[][] = flat parameter table |> cut table

    /// The point of one draw.
    let point (row: int) (table: DrawTable) : float[] =
        table.Points.AsSpan(row * table.Dimension, table.Dimension).ToArray()

    /// The weights of all draws; ones where all weigh the same.
    let weights (table: DrawTable) : float[] =
        table.Weights |> Option.defaultWith (fun () -> Array.create table.Count 1.0)

    /// The same draws with other weights. Raises an error for weights that are none.
    let withWeights (weights: float[]) (table: DrawTable) : DrawTable =
        match weighable (Some weights) with
        | [] -> { table with Weights = Some weights }
        | errors -> raise (FunLikException errors)

    /// The edges of a parameter that its draws respect: a bound with draws beyond is no end of the density.
    let edges (parameter: int) (table: DrawTable) : struct (float * float) =
        let struct (low, high) = table.Edges[parameter]
        let values = flat parameter table
        let w = table.Weights

        let isCounted (r: int) : bool = w |> Option.forall (fun w -> w[r] > 0.0)
        let mutable least, most = infinity, -infinity

        for r in 0 .. values.Length - 1 do
            if isCounted r then
                least <- min least values[r]
                most <- max most values[r]

        struct ((if least < low then -infinity else low), (if most > high then infinity else high))
