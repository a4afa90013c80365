namespace FunLik

/// Which pairs of parameters a function joins: those of which one changes the slope in the other. Its mixed second derivatives
/// vanish for all others.
type Interactions =
    private
        {
            TheCount: int
            Joined: bool[]
        }

    /// The number of parameters.
    member this.Count: int = this.TheCount

    /// Whether two parameters are joined; each is to itself.
    member this.Between(i: int, k: int) : bool = this.Joined[i * this.TheCount + k]

    /// Whether there are parameters that are not joined.
    member this.AreSparse: bool = Array.contains false this.Joined

/// Finding and using interactions.
[<RequireQualifiedAccess>]
module Interactions =

    /// All parameters joined: what holds for every function.
    let all (count: int) : Interactions =
        { TheCount = count; Joined = Array.create (count * count) true }

    /// These pairs joined, and each parameter to itself.
    let ofPairs (count: int) (pairs: (int * int) list) : Interactions =
        let joined = Array.init (count * count) (fun k -> k / count = k % count)

        for i, k in pairs do
            joined[i * count + k] <- true
            joined[k * count + i] <- true

        { TheCount = count; Joined = joined }

    /// Points from which parameters are moved.
    let private origins = 3

    /// Slopes that differ by less than this part of the largest are the same: what differs is rounding.
    let private resolution = 1e-9

    /// Values at points that are known agree with the objective's to this, relative to max(1, |y|).
    let private agreement = 1e-6

    /// Finds interactions by moving one parameter at a time from a few of the data's points to its value at others, and looking at the
    /// slopes. Parameters whose moves lead out of the support are joined to all; so are all if the data are not of the objective. Gives
    /// the exact calls that it took too.
    let find
        (options: RunOptions)
        (objective: Objective)
        (data: Dataset)
        : Interactions * ExactCalls =
        let n = data.Inputs
        let row (r: int) : float[] = Array.sub data.Points (r * n) n
        let starts = Array.init origins (fun k -> (2 * k + 1) * data.Count / (2 * origins))

        // For each start: the point itself, and a point for each parameter.
        let points =
            starts
            |> Array.collect (fun r ->
                let from, towards = row r, row ((r + data.Count / 2) % data.Count)

                Array.init (n + 1) (fun k ->
                    from |> Array.mapi (fun i x -> if i + 1 = k then towards[i] else x)))

        let struct (values, slopes) =
            objective.ValuesAndGradients(Array.concat points, options)

        let isOfObjective =
            starts
            |> Array.indexed
            |> Array.forall (fun (k, r) ->
                let exact = values[k * (n + 1)]

                System.Double.IsFinite exact
                && abs (exact - data.Values[r]) <= agreement * max 1.0 (abs exact))

        let isInside (point: int) : bool =
            System.Double.IsFinite values[point]
            && Seq.forall (fun i -> System.Double.IsFinite slopes[point * n + i]) [ 0 .. n - 1 ]

        let inside = [| 0 .. points.Length - 1 |] |> Array.filter isInside

        let largest =
            Array.init n (fun i ->
                Seq.fold (fun most p -> max most (abs slopes[p * n + i])) 0.0 inside)

        let moved (k: int) : (int * int) list =
            [
                for start in 0 .. origins - 1 do
                    let from, point = start * (n + 1), start * (n + 1) + k + 1

                    if isInside from && isInside point then
                        for i in 0 .. n - 1 do
                            let change = abs (slopes[point * n + i] - slopes[from * n + i])

                            if change > resolution * largest[i] then
                                k, i
            ]

        let isTold (k: int) : bool =
            Seq.exists
                (fun start -> isInside (start * (n + 1)) && isInside (start * (n + 1) + k + 1))
                [ 0 .. origins - 1 ]

        let found =
            if isOfObjective then
                [
                    for k in 0 .. n - 1 do
                        if isTold k then
                            yield! moved k
                        else
                            for i in 0 .. n - 1 -> k, i
                ]
                |> ofPairs n
            else
                all n

        let calls = int64 points.Length
        found, { Values = calls; Gradients = calls }

    /// Parameters of which no two are joined, in order: those that are left when the one with the most joints is taken away until none
    /// is left. `taken` are taken away first.
    let separable (taken: int list) (interactions: Interactions) : int[] =
        let rec reduce (left: int list) : int list =
            let joints (i: int) : int =
                left
                |> List.filter (fun k -> k <> i && interactions.Between(i, k))
                |> List.length

            match left with
            | [] -> []
            | _ ->
                let most = left |> List.maxBy joints

                if joints most = 0 then
                    left
                else
                    reduce (List.except [ most ] left)

        [ 0 .. interactions.Count - 1 ] |> List.except taken |> reduce |> Array.ofList

    /// 1 for parameters that are joined and 0 for others, row-major.
    let mask (interactions: Interactions) : float[] =
        interactions.Joined |> Array.map (fun isJoined -> if isJoined then 1.0 else 0.0)
