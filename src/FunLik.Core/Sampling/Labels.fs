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
        /// The part of it that is constraints; NaN where the density does not split.
        Constraint: float[]
        /// The part of it that is priors; NaN where nobody knows.
        Prior: float[]
        /// The gradient of the log density at each point: rows × parameters.
        Gradient: float[]
        /// The design that each point comes from.
        Tags: string[]
        /// The chain that it comes from. Points of different chains are independent.
        Chains: int[]
        /// What each point counts for where points stand for what their design says: the posterior (1 for its own draws; tempered chains), an
        /// evenly filled box; 1 along a ridge, which stands for nothing else. Up to a factor of each design.
        Weights: float[]
    }

    /// The number of rows.
    member this.Count: int = this.LogDensity.Length

    /// The number of parameters.
    member this.Dimension: int = this.Parameters.Length

    /// The part of the log density that is the main measurement; NaN where the density does not split.
    member this.Main: float[] =
        Array.map3 (fun y c p -> y - c - p) this.LogDensity this.Constraint this.Prior

/// Points that a folder has, so that none is there twice.
type KnownPoints =
    internal
        {
            Hashes: Collections.Immutable.ImmutableHashSet<struct (int64 * int64)>
        }

    /// None.
    static member Empty: KnownPoints = { Hashes = Collections.Immutable.ImmutableHashSet.Empty }

/// Taking sets of labels apart, and putting them together.
[<RequireQualifiedAccess>]
module LabelSet =

    /// No rows.
    let empty (parameters: string[]) : LabelSet =
        {
            Parameters = parameters
            Points = [||]
            LogDensity = [||]
            Constraint = [||]
            Prior = [||]
            Gradient = [||]
            Tags = [||]
            Chains = [||]
            Weights = [||]
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
            Constraint = chosen |> Array.map (fun r -> set.Constraint[r])
            Prior = chosen |> Array.map (fun r -> set.Prior[r])
            Gradient = take set.Gradient
            Tags = chosen |> Array.map (fun r -> set.Tags[r])
            Chains = chosen |> Array.map (fun r -> set.Chains[r])
            Weights = chosen |> Array.map (fun r -> set.Weights[r])
        }

    /// What tells points apart: half of the SHA-256 of their bits, −0 as 0.
    let private pointHash (set: LabelSet) (row: int) : struct (int64 * int64) =
        let point =
            Array.init set.Dimension (fun i -> set.Points[row * set.Dimension + i] + 0.0)

        let bits: byte[] = Array.zeroCreate (8 * point.Length)
        Buffer.BlockCopy(point, 0, bits, 0, bits.Length)
        let bytes = Security.Cryptography.SHA256.HashData bits
        struct (BitConverter.ToInt64(bytes, 0), BitConverter.ToInt64(bytes, 8))

    /// The set without points that are known, and without points that it has twice, as chains that stand still do: of these the first row stays,
    /// with the weights of all of them. Gives what is known then, too; nothing is at first (`KnownPoints.Empty`).
    let distinct (known: KnownPoints) (set: LabelSet) : struct (LabelSet * KnownPoints) =
        let hashes = Array.init set.Count (pointHash set)
        let weights = Collections.Generic.Dictionary<struct (int64 * int64), float>()
        let first = Collections.Generic.List<int>()

        for r in 0 .. set.Count - 1 do
            if not (known.Hashes.Contains hashes[r]) then
                match weights.TryGetValue hashes[r] with
                | true, before -> weights[hashes[r]] <- before + set.Weights[r]
                | _ ->
                    weights[hashes[r]] <- set.Weights[r]
                    first.Add r

        let kept = rows (first.ToArray()) set

        struct ({ kept with
                    Weights = first.ToArray() |> Array.map (fun r -> weights[hashes[r]])
                },
                { Hashes = known.Hashes.Union weights.Keys })

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
                Constraint = all _.Constraint
                Prior = all _.Prior
                Gradient = all _.Gradient
                Tags = all _.Tags
                Chains = all _.Chains
                Weights = all _.Weights
            }

    /// Rows with values and gradients; the parts are not known.
    let create
        (parameters: string[])
        (tag: string)
        (chains: int[])
        (points: float[])
        (values: float[])
        (gradients: float[])
        : LabelSet =
        {
            Parameters = parameters
            Points = points
            LogDensity = values
            Constraint = Array.create values.Length nan
            Prior = Array.create values.Length nan
            Gradient = gradients
            Tags = Array.create values.Length tag
            Chains = chains
            Weights = Array.create values.Length 1.0
        }

    /// The labels that chains carry, one row a chain; no evaluation is needed.
    let ofStates (parameters: string[]) (tag: string) (states: Chains[]) : LabelSet =
        let all (part: Chains -> 'T[]) : 'T[] = states |> Array.collect part
        let chains = all (fun s -> Array.init s.Count id)
        create parameters tag chains (all _.Points) (all _.LogDensity) (all _.Gradient)

    /// The set with the parts of its log densities: constraints and priors are computed, what they leave is the main measurement, which
    /// is not evaluated again. Given options and a model it compiles once, for many sets.
    let withParts (options: RunOptions) (model: Likelihood) : LabelSet -> LabelSet =
        let parts = Likelihood.parts model

        let session =
            lazy
                (Objective.session
                    model
                    [
                        "prior", parts.Prior
                        match parts.Constraint with
                        | Some constraints -> "constraint", constraints
                        | None -> ()
                    ])

        fun set ->
            if set.Count = 0 then
                set
            else
                let found = session.Value.Evaluate(set.Count, [| set.Points |], options)

                { set with
                    Prior = found[0]
                    Constraint = if found.Length > 1 then found[1] else set.Constraint
                }
