--- ProductPurchaser, which processes the purchases of lockers; and purchases that nobody makes, to run a
-- process function by hand.

local ffi = require("ffi")
local class = require("session_locker.class")
local config = require("session_locker.config")
local events = require("session_locker.events")
local hooks = require("session_locker.hooks")
local native = require("session_locker.native")
local receipts = require("session_locker.receipts")
local tasks = require("session_locker.tasks")

local C, calls = native.C, native.calls

local purchasers = {}

local ProductPurchaser = {}
local purchaser_meta = class.new(ProductPurchaser, {})

local flag = native.scratch("int32_t[1]")
local purchaser_out = native.scratch("SlProductPurchaser *[1]")

--- Makes a purchaser. One does for a server; update it every frame, best before its lockers.
function purchasers.ProductPurchaserCreate()
    native.check(calls.product_purchaser_create(purchaser_out))
    return setmetatable({ _handle = native.own(purchaser_out[0], "product_purchaser_destroy") },
        purchaser_meta)
end

local function handle_of(self)
    return class.handle(self, "purchaser")
end

--- Does all there is to do for the purchases, once a frame, and answers them. `now` as for a locker.
function ProductPurchaser:Update(now)
    if now == nil then
        now = C.session_locker_now()
    end
    native.expect(now, "number", "now")
    local _, failure = events.run(self, "Update", calls.product_purchaser_update, handle_of(self), now)
    if failure then
        error(failure, 0)
    end
end

--- Whether a purchase is not answered yet. At shutdown, release the lockers, and go on updating until this
-- is false.
function ProductPurchaser:HasIncompletePurchases()
    native.check(calls.product_purchaser_has_incomplete_purchases(handle_of(self), flag))
    return flag[0] == 1
end

local function purchase(locker, process, receipt, callback)
    local entry = receipts.entry(process, receipt, callback)
    entry.locker = locker
    return entry, class.handle(locker, "locker")
end

--- Processes a purchase once the locker is available, and answers it once: `callback(was_granted)`. It
-- outlives a session: it waits for the locker's next one, and is answered with false when the locker is
-- deleted. All else as for a profile.
function ProductPurchaser:CallWhenProductIsProcessedAndSaved(locker, process, receipt, callback)
    local entry, locker_handle = purchase(locker, process, receipt, callback)
    local handle = handle_of(self)
    receipts.call_when(entry, function(...)
        return calls.product_purchaser_call_when_product_is_processed_and_saved(handle, locker_handle, ...)
    end)
end

--- Processes a purchase, and suspends the coroutine until it is answered: true if it is granted.
function ProductPurchaser:YieldUntilProductIsProcessedAndSaved(locker, process, receipt)
    return tasks.await("YieldUntilProductIsProcessedAndSaved", function(wait)
        self:CallWhenProductIsProcessedAndSaved(locker, process, receipt, function(was_granted)
            tasks.finish(wait, was_granted)
        end)
    end)
end

--- The same, blocking, with updates of this purchaser and of all lockers of the spec, for at most `timeout`
-- seconds; nil, and the error, if the time ran out. What the lockers tell, they tell in their next
-- update. For tools.
function ProductPurchaser:WaitUntilProductIsProcessedAndSaved(locker, process, receipt, timeout)
    native.expect(timeout, "number", "a timeout")
    local entry, locker_handle = purchase(locker, process, receipt)
    local handle = handle_of(self)
    return receipts.wait(entry, function(process_callback, info, user_data, drop, was_granted)
        return events.run(self, "WaitUntilProductIsProcessedAndSaved",
            calls.product_purchaser_wait_until_product_is_processed_and_saved, handle, locker_handle,
            process_callback, info, user_data, drop, timeout, was_granted)
    end)
end

--- Answers every purchase that is left with false, and frees the purchaser. Inside a hook or callback of
-- its own it takes effect at the end of the update. Again does nothing.
function ProductPurchaser:Destroy()
    if self._handle == nil or events.destroys_later(self) then
        return
    end
    local handle = native.release(self._handle)
    rawset(self, "_handle", nil)
    native.check(calls.product_purchaser_destroy(handle))
    events.tell_answers()
end

-- ---- Purchases by hand -----------------------------------------------------------------------

local PendingProductPurchase = {}
local pending_meta = class.new(PendingProductPurchase, {})

local pending_out = native.scratch("SlPendingProductPurchase *[1]")

local function pending(entry, begin)
    local user_data = hooks.enter(entry)
    native.check(hooks.forget_if_refused(
        begin(hooks.callback("SlProductProcess"), user_data, hooks.callback("SlDrop")), user_data))
    return setmetatable({
        _handle = native.own(pending_out[0], "pending_product_purchase_destroy"),
        _entry = entry,
    }, pending_meta)
end

--- A purchase that nobody makes, of a receipt, whose process function can be run by hand.
function purchasers.DummyPPP_FromReceiptInfo(process, receipt)
    local entry = receipts.entry(process, receipt)
    return pending(entry, function(callback, user_data, drop)
        return calls.pending_product_purchase_from_receipt(callback, entry.struct, user_data, drop, pending_out)
    end)
end

--- The same, of a product and a player (nil for nobody).
function purchasers.DummyPPP_FromIds(process, product_id, player_id)
    local entry = receipts.entry(process, { ProductId = product_id, PlayerId = player_id, PurchaseId = "" })
    local user_id = player_id ~= nil and config.user_id(player_id, "a user id") or nil
    return pending(entry, function(callback, user_data, drop)
        return calls.pending_product_purchase_from_ids(callback, entry.struct.product_id, user_id,
            user_id and #user_id or 0, user_data, drop, pending_out)
    end)
end

local function run(self, call, subject)
    local handle = class.handle(self, "purchase")
    local entry, locker, profile = self._entry, nil, nil
    if subject ~= nil then
        local field = native.expect(subject, "table", "a profile or locker")._recipient_field
        if field == "recipient_profile" then
            profile = class.handle(subject, "profile")
            entry.profile = subject
        elseif field == "recipient_locker" then
            locker = class.handle(subject, "locker")
            entry.locker = subject
        else
            native.misuse("a profile or a locker is needed")
        end
    end
    local result = ffi.new("int32_t[1]")
    local status = call(handle, locker, profile, result)
    entry.profile, entry.locker = nil, nil
    native.check(status)
    return result[0] == 1
end

--- Whether the product can be applied, to a profile or locker, or to nobody in particular.
function PendingProductPurchase:Validate(subject)
    return run(self, calls.pending_product_purchase_validate, subject)
end

--- Applies the product to the save data of a profile or locker, for nothing; false if it is not applicable.
function PendingProductPurchase:Apply(subject)
    return run(self, calls.pending_product_purchase_apply, subject)
end

--- Gives the product for one credit of it; false, and nothing has changed, if there is none, or it is not
-- applicable.
function PendingProductPurchase:UseCredit(subject)
    return run(self, calls.pending_product_purchase_use_credit, subject)
end

--- Frees it. Again does nothing.
function PendingProductPurchase:Destroy()
    if self._handle ~= nil then
        local handle = native.release(self._handle)
        rawset(self, "_handle", nil)
        native.check(calls.pending_product_purchase_destroy(handle))
    end
end

return purchasers
