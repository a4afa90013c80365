module FunLik.Tests.InferenceTests

open System
open System.IO
open FsCheck
open FsCheck.FSharp
open FunLik
open FunLik.Tests.SamplingTargets
open MathNet.Numerics.Distributions
open Xunit

// Statistical tests have fixed keys. A number that must be within four standard errors of the truth is not for one key in 16,000.

let private free = struct (-infinity, infinity)

/// Draws of one parameter made of two uniform numbers each, in chains of independent draws.
let private tableOf
    (edges: struct (float * float))
    (chains: int)
    (perChain: int)
    (draw: float -> float -> float)
    (seed: int)
    : DrawTable =
    let u = Key.uniforms (2 * chains * perChain) (Key.ofSeed seed)
    let x = Array.init (chains * perChain) (fun i -> draw u[2 * i] u[2 * i + 1])

    DrawTable.create [| "x" |] [| edges |] chains x (Array.create x.Length nan) None
    |> Error.orRaise

let private normal (u: float) : float = Normal.InvCDF(0.0, 1.0, u)

let private within (errors: float) (truth: float) (found: Estimate) : unit =
    Assert.True(
        abs (found.Value - truth) <= errors * found.Error,
        $"{found.Value} ± {found.Error} instead of {truth}"
    )

let private edge (e: CredibleEdge) : Estimate = { Value = e.Value; Error = e.Error }

/// Densities, the ends of their support, and their regions of 68.27 %, 95.45 % and 99.73 %.
let private shapes =
    let aboveZero (u: float) (_: float) : float =
        let low = Normal.CDF(0.23, 0.35, 0.0)
        Normal.InvCDF(0.23, 0.35, low + u * (1.0 - low))

    // The densest part is [0, b]: its mass is the level as long as the density at b is below that at 0.
    let upper (level: float) : float =
        let low = Normal.CDF(0.23, 0.35, 0.0)
        Normal.InvCDF(0.23, 0.35, low + level * (1.0 - low))

    let levels = Credible.usual |> List.map _.Probability

    [
        "normal", free, (fun u _ -> normal u), [ for s in [ 1.0; 2.0; 3.0 ] -> [ -s, s ] ]
        "exponential",
        struct (0.0, infinity),
        (fun u _ -> -log u),
        [ for p in levels -> [ 0.0, -log(1.0 - p) ] ]
        "mirrored exponential",
        struct (-infinity, 1.0),
        (fun u _ -> 1.0 + log u),
        [ for p in levels -> [ 1.0 + log (1.0 - p), 1.0 ] ]
        "normal above 0", struct (0.0, infinity), aboveZero, [ for p in levels -> [ 0.0, upper p ] ]
        "two peaks",
        free,
        (fun u v -> (if v < 0.5 then -3.0 else 3.0) + 0.5 * normal u),
        [ for s in [ 0.5; 1.0; 1.5 ] -> [ -3.0 - s, -3.0 + s; 3.0 - s, 3.0 + s ] ]
    ]

let shapeNames: seq<obj[]> = shapes |> Seq.map (fun (name, _, _, _) -> [| name |])

[<Theory; MemberData(nameof shapeNames)>]
let ``regions of highest density have the ends of known densities`` (name: string) =
    let _, edges, draw, truth = shapes |> List.find (fun (n, _, _, _) -> n = name)

    let regions =
        tableOf edges 32 2000 draw 11
        |> Credible.hpdi HpdiMethod.Smooth Credible.usual 0

    for region, pieces in List.zip regions truth do
        Assert.Equal(region.Level.Probability, region.Content, 1e-4)
        Assert.Equal(pieces.Length, region.Pieces.Length)

        for found, (low, high) in List.zip region.Pieces pieces do
            within 4.0 low (edge found.Low)
            within 4.0 high (edge found.High)
            let struct (lowest, highest) = edges
            Assert.Equal((low = lowest), found.Low.IsBound)
            Assert.Equal((high = highest), found.High.IsBound)

            // 64,000 draws say more than nothing.
            Assert.InRange(found.High.Error, 0.0, 0.4)

