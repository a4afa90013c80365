namespace FunLik

/// How a datum is distributed around its expectation, element by element and independently.
[<RequireQualifiedAccess>]
type Distribution =
    /// A count around its mean.
    | Poisson
    /// A normal distribution of given widths around its mean.
    | Normal of sigma: Expr

/// One factor of a likelihood: a datum, its distribution and its expectation.
type Term =
    {
        /// The name of the term and of its datum, unique in its model.
        Name: string
        /// How the datum is distributed.
        Distribution: Distribution
        /// The shape of the datum.
        Shape: Shape
        /// The mean.
        Expectation: Expr
        /// Whether the datum is auxiliary: a constraint on nuisances, not a part of the main measurement.
        IsConstraint: bool
    }

/// A log density over parameters with a support of its own, kept apart from the likelihood.
type Prior =
    {
        /// The name of the block of parameters to which it belongs.
        Block: string
        /// The log density: a scalar.
        LogDensity: Expr
        /// A scalar that is above 0 where the density is zero.
        Violation: Expr
    }

/// Log densities and supports of terms.
[<RequireQualifiedAccess>]
module Term =

    /// The datum as it stands in expressions.
    let datum (term: Term) : Expr =
        Expr.input term.Name (if term.IsConstraint then Role.Auxiliary else Role.Datum) term.Shape

    let private logDensityAt (x: Expr) (term: Term) : Expr =
        match term.Distribution with
        | Distribution.Poisson ->
            Expr.sum (Expr.xlogy x term.Expectation)
            - Expr.sum (Expr.fill term.Shape (Expr.scalar 0.0) + term.Expectation)
            - Expr.sum (Expr.logGamma (x + 1.0))
        | Distribution.Normal sigma ->
            // One over a constant width is computed once.
            let pull = (x - term.Expectation) * (1.0 / sigma)
            let widths = Expr.fill term.Shape (Expr.scalar 0.0) + log sigma

            -0.5 * Expr.sum (pull * pull)
            - Expr.sum widths
            - float (Shape.size term.Shape) * Composite.halfLogTwoPi

    /// The log density of the term, all constants kept: a scalar.
    let logDensity (term: Term) : Expr = logDensityAt (datum term) term

    let private whole (shape: Shape) (e: Expr) : Expr =
        if e.Shape = shape then e else Expr.fill shape e

    /// Terms of so many elements stay alone: loops over them are long enough, and to join them they are written out.
    let private largestJoined = 32

    /// Fewer small terms stay scalars in registers.
    let private fewestJoined = 8

    /// One term in place of several of one distribution: their data and expectations one behind the other.
    let private joined (terms: Term list) : Expr * Term =
        let pieces (part: Term -> Expr) : Expr =
            terms |> List.map (fun t -> whole t.Shape (part t)) |> Expr.concat

        let data = pieces datum

        let sigma (t: Term) : Expr =
            match t.Distribution with
            | Distribution.Normal sigma -> sigma
            | Distribution.Poisson -> Expr.scalar 1.0

        data,
        { terms.Head with
            Shape = data.Shape
            Expectation = pieces _.Expectation
            Distribution =
                match terms.Head.Distribution with
                | Distribution.Poisson -> Distribution.Poisson
                | Distribution.Normal _ -> Distribution.Normal(pieces sigma)
        }

    /// A normal constraint on each parameter of a block, named `BLOCK.constraint`: an auxiliary measurement that found `mean` with
    /// the width `sigma`. With its data.
    let constrainedTo (mean: float) (sigma: float) (block: ParameterBlock) : Term * float[] =
        {
            Name = $"{block.Name}.constraint"
            Distribution = Distribution.Normal(Expr.scalar sigma)
            Shape = block.Shape
            Expectation = ParameterBlock.leaf block
            IsConstraint = true
        },
        Array.create block.Parameters.Length mean

    /// A scalar that is above 0 where the term has no density: a negative mean count.
    let violation (term: Term) : Expr option =
        match term.Distribution with
        | Distribution.Poisson -> Some(Expr.sum (Expr.less term.Expectation (Expr.scalar 0.0)))
        | Distribution.Normal _ -> None

    /// The vector of which an expectation is a piece.
    let private wholeOf (term: Term) : Expr option =
        match term.Expectation.Node with
        | Node.Apply(Op.Gather _, [ vector ]) -> Some vector
        | _ -> None

    /// Parameters and pieces of a vector stand in memory already.
    let private isWritten (term: Term) : bool =
        term.Expectation.Node.IsInput || (wholeOf term).IsSome

    /// The log densities of terms and the scalars that are above 0 where they have none. Terms of one distribution are taken together, so
    /// that many small ones, and pieces of one vector, are one vector operation.
    let together (terms: Term list) : (Expr * Expr option) list =
        let alone (term: Term) = logDensity term, violation term

        let arePieces (group: Term list) : bool =
            match group |> List.map wholeOf |> List.distinctBy (Option.map _.Hash) with
            | [ Some _ ] -> group.Length > 1
            | _ -> false

        let joinable, large =
            terms
            |> List.partition (fun t -> Shape.size t.Shape < largestJoined || isWritten t)

        let groups =
            joinable
            |> List.groupBy _.Distribution.IsPoisson
            |> List.collect (fun (_, same) ->
                if same.Length >= fewestJoined || arePieces same then
                    let data, term = joined same
                    [ logDensityAt data term, violation term ]
                else
                    List.map alone same)

        List.map alone large @ groups

/// Priors.
[<RequireQualifiedAccess>]
module Prior =

    let private flatWhere
        (outside: Expr -> Expr)
        (logDensity: float)
        (block: ParameterBlock)
        : Prior =
        {
            Block = block.Name
            LogDensity = Expr.scalar (float block.Parameters.Length * logDensity)
            Violation = Expr.sum (outside (ParameterBlock.leaf block))
        }

    /// Flat from one value to another, with a given log density there; zero outside, and for NaN.
    let flatWith (logDensity: float) (low: float) (high: float) (block: ParameterBlock) : Prior =
        let far = Expr.scalar (high + (high - low))

        let outside (x: Expr) : Expr =
            // NaN is less than nothing.
            Expr.less x (Expr.scalar low)
            + Expr.less (Expr.scalar high) x
            + (1.0 - Expr.less x far)

        flatWhere outside logDensity block

    /// Flat strictly between two values, with a given log density there; zero at the ends too.
    let flatInside (logDensity: float) (low: float) (high: float) (block: ParameterBlock) : Prior =
        let outside (x: Expr) : Expr =
            (1.0 - Expr.less (Expr.scalar low) x) + (1.0 - Expr.less x (Expr.scalar high))

        flatWhere outside logDensity block

    /// Flat and normalised from one value to another; zero outside.
    let flat (low: float) (high: float) (block: ParameterBlock) : Prior =
        flatWith (-(log (high - low))) low high block

    /// A normal density for each parameter of a block.
    let normal (mean: float) (sigma: float) (block: ParameterBlock) : Prior =
        let x = ParameterBlock.leaf block

        {
            Block = block.Name
            LogDensity =
                Expr.sum (Composite.normalLogDensity x (Expr.scalar mean) (Expr.scalar sigma))
            Violation = Expr.scalar 0.0
        }
