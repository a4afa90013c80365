namespace FunLik

open System

/// The likelihood of a search.
[<RequireQualifiedAccess>]
module Search =

    /// The range of the signal strength; outside the density is zero.
    let private lowestMu, private highestMu = -1.0, 5.0

    /// A category's sum is a matrix product while there are no more products of systematics than this.
    let private largestBasis = 27

    /// Shape factors of one systematic as numbers times functions of its nuisance d: 1 + a d + b q(d), where q is d² inside of
    /// -1..1 and 2|d| - 1 outside. It is κ⁺ and κ⁻ at ±1.
    let private linearAndQuadratic (shape: ShapeEffect) (bin: int) : float * float =
        0.5 * (shape.Up[bin] - shape.Down[bin]), 0.5 * (shape.Up[bin] + shape.Down[bin]) - 1.0

    /// q(d): twice Huber's function.
    let private huber (d: Expr) : Expr =
        let size = abs d
        Expr.select (Expr.less size (Expr.scalar 1.0)) (d * d) (2.0 * size - 1.0)

    /// All products of one of (1, d, q) of each systematic; the last systematic runs slowest.
    let private basis (systematics: (Expr * Expr) list) : Expr =
        systematics
        |> List.fold
            (fun products (d, q) -> Expr.concat [ products; d * products; q * products ])
            (Expr.scalar 1.0)

    /// The numbers that go with `basis` in one bin.
    let private coefficients (shapes: ShapeEffect list) (bin: int) : float[] =
        shapes
        |> List.fold
            (fun products shape ->
                let a, b = linearAndQuadratic shape bin

                [ [| 1.0 |]; [| a |]; [| b |] ]
                |> List.map (fun factor -> products |> Array.map ((*) factor[0]))
                |> Array.concat)
            [| 1.0 |]

    /// The background in each bin without the statistical uncertainty of the simulation: N g f, with the norms g as exponentials of
    /// sums, so that one matrix serves all of them.
    let private background (data: SearchData) (nuisances: Expr list) : Expr =
        let bins = data.BinsPerCategory
        let shaped = data.Systematics |> List.choose _.Shape

        let logNorms =
            match nuisances with
            | [] -> Expr.full (Vector data.Categories) 0.0
            | _ ->
                // log g = d⁺ log(1 + K⁺) + d⁻ log(1 + K⁻), with d⁺ = d at 0, so that the derivative there is K⁺'s.
                let d = Expr.concat nuisances
                let positive = Expr.select (Expr.less d (Expr.scalar 0.0)) (Expr.scalar 0.0) d

                let row (c: int) : float[] =
                    let up, down =
                        data.Systematics
                        |> List.map (fun s ->
                            Special.log1p s.Norm.Up[c], Special.log1p s.Norm.Down[c])
                        |> List.unzip

                    List.map2 (+) up down @ List.map (~-) down |> Array.ofList

                let rows = Array.init data.Categories row |> Array.concat
                let matrix = Expr.matrix data.Categories (2 * nuisances.Length) rows
                Expr.matVec matrix (Expr.concat [ positive; d ])

        let pairs =
            List.zip data.Systematics nuisances
            |> List.filter (fun (s, _) -> s.Shape.IsSome)
            |> List.map (fun (_, d) -> d, huber d)

        let bases = List.zip shaped pairs

        // One loop over the bins: the factors' numbers are constants, d and q are a row's.
        let factor (shape: ShapeEffect, (d: Expr, q: Expr)) : Expr =
            let a, b =
                Array.init data.Background.Length (linearAndQuadratic shape) |> Array.unzip

            d * a + q * b + 1.0

        let shapedBackground =
            bases
            |> List.fold (fun product basis -> product * factor basis) (Expr.vector data.Background)

        let columns = Math.Pow(3.0, float bases.Length)

        // The sums over a category are linear in few products of the systematics, or made bin by bin where those are many.
        let sums =
            if columns > float largestBasis then
                Expr.concat
                    [
                        for c in 0 .. data.Categories - 1 ->
                            Expr.sum (Expr.slice (c * bins) bins shapedBackground)
                    ]
            else
                let products =
                    match basis pairs with
                    | one when one.Shape = Scalar -> Expr.full (Vector 1) 1.0
                    | several -> several

                let sum (c: int) : float[] =
                    let totals = Array.zeroCreate (int columns)

                    for bin in c * bins .. (c + 1) * bins - 1 do
                        coefficients shaped bin
                        |> Array.iteri (fun k v ->
                            totals[k] <- totals[k] + v * data.Background[bin])

                    totals

                let matrix =
                    Array.init data.Categories sum
                    |> Array.concat
                    |> Expr.matrix data.Categories (int columns)

                Expr.matVec matrix products

        let totals =
            Array.init data.Categories (fun c ->
                Array.sum data.Background[c * bins .. (c + 1) * bins - 1])

        let categoryOf = Array.init data.Background.Length (fun bin -> bin / bins)
        shapedBackground * Expr.gather categoryOf (exp logNorms * totals / sums)

    /// The likelihood of a search. Parameters: the signal strength `mu`; `delta[i]`, the simulation's statistical uncertainty of
    /// bin i; one nuisance for each systematic. Bin I of category c expects
    ///
    ///     μ s_I + N_c Π_j g_jc f_I (1 + ε_I)^δ_I,
    ///
    /// f the background's shape after the factors of all systematics, normalised in its category, and g = (1 + K⁺)^d for d ≥ 0,
    /// (1 + K⁻)^-d for d < 0. Counts are Poisson (term `main`), all nuisances have standard normal constraints (`delta.constraint`,
    /// …), and the prior of μ is flat inside of -1..5 with the log density -log 5, as in the papers' code. At d = 0, where g has a
    /// kink, derivatives are those of d ≥ 0. Mistakes in the data are raised.
    let likelihood (data: SearchData) : Likelihood =
        match SearchData.check data with
        | [] -> ()
        | mistakes -> raise (FunLikException mistakes)

        let mu =
            { ModelParameter.create "mu" ParameterKind.Poi 0.0 with
                // The density is zero at the ends themselves.
                Bounds = struct (Math.BitIncrement lowestMu, Math.BitDecrement highestMu)
                Range = struct (lowestMu, highestMu)
            }
            |> ParameterBlock.ofParameter

        let delta =
            Array.init data.Observed.Length (fun i ->
                ModelParameter.create $"delta[{i}]" ParameterKind.Nuisance 0.0)
            |> ParameterBlock.ofVector "delta"

        let systematics =
            data.Systematics
            |> List.map (fun s ->
                let hasKink =
                    Array.exists2
                        (fun up down -> (1.0 + up) * (1.0 + down) <> 1.0)
                        s.Norm.Up
                        s.Norm.Down

                { ModelParameter.create s.Name ParameterKind.Nuisance 0.0 with
                    IsKinked = hasKink
                }
                |> ParameterBlock.ofParameter)

        let leaf = ParameterBlock.leaf
        let statistical = exp (leaf delta * (data.McStatEpsilon |> Array.map Special.log1p))

        let expected =
            background data (systematics |> List.map leaf) * statistical
            + leaf mu * data.Signal

        let main =
            {
                Name = "main"
                Distribution = Distribution.Poisson
                Shape = Vector data.Observed.Length
                Expectation = expected
                IsConstraint = false
            }

        let constraints = delta :: systematics |> List.map (Term.constrainedTo 0.0 1.0)

        Likelihood.create
            data.Name
            (mu :: delta :: systematics)
            (Density.Terms(main :: List.map fst constraints))
            (Map.ofList (
                ("main", data.Observed) :: List.map (fun (t: Term, d) -> t.Name, d) constraints
            ))
            [ Prior.flatInside (-(log 5.0)) lowestMu highestMu mu ]
