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

    /// Options that choose a model.
    [<DisableHelpFlags>]
    type ModelArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Model of FILE: string
        | [<Unique; EqualsAssignmentOrSpaced>] Patch of ``FILE|SET:NAME``: string
        | [<Unique; EqualsAssignmentOrSpaced>] Scalings of FILE: string
        | [<Unique; EqualsAssignmentOrSpaced>] Measurement of NAME: string
        | [<Unique; EqualsAssignmentOrSpaced>] Interpolation of ``KIND=CODE,..``: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Model _ -> "the model's file"
                | Patch _ -> "a JSON patch, or a patch of a patch set by its name, for a workspace"
                | Scalings _ -> "a file of quadratic scalings in several pois, for a workspace"
                | Measurement _ -> "the workspace's measurement (default: its first)"
                | Interpolation _ -> "codes for a workspace: normsys=code1,histosys=code0"

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

    /// Options of `funlik fit`.
    [<DisableHelpFlags>]
    type FitArgument =
        | [<EqualsAssignmentOrSpaced>] Fix of ``NAME=VALUE``: string
        | [<Unique; EqualsAssignmentOrSpaced>] Poi of NAME: string
        | [<Unique; EqualsAssignmentOrSpaced>] Starts of N: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Fix _ -> "keeps a parameter at a value; may be repeated"
                | Poi _ -> "the parameter of interest (default: the model's)"
                | Starts _ -> "from how many points to minimise (default: what the model needs)"

    /// Options of `funlik scan`.
    [<DisableHelpFlags>]
    type ScanArgument =
        | [<Unique; EqualsAssignmentOrSpaced>] Parameter of NAME: string
        | [<Unique; EqualsAssignmentOrSpaced>] From of A: string
        | [<Unique; EqualsAssignmentOrSpaced>] To of B: string
        | [<Unique; EqualsAssignmentOrSpaced>] Count of N: string
        | Frozen

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Parameter _ -> "the parameter to scan"
                | From _ -> "the first value"
                | To _ -> "the last value"
                | Count _ -> "how many values, evenly spaced, both ends among them"
                | Frozen -> "keeps the other pois at their nominal values; nuisances are profiled"

    /// Options of `funlik run`.
    [<DisableHelpFlags>]
    type RunArgument =
        | [<MainCommand; Unique>] Job of JOB: string

        interface IArgParserTemplate with
            member this.Usage =
                match this with
                | Job _ -> "the job: a JSON file"
