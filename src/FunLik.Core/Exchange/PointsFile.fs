namespace FunLik

open System
open System.IO

/// Parameter points in files.
[<RequireQualifiedAccess>]
module PointsFile =

    /// Of many mistakes in one file the first ones are reported.
    let private mistakesAFile = 3

    let private none (path: string) : Result<float[], Error list> =
        Error.make ErrorKind.Shape "there are no points"
        |> Error.withFile path
        |> Error.fail

    /// For each parameter of the model its place in the file's order of names.
    let private order (names: string[]) (given: Json) : Result<int[], Error list> =
        Json.items given
        |> Result.bind (fun items ->
            items
            |> List.map (fun item -> Json.text item |> Result.map (fun name -> name, item))
            |> Error.collect)
        |> Result.bind (fun found ->
            let place =
                found |> List.mapi (fun i (name, _) -> name, i) |> List.rev |> Map.ofList

            let known = Set.ofArray names

            let doubled =
                found
                |> List.indexed
                |> List.filter (fun (i, (name, _)) -> place[name] <> i)
                |> List.map (fun (_, (name, item)) ->
                    Json.error ErrorKind.Name $"the parameter '{name}' stands twice" item)

            let unknown =
                found
                |> List.filter (fun (name, _) -> not (known.Contains name))
                |> List.map (fun (name, item) ->
                    Json.error ErrorKind.Name $"the model has no parameter '{name}'" item
                    |> Error.expected (String.concat ", " names))

            let missing = names |> Array.filter (fun n -> not (place.ContainsKey n))

            let lacking =
                if missing.Length = 0 then
                    []
                else
                    [
                        Json.error ErrorKind.Name "parameters of the model are missing" given
                        |> Error.expected (String.concat ", " missing)
                    ]

            match doubled @ unknown @ lacking with
            | [] -> Ok(names |> Array.map (fun n -> place[n]))
            | errors -> Result.Error errors)

    let private ofJson (names: string[]) (path: string) (json: Json) : Result<float[], Error list> =
        let places =
            Json.optionalField "parameters" (order names) json
            |> Result.map (Option.defaultWith (fun () -> Array.init names.Length id))

        let rows =
            Json.field
                "points"
                (fun points ->
                    Json.items points
                    |> Result.bind (fun items ->
                        let read = items |> List.map (Json.floats names.Length)

                        let failed =
                            read |> List.filter Result.isError |> List.truncate mistakesAFile

                        if failed.IsEmpty then
                            Error.collect read
                        else
                            Error.collect failed))
                json

        Validation.map3
            (fun (places: int[]) rows () ->
                [|
                    for row: float[] in rows do
                        for place in places -> row[place]
                |])
            places
            rows
            (Json.onlyKeys [ "points"; "parameters" ] json)
        |> Result.bind (fun values -> if values.Length = 0 then none path else Ok values)

    let private ofNpy
        (names: string[])
        (path: string)
        (array: NpyArray)
        : Result<float[], Error list> =
        let size = names.Length

        match array.Shape with
        | [ n ]
        | [ _; n ] when n = size ->
            array.Values
            |> Seq.indexed
            |> Seq.filter (fun (_, v) -> not (Double.IsFinite v))
            |> Seq.truncate mistakesAFile
            |> Seq.map (fun (i, v) ->
                Error.make ErrorKind.Value $"the value of '{names[i % size]}' is not finite"
                |> Error.withFile path
                |> Error.at $"row {i / size}, column {i % size}"
                |> Error.found $"{v}"
                |> Error.expected "a finite number")
            |> List.ofSeq
            |> function
                | [] when array.Values.Length = 0 -> none path
                | [] -> Ok array.Values
                | errors -> Result.Error errors
        | shape ->
            Error.make ErrorKind.Shape "the array does not hold points of this model"
            |> Error.withFile path
            |> Error.found (shape |> List.map string |> String.concat " x ")
            |> Error.expected $"points x {size}"
            |> Error.fail

    /// Reads points for a model with these parameters; gives them row-major in the model's order. A `.npy` file holds points x
    /// parameters, or one point; any other is JSON: `{"points": [[..], ..]}` in the model's order, or with
    /// `"parameters": [names]` in that one. Errors name the file and the place.
    let load (names: string[]) (path: string) : Result<float[], Error list> =
        if String.Equals(Path.GetExtension path, ".npy", StringComparison.OrdinalIgnoreCase) then
            Npy.readFloats path |> Result.bind (ofNpy names path)
        else
            Json.parseFile path |> Result.bind (ofJson names path)
