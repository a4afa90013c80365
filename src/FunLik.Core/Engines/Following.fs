namespace FunLik

open System.Collections.Generic

/// Which loops can follow each part of a sum of outer products at once.
[<RequireQualifiedAccess>]
module internal Following =

    /// The nodes that a task makes.
    let private made (task: Work) : int[] =
        match task with
        | Work.Compute(i, _)
        | Work.SumOf(i, _, _) -> [| i |]
        | Work.Fused(_, members, _)
        | Work.Reduce(_, members) -> members
        | _ -> [||]

    /// The matrices among the sums of a pass with the loops that follow them, and the tasks that are left. A loop follows if it reads
    /// matrices of its own size, and nothing else that this pass or these tasks make. `changed` says what is to be packed again
    /// after a loop.
    let attach
        (facts: Facts)
        (isMatrix: int -> bool)
        (changed: int[] -> Work[])
        (sums: int[])
        (tasks: Work[])
        : OuterSums[] * Work[] =
        let matrices = sums |> Array.filter isMatrix
        let free = HashSet<int>(matrices)
        let here = HashSet<int>(Seq.append sums (Seq.collect made tasks))

        let follows (task: Work) : int[] =
            match task with
            | Work.Fused(size, members, _) ->
                let outside =
                    members
                    |> Array.collect (fun i -> facts.Arguments[i])
                    |> Array.filter (fun a -> not (Array.contains (facts.Home a) members))
                    |> Array.distinct

                let own, others =
                    outside |> Array.partition (fun a -> free.Contains a && facts.Size[a] = size)

                if others |> Array.exists (facts.Home >> here.Contains) then
                    [||]
                else
                    own
            | _ -> [||]

        let attached = List<OuterSums>()
        let left = List<Work>()

        for task in tasks do
            match follows task with
            | [||] -> left.Add task
            | own ->
                free.ExceptWith own
                attached.Add { Sums = own; Loop = Some task; Packs = changed (made task) }

        for s in matrices do
            if free.Contains s then
                attached.Add { Sums = [| s |]; Loop = None; Packs = [||] }

        attached.ToArray()
        |> Array.sortByDescending (fun b -> b.Sums |> Array.sumBy (fun s -> facts.Size[s])),
        left.ToArray()
