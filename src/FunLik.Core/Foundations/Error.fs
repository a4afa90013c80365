namespace FunLik

open System
open System.Text

/// The closed set of things that a user can get wrong.
[<RequireQualifiedAccess>]
type ErrorKind =
    /// A command or function was asked for in a way that it does not understand.
    | Usage
    /// A file or folder is not there.
    | FileMissing
    /// A file is there and cannot be read or written.
    | FileUnreadable
    /// Text or bytes are not in the format they claim.
    | Syntax
    /// The format is right and a required part is missing, doubled or of the wrong type.
    | Schema
    /// A name is unknown, or known twice.
    | Name
    /// Arrays have sizes that do not go together.
    | Shape
    /// A number is outside of what it may be.
    | Value
    /// The request makes sense and this library does not do it.
    | Unsupported
    /// A size or a count is beyond a stated limit.
    | Limit
    /// The machine lacks something: a device, a library, a permission.
    | Environment

/// One mistake, with everything needed to find and mend it.
type Error =
    {
        /// Which sort of mistake it is.
        Kind: ErrorKind
        /// What is wrong: a clause without a full stop.
        Message: string
        /// The file in which it is.
        File: string option
        /// The place inside of the file or value: a JSON path, a line, a byte offset.
        Path: string option
        /// What stands there.
        Found: string option
        /// What should stand there.
        Expected: string option
        /// What to do about it: a full sentence.
        Hint: string option
    }

    /// The whole error on one line: where, what, found, expected, hint. Values longer than 80
    /// characters are cut, and control characters become spaces.
    override this.ToString() : string =
        let onOneLine (text: string) =
            String.map (fun c -> if Char.IsControl c then ' ' else c) text

        let shorten (text: string) =
            let line = onOneLine text

            if line.Length <= 80 then
                line
            else
                // Never half of a surrogate pair.
                let kept = if Char.IsHighSurrogate line[78] then 78 else 79
                line.Substring(0, kept) + "…"

        let line = StringBuilder()
        let add (text: string) = line.Append text |> ignore

        match this.File, this.Path with
        | Some file, Some path -> add $"{onOneLine file}, at {onOneLine path}: "
        | Some place, None
        | None, Some place -> add $"{onOneLine place}: "
        | None, None -> ()

        add (onOneLine this.Message)

        match this.Found, this.Expected with
        | Some found, Some expected -> add $": found {shorten found}, expected {shorten expected}"
        | Some found, None -> add $": found {shorten found}"
        | None, Some expected -> add $": expected {shorten expected}"
        | None, None -> ()

        this.Hint |> Option.iter (fun hint -> add $". {onOneLine hint}")
        line.ToString()

/// Carries errors to callers who prefer exceptions; its message has one error on each line.
exception FunLikException of Errors: Error list with
    override this.Message: string = this.Errors |> List.map string |> String.concat "\n"

/// Making, describing and gathering errors.
[<RequireQualifiedAccess>]
module Error =

    /// The stable name of a kind, in lower case with hyphens: `file-missing`.
    let kindName (kind: ErrorKind) : string =
        match kind with
        | ErrorKind.Usage -> "usage"
        | ErrorKind.FileMissing -> "file-missing"
        | ErrorKind.FileUnreadable -> "file-unreadable"
        | ErrorKind.Syntax -> "syntax"
        | ErrorKind.Schema -> "schema"
        | ErrorKind.Name -> "name"
        | ErrorKind.Shape -> "shape"
        | ErrorKind.Value -> "value"
        | ErrorKind.Unsupported -> "unsupported"
        | ErrorKind.Limit -> "limit"
        | ErrorKind.Environment -> "environment"

    /// An error that says what is wrong and nothing yet of where.
    let make (kind: ErrorKind) (message: string) : Error =
        {
            Kind = kind
            Message = message
            File = None
            Path = None
            Found = None
            Expected = None
            Hint = None
        }

    /// Says which file the error is in.
    let withFile (file: string) (error: Error) : Error = { error with File = Some file }

    /// Says where it is inside of the file or value: a JSON path, a line, a byte offset.
    let at (path: string) (error: Error) : Error = { error with Path = Some path }

    /// Says what stands there.
    let found (value: string) (error: Error) : Error = { error with Found = Some value }

    /// Says what should stand there.
    let expected (value: string) (error: Error) : Error = { error with Expected = Some value }

    /// Says what to do about it, in a full sentence.
    let hint (advice: string) (error: Error) : Error = { error with Hint = Some advice }

    /// The whole error on one line: where, what, found, expected, hint. Values longer than 80
    /// characters are cut.
    let describe (error: Error) : string = error.ToString()

    /// One error as a failed result.
    let fail (error: Error) : Result<'T, Error list> = Result.Error [ error ]

    /// The value, or a `FunLikException` with all the errors.
    let orRaise (result: Result<'T, Error list>) : 'T =
        match result with
        | Ok value -> value
        | Result.Error errors -> raise (FunLikException errors)

    /// All the values in order, or the errors of all the failures in order.
    let collect (results: Result<'T, Error list> list) : Result<'T list, Error list> =
        let failures =
            results
            |> List.collect (function
                | Ok _ -> []
                | Result.Error errors -> errors)

        if failures.IsEmpty then
            Ok(results |> List.map orRaise)
        else
            Result.Error failures

/// Combines independent checks, so that the user hears of all failures at once.
[<RequireQualifiedAccess>]
module Validation =

    /// Applies a checked function to a checked value; errors of both are kept, in order.
    let apply
        (argument: Result<'A, Error list>)
        (func: Result<'A -> 'B, Error list>)
        : Result<'B, Error list> =
        match func, argument with
        | Ok f, Ok a -> Ok(f a)
        | Result.Error first, Result.Error second -> Result.Error(first @ second)
        | Result.Error errors, Ok _
        | Ok _, Result.Error errors -> Result.Error errors

    /// Combines two checked values.
    let map2
        (combine: 'A -> 'B -> 'C)
        (a: Result<'A, Error list>)
        (b: Result<'B, Error list>)
        : Result<'C, Error list> =
        Result.map combine a |> apply b

    /// Combines three checked values.
    let map3
        (combine: 'A -> 'B -> 'C -> 'D)
        (a: Result<'A, Error list>)
        (b: Result<'B, Error list>)
        (c: Result<'C, Error list>)
        : Result<'D, Error list> =
        Result.map combine a |> apply b |> apply c

    /// Succeeds with nothing to say if the condition holds, and fails with the error if not.
    let require (condition: bool) (error: Error) : Result<unit, Error list> =
        if condition then Ok() else Error.fail error

/// Steps that may fail, one after the other: `result { let! a = first in return a }` ends at the first that does.
[<Sealed>]
type ResultBuilder internal () =
    member _.Return(value: 'T) : Result<'T, Error list> = Ok value
    member _.ReturnFrom(result: Result<'T, Error list>) : Result<'T, Error list> = result

    member _.Bind
        (result: Result<'A, Error list>, next: 'A -> Result<'B, Error list>)
        : Result<'B, Error list> =
        Result.bind next result

    member _.Zero() : Result<unit, Error list> = Ok()

/// Steps that may fail.
[<AutoOpen>]
module ResultBuilder =

    /// Steps that may fail, one after the other; the errors are those of the first that does.
    let result: ResultBuilder = ResultBuilder()
