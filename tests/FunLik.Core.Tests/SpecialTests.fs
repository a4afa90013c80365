module FunLik.Tests.SpecialTests

open System
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

/// Values by mpmath 1.3 (Johansson et al.) at 40 digits of the decimal arguments' nearest doubles. Those at simple arguments stand
/// also in Abramowitz and Stegun, tables 6.1, 6.2 and 7.1, and as A001620, A002117 and A013661 in the OEIS.
let private published: (string * (float -> float) * (float * float) list) list =
    [
        "erf",
        Special.erf,
        [
            1e-10, 1.128379167095512615e-10
            0.1, 0.1124629160182848984
            0.5, 0.52049987781304653768
            1.0, 0.84270079294971486934
            2.0, 0.99532226501895273416
            3.5, 0.99999925690162765859
            -0.7, -0.67780119383741844228
        ]
        "log Γ",
        Special.logGamma,
        [
            1e-05, 11.512919692895825626
            0.1, 2.252712651734205902
            0.5, 0.57236494292470008707
            0.9, 0.066376239734742954426
            1.001, -0.00057639359828330615152
            1.5, -0.12078223763524522235
            1.999, -0.00042246180069210728418
            2.25, 0.1248717148923965943
            3.7, 1.4280723266653881292
            7.9, 8.3242658680088096349
            8.0, 8.5251613610654143002
            20.5, 40.83150097453079811
            101.0, 363.73937555556349014
            1000000.0, 12815504.56914761166
            1000000000000000.0, 33538776394910668.91
        ]
        "polygamma 0",
        Special.polygamma 0,
        [
            0.01, -100.56088545786867242
            0.5, -1.9635100260214234794
            1.0, -0.57721566490153286061
            2.5, 0.70315664064524318723
            7.75, 1.9817915626943455972
            30.0, 3.3844381326855248766
            10000.0, 9.2102903711428494036
        ]
        "polygamma 1",
        Special.polygamma 1,
        [
            0.01, 10001.621213528312804
            0.5, 4.9348022005446793094
            1.0, 1.6449340668482264365
            2.5, 0.49035775610023486497
            7.75, 0.13771379144765566054
            30.0, 0.033895060357739944214
            10000.0, 0.00010000500016666666633
        ]
        "polygamma 2",
        Special.polygamma 2,
        [
            0.01, -2000002.3403986769596
            0.5, -16.828796644234319996
            1.0, -2.4041138063191885708
            2.5, -0.236204051641727403
            7.75, -0.018935466672670957008
            30.0, -0.001148765203728599844
            10000.0, -1.0001000049999999833e-8
        ]
        "polygamma 3",
        Special.polygamma 3,
        [
            0.01, 600000006.25106182292
            0.5, 97.409091034002437236
            1.0, 6.4939394022668291491
            2.5, 0.22390584881725205126
            7.75, 0.0051991522947022234108
            30.0, 0.000077860036647361290602
            10000.0, 2.0003000199999999e-12
        ]
        "polygamma 6",
        Special.polygamma 6,
        [
            0.01, -72000000000000666.875
            0.5, -92203.457923803023286
            1.0, -726.01147971498443532
            2.5, -1.3180061075500352023
            7.75, -0.00079986055306613174895
            30.0, -1.8170925411158237384e-7
            10000.0, -1.200360041999999496e-22
        ]
        "log1p",
        Special.log1p,
        [
            1e-17, 1.0000000000000000665e-17
            -1e-09, -1.0000000005000000626e-9
            0.001, 0.00099950033308353318761
            -0.5, -0.69314718055994530942
            0.7, 0.53062825106217037011
            10000000000.0, 23.02585093004045684
        ]
        "expm1",
        Special.expm1,
        [
            1e-17, 1.0000000000000000765e-17
            -1e-09, -9.9999999950000006245e-10
            9e-06, 9.0000405001215005014e-6
            1.1e-05, 0.000011000060500221833657
            -0.3, -0.25918177931828212571
            0.5, 0.64872127070012814685
            2.5, 11.182493960703473438
            -30.0, -0.99999999999990642377
        ]
    ]

[<Fact>]
let ``special functions have their published values`` () =
    for name, f, values in published do
        for x, expected in values do
            let found = f x

            Assert.True(
                abs (found - expected) <= 1e-15 * abs expected,
                $"{name} of {x} is {found}, not {expected}"
            )

/// A number between 10^low and 10^high.
let private magnitude (low: float) (high: float) (seed: int) : float =
    10.0 ** (low + (high - low) * (Key.ofSeed seed |> Key.uniforms 1)[0])

let private law (f: int -> bool) : unit = Check.One(Config.QuickThrowOnFailure.WithMaxTest 1000, f)

let private near (tolerance: float) (size: float) (a: float) (b: float) : bool =
    a = b || abs (a - b) <= tolerance * size

[<Fact>]
let ``log Γ and its derivatives step by their recurrences`` () =
    law (fun seed ->
        let x = magnitude -3.0 3.0 seed
        let here, next = Special.logGamma x, Special.logGamma (x + 1.0)
        near 2e-15 (abs here + abs (log x) + abs next) next (here + log x))

    for n in 0..6 do
        let factorial = Seq.fold (fun p k -> p * float k) 1.0 (seq { 1..n })
        let sign = if n % 2 = 0 then 1.0 else -1.0

        law (fun seed ->
            let x = magnitude -2.0 3.0 seed
            let step = sign * factorial / x ** float (n + 1)
            let here = Special.polygamma n x
            near 4e-15 (abs here + abs step) (Special.polygamma n (x + 1.0)) (here + step))

[<Fact>]
let ``log Γ doubles by Legendre's formula`` () =
    law (fun seed ->
        let x = magnitude -3.0 3.0 seed
        let a, b = Special.logGamma x, Special.logGamma (x + 0.5)
        let power = (1.0 - 2.0 * x) * log 2.0 + 0.5 * log Math.PI
        let size = abs a + abs b + abs power + abs (Special.logGamma (2.0 * x))
        near 2e-15 size (a + b) (power + Special.logGamma (2.0 * x)))

[<Fact>]
let ``log1p and expm1 undo each other, and keep small arguments`` () =
    law (fun seed ->
        let x = magnitude -20.0 -0.5 seed

        near 1e-15 x (Special.expm1 (Special.log1p x)) x
        && near 1e-15 x (Special.log1p (Special.expm1 -x)) -x)

    for x in [ 0.0; 1e-300; Double.Epsilon ] do
        Assert.Equal(x, Special.log1p x)
        Assert.Equal(-x, Special.expm1 -x)

[<Fact>]
let ``powers are repeated products`` () =
    law (fun seed ->
        let x = magnitude -1.0 1.0 seed

        Seq.forall
            (fun n ->
                let product = Seq.replicate (abs n) x |> Seq.fold (*) 1.0
                let expected = if n < 0 then 1.0 / product else product
                near 1e-14 (abs expected) (Special.power n x) expected)
            (seq { -20 .. 20 }))

    Assert.Equal(0.0, Special.power Int32.MinValue 2.0)
    Assert.Equal(1.0, Special.power Int32.MinValue -1.0)
