using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using SessionLocker;

public static class SessionTests
{
    public static void A_session_is_loaded_changed_saved_and_ended()
    {
        using (var world = new World())
        {
            Profile profile = world.Store.StartSession("player/ann", new SessionOptions { UserIds = new[] { "ann", "ünal" } });
            Expect.True(profile.IsActive && !profile.IsLoaded && !profile.IsAvailable, "it has begun");
            Expect.True(world.Until(profile.WhenLoadedAsync(), "loaded"), "loaded");
            Expect.True(profile.IsActive && profile.IsLoaded && profile.IsAvailable && !profile.IsFinished, "it is live");
            Expect.Equal(LoadStatus.Loaded, profile.LoadStatus);
            Expect.Equal("player/ann", profile.Key);
            profile.SaveData.Add("/Gold", 5);
            world.Save(profile);
            StorageRecord record = world.Storage.Fetch("player/ann", World.Patience);
            Expect.Lines(record.UserIds, "ann", "ünal");
            Expect.Equal(5L, world.StoredData("player/ann").GetInt64("/Gold"));
            world.End(profile);
            Expect.True(!profile.IsActive && !profile.IsLoaded && !profile.IsAvailable && profile.IsFinished, "it is over");
            Expect.Refused(SessionLockerStatus.NotActive, () => { LoadStatus none = profile.LoadStatus; });
            Expect.Refused(SessionLockerStatus.NotActive, () => profile.SaveData.Set("/Gold", 1));
            Expect.True(!world.StoredData("player/ann").Contains("/Session"), "the key is released");
        }
    }

    public static void Signals_of_one_step_come_deepest_first()
    {
        using (var world = new World())
        {
            var heard = new List<string>();
            Profile profile = world.Store.StartSession("ann");
            Listen(profile, heard);
            world.Until(() => profile.IsLoaded, "loaded");
            Expect.Lines(heard, "Loaded", "Replaced Loaded", "Lifecycle Replaced Loaded");
            heard.Clear();
            world.Save(profile);
            Expect.Lines(heard, "Saved", "Lifecycle Saved None");
            heard.Clear();
            world.End(profile);
            Expect.Lines(
                heard, "Destroyed", "Lifecycle Destroyed None", "Saved", "Lifecycle Saved None", "Released", "Reset Released",
                "Replaced Released", "Lifecycle Replaced Released", "Lifecycle Idling None", "Lifecycle Deleted None",
                "Finished");
        }
    }

    public static void A_lost_session_tells_what_was_not_saved()
    {
        using (var world = new World())
        {
            var heard = new List<string>();
            Profile profile = world.Load("ann");
            Listen(profile, heard);
            profile.SaveData.Set("/Gold", 9);
            Task<bool> saved = profile.WhenChangesSavedAsync();
            string json = null;
            long goldWhenLost = -1;
            profile.Lost += (sender, lost) =>
            {
                json = lost.SaveDataJson;
                goldWhenLost = ((Profile)sender).SaveData.GetInt64("/Gold");
            };
            world.Put("ann", "{\"Version\":1,\"Gold\":100,\"Session\":{\"PlaceId\":0,\"JobId\":\"x\",\"LockId\":7,\"UpdatedAt\":9999999999}}");
            profile.MarkForceSave();
            Expect.Equal(false, world.Until(saved, "the wait is answered"));
            Expect.Lines(heard, "Lost", "Reset Lost", "Replaced Lost", "Lifecycle Replaced Lost");
            Expect.Equal(9L, SaveData.Parse(json).GetInt64("/Gold"));
            Expect.Equal(9L, SaveData.Parse(profile.GetLostSaveDataJson()).GetInt64("/Gold"));
            Expect.Equal(0L, goldWhenLost);
        }
    }

    public static void A_handler_that_was_taken_away_hears_no_more()
    {
        using (var world = new World())
        {
            int heard = 0;
            Profile profile = world.Load("ann");
            EventHandler<LifecycleEventArgs> once = null;
            once = (sender, step) =>
            {
                heard++;
                profile.Saved -= once;
            };
            profile.Saved += once;
            world.Save(profile);
            world.Save(profile);
            Expect.Equal(1, heard);
        }
    }

