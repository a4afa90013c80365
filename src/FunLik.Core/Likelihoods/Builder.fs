namespace FunLik

open System

/// What is known of a parameter before the main measurement.
[<RequireQualifiedAccess>]
type ParameterLaw =
    /// Flat in an interval, its ends too; zero outside.
    | Flat of low: float * high: float * logDensity: float
    /// Normal: for a nuisance parameter the constraint of an auxiliary measurement, for a parameter of interest a prior.
    | Normal of mean: float * sigma: float
    /// Nothing.
    | Unconstrained

/// A parameter to be declared: what is known of it, and where fits start.
type ParameterPlan =
    {
        /// What is known of it.
        Law: ParameterLaw
        /// Where fits start; None: at 0 where that is allowed, else in the middle.
        Start: float option
        /// Whether the density has a kink at the start.
        IsKinked: bool
    }

/// A part of a likelihood under construction: a value, and what was declared on the way to it.
type LikelihoodPart<'T> =
    internal
        {
            Value: 'T
            Blocks: ParameterBlock list
            /// Terms and their data; a term without a name gets one in the end.
            Terms: (Term * float[]) list
            Priors: Prior list
            Mistakes: Error list
        }

/// The words of `likelihood { }`.
[<AutoOpen>]
module LikelihoodWords =

    let private part (value: 'T) : LikelihoodPart<'T> =
        { Value = value; Blocks = []; Terms = []; Priors = []; Mistakes = [] }

    let private plan (law: ParameterLaw) : ParameterPlan =
        { Law = law; Start = None; IsKinked = false }

    /// Flat and normalised from one value to another; zero outside.
    let flat (low: float) (high: float) : ParameterPlan =
        plan (ParameterLaw.Flat(low, high, -(log (high - low))))

    /// Flat from one value to another with a given log density there; zero outside.
    let flatWith (logDensity: float) (low: float) (high: float) : ParameterPlan =
        plan (ParameterLaw.Flat(low, high, logDensity))

    /// Normal around a mean: for a nuisance parameter a constraint, for a parameter of interest a prior.
    let normal (mean: float) (sigma: float) : ParameterPlan =
        plan (ParameterLaw.Normal(mean, sigma))

    /// Normal around 0 with width 1.
    let standardNormal: ParameterPlan = normal 0.0 1.0

    /// Nothing is known.
    let unconstrained: ParameterPlan = plan ParameterLaw.Unconstrained

    /// Fits start at a value.
    let startAt (value: float) (plan: ParameterPlan) : ParameterPlan =
        { plan with Start = Some value }

    /// The density has a kink at the start: fits start on both sides of it.
    let kinked (plan: ParameterPlan) : ParameterPlan = { plan with IsKinked = true }

    let private mistakesOf (name: string) (plan: ParameterPlan) : Error list =
        let wrong (message: string) (found: string) (expected: string) : Error =
            Error.make ErrorKind.Value $"the parameter '{name}': {message}"
            |> Error.found found
            |> Error.expected expected

        [
            if String.IsNullOrWhiteSpace name then
                Error.make ErrorKind.Name "a parameter without a name"

            match plan.Law with
            | ParameterLaw.Flat(low, high, _) when
                not (low < high && Double.IsFinite low && Double.IsFinite high)
                ->
                wrong "no interval" $"{low} to {high}" "a finite low end below a finite high end"
            | ParameterLaw.Normal(mean, sigma) when
                not (Double.IsFinite mean && Double.IsFinite sigma && sigma > 0.0)
                ->
                wrong "no normal density" $"mean {mean}, width {sigma}" "a width above 0"
            | _ -> ()

            match plan.Start, plan.Law with
            | Some start, _ when not (Double.IsFinite start) ->
                wrong "no start" $"{start}" "a finite number"
            | Some start, ParameterLaw.Flat(low, high, _) when not (low <= start && start <= high) ->
                wrong "the density is zero at the start" $"{start}" $"inside of {low} to {high}"
            | _ -> ()
        ]

    let private parameter (kind: ParameterKind) (plan: ParameterPlan) (name: string) =
        let start =
            plan.Start
            |> Option.defaultWith (fun () ->
                match plan.Law with
                | ParameterLaw.Flat(low, high, _) when not (low < 0.0 && 0.0 < high) ->
                    0.5 * (low + high)
                | ParameterLaw.Normal(mean, _) -> mean
                | _ -> 0.0)

        let free = { ModelParameter.create name kind start with IsKinked = plan.IsKinked }

        match plan.Law with
        | ParameterLaw.Flat(low, high, _) ->
            { free with Bounds = struct (low, high); Range = struct (low, high) }
        | ParameterLaw.Normal(mean, sigma) ->
            { free with Range = struct (mean - 5.0 * sigma, mean + 5.0 * sigma) }
        | ParameterLaw.Unconstrained -> free

    let private declare
        (kind: ParameterKind)
        (plan: ParameterPlan)
        (name: string)
        (block: ParameterBlock)
        : LikelihoodPart<Expr> =
        let x = ParameterBlock.leaf block

        let declared = { part x with Blocks = [ block ]; Mistakes = mistakesOf name plan }

        match plan.Law, kind with
        | _ when not declared.Mistakes.IsEmpty -> declared
        | ParameterLaw.Unconstrained, _ -> declared
        | ParameterLaw.Flat(low, high, logDensity), _ ->
            { declared with Priors = [ Prior.flatWith logDensity low high block ] }
        | ParameterLaw.Normal(mean, sigma), ParameterKind.Poi ->
            { declared with Priors = [ Prior.normal mean sigma block ] }
        | ParameterLaw.Normal(mean, sigma), ParameterKind.Nuisance ->
            let term, data = Term.constrainedTo mean sigma block
            { declared with Terms = [ term, data ] }

    let private single (kind: ParameterKind) (name: string) (plan: ParameterPlan) =
        parameter kind plan name |> ParameterBlock.ofParameter |> declare kind plan name

    /// Declares a parameter of interest; gives it as a scalar.
    let poi (name: string) (plan: ParameterPlan) : LikelihoodPart<Expr> =
        single ParameterKind.Poi name plan

    /// Declares a nuisance parameter; gives it as a scalar. Its normal constraint is the term `NAME.constraint`.
    let nuisance (name: string) (plan: ParameterPlan) : LikelihoodPart<Expr> =
        single ParameterKind.Nuisance name plan

    /// Declares nuisance parameters `NAME[0]`, `NAME[1]`, … as one vector. Their normal constraints are one term,
    /// `NAME.constraint`.
    let nuisances (name: string) (count: int) (plan: ParameterPlan) : LikelihoodPart<Expr> =
        let kind = ParameterKind.Nuisance

        Array.init (max 1 count) (fun i -> parameter kind plan $"{name}[{i}]")
        |> ParameterBlock.ofVector name
        |> declare kind plan name
        |> fun declared ->
            if count >= 1 then
                declared
            else
                let error =
                    Error.make ErrorKind.Shape $"the parameters '{name}'"
                    |> Error.found $"{count} of them"
                    |> Error.expected "one or more"

                { declared with Mistakes = error :: declared.Mistakes }

    let private term
        (distribution: Distribution)
        (observed: float[])
        (expected: Expr)
        (mistakes: Error list)
        : LikelihoodPart<unit> =
        let sizes =
            if observed.Length = Shape.size expected.Shape && not expected.Shape.IsMatrix then
                []
            else
                [
                    Error.make ErrorKind.Shape "observed and expected values do not go together"
                    |> Error.found $"{observed.Length} observed, {Shape.describe expected.Shape}"
                    |> Error.expected "as many expected as observed values"
                ]

        let term =
            {
                Name = ""
                Distribution = distribution
                Shape = expected.Shape
                Expectation = expected
                IsConstraint = false
            }

        match sizes @ mistakes with
        | [] -> { part () with Terms = [ term, Array.copy observed ] }
        | all -> { part () with Mistakes = all }

    /// Counts with Poisson distributions: observed values, one an element of the expectation.
    let poisson (observed: float[]) (expected: Expr) : LikelihoodPart<unit> =
        term Distribution.Poisson observed expected []

    /// Measurements with normal distributions of given widths, one an element of the expectation.
    let gaussian (observed: float[]) (sigma: float[]) (expected: Expr) : LikelihoodPart<unit> =
        let widths =
            if sigma.Length <> observed.Length then
                [
                    Error.make ErrorKind.Shape "widths and observed values do not go together"
                    |> Error.found $"{sigma.Length} widths, {observed.Length} observed"
                ]
            else
                sigma
                |> Array.tryFind (fun s -> not (s > 0.0 && Double.IsFinite s))
                |> Option.map (fun s ->
                    Error.make ErrorKind.Value "the width of a measurement"
                    |> Error.found $"{s}"
                    |> Error.expected "a finite number above 0")
                |> Option.toList

        let widthsOf () : Expr =
            if expected.Shape = Scalar then
                Expr.scalar sigma[0]
            else
                Expr.vector sigma

        if widths.IsEmpty && sigma.Length > 0 then
            term (Distribution.Normal(widthsOf ())) observed expected []
        else
            term Distribution.Poisson observed expected widths

    let private ofTerms (change: Term -> Term) (measured: LikelihoodPart<unit>) =
        { measured with
            Terms = measured.Terms |> List.map (fun (t, data) -> change t, data)
        }

    /// Gives a term its name, by which its data can be replaced.
    let named (name: string) (measured: LikelihoodPart<unit>) : LikelihoodPart<unit> =
        ofTerms (fun t -> { t with Name = name }) measured

    /// Makes a term a constraint: an auxiliary measurement, not a part of the main one.
    let auxiliary (measured: LikelihoodPart<unit>) : LikelihoodPart<unit> =
        ofTerms (fun t -> { t with IsConstraint = true }) measured

    let private joined (first: LikelihoodPart<'A>) (second: LikelihoodPart<'B>) =
        { second with
            Blocks = first.Blocks @ second.Blocks
            Terms = first.Terms @ second.Terms
            Priors = first.Priors @ second.Priors
            Mistakes = first.Mistakes @ second.Mistakes
        }

    /// Mistakes in expressions end the part in which they are made, and are gathered with those made so far.
    let private attempt (next: unit -> LikelihoodPart<'T>) : LikelihoodPart<'T> =
        try
            next ()
        with FunLikException errors ->
            { part Unchecked.defaultof<'T> with Mistakes = errors }

    /// Terms without a name get one: `main`, or `main[0]`, `main[1]`, … where there are several; constraints likewise.
    let private withNames (terms: (Term * float[]) list) : (Term * float[]) list =
        let nameless =
            terms
            |> List.map fst
            |> List.filter (fun t -> t.Name = "")
            |> List.countBy _.IsConstraint
            |> Map.ofList

        terms
        |> List.mapFold
            (fun (used: Map<bool, int>) (t, data) ->
                if t.Name <> "" then
                    (t, data), used
                else
                    let word = if t.IsConstraint then "auxiliary" else "main"
                    let i = used.TryFind t.IsConstraint |> Option.defaultValue 0

                    let name =
                        if nameless[t.IsConstraint] = 1 then
                            word
                        else
                            $"{word}[{i}]"

                    ({ t with Name = name }, data), used.Add(t.IsConstraint, i + 1))
            Map.empty
        |> fst

    /// Builds likelihoods from declarations of parameters (`let!`) and terms (`do!`).
    type LikelihoodBuilder() =

        member _.Return(value: 'T) : LikelihoodPart<'T> = part value

        member _.ReturnFrom(value: LikelihoodPart<'T>) : LikelihoodPart<'T> = value

        member _.Zero() : LikelihoodPart<unit> = part ()

        member _.Bind
            (declared: LikelihoodPart<'A>, next: 'A -> LikelihoodPart<'B>)
            : LikelihoodPart<'B> =
            joined declared (attempt (fun () -> next declared.Value))

        member _.Delay(next: unit -> LikelihoodPart<'T>) : unit -> LikelihoodPart<'T> = next

        member _.Combine
            (first: LikelihoodPart<unit>, next: unit -> LikelihoodPart<'T>)
            : LikelihoodPart<'T> =
            joined first (attempt next)

        member _.For(items: seq<'A>, body: 'A -> LikelihoodPart<unit>) : LikelihoodPart<unit> =
            items
            |> Seq.fold (fun all item -> joined all (attempt (fun () -> body item))) (part ())

        /// The likelihood, named `likelihood`; all mistakes are raised together.
        member _.Run(start: unit -> LikelihoodPart<unit>) : Likelihood =
            let built = attempt start
            let terms = withNames built.Terms

            let model =
                {
                    Name = "likelihood"
                    Blocks = built.Blocks
                    Density = Density.Terms(List.map fst terms)
                    Data = terms |> List.map (fun (t, data) -> t.Name, data) |> Map.ofList
                    Priors = built.Priors
                }

            match built.Mistakes @ Likelihood.check model with
            | [] -> model
            | mistakes -> raise (FunLikException mistakes)

    /// Builds a likelihood:
    ///
    ///     likelihood {
    ///         let! mu = poi "mu" (flat -1.0 5.0)
    ///         let! alpha = nuisances "alpha" 2 standardNormal
    ///         do! poisson observed (mu * s + b * exp (delta * alpha))
    ///     }
    let likelihood: LikelihoodBuilder = LikelihoodBuilder()
