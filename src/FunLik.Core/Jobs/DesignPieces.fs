namespace FunLik

/// Labels that come together, and what making them took.
type internal DesignPiece =
    {
        Train: LabelSet
        Test: LabelSet
        /// The state after it, for chains.
        State: PosteriorState option
        /// What the design has cost before, and then.
        Spent: float -> float
        Converged: bool
        Lost: int
        Outside: int
        IsLast: bool
    }

/// What all designs work on.
type internal DesignWork =
    {
        Context: VerbContext
        Request: DesignRequest
        Objective: Objective
        Centre: float[]
        Key: Key
    }

/// The designs of `funlik sample --design`, piece by piece.
[<RequireQualifiedAccess>]
module internal DesignPieces =

    /// Points of a box in one piece.
    let private boxBlock = 4096

    let private piece (names: string[]) : DesignPiece =
        let empty = LabelSet.empty names

        {
            Train = empty
            Test = empty
            State = None
            Spent = id
            Converged = true
            Lost = 0
            Outside = 0
            IsLast = true
        }

    let private moved (offset: int) (set: LabelSet) : LabelSet =
        { set with Chains = set.Chains |> Array.map ((+) offset) }

    /// Tells how far a design is.
    let say (context: VerbContext) (stage: string) (count: int) (total: int) : unit =
        context.Progress { Stage = stage; Done = int64 count; Total = int64 total }

    let private testChains = 8

    /// Labels of chains of the density, or of a flatter one; from the state of an interrupted run on, where there is one.
    let chainPieces
        (work: DesignWork)
        (beta: float option)
        (labels: int)
        (firstGroup: int)
        (from: PosteriorState option)
        : seq<DesignPiece> =
        let options, objective = work.Context.Options, work.Objective

        let design =
            { Design.posteriorOf objective.Count labels with
                Chains = work.Request.Chains
                TestChains = min testChains (work.Request.Chains / 8)
            }

        let key =
            work.Key |> Key.foldName (if beta.IsSome then Tempered.tag else Design.tag)

        let visited =
            match beta with
            | Some beta -> Tempered.objective beta objective
            | None -> objective

        let start =
            match from with
            | Some state -> state
            | None -> Design.start options visited design work.Centre key

        let steps =
            match beta with
            | Some beta -> Tempered.labels options objective beta design work.Centre key start
            | None -> Design.posterior options objective design key start

        let training = design.Chains - design.TestChains

        // Labels of tempered chains are evaluated anew, and the density at the centre is their reference.
        let relabelled (state: PosteriorState) : int64 =
            if beta.IsSome then
                let made = min labels (state.Kept * training) + state.Kept * design.TestChains
                1L + 2L * int64 made
            else
                0L

        steps
        |> Seq.choose (fun step ->
            let state = step.State

            match state.Stage with
            | PosteriorStage.WarmingUp ->
                say work.Context "warming up" state.Warmup.Chains.Step design.Warmup.Steps
                None
            | PosteriorStage.Piloting ->
                say work.Context "sampling" 0 0
                None
            | stage ->
                say work.Context "taking labels" (min labels (state.Kept * training)) labels

                let spent = (state.TuningCalls + state.SamplingCalls).Total + relabelled state

                Some
                    { piece step.Train.Parameters with
                        Train = moved firstGroup step.Train
                        Test = moved firstGroup step.Test
                        State = if stage.IsNotConverged then None else Some state
                        Spent = fun _ -> float spent
                        Converged = not stage.IsNotConverged
                        IsLast = not stage.IsLabelling
                    })

    /// Labels along the ridge, all in one piece.
    let ridgePieces (work: DesignWork) (labels: int) (firstGroup: int) : seq<DesignPiece> =
        seq {
            say work.Context "profiling along the ridge" 0 0

            let found =
                Ridge.labels
                    work.Context.Options
                    work.Objective
                    { Ridge.design labels with FirstGroup = firstGroup }
                    work.Centre
                    (Key.foldName Ridge.tag work.Key)

            { piece found.Set.Parameters with
                Train = found.Set
                Spent = fun _ -> float (found.AnchorCalls + found.LabelCalls).Total
                Lost = found.Lost
            }
        }

    let private boxDesign
        (request: DesignRequest)
        (parameters: ModelParameter[])
        (labels: int)
        (firstGroup: int)
        : BoxDesign =
        let usual = Box.design parameters labels

        { usual with
            Sides = if request.Sides.IsEmpty then usual.Sides else request.Sides
            Fill = request.Fill
            Others = request.Others
            Inner = request.Inner
            FirstGroup = firstGroup
        }

    /// What keeps designs from a model of these parameters, before anything is done.
    let check (parameters: ModelParameter[]) (request: DesignRequest) : Error list =
        request.Parts
        |> List.map fst
        |> List.distinct
        |> List.collect (fun design ->
            match design with
            | LabelDesign.Box -> boxDesign request parameters 1 0 |> Box.check parameters
            | LabelDesign.Ridge when not (parameters |> Array.exists _.Kind.IsPoi) ->
                [
                    Error.make
                        ErrorKind.Value
                        "a model without parameters of interest has no ridge"
                    |> Error.at "--design ridge"
                ]
            | _ -> [])

    /// Labels in a box, from a piece on.
    let boxPieces
        (work: DesignWork)
        (labels: int)
        (firstGroup: int)
        (from: int)
        : seq<DesignPiece> =
        let request, objective = work.Request, work.Objective
        let design = boxDesign request objective.Parameters labels firstGroup

        let plan =
            Box.plan
                work.Context.Options
                objective
                design
                work.Centre
                (Key.foldName Box.tag work.Key)

        let count = (labels + boxBlock - 1) / boxBlock

        Seq.init (count - from) ((+) from)
        |> Seq.map (fun k ->
            say work.Context "filling the box" (k * boxBlock) labels
            let found = Box.labels work.Context.Options plan (k * boxBlock) boxBlock

            { piece found.Set.Parameters with
                Train = found.Set
                Spent =
                    fun before ->
                        let planned = if k = 0 then (Box.planCalls plan).Total else 0L
                        before + float (planned + (found.ProfileCalls + found.LabelCalls).Total)
                Lost = found.Lost
                Outside = found.Outside
                IsLast = k = count - 1
            })

    /// The numbers of chains, anchors or points that a design takes up.
    let groupsOf (request: DesignRequest) (design: LabelDesign) (labels: int) : int =
        match design with
        | LabelDesign.Posterior
        | LabelDesign.Tempered -> request.Chains
        | LabelDesign.Ridge
        | LabelDesign.Box -> labels
