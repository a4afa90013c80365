namespace FunLik

open System.Runtime.Intrinsics

/// `funlik inspect`: what a model's file holds, and what this machine has.
[<RequireQualifiedAccess>]
module Inspection =

    let private kindName (kind: ParameterKind) : string =
        match kind with
        | ParameterKind.Poi -> "poi"
        | ParameterKind.Nuisance -> "nuisance"

    let private distributionName (distribution: Distribution) : string =
        match distribution with
        | Distribution.Poisson -> "poisson"
        | Distribution.Normal _ -> "normal"

    let private pair (struct (low, high): struct (float * float)) : JsonValue =
        JsonValue.Numbers [| low; high |]

    let private parameterJson (p: ModelParameter) : JsonValue =
        JsonValue.Object
            [
                "name", JsonValue.Text p.Name
                "kind", JsonValue.Text(kindName p.Kind)
                "nominal", JsonValue.Number p.Nominal
                "bounds", pair p.Bounds
                "range", pair p.Range
                "unit", JsonValue.Text p.Unit
                "kinked", JsonValue.Bool p.IsKinked
            ]

    let private termJson (term: Term) : JsonValue =
        JsonValue.Object
            [
                "name", JsonValue.Text term.Name
                "distribution", JsonValue.Text(distributionName term.Distribution)
                "size", JsonValue.Int(int64 (Shape.size term.Shape))
                "constraint", JsonValue.Bool term.IsConstraint
            ]

    let private terms (model: Likelihood) : Term list =
        match model.Density with
        | Density.Terms terms -> terms
        | Density.Opaque _ -> []

    let private profiled (model: Likelihood) : string list =
        match model.Density with
        | Density.Terms _ -> []
        | Density.Opaque(_, names) -> names

    /// The width of the vectors that engines use here, in bits.
    let vectorBits: int =
        if Vector512.IsHardwareAccelerated then 512
        elif Vector256.IsHardwareAccelerated then 256
        elif Vector128.IsHardwareAccelerated then 128
        else 64

    let private json (file: string) (threads: int) (loaded: LoadedModel) : JsonValue =
        let model = loaded.Likelihood

        JsonValue.Object
            [
                "file", JsonValue.Text file
                "kind", JsonValue.Text loaded.Kind
                "sha256", JsonValue.Text loaded.Sha256
                "name", JsonValue.Text model.Name
                "density", JsonValue.Text(if model.Density.IsTerms then "terms" else "opaque")
                "parameters",
                Likelihood.parameters model
                |> Array.map parameterJson
                |> List.ofArray
                |> JsonValue.List
                "terms", terms model |> List.map termJson |> JsonValue.List
                "priors", model.Priors |> List.map _.Block |> JsonValue.ofTexts
                "profiled", profiled model |> JsonValue.ofTexts
                "machine",
                JsonValue.Object
                    [
                        "engine", JsonValue.Text Engine.name
                        "vectorBits", JsonValue.Int(int64 vectorBits)
                        "threads", JsonValue.Int(int64 threads)
                        "quickJit", JsonValue.Bool(Tiering.quickJitIsOn ())
                        "onnxRuntime",
                        OnnxRuntime.libraryPath ()
                        |> Result.toOption
                        |> JsonValue.ofOption JsonValue.Text
                        "onnxRuntimeVersion",
                        OnnxRuntime.version ()
                        |> Result.toOption
                        |> JsonValue.ofOption JsonValue.Text
                    ]
            ]

    let private interval (struct (low, high): struct (float * float)) : string =
        $"[{TextTable.significant 6 low}, {TextTable.significant 6 high}]"

    let private parameterLines (parameters: ModelParameter[]) : string list =
        TextTable.lines
            [
                TextTable.words "parameter"
                TextTable.words "kind"
                TextTable.numbers "nominal"
                TextTable.numbers "bounds"
                TextTable.numbers "range"
                TextTable.words "unit"
            ]
            [
                for p in parameters ->
                    [
                        p.Name
                        kindName p.Kind + (if p.IsKinked then ", kinked" else "")
                        TextTable.significant 6 p.Nominal
                        interval p.Bounds
                        interval p.Range
                        p.Unit
                    ]
            ]

    let private termLines (model: Likelihood) : string list =
        match model.Density with
        | Density.Opaque(_, names) ->
            [
                "an opaque density: no terms"
                if not names.IsEmpty then
                    $"""profiled away: {String.concat ", " names}"""
            ]
        | Density.Terms terms ->
            TextTable.lines
                [
                    TextTable.words "term"
                    TextTable.words "distribution"
                    TextTable.numbers "size"
                    TextTable.words "part"
                ]
                [
                    for t in terms ->
                        [
                            t.Name
                            distributionName t.Distribution
                            TextTable.count (int64 (Shape.size t.Shape))
                            (if t.IsConstraint then "constraint" else "main")
                        ]
                ]

    let private onnxRuntimeLine () : string =
        match
            Validation.map2 (fun v p -> v, p) (OnnxRuntime.version ()) (OnnxRuntime.libraryPath ())
        with
        | Ok(version, path) -> $"ONNX Runtime {version}: {path}"
        | Result.Error errors -> errors |> List.distinct |> List.map string |> String.concat "; "

    /// What this machine has, in lines.
    let machineLines (context: VerbContext) : string list =
        [
            $"engine {Engine.name}, vectors of {vectorBits} bits, {context.Options.Threads} threads"
            onnxRuntimeLine ()
        ]

    /// What the verb says of a model that came from this file.
    let report (context: VerbContext) (file: string) (loaded: LoadedModel) : Report =
        let model = loaded.Likelihood
        let parameters = Likelihood.parameters model
        let count wanted = parameters |> Array.filter (fun p -> p.Kind = wanted) |> Array.length

        {
            Converged = true
            Json = json file context.Options.Threads loaded
            Text =
                [
                    $"{model.Name}"
                    $"  file     {file}"
                    $"  kind     {loaded.Kind}"
                    $"  SHA-256  {loaded.Sha256}"
                    $"  pois {count ParameterKind.Poi}, nuisances {count ParameterKind.Nuisance}"
                    ""
                ]
                @ parameterLines parameters
                @ [ "" ]
                @ termLines model
                @ [ "" ]
                @ machineLines context
            Notes = []
        }
