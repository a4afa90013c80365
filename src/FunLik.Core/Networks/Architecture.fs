namespace FunLik

/// One layer of a network: a function from vectors to vectors.
[<RequireQualifiedAccess>]
type Layer =
    /// (x - mean) / scale, element by element, with fixed numbers.
    | Standardise of mean: float[] * scale: float[]
    /// matrix · x + offset with fixed numbers: whitening, or a choice of directions.
    | LinearMap of rows: float[][] * offset: float[]
    /// The inputs, followed by their products x_i x_j for i <= j.
    | QuadraticFeatures
    /// The elements at these places, one behind the other; places may come more than once.
    | Choose of places: int[]
    /// Trained weights times the input, plus trained biases.
    | Dense of width: int
    /// A function of each element: a name in `Composite.activations`, or `abs`.
    | Activation of name: string
    /// Branches over one input whose outputs are added. A branch without layers is the input.
    | Parallel of Layer list list
    /// Branches over one input whose outputs are multiplied, element by element.
    | Product of Layer list list
    /// Branches over one input whose outputs stand one behind the other.
    | Join of Layer list list

/// A network as data: what is made of it are interpreters. A width of 1 is a scalar in expressions.
type Architecture =
    {
        /// The number of inputs.
        Inputs: int
        /// The layers in order.
        Layers: Layer list
    }

/// One array of trained numbers.
type WeightShape =
    {
        /// The name, from the place in the network: `2.weight`, `2.1.0.bias`.
        Name: string
        /// The shape in expressions: outputs x inputs for weights, with axes of 1 left out.
        Shape: Shape
        /// The numbers that one output adds up.
        FanIn: int
        /// The outputs.
        FanOut: int
        /// Whether it is a bias.
        IsBias: bool
        /// Whether no trained layer follows.
        IsOutput: bool
    }

/// Trained numbers by name.
type Weights = Map<string, float32[]>

/// Putting layers behind one another.
[<AutoOpen>]
module ArchitectureOperators =

    /// The layers of the first network, then those of the second.
    let (-->) (first: Layer list) (second: Layer list) : Layer list = first @ second

