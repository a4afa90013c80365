module FunLik.Tests.NetworkTests

open System
open Xunit
open FsCheck
open FsCheck.FSharp
open FunLik

/// A network evaluated with loops over arrays: the oracle of the interpreters.
let rec private forward
    (weights: Weights)
    (path: string)
    (layers: Layer list)
    (x: float[])
    : float[] =
    let apply (index: int) (x: float[]) (layer: Layer) : float[] =
        let here = if path = "" then string index else $"{path}.{index}"

        match layer with
        | Layer.Standardise(mean, scale) -> Array.map3 (fun v m s -> (v - m) / s) x mean scale
        | Layer.LinearMap(rows, offset) ->
            Array.map2 (fun row o -> o + Array.sum (Array.map2 (*) row x)) rows offset
        | Layer.QuadraticFeatures ->
            Array.append
                x
                [|
                    for i in 0 .. x.Length - 1 do
                        for j in i .. x.Length - 1 -> x[i] * x[j]
                |]
        | Layer.Choose places -> places |> Array.map (fun k -> x[k])
        | Layer.Dense width ->
            let w, b = weights[$"{here}.weight"], weights[$"{here}.bias"]

            Array.init width (fun i ->
                let products = x |> Array.mapi (fun j v -> float w[i * x.Length + j] * v)
                float b[i] + Array.sum products)
        | Layer.Activation "silu" -> x |> Array.map (fun v -> v / (1.0 + exp -v))
        | Layer.Activation "tanh" -> x |> Array.map tanh
        | Layer.Activation "abs" -> x |> Array.map abs
        | Layer.Activation name -> invalidArg name "an activation that the oracle does not know"
        | Layer.Parallel branches ->
            branches
            |> List.mapi (fun i b -> forward weights $"{here}.{i}" b x)
            |> List.reduce (Array.map2 (+))
        | Layer.Product branches ->
            branches
            |> List.mapi (fun i b -> forward weights $"{here}.{i}" b x)
            |> List.reduce (Array.map2 (*))
        | Layer.Join branches ->
            branches
            |> List.mapi (fun i b -> forward weights $"{here}.{i}" b x)
            |> Array.concat

    ((x, 0), layers)
    ||> List.fold (fun (value, index) layer -> apply index value layer, index + 1)
    |> fst

let private numbers (count: int) : Gen<float[]> =
    Gen.choose (-200, 200)
    |> Gen.map (fun i -> float i / 100.0)
    |> Gen.arrayOfLength count

/// Layers for an input width, with the width behind them.
let rec private layersFrom (depth: int) (width: int) : Gen<Layer list * int> =
    let one: Gen<Layer * int> =
        gen {
            let! kind = Gen.choose (0, if depth > 0 then 8 else 5)
            let! after = Gen.choose (1, 4)
            let! mean = numbers width

            match kind with
            | 0 -> return Layer.Standardise(mean, Array.create width 1.5), width
            | 1 ->
                let! rows = numbers width |> Gen.arrayOfLength after
                let! offset = numbers after
                return Layer.LinearMap(rows, offset), after
            | 5 ->
                let! places = Gen.choose (0, width - 1) |> Gen.arrayOfLength after
                return Layer.Choose places, after
            | 2 when width <= 3 -> return Layer.QuadraticFeatures, width + width * (width + 1) / 2
            | 2
            | 3 -> return Layer.Dense after, after
            | 4 ->
                let! name = Gen.elements [ "silu"; "tanh"; "abs" ]
                return Layer.Activation name, width
            | 6 ->
                let! first, _ = layersFrom (depth - 1) width
                let! second, _ = layersFrom (depth - 1) width

                return
                    Layer.Parallel
                        [ first --> Architecture.dense after; second --> Architecture.dense after ],
                    after
            | 8 ->
                let! first, ends = layersFrom (depth - 1) width
                return Layer.Product [ first; Architecture.dense ends; first ], ends
            | 7 ->
                let! inner, ends = layersFrom (depth - 1) width
                let! isAlone = Gen.elements [ true; false ]

                return
                    if isAlone then
                        Layer.Join [ inner ], ends
                    else
                        Layer.Join [ []; inner ], width + ends
            | _ -> return Layer.Dense after, after
        }

    gen {
        let! count = Gen.choose (1, 3)

        let rec extend (left: int) (layers: Layer list) (width: int) : Gen<Layer list * int> =
            gen {
                if left = 0 then
                    return layers, width
                else
                    let! layer, next = one' width
                    return! extend (left - 1) (layers @ [ layer ]) next
            }

        and one' (w: int) : Gen<Layer * int> =
            if w = width then one else Gen.constant (Layer.Dense 2, 2)

        return! extend count [] width
    }

