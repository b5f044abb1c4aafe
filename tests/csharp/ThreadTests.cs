using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using SessionLocker;

public static class ThreadTests
{
    [ThreadStatic]
    private static int heardOnThisThread;

    public static void An_update_inside_a_hook_is_refused_and_the_outer_one_goes_on()
    {
        using (var world = new World())
        {
            var refusals = new List<string>();
            bool isDeliveredInside = false;
            Profile profile = world.Load("ann");
            Profile other = world.Store.StartSession("ben");
            Task<bool> loaded = other.WhenLoadedAsync();
            profile.BeforeSave = saved =>
            {
                other.Dispose(); // Its wait is answered, which is to be told when the update is done.
                refusals.Add(Expect.Refused(SessionLockerStatus.Busy, () => world.Store.Update(5000)));
                refusals.Add(Expect.Refused(SessionLockerStatus.Busy, () => saved.WaitUntilLoaded(World.Patience)));
                refusals.Add(Expect.Refused(SessionLockerStatus.Busy, () => saved.WaitUntilChangesSaved(World.Patience)));
                refusals.Add(Expect.Refused(SessionLockerStatus.Busy, () => world.Store.Drain(World.Patience)));
                isDeliveredInside = loaded.IsCompleted;
            };
            profile.MarkForceSave();
            world.Frame();
            Expect.True(!isDeliveredInside, "nothing is delivered inside a hook");
            Expect.True(loaded.IsCompleted, "but at the end of its update");
            world.Save(profile);
            Expect.True(refusals.Count >= 4, "each was refused");
            Expect.Equal(0, world.Errors.Count);
        }
    }

    public static void A_handler_may_call_anything_an_update_too()
    {
        using (var world = new World())
        {
            var order = new List<string>();
            Profile profile = world.Load("ann");
            profile.Saved += (sender, step) =>
            {
                order.Add("Saved");
                if (order.Count == 1)
                {
                    profile.SaveData.Set("/Gold", 2);
                    profile.MarkForceSave();
                    Expect.True(profile.WaitUntilChangesSaved(World.Patience), "saved from inside");
                    order.Add("waited");
                }
            };
            profile.Lifecycle += (sender, step) => order.Add("Lifecycle");
            world.Save(profile);
            Expect.Equal("Saved", order[0]);
            Expect.True(order.IndexOf("waited") > order.LastIndexOf("Saved") - 1, string.Join(" ", order));
            Expect.Equal(2, order.FindAll(heard => heard == "Lifecycle").Count);
        }
    }

