namespace FunLik

open System
open System.Numerics
open System.Runtime.CompilerServices
open System.Runtime.Intrinsics
open FSharp.NativeInterop

/// An element-by-element function of one vector register. Implemented by structs, so that loops are compiled for each.
type internal IMap1<'T> =
    abstract Of: Vector512<'T> -> Vector512<'T>

/// An element-by-element function of two vector registers.
type internal IMap2<'T> =
    abstract Of: Vector512<'T> * Vector512<'T> -> Vector512<'T>

/// What one vector register holds of an operand during a loop.
[<RequireQualifiedAccess>]
type internal Access =
    /// One element behind the other.
    | Flat = 0
    /// One lane vector for all features.
    | Lanes = 1
    /// One number a feature, for all lanes.
    | Features = 2
    /// One number.
    | Uniform = 3

/// Register functions of the primitives.
module internal Maps =

    let inline one<'T> : Vector512<'T> = Vector512<'T>.One
    let inline zero<'T> : Vector512<'T> = Vector512<'T>.Zero

    [<Struct>]
    type Add<'T> =
        interface IMap2<'T> with
            member _.Of(a, b) = Vector512.Add(a, b)

    [<Struct>]
    type Sub<'T> =
        interface IMap2<'T> with
            member _.Of(a, b) = Vector512.Subtract(a, b)

    [<Struct>]
    type Mul<'T> =
        interface IMap2<'T> with
            member _.Of(a, b) = Vector512.Multiply(a, b)

    [<Struct>]
    type Div<'T> =
        interface IMap2<'T> with
            member _.Of(a, b) = Vector512.Divide(a, b)

    [<Struct>]
    type MaskedMul<'T> =
        interface IMap2<'T> with
            member _.Of(a, b) =
                Vector512.AndNot(Vector512.Multiply(a, b), Vector512.Equals(a, zero<'T>))

    [<Struct>]
    type Less<'T> =
        interface IMap2<'T> with
            member _.Of(a, b) = Vector512.BitwiseAnd(Vector512.LessThan(a, b), one<'T>)

    [<Struct>]
    type Neg<'T> =
        interface IMap1<'T> with
            member _.Of a = Vector512.Negate a

    [<Struct>]
    type Abs<'T> =
        interface IMap1<'T> with
            member _.Of a = Vector512.Abs a

    [<Struct>]
    type Sqrt<'T> =
        interface IMap1<'T> with
            member _.Of a = Vector512.Sqrt a

    [<Struct>]
    type Sign<'T> =
        interface IMap1<'T> with
            member _.Of a =
                let above = Vector512.BitwiseAnd(Vector512.GreaterThan(a, zero<'T>), one<'T>)
                let below = Vector512.BitwiseAnd(Vector512.LessThan(a, zero<'T>), one<'T>)
                let known = Vector512.Equals(a, a)
                Vector512.ConditionalSelect(known, Vector512.Subtract(above, below), a)

    [<Struct>]
    type Copy<'T> =
        interface IMap1<'T> with
            member _.Of a = a

/// Loops over tiles: `features` rows of `lanes` numbers, a whole number of registers long. A tile of one lane is a vector, padded to
/// whole registers.
module internal Lanes =

    let inline private load (p: nativeptr<'T>) (i: int) : Vector512<'T> =
        Vector512.Load(NativePtr.add p i)

    let inline private store (p: nativeptr<'T>) (i: int) (v: Vector512<'T>) : unit =
        Vector512.Store(v, NativePtr.add p i)

    let inline private splat (p: nativeptr<'T>) (i: int) : Vector512<'T> =
        Vector512.Create(NativePtr.get p i)

    /// out = f(a), `count` elements, a whole number of registers.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let map1<'T, 'F when 'T: unmanaged and 'F: struct and 'F :> IMap1<'T>>
        (count: int, a: nativeptr<'T>, out: nativeptr<'T>)
        : unit =
        let f = Unchecked.defaultof<'F>
        let mutable i = 0

        while i < count do
            store out i (f.Of(load a i))
            i <- i + Vector512<'T>.Count

    let inline private fetch
        (p: nativeptr<'T>)
        (access: Access)
        (lanes: int)
        (feature: int)
        (lane: int)
        : Vector512<'T> =
        match access with
        | Access.Flat -> load p (feature * lanes + lane)
        | Access.Lanes -> load p lane
        | Access.Features -> splat p feature
        | _ -> splat p 0

    /// out = f(a, b) over features x lanes.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let map2<'T, 'F when 'T: unmanaged and 'F: struct and 'F :> IMap2<'T>>
        (
            features: int,
            lanes: int,
            a: nativeptr<'T>,
            accessA: Access,
            b: nativeptr<'T>,
            accessB: Access,
            out: nativeptr<'T>
        ) : unit =
        let f = Unchecked.defaultof<'F>
        let width = Vector512<'T>.Count
        let total = features * lanes

        if accessA = Access.Flat && accessB = Access.Flat then
            let mutable i = 0

            while i < total do
                store out i (f.Of(load a i, load b i))
                i <- i + width
        elif accessA = Access.Uniform && accessB = Access.Flat then
            let va = splat a 0
            let mutable i = 0

            while i < total do
                store out i (f.Of(va, load b i))
                i <- i + width
        elif accessB = Access.Uniform && accessA = Access.Flat then
            let vb = splat b 0
            let mutable i = 0

            while i < total do
                store out i (f.Of(load a i, vb))
                i <- i + width
        elif accessA = Access.Features && accessB <= Access.Lanes then
            let stepB = if accessB = Access.Flat then lanes else 0

            for k in 0 .. features - 1 do
                let va = splat a k
                let pb = NativePtr.add b (k * stepB)
                let po = NativePtr.add out (k * lanes)
                let mutable i = 0

                while i < lanes do
                    store po i (f.Of(va, load pb i))
                    i <- i + width
        elif accessB = Access.Features && accessA <= Access.Lanes then
            let stepA = if accessA = Access.Flat then lanes else 0

            for k in 0 .. features - 1 do
                let vb = splat b k
                let pa = NativePtr.add a (k * stepA)
                let po = NativePtr.add out (k * lanes)
                let mutable i = 0

                while i < lanes do
                    store po i (f.Of(load pa i, vb))
                    i <- i + width
        elif accessA <= Access.Lanes && accessB <= Access.Lanes then
            let stepA = if accessA = Access.Flat then lanes else 0
            let stepB = if accessB = Access.Flat then lanes else 0

            for k in 0 .. features - 1 do
                let pa = NativePtr.add a (k * stepA)
                let pb = NativePtr.add b (k * stepB)
                let po = NativePtr.add out (k * lanes)
                let mutable i = 0

                while i < lanes do
                    store po i (f.Of(load pa i, load pb i))
                    i <- i + width
        else
            for k in 0 .. features - 1 do
                let mutable i = 0

                while i < lanes do
                    store
                        out
                        (k * lanes + i)
                        (f.Of(fetch a accessA lanes k i, fetch b accessB lanes k i))

                    i <- i + width

    /// out = a where c is not 0, else b.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let select<'T when 'T: unmanaged>
        (
            features: int,
            lanes: int,
            c: nativeptr<'T>,
            accessC: Access,
            a: nativeptr<'T>,
            accessA: Access,
            b: nativeptr<'T>,
            accessB: Access,
            out: nativeptr<'T>
        ) : unit =
        for k in 0 .. features - 1 do
            let mutable i = 0

            while i < lanes do
                let isZero = Vector512.Equals(fetch c accessC lanes k i, Vector512<'T>.Zero)
                let va = fetch a accessA lanes k i
                let vb = fetch b accessB lanes k i
                store out (k * lanes + i) (Vector512.ConditionalSelect(isZero, vb, va))
                i <- i + Vector512<'T>.Count

    /// Expands an operand to features x lanes.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let expand<'T when 'T: unmanaged>
        (features: int, lanes: int, a: nativeptr<'T>, access: Access, out: nativeptr<'T>)
        : unit =
        for k in 0 .. features - 1 do
            let mutable i = 0

            while i < lanes do
                store out (k * lanes + i) (fetch a access lanes k i)
                i <- i + Vector512<'T>.Count

    /// out[lane] = Σ_feature f(a, b): no more than a read of each.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let sum2<'T, 'F when 'T: unmanaged and 'F: struct and 'F :> IMap2<'T>>
        (
            features: int,
            lanes: int,
            a: nativeptr<'T>,
            accessA: Access,
            b: nativeptr<'T>,
            accessB: Access,
            out: nativeptr<'T>
        ) : unit =
        let f = Unchecked.defaultof<'F>
        let width = Vector512<'T>.Count
        let mutable i = 0

        while i < lanes do
            if i + 4 * width <= lanes && accessB = Access.Flat && accessA <> Access.Uniform then
                let mutable s0 = Vector512<'T>.Zero
                let mutable s1 = Vector512<'T>.Zero
                let mutable s2 = Vector512<'T>.Zero
                let mutable s3 = Vector512<'T>.Zero

                if accessA = Access.Features then
                    for k in 0 .. features - 1 do
                        let va = splat a k
                        let pb = NativePtr.add b (k * lanes + i)
                        s0 <- Vector512.Add(s0, f.Of(va, load pb 0))
                        s1 <- Vector512.Add(s1, f.Of(va, load pb width))
                        s2 <- Vector512.Add(s2, f.Of(va, load pb (2 * width)))
                        s3 <- Vector512.Add(s3, f.Of(va, load pb (3 * width)))
                else
                    let step = if accessA = Access.Flat then lanes else 0

                    for k in 0 .. features - 1 do
                        let pa = NativePtr.add a (k * step + i)
                        let pb = NativePtr.add b (k * lanes + i)
                        s0 <- Vector512.Add(s0, f.Of(load pa 0, load pb 0))
                        s1 <- Vector512.Add(s1, f.Of(load pa width, load pb width))
                        s2 <- Vector512.Add(s2, f.Of(load pa (2 * width), load pb (2 * width)))
                        s3 <- Vector512.Add(s3, f.Of(load pa (3 * width), load pb (3 * width)))

                store out i s0
                store out (i + width) s1
                store out (i + 2 * width) s2
                store out (i + 3 * width) s3
                i <- i + 4 * width
            else
                let mutable s = Vector512<'T>.Zero

                for k in 0 .. features - 1 do
                    s <-
                        Vector512.Add(s, f.Of(fetch a accessA lanes k i, fetch b accessB lanes k i))

                store out i s
                i <- i + width

    /// Σ f(a_k, b_k) over vectors of `count` numbers, in one fixed order.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let sum2Vector<'T, 'F
        when 'T: unmanaged and 'F: struct and 'F :> IMap2<'T> and 'T :> INumberBase<'T>>
        (count: int, a: nativeptr<'T>, accessA: Access, b: nativeptr<'T>, accessB: Access)
        : 'T =
        let f = Unchecked.defaultof<'F>
        let width = Vector512<'T>.Count
        let mutable s = Vector512<'T>.Zero
        let mutable i = 0

        while i + width <= count do
            let va = if accessA = Access.Flat then load a i else splat a 0
            let vb = if accessB = Access.Flat then load b i else splat b 0
            s <- Vector512.Add(s, f.Of(va, vb))
            i <- i + width

        let mutable total = Vector512.Sum s

        while i < count do
            let va = if accessA = Access.Flat then splat a i else splat a 0
            let vb = if accessB = Access.Flat then splat b i else splat b 0
            total <- total + f.Of(va, vb).ToScalar()
            i <- i + 1

        total

    /// out[lane] = Σ_feature a.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let sum1<'T when 'T: unmanaged>
        (features: int, lanes: int, a: nativeptr<'T>, out: nativeptr<'T>)
        : unit =
        let width = Vector512<'T>.Count
        let mutable i = 0

        while i < lanes do
            let p = NativePtr.add a i

            if i + 4 * width <= lanes then
                let mutable s0 = Vector512<'T>.Zero
                let mutable s1 = Vector512<'T>.Zero
                let mutable s2 = Vector512<'T>.Zero
                let mutable s3 = Vector512<'T>.Zero

                for k in 0 .. features - 1 do
                    let row = NativePtr.add p (k * lanes)
                    s0 <- Vector512.Add(s0, load row 0)
                    s1 <- Vector512.Add(s1, load row width)
                    s2 <- Vector512.Add(s2, load row (2 * width))
                    s3 <- Vector512.Add(s3, load row (3 * width))

                store out i s0
                store out (i + width) s1
                store out (i + 2 * width) s2
                store out (i + 3 * width) s3
                i <- i + 4 * width
            else
                let mutable s = Vector512<'T>.Zero

                for k in 0 .. features - 1 do
                    s <- Vector512.Add(s, load p (k * lanes))

                store out i s
                i <- i + width

    /// out[indices[k]] = Σ a[k], feature by feature; neighbours of one index are added up in a register.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let scatter<'T when 'T: unmanaged>
        (indices: int[], length: int, lanes: int, a: nativeptr<'T>, out: nativeptr<'T>)
        : unit =
        let width = Vector512<'T>.Count
        let mutable i = 0

        while i < lanes do
            for k in 0 .. length - 1 do
                store out (k * lanes + i) Vector512<'T>.Zero

            let mutable k = 0

            while k < indices.Length do
                let index = indices[k]
                let mutable s = load out (index * lanes + i)

                while k < indices.Length && indices[k] = index do
                    s <- Vector512.Add(s, load a (k * lanes + i))
                    k <- k + 1

                store out (index * lanes + i) s

            i <- i + width

    /// a to an integer power, `count` elements.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let power<'T when 'T: unmanaged>
        (exponent: int, count: int, a: nativeptr<'T>, out: nativeptr<'T>)
        : unit =
        let mutable i = 0

        while i < count do
            let mutable b = load a i
            let mutable acc = Vector512<'T>.One
            let mutable n = abs exponent

            while n > 0 do
                if n % 2 = 1 then
                    acc <- Vector512.Multiply(acc, b)

                b <- Vector512.Multiply(b, b)
                n <- n / 2

            store
                out
                i
                (if exponent < 0 then
                     Vector512.Divide(Vector512<'T>.One, acc)
                 else
                     acc)

            i <- i + Vector512<'T>.Count

    /// out = max over features of a.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let maximum<'T when 'T: unmanaged>
        (features: int, lanes: int, a: nativeptr<'T>, out: nativeptr<'T>)
        : unit =
        let mutable i = 0

        while i < lanes do
            let mutable m = load a i

            for k in 1 .. features - 1 do
                m <- Vector512.Max(m, load a (k * lanes + i))

            store out i m
            i <- i + Vector512<'T>.Count

    /// out[lane] += a[lane] for each of `count` registers' worth of numbers.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let add<'T when 'T: unmanaged> (count: int, a: nativeptr<'T>, out: nativeptr<'T>) : unit =
        let mutable i = 0

        while i < count do
            store out i (Vector512.Add(load out i, load a i))
            i <- i + Vector512<'T>.Count

    /// out += factor * a for one register-padded row.
    [<MethodImpl(MethodImplOptions.AggressiveOptimization)>]
    let axpy<'T when 'T: unmanaged>
        (count: int, factor: 'T, a: nativeptr<'T>, out: nativeptr<'T>)
        : unit =
        let f = Vector512.Create factor
        let mutable i = 0

        while i < count do
            store out i (Vector512.Add(load out i, Vector512.Multiply(f, load a i)))
            i <- i + Vector512<'T>.Count
