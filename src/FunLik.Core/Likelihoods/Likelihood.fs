namespace FunLik

/// What a likelihood is made of.
[<RequireQualifiedAccess>]
type Density =
    /// A product of terms: toys, Asimov data and other data are possible.
    | Terms of Term list
    /// A log density as it is (a network, somebody's file), and the names of what was profiled away.
    | Opaque of logDensity: Expr * profiled: string list

/// A function from parameters to a log density, with names.
type Likelihood =
    {
        /// What it is a likelihood of.
        Name: string
        /// The parameters in the model's order, in blocks.
        Blocks: ParameterBlock list
        /// The likelihood itself.
        Density: Density
        /// The observed values of the terms' data, by name of the term.
        Data: Map<string, float[]>
        /// The priors, by block; a block without one has a flat prior of density 1 everywhere.
        Priors: Prior list
    }

/// The parts of a log density as expressions of the blocks' inputs: scalars. Their sum is the log density where `Violation` is not
/// above 0; elsewhere it is -∞.
type DensityParts =
    {
        /// The main measurement, or all of an opaque density.
        Main: Expr
        /// The constraints; None where the density does not split.
        Constraint: Expr option
        /// The priors.
        Prior: Expr
        /// A scalar that is above 0 where the density is zero.
        Violation: Expr
    }

