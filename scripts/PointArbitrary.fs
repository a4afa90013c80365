namespace FunLik.PropertyTesting

open FsCheck
open FsCheck.FSharp
open FunLik

/// Properties of surrogates as FsCheck's: it draws the seeds, runs and shrinks.
[<RequireQualifiedAccess>]
module PointArbitrary =

    /// Points of a generator, shrunk toward the domain's best fit.
    let ofGenerator (domain: CheckDomain) (generator: PointGenerator) : Arbitrary<float[]> =
        let points =
            Gen.choose (0, System.Int32.MaxValue - 1)
            |> Gen.map (fun seed -> generator.Draw(Key.ofSeed seed))

        Arb.fromGenShrink (points, CheckPoints.shrink domain)

    /// Whether a property holds at points, with what was measured where it does not; raises an error where nothing can be measured.
    let private holds (options: RunOptions) (property: SurrogateProperty) (points: float[][]) =
        let failing =
            property.Measure options points
            |> Error.orRaise
            |> Array.filter (fun m -> not m.Holds)

        let found =
            failing
            |> Array.map (fun m ->
                $"found {m.Found}, expected {m.Expected}: {m.Miss} apart, {m.Limit} allowed")

        Prop.label (String.concat "\n" found) (Prop.ofTestable (failing.Length = 0))

    /// A property as FsCheck's. One at given points is checked at all of them each time: once is enough.
    let toProperty
        (options: RunOptions)
        (domain: CheckDomain)
        (property: SurrogateProperty)
        : Property =
        match property.Places, Properties.generator domain property with
        | PropertyPlaces.Given points, _ -> holds options property points
        | _, Some generator ->
            Prop.forAll (ofGenerator domain generator) (fun point ->
                holds options property [| point |])
        | _, None -> Prop.ofTestable true
