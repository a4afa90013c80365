module FunLik.Tests.TrainTests

open System
open System.IO
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

let private start: Initialisation =
    { Hidden = Scheme.LecunNormal; Output = Scheme.GlorotUniform }

/// Points of a standard normal density with values and gradients of a function, ten groups.
let private sample
    (inputs: int)
    (count: int)
    (seed: int)
    (value: float[] -> float)
    (gradient: float[] -> float[])
    : Dataset =
    let points = Key.normals (inputs * count) (Key.ofSeed seed)
    let rows = Array.chunkBySize inputs points

    Dataset.create
        inputs
        points
        (rows |> Array.map value)
        (Some(rows |> Array.collect gradient))
        (Array.init count (fun r -> r % 10))
    |> Error.orRaise

let private linear (count: int) (seed: int) : Dataset =
    sample 3 count seed (fun x -> 0.5 + x[0] - 2.0 * x[1] + 0.25 * x[2]) (fun _ ->
        [| 1.0; -2.0; 0.25 |])

let private curved (count: int) (seed: int) : Dataset =
    sample 2 count seed (fun x -> sin (1.5 * x[0]) + 0.5 * x[0] * x[1]) (fun x ->
        [| 1.5 * cos (1.5 * x[0]) + 0.5 * x[1]; 0.5 * x[0] |])

let private adam: Transform = Transform.adam 0.9 0.999 1e-8
let private constant (rate: float) : Transform = Transform.schedule (RateSchedule.Constant rate)

/// A rate that falls soon.
let private impatient: Plateau =
    { Factor = 0.5; Patience = 2; Gain = Gain.OverPoints 0.01; Floor = 1e-3 }

/// Every optimiser, with the number of epochs in which it solves a linear problem.
let private optimisers: (string * Transform * int) list =
    [
        "gradient descent", constant 0.1, 40
        "Adam", Transform.chain [ adam; constant 0.02 ], 60
        "Adam with a cosine",
        Transform.chain [ adam; Transform.schedule (RateSchedule.WarmupCosine(0.05, 0.05)) ],
        40
        "Adam with a cosine from the start",
        Transform.chain [ adam; Transform.schedule (RateSchedule.Cosine 0.05) ],
        40
        "Adam with plateaus",
        Transform.chain [ adam; Transform.schedule (RateSchedule.Plateau(0.05, impatient)) ],
        60
        "slow start of Adam", Transform.chain [ Transform.adam 0.95 0.99 1e-6; constant 0.02 ], 60
    ]

let private planOf (layers: Layer list) (inputs: int) (optimiser: Transform) (epochs: int) =
    {
        Network = Architecture.create inputs layers |> Error.orRaise
        Loss = Loss.ValuesAndGradients 1.0
        Initialisation = start
        Optimiser = optimiser
        BatchSize = 32
        Epochs = epochs
        Stopping = None
    }

let private deep: Layer list =
    Architecture.dense 16
    --> Architecture.activation "silu"
    --> Architecture.dense 1

let private bits (weights: Weights) : (string * int[]) list =
    [
        for KeyValue(name, values) in weights ->
            name, values |> Array.map BitConverter.SingleToInt32Bits
    ]

let private finish (options: RunOptions) (trainer: Trainer) (state: TrainingState) =
    let struct (last, _) = Train.run options trainer state |> Seq.last
    last

[<Fact>]
let ``every optimiser solves a linear problem`` () =
    for name, optimiser, epochs in optimisers do
        let plan = planOf (Architecture.dense 1) 3 optimiser epochs
        let trainer = Train.prepare plan (linear 320 1) (linear 50 2) |> Error.orRaise
        let last = finish RunOptions.Single trainer (Train.init (Key.ofSeed 4) trainer)
        Assert.Equal(TrainingStatus.Finished, last.Status)
        Assert.True(last.BestLoss < 1e-6, $"{name}: {last.BestLoss}")

