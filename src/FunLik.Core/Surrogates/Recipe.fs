namespace FunLik

/// In which coordinates a network sees the parameters.
[<RequireQualifiedAccess>]
type InputScaling =
    /// As they are.
    | Raw
    /// With mean 0 and variance 1 each.
    | Widths
    /// With mean 0, variance 1 and no correlations.
    | Covariance
    /// With mean 0, in units of the curvature of the fitted quadratic, which is 1 in all directions; by the covariance where that has no maximum.
    | Curvature

/// The parameters of Adam.
type AdamSettings = { Beta1: float; Beta2: float; Epsilon: float }

/// How long training goes on, unless it is stopped early: never a time, so that results do not depend on the machine.
[<RequireQualifiedAccess>]
type TrainingLength =
    /// So many passes over the points.
    | Epochs of int
    /// As many passes as make so many steps, however many points there are.
    | Steps of int

/// A network for parameters that do not interact with each other, only with the rest: a polynomial of each, whose coefficients are
/// a network of the rest.
type SeparableNetwork =
    {
        /// The widths of the hidden layers of the network of the rest.
        Hidden: int list
        /// The degree of the polynomials.
        Degree: int
    }

/// All that is chosen about a surrogate besides the data and the key: a value that can be printed and read back.
type Recipe =
    {
        /// What it is called.
        Name: string
        /// Whether the network learns the difference from a quadratic that is fitted first; else that from the mean. In both cases
        /// divided by the standard deviation of that difference on the training points.
        HasQuadratic: bool
        /// The coordinates of the network's inputs.
        Inputs: InputScaling
        /// Whether the products of all pairs of inputs are inputs too.
        HasProducts: bool
        /// Whether the distances |x_k - nominal_k| of parameters with kinks are inputs too.
        HasKinks: bool
        /// The network where most parameters do not interact, if it is to be another one there.
        Separable: SeparableNetwork option
        /// The widths of the hidden layers of the network in general.
        Hidden: int list
        /// The activation of hidden layers.
        Activation: string
        /// Whether the inputs reach the output by a linear layer of their own.
        HasSkip: bool
        /// The weight of gradients in the loss, in the network's coordinates and units of its output; None learns values only.
        GradientWeight: float option
        /// How weights start.
        Initialisation: Initialisation
        /// The optimiser.
        Adam: AdamSettings
        /// The learning rate.
        Schedule: RateSchedule
        /// Points of a step; all points where they are fewer.
        BatchSize: int
        /// Passes over the points, at most.
        Length: TrainingLength
        /// When to stop before that.
        Stopping: EarlyStopping option
    }

