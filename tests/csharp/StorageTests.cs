using System;
using System.Collections.Generic;
using System.Text;
using SessionLocker;

/// <summary>A storage of the host's own, in memory, which answers at once unless a test wants otherwise.</summary>
internal sealed class MemoryHostStorage : HostStorage
{
    public Func<string, bool> IsHanging = key => false;
    public Func<string, Exception> Throws = key => null;
    public Action<string> Asked = what => { };
    public bool IsFailing;

    private readonly SortedDictionary<string, Entry> entries = new SortedDictionary<string, Entry>(StringComparer.Ordinal);
    private long revisions;

    public override void Fetch(StorageRequest request, string key)
    {
        Entry entry;
        if (!Begin(request, "fetch", key))
        {
            return;
        }
        if (entries.TryGetValue(key, out entry) && entry.Bytes != null)
        {
            request.Fetched(entry.Bytes, entry.Revision, entry.UserIds, 0);
        }
        else
        {
            request.Absent(entry == null ? null : entry.Revision);
        }
    }

    public override void Commit(StorageRequest request, StorageCommit commit)
    {
        if (!Begin(request, "commit", commit.Key))
        {
            return;
        }
        if (!IsAsExpected(commit.Key, commit.Expected, commit.Revision))
        {
            request.Conflict();
            return;
        }
        string revision = "r" + ++revisions;
        entries[commit.Key] = new Entry { Bytes = commit.Bytes, Revision = revision, UserIds = commit.UserIds };
        request.Committed(revision);
    }

    public override void Erase(StorageRequest request, string key, Expected expected, string revision)
    {
        if (!Begin(request, "erase", key))
        {
            return;
        }
        if (!IsAsExpected(key, expected, revision))
        {
            request.Conflict();
            return;
        }
        string erased = "r" + ++revisions;
        entries[key] = new Entry { Revision = erased };
        request.Erased(erased);
    }

    public override void List(StorageRequest request, string prefix, string after, int limit)
    {
        var keys = new List<string>();
        foreach (KeyValuePair<string, Entry> pair in entries)
        {
            bool isListed = pair.Value.Bytes != null && pair.Key.StartsWith(prefix, StringComparison.Ordinal)
                && string.CompareOrdinal(pair.Key, after) > 0;
            if (isListed && keys.Count < limit)
            {
                keys.Add(pair.Key);
            }
        }
        request.Keys(keys);
    }

    public override void KeysOfUser(StorageRequest request, string userId)
    {
        var keys = new List<string>();
        foreach (KeyValuePair<string, Entry> pair in entries)
        {
            if (pair.Value.Bytes != null && Array.IndexOf(pair.Value.UserIds, userId) >= 0)
            {
                keys.Add(pair.Key);
            }
        }
        request.Keys(keys);
    }

    private bool Begin(StorageRequest request, string what, string key)
    {
        Asked(what);
        Exception exception = Throws(key);
        if (exception != null)
        {
            throw exception;
        }
        if (IsFailing)
        {
            request.Failed(RequestErrorKind.Backend, "the backend is away");
            return false;
        }
        return !IsHanging(key);
    }

    private bool IsAsExpected(string key, Expected expected, string revision)
    {
        Entry entry;
        entries.TryGetValue(key, out entry);
        if (expected == Expected.Any)
        {
            return true;
        }
        bool isPresent = entry != null && entry.Bytes != null;
        string found = entry == null ? string.Empty : entry.Revision;
        return isPresent == (expected == Expected.Present) && found == revision;
    }

    private sealed class Entry
    {
        public byte[] Bytes;
        public string Revision;
        public string[] UserIds;
    }
}

/// <summary>The least that a storage must be.</summary>
internal sealed class ForgetfulStorage : HostStorage
{
    public override void Fetch(StorageRequest request, string key)
    {
        request.Absent(null);
    }

    public override void Commit(StorageRequest request, StorageCommit commit)
    {
        request.Failed(RequestErrorKind.Misc, "forgotten");
    }

    public override void Erase(StorageRequest request, string key, Expected expected, string revision)
    {
        request.Conflict();
    }
}

public static class StorageTests
{
    public static void The_tools_work_on_a_storage_of_the_librarys_own()
    {
        using (LockerStorage storage = LockerStorage.Open("memory:"))
        {
            UseTools(storage);
        }
    }

