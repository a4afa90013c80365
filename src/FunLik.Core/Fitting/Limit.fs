namespace FunLik

open System

/// Upper limits on a parameter of interest.
type Limit =
    {
        /// The confidence level.
        Level: float
        /// Where CLs falls to 1 − level on the data.
        Observed: float
        /// The same, expected without signal, from -2 to 2 standard deviations.
        Expected: float[]
        /// Whether all fits converged and all limits were bracketed.
        Status: FitStatus
        /// How many values were tested.
        Tests: int
    }

/// Upper limits by CLs.
[<RequireQualifiedAccess>]
module Limit =

    let private maxRounds = 60

    /// Relative to the limit.
    let private tolerance = 1e-9

    /// Upper limits by q or q̃ at a level, observed and expected: all roots together, each round one batch of fits.
    let upper (options: RunOptions) (level: float) (tester: Tester) : Limit =
        if not (level > 0.0 && level < 1.0) then
            Error.make ErrorKind.Value "the confidence level"
            |> Error.found $"{level}"
            |> Error.expected "between 0 and 1"
            |> Error.fail
            |> Error.orRaise

        if not (tester.Statistic.IsQ || tester.Statistic.IsQTilde) then
            Error.make ErrorKind.Usage "upper limits are by q or q̃"
            |> Error.hint "t and t̃ have two sides, and q0 tests for a signal."
            |> Error.fail
            |> Error.orRaise

        let alpha = 1.0 - level
        let count = TestStatistic.bands.Length + 1
        let mutable tested = 0
        let mutable status = FitStatus.Converged

        /// Above 0 below the limit, and falling.
        let functions: (HypothesisTest -> float)[] =
            Array.append
                [| fun t -> log t.Observed.Cls - log alpha |]
                (TestStatistic.bands
                 |> Array.map (fun n ->
                     let root = TestStatistic.rootAtCls alpha n
                     fun t -> root - sqrt t.AsimovStatistic))

        let test (mus: float[]) : HypothesisTest[] =
            tested <- tested + mus.Length
            let found = HypothesisTest.tests options tester mus

            for t in found do
                if status.IsConverged && not t.Status.IsConverged then
                    status <- t.Status

            found

        // CLs is 1 at the best fit and below; from there on to the right until it is small for all.
        let width = tester.Fitter.Lengths[tester.Index]
        let first = max 0.0 tester.Free.Point[tester.Index]

        let rec bracket (high: float) (rounds: int) : HypothesisTest option =
            let t = (test [| high |])[0]

            if functions |> Array.forall (fun f -> f t < 0.0) then
                Some t
            elif rounds = 0 then
                None
            else
                bracket (first + 2.0 * (high - first)) (rounds - 1)

        match bracket (first + 4.0 * width) 20 with
        | None ->
            {
                Level = level
                Observed = nan
                Expected = Array.create (count - 1) nan
                Status = if status.IsConverged then FitStatus.Unbounded else status
                Tests = tested
            }
        | Some far ->
            let near = (test [| first |])[0]

            let start =
                functions
                |> Array.map (fun f ->
                    let low, atLow =
                        // Where even the best fit is excluded (never by CLs, for rounding alone) begin at 0.
                        if f near > 0.0 then
                            first, f near
                        else
                            0.0, log level - log alpha + 1.0

                    Bracket.create low atLow far.Mu (f far))

            let evaluate (places: (int * float)[]) : float[] =
                test (Array.map snd places)
                |> Array.map2 (fun (k, _) t -> functions[k] t) places

            let ends =
                start
                |> Bracket.narrow (fun b -> tolerance * max 1e-3 (abs b.High)) maxRounds evaluate
                |> Array.map Bracket.root

            {
                Level = level
                Observed = ends[0]
                Expected = ends[1..]
                Status = status
                Tests = tested
            }
