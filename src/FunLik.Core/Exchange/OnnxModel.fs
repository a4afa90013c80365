namespace FunLik

open System

/// The element types that FunLik reads and writes, of those that ONNX has.
[<RequireQualifiedAccess>]
type OnnxElement =
    | Float
    | UInt8
    | Int32
    | Int64
    | Bool
    | Double

/// A tensor's elements in row-major order; the case is the element type.
[<RequireQualifiedAccess>]
type OnnxData =
    | Float of float32[]
    | UInt8 of uint8[]
    | Int32 of int32[]
    | Int64 of int64[]
    | Bool of bool[]
    | Double of float[]

/// A named array; a scalar has no dims. The product of the dims is the number of elements.
type OnnxTensor = { Name: string; Dims: int list; Data: OnnxData }

/// One axis of an input or output.
[<RequireQualifiedAccess>]
type OnnxDim =
    | Known of int
    /// An axis whose size the caller chooses, by name; an axis without a name has "".
    | Symbolic of string

/// What an input or output of a graph is.
type OnnxValueInfo =
    {
        Name: string
        Element: OnnxElement
        /// None where the file states no shape, not even the number of axes.
        Dims: OnnxDim list option
    }

/// The value of a node's attribute.
[<RequireQualifiedAccess>]
type OnnxAttribute =
    | Float of float32
    | Int of int64
    | String of string
    | Tensor of OnnxTensor
    | Floats of float32[]
    | Ints of int64[]
    | Strings of string[]

/// One operation. An input that is left out is the empty string; the domain of the standard
/// operators is "".
type OnnxNode =
    {
        OpType: string
        Domain: string
        Name: string
        Inputs: string list
        Outputs: string list
        Attributes: (string * OnnxAttribute) list
    }

/// Operations in an order in which each follows those that it needs, and the constants that they
/// use.
type OnnxGraph =
    {
        Name: string
        Nodes: OnnxNode list
        Initializers: OnnxTensor list
        Inputs: OnnxValueInfo list
        Outputs: OnnxValueInfo list
    }

/// An ONNX file: the graph, what language it is written in, and who wrote it.
type OnnxModel =
    {
        /// The version of the format; 8 is of 2021 and read by everything since.
        IrVersion: int
        /// Domain ("" for the standard operators) and version of each operator set.
        Opsets: (string * int) list
        Producer: string
        ProducerVersion: string
        DocString: string
        MetadataProps: (string * string) list
        Graph: OnnxGraph
    }

/// Facts about element types.
[<RequireQualifiedAccess>]
module OnnxElement =

    /// The number of an element type, in ONNX files (`TensorProto.DataType`) and in ONNX Runtime.
    let code (element: OnnxElement) : int =
        match element with
        | OnnxElement.Float -> 1
        | OnnxElement.UInt8 -> 2
        | OnnxElement.Int32 -> 6
        | OnnxElement.Int64 -> 7
        | OnnxElement.Bool -> 9
        | OnnxElement.Double -> 11

    /// The element type with this number, if it is one of ours.
    let tryOfCode (code: int) : OnnxElement option =
        match code with
        | 1 -> Some OnnxElement.Float
        | 2 -> Some OnnxElement.UInt8
        | 6 -> Some OnnxElement.Int32
        | 7 -> Some OnnxElement.Int64
        | 9 -> Some OnnxElement.Bool
        | 11 -> Some OnnxElement.Double
        | _ -> None

    /// The bytes that one element takes.
    let size (element: OnnxElement) : int =
        match element with
        | OnnxElement.UInt8
        | OnnxElement.Bool -> 1
        | OnnxElement.Float
        | OnnxElement.Int32 -> 4
        | OnnxElement.Int64
        | OnnxElement.Double -> 8

    /// The element type of some data.
    let ofData (data: OnnxData) : OnnxElement =
        match data with
        | OnnxData.Float _ -> OnnxElement.Float
        | OnnxData.UInt8 _ -> OnnxElement.UInt8
        | OnnxData.Int32 _ -> OnnxElement.Int32
        | OnnxData.Int64 _ -> OnnxElement.Int64
        | OnnxData.Bool _ -> OnnxElement.Bool
        | OnnxData.Double _ -> OnnxElement.Double

    /// Why elements of this number cannot be used.
    let internal unsupported (code: int) : Error =
        Error.make ErrorKind.Unsupported "the element type is not one that FunLik reads"
        |> Error.found (string code)
        |> Error.expected "1 float, 2 uint8, 6 int32, 7 int64, 9 bool or 11 double"

/// Facts about tensors.
[<RequireQualifiedAccess>]
module OnnxTensor =

    /// The array with the elements.
    let internal elements (data: OnnxData) : Array =
        match data with
        | OnnxData.Float values -> values
        | OnnxData.UInt8 values -> values
        | OnnxData.Int32 values -> values
        | OnnxData.Int64 values -> values
        | OnnxData.Bool values -> values
        | OnnxData.Double values -> values

    /// What is wrong with the dims of this many elements, if anything.
    let internal dimsError (dims: int list) (count: int64) : Error option =
        let show () = "[" + String.Join(", ", dims) + "]"

        if dims |> List.exists (fun d -> d < 0) then
            Error.make ErrorKind.Shape "a dim is negative" |> Error.found (show ()) |> Some
        else
            // Nothing overflows: the next product of a size held at 2^31 is below 2^62.
            let saturate (a: int64) (b: int) = min (a * int64 b) (int64 Int32.MaxValue + 1L)

            let product =
                if List.contains 0 dims then
                    0L
                else
                    List.fold saturate 1L dims

            if product = count then
                None
            else
                Error.make ErrorKind.Shape "the dims do not match the number of elements"
                |> Error.found $"{count} elements"
                |> Error.expected $"dims {show ()}"
                |> Some
