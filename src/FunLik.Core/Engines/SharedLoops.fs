namespace FunLik

open System.Collections.Generic

/// Which element-by-element operations on what is shared go into one loop: the updates of weights, above all.
[<RequireQualifiedAccess>]
module internal SharedLoops =

    /// Shorter vectors are done one by one.
    let private leastSize = 256

    let private isElementwise (facts: Facts) (i: int) : bool =
        facts.Size[i] >= leastSize
        && (facts.Inner i).IsNone
        && facts.Op i |> Option.exists Ops.fuses

    /// The nodes that must stand before a node: homes of what it reads.
    let reads (facts: Facts) (i: int) : int[] =
        let own =
            match facts.Inner i with
            | ValueSome inner -> facts.Arguments[inner]
            | ValueNone -> facts.Arguments[i]

        own
        |> Array.map (fun a -> facts.Home(if facts.IsVirtual a then facts.Arguments[a][0] else a))

    /// The elementwise node whose value another one reads element by element.
    let private direct
        (facts: Facts)
        (elementwise: HashSet<int>)
        (size: int)
        (a: int)
        : int voption =
        match facts.Same a with
        | ValueSome h when elementwise.Contains h && facts.Size[h] = size -> ValueSome h
        | _ -> ValueNone

    /// A number for each elementwise node, the same where one reads the other.
    let private components (facts: Facts) (elementwise: HashSet<int>) : int -> int =
        let parent = Dictionary<int, int>()

        let rec root (i: int) : int =
            match parent.TryGetValue i with
            | true, p when p <> i -> root p
            | _ -> i

        for i in elementwise do
            for a in facts.Arguments[i] do
                match direct facts elementwise facts.Size[i] a with
                | ValueSome h -> parent[root i] <- root h
                | ValueNone -> ()

        root

    /// An item that is still being filled, and the component of its nodes; -1 for what is no loop.
    type private Draft = { Component: int; Item: Item; Nodes: List<int> }

    /// The same work with loops in place of single operations. A node joins the first loop of its component that stands behind
    /// everything it reads.
    let merge (facts: Facts) (items: Item seq) : Item[] =
        let elementwise =
            items
            |> Seq.collect Item.nodes
            |> Seq.filter (isElementwise facts)
            |> HashSet<int>

        let component' = components facts elementwise
        let position = Dictionary<int, int>()
        let drafts = List<Draft>()

        let earliest (i: int) : int =
            let behind (a: int) (home: int) : int =
                match position.TryGetValue home with
                | false, _ -> 0
                | true, p ->
                    match direct facts elementwise facts.Size[i] a with
                    | ValueSome h when component' h = component' i -> p
                    | _ -> p + 1

            Array.map2 behind facts.Arguments[i] (reads facts i) |> Array.fold max 0

        for item in items do
            match item with
            | Item.Single i when elementwise.Contains i ->
                let mutable p = earliest i

                while p < drafts.Count && drafts[p].Component <> component' i do
                    p <- p + 1

                if p = drafts.Count then
                    drafts.Add { Component = component' i; Item = item; Nodes = List<int>() }

                drafts[p].Nodes.Add i
                position[i] <- p
            | _ ->
                for i in Item.nodes item do
                    position[i] <- drafts.Count

                drafts.Add { Component = -1; Item = item; Nodes = List<int>() }

        drafts
        |> Seq.map (fun d ->
            if d.Component < 0 then
                d.Item
            else
                Item.Fused(facts.Size[d.Nodes[0]], d.Nodes.ToArray()))
        |> Array.ofSeq

    /// Which nodes of a loop are read outside of it.
    let kept (facts: Facts) (nodes: int[]) : bool[] =
        nodes
        |> Array.map (fun i ->
            facts.IsOutput i
            || facts.Consumers[i] |> Seq.exists (fun c -> not (Array.contains c nodes)))
