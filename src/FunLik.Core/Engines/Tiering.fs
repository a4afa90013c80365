namespace FunLik

open System
open System.Threading

/// Whether the just-in-time compiler starts with unoptimised code. The inner loops of the engines are optimised from their first call; what
/// calls them is not, and takes up to four times as long for half a second, until the compiler returns to it.
[<RequireQualifiedAccess>]
module Tiering =

    /// What to do about it, in one line.
    let advice: string =
        "quick JIT is on, so evaluations may be 4 times slower in the first second: set DOTNET_TC_QuickJit=0, or "
        + "<TieredCompilationQuickJit>false</TieredCompilationQuickJit> in the project of the executable"

    /// Decides from environment variables and the runtime's configuration, which they override; both by name, null where not set.
    let decide (variable: string -> string) (configured: string -> obj) : bool =
        let isOn (name: string) (key: string) : bool =
            let set =
                [ $"DOTNET_{name}"; $"COMPlus_{name}" ]
                |> List.map variable
                |> List.tryFind (fun value -> not (String.IsNullOrWhiteSpace value))

            match set, configured key with
            | Some value, _ -> value.Trim().TrimStart('0') <> ""
            | None, (:? bool as value) -> value
            | None, (:? string as value) ->
                not (value.Equals("false", StringComparison.OrdinalIgnoreCase))
            | None, _ -> true

        isOn "TieredCompilation" "System.Runtime.TieredCompilation"
        && isOn "TC_QuickJit" "System.Runtime.TieredCompilation.QuickJit"

    /// Whether it is so in this process.
    let quickJitIsOn () : bool = decide Environment.GetEnvironmentVariable AppContext.GetData

    let private advised = Event<string>()
    let mutable private compiled = 0

    /// Raised with the advice at the first compilation of a program in this process, if quick JIT is on: for hosts and scripts,
    /// which know where to say it.
    let onAdvice: IEvent<string> = advised.Publish

    /// An engine compiles a program.
    let internal compiling () : unit =
        if Interlocked.Exchange(&compiled, 1) = 0 && quickJitIsOn () then
            advised.Trigger advice
