namespace FunLik

open System

/// One fit of a batch in which every row has data of its own.
type DataProblem =
    {
        /// The data of all terms one behind the other, as `Simulate` has them.
        Data: float[]
        /// Lower bounds; equal to the upper bound of what is fixed.
        Lower: float[]
        /// Upper bounds.
        Upper: float[]
        /// Where to start.
        Starts: float[][]
    }

/// Where such a fit came to rest.
type DataFit =
    {
        /// -2 log density, all constants kept.
        TwiceNll: float
        /// The point.
        Point: float[]
        /// How it ended.
        Status: FitStatus
        /// What is left of the gradient of twiceNll, in units of the parameters' standard deviations, over what is free to move downhill.
        GradientNorm: float
        /// Evaluations of value and gradient, all starts together.
        Evaluations: int
    }

/// A model whose data are given row by row: observed data, Asimov data and toys are rows of one batch, and nothing is compiled anew.
[<NoComparison; NoEquality>]
type DataFitter =
    {
        /// The model without priors that would pull parameters of interest.
        Model: Likelihood
        /// What it predicts.
        Predictor: Predictor
        /// The fit to the observed data: where rows start by default.
        Fitter: Fitter
        Best: Fit
        /// Standard deviations of the parameters from the curvature at the best fit; a part of the range where it has none.
        Lengths: float[]
        /// The step program in the metric of the best fit, all parameters free.
        Session: StepSession
        /// Log density at a row of parameters and data.
        Value: Session<float>
        /// Newton's method for what a batch does not bring to a minimum.
        Polish: DataPolish
    }

