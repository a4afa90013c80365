module FunLik.Tests.SearchTests

open System
open System.IO
open FsCheck
open FsCheck.FSharp
open FunLik
open Xunit

let private papers: Lazy<SearchData> =
    lazy
        (Json.parseFile (Support.sharedFile "data/lhc-toy.json")
         |> Result.bind SearchData.ofJson
         |> Error.orRaise)

let private valuesAt (outputs: (string * Expr) list) (model: Likelihood) (points: float[] list) =
    (Objective.session model outputs)
        .Evaluate(points.Length, [| Array.concat points |], RunOptions.Single)

let private close (tolerance: float) (expected: float) (found: float) : unit =
    let difference = abs (found - expected) / max 1.0 (abs expected)
    Assert.True(difference <= tolerance, $"found {found:R}, expected {expected:R}")

// ---- The oracle: section 1 of the definition (arXiv:1809.05548) word for word, one bin after the other.

let private rho (up: float) (down: float) (d: float) : float =
    if d > 1.0 then
        (0.5 * (3.0 * up + down) - 2.0) * d - 0.5 * (up + down) + 2.0
    elif d < -1.0 then
        (2.0 - 0.5 * (3.0 * down + up)) * d - 0.5 * (up + down) + 2.0
    else
        0.5 * d * (d - 1.0) * down - (d - 1.0) * (d + 1.0) + 0.5 * d * (d + 1.0) * up

let private expectations (data: SearchData) (x: float[]) : float[] =
    let bins = data.BinsPerCategory
    let all = data.Observed.Length
    let nuisance (j: int) : float = x[1 + all + j]

    [|
        for bin in 0 .. all - 1 do
            let c = bin / bins
            let inside = [ c * bins .. (c + 1) * bins - 1 ]
            let total = inside |> List.sumBy (fun i -> data.Background[i])

            let weight (i: int) : float =
                data.Systematics
                |> List.indexed
                |> List.fold
                    (fun product (j, s) ->
                        match s.Shape with
                        | Some shape -> product * rho shape.Up[i] shape.Down[i] (nuisance j)
                        | None -> product)
                    (data.Background[i] / total)

            let norm =
                data.Systematics
                |> List.indexed
                |> List.fold
                    (fun product (j, s) ->
                        let d = nuisance j

                        if d >= 0.0 then
                            product * Math.Pow(1.0 + s.Norm.Up[c], d)
                        else
                            product * Math.Pow(1.0 + s.Norm.Down[c], -d))
                    1.0

            x[0] * data.Signal[bin]
            + total * norm * weight bin / List.sumBy weight inside
              * Math.Pow(1.0 + data.McStatEpsilon[bin], x[1 + bin])
    |]

let private oracle (data: SearchData) (x: float[]) : float =
    let means = expectations data x

    if not (-1.0 < x[0] && x[0] < 5.0) || means |> Array.exists (fun v -> v < 0.0) then
        -infinity
    else
        let counts =
            Array.map2
                (fun n mean ->
                    (if n = 0.0 then 0.0 else n * log mean)
                    - mean
                    - MathNet.Numerics.SpecialFunctions.GammaLn(n + 1.0))
                data.Observed
                means
            |> Array.sum

        let nuisances = Array.tail x
        let squares = nuisances |> Array.sumBy (fun v -> v * v)

        counts
        - 0.5 * squares
        - 0.5 * float nuisances.Length * log (2.0 * Math.PI)
        - log 5.0

// ---- The papers' search

[<SharedFact("reference/lhc-toy-points.json")>]
let ``the thirteen published points come out to 1e-11`` () =
    let point (json: Json) =
        Validation.map2
            (fun x (main, prior, posterior) -> x, main, prior, posterior)
            (Json.field "x" (Json.floats 95) json)
            (Validation.map3
                (fun main prior posterior -> main, prior, posterior)
                (Json.field "logLikelihood" Json.float json)
                (Json.field "logPrior" Json.float json)
                (Json.field "logPosterior" Json.float json))

    let points =
        Json.parseFile (Support.sharedFile "reference/lhc-toy-points.json")
        |> Result.bind (Json.list point)
        |> Error.orRaise

    Assert.Equal(13, points.Length)
    let model = Search.likelihood papers.Value
    let parts = Likelihood.parts model

    let outputs =
        [
            "logDensity", Likelihood.logDensity model
            "main", parts.Main
            "constraint", parts.Constraint.Value
            "prior", parts.Prior
        ]

    let found = points |> List.map (fun (x, _, _, _) -> x) |> valuesAt outputs model

    points
    |> List.iteri (fun i (x, main, prior, posterior) ->
        close 1e-11 posterior (found[0][i])
        close 1e-11 main (found[1][i])
        close 1e-11 prior (found[2][i] + found[3][i])
        close 1e-11 posterior (oracle papers.Value x))