/// Recipes.
[<RequireQualifiedAccess>]
module Recipe =

    /// A quadratic base, whitening, kinks, SiLU layers with a linear skip, values and gradients. Where most parameters do not interact,
    /// three layers of 64 and polynomials of degree 4; in general two layers of 256.
    let funlik: Recipe =
        {
            Name = "funlik"
            HasQuadratic = true
            Inputs = InputScaling.Curvature
            HasProducts = false
            HasKinks = true
            Separable = Some { Hidden = [ 64; 64; 64 ]; Degree = 4 }
            Hidden = [ 256; 256 ]
            Activation = "silu"
            HasSkip = true
            GradientWeight = Some 4.0
            Initialisation = { Hidden = Scheme.LecunNormal; Output = Scheme.Zero }
            Adam = { Beta1 = 0.9; Beta2 = 0.999; Epsilon = 1e-8 }
            Schedule = RateSchedule.WarmupCosine(8e-3, 0.03)
            BatchSize = 256
            Length = TrainingLength.Steps 12_000
            Stopping = None
        }

    /// The DNNLikelihood of Coccaro, Pierini, Silvestrini and Torre (arXiv:1911.03305): SELU on unscaled parameters, values only,
    /// a rate that falls on plateaus, and early stopping. Two layers of 500, which train on two cores in minutes; theirs are of 5000.
    let dnnlikelihood: Recipe =
        let gain = Gain.OverPoints 1.0

        {
            Name = "dnnlikelihood"
            HasQuadratic = false
            Inputs = InputScaling.Raw
            HasProducts = false
            HasKinks = false
            Separable = None
            Hidden = [ 500; 500 ]
            Activation = "selu"
            HasSkip = false
            GradientWeight = None
            Initialisation = { Hidden = Scheme.LecunNormal; Output = Scheme.GlorotUniform }
            // The size of epsilon is Keras's default.
            Adam = { Beta1 = 0.95; Beta2 = 0.999; Epsilon = 1e-7 }
            Schedule =
                RateSchedule.Plateau(
                    1e-3,
                    { Factor = 0.2; Patience = 40; Gain = gain; Floor = 8e-5 }
                )
            BatchSize = 512
            Length = TrainingLength.Epochs 500
            Stopping = Some { Patience = 48; Gain = gain }
        }

    /// The recipes by name; the first is the default.
    let named: (string * Recipe) list =
        [ funlik; dnnlikelihood ] |> List.map (fun recipe -> recipe.Name, recipe)

    /// The transform of gradients into steps.
    let optimiser (recipe: Recipe) : Transform =
        Transform.chain
            [
                Transform.adam recipe.Adam.Beta1 recipe.Adam.Beta2 recipe.Adam.Epsilon
                Transform.schedule recipe.Schedule
            ]

    /// The loss.
    let loss (recipe: Recipe) : Loss =
        match recipe.GradientWeight with
        | Some weight -> Loss.ValuesAndGradients weight
        | None -> Loss.Values

    /// The training of a network on so many points.
    let plan (points: int) (network: Architecture) (recipe: Recipe) : TrainingPlan =
        let batches = max 1 (points / min recipe.BatchSize (max 1 points))

        {
            Network = network
            Loss = loss recipe
            Initialisation = recipe.Initialisation
            Optimiser = optimiser recipe
            BatchSize = recipe.BatchSize
            Epochs =
                match recipe.Length with
                | TrainingLength.Epochs epochs -> epochs
                | TrainingLength.Steps steps -> (steps + batches - 1) / batches
            Stopping = recipe.Stopping
        }

    /// The recipe in plain lines that fit on a screen.
    let describe (recipe: Recipe) : string list =
        let text = JsonValue.formatNumber

        let gain (g: Gain) : string =
            match g with
            | Gain.Absolute g -> text g
            | Gain.OverPoints g -> $"{text g} / points"

        let layers (widths: int list) : string =
            if widths.IsEmpty then
                "none"
            else
                widths |> List.map string |> String.concat ", "

        let schedule =
            match recipe.Schedule with
            | RateSchedule.Constant rate -> $"{text rate}"
            | RateSchedule.Cosine peak -> $"from {text peak} to 0 along a cosine"
            | RateSchedule.WarmupCosine(peak, warmup) ->
                $"up to {text peak} in {text (100.0 * warmup)} %% of the steps, then to 0 along a cosine"
            | RateSchedule.Plateau(rate, p) ->
                $"{text rate}, times {text p.Factor} after {p.Patience} epochs without a gain of {gain p.Gain}, down to {text p.Floor}"

        let inputs =
            [
                match recipe.Inputs with
                | InputScaling.Raw -> "parameters as they are"
                | InputScaling.Widths -> "parameters with mean 0 and variance 1"
                | InputScaling.Covariance -> "parameters whitened by their covariance"
                | InputScaling.Curvature -> "parameters whitened by the quadratic's curvature"
                if recipe.HasProducts then
                    "their products"
                if recipe.HasKinks then
                    "distances from kinks"
            ]

        let rows =
            [
                "recipe", recipe.Name
                "learns",
                (if recipe.HasQuadratic then
                     "the difference from a fitted quadratic"
                 else
                     "the difference from the mean")
                "inputs", String.concat ", " inputs
                "layers",
                $"{layers recipe.Hidden}; {recipe.Activation}"
                + (if recipe.HasSkip then "; a linear skip" else "")
                "separable",
                (match recipe.Separable with
                 | Some s ->
                     $"polynomials of degree {s.Degree} of parameters that do not interact, over layers {layers s.Hidden}"
                 | None -> "no")
                "loss",
                (match recipe.GradientWeight with
                 | Some weight -> $"squares of values + {text weight} × squares of gradients"
                 | None -> "squares of values")
                "optimiser",
                $"Adam, beta {text recipe.Adam.Beta1} and {text recipe.Adam.Beta2}, epsilon {text recipe.Adam.Epsilon}"
                "rate", schedule
                "batches", $"{recipe.BatchSize} points"
                "length",
                (match recipe.Length with
                 | TrainingLength.Epochs count -> $"{count} epochs"
                 | TrainingLength.Steps count -> $"{count} steps")
                "stops",
                (match recipe.Stopping with
                 | Some s -> $"after {s.Patience} epochs without a gain of {gain s.Gain}"
                 | None -> "at the end")
            ]

        rows |> List.map (fun (name, value) -> $"{name, -10} {value}")
