namespace FunLik

open System
open System.Collections.Generic

/// A graph while it is written: names are given in the order in which nodes are made, so that equal expressions give equal bytes.
[<Sealed>]
type internal OnnxBuilder(taken: string seq) =

    let used = HashSet<string>(taken)
    let nodes = List<OnnxNode>()
    let initializers = List<OnnxTensor>()
    let constants = Dictionary<int list * OnnxData, string>(HashIdentity.Structural)

    let fresh (prefix: string) (number: int) : string =
        let mutable name = $"{prefix}{number}"

        while not (used.Add name) do
            name <- name + "_"

        name

    member _.Nodes: OnnxNode list = List.ofSeq nodes
    member _.Initializers: OnnxTensor list = List.ofSeq initializers

    /// A node whose output has this name.
    member _.Named
        (output: string, op: string, inputs: string list, attributes: (string * OnnxAttribute) list)
        : unit =
        nodes.Add
            {
                OpType = op
                Domain = ""
                Name = $"{op}_{nodes.Count}"
                Inputs = inputs
                Outputs = [ output ]
                Attributes = attributes
            }

    /// A node; the name of its output.
    member this.Node
        (op: string, inputs: string list, attributes: (string * OnnxAttribute) list)
        : string =
        let output = fresh "n" nodes.Count
        this.Named(output, op, inputs, attributes)
        output

    /// A constant, each once.
    member _.Constant(dims: int list, data: OnnxData) : string =
        match constants.TryGetValue((dims, data)) with
        | true, name -> name
        | _ ->
            let name = fresh "c" initializers.Count
            initializers.Add { Name = name; Dims = dims; Data = data }
            constants[(dims, data)] <- name
            name

/// How a node of an expression is written.
[<RequireQualifiedAccess>]
type private OnnxForm =
    /// One operator stands for a whole composite of one argument.
    | Operator of name: string * argument: Expr
    /// Several operations stand for one.
    | Composition of Expr
    /// A constant matrix times a vector and a constant added to it.
    | Affine of matrix: float[] * x: Expr * bias: Expr
    /// As it is.
    | Plain