    public static void Load_statuses_are_told_as_they_change()
    {
        using (var world = new World(config => config.SessionRetryCooldown = TimeSpan.FromSeconds(1)))
        using (var other = new World(null, world))
        {
            Profile owner = other.Load("ann");
            var heard = new List<string>();
            Profile profile = world.Store.StartSession("ann");
            profile.LoadStatusChanged += (sender, change) => heard.Add(change.LoadStatus.ToString());
            Task<bool> loaded = profile.WhenLoadedAsync();
            world.Until(() => profile.LoadStatus == LoadStatus.SessionIsLocked, "locked");
            Expect.True(!loaded.IsCompleted, "it still waits");
            other.End(owner);
            Expect.True(world.Until(loaded, "loaded"), "loaded in the end");
            Expect.Lines(heard, "SessionIsLocked", "Loaded");
        }
    }

    public static void A_wait_for_a_load_that_never_comes_is_answered_with_false()
    {
        using (var world = new World())
        {
            world.Put("new", "{\"Version\":5}");
            Profile ended = world.Store.StartSession("ann");
            Task<bool> first = ended.WhenLoadedAsync();
            ended.EndSession();
            Expect.Equal(false, world.Until(first, "ended"));
            Profile tooNew = world.Store.StartSession("new");
            Expect.Equal(false, world.Until(tooNew.WhenLoadedAsync(), "given up"));
            Expect.Equal(LoadStatus.InvalidVersion, tooNew.LoadStatus);
            Expect.Equal(5, tooNew.LoadMinimumServerVersion);
            Expect.Equal(false, world.Until(tooNew.WhenLoadedAsync(), "given up before it was asked"));
            Profile disposed = world.Store.StartSession("ben");
            Task<bool> last = disposed.WhenLoadedAsync();
            disposed.Dispose();
            Expect.Equal(false, world.Until(last, "disposed"));
            Expect.Refused(SessionLockerStatus.NotActive, () => ended.WhenLoadedAsync());
        }
    }

    public static void A_reusable_session_is_shared_until_the_last_has_ended()
    {
        using (var world = new World())
        {
            Profile first = world.Store.StartSessionReusable("ann");
            world.Until(() => first.IsLoaded, "loaded");
            Profile second = world.Store.StartSessionReusable("ann");
            Expect.True(second.IsLoaded, "it is loaded at once");
            second.SaveData.Set("/Gold", 3);
            Expect.Equal(3L, first.SaveData.GetInt64("/Gold"));
            first.EndSession();
            for (int frame = 0; frame < 20; frame++)
            {
                world.Frame();
            }
            Expect.True(second.IsLoaded, "the other holds it");
            world.End(second);
            Expect.Equal(3L, world.StoredData("ann").GetInt64("/Gold"));
        }
    }

    public static void Blocking_waits_update_the_store()
    {
        using (var world = new World())
        {
            bool heard = false;
            Profile profile = world.Store.StartSession("ann");
            profile.Loaded += (sender, step) => heard = true;
            profile.WaitUntilLoaded(World.Patience);
            Expect.True(heard, "events are raised after a wait too");
            profile.SaveData.Set("/Gold", 2);
            profile.MarkForceSave();
            Expect.True(profile.WaitUntilChangesSaved(World.Patience), "saved");
            world.Put("old", "{\"Version\":9}");
            Profile tooNew = world.Store.StartSession("old");
            Expect.Refused(SessionLockerStatus.NotLoaded, () => tooNew.WaitUntilLoaded(World.Patience));
            profile.MarkShouldSave();
            Expect.Refused(SessionLockerStatus.Timeout, () => profile.WaitUntilChangesSaved(TimeSpan.Zero));
            Expect.Refused(SessionLockerStatus.OutOfRange, () => profile.WaitUntilLoaded(TimeSpan.FromSeconds(-2)));
        }
    }

    public static void A_session_without_apis_never_touches_the_storage()
    {
        using (var world = new World())
        {
            Profile profile = world.Load("guest", new SessionOptions { DisableApis = true, LogPrefix = "[guest]" });
            profile.SaveData.Set("/Gold", 4);
            world.Save(profile);
            Expect.True(!world.Storage.Fetch("guest", World.Patience).IsPresent, "nothing was stored");
        }
    }

