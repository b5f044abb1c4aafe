using System;
using System.Collections.Generic;
using System.Threading.Tasks;
using SessionLocker;

/// <summary>A shop whose products do what a test wants.</summary>
internal sealed class Shop
{
    public readonly List<string> Asked = new List<string>();
    public Func<ProductOp, ProductCall, ProductResult> Answer = (op, call) => ProductResult.Ok;
    public Profile Friend;
    public Locker FriendLocker;

    public ProductResult Process(ProductOp op, ProductCall call)
    {
        Asked.Add(op.ToString());
        if (op == ProductOp.Validate)
        {
            call.RecipientProfile = Friend;
            call.RecipientLocker = FriendLocker;
        }
        else if (op == ProductOp.Apply)
        {
            call.SaveData.Add("/Gold", 10);
        }
        else
        {
            call.SaveData.Set("/Spent", call.Receipt.CurrencySpent);
        }
        return Answer(op, call);
    }
}

public static class PurchaseTests
{
    private static readonly ReceiptInfo Receipt = new ReceiptInfo
    {
        PurchaseId = "p ü 1",
        ProductId = 77,
        UserId = "ann",
        PlaceId = 5,
        CurrencySpent = 99,
    };

    public static void A_purchase_is_applied_once_and_granted_each_time()
    {
        var shop = new Shop();
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            PurchaseEventArgs told = null;
            profile.PurchaseAnswered += (sender, purchase) => told = purchase;
            ProductCall seen = null;
            shop.Answer = (op, call) =>
            {
                seen = call;
                return ProductResult.Ok;
            };
            Expect.True(world.Until(profile.WhenProductIsProcessedAndSavedAsync(shop.Process, Receipt), "answered"), "granted");
            Expect.Lines(shop.Asked, "Validate", "Apply", "Record");
            Expect.Equal("p ü 1 77 ann 5 99", Text(seen.Receipt));
            Expect.True(ReferenceEquals(seen.Profile, profile) && seen.Locker == null, "the call knows its profile");
            Expect.True(told.IsGranted && told.PurchaseId == "p ü 1" && told.ProductId == 77, "told by an event too");
            Expect.True(profile.WaitUntilProductIsProcessedAndSaved(shop.Process, Receipt, World.Patience), "again");
            Expect.Equal(3, shop.Asked.Count);
            Expect.Equal(10L, world.StoredData("ann").GetInt64("/Gold"));
            Expect.Equal(99L, world.StoredData("ann").GetInt64("/Spent"));
        }
    }

    public static void What_cannot_be_applied_becomes_credit()
    {
        var shop = new Shop { Answer = (op, call) => op == ProductOp.Record ? ProductResult.Ok : ProductResult.NotApplicable };
        using (var world = new World())
        {
            Profile profile = world.Load("ann");
            var changes = new List<string>();
            profile.ProductCreditChanged += (sender, credit) => changes.Add(credit.ProductId + " by " + credit.Amount);
            Expect.True(world.Until(profile.WhenProductIsProcessedAndSavedAsync(shop.Process, Receipt), "answered"), "granted");
            Expect.Equal(1L, profile.ProductCreditQuery(77));
            profile.ProductCreditGive(77, 2);
            Expect.True(!profile.ProductCreditUse(77, 4), "too little");
            Expect.True(profile.ProductCreditUse(77, 1), "used");
            Expect.Refused(SessionLockerStatus.OutOfRange, () => profile.ProductCreditGive(77, 0));
            Expect.Refused(SessionLockerStatus.OutOfRange, () => profile.ProductCreditUse(77, -1));
            world.Frame();
            Expect.Lines(changes, "77 by 1", "77 by 2", "77 by -1");

            shop.Answer = (op, call) => ProductResult.Ok;
            using (PendingProductPurchase pending = PendingProductPurchase.FromReceipt(shop.Process, Receipt))
            {
                Expect.True(pending.UseCredit(profile), "given for credit");
                Expect.Equal(1L, profile.ProductCreditQuery(77));
                Expect.Equal(10L, profile.SaveData.GetInt64("/Gold"));
                Expect.True(pending.UseCredit(profile), "given for the last");
                Expect.True(!pending.UseCredit(profile), "there is none left");
            }
        }
    }

    public static void A_gift_goes_to_whom_validate_names()
    {
        var shop = new Shop();
        using (var world = new World())
        {
            Profile ann = world.Load("ann");
            shop.Friend = world.Load("ben");
            Expect.True(world.Until(ann.WhenProductIsProcessedAndSavedAsync(shop.Process, Receipt), "answered"), "granted");
            Expect.Equal(10L, world.StoredData("ben").GetInt64("/Gold"));
            Expect.Equal(0L, world.StoredData("ann").GetInt64("/Gold"));
            Expect.Equal(99L, world.StoredData("ann").GetInt64("/Spent"));
            shop.Friend.EndSession();
            var second = new ReceiptInfo { PurchaseId = "p2", ProductId = 77 };
            Expect.Equal(false, world.Until(ann.WhenProductIsProcessedAndSavedAsync(shop.Process, second), "the friend has left"));
        }
    }

    public static void Not_now_is_answered_with_false()
    {
        var shop = new Shop { Answer = (op, call) => ProductResult.NotNow };
        using (var world = new World())
        {
            Profile ann = world.Load("ann");
            Expect.Equal(false, world.Until(ann.WhenProductIsProcessedAndSavedAsync(shop.Process, Receipt), "answered"));
            Expect.Lines(shop.Asked, "Validate");
        }
    }

    public static void A_process_function_that_throws_is_undone_told_and_asked_again()
    {
        foreach (ProductOp broken in new[] { ProductOp.Validate, ProductOp.Apply })
        {
            var thrown = new InvalidOperationException("the shop is closed");
            var shop = new Shop();
            bool isBroken = true;
            shop.Answer = (op, call) =>
            {
                if (op == broken && isBroken)
                {
                    throw thrown;
                }
                return ProductResult.Ok;
            };
            using (var world = new World(config => config.SessionRetryCooldown = TimeSpan.FromSeconds(1)))
            {
                Profile ann = world.Load("ann");
                Task<bool> bought = ann.WhenProductIsProcessedAndSavedAsync(shop.Process, Receipt);
                world.Frame();
                world.Frame();
                ErrorReport report = world.Errors[0];
                Expect.Equal(Activity.Purchase, report.Activity);
                Expect.Equal(77L, report.ProductId);
                Expect.Contains("the shop is closed", report.Message);
                Expect.True(ReferenceEquals(report.Exception, thrown), "the exception itself");
                Expect.Equal(0L, ann.SaveData.GetInt64("/Gold"));
                Expect.True(!bought.IsCompleted, "it is tried again");
                isBroken = false;
                Expect.True(world.Until(bought, "answered"), "granted after the cooldown");
                Expect.Equal(10L, ann.SaveData.GetInt64("/Gold"));
            }
        }
    }

    public static void A_record_that_throws_is_told_and_the_purchase_goes_on()
    {
        var shop = new Shop();
        shop.Answer = (op, call) =>
        {
            if (op == ProductOp.Record)
            {
                throw new InvalidOperationException("no ink");
            }
            return ProductResult.Ok;
        };
        using (var world = new World())
        {
            Profile ann = world.Load("ann");
            Expect.True(world.Until(ann.WhenProductIsProcessedAndSavedAsync(shop.Process, Receipt), "answered"), "granted");
            Expect.Contains("no ink", world.Errors[0].Message);
            Expect.True(!ann.SaveData.Contains("/Spent"), "undone");
        }
    }

    public static void A_result_that_is_none_is_a_failure()
    {
        var shop = new Shop { Answer = (op, call) => (ProductResult)9 };
        using (var world = new World())
        {
            Profile ann = world.Load("ann");
            ann.WhenProductIsProcessedAndSavedAsync(shop.Process, Receipt);
            world.Frame();
            world.Frame();
            Expect.Contains("no result of a process function", world.Errors[0].Message);
        }
    }

    public static void Receipts_that_cannot_be_are_refused()
    {
        var shop = new Shop();
        using (var world = new World())
        {
            Profile ann = world.Load("ann");
            Expect.Refused(
                SessionLockerStatus.InvalidArgument, () => { ann.WhenProductIsProcessedAndSavedAsync(shop.Process, new ReceiptInfo()); });
            Expect.Throws<ArgumentNullException>(() => { ann.WhenProductIsProcessedAndSavedAsync(null, Receipt); });
            Expect.Throws<ArgumentNullException>(() => { ann.WhenProductIsProcessedAndSavedAsync(shop.Process, null); });
            world.End(ann);
            Expect.Refused(
                SessionLockerStatus.NotActive, () => { ann.WhenProductIsProcessedAndSavedAsync(shop.Process, Receipt); });
        }
    }

    public static void A_wait_that_runs_out_of_time_leaves_the_purchase_going_on()
    {
        var shop = new Shop();
        using (var world = new World())
        {
            Profile ann = world.Store.StartSession("ann");
            Expect.Refused(
                SessionLockerStatus.Timeout,
                () => ann.WaitUntilProductIsProcessedAndSaved(shop.Process, Receipt, TimeSpan.Zero));
            bool isGranted = false;
            ann.PurchaseAnswered += (sender, purchase) => isGranted = purchase.IsGranted;
            world.Until(() => isGranted, "granted all the same");
        }
    }

    public static void A_pending_purchase_is_validated_and_applied_by_hand()
    {
        var shop = new Shop();
        using (var world = new World())
        using (PendingProductPurchase pending = PendingProductPurchase.FromIds(shop.Process, 77, "ann"))
        {
            Profile ann = world.Load("ann");
            shop.Answer = (op, call) => call.Receipt.UserId == "ann" ? ProductResult.Ok : ProductResult.NotApplicable;
            Expect.True(pending.Validate(ann) && pending.Validate(null), "for her and for nobody");
            Expect.True(pending.Apply(ann), "applied");
            Expect.Equal(10L, ann.SaveData.GetInt64("/Gold"));
            shop.Answer = (op, call) => ProductResult.NotApplicable;
            Expect.True(!pending.Validate(ann) && !pending.Apply(ann), "not applicable");
            Expect.Equal(10L, ann.SaveData.GetInt64("/Gold"));
            shop.Answer = (op, call) => { throw new InvalidOperationException("no shop"); };
            SessionLockerException thrown = Expect.Throws<SessionLockerException>(() => pending.Validate(ann));
            Expect.Equal(SessionLockerStatus.Hook, thrown.Status);
            Expect.Contains("no shop", thrown.Message);
            Expect.Equal("no shop", thrown.InnerException.Message);
            Expect.Refused(SessionLockerStatus.InvalidArgument, () => pending.Apply(null));
            pending.Dispose();
            Expect.Disposed(() => pending.Validate(ann));
        }
    }

    public static void A_purchaser_processes_the_purchases_of_lockers()
    {
        var shop = new Shop();
        using (var bench = new LockerBench())
        using (var purchaser = new ProductPurchaser())
        {
            Locker locker = bench.Load("ann");
            Locker seen = null;
            shop.Answer = (op, call) =>
            {
                seen = call.Locker;
                return ProductResult.Ok;
            };
            PurchaseEventArgs told = null;
            locker.PurchaseAnswered += (sender, purchase) => told = purchase;
            Task<bool> bought = purchaser.WhenProductIsProcessedAndSavedAsync(locker, shop.Process, Receipt);
            Expect.True(purchaser.HasIncompletePurchases, "it is under way");
            for (int frame = 0; frame < 100 && told == null; frame++)
            {
                purchaser.Update(bench.Clock.Now);
                bench.Frame();
            }
            Expect.True(bought.Result && told.IsGranted && !purchaser.HasIncompletePurchases, "granted");
            Expect.True(ReferenceEquals(seen, locker), "the call knows its locker");
            Expect.True(
                purchaser.WaitUntilProductIsProcessedAndSaved(locker, shop.Process, Receipt, World.Patience), "granted again");
            shop.FriendLocker = bench.Load("ben");
            var gift = new ReceiptInfo { PurchaseId = "gift", ProductId = 77 };
            Expect.True(purchaser.WaitUntilProductIsProcessedAndSaved(locker, shop.Process, gift, World.Patience), "given");
            Expect.Equal(10L, shop.FriendLocker.SaveData.GetInt64("/Gold"));
        }
    }

    public static void A_wait_of_a_purchaser_that_runs_out_of_time_leaves_the_purchase_going_on()
    {
        var shop = new Shop();
        using (var bench = new LockerBench())
        using (var purchaser = new ProductPurchaser())
        {
            Locker locker = bench.Spec.CreateLocker("ann");
            bench.Lockers.Add(locker);
            Expect.Refused(
                SessionLockerStatus.Timeout,
                () => purchaser.WaitUntilProductIsProcessedAndSaved(locker, shop.Process, Receipt, TimeSpan.Zero));
            GC.Collect();
            locker.MarkShouldAcquire();
            for (int frame = 0; frame < 100 && purchaser.HasIncompletePurchases; frame++)
            {
                purchaser.Update(bench.Clock.Now);
                bench.Frame();
            }
            Expect.Equal(10L, locker.SaveData.GetInt64("/Gold"));
        }
    }

    public static void A_disposed_purchaser_answers_what_is_left()
    {
        var shop = new Shop();
        using (var bench = new LockerBench())
        {
            Locker locker = bench.Spec.CreateLocker("ann");
            bench.Lockers.Add(locker);
            var purchaser = new ProductPurchaser();
            Task<bool> bought = purchaser.WhenProductIsProcessedAndSavedAsync(locker, shop.Process, Receipt);
            purchaser.Dispose();
            Expect.Equal(false, bought.Result);
            Expect.Disposed(() => purchaser.Update(1));
            Expect.Disposed(() => { bool any = purchaser.HasIncompletePurchases; });
            Expect.Disposed(() => { purchaser.WhenProductIsProcessedAndSavedAsync(locker, shop.Process, Receipt); });
        }
    }

    private static string Text(ReceiptInfo receipt)
    {
        return string.Join(" ", receipt.PurchaseId, receipt.ProductId, receipt.UserId, receipt.PlaceId, receipt.CurrencySpent);
    }
}
