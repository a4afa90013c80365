namespace FunLik

open System
open System.Collections.Generic
open System.Numerics
open System.Reflection.Emit
open System.Runtime.CompilerServices
open System.Runtime.Intrinsics
open FSharp.NativeInterop

/// A loop made at run time: the addresses of the three spaces.
type internal Loop = delegate of row: nativeint * prologue: nativeint * run: nativeint -> unit

/// Loops over several element-by-element operations, made at run time so that values stay in registers.
[<RequireQualifiedAccess>]
module internal Fuse =

    /// Whether this runtime can make code.
    let isSupported: bool = RuntimeFeature.IsDynamicCodeSupported

    /// The byte offsets of mapped features, kept as long as the loop.
    let private mapsFor<'T when 'T: unmanaged>
        (recipe: LoopPlan)
        (lanes: int)
        : Dictionary<int, nativeint> * Buffer<int> list =
        let addresses = Dictionary<int, nativeint>()

        let buffers =
            [
                for i in recipe.Nodes do
                    match recipe.Facts.Op i with
                    | Some(Op.Gather indices) when recipe.Facts.IsMapped i ->
                        let buffer = Buffer<int> indices.Length

                        indices
                        |> Array.iteri (fun k index ->
                            NativePtr.set buffer.Start k (index * lanes * sizeof<'T>))

                        addresses[i] <- NativePtr.toNativeInt buffer.Start
                        buffer
                    | _ -> ()
            ]

        addresses, buffers

    /// Makes the loop for tiles of so many lanes; 1 is a vector. What it refers to is returned with it.
    let private make<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (recipe: LoopPlan)
        (lanes: int)
        : struct (Loop * Buffer<int> list) =
        let parameters = [| typeof<nativeint>; typeof<nativeint>; typeof<nativeint> |]

        let dynamic =
            DynamicMethod("loop", typeof<Void>, parameters, typeof<Loop>.Module, true)

        let maps, buffers = mapsFor<'T> recipe lanes
        let writer = LoopWriter<'T>(recipe, lanes, dynamic.GetILGenerator())

        if lanes = 1 then writer.Vector maps else writer.Tile maps
        let loop = dynamic.CreateDelegate(typeof<Loop>) :?> Loop
        struct (loop, buffers)

    /// A loop over shared vectors, without sums, for the elements from one up to another: whole registers, so that ranges that share
    /// none can run at once.
    let range<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (recipe: LoopPlan)
        : Frame<'T> -> int -> int -> unit =
        let made =
            lazy
                (let parameters = [| typeof<nativeint>; typeof<nativeint>; typeof<nativeint> |]

                 let dynamic =
                     DynamicMethod("loop", typeof<Void>, parameters, typeof<Loop>.Module, true)

                 LoopWriter<'T>(recipe, 1, dynamic.GetILGenerator()).Range()
                 dynamic.CreateDelegate(typeof<Loop>) :?> Loop)

        fun f from past ->
            let borders = NativePtr.stackalloc<nativeint> 2
            NativePtr.set borders 0 (nativeint from * nativeint sizeof<'T>)
            NativePtr.set borders 1 (nativeint past * nativeint sizeof<'T>)

            made.Value.Invoke(
                NativePtr.toNativeInt borders,
                NativePtr.toNativeInt f.Prologue,
                NativePtr.toNativeInt f.Run
            )

    /// The step of a loop; made for each width of tiles when it is first used.
    let step<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
        (gather: int[] -> Operand -> Operand -> Step<'T>)
        (recipe: LoopPlan)
        : Step<'T> =
        let forLanes (lanes: int) = lazy (make<'T> recipe lanes)

        let vector, narrow, full =
            forLanes 1, forLanes Vector512<'T>.Count, forLanes Frame.fullTile<'T>

        let wide = forLanes Frame.wideTile<'T>

        let mapped =
            recipe.Nodes
            |> Array.choose (fun i ->
                match recipe.Facts.Op i with
                | Some(Op.Gather indices) when recipe.Facts.IsMapped i ->
                    Some(
                        gather
                            indices
                            recipe.Operands[recipe.Facts.Arguments[i][0]]
                            recipe.Operands[i]
                    )
                | _ -> None)

        fun f ->
            let made =
                if f.Lanes = 1 then
                    for g in mapped do
                        g f

                    vector
                elif f.Lanes = Frame.fullTile<'T> then
                    full
                elif f.Lanes = Frame.wideTile<'T> then
                    wide
                else
                    narrow

            let struct (loop, keep) = made.Value

            loop.Invoke(
                NativePtr.toNativeInt f.Row,
                NativePtr.toNativeInt f.Prologue,
                NativePtr.toNativeInt f.Run
            )

            GC.KeepAlive keep
