namespace FunLik

open System.Collections.Generic

/// Rows of a matrix that have entries in the same columns.
type internal RowBlock =
    {
        /// The rows.
        Rows: int[]
        /// The columns, rising.
        Columns: int[]
    }

/// How a matrix with many zeros is multiplied.
[<RequireQualifiedAccess>]
type internal ProductPlan =
    /// Dense blocks of rows.
    | Dense of RowBlock list
    /// One sparse matrix of these rows.
    | Sparse of rows: int[]

/// Chooses between dense blocks and sparse rows.
[<RequireQualifiedAccess>]
module internal HistFactoryBlocks =

    /// Rows of a register tile of the dense product.
    let private tileRows = 14

    /// What a block costs beyond its multiplications, and a column beyond its rows, in dense multiplications.
    let private blockCost, private columnCost = 250, 8

    /// What an entry of a sparse matrix costs, in dense multiplications.
    let private sparseCost = 8

    /// Blocks are merged one by one up to this many.
    let private mostBlocks = 32

    /// A dense matrix is not made larger than this.
    let private largestDense = 1 <<< 22

    let private cost (rows: int) (columns: int) : int =
        let padded = (rows + tileRows - 1) / tileRows * tileRows
        padded * columns + blockCost + columnCost * columns

    let private costOf (block: RowBlock) : int = cost block.Rows.Length block.Columns.Length

    let private union (a: int[]) (b: int[]) : int[] =
        Array.append a b |> Array.distinct |> Array.sort

    let private merge (a: RowBlock) (b: RowBlock) : RowBlock =
        { Rows = Array.append a.Rows b.Rows; Columns = union a.Columns b.Columns }

    /// Merges the two blocks that gain most, until none gain.
    let rec private mergeAll (blocks: RowBlock list) : RowBlock list =
        let pairs =
            [
                for i, a in List.indexed blocks do
                    for j, b in List.indexed blocks do
                        if i < j then
                            let both = merge a b
                            costOf a + costOf b - costOf both, (i, j, both)
            ]

        match pairs with
        | [] -> blocks
        | _ ->
            let gain, (i, j, both) = pairs |> List.maxBy fst

            if gain <= 0 then
                blocks
            else
                blocks
                |> List.indexed
                |> List.choose (fun (k, block) ->
                    if k = i then Some both
                    elif k = j then None
                    else Some block)
                |> mergeAll

    /// A plan for groups of rows with their columns; groups without columns are left out.
    let plan (groups: RowBlock list) : ProductPlan =
        let used = groups |> List.filter (fun g -> g.Columns.Length > 0)

        let together =
            used
            |> List.groupBy (fun g -> String.concat "," (g.Columns |> Array.map string))
            |> List.map (fun (_, same) ->
                { Rows = same |> List.map _.Rows |> Array.concat; Columns = same.Head.Columns })

        let entries =
            used |> List.sumBy (fun g -> int64 g.Rows.Length * int64 g.Columns.Length)

        let dense =
            if together.Length <= mostBlocks then
                mergeAll together
            else
                [
                    {
                        Rows = together |> List.map _.Rows |> Array.concat
                        Columns =
                            together
                            |> Seq.collect _.Columns
                            |> Seq.distinct
                            |> Seq.sort
                            |> Array.ofSeq
                    }
                ]

        let size (b: RowBlock) : int64 = int64 b.Rows.Length * int64 b.Columns.Length

        if
            dense |> List.forall (fun b -> size b <= int64 largestDense)
            && dense |> List.sumBy (fun b -> int64 (costOf b))
               <= int64 sparseCost * entries + int64 blockCost
        then
            ProductPlan.Dense dense
        else
            ProductPlan.Sparse(used |> List.map _.Rows |> Array.concat)