/// Fits with data of each row.
[<RequireQualifiedAccess>]
module DataFitter =

    let private minimise: MinimiseOptions =
        { MinimiseOptions.Default with Tolerance = 1e-6 }

    /// log Γ of nothing but data is the same at every point: it is added once, not in every step.
    let private withoutDataConstants (e: Expr) : Expr =
        let isData (x: Expr) : bool =
            let inputs = Expr.inputs [ x ]

            not inputs.IsEmpty
            && inputs
               |> List.forall (fun (_, role, _) -> role = Role.Datum || role = Role.Auxiliary)

        let constant (node: Expr) : Expr option =
            match node.Node with
            | Node.Apply(Op.LogGamma, [ x ]) when isData x ->
                Some(Expr.fill x.Shape (Expr.scalar 0.0))
            | _ -> None

        Expr.substitute constant [ e ] |> List.head

    let private inverseOf (n: int) (hessian: float[]) (lengths: float[]) : Preconditioner =
        match NewtonStep.inverse n hessian with
        | Some inverse -> Preconditioner.InverseHessian(inverse, lengths)
        | None -> Preconditioner.Lengths lengths

    /// Prepares a model of terms: fits it to its data, and compiles. Opaque models are refused.
    let prepare (options: FitOptions) (model: Likelihood) : DataFitter =
        let predictor = Simulate.prepare model
        let fitter = Objective.ofLikelihood model |> Fitter.ofObjective
        let best = Fitter.fit options fitter
        let n = best.Point.Length
        let hessian = fitter.Hessian.Evaluate 1 best.Point options.Run
        let lengths = Hessian.lengths fitter.Lengths hessian
        let theta, substitute = Likelihood.overTheta model
        let violation = (Likelihood.parts model).Violation

        match substitute [ Likelihood.logDensity model; violation ] with
        | [ full; violation ] ->
            let reduced = withoutDataConstants full

            {
                Model = model
                Predictor = predictor
                Fitter = fitter
                Best = best
                Lengths = lengths
                Session =
                    Minimise.prepareExpression
                        minimise
                        (inverseOf n hessian lengths)
                        (theta, reduced, violation)
                Value =
                    Program.ofOutputs [ "value", full ]
                    |> Engine.compile (fun _ -> Binding.Row)
                    |> _.Bind()
                Polish = DataPolish.prepare (Likelihood.parameters model) theta full violation
            }
        | _ -> invalidOp "as many results as expressions"

    /// Rows of data as the inputs of terms.
    let private columns (fitter: DataFitter) (rows: float[][]) : (string * float[]) list =
        fitter.Predictor.Data
        |> List.mapFold
            (fun first (name, size) ->
                let column = Array.zeroCreate (rows.Length * size)

                rows
                |> Array.iteri (fun r row -> Array.Copy(row, first, column, r * size, size))

                (name, column), first + size)
            0
        |> fst

    let private values
        (options: RunOptions)
        (fitter: DataFitter)
        (points: float[])
        (data: float[][])
        : float[] =
        let given = Map.ofList (("theta", points) :: columns fitter data)
        let inputs = fitter.Value.RowInputs |> Array.map (fun (name, _) -> given[name])
        (fitter.Value.Evaluate(data.Length, inputs, options))[0]

    /// What is left of the gradient of twiceNll over what can move downhill.
    let private residual
        (fitter: DataFitter)
        (problem: DataProblem)
        (point: float[])
        (gradient: float[])
        : float =
        Seq.init point.Length id
        |> Seq.fold
            (fun most i ->
                let isFree =
                    if gradient[i] > 0.0 then
                        point[i] > problem.Lower[i]
                    else
                        point[i] < problem.Upper[i]

                if isFree then
                    max most (2.0 * abs gradient[i] * fitter.Lengths[i])
                else
                    most)
            0.0

    let private fitSome (options: RunOptions) (fitter: DataFitter) (problems: DataProblem[]) =
        let rows =
            problems |> Array.collect (fun p -> p.Starts |> Array.map (fun s -> p, s))

        let data = rows |> Array.map (fun (p, _) -> p.Data)
        let all (part: DataProblem * float[] -> float[]) : float[] = rows |> Array.collect part

        let ends =
            Minimise.runWith
                (columns fitter data)
                minimise
                (fitter.Session, None)
                (all snd)
                (all (fun (p, _) -> p.Lower))
                (all (fun (p, _) -> p.Upper))
                options

        let n = fitter.Lengths.Length
        let logDensities = values options fitter ends.Points data
        let firstOf = problems |> Array.scan (fun row p -> row + p.Starts.Length) 0

        let valueOf (row: int) : float =
            if ends.Statuses[row].IsNotFinite || Double.IsNaN logDensities[row] then
                infinity
            else
                -logDensities[row]

        let pointOf (row: int) : float[] = Array.sub ends.Points (row * n) n
        let own (k: int) : int[] = [| firstOf[k] .. firstOf[k + 1] - 1 |]
        let best = Array.init problems.Length (own >> Array.minBy valueOf)

        // What the batch did not bring to a minimum goes on from all of its ends.
        let left =
            [|
                for k in 0 .. problems.Length - 1 do
                    if not ends.Statuses[best[k]].IsConverged then
                        for row in own k -> k, row
            |]

        let polished =
            left
            |> Array.map (fun (k, row) ->
                let data = columns fitter [| problems[k].Data |]

                data, pointOf row, problems[k].Lower, problems[k].Upper)
            |> DataPolish.run options fitter.Lengths fitter.Polish
            |> Array.zip left
            |> Array.groupBy (fun ((k, _), _) -> k)
            |> Array.map (fun (k, several) -> k, several |> Array.map snd)
            |> dict

        let evaluationsOf (k: int) : int = own k |> Array.sumBy (fun row -> ends.Evaluations[row])

        let lowest (several: Polished[]) : Polished =
            several
            |> Array.minBy (fun p ->
                (if Double.IsNaN p.Value then infinity else p.Value), not p.Status.IsConverged)

        problems
        |> Array.mapi (fun k problem ->
            match polished.TryGetValue k with
            | true, several ->
                let found = lowest several

                {
                    TwiceNll = 2.0 * found.Value
                    Point = found.Point
                    Status = found.Status
                    GradientNorm =
                        Array.map2 (fun g l -> 2.0 * abs (g * l)) found.Projected fitter.Lengths
                        |> Array.fold max 0.0
                    Evaluations = evaluationsOf k + (several |> Array.sumBy _.Evaluations)
                }
            | _ ->
                let point = pointOf best[k]

                {
                    TwiceNll = 2.0 * valueOf best[k]
                    Point = point
                    Status = FitStatus.Converged
                    GradientNorm =
                        residual fitter problem point (Array.sub ends.Gradients (best[k] * n) n)
                    Evaluations = evaluationsOf k
                })

    /// Fits all problems in one batch; of several starts the best end counts.
    let fitAll (options: RunOptions) (fitter: DataFitter) (problems: DataProblem[]) : DataFit[] =
        if problems.Length = 0 then
            [||]
        else
            fitSome options fitter problems

    /// A problem of some data with some parameters fixed.
    let problem
        (fixing: (string * float) list)
        (starts: float[][])
        (data: float[])
        (fitter: DataFitter)
        : DataProblem =
        let struct (lower, upper) = Fitter.fixing fixing fitter.Fitter
        { Data = data; Lower = lower; Upper = upper; Starts = starts }