[<Fact>]
let ``every optimiser gives the same bits with one thread, two and seven, and when it is taken up again``
    ()
    =
    for name, optimiser, _ in optimisers do
        let plan = { planOf deep 2 optimiser 4 with BatchSize = 96 }
        let trainer = Train.prepare plan (curved 300 1) (curved 50 2) |> Error.orRaise
        let first = Train.init (Key.ofSeed 4) trainer
        let expected = finish RunOptions.Single trainer first

        for threads in [ 2; 7 ] do
            let options = { RunOptions.Single with Threads = threads }
            Assert.True((bits (finish options trainer first).Weights = bits expected.Weights), name)

        let struct (middle, _) = Train.run RunOptions.Single trainer first |> Seq.item 1

        let folder = Directory.CreateTempSubdirectory().FullName

        try
            let history = [ { Epoch = 1; TrainingLoss = 0.5; ValidationLoss = 0.25 } ]
            Checkpoint.write folder "a run" history middle |> Error.orRaise

            match Checkpoint.tryRead folder "a run" first |> Error.orRaise with
            | None -> Assert.Fail "the checkpoint is not found"
            | Some(found, state) ->
                Assert.Equal<EpochInfo list>(history, found)
                let again = finish RunOptions.Single trainer state
                Assert.True((bits again.Weights = bits expected.Weights), name)
                Assert.True((bits again.Slots = bits expected.Slots), name)
                Assert.True((bits again.Best = bits expected.Best), name)
                Assert.Equal(expected.BestLoss, again.BestLoss)
                Assert.Equal<float list>(expected.Numbers, again.Numbers)

            Assert.True((Checkpoint.tryRead folder "another run" first |> Error.orRaise).IsNone)

            for file in Directory.GetFiles(folder, "*.npy") do
                let bytes = File.ReadAllBytes file
                bytes[bytes.Length - 1] <- bytes[bytes.Length - 1] ^^^ 1uy
                File.WriteAllBytes(file, bytes)

            match Checkpoint.tryRead folder "a run" first with
            | Ok _ -> Assert.Fail "the damage is not noticed"
            | Result.Error errors -> Assert.Contains("damaged", errors.Head.Message)
        finally
            Directory.Delete(folder, true)

/// Adam in doubles, with loops, for one weight vector and a bias on all rows at once.
let private adamByHand (data: Dataset) (weights: float[]) (steps: int) : float[] =
    let n = data.Inputs
    let x = Array.copy weights
    let m, v = Array.zeroCreate x.Length, Array.zeroCreate x.Length

    for step in 1..steps do
        let g = Array.zeroCreate x.Length

        for r in 0 .. data.Count - 1 do
            let row = data.Points[r * n .. r * n + n - 1]
            let miss = x[n] + Array.sum (Array.map2 (*) row x[.. n - 1]) - data.Values[r]

            for i in 0..n do
                let factor = if i < n then row[i] else 1.0
                g[i] <- g[i] + 2.0 * miss * factor / float data.Count

        for i in 0..n do
            m[i] <- 0.9 * m[i] + 0.1 * g[i]
            v[i] <- 0.999 * v[i] + 0.001 * g[i] * g[i]
            let mean = m[i] / (1.0 - 0.9 ** float step)
            let square = v[i] / (1.0 - 0.999 ** float step)
            x[i] <- x[i] - 0.01 * mean / (sqrt square + 1e-8)

    x

[<Fact>]
let ``Adam takes the steps of its paper`` () =
    let data = linear 32 1
    let optimiser = Transform.chain [ adam; constant 0.01 ]
    let plan = { planOf (Architecture.dense 1) 3 optimiser 20 with Loss = Loss.Values }
    let trainer = Train.prepare plan data data |> Error.orRaise
    let first = Train.init (Key.ofSeed 8) trainer
    let last = finish RunOptions.Single trainer first

    let vector (weights: Weights) : float[] =
        Array.append weights["0.weight"] weights["0.bias"] |> Array.map float

    let expected = adamByHand data (vector first.Weights) 20

    for e, found in Array.zip expected (vector last.Weights) do
        Assert.True(abs (e - found) < 1e-5, $"{found}, not {e}")

/// The rate of a schedule at a step of a hundred.
let private rateAt (schedule: RateSchedule) (step: int) : float =
    let signal = { Step = Expr.scalar (float step); Steps = 100; Numbers = [] }

    let session =
        [ "rate", RateSchedule.rate schedule signal ]
        |> Program.ofOutputs
        |> Reference.compile (fun _ -> Binding.Shared)
        |> _.Bind()

    let outputs = session.Evaluate(1, [||], RunOptions.Single)
    outputs[0].[0]

[<Fact>]
let ``the learning rate goes up in a line and down along a cosine`` () =
    let rate = rateAt (RateSchedule.WarmupCosine(2.0, 0.1))
    Assert.Equal(0.2, rate 0, 12)
    Assert.Equal(2.0, rate 9, 12)
    Assert.Equal(2.0, rate 10, 12)
    Assert.Equal(1.0, rate 55, 12)
    Assert.True(rate 99 < 0.01)

[<Fact>]
let ``a cosine goes down from the first step on, and a constant rate stays`` () =
    for step in 0..99 do
        let expected = 1.0 + cos (Math.PI * float step / 100.0)
        Assert.Equal(expected, rateAt (RateSchedule.Cosine 2.0) step, 12)
        Assert.Equal(2.0, rateAt (RateSchedule.Constant 2.0) step, 12)

