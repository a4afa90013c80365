namespace FunLik.Tests

open System
open System.Collections.Generic
open FunLik

/// Expressions as they stand, not simplified and not laid out, evaluated node by node and row by row straight from the table of
/// primitives: what engines and rewrites are held to.
[<RequireQualifiedAccess>]
module Oracle =

    /// The surroundings of an evaluation.
    type Surroundings =
        {
            Rows: int
            /// The values of an input at each row.
            Inputs: Map<string, float[][]>
            Tables: Map<string, Table>
            /// The values of columns, by table and name, at the row of the table that is being summed.
            Columns: Map<string * string, float[]>
            /// What stands in place of each number that an operation returns.
            Rounding: float -> float
        }

    let private sumOfRows (values: float[][]) : float[] =
        values
        |> Array.fold (Array.map2 (+)) (Array.zeroCreate (Array.length (Array.head values)))

    let rec private evaluate (at: Surroundings) (outputs: Expr list) : float[][] list =
        let known = Dictionary<Expr, float[][]>(Expr.structural)

        let value (node: Expr) : float[][] =
            match node.Node with
            | Node.Input(name, Role.Column table) -> Array.create at.Rows at.Columns[(table, name)]
            | Node.Input(name, _) -> at.Inputs[name]
            | Node.Constant values -> Array.create at.Rows values
            | Node.Apply(op, arguments) ->
                let row (r: int) : float[] =
                    (Primitive.row op).Value(arguments |> List.map (fun a -> a.Shape, known[a][r]))

                let rows = Array.init at.Rows row

                if op.IsSumRows || op.IsOuterRows then
                    Array.create at.Rows (sumOfRows rows)
                else
                    rows
            | Node.ReduceOver(table, body) ->
                let given = at.Tables[table]
                let zero = Array.init at.Rows (fun _ -> Array.zeroCreate (Shape.size node.Shape))

                let one (k: int) : float[][] =
                    let columns =
                        given.Columns
                        |> Map.toSeq
                        |> Seq.fold
                            (fun (m: Map<string * string, float[]>) (name, values) ->
                                let size = values.Length / given.Rows
                                m.Add((table, name), values[k * size .. (k + 1) * size - 1]))
                            at.Columns

                    (evaluate { at with Columns = columns } [ body ]).Head

                Seq.init given.Rows one |> Seq.fold (Array.map2 (Array.map2 (+))) zero

        let below (node: Expr) : Expr list =
            if node.Node.IsReduceOver then [] else Expr.children node

        for node in Expr.order below outputs do
            known[node] <- value node |> Array.map (Array.map at.Rounding)

        outputs |> List.map (fun o -> known[o])

    /// The first rows of what is given for a number of elements.
    let perRow (rows: int) (size: int) (given: Given) : float[][] =
        match given with
        | Given.Row values -> Array.init rows (fun r -> values[r * size .. (r + 1) * size - 1])
        | Given.Shared values
        | Given.Constant values -> Array.create rows values

    /// The values of outputs at each row, with numbers rounded by a function after each operation.
    let rounded
        (rounding: float -> float)
        (rows: int)
        (given: (string * Given) list)
        (tables: Map<string, Table>)
        (outputs: Expr list)
        : float[][] list =
        let sizes =
            Expr.inputs outputs
            |> List.map (fun (name, _, shape) -> name, Shape.size shape)
            |> Map.ofList

        let inputs =
            given
            |> List.choose (fun (name, g) ->
                sizes.TryFind name |> Option.map (fun size -> name, perRow rows size g))

        evaluate
            {
                Rows = rows
                Inputs = Map.ofList inputs
                Tables = tables
                Columns = Map.empty
                Rounding = rounding
            }
            outputs

    /// The values of outputs at each row.
    let values
        (rows: int)
        (given: (string * Given) list)
        (tables: Map<string, Table>)
        (outputs: Expr list)
        : float[][] list =
        rounded id rows given tables outputs

    /// Values with the uncertainty that rounding gives them, from a few evaluations in which each number is moved at random by
    /// this relative size and rounded, and zeros have random signs (discrete stochastic arithmetic, Vignes 2004). Where such an
    /// evaluation is not finite, or not of the same infinity, the uncertainty is infinite.
    let uncertain
        (size: float)
        (round: float -> float)
        (rows: int)
        (given: (string * Given) list)
        (tables: Map<string, Table>)
        (outputs: Expr list)
        : struct (float * float)[][] list =
        let exact = values rows given tables outputs

        let noisy =
            [
                for seed in 1..12 ->
                    let random = Random seed

                    let rounding (x: float) : float =
                        let u = 2.0 * random.NextDouble() - 1.0

                        if x = 0.0 then
                            Math.CopySign(0.0, u)
                        else
                            round (x * (1.0 + size * u))

                    rounded rounding rows given tables outputs
            ]

        let spread (output: int) (row: int) (element: int) (x: float) : struct (float * float) =
            let distance (values: float[][] list) : float =
                let ofRow = values[output][row]
                let y = ofRow[element]

                if x.Equals y then 0.0
                elif Double.IsFinite x && Double.IsFinite y then abs (x - y)
                else infinity

            struct (x, 4.0 * (noisy |> List.map distance |> List.max))

        exact
        |> List.mapi (fun o rows ->
            rows |> Array.mapi (fun r values -> values |> Array.mapi (spread o r)))

    /// Whether a number is what an uncertain one allows.
    let agrees (struct (x: float, uncertainty: float)) (y: float) : bool =
        x.Equals y
        || Double.IsPositiveInfinity uncertainty
        || abs (x - y) <= uncertainty
