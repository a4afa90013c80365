namespace FunLik

open System.Collections.Generic

/// What one node of a program does; arguments are indices of earlier nodes.
[<RequireQualifiedAccess>]
type Instruction =
    | Input of name: string * role: Role
    | Constant of values: float[]
    | Apply of op: Op * arguments: int[]
    /// Output `output` of a reduction over a table.
    | Reduced of reduction: int * output: int

/// One node of a program.
type ProgramNode =
    {
        /// What it does.
        Instruction: Instruction
        /// The shape of its value at one point.
        Shape: Shape
    }

/// Several sums over the rows of one table, done in one pass: the body's row inputs are the table's columns, its shared inputs
/// the captured nodes, and each of its outputs is a sum over rows.
type Reduction =
    {
        /// The table.
        Table: string
        /// What is summed; the rows of its batch are the rows of the table.
        Body: Program
        /// The nodes that the body reads, as its shared inputs `captured:0`, `captured:1`, ….
        Captured: int[]
    }

/// An expression laid out for an engine: each structure once, arguments before what uses them.
and Program =
    {
        /// The nodes in an order in which they can be computed.
        Nodes: ProgramNode[]
        /// Names of the results and the nodes that hold them.
        Outputs: (string * int)[]
        /// The sums over tables, in an order in which they can be computed.
        Reductions: Reduction[]
    }

