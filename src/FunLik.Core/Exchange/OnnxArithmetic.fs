namespace FunLik

open System

/// The operators that compute.
module internal OnnxArithmetic =

    /// The rows of a constant matrix.
    let private matrix (array: OnnxArray) : float[] * int * int =
        match array with
        | OnnxArray.Constant(_, values, [ rows; columns ]) -> values, rows, columns
        | OnnxArray.Constant(_, _, dims) ->
            OnnxArray.unsupported $"a product with an array of {OnnxArray.describe dims}"
        | _ -> OnnxArray.unsupported "a product with a matrix that is not constant"

    let private transposed (values: float[]) (rows: int) (columns: int) : float[] =
        Array.init values.Length (fun k -> values[(k % rows) * columns + k / rows])

    /// x times a matrix of columns x rows for a row x of as many columns.
    let private product (x: OnnxArray) (values: float[]) (rows: int) (columns: int) : OnnxArray =
        match x with
        | OnnxArray.Row(value, [ n ]) when n = columns && n > 0 && rows > 0 ->
            let result =
                Expr.matVec (Expr.matrix rows columns values) (OnnxArray.toVector value)

            OnnxArray.Row(OnnxArray.flat result, [ rows ])
        | OnnxArray.Row(_, dims) ->
            OnnxArray.refuse
                ErrorKind.Shape
                $"a product of rows of {OnnxArray.describe dims} with {columns} x {rows}"
        | _ -> OnnxArray.unsupported "a product whose first factor is not a row's"

    let private scaled (factor: float) (e: Expr) : Expr = if factor = 1.0 then e else factor * e

    let gemm (call: OnnxCall) : OnnxArray =
        let values, rows, columns = matrix (OnnxCall.argument 1 call)
        let alpha, beta = OnnxCall.number "alpha" 1.0 call, OnnxCall.number "beta" 1.0 call

        if OnnxCall.integer "transA" 0L call <> 0L then
            OnnxArray.unsupported "Gemm with a transposed first factor"

        let weights, outputs, inputs =
            if OnnxCall.integer "transB" 0L call <> 0L then
                values, rows, columns
            else
                transposed values rows columns, columns, rows

        let weights =
            if alpha = 1.0 then
                weights
            else
                weights |> Array.map ((*) alpha)

        let result = product (OnnxCall.argument 0 call) weights outputs inputs

        match OnnxCall.optionalArgument 2 call with
        | None -> result
        | Some bias ->
            [ result; bias ]
            |> OnnxArray.map (function
                | [ y; b ] -> y + scaled beta b
                | _ -> OnnxArray.unsupported "Gemm")

    let matMul (call: OnnxCall) : OnnxArray =
        match OnnxCall.argument 1 call with
        | OnnxArray.Constant(_, values, [ n ]) ->
            product (OnnxCall.argument 0 call) values 1 n |> OnnxArray.reshape []
        | second ->
            let values, rows, columns = matrix second
            product (OnnxCall.argument 0 call) (transposed values rows columns) columns rows

    /// Sums over some axes behind the batch axis; `whole` is used where that is all of them.
    let private reduce (whole: Expr -> Expr) (partly: bool) (call: OnnxCall) : OnnxArray =
        let array = OnnxCall.argument 0 call
        let dims = OnnxArray.dims array

        let axes =
            match OnnxCall.integers 1 "axes" call with
            | Some(_ :: _ as axes) -> axes |> List.map (OnnxCall.place array) |> Set.ofList
            | _ when OnnxCall.integer "noop_with_empty_axes" 0L call <> 0L -> Set.empty
            | _ when OnnxArray.isRow array ->
                OnnxArray.unsupported "a reduction over the batch axis"
            | _ -> Set.ofList [ 0 .. dims.Length - 1 ]

        let keep = OnnxCall.integer "keepdims" 1L call <> 0L

        let newDims =
            dims
            |> List.indexed
            |> List.choose (fun (k, d) ->
                match axes.Contains k, keep with
                | true, true -> Some 1
                | true, false -> None
                | false, _ -> Some d)

        if axes.IsEmpty then
            array
        elif OnnxArray.size newDims = 1 then
            OnnxArray.withValue array newDims (whole (OnnxArray.toVector (OnnxArray.value array)))
        elif not partly then
            OnnxArray.unsupported "a reduction over some of several axes"
        else
            let strides =
                OnnxArray.strides (dims |> List.mapi (fun k d -> if axes.Contains k then 1 else d))

            let targets =
                List.zip dims strides
                |> List.mapi (fun k (d, stride) ->
                    Array.init d (fun i -> if axes.Contains k then 0 else i * stride))
                |> List.fold
                    (fun (starts: int[]) offsets ->
                        starts |> Array.collect (fun s -> offsets |> Array.map ((+) s)))
                    [| 0 |]

            Expr.scatterAdd targets (OnnxArray.size newDims) (OnnxArray.value array)
            |> OnnxArray.withValue array newDims

    let reduceSum (call: OnnxCall) : OnnxArray = reduce Expr.sum true call

    let reduceMean (call: OnnxCall) : OnnxArray =
        let sums = reduceSum call
        let size (array: OnnxArray) : int = OnnxArray.size (OnnxArray.dims array)
        let count = size (OnnxCall.argument 0 call) / max 1 (size sums)
        OnnxArray.map (fun values -> values.Head / float count) [ sums ]

    let reduceLogSumExp (call: OnnxCall) : OnnxArray = reduce Expr.logSumExp false call

    let power (call: OnnxCall) : OnnxArray =
        match OnnxCall.argument 1 call with
        | OnnxArray.Constant(_, exponents, _) when
            exponents.Length > 0 && exponents |> Array.forall ((=) exponents[0])
            ->
            let exponent = exponents[0]

            let f (x: Expr) : Expr =
                if exponent = Math.Floor exponent && abs exponent <= 64.0 then
                    Expr.power (int exponent) x
                elif exponent = 0.5 then
                    sqrt x
                elif exponent = -0.5 then
                    1.0 / sqrt x
                else
                    OnnxArray.unsupported
                        $"the power {exponent}: exponents are integers up to 64, or 0.5"

            OnnxArray.map (List.head >> f) [ OnnxCall.argument 0 call; OnnxCall.argument 1 call ]
        | _ -> OnnxArray.unsupported "a power whose exponent is not one constant"

    let clip (call: OnnxCall) : OnnxArray =
        let bound (k: int) (name: string) : OnnxArray option =
            match OnnxCall.optionalArgument k call, OnnxCall.attribute name call with
            | Some array, _ -> Some array
            | None, Some(OnnxAttribute.Float value) ->
                Some(OnnxArray.Constant(OnnxElement.Float, [| float value |], []))
            | None, _ -> None

        let apply (f: Expr -> Expr -> Expr) (x: OnnxArray) (limit: OnnxArray option) : OnnxArray =
            match limit with
            | None -> x
            | Some limit ->
                [ limit; x ]
                |> OnnxArray.map (function
                    | [ l; v ] -> f l v
                    | _ -> OnnxArray.unsupported "Clip")

        let above = apply Composite.maximum (OnnxCall.argument 0 call) (bound 1 "min")
        apply Composite.minimum above (bound 2 "max")

    let cast (call: OnnxCall) : OnnxArray =
        let target =
            match
                OnnxCall.integer "to" 0L call
                |> float
                |> OnnxCall.toInt
                |> OnnxElement.tryOfCode
            with
            | Some element -> element
            | None -> OnnxArray.unsupported "a cast to a type that FunLik does not read"

        match OnnxCall.argument 0 call, target with
        | OnnxArray.Row(value, dims), OnnxElement.Bool -> OnnxArray.Flag(value, dims)
        | OnnxArray.Row _ as row, (OnnxElement.Float | OnnxElement.Double) -> row
        | OnnxArray.Flag(value, dims), (OnnxElement.Float | OnnxElement.Double) ->
            OnnxArray.Row(OnnxArray.zeroOne value, dims)
        | OnnxArray.Flag _ as flag, OnnxElement.Bool -> flag
        | OnnxArray.Constant(_, values, dims), element ->
            let convert (v: float) : float =
                match element with
                | OnnxElement.Double -> v
                | OnnxElement.Float -> float (float32 v)
                | OnnxElement.Bool -> if v <> 0.0 then 1.0 else 0.0
                | _ -> Math.Truncate v

            OnnxArray.Constant(element, Array.map convert values, dims)
        | _ -> OnnxArray.unsupported "a cast of rows to integers"

    /// The numbers of a tensor of the file.
    let constant (tensor: OnnxTensor) : OnnxArray =
        let values =
            match tensor.Data with
            | OnnxData.Float v -> Array.map float v
            | OnnxData.UInt8 v -> Array.map float v
            | OnnxData.Int32 v -> Array.map float v
            | OnnxData.Int64 v -> Array.map float v
            | OnnxData.Bool v -> v |> Array.map (fun b -> if b then 1.0 else 0.0)
            | OnnxData.Double v -> v

        OnnxArray.Constant(OnnxElement.ofData tensor.Data, values, tensor.Dims)

    let constantNode (call: OnnxCall) : OnnxArray =
        match call.Node.Attributes with
        | [ "value", OnnxAttribute.Tensor tensor ] -> constant tensor
        | [ "value_float", OnnxAttribute.Float v ] ->
            OnnxArray.Constant(OnnxElement.Float, [| float v |], [])
        | [ "value_int", OnnxAttribute.Int v ] ->
            OnnxArray.Constant(OnnxElement.Int64, [| float v |], [])
        | [ "value_floats", OnnxAttribute.Floats vs ] ->
            OnnxArray.Constant(OnnxElement.Float, Array.map float vs, [ vs.Length ])
        | [ "value_ints", OnnxAttribute.Ints vs ] ->
            OnnxArray.Constant(OnnxElement.Int64, Array.map float vs, [ vs.Length ])
        | _ -> OnnxArray.unsupported "a constant that is neither numbers nor a tensor"

    let where (recognise: Expr -> Expr) (call: OnnxCall) : OnnxArray =
        let condition =
            match OnnxCall.argument 0 call with
            | OnnxArray.Flag(value, dims) -> OnnxArray.Row(value, dims)
            | OnnxArray.Constant _ as known -> known
            | OnnxArray.Row _ -> OnnxArray.unsupported "a condition that is not of truth values"

        [ condition; OnnxCall.argument 1 call; OnnxCall.argument 2 call ]
        |> OnnxArray.map (function
            | [ c; a; b ] ->
                if Expr.structural.Equals(a, b) then
                    a
                else
                    recognise (Expr.select c a b)
            | _ -> OnnxArray.unsupported "Where")

    let private isReal (array: OnnxArray) : bool =
        match array with
        | OnnxArray.Row _
        | OnnxArray.Constant((OnnxElement.Float | OnnxElement.Double), _, _) -> true
        | _ -> false

    let unary (f: Expr -> Expr) (call: OnnxCall) : OnnxArray =
        let x = OnnxCall.argument 0 call

        if not (isReal x) then
            OnnxArray.unsupported "a function of what is not a real number"

        OnnxArray.map (List.head >> f) [ x ]

    let binary (f: Expr -> Expr -> Expr) (call: OnnxCall) : OnnxArray =
        let both = [ OnnxCall.argument 0 call; OnnxCall.argument 1 call ]

        if not (List.forall isReal both) then
            OnnxArray.unsupported "arithmetic with what is not a real number"

        both
        |> OnnxArray.map (function
            | [ a; b ] -> f a b
            | _ -> OnnxArray.unsupported "two arguments")

    let comparison (f: Expr -> Expr -> Expr) (call: OnnxCall) : OnnxArray =
        match binary f call with
        | OnnxArray.Row(value, dims) -> OnnxArray.Flag(value, dims)
        | OnnxArray.Constant(_, values, dims) -> OnnxArray.Constant(OnnxElement.Bool, values, dims)
        | flag -> flag

    let several (f: Expr -> Expr -> Expr) (call: OnnxCall) : OnnxArray =
        List.init call.Arguments.Length (fun k -> OnnxCall.argument k call)
        |> List.reduce (fun a b -> binary f { call with Arguments = [ Some a; Some b ] })

    let gelu (call: OnnxCall) : OnnxArray =
        match OnnxCall.attribute "approximate" call with
        | None
        | Some(OnnxAttribute.String "none") -> unary Composite.gelu call
        | _ ->
            unary
                (fun x ->
                    0.5 * x * (1.0 + tanh (sqrt (2.0 / Math.PI) * (x + 0.044715 * (x * x * x)))))
                call

    let elu (call: OnnxCall) : OnnxArray =
        match OnnxCall.number "alpha" 1.0 call with
        | 1.0 -> unary Composite.elu call
        | alpha ->
            unary
                (fun x -> Expr.select (Expr.less (Expr.scalar 0.0) x) x (alpha * Expr.expm1 x))
                call

    let selu (call: OnnxCall) : OnnxArray =
        if OnnxCall.attribute "alpha" call = None && OnnxCall.attribute "gamma" call = None then
            unary Composite.selu call
        else
            let alpha = OnnxCall.number "alpha" (float 1.67326319217681884765625f) call
            let gamma = OnnxCall.number "gamma" (float 1.05070102214813232421875f) call

            unary
                (fun x ->
                    Expr.select
                        (Expr.less (Expr.scalar 0.0) x)
                        (gamma * x)
                        (gamma * alpha * Expr.expm1 x))
                call

    let leakyRelu (call: OnnxCall) : OnnxArray =
        let alpha = OnnxCall.number "alpha" (float 0.01f) call
        unary (fun x -> Expr.select (Expr.less x (Expr.scalar 0.0)) (alpha * x) x) call
