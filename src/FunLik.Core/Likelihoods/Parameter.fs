namespace FunLik

/// What a parameter is there for.
[<RequireQualifiedAccess>]
type ParameterKind =
    /// A parameter of interest.
    | Poi
    /// A nuisance parameter.
    | Nuisance

/// One parameter of a model.
type ModelParameter =
    {
        /// The name, unique in its model.
        Name: string
        /// Parameter of interest, or nuisance.
        Kind: ParameterKind
        /// Lowest and highest value that a fit may take; infinite where there is none. Bounds never change a density.
        Bounds: struct (float * float)
        /// The value at which fits start.
        Nominal: float
        /// A range that covers the interesting values: for scans, boxes and further starts.
        Range: struct (float * float)
        /// The unit, or an empty text.
        Unit: string
        /// Whether the density has a kink at the nominal value: fits then start on both sides of it.
        IsKinked: bool
    }

/// An end of what a fit may take.
[<RequireQualifiedAccess>]
type BoundSide =
    /// The lowest value.
    | Lower
    /// The highest value.
    | Upper

/// A bound of one parameter.
type ParameterBound =
    {
        /// The parameter.
        Parameter: string
        /// Which of its bounds.
        Side: BoundSide
        /// The value that a fit may not pass.
        Value: float
    }

/// Making parameters.
[<RequireQualifiedAccess>]
module ModelParameter =

    /// A parameter without bounds.
    let create (name: string) (kind: ParameterKind) (nominal: float) : ModelParameter =
        {
            Name = name
            Kind = kind
            Bounds = struct (-infinity, infinity)
            Nominal = nominal
            Range = struct (nominal - 5.0, nominal + 5.0)
            Unit = ""
            IsKinked = false
        }

    /// The same parameter with bounds, which are its range too.
    let bounded (low: float) (high: float) (parameter: ModelParameter) : ModelParameter =
        { parameter with Bounds = struct (low, high); Range = struct (low, high) }

/// Parameters that stand in expressions as one scalar or one vector.
type ParameterBlock =
    {
        /// The name of the input.
        Name: string
        /// Scalar, or a vector with one element a parameter.
        Shape: Shape
        /// The parameters, in order.
        Parameters: ModelParameter[]
    }

/// Making blocks of parameters.
[<RequireQualifiedAccess>]
module ParameterBlock =

    /// A block of one parameter.
    let ofParameter (parameter: ModelParameter) : ParameterBlock =
        { Name = parameter.Name; Shape = Scalar; Parameters = [| parameter |] }

    /// A block of parameters as a vector.
    let ofVector (name: string) (parameters: ModelParameter[]) : ParameterBlock =
        { Name = name; Shape = Vector parameters.Length; Parameters = parameters }

    /// The block as it stands in expressions.
    let leaf (block: ParameterBlock) : Expr = Expr.parameter block.Name block.Shape
