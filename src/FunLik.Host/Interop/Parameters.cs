using FunLik.Api;
using Microsoft.FSharp.Collections;

namespace FunLik.Host.Interop;

/// <summary>Parameters of FunLik.Core and of the C# face.</summary>
internal static class Parameters
{
    private const double DefaultReach = 5;

    internal static ParameterInfo ToInfo(ModelParameter parameter) =>
        new(parameter.Name)
        {
            Role = parameter.Kind.IsPoi ? ParameterRole.Poi : ParameterRole.Nuisance,
            Nominal = parameter.Nominal,
            LowerBound = parameter.Bounds.Item1,
            UpperBound = parameter.Bounds.Item2,
            RangeFrom = parameter.Range.Item1,
            RangeTo = parameter.Range.Item2,
            Unit = parameter.Unit,
            IsKinked = parameter.IsKinked,
        };

    /// <summary>Checks parameters that a caller made up: all mistakes at once.</summary>
    internal static ModelParameter[] ToModel(IReadOnlyList<ParameterInfo> infos)
    {
        var mistakes = infos
            .GroupBy(info => info.Name)
            .Where(uses => uses.Count() > 1)
            .Select(uses => Mistake(ErrorKind.Name, uses.Key, "a name stands once", $"{uses.Count()} times"))
            .Concat(infos.SelectMany(Mistakes))
            .ToArray();

        if (infos.Count == 0)
        {
            throw Errors.Of(ErrorKind.Shape, "the parameters", "none", "one or more");
        }

        return mistakes.Length == 0
            ? [.. infos.Select(ToModel)]
            : throw Errors.ToException(ListModule.OfArray(mistakes));
    }

    private static IEnumerable<Error> Mistakes(ParameterInfo info)
    {
        var parameter = ToModel(info);

        if (string.IsNullOrWhiteSpace(info.Name))
        {
            yield return Mistake(ErrorKind.Name, info.Name, "a name", "an empty text");
        }

        if (!double.IsFinite(info.Nominal))
        {
            yield return Mistake(ErrorKind.Value, info.Name, "a finite nominal value", $"{info.Nominal}");
        }

        if (!(info.LowerBound < info.UpperBound && info.LowerBound <= info.Nominal && info.Nominal <= info.UpperBound))
        {
            yield return Mistake(
                ErrorKind.Value,
                info.Name,
                "bounds around the nominal value",
                $"[{info.LowerBound}, {info.UpperBound}] and {info.Nominal}");
        }

        if (!(double.IsFinite(parameter.Range.Item1) && double.IsFinite(parameter.Range.Item2)
            && parameter.Range.Item1 < parameter.Range.Item2))
        {
            yield return Mistake(
                ErrorKind.Value,
                info.Name,
                "a finite range",
                $"[{parameter.Range.Item1}, {parameter.Range.Item2}]");
        }
    }

    private static Error Mistake(ErrorKind kind, string name, string expected, string found) =>
        ErrorModule.expected(
            expected,
            ErrorModule.found(found, ErrorModule.make(kind, $"the parameter '{name}'")));

    internal static ModelParameter ToModel(ParameterInfo info) =>
        new(
            info.Name,
            info.Role == ParameterRole.Poi ? ParameterKind.Poi : ParameterKind.Nuisance,
            (info.LowerBound, info.UpperBound),
            info.Nominal,
            (info.RangeFrom ?? End(info.LowerBound, info.Nominal - DefaultReach),
                info.RangeTo ?? End(info.UpperBound, info.Nominal + DefaultReach)),
            info.Unit,
            info.IsKinked);

    private static double End(double bound, double otherwise) => double.IsFinite(bound) ? bound : otherwise;
}
