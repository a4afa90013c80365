module FunLik.Tests.ContourTests

open System
open FsCheck
open FsCheck.FSharp
open Xunit
open FunLik

let private near (tolerance: float) (expected: float) (found: float) : unit =
    Assert.True(abs (found - expected) <= tolerance, $"{found}, not {expected} within {tolerance}")

let private axis (low: float) (high: float) (count: int) : float[] = Scanning.evenly low high count

let private table (x: float[]) (y: float[]) (f: float -> float -> float) : float[] =
    [|
        for a in x do
            for b in y -> f a b
    |]

[<Fact>]
let ``a plane is crossed along one open line that lies on it`` () =
    let law (NormalFloat a) (NormalFloat b) =
        let a, b = Math.Clamp(a, -3.0, 3.0) + 0.01, Math.Clamp(b, -3.0, 3.0) + 0.02
        let x, y = axis -1.0 1.0 7, axis -2.0 2.0 9
        let line = Contour.lines 0.003 x y (table x y (fun u v -> a * u + b * v))
        let line = Assert.Single line
        Assert.False line.IsClosed

        for struct (u, v) in line.Points do
            near 1e-12 0.003 (a * u + b * v)

    Check.One(Config.QuickThrowOnFailure, law)

[<Fact>]
let ``wells give closed lines, saddles open ones, and nothing is crossed twice`` () =
    let x, y = axis -3.0 3.0 40, axis -2.0 2.0 31

    let wells (u: float) (v: float) : float =
        min ((u - 1.5) ** 2.0 + v * v) ((u + 1.5) ** 2.0 + v * v)

    let lines = Contour.lines 1.0 x y (table x y wells)
    Assert.Equal(2, lines.Length)
    Assert.All(lines, fun line -> Assert.True line.IsClosed)

    for line in lines do
        Assert.Equal(line.Points.Length, (Array.distinct line.Points).Length)

        for struct (u, v) in line.Points do
            near 0.02 1.0 (wells u v)

    let saddle = Contour.lines 0.1 x y (table x y (fun u v -> u * v))
    Assert.Equal(2, saddle.Length)
    Assert.All(saddle, fun line -> Assert.False line.IsClosed)
    Assert.Empty(Contour.lines 50.0 x y (table x y wells))

    // In one cell: opposite corners below are joined where the middle is below.
    let unit = [| 0.0; 1.0 |]
    let cell (middle: float) = Contour.lines 1.0 unit unit [| 0.0; middle; middle; 0.0 |]

    for middle in [ 1.5; 2.5 ] do
        let lines = cell middle
        Assert.Equal(2, lines.Length)

        // Around the corners that are cut off: (0, 1) and (1, 0) when joined, (0, 0) and (1, 1) when apart.
        let isAround (struct (u, v): struct (float * float)) : bool =
            if middle < 2.0 then u < v else u + v < 1.0

        for line in lines do
            Assert.Equal(2, line.Points.Length)
            Assert.Equal(isAround line.Points[0], isAround line.Points[1])

[<Fact>]
let ``beyond the support a contour ends at the last point with a density`` () =
    let x = axis -2.0 2.0 5
    let f (u: float) (v: float) : float = if u > 1.0 then infinity else u * u + v * v
    let line = Assert.Single(Contour.lines 2.5 x x (table x x f))
    Assert.True line.IsClosed
    Assert.All(line.Points, fun (struct (u, _)) -> Assert.True(u <= 1.0))

/// Two parameters with a correlation, and a nuisance.
let private model: Likelihood =
    likelihood {
        let! a = poi "a" (flat -8.0 8.0)
        let! b = poi "b" (flat -8.0 8.0)
        let! n = nuisance "n" standardNormal
        do! gaussian [| 1.0; 2.0 |] [| 1.0; 0.5 |] (Expr.concat [ a + 0.5 * n; b - n ])
    }