[<Fact>]
let ``a plateau has regions of the right content`` () =
    let table = tableOf (struct (0.0, 1.0)) 32 500 (fun u _ -> u) 12

    for region in Credible.hpdi HpdiMethod.Smooth Credible.usual 0 table do
        Assert.Equal(region.Level.Probability, region.Content, 1e-3)
        let length = region.Pieces |> List.sumBy (fun p -> p.High.Value - p.Low.Value)
        Assert.Equal(region.Level.Probability, length, 0.02)

/// Stationary chains x_t = ρ·x_{t−1} + √(1 − ρ²)·noise of variance 1.
let private autoregressive (rho: float) (chains: int) (draws: int) (key: Key) : DrawTable =
    let x =
        Array.init chains (fun c ->
            let noise = Key.normals draws (Key.fold c key)

            noise
            |> Array.skip 1
            |> Array.scan (fun x e -> rho * x + sqrt (1.0 - rho * rho) * e) noise[0])
        |> Array.concat

    DrawTable.create [| "x" |] [| free |] chains x (Array.create x.Length nan) None
    |> Error.orRaise

/// The root mean square of errors in units of their stated sizes, over keys: near 1 where these are honest.
let private pull (truth: float) (found: Estimate[]) : float =
    sqrt (found |> Array.averageBy (fun e -> ((e.Value - truth) / e.Error) ** 2.0))

[<Fact>]
let ``stated errors are those that repetitions show`` () =
    let repetitions = 60

    let all =
        Array.init repetitions (fun k ->
            let table = autoregressive 0.7 16 500 (Key.ofSeed (1000 + k))
            let values = DrawTable.flat 0 table

            let region =
                Credible.hpdi HpdiMethod.Smooth [ Credible.usual[0] ] 0 table |> List.head

            [|
                Estimate.mean table values, 0.0
                Estimate.deviation table values, 1.0
                (Estimate.quantiles [ 0.9 ] table values |> List.head), normal 0.9
                edge region.Pieces.Head.High, 1.0
            |])

    for number in 0..3 do
        let truth = snd all[0].[number]
        let pull = all |> Array.map (fun found -> fst found[number]) |> pull truth
        // With 60 repetitions a pull of 1 is found with a standard deviation of 0.09.
        Assert.InRange(pull, 0.65, 1.4)

[<Fact>]
let ``walkers of an ensemble have the errors of its mean`` () =
    // exp(x0) has a gamma distribution of shape 3.
    let truth = MathNet.Numerics.SpecialFunctions.DiGamma 3.0

    let sampler =
        Ensemble.sampler RunOptions.Single skewed.Objective (Ensemble.settings 16 Ensemble.stretch)

    let all =
        Array.init 60 (fun k ->
            let start = exact 16 skewed (Key.ofSeed (400 + k))

            let run =
                Sampling.init [| "x0"; "x1" |] start
                |> Sampling.until (SamplingGoal.Draws 600) sampler (Key.ofSeed (500 + k))
                |> Seq.last

            let table =
                DrawTable.ofRun skewed.Objective.Parameters run
                |> Error.orRaise
                |> DrawTable.inEnsembles 16

            let struct (labels, count) = Estimate.batches table
            // A batch has a stretch of time of all walkers.
            Assert.Equal(32, count)
            Assert.Equal(labels[0], labels[table.PerChain])
            Estimate.mean table (DrawTable.flat 0 table))

    Assert.InRange(pull truth all, 0.7, 1.45)
    let table = tableOf free 12 20 (fun u _ -> u) 1

    Assert.Throws<FunLikException>(fun () -> DrawTable.inEnsembles 5 table |> ignore)
    |> ignore