/// Making programs.
[<RequireQualifiedAccess>]
module Program =

    /// The name of captured node k inside the body of a reduction.
    let capturedName (k: int) : string = $"captured:{k}"

    /// How many reductions stand below each node, on the longest path.
    let private levels (order: Expr list) : Dictionary<Expr, int> =
        let level = Dictionary<Expr, int>(Expr.structural)

        for node in order do
            let deepest = Diff.below node |> List.fold (fun most c -> max most level[c]) 0
            level[node] <- (if node.Node.IsReduceOver then deepest + 1 else deepest)

        level

    /// Replaces nodes. Inside of a sum over a table only what it captures is replaced: its columns are its own.
    let rec private replace (replacement: Expr -> Expr option) (outputs: Expr list) : Expr list =
        let replaced (node: Expr) : Expr option =
            match replacement node, node.Node with
            | None, Node.ReduceOver(table, body) ->
                let captured = Diff.frontier table body
                let made = Dictionary<Expr, Expr>(Expr.structural)
                List.iter2 (fun e other -> made[e] <- other) captured (replace replacement captured)

                let known (e: Expr) : Expr option =
                    match made.TryGetValue e with
                    | true, other -> Some other
                    | _ -> None

                Some(Expr.reduceOver table (replace known [ body ]).Head)
            | other, _ -> other

        Expr.substitute replaced outputs

    let rec private build (outputs: (string * Expr) list) : Program =
        let order = Expr.order Diff.below (outputs |> List.map snd)
        let level = levels order
        let index = Dictionary<Expr, int>(Expr.structural)
        let nodes = List<ProgramNode>()
        let reductions = List<Reduction>()

        let place (node: Expr) (instruction: Instruction) : unit =
            index[node] <- nodes.Count

            nodes.Add { Instruction = instruction; Shape = node.Shape }

        let placeGroup (table: string) (members: Expr list) : unit =
            let bodies =
                members
                |> List.choose (fun m ->
                    match m.Node with
                    | Node.ReduceOver(_, body) -> Some body
                    | _ -> None)

            let captured =
                bodies
                |> List.collect (Diff.frontier table)
                |> List.distinctBy (fun e -> index[e])

            let inner = Dictionary<Expr, Expr>(Expr.structural)

            captured
            |> List.iteri (fun k e -> inner[e] <- Expr.input (capturedName k) Role.Weight e.Shape)

            let replaced (e: Expr) : Expr option =
                match inner.TryGetValue e with
                | true, other -> Some other
                | _ ->
                    match e.Node with
                    | Node.Input(name, Role.Column t) when t = table ->
                        Some(Expr.datum name e.Shape)
                    | _ -> None

            let summed =
                replace replaced bodies
                |> List.mapi (fun k body -> $"sum:{k}", Expr.sumRows body)

            let number = reductions.Count

            reductions.Add
                {
                    Table = table
                    Body = build summed
                    Captured = captured |> List.map (fun e -> index[e]) |> Array.ofList
                }

            members |> List.iteri (fun k m -> place m (Instruction.Reduced(number, k)))

        let highest = order |> List.fold (fun most e -> max most level[e]) 0

        for current in 0..highest do
            let here = order |> List.filter (fun e -> level[e] = current)

            here
            |> List.filter (fun e -> e.Node.IsReduceOver)
            |> List.groupBy (fun e ->
                match e.Node with
                | Node.ReduceOver(table, _) -> table, e.IsRow
                | _ -> "", e.IsRow)
            |> List.iter (fun ((table, _), members) -> placeGroup table members)

            for node in here do
                match node.Node with
                | Node.Input(name, role) -> place node (Instruction.Input(name, role))
                | Node.Constant values -> place node (Instruction.Constant values)
                | Node.Apply(op, arguments) ->
                    let places = arguments |> List.map (fun a -> index[a]) |> Array.ofList
                    place node (Instruction.Apply(op, places))
                | Node.ReduceOver _ -> ()

        {
            Nodes = nodes.ToArray()
            Outputs = outputs |> List.map (fun (name, e) -> name, index[e]) |> Array.ofList
            Reductions = reductions.ToArray()
        }

    /// The program that computes some named outputs; simplified first. Two outputs of one name, and two inputs of one name
    /// with different shapes or roles, are refused.
    let ofOutputs (outputs: (string * Expr) list) : Program =
        let expressions = outputs |> List.map snd

        let clashes =
            Expr.inputs expressions
            |> List.distinct
            |> List.groupBy (fun (name, role, _) ->
                match role with
                | Role.Column table -> $"{table}.{name}"
                | _ -> name)
            |> List.filter (fun (_, uses) -> uses.Length > 1)

        if not clashes.IsEmpty then
            let error (name: string, uses: (string * Role * Shape) list) : Error =
                let found =
                    uses
                    |> List.map (fun (_, role, shape) -> $"{role} {Shape.describe shape}")
                    |> String.concat ", "

                Error.make ErrorKind.Shape $"the input '{name}' is used in several ways"
                |> Error.found found

            raise (FunLikException(clashes |> List.map error))

        let open' =
            outputs
            |> List.filter (fun (_, e) -> not e.Tables.IsEmpty)
            |> List.map (fun (name, e) ->
                let tables = String.concat ", " e.Tables

                Error.make
                    ErrorKind.Shape
                    $"'{name}' reads columns of {tables} outside a sum over it"
                |> Error.hint "put the expression inside reduceOver")

        if not open'.IsEmpty then
            raise (FunLikException open')

        let doubled =
            outputs |> List.countBy fst |> List.filter (fun (_, count) -> count > 1)

        if not doubled.IsEmpty then
            let error (name: string, count: int) : Error =
                Error.make ErrorKind.Name $"{count} outputs are called '{name}'"

            raise (FunLikException(doubled |> List.map error))

        build (List.zip (outputs |> List.map fst) (Simplify.run expressions))

    /// The inputs of a program: name, role, shape.
    let inputs (program: Program) : (string * Role * Shape)[] =
        program.Nodes
        |> Array.choose (fun node ->
            match node.Instruction with
            | Instruction.Input(name, role) -> Some(name, role, node.Shape)
            | _ -> None)

    /// The same program with constants in place of some inputs.
    let withConstants (values: Map<string, float[]>) (program: Program) : Program =
        let node (n: ProgramNode) : ProgramNode =
            match n.Instruction with
            | Instruction.Input(name, _) when values.ContainsKey name ->
                { n with Instruction = Instruction.Constant values[name] }
            | _ -> n

        { program with Nodes = program.Nodes |> Array.map node }
