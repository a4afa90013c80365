namespace FunLik

open System
open System.IO
open System.Text

/// Turns what can go wrong with files into errors.
[<RequireQualifiedAccess>]
module FileError =

    /// Runs an action on a file, and reports the operating system's refusals as errors that name
    /// it: `FileMissing` for a file or folder that is not there, `FileUnreadable` for the rest,
    /// `Usage` for what cannot be a path.
    let guard (path: string) (action: unit -> Result<'T, Error list>) : Result<'T, Error list> =
        let refuse (kind: ErrorKind) (message: string) : Result<'T, Error list> =
            Error.make kind message |> Error.withFile path |> Error.fail

        try
            if String.IsNullOrWhiteSpace path || path.Contains '\000' then
                Error.make ErrorKind.Usage "not a path of a file"
                |> Error.found $"\"{path}\""
                |> Error.fail
            else
                action ()
        with
        | :? FileNotFoundException -> refuse ErrorKind.FileMissing "the file is not there"
        | :? DirectoryNotFoundException -> refuse ErrorKind.FileMissing "the folder is not there"
        | :? UnauthorizedAccessException when Directory.Exists path ->
            refuse ErrorKind.FileUnreadable "a folder, and not a file"
        | :? UnauthorizedAccessException as e -> refuse ErrorKind.FileUnreadable e.Message
        | :? NotSupportedException -> refuse ErrorKind.FileUnreadable "not a regular file"
        | :? IOException as e -> refuse ErrorKind.FileUnreadable e.Message

/// Files that are there whole or not at all.
[<RequireQualifiedAccess>]
module AtomicFile =

    /// Writes a file beside `path`, flushes it to disk, and renames it to `path`. When `fill` fails
    /// or throws, or the disk refuses, what stood at `path` still does and nothing else is left.
    /// Of several writers of one path the last to finish wins. The folder must be there.
    let write (path: string) (fill: Stream -> Result<'T, Error list>) : Result<'T, Error list> =
        FileError.guard path (fun () ->
            let target = Path.GetFullPath path
            let folder = Path.GetDirectoryName target
            let beside = Path.Combine(folder, $".{Guid.NewGuid():N}.tmp")
            let mutable renamed = false

            try
                let filled =
                    use stream = new FileStream(beside, FileMode.CreateNew, FileAccess.ReadWrite)

                    fill stream
                    |> Result.map (fun value ->
                        stream.Flush true
                        value)

                if filled.IsOk then
                    File.Move(beside, target, overwrite = true)
                    renamed <- true

                filled
            finally
                if not renamed then
                    File.Delete beside)

    /// Writes a text in UTF-8 without a byte order mark, whole or not at all.
    let writeText (path: string) (text: string) : Result<unit, Error list> =
        let bytes = UTF8Encoding(false).GetBytes text
        write path (fun stream -> Ok(stream.Write(bytes, 0, bytes.Length)))
