--- Purchases, gifts and credit, of profiles and of lockers.

local check = require("check")
local sl = require("session_locker")

local test, equal, refused = check.test, check.equal, check.refused
local frames = check.frames

local PRODUCT, OTHER, GIFT = 1, 2, 3

-- A process function that notes what it is called for; `friend` may name the recipient of a gift.
local function shop(heard, friend)
    return function(op, call)
        heard(op, call.ReceiptInfo.ProductId, call.SaveData ~= nil)
        local product = call.ReceiptInfo.ProductId
        if op == "validate" then
            return product ~= OTHER, product == GIFT and friend or nil
        elseif op == "apply" then
            call.SaveData.Gold = call.SaveData.Gold + 500
            return product ~= OTHER
        end
        call.SaveData.Spent = (call.SaveData.Spent or 0) + (call.ReceiptInfo.CurrencySpent or 0)
    end
end

local function receipt(id, product, spent)
    return {
        PurchaseId = id,
        ProductId = product or PRODUCT,
        PlayerId = 1001,
        PlaceIdWherePurchased = 7,
        CurrencySpent = spent,
        CurrencyType = "coins",
    }
end

test("a purchase is applied once and granted each time, when its effect is stored", function()
    local store, storage = check.store()
    local profile = check.loaded(store)
    local heard, answers = check.list(), check.list()
    local function ask()
        profile:CallWhenProductIsProcessedAndSaved(shop(heard), receipt("p1", PRODUCT, 99), function(granted)
            answers(granted, check.stored(storage).Gold, check.stored(storage).Spent)
        end)
        frames(store)
    end
    ask()
    ask()
    equal(heard, { "validate 1 false", "apply 1 true", "record 1 true" })
    equal(answers, { "true 500 99", "true 500 99" })
    store:Destroy()
end)

test("the process function sees the receipt, and whose purchase it is", function()
    local store = check.store()
    local profile = check.loaded(store)
    local seen
    local given = receipt("p1", 9007199254740993LL, 5)
    profile:CallWhenProductIsProcessedAndSaved(function(op, call)
        seen = call
        assert(call.Profile == profile)
        assert(call.Locker == nil)
        assert(op ~= "apply" or call.SaveData == profile.data or call.SaveData.Gold == 0)
        return true
    end, given)
    given.PurchaseId = "changed later"
    frames(store)
    equal(seen.ReceiptInfo.PurchaseId, "p1")
    equal(seen.ReceiptInfo.ProductId, 9007199254740993LL)
    equal(seen.ReceiptInfo.PlayerId, 1001)
    equal(seen.ReceiptInfo.CurrencySpent, 5)
    equal(profile.data.Purchases[1][1], 9007199254740993LL)
    store:Destroy()
end)

test("what is not applicable becomes credit, and the credit can be asked for, given and used", function()
    local store = check.store()
    local profile = check.loaded(store)
    local heard, changes = check.list(), check.list()
    profile.ProductCreditChanged:Connect(function(product, amount)
        changes(product, amount)
    end)
    local granted
    sl.Spawn(function()
        granted = profile:YieldUntilProductIsProcessedAndSaved(shop(heard), receipt("p2", OTHER))
    end)
    frames(store)
    equal(granted, true)
    equal(profile:ProductCreditQuery(OTHER), 1)
    equal(profile:ProductCreditQuery(PRODUCT), 0)
    profile:ProductCreditGive(OTHER, 2)
    equal(profile:ProductCreditUse(OTHER, 4), false)
    equal(profile:ProductCreditUse(OTHER, 3), true)
    equal(profile:ProductCreditQuery(OTHER), 0)
    refused("SL_ERROR_OUT_OF_RANGE", nil, profile.ProductCreditGive, profile, OTHER, 0)
    refused("SL_ERROR_INVALID_ARGUMENT", "an amount", profile.ProductCreditGive, profile, OTHER, 0.5)
    frames(store)
    equal(changes, { "2 1", "2 2", "2 -3" })
    store:Destroy()
end)

