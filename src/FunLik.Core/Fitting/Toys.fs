namespace FunLik

open System

/// A probability from toys, with its binomial standard error.
type ToyProbability = { Value: float; Error: float }

/// A test of one value of the parameter of interest by toys: random data, of which each is fitted.
type ToyTest =
    {
        /// The value.
        Mu: float
        /// The statistic on the data.
        Observed: float
        /// The statistic of every toy with a signal of that strength; NaN where a fit did not converge.
        Signal: float[]
        /// The same without a signal.
        Background: float[]
        /// How often toys with the signal are at least as far from μ as the data.
        Clsb: ToyProbability
        /// The same of toys without signal.
        Clb: ToyProbability
        /// Their ratio.
        Cls: ToyProbability
        /// Toys that were left out because a fit did not converge.
        Lost: int
        /// How the fits to the data ended.
        Status: FitStatus
    }

/// Distributions of test statistics by toys.
[<RequireQualifiedAccess>]
module Toys =

    /// The statistic of μ for rows of data, two fits a row; NaN where one does not converge.
    let statistics
        (options: RunOptions)
        (tester: Tester)
        (mu: float)
        (starts: float[][])
        (data: float[])
        : float[] =
        let size = tester.Observed.Length
        let rows = data.Length / max 1 size

        let problems (fixing: (string * float) list) : DataProblem[] =
            let like = DataFitter.problem fixing starts [||] tester.Fitter
            Array.init rows (fun r -> { like with Data = Array.sub data (r * size) size })

        let fits =
            Array.append (problems []) (problems [ tester.Poi, mu ])
            |> DataFitter.fitAll options tester.Fitter

        Array.init rows (fun r ->
            let free, held = fits[r], fits[rows + r]

            if free.Status.IsConverged && held.Status.IsConverged then
                TestStatistic.value
                    tester.Statistic
                    mu
                    free.Point[tester.Index]
                    (held.TwiceNll - free.TwiceNll)
            else
                nan)

    let private probability (observed: float) (toys: float[]) : ToyProbability =
        let n = float toys.Length
        // A toy that is the data again counts, whatever rounding says.
        let bound = observed - 1e-9 * (1.0 + observed)
        let p = (toys |> Array.sumBy (fun t -> if t >= bound then 1.0 else 0.0)) / n
        { Value = p; Error = sqrt (p * (1.0 - p) / n) }

    /// Toys that are fitted at once.
    let private block = 10_000

    /// Tests a value by `count` toys with a signal of that strength and as many without, each from the fit to the data with that strength held:
    /// toy r is the same for any number of threads and toys. The auxiliary data are random too.
    let test (options: RunOptions) (tester: Tester) (mu: float) (count: int) (key: Key) : ToyTest =
        let asymptotic = HypothesisTest.test options tester mu

        let toys (name: string) (point: float[]) : float[] =
            let own = Key.foldName name key

            [| 0..block .. count - 1 |]
            |> Array.collect (fun first ->
                Simulate.toys
                    options
                    tester.Fitter.Predictor
                    point
                    first
                    (min block (count - first))
                    own
                |> statistics options tester mu [| point; tester.Free.Point |])

        let signal = toys "signal" asymptotic.Fixed.Point
        let background = toys "background" tester.Reference.Point
        let good (all: float[]) : float[] = all |> Array.filter (Double.IsNaN >> not)
        let clsb = probability asymptotic.Statistic (good signal)
        let clb = probability asymptotic.Statistic (good background)
        let cls = clsb.Value / clb.Value

        {
            Mu = mu
            Observed = asymptotic.Statistic
            Signal = signal
            Background = background
            Clsb = clsb
            Clb = clb
            Cls =
                {
                    Value = cls
                    Error =
                        cls
                        * sqrt ((clsb.Error / clsb.Value) ** 2.0 + (clb.Error / clb.Value) ** 2.0)
                }
            Lost = 2 * count - (good signal).Length - (good background).Length
            Status = asymptotic.Status
        }
