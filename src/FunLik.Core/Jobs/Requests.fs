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
        /// Parameters that stay at a value.
        Fix: (string * float) list
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
        /// Whether the other pois stay at their nominal values.
        Frozen: bool
    }

/// What the tests of a parameter of interest are asked.
type TestRequest =
    {
        /// The parameter of interest, where it is not the model's only one.
        Poi: string option
        /// The statistic.
        Statistic: TestStatistic
    }

/// What `funlik toys` is asked.
type ToysRequest =
    {
        /// What every test is asked.
        Test: TestRequest
        /// The value to test.
        Mu: float
        /// Toys with the signal, and as many without.
        Toys: int
        /// The seed of all randomness.
        Seed: int
    }

/// What `funlik sample` is asked.
type SampleRequest =
    {
        /// The effective sample size that every parameter must reach.
        Ess: float
        /// The seed of all randomness.
        Seed: int
        /// Chains, each on its own.
        Chains: int
        /// The largest number of draws of a chain.
        MostDraws: int
        /// The folder of the draws.
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

/// What a verb is asked to do.
[<RequireQualifiedAccess>]
type Verb =
    | Eval of ModelSource * EvalRequest
    | Fit of ModelSource * FitRequest
    | Scan of ModelSource * ScanRequest
    | Inspect of ModelSource
    | Cls of ModelSource * TestRequest * mu: float
    | Limit of ModelSource * TestRequest * level: float
    | Toys of ModelSource * ToysRequest
    | Sample of ModelSource * SampleRequest
    | Train of TrainRequest
    | Validate of against: ModelSource * ValidateRequest
    | Verify of bundle: string
    | Run of job: string

/// What a command line asks for.
[<RequireQualifiedAccess>]
type Command =
    /// The version in one line.
    | Version
    /// This text.
    | Help of text: string
    /// A verb, the form of its answer, and the threads it may use.
    | Verb of verb: Verb * json: bool * threads: int option

/// Why a command line is none: what is wrong, and how the verb is used.
type UsageError =
    {
        /// What is wrong.
        Errors: Error list
        /// How the command is used, in one or two lines.
        Usage: string
    }
