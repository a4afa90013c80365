namespace FunLik

/// In which precision a graph computes.
[<RequireQualifiedAccess>]
type OnnxPrecision =
    /// All of it in float64.
    | Double
    /// All of it in float32.
    | Single
    /// What leads from some subexpressions to others is computed in float32, the rest in float64: a network between scaled inputs
    /// and its output.
    | SingleBetween of first: Expr list * last: Expr list

/// How expressions are written.
type OnnxOptions =
    {
        /// In which precision the graph computes.
        Precision: OnnxPrecision
        /// The type of the graph's inputs and outputs: Double or Float.
        Interface: OnnxElement
        /// Whether the gradient of a likelihood is written too, as an output `gradient`.
        Gradient: bool
    }

/// How expressions are written.
[<RequireQualifiedAccess>]
module OnnxOptions =

    /// Everything in float64, without gradient.
    let defaults: OnnxOptions =
        {
            Precision = OnnxPrecision.Double
            Interface = OnnxElement.Double
            Gradient = false
        }

/// Expressions as ONNX graphs, and back.
[<RequireQualifiedAccess>]
module Onnx =

    let private validate
        (options: OnnxOptions)
        (inputs: (string * Shape) list)
        (outputs: (string * Expr) list)
        : Error list =
        let names = List.map fst inputs @ List.map fst outputs

        [
            if not (options.Interface.IsDouble || options.Interface.IsFloat) then
                Error.make ErrorKind.Value "the type of inputs and outputs"
                |> Error.found $"{options.Interface}"
                |> Error.expected "Double or Float"

            if inputs.IsEmpty || outputs.IsEmpty then
                Error.make ErrorKind.Value "a graph needs inputs and outputs"

            for name, count in List.countBy id names do
                if count > 1 then
                    Error.make ErrorKind.Name $"{count} inputs and outputs are called '{name}'"

                if name = "" then
                    Error.make ErrorKind.Name "an input or output has no name"

            for name, shape in inputs @ (outputs |> List.map (fun (name, e) -> name, e.Shape)) do
                if shape.IsMatrix then
                    Error.make ErrorKind.Shape $"'{name}'"
                    |> Error.found (Shape.describe shape)
                    |> Error.expected "a scalar or a vector"
        ]

    let private placeholder (what: string) (k: int) (e: Expr) : Expr =
        Expr.datum $"{what}:{k}" e.Shape

    /// Puts inputs in place of subexpressions.
    let private cut (what: string) (parts: Expr list) (outputs: Expr list) : Expr list =
        let places = System.Collections.Generic.Dictionary<Expr, Expr>(Expr.structural)

        parts |> List.iteri (fun k e -> places[e] <- placeholder what k e)

        outputs
        |> Expr.substitute (fun e ->
            match places.TryGetValue e with
            | true, place -> Some place
            | _ -> None)

    let private shapesOf (what: string) (parts: Expr list) : (string * Shape) list =
        parts |> List.mapi (fun k e -> $"{what}:{k}", e.Shape)

    /// The sections of a graph: element type, names of further inputs, outputs.
    type private Plan =
        { First: Expr list; Inner: Expr list; Outer: Expr list; Element: OnnxElement }

    let private plan (options: OnnxOptions) (outputs: Expr list) : Plan =
        let one (element: OnnxElement) : Plan =
            { First = []; Inner = []; Outer = OnnxWrite.fold outputs; Element = element }

        match options.Precision with
        | OnnxPrecision.Double -> one OnnxElement.Double
        | OnnxPrecision.Single -> one OnnxElement.Float
        | OnnxPrecision.SingleBetween(first, last) ->
            let outer = OnnxWrite.fold (first @ cut "single" last outputs)

            {
                First = List.take first.Length outer
                Inner = OnnxWrite.fold (cut "first" first last)
                Outer = List.skip first.Length outer
                Element = OnnxElement.Double
            }

    let private graphOf
        (options: OnnxOptions)
        (name: string)
        (inputs: (string * Shape) list)
        (outputs: (string * Expr) list)
        (plan: Plan)
        : OnnxGraph =
        let graph = OnnxBuilder(List.map fst inputs @ List.map fst outputs)

        let castTo (element: OnnxElement) : (string * OnnxAttribute) list =
            [ "to", OnnxAttribute.Int(int64 (OnnxElement.code element)) ]

        let cast (element: OnnxElement) (value: string) : string =
            graph.Node("Cast", [ value ], castTo element)

        let given (element: OnnxElement) (needed: Expr list) : (string * string) list =
            let read = Expr.inputs needed |> List.map (fun (name, _, _) -> name) |> Set.ofList

            inputs
            |> List.choose (fun (name, _) ->
                if element = options.Interface then Some(name, name)
                elif read.Contains name then Some(name, cast element name)
                else None)

        let given (element: OnnxElement) (needed: Expr list) : Map<string, string> =
            match given element needed with
            | [] -> Map [ fst inputs.Head, cast element (fst inputs.Head) ]
            | some -> Map.ofList some

        let outer = given plan.Element (plan.First @ plan.Outer)
        let firsts = OnnxWrite.section graph plan.Element outer plan.First

        let outer =
            if plan.Inner.IsEmpty then
                outer
            else
                let rounded =
                    firsts |> List.mapi (fun k value -> $"first:{k}", cast OnnxElement.Float value)

                let inner = Map.ofList (Map.toList (given OnnxElement.Float plan.Inner) @ rounded)

                OnnxWrite.section graph OnnxElement.Float inner plan.Inner
                |> List.mapi (fun k value -> $"single:{k}", cast plan.Element value)
                |> List.fold (fun all (name, value) -> Map.add name value all) outer

        let values = OnnxWrite.section graph plan.Element outer plan.Outer

        for (name, _), value in List.zip outputs values do
            if plan.Element = options.Interface then
                graph.Named(name, "Identity", [ value ], [])
            else
                graph.Named(name, "Cast", [ value ], castTo options.Interface)

        let info (name: string, shape: Shape) : OnnxValueInfo =
            OnnxFormat.valueInfo
                name
                options.Interface
                [ OnnxDim.Symbolic "batch"; OnnxDim.Known(Shape.size shape) ]

        {
            Name = name
            Nodes = graph.Nodes
            Initializers = graph.Initializers
            Inputs = inputs |> List.map info
            Outputs = outputs |> List.map (fun (name, e) -> info (name, e.Shape))
        }

    /// Writes expressions of row inputs as a graph with a symbolic batch axis. Inputs and outputs are matrices [batch, n]; scalars are
    /// [batch, 1]. Data and weights must be constants. Fails with all that ONNX cannot express: sums over rows and tables, gamma
    /// functions of what is not constant, products with matrices that are not constant.
    let ofExpressions
        (options: OnnxOptions)
        (inputs: (string * Shape) list)
        (outputs: (string * Expr) list)
        : Result<OnnxModel, Error list> =
        match validate options inputs outputs with
        | [] ->
            let plan = plan options (outputs |> List.map snd)

            let first, last =
                match options.Precision with
                | OnnxPrecision.SingleBetween(first, last) -> first, last
                | _ -> [], []

            let refused =
                OnnxWrite.refusals
                    (Map.ofList (inputs @ shapesOf "single" last))
                    (plan.First @ plan.Outer)
                @ OnnxWrite.refusals (Map.ofList (inputs @ shapesOf "first" first)) plan.Inner

            if refused.IsEmpty then
                Ok
                    {
                        IrVersion = 8
                        Opsets = [ "", OnnxWrite.version ]
                        Producer = "FunLik"
                        ProducerVersion = Version.current
                        DocString = ""
                        MetadataProps = []
                        Graph = graphOf options "FunLik" inputs outputs plan
                    }
            else
                Result.Error(List.distinct refused)
        | errors -> Result.Error errors

    /// Adds a record to a model, in place of one that it has.
    let withRecord (record: OnnxRecord) (model: OnnxModel) : OnnxModel =
        let others =
            model.MetadataProps
            |> List.filter (fun (key, _) -> not (key.StartsWith "funlik."))

        { model with MetadataProps = OnnxRecord.write record @ others }

    /// Writes a likelihood as a function of its parameters, one column each, in the model's order: the input is `theta` [batch, n],
    /// the outputs are `logDensity` [batch, 1], natural, -∞ outside of the support, and if wanted `gradient` [batch, n], that of
    /// the log density inside. Data are constants of the graph. With the likelihood's record.
    let ofLikelihood (options: OnnxOptions) (model: Likelihood) : Result<OnnxModel, Error list> =
        let theta, substitute = Likelihood.overTheta model
        let inside = Likelihood.logDensity model
        let outside = Expr.less (Expr.scalar 0.0) (Likelihood.parts model).Violation

        let constant (e: Expr) : Expr option =
            match e.Node with
            | Node.Input(name, _) ->
                model.Data.TryFind name
                |> Option.map (fun v ->
                    if e.Shape = Scalar then Expr.scalar v[0] else Expr.vector v)
            | _ -> None

        let outputs =
            [
                "logDensity", Expr.select outside (Expr.scalar -infinity) inside
                if options.Gradient then
                    "gradient", Likelihood.gradient model inside
            ]

        let expressions = outputs |> List.map snd |> Expr.substitute constant |> substitute

        List.zip (outputs |> List.map fst) expressions
        |> ofExpressions options [ "theta", theta.Shape ]
        |> Result.map (withRecord (OnnxRecord.ofLikelihood model))

    /// Reads a graph back: its inputs as parameters, a vector each, and its outputs as expressions of them without batch axis, those of
    /// one number as scalars. What FunLik writes is read whole, and so are dense networks of others, from operator set 7 on. Numbers
    /// keep their values; what was computed in float32 is computed in the reading engine's precision. Fails with all nodes that cannot
    /// be read, by place, name and operator.
    let toExpressions
        (model: OnnxModel)
        : Result<(string * Expr) list * (string * Expr) list, Error list> =
        match
            model.Opsets
            |> List.tryPick (fun (d, v) -> if d = "" || d = "ai.onnx" then Some v else None)
        with
        | Some version when version < 7 ->
            Error.make ErrorKind.Unsupported "the operator set is older than what FunLik reads"
            |> Error.at "opset_import"
            |> Error.found (string version)
            |> Error.expected "7 or later"
            |> Error.fail
        | None ->
            Error.make ErrorKind.Unsupported "the model does not use the standard operators"
            |> Error.at "opset_import"
            |> Error.fail
        | Some _ -> OnnxRead.graph model.Graph |> Result.map (fun read -> read.Inputs, read.Outputs)

    /// The record of a model; None where it has none.
    let record (model: OnnxModel) : Result<OnnxRecord option, Error list> =
        OnnxRecord.read model.MetadataProps

    /// The log density inside of the support, and what is above 0 outside of it.
    let private splitSupport (e: Expr) : Expr * Expr option =
        match e.Node with
        | Node.Apply(Op.Select, [ outside; low; inside ]) ->
            match outside.Node, low.Node with
            | Node.Apply(Op.Less, [ zero; violation ]), Node.Constant [| value |] when
                value = -infinity
                && (match zero.Node with
                    | Node.Constant [| 0.0 |] -> true
                    | _ -> false)
                ->
                inside, Some violation
            | _ -> e, None
        | _ -> e, None

    let private density (outputs: (string * Expr) list) : Result<Expr, Error list> =
        let chosen =
            match outputs with
            | [ _, only ] -> Some only
            | several ->
                several
                |> List.tryPick (fun (name, e) -> if name = "logDensity" then Some e else None)

        match chosen with
        | Some e when e.Shape = Scalar -> Ok e
        | Some e ->
            Error.make ErrorKind.Shape "the output is not a log density"
            |> Error.at "graph.output"
            |> Error.found (Shape.describe e.Shape)
            |> Error.expected "one number a row"
            |> Error.fail
        | None ->
            Error.make ErrorKind.Name "none of several outputs is the log density"
            |> Error.at "graph.output"
            |> Error.found (outputs |> List.map fst |> String.concat ", ")
            |> Error.expected "one output, or one called logDensity"
            |> Error.fail

    let private parametersOf
        (count: int)
        (record: OnnxRecord option)
        : Result<ModelParameter[], Error list> =
        match record with
        | None ->
            Array.init count (fun i -> ModelParameter.create $"x{i}" ParameterKind.Poi 0.0)
            |> Ok
        | Some known when known.Parameters.Length = count -> Ok known.Parameters
        | Some known ->
            Error.make ErrorKind.Shape "the record's parameters are not the input's columns"
            |> Error.at "metadata_props['funlik.parameters']"
            |> Error.found $"{known.Parameters.Length} parameters"
            |> Error.expected $"{count}"
            |> Error.fail

    /// Reads a model as an opaque likelihood: its one input is the parameters, and its output, or that of several which is called
    /// `logDensity`, a natural log density. Names, bounds and the rest come from the record; without one the parameters are x0, x1, …,
    /// all of interest. Where the density is written as -∞ outside of a support, that support stays one.
    let toLikelihood (model: OnnxModel) : Result<Likelihood, Error list> =
        let likelihood
            (record: OnnxRecord option)
            (theta: Expr)
            (parameters: ModelParameter[])
            (y: Expr)
            =
            let names = parameters |> Array.map _.Name |> Set.ofArray
            let rec free (name: string) = if names.Contains name then free (name + "_") else name
            let block = ParameterBlock.ofVector (free "theta") parameters

            let inBlock (e: Expr) : Expr =
                [ e ]
                |> Expr.substitute (fun node ->
                    if Expr.structural.Equals(node, theta) then
                        Some(ParameterBlock.leaf block)
                    else
                        None)
                |> List.head

            let inside, violation = splitSupport y

            let support =
                violation
                |> Option.map (fun v ->
                    { Block = block.Name; LogDensity = Expr.scalar 0.0; Violation = inBlock v })
                |> Option.toList

            let name, profiled =
                match record with
                | Some known -> known.Name, known.Profiled
                | None -> model.Graph.Name, []

            try
                Likelihood.create
                    name
                    [ block ]
                    (Density.Opaque(inBlock inside, profiled))
                    Map.empty
                    support
                |> Ok
            with FunLikException errors ->
                Result.Error errors

        Validation.map2 (fun a b -> a, b) (toExpressions model) (record model)
        |> Result.bind (fun ((inputs, outputs), known) ->
            match inputs with
            | [ _, theta ] ->
                Validation.map2
                    (likelihood known theta)
                    (parametersOf (Shape.size theta.Shape) known)
                    (density outputs)
                |> Result.bind id
            | _ ->
                Error.make ErrorKind.Unsupported "a likelihood is read from one input"
                |> Error.at "graph.input"
                |> Error.found (inputs |> List.map fst |> String.concat ", ")
                |> Error.fail)

    /// Reads a file as an opaque likelihood.
    let readLikelihood (path: string) : Result<Likelihood, Error list> =
        OnnxFormat.readFile path
        |> Result.bind (toLikelihood >> Result.mapError (List.map (Error.withFile path)))
