// The story of README.md, told by a host in C#.
//
//   Story.exe STORAGE-URL
using System;
using System.Threading;
using System.Threading.Tasks;
using SessionLocker;

internal sealed class Server : IDisposable
{
    private const double PatienceSeconds = 60;

    private readonly string name;

    public Server(string name, ulong seed, LockerStorage storage, Migrators migrators)
    {
        this.name = name;
        Store = new EasyStore(storage, new EasyStoreConfig
        {
            JobId = name,
            Seed = seed,
            PlaceId = 7,
            SaveDataVersion = 2,
            Migrators = migrators,
            CreateSaveData = Create,
            ProcessRemoteChange = Receive,
            ReportError = Report,
        });
    }

    public EasyStore Store { get; private set; }

    public double SecondsAhead { get; set; }

    public void Frame()
    {
        Store.Update(SessionLockerLibrary.Now + SecondsAhead);
        Thread.Sleep(1);
    }

    public void Until(Func<bool> isThere, string what)
    {
        double end = SessionLockerLibrary.Now + PatienceSeconds;
        while (!isThere())
        {
            if (SessionLockerLibrary.Now > end)
            {
                throw new TimeoutException(name + " waits in vain: " + what);
            }
            Frame();
        }
    }

    public T Until<T>(Task<T> task, string what)
    {
        Until(() => task.IsCompleted, what);
        return task.Result;
    }

    public Profile Load(string who, SessionOptions options)
    {
        Profile profile = Store.StartSession("player/" + who, options);
        Until(profile.WhenLoadedAsync(), who + " is loaded");
        return profile;
    }

    public void Save(Profile profile)
    {
        profile.MarkForceSave();
        Until(profile.WhenChangesSavedAsync(), profile.Key + " is saved");
    }

    public void End(Profile profile, string who)
    {
        profile.EndSession();
        Until(() => profile.IsFinished, who + " is finished");
    }

    public void Drain()
    {
        DrainReport report = Store.Drain(TimeSpan.FromSeconds(10));
        Console.WriteLine("{0}: drained, {1} unsaved, {2} unsent", name, report.Unsaved.Length, report.Unsent.Length);
    }

    public void Dispose()
    {
        Store.Dispose();
    }

    private static void Create(string key, SaveData data)
    {
        data.Set("/Gold", 0);
        data.SetJson("/Items", "[]");
    }

    private static RemoteChangeResult Receive(string key, SaveData data, RemoteChange change)
    {
        if (change.Kind != "give_gold")
        {
            return RemoteChangeResult.NotApplicable;
        }
        data.Add("/Gold", change.Data.GetInt64("/Amount"));
        return RemoteChangeResult.Applied;
    }

    private static void Report(ErrorReport report)
    {
        Console.WriteLine("error: {0}", report.Exception == null ? report.Message : report.Exception.Message);
    }
}

internal static class Story
{
    private static Server one;
    private static Server two;
    private static Profile ann;
    private static Profile ben;

    private static int Main(string[] arguments)
    {
        try
        {
            using (LockerStorage storage = LockerStorage.Open(arguments[0]))
            {
                Prologue(storage);
                JoinAndMigrate();
                Earn();
                Buy();
                RemoteChange();
                Leave();
                LoseTheLock();
                ShutDown();
            }
            Console.WriteLine("handles left: {0}", SessionLockerLibrary.LiveHandles);
            return 0;
        }
        catch (Exception exception)
        {
            Console.Error.WriteLine(exception);
            return 1;
        }
    }

    private static void Prologue(LockerStorage storage)
    {
        Put(storage, "player/ben", "{\"Version\":1,\"Coins\":30,\"Items\":[\"shield\"]}", new[] { "ben" });
        Put(storage, "player/cleo", "{\"Version\":1,\"Items\":[]}", null);
        using (var builder = new MigratorBuilder())
        using (Migrators migrators = builder.AddMigratorFrom(1, CoinsToGold).CheckVersion(2).Build())
        {
            one = new Server("server one", 5, storage, migrators);
            two = new Server("server two", 51, storage, migrators);
        }
    }

