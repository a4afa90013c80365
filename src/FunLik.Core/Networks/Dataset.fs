namespace FunLik

open System

/// Points with values, gradients where there are any, and the group of each: points of one group (a chain) are not independent.
type Dataset =
    private
        {
            TheInputs: int
            ThePoints: float[]
            TheValues: float[]
            TheGradients: float[] option
            TheGroups: int[]
        }

    /// The numbers of a point.
    member d.Inputs: int = d.TheInputs
    /// The number of points.
    member d.Count: int = d.TheValues.Length
    /// The points, row-major.
    member d.Points: float[] = d.ThePoints
    /// The value at each point.
    member d.Values: float[] = d.TheValues
    /// The gradient at each point, row-major.
    member d.Gradients: float[] option = d.TheGradients
    /// The group of each point.
    member d.Groups: int[] = d.TheGroups

/// The mean and the standard deviation of numbers.
[<Struct>]
type Moments = { Mean: float; Deviation: float }

/// Making, cutting and mapping datasets.
[<RequireQualifiedAccess>]
module Dataset =

    /// A dataset of arrays whose lengths go together and whose numbers are finite; all mistakes are reported at once.
    let create
        (inputs: int)
        (points: float[])
        (values: float[])
        (gradients: float[] option)
        (groups: int[])
        : Result<Dataset, Error list> =
        let length (what: string) (found: int) (expected: int) : Error list =
            if found = expected then
                []
            else
                [
                    Error.make ErrorKind.Shape $"the {what} of a dataset"
                    |> Error.found $"{found} numbers"
                    |> Error.expected $"{expected} numbers"
                ]

        let finite (what: string) (numbers: float[]) : Error list =
            match numbers |> Array.tryFindIndex (Double.IsFinite >> not) with
            | None -> []
            | Some i ->
                [
                    Error.make ErrorKind.Value $"the {what} of a dataset"
                    |> Error.at $"number {i}"
                    |> Error.found $"{numbers[i]}"
                    |> Error.expected "finite numbers"
                ]

        let count = values.Length

        let mistakes =
            (if count > 0 then
                 []
             else
                 [ Error.make ErrorKind.Shape "a dataset has at least one point" ])
            @ length "points" points.Length (count * inputs)
            @ length "groups" groups.Length count
            @ (gradients
               |> Option.map (fun g -> length "gradients" g.Length (count * inputs))
               |> Option.defaultValue [])
            @ finite "points" points
            @ finite "values" values
            @ (gradients |> Option.map (finite "gradients") |> Option.defaultValue [])

        if mistakes.IsEmpty then
            Ok
                {
                    TheInputs = inputs
                    ThePoints = points
                    TheValues = values
                    TheGradients = gradients
                    TheGroups = groups
                }
        else
            Result.Error mistakes

    /// The points with these indices, in this order.
    let choose (indices: int[]) (data: Dataset) : Dataset =
        let n = data.Inputs

        let rows (source: float[]) : float[] =
            let target = Array.zeroCreate (indices.Length * n)
            indices |> Array.iteri (fun k i -> Array.Copy(source, i * n, target, k * n, n))
            target

        { data with
            ThePoints = rows data.Points
            TheValues = indices |> Array.map (fun i -> data.Values[i])
            TheGradients = data.Gradients |> Option.map rows
            TheGroups = indices |> Array.map (fun i -> data.Groups[i])
        }

    /// Splits by group: those for which the condition holds, and the rest. No group is in both.
    let splitByGroup (isFirst: int -> bool) (data: Dataset) : Dataset * Dataset =
        let first, second =
            Array.init data.Count id |> Array.partition (fun i -> isFirst data.Groups[i])

        choose first data, choose second data

    /// The mean and the standard deviation (with the number of values in the denominator) of numbers.
    let moments (numbers: float[]) : Moments =
        let mean = Array.average numbers
        let variance = numbers |> Array.averageBy (fun v -> (v - mean) * (v - mean))
        { Mean = mean; Deviation = sqrt variance }
