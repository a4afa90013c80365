namespace FunLik

open System

/// Fractional changes of a normalisation by one standard deviation up and down, one a category: K⁺ and K⁻, above -1.
type NormEffect = { Up: float[]; Down: float[] }

/// Factors on a shape at one standard deviation up and down, one a bin: κ⁺ and κ⁻.
type ShapeEffect = { Up: float[]; Down: float[] }

/// A source of systematic uncertainty: one nuisance parameter, which acts on the normalisation of the background and perhaps on
/// its shape.
type SearchSystematic =
    {
        /// The name of the nuisance parameter.
        Name: string
        /// The effect on the normalisation of each category.
        Norm: NormEffect
        /// The effect on the shape inside of each category, which keeps its sum.
        Shape: ShapeEffect option
    }

/// A search in binned categories: counts over a background with systematic and statistical uncertainties, and a signal. The
/// papers' toy (Buckley et al., arXiv:1809.05548, section 4; Coccaro et al., arXiv:1911.03305) is one of these. Bins are listed
/// category by category.
type SearchData =
    {
        /// What it is a search for.
        Name: string
        /// The number of categories.
        Categories: int
        /// The number of bins of each category.
        BinsPerCategory: int
        /// Observed counts, one a bin.
        Observed: float[]
        /// Expected background, one a bin; positive in sum in each category.
        Background: float[]
        /// Expected signal at μ = 1, one a bin.
        Signal: float[]
        /// Relative statistical uncertainty of the simulation, one a bin, above -1.
        McStatEpsilon: float[]
        /// The systematic uncertainties, in the order of their parameters.
        Systematics: SearchSystematic list
    }

