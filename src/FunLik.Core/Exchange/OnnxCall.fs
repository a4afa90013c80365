namespace FunLik

open System

/// One node with what it reads; an input that is left out is None.
type internal OnnxCall =
    {
        Node: OnnxNode
        Arguments: OnnxArray option list
        /// The number of rows, where the file fixes it.
        Rows: int option
    }

/// Attributes and arguments of a node, and axes of arguments.
[<RequireQualifiedAccess>]
module internal OnnxCall =

    let unsupported (message: string) : 'T = OnnxArray.unsupported message

    let attribute (name: string) (call: OnnxCall) : OnnxAttribute option =
        call.Node.Attributes
        |> List.tryPick (fun (key, value) -> if key = name then Some value else None)

    let integer (name: string) (orElse: int64) (call: OnnxCall) : int64 =
        match attribute name call with
        | None -> orElse
        | Some(OnnxAttribute.Int value) -> value
        | Some _ -> unsupported $"the attribute '{name}' is not an integer"

    let number (name: string) (orElse: float) (call: OnnxCall) : float =
        match attribute name call with
        | None -> orElse
        | Some(OnnxAttribute.Float value) -> float value
        | Some _ -> unsupported $"the attribute '{name}' is not a number"

    let optionalArgument (k: int) (call: OnnxCall) : OnnxArray option =
        call.Arguments |> List.tryItem k |> Option.flatten

    let argument (k: int) (call: OnnxCall) : OnnxArray =
        match optionalArgument k call with
        | Some array -> array
        | None -> OnnxArray.refuse ErrorKind.Schema $"input {k} is missing"

    let toInt (value: float) : int =
        if abs value <= float Int32.MaxValue then int value
        elif value > 0.0 then Int32.MaxValue
        else -Int32.MaxValue

    /// Integers that stand as an input or, in older operator sets, as an attribute.
    let integers (k: int) (name: string) (call: OnnxCall) : int list option =
        match optionalArgument k call, attribute name call with
        | Some(OnnxArray.Constant(_, values, _)), _ ->
            Some(values |> Array.map toInt |> List.ofArray)
        | Some _, _ -> unsupported $"the input '{name}' is not constant"
        | None, Some(OnnxAttribute.Ints values) ->
            Some(values |> Array.map (fun v -> toInt (float v)) |> List.ofArray)
        | None, Some _ -> unsupported $"the attribute '{name}' is not integers"
        | None, None -> None

    /// How many axes stand in front of the dims: the batch axis of rows.
    let front (array: OnnxArray) : int = if OnnxArray.isRow array then 1 else 0

    /// The place of an axis among the dims; the batch axis is none of them.
    let place (array: OnnxArray) (axis: int) : int =
        let rank = (OnnxArray.dims array).Length + front array
        let fromStart = if axis < 0 then axis + rank else axis

        if fromStart < 0 || fromStart >= rank then
            OnnxArray.refuse ErrorKind.Shape $"axis {axis} of an array with {rank} axes"

        if fromStart < front array then
            unsupported "an operation along the batch axis"

        fromStart - front array

    let along (array: OnnxArray) (axis: int) (taken: int[]) : int[] list =
        let dims = OnnxArray.dims array

        List.zip dims (OnnxArray.strides dims)
        |> List.mapi (fun k (size, stride) ->
            let indices = if k = axis then taken else [| 0 .. size - 1 |]
            indices |> Array.map ((*) stride))

    let inRange (size: int) (index: int) : int =
        let fromStart = if index < 0 then index + size else index

        if fromStart < 0 || fromStart >= size then
            OnnxArray.refuse ErrorKind.Shape $"index {index} along an axis of {size}"

        fromStart

    let replaceAxis (axis: int) (by: int list) (dims: int list) : int list =
        List.take axis dims @ by @ List.skip (axis + 1) dims
