namespace FunLik

open System
open System.Numerics
open System.Reflection
open System.Runtime.CompilerServices
open System.Runtime.Intrinsics
open FSharp.NativeInterop

/// What loops made at run time do with registers beyond the framework's intrinsics.
[<AbstractClass; Sealed>]
type internal Register<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>> =

    /// The sum over the lanes, as one number.
    static member StoreSum(v: Vector512<'T>, p: nativeint) : unit =
        NativePtr.write (NativePtr.ofNativeInt<'T> p) (Vector512.Sum v)

    /// v in the first `count` lanes, else 0.
    static member First(v: Vector512<'T>, count: int) : Vector512<'T> =
        let mutable kept = Vector512<'T>.Zero

        for i in 0 .. count - 1 do
            kept <- kept.WithElement(i, v.GetElement i)

        kept

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member MaskedMul(a: Vector512<'T>, b: Vector512<'T>) : Vector512<'T> =
        Vector512.AndNot(Vector512.Multiply(a, b), Vector512.Equals(a, Vector512<'T>.Zero))

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Less(a: Vector512<'T>, b: Vector512<'T>) : Vector512<'T> =
        Vector512.BitwiseAnd(Vector512.LessThan(a, b), Vector512<'T>.One)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Select(c: Vector512<'T>, a: Vector512<'T>, b: Vector512<'T>) : Vector512<'T> =
        Vector512.ConditionalSelect(Vector512.Equals(c, Vector512<'T>.Zero), b, a)

    [<MethodImpl(MethodImplOptions.AggressiveInlining)>]
    static member Sign(a: Vector512<'T>) : Vector512<'T> =
        let one, zero = Vector512<'T>.One, Vector512<'T>.Zero
        let above = Vector512.BitwiseAnd(Vector512.GreaterThan(a, zero), one)
        let below = Vector512.BitwiseAnd(Vector512.LessThan(a, zero), one)
        Vector512.ConditionalSelect(Vector512.Equals(a, a), Vector512.Subtract(above, below), a)

/// The methods that loops made at run time call, by short names.
module internal Registers =

    let private flags =
        BindingFlags.Static ||| BindingFlags.Public ||| BindingFlags.NonPublic

    /// The framework's intrinsic on registers of 'T: expanded by the JIT wherever it stands.
    let private intrinsic<'T> (name: string) (parameters: int) : MethodInfo =
        let isRegister (p: ParameterInfo) : bool =
            p.ParameterType.IsGenericType
            && p.ParameterType.GetGenericTypeDefinition() = typedefof<Vector512<_>>

        typeof<Vector512>.GetMethods()
        |> Array.find (fun m ->
            m.Name = name
            && m.IsGenericMethodDefinition
            && m.GetGenericArguments().Length = 1
            && m.GetParameters().Length = parameters
            && m.GetParameters() |> Array.forall isRegister)
        |> fun m -> m.MakeGenericMethod typeof<'T>

    let private onPointer<'T> (name: string) : MethodInfo =
        typeof<Vector512>.GetMethods()
        |> Array.find (fun m ->
            m.Name = name
            && m.IsGenericMethodDefinition
            && m.GetParameters() |> Array.exists (fun p -> p.ParameterType.IsPointer)
            && m.GetParameters().Length = (if name = "Load" then 1 else 2))
        |> fun m -> m.MakeGenericMethod typeof<'T>

    let private ofElement<'T> : MethodInfo =
        typeof<Vector512>.GetMethod("Create", [| typeof<'T> |])

    /// All of them, for one type of numbers.
    let methods<'T when 'T: unmanaged and 'T :> IFloatingPointIeee754<'T>> : Map<string, MethodInfo> =
        let register = typeof<Vector512<'T>>

        let own (name: string) : string * MethodInfo =
            name, typeof<Register<'T>>.GetMethod(name, flags)

        let function' (name: string) : MethodInfo =
            if Type.op_Equality (typeof<'T>, typeof<float>) then
                typeof<Elementary>.GetMethod(name, flags)
            else
                typeof<ElementarySingle>.GetMethod(name, flags)

        Map
            [
                "Load", onPointer<'T> "Load"
                "Store", onPointer<'T> "Store"
                "Splat", ofElement<'T>
                "Zero", register.GetProperty("Zero").GetMethod
                "One", register.GetProperty("One").GetMethod
                "Add", intrinsic<'T> "Add" 2
                "Sub", intrinsic<'T> "Subtract" 2
                "Mul", intrinsic<'T> "Multiply" 2
                "Div", intrinsic<'T> "Divide" 2
                "Neg", intrinsic<'T> "Negate" 1
                "Abs", intrinsic<'T> "Abs" 1
                "Sqrt", intrinsic<'T> "Sqrt" 1
                "Fma",
                typeof<Vector512>.GetMethod("FusedMultiplyAdd", [| register; register; register |])
                "Exp", function' "Exp"
                "Log", function' "Log"
                "Tanh", function' "Tanh"
                "Inverse", function' "Inverse"
                "Exponent", function' "Exponent"
                "Quotient", function' "Quotient"
                own "MaskedMul"
                own "Less"
                own "Select"
                own "Sign"
                own "First"
                own "StoreSum"
            ]