/// What Keras's ReduceLROnPlateau does with losses: a loop over variables.
let private plateauByHand (p: Plateau) (points: int) (rate: float) (losses: float list) =
    let gain =
        match p.Gain with
        | Gain.Absolute g -> g
        | Gain.OverPoints g -> g / float points

    let mutable rate, best, wait = rate, infinity, 0

    [
        for loss in losses do
            if loss < best - gain then
                best <- loss
                wait <- 0
            else
                wait <- wait + 1

                if wait >= p.Patience then
                    if rate > p.Floor then
                        rate <- max (rate * p.Factor) p.Floor

                    wait <- 0

            rate
    ]

[<Fact>]
let ``rates fall after plateaus as in a loop, alone and in a chain`` () =
    let law (patience: int, gain: Gain, losses: int list) =
        let plateau = { Factor = 0.4; Patience = patience; Gain = gain; Floor = 0.05 }
        let alone = Transform.schedule (RateSchedule.Plateau(1.0, plateau))
        let losses = losses |> List.map (fun l -> 0.125 * float l)
        let expected = plateauByHand plateau 16 1.0 losses

        let rates (transform: Transform) : float list =
            let place =
                transform.Numbers |> List.findIndex (fun (name, _) -> name.EndsWith "rate")

            (List.map snd transform.Numbers, losses)
            ||> List.scan (fun numbers loss ->
                transform.AfterEpoch { Loss = loss; Points = 16 } numbers)
            |> List.tail
            |> List.map (List.item place)

        Assert.Equal<float list>(expected, rates alone)
        Assert.Equal<float list>(expected, rates (Transform.chain [ adam; alone; constant 1.0 ]))

    let cases =
        gen {
            let! patience = Gen.choose (1, 4)
            let! size = Gen.choose (0, 3)
            let size = 0.125 * float size
            let! gain = Gen.elements [ Gain.Absolute size; Gain.OverPoints(16.0 * size) ]
            let! losses = Gen.listOf (Gen.choose (0, 20))
            return patience, gain, losses
        }

    Check.One(Config.QuickThrowOnFailure.WithMaxTest 200, Prop.forAll (Arb.fromGen cases) law)

/// A plan that learns its few points by heart: the validation loss rises again.
let private overfitting: TrainingPlan =
    { planOf
          deep
          2
          (Transform.chain
              [
                  adam
                  Transform.schedule (
                      RateSchedule.Plateau(
                          0.05,
                          { Factor = 0.2; Patience = 3; Gain = Gain.Absolute 0.0; Floor = 1e-4 }
                      )
                  )
              ])
          200 with
        Loss = Loss.Values
        Stopping = Some { Patience = 8; Gain = Gain.Absolute 1e-4 }
    }

let private overfitted: Trainer =
    Train.prepare overfitting (curved 40 1) (curved 40 2) |> Error.orRaise

let private rateOf (state: TrainingState) : float =
    List.zip overfitting.Optimiser.Numbers state.Numbers
    |> List.find (fun ((name, _), _) -> name.EndsWith "rate")
    |> snd

[<Fact>]
let ``training stops early at the epoch at which a loop over the losses would, and keeps the best weights``
    ()
    =
    let states =
        Train.init (Key.ofSeed 4) overfitted
        |> Train.run RunOptions.Single overfitted
        |> List.ofSeq

    let struct (last, _) = List.last states
    Assert.Equal(TrainingStatus.Stopped, last.Status)
    let losses = states |> List.map (fun struct (_, info) -> info.ValidationLoss)
    let mutable best, wait, expected = infinity, 0, 0

    for k in 0 .. losses.Length - 1 do
        if losses[k] < best - 1e-4 then
            best <- losses[k]
            wait <- 0
        else
            wait <- wait + 1

        if wait >= 8 && expected = 0 then
            expected <- k + 1

    Assert.Equal(expected, last.Epoch)
    Assert.Equal(List.min losses, last.BestLoss)

    // Each epoch ran with the rate that the losses before it gave.
    let plateau = { Factor = 0.2; Patience = 3; Gain = Gain.Absolute 0.0; Floor = 1e-4 }

    Assert.Equal<float list>(
        plateauByHand plateau 40 0.05 losses,
        states |> List.map (fun struct (state, _) -> rateOf state)
    )

