namespace FunLik

/// Where a surrogate has been taught.
type Region =
    {
        /// The smallest value of each parameter among the points.
        Lowest: float[]
        /// The largest value of each parameter among the points.
        Highest: float[]
    }

/// A likelihood that was learnt, with how it was made. What the network was not to learn (priors, the support) is exact.
type Surrogate =
    {
        /// The function: opaque, in float64; the network's numbers are constants.
        Likelihood: Likelihood
        /// The same with the fitted quadratic alone: what the network must beat.
        Baseline: Likelihood
        /// Where it was taught.
        Region: Region
        /// The recipe.
        Recipe: Recipe
        /// The network over its coordinates.
        Network: Architecture
        /// The numbers learnt.
        Weights: Weights
        /// The network's input and output as subexpressions of the likelihood's density: between them single precision does.
        Single: Expr * Expr
    }

/// A surrogate in the making: the reference is fitted, the network is to be trained.
type Learner =
    {
        /// What is learnt: name, blocks and priors.
        Subject: Likelihood
        /// The recipe.
        Recipe: Recipe
        /// The coordinates of the quadratic.
        Whitening: Whitening
        /// The fitted quadratic over them.
        Quadratic: Quadratic
        /// The network's coordinates.
        Inputs: Whitening
        /// What is added to the network's output besides the quadratic, if that is its reference: the mean if not.
        Reference: Quadratic
        /// The unit of the network's output: the standard deviation of what the reference leaves.
        Scale: float
        /// The network.
        Network: Architecture
        /// Where the training points are.
        Region: Region
        /// Exact calls that found which parameters interact.
        Calls: ExactCalls
        /// The training.
        Trainer: Trainer
    }

