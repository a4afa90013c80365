using FunLik.Api;
using Microsoft.FSharp.Collections;
using Microsoft.FSharp.Core;

namespace FunLik.Host.Interop;

/// <summary>Where models come from, as FunLik.Core says it.</summary>
internal static class Sources
{
    internal static ModelOptions ToModelOptions(LoadOptions options) =>
        new(
            OptionModule.OfObj(options.Patch),
            OptionModule.OfObj(options.Scalings),
            OptionModule.OfNullable(options.ScalingsTolerance),
            OptionModule.OfObj(options.Measurement),
            ListModule.OfSeq(options.Interpolation.Select(pair => Tuple.Create(pair.Key, pair.Value))),
            options.UnboundedNuisances);
}
