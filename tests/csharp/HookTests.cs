using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using SessionLocker;

/// <summary>
/// Whatever a hook throws stays on this side of the library: it comes back as the hook's failure, with its text and the
/// exception itself, and the process, the session and its data are as before.
/// </summary>
public static class HookTests
{
    public static void A_create_hook_makes_the_document()
    {
        string asked = null;
        using (var world = new World(config =>
        {
            config.TemplateJson = null;
            config.CreateSaveData = (key, data) =>
            {
                asked = key;
                data.Set("/Gold", 12);
            };
        }))
        {
            Expect.Equal(12L, world.Load("player/ünal").SaveData.GetInt64("/Gold"));
            Expect.Equal("player/ünal", asked);
        }
    }

    public static void A_create_hook_that_throws_fails_the_load_and_is_told()
    {
        var thrown = new InvalidOperationException("no template for ünal");
        using (var world = new World(config =>
        {
            config.TemplateJson = null;
            config.CreateSaveData = (key, data) => { throw thrown; };
        }))
        {
            Profile profile = world.Store.StartSession("ann");
            Expect.Equal(false, world.Until(profile.WhenLoadedAsync(), "given up"));
            Expect.Equal(LoadStatus.CreateFailed, profile.LoadStatus);
            Told(world, Activity.Create, thrown);
        }
    }

    public static void A_draft_is_gone_when_its_hook_has_returned()
    {
        SaveData kept = null;
        using (var world = new World(config =>
        {
            config.TemplateJson = null;
            config.CreateSaveData = (key, data) => kept = data;
        }))
        {
            world.Load("ann");
            Expect.Refused(SessionLockerStatus.InvalidHandle, () => kept.Set("/Gold", 1));
        }
    }

    public static void Migrators_and_patchers_run_in_order()
    {
        var ran = new List<string>();
        using (var builder = new MigratorBuilder())
        {
            builder.AddPatcherFor(1, (SaveData data, ref double patch) =>
            {
                ran.Add("patch 1 at " + patch);
                data.Set("/Patched", true);
            });
            builder.AddMigratorFrom(1, (SaveData data, ref double patch) =>
            {
                ran.Add("1 to 2 at " + patch);
                data.Set("/Two", data.GetBoolean("/Patched"));
                patch = 0.5;
            });
            builder.AddMigratorFrom(2, (SaveData data, ref double patch) => ran.Add("2 to 3 at " + patch));
            builder.CheckVersion(3);
            Expect.Refused(SessionLockerStatus.Migration, () => builder.CheckVersion(4));
            Expect.Refused(SessionLockerStatus.Migration, () => builder.AddMigratorFrom(1, (SaveData data, ref double patch) => { }));
            Expect.Throws<ArgumentNullException>(() => builder.AddPatcherFor(2, null));
            using (Migrators migrators = builder.Build())
            using (var world = new World(config =>
            {
                config.SaveDataVersion = 3;
                config.Migrators = migrators;
            }))
            {
                world.Put("old", "{\"Version\":1,\"VersionPatch\":0.25}");
                SaveData loaded = world.Load("old").SaveData;
                Expect.Lines(ran, "patch 1 at 0.25", "1 to 2 at 0", "2 to 3 at 0");
                Expect.True(loaded.GetBoolean("/Two"), "the patcher ran first");
                Expect.Equal(3L, loaded.GetInt64("/Version"));
                using (SaveData own = SaveData.Parse("{\"Version\":1}"))
                {
                    migrators.Migrate(own, 2);
                    Expect.Equal(0.5, own.GetDouble("/VersionPatch"));
                    Expect.Refused(SessionLockerStatus.Migration, () => migrators.Migrate(own, 9));
                }
                Expect.Refused(SessionLockerStatus.Unsupported, () => migrators.Migrate(loaded, 3));
            }
        }
    }

    public static void A_migrator_that_throws_leaves_the_record_as_it_was()
    {
        var thrown = new InvalidOperationException("there are no coins");
        using (var builder = new MigratorBuilder())
        {
            builder.AddMigratorFrom(1, (SaveData data, ref double patch) =>
            {
                data.Set("/Half", true);
                throw thrown;
            });
            using (Migrators migrators = builder.Build())
            using (var world = new World(config =>
            {
                config.SaveDataVersion = 2;
                config.Migrators = migrators;
            }))
            {
                world.Put("old", "{\"Version\":1}");
                Profile profile = world.Store.StartSession("old");
                Expect.Equal(false, world.Until(profile.WhenLoadedAsync(), "given up"));
                Expect.Equal(LoadStatus.MigrationFailed, profile.LoadStatus);
                Expect.Equal("{\"Version\":1}", world.Stored("old"));
                Told(world, Activity.Migrate, thrown);
                using (SaveData own = SaveData.Parse("{\"Version\":1}"))
                {
                    string message = Expect.Refused(SessionLockerStatus.Migration, () => migrators.Migrate(own, 2));
                    Expect.Contains("there are no coins", message);
                    Expect.True(!own.Contains("/Half"), "all or nothing");
                }
            }
        }
    }

