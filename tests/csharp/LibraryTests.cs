using System;
using System.Collections.Generic;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using SessionLocker;

public static class LibraryTests
{
    public static void Every_status_is_the_librarys_own()
    {
        foreach (SessionLockerStatus status in Enum.GetValues(typeof(SessionLockerStatus)))
        {
            string expected = status == SessionLockerStatus.Ok ? "SL_OK" : "SL_ERROR" + Underscored(status.ToString());
            Expect.Equal(expected, SessionLockerLibrary.NameOf(status));
        }
        Expect.Equal("unknown status", SessionLockerLibrary.NameOf((SessionLockerStatus)(-25)));
    }

    public static void Every_function_that_the_library_calls_is_marked_for_compilers_that_work_ahead()
    {
        var found = new Dictionary<MethodInfo, bool>();
        foreach (Type type in typeof(EasyStore).Assembly.GetTypes())
        {
            foreach (FieldInfo field in type.GetFields(BindingFlags.Static | BindingFlags.NonPublic | BindingFlags.Public))
            {
                if (!Attribute.IsDefined(field.FieldType, typeof(UnmanagedFunctionPointerAttribute)))
                {
                    continue;
                }
                MethodInfo method = ((Delegate)field.GetValue(null)).Method;
                found[method] = true;
                Expect.True(method.IsStatic && !type.ContainsGenericParameters, type.Name + "." + method.Name + " is static");
                IList<CustomAttributeData> marks = CustomAttributeData.GetCustomAttributes(method);
                Expect.True(marks.Count == 1 && marks[0].Constructor.DeclaringType.Name == "MonoPInvokeCallbackAttribute", method.Name);
                Expect.Equal(field.FieldType, (Type)marks[0].ConstructorArguments[0].Value);
            }
        }
        Expect.Equal(23, found.Count);
    }

    public static void The_library_has_a_version_and_a_clock()
    {
        Expect.True(SessionLockerLibrary.Version.Split('.').Length >= 3, SessionLockerLibrary.Version);
        double first = SessionLockerLibrary.Now;
        Expect.True(first > 0 && SessionLockerLibrary.Now >= first, "it never runs backwards");
    }

    public static void Defaults_count_for_what_is_made_after_them()
    {
        double before = SessionLockerLibrary.GetDefault(ConfigValue.MaintainSessionPeriod);
        SessionLockerLibrary.SetDefault(ConfigValue.MaintainSessionPeriod, 77);
        try
        {
            using (var bench = new LockerBench())
            using (var other = new LockerBench(config => config.MaintainSessionPeriod = TimeSpan.FromSeconds(5)))
            {
                Expect.Equal(77.0, bench.Spec.QueryConfig(ConfigValue.MaintainSessionPeriod));
                Expect.Equal(5.0, other.Spec.QueryConfig(ConfigValue.MaintainSessionPeriod));
            }
            Expect.Refused(SessionLockerStatus.OutOfRange, () => SessionLockerLibrary.SetDefault(ConfigValue.SessionExpiry, -1));
        }
        finally
        {
            SessionLockerLibrary.SetDefault(ConfigValue.MaintainSessionPeriod, before);
        }
    }

    public static void Log_prefixes_and_error_kinds_are_as_in_the_original()
    {
        Expect.Equal("[SessionLocker][Ann]:[1001 / 2002]", SessionLockerLibrary.CreateLogPrefix(true, "1001", "2002", "Ann"));
        Expect.Equal("[1001]", SessionLockerLibrary.CreateLogPrefix(false, "1001"));
        Expect.Throws<ArgumentNullException>(() => SessionLockerLibrary.CreateLogPrefix(true, null));
        Expect.Equal(RequestErrorKind.Script, SessionLockerLibrary.GetRequestErrorKind("103: too long"));
        Expect.Equal(RequestErrorKind.Backend, SessionLockerLibrary.GetRequestErrorKind("502: away"));
        Expect.Equal(RequestErrorKind.Misc, SessionLockerLibrary.GetRequestErrorKind("?"));
    }

    public static void Log_lines_reach_the_host()
    {
        var lines = new List<string>();
        SessionLockerLibrary.SetLog((level, line) => lines.Add(level + " " + line));
        try
        {
            SessionLockerLibrary.LogErrorVariations("Wärme", "user 7 froze", "at the pole");
            Expect.Equal(4, lines.Count);
            Expect.Contains("Warning", lines[0]);
            Expect.Contains("Wärme", lines[0]);
            Expect.Contains("user 7 froze", string.Join("\n", lines));
            lines.Clear();
            using (var world = new World(config => config.VerboseLogs = true))
            {
                Profile profile = world.Load("ann");
                profile.SetLogPrefix("[it is ann]");
                world.End(profile);
            }
            Expect.Contains("[it is ann]", string.Join("\n", lines));
        }
        finally
        {
            SessionLockerLibrary.SetLog(null);
        }
        lines.Clear();
        SessionLockerLibrary.LogErrorVariations("nobody", "listens", null);
        Expect.Equal(0, lines.Count);
    }

