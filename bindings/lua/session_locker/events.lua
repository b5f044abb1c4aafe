--- Events: taken from the library after each update, told as signals.
--
-- An update in Lua is a call of the library, in which hooks run, and then the reading of what it has
-- told. Listeners run in the second part, when no function of the library is under way, so they may
-- yield, and may call whatever they like but another update of the same object.
--
-- What is said here of a *source* is a store, a locker or a sender: what is updated and polled.

local ffi = require("ffi")
local hooks = require("session_locker.hooks")
local json = require("session_locker.json")
local native = require("session_locker.native")
local Signal = require("session_locker.signal")
local tasks = require("session_locker.tasks")

local C = native.C

local events = {}

-- ---- Words -----------------------------------------------------------------------------------

events.LOAD_STATUSES = {
    [C.SL_LOAD_STATUS_LOADING] = "loading",
    [C.SL_LOAD_STATUS_DATA_STORE_REQUEST_FAIL] = "data_store_request_fail",
    [C.SL_LOAD_STATUS_SESSION_IS_LOCKED] = "session_is_locked",
    [C.SL_LOAD_STATUS_INVALID_VERSION] = "invalid_version",
    [C.SL_LOAD_STATUS_LOADED] = "loaded",
    [C.SL_LOAD_STATUS_CORRUPT_DATA] = "corrupt_data",
    [C.SL_LOAD_STATUS_MIGRATION_FAILED] = "migration_failed",
    [C.SL_LOAD_STATUS_CREATE_FAILED] = "create_failed",
    [C.SL_LOAD_STATUS_ERASED] = "erased",
}

--- After which loading does not go on by itself.
local IS_FINAL = {
    invalid_version = true,
    corrupt_data = true,
    migration_failed = true,
    create_failed = true,
    erased = true,
}
events.IS_FINAL = IS_FINAL

events.OUTCOMES = {
    [C.SL_OUTCOME_NOT_SAVED] = "not_saved",
    [C.SL_OUTCOME_SAVED] = "saved",
    [C.SL_OUTCOME_UNKNOWN] = "unknown",
}

events.SEND_OUTCOMES = {
    [C.SL_SEND_SENT] = "sent",
    [C.SL_SEND_MISSING] = "missing",
    [C.SL_SEND_INBOX_FULL] = "inbox_full",
    [C.SL_SEND_NOT_SENT] = "not_sent",
    [C.SL_SEND_UNKNOWN] = "unknown",
    [C.SL_SEND_CORRUPT_DATA] = "corrupt_data",
}

local LIFECYCLES = {
    [C.SL_LIFECYCLE_REPLACED] = "replaced",
    [C.SL_LIFECYCLE_SAVED] = "saved",
    [C.SL_LIFECYCLE_IDLING] = "idling",
    [C.SL_LIFECYCLE_DELETED] = "deleted",
    [C.SL_LIFECYCLE_DESTROYED] = "destroyed",
    [C.SL_LIFECYCLE_FINISHED] = "finished",
}

local REASONS = {
    [C.SL_REASON_LOADED] = "r_loaded",
    [C.SL_REASON_RELEASED] = "r_released",
    [C.SL_REASON_LOST] = "r_lost",
}

local LIFECYCLE = C.SL_EVENT_LIFECYCLE
local LOAD_STATUS = C.SL_EVENT_LOAD_STATUS
local ERROR = C.SL_EVENT_ERROR
local LOST = C.SL_EVENT_LOST
local CHANGES_SAVED = C.SL_EVENT_CHANGES_SAVED
local CREDIT = C.SL_EVENT_PRODUCT_CREDIT_CHANGED
local PURCHASE = C.SL_EVENT_PURCHASE
local SENT = C.SL_EVENT_REMOTE_CHANGES_SENT
local FINISHED = C.SL_LIFECYCLE_FINISHED

-- ---- Objects by their handles ----------------------------------------------------------------

local cell = native.scratch("void *[1]")
local cell_words = ffi.cast("uint32_t *", cell)

--- A map from handles to objects. A handle has 64 bits and a number of Lua's 53, so it is two numbers.
local Handles = {}
Handles.__index = Handles
events.Handles = Handles

local WeakHandles = { __index = Handles, second = { __mode = "v" } }

function Handles.new()
    return setmetatable({}, Handles)
end

--- The same, whose objects the collector takes.
function Handles.new_weak()
    return setmetatable({}, WeakHandles)
end

function Handles.put(self, handle, object)
    cell[0] = ffi.cast("void *", handle)
    local low, high = cell_words[0], cell_words[1]
    local by_low = self[low]
    if by_low == nil then
        by_low = setmetatable({}, getmetatable(self).second)
        self[low] = by_low
    end
    by_low[high] = object
    if object == nil and next(by_low) == nil then
        self[low] = nil
    end
