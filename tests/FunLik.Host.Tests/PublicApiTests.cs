using System.Reflection;
using System.Runtime.CompilerServices;
using FunLik.Api;
using Xunit;

namespace FunLik.Host.Tests;

/// <summary>The public members of the C# face, listed: a change of the face is a change of the list.</summary>
public class PublicApiTests
{
    private static string Root =>
        Enumerable
            .Range(0, 10)
            .Select(up => Path.GetFullPath(Path.Combine([AppContext.BaseDirectory, .. Enumerable.Repeat("..", up)])))
            .First(folder => File.Exists(Path.Combine(folder, "FunLik.sln")));

    [Fact]
    public void Public_members_are_those_of_the_list()
    {
        var list = Path.Combine(Root, "tests/FunLik.Host.Tests/PublicApi.txt");
        var types = typeof(LikelihoodModel).Assembly.GetExportedTypes();
        var lines = types.OrderBy(type => type.FullName, StringComparer.Ordinal).SelectMany(Lines);
        var found = string.Join("\n", lines) + "\n";

        if (found != File.ReadAllText(list))
        {
            var received = Path.ChangeExtension(list, ".received.txt");
            File.WriteAllText(received, found);
            Assert.Fail($"The public members differ from {list}: compare {received}, and move it there if it is right.");
        }
    }

    [Fact]
    public void No_signature_has_an_fsharp_type()
    {
        var types = typeof(LikelihoodModel).Assembly.GetExportedTypes();
        var foreign = types.SelectMany(Members).SelectMany(Mentioned).Distinct()
            .Where(type => type.Assembly.GetName().Name is "FSharp.Core" or "FunLik.Core");
        Assert.Empty(foreign);
    }

    private static IEnumerable<string> Lines(Type type) =>
        Members(type).Select(member => $"    {member}").Order(StringComparer.Ordinal).Prepend($"{type.FullName}");

    /// <summary>What its author wrote: not what the compiler adds to records, properties and delegates.</summary>
    private static IEnumerable<MemberInfo> Members(Type type) =>
        type.GetMembers(BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly)
            .Where(member => !member.IsDefined(typeof(CompilerGeneratedAttribute)))
            .Where(member => member is not MethodInfo { IsSpecialName: true } and not FieldInfo { IsSpecialName: true })
            .Where(member => !type.IsSubclassOf(typeof(Delegate)) || member.Name == "Invoke");

    private static IEnumerable<Type> Mentioned(MemberInfo member) =>
        member switch
        {
            MethodBase method => method.GetParameters().Select(p => p.ParameterType)
                .Append((method as MethodInfo)?.ReturnType ?? typeof(void)).SelectMany(Inside),
            PropertyInfo property => Inside(property.PropertyType),
            FieldInfo field => Inside(field.FieldType),
            _ => [],
        };

    private static IEnumerable<Type> Inside(Type type) =>
        type.GetGenericArguments().SelectMany(Inside).Append(type.GetElementType() ?? type);
}
