module FunLik.Tests.SurrogateTests

open System
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

let private single = RunOptions.Single

/// A quadratic form of n variables with all coefficients random.
let private randomQuadratic (n: int) (seed: int) : Quadratic =
    let draw = Key.normals (1 + n + n * n) (Key.ofSeed seed)

    let symmetric (i: int) (k: int) : float = draw[1 + n + n * min i k + max i k]

    {
        Constant = 10.0 * draw[0]
        Linear = draw[1..n]
        Curvature = Array.init (n * n) (fun p -> symmetric (p / n) (p % n))
    }

let private valueOf (q: Quadratic) (z: float[]) : float =
    let n = z.Length

    let form =
        Seq.sum (
            seq {
                for i in 0 .. n - 1 do
                    for k in 0 .. n - 1 -> z[i] * q.Curvature[i * n + k] * z[k]
            }
        )

    q.Constant + Array.sum (Array.map2 (*) q.Linear z) + 0.5 * form

let private gradientOf (q: Quadratic) (z: float[]) : float[] =
    let n = z.Length

    Array.init n (fun i ->
        q.Linear[i]
        + Seq.sum (seq { for k in 0 .. n - 1 -> q.Curvature[i * n + k] * z[k] }))

let private dataOf (n: int) (points: float[]) (q: Quadratic) (withGradients: bool) : Dataset =
    let rows = Array.chunkBySize n points

    Dataset.create
        n
        points
        (rows |> Array.map (valueOf q))
        (if withGradients then
             Some(rows |> Array.collect (gradientOf q))
         else
             None)
        (Array.init rows.Length (fun r -> r % 4))
    |> Error.orRaise

let private close (tolerance: float) (expected: float[]) (found: float[]) : unit =
    Assert.Equal(expected.Length, found.Length)

    for e, f in Array.zip expected found do
        Assert.True(abs (e - f) <= tolerance * (1.0 + abs e), $"{f}, not {e}")

[<Fact>]
let ``a quadratic is found again from its values, and from few points with gradients`` () =
    let law (n: int, seed: int, withGradients: bool) =
        let coefficients = 1 + n + n * (n + 1) / 2
        let count = if withGradients then 2 + n else 3 * coefficients
        let points = Key.normals (n * count) (Key.ofSeed (seed + 1))
        let expected = randomQuadratic n seed

        let found =
            Quadratic.fit single 1.0 (Interactions.all n) (dataOf n points expected withGradients)

        close 1e-5 [| expected.Constant |] [| found.Constant |]
        close 1e-5 expected.Linear found.Linear
        close 1e-5 expected.Curvature found.Curvature

    let cases =
        gen {
            let! n = Gen.choose (1, 5)
            let! seed = Gen.choose (0, 10000)
            let! withGradients = Gen.elements [ true; false ]
            return n, seed, withGradients
        }

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 25, Prop.forAll (Arb.fromGen cases) law)

/// Points of three correlated parameters with very different units.
let private correlated (count: int) : Dataset =
    let draws = Key.normals (3 * count) (Key.ofSeed 11)

    let points =
        draws
        |> Array.chunkBySize 3
        |> Array.collect (fun d ->
            [| 5.0 + 0.1 * d[0]; 1000.0 * (d[0] + 0.5 * d[1]); -2.0 + d[2] - 0.7 * d[1] |])

    dataOf 3 points (randomQuadratic 3 1) false

[<Fact>]
let ``whitened points have mean 0, variance 1 and no correlations, and the way back leads back``
    ()
    =
    let data = correlated 400
    let x = Expr.datum "x" (Vector 3)

    let check (isFull: bool) =
        let whitening = Whitening.ofPoints isFull single data
        Assert.Equal(isFull, whitening.IsFull)

        let session =
            [ "z", Whitening.toExpr whitening x ]
            |> Program.ofOutputs
            |> Reference.compile (Binding.ofRole (Set.singleton "x"))
            |> _.Bind()

        let z =
            session.Evaluate(data.Count, [| data.Points |], single)[0]
            |> Array.chunkBySize 3

        for i in 0..2 do
            Assert.Equal(0.0, z |> Array.averageBy (fun row -> row[i]), 9)

            for k in 0..2 do
                let product = z |> Array.averageBy (fun row -> row[i] * row[k])

                if i = k then
                    Assert.Equal(1.0, product, 9)
                elif isFull then
                    Assert.Equal(0.0, product, 9)

        for row, point in Array.zip z (Array.chunkBySize 3 data.Points) do
            let back =
                Array.map2
                    (fun directions centre -> centre + Array.sum (Array.map2 (*) directions row))
                    whitening.Back
                    whitening.Centre

            close 1e-9 point back

    check true
    check false

