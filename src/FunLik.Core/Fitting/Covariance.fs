namespace FunLik

open System

/// Covariances from Hessians of -log density, also where the density is flat in some direction.
[<RequireQualifiedAccess>]
module Covariance =

    /// Eigenvalues up to this are flat, in units in which the Hessian has a diagonal of ones (or zeros): as `NewtonStep.inverse` has it.
    let private flat = 1e-10

    /// Eigenvalues below this are downhill: a saddle, as `NewtonStep` has it.
    let private downhill = -1e-6

    /// The square of what a parameter may have in flat directions and be determined still: what rounding leaves there.
    let private leak = 1e-14

    /// The covariance where the Hessian is singular. A parameter is determined if it does not move along any flat direction: its variance is
    /// then the same whether these directions are free or held. Covariances of determined parameters are those of the pseudo-inverse, which
    /// there is the limit of (H + ε)⁻¹; all others are NaN. None at a saddle.
    let private ofSingular (n: int) (lengths: float[]) (hessian: float[]) : float[] option =
        let scaled = hessian |> Array.mapi (fun k v -> v * lengths[k / n] * lengths[k % n])

        if scaled |> Array.forall Double.IsFinite then
            let values, vectors = NewtonStep.eigen n scaled

            if values[0] < downhill then
                None
            else
                let flats, curved = [| 0 .. n - 1 |] |> Array.partition (fun k -> values[k] <= flat)

                let isDetermined =
                    Array.init n (fun i ->
                        (flats |> Array.sumBy (fun k -> vectors[i, k] * vectors[i, k])) <= leak)

                let covariance (i: int) (j: int) : float =
                    if isDetermined[i] && isDetermined[j] then
                        let inverse =
                            curved
                            |> Array.sumBy (fun k -> vectors[i, k] * vectors[j, k] / values[k])

                        inverse * lengths[i] * lengths[j]
                    else
                        nan

                Some(Array.init (n * n) (fun p -> covariance (p / n) (p % n)))
        else
            None

    /// The covariance of n parameters from the Hessian of -log density at a minimum, n x n and row-major, by lengths that parameters move
    /// over: the inverse; where some direction is flat, what is determined still, and NaN for every parameter that moves along it. None at
    /// a saddle.
    let ofHessian (n: int) (lengths: float[]) (hessian: float[]) : float[] option =
        NewtonStep.inverse n hessian
        |> Option.orElseWith (fun () -> ofSingular n lengths hessian)
