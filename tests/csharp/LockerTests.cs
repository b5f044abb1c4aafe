using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using SessionLocker;

/// <summary>A spec, and the lockers that are updated with it.</summary>
internal sealed class LockerBench : IDisposable
{
    public readonly List<Locker> Lockers = new List<Locker>();
    public readonly TestClock Clock = new TestClock();

    public LockerBench(Action<LockerSpecConfig> configure = null)
    {
        Storage = LockerStorage.Open("memory:");
        var config = new LockerSpecConfig { TemplateJson = "{\"Gold\":0}", Clock = Clock };
        if (configure != null)
        {
            configure(config);
        }
        Spec = new LockerSpec(Storage, config);
    }

    public LockerStorage Storage { get; private set; }

    public LockerSpec Spec { get; private set; }

    public void Frame()
    {
        Clock.Now += 0.05;
        foreach (Locker locker in Lockers)
        {
            locker.Update(Clock.Now);
        }
    }

    public void Until(Func<bool> isThere, string what)
    {
        for (int frame = 0; frame < 20000 && !isThere(); frame++)
        {
            Frame();
        }
        Expect.True(isThere(), what);
    }

    public Locker Load(string key)
    {
        Locker locker = Spec.CreateLocker(key);
        Lockers.Add(locker);
        locker.MarkShouldAcquire();
        Until(() => locker.LoadStatus == LoadStatus.Loaded, "loaded");
        return locker;
    }

    public void Dispose()
    {
        foreach (Locker locker in Lockers)
        {
            if (!locker.IsDisposed)
            {
                locker.MarkShouldRelease();
                while (!locker.Update(Clock.Now += 0.05))
                {
                }
                locker.Dispose();
            }
        }
        Spec.Dispose();
        Storage.Dispose();
    }
}

public static class LockerTests
{
    public static void A_locker_is_acquired_saved_released_and_disposed()
    {
        using (var bench = new LockerBench())
        {
            Locker locker = bench.Spec.CreatePlayerLocker("ann");
            var heard = new List<string>();
            locker.Lifecycle += (sender, step) => heard.Add(step.Lifecycle + " " + step.Reason);
            locker.LoadStatusChanged += (sender, change) => heard.Add(change.LoadStatus.ToString());
            locker.Idling += (sender, step) => heard.Add("idling");
            locker.Deleted += (sender, step) => heard.Add("deleted");
            Expect.Equal("ann", locker.Key);
            Expect.True(locker.IsSyncing && !locker.IsAvailable, "it has no session yet");
            locker.MarkShouldAcquire();
            bench.Lockers.Add(locker);
            bench.Until(() => locker.LoadStatus == LoadStatus.Loaded, "loaded");
            Expect.True(locker.IsAvailable && !locker.IsIdling && !locker.IsDeleted, "it is live");
            locker.SaveData.Set("/Gold", 4);
            locker.MarkForceSave();
            Task<bool> saved = locker.WhenChangesSavedAsync();
            bench.Until(() => saved.IsCompleted, "answered");
            Expect.True(saved.Result, "saved");
            Expect.Lines(bench.Storage.Fetch("ann", World.Patience).UserIds, "ann");
            Expect.Refused(SessionLockerStatus.Busy, () => locker.Dispose());
            Expect.True(!locker.IsDisposed && locker.IsAvailable, "nothing was done");
            locker.MarkShouldRelease();
            bool shouldRemove = false;
            for (int frame = 0; frame < 100 && !shouldRemove; frame++)
            {
                shouldRemove = locker.Update(bench.Clock.Now += 0.05);
            }
            Expect.True(shouldRemove && locker.IsIdling, "it may go");
            locker.Dispose();
            Expect.Lines(
                heard, "Replaced Released", "Replaced Loaded", "Loaded", "Saved None", "Saved None", "Replaced Released", "Loading",
                "idling", "Idling None", "deleted", "Deleted None");
            Expect.Contains("\"Gold\":4", bench.Storage.Fetch("ann", World.Patience).Json);
        }
    }

