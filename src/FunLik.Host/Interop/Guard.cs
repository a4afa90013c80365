using System.Globalization;
using FunLik.Api;

namespace FunLik.Host.Interop;

/// <summary>Checks of what callers of the C# face give.</summary>
internal static class Guard
{
    internal static int AtLeast(int least, int value, string name) =>
        value >= least
            ? value
            : throw Errors.Of(ErrorKind.Value, $"{name} is too small", Text(value), $"{least} or more");

    internal static double Positive(double value, string name) =>
        value > 0 && double.IsFinite(value)
            ? value
            : throw Errors.Of(ErrorKind.Value, $"{name} is not usable", Text(value), "a finite number above 0");

    internal static void Ordered(double from, double to)
    {
        if (!(double.IsFinite(from) && double.IsFinite(to) && from < to))
        {
            throw Errors.Of(ErrorKind.Value, "the ends", $"{Text(from)} and {Text(to)}", "finite numbers in rising order");
        }
    }

    internal static void Length(string name, long found, long expected)
    {
        if (found != expected)
        {
            throw Errors.Of(ErrorKind.Shape, $"the length of {name}", $"{found} numbers", $"{expected} numbers");
        }
    }

    /// <summary>Names the first value that is not finite.</summary>
    internal static void Finite(ReadOnlySpan<double> points, IReadOnlyList<ParameterInfo> parameters)
    {
        for (var i = 0; i < points.Length; i++)
        {
            if (!double.IsFinite(points[i]))
            {
                var name = parameters[i % parameters.Count].Name;
                throw Errors.Of(
                    ErrorKind.Value,
                    $"the value of '{name}' at point {i / parameters.Count}",
                    Text(points[i]),
                    "a finite number");
            }
        }
    }

    private static string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);
}