[<Fact>]
let ``few long chains give the errors of many short ones`` () =
    let error (table: DrawTable) : float =
        (Credible.hpdi HpdiMethod.Smooth [ Credible.usual[1] ] 0 table |> List.head)
            .Pieces.Head.High.Error

    let few = error (autoregressive 0.5 2 20000 (Key.ofSeed 4))
    let many = error (autoregressive 0.5 40 1000 (Key.ofSeed 4))
    Assert.InRange(few / many, 0.5, 2.0)

[<Fact>]
let ``histograms give the papers' intervals, half a bin inward`` () =
    // Ten bins of width 1 from 0 to 10 hold 1, 2, 4, 20, 22, 21, 4, 2, 20, 4 draws.
    let counts = [ 1; 2; 4; 20; 22; 21; 4; 2; 20; 4 ]

    let x =
        [|
            0.0
            for bin, count in List.indexed counts do
                for k in 1 .. (if bin = 0 || bin = 9 then count - 1 else count) do
                    float bin + float k / float (count + 1)
            10.0
        |]

    let table =
        DrawTable.create [| "x" |] [| free |] 1 x (Array.create x.Length nan) None
        |> Error.orRaise

    let region (p: float) : CredibleRegion =
        Credible.hpdi (HpdiMethod.Histogram 10) [ ConfidenceLevel.ofProbability 1 p ] 0 table
        |> List.head

    let pieces (r: CredibleRegion) = r.Pieces |> List.map (fun p -> p.Low.Value, p.High.Value)
    Assert.Equal<(float * float) list>([ 3.5, 5.5 ], pieces (region 0.6))
    Assert.Equal<(float * float) list>([ 3.5, 5.5; 8.5, 8.5 ], pieces (region 0.7))
    Assert.Equal(63.0 / 100.0, (region 0.6).Content, 1e-12)

[<Fact>]
let ``central intervals are between quantiles, and quantiles of weighted draws are those of repeated draws``
    ()
    =
    let table = tableOf free 4 1000 (fun u _ -> -log u) 3

    for region, p in
        List.zip
            (Credible.central Credible.usual 0 table)
            (Credible.usual |> List.map _.Probability) do
        within 4.0 (-log(0.5 + 0.5 * p)) (edge region.Pieces.Head.Low)
        within 4.0 (-log(0.5 - 0.5 * p)) (edge region.Pieces.Head.High)

    let law (values: (float * byte)[]) =
        let rows = values |> Array.filter (fun (x, w) -> abs x < 1e100 && w > 0uy)

        if rows.Length < 2 then
            true
        else
            let make (x: float[]) (w: float[] option) =
                DrawTable.create [| "x" |] [| free |] 1 x (Array.create x.Length nan) w
                |> Error.orRaise

            let x = rows |> Array.map fst
            let weighted = make x (rows |> Array.map (snd >> float) |> Some)
            let repeated = rows |> Array.collect (fun (x, w) -> Array.create (int w) x)
            let found = (Estimate.mean weighted x).Value
            let expected = (Estimate.mean (make repeated None) repeated).Value
            // Middles of draws of weight w are where the middles of w equal draws have their mean.
            let median table values = (Estimate.quantiles [ 0.5 ] table values |> List.head).Value
            let low, high = Array.min x, Array.max x

            abs (found - expected) <= 1e-9 * (1.0 + Array.max (Array.map abs x))
            && median weighted x >= low
            && median weighted x <= high

    Check.One(Config.QuickThrowOnFailure, law)

