module FunLik.Tests.PropertyTests

open System
open Microsoft.FSharp.NativeInterop
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik
open FunLik.PropertyTesting

#nowarn "9"

let private single = RunOptions.Single

// ---- A surrogate: of a density with its maximum at 0, the same at -x and where the parameters are exchanged.

let private parameters: ModelParameter[] =
    [| "mu", ParameterKind.Poi; "theta", ParameterKind.Nuisance |]
    |> Array.map (fun (name, kind) ->
        ModelParameter.create name kind 0.0 |> ModelParameter.bounded -3.0 3.0)

let private subject: Likelihood =
    let blocks = parameters |> Array.map ParameterBlock.ofParameter |> List.ofArray

    match blocks |> List.map ParameterBlock.leaf with
    | [ m; t ] ->
        let density = -40.0 - 0.5 * (m * m + t * t) + 0.3 * cos (m + t)
        Likelihood.create "ripple" blocks (Density.Opaque(density, [])) Map.empty []
    | _ -> invalidOp "two parameters"

let private exact = Objective.ofLikelihood subject

/// The largest log density: at 0.
let private highest = -39.7

let private labels (count: int) (seed: int) : Dataset =
    let points =
        Key.uniforms (2 * count) (Key.ofSeed seed) |> Array.map (fun u -> 6.0 * u - 3.0)

    let struct (values, gradients) = exact.ValuesAndGradients(points, single)

    Dataset.create 2 points values (Some gradients) (Array.init count (fun r -> r % 4))
    |> Error.orRaise

let private learner: Lazy<Learner * Weights> =
    lazy
        (let recipe =
            { Recipe.funlik with
                Hidden = [ 32; 32 ]
                BatchSize = 32
                Length = TrainingLength.Epochs 80
            }

         let learner =
             Surrogate.prepare single recipe subject (labels 800 1) (labels 200 2)
             |> Error.orRaise

         let struct (state, _) =
             Train.init (Key.ofSeed 1) learner.Trainer
             |> Train.run single learner.Trainer
             |> Seq.last

         learner, state.Best)

/// The surrogate of the weights learnt, times a factor.
let private surrogateOf (factor: float32) : Surrogate =
    let learner, weights = learner.Value
    let changed = weights |> Map.map (fun _ -> Array.map (fun w -> factor * w))
    Surrogate.ofWeights changed learner

let private good = lazy (surrogateOf 1.0f)
let private goodObjective = lazy (Objective.ofLikelihood good.Value.Likelihood)

let private wrong = lazy (surrogateOf 1.3f)
let private wrongObjective = lazy (Objective.ofLikelihood wrong.Value.Likelihood)

let private onnxOf (surrogate: Surrogate) : byte[] =
    Bundle.toOnnx false [| 0.0; 0.0 |] [] surrogate |> Error.orRaise

let private region: Region = { Lowest = [| -3.0; -3.0 |]; Highest = [| 3.0; 3.0 |] }

let private domain: Lazy<CheckDomain> =
    lazy
        (CheckPoints.domain parameters region [| 0.0; 0.0 |] None
         |> Error.orRaise
         |> CheckPoints.withRidge single 8 subject)

/// An objective with other values, given row, point and value, and gradients that are scaled.
let private altered
    (value: int -> float[] -> float -> float)
    (scale: float)
    (objective: Objective)
    : Objective =
    let n = objective.Count

    { new Objective(objective.Parameters) with
        member _.HasGradient = true
        member _.Expression = None

        member _.Evaluate(rows, points, values, gradients, options) =
            objective.Evaluate(rows, points, values, gradients, options)

            for r in 0 .. rows - 1 do
                let x = Array.init n (fun k -> NativePtr.get points (r * n + k))
                NativePtr.set values r (value r x (NativePtr.get values r))

            if not (NativePtr.isNullPtr gradients) then
                for i in 0 .. rows * n - 1 do
                    NativePtr.set gradients i (scale * NativePtr.get gradients i)
    }

let private withValues (value: float[] -> float -> float) : Objective =
    altered (fun _ x y -> value x y) 1.0 goodObjective.Value

let private negated: float[] -> float[] = Array.map (~-)

let private stated (largest: float) : SliceCheck list =
    let d: Deviations =
        {
            Points = 100
            Mse = 0.01
            Mae = 0.01
            Largest = largest
            Bias = 0.0
            Accurate = 1.0
        }

    [ { Slice = "posterior"; Surrogate = d; Quadratic = d } ]

/// The function of parameters that are half as large.
let private halved: Objective =
    Objective.ofFunction parameters (fun x -> (exact.Values(Array.map ((*) 2.0) x, single))[0]) None

