namespace FunLik.Tests

open System
open FunLik

/// An argument of a function under test: its shape, and its values as a function of a uniform number.
type Argument = { Shape: Shape; At: float -> float }

/// A function under test: a primitive or a composite over arguments of some shapes.
type Subject =
    {
        Name: string
        Arguments: Argument list
        Build: Expr list -> Expr
        /// Whether it only adds up products of its arguments: rounding is then relative to the sum of their sizes.
        AddsUp: bool
        /// Whether its arguments must be shared by all rows.
        OnlyShared: bool
    }

/// The table of all primitives and composites, with arguments for which they have derivatives.
[<RequireQualifiedAccess>]
module Subjects =

    /// All ways to choose one of several things for each place.
    let rec choices (options: 'T list list) : 'T list list =
        match options with
        | [] -> [ [] ]
        | first :: rest ->
            [
                for choice in first do
                    for others in choices rest -> choice :: others
            ]

    let private between (low: float) (high: float) (u: float) : float = low + (high - low) * u

    /// Away from zero, of both signs.
    let private signed (low: float) (high: float) (u: float) : float =
        if u < 0.5 then
            -(between low high (2.0 * u))
        else
            between low high (2.0 * u - 1.0)

    /// Numbers on a grid, so that two arguments of a comparison keep their distance.
    let private onGrid (offset: float) (u: float) : float = floor (between -4.0 4.0 u) + offset

    let private condition (u: float) : float =
        if u < 0.4 then 0.0
        elif u < 0.8 then 1.0
        else -2.0

    let private anything = between -3.0 3.0

    let private elementwise (domains: (float -> float) list) : Argument list list =
        let shapes =
            match domains.Length with
            | 1 -> [ [ Scalar ]; [ Vector 5 ]; [ Matrix(2, 3) ] ]
            | 2 ->
                [
                    [ Scalar; Scalar ]
                    [ Vector 5; Vector 5 ]
                    [ Scalar; Vector 5 ]
                    [ Vector 5; Scalar ]
                    [ Matrix(2, 3); Matrix(2, 3) ]
                ]
            | _ ->
                [
                    [ Scalar; Scalar; Scalar ]
                    [ Vector 4; Vector 4; Vector 4 ]
                    [ Scalar; Vector 4; Vector 4 ]
                    [ Vector 4; Scalar; Vector 4 ]
                    [ Vector 4; Vector 4; Scalar ]
                    [ Vector 4; Scalar; Scalar ]
                ]

        shapes
        |> List.map (fun s -> List.map2 (fun shape at -> { Shape = shape; At = at }) s domains)

    let private arguments (op: Op) : Argument list list =
        let of' (shapes: Shape list) : Argument list =
            shapes |> List.map (fun shape -> { Shape = shape; At = anything })

        match op with
        | Op.Neg
        | Op.Exp
        | Op.Expm1
        | Op.Tanh
        | Op.Sin
        | Op.Cos
        | Op.Erf -> elementwise [ anything ]
        | Op.Abs
        | Op.Sign -> elementwise [ signed 0.2 3.0 ]
        | Op.Sqrt
        | Op.Log -> elementwise [ between 0.1 5.0 ]
        | Op.Log1p -> elementwise [ between -0.9 4.0 ]
        | Op.LogGamma -> elementwise [ between 0.3 30.0 ]
        | Op.Polygamma _ -> elementwise [ between 0.9 20.0 ]
        | Op.Power n when n < 0 -> elementwise [ signed 0.5 3.0 ]
        | Op.Power _ -> elementwise [ anything ]
        | Op.Add
        | Op.Sub
        | Op.Mul
        | Op.MaskedMul -> elementwise [ anything; anything ]
        | Op.Div -> elementwise [ anything; signed 0.3 3.0 ]
        | Op.XLogY -> elementwise [ between 0.1 4.0; between 0.1 5.0 ]
        | Op.Less -> elementwise [ onGrid 0.0; onGrid 0.5 ]
        | Op.Select -> elementwise [ condition; anything; anything ]
        | Op.Sum
        | Op.LogSumExp -> [ of' [ Scalar ]; of' [ Vector 6 ]; of' [ Matrix(2, 3) ] ]
        | Op.Fill _ -> [ of' [ Scalar ] ]
        | Op.Gather indices -> [ of' [ Vector(Array.max indices + 2) ] ]
        | Op.ScatterAdd(indices, _) -> [ of' [ Vector indices.Length ] ]
        | Op.Concat ->
            [ of' [ Vector 3 ]; of' [ Vector 2; Scalar; Vector 3 ]; of' [ Scalar; Scalar ] ]
        | Op.MatVec -> [ of' [ Matrix(3, 4); Vector 4 ]; of' [ Matrix(20, 17); Vector 17 ] ]
        | Op.Transpose -> [ of' [ Matrix(3, 4) ] ]
        | Op.Outer
        | Op.OuterRows -> [ of' [ Vector 3; Vector 4 ]; of' [ Vector 17; Vector 5 ] ]
        | Op.SparseVec m -> [ of' [ Vector m.Columns ] ]
        | Op.SumRows -> [ of' [ Scalar ]; of' [ Vector 3 ] ]

    let private addsUp (op: Op) : bool =
        match op with
        | Op.Add
        | Op.Sub
        | Op.Sum
        | Op.ScatterAdd _
        | Op.MatVec
        | Op.Outer
        | Op.OuterRows
        | Op.SparseVec _
        | Op.SumRows -> true
        | _ -> false

    let private describe (name: string) (arguments: Argument list) : string =
        let shapes = arguments |> List.map (fun a -> Shape.describe a.Shape)
        $"""{name}({String.concat ", " shapes})"""

    let primitives: Subject list =
        [
            for primitive in Primitive.all do
                for arguments in arguments primitive.Op do
                    {
                        Name = describe (string primitive.Op) arguments
                        Arguments = arguments
                        Build = Expr.apply primitive.Op
                        AddsUp = addsUp primitive.Op
                        OnlyShared = primitive.Op.IsOuter
                    }
        ]

    let private composite name domains (build: Expr list -> Expr) : Subject list =
        elementwise domains
        |> List.map (fun arguments ->
            {
                Name = describe name arguments
                Arguments = arguments
                Build = build
                AddsUp = false
                OnlyShared = false
            })

    let private of1 (f: Expr -> Expr) (arguments: Expr list) : Expr = f arguments[0]
    let private of2 f (arguments: Expr list) : Expr = f arguments[0] arguments[1]

    let activations: Subject list =
        Composite.activations
        |> List.collect (fun (name, f) -> composite name [ signed 0.05 4.0 ] (of1 f))

    let composites: Subject list =
        [
            yield! activations
            yield! composite "maximum" [ onGrid 0.0; onGrid 0.5 ] (of2 Composite.maximum)
            yield! composite "minimum" [ onGrid 0.0; onGrid 0.5 ] (of2 Composite.minimum)
            yield!
                composite "normal" [ anything; anything; between 0.5 2.0 ] (fun a ->
                    Composite.normalLogDensity a[0] a[1] a[2])
            yield! composite "standardNormal" [ anything ] (of1 Composite.standardNormalLogDensity)
            yield!
                composite
                    "poisson"
                    [ between 0.5 20.0; between 0.5 20.0 ]
                    (of2 Composite.poissonLogDensity)

            for n in [ 1; 2; 3; 7; 8; 33 ] do
                {
                    Name = $"product of {n}"
                    Arguments = [ { Shape = Vector n; At = signed 0.5 1.5 } ]
                    Build = of1 Composite.product
                    AddsUp = false
                    OnlyShared = false
                }
        ]

    let all: Subject list = primitives @ composites

    /// The name of argument k.
    let name (k: int) : string = $"x{k}"

    /// The roles that arguments can have: rows, or shared by all of them.
    let roles (subject: Subject) : Role list list =
        subject.Arguments
        |> List.map (fun a ->
            if subject.OnlyShared || a.Shape.IsMatrix then
                [ Role.Weight ]
            else
                [ Role.Parameter; Role.Weight ])
        |> choices

    /// The subject over inputs named by `name`, with a role for each.
    let over (roles: Role list) (subject: Subject) : Expr list * Expr =
        let inputs =
            List.mapi2 (fun k role (a: Argument) -> Expr.input (name k) role a.Shape) roles
            <| subject.Arguments

        inputs, subject.Build inputs

    /// Values of an argument for some rows.
    let values (key: Key) (rows: int) (argument: Argument) : float[] =
        key |> Key.uniforms (rows * Shape.size argument.Shape) |> Array.map argument.At