    private static void Put(LockerStorage storage, string key, string json, string[] userIds)
    {
        TimeSpan timeout = TimeSpan.FromSeconds(10);
        storage.Commit(key, json, userIds, storage.Fetch(key, timeout).Revision, timeout);
    }

    private static void CoinsToGold(SaveData data, ref double versionPatch)
    {
        SaveDataValue coins;
        if (!data.TryGetValue("/Coins", out coins))
        {
            throw new InvalidOperationException("there are no coins");
        }
        data.Set("/Gold", coins.Int64);
        data.Remove("/Coins");
        versionPatch = 0.5;
    }

    private static void JoinAndMigrate()
    {
        ann = one.Load("ann", new SessionOptions { UserIds = new[] { "ann" } });
        Console.WriteLine("ann: loaded, {0} gold", Gold(ann));
        ben = one.Load("ben", new SessionOptions { UserIds = new[] { "ben" } });
        Console.WriteLine("ben: loaded, {0} gold", Gold(ben));

        Profile cleo = one.Load("cleo", null);
        if (cleo.LoadStatus != LoadStatus.MigrationFailed)
        {
            throw new InvalidOperationException("cleo is " + cleo.LoadStatus);
        }
        Console.WriteLine("cleo: migration_failed");
        one.End(cleo, "cleo");
        Console.WriteLine("cleo: finished");
    }

    private static void Earn()
    {
        SaveData data = ann.SaveData;
        data.Add("/Gold", 100);
        data.Set("/Name", "Ann Ünal");
        data.SetJson("/Stats", "{}");
        data.Set("/Stats/Level", 3);
        data.Set("/Stats/Luck", 0.25);
        data.Set("/Stats/Banned", false);
        data.Set("/Items/-", "sword");
        data.Set("/Items/-", "bow");
        data.Remove("/Items/0");
        one.Save(ann);
        int count = data.GetLength("/Items");
        string last = data.GetString("/Items/" + (count - 1));
        Console.WriteLine("ann: saved, {0} gold, {1} item, the last one a {2}", Gold(ann), count, last);
    }

    private static void Buy()
    {
        Purchase(1, "p1", 99);
        Console.WriteLine("p1: granted, {0} gold", Gold(ann));
        Purchase(1, "p1", 99);
        Console.WriteLine("p1: granted, {0} gold", Gold(ann));

        EventHandler<ProductCreditEventArgs> tell = (sender, credit) =>
            Console.WriteLine("ann: credit of {0} by {1}", credit.ProductId, credit.Amount);
        ann.ProductCreditChanged += tell;
        Purchase(2, "p2", 150);
        Console.WriteLine("p2: granted, {0} gold", Gold(ann));
        ann.ProductCreditChanged -= tell;
        ann.ProductCreditGive(9, 2);
        Console.WriteLine("ann: credit of 9: {0}", ann.ProductCreditQuery(9));
        Console.WriteLine("ann: used 3: {0}", ann.ProductCreditUse(9, 3) ? "yes" : "no");
        Console.WriteLine("ann: used 1: {0}", ann.ProductCreditUse(9, 1) ? "yes" : "no");

        Purchase(3, "p3", 20);
        Console.WriteLine("p3: granted, ben has {0} gold", Gold(ben));
    }

    private static void Purchase(long productId, string purchaseId, long spent)
    {
        var receipt = new ReceiptInfo
        {
            PurchaseId = purchaseId,
            ProductId = productId,
            UserId = "ann",
            CurrencySpent = spent,
        };
        if (!one.Until(ann.WhenProductIsProcessedAndSavedAsync(Process, receipt), purchaseId + " is granted"))
        {
            throw new InvalidOperationException(purchaseId + " was not granted");
        }
    }