// ---- Each property beside what has it, and what has not; and how far from the best fit a counter-example is at most, per parameter.

type private Case = { Holds: SurrogateProperty; Fails: SurrogateProperty; Farthest: float[] }

let private cases () : Case list =
    let learnt, bound = goodObjective.Value, AgreementBound.Default
    let domain = domain.Value
    let agreement = SurrogateProperty.agreement bound highest exact

    let statedBound =
        SurrogateProperty.statedBound 2.0 (stated 0.05) exact >> Error.orRaise

    let gradient = SurrogateProperty.gradient 1e-6 domain
    let batch = SurrogateProperty.batchIndependence domain
    let peak = SurrogateProperty.noFalsePeak 0.05 highest
    let symmetric = SurrogateProperty.symmetric 0.1 negated
    let permutation = SurrogateProperty.permutation 0.1 [| 1; 0 |]
    let onnx surrogate = SurrogateProperty.onnxRuntime Bundle.tolerance (onnxOf surrogate) learnt

    let reparameterised (factor: float) =
        exact
        |> SurrogateProperty.reparameterised
            1e-9
            (Array.map (fun x -> factor * x))
            (fun _ -> 0.0)
            halved

    [
        // Everywhere wrong: the plainest point is the best fit.
        {
            Holds = agreement learnt
            Fails = agreement (withValues (fun _ y -> y + 0.5))
            Farthest = [| 0.0; 0.0 |]
        }
        {
            Holds = agreement learnt
            Fails = agreement wrongObjective.Value
            Farthest = [| 3.0; 3.0 |]
        }
        // Wrong beyond 1: theta stays at the best fit, and half of mu is right.
        {
            Holds = statedBound learnt
            Fails = statedBound (withValues (fun x y -> if x[0] > 1.0 then y + 0.5 else y))
            Farthest = [| 2.0; 0.0 |]
        }
        {
            Holds = gradient learnt
            Fails = gradient (altered (fun _ _ y -> y) 1.01 learnt)
            Farthest = [| 0.1; 0.1 |]
        }
        {
            Holds = batch learnt
            Fails = batch (altered (fun r _ y -> y + 1e-9 * float r) 1.0 learnt)
            Farthest = [| 0.0; 0.0 |]
        }
        {
            Holds = peak learnt
            Fails = peak (withValues (fun x y -> y + 20.0 * max 0.0 (x[1] - 1.0)))
            Farthest = [| 0.0; 2.5 |]
        }
        // 0.6 |mu| apart, give or take what the surrogate misses: a half of what fails still is below 0.1.
        {
            Holds = symmetric learnt
            Fails = symmetric (withValues (fun x y -> y + 0.3 * x[0]))
            Farthest = [| 0.6; 0.6 |]
        }
        {
            Holds = permutation learnt
            Fails = permutation (withValues (fun x y -> y + 0.3 * x[0]))
            Farthest = [| 0.9; 0.9 |]
        }
        {
            Holds = reparameterised 0.5
            Fails = reparameterised 0.51
            Farthest = [| 0.1; 0.1 |]
        }
        { Holds = onnx good.Value; Fails = onnx wrong.Value; Farthest = [| 3.0; 3.0 |] }
    ]

let private check (property: SurrogateProperty) : PropertyOutcome =
    Properties.check single 400 (Key.ofSeed 3) domain.Value property

[<Fact>]
let ``each property holds for a good surrogate and not for a spoiled one, and counter-examples shrink to the best fit``
    ()
    =
    for case in cases () do
        let what (outcome: PropertyOutcome) : string =
            Properties.describe domain.Value case.Fails outcome |> String.concat "\n"

        match check case.Holds with
        | PropertyOutcome.NotChecked errors ->
            // Without ONNX Runtime nothing is claimed.
            Assert.Equal("ONNX Runtime", case.Holds.Name)
            Assert.NotEmpty errors
        | good ->
            Assert.Equal(PropertyOutcome.Passed 400, good)

            match check case.Fails with
            | PropertyOutcome.Falsified e as outcome ->
                Assert.Equal(400, e.Points)
                Assert.InRange(e.Failures, 1, 400)
                Assert.False e.Numbers.Holds
                Assert.False e.ShrunkNumbers.Holds

                for k in 0..1 do
                    let message = $"{parameters[k].Name}: {what outcome}"
                    Assert.True(abs e.Shrunk[k] <= case.Farthest[k], message)
                    Assert.True(abs e.Shrunk[k] <= abs e.Point[k], message)
            | outcome -> Assert.Fail(what outcome)