    public static void Another_thread_is_refused_an_update_and_writes_while_a_hook_runs()
    {
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            string failure = "the hook did not run";
            profile.BeforeSave = saved =>
            {
                saved.SaveData.Set("/Gold", 1);
                failure = OnOtherThread(() =>
                {
                    Expect.Refused(SessionLockerStatus.Busy, () => world.Store.Update(5000));
                    Expect.Refused(SessionLockerStatus.Busy, () => saved.SaveData.Set("/Gold", 2));
                    Expect.Equal(0L, saved.SaveData.GetInt64("/Gold"));
                });
            };
            world.Save(profile);
            Expect.Equal(null, failure);
            Expect.Equal(1L, profile.SaveData.GetInt64("/Gold"));
        }
    }

    public static void Sessions_that_other_threads_start_lose_no_event()
    {
        const int Threads = 4;
        const int Sessions = 100;
        using (var world = new World())
        {
            int finished = 0;
            var threads = new List<Thread>();
            for (int at = 0; at < Threads; at++)
            {
                string prefix = "player/" + at + "/";
                var thread = new Thread(() =>
                {
                    for (int session = 0; session < Sessions; session++)
                    {
                        Profile profile = world.Store.StartSession(prefix + session);
                        profile.Finished += (sender, step) => Interlocked.Increment(ref finished);
                        profile.SaveData.GetInt64("/Gold");
                        profile.EndSession();
                    }
                });
                threads.Add(thread);
                thread.Start();
            }
            while (threads.Exists(thread => thread.IsAlive))
            {
                world.Frame();
            }
            world.Until(() => finished == Threads * Sessions, "all have finished");
        }
    }

    public static void An_update_that_is_refused_delivers_nothing_on_its_thread()
    {
        const int Frames = 1000;
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            Profile credited = world.Load("ben");
            int heard = 0;
            int heardByTheRefused = 0;
            int refusals = 0;
            bool isOver = false;
            int first = Thread.CurrentThread.ManagedThreadId;
            profile.BeforeSave = saved =>
            {
                if (Thread.CurrentThread.ManagedThreadId == first)
                {
                    // So that the other thread is in a call that is refused when this one's ends.
                    int before = Volatile.Read(ref refusals);
                    SpinWait.SpinUntil(() => Volatile.Read(ref refusals) > before, World.Patience);
                }
            };
            credited.ProductCreditChanged += (sender, change) =>
            {
                Interlocked.Increment(ref heard);
                heardOnThisThread++;
            };
            var other = new Thread(() =>
            {
                while (!Volatile.Read(ref isOver))
                {
                    heardOnThisThread = 0;
                    if (IsRefused(world.Store, world.Clock.Now))
                    {
                        refusals++;
                        heardByTheRefused += heardOnThisThread;
                    }
                }
            });
            other.Start();
            for (int frame = 0; frame < Frames; frame++)
            {
                credited.ProductCreditGive(1, 1);
                profile.MarkForceSave();
                world.Clock.Now += 0.05;
                IsRefused(world.Store, world.Clock.Now);
            }
            Volatile.Write(ref isOver, true);
            other.Join();
            world.Frame();
            Expect.Equal(0, heardByTheRefused, "heard inside a call that was refused");
            Expect.Equal(Frames, heard, "and nothing was lost");
        }
    }

    public static void A_store_disposed_in_its_own_hook_goes_when_the_update_is_done()
    {
        using (LockerStorage storage = LockerStorage.Open("memory:"))
        {
            EasyStore store = null;
            bool wasUsable = false;
            store = new EasyStore(storage, new EasyStoreConfig
            {
                Clock = new TestClock(),
                CreateSaveData = (key, data) =>
                {
                    store.Dispose();
                    data.Set("/Gold", 1);
                    wasUsable = true;
                },
            });
            Profile profile = store.StartSession("ann");
            Task<bool> loaded = profile.WhenLoadedAsync();
            store.Update(1);
            Expect.True(wasUsable, "the hook ran to its end");
            Expect.Disposed(() => store.Update(2));
            Expect.True(loaded.IsCompleted && !loaded.Result, "what waited is answered");
            Expect.True(profile.IsDisposed, "its profiles go too");
        }
    }

    public static void A_profile_disposed_in_its_own_handler_hears_nothing_more()
    {
        using (var world = new World())
        {
            int heard = 0;
            Profile profile = world.Store.StartSession("ann");
            profile.Lifecycle += (sender, step) => heard++;
            profile.Replaced += (sender, step) => heard++;
            profile.Loaded += (sender, step) =>
            {
                heard++;
                profile.Dispose();
            };
            world.Until(() => heard == 1, "loaded");
            for (int frame = 0; frame < 100; frame++)
            {
                world.Frame();
            }
            Expect.Equal(1, heard);
            Expect.Disposed(() => profile.SaveData.ToString());
            Expect.True(!world.StoredData("ann").Contains("/Session"), "the store has released it");
        }
    }

    public static void What_is_freed_while_a_session_starts_holds_up_no_update()
    {
        using (var world = new World())
        {
            bool isUpdated = false;
            int freed = 0;
            LifetimeTests.ForgetLoudStores();
            SessionLockerLibrary.SetLog((level, line) =>
            {
                if (freed++ > 0)
                {
                    return;
                }
                // The host's log may wait for another thread, which may be updating.
                var other = new Thread(() => world.Store.Update(world.Clock.Now));
                other.Start();
                isUpdated = other.Join(World.Patience);
            });
            try
            {
                world.Store.StartSession("ann");
            }
            finally
            {
                SessionLockerLibrary.SetLog(null);
            }
            Expect.True(freed > 0, "something was freed, and said so");
            Expect.True(isUpdated, "the update has returned while the log waited for it");
        }
    }

    private static bool IsRefused(EasyStore store, double now)
    {
        try
        {
            store.Update(now);
            return false;
        }
        catch (SessionLockerException exception)
        {
            Expect.Equal(SessionLockerStatus.Busy, exception.Status);
            return true;
        }
    }

    private static string OnOtherThread(Action action)
    {
        string failure = null;
        var thread = new Thread(() =>
        {
            try
            {
                action();
            }
            catch (Exception exception)
            {
                failure = exception.ToString();
            }
        });
        thread.Start();
        thread.Join();
        return failure;
    }
}
