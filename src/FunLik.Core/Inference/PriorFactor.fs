namespace FunLik

open System
open System.Text.RegularExpressions
open System.Globalization

/// A factor on a density: a change of a prior, a constraint, a region.
[<RequireQualifiedAccess>]
type PriorFactor =
    /// Nothing at or below a value.
    | Above of parameter: string * value: float
    /// Nothing at or above a value.
    | Below of parameter: string * value: float
    /// The normal density of a mean and a standard deviation.
    | Normal of parameter: string * mean: float * deviation: float

/// Reading factors, and what they do to draws.
[<RequireQualifiedAccess>]
module PriorFactor =

    /// The parameter that it is of.
    let parameter (factor: PriorFactor) : string =
        match factor with
        | PriorFactor.Above(name, _)
        | PriorFactor.Below(name, _)
        | PriorFactor.Normal(name, _, _) -> name

    /// How it is written: "mu>0", "mu<2", "mu~normal(0,1)".
    let toText (factor: PriorFactor) : string =
        let number (x: float) : string = x.ToString("R", CultureInfo.InvariantCulture)

        match factor with
        | PriorFactor.Above(name, value) -> $"{name}>{number value}"
        | PriorFactor.Below(name, value) -> $"{name}<{number value}"
        | PriorFactor.Normal(name, mean, deviation) ->
            $"{name}~normal({number mean},{number deviation})"

    let private number (text: string) : float option =
        match Double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture) with
        | true, x when Double.IsFinite x -> Some x
        | _ -> None

    /// Reads a factor as `toText` writes it.
    let ofText (text: string) : Result<PriorFactor, Error list> =
        let refused () : Result<PriorFactor, Error list> =
            Error.make ErrorKind.Usage "not a prior"
            |> Error.found text
            |> Error.expected "NAME>X, NAME<X or NAME~normal(MEAN,DEVIATION)"
            |> Error.fail

        let parts = Regex.Match(text.Trim(), @"^(.+?)\s*([<>~])\s*(.+)$")

        if not parts.Success then
            refused ()
        else
            let name, sign, rest =
                parts.Groups[1].Value, parts.Groups[2].Value, parts.Groups[3].Value

            let normal = Regex.Match(rest, @"^normal\(\s*([^,]+?)\s*,\s*([^,]+?)\s*\)$")

            match sign, number rest with
            | ">", Some value -> Ok(PriorFactor.Above(name, value))
            | "<", Some value -> Ok(PriorFactor.Below(name, value))
            | "~", _ when normal.Success ->
                match number normal.Groups[1].Value, number normal.Groups[2].Value with
                | Some mean, Some deviation when deviation > 0.0 ->
                    Ok(PriorFactor.Normal(name, mean, deviation))
                | _ -> refused ()
            | _ -> refused ()

    /// The natural logarithm of the factor at a value of its parameter; −∞ outside.
    let log (factor: PriorFactor) (x: float) : float =
        match factor with
        | PriorFactor.Above(_, value) -> if x > value then 0.0 else -infinity
        | PriorFactor.Below(_, value) -> if x < value then 0.0 else -infinity
        | PriorFactor.Normal(_, mean, deviation) ->
            let z = (x - mean) / deviation
            -0.5 * z * z - Math.Log(deviation * sqrt (2.0 * Math.PI))

    /// The logarithm of the product of factors at each draw.
    let logs (factors: PriorFactor list) (table: DrawTable) : Result<float[], Error list> =
        factors
        |> List.map (fun factor ->
            DrawTable.index (parameter factor) table
            |> Result.map (fun i -> DrawTable.flat i table |> Array.map (log factor)))
        |> Error.collect
        |> Result.map (List.fold (Array.map2 (+)) (Array.zeroCreate table.Count))

    /// The table with edges where the factors end the density.
    let narrowed (factors: PriorFactor list) (table: DrawTable) : DrawTable =
        let edges =
            Array.map2
                (fun name (struct (low, high)) ->
                    factors
                    |> List.filter (fun factor -> parameter factor = name)
                    |> List.fold
                        (fun (struct (low, high)) factor ->
                            match factor with
                            | PriorFactor.Above(_, value) -> struct (max low value, high)
                            | PriorFactor.Below(_, value) -> struct (low, min high value)
                            | PriorFactor.Normal _ -> struct (low, high))
                        (struct (low, high)))
                table.Names
                table.Edges

        { table with Edges = edges }
