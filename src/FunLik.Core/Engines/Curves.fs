namespace FunLik

open System.Runtime.Intrinsics

/// Register functions of the primitives that are curves, for both precisions.
module internal Curves =

    [<Struct>]
    type Exp<'T> =
        interface IMap1<'T> with
            member _.Of a =
                if sizeof<'T> = sizeof<float> then
                    (Elementary.Exp(a.As<'T, float>())).As<float, 'T>()
                else
                    (ElementarySingle.Exp(a.As<'T, float32>())).As<float32, 'T>()

    [<Struct>]
    type Log<'T> =
        interface IMap1<'T> with
            member _.Of a =
                if sizeof<'T> = sizeof<float> then
                    (Elementary.Log(a.As<'T, float>())).As<float, 'T>()
                else
                    (ElementarySingle.Log(a.As<'T, float32>())).As<float32, 'T>()

    [<Struct>]
    type Tanh<'T> =
        interface IMap1<'T> with
            member _.Of a =
                if sizeof<'T> = sizeof<float> then
                    (Elementary.Tanh(a.As<'T, float>())).As<float, 'T>()
                else
                    (ElementarySingle.Tanh(a.As<'T, float32>())).As<float32, 'T>()

    [<Struct>]
    type Sin<'T> =
        interface IMap1<'T> with
            member _.Of a =
                if sizeof<'T> = sizeof<float> then
                    (Trigonometry.Sin(a.As<'T, float>())).As<float, 'T>()
                else
                    (Trigonometry.Sin(a.As<'T, float32>())).As<float32, 'T>()

    [<Struct>]
    type Cos<'T> =
        interface IMap1<'T> with
            member _.Of a =
                if sizeof<'T> = sizeof<float> then
                    (Trigonometry.Cos(a.As<'T, float>())).As<float, 'T>()
                else
                    (Trigonometry.Cos(a.As<'T, float32>())).As<float32, 'T>()
