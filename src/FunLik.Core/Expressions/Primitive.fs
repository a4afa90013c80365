namespace FunLik

open System

/// One row of the one table: what an operation is worth, and its derivatives. Nothing else but engines and exchange
/// formats matches on operations.
type Primitive =
    {
        /// The operation.
        Op: Op
        /// Shapes of arguments to the shape of the result.
        ShapeOf: Shape list -> Result<Shape, string>
        /// The oracle's value: shapes and values of the arguments, row-major, to the result's elements. `SumRows` and
        /// `OuterRows` see one row here; the engines add over the rows.
        Value: (Shape * float[]) list -> float[]
        /// Arguments, result and cotangent of the result to the cotangents of the arguments; None where the derivative is
        /// zero everywhere. When true is passed, a cotangent of zero stays zero whatever it is multiplied by, as below a select.
        Vjp: bool -> Expr list -> Expr -> Expr -> Lazy<Expr> option list
        /// Arguments, result and tangents of the arguments (None: zero) to the tangent of the result.
        Jvp: Expr list -> Expr -> Expr option list -> Expr option
    }

/// The table of primitives.
[<RequireQualifiedAccess>]
module Primitive =

    /// A product; below a select one in which a zero of the first factor stays zero.
    let private times (masked: bool) (a: Expr) (b: Expr) : Expr =
        if masked then Expr.apply Op.MaskedMul [ a; b ] else a * b

    /// Brings a value of a broadcast result back to the shape of one argument.
    let private towards (argument: Expr) (value: Expr) : Expr =
        if argument.Shape = Scalar && value.Shape <> Scalar then
            Expr.sum value
        elif argument.Shape <> Scalar && value.Shape = Scalar then
            Expr.fill argument.Shape value
        else
            value

    let private add (terms: Expr option list) : Expr option =
        match terms |> List.choose id with
        | [] -> None
        | first :: rest -> Some(List.fold (fun (a: Expr) b -> a + b) first rest)

    let private ofShape (result: Expr) (value: Expr) : Expr =
        if value.Shape = result.Shape then
            value
        else
            Expr.fill result.Shape value

    let private read (shape: Shape) (values: float[]) (i: int) : float =
        if shape = Scalar then values[0] else values[i]

    let private resultSize (arguments: (Shape * float[]) list) : int =
        arguments |> List.map (fun (s, _) -> Shape.size s) |> List.max

    /// An element-by-element function of one argument and its derivative in argument and result.
    let private unary
        (op: Op)
        (f: float -> float)
        (derivative: Expr -> Expr -> Expr option)
        : Primitive =
        {
            Op = op
            ShapeOf = Build.shapeOf op
            Value =
                function
                | [ (_, x) ] -> Array.map f x
                | _ -> [||]
            Vjp =
                fun masked arguments result y ->
                    [
                        derivative arguments.Head result
                        |> Option.map (fun d -> lazy (times masked y d))
                    ]
            Jvp =
                fun arguments result tangents ->
                    match tangents, derivative arguments.Head result with
                    | [ Some t ], Some d -> Some(t * d)
                    | _ -> None
        }

    /// An element-by-element function of two arguments and its partial derivatives, below a select or not.
    let private binary
        (op: Op)
        (f: float -> float -> float)
        (partials: bool -> Expr -> Expr -> Expr -> (Expr -> Expr) option * (Expr -> Expr) option)
        : Primitive =
        {
            Op = op
            ShapeOf = Build.shapeOf op
            Value =
                fun arguments ->
                    match arguments with
                    | [ (s, x); (t, y) ] ->
                        Array.init (resultSize arguments) (fun i -> f (read s x i) (read t y i))
                    | _ -> [||]
            Vjp =
                fun masked arguments result y ->
                    let a, b = arguments[0], arguments[1]
                    let byA, byB = partials masked a b result
                    let y = ofShape result y

                    [
                        byA |> Option.map (fun d -> lazy (towards a (d y)))
                        byB |> Option.map (fun d -> lazy (towards b (d y)))
                    ]
            Jvp =
                fun arguments result tangents ->
                    let byA, byB = partials false arguments[0] arguments[1] result

                    let term (d: (Expr -> Expr) option) (t: Expr option) : Expr option =
                        Option.map2 (fun d t -> d t) d t

                    add [ term byA tangents[0]; term byB tangents[1] ]
                    |> Option.map (ofShape result)
        }

    /// An operation that is linear in its one argument: the transposed map takes argument, result and cotangent.
    let private linear
        (op: Op)
        (value: Shape -> float[] -> float[])
        (transposed: Expr -> Expr -> Expr -> Expr)
        : Primitive =
        {
            Op = op
            ShapeOf = Build.shapeOf op
            Value =
                function
                | [ (shape, x) ] -> value shape x
                | _ -> [||]
            Vjp = fun _ arguments result y -> [ Some(lazy (transposed arguments.Head result y)) ]
            Jvp =
                fun _ _ tangents ->
                    match tangents with
                    | [ Some t ] -> Some(Expr.apply op [ t ])
                    | _ -> None
        }

    let private twoOverRootPi = 2.0 / sqrt Math.PI

    let private signOf (x: float) : float = if Double.IsNaN x then nan else float (Math.Sign x)

    let private matVecValue (rows: int) (columns: int) (m: float[]) (x: float[]) : float[] =
        Array.init rows (fun i ->
            let mutable total = 0.0

            for j in 0 .. columns - 1 do
                total <- total + m[i * columns + j] * x[j]

            total)

    let private outerValue (arguments: (Shape * float[]) list) : float[] =
        match arguments with
        | [ (_, a); (_, b) ] ->
            [|
                for x in a do
                    for y in b -> x * y
            |]
        | _ -> [||]

    let private outerRow (op: Op) : Primitive =
        let again (a: Expr) (b: Expr) : Expr =
            if op.IsOuterRows then
                Expr.outerRows a b
            else
                Expr.apply op [ a; b ]

        {
            Op = op
            ShapeOf = Build.shapeOf op
            Value = outerValue
            Vjp =
                fun _ arguments _ y ->
                    let a, b = arguments[0], arguments[1]

                    // Over rows that are all the same the sum is the number of rows times one.
                    let y =
                        if op.IsOuterRows && not a.IsRow && not b.IsRow then
                            y * Expr.rowCount
                        else
                            y

                    [ Some(lazy (Expr.matVec y b)); Some(lazy (Expr.matVec (Expr.transpose y) a)) ]
            Jvp =
                fun arguments _ tangents ->
                    add
                        [
                            tangents[0] |> Option.map (fun t -> again t arguments[1])
                            tangents[1] |> Option.map (fun t -> again arguments[0] t)
                        ]
        }

    let private logSumExpValue (x: float[]) : float =
        let top = Array.max x

        if Double.IsInfinity top || Double.IsNaN top then
            if x |> Array.exists Double.IsNaN then nan else top
        else
            top + log (x |> Array.sumBy (fun v -> exp (v - top)))

    let private concatParts (arguments: Expr list) (y: Expr) : Lazy<Expr> option list =
        arguments
        |> List.mapFold
            (fun first (a: Expr) ->
                let next = first + Shape.size a.Shape

                match a.Shape with
                | Scalar -> Some(lazy (Expr.item first y)), next
                | shape -> Some(lazy (Expr.slice first (Shape.size shape) y)), next)
            0
        |> fst

    /// The row of an operation.
    let row (op: Op) : Primitive =
        match op with
        | Op.Neg -> unary op (~-) (fun _ _ -> Some(Expr.scalar -1.0))
        | Op.Abs -> unary op abs (fun a _ -> Some(Expr.sign a))
        | Op.Sign -> unary op signOf (fun _ _ -> None)
        | Op.Sqrt -> unary op sqrt (fun _ r -> Some(0.5 / r))
        | Op.Exp -> unary op exp (fun _ r -> Some r)
        | Op.Log -> unary op log (fun a _ -> Some(1.0 / a))
        | Op.Log1p -> unary op Special.log1p (fun a _ -> Some(1.0 / (1.0 + a)))
        | Op.Expm1 -> unary op Special.expm1 (fun _ r -> Some(r + 1.0))
        | Op.Tanh -> unary op tanh (fun _ r -> Some(1.0 - r * r))
        | Op.Sin -> unary op sin (fun a _ -> Some(cos a))
        | Op.Cos -> unary op cos (fun a _ -> Some(-(sin a)))
        | Op.Erf -> unary op Special.erf (fun a _ -> Some(twoOverRootPi * exp (-(a * a))))
        | Op.LogGamma ->
            unary op Special.logGamma (fun a _ -> Some(Expr.apply (Op.Polygamma 0) [ a ]))
        | Op.Polygamma order ->
            unary op (Special.polygamma order) (fun a _ ->
                Some(Expr.apply (Op.Polygamma(order + 1)) [ a ]))
        | Op.Power 0 -> unary op (fun _ -> 1.0) (fun _ _ -> None)
        | Op.Power 1 -> unary op id (fun _ _ -> Some(Expr.scalar 1.0))
        | Op.Power n -> unary op (Special.power n) (fun a _ -> Some(float n * Expr.power (n - 1) a))
        | Op.Add -> binary op (+) (fun _ _ _ _ -> Some id, Some id)
        | Op.Sub -> binary op (-) (fun _ _ _ _ -> Some id, Some (~-))
        | Op.Mul ->
            binary op (*) (fun masked a b _ ->
                Some(fun t -> times masked t b), Some(fun t -> times masked t a))
        | Op.MaskedMul ->
            let value (x: float) (y: float) : float = if x = 0.0 then 0.0 else x * y

            binary op value (fun masked a b _ ->
                // Below a select either factor may be the zero of a branch that was not taken.
                let byA (t: Expr) : Expr =
                    if masked then
                        Expr.select b (times true t b) (Expr.scalar 0.0)
                    else
                        times true t b

                Some byA, Some(times true a))
        | Op.Div ->
            binary op (/) (fun masked _ b r ->
                Some(fun t -> times masked t (1.0 / b)), Some(fun t -> -(times masked t (r / b))))
        | Op.XLogY ->
            binary op Special.xlogy (fun masked x y _ ->
                Some(fun t -> times masked t (log y)),
                Some(fun t -> times true x (times masked t (1.0 / y))))
        | Op.Less -> binary op (fun a b -> if a < b then 1.0 else 0.0) (fun _ _ _ _ -> None, None)
        | Op.Select ->
            let zero = Expr.scalar 0.0

            {
                Op = op
                ShapeOf = Build.shapeOf op
                Value =
                    fun arguments ->
                        match arguments with
                        | [ (r, c); (s, x); (t, y) ] ->
                            Array.init (resultSize arguments) (fun i ->
                                if read r c i <> 0.0 then read s x i else read t y i)
                        | _ -> [||]
                Vjp =
                    fun _ arguments _ y ->
                        let c = arguments[0]

                        [
                            None
                            Some(lazy (towards arguments[1] (Expr.select c y zero)))
                            Some(lazy (towards arguments[2] (Expr.select c zero y)))
                        ]
                Jvp =
                    fun arguments result tangents ->
                        let orZero = Option.defaultValue zero

                        match tangents[1], tangents[2] with
                        | None, None -> None
                        | t, u ->
                            Some(ofShape result (Expr.select arguments[0] (orZero t) (orZero u)))
            }
        | Op.Sum -> linear op (fun _ x -> [| Array.sum x |]) (fun a _ y -> Expr.fill a.Shape y)
        | Op.LogSumExp ->
            let weights (a: Expr) (r: Expr) : Expr = exp (a - r)

            {
                Op = op
                ShapeOf = Build.shapeOf op
                Value =
                    function
                    | [ (_, x) ] -> [| logSumExpValue x |]
                    | _ -> [||]
                Vjp =
                    fun masked arguments r y ->
                        let y = Expr.fill arguments.Head.Shape y
                        [ Some(lazy (times masked y (weights arguments.Head r))) ]
                Jvp =
                    fun arguments r tangents ->
                        tangents.Head
                        |> Option.map (fun t -> Expr.sum (t * weights arguments.Head r))
            }
        | Op.Fill shape ->
            linear op (fun _ x -> Array.create (Shape.size shape) x[0]) (fun _ _ y -> Expr.sum y)
        | Op.Gather indices ->
            linear op (fun _ x -> indices |> Array.map (fun i -> x[i])) (fun a _ y ->
                Expr.scatterAdd indices (Shape.size a.Shape) y)
        | Op.ScatterAdd(indices, length) ->
            let value (x: float[]) : float[] =
                let result = Array.zeroCreate length
                indices |> Array.iteri (fun i k -> result[k] <- result[k] + x[i])
                result

            linear op (fun _ x -> value x) (fun _ _ y -> Expr.gather indices y)
        | Op.Concat ->
            {
                Op = op
                ShapeOf = Build.shapeOf op
                Value = fun arguments -> arguments |> List.map snd |> Array.concat
                Vjp = fun _ arguments _ y -> concatParts arguments y
                Jvp =
                    fun arguments _ tangents ->
                        if tangents |> List.forall Option.isNone then
                            None
                        else
                            List.map2
                                (fun (a: Expr) t ->
                                    t |> Option.defaultWith (fun () -> Expr.full a.Shape 0.0))
                                arguments
                                tangents
                            |> Expr.concat
                            |> Some
            }
        | Op.MatVec ->
            {
                Op = op
                ShapeOf = Build.shapeOf op
                Value =
                    function
                    | [ (Matrix(rows, columns), m); (_, x) ] -> matVecValue rows columns m x
                    | _ -> [||]
                Vjp =
                    fun masked arguments _ y ->
                        let m, x = arguments[0], arguments[1]

                        let unlessZero (value: Expr) : Expr =
                            if masked then
                                Expr.select (Expr.sum (abs y)) value (Expr.scalar 0.0)
                            else
                                value

                        let outer () : Expr =
                            if x.IsRow || y.IsRow then
                                Expr.outerRows y (unlessZero x)
                            else
                                Expr.apply Op.Outer [ y; unlessZero x ]

                        [
                            Some(lazy (outer ()))
                            Some(lazy (unlessZero (Expr.matVec (Expr.transpose m) y)))
                        ]
                Jvp =
                    fun arguments _ tangents ->
                        add
                            [
                                tangents[0] |> Option.map (fun t -> Expr.matVec t arguments[1])
                                tangents[1] |> Option.map (fun t -> Expr.matVec arguments[0] t)
                            ]
            }
        | Op.Transpose ->
            let value (shape: Shape) (m: float[]) : float[] =
                match shape with
                | Matrix(rows, columns) ->
                    Array.init m.Length (fun k -> m[(k % rows) * columns + k / rows])
                | _ -> m

            linear op value (fun _ _ y -> Expr.transpose y)
        | Op.SparseVec m ->
            let value (x: float[]) : float[] =
                Array.init m.Rows (fun i ->
                    let mutable total = 0.0

                    for k in m.RowStart[i] .. m.RowStart[i + 1] - 1 do
                        total <- total + m.Values[k] * x[m.ColumnOf[k]]

                    total)

            linear op (fun _ x -> value x) (fun _ _ y -> Expr.sparse m.Transposed y)
        | Op.SumRows ->
            linear op (fun _ x -> x) (fun a _ y -> if a.IsRow then y else y * Expr.rowCount)
        | Op.Outer
        | Op.OuterRows -> outerRow op

    let private pattern =
        SparseMatrix(3, 4, [| 0; 2; 2; 5 |], [| 0; 2; 1; 2; 3 |], [| 1.5; -2.0; 0.5; 3.0; -1.0 |])

    /// Every operation once, those with a parameter with an example of it: what the laws run over.
    let all: Primitive list =
        [
            Op.Neg
            Op.Abs
            Op.Sign
            Op.Sqrt
            Op.Exp
            Op.Log
            Op.Log1p
            Op.Expm1
            Op.Tanh
            Op.Sin
            Op.Cos
            Op.Erf
            Op.LogGamma
            Op.Polygamma 0
            Op.Polygamma 1
            Op.Polygamma 3
            Op.Power 0
            Op.Power 1
            Op.Power 2
            Op.Power 5
            Op.Power -1
            Op.Power -2
            Op.Add
            Op.Sub
            Op.Mul
            Op.MaskedMul
            Op.Div
            Op.XLogY
            Op.Less
            Op.Select
            Op.Sum
            Op.LogSumExp
            Op.Fill(Vector 4)
            Op.Gather [| 3; 0; 0; 2 |]
            Op.Gather [| 1; 2 |]
            Op.ScatterAdd([| 4; 1; 1; 0 |], 5)
            Op.Concat
            Op.MatVec
            Op.Transpose
            Op.Outer
            Op.SparseVec pattern
            Op.SumRows
            Op.OuterRows
        ]
        |> List.map row