[<Fact>]
let ``in coordinates of a curvature a quadratic curves by -1 in all directions, and one without a maximum has none``
    ()
    =
    let law (n: int, seed: int) =
        let points = Key.normals (40 * n) (Key.ofSeed seed)
        let data = dataOf n points (randomQuadratic n seed) false
        let whitening = Whitening.ofPoints true single data
        let a = Key.normals (n * n) (Key.ofSeed (seed + 1))

        // -(A Aᵀ + I) is negative definite.
        let curvature (sign: float) : float[] =
            Array.init (n * n) (fun p ->
                let i, k = p / n, p % n
                let product = Seq.sum (seq { for j in 0 .. n - 1 -> a[i * n + j] * a[k * n + j] })
                sign * (product + (if i = k then 1.0 else 0.0)))

        Assert.True((Whitening.ofCurvature (curvature 1.0) whitening).IsNone)

        match Whitening.ofCurvature (curvature -1.0) whitening with
        | None -> Assert.Fail "it has a maximum"
        | Some found ->
            // Column j of Back, in the old coordinates, is a direction of the new ones.
            let direction (j: int) : float[] =
                let x = found.Back |> Array.map (fun row -> row[j])
                whitening.Forward |> Array.map (fun row -> Array.sum (Array.map2 (*) row x))

            let s = curvature -1.0

            for i in 0 .. n - 1 do
                for j in 0 .. n - 1 do
                    let u, v = direction i, direction j

                    let along =
                        Seq.sum (
                            seq {
                                for p in 0 .. n - 1 do
                                    for q in 0 .. n - 1 -> u[p] * s[p * n + q] * v[q]
                            }
                        )

                    Assert.Equal((if i = j then -1.0 else 0.0), along, 8)

                    let unit =
                        Array.sum (
                            Array.map2
                                (*)
                                found.Forward[i]
                                (found.Back |> Array.map (fun r -> r[j]))
                        )

                    Assert.Equal((if i = j then 1.0 else 0.0), unit, 8)

    let cases = Gen.zip (Gen.choose (1, 5)) (Gen.choose (0, 10000))
    Check.One(Config.QuickThrowOnFailure.WithMaxTest 25, Prop.forAll (Arb.fromGen cases) law)

[<Fact>]
let ``fewer points than parameters are whitened by their widths`` () =
    let data = correlated 3
    Assert.False((Whitening.ofPoints true single data).IsFull)

/// A density with a correlated Gaussian core, a curved valley, and a kink in its second parameter; a flat prior on the first.
let private subject: Likelihood =
    let poi =
        ModelParameter.create "mu" ParameterKind.Poi 0.0 |> ParameterBlock.ofParameter

    let nuisances =
        [| "a"; "b" |]
        |> Array.map (fun name ->
            { ModelParameter.create name ParameterKind.Nuisance 0.0 with
                IsKinked = name = "a"
            })
        |> ParameterBlock.ofVector "theta"

    let mu, theta = ParameterBlock.leaf poi, ParameterBlock.leaf nuisances
    let a, b = Expr.item 0 theta, Expr.item 1 theta
    let valley = mu - 0.3 * a * a - 0.4 * b

    let density =
        -100.0 - 2.0 * valley * valley - 0.5 * (a * a + b * b) - 0.3 * abs a
        + 0.2 * sin (mu + b)

    Likelihood.create
        "valley"
        [ poi; nuisances ]
        (Density.Opaque(density, []))
        Map.empty
        [ Prior.flat -4.0 4.0 poi ]