end

function Handles.get(self, handle)
    cell[0] = ffi.cast("void *", handle)
    local by_low = self[cell_words[0]]
    return by_low and by_low[cell_words[1]]
end

--- All objects.
function Handles.all(self)
    local all = {}
    for _, by_low in pairs(self) do
        for _, object in pairs(by_low) do
            all[#all + 1] = object
        end
    end
    return all
end

-- ---- Signals of an object --------------------------------------------------------------------

--- Notes that somebody listens to an object, or waits for it: a source with many objects passes over the
-- events of all others.
function events.hear(object)
    local source = rawget(object, "_source")
    if source ~= nil and source ~= object and object._handle ~= nil then
        source._heard:put(object._handle, object)
    end
end

--- The signal of an object by name, made when it is first asked for.
function events.signal(object, name)
    local signals = rawget(object, "_signals")
    if signals == nil then
        signals = {}
        rawset(object, "_signals", signals)
        events.hear(object)
    end
    local signal = signals[name]
    if signal == nil then
        signal = Signal.new(name)
        signals[name] = signal
    end
    return signal
end

local function fire(object, name, ...)
    local signals = rawget(object, "_signals")
    local signal = signals and signals[name]
    if signal ~= nil then
        signal:_fire(...)
    end
end

-- ---- One event -------------------------------------------------------------------------------

-- Ends the waits for an object to be loaded: with the object, or with nil.
local function answer_loading(object, answer)
    local waits = rawget(object, "_loading")
    if waits ~= nil then
        rawset(object, "_loading", nil)
        for _, wait in ipairs(waits) do
            wait(answer)
        end
    end
end
events.answer_loading = answer_loading

-- The signals of a lifecycle event but Lifecycle itself, by its status or, of a replacement, its reason, the
-- deepest first.
local SIGNALS = {
    r_loaded = { "Loaded", "Replaced" },
    r_released = { "Released", "Reset", "Replaced" },
    r_lost = { "Lost", "Reset", "Replaced" },
    saved = { "Saved" },
    destroyed = { "Destroyed" },
    idling = { "Idling" },
    deleted = { "Deleted" },
    finished = { "Finished" },
}

local function tell_lifecycle(source, object, status, reason)
    for _, name in ipairs(SIGNALS[status] or SIGNALS[reason]) do
        fire(object, name, reason)
    end
    if status == "finished" then
        answer_loading(object, nil)
        return source:_finished(object)
    end
    fire(object, "Lifecycle", status, reason)
    if reason == "r_loaded" then
        answer_loading(object, object)
    end
end

local function document_of(event)
    return json.decode(native.text(event.text))
end

local function is_purchase(entry, product_id, purchase_id)
    return entry.product_id == product_id and entry.receipt.PurchaseId == purchase_id
end

local function tell_answer(one)
    if one ~= nil then
        tasks.Spawn(one.entry.tell, one.answer)
    end
end

-- The event as a table. All that is lent is copied.
local function described(object, event)
    local kind = event.kind
    local told = { Key = native.text(event.key), Owner = object }
    if kind == LIFECYCLE then
        told.Kind, told.Status, told.Reason = "lifecycle", LIFECYCLES[event.lifecycle], REASONS[event.reason]
    elseif kind == LOAD_STATUS then
        told.Kind, told.LoadStatus = "load_status", events.LOAD_STATUSES[event.load_status]
    elseif kind == ERROR then
        told.Kind, told.Message = "error", native.text(event.text)
        told.Activity = hooks.ACTIVITIES[event.activity]
        told.ErrorKind = hooks.ERROR_KINDS[event.error_kind]
        told.ProductId = event.product_id ~= 0 and native.integer(event.product_id + 0LL) or nil
    elseif kind == LOST then
        told.Kind, told.Document = "lost", document_of(event)
    elseif kind == CHANGES_SAVED then
        told.Kind, told.Outcome = "changes_saved", events.OUTCOMES[event.outcome]
    elseif kind == CREDIT then
        told.Kind, told.ProductId = "product_credit_changed", native.integer(event.product_id + 0LL)
        told.Amount = native.integer(event.amount + 0LL)
    elseif kind == PURCHASE then
        told.Kind, told.ProductId = "purchase", native.integer(event.product_id + 0LL)
        told.PurchaseId, told.WasGranted = native.text(event.text), event.outcome == 1
    elseif kind == SENT then
        told.Kind, told.SendId = "remote_changes_sent", tonumber(event.send_id)
        told.Outcome = events.SEND_OUTCOMES[event.outcome]
    end
    return told
end

-- Tells one event to whoever it concerns. Nothing of it is read once the first listener runs, for that may
-- poll anew.
local function tell(source, object, event)
    local told, outcome = described(object, event), event.outcome
    local wait = source._waits:get(event.saved_connection)
    fire(source, "Event", told)
    local kind = told.Kind
    if wait ~= nil then
        wait:_answer(outcome)
    elseif kind == "purchase" then
        tell_answer(hooks.take_answer(is_purchase, told.ProductId, told.PurchaseId))
    elseif object == nil then
        return
    elseif kind == "lifecycle" then
        tell_lifecycle(source, object, told.Status, told.Reason)
    elseif kind == "load_status" then
        fire(object, "LoadStatusChanged", told.LoadStatus)
        if IS_FINAL[told.LoadStatus] then
            answer_loading(object, nil)
        end
    elseif kind == "lost" then
        fire(object, "SaveDataLost", told.Document)
    elseif kind == "product_credit_changed" then
        fire(object, "ProductCreditChanged", told.ProductId, told.Amount)
    elseif kind == "error" then
        fire(object, "Failed", told)
    end
end

-- ---- All events of a source ------------------------------------------------------------------

local CAPACITY = 1024
local EVENT_WORDS = ffi.sizeof("SlEvent") / 4
local PROFILE_WORD = ffi.offsetof("SlEvent", "profile") / 4
local KIND_WORD = ffi.offsetof("SlEvent", "kind") / 4
local LIFECYCLE_WORD = ffi.offsetof("SlEvent", "lifecycle") / 4

-- Arrays that are not in use; a listener may update another source, which then needs one of its own.
local spare = {}

local function new_batch()
    local batch = { events = ffi.new("SlEvent[?]", CAPACITY), count = ffi.new("size_t[1]") }
    batch.words = ffi.cast("uint32_t *", batch.events)
    return batch
end

--- The first event from `at` on that somebody is to hear, and whose it is; `count` if there is none.
-- Most events concern nobody, so this is the loop that counts: numbers alone, and compiled.
local function next_heard(source, words, at, count)
    local heard = source._heard
    local hears_all = rawget(source, "_signals") ~= nil
    while at < count do
        local word = at * EVENT_WORDS
        local kind = words[word + KIND_WORD]
        if hears_all or kind == CHANGES_SAVED or kind == PURCHASE
            or heard[words[word + PROFILE_WORD]] ~= nil
            or kind == LIFECYCLE and words[word + LIFECYCLE_WORD] == FINISHED then
            local by_low = source._objects[words[word + PROFILE_WORD]]
            return at, by_low and by_low[words[word + PROFILE_WORD + 1]]
        end
        at = at + 1
    end
    return count, nil
end
events.next_heard = next_heard

local function tell_batch(source, batch, count)
    local at, object = next_heard(source, batch.words, 0, count)
    while at < count and source._handle ~= nil do
        tell(source, object, batch.events[at])
        at, object = next_heard(source, batch.words, at + 1, count)
    end
end

--- Tells the answers that no event has told: those of sends, which come last in an update, and of what was
-- destroyed.
function events.tell_answers()
    local one = hooks.take_answer()
    while one ~= nil do
        tell_answer(one)
        one = hooks.take_answer()
    end
end

local function tell_all(source)
    local batch = table.remove(spare) or new_batch()
    while source._poll ~= nil and source._handle ~= nil do
        native.check(source._poll(source._handle, batch.events, CAPACITY, batch.count))
        local count = tonumber(batch.count[0])
        if count == 0 then
            break
        end
        tell_batch(source, batch, count)
    end
    spare[#spare + 1] = batch
    events.tell_answers()
end

local function call_and_tell(source, call, ...)
    local status = call(...)
    local failure = status ~= native.OK and native.failure(status) or nil
    tell_all(source)
    return status, failure
end

--- Makes an update, wait or drain of a source, `call(…)`, and then tells what it came to. Gives the
-- status, and the error if it is none of SL_OK. Nobody else may update the source meanwhile; a
-- destruction takes effect at the end.
function events.run(source, what, call, ...)
    if source._is_busy then
        native.refuse("SL_ERROR_BUSY",
            what .. " inside a hook or listener, while an update of the same object is under way")
    end
    source._is_busy = true
    local ok, status, failure = pcall(call_and_tell, source, call, ...)
    source._is_busy = nil
    if source._destroy_later then
        source:Destroy()
    end
    if not ok then
        error(status, 0)
    end
    return status, failure
end

--- Whether a destruction has to wait for the end of an update that is under way, which then does it.
function events.destroys_later(source)
    source._destroy_later = source._is_busy
    return source._is_busy
end

return events