[<Fact>]
let ``the density of two parameters has the heights of a known one, up to its edges`` () =
    let make edges (draw: float[] -> float[]) =
        let rows = 40000

        let points =
            Key.uniforms (2 * rows) (Key.ofSeed 21)
            |> Array.chunkBySize 2
            |> Array.collect draw

        DrawTable.create [| "x"; "y" |] edges 32 points (Array.create rows nan) None
        |> Error.orRaise

    // A normal density of correlation 0.8: the border that holds p has the height (1 − p) of the peak.
    let map =
        make
            [| free; free |]
            (Array.map normal >> fun z -> [| z[0]; 2.0 * (0.8 * z[0] + 0.6 * z[1]) |])
        |> DensityMap.create DensityMap.usual 0 1

    let peak = 1.0 / (2.0 * Math.PI * 1.2)

    for contour in map.Contours do
        Assert.InRange(contour.Height / (peak * (1.0 - contour.Level.Probability)), 0.8, 1.25)
        Assert.Contains(contour.Lines, _.IsClosed)

    // Two exponential numbers: the density is 1 in the corner, where it ends.
    let edges = [| struct (0.0, infinity); struct (0.0, infinity) |]

    let corner =
        make edges (Array.map (fun u -> -log u))
        |> DensityMap.create DensityMap.usual 0 1

    let at (i: int) (j: int) : float = corner.Density[i * corner.Y.Length + j]

    for i, j in [ 0, 0; 0, 3; 4, 0; 8, 8 ] do
        Assert.InRange(at i j / exp (-corner.X[i] - corner.Y[j]), 0.85, 1.15)

// ---- Weights

/// Independent normal draws of a density, with its log density.
let private normals (mean: float) (deviation: float) (seed: int) : DrawTable =
    let x =
        Key.normals 64000 (Key.ofSeed seed) |> Array.map (fun z -> mean + deviation * z)

    let logs =
        x
        |> Array.map (fun v ->
            -0.5 * ((v - mean) / deviation) ** 2.0 - log (deviation * sqrt (2.0 * Math.PI)))

    DrawTable.create [| "x0" |] [| free |] 32 x logs None |> Error.orRaise

let private target (mean: float) (deviation: float) : Objective =
    objective 1 (fun x g ->
        g[0] <- -(x[0] - mean) / (deviation * deviation)
        -0.5 * ((x[0] - mean) / deviation) ** 2.0)

[<Fact>]
let ``draws of one density are draws of another by their weights`` () =
    let options = ReweightOptions.Default

    let found =
        normals 0.0 1.0 5
        |> Reweight.toDensity RunOptions.Single options None (target 0.5 0.8)

    let values = DrawTable.flat 0 found.Draws
    Assert.Equal(ReweightStatus.Reliable, found.Status)
    within 4.0 0.5 (Estimate.mean found.Draws values)
    within 4.0 0.8 (Estimate.deviation found.Draws values)

    within
        4.0
        (0.5 + 0.8 * normal 0.16)
        (Estimate.quantiles [ 0.16 ] found.Draws values |> List.head)
    // The target has no normalisation: its integral is 0.8·√(2π).
    within 4.0 (log (0.8 * sqrt (2.0 * Math.PI))) found.LogEvidenceRatio

    let region =
        Credible.hpdi HpdiMethod.Smooth [ Credible.usual[0] ] 0 found.Draws |> List.head

    within 4.0 -0.3 (edge region.Pieces.Head.Low)
    within 4.0 1.3 (edge region.Pieces.Head.High)
    // Weights of normal densities: N over E w² / (E w)².
    let s = 0.64
    let expected = 64000.0 * sqrt (s * (2.0 - s)) * exp (-0.25 / (2.0 - s))
    Assert.InRange(found.Kish / expected, 0.95, 1.05)

    // Both ways round, and from a stated density.
    let again =
        found.Draws
        |> Reweight.toDensity
            RunOptions.Single
            { options with Smooth = false }
            (Some(target 0.5 0.8))
            (target 0.0 1.0)

    within 4.0 0.0 (Estimate.mean again.Draws values)
    within 4.0 1.0 (Estimate.deviation again.Draws values)