let private sampled (count: int) (seed: int) : Dataset =
    let draws = Key.normals (3 * count) (Key.ofSeed seed) |> Array.chunkBySize 3

    let points =
        draws
        |> Array.collect (fun d ->
            let a, b = d[1], d[2]
            [| Math.Clamp(0.3 * a * a + 0.4 * b + 0.5 * d[0], -3.9, 3.9); a; b |])

    let objective = Likelihood.withoutPriors subject |> Objective.ofLikelihood
    let struct (values, gradients) = objective.ValuesAndGradients(points, single)

    Dataset.create 3 points values (Some gradients) (Array.init count (fun r -> r % 8))
    |> Error.orRaise

let private quick: Recipe =
    { Recipe.funlik with
        Hidden = [ 32; 32 ]
        BatchSize = 64
        Length = TrainingLength.Epochs 60
    }

let private learnt: Lazy<Surrogate * EpochInfo list> =
    lazy
        (Surrogate.learn single quick (Key.ofSeed 5) subject (sampled 1000 1) (sampled 200 2)
         |> Error.orRaise)

[<Fact>]
let ``a surrogate is a likelihood, and far closer to the exact one than the quadratic is`` () =
    let surrogate, history = learnt.Value
    Assert.Equal(60, history.Length)
    let test = sampled 1000 3
    let without (model: Likelihood) : Likelihood = Likelihood.withoutPriors model

    let mse (model: Likelihood) : float =
        (Validate.against single (Array.max test.Values) test.Points test.Values (without model))
            .Mse

    let network, quadratic = mse surrogate.Likelihood, mse surrogate.Baseline
    Assert.True(network < 0.05 * quadratic, $"{network}, quadratic {quadratic}")
    Assert.Equal<string[]>(Likelihood.names subject, Likelihood.names surrogate.Likelihood)
    Assert.True surrogate.Likelihood.Density.IsOpaque

    // Gradients were learnt too.
    let gradients (model: Likelihood) : float[] =
        let struct (_, g) =
            (Objective.ofLikelihood model).ValuesAndGradients(test.Points, single)

        g

    let misses =
        Array.map2 (-) (gradients (without surrogate.Likelihood)) test.Gradients.Value

    Assert.True(misses |> Array.averageBy (fun d -> d * d) < 0.05)

[<Fact>]
let ``priors and the support of a surrogate are exact`` () =
    let surrogate, _ = learnt.Value
    let objective = Objective.ofLikelihood surrogate.Likelihood
    let values = objective.Values([| 4.5; 0.0; 0.0; 0.1; 0.2; 0.3 |], single)
    Assert.Equal(-infinity, values[0])

    let without =
        (Likelihood.withoutPriors surrogate.Likelihood |> Objective.ofLikelihood)
            .Values([| 0.1; 0.2; 0.3 |], single)

    Assert.Equal(without[0] - log 8.0, values[1], 10)

[<Fact>]
let ``a surrogate as an ONNX file gives the engine's values in single precision`` () =
    let surrogate, _ = learnt.Value
    let test = sampled 100 4

    let values =
        (Objective.ofLikelihood surrogate.Likelihood).Values(test.Points, single)

    let onnx =
        Bundle.toOnnx false [| 0.0; 0.0; 0.0 |] [ "seed", "5" ] surrogate
        |> Error.orRaise

    match Bundle.agreement onnx test.Points values |> Error.orRaise with
    | Agreement.Checked(_, points, largest) ->
        Assert.Equal(100, points)
        Assert.True(largest <= 1e-6, $"{largest}")
    | Agreement.NotChecked reason -> Assert.NotEqual<string>("", reason)

[<Fact>]
let ``the same data and key give the same surrogate, bit for bit`` () =
    let learn (threads: int) : Weights =
        let options = { single with Threads = threads }
        let recipe = { quick with Length = TrainingLength.Epochs 3 }

        Surrogate.learn options recipe (Key.ofSeed 5) subject (sampled 300 1) (sampled 50 2)
        |> Error.orRaise
        |> fst
        |> _.Weights

    let expected = learn 1

    for threads in [ 1; 2; 7 ] do
        for KeyValue(name, values) in learn threads do
            Assert.Equal<float32[]>(expected[name], values)

