namespace FunLik

/// How trained numbers are drawn before training; biases start at 0.
[<RequireQualifiedAccess>]
type Scheme =
    /// Normal with variance 1 / inputs (LeCun et al., Efficient BackProp, 1998).
    | LecunNormal
    /// Normal with variance 2 / inputs (He et al., arXiv:1502.01852).
    | HeNormal
    /// Uniform on ±√(6 / (inputs + outputs)) (Glorot and Bengio, AISTATS 2010).
    | GlorotUniform
    /// All 0: a network that starts as its reference.
    | Zero

/// How a network starts: its last trained layers may start in another way than the rest.
type Initialisation = { Hidden: Scheme; Output: Scheme }

/// Drawing the first weights of a network.
[<RequireQualifiedAccess>]
module Initialise =

    /// The names of schemes in files.
    let schemeNames: (string * Scheme) list =
        [
            "lecun-normal", Scheme.LecunNormal
            "he-normal", Scheme.HeNormal
            "glorot-uniform", Scheme.GlorotUniform
            "zero", Scheme.Zero
        ]

    /// One array. Element i depends on the key and i only.
    let values (scheme: Scheme) (shape: WeightShape) (key: Key) : float32[] =
        let count = Shape.size shape.Shape

        let scaled (factor: float) (draw: float[]) =
            draw |> Array.map (fun v -> float32 (factor * v))

        if shape.IsBias then
            Array.zeroCreate count
        else
            match scheme with
            | Scheme.Zero -> Array.zeroCreate count
            | Scheme.LecunNormal -> Key.normals count key |> scaled (sqrt (1.0 / float shape.FanIn))
            | Scheme.HeNormal -> Key.normals count key |> scaled (sqrt (2.0 / float shape.FanIn))
            | Scheme.GlorotUniform ->
                let edge = sqrt (6.0 / float (shape.FanIn + shape.FanOut))

                Key.uniforms count key |> Array.map (fun u -> float32 (edge * (2.0 * u - 1.0)))

    /// All arrays of a network, each from a key of its own name.
    let weights (how: Initialisation) (key: Key) (network: Architecture) : Weights =
        Architecture.weights network
        |> List.map (fun shape ->
            let scheme = if shape.IsOutput then how.Output else how.Hidden
            shape.Name, values scheme shape (Key.foldName shape.Name key))
        |> Map.ofList
