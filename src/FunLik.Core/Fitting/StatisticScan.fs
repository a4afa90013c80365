namespace FunLik

/// A likelihood-ratio statistic of several values of one parameter, from a profile: no data are predicted, so any density has it.
type StatisticScan =
    {
        /// The statistic.
        Statistic: TestStatistic
        /// Its value at each value of the parameter.
        Values: float[]
        /// The profile, relative to the free fit.
        Scan: Scan
    }

/// Statistics from profiles: t, t̃, q, q̃ and q0 of Cowan et al., arXiv:1007.1727, for exact and learnt densities.
[<RequireQualifiedAccess>]
module StatisticScan =

    /// A statistic of values of a parameter of a prepared objective, within its bounds. An unknown name, and values that the statistic does not
    /// test, are raised.
    let ofFitter
        (options: FitOptions)
        (statistic: TestStatistic)
        (name: string)
        (values: float[])
        (fitter: Fitter)
        : StatisticScan =
        let index = Profile.indexOf name fitter.Objective.Parameters
        values |> Array.iter (HypothesisTest.checkValue statistic)

        let bounded =
            if TestStatistic.isBounded statistic then
                let struct (low, high) =
                    HypothesisTest.fromZero name fitter.Lower[index] fitter.Upper[index]

                { fitter with
                    Lower = Profile.at index low fitter.Lower
                    Upper = Profile.at index high fitter.Upper
                }
            else
                fitter

        let scan =
            bounded |> Profile.scanFitter { Fit = options; Frozen = false } name values

        let best = scan.Minimum.Point[index]

        {
            Statistic = statistic
            Values =
                Array.map2
                    (fun mu t -> TestStatistic.value statistic mu best t)
                    values
                    scan.TwiceDeltaNll
            Scan = scan
        }

    /// A statistic of values of the parameter of interest of a likelihood, by name or its only one. For t, q and q0 the bounds of that
    /// parameter are lifted where the density has terms, as in hypothesis tests; a learnt density keeps to its bounds. Priors of parameters of
    /// interest are left out if they are not flat, and the scan's notes say so.
    let find
        (options: FitOptions)
        (statistic: TestStatistic)
        (poi: string option)
        (values: float[])
        (model: Likelihood)
        : StatisticScan =
        let name = HypothesisTest.poiOf model poi
        let flat, notes = Profile.withoutPulls name model
        let fitter = Objective.ofLikelihood flat |> Fitter.ofObjective
        let index = Profile.indexOf name fitter.Objective.Parameters

        let free =
            if model.Density.IsTerms && not (TestStatistic.isBounded statistic) then
                { fitter with
                    Lower = Profile.at index -infinity fitter.Lower
                    Upper = Profile.at index infinity fitter.Upper
                }
            else
                fitter

        let found = ofFitter options statistic name values free
        { found with Scan = { found.Scan with Notes = notes } }
