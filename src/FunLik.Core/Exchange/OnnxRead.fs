namespace FunLik

open System.Collections.Generic
open FunLik.OnnxArithmetic
open FunLik.OnnxShapes

/// From nodes of a graph to expressions. The first axis of what depends on an input is the batch and must stay it.
module internal OnnxRead =

    /// The operators that are read.
    let private operators (recognise: Expr -> Expr) : Map<string, OnnxCall -> OnnxArray> =
        Map
            [
                "Neg", unary (~-)
                "Abs", unary abs
                "Sign", unary Expr.sign
                "Sqrt", unary sqrt
                "Exp", unary exp
                "Log", unary log
                "Tanh", unary tanh
                "Sin", unary sin
                "Cos", unary cos
                "Erf", unary Expr.erf
                "Reciprocal", unary (fun x -> 1.0 / x)
                "Relu", unary Composite.relu
                "Sigmoid", unary Composite.sigmoid
                "Softplus", unary Composite.softplus
                "Softsign", unary (fun x -> x / (1.0 + abs x))
                "Elu", elu
                "Selu", selu
                "Gelu", gelu
                "LeakyRelu", leakyRelu
                "Add", binary (+)
                "Sub", binary (-)
                "Mul", binary (*)
                "Div", binary (/)
                "Pow", power
                "Max", several (fun a b -> Composite.maximum b a)
                "Min", several (fun a b -> Composite.minimum b a)
                "Sum", several (+)
                "Less", comparison Expr.less
                "Greater", comparison (fun a b -> Expr.less b a)
                "Where", where recognise
                "Clip", clip
                "Cast", cast
                "Identity", OnnxCall.argument 0
                "Dropout", OnnxCall.argument 0
                "Constant", constantNode
                "Gemm", gemm
                "MatMul", matMul
                "ReduceSum", reduceSum
                "ReduceMean", reduceMean
                "ReduceLogSumExp", reduceLogSumExp
                "Gather", gather
                "Slice", slice
                "Concat", concat
                "Reshape", reshape
                "Flatten", flatten
                "Squeeze", squeeze
                "Unsqueeze", unsqueeze
                "Transpose", transpose
                "Expand", expand
            ]

    /// The inputs of a graph and its outputs as expressions of them.
    type Graph = { Inputs: (string * Expr) list; Outputs: (string * Expr) list }

    let private inputOf (info: OnnxValueInfo) : Result<Expr * OnnxArray * int option, Error list> =
        let refuse (message: string) =
            Error.make ErrorKind.Unsupported message
            |> Error.at $"graph.input '{info.Name}'"
            |> Error.fail

        match info.Element, info.Dims with
        | (OnnxElement.Float | OnnxElement.Double), Some(batch :: rest) ->
            let sizes =
                rest
                |> List.choose (function
                    | OnnxDim.Known n when n > 0 -> Some n
                    | _ -> None)

            if sizes.Length <> rest.Length then
                refuse "the number of columns is not fixed"
            else
                try
                    let leaf = Expr.parameter info.Name (Vector(OnnxArray.size sizes))

                    let rows =
                        match batch with
                        | OnnxDim.Known n -> Some n
                        | OnnxDim.Symbolic _ -> None

                    Ok(leaf, OnnxArray.Row(OnnxArray.flat leaf, sizes), rows)
                with FunLikException errors ->
                    Result.Error errors
        | (OnnxElement.Float | OnnxElement.Double), _ ->
            refuse "the input has no batch axis, or states no shape"
        | _ -> refuse "the input is not of floats or doubles"

    /// Reads a graph. Fails with all nodes that cannot be read; what depends on those is passed over in silence.
    let graph (graph: OnnxGraph) : Result<Graph, Error list> =
        let known = Dictionary<string, OnnxArray>()
        let broken = HashSet<string>()
        let errors = List<Error>()
        let operators = operators (OnnxPortable.recognise ())

        for tensor in graph.Initializers do
            known[tensor.Name] <- constant tensor

        let given = graph.Inputs |> List.filter (fun i -> not (known.ContainsKey i.Name))
        let mutable rows = None

        let inputs =
            given
            |> List.choose (fun info ->
                match inputOf info with
                | Ok(leaf, array, fixedRows) ->
                    known[info.Name] <- array
                    rows <- rows |> Option.orElse fixedRows
                    Some(info.Name, leaf)
                | Result.Error found ->
                    errors.AddRange found
                    broken.Add info.Name |> ignore
                    None)

        let read (node: OnnxNode) : OnnxArray =
            let arguments =
                node.Inputs
                |> List.map (fun name ->
                    if name = "" then
                        None
                    else
                        match known.TryGetValue name with
                        | true, array -> Some array
                        | _ ->
                            OnnxArray.refuse
                                ErrorKind.Name
                                $"the input '{name}' is not made by an earlier node")

            match operators.TryFind node.OpType with
            | Some read when node.Domain = "" || node.Domain = "ai.onnx" ->
                read { Node = node; Arguments = arguments; Rows = rows }
            | _ ->
                let domain = if node.Domain = "" then "" else node.Domain + "."
                OnnxArray.unsupported $"the operator {domain}{node.OpType}"

        graph.Nodes
        |> List.iteri (fun i node ->
            if node.Inputs |> List.exists broken.Contains then
                broken.UnionWith node.Outputs
            else
                try
                    match node.Outputs with
                    | output :: _ -> known[output] <- read node
                    | [] -> ()
                with FunLikException found ->
                    broken.UnionWith node.Outputs

                    for error in found do
                        errors.Add(Error.at $"graph.node[{i}] '{node.Name}' ({node.OpType})" error))

        let outputs =
            graph.Outputs
            |> List.choose (fun info ->
                match known.TryGetValue info.Name with
                | true, array when OnnxArray.size (OnnxArray.dims array) > 0 ->
                    Some(info.Name, OnnxArray.value array)
                | _ ->
                    if not (broken.Contains info.Name) then
                        errors.Add(
                            Error.make ErrorKind.Name "no node makes this output"
                            |> Error.at $"graph.output '{info.Name}'"
                        )

                    None)

        if errors.Count = 0 then
            Ok { Inputs = inputs; Outputs = outputs }
        else
            Result.Error(List.ofSeq errors)