/// Making and interpreting networks.
[<RequireQualifiedAccess>]
module Architecture =

    /// A dense layer.
    let dense (width: int) : Layer list = [ Layer.Dense width ]

    /// An activation by name.
    let activation (name: string) : Layer list = [ Layer.Activation name ]

    /// Branches that are added.
    let parallel' (branches: Layer list list) : Layer list = [ Layer.Parallel branches ]

    /// Branches whose outputs stand one behind the other.
    let join (branches: Layer list list) : Layer list = [ Layer.Join branches ]

    let private functions: Map<string, Expr -> Expr> =
        Map.ofList (("abs", abs) :: Composite.activations)

    /// The names of activations.
    let activationNames: string list = functions |> Map.keys |> List.ofSeq

    let private place (path: string) (index: int) : string =
        if path = "" then string index else $"{path}.{index}"

    /// The width behind a layer of a given input width, and what is wrong with it.
    let rec private widthAfter (path: string) (width: int) (layer: Layer) : int * Error list =
        let mistake (kind: ErrorKind) (message: string) (found: string) (expected: string) =
            [
                Error.make kind message
                |> Error.at $"layer {path}"
                |> Error.found found
                |> Error.expected expected
            ]

        let wrongLength (what: string) (length: int) (expected: int) : Error list =
            if length = expected then
                []
            else
                mistake ErrorKind.Shape what $"{length} numbers" $"{expected} numbers"

        match layer with
        | Layer.Standardise(mean, scale) ->
            let zeros = scale |> Array.filter (fun s -> not (s > 0.0)) |> Array.length

            width,
            wrongLength "the means of a standardisation" mean.Length width
            @ wrongLength "the scales of a standardisation" scale.Length width
            @ (if zeros > 0 then
                   mistake
                       ErrorKind.Value
                       "the scales of a standardisation"
                       $"{zeros} that are not positive"
                       "positive numbers"
               else
                   [])
        | Layer.LinearMap(rows, offset) ->
            offset.Length,
            wrongLength "the rows of a linear map" rows.Length offset.Length
            @ (rows
               |> Array.tryFind (fun r -> r.Length <> width)
               |> Option.map (fun r -> wrongLength "a row of a linear map" r.Length width)
               |> Option.defaultValue [])
        | Layer.QuadraticFeatures -> width + width * (width + 1) / 2, []
        | Layer.Choose places ->
            let wrong = places |> Array.filter (fun k -> k < 0 || k >= width)

            max 1 places.Length,
            (if places.Length = 0 then
                 mistake ErrorKind.Shape "the places of a choice" "none" "one or more"
             elif wrong.Length > 0 then
                 mistake ErrorKind.Value "the places of a choice" $"{wrong[0]}" $"0 to {width - 1}"
             else
                 [])
        | Layer.Dense w when w < 1 ->
            1, mistake ErrorKind.Value "the width of a dense layer" $"{w}" "1 or more"
        | Layer.Dense w -> w, []
        | Layer.Activation name ->
            width,
            (if functions.ContainsKey name then
                 []
             else
                 mistake
                     ErrorKind.Name
                     "the activation is not known"
                     name
                     (String.concat ", " activationNames))
        | Layer.Parallel branches
        | Layer.Product branches
        | Layer.Join branches ->
            let ends = branches |> List.mapi (fun i b -> widthOf (place path i) width b)

            let widths, errors = ends |> List.map fst, ends |> List.collect snd

            match layer, List.distinct widths with
            | _, [] ->
                width, mistake ErrorKind.Schema "a layer of branches" "no branch" "at least one"
            | Layer.Join _, _ -> List.sum widths, errors
            | _, [ common ] -> common, errors
            | _, several ->
                several.Head,
                errors
                @ mistake
                    ErrorKind.Shape
                    "branches that are added or multiplied end with different widths"
                    (widths |> List.map string |> String.concat ", ")
                    "one width"

    and private widthOf (path: string) (width: int) (layers: Layer list) : int * Error list =
        (((width, []), 0), layers)
        ||> List.fold (fun ((before, errors), index) layer ->
            let after, more = widthAfter (place path index) before layer
            (after, errors @ more), index + 1)
        |> fst

    /// A network of these layers; all that does not go together is reported at once.
    let create (inputs: int) (layers: Layer list) : Result<Architecture, Error list> =
        let count =
            if inputs < 1 then
                [
                    Error.make ErrorKind.Value "the inputs of a network"
                    |> Error.found $"{inputs}"
                    |> Error.expected "1 or more"
                ]
            else
                []

        match count @ snd (widthOf "" (max 1 inputs) layers) with
        | [] -> Ok { Inputs = inputs; Layers = layers }
        | errors -> Result.Error errors

    /// The number of outputs.
    let outputs (network: Architecture) : int = fst (widthOf "" network.Inputs network.Layers)

    let private shapeOf (rows: int) (columns: int) : Shape =
        match rows, columns with
        | 1, 1 -> Scalar
        | 1, n
        | n, 1 -> Vector n
        | _ -> Matrix(rows, columns)

    /// A matrix of rows x columns, whose axes of 1 are left out, times a vector.
    let private product (rows: int) (columns: int) (matrix: Expr) (x: Expr) : Expr =
        if columns = 1 then matrix * x
        elif rows = 1 then Expr.dot matrix x
        else Expr.matVec matrix x

    let private constant (rows: float[][]) (columns: int) : Expr =
        let values = Array.concat rows

        match shapeOf rows.Length columns with
        | Scalar -> Expr.scalar values[0]
        | Vector _ -> Expr.vector values
        | Matrix(r, c) -> Expr.matrix r c values

    let private denseWeights
        (path: string)
        (inputs: int)
        (width: int)
        (isOutput: bool)
        : WeightShape * WeightShape =
        let weight =
            {
                Name = $"{path}.weight"
                Shape = shapeOf width inputs
                FanIn = inputs
                FanOut = width
                IsBias = false
                IsOutput = isOutput
            }

        weight, { weight with Name = $"{path}.bias"; Shape = shapeOf width 1; IsBias = true }

    let rec private hasDense (layer: Layer) : bool =
        match layer with
        | Layer.Dense _ -> true
        | Layer.Parallel branches
        | Layer.Product branches
        | Layer.Join branches -> branches |> List.exists (List.exists hasDense)
        | _ -> false

    /// Takes `weight` for each trained array in order; all interpreters are made of this.
    let rec private run
        (path: string)
        (isLast: bool)
        (weight: WeightShape -> Expr)
        (layers: Layer list)
        (x: Expr)
        : Expr =
        let width (e: Expr) : int = Shape.size e.Shape

        let step (index: int) (x: Expr) (layer: Layer) : Expr =
            let here = place path index
            let isTail = isLast && not (layers |> List.skip (index + 1) |> List.exists hasDense)

            match layer with
            | Layer.Standardise(mean, scale) ->
                if width x = 1 then
                    (x - mean[0]) * (1.0 / scale[0])
                else
                    (x - mean) * (scale |> Array.map (fun s -> 1.0 / s))
            | Layer.LinearMap(rows, offset) ->
                let columns = width x

                product rows.Length columns (constant rows columns) x
                + constant (offset |> Array.map Array.singleton) 1
            | Layer.QuadraticFeatures ->
                let n = width x

                if n = 1 then
                    Expr.concat [ x; x * x ]
                else
                    let pairs =
                        [|
                            for i in 0 .. n - 1 do
                                for j in i .. n - 1 -> i, j
                        |]

                    Expr.concat
                        [
                            x
                            Expr.gather (Array.map fst pairs) x
                            * Expr.gather (Array.map snd pairs) x
                        ]
            | Layer.Choose [| place |] -> if width x = 1 then x else Expr.item place x
            | Layer.Choose places ->
                // A scalar is chosen several times.
                Expr.gather places (if width x = 1 then Expr.concat [ x ] else x)
            | Layer.Dense w ->
                let matrix, bias = denseWeights here (width x) w isTail
                product matrix.FanOut matrix.FanIn (weight matrix) x + weight bias
            | Layer.Activation name -> functions[name] x
            | Layer.Parallel branches ->
                branches
                |> List.mapi (fun i b -> run (place here i) isTail weight b x)
                |> List.reduce (fun (a: Expr) b -> a + b)
            | Layer.Product branches ->
                branches
                |> List.mapi (fun i b -> run (place here i) isTail weight b x)
                |> List.reduce (fun (a: Expr) b -> a * b)
            | Layer.Join [ branch ] -> run (place here 0) isTail weight branch x
            | Layer.Join branches ->
                branches
                |> List.mapi (fun i b -> run (place here i) isTail weight b x)
                |> Expr.concat

        ((x, 0), layers)
        ||> List.fold (fun (value, index) layer -> step index value layer, index + 1)
        |> fst

    /// The network over an input, a vector of its width (a scalar where that is 1). `weight` gives the leaf or the constant of
    /// each trained array.
    let toExpr (weight: WeightShape -> Expr) (x: Expr) (network: Architecture) : Expr =
        run "" true weight network.Layers x

    /// The trained arrays, in the order of the network.
    let weights (network: Architecture) : WeightShape list =
        let found = System.Collections.Generic.List<WeightShape>()

        let note (shape: WeightShape) : Expr =
            found.Add shape
            Expr.weight shape.Name shape.Shape

        toExpr note (Expr.datum "x" (shapeOf network.Inputs 1)) network |> ignore
        List.ofSeq found

    /// The number of trained numbers.
    let size (network: Architecture) : int =
        weights network |> List.sumBy (fun w -> Shape.size w.Shape)

    /// The input of a network as a leaf that is given row by row.
    let input (name: string) (network: Architecture) : Expr =
        Expr.datum name (shapeOf network.Inputs 1)

    /// The leaf of a trained array.
    let leaf (shape: WeightShape) : Expr = Expr.weight shape.Name shape.Shape

    /// The constant that holds trained numbers.
    let fixedAt (values: Weights) (shape: WeightShape) : Expr =
        let numbers = values[shape.Name] |> Array.map float

        match shape.Shape with
        | Scalar -> Expr.scalar numbers[0]
        | Vector _ -> Expr.vector numbers
        | Matrix(rows, columns) -> Expr.matrix rows columns numbers

    /// The network in one line: `95 -> [x, map 4 -> abs] -> dense 256 -> silu -> dense 1`.
    let describe (network: Architecture) : string =
        let rec line (layers: Layer list) : string =
            if layers.IsEmpty then
                "x"
            else
                layers |> List.map word |> String.concat " -> "

        and word (layer: Layer) : string =
            let branches (separator: string) (all: Layer list list) : string =
                all |> List.map line |> String.concat separator

            match layer with
            | Layer.Standardise _ -> "standardise"
            | Layer.LinearMap(rows, _) -> $"map {rows.Length}"
            | Layer.QuadraticFeatures -> "products"
            | Layer.Choose places -> $"choose {places.Length}"
            | Layer.Dense width -> $"dense {width}"
            | Layer.Activation name -> name
            | Layer.Parallel all -> "(" + branches " + " all + ")"
            | Layer.Product all -> "(" + branches " * " all + ")"
            | Layer.Join all -> "[" + branches ", " all + "]"

        $"{network.Inputs} -> {line network.Layers}"
