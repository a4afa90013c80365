module FunLik.Tests.NuisanceBoundsTests

open System.IO
open FunLik
open Xunit

/// A count far above what is expected, which only a long pull explains: `scale` moves 10 % of 100 a standard deviation.
let private workspace: string =
    """{"version": "1.0.0", "channels": [{"name": "one", "samples": [
         {"name": "signal", "data": [5, 5], "modifiers": [{"name": "free", "type": "normfactor", "data": null}]},
         {"name": "background", "data": [100, 100], "modifiers": [
           {"name": "scale", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}},
           {"name": "own", "type": "shapesys", "data": [1, 1]}]}]},
        {"name": "two", "samples": [
         {"name": "other", "data": [20], "modifiers": [
           {"name": "mc", "type": "staterror", "data": [1]},
           {"name": "held", "type": "normsys", "data": {"hi": 1.1, "lo": 0.9}}]}]}],
        "observations": [{"name": "one", "data": [400, 400]}, {"name": "two", "data": [20]}],
        "measurements": [{"name": "m", "config": {"poi": "", "parameters": [
          {"name": "held", "fixed": true}, {"name": "free", "bounds": [[0, 1]]}]}}]}"""

let private model (options: ModelOptions) : Likelihood =
    let path = Path.GetTempFileName()

    try
        File.WriteAllText(path, workspace)
        ModelFile.load path options |> Error.orRaise
    finally
        File.Delete path

let private unbounded: ModelOptions =
    { ModelOptions.None with UnboundedNuisances = true }

[<Fact>]
let ``bounds go where a constraint makes them needless, and stay where rates would be negative``
    ()
    =
    let found =
        model ModelOptions.None
        |> NuisanceBounds.liftable
        |> List.map (fun b -> b.Parameter, b.Side, b.Value)
        |> Set.ofList

    let expected =
        Set
            [
                "scale", BoundSide.Lower, -5.0
                "scale", BoundSide.Upper, 5.0
                "own[0]", BoundSide.Upper, 10.0
                "own[1]", BoundSide.Upper, 10.0
                "mc[0]", BoundSide.Upper, 10.0
            ]

    // Not: `free` has no constraint, `held` is fixed, factors of all that is in a bin end at 0.
    Assert.Equal<Set<string * BoundSide * float>>(expected, found)

[<Fact>]
let ``bounds that are lifted change fits and no density`` () =
    let bounded, lifted = model ModelOptions.None, model unbounded
    let names = Likelihood.names bounded
    let at (fit: Fit) (name: string) : float = fit.Point[System.Array.IndexOf(names, name)]
    let first, second = Fit.minimise bounded, Fit.minimise lifted
    Assert.Equal(FitStatus.Converged, first.Status)
    Assert.Equal(FitStatus.Converged, second.Status)

    Assert.Equal<ParameterBound list>(
        [
            { Parameter = "free"; Side = BoundSide.Upper; Value = 1.0 }
            { Parameter = "scale"; Side = BoundSide.Upper; Value = 5.0 }
        ],
        first.ActiveBounds
    )

    Assert.Equal<string list>([ "free" ], second.ActiveBounds |> List.map _.Parameter)
    Assert.True(at second "scale" > 6.0)
    Assert.True(second.TwiceNll < first.TwiceNll - 1.0)
    Assert.Equal(0.0, at second "held")

    let value (model: Likelihood) : float =
        (Objective.ofLikelihood model).Values(second.Point, RunOptions.Single)[0]

    Assert.Equal(value bounded, value lifted)
    Assert.Empty(NuisanceBounds.liftable lifted)

[<Fact>]
let ``scans say at which bounds they rest, value by value`` () =
    let scan = model ModelOptions.None |> Profile.scan "free" [ 0.0; 1.0 ]

    for fit in scan.Fits do
        Assert.Equal<string list>([ "scale" ], fit.ActiveBounds |> List.map _.Parameter)
        Assert.Equal(1, fit.Minima.Head.Starts)
        Assert.InRange(fit.GradientNorm, 0.0, 1e-4)
        Assert.InRange(fit.Edm, 0.0, 1e-8)

    let text = (Scanning.report scan).Json |> JsonValue.toLine
    Assert.Contains("\"side\":\"upper\"", text.Replace(" ", ""))
    Assert.Contains("scale is at its upper bound 5 at 2 of 2 values", (Scanning.report scan).Notes)

[<Fact>]
let ``a log density whose constraints are not known has none to lift, and says so`` () =
    let opaque =
        { model ModelOptions.None with
            Density = Density.Opaque(Expr.parameter "scale" Scalar, [])
            Data = Map.empty
        }

    Assert.Empty(NuisanceBounds.liftable opaque)
    let path = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName() + ".onnx")

    try
        File.WriteAllBytes(path, [||])

        match ModelFile.load path unbounded with
        | Ok _ -> Assert.Fail "read"
        | Error errors -> Assert.Contains("unbounded-nuisances", (List.exactlyOne errors).Message)
    finally
        File.Delete path
