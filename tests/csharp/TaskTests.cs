using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using SessionLocker;

public static class TaskTests
{
    public static void Tasks_complete_inside_the_update_on_its_thread()
    {
        using (var world = new World())
        {
            Profile profile = world.Store.StartSession("ann");
            int thread = 0;
            bool isDone = false;
            Task waiter = Wait(profile, () =>
            {
                thread = Thread.CurrentThread.ManagedThreadId;
                isDone = true;
            });
            Expect.True(!isDone, "not before an update");
            for (int frame = 0; frame < 100 && !isDone; frame++)
            {
                world.Frame();
                Expect.Equal(waiter.IsCompleted, isDone, "all of it happens inside the update");
            }
            Expect.Equal(Thread.CurrentThread.ManagedThreadId, thread);
        }
    }

    public static void What_another_thread_answers_completes_in_the_next_update()
    {
        using (var world = new World())
        {
            Profile profile = world.Store.StartSession("ann");
            Task<bool> loaded = profile.WhenLoadedAsync();
            var other = new Thread(() => profile.Dispose());
            other.Start();
            other.Join();
            Expect.True(!loaded.IsCompleted, "not on the other thread");
            world.Frame();
            Expect.True(loaded.IsCompleted && !loaded.Result, "but in the update");
        }
    }

    public static void Events_come_before_the_answers_of_their_update()
    {
        using (var world = new World())
        {
            var order = new List<string>();
            Profile profile = world.Load("ann");
            profile.Saved += (sender, step) => order.Add("Saved");
            profile.Lifecycle += (sender, step) => order.Add("Lifecycle");
            profile.MarkForceSave();
            Task answer = profile.WhenChangesSavedAsync().ContinueWith(
                task => order.Add("answered"), TaskContinuationOptions.ExecuteSynchronously);
            world.Until(() => answer.IsCompleted, "answered");
            Expect.Lines(order, "Saved", "Lifecycle", "answered");
        }
    }

    public static void A_wait_is_false_when_the_session_ends_without_its_changes()
    {
        using (var world = new World())
        {
            Profile profile = world.Store.StartSession("ann");
            profile.MarkShouldSave();
            Task<bool> saved = profile.WhenChangesSavedAsync();
            profile.EndSession();
            Expect.Equal(false, world.Until(saved, "answered"));
            world.Until(() => profile.IsFinished, "finished");
            Expect.Refused(SessionLockerStatus.NotActive, () => profile.WhenChangesSavedAsync());
        }
    }

    public static void A_saved_connection_is_looked_at_answered_and_given_up()
    {
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            profile.MarkShouldSave();
            using (SavedConnection saved = profile.WhenChangesSaved())
            using (SavedConnection triggered = profile.WhenChangesSaved())
            using (SavedConnection given = profile.WhenChangesSaved())
            {
                Expect.True(saved.IsConnected && !saved.IsSaved && saved.Outcome == SaveOutcome.None, "it waits");
                triggered.Trigger(false);
                given.Disconnect();
                world.Frame();
                Expect.Equal(false, triggered.Task.Result);
                Expect.Equal(SaveOutcome.NotSaved, triggered.Outcome);
                Expect.True(given.Task.IsCanceled && !given.IsConnected, "given up");
                Expect.Equal(SaveOutcome.None, given.Outcome);
                world.Save(profile);
                Expect.True(saved.Task.Result && saved.IsSaved && !saved.IsConnected, "saved");
                Expect.Equal(SaveOutcome.Saved, saved.Outcome);
                saved.Trigger(false);
                Expect.True(saved.IsSaved, "it was answered already");
            }
        }
    }

    public static void A_disposed_saved_connection_cancels_its_task()
    {
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            profile.MarkShouldSave();
            SavedConnection connection = profile.WhenChangesSaved();
            connection.Dispose();
            world.Frame();
            Expect.True(connection.Task.IsCanceled, "cancelled");
            Expect.Disposed(() => { bool gone = connection.IsSaved; });
            Expect.Disposed(() => connection.Trigger(true));
            Expect.Disposed(() => connection.Disconnect());
        }
    }

    public static void The_end_of_a_store_answers_whatever_waits()
    {
        Task<bool> saved;
        Task<bool> loaded;
        Task<bool> bought;
        Task<SendOutcome> sent;
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            profile.MarkShouldSave();
            saved = profile.WhenChangesSavedAsync();
            loaded = world.Store.StartSession("ben").WhenLoadedAsync();
            bought = world.Store.StartSession("cleo").WhenProductIsProcessedAndSavedAsync(
                (op, call) => ProductResult.Ok, new ReceiptInfo { PurchaseId = "p" });
            sent = world.Store.SendRemoteChangesAsync("dan", "[{\"K\":\"x\"}]");
        }
        Expect.Equal(false, saved.Result);
        Expect.Equal(false, loaded.Result);
        Expect.Equal(false, bought.Result);
        Expect.Equal(SendOutcome.NotSent, sent.Result);
    }

    public static void A_disposed_profile_still_has_its_waits_answered()
    {
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            profile.SaveData.Set("/Gold", 5);
            Task<bool> saved = profile.WhenChangesSavedAsync();
            profile.Dispose();
            Expect.True(world.Until(saved, "answered"), "saved by the release");
        }
    }

    private static async Task Wait(Profile profile, Action then)
    {
        Expect.True(await profile.WhenLoadedAsync(), "loaded");
        then();
    }
}