[<Fact>]
let ``a recipe without a quadratic and without gradients learns too`` () =
    let recipe =
        { quick with
            HasQuadratic = false
            HasSkip = false
            HasKinks = false
            GradientWeight = None
            Initialisation = { Hidden = Scheme.LecunNormal; Output = Scheme.GlorotUniform }
        }

    let surrogate, _ =
        Surrogate.learn single recipe (Key.ofSeed 5) subject (sampled 1000 1) (sampled 200 2)
        |> Error.orRaise

    let test = sampled 500 3

    let deviations =
        Likelihood.withoutPriors surrogate.Likelihood
        |> Validate.against single (Array.max test.Values) test.Points test.Values

    let spread = (Dataset.moments test.Values).Deviation
    Assert.True(deviations.Mse < 0.1 * spread * spread, $"{deviations.Mse}")

[<Fact>]
let ``a recipe with unscaled inputs learns the standardised output, and one with products learns from them``
    ()
    =
    let training = sampled 1000 1
    let test = sampled 500 3

    let recipes =
        [
            { Recipe.dnnlikelihood with
                Hidden = [ 32; 32 ]
                BatchSize = 64
                Length = TrainingLength.Epochs 60
            }
            { quick with
                Inputs = InputScaling.Widths
                HasQuadratic = false
                HasProducts = true
            }
        ]

    for recipe in recipes do
        let learner =
            Surrogate.prepare single recipe subject training (sampled 200 2)
            |> Error.orRaise

        let spread = (Dataset.moments training.Values).Deviation
        Assert.Equal(spread, learner.Scale, 9)

        let surrogate, _ =
            Surrogate.learn single recipe (Key.ofSeed 5) subject training (sampled 200 2)
            |> Error.orRaise

        let deviations =
            Likelihood.withoutPriors surrogate.Likelihood
            |> Validate.against single (Array.max test.Values) test.Points test.Values

        Assert.True(deviations.Mse < 0.1 * spread * spread, $"{recipe.Name}: {deviations.Mse}")

    let network =
        Features.network
            (Whitening.identity 3)
            (Interactions.all 3)
            [ 1, 0.0 ]
            { quick with HasProducts = true }
        |> Error.orRaise

    Assert.Equal(
        "3 -> (dense 1 + [products, map 1 -> abs] -> dense 32 -> silu -> dense 32 -> silu -> dense 1)",
        Architecture.describe network
    )

[<Fact>]
let ``deviations are means, sizes and the largest of differences`` () =
    let d = Validate.deviations 3.0 [| 1.0; 2.0; 5.0 |] [| 1.5; 2.0; 3.0 |]
    Assert.Equal(3, d.Points)
    Assert.Equal(4.25 / 3.0, d.Mse, 12)
    Assert.Equal(2.5 / 3.0, d.Mae, 12)
    Assert.Equal(2.0, d.Largest, 12)
    Assert.Equal(0.5, d.Bias, 12)

    // 0.05, or 1 % of what lies between a value and the largest.
    let near =
        Validate.deviations 3.0 [| 2.96; 2.94; -96.0; -98.2 |] [| 3.0; 3.0; -97.0; -97.0 |]

    Assert.Equal(0.5, near.Accurate)

[<Fact>]
let ``round values are round, and inside of range and bounds`` () =
    let poi =
        ModelParameter.create "mu" ParameterKind.Poi 0.0
        |> ModelParameter.bounded -1.0 5.0

    let values = Validate.roundValues poi -0.013 0.36
    Assert.Equal<float[]>([| for k in -9 .. 10 -> float k / 10.0 |], values)

    let law (NormalFloat centre) (NormalFloat logWidth) =
        let deviation = exp (System.Math.Clamp(logWidth, -8.0, 8.0))
        let free = ModelParameter.create "x" ParameterKind.Poi centre
        let free = { free with Range = struct (-infinity, infinity) }
        let values = Validate.roundValues free centre deviation
        let steps = Array.pairwise values |> Array.map (fun (a, b) -> b - a)

        let isEven = steps |> Array.forall (fun s -> abs (s - steps[0]) < 1e-6 * steps[0])

        let isInside = values |> Array.forall (fun v -> abs (v - centre) <= 3.0 * deviation)
        values.Length >= 14 && values.Length <= 39 && isEven && isInside

    Check.One(Config.QuickThrowOnFailure, law)

