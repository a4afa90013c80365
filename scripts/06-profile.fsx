// Frequentist inference from end to end: fit, covariance and correlations, scans, intervals, contours, impacts, CLs, limits and toys, on the models
// that ship, and on a surrogate, which is a likelihood like any other. At the end the figures are one page.

#load "prelude.fsx"

open System
open System.IO
open FunLik

let require (what: string) (condition: bool) : unit =
    if not condition then
        failwith $"not so: {what}"

/// Fails where a number is not what it should be.
let near (what: string) (tolerance: float) (expected: float) (found: float) : unit =
    if not (abs (found - expected) <= tolerance) then
        failwith $"{what}: found {found}, expected {expected}"

let options = RunOptions.AllCores
let examples = Path.Combine(__SOURCE_DIRECTORY__, "..", "examples")

let load (file: string) (modelOptions: ModelOptions) : Likelihood =
    ModelFile.load (Path.Combine(examples, file)) modelOptions |> Error.orRaise

// ---- An effective field theory: three couplings, quadratic in each, and nine nuisances.

let eft =
    load
        "eft/workspace.json"
        { ModelOptions.None with
            Scalings = Some(Path.Combine(examples, "eft", "scalings.json"))
        }

let fit = Fit.withOptions { FitOptions.Default with Covariance = true } eft
require "the fit converges" fit.Status.IsConverged
require "its gradient is nothing" (fit.GradientNorm < 1e-6)
printfn $"{eft.Name}: twiceNll %.6f{fit.TwiceNll}, {fit.Minima.Length} minima"

let sigmas, correlations = Fit.sigmas fit, (Fit.correlations fit).Value
let place (name: string) : int = Array.IndexOf(fit.Names, name)

for name in [ "ctZ"; "ctG"; "cpt" ] do
    let row =
        [ "ctZ"; "ctG"; "cpt" ]
        |> List.map (fun other -> $"%6.2f{correlations[place name][place other]}")
        |> String.concat " "

    printfn
        $"  %-4s{name} %8.4f{fit.Point[place name]} ± %.4f{sigmas[place name].Value}, correlations {row}"

// A correlation matrix is symmetric, with ones along its diagonal where a parameter is free.
for i in 0 .. fit.Names.Length - 1 do
    near "a correlation with itself" 1e-12 1.0 (correlations[i][i])

    for j in 0 .. fit.Names.Length - 1 do
        near "correlations are symmetric" 1e-12 (correlations[i][j]) (correlations[j][i])
        require "none is above 1" (abs (correlations[i][j]) <= 1.0 + 1e-12)

// ---- A scan with the other couplings profiled, and one with them frozen at 0: that is never below, for it has less to fit.

let values = [ -5.0 .. 0.5..5.0 ]
let profiled = Profile.scan "ctZ" values eft

let frozen =
    Profile.scanWith { ScanOptions.Default with Frozen = true } "ctZ" values eft

Array.iter2
    (fun (p: float) (f: float) ->
        require
            "a frozen scan is not below the profiled one"
            (f + frozen.Minimum.TwiceNll >= p + profiled.Minimum.TwiceNll - 1e-6))
    profiled.TwiceDeltaNll
    frozen.TwiceDeltaNll

// ---- Intervals are unions: this coupling fits on both sides of a square, so two values of it are best.

let square =
    likelihood {
        let! c = poi "c" (flat -3.0 3.0)
        let! scale = nuisance "scale" (normal 0.0 0.1)
        do! gaussian [| 2.0 |] [| 0.5 |] (Expr.concat [ c * c + scale ])
    }

let union =
    Interval.findWith
        { IntervalOptions.Default with
            Levels = [ ConfidenceLevel.ofTwiceDeltaNll 1 1.0 ]
        }
        "c"
        square

// The nuisance adds its width to the measurement's: c² = 2 ± √(0.5² + 0.1²).
let width = sqrt (0.25 + 0.01)

let ends =
    union.Intervals.Head.Pieces
    |> List.collect (fun piece -> [ piece.Low.Value; piece.High.Value ])

let expectedEnds =
    [
        -sqrt(2.0 + width)
        -sqrt(2.0 - width)
        sqrt (2.0 - width)
        sqrt (2.0 + width)
    ]

require "the interval has two pieces" (ends.Length = 4)
List.iter2 (near "an end of a piece" 1e-6) expectedEnds ends
printfn $"c is in [%.4f{ends[0]}, %.4f{ends[1]}] or [%.4f{ends[2]}, %.4f{ends[3]}]"

let intervals = Interval.find "ctZ" eft