/// The closed form: residuals (a − 1, b − 2) with covariance ((1.25, −0.5), (−0.5, 1.25)).
let private exact (a: float) (b: float) : float =
    let u, v = a - 1.0, b - 2.0
    let determinant = 1.25 * 1.25 - 0.25
    (1.25 * u * u + 2.0 * 0.5 * u * v + 1.25 * v * v) / determinant

[<Fact>]
let ``a scan of two parameters is the closed form, and its contours lie on it`` () =
    let a, b = axis -2.5 4.5 31, axis -1.5 5.5 29
    let scan = GridScan.scan [ "a", a; "b", b ] model
    Assert.All(scan.Status, fun s -> Assert.Equal(FitStatus.Converged, s))
    Array.iter2 (near 1e-6) (table a b exact) scan.TwiceDeltaNll

    for i, row in Seq.indexed scan.Points do
        Assert.Equal(a[i / b.Length], row[0])
        Assert.Equal(b[i % b.Length], row[1])

    for contour in Contour.ofScan (ConfidenceLevel.usual 2) scan do
        let line = Assert.Single contour.Lines
        Assert.True line.IsClosed

        for struct (u, v) in line.Points do
            // Linear interpolation of a parabola: at most curvature h²/8 off.
            near 0.02 contour.Level.TwiceDeltaNll (exact u v)

[<Fact>]
let ``what lies lower beyond a bound is the minimum of scans that reach it`` () =
    let free =
        likelihood {
            let! a = poi "a" unconstrained
            let! b = nuisance "b" unconstrained
            do! gaussian [| -1.3; 0.4 |] [| 0.5; 0.2 |] (Expr.concat [ a; a + b ])
        }

    let bounded =
        { free with
            Blocks =
                free.Blocks
                |> List.map (fun block ->
                    { block with
                        Parameters =
                            block.Parameters
                            |> Array.map (fun p ->
                                if p.Name = "a" then
                                    { p with Bounds = struct (0.0, 10.0) }
                                else
                                    p)
                    })
        }

    let values = axis -2.0 2.0 6
    let line = Profile.scan "a" values bounded
    let grid = GridScan.scan [ "a", values ] bounded

    for k in 0 .. values.Length - 1 do
        let exact = ((values[k] + 1.3) / 0.5) ** 2.0
        near 1e-6 exact line.TwiceDeltaNll[k]
        near 1e-6 exact grid.TwiceDeltaNll[k]

    // Within the bounds the minimum is at the bound.
    let inside = Profile.scan "a" [ 0.0; 1.0 ] bounded
    near 1e-6 0.0 inside.TwiceDeltaNll[0]
    near 1e-6 (4.6 ** 2.0 - 2.6 ** 2.0) inside.TwiceDeltaNll[1]

[<Fact>]
let ``grids of one parameter are scans, of three they have every point`` () =
    let values = axis -2.0 4.0 13
    let scan = model |> Profile.scan "b" values
    let grid = model |> GridScan.scan [ "b", values ]
    Array.iter2 (near 1e-6) scan.TwiceDeltaNll grid.TwiceDeltaNll

    let frozen = { ScanOptions.Default with Frozen = true }
    let held = model |> Profile.scanWith frozen "b" values
    let heldGrid = model |> GridScan.scanWith frozen [ "b", values ]
    Array.iter2 (near 1e-6) held.TwiceDeltaNll heldGrid.TwiceDeltaNll

    let all =
        model
        |> GridScan.scan [ "a", [| 0.0; 1.0 |]; "b", [| 2.0 |]; "n", [| 0.0; 1.0; 2.0 |] ]

    Assert.Equal(6, all.TwiceDeltaNll.Length)
    // n alone costs n², and moves both expectations.
    near 1e-6 (0.25 + 4.0 + 1.0) all.TwiceDeltaNll[4]

