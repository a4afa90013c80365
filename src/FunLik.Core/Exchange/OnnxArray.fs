namespace FunLik

/// What a name in a graph stands for while it is read back. The batch axis of a row's value is not among its dims, and its elements
/// are one scalar, or one vector in row-major order.
[<RequireQualifiedAccess>]
type internal OnnxArray =
    /// A value of each row.
    | Row of value: Expr * dims: int list
    /// Truth values of each row: true where not 0.
    | Flag of value: Expr * dims: int list
    /// Numbers of the file, with all their dims.
    | Constant of element: OnnxElement * values: float[] * dims: int list

/// Arrays with dims on top of expressions that know scalars and vectors only. What cannot be done throws FunLikException.
[<RequireQualifiedAccess>]
module internal OnnxArray =

    /// Larger arrays are not made.
    let private largest = 1L <<< 26

    let refuse (kind: ErrorKind) (message: string) : 'T =
        raise (FunLikException [ Error.make kind message ])

    let unsupported (message: string) : 'T = refuse ErrorKind.Unsupported message

    let describe (dims: int list) : string =
        "[" + (dims |> List.map string |> String.concat ", ") + "]"

    /// The number of elements.
    let size (dims: int list) : int =
        let product =
            dims |> List.fold (fun (n: int64) d -> min (n * int64 d) (largest + 1L)) 1L

        if product > largest then
            refuse ErrorKind.Limit $"an array of {describe dims} is larger than {largest} elements"

        int product

    let private ofElements (values: float[]) : Expr =
        if values.Length = 1 then
            Expr.scalar values[0]
        else
            Expr.vector values

    /// As a vector, also where it is one number.
    let toVector (value: Expr) : Expr =
        if value.Shape = Scalar then
            Expr.fill (Vector 1) value
        else
            value

    /// As a scalar where it is one number.
    let flat (value: Expr) : Expr =
        match value.Shape with
        | Vector 1 -> Expr.item 0 value
        | _ -> value

    let private evaluate (e: Expr) : float[] =
        match (OnnxWrite.fold [ e ]).Head.Node with
        | Node.Constant values -> values
        | _ -> unsupported "a constant that is not known"

    /// 1 where true, else 0.
    let zeroOne (flag: Expr) : Expr =
        match flag.Node with
        | Node.Apply(Op.Less, _) -> flag
        | _ -> Expr.select flag (Expr.scalar 1.0) (Expr.scalar 0.0)

    /// Whether there is a batch axis.
    let isRow (array: OnnxArray) : bool = not array.IsConstant

    /// The dims behind the batch axis, or all of a constant.
    let dims (array: OnnxArray) : int list =
        match array with
        | OnnxArray.Row(_, dims)
        | OnnxArray.Flag(_, dims)
        | OnnxArray.Constant(_, _, dims) -> dims

    /// The elements.
    let value (array: OnnxArray) : Expr =
        match array with
        | OnnxArray.Row(value, _) -> value
        | OnnxArray.Flag(value, _) -> zeroOne value
        | OnnxArray.Constant(_, values, _) -> ofElements values

    /// Another value of the same kind. Constants become known numbers.
    let withValue (like: OnnxArray) (dims: int list) (value: Expr) : OnnxArray =
        match like with
        | OnnxArray.Row _ -> OnnxArray.Row(flat value, dims)
        | OnnxArray.Flag _ -> OnnxArray.Flag(flat value, dims)
        | OnnxArray.Constant(element, _, _) ->
            let values = evaluate value
            let count = size dims

            let all =
                if values.Length = count then
                    values
                else
                    Array.create count values[0]

            OnnxArray.Constant(element, all, dims)

    /// The elements at some places, in another form.
    let pick (newDims: int list) (places: int[]) (array: OnnxArray) : OnnxArray =
        let untouched =
            places.Length = size (dims array)
            && places |> Array.indexed |> Array.forall (fun (i, k) -> i = k)

        let gather (e: Expr) : Expr =
            if untouched then
                e
            elif places.Length = 0 then
                unsupported "an array without elements"
            elif e.Shape = Scalar then
                Expr.fill (Vector places.Length) e
            else
                Expr.gather places e

        match array with
        | OnnxArray.Row(e, _) -> OnnxArray.Row(flat (gather e), newDims)
        | OnnxArray.Flag(e, _) -> OnnxArray.Flag(flat (gather e), newDims)
        | OnnxArray.Constant(element, values, _) ->
            OnnxArray.Constant(element, places |> Array.map (fun k -> values[k]), newDims)

    /// How far apart neighbours along each axis are.
    let strides (dims: int list) : int list = List.scanBack (*) dims 1 |> List.tail

    /// An array whose element at each place is that of another at the sum of the offsets that the axes give.
    let rearrange (newDims: int list) (offsets: int[] list) (array: OnnxArray) : OnnxArray =
        size newDims |> ignore

        let source =
            offsets
            |> List.fold
                (fun (starts: int[]) along ->
                    starts |> Array.collect (fun start -> along |> Array.map ((+) start)))
                [| 0 |]

        pick newDims source array

    /// The same elements with other dims.
    let reshape (newDims: int list) (array: OnnxArray) : OnnxArray =
        match array with
        | OnnxArray.Row(value, _) -> OnnxArray.Row(value, newDims)
        | OnnxArray.Flag(value, _) -> OnnxArray.Flag(value, newDims)
        | OnnxArray.Constant(element, values, _) -> OnnxArray.Constant(element, values, newDims)

    let private broadcastDims (a: int list) (b: int list) : int list =
        let length = max a.Length b.Length
        let padded (dims: int list) = List.replicate (length - dims.Length) 1 @ dims

        List.map2
            (fun m n ->
                if m = n || n = 1 then
                    m
                elif m = 1 then
                    n
                else
                    refuse ErrorKind.Shape $"{describe a} does not go with {describe b}")
            (padded a)
            (padded b)

    /// Repeats an array along axes of size 1, to which axes in front are added.
    let expand (newDims: int list) (array: OnnxArray) : OnnxArray =
        let old = dims array

        if old = newDims then
            array
        else
            let front = List.replicate (newDims.Length - old.Length) (1, 0)

            let offsets =
                List.zip newDims (front @ List.zip old (strides old))
                |> List.map (fun (count, (size, stride)) ->
                    Array.init count (fun k -> if size = 1 then 0 else k * stride))

            rearrange newDims offsets array

    /// Brings arrays to common dims by ONNX's rules. Rows have as many axes as each other, so that their batch axes meet.
    let align (arrays: OnnxArray list) : OnnxArray list * int list =
        let rows = arrays |> List.filter isRow |> List.map dims

        let fitted =
            match rows with
            | [] -> arrays
            | first :: others ->
                if others |> List.exists (fun d -> d.Length <> first.Length) then
                    unsupported "rows with different numbers of axes"

                arrays
                |> List.map (fun array ->
                    match array with
                    | OnnxArray.Constant(_, _, all) when all.Length > first.Length ->
                        let extra = all.Length - first.Length

                        if extra > 1 || all.Head <> 1 then
                            unsupported $"a constant of {describe all} along the batch axis"

                        reshape all.Tail array
                    | _ -> array)

        let common = fitted |> List.map dims |> List.reduce broadcastDims

        // One number goes with everything as it is.
        let spread (array: OnnxArray) : OnnxArray =
            if size (dims array) = 1 then array else expand common array

        fitted |> List.map spread, common

    /// Applies a function element by element. The result is a row's where an argument is.
    let map (f: Expr list -> Expr) (arrays: OnnxArray list) : OnnxArray =
        let aligned, common = align arrays
        let result = f (aligned |> List.map value)

        let full =
            if size common > 1 && result.Shape = Scalar then
                Expr.fill (Vector(size common)) result
            else
                result

        if arrays |> List.exists isRow then
            OnnxArray.Row(flat full, common)
        else
            let element =
                match arrays.Head with
                | OnnxArray.Constant(element, _, _) -> element
                | _ -> OnnxElement.Double

            OnnxArray.Constant(element, evaluate full, common)
