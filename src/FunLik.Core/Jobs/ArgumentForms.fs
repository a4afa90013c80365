namespace FunLik

open Argu

/// The options of the command line as unions, which Argu reads.
module internal ArgumentForms =

    /// Options of every verb.
    [<DisableHelpFlags>]
    type CommonArgument =
        | Json
        | [<Unique; EqualsAssignmentOrSpaced>] Threads of N: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Json -> "one JSON object on standard output, and nothing else there"
                | Threads _ ->
                    "the largest number of threads (default: all cores); no result depends on it"

    /// The option of verbs that leave a page.
    [<DisableHelpFlags>]
    type PageArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Page of FILE: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Page _ -> "writes a page with figures: one HTML file"

    /// Options that choose a model.
    [<DisableHelpFlags>]
    type ModelArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Model of FILE: string
        | [<Unique; EqualsAssignmentOrSpaced>] Patch of ``FILE|SET:NAME``: string
        | [<Unique; EqualsAssignmentOrSpaced>] Scalings of FILE: string
        | [<Unique; EqualsAssignmentOrSpaced>] Scalings_Tolerance of X: string
        | [<Unique; EqualsAssignmentOrSpaced>] Measurement of NAME: string
        | [<Unique; EqualsAssignmentOrSpaced>] Interpolation of ``KIND=CODE,..``: string
        | Unbounded_Nuisances

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Model _ -> "the model's file"
                | Patch _ -> "a JSON patch, or a patch of a patch set by its name, for a workspace"
                | Scalings _ -> "a file of quadratic scalings in several pois, for a workspace"
                | Scalings_Tolerance _ ->
                    "how negative eigenvalues of scalings may be, in parts of the largest (default: 1e-9)"
                | Measurement _ -> "the workspace's measurement (default: its first)"
                | Interpolation _ -> "codes for a workspace: normsys=code1,histosys=code0"
                | Unbounded_Nuisances ->
                    "lets fits take constrained nuisances beyond their bounds, where there is a density"

    /// Options of `funlik eval`.
    [<DisableHelpFlags>]
    type EvalArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Points of FILE: string
        | Gradient

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Points _ -> "the points: JSON, or .npy of one or two axes"
                | Gradient -> "the gradient of the log density too"

    /// Options of all verbs that fit: what is kept at values.
    [<DisableHelpFlags>]
    type HoldArgument =
        | [<EqualsAssignmentOrSpaced>] Fix of ``NAME=VALUE``: string
        | Frozen

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Fix _ -> "keeps a parameter at a value; may be repeated"
                | Frozen -> "keeps the other pois at their nominal values; nuisances are profiled"

    /// Options of `funlik fit`.
    [<DisableHelpFlags>]
    type FitArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Poi of NAME: string
        | [<Unique; EqualsAssignmentOrSpaced>] Starts of N: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Poi _ -> "the parameter of interest (default: the model's)"
                | Starts _ -> "from how many points to minimise (default: what the model needs)"

    /// Options of `funlik scan`.
    [<DisableHelpFlags>]
    type ScanArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Parameter of NAME: string
        | [<Unique; EqualsAssignmentOrSpaced>] From of A: string
        | [<Unique; EqualsAssignmentOrSpaced>] To of B: string
        | [<Unique; EqualsAssignmentOrSpaced>] Count of N: string
        | [<Unique; EqualsAssignmentOrSpaced>] Draws of DIR: string
        | [<EqualsAssignmentOrSpaced>] Width of W: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Parameter _ -> "the parameter to scan"
                | From _ -> "the first value"
                | To _ -> "the last value"
                | Count _ -> "how many values, evenly spaced, both ends among them"
                | Draws _ ->
                    "reads the scan off draws, such as `funlik sample` leaves; beside a --model, the exact one too"
                | Width _ ->
                    "the width of the bins of draws; may be repeated (default: .01, .02, .05, .1, .2)"

    /// Options of `funlik profile`.
    [<DisableHelpFlags>]
    type ProfileArgument =
        | [<EqualsAssignmentOrSpaced>] Keep of NAME: string
        | [<Unique; EqualsAssignmentOrSpaced>] Points of FILE: string
        | Hessian

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Keep _ -> "a parameter that is kept; may be repeated"
                | Points _ -> "points of the kept parameters: JSON, or .npy of one or two axes"
                | Hessian -> "the Hessian of the profiled twiceNll too, in JSON"

    /// Options of `funlik interval`.
    [<DisableHelpFlags>]
    type IntervalArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Parameter of NAME: string
        | [<EqualsAssignmentOrSpaced>] Level of P: string
        | [<Unique; EqualsAssignmentOrSpaced>] From of A: string
        | [<Unique; EqualsAssignmentOrSpaced>] To of B: string
        | [<Unique; EqualsAssignmentOrSpaced>] Count of N: string
        | [<MainCommand; Unique>] Bundle of BUNDLE: string
        | [<Unique; EqualsAssignmentOrSpaced>] Against of FILE: string
        | Feldman_Cousins
        | [<Unique; EqualsAssignmentOrSpaced>] Toys of N: string
        | [<Unique; EqualsAssignmentOrSpaced>] Seed of S: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Parameter _ -> "the parameter"
                | Level _ -> "a probability; may be repeated (default: twice ΔNLL of 1 and of 3.84)"
                | From _ -> "the first value to look at (default: the parameter's range)"
                | To _ -> "the last value to look at"
                | Count _ -> "how many values are spread over the range (default: 41; 21 with toys)"
                | Bundle _ -> "the folder of a surrogate, beside --against"
                | Against _ ->
                    "the exact model's file: the surrogate's ends are found again with it"
                | Feldman_Cousins ->
                    "ordered by likelihood ratio, with the probabilities of toys in place of χ²"
                | Toys _ -> "the largest number of toys at one value (default: 10000)"
                | Seed _ -> "the seed of the toys (default: 1)"

    /// Options of `funlik contour`.
    [<DisableHelpFlags>]
    type ContourArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] X of ``NAME,A,B``: string
        | [<Unique; EqualsAssignmentOrSpaced>] Y of ``NAME,A,B``: string
        | [<Unique; EqualsAssignmentOrSpaced>] Count of N: string
        | [<EqualsAssignmentOrSpaced>] Level of P: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | X _ -> "the first parameter, with its first and its last value"
                | Y _ -> "the second parameter, the same way"
                | Count _ -> "how many values of each, evenly spaced (default: 41)"
                | Level _ ->
                    "a probability; may be repeated (default: twice ΔNLL of 2.30 and of 5.99)"

    /// Options of `funlik impacts`.
    [<DisableHelpFlags>]
    type ImpactsArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Poi of NAME: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Poi _ -> "the parameter of interest (default: the model's only one)"

    /// Options of `funlik inspect`.
    [<DisableHelpFlags>]
    type InspectArgument =
        | [<MainCommand; Unique>] File of FILE: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | File _ -> "a model's file, or the folder of a surrogate"

    /// Options of `funlik cls`, `limit` and `toys`.
    [<DisableHelpFlags>]
    type TestArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Poi of NAME: string
        | [<Unique; EqualsAssignmentOrSpaced>] Statistic of NAME: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Poi _ -> "the parameter of interest (default: the model's only one)"
                | Statistic _ -> "qtilde (default), q, ttilde, t or q0"

    /// Options of `funlik cls`, besides those of every test.
    [<DisableHelpFlags>]
    type ClsArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Mu of X: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Mu _ -> "the value to test"

    /// Options of `funlik limit`, besides those of every test.
    [<DisableHelpFlags>]
    type LimitArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Level of P: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Level _ -> "the confidence level (default: 0.95)"

    /// Options of `funlik toys`, besides those of every test.
    [<DisableHelpFlags>]
    type ToysArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Mu of X: string
        | [<Unique; EqualsAssignmentOrSpaced>] Toys of N: string
        | [<Unique; EqualsAssignmentOrSpaced>] Seed of S: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Mu _ -> "the value to test"
                | Toys _ -> "toys with the signal, and as many without (default: 10000)"
                | Seed _ -> "the seed of all randomness (default: 1)"

    /// Options of `funlik gof`.
    [<DisableHelpFlags>]
    type GofArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Toys of N: string
        | [<Unique; EqualsAssignmentOrSpaced>] Seed of S: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Toys _ -> "toys from the best fit (default: 1000; 0 makes none)"
                | Seed _ -> "the seed of all randomness (default: 1)"

    /// Options of `funlik wilks`.
    [<DisableHelpFlags>]
    type WilksArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Mu of X: string
        | [<Unique; EqualsAssignmentOrSpaced>] Poi of NAME: string
        | [<Unique; EqualsAssignmentOrSpaced>] Toys of N: string
        | [<Unique; EqualsAssignmentOrSpaced>] Seed of S: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Mu _ -> "the value at which toys are made and tested"
                | Poi _ -> "the parameter of interest (default: the model's only one)"
                | Toys _ -> "how many toys (default: 10000)"
                | Seed _ -> "the seed of all randomness (default: 1)"

    /// Options of `funlik sample`.
    [<DisableHelpFlags>]
    type SampleArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Ess of N: string
        | [<Unique; EqualsAssignmentOrSpaced>] Seed of S: string
        | [<Unique; EqualsAssignmentOrSpaced>] Chains of N: string
        | [<Unique; EqualsAssignmentOrSpaced>] Sampler of NAME: string
        | [<Unique; EqualsAssignmentOrSpaced>] Most of N: string
        | [<Unique>] Allow_Unconverged
        | [<Unique; EqualsAssignmentOrSpaced>] Design of NAMES: string
        | [<Unique; EqualsAssignmentOrSpaced>] Labels of N: string
        | [<Unique; EqualsAssignmentOrSpaced>] Beta of B: string
        | [<EqualsAssignmentOrSpaced>] Side of RANGE: string
        | [<Unique; EqualsAssignmentOrSpaced>] Fill of NAME: string
        | [<Unique>] Frozen
        | [<Unique; EqualsAssignmentOrSpaced>] Inner of F: string
        | [<Unique; EqualsAssignmentOrSpaced>] Out of DIR: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Ess _ -> "the effective sample size that every parameter must reach"
                | Allow_Unconverged -> "chains that do not agree are no failure"
                | Design _ ->
                    "labels of posterior, ridge, box or tempered; several with shares, such as posterior=0.5,box=0.5; or mixed"
                | Labels _ -> "how many labels the designs make"
                | Beta _ -> "the exponent of tempered chains (default: 0.5)"
                | Side _ ->
                    "NAME,A,B: a side of the box (default: ranges of all parameters of interest)"
                | Fill _ -> "how points fill the box: sobol (default) or uniform"
                | Frozen ->
                    "what the box does not span stays at the best fit, instead of being profiled"
                | Inner _ ->
                    "the part of the points in boxes that shrink toward the best fit (default: 0.5)"
                | Seed _ -> "the seed of all randomness (default: 1)"
                | Chains _ -> "chains, each on its own, or the walkers of an ensemble (default: 64)"
                | Sampler _ ->
                    "hmc (default), nuts, random-walk, independence, slice; ensembles: stretch, walk, de, snooker"
                | Most _ -> "the largest number of steps of a chain (default: 100000)"
                | Out _ -> "the folder of the draws"

    /// Options of `funlik train`, besides those of the model.
    [<DisableHelpFlags>]
    type TrainArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Data of DIR: string
        | [<Unique; EqualsAssignmentOrSpaced>] Recipe of NAME: string
        | [<Unique; EqualsAssignmentOrSpaced>] Evaluations of N: string
        | [<Unique; EqualsAssignmentOrSpaced>] Seed of S: string
        | [<Unique; EqualsAssignmentOrSpaced>] Out of DIR: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Data _ -> "a folder of labels, such as `funlik sample` leaves"
                | Recipe _ -> "the recipe: its name, or a JSON file (default: funlik)"
                | Evaluations _ -> "how many labels (default: 10000, or all of a folder)"
                | Seed _ -> "the seed of all randomness (default: 1)"
                | Out _ -> "the folder of the results"

    /// Options of `funlik validate`.
    [<DisableHelpFlags>]
    type ValidateArgument =
        | [<MainCommand; Unique>] Bundle of BUNDLE: string
        | [<Unique; EqualsAssignmentOrSpaced>] Against of FILE: string
        | [<Unique; EqualsAssignmentOrSpaced>] Seed of S: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Bundle _ -> "the folder of a surrogate"
                | Against _ -> "the exact model's file"
                | Seed _ -> "the seed of the points to check on (default: 1)"

    /// Options of `funlik check`.
    [<DisableHelpFlags>]
    type CheckArgument =
        | [<MainCommand; Unique>] Bundle of BUNDLE: string
        | [<Unique; EqualsAssignmentOrSpaced>] Against of FILE: string
        | [<Unique; EqualsAssignmentOrSpaced>] Within of X: string
        | [<Unique; EqualsAssignmentOrSpaced>] Points of N: string
        | [<Unique; EqualsAssignmentOrSpaced>] Seed of S: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Bundle _ -> "the folder of a surrogate"
                | Against _ -> "the exact model's file"
                | Within _ ->
                    "how far from the exact log density the surrogate's may be; 1 % of ΔNLL where that is more (default: 0.05)"
                | Points _ -> "the points at which each property is checked (default: 1000)"
                | Seed _ -> "the seed of the points (default: 1)"

    /// Options of `funlik verify`.
    [<DisableHelpFlags>]
    type VerifyArgument =
        | [<MainCommand; Unique>] Bundle of BUNDLE: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Bundle _ -> "the folder of a surrogate"

    /// Options of `funlik run`.
    [<DisableHelpFlags>]
    type RunArgument =
        | [<MainCommand; Unique>] Job of JOB: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Job _ -> "the job: a JSON file"