[<Fact>]
let ``weights that cannot be relied on are told, and chains that go on repair them`` () =
    let narrow = normals 0.0 0.5 6
    let wide = target 0.0 1.5

    let found =
        Reweight.toDensity RunOptions.Single ReweightOptions.Default None wide narrow

    Assert.Equal(ReweightStatus.HeavyTail, found.Status)
    Assert.True(found.ParetoK > 0.7)
    Assert.Single found.Notes |> ignore

    let run =
        Reweight.refresh RunOptions.Single wide (Key.ofSeed 7) 64 20 200 found.Draws

    let moments = Sampling.diagnose run |> Array.exactlyOne
    within 4.0 0.0 { Value = moments.Mean; Error = moments.MeanError }
    within 4.0 1.5 { Value = moments.StandardDeviation; Error = moments.StandardDeviationError }

    // Far away few draws are left.
    let far =
        Reweight.toDensity RunOptions.Single ReweightOptions.Default None (target 4.5 0.3) narrow

    Assert.NotEqual(ReweightStatus.Reliable, far.Status)

[<Fact>]
let ``a region cuts draws, and gives the density an edge`` () =
    let table = normals 0.23 0.35 8

    let found =
        Reweight.byFactors ReweightOptions.Default [ PriorFactor.Above("x0", 0.0) ] table
        |> Error.orRaise

    Assert.Equal(-infinity, found.ParetoK)
    Assert.Equal(ReweightStatus.Reliable, found.Status)
    let inside = 1.0 - Normal.CDF(0.23, 0.35, 0.0)
    within 4.0 (log inside) found.LogEvidenceRatio
    Assert.Equal(float (table.Count - found.Lost), found.Kish, 1e-6)

    let region =
        Credible.hpdi HpdiMethod.Smooth [ Credible.usual[0] ] 0 found.Draws |> List.head

    Assert.True region.Pieces.Head.Low.IsBound
    Assert.Equal(0.0, region.Pieces.Head.Low.Value)

    within
        4.0
        (Normal.InvCDF(0.23, 0.35, 1.0 - inside * (1.0 - Credible.usual[0].Probability)))
        (edge region.Pieces.Head.High)

    // A constraint multiplies: two normal densities give the known third.
    let constrained =
        Reweight.byFactors ReweightOptions.Default [ PriorFactor.Normal("x0", 0.0, 0.35) ] table
        |> Error.orRaise

    within 4.0 0.115 (Estimate.mean constrained.Draws (DrawTable.flat 0 table))
    within 4.0 (0.35 / sqrt 2.0) (Estimate.deviation constrained.Draws (DrawTable.flat 0 table))

    let none =
        Assert.Throws<FunLikException>(fun () ->
            Reweight.byFactors ReweightOptions.Default [ PriorFactor.Above("x0", 9.0) ] table
            |> ignore)

    Assert.Contains("no draw is left", none.Message)

[<Fact>]
let ``rows are resampled in proportion to their weights`` () =
    let law (weights: byte[]) (seed: int) =
        if Array.forall ((=) 0uy) weights then
            true
        else
            let w = weights |> Array.map float

            let table =
                DrawTable.create
                    [| "x" |]
                    [| free |]
                    1
                    (Array.create w.Length 0.0)
                    (Array.create w.Length 0.0)
                    (Some w)
                |> Error.orRaise

            let count = 100
            let rows = Reweight.resample (Key.ofSeed seed) count table
            let times = rows |> Array.countBy id |> Map.ofArray

            // Systematic resampling takes each row its expected number of times, rounded down or up.
            w
            |> Array.indexed
            |> Array.forall (fun (i, v) ->
                let expected = float count * v / Array.sum w
                let n = times |> Map.tryFind i |> Option.defaultValue 0 |> float
                abs (n - expected) < 1.0 + 1e-9)

    Check.One(Config.QuickThrowOnFailure, law)

[<Theory>]
[<InlineData(-0.3)>]
[<InlineData(0.2)>]
[<InlineData(0.8)>]
let ``the tail of a generalised Pareto distribution has its shape`` (k: float) =
    let count = 4000

    // In increasing order: quantiles at even probabilities.
    let x =
        Array.init count (fun i ->
            let p = (float i + 0.5) / float count
            2.0 / k * (Math.Pow(1.0 - p, -k) - 1.0))

    let struct (shape, scale) = Pareto.fit x
    // The weak prior draws the shape to ½ by ten draws of 4010.
    Assert.Equal(k, shape, 0.02)
    Assert.Equal(2.0, scale, 0.05)

