namespace FunLik

/// Two places between which a function changes its sign.
type Bracket =
    {
        /// The lower place.
        Low: float
        /// The function there, or a part of it.
        AtLow: float
        /// The upper place.
        High: float
        /// The function there, or a part of it.
        AtHigh: float
        /// Which place moved last: 1 the lower, -1 the upper, 0 none yet.
        Side: int
    }

/// Roots of many functions at once: every round asks for one value of each.
[<RequireQualifiedAccess>]
module Bracket =

    /// A bracket from two places and the function there, of which just one is above 0.
    let create (low: float) (atLow: float) (high: float) (atHigh: float) : Bracket =
        { Low = low; AtLow = atLow; High = high; AtHigh = atHigh; Side = 0 }

    /// The next place to look at: false position with halved ends (the Illinois rule), and the middle where that stands still.
    let next (b: Bracket) : float =
        let x = (b.Low * b.AtHigh - b.High * b.AtLow) / (b.AtHigh - b.AtLow)

        if x > b.Low && x < b.High then
            x
        else
            0.5 * (b.Low + b.High)

    /// The bracket with the function known at one more place inside.
    let narrowed (x: float) (value: float) (b: Bracket) : Bracket =
        if (value > 0.0) = (b.AtLow > 0.0) then
            { b with
                Low = x
                AtLow = value
                AtHigh = if b.Side = 1 then 0.5 * b.AtHigh else b.AtHigh
                Side = 1
            }
        else
            { b with
                High = x
                AtHigh = value
                AtLow = if b.Side = -1 then 0.5 * b.AtLow else b.AtLow
                Side = -1
            }

    /// The place that is nearer to the root.
    let root (b: Bracket) : float = if abs b.AtLow <= abs b.AtHigh then b.Low else b.High

    /// Narrows brackets in lockstep until each is at most `tolerance` wide or has met its root, in at most `rounds` rounds.
    /// `evaluate` is given the open brackets' indices and places, and answers the functions there.
    let narrow
        (tolerance: Bracket -> float)
        (rounds: int)
        (evaluate: (int * float)[] -> float[])
        (brackets: Bracket[])
        : Bracket[] =
        let isOpen (b: Bracket) : bool =
            b.High - b.Low > tolerance b && b.AtLow <> 0.0 && b.AtHigh <> 0.0

        let rec go (round: int) (brackets: Bracket[]) : Bracket[] =
            let places =
                brackets
                |> Array.indexed
                |> Array.filter (snd >> isOpen)
                |> Array.map (fun (k, b) -> k, next b)

            if places.Length = 0 || round = rounds then
                brackets
            else
                let after = Array.copy brackets

                Array.iter2
                    (fun (k, x) value -> after[k] <- narrowed x value brackets[k])
                    places
                    (evaluate places)

                go (round + 1) after

        go 0 brackets