    public static void Hooks_before_a_save_write_into_it()
    {
        using (var world = new World())
        {
            var ran = new List<string>();
            Profile profile = world.Load("ann");
            profile.BeforeSave = saved =>
            {
                ran.Add("before");
                saved.SaveData.Set("/At", 1);
            };
            profile.BeforeSaveTransform = saved =>
            {
                ran.Add("transform");
                saved.SaveData.Add("/At", 10);
            };
            Expect.True(profile.BeforeSave != null && profile.BeforeSaveTransform != null, "they are set");
            world.Save(profile);
            Expect.Lines(ran, "before", "transform");
            Expect.Equal(11L, world.StoredData("ann").GetInt64("/At"));
            profile.BeforeSave = null;
            profile.BeforeSaveTransform = null;
            ran.Clear();
            world.Save(profile);
            Expect.Equal(0, ran.Count);
            profile.BeforeSave = saved => ran.Add("final");
            world.End(profile);
            Expect.Lines(ran, "final");
            Expect.Refused(SessionLockerStatus.NotActive, () => profile.BeforeSave = saved => { });
        }
    }

    public static void A_hook_before_a_save_that_throws_puts_it_off_and_loses_nothing()
    {
        foreach (bool isTransform in new[] { false, true })
        {
            using (var world = new World(config => config.SessionRetryCooldown = TimeSpan.FromSeconds(1)))
            {
                var thrown = new InvalidOperationException("the inventory is busy");
                bool isBroken = true;
                Action<Profile> hook = saved =>
                {
                    saved.SaveData.Set("/Half", true);
                    if (isBroken)
                    {
                        throw thrown;
                    }
                };
                Profile profile = world.Load("ann");
                profile.SaveData.Set("/Gold", 6);
                if (isTransform)
                {
                    profile.BeforeSaveTransform = hook;
                }
                else
                {
                    profile.BeforeSave = hook;
                }
                profile.MarkForceSave();
                Task<bool> saving = profile.WhenChangesSavedAsync();
                world.Frame();
                world.Frame();
                Told(world, Activity.BeforeSave, thrown);
                Expect.True(!saving.IsCompleted && !profile.SaveData.Contains("/Half"), "put off and undone");
                isBroken = false;
                Expect.True(world.Until(saving, "saved after the cooldown"), "saved");
                Expect.Equal(6L, world.StoredData("ann").GetInt64("/Gold"));
                Expect.True(world.StoredData("ann").GetBoolean("/Half"), "the hook's own is in it");
            }
        }
    }

    public static void A_merge_takes_over_what_was_written_before_the_load()
    {
        using (var world = new World(config => config.MergeOfflineSaveData = (key, offline, data) =>
            data.Add("/Gold", offline.GetInt64("/Gold"))))
        {
            world.Put("ann", "{\"Version\":1,\"Gold\":100}");
            Profile profile = world.Store.StartSession("ann");
            profile.SaveData.Set("/Gold", 5);
            Expect.True(world.Until(profile.WhenLoadedAsync(), "loaded"), "loaded");
            Expect.Equal(105L, profile.SaveData.GetInt64("/Gold"));
        }
    }

    public static void A_merge_that_throws_is_undone_and_the_load_goes_on()
    {
        var thrown = new InvalidOperationException("they do not fit together");
        using (var world = new World(config => config.MergeOfflineSaveData = (key, offline, data) =>
        {
            data.Set("/Gold", 1);
            throw thrown;
        }))
        {
            world.Put("ann", "{\"Version\":1,\"Gold\":100}");
            Expect.Equal(100L, world.Load("ann").SaveData.GetInt64("/Gold"));
            Told(world, Activity.Merge, thrown);
        }
    }

    public static void A_remote_change_hook_that_throws_is_undone_and_asked_again()
    {
        var thrown = new InvalidOperationException("the mailbox is jammed");
        bool isBroken = true;
        using (var world = new World(config =>
        {
            config.SessionRetryCooldown = TimeSpan.FromSeconds(1);
            config.ProcessRemoteChange = (key, data, change) =>
            {
                data.Add("/Gold", change.Data.GetInt64("/Amount"));
                if (isBroken)
                {
                    throw thrown;
                }
                return RemoteChangeResult.Applied;
            };
        }))
        {
            Task<SendOutcome> send = world.Store.SendRemoteChangesAsync("ann", "[{\"K\":\"gold\",\"Amount\":3}]");
            Expect.Equal(SendOutcome.Sent, world.Until(send, "sent"));
            Profile profile = world.Load("ann");
            Expect.Equal(0L, profile.SaveData.GetInt64("/Gold"));
            Told(world, Activity.RemoteChange, thrown);
            isBroken = false;
            world.Until(() => profile.SaveData.GetInt64("/Gold") == 3, "applied after the cooldown");
        }
    }

