namespace FunLik

open System

/// How a rate falls when the validation loss does not.
type Plateau =
    {
        /// What the rate is multiplied by.
        Factor: float
        /// After so many epochs in a row without a gain.
        Patience: int
        /// What counts as one.
        Gain: Gain
        /// The rate goes no lower.
        Floor: float
    }

/// How the learning rate goes.
[<RequireQualifiedAccess>]
type RateSchedule =
    /// The same rate at every step.
    | Constant of rate: float
    /// From the peak down to 0 along a cosine.
    | Cosine of peak: float
    /// Up to the peak in a straight line over a fraction of all steps, then down to 0 along a cosine.
    | WarmupCosine of peak: float * warmup: float
    /// From a rate down in steps, one after each plateau of the validation loss.
    | Plateau of rate: float * plateau: Plateau

/// What a transform may know of the run besides gradients: scalars that all weights share.
type Signal =
    {
        /// The number of steps done before this one.
        Step: Expr
        /// The number of steps of the whole run.
        Steps: int
        /// The transform's own numbers.
        Numbers: Expr list
    }

/// Turns gradients into changes of weights, with a state of its own: arrays that go from step to step, and numbers that go from
/// epoch to epoch. Steps are expressions: they run in one program with the gradients, on any engine.
type Transform =
    {
        /// The names of the arrays: one of each weight's shape, all 0 at first.
        Slots: string list
        /// The names of the numbers, and what they are before the first epoch.
        Numbers: (string * float) list
        /// Takes a gradient and the slots' values of one weight; gives the change to be added, and the slots' next values.
        Update: Signal -> Expr -> Expr list -> Expr * Expr list
        /// The numbers after an epoch.
        AfterEpoch: EpochSignal -> float list -> float list
    }

/// Schedules as expressions.
[<RequireQualifiedAccess>]
module RateSchedule =

    /// The highest rate.
    let peak (schedule: RateSchedule) : float =
        match schedule with
        | RateSchedule.Constant rate
        | RateSchedule.Plateau(rate, _) -> rate
        | RateSchedule.Cosine peak
        | RateSchedule.WarmupCosine(peak, _) -> peak

    /// The same course with another highest rate.
    let withPeak (peak: float) (schedule: RateSchedule) : RateSchedule =
        match schedule with
        | RateSchedule.Constant _ -> RateSchedule.Constant peak
        | RateSchedule.Cosine _ -> RateSchedule.Cosine peak
        | RateSchedule.WarmupCosine(_, warmup) -> RateSchedule.WarmupCosine(peak, warmup)
        | RateSchedule.Plateau(_, plateau) -> RateSchedule.Plateau(peak, plateau)

    /// Down from the peak after a number of steps.
    let private cosine (peak: float) (first: float) (signal: Signal) : Expr =
        let rest = max 1.0 (float signal.Steps - first)
        0.5 * peak * (1.0 + cos ((signal.Step - first) * (Math.PI / rest)))

    /// The rate at a step; that of a plateau is the first of its transform's numbers.
    let rate (schedule: RateSchedule) (signal: Signal) : Expr =
        match schedule with
        | RateSchedule.Constant rate -> Expr.scalar rate
        | RateSchedule.Cosine peak -> cosine peak 0.0 signal
        | RateSchedule.WarmupCosine(peak, warmup) ->
            let first = max 1.0 (Math.Round(warmup * float signal.Steps))
            let up = (signal.Step + 1.0) * (peak / first)
            Expr.select (Expr.less signal.Step (Expr.scalar first)) up (cosine peak first signal)
        | RateSchedule.Plateau _ -> signal.Numbers.Head

    /// The rate and the waiting after an epoch; a rate at its floor stays.
    let afterEpoch
        (plateau: Plateau)
        (signal: EpochSignal)
        (struct (rate: float, waiting: Waiting))
        : struct (float * Waiting) =
        let next = Waiting.after plateau.Gain signal waiting

        if next.Epochs < plateau.Patience then
            struct (rate, next)
        else
            let lower =
                if rate > plateau.Floor then
                    max plateau.Floor (plateau.Factor * rate)
                else
                    rate

            struct (lower, { next with Epochs = 0 })

