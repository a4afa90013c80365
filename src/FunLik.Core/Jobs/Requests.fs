namespace FunLik

/// Where a model comes from.
type ModelSource =
    {
        /// The model's file.
        File: string
        /// What goes with it.
        Options: ModelOptions
    }

/// Where labels come from: a model, which is sampled; a folder of labels that were made before; or both, labels of that folder and the
/// model to check against.
type JobSource =
    {
        /// The model.
        Model: ModelSource option
        /// The folder of labels.
        Data: string option
    }

/// What `funlik eval` is asked.
type EvalRequest =
    {
        /// The file of points.
        Points: string
        /// Whether gradients are wanted.
        Gradient: bool
    }

/// What `funlik fit` is asked.
type FitRequest =
    {
        /// What stays at values.
        Held: Held
        /// The parameter of interest, where it is not the model's.
        Poi: string option
        /// The number of starts, where it is not what the model needs.
        Starts: int option
    }

/// What `funlik scan` is asked.
type ScanRequest =
    {
        /// The parameter.
        Parameter: string
        /// First value.
        From: float
        /// Last value.
        To: float
        /// Number of values.
        Count: int
        /// What stays at values.
        Held: Held
    }

/// What `funlik scan` is asked of draws.
type DrawScanRequest =
    {
        /// The folder of the draws.
        Draws: string
        /// The parameter.
        Parameter: string
        /// First value.
        From: float
        /// Last value.
        To: float
        /// Number of values.
        Count: int
        /// Widths of the bins around the values; none takes .01 to .2.
        Widths: float list
    }

/// What `funlik profile` is asked.
type ProfileRequest =
    {
        /// The parameters that are kept.
        Keep: string list
        /// The file of points of these.
        Points: string
        /// Whether Hessians are wanted.
        Hessian: bool
    }

/// Toys that a verb makes.
type ToyPlan =
    {
        /// How many.
        Toys: int
        /// The seed of all randomness.
        Seed: int
    }

/// What `funlik interval` is asked.
type IntervalRequest =
    {
        /// The parameter.
        Parameter: string
        /// Probabilities; none takes twice ΔNLL of 1 and 3.84.
        Levels: float list
        /// The first and the last value to look at, where it is not the parameter's range.
        Range: (float * float) option
        /// How many values are spread over the range.
        Count: int option
        /// What stays at values.
        Held: Held
    }

/// A side of the grid of `funlik contour`.
type ContourAxis = { Parameter: string; From: float; To: float }

/// What `funlik contour` is asked.
type ContourRequest =
    {
        /// The first parameter.
        X: ContourAxis
        /// The second.
        Y: ContourAxis
        /// Number of values of each.
        Count: int
        /// Probabilities; none takes twice ΔNLL of 2.30 and 5.99.
        Levels: float list
        /// What stays at values.
        Held: Held
    }

/// What `funlik impacts` is asked.
type ImpactsRequest =
    {
        /// The parameter of interest, where it is not the model's only one.
        Poi: string option
        /// What stays at values.
        Held: Held
    }

/// What `funlik gof` is asked.
type GofRequest =
    {
        /// The toys; 0 makes none.
        Plan: ToyPlan
        /// What stays at values.
        Held: Held
    }

/// What the tests of a parameter of interest are asked.
type TestRequest =
    {
        /// The parameter of interest, where it is not the model's only one.
        Poi: string option
        /// The statistic.
        Statistic: TestStatistic
        /// What stays at values.
        Held: Held
    }

/// What `funlik toys` is asked.
type ToysRequest =
    {
        /// What every test is asked.
        Test: TestRequest
        /// The value to test.
        Mu: float
        /// Toys with the signal, and as many without.
        Plan: ToyPlan
    }

/// What `funlik sample` is asked.
type SampleRequest =
    {
        /// The effective sample size that every parameter must reach.
        Ess: float
        /// The seed of all randomness.
        Seed: int
        /// Chains, each on its own; or the walkers of an ensemble.
        Chains: int
        /// Which sampler draws.
        Sampler: SamplerKind
        /// The largest number of steps of a chain.
        MostDraws: int
        /// Whether a run that has not converged is no failure.
        AllowUnconverged: bool
        /// The folder of the draws.
        Out: string
    }

/// Where labels are taken.
[<RequireQualifiedAccess>]
type LabelDesign =
    /// By chains of the density itself.
    | Posterior
    /// Along the ridge, where the nuisances are profiled.
    | Ridge
    /// In a box.
    | Box
    /// By chains of a flatter density.
    | Tempered

