module FunLik.Tests.OnnxBytesTests

open System
open System.Text
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

/// Protobuf bytes by hand: an implementation apart from the one under test.
module private Bytes =

    let rec varint (value: uint64) : byte list =
        if value < 0x80UL then
            [ byte value ]
        else
            byte (value &&& 0x7FUL ||| 0x80UL) :: varint (value >>> 7)

    let tag (number: int) (wire: int) : byte list = varint (uint64 (number <<< 3 ||| wire))

    let int (number: int) (value: int64) : byte list = tag number 0 @ varint (uint64 value)

    let block (number: int) (content: byte list) : byte list =
        tag number 2 @ varint (uint64 content.Length) @ content

    let text (number: int) (value: string) : byte list =
        block number (List.ofArray (Encoding.UTF8.GetBytes value))

    let opset: byte list = block 8 (text 1 "" @ int 2 13L)

    /// A model with this content in its graph.
    let model (graph: byte list) : byte[] = int 1 8L @ opset @ block 7 graph |> Array.ofList

    /// A model with one initializer of this content.
    let tensor (content: byte list) : byte[] = model (block 5 content)

    /// A model with one node of this content.
    let node (content: byte list) : byte[] = model (block 1 (text 4 "Op" @ content))

    /// A model with one input of this type.
    let input (typeContent: byte list) : byte[] =
        model (block 11 (text 1 "x" @ block 2 typeContent))

let private parse (bytes: byte[]) : OnnxModel = OnnxFormat.read bytes |> Error.orRaise

let private errorsOf (result: Result<'T, Error list>) : Error list =
    match result with
    | Ok _ -> []
    | Result.Error errors -> errors

[<Fact>]
let ``numbers may be packed or not, and unknown fields are skipped`` () =
    let floats = [ 0uy; 0uy; 128uy; 63uy; 0uy; 0uy; 0uy; 64uy ]

    let unpacked =
        [ 0; 4 ]
        |> List.collect (fun i -> Bytes.tag 4 5 @ List.take 4 (List.skip i floats))

    let head = Bytes.int 1 2L @ Bytes.int 2 1L

    let unknown =
        Bytes.int 99 1L
        @ Bytes.block 98 [ 255uy; 255uy ]
        @ Bytes.tag 97 5
        @ [ 0uy; 0uy; 0uy; 0uy ]

    let expected = parse (Bytes.tensor (head @ Bytes.block 9 floats))
    Assert.Equal(OnnxData.Float [| 1.0f; 2.0f |], expected.Graph.Initializers.Head.Data)
    Assert.Equal(expected, parse (Bytes.tensor (head @ Bytes.block 4 floats)))
    Assert.Equal(expected, parse (Bytes.tensor (head @ unpacked)))
    Assert.Equal(expected, parse (Bytes.tensor (unknown @ head @ Bytes.block 9 floats)))

    let packedDims = Bytes.block 1 [ 2uy ] @ Bytes.int 2 1L @ Bytes.block 9 floats
    Assert.Equal(expected, parse (Bytes.tensor packedDims))

[<Fact>]
let ``any bytes are read or refused, and never throw`` () =
    let law (bytes: byte[]) =
        match OnnxFormat.read bytes, OnnxFormat.read (Bytes.model (List.ofArray bytes)) with
        | Ok _, _ -> false
        | Result.Error errors, _ -> not errors.IsEmpty

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 2000, law)