[<SharedFact("data/lhc-toy.json")>]
let ``the papers' search has its parameters, and its value at half the signal`` () =
    let model = Search.likelihood papers.Value
    let names = Likelihood.names model
    Assert.Equal(95, names.Length)
    Assert.Equal<string[]>([| "mu"; "delta[0]" |], names[..1])
    Assert.Equal<string[]>([| "delta[89]"; "isr"; "jes"; "lv"; "cr" |], names[90..])

    let parameters = Likelihood.parameters model
    Assert.Equal(ParameterKind.Poi, parameters[0].Kind)
    Assert.True(parameters |> Array.tail |> Array.forall _.Kind.IsNuisance)
    Assert.Equal<string[]>(names[91..], parameters |> Array.filter _.IsKinked |> Array.map _.Name)

    let x = Array.init 95 (fun i -> if i = 0 then 0.5 else 0.0)
    let value = (Objective.ofLikelihood model).Values(x, RunOptions.Single)[0]
    close 1e-12 -291.536903937948 value

// ---- Random searches

/// A search with rough numbers: some bins without signal, count or background.
let private randomSearch
    (categories: int)
    (bins: int)
    (shaped: int)
    (flat: int)
    (key: Key)
    : SearchData =
    let all = categories * bins

    let draw (name: string) (count: int) (low: float) (high: float) : float[] =
        Key.uniforms count (Key.foldName name key)
        |> Array.map (fun u -> low + (high - low) * u)

    let withZeros (name: string) (values: float[]) : float[] =
        Array.map2
            (fun u v -> if u < 0.2 then 0.0 else v)
            (Key.uniforms values.Length (Key.foldName name key))
            values

    {
        Name = "random"
        Categories = categories
        BinsPerCategory = bins
        Observed = draw "observed" all 0.0 30.0 |> Array.map Math.Floor |> withZeros "no count"
        Background = draw "background" all 0.5 30.0
        Signal = draw "signal" all 0.0 5.0 |> withZeros "no signal"
        McStatEpsilon = draw "epsilon" all -0.3 0.5
        Systematics =
            [
                for j in 0 .. shaped + flat - 1 ->
                    {
                        Name = $"source{j}"
                        Norm =
                            {
                                Up = draw $"norm up {j}" categories -0.3 0.4
                                Down = draw $"norm down {j}" categories -0.4 0.3
                            }
                        Shape =
                            if j < shaped then
                                Some
                                    {
                                        Up = draw $"shape up {j}" all 0.8 1.3
                                        Down = draw $"shape down {j}" all 0.8 1.2
                                    }
                            else
                                None
                    }
            ]
    }

let private randomPoint (count: int) (key: Key) : float[] =
    let x = Key.normals count key
    x[0] <- -0.9 + 4.0 * (Key.uniforms 1 (Key.foldName "mu" key))[0]
    x

/// Categories, bins, systematics with a shape, and without.
let private sizes =
    [
        1, 1, 0, 0
        1, 4, 0, 2
        2, 3, 1, 1
        3, 5, 2, 2
        2, 4, 3, 0
        2, 2, 4, 1
        1, 3, 5, 0
    ]

[<Fact>]
let ``random searches are worth what the definition says`` () =
    let law (seed: int) =
        for categories, bins, shaped, flat in sizes do
            let key = Key.ofSeed seed |> Key.fold (100 * bins + shaped)
            let data = randomSearch categories bins shaped flat key
            let model = Search.likelihood data
            let count = (Likelihood.parameters model).Length
            let points = [ for i in 0..4 -> randomPoint count (Key.fold i key) ]

            let values =
                (Objective.ofLikelihood model).Values(Array.concat points, RunOptions.Single)

            List.iteri
                (fun i x ->
                    let expected = oracle data x

                    if Double.IsInfinity expected then
                        Assert.Equal(expected, values[i])
                    else
                        close 1e-11 expected values[i])
                points

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 20, law)

