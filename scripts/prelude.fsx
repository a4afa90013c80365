// `#load "prelude.fsx"` at the head of a script: the library, and a line when F# Interactive runs it slowly.

#r "../src/FunLik.Core/bin/Release/net10.0/FunLik.Core.dll"

FunLik.Tiering.onAdvice.Add(fun advice -> eprintfn $"note: {advice}")