[<Fact>]
let ``what cannot be scanned is refused`` () =
    let message (axes: (string * float[]) list) : string =
        Assert.Throws<FunLikException>(fun () -> GridScan.scan axes model |> ignore).Message

    Assert.Contains("'c'", message [ "a", [| 0.0 |]; "c", [| 0.0 |] ])
    Assert.Contains("'a' is scanned 2 times", message [ "a", [| 0.0 |]; "a", [| 0.0 |] ])
    Assert.Contains("no values", message [ "a", [||] ])
    Assert.Contains("finite", message [ "a", [| nan |] ])
    Assert.NotEmpty(message [])

/// Two nuisances that the data narrow: everything is linear and normal.
[<Fact>]
let ``pulls and impacts of a linear model are the closed form`` () =
    let law (NormalFloat a) (NormalFloat b) =
        let first, second = Math.Clamp(a, -3.0, 3.0), Math.Clamp(b, -3.0, 3.0)

        let model =
            likelihood {
                let! mu = poi "mu" unconstrained
                let! n = nuisance "n" standardNormal
                let! m = nuisance "m" (normal 2.0 0.25)
                let! loose = nuisance "loose" unconstrained

                do!
                    gaussian
                        [| 3.0; 1.0; 4.0 |]
                        [| 1.0; 0.5; 1.0 |]
                        (Expr.concat [ mu + first * n + second * m; n; loose ])
            }

        let found = Impact.all FitOptions.Default None model
        Assert.Equal("mu", found.Poi)
        let of' (name: string) : Impact = found.Impacts |> List.find (fun i -> i.Name = name)

        // n: 0 ± 1 and 1 ± 0.5 give 0.8 ± 1/√5; nothing more is known of m.
        let n, m = of' "n", of' "m"
        near 1e-6 0.8 n.Best
        near 1e-6 0.8 n.Pull.Value
        near 1e-6 (1.0 / sqrt 5.0) n.Narrowing.Value
        near 1e-6 0.0 m.Pull.Value
        near 1e-6 1.0 m.Narrowing.Value
        near 1e-6 2.0 (fst m.PreFit.Value)
        near 1e-6 0.25 (snd m.PreFit.Value)

        let isPair (width: float) (pair: ImpactPair option) : unit =
            near 1e-5 width pair.Value.Up
            near 1e-5 -width pair.Value.Down

        isPair -first n.BeforeData
        isPair (-first / sqrt 5.0) n.AfterData
        isPair (-0.25 * second) m.BeforeData
        isPair (-0.25 * second) m.AfterData
        near 1e-6 (sqrt (1.0 + first * first / 5.0 + second * second / 16.0)) found.Sigma.Value

        // Nothing constrains the third but the data.
        let loose = of' "loose"
        Assert.True(loose.PreFit.IsNone && loose.Pull.IsNone && loose.BeforeData.IsNone)
        near 1e-6 1.0 loose.PostFit.Value
        isPair 0.0 loose.AfterData

        let sizes = found.Impacts |> List.map (fun i -> i.AfterData.Value.Size)
        Assert.Equal<float list>(List.sortDescending sizes, sizes)
        Assert.All(found.Impacts, fun i -> Assert.Equal(FitStatus.Converged, i.Status))

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 8, law)

[<SharedFact("data/lhc-toy.json")>]
let ``the search's impacts are those of fits from all starts`` () =
    let model =
        Support.sharedFile "data/lhc-toy.json"
        |> Json.parseFile
        |> Result.bind SearchData.ofJson
        |> Error.orRaise
        |> Search.likelihood

    let found = Impact.all FitOptions.Default None model
    let fitter = Objective.ofLikelihood model |> Fitter.ofObjective

    for impact in List.truncate 3 found.Impacts do
        let pair, sigma = impact.AfterData.Value, impact.PostFit.Value

        for shift, value in [ pair.Up, impact.Best + sigma; pair.Down, impact.Best - sigma ] do
            let fit =
                fitter |> Fitter.fit { FitOptions.Default with Fixed = [ impact.Name, value ] }

            near 1e-6 (fit.Point[0] - found.Best) shift