let private network: Gen<Architecture * float[] * int> =
    gen {
        let! inputs = Gen.choose (1, 4)
        let! layers, _ = layersFrom 2 inputs
        let! point = numbers inputs
        let! seed = Gen.choose (0, 1000)
        return Error.orRaise (Architecture.create inputs layers), point, seed
    }

let private start: Initialisation =
    { Hidden = Scheme.LecunNormal; Output = Scheme.GlorotUniform }

/// Weights whose biases are not 0.
let private randomWeights (seed: int) (network: Architecture) : Weights =
    Architecture.weights network
    |> List.map (fun w ->
        w.Name,
        Key.normals (Shape.size w.Shape) (Key.foldName w.Name (Key.ofSeed seed))
        |> Array.map float32)
    |> Map.ofList

let private singles (values: Weights) : Map<string, float[]> =
    values |> Map.map (fun _ numbers -> Array.map float numbers)

[<Fact>]
let ``a network as an expression is the network written with loops, with leaves and with constants``
    ()
    =
    let law (network: Architecture, point: float[], seed: int) =
        let weights = randomWeights seed network
        let expected = forward weights "" network.Layers point
        let x = Architecture.input "x" network

        for leaf in [ Architecture.leaf; Architecture.fixedAt weights ] do
            let found =
                [ "y", Architecture.toExpr leaf x network ]
                |> Program.ofOutputs
                |> Reference.compile (Binding.ofRole (Set.singleton "x"))
                |> fun kernel -> kernel.Bind(singles weights, Map.empty)
                |> fun session ->
                    let inputs = session.RowInputs |> Array.map (fun _ -> point)
                    session.Evaluate(1, inputs, RunOptions.Single)[0]

            Assert.Equal(expected.Length, found.Length)

            for e, f in Array.zip expected found do
                Assert.True(abs (e - f) <= 1e-9 * (1.0 + abs e), $"{f}, not {e}")

        Assert.Equal(expected.Length, Architecture.outputs network)

    Check.One(Config.QuickThrowOnFailure, Prop.forAll (Arb.fromGen network) law)

[<Fact>]
let ``a network is described in one line, and its arrays have names and fans`` () =
    let network =
        Architecture.parallel'
            [
                Architecture.dense 1
                Architecture.dense 3 --> Architecture.activation "silu" --> Architecture.dense 1
            ]
        |> Architecture.create 2
        |> Error.orRaise

    Assert.Equal("2 -> (dense 1 + dense 3 -> silu -> dense 1)", Architecture.describe network)
    Assert.Equal(3 + 9 + 4, Architecture.size network)

    let facts =
        Architecture.weights network
        |> List.map (fun w -> w.Name, w.FanIn, w.FanOut, w.IsBias, w.IsOutput)

    let expected =
        [
            "0.0.0.weight", 2, 1, false, true
            "0.0.0.bias", 2, 1, true, true
            "0.1.0.weight", 2, 3, false, false
            "0.1.0.bias", 2, 3, true, false
            "0.1.2.weight", 3, 1, false, true
            "0.1.2.bias", 3, 1, true, true
        ]

    Assert.Equal<(string * int * int * bool * bool) list>(expected, facts)

[<Fact>]
let ``all that does not go together in a network is reported at once, with its place`` () =
    let errors =
        [
            Layer.Standardise([| 0.0 |], [| 1.0; 0.0 |])
            Layer.Activation "swish"
            Layer.Dense 0
            Layer.Choose [| 0; 3 |]
            Layer.Choose [||]
            Layer.Parallel [ Architecture.dense 2; Architecture.dense 3 ]
        ]
        |> Architecture.create 2

    match errors with
    | Ok _ -> Assert.Fail "the network makes no sense"
    | Result.Error errors ->
        let paths = errors |> List.map (fun e -> Option.defaultValue "" e.Path)

        Assert.Equal<string list>(
            [ "layer 0"; "layer 0" ] @ [ for k in 1..5 -> $"layer {k}" ],
            paths
        )

