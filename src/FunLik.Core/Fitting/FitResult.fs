namespace FunLik

/// A minimum that some of the starts of a fit reached.
type LocalMinimum =
    {
        /// -2 log density there.
        TwiceNll: float
        /// How many of the starts ended here.
        Starts: int
        /// The point, in the model's order.
        Point: float[]
    }

/// The result of a fit.
type Fit =
    {
        /// How the fit ended: what is said of the lowest minimum.
        Status: FitStatus
        /// -2 log density at the best point; +∞ where no start has a density.
        TwiceNll: float
        /// The largest log density.
        LogDensity: float
        /// The names of the parameters in the model's order.
        Names: string[]
        /// The best point.
        Point: float[]
        /// The largest component of the gradient of twiceNll at the best point. Not counted is what cannot move downhill: a fixed
        /// parameter, one at a bound that it presses against, one in a kink between slopes of opposite signs.
        GradientNorm: float
        /// The estimated distance to the minimum in twiceNll: ½ gᵀ H⁻¹ g with gradient and Hessian of twiceNll, over the parameters that
        /// are free to move; the EDM of Minuit.
        Edm: float
        /// Steps that the best start took, Newton's included.
        Iterations: int
        /// Evaluations of value and gradient together, of all starts; for a Hessian the products of it with vectors
        /// (that of a covariance is not counted).
        Evaluations: int
        /// The bounds that parameters press against.
        ActiveBounds: ParameterBound list
        /// The parameters in a kink of the density, where it falls on both sides.
        Kinks: string list
        /// The different minima, the lowest first.
        Minima: LocalMinimum list
        /// The inverse Hessian of -log density at the best point, if it was asked for and the point is no saddle: one row a parameter, with
        /// zeros for those that are fixed, at a bound or in a kink, and NaN for those in `Undetermined`.
        Covariance: float[][] option
        /// The parameters that move along a direction in which the density is flat to second order, where a covariance was asked for: they have no
        /// standard deviation. Those of all others are the same whether these are free or fixed.
        Undetermined: string list
    }

    /// Names and values of the best point, in the model's order.
    member this.Parameters: (string * float)[] = Array.zip this.Names this.Point

/// How to fit.
type FitOptions =
    {
        /// The number of starts; None takes the default: 1, or 16 for a density with kinks, or 32 and more for several parameters of interest (`Fitter.fit`).
        Starts: int option
        /// Parameters held at values.
        Fixed: (string * float) list
        /// The largest number of evaluations of one start.
        MaxIterations: int
        /// Converged where the estimated distance to the minimum in twiceNll is below this.
        Edm: float
        /// Whether to give the covariance of the parameters too.
        Covariance: bool
        /// Threads and cancellation.
        Run: RunOptions
    }

    /// Default starts, nothing fixed, at most 2000 evaluations a start, EDM below 1e-8, all cores.
    static member Default: FitOptions =
        {
            Starts = None
            Fixed = []
            MaxIterations = 2000
            Edm = 1e-8
            Covariance = false
            Run = RunOptions.AllCores
        }