[<Fact>]
let ``the maximum of a surrogate is held against the exact one`` () =
    let at (point: float[]) = SurrogateProperty.maximum 0.05 highest exact point |> check
    let best = (Fit.minimise good.Value.Likelihood).Point
    Assert.Equal(PropertyOutcome.Passed 1, at best)

    match at [| 0.5; 0.5 |] with
    | PropertyOutcome.Falsified e ->
        // The given point is what is wrong: there is nothing plainer.
        Assert.Equal<float[]>([| 0.5; 0.5 |], e.Shrunk)
        Assert.Equal(-40.25 + 0.3 * cos 1.0, e.Numbers.Found, 10)
    | outcome -> Assert.Fail $"{outcome}"

[<Fact>]
let ``the same key gives the same outcome, whatever the threads, and another key other points`` () =
    let property =
        withValues (fun x y -> if x[0] > 1.0 then y + 0.5 else y)
        |> SurrogateProperty.agreement AgreementBound.Default highest exact

    let outcome (threads: int) (seed: int) : CounterExample =
        let options = { single with Threads = threads }

        match Properties.check options 300 (Key.ofSeed seed) domain.Value property with
        | PropertyOutcome.Falsified e -> e
        | other -> failwith $"{other}"

    Assert.Equal(outcome 1 3, outcome 4 3)
    Assert.NotEqual<float[]>((outcome 1 3).Point, (outcome 1 4).Point)

[<Fact>]
let ``numbers that are none falsify, and minus infinity is minus infinity`` () =
    let agreement (inside: float) (other: float) : PropertyOutcome =
        let at (value: float) : Objective =
            altered (fun _ x y -> if x[0] > 1.0 then value else y) 1.0 exact

        check (SurrogateProperty.agreement AgreementBound.Default highest (at inside) (at other))

    Assert.True((agreement nan nan).IsFalsified)
    Assert.True((agreement -50.0 nan).IsFalsified)
    Assert.True((agreement -infinity -50.0).IsFalsified)
    Assert.Equal(PropertyOutcome.Passed 400, agreement -infinity -infinity)

// ---- Points

/// A domain of some parameters, one of which has a kink, and a ridge of three points.
let private randomDomain (n: int) (seed: int) : CheckDomain =
    let u = Key.uniforms (6 * n) (Key.ofSeed seed)
    let lowest = Array.init n (fun k -> 10.0 * u[k] - 5.0)
    let highest = Array.init n (fun k -> lowest[k] + 3.0 * u[n + k])
    let within (k: int) (at: float) : float = lowest[k] + at * (highest[k] - lowest[k])

    let parameters =
        Array.init n (fun k ->
            { ModelParameter.create $"p{k}" ParameterKind.Poi (within k u[2 * n + k]) with
                IsKinked = (k = 0)
            })

    let domain =
        CheckPoints.domain
            parameters
            { Lowest = lowest; Highest = highest }
            (Array.init n (fun k -> within k u[3 * n + k]))
            None
        |> Error.orRaise

    { domain with
        Ridge = Array.init 3 (fun _ -> Array.init n (fun k -> within k u[4 * n + k]))
    }

let private generatorsOf (domain: CheckDomain) : PointGenerator list =
    [ CheckPoints.box domain; CheckPoints.likely domain ]
    @ ([
        CheckPoints.ridge domain
        CheckPoints.kinks domain
        CheckPoints.bounds domain
       ]
       |> List.choose id)
    @ [ CheckPoints.taught domain; CheckPoints.everywhere domain ]

let private numbered (most: int) : Arbitrary<int * int> =
    Gen.zip (Gen.choose (1, most)) (Gen.choose (0, 100000)) |> Arb.fromGen

[<Fact>]
let ``points stay in the domain, and the same key gives the same point`` () =
    let law (n: int, seed: int) : unit =
        let domain = randomDomain n seed
        let generators = generatorsOf domain
        Assert.Equal(7, generators.Length)

        for generator in generators do
            for i in 0..9 do
                let key = Key.fold i (Key.ofSeed seed)
                let point = generator.Draw key
                Assert.Equal<float[]>(point, generator.Draw key)

                for k in 0 .. n - 1 do
                    Assert.InRange(point[k], domain.Lowest[k], domain.Highest[k])

    Check.One(Config.QuickThrowOnFailure, Prop.forAll (numbered 6) law)

