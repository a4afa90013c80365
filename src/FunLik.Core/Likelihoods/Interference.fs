namespace FunLik

open System
open System.Collections.Generic
open System.Runtime.InteropServices
open System.Security.Cryptography
open MathNet.Numerics.LinearAlgebra

/// A coefficient of an effective theory, on which rates depend quadratically.
type Coupling =
    {
        /// The name.
        Name: string
        /// The value at which fits start; that of a constant.
        Start: float
        /// A box for scans, samples and further starts, no bound; None: a constant.
        Range: struct (float * float) option
    }

/// How one process in one channel depends on couplings: bin b is multiplied by Σ_{i≥j} (2 - δ_ij) M_ij v_i v_j, where v are the
/// couplings.
type QuadraticScaling =
    {
        /// The channel.
        Channel: string
        /// The process: a sample of that channel.
        Process: string
        /// The couplings in the order of the matrices.
        Couplings: Coupling[]
        /// One symmetric matrix a bin: its lower triangle, row by row.
        Matrices: float[][]
        /// Where it stands in its file, for messages.
        Path: string
    }

/// Yields that are quadratic forms in couplings: what interference of amplitudes gives.
[<RequireQualifiedAccess>]
module Interference =

    /// The number of elements of the lower triangle of a matrix of n rows.
    let packedLength (n: int) : int = n * (n + 1) / 2

    /// The smallest eigenvalue of a symmetric matrix from its lower triangle, and the largest magnitude of any.
    let eigenvalues (n: int) (packed: float[]) : struct (float * float) =
        let matrix =
            Matrix<float>
                .Build.Dense(
                    n,
                    n,
                    fun i j ->
                        let row, column = max i j, min i j
                        packed[packedLength row + column]
                )

        let values =
            matrix.Evd(Symmetricity.Symmetric).EigenValues |> Seq.map _.Real |> Array.ofSeq

        struct (Array.min values, values |> Array.map abs |> Array.max)

    /// Equal arrays have equal fingerprints: many bins share a matrix.
    let private fingerprint (values: float[]) : string =
        Convert.ToHexString(SHA256.HashData(MemoryMarshal.AsBytes(ReadOnlySpan values)))

    /// A quadratic polynomial: a constant, and coefficients by the indices of one or two couplings.
    type private Polynomial =
        {
            Constant: float
            Linear: (int * float) list
            Quadratic: ((int * int) * float) list
        }

    let private polynomial
        (place: Coupling -> int option)
        (couplings: Coupling[])
        (matrix: float[])
        : Polynomial =
        let mutable constant = 0.0
        let linear = Dictionary<int, float>()
        let quadratic = Dictionary<struct (int * int), float>()

        let addTo (sums: Dictionary<'K, float>) (key: 'K) (value: float) : unit =
            match sums.TryGetValue key with
            | true, known -> sums[key] <- known + value
            | _ -> sums[key] <- value

        for i in 0 .. couplings.Length - 1 do
            for j in 0..i do
                let weight = if i = j then 1.0 else 2.0
                let value = weight * matrix[packedLength i + j]

                if value <> 0.0 then
                    match place couplings[i], place couplings[j] with
                    | None, None ->
                        constant <- constant + value * couplings[i].Start * couplings[j].Start
                    | Some a, None -> addTo linear a (value * couplings[j].Start)
                    | None, Some b -> addTo linear b (value * couplings[i].Start)
                    | Some a, Some b -> addTo quadratic (struct (min a b, max a b)) value

        {
            Constant = constant
            Linear = [ for KeyValue(k, v) in linear -> k, v ]
            Quadratic = [ for KeyValue(struct (a, b), v) in quadratic -> (a, b), v ]
        }

    /// The couplings that are no constants, each once, in the order in which they are first named.
    let free (scalings: QuadraticScaling list) : Coupling list =
        scalings
        |> List.collect (fun s -> List.ofArray s.Couplings)
        |> List.filter _.Range.IsSome
        |> List.distinctBy _.Name

    /// The parameters: of interest, without bounds.
    let blocks (scalings: QuadraticScaling list) : ParameterBlock list =
        free scalings
        |> List.map (fun coupling ->
            { ModelParameter.create coupling.Name ParameterKind.Poi coupling.Start with
                Range = coupling.Range |> Option.defaultValue (struct (-infinity, infinity))
            }
            |> ParameterBlock.ofParameter)

    /// The factors of all bins of all scalings, each different one once, as one vector; and for each scaling and bin its place there.
    let factors (scalings: QuadraticScaling list) : Expr * int[][] =
        let couplings = free scalings
        let index = couplings |> List.mapi (fun i c -> c.Name, i) |> readOnlyDict

        let place (coupling: Coupling) : int option =
            if coupling.Range.IsSome then
                Some index[coupling.Name]
            else
                None

        let polynomials = List<Polynomial>()
        let known = Dictionary<string, int>()

        // Many bins share a matrix: each is expanded once.
        let rowOf (s: QuadraticScaling) (matrix: float[]) : int =
            let names =
                s.Couplings |> Array.map (fun c -> $"{c.Name}={c.Start}") |> String.concat ","

            let key = names + fingerprint matrix

            match known.TryGetValue key with
            | true, row -> row
            | _ ->
                known[key] <- polynomials.Count
                polynomials.Add(polynomial place s.Couplings matrix)
                polynomials.Count - 1

        let places =
            scalings
            |> List.map (fun s -> s.Matrices |> Array.map (rowOf s))
            |> Array.ofList

        let pairs =
            polynomials
            |> Seq.collect (fun p -> p.Quadratic |> List.map fst)
            |> Seq.distinct
            |> Seq.sort
            |> Array.ofSeq

        let pairIndex = pairs |> Array.mapi (fun k pair -> pair, k) |> readOnlyDict
        let constants = polynomials |> Seq.map _.Constant |> Array.ofSeq |> Expr.vector

        if couplings.IsEmpty then
            constants, places
        else
            let n = couplings.Length

            let values =
                couplings |> List.map (fun c -> Expr.parameter c.Name Scalar) |> Expr.concat

            let monomials =
                if pairs.Length = 0 then
                    values
                else
                    Expr.concat
                        [
                            values
                            Expr.gather (Array.map fst pairs) values
                            * Expr.gather (Array.map snd pairs) values
                        ]

            let columns = n + pairs.Length
            let matrix = Array.zeroCreate (polynomials.Count * columns)

            polynomials
            |> Seq.iteri (fun row p ->
                for k, v in p.Linear do
                    matrix[row * columns + k] <- v

                for pair, v in p.Quadratic do
                    matrix[row * columns + n + pairIndex[pair]] <- v)

            Expr.matVec (Expr.matrix polynomials.Count columns matrix) monomials + constants, places

    /// Checks scalings against each other and against the channels of a model, given as bins by channel and process: names, lengths, and
    /// that no rate can be negative: each matrix is positive semidefinite, but for eigenvalues above -tolerance times the largest one.
    let check
        (tolerance: float)
        (bins: string -> string -> int option)
        (scalings: QuadraticScaling list)
        : Error list =
        let firsts = Dictionary<string, Coupling>()
        let seen = HashSet<struct (string * string)>()
        let sound = HashSet<string>()

        [
            for s in scalings do
                let refuse kind message = Error.make kind message |> Error.at s.Path

                if not (seen.Add(struct (s.Channel, s.Process))) then
                    refuse ErrorKind.Name $"'{s.Process}' in '{s.Channel}' is scaled twice"

                for coupling in s.Couplings do
                    match firsts.TryGetValue coupling.Name with
                    | true, first when first <> coupling ->
                        refuse
                            ErrorKind.Name
                            $"the coupling '{coupling.Name}' differs from its first use"
                        |> Error.found $"%A{coupling.Range} from {coupling.Start}"
                        |> Error.expected $"%A{first.Range} from {first.Start}"
                    | true, _ -> ()
                    | _ -> firsts[coupling.Name] <- coupling

                match bins s.Channel s.Process with
                | None ->
                    refuse ErrorKind.Name "a scaling of what the model has not"
                    |> Error.found $"process '{s.Process}' in channel '{s.Channel}'"
                | Some count when count <> s.Matrices.Length ->
                    refuse ErrorKind.Shape $"the scaling of '{s.Process}' in '{s.Channel}'"
                    |> Error.found $"{s.Matrices.Length} bins"
                    |> Error.expected $"{count}"
                | Some _ -> ()

                for b in 0 .. s.Matrices.Length - 1 do
                    let key = fingerprint s.Matrices[b]

                    if not (sound.Contains key) then
                        let struct (least, largest) = eigenvalues s.Couplings.Length s.Matrices[b]

                        if least < -tolerance * largest then
                            refuse
                                ErrorKind.Value
                                $"bin {b} of '{s.Process}' in '{s.Channel}' can be negative: its matrix is not positive semidefinite"
                            |> Error.found $"the eigenvalue {least}"
                            |> Error.expected $"none below {-tolerance * largest}"
                        else
                            sound.Add key |> ignore
        ]
