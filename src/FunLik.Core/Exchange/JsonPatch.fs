namespace FunLik

open System
open System.Text.Json
open System.Text.Json.Nodes

/// One operation of a JSON patch.
type PatchOperation =
    {
        /// `add`, `remove`, `replace`, `move`, `copy` or `test`.
        Name: string
        /// The pointer to what it changes, in steps.
        Path: string list
        /// The pointer to what it takes, of `move` and `copy`.
        From: string list option
        /// The value that it puts or wants.
        Value: Json option
        /// Where the operation stands, for messages.
        Place: Json
    }

/// JSON patches (RFC 6902) with JSON pointers (RFC 6901).
[<RequireQualifiedAccess>]
module JsonPatch =

    /// A pointer in steps: `/channels/0/samples/-`.
    let private pointer (json: Json) : Result<string list, Error list> =
        Json.text json
        |> Result.bind (fun text ->
            let rest = text.Replace("~0", "").Replace("~1", "")

            if text = "" then
                Ok []
            elif not (text.StartsWith '/') || rest.Contains '~' then
                Json.refuse ErrorKind.Syntax "not a JSON pointer" "/KEY/INDEX/.., or nothing" json
            else
                text.Substring(1).Split '/'
                |> Array.map (fun step -> step.Replace("~1", "/").Replace("~0", "~"))
                |> List.ofArray
                |> Ok)

    let private operation (json: Json) : Result<PatchOperation, Error list> =
        let names =
            [ "add"; "remove"; "replace"; "move"; "copy"; "test" ]
            |> List.map (fun n -> n, n)

        Json.field "op" (Json.oneOf names) json
        |> Result.bind (fun name ->
            let from =
                if name = "move" || name = "copy" then
                    Json.field "from" pointer json |> Result.map Some
                else
                    Ok None

            let value =
                if name = "add" || name = "replace" || name = "test" then
                    Json.property "value" json |> Result.map Some
                else
                    Ok None

            Validation.map3
                (fun path from value ->
                    { Name = name; Path = path; From = from; Value = value; Place = json })
                (Json.field "path" pointer json)
                from
                value)

    /// Reads the operations of a patch; keys beyond those of an operation are ignored, as the RFC wants.
    let operations (json: Json) : Result<PatchOperation list, Error list> = Json.list operation json

    let private written (steps: string list) : string =
        steps
        |> List.map (fun step -> "/" + step.Replace("~", "~0").Replace("/", "~1"))
        |> String.concat ""

    /// Where one operation fails: what it found, and what it needs.
    type private Failure = { Message: string; Found: string; Expected: string }

    let private failure (message: string) (found: string) (expected: string) : Result<'T, Failure> =
        Result.Error { Message = message; Found = found; Expected = expected }

    let private kind (node: JsonNode) : string =
        match node with
        | :? JsonObject -> "an object"
        | :? JsonArray as items -> $"an array of {items.Count}"
        | null -> "null"
        | other -> other.ToJsonString()

    /// An index of at most `last`, as RFC 6901 writes it.
    let private index (last: int) (path: string list) (step: string) : Result<int, Failure> =
        let isNumber =
            step <> ""
            && step |> Seq.forall Char.IsAsciiDigit
            && (step = "0" || step[0] <> '0')

        match Int32.TryParse step with
        | true, i when isNumber && i <= last -> Ok i
        | _ -> failure "the path leads nowhere" (written path) $"an index from 0 to {last}"

    /// The node at a path below the root.
    let private find (root: JsonNode) (path: string list) : Result<JsonNode, Failure> =
        let rec go (node: JsonNode) (walked: string list) (rest: string list) =
            match rest with
            | [] -> Ok node
            | step :: later ->
                let here = walked @ [ step ]

                match node with
                | :? JsonObject as o ->
                    if o.ContainsKey step then
                        go o[step] here later
                    else
                        failure "the path leads nowhere" (written here) "a key that is there"
                | :? JsonArray as a ->
                    index (a.Count - 1) here step |> Result.bind (fun i -> go a[i] here later)
                | other ->
                    failure
                        "the path leads nowhere"
                        $"{written here} in {kind other}"
                        "an object or an array"

        go root [] path

    /// Patches may copy this many values in all: each copy could double a document.
    let private mostCopied = 1 <<< 22

    /// How many values a node has, itself among them, and how deep they are nested; no deeper than is read.
    let rec private measure (depth: int) (node: JsonNode) : struct (int * int) =
        let below (items: JsonNode seq) : struct (int * int) =
            items
            |> Seq.fold
                (fun (struct (count, deepest)) item ->
                    let struct (more, inner) = measure (depth + 1) item
                    struct (count + more, max deepest inner))
                (struct (1, depth + 1))

        match node with
        | _ when depth > Json.maxDepth -> struct (1, depth)
        | :? JsonObject as o -> below (o |> Seq.map _.Value)
        | :? JsonArray as a -> below a
        | _ -> struct (1, depth)

    /// Refuses what would be nested deeper than is read.
    let private fits (path: string list) (value: JsonNode) : Result<int, Failure> =
        let struct (count, depth) = measure path.Length value

        if depth > Json.maxDepth then
            failure "nested too deep" $"{depth} levels" $"at most {Json.maxDepth}"
        else
            Ok count

    let private copyOf (node: JsonNode) : JsonNode = if isNull node then null else node.DeepClone()

    let private ofJson (json: Json) : JsonNode =
        JsonNode.Parse(
            json.Element.GetRawText(),
            Nullable(),
            JsonDocumentOptions(MaxDepth = Json.maxDepth)
        )

    let private split (path: string list) : string list * string =
        let all = Array.ofList path
        List.ofArray all[.. all.Length - 2], all[all.Length - 1]

    let private add
        (root: JsonNode)
        (path: string list)
        (value: JsonNode)
        : Result<JsonNode, Failure> =
        if path.IsEmpty then
            Ok value
        else
            let above, last = split path

            find root above
            |> Result.bind (fun parent ->
                match parent with
                | :? JsonObject as o ->
                    o[last] <- value
                    Ok root
                | :? JsonArray as a when last = "-" ->
                    a.Add value
                    Ok root
                | :? JsonArray as a ->
                    index a.Count path last
                    |> Result.map (fun i ->
                        a.Insert(i, value)
                        root)
                | other ->
                    failure
                        "nothing can be added there"
                        $"{written above}, {kind other}"
                        "an object or an array")

    let private remove (root: JsonNode) (path: string list) : Result<JsonNode, Failure> =
        if path.IsEmpty then
            Ok null
        else
            let above, last = split path

            find root path
            |> Result.bind (fun _ -> find root above)
            |> Result.map (fun parent ->
                match parent with
                | :? JsonArray as a -> a.RemoveAt(int last)
                | :? JsonObject as o -> o.Remove last |> ignore
                | _ -> ()

                root)

    let private replace
        (root: JsonNode)
        (path: string list)
        (value: JsonNode)
        : Result<JsonNode, Failure> =
        if path.IsEmpty then
            Ok value
        else
            let above, last = split path

            find root path
            |> Result.bind (fun _ -> find root above)
            |> Result.map (fun parent ->
                match parent with
                | :? JsonArray as a -> a[int last] <- value
                | :? JsonObject as o -> o[last] <- value
                | _ -> ()

                root)

    let private startsWith (first: string list) (path: string list) : bool =
        path.Length >= first.Length && List.truncate first.Length path = first

    let private perform
        (copied: int64 ref)
        (root: JsonNode)
        (operation: PatchOperation)
        : Result<JsonNode, Failure> =
        let value () : JsonNode = operation.Value |> Option.map ofJson |> Option.toObj
        let from = operation.From |> Option.defaultValue []

        let checkedValue () : Result<JsonNode, Failure> =
            let node = value ()
            fits operation.Path node |> Result.map (fun _ -> node)

        match operation.Name with
        | "add" -> checkedValue () |> Result.bind (add root operation.Path)
        | "remove" -> remove root operation.Path
        | "replace" -> checkedValue () |> Result.bind (replace root operation.Path)
        | "copy" ->
            find root from
            |> Result.bind (fun node ->
                fits operation.Path node
                |> Result.bind (fun count ->
                    copied.Value <- copied.Value + int64 count

                    if copied.Value > int64 mostCopied then
                        failure
                            "the patch copies too much"
                            $"{copied.Value} values"
                            $"at most {mostCopied}"
                    else
                        add root operation.Path (copyOf node)))
        | "move" when operation.Path <> from && startsWith from operation.Path ->
            failure
                "a value cannot move into itself"
                (written operation.Path)
                $"a place outside of {written from}"
        | "move" ->
            find root from
            |> Result.bind (fun node ->
                fits operation.Path node |> Result.map (fun _ -> copyOf node))
            |> Result.bind (fun moved ->
                remove root from |> Result.bind (fun rest -> add rest operation.Path moved))
        | _ ->
            find root operation.Path
            |> Result.bind (fun node ->
                if JsonNode.DeepEquals(node, value ()) then
                    Ok root
                else
                    failure "the test of the patch fails" (kind node) "the value of the test")

    /// The text of a document after the operations of a patch, all or none of them. Mistakes name the operation.
    let apply (operations: PatchOperation list) (document: Json) : Result<string, Error list> =
        let copied = ref 0L

        let rec go (root: JsonNode) (rest: PatchOperation list) : Result<JsonNode, Error list> =
            match rest with
            | [] -> Ok root
            | next :: later ->
                match perform copied root next with
                | Ok changed -> go changed later
                | Result.Error f ->
                    Json.error ErrorKind.Value $"{f.Message} ({next.Name})" next.Place
                    |> Error.found f.Found
                    |> Error.expected f.Expected
                    |> Error.fail

        go (ofJson document) operations
        |> Result.map (fun root -> if isNull root then "null" else root.ToJsonString())