    public static void The_tools_work_on_a_storage_of_the_hosts_own()
    {
        using (LockerStorage storage = LockerStorage.Open(new MemoryHostStorage()))
        {
            UseTools(storage);
        }
    }

    public static void A_named_memory_storage_is_shared()
    {
        using (LockerStorage one = LockerStorage.Open("memory:shared by C#"))
        using (LockerStorage two = LockerStorage.Open("memory:shared by C#"))
        {
            one.Commit("k", "{}", null, one.Fetch("k", World.Patience).Revision, World.Patience);
            Expect.True(two.Fetch("k", World.Patience).IsPresent, "it is there");
        }
    }

    public static void A_storage_that_cannot_be_opened_says_why()
    {
        Expect.Contains("nowhere", Expect.Refused(SessionLockerStatus.Storage, () => LockerStorage.Open("nowhere:at all")));
        Expect.Throws<ArgumentNullException>(() => LockerStorage.Open((string)null));
        Expect.Throws<ArgumentNullException>(() => LockerStorage.Open((HostStorage)null));
    }

    public static void The_figures_of_storage_and_store_tell_what_was_asked()
    {
        using (LockerStorage storage = LockerStorage.Open("memory:?requests_in_flight=5"))
        using (var store = new EasyStore(storage, new EasyStoreConfig { TemplateJson = "{\"Gold\":0}", Clock = new TestClock() }))
        {
            store.StartSession("ann").WaitUntilLoaded(World.Patience);
            StorageRecord record = storage.Fetch("ann", World.Patience);
            Expect.Refused(SessionLockerStatus.Conflict, () => storage.Commit("ann", "{}", null, "n:77", World.Patience));
            storage.List("", "", 10, World.Patience);
            storage.Erase("ben", null, World.Patience);
            RequestStats all = storage.GetStats();
            Expect.Equal(2L, all.Fetches);
            Expect.Equal(2L, all.Commits);
            Expect.Equal(1L, all.Erasures);
            Expect.Equal(1L, all.Lists);
            Expect.Equal(1L, all.Conflicts);
            Expect.Equal((long)record.Json.Length, all.BytesRead);
            Expect.Equal(record.Json.Length + 2L, all.BytesWritten);
            Expect.Equal(6L, all.Requests);
            Expect.Equal(6L, all.Answers);
            Expect.Equal(0L, all.InFlight);
            Expect.Equal(1L, all.MostInFlight);
            RequestStats own = store.GetStats();
            Expect.Equal(1L, own.Fetches);
            Expect.Equal(1L, own.Commits);
            Expect.Equal(0L, own.Lists);
            Expect.Equal(2L, own.Latencies[0]);
            Expect.Equal(24, own.Latencies.Length);
            Expect.Equal(0L, own.Retries + own.GivenUp + own.Refused);
            storage.Dispose();
            Expect.Disposed(() => storage.GetStats());
            store.Dispose();
            Expect.Disposed(() => store.GetStats());
        }
    }

    public static void A_storage_of_the_hosts_own_has_limits()
    {
        var asked = new List<StorageRequest>();
        using (LockerStorage storage = LockerStorage.Open(new ListeningStorage(asked.Add), 1000000, 1))
        {
            Expect.Refused(SessionLockerStatus.Timeout, () => storage.Fetch("a", TimeSpan.Zero));
            Expect.Refused(SessionLockerStatus.Storage, () => storage.Fetch("b", TimeSpan.Zero));
            Expect.Equal(1, asked.Count);
            Expect.Equal(1L, storage.GetStats().InFlight);
            Expect.Equal(1L, storage.GetStats().Refused);
            asked[0].Failed(RequestErrorKind.Backend, "away");
            Expect.Refused(SessionLockerStatus.Timeout, () => storage.Fetch("c", TimeSpan.Zero));
            Expect.Equal(2, asked.Count);
            asked[1].Failed(RequestErrorKind.Script, "no");
            RequestStats stats = storage.GetStats();
            Expect.Equal(1L, stats.FailuresBackend);
            Expect.Equal(1L, stats.FailuresScript);
            Expect.Equal(0L, stats.FailuresMisc);
            Expect.Equal(1L, stats.MostWaiting.Others);
            Expect.Equal(0L, stats.Waiting.Saves + stats.Waiting.Loads);
        }
        Expect.Throws<ArgumentOutOfRangeException>(() => LockerStorage.Open(new ForgetfulStorage(), -1));
        string message = Expect.Refused(
            SessionLockerStatus.OutOfRange, () => LockerStorage.Open(new ForgetfulStorage(), 0, 1000001));
        Expect.Contains("requests_in_flight is 1000001", message);
    }

