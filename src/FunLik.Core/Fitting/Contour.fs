namespace FunLik

open System

/// A line of a contour.
type ContourLine =
    {
        /// Whether the last point is joined to the first; an open line begins and ends at the grid's edge.
        IsClosed: bool
        /// Its points, first and second parameter.
        Points: struct (float * float)[]
    }

/// Where twice ΔNLL of two parameters is at a level.
type Contour =
    {
        /// The level.
        Level: ConfidenceLevel
        /// Its lines: none where no point of the grid is below the level, or all are.
        Lines: ContourLine list
    }

/// Contours from scans of two parameters: marching squares, linear between neighbouring points of the grid (Lorensen and Cline,
/// SIGGRAPH 1987, in two dimensions).
[<RequireQualifiedAccess>]
module Contour =

    /// An edge of the grid: along the first axis or the second, from a point.
    [<Struct>]
    type private Edge = { AlongX: bool; I: int; J: int }

    /// The lines along which a table (first axis slow) crosses a level. What is no number counts as above.
    let lines (level: float) (x: float[]) (y: float[]) (table: float[]) : ContourLine list =
        let ny = y.Length

        let at (i: int) (j: int) : float =
            let v = table[i * ny + j]
            if Double.IsNaN v then infinity else v

        let isBelow (i: int) (j: int) : bool = at i j <= level

        /// How far along from a to b; an infinite neighbour leaves the crossing at the other.
        let fraction (a: float) (b: float) : float =
            if Double.IsInfinity a then 1.0
            elif Double.IsInfinity b then 0.0
            else (level - a) / (b - a)

        let place (e: Edge) : struct (float * float) =
            if e.AlongX then
                let f = fraction (at e.I e.J) (at (e.I + 1) e.J)
                struct (x[e.I] + f * (x[e.I + 1] - x[e.I]), y[e.J])
            else
                let f = fraction (at e.I e.J) (at e.I (e.J + 1))
                struct (x[e.I], y[e.J] + f * (y[e.J + 1] - y[e.J]))

        /// The pairs of edges that are joined inside of a cell.
        let joined (i: int) (j: int) : (Edge * Edge) list =
            // Around the cell: each edge lies between one corner and the next.
            let corners = [| i, j; i + 1, j; i + 1, j + 1; i, j + 1 |]

            let edges =
                [|
                    { AlongX = true; I = i; J = j }
                    { AlongX = false; I = i + 1; J = j }
                    { AlongX = true; I = i; J = j + 1 }
                    { AlongX = false; I = i; J = j }
                |]

            let below = corners |> Array.map (fun (i, j) -> isBelow i j)
            let crossed = [ 0..3 ] |> List.filter (fun k -> below[k] <> below[(k + 1) % 4])

            match crossed with
            | [ a; b ] -> [ edges[a], edges[b] ]
            | [ _; _; _; _ ] ->
                // Opposite corners are below: together if the middle is, else apart.
                let middle = corners |> Array.averageBy (fun (i, j) -> at i j)

                if (middle <= level) = below[0] then
                    [ edges[0], edges[1]; edges[2], edges[3] ]
                else
                    [ edges[3], edges[0]; edges[1], edges[2] ]
            | _ -> []

        let joints =
            [
                for i in 0 .. x.Length - 2 do
                    for j in 0 .. ny - 2 do
                        yield! joined i j
            ]

        let neighbours =
            joints
            |> List.collect (fun (a, b) -> [ a, b; b, a ])
            |> List.groupBy fst
            |> List.map (fun (edge, pairs) -> edge, pairs |> List.map snd)

        let next = dict neighbours
        let visited = Collections.Generic.HashSet<Edge>()

        let rec walk (line: Edge list) (edge: Edge) : Edge list =
            visited.Add edge |> ignore

            match next[edge] |> List.tryFind (visited.Contains >> not) with
            | Some other -> walk (edge :: line) other
            | None -> List.rev (edge :: line)

        let trace (isClosed: bool) (starts: Edge list) : ContourLine list =
            [
                for edge in starts do
                    if not (visited.Contains edge) then
                        {
                            IsClosed = isClosed
                            Points = walk [] edge |> List.map place |> Array.ofList
                        }
            ]

        let ends = neighbours |> List.filter (fun (_, others) -> others.Length = 1)
        let opened = trace false (ends |> List.map fst)
        opened @ trace true (neighbours |> List.map fst)

    /// The contours of a scan of two parameters at levels.
    let ofScan (levels: ConfidenceLevel list) (scan: GridScan) : Contour list =
        if scan.Axes.Length <> 2 then
            Error.make ErrorKind.Usage "contours are of two parameters"
            |> Error.found $"{scan.Axes.Length}"
            |> Error.fail
            |> Error.orRaise

        levels
        |> List.map (fun level ->
            {
                Level = level
                Lines = lines level.TwiceDeltaNll scan.Axes[0] scan.Axes[1] scan.TwiceDeltaNll
            })