/// Learning surrogates from data.
[<RequireQualifiedAccess>]
module Surrogate =

    /// The weight of gradients in the fit of the quadratic, in whitened units.
    let private quadraticWeight = 1.0

    /// Data in coordinates, values and gradients divided by a scale after the reference, over the quadratic's coordinates, is taken
    /// off.
    let private mapped
        (options: RunOptions)
        (coordinates: Whitening)
        (whitening: Whitening)
        (reference: Quadratic)
        (scale: float)
        (data: Dataset)
        : Dataset =
        let n = data.Inputs
        let vector (name: string) : Expr = Expr.datum name (Vector n)
        let x = vector "x"
        let base' = Quadratic.toExpr reference (Whitening.toExpr whitening x)
        let unit = 1.0 / scale

        let session =
            [
                "z", Whitening.toExpr coordinates x
                Loss.valueName, unit * (Expr.datum "y" Scalar - base')
                if data.Gradients.IsSome then
                    Loss.gradientName,
                    unit * Whitening.gradientExpr coordinates (vector "g" - Diff.grad base' x)
            ]
            |> Program.ofOutputs
            |> Engine.compile (Binding.ofRole (Set.ofList [ "x"; "y"; "g" ]))
            |> _.Bind()

        let given =
            Map.ofList
                [
                    "x", data.Points
                    "y", data.Values
                    "g", data.Gradients |> Option.defaultValue [||]
                ]

        let inputs = session.RowInputs |> Array.map (fun (name, _) -> given[name])
        let results = session.Evaluate(data.Count, inputs, options)
        let gradients = data.Gradients |> Option.map (fun _ -> results[2])
        Dataset.create n results[0] results[1] gradients data.Groups |> Error.orRaise

    let private regionOf (data: Dataset) : Region =
        let n = data.Inputs

        let fold (f: float -> float -> float) : float[] =
            Array.init n (fun k ->
                Seq.init data.Count (fun r -> data.Points[r * n + k]) |> Seq.reduce f)

        { Lowest = fold min; Highest = fold max }

    /// Fits the reference and compiles the training. The data are points of the subject's parameters, in its order, with values and
    /// gradients of its log density without priors; the validation data choose the weights.
    let prepare
        (options: RunOptions)
        (recipe: Recipe)
        (subject: Likelihood)
        (training: Dataset)
        (validation: Dataset)
        : Result<Learner, Error list> =
        let parameters = Likelihood.parameters subject

        if parameters.Length <> training.Inputs then
            Error.make ErrorKind.Shape "the points of the data"
            |> Error.found $"{training.Inputs} numbers"
            |> Error.expected $"{parameters.Length}, the parameters of '{subject.Name}'"
            |> Error.fail
        else
            let n = training.Inputs

            let interactions, calls =
                if recipe.Separable.IsSome then
                    let objective = Objective.ofLikelihood (Likelihood.withoutPriors subject)
                    Interactions.find options objective training
                else
                    Interactions.all n, ExactCalls.Zero

            // Correlations mix parameters, and what does not interact would then seem to.
            let whitening = Whitening.ofPoints (not interactions.AreSparse) options training

            let zero = Quadratic.constant n 0.0

            let quadratic =
                mapped options whitening whitening zero 1.0 training
                |> Quadratic.fit options quadraticWeight interactions

            let inputs =
                match recipe.Inputs with
                | InputScaling.Raw -> Whitening.identity n
                | InputScaling.Widths -> Whitening.ofPoints false options training
                | InputScaling.Covariance -> Whitening.ofPoints true options training
                | InputScaling.Curvature ->
                    Whitening.ofCurvature quadratic.Curvature whitening
                    |> Option.defaultWith (fun () -> Whitening.ofPoints true options training)

            let reference =
                if recipe.HasQuadratic then
                    quadratic
                else
                    Quadratic.constant n (Dataset.moments training.Values).Mean

            let deviation =
                (mapped options inputs whitening reference 1.0 training).Values
                |> Dataset.moments
                |> _.Deviation

            let scale = if deviation > 0.0 then deviation else 1.0

            let kinks =
                parameters
                |> Seq.indexed
                |> Seq.filter (fun (_, p) -> p.IsKinked)
                |> Seq.map (fun (k, p) -> k, p.Nominal)
                |> List.ofSeq

            Features.network inputs interactions kinks recipe
            |> Result.bind (fun network ->
                Train.prepare
                    (Recipe.plan training.Count network recipe)
                    (mapped options inputs whitening reference scale training)
                    (mapped options inputs whitening reference scale validation)
                |> Result.map (fun trainer ->
                    {
                        Subject = subject
                        Recipe = recipe
                        Whitening = whitening
                        Quadratic = quadratic
                        Inputs = inputs
                        Reference = reference
                        Scale = scale
                        Network = network
                        Region = regionOf training
                        Calls = calls
                        Trainer = trainer
                    }))

    /// The surrogate of some weights.
    let ofWeights (weights: Weights) (learner: Learner) : Surrogate =
        let subject = learner.Subject
        let x = subject.Blocks |> List.map ParameterBlock.leaf |> Expr.concat
        let z = Whitening.toExpr learner.Whitening x

        let inputs = Whitening.toExpr learner.Inputs x

        let input =
            if learner.Network.Inputs = 1 then
                Expr.item 0 inputs
            else
                inputs

        let f = Architecture.toExpr (Architecture.fixedAt weights) input learner.Network
        let base' = Quadratic.toExpr learner.Reference z

        let opaque (name: string) (logDensity: Expr) : Likelihood =
            { subject with
                Name = name
                Density = Density.Opaque(logDensity, [])
                Data = Map.empty
            }

        {
            Likelihood = opaque $"{subject.Name}, learnt" (base' + learner.Scale * f)
            Baseline = opaque $"{subject.Name}, quadratic" (Quadratic.toExpr learner.Quadratic z)
            Region = learner.Region
            Recipe = learner.Recipe
            Network = learner.Network
            Weights = weights
            Single = (input, f)
        }

    /// Fits, trains to the end and gives the surrogate of the best weights, with what is worth knowing of each epoch.
    let learn
        (options: RunOptions)
        (recipe: Recipe)
        (key: Key)
        (subject: Likelihood)
        (training: Dataset)
        (validation: Dataset)
        : Result<Surrogate * EpochInfo list, Error list> =
        prepare options recipe subject training validation
        |> Result.map (fun learner ->
            let states =
                Train.init key learner.Trainer
                |> Train.run options learner.Trainer
                |> List.ofSeq

            let best =
                match List.tryLast states with
                | Some(struct (state, _)) -> state.Best
                | None -> (Train.init key learner.Trainer).Best

            ofWeights best learner, states |> List.map (fun struct (_, info) -> info))