test("a gift changes the recipient whom validate names", function()
    local store, storage = check.store()
    local ann, ben = check.loaded(store, "player/ann"), check.loaded(store, "player/ben")
    local granted
    ann:CallWhenProductIsProcessedAndSaved(shop(check.list(), ben), receipt("p3", GIFT, 20), function(answer)
        granted = answer
    end)
    frames(store, 50)
    equal(granted, true)
    equal(check.stored(storage, "player/ben").Gold, 500)
    equal(check.stored(storage, "player/ann").Gold, 0)
    equal(check.stored(storage, "player/ann").Spent, 20)
    store:Destroy()
end)

test("a gift to somebody who has left is answered with no, and one to nobody is a failure", function()
    local reports = {}
    local store = check.store({
        ReportDataStoreError = function(report)
            reports[#reports + 1] = report.Message
        end,
    })
    local ann, ben = check.loaded(store, "player/ann"), check.loaded(store, "player/ben")
    ben:EndSession()
    frames(store)
    local granted
    ann:CallWhenProductIsProcessedAndSaved(shop(check.list(), ben), receipt("p3", GIFT), function(answer)
        granted = answer
    end)
    frames(store)
    equal(granted, false)
    equal(reports, {})
    ann:CallWhenProductIsProcessedAndSaved(shop(check.list(), store), receipt("p5", GIFT))
    frames(store)
    check.contains(reports[1], "the recipient of a gift is a profile or a locker")
    granted = nil
    ann:CallWhenProductIsProcessedAndSaved(function()
        return sl.NOT_NOW
    end, receipt("p4", GIFT), function(answer)
        granted = answer
    end)
    frames(store)
    equal(granted, false)
    equal(#ann.data.Purchases, 0)
    store:Destroy()
end)

test("a process function that fails is undone, reported, and asked again", function()
    local reports = {}
    local store = check.store({
        ReportDataStoreError = function(report)
            reports[#reports + 1] = report
        end,
    })
    local profile = check.loaded(store)
    local calls, granted = 0, nil
    profile:CallWhenProductIsProcessedAndSaved(function(op, call)
        if op ~= "apply" then
            return true
        end
        calls = calls + 1
        call.SaveData.Gold = 1000
        if calls == 1 then
            error("the shop is closed")
        elseif calls == 2 then
            return
        end
        return true
    end, receipt("p1"), function(answer)
        granted = answer
    end)
    frames(store)
    equal(profile.data.Gold, 0)
    equal(reports[1].Activity, "purchase")
    check.contains(reports[1].Message, "the shop is closed")
    check.later(20)
    frames(store)
    check.contains(reports[2].Message, "must return true or false")
    equal(profile.data.Gold, 0)
    equal(granted, nil)
    check.later(20)
    frames(store)
    equal(granted, true)
    equal(profile.data.Gold, 1000)
    equal(#reports, 2)
    store:Destroy()
end)

test("a purchase is answered with no when the session or the store ends without it", function()
    local store = check.store()
    local answers = check.list()
    local profile = check.loaded(store)
    local function ask(id)
        profile:CallWhenProductIsProcessedAndSaved(function()
            error("never", 0)
        end, receipt(id), function(granted)
            answers(id, granted)
        end)
    end
    ask("p1")
    profile:EndSession()
    frames(store)
    equal(answers, { "p1 false" })
    profile = store:StartSession("player/ben")
    ask("p2")
    store:Destroy()
    equal(answers, { "p1 false", "p2 false" })
end)

test("purchases are answered in their order, each with its own answer", function()
    local store = check.store()
    local profile = check.loaded(store)
    local heard = check.list()
    for _, id in ipairs({ "a", "b", "c" }) do
        profile:CallWhenProductIsProcessedAndSaved(function()
            return true
        end, { PurchaseId = id, ProductId = 1 }, function(was_granted)
            heard(id, was_granted)
        end)
    end
    frames(store)
    equal(heard, { "a true", "b true", "c true" })
    store:Destroy()
end)

test("two identical purchases at once are both answered", function()
    local store = check.store()
    local profile = check.loaded(store)
    local heard, answers = check.list(), check.list()
    for at = 1, 2 do
        profile:CallWhenProductIsProcessedAndSaved(shop(heard), receipt("p1"), function(granted)
            answers(at, granted)
        end)
    end
    frames(store)
    equal(#answers, 2)
    equal(profile.data.Gold, 500)
    store:Destroy()
end)

test("a blocking purchase is made, or goes on when the time is over", function()
    local store = check.store()
    local profile = check.loaded(store)
    equal(profile:WaitUntilProductIsProcessedAndSaved(shop(check.list()), receipt("p1"), 10), true)
    local slow = store:StartSession("player/ann")
    local granted, problem = slow:WaitUntilProductIsProcessedAndSaved(shop(check.list()), receipt("p2"), 0)
    equal(granted, nil)
    equal(problem.Status, "SL_ERROR_TIMEOUT")
    profile:EndSession()
    check.until_so(store, function()
        return slow.data.Gold == 1000
    end)
    store:Destroy()
end)

test("a receipt that cannot be is refused, and its functions are forgotten", function()
    local hooks = require("session_locker.hooks")
    local store = check.store()
    local profile = check.loaded(store)
    local before = hooks.count()
    local call = profile.CallWhenProductIsProcessedAndSaved
    refused("SL_ERROR_INVALID_ARGUMENT", "purchase_id", call, profile, shop(check.list()), { ProductId = 1 })
    refused("SL_ERROR_INVALID_ARGUMENT", "a process function", call, profile, nil, receipt("p"))
    refused("SL_ERROR_INVALID_ARGUMENT", "ProductId", call, profile, print, { ProductId = "1" })
    refused("SL_ERROR_INVALID_ARGUMENT", "a callback", call, profile, print, receipt("p"), 5)
    refused("SL_ERROR_OUT_OF_RANGE", nil, profile.WaitUntilProductIsProcessedAndSaved, profile, print,
        receipt("p"), -1)
    equal(hooks.count(), before)
    store:Destroy()
end)

-- ---- Lockers and purchasers ------------------------------------------------------------------

local function locker_world()
    local storage = sl.StorageOpen("memory:")
    local spec = sl.LockerSpec({ DataStore = storage, SaveDataTemplate = { Gold = 0 }, Seed = check.seed() })
    local locker = sl.LockerCreate(spec, "player/ann")
    locker:MarkShouldAcquire()
    frames(locker)
    return locker, sl.ProductPurchaserCreate(), spec, storage
end

local function end_locker(locker, purchaser)
    locker:MarkShouldRelease()
    check.until_so(locker, function()
        return locker.IsIdling
    end)
    locker:Destroy()
    purchaser:Destroy()
end

test("a purchaser processes the purchases of lockers", function()
    local locker, purchaser, _, storage = locker_world()
    local heard, granted = check.list(), nil
    purchaser:CallWhenProductIsProcessedAndSaved(locker, shop(heard), receipt("p1", PRODUCT, 5),
        function(answer)
            granted = answer
        end)
    equal(purchaser:HasIncompletePurchases(), true)
    for _ = 1, 5 do
        frames(purchaser, 1)
        frames(locker, 1)
    end
    equal(granted, true)
    equal(purchaser:HasIncompletePurchases(), false)
    equal(check.stored(storage).Gold, 500)
    equal(heard[1], "validate 1 false")

    sl.Spawn(function()
        granted = purchaser:YieldUntilProductIsProcessedAndSaved(locker, shop(heard), receipt("p1"))
    end)
    granted = nil
    for _ = 1, 5 do
        frames(purchaser, 1)
        frames(locker, 1)
    end
    equal(granted, true)
    equal(locker.data.Gold, 500)
    end_locker(locker, purchaser)
end)

test("the function of a locker's purchase sees the locker", function()
    local locker, purchaser = locker_world()
    local seen
    purchaser:CallWhenProductIsProcessedAndSaved(locker, function(_, call)
        seen = call
        return true
    end, receipt("p1"))
    frames(purchaser, 1)
    equal(seen.Locker, locker)
    equal(seen.Profile, nil)
    frames(locker, 5)
    end_locker(locker, purchaser)
end)

test("a purchaser's blocking purchase updates the lockers too", function()
    local locker, purchaser = locker_world()
    equal(purchaser:WaitUntilProductIsProcessedAndSaved(locker, shop(check.list()), receipt("p1"), 10), true)
    equal(locker.data.Gold, 500)
    end_locker(locker, purchaser)
end)

test("a purchaser that is destroyed answers what is left with no, also from inside its function", function()
    local locker, purchaser = locker_world()
    local answers = check.list()
    locker:MarkShouldRelease()
    frames(locker)
    purchaser:CallWhenProductIsProcessedAndSaved(locker, shop(check.list()), receipt("p1"), function(granted)
        answers("outside", granted)
    end)
    purchaser:Destroy()
    equal(answers, { "outside false" })
    purchaser:Destroy()
    refused("SL_ERROR_INVALID_HANDLE", "destroyed", purchaser.Update, purchaser)

    local other = sl.ProductPurchaserCreate()
    locker:MarkShouldAcquire()
    frames(locker)
    other:CallWhenProductIsProcessedAndSaved(locker, function()
        other:Destroy()
        return true
    end, receipt("p2"), function(granted)
        answers("inside", granted)
    end)
    frames(other, 1)
    equal(#answers, 2)
    check.contains(answers[2], "inside")
    end_locker(locker, other)
end)

test("a gift from locker to locker reaches it", function()
    local locker, purchaser, spec, storage = locker_world()
    local friend = sl.LockerCreate(spec, "player/ben")
    friend:MarkShouldAcquire()
    frames(friend)
    local granted
    purchaser:CallWhenProductIsProcessedAndSaved(locker, shop(check.list(), friend), receipt("g", GIFT),
        function(answer)
            granted = answer
        end)
    for _ = 1, 20 do
        frames(purchaser, 1)
        frames(locker, 1)
        frames(friend, 1)
    end
    equal(granted, true)
    equal(check.stored(storage, "player/ben").Gold, 500)
    friend:MarkShouldRelease()
    frames(friend, 30)
    friend:Destroy()
    end_locker(locker, purchaser)
end)

-- ---- By hand ---------------------------------------------------------------------------------

test("a purchase that nobody makes asks, gives for nothing, and gives for credit", function()
    local store = check.store()
    local profile = check.loaded(store)
    local heard = check.list()
    local pending = sl.DummyPPP_FromIds(shop(heard), PRODUCT, 1001)
    equal(pending:Validate(), true)
    equal(pending:Validate(profile), true)
    equal(pending:Apply(profile), true)
    equal(profile.data.Gold, 500)
    equal(pending:UseCredit(profile), false)
    profile:ProductCreditGive(PRODUCT, 1)
    equal(pending:UseCredit(profile), true)
    equal(profile.data.Gold, 1000)
    equal(profile:ProductCreditQuery(PRODUCT), 0)
    pending:Destroy()
    refused("SL_ERROR_INVALID_HANDLE", nil, pending.Validate, pending)

    local other = sl.DummyPPP_FromReceiptInfo(shop(heard), receipt("", OTHER))
    equal(other:Validate(profile), false)
    equal(other:Apply(profile), false)
    equal(#profile.data.Purchases, 0)
    local failing = sl.DummyPPP_FromIds(function()
        error("closed", 0)
    end, 5)
    refused("SL_ERROR_HOOK", "closed", failing.Validate, failing, profile)
    refused("SL_ERROR_INVALID_ARGUMENT", nil, failing.Apply, failing)
    refused("SL_ERROR_INVALID_ARGUMENT", "a profile or a locker", failing.Apply, failing, store)
    store:Destroy()
end)

test("a purchase by hand works on lockers", function()
    local locker, purchaser = locker_world()
    local pending = sl.DummyPPP_FromIds(function(op, call)
        assert(call.Locker == locker and call.Profile == nil)
        if op == "apply" then
            call.SaveData.Gold = 3
        end
        return true
    end, PRODUCT)
    equal(pending:Apply(locker), true)
    equal(locker.data.Gold, 3)
    locker:ProductCreditGive(PRODUCT, 2)
    equal(locker:ProductCreditQuery(PRODUCT), 2)
    equal(pending:UseCredit(locker), true)
    equal(locker:ProductCreditUse(PRODUCT, 1), true)
    end_locker(locker, purchaser)
end)

check.finish("purchases")
