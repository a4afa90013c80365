namespace FunLik

open System
open System.Numerics
open System.Runtime.Intrinsics
open FSharp.NativeInterop

/// How a batch is cut: rows of a tile, tiles, tiles of a block, blocks, blocks whose rows are packed before their outer products are
/// summed.
[<Struct>]
type internal Cut = { Lanes: int; Tiles: int; Block: int; Blocks: int; Chunk: int }

module internal Cut =

    /// Tiles of a block are added up one after the other; there are at most as many blocks.
    let private mostBlocks = 64

    let private leastTiles = 4
    let private chunkBlocks = 16

    /// Many wide tiles: the last one is not full.
    let private fewestWide = 8

    let private lanesFor<'T when 'T: unmanaged> (wide: bool) (rows: int) : int =
        if rows = 1 then
            1
        elif rows <= Vector512<'T>.Count then
            Vector512<'T>.Count
        elif wide && rows >= fewestWide * Frame.wideTile<'T> then
            Frame.wideTile<'T>
        else
            Frame.fullTile<'T>

    /// How many rows are cut: in wide tiles where a layout takes them, and in chunks where their outer products are summed.
    let ofRows<'T when 'T: unmanaged> (wide: bool) (packs: bool) (rows: int) : Cut =
        let lanes = lanesFor<'T> wide rows
        let tiles = (rows + lanes - 1) / lanes

        let block =
            if packs then
                leastTiles
            else
                max leastTiles ((tiles + mostBlocks - 1) / mostBlocks)

        let blocks = (tiles + block - 1) / block

        {
            Lanes = lanes
            Tiles = tiles
            Block = block
            Blocks = blocks
            Chunk = if packs then min blocks chunkBlocks else blocks
        }

/// Numbers of an engine's type.
module internal Numbers =

    let convert<'T when 'T :> INumberBase<'T>> (values: float[]) : 'T[] =
        values |> Array.map (fun v -> 'T.CreateTruncating<float> v)

    let inline copyTo (source: 'T[]) (target: nativeptr<'T>) : unit =
        source.AsSpan().CopyTo(Span<'T>(NativePtr.toVoidPtr target, source.Length))