/// Reading the data of a search.
[<RequireQualifiedAccess>]
module SearchData =

    /// What is wrong with a search: lengths, numbers that are not finite or outside of what they may be.
    let check (data: SearchData) : Error list =
        let bins = data.Categories * data.BinsPerCategory

        let error (kind: ErrorKind) (name: string) (found: string) (expected: string) : Error =
            Error.make kind $"the search '{data.Name}': {name}"
            |> Error.found found
            |> Error.expected expected

        let values
            (name: string)
            (length: int)
            (expected: string)
            (holds: float -> bool)
            (values: float[])
            : Error list =
            if values.Length <> length then
                [ error ErrorKind.Shape name $"{values.Length} numbers" $"{length} numbers" ]
            else
                values
                |> Seq.indexed
                |> Seq.filter (fun (_, v) -> not (Double.IsFinite v && holds v))
                |> Seq.truncate 3
                |> Seq.map (fun (i, v) -> error ErrorKind.Value $"{name}[{i}]" $"{v}" expected)
                |> List.ofSeq

        let notNegative = "a finite number that is not negative", (fun v -> v >= 0.0)
        let aboveMinusOne = "a finite number above -1", (fun v -> v > -1.0)
        let any = "a finite number", (fun (_: float) -> true)
        let onBins name (expected, holds) = values name bins expected holds

        [
            if data.Categories < 1 || data.BinsPerCategory < 1 then
                error
                    ErrorKind.Value
                    "its size"
                    $"{data.Categories} categories of {data.BinsPerCategory} bins"
                    "at least one of each"

            yield! onBins "Observed" notNegative data.Observed
            yield! onBins "Background" notNegative data.Background
            yield! onBins "Signal" any data.Signal
            yield! onBins "McStatEpsilon" aboveMinusOne data.McStatEpsilon

            for name, count in data.Systematics |> List.countBy _.Name do
                if count > 1 then
                    error ErrorKind.Name $"the systematic '{name}'" $"{count} of them" "one"

            for s in data.Systematics do
                let norm side =
                    values
                        $"the norm of '{s.Name}', {side}"
                        data.Categories
                        (fst aboveMinusOne)
                        (snd aboveMinusOne)

                yield! norm "up" s.Norm.Up
                yield! norm "down" s.Norm.Down

                match s.Shape with
                | Some shape ->
                    yield! onBins $"the shape of '{s.Name}', up" any shape.Up
                    yield! onBins $"the shape of '{s.Name}', down" any shape.Down
                | None -> ()

            if data.BinsPerCategory > 0 && data.Background.Length = bins then
                for c, inside in
                    Array.indexed (Array.chunkBySize data.BinsPerCategory data.Background) do
                    if not (Array.sum inside > 0.0) then
                        error
                            ErrorKind.Value
                            $"the background of category {c}"
                            "a sum of 0"
                            "a sum above 0"
        ]

    /// Reads a search from JSON with the keys `categories`, `binsPerCategory`, `observed`, `background`, `signal`,
    /// `mcStatEpsilon`, `shape` and `norm` (objects of `up` and `down` by name of the systematic), and perhaps `name`. Each
    /// systematic of `shape` must stand in `norm`; those of `shape` come first in the order of the parameters. Other keys are left
    /// alone. All mistakes at once.
    let ofJson (json: Json) : Result<SearchData, Error list> =
        let count (name: string) : Result<int, Error list> =
            Json.field
                name
                (fun value ->
                    Json.int value
                    |> Result.bind (fun n ->
                        if n >= 1 && n <= 1_000_000 then
                            Ok n
                        else
                            Json.refuse ErrorKind.Value "not a count" "1 to 1000000" value))
                json

        let above (limit: float) : string * (float -> bool) =
            $"a number above {limit}", (fun v -> v > limit)

        let notNegative = "a number that is not negative", (fun v -> v >= 0.0)
        let any = "a number", (fun (_: float) -> true)

        let both
            (make: float[] -> float[] -> 'T)
            ((expected, holds): string * (float -> bool))
            (length: int)
            (effect: Json)
            : Result<'T, Error list> =
            let side (name: string) : Result<float[], Error list> =
                Json.field name (Json.floatsWhere expected holds length) effect

            Validation.map2 make (side "up") (side "down")
            |> Validation.map2 (fun () value -> value) (Json.onlyKeys [ "up"; "down" ] effect)

        let named (read: Json -> Result<'T, Error list>) (table: Json) =
            Json.entries table
            |> Result.bind (
                List.map (fun (name, value) -> read value |> Result.map (fun v -> name, (value, v)))
                >> Error.collect
            )

        let systematics
            (shapes: (string * (Json * ShapeEffect)) list)
            (norms: (string * (Json * NormEffect)) list)
            : Result<SearchSystematic list, Error list> =
            let normOf = Map.ofList norms
            let shapeOf = Map.ofList shapes

            let missing =
                shapes
                |> List.filter (fun (name, _) -> not (normOf.ContainsKey name))
                |> List.map (fun (name, (place, _)) ->
                    Json.error ErrorKind.Schema $"'{name}' is missing in 'norm'" place)

            let order =
                (shapes |> List.map fst)
                @ (norms |> List.map fst |> List.filter (fun n -> not (shapeOf.ContainsKey n)))

            if missing.IsEmpty then
                Ok
                    [
                        for name in order ->
                            {
                                Name = name
                                Norm = snd normOf[name]
                                Shape = shapeOf.TryFind name |> Option.map snd
                            }
                    ]
            else
                Result.Error missing

        let ofSizes (categories: int) (binsPerCategory: int) : Result<SearchData, Error list> =
            let bins = categories * binsPerCategory

            let values (name: string) (expected: string, holds: float -> bool) =
                Json.field name (Json.floatsWhere expected holds bins) json

            let background (values: Json) : Result<float[], Error list> =
                Json.floatsWhere (fst notNegative) (snd notNegative) bins values
                |> Result.bind (fun b ->
                    b
                    |> Array.chunkBySize binsPerCategory
                    |> Array.tryFindIndex (fun inside -> not (Array.sum inside > 0.0))
                    |> function
                        | None -> Ok b
                        | Some c ->
                            Json.error
                                ErrorKind.Value
                                $"the background of category {c} is zero in all bins"
                                values
                            |> Error.fail)

            let effects =
                let shapes =
                    Json.optionalField
                        "shape"
                        (named (both (fun u d -> { ShapeEffect.Up = u; Down = d }) any bins))
                        json
                    |> Result.map (Option.defaultValue [])

                let norms =
                    Json.optionalField
                        "norm"
                        (named (
                            both
                                (fun u d -> { NormEffect.Up = u; Down = d })
                                (above -1.0)
                                categories
                        ))
                        json
                    |> Result.map (Option.defaultValue [])

                match shapes, norms with
                | Ok s, Ok n -> systematics s n
                | _ -> Validation.map2 (fun _ _ -> []) shapes norms

            let name = Json.optionalField "name" Json.text json

            let make name observed background signal epsilon systematics =
                {
                    Name = name |> Option.defaultValue "search"
                    Categories = categories
                    BinsPerCategory = binsPerCategory
                    Observed = observed
                    Background = background
                    Signal = signal
                    McStatEpsilon = epsilon
                    Systematics = systematics
                }

            Result.map make name
            |> Validation.apply (values "observed" notNegative)
            |> Validation.apply (Json.field "background" background json)
            |> Validation.apply (values "signal" any)
            |> Validation.apply (values "mcStatEpsilon" (above -1.0))
            |> Validation.apply effects

        match count "categories", count "binsPerCategory" with
        | Ok categories, Ok bins when int64 categories * int64 bins <= 1_000_000L ->
            ofSizes categories bins
        | Ok categories, Ok bins ->
            Json.error ErrorKind.Limit "too many bins" json
            |> Error.found $"{categories} x {bins}"
            |> Error.expected "at most 1000000"
            |> Error.fail
        | categories, bins -> Validation.map2 ofSizes categories bins |> Result.bind id
