namespace FunLik

open System.IO

/// A run of `funlik sample --design` as its folder remembers it: which it is, and how far it has come.
type internal DesignRun =
    {
        /// The hash of all that it depends on.
        Id: string
        /// The number of the first chain, anchor or point.
        FirstGroup: int
        /// The design that is next, counted from 0.
        Part: int
        /// Pieces of it that are done.
        Piece: int
        /// Exact calls of each design, and those that found the best point.
        PartCalls: float[]
        /// Whether all chains agreed.
        Converged: bool
        /// Points whose profile did not converge.
        Lost: int
        /// Points outside of the support.
        Outside: int
        /// Points that the folder had already, or twice.
        Duplicates: int
    }

/// `funlik sample --design`: labels by designs, piece by piece into a folder, from which an interrupted run goes on.
[<RequireQualifiedAccess>]
module Designing =

    let private names: (LabelDesign * string) list =
        [
            LabelDesign.Posterior, Design.tag
            LabelDesign.Ridge, Ridge.tag
            LabelDesign.Box, Box.tag
            LabelDesign.Tempered, Tempered.tag
        ]

    let private nameOf (design: LabelDesign) : string =
        names |> List.find (fst >> (=) design) |> snd

    /// How many labels each design makes: largest remainders, so that they add up.
    let counts (labels: int) (parts: (LabelDesign * float) list) : int list =
        let total = parts |> List.sumBy snd
        let exact = parts |> List.map (fun (_, share) -> float labels * share / total)
        let whole = exact |> List.map (floor >> int)
        let missing = labels - List.sum whole

        let raised =
            exact
            |> List.indexed
            |> List.sortBy (fun (i, x) -> floor x - x, i)
            |> List.truncate missing
            |> List.map fst
            |> Set.ofList

        whole |> List.mapi (fun i n -> if raised.Contains i then n + 1 else n)

    let private inputs (hash: string) (request: DesignRequest) : JsonValue =
        JsonValue.Object
            [
                "subject", JsonValue.Text hash
                "seed", JsonValue.Int(int64 request.Seed)
                "labels", JsonValue.Int(int64 request.Labels)
                "chains", JsonValue.Int(int64 request.Chains)
                "designs",
                request.Parts
                |> List.map (fun (design, share) -> nameOf design, JsonValue.Number share)
                |> JsonValue.Object
                "beta", JsonValue.Number request.Beta
                "sides",
                request.Sides
                |> List.map (fun (name, low, high) -> name, JsonValue.Numbers [| low; high |])
                |> JsonValue.Object
                "fill", JsonValue.Text(if request.Fill.IsSobol then "sobol" else "uniform")
                "others", JsonValue.Text(if request.Others.IsFrozen then "frozen" else "profiled")
                "inner", JsonValue.Number request.Inner
            ]

    let private runsFact = "runs"

    let private ofRun (run: DesignRun) : JsonValue =
        JsonValue.Object
            [
                "id", JsonValue.Text run.Id
                "firstGroup", JsonValue.Int(int64 run.FirstGroup)
                "part", JsonValue.Int(int64 run.Part)
                "piece", JsonValue.Int(int64 run.Piece)
                "partCalls", JsonValue.Numbers run.PartCalls
                "converged", JsonValue.Bool run.Converged
                "lost", JsonValue.Int(int64 run.Lost)
                "outside", JsonValue.Int(int64 run.Outside)
                "duplicates", JsonValue.Int(int64 run.Duplicates)
            ]

    let private readRun (json: Json) : Result<DesignRun, Error list> =
        Ok(fun id group part piece calls converged lost outside duplicates ->
            {
                Id = id
                FirstGroup = group
                Part = part
                Piece = piece
                PartCalls = calls
                Converged = converged
                Lost = lost
                Outside = outside
                Duplicates = duplicates
            })
        |> Validation.apply (Json.field "id" Json.text json)
        |> Validation.apply (Json.field "firstGroup" Json.int json)
        |> Validation.apply (Json.field "part" Json.int json)
        |> Validation.apply (Json.field "piece" Json.int json)
        |> Validation.apply (Json.field "partCalls" Json.numbers json)
        |> Validation.apply (Json.field "converged" Json.bool json)
        |> Validation.apply (Json.field "lost" Json.int json)
        |> Validation.apply (Json.field "outside" Json.int json)
        |> Validation.apply (Json.field "duplicates" Json.int json)

    let private runsOf (manifest: LabelManifest) : Result<DesignRun list, Error list> =
        match manifest.Facts |> List.tryFind (fst >> (=) runsFact) with
        | None -> Ok []
        | Some(_, runs) -> JsonValue.toLine runs |> Json.parse |> Result.bind (Json.list readRun)

    let private withRuns (runs: DesignRun list) (manifest: LabelManifest) : LabelManifest =
        let spent = runs |> List.sumBy (fun run -> Array.sum run.PartCalls)

        let before =
            manifest.Facts
            |> List.filter (fun (name, _) -> name <> runsFact && name <> LabelStage.callsFact)

        { manifest with
            Facts =
                before
                @ [
                    LabelStage.callsFact, JsonValue.Int(int64 spent)
                    runsFact, runs |> List.map ofRun |> JsonValue.List
                ]
        }

    let private checkpointFile (run: DesignRun) : string =
        $"chains-{run.Id[..11]}-{run.Part}-{run.Piece}.json"

    let private open'
        (request: DesignRequest)
        (hash: string)
        (model: Likelihood)
        : Result<LabelManifest, Error list> =
        let parameters = Likelihood.parameters model

        if File.Exists(Path.Combine(request.Out, LabelFiles.manifestFile)) then
            LabelFiles.readManifest request.Out
            |> Result.bind (fun manifest ->
                match manifest.Facts |> List.tryFind (fst >> (=) "subject") with
                | Some(_, JsonValue.Text known) when known = hash -> Ok manifest
                | _ ->
                    Error.make ErrorKind.Value "the folder has labels of another model"
                    |> Error.withFile request.Out
                    |> Error.hint
                        "Give another folder; only labels of one model, by `--design`, go together."
                    |> Error.fail)
        else
            LabelFiles.init
                parameters
                [ "model", JsonValue.Text model.Name; "subject", JsonValue.Text hash ]
            |> Ok

    let private known
        (folder: string)
        (manifest: LabelManifest)
        : Result<KnownPoints * int, Error list> =
        let names = manifest.Parameters |> Array.map _.Name

        (Ok(KnownPoints.Empty, 0), manifest.Shards)
        ||> List.fold (fun so shard ->
            so
            |> Result.bind (fun (points, groups) ->
                LabelFiles.readShard folder names shard
                |> Result.map (fun set ->
                    let struct (_, more) = LabelSet.distinct points set
                    more, max groups (1 + Array.fold max -1 set.Chains))))

    /// Adds a piece to the folder: shards, the state of its chains, and then the manifest that knows of both.
    let private keep
        (work: DesignWork)
        (model: Likelihood)
        (others: DesignRun list)
        (manifest: LabelManifest, points: KnownPoints, run: DesignRun)
        (piece: DesignPiece)
        : Result<LabelManifest * KnownPoints * DesignRun, Error list> =
        let folder = work.Request.Out
        let struct (train, points) = LabelSet.distinct points piece.Train
        let struct (test, points) = LabelSet.distinct points piece.Test
        let split = LabelSet.withParts work.Context.Options model

        let after =
            { run with
                Part = if piece.IsLast then run.Part + 1 else run.Part
                Piece = if piece.IsLast then 0 else run.Piece + 1
                PartCalls =
                    run.PartCalls
                    |> Array.mapi (fun i spent -> if i = run.Part then piece.Spent spent else spent)
                Converged = run.Converged && piece.Converged
                Lost = run.Lost + piece.Lost
                Outside = run.Outside + piece.Outside
                Duplicates =
                    run.Duplicates + piece.Train.Count - train.Count + piece.Test.Count - test.Count
            }

        let checkpoint =
            match piece.State with
            | Some state when not piece.IsLast ->
                PosteriorCheckpoint.write state
                |> JsonValue.writeFile (Path.Combine(folder, checkpointFile after))
            | _ -> Ok()

        checkpoint
        |> Result.bind (fun () ->
            withRuns (others @ [ after ]) manifest
            |> LabelFiles.appendAll
                folder
                [ LabelUse.Train, split train; LabelUse.Test, split test ])
        |> Result.bind (fun written ->
            FileError.guard folder (fun () ->
                File.Delete(Path.Combine(folder, checkpointFile run))
                Ok(written, points, after)))

    /// Makes what is missing of the designs, in their order.
    let private complete
        (work: DesignWork)
        (model: Likelihood)
        (others: DesignRun list)
        (start: LabelManifest * KnownPoints * DesignRun)
        : Result<LabelManifest * DesignRun, Error list> =
        let request = work.Request

        let designs =
            List.zip (List.map fst request.Parts) (counts request.Labels request.Parts)

        let names = Likelihood.names model

        let rec go (manifest, points, run: DesignRun) =
            match List.tryItem run.Part designs with
            | None -> Ok(manifest, run)
            | Some(_, 0) -> go (manifest, points, { run with Part = run.Part + 1 })
            | Some(design, labels) ->
                let firstGroup =
                    run.FirstGroup
                    + (designs
                       |> List.truncate run.Part
                       |> List.sumBy (fun (d, n) -> DesignPieces.groupsOf request d n))

                let state =
                    match design with
                    | LabelDesign.Posterior
                    | LabelDesign.Tempered when run.Piece > 0 ->
                        Json.parseFile (Path.Combine(request.Out, checkpointFile run))
                        |> Result.bind (PosteriorCheckpoint.read names)
                        |> Result.map Some
                    | _ -> Ok None

                state
                |> Result.bind (fun state ->
                    let pieces =
                        match design with
                        | LabelDesign.Posterior ->
                            DesignPieces.chainPieces work None labels firstGroup state
                        | LabelDesign.Tempered ->
                            DesignPieces.chainPieces
                                work
                                (Some request.Beta)
                                labels
                                firstGroup
                                state
                        | LabelDesign.Ridge -> DesignPieces.ridgePieces work labels firstGroup
                        | LabelDesign.Box ->
                            DesignPieces.boxPieces work labels firstGroup run.Piece

                    (Ok(manifest, points, run), pieces)
                    ||> Seq.fold (fun so piece ->
                        so |> Result.bind (fun known -> keep work model others known piece)))
                |> Result.bind go

        go start

    let private report
        (request: DesignRequest)
        (seconds: float)
        (wasDone: bool)
        (manifest: LabelManifest, run: DesignRun)
        : Report =
        let rows (labelUse: LabelUse) : (string * int) list =
            manifest.Shards
            |> List.filter (fun s -> s.Use = labelUse)
            |> List.groupBy _.Tag
            |> List.map (fun (tag, shards) -> tag, shards |> List.sumBy _.Rows)

        let table (labelUse: LabelUse) : JsonValue =
            rows labelUse
            |> List.map (fun (tag, count) -> tag, JsonValue.Int(int64 count))
            |> JsonValue.Object

        let calls = int64 (Array.sum run.PartCalls)

        {
            Converged = run.Converged || request.AllowUnconverged
            Json =
                JsonValue.Object
                    [
                        "labels", table LabelUse.Train
                        "testLabels", table LabelUse.Test
                        "exactCalls", JsonValue.Int calls
                        "lost", JsonValue.Int(int64 run.Lost)
                        "outside", JsonValue.Int(int64 run.Outside)
                        "duplicates", JsonValue.Int(int64 run.Duplicates)
                        "seconds", JsonValue.Number seconds
                        "status",
                        JsonValue.Text(if run.Converged then "converged" else "not converged")
                        "out", JsonValue.Text request.Out
                    ]
            Text =
                [
                    for tag, count in rows LabelUse.Train do
                        $"{TextTable.count (int64 count)} labels to learn from, {tag}"
                    for tag, count in rows LabelUse.Test do
                        $"{TextTable.count (int64 count)} labels to test with, {tag}"
                    $"{TextTable.count calls} exact calls of this run (a gradient is one more), "
                    + $"{TextTable.significant 3 seconds} s"
                ]
            Notes =
                [
                    if wasDone then
                        "the folder had all labels of this run already; another --seed adds more"
                    if not run.Converged then
                        "chains did not agree: their design gave no labels"
                    if run.Lost > 0 then
                        $"{run.Lost} points were lost: their profile did not converge"
                    if run.Outside > 0 then
                        $"{run.Outside} points are outside of the support"
                    if run.Duplicates > 0 then
                        $"{run.Duplicates} points were there already; where a design had one twice its weight says so"
                ]
        }

    /// Makes the labels that are missing, and says what there is. A run that was interrupted goes on where it was; another one adds its labels to
    /// those of the folder.
    let run
        (context: VerbContext)
        (request: DesignRequest)
        (source: ModelSource)
        : Result<Report, Error list> =
        let started = context.Clock()

        result {
            let! subject = JobContext.subject { Model = Some source; Data = None }
            let model = subject.Likelihood

            do!
                match DesignPieces.check (Likelihood.parameters model) request with
                | [] -> Ok()
                | errors -> Result.Error errors

            let id = inputs subject.Hash request |> JsonValue.toLine |> Stage.hashText
            let! manifest = open' request subject.Hash model
            let! runs = runsOf manifest
            let! points, groups = known request.Out manifest
            let others = runs |> List.filter (fun run -> run.Id <> id)
            let before = runs |> List.tryFind (fun run -> run.Id = id)

            let begun =
                before
                |> Option.defaultValue
                    {
                        Id = id
                        FirstGroup = groups
                        Part = 0
                        Piece = 0
                        PartCalls = Array.zeroCreate (request.Parts.Length + 1)
                        Converged = true
                        Lost = 0
                        Outside = 0
                        Duplicates = 0
                    }

            let isDone = begun.Part >= request.Parts.Length

            let! finished =
                if isDone then
                    Ok(manifest, begun)
                else
                    FileError.guard request.Out (fun () ->
                        Directory.CreateDirectory request.Out |> ignore
                        Ok())
                    |> Result.bind (fun () ->
                        let objective = Objective.ofLikelihood model
                        DesignPieces.say context "finding the mode" 0 0

                        let fit =
                            Fit.objective
                                { FitOptions.Default with Run = context.Options }
                                objective

                        let work =
                            {
                                Context = context
                                Request = request
                                Objective = objective
                                Centre = fit.Point
                                Key = Key.ofSeed request.Seed |> Key.foldName "designs"
                            }

                        let calls = Array.copy begun.PartCalls
                        calls[request.Parts.Length] <- 2.0 * float fit.Evaluations

                        complete
                            work
                            model
                            others
                            (manifest, points, { begun with PartCalls = calls }))

            let seconds = (context.Clock() - started).TotalSeconds
            return report request seconds isDone finished
        }