    private static ProductResult Process(ProductOp op, ProductCall call)
    {
        long product = call.Receipt.ProductId;
        if (op == ProductOp.Validate)
        {
            call.RecipientProfile = product == 3 ? ben : null;
            return product == 1 || product == 3 ? ProductResult.Ok : ProductResult.NotApplicable;
        }
        if (op == ProductOp.Apply)
        {
            call.SaveData.Add("/Gold", product == 1 ? 500 : 50);
            return ProductResult.Ok;
        }
        if (!call.SaveData.Contains("/Spent"))
        {
            call.SaveData.Set("/Spent", 0);
        }
        call.SaveData.Add("/Spent", call.Receipt.CurrencySpent);
        return ProductResult.Ok;
    }

    private static void RemoteChange()
    {
        SendMail();
        long before = Gold(ann);
        ann.MarkForceSave();
        one.Until(() => Gold(ann) != before, "ann has her mail");
        Console.WriteLine("ann: {0} gold", Gold(ann));
        one.Save(ann);
        SendMail();
    }

    private static void SendMail()
    {
        const string Mail = "[{\"K\":\"give_gold\",\"Amount\":7},{\"K\":\"dance\"}]";
        Task<SendOutcome> send = two.Store.SendRemoteChangesAsync("player/ann", Mail, "mail-1");
        Console.WriteLine("mail-1: {0}", two.Until(send, "mail-1 is answered").ToString().ToLowerInvariant());
    }

    private static void Leave()
    {
        ben.BeforeSave = profile => profile.SaveData.Set("/LastServer", "one");
        ben.Lifecycle += (sender, step) => Console.WriteLine("ben: Lifecycle");
        ben.Finished += (sender, step) => Console.WriteLine("ben: Finished");
        ben.Destroyed += (sender, step) => Console.WriteLine("ben: Destroyed");
        ben.Saved += (sender, step) => Console.WriteLine("ben: Saved");
        ben.Replaced += (sender, step) => Console.WriteLine("ben: Replaced");
        ben.Loaded += (sender, step) => Console.WriteLine("ben: Loaded");
        ben.Reset += (sender, step) => Console.WriteLine("ben: Reset");
        ben.Released += (sender, step) => Console.WriteLine("ben: Released");
        ben.Lost += (sender, step) => Console.WriteLine("ben: Lost");
        ben.ProductCreditChanged += (sender, credit) => Console.WriteLine("ben: ProductCreditChanged");
        one.End(ben, "ben");
    }

    private static void LoseTheLock()
    {
        ann.SaveData.Add("/Gold", 5);
        Profile here = two.Store.StartSession("player/ann");
        two.Until(() => here.LoadStatus == LoadStatus.SessionIsLocked, "ann is locked");
        Console.WriteLine("server two: ann is session_is_locked");
        two.Frame();
        two.SecondsAhead = 2000;
        two.Until(here.WhenLoadedAsync(), "ann is loaded");
        Console.WriteLine("server two: ann: loaded, {0} gold", Gold(here));

        bool isLost = false;
        ann.Lost += (sender, lost) =>
        {
            using (SaveData unsaved = SaveData.Parse(lost.SaveDataJson))
            {
                Console.WriteLine("ann: lost, with {0} gold", unsaved.GetInt64("/Gold"));
            }
            isLost = true;
        };
        ann.MarkForceSave();
        one.Until(() => isLost, "ann is lost");
        Console.WriteLine("ann: {0} gold", Gold(ann));
        one.End(ann, "ann");
        Console.WriteLine("ann: finished");
        ann.Dispose();
        ann = here;
    }

    private static void ShutDown()
    {
        ann.SaveData.Add("/Gold", 1);
        one.Drain();
        two.Drain();
        one.Dispose();
        two.Dispose();
    }

    private static long Gold(Profile profile)
    {
        return profile.SaveData.GetInt64("/Gold");
    }
}
