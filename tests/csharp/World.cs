using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using SessionLocker;

/// <summary>What a test expects.</summary>
internal static class Expect
{
    public static void True(bool condition, string what)
    {
        if (!condition)
        {
            throw new Exception("not so: " + what);
        }
    }

    public static void Equal<T>(T expected, T actual, string what = "")
    {
        if (!EqualityComparer<T>.Default.Equals(expected, actual))
        {
            throw new Exception(what + ": expected <" + expected + ">, found <" + actual + ">");
        }
    }

    public static void Lines(IEnumerable<string> actual, params string[] expected)
    {
        Equal(string.Join("\n", expected), string.Join("\n", actual), "lines");
    }

    public static T Throws<T>(Action action)
        where T : Exception
    {
        try
        {
            action();
        }
        catch (T thrown)
        {
            return thrown;
        }
        throw new Exception("no " + typeof(T).Name + " was thrown");
    }

    public static string Refused(SessionLockerStatus status, Action action)
    {
        SessionLockerException thrown = Throws<SessionLockerException>(action);
        Equal(status, thrown.Status, thrown.Message);
        True(thrown.Message.Length > 0, "the exception has a message");
        return thrown.Message;
    }

    public static void Disposed(Action action)
    {
        Throws<ObjectDisposedException>(action);
    }

    public static void Contains(string part, string whole)
    {
        True(whole.IndexOf(part, StringComparison.Ordinal) >= 0, "<" + part + "> is in <" + whole + ">");
    }
}

/// <summary>A clock that goes only when a test, or a blocking wait, lets time pass.</summary>
internal sealed class TestClock : IClock
{
    public double Now = 1000;

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
    }
}

/// <summary>A storage, a clock, and a store on them.</summary>
internal sealed class World : IDisposable
{
    public static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    private const int FramesLimit = 20000;
    private readonly bool ownsStorage;

    public World(Action<EasyStoreConfig> configure = null, World beside = null)
    {
        Clock = beside == null ? new TestClock() : beside.Clock;
        ownsStorage = beside == null;
        Storage = beside == null ? LockerStorage.Open("memory:") : beside.Storage;
        Errors = new List<ErrorReport>();
        var config = new EasyStoreConfig { TemplateJson = "{\"Gold\":0}", Clock = Clock };
        if (configure != null)
        {
            configure(config);
        }
        Store = new EasyStore(Storage, config);
        Store.Error += (sender, report) => Errors.Add(report);
    }

    public TestClock Clock { get; private set; }

    public LockerStorage Storage { get; private set; }

    public EasyStore Store { get; private set; }

    public List<ErrorReport> Errors { get; private set; }

    public void Frame(double seconds = 0.05)
    {
        Clock.Now += seconds;
        Store.Update(Clock.Now);
    }

    public void Until(Func<bool> isThere, string what)
    {
        for (int frame = 0; frame < FramesLimit; frame++)
        {
            if (isThere())
            {
                return;
            }
            Frame();
            if (frame > 100)
            {
                System.Threading.Thread.Yield(); // The storage may have threads.
            }
        }
        throw new Exception("in vain: " + what);
    }

    public T Until<T>(Task<T> task, string what)
    {
        Until(() => task.IsCompleted, what);
        return task.Result;
    }

    public Profile Load(string key, SessionOptions options = null)
    {
        Profile profile = Store.StartSession(key, options);
        Expect.True(Until(profile.WhenLoadedAsync(), key + " is loaded"), key + " is loaded");
        return profile;
    }

    public void Save(Profile profile)
    {
        profile.MarkForceSave();
        Expect.True(Until(profile.WhenChangesSavedAsync(), "saved"), "saved");
    }

    public void End(Profile profile)
    {
        profile.EndSession();
        Until(() => profile.IsFinished, "finished");
    }

    public void Put(string key, string json, params string[] userIds)
    {
        Storage.Commit(key, json, userIds, Storage.Fetch(key, Patience).Revision, Patience);
    }

    public string Stored(string key)
    {
        return Storage.Fetch(key, Patience).Json;
    }

    public SaveData StoredData(string key)
    {
        return SaveData.Parse(Stored(key));
    }

    public void Dispose()
    {
        Store.Dispose();
        if (ownsStorage)
        {
            Storage.Dispose();
        }
    }
}
