using System;
using System.Collections.Generic;
using System.IO;
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;
using SessionLocker;

public static class LifetimeTests
{
    private const int Sessions = 10000;

    public static void Ten_thousand_sessions_leave_nothing_behind()
    {
        long before = SessionLockerLibrary.LiveHandles;
        using (var world = new World())
        {
            Open(world, Sessions / 2);
            long half = ResidentBytes();
            Open(world, Sessions / 2);
            long grown = ResidentBytes() - half;
            Expect.True(grown < 6 << 20, "the second half has grown the process by " + grown + " bytes");
        }
        Expect.Equal(before, SessionLockerLibrary.LiveHandles);
    }

    public static void Texts_that_were_read_leave_no_memory_behind()
    {
        using (SaveData data = SaveData.Create("{}"))
        {
            data.Set("/S", new string('x', 200000));
            Action<int> read = times =>
            {
                for (int at = 0; at < times; at++)
                {
                    data.GetString("/S");
                    data.GetJson("/S");
                    Expect.Equal(200000, data.GetValue("/S").String.Length);
                }
            };
            read(100);
            long before = ResidentBytes();
            read(200);
            long grown = ResidentBytes() - before;
            Expect.True(grown < 30 << 20, "reading 120 MB has grown the process by " + grown + " bytes");
        }
    }

    public static void An_idle_frame_allocates_nothing()
    {
        using (var world = new World())
        {
            for (int at = 0; at < 50; at++)
            {
                Profile profile = world.Load("player/" + at);
                profile.BeforeSave = saved => { };
            }
            double now = world.Clock.Now; // Time stands still, so that no session has anything to do.
            AllocatesNothing(() => world.Store.Update(now));
        }
    }

    public static void Reading_and_writing_a_field_allocates_nothing()
    {
        using (var world = new World())
        {
            SaveData data = world.Load("ann").SaveData;
            AllocatesNothing(() =>
            {
                data.Set("/Gold", 7);
                data.Add("/Gold", 1);
                data.GetInt64("/Gold");
                data.GetDouble("/Gold");
                data.Contains("/Gold");
            });
        }
    }

    public static void Everything_refuses_calls_when_it_is_disposed()
    {
        var world = new World();
        Profile profile = world.Load("ann");
        var builder = new MigratorBuilder();
        Migrators migrators = builder.Build();
        builder.Dispose();
        migrators.Dispose();
        profile.Dispose();
        Expect.Disposed(() => { bool any = profile.IsActive; });
        Expect.Disposed(() => { bool any = profile.IsLoaded; });
        Expect.Disposed(() => { bool any = profile.IsAvailable; });
        Expect.Disposed(() => { bool any = profile.IsFinished; });
        Expect.Disposed(() => { LoadStatus any = profile.LoadStatus; });
        Expect.Disposed(() => { int any = profile.LoadMinimumServerVersion; });
        Expect.Disposed(() => profile.GetSaveDataJson());
        Expect.Disposed(() => profile.SetSaveDataJson("{}"));
        Expect.Disposed(() => profile.GetLostSaveDataJson());
        Expect.Disposed(() => profile.MarkShouldSave());
        Expect.Disposed(() => profile.MarkForceSave());
        Expect.Disposed(() => { profile.WhenLoadedAsync(); });
        Expect.Disposed(() => { profile.WhenChangesSavedAsync(); });
        Expect.Disposed(() => profile.WhenChangesSaved());
        Expect.Disposed(() => profile.WaitUntilLoaded(World.Patience));
        Expect.Disposed(() => profile.WaitUntilChangesSaved(World.Patience));
        Expect.Disposed(() => profile.SetLogPrefix("x"));
        Expect.Disposed(() => profile.EndSession());
        Expect.Disposed(() => profile.ProductCreditQuery(1));
        Expect.Disposed(() => profile.ProductCreditGive(1, 1));
        Expect.Disposed(() => profile.ProductCreditUse(1, 1));
        Expect.Disposed(() => profile.BeforeSave = saved => { });
        Expect.Disposed(() => profile.BeforeSaveTransform = saved => { });
        world.Dispose();
        world.Dispose();
        Expect.Disposed(() => world.Store.Update(1));
        Expect.Disposed(() => world.Store.StartSession("ben"));
        Expect.Disposed(() => world.Store.StartSessionReusable("ben"));
        Expect.Disposed(() => world.Store.Close());
        Expect.Disposed(() => world.Store.Drain(World.Patience));
        Expect.Disposed(() => { bool any = world.Store.IsClosed; });
        Expect.Disposed(() => { world.Store.SendRemoteChangesAsync("ben", "[]"); });
        Expect.Disposed(() => world.Storage.Fetch("ben", World.Patience));
        Expect.Disposed(() => new EasyStore(world.Storage, new EasyStoreConfig { TemplateJson = "{}" }));
        Expect.Disposed(() => builder.Build());
        Expect.Disposed(() => migrators.Migrate(SaveData.Create("{}"), 1));
        Expect.Refused(SessionLockerStatus.InvalidHandle, () => new World(config => config.Migrators = migrators));
    }