/// What `funlik sample --design` is asked.
type DesignRequest =
    {
        /// Designs, and the share of the labels that each gives.
        Parts: (LabelDesign * float) list
        /// The labels wanted.
        Labels: int
        /// The seed of all randomness.
        Seed: int
        /// Chains, each on its own.
        Chains: int
        /// The exponent of tempered chains.
        Beta: float
        /// The sides of the box; none for the ranges of all parameters of interest.
        Sides: (string * float * float) list
        /// How points fill the box.
        Fill: BoxFill
        /// What becomes of the parameters that it does not span.
        Others: BoxOthers
        /// The part of its points in boxes that shrink toward the best fit.
        Inner: float
        /// Whether a run that has not converged is no failure.
        AllowUnconverged: bool
        /// The folder of the labels.
        Out: string
    }

/// What `funlik train` is asked.
type TrainRequest =
    {
        /// Where labels come from.
        Source: JobSource
        /// The recipe.
        Recipe: Recipe
        /// The labels; None takes 10,000 of a model, and all of a folder.
        Evaluations: int option
        /// The seed of all randomness.
        Seed: int
        /// The folder of the results.
        Out: string
    }

/// What `funlik validate` is asked.
type ValidateRequest =
    {
        /// The folder of the surrogate.
        Bundle: string
        /// The seed of the points on which it is checked.
        Seed: int
    }

/// What `funlik check` is asked.
type CheckRequest =
    {
        /// The folder of the surrogate.
        Bundle: string
        /// How far from the exact model the surrogate may be.
        Bound: AgreementBound
        /// The points at which each property is checked.
        Points: int
        /// The seed of the points.
        Seed: int
    }

/// Draws of a verb, and the factors that are put on their density.
type DrawSource =
    {
        /// A folder of draws, or an array of them.
        File: string
        /// Which columns of an array are what.
        Columns: DrawColumns
        /// Factors on the density.
        Priors: PriorFactor list
    }

/// What `funlik summary` is asked.
type SummaryRequest =
    {
        /// The draws.
        Source: DrawSource
        /// The parameters; none takes all.
        Parameters: string list
        /// Probabilities of regions.
        Levels: ConfidenceLevel list
        /// The bins of histograms from which regions are told as well, as the papers' code does.
        Histogram: int option
    }

/// What `funlik reweight` is asked.
type ReweightRequest =
    {
        /// The draws.
        Source: DrawSource
        /// The model or the surrogate that was sampled; None takes the log densities of the draws.
        From: string option
        /// The model of the new weights; None: that which was sampled.
        To: string option
        /// Whether the largest weights are smoothed.
        Smooth: bool
        /// Draws of each chain that goes on from resampled ones.
        Refresh: int option
        /// The seed of all randomness.
        Seed: int
        /// A folder for the weighted draws.
        Out: string option
    }

/// What a verb is asked to do.
[<RequireQualifiedAccess>]
type Verb =
    | Eval of ModelSource * EvalRequest
    | Fit of ModelSource * FitRequest
    | Scan of ModelSource * ScanRequest
    | DrawScan of exact: ModelSource option * DrawScanRequest
    | Profile of ModelSource * ProfileRequest
    | Interval of ModelSource * IntervalRequest
    | ToyInterval of ModelSource * IntervalRequest * ToyPlan
    | Recheck of against: ModelSource * bundle: string * IntervalRequest
    | Contour of ModelSource * ContourRequest
    | Impacts of ModelSource * ImpactsRequest
    | Inspect of ModelSource
    | Cls of ModelSource * TestRequest * mu: float
    | Limit of ModelSource * TestRequest * level: float
    | Toys of ModelSource * ToysRequest
    | Gof of ModelSource * GofRequest
    | Wilks of ModelSource * ToysRequest
    | Sample of ModelSource * SampleRequest
    | Design of ModelSource * DesignRequest
    | Train of TrainRequest
    | Validate of against: ModelSource * ValidateRequest
    | Check of against: ModelSource * CheckRequest
    | Verify of bundle: string
    | Summary of SummaryRequest
    | Reweight of ReweightRequest
    | Run of job: string

/// What a command line asks for.
[<RequireQualifiedAccess>]
type Command =
    /// The version in one line.
    | Version
    /// This text.
    | Help of text: string
    /// A verb, the form of its answer, the file of its page, and the threads it may use.
    | Verb of verb: Verb * json: bool * page: string option * threads: int option

/// Why a command line is none: what is wrong, and how the verb is used.
type UsageError =
    {
        /// What is wrong.
        Errors: Error list
        /// How the command is used, in one or two lines.
        Usage: string
    }
