namespace FunLik

open System

/// What a question keeps at values: everything else is fitted.
type Held =
    {
        /// Parameters that stay at a value.
        Fix: (string * float) list
        /// Whether the other parameters of interest stay at their nominal values.
        Frozen: bool
    }

    /// Nothing is held.
    static member Nothing: Held = { Fix = []; Frozen = false }

/// Holding parameters at values: they stay parameters, with bounds that leave no room.
[<RequireQualifiedAccess>]
module Hold =

    /// The values that are held when `free` are asked for: those given, and of the other parameters of interest the nominal ones if they are
    /// frozen. Unknown names, names held twice, parameters that are asked for, and values that are not finite are told together.
    let valuesOf
        (free: string list)
        (held: Held)
        (model: Likelihood)
        : Result<(string * float) list, Error list> =
        let parameters = Likelihood.parameters model
        let names = parameters |> Array.map _.Name

        let mistakes =
            [
                for name, count in held.Fix |> List.countBy fst do
                    if count > 1 then
                        Error.make ErrorKind.Name $"'{name}' is held {count} times"
                for name, value in held.Fix do
                    if not (Array.contains name names) then
                        Error.make ErrorKind.Name $"there is no parameter '{name}' to fix"
                        |> Error.expected (String.concat ", " names)
                    elif List.contains name free then
                        Error.make
                            ErrorKind.Value
                            $"'{name}' cannot be fixed: it is what is asked for"
                    elif not (Double.IsFinite value) then
                        Error.make ErrorKind.Value $"the value of '{name}'"
                        |> Error.found $"{value}"
                        |> Error.expected "a finite number"
            ]

        if mistakes.IsEmpty then
            Ok(
                held.Fix
                @ [
                    for p in parameters do
                        let isOther =
                            not (List.contains p.Name free)
                            && not (held.Fix |> List.exists (fun (name, _) -> name = p.Name))

                        if held.Frozen && p.Kind.IsPoi && isOther then
                            p.Name, p.Nominal
                ]
            )
        else
            Result.Error mistakes

    /// A model in which parameters are held at values.
    let at (values: (string * float) list) (model: Likelihood) : Likelihood =
        let value = Map.ofList values

        let change (p: ModelParameter) : ModelParameter =
            match value.TryFind p.Name with
            | Some v -> { p with Bounds = struct (v, v); Nominal = v }
            | None -> p

        { model with
            Blocks =
                model.Blocks
                |> List.map (fun b -> { b with Parameters = Array.map change b.Parameters })
        }

    /// A model in which all is held that is to be when `free` are asked for.
    let apply
        (free: string list)
        (held: Held)
        (model: Likelihood)
        : Result<Likelihood, Error list> =
        valuesOf free held model |> Result.map (fun values -> at values model)
