namespace FunLik

/// The smallest fall of a loss that counts as one.
[<RequireQualifiedAccess>]
type Gain =
    /// So much, in the loss's own units; 0 counts every fall.
    | Absolute of float
    /// So much, divided by the number of training points.
    | OverPoints of float

/// Training stops when so many epochs in a row have brought no gain.
type EarlyStopping = { Patience: int; Gain: Gain }

/// The smallest loss that counted, and the epochs since.
[<Struct>]
type Waiting = { Least: float; Epochs: int }

/// What is known at the end of an epoch.
type EpochSignal =
    {
        /// The validation loss.
        Loss: float
        /// The number of training points.
        Points: int
    }

/// Noticing that a loss has stopped falling.
[<RequireQualifiedAccess>]
module Waiting =

    /// Before the first epoch.
    let start: Waiting = { Least = infinity; Epochs = 0 }

    /// After one more epoch.
    let after (gain: Gain) (signal: EpochSignal) (waiting: Waiting) : Waiting =
        let least =
            match gain with
            | Gain.Absolute g -> g
            | Gain.OverPoints g -> g / float signal.Points

        if signal.Loss < waiting.Least - least then
            { Least = signal.Loss; Epochs = 0 }
        else
            { waiting with Epochs = waiting.Epochs + 1 }