    public static void A_locker_is_marked_deleted_once()
    {
        using (var bench = new LockerBench())
        {
            Locker locker = bench.Spec.CreateLocker("ann");
            bool heard = false;
            Expect.True(locker.Update(1), "it is idle");
            locker.Deleted += (sender, step) => heard = true;
            locker.MarkDeleted();
            Expect.True(heard && locker.IsDeleted, "deleted");
            Expect.Refused(SessionLockerStatus.NotActive, () => locker.MarkDeleted());
            Expect.Refused(SessionLockerStatus.NotActive, () => locker.Update(1));
            Expect.Refused(SessionLockerStatus.NotActive, () => locker.MarkShouldSave());
            locker.Dispose();
            locker.Dispose();
            Expect.Disposed(() => locker.Update(1));
            Expect.Disposed(() => { LoadStatus any = locker.LoadStatus; });
            Expect.Disposed(() => { int any = locker.LoadMinimumServerVersion; });
            Expect.Disposed(() => { bool any = locker.IsIdling; });
            Expect.Disposed(() => { bool any = locker.IsDeleted; });
            Expect.Disposed(() => { bool any = locker.IsSyncing; });
            Expect.Disposed(() => locker.IsSyncing = false);
            Expect.Disposed(() => { bool any = locker.IsAvailable; });
            Expect.Disposed(() => locker.SaveData.ToString());
            Expect.Disposed(() => locker.GetSaveDataJson());
            Expect.Disposed(() => locker.SetSaveDataJson("{}"));
            Expect.Disposed(() => locker.GetLostSaveDataJson());
            Expect.Disposed(() => locker.MarkShouldAcquire());
            Expect.Disposed(() => locker.MarkShouldRelease());
            Expect.Disposed(() => locker.MarkForceSave());
            Expect.Disposed(() => locker.MarkDeleted());
            Expect.Disposed(() => locker.SetLogPrefix("x"));
            Expect.Disposed(() => { locker.WhenChangesSavedAsync(); });
            Expect.Disposed(() => locker.WhenChangesSaved());
            Expect.Disposed(() => locker.WaitUntilChangesSaved(World.Patience));
            Expect.Disposed(() => locker.ProductCreditQuery(1));
            Expect.Disposed(() => locker.ProductCreditGive(1, 1));
            Expect.Disposed(() => locker.ProductCreditUse(1, 1));
        }
    }

    public static void A_session_is_held_while_any_use_key_is()
    {
        using (var bench = new LockerBench())
        {
            Locker locker = bench.Load("ann");
            locker.MarkShouldAcquire(ulong.MaxValue);
            locker.MarkShouldRelease();
            for (int frame = 0; frame < 20; frame++)
            {
                bench.Frame();
            }
            Expect.Equal(LoadStatus.Loaded, locker.LoadStatus);
            locker.MarkShouldRelease(ulong.MaxValue);
            bench.Until(() => locker.IsIdling, "released");
        }
    }

    public static void A_locker_that_is_not_in_step_is_not_available()
    {
        using (var bench = new LockerBench())
        {
            Locker locker = bench.Load("ann");
            Expect.True(locker.IsSyncing, "in the beginning");
            locker.IsSyncing = false;
            Expect.True(!locker.IsSyncing && !locker.IsAvailable, "not available");
            locker.IsSyncing = true;
            Expect.True(locker.IsAvailable, "available");
        }
    }