/// Spoiled bytes, and the kind, path and words of the first error that they give.
let private spoiled: (string * byte[] * ErrorKind * string option * string) list =
    let bad name bytes kind path words = name, Array.ofList bytes, kind, Some path, words

    let graph name content kind path words = name, Bytes.model content, kind, Some path, words

    let tensor name content kind path words =
        name, Bytes.tensor content, kind, Some("graph.initializer[0]" + path), words

    let attribute name content kind path words =
        let content = Bytes.block 5 (Bytes.text 1 "a" @ content)
        name, Bytes.node content, kind, Some("graph.node[0].attribute[0]" + path), words

    let input name content kind path words =
        name, Bytes.input content, kind, Some("graph.input[0].type" + path), words

    let raw (count: int) = Bytes.block 9 (List.replicate count 0uy)
    let dims (sizes: int64 list) = sizes |> List.collect (Bytes.int 1)
    let float = Bytes.int 2 1L
    let float1 = Bytes.int 1 1L
    let ones = List.replicate 11 255uy

    [
        bad "nothing" [] ErrorKind.Schema "graph" "no graph"
        bad "no graph" (Bytes.int 1 8L @ Bytes.opset) ErrorKind.Schema "graph" "no graph"
        bad
            "no operator set"
            (Bytes.int 1 8L @ Bytes.block 7 [])
            ErrorKind.Schema
            "opset_import"
            "no operator set"
        bad "a text file" (List.ofArray "hello, world"B) ErrorKind.Syntax "byte 2" "wire type"
        bad "a tag without an end" ones ErrorKind.Syntax "byte 0" "tag is cut off or too long"
        bad "a tag that is cut off" [ 0x88uy ] ErrorKind.Syntax "byte 0" "tag is cut off"
        bad "field number 0" [ 0uy; 0uy ] ErrorKind.Syntax "byte 0" "field number"
        bad
            "a field number beyond 32 bits"
            (Bytes.varint 0x8_0000_0008UL)
            ErrorKind.Syntax
            "byte 0"
            "field number"
        bad "a varint that is cut off" [ 8uy; 0x80uy ] ErrorKind.Syntax "byte 0" "number is cut off"
        bad "a varint of eleven bytes" (8uy :: ones) ErrorKind.Syntax "byte 0" "too long"
        bad "a group" (Bytes.tag 50 3 @ Bytes.tag 50 4) ErrorKind.Syntax "byte 0" "wire type"
        bad
            "groups a million deep"
            (List.replicate 1_000_000 0x0Buy)
            ErrorKind.Syntax
            "byte 0"
            "wire type"
        bad "wire type 7" [ 0x0Fuy ] ErrorKind.Syntax "byte 0" "wire type"
        bad
            "a fixed number that is cut off"
            (Bytes.tag 60 1 @ [ 0uy ])
            ErrorKind.Syntax
            "byte 0"
            "beyond the end"
        bad
            "a length of 2^63"
            (Bytes.tag 7 2 @ Bytes.varint (1UL <<< 63))
            ErrorKind.Syntax
            "byte 0"
            "beyond the end"
        bad
            "a length of 2^32 + 1"
            (Bytes.tag 7 2 @ Bytes.varint ((1UL <<< 32) + 1UL) @ [ 0uy ])
            ErrorKind.Syntax
            "byte 0"
            "beyond the end"
        bad
            "two graphs"
            (Bytes.int 1 8L @ Bytes.opset @ Bytes.block 7 [] @ Bytes.block 7 [])
            ErrorKind.Schema
            "graph"
            "twice"
        bad
            "a version of the wrong type"
            (Bytes.text 1 "8" @ Bytes.opset @ Bytes.block 7 [ 255uy ])
            ErrorKind.Syntax
            "graph.byte 11"
            "cut off"
        bad
            "a version that is negative"
            (Bytes.int 1 -8L @ Bytes.opset @ Bytes.block 7 [])
            ErrorKind.Value
            "ir_version"
            "out of range"
        bad
            "two operator sets of one domain"
            (Bytes.int 1 8L @ Bytes.opset @ Bytes.opset @ Bytes.block 7 [])
            ErrorKind.Name
            "opset_import"
            "twice"
        bad
            "functions"
            (Bytes.int 1 8L @ Bytes.block 25 [])
            ErrorKind.Unsupported
            "functions"
            "functions"
        graph
            "sparse constants"
            (Bytes.block 15 [])
            ErrorKind.Unsupported
            "graph.sparse_initializer"
            "sparse"
        graph
            "a name that is not UTF-8"
            (Bytes.block 2 [ 0xC3uy; 0x28uy ])
            ErrorKind.Syntax
            "graph.name[0]"
            "UTF-8"
        graph "a node that is a number" (Bytes.int 1 7L) ErrorKind.Schema "graph.node" "wire type"
        graph
            "a node without an operator"
            (Bytes.block 1 [])
            ErrorKind.Schema
            "graph.node[0]"
            "op_type"
        graph
            "a node cut off inside"
            (Bytes.block 1 (Bytes.tag 4 2 @ [ 9uy; 65uy ]))
            ErrorKind.Syntax
            "graph.node[0].byte 12"
            "beyond the end"
        graph
            "two constants of one name"
            (Bytes.block 5 (dims [ 0 ] @ float) @ Bytes.block 5 (dims [ 0 ] @ float))
            ErrorKind.Name
            "graph.initializer"
            "twice"
        graph
            "an input without a type"
            (Bytes.block 11 (Bytes.text 1 "x"))
            ErrorKind.Unsupported
            "graph.input[0].type"
            "not a tensor"
        tensor
            "too few numbers"
            (dims [ 2; 2 ] @ float @ raw 12)
            ErrorKind.Shape
            ".dims"
            "do not match"
        tensor
            "too many numbers"
            (dims [ 2 ] @ float @ raw 12)
            ErrorKind.Shape
            ".dims"
            "do not match"
        tensor
            "half a number"
            (dims [ 1 ] @ float @ raw 3)
            ErrorKind.Shape
            ".raw_data"
            "whole numbers"
        tensor "a negative dim" (dims [ -1 ] @ float @ raw 4) ErrorKind.Value ".dims" "out of range"
        tensor
            "dims whose product is 0 in 64 bits"
            (List.replicate 64 2L |> dims |> fun d -> d @ float)
            ErrorKind.Shape
            ".dims"
            "do not match"
        tensor
            "dims of terabytes"
            (dims [ 2147483647L; 2147483647L; 3 ] @ float @ raw 4)
            ErrorKind.Shape
            ".dims"
            "do not match"
        tensor
            "a dim beyond an array"
            (dims [ 4294967297L ] @ float @ raw 4)
            ErrorKind.Value
            ".dims"
            "out of range"
        tensor
            "half precision"
            (dims [ 1 ] @ Bytes.int 2 10L @ raw 2)
            ErrorKind.Unsupported
            ".data_type"
            "element type"
        tensor
            "no element type"
            (dims [ 1 ] @ raw 4)
            ErrorKind.Unsupported
            ".data_type"
            "element type"
        tensor
            "numbers in two fields"
            (dims [ 1 ] @ float @ raw 4 @ Bytes.block 4 [ 0uy; 0uy; 0uy; 0uy ])
            ErrorKind.Schema
            ""
            "in two"
        tensor
            "numbers in the field of another type"
            (dims [ 1 ] @ float @ Bytes.int 7 1L)
            ErrorKind.Schema
            ""
            "wrong field"
        tensor
            "a byte of 256"
            (dims [ 1 ] @ Bytes.int 2 2L @ Bytes.int 5 256L)
            ErrorKind.Value
            ".int32_data[0]"
            "out of range"
        tensor
            "packed numbers that are cut off"
            (dims [ 1 ] @ Bytes.int 2 7L @ Bytes.block 7 [ 1uy; 0x80uy ])
            ErrorKind.Syntax
            ".int64_data"
            "cut off"
        tensor
            "data in another file"
            (dims [ 1 ]
             @ float
             @ Bytes.block 13 (Bytes.text 1 "location" @ Bytes.text 2 "/etc/passwd")
             @ Bytes.int 14 1L)
            ErrorKind.Unsupported
            ""
            "another file"
        tensor
            "external by location alone"
            (dims [ 1 ] @ float @ Bytes.int 14 1L)
            ErrorKind.Unsupported
            ""
            "another file"
        tensor
            "segments"
            (dims [ 1 ] @ float @ raw 4 @ Bytes.block 3 [])
            ErrorKind.Unsupported
            ""
            "segments"
        attribute
            "an attribute without a type"
            []
            ErrorKind.Unsupported
            ""
            "attributes of this type"
        attribute
            "a subgraph"
            (Bytes.int 20 5L @ Bytes.block 6 [])
            ErrorKind.Unsupported
            ""
            "attributes of this type"
        attribute
            "a tensor attribute without a tensor"
            (Bytes.int 20 4L)
            ErrorKind.Schema
            ""
            "has none"
        attribute
            "a tensor attribute that is external"
            (Bytes.int 20 4L @ Bytes.block 5 (float @ Bytes.int 14 1L))
            ErrorKind.Unsupported
            ".t"
            "another file"
        attribute
            "a float of the wrong wire type"
            (Bytes.int 20 1L @ Bytes.int 2 1L)
            ErrorKind.Schema
            ".f"
            "wire type"
        input "a sequence" (Bytes.block 4 []) ErrorKind.Unsupported "" "not a tensor"
        input
            "strings"
            (Bytes.block 1 (Bytes.int 1 8L))
            ErrorKind.Unsupported
            ".tensor_type.elem_type"
            "element type"
        input
            "a negative axis"
            (Bytes.block 1 (float1 @ Bytes.block 2 (Bytes.block 1 (Bytes.int 1 -1L))))
            ErrorKind.Value
            ".tensor_type.shape.dim[0].dim_value"
            "out of range"
    ]

