module FunLik.Tests.NodeTests

open System
open System.Diagnostics
open System.IO
open Xunit
open FunLik

/// The program `node`, where it is on the PATH.
let private node: string option =
    let name = if OperatingSystem.IsWindows() then "node.exe" else "node"

    (Environment.GetEnvironmentVariable "PATH"
     |> Option.ofObj
     |> Option.defaultValue "")
        .Split
        Path.PathSeparator
    |> Seq.map (fun folder -> Path.Combine(folder, name))
    |> Seq.tryFind File.Exists

let private whySkip: string =
    if node.IsNone then
        "needs node, which is not on the PATH"
    elif
        not (Directory.Exists(Path.Combine(Support.root, "npm/node_modules/onnxruntime-node")))
    then
        "needs npm's package onnxruntime-node: run `dotnet fsi build.fsx setup`"
    else
        null

/// A fact that runs JavaScript, and is skipped with a plain message where node or the package is absent.
type NodeFactAttribute() =
    inherit FactAttribute(Skip = whySkip)

/// What the script says of a bundle, and its exit code.
let private check (bundle: string) : int * Json =
    let start = ProcessStartInfo(node.Value, RedirectStandardOutput = true)
    start.ArgumentList.Add(Path.Combine(Support.root, "tests/node/check-bundle.mjs"))
    start.ArgumentList.Add bundle
    use running = Process.Start start
    let output = running.StandardOutput.ReadToEnd()
    running.WaitForExit()
    running.ExitCode, Json.parse output |> Error.orRaise

let private valuesOf (json: Json) : float[] = Json.field "values" Json.numbers json |> Error.orRaise

let private largestOf (json: Json) : float =
    Json.optionalField "largest" Json.float json
    |> Error.orRaise
    |> Option.defaultValue infinity

[<NodeFact>]
let ``node's onnxruntime gives the values of the engine and of our binding`` () =
    BundleTests.withBundle false BundleTests.values.Value (fun folder ->
        let exitCode, json = check folder
        Assert.Equal(0, exitCode)
        Assert.InRange(largestOf json, 0.0, 1e-6)
        let values = valuesOf json
        let bundle = Bundle.read folder |> Error.orRaise
        let columns = bundle.Card.Parameters.Length

        let engine =
            (Objective.ofLikelihood bundle.Likelihood).Values(bundle.Points, RunOptions.Single)

        let binding =
            Agreement.logDensities bundle.Onnx columns bundle.Points |> Error.orRaise

        Assert.InRange(Agreement.largest values engine, 0.0, 1e-6)
        Assert.InRange(Agreement.largest values binding, 0.0, 1e-6))

[<NodeFact>]
let ``a spoiled test vector, and a spoiled point, are found by node`` () =
    let spoil (file: string) (by: float) : unit =
        BundleTests.withBundle false BundleTests.values.Value (fun folder ->
            let path = Path.Combine(folder, file)
            let array = Npy.readFloats path |> Error.orRaise
            let at = array.Values.Length - 1

            let spoiled =
                array.Values
                |> Array.mapi (fun i v -> if i = at then v + by * (1.0 + abs v) else v)

            Npy.writeFloats path { array with Values = spoiled } |> Error.orRaise
            let exitCode, json = check folder
            Assert.Equal(1, exitCode)
            Assert.InRange(largestOf json, 2e-6, 1.0))

    spoil "values.npy" 1e-4
    spoil "points.npy" 0.1