    public static void A_failed_call_inside_a_hook_is_a_failure_and_no_answer()
    {
        using (var world = new World(config => config.ProcessRemoteChange = (key, data, change) =>
        {
            data.GetInt64("/Nothing");
            return RemoteChangeResult.Applied;
        }))
        {
            world.Until(world.Store.SendRemoteChangesAsync("ann", "[{\"K\":\"x\"}]"), "sent");
            world.Load("ann");
            ErrorReport report = world.Errors.Find(error => error.Activity == Activity.RemoteChange);
            Expect.Contains("/Nothing", report.Message);
            Expect.Equal(SessionLockerStatus.NotFound, ((SessionLockerException)report.Exception).Status);
        }
    }

    public static void What_an_error_hook_throws_comes_out_of_the_update()
    {
        var thrown = new InvalidOperationException("the log disk is full");
        int reports = 0;
        using (var world = new World(config =>
        {
            config.TemplateJson = null;
            config.CreateSaveData = (key, data) => { throw new InvalidOperationException("no"); };
            config.ReportError = report =>
            {
                if (++reports == 1)
                {
                    throw thrown;
                }
            };
        }))
        {
            Profile profile = world.Store.StartSession("ann");
            Exception seen = null;
            for (int frame = 0; frame < 10 && seen == null; frame++)
            {
                try
                {
                    world.Frame();
                }
                catch (InvalidOperationException exception)
                {
                    seen = exception;
                }
            }
            Expect.True(ReferenceEquals(seen, thrown), "the exception itself");
            Expect.Equal(LoadStatus.CreateFailed, profile.LoadStatus);
        }
    }

    public static void A_handler_that_throws_holds_up_nothing()
    {
        using (var world = new World())
        {
            var heard = new List<string>();
            Profile profile = world.Store.StartSession("ann");
            Task<bool> loaded = profile.WhenLoadedAsync();
            profile.Loaded += (sender, step) => { throw new InvalidOperationException("first"); };
            profile.Loaded += (sender, step) => heard.Add("second handler");
            profile.Replaced += (sender, step) => heard.Add("Replaced");
            profile.Lifecycle += (sender, step) => { throw new InvalidOperationException("second"); };
            AggregateException thrown = Expect.Throws<AggregateException>(() =>
            {
                for (int frame = 0; frame < 100; frame++)
                {
                    world.Frame();
                }
            });
            Expect.Equal(2, thrown.InnerExceptions.Count);
            Expect.Equal("first", thrown.InnerExceptions[0].Message);
            Expect.Equal("second", thrown.InnerExceptions[1].Message);
            Expect.Lines(heard, "second handler", "Replaced");
            Expect.True(loaded.IsCompleted && loaded.Result, "the task has completed");
            world.Frame();
        }
    }