    public static void Hooks_before_a_save_get_their_locker()
    {
        Locker seen = null;
        var thrown = new InvalidOperationException("the bag is open");
        bool isBroken = false;
        using (var bench = new LockerBench(config =>
        {
            config.SessionRetryCooldown = TimeSpan.FromSeconds(1);
            config.BeforeSave = locker =>
            {
                seen = locker;
                locker.SaveData.Set("/First", 1);
            };
            config.BeforeSaveTransform = locker =>
            {
                locker.SaveData.Add("/First", 1);
                if (isBroken)
                {
                    throw thrown;
                }
            };
        }))
        {
            Locker locker = bench.Load("ann");
            var errors = new List<ErrorReport>();
            locker.Error += (sender, report) => errors.Add(report);
            locker.MarkForceSave();
            Expect.True(locker.WaitUntilChangesSaved(World.Patience), "saved");
            Expect.True(ReferenceEquals(seen, locker), "the locker itself");
            Expect.Contains("\"First\":2", bench.Storage.Fetch("ann", World.Patience).Json);
            isBroken = true;
            locker.MarkForceSave();
            bench.Frame();
            bench.Frame();
            Expect.Equal(Activity.BeforeSave, errors[0].Activity);
            Expect.True(ReferenceEquals(errors[0].Exception, thrown), "told");
            isBroken = false;
        }
    }

    public static void Lost_save_data_and_credit_are_a_lockers_too()
    {
        using (var bench = new LockerBench())
        {
            Locker locker = bench.Load("ann");
            locker.ProductCreditGive(3, 2);
            Expect.True(locker.ProductCreditUse(3, 1) && !locker.ProductCreditUse(3, 9), "used");
            Expect.Equal(1L, locker.ProductCreditQuery(3));
            locker.SetSaveDataJson("{\"Gold\":9}");
            Expect.Contains("\"Gold\":9", locker.GetSaveDataJson());
            Expect.Refused(SessionLockerStatus.NotFound, () => locker.GetLostSaveDataJson());
            LostEventArgs lost = null;
            locker.Lost += (sender, arguments) => lost = arguments;
            bench.Storage.Erase("ann", null, World.Patience);
            locker.MarkForceSave();
            bench.Until(() => lost != null, "lost");
            Expect.Contains("\"Gold\":9", lost.SaveDataJson);
            Expect.Contains("\"Gold\":9", locker.GetLostSaveDataJson());
            bench.Until(() => locker.LoadStatus == LoadStatus.Erased, "erased");
            Expect.Equal(0, locker.LoadMinimumServerVersion);
        }
    }

    public static void A_spec_tells_what_it_was_made_with()
    {
        using (var bench = new LockerBench(config =>
        {
            config.MaintainSessionPeriod = TimeSpan.FromSeconds(60);
            config.PurchaseHistoryLimit = 7;
            config.SessionRetryCooldown = TimeSpan.FromSeconds(2);
            config.VerboseLogs = true;
        }))
        {
            Expect.Equal(60.0, bench.Spec.QueryConfig(ConfigValue.MaintainSessionPeriod));
            Expect.Equal(2.0, bench.Spec.QueryConfig(ConfigValue.SessionRetryCooldown));
            Expect.Equal(7.0, bench.Spec.QueryConfig(ConfigValue.PurchaseHistoryLimit));
            Expect.Equal(1.0, bench.Spec.QueryConfig(ConfigValue.VerboseLogs));
            Expect.Equal(1800.0, bench.Spec.QueryConfig(ConfigValue.SessionExpiry));
            Expect.Refused(SessionLockerStatus.InvalidArgument, () => bench.Spec.QueryConfig((ConfigValue)99));
        }
    }

    public static void Lockers_go_on_when_their_spec_is_disposed()
    {
        using (var bench = new LockerBench())
        {
            Locker locker = bench.Load("ann");
            bench.Spec.Dispose();
            Expect.Disposed(() => bench.Spec.CreateLocker("ben"));
            locker.SaveData.Set("/Gold", 1);
            locker.MarkForceSave();
            Expect.True(locker.WaitUntilChangesSaved(World.Patience), "saved");
        }
    }

    public static void A_saved_connection_is_a_lockers_too()
    {
        using (var bench = new LockerBench())
        {
            Locker locker = bench.Load("ann");
            locker.SetLogPrefix("[ann]");
            locker.MarkShouldSave();
            using (SavedConnection connection = locker.WhenChangesSaved())
            {
                Expect.True(connection.IsConnected, "it waits");
                locker.MarkForceSave();
                bench.Until(() => connection.Task.IsCompleted, "answered");
                Expect.True(connection.IsSaved, "saved");
            }
        }
    }
}