[<Fact>]
let ``the gradient is that of central differences`` () =
    for categories, bins, shaped, flat in sizes do
        let key = Key.ofSeed (7 + bins)
        let data = randomSearch categories bins shaped flat key
        let model = Search.likelihood data
        let objective = Objective.ofLikelihood model
        let x = randomPoint objective.Count (Key.foldName "point" key)
        x[0] <- abs x[0]
        let struct (_, gradient) = objective.ValuesAndGradients(x, RunOptions.Single)
        let step = 1e-5

        let moved (i: int) (by: float) : float =
            oracle data (x |> Array.mapi (fun k v -> if k = i then v + by else v))

        gradient
        |> Array.iteri (fun i g -> close 1e-7 ((moved i step - moved i -step) / (2.0 * step)) g)

[<Fact>]
let ``at the kinks the gradient is that from above`` () =
    let data = randomSearch 2 3 2 2 (Key.ofSeed 3)
    let model = Search.likelihood data
    let objective = Objective.ofLikelihood model
    let x = Array.zeroCreate objective.Count
    x[0] <- 0.4
    let struct (_, gradient) = objective.ValuesAndGradients(x, RunOptions.Single)
    let step = 1e-6

    for i in objective.Count - 4 .. objective.Count - 1 do
        // Second order, from one side: (-3 f(0) + 4 f(h) - f(2h)) / 2h.
        let at (h: float) : float =
            oracle data (x |> Array.mapi (fun k v -> if k = i then v + h else v))

        let above = (4.0 * at step - 3.0 * at 0.0 - at (2.0 * step)) / (2.0 * step)
        let below = (4.0 * at -step - 3.0 * at 0.0 - at (-2.0 * step)) / (-2.0 * step)
        Assert.True(abs (above - below) > 1e-3, "no kink")
        close 1e-6 above gradient[i]

[<Fact>]
let ``a parameter without a kink is not marked`` () =
    let smooth =
        { randomSearch 1 2 0 1 (Key.ofSeed 1) with
            Systematics =
                [
                    { Name = "smooth"; Norm = { Up = [| 1.0 |]; Down = [| -0.5 |] }; Shape = None }
                    { Name = "kinked"; Norm = { Up = [| 1.0 |]; Down = [| -0.4 |] }; Shape = None }
                ]
        }

    let marked =
        Search.likelihood smooth |> Likelihood.parameters |> Array.filter _.IsKinked

    Assert.Equal<string[]>([| "kinked" |], marked |> Array.map _.Name)

[<Fact>]
let ``outside of the support the density is zero`` () =
    let data =
        { randomSearch 1 3 1 1 (Key.ofSeed 5) with
            Signal = [| 10.0; 0.0; 1.0 |]
            Background = [| 5.0; 4.0; 3.0 |]
        }

    let objective = Objective.ofLikelihood (Search.likelihood data)

    let at (mu: float) : float =
        let x = Array.zeroCreate objective.Count
        x[0] <- mu
        objective.Values(x, RunOptions.Single)[0]

    for mu in [ -1.0; -2.0; 5.0; 7.0; -infinity; infinity ] do
        Assert.Equal(-infinity, at mu)

    // The first bin expects 5 + 10 μ.
    Assert.Equal(-infinity, at -0.6)
    Assert.True(Double.IsFinite(at -0.4))

    let struct (low, high) = objective.Parameters[0].Bounds
    Assert.Equal(low, Math.BitIncrement -1.0)
    Assert.True(Double.IsFinite(at (Math.BitDecrement high)))

[<Fact>]
let ``mistakes in data are raised together`` () =
    let good = randomSearch 1 2 1 0 (Key.ofSeed 5)

    let bad =
        { good with
            Observed = [| -1.0; nan |]
            Systematics = good.Systematics @ good.Systematics
        }

    let errors =
        Assert.Throws<FunLikException>(fun () -> Search.likelihood bad |> ignore).Errors

    Assert.Equal(2, errors |> List.filter (fun e -> e.Kind = ErrorKind.Value) |> List.length)
    Assert.Contains(errors, fun e -> e.Kind = ErrorKind.Name && e.Message.Contains "source0")

[<Fact>]
let ``the example search is read`` () =
    let path = Path.Combine(Support.root, "examples", "search", "model.json")
    let model = ModelFile.load path ModelOptions.None |> Error.orRaise
    let count = (Likelihood.parameters model).Length
    Assert.Equal(65, count)

    let data = Json.parseFile path |> Result.bind SearchData.ofJson |> Error.orRaise

    let x = randomPoint count (Key.ofSeed 11)
    x[0] <- abs x[0]
    let value = (Objective.ofLikelihood model).Values(x, RunOptions.Single)[0]
    close 1e-11 (oracle data x) value
