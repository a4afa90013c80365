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

    /// What holds the parameters of each block besides the main measurement: distributions of constraints, and priors.
    let private holds (model: Likelihood) : Map<string, string list> =
        let constraints =
            match model.Density with
            | Density.Opaque _ -> []
            | Density.Terms terms ->
                terms
                |> List.filter _.IsConstraint
                |> List.collect (fun t ->
                    Expr.inputs [ t.Expectation ]
                    |> List.map (fun (name, _, _) -> name, distributionName t.Distribution))

        constraints @ (model.Priors |> List.map (fun p -> p.Block, "prior"))
        |> List.groupBy fst
        |> List.map (fun (name, all) -> name, all |> List.map snd |> List.distinct)
        |> Map.ofList

    let private isFixed (p: ModelParameter) : bool =
        let struct (low, high) = p.Bounds
        low = high

    /// Each parameter with what holds it.
    let private held (model: Likelihood) : (ModelParameter * string list) list =
        let holds = holds model

        [
            for block in model.Blocks do
                let here = holds.TryFind block.Name |> Option.defaultValue []

                for p in block.Parameters -> p, here
        ]

    let private pair (struct (low, high): struct (float * float)) : JsonValue =
        JsonValue.Numbers [| low; high |]

    let private parameterJson (p: ModelParameter, holds: string list) : JsonValue =
        JsonValue.Object
            [
                "name", JsonValue.Text p.Name
                "kind", JsonValue.Text(kindName p.Kind)
                "nominal", JsonValue.Number p.Nominal
                "bounds", pair p.Bounds
                "range", pair p.Range
                "unit", JsonValue.Text p.Unit
                "kinked", JsonValue.Bool p.IsKinked
                "fixed", JsonValue.Bool(isFixed p)
                "constraints", JsonValue.ofTexts holds
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
                "parameters", held model |> List.map parameterJson |> JsonValue.List
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
                        OnnxRuntime.loadedPath ()
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

    let private status (p: ModelParameter, holds: string list) : string =
        if isFixed p then "fixed"
        elif holds.IsEmpty then "free"
        else String.concat ", " holds

    let private isFree (p: ModelParameter, holds: string list) : bool =
        not (isFixed p) && holds.IsEmpty

    let private parameterLines (parameters: (ModelParameter * string list) list) : string list =
        TextTable.lines
            [
                TextTable.words "parameter"
                TextTable.words "kind"
                TextTable.words "held by"
                TextTable.numbers "nominal"
                TextTable.numbers "bounds"
                TextTable.numbers "range"
                TextTable.words "unit"
            ]
            [
                for p, holds in parameters ->
                    [
                        p.Name
                        kindName p.Kind + (if p.IsKinked then ", kinked" else "")
                        status (p, holds)
                        TextTable.significant 6 p.Nominal
                        interval p.Bounds
                        interval p.Range
                        p.Unit
                    ]
            ]

    /// More constraints than this are counted in the table for people.
    let private mostConstraints = 12

    let private termLines (model: Likelihood) : string list =
        match model.Density with
        | Density.Opaque(_, names) ->
            [
                "an opaque density: no terms"
                if not names.IsEmpty then
                    $"""profiled away: {String.concat ", " names}"""
            ]
        | Density.Terms terms ->
            let constraints, main = terms |> List.partition _.IsConstraint

            let shown, hidden =
                if constraints.Length > mostConstraints then
                    main, constraints
                else
                    terms, []

            TextTable.lines
                [
                    TextTable.words "term"
                    TextTable.words "distribution"
                    TextTable.numbers "size"
                    TextTable.words "part"
                ]
                [
                    for t in shown ->
                        [
                            t.Name
                            distributionName t.Distribution
                            TextTable.count (int64 (Shape.size t.Shape))
                            (if t.IsConstraint then "constraint" else "main")
                        ]
                ]
            @ [
                if not hidden.IsEmpty then
                    $"and {hidden.Length} constraints: --json lists them"
            ]

    let private onnxRuntimeLine () : string =
        match
            Validation.map2 (fun v p -> v, p) (OnnxRuntime.version ()) (OnnxRuntime.loadedPath ())
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
        let parameters = held model
        let count wanted = parameters |> List.filter wanted |> List.length
        let main = terms model |> List.filter (fun t -> not t.IsConstraint)
        let bins = main |> List.sumBy (fun t -> Shape.size t.Shape)

        {
            Converged = true
            Json = json file context.Options.Threads loaded
            Text =
                [
                    $"{model.Name}"
                    $"  file     {file}"
                    $"  kind     {loaded.Kind}"
                    $"  SHA-256  {loaded.Sha256}"
                    $"  pois {count (fun (p, _) -> p.Kind.IsPoi)}, nuisances {count (fun (p, _) -> p.Kind.IsNuisance)}"
                    $"  free {count (fun p -> isFree p)}, fixed {count (fst >> isFixed)}"
                    if not main.IsEmpty then
                        $"  channels {main.Length}, bins {bins}"
                    ""
                ]
                @ parameterLines parameters
                @ [ "" ]
                @ termLines model
                @ [ "" ]
                @ machineLines context
            Notes = []
        }