[<Fact>]
let ``smoothing keeps the order of weights and their largest`` () =
    let law (NonEmptyArray(raw: NormalFloat[])) =
        let logs =
            Array.replicate 20 raw
            |> Array.concat
            |> Array.mapi (fun i v -> v.Get + 0.01 * float (i % 7))

        let found = Pareto.smooth 1.0 logs
        let order = Array.init logs.Length id |> Array.sortBy (fun i -> logs[i], -i)

        Array.max found.LogWeights <= Array.max logs + 1e-12
        && order
           |> Array.pairwise
           |> Array.forall (fun (a, b) -> found.LogWeights[a] <= found.LogWeights[b] + 1e-9)

    Check.One(Config.QuickThrowOnFailure, law)

[<Fact>]
let ``factors are read as they are written`` () =
    let factors =
        [
            PriorFactor.Above("mu", 0.0)
            PriorFactor.Below("delta[3]", -1.5)
            PriorFactor.Normal("JES", 0.25, 1e-3)
        ]

    for factor in factors do
        Assert.Equal(Ok factor, PriorFactor.ofText (PriorFactor.toText factor))

    Assert.Equal(Ok(PriorFactor.Above("mu", 0.0)), PriorFactor.ofText " mu > 0 ")

    for bad in [ "mu"; "mu>x"; ">1"; "mu~normal(0)"; "mu~normal(0,-1)"; "mu>nan"; "" ] do
        Assert.True(PriorFactor.ofText bad |> Result.isError, bad)

// ---- Evidence

/// The logarithms of the integrals of the targets of samplers.
let private integrals: (Target * float) list =
    let share (low: float) (high: float) : float =
        Normal.CDF(0.0, 1.0, high) - Normal.CDF(0.0, 1.0, low)

    [
        // |det A| = 2 · 0.5 · 0.1.
        correlated, 1.5 * log (2.0 * Math.PI) + log 0.1
        // Γ(3), and a normal number's √(2π).
        skewed, log 2.0 + 0.5 * log (2.0 * Math.PI)
        truncated, log (2.0 * Math.PI * share 0.3 infinity * share -1.0 0.5)
    ]

[<Fact>]
let ``bridges find known integrals, with honest errors`` () =
    for target, truth in integrals do
        let table (key: Key) : DrawTable =
            let chains = exact 3200 target key

            let edges =
                if target.Name = truncated.Name then
                    [| struct (0.3, infinity); struct (-1.0, 0.5) |]
                else
                    Array.create target.Dimension free

            DrawTable.create
                (target.Objective.Parameters |> Array.map _.Name)
                edges
                32
                chains.Points
                chains.LogDensity
                None
            |> Error.orRaise

        let all =
            Array.init 6 (fun k ->
                let key = Key.ofSeed (300 + k)

                table (Key.fold 0 key)
                |> Bridge.evidence RunOptions.Single target.Objective (Key.fold 1 key))

        for found in all do
            Assert.True(found.IsReliable, target.Name)
            within 4.5 truth found.LogEvidence
            // The scatter of eight batches knows its size within a factor of 3 or so, and has that of eight fits of proposals in it.
            Assert.InRange(found.BatchError / found.LogEvidence.Error, 0.2, 8.0)
            Assert.InRange(found.LogEvidence.Error, 0.0, 0.05)

        // Six pulls: the root of their mean square is 1 ± 0.3.
        Assert.InRange(all |> Array.map _.LogEvidence |> pull truth, 0.25, 2.1)

