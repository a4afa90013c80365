namespace FunLik

open System

/// The operators that choose, order and shape elements.
module internal OnnxShapes =

    let gather (call: OnnxCall) : OnnxArray =
        let array = OnnxCall.argument 0 call

        let axis =
            OnnxCall.place array (OnnxCall.toInt (float (OnnxCall.integer "axis" 0L call)))

        let dims = OnnxArray.dims array

        match OnnxCall.argument 1 call with
        | OnnxArray.Constant(_, indices, indexDims) ->
            let taken = indices |> Array.map (OnnxCall.toInt >> OnnxCall.inRange dims[axis])

            OnnxArray.rearrange
                (OnnxCall.replaceAxis axis indexDims dims)
                (OnnxCall.along array axis taken)
                array
        | _ -> OnnxArray.unsupported "indices that are not constant"

    let slice (call: OnnxCall) : OnnxArray =
        let array = OnnxCall.argument 0 call
        let rank = (OnnxArray.dims array).Length + OnnxCall.front array

        let required (k: int) (name: string) : int list =
            match OnnxCall.integers k name call with
            | Some values -> values
            | None -> OnnxArray.refuse ErrorKind.Schema $"'{name}' is missing"

        let starts, ends = required 1 "starts", required 2 "ends"

        let axes =
            OnnxCall.integers 3 "axes" call
            |> Option.defaultWith (fun () -> [ 0 .. starts.Length - 1 ])

        let steps =
            OnnxCall.integers 4 "steps" call
            |> Option.defaultWith (fun () -> starts |> List.map (fun _ -> 1))

        if List.exists (fun (l: int list) -> l.Length <> starts.Length) [ ends; axes; steps ] then
            OnnxArray.refuse ErrorKind.Shape "starts, ends, axes and steps of different lengths"

        List.zip (List.zip starts ends) (List.zip axes steps)
        |> List.fold
            (fun array ((first, last), (axis, step)) ->
                let isBatch = (if axis < 0 then axis + rank else axis) < OnnxCall.front array

                if isBatch && first = 0 && last = Int32.MaxValue && step = 1 then
                    array
                else
                    let axis = OnnxCall.place array axis
                    let dims = OnnxArray.dims array
                    let size = int64 dims[axis]

                    let clamp (low: int64) (high: int64) (index: int) : int64 =
                        let index = int64 index
                        max low (min high (if index < 0L then index + size else index))

                    let step = int64 step

                    let taken =
                        if step > 0L then
                            [| clamp 0L size first .. step .. clamp 0L size last - 1L |]
                        elif step < 0L then
                            let from = clamp 0L (size - 1L) first
                            let last = clamp -1L (size - 1L) last
                            [| from..step .. last + 1L |]
                        else
                            OnnxArray.refuse ErrorKind.Value "a slice with step 0"
                        |> Array.map int

                    OnnxArray.rearrange
                        (OnnxCall.replaceAxis axis [ taken.Length ] dims)
                        (OnnxCall.along array axis taken)
                        array)
            array

    let concat (call: OnnxCall) : OnnxArray =
        let arrays = List.init call.Arguments.Length (fun k -> OnnxCall.argument k call)

        if arrays.IsEmpty then
            OnnxArray.refuse ErrorKind.Schema "a concatenation of nothing"

        if
            arrays
            |> List.exists (fun a -> OnnxArray.isRow a <> OnnxArray.isRow arrays.Head)
        then
            OnnxArray.unsupported "a concatenation of rows and constants"

        let axis =
            OnnxCall.place arrays.Head (OnnxCall.toInt (float (OnnxCall.integer "axis" 0L call)))

        let others (a: OnnxArray) = OnnxCall.replaceAxis axis [ 0 ] (OnnxArray.dims a)

        if
            arrays
            |> List.exists (fun a ->
                (OnnxArray.dims a).Length <> (OnnxArray.dims arrays.Head).Length
                || others a <> others arrays.Head)
        then
            OnnxArray.refuse ErrorKind.Shape "a concatenation of arrays that do not fit"

        let dims =
            OnnxCall.replaceAxis
                axis
                [ arrays |> List.sumBy (fun a -> (OnnxArray.dims a)[axis]) ]
                (OnnxArray.dims arrays.Head)

        // Each array's block of `inner` elements follows that of the one before it.
        let outer = dims |> List.take axis |> OnnxArray.size

        let sizes =
            arrays |> List.map (fun a -> OnnxArray.size (OnnxArray.dims a) / max 1 outer)

        let starts =
            List.scan (+) 0 (sizes |> List.map ((*) outer)) |> List.take sizes.Length

        let order =
            [|
                for o in 0 .. outer - 1 do
                    for start, count in List.zip starts sizes do
                        for k in 0 .. count - 1 -> start + o * count + k
            |]

        let total = [ order.Length ]
        let one = Expr.concat (arrays |> List.map OnnxArray.value)

        let kind =
            match arrays.Head with
            | OnnxArray.Flag _ -> OnnxArray.Flag(one, total)
            | OnnxArray.Row _ -> OnnxArray.Row(OnnxArray.flat one, total)
            | OnnxArray.Constant _ -> OnnxArray.withValue arrays.Head total one

        OnnxArray.pick dims order kind

    /// Dims out of a reshape's list, in which 0 keeps an axis and -1 is what is left.
    let reshape (call: OnnxCall) : OnnxArray =
        let array = OnnxCall.argument 0 call
        let old = OnnxArray.dims array

        let wanted =
            match OnnxCall.integers 1 "shape" call with
            | Some dims -> dims
            | None -> OnnxArray.refuse ErrorKind.Schema "the shape is missing"

        let rest =
            match wanted with
            | first :: rest when OnnxArray.isRow array ->
                let keepsRows = first = 0 || first = -1 || Some first = call.Rows

                if not keepsRows then
                    OnnxArray.unsupported $"a reshape of rows to {OnnxArray.describe wanted}"

                rest
            | [] when OnnxArray.isRow array -> OnnxArray.unsupported "a reshape of rows to a number"
            | all -> all

        let kept =
            rest
            |> List.mapi (fun k d ->
                match d with
                | 0 when k < old.Length -> old[k]
                | d when d < -1 -> OnnxArray.refuse ErrorKind.Shape $"the size {d} of an axis"
                | d -> d)

        let known = kept |> List.filter (fun d -> d <> -1) |> OnnxArray.size
        let total = OnnxArray.size old

        let dims =
            kept |> List.map (fun d -> if d = -1 && known > 0 then total / known else d)

        if OnnxArray.size dims <> total || List.contains -1 dims then
            OnnxArray.unsupported
                $"a reshape of rows of {OnnxArray.describe old} to {OnnxArray.describe rest}"

        OnnxArray.reshape dims array

    let flatten (call: OnnxCall) : OnnxArray =
        let array = OnnxCall.argument 0 call

        if not (OnnxArray.isRow array) || OnnxCall.integer "axis" 1L call <> 1L then
            OnnxArray.unsupported "flatten of anything but rows, or along another axis than 1"

        OnnxArray.reshape [ OnnxArray.size (OnnxArray.dims array) ] array

    let squeeze (call: OnnxCall) : OnnxArray =
        let array = OnnxCall.argument 0 call
        let dims = OnnxArray.dims array

        let axes =
            match OnnxCall.integers 1 "axes" call with
            | Some axes -> axes |> List.map (OnnxCall.place array) |> Set.ofList
            | None ->
                dims |> List.indexed |> List.filter (snd >> (=) 1) |> List.map fst |> Set.ofList

        if axes |> Set.exists (fun k -> dims[k] <> 1) then
            OnnxArray.refuse ErrorKind.Shape "squeeze of an axis that is not of size 1"

        let left =
            dims
            |> List.indexed
            |> List.filter (fun (k, _) -> not (axes.Contains k))
            |> List.map snd

        OnnxArray.reshape left array

    let unsqueeze (call: OnnxCall) : OnnxArray =
        let array = OnnxCall.argument 0 call
        let old = OnnxArray.dims array

        let axes =
            match OnnxCall.integers 1 "axes" call with
            | Some axes -> axes
            | None -> OnnxArray.refuse ErrorKind.Schema "the axes are missing"

        let rank = old.Length + OnnxCall.front array + axes.Length

        let ones =
            axes
            |> List.map (fun a -> (if a < 0 then a + rank else a) - OnnxCall.front array)
            |> Set.ofList

        let length = rank - OnnxCall.front array

        if ones.Count <> axes.Length || ones |> Set.exists (fun a -> a < 0 || a >= length) then
            OnnxArray.unsupported
                "unsqueeze in front of the batch axis, or at an axis that is not there"

        let dims, _ =
            [ 0 .. length - 1 ]
            |> List.mapFold
                (fun left k ->
                    match left with
                    | _ when ones.Contains k -> 1, left
                    | next :: rest -> next, rest
                    | [] -> 1, [])
                old

        OnnxArray.reshape dims array

    let transpose (call: OnnxCall) : OnnxArray =
        let array = OnnxCall.argument 0 call
        let dims = OnnxArray.dims array
        let rank = dims.Length + OnnxCall.front array

        let order =
            match OnnxCall.attribute "perm" call with
            | None -> [ rank - 1 .. -1 .. 0 ]
            | Some(OnnxAttribute.Ints axes) ->
                axes |> Array.map (float >> OnnxCall.toInt) |> List.ofArray
            | Some _ -> OnnxArray.unsupported "the attribute 'perm' is not integers"

        if List.sort order <> [ 0 .. rank - 1 ] then
            OnnxArray.refuse ErrorKind.Shape $"the permutation {OnnxArray.describe order}"

        if OnnxArray.isRow array && order.Head <> 0 then
            OnnxArray.unsupported "a transposition of the batch axis"

        let axes =
            order
            |> List.skip (OnnxCall.front array)
            |> List.map (fun a -> a - OnnxCall.front array)

        let strides = OnnxArray.strides dims

        OnnxArray.rearrange
            (axes |> List.map (fun a -> dims[a]))
            (axes |> List.map (fun a -> Array.init dims[a] (fun k -> k * strides[a])))
            array

    let expand (call: OnnxCall) : OnnxArray =
        let array = OnnxCall.argument 0 call

        match OnnxCall.integers 1 "shape" call, OnnxArray.isRow array with
        | Some(first :: rest), true when first = 1 || Some first = call.Rows ->
            let old = OnnxArray.dims array

            if rest.Length <> old.Length then
                OnnxArray.unsupported "an expansion that adds axes to rows"

            let dims = List.map2 (fun (o: int) r -> if r = 1 then o else r) old rest

            if List.exists2 (fun o d -> o <> 1 && o <> d) old dims then
                OnnxArray.refuse ErrorKind.Shape "an expansion that does not fit"

            OnnxArray.expand dims array
        | Some dims, false ->
            let _, common =
                OnnxArray.align
                    [
                        array
                        OnnxArray.Constant(
                            OnnxElement.Float,
                            Array.zeroCreate (OnnxArray.size dims),
                            dims
                        )
                    ]

            OnnxArray.expand common array
        | _ -> OnnxArray.unsupported "an expansion along the batch axis"