    public static void The_bounds_of_latencies_double()
    {
        Expect.Equal(TimeSpan.FromTicks(160), RequestStats.LatencyBound(0));
        Expect.Equal(TimeSpan.FromTicks(160L << 22), RequestStats.LatencyBound(22));
        Expect.Equal(TimeSpan.MaxValue, RequestStats.LatencyBound(23));
        Expect.Throws<ArgumentOutOfRangeException>(() => RequestStats.LatencyBound(-1));
        Expect.Throws<ArgumentOutOfRangeException>(() => RequestStats.LatencyBound(24));
    }

    public static void Sessions_live_on_a_storage_of_the_hosts_own()
    {
        var storage = new MemoryHostStorage();
        var clock = new TestClock();
        using (LockerStorage opened = LockerStorage.Open(storage))
        using (var store = new EasyStore(opened, new EasyStoreConfig { TemplateJson = "{\"Gold\":0}", Clock = clock }))
        {
            Profile profile = store.StartSession("ann");
            profile.WaitUntilLoaded(World.Patience);
            profile.SaveData.Set("/Gold", 3);
            Expect.Equal(0, store.Drain(World.Patience).Unsaved.Length);
            Expect.Contains("\"Gold\":3", opened.Fetch("ann", World.Patience).Json);
        }
    }

    public static void What_a_storage_throws_is_a_failed_request_and_is_told()
    {
        var storage = new MemoryHostStorage();
        var errors = new List<ErrorReport>();
        using (LockerStorage opened = LockerStorage.Open(storage))
        using (var store = new EasyStore(opened, new EasyStoreConfig { TemplateJson = "{}", Clock = new TestClock(), ReportError = errors.Add }))
        {
            storage.Throws = key => new InvalidOperationException("the disk is on fire");
            Profile profile = store.StartSession("ann");
            store.Update(0);
            store.Update(1);
            Expect.Equal(LoadStatus.DataStoreRequestFail, profile.LoadStatus);
            Expect.Contains("the disk is on fire", errors[0].Message);
            storage.Throws = key => null;
            profile.WaitUntilLoaded(TimeSpan.FromSeconds(60));
            string message = null;
            storage.Throws = key => new InvalidOperationException("the disk is wet");
            message = Expect.Refused(SessionLockerStatus.Storage, () => opened.Fetch("ann", World.Patience));
            Expect.Contains("the disk is wet", message);
        }
    }

    public static void Of_many_errors_in_one_call_each_is_heard()
    {
        const int Sessions = 1500;
        var reported = new List<string>();
        var heard = new List<string>();
        using (LockerStorage storage = LockerStorage.Open(new ListeningStorage(
            request => request.Failed(RequestErrorKind.Backend, "away"))))
        using (var store = new EasyStore(storage, new EasyStoreConfig
        {
            TemplateJson = "{}",
            Clock = new TestClock(),
            RequestsPerUpdate = Sessions,
            ReportError = report => reported.Add(report.Key),
        }))
        {
            store.Error += (sender, report) =>
            {
                Expect.Equal(Activity.Load, report.Activity);
                Expect.Equal(RequestErrorKind.Backend, report.ErrorKind);
                Expect.Contains("away", report.Message);
                heard.Add(report.Key);
            };
            Profile last = null;
            for (int at = 0; at < Sessions; at++)
            {
                last = store.StartSession("player/" + at);
            }
            Expect.Refused(SessionLockerStatus.Timeout, () => last.WaitUntilLoaded(TimeSpan.FromSeconds(5)));
            Expect.True(reported.Count >= Sessions, reported.Count + " errors");
            Expect.Equal(reported.Count, heard.Count);
        }
    }

    public static void A_failure_of_the_hosts_storage_keeps_its_kind_and_message()
    {
        var storage = new MemoryHostStorage { IsFailing = true };
        var errors = new List<ErrorReport>();
        using (LockerStorage opened = LockerStorage.Open(storage))
        using (var store = new EasyStore(opened, new EasyStoreConfig { TemplateJson = "{}", Clock = new TestClock(), ReportError = errors.Add }))
        {
            store.StartSession("ann");
            store.Update(0);
            store.Update(1);
            Expect.Equal(RequestErrorKind.Backend, errors[0].ErrorKind);
            Expect.Equal(Activity.Load, errors[0].Activity);
            Expect.Equal("ann", errors[0].Key);
            Expect.Contains("the backend is away", errors[0].Message);
        }
    }

