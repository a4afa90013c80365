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

/// How far a test by toys is.
type ToyRun =
    {
        /// The toys that are fitted.
        Fitted: int
        /// All of them.
        Total: int
        /// The test, when they all are.
        Test: ToyTest option
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

    let private ofStatistics
        (asymptotic: HypothesisTest)
        (signal: float[])
        (background: float[])
        : ToyTest =
        let good (all: float[]) : float[] = all |> Array.filter (Double.IsNaN >> not)
        let clsb = probability asymptotic.Statistic (good signal)
        let clb = probability asymptotic.Statistic (good background)
        let cls = clsb.Value / clb.Value

        {
            Mu = asymptotic.Mu
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
            Lost =
                signal.Length + background.Length
                - (good signal).Length
                - (good background).Length
            Status = asymptotic.Status
        }

    /// Tests a value by `count` toys with a signal of that strength and as many without, each from the fit to the data with that strength held:
    /// toy r is the same for any number of threads and toys. The auxiliary data are random too. The states of the run, block by block;
    /// the last has the test.
    let run
        (options: RunOptions)
        (tester: Tester)
        (mu: float)
        (count: int)
        (key: Key)
        : ToyRun seq =
        seq {
            let asymptotic = HypothesisTest.test options tester mu

            let toys (name: string) (point: float[]) (first: int) : float[] =
                Simulate.toys
                    options
                    tester.Fitter.Predictor
                    point
                    first
                    (min block (count - first))
                    (Key.foldName name key)
                |> statistics options tester mu [| point; tester.Free.Point |]

            let found = System.Collections.Generic.List<float[]>()

            let state (test: ToyTest option) : ToyRun =
                { Fitted = Seq.sumBy Array.length found; Total = 2 * count; Test = test }

            yield state None

            for name, point in
                [ "signal", asymptotic.Fixed.Point; "background", tester.Reference.Point ] do
                for first in 0..block .. count - 1 do
                    found.Add(toys name point first)
                    yield state None

            let all = Array.concat found

            yield
                state (Some(ofStatistics asymptotic (Array.take count all) (Array.skip count all)))
        }

    /// Tests a value by toys: the end of `run`.
    let test (options: RunOptions) (tester: Tester) (mu: float) (count: int) (key: Key) : ToyTest =
        run options tester mu count key |> Seq.last |> _.Test.Value
