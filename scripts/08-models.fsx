// The examples of docs/models.md: files stand in blocks `json FILE`, and blocks `console` show commands and what they print. Each
// command is run, in the order of the page, and must print what stands below it.

#load "prelude.fsx"

open System
open System.IO
open System.Text
open FunLik

let page =
    Path.GetFullPath(Path.Combine(__SOURCE_DIRECTORY__, "..", "docs", "models.md"))

/// The blocks of a page: what stands behind the fence, and the lines inside.
let blocks: (string * string list) list =
    let step
        (found: (string * string list) list, inside: (string * string list) option)
        (line: string)
        =
        match inside with
        | None when line.StartsWith "```" -> found, Some(line.Substring(3).Trim(), [])
        | None -> found, None
        | Some(name, lines) when line.StartsWith "```" -> (name, List.rev lines) :: found, None
        | Some(name, lines) -> found, Some(name, line :: lines)

    File.ReadAllLines page |> Array.fold step ([], None) |> fst |> List.rev

let context: VerbContext =
    {
        Options = RunOptions.Single
        Progress = ignore
        Clock = fun () -> DateTimeOffset.UnixEpoch
    }

let printed (command: string) : string list =
    let words =
        command.Split(' ', StringSplitOptions.RemoveEmptyEntries) |> List.ofArray

    let outcome = Commands.run context words.Tail
    use output = new MemoryStream()
    outcome.Output output

    let lines =
        Encoding.UTF8.GetString(output.ToArray()).Split('\n')
        |> Array.map _.TrimEnd()
        |> List.ofArray

    (lines @ outcome.Messages) |> List.filter (fun line -> line <> "")

let folder = Directory.CreateTempSubdirectory "funlik-models-"
let home = Environment.CurrentDirectory
let mutable commands = 0

let run (lines: string list) : unit =
    // A command, and the lines up to the next one.
    let rec go (rest: string list) : unit =
        match rest with
        | [] -> ()
        | command :: after ->
            let expected = after |> List.takeWhile (fun line -> not (line.StartsWith "$ "))
            let found = printed (command.Substring 2)
            commands <- commands + 1

            if found <> List.filter (fun line -> line <> "") expected then
                failwith $"""{page}: {command} prints{"\n"}{String.concat "\n" found}"""

            go (after |> List.skip expected.Length)

    go lines

try
    Environment.CurrentDirectory <- folder.FullName

    for name, lines in blocks do
        match name.Split ' ' with
        | [| "json"; file |] -> File.WriteAllText(file, String.concat "\n" lines)
        | [| "console" |] -> run lines
        | _ -> ()
finally
    Environment.CurrentDirectory <- home
    folder.Delete true

if commands = 0 then
    failwith $"{page} shows no command"

printfn $"docs/models.md: {commands} commands print what the page says"
