namespace FunLik

open System.Globalization
open MathNet.Numerics.Distributions

/// A level of twice ΔNLL, and how probable it is that the region below it contains the true values: that of χ², which holds for large
/// samples (Wilks, Ann. Math. Stat. 9 (1938) 60).
type ConfidenceLevel =
    {
        /// Twice ΔNLL at the border.
        TwiceDeltaNll: float
        /// The probability content.
        Probability: float
        /// The number of parameters that the region is of.
        Parameters: int
    }

/// Levels and what to call them.
[<RequireQualifiedAccess>]
module ConfidenceLevel =

    let private check (what: string) (value: float) (isGood: bool) (expected: string) : unit =
        if not isGood then
            Error.make ErrorKind.Value what
            |> Error.found $"{value}"
            |> Error.expected expected
            |> Error.fail
            |> Error.orRaise

    /// The level of a value of twice ΔNLL, for so many parameters.
    let ofTwiceDeltaNll (parameters: int) (t: float) : ConfidenceLevel =
        check "a level of twice ΔNLL" t (t > 0.0 && t < infinity) "a finite number above 0"

        {
            TwiceDeltaNll = t
            Probability = ChiSquared.CDF(float parameters, t)
            Parameters = parameters
        }

    /// The level of a probability, for so many parameters.
    let ofProbability (parameters: int) (p: float) : ConfidenceLevel =
        check "the confidence level" p (p > 0.0 && p < 1.0) "between 0 and 1"

        {
            TwiceDeltaNll = ChiSquared.InvCDF(float parameters, p)
            Probability = p
            Parameters = parameters
        }

    /// The usual two: twice ΔNLL of 1 and 3.84 for one parameter, 2.30 and 5.99 for two; else the probabilities 0.68 and 0.95.
    let usual (parameters: int) : ConfidenceLevel list =
        match parameters with
        | 1 -> [ 1.0; 3.84 ] |> List.map (ofTwiceDeltaNll 1)
        | 2 -> [ 2.30; 5.99 ] |> List.map (ofTwiceDeltaNll 2)
        | n -> [ 0.68; 0.95 ] |> List.map (ofProbability n)

    /// Both numbers in words: "68.34 % (twice ΔNLL 2.3, 2 parameters)".
    let label (level: ConfidenceLevel) : string =
        let short (x: float) : string = x.ToString("G4", CultureInfo.InvariantCulture)
        let parameters = if level.Parameters = 1 then "parameter" else "parameters"

        $"{short (100.0 * level.Probability)} %% (twice ΔNLL {short level.TwiceDeltaNll}, {level.Parameters} {parameters})"