/// From expressions to nodes of a graph. A scalar of a row is [batch, 1], a vector [batch, n]; constants have no batch axis.
module internal OnnxWrite =

    let version = 17

    let private data (element: OnnxElement) (values: float[]) : OnnxData =
        match element with
        | OnnxElement.Float -> OnnxData.Float(Array.map float32 values)
        | _ -> OnnxData.Double values

    let private ints (values: int seq) : OnnxData =
        OnnxData.Int64(values |> Seq.map int64 |> Array.ofSeq)

    let private castTo (element: OnnxElement) : (string * OnnxAttribute) list =
        [ "to", OnnxAttribute.Int(int64 (OnnxElement.code element)) ]

    let private dimsOf (shape: Shape) : int list =
        match shape with
        | Scalar -> []
        | Vector n -> [ n ]
        | Matrix(rows, columns) -> [ rows; columns ]

    let private (|Const|_|) (e: Expr) : float[] option =
        match e.Node with
        | Node.Constant values -> Some values
        | _ -> None

    let private (|Product|_|) (e: Expr) : (float[] * Expr) option =
        match e.Node with
        | Node.Apply(Op.MatVec, [ Const matrix; x ]) -> Some(matrix, x)
        | _ -> None

    /// All that depends on constants only, as constants.
    let fold (outputs: Expr list) : Expr list =
        let rule (node: Expr) (arguments: Expr list) : Expr =
            let rebuilt = Expr.withChildren node arguments

            match rebuilt.Node with
            | Node.Apply(op, arguments) when
                not (op.IsSumRows || op.IsOuterRows)
                && arguments |> List.forall _.Node.IsConstant
                ->
                let known =
                    arguments
                    |> List.choose (fun a ->
                        match a with
                        | Const v -> Some(a.Shape, v)
                        | _ -> None)

                let values = (Primitive.row op).Value known

                match rebuilt.Shape with
                | Scalar -> Expr.scalar values[0]
                | Vector _ -> Expr.vector values
                | Matrix(rows, columns) -> Expr.matrix rows columns values
            | _ -> rebuilt

        Expr.rewrite rule (Simplify.run outputs)

    let private unsupported (what: string) (hint: string) : Error option =
        Error.make ErrorKind.Unsupported $"ONNX cannot express {what}"
        |> Error.hint hint
        |> Some

    let private refusal (inputs: Map<string, Shape>) (node: Expr) : Error option =
        match node.Node with
        | Node.Input(name, _) ->
            match inputs.TryFind name with
            | Some shape when shape = node.Shape -> None
            | Some shape ->
                Error.make ErrorKind.Shape $"the input '{name}'"
                |> Error.found (Shape.describe node.Shape)
                |> Error.expected (Shape.describe shape)
                |> Some
            | None ->
                Error.make ErrorKind.Name $"the expressions read '{name}', which is not an input"
                |> Error.expected (inputs |> Map.keys |> String.concat ", ")
                |> Error.hint "Put constants in place of data and weights."
                |> Some
        | Node.ReduceOver(table, _) ->
            unsupported
                $"a sum over the rows of the table '{table}'"
                "Write a surrogate of it, which is learnt from its values."
        | Node.Apply((Op.SumRows | Op.OuterRows as op), _) ->
            unsupported
                $"{Op.name op}: rows of a batch do not depend on each other"
                "Write what one row gives."
        | Node.Apply((Op.LogGamma | Op.Polygamma _ as op), _) ->
            unsupported
                $"{Op.name op} of what is not constant"
                "Keep parameters out of the gamma function's argument."
        | Node.Apply((Op.Outer | Op.Transpose as op), _) ->
            unsupported $"{Op.name op} of what is not constant" "Use constant matrices."
        | Node.Apply(Op.MatVec, matrix :: _) when not matrix.Node.IsConstant ->
            unsupported
                "a product with a matrix that is not constant"
                "Put constants in place of weights."
        | _ -> None

    /// What keeps expressions, folded already, from being written: all of it.
    let refusals (inputs: Map<string, Shape>) (outputs: Expr list) : Error list =
        Expr.topological (fun _ -> false) outputs
        |> List.choose (refusal inputs)
        |> List.distinct

    /// Sparse products with fewer entries than this are written as dense ones.
    let private denseBelow = 1 <<< 16

    /// Writes expressions of one element type. `given` names the graph's values of the inputs in that type. Returns the names of the
    /// values of the expressions, all of them with a batch axis.
    let section
        (graph: OnnxBuilder)
        (element: OnnxElement)
        (given: Map<string, string>)
        (outputs: Expr list)
        : string list =
        let composite = OnnxPortable.composites element
        let forms = Dictionary<Expr, OnnxForm>(Expr.structural)
        let names = Dictionary<Expr, string>(Expr.structural)
        let flags = Dictionary<Expr, string>(Expr.structural)

        let composed (node: Expr) : OnnxForm =
            match node.Node with
            | Node.Apply(Op.Add, [ Product(matrix, x); Const _ as bias ])
            | Node.Apply(Op.Add, [ Const _ as bias; Product(matrix, x) ]) ->
                OnnxForm.Affine(matrix, x, bias)
            | Node.Apply(op, arguments) ->
                match OnnxPortable.expansion element op arguments with
                | Some composition -> OnnxForm.Composition composition
                | None -> OnnxForm.Plain
            | _ -> OnnxForm.Plain

        let formOf (node: Expr) : OnnxForm =
            match forms.TryGetValue node with
            | true, known -> known
            | _ ->
                let form =
                    match composite node with
                    | Some(name, argument) -> OnnxForm.Operator(name, argument)
                    | None -> composed node

                forms[node] <- form
                form

        let below (node: Expr) : Expr list =
            match formOf node with
            | OnnxForm.Operator(_, argument) -> [ argument ]
            | OnnxForm.Composition composition -> [ composition ]
            | OnnxForm.Affine(_, x, _) -> [ x ]
            | OnnxForm.Plain -> Expr.children node

        let constant (shape: Shape) (values: float[]) : string =
            graph.Constant(dimsOf shape, data element values)

        let one (op: string) (inputs: string list) : string = graph.Node(op, inputs, [])

        let keep (kind: Dictionary<Expr, string>) (e: Expr) (name: string) : string =
            kind[e] <- name
            name

        let valueOf (e: Expr) : string =
            match names.TryGetValue e, flags.TryGetValue e, e with
            | (true, name), _, _ -> name
            | _, (true, flag), _ -> graph.Node("Cast", [ flag ], castTo element) |> keep names e
            | _, _, Const values -> constant e.Shape values
            | _ -> invalidOp $"{e} was not written before what uses it"

        /// Where a value is not 0, as truth values.
        let flagOf (e: Expr) : string =
            match flags.TryGetValue e, e with
            | (true, name), _ -> name
            | _, Const values ->
                graph.Constant(
                    dimsOf e.Shape,
                    OnnxData.Bool(values |> Array.map (fun v -> v <> 0.0))
                )
            | _ -> graph.Node("Cast", [ valueOf e ], castTo OnnxElement.Bool) |> keep flags e

        let anyRow =
            lazy
                (let input = (Seq.head given).Value
                 let first = graph.Constant([ 1 ], ints [ 0 ])
                 let axis = [ "axis", OnnxAttribute.Int 1L ]
                 let one = graph.Node("Gather", [ input; first ], axis)
                 graph.Node("Cast", [ one ], castTo OnnxElement.Bool))

        /// A constant with a batch axis: chosen in both cases by a truth value of each row.
        let repeated (shape: Shape) (values: float[]) : string =
            let value = constant shape values
            one "Where" [ anyRow.Value; value; value ]

        let withRows (e: Expr) : string =
            match e with
            | Const values -> repeated e.Shape values
            | _ -> valueOf e

        let sumAxis (op: string) (axis: int) (keep: bool) (x: string) : string =
            let axes = graph.Constant([ 1 ], ints [ axis ])
            graph.Node(op, [ x; axes ], [ "keepdims", OnnxAttribute.Int(if keep then 1L else 0L) ])

        let gather (dims: int list) (indices: int[]) (x: string) : string =
            graph.Node(
                "Gather",
                [ x; graph.Constant(dims, ints indices) ],
                [ "axis", OnnxAttribute.Int 1L ]
            )

        /// Row k of the result is the sum over the entries (i, v) of row k of v times element i.
        let sparse (columns: int) (entries: (int * float)[][]) (x: string) : string =
            let most = max 1 (entries |> Array.map Array.length |> Array.max)
            let zero = repeated (Vector 1) [| 0.0 |]
            let padded = graph.Node("Concat", [ x; zero ], [ "axis", OnnxAttribute.Int 1L ])

            let entry (pick: int * float -> 'T) (empty: 'T) : 'T[] =
                entries
                |> Array.collect (fun row ->
                    Array.init most (fun k -> if k < row.Length then pick row[k] else empty))

            let values = entry snd 1.0

            if most = 1 && values |> Array.forall ((=) 1.0) then
                gather [ entries.Length ] (entry fst columns) padded
            else
                let picked = gather [ entries.Length; most ] (entry fst columns) padded

                let scaled =
                    if values |> Array.forall ((=) 1.0) then
                        picked
                    else
                        let weights = graph.Constant([ entries.Length; most ], data element values)

                        one "Mul" [ picked; weights ]

                sumAxis "ReduceSum" 2 false scaled

        let dense (rows: int) (columns: int) (values: float[]) (x: string) (bias: string option) =
            graph.Node(
                "Gemm",
                [
                    x
                    graph.Constant([ rows; columns ], data element values)
                    yield! Option.toList bias
                ],
                [ "transB", OnnxAttribute.Int 1L ]
            )

        let sparseMatrix (m: SparseMatrix) (x: string) : string =
            let entries =
                Array.init m.Rows (fun i ->
                    [|
                        for k in m.RowStart[i] .. m.RowStart[i + 1] - 1 ->
                            m.ColumnOf[k], m.Values[k]
                    |])

            let most = entries |> Array.map Array.length |> Array.max

            if int64 m.Rows * int64 m.Columns <= int64 denseBelow || most * 8 > m.Columns then
                let values = Array.zeroCreate (m.Rows * m.Columns)

                entries
                |> Array.iteri (fun i row ->
                    for j, v in row do
                        values[i * m.Columns + j] <- values[i * m.Columns + j] + v)

                dense m.Rows m.Columns values x None
            else
                sparse m.Columns entries x

        let isRange (indices: int[]) : bool =
            indices |> Array.indexed |> Array.forall (fun (i, k) -> k = indices[0] + i)

        let write (op: Op) (arguments: Expr list) (shape: Shape) : string =
            let inputs () : string list = List.map valueOf arguments

            match op, arguments with
            | (Op.Neg | Op.Abs | Op.Sign | Op.Sqrt | Op.Exp | Op.Log | Op.Tanh | Op.Sin), _
            | (Op.Cos | Op.Erf | Op.Add | Op.Mul | Op.Sub | Op.Div), _ ->
                one (Op.name op) (inputs ())
            | Op.Power exponent, [ x ] ->
                one "Pow" [ valueOf x; constant Scalar [| float exponent |] ]
            | Op.Select, [ c; a; b ] -> one "Where" [ flagOf c; valueOf a; valueOf b ]
            | Op.Sum, [ x ] when Shape.size x.Shape = 1 -> valueOf x
            | Op.Sum, [ x ] -> sumAxis "ReduceSum" 1 true (valueOf x)
            | Op.LogSumExp, [ x ] ->
                graph.Node(
                    "ReduceLogSumExp",
                    [ valueOf x ],
                    [ "axes", OnnxAttribute.Ints [| 1L |] ]
                )
            | Op.Fill _, [ x ] ->
                one "Expand" [ valueOf x; graph.Constant([ 2 ], ints [ 1; Shape.size shape ]) ]
            | Op.Gather indices, [ x ] when indices.Length > 1 && isRange indices ->
                let at (k: int) : string = graph.Constant([ 1 ], ints [ k ])
                let first = indices[0]
                one "Slice" [ valueOf x; at first; at (first + indices.Length); at 1 ]
            | Op.Gather indices, [ x ] -> gather [ indices.Length ] indices (valueOf x)
            | Op.ScatterAdd(indices, length), [ x ] ->
                let entries = Array.init length (fun _ -> List<int * float>())
                indices |> Array.iteri (fun i k -> entries[k].Add((i, 1.0)))
                sparse indices.Length (entries |> Array.map _.ToArray()) (valueOf x)
            | Op.Concat, _ ->
                graph.Node(
                    "Concat",
                    arguments |> List.map withRows,
                    [ "axis", OnnxAttribute.Int 1L ]
                )
            | Op.MatVec, [ Const m; x ] ->
                dense (Shape.size shape) (Shape.size x.Shape) m (valueOf x) None
            | Op.SparseVec matrix, [ x ] -> sparseMatrix matrix (valueOf x)
            | _ -> invalidOp $"{Op.name op} should have been refused or composed"

        for node in Expr.order below outputs do
            match formOf node, node.Node with
            | _, Node.Constant _ -> ()
            | OnnxForm.Operator(operator, argument), _ ->
                names[node] <- one operator [ valueOf argument ]
            | OnnxForm.Composition composition, _ -> names[node] <- valueOf composition
            | OnnxForm.Affine(matrix, x, bias), _ ->
                let rows, columns = Shape.size node.Shape, Shape.size x.Shape
                names[node] <- dense rows columns matrix (valueOf x) (Some(valueOf bias))
            | OnnxForm.Plain, Node.Input(name, _) -> names[node] <- given[name]
            | OnnxForm.Plain, Node.Apply(Op.Less, [ a; b ]) ->
                flags[node] <- one "Less" [ valueOf a; valueOf b ]
            | OnnxForm.Plain, Node.Apply(op, arguments) ->
                names[node] <- write op arguments node.Shape
            | OnnxForm.Plain, Node.ReduceOver _ ->
                invalidOp "a sum over a table should have been refused"

        outputs |> List.map withRows
