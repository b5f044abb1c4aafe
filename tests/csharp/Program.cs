// Runs every test: each public static method of a class whose name ends in "Tests".
//
//   Tests.exe [PART-OF-A-NAME]
//   Tests.exe --layouts        prints the C program of Layouts.cs instead
using System;
using System.Collections.Generic;
using System.Reflection;

internal static class Program
{
    private static int Main(string[] arguments)
    {
        if (arguments.Length > 0 && arguments[0] == "--layouts")
        {
            Console.Write(Layouts.InC());
            return 0;
        }
        int passed = 0;
        int failed = 0;
        foreach (MethodInfo test in Find(arguments.Length > 0 ? arguments[0] : string.Empty))
        {
            Exception failure = Run(test);
            if (failure == null)
            {
                passed++;
                continue;
            }
            failed++;
            Console.WriteLine("FAILED {0}\n{1}\n", test.Name, failure);
        }
        Console.WriteLine("csharp tests: {0} passed, {1} failed", passed, failed);
        return failed == 0 && passed > 0 ? 0 : 1;
    }

    private static List<MethodInfo> Find(string part)
    {
        var tests = new List<MethodInfo>();
        foreach (Type type in typeof(Program).Assembly.GetTypes())
        {
            if (!type.Name.EndsWith("Tests", StringComparison.Ordinal))
            {
                continue;
            }
            foreach (MethodInfo method in type.GetMethods(BindingFlags.Public | BindingFlags.Static))
            {
                if (method.Name.IndexOf(part, StringComparison.Ordinal) >= 0)
                {
                    tests.Add(method);
                }
            }
        }
        return tests;
    }

    private static Exception Run(MethodInfo test)
    {
        try
        {
            test.Invoke(null, null);
            return null;
        }
        catch (TargetInvocationException failure)
        {
            return failure.InnerException;
        }
    }
}
