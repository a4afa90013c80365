namespace FunLik

open System

/// How the learning rate goes with the number of steps.
[<RequireQualifiedAccess>]
type RateSchedule =
    /// The same rate at every step.
    | Constant of rate: float
    /// Up to the peak in a straight line over a fraction of all steps, then down to 0 along a cosine.
    | WarmupCosine of peak: float * warmup: float

/// What a transform may know of the run besides gradients: scalars that all weights share.
type Signal =
    {
        /// The number of steps done before this one.
        Step: Expr
        /// The number of steps of the whole run.
        Steps: int
    }

/// Turns gradients into changes of weights, with numbers of its own that it carries from step to step; all 0 at first. Transforms
/// are expressions: they run in one program with the gradients, on any engine.
type Transform =
    {
        /// The names of what it carries: an array of each weight's shape.
        Slots: string list
        /// Takes a gradient and the slots' values of one weight; gives the change to be added, and the slots' next values.
        Update: Signal -> Expr -> Expr list -> Expr * Expr list
    }

/// Schedules as expressions.
[<RequireQualifiedAccess>]
module RateSchedule =

    /// The highest rate.
    let peak (schedule: RateSchedule) : float =
        match schedule with
        | RateSchedule.Constant rate -> rate
        | RateSchedule.WarmupCosine(peak, _) -> peak

    /// The same course with another highest rate.
    let withPeak (peak: float) (schedule: RateSchedule) : RateSchedule =
        match schedule with
        | RateSchedule.Constant _ -> RateSchedule.Constant peak
        | RateSchedule.WarmupCosine(_, warmup) -> RateSchedule.WarmupCosine(peak, warmup)

    /// The rate at a step.
    let rate (schedule: RateSchedule) (signal: Signal) : Expr =
        match schedule with
        | RateSchedule.Constant rate -> Expr.scalar rate
        | RateSchedule.WarmupCosine(peak, warmup) ->
            let first = max 1.0 (Math.Round(warmup * float signal.Steps))
            let rest = max 1.0 (float signal.Steps - first)
            let up = (signal.Step + 1.0) * (peak / first)
            let down = 0.5 * peak * (1.0 + cos ((signal.Step - first) * (Math.PI / rest)))
            Expr.select (Expr.less signal.Step (Expr.scalar first)) up down

/// Making and joining transforms.
[<RequireQualifiedAccess>]
module Transform =

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

        { Slots = [ "mean"; "square" ]; Update = update }

    /// Times minus the rate of a schedule: the last of a chain, and alone gradient descent.
    let schedule (schedule: RateSchedule) : Transform =
        {
            Slots = []
            Update = fun signal g _ -> -(g * RateSchedule.rate schedule signal), []
        }

    /// One transform after the other.
    let chain (transforms: Transform list) : Transform =
        let update (signal: Signal) (g: Expr) (slots: Expr list) : Expr * Expr list =
            let change, _, next =
                ((g, slots, []), transforms)
                ||> List.fold (fun (g, rest, next) t ->
                    let own, others = List.splitAt t.Slots.Length rest
                    let change, after = t.Update signal g own
                    change, others, next @ after)

            change, next

        let names =
            transforms
            |> List.mapi (fun i t -> t.Slots |> List.map (fun slot -> $"{i}.{slot}"))

        { Slots = List.concat names; Update = update }