/// Making and joining transforms.
[<RequireQualifiedAccess>]
module Transform =

    /// A transform that carries nothing from epoch to epoch.
    let private ofSteps
        (slots: string list)
        (update: Signal -> Expr -> Expr list -> Expr * Expr list)
        : Transform =
        {
            Slots = slots
            Numbers = []
            Update = update
            AfterEpoch = fun _ numbers -> numbers
        }

    /// Divides by running averages of size, with bias correction (Kingma and Ba, arXiv:1412.6980, algorithm 1).
    let adam (beta1: float) (beta2: float) (epsilon: float) : Transform =
        let update (signal: Signal) (g: Expr) (slots: Expr list) : Expr * Expr list =
            match slots with
            | [ mean; square ] ->
                let mean = beta1 * mean + (1.0 - beta1) * g
                let square = beta2 * square + (1.0 - beta2) * (g * g)
                let count = signal.Step + 1.0
                // 1 - beta^t without cancellation.
                let correction (beta: float) : Expr = -(Expr.expm1 (log beta * count))
                let size = sqrt (square * (1.0 / correction beta2)) + epsilon
                (mean * (1.0 / correction beta1)) / size, [ mean; square ]
            | _ -> invalidArg (nameof slots) "Adam carries two arrays for each weight"

        ofSteps [ "mean"; "square" ] update

    /// Times minus the rate of a schedule: the last of a chain, and alone gradient descent.
    let schedule (schedule: RateSchedule) : Transform =
        let steps =
            ofSteps [] (fun signal g _ -> -(g * RateSchedule.rate schedule signal), [])

        match schedule with
        | RateSchedule.Plateau(rate, plateau) ->
            let start = Waiting.start

            let after (signal: EpochSignal) (numbers: float list) : float list =
                match numbers with
                | [ rate; least; epochs ] ->
                    let waiting = { Least = least; Epochs = int epochs }

                    let struct (rate, waiting) =
                        RateSchedule.afterEpoch plateau signal (struct (rate, waiting))

                    [ rate; waiting.Least; float waiting.Epochs ]
                | _ -> invalidArg (nameof numbers) "a plateau carries three numbers"

            { steps with
                Numbers = [ "rate", rate; "least", start.Least; "epochs", float start.Epochs ]
                AfterEpoch = after
            }
        | _ -> steps

    /// One transform after the other.
    let chain (transforms: Transform list) : Transform =
        /// Cuts a list into those of each transform.
        let cut (count: Transform -> int) (all: 'T list) : 'T list list =
            transforms
            |> List.mapFold (fun rest t -> List.splitAt (count t) rest) all
            |> fst

        let update (signal: Signal) (g: Expr) (slots: Expr list) : Expr * Expr list =
            let numbers = cut _.Numbers.Length signal.Numbers
            let own = cut _.Slots.Length slots

            ((g, []), List.zip3 transforms numbers own)
            ||> List.fold (fun (g, next) (t, numbers, slots) ->
                let change, after = t.Update { signal with Numbers = numbers } g slots
                change, next @ after)

        let afterEpoch (signal: EpochSignal) (numbers: float list) : float list =
            (transforms, cut _.Numbers.Length numbers)
            ||> List.map2 (fun t own -> t.AfterEpoch signal own)
            |> List.concat

        let placed (name: int -> 'T -> 'T) (parts: Transform -> 'T list) : 'T list =
            transforms |> List.mapi (fun i t -> parts t |> List.map (name i)) |> List.concat

        {
            Slots = placed (fun i slot -> $"{i}.{slot}") _.Slots
            Numbers = placed (fun i (number, value) -> $"{i}.{number}", value) _.Numbers
            Update = update
            AfterEpoch = afterEpoch
        }
