namespace FunLik

open System
open System.Globalization

/// What stands in a cell of a table.
[<RequireQualifiedAccess>]
type Cell =
    | Text of string
    /// A hash, a name of a file, a key: in letters of one width.
    | Code of string
    | Count of int64
    /// A number, shown with so many significant digits.
    | Number of value: float * digits: int
    /// Whether a check passed; None where it was not done.
    | Verdict of bool option

/// A column of a table.
type PageColumn =
    {
        /// What stands above it.
        Heading: string
        /// The unit of its numbers; empty where there is none.
        Unit: string
        /// What stands above it and its neighbours of the same group, with their unit; empty where it is alone.
        Group: string
    }

/// A table of a page.
type PageTable =
    {
        /// The columns, from left to right.
        Columns: PageColumn list
        /// The cells of each row, one a column.
        Rows: Cell list list
    }

/// Tables for people: the numbers of a column have the same decimals, so that their points line up.
[<RequireQualifiedAccess>]
module PageTable =

    /// A column of numbers with a unit, which may be empty.
    let columnIn (unit: string) (heading: string) : PageColumn =
        { Heading = heading; Unit = unit; Group = "" }

    /// A column without a unit.
    let column (heading: string) : PageColumn = columnIn "" heading

    /// Columns under one heading, with one unit.
    let group (heading: string) (unit: string) (headings: string list) : PageColumn list =
        headings |> List.map (fun name -> { columnIn unit name with Group = heading })

    /// Columns with smaller numbers, or with larger ones, are written with powers of ten.
    let private smallest, private largest = -5, 7

    /// The place of the first digit: 0 for units, -2 for hundredths.
    let private magnitude (value: float) : int = int (floor (log10 (abs value)))

    /// How the finite numbers of one column are written: with these decimals; or with powers of ten and these digits.
    let private notation (numbers: (float * int) list) : Result<int, int> =
        match numbers |> List.filter (fun (v, _) -> v <> 0.0 && Double.IsFinite v) with
        | [] -> Ok 0
        | visible ->
            let decimals =
                visible |> List.map (fun (v, digits) -> digits - 1 - magnitude v) |> List.max

            let magnitudes = visible |> List.map (fst >> magnitude)

            if List.min magnitudes < smallest || List.max magnitudes > largest then
                Result.Error(visible |> List.map snd |> List.max)
            else
                Ok(max 0 decimals)

    let private write (notation: Result<int, int>) (value: float) : string =
        let invariant = CultureInfo.InvariantCulture

        if Double.IsNaN value then
            "not a number"
        elif Double.IsInfinity value then
            if value > 0.0 then "∞" else "−∞"
        else
            match notation with
            | Ok decimals -> value.ToString($"F{decimals}", invariant)
            | Result.Error digits -> value.ToString($"E{digits - 1}", invariant)
            |> fun text ->
                match text.Split 'E' with
                | [| mantissa; exponent |] -> $"{mantissa}e{int exponent}"
                | _ -> text
            |> _.Replace('-', '−')

    /// A count with commas between thousands.
    let count (n: int64) : string = n.ToString("N0", CultureInfo.InvariantCulture)

    /// The cells of a column as they are shown.
    let texts (cells: Cell list) : string list =
        let numbers =
            cells
            |> List.choose (function
                | Cell.Number(value, digits) -> Some(value, digits)
                | _ -> None)

        let notation = notation numbers

        cells
        |> List.map (function
            | Cell.Text text
            | Cell.Code text -> text
            | Cell.Count n -> count n
            | Cell.Number(value, _) -> write notation value
            | Cell.Verdict(Some true) -> "✓ passed"
            | Cell.Verdict(Some false) -> "✗ failed"
            | Cell.Verdict None -> "not checked")
