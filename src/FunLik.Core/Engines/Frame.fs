namespace FunLik

open System
open System.Collections.Concurrent
open System.Numerics
open FSharp.NativeInterop

/// Numbers at a fixed place on a 64-byte border, zero at first.
type internal Buffer<'T when 'T: unmanaged>(length: int) =
    let spare = 64 / sizeof<'T>
    let array: 'T[] = GC.AllocateArray<'T>(length + 2 * spare, true)

    let start =
        let first = Runtime.InteropServices.Marshal.UnsafeAddrOfPinnedArrayElement(array, 0)
        NativePtr.ofNativeInt<'T>((first + 63n) &&& ~~~63n)

    /// The first number.
    member _.Start: nativeptr<'T> = start
    /// How many there are. Read off the array: a binding that no member reads is no field, and its memory would be taken back.
    member _.Length: int = array.Length - 2 * spare

/// Computes sums over tables for a tile.
[<AbstractClass>]
type internal Reducer<'T when 'T: unmanaged>() =

    /// Reduction `reduction` for each row of a tile: reads captured operands, writes results (output of the body, operand).
    abstract Reduce:
        frame: Frame<'T> * reduction: int * captured: Operand[] * results: struct (int * Operand)[] ->
            unit

/// What one thread works on: the spaces of a layout and some tiles of rows, of which one is at hand.
and internal Frame<'T when 'T: unmanaged>(lanes: int, rowFeatures: int, tiles: int) =
    let apart = rowFeatures * lanes
    let rows = Buffer<'T>(apart * tiles + 64)

    /// Rows computed at once.
    member _.Lanes: int = lanes
    /// The elements from one tile to the next.
    member _.Apart: int = apart
    /// The tile at hand.
    member val Row: nativeptr<'T> = rows.Start with get, set
    member val Prologue: nativeptr<'T> = NativePtr.nullPtr with get, set
    member val Run: nativeptr<'T> = NativePtr.nullPtr with get, set
    /// Where the sums of the current block of tiles are.
    member val Sums: nativeptr<'T> = NativePtr.nullPtr with get, set
    /// The first row of the tile.
    member val First: int = 0 with get, set
    /// The rows of the tile that exist.
    member val Valid: int = 0 with get, set
    /// The rows of the batch.
    member val Rows: int = 0 with get, set
    member val Inputs: nativeptr<'T>[] = [||] with get, set
    member val Outputs: nativeptr<'T>[] = [||] with get, set
    /// Where the rows of the batch stand in the inputs; null if they stand there in order.
    member val Places: nativeptr<int> = NativePtr.nullPtr with get, set
    member val Reducer: Reducer<'T> = Unchecked.defaultof<Reducer<'T>> with get, set
    /// How sums over tables inside of this tile may run.
    member val Options: RunOptions = RunOptions.Single with get, set

    /// Where the packed rows of the current chunk are, how many there is room for, and the first of them.
    member val Packs: nativeptr<'T> = NativePtr.nullPtr with get, set
    member val PackDepth: int = 0 with get, set
    member val PackFirst: int = 0 with get, set

    /// Takes a tile at hand: its place among the tiles of this frame, and its number in the batch.
    member f.Select(place: int, tile: int) : unit =
        f.Row <- NativePtr.add rows.Start (place * apart)
        f.First <- tile * lanes
        f.Valid <- min lanes (f.Rows - f.First)

    /// The address of an operand.
    member inline f.At(o: Operand) : nativeptr<'T> =
        match o.Space with
        | Space.Row -> NativePtr.add f.Row (o.Offset * f.Lanes)
        | Space.Prologue -> NativePtr.add f.Prologue o.Offset
        | _ -> NativePtr.add f.Run o.Offset

    /// How an operand is read in loops over this tile.
    member inline f.Access(o: Operand) : Access =
        if f.Lanes = 1 then
            if o.Stride = 1 then Access.Flat else Access.Uniform
        elif o.Space = Space.Row then
            if o.Stride = 1 then Access.Flat else Access.Lanes
        elif o.Stride = 1 then
            Access.Features
        else
            Access.Uniform

/// Facts about frames.
module internal Frame =

    /// Rows of a full tile: two registers of lanes, the width of the register tile of matrix products.
    let fullTile<'T when 'T: unmanaged> : int =
        2 * System.Runtime.Intrinsics.Vector512<'T>.Count

    /// Rows of a tile of a small program: what a tile costs, whatever its width, is shared by more of them.
    let wideTile<'T when 'T: unmanaged> : int = 8 * fullTile<'T>

/// What a kernel does for one task, on the frame of a thread.
type internal Step<'T when 'T: unmanaged> = Frame<'T> -> unit

/// Frames that are not in use.
type internal Pool<'V when 'V: not struct>(make: unit -> 'V) =
    let free = ConcurrentBag<'V>()

    member _.Take() : 'V =
        match free.TryTake() with
        | true, known -> known
        | _ -> make ()

    member _.Give(value: 'V) : unit = free.Add value
