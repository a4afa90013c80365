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

        let items =
            drafts.ToArray()
            |> Array.mapi (fun p draft ->
                match fixedItems.TryGetValue p with
                | true, item -> item
                | _ -> Item.Fused(draft.Size, draft.Nodes.ToArray()))

        items, position
