namespace FunLik

open System
open System.Globalization

/// A column of a table of plain text.
type TextColumn =
    {
        /// What stands above it, with the unit where there is one.
        Heading: string
        /// Numbers stand at the right edge, words at the left.
        IsNumber: bool
    }

/// Plain text for people: numbers that line up, units in the headings.
[<RequireQualifiedAccess>]
module TextTable =

    /// A column of words.
    let words (heading: string) : TextColumn = { Heading = heading; IsNumber = false }

    /// A column of numbers.
    let numbers (heading: string) : TextColumn = { Heading = heading; IsNumber = true }

    /// A number with a fixed count of decimals; "-∞", "∞" and "not a number" where it is none.
    let fixedPoint (decimals: int) (x: float) : string =
        if Double.IsNaN x then
            "not a number"
        elif Double.IsPositiveInfinity x then
            "∞"
        elif Double.IsNegativeInfinity x then
            "-∞"
        else
            x.ToString($"F{decimals}", CultureInfo.InvariantCulture)

    /// A number with so many significant digits, in the shorter of the usual notations.
    let significant (digits: int) (x: float) : string =
        if Double.IsFinite x then
            x.ToString($"G{digits}", CultureInfo.InvariantCulture)
        else
            fixedPoint 0 x

    /// A count with commas between thousands.
    let count (n: int64) : string = n.ToString("N0", CultureInfo.InvariantCulture)

    /// The lines of a table: headings, then one line a row; columns are two spaces apart.
    let lines (columns: TextColumn list) (rows: string list list) : string list =
        let cells = (columns |> List.map _.Heading) :: rows

        let widths =
            columns
            |> List.mapi (fun k _ -> cells |> List.map (fun row -> row[k].Length) |> List.max)

        let line (row: string list) : string =
            List.zip3 columns widths row
            |> List.map (fun (column, width, cell) ->
                if column.IsNumber then
                    cell.PadLeft width
                else
                    cell.PadRight width)
            |> String.concat "  "
            |> _.TrimEnd()

        cells |> List.map line
