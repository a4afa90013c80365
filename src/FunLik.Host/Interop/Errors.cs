using FunLik.Api;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;

namespace FunLik.Host.Interop;

/// <summary>Errors of FunLik.Core as exceptions of the C# face.</summary>
internal static class Errors
{
    internal static LikelihoodException ToException(FSharpList<Error> errors, Exception? inner = null) =>
        new(string.Join("\n", errors), [.. errors.Select(ToError)], inner);

    internal static LikelihoodException Of(ErrorKind kind, string message, string found, string expected) =>
        ToException(ListModule.OfArray([ErrorModule.expected(expected, ErrorModule.found(found, ErrorModule.make(kind, message)))]));

    /// <summary>The value of a result, or its errors as an exception.</summary>
    internal static T OrThrow<T>(FSharpResult<T, FSharpList<Error>> result) =>
        result.IsOk ? result.ResultValue : throw ToException(result.ErrorValue);

    /// <summary>What the work gives; its errors become the face's exception.</summary>
    internal static T Translate<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (FunLikException failure)
        {
            throw ToException(failure.Errors, failure);
        }
    }

    private static LikelihoodError ToError(Error error) =>
        new(
            ToKind(error.Kind),
            error.Message,
            error.File?.Value,
            error.Path?.Value,
            error.Found?.Value,
            error.Expected?.Value,
            error.Hint?.Value);

    private static LikelihoodErrorKind ToKind(ErrorKind kind) =>
        Enum.Parse<LikelihoodErrorKind>(kind.ToString());
}