[<Fact>]
let ``weights start with the variance that their scheme promises, each array from its own key`` () =
    let shape =
        {
            Name = "w"
            Shape = Matrix(300, 200)
            FanIn = 200
            FanOut = 300
            IsBias = false
            IsOutput = false
        }

    // The variance of 60,000 draws is off by more than 3 % in fewer than 1 of 10⁶ keys; this key is fixed.
    for scheme, variance in
        [
            Scheme.LecunNormal, 1.0 / 200.0
            Scheme.HeNormal, 2.0 / 200.0
            Scheme.GlorotUniform, 2.0 / 500.0
            Scheme.Zero, 0.0
        ] do
        let values = Initialise.values scheme shape (Key.ofSeed 3) |> Array.map float
        let found = values |> Array.averageBy (fun v -> v * v)
        Assert.True(abs (found - variance) <= 0.03 * variance, $"{scheme}: {found}")
        Assert.True(abs (Array.average values) <= 0.02 * sqrt variance)

    let network =
        Architecture.dense 4 --> Architecture.dense 4
        |> Architecture.create 4
        |> Error.orRaise

    let weights = Initialise.weights start (Key.ofSeed 3) network
    Assert.NotEqual<float32[]>(weights["0.weight"], weights["1.weight"])
    Assert.All(weights["0.bias"], fun b -> Assert.Equal(0.0f, b))

[<Fact>]
let ``a split by group leaves no group on both sides, and loses nothing`` () =
    let law (seed: int) =
        let groups = Key.integers 5 40 (Key.ofSeed seed)
        let points = Key.normals 80 (Key.ofSeed seed)
        let values = Key.normals 40 (Key.ofSeed (seed + 1))
        let data = Dataset.create 2 points values (Some points) groups |> Error.orRaise
        let first, second = Dataset.splitByGroup (fun g -> g < 2) data
        Assert.All(first.Groups, fun g -> Assert.True(g < 2))
        Assert.All(second.Groups, fun g -> Assert.True(g >= 2))
        let sorted (values: float[]) = Array.sort values

        Assert.Equal<float[]>(sorted values, sorted (Array.append first.Values second.Values))

        for part in [ first; second ] do
            for r in 0 .. part.Count - 1 do
                let k = Array.findIndex ((=) part.Values[r]) values
                Assert.Equal<float[]>(points[2 * k .. 2 * k + 1], part.Points[2 * r .. 2 * r + 1])

    Check.One(Config.QuickThrowOnFailure, fun (PositiveInt seed) -> law seed)

[<Fact>]
let ``a dataset names all that is wrong with its arrays`` () =
    match Dataset.create 2 [| 1.0; nan |] [| 1.0; 2.0 |] (Some [| 0.0 |]) [| 1; 2; 3 |] with
    | Ok _ -> Assert.Fail "the arrays do not go together"
    | Result.Error errors -> Assert.Equal(4, errors.Length)

[<Fact>]
let ``the loss with gradients is the sum over squares of both, written out`` () =
    let network =
        Architecture.dense 3 --> Architecture.activation "tanh" --> Architecture.dense 1
        |> Architecture.create 2
        |> Error.orRaise

    let weights = randomWeights 5 network
    let z = Architecture.input "z" network
    let f = Architecture.toExpr (Architecture.fixedAt weights) z network
    let loss = Loss.perRow (Loss.ValuesAndGradients 2.5) f z

    let evaluate (outputs: (string * Expr) list) (given: Map<string, float[]>) : float[][] =
        let session =
            Program.ofOutputs outputs
            |> Reference.compile (Binding.ofRole (given |> Map.keys |> Set.ofSeq))
            |> _.Bind()

        let inputs = session.RowInputs |> Array.map (fun (name, _) -> given[name])
        session.Evaluate(1, inputs, RunOptions.Single)

    let point = [| 0.3; -0.7 |]
    let h = 1e-6

    let at (x: float[]) : float =
        let outputs = evaluate [ "f", f ] (Map.ofList [ "z", x ])
        outputs[0].[0]

    let slope (k: int) : float =
        let moved s = point |> Array.mapi (fun i v -> if i = k then v + s * h else v)
        (at (moved 1.0) - at (moved -1.0)) / (2.0 * h)

    let expected =
        (at point - 1.1) ** 2.0
        + 2.5 * ((slope 0 - 0.2) ** 2.0 + (slope 1 - 0.4) ** 2.0)

    let found =
        Map.ofList [ "z", point; Loss.valueName, [| 1.1 |]; Loss.gradientName, [| 0.2; 0.4 |] ]
        |> evaluate [ "loss", loss ]

    Assert.Equal(expected, found[0].[0], 7)
