namespace FunLik

open System
open System.Globalization
open System.Numerics
open System.Security.Cryptography
open System.Text
open System.Text.Json

/// A patch of a patch set.
type NamedPatch =
    {
        /// The name, unique in its set.
        Name: string
        /// What it stands for, one value a label of the set.
        Values: string list
        /// What it does.
        Operations: PatchOperation list
    }

/// Patches for one workspace, as experiments publish the signals of a search.
type PatchSet =
    {
        /// What the values of patches are.
        Labels: string list
        /// Digests of the workspace to which the patches belong: the algorithm and its hexadecimal digits.
        Digests: (string * string) list
        /// The patches.
        Patches: NamedPatch list
        /// Where the set stands, for messages.
        Place: Json
    }

/// Patch sets of pyhf (version 1.0.0), and digests as pyhf computes them.
[<RequireQualifiedAccess>]
module PatchSet =

    /// A double as Python writes it: the fewest digits, and an exponent below 1e-4 and from 1e16 on.
    let private pythonFloat (value: float) : string =
        let text = value.ToString("E16", CultureInfo.InvariantCulture)

        if Double.IsPositiveInfinity value then
            "Infinity"
        elif Double.IsNegativeInfinity value then
            "-Infinity"
        elif value = 0.0 then
            if text.StartsWith '-' then "-0.0" else "0.0"
        else
            let shortest = (abs value).ToString("R", CultureInfo.InvariantCulture)
            let parts = shortest.Split 'E'
            let point = parts[0].IndexOf '.'
            let whole = if point < 0 then parts[0].Length else point
            let written = parts[0].Replace(".", "")
            let leading = written.Length - written.TrimStart('0').Length
            let digits = written.TrimStart('0').TrimEnd('0')
            let given = if parts.Length > 1 then int parts[1] else 0
            // The value is 0.DIGITS times ten to this power.
            let power = whole - leading + given
            let sign = if value < 0.0 then "-" else ""

            if power > 16 || power < -3 then
                let exponent = power - 1
                let tail = if digits.Length > 1 then "." + digits.Substring 1 else ""
                let mark = if exponent < 0 then "-" else "+"
                $"{sign}{digits[0]}{tail}e{mark}{abs exponent:D2}"
            elif power <= 0 then
                $"{sign}0.{String('0', -power)}{digits}"
            elif digits.Length <= power then
                $"{sign}{digits}{String('0', power - digits.Length)}.0"
            else
                $"{sign}{digits.Substring(0, power)}.{digits.Substring power}"

    let private pythonText (target: StringBuilder) (text: string) : unit =
        target.Append '"' |> ignore

        for c in text do
            match c with
            | '"' -> target.Append "\\\""
            | '\\' -> target.Append "\\\\"
            | '\n' -> target.Append "\\n"
            | '\r' -> target.Append "\\r"
            | '\t' -> target.Append "\\t"
            | '\b' -> target.Append "\\b"
            | '\012' -> target.Append "\\f"
            | c when c < ' ' -> target.Append $"\\u{int c:x4}"
            | c -> target.Append c
            |> ignore

        target.Append '"' |> ignore

    /// Order by code points, as Python sorts texts.
    let private byCodePoint (a: string) (b: string) : int =
        let first = a.EnumerateRunes() |> Seq.map _.Value
        let second = b.EnumerateRunes() |> Seq.map _.Value
        Seq.compareWith compare first second

    let rec private pythonValue (target: StringBuilder) (element: JsonElement) : unit =
        match element.ValueKind with
        | JsonValueKind.Object ->
            target.Append '{' |> ignore

            element.EnumerateObject()
            |> Seq.sortWith (fun a b -> byCodePoint a.Name b.Name)
            |> Seq.iteri (fun i p ->
                if i > 0 then
                    target.Append ", " |> ignore

                pythonText target p.Name
                target.Append ": " |> ignore
                pythonValue target p.Value)

            target.Append '}' |> ignore
        | JsonValueKind.Array ->
            target.Append '[' |> ignore

            element.EnumerateArray()
            |> Seq.iteri (fun i item ->
                if i > 0 then
                    target.Append ", " |> ignore

                pythonValue target item)

            target.Append ']' |> ignore
        | JsonValueKind.String -> pythonText target (element.GetString())
        | JsonValueKind.Number ->
            let raw = element.GetRawText()

            if raw.IndexOfAny [| '.'; 'e'; 'E' |] < 0 then
                target.Append(BigInteger.Parse(raw, CultureInfo.InvariantCulture)) |> ignore
            else
                target.Append(pythonFloat (Double.Parse(raw, CultureInfo.InvariantCulture)))
                |> ignore
        | JsonValueKind.True -> target.Append "true" |> ignore
        | JsonValueKind.False -> target.Append "false" |> ignore
        | _ -> target.Append "null" |> ignore

    /// The text of which pyhf takes digests: keys sorted, ", " and ": " between, numbers as Python writes them.
    let canonical (json: Json) : string =
        let target = StringBuilder()
        pythonValue target json.Element
        target.ToString()

    let private algorithms: (string * (byte[] -> byte[])) list =
        [
            "md5", MD5.HashData
            "sha1", SHA1.HashData
            "sha256", SHA256.HashData
            "sha384", SHA384.HashData
            "sha512", SHA512.HashData
        ]

    /// The digest of a document, by the name of the algorithm: hexadecimal digits.
    let digest (algorithm: string) (json: Json) : string option =
        algorithms
        |> List.tryFind (fun (name, _) -> name = algorithm)
        |> Option.map (fun (_, hash) ->
            canonical json |> Encoding.UTF8.GetBytes |> hash |> Convert.ToHexStringLower)

    /// Whether a document is a patch set: an object with patches.
    let isPatchSet (json: Json) : bool = Json.optional "patches" json |> Result.exists Option.isSome

    let private patch (labels: string list) (json: Json) : Result<NamedPatch, Error list> =
        let values (given: Json) : Result<string list, Error list> =
            Json.items given
            |> Result.bind (fun items ->
                if items.Length = labels.Length then
                    items
                    |> List.map (fun item ->
                        match Json.text item, Json.float item with
                        | Ok text, _ -> Ok text
                        | _, Ok _ -> Ok(string item)
                        | _ -> Json.refuse ErrorKind.Schema "wrong type" "a text or a number" item)
                    |> Error.collect
                else
                    Json.refuse
                        ErrorKind.Shape
                        "wrong length"
                        $"{labels.Length} values, one a label"
                        given)

        Json.field
            "metadata"
            (fun metadata ->
                Validation.map2
                    (fun name values -> name, values)
                    (Json.field "name" Json.text metadata)
                    (Json.field "values" values metadata))
            json
        |> Validation.map2
            (fun operations (name, values) ->
                { Name = name; Values = values; Operations = operations })
            (Json.field "patch" JsonPatch.operations json)

    let private unique
        (places: Json)
        (patches: NamedPatch list)
        : Result<NamedPatch list, Error list> =
        let twice (what: string) (key: NamedPatch -> string) : Error list =
            patches
            |> List.countBy key
            |> List.filter (fun (_, count) -> count > 1)
            |> List.map (fun (name, count) ->
                Json.error ErrorKind.Name $"the {what} '{name}' stand {count} times" places)

        match twice "name" _.Name @ twice "values" (fun p -> String.concat ", " p.Values) with
        | [] -> Ok patches
        | errors -> Result.Error errors

    /// Reads a patch set.
    let ofJson (json: Json) : Result<PatchSet, Error list> =
        let metadata (place: Json) : Result<string list * (string * string) list, Error list> =
            Validation.map2
                (fun labels digests -> labels, digests)
                (Json.field "labels" (Json.list Json.text) place)
                (Json.field
                    "digests"
                    (fun digests ->
                        Json.entries digests
                        |> Result.bind (fun entries ->
                            entries
                            |> List.map (fun (name, value) ->
                                if
                                    algorithms |> List.exists (fun (known, _) -> known = name)
                                then
                                    Json.text value |> Result.map (fun text -> name, text)
                                else
                                    Json.error
                                        ErrorKind.Unsupported
                                        "the digest is not known"
                                        value
                                    |> Error.found name
                                    |> Error.expected (
                                        algorithms |> List.map fst |> String.concat ", "
                                    )
                                    |> Error.fail)
                            |> Error.collect))
                    place)

        Validation.map2
            (fun _ given -> given)
            (Json.field "version" (Json.oneOf [ "1.0.0", () ]) json)
            (Json.field "metadata" metadata json)
        |> Result.bind (fun (labels, digests) ->
            Json.field
                "patches"
                (fun places -> Json.list (patch labels) places |> Result.bind (unique places))
                json
            |> Result.map (fun patches ->
                { Labels = labels; Digests = digests; Patches = patches; Place = json }))

    /// The patch of a name, of a set that belongs to this workspace: every digest is computed and compared.
    let choose (name: string) (workspace: Json) (set: PatchSet) : Result<NamedPatch, Error list> =
        let mismatches =
            set.Digests
            |> List.choose (fun (algorithm, expected) ->
                match digest algorithm workspace with
                | Some found when
                    not (String.Equals(found, expected, StringComparison.OrdinalIgnoreCase))
                    ->
                    Json.error
                        ErrorKind.Value
                        $"the patch set belongs to another workspace: its {algorithm} digest differs"
                        set.Place
                    |> Error.at $"$.metadata.digests.{algorithm}"
                    |> Error.found found
                    |> Error.expected expected
                    |> Some
                | _ -> None)

        let wanted =
            match set.Patches |> List.tryFind (fun p -> p.Name = name) with
            | Some patch -> Ok patch
            | None ->
                let known = set.Patches |> List.map _.Name

                Json.error ErrorKind.Name "the patch set has no patch of this name" set.Place
                |> Error.at "$.patches"
                |> Error.found name
                |> Error.expected (
                    (known |> List.truncate 5 |> String.concat ", ")
                    + (if known.Length > 5 then
                           $" or one of {known.Length - 5} more"
                       else
                           "")
                )
                |> Error.fail

        if mismatches.IsEmpty then
            wanted
        else
            Result.Error mismatches