for interval in intervals.Intervals do
    for piece in interval.Pieces do
        printfn
            $"ctZ in [%.4f{piece.Low.Value}, %.4f{piece.High.Value}] at {ConfidenceLevel.label interval.Level}"

        // At an end twice ΔNLL is the level: a fit with the coupling held there says so too.
        let held =
            Fit.withOptions
                { FitOptions.Default with Fixed = List.singleton ("ctZ", piece.High.Value) }
                eft

        near
            "twice ΔNLL at an end"
            1e-5
            interval.Level.TwiceDeltaNll
            (held.TwiceNll - intervals.Minimum.TwiceNll)

// ---- Contours at 68 and 95 %.

let grid =
    GridScan.scan [ "ctZ", [| -6.0 .. 0.4..7.0 |]; "ctG", [| -3.0 .. 0.2..3.0 |] ] eft

let contours =
    Contour.ofScan ([ 0.68; 0.95 ] |> List.map (ConfidenceLevel.ofProbability 2)) grid

for contour in contours do
    let points = contour.Lines |> List.sumBy _.Points.Length
    printfn $"{ConfidenceLevel.label contour.Level}: {contour.Lines.Length} lines, {points} points"
    require "the grid crosses the level" (not contour.Lines.IsEmpty)

require
    "the grid is never below the minimum, and it converges"
    (grid.TwiceDeltaNll |> Array.forall (fun t -> t >= 0.0)
     && grid.Status |> Array.forall _.IsConverged)

// ---- Pulls and impacts, ranked, on a workspace with a signal.

let workspace =
    load
        "histfactory/workspace.json"
        { ModelOptions.None with
            Patch = Some(Path.Combine(examples, "histfactory", "signals.json") + ":heavy")
        }

let impacts = Impact.all FitOptions.Default None workspace
printfn $"{impacts.Poi} = %.4f{impacts.Best} ± %.4f{impacts.Sigma.Value}; the largest impacts:"

for impact in List.truncate 5 impacts.Impacts do
    let after = impact.AfterData.Value

    let pull =
        impact.Pull |> Option.map (fun p -> $"%.2f{p}") |> Option.defaultValue "free"

    printfn $"  %-14s{impact.Name} %+.4f{after.Up} %+.4f{after.Down}, pull {pull}"

let sizes =
    impacts.Impacts
    |> List.map (fun i -> i.AfterData |> Option.map _.Size |> Option.defaultValue 0.0)

require "they are ranked" (sizes = List.sortDescending sizes)

require
    "no impact is larger than the whole error, or nearly"
    (sizes.Head < 1.1 * impacts.Sigma.Value)

// ---- CLs, the upper limit, and toys: pyhf's two bins with backgrounds that are uncertain apart, and its numbers.

let twoBins = load "two-bins/workspace.json" ModelOptions.None
let tester = HypothesisTest.prepare options TestStatistic.QTilde None twoBins
let test = HypothesisTest.test options tester 1.0
near "twiceNll of the free fit" 1e-7 24.98393521 tester.Free.TwiceNll
near "twiceNll at mu = 1" 1e-7 28.92218013 test.Fixed.TwiceNll
near "q̃" 1e-6 3.93824492 test.Statistic
near "CLs" 2e-6 0.05251497 test.Observed.Cls

Array.iter2
    (fun expected (p: PValues) -> near "CLs expected" 1e-5 expected p.Cls)
    [| 0.00260626; 0.01382005; 0.06445321; 0.23525644; 0.57303621 |]
    test.Expected

let limit = Limit.upper options 0.95 tester
near "the upper limit" 1e-5 1.01156939 limit.Observed

near "CLs at the limit" 1e-8 0.05 (HypothesisTest.test options tester limit.Observed).Observed.Cls

printfn
    $"two bins: CLs(1) = %.6f{test.Observed.Cls}, limit %.6f{limit.Observed}, expected %.6f{limit.Expected[2]}"

// Asymptotic formulas are off by a little with 50 events a bin; six standard errors more and a right sampler fails once in 500 million keys.
let toys = Toys.test options tester 1.0 5000 (Key.ofSeed 1)
printfn $"  toys: CLs+b = %.4f{toys.Clsb.Value} ± %.4f{toys.Clsb.Error}, CLs = %.4f{toys.Cls.Value}"
near "CLs+b of toys" (0.01 + 6.0 * toys.Clsb.Error) test.Observed.Clsb toys.Clsb.Value
near "CLb of toys" (0.01 + 6.0 * toys.Clb.Error) test.Observed.Clb toys.Clb.Value

// ---- A density that somebody published, without the terms it was made of, is a likelihood all the same.