    public static void The_whole_document_is_read_and_replaced()
    {
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            Expect.Contains("\"Gold\":0", profile.GetSaveDataJson());
            profile.SetSaveDataJson("{\"Silver\":1,\"Version\":77}");
            Expect.True(!profile.SaveData.Contains("/Gold"), "replaced");
            Expect.Equal(1L, profile.SaveData.GetInt64("/Version"));
            Expect.Refused(SessionLockerStatus.WrongType, () => profile.SetSaveDataJson("[]"));
            Expect.Refused(SessionLockerStatus.NotFound, () => profile.GetLostSaveDataJson());
            Expect.True(ReferenceEquals(profile.SaveData, profile.SaveData), "one object");
        }
    }

    public static void Settings_reach_the_store()
    {
        using (var world = new World(config =>
        {
            config.SaveDataVersion = 3;
            config.SaveDataVersionPatch = 0.25;
            config.JobId = "eu-3";
            config.PlaceId = 42;
            config.DocumentLimitBytes = 100;
            config.SessionExpiry = TimeSpan.FromSeconds(900);
        }))
        {
            Profile profile = world.Load("ann");
            SaveData stored = world.StoredData("ann");
            Expect.Equal(3L, stored.GetInt64("/Version"));
            Expect.Equal(0.25, stored.GetDouble("/VersionPatch"));
            Expect.Equal("eu-3", stored.GetString("/Session/JobId"));
            Expect.Equal(42L, stored.GetInt64("/Session/PlaceId"));
            Expect.Equal(900L, stored.GetInt64("/Session/Expiry"));
            Expect.Equal(17000010L, stored.GetInt64("/Session/UpdatedAt") / 100);
            Expect.Refused(SessionLockerStatus.TooLarge, () => profile.SaveData.Set("/S", new string('x', 200)));
        }
        string message = Expect.Refused(
            SessionLockerStatus.InvalidArgument, () => new World(config => config.SessionExpiry = TimeSpan.FromSeconds(1)));
        Expect.Contains("session_expiry", message);
        Expect.Refused(SessionLockerStatus.InvalidJson, () => new World(config => config.TemplateJson = "{"));
    }

    public static void A_negative_setting_is_refused_by_its_name()
    {
        Refused("SaveDataVersion", config => config.SaveDataVersion = -1);
        Refused("DocumentLimitBytes", config => config.DocumentLimitBytes = -1);
        Refused("BytesPerUpdate", config => config.BytesPerUpdate = long.MinValue);
        Refused("PurchaseHistoryLimit", config => config.PurchaseHistoryLimit = -1);
        Refused("RequestsPerUpdate", config => config.RequestsPerUpdate = -1);
        Refused("RequestsInFlight", config => config.RequestsInFlight = int.MinValue);
    }

    private static void Refused(string setting, Action<EasyStoreConfig> configure)
    {
        Expect.Equal(setting, Expect.Throws<ArgumentOutOfRangeException>(() => new World(configure)).ParamName);
    }

    public static void A_configuration_is_copied()
    {
        using (LockerStorage storage = LockerStorage.Open("memory:"))
        {
            var config = new EasyStoreConfig { Clock = new TestClock(), CreateSaveData = (key, data) => data.Set("/Gold", 3) };
            using (var store = new EasyStore(storage, config))
            {
                config.CreateSaveData = null;
                Profile profile = store.StartSession("ann");
                profile.WaitUntilLoaded(World.Patience);
                Expect.Equal(3L, profile.SaveData.GetInt64("/Gold"));
            }
        }
    }

    public static void Test_data_and_read_only_stores_write_nothing()
    {
        using (var world = new World(config => config.TestDataJson = "{\"Version\":1,\"Gold\":50}"))
        using (var reader = new World(config => config.ReadOnlyDataStores = true, world))
        {
            Expect.Equal(50L, world.Load("ann").SaveData.GetInt64("/Gold"));
            Profile profile = reader.Load("ann");
            profile.SaveData.Set("/Gold", 1);
            reader.Save(profile);
            Expect.True(!world.Storage.Fetch("ann", World.Patience).IsPresent, "nothing was stored");
        }
    }

    public static void A_closed_store_takes_nothing_new_and_ends_what_there_is()
    {
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            profile.SaveData.Set("/Gold", 8);
            world.Store.Close();
            Expect.Refused(SessionLockerStatus.Closed, () => world.Store.StartSession("ben"));
            Expect.Refused(SessionLockerStatus.Closed, () => { world.Store.SendRemoteChangesAsync("ben", "[]"); });
            world.Until(() => world.Store.IsClosed, "closed");
            Expect.True(profile.IsFinished, "finished");
            Expect.Equal(8L, world.StoredData("ann").GetInt64("/Gold"));
        }
    }

    public static void A_drain_saves_everything_and_reports_what_it_could_not()
    {
        var storage = new MemoryHostStorage();
        var clock = new TestClock();
        using (LockerStorage opened = LockerStorage.Open(storage))
        using (var store = new EasyStore(opened, new EasyStoreConfig { TemplateJson = "{}", Clock = clock }))
        {
            Profile saved = store.StartSession("saved");
            Profile stuck = store.StartSession("stuck");
            bool heard = false;
            stuck.WaitUntilLoaded(World.Patience);
            saved.Finished += (sender, nothing) => heard = true;
            storage.IsHanging = key => key == "stuck";
            double begun = clock.Now;
            DrainReport report = store.Drain(TimeSpan.FromSeconds(20));
            Expect.True(clock.Now - begun > 19 && clock.Now - begun < 21, "it took its time: " + (clock.Now - begun));
            Expect.Equal(1, report.Unsaved.Length);
            Expect.Equal("stuck", report.Unsaved[0].Key);
            Expect.True(report.Unsaved[0].Reason.Length > 0, "it says why");
            Expect.Equal(SaveOutcome.Unknown, report.Unsaved[0].Outcome);
            Expect.Equal(0, report.Unsent.Length);
            Expect.True(heard, "events are raised after a drain");
        }
    }

    public static void All_events_of_a_call_are_heard_at_its_end()
    {
        using (var world = new World())
        {
            int finished = 0;
            for (int at = 0; at < 100; at++)
            {
                world.Load("player/" + at).Finished += (sender, nothing) => finished++;
            }
            world.Store.Drain(World.Patience);
            Expect.Equal(100, finished);
        }
    }

    public static void A_drain_reports_what_was_not_sent()
    {
        var storage = new MemoryHostStorage();
        using (LockerStorage opened = LockerStorage.Open(storage))
        using (var store = new EasyStore(opened, new EasyStoreConfig { TemplateJson = "{}", Clock = new TestClock() }))
        {
            storage.IsHanging = key => true;
            Task<SendOutcome> send = store.SendRemoteChangesAsync("ann", "[{\"K\":\"a\"},{\"K\":\"b\"}]");
            DrainReport report = store.Drain(TimeSpan.FromSeconds(5));
            Expect.Equal(1, report.Unsent.Length);
            Expect.Equal("ann", report.Unsent[0].Key);
            Expect.Equal(2, report.Unsent[0].ChangeCount);
            Expect.Equal(SendOutcome.NotSent, report.Unsent[0].Outcome);
            Expect.True(report.Unsent[0].Reason.Length > 0, "it says why");
            store.Dispose();
            Expect.Equal(SendOutcome.NotSent, send.Result);
        }
    }

    private static void Listen(Profile profile, List<string> heard)
    {
        profile.Lifecycle += (sender, step) => heard.Add("Lifecycle " + step.Lifecycle + " " + step.Reason);
        profile.Replaced += (sender, step) => heard.Add("Replaced " + step.Reason);
        profile.Reset += (sender, step) => heard.Add("Reset " + step.Reason);
        profile.Loaded += (sender, step) => heard.Add("Loaded");
        profile.Released += (sender, step) => heard.Add("Released");
        profile.Lost += (sender, step) => heard.Add("Lost");
        profile.Saved += (sender, step) => heard.Add("Saved");
        profile.Destroyed += (sender, step) => heard.Add("Destroyed");
        profile.Finished += (sender, nothing) => heard.Add("Finished");
    }
}