    public static void What_a_log_handler_throws_goes_nowhere()
    {
        int calls = 0;
        SessionLockerLibrary.SetLog((level, line) =>
        {
            calls++;
            throw new InvalidOperationException("the log is full");
        });
        try
        {
            SessionLockerLibrary.LogErrorVariations("a", "b", "c");
            Expect.Equal(4, calls);
        }
        finally
        {
            SessionLockerLibrary.SetLog(null);
        }
    }

    public static void Errors_that_nobody_hears_go_to_the_reporter_of_the_process_or_to_the_log()
    {
        var lines = new List<string>();
        var reports = new List<ErrorReport>();
        SessionLockerLibrary.SetLog((level, line) => lines.Add(line));
        try
        {
            FailToCreate("user-7", false);
            Expect.Contains("Create failed: ", string.Join("\n", lines));
            Expect.Contains("no luck for {datastorekey}", string.Join("\n", lines));
            lines.Clear();
            FailToCreate("user-7", true);
            Expect.Contains("no luck for user-7", string.Join("\n", lines));
            lines.Clear();
            SessionLockerLibrary.SetDefaultReportError(Reporter.Lockers, reports.Add);
            FailToCreate("user-7", false);
            Expect.True(reports.Count > 0 && lines.Count == 0, "the reporter is told instead");
            Expect.Equal("user-7", reports[reports.Count - 1].Key);
        }
        finally
        {
            SessionLockerLibrary.SetLog(null);
            SessionLockerLibrary.SetDefaultReportError(Reporter.Lockers, null);
        }
        Expect.Refused(
            SessionLockerStatus.InvalidArgument, () => SessionLockerLibrary.SetDefaultReportError((Reporter)9, reports.Add));
    }

    public static void An_error_of_a_locker_that_nobody_hears_is_told_though_others_are_heard()
    {
        var reports = new List<ErrorReport>();
        var heard = new List<string>();
        SessionLockerLibrary.SetDefaultReportError(Reporter.Lockers, reports.Add);
        try
        {
            using (var bench = new LockerBench(config =>
            {
                config.TemplateJson = null;
                config.CreateSaveData = (key, data) => { throw new InvalidOperationException("no luck"); };
            }))
            {
                Locker listening = bench.Spec.CreateLocker("ann");
                Locker silent = bench.Spec.CreateLocker("ben");
                EventHandler<ErrorReport> listener = (sender, report) => heard.Add(report.Key);
                listening.Error += listener;
                foreach (Locker locker in new[] { listening, silent })
                {
                    bench.Lockers.Add(locker);
                    locker.MarkShouldAcquire();
                }
                bench.Until(() => silent.LoadStatus == LoadStatus.CreateFailed, "failed");
                Expect.True(heard.Count > 0 && heard.TrueForAll(key => key == "ann"), "heard by who listens");
                Expect.True(reports.Count > 0 && reports.TrueForAll(report => report.Key == "ben"), "told of the other");
                Expect.Equal("no luck", reports[0].Exception.Message);
                reports.Clear();
                listening.Error -= listener;
                listening.MarkShouldAcquire();
                bench.Until(() => reports.Count > 0, "told again");
                Expect.Equal("ann", reports[0].Key);
            }
        }
        finally
        {
            SessionLockerLibrary.SetDefaultReportError(Reporter.Lockers, null);
        }
    }

    public static void Handlers_of_errors_can_come_from_many_threads()
    {
        const int Threads = 4;
        const int Handlers = 2000;
        int heard = 0;
        using (LockerStorage storage = LockerStorage.Open("memory:"))
        using (var store = new EasyStore(storage, new EasyStoreConfig
        {
            Clock = new TestClock(),
            CreateSaveData = (asked, data) => { throw new InvalidOperationException("no luck"); },
        }))
        {
            var threads = new List<Thread>();
            for (int at = 0; at < Threads; at++)
            {
                var thread = new Thread(() =>
                {
                    for (int handler = 0; handler < Handlers; handler++)
                    {
                        store.Error += (sender, report) => heard++;
                    }
                });
                threads.Add(thread);
                thread.Start();
            }
            threads.ForEach(thread => thread.Join());
            store.StartSession("ann");
            store.Update(1);
            store.Update(2);
        }
        Expect.True(heard > 0 && heard % (Threads * Handlers) == 0, heard + " calls of handlers");
    }

    private static void FailToCreate(string key, bool isVerbose)
    {
        using (LockerStorage storage = LockerStorage.Open("memory:"))
        using (var store = new EasyStore(storage, new EasyStoreConfig
        {
            Clock = new TestClock(),
            VerboseLogs = isVerbose,
            CreateSaveData = (asked, data) => { throw new InvalidOperationException("no luck for " + asked); },
        }))
        {
            store.StartSession(key);
            store.Update(1);
            store.Update(2);
        }
    }

    private static string Underscored(string name)
    {
        var text = new StringBuilder();
        foreach (char letter in name)
        {
            text.Append(char.IsUpper(letter) ? "_" : string.Empty).Append(char.ToUpperInvariant(letter));
        }
        return text.ToString();
    }
}
