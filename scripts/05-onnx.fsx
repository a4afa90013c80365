// ONNX: a likelihood is written, with its gradient, for any software; read back, it is a likelihood again; ONNX Runtime agrees.

#load "prelude.fsx"

open System.IO
open FunLik

let require (what: string) (condition: bool) : unit =
    if not condition then
        failwith $"not so: {what}"

let model =
    ModelFile.load
        (Path.Combine(__SOURCE_DIRECTORY__, "..", "examples", "counting", "model.json"))
        ModelOptions.None
    |> Error.orRaise

let count = (Likelihood.parameters model).Length
let rows = 1000

let points =
    Key.normals (rows * count) (Key.ofSeed 1) |> Array.map (fun x -> 0.5 * x)

let evaluate (model: Likelihood) : float[] * float[] =
    let struct (values, gradients) =
        (Objective.ofLikelihood model).ValuesAndGradients(points, RunOptions.Single)

    values, gradients

let values, gradients = evaluate model

// ---- Out: a file with names, bounds and units inside.

let onnx =
    Onnx.ofLikelihood { OnnxOptions.defaults with Gradient = true } model
    |> Result.bind OnnxFormat.write
    |> Error.orRaise

let folder = Directory.CreateTempSubdirectory().FullName
let path = Path.Combine(folder, "model.onnx")
File.WriteAllBytes(path, onnx)
printfn $"{model.Name}: {onnx.Length} bytes of ONNX"

// ---- In: differentiable again. The file gives the density; the gradients are ours.

let read = Onnx.readLikelihood path |> Error.orRaise
Directory.Delete(folder, true)
let readValues, readGradients = evaluate read
require "the names are those written" (Likelihood.names read = Likelihood.names model)
require "the values are the same" (Agreement.largest readValues values < 1e-12)
require "the gradients are the same" (Agreement.largest readGradients gradients < 1e-11)

printfn
    $"read back: values within %.1e{Agreement.largest readValues values}, gradients within %.1e{Agreement.largest readGradients gradients}"

let fit, readFit = Fit.minimise model, Fit.minimise read
require "the fits are the same" (abs (fit.TwiceNll - readFit.TwiceNll) < 1e-9)

// ---- ONNX Runtime, through its C API.

match OnnxRuntime.version () with
| Result.Error errors -> printfn $"ONNX Runtime is not asked: {errors.Head}"
| Ok version ->
    let found = Agreement.evaluate onnx count points |> Error.orRaise

    let differences =
        Agreement.largest found["logDensity"] values, Agreement.largest found["gradient"] gradients

    printfn
        $"ONNX Runtime {version}: values within %.1e{fst differences}, gradients within %.1e{snd differences}"

    require "its values are ours" (fst differences < 1e-12)
    require "its gradients are ours" (snd differences < 1e-11)
