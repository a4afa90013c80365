namespace FunLik

open System.IO

/// What a verb has to say at its end: for machines and for people.
type Report =
    {
        /// Whether everything that was to converge did.
        Converged: bool
        /// The one JSON object.
        Json: JsonValue
        /// The lines for people.
        Text: string list
        /// What the user should know besides, one line each.
        Notes: string list
    }

/// How far a verb is.
type Progress =
    {
        /// What is being done: "evaluating".
        Stage: string
        /// How much of it is done.
        Done: int64
        /// How much there is; 0 where nobody knows.
        Total: int64
    }

/// What a verb needs to know of the process in which it runs.
type VerbContext =
    {
        /// Threads and cancellation.
        Options: RunOptions
        /// Is told how far the work is, once a step.
        Progress: Progress -> unit
        /// The time now, for logs; no result depends on it.
        Clock: unit -> System.DateTimeOffset
    }

/// Reports and errors in the form that machines read.
[<RequireQualifiedAccess>]
module Report =

    let private errorJson (kind: string) (error: Error) : JsonValue =
        JsonValue.Object
            [
                "kind", JsonValue.Text kind
                "message", JsonValue.Text error.Message
                "file", JsonValue.ofOption JsonValue.Text error.File
                "path", JsonValue.ofOption JsonValue.Text error.Path
                "found", JsonValue.ofOption JsonValue.Text error.Found
                "expected", JsonValue.ofOption JsonValue.Text error.Expected
                "hint", JsonValue.ofOption JsonValue.Text error.Hint
            ]

    /// Errors as one object: the first as "error"; all of them as "errors" where there are several.
    let ofErrors (errors: Error list) : JsonValue =
        let all = errors |> List.map (fun e -> errorJson (Error.kindName e.Kind) e)

        JsonValue.Object(
            [ "error", List.head all ]
            @ (if all.Length > 1 then
                   [ "errors", JsonValue.List all ]
               else
                   [])
        )

    /// What ended a verb and was nobody's bad input ("cancelled", "internal"), in the form of an error.
    let ofEnding (kind: string) (message: string) : JsonValue =
        JsonValue.Object [ "error", errorJson kind (Error.make ErrorKind.Environment message) ]

    /// Writes an object on one line.
    let write (stream: Stream) (json: JsonValue) : unit = JsonValue.writeLine stream json