[<Fact>]
let ``spoiled bytes are refused, saying where and why`` () =
    let misses =
        [
            for name, bytes, kind, path, words in spoiled do
                match OnnxFormat.read bytes with
                | Ok _ -> $"{name} was read"
                | Result.Error [] -> $"{name} gave no error"
                | Result.Error(first :: _) ->
                    let asExpected =
                        first.Kind = kind && first.Path = path && first.Message.Contains words

                    if not asExpected then
                        $"{name}: {first.Kind}, {first}"
        ]

    Assert.Equal("", String.concat "\n" misses)

[<Fact>]
let ``several mistakes are told at once, and many are cut short`` () =
    let bad = Bytes.block 5 (Bytes.int 1 1L @ Bytes.int 2 10L)
    Assert.Equal(3, (OnnxFormat.read (Bytes.model (bad @ bad @ bad)) |> errorsOf).Length)
    let many = List.replicate 1000 bad |> List.concat
    Assert.Equal(20, (OnnxFormat.read (Bytes.model many) |> errorsOf).Length)

[<Fact>]
let ``more fields than the limit are refused`` () =
    let bytes = Array.create 20_000_002 8uy
    let errors = OnnxFormat.read bytes |> errorsOf
    Assert.Equal(ErrorKind.Limit, (List.last errors).Kind)
