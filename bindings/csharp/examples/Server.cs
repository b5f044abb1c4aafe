// A small game server: players come, play, shop and go, while one loop updates everything; then it shuts down.
//
//   Server.exe [STORAGE-URL]
//
// What each player does is written as it happens, with `await`: the library completes its tasks inside Update, on the
// server's own thread, so nothing here needs a lock. Without an argument or SESSION_LOCKER_STORAGE it keeps its records
// in an SQLite database that it removes again.
using System;
using System.Collections.Generic;
using System.IO;
using System.Threading;
using System.Threading.Tasks;
using SessionLocker;

internal sealed class Server
{
    private const int FrameMilliseconds = 4;
    private const long SwordProduct = 1;
    private const long SwordPrice = 499;
    private static readonly TimeSpan Deadline = TimeSpan.FromSeconds(10);

    private readonly EasyStore store;
    private readonly List<Task> playing = new List<Task>();

    private Server(LockerStorage storage)
    {
        store = new EasyStore(storage, new EasyStoreConfig
        {
            JobId = "server-1",
            CreateSaveData = CreateSaveData,
            ProcessRemoteChange = OpenMail,
        });
        store.Error += (sender, report) => Console.WriteLine("  ! {0}: {1}", report.Activity, report.Message);
    }

    private static int Main(string[] arguments)
    {
        string folder = null;
        string url = arguments.Length > 0 ? arguments[0] : Environment.GetEnvironmentVariable("SESSION_LOCKER_STORAGE");
        if (string.IsNullOrEmpty(url))
        {
            folder = Path.Combine(Path.GetTempPath(), "session-locker-" + Guid.NewGuid().ToString("N"));
            Directory.CreateDirectory(folder);
            url = "sqlite:" + Path.Combine(folder, "saves.db");
        }
        try
        {
            using (LockerStorage storage = LockerStorage.Open(url))
            {
                return new Server(storage).Run() ? 0 : 1;
            }
        }
        finally
        {
            if (folder != null)
            {
                Directory.Delete(folder, true);
            }
        }
    }

    private bool Run()
    {
        Console.WriteLine("The server opens. Ann and Ben come, one after the other.");
        playing.Add(Evening("Ann", AnnPlays));
        playing.Add(Evening("Ben", BenPlays));
        Loop();
        Console.WriteLine("Cleo comes, who was away when Ann wrote to her.");
        playing.Add(Evening("Cleo", CleoPlays));
        Loop();

        Console.WriteLine("The server closes, and has {0} s to do it.", Deadline.TotalSeconds);
        DrainReport report = store.Drain(Deadline);
        foreach (UnsavedKey key in report.Unsaved)
        {
            Console.WriteLine("  ! {0} is not saved: {1}", key.Key, key.Reason);
        }
        store.Dispose();
        Console.WriteLine("Everything is saved: {0}.", report.Unsaved.Length == 0 ? "yes" : "no");
        return report.Unsaved.Length == 0;
    }

    // A frame: the game's own work, and one update. Ends when nobody plays any more.
    private void Loop()
    {
        while (playing.Count > 0)
        {
            store.Update();
            foreach (Task player in playing.FindAll(task => task.IsCompleted))
            {
                playing.Remove(player);
                player.GetAwaiter().GetResult(); // What went wrong with a player's evening is thrown here.
            }
            Thread.Sleep(FrameMilliseconds);
        }
    }

    // From coming to going, whatever the player does in between.
    private async Task Evening(string name, Func<Profile, Task> play)
    {
        Profile profile = store.StartSession(Key(name), new SessionOptions { UserIds = new[] { name } });
        profile.Lost += (sender, lost) => Console.WriteLine("  ! {0} was lost with {1}", name, lost.SaveDataJson);
        if (!await profile.WhenLoadedAsync())
        {
            Console.WriteLine("  {0} cannot be loaded ({1}), and is sent away.", name, profile.LoadStatus);
            profile.Dispose();
            return;
        }
        SaveData data = profile.SaveData;
        data.Add("/Visits", 1);
        Console.WriteLine("  {0} is here, with {1} gold.", name, data.GetInt64("/Gold"));
        await play(profile);

        profile.EndSession();
        Task<bool> saved = profile.WhenChangesSavedAsync();
        Console.WriteLine("  {0} has left; saved: {1}.", name, await saved ? "yes" : "no");
    }