[<Fact>]
let ``a run that was broken off after any epoch ends as if it had not been, across falls of the rate and the early end``
    ()
    =
    let first = Train.init (Key.ofSeed 4) overfitted
    let all = Train.run RunOptions.Single overfitted first |> List.ofSeq
    let struct (expected, _) = List.last all
    let infos = all |> List.map (fun struct (_, info) -> info)
    Assert.Equal(TrainingStatus.Stopped, expected.Status)
    Assert.True(rateOf expected < 0.05 * 0.2 * 1.01, $"{rateOf expected}")
    let folder = Directory.CreateTempSubdirectory().FullName

    try
        let starts =
            (first, []) :: (all |> List.mapi (fun k (struct (s, _)) -> s, infos[..k]))

        for state, history in starts do
            Checkpoint.write folder "a run" history state |> Error.orRaise

            match Checkpoint.tryRead folder "a run" first |> Error.orRaise with
            | None -> Assert.Fail "the checkpoint is not found"
            | Some(before, state) ->
                let rest = Train.run RunOptions.Single overfitted state |> List.ofSeq
                let after = rest |> List.map (fun struct (_, info) -> info)
                Assert.Equal<EpochInfo list>(infos, before @ after)

                let struct (last, _) =
                    List.tryLast rest |> Option.defaultValue (struct (state, infos.Head))

                Assert.Equal(
                    { expected with Weights = Map.empty; Slots = Map.empty; Best = Map.empty },
                    { last with Weights = Map.empty; Slots = Map.empty; Best = Map.empty }
                )

                Assert.True((bits last.Weights = bits expected.Weights))
                Assert.True((bits last.Slots = bits expected.Slots))
                Assert.True((bits last.Best = bits expected.Best))
    finally
        Directory.Delete(folder, true)

[<Fact>]
let ``matching gradients teaches a curved function from few points`` () =
    let optimiser =
        Transform.chain [ adam; Transform.schedule (RateSchedule.WarmupCosine(0.02, 0.05)) ]

    let plan = planOf deep 2 optimiser 300
    let test = curved 500 3

    let mse (loss: Loss) : float =
        let trainer =
            Train.prepare { plan with Loss = loss } (curved 64 1) (curved 64 2)
            |> Error.orRaise

        let last = finish RunOptions.Single trainer (Train.init (Key.ofSeed 4) trainer)

        let judge =
            Train.prepare
                { plan with Loss = Loss.Values; Epochs = 1; Optimiser = constant 0.0 }
                test
                test
            |> Error.orRaise

        let struct (_, info) =
            Train.epoch
                RunOptions.Single
                judge
                { Train.init (Key.ofSeed 4) judge with Weights = last.Best }

        info.ValidationLoss

    let both, values = mse (Loss.ValuesAndGradients 1.0), mse Loss.Values
    Assert.True(both < 0.02, $"{both}")
    Assert.True(both < values, $"{both} with gradients, {values} without")

[<Fact>]
let ``a loss that is not finite ends the run with the last good weights and says so`` () =
    let plan = planOf deep 2 (constant 1e30) 10
    let trainer = Train.prepare plan (curved 64 1) (curved 64 2) |> Error.orRaise
    let first = Train.init (Key.ofSeed 4) trainer
    let states = Train.run RunOptions.Single trainer first |> List.ofSeq
    let struct (last, _) = List.last states
    Assert.Equal(TrainingStatus.NotFinite, last.Status)
    Assert.True(states.Length < 10)

    Assert.All(
        last.Weights.Values,
        fun values -> Assert.All(values, fun v -> Assert.True(Single.IsFinite v))
    )

    Assert.Empty(Train.run RunOptions.Single trainer last)

[<Fact>]
let ``the weights with the smallest validation loss are kept`` () =
    let plan = planOf deep 2 (Transform.chain [ adam; constant 0.05 ]) 30
    let trainer = Train.prepare plan (curved 40 1) (curved 40 2) |> Error.orRaise

    let states =
        Train.init (Key.ofSeed 4) trainer
        |> Train.run RunOptions.Single trainer
        |> List.ofSeq

    let struct (last, _) = List.last states
    let losses = states |> List.map (fun struct (_, info) -> info.ValidationLoss)
    Assert.Equal(List.min losses, last.BestLoss)

    let best =
        states
        |> List.find (fun struct (_, info) -> info.ValidationLoss = last.BestLoss)
        |> fun struct (state, _) -> state.Weights

    Assert.True((bits best = bits last.Best))

[<Fact>]
let ``a plan that does not fit its data is refused with all that is wrong`` () =
    let plan =
        { planOf (Architecture.dense 2) 3 adam -1 with
            BatchSize = 0
            Stopping = Some { Patience = 0; Gain = Gain.Absolute 0.0 }
        }

    let data = Dataset.create 2 [| 1.0; 2.0 |] [| 1.0 |] None [| 0 |] |> Error.orRaise

    match Train.prepare plan data data with
    | Ok _ -> Assert.Fail "the plan makes no sense"
    | Result.Error errors -> Assert.Equal(4 + 2 + 2, errors.Length)
