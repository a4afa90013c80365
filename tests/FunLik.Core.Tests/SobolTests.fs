module FunLik.Tests.SobolTests

open System
open FunLik
open Xunit

/// The first ten points in three dimensions, as S. Joe and F. Y. Kuo's "Notes on generating Sobol sequences" (2008) print them.
let private published =
    [
        [| 0.0; 0.0; 0.0 |]
        [| 0.5; 0.5; 0.5 |]
        [| 0.75; 0.25; 0.25 |]
        [| 0.25; 0.75; 0.75 |]
        [| 0.375; 0.375; 0.625 |]
        [| 0.875; 0.875; 0.125 |]
        [| 0.625; 0.125; 0.875 |]
        [| 0.125; 0.625; 0.375 |]
        [| 0.1875; 0.3125; 0.9375 |]
        [| 0.6875; 0.8125; 0.4375 |]
    ]

[<Fact>]
let ``the first points are those that were published, in any number of dimensions`` () =
    for dimensions in 1..3 do
        published
        |> List.iteri (fun k expected ->
            Assert.Equal<float[]>(Array.truncate dimensions expected, Sobol.point dimensions k))

/// Another way to the same points, straight from the definition (Joe and Kuo 2008, section 1): the m of a dimension by their
/// recurrence in whole numbers, and coordinates digit by digit.
let private byDefinition (degree: int) (inner: int) (first: int64 list) (index: int) : float =
    let m = Collections.Generic.List<int64>(first)

    for k in degree..20 do
        let coefficient j = int64 ((inner >>> (degree - 1 - j)) &&& 1)
        let mutable next = m[k - degree] ^^^ (m[k - degree] <<< degree)

        for j in 1 .. degree - 1 do
            next <- next ^^^ ((coefficient j * m[k - j]) <<< j)

        m.Add next

    let gray = index ^^^ (index / 2)

    [ 0..20 ]
    |> List.filter (fun k -> (gray >>> k) &&& 1 = 1)
    |> List.fold (fun x k -> x ^^^ (m[k] <<< (20 - k))) 0L
    |> fun x -> float x / float (1 <<< 21)

[<Fact>]
let ``higher dimensions follow their polynomials`` () =
    // Dimension, degree, inner coefficients, first direction numbers: rows of new-joe-kuo-6.21201.
    for dimension, degree, inner, first in
        [
            2, 1, 0, [ 1L ]
            3, 2, 1, [ 1L; 3L ]
            6, 4, 1, [ 1L; 1L; 3L; 3L ]
            10, 5, 7, [ 1L; 1L; 7L; 11L; 19L ]
            20, 7, 1, [ 1L; 3L; 7L; 11L; 23L; 15L; 103L ]
            32, 7, 42, [ 1L; 3L; 7L; 3L; 13L; 59L; 17L ]
        ] do
        for index in [ 1; 2; 5; 77; 1000; 65535; 1000001 ] do
            Assert.Equal(
                byDefinition degree inner first index,
                (Sobol.point dimension index)[dimension - 1]
            )

let private shift = Key.ofSeed 5

/// How many of 2^k points, from a multiple of it on, lie in each of the boxes of 2^a by 2^b.
let private counts (points: float[][]) (i: int) (j: int) (a: int) (b: int) : int[] =
    points
    |> Array.countBy (fun x -> int (x[i] * float (1 <<< a)), int (x[j] * float (1 <<< b)))
    |> Array.map snd

[<Fact>]
let ``each dimension has one of 2^k points in each of 2^k intervals, shifted or not`` () =
    let d = Sobol.mostDimensions

    for points in
        [
            Array.init 1024 (fun k -> Sobol.point d (k + 3072))
            Array.init 1024 (Sobol.shifted shift d)
        ] do
        for j in 0 .. d - 1 do
            let places = points |> Array.map (fun x -> int (x[j] * 1024.0)) |> Array.distinct
            Assert.Equal(1024, places.Length)

[<Fact>]
let ``the first two dimensions have one of 2^k points in each box of that area`` () =
    for points in [ Array.init 256 (Sobol.point 2); Array.init 256 (Sobol.shifted shift 2) ] do
        for a in 0..8 do
            let found = counts points 0 1 a (8 - a)
            Assert.Equal(256, found.Length)
            Assert.All(found, fun n -> Assert.Equal(1, n))

[<Fact>]
let ``a shift moves all points alike, reaches no border, and is another for another key`` () =
    let bits (x: float) = uint32 (Math.Floor(Math.ScaleB(x, 32)))
    let d = 40

    let shiftOf (key: Key) (index: int) =
        Array.map2 (fun a b -> bits a ^^^ bits b) (Sobol.shifted key d index) (Sobol.point d index)

    let first = shiftOf shift 0

    for index in [ 1; 2; 31; 1000000 ] do
        Assert.Equal<uint32[]>(first, shiftOf shift index)
        Assert.All(Sobol.shifted shift d index, fun x -> Assert.InRange(x, 1e-10, 1.0 - 1e-10))

    Assert.NotEqual<uint32[]>(first, shiftOf (Key.ofSeed 6) 0)

[<Fact>]
let ``points are carried to boxes, and what the sequence lacks is refused`` () =
    Assert.Equal<float[]>(
        [| 0.0; 15.0 |],
        Sobol.inBox [| -2.0; 10.0 |] [| 2.0; 20.0 |] [| 0.5; 0.5 |]
    )

    for action in
        [
            fun () -> Sobol.point (Sobol.mostDimensions + 1) 0
            fun () -> Sobol.point -1 0
            fun () -> Sobol.shifted shift 3 -1
        ] do
        let e = Assert.Throws<FunLikException>(action >> ignore)
        Assert.Contains(e.Errors.Head.Kind, [ ErrorKind.Limit; ErrorKind.Value ])

[<Fact>]
let ``several parameters of interest start from the nominal values and from all over their ranges``
    ()
    =
    let parameter (name: string) (low: float) (high: float) : ModelParameter =
        { ModelParameter.create name ParameterKind.Poi 0.0 with
            Range = struct (low, high)
        }

    let parameters =
        [| parameter "a" -1.0 1.0; parameter "b" -8.0 24.0; parameter "c" 0.0 4.0 |]

    let all = Starts.around parameters [| true; true; false |] [| 0.1; 0.2; 0.3 |] 33
    Assert.Equal<float[]>([| 0.1; 0.2; 0.3 |], all[0])
    Assert.All(all, fun x -> Assert.Equal(0.3, x[2]))

    // 32 points in a row, of which all but one lie in one net, fill 31 of 32 intervals at least.
    for j, low, width in [ 0, -1.0, 2.0; 1, -8.0, 32.0 ] do
        let places =
            all[1..]
            |> Array.map (fun x -> int ((x[j] - low) / width * 32.0))
            |> Array.distinct

        Assert.InRange(places.Length, 30, 32)
