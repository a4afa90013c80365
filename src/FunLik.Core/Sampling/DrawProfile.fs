namespace FunLik

open System

/// t of a parameter read off draws, with bins of one width.
type DrawProfile =
    {
        /// The width of the bins.
        Width: float
        /// The middles of the bins.
        X: float[]
        /// Twice the largest log density of all draws less the largest in each bin; NaN where a bin has none.
        TwiceDeltaNll: float[]
        /// The draws in each bin.
        Draws: int[]
    }

/// How far t off draws is from an exact profile, over the bins that have draws.
type DrawProfileError =
    {
        /// The width of the bins.
        Width: float
        /// The mean difference: above 0 where t off draws is too large.
        Bias: float
        /// The mean absolute difference.
        Error: float
        /// The largest absolute difference.
        Largest: float
        /// Bins that have draws.
        Bins: int
    }

/// Profiles without a fit: the largest log density of those draws whose parameter lies in a narrow bin, as in section 3 of arXiv:1911.03305.
/// Of n parameters the best of N draws in a bin lies about n/2 below the bin's own maximum until N is very large, so that t comes out too large away
/// from where draws are many, and the maximum of all draws is too low as well; wide bins have more draws, and smear.
[<RequireQualifiedAccess>]
module DrawProfile =

    /// The widths that are usual: .01 to .2.
    let widths: float list = [ 0.01; 0.02; 0.05; 0.1; 0.2 ]

    /// Reads t off draws of one parameter and their log densities, bin by bin: x − width/2 ≤ parameter < x + width/2. `largest` is what the largest log
    /// density is known to be; None takes that of the draws.
    let ofDraws
        (largest: float option)
        (width: float)
        (x: float[])
        (parameter: float[])
        (logDensity: float[])
        : DrawProfile =
        if not (width > 0.0 && Double.IsFinite width) then
            Error.make ErrorKind.Value "the width of bins"
            |> Error.found $"{width}"
            |> Error.expected "a finite number above 0"
            |> Error.fail
            |> Error.orRaise

        if parameter.Length <> logDensity.Length then
            Error.make ErrorKind.Shape "draws and their log densities"
            |> Error.found $"{parameter.Length} and {logDensity.Length}"
            |> Error.expected "as many"
            |> Error.fail
            |> Error.orRaise

        let order =
            [| 0 .. parameter.Length - 1 |]
            |> Array.filter (fun k -> Double.IsFinite parameter[k] && Double.IsFinite logDensity[k])
            |> Array.sortBy (fun k -> parameter[k])

        let sorted = order |> Array.map (fun k -> parameter[k])

        /// The first draw at a value or above it.
        let firstFrom (value: float) : int =
            let mutable low, high = 0, sorted.Length

            while low < high do
                let middle = (low + high) / 2

                if sorted[middle] < value then
                    low <- middle + 1
                else
                    high <- middle

            low

        let top =
            match largest with
            | Some value -> value
            | None -> order |> Array.fold (fun most k -> max most logDensity[k]) -infinity

        let bins =
            x
            |> Array.map (fun middle ->
                let first = firstFrom (middle - 0.5 * width)
                let next = firstFrom (middle + 0.5 * width)

                let best =
                    Seq.init (next - first) (fun k -> logDensity[order[first + k]])
                    |> Seq.fold max -infinity

                (if next > first then 2.0 * (top - best) else nan), next - first)

        {
            Width = width
            X = x
            TwiceDeltaNll = Array.map fst bins
            Draws = Array.map snd bins
        }

    /// Reads t off labels, for bins of several widths.
    let ofLabels
        (largest: float option)
        (widths: float list)
        (x: float[])
        (name: string)
        (labels: LabelSet)
        : DrawProfile list =
        match Array.IndexOf(labels.Parameters, name) with
        | -1 ->
            Error.make ErrorKind.Name $"there is no parameter '{name}'"
            |> Error.expected (String.concat ", " labels.Parameters)
            |> Error.fail
            |> Error.orRaise
        | index ->
            let values =
                Array.init labels.Count (fun r -> labels.Points[r * labels.Dimension + index])

            widths |> List.map (fun w -> ofDraws largest w x values labels.LogDensity)

    /// How far a profile off draws is from the exact one at the same values.
    let errors (exact: float[]) (profile: DrawProfile) : DrawProfileError =
        let differences =
            Array.map2 (-) profile.TwiceDeltaNll exact |> Array.filter Double.IsFinite

        let over (of': float[] -> float) : float =
            if differences.Length = 0 then nan else of' differences

        {
            Width = profile.Width
            Bias = over Array.average
            Error = over (Array.averageBy abs)
            Largest = over (Array.map abs >> Array.max)
            Bins = differences.Length
        }
