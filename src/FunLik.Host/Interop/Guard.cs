using FunLik.Api;

namespace FunLik.Host.Interop;

/// <summary>Checks of what callers of the C# face give.</summary>
internal static class Guard
{
    /// <summary>Evenly spaced values, both ends among them.</summary>
    internal static IReadOnlyList<double> Evenly(double from, double to, int count)
    {
        new Mistakes([])
            .AtLeast(2, count, "the count of values")
            .Unless(
                double.IsFinite(from) && double.IsFinite(to) && from < to,
                ErrorKind.Value,
                "the ends",
                $"{Mistakes.Text(from)} and {Mistakes.Text(to)}",
                "finite numbers in rising order")
            .Throw();

        return [.. Enumerable.Range(0, count).Select(i => i == count - 1 ? to : from + (to - from) * i / (count - 1))];
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
                    Mistakes.Text(points[i]),
                    "a finite number");
            }
        }
    }
}
