namespace FunLik

/// A bundle beside the exact model, ready for property-based checks.
[<NoComparison; NoEquality>]
type BundleProperties =
    {
        /// The box in which the surrogate was taught, the exact best fit, and the surrogate's ridge.
        Domain: CheckDomain
        /// The exact best fit.
        Exact: Fit
        /// The surrogate's.
        Learnt: Fit
        /// What is to hold.
        Properties: SurrogateProperty list
    }

/// `funlik check`: what a published surrogate should obey, at points that are drawn for that.
[<RequireQualifiedAccess>]
module Checking =

    /// Fits of the ridge for each parameter of interest.
    let private ridgeValues = 12

    /// How much worse than the worst of the card's points another point may be.
    let private slack = 2.0

    /// The tolerance of gradients, relative to max(1, |slope|) per width of the box.
    let private gradientTolerance = 1e-6

    /// Fits the exact model and the surrogate, and gives the domain with the properties that every bundle can be held to: agreement within
    /// `bound` and within twice what the card states, gradients, batches, ONNX Runtime, the maximum. Errors: other parameters.
    let prepare
        (options: RunOptions)
        (bound: AgreementBound)
        (bundle: Bundle)
        (exact: Likelihood)
        : Result<BundleProperties, Error list> =
        let names = Likelihood.names bundle.Likelihood

        result {
            do! JobContext.sameParameters "the surrogate is" bundle.Folder names exact
            let fitting = { FitOptions.Default with Run = options; Covariance = true }
            let fit = Fit.withOptions fitting exact
            let learntFit = Fit.withOptions fitting bundle.Likelihood
            let parameters = Likelihood.parameters exact

            let! box =
                learntFit.Covariance
                |> Option.map Array.concat
                |> CheckPoints.domain parameters bundle.Card.Region fit.Point

            let domain = CheckPoints.withRidge options ridgeValues bundle.Likelihood box
            let model = Objective.ofLikelihood exact
            let learnt = Objective.ofLikelihood bundle.Likelihood
            let highest = fit.LogDensity

            let stated =
                SurrogateProperty.statedBound slack bundle.Card.Metrics model learnt
                |> Result.toOption
                |> Option.toList

            // Far out in a region a network in single precision does not always keep 1e-6.
            let onnx =
                { SurrogateProperty.onnxRuntime Bundle.tolerance bundle.Onnx learnt with
                    Places = PropertyPlaces.Taught
                }

            return
                {
                    Domain = domain
                    Exact = fit
                    Learnt = learntFit
                    Properties =
                        [
                            SurrogateProperty.agreement bound highest model learnt
                            yield! stated
                            SurrogateProperty.gradient gradientTolerance domain learnt
                            SurrogateProperty.batchIndependence domain learnt
                            onnx
                            SurrogateProperty.noFalsePeak bound.Absolute highest learnt
                            SurrogateProperty.maximum bound.Absolute highest model learntFit.Point
                        ]
                }
        }

    /// Checks a bundle as it was asked, and says what came of it. A property that is falsified makes the exit code that of what did not
    /// converge.
    let run
        (context: VerbContext)
        (against: ModelSource)
        (request: CheckRequest)
        : Result<Report, Error list> =
        context.Progress { Stage = "fitting"; Done = 0L; Total = 0L }

        Validation.map2
            (fun bundle model -> bundle, model)
            (Bundle.read request.Bundle)
            (ModelFile.read against.File against.Options)
        |> Result.bind (fun (bundle, model) ->
            prepare context.Options request.Bound bundle model.Likelihood)
        |> Result.map (fun ready ->
            let key = Key.ofSeed request.Seed |> Key.foldName "check"
            let total = int64 ready.Properties.Length

            let outcomes =
                ready.Properties
                |> List.mapi (fun i property ->
                    context.Progress { Stage = "checking"; Done = int64 i; Total = total }

                    property,
                    Properties.check
                        context.Options
                        request.Points
                        (Key.foldName property.Name key)
                        ready.Domain
                        property)

            let falsified = outcomes |> List.filter (fun (_, o) -> o.IsFalsified)

            let notes =
                [
                    if not ready.Exact.Status.IsConverged then
                        $"the fit of the exact model: {ready.Exact.Status}"
                    if not ready.Learnt.Status.IsConverged then
                        $"the fit of the surrogate: {ready.Learnt.Status}"
                ]

            let status =
                if not falsified.IsEmpty then "falsified"
                elif notes.IsEmpty then "passed"
                else "not converged"

            {
                Converged = falsified.IsEmpty && notes.IsEmpty
                Json =
                    JsonValue.Object
                        [
                            "status", JsonValue.Text status
                            "seed", JsonValue.Int(int64 request.Seed)
                            "parameters",
                            ready.Domain.Parameters |> Array.map _.Name |> JsonValue.ofTexts
                            "best", JsonValue.Numbers ready.Domain.Best
                            "properties",
                            outcomes
                            |> List.map (fun (p, o) -> Properties.toJson p o)
                            |> JsonValue.List
                        ]
                Text =
                    outcomes |> List.collect (fun (p, o) -> Properties.describe ready.Domain p o)
                Notes = notes
            })
