namespace FunLik

open System
open System.Collections.Generic
open System.IO
open Google.Protobuf
open FunLik.Protobuf

/// What is asked of a whole model, read or to be written.
module private OnnxCheck =

    let private distinct (place: Place) (names: string seq) : unit =
        let seen = HashSet<string>()

        for name in names do
            if not (seen.Add name) then
                Error.make ErrorKind.Name "the name stands twice"
                |> Error.found name
                |> place.Report

    let model (place: Place) (model: OnnxModel) : unit =
        if model.Opsets.IsEmpty then
            (place.Inside "opset_import").Complain
                ErrorKind.Schema
                "the model names no operator set"

        distinct (place.Inside "opset_import") (Seq.map fst model.Opsets)
        distinct (place.Inside "metadata_props") (Seq.map fst model.MetadataProps)
        distinct (place.Inside "graph.initializer") (model.Graph.Initializers |> Seq.map _.Name)

        for i, node in Seq.indexed model.Graph.Nodes do
            let place = place.Item("graph.node", i)

            if node.OpType = "" then
                place.Complain ErrorKind.Schema "the node has no op_type"

            distinct (place.Inside "attribute") (Seq.map fst node.Attributes)

/// From records to bytes.
module private OnnxWriting =

    let private tensor (number: int) (place: Place) (tensor: OnnxTensor) : Part =
        let element = OnnxElement.ofData tensor.Data
        let values = OnnxTensor.elements tensor.Data

        OnnxTensor.dimsError tensor.Dims values.LongLength
        |> Option.iter (place.Inside "dims").Report

        writeMessage
            number
            [
                for dim in tensor.Dims do
                    writeInteger 1 (int64 dim)

                writeInteger 2 (int64 (OnnxElement.code element))
                yield! writeOptional (place.Inside "name") 8 tensor.Name
                writeNumbers 9 (OnnxElement.size element) values
            ]

    let private attribute (place: Place) (name: string, value: OnnxAttribute) : Part =
        let code, values =
            match value with
            | OnnxAttribute.Float v -> 1L, [ writeSingle 2 v ]
            | OnnxAttribute.Int v -> 2L, [ writeInteger 3 v ]
            | OnnxAttribute.String v -> 3L, [ writeText (place.Inside "s") 4 v ]
            | OnnxAttribute.Tensor v -> 4L, [ tensor 5 (place.Inside "t") v ]
            | OnnxAttribute.Floats vs -> 6L, [ for v in vs -> writeSingle 7 v ]
            | OnnxAttribute.Ints vs -> 7L, [ for v in vs -> writeInteger 8 v ]
            | OnnxAttribute.Strings vs ->
                8L, [ for i, v in Seq.indexed vs -> writeText (place.Item("strings", i)) 9 v ]

        writeMessage 5 (writeText (place.Inside "name") 1 name :: values @ [ writeInteger 20 code ])

    /// All of a list, each at its place.
    let private each
        (place: Place)
        (name: string)
        (write: Place -> 'T -> Part)
        (items: 'T list)
        : Part list =
        items |> List.mapi (fun i item -> write (place.Item(name, i)) item)

    let private text (number: int) (place: Place) (value: string) : Part =
        writeText place number value

    let private node (place: Place) (node: OnnxNode) : Part =
        writeMessage
            1
            [
                yield! each place "input" (text 1) node.Inputs
                yield! each place "output" (text 2) node.Outputs
                yield! writeOptional (place.Inside "name") 3 node.Name
                writeText (place.Inside "op_type") 4 node.OpType
                yield! each place "attribute" attribute node.Attributes
                yield! writeOptional (place.Inside "domain") 7 node.Domain
            ]

    let private dim (place: Place) (dim: OnnxDim) : Part =
        match dim with
        | OnnxDim.Known size ->
            let size = within 0L (int64 Int32.MaxValue) place (int64 size)
            writeMessage 1 [ writeInteger 1 size ]
        | OnnxDim.Symbolic name -> writeMessage 1 (writeOptional place 2 name)

    let private valueInfo (number: int) (place: Place) (info: OnnxValueInfo) : Part =
        let place' = place.Inside "type.tensor_type"

        let tensorType =
            [
                writeInteger 1 (int64 (OnnxElement.code info.Element))

                match info.Dims with
                | Some dims -> writeMessage 2 (each (place'.Inside "shape") "dim" dim dims)
                | None -> ()
            ]

        writeMessage
            number
            [
                writeText (place.Inside "name") 1 info.Name
                writeMessage 2 [ writeMessage 1 tensorType ]
            ]

    let private graph (place: Place) (graph: OnnxGraph) : Part =
        writeMessage
            7
            [
                yield! each place "node" node graph.Nodes
                writeText (place.Inside "name") 2 graph.Name
                yield! each place "initializer" (tensor 5) graph.Initializers
                yield! each place "input" (valueInfo 11) graph.Inputs
                yield! each place "output" (valueInfo 12) graph.Outputs
            ]

    let private opset (place: Place) (domain: string, version: int) : Part =
        let version =
            within 0L (int64 Int32.MaxValue) (place.Inside "version") (int64 version)

        writeMessage 8 [ writeText (place.Inside "domain") 1 domain; writeInteger 2 version ]

    let private metadata (place: Place) (key: string, value: string) : Part =
        writeMessage
            14
            [
                writeText (place.Inside "key") 1 key
                writeText (place.Inside "value") 2 value
            ]

    /// The parts of a model. The graph comes last, so that a file cut off anywhere is seen to be.
    let model (place: Place) (model: OnnxModel) : Part list =
        [
            writeInteger
                1
                (within
                    0L
                    (int64 Int32.MaxValue)
                    (place.Inside "ir_version")
                    (int64 model.IrVersion))
            yield! writeOptional (place.Inside "producer_name") 2 model.Producer
            yield! writeOptional (place.Inside "producer_version") 3 model.ProducerVersion
            yield! writeOptional (place.Inside "doc_string") 6 model.DocString
            yield! each place "opset_import" opset model.Opsets
            yield! each place "metadata_props" metadata model.MetadataProps
            graph (place.Inside "graph") model.Graph
        ]

/// From bytes to records. Messages nest five deep and no deeper; fields of other numbers are
/// skipped.
module private OnnxReading =

    let private tensorData (element: OnnxElement) (m: Message) : OnnxData =
        let homeName, home =
            match element with
            | OnnxElement.Float -> "float_data", 4
            | OnnxElement.Double -> "double_data", 10
            | OnnxElement.Int64 -> "int64_data", 7
            | OnnxElement.UInt8
            | OnnxElement.Int32
            | OnnxElement.Bool -> "int32_data", 5

        let used =
            [ 4; 5; 6; 7; 9; 10; 11 ]
            |> List.filter (fun number ->
                m.Fields
                |> Array.exists (fun f ->
                    f.Number = number && (f.Length > 0 || f.Wire = WireFormat.WireType.Varint)))

        if not (List.contains used [ []; [ 9 ]; [ home ] ]) then
            Error.make ErrorKind.Schema "the numbers stand in the wrong field, or in two"
            |> Error.found ("fields " + String.Join(", ", used))
            |> Error.expected $"9 (raw_data) or {home} ({homeName})"
            |> m.Place.Report

        let fixedSize () : 'T[] =
            if used = [ home ] then
                numbers<'T> homeName home m
            else
                numbers<'T> "raw_data" 9 m

        let varints (least: int64) (most: int64) (convert: int64 -> 'T) : 'T[] =
            if used = [ home ] then
                integers homeName home m
                |> Array.mapi (fun i v -> convert (within least most (m.Place.Item(homeName, i)) v))
            else
                numbers<'T> "raw_data" 9 m

        match element with
        | OnnxElement.Float -> OnnxData.Float(fixedSize ())
        | OnnxElement.Double -> OnnxData.Double(fixedSize ())
        | OnnxElement.Int64 -> OnnxData.Int64(varints Int64.MinValue Int64.MaxValue id)
        | OnnxElement.Int32 ->
            OnnxData.Int32(varints (int64 Int32.MinValue) (int64 Int32.MaxValue) int32)
        | OnnxElement.UInt8 -> OnnxData.UInt8(varints 0L 255L uint8)
        | OnnxElement.Bool -> OnnxData.Bool(varints 0L 255L uint8 |> Array.map ((<>) 0uy))

    let private tensor (m: Message) : OnnxTensor =
        let before = m.Place.Log.Count

        let dims =
            integers "dims" 1 m
            |> Array.map (within 0L (int64 Int32.MaxValue) (m.Place.Inside "dims") >> int)
            |> List.ofArray

        let code = natural "data_type" 2 m

        let data =
            if has 13 m || natural "data_location" 14 m <> 0 then
                Error.make ErrorKind.Unsupported "the tensor's data are in another file"
                |> Error.hint
                    "Save the model as one file: in Python, onnx.load it and onnx.save_model it."
                |> m.Place.Report

                OnnxData.Float [||]
            elif has 3 m then
                m.Place.Complain ErrorKind.Unsupported "the tensor is cut into segments"
                OnnxData.Float [||]
            else
                match OnnxElement.tryOfCode code with
                | Some element -> tensorData element m
                | None ->
                    (m.Place.Inside "data_type").Report(OnnxElement.unsupported code)
                    OnnxData.Float [||]

        if m.Place.Log.Count = before then
            OnnxTensor.dimsError dims (OnnxTensor.elements data).LongLength
            |> Option.iter (m.Place.Inside "dims").Report

        { Name = text "name" 8 m; Dims = dims; Data = data }

    let private attribute (m: Message) : string * OnnxAttribute =
        let code = natural "type" 20 m

        let value =
            match code with
            | 1 ->
                numbers<float32> "f" 2 m
                |> Array.tryLast
                |> Option.defaultValue 0.0f
                |> OnnxAttribute.Float
            | 2 -> OnnxAttribute.Int(integer "i" 3 m)
            | 3 -> OnnxAttribute.String(text "s" 4 m)
            | 6 -> OnnxAttribute.Floats(numbers<float32> "floats" 7 m)
            | 7 -> OnnxAttribute.Ints(integers "ints" 8 m)
            | 8 -> OnnxAttribute.Strings(texts "strings" 9 m)
            | 4 ->
                match message "t" 5 tensor m with
                | Some value -> OnnxAttribute.Tensor value
                | None ->
                    m.Place.Complain ErrorKind.Schema "the attribute is a tensor and has none"
                    OnnxAttribute.Int 0L
            | _ ->
                Error.make ErrorKind.Unsupported "FunLik does not read attributes of this type"
                |> Error.found (string code)
                |> Error.expected
                    "1 float, 2 int, 3 string, 4 tensor, 6 floats, 7 ints or 8 strings"
                |> m.Place.Report

                OnnxAttribute.Int 0L

        text "name" 1 m, value

    let private node (m: Message) : OnnxNode =
        {
            OpType = text "op_type" 4 m
            Domain = text "domain" 7 m
            Name = text "name" 3 m
            Inputs = texts "input" 1 m |> List.ofArray
            Outputs = texts "output" 2 m |> List.ofArray
            Attributes = messages "attribute" 5 attribute m
        }

    let private dim (m: Message) : OnnxDim =
        if has 1 m then
            OnnxDim.Known(natural "dim_value" 1 m)
        else
            OnnxDim.Symbolic(text "dim_param" 2 m)

    let private tensorType (m: Message) : OnnxElement * OnnxDim list option =
        let code = natural "elem_type" 1 m
        let element = OnnxElement.tryOfCode code

        if element.IsNone then
            (m.Place.Inside "elem_type").Report(OnnxElement.unsupported code)

        Option.defaultValue OnnxElement.Float element, message "shape" 2 (messages "dim" 1 dim) m

    let private valueInfo (m: Message) : OnnxValueInfo =
        let element, dims =
            match message "type" 2 (message "tensor_type" 1 tensorType) m |> Option.flatten with
            | Some found -> found
            | None ->
                (m.Place.Inside "type").Complain ErrorKind.Unsupported "this is not a tensor"
                OnnxElement.Float, None

        { Name = text "name" 1 m; Element = element; Dims = dims }

    let private graph (m: Message) : OnnxGraph =
        if has 15 m then
            (m.Place.Inside "sparse_initializer").Complain
                ErrorKind.Unsupported
                "the model has sparse constants"

        {
            Name = text "name" 2 m
            Nodes = messages "node" 1 node m
            Initializers = messages "initializer" 5 tensor m
            Inputs = messages "input" 11 valueInfo m
            Outputs = messages "output" 12 valueInfo m
        }

    let private emptyGraph: OnnxGraph =
        { Name = ""; Nodes = []; Initializers = []; Inputs = []; Outputs = [] }

    let model (bytes: byte[]) : Result<OnnxModel, Error list> =
        let log = Log()
        let m = read log bytes

        if has 25 m then
            Error.make ErrorKind.Unsupported "the model has functions of its own"
            |> Error.hint "Inline them: in Python, onnx.inliner.inline_local_functions."
            |> (m.Place.Inside "functions").Report

        let graph = message "graph" 7 graph m

        let model =
            {
                IrVersion = natural "ir_version" 1 m
                Opsets =
                    messages "opset_import" 8 (fun o -> text "domain" 1 o, natural "version" 2 o) m
                Producer = text "producer_name" 2 m
                ProducerVersion = text "producer_version" 3 m
                DocString = text "doc_string" 6 m
                MetadataProps =
                    messages "metadata_props" 14 (fun p -> text "key" 1 p, text "value" 2 p) m
                Graph = Option.defaultValue emptyGraph graph
            }

        if log.Count = 0 && graph.IsNone then
            (m.Place.Inside "graph").Complain
                ErrorKind.Schema
                "there is no graph: this is no ONNX model, or only a part of one"

        if log.Count = 0 then
            OnnxCheck.model m.Place model

        log.Result model

/// ONNX files (onnx.proto3): the part of the format that a numeric function needs. Sequences, texts
/// as elements, sparse constants, subgraphs, functions and data in other files are refused; unknown
/// fields are skipped.
[<RequireQualifiedAccess>]
module OnnxFormat =

    /// An input or output with these axes.
    let valueInfo (name: string) (element: OnnxElement) (dims: OnnxDim list) : OnnxValueInfo =
        { Name = name; Element = element; Dims = Some dims }

    /// The parts of a model that is sound.
    let private parts (model: OnnxModel) : Result<Part list, Error list> =
        let place = { Log = Log(); Path = "" }
        let parts = OnnxWriting.model place model
        OnnxCheck.model place model

        if size parts > maxBytes then
            place.Report(tooBig (size parts))

        place.Log.Result parts

    /// The file's bytes, the same for equal models. The errors are dims that do not fit their data,
    /// names that stand twice, nodes without an op_type, text that is not Unicode, no operator set,
    /// and a size beyond 2 GiB.
    let write (model: OnnxModel) : Result<byte[], Error list> =
        parts model
        |> Result.map (fun parts ->
            let bytes = Array.zeroCreate<byte>(int (size parts))
            use out = new CodedOutputStream(bytes)
            emit out parts
            bytes)

    /// Writes the file beside its place, flushed, and moves it there: it is whole or as it was
    /// before.
    let writeFile (path: string) (model: OnnxModel) : Result<unit, Error list> =
        parts model
        |> Result.mapError (List.map (Error.withFile path))
        |> Result.bind (fun parts ->
            AtomicFile.write path (fun stream ->
                use out = new CodedOutputStream(stream, true)
                Ok(emit out parts)))

    /// The model in these bytes, or where and how they are spoiled. Any bytes may be given: nothing
    /// is thrown, and time and memory are bounded by a multiple of their number.
    let read (bytes: byte[]) : Result<OnnxModel, Error list> = OnnxReading.model bytes

    /// The model in a file of at most 2 GiB, or where and how it is spoiled.
    let readFile (path: string) : Result<OnnxModel, Error list> =
        FileError.guard path (fun () ->
            let size = FileInfo(path).Length

            if size > maxBytes then
                Error.fail (tooBig size)
            else
                read (File.ReadAllBytes path))
        |> Result.mapError (List.map (Error.withFile path))