    private async Task AnnPlays(Profile profile)
    {
        long gold = profile.SaveData.Add("/Gold", 250);
        profile.SaveData.Set("/Items/-", "dragon scale");
        profile.MarkForceSave();
        await profile.WhenChangesSavedAsync();
        Console.WriteLine("  Ann has slain the dragon: {0} gold, and that is stored.", gold);

        // The platform brings a receipt until it is told that it is granted; here it brings it twice.
        var receipt = new ReceiptInfo
        {
            PurchaseId = "receipt-" + Guid.NewGuid(),
            ProductId = SwordProduct,
            UserId = "Ann",
            CurrencySpent = SwordPrice,
        };
        bool isGranted = await profile.WhenProductIsProcessedAndSavedAsync(Shop, receipt);
        bool isGrantedAgain = await profile.WhenProductIsProcessedAndSavedAsync(Shop, receipt);
        Console.WriteLine(
            "  Ann has bought a sword. Granted: {0}, and again: {1}. She has {2} items.", isGranted, isGrantedAgain,
            profile.SaveData.GetLength("/Items"));

        const string Mail = "[{\"K\":\"mail\",\"From\":\"Ann\",\"Gold\":30}]";
        SendOutcome outcome = await store.SendRemoteChangesAsync(Key("Cleo"), Mail, "mail-" + Guid.NewGuid());
        Console.WriteLine("  Ann has sent 30 gold to Cleo, who is not here: {0}.", outcome);
        profile.SaveData.Add("/Gold", -30);
    }

    private async Task BenPlays(Profile profile)
    {
        profile.BeforeSave = saved => saved.SaveData.Set("/LastServer", "server-1");
        profile.SaveData.MergePatch("{\"Stats\":{\"Level\":1,\"Luck\":0.25}}");
        profile.MarkForceSave();
        await profile.WhenChangesSavedAsync();
        Console.WriteLine(
            "  Ben has begun to play: level {0}, on {1}.", profile.SaveData.GetInt64("/Stats/Level"),
            profile.SaveData.GetString("/LastServer"));
    }

    private static Task CleoPlays(Profile profile)
    {
        Console.WriteLine("  Cleo reads: {0}.", profile.SaveData.GetJson("/Letters"));
        return Task.FromResult(true);
    }

    // The hooks: they depend on their arguments alone, and an exception in one harms nobody.

    private static void CreateSaveData(string key, SaveData data)
    {
        data.SetJson("", "{\"Gold\":10,\"Visits\":0,\"Items\":[],\"Letters\":[]}");
    }

    private static RemoteChangeResult OpenMail(string key, SaveData data, RemoteChange change)
    {
        if (change.Kind != "mail")
        {
            return RemoteChangeResult.NotApplicable;
        }
        data.Add("/Gold", change.Data.GetInt64("/Gold"));
        data.Set("/Letters/-", change.Data.GetInt64("/Gold") + " gold from " + change.Data.GetString("/From"));
        return RemoteChangeResult.Applied;
    }

    private static ProductResult Shop(ProductOp op, ProductCall call)
    {
        if (call.Receipt.ProductId != SwordProduct)
        {
            return ProductResult.NotApplicable; // It becomes credit.
        }
        if (op == ProductOp.Apply)
        {
            call.SaveData.Set("/Items/-", "sword");
        }
        return ProductResult.Ok;
    }

    private static string Key(string name)
    {
        return "player/" + name;
    }
}