[<Fact>]
let ``kinks and sides are met exactly and approached, on both sides of a kink`` () =
    let domain = randomDomain 3 7
    let kink = domain.Parameters[0].Nominal

    let draws (generator: PointGenerator option) : float[][] =
        Array.init 400 (fun i -> generator.Value.Draw(Key.fold i (Key.ofSeed 1)))

    let offsets = draws (CheckPoints.kinks domain) |> Array.map (fun x -> x[0] - kink)
    let width = domain.Highest[0] - domain.Lowest[0]
    Assert.True(offsets |> Array.forall (fun d -> abs d <= 0.1 * width))

    for isThere in
        [
            (fun d -> d = 0.0)
            (fun d -> d > 0.0 && d < 1e-5 * width)
            (fun d -> d < 0.0 && d > -1e-5 * width)
        ] do
        Assert.True(offsets |> Array.exists isThere)

    let onSides = draws (CheckPoints.bounds domain)

    for k in 0..2 do
        Assert.Contains(onSides, (fun x -> x[k] = domain.Lowest[k]))
        Assert.Contains(onSides, (fun x -> x[k] = domain.Highest[k]))

[<Fact>]
let ``a ridge is where the nuisances are profiled`` () =
    let ridge = domain.Value.Ridge
    Assert.Equal(8, ridge.Length)
    let struct (_, gradients) = exact.ValuesAndGradients(Array.concat ridge, single)

    for i in 0..7 do
        Assert.Equal(-3.0 + 6.0 * (float i + 0.5) / 8.0, ridge[i][0], 12)
        Assert.Equal(0.0, gradients[2 * i + 1], 3)

[<Fact>]
let ``plainer points lie between a point and the best fit, and whatever is chosen among them ends there``
    ()
    =
    let law (n: int, seed: int) : unit =
        let domain = randomDomain n seed
        let point = (CheckPoints.box domain).Draw(Key.ofSeed seed)
        let choices = Key.words 1000 (Key.ofSeed (seed + 1))

        let rec follow (point: float[]) (round: int) : unit =
            let plainer = CheckPoints.shrink domain point |> Array.ofSeq

            if plainer.Length = 0 then
                Assert.Equal<float[]>(domain.Best, point)
            else
                Assert.Equal<float[]>(domain.Best, plainer[0])

                for other in plainer do
                    Assert.NotEqual<float[]>(point, other)

                    for k in 0 .. n - 1 do
                        let from, to' = domain.Best[k], point[k]
                        Assert.InRange(other[k], min from to', max from to')

                // Never the best fit at once, if there is another choice.
                let others = max 1 (plainer.Length - 1)
                let chosen = 1 + int (choices[round % choices.Length] % uint32 others)
                follow plainer[min chosen (plainer.Length - 1)] (round + 1)

        follow point 0

    Check.One(Config.QuickThrowOnFailure, Prop.forAll (numbered 8) law)

[<Fact>]
let ``what is wrong with a domain is told at once, and bounds cut a region`` () =
    let make (lowest: float[]) (highest: float[]) (best: float[]) =
        CheckPoints.domain parameters { Lowest = lowest; Highest = highest } best None

    let errors (result: Result<'T, Error list>) : Error list =
        match result with
        | Ok _ -> []
        | Result.Error errors -> errors

    Assert.Equal(2, (make [| 0.0 |] [| 1.0; 1.0 |] [| 0.0 |] |> errors).Length)
    Assert.Equal(2, (make [| 2.0; nan |] [| 1.0; 1.0 |] [| 0.0; 0.0 |] |> errors).Length)
    let cut = make [| -9.0; -1.0 |] [| 1.0; 9.0 |] [| 2.0; 0.0 |] |> Error.orRaise
    Assert.Equal<float[]>([| -3.0; -1.0 |], cut.Lowest)
    Assert.Equal<float[]>([| 1.0; 3.0 |], cut.Highest)
    Assert.Equal<float[]>([| 1.0; 0.0 |], cut.Best)

    // What is at a bound has no variance: a sixth of the box stands for it.
    let partly =
        CheckPoints.domain parameters region [| 0.0; 0.0 |] (Some [| 0.25; 0.0; 0.0; 0.0 |])
        |> Error.orRaise

    Assert.Equal<float[]>([| 0.5; 1.0 |], Metric.widths partly.Metric)
    let noBound = SurrogateProperty.statedBound 2.0 [] exact exact
    Assert.Equal(1, (errors noBound).Length)

// ---- FsCheck

[<Fact>]
let ``FsCheck runs the same properties`` () =
    let run (property: SurrogateProperty) : unit =
        Check.One(
            Config.QuickThrowOnFailure,
            PointArbitrary.toProperty single domain.Value property
        )

    let agreement = SurrogateProperty.agreement AgreementBound.Default highest exact
    run (agreement goodObjective.Value)
    run (SurrogateProperty.maximum 0.05 highest exact [| 0.0; 0.0 |])
    let spoiled = agreement (withValues (fun x y -> if x[0] > 1.0 then y + 0.5 else y))
    let refused = Assert.ThrowsAny<Exception>(fun () -> run spoiled)
    Assert.Contains("apart", refused.Message)
    Assert.Contains("Shrunk", refused.Message)