/// Likelihoods and what can be done to them without evaluating them.
[<RequireQualifiedAccess>]
module Likelihood =

    let private raiseAll (errors: Error list) : unit =
        if not errors.IsEmpty then
            raise (FunLikException errors)

    let private doubled (what: string) (names: string list) : Error list =
        names
        |> List.countBy id
        |> List.filter (fun (_, count) -> count > 1)
        |> List.map (fun (name, count) ->
            Error.make ErrorKind.Name $"the {what} '{name}' stands {count} times"
            |> Error.hint "names are unique in a model")

    /// The parameters in the model's order.
    let parameters (model: Likelihood) : ModelParameter[] =
        model.Blocks |> List.map _.Parameters |> Array.concat

    /// The names of the parameters in the model's order.
    let names (model: Likelihood) : string[] = parameters model |> Array.map _.Name

    /// The terms; an opaque likelihood has none, and says which request it refuses.
    let terms (request: string) (model: Likelihood) : Term list =
        match model.Density with
        | Density.Terms terms -> terms
        | Density.Opaque _ ->
            raise (
                FunLikException
                    [
                        Error.make
                            ErrorKind.Unsupported
                            $"{request} needs the terms of the likelihood '{model.Name}'"
                        |> Error.found "an opaque density"
                        |> Error.hint "use the model from which it was made"
                    ]
            )

    /// Checks that names are unique, that expressions read nothing but the model's parameters and data, and that the data fit. All
    /// mistakes at once.
    let check (model: Likelihood) : Error list =
        let blocks = model.Blocks |> List.map (fun b -> b.Name, b.Shape) |> Map.ofList

        let expressions =
            match model.Density with
            | Density.Terms terms ->
                terms
                |> List.collect (fun t ->
                    match t.Distribution with
                    | Distribution.Normal sigma -> [ t.Expectation; sigma ]
                    | Distribution.Poisson -> [ t.Expectation ])
            | Density.Opaque(logDensity, _) -> [ logDensity ]

        let unknown =
            Expr.inputs (expressions @ (model.Priors |> List.map _.LogDensity))
            |> List.choose (fun (name, role, shape) ->
                match role, blocks.TryFind name with
                | Role.Parameter, None ->
                    Some(
                        Error.make
                            ErrorKind.Name
                            $"the expression reads a parameter '{name}' that the model has not"
                        |> Error.expected (blocks |> Map.keys |> String.concat ", ")
                    )
                | Role.Parameter, Some known when known <> shape ->
                    Some(
                        Error.make ErrorKind.Shape $"the parameter block '{name}'"
                        |> Error.found (Shape.describe shape)
                        |> Error.expected (Shape.describe known)
                    )
                | _ -> None)

        let data =
            match model.Density with
            | Density.Opaque _ -> []
            | Density.Terms terms ->
                terms
                |> List.collect (fun t ->
                    match model.Data.TryFind t.Name with
                    | None -> [ Error.make ErrorKind.Name $"the term '{t.Name}' has no data" ]
                    | Some values when values.Length <> Shape.size t.Shape ->
                        [
                            Error.make ErrorKind.Shape $"the data of the term '{t.Name}'"
                            |> Error.found $"{values.Length} values"
                            |> Error.expected (Shape.describe t.Shape)
                        ]
                    | Some values ->
                        values
                        |> Array.indexed
                        |> Array.filter (fun (_, v) ->
                            not (System.Double.IsFinite v)
                            || (t.Distribution.IsPoisson && v < 0.0))
                        |> Array.truncate 3
                        |> Array.map (fun (i, v) ->
                            Error.make ErrorKind.Value $"datum {i} of the term '{t.Name}'"
                            |> Error.found $"{v}"
                            |> Error.expected (
                                if t.Distribution.IsPoisson then
                                    "a finite number that is not negative"
                                else
                                    "a finite number"
                            ))
                        |> List.ofArray)

        let termNames =
            match model.Density with
            | Density.Terms terms -> terms |> List.map _.Name
            | Density.Opaque _ -> []

        let vectors =
            model.Blocks |> List.filter (fun b -> b.Shape <> Scalar) |> List.map _.Name

        doubled "name" (List.ofArray (names model) @ vectors @ termNames)
        @ unknown
        @ data

    /// A likelihood from its parts; mistakes are raised together.
    let create
        (name: string)
        (blocks: ParameterBlock list)
        (density: Density)
        (data: Map<string, float[]>)
        (priors: Prior list)
        : Likelihood =
        let model =
            {
                Name = name
                Blocks = blocks
                Density = density
                Data = data
                Priors = priors
            }

        raiseAll (check model)
        model

    let private total (parts: Expr list) : Expr =
        match parts with
        | [] -> Expr.scalar 0.0
        | first :: rest -> rest |> List.fold (fun (a: Expr) b -> a + b) first

    /// The parts of the log density, all constants kept.
    let parts (model: Likelihood) : DensityParts =
        let prior = model.Priors |> List.map _.LogDensity |> total
        let outside = model.Priors |> List.map _.Violation

        match model.Density with
        | Density.Opaque(logDensity, _) ->
            {
                Main = logDensity
                Constraint = None
                Prior = prior
                Violation = total outside
            }
        | Density.Terms terms ->
            let constraints, main = terms |> List.partition _.IsConstraint
            let main, constraints = Term.together main, Term.together constraints
            let violations = main @ constraints |> List.choose snd

            {
                Main = main |> List.map fst |> total
                Constraint = Some(constraints |> List.map fst |> total)
                Prior = prior
                Violation = total (violations @ outside)
            }

    /// The log density inside its support: main + constraint + prior.
    let logDensity (model: Likelihood) : Expr =
        let p = parts model
        let split = p.Constraint |> Option.toList
        total ([ p.Main ] @ split @ [ p.Prior ])

    /// The model's parameters as one vector, and a function that puts slices of it in place of the blocks' inputs.
    let overTheta (model: Likelihood) : Expr * (Expr list -> Expr list) =
        let count = (parameters model).Length
        let theta = Expr.parameter "theta" (Vector(max 1 count))

        let slices, _ =
            model.Blocks
            |> List.mapFold
                (fun first block ->
                    let slice =
                        match block.Shape with
                        | Scalar -> Expr.item first theta
                        | shape -> Expr.slice first (Shape.size shape) theta

                    (block.Name, slice), first + block.Parameters.Length)
                0

        let known = Map.ofList slices

        let replacement (e: Expr) : Expr option =
            match e.Node with
            | Node.Input(name, Role.Parameter) -> known.TryFind name
            | _ -> None

        theta, Expr.substitute replacement

    /// The gradient of a scalar of the blocks' inputs in all parameters, in the model's order. It is taken in the vector of all
    /// parameters: what reads many blocks at once then has one derivative, and not one a block.
    let gradient (model: Likelihood) (y: Expr) : Expr =
        let theta, substitute = overTheta model
        let inTheta = substitute [ y ] |> Simplify.run |> List.head
        let leaves = model.Blocks |> List.map ParameterBlock.leaf

        let restored (e: Expr) : Expr option =
            if Expr.structural.Equals(e, theta) then
                Some(
                    if leaves.IsEmpty then
                        Expr.full theta.Shape 0.0
                    else
                        Expr.concat leaves
                )
            else
                None

        (Expr.substitute restored [ Diff.grad inTheta theta ]).Head

    /// Applies a rewriting of expressions to all of a model.
    let private rewritten (replace: Expr -> Expr) (model: Likelihood) : Likelihood =
        let density =
            match model.Density with
            | Density.Opaque(e, profiled) -> Density.Opaque(replace e, profiled)
            | Density.Terms terms ->
                terms
                |> List.map (fun t ->
                    { t with
                        Expectation = replace t.Expectation
                        Distribution =
                            match t.Distribution with
                            | Distribution.Poisson -> Distribution.Poisson
                            | Distribution.Normal sigma -> Distribution.Normal(replace sigma)
                    })
                |> Density.Terms

        let priors =
            model.Priors
            |> List.map (fun p ->
                { p with LogDensity = replace p.LogDensity; Violation = replace p.Violation })

        { model with Density = density; Priors = priors }

    let private replaceBlocks (values: Map<string, Expr>) (e: Expr) : Expr =
        (Expr.substitute
            (fun node ->
                match node.Node with
                | Node.Input(name, Role.Parameter) -> values.TryFind name
                | _ -> None)
            [ e ])
            .Head

    /// Fixes parameters at values; they are no parameters of the result.
    let fix (values: (string * float) list) (model: Likelihood) : Likelihood =
        let known = names model |> Set.ofArray

        let mistakes =
            doubled "fixed parameter" (values |> List.map fst)
            @ (values
               |> List.choose (fun (name, value) ->
                   if not (known.Contains name) then
                       Some(
                           Error.make ErrorKind.Name $"there is no parameter '{name}' to fix"
                           |> Error.expected (known |> String.concat ", ")
                       )
                   elif not (System.Double.IsFinite value) then
                       Some(
                           Error.make ErrorKind.Value $"the value of '{name}'"
                           |> Error.found $"{value}"
                       )
                   else
                       None))

        raiseAll mistakes
        let at = Map.ofList values

        let change (block: ParameterBlock) : ParameterBlock option * (string * Expr) option =
            if block.Parameters |> Array.forall (fun p -> not (at.ContainsKey p.Name)) then
                Some block, None
            else
                let kept = block.Parameters |> Array.filter (fun p -> not (at.ContainsKey p.Name))

                match block.Shape with
                | Scalar -> None, Some(block.Name, Expr.scalar at[block.Parameters[0].Name])
                | _ ->
                    let constants =
                        block.Parameters
                        |> Array.map (fun p -> at.TryFind p.Name |> Option.defaultValue 0.0)
                        |> Expr.vector

                    if kept.Length = 0 then
                        None, Some(block.Name, constants)
                    else
                        let smaller = ParameterBlock.ofVector block.Name kept

                        let places =
                            block.Parameters
                            |> Array.indexed
                            |> Array.filter (fun (_, p) -> not (at.ContainsKey p.Name))
                            |> Array.map fst

                        let value =
                            Expr.scatterAdd
                                places
                                block.Parameters.Length
                                (ParameterBlock.leaf smaller)
                            + constants

                        Some smaller, Some(block.Name, value)

        let changes = model.Blocks |> List.map change
        let values = changes |> List.choose snd |> Map.ofList

        { rewritten (replaceBlocks values) model with
            Blocks = changes |> List.choose fst
        }

    /// Replaces blocks of parameters by expressions of new ones.
    let reparameterise
        (blocks: ParameterBlock list)
        (values: (string * Expr) list)
        (model: Likelihood)
        : Likelihood =
        let replaced = Map.ofList values

        let changed =
            { rewritten (replaceBlocks replaced) model with
                Blocks =
                    (model.Blocks |> List.filter (fun b -> not (replaced.ContainsKey b.Name)))
                    @ blocks
            }

        raiseAll (check changed)
        changed

    /// Other data for some of the terms.
    let withData (data: (string * float[]) list) (model: Likelihood) : Likelihood =
        let known = terms "other data" model |> List.map _.Name |> Set.ofList

        data
        |> List.filter (fun (name, _) -> not (known.Contains name))
        |> List.map (fun (name, _) ->
            Error.make ErrorKind.Name $"there is no term '{name}'"
            |> Error.expected (known |> String.concat ", "))
        |> raiseAll

        let changed =
            { model with
                Data =
                    data
                    |> List.fold (fun (m: Map<string, float[]>) (k, v) -> m.Add(k, v)) model.Data
            }

        raiseAll (check changed)
        changed

    /// A prior in place of what its block has.
    let withPrior (prior: Prior) (model: Likelihood) : Likelihood =
        let changed =
            { model with
                Priors = (model.Priors |> List.filter (fun p -> p.Block <> prior.Block)) @ [ prior ]
            }

        raiseAll (check changed)
        changed

    /// One parameter of interest; all others are nuisances.
    let withPoi (name: string) (model: Likelihood) : Likelihood =
        if not (names model |> Array.contains name) then
            raiseAll
                [
                    Error.make ErrorKind.Name $"there is no parameter '{name}'"
                    |> Error.expected (names model |> String.concat ", ")
                ]

        let kind (p: ModelParameter) : ParameterKind =
            if p.Name = name then
                ParameterKind.Poi
            else
                ParameterKind.Nuisance

        { model with
            Blocks =
                model.Blocks
                |> List.map (fun block ->
                    { block with
                        Parameters =
                            block.Parameters |> Array.map (fun p -> { p with Kind = kind p })
                    })
        }

    /// No priors.
    let withoutPriors (model: Likelihood) : Likelihood = { model with Priors = [] }

    /// Another constraint in place of a term of that name.
    let withConstraint (term: Term) (data: float[]) (model: Likelihood) : Likelihood =
        let rest =
            terms "another constraint" model |> List.filter (fun t -> t.Name <> term.Name)

        let changed =
            { model with
                Density = Density.Terms(rest @ [ term ])
                Data = model.Data.Add(term.Name, data)
            }

        raiseAll (check changed)
        changed

    /// The product of likelihoods: shared names are shared parameters, and constraints that are equal count once.
    let combine (name: string) (models: Likelihood list) : Likelihood =
        let blocks = models |> List.collect _.Blocks

        let clashes =
            blocks
            |> List.groupBy _.Name
            |> List.choose (fun (block, uses) ->
                if (List.distinct uses).Length > 1 then
                    Some(
                        Error.make
                            ErrorKind.Name
                            $"the parameters of '{block}' differ between the models"
                        |> Error.hint
                            "shared names are shared parameters: rename or reparameterise one of them"
                    )
                else
                    None)

        raiseAll clashes

        let key (t: Term) : obj =
            let sigma =
                match t.Distribution with
                | Distribution.Poisson -> 0UL
                | Distribution.Normal s -> s.Hash

            box (t.Shape, t.Expectation.Hash, sigma)

        let named =
            models
            |> List.mapi (fun i model ->
                terms "a combination" model
                |> List.map (fun t -> { t with Name = $"{i}/{t.Name}" }, model.Data[t.Name]))
            |> List.concat

        let constraints, main = named |> List.partition (fun (t, _) -> t.IsConstraint)

        let once =
            constraints |> List.distinctBy (fun (t, data) -> key t, List.ofArray data)

        create
            name
            (List.distinct blocks)
            (Density.Terms(main @ once |> List.map fst))
            (main @ once |> List.map (fun (t, data) -> t.Name, data) |> Map.ofList)
            (models
             |> List.collect _.Priors
             |> List.distinctBy (fun p -> p.Block, p.LogDensity.Hash, p.Violation.Hash))
