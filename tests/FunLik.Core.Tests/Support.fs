namespace FunLik.Tests

open System
open System.IO
open Xunit

/// Where the tests find files: the project's own, and those of the shared folder beside it.
[<RequireQualifiedAccess>]
module Support =

    /// The project's root: the nearest folder above the test assembly that holds FunLik.sln.
    let root: string =
        let rec climb (folder: DirectoryInfo) =
            if isNull folder then
                invalidOp $"FunLik.sln is in no folder above {AppContext.BaseDirectory}"
            elif File.Exists(Path.Combine(folder.FullName, "FunLik.sln")) then
                folder.FullName
            else
                climb folder.Parent

        climb (DirectoryInfo AppContext.BaseDirectory)

    /// The full path of a file or folder of ../shared, named relative to it, or None where it is absent.
    let shared (path: string) : string option =
        let full = Path.GetFullPath(Path.Combine(root, "..", "shared", path))

        if File.Exists full || Directory.Exists full then
            Some full
        else
            None

    /// The full path of a file or folder of ../shared that is there: for tests marked `SharedFact`.
    let sharedFile (path: string) : string =
        match shared path with
        | Some full -> full
        | None -> invalidOp $"../shared/{path} is not here: mark the test SharedFact(\"{path}\")"

    /// Why a test that needs these files of ../shared is skipped; null (run it) when all are there.
    let whySkip (paths: string list) : string =
        paths
        |> List.tryFind (shared >> Option.isNone)
        |> Option.map (fun path -> $"needs ../shared/{path}, which is not here")
        |> Option.toObj

/// A fact that reads a file of ../shared, and is skipped with a plain message where that is absent.
[<AttributeUsage(AttributeTargets.Method)>]
type SharedFactAttribute(path: string) =
    inherit FactAttribute(Skip = Support.whySkip [ path ])

/// A theory that reads a file of ../shared, and is skipped with a plain message where that is absent.
[<AttributeUsage(AttributeTargets.Method)>]
type SharedTheoryAttribute(path: string) =
    inherit TheoryAttribute(Skip = Support.whySkip [ path ])
