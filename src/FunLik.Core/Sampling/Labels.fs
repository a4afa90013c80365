namespace FunLik

open System

/// What labels are for.
[<RequireQualifiedAccess>]
type LabelUse =
    /// Training, and all choices made on the way.
    | Train
    /// Judging what was trained.
    | Test

/// Points with their exact log densities and gradients, one row each.
type LabelSet =
    {
        /// The names of the parameters.
        Parameters: string[]
        /// Rows × parameters.
        Points: float[]
        /// The log density at each point.
        LogDensity: float[]
        /// Its gradient at each point: rows × parameters.
        Gradient: float[]
        /// The design that each point comes from.
        Tags: string[]
        /// The chain that it comes from. Points of different chains are independent.
        Chains: int[]
    }

    /// The number of rows.
    member this.Count: int = this.LogDensity.Length

    /// The number of parameters.
    member this.Dimension: int = this.Parameters.Length

/// Taking sets of labels apart, and putting them together.
[<RequireQualifiedAccess>]
module LabelSet =

    /// No rows.
    let empty (parameters: string[]) : LabelSet =
        {
            Parameters = parameters
            Points = [||]
            LogDensity = [||]
            Gradient = [||]
            Tags = [||]
            Chains = [||]
        }

    /// The rows of these numbers, in their order.
    let rows (chosen: int[]) (set: LabelSet) : LabelSet =
        let n = set.Dimension

        let take (values: float[]) : float[] =
            let taken = Array.zeroCreate (chosen.Length * n)

            for i in 0 .. chosen.Length - 1 do
                Array.Copy(values, chosen[i] * n, taken, i * n, n)

            taken

        {
            Parameters = set.Parameters
            Points = take set.Points
            LogDensity = chosen |> Array.map (fun r -> set.LogDensity[r])
            Gradient = take set.Gradient
            Tags = chosen |> Array.map (fun r -> set.Tags[r])
            Chains = chosen |> Array.map (fun r -> set.Chains[r])
        }

    /// The rows whose chain satisfies a condition.
    let ofChains (condition: int -> bool) (set: LabelSet) : LabelSet =
        let chosen =
            Array.init set.Count id |> Array.filter (fun r -> condition set.Chains[r])

        rows chosen set

    /// The first rows, no more than `count`.
    let truncate (count: int) (set: LabelSet) : LabelSet =
        if set.Count <= count then
            set
        else
            rows (Array.init (max 0 count) id) set

    /// Sets of the same parameters, one after the other. Raises an error where they differ.
    let concat (parameters: string[]) (sets: LabelSet list) : LabelSet =
        match sets |> List.tryFind (fun s -> s.Parameters <> parameters) with
        | Some other ->
            Error.make ErrorKind.Shape "labels of different parameters cannot be put together"
            |> Error.found (String.concat ", " other.Parameters)
            |> Error.expected (String.concat ", " parameters)
            |> List.singleton
            |> FunLikException
            |> raise
        | None ->
            let all (part: LabelSet -> 'T[]) : 'T[] = sets |> Seq.map part |> Array.concat

            {
                Parameters = parameters
                Points = all _.Points
                LogDensity = all _.LogDensity
                Gradient = all _.Gradient
                Tags = all _.Tags
                Chains = all _.Chains
            }

    /// The labels that chains carry, one row a chain; no evaluation is needed.
    let ofStates (parameters: string[]) (tag: string) (states: Chains[]) : LabelSet =
        let all (part: Chains -> 'T[]) : 'T[] = states |> Array.collect part
        let logDensity = all _.LogDensity

        {
            Parameters = parameters
            Points = all _.Points
            LogDensity = logDensity
            Gradient = all _.Gradient
            Tags = Array.create logDensity.Length tag
            Chains = all (fun s -> Array.init s.Count id)
        }