/// A Poisson-like sum over bins, each with a nuisance of its own and all with two parameters in common, of which one has a kink.
let private bins: Likelihood =
    let common =
        [| "mu"; "a" |]
        |> Array.map (fun name ->
            { ModelParameter.create name ParameterKind.Nuisance 0.0 with
                IsKinked = name = "a"
            })
        |> ParameterBlock.ofVector "common"

    let own =
        Array.init 6 (fun k -> ModelParameter.create $"d{k}" ParameterKind.Nuisance 0.0)
        |> ParameterBlock.ofVector "own"

    let mu, a =
        Expr.item 0 (ParameterBlock.leaf common), Expr.item 1 (ParameterBlock.leaf common)

    let d = ParameterBlock.leaf own
    let signal = Expr.vector [| 0.1; 0.4; 0.9; 0.6; 0.3; 0.1 |]
    let expected = exp (0.2 * d + 0.3 * a - 0.1 * abs a) + signal * exp (0.3 * mu)
    let observed = Expr.vector [| 2.0; 1.0; 3.0; 2.0; 1.0; 1.0 |]

    Likelihood.create
        "bins"
        [ common; own ]
        (Density.Opaque(
            Expr.dot observed (log expected)
            - Expr.sum expected
            - 0.5 * (mu * mu + a * a + Expr.dot d d),
            []
        ))
        Map.empty
        []

let private binned (count: int) (seed: int) : Dataset =
    let points = Key.normals (8 * count) (Key.ofSeed seed)

    let struct (values, gradients) =
        (Objective.ofLikelihood bins).ValuesAndGradients(points, single)

    Dataset.create 8 points values (Some gradients) (Array.init count (fun r -> r % 8))
    |> Error.orRaise

[<Fact>]
let ``parameters that do not interact get polynomials, and are learnt better than by layers over all``
    ()
    =
    let training, choosing, test = binned 400 1, binned 100 2, binned 1000 3

    let learn (recipe: Recipe) : Surrogate =
        Surrogate.learn single recipe (Key.ofSeed 5) bins training choosing
        |> Error.orRaise
        |> fst

    let mse (model: Likelihood) : float =
        (Validate.against single 0.0 test.Points test.Values model).Mse

    let quick = { quick with Length = TrainingLength.Steps 600 }
    let apart = learn quick
    let together = learn { quick with Separable = None }
    Assert.Contains("choose 6 * choose 6", Architecture.describe apart.Network)
    Assert.DoesNotContain("choose", Architecture.describe together.Network)
    Assert.True(mse apart.Likelihood < 0.3 * mse together.Likelihood)
    Assert.True(mse together.Likelihood < 0.3 * mse apart.Baseline)

    // No pair of the bins' own parameters is in the quadratic, nor in what is learnt: mixed differences vanish.
    let rectangle (model: Likelihood) (i: int) (k: int) : float =
        let at (steps: int list) : float[] =
            Array.init 8 (fun j -> (if List.contains j steps then 1.5 else 0.3) + 0.1 * float j)

        let values =
            (Objective.ofLikelihood model)
                .Values(Array.concat [ at [ i; k ]; at [ i ]; at [ k ]; at [] ], single)

        abs (values[0] - values[1] - values[2] + values[3])

    for model in [ apart.Likelihood; apart.Baseline ] do
        Assert.True(rectangle model 2 5 < 1e-5)
        Assert.True(rectangle model 0 1 > 1e-3)

    Assert.True(rectangle together.Likelihood 2 5 > 1e-5)
