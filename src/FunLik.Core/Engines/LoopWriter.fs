namespace FunLik

open System.Collections.Generic
open System.Numerics
open System.Reflection.Emit
open System.Runtime.Intrinsics

/// Writes the code of a loop for tiles of so many lanes; 1 is a vector.
type internal LoopWriter<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>>
    (recipe: LoopPlan, lanes: int, il: ILGenerator) =

    let facts = recipe.Facts
    let width = Vector512<'T>.Count
    let bytes = sizeof<'T>
    let isVector = (lanes = 1)
    let plan = LoopFacts(recipe, isVector, width)
    let methods = Registers.methods<'T>

    let call (name: string) : unit =
        // One number is read before it fills a register.
        if name = "Splat" then
            il.Emit(OpCodes.Ldobj, typeof<'T>)

        il.Emit(OpCodes.Call, methods[name])

    let register () : LocalBuilder = il.DeclareLocal typeof<Vector512<'T>>

    /// Byte offset of the current register of lanes (tiles) or elements (vectors).
    let lane = il.DeclareLocal typeof<nativeint>
    /// Byte offset of the current feature of tiles in rows, and of shared numbers.
    let feature = il.DeclareLocal typeof<nativeint>
    let number = il.DeclareLocal typeof<nativeint>
    let once = Dictionary<struct (Space * int * bool), LocalBuilder>()
    let turn = Dictionary<struct (Space * int * bool), LocalBuilder>()
    let values = Dictionary<int, LocalBuilder>()
    let totals = Dictionary<int, LocalBuilder>()

    let pushNative (value: int64) : unit =
        il.Emit(OpCodes.Ldc_I8, value)
        il.Emit OpCodes.Conv_I

    let pushBase (o: Operand) : unit =
        match o.Space with
        | Space.Row -> il.Emit OpCodes.Ldarg_0
        | Space.Prologue -> il.Emit OpCodes.Ldarg_1
        | _ -> il.Emit OpCodes.Ldarg_2

        let scale = if o.Space = Space.Row then lanes * bytes else bytes
        pushNative (int64 o.Offset * int64 scale)
        il.Emit OpCodes.Add

    let addLocal (offset: LocalBuilder) : unit =
        il.Emit(OpCodes.Ldloc, offset)
        il.Emit OpCodes.Add

    let keep
        (known: Dictionary<_, LocalBuilder>)
        (key: struct (Space * int * bool))
        (emit: unit -> unit)
        =
        match known.TryGetValue key with
        | true, local -> local
        | _ ->
            let local = register ()
            emit ()
            il.Emit(OpCodes.Stloc, local)
            known[key] <- local
            local

    /// The key of an operand, and the emission of its load for the given reach.
    let loadOnce (o: Operand) : unit =
        match plan.Reach o with
        | Reach.OnceNumber ->
            keep once (struct (o.Space, o.Offset, false)) (fun () ->
                pushBase o
                call "Splat")
            |> ignore
        | Reach.OnceLanes -> ()
        | _ -> ()

    let loadLanes (o: Operand) : unit =
        match plan.Reach o with
        | Reach.OnceLanes ->
            keep once (struct (o.Space, o.Offset, true)) (fun () ->
                pushBase o
                addLocal lane
                call "Load")
            |> ignore
        | _ -> ()

    let local (o: Operand) : LocalBuilder =
        match plan.Reach o with
        | Reach.OnceNumber -> once[struct (o.Space, o.Offset, false)]
        | Reach.OnceLanes -> once[struct (o.Space, o.Offset, true)]
        | Reach.Running ->
            keep turn (struct (o.Space, o.Offset, true)) (fun () ->
                pushBase o

                if isVector then
                    addLocal lane
                else
                    addLocal lane
                    addLocal feature

                call "Load")
        | Reach.Repeated ->
            keep turn (struct (o.Space, o.Offset, false)) (fun () ->
                pushBase o
                addLocal number
                call "Splat")

    /// The register that holds a node.
    let held (a: int) : LocalBuilder =
        match plan.Value a with
        | ValueSome h -> values[h]
        | ValueNone -> local recipe.Operands[a]

    let push (a: int) : unit = il.Emit(OpCodes.Ldloc, held a)

    let inverses = Dictionary<LocalBuilder, struct (LocalBuilder * LocalBuilder)>()

    let invert (divisor: LocalBuilder) : struct (LocalBuilder * LocalBuilder) =
        match inverses.TryGetValue divisor with
        | true, known -> known
        | _ ->
            let exponent, inverse = register (), register ()
            il.Emit(OpCodes.Ldloc, divisor)
            call "Exponent"
            il.Emit(OpCodes.Stloc, exponent)
            il.Emit(OpCodes.Ldloc, divisor)
            il.Emit(OpCodes.Ldloc, exponent)
            call "Inverse"
            il.Emit(OpCodes.Stloc, inverse)
            let made = struct (exponent, inverse)
            inverses[divisor] <- made
            made

    /// Inverts what stays through a loop that is about to begin.
    let invertOnce (reached: Reach) : unit =
        for i in recipe.Nodes do
            if plan.Op i = Op.Div then
                let divisor = facts.Arguments[i][1]
                let operand = recipe.Operands[divisor]

                if
                    (plan.Value divisor).IsNone
                    && plan.Reach operand = reached
                    && plan.IsInverted divisor
                then
                    invert (local operand) |> ignore

    let factors (h: int) : int * int = facts.Arguments[h][0], facts.Arguments[h][1]

    let power (exponent: int) (a: int) : unit =
        // The exponent is small: products one after the other.
        let n = abs exponent

        push a

        for _ in 2..n do
            push a
            call "Mul"

        if exponent < 0 then
            let denominator = register ()
            il.Emit(OpCodes.Stloc, denominator)
            call "One"
            il.Emit(OpCodes.Ldloc, denominator)
            call "Div"

    let compute (i: int) : unit =
        let a = facts.Arguments[i]

        let plain (name: string) : unit =
            Array.iter push a
            call name

        match plan.Op i with
        | Op.Add ->
            match plan.Contracted a[0], plan.Contracted a[1] with
            | ValueSome h, _ ->
                let x, y = factors h
                push x
                push y
                push a[1]
                call "Fma"
            | _, ValueSome h ->
                let x, y = factors h
                push x
                push y
                push a[0]
                call "Fma"
            | _ -> plain "Add"
        | Op.Sub ->
            match plan.Contracted a[0], plan.Contracted a[1] with
            | ValueSome h, _ ->
                let x, y = factors h
                push x
                push y
                push a[1]
                call "Neg"
                call "Fma"
            | _, ValueSome h ->
                let x, y = factors h
                push x
                call "Neg"
                push y
                push a[0]
                call "Fma"
            | _ -> plain "Sub"
        | Op.Div when plan.IsInverted a[1] ->
            let struct (exponent, inverse) = invert (held a[1])
            push a[0]
            il.Emit(OpCodes.Ldloc, exponent)
            il.Emit(OpCodes.Ldloc, inverse)
            call "Quotient"
        | Op.XLogY ->
            push a[0]
            push a[1]
            call "Log"
            call "MaskedMul"
        | Op.Power 0 -> call "One"
        | Op.Power exponent -> power exponent a[0]
        | other -> plain (string other)

    /// The address of a kept value in this turn.
    let pushTarget (o: Operand) : unit =
        pushBase o
        addLocal lane

        if not isVector && recipe.Size > 1 then
            addLocal feature

    /// A mapped element's address is looked up: tiles only; vectors find it written out.
    let loadMapped (i: int) (map: nativeint) : unit =
        let source = recipe.Operands[facts.Arguments[i][0]]
        pushBase source
        addLocal lane
        // map holds byte offsets of features; `number` counts bytes of numbers.
        pushNative (int64 map)
        il.Emit(OpCodes.Ldloc, number)
        pushNative (int64 bytes)
        il.Emit OpCodes.Div
        pushNative 4L
        il.Emit OpCodes.Mul
        il.Emit OpCodes.Add
        il.Emit OpCodes.Ldind_I4
        il.Emit OpCodes.Conv_I
        il.Emit OpCodes.Add
        call "Load"

    let body (maps: Dictionary<int, nativeint>) (tail: int) : unit =
        for made in Seq.append turn.Values values.Values do
            inverses.Remove made |> ignore

        turn.Clear()
        values.Clear()

        for i in recipe.Nodes do
            if facts.IsSum i then
                let a = facts.Arguments[i][0]
                let total = totals[i]

                if tail > 0 then
                    il.Emit(OpCodes.Ldloc, total)

                    match plan.Contracted a with
                    | ValueSome h ->
                        let x, y = factors h
                        push x
                        push y
                        call "Mul"
                    | ValueNone -> push a

                    il.Emit(OpCodes.Ldc_I4, tail)
                    call "First"
                    call "Add"
                else
                    match plan.Contracted a with
                    | ValueSome h ->
                        let x, y = factors h
                        push x
                        push y
                        il.Emit(OpCodes.Ldloc, total)
                        call "Fma"
                    | ValueNone ->
                        il.Emit(OpCodes.Ldloc, total)
                        push a
                        call "Add"

                il.Emit(OpCodes.Stloc, total)
            elif not (plan.IsTaken i) then
                let value = register ()

                if facts.IsMapped i then
                    if isVector then
                        il.Emit(OpCodes.Ldloc, local recipe.Operands[i])
                    else
                        loadMapped i maps[i]
                else
                    compute i

                il.Emit(OpCodes.Stloc, value)
                values[i] <- value

                if plan.IsKept i && not (isVector && facts.IsMapped i) then
                    il.Emit(OpCodes.Ldloc, value)
                    pushTarget recipe.Operands[i]
                    call "Store"

    let set (target: LocalBuilder) (value: int64) : unit =
        pushNative value
        il.Emit(OpCodes.Stloc, target)

    let advance (target: LocalBuilder) (step: int) : unit =
        il.Emit(OpCodes.Ldloc, target)
        pushNative (int64 step)
        il.Emit OpCodes.Add
        il.Emit(OpCodes.Stloc, target)

    /// Repeats `inner` until `counter` reaches `limit` bytes.
    let repeat (counter: LocalBuilder) (limit: int64) (inner: unit -> unit) : unit =
        let top = il.DefineLabel()
        il.MarkLabel top
        inner ()
        il.Emit(OpCodes.Ldloc, counter)
        pushNative limit
        il.Emit(OpCodes.Blt, top)

    let externals =
        recipe.Nodes
        |> Array.collect (fun i ->
            if facts.IsMapped i then
                [| recipe.Operands[i] |]
            else
                facts.Arguments[i]
                |> Array.filter (fun a -> (plan.Value a).IsNone)
                |> Array.map (fun a -> recipe.Operands[a]))

    let zeroTotals () : unit =
        for i in recipe.Nodes do
            if facts.IsSum i then
                if not (totals.ContainsKey i) then
                    totals[i] <- register ()

                call "Zero"
                il.Emit(OpCodes.Stloc, totals[i])

    /// A loop over tiles: registers of lanes outside, features inside.
    member _.Tile(maps: Dictionary<int, nativeint>) : unit =
        Array.iter loadOnce externals
        invertOnce Reach.OnceNumber
        set lane 0L

        repeat lane (int64 (lanes * bytes)) (fun () ->
            Array.iter loadLanes externals
            invertOnce Reach.OnceLanes
            zeroTotals ()
            set feature 0L
            set number 0L

            if recipe.Size = 1 then
                body maps 0
            else
                repeat number (int64 (recipe.Size * bytes)) (fun () ->
                    body maps 0
                    advance feature (lanes * bytes)
                    advance number bytes)

            for KeyValue(i, total) in totals do
                il.Emit(OpCodes.Ldloc, total)
                pushBase recipe.Operands[i]
                addLocal lane
                call "Store"

            advance lane (width * bytes))

        il.Emit OpCodes.Ret

    /// A loop over one vector of elements.
    member _.Vector(maps: Dictionary<int, nativeint>) : unit =
        let whole = recipe.Size / width
        let rest = recipe.Size % width
        let hasSums = recipe.Nodes |> Array.exists facts.IsSum
        Array.iter loadOnce externals
        invertOnce Reach.OnceNumber
        zeroTotals ()
        set lane 0L

        if whole > 0 then
            repeat lane (int64 (whole * width * bytes)) (fun () ->
                body maps 0
                advance lane (width * bytes))

        if rest > 0 then
            body maps (if hasSums then rest else 0)

        for KeyValue(i, total) in totals do
            il.Emit(OpCodes.Ldloc, total)
            pushBase recipe.Operands[i]
            call "StoreSum"

        il.Emit OpCodes.Ret

    /// A loop over some of the elements of a vector, in whole registers: the first and the last byte offset stand, one behind the other,
    /// where the address of rows would be.
    member _.Range() : unit =
        let top, past = il.DefineLabel(), il.DeclareLocal typeof<nativeint>
        Array.iter loadOnce externals
        invertOnce Reach.OnceNumber
        il.Emit OpCodes.Ldarg_0
        il.Emit OpCodes.Ldind_I
        il.Emit(OpCodes.Stloc, lane)
        il.Emit OpCodes.Ldarg_0
        il.Emit(OpCodes.Ldc_I4, sizeof<nativeint>)
        il.Emit OpCodes.Add
        il.Emit OpCodes.Ldind_I
        il.Emit(OpCodes.Stloc, past)
        il.MarkLabel top
        body (Dictionary()) 0
        advance lane (width * bytes)
        il.Emit(OpCodes.Ldloc, lane)
        il.Emit(OpCodes.Ldloc, past)
        il.Emit(OpCodes.Blt, top)
        il.Emit OpCodes.Ret