let published =
    Onnx.ofLikelihood OnnxOptions.defaults twoBins
    |> Result.bind OnnxFormat.write
    |> Result.bind (fun bytes ->
        let file = Path.GetTempFileName()

        try
            File.WriteAllBytes(file, bytes)
            Onnx.readLikelihood file
        finally
            File.Delete file)
    |> Error.orRaise

let statistic =
    StatisticScan.find FitOptions.Default TestStatistic.QTilde None [| 0.5; 1.0 |] published

near "q̃ of the published density" 1e-6 test.Statistic statistic.Values[1]

let same = (Interval.find "mu" published).Intervals
let exact = (Interval.find "mu" twoBins).Intervals

for a, b in List.zip same exact do
    near "its intervals" 1e-6 b.Pieces.Head.High.Value a.Pieces.Head.High.Value

try
    HypothesisTest.prepare options TestStatistic.QTilde None published |> ignore
    failwith "not so: a density without terms predicts no data"
with FunLikException errors ->
    printfn $"published: {errors.Head}"

// ---- A learnt density: its intervals are found again with the exact one at their ends alone.

let counting =
    likelihood {
        let! mu = poi "mu" (flat -1.0 10.0)
        let! theta = nuisances "background" 3 standardNormal

        let signal, background, sigma =
            [| 3.1; 4.2; 1.6 |], [| 10.4; 4.7; 1.9 |], [| 0.8; 0.5; 0.4 |]

        do! poisson [| 14; 9; 3 |] (mu * signal + background + theta * sigma)
    }

let objective = Objective.ofLikelihood counting
let key = Key.ofSeed 2

let labels =
    let design =
        { Design.posteriorOf objective.Count 2000 with Chains = 32; TestChains = 4 }

    Design.start options objective design (Fit.minimise counting).Point key
    |> Design.posterior options objective design key
    |> Seq.map _.Train
    |> List.ofSeq
    |> LabelSet.concat (Likelihood.names counting)

let dataset =
    let struct (values, gradients) =
        (Likelihood.withoutPriors counting |> Objective.ofLikelihood)
            .ValuesAndGradients(labels.Points, options)

    Dataset.create labels.Dimension labels.Points values (Some gradients) labels.Chains
    |> Error.orRaise

let choosing, learning =
    dataset |> Dataset.splitByGroup (fun chain -> chain % 8 = 0)

let recipe =
    { Recipe.funlik with
        Hidden = [ 32; 32 ]
        BatchSize = 64
        Length = TrainingLength.Epochs 100
    }

let learnt, _ =
    Surrogate.learn options recipe key counting learning choosing |> Error.orRaise

// A network knows nothing beyond its labels: the range to look at is theirs.
let found =
    Interval.findWith
        { IntervalOptions.Default with Range = Some(-0.9, 3.0) }
        "mu"
        learnt.Likelihood

let recheck =
    Recheck.crossings FitOptions.Default (Fitter.ofObjective objective) found

require "both levels are crossed on both sides" (recheck.Crossings.Length = 4)

for crossing in recheck.Crossings do
    printfn
        $"learnt: mu %.4f{crossing.Before}, exact %.4f{crossing.Exact} at twice ΔNLL %.2f{crossing.Level.TwiceDeltaNll}"

    require "the learnt interval is near" (abs crossing.Shift < 0.05)

// ---- One page with all figures.

let page: Page =
    let section (title: string) (figures: Figure list) : Section =
        { Title = title; Blocks = figures |> List.map Block.Figure }

    {
        Title = "Frequentist inference"
        Summary = "What scripts/06-profile.fsx finds on the models that ship."
        Highlights =
            [
                "upper limit on mu, two bins", Cell.Number(limit.Observed, 5)
                "CLs of mu = 1", Cell.Number(test.Observed.Cls, 4)
            ]
        Sections =
            [
                section
                    "Couplings"
                    [
                        ResultFigure.scans [ "profiled", profiled; "frozen", frozen ]
                        ResultFigure.intervals intervals
                        ResultFigure.contours grid contours
                    ]
                section "Two best values" [ ResultFigure.intervals union ]
                section "Pulls and impacts" [ ResultFigure.impacts 20 impacts ]
                section
                    "Two bins"
                    [
                        HypothesisTest.tests options tester [| 0.0..0.05..2.0 |]
                        |> ResultFigure.cls "mu" 0.95
                        ResultFigure.toys "q̃" "mu" toys
                    ]
            ]
    }

let folder = Directory.CreateTempSubdirectory("funlik-profile-").FullName

try
    let file = Path.Combine(folder, "inference.html")
    Page.write file page |> Error.orRaise

    printfn
        $"a page of {FileInfo(file).Length / 1024L} KiB with its figures; Page.write keeps it where you say"
finally
    Directory.Delete(folder, true)