    public static void The_profiles_of_a_disposed_store_are_disposed_too()
    {
        var world = new World();
        Profile profile = world.Load("ann");
        SaveData data = profile.SaveData;
        world.Dispose();
        Expect.True(profile.IsDisposed, "disposed");
        Expect.Disposed(() => profile.EndSession());
        Expect.Disposed(() => data.GetInt64("/Gold"));
        profile.Dispose();
    }

    public static void What_is_refused_keeps_no_handle_and_no_memory_of_its_hooks()
    {
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            world.End(profile);
            WeakReference target = RefuseHook(profile);
            Collect();
            Expect.True(!target.IsAlive, "a refused hook is let go");
        }
    }

    public static void Arguments_that_are_refused_leave_nothing_behind()
    {
        using (var world = new World())
        using (var builder = new MigratorBuilder())
        {
            var key = new string('k', 1000000);
            long before = ResidentBytes();
            for (int at = 0; at < 100; at++)
            {
                Expect.Throws<ArgumentNullException>(() => { world.Store.SendRemoteChangesAsync(key, null); });
            }
            long grown = ResidentBytes() - before;
            Expect.True(grown < 30 << 20, "100 refused sends have grown the process by " + grown + " bytes");
            WeakReference target = null;
            OnThreadOfItsOwn(() =>
            {
                var big = new byte[1000];
                target = new WeakReference(big);
                Migrator migrator = (SaveData data, ref double patch) => data.Set("/M", big[0]);
                Expect.Throws<ArgumentOutOfRangeException>(() => builder.AddMigratorFrom(-1, migrator));
                Expect.Throws<ArgumentOutOfRangeException>(() => builder.AddPatcherFor(-1, migrator));
            });
            Collect();
            Expect.True(!target.IsAlive, "a refused migrator is let go");
        }
    }

    public static void Hooks_are_let_go_with_what_they_were_given_to()
    {
        var targets = new List<WeakReference>();
        UseHooks(targets);
        Collect();
        Expect.Equal(4, targets.Count);
        foreach (WeakReference target in targets)
        {
            Expect.True(!target.IsAlive, "let go");
        }
    }

    public static void What_the_host_forgets_is_freed_by_the_next_object_it_makes()
    {
        FreesForgotten(() => new ProductPurchaser().Dispose());
    }

    public static void What_the_host_forgets_is_freed_by_the_next_update()
    {
        using (var world = new World())
        {
            FreesForgotten(() => world.Store.Update(1));
        }
        using (var purchaser = new ProductPurchaser())
        {
            FreesForgotten(() => purchaser.Update(1));
        }
    }

    public static void A_store_lets_go_of_a_profile_that_is_over()
    {
        using (var world = new World())
        {
            var targets = new List<WeakReference>();
            var thread = new Thread(() =>
            {
                Profile finished = world.Load("ann");
                world.End(finished);
                Profile disposed = world.Load("ben");
                disposed.BeforeSave = saved => disposed.MarkShouldSave();
                disposed.Dispose();
                targets.Add(new WeakReference(finished));
                targets.Add(new WeakReference(disposed));
            });
            thread.Start();
            thread.Join();
            world.Frame();
            Collect();
            Expect.True(!targets[0].IsAlive, "the one that has finished");
            Expect.True(!targets[1].IsAlive, "the one that was disposed");
        }
    }

    public static void A_forgotten_profile_lives_on_until_its_session_is_over()
    {
        using (var world = new World())
        {
            var heard = new List<string>();
            var forgetful = new Thread(() =>
            {
                Profile profile = world.Store.StartSession("ann");
                profile.Loaded += (sender, step) => heard.Add("Loaded");
                profile.Finished += (sender, nothing) => heard.Add("Finished");
            });
            forgetful.Start();
            forgetful.Join();
            Collect();
            world.Until(() => heard.Count > 0, "loaded");
            Collect();
            world.Store.Drain(World.Patience);
            Expect.Lines(heard, "Loaded", "Finished");
        }
    }

    public static void A_locker_whose_last_handler_throws_is_freed_all_the_same()
    {
        using (var bench = new LockerBench())
        {
            Locker locker = bench.Spec.CreateLocker("ann");
            locker.Update(bench.Clock.Now);
            long before = SessionLockerLibrary.LiveHandles;
            locker.Deleted += (sender, step) => { throw new InvalidOperationException("farewell"); };
            Expect.Throws<InvalidOperationException>(locker.Dispose);
            Expect.True(locker.IsDisposed && SessionLockerLibrary.LiveHandles < before, "freed");
        }
    }

    public static void A_wait_of_which_only_the_task_is_kept_is_answered()
    {
        using (var world = new World())
        using (var bench = new LockerBench())
        {
            Profile profile = world.Load("ann");
            Locker locker = bench.Load("ben");
            var tasks = new List<Task<bool>>();
            OnThreadOfItsOwn(() =>
            {
                profile.MarkShouldSave();
                tasks.Add(profile.WhenChangesSaved().Task);
                locker.MarkShouldSave();
                tasks.Add(locker.WhenChangesSaved().Task);
            });
            Collect();
            world.Save(profile);
            locker.MarkForceSave();
            Task<bool> saved = locker.WhenChangesSavedAsync();
            bench.Until(() => saved.IsCompleted, "saved");
            Expect.True(tasks[0].Result && tasks[1].Result, "answered, and not given up");
        }
    }

    public static void A_loaded_profile_keeps_no_wait_for_its_load()
    {
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            var tasks = new List<WeakReference>();
            for (int round = 0; round < 3; round++)
            {
                OnThreadOfItsOwn(() =>
                {
                    Task<bool> loaded = profile.WhenLoadedAsync();
                    tasks.Add(new WeakReference(loaded));
                    Expect.True(world.Until(loaded, "loaded"), "it is loaded already");
                });
            }
            Collect();
            Expect.True(!tasks[0].IsAlive && !tasks[1].IsAlive, "those that were answered are let go");
        }
    }

    public static void Save_data_keeps_its_session_alive()
    {
        using (var world = new World())
        {
            SaveData data = null;
            OnThreadOfItsOwn(() =>
            {
                Profile profile = world.Load("ann");
                data = profile.SaveData;
                data.Set("/Gold", 3);
                world.End(profile);
            });
            world.Frame();
            Collect();
            world.Frame();
            Expect.Equal(0L, data.GetInt64("/Gold"), "the default, for its session is over");
        }
    }

    // Its stack is gone when it ends.
    private static void OnThreadOfItsOwn(Action action)
    {
        Exception failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception exception)
            {
                failure = exception;
            }
        });
        thread.Start();
        thread.Join();
        Expect.Equal(null, failure, "on a thread of its own");
    }

    private static void Open(World world, int count)
    {
        for (int at = 0; at < count; at++)
        {
            Profile profile = world.Store.StartSession("player/" + (at % 100), new SessionOptions { UserIds = new[] { "u" } });
            profile.Loaded += (sender, step) => { };
            profile.BeforeSave = saved => { };
            Task<bool> loaded = profile.WhenLoadedAsync();
            world.Until(() => loaded.IsCompleted, "loaded");
            profile.SaveData.Add("/Gold", 1);
            Task<bool> saved1 = profile.WhenChangesSavedAsync();
            profile.EndSession();
            world.Until(() => profile.IsFinished, "finished");
            Expect.True(saved1.Result, "saved");
            profile.Dispose();
        }
    }

    private static long ResidentBytes()
    {
        Collect();
        string[] fields = File.ReadAllText("/proc/self/statm").Split(' ');
        return long.Parse(fields[1]) * 4096;
    }

    private static void Collect()
    {
        for (int round = 0; round < 3; round++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
    }

    // .NET counts the bytes that a thread allocates. Mono's count is of the whole heap, and not quite still by itself: less
    // than a byte a round is none, for an object has sixteen at least.
    private static void AllocatesNothing(Action action)
    {
        const int Rounds = 5000;
        var counter = typeof(GC).GetMethod("GetAllocatedBytesForCurrentThread");
        bool isExact = counter != null && Type.GetType("Mono.Runtime") == null;
        Func<long> count = () => GC.GetTotalMemory(false);
        if (isExact)
        {
            count = (Func<long>)Delegate.CreateDelegate(typeof(Func<long>), counter);
        }
        long least = long.MaxValue;
        for (int attempt = 0; attempt < 5; attempt++)
        {
            Collect();
            long before = count();
            for (int round = 0; round < Rounds; round++)
            {
                action();
            }
            least = Math.Min(least, Math.Abs(count() - before));
        }
        Expect.True(isExact ? least == 0 : least < Rounds, least + " bytes in " + Rounds + " rounds");
    }

    /// <summary>Leaves stores to the garbage collector that log when they are freed, and lets it find them.</summary>
    internal static void ForgetLoudStores()
    {
        FinalizerProbe.Thread = 0;
        OnThreadOfItsOwn(() =>
        {
            Forget();
            new FinalizerProbe();
        });
        for (int attempt = 0; attempt < 20 && FinalizerProbe.Thread == 0; attempt++)
        {
            Collect();
        }
    }

    private static void FreesForgotten(Action next)
    {
        long before = SessionLockerLibrary.LiveHandles;
        var threads = new List<int>();
        SessionLockerLibrary.SetLog((level, line) => threads.Add(Thread.CurrentThread.ManagedThreadId));
        try
        {
            ForgetLoudStores();
            next();
            // What is freed has something to say, for its logs are verbose.
            Expect.True(threads.Contains(Thread.CurrentThread.ManagedThreadId), "freed on the thread that calls");
            Expect.True(FinalizerProbe.Thread != 0 && !threads.Contains(FinalizerProbe.Thread), "never on the finalizer's");
            for (int attempt = 0; attempt < 20 && SessionLockerLibrary.LiveHandles > before; attempt++)
            {
                Collect();
            }
            Expect.Equal(before, SessionLockerLibrary.LiveHandles);
        }
        finally
        {
            SessionLockerLibrary.SetLog(null);
        }
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static WeakReference RefuseHook(Profile profile)
    {
        WeakReference target = null;
        var thread = new Thread(() =>
        {
            var big = new byte[1000];
            target = new WeakReference(big);
            Expect.Refused(SessionLockerStatus.NotActive, () => profile.BeforeSave = saved => big[0]++);
        });
        thread.Start();
        thread.Join();
        return target;
    }

    [MethodImpl(MethodImplOptions.NoInlining)]
    private static void UseHooks(List<WeakReference> targets)
    {
        var thread = new Thread(() =>
        {
            var create = new byte[1];
            var before = new byte[1];
            var process = new byte[1];
            var migrate = new byte[1];
            foreach (byte[] target in new[] { create, before, process, migrate })
            {
                targets.Add(new WeakReference(target));
            }
            using (var builder = new MigratorBuilder())
            {
                builder.AddMigratorFrom(1, (SaveData data, ref double patch) => data.Set("/M", migrate[0]));
                using (Migrators migrators = builder.Build())
                using (var world = new World(config =>
                {
                    config.TemplateJson = null;
                    config.SaveDataVersion = 2;
                    config.Migrators = migrators;
                    config.CreateSaveData = (key, data) => data.Set("/C", create[0]);
                }))
                {
                    Profile profile = world.Load("ann");
                    profile.BeforeSave = saved => before[0]++;
                    var receipt = new ReceiptInfo { PurchaseId = "p" };
                    Task<bool> bought = profile.WhenProductIsProcessedAndSavedAsync(
                        (op, call) => process[0] == 0 ? ProductResult.Ok : ProductResult.NotNow, receipt);
                    world.Until(bought, "bought");
                }
            }
        });
        thread.Start();
        thread.Join();
    }

    private static void Forget()
    {
        for (int at = 0; at < 20; at++)
        {
            LockerStorage storage = LockerStorage.Open("memory:");
            var store = new EasyStore(storage, new EasyStoreConfig { TemplateJson = "{}", VerboseLogs = true });
            Profile profile = store.StartSession("ann");
            profile.Loaded += (sender, step) => { };
            store.Update(1);
            store.Update(2);
            profile.MarkShouldSave();
            profile.WhenChangesSavedAsync();
            store.SendRemoteChangesAsync("ben", "[{\"K\":\"x\"}]");
            var spec = new LockerSpec(storage, new LockerSpecConfig { TemplateJson = "{}" });
            var locker = spec.CreateLocker("cleo");
            locker.Update(1);
            var sender1 = new RemoteChangeSender(spec);
            sender1.SendAsync("ben", "[{\"K\":\"x\"}]");
            new ProductPurchaser().Update(1);
            SaveData data = SaveData.Create("{}");
            data.Backup();
            new MigratorBuilder().Build();
            PendingProductPurchase.FromIds((op, call) => ProductResult.Ok, 1, null);
        }
    }

    private sealed class FinalizerProbe
    {
        public static volatile int Thread;

        ~FinalizerProbe()
        {
            Thread = System.Threading.Thread.CurrentThread.ManagedThreadId;
        }
    }
}
