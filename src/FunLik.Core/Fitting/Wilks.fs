namespace FunLik

open System
open MathNet.Numerics.Distributions

/// A quantile of toys beside that of χ² with one degree of freedom.
type WilksQuantile =
    {
        /// The probability below it.
        Probability: float
        /// That of χ².
        Expected: float
        /// That of the toys.
        Found: float
        /// The toys between which it lies at 68.27 %: their number below it is binomial.
        Low: float
        High: float
    }

/// A bin of a histogram of toys beside χ² with one degree of freedom.
type WilksBin =
    {
        /// Where it begins.
        Low: float
        /// Where it ends; +∞ for the last.
        High: float
        /// Toys in it.
        Count: int
        /// How many χ² expects.
        Expected: float
    }

/// How t_μ of toys is distributed, beside χ² with one degree of freedom, which Wilks's theorem has for large samples.
type WilksCheck =
    {
        /// The parameter of interest.
        Poi: string
        /// The value at which toys are made and tested.
        Mu: float
        /// The point from which toys are made: the best one with that value, on the data.
        Point: float[]
        /// The key of the toys.
        Key: Key
        /// t_μ of each toy; NaN where a fit did not converge.
        Toys: float[]
        /// Toys that were left out because a fit did not converge.
        Lost: int
        /// The distance of Kolmogorov and Smirnov from χ², and its probability.
        Kolmogorov: KolmogorovTest
        /// How often the value lies in an interval of that level by χ².
        Coverage: (ConfidenceLevel * ToyProbability) list
        /// Quantiles.
        Quantiles: WilksQuantile list
        /// The histogram.
        Histogram: WilksBin list
        /// How the fits to the data ended.
        Status: FitStatus
        /// What a reader should know, as clauses.
        Notes: string list
    }

/// Whether asymptotic intervals of a parameter may be trusted: Wilks, Ann. Math. Stat. 9 (1938) 60; section 3 of arXiv:1911.03305.
[<RequireQualifiedAccess>]
module Wilks =

    let private probabilities = [ 0.1; 0.25; 0.5; 0.6827; 0.9; 0.95; 0.99; 0.997 ]

    let private edges = [ 0.0..0.5..10.0 ] @ [ infinity ]

    let private cdf (t: float) : float = if t = infinity then 1.0 else ChiSquared.CDF(1.0, t)

    let private quantile (sorted: float[]) (p: float) : WilksQuantile =
        let n = sorted.Length
        let spread = sqrt (float n * p * (1.0 - p))
        let at (rank: float) : float = sorted[min (n - 1) (max 0 (int (ceil rank) - 1))]

        {
            Probability = p
            Expected = ChiSquared.InvCDF(1.0, p)
            Found = at (float n * p)
            Low = at (floor (float n * p - spread))
            High = at (ceil (float n * p + spread) + 1.0)
        }

    /// Compares values of t with χ² of one degree of freedom: the distance, coverages, quantiles, histogram.
    let compare
        (values: float[])
        : KolmogorovTest *
          (ConfidenceLevel * ToyProbability) list *
          WilksQuantile list *
          WilksBin list
        =
        let sorted = Array.sort values
        let n = sorted.Length

        let coverage (level: ConfidenceLevel) : ConfidenceLevel * ToyProbability =
            let inside = sorted |> Array.filter (fun t -> t <= level.TwiceDeltaNll)
            level, ToyProbability.ofCounts inside.Length n

        Kolmogorov.test cdf sorted,
        ConfidenceLevel.usual 1 |> List.map coverage,
        (if n = 0 then
             []
         else
             probabilities |> List.map (quantile sorted)),
        edges
        |> List.pairwise
        |> List.map (fun (low, high) ->
            {
                Low = low
                High = high
                Count = sorted |> Array.filter (fun t -> t >= low && t < high) |> Array.length
                Expected = float n * (cdf high - cdf low)
            })

    /// Makes `count` toys at a value of the parameter of interest, the others at their best on the data, and compares their t with χ² of one degree of
    /// freedom. The tester is one of t.
    let check
        (options: RunOptions)
        (tester: Tester)
        (mu: float)
        (count: int)
        (key: Key)
        : WilksCheck =
        if not tester.Statistic.IsT then
            Error.make ErrorKind.Usage "Wilks's theorem is of t"
            |> Error.hint "q, q̃, t̃ and q0 have other distributions."
            |> Error.fail
            |> Error.orRaise

        let onData = HypothesisTest.test options tester mu
        let point = onData.Fixed.Point
        let toys = Toys.distribution options tester mu point count key
        let good = toys |> Array.filter (Double.IsNaN >> not)
        let kolmogorov, coverage, quantiles, histogram = compare good
        let ties = good.Length - (Array.distinct good).Length

        {
            Poi = tester.Poi
            Mu = mu
            Point = point
            Key = key
            Toys = toys
            Lost = toys.Length - good.Length
            Kolmogorov = kolmogorov
            Coverage = coverage
            Quantiles = quantiles
            Histogram = histogram
            // Asimov data have no part in it.
            Status =
                if onData.Fixed.Status.IsConverged then
                    tester.Free.Status
                else
                    onData.Fixed.Status
            Notes =
                tester.Notes
                @ [
                    if ties > 0 then
                        $"{ties} toys have the same data as others: the probability of the distance is for continuous values"
                ]
        }
