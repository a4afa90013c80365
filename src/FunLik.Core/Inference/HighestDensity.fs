namespace FunLik

open System

/// Pieces of an even grid with the highest density. A place is in units of the grid: the middle of bin i is at i, its ends half a bin to both
/// sides.
type internal GridRegion =
    {
        /// Lower and upper ends, in order.
        Pieces: (float * float) list
        /// The height of the density at the ends; 0 where none was used.
        Height: float
        /// The weight inside.
        Content: float
    }

/// Finding the pieces that hold a probability.
[<RequireQualifiedAccess>]
module internal HighestDensity =

    /// How many standard errors of the density a gap or a piece must have in depth or height: less is noise, and is no gap and no piece.
    let private prominence = 3.0

    /// Where the density is above a height: pieces by places in the grid's units, ends linear between its points.
    let private above (height: float) (y: float[]) : (float * float) list =
        let n = y.Length

        let rec walk (i: int) (start: float option) (found: (float * float) list) =
            if i = n then
                match start with
                | Some s -> List.rev ((s, float n - 0.5) :: found)
                | None -> List.rev found
            else
                match start with
                | None when y[i] > height ->
                    let place =
                        if i = 0 then
                            -0.5
                        else
                            float i - (y[i] - height) / (y[i] - y[i - 1])

                    walk (i + 1) (Some place) found
                | Some s when y[i] <= height ->
                    let place = float (i - 1) + (y[i - 1] - height) / (y[i - 1] - y[i])
                    walk (i + 1) None ((s, place) :: found)
                | _ -> walk (i + 1) start found

        walk 0 None []

    /// Pieces and gaps in turn, each with how far its highest or lowest point is from a height.
    let private turns
        (y: float[])
        (height: float)
        (pieces: (float * float) list)
        : (float * float * float) list =
        let farthest (low: float, high: float) : float =
            let first = Math.Clamp(int (ceil low), 0, y.Length - 1)
            let last = Math.Clamp(int (floor high), 0, y.Length - 1)
            let mutable size = 0.0

            for i in first..last do
                size <- max size (abs (y[i] - height))

            size

        let rec walk (rest: (float * float) list) : (float * float * float) list =
            match rest with
            | (low, high) :: ((next, _) :: _ as others) ->
                (low, high, farthest (low, high))
                :: (high, next, farthest (high, next))
                :: walk others
            | [ low, high ] -> [ low, high, farthest (low, high) ]
            | [] -> []

        walk pieces

    /// Pieces and gaps that noise explains are taken away, the least certain first: a gap joins its pieces, a piece its gaps.
    let private settled
        (y: float[])
        (height: float)
        (noise: float)
        (pieces: (float * float) list)
        : (float * float) list =
        let size (_: float, _: float, s: float) : float = s

        let join
            (low: float, _: float, a: float)
            (_: float, _: float, _: float)
            (_: float, high: float, c: float)
            =
            low, high, max a c

        let rec settle (turns: (float * float * float)[]) : (float * float * float)[] =
            if turns.Length < 2 then
                turns
            else
                let least = turns |> Array.indexed |> Array.minBy (snd >> size) |> fst

                if size turns[least] >= prominence * noise then
                    turns
                elif least = 0 then
                    settle turns[2..]
                elif least = turns.Length - 1 then
                    settle turns[.. turns.Length - 3]
                else
                    [|
                        turns[.. least - 2]
                        [| join turns[least - 1] turns[least] turns[least + 1] |]
                        turns[least + 2 ..]
                    |]
                    |> Array.concat
                    |> settle

        if pieces.Length < 2 then
            pieces
        else
            turns y height pieces
            |> Array.ofList
            |> settle
            |> Array.indexed
            |> Array.filter (fun (i, _) -> i % 2 = 0)
            |> Array.map (fun (_, (low, high, _)) -> low, high)
            |> List.ofArray

    /// The weight below a place in the grid's units: place −½ is the lower end of the first bin.
    let private weightBelow (cumulative: float[]) (place: float) : float =
        let p = Math.Clamp(place + 0.5, 0.0, float (cumulative.Length - 1))
        let i = min (int p) (cumulative.Length - 2)
        cumulative[i] + (p - float i) * (cumulative[i + 1] - cumulative[i])

    /// The place below which there is some weight.
    let private placeOf (cumulative: float[]) (weight: float) : float =
        let found = Array.BinarySearch(cumulative, weight)
        let i = if found >= 0 then found else max 0 (~~~found - 1)
        let i = min i (cumulative.Length - 2)
        let size = cumulative[i + 1] - cumulative[i]

        float i - 0.5
        + (if size > 0.0 then
               Math.Clamp((weight - cumulative[i]) / size, 0.0, 1.0)
           else
               0.0)

    /// The shortest part of a piece that holds a weight.
    let private shortest
        (cumulative: float[])
        (weight: float)
        (low: float, high: float)
        : float * float =
        let first, last = weightBelow cumulative low, weightBelow cumulative high
        let spare = max 0.0 (last - first - weight)

        Seq.init 201 (fun k -> first + spare * float k / 200.0)
        |> Seq.map (fun start ->
            max low (placeOf cumulative start), min high (placeOf cumulative (start + weight)))
        |> Seq.minBy (fun (a, b) -> b - a)

    /// The pieces, in the grid's units, that hold a probability; with it the height, and the probability that they hold. Where pieces
    /// merge or vanish at one height, as on a plateau, the largest is cut to the shortest that leaves the level.
    let smooth
        (draws: float)
        (level: float)
        (bins: BinnedDraws)
        (curve: DensityCurve)
        : GridRegion =
        let cumulative = bins.Counts |> Array.scan (+) 0.0

        let pieces (height: float) : (float * float) list =
            above height curve.Y
            |> settled curve.Y height (KernelDensity.noise draws curve height)

        let weight (low: float, high: float) : float =
            weightBelow cumulative high - weightBelow cumulative low

        let rec bisect (count: int) (low: float) (high: float) : float =
            let middle = 0.5 * (low + high)

            if count = 0 then
                low
            elif pieces middle |> List.sumBy weight >= level then
                bisect (count - 1) middle high
            else
                bisect (count - 1) low middle

        let height = bisect 45 0.0 (Array.max curve.Y)
        let found = pieces height
        let spare = (found |> List.sumBy weight) - level

        let cut =
            if spare < 1e-5 then
                found
            else
                let largest = found |> List.maxBy weight

                found
                |> List.map (fun piece ->
                    if piece = largest then
                        shortest cumulative (max 0.0 (weight piece - spare)) piece
                    else
                        piece)

        { Pieces = cut; Height = height; Content = cut |> List.sumBy weight }

    /// The papers' way: the fullest bins first, until they hold more than the level; ends are the middles of the outermost bins.
    let histogram (level: float) (bins: BinnedDraws) : GridRegion =
        let order =
            Array.init bins.Counts.Length id |> Array.sortBy (fun i -> -bins.Counts[i], i)

        let taken =
            let sums = order |> Array.scan (fun sum i -> sum + bins.Counts[i]) 0.0

            order
            |> Array.indexed
            |> Array.takeWhile (fun (k, _) -> sums[k] <= level)
            |> Array.map snd
            |> Array.sort

        let pieces =
            (taken, [])
            ||> Array.foldBack (fun i pieces ->
                match pieces with
                | (low, high) :: rest when low = i + 1 -> (i, high) :: rest
                | _ -> (i, i) :: pieces)

        {
            Pieces = pieces |> List.map (fun (low, high) -> float low, float high)
            Height = 0.0
            Content = taken |> Array.sumBy (fun i -> bins.Counts[i])
        }
