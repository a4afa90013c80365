namespace FunLik

open System

/// Bounds of nuisances that constraints make needless: a fit that leaves them is still a fit of the same density. HistFactory's usual
/// bounds (±5 standard deviations, 10 for factors) are such; a factor's lower bound, where rates become negative, is not.
[<RequireQualifiedAccess>]
module NuisanceBounds =

    /// Points that are evaluated at once.
    let private block = 1024

    /// How far beyond a bound a density must go on, in parts of the distance from the nominal value.
    let private beyond = 0.01

    let private evaluated (objective: Objective) (points: float[][]) : float[] =
        points
        |> Array.chunkBySize block
        |> Array.collect (fun some -> objective.Values(Array.concat some, RunOptions.Single))

    /// Constraints and priors alone.
    let private constraintsOf (model: Likelihood) : Likelihood =
        { model with
            Density =
                match model.Density with
                | Density.Terms terms -> Density.Terms(terms |> List.filter _.IsConstraint)
                | Density.Opaque(_, profiled) -> Density.Opaque(Expr.scalar 0.0, profiled)
        }

    /// The bounds that `lift` takes away, in the model's order. A bound goes if it is a nuisance's that is not fixed, if constraints and
    /// priors alone fall beyond it, as far again as the nominal value is away, and if there is a density just beyond it. All is looked
    /// at with the other parameters at their nominal values.
    let liftable (model: Likelihood) : ParameterBound list =
        let parameters = Likelihood.parameters model
        let nominal = parameters |> Array.map _.Nominal

        let candidates =
            [|
                for i in 0 .. parameters.Length - 1 do
                    let p = parameters[i]
                    let struct (low, high) = p.Bounds

                    if p.Kind.IsNuisance && low < high then
                        for side, bound in [ BoundSide.Lower, low; BoundSide.Upper, high ] do
                            if Double.IsFinite bound then
                                i, side, bound
            |]

        let at (part: float) (i: int, _: BoundSide, bound: float) : float[] =
            let distance = bound - nominal[i]
            let point = Array.copy nominal
            point[i] <- bound + part * distance
            point

        let hasDistance (i: int, _: BoundSide, bound: float) : bool = bound <> nominal[i]
        let candidates = candidates |> Array.filter hasDistance

        if candidates.Length = 0 then
            []
        else
            let constraints = constraintsOf model |> Objective.ofLikelihood
            let atBound = candidates |> Array.map (at 0.0) |> evaluated constraints
            let far = candidates |> Array.map (at 1.0) |> evaluated constraints

            let near =
                candidates |> Array.map (at beyond) |> evaluated (Objective.ofLikelihood model)

            [
                for k in 0 .. candidates.Length - 1 do
                    let i, side, bound = candidates[k]

                    // Where the constraint itself has no density so far out it may still have one for a part of the way.
                    if far[k] < atBound[k] && Double.IsFinite near[k] then
                        { Parameter = parameters[i].Name; Side = side; Value = bound }
            ]

    /// The model without those bounds of its constrained nuisances that `liftable` lists: -∞ or ∞ in their place. Ranges stay.
    let lift (model: Likelihood) : Likelihood =
        let lifted = liftable model |> List.map (fun b -> b.Parameter, b.Side) |> Set.ofList

        let change (p: ModelParameter) : ModelParameter =
            let struct (low, high) = p.Bounds

            let without (side: BoundSide) (bound: float) (infinite: float) : float =
                if lifted.Contains(p.Name, side) then infinite else bound

            { p with
                Bounds =
                    struct (without BoundSide.Lower low -infinity,
                            without BoundSide.Upper high infinity)
            }

        { model with
            Blocks =
                model.Blocks
                |> List.map (fun b -> { b with Parameters = Array.map change b.Parameters })
        }