[<Fact>]
let ``what cannot have an evidence is refused`` () =
    let refused (table: DrawTable) : string =
        Assert
            .Throws<FunLikException>(fun () ->
                Bridge.evidence RunOptions.Single (target 0.0 1.0) (Key.ofSeed 1) table
                |> ignore)
            .Message

    let table = normals 0.0 1.0 5

    Assert.Contains(
        "one weight",
        refused (DrawTable.withWeights (Array.create table.Count 0.5) table)
    )

    Assert.Contains("not known", refused { table with LogDensity = Array.create table.Count nan })
    Assert.Contains("other parameters", refused { table with Names = [| "y" |] })

// ---- Tables and files

[<Fact>]
let ``tables and files of draws come back as they were, and are refused when they are none`` () =
    let folder = Directory.CreateTempSubdirectory().FullName

    try
        let table =
            normals 0.0 1.0 5 |> DrawTable.withWeights (Key.uniforms 64000 (Key.ofSeed 9))

        let parameters = [| ModelParameter.create "x0" ParameterKind.Poi 0.0 |]
        let narrowed = { table with Edges = [| struct (-9.0, infinity) |] }
        DrawTableFiles.write folder parameters [] narrowed |> Error.orRaise
        let _, again = DrawTableFiles.read DrawColumns.None folder |> Error.orRaise
        Assert.Equal<DrawTable>(narrowed, again)

        // A plain array of chains × draws × columns.
        let path = Path.Combine(folder, "plain.npy")
        let values = Key.normals 120 (Key.ofSeed 1) |> Array.map abs
        Npy.writeFloats path { Shape = [ 2; 20; 3 ]; Values = values } |> Error.orRaise

        let columns = { Names = [ "a"; "w"; "b" ]; Weight = Some "w"; LogDensity = None }

        let read, plain = DrawTableFiles.read columns path |> Error.orRaise
        Assert.Equal<string[]>([| "a"; "b" |], read |> Array.map _.Name)
        Assert.Equal(2, plain.Chains)
        Assert.Equal<float[]>([| values[0]; values[2] |], DrawTable.point 0 plain)
        Assert.Equal(values[1], plain.Weights.Value[0])

        let message (result: Result<'T, Error list>) : string =
            match result with
            | Ok _ -> ""
            | Result.Error errors -> string errors.Head

        Assert.Contains(
            "no column",
            message (DrawTableFiles.read { columns with Weight = Some "v" } path)
        )

        Assert.Contains(
            "not as many",
            message (DrawTableFiles.read { columns with Names = [ "a" ] } path)
        )

        File.AppendAllText(Path.Combine(folder, "draws.npy"), "x")
        Assert.Contains("manifest", message (DrawTableFiles.read DrawColumns.None folder))
    finally
        Directory.Delete(folder, true)

    let create chains points weights =
        match
            DrawTable.create
                [| "x" |]
                [| free |]
                chains
                points
                (Array.create points.Length 0.0)
                weights
        with
        | Ok _ -> 0
        | Result.Error errors -> errors.Length

    Assert.Equal(1, create 3 [| 1.0; 2.0 |] None)
    Assert.Equal(1, create 1 [| 1.0; nan |] None)
    Assert.Equal(1, create 1 [| 1.0; 2.0 |] (Some [| 0.0; 0.0 |]))
    Assert.Equal(1, create 1 [| 1.0; 2.0 |] (Some [| 1.0; -1.0 |]))
    Assert.Equal(1, create 1 [| 1.0; 2.0 |] (Some [| 1.0 |]))

[<Fact>]
let ``labels are draws with their weights, and those of a box are none`` () =
    let folder = Directory.CreateTempSubdirectory().FullName

    try
        let parameters = [| ModelParameter.create "x" ParameterKind.Poi 0.0 |]

        let labelled (tag: string) (weights: float[]) : LabelSet =
            { LabelSet.create
                  [| "x" |]
                  tag
                  [| 0; 0; 1; 1 |]
                  [| 1.0; 2.0; 3.0; 4.0 |]
                  [| 0.0; 0.0; 0.0; 0.0 |]
                  [| 0.0; 0.0; 0.0; 0.0 |] with
                Weights = weights
            }

        let weights (set: LabelSet) : float[] option =
            (DrawTable.ofLabels parameters set |> Error.orRaise).Weights

        Assert.Equal(None, weights (labelled Design.tag [| 1.0; 1.0; 1.0; 1.0 |]))

        Assert.Equal(
            Some [| 1.0; 2.0; 0.5; 1.0 |],
            weights (labelled Tempered.tag [| 1.0; 2.0; 0.5; 1.0 |])
        )

        let read (tag: string) =
            let own = Path.Combine(folder, tag)
            Directory.CreateDirectory own |> ignore

            LabelFiles.init parameters []
            |> LabelFiles.append own LabelUse.Train (labelled tag [| 1.0; 1.0; 1.0; 1.0 |])
            |> Error.orRaise
            |> ignore

            DrawTableFiles.read DrawColumns.None own

        Assert.Equal(4, (snd (Error.orRaise (read Design.tag))).Count)

        for tag in [ Box.tag; Ridge.tag ] do
            match read tag with
            | Ok _ -> Assert.Fail $"{tag} was read as draws"
            | Result.Error errors ->
                Assert.Contains("no draws of the posterior", string errors.Head)
    finally
        Directory.Delete(folder, true)

[<Fact>]
let ``a summary of one draw has no errors to tell`` () =
    let one =
        DrawTable.create [| "x" |] [| free |] 1 [| 0.3 |] [| 0.0 |] None
        |> Error.orRaise

    let among =
        DrawTable.create
            [| "x" |]
            [| free |]
            4
            (Key.normals 400 (Key.ofSeed 3))
            (Array.zeroCreate 400)
            None
        |> Error.orRaise
        |> DrawTable.withWeights (Array.init 400 (fun r -> if r = 7 then 1.0 else 0.0))

    for table in [ one; among ] do
        let found = PosteriorSummary.create RunOptions.Single Credible.usual [| 0 |] table
        Assert.False found.IsConverged
        let p = found.Parameters[0]
        Assert.Equal(infinity, p.Mean.Error)

        for region in p.Marginal.Regions do
            for piece in region.Pieces do
                Assert.Equal(infinity, piece.Low.Error)

[<Fact>]
let ``a summary is the same on any number of threads`` () =
    let x = Key.normals (3 * 1600) (Key.ofSeed 14)

    let table =
        DrawTable.create [| "a"; "b"; "c" |] (Array.create 3 free) 16 x (Array.create 1600 nan) None
        |> Error.orRaise

    let make (threads: int) =
        PosteriorSummary.create
            { RunOptions.Single with Threads = threads }
            Credible.usual
            [| 2; 0; 1 |]
            table

    let once = make 1
    Assert.Equal<string[]>([| "c"; "a"; "b" |], once.Parameters |> Array.map _.Name)
    Assert.Equal<PosteriorSummary>(once, make 3)
    Assert.True once.IsConverged
    Assert.Empty once.Notes

    for p, d in
        Array.zip
            once.Parameters
            (Diagnostics.diagnoseAll [| "c"; "a"; "b" |] (fun i ->
                DrawTable.series ([| 2; 0; 1 |][i]) table)) do
        Assert.Equal(d.Mean, p.Mean.Value, 1e-12)
        Assert.Equal(d.BulkEss, p.BulkEss)
        Assert.Equal(d.RankRHat, p.RHat)
        Assert.InRange(p.Mean.Error / d.MeanError, 0.99, 1.01)
        Assert.InRange(p.Deviation.Error / d.StandardDeviationError, 0.99, 1.01)

    // Chains that do not agree are told.
    let apart =
        { table with
            Points = table.Points |> Array.mapi (fun i v -> if i < 300 then v + 5.0 else v)
        }

    let told = PosteriorSummary.create RunOptions.Single Credible.usual [| 0 |] apart
    Assert.False told.IsConverged
    Assert.Contains("do not agree", told.Notes.Head)
