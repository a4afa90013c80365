using System.Globalization;
using FunLik.Api;
using Microsoft.FSharp.Collections;

namespace FunLik.Host.Interop;

/// <summary>Collects what is wrong with a call, so that all of it is told at once.</summary>
internal sealed class Mistakes(IReadOnlyList<ParameterInfo> parameters)
{
    private const int MostToys = 10_000_000;

    private readonly List<Error> _found = [];

    internal static string Text(IFormattable value) => value.ToString(null, CultureInfo.InvariantCulture);

    internal Mistakes Unless(bool isGood, ErrorKind kind, string message, string found, string expected, string? hint = null)
    {
        if (!isGood)
        {
            var error = ErrorModule.expected(expected, ErrorModule.found(found, ErrorModule.make(kind, message)));
            _found.Add(hint is null ? error : ErrorModule.hint(hint, error));
        }

        return this;
    }

    internal Mistakes AtLeast(int least, int value, string name) =>
        Unless(value >= least, ErrorKind.Value, $"{name} is too small", Text(value), $"{least} or more");

    internal Mistakes AtMost(int most, int value, string name) =>
        Unless(value <= most, ErrorKind.Limit, $"{name} is too large", Text(value), $"{most} or less");

    internal Mistakes Positive(double value, string name) =>
        Unless(
            value > 0 && double.IsFinite(value), ErrorKind.Value, $"{name} is not usable", Text(value), "a finite number above 0");

    internal Mistakes Probability(double value, string name) =>
        Unless(value is > 0 and < 1, ErrorKind.Value, $"{name} is no probability", Text(value), "between 0 and 1, such as 0.95");

    internal Mistakes Finite(IReadOnlyList<double> values, string name)
    {
        for (var i = 0; i < values.Count; i++)
        {
            Unless(double.IsFinite(values[i]), ErrorKind.Value, $"{name}[{i}]", Text(values[i]), "a finite number");
        }

        return this;
    }

    /// <summary>A parameter that must be there.</summary>
    internal Mistakes Parameter(string name, string where) =>
        Unless(
            parameters.Any(p => p.Name == name),
            ErrorKind.Name,
            $"{where}: there is no parameter '{name}'",
            $"'{name}'",
            string.Join(", ", parameters.Select(p => p.Name)));

    /// <summary>Names that stand once, of parameters that are there.</summary>
    internal Mistakes Names(IReadOnlyList<string> names, string where)
    {
        Unless(names.Count > 0, ErrorKind.Usage, $"{where} is empty", "none", "one or more names of parameters");

        foreach (var uses in names.GroupBy(name => name))
        {
            Parameter(uses.Key, where);
            Unless(uses.Count() == 1, ErrorKind.Name, $"{where}: '{uses.Key}'", $"{uses.Count()} times", "a name stands once");
        }

        return this;
    }

    /// <summary>Values of a parameter that is there.</summary>
    internal Mistakes Axis(GridAxis axis, string where) => Parameter(axis.Parameter, where).Values(axis, where);

    internal Mistakes Values(GridAxis axis, string where)
    {
        Unless(axis.Values.Count > 0, ErrorKind.Shape, $"{where}: values of '{axis.Parameter}'", "none", "one or more");
        return Finite(axis.Values, $"{where}: values of '{axis.Parameter}'");
    }

    internal Mistakes Fit(Api.FitOptions fit)
    {
        if (fit.Starts is { } starts)
        {
            AtLeast(1, starts, nameof(fit.Starts));
        }

        return Held(fit.Fixed).AtLeast(1, fit.MaxIterations, nameof(fit.MaxIterations)).Positive(fit.Edm, nameof(fit.Edm));
    }

    /// <summary>Parameters that are held at values, all of them there; what is asked for is not among them.</summary>
    internal Mistakes Held(IReadOnlyDictionary<string, double> values, string? asked = null)
    {
        foreach (var (name, value) in values)
        {
            Parameter(name, nameof(Api.FitOptions.Fixed));
            Unless(
                double.IsFinite(value),
                ErrorKind.Value,
                $"{nameof(Api.FitOptions.Fixed)}: the value of '{name}'",
                Text(value),
                "a finite number");
            Unless(
                name != asked,
                ErrorKind.Value,
                $"{nameof(Api.FitOptions.Fixed)}: '{name}' is what is asked for",
                $"'{name}' at {Text(value)}",
                "other parameters");
        }

        return this;
    }

    /// <summary>A range to look at: both ends in rising order, or none.</summary>
    internal Mistakes Range(double? from, double? to)
    {
        Unless(
            from.HasValue == to.HasValue,
            ErrorKind.Usage,
            "the range of the interval",
            from.HasValue ? "From alone" : "To alone",
            "both From and To, or none");

        return from is { } low && to is { } high
            ? Unless(
                low < high && double.IsFinite(high - low),
                ErrorKind.Value,
                "the range of the interval",
                $"{Text(low)} to {Text(high)}",
                "two finite numbers, the second above the first")
            : this;
    }

    /// <summary>How many toys, and from which seed.</summary>
    internal Mistakes Toys(int least, int count, string name, int seed) =>
        AtLeast(least, count, name).AtMost(MostToys, count, name).AtLeast(0, seed, "Seed");

    /// <summary>What FunLik.Core finds wrong.</summary>
    internal Mistakes Also(IEnumerable<Error> errors)
    {
        _found.AddRange(errors);
        return this;
    }

    internal Mistakes Levels(IReadOnlyList<Level> levels)
    {
        foreach (var level in levels)
        {
            if (level.IsProbability)
            {
                Probability(level.Value, nameof(Levels));
            }
            else
            {
                Positive(level.Value, nameof(Levels));
            }
        }

        return this;
    }

    internal void Throw()
    {
        if (_found.Count > 0)
        {
            throw Errors.ToException(ListModule.OfSeq(_found));
        }
    }
}
