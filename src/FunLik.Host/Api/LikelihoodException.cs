namespace FunLik.Api;

/// <summary>The things that a caller can get wrong.</summary>
public enum LikelihoodErrorKind
{
    /// <summary>Something was asked for in a way that is not understood.</summary>
    Usage,

    /// <summary>A file or folder is not there.</summary>
    FileMissing,

    /// <summary>A file is there and cannot be read or written.</summary>
    FileUnreadable,

    /// <summary>Text or bytes are not in the format they claim.</summary>
    Syntax,

    /// <summary>The format is right and a required part is missing, doubled or of the wrong type.</summary>
    Schema,

    /// <summary>A name is unknown, or known twice.</summary>
    Name,

    /// <summary>Arrays have sizes that do not go together.</summary>
    Shape,

    /// <summary>A number is outside of what it may be.</summary>
    Value,

    /// <summary>The request makes sense and this library does not do it.</summary>
    Unsupported,

    /// <summary>A size or a count is beyond a stated limit.</summary>
    Limit,

    /// <summary>The machine lacks something: a device, a library, a permission.</summary>
    Environment,
}

/// <summary>One mistake, with everything needed to find and mend it.</summary>
/// <param name="Kind">Which sort of mistake it is.</param>
/// <param name="Message">What is wrong.</param>
/// <param name="File">The file in which it is, if it is in one.</param>
/// <param name="Path">The place inside of the file or value: a JSON path, a line, an index.</param>
/// <param name="Found">What stands there.</param>
/// <param name="Expected">What should stand there.</param>
/// <param name="Hint">What to do about it.</param>
public sealed record LikelihoodError(
    LikelihoodErrorKind Kind,
    string Message,
    string? File,
    string? Path,
    string? Found,
    string? Expected,
    string? Hint);

/// <summary>Bad input. All mistakes are in it at once; its message has one line for each.</summary>
public sealed class LikelihoodException : Exception
{
    internal LikelihoodException(string message, IReadOnlyList<LikelihoodError> errors, Exception? inner)
        : base(message, inner) => Errors = errors;

    /// <summary>The mistakes; at least one.</summary>
    public IReadOnlyList<LikelihoodError> Errors { get; }
}
