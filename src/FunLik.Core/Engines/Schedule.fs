namespace FunLik

open System.Collections.Generic

/// What is computed at once in a pass over rows.
[<RequireQualifiedAccess>]
type internal Item =
    /// One node.
    | Single of node: int
    /// All outputs of a sum over a table.
    | Reduce of reduction: int * members: int[]
    /// Element-by-element operations of one length, and sums over them.
    | Fused of size: int * nodes: int[]

module internal Item =

    let nodes (item: Item) : int[] =
        match item with
        | Item.Single i -> [| i |]
        | Item.Reduce(_, members) -> members
        | Item.Fused(_, members) -> members

    /// Whether a loop has the value of an argument in a register.
    let computes (facts: Facts) (item: Item) (argument: int) : bool =
        match item, facts.Same argument with
        | Item.Fused(_, members), ValueSome h -> Array.contains h members && not (facts.IsSum h)
        | _ -> false

/// Which nodes of a pass go into one loop.
[<RequireQualifiedAccess>]
module internal Schedule =

    /// Loops with more nodes are cut.
    let private largestLoop = 150

    /// An item that is still being filled.
    type private Draft = { Size: int; Nodes: List<int> }

    /// The items of a pass in order, and the item of each node. A node joins the first loop of its length that stands behind
    /// everything it reads.
    let create
        (facts: Facts)
        (fuse: bool)
        (membersOf: int -> (int -> bool) -> int[])
        (needed: bool[])
        (isRoot: int -> bool)
        : Item[] * int[] =
        let position = Array.create needed.Length -1
        let drafts = List<Draft>()
        let fixedItems = Dictionary<int, Item>()

        let single (item: Item) : unit =
            for i in Item.nodes item do
                position[i] <- drafts.Count

            fixedItems[drafts.Count] <- item
            drafts.Add { Size = 0; Nodes = List<int>() }

        /// The first item at which a loop of this length may read a node.
        let readable (size: int) (a: int) : int =
            let at = position[facts.Home a]

            match facts.Same a with
            | ValueSome h when
                drafts[at].Size = size && facts.LoopSize h = size && not (facts.IsSum h)
                ->
                at
            | _ -> at + 1

        let join (i: int) (size: int) : unit =
            let rows = facts.Arguments[i] |> Array.filter (fun a -> facts.IsRow[a])

            // A mapped element lies in memory when it is read.
            let earliest =
                if facts.IsMapped i then
                    position[facts.Home rows[0]] + 1
                else
                    rows |> Array.fold (fun m a -> max m (readable size a)) 0

            let mutable p = earliest

            while p < drafts.Count
                  && not (drafts[p].Size = size && drafts[p].Nodes.Count < largestLoop) do
                p <- p + 1

            if p = drafts.Count then
                drafts.Add { Size = size; Nodes = List<int>() }

            drafts[p].Nodes.Add i
            position[i] <- p

        for i in 0 .. needed.Length - 1 do
            if
                needed[i]
                && (facts.Alias i).IsNone
                && not (facts.IsVirtual i)
                && position[i] < 0
            then
                match facts.Reduction i with
                | ValueSome r -> single (Item.Reduce(r, membersOf r (fun k -> needed[k])))
                | ValueNone ->
                    match facts.LoopSize i with
                    | size when fuse && size > 0 -> join i size
                    | _ -> single (Item.Single i)

        // Values that only later loops read are made there: they need no memory.
        let consumers = Array.init needed.Length (fun _ -> List<struct (int * bool)>())

        for c in 0 .. needed.Length - 1 do
            if needed[c] && position[c] >= 0 then
                for a in facts.Arguments[c] do
                    if facts.IsRow[a] then
                        let direct =
                            match facts.Same a with
                            | ValueSome h ->
                                facts.LoopSize h = drafts[position[c]].Size
                                && not (facts.IsMapped c)
                            | ValueNone -> false

                        consumers[facts.Home a].Add(struct (c, direct))

        for i in needed.Length - 1 .. -1 .. 0 do
            if
                position[i] >= 0
                && drafts[position[i]].Size > 0
                && consumers[i].Count > 0
                && not (isRoot i)
            then
                let size = drafts[position[i]].Size
                let isSum = facts.IsSum i
                let mutable p = System.Int32.MaxValue

                for struct (c, direct) in consumers[i] do
                    p <- min p (if direct && not isSum then position[c] else position[c] - 1)

                while p > position[i]
                      && not (drafts[p].Size = size && drafts[p].Nodes.Count < largestLoop) do
                    p <- p - 1

                if p > position[i] then
                    drafts[position[i]].Nodes.Remove i |> ignore
                    drafts[p].Nodes.Add i
                    position[i] <- p

        for draft in drafts do
            draft.Nodes.Sort()

        let filled =
            [|
                for p in 0 .. drafts.Count - 1 do
                    if fixedItems.ContainsKey p || drafts[p].Nodes.Count > 0 then
                        p
            |]

        let place = Array.create drafts.Count -1
        filled |> Array.iteri (fun k p -> place[p] <- k)

        let items =
            filled
            |> Array.map (fun p ->
                match fixedItems.TryGetValue p with
                | true, item -> item
                | _ -> Item.Fused(drafts[p].Size, drafts[p].Nodes.ToArray()))

        items, position |> Array.map (fun p -> if p < 0 then p else place[p])

    /// Operations done again at most, instead of one value that is kept.
    let private mostAgain = 3

    let private isCheap (op: Op) : bool =
        match op with
        | Op.Neg
        | Op.Add
        | Op.Sub
        | Op.Mul -> true
        | _ -> false

    /// The same item; a loop also computes again what it would read from memory, where a few operations make it of what the loop has
    /// in registers anyway.
    let again (facts: Facts) (item: Item) : Item =
        match item with
        | Item.Fused(size, members) ->
            let homes (i: int) : int list =
                [
                    for a in facts.Arguments[i] do
                        match facts.Same a with
                        | ValueSome h when facts.IsRow[a] && facts.Size[h] = size -> h
                        | _ -> ()
                ]

            let reads = members |> Seq.collect homes |> HashSet

            /// The operations that make a value that the loop does not have.
            let rec making (depth: int) (i: int) : int list option =
                let rows = facts.Arguments[i] |> Array.filter (fun a -> facts.IsRow[a])

                let isCheap =
                    depth < mostAgain
                    && facts.Op i |> Option.exists isCheap
                    && (homes i).Length = rows.Length
                    && facts.Arguments[i]
                       |> Array.forall (fun a -> facts.IsRow[a] || facts.Size[a] = 1)

                if depth > 0 && (reads.Contains i || Array.contains i members) then
                    Some []
                elif not isCheap then
                    None
                else
                    let below = homes i |> List.map (making (depth + 1))

                    if List.forall Option.isSome below then
                        Some(i :: List.collect Option.get below)
                    else
                        None

            let more =
                reads
                |> Seq.filter (fun h -> not (Array.contains h members))
                |> Seq.choose (making 0)
                |> Seq.map List.distinct
                |> Seq.filter (fun nodes -> nodes.Length <= mostAgain)
                |> Seq.concat

            Item.Fused(size, Seq.append members more |> Seq.distinct |> Seq.sort |> Array.ofSeq)
        | _ -> item
