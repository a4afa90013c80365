module FunLik.Tests.DrawProfileTests

open System
open FsCheck
open FsCheck.FSharp
open Xunit
open FunLik

let private near (tolerance: float) (expected: float) (found: float) : unit =
    Assert.True(abs (found - expected) <= tolerance, $"{found}, not {expected} within {tolerance}")

// A normal density of x and y with the correlation 0.6 and widths of 1: t of x is x².
let private logDensity (x: float) (y: float) : float = -0.5 * (x * x - 1.2 * x * y + y * y) / 0.64

let private draws (count: int) (seed: int) : float[] * float[] =
    let normals = Key.normals (2 * count) (Key.ofSeed seed)
    let x = Array.init count (fun i -> normals[2 * i])
    let y = Array.init count (fun i -> 0.6 * x[i] + 0.8 * normals[2 * i + 1])
    x, Array.map2 logDensity x y

/// The smallest t in a bin.
let private leastIn (middle: float) (width: float) : float =
    let distance = max 0.0 (abs middle - 0.5 * width)
    distance * distance

let private values = [| -2.0 .. 0.25..2.0 |]

[<Fact>]
let ``t off draws is never below what the bin allows, and never rises with more draws or wider bins``
    ()
    =
    let law (seed: PositiveInt) (a: NormalFloat) =
        let width = 0.01 + 0.19 * (abs a.Get % 1.0)
        let x, y = draws 3000 seed.Get

        let read (largest: float option) (count: int) (width: float) =
            DrawProfile.ofDraws largest width values x[.. count - 1] y[.. count - 1]

        // Relative to the exact maximum, which is 0.
        let exact = read (Some 0.0) 3000 width

        for middle, t in Array.zip values exact.TwiceDeltaNll do
            Assert.True(Double.IsNaN t || t >= leastIn middle width - 1e-12)

        // Relative to their own it is lower by what the draws miss of it.
        let own = read None 3000 width
        let missed = -2.0 * Array.max y
        Assert.True(missed >= 0.0)

        for t, t' in Array.zip exact.TwiceDeltaNll own.TwiceDeltaNll do
            Assert.True(Double.IsNaN t || abs (t - t' - missed) < 1e-12)

        let isAbove (high: DrawProfile) (low: DrawProfile) : unit =
            for t, t' in Array.zip high.TwiceDeltaNll low.TwiceDeltaNll do
                Assert.True(Double.IsNaN t || t >= t')

        isAbove (read (Some 0.0) 1000 width) exact
        isAbove exact (read (Some 0.0) 3000 (1.5 * width))

        Assert.True(
            Array.forall2 (fun n t -> (n = 0) = Double.IsNaN t) exact.Draws exact.TwiceDeltaNll
        )

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 25, law)

// 400,000 draws have 900 and more in a bin of width 0.01 for |x| ≤ 1; the chance that the best of them is off by 0.01 in t is below 1e-20, and
// the smearing is up to 2 x width/2 = 0.01.
[<Fact>]
let ``t off draws converges to the profile as draws and bins become fine`` () =
    let x, y = draws 400_000 7
    let inner = [| -1.0 .. 0.25..1.0 |]
    let exact = inner |> Array.map (fun v -> v * v)

    let errors (count: int) (width: float) : DrawProfileError =
        DrawProfile.ofDraws None width inner x[.. count - 1] y[.. count - 1]
        |> DrawProfile.errors exact

    let coarse, fine = errors 1000 0.01, errors 400_000 0.01
    Assert.Equal(inner.Length, fine.Bins)
    Assert.True(fine.Largest < 0.021, $"{fine}")
    Assert.True(fine.Error < 0.3 * coarse.Error, $"{coarse} {fine}")
    // Wide bins smear: t comes out too small, by up to 2 x w/2 − w²/4.
    let wide = errors 400_000 0.4
    Assert.InRange(wide.Bias, -0.4, -0.1)
    // Few draws miss the maximum of the bins.
    Assert.True(coarse.Bias > 0.1)

[<Fact>]
let ``bins without draws, draws without a density and wrong questions`` () =
    let profile =
        DrawProfile.ofDraws
            None
            0.5
            [| 0.0; 5.0 |]
            [| 0.1; -0.25; 0.25; nan; 0.0 |]
            [| -1.0; -2.0; 0.0; 9.0; -infinity |]

    // 0.25 lies beyond the bin's upper edge, -0.25 on its lower one.
    Assert.Equal<int[]>([| 2; 0 |], profile.Draws)
    Assert.Equal<float[]>([| 2.0; nan |], profile.TwiceDeltaNll)
    Assert.Equal(1, (DrawProfile.errors [| 1.0; 1.0 |] profile).Bins)

    let refused (ask: unit -> unit) : ErrorKind =
        Assert.Throws<FunLikException>(ask).Errors.Head.Kind

    Assert.Equal(
        ErrorKind.Value,
        refused (fun () -> DrawProfile.ofDraws None 0.0 [||] [||] [||] |> ignore)
    )

    Assert.Equal(
        ErrorKind.Shape,
        refused (fun () -> DrawProfile.ofDraws None 1.0 [||] [| 1.0 |] [||] |> ignore)
    )

    Assert.Equal(
        ErrorKind.Name,
        refused (fun () ->
            DrawProfile.ofLabels None [ 0.1 ] [||] "nu" (LabelSet.empty [| "mu" |])
            |> ignore)
    )