    public static void One_exception_of_a_handler_comes_as_it_is()
    {
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            var thrown = new InvalidOperationException("as it is");
            EventHandler<LifecycleEventArgs> handler = (sender, step) => { throw thrown; };
            profile.Saved += handler;
            profile.MarkForceSave();
            Exception seen = Expect.Throws<InvalidOperationException>(() => profile.WaitUntilChangesSaved(World.Patience));
            Expect.True(ReferenceEquals(seen, thrown), "the exception itself");
            Expect.Contains("HookTests", seen.StackTrace);
            profile.Saved -= handler;
            world.Save(profile); // It is not thrown again.
        }
    }

    public static void An_exception_without_a_message_is_told_by_its_name()
    {
        foreach (Exception thrown in new Exception[] { new SilentException(), new MuteException() })
        {
            using (var world = new World(config =>
            {
                config.TemplateJson = null;
                config.CreateSaveData = (key, data) => { throw thrown; };
            }))
            {
                Profile profile = world.Store.StartSession("ann");
                world.Until(profile.WhenLoadedAsync(), "given up");
                Expect.Contains(thrown.GetType().Name, world.Errors[0].Message);
            }
        }
    }

    public static void A_long_message_comes_whole()
    {
        string text = "it began with " + new string('ü', 3000) + " and ended";
        using (PendingProductPurchase pending = PendingProductPurchase.FromIds(
            (op, call) => { throw new InvalidOperationException(text); }, 1, null))
        {
            SessionLockerException thrown = Expect.Throws<SessionLockerException>(() => pending.Validate(null));
            Expect.Contains(text, thrown.Message);
            Expect.Equal(text, thrown.InnerException.Message);
        }
    }

    public static void Hooks_survive_a_collection_of_garbage_in_their_midst()
    {
        using (var world = new World(config => config.ProcessRemoteChange = (key, data, change) =>
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            data.Add("/Gold", 1);
            return RemoteChangeResult.Applied;
        }))
        {
            Profile profile = world.Load("ann");
            profile.BeforeSave = saved =>
            {
                GC.Collect();
                GC.WaitForPendingFinalizers();
            };
            GC.Collect();
            world.Until(world.Store.SendRemoteChangesAsync("ann", "[{\"K\":\"x\"}]"), "sent");
            world.Save(profile);
            world.Until(() => profile.SaveData.GetInt64("/Gold") == 1, "applied");
        }
    }

    public static void A_thread_that_is_aborted_in_a_hook_dies_when_the_library_has_returned()
    {
        if (Type.GetType("Mono.Runtime") == null)
        {
            return; // .NET Core aborts no thread.
        }
        foreach (bool isClock in new[] { false, true })
        {
            var errors = new List<ErrorReport>();
            var clock = new SlowClock { IsSlow = isClock };
            using (var inHook = new ManualResetEvent(false))
            using (LockerStorage storage = LockerStorage.Open(new MemoryHostStorage { IsHanging = key => isClock }))
            using (var store = new EasyStore(storage, new EasyStoreConfig
            {
                Clock = clock,
                ReportError = errors.Add,
                CreateSaveData = (key, data) =>
                {
                    data.Set("/Gold", 1);
                    Hang(isClock ? null : inHook);
                },
            }))
            {
                clock.Sleeping = inHook;
                Profile profile = store.StartSession("ann");
                bool hasReturned = false;
                Exception seen = null;
                var thread = new Thread(() =>
                {
                    try
                    {
                        profile.WaitUntilLoaded(World.Patience);
                        store.Drain(World.Patience);
                        hasReturned = true;
                    }
                    catch (ThreadAbortException exception)
                    {
                        seen = exception;
                    }
                });
                thread.Start();
                Expect.True(inHook.WaitOne(World.Patience), "the hook runs");
                thread.Abort();
                Expect.True(thread.Join(World.Patience), "the library returns");
                Expect.True(seen != null && !hasReturned, "the thread is aborted");
                store.Update(clock.Now); // It is under way no more.
                Expect.True(isClock || errors.Exists(error => error.Exception is ThreadAbortException), "a failure as any");
            }
        }
    }

    public static void A_clock_that_throws_counts_for_nothing()
    {
        using (LockerStorage storage = LockerStorage.Open("memory:"))
        using (var store = new EasyStore(storage, new EasyStoreConfig { TemplateJson = "{}", Clock = new BrokenClock() }))
        {
            Profile profile = store.StartSession("ann");
            for (int frame = 0; frame < 100 && !profile.IsLoaded; frame++)
            {
                store.Update(frame);
            }
            Expect.True(profile.IsLoaded, "loaded all the same");
        }
    }

    private static void Told(World world, Activity activity, Exception thrown)
    {
        ErrorReport report = world.Errors.Find(error => error.Activity == activity);
        Expect.True(report != null, "it is reported");
        Expect.True((": " + report.Message).EndsWith(": " + thrown.Message, StringComparison.Ordinal), report.Message);
        Expect.True(ReferenceEquals(report.Exception, thrown), "the report has the exception");
    }

    private static void Hang(EventWaitHandle reached)
    {
        if (reached != null)
        {
            reached.Set();
            Thread.Sleep(Timeout.Infinite);
        }
    }

    private sealed class SlowClock : IClock
    {
        public double Now = 1000;
        public bool IsSlow;
        public EventWaitHandle Sleeping;

        public double Wall()
        {
            return 1700000000 + Now;
        }

        public double Monotonic()
        {
            return Now;
        }

        public void Sleep(double seconds)
        {
            Now += seconds;
            bool isSlow = IsSlow;
            IsSlow = false;
            Hang(isSlow ? Sleeping : null);
        }
    }

    private sealed class SilentException : Exception
    {
        public override string Message
        {
            get { return string.Empty; }
        }
    }

    private sealed class MuteException : Exception
    {
        public override string Message
        {
            get { throw new InvalidOperationException("not even a message"); }
        }
    }

    private sealed class BrokenClock : IClock
    {
        private int calls;

        public double Wall()
        {
            return Tick(1700000000);
        }

        public double Monotonic()
        {
            return Tick(0);
        }

        public void Sleep(double seconds)
        {
            throw new InvalidOperationException("sleepless");
        }

        private double Tick(double from)
        {
            if (++calls % 2 == 0)
            {
                throw new InvalidOperationException("no time");
            }
            return from + calls;
        }
    }
}
