namespace FunLik

open System

/// `funlik interval BUNDLE --against MODEL`.
[<RequireQualifiedAccess>]
module Rechecking =

    /// Looks for a surrogate's intervals and finds their ends again with the exact model.
    let run
        (context: VerbContext)
        (request: IntervalRequest)
        (surrogate: Likelihood)
        (exact: Likelihood)
        : Intervals * Recheck =
        let found = Bounding.run context request surrogate
        let held = Hold.apply [ request.Parameter ] request.Held exact |> Error.orRaise
        let flat, notes = Profile.withoutPulls request.Parameter held
        context.Progress { Stage = "finding the ends again"; Done = 0L; Total = 0L }

        let again =
            Recheck.crossings
                { FitOptions.Default with Run = context.Options }
                (Objective.ofLikelihood flat |> Fitter.ofObjective)
                found

        { found with Notes = List.distinct (found.Notes @ notes) }, again

    let private crossingJson (c: RecheckedCrossing) : JsonValue =
        JsonValue.Object
            [
                "probability", JsonValue.Number c.Level.Probability
                "twiceDeltaNll", JsonValue.Number c.Level.TwiceDeltaNll
                "surrogate", JsonValue.Number c.Before
                "exact", JsonValue.Number c.Exact
                "shift", JsonValue.Number c.Shift
            ]

    /// What the verb says.
    let report (found: Intervals, again: Recheck) : Report =
        let own = Bounding.report found
        let shown (x: float) : string = TextTable.significant 8 x

        let lost =
            again.Crossings |> List.filter (fun c -> Double.IsNaN c.Exact) |> List.length

        let notes =
            own.Notes
            @ [
                if lost > 0 then
                    $"{lost} crossings of the surrogate have no exact one nearby"
                if found.Status.IsUnbounded then
                    "beyond what it learnt the surrogate has no maximum: --from and --to keep to its region"
                if again.Crossings.IsEmpty then
                    "the surrogate's intervals cross no level: there is nothing to find again"
            ]

        {
            Converged = own.Converged && again.Status.IsConverged
            Json =
                JsonValue.Object
                    [
                        "surrogate", own.Json
                        "crossings", again.Crossings |> List.map crossingJson |> JsonValue.List
                        "exactMinimum", Fitting.json again.Minimum
                        "exactCalls", JsonValue.Int(int64 again.ExactCalls)
                        "status", JsonValue.Text(Fitting.statusName again.Status)
                        "notes", JsonValue.ofTexts notes
                    ]
            Text =
                own.Text
                @ [ "" ]
                @ TextTable.lines
                    [
                        TextTable.words "level"
                        TextTable.numbers "surrogate"
                        TextTable.numbers "exact"
                        TextTable.numbers "shift"
                    ]
                    [
                        for c in again.Crossings ->
                            [
                                ConfidenceLevel.label c.Level
                                shown c.Before
                                (if Double.IsNaN c.Exact then
                                     "none nearby"
                                 else
                                     shown c.Exact)
                                (if Double.IsNaN c.Exact then
                                     ""
                                 else
                                     TextTable.significant 3 c.Shift)
                            ]
                    ]
                @ [
                    ""
                    $"{TextTable.count (int64 again.ExactCalls)} exact evaluations of value and gradient, {Fitting.statusText again.Status}"
                ]
            Notes = notes
        }
