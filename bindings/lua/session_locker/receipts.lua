--- Receipts, and what the purchases of profiles, lockers and purchasers have in common.

local ffi = require("ffi")
local config = require("session_locker.config")
local hooks = require("session_locker.hooks")
local native = require("session_locker.native")

local C = native.C

local receipts = {}


--- The C struct of a receipt, which is a table as the original's platform gives it, with `PurchaseId`,
-- `ProductId`, `PlayerId`, `PlaceIdWherePurchased`, `CurrencySpent` (in the smallest unit). Other
-- fields are the script's. Also gives what must be kept for as long as the struct is used.
function receipts.struct(receipt)
    native.expect(receipt, "table", "a receipt")
    local struct = ffi.new("SlReceiptInfo")
    native.check(C.session_locker_receipt_info_init(struct, ffi.sizeof(struct)))
    local keep = { receipt.PurchaseId }
    if receipt.PurchaseId ~= nil then
        struct.purchase_id = native.expect(receipt.PurchaseId, "string", "PurchaseId")
        struct.purchase_id_length = #receipt.PurchaseId
    end
    struct.product_id = native.int64(receipt.ProductId or 0, "ProductId")
    if receipt.PlayerId ~= nil then
        keep[2] = config.user_id(receipt.PlayerId, "PlayerId")
        struct.user_id, struct.user_id_length = keep[2], #keep[2]
    end
    struct.place_id = native.int64(receipt.PlaceIdWherePurchased or 0, "PlaceIdWherePurchased")
    struct.currency_spent = native.int64(receipt.CurrencySpent or 0, "CurrencySpent")
    return struct, keep
end

--- The entry of a purchase, for the `user_data` of its functions: `process(op, call)` and, when it is
-- answered, `tell(was_granted)`.
function receipts.entry(process, receipt, tell)
    native.expect(process, "function", "a process function")
    if tell ~= nil then
        native.expect(tell, "function", "a callback")
    end
    local struct, keep = receipts.struct(receipt)
    local seen = {}
    for name, value in pairs(receipt) do
        seen[name] = value
    end
    return {
        process = process,
        receipt = seen,
        product_id = native.integer(struct.product_id + 0LL),
        tell = tell,
        struct = struct,
        keep = keep,
    }
end

--- Begins a purchase: `begin(process, receipt, callback, user_data, drop)` is the C call.
function receipts.call_when(entry, begin)
    local user_data = hooks.enter(entry)
    local callback = entry.tell and hooks.callback("SlPurchaseCallback")
    native.check(hooks.forget_if_refused(
        begin(hooks.callback("SlProductProcess"), entry.struct, callback, user_data, hooks.callback("SlDrop")),
        user_data))
end

--- Makes a purchase and waits for it: `wait(process, receipt, user_data, drop, was_granted)` is the C
-- call, which gives a status, and the error if there is one. Gives whether it was granted; nil, and the
-- error, if the time ran out.
function receipts.wait(entry, wait)
    local user_data = hooks.enter(entry)
    local was_granted = ffi.new("int32_t[1]")
    local status, failure =
        wait(hooks.callback("SlProductProcess"), entry.struct, user_data, hooks.callback("SlDrop"), was_granted)
    if status == native.TIMEOUT then
        return nil, failure
    elseif status ~= native.OK then
        hooks.forget_if_refused(status, user_data)
        error(failure, 0)
    end
    return was_granted[0] == 1
end

return receipts
