namespace FunLik

open System
open System.Globalization
open Argu

/// Values of options: read, or refused with the option's name.
module internal ArgumentValues =

    let wrong (place: string) (message: string) : Error =
        Error.make ErrorKind.Usage message |> Error.at place

    /// Argu's message without the word ERROR and the usage below it.
    let firstLine (message: string) : string =
        let line = message.Split('\n').[0].Trim()

        if line.StartsWith "ERROR: " then line.Substring 7 else line

    /// The options of one kind among the arguments; unless strict, others may stand between them.
    let extract<'T when 'T :> IArgParserTemplate>
        (command: string)
        (strict: bool)
        (arguments: string list)
        : Result<ParseResults<'T>, Error list> =
        try
            ArgumentParser
                .Create<'T>(programName = command)
                .ParseCommandLine(
                    List.toArray arguments,
                    ignoreUnrecognized = not strict,
                    raiseOnUsage = false
                )
            |> Ok
        with :? ArguParseException as e ->
            wrong command (firstLine e.Message) |> Error.fail

    let text (option: string) (value: string) : Result<string, Error list> =
        if String.IsNullOrWhiteSpace value || value.StartsWith "--" then
            wrong option "the option needs a value"
            |> Error.found $"\"{value}\""
            |> Error.fail
        else
            Ok value

    let number (option: string) (value: string) : Result<float, Error list> =
        match Double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture) with
        | true, x when Double.IsFinite x -> Ok x
        | _ ->
            wrong option "not a number"
            |> Error.found value
            |> Error.expected "a finite number, such as 0.5 or -1e-3"
            |> Error.fail

    let whole (option: string) (least: int) (value: string) : Result<int, Error list> =
        match Int32.TryParse(value, NumberStyles.None, CultureInfo.InvariantCulture) with
        | true, n when n >= least -> Ok n
        | _ ->
            wrong option "not a usable count"
            |> Error.found value
            |> Error.expected $"a whole number from {least} on"
            |> Error.fail

    let required (option: string) (value: 'T option) : Result<'T, Error list> =
        match value with
        | Some v -> Ok v
        | None -> wrong option "the option is missing" |> Error.fail

    let optional
        (read: 'A -> Result<'B, Error list>)
        (value: 'A option)
        : Result<'B option, Error list> =
        match value with
        | Some v -> read v |> Result.map Some
        | None -> Ok None

    /// "NAME=VALUE": the last sign of equality separates.
    let assignment (option: string) (given: string) : Result<string * float, Error list> =
        match given.LastIndexOf '=' with
        | k when k > 0 ->
            number $"{option} {given.Substring(0, k)}" (given.Substring(k + 1))
            |> Result.map (fun value -> given.Substring(0, k), value)
        | _ ->
            wrong option "not an assignment"
            |> Error.found given
            |> Error.expected "NAME=VALUE"
            |> Error.fail

    let unique
        (option: string)
        (values: (string * 'T) list)
        : Result<(string * 'T) list, Error list> =
        let doubled =
            values
            |> List.countBy fst
            |> List.filter (fun (_, n) -> n > 1)
            |> List.map (fun (name, n) -> wrong option $"'{name}' is given {n} times")

        if doubled.IsEmpty then Ok values else Result.Error doubled
