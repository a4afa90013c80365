namespace FunLik

/// A point at which a property does not hold.
type CounterExample =
    {
        /// The points that were checked.
        Points: int
        /// How many of them failed.
        Failures: int
        /// The number of the first that did, from 0.
        Draw: int
        /// That point.
        Point: float[]
        /// What was measured there.
        Numbers: PropertyNumbers
        /// The plainest point that was found to fail too: no step toward the best fit fails still.
        Shrunk: float[]
        /// What was measured there.
        ShrunkNumbers: PropertyNumbers
        /// The steps that led there.
        Steps: int
    }

/// What a check of a property came to.
[<RequireQualifiedAccess>]
type PropertyOutcome =
    /// It held at so many points.
    | Passed of points: int
    /// It does not hold.
    | Falsified of CounterExample
    /// It could not be measured.
    | NotChecked of Error list

/// Checking properties at drawn points.
[<RequireQualifiedAccess>]
module Properties =

    /// The generator of the points at which a property is to hold; None where they are given.
    let generator (domain: CheckDomain) (property: SurrogateProperty) : PointGenerator option =
        match property.Places with
        | PropertyPlaces.Everywhere -> Some(CheckPoints.everywhere domain)
        | PropertyPlaces.Taught -> Some(CheckPoints.taught domain)
        | PropertyPlaces.Given _ -> None

    /// Goes to the plainest point that fails: in each round to the first failing one of those that are plainer. Rounds end by themselves.
    let private shrunk
        (options: RunOptions)
        (domain: CheckDomain)
        (property: SurrogateProperty)
        (point: float[])
        (numbers: PropertyNumbers)
        : Result<struct (float[] * PropertyNumbers * int), Error list> =
        let rec next (point: float[]) (numbers: PropertyNumbers) (steps: int) =
            let candidates = CheckPoints.shrink domain point |> Array.ofSeq

            if candidates.Length = 0 then
                Ok(struct (point, numbers, steps))
            else
                match property.Measure options candidates with
                | Result.Error errors -> Result.Error errors
                | Ok measured ->
                    match measured |> Array.tryFindIndex (fun m -> not m.Holds) with
                    | Some i -> next candidates[i] measured[i] (steps + 1)
                    | None -> Ok(struct (point, numbers, steps))

        next point numbers 0

    /// Checks a property at so many points of a key, or at those that it gives; the same key gives the same points and the same outcome. The
    /// first point that fails is shrunk toward the best fit.
    let check
        (options: RunOptions)
        (count: int)
        (key: Key)
        (domain: CheckDomain)
        (property: SurrogateProperty)
        : PropertyOutcome =
        let points =
            match property.Places, generator domain property with
            | PropertyPlaces.Given points, _ -> points
            | _, Some generator -> Array.init count (fun i -> generator.Draw(Key.fold i key))
            | _, None -> [||]

        let falsified (measured: PropertyNumbers[]) (draw: int) =
            let first =
                match property.Places with
                | PropertyPlaces.Given _ -> Ok(struct (points[draw], measured[draw], 0))
                | _ -> shrunk options domain property points[draw] measured[draw]

            first
            |> Result.map (fun (struct (point, numbers, steps)) ->
                PropertyOutcome.Falsified
                    {
                        Points = points.Length
                        Failures = measured |> Array.filter (fun m -> not m.Holds) |> Array.length
                        Draw = draw
                        Point = points[draw]
                        Numbers = measured[draw]
                        Shrunk = point
                        ShrunkNumbers = numbers
                        Steps = steps
                    })

        let outcome =
            if points.Length = 0 then
                Ok(PropertyOutcome.Passed 0)
            else
                property.Measure options points
                |> Result.bind (fun measured ->
                    match measured |> Array.tryFindIndex (fun m -> not m.Holds) with
                    | None -> Ok(PropertyOutcome.Passed points.Length)
                    | Some draw -> falsified measured draw)

        match outcome with
        | Ok outcome -> outcome
        | Result.Error errors -> PropertyOutcome.NotChecked errors

    /// Lines that say what came of a property, for people.
    let describe
        (domain: CheckDomain)
        (property: SurrogateProperty)
        (outcome: PropertyOutcome)
        : string list =
        let said (m: PropertyNumbers) : string =
            let along =
                match m.Parameter with
                | Some name -> $" along {name}"
                | None -> ""

            $"{m.Found:G10}, not {m.Expected:G10}{along}: {m.Miss:G3} apart, {m.Limit:G3} allowed"

        let moved (point: float[]) : string =
            let parts =
                domain.Parameters
                |> Array.mapi (fun k p ->
                    if point[k] = domain.Best[k] then
                        None
                    else
                        Some $"{p.Name} = {point[k]:G6}")
                |> Array.choose id

            if parts.Length = 0 then
                "at the best fit"
            else
                "at the best fit but " + String.concat ", " parts

        match outcome with
        | PropertyOutcome.Passed points ->
            [ $"passed at {points} points: {property.Name}: {property.Claim}" ]
        | PropertyOutcome.NotChecked errors ->
            $"not checked: {property.Name}: {property.Claim}"
            :: (errors |> List.map (fun e -> $"  {e.Message}"))
        | PropertyOutcome.Falsified e ->
            [
                $"FALSIFIED at {e.Failures} of {e.Points} points: {property.Name}: {property.Claim}"
                $"  draw {e.Draw}: {said e.Numbers}"
                $"  after {e.Steps} steps toward the best fit: {said e.ShrunkNumbers}"
                $"  {moved e.Shrunk}"
            ]

    let private numbersJson (point: float[]) (m: PropertyNumbers) : (string * JsonValue) list =
        [
            "point", JsonValue.Numbers point
            "found", JsonValue.Number m.Found
            "expected", JsonValue.Number m.Expected
            "miss", JsonValue.Number m.Miss
            "limit", JsonValue.Number m.Limit
            "parameter", JsonValue.ofOption JsonValue.Text m.Parameter
        ]

    /// What came of a property, as JSON: `outcome` is `passed`, `falsified` or `not checked`.
    let toJson (property: SurrogateProperty) (outcome: PropertyOutcome) : JsonValue =
        let count (number: int) : JsonValue = JsonValue.Int(int64 number)

        let rest =
            match outcome with
            | PropertyOutcome.Passed points ->
                [ "outcome", JsonValue.Text "passed"; "points", count points ]
            | PropertyOutcome.NotChecked errors ->
                [
                    "outcome", JsonValue.Text "not checked"
                    "why", errors |> List.map _.Message |> JsonValue.ofTexts
                ]
            | PropertyOutcome.Falsified e ->
                [
                    "outcome", JsonValue.Text "falsified"
                    "points", count e.Points
                    "failures", count e.Failures
                    "first", JsonValue.Object(numbersJson e.Point e.Numbers)
                    "shrunk", JsonValue.Object(numbersJson e.Shrunk e.ShrunkNumbers)
                ]

        JsonValue.Object(
            [ "name", JsonValue.Text property.Name; "claim", JsonValue.Text property.Claim ]
            @ rest
        )
