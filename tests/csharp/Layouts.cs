// Writes a C program that compiles only if each struct of the generated layer lies in memory as that of the header.
using System;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using SessionLocker;

internal static class Layouts
{
    public static string InC()
    {
        var program = new StringBuilder("#include \"session_locker.h\"\n");
        foreach (Type type in typeof(EasyStore).Assembly.GetTypes())
        {
            FieldInfo[] fields = type.GetFields(BindingFlags.Instance | BindingFlags.Public);
            if (!type.IsValueType || type.Namespace != "SessionLocker.Native" || type.IsNested || fields.Length == 0)
            {
                continue;
            }
            Assert(program, type.Name, "sizeof(" + type.Name + ")", Marshal.SizeOf(type));
            foreach (FieldInfo field in fields)
            {
                string place = "offsetof(" + type.Name + ", " + field.Name + ")";
                Assert(program, type.Name, place, (int)Marshal.OffsetOf(type, field.Name));
                string size = "sizeof(((" + type.Name + " *)0)->" + field.Name + ")";
                Assert(program, type.Name, size, field.FieldType.IsPointer ? IntPtr.Size : Marshal.SizeOf(field.FieldType));
            }
        }
        return program.ToString();
    }

    private static void Assert(StringBuilder program, string type, string expression, int value)
    {
        program.Append("_Static_assert(" + expression + " == " + value + ", \"" + type + "\");\n");
    }
}
