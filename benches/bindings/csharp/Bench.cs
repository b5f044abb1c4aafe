// What calls cost from C#, beside what they may cost. Prints rows of a table; asserts nothing.
//
//   Bench.exe RUNTIME READ-GOAL WRITE-GOAL
using System;
using System.Diagnostics;
using SessionLocker;

internal static class Bench
{
    private const int Calls = 100000;
    private const int Attempts = 5;

    private static string runtime;

    private static void Main(string[] arguments)
    {
        runtime = arguments[0];
        using (LockerStorage storage = LockerStorage.Open("memory:"))
        using (var store = new EasyStore(storage, new EasyStoreConfig { TemplateJson = "{\"Gold\":0,\"Stats\":{\"Level\":1}}" }))
        {
            for (int at = 0; at < 1000; at++)
            {
                store.StartSession("player/" + at);
            }
            Profile profile = store.StartSession("player/ann");
            profile.WaitUntilLoaded(TimeSpan.FromSeconds(10));
            SaveData data = profile.SaveData;
            data.Set("/Name", "Ann Ünal");
            string read = arguments[1] + " ns";
            string write = arguments[2] + " ns";
            Row("read an integer", read, () => data.GetInt64("/Gold"));
            Row("read a nested integer", "", () => data.GetInt64("/Stats/Level"));
            Row("read a string", "", () => data.GetString("/Name"));
            Row("write an integer", write, () => data.Set("/Gold", 5));
            Row("add to an integer", write, () => data.Add("/Gold", 1));
            Row("write a string", "", () => data.Set("/Name", "Ann Ünal"));
            store.Drain(TimeSpan.FromSeconds(10));
        }
        Idle();
        using (var builder = new MigratorBuilder())
        using (Migrators migrators = builder.AddMigratorFrom(1, (SaveData draft, ref double patch) => { }).Build())
        {
            Row("make, migrate, dispose a document", "", () =>
            {
                using (SaveData data = SaveData.Parse("{\"Version\":1}"))
                {
                    migrators.Migrate(data, 2);
                }
            });
        }
    }

    private static void Idle()
    {
        using (LockerStorage storage = LockerStorage.Open("memory:"))
        using (var store = new EasyStore(storage, new EasyStoreConfig { TemplateJson = "{}" }))
        {
            double now = SessionLockerLibrary.Now;
            for (int at = 0; at < 1000; at++)
            {
                store.StartSession("player/" + at).WaitUntilLoaded(TimeSpan.FromSeconds(10));
            }
            now = SessionLockerLibrary.Now;
            Row("an idle frame of 1000 sessions", "", () => store.Update(now));
        }
    }

    // The fastest of several attempts: what else runs on the machine only ever adds.
    private static void Row(string what, string goal, Action action)
    {
        double least = double.MaxValue;
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            Stopwatch watch = Stopwatch.StartNew();
            for (int call = 0; call < Calls; call++)
            {
                action();
            }
            least = Math.Min(least, watch.Elapsed.TotalMilliseconds * 1e6 / Calls);
        }
        Console.WriteLine("{0,-14} {1,-36} {2,8:0} ns  {3,8}", runtime, what, least, goal);
    }
}
