namespace FunLik

open System

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

    /// Statistics of rows of data, each of a value of its own and from starts of its own, all in one batch of two fits a row; NaN where one
    /// does not converge.
    let statisticsOf
        (options: RunOptions)
        (tester: Tester)
        (cases: (float * float[][] * float[])[])
        : float[] =
        let problems (fixing: float -> (string * float) list) : DataProblem[] =
            cases
            |> Array.map (fun (mu, starts, data) ->
                DataFitter.problem (fixing mu) starts data tester.Fitter)

        let fits =
            Array.append (problems (fun _ -> [])) (problems (fun mu -> [ tester.Poi, mu ]))
            |> DataFitter.fitAll options tester.Fitter

        cases
        |> Array.mapi (fun r (mu, _, _) ->
            let free, held = fits[r], fits[cases.Length + r]

            if free.Status.IsConverged && held.Status.IsConverged then
                TestStatistic.value
                    tester.Statistic
                    mu
                    free.Point[tester.Index]
                    (held.TwiceNll - free.TwiceNll)
            else
                nan)

    /// The statistic of μ for rows of data, two fits a row; NaN where one does not converge.
    let statistics
        (options: RunOptions)
        (tester: Tester)
        (mu: float)
        (starts: float[][])
        (data: float[])
        : float[] =
        data
        |> Array.chunkBySize (max 1 tester.Observed.Length)
        |> Array.map (fun row -> mu, starts, row)
        |> statisticsOf options tester

    /// Toys that are fitted at once.
    let internal block = 10_000

    /// The statistic of μ for toys of a point, block by block: toy r is from `Key.fold r`.
    let distribution
        (options: RunOptions)
        (tester: Tester)
        (mu: float)
        (point: float[])
        (count: int)
        (key: Key)
        : float[] =
        [| 0..block .. count - 1 |]
        |> Array.collect (fun first ->
            Simulate.toys
                options
                tester.Fitter.Predictor
                point
                first
                (min block (count - first))
                key
            |> statistics options tester mu [| point; tester.Free.Point |])

    let private ofStatistics
        (asymptotic: HypothesisTest)
        (signal: float[])
        (background: float[])
        : ToyTest =
        let clsb = ToyProbability.ofToys asymptotic.Statistic signal
        let clb = ToyProbability.ofToys asymptotic.Statistic background
        let lost (toys: float[]) : int = toys |> Array.filter Double.IsNaN |> Array.length

        {
            Mu = asymptotic.Mu
            Observed = asymptotic.Statistic
            Signal = signal
            Background = background
            Clsb = clsb
            Clb = clb
            Cls = ToyProbability.ratio clsb clb
            Lost = lost signal + lost background
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