    public static void What_a_storage_of_the_hosts_own_cannot_do_fails()
    {
        using (LockerStorage storage = LockerStorage.Open(new ForgetfulStorage()))
        {
            Expect.Contains("list", Expect.Refused(SessionLockerStatus.Storage, () => storage.List("", null, 10, World.Patience)));
            Expect.Contains("user", Expect.Refused(SessionLockerStatus.Storage, () => storage.KeysOfUser("ann", World.Patience)));
        }
    }

    public static void A_request_is_answered_once_and_with_an_answer_to_what_was_asked()
    {
        StorageRequest kept = null;
        var listener = new ListeningStorage(request => kept = request);
        using (LockerStorage opened = LockerStorage.Open(listener))
        using (var store = new EasyStore(opened, new EasyStoreConfig { TemplateJson = "{}", Clock = new TestClock() }))
        {
            store.StartSession("ann");
            store.Update(0);
            Expect.Refused(SessionLockerStatus.InvalidArgument, () => kept.Committed("r1"));
            kept.Absent(null);
            Expect.Refused(SessionLockerStatus.InvalidHandle, () => kept.Absent(null));
            store.Update(1);
            Expect.Equal(2, listener.Count);
        }
    }

    private static void UseTools(LockerStorage storage)
    {
        TimeSpan timeout = World.Patience;
        StorageRecord none = storage.Fetch("player/ann", timeout);
        Expect.True(!none.IsPresent && none.Json.Length == 0 && none.UserIds.Length == 0, "nothing is there");
        string first = storage.Commit("player/ann", "{\"Name\":\"Ünal\"}", new[] { "ann", "a\"b\\" }, none.Revision, timeout);
        StorageRecord record = storage.Fetch("player/ann", timeout);
        Expect.Equal("{\"Name\":\"Ünal\"}", record.Json);
        Expect.Equal("{\"Name\":\"Ünal\"}", Encoding.UTF8.GetString(record.GetBytes()));
        Expect.Lines(record.UserIds, "ann", "a\"b\\");
        Expect.Equal(first, record.Revision);
        Expect.Refused(SessionLockerStatus.Conflict, () => storage.Commit("player/ann", "{}", null, none.Revision, timeout));
        storage.Commit("player/ben", "{}", new[] { "ben", "ann" }, storage.Fetch("player/ben", timeout).Revision, timeout);
        storage.Commit("shop/ü", "{}", null, storage.Fetch("shop/ü", timeout).Revision, timeout);
        Expect.Lines(storage.List("", null, 10, timeout), "player/ann", "player/ben", "shop/ü");
        Expect.Lines(storage.List("player/", null, 1, timeout), "player/ann");
        Expect.Lines(storage.List("player/", "player/ann", 10, timeout), "player/ben");
        Expect.Lines(storage.KeysOfUser("ann", timeout), "player/ann", "player/ben");
        Expect.Refused(SessionLockerStatus.Conflict, () => storage.Erase("player/ann", none.Revision, timeout));
        string erased = storage.Erase("player/ann", first, timeout);
        Expect.True(!storage.Fetch("player/ann", timeout).IsPresent, "erased");
        Expect.Equal(erased, storage.Fetch("player/ann", timeout).Revision);
        storage.Erase("player/ben", null, timeout);
        Expect.Lines(storage.List("", null, 10, timeout), "shop/ü");
        Expect.Refused(SessionLockerStatus.OutOfRange, () => storage.List("", null, 0, timeout));
        Expect.Refused(SessionLockerStatus.InvalidArgument, () => storage.Fetch("", timeout));
        Expect.Throws<ArgumentNullException>(() => storage.Fetch(null, timeout));
    }

    private sealed class ListeningStorage : HostStorage
    {
        private readonly Action<StorageRequest> heard;

        public ListeningStorage(Action<StorageRequest> heard)
        {
            this.heard = heard;
        }

        public int Count { get; private set; }

        public override void Fetch(StorageRequest request, string key)
        {
            Count++;
            heard(request);
        }

        public override void Commit(StorageRequest request, StorageCommit commit)
        {
            Count++;
            heard(request);
        }

        public override void Erase(StorageRequest request, string key, Expected expected, string revision)
        {
        }
    }
}
