using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using SessionLocker;

public static class RemoteChangeTests
{
    public static void A_change_arrives_whole_and_once()
    {
        var seen = new List<string>();
        using (var world = new World(config => config.ProcessRemoteChange = (key, data, change) =>
        {
            seen.Add(key + " " + change.Kind + " " + change.Data.GetString("/Text"));
            Expect.Contains("\"K\":\"mail\"", change.Json);
            data.Add("/Gold", change.Data.GetInt64("/Amount"));
            return RemoteChangeResult.Applied;
        }))
        {
            string sentTo = null;
            world.Store.RemoteChangesSent += (sender, sent) => sentTo = sent.Key + " " + sent.Outcome;
            const string Mail = "[{\"K\":\"mail\",\"Amount\":7,\"Text\":\"für\\u0000dich\"}]";
            Expect.Equal(SendOutcome.Sent, world.Until(world.Store.SendRemoteChangesAsync("ann", Mail, "op-1"), "sent"));
            Expect.Equal("ann Sent", sentTo);
            Expect.Equal(SendOutcome.Sent, world.Until(world.Store.SendRemoteChangesAsync("ann", Mail, "op-1"), "sent again"));
            Expect.Equal(7L, world.Load("ann").SaveData.GetInt64("/Gold"));
            Expect.Lines(seen, "ann mail für\0dich");
        }
    }

    public static void A_change_that_is_not_applicable_stays_in_the_inbox()
    {
        using (var world = new World(config => config.ProcessRemoteChange = (key, data, change) =>
        {
            data.Set("/Gold", 99);
            return RemoteChangeResult.NotApplicable;
        }))
        {
            world.Until(world.Store.SendRemoteChangesAsync("ann", "[{\"K\":\"dance\"}]"), "sent");
            Profile profile = world.Load("ann");
            Expect.Equal(0L, profile.SaveData.GetInt64("/Gold"));
            Expect.Equal(0, world.Errors.Count);
            world.End(profile);
            Expect.Equal("dance", world.StoredData("ann").GetString("/RemoteChanges/0/K"));
        }
    }

    public static void Changes_that_cannot_be_are_refused()
    {
        using (var world = new World())
        {
            Expect.Refused(SessionLockerStatus.InvalidJson, () => { world.Store.SendRemoteChangesAsync("ann", "["); });
            Expect.Refused(SessionLockerStatus.WrongType, () => { world.Store.SendRemoteChangesAsync("ann", "{}"); });
            Expect.Refused(SessionLockerStatus.NotFound, () => { world.Store.SendRemoteChangesAsync("ann", "[{}]"); });
            Expect.Refused(SessionLockerStatus.InvalidArgument, () => { world.Store.SendRemoteChangesAsync("", "[]"); });
            Expect.Refused(SessionLockerStatus.InvalidArgument, () => { world.Store.SendRemoteChangesAsync("ann", "[]", ""); });
            Expect.Throws<ArgumentNullException>(() => { world.Store.SendRemoteChangesAsync("ann", null); });
        }
    }

    public static void A_sender_of_its_own_sends_and_says_what_is_missing()
    {
        using (var bench = new LockerBench())
        using (var sender = new RemoteChangeSender(bench.Spec))
        {
            var told = new List<string>();
            sender.RemoteChangesSent += (from, sent) => told.Add(sent.Key + " " + sent.Outcome);
            Task<SendOutcome> missing = sender.SendAsync("nobody", "[{\"K\":\"x\"}]");
            Expect.True(sender.IsSending, "it is under way");
            Until(bench, sender, () => missing.IsCompleted);
            Expect.Equal(SendOutcome.Missing, missing.Result);
            bench.Storage.Commit("ann", "{}", null, bench.Storage.Fetch("ann", World.Patience).Revision, World.Patience);
            Task<SendOutcome> sent1 = sender.SendAsync("ann", "[{\"K\":\"x\"}]", "op");
            Until(bench, sender, () => sent1.IsCompleted);
            Expect.Equal(SendOutcome.Sent, sent1.Result);
            Expect.True(!sender.IsSending, "all are answered");
            Expect.Lines(told, "nobody Missing", "ann Sent");
        }
    }

    public static void A_sender_makes_missing_records_if_it_is_to()
    {
        using (var bench = new LockerBench())
        using (var sender = new RemoteChangeSender(bench.Spec, new RemoteChangeSenderConfig { CreateIfMissing = true, LogPrefix = "[mail]" }))
        using (var idle = new RemoteChangeSender(bench.Spec, new RemoteChangeSenderConfig { DisableApis = true }))
        {
            Task<SendOutcome> made = sender.SendAsync("new", "[{\"K\":\"x\"}]");
            Until(bench, sender, () => made.IsCompleted);
            Expect.Equal(SendOutcome.Sent, made.Result);
            Expect.Contains("\"Gold\":0", bench.Storage.Fetch("new", World.Patience).Json);
            Task<SendOutcome> pretended = idle.SendAsync("other", "[{\"K\":\"x\"}]");
            Until(bench, idle, () => pretended.IsCompleted);
            Expect.Equal(SendOutcome.Sent, pretended.Result);
            Expect.True(!bench.Storage.Fetch("other", World.Patience).IsPresent, "nothing was written");
        }
    }

    public static void The_errors_of_a_sender_are_told_to_its_own()
    {
        var storage = new MemoryHostStorage { IsFailing = true };
        var hook = new List<ErrorReport>();
        var events = new List<ErrorReport>();
        using (LockerStorage opened = LockerStorage.Open(storage))
        using (var spec = new LockerSpec(opened, new LockerSpecConfig { TemplateJson = "{}", Clock = new TestClock() }))
        {
            var sender = new RemoteChangeSender(spec, new RemoteChangeSenderConfig { ReportError = hook.Add });
            sender.Error += (from, report) => events.Add(report);
            Task<SendOutcome> send = sender.SendAsync("ann", "[{\"K\":\"x\"}]");
            sender.Update(1);
            sender.Update(2);
            Expect.Equal(Activity.Send, hook[0].Activity);
            Expect.Equal("[SessionLocker:RemoteChangeSender]", hook[0].LogPrefix);
            Expect.True(ReferenceEquals(hook[0], events[0]), "the same report");
            sender.Dispose();
            Expect.Equal(SendOutcome.NotSent, send.Result);
            Expect.Disposed(() => sender.Update(3));
            Expect.Disposed(() => { sender.SendAsync("ann", "[]"); });
            Expect.Disposed(() => { bool any = sender.IsSending; });
        }
    }

    private static void Until(LockerBench bench, RemoteChangeSender sender, Func<bool> isThere)
    {
        for (int frame = 0; frame < 1000 && !isThere(); frame++)
        {
            sender.Update(bench.Clock.Now += 0.05);
        }
    }
}
